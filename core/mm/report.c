/* What others may know of memory: /proc/meminfo, /proc/PID/maps, smaps. */
#include "space.h"

void mm_stats(struct memory_stats *s)
{
	u64 low = mm_low_frames();

	*s = (struct memory_stats){
		.total_pages = mm_zone.total_frames,
		.free_pages = mm_free_pages(),
		.cached_pages = atomic_word_load(&mm_counters.cached),
		.anon_pages = atomic_word_load(&mm_counters.anon),
		.mapped_pages = atomic_word_load(&mm_counters.mapped),
		.shmem_pages = atomic_word_load(&mm_counters.shmem),
		.slab_pages = atomic_word_load(&mm_counters.slab),
		.slab_reclaimable_pages = atomic_word_load(&mm_counters.slab_reclaimable),
		.dirty_pages = atomic_word_load(&mm_counters.dirty),
		.writeback_pages = atomic_word_load(&mm_counters.writeback),
		.kernel_stack_pages = atomic_word_load(&mm_counters.stacks),
		.pagetable_pages = atomic_word_load(&mm_counters.pagetables),
		.buffers_pages = atomic_word_load(&mm_counters.buffers),
		.committed_pages = atomic_word_load(&mm_counters.committed),
		.active_anon = atomic_word_load(&mm_counters.anon),
		.inactive_anon = atomic_word_load(&mm_counters.shmem),
	};
	lru_counts(&s->active_file, &s->inactive_file);
	/* Free and clean cache, less what reclaim keeps (proc(5): MemAvailable is an estimate). */
	s->available_pages = s->free_pages + s->active_file + s->inactive_file;
	s->available_pages = s->available_pages > low ? s->available_pages - low : 0;
}

static void count_frame(struct region_info *out, u32 users, bool dirty)
{
	out->rss_pages++;
	out->pss_bytes += PAGE_BYTES / MAX(users, 1u);
	if (users > 1)
		dirty ? out->shared_dirty_pages++ : out->shared_clean_pages++;
	else
		dirty ? out->private_dirty_pages++ : out->private_clean_pages++;
}

/* Private pages: the tree knows them, so a huge empty region costs nothing. */
static void count_private(struct address_space *as, struct region *r, struct region_info *out)
	__requires(as->page_lock)
{
	u64 vpn = vpn_of(r->start), last = vpn_of(r->end) - 1, word;

	while (vpn <= last && anon_next(as->anon.root, vpn, last, &vpn, &word)) {
		struct anon_word w = anon_get(as->anon.root, vpn++);

		out->anon_pages++;
		count_frame(out, w.exclusive ? atomic32_load(&word_frame(word)->pins) : 2, true);
	}
}

/* Translations to object pages: only resident ones can have any. */
static void count_object(struct address_space *as, struct region *r, struct region_info *out)
	__requires(as->page_lock)
{
	u64 index = r->object_page, last = r->object_page + region_pages(r) - 1, word;

	while (index <= last &&
		slots_next(&r->object->slots.root, index, last, false, &index, &word)) {
		vaddr_t va = r->start + (vaddr_t)((index++ - r->object_page) << PAGE_SHIFT);
		struct frame *f = word_frame(word);
		struct arch_pte_info info;

		if (arch_query(&as->arch, va, &info) && info.paddr == frame_paddr(f))
			count_frame(out, atomic32_load(&f->mapcount), frame_flags(f) & FRAME_DIRTY);
	}
}

static void count_pages(struct address_space *as, struct region *r, struct region_info *out)
{
	spin_lock(&as->page_lock); /* a grace section for the object's tree too */
	count_private(as, r, out);
	if (r->object && r->object->kind != MEMORY_DEVICE)
		count_object(as, r, out);
	spin_unlock(&as->page_lock);
}

bool space_region_next(struct address_space *as, vaddr_t from, bool want_pages,
	struct region_info *out)
{
	struct region *r;

	space_lock_shared(&as->lock);
	r = region_find(&as->regions, from);
	if (r) {
		*out = (struct region_info){.start = r->start,
			.end = r->end,
			.flags = r->flags,
			.file = r->file,
			.name = r->name,
			.offset_bytes = r->object ? r->object_page << PAGE_SHIFT : 0};
		if (out->file)
			file_get(out->file);
		if (want_pages)
			count_pages(as, r, out);
	}
	space_unlock_shared(&as->lock);
	return r != nullptr;
}
