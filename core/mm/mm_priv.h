#pragma once
/* Shared by the files of core/mm only. */
#include <core/asan.h>
#include <core/cpu.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "buddy.h"

/* --- per-CPU caches: touched with interrupts off by their own CPU --- */
#define FRAME_CACHE_MAX   64u
#define SLAB_CACHES_MAX   96u
#define SLAB_MAGAZINE_MAX 30u
struct slab_magazine {
	u32 nr;
	void *object[SLAB_MAGAZINE_MAX];
};
struct mm_cpu {
	u32 nr_frames;
	struct frame *frames[FRAME_CACHE_MAX];
	struct slab_magazine magazines[SLAB_CACHES_MAX];
};
static inline struct mm_cpu *mm_this_cpu(void)
{
	struct cpu *c = this_cpu();

	return likely(c) ? c->mm_cache : nullptr;
}

/* --- frame.c --- */
extern struct zone mm_zone;
extern struct memory_stats_counters {
	atomic_word_t cached, anon, shmem, mapped, slab, slab_reclaimable, dirty, writeback, stacks,
		pagetables, buffers, committed;
} mm_counters;
static inline void mm_count(atomic_word_t *counter, sword_t delta)
{
	shared_fetch_add_relaxed(&counter->v, (word_t)delta);
}
/* May this thread sleep? */
static inline bool mm_may_sleep(void)
{
	return *arch_preempt_count_ptr() == 0 && arch_irq_enabled();
}

/* --- policy.c: the doors to the policies; a built-in answer while a slot is parked --- */
struct page_decision {
	u32 order;
	bool tail, refuse;
};
struct page_decision mm_page_choose(const struct zone *z, u32 order, bool atomic);
bool mm_page_freed(const struct zone *z, u32 order);
u32 mm_page_batch(void);
struct reclaim_lists;
struct reclaim_page;
u8 mm_reclaim_judge(const struct reclaim_lists *lists, struct reclaim_page *page);
u64 mm_reclaim_shrink_active(const struct reclaim_lists *lists);
u64 mm_low_frames(void);
u64 mm_high_frames(void);
/* What only allocations that cannot wait may take. */
u64 mm_reserve_frames(void);

/* Above this kmalloc takes frames, not objects. */
#define KMALLOC_SLAB_MAX  8192u
#define KMALLOC_BYTES_MAX ((size_t)128 << 20)
/* Read, write, zeroed; leaves the reserve alone and never waits. vmap_free. */
void *vmap_alloc_optional(size_t bytes);
bool vmap_is_general(const void *p);
/* This CPU's free frames go back to the zone, where they may become rows. */
void frame_cache_empty(void);
struct readahead_ask;
u32 mm_readahead_window(struct memory_object *o, const struct readahead_ask *ask);

/* --- start-up of the parts, in this order --- */
void mm_objects_init(void);
void mm_spaces_init(void);
void writeback_init(void);
void reclaim_init(void);

/* --- slab.c --- */
void slab_boot_init(void);
/* --- vmap.c --- */
void vmap_boot_init(void);
/* --- reclaim.c --- */
/* Wakes the reclaim thread when little is free. Any context. */
void reclaim_kick(void);
/* Frees about nr frames; returns how many. May sleep. */
u64 reclaim_direct(u64 nr);
bool oom_kill(void);

/* --- unmapping: what mm_unmapped() is told --- */
enum unmap_kind : u8 { UNMAP_SPACE, UNMAP_KERNEL, UNMAP_KERNEL_OWNED };
struct unmap {
	enum unmap_kind kind;
	struct address_space *space;
	u64 nr;
	struct list_node frames; /* UNMAP_KERNEL_OWNED: to be freed after the flush */
};
