/*
 * Split virtqueues and the PCI transport, for every virtio driver (virtio 1.2).
 *
 * Purpose: what drivers of virtio devices share. Vocabulary: chain = descriptors of one request;
 * token = the driver's name of it.
 *
 * Objects and lifetimes: struct virtio_device and struct virtqueue lie in the component's `device`
 * memory; rings are DMA memory.
 *
 * Invariants: VIRTIO-I1 no register is accessed outside the range that a capability gave inside a
 * BAR; VIRTIO-I2 a token comes back at most once for each virtqueue_add; VIRTIO-I3 indices, free
 * list and chain lengths are private: the rings are only written, but for the used ring, of which
 * each word is read once. A device that breaks them is not believed again (`broken`).
 *
 * Locks: none, core serialises calls per queue. Failure and recovery: a broken queue answers
 * nothing more; attach starts anew.
 *
 * Replacement: with the driver's `device` memory. Cost: no register is touched but by notify and,
 * on a line, by virtio_cause.
 */
#include <sdk/virtio.h>
#include <lib/atomic.h>

#define PCI_CAP_MSIX 0x11u
#define MSIX_ENABLE  0x8000u
#define CAPS_MAX     16u
#define RESET_TRIES  1000u
#define RESET_NS     10000u

static bool config_read(struct kabi_ctx *ctx, handle_t device, u32 offset, u32 width, u32 *value)
{
	return !kernel_services_pci_config_read(ctx, device, offset, width, value);
}

/* One vendor capability (section 4.1.4): its register range, or 0. `alignment` is what
 * section 4.1.4.3 and following ask of its offset. */
static u64 cap_range(struct kabi_ctx *ctx, handle_t device, u32 cap, u32 alignment, u32 *bytes)
{
	struct register_region region;
	u32 bar = 0, offset = 0, length = 0;

	if (!config_read(ctx, device, cap + 4, 1, &bar) ||
		!config_read(ctx, device, cap + 8, 4, &offset) ||
		!config_read(ctx, device, cap + 12, 4, &length))
		return 0;
	if (kernel_services_device_region(ctx, device, bar, &region) ||
		region.space != REGISTER_SPACE_MEMORY)
		return 0;
	if (offset > region.bytes || length > region.bytes - offset || !length ||
		offset % alignment)
		return 0;
	*bytes = length;
	return region.address + offset;
}

/* The first usable capability of each type counts (section 4.1.4.1: in order of preference). */
static void take_cap(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v, u32 cap)
{
	u32 type = 0, bytes = 0, multiplier = 0;
	u64 range;

	if (!config_read(ctx, device, cap + 3, 1, &type) || type < 1 || type > 4)
		return;
	range = cap_range(ctx, device, cap, type == 2 ? 2 : type == 3 ? 1 : 4, &bytes);
	if (!range)
		return;
	if (type == 1 && !v->common && bytes >= VIRTIO_COMMON_BYTES) {
		v->common = range;
	} else if (type == 2 && !v->notify && bytes >= 2 &&
		   config_read(ctx, device, cap + 16, 4, &multiplier)) {
		v->notify = range;
		v->notify_bytes = bytes;
		v->notify_multiplier = multiplier;
	} else if (type == 3 && !v->isr) {
		v->isr = range;
	} else if (type == 4 && !v->config) {
		v->config = range;
		v->config_bytes = bytes;
	}
}

/* Section 4.1.4.3.2: the device is reset once the status reads 0. */
static answer_t reset(struct kabi_ctx *ctx, const struct virtio_device *v)
{
	mmio_write8(v->common, VIRTIO_STATUS, 0);
	for (u32 i = 0; i < RESET_TRIES; i++) {
		if (!mmio_read8(v->common, VIRTIO_STATUS))
			return 0;
		kernel_services_delay_ns(ctx, RESET_NS);
	}
	return -EIO;
}

answer_t virtio_begin(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v)
{
	u32 at = 0;
	answer_t a;

	*v = (struct virtio_device){};
	for (u32 i = 0; i < CAPS_MAX; i++) {
		a = kernel_services_pci_capability(ctx, device, VIRTIO_PCI_CAP, at);
		if (a <= 0)
			break;
		at = (u32)a;
		take_cap(ctx, device, v, at);
	}
	if (!v->common || !v->notify || !v->isr)
		return -ENODEV;
	a = reset(ctx, v);
	if (!a)
		mmio_write8(v->common, VIRTIO_STATUS,
			VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	return a;
}

answer_t virtio_negotiate(struct virtio_device *v, u64 wanted)
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

/* *entry: what the device is told, `vector` or 0. */
static answer_t vector_enable(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v,
	u16 vector, u16 *entry)
{
	answer_t a = 0, cap;
	u32 control = 0;

	*entry = vector;
	if (v->vectors >> vector & 1)
		return 0;
	a = kernel_services_irq_enable(ctx, device, vector, vector);
	if (a == -ENOENT && vector) {
		if (!(v->vectors & 1))
			return vector_enable(ctx, device, v, 0, entry);
		*entry = 0;
		return 0;
	}
	if (a)
		return a;
	v->vectors |= 1u << vector;
	cap = kernel_services_pci_capability(ctx, device, PCI_CAP_MSIX, 0);
	v->msix = cap > 0 && config_read(ctx, device, (u32)cap + 2, 2, &control) &&
		  control & MSIX_ENABLE;
	return 0;
}

/* Section 4.1.5.1.2: a device that cannot serve a vector says so where it was written. */
static answer_t vector_tell(struct virtio_device *v, u32 reg, u16 entry)
{
	if (!v->msix)
		return 0;
	mmio_write16(v->common, reg, entry);
	return mmio_read16(v->common, reg) == entry ? 0 : -EIO;
}

/* Section 4.1.4.4: the address is offset * multiplier into the notification range. */
static answer_t notify_address(struct virtio_device *v, u64 *address)
{
	u64 offset = (u64)mmio_read16(v->common, VIRTIO_QUEUE_NOTIFY_OFF) * v->notify_multiplier;

	if (offset > v->notify_bytes - 2 || offset & 1)
		return -EIO;
	*address = v->notify + offset;
	return 0;
}

static u16 usable_size(u16 offered)
{
	u16 size = VIRTIO_QUEUE_MAX;

	while (size > offered)
		size /= 2; /* section 2.7: a power of 2, so that free-running indices wrap where the
			      ring does */
	return size;
}

answer_t virtqueue_start(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v,
	struct virtqueue *q, u16 n, u16 vector)
{
	const u64 avail_at = sizeof(struct vring_desc) * VIRTIO_QUEUE_MAX;
	const u64 used_at = ALIGN_UP(avail_at + sizeof(struct vring_avail), (u64)64);
	struct dma_memory m;
	u64 notify = 0;
	u16 size, entry;
	answer_t a;

	mmio_write16(v->common, VIRTIO_QUEUE_SELECT, n);
	size = usable_size(mmio_read16(v->common, VIRTIO_QUEUE_SIZE));
	if (!size)
		return -ENODEV;
	a = notify_address(v, &notify);
	if (!a)
		a = kernel_services_dma_allocate(ctx, device, used_at + sizeof(struct vring_used),
			4096, &m);
	if (!a)
		a = vector_enable(ctx, device, v, vector, &entry);
	if (!a)
		a = vector_tell(v, VIRTIO_QUEUE_MSIX, entry);
	if (a)
		return a;
	*q = (struct virtqueue){.desc = m.address,
		.avail = m.address + avail_at,
		.used = m.address + used_at,
		.notify = notify,
		.number = n,
		.size = size,
		.nr_free = size};
	for (u16 i = 0; i < size; i++)
		q->next[i] = (u16)(i + 1);
	mmio_write16(v->common, VIRTIO_QUEUE_SIZE, size);
	mmio_write64(v->common, VIRTIO_QUEUE_DESC, m.device_address);
	mmio_write64(v->common, VIRTIO_QUEUE_DRIVER, m.device_address + avail_at);
	mmio_write64(v->common, VIRTIO_QUEUE_DEVICE, m.device_address + used_at);
	mmio_write16(v->common, VIRTIO_QUEUE_ENABLE, 1);
	return 0;
}

answer_t virtio_config_events(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v,
	u16 vector)
{
	u16 entry;
	answer_t a = vector_enable(ctx, device, v, vector, &entry);

	return a ? a : vector_tell(v, VIRTIO_CONFIG_MSIX, entry);
}

void virtio_ready(struct virtio_device *v)
{
	mmio_write8(v->common, VIRTIO_STATUS,
		VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
			VIRTIO_STATUS_DRIVER_OK);
}

answer_t virtio_stop(struct kabi_ctx *ctx, handle_t device, struct virtio_device *v)
{
	answer_t a = v->common ? reset(ctx, v) : 0;

	for (u32 i = 0; i < 32; i++)
		if (v->vectors >> i & 1 && kernel_services_irq_disable(ctx, device, i))
			a = -EIO;
	v->vectors = 0;
	return a;
}

u8 virtio_cause(const struct virtio_device *v)
{
	return v->msix ? 0 : mmio_read8(v->isr, 0); /* section 4.1.4.5: reading acknowledges; with
						       messages it is not to be read */
}

bool virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, u32 nr, u64 token)
{
	struct vring_desc *desc = (struct vring_desc *)(uintptr_t)q->desc;
	struct vring_avail *avail = (struct vring_avail *)(uintptr_t)q->avail;
	u16 head = q->free_head, at = head;
	u32 room = 0;

	if (!nr || nr > q->nr_free || q->broken)
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
	q->nr_chains++;
	q->token[head] = token;
	q->room[head] = room;
	avail->ring[q->next_avail % q->size] = le16_make(head);
	q->next_avail++;
	shared_store_release(&avail->index.raw, le16_make(q->next_avail).raw);
	return true;
}

void virtqueue_notify(struct kabi_ctx *ctx, struct virtqueue *q)
{
	sdk_dma_order(ctx);
	mmio_write16(q->notify, 0, q->number);
}

/* The chain that begins at `head` goes back to the free list. */
static void chain_free(struct virtqueue *q, u16 head)
{
	u16 at = head;

	for (; q->next[at] != q->size; at = q->next[at])
		q->nr_free++;
	q->nr_free++;
	q->next[at] = q->free_head;
	q->free_head = head;
	q->nr_chains--;
}

u64 virtqueue_take(struct virtqueue *q, u32 *bytes)
{
	const struct vring_used *used = (const struct vring_used *)(uintptr_t)q->used;
	u16 index = le16_get((le16_t){shared_load_acquire(&used->index.raw)});
	u16 finished = (u16)(index - q->last_used);
	const volatile struct vring_used_entry *e = &used->ring[q->last_used % q->size];
	u32 id, written;
	u64 token;

	if (!finished || q->broken)
		return 0;
	id = le32_get((le32_t){e->id.raw});
	written = le32_get((le32_t){e->bytes.raw});
	if (finished > q->nr_chains || id >= q->size || !q->token[id]) {
		q->broken = true;
		return 0;
	}
	q->last_used++;
	token = q->token[id];
	q->token[id] = 0;
	*bytes = MIN(written, q->room[id]);
	chain_free(q, (u16)id);
	return token;
}

void virtqueue_events(struct kabi_ctx *ctx, struct virtqueue *q, bool on)
{
	struct vring_avail *avail = (struct vring_avail *)(uintptr_t)q->avail;

	shared_store_release(&avail->flags.raw, le16_make(on ? 0 : VRING_AVAIL_NO_INTERRUPT).raw);
	if (on)
		sdk_dma_order(ctx); /* the flag is seen before the used ring is looked at again */
}
