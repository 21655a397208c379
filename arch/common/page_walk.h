#pragma once
/*
 * Page tables of four levels with 512 entries of eight bytes, as both 64-bit ports have them:
 * walking, mapping, unmapping, and the removal of empty tables (arch/mmu.h). Included once, by the
 * port's mmu.c, which says what an entry means.
 *
 * Levels count from the pages, 0 to 3. Hardware walks at any time, and may set accessed and dirty
 * at any time: a table is zeroed before it is linked, entries that are in use change by atomic
 * operations.
 */
#include <arch/mmu.h>
#include <core/mm.h>
#include <lib/errno.h>

#define TABLE_ENTRIES      512u
#define TABLE_TOP          3u
#define BLOCK_BYTES(level) (1ul << (12 + 9 * (level)))

/* --- the port's; PTE_ADDR, PTE_ACCESSED and PTE_MAPPED (a page that is not "nothing") too --- */
static u64 *table_at(paddr_t pa);
static paddr_t table_alloc(void); /* zeroed; 0: no memory */
static void table_free(paddr_t pa);
static inline bool pte_is_present(u64 e);
static inline bool pte_is_table(u64 e); /* above level 0: present and no block */
static inline u64 pte_of_table(paddr_t pa);
static inline u64 pte_of_block(u64 page_flags);
static inline u32 block_level_max(void);
static u64 pte_flags_of(enum mmu_prot prot); /* of a page */
static void pte_info(u64 e, struct arch_pte_info *out);
/* Another right for what is there; what the CPU has noted stays. */
static inline u64 pte_with_flags(u64 old, u64 flags);
static inline void pte_set(struct arch_space *s, u64 *e, vaddr_t va, u64 new);
static inline void table_zeroed(void); /* before a table is linked */
static inline void tables_changed(void);
/* Nobody walks in tables that were unlinked from s any more. */
static void tables_quiesce(struct arch_space *s, vaddr_t start);

static inline u32 table_index(vaddr_t va, u32 level)
{
	return va >> (12 + 9 * level) & (TABLE_ENTRIES - 1);
}

/* The table of `level` that covers va; made on the way when `create`. nullptr: none, a block, or no
 * memory. */
static u64 *table_walk(paddr_t root, vaddr_t va, u32 level, bool create)
{
	u64 *table = table_at(root);

	for (u32 l = TABLE_TOP; l > level; l--) {
		u64 *e = &table[table_index(va, l)];
		u64 v = READ_ONCE(*e);

		if (!pte_is_present(v)) {
			paddr_t pa;

			if (!create)
				return nullptr;
			pa = table_alloc();
			if (!pa)
				return nullptr;
			v = pte_of_table(pa);
			table_zeroed();
			shared_store_release(e, v);
		} else if (!pte_is_table(v)) {
			return nullptr;
		}
		table = table_at(v & PTE_ADDR);
	}
	return table;
}

/* First address behind the part that has no pages of its own around va: no table, or a block. */
static vaddr_t table_skip(paddr_t root, vaddr_t va)
{
	u64 *table = table_at(root);
	u32 l;

	for (l = TABLE_TOP; l > 0; l--) {
		u64 v = READ_ONCE(table[table_index(va, l)]);

		if (!pte_is_table(v))
			break;
		table = table_at(v & PTE_ADDR);
	}
	return (va | (BLOCK_BYTES(l) - 1)) + 1;
}

/* The page table of the next address in [*va, end) that has one; *va moves there. */
static inline u64 *table_next(paddr_t root, vaddr_t *va, vaddr_t end)
{
	while (*va < end) {
		u64 *table = table_walk(root, *va, 0, false);
		vaddr_t next;

		if (table)
			return table;
		next = table_skip(root, *va);
		if (next <= *va)
			break;
		*va = next;
	}
	return nullptr;
}

/* Boot only: the largest blocks that fit. */
static void table_map_range(paddr_t root, vaddr_t va, paddr_t pa, u64 bytes, enum mmu_prot prot)
{
	u64 flags = pte_flags_of(prot);

	while (bytes) {
		u32 level = block_level_max();

		while (level &&
			(!IS_ALIGNED(va | pa, BLOCK_BYTES(level)) || bytes < BLOCK_BYTES(level)))
			level--;
		table_walk(root, va, level, true)[table_index(va, level)] =
			pa | (level ? pte_of_block(flags) : flags);
		va += BLOCK_BYTES(level);
		pa += BLOCK_BYTES(level);
		bytes -= BLOCK_BYTES(level);
	}
}

int arch_map(struct arch_space *s, vaddr_t va, paddr_t pa, size_t nr_pages, enum mmu_prot prot)
{
	u64 flags = pte_flags_of(prot);

	while (nr_pages) {
		u64 *table = table_walk(s->root, va, 0, true);
		u32 i = table_index(va, 0);

		if (!table)
			return -ENOMEM;
		for (; i < TABLE_ENTRIES && nr_pages; i++, nr_pages--) {
			pte_set(s, &table[i], va, pa | flags);
			va += PAGE_BYTES;
			pa += PAGE_BYTES;
		}
	}
	tables_changed();
	return 0;
}

bool arch_query(struct arch_space *s, vaddr_t va, struct arch_pte_info *out)
{
	u64 *table = table_at(s->root);

	for (u32 l = TABLE_TOP;; l--) {
		u64 v = READ_ONCE(table[table_index(va, l)]);

		if (l ? !pte_is_present(v) : !(v & PTE_MAPPED))
			return false;
		if (!l || !pte_is_table(v)) {
			u64 inside = BLOCK_BYTES(l) - 1;

			pte_info(v, out);
			out->paddr = (v & PTE_ADDR & ~inside) | (va & inside & ~(PAGE_BYTES - 1));
			return true;
		}
		table = table_at(v & PTE_ADDR);
	}
}

void arch_unmap(struct arch_space *s, vaddr_t va, size_t nr_pages, void *arg)
{
	vaddr_t end = va + nr_pages * PAGE_BYTES;
	u64 *table;

	while ((table = table_next(s->root, &va, end)))
		for (u32 i = table_index(va, 0); i < TABLE_ENTRIES && va < end;
			i++, va += PAGE_BYTES) {
			struct arch_pte_info info;
			u64 old;

			if (!(READ_ONCE(table[i]) & PTE_MAPPED))
				continue;
			old = shared_exchange(&table[i], 0);
			pte_info(old, &info);
			mm_unmapped(arg, va, &info);
		}
}

void arch_protect(struct arch_space *s, vaddr_t va, size_t nr_pages, enum mmu_prot prot)
{
	vaddr_t end = va + nr_pages * PAGE_BYTES;
	u64 flags = pte_flags_of(prot), *table;

	while ((table = table_next(s->root, &va, end)))
		for (u32 i = table_index(va, 0); i < TABLE_ENTRIES && va < end;
			i++, va += PAGE_BYTES) {
			u64 old = READ_ONCE(table[i]);

			while (old & PTE_MAPPED &&
				!shared_cas(&table[i], &old, pte_with_flags(old, flags)))
				;
		}
	tables_changed();
}

bool arch_test_clear_young(struct arch_space *s, vaddr_t va)
{
	u64 *table = table_walk(s->root, va, 0, false);
	u64 old;

	if (!table || !pte_is_present(READ_ONCE(table[table_index(va, 0)])))
		return false;
	old = shared_fetch_and(&table[table_index(va, 0)], ~PTE_ACCESSED);
	return old & PTE_ACCESSED;
}

/*
 * Unlinked tables wait in a chain (word 0, a page-aligned address: not present for a walker) until
 * no CPU has a path to them cached.
 */
static void table_unlink(u64 *e, paddr_t *chain)
{
	paddr_t pa = *e & PTE_ADDR;

	WRITE_ONCE(*e, 0);
	*table_at(pa) = *chain;
	*chain = pa;
}

static bool table_prune(u64 *table, u32 level, vaddr_t base, vaddr_t start, vaddr_t end,
	paddr_t *chain)
{
	u64 span = BLOCK_BYTES(level);
	u32 first = start > base ? (u32)((start - base) / span) : 0;
	bool empty = true;

	for (u32 i = first; i < TABLE_ENTRIES && base + i * span < end && level; i++)
		if (pte_is_table(table[i]) && table_prune(table_at(table[i] & PTE_ADDR), level - 1,
						      base + i * span, start, end, chain))
			table_unlink(&table[i], chain);
	for (u32 i = 0; i < TABLE_ENTRIES && empty; i++)
		empty = !table[i];
	return empty;
}

void arch_prune(struct arch_space *s, vaddr_t start, vaddr_t end)
{
	u64 *root = table_at(s->root);
	paddr_t chain = 0;

	if (end > PRUNE_END || start >= end)
		return; /* tables of the kernel half are kept */
	for (u32 i = table_index(start, TABLE_TOP); i <= table_index(end - 1, TABLE_TOP); i++)
		if (pte_is_table(root[i]) &&
			table_prune(table_at(root[i] & PTE_ADDR), TABLE_TOP - 1,
				(u64)i * BLOCK_BYTES(TABLE_TOP), start, end, &chain))
			table_unlink(&root[i], &chain);
	if (!chain)
		return;
	tables_quiesce(s, start);
	while (chain) {
		paddr_t next = *table_at(chain);

		*table_at(chain) = 0;
		table_free(chain);
		chain = next;
	}
}
