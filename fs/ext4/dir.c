/* Blocks of directories, and directories without an index. Theory in main.c. */
#include <sdk/plant.h>
#include "ext4.h"

u32 ext4_dir_space(const struct ext4 *e)
{
	return e->block_bytes - (e->csum ? (u32)sizeof(struct ext4_dir_tail) : 0);
}

u8 ext4_file_type(const struct ext4 *e, u32 mode)
{
	if (!(e->incompat & INCOMPAT_FILETYPE))
		return 0;
	switch (MODE_TYPE(mode)) {
	case MODE_REG:
		return 1;
	case MODE_DIR:
		return 2;
	case MODE_CHR:
		return 3;
	case MODE_BLK:
		return 4;
	case MODE_FIFO:
		return 5;
	case MODE_SOCK:
		return 6;
	case MODE_LNK:
		return 7;
	default:
		return 0;
	}
}

static u32 mode_of_type(u8 type)
{
	switch (type) {
	case 1:
		return MODE_REG;
	case 2:
		return MODE_DIR;
	case 3:
		return MODE_CHR;
	case 4:
		return MODE_BLK;
	case 5:
		return MODE_FIFO;
	case 6:
		return MODE_SOCK;
	case 7:
		return MODE_LNK;
	default:
		return 0;
	}
}

static struct ext4_dir_tail *dir_tail(const struct ext4 *e, u8 *data)
{
	return (struct ext4_dir_tail *)(data + e->block_bytes - sizeof(struct ext4_dir_tail));
}

void ext4_dir_checksum(struct ext4 *e, struct ext4_inode_ref *dir, u8 *data)
{
	if (e->csum)
		dir_tail(e, data)->checksum =
			le32_make(ext4_crc32c(dir->csum_seed, data, ext4_dir_space(e)));
}

void ext4_dir_init(const struct ext4 *e, u8 *data)
{
	struct ext4_dirent *d = (struct ext4_dirent *)data;

	d->rec_len = le16_make((u16)ext4_dir_space(e));
	if (e->csum) {
		dir_tail(e, data)->rec_len = le16_make(sizeof(struct ext4_dir_tail));
		dir_tail(e, data)->ft = DIR_TAIL_FT;
	}
}

/* Entries must tile the block exactly: everything after this check may trust lengths. */
bool ext4_dir_check(struct ext4 *e, struct ext4_inode_ref *dir, const u8 *data, bool unverified)
{
	u32 at = 0, end = ext4_dir_space(e);

	if (e->csum) {
		const struct ext4_dir_tail *t = dir_tail(e, (u8 *)(uintptr_t)data);

		if (le32_get(t->zero1) || le16_get(t->rec_len) != sizeof(*t) || t->zero2 ||
			t->ft != DIR_TAIL_FT)
			return false;
		if (unverified && le32_get(t->checksum) != ext4_crc32c(dir->csum_seed, data, end))
			return false;
	}
	while (at < end) {
		const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);
		u32 rec = le16_get(d->rec_len);

		if (end - at < 8 || rec < 8 || rec % 4 || rec > end - at ||
			le32_get(d->inode) > e->inodes_count)
			return false;
		if (le32_get(d->inode) && (!d->name_len || rec < ext4_dirent_bytes(d->name_len)))
			return false;
		at += rec;
	}
	return true;
}

#define READ_AHEAD_MAX 16u

/* The blocks behind the one that is needed will be wanted too: one rerun for a cold directory, not
 * one per block. */
static void read_ahead(struct ext4 *e, u64 nr)
{
	struct kabi_ctx *ctx = e->ctx;

	if (sdk_fs_head(ctx)->error == ANSWER_NEED && ctx->nr_needs && nr > 1)
		ctx->needs[ctx->nr_needs - 1].nr = MIN(nr, (u64)READ_AHEAD_MAX);
}

/* A block of a directory, checked. Leaf: of entries; else an index node, which htree.c checks. */
answer_t ext4_dir_block(struct ext4 *e, struct ext4_inode_ref *dir, u64 logical, bool leaf,
	const u8 **data, u64 *physical)
{
	u64 nr_blocks = dir->f.size / e->block_bytes;
	struct ext4_run run;
	bool unverified;
	answer_t a;

	if (logical >= nr_blocks)
		return ext4_corrupt(e, "directory of inode", dir->ino);
	a = ext4_map_block(e, dir, logical, 32, &run);
	if (a)
		return a;
	if (run.hole || run.unwritten)
		return ext4_corrupt(e, "hole in directory", dir->ino);
	*physical = run.physical;
	*data = sdk_fs_block(e->ctx, run.physical, e->block_bytes, &unverified);
	if (!*data) {
		read_ahead(e, MIN((u64)run.nr, nr_blocks - logical));
		return ext4_error(e);
	}
	if (leaf) {
		if (!ext4_dir_check(e, dir, *data, unverified))
			return ext4_corrupt(e, "directory block of inode", dir->ino);
		if (unverified)
			fs_services_block_verified(e->ctx, run.physical);
	}
	return 0;
}

s32 ext4_dir_search(const struct ext4 *e, const u8 *data, const char *name, u32 len)
{
	u32 at = 0, end = ext4_dir_space(e);

	while (at < end) {
		const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);

		if (d->name_len == len && le32_get(d->inode) && !memcmp(d->name, name, len))
			return (s32)at;
		at += le16_get(d->rec_len);
	}
	return -1;
}

bool ext4_dir_put(const struct ext4 *e, u8 *data, const char *name, u32 len, u64 ino, u32 mode)
{
	u32 at = 0, end = ext4_dir_space(e), need = ext4_dirent_bytes(len);

	while (at < end) {
		struct ext4_dirent *d = (struct ext4_dirent *)(data + at);
		u32 rec = le16_get(d->rec_len),
		    used = le32_get(d->inode) ? ext4_dirent_bytes(d->name_len) : 0;

		if (rec - used >= need) {
			if (used) {
				d->rec_len = le16_make((u16)used);
				d = (struct ext4_dirent *)(data + at + used);
				d->rec_len = le16_make((u16)(rec - used));
			}
			d->inode = le32_make((u32)ino);
			d->name_len = (u8)len;
			d->file_type = ext4_file_type(e, mode);
			memcpy(d->name, name, len);
			return true;
		}
		at += rec;
	}
	return false;
}

void ext4_dir_take(const struct ext4 *e, u8 *data, u32 offset)
{
	struct ext4_dirent *d = (struct ext4_dirent *)(data + offset), *before = nullptr;
	u32 at = 0;

	while (at < offset) {
		before = (struct ext4_dirent *)(data + at);
		at += le16_get(before->rec_len);
	}
	if (before)
		before->rec_len =
			le16_make((u16)(le16_get(before->rec_len) + le16_get(d->rec_len)));
	d->inode = le32_make(0);
}

/* One more block at the end: new, zero. */
u8 *ext4_dir_append(struct ext4 *e, struct ext4_inode_ref *dir, u64 *logical, u64 *physical)
{
	struct ext4_run last;
	u64 goal = dir->goal;
	u32 got;

	*logical = dir->f.size / e->block_bytes;
	if (*logical && !ext4_map_block(e, dir, *logical - 1, 1, &last) && !last.hole)
		goal = last.physical + 1;
	if (sdk_fs_head(e->ctx)->error || ext4_alloc_blocks(e, goal, 1, physical, &got))
		return nullptr;
	if (ext4_extent_insert(e, dir, *logical, *physical, 1, false)) {
		sdk_fs_fail(e->ctx, -ENOSPC);
		return nullptr;
	}
	dir->f.size += e->block_bytes;
	dir->f.blocks_512 += e->block_bytes / 512;
	return sdk_fs_new(e->ctx, *physical, e->block_bytes);
}

static bool indexed(const struct ext4 *e, const struct ext4_inode_ref *dir)
{
	return e->compat & COMPAT_DIR_INDEX && dir->b.flags & FL_INDEX;
}

static answer_t linear_find(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_found *out)
{
	u64 nr = dir->f.size / e->block_bytes;

	for (u64 i = 0; i < nr; i++) {
		const u8 *data;
		answer_t a = ext4_dir_block(e, dir, i, true, &data, &out->physical);
		s32 at;

		if (a)
			return a;
		at = ext4_dir_search(e, data, name, len);
		if (at < 0)
			continue;
		out->logical = i;
		out->offset = (u32)at;
		out->ino = le32_get(((const struct ext4_dirent *)(data + at))->inode);
		return 1;
	}
	return 0;
}

answer_t ext4_dir_find(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_found *out)
{
	if (len > EXT4_NAME_MAX)
		return -ENAMETOOLONG;
	if (indexed(e, dir)) {
		answer_t a = ext4_htree_find(e, dir, name, len, out);

		if (a != EXT4_BAD_INDEX)
			return a;
	}
	return linear_find(e, dir, name, len, out);
}

static answer_t linear_add(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	u64 ino, u32 mode)
{
	u64 nr = dir->f.size / e->block_bytes, physical, logical;
	u8 *copy;

	for (u64 i = 0; i < nr; i++) {
		const u8 *data;
		u32 at = 0, end = ext4_dir_space(e);
		answer_t a = ext4_dir_block(e, dir, i, true, &data, &physical);

		if (a)
			return a;
		/* Look before the copy is made: most blocks are full. */
		while (at < end) {
			const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);
			u32 used = le32_get(d->inode) ? ext4_dirent_bytes(d->name_len) : 0;

			if (le16_get(d->rec_len) - used >= ext4_dirent_bytes(len))
				break;
			at += le16_get(d->rec_len);
		}
		if (at >= end)
			continue;
		copy = sdk_fs_edit(e->ctx, physical, e->block_bytes);
		if (!copy)
			return ext4_error(e);
		if (!ext4_dir_put(e, copy, name, len, ino, mode))
			return ext4_corrupt(e, "directory block of inode", dir->ino);
		ext4_dir_checksum(e, dir, copy);
		return 0;
	}
	if (nr == 1 && e->compat & COMPAT_DIR_INDEX) {
		answer_t a = ext4_htree_begin(e, dir);

		return a ? a : ext4_htree_add(e, dir, name, len, ino, mode);
	}
	copy = ext4_dir_append(e, dir, &logical, &physical);
	if (!copy)
		return ext4_error(e);
	ext4_dir_init(e, copy);
	ext4_dir_put(e, copy, name, len, ino, mode);
	ext4_dir_checksum(e, dir, copy);
	return 0;
}

answer_t ext4_dir_add(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	u64 ino, u32 mode)
{
	if (!(dir->b.flags & FL_EXTENTS))
		return -EOPNOTSUPP;
	if (indexed(e, dir)) {
		answer_t a = ext4_htree_add(e, dir, name, len, ino, mode);

		if (a != EXT4_BAD_INDEX)
			return a;
		dir->b.flags &= ~FL_INDEX; /* e2fsck -D makes it anew */
	}
	return linear_add(e, dir, name, len, ino, mode);
}

answer_t ext4_lookup(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, u64 *ino)
{
	struct ext4_inode_ref r;
	struct ext4_found found;
	answer_t planted = sdk_plant(ctx, PLANT_PLACE_FS), a;
	struct ext4 e;

	a = ext4_begin(&e, ctx);
	if (a)
		return a;
	if (planted)
		return planted == ANSWER_NEED ? sdk_need_blocks(ctx, e.super_block, 1) : planted;
	if (!ext4_ref_init(&e, &r, dir))
		return ext4_error(&e);
	a = ext4_dir_find(&e, &r, name, name_len, &found);
	if (a == 1 && found.ino < le32_get(e.sb->s_first_ino) && found.ino != EXT4_ROOT_INO)
		return ext4_corrupt(&e, "entry of a reserved inode in directory", r.ino);
	if (a == 1)
		*ino = found.ino;
	return a;
}

static bool dot_name(const struct ext4_dirent *d)
{
	return d->name[0] == '.' && (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'));
}

/* Root and nodes of the index look like blocks with one unused entry. */
static answer_t readdir_block(struct ext4 *e, struct ext4_inode_ref *dir, u64 logical,
	const u8 **data, bool *skip)
{
	const struct ext4_dirent *d;
	u64 physical;
	answer_t a;

	*skip = false;
	if (!indexed(e, dir))
		return ext4_dir_block(e, dir, logical, true, data, &physical);
	if (logical == 0) {
		*skip = true; /* . and .. only */
		return e->csum ? ext4_htree_check(e, dir) : 0;
	}
	a = ext4_dir_block(e, dir, logical, false, data, &physical);
	if (a)
		return a;
	d = (const struct ext4_dirent *)*data;
	*skip = !le32_get(d->inode) &&
		le16_get(d->rec_len) ==
			e->block_bytes; /* an index node: no leaf's entry covers the tail */
	if (!*skip || !e->csum)
		return *skip ? 0 : ext4_dir_block(e, dir, logical, true, data, &physical);
	return 0;
}

#define SKIPPED_MAX 64u /* of one run: the size may be damaged too */
answer_t ext4_readdir(struct kabi_ctx *ctx, const struct fs_inode *dir, u64 cursor,
	struct fs_entry *entries, u32 nr_entries, void *names, u32 names_len)
{
	struct ext4_inode_ref r;
	struct ext4 e;
	u32 nr = 0, used = 0, skipped = 0;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &r, dir))
		return ext4_error(&e);
	/* The cursor is the byte in the directory where the next entry begins or lies. */
	while (cursor < r.f.size) {
		u64 logical = cursor / e.block_bytes;
		u32 at = 0, from = (u32)(cursor % e.block_bytes), end = ext4_dir_space(&e);
		const u8 *data;
		bool skip;

		a = readdir_block(&e, &r, logical, &data, &skip);
		/* readdir(3) goes on behind a damaged block, as on Linux; where checksums guard an
		 * index it ends there. */
		if (a == -EUCLEAN && !(e.csum && indexed(&e, &r)) && skipped++ < SKIPPED_MAX) {
			sdk_fs_head(ctx)->error = 0;
			skip = true;
			a = 0;
		}
		if (a)
			return nr ? (answer_t)nr : a;
		for (; !skip && at < end;
			at += le16_get(((const struct ext4_dirent *)(data + at))->rec_len)) {
			const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);

			if (at < from || !le32_get(d->inode) || dot_name(d))
				continue;
			if (nr == nr_entries || used + d->name_len > names_len)
				return nr;
			memcpy((char *)names + used, d->name, d->name_len);
			entries[nr++] = (struct fs_entry){
				.ino = le32_get(d->inode),
				.next_cursor = logical * e.block_bytes + at + le16_get(d->rec_len),
				.mode = mode_of_type(d->file_type),
				.name_len = d->name_len,
				.name_offset = (u16)used,
			};
			used += d->name_len;
		}
		cursor = (logical + 1) * e.block_bytes;
	}
	return nr;
}

answer_t ext4_dir_empty(struct ext4 *e, struct ext4_inode_ref *dir)
{
	u64 nr = dir->f.size / e->block_bytes;

	for (u64 i = 0; i < nr; i++) {
		const u8 *data;
		u32 at = 0, end = ext4_dir_space(e);
		bool skip;
		answer_t a = readdir_block(e, dir, i, &data, &skip);

		if (a)
			return a;
		for (; !skip && at < end;
			at += le16_get(((const struct ext4_dirent *)(data + at))->rec_len)) {
			const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);

			if (le32_get(d->inode) && !dot_name(d))
				return 0;
		}
	}
	return 1;
}
