/* Indexed directories (htree): walking. Levels: the root in block 0 and at most one level of nodes.
 * Theory in main.c. */
#include "ext4.h"

#define ROOT_INFO  24u /* behind . and .. */
#define ROOT_PAIRS 32u
#define NODE_PAIRS 8u
struct root_info {
	le32_t zero;
	u8 hash_version, info_length, levels, unused;
};

static le32_t *pairs_tail(u8 *data, u32 offset)
{
	u32 limit = le16_get(*(const le16_t *)(data + offset));

	return (le32_t *)(data + offset + 8 * limit); /* reserved, checksum */
}

static u32 pairs_crc(struct ext4_inode_ref *dir, u8 *data, u32 offset)
{
	u32 count = le16_get(*(const le16_t *)(data + offset + 2)), crc;
	le32_t zero = le32_make(0);

	crc = ext4_crc32c(dir->csum_seed, data, offset + 8 * count);
	crc = ext4_crc32c(crc, pairs_tail(data, offset), 4);
	return ext4_crc32c(crc, &zero, 4);
}

void ext4_dx_checksum(struct ext4 *e, struct ext4_inode_ref *dir, u8 *data, u32 offset)
{
	if (e->csum)
		pairs_tail(data, offset)[1] = le32_make(pairs_crc(dir, data, offset));
}

static u32 pairs_limit(const struct ext4 *e, u32 offset)
{
	return (e->block_bytes - offset - (e->csum ? 8 : 0)) / 8;
}

bool ext4_dx_check(struct ext4 *e, struct ext4_inode_ref *dir, const u8 *data, u32 offset)
{
	u32 limit = le16_get(*(const le16_t *)(data + offset)),
	    count = le16_get(*(const le16_t *)(data + offset + 2));

	if (limit != pairs_limit(e, offset) || !count || count > limit)
		return false;
	for (u32 i = 0; i < count; i++)
		if (ext4_dx_block(data, offset, i) >= dir->f.size / e->block_bytes ||
			(i > 1 &&
				ext4_dx_hash(data, offset, i) < ext4_dx_hash(data, offset, i - 1)))
			return false;
	return true;
}

/* Without checksums the entries can do without it: ext4_dir_find and ext4_dir_add then go through
 * all blocks, as on Linux. */
static answer_t bad_index(struct ext4 *e, const struct ext4_inode_ref *dir)
{
	if (e->csum)
		return ext4_corrupt(e, "index of directory", dir->ino);
	return EXT4_BAD_INDEX;
}

static answer_t level_load(struct ext4 *e, struct ext4_inode_ref *dir, u64 logical, u32 offset,
	struct ext4_dx_level *l)
{
	answer_t a;

	*l = (struct ext4_dx_level){.logical = logical, .offset = offset};
	a = ext4_dir_block(e, dir, logical, false, &l->data, &l->physical);
	if (a)
		return a;
	if (!ext4_dx_check(e, dir, l->data, offset))
		return bad_index(e, dir);
	/* The checksum of an index node is cheap beside its block's: it is computed at every use,
	 * so no state says that it was. */
	if (e->csum && le32_get(pairs_tail((u8 *)(uintptr_t)l->data, offset)[1]) !=
			       pairs_crc(dir, (u8 *)(uintptr_t)l->data, offset))
		return ext4_corrupt(e, "index checksum of directory", dir->ino);
	l->limit = le16_get(*(const le16_t *)(l->data + offset));
	l->count = le16_get(*(const le16_t *)(l->data + offset + 2));
	return 0;
}

answer_t ext4_htree_check(struct ext4 *e, struct ext4_inode_ref *dir)
{
	struct ext4_dx_level root;

	return level_load(e, dir, 0, ROOT_PAIRS, &root);
}

static void level_search(struct ext4_dx_level *l, u32 hash)
{
	u32 low = 1, high = l->count;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (ext4_dx_hash(l->data, l->offset, middle) > hash)
			high = middle;
		else
			low = middle + 1;
	}
	l->pos = low - 1;
}

static bool root_sane(const u8 *data)
{
	const struct ext4_dirent *dot = (const struct ext4_dirent *)data,
				 *dotdot = (const struct ext4_dirent *)(data + 12);

	return le16_get(dot->rec_len) == 12 && dot->name_len == 1 && dotdot->name_len == 2;
}

answer_t ext4_dx_walk(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_dx_path *p)
{
	const struct root_info *info;
	answer_t a;

	*p = (struct ext4_dx_path){};
	a = level_load(e, dir, 0, ROOT_PAIRS, &p->level[0]);
	if (a)
		return a;
	info = (const struct root_info *)(p->level[0].data + ROOT_INFO);
	p->hash_version = info->hash_version;
	p->levels = info->levels;
	if (!root_sane(p->level[0].data) || info->info_length != 8 || info->levels > 1 ||
		le32_get(info->zero) || !ext4_hash(e, p->hash_version, name, len, &p->hash))
		return bad_index(e, dir);
	level_search(&p->level[0], p->hash.hash);
	p->leaf = ext4_dx_block(p->level[0].data, ROOT_PAIRS, p->level[0].pos);
	if (p->levels) {
		a = level_load(e, dir, p->leaf, NODE_PAIRS, &p->level[1]);
		if (a)
			return a;
		level_search(&p->level[1], p->hash.hash);
		p->leaf = ext4_dx_block(p->level[1].data, NODE_PAIRS, p->level[1].pos);
	}
	return 0;
}

/* The next leaf, when names of this hash go on there (its low bit set). 1: p->leaf is it; 0: no. */
static answer_t next_leaf(struct ext4 *e, struct ext4_inode_ref *dir, struct ext4_dx_path *p)
{
	u32 i = p->levels;
	u32 hash;

	while (++p->level[i].pos >= p->level[i].count) {
		if (!i)
			return 0;
		i--;
	}
	hash = ext4_dx_hash(p->level[i].data, p->level[i].offset, p->level[i].pos);
	if (!(hash & 1) || (hash & ~1u) != p->hash.hash)
		return 0;
	p->leaf = ext4_dx_block(p->level[i].data, p->level[i].offset, p->level[i].pos);
	if (i < p->levels) {
		answer_t a = level_load(e, dir, p->leaf, NODE_PAIRS, &p->level[1]);

		if (a)
			return a;
		p->leaf = ext4_dx_block(p->level[1].data, NODE_PAIRS, 0);
	}
	return 1;
}

/* . and .. lie in the root. */
static answer_t find_dots(struct ext4 *e, struct ext4_inode_ref *dir, u32 len,
	struct ext4_found *out)
{
	const u8 *data;
	answer_t a = ext4_dir_block(e, dir, 0, false, &data, &out->physical);

	if (a)
		return a;
	out->logical = 0;
	out->offset = len == 2 ? 12 : 0;
	out->ino = le32_get(((const struct ext4_dirent *)(data + out->offset))->inode);
	return 1;
}

answer_t ext4_htree_find(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_found *out)
{
	struct ext4_dx_path p;
	answer_t a;

	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return find_dots(e, dir, len, out);
	a = ext4_dx_walk(e, dir, name, len, &p);
	/* Bounded: each round goes to a later leaf. */
	while (!a) {
		const u8 *data;
		s32 at;

		a = ext4_dir_block(e, dir, p.leaf, true, &data, &out->physical);
		if (a)
			return a;
		at = ext4_dir_search(e, data, name, len);
		if (at >= 0) {
			out->logical = p.leaf;
			out->offset = (u32)at;
			out->ino = le32_get(((const struct ext4_dirent *)(data + at))->inode);
			return 1;
		}
		a = next_leaf(e, dir, &p);
		if (a != 1)
			return a;
		a = 0;
	}
	return a;
}
