#pragma once
/*
 * Page tables. One shape for core: an arch_space is a root (user half for user spaces; the kernel
 * half is shared). Core's mm decides; arch writes entries. Locks: caller serialises changes of a
 * range (the space's page-table lock); walks by hardware are always concurrent. Test:
 * arch/test/mmu_test.c.
 *
 * Port supplies in impl/mmu.h: PAGE_SHIFT (12 on x86-64 and AArch64), USER_ADDR_MIN, USER_ADDR_END
 * (exclusive), DIRECT_MAP_BASE, struct arch_space, inlines arch_phys_to_virt/arch_virt_to_phys
 * (direct map only; 64-bit ports; else use page_begin).
 */
#include <lib/types.h>
#include <arch/impl/mmu.h>
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (~((word_t)PAGE_BYTES - 1))

enum mmu_prot : u32 {
	MMU_READ = 1,
	MMU_WRITE = 2,
	MMU_EXEC = 4,
	MMU_USER = 8,
	MMU_DEVICE = 16, /* uncached, ordered */
	MMU_WRITECOMBINE = 32,
	/* Which rights reach it (isolation): exactly one; 0 means core. Ports without keys place it
	   by address. */
	MMU_TRAP_AREA = 64,
	MMU_WINDOW = 128,
};

int arch_space_init(struct arch_space *s); /* -ENOMEM */
void arch_space_destroy(struct arch_space
		*s); /* frees tables; no mapping may be left that pins frames */
/* Makes `s` current on this CPU (nullptr: kernel only). Interrupts off. */
void arch_space_activate(struct arch_space *s);

/* Maps nr_pages consecutive frames. Replaces what was there without flushing (caller flushes when
 * needed). -ENOMEM when a table could not be had: entries already written stay. */
int arch_map(struct arch_space *s, vaddr_t va, paddr_t pa, size_t nr_pages, enum mmu_prot prot);
struct arch_pte_info {
	bool present, writable, executable, accessed, dirty, user;
	paddr_t paddr;
};
/* False when no entry maps va. */
bool arch_query(struct arch_space *s, vaddr_t va, struct arch_pte_info *out);
/* Clears entries; calls core's mm_unmapped(arg, va, info) for each that was present, with
 * accessed/dirty as last seen. Does not flush. */
void arch_unmap(struct arch_space *s, vaddr_t va, size_t nr_pages, void *arg);
void mm_unmapped(void *arg, vaddr_t va, const struct arch_pte_info *info);
/* Changes rights of present entries; keeps frames. No flush. */
void arch_protect(struct arch_space *s, vaddr_t va, size_t nr_pages, enum mmu_prot prot);
/* Clears the accessed flag (and dirty when asked), returning the old state; no flush needed for
 * correctness of reclaim. */
bool arch_test_clear_young(struct arch_space *s, vaddr_t va);
/* Frees page-table pages that map nothing in [start,end), which must hold no entries. */
void arch_prune(struct arch_space *s, vaddr_t start, vaddr_t end);
/* Removes stale translations on every CPU where `s` is or may be active; returns when none is left.
 * Interrupts on or the call must be local only. */
void arch_flush(struct arch_space *s, vaddr_t va, size_t nr_pages);

/* Kernel half: `s` is arch_kernel_space(). Ranges for core's own use: */
struct arch_space *arch_kernel_space(void);
struct arch_range {
	vaddr_t base, end;
};
struct arch_range arch_kernel_vmap_range(void);   /* stacks, MMIO, large tables */
struct arch_range arch_kernel_module_range(void); /* within direct-call reach of the kernel image */
struct arch_range arch_window_range(void);        /* domains' windows */
/* Instruction cache coherence after writing code at [va, va+bytes) through the direct map. */
void arch_sync_code(vaddr_t va, size_t bytes);
/* Makes the whole of the usable memory directly mapped; called once with the final memory map.
 * alloc gives zeroed frames. */
void arch_mmu_init(paddr_t (*alloc_frame)(void));
static inline bool user_range_ok(vaddr_t addr, size_t bytes)
{
	vaddr_t end;

	return checked_add(addr, bytes, &end) && end <= USER_ADDR_END;
}
