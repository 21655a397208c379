/* Other CPUs: a thread each, which keeps its own stack for the idle task. Failure: no thread: -EIO.
 */
#include <core/cpu.h>
#include <lib/errno.h>
#include "host.h"

u32 arch_nr_cpus_present(void)
{
	return os_config.nr_cpus;
}

void kernel_secondary(u32 cpu)
{
	os_cpu_set(&host_cpus[cpu]);
	host_adopt_thread(host_cpus[cpu].task);
	core_secondary_main(cpu);
}

int arch_cpu_start(u32 cpu, struct task *idle, void *stack_top)
{
	struct host_cpu *c = &host_cpus[cpu];

	c->index = cpu;
	c->task = idle;
	c->irq_off = 1;
	c->random = os_config.seed * 0x9e3779b97f4a7c15ull + cpu + 1;
	if (!os_cpu_start(cpu))
		return -EIO;
	while (!(shared_load_acquire(&cpu_online_mask) >> cpu & 1))
		arch_cpu_relax();
	return 0;
}
