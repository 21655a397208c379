#pragma once
/* What the files of this port share. Nothing outside arch/aarch64 includes it. */
#include <lib/types.h>
#include <arch/boot.h>
#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/mmu.h>
#include <arch/time.h>
#include <arch/trap.h>

#define a64_read(reg)                                                                              \
	({                                                                                         \
		u64 _v;                                                                            \
		__asm__ volatile("mrs %0, " #reg : "=r"(_v)::"memory");                            \
		_v;                                                                                \
	})
#define a64_write(reg, value) __asm__ volatile("msr " #reg ", %0" : : "r"((u64)(value)) : "memory")

static inline void a64_isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}
static inline u32 a64_mmio_read(const volatile u8 *p)
{
	u32 v;

	__asm__ volatile("ldr %w0, %1" : "=r"(v) : "Q"(*(const volatile u32 *)p) : "memory");
	return v;
}
static inline void a64_mmio_write(volatile u8 *p, u32 v)
{
	__asm__ volatile("str %w1, %0" : "=Q"(*(volatile u32 *)p) : "rZ"(v) : "memory");
}
static inline u64 a64_mmio_read64(const volatile u8 *p)
{
	u64 v;

	__asm__ volatile("ldr %0, %1" : "=r"(v) : "Q"(*(const volatile u64 *)p) : "memory");
	return v;
}
static inline void a64_mmio_write64(volatile u8 *p, u64 v)
{
	__asm__ volatile("str %1, %0" : "=Q"(*(volatile u64 *)p) : "rZ"(v) : "memory");
}
/* What was stored to memory before is there for devices and other observers of a following register
 * write. */
static inline void a64_dsb(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

struct a64_features {
	bool pan, rndr, hafdbs, asid16;
	bool global_pages; /* only with isolation=off */
};
extern struct a64_features a64_features;
extern u8 a64_have_pan;
extern struct a64_cpu a64_cpus[NR_CPUS_MAX];
extern struct arch_task a64_boot_task;
extern u32 a64_entered_el2;

/* --- dt.c: what the device tree says, copied out of it at boot --- */
#define A64_DT_MEM      64u
#define A64_DT_RESERVED 64u
#define A64_DT_GICR     4u
#define A64_DT_ECAM     4u
#define A64_DT_INTX     64u
#define A64_DT_MSI      16u
#define A64_DT_DEVICES  16u
struct a64_intx {
	u16 segment;
	u32 address, address_mask; /* bus, device, function as in PCI configuration addresses */
	u8 pin, pin_mask;
	struct arch_line line;
};
struct a64_msi_map {
	u16 segment;
	u32 first, base, length; /* requester ids from `first` on are device ids from `base` on */
};
struct a64_dt {
	struct boot_range memory[A64_DT_MEM];
	u32 nr_memory;
	struct boot_range reserved[A64_DT_RESERVED];
	u32 nr_reserved;
	u64 cpu_mpidr[NR_CPUS_MAX];
	u32 nr_cpus;
	struct boot_range gicd, its;
	struct boot_range gicr[A64_DT_GICR];
	u32 nr_gicr;
	u32 timer_intid;
	bool psci, psci_hvc;
	struct boot_range console; /* PL011 of /chosen/stdout-path, or the first */
	paddr_t rtc;               /* PL031; 0: none */
	struct arch_pci_ecam ecam[A64_DT_ECAM];
	u32 nr_ecam;
	struct a64_intx intx[A64_DT_INTX];
	u32 nr_intx;
	struct a64_msi_map msi[A64_DT_MSI];
	u32 nr_msi;
	struct arch_platform_device devices[A64_DT_DEVICES];
	u32 nr_devices;
	paddr_t base;
	u32 bytes;
};
extern struct a64_dt a64_dt;
/* 0: what lies there is a device tree. Fills a64_dt and command line and initrd of `info`. */
int a64_dt_parse(const void *fdt, struct boot_info *info);
u64 a64_choose_slide(const void *fdt);
bool a64_word_in(const char *line, const char *word);

/* --- cpu.c --- */
void a64_features_detect(const char *command_line);
void a64_cpu_setup(void);
void a64_trap_area_create(u32 index, paddr_t (*alloc)(void));
long a64_psci(u64 function, u64 a, u64 b, u64 c);
/* Value of an identification register as programs may see it (Linux's cpu-feature-registers.rst);
 * false: no such register. */
bool a64_id_register(u32 crm, u32 op2, u64 *value);

/* --- mmu.c --- */
void a64_mmu_early(const struct boot_info *info, paddr_t image, u64 slide);
paddr_t a64_early_alloc(void);
paddr_t a64_early_end(void);
void a64_map_kernel_page(vaddr_t va, paddr_t pa, enum mmu_prot prot);
/* Maps device registers for ever; nullptr when the fixed area is full. */
volatile u8 *a64_fixed_map(paddr_t pa, u64 bytes, enum mmu_prot prot);
paddr_t a64_image_phys(const void *p);
bool a64_soft_update(vaddr_t va, bool write);
#if UMKA_ASAN
void a64_shadow_memory(paddr_t base, u64 bytes);
bool a64_shadow_fault(vaddr_t va);
#endif
extern struct arch_space a64_kernel_space;

/* --- timer.c irq.c its.c smp.c fpu.c --- */
void a64_timer_init(void);
void a64_timer_cpu_setup(void);
void a64_gic_init(void);
void a64_gic_cpu_setup(void);
void a64_sgi(u32 cpu, u32 id);
void a64_irq_lpi(u32 lpi);
enum { A64_SGI_RESCHEDULE, A64_SGI_CALL, A64_SGI_STOP };
#define A64_LPI_FIRST  8192u
#define A64_LPIS       1024u
#define A64_LPI_IDBITS 14u
/* Bytes of memory, from a multiple of 64 KiB, that the ITS and `nr_cpus` redistributors want. */
u64 a64_its_memory_bytes(u32 nr_cpus);
void a64_its_memory(paddr_t base, u64 bytes);
void a64_its_init(void);
void a64_its_cpu_setup(u32 cpu);
/* Gives `lpi` (from 0) to `cpu`, as the next event of `device`; what to write where. -ENOSPC,
 * -ENODEV. */
int a64_its_map(u32 device, u32 lpi, u32 cpu, struct arch_msi *out);
void a64_its_unmap(u32 lpi);
/* As if the device had written its message. */
void a64_its_raise(u32 lpi);
void a64_smp_prepare(void);

/* linker script and start.S */
extern u8 kernel_image_start[], a64_text_end[], a64_rodata_end[], kernel_image_end[],
	a64_image_end[];
extern u8 a64_early_pool[], a64_early_pool_end[], a64_vectors_begin[], a64_vectors_end[];
extern u8 a64_boot_stack_end[], a64_early_identity[];
extern const u64 a64_blob_offset, a64_blob_bytes;
