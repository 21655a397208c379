/*
 * Boot: from the stub's handoff to core_main.
 *
 * Order: SMAP sites, features, boot_info (from the handoff, while the stub's tables map it), page
 * tables, trap area and descriptors, ACPI tables, interrupt controllers, clock, core.
 *
 * Failure: before the trap area is up a fault is a triple fault; everything after panics with a
 * text.
 */
#include <core/asan.h>
#include <core/cpu.h>
#include <core/log.h>
#include <lib/string.h>
#include "x86.h"

#define EDGES_MAX (2 * (X86_HANDOFF_REGIONS + 16))

extern const s32 x86_smap_begin[], x86_smap_end[];
void x86_boot(const struct x86_handoff *h);

static struct boot_info x86_boot_info;
static struct cpu x86_boot_cpu; /* core's locks look into it before core has set its own */
static u64 x86_edges[EDGES_MAX];

struct x86_claim {
	u64 base, bytes;
};

/* Where the CPU lacks SMAP, STAC and CLAC are undefined: three-byte no-ops instead. */
static void x86_patch_smap(void)
{
	static const u8 nop3[3] = {0x0f, 0x1f, 0x00};

	if (x86_features.smap)
		return;
	for (const s32 *site = x86_smap_begin; site < x86_smap_end; site++)
		memcpy((u8 *)((word_t)site + (word_t)(sword_t)*site), nop3, sizeof(nop3));
}

static void x86_edges_sort(u32 nr)
{
	/* firmware lists are almost sorted: insertion is near linear */
	for (u32 i = 1; i < nr; i++) {
		u64 v = x86_edges[i];
		u32 k = i;

		for (; k && x86_edges[k - 1] > v; k--)
			x86_edges[k] = x86_edges[k - 1];
		x86_edges[k] = v;
	}
}

static enum boot_mem_kind x86_kind_of(u32 type)
{
	switch (type) {
	case X86_REGION_RAM:
		return BOOT_MEM_USABLE;
	case X86_REGION_ACPI:
	case X86_REGION_NVS:
		return BOOT_MEM_ACPI;
	default:
		return BOOT_MEM_RESERVED;
	}
}

/* The most restrictive of all regions that cover [base, end); false: none does. */
static bool x86_kind_at(const struct x86_handoff *h, u64 base, u64 end, enum boot_mem_kind *kind)
{
	bool found = false;

	for (u32 i = 0; i < h->nr_regions; i++) {
		const struct x86_region *r = &h->regions[i];
		enum boot_mem_kind k = x86_kind_of(r->type);

		if (r->base > base || r->base + r->bytes < end)
			continue;
		if (!found || k == BOOT_MEM_RESERVED || *kind == BOOT_MEM_USABLE)
			*kind = k;
		found = true;
	}
	return found;
}

static void x86_mem_add(u64 base, u64 end, enum boot_mem_kind kind)
{
	struct boot_info *b = &x86_boot_info;
	struct boot_mem *last = b->nr_mem ? &b->mem[b->nr_mem - 1] : nullptr;

	if (kind == BOOT_MEM_USABLE) {
		base = ALIGN_UP(base, PAGE_BYTES);
		end = ALIGN_DOWN(end, PAGE_BYTES);
	}
	if (base >= end)
		return;
	if (last && last->kind == kind && last->base + last->size_bytes == base) {
		last->size_bytes += end - base;
		return;
	}
	if (b->nr_mem == BOOT_MEM_MAX)
		return; /* what is not listed is not used */
	b->mem[b->nr_mem++] =
		(struct boot_mem){.base = base, .size_bytes = end - base, .kind = kind};
}

/* Rebuilds the list from the firmware's regions with `claims` cut out of usable memory. */
static void x86_mem_build(const struct x86_handoff *h, const struct x86_claim *claims,
	u32 nr_claims)
{
	u32 nr = 0;

	for (u32 i = 0; i < h->nr_regions && nr + 2 <= EDGES_MAX; i++) {
		x86_edges[nr++] = h->regions[i].base;
		x86_edges[nr++] = h->regions[i].base + h->regions[i].bytes;
	}
	for (u32 i = 0; i < nr_claims && nr + 2 <= EDGES_MAX; i++) {
		x86_edges[nr++] = ALIGN_DOWN(claims[i].base, PAGE_BYTES);
		x86_edges[nr++] = ALIGN_UP(claims[i].base + claims[i].bytes, PAGE_BYTES);
	}
	x86_edges_sort(nr);
	x86_boot_info.nr_mem = 0;
	for (u32 i = 0; i + 1 < nr; i++) {
		u64 base = x86_edges[i], end = x86_edges[i + 1];
		enum boot_mem_kind kind = BOOT_MEM_RESERVED;

		if (base == end || !x86_kind_at(h, base, end, &kind))
			continue;
		for (u32 c = 0; c < nr_claims && kind == BOOT_MEM_USABLE; c++)
			if (claims[c].base < end && base < claims[c].base + claims[c].bytes)
				kind = BOOT_MEM_KERNEL;
		x86_mem_add(base, end, kind);
	}
}

static void x86_info_fill(const struct x86_handoff *h)
{
	struct boot_info *b = &x86_boot_info;

	strlcpy(b->command_line, h->cmdline, sizeof(b->command_line));
	b->initrd = (struct boot_range){h->initrd_phys, h->initrd_bytes};
	b->blob = (struct boot_range){h->blob_phys, h->blob_bytes};
	b->acpi_rsdp = h->rsdp;
	b->efi_system_table = h->efi_systab;
	b->kaslr_slide_bytes = h->kernel_virt - X86_IMAGE_BASE;
	b->loader = h->efi_systab ? "bzImage, EFI" : "bzImage, BIOS";
}

/* Claims: [0] page 0, [1] image and early pages, [2] blob, [3] initrd, [4] start-up page of other
 * CPUs, [5] memory of asan kernels' shadow. */
#define CLAIMS 6
static struct x86_claim x86_claims[CLAIMS];

#if UMKA_ASAN
/* A seventh of memory (an eighth, and stacks and tables), from the end of the largest free range.
 */
static void x86_shadow_claim(void)
{
	const struct boot_mem *largest = nullptr;
	u64 total = 0, bytes;

	for (u32 i = 0; i < x86_boot_info.nr_mem; i++) {
		const struct boot_mem *m = &x86_boot_info.mem[i];

		if (m->kind != BOOT_MEM_USABLE)
			continue;
		total += m->size_bytes;
		if (!largest || m->size_bytes > largest->size_bytes)
			largest = m;
	}
	if (!largest)
		return;
	bytes = ALIGN_DOWN(MIN(total / 7, largest->size_bytes / 2), PAGE_BYTES);
	x86_claims[5] = (struct x86_claim){largest->base + largest->size_bytes - bytes, bytes};
	x86_shadow_memory(x86_claims[5].base, bytes);
}
#endif

static void x86_memory_map(const struct x86_handoff *h)
{
	x86_claims[0] = (struct x86_claim){0, PAGE_BYTES};
	x86_claims[1] = (struct x86_claim){h->kernel_phys, h->reserved_bytes};
	x86_claims[2] = (struct x86_claim){h->blob_phys, h->blob_bytes};
	x86_claims[3] = (struct x86_claim){h->initrd_phys, h->initrd_bytes};
	x86_mem_build(h, x86_claims, 4);
	x86_claims[4] = (struct x86_claim){x86_trampoline_choose(&x86_boot_info), PAGE_BYTES};
#if UMKA_ASAN
	x86_shadow_claim();
#endif
}

void x86_boot(const struct x86_handoff *h)
{
	paddr_t kept;

	if (h->magic != X86_HANDOFF_MAGIC)
		panic("x86: the boot stub and the kernel do not belong together");
	arch_cpu_data_set(&x86_boot_cpu);
	x86_features_detect(h->cmdline);
	x86_patch_smap();
	x86_info_fill(h);
	x86_memory_map(h);
	x86_mmu_early(h, &x86_boot_info);
	x86_idt_build();
	x86_trap_area_create(0, x86_early_alloc);
	x86_cpu_setup(0);
	asan_init();

	x86_apic_early();
	x86_acpi_parse(x86_boot_info.acpi_rsdp);
	x86_ioapic_setup();
	x86_timer_calibrate();
	x86_timer_cpu_setup();
	x86_smp_prepare(x86_claims[4].base);
	x86_cpus[0].online = 1;

	/* early pages that were not needed go to core with the stub's leavings; the handoff lies in
	 * them */
	h = (const struct x86_handoff *)arch_phys_to_virt(x86_image_phys(h));
	kept = x86_early_end();
	x86_claims[1].bytes = kept - x86_claims[1].base;
	x86_mem_build(h, x86_claims, CLAIMS);
	log_info("x86: %u CPUs, %u I/O APICs, %s%s%s%s%s%s", x86_acpi.nr_cpus, x86_acpi.nr_ioapics,
		x86_features.x2apic ? "x2APIC" : "xAPIC", x86_features.smep ? " SMEP" : "",
		x86_features.smap ? " SMAP" : "", x86_features.umip ? " UMIP" : "",
		x86_features.pks ? " PKS" : "", x86_features.fsgsbase ? " FSGSBASE" : "");
	core_main(&x86_boot_info);
}
