/* Attributes, sizes, extents, eviction of inodes: the rest of fs_call.h. Theory in fs_call.c. */
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
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	if (a->mask & FS_ATTR_UID)
		i->uid = a->uid;
	if (a->mask & FS_ATTR_GID)
		i->gid = a->gid;
	if (a->mask & FS_ATTR_ATIME)
		i->atime = a->atime;
	if (a->mask & FS_ATTR_MTIME)
		i->mtime = a->mtime;
	if (a->mask & FS_ATTR_CTIME)
		i->ctime = a->ctime;
	i->version++;
	spin_unlock(&i->obj.lock);
	inode_mark_dirty(i);
}

answer_t fs_setattr(struct call *c, struct inode *i, const struct fs_attr *attr)
{
	struct superblock *sb = i->sb;
	struct fs_inode now, wanted;
	struct fs_invoke v;
	answer_t a;

	if (sb->view) {
		if (attr->mask & (FS_ATTR_MODE | FS_ATTR_UID | FS_ATTR_GID)) {
			a = view_change(sb->view, c, i, attr->mask & FS_ATTR_MODE ? attr->mode : i->mode & 07777,
				attr->mask & FS_ATTR_UID ? attr->uid.value : i->uid.value, attr->mask & FS_ATTR_GID ? attr->gid.value : i->gid.value);
			if (answer_is_error(a))
				return a;
		}
		attr_store(i, attr);
		return 0;
	}
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(i, &now);
	if (attr->mask & FS_ATTR_SIZE) {
		if (!i->pages)
			return -EINVAL;
		a = fs_invoke_end(&v, filesystem_truncate(sb->fs, &v.ctx, &now, attr->size));
		if (answer_is_error(a))
			return a;
		memory_object_truncate(i->pages, attr->size);
	}
	if (attr->mask & ~FS_ATTR_SIZE) {
		wanted = now;
		wanted.mode = attr->mode;
		wanted.uid = attr->uid.value;
		wanted.gid = attr->gid.value;
		a = fs_invoke_end(&v, filesystem_set_attributes(sb->fs, &v.ctx, &now, &wanted, attr->mask & ~FS_ATTR_SIZE));
		if (answer_is_error(a))
			return a;
	}
	attr_store(i, attr);
	return 0;
}

#define FALLOC_FL_KEEP_SIZE  1u /* linux/falloc.h */
#define FALLOC_FL_PUNCH_HOLE 2u
#define FALLOC_FL_ZERO_RANGE 16u

/* Memory-backed files: preallocation only moves the size (pages come when touched), punching drops pages. */
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
	if (sb_names_resident(i->sb))
		return resident_fallocate(i, mode, offset, bytes);
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(i, &f);
	a = fs_invoke_end(&v, filesystem_fallocate(i->sb->fs, &v.ctx, &f, mode, offset, bytes));
	if (!answer_is_error(a) && !(mode & FALLOC_FL_KEEP_SIZE) && offset + bytes > inode_size(i))
		memory_object_truncate(i->pages, offset + bytes);
	return a;
}

answer_t fs_map(struct call *c, struct inode *i, u64 block, u64 nr, enum fs_map_intent intent, struct fs_extent *out, u32 max)
{
	struct fs_extent_row rows[8];
	struct fs_invoke v;
	struct fs_inode f;
	u64 next = block;
	answer_t a = fs_invoke_begin(&v, c, i->sb);

	if (a)
		return a;
	max = MIN(max, (u32)ARRAY_SIZE(rows));
	fs_inode_view(i, &f);
	a = fs_invoke_end(&v, filesystem_map(i->sb->fs, &v.ctx, &f, block, nr, intent, rows, max));
	if (answer_is_error(a))
		return a;
	if (a < 1 || a > (answer_t)max)
		return -EIO;
	for (u32 k = 0; k < (u32)a; k++) {
		/* FSC-I3: in order, without gaps, inside the device */
		if (rows[k].file_block != next || !rows[k].nr_blocks || !checked_add(next, rows[k].nr_blocks, &next))
			return -EIO;
		if (!(rows[k].flags & FS_EXTENT_HOLE) &&
			(rows[k].disk_block >= i->sb->total_blocks || rows[k].nr_blocks > i->sb->total_blocks - rows[k].disk_block))
			return -EIO;
		out[k] = (struct fs_extent){rows[k].file_block, rows[k].disk_block, rows[k].nr_blocks, rows[k].flags};
	}
	return a;
}

answer_t fs_xattr_get(struct call *c, struct inode *i, const char *name, void *buf, size_t size)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view || fs_invoke_begin(&v, c, i->sb))
		return -EOPNOTSUPP;
	fs_inode_view(i, &f);
	a = fs_invoke_end(&v, filesystem_xattr_get(i->sb->fs, &v.ctx, &f, name, (u32)strlen(name), buf, (u32)size));
	return size && a > (answer_t)size ? -EIO : a;
}

answer_t fs_xattr_set(struct call *c, struct inode *i, const char *name, const void *buf, size_t size, u32 flags)
{
	struct fs_invoke v;
	struct fs_inode f;

	if (i->sb->view || fs_invoke_begin(&v, c, i->sb))
		return -EOPNOTSUPP;
	fs_inode_view(i, &f);
	return fs_invoke_end(&v, filesystem_xattr_set(i->sb->fs, &v.ctx, &f, name, (u32)strlen(name), buf, (u32)size, flags));
}

answer_t fs_xattr_list(struct call *c, struct inode *i, char *buf, size_t size)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->sb->view || fs_invoke_begin(&v, c, i->sb))
		return -EOPNOTSUPP;
	fs_inode_view(i, &f);
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
			sb->free_inodes++;
		spin_unlock(&sb->obj.lock);
		return 0;
	}
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(i, &f);
	return fs_invoke_end(&v, filesystem_evict(sb->fs, &v.ctx, &f));
}
