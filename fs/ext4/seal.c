/* Checksums of what many calls change at once, computed once before a commit; the superblock's
 * summary. Theory in main.c. */
#include "ext4.h"

void ext4_super_checksum(const struct ext4 *e, struct ext4_super *s)
{
	if (e->csum)
		s->s_checksum =
			le32_make(ext4_crc32c(~0u, s, offsetof(struct ext4_super, s_checksum)));
}

u16 ext4_desc_checksum(const struct ext4 *e, u32 group, const struct ext4_desc *d)
{
	const u32 at = offsetof(struct ext4_desc, checksum);
	le32_t number = le32_make(group);
	le16_t zero = le16_make(0);
	const u8 *p = (const u8 *)d;
	u32 crc;
	u16 old;

	if (e->csum) {
		crc = ext4_crc32c(e->csum_seed, &number, sizeof(number));
		crc = ext4_crc32c(crc, p, at);
		crc = ext4_crc32c(crc, &zero, sizeof(zero));
		return (u16)ext4_crc32c(crc, p + at + 2, e->desc_bytes - at - 2);
	}
	old = ext4_crc16(0xffff, e->sb->s_uuid, 16);
	old = ext4_crc16(old, &number, sizeof(number));
	old = ext4_crc16(old, p, at);
	if (e->desc_bytes > at + 2)
		old = ext4_crc16(old, p + at + 2, e->desc_bytes - at - 2);
	return old;
}

u32 ext4_bitmap_checksum(const struct ext4 *e, const void *bitmap, u32 bits)
{
	return ext4_crc32c(e->csum_seed, bitmap, bits / 8);
}

/* One group: the checksums of its bitmaps, then that of its descriptor. */
static bool seal_group(struct ext4 *e, u32 group)
{
	const struct ext4_desc *seen = ext4_desc(e, group);
	const void *blocks = nullptr, *inodes = nullptr;
	struct ext4_desc *d;
	u32 offset, crc;
	u64 block = ext4_desc_block(e, group, &offset);

	if (!seen)
		return false;
	if (e->csum) {
		blocks = sdk_fs_block(e->ctx,
			ext4_desc_u64(e, seen->block_bitmap_lo, seen->block_bitmap_hi),
			e->block_bytes, nullptr);
		inodes = sdk_fs_block(e->ctx,
			ext4_desc_u64(e, seen->inode_bitmap_lo, seen->inode_bitmap_hi),
			e->block_bytes, nullptr);
		if (!blocks || !inodes)
			return false;
	}
	d = sdk_fs_bytes(e->ctx, block, offset, e->desc_bytes);
	if (!d)
		return false;
	if (e->csum && !(le16_get(d->flags) & BG_BLOCK_UNINIT)) {
		crc = ext4_bitmap_checksum(e, blocks, e->blocks_per_group);
		d->block_bitmap_csum_lo = le16_make((u16)crc);
		if (e->desc_bytes >= 64)
			d->block_bitmap_csum_hi = le16_make((u16)(crc >> 16));
	}
	if (e->csum && !(le16_get(d->flags) & BG_INODE_UNINIT)) {
		crc = ext4_bitmap_checksum(e, inodes, e->inodes_per_group);
		d->inode_bitmap_csum_lo = le16_make((u16)crc);
		if (e->desc_bytes >= 64)
			d->inode_bitmap_csum_hi = le16_make((u16)(crc >> 16));
	}
	if (e->gdt_csum)
		d->checksum = le16_make(ext4_desc_checksum(e, group, d));
	return true;
}

answer_t ext4_seal(struct kabi_ctx *ctx, const u32 *tags, u32 nr_tags, u32 last)
{
	struct ext4_super *s;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	for (u32 i = 0; i < nr_tags; i++)
		if (tags[i] >= e.nr_groups || !seal_group(&e, tags[i]))
			return ext4_error(&e);
	s = sdk_fs_bytes(ctx, e.super_block, e.super_offset, sizeof(*s));
	if (!s)
		return ext4_error(&e);
	s->s_free_blocks_count_lo = le32_make((u32)e.facts.free_blocks);
	if (e.incompat & INCOMPAT_64BIT)
		s->s_free_blocks_count_hi = le32_make((u32)(e.facts.free_blocks >> 32));
	s->s_free_inodes_count = le32_make((u32)e.facts.free_inodes);
	s->s_wtime = le32_make((u32)e.facts.now_seconds);
	if (last && !(le16_get(s->s_state) & EXT4_STATE_ERRORS))
		s->s_state = le16_make((u16)(le16_get(s->s_state) | EXT4_STATE_CLEAN));
	ext4_super_checksum(&e, s);
	return 0;
}
