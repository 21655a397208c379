/*
 * Virtio entropy device (virtio 1.2, section 5.4).
 *
 * Purpose: asks the device for random bytes, one request at a time, and hands them out once.
 * Objects: struct rng in `device` memory: one queue, one buffer; dropped by a crash.
 * Invariants: VRNG-I1 bytes are given out at most once and leave the buffer as they go; VRNG-I2 no
 * more of them than the device says that it wrote and the buffer holds. Locks: none, core
 * serialises calls per device. Failure and recovery: attach starts anew; a request in flight is
 * made again by core. Replacement: `device` memory moves with the instance, or attach starts anew.
 * Cost: one doorbell and one interrupt per BUFFER_BYTES.
 */
#include <kabi/entropy_driver.h>
#include <sdk/virtio.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_VIRTIO(4);

#define BUFFER_BYTES      256u
#define BITS_PER_KILOBYTE 8192u /* the host's generator is trusted, as Linux does */

struct rng {
	struct virtio_device virtio;
	struct virtqueue queue;
	u64 buffer, buffer_device;
	u32 offset, nr_bytes; /* what has arrived and was not given out */
	bool asked;
};
KABI_MEMORY(.device_bytes = sizeof(struct rng));

static answer_t start_device(struct kabi_ctx *ctx, handle_t device, struct rng *r)
{
	struct dma_memory m;
	answer_t a = virtio_begin(ctx, device, &r->virtio);

	if (!a)
		a = virtio_negotiate(&r->virtio, 0);
	if (!a)
		a = kernel_services_dma_allocate(ctx, device, BUFFER_BYTES, 64, &m);
	if (a)
		return a;
	r->buffer = m.address;
	r->buffer_device = m.device_address;
	return virtqueue_start(ctx, device, &r->virtio, &r->queue, 0, 0);
}

static answer_t rng_attach(struct kabi_ctx *ctx, handle_t device, struct entropy_info *info)
{
	struct rng *r = sdk_device(ctx, struct rng);
	answer_t a;

	*r = (struct rng){};
	a = start_device(ctx, device, r);
	if (a) {
		virtio_stop(ctx, device, &r->virtio);
		return a;
	}
	virtio_ready(&r->virtio);
	*info = (struct entropy_info){.bits_per_kilobyte = BITS_PER_KILOBYTE,
		.max_bytes = BUFFER_BYTES};
	return 0;
}

static answer_t rng_detach(struct kabi_ctx *ctx, handle_t device)
{
	return virtio_stop(ctx, device, &sdk_device(ctx, struct rng)->virtio);
}

static answer_t rng_request(struct kabi_ctx *ctx, handle_t device, u32 bytes)
{
	struct rng *r = sdk_device(ctx, struct rng);
	struct virtio_buffer b = {r->buffer_device, MIN(bytes, BUFFER_BYTES), true};

	if (!bytes)
		return -EINVAL;
	if (r->asked || r->nr_bytes)
		return r->queue.broken ? -EIO : 0;
	if (!virtqueue_add(&r->queue, &b, 1, 1))
		return -EIO;
	r->asked = true;
	virtqueue_notify(ctx, &r->queue);
	return 0;
}

static answer_t rng_read(struct kabi_ctx *ctx, handle_t device, void *data, u32 len)
{
	struct rng *r = sdk_device(ctx, struct rng);
	u8 *from = (u8 *)(uintptr_t)r->buffer + r->offset;
	u32 n = MIN(len, r->nr_bytes);

	memcpy(data, from, n);
	memset(from, 0, n); /* VRNG-I1 */
	r->offset += n;
	r->nr_bytes -= n;
	return n;
}

static answer_t rng_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue)
{
	struct rng *r = sdk_device(ctx, struct rng);
	u32 bytes = 0;

	virtio_cause(&r->virtio);
	if (!virtqueue_take(&r->queue, &bytes))
		return r->queue.broken ? -EIO : r->nr_bytes != 0;
	r->asked = false;
	r->offset = 0;
	r->nr_bytes = bytes;
	return bytes ? 1 : -EIO; /* section 5.4.6.2: at least one byte */
}

KABI_IMPLEMENT(entropy_driver, .attach = rng_attach, .detach = rng_detach, .request = rng_request,
	.read = rng_read, .interrupt = rng_interrupt);
