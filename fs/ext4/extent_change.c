/* Extent trees: inserting, converting, removing. Entries of leaves and indexes have one size (12),
 * so one set of moves serves both. */
#include "ext4.h"

#define REMOVE_STEPS 24u /* extents that one run frees: bounded by the answer page */

static void entry_set(struct ext4_extent *x, u64 logical, u64 physical, u32 nr, bool unwritten)
{
	x->block = le32_make((u32)logical);
	x->len = le16_make((u16)(nr + (unwritten ? EXTENT_LEN_MAX : 0)));
	x->start_hi = le16_make((u16)(physical >> 32));
	x->start_lo = le32_make((u32)physical);
}
static void index_set(struct ext4_index *x, u64 logical, u64 block)
{
	*x = (struct ext4_index){.block = le32_make((u32)logical),
		.leaf_lo = le32_make((u32)block),
		.leaf_hi = le16_make((u16)(block >> 32))};
}
static void entries_open(struct ext4_extent_header *h, u32 pos)
{
	struct ext4_extent *x = ext4_extents(h);
	u32 nr = le16_get(h->entries);

	memmove(x + pos + 1, x + pos, (nr - pos) * sizeof(*x));
	h->entries = le16_make((u16)(nr + 1));
}
static void entries_close(struct ext4_extent_header *h, u32 pos)
{
	struct ext4_extent *x = ext4_extents(h);
	u32 nr = le16_get(h->entries);

	memmove(x + pos, x + pos + 1, (nr - pos - 1) * sizeof(*x));
	memset(x + nr - 1, 0, sizeof(*x));
	h->entries = le16_make((u16)(nr - 1));
}

/* The first block of a node changed: so do the keys that lead to it, as far up as it is first
 * there. */
static answer_t fix_keys(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p, u32 level,
	u32 first)
{
	while (level-- > 0) {
		struct ext4_level *l = &p->level[level];
		struct ext4_extent_header *h = ext4_node_edit(e, r, l);

		if (!h)
			return ext4_error(e);
		ext4_indexes(h)[l->pos].block = le32_make(first);
		ext4_node_checksum(e, r, l->block, h);
		if (l->pos)
			break;
	}
	return 0;
}

static answer_t node_block(struct ext4 *e, struct ext4_inode_ref *r, u64 *block,
	struct ext4_extent_header **node)
{
	u32 got;
	answer_t a = ext4_alloc_blocks(e, r->goal, 1, block, &got);

	if (a)
		return a;
	*node = sdk_fs_new(e->ctx, *block, e->block_bytes);
	if (!*node)
		return ext4_error(e);
	r->f.blocks_512 += e->block_bytes / 512;
	(*node)->magic = le16_make(EXTENT_MAGIC);
	(*node)->max = le16_make((u16)((e->block_bytes - sizeof(struct ext4_extent_header)) /
				       sizeof(struct ext4_extent)));
	return 0;
}

/* The root is full: its entries move into a new block below it. */
static answer_t tree_grow(struct ext4 *e, struct ext4_inode_ref *r)
{
	struct ext4_extent_header *root = (struct ext4_extent_header *)r->b.i_block, *node;
	u32 nr = le16_get(root->entries), first = le32_get(ext4_extents(root)[0].block);
	u64 block;
	answer_t a;

	if (le16_get(root->depth) >= EXTENT_DEPTH_MAX)
		return -ENOSPC;
	a = node_block(e, r, &block, &node);
	if (a)
		return a;
	node->depth = root->depth;
	node->entries = root->entries;
	memcpy(node + 1, root + 1, nr * sizeof(struct ext4_extent));
	ext4_node_checksum(e, r, block, node);
	memset(root + 1, 0, 4 * sizeof(struct ext4_extent));
	root->depth = le16_make((u16)(le16_get(root->depth) + 1));
	root->entries = le16_make(1);
	index_set(ext4_indexes(root), first, block);
	return 0;
}

/* Splits the node at `level`, whose parent has room. `at_end`: what comes next goes behind its last
 * entry, so that it stays full. */
static answer_t node_split(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p, u32 level,
	bool at_end)
{
	struct ext4_extent_header *old = ext4_node_edit(e, r, &p->level[level]),
				  *up = ext4_node_edit(e, r, &p->level[level - 1]), *node;
	u32 nr, keep, pos = p->level[level - 1].pos + 1;
	u64 block;
	answer_t a;

	if (!old || !up)
		return ext4_error(e);
	nr = le16_get(old->entries);
	keep = at_end ? nr - 1 : nr / 2;
	a = node_block(e, r, &block, &node);
	if (a)
		return a;
	node->depth = old->depth;
	node->entries = le16_make((u16)(nr - keep));
	memcpy(node + 1, ext4_extents(old) + keep, (nr - keep) * sizeof(struct ext4_extent));
	memset(ext4_extents(old) + keep, 0, (nr - keep) * sizeof(struct ext4_extent));
	old->entries = le16_make((u16)keep);
	entries_open(up, pos);
	index_set(&ext4_indexes(up)[pos], le32_get(ext4_extents(node)[0].block), block);
	ext4_node_checksum(e, r, p->level[level].block, old);
	ext4_node_checksum(e, r, block, node);
	ext4_node_checksum(e, r, p->level[level - 1].block, up);
	return 0;
}

static bool node_full(const struct ext4_level *l)
{
	return le16_get(l->node->entries) >= le16_get(l->node->max);
}

/* The leaf for `logical` has room afterwards; the path is walked anew. */
static answer_t make_room(struct ext4 *e, struct ext4_inode_ref *r, u64 logical,
	struct ext4_path *p)
{
	answer_t a = ext4_find(e, r, logical, p);

	while (!a && node_full(&p->level[p->depth])) {
		u32 level = p->depth;

		while (level && node_full(&p->level[level - 1]))
			level--;
		if (!level) {
			a = tree_grow(e, r);
		} else {
			const struct ext4_level *l = &p->level[level];

			a = node_split(e, r, p, level, l->pos + 1 == le16_get(l->node->entries));
		}
		if (!a)
			a = ext4_find(e, r, logical, p);
	}
	return a;
}

static bool mergeable(const struct ext4_extent *x, u64 logical, u64 physical, u32 nr,
	bool unwritten)
{
	u32 len = ext4_extent_len(x);

	return ext4_extent_unwritten(x) == unwritten && le32_get(x->block) + (u64)len == logical &&
	       ext4_extent_start(x) + len == physical &&
	       len + nr <= (unwritten ? EXTENT_UNWRITTEN_MAX : EXTENT_LEN_MAX);
}

/* Grows the neighbour before or behind; 1: done, 0: there is none that fits. */
static answer_t merge(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p, u64 logical,
	u64 physical, u32 nr, bool unwritten)
{
	struct ext4_level *l = &p->level[p->depth];
	u32 entries = le16_get(l->node->entries), next = l->pos == entries ? 0 : l->pos + 1;
	const struct ext4_extent *before =
		l->pos < entries ? &ext4_extents(l->node)[l->pos] : nullptr;
	const struct ext4_extent *behind = next < entries ? &ext4_extents(l->node)[next] : nullptr;
	struct ext4_extent x;
	u32 at;

	if (before && mergeable(before, logical, physical, nr, unwritten)) {
		at = l->pos;
		entry_set(&x, le32_get(before->block), ext4_extent_start(before),
			ext4_extent_len(before) + nr, unwritten);
	} else if (behind) {
		entry_set(&x, logical, physical, nr, unwritten);
		if (!mergeable(&x, le32_get(behind->block), ext4_extent_start(behind),
			    ext4_extent_len(behind), ext4_extent_unwritten(behind)))
			return 0;
		at = next;
		entry_set(&x, logical, physical, nr + ext4_extent_len(behind), unwritten);
	} else {
		return 0;
	}
	if (!ext4_node_edit(e, r, l))
		return ext4_error(e);
	ext4_extents(l->node)[at] = x;
	ext4_node_checksum(e, r, l->block, l->node);
	if (at == 0) {
		answer_t a = fix_keys(e, r, p, p->depth, le32_get(x.block));

		return a ? a : 1;
	}
	return 1;
}

answer_t ext4_extent_insert(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u64 physical,
	u32 nr, bool unwritten)
{
	struct ext4_path p;
	struct ext4_level *l;
	u32 pos;
	answer_t a = ext4_find(e, r, logical, &p);

	if (!a)
		a = merge(e, r, &p, logical, physical, nr, unwritten);
	if (a)
		return a < 0 ? a : 0;
	a = make_room(e, r, logical, &p);
	if (a)
		return a;
	l = &p.level[p.depth];
	if (!ext4_node_edit(e, r, l))
		return ext4_error(e);
	pos = l->pos == le16_get(l->node->entries) ? 0 : l->pos + 1;
	entries_open(l->node, pos);
	entry_set(&ext4_extents(l->node)[pos], logical, physical, nr, unwritten);
	ext4_node_checksum(e, r, l->block, l->node);
	return pos ? 0 : fix_keys(e, r, &p, p.depth, (u32)logical);
}

/* Takes entry `pos` out of its leaf; a leaf that gets empty stays, what is inserted next goes
 * there. */
static answer_t leaf_take(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p)
{
	struct ext4_level *l = &p->level[p->depth];

	if (!ext4_node_edit(e, r, l))
		return ext4_error(e);
	entries_close(l->node, l->pos);
	ext4_node_checksum(e, r, l->block, l->node);
	if (l->pos == 0 && le16_get(l->node->entries))
		return fix_keys(e, r, p, p->depth, le32_get(ext4_extents(l->node)[0].block));
	return 0;
}

/* [logical, logical + nr) lies in one unwritten extent: up to three take its place. */
answer_t ext4_extent_convert(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u32 nr)
{
	struct ext4_path p;
	struct ext4_extent x;
	struct ext4_level *l;
	u64 first, start;
	u32 len, before;
	answer_t a = ext4_find(e, r, logical, &p);

	if (a)
		return a;
	l = &p.level[p.depth];
	if (l->pos == le16_get(l->node->entries))
		return ext4_corrupt(e, "extents of inode", r->ino);
	x = ext4_extents(l->node)[l->pos];
	first = le32_get(x.block);
	start = ext4_extent_start(&x);
	len = ext4_extent_len(&x);
	if (!ext4_extent_unwritten(&x) || logical - first >= len || nr > len - (logical - first))
		return ext4_corrupt(e, "extents of inode", r->ino);
	before = (u32)(logical - first);
	a = leaf_take(e, r, &p);
	if (!a && before)
		a = ext4_extent_insert(e, r, first, start, before, true);
	if (!a)
		a = ext4_extent_insert(e, r, logical, start + before, nr, false);
	if (!a && before + nr < len)
		a = ext4_extent_insert(e, r, logical + nr, start + before + nr, len - before - nr,
			true);
	return a;
}

/* The leaf of the path is empty: it goes, and so do parents that it leaves empty. */
static answer_t prune(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p)
{
	u32 level = p->depth;
	struct ext4_extent_header *root = (struct ext4_extent_header *)r->b.i_block;

	while (level && !le16_get(p->level[level].node->entries)) {
		struct ext4_level *up = &p->level[level - 1];

		if (!ext4_free_blocks(e, p->level[level].block, 1, true))
			return ext4_error(e);
		r->f.blocks_512 -= MIN(r->f.blocks_512, (u64)e->block_bytes / 512);
		if (!ext4_node_edit(e, r, up))
			return ext4_error(e);
		entries_close(up->node, up->pos);
		ext4_node_checksum(e, r, up->block, up->node);
		if (up->pos == 0 && le16_get(up->node->entries)) {
			answer_t a = fix_keys(e, r, p, level - 1,
				le32_get(ext4_indexes(up->node)[0].block));

			if (a)
				return a;
		}
		level--;
	}
	if (!le16_get(root->entries))
		root->depth = le16_make(0);
	return 0;
}

/* What of the extent lies in [first, last] is freed; the rest stays. */
static answer_t extent_cut(struct ext4 *e, struct ext4_inode_ref *r, struct ext4_path *p, u64 first,
	u64 last)
{
	struct ext4_level *l = &p->level[p->depth];
	struct ext4_extent x = ext4_extents(l->node)[l->pos];
	u64 begin = le32_get(x.block), end = begin + ext4_extent_len(&x),
	    start = ext4_extent_start(&x);
	u64 from = MAX(begin, first), to = MIN(end, last + 1);
	bool unwritten = ext4_extent_unwritten(&x);
	answer_t a;

	if (!ext4_free_blocks(e, start + (from - begin), to - from, false))
		return ext4_error(e);
	r->f.blocks_512 -= MIN(r->f.blocks_512, (to - from) * (e->block_bytes / 512));
	if (from == begin && to == end) {
		a = leaf_take(e, r, p);
		return a ? a : prune(e, r, p);
	}
	if (!ext4_node_edit(e, r, l))
		return ext4_error(e);
	if (from > begin)
		entry_set(&ext4_extents(l->node)[l->pos], begin, start, (u32)(from - begin),
			unwritten);
	else
		entry_set(&ext4_extents(l->node)[l->pos], to, start + (to - begin), (u32)(end - to),
			unwritten);
	ext4_node_checksum(e, r, l->block, l->node);
	if (from == begin)
		return l->pos ? 0 : fix_keys(e, r, p, p->depth, (u32)to);
	return to < end ? ext4_extent_insert(e, r, to, start + (to - begin), (u32)(end - to),
				  unwritten)
			: 0;
}

answer_t ext4_extent_remove(struct ext4 *e, struct ext4_inode_ref *r, u64 first, u64 last)
{
	for (u32 step = 0; step < REMOVE_STEPS; step++) {
		struct ext4_path p;
		struct ext4_level *l;
		answer_t a = ext4_find(e, r, last, &p);

		if (a)
			return a;
		l = &p.level[p.depth];
		if (l->pos == le16_get(l->node->entries)) {
			/* No entry begins at or before `last` in this leaf; the keys say that none
			 * does elsewhere. */
			return 0;
		}
		if (le32_get(ext4_extents(l->node)[l->pos].block) +
				(u64)ext4_extent_len(&ext4_extents(l->node)[l->pos]) <=
			first)
			return 0;
		/* Room for what one more cut may write: a leaf, its parents, a split. */
		if (sdk_fs_room(e->ctx) < 6 * e->block_bytes)
			return 1;
		a = extent_cut(e, r, &p, first, last);
		if (a)
			return a;
	}
	return 1;
}
