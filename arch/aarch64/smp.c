/*
 * Other CPUs.
 *
 * Purpose: start them (PSCI CPU_ON, Arm DEN0022), talk to them.
 *
 * Invariants: A64-S1 CPUs start one at a time: the argument block belongs to one start. A64-S2
 * a64_cpus[i].online is set before core sees the CPU, and never cleared.
 *
 * Failure: a CPU that does not answer within a second stays off: -ETIMEDOUT.
 */
#include <core/plant.h>
#include <core/cpu.h>
#include <core/log.h>
#include <core/task.h>
#include <lib/errno.h>
#include "a64.h"

#define PSCI_CPU_ON 0xc4000003u

/* Read by start.S with the MMU off; one cache line or two, cleaned before. */
struct a64_start_args {
	u64 root, identity, entry, task, stack;
} __aligned(128);
static struct a64_start_args a64_start_args;

extern const u8 a64_secondary_start[];
void a64_secondary_boot(void);

void a64_smp_prepare(void)
{
	for (u32 i = 0; i < a64_dt.nr_cpus; i++) {
		a64_cpus[i].index = i;
		a64_cpus[i].mpidr = a64_dt.cpu_mpidr[i];
	}
}

u32 arch_nr_cpus_present(void)
{
	return a64_dt.psci ? a64_dt.nr_cpus : 1;
}

static bool a64_wait_online(u32 cpu)
{
	ktime_t end = arch_time_now_ns() + NSEC_PER_SEC;

	while (!shared_load_acquire(&a64_cpus[cpu].online)) {
		if (arch_time_now_ns() > end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

int arch_cpu_start(u32 cpu, struct task *idle, void *stack_top)
{
	plant_here(PLANT_PLACE_ARCH);
	if (cpu >= a64_dt.nr_cpus || !cpu_data[cpu])
		return -EIO;
	a64_cpus[cpu].data = cpu_data[cpu];
	idle->arch.self = idle;
	idle->arch.cpu = &a64_cpus[cpu];
	idle->arch.stack_top = (word_t)stack_top;
	a64_start_args = (struct a64_start_args){
		.root = a64_kernel_space.root,
		.identity = a64_image_phys(a64_early_identity),
		.entry = (u64)a64_secondary_boot,
		.task = (u64)&idle->arch,
		.stack = (u64)stack_top,
	};
	__asm__ volatile("dc civac, %0" : : "r"(&a64_start_args) : "memory");
	__asm__ volatile("dc civac, %0" : : "r"((u8 *)&a64_start_args + 64) : "memory");
	a64_dsb();
	if (a64_psci(PSCI_CPU_ON, a64_dt.cpu_mpidr[cpu], a64_image_phys(a64_secondary_start),
		    a64_image_phys(&a64_start_args)))
		return -EIO;
	return a64_wait_online(cpu) ? 0 : -ETIMEDOUT;
}

/* Context: the new CPU, on its idle stack, TTBR0 still the identity map, interrupts off. */
void a64_secondary_boot(void)
{
	struct a64_cpu *cpu = a64_cpu();

	a64_cpu_setup();
	cpu->active = &a64_kernel_space; /* what arch_space_activate compares with: anything but
					    what it is given */
	arch_space_activate(nullptr);
	__asm__ volatile("tlbi vmalle1; dsb nsh; isb" ::: "memory");
	a64_timer_cpu_setup();
	a64_gic_cpu_setup();
	shared_store_release(&cpu->online, 1);
	core_secondary_main(cpu->index);
}

void arch_ipi_send(u64 cpu_mask, enum arch_ipi kind)
{
	u32 id = A64_SGI_RESCHEDULE;

	switch (kind) {
	case ARCH_IPI_RESCHEDULE:
		break;
	case ARCH_IPI_CALL:
		id = A64_SGI_CALL;
		break;
	case ARCH_IPI_STOP:
		id = A64_SGI_STOP;
		break;
	}
	for (u32 cpu = 0; cpu < NR_CPUS_MAX && cpu_mask >> cpu; cpu++)
		if (cpu_mask >> cpu & 1 && READ_ONCE(a64_cpus[cpu].online))
			a64_sgi(cpu, id);
}
