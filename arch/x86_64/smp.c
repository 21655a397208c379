/*
 * Other CPUs.
 *
 * Purpose: start them (INIT, start-up IPI: SDM volume 3, 9.4.4), talk to them.
 *
 * Invariants: X86-S1 CPUs start one at a time: the trampoline's argument words belong to one start.
 * X86-S2 x86_cpus[i].online is set before core sees the CPU, and never cleared.
 *
 * Failure: a CPU that does not answer within a second stays off: -ETIMEDOUT.
 */
#include <core/plant.h>
#include <core/cpu.h>
#include <core/log.h>
#include <core/task.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "x86.h"

#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_NMI     0x4400u

struct x86_trampoline_args {
	u64 root, stack, cpu, entry;
};
extern const struct x86_trampoline_args x86_trampoline_args;
extern const u8 x86_secondary_start[];
void x86_secondary_boot(struct x86_cpu *self);

static paddr_t x86_trampoline; /* 0: there was no page for it */

/* The page with the highest address below 640 KiB that is free RAM. */
paddr_t x86_trampoline_choose(const struct boot_info *info)
{
	paddr_t best = 0;

	for (u32 i = 0; i < info->nr_mem; i++) {
		paddr_t base = info->mem[i].base, end = base + info->mem[i].size_bytes;

		end = ALIGN_DOWN(MIN(end, 0xa0000), PAGE_BYTES);
		if (info->mem[i].kind == BOOT_MEM_USABLE && end >= base + PAGE_BYTES &&
			end > PAGE_BYTES && end - PAGE_BYTES > best)
			best = end - PAGE_BYTES;
	}
	return best;
}

void x86_smp_prepare(paddr_t trampoline)
{
	x86_trampoline = trampoline;
	if (trampoline)
		memcpy(arch_phys_to_virt(trampoline), x86_trampoline_begin,
			(size_t)(x86_trampoline_end - x86_trampoline_begin));
	for (u32 i = 0; i < x86_acpi.nr_cpus; i++)
		x86_cpus[i].apic_id = x86_acpi.apic_ids[i];
}

u32 arch_nr_cpus_present(void)
{
	return x86_trampoline ? x86_acpi.nr_cpus : 1;
}

static bool x86_wait_online(u32 cpu, u64 ns)
{
	ktime_t end = arch_time_now_ns() + (ktime_t)ns;

	/* core sets the bit last: from then on flushes and messages reach the CPU */
	while (!(shared_load_acquire(&cpu_online_mask) >> cpu & 1)) {
		if (arch_time_now_ns() > end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

int arch_cpu_start(u32 cpu, struct task *idle, void *stack_top)
{
	struct x86_trampoline_args *args;
	u32 id;

	plant_here(PLANT_PLACE_ARCH);
	if (!x86_trampoline || cpu >= x86_acpi.nr_cpus || !x86_cpus[cpu].tables || !cpu_data[cpu])
		return -EIO;
	id = x86_cpus[cpu].apic_id;
	args = (struct x86_trampoline_args *)((u8 *)arch_phys_to_virt(x86_trampoline) +
					      ((const u8 *)&x86_trampoline_args -
						      x86_trampoline_begin));
	x86_cpus[cpu].index = cpu;
	x86_cpus[cpu].task = idle;
	x86_cpus[cpu].data = cpu_data[cpu];
	*args = (struct x86_trampoline_args){
		.root = x86_trampoline_root(),
		.stack = (u64)stack_top,
		.cpu = (u64)&x86_cpus[cpu],
		.entry = (u64)x86_secondary_start,
	};
	x86_apic_icr(id, ICR_INIT);
	x86_delay_ns(200 * NSEC_PER_USEC);
	x86_apic_icr(id, ICR_STARTUP | (u32)(x86_trampoline >> 12));
	if (!x86_wait_online(cpu, 20 * NSEC_PER_MSEC)) {
		x86_apic_icr(id, ICR_STARTUP | (u32)(x86_trampoline >> 12));
		if (!x86_wait_online(cpu, NSEC_PER_SEC))
			return -ETIMEDOUT;
	}
	return 0;
}

/* Context: the new CPU, on its idle stack and the trampoline's tables, interrupts off. */
void x86_secondary_boot(struct x86_cpu *self)
{
	u32 cpu = self->index;

	x86_cpu_setup(cpu);
	arch_space_activate(nullptr);
	x86_apic_cpu_setup();
	x86_timer_cpu_setup();
	shared_store_release(&x86_cpus[cpu].online, 1);
	core_secondary_main(cpu);
}

static void x86_ipi(u64 mask, u32 low)
{
	for (u32 cpu = 0; cpu < NR_CPUS_MAX && mask >> cpu; cpu++)
		if (mask >> cpu & 1 && READ_ONCE(x86_cpus[cpu].online))
			x86_apic_icr(x86_cpus[cpu].apic_id, low);
}

void arch_ipi_send(u64 cpu_mask, enum arch_ipi kind)
{
	switch (kind) {
	case ARCH_IPI_RESCHEDULE:
		x86_ipi(cpu_mask, VECTOR_RESCHEDULE);
		break;
	case ARCH_IPI_CALL:
		x86_ipi(cpu_mask, VECTOR_CALL);
		break;
	case ARCH_IPI_STOP: /* an NMI reaches a CPU that spins with interrupts off */
		for (u32 cpu = 0; cpu < NR_CPUS_MAX; cpu++)
			if (cpu_mask >> cpu & 1)
				WRITE_ONCE(x86_cpus[cpu].stopped, 1);
		x86_ipi(cpu_mask, ICR_NMI);
		break;
	}
}

static void x86_brand(char text[49])
{
	u32 words[12] = {};

	if (x86_cpuid(0x80000000, 0).a >= 0x80000004)
		for (u32 i = 0; i < 3; i++) {
			struct x86_cpuid r = x86_cpuid(0x80000002 + i, 0);

			words[i * 4] = r.a;
			words[i * 4 + 1] = r.b;
			words[i * 4 + 2] = r.c;
			words[i * 4 + 3] = r.d;
		}
	memcpy(text, words, 48);
	text[48] = 0;
}

/* Flag names as Linux prints them, by CPUID register and bit; those that programs look for. */
static const struct {
	char name[12];
	u8 where; /* 0: 1.d, 1: 1.c, 2: 7.b, 3: 0x80000001.d, 4: 0x80000001.c */
	u8 bit;
} cpu_flags[] = {
	{"fpu", 0, 0},
	{"tsc", 0, 4},
	{"msr", 0, 5},
	{"pae", 0, 6},
	{"cx8", 0, 8},
	{"apic", 0, 9},
	{"cmov", 0, 15},
	{"pat", 0, 16},
	{"clflush", 0, 19},
	{"mmx", 0, 23},
	{"fxsr", 0, 24},
	{"sse", 0, 25},
	{"sse2", 0, 26},
	{"syscall", 3, 11},
	{"nx", 3, 20},
	{"pdpe1gb", 3, 26},
	{"rdtscp", 3, 27},
	{"lm", 3, 29},
	{"pni", 1, 0},
	{"pclmulqdq", 1, 1},
	{"ssse3", 1, 9},
	{"fma", 1, 12},
	{"cx16", 1, 13},
	{"sse4_1", 1, 19},
	{"sse4_2", 1, 20},
	{"x2apic", 1, 21},
	{"movbe", 1, 22},
	{"popcnt", 1, 23},
	{"aes", 1, 25},
	{"xsave", 1, 26},
	{"avx", 1, 28},
	{"f16c", 1, 29},
	{"rdrand", 1, 30},
	{"hypervisor", 1, 31},
	{"lahf_lm", 4, 0},
	{"abm", 4, 5},
	{"sse4a", 4, 6},
	{"fsgsbase", 2, 0},
	{"bmi1", 2, 3},
	{"avx2", 2, 5},
	{"smep", 2, 7},
	{"bmi2", 2, 8},
	{"erms", 2, 9},
	{"rdseed", 2, 18},
	{"adx", 2, 19},
	{"smap", 2, 20},
};

static int x86_flag_text(char *buf, size_t size)
{
	u32 regs[5] = {x86_cpuid(1, 0).d, x86_cpuid(1, 0).c, 0, x86_cpuid(0x80000001, 0).d,
		x86_cpuid(0x80000001, 0).c};
	size_t at = 0;

	if (x86_features.max_leaf >= 7)
		regs[2] = x86_cpuid(7, 0).b;
	for (size_t i = 0; i < ARRAY_SIZE(cpu_flags); i++)
		if (regs[cpu_flags[i].where] >> cpu_flags[i].bit & 1)
			at += (size_t)snprintf(at < size ? buf + at : nullptr,
				at < size ? size - at : 0, "%s%s", at ? " " : "",
				cpu_flags[i].name);
	return (int)at;
}

int arch_cpuinfo(u32 cpu, char *buf, size_t size)
{
	struct x86_cpuid v = x86_cpuid(0, 0);
	u32 s = x86_features.signature, family = s >> 8 & 15, model = s >> 4 & 15;
	char vendor[13] = {}, brand[49], flags[512] = {};
	struct arch_clock_params clock;
	u64 khz;

	memcpy(vendor, &v.b, 4);
	memcpy(vendor + 4, &v.d, 4);
	memcpy(vendor + 8, &v.c, 4);
	if (family == 15)
		family += s >> 20 & 0xff;
	if (family == 6 || family >= 15)
		model += (s >> 16 & 15) << 4;
	x86_brand(brand);
	x86_flag_text(flags, sizeof(flags));
	arch_clock_params(&clock);
	khz = (1000000ull << 32) / clock.mult;
	return snprintf(buf, size,
		"processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
		"model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %lu.%03lu\nphysical id\t: 0\n"
		"siblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\nfpu\t\t: yes\n"
		"fpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t: %s\n"
		"bogomips\t: %lu.%02lu\nclflush size\t: 64\ncache_alignment\t: 64\n"
		"address sizes\t: 46 bits physical, 48 bits virtual\n\n",
		cpu, vendor, family, model, brand, s & 15, khz / 1000, khz % 1000,
		arch_nr_cpus_present(), cpu, arch_nr_cpus_present(), x86_cpus[cpu].apic_id,
		x86_features.max_leaf, flags, khz / 500, khz / 5 % 100);
}
