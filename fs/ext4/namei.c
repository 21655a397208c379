/* Making, linking and removing names. Theory in main.c. */
#include "ext4.h"
#include "names.h"

void ext4_links_more(const struct ext4 *e, struct ext4_inode_ref *dir)
{
	/* dir_nlink: past the limit the count is 1, "unknown" */
	if (dir->f.nlink == 1)
		return;
	dir->f.nlink = dir->f.nlink + 1 >= EXT4_LINK_MAX && e->ro_compat & RO_DIR_NLINK
			       ? 1
			       : dir->f.nlink + 1;
}

void ext4_links_less(struct ext4_inode_ref *dir)
{
	if (dir->f.nlink > 2)
		dir->f.nlink--;
}

void ext4_dir_touched(const struct ext4 *e, struct ext4_inode_ref *dir)
{
	ext4_touch(e, &dir->f.mtime);
	dir->f.ctime = dir->f.mtime;
}

#define TAKE_DIR (FS_TAKE_BODY | FS_TAKE_LINKS | FS_TAKE_MTIME | FS_TAKE_SIZE)
answer_t ext4_dir_write(struct ext4 *e, struct ext4_inode_ref *dir)
{
	return ext4_inode_write(e, dir, false, TAKE_DIR);
}

static void device_number(struct ext4_body *b, u32 rdev)
{
	le32_t *p = (le32_t *)b->i_block;
	u32 major = rdev >> 20, minor = rdev & 0xfffff;

	if (major < 256 && minor < 256)
		p[0] = le32_make(major << 8 | minor);
	else
		p[1] = le32_make((minor & 0xff) | major << 8 | (minor & ~0xffu) << 12);
}

static answer_t fill_directory(struct ext4 *e, struct ext4_inode_ref *dir, u64 parent)
{
	u64 logical, physical;
	u8 *data = ext4_dir_append(e, dir, &logical, &physical);
	struct ext4_dirent *d;

	if (!data)
		return ext4_error(e);
	ext4_dir_init(e, data);
	d = (struct ext4_dirent *)data;
	*d = (struct ext4_dirent){.inode = le32_make((u32)dir->ino),
		.rec_len = le16_make(12),
		.name_len = 1,
		.file_type = ext4_file_type(e, MODE_DIR)};
	d->name[0] = '.';
	d = (struct ext4_dirent *)(data + 12);
	*d = (struct ext4_dirent){.inode = le32_make((u32)parent),
		.rec_len = le16_make((u16)(ext4_dir_space(e) - 12)),
		.name_len = 2,
		.file_type = ext4_file_type(e, MODE_DIR)};
	memcpy(d->name, "..", 2);
	ext4_dir_checksum(e, dir, data);
	return 0;
}

static answer_t fill_symlink(struct ext4 *e, struct ext4_inode_ref *r, const void *target, u32 len)
{
	u64 physical;
	u32 got;
	answer_t a;
	u8 *data;

	r->f.size = len;
	if (len < sizeof(r->b.i_block)) {
		memset(r->b.i_block, 0, sizeof(r->b.i_block));
		memcpy(r->b.i_block, target, len);
		return 0;
	}
	ext4_extent_init(&r->b);
	a = ext4_alloc_blocks(e, r->goal, 1, &physical, &got);
	if (!a)
		a = ext4_extent_insert(e, r, 0, physical, 1, false);
	if (a)
		return a;
	data = sdk_fs_new(e->ctx, physical, e->block_bytes);
	if (!data)
		return ext4_error(e);
	memcpy(data, target, len);
	r->f.blocks_512 += e->block_bytes / 512;
	return 0;
}

static answer_t fill_inode(struct ext4 *e, struct ext4_inode_ref *r, const struct fs_create *what,
	u64 parent, const void *target, u32 target_len)
{
	switch (MODE_TYPE(what->mode)) {
	case MODE_DIR:
		ext4_extent_init(&r->b);
		return fill_directory(e, r, parent);
	case MODE_REG:
		ext4_extent_init(&r->b);
		return 0;
	case MODE_LNK:
		return fill_symlink(e, r, target, target_len);
	case MODE_CHR:
	case MODE_BLK:
		device_number(&r->b, what->rdev);
		return 0;
	case MODE_FIFO:
	case MODE_SOCK:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Generations make a reused number another inode: any value that differs from the one before will
 * do. */
static u32 generation_of(const struct ext4 *e, u64 ino)
{
	return (u32)(e->facts.now_seconds * 1000003) ^ e->facts.now_nanoseconds ^
	       (u32)ino * 0x9e3779b9u;
}

static answer_t new_inode(struct ext4 *e, struct ext4_inode_ref *r, u64 parent,
	const struct fs_create *what, bool named)
{
	bool directory = MODE_TYPE(what->mode) == MODE_DIR;
	u32 want = le16_get(e->sb->s_want_extra_isize);
	u64 ino;
	answer_t a = ext4_alloc_inode(e, parent, directory, &ino);

	if (a)
		return a;
	*r = (struct ext4_inode_ref){.ino = ino};
	r->f = (struct fs_inode){.ino = ino,
		.mode = what->mode,
		.uid = what->uid,
		.gid = what->gid,
		.rdev = what->rdev,
		.nlink = directory ? 2 : named,
		.generation = generation_of(e, ino)};
	ext4_touch(e, &r->f.btime);
	r->f.atime = r->f.mtime = r->f.ctime = r->f.btime;
	r->b = (struct ext4_body){.valid = EXT4_BODY_VALID};
	if (e->inode_bytes > INODE_OLD_BYTES)
		r->b.extra_isize =
			want >= 32 && want <= e->inode_bytes - INODE_OLD_BYTES && want % 4 == 0
				? want
				: 32;
	ext4_ref_fresh(e, r);
	return 0;
}

answer_t ext4_create(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_create *what, const void *target, u32 target_len,
	struct fs_inode *made)
{
	bool directory = MODE_TYPE(what->mode) == MODE_DIR;
	struct ext4_inode_ref d, r;
	struct ext4_found found;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (target_len >= e.block_bytes)
		return -ENAMETOOLONG;
	if (!ext4_ref_init(&e, &d, dir))
		return ext4_error(&e);
	if (directory && d.f.nlink >= EXT4_LINK_MAX && !(e.ro_compat & RO_DIR_NLINK))
		return -EMLINK;
	if (name_len) {
		a = ext4_dir_find(&e, &d, name, name_len, &found);
		if (a)
			return a == 1 ? -EEXIST : a;
	}
	a = new_inode(&e, &r, d.ino, what, name_len != 0);
	if (!a)
		a = fill_inode(&e, &r, what, d.ino, target, target_len);
	if (!a && name_len)
		a = ext4_dir_add(&e, &d, name, name_len, r.ino, what->mode);
	if (!a)
		a = ext4_inode_write(&e, &r, true, 0);
	if (a)
		return a;
	if (name_len) {
		if (directory)
			ext4_links_more(&e, &d);
		ext4_dir_touched(&e, &d);
		a = ext4_dir_write(&e, &d);
		if (a)
			return a;
	}
	*made = r.f;
	return 0;
}

answer_t ext4_link(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name, u32 name_len,
	const struct fs_inode *inode)
{
	struct ext4_inode_ref d, r;
	struct ext4_found found;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &d, dir) || !ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (r.f.nlink >= EXT4_LINK_MAX)
		return -EMLINK;
	a = ext4_dir_find(&e, &d, name, name_len, &found);
	if (a)
		return a == 1 ? -EEXIST : a;
	a = ext4_dir_add(&e, &d, name, name_len, r.ino, r.f.mode);
	if (a)
		return a;
	r.f.nlink++;
	ext4_touch(&e, &r.f.ctime);
	ext4_dir_touched(&e, &d);
	a = ext4_inode_write(&e, &r, false, FS_TAKE_LINKS | FS_TAKE_CTIME);
	return a ? a : ext4_dir_write(&e, &d);
}

/* The entry that was found leaves its block. */
answer_t ext4_entry_remove(struct ext4 *e, struct ext4_inode_ref *dir,
	const struct ext4_found *found)
{
	u8 *copy = sdk_fs_edit(e->ctx, found->physical, e->block_bytes);

	if (!copy)
		return ext4_error(e);
	ext4_dir_take(e, copy, found->offset);
	ext4_dir_checksum(e, dir, copy);
	return 0;
}

/* No name is left: its end comes when nobody uses it any more (evict). A directory's link to itself
 * goes at once. */
answer_t ext4_link_drop(struct ext4 *e, struct ext4_inode_ref *r)
{
	if (MODE_TYPE(r->f.mode) == MODE_DIR)
		r->f.nlink = 0;
	else if (r->f.nlink)
		r->f.nlink--;
	ext4_touch(e, &r->f.ctime);
	return ext4_inode_write(e, r, false, FS_TAKE_LINKS | FS_TAKE_CTIME);
}

answer_t ext4_unlink(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_inode *inode)
{
	bool directory = MODE_TYPE(inode->mode) == MODE_DIR;
	struct ext4_inode_ref d, r;
	struct ext4_found found;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &d, dir) || !ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	a = ext4_dir_find(&e, &d, name, name_len, &found);
	if (a != 1)
		return a ? a : -ENOENT;
	if (found.ino != r.ino)
		return -ENOENT;
	if (directory) {
		a = ext4_dir_empty(&e, &r);
		if (a != 1)
			return a ? a : -ENOTEMPTY;
		ext4_links_less(&d);
	}
	a = ext4_entry_remove(&e, &d, &found);
	if (!a)
		a = ext4_link_drop(&e, &r);
	if (a)
		return a;
	ext4_dir_touched(&e, &d);
	return ext4_dir_write(&e, &d);
}

answer_t ext4_readlink(struct kabi_ctx *ctx, const struct fs_inode *inode, void *text, u32 text_len)
{
	struct ext4_inode_ref r;
	struct ext4_run run;
	const u8 *data;
	struct ext4 e;
	u32 len;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (MODE_TYPE(r.f.mode) != MODE_LNK)
		return -EINVAL;
	len = (u32)MIN((u64)text_len, r.f.size);
	if (r.f.size < sizeof(r.b.i_block) && !(r.b.flags & FL_EXTENTS)) {
		memcpy(text, r.b.i_block, len);
		return len;
	}
	if (r.f.size >= e.block_bytes)
		return ext4_corrupt(&e, "symbolic link of inode", r.ino);
	a = ext4_map_block(&e, &r, 0, 1, &run);
	if (a)
		return a;
	data = run.hole || run.unwritten ? nullptr
					 : sdk_fs_block(ctx, run.physical, e.block_bytes, nullptr);
	if (!data)
		return sdk_fs_head(ctx)->error ? ext4_error(&e)
					       : ext4_corrupt(&e, "symbolic link of inode", r.ino);
	memcpy(text, data, len);
	return len;
}
