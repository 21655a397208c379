#pragma once
/*
 * Virtio over PCI, modern interface (virtio 1.2: section 2.7 split virtqueues, 4.1 PCI transport).
 * Code: sdk/virtio.c, linked into each component that uses it. The device is hostile: every index,
 * length and register offset that it gives is checked before use, what it could change meanwhile is
 * read once, and what must be right lies in private memory, not in the rings. Theory: sdk/virtio.c.
 */
#include <sdk/mmio.h>

#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_F_VERSION_1        (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM  (1ull << 33)
#define VIRTIO_PCI_CAP            0x09u
#define VIRTIO_MSI_NONE           0xffffu
#define VIRTIO_ISR_CONFIG         2u   /* section 4.1.4.5 */
#define VIRTIO_QUEUE_MAX          128u /* entries used of a queue */
#define VRING_DESC_NEXT           1u
#define VRING_DESC_WRITE          2u
#define VRING_AVAIL_NO_INTERRUPT  1u

struct vring_desc {
	le64_t address;
	le32_t bytes;
	le16_t flags, next;
};
struct vring_avail {
	le16_t flags, index, ring[VIRTIO_QUEUE_MAX];
};
struct vring_used_entry {
	le32_t id, bytes;
};
struct vring_used {
	le16_t flags, index;
	struct vring_used_entry ring[VIRTIO_QUEUE_MAX];
};
struct virtqueue { /* in the component's `device` memory, which the device cannot reach */
	u64 desc, avail, used; /* addresses in the window */
	u64 notify;            /* register */
	u16 number, size, nr_free, free_head;
	u16 nr_chains;             /* in flight */
	u16 next_avail, last_used; /* free-running */
	bool broken; /* the device broke the rules of section 2.7.8: nothing is believed or sent any
			more */
	u16 next[VIRTIO_QUEUE_MAX];  /* free list and chains */
	u64 token[VIRTIO_QUEUE_MAX]; /* of the chain that begins here; 0: none in flight */
	u32 room[VIRTIO_QUEUE_MAX];  /* bytes the device may have written to that chain */
};
struct virtio_device {
	u64 common, isr, config; /* register windows */
	u64 notify;
	u32 notify_multiplier, notify_bytes, config_bytes;
	u32 vectors; /* bit n: irq_enable was asked for vector n */
	bool msix;   /* interrupts are messages; else one line, whose cause virtio_cause()
			acknowledges */
	u64 features;
};
/* struct virtio_pci_common_cfg, section 4.1.4.3 */
enum virtio_common {
	VIRTIO_DEVICE_FEATURE_SELECT = 0,
	VIRTIO_DEVICE_FEATURE = 4,
	VIRTIO_DRIVER_FEATURE_SELECT = 8,
	VIRTIO_DRIVER_FEATURE = 12,
	VIRTIO_CONFIG_MSIX = 16,
	VIRTIO_NUM_QUEUES = 18,
	VIRTIO_STATUS = 20,
	VIRTIO_GENERATION = 21,
	VIRTIO_QUEUE_SELECT = 22,
	VIRTIO_QUEUE_SIZE = 24,
	VIRTIO_QUEUE_MSIX = 26,
	VIRTIO_QUEUE_ENABLE = 28,
	VIRTIO_QUEUE_NOTIFY_OFF = 30,
	VIRTIO_QUEUE_DESC = 32,
	VIRTIO_QUEUE_DRIVER = 40,
	VIRTIO_QUEUE_DEVICE = 48,
	VIRTIO_COMMON_BYTES = 56,
};

/* Section 3.1.1, in this order: begin, negotiate, virtqueue_start for each queue,
 * (virtio_config_events,) ready. After an error: virtio_stop. */
/* Finds the registers and resets the device: 0, -ENODEV (no modern interface), -EIO (does not
 * reset). */
answer_t virtio_begin(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v);
/* Takes what both sides know of `wanted`; VERSION_1 is required. 0, -ENODEV, -EIO. */
answer_t virtio_negotiate(struct virtio_device *v, u64 wanted);
/* Memory for and registers of queue n; its interrupt is `vector`, or vector 0 where there are
 * fewer, and becomes the event `vector` or 0. 0, -ENODEV (no such queue), -EIO, -ENOMEM. Nothing is
 * given back on failure: core frees all with the instance. */
answer_t virtqueue_start(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v,
	struct virtqueue *q, u16 n, u16 vector);
/* Configuration changes come as the event `vector`, or as event 0. 0, -EIO. */
answer_t virtio_config_events(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v,
	u16 vector);
void virtio_ready(struct virtio_device *v);
/* Resets the device and disables its interrupts: no DMA and no event after it. -EIO: the device
 * does not obey. */
answer_t virtio_stop(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v);
/* Acknowledges a line; VIRTIO_ISR_* bits, 0 with messages. */
u8 virtio_cause(const struct virtio_device *v);

struct virtio_buffer {
	u64 device_address;
	u32 bytes;
	bool device_writes;
};
/* Queues one chain; token (not 0) comes back from virtqueue_take. False: not enough descriptors, or
 * broken. */
bool virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, u32 nr, u64 token);
void virtqueue_notify(struct kabi_ctx *ctx, struct virtqueue *q);
/* Next finished chain: its token, or 0. *bytes: what the device says it wrote, at most the chain's
 * room. 0 with q->broken: the driver answers -EIO. */
u64 virtqueue_take(struct virtqueue *q, u32 *bytes);
/* Asks for an interrupt at each finished chain, or for none; a hint (section 2.7.7). After `on` the
 * caller looks at the queue again. */
void virtqueue_events(struct kabi_ctx *ctx, struct virtqueue *q, bool on);
