/* Extents of files: mapping, allocation at write-back, truncation, preallocation, the end of an
 * inode. Theory in main.c. */
#include "ext4.h"

#define INTENT_READ     0u
#define INTENT_RESERVE  1u /* core's: a counter; here only what is there already */
#define INTENT_ALLOCATE 2u
#define PREALLOCATE_MAX 4096u
#define ROWS_MAX        8u

/* Where the next block of the file would best lie: behind the block before it. */
static u64 goal_for(struct ext4 *e, struct ext4_inode_ref *r, u64 logical)
{
	struct ext4_run before;

	if (logical && !ext4_map_block(e, r, logical - 1, 1, &before) && !before.hole)
		return before.physical + 1;
	return r->goal;
}

/* The hole run gets blocks; what it is afterwards is in *run. */
static answer_t fill_hole(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_run *run,
	bool unwritten)
{
	u32 got, want = MIN(run->nr, unwritten ? EXTENT_UNWRITTEN_MAX : EXTENT_LEN_MAX);
	answer_t a = ext4_alloc_blocks(e, goal_for(e, r, run->logical), want, &run->physical, &got);

	if (!a)
		a = ext4_extent_insert(e, r, run->logical, run->physical, got, unwritten);
	if (a)
		return a;
	run->nr = got;
	run->hole = false;
	run->unwritten = unwritten;
	r->f.blocks_512 += (u64)got * (e->block_bytes / 512);
	return 0;
}

static answer_t map_one(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u64 max,
	bool allocate, struct ext4_run *run, bool *changed)
{
	answer_t a = ext4_map_block(e, r, logical, max, run);

	if (a || !allocate || (!run->hole && !run->unwritten))
		return a;
	if (!(r->b.flags & FL_EXTENTS))
		return -EOPNOTSUPP;
	*changed = true;
	if (run->hole)
		return fill_hole(e, r, run, false);
	a = ext4_extent_convert(e, r, logical, run->nr);
	run->unwritten = false;
	return a;
}

/*
 * ALLOCATE makes extents that count as written at once, although the data is still on its way:
 * core's order (data before metadata reaches the disk) is what keeps old contents of these blocks
 * from being seen after a crash.
 */
answer_t ext4_map(struct kabi_ctx *ctx, const struct fs_inode *inode, u64 block, u64 nr, u32 intent,
	struct fs_extent_row *extents, u32 nr_extents)
{
	struct ext4_inode_ref r;
	bool changed = false;
	u64 end = block + nr;
	u32 rows = 0;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (!nr || end < block || MODE_TYPE(r.f.mode) != MODE_REG)
		return -EINVAL;
	while (block < end && rows < MIN(nr_extents, ROWS_MAX)) {
		struct ext4_run run;

		/* What one more extent may need of the page: nodes of a split on each level. */
		if (rows && changed &&
			(sdk_fs_room(ctx) < 10 * e.block_bytes ||
				e.nr_claims > EXT4_CLAIMS_MAX - 8))
			break;
		a = map_one(&e, &r, block, end - block, intent == INTENT_ALLOCATE, &run, &changed);
		if (a)
			return a;
		extents[rows++] = (struct fs_extent_row){.file_block = block,
			.disk_block = run.physical,
			.nr_blocks = run.nr,
			.flags = (run.hole ? 1u : 0u) | (run.unwritten ? 2u : 0u)};
		block += run.nr;
	}
	if (changed) {
		a = ext4_inode_write(&e, &r, false, FS_TAKE_BODY);
		if (a)
			return a;
	}
	return rows;
}

answer_t ext4_truncate(struct kabi_ctx *ctx, const struct fs_inode *inode, u64 size)
{
	struct ext4_inode_ref r;
	answer_t a, more = 0;
	struct ext4 e;

	a = ext4_begin(&e, ctx);
	if (a)
		return a;
	e.freeing = true;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (size > (u64)UINT32_MAX * e.block_bytes)
		return -EFBIG;
	if (r.b.flags & FL_EXTENTS) {
		more = ext4_extent_remove(&e, &r, (size + e.block_bytes - 1) / e.block_bytes,
			UINT32_MAX);
		if (more < 0)
			return more;
	} else if (size < r.f.size) {
		return -EOPNOTSUPP; /* block maps are read only */
	}
	r.f.size = size;
	ext4_touch(&e, &r.f.mtime);
	r.f.ctime = r.f.mtime;
	a = ext4_inode_write(&e, &r, false, FS_TAKE_BODY | FS_TAKE_MTIME);
	return a ? a : more ? ANSWER_MORE : 0;
}

#define KEEP_SIZE  1u /* linux/falloc.h */
#define PUNCH_HOLE 2u

/* Whole blocks inside the range; core has cleared the edges in its pages. */
static answer_t punch(struct ext4 *e, struct ext4_inode_ref *r, u64 offset, u64 bytes)
{
	u64 first = (offset + e->block_bytes - 1) / e->block_bytes,
	    end = (offset + bytes) / e->block_bytes;
	answer_t a, more;

	if (end <= first)
		return 0;
	more = ext4_extent_remove(e, r, first, MIN(end - 1, (u64)UINT32_MAX));
	if (more < 0)
		return more;
	ext4_touch(e, &r->f.mtime);
	r->f.ctime = r->f.mtime;
	a = ext4_inode_write(e, r, false, FS_TAKE_BODY | FS_TAKE_MTIME);
	return a ? a : more ? ANSWER_MORE : 0;
}

answer_t ext4_fallocate(struct kabi_ctx *ctx, const struct fs_inode *inode, u32 mode, u64 offset,
	u64 bytes)
{
	struct ext4_inode_ref r;
	u64 block, end;
	u32 done = 0;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (!(r.b.flags & FL_EXTENTS) || MODE_TYPE(r.f.mode) != MODE_REG)
		return -EOPNOTSUPP;
	if (!bytes || !checked_add(offset, bytes, &end))
		return -EINVAL;
	if (end > (u64)UINT32_MAX * e.block_bytes)
		return -EFBIG;
	if (mode == (PUNCH_HOLE | KEEP_SIZE)) {
		e.freeing = true;
		return punch(&e, &r, offset, bytes);
	}
	if (mode & ~KEEP_SIZE)
		return -EOPNOTSUPP;
	block = offset / e.block_bytes;
	end = (end + e.block_bytes - 1) / e.block_bytes;
	for (; block < end && done < PREALLOCATE_MAX && e.nr_claims < EXT4_CLAIMS_MAX - 8 &&
		sdk_fs_room(ctx) > 10 * e.block_bytes;) {
		struct ext4_run run;

		a = ext4_map_block(&e, &r, block, end - block, &run);
		if (!a && run.hole) {
			a = fill_hole(&e, &r, &run, true);
			done += run.nr;
		}
		if (a)
			return a;
		block += run.nr;
	}
	ext4_touch(&e, &r.f.ctime);
	r.f.mtime = r.f.ctime;
	a = ext4_inode_write(&e, &r, false, FS_TAKE_BODY | FS_TAKE_MTIME);
	return a ? a : block < end ? ANSWER_MORE : 0;
}

/* What a directory or a symbolic link holds are metadata blocks: the cache must let go of them. */
static answer_t forget_contents(struct ext4 *e, struct ext4_inode_ref *r)
{
	u64 nr = MIN((r->f.size + e->block_bytes - 1) / e->block_bytes, (u64)UINT32_MAX);
	struct ext4_run run;

	for (u64 i = 0; i < nr; i += run.nr) {
		answer_t a = ext4_map_block(e, r, i, UINT32_MAX, &run);

		if (a)
			return a;
		if (!run.hole && !sdk_fs_forget(e->ctx, run.physical, run.nr))
			return ext4_error(e);
	}
	return 0;
}

answer_t ext4_evict(struct kabi_ctx *ctx, const struct fs_inode *inode)
{
	bool directory = MODE_TYPE(inode->mode) == MODE_DIR;
	struct ext4_inode_ref r;
	answer_t a, more = 0;
	struct ext4_inode *image;
	u32 offset;
	u64 block;
	struct ext4 e;

	a = ext4_begin(&e, ctx);
	if (a)
		return a;
	e.freeing = true;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (r.f.nlink)
		return -EINVAL;
	if (r.b.flags & FL_EXTENTS) {
		a = directory || MODE_TYPE(r.f.mode) == MODE_LNK ? forget_contents(&e, &r) : 0;
		if (a)
			return a;
		more = ext4_extent_remove(&e, &r, 0, UINT32_MAX);
	}
	if (more < 0)
		return more;
	if (!more) {
		a = ext4_xattr_drop(&e, &r);
		if (a)
			return a;
		r.f.size = 0;
		if (!ext4_free_inode(&e, r.ino, directory))
			return ext4_error(&e);
	}
	a = ext4_inode_write(&e, &r, false, FS_TAKE_BODY);
	if (a || more)
		return a ? a : ANSWER_MORE;
	block = ext4_inode_place(&e, r.ino, &offset);
	image = block ? sdk_fs_bytes(ctx, block, offset, e.inode_bytes) : nullptr;
	if (!image)
		return ext4_error(&e);
	image->i_dtime = le32_make((u32)e.facts.now_seconds);
	ext4_inode_image_checksum(&e, r.ino, (u8 *)image, true, nullptr);
	return 0;
}
