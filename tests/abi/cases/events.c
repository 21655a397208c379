/* events.c: eventfd, timerfd, signalfd, inotify. */
#define ABI_FAMILY "events"
#include "../abi.h"
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static short ready(long fd, short want)
{
	struct pollfd p = {.fd = (int)fd, .events = want};
	struct timespec now = {};

	OK(SYS(ppoll, &p, 1, &now, NULL, 8));
	return p.revents;
}

CASE(eventfd_counter, "eventfd2:EFD_NONBLOCK", "eventfd2:EFD_CLOEXEC", "read:eventfd",
	"write:eventfd", "eventfd2:EINVAL", "read:EAGAIN", "write:EAGAIN", "write:EINVAL",
	"read:EINVAL")
{
	uint64_t v = 0;
	long fd = OK(SYS(eventfd2, 3, EFD_NONBLOCK | EFD_CLOEXEC));

	EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
	EQ(SYS(read, fd, &v, 8), 8);
	EQ(v, 3);
	ERR(SYS(read, fd, &v, 8), EAGAIN);
	EQ(ready(fd, POLLIN | POLLOUT), POLLOUT);
	v = 5;
	EQ(SYS(write, fd, &v, 8), 8);
	EQ(SYS(write, fd, &v, 8), 8);
	EQ(ready(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	ERR(SYS(read, fd, &v, 4), EINVAL);
	ERR(SYS(write, fd, &v, 4), EINVAL);
	EQ(SYS(read, fd, &v, 8), 8);
	EQ(v, 10);
	v = UINT64_MAX;
	ERR(SYS(write, fd, &v, 8), EINVAL);
	v = UINT64_MAX - 1;
	EQ(SYS(write, fd, &v, 8), 8);
	EQ(ready(fd, POLLIN | POLLOUT), POLLIN);
	v = 1;
	ERR(SYS(write, fd, &v, 8), EAGAIN);
	ERR(SYS(eventfd2, 0, 0x40000000), EINVAL);
}

CASE(eventfd_semaphore, "eventfd2:EFD_SEMAPHORE", "read:blocks on eventfd")
{
	uint64_t v = 0;
	long fd = OK(SYS(eventfd2, 2, EFD_SEMAPHORE)), pid;

	EQ(SYS(read, fd, &v, 8), 8);
	EQ(v, 1);
	EQ(SYS(read, fd, &v, 8), 8);
	EQ(v, 1);
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(SYS(read, fd, &v, 8), 8); /* blocks on eventfd */
		_exit((int)v);
	}
	abi_await_state(pid, 'S');
	v = 2;
	EQ(SYS(write, fd, &v, 8), 8);
	EQ(abi_wait(pid), 1 << 8);
	EQ(ready(fd, POLLIN), POLLIN);
}

CASE(timerfd, "timerfd_create:CLOCK_MONOTONIC", "timerfd_create:TFD_NONBLOCK",
	"timerfd_settime:interval", "timerfd_gettime:rest", "read:expirations",
	"timerfd_create:TFD_CLOEXEC", "read:EAGAIN", "timerfd_settime:disarm")
{
	struct itimerspec its = {.it_value = {0, 20000000}, .it_interval = {0, 20000000}}, old;
	uint64_t n = 0;
	long fd = OK(SYS(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));

	EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
	ERR(SYS(read, fd, &n, 8), EAGAIN);
	OK(SYS(timerfd_settime, fd, 0, &its, NULL)); /* interval */
	EQ(ready(fd, POLLIN), 0);
	OK(SYS(timerfd_gettime, fd, &old)); /* rest */
	T(old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20000000);
	EQ(old.it_interval.tv_nsec, 20000000);
	abi_sleep_ms(110);
	EQ(ready(fd, POLLIN), POLLIN);
	EQ(SYS(read, fd, &n, 8), 8);
	T(n >= 5 && n < 1000); /* expirations */
	its = (struct itimerspec){};
	OK(SYS(timerfd_settime, fd, 0, &its, &old)); /* disarm */
	EQ(old.it_interval.tv_nsec, 20000000);
	OK(SYS(timerfd_gettime, fd, &old));
	T(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
	abi_sleep_ms(30);
	ERR(SYS(read, fd, &n, 8), EAGAIN);
}

CASE(timerfd_absolute, "timerfd_settime:TFD_TIMER_ABSTIME", "timerfd_create:CLOCK_REALTIME",
	"read:blocks on timerfd", "timerfd_create:CLOCK_BOOTTIME")
{
	static const int clocks[] = {CLOCK_REALTIME, CLOCK_BOOTTIME};
	struct itimerspec its = {};
	uint64_t n = 0;

	for (int i = 0; i < 2; i++) {
		long fd = OK(SYS(timerfd_create, clocks[i], 0)), t = abi_now_ms();

		OK(SYS(clock_gettime, clocks[i], &its.it_value));
		its.it_value.tv_nsec += 50000000;
		if (its.it_value.tv_nsec >= 1000000000) {
			its.it_value.tv_nsec -= 1000000000;
			its.it_value.tv_sec++;
		}
		OK(SYS(timerfd_settime, fd, TFD_TIMER_ABSTIME, &its, NULL));
		EQ(SYS(read, fd, &n, 8), 8); /* blocks on timerfd */
		EQ(n, 1);
		T(abi_now_ms() - t >= 45);
		/* What is past expires at once. */
		its.it_value = (struct timespec){0, 1};
		OK(SYS(timerfd_settime, fd, TFD_TIMER_ABSTIME, &its, NULL));
		EQ(SYS(read, fd, &n, 8), 8);
	}
}

CASE(timerfd_errors, "timerfd_create:EINVAL", "timerfd_settime:EINVAL", "timerfd_settime:EBADF",
	"read:EINVAL", "timerfd_settime:EFAULT", "timerfd_gettime:EBADF")
{
	struct itimerspec its = {.it_value = {0, 1000000000}};
	uint64_t n;
	long fd = OK(SYS(timerfd_create, CLOCK_MONOTONIC, 0));

	ERR(SYS(timerfd_create, 99, 0), EINVAL);
	ERR(SYS(timerfd_create, CLOCK_MONOTONIC, 1), EINVAL);
	ERR(SYS(timerfd_settime, fd, 0, &its, NULL), EINVAL);
	its.it_value.tv_nsec = 1;
	ERR(SYS(timerfd_settime, fd, 0x100, &its, NULL), EINVAL);
	ERR(SYS(timerfd_settime, 999, 0, &its, NULL), EBADF);
	ERR(SYS(timerfd_settime, 0, 0, &its, NULL), EINVAL);
	ERR(SYS(timerfd_settime, fd, 0, (void *)-4096L, NULL), EFAULT);
	ERR(SYS(timerfd_gettime, 999, &its), EBADF);
	OK(SYS(timerfd_settime, fd, 0, &its, NULL));
	ERR(SYS(read, fd, &n, 4), EINVAL);
}

CASE(signalfd, "signalfd4:SFD_NONBLOCK", "signalfd4:SFD_CLOEXEC", "read:signalfd",
	"signalfd4:changes mask", "signalfd4:EINVAL", "read:EAGAIN", "signalfd4:EBADF")
{
	struct signalfd_siginfo info[3];
	uint64_t usr1 = 1ull << (SIGUSR1 - 1), usr2 = 1ull << (SIGUSR2 - 1);
	long fd, me = SYS(getpid);

	abi_block(SIGUSR1);
	abi_block(SIGUSR2);
	fd = OK(SYS(signalfd4, -1, &usr1, 8, SFD_NONBLOCK | SFD_CLOEXEC));
	EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
	ERR(SYS(read, fd, info, sizeof(info)), EAGAIN);
	OK(SYS(kill, me, SIGUSR2));
	EQ(ready(fd, POLLIN), 0);
	OK(SYS(kill, me, SIGUSR1));
	EQ(ready(fd, POLLIN), POLLIN);
	EQ(SYS(read, fd, info, sizeof(info)), sizeof(info[0]));
	EQ(sizeof(info[0]), 128);
	T(info[0].ssi_signo == SIGUSR1 && info[0].ssi_pid == (uint32_t)me &&
		info[0].ssi_code == SI_USER);
	usr2 |= usr1;
	EQ(SYS(signalfd4, fd, &usr2, 8, 0), fd); /* changes mask */
	OK(SYS(kill, me, SIGUSR1));
	EQ(SYS(read, fd, info, sizeof(info)), 2 * sizeof(info[0]));
	ERR(SYS(read, fd, info, 64), EINVAL);
	ERR(SYS(signalfd4, -1, &usr1, 4, 0), EINVAL);
	ERR(SYS(signalfd4, -1, &usr1, 8, 1), EINVAL);
	ERR(SYS(signalfd4, 0, &usr1, 8, 0), EINVAL);
	ERR(SYS(signalfd4, 999, &usr1, 8, 0), EBADF);
}

CASE(inotify, "inotify_init1:IN_NONBLOCK", "inotify_add_watch:IN_CREATE",
	"inotify_add_watch:IN_MODIFY", "inotify_add_watch:IN_MOVED_FROM",
	"inotify_rm_watch:IN_IGNORED", "inotify_add_watch:ENOENT", "inotify_rm_watch:EINVAL",
	"inotify_init1:EINVAL", "inotify_add_watch:EBADF", "read:inotify")
{
	char buf[4096];
	uint32_t all = 0;
	long fd = OK(SYS(inotify_init1, IN_NONBLOCK | IN_CLOEXEC)), wd, got;

	wd = OK(SYS(inotify_add_watch, fd, ".",
		IN_CREATE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE));
	ERR(SYS(read, fd, buf, sizeof(buf)), EAGAIN);
	abi_file("f", "x");
	OK(SYS(renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 0));
	OK(SYS(unlinkat, AT_FDCWD, "g", 0));
	OK(SYS(inotify_rm_watch, fd, wd));
	got = OK(SYS(read, fd, buf, sizeof(buf)));
	for (long at = 0; at < got;) {
		struct inotify_event *e = (void *)(buf + at);

		EQ(e->wd, wd);
		all |= e->mask;
		at += (long)(sizeof(*e) + e->len);
	}
	EQ(all, IN_CREATE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_IGNORED);
	ERR(SYS(inotify_add_watch, fd, "gone", IN_CREATE), ENOENT);
	ERR(SYS(inotify_add_watch, 999, ".", IN_CREATE), EBADF);
	ERR(SYS(inotify_rm_watch, fd, 999), EINVAL);
	ERR(SYS(inotify_init1, 1), EINVAL);
}
