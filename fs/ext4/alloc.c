/* Claiming and releasing blocks and inodes. Theory in main.c. */
#include "ext4.h"

static bool bit_get(const u8 *map, u32 bit)
{
	return map[bit / 8] >> bit % 8 & 1;
}
static void bits_set(u8 *map, u32 first, u32 nr)
{
	for (u32 i = first; i < first + nr; i++)
		map[i / 8] = (u8)(map[i / 8] | 1u << i % 8);
}

static bool claimed_here(const struct ext4 *e, u64 bitmap, u32 bit)
{
	for (u32 i = 0; i < e->nr_claims; i++)
		if (e->claims[i].bitmap == bitmap && bit >= e->claims[i].first &&
			bit - e->claims[i].first < e->claims[i].nr)
			return true;
	return false;
}

static bool power_of(u32 n, u32 base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

static bool group_has_super(const struct ext4 *e, u32 group)
{
	if (!group)
		return true;
	if (e->compat & COMPAT_SPARSE2)
		return group == le32_get(e->sb->s_backup_bgs[0]) ||
		       group == le32_get(e->sb->s_backup_bgs[1]);
	if (!(e->ro_compat & RO_SPARSE_SUPER) || group == 1)
		return true;
	return power_of(group, 3) || power_of(group, 5) || power_of(group, 7);
}

static void mark_own(const struct ext4 *e, u32 group, u8 *map, u64 block, u32 nr)
{
	u64 start = ext4_group_start(e, group);

	for (u32 i = 0; i < nr; i++)
		if (block + i >= start && block + i - start < ext4_group_blocks(e, group))
			bits_set(map, (u32)(block + i - start), 1);
}

/* The block bitmap that a group with BLOCK_UNINIT stands for: superblock copy, descriptors, its own
 * bitmaps and table, the padding. */
static void uninit_block_bitmap(struct ext4 *e, u32 group, const struct ext4_desc *d, u8 *map)
{
	u32 blocks = ext4_group_blocks(e, group);

	if (group_has_super(e, group)) {
		u32 base = 1 + (e->nr_groups + e->descs_per_block - 1) / e->descs_per_block +
			   le16_get(e->sb->s_reserved_gdt_blocks);

		bits_set(map, 0, MIN(base, blocks));
	}
	mark_own(e, group, map, ext4_desc_u64(e, d->block_bitmap_lo, d->block_bitmap_hi), 1);
	mark_own(e, group, map, ext4_desc_u64(e, d->inode_bitmap_lo, d->inode_bitmap_hi), 1);
	mark_own(e, group, map, ext4_desc_u64(e, d->inode_table_lo, d->inode_table_hi),
		e->inodes_per_group / (e->block_bytes / e->inode_bytes));
	bits_set(map, blocks, e->block_bytes * 8 - blocks);
}

/* The group's bitmap: in view and checked, or made new for a group that had none. nullptr: error in
 * the context, or unusable. */
static const u8 *group_bitmap(struct ext4 *e, u32 group, bool inodes, u64 *block)
{
	const struct ext4_desc *d = ext4_desc(e, group);
	u16 flag = inodes ? BG_INODE_UNINIT : BG_BLOCK_UNINIT;
	bool unverified = false;
	const u8 *map;

	if (!d)
		return nullptr;
	*block = inodes ? ext4_desc_u64(e, d->inode_bitmap_lo, d->inode_bitmap_hi)
			: ext4_desc_u64(e, d->block_bitmap_lo, d->block_bitmap_hi);
	if (e->gdt_csum && le16_get(d->flags) & flag) {
		u32 offset;
		u64 desc_block = ext4_desc_block(e, group, &offset);
		u8 *fresh = sdk_fs_own(e->ctx, *block, 0, e->block_bytes);
		le16_t *flags;

		if (fresh)
			return fresh;
		flags = sdk_fs_bytes(e->ctx, desc_block, offset + offsetof(struct ext4_desc, flags),
			2);
		fresh = flags ? sdk_fs_new(e->ctx, *block, e->block_bytes) : nullptr;
		if (!fresh)
			return nullptr;
		*flags = le16_make((u16)(le16_get(*flags) & ~flag));
		if (inodes)
			bits_set(fresh, e->inodes_per_group,
				e->block_bytes * 8 - e->inodes_per_group);
		else
			uninit_block_bitmap(e, group, d, fresh);
		return fresh;
	}
	map = sdk_fs_peek(e->ctx, *block, &unverified);
	if (map && unverified) {
		u32 want =
			inodes ? ext4_desc_u32(e, d->inode_bitmap_csum_lo, d->inode_bitmap_csum_hi)
			       : ext4_desc_u32(e, d->block_bitmap_csum_lo, d->block_bitmap_csum_hi);
		u32 crc = ext4_bitmap_checksum(e, map,
			inodes ? e->inodes_per_group : e->blocks_per_group);

		if (e->csum && (e->desc_bytes >= 64 ? crc != want : (u16)crc != want)) {
			ext4_corrupt(e, "bitmap checksum of group", group);
			return nullptr;
		}
		fs_services_block_verified(e->ctx, *block);
	}
	return map;
}

static u32 find_clear(const struct ext4 *e, const u8 *map, u64 bitmap, u32 from, u32 end)
{
	for (u32 i = from; i < end; i++) {
		if (i % 8 == 0 && map[i / 8] == 0xff) {
			i += 7;
			continue;
		}
		if (!bit_get(map, i) && !claimed_here(e, bitmap, i))
			return i;
	}
	return end;
}

static bool note_claim(struct ext4 *e, u64 bitmap, u32 first, u32 nr, u32 group)
{
	if (e->nr_claims == EXT4_CLAIMS_MAX) {
		sdk_fs_fail(e->ctx, -ENOSPC);
		return false;
	}
	e->claims[e->nr_claims].bitmap = bitmap;
	e->claims[e->nr_claims].first = first;
	e->claims[e->nr_claims++].nr = nr;
	return sdk_fs_bits(e->ctx, FS_OP_CLAIM, bitmap, first, nr, group);
}

static bool desc_add(struct ext4 *e, u32 group, u32 low, u32 high, s64 amount, u16 flags)
{
	u32 offset;
	u64 block = ext4_desc_block(e, group, &offset);

	return sdk_fs_add(e->ctx, FS_OP_ADD, block, offset + low,
		e->desc_bytes >= 64 ? offset + high : 0, 2, amount, flags);
}
#define DESC_ADD(e, group, field, amount, flags)                                                   \
	desc_add(e, group, offsetof(struct ext4_desc, field##_lo),                                 \
		offsetof(struct ext4_desc, field##_hi), amount, flags)

/* 1 found, 0: none in this group, or an error. */
static answer_t alloc_in_group(struct ext4 *e, u32 group, u32 from, u32 want, u64 *first, u32 *got)
{
	const struct ext4_desc *d = ext4_desc(e, group);
	u32 blocks = ext4_group_blocks(e, group), bit, nr;
	const u8 *map;
	u64 bitmap;

	if (!d)
		return ext4_error(e);
	if (!ext4_desc_u32(e, d->free_blocks_lo, d->free_blocks_hi))
		return 0;
	map = group_bitmap(e, group, false, &bitmap);
	if (!map)
		return ext4_error(e);
	bit = find_clear(e, map, bitmap, from, blocks);
	if (bit == blocks && from)
		bit = find_clear(e, map, bitmap, 0, blocks);
	if (bit == blocks)
		return 0;
	for (nr = 1; nr < want && bit + nr < blocks && !bit_get(map, bit + nr) &&
		     !claimed_here(e, bitmap, bit + nr);)
		nr++;
	if (!ext4_block_valid(e, ext4_group_start(e, group) + bit, nr))
		return ext4_corrupt(e, "block bitmap of group", group);
	if (!note_claim(e, bitmap, bit, nr, group) ||
		!DESC_ADD(e, group, free_blocks, -(s64)nr, 0) ||
		!sdk_fs_count(e->ctx, -(s64)nr, 0, 0))
		return ext4_error(e);
	*first = ext4_group_start(e, group) + bit;
	*got = nr;
	return 1;
}

/* Claims up to `want` blocks in a row, at `goal` or as near behind it as may be. */
answer_t ext4_alloc_blocks(struct ext4 *e, u64 goal, u32 want, u64 *first, u32 *got)
{
	u32 group, from;

	if (!e->freeing) {
		want = (u32)MIN((u64)want, e->facts.available_blocks);
		if (!want) {
			sdk_fs_fail(e->ctx, -ENOSPC);
			return -ENOSPC;
		}
	}
	if (!ext4_block_valid(e, goal, 1))
		goal = e->first_data_block;
	group = (u32)((goal - e->first_data_block) / e->blocks_per_group);
	from = (u32)((goal - e->first_data_block) % e->blocks_per_group);
	for (u32 i = 0; i < e->nr_groups; i++) {
		answer_t a = alloc_in_group(e, group, from, want, first, got);

		if (a < 0)
			return a;
		if (a) {
			e->facts.available_blocks -= MIN((u64)*got, e->facts.available_blocks);
			return 0;
		}
		from = 0;
		group = group + 1 == e->nr_groups ? 0 : group + 1;
	}
	sdk_fs_fail(e->ctx, -ENOSPC);
	return -ENOSPC;
}

/* Metadata blocks are forgotten: what core's cache holds of them must not be written over their
 * next use. */
bool ext4_free_blocks(struct ext4 *e, u64 first, u64 nr, bool metadata)
{
	if (!ext4_block_valid(e, first, nr)) {
		ext4_corrupt(e, "blocks to free at", first);
		return false;
	}
	if (metadata && !sdk_fs_forget(e->ctx, first, nr))
		return false;
	if (!sdk_fs_count(e->ctx, (s64)nr, 0, FS_OP_AFTER_COMMIT))
		return false;
	while (nr) {
		u32 group = (u32)((first - e->first_data_block) / e->blocks_per_group);
		u32 bit = (u32)((first - e->first_data_block) % e->blocks_per_group);
		u32 here = (u32)MIN(nr, (u64)(e->blocks_per_group - bit));
		const struct ext4_desc *d = ext4_desc(e, group);

		/* The bitmap must be there when the release is checked; a group that was never used
		 * has nothing to free. */
		if (!d)
			return false;
		if (e->gdt_csum && le16_get(d->flags) & BG_BLOCK_UNINIT) {
			ext4_corrupt(e, "free blocks freed in group", group);
			return false;
		}
		if (!sdk_fs_peek(e->ctx, ext4_desc_u64(e, d->block_bitmap_lo, d->block_bitmap_hi),
			    nullptr) ||
			!sdk_fs_bits(e->ctx, FS_OP_RELEASE,
				ext4_desc_u64(e, d->block_bitmap_lo, d->block_bitmap_hi), bit, here,
				group) ||
			!DESC_ADD(e, group, free_blocks, here, FS_OP_AFTER_COMMIT))
			return false;
		first += here;
		nr -= here;
	}
	return true;
}

/* --- inodes --- */
struct group_room {
	u32 free_inodes, free_blocks, dirs;
};
static bool group_room(struct ext4 *e, u32 group, struct group_room *r)
{
	const struct ext4_desc *d = ext4_desc(e, group);

	if (!d)
		return false;
	r->free_inodes = ext4_desc_u32(e, d->free_inodes_lo, d->free_inodes_hi);
	r->free_blocks = ext4_desc_u32(e, d->free_blocks_lo, d->free_blocks_hi);
	r->dirs = ext4_desc_u32(e, d->used_dirs_lo, d->used_dirs_hi);
	return true;
}

#define GROUPS_SCANNED 256u

/* The group with the fewest directories among those with room; none: *out is their number. */
static bool emptiest_group(struct ext4 *e, u32 *out)
{
	u32 scan = MIN(e->nr_groups, GROUPS_SCANNED), fewest = 0;
	u64 average = e->facts.free_inodes / e->nr_groups;
	struct group_room r;

	*out = e->nr_groups;
	for (u32 i = 0; i < scan; i++) {
		if (!group_room(e, i, &r))
			return false;
		if (!r.free_inodes || r.free_inodes < average / 2 || !r.free_blocks)
			continue;
		if (*out == e->nr_groups || r.dirs < fewest) {
			*out = i;
			fewest = r.dirs;
		}
	}
	return true;
}

/* Orlov's rule: top-level directories spread over the groups, others and files stay near their
 * parent. */
static answer_t choose_group(struct ext4 *e, u64 parent, bool directory, u32 *out)
{
	u32 home = (u32)(parent - 1) / e->inodes_per_group;
	struct group_room r;

	if (directory && parent == EXT4_ROOT_INO) {
		if (!emptiest_group(e, out))
			return ext4_error(e);
		if (*out != e->nr_groups)
			return 0;
	}
	for (u32 pass = 0; pass < 2; pass++)
		for (u32 i = 0; i < e->nr_groups; i++) {
			u32 group = (home + i) % e->nr_groups;

			if (!group_room(e, group, &r))
				return ext4_error(e);
			if (r.free_inodes && (pass || r.free_blocks)) {
				*out = group;
				return 0;
			}
		}
	return -ENOSPC;
}

static answer_t claim_inode(struct ext4 *e, u32 group, bool directory, u64 *ino)
{
	u32 first = group ? 0 : le32_get(e->sb->s_first_ino) - 1, bit, offset;
	u64 bitmap, block = ext4_desc_block(e, group, &offset);
	const u8 *map = group_bitmap(e, group, true, &bitmap);
	bool high = e->desc_bytes >= 64;

	if (!map)
		return ext4_error(e);
	bit = find_clear(e, map, bitmap, first, e->inodes_per_group);
	if (bit >= e->inodes_per_group)
		return 0;
	if (!note_claim(e, bitmap, bit, 1, group) || !DESC_ADD(e, group, free_inodes, -1, 0) ||
		!sdk_fs_count(e->ctx, 0, -1, 0))
		return ext4_error(e);
	if (directory && !DESC_ADD(e, group, used_dirs, 1, 0))
		return ext4_error(e);
	if (e->gdt_csum && !sdk_fs_add(e->ctx, FS_OP_LOWER, block,
				   offset + offsetof(struct ext4_desc, itable_unused_lo),
				   high ? offset + offsetof(struct ext4_desc, itable_unused_hi) : 0,
				   2, e->inodes_per_group - bit - 1, 0))
		return ext4_error(e);
	*ino = (u64)group * e->inodes_per_group + bit + 1;
	return 1;
}

answer_t ext4_alloc_inode(struct ext4 *e, u64 parent, bool directory, u64 *ino)
{
	u32 group = 0;
	answer_t a = choose_group(e, parent, directory, &group);

	if (a)
		return a;
	for (u32 i = 0; i < e->nr_groups; i++) {
		struct group_room r;

		if (!group_room(e, group, &r))
			return ext4_error(e);
		a = r.free_inodes ? claim_inode(e, group, directory, ino) : 0;
		if (a)
			return a < 0 ? a : 0;
		group = group + 1 == e->nr_groups ? 0 : group + 1;
	}
	return -ENOSPC;
}

bool ext4_free_inode(struct ext4 *e, u64 ino, bool directory)
{
	u32 group = (u32)(ino - 1) / e->inodes_per_group,
	    bit = (u32)(ino - 1) % e->inodes_per_group;
	const struct ext4_desc *d = ext4_desc(e, group);
	u64 bitmap;

	if (!d)
		return false;
	bitmap = ext4_desc_u64(e, d->inode_bitmap_lo, d->inode_bitmap_hi);
	if (e->gdt_csum && le16_get(d->flags) & BG_INODE_UNINIT) {
		ext4_corrupt(e, "free inode freed", ino);
		return false;
	}
	return sdk_fs_peek(e->ctx, bitmap, nullptr) &&
	       sdk_fs_bits(e->ctx, FS_OP_RELEASE, bitmap, bit, 1, group) &&
	       DESC_ADD(e, group, free_inodes, 1, FS_OP_AFTER_COMMIT) &&
	       (!directory || DESC_ADD(e, group, used_dirs, -1, FS_OP_AFTER_COMMIT)) &&
	       sdk_fs_count(e->ctx, 0, 1, FS_OP_AFTER_COMMIT);
}
