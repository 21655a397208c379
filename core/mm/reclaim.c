/*
 * Reclaim: clean pages of files and devices go when memory is short; the OOM killer when nothing
 * helps.
 *
 * Purpose: keep some memory free. Vocabulary: lists: active and inactive pages, warm end first;
 * verdict: what the policy says of one page.
 *
 * Objects and lifetimes: a page is on a list from its insertion into an object until it leaves it.
 * Shared and private memory is on none (there is no swap).
 *
 * Invariants: L1 FRAME_LRU iff linked; FRAME_ACTIVE tells which list. L2 a page goes only clean,
 * unmapped and without pins but the tree's.
 *
 * Locks: lru_lock for the lists; a batch is taken off them (pinned) before anything else is locked.
 *
 * Failure: no progress: the OOM killer takes the largest process (oom_score_adj weighs), once until
 * that one is gone.
 *
 * Replacement: policy/reclaim judges; a verdict that L2 forbids is "keep".
 */
#include <core/time.h>
#include "space.h"
#include <kabi/policy_reclaim.h>

#define BATCH         32u
#define OOM_GRACE_NS  (2 * NSEC_PER_SEC)
#define OOM_ADJ_MIN   (-1000)
#define OOM_BYTES_MAX ((size_t)8 << 20)
#define ROW_ROUNDS    8u

static struct spinlock lru_lock = SPINLOCK_INIT(LOCK_LEVEL_LRU);
static struct list_node lists[2] guarded_by(&lru_lock) = {LIST_INIT(lists[0]),
	LIST_INIT(lists[1])}; /* inactive, active */
static u64 nr_pages[2] guarded_by(&lru_lock);
static struct waitable reclaim_work;
static bool reclaim_ready;

static void link_locked(struct frame *f, bool active) __requires(lru_lock)
{
	if (active)
		frame_flag_set(f, FRAME_LRU | FRAME_ACTIVE);
	else
		frame_flag_set(f, FRAME_LRU);
	list_add(&lists[active], &f->lru);
	nr_pages[active]++;
}

static void unlink_locked(struct frame *f) __requires(lru_lock)
{
	bool active = frame_flags(f) & FRAME_ACTIVE;

	list_del(&f->lru);
	nr_pages[active]--;
	frame_flag_clear(f, FRAME_LRU | FRAME_ACTIVE);
}

void lru_add(struct frame *f)
{
	spin_lock(&lru_lock);
	if (!(frame_flags(f) & FRAME_LRU))
		link_locked(f, false);
	spin_unlock(&lru_lock);
}

void lru_remove(struct frame *f)
{
	if (!(frame_flags(f) & FRAME_LRU))
		return;
	spin_lock(&lru_lock);
	if (frame_flags(f) & FRAME_LRU)
		unlink_locked(f);
	spin_unlock(&lru_lock);
}

void lru_counts(u64 *active, u64 *inactive)
{
	spin_lock(&lru_lock);
	*active = nr_pages[1];
	*inactive = nr_pages[0];
	spin_unlock(&lru_lock);
}

static void lists_view(struct reclaim_lists *v)
{
	v->free_frames = mm_free_pages();
	v->total_frames = mm_zone.total_frames;
	lru_counts(&v->nr_active, &v->nr_inactive);
}

/* Up to `nr` pages off the cold end, moved to the warm one and pinned: nobody else looks at them
 * now. */
static u32 take_cold(bool active, u32 nr, struct frame **out)
{
	u32 n = 0;

	spin_lock(&lru_lock);
	for (u32 looked = 0; n < nr && looked < 2 * nr && !list_empty(&lists[active]); looked++) {
		struct frame *f = list_last_entry(&lists[active], struct frame, lru);
		u32 pins = atomic32_load(&f->pins);

		list_del(&f->lru);
		list_add(&lists[active], &f->lru);
		while (pins && !atomic32_cas(&f->pins, &pins, pins + 1))
			;
		if (pins)
			out[n++] = f;
	}
	spin_unlock(&lru_lock);
	return n;
}

static void move_to(struct frame *f, bool active)
{
	spin_lock(&lru_lock);
	if (frame_flags(f) & FRAME_LRU && !!(frame_flags(f) & FRAME_ACTIVE) != active) {
		unlink_locked(f);
		link_locked(f, active);
	}
	spin_unlock(&lru_lock);
}

/* The object of a pinned page, referenced; nullptr: it has left it. */
static struct memory_object *page_object(struct frame *f)
{
	struct memory_object *o;

	grace_read_begin(); /* objects are freed after a grace period */
	o = READ_ONCE(f->object);
	if (o && !object_get_live(&o->obj))
		o = nullptr;
	grace_read_end();
	return o;
}

/* True: it went. Consumes the pin. */
static bool judge(struct frame *f, const struct reclaim_lists *view)
{
	struct memory_object *o = page_object(f);
	struct reclaim_page page = {};
	bool gone = false;

	if (!o) {
		frame_unpin(f);
		return false;
	}
	page.active = (frame_flags(f) & FRAME_ACTIVE) != 0;
	page.referenced = (frame_flags(f) & FRAME_REFERENCED) != 0;
	page.dirty = (frame_flags(f) & (FRAME_DIRTY | FRAME_WRITEBACK)) != 0;
	page.mapped = atomic32_load(&f->mapcount) != 0;
	page.young = page.mapped && mappers_age_frame(o, f);
	page.heat = f->heat;
	frame_flag_clear(f, FRAME_REFERENCED);
	switch (mm_reclaim_judge(view, &page)) {
	case RECLAIM_VERDICT_ACTIVATE:
		move_to(f, true);
		break;
	case RECLAIM_VERDICT_DEACTIVATE:
		move_to(f, false);
		break;
	case RECLAIM_VERDICT_EVICT:
		if (page.dirty)
			break;
		if (page.mapped)
			mappers_unmap_frame(o, f);
		gone = object_evict(f);
		break;
	default:
		break;
	}
	f->heat = page.heat;
	frame_unpin(f);
	object_put(&o->obj);
	return gone;
}

static u64 scan(bool active, u64 nr, u64 wanted)
{
	struct frame *batch[BATCH];
	struct reclaim_lists view;
	u64 freed = 0;

	lists_view(&view);
	while (nr && freed < wanted) {
		u32 n = take_cold(active, (u32)MIN(nr, (u64)BATCH), batch);

		if (!n)
			break;
		for (u32 i = 0; i < n; i++)
			freed += judge(batch[i], &view);
		nr -= n;
	}
	return freed;
}

u64 reclaim_direct(u64 nr)
{
	struct reclaim_lists view;
	u64 freed = 0;

	/* Each round looks at a larger part: the first takes what is idle, the last has seen every
	 * page twice. */
	for (u32 round = 0; round < 4 && freed < nr; round++) {
		lists_view(&view);
		scan(true, MIN(mm_reclaim_shrink_active(&view), view.nr_active), ~0ull);
		freed += scan(false, MAX(view.nr_inactive >> (3 - round), (u64)BATCH), nr - freed);
	}
	if (freed < nr)
		writeback_kick();
	return freed;
}

void reclaim_kick(void)
{
	if (reclaim_ready && mm_free_pages() < mm_low_frames())
		waitable_wake(&reclaim_work, EV_IN, 1);
}

static void reclaim_thread(void *arg)
{
	for (;;) {
		u32 seq = waitable_seq(&reclaim_work);
		u32 idle = 0;

		wait_sleep(&reclaim_work, EV_IN, seq, KTIME_MAX, 0);
		while (mm_free_pages() < mm_high_frames() && idle < 4)
			idle = reclaim_direct(128) ? 0 : idle + 1;
	}
}

void reclaim_init(void)
{
	waitable_init(&reclaim_work);
	if (!task_kernel_thread(reclaim_thread, nullptr, "reclaim"))
		panic("no memory for the reclaim thread");
	reclaim_ready = true;
}

void mm_drop_caches(void)
{
	for (u32 i = 0; i < 8; i++) {
		u64 active, inactive;

		lru_counts(&active, &inactive);
		scan(true, active, ~0ull);
		if (!scan(false, active + inactive, ~0ull) && i > 4)
			break;
	}
}

/* One row of 2^order frames, as far as reclaim makes one: nothing is moved. */
static void make_row(u32 order)
{
	for (u32 i = 0; i < ROW_ROUNDS && buddy_smallest(&mm_zone, order) >= BUDDY_ORDERS; i++) {
		if (!reclaim_direct((u64)BATCH << order))
			break;
		frame_cache_empty();
	}
}

/*
 * What counts is what the next allocation finds: the zone, without what lies in the caches of other
 * CPUs, above the reserve unless a slab will do. Only objects of a slab may need a row, and a short
 * one (core/mm/slab.c).
 */
int mm_reclaim_for(size_t bytes)
{
	bool small = bytes <= KMALLOC_SLAB_MAX;
	u64 frames = (bytes >> PAGE_SHIFT) + 1, enough = mm_low_frames() / 2 + frames,
	    least = frames + (small ? 0 : mm_reserve_frames());

	for (u32 i = 0; i < 64 && READ_ONCE(mm_zone.free_frames) <= enough; i++) {
		bool progress = reclaim_direct(frames + BATCH);

		frame_cache_empty();
		if (READ_ONCE(mm_zone.free_frames) > enough)
			break;
		if (task_kill_pending(current))
			return -ENOMEM;
		if (progress || writeback_wait_progress())
			continue;
		/* Nobody is killed for what there is, nor for what only one caller wants. */
		if (READ_ONCE(mm_zone.free_frames) > mm_reserve_frames() + frames ||
			bytes > OOM_BYTES_MAX || !oom_kill())
			break;
	}
	if (small && bytes > PAGE_BYTES / 2)
		make_row(1);
	return READ_ONCE(mm_zone.free_frames) > least ? 0 : -ENOMEM;
}

/* --- the last resort --- */

/* Pages that ending the group would free, weighed by its oom_score_adj (proc(5)); 0: never. */
static u64 oom_points(struct thread_group *g)
{
	struct task *t = g->leader;
	struct address_space *as;
	s64 points = 0;

	if (!t || g->is_init || g->oom_score_adj == OOM_ADJ_MIN)
		return 0;
	spin_lock(&t->obj.lock);
	as = t->space;
	if (as && !t->kernel_thread)
		points = (s64)space_rss_pages(as) +
			 (s64)g->oom_score_adj * (s64)(mm_zone.total_frames / 1000);
	spin_unlock(&t->obj.lock);
	return points > 0 ? (u64)points : as ? 1 : 0;
}

bool oom_kill(void)
{
	static ktime_t last;
	static struct spinlock lock = SPINLOCK_INIT(LOCK_LEVEL_NONE);
	struct thread_group *best = nullptr, *g;
	struct pid_ns *ns = current->context ? current->context->pid_ns : nullptr;
	u64 most = 0;
	bool again;
	s32 after = 0;

	spin_lock(&lock);
	again = last && time_monotonic_ns() - last < OOM_GRACE_NS;
	if (!again)
		last = time_monotonic_ns();
	spin_unlock(&lock);
	if (again) { /* somebody is on the way out: wait for it */
		wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
			time_monotonic_ns() + 50 * NSEC_PER_MSEC, 0);
		return true;
	}
	if (!ns)
		return false;
	while ((g = group_next(ns, after)) != nullptr) {
		u64 points = oom_points(g);

		after = group_pid_nr(g);
		if (points > most) {
			if (best)
				object_put(&best->obj);
			best = g;
			most = points;
		} else {
			object_put(&g->obj);
		}
	}
	if (!best)
		return false;
	log_err("out of memory: killed process %d (%s), %llu pages\n", group_pid_nr(best),
		best->leader->comm, (unsigned long long)most);
	signal_send_group(best, &(struct signal_info){.signo = SIGKILL, .code = SI_KERNEL});
	object_put(&best->obj);
	return true;
}
