#pragma once
/* What the files of this port share. Nothing outside arch/x86_64 includes it. */
#include <lib/types.h>
#include <arch/boot.h>
#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/mmu.h>
#include <arch/time.h>
#include <arch/trap.h>
#include "boot/handoff.h"

/* --- features, decided once on the boot CPU (cpu.c) --- */
struct x86_features {
	bool nx, smep, smap, umip, pks, fsgsbase, xsave, xsaveopt, x2apic, huge_pages, tsc_deadline;
	bool rdrand, rdseed, erms, invariant_tsc, pat;
	bool global_pages; /* only with isolation=off */
	bool acpi_off;     /* as if the machine had no tables */
	u32 max_leaf, signature;
	u64 xcr0;
};
extern struct x86_features x86_features;

extern struct x86_cpu x86_cpus[NR_CPUS_MAX];

struct x86_cpuid {
	u32 a, b, c, d;
};
static inline struct x86_cpuid x86_cpuid(u32 leaf, u32 sub)
{
	struct x86_cpuid r;

	__asm__ volatile("cpuid"
		: "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
		: "a"(leaf), "c"(sub));
	return r;
}
static inline u64 x86_rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (u64)hi << 32;
}
static inline void x86_wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u8 x86_in8(u16 port)
{
	u8 v;

	__asm__ volatile("inb %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void x86_out8(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %w1" : : "a"(v), "Nd"(port));
}
static inline u32 x86_in32(u16 port)
{
	u32 v;

	__asm__ volatile("inl %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void x86_out16(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %w1" : : "a"(v), "Nd"(port));
}
static inline u32 x86_mmio_read(const volatile void *p)
{
	return *(const volatile u32 *)p;
}
static inline void x86_mmio_write(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

enum x86_msr : u32 {
	MSR_APIC_BASE = 0x1b,
	MSR_PAT = 0x277,
	MSR_PKRS = 0x6e1,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC = 0x800,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
};

/* Vectors: 0-31 exceptions, 32-47 unused (where a stray 8259 would hit), 48-239 devices. */
enum x86_vector : u32 {
	VECTOR_DEVICE_FIRST = 48,
	VECTOR_DEVICE_END = 240,
	VECTOR_TIMER = 240,
	VECTOR_RESCHEDULE = 241,
	VECTOR_CALL = 242,
	VECTOR_TLB = 243,
	VECTOR_SPURIOUS = 255,
};

/* --- trap area (cpu.c): all that the CPU itself touches on a trap, per CPU --- */
struct x86_trap_tables {
	u64 gdt[16];
	u8 tss[104];
} __aligned(4096);
struct x86_trap_area {
	struct x86_trap_tables tables; /* read-only here */
	u8 trap_stack[8192];
	u8 nmi_stack[4096];
	u8 debug_stack[4096];
	u8 machine_stack[4096];
	u8 double_stack[4096];
};
void x86_features_detect(const char *command_line);
void x86_cpu_setup(u32 index);
void x86_idt_build(void);
/* Gives CPU `index` its trap area; frames come from `alloc` (early pool or core). */
void x86_trap_area_create(u32 index, paddr_t (*alloc)(void));
u32 x86_nr_cpus_online(void);

/* --- mmu.c --- */
void x86_mmu_early(const struct x86_handoff *h, const struct boot_info *info);
paddr_t x86_early_alloc(void);
paddr_t x86_early_end(void);
void x86_map_kernel_page(vaddr_t va, paddr_t pa, enum mmu_prot prot);
/* Maps device registers or firmware tables in the fixed area for ever; nullptr when it is full. */
void *x86_fixed_map(paddr_t pa, size_t bytes, enum mmu_prot prot);
paddr_t x86_trampoline_root(void);
void x86_tlb_ipi(void);
#if UMKA_ASAN
void x86_shadow_memory(paddr_t base, u64 bytes);
bool x86_shadow_fault(vaddr_t va);
#endif
extern struct arch_space x86_kernel_space;

/* --- acpi_tables.c --- */
struct x86_acpi {
	u32 apic_ids[NR_CPUS_MAX];
	u32 nr_cpus;
	paddr_t lapic_base;
	struct {
		paddr_t base;
		u32 gsi_base;
	} ioapic[8];
	u32 nr_ioapics;
	struct {
		u32 gsi;
		bool level, active_low, valid;
	} isa[16];
	struct arch_pci_ecam ecam[16];
	u32 nr_ecam;
	u16 pm_timer_port;
	paddr_t hpet;
};
extern struct x86_acpi x86_acpi;
void x86_acpi_parse(paddr_t rsdp);

/* --- timer.c irq.c smp.c fpu.c trap.c --- */
void x86_timer_calibrate(void);
void x86_timer_cpu_setup(void);
void x86_delay_ns(u64 ns);
void x86_apic_early(void);
void x86_apic_cpu_setup(void);
u32 x86_apic_id(void);
void x86_apic_eoi(void);
void x86_apic_icr(u32 apic_id, u32 low);
u32 x86_apic_read(u32 reg);
void x86_apic_write(u32 reg, u32 value);
void x86_ioapic_setup(void);
void x86_irq_vector(u32 cpu, u32 vector);
void x86_fpu_cpu_setup(void);
void x86_smp_prepare(paddr_t trampoline);
/* A page below 640 KiB for the start-up code, chosen before core has the map; 0: none. */
paddr_t x86_trampoline_choose(const struct boot_info *info);
extern const u8 x86_trampoline_begin[], x86_trampoline_end[];
void x86_stop_others(void);

/* Physical address of something in the image. */
paddr_t x86_image_phys(const void *p);

/* linker script */
extern u8 x86_image_begin[], x86_text_end[], x86_rodata_begin[], x86_rodata_end[], x86_image_end[];
extern u8 x86_data_begin[];
