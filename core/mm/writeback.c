/*
 * Write-back of dirty file and device pages.
 *
 * Purpose: dirty pages reach the disk after DIRTY_AGE, when many are dirty, or when somebody syncs.
 * Vocabulary: dirty object: one with dirty pages, on the list in order of its first dirty page;
 * stable: not under write-back.
 *
 * Objects and lifetimes: an object on the list owns a reference of its inode (and itself), so that
 * nothing dirty is evicted.
 *
 * Invariants: B1 a page under write-back is in its object's nr_writeback and has a pin by each
 * request piece. B2 before a page is written its dirty mark goes and all translations lose write
 * rights, in this order: a later write marks it again. B3 one run of an object's pages is collected
 * at a time (FRAME_WRITEBACK is the claim).
 *
 * Locks: dirty_lock (list); obj.lock (marks). No lock over I/O.
 *
 * Failure: an error is kept in the object (write_error, write_error_seq) for fsync, and the page
 * stays clean, as on Linux.
 *
 * Replacement: the file system allocates behind fs_map(ALLOCATE). Cost: one extent question per run
 * of up to 64 pages.
 */
#include <core/fs_call.h>
#include <core/time.h>
#include "space.h"

#define WRITEBACK_PERIOD_NS (5 * NSEC_PER_SEC)
#define DIRTY_AGE_NS        (5 * NSEC_PER_SEC)
#define BACKGROUND_PERCENT  10u /* of all memory: write-back starts */
#define THROTTLE_PERCENT    20u /* writers wait for it */

static struct spinlock dirty_lock = SPINLOCK_INIT(LOCK_LEVEL_LRU);
static struct list_node dirty_objects guarded_by(&dirty_lock) = LIST_INIT(dirty_objects);
static struct waitable writeback_work, writeback_progress;
static bool writeback_ready, writeback_asked;

void writeback_object_dirtied(struct memory_object *o)
{
	bool first = false;

	spin_lock(&dirty_lock);
	if (!list_linked(&o->dirty) && !(o->inode && READ_ONCE(o->inode->evicting))) {
		first = list_empty(&dirty_objects);
		o->dirty_since_ns = time_monotonic_ns();
		list_add_tail(&dirty_objects, &o->dirty);
		object_get(&o->obj);
		if (o->inode)
			inode_get_background(o->inode);
	}
	spin_unlock(&dirty_lock);
	if (first && writeback_ready)
		waitable_wake(&writeback_work, EV_IN, 1);
}

static void dirty_put(struct memory_object *o)
{
	if (o->inode)
		inode_put_background(o->inode);
	object_put(&o->obj);
}

/* Off the list when it is clean; gives the list's references to the caller (true). */
static bool take_clean(struct memory_object *o)
{
	bool taken = false;

	spin_lock(&dirty_lock);
	if (list_linked(&o->dirty) && !READ_ONCE(o->nr_dirty)) {
		list_del(&o->dirty);
		taken = true;
	}
	spin_unlock(&dirty_lock);
	/* Dirtied in between: its marker saw it on the list. Look again. */
	if (taken && READ_ONCE(o->nr_dirty))
		writeback_object_dirtied(o);
	return taken;
}

static void release_clean(struct memory_object *o)
{
	if (take_clean(o))
		dirty_put(o);
}

void memory_object_forget_dirty(struct memory_object *o)
{
	bool taken = false;

	spin_lock(&dirty_lock);
	if (list_linked(&o->dirty)) {
		list_del(&o->dirty);
		taken = true;
	}
	spin_unlock(&dirty_lock);
	if (taken)
		dirty_put(o);
}

/* --- pages under write-back --- */

void writeback_piece_add(struct frame *f)
{
	shared_fetch_add((word_t *)&f->private_data, 1);
}

void writeback_page_end(struct memory_object *o, struct frame *f, s32 status)
{
	if (status) {
		spin_lock(&o->obj.lock);
		o->write_error = status;
		o->write_error_told = false;
		WRITE_ONCE(o->write_error_seq, o->write_error_seq + 1);
		spin_unlock(&o->obj.lock);
	}
	if (shared_fetch_sub((word_t *)&f->private_data, 1) != 1)
		return;
	spin_lock(&o->obj.lock);
	frame_flag_clear(f, FRAME_WRITEBACK);
	WRITE_ONCE(o->nr_writeback, o->nr_writeback - 1);
	spin_unlock(&o->obj.lock);
	mm_count(&mm_counters.writeback, -1);
	waitable_wake(page_waitable(f), EV_IN, 0);
	waitable_wake(&o->writeback_done, EV_IN, 0);
	waitable_wake(&writeback_progress, EV_IN, 0);
}

/* Claims the next run of consecutive dirty pages in [*from, last]; pinned, marked, counted. */
static u32 claim_run(struct memory_object *o, u64 *from, u64 last, struct page_run *run)
{
	u64 index, word;

	run->nr = 0;
	spin_lock(&o->obj.lock);
	while (run->nr < PAGE_RUN_MAX &&
		slots_next(&o->slots.root, *from, last, true, &index, &word)) {
		struct frame *f = word_frame(word);

		if (frame_flags(f) &
			FRAME_WRITEBACK) { /* redirtied under write-back: another round */
			if (run->nr)
				break;
			*from = index + 1;
			continue;
		}
		if (run->nr && index != run->first + run->nr)
			break;
		if (!run->nr)
			run->first = index;
		object_clean_locked(o, f);
		frame_flag_set(f, FRAME_WRITEBACK);
		shared_store_seq(&f->private_data, (void *)1);
		WRITE_ONCE(o->nr_writeback, o->nr_writeback + 1);
		frame_pin(f);
		run->frames[run->nr++] = f;
		*from = index + 1;
		if (index == ~0ull)
			break;
	}
	spin_unlock(&o->obj.lock);
	mm_count(&mm_counters.writeback, run->nr);
	return run->nr;
}

/* What the page had reserved pays for the write; a writer from now on reserves anew. */
static bool page_begin_write(struct memory_object *o, struct frame *f)
{
	bool delayed;

	mappers_protect_frame(o, f); /* B2 */
	delayed = o->kind == MEMORY_FILE && frame_flag_test_and_clear(f, FRAME_DELAYED);
	frame_flag_clear(f, FRAME_PREPARED);
	object_clear_tail(o, f); /* what a mapping wrote there must not reach the disk: mmap(2) */
	return delayed;
}

/* Want of memory says nothing about the disk: the page stays dirty, and what was written already is
 * written again. False: its reservation is not needed any more. */
static bool page_again(struct memory_object *o, struct frame *f, bool delayed)
{
	memory_page_mark_dirty(o, f);
	if (!delayed || !frame_flag_test_and_set(f, FRAME_DELAYED))
		return false;
	frame_flag_set(f, FRAME_PREPARED);
	return true;
}

static int write_run(struct memory_object *o, struct page_run *run)
{
	u64 delayed = 0;
	u32 over = 0;
	int r;

	static_assert(PAGE_RUN_MAX <= 64);
	for (u32 i = 0; i < run->nr; i++)
		delayed |= (u64)page_begin_write(o, run->frames[i]) << i;
	r = pager_run_io(o, run, BLOCK_WRITE, FS_MAP_ALLOCATE);
	for (u32 i = 0; i < run->nr; i++) {
		bool had = delayed >> i & 1;

		if (r == -ENOMEM)
			had &= !page_again(o, run->frames[i], had);
		over += had;
		writeback_page_end(o, run->frames[i], r == -ENOMEM ? 0 : r);
		frame_unpin(run->frames[i]);
	}
	pager_unreserve(o, over);
	return r;
}

/* Starts write-back of what is dirty in [first, last]. */
static int start_writeback(struct memory_object *o, u64 first, u64 last)
{
	struct page_run *run = kmalloc(sizeof(*run));
	int r = 0;

	if (!run)
		return -ENOMEM;
	while (!(o->inode && READ_ONCE(o->inode->evicting)) && claim_run(o, &first, last, run)) {
		int error = write_run(o, run);

		if (error && !r)
			r = error;
		if (first == 0)
			break;
	}
	kfree(run);
	return r;
}

/* The first page of [first, last] under write-back, pinned; nullptr: none. */
static struct frame *find_writeback(struct memory_object *o, u64 first, u64 last)
{
	struct frame *f = nullptr;
	u64 index, word;

	if (!READ_ONCE(o->nr_writeback))
		return nullptr;
	spin_lock(&o->obj.lock);
	for (u64 at = first; slots_next(&o->slots.root, at, last, false, &index, &word);
		at = index + 1) {
		if (frame_flags(word_frame(word)) & FRAME_WRITEBACK) {
			f = word_frame(word);
			frame_pin(f);
			break;
		}
		if (index == ~0ull)
			break;
	}
	spin_unlock(&o->obj.lock);
	return f;
}

bool memory_object_writeback(struct memory_object *o, u64 first, u64 last)
{
	struct frame *f = find_writeback(o, first, last);

	if (f)
		frame_unpin(f);
	return f;
}

int memory_object_wait_writeback(struct memory_object *o, u64 first, u64 nr)
{
	u64 last = nr && checked_add(first, nr - 1, &last) ? first + nr - 1 : ~0ull;
	struct frame *f;

	while ((f = find_writeback(o, first, last)) != nullptr) {
		page_wait_clear(f, FRAME_WRITEBACK);
		frame_unpin(f);
	}
	return 0;
}

int memory_object_sync(struct memory_object *o, u64 first, u64 nr)
{
	u64 last;
	u32 seq = READ_ONCE(o->write_error_seq);
	int r;

	if (!o->evictable || !nr)
		return 0;
	if (!checked_add(first, nr - 1, &last))
		last = ~0ull;
	memory_object_wait_writeback(o, first,
		nr); /* pages that were redirtied while they were being written */
	r = start_writeback(o, first, last);
	for (u32 i = 0; r == -ENOMEM && i < 16 && !mm_reclaim_for(sizeof(struct page_run)); i++) {
		memory_object_wait_writeback(o, first, nr);
		r = start_writeback(o, first, last);
	}
	memory_object_wait_writeback(o, first, nr);
	/* Under the lock: nr_writeback was looked at without it, and the error of the last page
	 * must be seen. */
	spin_lock(&o->obj.lock);
	if (!r && o->write_error_seq != seq)
		r = o->write_error;
	spin_unlock(&o->obj.lock);
	release_clean(o);
	return r;
}

/* --- the thread --- */

static struct memory_object *next_dirty_any(ktime_t limit, struct superblock *sb)
{
	struct memory_object *o, *found = nullptr;

	spin_lock(&dirty_lock);
	list_for_each_entry (o, &dirty_objects, dirty) {
		if (o->dirty_since_ns > limit)
			break;
		if (sb && (!o->inode || o->inode->sb != sb) && o != sb->blocks)
			continue;
		found = o;
		object_get(&o->obj);
		/* To the end, with a new stamp: the next round finds the others first. */
		o->dirty_since_ns = time_monotonic_ns();
		list_del(&o->dirty);
		list_add_tail(&dirty_objects, &o->dirty);
		break;
	}
	spin_unlock(&dirty_lock);
	return found;
}

/* The first object dirty since before `limit` (of sb, if given), referenced with its inode: whoever
 * syncs meanwhile may take it off the list. Those that end are not looked at. */
static struct memory_object *next_dirty(ktime_t limit, struct superblock *sb)
{
	struct memory_object *o;
	bool lives;

	do {
		grace_read_begin(); /* the list's reference may go, the inode's memory may not */
		o = next_dirty_any(limit, sb);
		lives = !o || !o->inode || inode_try_background(o->inode);
		grace_read_end();
		if (!lives)
			object_put(&o->obj);
	} while (!lives);
	return o;
}

/* Nobody can reach the file any more: its pages need no disk. (Two users who left it at once may
 * both have taken the other for one: else its end would have come.) */
static bool is_deleted(const struct memory_object *o)
{
	const struct inode *i = o->inode;

	return i && !inode_nlink(i) &&
	       refcount_read(&i->obj.refs) <= atomic32_load(&i->nr_background);
}

static void write_object(struct memory_object *o)
{
	if (is_deleted(o))
		object_drop(o, 0, ~0ull, false);
	else
		start_writeback(o, 0, ~0ull);
	release_clean(o);
}

int mm_sync_superblock(struct superblock *sb)
{
	ktime_t begun = time_monotonic_ns();
	struct memory_object *o;
	int r = 0;

	while ((o = next_dirty(begun, sb)) != nullptr) {
		int error = memory_object_sync(o, 0, ~0ull);

		dirty_put(o);
		if (error && !r)
			r = error;
	}
	return r;
}

static bool over(u32 percent)
{
	return atomic_word_load(&mm_counters.dirty) > mm_zone.total_frames * percent / 100;
}

void writeback_kick(void)
{
	if (!writeback_ready || !atomic_word_load(&mm_counters.dirty))
		return;
	WRITE_ONCE(writeback_asked, true);
	waitable_wake(&writeback_work, EV_IN, 1);
}

static struct task *writeback_task;

bool writeback_is_self(void)
{
	return current == writeback_task;
}

bool writeback_wait_progress(void)
{
	u32 seq = waitable_seq(&writeback_progress);

	if (!writeback_ready || writeback_is_self() ||
		!(atomic_word_load(&mm_counters.dirty) + atomic_word_load(&mm_counters.writeback)))
		return false;
	writeback_kick();
	wait_sleep(&writeback_progress, EV_IN, seq, time_monotonic_ns() + 100 * NSEC_PER_MSEC, 0);
	return true;
}

/* Called before a page becomes dirty, with no lock held. */
void writeback_throttle(void)
{
	if (likely(!over(BACKGROUND_PERCENT)))
		return;
	writeback_kick();
	for (u32 i = 0; i < 50 && over(THROTTLE_PERCENT) && writeback_ready; i++)
		if (wait_sleep(&writeback_progress, EV_IN, waitable_seq(&writeback_progress),
			    time_monotonic_ns() + 20 * NSEC_PER_MSEC,
			    call_need_wait_flags()) == -EINTR)
			return;
}

static void writeback_round(void)
{
	ktime_t begun = time_monotonic_ns();
	ktime_t limit = READ_ONCE(writeback_asked) || over(BACKGROUND_PERCENT)
				? begun
				: begun - DIRTY_AGE_NS;
	struct memory_object *o;

	WRITE_ONCE(writeback_asked, false);
	while ((o = next_dirty(limit, nullptr)) != nullptr) {
		write_object(o);
		dirty_put(o);
	}
	waitable_wake(&writeback_progress, EV_IN, 0);
}

static bool any_dirty(void)
{
	bool any;

	spin_lock(&dirty_lock);
	any = !list_empty(&dirty_objects);
	spin_unlock(&dirty_lock);
	return any;
}

/* Tickless: sleeps without a deadline while nothing is dirty. */
static void writeback_thread(void *arg)
{
	for (;;) {
		u32 seq = waitable_seq(&writeback_work);
		ktime_t deadline =
			any_dirty() ? time_monotonic_ns() + WRITEBACK_PERIOD_NS : KTIME_MAX;

		if (!READ_ONCE(writeback_asked))
			wait_sleep(&writeback_work, EV_IN, seq, deadline, 0);
		writeback_round();
	}
}

void writeback_init(void)
{
	waitable_init(&writeback_work);
	waitable_init(&writeback_progress);
	writeback_task = task_kernel_thread(writeback_thread, nullptr, "writeback");
	if (!writeback_task)
		panic("no memory for the write-back thread");
	writeback_ready = true;
}
