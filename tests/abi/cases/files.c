/* files.c: opening, sizes, holes, copies and attributes of regular files. */
#define ABI_FAMILY "files"
#include "../abi.h"
#include <linux/falloc.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>

static long size_of(const char *name)
{
	struct stat st;

	OK(SYS(newfstatat, AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW));
	return st.st_size;
}

CASE(open_excl, "openat:O_EXCL", "openat:EEXIST", "openat:ENOENT")
{
	ERR(SYS(openat, AT_FDCWD, "f", O_RDWR), ENOENT);
	OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_RDWR, 0600));
	ERR(SYS(openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	ERR(SYS(openat, AT_FDCWD, "", O_RDONLY), ENOENT);
	/* A dangling link is no place for O_EXCL either. */
	OK(SYS(symlinkat, "nowhere", AT_FDCWD, "l"));
	ERR(SYS(openat, AT_FDCWD, "l", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	OK(SYS(openat, AT_FDCWD, "l", O_CREAT | O_RDWR, 0600));
	EQ(size_of("nowhere"), 0);
}

CASE(open_trunc, "openat:O_TRUNC", "openat:EISDIR")
{
	abi_file("f", "0123456789");
	OK(SYS(openat, AT_FDCWD, "f", O_WRONLY | O_TRUNC));
	EQ(size_of("f"), 0);
	ERR(SYS(openat, AT_FDCWD, ".", O_WRONLY), EISDIR);
	ERR(SYS(openat, AT_FDCWD, ".", O_RDONLY | O_CREAT, 0600), EISDIR);
}

CASE(open_append, "openat:O_APPEND", "fcntl:F_SETFL", "fcntl:F_GETFL", "pwrite64:O_APPEND")
{
	long fd, other;

	abi_file("f", "abc");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_WRONLY | O_APPEND));
	other = OK(SYS(openat, AT_FDCWD, "f", O_WRONLY | O_APPEND));
	EQ(SYS(write, fd, "1", 1), 1);
	EQ(SYS(write, other, "2", 1), 1);
	EQ(SYS(write, fd, "3", 1), 1);
	EQ(size_of("f"), 6);
	EQ(SYS(lseek, fd, 0, SEEK_CUR), 6);
	/* Linux appends even at an explicit offset (pwrite(2), BUGS). */
	EQ(SYS(pwrite64, fd, "4", 1, 0), 1);
	EQ(size_of("f"), 7);
	EQ(SYS(fcntl, fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_WRONLY);
	OK(SYS(fcntl, fd, F_SETFL, 0));
	EQ(SYS(fcntl, fd, F_GETFL) & O_APPEND, 0);
	EQ(SYS(pwrite64, fd, "X", 1, 0), 1);
	EQ(size_of("f"), 7);
}

CASE(open_directory, "openat:O_DIRECTORY", "openat:ENOTDIR", "openat:O_NOFOLLOW", "openat:ELOOP",
	"openat:O_PATH")
{
	struct stat st;
	char c;
	long fd;

	abi_file("f", "x");
	OK(SYS(mkdirat, AT_FDCWD, "d", 0755));
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(openat, AT_FDCWD, "d", O_RDONLY | O_DIRECTORY));
	ERR(SYS(openat, AT_FDCWD, "f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	ERR(SYS(openat, AT_FDCWD, "f/x", O_RDONLY), ENOTDIR);
	ERR(SYS(openat, AT_FDCWD, "f/", O_RDONLY), ENOTDIR);
	ERR(SYS(openat, AT_FDCWD, "l", O_RDONLY | O_NOFOLLOW), ELOOP);
	fd = OK(SYS(openat, AT_FDCWD, "l", O_PATH | O_NOFOLLOW));
	OK(SYS(fstat, fd, &st));
	T(S_ISLNK(st.st_mode));
	ERR(SYS(read, fd, &c, 1), EBADF);
	fd = OK(SYS(openat, AT_FDCWD, "d", O_PATH));
	OK(SYS(openat, fd, ".", O_RDONLY));
	ERR(SYS(fchmod, fd, 0700), EBADF);
}

CASE(open_tmpfile, "openat:O_TMPFILE", "linkat:AT_SYMLINK_FOLLOW")
{
	char path[64];
	struct stat st;
	long fd = OK(SYS(openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600));

	EQ(SYS(write, fd, "tmp", 3), 3);
	OK(SYS(fstat, fd, &st));
	EQ(st.st_nlink, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
	OK(SYS(linkat, AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	EQ(size_of("named"), 3);
	ERR(SYS(openat, AT_FDCWD, ".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

CASE(open_cloexec, "openat:O_CLOEXEC", "fcntl:F_GETFD", "fcntl:F_SETFD", "fcntl:FD_CLOEXEC")
{
	long a, b;

	abi_file("f", "x");
	a = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY | O_CLOEXEC));
	b = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	EQ(SYS(fcntl, a, F_GETFD), FD_CLOEXEC);
	EQ(SYS(fcntl, b, F_GETFD), 0);
	OK(SYS(fcntl, b, F_SETFD, FD_CLOEXEC));
	EQ(SYS(fcntl, b, F_GETFD), FD_CLOEXEC);
	OK(SYS(fcntl, a, F_SETFD, 0));
	EQ(SYS(fcntl, a, F_GETFD), 0);
}

CASE(open_special, "openat:ENXIO", "mknodat:S_IFIFO", "mknodat:S_IFCHR", "mknodat:S_IFSOCK",
	"mknodat:EEXIST", "mknodat:EPERM")
{
	struct stat st;

	OK(SYS(mknodat, AT_FDCWD, "fifo", S_IFIFO | 0644, 0));
	ERR(SYS(openat, AT_FDCWD, "fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	OK(SYS(mknodat, AT_FDCWD, "null", S_IFCHR | 0666, makedev(1, 3)));
	OK(SYS(newfstatat, AT_FDCWD, "null", &st, 0));
	T(S_ISCHR(st.st_mode));
	EQ(st.st_rdev, makedev(1, 3));
	OK(SYS(mknodat, AT_FDCWD, "sock", S_IFSOCK | 0644, 0));
	ERR(SYS(openat, AT_FDCWD, "sock", O_RDWR), ENXIO);
	OK(SYS(mknodat, AT_FDCWD, "plain", 0600, 0)); /* no type: a regular file */
	OK(SYS(newfstatat, AT_FDCWD, "plain", &st, 0));
	T(S_ISREG(st.st_mode));
	/* In /dev, since the case's own directory may be mounted nodev. */
	SYS(unlinkat, AT_FDCWD, "/dev/abi-odd", 0);
	OK(SYS(mknodat, AT_FDCWD, "/dev/abi-odd", S_IFBLK | 0600, makedev(250, 77)));
	ERR(SYS(openat, AT_FDCWD, "/dev/abi-odd", O_RDONLY), ENXIO);
	OK(SYS(unlinkat, AT_FDCWD, "/dev/abi-odd", 0));
	ERR(SYS(mknodat, AT_FDCWD, "plain", S_IFREG | 0600, 0), EEXIST);
	ERR(SYS(mknodat, AT_FDCWD, "dir", S_IFDIR | 0600, 0), EPERM);
}

CASE(truncate, "truncate:grow", "ftruncate:shrink", "ftruncate:EINVAL", "truncate:EINVAL",
	"truncate:EISDIR", "ftruncate:EBADF", "truncate:ENOENT")
{
	char buf[16];
	long fd;

	abi_file("f", "0123456789");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR));
	OK(SYS(ftruncate, fd, 4)); /* shrink */
	OK(SYS(truncate, "f", 8)); /* grow: zeroes */
	EQ(SYS(pread64, fd, buf, 16, 0), 8);
	T(memcmp(buf, "0123\0\0\0\0", 8) == 0);
	ERR(SYS(ftruncate, fd, -1), EINVAL);
	ERR(SYS(truncate, "f", -1), EINVAL);
	ERR(SYS(truncate, ".", 0), EISDIR);
	ERR(SYS(truncate, "gone", 0), ENOENT);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	ERR(SYS(ftruncate, fd, 0), EINVAL);
	ERR(SYS(ftruncate, 999, 0), EBADF);
}

CASE(holes, "lseek:SEEK_DATA", "lseek:SEEK_HOLE", "lseek:ENXIO")
{
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	OK(SYS(ftruncate, fd, 1 << 20));
	EQ(SYS(pwrite64, fd, "x", 1, 512 * 1024), 1);
	EQ(SYS(lseek, fd, 0, SEEK_DATA), 512 * 1024);
	EQ(SYS(lseek, fd, 0, SEEK_HOLE), 0);
	EQ(SYS(lseek, fd, 512 * 1024, SEEK_HOLE), 512 * 1024 + 4096);
	ERR(SYS(lseek, fd, 600 * 1024, SEEK_DATA), ENXIO);
	ERR(SYS(lseek, fd, 1 << 20, SEEK_HOLE), ENXIO);
}

CASE(fallocate, "fallocate:mode 0", "fallocate:FALLOC_FL_KEEP_SIZE",
	"fallocate:FALLOC_FL_PUNCH_HOLE", "fallocate:EINVAL", "fallocate:EBADF", "fallocate:ESPIPE",
	"fallocate:EOPNOTSUPP")
{
	char buf[8];
	int fds[2];
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	OK(SYS(fallocate, fd, 0, 0, 8192)); /* mode 0 */
	EQ(size_of("f"), 8192);
	OK(SYS(fallocate, fd, FALLOC_FL_KEEP_SIZE, 8192, 8192));
	EQ(size_of("f"), 8192);
	EQ(SYS(pwrite64, fd, "abcdefgh", 8, 4096), 8);
	OK(SYS(fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4));
	EQ(SYS(pread64, fd, buf, 8, 4096), 8);
	T(memcmp(buf, "\0\0\0\0efgh", 8) == 0);
	ERR(SYS(fallocate, fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
	ERR(SYS(fallocate, fd, 0, 0, 0), EINVAL);
	ERR(SYS(fallocate, fd, 0, -1, 10), EINVAL);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	ERR(SYS(fallocate, fd, 0, 0, 10), EBADF);
	OK(SYS(pipe2, fds, 0));
	ERR(SYS(fallocate, fds[1], 0, 0, 10), ESPIPE);
}

CASE(sendfile, "sendfile:offset", "sendfile:position", "sendfile:EBADF", "sendfile:EINVAL")
{
	char buf[16];
	long off = 2, in;
	int fds[2];

	abi_file("f", "0123456789");
	in = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(pipe2, fds, 0));
	EQ(SYS(sendfile, fds[1], in, &off, 3), 3);
	EQ(off, 5); /* offset moved, position not */
	EQ(SYS(lseek, in, 0, SEEK_CUR), 0);
	EQ(SYS(sendfile, fds[1], in, NULL, 100), 10);
	EQ(SYS(lseek, in, 0, SEEK_CUR), 10); /* position moved */
	EQ(SYS(read, fds[0], buf, 16), 13);
	T(memcmp(buf, "2340123456789", 13) == 0);
	ERR(SYS(sendfile, in, in, NULL, 1), EBADF);
	off = -1;
	ERR(SYS(sendfile, fds[1], in, &off, 1), EINVAL);
}

CASE(copy_file_range, "copy_file_range:offsets", "copy_file_range:EINVAL", "copy_file_range:EBADF",
	"copy_file_range:EISDIR")
{
	char buf[16];
	long from, to, dir, in_at = 2, out_at = 1;

	abi_file("a", "0123456789");
	abi_file("b", "xxxxxxxxxx");
	from = OK(SYS(openat, AT_FDCWD, "a", O_RDWR));
	to = OK(SYS(openat, AT_FDCWD, "b", O_RDWR));
	EQ(SYS(copy_file_range, from, &in_at, to, &out_at, 4, 0), 4); /* offsets */
	EQ(in_at, 6);
	EQ(out_at, 5);
	EQ(SYS(pread64, to, buf, 16, 0), 10);
	T(memcmp(buf, "x2345xxxxx", 10) == 0);
	EQ(SYS(copy_file_range, from, NULL, to, NULL, 100, 0), 10);
	EQ(SYS(copy_file_range, from, NULL, to, NULL, 100, 0), 0);
	ERR(SYS(copy_file_range, from, NULL, to, NULL, 1, 1), EINVAL);
	in_at = 0;
	out_at = 2;
	ERR(SYS(copy_file_range, from, &in_at, from, &out_at, 5, 0), EINVAL); /* overlap */
	to = OK(SYS(openat, AT_FDCWD, "b", O_RDONLY));
	ERR(SYS(copy_file_range, from, NULL, to, NULL, 1, 0), EBADF);
	dir = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));
	ERR(SYS(copy_file_range, dir, NULL, from, NULL, 1, 0), EISDIR);
}

CASE(fsync, "fsync:file", "fdatasync:file", "fsync:directory", "fsync:EBADF", "fsync:EINVAL",
	"fdatasync:EINVAL", "sync:returns", "syncfs:returns", "syncfs:EBADF",
	"sync_file_range:SYNC_FILE_RANGE_WRITE", "sync_file_range:EINVAL")
{
	int fds[2];
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	long dir = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));

	EQ(SYS(write, fd, "abc", 3), 3);
	EQ(SYS(fsync, fd), 0); /* file */
	EQ(SYS(fdatasync, fd), 0);
	EQ(SYS(fsync, dir), 0); /* directory */
	EQ(SYS(sync), 0);       /* returns */
	EQ(SYS(syncfs, fd), 0);
	ERR(SYS(syncfs, 999), EBADF);
	ERR(SYS(fsync, 999), EBADF);
	OK(SYS(pipe2, fds, 0));
	ERR(SYS(fsync, fds[0]), EINVAL);
	ERR(SYS(fdatasync, fds[0]), EINVAL);
	EQ(SYS(sync_file_range, fd, 0, 3, SYNC_FILE_RANGE_WRITE), 0);
	ERR(SYS(sync_file_range, fd, 0, 3, 0x100), EINVAL);
	ERR(SYS(sync_file_range, fd, -1, 3, SYNC_FILE_RANGE_WRITE), EINVAL);
}

/* Write-back clears what lies behind the end of a file while a write puts its bytes there. */
CASE(append_while_synced, "fdatasync:while appended", "write:while synced")
{
	enum { RECORD = 97, RECORDS = 3000 };
	char record[RECORD], got[RECORD];
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT | O_APPEND, 0600));
	long child;
	int i;

	EQ(SYS(fdatasync, fd), 0);
	child = OK(abi_fork());
	if (!child)
		for (;;)
			EQ(SYS(fdatasync, fd), 0);
	for (i = 0; i < RECORDS; i++) {
		memset(record, 1 + i % 251, RECORD);
		EQ(SYS(write, fd, record, RECORD), RECORD);
	}
	OK(SYS(kill, child, SIGKILL));
	abi_wait(child);
	for (i = 0; i < RECORDS; i++) {
		memset(record, 1 + i % 251, RECORD);
		EQ(SYS(pread64, fd, got, RECORD, (long)i * RECORD), RECORD);
		EQ(memcmp(record, got, RECORD), 0);
	}
}

CASE(fadvise, "fadvise64:POSIX_FADV_DONTNEED", "fadvise64:POSIX_FADV_SEQUENTIAL",
	"fadvise64:POSIX_FADV_WILLNEED", "fadvise64:EINVAL", "fadvise64:ESPIPE", "fadvise64:EBADF",
	"readahead:returns", "readahead:EBADF", "readahead:EINVAL")
{
	int fds[2];
	long fd;

	abi_file("f", "0123456789");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	EQ(SYS(fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	EQ(SYS(fadvise64, fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	EQ(SYS(fadvise64, fd, 0, 0, POSIX_FADV_WILLNEED), 0);
	ERR(SYS(fadvise64, fd, 0, 0, 99), EINVAL);
	ERR(SYS(fadvise64, 999, 0, 0, POSIX_FADV_DONTNEED), EBADF);
	OK(SYS(pipe2, fds, 0));
	ERR(SYS(fadvise64, fds[0], 0, 0, POSIX_FADV_DONTNEED), ESPIPE);
	EQ(SYS(readahead, fd, 0, 4096), 0); /* returns */
	ERR(SYS(readahead, 999, 0, 4096), EBADF);
	ERR(SYS(readahead, fds[0], 0, 4096), EINVAL);
}

CASE(stat, "newfstatat:fields", "fstat:fields", "newfstatat:AT_SYMLINK_NOFOLLOW",
	"newfstatat:AT_EMPTY_PATH", "newfstatat:ENOENT", "newfstatat:EINVAL", "fstat:EBADF",
	"newfstatat:EBADF")
{
	struct stat a, b;
	long fd;

	abi_file("f", "12345");
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(newfstatat, AT_FDCWD, "f", &a, 0));
	EQ(a.st_mode, S_IFREG | 0644); /* fields */
	EQ(a.st_size, 5);
	EQ(a.st_nlink, 1);
	EQ(a.st_uid, 0);
	EQ(a.st_gid, 0);
	T(a.st_ino != 0 && a.st_blksize >= 512);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(fstat, fd, &b));
	T(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	OK(SYS(newfstatat, AT_FDCWD, "l", &b, AT_SYMLINK_NOFOLLOW));
	T(S_ISLNK(b.st_mode));
	EQ(b.st_size, 1);
	OK(SYS(newfstatat, fd, "", &b, AT_EMPTY_PATH));
	EQ(b.st_ino, a.st_ino);
	ERR(SYS(newfstatat, AT_FDCWD, "", &b, 0), ENOENT);
	ERR(SYS(newfstatat, AT_FDCWD, "gone", &b, 0), ENOENT);
	ERR(SYS(newfstatat, AT_FDCWD, "f", &b, 0x40000), EINVAL);
	ERR(SYS(newfstatat, 999, "f", &b, 0), EBADF);
	ERR(SYS(fstat, 999, &b), EBADF);
}

CASE(statx, "statx:STATX_BASIC_STATS", "statx:STATX_TYPE", "statx:AT_STATX_FORCE_SYNC",
	"statx:AT_EMPTY_PATH", "statx:EINVAL", "statx:ENOENT", "statx:ENOTDIR",
	"statx:AT_STATX_DONT_SYNC")
{
	struct statx x;
	struct stat st;
	long fd;

	abi_file("f", "12345");
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	memset(&x, 0xff, sizeof(x));
	OK(SYS(statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
	EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	EQ(x.stx_ino, st.st_ino);
	EQ(x.stx_size, 5);
	EQ(x.stx_mode, S_IFREG | 0644);
	EQ(x.stx_nlink, 1);
	EQ(makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
	EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(statx, fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_TYPE, &x));
	EQ(x.stx_mode & S_IFMT, S_IFREG);
	OK(SYS(statx, AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_TYPE, &x));
	ERR(SYS(statx, AT_FDCWD, "f", AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, STATX_TYPE, &x),
		EINVAL);
	ERR(SYS(statx, AT_FDCWD, "f", 0, 0x80000000u, &x), EINVAL);
	ERR(SYS(statx, AT_FDCWD, "gone", 0, STATX_TYPE, &x), ENOENT);
	ERR(SYS(statx, AT_FDCWD, "f/g", 0, STATX_TYPE, &x), ENOTDIR);
}

CASE(statfs, "statfs:fields", "fstatfs:fields", "statfs:ENOENT", "fstatfs:EBADF", "statfs:EFAULT")
{
	struct statfs a, b;
	long fd = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));

	OK(SYS(statfs, ".", &a));
	OK(SYS(fstatfs, fd, &b));
	T(a.f_type == b.f_type && a.f_bsize == b.f_bsize); /* fields */
	EQ(a.f_namelen, 255);
	T(a.f_bfree <= a.f_blocks);
	OK(SYS(statfs, "/proc", &a));
	EQ(a.f_type, 0x9fa0); /* PROC_SUPER_MAGIC */
	ERR(SYS(statfs, "gone", &a), ENOENT);
	ERR(SYS(fstatfs, 999, &a), EBADF);
	ERR(SYS(statfs, ".", (void *)-4096L), EFAULT);
}

CASE(utimens, "utimensat:UTIME_NOW", "utimensat:UTIME_OMIT", "utimensat:AT_SYMLINK_NOFOLLOW",
	"utimensat:EINVAL", "utimensat:ENOENT", "utimensat:by descriptor")
{
	struct timespec ts[2] = {{1000, 123456789}, {2000, 987654321}};
	struct stat st, before;
	long fd;

	abi_file("f", "x");
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(utimensat, AT_FDCWD, "f", ts, 0));
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_atim.tv_sec, 1000);
	EQ(st.st_atim.tv_nsec, 123456789);
	EQ(st.st_mtim.tv_sec, 2000);
	EQ(st.st_mtim.tv_nsec, 987654321);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(utimensat, fd, NULL, ts, 0)); /* by descriptor */
	OK(SYS(fstat, fd, &st));
	EQ(st.st_atim.tv_sec, 1000);
	T(st.st_mtim.tv_sec > 2000);
	OK(SYS(newfstatat, AT_FDCWD, "f", &before, 0));
	ts[0] = ts[1] = (struct timespec){3000, 0};
	OK(SYS(utimensat, AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	OK(SYS(newfstatat, AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW));
	EQ(st.st_mtim.tv_sec, 3000);
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_mtim.tv_sec, before.st_mtim.tv_sec);
	ts[0].tv_nsec = 1000000000;
	ERR(SYS(utimensat, AT_FDCWD, "f", ts, 0), EINVAL);
	ERR(SYS(utimensat, AT_FDCWD, "gone", NULL, 0), ENOENT);
}

CASE(times_move, "write:mtime", "newfstatat:ctime", "fchmod:ctime")
{
	struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct stat a, b;
	long fd;

	abi_file("f", "x");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR));
	OK(SYS(utimensat, fd, NULL, old, 0));
	OK(SYS(newfstatat, AT_FDCWD, "f", &a, 0));
	EQ(a.st_mtim.tv_sec, 1000);
	T(a.st_ctim.tv_sec > 1000);
	EQ(SYS(write, fd, "y", 1), 1);
	OK(SYS(newfstatat, AT_FDCWD, "f", &b, 0));
	T(b.st_mtim.tv_sec > 1000); /* mtime */
	abi_sleep_ms(20);
	OK(SYS(fchmod, fd, 0600));
	OK(SYS(newfstatat, AT_FDCWD, "f", &a, 0));
	T(a.st_ctim.tv_sec > b.st_ctim.tv_sec || a.st_ctim.tv_nsec > b.st_ctim.tv_nsec); /* ctime */
	EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
}

CASE(memfd, "memfd_create:MFD_CLOEXEC", "memfd_create:MFD_ALLOW_SEALING", "memfd_create:EINVAL",
	"fcntl:F_ADD_SEALS", "fcntl:F_GET_SEALS", "fcntl:F_SEAL_SHRINK", "fcntl:F_SEAL_GROW",
	"fcntl:F_SEAL_WRITE", "fcntl:F_SEAL_SEAL", "fcntl:EPERM", "write:EPERM", "ftruncate:EPERM",
	"memfd_create:EFAULT")
{
	char name[300];
	long fd = OK(SYS(memfd_create, "m", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
	EQ(SYS(write, fd, "0123", 4), 4);
	EQ(SYS(fcntl, fd, F_GET_SEALS), 0);
	OK(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK));
	ERR(SYS(ftruncate, fd, 1), EPERM);
	OK(SYS(ftruncate, fd, 8));
	OK(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_GROW));
	ERR(SYS(ftruncate, fd, 9), EPERM);
	EQ(SYS(pwrite64, fd, "x", 1, 0), 1);
	OK(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
	ERR(SYS(pwrite64, fd, "x", 1, 0), EPERM);
	ERR(SYS(write, fd, "x", 1), EPERM);
	EQ(SYS(fcntl, fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	OK(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_SEAL));
	ERR(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
	fd = OK(SYS(memfd_create, "unsealed", 0));
	EQ(SYS(fcntl, fd, F_GET_SEALS), F_SEAL_SEAL);
	ERR(SYS(memfd_create, "x", 0x8000), EINVAL);
	memset(name, 'n', sizeof(name));
	name[250] = '\0';
	ERR(SYS(memfd_create, name, 0), EINVAL);
	name[249] = '\0';
	OK(SYS(memfd_create, name, 0));
	ERR(SYS(memfd_create, (void *)-4096L, 0), EFAULT);
}

/* Every machine of the suite has a virtio entropy device. */
CASE(hwrng, "openat:/dev/hwrng", "read:/dev/hwrng", "pread64:/dev/hwrng", "lseek:/dev/hwrng",
	"fstat:/dev/hwrng", "poll:/dev/hwrng", "ioctl:ENOTTY /dev/hwrng", "mmap:ENODEV /dev/hwrng",
	"read:EFAULT /dev/hwrng")
{
	static unsigned char one[3000], two[3000];
	struct stat st;
	struct pollfd p = {.events = POLLIN | POLLOUT};
	size_t same = 0;
	long fd;

	ERR(SYS(openat, AT_FDCWD, "/dev/hwrng", O_WRONLY), EINVAL);
	ERR(SYS(openat, AT_FDCWD, "/dev/hwrng", O_RDWR), EINVAL);
	fd = OK(SYS(openat, AT_FDCWD, "/dev/hwrng", O_RDONLY));
	OK(SYS(fstat, fd, &st));
	T(S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 183) && (st.st_mode & 07777) == 0600);
	EQ(SYS(read, fd, one, sizeof(one)), (long)sizeof(one));
	EQ(SYS(pread64, fd, two, sizeof(two), 5), (long)sizeof(two));
	for (size_t i = 0; i < sizeof(one); i++)
		same += one[i] == two[i];
	T(same < 200); /* 12 on average */
	EQ(SYS(read, fd, one, 0), 0);
	EQ(SYS(lseek, fd, 7, SEEK_SET), 0);
	p.fd = (int)fd;
	EQ(poll(&p, 1, 0), 1);
	EQ(p.revents, POLLIN | POLLOUT);
	ERR(SYS(write, fd, one, 1), EBADF);
	ERR(SYS(ioctl, fd, 0x5401, &st), ENOTTY);
	ERR(SYS(mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
	ERR(SYS(read, fd, (void *)8, 16), EFAULT);
}

/* The names of the source and of the node that uevents would make. */
CASE(hwrng_sysfs, "sys:/sys/class/misc/hw_random")
{
	char text[128] = "";
	long fd = OK(SYS(openat, AT_FDCWD, "/sys/class/misc/hw_random/rng_current", O_RDONLY));
	long n = OK(SYS(read, fd, text, sizeof(text)));

	T(n > 3 && !strncmp(text, "virtio_rng.", 11) && text[n - 1] == '\n');
	fd = OK(SYS(openat, AT_FDCWD, "/sys/class/misc/hw_random/rng_available", O_RDONLY));
	T(SYS(read, fd, text, sizeof(text)) > 0 && strstr(text, "virtio_rng."));
	fd = OK(SYS(openat, AT_FDCWD, "/sys/class/misc/hw_random/uevent", O_RDONLY));
	memset(text, 0, sizeof(text));
	T(SYS(read, fd, text, sizeof(text) - 1) > 0 &&
		strstr(text, "MAJOR=10\nMINOR=183\nDEVNAME=hwrng\n"));
}

CASE(file_limit, "prlimit64:RLIMIT_FSIZE", "write:EFBIG", "ftruncate:EFBIG", "write:SIGXFSZ",
	"write:short at limit")
{
	struct {
		uint64_t soft, hard;
	} limit = {10, 10};
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	int st;

	OK(SYS(prlimit64, 0, RLIMIT_FSIZE, &limit, NULL));
	IN_CHILD(&st)
	{
		SYS(ftruncate, fd, 11);
	}
	T(WIFSIGNALED(st) && WTERMSIG(st) == SIGXFSZ);
	signal(SIGXFSZ, SIG_IGN);
	EQ(SYS(write, fd, "0123456789ab", 12), 10); /* short at limit */
	ERR(SYS(write, fd, "x", 1), EFBIG);
	ERR(SYS(ftruncate, fd, 11), EFBIG);
}

CASE(devices, "read:/dev/zero", "write:/dev/null", "write:ENOSPC", "read:/dev/null",
	"read:/dev/urandom", "lseek:/dev/null", "openat:/dev")
{
	char buf[64];
	long fd = OK(SYS(openat, AT_FDCWD, "/dev/zero", O_RDONLY));

	memset(buf, 1, sizeof(buf));
	EQ(SYS(read, fd, buf, 64), 64);
	EQ(buf[0] | buf[63], 0);
	fd = OK(SYS(openat, AT_FDCWD, "/dev/null", O_RDWR));
	EQ(SYS(write, fd, buf, 64), 64);
	EQ(SYS(read, fd, buf, 64), 0);
	EQ(SYS(lseek, fd, 5, SEEK_SET), 0);
	fd = OK(SYS(openat, AT_FDCWD, "/dev/full", O_RDWR));
	ERR(SYS(write, fd, buf, 64), ENOSPC);
	EQ(SYS(read, fd, buf, 64), 64);
	fd = OK(SYS(openat, AT_FDCWD, "/dev/urandom", O_RDONLY));
	EQ(SYS(read, fd, buf, 64), 64);
}

#define LONG_BYTES (48l << 20)
#define PIECES     48

/* A child that moves 48 MiB by one call is killed as soon as that has begun: it does not go on to
 * the end. What it was to move to is shared with this process, which sees how far it came. */
static long killed_in(bool reads, long fd, char *from, char *to, const volatile char *begun)
{
	struct iovec v[PIECES];
	long pid;

	for (int i = 0; i < PIECES; i++)
		v[i] = (struct iovec){(from ? from : to) + (from ? 0 : i * (LONG_BYTES / PIECES)),
			LONG_BYTES / PIECES};
	pid = OK(abi_fork());
	if (pid == 0) {
		if (reads)
			SYS(readv, fd, v, PIECES);
		else
			SYS(writev, fd, v, PIECES);
		abi_sleep_ms(20000);
		_exit(1);
	}
	for (struct stat st = {0}; begun ? *begun : st.st_size == 0;)
		if (!begun)
			OK(SYS(fstat, fd, &st));
	OK(SYS(kill, pid, SIGKILL));
	return abi_wait(pid);
}

CASE(killed_read, "readv:SIGKILL ends a long one", "kill:SIGKILL")
{
	char *to = (char *)OK(SYS(mmap, 0, LONG_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	long fd = OK(SYS(openat, AT_FDCWD, "/dev/zero", O_RDONLY));

	memset(to, 1, LONG_BYTES);
	EQ(killed_in(true, fd, NULL, to, to), SIGKILL);
	EQ(to[0], 0);
	EQ(to[LONG_BYTES - 1], 1); /* SIGKILL ends a long one */
}

CASE(killed_write, "writev:SIGKILL ends a long one", "kill:SIGKILL")
{
	char *from = (char *)OK(SYS(mmap, 0, LONG_BYTES / PIECES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_RDWR, 0600));
	struct stat st;

	EQ(killed_in(false, fd, from, NULL, NULL), SIGKILL);
	OK(SYS(fstat, fd, &st));
	T(st.st_size > 0);
	T(st.st_size < LONG_BYTES);                  /* SIGKILL ends a long one */
	EQ(SYS(lseek, fd, 0, SEEK_CUR), st.st_size); /* and what it did counts */
}

CASE(access_mode_3, "openat:access mode 3", "read:EBADF", "write:EBADF", "mmap:EACCES",
	"openat:EACCES", "openat:EINVAL", "setresuid:user")
{
	struct stat st;
	long fd;
	char c;

	/* open(2), NOTES: neither reads nor writes, needs the right to both, is good for ioctl. */
	OK(SYS(close, OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_WRONLY, 0444))));
	fd = OK(SYS(openat, AT_FDCWD, "f", 3));
	ERR(SYS(read, fd, &c, 1), EBADF);
	ERR(SYS(write, fd, "x", 1), EBADF);
	ERR(SYS(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
	OK(SYS(fstat, fd, &st));
	EQ(SYS(fcntl, fd, F_GETFL) & O_ACCMODE, 3);
	EQ(SYS(lseek, fd, 3, SEEK_SET), 3);
	OK(SYS(mknodat, AT_FDCWD, "p", S_IFIFO | 0600, 0));
	ERR(SYS(openat, AT_FDCWD, "p", 3), EINVAL); /* no end of a FIFO */
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(openat, AT_FDCWD, "f", 3), EACCES);
}
