/*
 * Page tables.
 *
 * Purpose: tables of four levels in frames, as hardware would read them, for user spaces (walked by
 * ucopy.c) and for core's half, where each change is also made in the process's own address space.
 *
 * Vocabulary: walk: a user copy between host_user_begin and host_user_end, which uses a translation
 * as a TLB does.
 *
 * Objects and lifetimes: struct arch_space lives in its owner; its tables are frames flagged
 * FRAME_PAGETABLE.
 *
 * Invariants: HOST-M1 a walk says which space it uses before it reads an entry; a flush, called
 * after entries were cleared, waits for the walks of other CPUs: afterwards no copy uses an old
 * translation. Both sides are sequentially consistent.
 *
 * Locks: callers serialise changes of a range. Failure: no table page: -ENOMEM, entries already
 * written stay.
 *
 * Cost: 4 loads a walk; a system call for each change of core's half.
 */
#include <core/cpu.h>
#include <core/asan.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/trap.h>
#include "host.h"

#define PTE_MAPPED        1ul
#define PTE_READ          2ul
#define PTE_WRITE         4ul
#define PTE_EXEC          8ul
#define PTE_USER          16ul
#define PTE_ACCESSED      32ul
#define PTE_DIRTY         64ul
#define PTE_ADDR          0x000ffffffffff000ul
#define TABLE_ENTRIES     512u
#define USER_ROOT_ENTRIES (TABLE_ENTRIES / 2)

static struct arch_space kernel_space;
static paddr_t (*boot_frame)(void);

static u64 *table_at(paddr_t pa)
{
	return arch_phys_to_virt(pa);
}

static paddr_t table_alloc(void)
{
	struct frame *f = frame_alloc(0, FRAME_ALLOC_ZERO | FRAME_ALLOC_ATOMIC, nullptr);

	if (!f)
		return 0;
	f->flags |= FRAME_PAGETABLE;
	return frame_paddr(f);
}

static void table_free(paddr_t pa)
{
	struct frame *f = frame_of(pa);

	f->flags &= (u16)~FRAME_PAGETABLE;
	frame_free(f, 0);
}

static u64 entry_flags(enum mmu_prot prot)
{
	return PTE_MAPPED | (prot & MMU_READ ? PTE_READ : 0) | (prot & MMU_WRITE ? PTE_WRITE : 0) |
	       (prot & MMU_EXEC ? PTE_EXEC : 0) | (prot & MMU_USER ? PTE_USER : PTE_ACCESSED);
}

static inline u32 index_at(vaddr_t va, u32 level)
{
	return va >> (12 + 9 * level) & (TABLE_ENTRIES - 1);
}

/* The table of pages that covers va; made on the way when `create`. nullptr: none, or no memory. */
static u64 *walk(paddr_t root, vaddr_t va, bool create)
{
	u64 *table = table_at(root);

	for (u32 l = 3; l > 0; l--) {
		u64 *e = &table[index_at(va, l)], v = shared_load_acquire(e);

		if (!v) {
			paddr_t pa = create ? table_alloc() : 0;

			if (!pa)
				return nullptr;
			v = pa | PTE_MAPPED;
			shared_store_release(e, v);
		}
		table = table_at(v & PTE_ADDR);
	}
	return table;
}

/* First address behind the part that a missing table leaves out. */
static vaddr_t skip(paddr_t root, vaddr_t va)
{
	u64 *table = table_at(root);
	u32 l;

	for (l = 3; l > 0; l--) {
		u64 v = shared_load_acquire(&table[index_at(va, l)]);

		if (!v)
			break;
		table = table_at(v & PTE_ADDR);
	}
	return (va | ((1ul << (12 + 9 * l)) - 1)) + 1;
}

void arch_mmu_init(paddr_t (*alloc_frame)(void))
{
	boot_frame = alloc_frame;
	kernel_space.root = boot_frame();
}
struct arch_space *arch_kernel_space(void)
{
	return &kernel_space;
}
struct arch_range arch_kernel_vmap_range(void)
{
	return (struct arch_range){HOST_VMAP_BASE, HOST_VMAP_END};
}
struct arch_range arch_kernel_module_range(void)
{
	return (struct arch_range){HOST_MODULE_BASE, HOST_MODULE_END};
}
struct arch_range arch_window_range(void)
{
	return (struct arch_range){HOST_VMAP_END, HOST_VMAP_END + ((vaddr_t)1 << 40)};
}

int arch_space_init(struct arch_space *s)
{
	s->root = table_alloc();
	return s->root ? 0 : -ENOMEM;
}

static void tables_free(u64 *table, u32 level, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		if (!table[i])
			continue;
		if (level > 1)
			tables_free(table_at(table[i] & PTE_ADDR), level - 1, TABLE_ENTRIES);
		table_free(table[i] & PTE_ADDR);
	}
}

void arch_space_destroy(struct arch_space *s)
{
	tables_free(table_at(s->root), 3, USER_ROOT_ENTRIES);
	table_free(s->root);
	s->root = 0;
}

void arch_space_activate(struct arch_space *s)
{
	host_cpu()->active = s;
}

static u32 os_rights(enum mmu_prot prot)
{
	return (prot & MMU_READ ? OS_READ : 0) | (prot & MMU_WRITE ? OS_WRITE : 0) |
	       (prot & MMU_EXEC ? OS_EXEC : 0);
}

int arch_map(struct arch_space *s, vaddr_t va, paddr_t pa, size_t nr_pages, enum mmu_prot prot)
{
	u64 flags = entry_flags(prot);

	if (s == &kernel_space)
		os_map(va, pa, nr_pages * PAGE_BYTES, os_rights(prot));
	while (nr_pages) {
		u64 *table = walk(s->root, va, true);

		if (!table)
			return -ENOMEM;
		for (u32 i = index_at(va, 0); i < TABLE_ENTRIES && nr_pages; i++, nr_pages--) {
			shared_store_seq(&table[i], pa | flags);
			va += PAGE_BYTES;
			pa += PAGE_BYTES;
		}
	}
	return 0;
}

static void entry_info(u64 e, struct arch_pte_info *out)
{
	*out = (struct arch_pte_info){
		.present = true,
		.writable = e & PTE_WRITE,
		.executable = e & PTE_EXEC,
		.accessed = e & PTE_ACCESSED,
		.dirty = e & PTE_DIRTY,
		.user = e & PTE_USER,
		.paddr = e & PTE_ADDR,
	};
}

/* RAM is mapped for core without tables. */
static bool in_direct_map(vaddr_t va)
{
	return va >= DIRECT_MAP_BASE && va - DIRECT_MAP_BASE < os_config.memory_bytes;
}

bool arch_query(struct arch_space *s, vaddr_t va, struct arch_pte_info *out)
{
	u64 *table, v;

	if (s == &kernel_space && in_direct_map(va)) {
		entry_info(((va - DIRECT_MAP_BASE) & PTE_ADDR) | entry_flags(MMU_READ | MMU_WRITE),
			out);
		return true;
	}
	table = walk(s->root, va, false);
	v = table ? shared_load_seq(&table[index_at(va, 0)]) : 0;
	if (!v)
		return false;
	entry_info(v, out);
	return true;
}

/* The last-level table that holds *va, or the next one before `end`, with *va moved to its begin.
 */
static u64 *next_table(paddr_t root, vaddr_t *va, vaddr_t end)
{
	while (*va < end) {
		u64 *table = walk(root, *va, false);
		vaddr_t next;

		if (table)
			return table;
		next = skip(root, *va);
		if (next <= *va)
			break; /* the end of all addresses */
		*va = next;
	}
	return nullptr;
}

void arch_unmap(struct arch_space *s, vaddr_t va, size_t nr_pages, void *arg)
{
	vaddr_t end = va + nr_pages * PAGE_BYTES;
	u64 *table;

	if (s == &kernel_space) {
		asan_unpoison((void *)va,
			nr_pages * PAGE_BYTES); /* what a dead task left of its frames */
		os_unmap(va, nr_pages * PAGE_BYTES);
	}
	while ((table = next_table(s->root, &va, end))) {
		for (u32 i = index_at(va, 0); i < TABLE_ENTRIES && va < end;
			i++, va += PAGE_BYTES) {
			u64 old = shared_exchange(&table[i], 0);
			struct arch_pte_info info;

			if (!old)
				continue;
			entry_info(old, &info);
			mm_unmapped(arg, va, &info);
		}
	}
}

void arch_protect(struct arch_space *s, vaddr_t va, size_t nr_pages, enum mmu_prot prot)
{
	vaddr_t end = va + nr_pages * PAGE_BYTES;
	u64 *table;
	u64 flags = entry_flags(prot);

	if (s == &kernel_space)
		os_protect(va, nr_pages * PAGE_BYTES, os_rights(prot));
	while ((table = next_table(s->root, &va, end))) {
		for (u32 i = index_at(va, 0); i < TABLE_ENTRIES && va < end;
			i++, va += PAGE_BYTES) {
			u64 old = shared_load_seq(&table[i]);

			while (old &&
				!shared_cas(&table[i], &old,
					(old & (PTE_ADDR | PTE_ACCESSED | PTE_DIRTY)) | flags))
				;
		}
	}
}

bool arch_test_clear_young(struct arch_space *s, vaddr_t va)
{
	u64 *table = walk(s->root, va, false);

	if (!table || !shared_load_seq(&table[index_at(va, 0)]))
		return false;
	return shared_fetch_and(&table[index_at(va, 0)], ~PTE_ACCESSED) & PTE_ACCESSED;
}

/* Unlinked tables wait in a chain outside the table (their first word may still be read by a walk)
 * until the flush. */
#define CHAIN_MAX 64u
struct chain {
	paddr_t table[CHAIN_MAX];
	u32 nr;
};

static bool prune_table(u64 *table, u32 level, vaddr_t base, vaddr_t start, vaddr_t end,
	struct chain *c)
{
	u64 span = 1ul << (12 + 9 * level);
	u32 first = start > base ? (u32)((start - base) / span) : 0;
	bool empty = true;

	for (u32 i = first;
		i < TABLE_ENTRIES && base + i * span < end && level && c->nr < CHAIN_MAX; i++) {
		u64 v = shared_load_acquire(&table[i]);

		if (v &&
			prune_table(table_at(v & PTE_ADDR), level - 1, base + i * span, start, end,
				c) &&
			c->nr < CHAIN_MAX) {
			shared_store_seq(&table[i], 0);
			c->table[c->nr++] = v & PTE_ADDR;
		}
	}
	for (u32 i = 0; i < TABLE_ENTRIES && empty; i++)
		empty = !shared_load(&table[i]);
	return empty;
}

void arch_prune(struct arch_space *s, vaddr_t start, vaddr_t end)
{
	struct chain c;

	if (end > USER_ADDR_END + PAGE_BYTES || start >= end)
		return;
	do {
		c.nr = 0;
		prune_table(table_at(s->root), 3, 0, start, end, &c);
		arch_flush(s, start, 1);
		for (u32 i = 0; i < c.nr; i++)
			table_free(c.table[i]);
	} while (c.nr == CHAIN_MAX);
}

/* HOST-M1. Core's half needs nothing: the system has done it in os_unmap. */
void arch_flush(struct arch_space *s, vaddr_t va, size_t nr_pages)
{
	for (u32 i = 0; i < NR_CPUS_MAX && s != &kernel_space; i++)
		while (shared_load_seq(&host_cpus[i].walking) == s)
			os_yield();
}

void arch_sync_code(vaddr_t va, size_t bytes)
{
}

/* --- user copies --- */

bool host_user_begin(vaddr_t va, bool write, struct host_walk *w)
{
	struct host_cpu *c = host_cpu();
	struct arch_space *s = c->active;
	u64 *table, v, want = PTE_USER | (write ? PTE_WRITE : PTE_READ);

	if (!s || va < USER_ADDR_MIN || va >= USER_ADDR_END)
		return false;
	shared_store_seq(&c->walking, s);
	table = walk(s->root, va, false);
	v = table ? shared_load_seq(&table[index_at(va, 0)]) : 0;
	if ((v & want) != want) {
		shared_store_release(&c->walking, nullptr);
		return false;
	}
	shared_fetch_or(&table[index_at(va, 0)], PTE_ACCESSED | (write ? PTE_DIRTY : 0));
	w->cpu = c;
	w->page = arch_phys_to_virt(v & PTE_ADDR);
	return true;
}

void host_user_end(struct host_walk *w)
{
	shared_store_release(&w->cpu->walking, nullptr);
}
