/* Component instances: binding, contexts, interrupt events, per-class start. Theory in device.c. */
#include <core/component.h>
#include <core/hwrng.h>
#include <core/irq.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/pci.h>
#include <core/task.h>
#include <core/time.h>
#include <kabi/block_driver.h>
#include <kabi/char_driver.h>
#include <kabi/entropy_driver.h>
#include <kabi/kernel_services.h>
#include <kabi/rtc_driver.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define DEVICE_MEMORY_BYTES                                                                        \
	65536u /* lifetime `device`; contracts state what attach may use (need memory) */
#define SCRATCH_BYTES 4096u

static struct spinlock components_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE + 2);
static struct list_node components = LIST_INIT(components);

__attribute__((weak)) void char_device_added(struct component *co, const struct char_info *info)
{
}
__attribute__((weak)) void char_device_event(struct component *co, u32 port, u32 events)
{
}
__attribute__((weak)) void block_device_added(struct component *co,
	const struct block_geometry *geometry)
{
}
__attribute__((weak)) void block_device_event(struct component *co, u32 queue)
{
}

void component_ctx(struct component *co, struct kabi_ctx *ctx)
{
	*ctx = (struct kabi_ctx){
		.size = sizeof(*ctx),
		.version = KABI_CTX_VERSION,
		.instance = co->handle,
		.device = co->device_memory,
		.scratch = co->scratch,
		.device_bytes = co->device_bytes,
		.scratch_bytes = co->scratch_bytes,
		.deadline_ns = UINT64_MAX,
	};
	ctx->services[KABI_SERVICES_KERNEL_SERVICES] = component_services();
	co->nr_calls++;
}

#if UMKA_DEBUG
void component_enter(void)
{
	if (current)
		current->in_component++;
}

void component_leave(void)
{
	if (current)
		current->in_component--;
}
#endif

answer_t component_violation(const char *who, const char *what)
{
#if UMKA_DEBUG
	panic("contract violation: %s: %s", who, what);
#endif
	log_err("contract violation: %s: %s\n", who, what);
	return -EIO;
}

answer_t driver_answer(const struct component *co, answer_t a)
{
	if (likely(!answer_is_kind(a)))
		return a;
	if (a == ANSWER_WAIT_SLOT)
		return -ENXIO;
	return component_violation(co->name, "a driver answers a kind");
}

struct component *component_next(struct component *after)
{
	struct component *next = nullptr;
	struct list_node *n;

	spin_lock(&components_lock);
	n = after ? after->all.next : components.next;
	if (n != &components) {
		next = list_entry(n, struct component, all);
		object_get(&next->obj);
	}
	spin_unlock(&components_lock);
	if (after)
		object_put(&after->obj);
	return next;
}

struct component *component_find(const char *name)
{
	struct component *co = nullptr;

	while ((co = component_next(co)))
		if (!strcmp(co->name, name))
			return co;
	return nullptr;
}

/* --- interrupts --- */
#define CHAR_CAUSES_MAX 64u
/* Until the device names no more causes: on an edge-triggered line a cause that arose while another
 * still held the line makes no new edge. */
static void char_interrupt(struct component *co, struct kabi_ctx *ctx, u32 queue)
{
	for (u32 i = 0; i < CHAR_CAUSES_MAX; i++) {
		enum char_events events = 0;
		answer_t port =
			driver_call(co, char_driver_interrupt(co->slot, ctx,
						component_device_handle(co), queue, &events));

		if (port < 0 || !events)
			return;
		char_device_event(co, (u32)port, events);
		component_ctx(co, ctx);
	}
}

void component_interrupt(struct call *c, struct deferred *d)
{
	struct component *co = container_of(d->object, struct component, obj);
	struct component_vector *v = &co->vectors[d->argument % COMPONENT_VECTORS];
	struct kabi_ctx ctx;
	answer_t a;

	mutex_lock(&co->lock);
	co->nr_interrupts++;
	component_ctx(co, &ctx);
	switch (co->class) {
	case COMPONENT_BLOCK:
		a = driver_call(co, block_driver_interrupt(co->slot, &ctx,
					    component_device_handle(co), v->queue));
		if (a == 1)
			block_device_event(co, v->queue);
		break;
	case COMPONENT_CHAR:
		char_interrupt(co, &ctx, v->queue);
		break;
	case COMPONENT_ENTROPY:
		hwrng_interrupt(co, v->queue);
		break;
	case COMPONENT_RTC:
	case COMPONENT_OTHER:
		break;
	}
	mutex_unlock(&co->lock);
	if (v->level && v->irq >= 0)
		irq_unmask_line((u32)v->irq, &v->event); /* the cause was cleared above (IRQ-I1) */
}

/* --- attach --- */
static int start_class(struct component *co)
{
	handle_t device = component_device_handle(co);
	struct kabi_ctx ctx;
	struct char_info character = {};
	struct block_geometry geometry = {};
	struct entropy_info entropy = {};
	s64 seconds = 0;
	answer_t a = -ENODEV;

	component_ctx(co, &ctx);
	switch (co->class) {
	case COMPONENT_BLOCK:
		a = driver_call(co, block_driver_attach(co->slot, &ctx, device, &geometry));
		if (!a)
			block_device_added(co, &geometry);
		break;
	case COMPONENT_CHAR:
		a = driver_call(co, char_driver_attach(co->slot, &ctx, device, &character));
		if (!a)
			char_device_added(co, &character);
		break;
	case COMPONENT_ENTROPY:
		a = driver_call(co, entropy_driver_attach(co->slot, &ctx, device, &entropy));
		if (!a)
			a = hwrng_added(co, &entropy);
		break;
	case COMPONENT_RTC:
		a = driver_call(co, rtc_driver_attach(co->slot, &ctx, device));
		for (u32 i = 0; !a && i < 1000;
			i++) { /* -EAGAIN while the clock updates: less than 2 ms */
			component_ctx(co, &ctx);
			a = driver_call(co, rtc_driver_read_time(co->slot, &ctx, device, &seconds));
			if (!a)
				time_set_realtime(seconds * NSEC_PER_SEC);
			else if (a == -EAGAIN)
				a = 0;
			if (seconds)
				break;
		}
		break;
	case COMPONENT_OTHER:
		break;
	}
	return (int)a;
}

static enum component_class class_of(const char *contract)
{
	if (!strcmp(contract, "block_driver"))
		return COMPONENT_BLOCK;
	if (!strcmp(contract, "char_driver"))
		return COMPONENT_CHAR;
	if (!strcmp(contract, "entropy_driver"))
		return COMPONENT_ENTROPY;
	if (!strcmp(contract, "rtc_driver"))
		return COMPONENT_RTC;
	return COMPONENT_OTHER;
}

static const struct module_vtable *driver_vtable(const struct module *m)
{
	for (u32 i = 0; i < m->nr_vtables; i++)
		if (class_of(m->vtables[i].contract->name) != COMPONENT_OTHER)
			return &m->vtables[i];
	return nullptr;
}

/* A device that was refused may not have stopped: it loses the bus before its memory goes. */
static void component_drop(struct component *co)
{
	if (co->device && co->device->bus == DEVICE_PCI)
		pci_enable(co->device, false);
	component_dma_free_all(co);
	for (u32 i = 0; i < COMPONENT_VECTORS; i++)
		if (co->vectors[i].irq >= 0) {
			irq_free((u32)co->vectors[i].irq, &co->vectors[i].event);
			deferred_cancel(&co->vectors[i].event);
		}
	if (co->slot && slot_close(co->slot))
		instance_slot_destroy(co->slot);
	object_revoke(co->device_handle);
	object_revoke(co->handle);
	kfree(co->device_memory);
	kfree(co->scratch);
	if (co->device)
		object_put(&co->device->obj);
	kfree(co);
}

void component_init(struct component *co)
{
	object_init(&co->obj, OBJECT_COMPONENT, LOCK_LEVEL_NODE, &account_root);
	list_init(&co->all);
	list_init(&co->dma);
	mutex_init(&co->lock, LOCK_LEVEL_MUTEX_OBJECT);
	for (u32 i = 0; i < COMPONENT_VECTORS; i++) {
		co->vectors[i].irq = -1;
		co->vectors[i].event = (struct deferred){.op = DEFERRED_INTERRUPT,
			.object = &co->obj,
			.argument = i};
		list_init(&co->vectors[i].event.link);
	}
}

static struct component *component_new(struct module *m, const struct module_vtable *vt,
	struct device *d)
{
	struct component *co = kzalloc(sizeof(*co));
	u32 number = atomic32_fetch_add(&m->nr_instances, 1);
	size_t len = strlen(m->name);

	if (!co)
		return nullptr;
	component_init(co);
	co->module = m;
	co->vtable = vt;
	co->device = d;
	object_get(&d->obj);
	co->class = class_of(vt->contract->name);
	/* architecture.md section 12: MODULE + number, with `_` after a digit */
	snprintf(co->name, sizeof(co->name), "%s%s%u", m->name,
		len && m->name[len - 1] >= '0' && m->name[len - 1] <= '9' ? "_" : "", number);
	co->handle = object_grant(&co->obj, CAP_RIGHT_READ);
	co->device_handle = object_grant(&d->obj, CAP_RIGHTS_ALL & ~CAP_RIGHT_GRANT);
	/* What the module's KABI_MEMORY asks for, and never less than this. */
	co->device_bytes = MAX(m->memory.device_bytes, DEVICE_MEMORY_BYTES);
	co->scratch_bytes = MAX(m->memory.scratch_bytes, SCRATCH_BYTES);
	co->device_memory = kzalloc(co->device_bytes);
	co->scratch = kzalloc(co->scratch_bytes);
	co->slot = instance_slot_create(vt->contract, m->unit);
	if (!co->device_memory || !co->scratch || !co->slot || !co->handle || !co->device_handle ||
		!slot_open(co->slot, vt->vtable)) {
		component_drop(co);
		return nullptr;
	}
	return co;
}

static void component_publish(struct component *co)
{
	spin_lock(&components_lock);
	list_add_tail(&components, &co->all);
	spin_unlock(&components_lock);
	co->device->instance = co;
}

static bool try_bind(struct device *d, const struct module_match *want)
{
	struct module *m = nullptr;

	while ((m = module_match(want, m))) {
		const struct module_vtable *vt = driver_vtable(m);
		struct component *co = vt ? component_new(m, vt, d) : nullptr;
		int r;

		if (!co)
			continue;
		d->instance = co; /* services look here while it attaches */
		if (d->bus == DEVICE_PCI)
			pci_enable(d, true);
		mutex_lock(&co->lock);
		r = start_class(co);
		mutex_unlock(&co->lock);
		if (!r) {
			co->attached_ns = time_monotonic_ns();
			component_publish(co);
			log_info("%s: %s\n", co->name, d->name);
			return true;
		}
		d->instance = nullptr;
		if (r != -ENODEV)
			log_warn("%s refuses %s: error %d\n", co->name, d->name, -r);
		atomic32_fetch_sub(&m->nr_instances, 1);
		component_drop(co);
	}
	return false;
}

/* Virtio over PCI: vendor 1af4, device 1040 + type, or the transitional numbers (virtio 1.2,
 * section 4.1.2). */
static u32 virtio_type(const struct device *d)
{
	static const u8 transitional[] = {1 /* net */, 2 /* block */, 5, 3 /* console */, 8,
		4 /* entropy */, 0, 0, 0, 9};

	if (d->bus != DEVICE_PCI || d->vendor != 0x1af4)
		return 0;
	if (d->product >= 0x1040 && d->product < 0x1080)
		return d->product - 0x1040u;
	if (d->product >= 0x1000 && d->product < 0x1000 + ARRAY_SIZE(transitional))
		return transitional[d->product - 0x1000];
	return 0;
}

void component_bind(struct device *d)
{
	struct module_match want = {.vendor = d->vendor,
		.device = d->product,
		.class_code = d->class_code,
		.compatible = d->compatible};
	u32 type = virtio_type(d);

	if (d->bus == DEVICE_PLATFORM) {
		want.bus = KABI_BUS_PLATFORM;
		try_bind(d, &want);
		return;
	}
	if (d->bus != DEVICE_PCI)
		return;
	if (type) {
		const struct module_match virtio = {.bus = KABI_BUS_VIRTIO,
			.device = type,
			.compatible = ""};

		if (try_bind(d, &virtio))
			return;
	}
	want.bus = KABI_BUS_PCI;
	try_bind(d, &want);
}
