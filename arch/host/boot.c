/*
 * The port that host tests run on (architecture.md section 10): CPUs are threads, tasks are fibers,
 * time is virtual, user page tables are walked in software, there is no user mode. Core, subsystems
 * and components are those of the kernel, the modules loaded by its loader; the sanitizers are the
 * compiler's own.
 *
 * Vocabulary: blob: the archive of symbols and modules, as in a kernel image (os.c reads it into
 * RAM).
 *
 * Invariants: HOST-B1 os.c alone sees the C library: core's object is linked first, its names made
 * local, since it has a memcpy, an snprintf and so on of its own. What it cannot show: entry and
 * exit of user mode, hardware's order of page-table and memory accesses, interrupts between two
 * instructions (they come where interrupts open), FP state.
 */
#include <core/cpu.h>
#include <core/cmdline.h>
#include <core/log.h>
#include <lib/string.h>
#include "host.h"

static struct boot_info info;

void kernel_boot(void)
{
	struct host_cpu *c = &host_cpus[0];
	u64 blob_end = ALIGN_UP(os_config.blob_offset + os_config.blob_bytes, (u64)PAGE_BYTES);

	os_cpu_set(c);
	c->irq_off = 1;
	c->random = os_config.seed * 0x9e3779b97f4a7c15ull + 1;
	strlcpy(info.command_line, os_config.command_line, sizeof(info.command_line));
	info.blob = (struct boot_range){os_config.blob_offset, os_config.blob_bytes};
	info.mem[0] = (struct boot_mem){os_config.blob_offset, blob_end - os_config.blob_offset,
		BOOT_MEM_KERNEL};
	info.mem[1] =
		(struct boot_mem){blob_end, os_config.memory_bytes - blob_end, BOOT_MEM_USABLE};
	info.nr_mem = 2;
	info.loader = "host test";
	core_main(&info);
}
