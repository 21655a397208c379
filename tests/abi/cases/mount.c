/* mount.c: mounting, binding, remounting, unmounting, and what their flags forbid. */
#define ABI_FAMILY "mount"
#include "../abi.h"
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static void make_tmpfs(const char *dir, unsigned long flags, const char *options)
{
	OK(SYS(mkdirat, AT_FDCWD, dir, 0755));
	OK(SYS(mount, "none", dir, "tmpfs", flags, options));
}

static long remount(const char *dir, unsigned long flags)
{
	return SYS(mount, "none", dir, NULL, MS_REMOUNT | flags, NULL);
}

CASE(tmpfs, "mount:tmpfs", "umount2:value", "mount:hides what is below",
	"newfstatat:device of mount", "mount:options")
{
	struct stat below, above, root;

	OK(SYS(mkdirat, AT_FDCWD, "m", 0755));
	abi_file("m/under", "");
	OK(SYS(newfstatat, AT_FDCWD, "m", &below, 0));
	OK(SYS(mount, "none", "m", "tmpfs", 0, "mode=700,uid=7,size=1m"));
	OK(SYS(newfstatat, AT_FDCWD, "m", &above, 0));               /* tmpfs */
	T(above.st_dev != below.st_dev);                             /* device of mount */
	T(above.st_mode == (S_IFDIR | 0700) && above.st_uid == 7);   /* options */
	ERR(SYS(newfstatat, AT_FDCWD, "m/under", &root, 0), ENOENT); /* hides what is below */
	OK(SYS(newfstatat, AT_FDCWD, "m/..", &root, 0));
	OK(SYS(newfstatat, AT_FDCWD, ".", &below, 0));
	EQ(root.st_ino, below.st_ino);
	abi_file("m/inside", "");
	OK(SYS(umount2, "m", 0)); /* value */
	OK(SYS(newfstatat, AT_FDCWD, "m/under", &root, 0));
}

CASE(errors, "mount:ENODEV", "mount:ENOENT", "mount:ENOTDIR", "mount:EPERM", "umount2:EINVAL",
	"umount2:ENOENT", "umount2:EPERM", "mount:EFAULT", "mount:EINVAL", "mount:ENOTBLK",
	"umount2:EBUSY")
{
	OK(SYS(mkdirat, AT_FDCWD, "m", 0755));
	abi_file("f", "");
	ERR(SYS(mount, "none", "m", "no-such-type", 0, NULL), ENODEV);
	ERR(SYS(mount, "none", "gone", "tmpfs", 0, NULL), ENOENT);
	ERR(SYS(mount, "none", "f", "tmpfs", 0, NULL), ENOTDIR);
	ERR(SYS(mount, "none", "m", NULL, 0, NULL), EINVAL);
	ERR(SYS(mount, "none", (void *)-4096L, "tmpfs", 0, NULL), EFAULT);
	ERR(SYS(mount, "none", "m", "tmpfs", 0, "nonsense=1"), EINVAL);
	ERR(SYS(mount, "none", "m", NULL, MS_REMOUNT, NULL), EINVAL); /* no mount there */
	ERR(SYS(umount2, "m", 0), EINVAL);
	ERR(SYS(umount2, "gone", 0), ENOENT);
	ERR(SYS(umount2, "m", 0x80), EINVAL);
	ERR(SYS(mount, "f", "m", "ext4", 0, NULL), ENOTBLK);
	make_tmpfs("n", 0, NULL);
	OK(SYS(openat, AT_FDCWD, "n", O_RDONLY));
	ERR(SYS(umount2, "n", 0), EBUSY);
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(mount, "none", "m", "tmpfs", 0, NULL), EPERM);
	ERR(SYS(umount2, "n", 0), EPERM);
}

CASE(busy, "umount2:EBUSY", "umount2:MNT_DETACH", "umount2:MNT_EXPIRE", "umount2:EAGAIN",
	"umount2:UMOUNT_NOFOLLOW")
{
	long fd;

	make_tmpfs("m", 0, NULL);
	abi_file("m/f", "x");
	fd = OK(SYS(openat, AT_FDCWD, "m/f", O_RDWR));
	ERR(SYS(umount2, "m", 0), EBUSY);
	OK(SYS(umount2, "m", MNT_DETACH));
	EQ(SYS(write, fd, "still", 5), 5);
	ERR(SYS(openat, AT_FDCWD, "m/f", O_RDONLY), ENOENT);
	OK(SYS(close, fd));
	OK(SYS(mount, "none", "m", "tmpfs", 0, NULL));
	ERR(SYS(umount2, "m", MNT_EXPIRE), EAGAIN);
	OK(SYS(umount2, "m", MNT_EXPIRE)); /* not used since: it goes */
	OK(SYS(mount, "none", "m", "tmpfs", 0, NULL));
	OK(SYS(symlinkat, "m", AT_FDCWD, "l"));
	ERR(SYS(umount2, "l", UMOUNT_NOFOLLOW), EINVAL);
	OK(SYS(umount2, "l", 0));
}

CASE(bind, "mount:MS_BIND", "mount:MS_REC", "openat:through bind", "renameat2:EXDEV",
	"linkat:EXDEV")
{
	char buf[8];

	OK(SYS(mkdirat, AT_FDCWD, "a", 0755));
	OK(SYS(mkdirat, AT_FDCWD, "b", 0755));
	abi_file("a/f", "same");
	OK(SYS(mount, "a", "b", NULL, MS_BIND, NULL));
	OK(abi_slurp("b/f", buf, sizeof(buf))); /* through bind */
	T(strcmp(buf, "same") == 0);
	/* The same file system, and yet another mount. */
	ERR(SYS(renameat2, AT_FDCWD, "a/f", AT_FDCWD, "b/g", 0), EXDEV);
	ERR(SYS(linkat, AT_FDCWD, "a/f", AT_FDCWD, "b/g", 0), EXDEV);
	OK(SYS(umount2, "b", 0));
	abi_file("file", "bound");
	abi_file("onto", "under");
	OK(SYS(mount, "file", "onto", NULL, MS_BIND, NULL));
	OK(abi_slurp("onto", buf, sizeof(buf)));
	T(strcmp(buf, "bound") == 0);
	ERR(SYS(unlinkat, AT_FDCWD, "onto", 0), EBUSY);
	OK(SYS(umount2, "onto", 0));
	make_tmpfs("a/sub", 0, NULL);
	abi_file("a/sub/deep", "deep");
	OK(SYS(mount, "a", "b", NULL, MS_BIND, NULL));
	ERR(SYS(openat, AT_FDCWD, "b/sub/deep", O_RDONLY), ENOENT);
	OK(SYS(umount2, "b", 0));
	OK(SYS(mount, "a", "b", NULL, MS_BIND | MS_REC, NULL));
	OK(SYS(openat, AT_FDCWD, "b/sub/deep", O_RDONLY));
	OK(SYS(umount2, "b", MNT_DETACH));
	OK(SYS(umount2, "a/sub", MNT_DETACH));
}

/* proc_pid_mountinfo(5), field 4: the path of the mount's root within its file system, whole. */
CASE(bind_source, "proc:mountinfo root", "proc:mountinfo deleted root")
{
	static char text[65536];
	char cwd[PATH_MAX], want[PATH_MAX + 64];

	OK(SYS(getcwd, cwd, sizeof(cwd)));
	make_tmpfs("m", 0, NULL);
	OK(SYS(mkdirat, AT_FDCWD, "m/a", 0755));
	OK(SYS(mkdirat, AT_FDCWD, "m/a/b c", 0755));
	OK(SYS(mkdirat, AT_FDCWD, "at", 0755));
	abi_file("m/a/b c/file", "");
	abi_file("onto", "");
	OK(SYS(mount, "m/a/b c", "at", NULL, MS_BIND, NULL));
	OK(SYS(mount, "m/a/b c/file", "onto", NULL, MS_BIND, NULL));
	OK(abi_slurp("/proc/self/mountinfo", text, sizeof(text)));
	snprintf(want, sizeof(want), " / %s/m rw", cwd);
	T(strstr(text, want) != NULL);
	snprintf(want, sizeof(want), " /a/b\\040c %s/at rw", cwd); /* mountinfo root */
	T(strstr(text, want) != NULL);
	snprintf(want, sizeof(want), " /a/b\\040c/file %s/onto rw", cwd);
	T(strstr(text, want) != NULL);
	OK(SYS(renameat2, AT_FDCWD, "m/a", AT_FDCWD, "m/z", 0));
	OK(SYS(unlinkat, AT_FDCWD, "m/z/b c/file", 0));
	OK(abi_slurp("/proc/self/mountinfo", text, sizeof(text)));
	snprintf(want, sizeof(want), " /z/b\\040c %s/at rw", cwd);
	T(strstr(text, want) != NULL);
	snprintf(want, sizeof(want), " /z/b\\040c/file//deleted %s/onto rw",
		cwd); /* deleted root */
	T(strstr(text, want) != NULL);
	OK(SYS(umount2, "onto", 0));
	OK(SYS(umount2, "at", 0));
	OK(SYS(umount2, "m", 0));
}

CASE(read_only, "mount:MS_RDONLY", "mount:MS_REMOUNT", "openat:EROFS", "mkdirat:EROFS",
	"unlinkat:EROFS", "fchmodat:EROFS", "utimensat:EROFS", "faccessat:EROFS", "truncate:EROFS",
	"symlinkat:EROFS", "mknodat:EROFS", "linkat:EROFS", "fchownat:EROFS", "renameat2:EROFS",
	"mount:EBUSY")
{
	long fd;

	make_tmpfs("m", 0, NULL);
	abi_file("m/f", "x");
	fd = OK(SYS(openat, AT_FDCWD, "m/f", O_RDWR));
	ERR(remount("m", MS_RDONLY), EBUSY); /* MS_REMOUNT while a file is open for writing */
	OK(SYS(close, fd));
	OK(remount("m", MS_RDONLY));
	ERR(SYS(openat, AT_FDCWD, "m/f", O_RDWR), EROFS);
	ERR(SYS(openat, AT_FDCWD, "m/g", O_RDWR | O_CREAT, 0600), EROFS);
	OK(SYS(openat, AT_FDCWD, "m/f", O_RDONLY | O_CREAT, 0600)); /* exists: nothing to create */
	ERR(SYS(mkdirat, AT_FDCWD, "m/d", 0700), EROFS);
	ERR(SYS(unlinkat, AT_FDCWD, "m/f", 0), EROFS);
	ERR(SYS(fchmodat, AT_FDCWD, "m/f", 0700), EROFS);
	ERR(SYS(fchownat, AT_FDCWD, "m/f", 1, 1, 0), EROFS);
	ERR(SYS(utimensat, AT_FDCWD, "m/f", NULL, 0), EROFS);
	ERR(SYS(faccessat, AT_FDCWD, "m/f", W_OK), EROFS);
	ERR(SYS(truncate, "m/f", 0), EROFS);
	ERR(SYS(symlinkat, "x", AT_FDCWD, "m/l"), EROFS);
	ERR(SYS(mknodat, AT_FDCWD, "m/p", S_IFIFO | 0600, 0), EROFS);
	ERR(SYS(linkat, AT_FDCWD, "m/f", AT_FDCWD, "m/g", 0), EROFS);
	ERR(SYS(renameat2, AT_FDCWD, "m/f", AT_FDCWD, "m/g", 0), EROFS);
	OK(remount("m", 0));
	OK(SYS(openat, AT_FDCWD, "m/f", O_RDWR));
	OK(SYS(umount2, "m", MNT_DETACH));
}

CASE(restrictions, "mount:MS_NOEXEC", "mount:MS_NODEV", "execve:EACCES", "openat:EACCES",
	"mmap:EPERM", "statfs:flags", "mount:MS_NOSUID")
{
	char *argv[] = {"x", NULL};
	struct statfs s;
	long fd;

	make_tmpfs("m", MS_NOEXEC | MS_NODEV | MS_NOSUID, NULL);
	abi_file("m/prog", "#!/bin/sh\n");
	OK(SYS(fchmodat, AT_FDCWD, "m/prog", 0755));
	ERR(SYS(execve, "m/prog", argv, argv + 1), EACCES);
	fd = OK(SYS(openat, AT_FDCWD, "m/prog", O_RDONLY));
	ERR(SYS(mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0), EPERM);
	OK(SYS(mknodat, AT_FDCWD, "m/null", S_IFCHR | 0666, makedev(1, 3)));
	ERR(SYS(openat, AT_FDCWD, "m/null", O_RDONLY), EACCES);
	OK(SYS(statfs, "m", &s));
	/* flags */
	EQ(s.f_flags & (ST_NOEXEC | ST_NODEV | ST_NOSUID | ST_RDONLY),
		ST_NOEXEC | ST_NODEV | ST_NOSUID);
	OK(SYS(close, fd));
	OK(SYS(umount2, "m", 0));
}

CASE(bind_read_only, "mount:MS_BIND", "mount:MS_RDONLY", "openat:EROFS", "mount:per mount flags")
{
	OK(SYS(mkdirat, AT_FDCWD, "a", 0755));
	OK(SYS(mkdirat, AT_FDCWD, "b", 0755));
	abi_file("a/f", "x");
	OK(SYS(mount, "a", "b", NULL, MS_BIND, NULL));
	OK(SYS(mount, NULL, "b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
		NULL)); /* per mount flags */
	ERR(SYS(openat, AT_FDCWD, "b/f", O_RDWR), EROFS);
	OK(SYS(openat, AT_FDCWD, "a/f", O_RDWR));
	OK(SYS(umount2, "b", 0));
}

CASE(move, "mount:MS_MOVE", "mount:EINVAL", "mount:ELOOP")
{
	/* A mount below a shared one cannot be moved: make the case's own tree private first. */
	make_tmpfs("top", 0, NULL);
	OK(SYS(mount, NULL, "top", NULL, MS_PRIVATE, NULL));
	OK(SYS(chdir, "top"));
	make_tmpfs("a", 0, NULL);
	abi_file("a/f", "x");
	OK(SYS(mkdirat, AT_FDCWD, "a/d", 0755));
	OK(SYS(mkdirat, AT_FDCWD, "b", 0755));
	ERR(SYS(mount, "b", "a", NULL, MS_MOVE, NULL), EINVAL); /* b is no mount */
	ERR(SYS(mount, "a", "a/d", NULL, MS_MOVE, NULL), ELOOP);
	OK(SYS(mount, "a", "b", NULL, MS_MOVE, NULL));
	OK(SYS(openat, AT_FDCWD, "b/f", O_RDONLY));
	ERR(SYS(openat, AT_FDCWD, "a/f", O_RDONLY), ENOENT);
	OK(SYS(umount2, "b", MNT_DETACH));
	OK(SYS(chdir, ".."));
	OK(SYS(umount2, "top", MNT_DETACH));
}

CASE(stacked, "mount:over a mount", "umount2:uncovers", "proc:mounts lists")
{
	static char text[65536];
	char cwd[PATH_MAX], want[PATH_MAX + 32];

	make_tmpfs("m", 0, NULL);
	abi_file("m/first", "");
	OK(SYS(mount, "second", "m", "tmpfs", MS_NOSUID, "size=64k")); /* over a mount */
	ERR(SYS(openat, AT_FDCWD, "m/first", O_RDONLY), ENOENT);
	OK(SYS(getcwd, cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "second %s/m tmpfs rw,nosuid", cwd);
	OK(abi_slurp("/proc/self/mounts", text, sizeof(text))); /* mounts lists */
	T(strstr(text, want) != NULL);
	snprintf(want, sizeof(want), "%s/m rw,nosuid", cwd);
	OK(abi_slurp("/proc/self/mountinfo", text, sizeof(text)));
	T(strstr(text, want) != NULL);
	OK(SYS(umount2, "m", 0)); /* uncovers */
	OK(SYS(openat, AT_FDCWD, "m/first", O_RDONLY));
	OK(SYS(umount2, "m", MNT_DETACH));
}

CASE(full, "write:ENOSPC", "mount:size option", "statfs:free blocks", "openat:ENOSPC")
{
	static char block[65536];
	struct statfs s;
	char name[16];
	long fd, total = 0, got;

	make_tmpfs("m", 0, "size=256k,nr_inodes=20"); /* size option */
	fd = OK(SYS(openat, AT_FDCWD, "m/f", O_RDWR | O_CREAT, 0600));
	while ((got = SYS(write, fd, block, sizeof(block))) > 0)
		total += got;
	EQ(got, -ENOSPC);
	EQ(total, 256 << 10);
	OK(SYS(statfs, "m", &s));
	EQ(s.f_bfree, 0); /* free blocks */
	EQ(s.f_blocks, 64);
	OK(SYS(ftruncate, fd, 0));
	OK(SYS(statfs, "m", &s));
	EQ(s.f_bfree, 64);
	got = 0;
	for (int i = 0; i < 40 && got >= 0; i++) {
		snprintf(name, sizeof(name), "m/n%d", i);
		got = SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600);
	}
	EQ(got, -ENOSPC);
	OK(SYS(umount2, "m", MNT_DETACH));
}

CASE(pivot, "pivot_root:EINVAL", "pivot_root:EPERM", "pivot_root:ENOENT", "pivot_root:ENOTDIR")
{
	OK(SYS(mkdirat, AT_FDCWD, "d", 0755));
	abi_file("f", "");
	ERR(SYS(pivot_root, "gone", "d"), ENOENT);
	ERR(SYS(pivot_root, "f", "d"), ENOTDIR);
	ERR(SYS(pivot_root, "d", "d"), EINVAL); /* no mount */
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(pivot_root, "d", "d"), EPERM);
}
