#pragma once
/* Address spaces, inside core/mm. Theory: space.c. */
#include <core/lock.h>
#include <core/node.h>
#include <arch/trap.h>
#include <core/task.h>
#include "anon.h"
#include "mm_priv.h"
#include "object.h"
#include "region_tree.h"

#define STACK_GUARD_BYTES   (1ul << 20) /* as region_tree.c */
#define REGIONS_MAX         65530u      /* vm.max_map_count */

/* PROT_*, MAP_* of Linux (generic values: asm-generic/mman-common.h). */
#define PROT_READ           1u
#define PROT_WRITE          2u
#define PROT_EXEC           4u
#define PROT_GROWSDOWN      0x01000000u
#define PROT_GROWSUP        0x02000000u
#define MAP_SHARED          1u
#define MAP_PRIVATE         2u
#define MAP_SHARED_VALIDATE 3u
#define MAP_TYPE            0xfu
#define MAP_FIXED           0x10u
#define MAP_ANONYMOUS       0x20u
#define MAP_GROWSDOWN       0x100u
#define MAP_DENYWRITE       0x800u
#define MAP_EXECUTABLE      0x1000u
#define MAP_LOCKED          0x2000u
#define MAP_NORESERVE       0x4000u
#define MAP_POPULATE        0x8000u
#define MAP_NONBLOCK        0x10000u
#define MAP_STACK           0x20000u
#define MAP_HUGETLB         0x40000u
#define MAP_SYNC            0x80000u
#define MAP_FIXED_NOREPLACE 0x100000u
#define VM_ACCESS           (VM_READ | VM_WRITE | VM_EXEC)

extern struct frame *mm_zero_frame;

static inline u64 vpn_of(vaddr_t va)
{
	return (u64)(va >> PAGE_SHIFT);
}
static inline size_t region_pages(const struct region *r)
{
	return (r->end - r->start) >> PAGE_SHIFT;
}
static inline u64 region_object_index(const struct region *r, vaddr_t va)
{
	return r->object_page + ((va - r->start) >> PAGE_SHIFT);
}
static inline bool region_private(const struct region *r)
{
	return !(r->flags & VM_SHARED);
}
enum mmu_prot region_prot(u32 vm_flags, bool writable);

/* --- pages.c: translations; page_lock held --- */
void space_unmap_pages(struct address_space *as, vaddr_t va, size_t nr) __requires(as->page_lock);
/* Translations and private pages of [va, +nr) go. -ENOMEM: a shared node could not be copied. */
int space_zap(struct address_space *as, vaddr_t va, size_t nr);
/* Called under the object's mapper lock: translations to object pages go, private copies too when
 * asked. */
void space_invalidate(struct region *r, vaddr_t va, size_t nr, bool private_too);
/* The page lock is held; the numbers are read without it. */
static inline void rss_count(u64 *pages, s64 delta)
{
	WRITE_ONCE(*pages, *pages + (u64)delta);
}
void space_rss(struct address_space *as);

/* --- region.c --- */
void regions_boot_init(void);
struct region *region_new(struct address_space *as, vaddr_t start, vaddr_t end, u32 flags);
/* Takes the region's references (object, file, mapper) and links it; merges with its neighbours.
 * lock held. */
struct region *region_attach(struct region *r);
/* Unlinks it and drops its references; its pages are gone already. */
void region_detach(struct region *r);
/* Cuts the region in two at `at`; returns the upper part. -ENOMEM: nullptr. */
struct region *region_split(struct region *r, vaddr_t at);
/* Makes region borders at start and end. */
int regions_cut(struct address_space *as, vaddr_t start, vaddr_t end);
/* Joins r with neighbours that only differ in their addresses. Returns what r became. */
struct region *region_merge(struct region *r);
void region_set_bounds(struct region *r, vaddr_t start, vaddr_t end);
/* Unmaps [start, end); lock held. */
int space_unmap_locked(struct address_space *as, vaddr_t start, vaddr_t end) __requires(as->lock);
/* Accounts of a region that appears (+1) or goes (-1). */
void space_account_region(struct address_space *as, const struct region *r, s64 sign);
/* Limits: may `pages` more with these flags be mapped? 0, -ENOMEM, -EAGAIN (locked). */
int space_may_expand(struct address_space *as, u64 pages, u32 flags);

/* --- fault.c --- */
/* Grows a stack region down to addr; lock held. */
bool region_grow(struct region *r, vaddr_t addr);
int space_populate_range(struct address_space *as, vaddr_t start, vaddr_t end);
