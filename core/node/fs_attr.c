/* Attributes, sizes, extents, eviction of inodes: the rest of fs_call.h. Theory in fs_call.c. */
#include <core/block_cache.h>
#include <core/fs_type.h>
#include <core/task.h>
#include <core/time.h>
#include <kabi/view.h>
#include <lib/string.h>
#include "node_priv.h"

static void attr_store(struct inode *i, const struct fs_attr *a)
{
	spin_lock(&i->obj.lock);
	if (a->mask & FS_ATTR_MODE)
		WRITE_ONCE(i->mode, inode_type(i) | (a->mode & 07777));
	if (a->mask & FS_ATTR_UID)
		WRITE_ONCE(i->uid.value, a->uid.value);
	if (a->mask & FS_ATTR_GID)
		WRITE_ONCE(i->gid.value, a->gid.value);
	if (a->mask & FS_ATTR_ATIME)
		timespec64_store(&i->atime, a->atime);
	if (a->mask & FS_ATTR_MTIME)
		timespec64_store(&i->mtime, a->mtime);
	if (a->mask & FS_ATTR_CTIME)
		timespec64_store(&i->ctime, a->ctime);
	i->version++;
	spin_unlock(&i->obj.lock);
	inode_mark_dirty(i);
}

/* The page at `offset`, resident and dirty: its block will hold zeros where the file's contents
 * ended or were punched. 0, or a NEED. */
static answer_t edge_page(struct call *c, struct inode *i, u64 offset)
{
	u64 index = offset >> PAGE_SHIFT;
	struct frame *f;

	if (!(offset & (i->sb->block_bytes - 1)) || offset >= inode_size(i))
		return 0;
	f = call_page(c, i->pages, index);
	if (!f)
		return call_need_pages(c, NEED_PAGES_WRITE, i->pages, index, 1);
	memory_page_mark_dirty(i->pages, f);
	frame_unpin(f);
	inode_mark_dirty(i);
	return 0;
}

/* No block of the file's [from, to) is being written: what is given back may be somebody else's
 * soon, and a late write would hit that. 0, or a NEED. */
static answer_t pages_stable(struct call *c, struct memory_object *o, u64 from, u64 to)
{
	u64 first = from >> PAGE_SHIFT;

	if (!memory_object_writeback(o, first, (to - 1) >> PAGE_SHIFT))
		return 0;
	c->runs = 0; /* each wait is for a write that ends, however often others begin one */
	return call_need_pages(c, NEED_PAGES_STABLE, o, first,
		((to - 1) >> PAGE_SHIFT) - first + 1);
}

/* The pages go first: what is under write-back has ended, nothing allocates behind the new end any
 * more. */
static answer_t fs_truncate(struct call *c, struct inode *i, u64 size)
{
	struct fs_invoke v;
	struct fs_inode now;
	answer_t a;

	if (!i->pages)
		return -EINVAL;
	if (!sb_names_resident(i->sb)) {
		if (size > i->sb->max_file_bytes)
			return -EFBIG;
		if (size < inode_size(i)) {
			a = edge_page(c, i, size);
			if (!a)
				a = pages_stable(c, i->pages, size, ~0ull);
			if (a)
				return a;
			memory_object_truncate(i->pages, size);
		}
	}
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &now);
	a = fs_invoke_end(&v, filesystem_truncate(i->sb->fs, &v.ctx, &now, size));
	if (!answer_is_error(a))
		memory_object_truncate(i->pages, size);
	return a;
}

answer_t fs_setattr(struct call *c, struct inode *i, const struct fs_attr *attr)
{
	struct superblock *sb = i->sb;
	struct fs_inode now, wanted;
	struct fs_invoke v;
	answer_t a;

	if (sb->view) {
		if (attr->mask & (FS_ATTR_MODE | FS_ATTR_UID | FS_ATTR_GID)) {
			a = view_change(sb->view, c, i,
				attr->mask & FS_ATTR_MODE ? attr->mode : inode_mode(i) & 07777,
				attr->mask & FS_ATTR_UID ? attr->uid.value : inode_uid(i).value,
				attr->mask & FS_ATTR_GID ? attr->gid.value : inode_gid(i).value);
			if (answer_is_error(a))
				return a;
		}
		call_effect(c);
		attr_store(i, attr);
		return 0;
	}
	if (attr->mask & FS_ATTR_SIZE) {
		a = fs_truncate(c, i, attr->size);
		if (answer_is_error(a))
			return a;
	}
	if (attr->mask & (FS_ATTR_MODE | FS_ATTR_UID | FS_ATTR_GID)) {
		a = fs_invoke_begin(&v, c, sb);
		if (a)
			return a;
		fs_inode_view(&v, i, &now);
		wanted = now;
		wanted.mode = attr->mode;
		wanted.uid = attr->uid.value;
		wanted.gid = attr->gid.value;
		a = fs_invoke_end(&v, filesystem_set_attributes(sb->fs, &v.ctx, &now, &wanted,
					      attr->mask & ~FS_ATTR_SIZE));
		if (answer_is_error(a))
			return a;
	}
	call_effect(c);
	attr_store(i, attr);
	return 0;
}

#define FALLOC_FL_KEEP_SIZE  1u /* linux/falloc.h */
#define FALLOC_FL_PUNCH_HOLE 2u
#define FALLOC_FL_ZERO_RANGE 16u

/* Memory-backed files: preallocation only moves the size (pages come when touched), punching drops
 * pages. */
static answer_t resident_fallocate(struct inode *i, u32 mode, u64 offset, u64 bytes)
{
	u64 end = offset + bytes;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			return -EOPNOTSUPP;
		memory_object_zero_range(i->pages, offset, bytes);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > inode_size(i)) {
		memory_object_truncate(i->pages, end);
	}
	inode_touch(i, INODE_MTIME | INODE_CTIME);
	return 0;
}

answer_t fs_fallocate(struct call *c, struct inode *i, u32 mode, u64 offset, u64 bytes)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view || !i->pages)
		return -EOPNOTSUPP;
	if (sb_names_resident(i->sb)) {
		call_effect(c);
		return resident_fallocate(i, mode, offset, bytes);
	}
	if (mode & FALLOC_FL_PUNCH_HOLE && mode & FALLOC_FL_KEEP_SIZE) {
		a = edge_page(c, i, offset);
		if (!a)
			a = edge_page(c, i, offset + bytes);
		if (!a)
			a = pages_stable(c, i->pages, offset, offset + bytes);
		if (a)
			return a;
		memory_object_zero_range(i->pages, offset, bytes);
	}
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_fallocate(i->sb->fs, &v.ctx, &f, mode, offset, bytes));
	if (!answer_is_error(a))
		call_effect(c);
	if (!answer_is_error(a) && !(mode & FALLOC_FL_KEEP_SIZE) && offset + bytes > inode_size(i))
		memory_object_truncate(i->pages, offset + bytes);
	return a;
}

#define RESERVE_MARGIN 256u /* free blocks below which each reservation is looked at */
#define RESERVE_TREES  4u   /* for the trees that an allocation may grow */

/*
 * Reservations are core's: a counter that says ENOSPC at write() and not at write-back. Each page
 * that will be written counts once, with all its blocks (FRAME_DELAYED), from its first write until
 * write-back has allocated or the page is dropped. The component is asked only where there is
 * little left, to tell overwriting from growing.
 */

/* Who asks may use what is kept for root (ext4(5): resuid=, resgid=). */
static bool may_use_reserved(const struct context *ctx, const struct superblock *sb)
{
	return context_capable(ctx, CAP_SYS_RESOURCE) ||
	       kuid_eq(ctx->cred.fsuid, sb->reserved_uid) ||
	       (sb->reserved_gid.value && context_in_group(ctx, sb->reserved_gid));
}

u64 fs_free_blocks_for(const struct call *c, const struct superblock *sb)
{
	u64 kept = (u64)atomic_word_load(&sb->delayed_blocks), free = READ_ONCE(sb->free_blocks);

	if (sb->reserved_blocks && !may_use_reserved(c->ctx, sb))
		kept += sb->reserved_blocks;
	return free - MIN(free, kept);
}

/* Takes them if `spare` more would be left. */
static bool reserve_take(struct call *c, struct superblock *sb, u32 nr, u32 spare)
{
	if (fs_free_blocks_for(c, sb) <= (u64)nr + spare)
		return false;
	atomic_word_fetch_add(&sb->delayed_blocks, nr);
	if (fs_free_blocks_for(c, sb) > spare)
		return true;
	atomic_word_fetch_sub(&sb->delayed_blocks, nr); /* others were as fast */
	return false;
}

/* A block of [block, block+nr) is a hole: 1, 0, or a kind or error. */
static answer_t any_hole(struct call *c, struct inode *i, u64 block, u32 nr)
{
	struct fs_extent rows[8];
	u64 end = block + nr;

	while (block < end) {
		answer_t a = fs_map(c, i, block, end - block, FS_MAP_READ, rows, ARRAY_SIZE(rows));

		if (a < 1)
			return a ? a : -EIO;
		for (u32 k = 0; k < (u32)a; k++)
			if (rows[k].flags & FS_EXTENT_HOLE)
				return 1;
		block = rows[a - 1].file_block + rows[a - 1].nr_blocks;
	}
	return 0;
}

answer_t fs_reserve(struct call *c, struct inode *i, u64 block, u32 nr)
{
	struct superblock *sb = i->sb;
	answer_t a;

	if (sb->flags & SB_RDONLY)
		return -EROFS;
	if (!sb->block_cache)
		return 0;
	if (reserve_take(c, sb, nr, RESERVE_MARGIN))
		return 1;
	a = any_hole(c, i, block, nr);
	if (a != 1)
		return a;
	if (reserve_take(c, sb, nr, RESERVE_TREES))
		return 1;
	/* What was given back counts after the next commit; a need that brought nothing is answered
	 * by its error, -ENOSPC. */
	return call_need_blocks(c, sb, BLOCK_CACHE_COMMIT, 1);
}

void fs_unreserve(struct superblock *sb, u32 nr)
{
	atomic_word_fetch_sub(&sb->delayed_blocks, nr);
}

answer_t fs_map(struct call *c, struct inode *i, u64 block, u64 nr, enum fs_map_intent intent,
	struct fs_extent *out, u32 max)
{
	struct fs_extent_row rows[8];
	struct fs_invoke v;
	struct fs_inode f;
	u64 next = block;
	answer_t a;

	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	max = MIN(max, (u32)ARRAY_SIZE(rows));
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_map(i->sb->fs, &v.ctx, &f, block, nr, intent, rows, max));
	if (answer_is_error(a))
		return a;
	if (a < 1 || a > (answer_t)max)
		return -EIO;
	for (u32 k = 0; k < (u32)a; k++) {
		/* FSC-I3: in order, without gaps, inside the device */
		if (rows[k].file_block != next || !rows[k].nr_blocks ||
			!checked_add(next, rows[k].nr_blocks, &next))
			return -EIO;
		if (!(rows[k].flags & FS_EXTENT_HOLE) &&
			(rows[k].disk_block >= i->sb->total_blocks ||
				rows[k].nr_blocks > i->sb->total_blocks - rows[k].disk_block))
			return -EIO;
		out[k] = (struct fs_extent){rows[k].file_block, rows[k].disk_block,
			rows[k].nr_blocks, rows[k].flags};
	}
	return a;
}

answer_t fs_xattr_get(struct call *c, struct inode *i, const char *name, void *buf, size_t size)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view)
		return -EOPNOTSUPP;
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_xattr_get(i->sb->fs, &v.ctx, &f, name, (u32)strlen(name),
				      buf, (u32)size));
	return size && a > (answer_t)size ? -EIO : a;
}

answer_t fs_xattr_set(struct call *c, struct inode *i, const char *name, const void *buf,
	size_t size, u32 flags)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view)
		return -EOPNOTSUPP;
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_xattr_set(i->sb->fs, &v.ctx, &f, name, (u32)strlen(name),
				      buf, (u32)size, flags));
	if (!answer_is_error(a))
		call_effect(c);
	return a;
}

answer_t fs_xattr_list(struct call *c, struct inode *i, char *buf, size_t size)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view)
		return -EOPNOTSUPP;
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_xattr_list(i->sb->fs, &v.ctx, &f, buf, (u32)size));
	return size && a > (answer_t)size ? -EIO : a;
}

answer_t fs_evict(struct call *c, struct inode *i)
{
	struct superblock *sb = i->sb;
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (sb->view)
		return 0;
	if (sb_names_resident(sb)) {
		spin_lock(&sb->obj.lock);
		if (sb->total_inodes)
			WRITE_ONCE(sb->free_inodes, sb->free_inodes + 1);
		spin_unlock(&sb->obj.lock);
		return 0;
	}
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	return fs_invoke_end(&v, filesystem_evict(sb->fs, &v.ctx, &f));
}
