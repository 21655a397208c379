/* Runner of the tests in host_test.h: they take the place of the first program (arch/test.h). TAP
 * goes to the process's output. */
#include "host_test.h"
#include <core/call.h>
#include <core/cmdline.h>
#include <core/cpu.h>
#include <core/evolve.h>
#include <core/sched.h>
#include <core/wait.h>
#include <arch/test.h>
#include "../../../arch/host/os.h"

extern const struct host_test __start_host_tests[], __stop_host_tests[];
static atomic32_t nr_checks, nr_failed;
static atomic32_t threads_left;
static struct waitable thread_ended;
static u64 dice = 88172645463325252ull;
static const char *running = "boot";

static void say(const char *fmt, ...) __printf(1, 2);
static void say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	os_write(1, line, MIN((size_t)n, sizeof(line) - 1));
}

bool host_check(bool ok, const char *condition, const char *file, u32 line)
{
	atomic32_fetch_add(&nr_checks, 1);
	if (!ok) {
		atomic32_fetch_add(&nr_failed, 1);
		say("# %s:%u: %s\n", file, line, condition);
	}
	return ok;
}

bool host_check_eq(sword_t a, sword_t b, const char *condition, const char *file, u32 line)
{
	char text[256];

	if (a == b)
		return host_check(true, condition, file, line);
	(void)snprintf(text, sizeof(text), "%s: %ld, %ld", condition, (long)a, (long)b);
	return host_check(false, text, file, line);
}

vaddr_t user_alloc(size_t bytes)
{
	sword_t at = sys(SYS_mmap, 0, bytes, 3, 0x22, -1, 0);

	if (at < 0)
		panic("host: user memory: error %ld", -(long)at);
	return (vaddr_t)at;
}

/* Of the one space that runs tests; children have a copy at the same place. */
static vaddr_t text_page;

vaddr_t ustr(const char *text)
{
	static atomic32_t next;
	vaddr_t at;

	at = text_page + atomic32_fetch_add(&next, 1) % 16 * 256;
	user_put(at, text, strlen(text) + 1);
	return at;
}

u32 host_dice(u32 limit)
{
	u64 v = READ_ONCE(dice);

	v ^= v << 13;
	v ^= v >> 7;
	v ^= v << 17;
	WRITE_ONCE(dice, v);
	return (u32)((v >> 11) % limit);
}

u32 host_nr_cpus(void)
{
	return cpu_nr_online();
}

/* --- threads and processes --- */

struct start {
	s32 (*fn)(void *);
	void *arg;
};

static s32 thread_main(void *arg)
{
	struct start s = *(struct start *)arg;

	kfree(arg);
	s.fn(s.arg);
	atomic32_fetch_sub(&threads_left, 1);
	waitable_wake(&thread_ended, EV_ANY, 0);
	return 0;
}

/* CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
#define THREAD_FLAGS 0x50f00u
#define STACK_BYTES  16384u

void host_spawn(s32 (*fn)(void *), void *arg)
{
	struct start *s = kmalloc(sizeof(*s));
	vaddr_t stack = user_alloc(STACK_BYTES);
	sword_t r;

	*s = (struct start){fn, arg};
	atomic32_fetch_add(&threads_left, 1);
	r = host_clone(THREAD_FLAGS, stack + STACK_BYTES, 0, 0, thread_main, s);
	if (r < 0)
		panic("host: clone: error %ld", -(long)r);
}

void host_join(void)
{
	(void)wait_event(&thread_ended, EV_ANY, atomic32_load(&threads_left) == 0, 0);
}

sword_t host_child(s32 (*fn)(void *), void *arg)
{
	return host_clone(SIGCHLD, 0, 0, 0, fn, arg);
}

s32 host_reap(sword_t pid)
{
	vaddr_t status = user_alloc(PAGE_BYTES);
	sword_t r = sys(SYS_wait4, pid, status, 0, 0);
	s32 v = -1;

	if (CHECK_EQ(r, pid))
		v = (s32)user_u32(status);
	sys(SYS_munmap, status, PAGE_BYTES);
	return v;
}

/* --- running --- */

static bool wanted(const struct host_test *t)
{
	if (t->needs_disk && !os_config.disk_bytes)
		return false;
	if (!boot_parameters.nr_user)
		return !t->planted;
	for (u32 i = 0; i < boot_parameters.nr_user; i++) {
		const char *w = boot_parameters.user[i];
		size_t n = strlen(w);

		if (!strcmp(w, t->name) ||
			(!t->planted && n && w[n - 1] == '*' && !strncmp(w, t->name, n - 1)))
			return true;
	}
	return false;
}

/* For run.py: where the modules lie, whose addresses a sanitizer cannot resolve. */
static void modules_print(void)
{
	char line[128];

	for (struct module *m = module_next(nullptr); m; m = module_next(m)) {
		int n = snprintf(line, sizeof(line), "module %s: text %#lx-%#lx\n", m->name,
			(unsigned long)m->text, (unsigned long)m->text_end);

		os_write(2, line, (size_t)n);
	}
}

void arch_test_main(void)
{
	u32 number = 0;

	modules_print();
	waitable_init(&thread_ended);
	host_user_start();
	text_page = user_alloc(PAGE_BYTES); /* before there are threads */
	if (os_config.disk_bytes)
		host_disk_start();
	for (const struct host_test *t = __start_host_tests; t < __stop_host_tests; t++) {
		u32 failed = atomic32_load(&nr_failed), checks = atomic32_load(&nr_checks);

		if (!wanted(t))
			continue;
		running = t->name;
		dice = os_config.seed * 0x9e3779b97f4a7c15ull + 1;
		t->run();
		failed = atomic32_load(&nr_failed) - failed;
		checks = atomic32_load(&nr_checks) - checks;
		if (!checks)
			atomic32_fetch_add(&nr_failed, 1);
		say("%sok %u - %s: %u checks at %lld us\n", failed || !checks ? "not " : "",
			++number, t->name, checks, (long long)(os_now() / 1000));
	}
	say("1..%u\n", number);
	os_exit(number && !atomic32_load(&nr_failed) ? 0 : 1);
}

/* Every CPU idles and no timer is set, or nothing but core's own timers has run for an hour. */
void kernel_stuck(void)
{
	struct task *t;
	char line[256];

	say("Bail out! %s hangs: all CPUs are idle, and nothing wakes them\n", running);
	list_for_each_entry (t, &task_init->group->threads, in_group)
		if (call_describe_wait(t, line, sizeof(line)) > 0)
			say("# %s waits: %s\n", t->comm, line);
	os_exit(1);
}
