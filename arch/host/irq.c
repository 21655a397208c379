/*
 * Interrupts.
 *
 * Purpose: those of other CPUs and of the timer, taken where interrupts open, where core relaxes
 * and where it idles.
 *
 * Invariants: HOST-I1 a handler runs on the interrupted task's stack with interrupts off, then core
 * may switch, as after a trap. Randomness: about one opening in 64 finds its time slice over
 * (need_resched), so that preemption happens between any two short locks; which ones, the seed
 * decides. There is no interrupt controller: devices of host tests complete from core threads.
 */
#include <core/sched.h>
#include <core/log.h>
#include <lib/errno.h>
#include <arch/irq.h>
#include <arch/trap.h>
#include <arch/time.h>
#include "host.h"

#define TICKS_PER_STEP 16u
#define PREEMPT_ONE_IN 64u

u64 host_random(struct host_cpu *c)
{
	/* Marsaglia 2003, "Xorshift RNGs" */
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return c->random;
}

/* Running code takes time: some microseconds every few openings and looks at the clock. */
static void tick(struct host_cpu *c)
{
	if (++c->nr_ticks % TICKS_PER_STEP == 0)
		os_advance((s64)(host_random(c) % 8192));
}

/* Interrupts off. */
static void take(struct host_cpu *c)
{
	u32 bits = os_interrupts_take(c->index);

	if (bits & OS_IRQ_STOP)
		irq_ipi(ARCH_IPI_STOP);
	if (bits & OS_IRQ_CALL)
		irq_ipi(ARCH_IPI_CALL);
	if (bits & OS_IRQ_RESCHEDULE)
		irq_ipi(ARCH_IPI_RESCHEDULE);
	if (os_timer_take(c->index))
		irq_timer();
}

void host_irq_open(void)
{
	struct host_cpu *c = host_cpu();

	tick(c);
	if (c->data && c->data->rq && c->preempt_count == 0 &&
		host_random(c) % PREEMPT_ONE_IN == 0 && c->task != c->data->idle)
		WRITE_ONCE(c->data->need_resched, 1);
	while (os_interrupts_wait(c->index)) {
		c->irq_off = 1;
		take(c);
		irq_exit_preempt();
		c = host_cpu();
	}
	c->irq_off = 0;
}

void host_relax(void)
{
	struct host_cpu *c = host_cpu();

	tick(c);
	os_yield();
	if (!c->irq_off && os_interrupts_wait(c->index))
		host_irq_open();
}

void host_idle_wait(void)
{
	os_idle(host_cpu()->index);
	host_irq_open();
}

void arch_ipi_send(u64 cpu_mask, enum arch_ipi kind)
{
	static const u32 bit[] = {OS_IRQ_RESCHEDULE, OS_IRQ_CALL, OS_IRQ_STOP};

	for (u32 i = 0; i < NR_CPUS_MAX; i++)
		if (cpu_mask >> i & 1)
			os_interrupt(i, bit[kind]);
}

u64 host_cycles(void)
{
	return (u64)os_now();
}

ktime_t arch_time_now_ns(void)
{
	tick(host_cpu());
	return os_now();
}

void arch_timer_set(ktime_t deadline_ns)
{
	os_timer_set(host_cpu()->index, deadline_ns);
}

int arch_irq_bind_line(u32 irq, u32 line, bool level, bool active_low)
{
	return -EINVAL;
}
int arch_irq_bind_msi(u32 irq, u32 cpu, u32 device, struct arch_msi *out)
{
	return -ENODEV;
}
void arch_irq_unbind(u32 irq)
{
}
void arch_irq_mask(u32 irq)
{
}
void arch_irq_unmask(u32 irq)
{
}
u32 arch_pci_ecam(struct arch_pci_ecam *out, u32 max)
{
	return 0;
}
int arch_pci_intx_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out)
{
	return -ENOENT;
}
u32 arch_platform_devices(struct arch_platform_device *out, u32 max)
{
	return 0;
}
u32 arch_io_read(u16 port, u32 bytes)
{
	return ~0u;
}
void arch_io_write(u16 port, u32 bytes, u32 value)
{
}
