#pragma once
/*
 * File systems on blocks: views of blocks, and the delta that a handler builds on its answer page.
 * A handler reads blocks by sdk_fs_block() or sdk_fs_peek() and changes copies (sdk_fs_edit(),
 * sdk_fs_new(), sdk_fs_bytes()); what it reads after a change is its own copy. Each returns nullptr
 * when the handler cannot go on: it then answers sdk_fs_error(). The page is filled from its front
 * by operations and from its end by working memory (sdk_fs_scratch()).
 */
#include <kabi/filesystem.h>
#include <kabi/fs_services.h>
#include <sdk/component.h>

#define SDK_FS_BLOCK_MAX 4096u

static inline struct fs_delta_head *sdk_fs_head(struct kabi_ctx *ctx)
{
	return ctx->answer;
}
static inline void sdk_fs_begin(struct kabi_ctx *ctx)
{
	*sdk_fs_head(ctx) = (struct fs_delta_head){};
}
static inline answer_t sdk_fs_error(struct kabi_ctx *ctx)
{
	s32 e = sdk_fs_head(ctx)->error;

	return e ? e : -EIO;
}
/* The first failure is what the handler answers. */
static inline void *sdk_fs_fail(struct kabi_ctx *ctx, answer_t error)
{
	if (!sdk_fs_head(ctx)->error)
		sdk_fs_head(ctx)->error = (s32)error;
	return nullptr;
}
static inline u32 sdk_fs_room(struct kabi_ctx *ctx)
{
	struct fs_delta_head *h = sdk_fs_head(ctx);

	return ctx->answer_bytes - (u32)sizeof(*h) - h->used - h->scratch;
}
/* Zeroed working memory until the answer. */
static inline void *sdk_fs_scratch(struct kabi_ctx *ctx, u32 bytes)
{
	struct fs_delta_head *h = sdk_fs_head(ctx);

	bytes = ALIGN_UP(bytes, 8u);
	if (bytes > sdk_fs_room(ctx))
		return sdk_fs_fail(ctx, -ENOMEM);
	h->scratch += bytes;
	return memset((u8 *)ctx->answer + ctx->answer_bytes - h->scratch, 0, bytes);
}
/* Adds an operation with room for data_bytes of data (zeroed); nullptr: the page is full. */
static inline struct fs_op_head *sdk_fs_op(struct kabi_ctx *ctx, enum fs_op op, u64 block,
	u32 data_bytes)
{
	struct fs_delta_head *h = sdk_fs_head(ctx);
	u32 bytes = (u32)ALIGN_UP(sizeof(struct fs_op_head) + data_bytes, 8u);
	struct fs_op_head *o;

	if (data_bytes > 65536 || bytes > sdk_fs_room(ctx))
		return sdk_fs_fail(ctx, -ENOMEM);
	o = (struct fs_op_head *)((u8 *)(h + 1) + h->used);
	memset(o, 0, bytes);
	o->bytes = bytes;
	o->op = op;
	o->block = block;
	h->used += bytes;
	return o;
}
static inline void *sdk_fs_op_data(struct fs_op_head *o)
{
	return o + 1;
}
/* The handler's own copy of bytes [offset, offset+length) of a block, or nullptr. */
static inline void *sdk_fs_own(struct kabi_ctx *ctx, u64 block, u32 offset, u32 length)
{
	struct fs_delta_head *h = sdk_fs_head(ctx);
	u8 *p = (u8 *)(h + 1), *end = p + h->used;

	while (p < end) {
		struct fs_op_head *o = (struct fs_op_head *)p;

		if (o->op == FS_OP_WRITE && o->block == block && o->offset == offset &&
			o->length == length)
			return o + 1;
		p += o->bytes;
	}
	return nullptr;
}
static inline const void *sdk_fs_view(struct kabi_ctx *ctx, u64 block, bool tracked,
	bool *unverified)
{
	struct fs_block_view v = {};
	answer_t a = fs_services_block_view(ctx, block, tracked, &v);

	if (!a) {
		if (unverified)
			*unverified = v.unverified;
		return (const void *)(uintptr_t)v.address;
	}
	if (a == -EAGAIN)
		a = sdk_need_blocks(ctx, block, 1);
	return sdk_fs_fail(ctx, a);
}
/* A metadata block: the handler's copy where there is one, else a view; reads it at this version.
 */
static inline const void *sdk_fs_block(struct kabi_ctx *ctx, u64 block, u32 block_bytes,
	bool *unverified)
{
	const void *own = sdk_fs_own(ctx, block, 0, block_bytes);

	if (unverified)
		*unverified = false;
	return own ? own : sdk_fs_view(ctx, block, true, unverified);
}
/* The same without a promise that it stays so: for what many calls change at once. Name what
 * matters with sdk_fs_saw(). */
static inline const void *sdk_fs_peek(struct kabi_ctx *ctx, u64 block, bool *unverified)
{
	return sdk_fs_view(ctx, block, false, unverified);
}
static inline bool sdk_fs_saw(struct kabi_ctx *ctx, u64 block, u32 offset, const void *seen,
	u32 length)
{
	struct fs_op_head *o = sdk_fs_op(ctx, FS_OP_READ, block, length);

	if (!o)
		return false;
	o->offset = offset;
	o->length = length;
	memcpy(sdk_fs_op_data(o), seen, length);
	return true;
}
static inline void *sdk_fs_write_op(struct kabi_ctx *ctx, u64 block, u32 offset, u32 length,
	u16 flags)
{
	struct fs_op_head *o = sdk_fs_op(ctx, FS_OP_WRITE, block, length);

	if (!o)
		return nullptr;
	o->offset = offset;
	o->length = length;
	o->flags = flags;
	return sdk_fs_op_data(o);
}
/* A copy of the whole block to change. */
static inline void *sdk_fs_edit(struct kabi_ctx *ctx, u64 block, u32 block_bytes)
{
	void *own = sdk_fs_own(ctx, block, 0, block_bytes);
	const void *view;

	if (own)
		return own;
	view = sdk_fs_view(ctx, block, true, nullptr);
	own = view ? sdk_fs_write_op(ctx, block, 0, block_bytes, 0) : nullptr;
	return own ? memcpy(own, view, block_bytes) : nullptr;
}
/* A new block, zeroed: nothing is read. */
static inline void *sdk_fs_new(struct kabi_ctx *ctx, u64 block, u32 block_bytes)
{
	void *own = sdk_fs_own(ctx, block, 0, block_bytes);

	return own ? memset(own, 0, block_bytes)
		   : sdk_fs_write_op(ctx, block, 0, block_bytes, FS_WRITE_WHOLE);
}
/* Bytes of a block that others change elsewhere at the same time: a copy of these alone, which were
 * read as seen. */
static inline void *sdk_fs_bytes(struct kabi_ctx *ctx, u64 block, u32 offset, u32 length)
{
	void *own = sdk_fs_own(ctx, block, offset, length);
	const u8 *view;

	if (own)
		return own;
	view = sdk_fs_peek(ctx, block, nullptr);
	if (!view || !sdk_fs_saw(ctx, block, offset, view + offset, length))
		return nullptr;
	own = sdk_fs_write_op(ctx, block, offset, length, 0);
	return own ? memcpy(own, view + offset, length) : nullptr;
}
static inline bool sdk_fs_bits(struct kabi_ctx *ctx, enum fs_op op, u64 bitmap, u32 first, u32 nr,
	u32 tag)
{
	struct fs_op_head *o = sdk_fs_op(ctx, op, bitmap, 0);

	if (!o)
		return false;
	o->a = first;
	o->length = nr;
	o->offset = tag;
	return true;
}
static inline bool sdk_fs_add(struct kabi_ctx *ctx, enum fs_op op, u64 block, u32 low, u32 high,
	u32 width, s64 amount, u16 flags)
{
	struct fs_op_head *o = sdk_fs_op(ctx, op, block, 0);

	if (!o)
		return false;
	o->offset = low;
	o->length = high;
	o->flags = (u16)(width | flags);
	o->a = (u64)amount;
	return true;
}
static inline bool sdk_fs_count(struct kabi_ctx *ctx, s64 blocks, s64 inodes, u16 flags)
{
	struct fs_op_head *o = sdk_fs_op(ctx, FS_OP_COUNT, 0, 0);

	if (!o)
		return false;
	o->a = (u64)blocks;
	o->b = (u64)inodes;
	o->flags = flags;
	return true;
}
static inline bool sdk_fs_forget(struct kabi_ctx *ctx, u64 block, u64 nr)
{
	struct fs_op_head *o = sdk_fs_op(ctx, FS_OP_FORGET, block, 0);

	if (!o)
		return false;
	o->a = nr;
	return true;
}
static inline bool sdk_fs_inode(struct kabi_ctx *ctx, const struct fs_inode *inode, u16 take)
{
	struct fs_op_head *o = sdk_fs_op(ctx, FS_OP_INODE, 0, sizeof(*inode));

	if (!o)
		return false;
	o->a = inode->ino;
	o->flags = take;
	o->length = sizeof(*inode);
	memcpy(sdk_fs_op_data(o), inode, sizeof(*inode));
	return true;
}
