/* Closed slots: who calls waits, obeys kill and nothing else, and goes on when the slot opens. */
#include <host_test.h>
#include <core/call.h>
#include <core/evolve.h>
#include <core/file_lock.h>
#include <core/node.h>
#include <core/sched.h>
#include <core/time.h>
#include <kabi/slots.h>
#include <nucleus/slot.h>

#define O_WRONLY_NONBLOCK 04001
#define MS                NSEC_PER_MSEC
#define S_FIFO            010600

static void rest(ktime_t duration_ns)
{
	ktime_t until = time_monotonic_ns() + duration_ns;

	while (time_monotonic_ns() < until) {
		task_set_state(TASK_SLEEPING_UNINTERRUPTIBLE);
		schedule_deadline(until);
	}
}

static const void *closed(const struct slot *slot)
{
	const void *vtable = slot_vtable(slot);

	CHECK(slot_close(slot));
	CHECK(!slot_close(slot));
	return vtable;
}

/* Who came while it was closed, and what they got. */
static atomic32_t nr_done, nr_right;

static void counts(bool right)
{
	atomic32_fetch_add(&nr_right, right);
	atomic32_fetch_add(&nr_done, 1);
}

static s32 asks_vfs(void *arg)
{
	vaddr_t at = user_alloc(PAGE_BYTES);

	counts(sys(SYS_stat, ustr("/"), at) == 0 && sys(SYS_access, ustr("/none"), 0) == -ENOENT);
	return 0;
}

HOST_TEST(park_callers_wait)
{
	u32 waits = call_slot_waits();
	const void *vtable = closed(SLOT(VFS));

	atomic32_store(&nr_done, 0);
	atomic32_store(&nr_right, 0);
	for (u32 i = 0; i < 5; i++)
		host_spawn(asks_vfs, nullptr);
	rest(20 * MS);
	CHECK_EQ(atomic32_load(&nr_done), 0);
	CHECK(call_slot_waits() >= waits + 5);
	CHECK(slot_open(SLOT(VFS), vtable));
	host_join();
	CHECK_EQ(atomic32_load(&nr_right), 5);
}

/* A signal changes nothing for who stands before a closed slot, until it is open. */
static atomic32_t nr_handled;

static void handler(s32 signo)
{
	atomic32_fetch_add(&nr_handled, 1);
}

static void handle_usr1(void)
{
	struct {
		u64 handler, flags, restorer, mask;
	} action = {.handler = (word_t)handler};
	vaddr_t at = user_alloc(PAGE_BYTES);

	user_put(at, &action, sizeof(action));
	CHECK_EQ(sys(SYS_rt_sigaction, SIGUSR1, at, 0, 8), 0);
}

static s32 asks_with_handler(void *arg)
{
	vaddr_t at = user_alloc(PAGE_BYTES);

	handle_usr1();
	counts(sys(SYS_stat, ustr("/"), at) == 0);
	return atomic32_load(&nr_handled) == 1 ? 0 : 1;
}

HOST_TEST(park_signals_wait)
{
	const void *vtable = closed(SLOT(VFS));
	sword_t pid;

	atomic32_store(&nr_done, 0);
	atomic32_store(&nr_handled, 0);
	pid = host_child(asks_with_handler, nullptr);
	rest(10 * MS);
	CHECK_EQ(sys(SYS_kill, pid, SIGUSR1), 0);
	rest(10 * MS);
	CHECK_EQ(atomic32_load(&nr_done), 0);
	CHECK_EQ(atomic32_load(&nr_handled), 0);
	CHECK(slot_open(SLOT(VFS), vtable));
	CHECK_EQ(host_reap(pid), 0);
}

/* Kill ends it, and what the call had is given back: here the end of a FIFO that an open was
 * waiting with when the slot was closed (docs/decisions/0007-undo-by-ownership.md). */
static s32 opens_fifo(void *arg)
{
	handle_usr1();
	(void)sys(SYS_open, ustr("/parked_fifo"), 0);
	return 1;
}

static void fifo_killed(const struct slot *second)
{
	const void *vtable, *other = nullptr;
	sword_t pid;

	CHECK_EQ(sys(SYS_mknod, ustr("/parked_fifo"), S_FIFO, 0), 0);
	pid = host_child(opens_fifo, nullptr);
	rest(10 * MS);
	vtable = closed(SLOT(VFS));
	if (second)
		other = closed(second);
	CHECK_EQ(sys(SYS_kill, pid, SIGUSR1), 0); /* it runs again, and meets the closed slot */
	rest(10 * MS);
	CHECK_EQ(sys(SYS_kill, pid, SIGKILL), 0);
	if (second) {
		rest(10 * MS);
		CHECK(slot_open(second, other));
	}
	CHECK_EQ(host_reap(pid), SIGKILL);
	CHECK(slot_open(SLOT(VFS), vtable));
	CHECK_EQ(sys(SYS_open, ustr("/parked_fifo"), O_WRONLY_NONBLOCK), -ENXIO);
	CHECK_EQ(sys(SYS_unlink, ustr("/parked_fifo")), 0);
}

HOST_TEST(park_killed_gives_back)
{
	fifo_killed(nullptr);
}

/* What the end of the open file calls is closed too: core's own duty waits for it. */
HOST_TEST(park_killed_ends_its_files)
{
	fifo_killed(SLOT(NODE_PIPE));
}

/* And that it waits for the owner of a lock: its mark in the graph that finds deadlocks. */
#define F_SETLK  6
#define F_SETLKW 7
static const void *waiter_files;
struct waits {
	sword_t fd;
	vaddr_t lock;
};

static s32 waits_for_lock(void *arg)
{
	const struct waits *w = arg;

	WRITE_ONCE(waiter_files, current->files);
	handle_usr1();
	(void)sys(SYS_fcntl, w->fd, F_SETLKW, w->lock);
	return 1;
}

HOST_TEST(park_killed_waits_for_no_lock)
{
	sword_t fd = sys(SYS_open, ustr("/parked_lock"), O_CREAT | O_RDWR, 0600), pid;
	struct {
		s16 type, whence;
		s64 start, len;
		s32 pid;
	} lock = {.type = 1};
	vaddr_t at = user_alloc(PAGE_BYTES);
	const void *vtable;
	struct waits w;

	user_put(at, &lock, sizeof(lock));
	CHECK_EQ(sys(SYS_fcntl, fd, F_SETLK, at), 0);
	w = (struct waits){fd, at};
	pid = host_child(waits_for_lock, &w);
	rest(10 * MS);
	CHECK_EQ(lock_wait_begin(current->files, waiter_files), -EDEADLK); /* it does wait */
	vtable = closed(SLOT(VFS));
	CHECK_EQ(sys(SYS_kill, pid, SIGUSR1), 0);
	rest(10 * MS);
	CHECK_EQ(sys(SYS_kill, pid, SIGKILL), 0);
	CHECK_EQ(host_reap(pid), SIGKILL);
	CHECK(slot_open(SLOT(VFS), vtable));
	CHECK_EQ(lock_wait_begin(current->files, waiter_files), 0);
	lock_wait_done(current->files);
	sys(SYS_close, fd);
	CHECK_EQ(sys(SYS_unlink, ustr("/parked_lock")), 0);
}

/* A deadline that passes there: one more run, which is told. */
static s32 opens_later(void *arg)
{
	rest(50 * MS);
	CHECK(slot_open(SLOT(VFS), arg));
	return 0;
}

HOST_TEST(park_deadline_is_told_once)
{
	const void *vtable = closed(SLOT(VFS));
	ktime_t begin = time_monotonic_ns();
	struct call c;

	host_spawn(opens_later, (void *)vtable);
	call_begin(&c, CALLF_KERNEL);
	call_wait_deadline(&c, begin + 10 * MS);
	c.waiting_on = SLOT(VFS);
	CHECK_EQ(call_serve(&c, ANSWER_WAIT_SLOT), ANSWER_MORE);
	CHECK(call_expired(&c));
	CHECK(time_monotonic_ns() - begin < 40 * MS);
	c.waiting_on = SLOT(VFS);
	CHECK_EQ(call_serve(&c, ANSWER_WAIT_SLOT), ANSWER_MORE);
	CHECK(time_monotonic_ns() - begin >= 50 * MS);
	CHECK(call_expired(&c));
	call_end(&c);
	host_join();
}

/* Every slot that programs call is closed again and again under them, the personality's too. */
static s32 pipes(void *arg)
{
	vaddr_t at = user_alloc(PAGE_BYTES);

	for (u32 i = 0; i < 100; i++) {
		s64 pause[2] = {0, host_dice(20000)};
		s32 fd[2];

		if (!CHECK_EQ(sys(SYS_pipe2, at, 0), 0))
			break;
		user_get(fd, at, sizeof(fd));
		CHECK_EQ(sys(SYS_write, fd[1], at, 100), 100);
		CHECK_EQ(sys(SYS_read, fd[0], at + 512, 200), 100);
		CHECK_EQ(sys(SYS_close, fd[0]), 0);
		CHECK_EQ(sys(SYS_stat, ustr("/"), at + 1024), 0);
		CHECK_EQ(sys(SYS_kill, sys(SYS_getpid), SIGUSR1), 0);
		CHECK_EQ(sys(SYS_close, fd[1]), 0);
		user_put(at, pause, sizeof(pause));
		CHECK_EQ(sys(SYS_nanosleep, at, 0), 0);
	}
	sys(SYS_munmap, at, PAGE_BYTES);
	counts(true);
	return 0;
}

static s32 pipes_process(void *arg)
{
	handle_usr1();
	return pipes(nullptr);
}

HOST_TEST(park_under_load)
{
	static const u32 slots[] = {SLOT_PERSONALITY_LINUX, SLOT_VFS, SLOT_NODE_PIPE,
		SLOT_NODE_FILE};
	sword_t pid[3];
	u32 rounds = 0;

	atomic32_store(&nr_done, 0);
	for (u32 i = 0; i < ARRAY_SIZE(pid); i++)
		pid[i] = host_child(pipes_process, nullptr);
	while (atomic32_load(&nr_done) < ARRAY_SIZE(pid) && rounds < 20000) {
		const struct slot *slot = &nucleus.slots[slots[rounds++ % ARRAY_SIZE(slots)]];
		const void *vtable = closed(slot);

		rest(host_dice(50) * NSEC_PER_USEC);
		CHECK(slot_open(slot, vtable));
		rest(host_dice(50) * NSEC_PER_USEC);
	}
	CHECK(rounds > 20);
	for (u32 i = 0; i < ARRAY_SIZE(pid); i++)
		CHECK_EQ(host_reap(pid[i]), 0);
}
