#pragma once
/*
 * A virtio device over PCI for host tests: it obeys virtio 1.2 until the test tells it to lie. The
 * test plays the device: it takes chains from the available ring, fills buffers, and puts entries
 * into the used ring, right or wrong ones. One device at a time (registers find it).
 */
#include <sdk/double.h>
#include <sdk/virtio.h>

#define SDK_VIRTIO_QUEUES 4
#define SDK_VIRTIO_BAR    0x5a0000000000ull /* no memory of the test: only mmio_* knows it */
#define SDK_VIRTIO_COMMON 0x0000u
#define SDK_VIRTIO_ISR    0x1000u
#define SDK_VIRTIO_CONFIG 0x2000u
#define SDK_VIRTIO_NOTIFY 0x3000u
#define SDK_VIRTIO_BYTES  0x4000u
enum {
	SDK_VIRTIO_CAP_COMMON = 0x40,
	SDK_VIRTIO_CAP_NOTIFY = 0x50,
	SDK_VIRTIO_CAP_ISR = 0x64,
	SDK_VIRTIO_CAP_CONFIG = 0x74,
	SDK_VIRTIO_CAP_MSIX = 0x84
};

struct sdk_virtio_queue {
	u16 size, vector, notify_offset;
	bool enabled;
	u64 desc, driver, device;
	u16 seen, used; /* the device's own indices */
	u32 nr_notifies;
};
struct sdk_virtio {
	struct sdk_double kernel; /* first */
	u64 offered, accepted;
	u8 status, generation, cause;
	u8 config[64];
	u16 config_vector;
	u32 device_select, driver_select, queue_select;
	struct sdk_virtio_queue queue[SDK_VIRTIO_QUEUES];
	u32 config_writes; /* and the last of them: */
	u32 config_offset, config_value;
	u8 written[256]; /* low byte of each configuration write */
	u32 nr_stray;    /* accesses outside the four windows */
	/* lies */
	bool never_resets, refuses_features, refuses_vectors;
};
/* `sizes`: what the device offers for each queue. */
void sdk_virtio_init(struct sdk_virtio *d, u64 offered, const u16 *sizes, u32 nr_queues,
	u32 device_bytes);
/* One that is all zero, too. */
void sdk_virtio_destroy(struct sdk_virtio *d);
/* From here on the device refuses what no driver can do without. */
enum sdk_virtio_refusal : u32 {
	SDK_VIRTIO_REFUSES_FEATURES,
	SDK_VIRTIO_REFUSES_VECTORS,
	SDK_VIRTIO_REFUSES_RESET,
	SDK_VIRTIO_REFUSALS,
};
void sdk_virtio_refuse(struct sdk_virtio *d, enum sdk_virtio_refusal what);
/* Next available chain's head, or -1. */
s32 sdk_virtio_next(struct sdk_virtio *d, u32 queue);
struct vring_desc *sdk_virtio_desc(struct sdk_virtio *d, u32 queue, u32 index);
/* Text of descriptor `index`'s buffer: identity addresses. */
void *sdk_virtio_buffer(struct sdk_virtio *d, u32 queue, u32 index);
/* An entry into the used ring, published. */
void sdk_virtio_finish(struct sdk_virtio *d, u32 queue, u32 id, u32 bytes);
/* The published index alone, to lie with. */
void sdk_virtio_set_used_index(struct sdk_virtio *d, u32 queue, u16 index);
u16 sdk_virtio_avail_flags(struct sdk_virtio *d, u32 queue);
/* Indices of both rings begin at `start` instead of 0, as after that many chains. Before the first
 * chain. */
void sdk_virtio_start_at(struct sdk_virtio *d, struct virtqueue *q, u16 start);
