/*
 * Mappers: who may have translations to an object's pages. Reclaim, truncation and write-back speak
 * to these functions, never to page tables. Only address spaces map so far (MAPPER_SPACE); windows
 * and IOMMU domains get their case here.
 *
 * Locks: mapper_lock, then the page lock of each space. Waits for other CPUs' flushes with
 * interrupts on, so no caller holds a lock that is taken with interrupts off.
 */
#include "object.h"
#include "space.h"

void mapper_add(struct memory_object *o, struct mapper *m)
{
	spin_lock(&o->mapper_lock);
	list_add_tail(&o->mappers, &m->link);
	spin_unlock(&o->mapper_lock);
}

void mapper_remove(struct memory_object *o, struct mapper *m)
{
	spin_lock(&o->mapper_lock);
	list_del(&m->link);
	spin_unlock(&o->mapper_lock);
}

/* Where the mapper has page `index`; false: not in its part. */
static bool mapper_address(const struct mapper *m, u64 index, vaddr_t *va)
{
	if (index < m->first_page || index - m->first_page >= m->nr_pages)
		return false;
	*va = m->base + (vaddr_t)((index - m->first_page) << PAGE_SHIFT);
	return true;
}

/* The translation at va, if it is to f. */
static bool maps_frame(struct address_space *as, vaddr_t va, const struct frame *f,
	struct arch_pte_info *info)
{
	return arch_query(&as->arch, va, info) && info->paddr == frame_paddr(f);
}

void mappers_unmap_frame(struct memory_object *o, struct frame *f)
{
	struct mapper *m;

	spin_lock(&o->mapper_lock);
	list_for_each_entry (m, &o->mappers, link) {
		struct arch_pte_info info;
		vaddr_t va;

		if (m->kind != MAPPER_SPACE || !mapper_address(m, f->index, &va))
			continue;
		spin_lock(&m->space->page_lock);
		if (maps_frame(m->space, va, f, &info))
			space_unmap_pages(m->space, va, 1);
		spin_unlock(&m->space->page_lock);
		if (!atomic32_load(&f->mapcount))
			break;
	}
	spin_unlock(&o->mapper_lock);
}

void mappers_unmap_range(struct memory_object *o, u64 first, u64 last, bool private_too)
{
	struct mapper *m;

	spin_lock(&o->mapper_lock);
	list_for_each_entry (m, &o->mappers, link) {
		u64 from, to;

		if (m->kind != MAPPER_SPACE || first >= m->first_page + m->nr_pages ||
			last < m->first_page)
			continue;
		from = MAX(first, m->first_page) - m->first_page;
		to = MIN(last, m->first_page + m->nr_pages - 1) - m->first_page;
		space_invalidate(container_of(m, struct region, mapper),
			m->base + (vaddr_t)(from << PAGE_SHIFT), (size_t)(to - from + 1),
			private_too);
	}
	spin_unlock(&o->mapper_lock);
}

void mappers_protect_frame(struct memory_object *o, struct frame *f)
{
	struct mapper *m;

	if (!atomic32_load_seq(&f->mapcount))
		return;
	spin_lock(&o->mapper_lock);
	list_for_each_entry (m, &o->mappers, link) {
		struct arch_pte_info info;
		vaddr_t va;

		if (m->kind != MAPPER_SPACE || !mapper_address(m, f->index, &va))
			continue;
		spin_lock(&m->space->page_lock);
		if (maps_frame(m->space, va, f, &info) && info.writable) {
			arch_protect(&m->space->arch, va, 1,
				MMU_USER | MMU_READ | (info.executable ? MMU_EXEC : 0));
			arch_flush(&m->space->arch, va, 1);
		}
		spin_unlock(&m->space->page_lock);
	}
	spin_unlock(&o->mapper_lock);
}

bool mappers_age_frame(struct memory_object *o, struct frame *f)
{
	struct mapper *m;
	bool young = false;

	if (!atomic32_load(&f->mapcount))
		return false;
	spin_lock(&o->mapper_lock);
	list_for_each_entry (m, &o->mappers, link) {
		struct arch_pte_info info;
		vaddr_t va;

		if (m->kind != MAPPER_SPACE || !mapper_address(m, f->index, &va))
			continue;
		spin_lock(&m->space->page_lock);
		if (maps_frame(m->space, va, f, &info))
			young |= arch_test_clear_young(&m->space->arch, va);
		spin_unlock(&m->space->page_lock);
	}
	spin_unlock(&o->mapper_lock);
	return young;
}
