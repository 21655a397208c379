/*
 * Kernel virtual ranges: core stacks, device registers, large tables, module memory.
 *
 * Purpose: address ranges outside the direct map. Vocabulary: area: a range with an unmapped guard
 * page in front of it.
 *
 * Objects and lifetimes: an area lives until vmap_free, which removes translations everywhere
 * before the frames go.
 *
 * Invariants: V1 areas of one range do not overlap and lie in its tree; V2 no module page is
 * writable and executable at once.
 *
 * Locks: vmap_lock around trees and the kernel half's page tables. vmap_free waits for other CPUs
 * (interrupts on).
 *
 * Failure: nullptr. Cost: a stack mostly comes from the stock of STACK_STOCK_MAX, which costs
 * nothing but the list.
 */
#include "mm_priv.h"
#include <arch/mmu.h>
#include <core/lock.h>
#include <core/task.h>

#define STACK_STOCK_MAX 64u

struct vmap_area {
	struct rb_node node;
	vaddr_t start; /* of the guard page */
	size_t bytes;  /* guard included */
	bool owns_frames;
};
struct vmap_range {
	struct rb_root areas;
	vaddr_t base, end, cursor;
};
static struct spinlock vmap_lock = SPINLOCK_INIT(LOCK_LEVEL_VMAP);
static struct vmap_range general guarded_by(&vmap_lock), modules guarded_by(&vmap_lock);
static struct list_node stack_stock guarded_by(&vmap_lock) = LIST_INIT(stack_stock);
static u32 nr_stack_stock guarded_by(&vmap_lock);

void vmap_boot_init(void)
{
	struct arch_range r = arch_kernel_vmap_range();
	struct arch_range m = arch_kernel_module_range();

	spin_lock(&vmap_lock);
	general = (struct vmap_range){.base = r.base, .end = r.end, .cursor = r.base};
	modules = (struct vmap_range){.base = m.base, .end = m.end, .cursor = m.base};
	spin_unlock(&vmap_lock);
}

/* First area that ends above va. */
static struct vmap_area *area_above(struct vmap_range *r, vaddr_t va)
{
	struct rb_node *n = r->areas.node;
	struct vmap_area *best = nullptr;

	while (n) {
		struct vmap_area *a = rb_entry(n, struct vmap_area, node);

		if (a->start + a->bytes > va) {
			best = a;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

static void area_link(struct vmap_range *r, struct vmap_area *a)
{
	struct rb_node **link = &r->areas.node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = a->start < rb_entry(parent, struct vmap_area, node)->start ? &parent->left
										  : &parent->right;
	}
	rb_insert(&r->areas, &a->node, parent, link);
}

/* Next fit, twice round at most: addresses are reused late, which makes late uses visible. */
static bool area_place(struct vmap_range *r, struct vmap_area *a)
{
	for (u32 round = 0; round < 2; round++) {
		vaddr_t at = round ? r->base : r->cursor;

		while (r->end - at >= a->bytes) {
			struct vmap_area *other = area_above(r, at);

			if (!other || other->start - at >= a->bytes || other->start < at) {
				if (other && other->start < at) {
					at = other->start + other->bytes;
					continue;
				}
				a->start = at;
				r->cursor = at + a->bytes;
				area_link(r, a);
				return true;
			}
			at = other->start + other->bytes;
		}
	}
	return false;
}

static struct vmap_area *area_new(struct vmap_range *r, size_t bytes, bool owns_frames)
{
	struct vmap_area *a = kzalloc(sizeof(*a));
	bool placed;

	if (!a)
		return nullptr;
	a->bytes = ALIGN_UP(bytes, PAGE_BYTES) + PAGE_BYTES;
	a->owns_frames = owns_frames;
	spin_lock(&vmap_lock);
	placed = area_place(r, a);
	spin_unlock(&vmap_lock);
	if (!placed) {
		kfree(a);
		return nullptr;
	}
	return a;
}

/* Takes the area whose first usable address is va out of its tree. */
static struct vmap_area *area_take(struct vmap_range *r, vaddr_t va)
{
	struct vmap_area *a;

	spin_lock(&vmap_lock);
	a = area_above(r, va);
	BUG_ON(!a || a->start + PAGE_BYTES != va);
	spin_unlock(&vmap_lock);
	return a;
}

static void area_free(struct vmap_range *r, struct vmap_area *a)
{
	struct arch_space *k = arch_kernel_space();
	struct unmap u = {.kind = a->owns_frames ? UNMAP_KERNEL_OWNED : UNMAP_KERNEL};
	vaddr_t va = a->start + PAGE_BYTES;
	size_t nr = a->bytes / PAGE_BYTES - 1;

	list_init(&u.frames);
	spin_lock(&vmap_lock);
	arch_unmap(k, va, nr, &u);
	spin_unlock(&vmap_lock);
	arch_flush(k, va, nr);
	/* Only now may somebody else get the addresses or the frames. */
	spin_lock(&vmap_lock);
	rb_erase(&r->areas, &a->node);
	spin_unlock(&vmap_lock);
	kfree(a);
	for (struct list_node *n; (n = list_pop(&u.frames));)
		frame_free(list_entry(n, struct frame, lru), 0);
}

static bool area_fill(struct vmap_area *a, enum mmu_prot prot, u32 flags)
{
	for (vaddr_t va = a->start + PAGE_BYTES; va < a->start + a->bytes; va += PAGE_BYTES) {
		struct frame *f = frame_alloc(0, FRAME_ALLOC_ZERO | flags, nullptr);
		int r;

		if (!f)
			return false;
		f->flags = FRAME_VMAP;
		spin_lock(&vmap_lock);
		r = arch_map(arch_kernel_space(), va, frame_paddr(f), 1, prot);
		spin_unlock(&vmap_lock);
		if (r) {
			frame_free(f, 0);
			return false;
		}
	}
	return true;
}

static void *range_alloc(struct vmap_range *r, size_t bytes, enum mmu_prot prot, u32 flags)
{
	struct vmap_area *a;

	if (bytes == 0 || (u64)bytes > 1ull << 40)
		return nullptr;
	a = area_new(r, bytes, true);
	if (!a)
		return nullptr;
	if (!area_fill(a, prot, flags)) {
		area_free(r, a);
		return nullptr;
	}
	asan_unpoison((void *)(a->start + PAGE_BYTES), a->bytes - PAGE_BYTES);
	return (void *)(a->start + PAGE_BYTES);
}

void *vmap_alloc(size_t bytes, enum mmu_prot prot)
{
	return range_alloc(&general, bytes, prot, FRAME_ALLOC_ATOMIC);
}

void *vmap_alloc_optional(size_t bytes)
{
	return range_alloc(&general, bytes, MMU_READ | MMU_WRITE, FRAME_ALLOC_OPTIONAL);
}

bool vmap_is_general(const void *p)
{
	struct arch_range r = arch_kernel_vmap_range();

	return (vaddr_t)p >= r.base && (vaddr_t)p < r.end;
}

void vmap_free(void *p, size_t bytes)
{
	vaddr_t va = ALIGN_DOWN((vaddr_t)p, PAGE_BYTES);

	(void)bytes;
	if (p)
		area_free(&general, area_take(&general, va));
}

static void *vmap_physical(paddr_t pa, size_t bytes, enum mmu_prot prot)
{
	paddr_t first = ALIGN_DOWN(pa, (paddr_t)PAGE_BYTES);
	size_t span = (size_t)(pa - first) + bytes;
	struct vmap_area *a;
	int r;

	if (bytes == 0 || span < bytes)
		return nullptr;
	a = area_new(&general, span, false);
	if (!a)
		return nullptr;
	spin_lock(&vmap_lock);
	r = arch_map(arch_kernel_space(), a->start + PAGE_BYTES, first, a->bytes / PAGE_BYTES - 1,
		MMU_READ | MMU_WRITE | prot);
	spin_unlock(&vmap_lock);
	if (r) {
		area_free(&general, a);
		return nullptr;
	}
	return (void *)(a->start + PAGE_BYTES + (vaddr_t)(pa - first));
}

void *vmap_device(paddr_t pa, size_t bytes, enum mmu_prot extra)
{
	return vmap_physical(pa, bytes, extra & MMU_WRITECOMBINE ? extra : extra | MMU_DEVICE);
}

void *vmap_memory(paddr_t pa, size_t bytes)
{
	return vmap_physical(pa, bytes, 0);
}

/* --- core stacks: the stock links them through their first words --- */

/* Stacks come back where nothing may wait (the end of a switch), so too large a stock shrinks at
 * the next allocation. */
static void *stock_take(bool surplus)
{
	struct list_node *n = nullptr;

	spin_lock(&vmap_lock);
	if (!surplus || nr_stack_stock > STACK_STOCK_MAX)
		n = list_pop(&stack_stock);
	if (n)
		nr_stack_stock--;
	spin_unlock(&vmap_lock);
	return n;
}

void *kernel_stack_alloc(void)
{
	void *p = stock_take(false), *more;

	if (!p)
		p = vmap_alloc(KERNEL_STACK_BYTES, MMU_READ | MMU_WRITE);
	if (!p)
		return nullptr;
	mm_count(&mm_counters.stacks, KERNEL_STACK_BYTES >> PAGE_SHIFT);
	more = stock_take(true);
	if (unlikely(more))
		vmap_free(more, KERNEL_STACK_BYTES);
	return p;
}

void kernel_stack_free(void *p)
{
	if (!p)
		return;
	mm_count(&mm_counters.stacks, -(sword_t)(KERNEL_STACK_BYTES >> PAGE_SHIFT));
	asan_unpoison(p, KERNEL_STACK_BYTES);
	spin_lock(&vmap_lock);
	list_add(&stack_stock, (struct list_node *)p);
	nr_stack_stock++;
	spin_unlock(&vmap_lock);
}

/* --- modules --- */

void *module_memory_alloc(size_t bytes)
{
	return range_alloc(&modules, bytes, MMU_READ | MMU_WRITE, FRAME_ALLOC_ATOMIC);
}

int module_memory_protect(void *p, size_t bytes, enum mmu_prot prot)
{
	size_t nr = ALIGN_UP(bytes, PAGE_BYTES) >> PAGE_SHIFT;

	if (!IS_ALIGNED((vaddr_t)p, PAGE_BYTES) || (prot & MMU_WRITE && prot & MMU_EXEC))
		return -EINVAL;
	spin_lock(&vmap_lock);
	arch_protect(arch_kernel_space(), (vaddr_t)p, nr, prot);
	spin_unlock(&vmap_lock);
	arch_flush(arch_kernel_space(), (vaddr_t)p, nr);
	if (prot & MMU_EXEC)
		arch_sync_code((vaddr_t)p, bytes);
	return 0;
}

void module_memory_free(void *p, size_t bytes)
{
	(void)bytes;
	if (p)
		area_free(&modules, area_take(&modules, (vaddr_t)p));
}
