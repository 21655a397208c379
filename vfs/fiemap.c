/*
 * FS_IOC_FIEMAP: which blocks of a file are where (Linux, Documentation/filesystems/fiemap.rst;
 * layout: linux/fiemap.h).
 *
 * Runs of blocks are asked of the file system one after another. An extent is told when the next
 * one is known, because only then it is known whether it is the last. Nothing is kept between runs
 * of a call: what was copied out is copied out again.
 */
#include "vfs_priv.h"

#define FIEMAP_FLAG_SYNC        1u
#define FIEMAP_FLAG_CACHE       4u
#define FIEMAP_EXTENT_LAST      1u
#define FIEMAP_EXTENT_UNWRITTEN 0x800u

struct fiemap_head {
	u64 start, length;
	u32 flags, mapped_extents, extent_count, reserved;
};
struct fiemap_extent {
	u64 logical, physical, length, reserved64[2];
	u32 flags, reserved[3];
};
static_assert(sizeof(struct fiemap_head) == 32 && sizeof(struct fiemap_extent) == 56);

#define FIEMAP_MAX_EXTENTS                                                                         \
	((u32)((~0u - sizeof(struct fiemap_head)) / sizeof(struct fiemap_extent)))

/* The pending extent goes to user space, unless the caller only counts. */
static answer_t extent_tell(struct call *c, u64 user, struct fiemap_head *h,
	const struct fiemap_extent *x)
{
	u64 at = user + sizeof(*h) + (u64)h->mapped_extents * sizeof(*x);
	answer_t a = h->extent_count ? call_copy_out(c, (vaddr_t)at, x, sizeof(*x)) : 0;

	if (!a)
		h->mapped_extents++;
	return a;
}

/* The extents of blocks [block, end). Stops when the caller's array is full. */
static answer_t extents_tell(struct call *c, struct inode *i, u64 user, struct fiemap_head *h,
	u64 block, u64 end, u64 file_end)
{
	u32 bytes = i->sb->block_bytes;
	struct fiemap_extent pending = {};

	while (block < file_end) {
		struct fs_extent e;
		answer_t a = fs_map(c, i, block, file_end - block, FS_MAP_READ, &e, 1);

		if (a < 0)
			return a;
		if (!(e.flags & FS_EXTENT_HOLE)) {
			if (pending.length) {
				a = extent_tell(c, user, h, &pending);
				if (a || (h->extent_count && h->mapped_extents == h->extent_count))
					return a;
				pending.length = 0;
			}
			if (block >= end)
				return 0;
			pending = (struct fiemap_extent){.logical = block * bytes,
				.physical = e.disk_block * bytes,
				.length = e.nr_blocks * bytes,
				.flags = e.flags & FS_EXTENT_UNWRITTEN ? FIEMAP_EXTENT_UNWRITTEN
								       : 0};
		}
		block += MAX(e.nr_blocks, 1);
	}
	if (!pending.length)
		return 0;
	pending.flags |= FIEMAP_EXTENT_LAST;
	return extent_tell(c, user, h, &pending);
}

answer_t vfs_fiemap(struct call *c, struct file *f, u64 user)
{
	struct inode *i = f->inode;
	struct superblock *sb = i->sb;
	struct fiemap_head h;
	u64 limit, block, end;
	answer_t a;

	if (!sb->fs || sb->flags & SB_NAMES_RESIDENT || !i->pages)
		return -EOPNOTSUPP;
	a = call_copy_in(c, &h, (vaddr_t)user, sizeof(h));
	if (a)
		return a;
	if (h.extent_count > FIEMAP_MAX_EXTENTS || !h.length)
		return -EINVAL;
	if (h.start > sb->max_file_bytes)
		return -EFBIG;
	if (h.flags & ~(FIEMAP_FLAG_SYNC | FIEMAP_FLAG_CACHE)) {
		h.flags &= ~(FIEMAP_FLAG_SYNC | FIEMAP_FLAG_CACHE);
		a = call_copy_out(c, (vaddr_t)user, &h, sizeof(h));
		return a ? a : -EBADR;
	}
	if (h.flags & FIEMAP_FLAG_SYNC) {
		if (!c->op_done)
			return file_node_sync(c, f, 0, ~0ull, 0);
		if (c->op_result)
			return c->op_result;
	}
	h.mapped_extents = 0;
	limit = sb->max_file_bytes /
		sb->block_bytes; /* blocks may lie behind the end: fallocate(2) */
	block = h.start / sb->block_bytes;
	end = h.length > sb->max_file_bytes - h.start
		      ? limit
		      : DIV_ROUND_UP(h.start + h.length, sb->block_bytes);
	a = extents_tell(c, i, user, &h, block, MIN(end, limit), limit);
	return a ? a : call_copy_out(c, (vaddr_t)user, &h, sizeof(h));
}
