/* poll.c: poll, select and epoll. */
#define ABI_FAMILY "poll"
#include "../abi.h"
#include <sys/epoll.h>
#include <sys/select.h>

static int ends[2];

static void make_pipe(void)
{
	OK(SYS(pipe2, ends, O_NONBLOCK));
}

static void put(int n)
{
	char buf[64] = "";

	EQ(SYS(write, ends[1], buf, n), n);
}

static volatile sig_atomic_t nr_seen;

static void count(int sig)
{
	(void)sig;
	nr_seen = nr_seen + 1;
}

static long watch(long ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return SYS(epoll_ctl, ep, op, fd, &e);
}

static long gather(long ep, struct epoll_event *out, int max, int timeout_ms)
{
	return SYS(epoll_pwait, ep, out, max, timeout_ms, NULL, 8);
}

CASE(ppoll_timeout, "ppoll:expires", "ppoll:EINVAL", "ppoll:EFAULT", "ppoll:writes rest of time")
{
	struct timespec ts = {0, 60000000}, bad = {0, 1000000000};
	struct pollfd p = {.events = POLLIN};
	long t;

	make_pipe();
	p.fd = ends[0];
	t = abi_now_ms();
	EQ(SYS(ppoll, &p, 1, &ts, NULL, 8), 0); /* expires */
	t = abi_now_ms() - t;
	T(t >= 59 && t < 5000);
	T(ts.tv_sec == 0 && ts.tv_nsec == 0); /* writes rest of time */
	ERR(SYS(ppoll, &p, 1, &bad, NULL, 8), EINVAL);
	ERR(SYS(ppoll, &p, 1, NULL, &ts, 5), EINVAL);
	ERR(SYS(ppoll, (void *)-4096L, 1, &ts, NULL, 8), EFAULT);
}

CASE(ppoll_limits, "ppoll:EINVAL", "prlimit64:RLIMIT_NOFILE", "ppoll:no descriptors")
{
	struct {
		uint64_t soft, hard;
	} limit = {10, 10};
	static struct pollfd p[11];
	struct timespec ts = {};

	OK(SYS(prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
	for (int i = 0; i < 11; i++)
		p[i].fd = -1;
	ERR(SYS(ppoll, p, 11, &ts, NULL, 8), EINVAL);
	EQ(SYS(ppoll, p, 10, &ts, NULL, 8), 0);
	EQ(SYS(ppoll, NULL, 0, &ts, NULL, 8), 0); /* no descriptors */
}

CASE(ppoll_mask, "ppoll:signal mask", "ppoll:EINTR")
{
	uint64_t none = 0;

	abi_handler(SIGUSR1, count, 0);
	abi_block(SIGUSR1);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 0);
	ERR(SYS(ppoll, NULL, 0, NULL, &none, 8), EINTR); /* signal mask: taken only within */
	EQ(nr_seen, 1);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 1);
}

CASE(ppoll_wakes, "ppoll:wakes on write", "ppoll:regular files ready", "ppoll:POLLRDNORM")
{
	struct pollfd p = {.events = POLLIN | POLLRDNORM};
	long fd, pid;

	make_pipe();
	p.fd = ends[0];
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(SYS(ppoll, &p, 1, NULL, NULL, 8), 1); /* wakes on write */
		EQ(p.revents, POLLIN | POLLRDNORM);
		_exit(0);
	}
	abi_await_state(pid, 'S');
	put(1);
	EQ(abi_wait(pid), 0);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	p = (struct pollfd){.fd = (int)fd, .events = POLLIN | POLLOUT | POLLPRI};
	EQ(SYS(ppoll, &p, 1, NULL, NULL, 8), 1); /* regular files ready */
	EQ(p.revents, POLLIN | POLLOUT);
}

CASE(pselect, "pselect6:sets", "pselect6:expires", "pselect6:EBADF", "pselect6:EINVAL",
	"pselect6:EINTR", "pselect6:signal mask")
{
	struct timespec ts = {};
	uint64_t none = 0;
	struct {
		const void *set;
		size_t size;
	} mask = {&none, 8};
	fd_set in, out;

	make_pipe();
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(ends[0], &in);
	FD_SET(ends[1], &out);
	EQ(SYS(pselect6, ends[1] + 1, &in, &out, NULL, &ts, NULL), 1); /* sets */
	T(!FD_ISSET(ends[0], &in) && FD_ISSET(ends[1], &out));
	put(1);
	FD_SET(ends[0], &in);
	EQ(SYS(pselect6, ends[1] + 1, &in, &out, NULL, NULL, NULL), 2);
	FD_ZERO(&in);
	ts.tv_nsec = 30000000;
	EQ(SYS(pselect6, 0, NULL, NULL, NULL, &ts, NULL), 0); /* expires */
	FD_SET(40, &in);
	ERR(SYS(pselect6, 41, &in, NULL, NULL, &ts, NULL), EBADF);
	ERR(SYS(pselect6, -1, NULL, NULL, NULL, &ts, NULL), EINVAL);
	ts.tv_nsec = -1;
	ERR(SYS(pselect6, 0, NULL, NULL, NULL, &ts, NULL), EINVAL);
	abi_handler(SIGUSR1, count, 0);
	abi_block(SIGUSR1);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	ERR(SYS(pselect6, 0, NULL, NULL, NULL, NULL, &mask), EINTR); /* signal mask */
	EQ(nr_seen, 1);
}

CASE(epoll_basic, "epoll_create1:EPOLL_CLOEXEC", "epoll_ctl:EPOLL_CTL_ADD",
	"epoll_ctl:EPOLL_CTL_MOD", "epoll_ctl:EPOLL_CTL_DEL", "epoll_pwait:level",
	"epoll_create1:EINVAL", "epoll_pwait:EPOLLIN")
{
	struct epoll_event e[4];
	long ep = OK(SYS(epoll_create1, EPOLL_CLOEXEC));

	EQ(SYS(fcntl, ep, F_GETFD), FD_CLOEXEC);
	ERR(SYS(epoll_create1, 1), EINVAL);
	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, 42));
	EQ(gather(ep, e, 4, 0), 0);
	put(2);
	EQ(gather(ep, e, 4, -1), 1);
	T(e[0].data.u64 == 42 && e[0].events == EPOLLIN);
	EQ(gather(ep, e, 4, 0), 1); /* level: still ready */
	OK(watch(ep, EPOLL_CTL_MOD, ends[0], EPOLLPRI, 43));
	EQ(gather(ep, e, 4, 0), 0);
	OK(watch(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN, 44));
	EQ(gather(ep, e, 4, 0), 1);
	EQ(e[0].data.u64, 44);
	OK(watch(ep, EPOLL_CTL_DEL, ends[0], 0, 0));
	EQ(gather(ep, e, 4, 0), 0);
}

CASE(epoll_errors, "epoll_ctl:EEXIST", "epoll_ctl:ENOENT", "epoll_ctl:EBADF", "epoll_ctl:EINVAL",
	"epoll_ctl:EPERM", "epoll_pwait:EINVAL", "epoll_pwait:EBADF", "epoll_pwait:EFAULT",
	"epoll_ctl:EFAULT")
{
	struct epoll_event e[1];
	long ep = OK(SYS(epoll_create1, 0)), fd;

	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0));
	ERR(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0), EEXIST);
	ERR(watch(ep, EPOLL_CTL_MOD, ends[1], EPOLLIN, 0), ENOENT);
	ERR(watch(ep, EPOLL_CTL_DEL, ends[1], EPOLLIN, 0), ENOENT);
	ERR(watch(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 0), EBADF);
	ERR(watch(999, EPOLL_CTL_ADD, ends[1], EPOLLIN, 0), EBADF);
	ERR(watch(ep, EPOLL_CTL_ADD, (int)ep, EPOLLIN, 0), EINVAL);
	ERR(watch(ends[0], EPOLL_CTL_ADD, ends[1], EPOLLIN, 0), EINVAL);
	ERR(watch(ep, 77, ends[1], EPOLLIN, 0), EINVAL);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	ERR(watch(ep, EPOLL_CTL_ADD, (int)fd, EPOLLIN, 0), EPERM);
	ERR(SYS(epoll_ctl, ep, EPOLL_CTL_ADD, ends[1], (void *)-4096L), EFAULT);
	ERR(gather(ep, e, 0, 0), EINVAL);
	ERR(gather(ep, e, -1, 0), EINVAL);
	ERR(gather(999, e, 1, 0), EBADF);
	ERR(gather(ends[0], e, 1, 0), EINVAL);
	put(1);
	ERR(SYS(epoll_pwait, ep, (void *)-4096L, 1, 0, NULL, 8), EFAULT);
}

CASE(epoll_edge, "epoll_ctl:EPOLLET", "epoll_ctl:EPOLLONESHOT", "epoll_pwait:edge")
{
	struct epoll_event e[4];
	char buf[8];
	long ep = OK(SYS(epoll_create1, 0));

	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1));
	put(4);
	EQ(gather(ep, e, 4, 0), 1); /* edge: once for each arrival */
	EQ(gather(ep, e, 4, 0), 0);
	EQ(SYS(read, ends[0], buf, 1), 1);
	EQ(gather(ep, e, 4, 0), 0);
	put(1);
	EQ(gather(ep, e, 4, 0), 1);
	OK(watch(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 2));
	EQ(gather(ep, e, 4, 0), 1);
	put(1);
	EQ(gather(ep, e, 4, 0), 0);
	OK(watch(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 3));
	EQ(gather(ep, e, 4, 0), 1);
	EQ(e[0].data.u64, 3);
}

CASE(epoll_exclusive, "epoll_ctl:EPOLLEXCLUSIVE", "epoll_ctl:EINVAL", "epoll_pwait:exclusive wake")
{
	struct epoll_event e[1];
	int woken = 0;
	long pids[3], ep;

	make_pipe();
	ep = OK(SYS(epoll_create1, 0));
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLEXCLUSIVE, 0));
	ERR(watch(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN, 0), EINVAL);
	ERR(watch(ep, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 0), EINVAL);
	for (int i = 0; i < 3; i++) {
		pids[i] = OK(abi_fork());
		if (pids[i] == 0) {
			long mine = OK(SYS(epoll_create1, 0));

			OK(watch(mine, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLET,
				0));
			_exit(gather(mine, e, 1, 600) == 1 ? 1 : 0);
		}
	}
	for (int i = 0; i < 3; i++)
		abi_await_state(pids[i], 'S');
	put(1);
	for (int i = 0; i < 3; i++)
		woken += WEXITSTATUS(abi_wait(pids[i]));
	T(woken >= 1 && woken <= 3); /* exclusive wake: at least one, and never none */
}

CASE(epoll_hup, "epoll_pwait:EPOLLHUP", "epoll_pwait:EPOLLERR", "epoll_pwait:EPOLLRDHUP")
{
	struct epoll_event e[2];
	long ep = OK(SYS(epoll_create1, 0));
	int sock[2];

	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], 0, 1));
	OK(SYS(close, ends[1]));
	EQ(gather(ep, e, 2, 0), 1);
	EQ(e[0].events, EPOLLHUP);
	ep = OK(SYS(epoll_create1, 0));
	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 1));
	OK(SYS(close, ends[0]));
	EQ(gather(ep, e, 2, 0), 1);
	EQ(e[0].events, EPOLLOUT | EPOLLERR);
	OK(SYS(socketpair, 1, 1, 0, sock));
	ep = OK(SYS(epoll_create1, 0));
	OK(watch(ep, EPOLL_CTL_ADD, sock[0], EPOLLIN | EPOLLRDHUP, 1));
	OK(SYS(close, sock[1]));
	EQ(gather(ep, e, 2, 0), 1);
	EQ(e[0].events, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

CASE(epoll_close, "close:leaves epoll", "epoll_pwait:duplicate keeps")
{
	struct epoll_event e[2];
	long ep = OK(SYS(epoll_create1, 0)), copy;

	make_pipe();
	OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, 7));
	copy = OK(SYS(dup, ends[0]));
	put(1);
	OK(SYS(close, ends[0]));
	EQ(gather(ep, e, 2, 0), 1); /* duplicate keeps: the open file counts */
	EQ(e[0].data.u64, 7);
	OK(SYS(close, copy)); /* leaves epoll */
	EQ(gather(ep, e, 2, 0), 0);
}

CASE(epoll_nested, "epoll_ctl:ELOOP", "epoll_pwait:nested", "ppoll:epoll descriptor")
{
	struct timespec now = {};
	struct epoll_event e[2];
	struct pollfd p;
	long a = OK(SYS(epoll_create1, 0)), b = OK(SYS(epoll_create1, 0)), chain[7];

	make_pipe();
	OK(watch(a, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
	OK(watch(b, EPOLL_CTL_ADD, (int)a, EPOLLIN, 2));
	ERR(watch(a, EPOLL_CTL_ADD, (int)b, EPOLLIN, 3), ELOOP);
	EQ(gather(b, e, 2, 0), 0);
	put(1);
	EQ(gather(b, e, 2, 0), 1); /* nested */
	EQ(e[0].data.u64, 2);
	p = (struct pollfd){.fd = (int)b, .events = POLLIN};
	EQ(SYS(ppoll, &p, 1, &now, NULL, 8), 1);
	EQ(p.revents, POLLIN);
	chain[0] = OK(SYS(epoll_create1, 0));
	for (int i = 1; i < 7; i++) {
		long got;

		chain[i] = OK(SYS(epoll_create1, 0));
		got = watch(chain[i], EPOLL_CTL_ADD, (int)chain[i - 1], EPOLLIN, 0);
		if (i < 5)
			OK(got);
		else
			EQ(got < 0, 1);
		if (got < 0)
			break;
	}
}

CASE(epoll_pwait_mask, "epoll_pwait:EINTR", "epoll_pwait:signal mask", "epoll_pwait2:expires",
	"epoll_pwait2:EINVAL")
{
	struct timespec ts = {0, 20000000}, bad = {0, -1};
	struct epoll_event e[1];
	uint64_t none = 0;
	long ep = OK(SYS(epoll_create1, 0)), t;

	abi_handler(SIGUSR1, count, SA_RESTART);
	abi_block(SIGUSR1);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	ERR(SYS(epoll_pwait, ep, e, 1, -1, &none, 8), EINTR); /* signal mask; never restarted */
	EQ(nr_seen, 1);
	t = abi_now_ms();
	EQ(SYS(epoll_pwait2, ep, e, 1, &ts, NULL, 8), 0); /* expires */
	T(abi_now_ms() - t >= 19);
	ERR(SYS(epoll_pwait2, ep, e, 1, &bad, NULL, 8), EINVAL);
}

CASE(epoll_maxevents, "epoll_pwait:round robin", "epoll_ctl:many")
{
	struct epoll_event e[4];
	bool seen[10] = {};
	long ep = OK(SYS(epoll_create1, 0));

	for (int i = 0; i < 10; i++) {
		make_pipe();
		put(1);
		OK(watch(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, (uint64_t)i)); /* many */
	}
	for (int round = 0; round < 5; round++) {
		long got = OK(gather(ep, e, 4, 0));

		EQ(got, 4);
		for (long i = 0; i < got; i++)
			seen[e[i].data.u64] = true;
	}
	for (int i = 0; i < 10; i++)
		T(seen[i]); /* round robin: none starves */
}
