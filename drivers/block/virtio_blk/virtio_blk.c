/*
 * Virtio block device (virtio 1.2, section 5.2).
 *
 * Purpose: queues core's requests to one virtqueue and reports what finished. Objects: struct disk
 * in `device` memory: rings, one header and one status byte per request, dropped by a crash.
 *
 * Invariants: VBLK-I1 a tag is reported exactly once, after the device gave its chain back; VBLK-I2
 * lengths and indices from the device are checked in virtqueue_take, status bytes are read once.
 *
 * Locks: none, core serialises calls per queue. Failure and recovery: after a crash core submits
 * again what was not reported.
 *
 * Replacement: `device` memory moves with the instance, or attach starts anew. Cost: one doorbell
 * per batch.
 */
#include <kabi/block_driver.h>
#include <sdk/virtio.h>
#include <sdk/plant.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_VIRTIO(2);

#define F_SEG_MAX          (1ull << 2)
#define F_RO               (1ull << 5)
#define F_BLK_SIZE         (1ull << 6)
#define F_FLUSH            (1ull << 9)
#define F_DISCARD          (1ull << 13)
#define CONFIG_CAPACITY    0
#define CONFIG_SEG_MAX     12
#define CONFIG_BLK_SIZE    20
#define CONFIG_MAX_DISCARD 36
#define T_IN               0u
#define T_OUT              1u
#define T_FLUSH            4u
#define T_GET_ID           8u
#define T_DISCARD          11u
#define S_OK               0u
#define S_UNSUPP           2u
#define SEGMENTS_MAX       64u
#define REQUESTS_MAX       64u
#define REQUEST_DESCRIPTORS                                                                        \
	4u /* the least queue: header, segment, status, rounded to a power of 2 */

struct request_header {
	le32_t type, reserved;
	le64_t sector;
};
struct discard_range {
	le64_t sector;
	le32_t nr_sectors, flags;
};
struct slot { /* shared with the device, one per request in flight */
	struct request_header header;
	struct discard_range range;
	u8 status;
	u8 pad[15];
};
struct disk {
	struct virtio_device virtio;
	struct virtqueue queue;
	u64 slots, slots_device; /* window and device address of the slot array */
	u32 seg_max;
	u64 tag[REQUESTS_MAX];
	u32 bytes[REQUESTS_MAX];
	bool used[REQUESTS_MAX];
};
static_assert(sizeof(struct disk) <= 65536);

static answer_t start_device(struct kabi_ctx *ctx, handle_t device, struct disk *d)
{
	struct dma_memory m;
	answer_t a = virtio_begin(ctx, device, &d->virtio);

	if (!a)
		a = virtio_negotiate(&d->virtio,
			F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_DISCARD);
	if (!a && (!d->virtio.config || d->virtio.config_bytes < 24))
		a = -ENODEV;
	if (!a)
		a = kernel_services_dma_allocate(ctx, device, sizeof(struct slot) * REQUESTS_MAX,
			4096, &m);
	if (a)
		return a;
	d->slots = m.address;
	d->slots_device = m.device_address;
	a = virtqueue_start(ctx, device, &d->virtio, &d->queue, 0, 0);
	if (!a && d->queue.size < REQUEST_DESCRIPTORS)
		a = -EIO;
	if (!a)
		virtio_ready(&d->virtio);
	return a;
}

/* Sector counts whose bytes do not fit in 64 bits, and odd block sizes: no disk has them. */
static bool geometry_sane(u64 nr_sectors, u32 block)
{
	return nr_sectors <= (1ull << 54) && block >= 512 && block <= 4096 &&
	       !(block & (block - 1));
}

static answer_t blk_attach(struct kabi_ctx *ctx, handle_t device, struct block_geometry *g)
{
	struct disk *d = sdk_device(ctx, struct disk);
	u32 block = 512;
	u64 nr_sectors;
	answer_t a;

	*d = (struct disk){};
	a = start_device(ctx, device, d);
	if (a) {
		virtio_stop(ctx, device, &d->virtio);
		return a;
	}
	d->seg_max =
		d->virtio.features & F_SEG_MAX ? mmio_read32(d->virtio.config, CONFIG_SEG_MAX) : 1;
	d->seg_max = MIN(d->seg_max, SEGMENTS_MAX);
	d->seg_max = MIN(d->seg_max, d->queue.size - 2u);
	d->seg_max = MAX(d->seg_max, 1u);
	if (d->virtio.features & F_BLK_SIZE)
		block = mmio_read32(d->virtio.config, CONFIG_BLK_SIZE);
	nr_sectors = mmio_read64(d->virtio.config, CONFIG_CAPACITY);
	if (!geometry_sane(nr_sectors, block)) {
		virtio_stop(ctx, device, &d->virtio);
		return -EIO;
	}
	*g = (struct block_geometry){
		.nr_sectors = nr_sectors,
		.logical_block_bytes = block,
		.physical_block_bytes = block,
		.max_segments = d->seg_max,
		.max_segment_bytes = 1u << 20,
		.max_request_sectors = 2048,
		.nr_queues = 1,
		.queue_depth = REQUESTS_MAX,
		.features =
			(enum block_features)((d->virtio.features & F_FLUSH ? BLOCK_FEATURES_FLUSH
									    : 0) |
					      (d->virtio.features & F_RO ? BLOCK_FEATURES_READ_ONLY
									 : 0)),
	};
	if (d->virtio.features & F_DISCARD && d->virtio.config_bytes >= 40) {
		g->features = (enum block_features)(g->features | BLOCK_FEATURES_DISCARD);
		g->max_discard_sectors = mmio_read32(d->virtio.config, CONFIG_MAX_DISCARD);
	}
	return 0;
}

static answer_t blk_detach(struct kabi_ctx *ctx, handle_t device)
{
	struct disk *d = sdk_device(ctx, struct disk);

	return virtio_stop(ctx, device, &d->virtio);
}

static s32 slot_find(const struct disk *d)
{
	for (u32 i = 0; i < REQUESTS_MAX; i++)
		if (!d->used[i])
			return (s32)i;
	return -1;
}

static u32 type_of(enum block_operation op)
{
	switch (op) {
	case BLOCK_OPERATION_READ:
		return T_IN;
	case BLOCK_OPERATION_WRITE:
		return T_OUT;
	case BLOCK_OPERATION_FLUSH:
		return T_FLUSH;
	case BLOCK_OPERATION_DISCARD:
		return T_DISCARD;
	case BLOCK_OPERATION_IDENTIFY:
		return T_GET_ID;
	case BLOCK_OPERATION_WRITE_ZEROES:
		break;
	}
	return ~0u;
}

/* False: no room now. */
static bool submit_one(struct disk *d, const struct block_request *r,
	const struct block_segment_row *segments)
{
	struct virtio_buffer b[SEGMENTS_MAX + 3];
	s32 i = slot_find(d);
	struct slot *s;
	u32 nr = 0, bytes = 0, type = type_of(r->operation);
	u64 at;

	if (i < 0)
		return false;
	s = (struct slot *)(uintptr_t)d->slots + i;
	at = d->slots_device + (u64)i * sizeof(*s);
	s->header = (struct request_header){.type = le32_make(type),
		.sector = le64_make(r->operation == BLOCK_OPERATION_FLUSH ? 0 : r->sector)};
	s->status = 0xff;
	b[nr++] = (struct virtio_buffer){at, sizeof(s->header), false};
	if (type == T_DISCARD) {
		s->range = (struct discard_range){.sector = le64_make(r->sector),
			.nr_sectors = le32_make(r->nr_sectors)};
		b[nr++] = (struct virtio_buffer){at + offsetof(struct slot, range),
			sizeof(s->range), false};
	}
	for (u32 k = 0; k < r->nr_segments; k++) {
		b[nr++] = (struct virtio_buffer){segments[k].device_address, segments[k].bytes,
			type == T_IN || type == T_GET_ID};
		bytes += segments[k].bytes;
	}
	b[nr++] = (struct virtio_buffer){at + offsetof(struct slot, status), 1, true};
	if (!virtqueue_add(&d->queue, b, nr, (u64)i + 1))
		return false;
	d->used[i] = true;
	d->tag[i] = r->tag;
	d->bytes[i] = bytes;
	return true;
}

static answer_t blk_submit(struct kabi_ctx *ctx, handle_t device, u32 queue,
	const struct block_request *requests, u32 nr_requests,
	const struct block_segment_row *segments, u32 nr_segments)
{
	struct disk *d = sdk_device(ctx, struct disk);
	answer_t planted = sdk_plant(ctx, PLANT_PLACE_DRIVERS);
	u32 n;

	for (n = 0; n < nr_requests; n++) {
		const struct block_request *r = &requests[n];

		if (r->nr_segments > d->seg_max || r->first_segment > nr_segments ||
			r->nr_segments > nr_segments - r->first_segment ||
			type_of(r->operation) == ~0u)
			return n ? (answer_t)n : -EINVAL;
		if (!submit_one(d, r, segments + r->first_segment))
			break;
	}
	if (n)
		virtqueue_notify(ctx, &d->queue);
	return planted ? planted : n;
}

static answer_t blk_poll(struct kabi_ctx *ctx, handle_t device, u32 queue,
	struct block_completion *completions, u32 nr_completions)
{
	struct disk *d = sdk_device(ctx, struct disk);
	u32 n = 0;

	while (n < nr_completions) {
		u32 bytes = 0;
		u64 token = virtqueue_take(&d->queue, &bytes);
		const struct slot *s;
		u8 status;

		if (!token)
			break;
		s = (const struct slot *)(uintptr_t)d->slots + (token - 1);
		status = *(const volatile u8 *)&s->status;
		completions[n++] = (struct block_completion){
			.tag = d->tag[token - 1],
			.status = status == S_OK       ? 0
				  : status == S_UNSUPP ? -EOPNOTSUPP
						       : -EIO,
			.bytes = d->bytes[token - 1],
		};
		d->used[token - 1] = false;
	}
	return n || !d->queue.broken ? (answer_t)n : -EIO;
}

static answer_t blk_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue)
{
	struct disk *d = sdk_device(ctx, struct disk);

	virtio_cause(&d->virtio);
	return 1;
}

KABI_IMPLEMENT(block_driver, .attach = blk_attach, .detach = blk_detach, .submit = blk_submit,
	.poll = blk_poll, .interrupt = blk_interrupt);
