/* kernel_services: what a component may ask of core (kabi/kernel_services.kabi). Every service
 * checks that the handle names the instance's own device (DEV-I2) and ends here or queues; none
 * waits. Theory in device.c. */
#include <core/component.h>
#include <core/irq.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/plant.h>
#include <core/pci.h>
#include <core/random.h>
#include <core/time.h>
#include <kabi/kernel_services.h>
#include <lib/string.h>
#include <arch/irq.h>

struct dma_block {
	struct list_node link;
	struct frame *frame;
	u32 order;
	u64 handle;
};

/* The instance that makes the call: its id comes from the context, which a wild component can
 * write; so the device must agree. */
static struct component *caller(struct kabi_ctx *ctx, handle_t device)
{
	struct object *o = object_by_handle(ctx->instance, OBJECT_COMPONENT, CAP_RIGHT_READ);
	struct object *d = object_by_handle(device, OBJECT_DEVICE, CAP_RIGHT_CONTROL);
	struct component *co = o ? container_of(o, struct component, obj) : nullptr;

	if (!d || (co && d != &co->device->obj))
		co = nullptr;
	/* The call that is running keeps the instance, and the instance its device. */
	if (o)
		object_put(o);
	if (d)
		object_put(d);
	return co;
}

static void service_log(struct kabi_ctx *ctx, enum severity level, const void *text, u32 len)
{
	struct object *o = object_by_handle(ctx->instance, OBJECT_COMPONENT, CAP_RIGHT_READ);

	/* A file system is no device's instance: its lines say themselves whose they are. */
	log_printf((enum log_level)(level & 7), "%s%s%.*s\n",
		o ? container_of(o, struct component, obj)->name : "", o ? ": " : "",
		(int)MIN(len, 256u), (const char *)text);
	if (o)
		object_put(o);
}

static answer_t service_device_region(struct kabi_ctx *ctx, handle_t device, u32 number,
	struct register_region *region)
{
	struct component *co = caller(ctx, device);
	struct device_resource *r;
	void *map;

	if (!co)
		return -EBADF;
	if (number >= co->device->nr_res || !co->device->res[number].size_bytes)
		return -ENXIO;
	r = &co->device->res[number];
	if (r->io_ports) {
		*region = (struct register_region){.address = r->base,
			.bytes = r->size_bytes,
			.space = REGISTER_SPACE_PORTS};
		return 0;
	}
	map = device_region_map(co->device, number);
	if (!map)
		return -ENOMEM;
	*region = (struct register_region){.address = (word_t)map,
		.bytes = r->size_bytes,
		.space = REGISTER_SPACE_MEMORY};
	return 0;
}

static bool access_ok(const struct component *co, u32 number, u64 offset, u32 width)
{
	return co && number < co->device->nr_res &&
	       (width == 1 || width == 2 || width == 4 || width == 8) &&
	       offset <= co->device->res[number].size_bytes &&
	       width <= co->device->res[number].size_bytes - offset;
}

static answer_t service_device_read(struct kabi_ctx *ctx, handle_t device, u32 number, u64 offset,
	u32 width, u64 *value)
{
	struct component *co = caller(ctx, device);
	const volatile u8 *p;

	if (!access_ok(co, number, offset, width))
		return -EINVAL;
	if (co->device->res[number].io_ports) {
		*value = width == 8 ? 0
				    : arch_io_read((u16)(co->device->res[number].base + offset),
					      width);
		return 0;
	}
	p = device_region_map(co->device, number);
	if (!p)
		return -ENOMEM;
	p += offset;
	*value = width == 1   ? *p
		 : width == 2 ? *(const volatile u16 *)p
		 : width == 4 ? *(const volatile u32 *)p
			      : *(const volatile u64 *)p;
	return 0;
}

static answer_t service_device_write(struct kabi_ctx *ctx, handle_t device, u32 number, u64 offset,
	u32 width, u64 value)
{
	struct component *co = caller(ctx, device);
	volatile u8 *p;

	if (!access_ok(co, number, offset, width))
		return -EINVAL;
	if (co->device->res[number].io_ports) {
		arch_io_write((u16)(co->device->res[number].base + offset), width, (u32)value);
		return 0;
	}
	p = device_region_map(co->device, number);
	if (!p)
		return -ENOMEM;
	p += offset;
	if (width == 1)
		*p = (u8)value;
	else if (width == 2)
		*(volatile u16 *)p = (u16)value;
	else if (width == 4)
		*(volatile u32 *)p = (u32)value;
	else
		*(volatile u64 *)p = value;
	return 0;
}

static answer_t service_dma_allocate(struct kabi_ctx *ctx, handle_t device, u64 bytes,
	u64 alignment, struct dma_memory *memory)
{
	struct component *co = caller(ctx, device);
	struct dma_block *b;
	u32 order = 0;

	if (!co)
		return -EBADF;
	if (!bytes || bytes > (u64)4 << 20 || alignment & (alignment - 1))
		return -EINVAL;
	while (((u64)PAGE_BYTES << order) < MAX(bytes, alignment))
		order++;
	b = kzalloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->frame = frame_alloc(order, FRAME_ALLOC_ZERO | FRAME_ALLOC_ATOMIC, co->obj.account);
	if (!b->frame) {
		kfree(b);
		return -ENOMEM;
	}
	b->order = order;
	b->handle = object_new_id();
	list_add(&co->dma, &b->link);
	*memory = (struct dma_memory){
		.address = (word_t)
			arch_phys_to_virt(frame_paddr(b->frame)), /* DMA memory is in the direct map
								     on every 64-bit port */
		.device_address = frame_paddr(b->frame),
		.bytes = (u64)PAGE_BYTES << order,
		.memory = b->handle,
	};
	return 0;
}

static answer_t service_dma_free(struct kabi_ctx *ctx, handle_t device, handle_t memory)
{
	struct component *co = caller(ctx, device);
	struct dma_block *b, *next;

	if (!co)
		return -EBADF;
	list_for_each_entry_safe (b, next, &co->dma, link)
		if (b->handle == memory) {
			list_del(&b->link);
			frame_free(b->frame, b->order);
			kfree(b);
			return 0;
		}
	return -EBADF;
}

void component_dma_free_all(struct component *co)
{
	struct dma_block *b, *next;

	list_for_each_entry_safe (b, next, &co->dma, link) {
		list_del(&b->link);
		frame_free(b->frame, b->order);
		kfree(b);
	}
}

static answer_t service_irq_enable(struct kabi_ctx *ctx, handle_t device, u32 vector, u32 queue)
{
	struct component *co = caller(ctx, device);
	struct component_vector *v;
	int irq, r;

	if (!co)
		return -EBADF;
	if (vector >= COMPONENT_VECTORS)
		return -EINVAL;
	v = &co->vectors[vector];
	if (v->irq >= 0)
		return -EBUSY;
	irq = co->device->bus == DEVICE_PCI ? pci_msix_enable(co->device, vector) : -ENOENT;
	v->level = false;
	if (irq < 0) { /* the line, which vector 0 means */
		const struct arch_line line = {co->device->line, co->device->line_level,
			co->device->line_active_low};

		if (vector || line.line == ~0u)
			return -ENOENT;
		irq = irq_alloc_line(&line);
		if (irq < 0)
			return irq;
		v->level = line.level;
	}
	v->irq = irq;
	v->queue = queue;
	v->event.slot = co->slot;
	r = irq_attach((u32)irq, &v->event, v->level);
	if (r) {
		irq_free((u32)irq, nullptr);
		v->irq = -1;
	} else if (v->level && co->device->bus == DEVICE_PCI) {
		pci_intx_enable(co->device, true);
	}
	return r;
}

static answer_t service_irq_disable(struct kabi_ctx *ctx, handle_t device, u32 vector)
{
	struct component *co = caller(ctx, device);

	if (!co)
		return -EBADF;
	if (vector >= COMPONENT_VECTORS || co->vectors[vector].irq < 0)
		return -EINVAL;
	pci_msix_disable(co->device, vector);
	if (co->vectors[vector].level && co->device->bus == DEVICE_PCI)
		pci_intx_enable(co->device, false);
	irq_free((u32)co->vectors[vector].irq, &co->vectors[vector].event);
	co->vectors[vector].irq = -1;
	return 0;
}

static answer_t service_irq_done(struct kabi_ctx *ctx, handle_t device, u32 vector)
{
	struct component *co = caller(ctx, device);

	if (!co)
		return -EBADF;
	if (vector >= COMPONENT_VECTORS || co->vectors[vector].irq < 0)
		return -EINVAL;
	irq_unmask_line((u32)co->vectors[vector].irq, &co->vectors[vector].event);
	return 0;
}

static answer_t service_pci_config_read(struct kabi_ctx *ctx, handle_t device, u32 offset,
	u32 width, u32 *value)
{
	struct component *co = caller(ctx, device);

	if (!co || co->device->bus != DEVICE_PCI)
		return -EBADF;
	*value = pci_config_read(co->device, offset, width);
	return 0;
}

static answer_t service_pci_config_write(struct kabi_ctx *ctx, handle_t device, u32 offset,
	u32 width, u32 value)
{
	struct component *co = caller(ctx, device);
	u32 msix;

	if (!co || co->device->bus != DEVICE_PCI)
		return -EBADF;
	msix = pci_capability(co->device, 0x11, 0);
	/* base addresses (0x10..0x27), expansion ROM and MSI-X control are core's */
	if ((offset >= 0x10 && offset < 0x34) ||
		(msix && offset + width > msix && offset < msix + 12))
		return -EPERM;
	pci_config_write(co->device, offset, width, value);
	return 0;
}

static answer_t service_pci_capability(struct kabi_ctx *ctx, handle_t device, u32 id, u32 start)
{
	struct component *co = caller(ctx, device);

	if (!co || co->device->bus != DEVICE_PCI)
		return -EBADF;
	return (answer_t)pci_capability(co->device, id, start);
}

static answer_t service_property_u32(struct kabi_ctx *ctx, handle_t device, const void *name,
	u32 name_len, u32 index, u32 *value)
{
	return -ENOENT; /* no bus here describes devices by properties yet: a driver takes its
			   default */
}

static u64 service_time_ns(struct kabi_ctx *ctx)
{
	return (u64)time_monotonic_ns();
}

static void service_random(struct kabi_ctx *ctx, void *buffer, u32 len)
{
	random_bytes(buffer, len);
}

static void service_delay_ns(struct kabi_ctx *ctx, u32 duration)
{
	ktime_t until = time_monotonic_ns() + MIN(duration, 100000u);

	while (time_monotonic_ns() < until)
		arch_cpu_relax();
}

static u32 service_plant(struct kabi_ctx *ctx, enum plant_place place, u64 *memory)
{
	return plant_component(place, memory);
}

static void service_memory_barrier(struct kabi_ctx *ctx)
{
	static atomic32_t word;

	atomic32_fetch_add(&word, 0); /* sequentially consistent: a full barrier on every port; DMA
					 here is coherent */
}

static const struct kernel_services_vtable services = {
	.head = KABI_VTABLE_HEAD(kernel_services),
	.log = service_log,
	.device_region = service_device_region,
	.device_read = service_device_read,
	.device_write = service_device_write,
	.dma_allocate = service_dma_allocate,
	.dma_free = service_dma_free,
	.irq_enable = service_irq_enable,
	.irq_disable = service_irq_disable,
	.irq_done = service_irq_done,
	.pci_config_read = service_pci_config_read,
	.pci_config_write = service_pci_config_write,
	.pci_capability = service_pci_capability,
	.property_u32 = service_property_u32,
	.time_ns = service_time_ns,
	.random = service_random,
	.delay_ns = service_delay_ns,
	.memory_barrier = service_memory_barrier,
	.plant = service_plant,
};

const void *component_services(void)
{
	return &services;
}
