/* fdops.c: fcntl, ioctl, flock, record locks and ranges of descriptors. */
#define ABI_FAMILY "fdops"
#include "../abi.h"
#include <linux/close_range.h>
#include <linux/kcmp.h>
#include <sys/file.h>
#include <sys/ioctl.h>

/* What openat adds for every 64-bit program; libc hides the value. */
#if defined(__aarch64__)
#define KERNEL_LARGEFILE 0400000
#else
#define KERNEL_LARGEFILE 0100000
#endif

static struct flock lock_of(short type, long start, long len)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static long new_file(void)
{
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	EQ(SYS(pwrite64, fd, "0123456789", 10, 0), 10);
	return fd;
}

CASE(dupfd, "fcntl:F_DUPFD", "fcntl:F_DUPFD_CLOEXEC", "fcntl:EINVAL", "fcntl:EBADF")
{
	long fd = new_file();

	EQ(SYS(fcntl, fd, F_DUPFD, 100), 100);
	EQ(SYS(fcntl, fd, F_DUPFD, 100), 101);
	EQ(SYS(fcntl, 100, F_GETFD), 0);
	EQ(SYS(fcntl, fd, F_DUPFD_CLOEXEC, 100), 102);
	EQ(SYS(fcntl, 102, F_GETFD), FD_CLOEXEC);
	ERR(SYS(fcntl, fd, F_DUPFD, 1 << 30), EINVAL);
	ERR(SYS(fcntl, fd, F_DUPFD, -1), EINVAL);
	ERR(SYS(fcntl, 999, F_GETFD), EBADF);
	ERR(SYS(fcntl, fd, 4711), EINVAL);
}

CASE(status_flags, "fcntl:F_GETFL", "fcntl:F_SETFL", "fcntl:O_NONBLOCK", "fcntl:access mode kept")
{
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0600));
	long copy = OK(SYS(dup, fd));

	/* Creation flags and O_CLOEXEC are no status flags. */
	EQ(SYS(fcntl, fd, F_GETFL) & ~KERNEL_LARGEFILE, O_RDONLY);
	OK(SYS(fcntl, fd, F_SETFL, O_NONBLOCK | O_WRONLY));
	EQ(SYS(fcntl, copy, F_GETFL) & ~KERNEL_LARGEFILE,
		O_RDONLY | O_NONBLOCK); /* access mode kept; shared */
}

CASE(pipe_size, "fcntl:F_GETPIPE_SZ", "fcntl:F_SETPIPE_SZ", "fcntl:EBUSY")
{
	char buf[8192] = "";
	int fds[2];

	OK(SYS(pipe2, fds, 0));
	EQ(SYS(fcntl, fds[0], F_GETPIPE_SZ), 65536);
	EQ(SYS(fcntl, fds[0], F_SETPIPE_SZ, 1), 4096);
	EQ(SYS(fcntl, fds[1], F_GETPIPE_SZ), 4096);
	EQ(SYS(fcntl, fds[1], F_SETPIPE_SZ, 10000), 16384); /* a power of two of pages */
	EQ(SYS(write, fds[1], buf, 8192), 8192);
	ERR(SYS(fcntl, fds[1], F_SETPIPE_SZ, 4096), EBUSY);
	ERR(SYS(fcntl, new_file(), F_GETPIPE_SZ), EBADF);
}

CASE(owner, "fcntl:F_SETOWN", "fcntl:F_GETOWN", "fcntl:F_SETSIG", "fcntl:F_GETSIG", "fcntl:EINVAL")
{
	int fds[2];
	long me = SYS(getpid);

	OK(SYS(pipe2, fds, 0));
	EQ(SYS(fcntl, fds[0], F_GETOWN), 0);
	OK(SYS(fcntl, fds[0], F_SETOWN, me));
	EQ(SYS(fcntl, fds[0], F_GETOWN), me);
	OK(SYS(fcntl, fds[0], F_SETSIG, SIGUSR1));
	EQ(SYS(fcntl, fds[0], F_GETSIG), SIGUSR1);
	ERR(SYS(fcntl, fds[0], F_SETSIG, 1000), EINVAL);
}

CASE(close_range, "close_range:closes", "close_range:CLOSE_RANGE_CLOEXEC",
	"close_range:CLOSE_RANGE_UNSHARE", "close_range:EINVAL")
{
	long fd = new_file();

	EQ(SYS(dup3, fd, 20, 0), 20);
	EQ(SYS(dup3, fd, 21, 0), 21);
	EQ(SYS(dup3, fd, 30, 0), 30);
	OK(SYS(close_range, 20, 25, 0)); /* closes */
	ERR(SYS(fcntl, 20, F_GETFD), EBADF);
	ERR(SYS(fcntl, 21, F_GETFD), EBADF);
	OK(SYS(close_range, 26, ~0u, CLOSE_RANGE_CLOEXEC));
	EQ(SYS(fcntl, 30, F_GETFD), FD_CLOEXEC);
	OK(SYS(close_range, 30, 30, CLOSE_RANGE_UNSHARE));
	ERR(SYS(fcntl, 30, F_GETFD), EBADF);
	ERR(SYS(close_range, 30, 20, 0), EINVAL);
	ERR(SYS(close_range, 20, 30, 0x80), EINVAL);
}

CASE(fionread, "ioctl:FIONREAD", "ioctl:FIONBIO", "ioctl:FIOCLEX", "ioctl:FIONCLEX", "ioctl:ENOTTY",
	"ioctl:EBADF", "ioctl:EFAULT")
{
	char buf[8];
	int fds[2], n = -1, on = 1;
	long fd;

	OK(SYS(pipe2, fds, 0));
	OK(SYS(ioctl, fds[0], FIONREAD, &n));
	EQ(n, 0);
	EQ(SYS(write, fds[1], "abcde", 5), 5);
	OK(SYS(ioctl, fds[0], FIONREAD, &n));
	EQ(n, 5);
	fd = new_file();
	EQ(SYS(lseek, fd, 3, SEEK_SET), 3);
	OK(SYS(ioctl, fd, FIONREAD, &n));
	EQ(n, 7);
	EQ(SYS(read, fds[0], buf, 8), 5);
	OK(SYS(ioctl, fds[0], FIONBIO, &on));
	ERR(SYS(read, fds[0], buf, 8), EAGAIN);
	on = 0;
	OK(SYS(ioctl, fds[0], FIONBIO, &on));
	EQ(SYS(fcntl, fds[0], F_GETFL) & O_NONBLOCK, 0);
	OK(SYS(ioctl, fd, FIOCLEX));
	EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
	OK(SYS(ioctl, fd, FIONCLEX));
	EQ(SYS(fcntl, fd, F_GETFD), 0);
	ERR(SYS(ioctl, fd, 0x5401 /* TCGETS */, buf), ENOTTY);
	ERR(SYS(ioctl, fds[0], 0xdeadbeef, 0), ENOTTY);
	ERR(SYS(ioctl, 999, FIONREAD, &n), EBADF);
	ERR(SYS(ioctl, fds[0], FIONREAD, (void *)-4096L), EFAULT);
}

CASE(flock, "flock:LOCK_EX", "flock:LOCK_SH", "flock:LOCK_UN", "flock:LOCK_NB", "flock:EAGAIN",
	"flock:EINVAL", "flock:EBADF", "flock:blocks")
{
	long a = new_file(), b = new_file(), pid;

	OK(SYS(flock, a, LOCK_EX));
	ERR(SYS(flock, b, LOCK_SH | LOCK_NB), EAGAIN);
	OK(SYS(flock, a, LOCK_SH));
	OK(SYS(flock, b, LOCK_SH | LOCK_NB));
	ERR(SYS(flock, a, LOCK_EX | LOCK_NB), EAGAIN);
	OK(SYS(flock, b, LOCK_UN));
	OK(SYS(flock, a, LOCK_EX | LOCK_NB));
	ERR(SYS(flock, a, 16), EINVAL);
	ERR(SYS(flock, 999, LOCK_EX), EBADF);
	/* It belongs to the open file: the copy of a child unlocks it too; another one blocks. */
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(flock, b, LOCK_EX)); /* blocks */
		_exit(3);
	}
	abi_await_state(pid, 'S');
	OK(SYS(flock, a, LOCK_UN));
	EQ(abi_wait(pid), 3 << 8);
}

CASE(record_locks, "fcntl:F_SETLK", "fcntl:F_GETLK", "fcntl:F_RDLCK", "fcntl:F_WRLCK",
	"fcntl:F_UNLCK", "fcntl:EAGAIN")
{
	struct flock l;
	long fd = new_file(), me = SYS(getpid);

	l = lock_of(F_WRLCK, 2, 4);
	OK(SYS(fcntl, fd, F_SETLK, &l));
	/* No conflict with oneself; and it splits where a part is given back. */
	l = lock_of(F_RDLCK, 0, 3);
	OK(SYS(fcntl, fd, F_SETLK, &l));
	CHILD_OK
	{
		l = lock_of(F_RDLCK, 0, 3);
		OK(SYS(fcntl, fd, F_SETLK, &l));
		l = lock_of(F_RDLCK, 3, 1);
		ERR(SYS(fcntl, fd, F_SETLK, &l), EAGAIN);
		l = lock_of(F_WRLCK, 0, 0);
		OK(SYS(fcntl, fd, F_GETLK, &l));
		T(l.l_pid == me && l.l_start == 0 && l.l_len == 3 && l.l_type == F_RDLCK);
		l = lock_of(F_RDLCK, 0, 0);
		OK(SYS(fcntl, fd, F_GETLK, &l));
		T(l.l_type == F_WRLCK && l.l_start == 3 && l.l_len == 3);
		l = lock_of(F_WRLCK, 6, 0); /* to the end of every file */
		OK(SYS(fcntl, fd, F_SETLK, &l));
	}
	l = lock_of(F_UNLCK, 0, 0);
	OK(SYS(fcntl, fd, F_SETLK, &l));
	CHILD_OK
	{
		l = lock_of(F_WRLCK, 0, 0);
		OK(SYS(fcntl, fd, F_GETLK, &l));
		EQ(l.l_type, F_UNLCK);
	}
}

CASE(record_lock_errors, "fcntl:EINVAL", "fcntl:EBADF", "fcntl:EFAULT", "fcntl:close releases",
	"fcntl:F_SETLK")
{
	struct flock l = lock_of(9, 0, 0);
	long fd = new_file(), other;

	ERR(SYS(fcntl, fd, F_SETLK, &l), EINVAL);
	l = lock_of(F_WRLCK, -5, 1);
	ERR(SYS(fcntl, fd, F_SETLK, &l), EINVAL);
	ERR(SYS(fcntl, fd, F_SETLK, (void *)-4096L), EFAULT);
	other = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	l = lock_of(F_WRLCK, 0, 1);
	ERR(SYS(fcntl, other, F_SETLK, &l), EBADF); /* not open for writing */
	OK(SYS(fcntl, fd, F_SETLK, &l));
	OK(SYS(close, other)); /* close releases: any descriptor of the file, POSIX's surprise */
	CHILD_OK
	{
		l = lock_of(F_WRLCK, 0, 1);
		OK(SYS(fcntl, fd, F_SETLK, &l));
	}
}

static void nothing(int sig)
{
	(void)sig;
}

CASE(record_lock_wait, "fcntl:F_SETLKW", "fcntl:EINTR", "fcntl:exit releases")
{
	struct flock l = lock_of(F_WRLCK, 0, 1);
	long fd = new_file(), pid, waiter;
	int fds[2];
	char c;

	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(fcntl, fd, F_SETLK, &l));
		EQ(SYS(write, fds[1], "x", 1), 1);
		abi_sleep_ms(15000);
		_exit(0);
	}
	EQ(SYS(read, fds[0], &c, 1), 1);
	waiter = OK(abi_fork());
	if (waiter == 0) {
		abi_handler(SIGALRM, nothing, 0);
		abi_handler(SIGUSR1, nothing, 0);
		ERR(SYS(fcntl, fd, F_SETLKW, &l), EINTR);
		OK(SYS(fcntl, fd, F_SETLKW, &l));
		_exit(4);
	}
	abi_await_state(waiter, 'S');
	abi_sleep_ms(50);
	OK(SYS(kill, waiter, SIGUSR1));
	abi_sleep_ms(50);
	abi_await_state(waiter, 'S');
	OK(SYS(kill, pid, SIGKILL)); /* exit releases */
	abi_wait(pid);
	EQ(abi_wait(waiter), 4 << 8);
}

CASE(record_deadlock, "fcntl:EDEADLK", "fcntl:F_SETLKW")
{
	struct flock a = lock_of(F_WRLCK, 0, 1), b = lock_of(F_WRLCK, 1, 1);
	long fd = new_file(), pid;
	int up[2];
	char c;

	OK(SYS(pipe2, up, 0));
	OK(SYS(fcntl, fd, F_SETLK, &a));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(fcntl, fd, F_SETLK, &b));
		EQ(SYS(write, up[1], "x", 1), 1);
		OK(SYS(fcntl, fd, F_SETLKW, &a));
		_exit(0);
	}
	EQ(SYS(read, up[0], &c, 1), 1);
	abi_await_state(pid, 'S');
	abi_sleep_ms(30);
	ERR(SYS(fcntl, fd, F_SETLKW, &b), EDEADLK);
	a.l_type = F_UNLCK;
	OK(SYS(fcntl, fd, F_SETLK, &a));
	EQ(abi_wait(pid), 0);
}

CASE(ofd_locks, "fcntl:F_OFD_SETLK", "fcntl:F_OFD_GETLK", "fcntl:EAGAIN", "fcntl:EINVAL",
	"fcntl:F_OFD_SETLKW")
{
	struct flock l = lock_of(F_WRLCK, 0, 5);
	long a = new_file(), b = new_file(), copy = OK(SYS(dup, a));

	OK(SYS(fcntl, a, F_OFD_SETLK, &l));
	ERR(SYS(fcntl, b, F_OFD_SETLK, &l), EAGAIN); /* the same process, another open file */
	OK(SYS(fcntl, copy, F_OFD_SETLK, &l));
	l = lock_of(F_WRLCK, 0, 0);
	OK(SYS(fcntl, b, F_OFD_GETLK, &l));
	T(l.l_type == F_WRLCK && l.l_pid == -1 && l.l_len == 5);
	l.l_pid = 1;
	ERR(SYS(fcntl, b, F_OFD_SETLK, &l), EINVAL);
	l = lock_of(F_WRLCK, 0, 5);
	OK(SYS(close, copy));
	ERR(SYS(fcntl, b, F_OFD_SETLK, &l), EAGAIN); /* a duplicate's close keeps it */
	OK(SYS(close, a));
	OK(SYS(fcntl, b, F_OFD_SETLKW, &l));
}

CASE(splice, "splice:pipe to file", "splice:EINVAL", "tee:copies", "vmsplice:bytes", "tee:EINVAL",
	"splice:EBADF", "splice:ESPIPE")
{
	struct {
		const char *base;
		size_t len;
	} io = {"hello", 5};
	char buf[8];
	long fd = new_file(), off = 3;
	int a[2], b[2];

	OK(SYS(pipe2, a, 0));
	OK(SYS(pipe2, b, 0));
	EQ(SYS(vmsplice, a[1], &io, 1, 0), 5); /* bytes */
	EQ(SYS(tee, a[0], b[1], 5, 0), 5);     /* copies */
	EQ(SYS(read, b[0], buf, 8), 5);
	EQ(SYS(splice, a[0], NULL, fd, &off, 5, 0), 5); /* pipe to file */
	EQ(off, 8);
	EQ(SYS(pread64, fd, buf, 8, 2), 8);
	T(memcmp(buf, "2hello89", 8) == 0);
	off = 0;
	EQ(SYS(splice, fd, &off, a[1], NULL, 4, 0), 4);
	EQ(SYS(read, a[0], buf, 8), 4);
	ERR(SYS(splice, fd, NULL, fd, NULL, 4, 0), EINVAL);
	ERR(SYS(splice, a[0], &off, fd, NULL, 4, 0), ESPIPE);
	ERR(SYS(splice, a[1], NULL, fd, NULL, 4, 0), EBADF);
	ERR(SYS(tee, a[0], a[1], 4, 0), EINVAL);
}
