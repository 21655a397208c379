/*
 * Interrupts (irq.c), cross calls (ipi.c), traps (trap.c).
 *
 * Purpose: number interrupts, turn those of devices into deferred calls ("interrupts reach
 * components as events in a core thread").
 *
 * Objects: one descriptor per core interrupt number. Invariants: IRQ-I1 a level line is masked from
 * its interrupt until the component's irq_done; IRQ-I2 the handler side takes no lock but the
 * descriptor's. Locks: descriptor lock, LOCK_LEVEL_IRQ.
 *
 * Failure and recovery: an interrupt nobody attached is masked and counted. Replacement: events
 * name slot and object, never code.
 *
 * Cost: one table access and one queue insertion.
 */
#include <core/irq.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/time.h>
#include <core/sched.h>
#include <arch/irq.h>
#include <arch/trap.h>

#define NR_IRQS 256
struct irq_descriptor {
	struct spinlock lock;
	struct deferred *event guarded_by(&lock);
	bool used guarded_by(&lock), level guarded_by(&lock);
	u64 count;
};
static struct irq_descriptor irqs[NR_IRQS];
static struct spinlock irq_table_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ - 1);

int irq_alloc(void)
{
	int found = -ENOSPC;
	word_t state = spin_lock_irqsave(&irq_table_lock);

	for (u32 i = 0; i < NR_IRQS && found < 0; i++) {
		spin_lock(&irqs[i].lock);
		if (!irqs[i].used) {
			irqs[i].used = true;
			irqs[i].count = 0;
			found = (int)i;
		}
		spin_unlock(&irqs[i].lock);
	}
	spin_unlock_irqrestore(&irq_table_lock, state);
	return found;
}

void irq_free(u32 irq)
{
	word_t state;

	if (irq >= NR_IRQS)
		return;
	irq_detach(irq);
	state = spin_lock_irqsave(&irqs[irq].lock);
	irqs[irq].used = false;
	spin_unlock_irqrestore(&irqs[irq].lock, state);
}

int irq_attach(u32 irq, struct deferred *d, bool level)
{
	word_t state;

	if (irq >= NR_IRQS)
		return -EINVAL;
	state = spin_lock_irqsave(&irqs[irq].lock);
	irqs[irq].event = d;
	irqs[irq].level = level;
	spin_unlock_irqrestore(&irqs[irq].lock, state);
	arch_irq_unmask(irq);
	return 0;
}

void irq_detach(u32 irq)
{
	word_t state;

	if (irq >= NR_IRQS)
		return;
	arch_irq_mask(irq);
	state = spin_lock_irqsave(&irqs[irq].lock);
	irqs[irq].event = nullptr;
	spin_unlock_irqrestore(&irqs[irq].lock, state);
}

void irq_unmask_line(u32 irq)
{
	arch_irq_unmask(irq);
}

u64 irq_count(u32 irq)
{
	return irq < NR_IRQS ? READ_ONCE(irqs[irq].count) : 0;
}

static void dispatch(u32 irq)
{
	struct irq_descriptor *d;
	struct deferred *event;

	if (irq >= NR_IRQS)
		return;
	d = &irqs[irq];
	spin_lock(&d->lock);
	d->count++;
	event = d->event;
	if (!event || d->level)
		arch_irq_mask(irq);
	spin_unlock(&d->lock);
	this_cpu()->stat_irqs++;
	if (event)
		deferred_queue(event);
}

void irq_dispatch(u32 irq)
{
	u32 locks = lock_debug_interrupt_begin();

	dispatch(irq);
	lock_debug_interrupt_end(locks);
}

void irq_timer(void)
{
	u32 locks = lock_debug_interrupt_begin();

	timer_interrupt();
	lock_debug_interrupt_end(locks);
}
