/* The first half of a delta: new data for each block that its operations change; nothing is visible
 * yet. The exchange is in delta.c, the theory in block_cache.c. */
#include <core/block_cache.h>
#include <core/fs_type.h>
#include <lib/string.h>
#include "delta.h"
#include "node_priv.h"

#define SEEN_MAX 1024u /* bytes that a delta may say it has seen at one place */

void delta_prepared_drop(struct fs_work *w)
{
	for (u32 i = 0; i < w->nr_blocks; i++) {
		block_data_put(w->blocks[i].base);
		block_data_put(w->blocks[i].fresh);
		kfree(w->blocks[i].entry);
	}
	kfree(w->deferred);
	w->deferred = nullptr;
	w->nr_blocks = w->nr_forgets = w->nr_takes = w->nr_tags = 0;
	w->blocks_added = w->inodes_added = 0;
}

/* The block's slot in the work, with what the cache holds of it as base. */
static enum outcome block_of(struct superblock *sb, struct fs_work *w, u64 block,
	bool may_be_absent, struct work_block **out)
{
	struct work_block *b;

	for (u32 i = 0; i < w->nr_blocks; i++)
		if (w->blocks[i].block == block) {
			*out = &w->blocks[i];
			return OUT_OK;
		}
	if (block >= sb->device_bytes / ((struct block_cache *)sb->block_cache)->block_bytes ||
		w->nr_blocks == WORK_BLOCKS)
		return OUT_BAD;
	b = &w->blocks[w->nr_blocks];
	*b = (struct work_block){.block = block};
	/* What the handler saw, if it looked: then a change since is found at the exchange. */
	for (u32 i = 0; i < w->nr_views && !b->base; i++)
		if (w->views[i].block == block && w->views[i].tracked) {
			b->base = w->views[i].data;
			refcount_inc(&b->base->refs);
		}
	if (!b->base)
		b->base = block_cache_get(sb->block_cache, block);
	if (!b->base && !may_be_absent)
		return OUT_ABSENT;
	w->nr_blocks++;
	*out = b;
	return OUT_OK;
}

/* Bytes of it that may be changed. */
static u8 *block_fresh(struct superblock *sb, struct work_block *b)
{
	if (!b->fresh)
		b->fresh = block_data_new(sb->block_cache, b->base ? b->base->bytes : nullptr);
	if (!b->fresh)
		return nullptr;
	b->fresh->verified = true;
	b->changed = true;
	return b->fresh->bytes;
}

static u64 counter_load(const u8 *p, u32 width)
{
	u64 x = 0;

	for (u32 i = 0; i < width; i++)
		x |= (u64)p[i] << 8 * i;
	return x;
}
static void counter_store(u8 *p, u32 width, u64 x)
{
	for (u32 i = 0; i < width; i++)
		p[i] = (u8)(x >> 8 * i);
}

static bool counter_change(u8 *block, const struct fs_op_head *o, u32 width)
{
	u32 bits = width * 8;
	u64 x = counter_load(block + o->offset, width), whole = x;
	s64 amount = (s64)o->a;

	if (o->length)
		whole |= counter_load(block + o->length, width) << bits;
	if (o->op == FS_OP_LOWER)
		whole = MIN(whole, o->a);
	else if (amount < 0 && whole < (u64)-amount)
		return false;
	else
		whole += (u64)amount;
	if (whole >> bits && !o->length)
		return false;
	counter_store(block + o->offset, width, whole);
	if (o->length)
		counter_store(block + o->length, width, whole >> bits);
	return true;
}

static bool bits_are(const u8 *map, u64 first, u32 nr, bool set)
{
	for (u64 i = first; i < first + nr; i++)
		if ((map[i / 8] >> i % 8 & 1) != set)
			return false;
	return true;
}
static void bits_flip(u8 *map, u64 first, u32 nr)
{
	for (u64 i = first; i < first + nr; i++)
		map[i / 8] = (u8)(map[i / 8] ^ 1u << i % 8);
}

static bool defer(struct fs_work *w, const struct fs_op_head *o, u32 max)
{
	if (!w->deferred) {
		w->deferred = kzalloc(sizeof(*w->deferred) + max * sizeof(*o));
		if (!w->deferred)
			return false;
		w->deferred->nr = max;
		list_init(&w->deferred->link);
	}
	if (w->deferred->used == w->deferred->nr)
		return false;
	w->deferred->ops[w->deferred->used] = *o;
	w->deferred->ops[w->deferred->used++].bytes = sizeof(*o);
	if (o->op == FS_OP_COUNT) {
		w->deferred->blocks += (s64)o->a;
		w->deferred->inodes += (s64)o->b;
	}
	return true;
}

static enum outcome op_bits(struct superblock *sb, struct fs_work *w, const struct fs_op_head *o,
	u32 bs, bool now, u32 max)
{
	struct work_block *b;
	const u8 *seen;
	enum outcome r;
	u8 *bytes;

	if (!o->length || o->a >= bs * 8ull || o->length > bs * 8ull - o->a ||
		o->offset >= TRANSACTION_TAGS)
		return OUT_BAD;
	r = block_of(sb, w, o->block, false, &b);
	if (r)
		return r;
	seen = b->fresh ? b->fresh->bytes : b->base->bytes;
	if (!bits_are(seen, o->a, o->length, o->op == FS_OP_RELEASE))
		return delta_refused(w, OUT_STALE, "a bitmap");
	if (o->op == FS_OP_RELEASE && !now)
		return defer(w, o, max) ? OUT_OK : OUT_MEMORY;
	bytes = block_fresh(sb, b);
	if (!bytes)
		return OUT_MEMORY;
	bits_flip(bytes, o->a, o->length);
	for (u32 i = 0; i < w->nr_tags; i++)
		if (w->tags[i] == o->offset)
			return OUT_OK;
	if (w->nr_tags == ARRAY_SIZE(w->tags))
		return OUT_BAD;
	w->tags[w->nr_tags++] = o->offset;
	return OUT_OK;
}

static enum outcome op_counter(struct superblock *sb, struct fs_work *w, const struct fs_op_head *o,
	u32 bs, bool now, u32 max)
{
	u32 width = o->flags & 0xff;
	struct work_block *b;
	enum outcome r;
	u8 *bytes;

	if ((width != 2 && width != 4) || o->offset > bs - width || o->length > bs - width)
		return OUT_BAD;
	if (o->flags & FS_OP_AFTER_COMMIT && !now)
		return defer(w, o, max) ? OUT_OK : OUT_MEMORY;
	r = block_of(sb, w, o->block, false, &b);
	if (r)
		return r;
	bytes = block_fresh(sb, b);
	if (!bytes)
		return OUT_MEMORY;
	return counter_change(bytes, o, width) ? OUT_OK : delta_refused(w, OUT_STALE, "a counter");
}

static enum outcome op_bytes(struct superblock *sb, struct fs_work *w, const struct fs_op_head *o,
	const u8 *data, u32 bs)
{
	bool whole = o->op == FS_OP_WRITE && o->flags & FS_WRITE_WHOLE;
	struct work_block *b;
	enum outcome r;
	u8 *bytes;

	if (o->offset > bs || o->length > bs - o->offset || o->length > o->bytes - sizeof(*o) ||
		(o->op == FS_OP_READ && o->length > SEEN_MAX))
		return OUT_BAD;
	r = block_of(sb, w, o->block, whole, &b);
	if (r)
		return r;
	if (o->op == FS_OP_READ) /* what was there before this delta */
		return b->base && !memcmp(b->base->bytes + o->offset, data, o->length)
			       ? OUT_OK
			       : delta_refused(w, OUT_STALE, "bytes it read");
	bytes = block_fresh(sb, b);
	if (!bytes)
		return OUT_MEMORY;
	if (whole)
		memset(bytes, 0, bs);
	memcpy(bytes + o->offset, data, o->length);
	return OUT_OK;
}

static enum outcome op_inode(struct fs_work *w, const struct fs_op_head *o, const u8 *data)
{
	struct inode *i = nullptr;

	if (o->length != sizeof(struct fs_inode) || o->bytes < sizeof(*o) + o->length ||
		w->nr_takes == WORK_INODES)
		return OUT_BAD;
	for (u32 k = 0; k < w->nr_inodes; k++)
		if (w->inodes[k].inode->ino == o->a)
			i = w->inodes[k].inode;
	if (!i) /* only what this call was shown is its to change */
		return OUT_BAD;
	memcpy(&w->inode_copy[w->nr_takes], data, sizeof(struct fs_inode));
	w->takes[w->nr_takes].inode = i;
	w->takes[w->nr_takes].from = &w->inode_copy[w->nr_takes];
	w->takes[w->nr_takes++].take = o->flags;
	return OUT_OK;
}

static enum outcome op_prepare(struct superblock *sb, struct fs_work *w, const struct fs_op_head *o,
	const u8 *data, bool now, u32 max)
{
	u32 bs = ((struct block_cache *)sb->block_cache)->block_bytes;

	switch ((u32)o->op) {
	case FS_OP_READ:
	case FS_OP_WRITE:
		return op_bytes(sb, w, o, data, bs);
	case FS_OP_CLAIM:
	case FS_OP_RELEASE:
		return op_bits(sb, w, o, bs, now, max);
	case FS_OP_ADD:
	case FS_OP_LOWER:
		return op_counter(sb, w, o, bs, now, max);
	case FS_OP_INODE:
		return op_inode(w, o, data);
	case FS_OP_FORGET:
		if (!o->a || o->block >= sb->total_blocks || o->a > sb->total_blocks - o->block ||
			w->nr_forgets == WORK_FORGETS)
			return OUT_BAD;
		w->forgets[w->nr_forgets].block = o->block;
		w->forgets[w->nr_forgets++].nr = o->a;
		return OUT_OK;
	case FS_OP_COUNT:
		if (o->flags & FS_OP_AFTER_COMMIT && !now)
			return defer(w, o, max) ? OUT_OK : OUT_MEMORY;
		w->blocks_added += (s64)o->a;
		w->inodes_added += (s64)o->b;
		return OUT_OK;
	default:
		return OUT_BAD;
	}
}

/* BC-I4: each head is copied once. */
enum outcome delta_prepare(struct superblock *sb, struct fs_work *w, const u8 *p, u32 used,
	bool now, u64 *absent)
{
	enum outcome r = OUT_OK;

	for (u32 at = 0; at < used && r == OUT_OK;) {
		struct fs_op_head o;

		if (used - at < sizeof(o))
			return OUT_BAD;
		memcpy(&o, p + at, sizeof(o));
		if (o.bytes < sizeof(o) || o.bytes % 8 || o.bytes > used - at)
			return OUT_BAD;
		r = op_prepare(sb, w, &o, p + at + sizeof(o), now, used / (u32)sizeof(o) + 1);
		*absent = o.block;
		at += o.bytes;
	}
	for (u32 i = 0; i < w->nr_blocks && r == OUT_OK; i++)
		if (w->blocks[i].changed && !w->blocks[i].base) {
			w->blocks[i].entry = kzalloc(sizeof(struct block_entry));
			if (!w->blocks[i].entry)
				r = OUT_MEMORY;
		}
	return r;
}
