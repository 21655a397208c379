/*
 * Frames: the frame table, the zone with its buddy lists, per-CPU caches.
 *
 * Purpose: who owns each page frame. Vocabulary: frame: one page of memory and its entry in the
 * table; block: 2^order frames; pin: a user that keeps the contents; reserve: what only allocations
 * that cannot wait may take.
 *
 * Objects and lifetimes: the table is carved from usable memory at boot and covers everything from
 * the lowest to the highest frame that may be directly mapped. A frame comes with one pin and goes
 * when the last pin does, whoever drops it: a lock-free reader (memory_page_try) may hold a pin on
 * a frame that has just changed hands, so nobody but the last unpin may free.
 *
 * Invariants: F1 a frame with pins 0 is in the buddy lists or a CPU's cache; F2 frames of a CPU's
 * cache are order 0 and have no free_order; F3 the head of an allocated block knows its order, its
 * tails have pins 0.
 *
 * Locks: the zone lock (interrupts off) around the buddy core; CPU caches need interrupts off only.
 * No lock is held while the policy is asked: its answer is checked again under the lock.
 *
 * Failure: nullptr; the caller may have waited for reclaim before (not with FRAME_ALLOC_ATOMIC).
 *
 * Replacement: the policy (policy/page_alloc) chooses the block; core falls back to the smallest
 * that fits.
 *
 * Cost: order 0 from the CPU's cache: about 30 instructions, and the clearing.
 */
#include "mm_priv.h"
#include <arch/boot.h>
#include <arch/mmu.h>
#include <core/call.h>
#include <core/lock.h>
#include <core/task.h>
#include "object.h"

struct zone mm_zone;
static struct spinlock zone_lock = SPINLOCK_INIT(LOCK_LEVEL_ZONE);
struct memory_stats_counters mm_counters;
static struct mm_cpu boot_cpu_cache;

struct frame *frame_of(paddr_t pa)
{
	u64 i = (pa >> PAGE_SHIFT) - mm_zone.base;

	return likely(i < mm_zone.nr) ? &mm_zone.frames[i] : nullptr;
}

paddr_t frame_paddr(const struct frame *f)
{
	return (paddr_t)zone_number(&mm_zone, f) << PAGE_SHIFT;
}

void *page_begin(struct frame *f)
{
	return arch_phys_to_virt(frame_paddr(f));
}

void page_end(struct frame *f, void *p)
{
	(void)f;
	(void)p;
}

/* --- zone --- */

static struct frame *zone_take(u32 order, bool atomic)
{
	struct page_decision d = mm_page_choose(&mm_zone, order, atomic);
	struct frame *f = nullptr;
	word_t irq;

	if (d.refuse)
		return nullptr;
	irq = spin_lock_irqsave(&zone_lock);
	if (unlikely(d.order >= BUDDY_ORDERS || d.order < order || !mm_zone.nr_free[d.order]))
		d.order = buddy_smallest(&mm_zone, order);
	if (likely(d.order < BUDDY_ORDERS))
		f = buddy_take(&mm_zone, order, d.order, d.tail);
	spin_unlock_irqrestore(&zone_lock, irq);
	return f;
}

static void zone_put(struct frame *f, u32 order)
{
	bool tail = mm_page_freed(&mm_zone, order);
	word_t irq = spin_lock_irqsave(&zone_lock);

	buddy_put(&mm_zone, f, order, tail);
	spin_unlock_irqrestore(&zone_lock, irq);
}

/* Its own CPU, interrupts off; mm_free_pages reads the numbers of all. */
static inline void cache_count(struct mm_cpu *c, u32 nr)
{
	WRITE_ONCE(c->nr_frames, nr);
}

/* Interrupts off. One policy question for the batch. */
static void cache_refill(struct mm_cpu *c, bool atomic)
{
	u32 batch = mm_page_batch();
	struct page_decision d = mm_page_choose(&mm_zone, 0, atomic);

	if (d.refuse)
		return;
	spin_lock(&zone_lock);
	while (c->nr_frames < batch) {
		u32 from = d.order < BUDDY_ORDERS && mm_zone.nr_free[d.order]
				   ? d.order
				   : buddy_smallest(&mm_zone, 0);

		if (from >= BUDDY_ORDERS)
			break;
		c->frames[c->nr_frames] = buddy_take(&mm_zone, 0, from, d.tail);
		cache_count(c, c->nr_frames + 1);
	}
	spin_unlock(&zone_lock);
}

static void cache_flush(struct mm_cpu *c, u32 keep)
{
	bool tail = mm_page_freed(&mm_zone, 0);

	spin_lock(&zone_lock);
	while (c->nr_frames > keep) {
		cache_count(c, c->nr_frames - 1);
		buddy_put(&mm_zone, c->frames[c->nr_frames], 0, tail);
	}
	spin_unlock(&zone_lock);
}

void frame_cache_empty(void)
{
	word_t irq = arch_irq_save();
	struct mm_cpu *c = mm_this_cpu();

	if (c && c->nr_frames)
		cache_flush(c, 0);
	arch_irq_restore(irq);
}

static struct frame *cache_take(bool atomic)
{
	word_t irq = arch_irq_save();
	struct mm_cpu *c = mm_this_cpu();
	struct frame *f = nullptr;

	if (likely(c)) {
		if (unlikely(!c->nr_frames))
			cache_refill(c, atomic);
		if (likely(c->nr_frames)) {
			cache_count(c, c->nr_frames - 1);
			f = c->frames[c->nr_frames];
		}
	}
	arch_irq_restore(irq);
	if (unlikely(!c))
		f = zone_take(0, atomic);
	return f;
}

/* One round of making room; false: nothing can be done. */
static bool make_room(u64 frames, bool may_kill)
{
	if (reclaim_direct(frames))
		return true;
	return writeback_wait_progress() || (may_kill && oom_kill());
}

/* What is left: reclaim, waiting for write-back, then the OOM killer, a bounded number of times; at
 * last the reserve. */
static __noinline __cold struct frame *alloc_slow(u32 order, u32 flags)
{
	bool wait = !(flags & FRAME_ALLOC_ATOMIC) && mm_may_sleep() && !writeback_is_self();
	struct frame *f;

	reclaim_kick();
	for (u32 round = 0; wait && round < 64; round++) {
		bool room = make_room((u64)32 << order, order <= 3);

		f = order ? zone_take(order, false) : cache_take(false);
		if (f)
			return f;
		if (!room || task_kill_pending(current))
			break;
	}
	return order ? zone_take(order, true) : cache_take(true);
}

struct frame *frame_alloc(u32 order, u32 flags, struct account *account)
{
	bool atomic = flags & FRAME_ALLOC_ATOMIC;
	struct frame *f;

	if (unlikely(order >= BUDDY_ORDERS))
		return nullptr;
#if UMKA_DEBUG
	/* CALL-I4, whether memory is short or not. */
	if (!(flags & (FRAME_ALLOC_ATOMIC | FRAME_ALLOC_OPTIONAL)))
		call_check_may_sleep();
#endif
	f = likely(!order) ? cache_take(atomic) : zone_take(order, atomic);
	if (unlikely(!f)) {
		if (flags & FRAME_ALLOC_OPTIONAL) {
			reclaim_kick();
			return nullptr;
		}
		f = alloc_slow(order, flags);
		if (!f)
			return nullptr;
	}
	f->object = nullptr;
	f->flags = 0;
	f->order = (u8)order;
	f->heat = 0;
	f->account = account;
	atomic32_store(&f->mapcount, 0);
	atomic32_store_release(&f->pins, 1);
	if (account)
		account_charge_frames(account, (sword_t)1 << order);
	asan_unpoison(page_begin(f), PAGE_BYTES << order);
	if (flags & FRAME_ALLOC_ZERO)
		memset(page_begin(f), 0, PAGE_BYTES << order);
	return f;
}

static void frame_release(struct frame *f)
{
	u32 order = f->order;
	struct mm_cpu *c;
	word_t irq;

	KASSERT(!f->free_order && !(f->flags & (FRAME_RESERVED | FRAME_LRU)));
	KASSERT(!atomic32_load(&f->mapcount));
	if (f->account)
		account_charge_frames(f->account, -((sword_t)1 << order));
	f->object = nullptr;
	f->account = nullptr;
	f->flags = 0;
	asan_poison(page_begin(f), PAGE_BYTES << order, ASAN_FREE_PAGE);
	irq = arch_irq_save();
	c = order ? nullptr : mm_this_cpu();
	if (likely(c)) {
		if (unlikely(c->nr_frames == FRAME_CACHE_MAX))
			cache_flush(c, FRAME_CACHE_MAX / 2);
		c->frames[c->nr_frames] = f;
		cache_count(c, c->nr_frames + 1);
	}
	arch_irq_restore(irq);
	if (unlikely(!c))
		zone_put(f, order);
}

void frame_pin(struct frame *f)
{
	atomic32_fetch_add(&f->pins, 1);
}

void frame_unpin(struct frame *f)
{
	u32 old = atomic32_fetch_sub(&f->pins, 1);

	KASSERT(old != 0);
	if (old == 1)
		frame_release(f);
}

void frame_free(struct frame *f, u32 order)
{
	KASSERT(f->order == order);
	frame_unpin(f);
}

/* --- boot --- */

static bool boot_mem_in_table(const struct boot_mem *m)
{
	return m->kind != BOOT_MEM_RESERVED && m->size_bytes >= PAGE_BYTES;
}

/* Puts [first, end) (frame numbers) into the buddy lists in the largest blocks that fit. */
static void zone_add(u64 first, u64 end)
{
	if (first == 0)
		first = 1; /* physical address 0 means "none" to ports and drivers */
	mm_zone.total_frames += end > first ? end - first : 0;
	while (first < end) {
		u32 order = first ? (u32)__builtin_ctzll(first) : BUDDY_ORDERS - 1;

		order = MIN(order, BUDDY_ORDERS - 1);
		while (first + ((u64)1 << order) > end)
			order--;
		for (u64 i = 0; i < (u64)1 << order; i++)
			mm_zone.frames[first + i - mm_zone.base].flags = 0;
		buddy_put(&mm_zone, &mm_zone.frames[first - mm_zone.base], order, true);
		first += (u64)1 << order;
	}
}

static paddr_t boot_alloc_frame(void)
{
	struct frame *f = frame_alloc(0, FRAME_ALLOC_ZERO | FRAME_ALLOC_ATOMIC, nullptr);

	if (!f)
		panic("no memory for boot page tables");
	return frame_paddr(f);
}

/* Where the frame table goes: the end of the first usable range that holds it. */
static paddr_t table_place(const struct boot_info *info, u64 bytes, u32 *which)
{
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct boot_mem *m = &info->mem[i];
		paddr_t end = ALIGN_DOWN(m->base + m->size_bytes, (u64)PAGE_BYTES);

		if (m->kind == BOOT_MEM_USABLE && m->size_bytes >= bytes + 64 * PAGE_BYTES &&
			m->base >= 1u << 20) {
			*which = i;
			return end - bytes;
		}
	}
	panic("no room for the table of page frames: %llu KiB", (unsigned long long)bytes >> 10);
}

void mm_boot_init(const struct boot_info *info)
{
	u64 low = ~0ull, high = 0, bytes;
	u32 home = 0;
	paddr_t table;

	static_assert(sizeof(struct frame) == (sizeof(word_t) == 8 ? 64 : sizeof(struct frame)));
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct boot_mem *m = &info->mem[i];

		if (!boot_mem_in_table(m))
			continue;
		low = MIN(low, m->base >> PAGE_SHIFT);
		high = MAX(high, (m->base + m->size_bytes) >> PAGE_SHIFT);
	}
	if (high <= low)
		panic("the boot loader named no usable memory");
	bytes = ALIGN_UP((high - low) * sizeof(struct frame), (u64)PAGE_BYTES);
	table = table_place(info, bytes, &home);
	buddy_init(&mm_zone, arch_phys_to_virt(table), low, high - low);
	memset(mm_zone.frames, 0, (size_t)bytes);
	for (u64 i = 0; i < mm_zone.nr; i++) {
		mm_zone.frames[i].flags = FRAME_RESERVED;
		list_init(&mm_zone.frames[i].lru);
	}
	if (this_cpu())
		this_cpu()->mm_cache = &boot_cpu_cache;
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct boot_mem *m = &info->mem[i];
		u64 first = ALIGN_UP(m->base, (u64)PAGE_BYTES) >> PAGE_SHIFT;
		u64 end = (i == home ? table : m->base + m->size_bytes) >> PAGE_SHIFT;

		if (m->kind == BOOT_MEM_USABLE && first < end)
			zone_add(first, end);
	}
	arch_mmu_init(boot_alloc_frame);
	slab_boot_init();
	vmap_boot_init();
	mm_objects_init();
	mm_spaces_init();
	log_info("memory: %llu MiB in %llu frames, frame table %llu KiB\n",
		(unsigned long long)(mm_zone.total_frames >> (20 - PAGE_SHIFT)),
		(unsigned long long)mm_zone.total_frames, (unsigned long long)bytes >> 10);
}

int mm_cpu_init(struct cpu *cpu)
{
	if (cpu->mm_cache)
		return 0;
	if (!mm_this_cpu() && cpu == this_cpu()) {
		cpu->mm_cache = &boot_cpu_cache;
		return 0;
	}
	cpu->mm_cache = kzalloc(sizeof(struct mm_cpu));
	return cpu->mm_cache ? 0 : -ENOMEM;
}

void mm_threads_init(void)
{
	writeback_init();
	reclaim_init();
}

void mm_boot_free_range(paddr_t base, u64 size_bytes)
{
	u64 first = ALIGN_UP(base, (u64)PAGE_BYTES) >> PAGE_SHIFT,
	    end = (base + size_bytes) >> PAGE_SHIFT;
	word_t irq;

	if (first >= end || first < mm_zone.base || end > mm_zone.base + mm_zone.nr)
		return;
	irq = spin_lock_irqsave(&zone_lock);
	zone_add(first, end);
	spin_unlock_irqrestore(&zone_lock, irq);
}

u64 mm_free_pages(void)
{
	u64 nr = READ_ONCE(mm_zone.free_frames);

	for_each_online_cpu(i)
	{
		struct mm_cpu *c = cpu_data[i] ? cpu_data[i]->mm_cache : nullptr;

		if (c)
			nr += READ_ONCE(c->nr_frames);
	}
	return nr;
}
