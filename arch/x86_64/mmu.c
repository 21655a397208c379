/*
 * Page tables.
 *
 * Purpose: the kernel half at boot, user spaces, entries, and the removal of stale translations.
 *
 * Vocabulary: early pages: those that the boot stub left free behind the image; root: a level-4
 * table.
 *
 * Objects and lifetimes: struct arch_space lives in its owner; its tables are frames flagged
 * FRAME_PAGETABLE, freed by arch_prune or arch_space_destroy after a flush.
 *
 * Invariants: X86-M1 root entries 256-511 are filled at boot and never change, so a new root copies
 * them and no fault ever has to. X86-M2 no entry is global unless isolation=off was given. X86-M3
 * no page of the image is writable and executable, and the direct map's alias of text and constants
 * is read-only. X86-M4 a CPU is in space->cpus from before it loads the root until after it loaded
 * another: a flush that sees it absent needs no message.
 *
 * Locks: callers serialise changes of a range; the flush request is guarded by x86_tlb_lock.
 *
 * Failure: no table page: -ENOMEM, entries already written stay. At boot: panic.
 *
 * Cost: 4 loads a walk; a flush up to 32 pages by INVLPG, else the whole CPU by CR3.
 */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "x86.h"

#define PTE_PRESENT  (1ul << 0)
#define PTE_WRITE    (1ul << 1)
#define PTE_USER     (1ul << 2)
#define PTE_PWT      (1ul << 3)
#define PTE_PCD      (1ul << 4)
#define PTE_ACCESSED (1ul << 5)
#define PTE_DIRTY    (1ul << 6)
#define PTE_LARGE    (1ul << 7)
#define PTE_GLOBAL   (1ul << 8)
#define PTE_NONE                                                                                   \
	(1ul << 9) /* mapped, but no access at all: kept as not present (ours; ignored by the CPU) \
		    */
#define PTE_MAPPED      (PTE_PRESENT | PTE_NONE)
#define PTE_KEY(k)      ((u64)(k) << 59)
#define PTE_NX          (1ul << 63)
#define PTE_ADDR        0x000ffffffffff000ul

/* Keys: architecture.md section 5. PKRS is 0 (all open) while there are no domains. */
#define KEY_CORE        0u
#define KEY_TRAP_AREA   1u
#define KEY_WINDOW      3u /* the first domain's; the gates of the Tiers issue hand out 3 to 15 */

#define FLUSH_PAGES_MAX 32u
#define FIXED_PAGES     512u

/* The guard page behind the last user address has tables too. */
#define PRUNE_END       (USER_ADDR_END + PAGE_BYTES)

#include "../common/page_walk.h"

struct arch_space x86_kernel_space;

static struct {
	paddr_t next, end; /* early pages left */
	paddr_t kernel_phys;
	vaddr_t kernel_virt;
	paddr_t trampoline_root;
	u32 fixed_used;
	bool live;        /* our own tables are loaded: the direct map works */
	bool core_frames; /* core's allocator works */
} x86_mmu;

/* One flush at a time; targets clear their bit in `waiting`. */
static struct spinlock x86_tlb_lock = SPINLOCK_INIT(LOCK_LEVEL_NONE);
static struct {
	struct arch_space *space;
	vaddr_t va;
	size_t nr_pages;
	atomic_word_t waiting;
} x86_tlb_request guarded_by(&x86_tlb_lock);

paddr_t x86_image_phys(const void *p)
{
	return (vaddr_t)p - x86_mmu.kernel_virt + x86_mmu.kernel_phys;
}

static u64 *table_at(paddr_t pa)
{
	if (likely(x86_mmu.live))
		return arch_phys_to_virt(pa);
	return (u64 *)(pa - x86_mmu.kernel_phys + x86_mmu.kernel_virt);
}

/* Zeroed. Context: boot CPU before core_main, or arch_mmu_init. */
paddr_t x86_early_alloc(void)
{
	paddr_t pa = x86_mmu.next;

	if (pa == x86_mmu.end)
		panic("x86: early page pool exhausted");
	x86_mmu.next += PAGE_BYTES;
	memset(table_at(pa), 0, PAGE_BYTES);
	return pa;
}

paddr_t x86_early_end(void)
{
	return x86_mmu.next;
}

static paddr_t table_alloc(void)
{
	struct frame *f;

	if (!x86_mmu.core_frames)
		return x86_early_alloc();
	f = frame_alloc(0, FRAME_ALLOC_ZERO | FRAME_ALLOC_ATOMIC, nullptr);
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

static u64 pte_flags_of(enum mmu_prot prot)
{
	u64 e = prot & (MMU_READ | MMU_WRITE | MMU_EXEC) ? PTE_PRESENT : PTE_NONE;

	if (prot & MMU_WRITE)
		e |= PTE_WRITE;
	if (prot & MMU_USER)
		e |= PTE_USER;
	else
		e |= PTE_ACCESSED | (prot & MMU_WRITE ? PTE_DIRTY : 0) |
		     PTE_KEY(prot & MMU_TRAP_AREA ? KEY_TRAP_AREA
			     : prot & MMU_WINDOW  ? KEY_WINDOW
						  : KEY_CORE) |
		     (x86_features.global_pages ? PTE_GLOBAL : 0);
	if (!(prot & MMU_EXEC) && x86_features.nx)
		e |= PTE_NX;
	if (prot & MMU_DEVICE)
		e |= PTE_PCD | PTE_PWT;
	else if (prot & MMU_WRITECOMBINE)
		e |= PTE_PWT;
	return e;
}

static inline bool pte_is_present(u64 e)
{
	return e & PTE_PRESENT;
}
static inline bool pte_is_table(u64 e)
{
	return (e & (PTE_PRESENT | PTE_LARGE)) == PTE_PRESENT;
}
static inline u64 pte_of_table(paddr_t pa)
{
	return pa | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
}
static inline u64 pte_of_block(u64 page_flags)
{
	return page_flags | PTE_LARGE;
}
static inline u32 block_level_max(void)
{
	return x86_features.huge_pages ? 2 : 1;
}
static inline u64 pte_with_flags(u64 old, u64 flags)
{
	return (old & (PTE_ADDR | PTE_ACCESSED | PTE_DIRTY)) | flags;
}
static inline void pte_set(struct arch_space *s, u64 *e, vaddr_t va, u64 new)
{
	WRITE_ONCE(*e, new);
}
/* Stores are seen in order, and a table walk looks at memory again after a fault. */
static inline void table_zeroed(void)
{
}
static inline void tables_changed(void)
{
}
/* SDM volume 3, 4.10.2.2: paths are cached too. */
static void tables_quiesce(struct arch_space *s, vaddr_t start)
{
	arch_flush(s, start, FLUSH_PAGES_MAX + 1);
}

void x86_map_kernel_page(vaddr_t va, paddr_t pa, enum mmu_prot prot)
{
	u64 *table = table_walk(x86_kernel_space.root, va, 0, true);

	if (!table)
		panic("x86: no memory for a page table");
	WRITE_ONCE(table[table_index(va, 0)], pa | pte_flags_of(prot));
}

/* X86-M1: every root entry that the kernel half will ever use. */
static void x86_roots_fill(void)
{
	static const struct arch_range ranges[] = {
		{X86_VMAP_BASE, X86_VMAP_END},
		{X86_WINDOW_BASE, X86_WINDOW_END},
		{X86_TRAP_BASE, X86_TRAP_BASE + PAGE_BYTES},
		{X86_IMAGE_BASE, X86_IMAGE_BASE + PAGE_BYTES},
#if UMKA_ASAN
		{X86_SHADOW_BASE, X86_SHADOW_END},
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		for (vaddr_t at = ranges[i].base >> 39; at <= (ranges[i].end - 1) >> 39; at++)
			table_walk(x86_kernel_space.root, at << 39, 2, true);
}

static void x86_map_image(void)
{
	vaddr_t base = (vaddr_t)x86_image_begin;
	static const enum mmu_prot rights[] = {MMU_READ | MMU_EXEC, MMU_READ, MMU_READ | MMU_WRITE};
	const vaddr_t edges[] = {base, (vaddr_t)x86_text_end, (vaddr_t)x86_rodata_end,
		(vaddr_t)x86_image_end};

	for (u32 i = 0; i < 3; i++)
		table_map_range(x86_kernel_space.root, edges[i], x86_image_phys((void *)edges[i]),
			edges[i + 1] - edges[i], rights[i]);
}

static bool x86_direct_mapped(enum boot_mem_kind kind)
{
	return kind != BOOT_MEM_RESERVED;
}

/* RAM as one span per run of neighbours, cut where the image's read-only part begins and ends. */
static void x86_map_direct(const struct boot_info *info)
{
	paddr_t ro = x86_mmu.kernel_phys, ro_end = x86_image_phys(x86_rodata_end);
	u32 i = 0;

	while (i < info->nr_mem) {
		paddr_t base = info->mem[i].base, end = base + info->mem[i].size_bytes;
		bool mapped = x86_direct_mapped(info->mem[i].kind);

		for (i++; i < info->nr_mem && info->mem[i].base == end &&
			  x86_direct_mapped(info->mem[i].kind) == mapped;
			i++)
			end += info->mem[i].size_bytes;
		base = ALIGN_UP(base, PAGE_BYTES);
		end = ALIGN_DOWN(end, PAGE_BYTES);
		if (!mapped || base >= end || end > DIRECT_MAP_END - DIRECT_MAP_BASE)
			continue;
		if (base <= ro && ro_end <= end) {
			table_map_range(x86_kernel_space.root, DIRECT_MAP_BASE + base, base,
				ro - base, MMU_READ | MMU_WRITE);
			table_map_range(x86_kernel_space.root, DIRECT_MAP_BASE + ro, ro,
				ro_end - ro, MMU_READ);
			base = ro_end;
		}
		table_map_range(x86_kernel_space.root, DIRECT_MAP_BASE + base, base, end - base,
			MMU_READ | MMU_WRITE);
	}
}

/* Start-up code of other CPUs runs at its physical address until it jumps to the image. */
static void x86_trampoline_tables(void)
{
	u64 *root;

	x86_mmu.trampoline_root = x86_early_alloc();
	root = table_at(x86_mmu.trampoline_root);
	memcpy(root, table_at(x86_kernel_space.root), PAGE_BYTES);
	for (paddr_t pa = PAGE_BYTES; pa < 0xa0000; pa += PAGE_BYTES) {
		u64 *table = table_walk(x86_mmu.trampoline_root, pa, 0, true);

		table[table_index(pa, 0)] = pa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY;
	}
}

paddr_t x86_trampoline_root(void)
{
	return x86_mmu.trampoline_root;
}

static void x86_load_root(paddr_t root)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(root) : "memory");
}

/* Context: boot CPU, on the stub's tables, which map the image and what follows it. */
void x86_mmu_early(const struct x86_handoff *h, const struct boot_info *info)
{
	x86_mmu.kernel_phys = h->kernel_phys;
	x86_mmu.kernel_virt = h->kernel_virt;
	x86_mmu.next = h->early_phys;
	x86_mmu.end = h->early_phys + h->early_bytes;
	x86_kernel_space.root = x86_early_alloc();
	x86_wrmsr(MSR_EFER,
		x86_rdmsr(MSR_EFER) | 0x800); /* NXE before the first NX entry is used */
	x86_roots_fill();
	x86_map_image();
	x86_map_direct(info);
	for (u32 i = 0; i < FIXED_PAGES; i += TABLE_ENTRIES)
		table_walk(x86_kernel_space.root, X86_FIXED_BASE + i * PAGE_BYTES, 0, true);
	x86_trampoline_tables();
	x86_load_root(x86_kernel_space.root);
	x86_mmu.live = true;
}

void arch_mmu_init(paddr_t (*alloc_frame)(void))
{
	x86_mmu.core_frames = true;
	for (u32 cpu = 1; cpu < x86_acpi.nr_cpus; cpu++)
		x86_trap_area_create(cpu, alloc_frame);
}

void *x86_fixed_map(paddr_t pa, size_t bytes, enum mmu_prot prot)
{
	paddr_t first = ALIGN_DOWN(pa, PAGE_BYTES);
	size_t nr = (ALIGN_UP(pa + bytes, PAGE_BYTES) - first) / PAGE_BYTES;
	vaddr_t va = X86_FIXED_BASE + x86_mmu.fixed_used * PAGE_BYTES;

	if (nr > FIXED_PAGES - x86_mmu.fixed_used)
		return nullptr;
	x86_mmu.fixed_used += (u32)nr;
	for (size_t i = 0; i < nr; i++)
		x86_map_kernel_page(va + i * PAGE_BYTES, first + i * PAGE_BYTES, prot);
	return (void *)(va + (pa - first));
}

#if UMKA_ASAN
/*
 * Shadow pages appear when they are first touched, from memory that was set aside at boot: no lock
 * and no allocator, since the fault may come from inside either. A page that loses the race for its
 * entry is lost.
 */
static struct {
	paddr_t base;
	u64 bytes;
	atomic_word_t used;
} x86_shadow;

void x86_shadow_memory(paddr_t base, u64 bytes)
{
	x86_shadow.base = base;
	x86_shadow.bytes = bytes;
}

static paddr_t x86_shadow_page(void)
{
	u64 at = atomic_word_fetch_add(&x86_shadow.used, PAGE_BYTES), words = PAGE_BYTES / 8;
	void *page = arch_phys_to_virt(x86_shadow.base + at);

	if (at >= x86_shadow.bytes)
		panic("x86: no memory left for the shadow");
	/* lib's memset is instrumented and would fault here for ever */
	__asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0ul) : "memory");
	return x86_shadow.base + at;
}

bool x86_shadow_fault(vaddr_t va)
{
	u64 *table = table_at(x86_kernel_space.root);

	if (va < X86_SHADOW_BASE || va >= X86_SHADOW_END)
		return false;
	for (u32 l = 3;; l--) {
		u64 *e = &table[table_index(va, l)], v = shared_load_acquire(e);

		if (!(v & PTE_PRESENT)) {
			u64 new = x86_shadow_page() |
				  (l ? pte_of_table(0) : pte_flags_of(MMU_READ | MMU_WRITE));

			if (shared_cas(e, &v, new))
				v = new;
		}
		if (!l)
			return true;
		table = table_at(v & PTE_ADDR);
	}
}
#endif

struct arch_space *arch_kernel_space(void)
{
	return &x86_kernel_space;
}
struct arch_range arch_kernel_vmap_range(void)
{
	return (struct arch_range){X86_VMAP_BASE, X86_VMAP_END};
}
struct arch_range arch_kernel_module_range(void)
{
	return (struct arch_range){X86_MODULE_BASE, X86_MODULE_END};
}
struct arch_range arch_window_range(void)
{
	return (struct arch_range){X86_WINDOW_BASE, X86_WINDOW_END};
}

int arch_space_init(struct arch_space *s)
{
	u64 *root;

	s->root = table_alloc();
	if (!s->root)
		return -ENOMEM;
	atomic_word_store(&s->cpus, 0);
	root = table_at(s->root);
	memcpy(root + 256, table_at(x86_kernel_space.root) + 256, 256 * sizeof(u64));
	return 0;
}

static void x86_tables_free(u64 *table, u32 level, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		const u64 *t = &table[i];

		/* most of a table is empty: eight entries by one test */
		if (i % 8 == 0 &&
			!((t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7]) & PTE_PRESENT)) {
			i += 7;
			continue;
		}
		if (!(table[i] & PTE_PRESENT))
			continue;
		if (level > 1)
			x86_tables_free(table_at(table[i] & PTE_ADDR), level - 1, TABLE_ENTRIES);
		table_free(table[i] & PTE_ADDR);
	}
}

void arch_space_destroy(struct arch_space *s)
{
	x86_tables_free(table_at(s->root), 3, 256);
	table_free(s->root);
	s->root = 0;
}

void arch_space_activate(struct arch_space *s)
{
	u32 cpu = arch_this_cpu();
	struct arch_space *old = x86_cpus[cpu].active;

	if (!s)
		s = &x86_kernel_space;
	if (s == old)
		return;
	x86_cpus[cpu].active = s;
	atomic_word_fetch_or(&s->cpus, 1ul << cpu); /* X86-M4 */
	x86_load_root(s->root);
	if (old && old != &x86_kernel_space)
		atomic_word_fetch_and(&old->cpus, ~(1ul << cpu));
}

static void pte_info(u64 e, struct arch_pte_info *out)
{
	*out = (struct arch_pte_info){
		.present = true,
		.writable = e & PTE_WRITE,
		.executable = !(e & PTE_NX),
		.accessed = e & PTE_ACCESSED,
		.dirty = e & PTE_DIRTY,
		.user = e & PTE_USER,
		.paddr = e & PTE_ADDR,
	};
}

static void x86_flush_local(vaddr_t va, size_t nr_pages)
{
	word_t cr3, cr4;

	if (nr_pages <= FLUSH_PAGES_MAX) {
		for (; nr_pages; nr_pages--, va += PAGE_BYTES)
			__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
		return;
	}
	if (x86_features.global_pages) { /* only a change of CR4.PGE drops global entries */
		__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 & ~(1ul << 7)) : "memory");
		__asm__ volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
		return;
	}
	__asm__ volatile("movq %%cr3, %0; movq %0, %%cr3" : "=r"(cr3) : : "memory");
}

/* Context: VECTOR_TLB, interrupts off. The initiator holds the lock and waits for our bit. */
void x86_tlb_ipi(void) __no_lock_analysis
{
	u32 cpu = arch_this_cpu();

	x86_flush_local(x86_tlb_request.va, x86_tlb_request.nr_pages);
	atomic_word_fetch_and(&x86_tlb_request.waiting, ~(1ul << cpu));
}

/* WHY no analysis: the lock is polled with trylock, so that a waiting CPU still answers others. */
static void x86_flush_remote(struct arch_space *s, u64 mask, vaddr_t va,
	size_t nr_pages) __no_lock_analysis
{
	while (!spin_trylock(&x86_tlb_lock))
		arch_cpu_relax();
	x86_tlb_request.space = s;
	x86_tlb_request.va = va;
	x86_tlb_request.nr_pages = nr_pages;
	atomic_word_store_seq(&x86_tlb_request.waiting, mask);
	for (u32 cpu = 0; mask >> cpu; cpu++)
		if (mask >> cpu & 1)
			x86_apic_icr(x86_cpus[cpu].apic_id, VECTOR_TLB);
	while (atomic_word_load_acquire(&x86_tlb_request.waiting))
		arch_cpu_relax();
	spin_unlock(&x86_tlb_lock);
}

void arch_flush(struct arch_space *s, vaddr_t va, size_t nr_pages)
{
	u32 self;
	u64 others;

	preempt_disable();
	self = arch_this_cpu();
	/* the locked operation orders the caller's stores to entries before the look (pairs with
	 * activate) */
	others = atomic_word_fetch_or(&s->cpus, 0);
	if (s == &x86_kernel_space)
		others = READ_ONCE(cpu_online_mask);
	if (s == &x86_kernel_space || others >> self & 1)
		x86_flush_local(va, nr_pages);
	others &= ~(1ul << self);
	if (others)
		x86_flush_remote(s, others, va, nr_pages);
	preempt_enable();
}

/* Stores to code become visible to fetches of this CPU at the next branch (SDM volume 3, 9.1.3);
 * others serialise by the interrupt or the slot exchange through which they first come here. */
void arch_sync_code(vaddr_t va, size_t bytes)
{
	(void)va;
	(void)bytes;
	x86_cpuid(0, 0);
}
