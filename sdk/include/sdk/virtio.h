#pragma once
/*
 * Virtio over PCI, modern interface (virtio 1.2: section 2.7 split virtqueues, 4.1 PCI transport).
 * Everything inline: a component links nothing but lib. The device is hostile: every index and
 * length that it writes is checked before use, and never believed twice.
 */
#include <sdk/mmio.h>

#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_F_VERSION_1        (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM  (1ull << 33)
#define VIRTIO_PCI_CAP            0x09u
#define VIRTIO_MSI_NONE           0xffffu
#define VIRTIO_QUEUE_MAX          128u /* entries used of a queue */
#define VRING_DESC_NEXT           1u
#define VRING_DESC_WRITE          2u

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
struct virtqueue {             /* in the component's device or scratch memory */
	u64 desc, avail, used; /* addresses in the window */
	u64 notify;            /* register */
	u16 number, size, nr_free, free_head, last_used;
	u16 next[VIRTIO_QUEUE_MAX];  /* free list and chains: ours, the device cannot touch it */
	u64 token[VIRTIO_QUEUE_MAX]; /* of the chain that begins here; 0: none in flight */
	u32 room[VIRTIO_QUEUE_MAX];  /* bytes the device may have written to that chain */
};
struct virtio_device {
	u64 common, isr, config; /* register windows */
	u64 notify;
	u32 notify_multiplier, config_bytes;
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
};

/* One vendor capability: its register range, or 0 (section 4.1.4). */
static inline u64 virtio_cap_range(struct kabi_ctx *ctx, handle_t device, u32 cap, u32 *bytes)
{
	struct register_region region;
	u32 bar = 0, offset = 0, length = 0;

	if (kernel_services_pci_config_read(ctx, device, cap + 4, 1, &bar) ||
		kernel_services_pci_config_read(ctx, device, cap + 8, 4, &offset) ||
		kernel_services_pci_config_read(ctx, device, cap + 12, 4, &length))
		return 0;
	if (kernel_services_device_region(ctx, device, bar, &region) ||
		region.space != REGISTER_SPACE_MEMORY)
		return 0;
	if (offset > region.bytes || length > region.bytes - offset || !length)
		return 0;
	*bytes = length;
	return region.address + offset;
}

/* Finds the registers and resets the device: 0, -ENODEV (no modern interface). */
static inline answer_t virtio_begin(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v)
{
	u32 at = 0, bytes;

	*v = (struct virtio_device){};
	for (u32 i = 0; i < 16; i++) {
		answer_t cap = kernel_services_pci_capability(ctx, device, VIRTIO_PCI_CAP, at);
		u32 type = 0;
		u64 range;

		if (cap <= 0)
			break;
		at = (u32)cap;
		if (kernel_services_pci_config_read(ctx, device, at + 3, 1, &type))
			break;
		range = type >= 1 && type <= 4 ? virtio_cap_range(ctx, device, at, &bytes) : 0;
		if (!range)
			continue;
		if (type == 1 && !v->common && bytes >= 56) {
			v->common = range;
		} else if (type == 2 && !v->notify) {
			v->notify = range;
			if (kernel_services_pci_config_read(ctx, device, at + 16, 4,
				    &v->notify_multiplier))
				return -ENODEV;
		} else if (type == 3 && !v->isr) {
			v->isr = range;
		} else if (type == 4 && !v->config) {
			v->config = range;
			v->config_bytes = bytes;
		}
	}
	if (!v->common || !v->notify || !v->isr)
		return -ENODEV;
	mmio_write8(v->common, VIRTIO_STATUS, 0);
	for (u32 i = 0; i < 1000 && mmio_read8(v->common, VIRTIO_STATUS); i++)
		kernel_services_delay_ns(ctx, 10000);
	mmio_write8(v->common, VIRTIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	return 0;
}

/* Takes what both sides know of `wanted`; VERSION_1 is required. */
static inline answer_t virtio_negotiate(struct virtio_device *v, u64 wanted)
{
	u64 offered;

	mmio_write32(v->common, VIRTIO_DEVICE_FEATURE_SELECT, 0);
	offered = mmio_read32(v->common, VIRTIO_DEVICE_FEATURE);
	mmio_write32(v->common, VIRTIO_DEVICE_FEATURE_SELECT, 1);
	offered |= (u64)mmio_read32(v->common, VIRTIO_DEVICE_FEATURE) << 32;
	v->features = offered & (wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM);
	if (!(v->features & VIRTIO_F_VERSION_1))
		return -ENODEV;
	mmio_write32(v->common, VIRTIO_DRIVER_FEATURE_SELECT, 0);
	mmio_write32(v->common, VIRTIO_DRIVER_FEATURE, (u32)v->features);
	mmio_write32(v->common, VIRTIO_DRIVER_FEATURE_SELECT, 1);
	mmio_write32(v->common, VIRTIO_DRIVER_FEATURE, (u32)(v->features >> 32));
	mmio_write8(v->common, VIRTIO_STATUS,
		VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	return mmio_read8(v->common, VIRTIO_STATUS) & VIRTIO_STATUS_FEATURES_OK ? 0 : -EIO;
}

/* Memory for and registers of queue n; its interrupt is MSI-X entry n (or the line). */
static inline answer_t virtqueue_start(struct kabi_ctx *ctx, handle_t device,
	struct virtio_device *v, struct virtqueue *q, u16 n)
{
	const u64 avail_at = sizeof(struct vring_desc) * VIRTIO_QUEUE_MAX;
	const u64 used_at = ALIGN_UP(avail_at + sizeof(struct vring_avail), (u64)64);
	struct dma_memory m;
	u16 size;
	answer_t a;

	mmio_write16(v->common, VIRTIO_QUEUE_SELECT, n);
	size = mmio_read16(v->common, VIRTIO_QUEUE_SIZE);
	if (!size)
		return -ENODEV;
	a = kernel_services_dma_allocate(ctx, device, used_at + sizeof(struct vring_used), 4096,
		&m);
	if (a)
		return a;
	*q = (struct virtqueue){.desc = m.address,
		.avail = m.address + avail_at,
		.used = m.address + used_at,
		.number = n,
		.size = (u16)MIN(size, (u16)VIRTIO_QUEUE_MAX)};
	for (u16 i = 0; i < q->size; i++)
		q->next[i] = (u16)(i + 1);
	q->nr_free = q->size;
	mmio_write16(v->common, VIRTIO_QUEUE_SIZE, q->size);
	mmio_write64(v->common, VIRTIO_QUEUE_DESC, m.device_address);
	mmio_write64(v->common, VIRTIO_QUEUE_DRIVER, m.device_address + avail_at);
	mmio_write64(v->common, VIRTIO_QUEUE_DEVICE, m.device_address + used_at);
	q->notify = v->notify +
		    (u64)mmio_read16(v->common, VIRTIO_QUEUE_NOTIFY_OFF) * v->notify_multiplier;
	a = kernel_services_irq_enable(ctx, device, n, n);
	if (!a)
		mmio_write16(v->common, VIRTIO_QUEUE_MSIX, n);
	mmio_write16(v->common, VIRTIO_QUEUE_ENABLE, 1);
	return a == -ENOENT && n ? 0 : a; /* one line serves all queues */
}

static inline void virtio_ready(struct virtio_device *v)
{
	mmio_write8(v->common, VIRTIO_STATUS,
		VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
			VIRTIO_STATUS_DRIVER_OK);
}

struct virtio_buffer {
	u64 device_address;
	u32 bytes;
	bool device_writes;
};
/* Queues one chain; token (not 0) comes back from virtqueue_take. False: not enough descriptors. */
static inline bool virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, u32 nr,
	u64 token)
{
	struct vring_desc *desc = (struct vring_desc *)(uintptr_t)q->desc;
	struct vring_avail *avail = (struct vring_avail *)(uintptr_t)q->avail;
	u16 head = q->free_head, at = head, index;
	u32 room = 0;

	if (!nr || nr > q->nr_free)
		return false;
	for (u32 i = 0; i < nr; i++) {
		bool last = i + 1 == nr;

		desc[at] = (struct vring_desc){
			.address = le64_make(b[i].device_address),
			.bytes = le32_make(b[i].bytes),
			.flags = le16_make((u16)((last ? 0 : VRING_DESC_NEXT) |
						 (b[i].device_writes ? VRING_DESC_WRITE : 0))),
			.next = le16_make(last ? 0 : q->next[at]),
		};
		room += b[i].device_writes ? b[i].bytes : 0;
		if (last)
			q->free_head = q->next[at];
		else
			at = q->next[at];
	}
	q->next[at] = q->size; /* end of the chain, for giving it back */
	q->nr_free = (u16)(q->nr_free - nr);
	q->token[head] = token;
	q->room[head] = room;
	index = le16_get(avail->index);
	avail->ring[index % q->size] = le16_make(head);
	__atomic_store_n(&avail->index.raw, le16_make((u16)(index + 1)).raw, __ATOMIC_RELEASE);
	return true;
}

static inline void virtqueue_notify(struct kabi_ctx *ctx, struct virtqueue *q)
{
	sdk_dma_order(ctx);
	mmio_write16(q->notify, 0, q->number);
}

/* Next finished chain: its token, or 0. *bytes: what the device says it wrote, at most the chain's
 * room. *bad: the device named a chain that is not in flight; the driver should fail (core resets
 * the device). */
static inline u64 virtqueue_take(struct virtqueue *q, u32 *bytes, bool *bad)
{
	const struct vring_used *used = (const struct vring_used *)(uintptr_t)q->used;
	u16 index = le16_get((le16_t){__atomic_load_n(&used->index.raw, __ATOMIC_ACQUIRE)});
	struct vring_used_entry e;
	u64 token;
	u32 id;
	u16 at;

	if (index == q->last_used)
		return 0;
	e = used->ring[q->last_used % q->size];
	q->last_used++;
	id = le32_get(e.id);
	if (id >= q->size || !q->token[id]) {
		*bad = true;
		return 0;
	}
	token = q->token[id];
	q->token[id] = 0;
	*bytes = MIN(le32_get(e.bytes), q->room[id]);
	for (at = (u16)id; q->next[at] != q->size; at = q->next[at])
		q->nr_free++;
	q->nr_free++;
	q->next[at] = q->free_head;
	q->free_head = (u16)id;
	return token;
}
