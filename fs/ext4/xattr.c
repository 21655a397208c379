/* Extended attributes: behind the inode's fixed part, and in one block of its own. Theory in
 * main.c. */
#include "ext4.h"

#define XATTR_MAGIC   0xea020000u
#define XATTR_CREATE  1u
#define XATTR_REPLACE 2u
#define XATTR_REMOVE  4u

struct xattr_entry {
	u8 name_len, name_index;
	le16_t value_offs;
	le32_t value_inum, value_size, hash;
	char name[];
};
struct xattr_header { /* of a block */
	le32_t magic, refcount, blocks, hash, checksum, reserved[3];
};
/* Where attributes lie: entries from `first`, values at offsets from `base`; all inside [first,
 * end). */
struct region {
	u8 *base, *first, *end;
};
struct wanted {
	const char *name; /* without the prefix */
	const void *value;
	u32 name_len, value_len;
	u8 index;
};

static u32 entry_bytes(u32 name_len)
{
	return (u32)ALIGN_UP(sizeof(struct xattr_entry) + name_len, 4u);
}

static const char *prefix_of(u8 index, u32 *len)
{
	switch (index) {
	case 1:
		*len = 5;
		return "user.";
	case 4:
		*len = 8;
		return "trusted.";
	case 6:
		*len = 9;
		return "security.";
	case 7:
		*len = 7;
		return "system.";
	default:
		return nullptr;
	}
}

static bool name_split(const char *name, u32 len, struct wanted *w)
{
	for (u8 i = 1; i < 7; i++) {
		u32 n;
		const char *p = prefix_of(i, &n);

		if (p && len > n && !memcmp(name, p, n)) {
			w->index = i;
			w->name = name + n;
			w->name_len = len - n;
			return w->name_len < 256;
		}
	}
	return false;
}

static bool last_entry(const struct region *g, const struct xattr_entry *x)
{
	return (const u8 *)x + 4 > g->end || !*(const u32 *)x;
}
static const struct xattr_entry *next_entry(const struct xattr_entry *x)
{
	return (const struct xattr_entry *)((const u8 *)x + entry_bytes(x->name_len));
}

/* Every entry and value inside; after this lengths may be trusted. */
static bool region_sane(const struct region *g)
{
	const struct xattr_entry *x = (const struct xattr_entry *)g->first;
	u32 total = (u32)(g->end - g->base);

	while (!last_entry(g, x)) {
		u32 size, at = le16_get(x->value_offs);

		if ((size_t)(g->end - (const u8 *)x) < sizeof(*x) ||
			entry_bytes(x->name_len) > (size_t)(g->end - (const u8 *)x))
			return false;
		size = le32_get(x->value_size);
		if (le32_get(x->value_inum) || size > total ||
			(size && (at > total || size > total - at || at + g->base < g->first)))
			return false;
		x = next_entry(x);
	}
	return true;
}

static const struct xattr_entry *region_find(const struct region *g, const struct wanted *w)
{
	for (const struct xattr_entry *x = (const struct xattr_entry *)g->first; !last_entry(g, x);
		x = next_entry(x))
		if (x->name_index == w->index && x->name_len == w->name_len &&
			!memcmp(x->name, w->name, w->name_len))
			return x;
	return nullptr;
}

/* e_hash: name, then value by words, in the order of Linux's ext4_xattr_hash_entry. */
static u32 entry_hash(const char *name, u32 name_len, const u8 *value, u32 size)
{
	u32 hash = 0;

	for (u32 i = 0; i < name_len; i++)
		hash = (hash << 5) ^ (hash >> 27) ^ (u8)name[i];
	for (u32 i = 0; i < size; i += 4) {
		u32 word = 0;

		for (u32 k = 0; k < 4 && i + k < size; k++)
			word |= (u32)value[i + k] << 8 * k;
		hash = (hash << 16) ^ (hash >> 16) ^ word;
	}
	return hash;
}

struct builder { /* a region made anew */
	struct region g;
	u8 *entry, *value;
};

static bool builder_add(struct builder *b, u8 index, const char *name, u32 name_len,
	const void *value, u32 size)
{
	struct xattr_entry *x = (struct xattr_entry *)b->entry;
	u32 need = entry_bytes(name_len), room = ALIGN_UP(size, 4u);

	if ((size_t)(b->value - b->entry) < need + room + 4u)
		return false;
	b->value -= room;
	memset(b->value, 0, room);
	memcpy(b->value, value, size);
	*x = (struct xattr_entry){.name_len = (u8)name_len,
		.name_index = index,
		.value_offs = le16_make(size ? (u16)(b->value - b->g.base) : 0),
		.value_size = le32_make(size),
		.hash = le32_make(entry_hash(name, name_len, b->value, size))};
	memcpy(x->name, name, name_len);
	b->entry += need;
	return true;
}

static s32 entry_order(const struct xattr_entry *x, const struct wanted *w)
{
	if (x->name_index != w->index)
		return (s32)x->name_index - (s32)w->index;
	if (x->name_len != w->name_len)
		return (s32)x->name_len - (s32)w->name_len;
	return memcmp(x->name, w->name, w->name_len);
}

/* `to` becomes what `from` holds without w's name, and with w's value if it has one: sorted, as
 * blocks are. False: no room. */
static bool region_build(struct region *to, const struct region *from, const struct wanted *w,
	bool put)
{
	struct builder b = {.g = *to,
		.entry = to->first,
		.value = to->base + ALIGN_DOWN((u32)(to->end - to->base), 4u)};

	memset(to->first, 0, (size_t)(to->end - to->first));
	for (const struct xattr_entry *x = from ? (const struct xattr_entry *)from->first : nullptr;
		x && !last_entry(from, x); x = next_entry(x)) {
		s32 order = entry_order(x, w);

		if (put && order > 0) {
			if (!builder_add(&b, w->index, w->name, w->name_len, w->value,
				    w->value_len))
				return false;
			put = false;
		}
		if (order && !builder_add(&b, x->name_index, x->name, x->name_len,
				     from->base + le16_get(x->value_offs), le32_get(x->value_size)))
			return false;
	}
	return !put || builder_add(&b, w->index, w->name, w->name_len, w->value, w->value_len);
}

/* The region in an inode's image; first is nullptr where there is no room for one. */
static struct region inode_region(const struct ext4 *e, u8 *image)
{
	u32 extra = e->inode_bytes > INODE_OLD_BYTES
			    ? le16_get(((struct ext4_inode *)image)->i_extra_isize)
			    : 0;
	u32 at = INODE_OLD_BYTES + extra;

	if (e->inode_bytes <= INODE_OLD_BYTES || extra < 4 || extra % 4 ||
		at + 4 + sizeof(struct xattr_entry) + 4 > e->inode_bytes)
		return (struct region){};
	return (struct region){.base = image + at + 4,
		.first = image + at + 4,
		.end = image + e->inode_bytes};
}
static bool inode_has_region(const struct region *g)
{
	return g->first && le32_get(*(const le32_t *)(g->first - 4)) == XATTR_MAGIC;
}

static struct region block_region(const struct ext4 *e, u8 *data)
{
	return (struct region){.base = data,
		.first = data + sizeof(struct xattr_header),
		.end = data + e->block_bytes};
}

static u32 block_crc(const struct ext4 *e, u64 block, const u8 *data)
{
	const u32 at = offsetof(struct xattr_header, checksum);
	le64_t number = le64_make(block);
	le32_t zero = le32_make(0);
	u32 crc = ext4_crc32c(e->csum_seed, &number, sizeof(number));

	crc = ext4_crc32c(crc, data, at);
	crc = ext4_crc32c(crc, &zero, sizeof(zero));
	return ext4_crc32c(crc, data + at + 4, e->block_bytes - at - 4);
}

/* The attribute block, checked; nullptr with an error in the context. */
static const u8 *block_get(struct ext4 *e, struct ext4_inode_ref *r)
{
	bool unverified;
	const u8 *data = sdk_fs_block(e->ctx, r->b.file_acl, e->block_bytes, &unverified);
	const struct xattr_header *h = (const struct xattr_header *)data;
	struct region g;

	if (!data)
		return nullptr;
	g = block_region(e, (u8 *)(uintptr_t)data);
	if (le32_get(h->magic) != XATTR_MAGIC || le32_get(h->blocks) != 1 ||
		!le32_get(h->refcount) || le32_get(h->refcount) > 1024 || !region_sane(&g) ||
		(unverified && e->csum &&
			le32_get(h->checksum) != block_crc(e, r->b.file_acl, data))) {
		ext4_corrupt(e, "attribute block of inode", r->ino);
		return nullptr;
	}
	if (unverified)
		fs_services_block_verified(e->ctx, r->b.file_acl);
	return data;
}

/* A private copy of the inode's image, for reading. */
static u8 *image_copy(struct ext4 *e, struct ext4_inode_ref *r)
{
	u32 offset;
	u64 block = ext4_inode_place(e, r->ino, &offset);
	const u8 *table = block ? sdk_fs_peek(e->ctx, block, nullptr) : nullptr;
	u8 *image = table ? sdk_fs_scratch(e->ctx, e->inode_bytes) : nullptr;

	return image ? memcpy(image, table + offset, e->inode_bytes) : nullptr;
}

struct found_regions { /* where attributes of one inode are now */
	struct region inode, block;
	bool has_inode, has_block;
};

static answer_t regions_find(struct ext4 *e, struct ext4_inode_ref *r, struct found_regions *f)
{
	u8 *image = image_copy(e, r);

	*f = (struct found_regions){};
	if (!image)
		return ext4_error(e);
	f->inode = inode_region(e, image);
	f->has_inode = inode_has_region(&f->inode);
	if (f->has_inode && !region_sane(&f->inode))
		return ext4_corrupt(e, "attributes of inode", r->ino);
	if (r->b.file_acl) {
		const u8 *data = block_get(e, r);

		if (!data)
			return ext4_error(e);
		f->block = block_region(e, (u8 *)(uintptr_t)data);
		f->has_block = true;
	}
	return 0;
}

static answer_t begin(struct ext4 *e, struct kabi_ctx *ctx, struct ext4_inode_ref *r,
	const struct fs_inode *inode, struct found_regions *f)
{
	answer_t a = ext4_begin(e, ctx);

	if (a)
		return a;
	return ext4_ref_init(e, r, inode) ? regions_find(e, r, f) : ext4_error(e);
}

answer_t ext4_xattr_get(struct kabi_ctx *ctx, const struct fs_inode *inode, const void *name,
	u32 name_len, void *value, u32 value_len)
{
	const struct xattr_entry *x = nullptr;
	const struct region *g = nullptr;
	struct found_regions f;
	struct ext4_inode_ref r;
	struct wanted w = {};
	struct ext4 e;
	u32 size;
	answer_t a;

	if (!name_split(name, name_len, &w))
		return -EOPNOTSUPP;
	a = begin(&e, ctx, &r, inode, &f);
	if (a)
		return a;
	if (f.has_inode)
		x = region_find(g = &f.inode, &w);
	if (!x && f.has_block)
		x = region_find(g = &f.block, &w);
	if (!x)
		return -ENODATA;
	size = le32_get(x->value_size);
	if (!value_len)
		return size;
	if (size > value_len)
		return -ERANGE;
	memcpy(value, g->base + le16_get(x->value_offs), size);
	return size;
}

static answer_t list_region(const struct region *g, char *names, u32 room, u32 *used)
{
	for (const struct xattr_entry *x = (const struct xattr_entry *)g->first; !last_entry(g, x);
		x = next_entry(x)) {
		u32 n;
		const char *p = prefix_of(x->name_index, &n);

		if (!p)
			continue;
		if (room) {
			if (room - *used < n + x->name_len + 1)
				return -ERANGE;
			memcpy(names + *used, p, n);
			memcpy(names + *used + n, x->name, x->name_len);
			names[*used + n + x->name_len] = 0;
		}
		*used += n + x->name_len + 1;
	}
	return 0;
}

answer_t ext4_xattr_list(struct kabi_ctx *ctx, const struct fs_inode *inode, void *names,
	u32 names_len)
{
	struct found_regions f;
	struct ext4_inode_ref r;
	struct ext4 e;
	u32 used = 0;
	answer_t a = begin(&e, ctx, &r, inode, &f);

	if (!a && f.has_inode)
		a = list_region(&f.inode, names, names_len, &used);
	if (!a && f.has_block)
		a = list_region(&f.block, names, names_len, &used);
	return a ? a : (answer_t)used;
}

static void block_seal(const struct ext4 *e, u64 block, u8 *data)
{
	struct xattr_header *h = (struct xattr_header *)data;

	if (e->csum)
		h->checksum = le32_make(block_crc(e, block, data));
}

/* One user less of the attribute block; the last one frees it. */
answer_t ext4_xattr_drop(struct ext4 *e, struct ext4_inode_ref *r)
{
	const struct xattr_header *seen;
	struct xattr_header *h;

	if (!r->b.file_acl)
		return 0;
	seen = (const struct xattr_header *)block_get(e, r);
	if (!seen)
		return ext4_error(e);
	if (le32_get(seen->refcount) > 1) {
		h = sdk_fs_edit(e->ctx, r->b.file_acl, e->block_bytes);
		if (!h)
			return ext4_error(e);
		h->refcount = le32_make(le32_get(h->refcount) - 1);
		block_seal(e, r->b.file_acl, (u8 *)h);
	} else if (!ext4_free_blocks(e, r->b.file_acl, 1, true)) {
		return ext4_error(e);
	}
	r->b.file_acl = 0;
	r->f.blocks_512 -= MIN(r->f.blocks_512, (u64)e->block_bytes / 512);
	return 0;
}

static bool region_empty(const struct region *g)
{
	return last_entry(g, (const struct xattr_entry *)g->first);
}

/* The block gets contents `from` without and with w; a shared block is left to its other users and
 * copied. */
static answer_t block_change(struct ext4 *e, struct ext4_inode_ref *r,
	const struct found_regions *f, const struct wanted *w, bool put)
{
	u8 *scratch = sdk_fs_scratch(e->ctx, e->block_bytes), *data;
	struct region to = block_region(e, scratch);
	bool shared = f->has_block &&
		      le32_get(((const struct xattr_header *)f->block.base)->refcount) > 1;
	u64 block = r->b.file_acl;
	answer_t a;

	if (!scratch)
		return ext4_error(e);
	if (!region_build(&to, f->has_block ? &f->block : nullptr, w, put))
		return -ENOSPC;
	if (region_empty(&to))
		return ext4_xattr_drop(e, r);
	if (shared || !block) {
		u32 got;

		if (shared) {
			a = ext4_xattr_drop(e, r);
			if (a)
				return a;
		}
		a = ext4_alloc_blocks(e, r->goal, 1, &block, &got);
		if (a)
			return a;
		r->f.blocks_512 += e->block_bytes / 512;
		data = sdk_fs_new(e->ctx, block, e->block_bytes);
	} else {
		data = sdk_fs_edit(e->ctx, block, e->block_bytes);
	}
	if (!data)
		return ext4_error(e);
	memcpy(data, scratch, e->block_bytes);
	memset(data, 0, sizeof(struct xattr_header));
	*(struct xattr_header *)data = (struct xattr_header){.magic = le32_make(XATTR_MAGIC),
		.refcount = le32_make(1),
		.blocks = le32_make(1)};
	block_seal(e, block, data);
	r->b.file_acl = block;
	return 0;
}

/* The inode's own region; false: it does not fit (the image is unchanged). */
static bool inode_change(struct ext4 *e, u8 *image, const struct found_regions *f,
	const struct wanted *w, bool put)
{
	struct region g = inode_region(e, image), to;
	u32 bytes;
	u8 *scratch;

	if (!g.first)
		return !put;
	bytes = (u32)(g.end - g.first);
	scratch = sdk_fs_scratch(e->ctx, bytes);
	if (!scratch)
		return false;
	to = (struct region){.base = scratch, .first = scratch, .end = scratch + bytes};
	if (!region_build(&to, f->has_inode ? &f->inode : nullptr, w, put))
		return false;
	memcpy(g.first, scratch, bytes);
	*(le32_t *)(g.first - 4) = le32_make(region_empty(&to) ? 0 : XATTR_MAGIC);
	return true;
}

answer_t ext4_xattr_set(struct kabi_ctx *ctx, const struct fs_inode *inode, const void *name,
	u32 name_len, const void *value, u32 value_len, u32 flags)
{
	bool in_inode, in_block, put = !(flags & XATTR_REMOVE);
	struct found_regions f;
	struct ext4_inode_ref r;
	struct wanted w = {.value = value, .value_len = value_len};
	struct ext4 e;
	u32 offset;
	u64 block;
	u8 *image;
	answer_t a;

	if (!name_split(name, name_len, &w))
		return -EOPNOTSUPP;
	a = begin(&e, ctx, &r, inode, &f);
	if (a)
		return a;
	in_inode = f.has_inode && region_find(&f.inode, &w);
	in_block = f.has_block && region_find(&f.block, &w);
	if (!in_inode && !in_block && flags & (XATTR_REPLACE | XATTR_REMOVE))
		return -ENODATA;
	if ((in_inode || in_block) && flags & XATTR_CREATE)
		return -EEXIST;
	block = ext4_inode_place(&e, r.ino, &offset);
	image = block ? sdk_fs_bytes(ctx, block, offset, e.inode_bytes) : nullptr;
	if (!image)
		return ext4_error(&e);
	if (put && inode_change(&e, image, &f, &w, true)) {
		if (in_block)
			a = block_change(&e, &r, &f, &w, false);
	} else {
		if (in_inode && !inode_change(&e, image, &f, &w, false))
			return ext4_error(&e);
		if (put || in_block)
			a = block_change(&e, &r, &f, &w, put);
	}
	if (a)
		return a;
	ext4_touch(&e, &r.f.ctime);
	return ext4_inode_write(&e, &r, false, FS_TAKE_BODY | FS_TAKE_CTIME);
}
