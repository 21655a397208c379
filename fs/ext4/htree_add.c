/* Indexed directories (htree): adding, splitting leaves and nodes, giving a directory its index.
 * Theory in main.c. */
#include "ext4.h"

#define ROOT_PAIRS 32u
#define NODE_PAIRS 8u

struct map_entry { /* an entry of a leaf, by hash */
	u32 hash;
	u16 offset, bytes;
};

static void pairs_counts(u8 *data, u32 offset, u32 limit, u32 count)
{
	le16_t *p = (le16_t *)(data + offset);

	p[0] = le16_make((u16)limit);
	p[1] = le16_make((u16)count);
}

static void pair_insert(struct ext4 *e, struct ext4_inode_ref *dir, u8 *data, u32 offset, u32 pos,
	u32 hash, u32 block)
{
	le32_t *pairs = (le32_t *)(data + offset);
	u32 count = le16_get(((le16_t *)pairs)[1]);

	memmove(pairs + 2 * (pos + 1), pairs + 2 * pos, (count - pos) * 8);
	pairs[2 * pos] = le32_make(hash);
	pairs[2 * pos + 1] = le32_make(block);
	pairs_counts(data, offset, le16_get(((le16_t *)pairs)[0]), count + 1);
	ext4_dx_checksum(e, dir, data, offset);
}

static u32 node_limit(const struct ext4 *e, u32 offset)
{
	return (e->block_bytes - offset - (e->csum ? 8 : 0)) / 8;
}

static u8 *node_new(struct ext4 *e, struct ext4_inode_ref *dir, u64 *logical)
{
	u64 physical;
	u8 *data = ext4_dir_append(e, dir, logical, &physical);

	if (data)
		((struct ext4_dirent *)data)->rec_len = le16_make((u16)e->block_bytes);
	return data;
}

/* The root is full and there are no nodes: all its pairs move into one. */
static answer_t root_deepen(struct ext4 *e, struct ext4_inode_ref *dir,
	const struct ext4_dx_path *p)
{
	u8 *root = sdk_fs_edit(e->ctx, p->level[0].physical, e->block_bytes), *node;
	u64 logical;

	node = root ? node_new(e, dir, &logical) : nullptr;
	if (!node)
		return ext4_error(e);
	memcpy(node + NODE_PAIRS, root + ROOT_PAIRS, 8 * p->level[0].count);
	pairs_counts(node, NODE_PAIRS, node_limit(e, NODE_PAIRS), p->level[0].count);
	ext4_dx_checksum(e, dir, node, NODE_PAIRS);
	pairs_counts(root, ROOT_PAIRS, p->level[0].limit, 1);
	((le32_t *)(root + ROOT_PAIRS))[1] = le32_make((u32)logical);
	root[30] = 1; /* dx_root_info.indirect_levels */
	ext4_dx_checksum(e, dir, root, ROOT_PAIRS);
	return 0;
}

/* A full node below a root with room: its upper half moves. */
static answer_t node_split(struct ext4 *e, struct ext4_inode_ref *dir, const struct ext4_dx_path *p)
{
	const struct ext4_dx_level *l = &p->level[1];
	u8 *root = sdk_fs_edit(e->ctx, p->level[0].physical, e->block_bytes);
	u8 *old = sdk_fs_edit(e->ctx, l->physical, e->block_bytes), *node;
	u32 keep = l->count / 2, moved = l->count - keep, hash;
	u64 logical;

	node = root && old ? node_new(e, dir, &logical) : nullptr;
	if (!node)
		return ext4_error(e);
	hash = ext4_dx_hash(old, NODE_PAIRS, keep);
	memcpy(node + NODE_PAIRS, old + NODE_PAIRS + 8 * keep, 8 * moved);
	pairs_counts(node, NODE_PAIRS, node_limit(e, NODE_PAIRS), moved);
	pairs_counts(old, NODE_PAIRS, l->limit, keep);
	ext4_dx_checksum(e, dir, node, NODE_PAIRS);
	ext4_dx_checksum(e, dir, old, NODE_PAIRS);
	pair_insert(e, dir, root, ROOT_PAIRS, p->level[0].pos + 1, hash, (u32)logical);
	return 0;
}

static answer_t index_room(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_dx_path *p)
{
	const struct ext4_dx_level *l = &p->level[p->levels];
	answer_t a;

	if (l->count < l->limit)
		return 0;
	if (!p->levels) {
		a = root_deepen(e, dir, p);
	} else {
		if (p->level[0].count >= p->level[0].limit) {
			sdk_log(e->ctx, SEVERITY_WARNING,
				"EXT4-fs warning: Directory (ino: %llu) htree depth 2 exceed. "
				"Please use large_dir",
				(unsigned long long)dir->ino);
			return -ENOSPC;
		}
		a = node_split(e, dir, p);
	}
	return a ? a : ext4_dx_walk(e, dir, name, len, p);
}

/* Hashes of all entries of a leaf, in order (insertion sort: entries of one block, nearly sorted
 * after a former split). */
static u32 map_leaf(struct ext4 *e, u32 version, const u8 *data, struct map_entry *map, u32 max)
{
	u32 at = 0, end = ext4_dir_space(e), nr = 0;

	while (at < end) {
		const struct ext4_dirent *d = (const struct ext4_dirent *)(data + at);
		struct ext4_hash_info h;

		if (le32_get(d->inode) && nr < max &&
			ext4_hash(e, version, d->name, d->name_len, &h)) {
			u32 i = nr++;

			for (; i && map[i - 1].hash > h.hash; i--)
				map[i] = map[i - 1];
			map[i] = (struct map_entry){h.hash, (u16)at,
				(u16)ext4_dirent_bytes(d->name_len)};
		}
		at += le16_get(d->rec_len);
	}
	return nr;
}

/* Entries [first, first + nr) of the map, packed into an empty block. */
static void pack(struct ext4 *e, u8 *to, const u8 *from, const struct map_entry *map, u32 nr)
{
	u32 at = 0;
	struct ext4_dirent *d = (struct ext4_dirent *)to;

	ext4_dir_init(e, to);
	for (u32 i = 0; i < nr; i++) {
		d = (struct ext4_dirent *)(to + at);
		memcpy(d, from + map[i].offset,
			8u + ((const struct ext4_dirent *)(from + map[i].offset))->name_len);
		d->rec_len = le16_make(map[i].bytes);
		at += map[i].bytes;
	}
	if (nr)
		d->rec_len = le16_make((u16)(ext4_dir_space(e) - (at - map[nr - 1].bytes)));
}

/* Splits the leaf by hash; the upper half gets a block of its own. Returns in *upper the copy that
 * takes hash >= *border. */
static answer_t leaf_split(struct ext4 *e, struct ext4_inode_ref *dir, struct ext4_dx_path *p,
	u64 physical, u8 **lower, u8 **upper, u32 *border)
{
	const struct ext4_dx_level *l = &p->level[p->levels];
	u32 max = e->block_bytes / 12, nr, keep = 0, bytes = 0;
	struct map_entry *map = sdk_fs_scratch(e->ctx, max * (u32)sizeof(*map));
	u8 *old = sdk_fs_scratch(e->ctx, e->block_bytes), *index;
	u64 logical, new_block;

	*lower = sdk_fs_edit(e->ctx, physical, e->block_bytes);
	index = sdk_fs_edit(e->ctx, l->physical, e->block_bytes);
	*upper = map && old && *lower && index ? ext4_dir_append(e, dir, &logical, &new_block)
					       : nullptr;
	if (!*upper)
		return ext4_error(e);
	memcpy(old, *lower, e->block_bytes);
	nr = map_leaf(e, p->hash_version, old, map, max);
	if (nr < 2)
		return ext4_corrupt(e, "directory block of inode", dir->ino);
	while (keep < nr - 1 && bytes < e->block_bytes / 2)
		bytes += map[keep++].bytes;
	*border = map[keep].hash;
	memset(*lower, 0, e->block_bytes);
	pack(e, *lower, old, map, keep);
	pack(e, *upper, old, map + keep, nr - keep);
	ext4_dir_checksum(e, dir, *lower);
	ext4_dir_checksum(e, dir, *upper);
	pair_insert(e, dir, index, l->offset, l->pos + 1, *border + (*border == map[keep - 1].hash),
		(u32)logical);
	return 0;
}

answer_t ext4_htree_add(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	u64 ino, u32 mode)
{
	struct ext4_dx_path p;
	u8 *copy, *lower, *upper;
	const u8 *data;
	u64 physical;
	u32 border;
	answer_t a = ext4_dx_walk(e, dir, name, len, &p);

	if (!a)
		a = ext4_dir_block(e, dir, p.leaf, true, &data, &physical);
	if (a)
		return a;
	copy = sdk_fs_edit(e->ctx, physical, e->block_bytes);
	if (!copy)
		return ext4_error(e);
	if (!ext4_dir_put(e, copy, name, len, ino, mode)) {
		a = index_room(e, dir, name, len, &p);
		if (!a)
			a = leaf_split(e, dir, &p, physical, &lower, &upper, &border);
		if (a)
			return a;
		copy = p.hash.hash >= border ? upper : lower;
		/* Half a block is free on either side, and a name takes at most 264 bytes; blocks
		 * of 1 KiB with long names can be lopsided. */
		if (!ext4_dir_put(e, copy, name, len, ino, mode) &&
			!ext4_dir_put(e, copy = copy == upper ? lower : upper, name, len, ino,
				mode))
			return -ENOSPC;
	}
	ext4_dir_checksum(e, dir, copy);
	return 0;
}

/* The only block is full: its entries move to a second one and it becomes the root. */
answer_t ext4_htree_begin(struct ext4 *e, struct ext4_inode_ref *dir)
{
	const struct ext4_dirent *dot, *dotdot;
	struct ext4_dirent *d;
	u64 logical, leaf_block, root_block;
	u32 at, parent, last = 0, to = 0;
	const u8 *seen;
	u8 *root, *leaf, *old;
	answer_t a = ext4_dir_block(e, dir, 0, true, &seen, &root_block);

	if (a)
		return a;
	dot = (const struct ext4_dirent *)seen;
	dotdot = (const struct ext4_dirent *)(seen + le16_get(dot->rec_len));
	at = (u32)le16_get(dot->rec_len) + le16_get(dotdot->rec_len);
	if (at >= ext4_dir_space(e) || dotdot->name_len != 2)
		return ext4_corrupt(e, "directory block of inode", dir->ino);
	parent = le32_get(dotdot->inode);
	old = sdk_fs_scratch(e->ctx, e->block_bytes);
	root = sdk_fs_edit(e->ctx, root_block, e->block_bytes);
	leaf = old && root ? ext4_dir_append(e, dir, &logical, &leaf_block) : nullptr;
	if (!leaf)
		return ext4_error(e);
	memcpy(old, root, e->block_bytes);
	ext4_dir_init(e, leaf);
	for (; at < ext4_dir_space(e);
		at += le16_get(((struct ext4_dirent *)(old + at))->rec_len)) {
		d = (struct ext4_dirent *)(old + at);
		if (!le32_get(d->inode))
			continue;
		last = to;
		memcpy(leaf + to, d, 8u + d->name_len);
		((struct ext4_dirent *)(leaf + to))->rec_len =
			le16_make((u16)ext4_dirent_bytes(d->name_len));
		to += ext4_dirent_bytes(d->name_len);
	}
	((struct ext4_dirent *)(leaf + last))->rec_len = le16_make((u16)(ext4_dir_space(e) - last));
	ext4_dir_checksum(e, dir, leaf);
	memset(root, 0, e->block_bytes);
	d = (struct ext4_dirent *)root;
	*d = (struct ext4_dirent){.inode = le32_make((u32)dir->ino),
		.rec_len = le16_make(12),
		.name_len = 1,
		.file_type = ext4_file_type(e, MODE_DIR)};
	d->name[0] = '.';
	d = (struct ext4_dirent *)(root + 12);
	*d = (struct ext4_dirent){.inode = le32_make(parent),
		.rec_len = le16_make((u16)(e->block_bytes - 12)),
		.name_len = 2,
		.file_type = ext4_file_type(e, MODE_DIR)};
	memcpy(d->name, "..", 2);
	root[28] = e->sb->s_def_hash_version <= 2 ? e->sb->s_def_hash_version : 1;
	root[29] = 8;
	pairs_counts(root, ROOT_PAIRS, node_limit(e, ROOT_PAIRS), 1);
	((le32_t *)(root + ROOT_PAIRS))[1] = le32_make((u32)logical);
	ext4_dx_checksum(e, dir, root, ROOT_PAIRS);
	dir->b.flags |= FL_INDEX;
	return 0;
}
