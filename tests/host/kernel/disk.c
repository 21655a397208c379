/*
 * A disk for tests on the host port: the file `disk=PATH` in memory (os.c), as /dev/vda.
 *
 * Purpose: file systems on block devices run there. It stands for driver and device at once: core
 * calls it as it calls a component (core/block), but it is compiled with the tests.
 *
 * Objects and lifetimes: one, for ever. A request waits, is carried out by the disk's thread, and
 * is done until core has fetched it: at most DEPTH are in one of these.
 *
 * Invariants: any order: of those that wait the generator chooses, since core must not count on
 * another. A write is in the file when it is reported.
 */
#include "host_test.h"
#include <core/block.h>
#include <core/component.h>
#include <core/sched.h>
#include <core/time.h>
#include <core/wait.h>
#include <arch/mmu.h>
#include <kabi/block_driver.h>
#include "../../../arch/host/os.h"

#define DEPTH         24u
#define SEGMENTS      32u
#define LONGEST_OP_NS 200000u
#define SLOW_ONE_IN   4u
#define SEGMENT_BYTES 65536u

struct waiting {
	struct block_request request;
	struct block_segment_row segments[SEGMENTS];
};
static struct spinlock lock = SPINLOCK_INIT(LOCK_LEVEL_NONE);
static struct waiting waiting[DEPTH];
static struct block_completion done[DEPTH];
static u32 nr_waiting, nr_done, nr_running; /* together at most DEPTH */
static struct waitable work;
static struct component component;

static answer_t disk_attach(struct kabi_ctx *ctx, handle_t device, struct block_geometry *geometry)
{
	*geometry = (struct block_geometry){.nr_sectors = os_config.disk_bytes / BLOCK_SECTOR_BYTES,
		.logical_block_bytes = BLOCK_SECTOR_BYTES,
		.physical_block_bytes = BLOCK_SECTOR_BYTES,
		.max_segments = SEGMENTS,
		.max_segment_bytes = SEGMENT_BYTES,
		.max_request_sectors = SEGMENTS * SEGMENT_BYTES / BLOCK_SECTOR_BYTES,
		.nr_queues = 1,
		.queue_depth = DEPTH,
		.features = BLOCK_FEATURES_FLUSH};
	return 0;
}

static answer_t disk_detach(struct kabi_ctx *ctx, handle_t device)
{
	return -ENODEV;
}

static answer_t disk_submit(struct kabi_ctx *ctx, handle_t device, u32 queue,
	const struct block_request *requests, u32 nr_requests,
	const struct block_segment_row *segments, u32 nr_segments)
{
	u32 taken = 0;

	spin_lock(&lock);
	while (taken < nr_requests && nr_waiting + nr_running + nr_done < DEPTH) {
		const struct block_request *r = &requests[taken];

		if (r->nr_segments > SEGMENTS || r->first_segment + r->nr_segments > nr_segments)
			break;
		waiting[nr_waiting].request = *r;
		memcpy(waiting[nr_waiting].segments, segments + r->first_segment,
			r->nr_segments * sizeof(*segments));
		WRITE_ONCE(nr_waiting, nr_waiting + 1);
		taken++;
	}
	spin_unlock(&lock);
	waitable_wake(&work, EV_IN, 1);
	return taken;
}

static answer_t disk_poll(struct kabi_ctx *ctx, handle_t device, u32 queue,
	struct block_completion *completions, u32 nr_completions)
{
	u32 n;

	spin_lock(&lock);
	n = MIN(nr_done, nr_completions);
	nr_done -= n;
	memcpy(completions, done + nr_done, n * sizeof(*done));
	spin_unlock(&lock);
	return n;
}

static answer_t disk_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue)
{
	return 1;
}

/* A device reads memory beside the CPUs, and unseen by ThreadSanitizer: a page may be changed while
 * it is written out, since it is marked dirty again then. What it reads in nobody may look at
 * before it is reported: that is seen. */
#define UNSEEN __attribute__((no_sanitize("thread")))
UNSEEN static void fetch(u8 *medium, const u8 *page, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((volatile u8 *)medium)[i] = page[i];
}

static s32 carry_out(const struct waiting *w)
{
	const struct block_request *r = &w->request;
	u64 at = r->sector * BLOCK_SECTOR_BYTES, bytes = (u64)r->nr_sectors * BLOCK_SECTOR_BYTES;

	if (r->operation == BLOCK_OPERATION_FLUSH)
		return 0;
	if (r->operation != BLOCK_OPERATION_READ && r->operation != BLOCK_OPERATION_WRITE)
		return -EOPNOTSUPP;
	if (at > os_config.disk_bytes || bytes > os_config.disk_bytes - at)
		return -EIO;
	for (u32 i = 0; i < r->nr_segments; i++) {
		u8 *page = arch_phys_to_virt(w->segments[i].device_address);
		u8 *medium = (u8 *)os_config.disk + at;

		if (w->segments[i].bytes > bytes)
			return -EIO;
		if (r->operation == BLOCK_OPERATION_READ)
			memcpy(page, medium, w->segments[i].bytes);
		else
			fetch(medium, page, w->segments[i].bytes);
		at += w->segments[i].bytes;
		bytes -= w->segments[i].bytes;
	}
	return bytes ? -EIO : 0;
}

static void disk_thread(void *arg)
{
	for (;;) {
		static struct waiting now;
		u32 chosen;
		s32 status;

		wait_event(&work, EV_IN, READ_ONCE(nr_waiting) != 0, 0);
		spin_lock(&lock);
		chosen = host_dice(nr_waiting);
		now = waiting[chosen];
		WRITE_ONCE(nr_waiting, nr_waiting - 1);
		waiting[chosen] = waiting[nr_waiting];
		nr_running = 1;
		spin_unlock(&lock);
		if (host_dice(SLOW_ONE_IN) == 0)
			wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
				time_monotonic_ns() + host_dice(LONGEST_OP_NS), 0);
		status = carry_out(&now);
		spin_lock(&lock);
		nr_running = 0;
		done[nr_done++] = (struct block_completion){.tag = now.request.tag,
			.status = status,
			.bytes = status ? 0 : now.request.nr_sectors * BLOCK_SECTOR_BYTES};
		spin_unlock(&lock);
		deferred_queue(&component.vectors[0].event);
	}
}

static const struct block_driver_vtable vtable = {.head = KABI_VTABLE_HEAD(block_driver),
	.attach = disk_attach,
	.detach = disk_detach,
	.submit = disk_submit,
	.poll = disk_poll,
	.interrupt = disk_interrupt};

void host_disk_start(void)
{
	struct component *co = &component;
	struct block_geometry geometry;
	struct kabi_ctx ctx;

	waitable_init(&work);
	component_init(co);
	strlcpy(co->name, "host_disk", sizeof(co->name));
	co->class = COMPONENT_BLOCK;
	co->device = device_create(DEVICE_VIRTUAL, "host_disk", nullptr);
	co->slot = instance_slot_create(&kabi_contract_block_driver, 0);
	if (!co->device || !co->slot || !slot_open(co->slot, &vtable) ||
		!task_kernel_thread(disk_thread, nullptr, "disk"))
		panic("host: no disk");
	co->handle = object_grant(&co->obj, CAP_RIGHT_READ);
	co->device_handle = object_grant(&co->device->obj, CAP_RIGHTS_ALL & ~CAP_RIGHT_GRANT);
	mutex_lock(&co->lock);
	component_ctx(co, &ctx);
	if (!block_driver_attach(co->slot, &ctx, co->device_handle, &geometry))
		block_device_added(co, &geometry);
	mutex_unlock(&co->lock);
}
