/*
 * Compressed members of an initramfs.
 *
 * Purpose: one member (gzip, xz, zstd) at the beginning of a byte range becomes bytes in memory.
 * The decoders are zlib, xz-embedded and zstd from the pinned sources; here they get memory, and
 * one way to be asked.
 *
 * Vocabulary: a stream is a decoder's state between two steps; a step decodes into what room the
 * output has.
 *
 * Objects and lifetimes: the output grows as it fills and belongs to the caller (decompress_free);
 * a stream lives within one call.
 *
 * Invariants: (1) a decoder never gets more room than the output has, nor input beyond the range;
 * (2) a member that ends before its decoder says so is corrupt; (3) a size that a member tells is
 * believed only as far as its format could reach.
 *
 * Locks: none; runs in the init thread, may sleep.
 *
 * Failure: -ENOSYS (no such format), -EINVAL (corrupt), -ENOMEM; nothing stays allocated.
 *
 * Replacement: none, boot only. Cost: one copy of the output for each growth by half, none where
 * the member tells its size.
 */
#include <core/init.h>
#include <core/mm.h>
#include <core/sched.h>
#include <lib/string.h>

#include <xz.h>
#include <zlib.h>

#define OUTPUT_START_BYTES (8u << 20)
#define OUTPUT_MAX_BYTES   (2ull << 30)
#define STEP_BYTES         (256u << 10)
#define XZ_DICTIONARY_MAX  (64u << 20)
#define GZIP_WINDOW_BITS   (15 + 16) /* zlib.h: 16 asks for a gzip header */
#define RATIO_MAX          1032u     /* the best that deflate can do */
#define SLAB_BYTES_MAX     (1u << 20)

/* The few functions of zstd's single-file decoder that we use; it comes as one C file, without a
 * header (lib/zstd.h). */
struct zstd_in {
	const void *src;
	size_t size, pos;
};
struct zstd_out {
	void *dst;
	size_t size, pos;
};
void *ZSTD_createDStream(void);
size_t ZSTD_freeDStream(void *stream);
size_t ZSTD_decompressStream(void *stream, struct zstd_out *out, struct zstd_in *in);
unsigned ZSTD_isError(size_t code);
unsigned long long ZSTD_getFrameContentSize(const void *src, size_t bytes);

void *decoder_alloc(size_t bytes);
void *decoder_zalloc(size_t nr, size_t bytes);
void decoder_free(void *p);

/* Memory of the decoders; the size stands in front, because vmap_free wants it back. */
struct block_head {
	size_t bytes;
	u64 pad;
};

void *decoder_alloc(size_t bytes)
{
	size_t all;
	struct block_head *head;

	if (__builtin_add_overflow(bytes, sizeof(*head), &all))
		return nullptr;
	head = all <= SLAB_BYTES_MAX ? kmalloc(all) : vmap_alloc(all, MMU_READ | MMU_WRITE);
	if (!head)
		return nullptr;
	head->bytes = all;
	return head + 1;
}

void *decoder_zalloc(size_t nr, size_t bytes)
{
	size_t all;
	void *p;

	if (__builtin_mul_overflow(nr, bytes, &all))
		return nullptr;
	p = decoder_alloc(all);
	if (p)
		memset(p, 0, all);
	return p;
}

void decoder_free(void *p)
{
	struct block_head *head = p;

	if (!p)
		return;
	head--;
	if (head->bytes <= SLAB_BYTES_MAX)
		kfree(head);
	else
		vmap_free(head, head->bytes);
}

struct output {
	u8 *base;
	size_t bytes, room;
};

static int output_grow(struct output *o, size_t wanted)
{
	u8 *more;

	if (wanted > OUTPUT_MAX_BYTES)
		return -ENOMEM;
	more = decoder_alloc(wanted);
	if (!more)
		return -ENOMEM;
	if (o->bytes)
		memcpy(more, o->base, o->bytes);
	decoder_free(o->base);
	o->base = more;
	o->room = wanted;
	return 0;
}

/* Room for one step. */
static int output_room(struct output *o, size_t *room)
{
	int error = 0;

	if (o->bytes == o->room)
		error = output_grow(o, o->room + o->room / 2 + 1);
	*room = MIN(o->room - o->bytes, (size_t)STEP_BYTES);
	return error;
}

static int output_begin(struct output *o, u64 told, size_t in_bytes)
{
	u64 limit = (u64)in_bytes * RATIO_MAX;

	return output_grow(o, told && told <= limit && told <= OUTPUT_MAX_BYTES
				      ? (size_t)told
				      : OUTPUT_START_BYTES);
}

static void *zlib_alloc(void *opaque, unsigned nr, unsigned bytes)
{
	(void)opaque;
	return decoder_zalloc(nr, bytes);
}
static void zlib_free(void *opaque, void *p)
{
	(void)opaque;
	decoder_free(p);
}

/* RFC 1952: the last four bytes are the length modulo 2^32; true of the whole range when it is one
 * member, else a bad hint. */
static u64 gzip_told(const u8 *in, size_t bytes)
{
	const u8 *end = in + bytes;

	return bytes < 18 ? 0
			  : (u64)(end[-4] | (u32)end[-3] << 8 | (u32)end[-2] << 16 |
				    (u32)end[-1] << 24);
}

static int gzip_decode(const u8 *in, size_t bytes, struct output *o, size_t *used)
{
	z_stream z = {.zalloc = zlib_alloc,
		.zfree = zlib_free,
		.next_in = in,
		.avail_in = (unsigned)MIN(bytes, (size_t)UINT32_MAX)};
	int error = output_begin(o, gzip_told(in, bytes), bytes);
	int code = Z_OK;

	if (error || inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK)
		return error ? error : -ENOMEM;
	while (!error && code == Z_OK) {
		size_t room;

		error = output_room(o, &room);
		if (error)
			break;
		z.next_out = o->base + o->bytes;
		z.avail_out = (unsigned)room;
		code = inflate(&z, Z_NO_FLUSH);
		o->bytes += room - z.avail_out;
		cond_resched();
	}
	*used = z.total_in;
	inflateEnd(&z);
	if (error)
		return error;
	return code == Z_STREAM_END ? 0 : code == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
}

static int xz_decode(const u8 *in, size_t bytes, struct output *o, size_t *used)
{
	struct xz_buf b = {.in = in, .in_size = bytes};
	int error = output_begin(o, 0, bytes);
	enum xz_ret code = XZ_OK;
	struct xz_dec *s;

	if (error)
		return error;
	xz_crc32_init();
	s = xz_dec_init(XZ_DYNALLOC, XZ_DICTIONARY_MAX);
	if (!s)
		return -ENOMEM;
	while (!error && (code == XZ_OK || code == XZ_UNSUPPORTED_CHECK)) {
		size_t room;

		error = output_room(o, &room);
		if (error)
			break;
		b.out = o->base + o->bytes;
		b.out_pos = 0;
		b.out_size = room;
		code = xz_dec_run(s, &b);
		o->bytes += b.out_pos;
		cond_resched();
	}
	*used = b.in_pos;
	xz_dec_end(s);
	if (error)
		return error;
	return code == XZ_STREAM_END                               ? 0
	       : code == XZ_MEM_ERROR || code == XZ_MEMLIMIT_ERROR ? -ENOMEM
								   : -EINVAL;
}

static int zstd_decode(const u8 *in, size_t bytes, struct output *o, size_t *used)
{
	struct zstd_in from = {in, bytes, 0};
	unsigned long long told = ZSTD_getFrameContentSize(in, bytes);
	/* The two largest values say "unknown" and "no header": both are beyond any limit. */
	int error = output_begin(o, told, bytes);
	size_t code = 1;
	void *s;

	if (error)
		return error;
	s = ZSTD_createDStream();
	if (!s)
		return -ENOMEM;
	while (!error && code && !ZSTD_isError(code)) {
		struct zstd_out to = {};
		size_t before = from.pos;

		error = output_room(o, &to.size);
		if (error)
			break;
		to.dst = o->base + o->bytes;
		code = ZSTD_decompressStream(s, &to, &from);
		o->bytes += to.pos;
		if (code && !to.pos && from.pos == before)
			break; /* the input ends within the frame */
		cond_resched();
	}
	*used = from.pos;
	ZSTD_freeDStream(s);
	return error ? error : code ? -EINVAL : 0;
}

int decompress_member(const void *in, size_t bytes, void **out, size_t *out_bytes, size_t *used)
{
	static const u8 xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	static const u8 zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	const u8 *p = in;
	struct output o = {};
	int error = -ENOSYS;

	if (bytes > 18 && p[0] == 0x1f && p[1] == 0x8b)
		error = gzip_decode(p, bytes, &o, used);
	else if (bytes > sizeof(xz_magic) && !memcmp(p, xz_magic, sizeof(xz_magic)))
		error = xz_decode(p, bytes, &o, used);
	else if (bytes > sizeof(zstd_magic) && !memcmp(p, zstd_magic, sizeof(zstd_magic)))
		error = zstd_decode(p, bytes, &o, used);
	if (error) {
		decoder_free(o.base);
		return error;
	}
	*out = o.base;
	*out_bytes = o.bytes;
	return 0;
}

void decompress_free(void *out, size_t out_bytes)
{
	(void)out_bytes;
	decoder_free(out);
}
