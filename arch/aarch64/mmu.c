/*
 * Page tables.
 *
 * Purpose: the kernel half at boot, user spaces, entries, and the removal of stale translations
 * (Arm ARM D8).
 *
 * Vocabulary: early pages: the pool at the end of the image; root: a level-0 table. Levels here
 * count from the pages: 0 to 3.
 *
 * Objects and lifetimes: struct arch_space lives in its owner; its tables are frames flagged
 * FRAME_PAGETABLE, freed by arch_prune or arch_space_destroy after a flush. An ASID belongs to one
 * space from arch_space_init to arch_space_destroy.
 *
 * Invariants: A64-M1 TTBR1 is one root for all CPUs and never changes after boot. A64-M2 no entry
 * is global unless isolation=off was given. A64-M3 no page of the image is writable and executable,
 * and the direct map's alias of text and constants is read-only. A64-M4 an entry that maps another
 * frame than before was invalid, and flushed, in between (D8.16.1, break before make). A64-M5
 * A64_ASID_SHARED, for spaces that came when all ASIDs were gone, is flushed at each activation.
 * Dirty state: a writable entry has DBM; the CPU clears the read-only bit at the first write, and
 * sets the access flag at the first use. For a CPU without that a64_soft_update does both in the
 * fault; who frees a table waits until no such walk is under way.
 *
 * Locks: callers serialise changes of a range; ASIDs are taken and given back by atomic operations
 * on their bitmap.
 *
 * Failure: no table page: -ENOMEM, entries already written stay. At boot: panic.
 *
 * Cost: 4 loads a walk; a flush is broadcast by the CPU, without interrupts: up to 32 pages one by
 * one, else the whole ASID.
 */
#include <core/cpu.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "a64.h"

#define PTE_VALID      (1ul << 0)
#define PTE_TABLE      (1ul << 1) /* a table, or a page at level 0; clear: a block */
#define PTE_ATTR(n)    ((u64)(n) << 2)
#define PTE_USER       (1ul << 6)
#define PTE_READONLY   (1ul << 7)
#define PTE_INNER      (3ul << 8)
#define PTE_ACCESSED   (1ul << 10)
#define PTE_NOT_GLOBAL (1ul << 11)
#define PTE_DBM        (1ul << 51) /* writable: hardware may clear PTE_READONLY */
#define PTE_PXN        (1ul << 53)
#define PTE_UXN        (1ul << 54)
#define PTE_NONE                                                                                   \
	(1ul << 55) /* mapped, but no access at all: kept as invalid (bits 58-55 are software's)   \
		     */
#define PTE_SAVED_DIRTY (1ul << 56) /* was dirty when it became read-only */
#define PTE_MAPPED      (PTE_VALID | PTE_NONE)
#define PTE_ADDR        0x0000fffffffff000ul

/* indices of MAIR_EL1 (asm.h) */
#define ATTR_DEVICE     1u
#define ATTR_COMBINE    2u

#define FLUSH_PAGES_MAX 32u
#define FIXED_PAGES     32768u

#define ASIDS_MAX       65536u
#define A64_ASID_SHARED 1u

#define PRUNE_END       USER_ADDR_END

#include "../common/page_walk.h"

struct arch_space a64_kernel_space;

static struct {
	paddr_t next, end; /* early pages left */
	paddr_t kernel_phys;
	paddr_t empty_root; /* of TTBR0 when no user space is active */
	u32 fixed_used;
	bool live;        /* our own tables are loaded: the direct map works */
	bool core_frames; /* core's allocator works */
} a64_mmu;

static atomic_word_t a64_asids[ASIDS_MAX / 64];
static atomic32_t a64_asid_hint;
static atomic32_t a64_soft_walks; /* CPUs inside a64_soft_update */

paddr_t a64_image_phys(const void *p)
{
	return (vaddr_t)p - (vaddr_t)kernel_image_start + a64_mmu.kernel_phys;
}

static u64 *table_at(paddr_t pa)
{
	if (likely(a64_mmu.live))
		return arch_phys_to_virt(pa);
	return (u64 *)(pa - a64_mmu.kernel_phys + (vaddr_t)kernel_image_start);
}

/* Zeroed. Context: boot CPU before core_main, or arch_mmu_init. */
paddr_t a64_early_alloc(void)
{
	paddr_t pa = a64_mmu.next;

	if (pa == a64_mmu.end)
		panic("aarch64: early page pool exhausted");
	a64_mmu.next += PAGE_BYTES;
	memset(table_at(pa), 0, PAGE_BYTES);
	return pa;
}

paddr_t a64_early_end(void)
{
	return a64_mmu.next;
}

static paddr_t table_alloc(void)
{
	struct frame *f;

	if (!a64_mmu.core_frames)
		return a64_early_alloc();
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

/* A page's or block's bits but the address; PTE_TABLE is the page's. */
static u64 pte_flags_of(enum mmu_prot prot)
{
	u64 e = PTE_TABLE | PTE_INNER;

	e |= prot & (MMU_READ | MMU_WRITE | MMU_EXEC) ? PTE_VALID : PTE_NONE;
	if (prot & MMU_USER) {
		e |= PTE_USER | PTE_PXN | PTE_NOT_GLOBAL | (prot & MMU_EXEC ? 0 : PTE_UXN);
		e |= prot & MMU_WRITE ? PTE_DBM : 0;
		e |= PTE_READONLY; /* clean, and not accessed */
	} else {
		e |= PTE_UXN | PTE_ACCESSED | (prot & MMU_EXEC ? 0 : PTE_PXN);
		e |= prot & MMU_WRITE ? PTE_DBM : PTE_READONLY;
		e |= a64_features.global_pages ? 0 : PTE_NOT_GLOBAL;
	}
	if (prot & MMU_DEVICE)
		e |= PTE_ATTR(ATTR_DEVICE);
	else if (prot & MMU_WRITECOMBINE)
		e |= PTE_ATTR(ATTR_COMBINE);
	return e;
}

/* New entries are seen by table walks after this (D8.2.6); a fetch or load of this CPU needs the
 * ISB too. */
static inline void tables_changed(void)
{
	__asm__ volatile("dsb ishst; isb" ::: "memory");
}

static inline bool pte_is_present(u64 e)
{
	return e & PTE_VALID;
}
static inline bool pte_is_table(u64 e)
{
	return (e & (PTE_VALID | PTE_TABLE)) == (PTE_VALID | PTE_TABLE);
}
static inline u64 pte_of_table(paddr_t pa)
{
	return pa | PTE_VALID | PTE_TABLE;
}
static inline u64 pte_of_block(u64 page_flags)
{
	return page_flags & ~PTE_TABLE;
}
static inline u32 block_level_max(void)
{
	return 2;
}
static inline u64 pte_with_flags(u64 old, u64 flags)
{
	u64 dirty = old & PTE_DBM && !(old & PTE_READONLY) ? PTE_SAVED_DIRTY : 0;

	return (old & (PTE_ADDR | PTE_ACCESSED | PTE_SAVED_DIRTY)) | dirty | flags;
}
static inline void table_zeroed(void)
{
	__asm__ volatile("dmb ishst" ::: "memory");
}

void a64_map_kernel_page(vaddr_t va, paddr_t pa, enum mmu_prot prot)
{
	u64 *table = table_walk(a64_kernel_space.root, va, 0, true);

	if (!table)
		panic("aarch64: no memory for a page table");
	WRITE_ONCE(table[table_index(va, 0)], pa | pte_flags_of(prot));
	tables_changed();
}

static void a64_map_image(void)
{
	static const enum mmu_prot rights[] = {MMU_READ | MMU_EXEC, MMU_READ, MMU_READ | MMU_WRITE};
	const vaddr_t edges[] = {(vaddr_t)kernel_image_start, (vaddr_t)a64_text_end,
		(vaddr_t)a64_rodata_end, (vaddr_t)a64_image_end};

	for (u32 i = 0; i < 3; i++)
		table_map_range(a64_kernel_space.root, edges[i], a64_image_phys((void *)edges[i]),
			edges[i + 1] - edges[i], rights[i]);
}

/* RAM as one span per run of neighbours, cut where the image's read-only part begins and ends. */
static void a64_map_direct(const struct boot_info *info)
{
	paddr_t ro = a64_mmu.kernel_phys, ro_end = a64_image_phys(a64_rodata_end);
	u32 i = 0;

	while (i < info->nr_mem) {
		paddr_t base = info->mem[i].base, end = base + info->mem[i].size_bytes;
		bool mapped = info->mem[i].kind != BOOT_MEM_RESERVED;

		for (i++; i < info->nr_mem && info->mem[i].base == end &&
			  (info->mem[i].kind != BOOT_MEM_RESERVED) == mapped;
			i++)
			end += info->mem[i].size_bytes;
		base = ALIGN_UP(base, PAGE_BYTES);
		end = ALIGN_DOWN(end, PAGE_BYTES);
		if (!mapped || base >= end || end > DIRECT_MAP_END - DIRECT_MAP_BASE)
			continue;
		if (base <= ro && ro_end <= end) {
			table_map_range(a64_kernel_space.root, DIRECT_MAP_BASE + base, base,
				ro - base, MMU_READ | MMU_WRITE);
			table_map_range(a64_kernel_space.root, DIRECT_MAP_BASE + ro, ro,
				ro_end - ro, MMU_READ);
			base = ro_end;
		}
		table_map_range(a64_kernel_space.root, DIRECT_MAP_BASE + base, base, end - base,
			MMU_READ | MMU_WRITE);
	}
}

static void a64_flush_all_local(void)
{
	__asm__ volatile("dsb nshst; tlbi vmalle1; dsb nsh; isb" ::: "memory");
}

/* The image stays where it is mapped; only rights and the rest of the kernel half change. The
 * tables that start.S made end here. */
void a64_mmu_early(const struct boot_info *info, paddr_t image, u64 slide)
{
	(void)slide;
	a64_mmu.kernel_phys = image;
	a64_mmu.next = a64_image_phys(a64_early_pool);
	a64_mmu.end = a64_image_phys(a64_early_pool_end);
	a64_kernel_space.root = a64_early_alloc();
	a64_mmu.empty_root = a64_early_alloc();
	a64_map_image();
	a64_map_direct(info);
	a64_asids[0] = (atomic_word_t){3}; /* 0 and A64_ASID_SHARED are nobody's */
	__asm__ volatile("dsb ishst" ::: "memory");
	a64_write(ttbr1_el1, a64_kernel_space.root);
	a64_write(ttbr0_el1, a64_mmu.empty_root);
	a64_isb();
	a64_flush_all_local();
	a64_mmu.live = true;
}

void arch_mmu_init(paddr_t (*alloc_frame)(void))
{
	a64_mmu.core_frames = true;
	for (u32 cpu = 1; cpu < a64_dt.nr_cpus; cpu++)
		a64_trap_area_create(cpu, alloc_frame);
}

volatile u8 *a64_fixed_map(paddr_t pa, u64 bytes, enum mmu_prot prot)
{
	paddr_t first = ALIGN_DOWN(pa, PAGE_BYTES);
	u64 nr = (ALIGN_UP(pa + bytes, PAGE_BYTES) - first) / PAGE_BYTES;
	vaddr_t va = A64_FIXED_BASE + a64_mmu.fixed_used * PAGE_BYTES;

	if (nr > FIXED_PAGES - a64_mmu.fixed_used)
		return nullptr;
	a64_mmu.fixed_used += (u32)nr;
	for (u64 i = 0; i < nr; i++)
		a64_map_kernel_page(va + i * PAGE_BYTES, first + i * PAGE_BYTES, prot);
	return (volatile u8 *)(va + (pa - first));
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
} a64_shadow;

void a64_shadow_memory(paddr_t base, u64 bytes)
{
	a64_shadow.base = base;
	a64_shadow.bytes = bytes;
}

static paddr_t a64_shadow_page(void)
{
	u64 at = atomic_word_fetch_add(&a64_shadow.used, PAGE_BYTES);
	volatile u64 *page = arch_phys_to_virt(a64_shadow.base + at);

	if (at >= a64_shadow.bytes)
		panic("aarch64: no memory left for the shadow");
	/* lib's memset is instrumented and would fault here for ever */
	for (u32 i = 0; i < PAGE_BYTES / 8; i++)
		page[i] = 0;
	__asm__ volatile("dmb ishst" ::: "memory");
	return a64_shadow.base + at;
}

bool a64_shadow_fault(vaddr_t va)
{
	u64 *table = table_at(a64_kernel_space.root);

	if (va < A64_SHADOW_BASE || va >= A64_SHADOW_END)
		return false;
	for (u32 l = 3;; l--) {
		u64 *e = &table[table_index(va, l)], v = shared_load_acquire(e);

		if (!(v & PTE_VALID)) {
			u64 new = a64_shadow_page() |
				  (l ? pte_of_table(0) : pte_flags_of(MMU_READ | MMU_WRITE));

			if (shared_cas(e, &v, new))
				v = new;
		}
		if (!l)
			break;
		table = table_at(v & PTE_ADDR);
	}
	tables_changed();
	return true;
}
#endif

struct arch_space *arch_kernel_space(void)
{
	return &a64_kernel_space;
}
struct arch_range arch_kernel_vmap_range(void)
{
	return (struct arch_range){A64_VMAP_BASE, A64_VMAP_END};
}
/* BL reaches 128 MiB: from the end of the modules to the beginning of the image. */
struct arch_range arch_kernel_module_range(void)
{
	return (struct arch_range){ALIGN_UP((vaddr_t)a64_image_end, BLOCK_BYTES(1)),
		(vaddr_t)kernel_image_start + (120ul << 20)};
}
struct arch_range arch_window_range(void)
{
	return (struct arch_range){A64_WINDOW_BASE, A64_WINDOW_END};
}

static void a64_flush_asid(u32 asid)
{
	__asm__ volatile("dsb ishst; tlbi aside1is, %0; dsb ish; isb"
		:
		: "r"((u64)asid << 48)
		: "memory");
}

static u32 a64_asid_alloc(void)
{
	u32 words = (a64_features.asid16 ? ASIDS_MAX : 256u) / 64,
	    start = atomic32_load(&a64_asid_hint);

	for (u32 i = 0; i < words; i++) {
		u32 w = (start + i) % words;
		word_t v;

		while (~(v = atomic_word_load(&a64_asids[w]))) {
			u32 bit = (u32)__builtin_ctzl(~v);

			if (atomic_word_fetch_or(&a64_asids[w], 1ul << bit) >> bit & 1)
				continue;
			atomic32_store(&a64_asid_hint, w);
			return w * 64 + bit;
		}
	}
	return A64_ASID_SHARED;
}

int arch_space_init(struct arch_space *s)
{
	s->root = table_alloc();
	if (!s->root)
		return -ENOMEM;
	s->asid = a64_asid_alloc();
	return 0;
}

/* Context: trap, interrupts off. True when the entry now allows the access, by what the CPU would
 * have done itself. */
bool a64_soft_update(vaddr_t va, bool write)
{
	struct arch_space *s = a64_cpu()->active;
	u64 *table, old, new = 0;
	bool done = false;

	if (a64_features.hafdbs || !s || s == &a64_kernel_space || va >= USER_ADDR_END)
		return false;
	atomic32_fetch_add(&a64_soft_walks,
		1); /* sequentially consistent: a table unlinked before is not seen */
	table = table_walk(s->root, va, 0, false);
	old = table ? READ_ONCE(table[table_index(va, 0)]) : 0;
	while (!done && old & PTE_VALID && (!write || old & PTE_DBM)) {
		new = (old | PTE_ACCESSED) & ~(write ? PTE_READONLY : 0);
		done = shared_cas(&table[table_index(va, 0)], &old, new);
	}
	atomic32_fetch_sub(&a64_soft_walks, 1);
	if (done) /* what this CPU has cached may be read-only; others come here themselves */
		__asm__ volatile("dsb nshst; tlbi vae1, %0; dsb nsh; isb"
			:
			: "r"((va >> PAGE_SHIFT & 0xfffffffffffull) | (u64)s->asid << 48)
			: "memory");
	return done;
}

static void a64_soft_walks_wait(void)
{
	while (atomic32_load_seq(&a64_soft_walks))
		arch_cpu_relax();
}

static void a64_tables_free(u64 *table, u32 level)
{
	for (u32 i = 0; i < TABLE_ENTRIES; i++) {
		if (!pte_is_table(table[i]))
			continue;
		if (level > 1)
			a64_tables_free(table_at(table[i] & PTE_ADDR), level - 1);
		table_free(table[i] & PTE_ADDR);
	}
}

void arch_space_destroy(struct arch_space *s)
{
	a64_flush_asid(s->asid); /* before its tables and its ASID are others' */
	a64_soft_walks_wait();
	a64_tables_free(table_at(s->root), 3);
	table_free(s->root);
	s->root = 0;
	if (s->asid != A64_ASID_SHARED)
		atomic_word_fetch_and(&a64_asids[s->asid / 64], ~(1ul << s->asid % 64));
}

void arch_space_activate(struct arch_space *s)
{
	struct a64_cpu *cpu = a64_cpu();
	u64 root = a64_mmu.empty_root;

	if (s == &a64_kernel_space)
		s = nullptr;
	if (s == cpu->active)
		return;
	cpu->active = s;
	if (s)
		root = s->root | (u64)s->asid << 48;
	if (s && s->asid == A64_ASID_SHARED) {
		a64_write(ttbr0_el1, a64_mmu.empty_root);
		a64_isb();
		__asm__ volatile("tlbi aside1, %0; dsb nsh; isb"
			:
			: "r"((u64)A64_ASID_SHARED << 48)
			: "memory");
	}
	__asm__ volatile("dsb ishst" ::: "memory");
	a64_write(ttbr0_el1, root);
	a64_isb();
}

static void a64_flush_page(const struct arch_space *s, vaddr_t va)
{
	u64 page = va >> PAGE_SHIFT & 0xfffffffffffull;

	if (s == &a64_kernel_space)
		__asm__ volatile("tlbi vaae1is, %0" : : "r"(page) : "memory");
	else
		__asm__ volatile("tlbi vae1is, %0" : : "r"(page | (u64)s->asid << 48) : "memory");
}

/* A64-M4: rights may change in place, the frame may not. */
static inline void pte_set(struct arch_space *s, u64 *e, vaddr_t va, u64 new)
{
	u64 old = READ_ONCE(*e);

	if (old & PTE_VALID && (old ^ new) & PTE_ADDR) {
		WRITE_ONCE(*e, 0);
		__asm__ volatile("dsb ishst" ::: "memory");
		a64_flush_page(s, va);
		__asm__ volatile("dsb ish" ::: "memory");
	}
	WRITE_ONCE(*e, new);
}

static void pte_info(u64 e, struct arch_pte_info *out)
{
	*out = (struct arch_pte_info){
		.present = true,
		.writable = e & PTE_DBM,
		.executable = !(e & (e & PTE_USER ? PTE_UXN : PTE_PXN)),
		.accessed = e & PTE_ACCESSED,
		.dirty = e & PTE_SAVED_DIRTY || (e & PTE_DBM && !(e & PTE_READONLY)),
		.user = e & PTE_USER,
		.paddr = e & PTE_ADDR,
	};
}

static void tables_quiesce(struct arch_space *s, vaddr_t start)
{
	(void)start;
	a64_flush_asid(s->asid);
	a64_soft_walks_wait();
}

void arch_flush(struct arch_space *s, vaddr_t va, size_t nr_pages)
{
	if (nr_pages > FLUSH_PAGES_MAX) {
		if (s == &a64_kernel_space)
			__asm__ volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" ::: "memory");
		else
			a64_flush_asid(s->asid);
		return;
	}
	__asm__ volatile("dsb ishst" ::: "memory");
	for (; nr_pages; nr_pages--, va += PAGE_BYTES)
		a64_flush_page(s, va);
	__asm__ volatile("dsb ish; isb" ::: "memory");
}

/*
 * Data caches to the point of unification, then the instruction caches of all CPUs (Arm ARM
 * B2.10.2), by whole caches since the address may be an alias of the one that is executed. CTR_EL0:
 * line size, and IDC and DIC, which say that a step is not needed.
 */
void arch_sync_code(vaddr_t va, size_t bytes)
{
	u64 ctr = a64_read(ctr_el0), line = 4ul << (ctr >> 16 & 15);

	if (!(ctr >> 28 & 1))
		for (vaddr_t at = ALIGN_DOWN(va, line); at < va + bytes; at += line)
			__asm__ volatile("dc cvau, %0" : : "r"(at) : "memory");
	__asm__ volatile("dsb ish" ::: "memory");
	if (!(ctr >> 29 & 1))
		__asm__ volatile("ic ialluis; dsb ish" ::: "memory");
	a64_isb();
}
