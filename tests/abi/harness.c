/*
 * harness.c: the helpers that cases share, and the helper programs that they execute.
 *
 * Purpose: keep cases short without hiding the call under test. Helpers use few and old calls,
 * so that a young kernel can run the first families.
 *
 * Failure: every helper ends the case as failed when something goes wrong that it cannot report.
 */
#define ABI_FAMILY "harness"
#include "abi.h"
#include <stdarg.h>

char abi_self[PATH_MAX];

[[gnu::format(printf, 1, 2)]] static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 1)
		length = sizeof(line) - 1;
	/* Nothing can be done about a message that does not arrive: the exit status tells. */
	(void)SYS(write, STDERR_FILENO, line, length);
}

void abi_fail(const char *file, int line, const char *what, long got, long want)
{
	const char *base = strrchr(file, '/');

	if (got < 0 && got > -4096)
		say("# %s:%d: %s: got -%s, want %ld\n", base ? base + 1 : file, line, what,
			strerrorname_np((int)-got) ? strerrorname_np((int)-got) : "?", want);
	else
		say("# %s:%d: %s: got %ld, want %ld\n", base ? base + 1 : file, line, what, got,
			want);
	_exit(1);
}

void abi_skip(const char *why)
{
	say("# skip: %s\n", why);
	_exit(77);
}

long abi_fork(void)
{
	return SYS(clone, SIGCHLD);
}

int abi_wait(long pid)
{
	int status = 0;
	long got;

	do
		got = SYS(wait4, pid, &status, 0, NULL);
	while (got == -EINTR);
	EQ(got, pid);
	return status;
}

void abi_wait_ok(long pid, const char *file, int line)
{
	int status = abi_wait(pid);

	if (status != 0)
		abi_fail(file, line, "wait status of the child", status, 0);
}

void abi_file(const char *name, const char *text)
{
	long fd = OK(SYS(openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	EQ(SYS(write, fd, text, strlen(text)), strlen(text));
	OK(SYS(close, fd));
}

long abi_slurp(const char *name, char *buf, size_t size)
{
	long fd = SYS(openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
	size_t have = 0;
	long got = 1;

	if (fd < 0)
		return fd;
	while (have < size - 1 && got > 0) {
		got = SYS(read, fd, buf + have, size - 1 - have);
		if (got > 0)
			have += (size_t)got;
	}
	buf[have] = '\0';
	SYS(close, fd);
	return got < 0 ? got : (long)have;
}

void abi_sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (SYS(nanosleep, &ts, &ts) == -EINTR)
		;
}

volatile long abi_last_words_fd = -1;

void *abi_last_words(void *times)
{
	for (long i = 0; i < (long)times; i++) {
		long fd;

		while ((fd = abi_last_words_fd) < 0)
			SYS(sched_yield);
		abi_last_words_fd = -1;
		EQ(SYS(write, fd, "x", 1), 1);
		OK(SYS(close, fd));
	}
	return NULL;
}

long abi_now_ms(void)
{
	struct timespec ts = {};

	OK(SYS(clock_gettime, CLOCK_MONOTONIC, &ts));
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void abi_await_state(long pid, char state)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	for (int i = 0; i < 400; i++) {
		long got = abi_slurp(path, text, sizeof(text));
		char *end;

		/* A kernel without /proc (yet): a pause is nearly always as good. */
		if (got == -ENOENT && SYS(kill, pid, 0) == 0 &&
			SYS(faccessat, AT_FDCWD, "/proc/self", F_OK) < 0) {
			abi_sleep_ms(200);
			return;
		}
		OK(got);
		end = strrchr(text, ')');
		T(end != NULL);
		if (end[2] == state)
			return;
		abi_sleep_ms(5);
	}
	abi_fail(__FILE__, __LINE__, "task never reached the awaited state", text[0], state);
}

void abi_handler(int sig, void (*fn)(int), int flags)
{
	struct sigaction act = {.sa_handler = fn, .sa_flags = flags};

	T(sigaction(sig, &act, NULL) == 0);
}

static void mask_one(int how, int sig)
{
	uint64_t set = 1ull << (sig - 1);

	OK(SYS(rt_sigprocmask, how, &set, NULL, sizeof(set)));
}

void abi_block(int sig)
{
	mask_one(SIG_BLOCK, sig);
}

void abi_unblock(int sig)
{
	mask_one(SIG_UNBLOCK, sig);
}

/* Prints what a program sees of argv, envp: one line each. */
static int helper_args(int argc, char **argv, char **envp)
{
	for (int i = 0; i < argc; i++)
		printf("arg %s\n", argv[i]);
	for (int i = 0; envp[i]; i++)
		printf("env %s\n", envp[i]);
	return 0;
}

/* Prints the open descriptors below 64. */
static int helper_fds(void)
{
	for (int fd = 0; fd < 64; fd++)
		if (SYS(fcntl, fd, F_GETFD) >= 0)
			printf("%d ", fd);
	return 0;
}

/* Prints blocked and ignored signals below 32 and the pending ones. */
static int helper_signals(void)
{
	uint64_t blocked = 0, pending = 0;

	SYS(rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	SYS(rt_sigpending, &pending, 8);
	for (int sig = 1; sig < 32; sig++) {
		struct sigaction act;

		if (blocked >> (sig - 1) & 1)
			printf("blocked %d ", sig);
		if (pending >> (sig - 1) & 1)
			printf("pending %d ", sig);
		if (sigaction(sig, NULL, &act) == 0 && act.sa_handler == SIG_IGN)
			printf("ignored %d ", sig);
	}
	return 0;
}

int abi_helper(int argc, char **argv, char **envp)
{
	const char *what = argc > 0 ? argv[0] : "";

	if (strcmp(what, "args") == 0)
		return helper_args(argc, argv, envp);
	if (strcmp(what, "fds") == 0)
		return helper_fds();
	if (strcmp(what, "signals") == 0)
		return helper_signals();
	if (strcmp(what, "exit") == 0 && argc > 1)
		return atoi(argv[1]);
	if (strcmp(what, "ids") == 0) {
		printf("%d %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(),
			(int)getegid());
		return 0;
	}
	if (strcmp(what, "sleep") == 0) {
		abi_sleep_ms(argc > 1 ? atoi(argv[1]) : 1000);
		return 0;
	}
	return 127;
}
