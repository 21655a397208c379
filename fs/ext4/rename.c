/* rename(2): up to four inodes and two entries in one delta. Theory in main.c. */
#include "names.h"

#define EXCHANGE 2u

struct move {
	struct ext4_inode_ref old_dir, new_dir, inode, replaced;
	struct ext4_inode_ref *to; /* new_dir, or old_dir where both are one */
	const char *old_name, *new_name;
	u32 old_len, new_len;
	bool has_replaced, exchange, one_dir;
};

/* The entry names another inode from now on. */
static answer_t entry_point(struct ext4 *e, struct ext4_inode_ref *dir,
	const struct ext4_found *found, const struct ext4_inode_ref *to)
{
	u8 *copy = sdk_fs_edit(e->ctx, found->physical, e->block_bytes);
	struct ext4_dirent *d;

	if (!copy)
		return ext4_error(e);
	d = (struct ext4_dirent *)(copy + found->offset);
	d->inode = le32_make((u32)to->ino);
	d->file_type = ext4_file_type(e, to->f.mode);
	ext4_dir_checksum(e, dir, copy);
	return 0;
}

/* A directory moved: its ".." names the new parent. Its first block is a leaf or the root of an
 * index. */
static answer_t dotdot_point(struct ext4 *e, struct ext4_inode_ref *dir, u64 parent)
{
	bool index = dir->b.flags & FL_INDEX && e->compat & COMPAT_DIR_INDEX;
	struct ext4_dirent *d;
	const u8 *seen;
	u64 physical;
	u8 *copy;
	answer_t a = ext4_dir_block(e, dir, 0, !index, &seen, &physical);

	if (a)
		return a;
	d = (struct ext4_dirent *)(uintptr_t)(seen + 12);
	if (le16_get(((const struct ext4_dirent *)seen)->rec_len) != 12 || d->name_len != 2 ||
		memcmp(d->name, "..", 2))
		return ext4_corrupt(e, "directory block of inode", dir->ino);
	if (index && e->csum && !ext4_dx_check(e, dir, seen, 32))
		return ext4_corrupt(e, "index of directory", dir->ino);
	copy = sdk_fs_edit(e->ctx, physical, e->block_bytes);
	if (!copy)
		return ext4_error(e);
	((struct ext4_dirent *)(copy + 12))->inode = le32_make((u32)parent);
	if (index)
		ext4_dx_checksum(e, dir, copy, 32);
	else
		ext4_dir_checksum(e, dir, copy);
	return 0;
}

static answer_t exchange(struct ext4 *e, struct move *m, const struct ext4_found *from,
	const struct ext4_found *to)
{
	bool a_dir = MODE_TYPE(m->inode.f.mode) == MODE_DIR,
	     b_dir = MODE_TYPE(m->replaced.f.mode) == MODE_DIR;
	answer_t a = entry_point(e, &m->old_dir, from, &m->replaced);

	if (!a)
		a = entry_point(e, m->to, to, &m->inode);
	if (a || m->one_dir)
		return a;
	if (a_dir)
		a = dotdot_point(e, &m->inode, m->to->ino);
	if (!a && b_dir)
		a = dotdot_point(e, &m->replaced, m->old_dir.ino);
	if (a_dir && !b_dir) {
		ext4_links_less(&m->old_dir);
		ext4_links_more(e, m->to);
	} else if (b_dir && !a_dir) {
		ext4_links_less(m->to);
		ext4_links_more(e, &m->old_dir);
	}
	return a;
}

/* The entry of what is replaced names the moved inode from now on. */
static answer_t take_over(struct ext4 *e, struct move *m, const struct ext4_found *to)
{
	answer_t a;

	if (MODE_TYPE(m->replaced.f.mode) == MODE_DIR) {
		a = ext4_dir_empty(e, &m->replaced);
		if (a != 1)
			return a ? a : -ENOTEMPTY;
		ext4_links_less(m->to);
	}
	a = entry_point(e, m->to, to, &m->inode);
	return a ? a : ext4_link_drop(e, &m->replaced);
}

static answer_t add_new_name(struct ext4 *e, struct move *m, struct ext4_found *from)
{
	answer_t a = ext4_dir_add(e, m->to, m->new_name, m->new_len, m->inode.ino, m->inode.f.mode);

	/* A split may have moved the old entry within the same directory. */
	if (!a && m->one_dir) {
		a = ext4_dir_find(e, &m->old_dir, m->old_name, m->old_len, from);
		a = a == 1 ? 0 : a ? a : -ENOENT;
	}
	return a;
}

static answer_t replace(struct ext4 *e, struct move *m, struct ext4_found *from,
	const struct ext4_found *to)
{
	bool directory = MODE_TYPE(m->inode.f.mode) == MODE_DIR;
	answer_t a = m->has_replaced ? take_over(e, m, to) : add_new_name(e, m, from);

	if (!a)
		a = ext4_entry_remove(e, &m->old_dir, from);
	if (!a && directory && !m->one_dir) {
		a = dotdot_point(e, &m->inode, m->to->ino);
		ext4_links_less(&m->old_dir);
		ext4_links_more(e, m->to);
	}
	return a;
}

static answer_t move_write(struct ext4 *e, struct move *m)
{
	answer_t a;

	ext4_touch(e, &m->inode.f.ctime);
	ext4_dir_touched(e, &m->old_dir);
	a = ext4_inode_write(e, &m->inode, false, FS_TAKE_CTIME);
	if (!a && m->exchange) {
		ext4_touch(e, &m->replaced.f.ctime);
		a = ext4_inode_write(e, &m->replaced, false, FS_TAKE_CTIME);
	}
	if (!a)
		a = ext4_dir_write(e, &m->old_dir);
	if (!a && !m->one_dir) {
		ext4_dir_touched(e, m->to);
		a = ext4_dir_write(e, m->to);
	}
	return a;
}

answer_t ext4_rename(struct kabi_ctx *ctx, const struct fs_inode *old_dir, const void *old_name,
	u32 old_name_len, const struct fs_inode *new_dir, const void *new_name, u32 new_name_len,
	const struct fs_inode *inode, const struct fs_inode *replaced, u32 flags)
{
	struct ext4_found from, to = {};
	struct move *m;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	m = sdk_fs_scratch(ctx, sizeof(*m));
	if (!m)
		return ext4_error(&e);
	m->old_name = old_name;
	m->new_name = new_name;
	m->old_len = old_name_len;
	m->new_len = new_name_len;
	m->has_replaced = replaced->ino != 0;
	m->exchange = flags & EXCHANGE;
	m->one_dir = old_dir->ino == new_dir->ino;
	m->to = m->one_dir ? &m->old_dir : &m->new_dir;
	if (!ext4_ref_init(&e, &m->old_dir, old_dir) || !ext4_ref_init(&e, &m->new_dir, new_dir) ||
		!ext4_ref_init(&e, &m->inode, inode) ||
		(m->has_replaced && !ext4_ref_init(&e, &m->replaced, replaced)))
		return ext4_error(&e);
	a = ext4_dir_find(&e, &m->old_dir, old_name, old_name_len, &from);
	if (a != 1 || from.ino != inode->ino)
		return a < 0 ? a : -ENOENT;
	a = ext4_dir_find(&e, m->to, new_name, new_name_len, &to);
	if (a < 0)
		return a;
	if (a != m->has_replaced || (m->has_replaced && to.ino != replaced->ino))
		return a ? -EEXIST : -ENOENT;
	a = m->exchange ? exchange(&e, m, &from, &to) : replace(&e, m, &from, &to);
	return a ? a : move_write(&e, m);
}
