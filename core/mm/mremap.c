/* mremap(2). Private pages move by moving their words; translations to object pages are dropped and
 * come back by faults. */
#include "space.h"

#define MREMAP_MAYMOVE   1u
#define MREMAP_FIXED     2u
#define MREMAP_DONTUNMAP 4u

/* Moves private pages of [from, +nr) to `to`. Page lock held, translations of both ranges gone. */
static int move_private(struct address_space *as, vaddr_t from, vaddr_t to, u64 nr)
	__requires(as->page_lock)
{
	u64 vpn = vpn_of(from), last = vpn_of(from) + nr - 1, word;

	while (anon_next(as->anon.root, vpn, last, &vpn, &word)) {
		u64 target = vpn_of(to) + (vpn - vpn_of(from));
		u64 *source, *slot = anon_own(&as->anon.root, target);

		if (!slot)
			return -ENOMEM;
		KASSERT(!*slot);
		source = anon_own(&as->anon.root, vpn);
		if (!source)
			return -ENOMEM;
		/* owning the source's path cannot have moved the target's leaf: both are ours now
		 */
		slot = anon_own(&as->anon.root, target);
		*slot = *source;
		anon_used(&as->anon.root, target, 1);
		*source = 0;
		anon_used(&as->anon.root, vpn, -1);
		if (vpn++ == last)
			break;
	}
	return 0;
}

static int move_pages(struct address_space *as, vaddr_t from, vaddr_t to, u64 nr)
{
	int r;

	spin_lock(&as->page_lock);
	space_unmap_pages(as, from, (size_t)nr);
	r = move_private(as, from, to, nr);
	spin_unlock(&as->page_lock);
	return r;
}

static struct region *region_like(const struct region *r, vaddr_t start, vaddr_t end,
	vaddr_t source)
{
	struct region *copy = region_new(r->space, start, end, r->flags);

	if (!copy)
		return nullptr;
	copy->object = r->object;
	copy->object_page = r->object ? region_object_index(r, source) : 0;
	copy->file = r->file;
	copy->name = r->flags & VM_HEAP ? nullptr : r->name;
	if (r->flags & VM_HEAP)
		copy->flags &= ~VM_HEAP;
	return copy;
}

struct remap {
	vaddr_t old, new_addr;
	size_t old_bytes, new_bytes; /* page multiples */
	u32 flags;
};

/* The region at `old` becomes one of new_bytes at `to`, which is free. */
static sword_t move_region(struct address_space *as, const struct remap *m, vaddr_t to)
	__requires(as->lock)
{
	struct region *r = region_find(&as->regions, m->old), *fresh;
	u64 moved = MIN(m->old_bytes, m->new_bytes) >> PAGE_SHIFT;
	int error;

	fresh = region_like(r, to, to + m->new_bytes, m->old);
	if (!fresh)
		return -ENOMEM;
	/* Linked unmerged until the pages are there, so that a failure can take it back. */
	fresh = region_attach(fresh);
	error = m->old_bytes ? move_pages(as, m->old, to, moved) : 0;
	if (error)
		return error; /* what was moved reads at the new place, the rest at the old one: as
				 after a partial munmap */
	if (m->old_bytes && !(m->flags & MREMAP_DONTUNMAP)) {
		error = space_unmap_locked(as, m->old, m->old + m->old_bytes);
		if (error)
			return error;
	}
	return (sword_t)to;
}

/* In place: the end moves up if the range behind is free. */
static bool grow_in_place(struct address_space *as, struct region *r, const struct remap *m)
	__requires(as->lock)
{
	struct region *next = region_next(r);
	vaddr_t end = m->old + m->new_bytes, limit = next ? next->start : USER_ADDR_END;

	if (r->end != m->old + m->old_bytes || end < m->old || end > limit)
		return false;
	if (next && next->flags & VM_GROWSDOWN && limit - end < STACK_GUARD_BYTES)
		return false;
	space_account_region(as, r, -1);
	region_set_bounds(r, r->start, end);
	space_account_region(as, r, 1);
	region_merge(r);
	return true;
}

static int remap_fixed_check(const struct remap *m)
{
	if (m->new_addr & ~PAGE_MASK || m->new_bytes > USER_ADDR_END ||
		m->new_addr > USER_ADDR_END - m->new_bytes)
		return -EINVAL;
	if (m->new_addr < m->old + m->old_bytes && m->old < m->new_addr + m->new_bytes)
		return -EINVAL;
	return 0;
}

static sword_t remap_target(struct address_space *as, const struct remap *m) __requires(as->lock)
{
	vaddr_t at;
	int error;

	if (m->flags & MREMAP_FIXED) {
		error = space_unmap_locked(as, m->new_addr, m->new_addr + m->new_bytes);
		return error ? error : (sword_t)m->new_addr;
	}
	at = region_gap_below(&as->regions, USER_ADDR_MIN, as->mmap_base, m->new_bytes, PAGE_BYTES);
	if (!at)
		at = region_gap_above(&as->regions, as->mmap_base, USER_ADDR_END, m->new_bytes,
			PAGE_BYTES);
	return at ? (sword_t)at : -ENOMEM;
}

static int remap_may_expand(struct address_space *as, const struct region *r, const struct remap *m)
	__requires(as->lock)
{
	if (m->flags & MREMAP_DONTUNMAP)
		return space_may_expand(as, m->new_bytes >> PAGE_SHIFT, r->flags);
	if (m->new_bytes > m->old_bytes)
		return space_may_expand(as, (m->new_bytes - m->old_bytes) >> PAGE_SHIFT, r->flags);
	return 0;
}

static sword_t remap_locked(struct address_space *as, struct remap *m) __requires(as->lock)
{
	struct region *r = region_find(&as->regions, m->old);
	bool elsewhere = m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	sword_t to;
	int error;

	if (m->flags & MREMAP_FIXED && (error = remap_fixed_check(m)) != 0)
		return error;
	if (!r || r->start > m->old)
		return -EFAULT;
	/* Shrinking does not care how many regions it crosses. */
	if (m->old_bytes > m->new_bytes && !elsewhere) {
		error = space_unmap_locked(as, m->old + m->new_bytes, m->old + m->old_bytes);
		return error ? error : (sword_t)m->old;
	}
	if (!m->old_bytes && region_private(r)) /* duplicating is for shared mappings */
		return -EINVAL;
	if (m->flags & MREMAP_DONTUNMAP && r->flags & VM_DEVICE)
		return -EINVAL;
	if (m->old_bytes > r->end - m->old)
		return -EFAULT;
	if (m->new_bytes == m->old_bytes && !elsewhere)
		return (sword_t)m->old;
	error = remap_may_expand(as, r, m);
	if (error)
		return error;
	if (!elsewhere && m->old_bytes && grow_in_place(as, r, m))
		return (sword_t)m->old;
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	if (as->nr_regions > REGIONS_MAX - 3)
		return -ENOMEM;
	to = remap_target(as, m);
	return to < 0 ? to : move_region(as, m, (vaddr_t)to);
}

sword_t space_mremap(struct address_space *as, vaddr_t old, size_t old_bytes, size_t new_bytes,
	u32 flags, vaddr_t new_addr)
{
	struct remap m = {old, new_addr, ALIGN_UP(old_bytes, PAGE_BYTES),
		ALIGN_UP(new_bytes, PAGE_BYTES), flags};
	bool locked = false;
	sword_t r;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (flags & MREMAP_DONTUNMAP && m.old_bytes != m.new_bytes)
		return -EINVAL;
	if (old & ~PAGE_MASK || !m.new_bytes)
		return -EINVAL;
	if (!user_range_ok(old, m.old_bytes))
		return -EFAULT;
	space_lock(&as->lock);
	r = remap_locked(as, &m);
	if (r >= 0) {
		struct region *region = region_find(&as->regions, (vaddr_t)r);

		locked = region && region->flags & VM_LOCKED;
	}
	space_unlock(&as->lock);
	if (locked && m.new_bytes > m.old_bytes)
		space_populate_range(as, (vaddr_t)r + m.old_bytes, (vaddr_t)r + m.new_bytes);
	return r;
}
