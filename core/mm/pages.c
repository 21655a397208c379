/* Translations of a space: removal, accounting. The page lock is held throughout; theory in
 * space.c. */
#include "space.h"

static bool is_object_page(const struct frame *f)
{
	return f && f->object &&
	       !(frame_flags(f) & (FRAME_SLAB | FRAME_RESERVED | FRAME_VMAP | FRAME_PAGETABLE));
}

static void rss_object(struct address_space *as, const struct frame *f, s64 delta)
{
	if (f->object->evictable)
		rss_count(&as->rss_file, delta);
	else
		rss_count(&as->rss_shmem, delta);
}

/* Port contract: a translation was removed. The frame is kept by its object's tree or the space's
 * private tree until the flush. */
void mm_unmapped(void *arg, vaddr_t va, const struct arch_pte_info *info)
{
	struct unmap *u = arg;
	struct frame *f = frame_of(info->paddr);

	(void)va;
	u->nr++;
	switch (u->kind) {
	case UNMAP_KERNEL:
		return;
	case UNMAP_KERNEL_OWNED:
		list_add_tail(&u->frames, &f->lru);
		return;
	case UNMAP_SPACE:
		if (!is_object_page(f))
			return;
		rss_object(u->space, f, -1);
		if (info->accessed)
			frame_flag_set(f, FRAME_REFERENCED);
		if (atomic32_fetch_sub(&f->mapcount, 1) == 1)
			mm_count(&mm_counters.mapped, -1);
		return;
	}
}

void space_unmap_pages(struct address_space *as, vaddr_t va, size_t nr)
{
	struct unmap u = {.kind = UNMAP_SPACE, .space = as};

	arch_unmap(&as->arch, va, nr, &u);
	if (u.nr)
		arch_flush(&as->arch, va, nr);
}

static int anon_clear_range(struct address_space *as, vaddr_t va, size_t nr)
{
	s64 gone = anon_clear(&as->anon.root, vpn_of(va), vpn_of(va) + nr - 1);

	if (gone < 0)
		return -ENOMEM;
	rss_count(&as->rss_anon, -gone);
	return 0;
}

int space_zap(struct address_space *as, vaddr_t va, size_t nr)
{
	int r;

	spin_lock(&as->page_lock);
	space_unmap_pages(as, va, nr);
	r = anon_clear_range(as, va, nr);
	spin_unlock(&as->page_lock);
	return r;
}

void space_invalidate(struct region *r, vaddr_t va, size_t nr, bool private_too)
{
	struct address_space *as = r->space;

	spin_lock(&as->page_lock);
	space_unmap_pages(as, va, nr);
	/* Out of memory here only leaves private copies behind the end of a file, which no access
	 * reaches: faults there are SIGBUS. */
	if (private_too && region_private(r))
		anon_clear_range(as, va, nr);
	spin_unlock(&as->page_lock);
}

/* Private pages: the tree's words. */
void anon_word_get(u64 word)
{
	frame_pin(word_frame(word));
}

void anon_word_put(u64 word)
{
	struct frame *f = word_frame(word);

	if (atomic32_load(&f->pins) == 1)
		mm_count(&mm_counters.anon, -1);
	frame_unpin(f);
}

enum mmu_prot region_prot(u32 vm_flags, bool writable)
{
	u32 prot = MMU_USER;

	if (vm_flags & VM_ACCESS)
		prot |= MMU_READ;
	if (vm_flags & VM_WRITE && writable)
		prot |= MMU_WRITE;
	if (vm_flags & VM_EXEC)
		prot |= MMU_EXEC;
	return (enum mmu_prot)prot;
}

void space_rss(struct address_space *as)
{
	u64 rss = space_rss_pages(as);

	/* Of two threads at once the one with the lower number may win: the peak is short by what
	 * the other's fault brought. */
	if (rss > READ_ONCE(as->rss_peak))
		WRITE_ONCE(as->rss_peak, rss);
}
