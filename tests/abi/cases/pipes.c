/* pipes.c: pipes and FIFOs: blocking, atomic writes, ends that go away. */
#define ABI_FAMILY "pipes"
#include "../abi.h"

static int ends[2];

static void make_pipe(int flags)
{
	OK(SYS(pipe2, ends, flags));
}

static volatile sig_atomic_t nr_seen;

static void count(int sig)
{
	(void)sig;
	nr_seen = nr_seen + 1;
}

CASE(basic, "pipe2:ends", "read:pipe", "write:pipe", "pipe2:EINVAL", "read:end of pipe",
	"fstat:S_IFIFO")
{
	struct stat st;
	char buf[8];

	make_pipe(0);
	EQ(ends[1], ends[0] + 1); /* ends: read end first */
	ERR(SYS(read, ends[1], buf, 1), EBADF);
	ERR(SYS(write, ends[0], buf, 1), EBADF);
	EQ(SYS(write, ends[1], "abc", 3), 3);
	EQ(SYS(read, ends[0], buf, 2), 2);
	EQ(SYS(read, ends[0], buf, 8), 1);
	EQ(buf[0], 'c');
	OK(SYS(fstat, ends[0], &st));
	EQ(st.st_mode, S_IFIFO | 0600);
	OK(SYS(close, ends[1]));
	EQ(SYS(read, ends[0], buf, 8), 0); /* end of pipe */
	ERR(SYS(pipe2, ends, O_APPEND), EINVAL);
}

CASE(flags, "pipe2:O_CLOEXEC", "pipe2:O_NONBLOCK", "read:EAGAIN", "write:EAGAIN", "fcntl:F_GETFL")
{
	static char buf[65536];

	make_pipe(O_CLOEXEC | O_NONBLOCK);
	EQ(SYS(fcntl, ends[0], F_GETFD), FD_CLOEXEC);
	EQ(SYS(fcntl, ends[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	ERR(SYS(read, ends[0], buf, 1), EAGAIN);
	EQ(SYS(write, ends[1], buf, 65536), 65536);
	ERR(SYS(write, ends[1], buf, 1), EAGAIN);
	EQ(SYS(read, ends[0], buf, 4096), 4096);
	EQ(SYS(write, ends[1], buf, 4096), 4096);
}

CASE(sigpipe, "write:EPIPE", "write:SIGPIPE", "rt_sigaction:SIG_IGN", "writev:EPIPE")
{
	struct {
		const char *base;
		size_t len;
	} io = {"x", 1};
	int st;

	make_pipe(0);
	OK(SYS(close, ends[0]));
	IN_CHILD(&st)
	{
		SYS(write, ends[1], "x", 1);
	}
	T(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
	T(signal(SIGPIPE, SIG_IGN) == SIG_DFL);
	ERR(SYS(write, ends[1], "x", 1), EPIPE);
	ERR(SYS(writev, ends[1], &io, 1), EPIPE);
	EQ(SYS(write, ends[1], "x", 0), 0);
	abi_handler(SIGPIPE, count, 0);
	ERR(SYS(write, ends[1], "x", 1), EPIPE);
	EQ(nr_seen, 1);
}

CASE(blocking_read, "read:blocks", "close:wakes reader", "read:EINTR")
{
	long pid;
	char c;

	make_pipe(0);
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(close, ends[1]));
		abi_handler(SIGUSR1, count, 0);
		ERR(SYS(read, ends[0], &c, 1), EINTR);
		EQ(SYS(read, ends[0], &c, 1), 1); /* blocks until there is a byte */
		EQ(c, 'y');
		EQ(SYS(read, ends[0], &c, 1), 0);
		_exit(5);
	}
	abi_await_state(pid, 'S');
	abi_sleep_ms(30);
	OK(SYS(kill, pid, SIGUSR1));
	abi_sleep_ms(30);
	abi_await_state(pid, 'S');
	EQ(SYS(write, ends[1], "y", 1), 1);
	abi_sleep_ms(30);
	abi_await_state(pid, 'S');
	OK(SYS(close, ends[1])); /* wakes reader */
	EQ(abi_wait(pid), 5 << 8);
}

CASE(blocking_write, "write:blocks when full", "write:partial on signal", "write:EINTR")
{
	static char buf[65536 + 5000];
	long pid;
	int st;

	make_pipe(0);
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_handler(SIGUSR1, count, 0);
		EQ(SYS(write, ends[1], buf, sizeof(buf)), 65536); /* partial on signal */
		ERR(SYS(write, ends[1], buf, 10), EINTR);
		_exit(6);
	}
	abi_await_state(pid, 'S');
	abi_sleep_ms(30);
	OK(SYS(kill, pid, SIGUSR1));
	abi_sleep_ms(50);
	abi_await_state(pid, 'S'); /* blocks when full */
	OK(SYS(kill, pid, SIGUSR1));
	st = abi_wait(pid);
	EQ(st, 6 << 8);
}

CASE(big_transfer, "write:larger than pipe", "read:all bytes", "wait4:status")
{
	static unsigned char buf[300000];
	size_t have = 0;
	long pid, got;

	make_pipe(0);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7 + i / 1000);
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(close, ends[0]));
		EQ(SYS(write, ends[1], buf, sizeof(buf)), sizeof(buf));
		_exit(0);
	}
	OK(SYS(close, ends[1]));
	memset(buf, 0, sizeof(buf));
	while ((got = OK(SYS(read, ends[0], buf + have, sizeof(buf) - have ?: 1))) > 0)
		have += (size_t)got;
	EQ(have, sizeof(buf)); /* all bytes */
	for (size_t i = 0; i < sizeof(buf); i++)
		T(buf[i] == (unsigned char)(i * 7 + i / 1000));
	EQ(abi_wait(pid), 0);
}

CASE(atomic_writes, "write:PIPE_BUF atomic", "write:EAGAIN")
{
	static char buf[65536];
	int nr[4] = {};
	long pids[4];

	/* Without room for all of a write of at most PIPE_BUF bytes nothing is written. */
	make_pipe(O_NONBLOCK);
	EQ(SYS(write, ends[1], buf, 65536 - 4096 + 1), 65536 - 4096 + 1);
	EQ(SYS(write, ends[1], buf, 4095), 4095);
	ERR(SYS(write, ends[1], buf, 2), EAGAIN);
	/* Writers do not mix within such a write. */
	make_pipe(0);
	for (int w = 0; w < 4; w++) {
		pids[w] = OK(abi_fork());
		if (pids[w] == 0) {
			memset(buf, 'a' + w, 4096);
			for (int i = 0; i < 20; i++)
				EQ(SYS(write, ends[1], buf, 4096), 4096);
			_exit(0);
		}
	}
	OK(SYS(close, ends[1]));
	for (;;) {
		long have = 0, got = 1;

		while (have < 4096 && got > 0) {
			got = OK(SYS(read, ends[0], buf + have, 4096 - have));
			have += got;
		}
		if (have == 0)
			break;
		EQ(have, 4096);
		for (int i = 1; i < 4096; i++)
			T(buf[i] == buf[0]);
		nr[buf[0] - 'a']++;
	}
	for (int w = 0; w < 4; w++) {
		EQ(abi_wait(pids[w]), 0);
		EQ(nr[w], 20);
	}
}

CASE(poll_states, "ppoll:POLLIN", "ppoll:POLLOUT", "ppoll:POLLHUP", "ppoll:POLLERR",
	"ppoll:POLLNVAL")
{
	static char buf[65536];
	struct timespec now = {};
	struct pollfd p[2];

	make_pipe(O_NONBLOCK);
	p[0] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = ends[1], .events = POLLOUT};
	EQ(SYS(ppoll, p, 2, &now, NULL, 8), 1);
	T(p[0].revents == 0 && p[1].revents == POLLOUT);
	EQ(SYS(write, ends[1], buf, sizeof(buf)), sizeof(buf));
	EQ(SYS(ppoll, p, 2, &now, NULL, 8), 1);
	T(p[0].revents == POLLIN && p[1].revents == 0);
	OK(SYS(close, ends[1]));
	p[1].fd = -5;
	EQ(SYS(ppoll, p, 2, &now, NULL, 8), 1);
	T(p[0].revents == (POLLIN | POLLHUP) && p[1].revents == 0);
	make_pipe(0);
	OK(SYS(close, ends[0]));
	p[0] = (struct pollfd){.fd = ends[1], .events = POLLOUT};
	EQ(SYS(ppoll, p, 1, &now, NULL, 8), 1);
	EQ(p[0].revents, POLLOUT | POLLERR);
	p[0].fd = 999;
	EQ(SYS(ppoll, p, 1, &now, NULL, 8), 1);
	EQ(p[0].revents, POLLNVAL);
}

CASE(fifo_open, "openat:waits for other end", "mknodat:S_IFIFO", "openat:O_NONBLOCK",
	"read:no writer", "openat:EINTR")
{
	long pid, fd;
	char c;

	OK(SYS(mknodat, AT_FDCWD, "p", S_IFIFO | 0600, 0));
	fd = OK(SYS(openat, AT_FDCWD, "p", O_RDONLY | O_NONBLOCK));
	EQ(SYS(read, fd, &c, 1), 0); /* no writer: end of file, not EAGAIN */
	OK(SYS(close, fd));
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_handler(SIGUSR1, count, 0);
		ERR(SYS(openat, AT_FDCWD, "p", O_WRONLY), EINTR);
		fd = OK(SYS(openat, AT_FDCWD, "p", O_WRONLY)); /* waits for other end */
		EQ(SYS(write, fd, "z", 1), 1);
		_exit(7);
	}
	abi_await_state(pid, 'S');
	abi_sleep_ms(30);
	OK(SYS(kill, pid, SIGUSR1));
	abi_sleep_ms(30);
	abi_await_state(pid, 'S');
	fd = OK(SYS(openat, AT_FDCWD, "p", O_RDONLY));
	EQ(SYS(read, fd, &c, 1), 1);
	EQ(c, 'z');
	EQ(SYS(read, fd, &c, 1), 0);
	EQ(abi_wait(pid), 7 << 8);
}

CASE(fifo_rdwr, "openat:O_RDWR", "read:EAGAIN", "fcntl:F_SETFL", "openat:second reader")
{
	long rw, rd;
	char c;

	/* make's job server opens its FIFO so. */
	OK(SYS(mknodat, AT_FDCWD, "p", S_IFIFO | 0600, 0));
	rw = OK(SYS(openat, AT_FDCWD, "p", O_RDWR));
	EQ(SYS(write, rw, "++", 2), 2);
	rd = OK(SYS(openat, AT_FDCWD, "p", O_RDONLY)); /* second reader */
	EQ(SYS(read, rd, &c, 1), 1);
	EQ(SYS(read, rw, &c, 1), 1);
	OK(SYS(fcntl, rd, F_SETFL, O_NONBLOCK));
	ERR(SYS(read, rd, &c, 1), EAGAIN); /* a writer exists: rw itself */
}

CASE(reopen_proc, "openat:/proc/self/fd of a pipe", "readlinkat:pipe name")
{
	char path[64], target[64] = "";
	long fd;

	make_pipe(0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	fd = OK(SYS(openat, AT_FDCWD, path, O_WRONLY));
	EQ(SYS(write, fd, "q", 1), 1);
	EQ(SYS(read, ends[0], target, 4), 1);
	OK(SYS(readlinkat, AT_FDCWD, path, target, sizeof(target) - 1));
	T(strncmp(target, "pipe:[", 6) == 0);
}

/* One end of a pair that wakes each other in turn: each goes to sleep at about the moment when the
 * other writes, a little earlier or later in each round. */
static void answer_each_other(int in, int out, unsigned seed, int rounds)
{
	char c = 0;

	for (int i = 0; i < rounds; i++) {
		EQ(SYS(write, out, &c, 1), 1);
		seed = seed * 1664525 + 1013904223;
		for (volatile unsigned spin = seed >> 22; spin; spin--)
			;
		EQ(SYS(read, in, &c, 1), 1);
	}
}

CASE(many_wakes, "read:no wake is lost", "write:wakes")
{
	int there[2], back[2];
	long pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = OK(abi_fork());
		if (pid[i])
			continue;
		OK(SYS(pipe2, there, 0));
		OK(SYS(pipe2, back, 0));
		pid[0] = OK(abi_fork());
		if (!pid[0]) {
			answer_each_other(there[0], back[1], 1, 3000);
			_exit(0);
		}
		answer_each_other(back[0], there[1], 2, 3000); /* wakes */
		abi_wait_ok(pid[0], __FILE__, __LINE__);       /* no wake is lost */
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		abi_wait_ok(pid[i], __FILE__, __LINE__);
}
