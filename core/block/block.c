/*
 * Block devices: requests and their way to the driver (block.c), the table of devices and
 * partitions (table.c), mounts (mount.c).
 *
 * Purpose: a request stays core's until the driver reported its tag; a driver that dies gets it
 * again.
 *
 * Vocabulary: tag = core's name of a request in flight; whole = the disk of a partition.
 *
 * Objects and lifetimes: struct block_io belongs to its submitter (or to mm); from submit to
 * complete it is on the queue or in the tag table.
 *
 * Invariants: BLK-I1 every request is completed exactly once; BLK-I2 a tag that is not in the table
 * is refused (a lying driver); BLK-I3 addresses, lengths and sectors that the device sees come from
 * core's request, never from the driver.
 *
 * Locks: disk->obj.lock for queue and tags; the component's mutex around calls into the driver,
 * taken before it.
 *
 * Failure and recovery: requests in the table are queued again after the driver was replaced (Tiers
 * issue); EIO when the device is gone.
 *
 * Replacement: as in recovery, with a willing driver. Cost: one lock per batch, one doorbell per
 * batch.
 */
#include <core/block.h>
#include <core/log.h>
#include <core/time.h>
#include <lib/string.h>

#define BATCH          16u
#define SEGMENTS_BATCH 128u

struct batch { /* one driver call; lives with the disk since the kernel stack is small */
	struct block_request requests[BATCH];
	struct block_segment_row segments[SEGMENTS_BATCH];
	struct block_completion completions[BATCH];
};

static_assert(sizeof(struct batch) <= BLOCK_BATCH_BYTES);

static enum block_operation operation_of(enum block_op op)
{
	switch (op) {
	case BLOCK_READ:
		return BLOCK_OPERATION_READ;
	case BLOCK_WRITE:
		return BLOCK_OPERATION_WRITE;
	case BLOCK_FLUSH:
		return BLOCK_OPERATION_FLUSH;
	case BLOCK_DISCARD:
		return BLOCK_OPERATION_DISCARD;
	}
	return BLOCK_OPERATION_READ;
}

static bool io_valid(const struct block_device *b, const struct block_io *io)
{
	u64 bytes = b->nr_sectors * BLOCK_SECTOR_BYTES, sum = 0;

	if (io->op == BLOCK_FLUSH)
		return true;
	if (io->nr_segments > BLOCK_SEGMENTS_MAX || io->device_bytes % BLOCK_SECTOR_BYTES ||
		io->total_bytes % BLOCK_SECTOR_BYTES)
		return false;
	if (io->device_bytes > bytes || io->total_bytes > bytes - io->device_bytes)
		return false;
	for (u32 i = 0; i < io->nr_segments; i++)
		sum += io->segments[i].bytes;
	return io->op == BLOCK_DISCARD || sum == io->total_bytes;
}

/* Locks: disk->obj.lock. Takes the first request's place in the batch; false: no tag or no room for
 * its segments. */
static bool batch_add(struct block_device *disk, struct batch *t, u32 *nr, u32 *nr_segments)
{
	struct block_io *io = list_first_entry(&disk->queue, struct block_io, link);
	struct block_request *r = &t->requests[*nr];
	u32 tag;

	if (io->nr_segments > SEGMENTS_BATCH - *nr_segments)
		return false;
	for (tag = 0; tag < BLOCK_TAGS && disk->tags[tag]; tag++)
		;
	if (tag == BLOCK_TAGS)
		return false;
	list_del(&io->link);
	disk->tags[tag] = io;
	disk->tag_serial[tag] = ++disk->next_serial;
	io->tag = disk->tag_serial[tag] * BLOCK_TAGS + tag;
	disk->nr_in_flight++;
	*r = (struct block_request){
		.tag = io->tag,
		.sector = (io->bdev->start_sector * BLOCK_SECTOR_BYTES + io->device_bytes) /
			  BLOCK_SECTOR_BYTES,
		.nr_sectors = (u32)(io->total_bytes / BLOCK_SECTOR_BYTES),
		.first_segment = *nr_segments,
		.nr_segments = io->op == BLOCK_DISCARD ? 0 : io->nr_segments,
		.operation = operation_of(io->op),
		.flags = io->flags & BLOCK_FUA ? BLOCK_REQUEST_FLAGS_FUA : 0,
	};
	for (u32 i = 0; i < r->nr_segments; i++)
		t->segments[(*nr_segments)++] = (struct block_segment_row){
			.device_address =
				frame_paddr(io->segments[i].frame) + io->segments[i].offset,
			.bytes = io->segments[i].bytes,
		};
	(*nr)++;
	return true;
}

/* Puts request `r` back at the front of the queue: the driver had no room. Locks: disk->obj.lock.
 */
static void untake(struct block_device *disk, const struct block_request *r)
{
	struct block_io *io = disk->tags[r->tag % BLOCK_TAGS];

	disk->tags[r->tag % BLOCK_TAGS] = nullptr;
	disk->nr_in_flight--;
	list_add(&disk->queue, &io->link);
}

/* The component's lock is held. */
static void submit_queue(struct block_device *disk)
{
	struct component *co = disk->component;
	struct batch *t = co->class_data;

	for (;;) {
		u32 nr = 0, nr_segments = 0, taken;
		struct kabi_ctx ctx;
		answer_t a;

		spin_lock(&disk->obj.lock);
		while (nr < BATCH && !list_empty(&disk->queue) &&
			batch_add(disk, t, &nr, &nr_segments))
			;
		spin_unlock(&disk->obj.lock);
		if (!nr)
			return;
		component_ctx(co, &ctx);
		a = driver_call(co, block_driver_submit(co->slot, &ctx, component_device_handle(co),
					    0, t->requests, nr, t->segments, nr_segments));
		taken = a > 0 ? MIN((u32)a, nr) : 0;
		spin_lock(&disk->obj.lock);
		for (u32 i = nr; i > taken; i--)
			untake(disk, &t->requests[i - 1]);
		spin_unlock(&disk->obj.lock);
		if (a < 0)
			log_err("%s: the driver refuses a request: error %ld\n", disk->name,
				-(long)a);
		if (taken < nr)
			return; /* a completion makes room and submits again */
	}
}

static struct block_device *disk_of(struct component *co)
{
	struct block_device *b = nullptr;

	while ((b = block_next(b)))
		if (b->component == co && b->whole == b)
			return b;
	return nullptr;
}

void block_device_event(struct component *co, u32 queue)
{
	struct block_device *disk = disk_of(co);
	struct batch *t = co->class_data;
	answer_t a = 0;

	if (!disk)
		return;
	do {
		struct kabi_ctx ctx;

		component_ctx(co, &ctx);
		a = driver_call(co, block_driver_poll(co->slot, &ctx, component_device_handle(co),
					    queue, t->completions, BATCH));
		for (u32 i = 0; a > 0 && i < MIN((u32)a, BATCH); i++) {
			struct block_completion done = t->completions[i];
			u32 tag = (u32)(done.tag % BLOCK_TAGS);
			struct block_io *io;

			spin_lock(&disk->obj.lock);
			io = disk->tags[tag];
			if (io && io->tag == done.tag) {
				disk->tags[tag] = nullptr;
				disk->nr_in_flight--;
			} else {
				io = nullptr;
			}
			spin_unlock(&disk->obj.lock);
			if (io)
				block_io_complete(io, done.status > 0 ? -EIO : done.status);
			else
				log_err("%s: completion of a request that is not in flight\n",
					disk->name); /* BLK-I2 */
		}
	} while (a == BATCH);
	if (a < 0)
		log_err("%s: the driver cannot read its queue: error %ld\n", disk->name, -(long)a);
	submit_queue(disk);
	object_put(&disk->obj);
}

/* WHY no analysis: trylock, and a deferred call when somebody else is inside (tty_push has the same
 * shape). */
void block_kick(struct block_device *disk) __no_lock_analysis
{
	if (!mutex_trylock(&disk->component->lock)) {
		deferred_queue(&disk->kick);
		return;
	}
	submit_queue(disk);
	mutex_unlock(&disk->component->lock);
}

void block_kick_deferred(struct object *o)
{
	struct block_device *disk = container_of(o, struct block_device, obj);

	mutex_lock(&disk->component->lock);
	submit_queue(disk);
	mutex_unlock(&disk->component->lock);
}

int block_io_submit(struct block_io *io)
{
	struct block_device *disk = io->bdev->whole;

	if (!io_valid(io->bdev, io))
		return -EIO;
	if (io->op == BLOCK_WRITE && disk->geometry.features & BLOCK_FEATURES_READ_ONLY)
		return -EROFS;
	if (io->op == BLOCK_FLUSH && !(disk->geometry.features & BLOCK_FEATURES_FLUSH)) {
		block_io_complete(io, 0); /* write-through: what was reported is on the medium */
		return 0;
	}
	if (io->op == BLOCK_DISCARD && !(disk->geometry.features & BLOCK_FEATURES_DISCARD))
		return -EOPNOTSUPP;
	spin_lock(&disk->obj.lock);
	list_add_tail(&disk->queue, &io->link);
	if (io->op == BLOCK_WRITE) {
		disk->stat_writes++;
		disk->stat_sectors_written += io->total_bytes / BLOCK_SECTOR_BYTES;
	} else {
		disk->stat_reads++;
		disk->stat_sectors_read += io->total_bytes / BLOCK_SECTOR_BYTES;
	}
	spin_unlock(&disk->obj.lock);
	block_kick(disk);
	return 0;
}
