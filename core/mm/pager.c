/*
 * The pager: brings pages of files and devices in, and asks the file system to prepare pages for a
 * write.
 *
 * Purpose: turn page ranges into extents (fs_map) and extents into block I/O over core's own pages.
 * Vocabulary: window: the pages read at one time, chosen by the read-ahead policy; piece: a part of
 * one page inside one extent.
 *
 * Objects and lifetimes: a page that is being read is in the tree, FRAME_LOCKED, not
 * FRAME_UPTODATE; frame->private_data counts its pieces in flight, plus one while they are being
 * submitted. The last one unlocks it. A request owns itself and is freed at its end.
 *
 * Invariants: G1 a page becomes UPTODATE only when all its pieces came without error.  G2 bytes
 * behind the end of the file are zero in every page that becomes UPTODATE.
 *
 * Locks: none held while the file system or the block layer is called.
 *
 * Failure: a page that cannot be read leaves the tree; who waited for it gets -EIO and the next use
 * tries again.
 *
 * Replacement: file systems answer fs_map through their slot; a crash there is a rerun inside
 * call_run.
 */
#include <core/block_cache.h>
#include <core/fs_call.h>
#include <core/time.h>
#include "space.h"
#include <kabi/policy_readahead.h>

#define EXTENTS_MAX     16u
#define IO_MEMORY_TRIES 100u
#define SECTOR_BYTES    512u

struct block_device *object_bdev(const struct memory_object *o)
{
	return o->kind == MEMORY_BLOCK ? o->bdev : o->inode ? o->inode->sb->bdev : nullptr;
}

struct block_io *page_io_new(struct memory_object *o, enum block_op op, enum block_end end)
{
	struct block_io *io = kzalloc(sizeof(*io));

	/* The caller may sleep, and requests in flight free memory when they end. */
	for (u32 i = 0; !io && i < IO_MEMORY_TRIES; i++) {
		if (!reclaim_direct(8))
			wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
				time_monotonic_ns() + 10 * NSEC_PER_MSEC, 0);
		io = kzalloc(sizeof(*io));
	}
	if (!io)
		return nullptr;
	io->bdev = object_bdev(o);
	io->op = op;
	io->end = end;
	io->object = o;
	object_get(&o->obj);
	waitable_init(&io->done);
	list_init(&io->link);
	return io;
}

/* --- pieces of a page in flight --- */

static void pieces_begin(struct frame *f)
{
	shared_store_seq(&f->private_data, (void *)1);
}

static void pieces_add(struct frame *f)
{
	shared_fetch_add((word_t *)&f->private_data, 1);
}

static void pieces_end(struct frame *f, s32 status)
{
	if (status)
		frame_flag_set(f, FRAME_ERROR);
	if (shared_fetch_sub((word_t *)&f->private_data, 1) != 1)
		return;
	if (!(frame_flags(f) & FRAME_ERROR))
		frame_flag_set(f, FRAME_UPTODATE);
	page_unlock(f);
}

void memory_io_end(struct block_io *io)
{
	struct memory_object *o = io->object;

	for (u32 i = 0; i < io->nr_segments; i++) {
		struct frame *f = io->segments[i].frame;

		if (io->end == BLOCK_END_PAGE_READ)
			pieces_end(f, io->status);
		else
			writeback_page_end(o, f, io->status);
		frame_unpin(f);
	}
	kfree(io);
	object_put(&o->obj);
}

/* --- block requests --- */

/* Until block/ is linked there is no device: every request fails. */
__attribute__((weak)) int block_io_submit(struct block_io *io)
{
	(void)io;
	return -EIO;
}

__attribute__((weak)) int block_cache_read(struct superblock *sb, u64 first, u64 nr)
{
	(void)sb;
	(void)first;
	(void)nr;
	return -EIO;
}

void block_io_complete(struct block_io *io, s32 status)
{
	io->status = status;
	switch (io->end) {
	case BLOCK_END_PAGE_READ:
	case BLOCK_END_PAGE_WRITE:
		memory_io_end(io);
		return;
	case BLOCK_END_WAKE:
		/* The waiter may return, and io end with it, as soon as it reads 2. */
		preempt_disable();
		atomic32_store_release(&io->finished, 1);
		waitable_wake(&io->done, EV_IN, 0);
		atomic32_store_release(&io->finished, 2);
		preempt_enable();
		return;
	}
}

int block_io_run(struct block_io *io)
{
	int r;

	io->end = BLOCK_END_WAKE;
	atomic32_store(&io->finished, 0);
	waitable_init(&io->done);
	r = block_io_submit(io);
	if (r)
		return r;
	wait_event(&io->done, EV_IN, atomic32_load_acquire(&io->finished), 0);
	/* The waker is on another CPU, not preempted, on its way out of waitable_wake. */
	while (atomic32_load_acquire(&io->finished) != 2)
		arch_cpu_relax();
	return io->status;
}

/* A request being put together: pieces that follow each other on the device. */
struct io_builder {
	struct memory_object *object;
	enum block_op op;
	enum block_end end;
	struct block_io *io;
};

static void builder_submit(struct io_builder *b)
{
	struct block_io *io = b->io;
	int r;

	b->io = nullptr;
	if (!io)
		return;
	r = io->bdev ? block_io_submit(io) : -EIO;
	if (r)
		block_io_complete(io, r);
}

static int builder_add(struct io_builder *b, struct frame *f, u32 offset, u32 bytes,
	u64 device_bytes)
{
	struct block_io *io = b->io;
	struct block_segment *last = io ? &io->segments[io->nr_segments - 1] : nullptr;

	if (io && (io->device_bytes + io->total_bytes != device_bytes ||
			  io->nr_segments == BLOCK_SEGMENTS_MAX))
		builder_submit(b);
	io = b->io;
	if (!io) {
		io = b->io = page_io_new(b->object, b->op, b->end);
		if (!io)
			return -ENOMEM;
		io->device_bytes = device_bytes;
		last = nullptr;
	}
	io->total_bytes += bytes;
	if (last && last->frame == f && last->offset + last->bytes == offset) {
		last->bytes += bytes;
		return 0;
	}
	frame_pin(f);
	if (b->end == BLOCK_END_PAGE_READ)
		pieces_add(f);
	else
		writeback_piece_add(f);
	io->segments[io->nr_segments++] = (struct block_segment){f, offset, bytes};
	return 0;
}

/* --- extents --- */

/* Extents of [block, block+nr); how many or -errno. May sleep. */
static int pager_map(struct inode *inode, u64 block, u64 nr, enum fs_map_intent intent,
	struct fs_extent *out, u32 max)
{
	struct call *c = kmalloc(sizeof(*c));
	answer_t a;

	if (!c)
		return -ENOMEM;
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	a = call_run(c, fs_map(c, inode, block, nr, intent, out, max));
	call_end(c);
	kfree(c);
	if (a == 0)
		return -EIO; /* the contract: at least one */
	return (int)a;
}

static void zero_piece(struct frame *f, u32 offset, u32 bytes)
{
	u8 *p = page_begin(f);

	memset(p + offset, 0, bytes);
	page_end(f, p);
}

/* [from, to) of the file (bytes, inside the run) lies at device_bytes; a hole is zero. */
static int run_extent(struct io_builder *b, struct page_run *run, u64 from, u64 to, bool hole,
	u64 device_bytes)
{
	while (from < to) {
		u64 page = from >> PAGE_SHIFT;
		u32 offset = (u32)(from & (PAGE_BYTES - 1)),
		    bytes = (u32)MIN(to - from, (u64)PAGE_BYTES - offset);
		struct frame *f = run->frames[page - run->first];
		int r = 0;

		if (hole && b->op == BLOCK_READ)
			zero_piece(f, offset, bytes);
		else if (hole)
			r = -EIO; /* write-back of what the file system did not allocate */
		else
			r = builder_add(b, f, offset, bytes, device_bytes);
		if (r)
			return r;
		from += bytes;
		device_bytes += bytes;
	}
	return 0;
}

/* What these extents say of [*start, end); *start moves behind what they covered. */
static int run_extents(struct io_builder *b, struct page_run *run, const struct fs_extent *extents,
	u32 nr, u64 *start, u64 end)
{
	u32 bs = b->object->inode->sb->block_bytes;

	for (u32 i = 0; i < nr; i++) {
		const struct fs_extent *x = &extents[i];
		u64 from = x->file_block * bs, to = (x->file_block + x->nr_blocks) * bs;
		bool hole = x->flags & FS_EXTENT_HOLE ||
			    (x->flags & FS_EXTENT_UNWRITTEN && b->op == BLOCK_READ);
		int r;

		if (from > *start || to <= *start)
			continue;
		to = MIN(to, end);
		r = run_extent(b, run, *start, to, hole, x->disk_block * bs + (*start - from));
		if (r)
			return r;
		*start = to;
	}
	return 0;
}

/* The end of the block in which the file ends. */
static u64 io_end(const struct memory_object *o)
{
	u32 bs = o->kind == MEMORY_BLOCK ? SECTOR_BYTES
					 : MAX(o->inode->sb->block_bytes, SECTOR_BYTES);

	return ALIGN_UP(READ_ONCE(o->size_bytes), (u64)bs);
}

/* All blocks of the run inside the file, by the extents that fs_map answers. */
int pager_run_io(struct memory_object *o, struct page_run *run, enum block_op op,
	enum fs_map_intent intent)
{
	struct io_builder b = {o, op, op == BLOCK_READ ? BLOCK_END_PAGE_READ : BLOCK_END_PAGE_WRITE,
		nullptr};
	struct fs_extent extents[EXTENTS_MAX];
	u64 start = run->first << PAGE_SHIFT,
	    end = MIN(start + ((u64)run->nr << PAGE_SHIFT), io_end(o));
	u32 bs;
	int r = 0;

	if (o->kind == MEMORY_BLOCK) {
		r = start < end ? run_extent(&b, run, start, end, false, start) : 0;
		builder_submit(&b);
		return r;
	}
	bs = o->inode->sb->block_bytes;
	if (bs < SECTOR_BYTES || bs > PAGE_BYTES)
		return -EINVAL;
	while (!r && start < end) {
		u64 before = start;
		int nr = pager_map(o->inode, start / bs, (end - start + bs - 1) / bs, intent,
			extents, EXTENTS_MAX);

		r = nr < 0 ? nr : run_extents(&b, run, extents, (u32)nr, &start, end);
		if (start == before && !r)
			r = -EIO; /* extents that do not cover what was asked for */
	}
	builder_submit(&b);
	return r;
}

/* G2 */
static void zero_behind_end(struct memory_object *o, struct page_run *run)
{
	u64 size = READ_ONCE(o->size_bytes), page = size >> PAGE_SHIFT;
	u32 bs = o->kind == MEMORY_BLOCK ? SECTOR_BYTES : o->inode->sb->block_bytes;

	for (u64 i = MAX(page, run->first); i < run->first + run->nr; i++) {
		u64 end = ALIGN_UP(MAX(size, i << PAGE_SHIFT), (u64)bs);

		/* Whole blocks behind the end are not read: they are cleared before I/O; the last
		 * block's tail after it. */
		if (end < (i + 1) << PAGE_SHIFT)
			zero_piece(run->frames[i - run->first], (u32)(end - (i << PAGE_SHIFT)),
				(u32)(((i + 1) << PAGE_SHIFT) - end));
	}
}

/* Fresh locked pages from `index` on, up to nr; stops at one that is there. Returns how many.
 * optional: none rather than wait for memory. */
static u32 run_create(struct memory_object *o, u64 index, u32 nr, bool optional,
	struct page_run *run)
{
	run->first = index;
	run->nr = 0;
	while (run->nr < nr && run->nr < PAGE_RUN_MAX) {
		struct frame *f = frame_alloc(0, run->nr || optional ? FRAME_ALLOC_OPTIONAL : 0,
			o->obj.account);
		int r;

		if (!f)
			break;
		f->flags = FRAME_LOCKED;
		pieces_begin(f);
		r = object_insert(o, index + run->nr, f);
		if (r) {
			frame_unpin(f);
			break;
		}
		run->frames[run->nr++] = f;
	}
	return run->nr;
}

static void run_finish(struct page_run *run, int status)
{
	for (u32 i = 0; i < run->nr; i++)
		pieces_end(run->frames[i], status);
}

static void run_release(struct page_run *run)
{
	for (u32 i = 0; i < run->nr; i++)
		frame_unpin(run->frames[i]);
}

/* Starts reading the run. Want of memory is no error of the pages: they leave the tree first, so
 * who waits for one looks again. */
static int run_read(struct memory_object *o, struct page_run *run)
{
	int r = pager_run_io(o, run, BLOCK_READ, FS_MAP_READ);

	if (r == -ENOMEM)
		object_drop(o, run->first, run->first + run->nr - 1, false);
	run_finish(run, r);
	return r;
}

/* Waits for a page that somebody reads; 0: look again. An error page leaves the tree. -EINTR:
 * killed; the read goes on without this one, as read-ahead does. */
static int wait_page(struct memory_object *o, struct frame *f)
{
	int r = page_wait_read(f);

	if (r)
		return r;
	if (frame_flags(f) & FRAME_UPTODATE) {
		if (!(frame_flags(f) & (FRAME_DIRTY | FRAME_PREPARED)))
			object_clear_tail(o, f); /* G2: the tail of the last block */
		return 0;
	}
	if (READ_ONCE(f->object) == o && frame_flags(f) & FRAME_ERROR) {
		object_drop(o, f->index, f->index, false);
		return -EIO;
	}
	return 0;
}

int pager_read(struct memory_object *o, u64 index, u32 nr_wanted, bool mapped, u8 hint)
{
	struct readahead_ask ask = {.index = index,
		.size_pages = memory_object_pages(o),
		.nr_wanted = nr_wanted,
		.mapped = mapped,
		.hint = hint};
	struct page_run *run;
	struct frame *f = object_page_any(o, index);
	int r;

	if (f) {
		r = wait_page(o, f);
		frame_unpin(f);
		return r;
	}
	run = kmalloc(sizeof(*run));
	if (!run)
		return -ENOMEM;
	if (!run_create(o, index, mm_readahead_window(o, &ask), false, run)) {
		kfree(run);
		f = object_page_any(o, index); /* somebody else was faster, or there is no memory */
		if (!f)
			return -ENOMEM;
		frame_unpin(f);
		return 0;
	}
	zero_behind_end(o, run);
	r = run_read(o, run);
	if (r != -ENOMEM)
		r = wait_page(o, run->frames[0]);
	run_release(run);
	kfree(run);
	return r;
}

void memory_object_read_ahead(struct memory_object *o, u64 index, u64 nr)
{
	u64 end = MIN(memory_object_pages(o), nr > ~index ? ~0ull : index + nr);

	if (!o->evictable)
		return;
	for (u32 rounds = 0; index < end && rounds < 64; rounds++) {
		struct frame *f = object_page_any(o, index);
		struct page_run *run;

		if (f) {
			frame_unpin(f);
			index++;
			continue;
		}
		run = kmalloc(sizeof(*run));
		if (!run)
			return;
		if (run_create(o, index, (u32)MIN(end - index, (u64)PAGE_RUN_MAX), true, run)) {
			zero_behind_end(o, run);
			run_read(o, run);
			index += run->nr;
			run_release(run);
		} else {
			index++;
		}
		kfree(run);
	}
}

static int page_reserve(struct inode *inode, u64 index, u32 nr)
{
	u32 bs = inode->sb->block_bytes;
	struct call *c = kmalloc(sizeof(*c));
	answer_t a;

	if (!c)
		return -ENOMEM;
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	a = call_run(c, fs_reserve(c, inode, (index << PAGE_SHIFT) / bs, nr));
	call_end(c);
	kfree(c);
	return (int)a;
}

static u32 page_blocks(const struct memory_object *o)
{
	return PAGE_BYTES / o->inode->sb->block_bytes;
}

void pager_unreserve(struct memory_object *o, u32 nr_pages)
{
	if (nr_pages)
		fs_unreserve(o->inode->sb, nr_pages * page_blocks(o));
}

/* Blocks for writing the page back are reserved: -ENOSPC, -EDQUOT, -EIO are told now. -EAGAIN: the
 * page has gone. */
int pager_prepare(struct memory_object *o, struct frame *f)
{
	struct inode *inode = o->inode;
	int r;

	if (f->object != o)
		return -EAGAIN;
	if (inode && inode->sb->fs && inode->sb->block_bytes && !(frame_flags(f) & FRAME_DELAYED)) {
		r = page_reserve(inode, f->index, page_blocks(o));
		if (r < 0)
			return r;
		if (r && !frame_flag_test_and_set(f, FRAME_DELAYED))
			pager_unreserve(o, 1); /* another writer was faster */
		/* Dropped meanwhile: whichever of us sees the flag last gives it back. */
		if (READ_ONCE(f->object) != o) {
			if (frame_flag_test_and_clear(f, FRAME_DELAYED))
				pager_unreserve(o, 1);
			return -EAGAIN;
		}
	}
	frame_flag_set(f, FRAME_PREPARED);
	return 0;
}
