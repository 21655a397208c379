/* paths.c: names, links, renames and the walk along them. */
#define ABI_FAMILY "paths"
#include "../abi.h"
#include <linux/fs.h>

static bool exists(const char *name)
{
	struct stat st;

	return SYS(newfstatat, AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static long ino_of(const char *name)
{
	struct stat st;

	OK(SYS(newfstatat, AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW));
	return (long)st.st_ino;
}

static long links_of(const char *name)
{
	struct stat st;

	OK(SYS(newfstatat, AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW));
	return (long)st.st_nlink;
}

static void make_dir(const char *name)
{
	OK(SYS(mkdirat, AT_FDCWD, name, 0755));
}

CASE(name_limits, "openat:ENAMETOOLONG", "mkdirat:ENAMETOOLONG", "symlinkat:ENAMETOOLONG")
{
	static char name[5000];

	memset(name, 'n', 255);
	OK(SYS(openat, AT_FDCWD, name, O_CREAT | O_RDWR, 0600));
	name[255] = 'n';
	ERR(SYS(openat, AT_FDCWD, name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
	ERR(SYS(mkdirat, AT_FDCWD, name, 0700), ENAMETOOLONG);
	/* A path of PATH_MAX bytes with its NUL is the longest one. */
	for (int i = 0; i < 4096; i += 2)
		memcpy(name + i, "./", 2);
	name[4095] = '\0';
	OK(SYS(openat, AT_FDCWD, name, O_RDONLY));
	memcpy(name + 4094, "./", 3);
	ERR(SYS(openat, AT_FDCWD, name, O_RDONLY), ENAMETOOLONG);
	ERR(SYS(symlinkat, name, AT_FDCWD, "l"), ENAMETOOLONG);
}

CASE(dirfd, "openat:EBADF", "openat:relative to dirfd", "openat:absolute ignores dirfd",
	"mkdirat:EBADF", "unlinkat:EBADF", "openat:ENOTDIR")
{
	long d, f;

	make_dir("d");
	abi_file("d/f", "x");
	d = OK(SYS(openat, AT_FDCWD, "d", O_RDONLY));
	f = OK(SYS(openat, d, "f", O_RDONLY)); /* relative to dirfd */
	OK(SYS(openat, 999, "/", O_RDONLY));   /* absolute ignores dirfd */
	ERR(SYS(openat, 999, "f", O_RDONLY), EBADF);
	ERR(SYS(openat, f, "x", O_RDONLY), ENOTDIR);
	ERR(SYS(mkdirat, 999, "x", 0700), EBADF);
	ERR(SYS(unlinkat, 999, "x", 0), EBADF);
	/* A removed directory still is one, but nothing can be made in it. */
	OK(SYS(unlinkat, d, "f", 0));
	OK(SYS(unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
	ERR(SYS(openat, d, "new", O_CREAT | O_RDWR, 0600), ENOENT);
}

CASE(symlink_loops, "openat:ELOOP", "newfstatat:ELOOP", "symlinkat:EEXIST", "symlinkat:ENOENT")
{
	struct stat st;
	char from[16], to[16];

	OK(SYS(symlinkat, "b", AT_FDCWD, "a"));
	OK(SYS(symlinkat, "a", AT_FDCWD, "b"));
	ERR(SYS(openat, AT_FDCWD, "a", O_RDONLY), ELOOP);
	ERR(SYS(newfstatat, AT_FDCWD, "a/x", &st, 0), ELOOP);
	/* Forty links in a row are followed, forty-one are not. */
	abi_file("l0", "x");
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "l%d", i);
		snprintf(to, sizeof(to), "l%d", i - 1);
		OK(SYS(symlinkat, to, AT_FDCWD, from));
	}
	OK(SYS(openat, AT_FDCWD, "l40", O_RDONLY));
	ERR(SYS(openat, AT_FDCWD, "l41", O_RDONLY), ELOOP);
	ERR(SYS(symlinkat, "x", AT_FDCWD, "a"), EEXIST);
	ERR(SYS(symlinkat, "", AT_FDCWD, "z"), ENOENT);
	ERR(SYS(symlinkat, "x", AT_FDCWD, ""), ENOENT);
}

CASE(symlink_walk, "openat:symlink to directory", "openat:dot dot", "openat:trailing slash",
	"readlinkat:length", "readlinkat:EINVAL", "readlinkat:ENOENT", "readlinkat:AT_EMPTY_PATH")
{
	char buf[32];
	long fd;

	make_dir("d");
	make_dir("d/e");
	abi_file("d/f", "x");
	OK(SYS(symlinkat, "d/e", AT_FDCWD, "l"));
	OK(SYS(openat, AT_FDCWD, "l/../f", O_RDONLY));          /* dot dot of the target */
	OK(SYS(openat, AT_FDCWD, "l/", O_RDONLY | O_NOFOLLOW)); /* trailing slash: followed */
	OK(SYS(openat, AT_FDCWD, ".//./d///e/.", O_RDONLY | O_DIRECTORY));
	EQ(SYS(readlinkat, AT_FDCWD, "l", buf, sizeof(buf)), 3);
	T(memcmp(buf, "d/e", 3) == 0);
	EQ(SYS(readlinkat, AT_FDCWD, "l", buf, 2), 2); /* length: cut, no NUL */
	ERR(SYS(readlinkat, AT_FDCWD, "d", buf, sizeof(buf)), EINVAL);
	ERR(SYS(readlinkat, AT_FDCWD, "l", buf, 0), EINVAL);
	ERR(SYS(readlinkat, AT_FDCWD, "gone", buf, 8), ENOENT);
	fd = OK(SYS(openat, AT_FDCWD, "l", O_PATH | O_NOFOLLOW));
	EQ(SYS(readlinkat, fd, "", buf, sizeof(buf)), 3); /* as AT_EMPTY_PATH, without a flag */
}

CASE(openat2, "openat2:RESOLVE_BENEATH", "openat2:RESOLVE_NO_SYMLINKS", "openat2:RESOLVE_IN_ROOT",
	"openat2:EXDEV", "openat2:ELOOP", "openat2:EINVAL", "openat2:E2BIG")
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = O_RDONLY};
	uint64_t big[4] = {O_RDONLY, 0, 0, 1};
	long d;

	make_dir("d");
	abi_file("d/f", "x");
	abi_file("f", "y");
	OK(SYS(symlinkat, "f", AT_FDCWD, "d/l"));
	d = OK(SYS(openat, AT_FDCWD, "d", O_RDONLY));
	OK(SYS(openat2, d, "l", &how, sizeof(how)));
	how.resolve = 0x08; /* RESOLVE_BENEATH */
	OK(SYS(openat2, d, "f", &how, sizeof(how)));
	ERR(SYS(openat2, d, "../f", &how, sizeof(how)), EXDEV);
	ERR(SYS(openat2, d, "/", &how, sizeof(how)), EXDEV);
	how.resolve = 0x04; /* RESOLVE_NO_SYMLINKS */
	ERR(SYS(openat2, d, "l", &how, sizeof(how)), ELOOP);
	how.resolve = 0x10; /* RESOLVE_IN_ROOT */
	OK(SYS(openat2, d, "/../../f", &how, sizeof(how)));
	how.resolve = 1ull << 60;
	ERR(SYS(openat2, d, "f", &how, sizeof(how)), EINVAL);
	how.resolve = 0;
	how.mode = 0600;
	ERR(SYS(openat2, d, "f", &how, sizeof(how)), EINVAL); /* a mode without O_CREAT */
	ERR(SYS(openat2, d, "f", &how, 8), EINVAL);
	ERR(SYS(openat2, d, "f", big, sizeof(big)), E2BIG);
}

CASE(link, "linkat:hard link", "linkat:EEXIST", "linkat:EPERM", "linkat:ENOENT",
	"linkat:AT_EMPTY_PATH", "linkat:EXDEV", "linkat:EINVAL")
{
	long fd;

	abi_file("f", "x");
	make_dir("d");
	OK(SYS(linkat, AT_FDCWD, "f", AT_FDCWD, "g", 0)); /* hard link */
	EQ(ino_of("f"), ino_of("g"));
	EQ(links_of("f"), 2);
	ERR(SYS(linkat, AT_FDCWD, "f", AT_FDCWD, "g", 0), EEXIST);
	ERR(SYS(linkat, AT_FDCWD, "d", AT_FDCWD, "h", 0), EPERM);
	ERR(SYS(linkat, AT_FDCWD, "gone", AT_FDCWD, "h", 0), ENOENT);
	ERR(SYS(linkat, AT_FDCWD, "f", AT_FDCWD, "h", 0x8000), EINVAL);
	ERR(SYS(linkat, AT_FDCWD, "/proc/version", AT_FDCWD, "h", 0), EXDEV);
	/* A link is linked itself unless AT_SYMLINK_FOLLOW says otherwise. */
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(linkat, AT_FDCWD, "l", AT_FDCWD, "l2", 0));
	EQ(ino_of("l"), ino_of("l2"));
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(linkat, fd, "", AT_FDCWD, "h", AT_EMPTY_PATH));
	EQ(links_of("f"), 3);
}

CASE(unlink, "unlinkat:open file lives", "unlinkat:EISDIR", "unlinkat:ENOENT", "unlinkat:ENOTDIR",
	"unlinkat:EINVAL")
{
	struct stat st;
	char c;
	long fd;

	abi_file("f", "x");
	make_dir("d");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR));
	OK(SYS(unlinkat, AT_FDCWD, "f", 0));
	T(!exists("f"));
	EQ(SYS(read, fd, &c, 1), 1); /* open file lives */
	EQ(SYS(write, fd, "more", 4), 4);
	OK(SYS(fstat, fd, &st));
	EQ(st.st_nlink, 0);
	EQ(st.st_size, 5);
	ERR(SYS(unlinkat, AT_FDCWD, "d", 0), EISDIR);
	ERR(SYS(unlinkat, AT_FDCWD, "f", 0), ENOENT);
	abi_file("g", "");
	ERR(SYS(unlinkat, AT_FDCWD, "g/", 0), ENOTDIR);
	ERR(SYS(unlinkat, AT_FDCWD, "g", AT_REMOVEDIR), ENOTDIR);
	ERR(SYS(unlinkat, AT_FDCWD, "g", 0x8000), EINVAL);
}

CASE(rmdir, "unlinkat:AT_REMOVEDIR", "unlinkat:ENOTEMPTY", "unlinkat:EBUSY", "mkdirat:EEXIST",
	"mkdirat:ENOENT", "mkdirat:ENOTDIR", "mkdirat:mode and umask", "mkdirat:link count")
{
	struct stat st;

	SYS(umask, 027);
	OK(SYS(mkdirat, AT_FDCWD, "d", 0777)); /* mode and umask */
	OK(SYS(newfstatat, AT_FDCWD, "d", &st, 0));
	EQ(st.st_mode, S_IFDIR | 0750);
	EQ(st.st_nlink, 2);
	OK(SYS(mkdirat, AT_FDCWD, "d/e/", 0777));
	EQ(links_of("d"), 3); /* link count */
	ERR(SYS(mkdirat, AT_FDCWD, "d", 0777), EEXIST);
	ERR(SYS(mkdirat, AT_FDCWD, "gone/d", 0777), ENOENT);
	abi_file("f", "");
	ERR(SYS(mkdirat, AT_FDCWD, "f/d", 0777), ENOTDIR);
	ERR(SYS(mkdirat, AT_FDCWD, "f", 0777), EEXIST);
	ERR(SYS(unlinkat, AT_FDCWD, "d", AT_REMOVEDIR), ENOTEMPTY);
	ERR(SYS(unlinkat, AT_FDCWD, "d/.", AT_REMOVEDIR), EINVAL);
	ERR(SYS(unlinkat, AT_FDCWD, "d/e/..", AT_REMOVEDIR), ENOTEMPTY);
	ERR(SYS(unlinkat, AT_FDCWD, "/proc", AT_REMOVEDIR), EBUSY);
	OK(SYS(unlinkat, AT_FDCWD, "d/e", AT_REMOVEDIR));
	EQ(links_of("d"), 2);
	OK(SYS(unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
}

CASE(rename_files, "renameat2:replaces", "renameat2:ENOENT", "renameat2:open target lives",
	"renameat2:same inode", "renameat2:EXDEV")
{
	char buf[4];
	long a, fd;

	abi_file("a", "A");
	abi_file("b", "B");
	a = ino_of("a");
	fd = OK(SYS(openat, AT_FDCWD, "b", O_RDONLY));
	OK(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 0)); /* replaces */
	T(!exists("a"));
	EQ(ino_of("b"), a);
	EQ(SYS(read, fd, buf, 4), 1); /* open target lives */
	EQ(buf[0], 'B');
	ERR(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "c", 0), ENOENT);
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "gone/c", 0), ENOENT);
	/* Two names of the same inode: nothing happens, both stay. */
	OK(SYS(linkat, AT_FDCWD, "b", AT_FDCWD, "c", 0));
	OK(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 0));
	T(exists("b") && exists("c"));
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "/proc/x", 0), EXDEV);
}

CASE(rename_dirs, "renameat2:ENOTEMPTY", "renameat2:EISDIR", "renameat2:ENOTDIR",
	"renameat2:EINVAL", "renameat2:moves directory", "renameat2:EBUSY")
{
	make_dir("a");
	make_dir("a/sub");
	make_dir("b");
	make_dir("full");
	abi_file("full/f", "");
	abi_file("f", "");
	ERR(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "full", 0), ENOTEMPTY);
	ERR(SYS(renameat2, AT_FDCWD, "f", AT_FDCWD, "b", 0), EISDIR);
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "f", 0), ENOTDIR);
	ERR(SYS(renameat2, AT_FDCWD, "f/", AT_FDCWD, "g", 0), ENOTDIR);
	ERR(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "a/sub/x", 0), EINVAL); /* into itself */
	ERR(SYS(renameat2, AT_FDCWD, ".", AT_FDCWD, "x", 0), EBUSY);
	ERR(SYS(renameat2, AT_FDCWD, "a/sub", AT_FDCWD, "a", 0), ENOTEMPTY);
	EQ(links_of("."), 5);
	OK(SYS(renameat2, AT_FDCWD, "a/sub", AT_FDCWD, "b",
		0)); /* an empty directory is replaced */
	OK(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "a/moved", 0)); /* moves directory */
	EQ(links_of("."), 4);
	EQ(links_of("a"), 3);
	EQ(ino_of("a/moved/.."), ino_of("a"));
}

CASE(rename_flags, "renameat2:RENAME_NOREPLACE", "renameat2:EEXIST", "renameat2:RENAME_EXCHANGE",
	"renameat2:EINVAL")
{
	long a, d;

	abi_file("a", "A");
	make_dir("d");
	a = ino_of("a");
	d = ino_of("d");
	ERR(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE), EEXIST);
	OK(SYS(renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	OK(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE));
	EQ(ino_of("d"), a);
	EQ(ino_of("b"), d);
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "gone", RENAME_EXCHANGE), ENOENT);
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE | RENAME_NOREPLACE),
		EINVAL);
	ERR(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "d", 0x100), EINVAL);
}

CASE(cwd, "chdir:relative", "getcwd:length", "fchdir:directory", "chdir:ENOENT", "chdir:ENOTDIR",
	"fchdir:ENOTDIR", "fchdir:EBADF", "getcwd:ERANGE", "getcwd:ENOENT")
{
	char buf[PATH_MAX], base[PATH_MAX];
	long top, f, len;

	make_dir("d");
	abi_file("f", "");
	top = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));
	f = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	len = OK(SYS(getcwd, base, sizeof(base)));
	EQ(len, strlen(base) + 1); /* length: with its NUL */
	ERR(SYS(getcwd, buf, len - 1), ERANGE);
	ERR(SYS(getcwd, buf, 1), ERANGE);
	OK(SYS(chdir, "d")); /* relative */
	EQ(SYS(getcwd, buf, sizeof(buf)), len + 2);
	T(strncmp(buf, base, strlen(base)) == 0 && strcmp(buf + strlen(base), "/d") == 0);
	OK(SYS(chdir, ".."));
	OK(SYS(chdir, "d"));
	OK(SYS(fchdir, top)); /* directory */
	EQ(SYS(getcwd, buf, sizeof(buf)), len);
	ERR(SYS(chdir, "gone"), ENOENT);
	ERR(SYS(chdir, "f"), ENOTDIR);
	ERR(SYS(fchdir, f), ENOTDIR);
	ERR(SYS(fchdir, 999), EBADF);
	OK(SYS(chdir, "d"));
	OK(SYS(unlinkat, top, "d", AT_REMOVEDIR));
	ERR(SYS(getcwd, buf, sizeof(buf)), ENOENT);
	ERR(SYS(openat, AT_FDCWD, "x", O_CREAT | O_RDWR, 0600), ENOENT);
}

CASE(chroot, "chroot:dot dot stays", "chroot:ENOENT", "chroot:ENOTDIR", "chroot:EPERM",
	"chroot:absolute links", "setresuid:drops")
{
	char buf[64];

	make_dir("r");
	make_dir("r/in");
	abi_file("r/f", "in");
	abi_file("f", "out");
	OK(SYS(symlinkat, "/f", AT_FDCWD, "r/l"));
	ERR(SYS(chroot, "gone"), ENOENT);
	ERR(SYS(chroot, "f"), ENOTDIR);
	CHILD_OK
	{
		OK(SYS(chroot, "r"));
		OK(SYS(chdir, "/"));
		OK(abi_slurp("/../../f", buf, sizeof(buf))); /* dot dot stays */
		T(strcmp(buf, "in") == 0);
		OK(abi_slurp("l", buf, sizeof(buf))); /* absolute links begin at the new root */
		T(strcmp(buf, "in") == 0);
		EQ(SYS(getcwd, buf, sizeof(buf)), 2);
		OK(SYS(setresuid, 1000, 1000, 1000)); /* drops the capability */
		ERR(SYS(chroot, "in"), EPERM);
	}
}

CASE(access, "faccessat:F_OK", "faccessat:X_OK", "faccessat:EACCES", "faccessat:EINVAL",
	"faccessat2:AT_EACCESS", "faccessat2:AT_SYMLINK_NOFOLLOW", "faccessat:ENOENT",
	"faccessat2:EINVAL", "faccessat:R_OK")
{
	abi_file("f", "x");
	OK(SYS(symlinkat, "gone", AT_FDCWD, "l"));
	OK(SYS(faccessat, AT_FDCWD, "f", F_OK));
	OK(SYS(faccessat, AT_FDCWD, "f", R_OK | W_OK));
	/* Root may not execute what nobody may execute. */
	ERR(SYS(faccessat, AT_FDCWD, "f", X_OK), EACCES);
	ERR(SYS(faccessat, AT_FDCWD, "f", 8), EINVAL);
	ERR(SYS(faccessat, AT_FDCWD, "l", F_OK), ENOENT);
	OK(SYS(faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	ERR(SYS(faccessat2, AT_FDCWD, "f", F_OK, 0x4000), EINVAL);
	OK(SYS(fchmodat, AT_FDCWD, "f", 0600));
	/* The real user counts, unless AT_EACCESS says the effective one. */
	OK(SYS(setresuid, 1000, 0, 0));
	ERR(SYS(faccessat, AT_FDCWD, "f", R_OK), EACCES);
	OK(SYS(faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
}

CASE(chmod, "fchmodat:mode bits", "fchmod:mode bits", "fchmodat:ENOENT", "fchmodat:EPERM",
	"fchmod:EBADF", "fchmodat2:AT_SYMLINK_NOFOLLOW")
{
	struct stat st;
	long fd;

	abi_file("f", "x");
	OK(SYS(fchmodat, AT_FDCWD, "f", 07654)); /* mode bits */
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_mode, S_IFREG | 07654);
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(fchmod, fd, 0177777)); /* bits above the mode are dropped */
	OK(SYS(fstat, fd, &st));
	EQ(st.st_mode, S_IFREG | 07777);
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(fchmodat2, AT_FDCWD, "f", 0600, 0));
	ERR(SYS(fchmodat2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
	ERR(SYS(fchmodat, AT_FDCWD, "gone", 0600), ENOENT);
	ERR(SYS(fchmod, 999, 0600), EBADF);
	CHILD_OK
	{
		OK(SYS(setresuid, 1000, 1000, 1000));
		ERR(SYS(fchmodat, AT_FDCWD, "f", 0644), EPERM);
		ERR(SYS(fchmod, fd, 0644), EPERM);
	}
}

CASE(chown, "fchownat:owner", "fchown:-1 keeps", "fchownat:AT_SYMLINK_NOFOLLOW",
	"fchownat:AT_EMPTY_PATH", "fchownat:EPERM", "fchownat:clears set-id bits", "fchown:EBADF",
	"fchownat:EINVAL", "fchownat:ENOENT")
{
	struct stat st;
	long fd;

	abi_file("f", "x");
	OK(SYS(symlinkat, "f", AT_FDCWD, "l"));
	OK(SYS(fchmodat, AT_FDCWD, "f", 06755));
	OK(SYS(fchownat, AT_FDCWD, "f", 1000, 1001, 0)); /* owner */
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_uid, 1000);
	EQ(st.st_gid, 1001);
	EQ(st.st_mode, S_IFREG | 0755); /* clears set-id bits, for root too */
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	OK(SYS(fchown, fd, -1, 7)); /* -1 keeps */
	OK(SYS(fchownat, AT_FDCWD, "l", 5, 5, AT_SYMLINK_NOFOLLOW));
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	EQ(st.st_uid, 1000);
	EQ(st.st_gid, 7);
	OK(SYS(fchownat, fd, "", 1000, 1000, AT_EMPTY_PATH));
	ERR(SYS(fchownat, AT_FDCWD, "", 1, 1, 0), ENOENT);
	ERR(SYS(fchownat, AT_FDCWD, "f", 1, 1, 0x8000), EINVAL);
	ERR(SYS(fchown, 999, 1, 1), EBADF);
	OK(SYS(setresgid, 1000, 1000, 1000));
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(fchownat, AT_FDCWD, "f", 0, -1, 0), EPERM);
	ERR(SYS(fchownat, AT_FDCWD, "f", -1, 0, 0), EPERM);
	OK(SYS(fchownat, AT_FDCWD, "f", 1000, 1000, 0));
}

CASE(permissions, "openat:EACCES", "unlinkat:EACCES", "renameat2:EACCES", "mkdirat:EACCES",
	"newfstatat:EACCES", "linkat:EACCES", "symlinkat:EACCES", "chdir:EACCES")
{
	struct stat st;

	make_dir("d");
	abi_file("d/f", "x");
	make_dir("closed");
	abi_file("closed/f", "x");
	OK(SYS(fchmodat, AT_FDCWD, "closed", 0600));
	OK(SYS(fchmodat, AT_FDCWD, "d/f", 0640));
	OK(SYS(setresgid, 1000, 1000, 1000));
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(openat, AT_FDCWD, "d/f", O_RDONLY), EACCES);
	ERR(SYS(openat, AT_FDCWD, "d/new", O_CREAT | O_RDWR, 0600), EACCES);
	ERR(SYS(unlinkat, AT_FDCWD, "d/f", 0), EACCES);
	ERR(SYS(renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/g", 0), EACCES);
	ERR(SYS(mkdirat, AT_FDCWD, "d/sub", 0700), EACCES);
	ERR(SYS(newfstatat, AT_FDCWD, "closed/f", &st, 0), EACCES);
	ERR(SYS(linkat, AT_FDCWD, "d", AT_FDCWD, "closed/x", 0), EACCES);
	ERR(SYS(symlinkat, "x", AT_FDCWD, "d/l"), EACCES);
	ERR(SYS(chdir, "closed"), EACCES);
}

CASE(sticky, "unlinkat:EPERM", "renameat2:EPERM", "fchmodat:S_ISVTX", "mkdirat:S_ISGID inherited")
{
	struct stat st;

	make_dir("d");
	OK(SYS(fchmodat, AT_FDCWD, "d", S_ISVTX | 0777));
	abi_file("d/root", "x");
	make_dir("g");
	OK(SYS(fchownat, AT_FDCWD, "g", 0, 77, 0));
	OK(SYS(fchmodat, AT_FDCWD, "g", S_ISGID | 0777));
	OK(SYS(mkdirat, AT_FDCWD, "g/sub", 0755)); /* S_ISGID inherited */
	OK(SYS(newfstatat, AT_FDCWD, "g/sub", &st, 0));
	EQ(st.st_gid, 77);
	EQ(st.st_mode, S_IFDIR | S_ISGID | 0755);
	OK(SYS(setresgid, 1000, 1000, 1000));
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(unlinkat, AT_FDCWD, "d/root", 0), EPERM);
	ERR(SYS(renameat2, AT_FDCWD, "d/root", AT_FDCWD, "d/x", 0), EPERM);
	abi_file("d/mine", "x");
	OK(SYS(renameat2, AT_FDCWD, "d/mine", AT_FDCWD, "d/mine2", 0));
	OK(SYS(unlinkat, AT_FDCWD, "d/mine2", 0));
}

struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

CASE(getdents, "getdents64:entries", "getdents64:types", "getdents64:EINVAL", "getdents64:ENOTDIR",
	"getdents64:EBADF", "getdents64:rewind", "getdents64:d_off")
{
	static char buf[32768];
	int seen = 0, dots = 0, types = 0;
	char name[16];
	long fd, got, f, resume = -1;

	make_dir("d");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/n%d", i);
		abi_file(name, "");
	}
	make_dir("d/sub");
	OK(SYS(symlinkat, "x", AT_FDCWD, "d/link"));
	fd = OK(SYS(openat, AT_FDCWD, "d", O_RDONLY | O_DIRECTORY));
	while ((got = OK(SYS(getdents64, fd, buf, 1024))) > 0)
		for (long at = 0; at < got;) {
			struct dirent64 *e = (void *)(buf + at);

			T(e->reclen % 8 == 0 && at + e->reclen <= got && e->ino != 0);
			seen += e->name[0] == 'n'; /* entries */
			dots += strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0;
			types += strcmp(e->name, "sub") == 0 && e->type == 4;   /* types: DT_DIR */
			types += strcmp(e->name, "link") == 0 && e->type == 10; /* DT_LNK */
			at += e->reclen;
			if (seen == 100 && resume < 0)
				resume = e->off; /* d_off: where the rest begins */
		}
	EQ(seen, 300);
	EQ(dots, 2);
	EQ(types, 2);
	OK(SYS(lseek, fd, resume, SEEK_SET));
	T(OK(SYS(getdents64, fd, buf, sizeof(buf))) > 0);
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0); /* rewind */
	for (seen = 0; (got = OK(SYS(getdents64, fd, buf, sizeof(buf)))) > 0;)
		seen += (int)got;
	T(seen > 300 * 24);
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	ERR(SYS(getdents64, fd, buf, 4), EINVAL);
	f = OK(SYS(openat, AT_FDCWD, "d/n1", O_RDONLY));
	ERR(SYS(getdents64, f, buf, 1024), ENOTDIR);
	ERR(SYS(getdents64, 999, buf, 1024), EBADF);
}

CASE(getdents_removed, "getdents64:ENOENT")
{
	char buf[1024];
	long fd;

	make_dir("d");
	fd = OK(SYS(openat, AT_FDCWD, "d", O_RDONLY | O_DIRECTORY));
	OK(SYS(unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
	ERR(SYS(getdents64, fd, buf, sizeof(buf)), ENOENT);
}

CASE(getdents_fault, "getdents64:EFAULT loses nothing")
{
	char *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[1024];
	long fd;

	T(gone != MAP_FAILED);
	make_dir("d");
	abi_file("d/f", "");
	fd = OK(SYS(openat, AT_FDCWD, "d", O_RDONLY | O_DIRECTORY));
	ERR(SYS(getdents64, fd, gone, 4096), EFAULT);
	EQ(OK(SYS(getdents64, fd, buf, sizeof(buf))), 3 * 24); /* "f", "." and ".." are all there */
}

CASE(xattr, "setxattr:ENOTSUP", "getxattr:ENODATA", "listxattr:size", "setxattr:EINVAL",
	"removexattr:ENODATA", "fgetxattr:EBADF", "lgetxattr:ENODATA", "getxattr:ENOENT")
{
	char buf[64];

	abi_file("f", "x");
	/* A name without a known prefix is refused by every file system. */
	ERR(SYS(setxattr, "f", "nonsense.x", "1", 1, 0), ENOTSUP);
	ERR(SYS(setxattr, "f", "user.x", "1", 1, 0x80), EINVAL);
	/* Served or EOPNOTSUPP: both are answers of a Linux, silence is none. */
	long got = SYS(getxattr, "f", "user.none", buf, sizeof(buf));
	T(got == -ENODATA || got == -EOPNOTSUPP);
	EQ(SYS(lgetxattr, "f", "user.none", buf, sizeof(buf)), got);
	EQ(SYS(removexattr, "f", "user.none"), got);
	T(OK(SYS(listxattr, "f", NULL, 0)) >= 0); /* size */
	ERR(SYS(getxattr, "gone", "user.none", buf, sizeof(buf)), ENOENT);
	ERR(SYS(fgetxattr, 999, "user.none", buf, sizeof(buf)), EBADF);
}
