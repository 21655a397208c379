/*
 * Boot: from start.S to core_main.
 *
 * Order: device tree (while TTBR0 maps physical addresses), features, memory map, page tables,
 * early console, trap area and system registers, clock, interrupt controller, core. Memory that
 * boot takes: the image with the early pages used, blob, initrd, device tree, tables of the
 * interrupt controller, the shadow of asan kernels. All are "claims", cut out of usable memory.
 *
 * Failure: before the trap area is up a fault hangs; everything after panics with a text.
 */
#include <core/asan.h>
#include <core/cpu.h>
#include <core/log.h>
#include <lib/string.h>
#include "a64.h"

enum a64_claim {
	CLAIM_IMAGE,
	CLAIM_BLOB,
	CLAIM_INITRD,
	CLAIM_TREE,
	CLAIM_ITS,
	CLAIM_SHADOW,
	CLAIMS
};
#define EDGES_MAX (2 * (A64_DT_MEM + A64_DT_RESERVED + CLAIMS))

void a64_boot(const void *fdt, paddr_t image, u64 slide);

static struct boot_info a64_boot_info;
static struct cpu a64_boot_cpu; /* core's locks look into it before core has set its own */
static u64 a64_edges[EDGES_MAX];
static struct boot_range a64_claims[CLAIMS];
static volatile u8 *a64_uart;

#define UART_DATA  0x00u
#define UART_FLAGS 0x18u
#define UART_FULL  (1u << 5)

void arch_early_putc(char c)
{
	u32 tries = 100000;

	if (!a64_uart)
		return;
	if (c == '\n')
		arch_early_putc('\r');
	while (a64_mmio_read(a64_uart + UART_FLAGS) & UART_FULL && --tries)
		;
	a64_mmio_write(a64_uart + UART_DATA, (u8)c);
}

static void a64_edges_sort(u32 nr)
{
	for (u32 i = 1; i < nr; i++) {
		u64 v = a64_edges[i];
		u32 k = i;

		for (; k && a64_edges[k - 1] > v; k--)
			a64_edges[k] = a64_edges[k - 1];
		a64_edges[k] = v;
	}
}

static u32 a64_edges_add(u32 nr, const struct boot_range *ranges, u32 nr_ranges)
{
	for (u32 i = 0; i < nr_ranges && nr + 2 <= EDGES_MAX; i++) {
		u64 end;

		if (!checked_add(ranges[i].base, ranges[i].size_bytes, &end))
			continue;
		a64_edges[nr++] = ALIGN_DOWN(ranges[i].base, PAGE_BYTES);
		a64_edges[nr++] = ALIGN_UP(end, PAGE_BYTES);
	}
	return nr;
}

/* Some range covers a byte of [base, end). Memory must cover all of it: edges are where that
 * changes. */
static bool a64_overlaps(const struct boot_range *ranges, u32 nr, u64 base, u64 end)
{
	for (u32 i = 0; i < nr; i++)
		if (ranges[i].size_bytes && ranges[i].base < end &&
			base < ranges[i].base + ranges[i].size_bytes)
			return true;
	return false;
}

static bool a64_is_memory(u64 base, u64 end)
{
	for (u32 i = 0; i < a64_dt.nr_memory; i++)
		if (a64_dt.memory[i].base <= base &&
			end <= a64_dt.memory[i].base + a64_dt.memory[i].size_bytes)
			return true;
	return false;
}

static void a64_mem_add(u64 base, u64 end, enum boot_mem_kind kind)
{
	struct boot_info *b = &a64_boot_info;
	struct boot_mem *last = b->nr_mem ? &b->mem[b->nr_mem - 1] : nullptr;

	if (last && last->kind == kind && last->base + last->size_bytes == base) {
		last->size_bytes += end - base;
		return;
	}
	if (b->nr_mem == BOOT_MEM_MAX)
		return; /* what is not listed is not used */
	b->mem[b->nr_mem++] =
		(struct boot_mem){.base = base, .size_bytes = end - base, .kind = kind};
}

static void a64_mem_build(void)
{
	u32 nr = a64_edges_add(0, a64_dt.memory, a64_dt.nr_memory);

	nr = a64_edges_add(nr, a64_dt.reserved, a64_dt.nr_reserved);
	nr = a64_edges_add(nr, a64_claims, CLAIMS);
	a64_edges_sort(nr);
	a64_boot_info.nr_mem = 0;
	for (u32 i = 0; i + 1 < nr; i++) {
		u64 base = a64_edges[i], end = a64_edges[i + 1];
		enum boot_mem_kind kind = BOOT_MEM_USABLE;

		if (base == end || !a64_is_memory(base, end))
			continue;
		if (a64_overlaps(a64_dt.reserved, a64_dt.nr_reserved, base, end))
			kind = BOOT_MEM_RESERVED;
		else if (a64_overlaps(a64_claims, CLAIMS, base, end))
			kind = BOOT_MEM_KERNEL;
		a64_mem_add(base, end, kind);
	}
}

/* From the end of the largest usable range that has room; size 0 when there is none. */
static struct boot_range a64_claim_memory(u64 bytes, u64 align)
{
	const struct boot_mem *best = nullptr;

	for (u32 i = 0; i < a64_boot_info.nr_mem; i++) {
		const struct boot_mem *m = &a64_boot_info.mem[i];

		if (m->kind == BOOT_MEM_USABLE && m->size_bytes >= bytes + align &&
			(!best || m->size_bytes > best->size_bytes))
			best = m;
	}
	if (!best)
		return (struct boot_range){};
	return (struct boot_range){ALIGN_DOWN(best->base + best->size_bytes - bytes, align), bytes};
}

static void a64_memory_map(paddr_t image)
{
	a64_claims[CLAIM_IMAGE] =
		(struct boot_range){image, (u64)(a64_image_end - kernel_image_start)};
	a64_claims[CLAIM_BLOB] = a64_boot_info.blob;
	a64_claims[CLAIM_INITRD] = a64_boot_info.initrd;
	a64_claims[CLAIM_TREE] = (struct boot_range){a64_dt.base, a64_dt.bytes};
	a64_mem_build();
	if (a64_dt.its.size_bytes) {
		a64_claims[CLAIM_ITS] =
			a64_claim_memory(a64_its_memory_bytes(a64_dt.nr_cpus), 65536);
		a64_mem_build();
	}
#if UMKA_ASAN
	u64 total = 0;

	for (u32 i = 0; i < a64_boot_info.nr_mem; i++)
		total += a64_boot_info.mem[i].kind == BOOT_MEM_USABLE
				 ? a64_boot_info.mem[i].size_bytes
				 : 0;
	/* an eighth, and stacks and tables */
	a64_claims[CLAIM_SHADOW] = a64_claim_memory(ALIGN_DOWN(total / 7, PAGE_BYTES), PAGE_BYTES);
	a64_shadow_memory(a64_claims[CLAIM_SHADOW].base, a64_claims[CLAIM_SHADOW].size_bytes);
	a64_mem_build();
#endif
}

static void a64_info_fill(const void *fdt, paddr_t image, u64 slide)
{
	struct boot_info *b = &a64_boot_info;

	if (a64_blob_bytes)
		b->blob = (struct boot_range){image + a64_blob_offset, a64_blob_bytes};
	b->device_tree = (paddr_t)fdt;
	b->kaslr_slide_bytes = slide;
	b->loader = a64_entered_el2 ? "arm64 Image, EL2" : "arm64 Image, EL1";
}

static void a64_console(void)
{
	if (a64_dt.console.size_bytes)
		a64_uart = a64_fixed_map(a64_dt.console.base, PAGE_BYTES,
			MMU_READ | MMU_WRITE | MMU_DEVICE);
}

void a64_boot(const void *fdt, paddr_t image, u64 slide)
{
	int error;

	arch_cpu_data_set(&a64_boot_cpu);
	error = a64_dt_parse(fdt, &a64_boot_info);
	a64_uart = (volatile u8 *)a64_dt.console.base; /* by the identity map's first GiB */
	if (error || !a64_dt.nr_memory)
		panic("aarch64: no usable device tree at %p", fdt);
	a64_features_detect(a64_boot_info.command_line);
	a64_info_fill(fdt, image, slide);
	a64_memory_map(image);
	a64_uart = nullptr;
	a64_mmu_early(&a64_boot_info, image, slide);
	a64_console();
	a64_trap_area_create(0, a64_early_alloc);
	a64_cpu_setup();
	asan_init();

	a64_timer_init();
	a64_timer_cpu_setup();
	a64_its_memory(a64_claims[CLAIM_ITS].base, a64_claims[CLAIM_ITS].size_bytes);
	a64_smp_prepare();
	a64_gic_init();
	a64_gic_cpu_setup();
	a64_cpus[0].online = 1;

	/* early pages that were not needed go to core: nothing may take one from here on */
	a64_claims[CLAIM_IMAGE].size_bytes = a64_early_end() - image;
	a64_mem_build();
	log_info("aarch64: %u CPUs, GICv3%s%s%s%s, slide %#lx", a64_dt.nr_cpus,
		a64_dt.its.size_bytes ? " with ITS" : "", a64_features.pan ? " PAN" : "",
		a64_features.hafdbs ? " HAFDBS" : "", a64_features.rndr ? " RNDR" : "",
		(unsigned long)slide);
	core_main(&a64_boot_info);
}
