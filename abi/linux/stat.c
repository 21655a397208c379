/* What files look like: stat, statx, statfs. */
#include "abi.h"

/* new_encode_dev of Linux: minor's low byte, 12 bits of major, the rest of minor. Core: 12 bits
 * major over 20 bits minor. */
u32 abi_dev_out(u32 dev)
{
	u32 minor = DEV_MINOR(dev);

	return (minor & 0xffu) | DEV_MAJOR(dev) << 8 | (minor & ~0xffu) << 12;
}

u32 abi_dev_in(u32 dev)
{
	return DEV_MAKE(dev >> 8 & 0xfffu, (dev & 0xffu) | (dev >> 12 & 0xfff00u));
}

static answer_t stat_out(struct call *c, const struct stat_info *i, vaddr_t user)
{
	struct user_stat s = {
		.dev = abi_dev_out((u32)i->dev),
		.ino = i->ino,
		.nlink = i->nlink,
		.mode = i->mode,
		.uid = i->uid.value,
		.gid = i->gid.value,
		.rdev = abi_dev_out((u32)i->rdev),
		.size = (s64)i->size,
		.blksize = i->blksize,
		.blocks = (s64)i->blocks_512,
		.atime = (typeof(s.atime))i->atime.sec,
		.atime_nsec = i->atime.nsec,
		.mtime = (typeof(s.mtime))i->mtime.sec,
		.mtime_nsec = i->mtime.nsec,
		.ctime = (typeof(s.ctime))i->ctime.sec,
		.ctime_nsec = i->ctime.nsec,
	};

	return abi_copy_out(c, user, &s);
}

static answer_t stat_at(struct call *c, s32 at, vaddr_t path, u32 flags, vaddr_t user)
{
	struct stat_info info;

	abi_try(vfs_stat(SLOT(VFS), c, at, path, flags, &info));
	return stat_out(c, &info, user);
}

answer_t sys_newfstatat(struct call *c)
{
	u32 flags = arg_uint(c, 3);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	/* Since 6.11 a null path with AT_EMPTY_PATH is the empty path. */
	if (!c->args[1] && !(flags & AT_EMPTY_PATH))
		return -EFAULT;
	return stat_at(c, arg_int(c, 0), c->args[1], flags, c->args[2]);
}

answer_t sys_fstat(struct call *c)
{
	struct stat_info info;

	abi_try(vfs_stat(SLOT(VFS), c, arg_int(c, 0), 0, AT_EMPTY_PATH, &info));
	return stat_out(c, &info, c->args[1]);
}

answer_t sys_stat(struct call *c)
{
	if (!c->args[0])
		return -EFAULT;
	return stat_at(c, AT_FDCWD_NR, c->args[0], 0, c->args[1]);
}

answer_t sys_lstat(struct call *c)
{
	if (!c->args[0])
		return -EFAULT;
	return stat_at(c, AT_FDCWD_NR, c->args[0], AT_SYMLINK_NOFOLLOW, c->args[1]);
}

#define STATX_BASIC_STATS 0x7ffu
#define STATX_BTIME       0x800u
#define STATX_MNT_ID      0x1000u
#define STATX_RESERVED    0x80000000u

static struct user_statx_time statx_time(const struct timespec64 *t)
{
	return (struct user_statx_time){.sec = t->sec, .nsec = t->nsec};
}

answer_t sys_statx(struct call *c)
{
	u32 flags = arg_uint(c, 2);
	struct stat_info i;
	struct user_statx s;

	if (arg_uint(c, 3) & STATX_RESERVED ||
		flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH |
				AT_STATX_SYNC_TYPE) ||
		(flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (!c->args[1] && !(flags & AT_EMPTY_PATH))
		return -EFAULT;
	abi_try(vfs_stat(SLOT(VFS), c, arg_int(c, 0), c->args[1], flags & ~AT_STATX_SYNC_TYPE, &i));
	s = (struct user_statx){
		.mask = STATX_BASIC_STATS | (i.result_mask & (STATX_BTIME | STATX_MNT_ID)),
		.blksize = i.blksize,
		.attributes = i.attributes,
		.nlink = i.nlink,
		.uid = i.uid.value,
		.gid = i.gid.value,
		.mode = (u16)i.mode,
		.ino = i.ino,
		.size = i.size,
		.blocks = i.blocks_512,
		.attributes_mask = i.attributes_mask,
		.atime = statx_time(&i.atime),
		.btime = statx_time(&i.btime),
		.ctime = statx_time(&i.ctime),
		.mtime = statx_time(&i.mtime),
		.rdev_major = DEV_MAJOR((u32)i.rdev),
		.rdev_minor = DEV_MINOR((u32)i.rdev),
		.dev_major = DEV_MAJOR((u32)i.dev),
		.dev_minor = DEV_MINOR((u32)i.dev),
		.mnt_id = i.mount_id,
	};
	return abi_copy_out(c, c->args[4], &s);
}

/* core/fs_call.h's struct, as the vfs contract passes it. */
#include <core/fs_call.h>

#define ST_VALID 0x20

static answer_t statfs_out(struct call *c, const struct fs_statfs *f, vaddr_t user)
{
	struct user_statfs s = {
		.type = (s64)f->type,
		.bsize = (s64)f->block_bytes,
		.blocks = f->blocks,
		.bfree = f->blocks_free,
		.bavail = f->blocks_available,
		.files = f->files,
		.ffree = f->files_free,
		.fsid = {(s32)f->fsid, (s32)(f->fsid >> 32)},
		.namelen = (s64)f->name_max,
		.frsize = (s64)f->block_bytes,
		.flags = (s64)f->flags | ST_VALID,
	};

	return abi_copy_out(c, user, &s);
}

answer_t sys_statfs(struct call *c)
{
	struct fs_statfs f;

	if (!c->args[0])
		return -EFAULT;
	abi_try(vfs_statfs(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], &f));
	return statfs_out(c, &f, c->args[1]);
}

answer_t sys_fstatfs(struct call *c)
{
	struct fs_statfs f;

	abi_try(vfs_statfs(SLOT(VFS), c, arg_int(c, 0), 0, &f));
	return statfs_out(c, &f, c->args[1]);
}
