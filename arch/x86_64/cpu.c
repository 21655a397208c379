/*
 * The CPU itself.
 *
 * Purpose: features, control registers, descriptor tables, the trap area, identification, power.
 *
 * Vocabulary: trap area: the memory that the CPU touches by itself on a trap (IDT, GDT, TSS,
 * interrupt stacks), mapped at X86_TRAP_BASE under key 1 (architecture.md section 5): IDT in its
 * first page, then one struct x86_trap_area per CPU at a stride of 64 KiB.
 *
 * Invariants: X86-C1 IDT, GDT and TSS are read-only where the CPU uses them; they are written
 * through the direct map only. X86-C2 every gate has an interrupt stack, so no push needs core's
 * rights. X86-C3 what a boot CPU lacks is off on all CPUs.
 *
 * Locks: none; each CPU sets up itself, in the order in which smp.c starts them.
 *
 * Failure: a CPU without NX or SSE2 cannot exist in 64-bit mode with Linux's ABI: boot panics.
 */
#include <core/cpu.h>
#include <core/firmware.h>
#include <core/log.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <lib/errno.h>
#include <arch/elf.h>
#include <arch/ucopy.h>
#include "x86.h"

struct x86_features x86_features;
struct x86_cpu x86_cpus[NR_CPUS_MAX];

#define X86_TRAP_STRIDE  0x10000ul
#define X86_CPU_SELECTOR 0x7bu
#define CR0_VALUE        0x80050033ul /* PG AM WP NE ET MP PE */
#define CR4_PAE          (1ul << 5)
#define CR4_MCE          (1ul << 6)
#define CR4_PGE          (1ul << 7)
#define CR4_DE           (1ul << 3)
#define CR4_OSFXSR       (1ul << 9)
#define CR4_OSXMMEXCPT   (1ul << 10)
#define CR4_UMIP         (1ul << 11)
#define CR4_FSGSBASE     (1ul << 16)
#define CR4_OSXSAVE      (1ul << 18)
#define CR4_SMEP         (1ul << 20)
#define CR4_SMAP         (1ul << 21)
#define CR4_PKS          (1ul << 24)

struct x86_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};
static struct x86_gate x86_idt[256] __aligned(4096) __section(".bss.page_aligned");
static_assert(sizeof(x86_idt) == 4096);

extern const u8 x86_trap_stubs[], x86_entry_nmi[], x86_entry_debug[], x86_entry_machine[];
extern const u8 x86_entry_double[], x86_entry_syscall[];

static bool x86_word_in(const char *line, const char *word)
{
	size_t n = strlen(word);
	const char *p = line;

	while ((p = strstr(p, word))) {
		if ((p == line || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
		p += n;
	}
	return false;
}

/*
 * QEMU's instruction-counting mode ends with "Bad icount read" at any access to the APIC timer by
 * MSR (10.0; by memory it works). The mode shows: its TSC is a multiple of 2^shift nanoseconds. To
 * take another machine for one costs nothing but the x2APIC.
 */
static bool x86_counts_instructions(void)
{
	struct x86_cpuid r = x86_cpuid(0x40000000, 0);
	u64 low = 0;

	if (r.b != 0x54474354 || r.c != 0x43544743 || r.d != 0x47435447) /* "TCGTCGTCGTCG" */
		return false;
	for (u32 i = 0; i < 32; i++)
		low |= arch_cycles();
	return !(low & 3);
}

/* CPUID leaves and bits: SDM volume 2, CPUID. */
void x86_features_detect(const char *command_line)
{
	struct x86_features *f = &x86_features;
	struct x86_cpuid r = x86_cpuid(0, 0);
	u32 extended;

	f->max_leaf = r.a;
	r = x86_cpuid(1, 0);
	f->signature = r.a;
	f->acpi_off = x86_word_in(command_line, "acpi=off");
	f->x2apic = (r.c >> 21 & 1) && !x86_word_in(command_line, "nox2apic") &&
		    !(r.c >> 31 && x86_counts_instructions());
	f->tsc_deadline = r.c >> 24 & 1;
	f->xsave = r.c >> 26 & 1;
	f->rdrand = r.c >> 30 & 1;
	f->pat = r.d >> 16 & 1;
	if (f->max_leaf >= 7) {
		r = x86_cpuid(7, 0);
		f->fsgsbase = r.b & 1;
		f->smep = r.b >> 7 & 1;
		f->erms = r.b >> 9 & 1;
		f->rdseed = r.b >> 18 & 1;
		f->smap = r.b >> 20 & 1;
		f->umip = r.c >> 2 & 1;
		f->pks = r.c >> 31;
	}
	if (f->xsave && f->max_leaf >= 0xd)
		f->xsaveopt = x86_cpuid(0xd, 1).a & 1;
	extended = x86_cpuid(0x80000000, 0).a;
	if (extended >= 0x80000001) {
		r = x86_cpuid(0x80000001, 0);
		f->nx = r.d >> 20 & 1;
		f->huge_pages = r.d >> 26 & 1;
	}
	if (extended >= 0x80000007)
		f->invariant_tsc = x86_cpuid(0x80000007, 0).d >> 8 & 1;
	f->global_pages =
		x86_word_in(command_line, "isolation=off") && (x86_cpuid(1, 0).d >> 13 & 1);
}

static struct x86_trap_area *x86_trap_va(u32 index)
{
	return (struct x86_trap_area *)(X86_TRAP_BASE + (index + 1) * X86_TRAP_STRIDE);
}

/* The slot above each stack whose entry trusts no GS base. */
static void x86_trap_area_owner(struct x86_trap_area *t, struct x86_cpu *cpu)
{
	u8 *const tops[] = {
		t->nmi_stack + sizeof(t->nmi_stack),
		t->debug_stack + sizeof(t->debug_stack),
		t->machine_stack + sizeof(t->machine_stack),
		t->double_stack + sizeof(t->double_stack),
	};

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		*(struct x86_cpu **)(tops[i] - 16) = cpu;
}

void arch_cpu_data_set(struct cpu *data)
{
	x86_cpus[data->index].data = data;
}

void arch_current_set(struct task *t)
{
	x86_cpus[0].task = t;
}

static void x86_gate_set(u32 vector, const u8 *to, u8 ist, u8 dpl)
{
	word_t at = (word_t)to;

	x86_idt[vector] = (struct x86_gate){
		.offset_low = (u16)at,
		.offset_middle = (u16)(at >> 16),
		.offset_high = (u32)(at >> 32),
		.selector = X86_KERNEL_CS,
		.ist = ist,
		.type = (u8)(0x8e | dpl << 5), /* present, interrupt gate */
	};
}

void x86_idt_build(void)
{
	for (u32 v = 0; v < 256; v++)
		x86_gate_set(v, x86_trap_stubs + v * 16, 1, v == 3 || v == 4 ? 3 : 0);
	x86_gate_set(1, x86_entry_debug, 3, 0);
	x86_gate_set(2, x86_entry_nmi, 2, 0);
	x86_gate_set(8, x86_entry_double, 5, 0);
	x86_gate_set(18, x86_entry_machine, 4, 0);
}

/* SDM volume 3, 3.4.5 (segments) and 8.7 (64-bit TSS). Accessed bits are set beforehand: X86-C1. */
static void x86_tables_fill(u32 index, struct x86_trap_tables *t, const struct x86_trap_area *at)
{
	u64 tss = (u64)at->tables.tss;
	u64 stacks[5] = {
		(u64)at->trap_stack + sizeof(at->trap_stack),
		(u64)at->nmi_stack + sizeof(at->nmi_stack) - 16,
		(u64)at->debug_stack + sizeof(at->debug_stack) - 16,
		(u64)at->machine_stack + sizeof(at->machine_stack) - 16,
		(u64)at->double_stack + sizeof(at->double_stack) - 16,
	};
	u16 no_io_bitmap = sizeof(t->tss);

	t->gdt[X86_KERNEL_CS / 8] = 0x00af9b000000ffff;
	t->gdt[X86_KERNEL_SS / 8] = 0x00cf93000000ffff;
	t->gdt[X86_USER_SS / 8] = 0x00cff3000000ffff;
	t->gdt[X86_USER_CS / 8] = 0x00affb000000ffff;
	t->gdt[7] = (sizeof(t->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
		    (tss >> 24 & 0xff) << 56;
	t->gdt[8] = tss >> 32;
	/* read-only data of user privilege whose limit is the CPU's number: the vDSO's getcpu reads
	 * it */
	t->gdt[X86_CPU_SELECTOR / 8] = 0x0040f10000000000 | index;
	memcpy(t->tss + 36, stacks, sizeof(stacks));
	memcpy(t->tss + 102, &no_io_bitmap, sizeof(no_io_bitmap));
}

void x86_trap_area_create(u32 index, paddr_t (*alloc)(void))
{
	vaddr_t at = (vaddr_t)x86_trap_va(index);
	paddr_t tables = alloc();

	x86_map_kernel_page(at, tables, MMU_READ | MMU_TRAP_AREA);
	for (size_t i = PAGE_BYTES; i < sizeof(struct x86_trap_area); i += PAGE_BYTES)
		x86_map_kernel_page(at + i, alloc(), MMU_READ | MMU_WRITE | MMU_TRAP_AREA);
	if (index == 0)
		x86_map_kernel_page(X86_TRAP_BASE, x86_image_phys(x86_idt),
			MMU_READ | MMU_TRAP_AREA);
	x86_cpus[index].tables = arch_phys_to_virt(tables);
	x86_tables_fill(index, x86_cpus[index].tables, x86_trap_va(index));
	x86_trap_area_owner(x86_trap_va(index), &x86_cpus[index]);
}

struct x86_table_register {
	u16 limit;
	u64 base;
} __packed;

static void x86_descriptors_load(u32 index)
{
	struct x86_trap_tables *t = x86_cpus[index].tables;
	struct x86_table_register gdt = {sizeof(t->gdt) - 1, (u64)t->gdt};
	struct x86_table_register idt = {sizeof(x86_idt) - 1, X86_TRAP_BASE};

	/* LTR sets the busy bit: once through the writable alias, then the read-only one for good
	 */
	__asm__ volatile("lgdt %0" : : "m"(gdt));
	__asm__ volatile("ltr %w0" : : "r"(7 * 8));
	gdt.base = (u64)x86_trap_va(index)->tables.gdt;
	__asm__ volatile("lgdt %0" : : "m"(gdt));
	__asm__ volatile("lidt %0" : : "m"(idt));
	__asm__ volatile("pushq %0\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "pushq %%rax\n"
			 "lretq\n"
			 "1:\n"
			 "movl %1, %%ds\n"
			 "movl %1, %%es\n"
			 "movl %1, %%ss\n"
			 "movl %1, %%fs\n"
		:
		: "i"(X86_KERNEL_CS), "r"(0)
		: "rax", "memory");
}

static word_t x86_cr4_value(void)
{
	const struct x86_features *f = &x86_features;

	return CR4_PAE | CR4_MCE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT |
	       (f->global_pages ? CR4_PGE : 0) | (f->umip ? CR4_UMIP : 0) |
	       (f->fsgsbase ? CR4_FSGSBASE : 0) | (f->xsave ? CR4_OSXSAVE : 0) |
	       (f->smep ? CR4_SMEP : 0) | (f->smap ? CR4_SMAP : 0) | (f->pks ? CR4_PKS : 0);
}

/* Control registers, tables and system-call registers of the CPU that runs this. */
void x86_cpu_setup(u32 index)
{
	const struct x86_features *f = &x86_features;

	__asm__ volatile("movq %0, %%cr0" : : "r"(CR0_VALUE));
	__asm__ volatile("movq %0, %%cr4" : : "r"(x86_cr4_value()));
	x86_wrmsr(MSR_EFER, x86_rdmsr(MSR_EFER) | 0x801); /* NXE, SCE */
	if (f->pks)
		x86_wrmsr(MSR_PKRS, 0); /* core's rights: all keys open */
	/* Entry 1 (PWT alone) becomes write-combining; SDM volume 3, 12.12 */
	if (f->pat)
		x86_wrmsr(MSR_PAT, 0x0007040600070106);
	x86_descriptors_load(index);
	x86_wrmsr(MSR_STAR, (u64)X86_KERNEL_CS << 32 | (u64)(X86_USER_SS - 8) << 48);
	x86_wrmsr(MSR_LSTAR, (u64)x86_entry_syscall);
	x86_wrmsr(MSR_SFMASK, 0x257fd5);
	x86_wrmsr(MSR_KERNEL_GS_BASE, 0);
	x86_fpu_cpu_setup();
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

void arch_early_putc(char c)
{
	u32 tries = 100000;

	if (c == '\n')
		arch_early_putc('\r');
	while (!(x86_in8(0x3fd) & 0x20) && --tries)
		;
	x86_out8(0x3f8, (u8)c);
}

void arch_power_off(void)
{
	firmware_power_off();
	x86_out16(0x604, 0x2000); /* QEMU's q35 and pc without tables */
}

void arch_reboot(void)
{
	struct x86_table_register none = {0, 0};

	firmware_reset();
	x86_delay_ns(10 * NSEC_PER_MSEC);
	x86_out8(0xcf9, 0x02); /* PCH reset control: full reset */
	x86_out8(0xcf9, 0x06);
	x86_delay_ns(10 * NSEC_PER_MSEC);
	x86_out8(0x64, 0xfe); /* keyboard controller */
	x86_delay_ns(10 * NSEC_PER_MSEC);
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

u32 arch_backtrace(word_t fp, word_t *pc, u32 nr)
{
	word_t frame[2];
	u32 n = 0;

	if (!fp)
		fp = (word_t)__builtin_frame_address(0);
	while (n < nr && fp >= DIRECT_MAP_BASE && IS_ALIGNED(fp, 8)) {
		if (arch_copy_from_kernel_nofault(frame, (const void *)fp, sizeof(frame)) ||
			!frame[1])
			break;
		pc[n++] = frame[1];
		if (frame[0] <= fp) /* stacks grow down: callers lie above */
			break;
		fp = frame[0];
	}
	return n;
}

size_t arch_entropy(void *buf, size_t bytes)
{
	size_t done = 0;

	if (!x86_features.rdrand)
		return 0;
	while (done < bytes) {
		size_t n = MIN(bytes - done, sizeof(u64));
		u64 v;
		bool ok = false;

		for (u32 tries = 0; tries < 10 && !ok; tries++)
			__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
		if (!ok)
			break;
		memcpy((u8 *)buf + done, &v, n);
		done += n;
	}
	return done;
}

u64 arch_elf_hwcap(void)
{
	return x86_cpuid(1, 0).d;
}

u64 arch_elf_hwcap2(void)
{
	return x86_features.fsgsbase ? 2 : 0; /* HWCAP2_FSGSBASE */
}

u32 arch_io_read(u16 port, u32 bytes)
{
	u16 half;

	switch (bytes) {
	case 1:
		return x86_in8(port);
	case 2:
		__asm__ volatile("inw %w1, %0" : "=a"(half) : "Nd"(port));
		return half;
	case 4:
		return x86_in32(port);
	default:
		return ~0u;
	}
}

void arch_io_write(u16 port, u32 bytes, u32 value)
{
	switch (bytes) {
	case 1:
		x86_out8(port, (u8)value);
		break;
	case 2:
		x86_out16(port, (u16)value);
		break;
	case 4:
		__asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port));
		break;
	default:
		break;
	}
}
