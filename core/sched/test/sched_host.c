/* Scheduler, futexes, timers, signals and waits through system calls, on several CPUs. */
#include <host_test.h>
#include <core/time.h>
#include <arch/cpu.h>
#include <arch/ucopy.h>

#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

/* A mutex of three states over a futex (Drepper 2011, "Futexes are tricky"), and what it protects.
 */
static vaddr_t word;
static u32 protected_count;

static u32 user_cas(vaddr_t at, u32 expected, u32 desired)
{
	u32 old = 0;

	if (arch_user_cas32((u32 __user *)at, expected, desired, &old))
		panic("futex word");
	return old;
}

static u32 user_exchange(vaddr_t at, u32 value)
{
	u32 old = user_u32(at), seen;

	while ((seen = user_cas(at, old, value)) != old)
		old = seen;
	return old;
}

static void futex_lock(void)
{
	u32 c = user_cas(word, 0, 1);

	if (!c)
		return;
	if (c != 2)
		c = user_exchange(word, 2);
	while (c) {
		sys(SYS_futex, word, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
		c = user_exchange(word, 2);
	}
}

static void futex_unlock(void)
{
	if (user_exchange(word, 0) == 2)
		sys(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

static s32 locker(void *arg)
{
	for (u32 i = 0; i < 300; i++) {
		futex_lock();
		WRITE_ONCE(protected_count, READ_ONCE(protected_count) + 1);
		if (i % 8 == 0)
			sys(SYS_sched_yield);
		futex_unlock();
	}
	return 0;
}

HOST_TEST(futex_mutex)
{
	word = user_alloc(PAGE_BYTES);
	protected_count = 0;
	for (u32 i = 0; i < 5; i++)
		host_spawn(locker, nullptr);
	host_join();
	CHECK_EQ(protected_count, 1500);
	sys(SYS_munmap, word, PAGE_BYTES);
}

static void sleep_ns(u64 ns)
{
	s64 t[2] = {(s64)(ns / 1000000000), (s64)(ns % 1000000000)};
	vaddr_t at = user_alloc(PAGE_BYTES);

	user_put(at, t, sizeof(t));
	CHECK_EQ(sys(SYS_nanosleep, at, 0), 0);
	sys(SYS_munmap, at, PAGE_BYTES);
}

static s32 sleeper(void *arg)
{
	for (u32 i = 0; i < 20; i++) {
		u64 ns = 1000ull + host_dice(50) * 1000000ull;
		ktime_t before = time_monotonic_ns();

		sleep_ns(ns);
		if (!(time_monotonic_ns() - before >= (ktime_t)ns))
			CHECK(!"slept long enough");
	}
	return 0;
}

/* Virtual time: a minute passes at once, in order. */
HOST_TEST(time_sleepers)
{
	ktime_t before = time_monotonic_ns();

	for (u32 i = 0; i < 8; i++)
		host_spawn(sleeper, nullptr);
	sleep_ns(60ull * 1000000000);
	CHECK(time_monotonic_ns() - before >= 60ll * NSEC_PER_SEC);
	host_join();
}

/* Processes come and go while others run: clone, exit, wait, reparenting. */
static s32 grandchild(void *arg)
{
	sys(SYS_sched_yield);
	return 3;
}

static s32 child(void *arg)
{
	sword_t a = host_child(grandchild, nullptr), b = host_child(grandchild, nullptr);

	if ((word_t)arg % 2) /* leaves one to process 1 */
		return host_reap(b) == 3 << 8 ? 5 : 6;
	return host_reap(a) == 3 << 8 && host_reap(b) == 3 << 8 ? 5 : 6;
}

HOST_TEST(process_families)
{
	sword_t pids[12];
	vaddr_t status = user_alloc(PAGE_BYTES);

	for (u32 round = 0; round < 4; round++) {
		for (u32 i = 0; i < ARRAY_SIZE(pids); i++)
			pids[i] = host_child(child, (void *)(word_t)i);
		for (u32 i = 0; i < ARRAY_SIZE(pids); i++)
			CHECK_EQ(host_reap(pids[i]), 5 << 8);
		while (sys(SYS_wait4, -1, status, 0, 0) > 0) /* the orphans */
			CHECK_EQ(user_u32(status), 3 << 8);
	}
	CHECK_EQ(sys(SYS_wait4, -1, status, 0, 0), -ECHILD);
	sys(SYS_munmap, status, PAGE_BYTES);
}

/* The last two threads of a process exit at once: one of them takes its timers down, which would go
 * off in freed memory otherwise. */
static atomic32_t nr_ending;

static s32 ender(void *arg)
{
	atomic32_fetch_add(&nr_ending, 1);
	while (atomic32_load(&nr_ending) < 2)
		arch_cpu_relax();
	return 0;
}

static s32 two_enders(void *arg)
{
	s64 in_a_second[4] = {0, 0, 1, 0};
	vaddr_t at = user_alloc(PAGE_BYTES);

	user_put(at, in_a_second, sizeof(in_a_second));
	CHECK_EQ(sys(SYS_setitimer, 0, at, 0), 0);
	host_spawn(ender, nullptr);
	return ender(nullptr);
}

HOST_TEST(process_last_threads_exit_at_once)
{
	for (u32 i = 0; i < 200; i++) {
		atomic32_store(&nr_ending, 0);
		CHECK_EQ(host_reap(host_child(two_enders, nullptr)), 0);
	}
	sleep_ns(2000000000);
}

/* Signals to a process that sleeps: the handler runs, the call is interrupted; SIGKILL ends it. */
static atomic32_t handled;

static void handler(s32 signo)
{
	atomic32_fetch_add(&handled, (u32)signo);
}

static s32 signalled(void *arg)
{
	struct {
		u64 handler, flags, restorer, mask;
	} action = {.handler = (word_t)handler};
	vaddr_t at = user_alloc(PAGE_BYTES);
	s64 t[2] = {1000, 0};
	sword_t r;

	user_put(at, &action, sizeof(action));
	CHECK_EQ(sys(SYS_rt_sigaction, SIGUSR1, at, 0, 8), 0);
	user_put(at + 512, t, sizeof(t));
	r = sys(SYS_nanosleep, at + 512, 0);
	CHECK_EQ(r, -EINTR);
	CHECK_EQ(atomic32_load(&handled), SIGUSR1);
	for (;;)
		sys(SYS_pause);
}

HOST_TEST(signals)
{
	sword_t pid;

	atomic32_store(&handled, 0);
	pid = host_child(signalled, nullptr);
	sleep_ns(10000000);
	CHECK_EQ(sys(SYS_kill, pid, SIGUSR1), 0);
	sleep_ns(10000000);
	CHECK_EQ(atomic32_load(&handled), SIGUSR1);
	CHECK_EQ(sys(SYS_kill, pid, SIGKILL), 0);
	CHECK_EQ(host_reap(pid), SIGKILL);
}

/* Busy threads share the CPUs: each gets on, under preemption and moves between CPUs. */
static atomic32_t progress[8];

static s32 busy(void *arg)
{
	atomic32_t *mine = arg;
	u64 mask = ~0ull;
	vaddr_t at = user_alloc(PAGE_BYTES);

	for (u32 i = 0; i < 400; i++) {
		atomic32_fetch_add(mine, 1);
		sys(SYS_getpid);
		if (i % 50 == 0) {
			mask = 1ull << host_dice(host_nr_cpus());
			user_put(at, &mask, sizeof(mask));
			CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(mask), at), 0);
		}
	}
	return 0;
}

HOST_TEST(sched_busy_threads)
{
	for (u32 i = 0; i < ARRAY_SIZE(progress); i++)
		host_spawn(busy, &progress[i]);
	host_join();
	for (u32 i = 0; i < ARRAY_SIZE(progress); i++)
		CHECK_EQ(atomic32_exchange(&progress[i], 0), 400);
}
