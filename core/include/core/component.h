#pragma once
/*
 * Instances of driver components (core/device): one module bound to one device. Core calls an
 * instance only with its `lock` held (the driver-queue exclusion of calls.md: core's callers here
 * are core threads, so it is a mutex).
 */
#include <lib/list.h>
#include <core/call.h>
#include <core/capability.h>
#include <core/device.h>
#include <core/evolve.h>

enum component_class : u8 {
	COMPONENT_BLOCK,
	COMPONENT_CHAR,
	COMPONENT_ENTROPY,
	COMPONENT_RTC,
	COMPONENT_OTHER
};
#define COMPONENT_VECTORS 8
struct component_vector {
	struct deferred event; /* argument: index of the vector */
	s32 irq;               /* core's number, -1: unused */
	u32 queue;
	bool level;
};
struct component {
	struct object obj;
	struct list_node all;
	char name[32]; /* MODULE + number: virtio_blk0 */
	struct module *module;
	const struct module_vtable *vtable;
	const struct slot *slot;
	struct device *device;  /* a reference */
	handle_t handle;        /* grant on the instance: ctx->instance */
	handle_t device_handle; /* grant on the device: what the driver names it by */
	enum component_class class;
	struct mutex lock;
	void *device_memory, *scratch;
	u32 device_bytes, scratch_bytes;
	struct component_vector vectors[COMPONENT_VECTORS];
	struct list_node dma; /* struct dma_block */
	void *class_data;     /* block device, first terminal, ...: owned by the class */
	u64 nr_interrupts, nr_calls;
	ktime_t attached_ns;
};
/* A zeroed one: its object, lists and vectors; the caller gives it module, device and slot.
 * Context: thread. */
void component_init(struct component *co);
/* Fills the context for one call; the lock is held. */
void component_ctx(struct component *co, struct kabi_ctx *ctx);
/* Around every call of a component's method: nothing sleeps below it (debug). */
#if UMKA_DEBUG
void component_enter(void);
void component_leave(void);
#else
static inline void component_enter(void)
{
}
static inline void component_leave(void)
{
}
#endif
/* calls.md "Drivers are not pure": after its first device access a run answers DONE or ERROR only.
 * Core cannot see every access, and what a driver's method may need its contract states (`need`),
 * so no driver answers another kind at all: -EIO in its place, and debug kernels stop. A closed
 * slot is -ENXIO. */
answer_t driver_answer(const struct component *co, answer_t a);
#define driver_call(co, call)                                                                      \
	({                                                                                         \
		answer_t _answer;                                                                  \
		component_enter();                                                                 \
		_answer = (call);                                                                  \
		component_leave();                                                                 \
		driver_answer(co, _answer);                                                        \
	})
/* A component broke its contract: debug kernels stop, others log it and go on with this error. */
answer_t component_violation(const char *who, const char *what);
static inline handle_t component_device_handle(const struct component *co)
{
	return co->device_handle;
}
/* Runs an interrupt event in record c (core/call/deferred.c). */
void component_interrupt(struct call *c, struct deferred *d);
/* Matches device d with the loaded modules and attaches the first that takes it. Thread. */
void component_bind(struct device *d);
/* Next instance after `after` (nullptr: first); referenced, drops after's reference. */
struct component *component_next(struct component *after);
struct component *component_find(const char *name); /* referenced */
const void *component_services(void);               /* kernel_services vtable */
/* All that the instance's dma_allocate gave; its device has no bus any more. */
void component_dma_free_all(struct component *co);

/* --- class hooks: weak no-ops until the class exists --- */
struct char_info;
struct block_geometry;
void char_device_added(struct component *co, const struct char_info *info);
/* Bytes can be read, written...: CHAR_EVENTS_*. Called with co->lock held. */
void char_device_event(struct component *co, u32 port, u32 events);
void block_device_added(struct component *co, const struct block_geometry *geometry);
/* Completions may be there: poll queue. Called with co->lock held. */
void block_device_event(struct component *co, u32 queue);
