/* See view.h. The same checks as core/node/delta.c, written anew: each tests the other. */
#include "view.h"
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct view *view_of(struct kabi_ctx *ctx)
{
	return (struct view *)ctx;
}

u64 view_random(struct view *v)
{
	v->seed ^= v->seed << 13;
	v->seed ^= v->seed >> 7;
	v->seed ^= v->seed << 17;
	return v->seed;
}

static void log_line(struct kabi_ctx *ctx, enum severity level, const void *text, u32 len)
{
	if (!view_of(ctx)->quiet)
		printf("# %.*s\n", (int)len, (const char *)text);
}
static void random_bytes(struct kabi_ctx *ctx, void *buffer, u32 len)
{
	memset(buffer, 7, len);
}
static u32 plant(struct kabi_ctx *ctx, enum plant_place place, u64 *memory)
{
	(void)ctx;
	(void)place;
	*memory = 0;
	return PLANTED_NONE;
}

static const struct kernel_services_vtable kernel_services =
	{.head = KABI_VTABLE_HEAD(kernel_services),
		.log = log_line,
		.random = random_bytes,
		.plant = plant};

static answer_t block_view(struct kabi_ctx *ctx, u64 block, u32 tracked, struct fs_block_view *view)
{
	struct view *v = view_of(ctx);

	if (block >= v->nr_blocks)
		return -EIO;
	if (!v->loaded[block])
		return -EAGAIN;
	*view = (struct fs_block_view){.address = (uintptr_t)v->loaded[block],
		.version = v->version[block],
		.unverified = !v->verified[block]};
	return 0;
}
static void block_verified(struct kabi_ctx *ctx, u64 block)
{
	if (block < view_of(ctx)->nr_blocks)
		view_of(ctx)->verified[block] = 1;
}
static void facts(struct kabi_ctx *ctx, struct fs_facts *f)
{
	struct view *v = view_of(ctx);

	*f = (struct fs_facts){.free_blocks = v->info.free_blocks,
		.free_inodes = v->info.free_inodes,
		.available_blocks = v->info.free_blocks,
		.now_seconds = (s64)(1764000000 + v->clock_ns / 1000000000),
		.now_nanoseconds = (u32)(v->clock_ns % 1000000000),
		.block_bytes = v->block_bytes,
		.mount_flags = v->mount_flags};
}
static const struct fs_services_vtable fs_services = {.head = KABI_VTABLE_HEAD(fs_services),
	.block_view = block_view,
	.block_verified = block_verified,
	.facts = facts};

static void unload(struct view *v, u64 block)
{
	free(v->loaded[block]);
	v->loaded[block] = nullptr;
}
static void load(struct view *v, u64 block)
{
	if (block >= v->nr_blocks || v->loaded[block])
		return;
	v->loaded[block] = malloc(v->block_bytes);
	memcpy(v->loaded[block], v->disk + block * v->block_bytes, v->block_bytes);
}

static void set_block_bytes(struct view *v, u32 block_bytes)
{
	for (u64 i = 0; v->loaded && i < v->nr_blocks; i++)
		unload(v, i);
	v->block_bytes = block_bytes;
	v->nr_blocks = v->disk_bytes / block_bytes;
	v->loaded = realloc(v->loaded, v->nr_blocks * sizeof(void *));
	v->version = realloc(v->version, v->nr_blocks * sizeof(u64));
	v->verified = realloc(v->verified, v->nr_blocks);
	memset(v->loaded, 0, v->nr_blocks * sizeof(void *));
	memset(v->version, 0, v->nr_blocks * sizeof(u64));
	memset(v->verified, 0, v->nr_blocks);
}

bool view_of_image(struct view *v, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	*v = (struct view){.seed = 88172645463325252ull, .writable = true};
	if (fd < 0 || fstat(fd, &st))
		return false;
	v->disk_bytes = (u64)st.st_size;
	v->disk = malloc(v->disk_bytes);
	if (read(fd, v->disk, v->disk_bytes) != (ssize_t)v->disk_bytes)
		return false;
	close(fd);
	v->ctx.size = sizeof(v->ctx);
	v->ctx.version = KABI_CTX_VERSION;
	v->ctx.services[KABI_SERVICES_KERNEL_SERVICES] = &kernel_services;
	v->ctx.services[KABI_SERVICES_FS_SERVICES] = &fs_services;
	v->ctx.answer_bytes = 128 * 1024;
	v->ctx.answer = malloc(v->ctx.answer_bytes);
	set_block_bytes(v, 1024);
	v->nr_inodes = 1 << 20;
	v->inode = calloc(v->nr_inodes, sizeof(void *));
	v->nr_tags_max = 65536;
	v->tags = calloc(v->nr_tags_max, 1);
	return true;
}

bool view_save(struct view *v, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	bool ok = fd >= 0 && write(fd, v->disk, v->disk_bytes) == (ssize_t)v->disk_bytes;

	return fd >= 0 && !close(fd) && ok;
}

void view_free(struct view *v)
{
	for (u64 i = 0; i < v->nr_blocks; i++)
		unload(v, i);
	for (u64 i = 0; i < v->nr_inodes; i++)
		free(v->inode[i]);
	free(v->loaded);
	free(v->version);
	free(v->verified);
	free(v->inode);
	free(v->deferred);
	free(v->tags);
	free(v->disk);
	free(v->ctx.answer);
}

void view_begin(struct view *v)
{
	v->clock_ns += 1000003;
	v->runs = v->nr_needed = 0;
	v->nr_calls++;
	if (v->cold)
		for (u64 i = 0; i < v->nr_blocks; i++)
			unload(v, i);
}
void view_rerun(struct view *v)
{
	v->ctx.nr_needs = 0;
	v->ctx.frame = (struct kabi_frame){.reason = v->runs ? KABI_AGAIN : KABI_FIRST};
	v->runs++;
	v->nr_runs++;
	memset(v->ctx.answer, 0xa5, 64);
}

static u32 counter_width(const struct fs_op_head *o)
{
	return o->flags & 0xff;
}
static u64 counter_get(const u8 *p, u32 width)
{
	u64 x = 0;

	for (u32 i = 0; i < width; i++)
		x |= (u64)p[i] << 8 * i;
	return x;
}
static void counter_put(u8 *p, u32 width, u64 x)
{
	for (u32 i = 0; i < width; i++)
		p[i] = (u8)(x >> 8 * i);
}
/* add and lower; false: out of bounds. */
static bool counter(u8 *block, const struct fs_op_head *o)
{
	u32 w = counter_width(o), bits = w * 8;
	u64 x = counter_get(block + o->offset, w);

	if (o->length)
		x |= counter_get(block + o->length, w) << bits;
	if (o->op == FS_OP_LOWER)
		x = MIN(x, o->a);
	else if ((s64)o->a < 0 && x < -o->a)
		return false;
	else
		x += o->a;
	if (!o->length && x >> bits)
		return false;
	counter_put(block + o->offset, w, x);
	if (o->length)
		counter_put(block + o->length, w, x >> bits);
	return true;
}
static bool bits(u8 *map, const struct fs_op_head *o, bool set)
{
	for (u64 i = o->a; i < o->a + o->length; i++) {
		if ((map[i / 8] >> i % 8 & 1) == set)
			return false;
		map[i / 8] ^= (u8)(1u << i % 8);
	}
	return true;
}

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			if (!v->quiet)                                                             \
				printf("# delta refused: %s (op %u block %llu)\n", #condition,     \
					o->op, (unsigned long long)o->block);                      \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static void defer(struct view *v, const struct fs_op_head *o)
{
	if (v->nr_deferred == v->cap_deferred)
		v->deferred = realloc(v->deferred,
			sizeof(*o) * (v->cap_deferred = v->cap_deferred * 2 + 64));
	v->deferred[v->nr_deferred++] = *o;
}

/* Checks one operation against the disk as it was (reads) and as the delta makes it (the rest), in
 * `now`. */
static bool op_do(struct view *v, const struct fs_op_head *o, u8 *now, bool commit)
{
	const u8 *data = (const u8 *)(o + 1);
	u32 bs = v->block_bytes;

	switch (o->op) {
	case FS_OP_READ:
		REQUIRE(o->block < v->nr_blocks && o->offset + o->length <= bs);
		REQUIRE(!memcmp(v->disk + o->block * bs + o->offset, data, o->length));
		return true;
	case FS_OP_WRITE:
		REQUIRE(o->block < v->nr_blocks && o->offset + o->length <= bs &&
			o->bytes >= sizeof(*o) + o->length);
		memcpy(now + o->offset, data, o->length);
		return true;
	case FS_OP_CLAIM:
	case FS_OP_RELEASE:
		REQUIRE(o->block < v->nr_blocks && o->a + o->length <= bs * 8 &&
			o->offset < v->nr_tags_max);
		if (o->op == FS_OP_RELEASE && !commit) {
			for (u64 i = o->a; i < o->a + o->length; i++)
				REQUIRE(now[i / 8] >> i % 8 & 1);
			defer(v, o);
			return true;
		}
		REQUIRE(bits(now, o, o->op == FS_OP_CLAIM));
		v->tags[o->offset] = 1;
		return true;
	case FS_OP_ADD:
	case FS_OP_LOWER:
		REQUIRE(o->block < v->nr_blocks && o->offset + 2 <= bs && o->length + 2 <= bs &&
			counter_width(o) == 2);
		if (o->flags & FS_OP_AFTER_COMMIT && !commit) {
			defer(v, o);
			return true;
		}
		REQUIRE(counter(now, o));
		return true;
	case FS_OP_INODE:
		REQUIRE(o->a < v->nr_inodes && v->inode[o->a] &&
			o->length == sizeof(struct fs_inode));
		return true;
	case FS_OP_FORGET:
		REQUIRE(o->a && o->block + o->a <= v->nr_blocks);
		return true;
	case FS_OP_COUNT:
		if (o->flags & FS_OP_AFTER_COMMIT && !commit) {
			defer(v, o);
			return true;
		}
		v->info.free_blocks += o->a;
		v->info.free_inodes += o->b;
		return true;
	}
	REQUIRE(false);
}

static void take_inode(struct fs_inode *to, const struct fs_inode *from, u32 take)
{
	if (take & FS_TAKE_BODY) {
		memcpy(to->body, from->body, sizeof(to->body));
		to->flags = from->flags;
		to->blocks_512 = from->blocks_512;
	}
	if (take & FS_TAKE_LINKS)
		to->nlink = from->nlink;
	if (take & FS_TAKE_MTIME)
		to->mtime = from->mtime;
	if (take & (FS_TAKE_MTIME | FS_TAKE_CTIME))
		to->ctime = from->ctime;
	if (take & FS_TAKE_SIZE)
		to->size = from->size;
}

/* Applies a delta; an answer that cannot be applied is a defect of the component: nothing is
 * concurrent here. */
static bool apply(struct view *v)
{
	struct fs_delta_head *h = v->ctx.answer;
	u8 *p = (u8 *)(h + 1), *end = p + h->used;
	u8 *undo = nullptr;

	if (h->used > v->ctx.answer_bytes - sizeof(*h))
		return false;
	(void)undo;
	for (; p < end; p += ((struct fs_op_head *)p)->bytes) {
		const struct fs_op_head *o = (const struct fs_op_head *)p;
		bool block_op = o->op == FS_OP_WRITE || o->op == FS_OP_CLAIM ||
				o->op == FS_OP_ADD || o->op == FS_OP_LOWER ||
				o->op == FS_OP_RELEASE;

		if (o->bytes < sizeof(*o) || o->bytes % 8 || o->bytes > (u32)(end - p))
			return false;
		REQUIRE(!block_op || o->block < v->nr_blocks);
		if (o->op == FS_OP_WRITE && o->flags & FS_WRITE_WHOLE)
			memset(v->disk + o->block * v->block_bytes, 0, v->block_bytes);
		if (!op_do(v, o, block_op ? v->disk + o->block * v->block_bytes : nullptr, false))
			return false;
		if (o->op == FS_OP_INODE)
			take_inode(v->inode[o->a], (const struct fs_inode *)(o + 1), o->flags);
		if (block_op) {
			v->version[o->block]++;
			v->verified[o->block] = 1;
			unload(v, o->block);
			if (!v->cold)
				load(v, o->block);
		}
	}
	return true;
}

bool view_again(struct view *v, answer_t *a)
{
	if (v->runs > 4000)
		return *a = -EIO, false;
	if (*a == ANSWER_NEED) {
		for (u32 i = 0; i < v->ctx.nr_needs; i++)
			for (u64 b = 0; b < v->ctx.needs[i].nr; b++) {
				if (v->ctx.needs[i].index + b >= v->nr_blocks && b == 0)
					return *a = -EIO, false;
				load(v, v->ctx.needs[i].index + b);
			}
		return true;
	}
	if (*a != ANSWER_MORE && answer_is_error(*a))
		return false;
	if (v->lose_one_in && view_random(v) % v->lose_one_in == 0) {
		v->nr_lost++;
		return true; /* stale, or crashed: nothing was changed */
	}
	/* Reads are of the disk before the delta: check them first, since apply() works in place.
	 */
	if (!apply(v)) {
		*a = -EUCLEAN;
		printf("# a delta could not be applied\n");
		return false;
	}
	return *a == ANSWER_MORE;
}

/* What was put off until the commit. */
static void deferred_do(struct view *v)
{
	for (u32 i = 0; i < v->nr_deferred; i++) {
		const struct fs_op_head *o = &v->deferred[i];

		if (o->op == FS_OP_COUNT) {
			op_do(v, o, nullptr, true);
			continue;
		}
		op_do(v, o, v->disk + o->block * v->block_bytes, true);
		unload(v, o->block);
		v->verified[o->block] = 1;
		if (!v->cold)
			load(v, o->block);
	}
	v->nr_deferred = 0;
}

void view_commit(struct view *v, bool last)
{
	for (int round = 0; round < 2; round++) {
		u32 tags[256], nr_tags = 0;

		deferred_do(v);
		for (u32 i = 0; i < v->nr_tags_max && nr_tags < 256; i++)
			if (v->tags[i])
				tags[nr_tags++] = i;
		for (u32 i = 0; i < nr_tags || i == 0; i += 16) {
			u32 here = i < nr_tags ? MIN(nr_tags - i, 16u) : 0;
			answer_t a = RUN(v, ext4_seal(&v->ctx, tags + i, here, last));

			if (a)
				printf("# seal: %ld\n", (long)a);
		}
		memset(v->tags, 0, v->nr_tags_max);
	}
}

answer_t view_mount(struct view *v, const char *options, u32 flags)
{
	struct fs_inode root = {};
	answer_t a;

	v->mount_flags = flags;
	do {
		u32 before = v->block_bytes;

		a = RUN(v, ext4_mount(&v->ctx, options, (u32)strlen(options), flags, v->disk_bytes,
				   v->block_bytes, &v->info, &root));
		if (a)
			return a;
		if (v->info.block_bytes == before)
			break;
		set_block_bytes(v, v->info.block_bytes);
	} while (true);
	v->inode[root.ino] = malloc(sizeof(root));
	*v->inode[root.ino] = root;
	return 0;
}

struct fs_inode *view_inode(struct view *v, u64 ino, answer_t *error)
{
	struct fs_inode f = {};

	*error = -EUCLEAN;
	if (ino >= v->nr_inodes)
		return nullptr;
	if (!v->inode[ino]) {
		*error = RUN(v, ext4_read_inode(&v->ctx, ino, &f));
		if (*error)
			return nullptr;
		v->inode[ino] = malloc(sizeof(f));
		*v->inode[ino] = f;
	}
	*error = 0;
	return v->inode[ino];
}
