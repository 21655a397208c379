/* basic.c: what a kernel answers first: descriptors, bytes, identity, exit, and bad arguments. */
#define ABI_FAMILY "basic"
#include "../abi.h"
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>

static void *const bad_user = (void *)-4096L;

CASE(read_write, "openat:O_CREAT", "openat:O_RDWR", "read:eof", "write:bytes", "close:EBADF",
	"read:EBADF", "write:EBADF")
{
	char buf[16] = "";
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_RDWR, 0644));

	EQ(SYS(write, fd, "hello", 5), 5);
	EQ(SYS(read, fd, buf, 5), 0); /* eof: the position is behind the bytes */
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	EQ(SYS(read, fd, buf, sizeof(buf)), 5);
	T(memcmp(buf, "hello", 5) == 0);
	OK(SYS(close, fd));
	ERR(SYS(close, fd), EBADF);
	ERR(SYS(read, fd, buf, 1), EBADF);
	ERR(SYS(write, fd, buf, 1), EBADF);
}

CASE(access_mode, "openat:O_RDONLY", "openat:O_WRONLY", "read:EBADF", "write:EBADF")
{
	char c;
	long fd;

	abi_file("f", "x");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	ERR(SYS(write, fd, "y", 1), EBADF);
	EQ(SYS(read, fd, &c, 1), 1);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_WRONLY));
	ERR(SYS(read, fd, &c, 1), EBADF);
	EQ(SYS(write, fd, "z", 1), 1);
}

CASE(bad_pointers, "read:EFAULT", "write:EFAULT", "openat:EFAULT", "pipe2:EFAULT", "uname:EFAULT",
	"newfstatat:EFAULT", "getcwd:EFAULT")
{
	int fds[2];
	struct stat st;

	OK(SYS(pipe2, fds, 0));
	ERR(SYS(write, fds[1], bad_user, 4), EFAULT);
	EQ(SYS(write, fds[1], "abcd", 4), 4);
	ERR(SYS(read, fds[0], bad_user, 4), EFAULT);
	ERR(SYS(openat, AT_FDCWD, bad_user, O_RDONLY), EFAULT);
	ERR(SYS(openat, AT_FDCWD, NULL, O_RDONLY), EFAULT);
	ERR(SYS(pipe2, bad_user, 0), EFAULT);
	ERR(SYS(uname, bad_user), EFAULT);
	ERR(SYS(newfstatat, AT_FDCWD, "/", bad_user, 0), EFAULT);
	OK(SYS(newfstatat, AT_FDCWD, "/", &st, 0));
	ERR(SYS(getcwd, bad_user, 100), EFAULT);
}

CASE(dup, "dup:EBADF", "dup:shared position", "dup3:O_CLOEXEC", "dup3:EINVAL", "dup3:EBADF")
{
	long fd, copy;

	abi_file("f", "0123456789");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY | O_CLOEXEC));
	copy = OK(SYS(dup, fd));
	EQ(SYS(fcntl, copy, F_GETFD), 0);
	EQ(SYS(lseek, fd, 4, SEEK_SET), 4);
	EQ(SYS(lseek, copy, 0, SEEK_CUR), 4);
	ERR(SYS(dup, 9999), EBADF);
	ERR(SYS(dup, -1), EBADF);
	EQ(SYS(dup3, fd, 50, O_CLOEXEC), 50);
	EQ(SYS(fcntl, 50, F_GETFD), FD_CLOEXEC);
	ERR(SYS(dup3, fd, fd, 0), EINVAL);
	ERR(SYS(dup3, fd, 51, O_APPEND), EINVAL);
	ERR(SYS(dup3, 9999, 51, 0), EBADF);
	ERR(SYS(dup3, fd, 1 << 30, 0), EBADF);
}

CASE(dup_lowest, "dup:lowest free number", "dup3:replaces open file")
{
	char c = 0;
	long a, b;
	int fds[2];

	abi_file("f", "x");
	a = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	b = OK(SYS(dup, a));
	EQ(b, a + 1);
	OK(SYS(close, a));
	EQ(SYS(dup, b), a); /* lowest free number */
	OK(SYS(pipe2, fds, 0));
	/* dup3 over the only write end closes it: the reader sees the end. */
	EQ(SYS(dup3, a, fds[1], 0), fds[1]);
	EQ(SYS(read, fds[0], &c, 1), 0);
}

CASE(emfile, "openat:EMFILE", "memfd_create:EMFILE", "dup:EMFILE", "prlimit64:RLIMIT_NOFILE",
	"pipe2:EMFILE")
{
	struct {
		uint64_t soft, hard;
	} limit = {16, 16};
	int fds[2];
	long fd, last = -1;

	OK(SYS(prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
	while ((fd = SYS(openat, AT_FDCWD, "/", O_RDONLY)) >= 0)
		last = fd;
	EQ(fd, -EMFILE);
	/* The number is taken before the file is made. */
	ERR(SYS(openat, AT_FDCWD, "emfile-fresh", O_CREAT | O_RDWR, 0600), EMFILE);
	ERR(SYS(faccessat, AT_FDCWD, "emfile-fresh", F_OK), ENOENT);
	ERR(SYS(openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600), EMFILE);
	ERR(SYS(memfd_create, "m", 0), EMFILE);
	EQ(last, 15);
	ERR(SYS(dup, 0), EMFILE);
	OK(SYS(close, 15));
	ERR(SYS(pipe2, fds, 0), EMFILE);
	EQ(SYS(dup, 0), 15); /* the failed pipe2 gave its number back */
}

CASE(getpid, "getpid:value", "getppid:parent", "gettid:value")
{
	long pid = OK(SYS(getpid));

	T(pid > 1);
	EQ(SYS(gettid), pid);
	CHILD_OK
	{
		EQ(SYS(getppid), pid);
		T(SYS(getpid) != pid);
		EQ(SYS(gettid), SYS(getpid));
	}
}

CASE(uname, "uname:fields")
{
	struct utsname u;

	memset(&u, 0xff, sizeof(u));
	OK(SYS(uname, &u));
	T(strcmp(u.sysname, "Linux") == 0);
	T(strlen(u.release) > 2 && u.release[0] == '6' && u.release[1] == '.');
	T(strlen(u.version) > 0 && strlen(u.nodename) < 65);
#if defined(__x86_64__)
	T(strcmp(u.machine, "x86_64") == 0);
#elif defined(__aarch64__)
	T(strcmp(u.machine, "aarch64") == 0);
#endif
	/* 65 bytes a field, the domain name included. */
	EQ(sizeof(u), 390);
	T(memchr(u.domainname, 0, 65) != NULL);
}

CASE(exit_status, "exit_group:status", "exit:status", "wait4:status")
{
	int st;

	IN_CHILD(&st)
	{
		SYS(exit_group, 0x1234);
	}
	T(WIFEXITED(st));
	EQ(WEXITSTATUS(st), 0x34); /* the low byte of the status */
	IN_CHILD(&st)
	{
		SYS(exit, 7);
		SYS(exit_group, 9);
	}
	EQ(WEXITSTATUS(st), 7);
}

CASE(unknown_call, "unknown:ENOSYS", "getpid:value")
{
	ERR(abi_sys(1000, 0, 0, 0, 0, 0, 0), ENOSYS);
	ERR(abi_sys(100000, 0, 0, 0, 0, 0, 0), ENOSYS);
	ERR(abi_sys(-5, 0, 0, 0, 0, 0, 0), ENOSYS);
	T(SYS(getpid) > 0); /* value: the next call still works */
}

CASE(lseek, "lseek:SEEK_SET", "lseek:SEEK_CUR", "lseek:SEEK_END", "lseek:EINVAL", "lseek:ESPIPE",
	"lseek:EBADF")
{
	int fds[2];
	long fd;

	abi_file("f", "0123456789");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	EQ(SYS(lseek, fd, 3, SEEK_SET), 3);
	EQ(SYS(lseek, fd, 4, SEEK_CUR), 7);
	EQ(SYS(lseek, fd, -2, SEEK_END), 8);
	EQ(SYS(lseek, fd, 100, SEEK_END), 110);
	ERR(SYS(lseek, fd, -1, SEEK_SET), EINVAL);
	ERR(SYS(lseek, fd, 0, 99), EINVAL);
	EQ(SYS(lseek, fd, 0, SEEK_CUR), 110);
	OK(SYS(pipe2, fds, 0));
	ERR(SYS(lseek, fds[0], 0, SEEK_CUR), ESPIPE);
	ERR(SYS(lseek, 9999, 0, SEEK_SET), EBADF);
}

CASE(pread_pwrite, "pread64:position kept", "pwrite64:position kept", "pread64:EINVAL",
	"pwrite64:EINVAL", "pread64:ESPIPE", "pwrite64:ESPIPE")
{
	char buf[8] = "";
	int fds[2];
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	EQ(SYS(pwrite64, fd, "abc", 3, 5), 3);
	EQ(SYS(lseek, fd, 0, SEEK_CUR), 0); /* position kept */
	EQ(SYS(pread64, fd, buf, 8, 2), 6);
	T(memcmp(buf, "\0\0\0abc", 6) == 0);
	EQ(SYS(pread64, fd, buf, 8, 8), 0);
	ERR(SYS(pread64, fd, buf, 8, -1), EINVAL);
	ERR(SYS(pwrite64, fd, buf, 8, -1), EINVAL);
	OK(SYS(pipe2, fds, 0));
	ERR(SYS(pread64, fds[0], buf, 1, 0), ESPIPE);
	ERR(SYS(pwrite64, fds[1], buf, 1, 0), ESPIPE);
}

CASE(vectors, "readv:scatter", "writev:gather", "readv:EINVAL", "writev:EINVAL", "writev:EFAULT",
	"preadv:offset", "pwritev:offset")
{
	char a[3], b[4];
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"four", 4}};
	struct iovec in[2] = {{a, 3}, {b, 4}};
	struct iovec bad[2] = {{"x", 1}, {bad_user, 5}};
	struct iovec huge = {a, (size_t)-1};
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	EQ(SYS(writev, fd, out, 3), 7); /* gather */
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	EQ(SYS(readv, fd, in, 2), 7); /* scatter */
	T(memcmp(a, "one", 3) == 0 && memcmp(b, "four", 4) == 0);
	ERR(SYS(readv, fd, in, 1025), EINVAL);
	ERR(SYS(writev, fd, out, -1), EINVAL);
	ERR(SYS(readv, fd, &huge, 1), EINVAL);
	EQ(SYS(writev, fd, out, 0), 0);
	ERR(SYS(writev, fd, bad + 1, 1), EFAULT);
	EQ(SYS(pwritev, fd, out, 3, 1, 0), 7); /* offset */
	EQ(SYS(preadv, fd, in, 2, 1, 0), 7);
	T(memcmp(a, "one", 3) == 0 && memcmp(b, "four", 4) == 0);
}

CASE(vectors2, "preadv2:offset -1", "pwritev2:RWF_APPEND", "pwritev2:RWF_DSYNC",
	"preadv2:EOPNOTSUPP", "pwritev2:RWF_SYNC", "preadv2:RWF_HIPRI")
{
	char a[8];
	struct iovec io = {a, 3};
	struct iovec out = {"abc", 3};
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	EQ(SYS(pwritev2, fd, &out, 1, -1, -1, RWF_DSYNC), 3);
	EQ(SYS(pwritev2, fd, &out, 1, 0, 0, RWF_APPEND), 3);
	EQ(SYS(pwritev2, fd, &out, 1, 6, 0, RWF_SYNC), 3);
	EQ(SYS(lseek, fd, 0, SEEK_CUR), 3);
	/* offset -1: the file's own position */
	EQ(SYS(preadv2, fd, &io, 1, -1, -1, 0), 3);
	EQ(SYS(lseek, fd, 0, SEEK_CUR), 6);
	EQ(SYS(preadv2, fd, &io, 1, 6, 0, RWF_HIPRI), 3);
	ERR(SYS(preadv2, fd, &io, 1, 0, 0, 0x40000000), EOPNOTSUPP);
}

CASE(partial_fault, "write:partial", "read:partial", "mprotect:PROT_NONE")
{
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[64];
	int fds[2];
	long fd;

	T(map != MAP_FAILED);
	memset(map, 'p', 8192);
	OK(SYS(mprotect, map + 4096, 4096, PROT_NONE));
	OK(SYS(pipe2, fds, 0));
	/* A file or pipe takes what lies before the hole in the address space, or nothing. */
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	EQ(SYS(write, fd, map + 4096 - 10, 20), 10); /* partial */
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	EQ(SYS(read, fd, buf, sizeof(buf)), 10);
	memset(buf, 'q', sizeof(buf));
	EQ(SYS(pwrite64, fd, buf, 40, 0), 40);
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	EQ(SYS(read, fd, map + 4096 - 10, 40), 10); /* partial */
	T(map[4096 - 10] == 'q');
}

CASE(getrandom, "getrandom:bytes", "getrandom:GRND_NONBLOCK", "getrandom:GRND_RANDOM",
	"getrandom:GRND_INSECURE", "getrandom:EINVAL", "getrandom:EFAULT")
{
	unsigned char a[64] = {}, b[64] = {};

	EQ(SYS(getrandom, a, 64, 0), 64); /* bytes */
	EQ(SYS(getrandom, b, 64, GRND_NONBLOCK), 64);
	T(memcmp(a, b, 64) != 0);
	EQ(SYS(getrandom, b, 16, GRND_RANDOM), 16);
	EQ(SYS(getrandom, b, 16, GRND_INSECURE), 16);
	EQ(SYS(getrandom, b, 0, 0), 0);
	ERR(SYS(getrandom, b, 16, 0x100), EINVAL);
	ERR(SYS(getrandom, b, 16, GRND_RANDOM | GRND_INSECURE), EINVAL);
	ERR(SYS(getrandom, bad_user, 16, 0), EFAULT);
}

CASE(sysinfo, "sysinfo:fields", "sysinfo:EFAULT")
{
	struct sysinfo info;

	memset(&info, 0xff, sizeof(info));
	OK(SYS(sysinfo, &info));
	T(info.mem_unit >= 1 && info.totalram > 0 && info.freeram <= info.totalram);
	T(info.procs >= 1 && info.uptime >= 0);
	EQ(info.totalhigh, 0);
	ERR(SYS(sysinfo, bad_user), EFAULT);
}

CASE(umask, "umask:old value", "openat:mode")
{
	struct stat st;

	EQ(SYS(umask, 077), 022);
	EQ(SYS(umask, 07777), 077); /* old value; only the permission bits stay */
	EQ(SYS(umask, 027), 0777);
	OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_RDWR, 0666)); /* mode */
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_mode, S_IFREG | 0640);
}
