/*
 * The CPU: a thread, its data, its end. Other CPUs are in smp.c.
 *
 * Locks: none. Cost: each look at per-CPU data is a call (impl/cpu.h says why).
 */
#include <core/cpu.h>
#include <core/log.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/elf.h>
#include <arch/ucopy.h>
#include "host.h"

struct host_cpu host_cpus[NR_CPUS_MAX];

struct host_cpu *host_cpu(void)
{
	return os_cpu();
}

void arch_cpu_data_set(struct cpu *data)
{
	host_cpus[data->index].data = data;
}

void arch_current_set(struct task *t)
{
	host_cpu()->task = t;
	host_adopt_thread(t);
}

void arch_halt(void)
{
	os_stop();
}
/* What arch_test_main did not end with a status of its own is a failure. */
void arch_power_off(void)
{
	os_exit(1);
}
void arch_reboot(void)
{
	os_exit(99);
}

void arch_early_putc(char c)
{
	static char line[256];
	static u32 at;

	if (c == '\r')
		return;
	line[at++] = c;
	if (c == '\n' || at == sizeof(line)) {
		os_write(2, line, at);
		at = 0;
	}
}

u32 arch_backtrace(word_t fp, word_t *pc, u32 nr)
{
	word_t frame[2];
	u32 n = 0;

	if (!fp)
		fp = (word_t)__builtin_frame_address(0);
	while (n < nr && IS_ALIGNED(fp, 8)) {
		if (os_read_nofault(frame, (const void *)fp, sizeof(frame)) || !frame[1])
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
	for (size_t i = 0; i < bytes; i++)
		((u8 *)buf)[i] = (u8)(host_random(host_cpu()) >> 32);
	return bytes;
}

int arch_cpuinfo(u32 cpu, char *buf, size_t size)
{
	return snprintf(buf, size, "processor\t: %u\nmodel name\t: host test\n\n", cpu);
}

u64 arch_elf_hwcap(void)
{
	return 0;
}
u64 arch_elf_hwcap2(void)
{
	return 0;
}
size_t arch_minsigstksz(void)
{
	return 2048;
}
