/*
 * Interrupts (irq.c), cross calls (ipi.c), traps (trap.c).
 *
 * Purpose: number interrupts, turn those of devices into deferred calls ("interrupts reach
 * components as events in a core thread").
 *
 * Objects: one descriptor per core interrupt number. Invariants: IRQ-I1 a level line is masked from
 * its interrupt until every component that shares it has said irq_done; IRQ-I2 the handler side
 * takes no lock but the descriptor's. Locks: descriptor lock, LOCK_LEVEL_IRQ.
 *
 * Failure and recovery: an interrupt nobody attached is masked and counted. Replacement: events
 * name slot and object, never code.
 *
 * Cost: one table access and one queue insertion.
 */
#include <core/console.h>
#include <core/irq.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/random.h>
#include <core/time.h>
#include <core/sched.h>
#include <arch/irq.h>
#include <arch/trap.h>

#define NR_IRQS     256
#define IRQ_SHARERS 8u
struct irq_descriptor {
	struct spinlock lock;
	struct deferred *event[IRQ_SHARERS] guarded_by(&lock);
	u32 pending guarded_by(&lock);  /* sharers that have not said irq_unmask_line since the
					   interrupt: bits */
	u32 nr_users guarded_by(&lock); /* 0: free */
	bool level guarded_by(&lock), wired guarded_by(&lock);
	struct arch_line line guarded_by(&lock);
	u64 count;
};
static struct irq_descriptor irqs[NR_IRQS];
static struct spinlock irq_table_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ - 1);

int irq_alloc(void)
{
	int found = -ENOSPC;
	word_t state = spin_lock_irqsave(&irq_table_lock);

	for (u32 i = 0; i < NR_IRQS && found < 0; i++) {
		struct irq_descriptor *d = &irqs[i];

		spin_lock(&d->lock);
		if (!d->nr_users) {
			d->nr_users = 1;
			d->wired = false;
			d->count = 0;
			found = (int)i;
		}
		spin_unlock(&d->lock);
	}
	spin_unlock_irqrestore(&irq_table_lock, state);
	return found;
}

/* -ENOENT: nobody has the line yet. */
static int share_line(const struct arch_line *line)
{
	int found = -ENOENT;
	word_t state = spin_lock_irqsave(&irq_table_lock);

	for (u32 i = 0; i < NR_IRQS && found == -ENOENT; i++) {
		struct irq_descriptor *d = &irqs[i];

		spin_lock(&d->lock);
		if (d->nr_users && d->wired && d->line.line == line->line) {
			found = d->line.level && line->level ? (int)i : -EBUSY;
			d->nr_users += found >= 0;
		}
		spin_unlock(&d->lock);
	}
	spin_unlock_irqrestore(&irq_table_lock, state);
	return found;
}

int irq_alloc_line(const struct arch_line *line)
{
	int irq = share_line(line), r;
	word_t state;

	if (irq != -ENOENT)
		return irq;
	irq = irq_alloc();
	if (irq < 0)
		return irq;
	r = arch_irq_bind_line((u32)irq, line->line, line->level, line->active_low);
	if (r) {
		irq_free((u32)irq, nullptr);
		return r;
	}
	state = spin_lock_irqsave(&irqs[irq].lock);
	irqs[irq].wired = true;
	irqs[irq].line = *line;
	spin_unlock_irqrestore(&irqs[irq].lock, state);
	return irq;
}

static u32 sharer_of(const struct irq_descriptor *d, const struct deferred *event)
	__requires(&d->lock)
{
	u32 i = 0;

	while (i < IRQ_SHARERS && d->event[i] != event)
		i++;
	return i;
}

static bool nobody_attached(const struct irq_descriptor *d) __requires(&d->lock)
{
	for (u32 i = 0; i < IRQ_SHARERS; i++)
		if (d->event[i])
			return false;
	return true;
}

/* The event has done its part, or is gone. */
static void sharer_done(struct irq_descriptor *d, u32 i) __requires(&d->lock)
{
	u32 before = d->pending;

	d->pending &= ~(1u << i);
	if (before && !d->pending && !nobody_attached(d))
		arch_irq_unmask((u32)(d - irqs));
}

void irq_free(u32 irq, struct deferred *event)
{
	struct irq_descriptor *d;
	word_t state;
	u32 i;

	if (irq >= NR_IRQS)
		return;
	d = &irqs[irq];
	state = spin_lock_irqsave(&d->lock);
	i = event ? sharer_of(d, event) : IRQ_SHARERS;
	if (i < IRQ_SHARERS) {
		d->event[i] = nullptr;
		sharer_done(d, i);
	}
	if (nobody_attached(d))
		arch_irq_mask(irq);
	if (d->nr_users && !--d->nr_users)
		arch_irq_unbind(irq);
	spin_unlock_irqrestore(&d->lock, state);
}

int irq_attach(u32 irq, struct deferred *event, bool level)
{
	struct irq_descriptor *d;
	bool waiting;
	word_t state;
	u32 i;

	if (irq >= NR_IRQS)
		return -EINVAL;
	d = &irqs[irq];
	state = spin_lock_irqsave(&d->lock);
	i = sharer_of(d, nullptr);
	if (i < IRQ_SHARERS)
		d->event[i] = event;
	d->level = level;
	waiting = d->pending;
	spin_unlock_irqrestore(&d->lock, state);
	if (i == IRQ_SHARERS)
		return -EBUSY;
	if (!waiting)
		arch_irq_unmask(irq);
	return 0;
}

void irq_unmask_line(u32 irq, struct deferred *event)
{
	struct irq_descriptor *d;
	word_t state;
	u32 i;

	if (irq >= NR_IRQS)
		return;
	d = &irqs[irq];
	state = spin_lock_irqsave(&d->lock);
	i = sharer_of(d, event);
	if (i < IRQ_SHARERS)
		sharer_done(d, i);
	spin_unlock_irqrestore(&d->lock, state);
}

u64 irq_count(u32 irq)
{
	return irq < NR_IRQS ? READ_ONCE(irqs[irq].count) : 0;
}

static void dispatch(u32 irq)
{
	struct deferred *events[IRQ_SHARERS];
	struct irq_descriptor *d;
	u32 nr = 0;

	if (irq >= NR_IRQS)
		return;
	d = &irqs[irq];
	spin_lock(&d->lock);
	d->count++;
	for (u32 i = 0; i < IRQ_SHARERS; i++)
		if (d->event[i]) {
			events[nr++] = d->event[i];
			d->pending |= d->level ? 1u << i : 0;
		}
	if (!nr || d->level)
		arch_irq_mask(irq);
	spin_unlock(&d->lock);
	this_cpu()->stat_irqs++;
	random_interrupt(irq);
	for (u32 i = 0; i < nr; i++)
		deferred_queue(events[i]);
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

	console_kick_late();
	timer_interrupt();
	lock_debug_interrupt_end(locks);
}
