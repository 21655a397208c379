/* Extent trees: finding; the block maps of older inodes, read only. Theory in main.c. */
#include "ext4.h"

void ext4_extent_init(struct ext4_body *b)
{
	struct ext4_extent_header *h = (struct ext4_extent_header *)b->i_block;

	memset(b->i_block, 0, sizeof(b->i_block));
	h->magic = le16_make(EXTENT_MAGIC);
	h->max = le16_make(4);
	b->flags |= FL_EXTENTS;
}

static u32 node_capacity(const struct ext4 *e, bool root)
{
	return ((root ? 60 : e->block_bytes) - (u32)sizeof(struct ext4_extent_header)) /
	       (u32)sizeof(struct ext4_extent);
}

static le32_t *node_tail(struct ext4_extent_header *h)
{
	return (le32_t *)((u8 *)(h + 1) + le16_get(h->max) * sizeof(struct ext4_extent));
}

static u32 node_crc(struct ext4_inode_ref *r, struct ext4_extent_header *h)
{
	return ext4_crc32c(r->csum_seed, h, (size_t)((u8 *)node_tail(h) - (u8 *)h));
}

void ext4_node_checksum(struct ext4 *e, struct ext4_inode_ref *r, u64 block,
	struct ext4_extent_header *node)
{
	if (block && e->csum)
		*node_tail(node) = le32_make(node_crc(r, node));
}

/* Entries in order, inside what a file and the device can have. */
static bool node_sane(struct ext4 *e, struct ext4_extent_header *h, bool root, u32 depth)
{
	u32 nr = le16_get(h->entries), max = le16_get(h->max);
	u64 next = 0;

	if (le16_get(h->magic) != EXTENT_MAGIC || le16_get(h->depth) != depth || nr > max ||
		max > node_capacity(e, root) || (depth && !nr))
		return false;
	if (!root && max < 2)
		return false;
	for (u32 i = 0; i < nr; i++) {
		u64 first = depth ? le32_get(ext4_indexes(h)[i].block)
				  : le32_get(ext4_extents(h)[i].block);

		if (i && first < next)
			return false;
		if (depth) {
			const struct ext4_index *x = &ext4_indexes(h)[i];

			next = first + 1;
			if (!ext4_block_valid(e,
				    le32_get(x->leaf_lo) | (u64)le16_get(x->leaf_hi) << 32, 1))
				return false;
		} else {
			const struct ext4_extent *x = &ext4_extents(h)[i];

			next = first + ext4_extent_len(x);
			if (!ext4_extent_len(x) || next > 1ull << 32 ||
				!ext4_block_valid(e, ext4_extent_start(x), ext4_extent_len(x)))
				return false;
		}
	}
	return true;
}

/* Last entry that begins at or before `logical`; `entries` of the node when there is none. */
static u32 node_search(struct ext4_extent_header *h, bool leaf, u64 logical)
{
	u32 low = 0, high = le16_get(h->entries);

	while (low < high) {
		u32 middle = (low + high) / 2;
		u64 first = leaf ? le32_get(ext4_extents(h)[middle].block)
				 : le32_get(ext4_indexes(h)[middle].block);

		if (first <= logical)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : leaf ? le16_get(h->entries) : 0;
}

static struct ext4_extent_header *node_get(struct ext4 *e, struct ext4_inode_ref *r, u64 block,
	u32 depth)
{
	bool unverified;
	/* WHY the cast: paths point at views and at copies alike; only copies are changed
	 * (ext4_node_edit). */
	struct ext4_extent_header *h = (struct ext4_extent_header *)(uintptr_t)sdk_fs_block(e->ctx,
		block, e->block_bytes, &unverified);

	if (!h)
		return nullptr;
	if (!node_sane(e, h, false, depth) ||
		(unverified && e->csum && le32_get(*node_tail(h)) != node_crc(r, h))) {
		ext4_corrupt(e, "extent block of inode", r->ino);
		return nullptr;
	}
	if (unverified)
		fs_services_block_verified(e->ctx, block);
	return h;
}

answer_t ext4_find(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, struct ext4_path *p)
{
	struct ext4_extent_header *h = (struct ext4_extent_header *)r->b.i_block;
	u32 depth = le16_get(h->depth);

	*p = (struct ext4_path){.depth = depth};
	if (depth > EXTENT_DEPTH_MAX || !node_sane(e, h, true, depth))
		return ext4_corrupt(e, "extent root of inode", r->ino);
	p->level[0].node = h;
	for (u32 i = 0; i < depth; i++) {
		struct ext4_level *l = &p->level[i];
		const struct ext4_index *x;

		l->pos = node_search(l->node, false, logical);
		x = &ext4_indexes(l->node)[l->pos];
		p->level[i + 1].block = le32_get(x->leaf_lo) | (u64)le16_get(x->leaf_hi) << 32;
		p->level[i + 1].node = node_get(e, r, p->level[i + 1].block, depth - i - 1);
		if (!p->level[i + 1].node)
			return ext4_error(e);
	}
	p->level[depth].pos = node_search(p->level[depth].node, true, logical);
	return 0;
}

/* Where the next allocated block behind the leaf's position begins (file end if none): from the
 * leaf or the nearest parent. */
static u64 next_logical(struct ext4_path *p, u64 logical)
{
	for (u32 i = p->depth + 1; i-- > 0;) {
		struct ext4_level *l = &p->level[i];
		bool leaf = i == p->depth;
		u32 nr = le16_get(l->node->entries), next = leaf && l->pos == nr ? 0 : l->pos + 1;

		if (next < nr) {
			u64 first = leaf ? le32_get(ext4_extents(l->node)[next].block)
					 : le32_get(ext4_indexes(l->node)[next].block);

			if (first > logical)
				return first;
		}
	}
	return 1ull << 32;
}

/* Block maps (ext2 and ext3): 12 direct, then three levels of blocks of numbers. */
static answer_t map_old(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, struct ext4_run *run)
{
	const le32_t *slots = (const le32_t *)r->b.i_block;
	u64 per = e->block_bytes / 4, span = 1, at = logical;
	u32 level = 0, block;

	*run = (struct ext4_run){.logical = logical, .nr = 1};
	if (at < 12) {
		block = le32_get(slots[at]);
	} else {
		at -= 12;
		for (level = 1, span = per; level < 3 && at >= span; level++) {
			at -= span;
			span *= per;
		}
		if (at >= span)
			return -EFBIG;
		block = le32_get(slots[11 + level]);
	}
	for (; level && block; level--) {
		const le32_t *table = ext4_block_valid(e, block, 1)
					      ? sdk_fs_block(e->ctx, block, e->block_bytes, nullptr)
					      : nullptr;

		if (!table)
			return sdk_fs_head(e->ctx)->error
				       ? ext4_error(e)
				       : ext4_corrupt(e, "block map of inode", r->ino);
		span /= per;
		block = le32_get(table[at / span % per]);
	}
	if (block && !ext4_block_valid(e, block, 1))
		return ext4_corrupt(e, "block map of inode", r->ino);
	run->physical = block;
	run->hole = !block;
	return 0;
}

/* What [logical, logical + max) begins with. */
answer_t ext4_map_block(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u64 max,
	struct ext4_run *run)
{
	struct ext4_path p;
	struct ext4_level *leaf;
	answer_t a;

	if (logical >= 1ull << 32)
		return -EFBIG;
	if (!(r->b.flags & FL_EXTENTS))
		return map_old(e, r, logical, run);
	max = MIN(max, (u64)1 << 30);
	a = ext4_find(e, r, logical, &p);
	if (a)
		return a;
	leaf = &p.level[p.depth];
	*run = (struct ext4_run){.logical = logical, .hole = true};
	if (leaf->pos < le16_get(leaf->node->entries)) {
		const struct ext4_extent *x = &ext4_extents(leaf->node)[leaf->pos];
		u64 in = logical - le32_get(x->block);

		if (in < ext4_extent_len(x)) {
			run->hole = false;
			run->unwritten = ext4_extent_unwritten(x);
			run->physical = ext4_extent_start(x) + in;
			run->nr = (u32)MIN(max, ext4_extent_len(x) - in);
			return 0;
		}
	}
	run->nr = (u32)MIN(max, next_logical(&p, logical) - logical);
	return 0;
}

/* A copy of the level's node that may be changed. */
struct ext4_extent_header *ext4_node_edit(struct ext4 *e, struct ext4_inode_ref *r,
	struct ext4_level *l)
{
	struct ext4_extent_header *h = l->block ? sdk_fs_edit(e->ctx, l->block, e->block_bytes)
						: (struct ext4_extent_header *)r->b.i_block;

	if (h)
		l->node = h;
	return h;
}
