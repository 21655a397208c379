/* The virtio device of sdk/double_virtio.h. Host only: uses the C library. */
#include <stdlib.h>
#include <string.h>
#include <sdk/double_virtio.h>

static struct sdk_virtio *device; /* registers have no context argument */

static void put(u8 *at, u32 width, u64 value)
{
	for (u32 i = 0; i < width; i++)
		at[i] = (u8)(value >> 8 * i);
}

static void cap(struct sdk_virtio *d, u32 at, u32 next, u32 type, u32 offset, u32 length)
{
	u8 *c = d->kernel.config + at;

	c[0] = VIRTIO_PCI_CAP;
	c[1] = (u8)next;
	c[2] = type == 2 ? 20 : 16;
	c[3] = (u8)type;
	c[4] = 0; /* BAR */
	put(c + 8, 4, offset);
	put(c + 12, 4, length);
}

void sdk_virtio_init(struct sdk_virtio *d, u64 offered, const u16 *sizes, u32 nr_queues,
	u32 device_bytes)
{
	memset(d, 0, sizeof(*d));
	sdk_double_init(&d->kernel, nullptr, 0, 64, 0);
	sdk_double_device_memory(&d->kernel, device_bytes);
	d->kernel.region_address = SDK_VIRTIO_BAR;
	d->kernel.region_bytes = SDK_VIRTIO_BYTES;
	d->kernel.config[0x34] = SDK_VIRTIO_CAP_COMMON;
	cap(d, SDK_VIRTIO_CAP_COMMON, SDK_VIRTIO_CAP_NOTIFY, 1, SDK_VIRTIO_COMMON,
		VIRTIO_COMMON_BYTES);
	cap(d, SDK_VIRTIO_CAP_NOTIFY, SDK_VIRTIO_CAP_ISR, 2, SDK_VIRTIO_NOTIFY,
		4 * SDK_VIRTIO_QUEUES);
	put(d->kernel.config + SDK_VIRTIO_CAP_NOTIFY + 16, 4, 4);
	cap(d, SDK_VIRTIO_CAP_ISR, SDK_VIRTIO_CAP_CONFIG, 3, SDK_VIRTIO_ISR, 1);
	cap(d, SDK_VIRTIO_CAP_CONFIG, SDK_VIRTIO_CAP_MSIX, 4, SDK_VIRTIO_CONFIG, sizeof(d->config));
	d->kernel.config[SDK_VIRTIO_CAP_MSIX] = 0x11;
	put(d->kernel.config + SDK_VIRTIO_CAP_MSIX + 2, 2,
		0x8000); /* enabled: core's part is taken as done */
	d->offered = offered | VIRTIO_F_VERSION_1;
	d->config_vector = VIRTIO_MSI_NONE;
	for (u32 i = 0; i < nr_queues; i++)
		d->queue[i] = (struct sdk_virtio_queue){.size = sizes[i],
			.vector = VIRTIO_MSI_NONE,
			.notify_offset = (u16)i};
	device = d;
}

void sdk_virtio_destroy(struct sdk_virtio *d)
{
	device = nullptr;
	sdk_double_destroy(&d->kernel);
}

void sdk_virtio_refuse(struct sdk_virtio *d, enum sdk_virtio_refusal what)
{
	d->refuses_features = what == SDK_VIRTIO_REFUSES_FEATURES;
	d->refuses_vectors = what == SDK_VIRTIO_REFUSES_VECTORS;
	d->never_resets = what == SDK_VIRTIO_REFUSES_RESET;
	if (d->never_resets)
		d->status = 4; /* and says that a driver is at work */
}

/* --- registers --- */
static u64 common_read(struct sdk_virtio *d, u32 reg)
{
	static const struct sdk_virtio_queue none;
	const struct sdk_virtio_queue *q =
		d->queue_select < SDK_VIRTIO_QUEUES ? &d->queue[d->queue_select] : &none;

	switch (reg) {
	case VIRTIO_DEVICE_FEATURE:
		return d->device_select < 2 ? (u32)(d->offered >> 32 * d->device_select) : 0;
	case VIRTIO_CONFIG_MSIX:
		return d->config_vector;
	case VIRTIO_NUM_QUEUES:
		return SDK_VIRTIO_QUEUES;
	case VIRTIO_STATUS:
		return d->status;
	case VIRTIO_GENERATION:
		return d->generation;
	case VIRTIO_QUEUE_SIZE:
		return q->size;
	case VIRTIO_QUEUE_MSIX:
		return q->vector;
	case VIRTIO_QUEUE_ENABLE:
		return q->enabled;
	case VIRTIO_QUEUE_NOTIFY_OFF:
		return q->notify_offset;
	default:
		return 0;
	}
}

static void status_write(struct sdk_virtio *d, u8 value)
{
	if (d->refuses_features)
		value &= (u8)~VIRTIO_STATUS_FEATURES_OK;
	if (!value && !d->never_resets)
		for (u32 i = 0; i < SDK_VIRTIO_QUEUES; i++) {
			struct sdk_virtio_queue *q = &d->queue[i];

			*q = (struct sdk_virtio_queue){.size = q->size,
				.vector = VIRTIO_MSI_NONE,
				.notify_offset = q->notify_offset};
		}
	if (value || !d->never_resets)
		d->status = value;
}

static u64 half(u64 old, u64 value, bool high)
{
	return high ? (old & 0xffffffffu) | value << 32 : (old & ~0xffffffffull) | value;
}

static void queue_write(struct sdk_virtio *d, u32 reg, u64 value)
{
	struct sdk_virtio_queue *q =
		d->queue_select < SDK_VIRTIO_QUEUES ? &d->queue[d->queue_select] : nullptr;

	if (!q)
		return;
	switch (reg & ~4u) {
	case VIRTIO_QUEUE_DESC:
		q->desc = half(q->desc, value, reg & 4);
		return;
	case VIRTIO_QUEUE_DRIVER:
		q->driver = half(q->driver, value, reg & 4);
		return;
	case VIRTIO_QUEUE_DEVICE:
		q->device = half(q->device, value, reg & 4);
		return;
	default:
		break;
	}
	if (reg == VIRTIO_QUEUE_SIZE)
		q->size = (u16)value;
	else if (reg == VIRTIO_QUEUE_MSIX)
		q->vector = d->refuses_vectors ? VIRTIO_MSI_NONE : (u16)value;
	else if (reg == VIRTIO_QUEUE_ENABLE)
		q->enabled = value & 1;
}

static void common_write(struct sdk_virtio *d, u32 reg, u64 value)
{
	switch (reg) {
	case VIRTIO_DEVICE_FEATURE_SELECT:
		d->device_select = (u32)value;
		break;
	case VIRTIO_DRIVER_FEATURE_SELECT:
		d->driver_select = (u32)value;
		break;
	case VIRTIO_DRIVER_FEATURE:
		if (d->driver_select < 2)
			d->accepted = half(d->accepted, value, d->driver_select);
		break;
	case VIRTIO_CONFIG_MSIX:
		d->config_vector = d->refuses_vectors ? VIRTIO_MSI_NONE : (u16)value;
		break;
	case VIRTIO_STATUS:
		status_write(d, (u8)value);
		break;
	case VIRTIO_QUEUE_SELECT:
		d->queue_select = (u32)value;
		break;
	default:
		queue_write(d, reg, value);
		break;
	}
}

static u64 device_read(u64 address, u32 width)
{
	struct sdk_virtio *d = device;
	u64 at = address - SDK_VIRTIO_BAR, value = 0;

	if (at < VIRTIO_COMMON_BYTES)
		return common_read(d, (u32)at);
	if (at == SDK_VIRTIO_ISR) {
		value = d->cause;
		d->cause = 0;
		return value;
	}
	if (at >= SDK_VIRTIO_CONFIG && at + width <= SDK_VIRTIO_CONFIG + sizeof(d->config)) {
		for (u32 i = 0; i < width; i++)
			value |= (u64)d->config[at - SDK_VIRTIO_CONFIG + i] << 8 * i;
		return value;
	}
	d->nr_stray++;
	return ~0ull;
}

static void device_write(u64 address, u32 width, u64 value)
{
	struct sdk_virtio *d = device;
	u64 at = address - SDK_VIRTIO_BAR;

	if (at < VIRTIO_COMMON_BYTES) {
		common_write(d, (u32)at, value);
	} else if (at >= SDK_VIRTIO_NOTIFY && at < SDK_VIRTIO_NOTIFY + 4 * SDK_VIRTIO_QUEUES &&
		   value < SDK_VIRTIO_QUEUES) {
		d->queue[value].nr_notifies++;
	} else if (at >= SDK_VIRTIO_CONFIG && at + width <= SDK_VIRTIO_CONFIG + sizeof(d->config)) {
		d->written[d->config_writes++ % sizeof(d->written)] = (u8)value;
		d->config_offset = (u32)(at - SDK_VIRTIO_CONFIG);
		d->config_value = (u32)value;
	} else {
		d->nr_stray++;
	}
}

u8 mmio_read8(u64 base, u32 offset)
{
	return (u8)device_read(base + offset, 1);
}
u16 mmio_read16(u64 base, u32 offset)
{
	return (u16)device_read(base + offset, 2);
}
u32 mmio_read32(u64 base, u32 offset)
{
	return (u32)device_read(base + offset, 4);
}
u64 mmio_read64(u64 base, u32 offset)
{
	return mmio_read32(base, offset) | (u64)mmio_read32(base, offset + 4) << 32;
}
void mmio_write8(u64 base, u32 offset, u8 value)
{
	device_write(base + offset, 1, value);
}
void mmio_write16(u64 base, u32 offset, u16 value)
{
	device_write(base + offset, 2, value);
}
void mmio_write32(u64 base, u32 offset, u32 value)
{
	device_write(base + offset, 4, value);
}
void mmio_write64(u64 base, u32 offset, u64 value)
{
	mmio_write32(base, offset, (u32)value);
	mmio_write32(base, offset + 4, (u32)(value >> 32));
}

/* --- rings, from the device's side --- */
s32 sdk_virtio_next(struct sdk_virtio *d, u32 queue)
{
	struct sdk_virtio_queue *q = &d->queue[queue];
	const struct vring_avail *avail = (const struct vring_avail *)(uintptr_t)q->driver;

	if (!q->enabled || le16_get(avail->index) == q->seen)
		return -1;
	return le16_get(avail->ring[q->seen++ % q->size]);
}

struct vring_desc *sdk_virtio_desc(struct sdk_virtio *d, u32 queue, u32 index)
{
	return (struct vring_desc *)(uintptr_t)d->queue[queue].desc + index;
}

void *sdk_virtio_buffer(struct sdk_virtio *d, u32 queue, u32 index)
{
	return (void *)(uintptr_t)le64_get(sdk_virtio_desc(d, queue, index)->address);
}

void sdk_virtio_set_used_index(struct sdk_virtio *d, u32 queue, u16 index)
{
	struct vring_used *used = (struct vring_used *)(uintptr_t)d->queue[queue].device;

	used->index = le16_make(index);
}

void sdk_virtio_finish(struct sdk_virtio *d, u32 queue, u32 id, u32 bytes)
{
	struct sdk_virtio_queue *q = &d->queue[queue];
	struct vring_used *used = (struct vring_used *)(uintptr_t)q->device;

	used->ring[q->used++ % q->size] =
		(struct vring_used_entry){le32_make(id), le32_make(bytes)};
	sdk_virtio_set_used_index(d, queue, q->used);
}

u16 sdk_virtio_avail_flags(struct sdk_virtio *d, u32 queue)
{
	return le16_get(((const struct vring_avail *)(uintptr_t)d->queue[queue].driver)->flags);
}

void sdk_virtio_start_at(struct sdk_virtio *d, struct virtqueue *q, u16 start)
{
	struct sdk_virtio_queue *mine = &d->queue[q->number];

	q->next_avail = q->last_used = start;
	mine->seen = mine->used = start;
	((struct vring_avail *)(uintptr_t)mine->driver)->index = le16_make(start);
	sdk_virtio_set_used_index(d, q->number, start);
}
