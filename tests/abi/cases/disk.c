/*
 * disk.c: what only a file system on a block device shows, and the block device itself. The suite
 * gives the guest a disk with ext4 on it and names it in ABI_DISK; without that the cases skip.
 */
#define ABI_FAMILY "disk"
#include "../abi.h"
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static const char *disk;

static void need_disk(void)
{
	disk = getenv("ABI_DISK");
	if (!disk)
		abi_skip("ABI_DISK names no disk");
}

static void mount_disk(unsigned long flags)
{
	need_disk();
	SYS(mkdirat, AT_FDCWD, "m", 0755);
	OK(SYS(mount, disk, "m", "ext4", flags, NULL));
}

static void unmount_disk(void)
{
	OK(SYS(umount2, "m", 0));
}

/* A name that no other case uses: the disk outlives a case. */
static const char *fresh(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "m/%s-%ld", name, SYS(getpid));
	return path;
}

CASE(mount_ext4, "mount:ext4", "umount2:writes back", "statfs:EXT4_SUPER_MAGIC",
	"fsync:data survives remount")
{
	char buf[16];
	struct statfs s;
	const char *name;
	long fd;

	mount_disk(0); /* ext4 */
	OK(SYS(statfs, "m", &s));
	EQ(s.f_type, 0xef53); /* EXT4_SUPER_MAGIC */
	name = fresh("f");
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0640));
	EQ(SYS(write, fd, "kept", 4), 4);
	OK(SYS(fsync, fd)); /* data survives remount */
	OK(SYS(close, fd));
	unmount_disk(); /* writes back */
	mount_disk(0);
	EQ(OK(abi_slurp(name, buf, sizeof(buf))), 4);
	T(strcmp(buf, "kept") == 0);
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
}

CASE(many_names, "getdents64:large directory", "openat:large directory", "unlinkat:large directory",
	"mkdirat:link count", "renameat2:across directories")
{
	char path[128];
	const char *dir;
	struct stat st;
	int seen = 0;
	static char buf[16384];
	long fd, got;

	mount_disk(0);
	dir = fresh("dir");
	OK(SYS(mkdirat, AT_FDCWD, dir, 0755));
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "%s/a-rather-long-name-number-%d", dir, i);
		OK(SYS(close, OK(SYS(openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL,
				      0600)))); /* large directory */
	}
	ERR(SYS(openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	fd = OK(SYS(openat, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
	while ((got = OK(SYS(getdents64, fd, buf, sizeof(buf)))) > 0)
		for (long at = 0; at < got; at += *(uint16_t *)(buf + at + 16))
			seen += buf[at + 19] == 'a';
	EQ(seen, 600);
	OK(SYS(close, fd));
	snprintf(path, sizeof(path), "%s/sub", dir);
	OK(SYS(mkdirat, AT_FDCWD, path, 0755));
	OK(SYS(newfstatat, AT_FDCWD, dir, &st, 0));
	EQ(st.st_nlink, 3); /* link count */
	OK(SYS(unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "%s/a-rather-long-name-number-%d", dir, i);
		if (i == 5)
			OK(SYS(renameat2, AT_FDCWD, path, AT_FDCWD, "m/moved",
				0)); /* across directories */
		else
			OK(SYS(unlinkat, AT_FDCWD, path, 0));
	}
	OK(SYS(unlinkat, AT_FDCWD, "m/moved", 0));
	OK(SYS(unlinkat, AT_FDCWD, dir, AT_REMOVEDIR));
	unmount_disk();
}

/* Six processes at once in one directory, one of which commits all the time: nobody's call may end
 * with an error because others changed the same blocks meanwhile. */
static void crowd_member(const char *dir, int member)
{
	char sub[96], file[128], moved[128];

	snprintf(sub, sizeof(sub), "%s/d%d", dir, member);
	snprintf(file, sizeof(file), "%s/f", sub);
	snprintf(moved, sizeof(moved), "%s/m%d", dir, member);
	for (int i = 0; i < 40; i++) {
		long fd;

		OK(SYS(mkdirat, AT_FDCWD, sub, 0755));
		ERR(SYS(mkdirat, AT_FDCWD, sub, 0755), EEXIST);
		fd = OK(SYS(openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_EXCL, 0600));
		EQ(SYS(write, fd, "crowd", 5), 5);
		if (!member)
			OK(SYS(fsync, fd));
		OK(SYS(close, fd));
		OK(SYS(renameat2, AT_FDCWD, file, AT_FDCWD, moved, 0));
		OK(SYS(unlinkat, AT_FDCWD, sub, AT_REMOVEDIR));
		OK(SYS(unlinkat, AT_FDCWD, moved, 0));
	}
}

CASE(crowd, "mkdirat:many at once", "openat:many at once", "renameat2:many at once",
	"unlinkat:many at once", "fsync:among others' changes")
{
	struct statfs before, after;
	const char *dir;
	long pid[6];

	mount_disk(0);
	dir = fresh("crowd");
	OK(SYS(mkdirat, AT_FDCWD, dir, 0755));
	OK(SYS(sync));
	OK(SYS(statfs, "m", &before));
	for (int i = 0; i < 6; i++) { /* many at once */
		pid[i] = OK(abi_fork());
		if (!pid[i]) {
			crowd_member(dir, i); /* among others' changes */
			_exit(0);
		}
	}
	for (int i = 0; i < 6; i++)
		abi_wait_ok(pid[i], __FILE__, __LINE__);
	OK(SYS(unlinkat, AT_FDCWD, dir, AT_REMOVEDIR));
	OK(SYS(sync));
	OK(SYS(statfs, "m", &after));
	EQ(after.f_ffree, before.f_ffree + 1);
	unmount_disk();
}

/* What unlink, or the last close, gave back is free when it returns; what a process held is free
 * when it has been waited for. */
CASE(freed_at_once, "unlinkat:space is free at once", "close:space is free at once",
	"wait4:space is free at once", "statfs:after unlink")
{
	static char data[400000];
	struct statfs before, after;
	const char *name;
	long fd, pid;

	mount_disk(0);
	name = fresh("freed");
	for (int i = 0; i < 30; i++) {
		fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL, 0600));
		EQ(SYS(write, fd, data, sizeof(data)), sizeof(data));
		OK(SYS(fsync, fd));
		OK(SYS(statfs, "m", &before));
		if (i % 3 == 0)
			OK(SYS(close, fd));
		OK(SYS(unlinkat, AT_FDCWD, name, 0)); /* space is free at once */
		if (i % 3 == 1)
			OK(SYS(close, fd)); /* space is free at once */
		if (i % 3 == 2) {
			pid = OK(abi_fork());
			if (!pid) {
				abi_sleep_ms(2);
				_exit(0);
			}
			OK(SYS(close, fd));
			abi_wait_ok(pid, __FILE__, __LINE__); /* space is free at once */
		}
		OK(SYS(statfs, "m", &after)); /* after unlink */
		EQ(after.f_ffree, before.f_ffree + 1);
		T(after.f_bfree >= before.f_bfree + sizeof(data) / after.f_bsize);
	}
	unmount_disk();
}

/* No sync is needed first: what nobody has written to the disk yet ends with the file. */
CASE(freed_while_dirty, "unlinkat:file never written back", "close:file never written back",
	"statfs:after unlink of unwritten data")
{
	static char data[100000];
	struct statfs before, after;
	const char *name;
	long fd;

	mount_disk(0);
	name = fresh("dirty");
	for (int i = 0; i < 40; i++) {
		fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL, 0600));
		EQ(SYS(write, fd, data, sizeof(data)), sizeof(data));
		OK(SYS(statfs, "m", &before));
		if (i % 2)
			OK(SYS(close, fd));
		OK(SYS(unlinkat, AT_FDCWD, name, 0)); /* file never written back */
		if (i % 2 == 0)
			OK(SYS(close, fd)); /* file never written back */
		OK(SYS(statfs, "m", &after));
		EQ(after.f_ffree, before.f_ffree + 1); /* after unlink of unwritten data */
		T(after.f_bfree >= before.f_bfree + sizeof(data) / after.f_bsize);
	}
	unmount_disk();
}

/* One process gives many blocks back and commits, again and again, while others change the same
 * bitmaps and tables: nobody's call may end with an error. */
static void free_and_commit(const char *dir, long end_ms)
{
	static char data[9000];
	char path[128];

	while (abi_now_ms() < end_ms) {
		for (int i = 0; i < 600; i++) {
			long fd;

			snprintf(path, sizeof(path), "%s/freed%d", dir, i);
			fd = OK(SYS(openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600));
			EQ(SYS(write, fd, data, sizeof(data)), sizeof(data));
			OK(SYS(close, fd));
		}
		OK(SYS(sync));
		for (int i = 0; i < 600; i++) {
			snprintf(path, sizeof(path), "%s/freed%d", dir, i);
			OK(SYS(unlinkat, AT_FDCWD, path, 0)); /* beside commits that free */
		}
		OK(SYS(sync));
	}
}

static void make_and_drop(const char *dir, int member, long end_ms)
{
	char path[128], data[64] = "";

	snprintf(path, sizeof(path), "%s/made%d", dir, member);
	while (abi_now_ms() < end_ms) {
		long fd = OK(SYS(openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL,
			0600)); /* beside commits that free */

		EQ(SYS(write, fd, data, sizeof(data)), sizeof(data));
		OK(SYS(close, fd));
		OK(SYS(unlinkat, AT_FDCWD, path, 0));
	}
}

CASE(freed_meanwhile, "openat:beside commits that free", "unlinkat:beside commits that free")
{
	long pid[5], end_ms;
	const char *dir;

	mount_disk(0);
	dir = fresh("freed");
	OK(SYS(mkdirat, AT_FDCWD, dir, 0755));
	end_ms = abi_now_ms() + 2000;
	for (int i = 0; i < 5; i++) {
		pid[i] = OK(abi_fork());
		if (pid[i])
			continue;
		if (i)
			make_and_drop(dir, i, end_ms);
		else
			free_and_commit(dir, end_ms);
		_exit(0);
	}
	for (int i = 0; i < 5; i++)
		abi_wait_ok(pid[i], __FILE__, __LINE__);
	OK(SYS(unlinkat, AT_FDCWD, dir, AT_REMOVEDIR));
	unmount_disk();
}

CASE(extents, "fallocate:mode 0", "ioctl:FS_IOC_FIEMAP", "lseek:SEEK_HOLE", "pwrite64:sparse",
	"ioctl:FS_IOC_GETFLAGS", "fallocate:FALLOC_FL_PUNCH_HOLE")
{
	uint64_t space[(sizeof(struct fiemap) + 8 * sizeof(struct fiemap_extent)) / 8] = {};
	struct fiemap *f = (struct fiemap *)space;
	const char *name;
	char buf[8] = "";
	int flags = 0;
	long fd;

	mount_disk(0);
	name = fresh("extents");
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600));
	EQ(SYS(pwrite64, fd, "one", 3, 0), 3);
	EQ(SYS(pwrite64, fd, "two", 3, 1 << 20), 3); /* sparse */
	EQ(SYS(lseek, fd, 0, SEEK_HOLE), 4096);
	EQ(SYS(lseek, fd, 4096, SEEK_DATA), 1 << 20);
	f->fm_length = ~0ull;
	f->fm_flags = FIEMAP_FLAG_SYNC;
	f->fm_extent_count = 8;
	OK(SYS(ioctl, fd, FS_IOC_FIEMAP, f));
	EQ(f->fm_mapped_extents, 2);
	EQ(f->fm_extents[1].fe_logical, 1 << 20);
	T(f->fm_extents[1].fe_flags & FIEMAP_EXTENT_LAST);
	OK(SYS(fallocate, fd, 0, 0, 2 << 20)); /* mode 0 */
	EQ(SYS(pread64, fd, buf, 3, 1 << 20), 3);
	T(memcmp(buf, "two", 3) == 0);
	EQ(SYS(pread64, fd, buf, 3, 100000), 3);
	EQ(buf[0] | buf[1] | buf[2], 0);
	OK(SYS(fallocate, fd, 3 /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */, 1 << 20, 4096));
	EQ(SYS(pread64, fd, buf, 3, 1 << 20), 3);
	EQ(buf[0], 0);
	OK(SYS(ioctl, fd, FS_IOC_GETFLAGS, &flags));
	T(flags & FS_EXTENT_FL);
	OK(SYS(close, fd));
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
}

CASE(big_writes, "write:large file", "read:large file", "ftruncate:frees blocks",
	"statfs:free blocks", "read:cold into fresh memory")
{
	static unsigned char block[1 << 16];
	struct statfs before, after;
	unsigned char *fresh_memory;
	const char *name;
	long fd;

	mount_disk(0);
	name = fresh("big");
	OK(SYS(statfs, "m", &before));
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < 64; i++) {
		memset(block, i + 1, sizeof(block));
		EQ(SYS(write, fd, block, sizeof(block)), sizeof(block)); /* large file */
	}
	OK(SYS(fsync, fd));
	OK(SYS(statfs, "m", &after));
	T(before.f_bfree - after.f_bfree >=
		(4ul << 20) / (unsigned long)before.f_bsize); /* free blocks */
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
	for (int i = 0; i < 64; i++) {
		EQ(SYS(read, fd, block, sizeof(block)), sizeof(block));
		T(block[0] == i + 1 && block[sizeof(block) - 1] == i + 1);
	}
	OK(SYS(close, fd));
	unmount_disk();
	mount_disk(0);
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR));
	fresh_memory = (unsigned char *)OK(SYS(mmap, 0, 4 << 20, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EQ(SYS(read, fd, fresh_memory, 4 << 20), 4 << 20); /* cold, into fresh memory */
	T(fresh_memory[0] == 1 && fresh_memory[(4 << 20) - 1] == 64);
	OK(SYS(ftruncate, fd, 0)); /* frees blocks */
	OK(SYS(fsync, fd));
	OK(SYS(close, fd));
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
}

CASE(device, "pread64:much at once", "ioctl:BLKGETSIZE64", "ioctl:BLKSSZGET", "ioctl:BLKFLSBUF",
	"openat:O_EXCL", "openat:EBUSY", "read:block device", "ioctl:BLKROGET", "lseek:SEEK_END",
	"ioctl:BLKBSZGET")
{
	unsigned char super[2048], *fresh_memory;
	uint64_t size = 0;
	int sector = 0, ro = 9;
	struct stat st;
	long fd;

	need_disk();
	fd = OK(SYS(openat, AT_FDCWD, disk, O_RDONLY));
	OK(SYS(fstat, fd, &st));
	T(S_ISBLK(st.st_mode));
	OK(SYS(ioctl, fd, BLKGETSIZE64, &size));
	T(size >= 1 << 20);
	OK(SYS(ioctl, fd, BLKSSZGET, &sector));
	T(sector == 512 || sector == 4096);
	OK(SYS(ioctl, fd, BLKBSZGET, &sector));
	T(sector >= 512);
	OK(SYS(ioctl, fd, BLKROGET, &ro));
	EQ(ro, 0);
	EQ(SYS(lseek, fd, 0, SEEK_END), size);
	EQ(SYS(pread64, fd, super, 1, (long)size), 0);
	EQ(SYS(lseek, fd, 1024, SEEK_SET), 1024);
	EQ(SYS(read, fd, super, 1024), 1024); /* block device */
	EQ(super[56] | super[57] << 8, 0xef53);
	/* Far from all that was read before, into memory that nobody has touched. */
	fresh_memory = (unsigned char *)OK(SYS(mmap, 0, 8 << 20, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EQ(SYS(pread64, fd, fresh_memory, 8 << 20, 40 << 20), 8 << 20); /* much at once */
	OK(SYS(ioctl, fd, BLKFLSBUF, 0));
	mount_disk(0);
	ERR(SYS(openat, AT_FDCWD, disk, O_RDWR | O_EXCL), EBUSY);
	unmount_disk();
	OK(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL));
	ERR(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL), EBUSY);
	OK(SYS(openat, AT_FDCWD, disk, O_RDONLY));
}

/* A node of the disk in a file system of its own: its end is the node's, not the device's. */
CASE(device_node, "mknodat:block device", "unlinkat:an open device's node", "pwrite64:ENOSPC",
	"fsync:block device", "fdatasync:block device", "sync_file_range:block device",
	"ioctl:BLKFLSBUF keeps contents")
{
	unsigned char was[4096], now[4096];
	uint64_t size = 0, after = 0;
	struct stat st;
	bool nodev;
	long fd;

	need_disk();
	OK(SYS(newfstatat, AT_FDCWD, disk, &st, 0));
	EQ(st.st_size, 0);
	OK(SYS(mkdirat, AT_FDCWD, "m", 0755));
	OK(SYS(mknodat, AT_FDCWD, "m/node", S_IFBLK | 0600, st.st_rdev)); /* block device */
	fd = SYS(openat, AT_FDCWD, "m/node", O_RDWR);
	nodev = fd == -EACCES;
	if (nodev) {
		OK(SYS(mount, "none", "m", "tmpfs", 0, NULL));
		OK(SYS(mknodat, AT_FDCWD, "m/node", S_IFBLK | 0600, st.st_rdev));
		fd = OK(SYS(openat, AT_FDCWD, "m/node", O_RDWR));
	}
	OK(fd);
	OK(SYS(ioctl, fd, BLKGETSIZE64, &size));
	OK(SYS(fstat, fd, &st));
	EQ(st.st_size, 0);
	/* As it was: the disk may be mounted. */
	EQ(SYS(pread64, fd, was, 512, 0), 512);
	EQ(SYS(pwrite64, fd, was, 512, 0), 512);
	OK(SYS(fsync, fd));
	OK(SYS(fdatasync, fd));
	OK(SYS(sync_file_range, fd, 0, 512, SYNC_FILE_RANGE_WRITE));
	OK(SYS(ioctl, fd, BLKFLSBUF, 0)); /* keeps contents */
	EQ(SYS(pread64, fd, now, 512, 0), 512);
	T(memcmp(was, now, 512) == 0);
	ERR(SYS(pwrite64, fd, was, 512, size), ENOSPC);

	OK(SYS(unlinkat, AT_FDCWD, "m/node", 0)); /* an open device's node */
	EQ(SYS(pread64, fd, now, 512, 0), 512);
	OK(SYS(close, fd));
	if (nodev)
		OK(SYS(umount2, "m", 0));
	OK(SYS(sync));
	fd = OK(SYS(openat, AT_FDCWD, disk, O_RDONLY));
	OK(SYS(ioctl, fd, BLKGETSIZE64, &after));
	EQ(after, size);
	EQ(SYS(pread64, fd, now, 512, 0), 512);
	T(memcmp(was, now, 512) == 0);
	EQ(SYS(pread64, fd, now, 4096, (long)size - 4096), 4096);
	OK(SYS(close, fd));
}

CASE(mount_errors, "mount:EBUSY", "mount:EINVAL", "mount:ENOTBLK", "mount:EROFS or loop")
{
	mount_disk(0);
	OK(SYS(mkdirat, AT_FDCWD, "n", 0755));
	ERR(SYS(mount, disk, "m", "ext4", 0, NULL), EBUSY); /* on the same directory again */
	ERR(SYS(mount, disk, "n", "ext4", MS_RDONLY, NULL), EBUSY); /* EROFS or loop: other flags */
	unmount_disk();
	ERR(SYS(mount, disk, "m", "tmpfs", 0, "bad=option"), EINVAL);
	ERR(SYS(mount, "/dev/null", "m", "ext4", 0, NULL), ENOTBLK);
	ERR(SYS(mount, disk, "m", "ext4", 0, "commit=1"), EINVAL); /* there is no journal on it */
	ERR(SYS(mount, disk, "m", "ext4", 0, "resuid=x"), EINVAL);
}

CASE(read_only_disk, "mount:MS_RDONLY", "openat:EROFS", "mount:MS_REMOUNT", "mkdirat:EROFS")
{
	const char *name;

	mount_disk(MS_RDONLY);
	name = fresh("f");
	ERR(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600), EROFS);
	ERR(SYS(mkdirat, AT_FDCWD, name, 0700), EROFS);
	OK(SYS(mount, "none", "m", NULL, MS_REMOUNT, NULL));
	OK(SYS(mkdirat, AT_FDCWD, name, 0700));
	OK(SYS(unlinkat, AT_FDCWD, name, AT_REMOVEDIR));
	unmount_disk();
}

CASE(links, "linkat:ext4", "symlinkat:fast and slow", "readlinkat:slow link",
	"newfstatat:times with nanoseconds", "utimensat:nanoseconds kept")
{
	struct timespec ts[2] = {{1234567890, 111111111}, {1234567891, 222222222}};
	char target[300], buf[400], second[80];
	const char *name;
	struct stat st;

	mount_disk(0);
	name = fresh("f");
	snprintf(second, sizeof(second), "%s.2", name);
	abi_file(name, "x");
	OK(SYS(linkat, AT_FDCWD, name, AT_FDCWD, second, 0)); /* ext4 */
	OK(SYS(utimensat, AT_FDCWD, name, ts, 0));            /* nanoseconds kept */
	unmount_disk();
	mount_disk(0);
	OK(SYS(newfstatat, AT_FDCWD, second, &st, 0)); /* times with nanoseconds */
	T(st.st_nlink == 2 && st.st_atim.tv_nsec == 111111111 && st.st_mtim.tv_nsec == 222222222);
	EQ(st.st_mtim.tv_sec, 1234567891);
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	OK(SYS(unlinkat, AT_FDCWD, second, 0));
	memset(target, 't', sizeof(target) - 1);
	target[299] = '\0';
	OK(SYS(symlinkat, target, AT_FDCWD, name));    /* slow: in a block of its own */
	OK(SYS(symlinkat, "short", AT_FDCWD, second)); /* fast: within the inode */
	unmount_disk();
	mount_disk(0);
	EQ(SYS(readlinkat, AT_FDCWD, name, buf, sizeof(buf)), 299);
	T(memcmp(buf, target, 299) == 0);
	EQ(SYS(readlinkat, AT_FDCWD, second, buf, sizeof(buf)), 5);
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	OK(SYS(unlinkat, AT_FDCWD, second, 0));
	unmount_disk();
}

CASE(second_mount, "mount:the same device at a second place", "mount:MS_RDONLY on a mounted device")
{
	struct stat first, second;
	const char *name;
	char buf[8];

	mount_disk(0);
	name = fresh("f");
	OK(SYS(mkdirat, AT_FDCWD, "n", 0755));
	OK(SYS(mount, disk, "n", "ext4", 0, NULL));
	ERR(SYS(mount, disk, "n", "ext4", 0, NULL), EBUSY);
	ERR(SYS(mount, disk, "n", "ext4", MS_RDONLY, NULL),
		EBUSY); /* MS_RDONLY on a mounted device */
	OK(SYS(newfstatat, AT_FDCWD, "m", &first, 0));
	OK(SYS(newfstatat, AT_FDCWD, "n", &second, 0));
	T(first.st_dev == second.st_dev && first.st_ino == second.st_ino);
	abi_file(name, "both");
	unmount_disk(); /* the other keeps it */
	ERR(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL), EBUSY);
	OK(SYS(mount, disk, "m", "ext4", 0, NULL));
	EQ(OK(abi_slurp(name, buf, sizeof(buf))), 4);
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	OK(SYS(umount2, "n", 0));
	unmount_disk();
	OK(SYS(close, OK(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL))));
}

CASE(claimed_device, "mount:EBUSY of a device open with O_EXCL", "umount2:frees the device at once")
{
	const char *name;
	long fd;

	need_disk();
	OK(SYS(mkdirat, AT_FDCWD, "m", 0755));
	fd = OK(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL));
	ERR(SYS(mount, disk, "m", "ext4", 0, NULL), EBUSY); /* EBUSY of a device open with O_EXCL */
	OK(SYS(close, fd));
	/* Write-back threads come by every few seconds: none may keep what is unmounted. */
	for (int i = 0; i < 60; i++) {
		OK(SYS(mount, disk, "m", "ext4", 0, NULL));
		name = fresh("f");
		abi_file(name, "x");
		abi_sleep_ms(100);
		OK(SYS(unlinkat, AT_FDCWD, name, 0));
		unmount_disk(); /* frees the device at once */
		OK(SYS(close, OK(SYS(openat, AT_FDCWD, disk, O_RDONLY | O_EXCL))));
	}
}

/* As `user` writes to `name` until there is no room: how many bytes went in, or -1. */
static long fill_as(unsigned user, const char *name)
{
	static char block[1 << 16];
	long pid, status = 0, fd, n;
	struct stat st;

	pid = OK(abi_fork());
	if (!pid) {
		SYS(setgid, user);
		SYS(setuid, user);
		fd = SYS(openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND, 0666);
		if (fd < 0)
			SYS(exit_group, 1);
		do
			n = SYS(write, fd, block, sizeof(block));
		while (n > 0);
		if (n != -ENOSPC || SYS(fsync, fd))
			SYS(exit_group, 2);
		SYS(exit_group, 0);
	}
	OK(SYS(wait4, pid, &status, 0, NULL));
	if (status)
		return -1;
	OK(SYS(newfstatat, AT_FDCWD, name, &st, 0));
	return st.st_size;
}

CASE(reserved_blocks, "statfs:available and free", "write:ENOSPC before root's blocks",
	"mount:resuid")
{
	unsigned char super[1024];
	struct statfs s, full;
	uint64_t reserved, held;
	const char *name, *second = "m/second";
	long fd;

	need_disk();
	fd = OK(SYS(openat, AT_FDCWD, disk, O_RDONLY));
	EQ(SYS(pread64, fd, super, sizeof(super), 1024), sizeof(super));
	OK(SYS(close, fd));
	reserved = *(uint32_t *)(super + 8);
	held = *(uint32_t *)(super + 4) / 50; /* at most 4096: our disk is small */
	mount_disk(0);
	OK(SYS(fchmodat, AT_FDCWD, "m", 0777));
	name = fresh("filled");
	OK(SYS(statfs, "m", &s));
	EQ(s.f_bfree - s.f_bavail, reserved + held); /* available and free */
	T(fill_as(1000, name) > 0);                  /* ENOSPC before root's blocks */
	OK(SYS(statfs, "m", &full));
	T(full.f_bfree >= reserved - 64 && full.f_bavail < 64);
	EQ(fill_as(1000, second), 0);
	T(fill_as(0, second) >= (long)(reserved / 2 * (uint64_t)s.f_bsize));
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	OK(SYS(unlinkat, AT_FDCWD, second, 0));
	unmount_disk();
	OK(SYS(mount, disk, "m", "ext4", 0, "resuid=1000"));
	T(fill_as(1000, name) > 0);
	OK(SYS(statfs, "m", &full));
	T(full.f_bfree < reserved / 2); /* resuid */
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
}

CASE(delayed_blocks, "statfs:unwritten data counts", "ftruncate:gives back what was not written")
{
	static char block[1 << 16];
	struct statfs before, dirty, after;
	const char *name;
	long fd;

	mount_disk(0);
	name = fresh("delayed");
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600));
	OK(SYS(statfs, "m", &before));
	for (int i = 0; i < 64; i++)
		EQ(SYS(write, fd, block, sizeof(block)), sizeof(block));
	OK(SYS(statfs, "m", &dirty));
	T(before.f_bfree - dirty.f_bfree >=
		(4ul << 20) / (unsigned long)before.f_bsize); /* unwritten data counts */
	OK(SYS(ftruncate, fd, 0));                            /* gives back what was not written */
	OK(SYS(fsync, fd));
	OK(SYS(statfs, "m", &after));
	EQ(after.f_bfree, before.f_bfree);
	/* Written twice before it reaches the disk, and over what is there: counted once. */
	for (int round = 0; round < 3; round++) {
		EQ(SYS(lseek, fd, 0, SEEK_SET), 0);
		for (int i = 0; i < 64; i++)
			EQ(SYS(write, fd, block, sizeof(block)), sizeof(block));
		if (round)
			OK(SYS(fsync, fd));
	}
	OK(SYS(statfs, "m", &after));
	T(before.f_bfree - after.f_bfree <= (4ul << 20) / (unsigned long)before.f_bsize + 4);
	OK(SYS(close, fd));
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
	mount_disk(0);
	OK(SYS(statfs, "m", &after));
	EQ(after.f_bfree, before.f_bfree);
	unmount_disk();
}

CASE(behind_the_end, "fallocate:FALLOC_FL_KEEP_SIZE", "ioctl:FS_IOC_FIEMAP behind the end")
{
	uint64_t space[(sizeof(struct fiemap) + 8 * sizeof(struct fiemap_extent)) / 8] = {};
	struct fiemap *f = (struct fiemap *)space;
	const char *name;
	uint64_t told = 0;
	struct stat st;
	long fd;

	mount_disk(0);
	name = fresh("behind");
	fd = OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600));
	EQ(SYS(write, fd, "x", 1), 1);
	OK(SYS(fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	OK(SYS(fstat, fd, &st));
	EQ(st.st_size, 1);
	f->fm_length = ~0ull;
	f->fm_flags = FIEMAP_FLAG_SYNC;
	f->fm_extent_count = 8;
	OK(SYS(ioctl, fd, FS_IOC_FIEMAP, f));
	T(f->fm_mapped_extents >= 2);
	for (unsigned i = 0; i < f->fm_mapped_extents; i++) {
		EQ(f->fm_extents[i].fe_logical, told);
		EQ((f->fm_extents[i].fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0, i > 0);
		EQ((f->fm_extents[i].fe_flags & FIEMAP_EXTENT_LAST) != 0,
			i + 1 == f->fm_mapped_extents);
		told += f->fm_extents[i].fe_length;
	}
	EQ(told, 1 << 20);
	OK(SYS(close, fd));
	OK(SYS(unlinkat, AT_FDCWD, name, 0));
	unmount_disk();
}
