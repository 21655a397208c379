/*
 * Locks and grace periods (this file, mutex.c, grace.c).
 *
 * Purpose: mutual exclusion inside core, and deferred freeing for lock-free readers.
 *
 * Vocabulary: level = place of a lock in the one global order (core/lock.h); read section = region
 * with preemption off.
 *
 * Invariants:
 *   SYNC-I1 a lock is taken only while all held locks have smaller levels (equal levels: only by
 * trylock or in address order where the type says so, LOCK_LEVEL_NODE_NESTED); SYNC-I2 a spinlock
 * is released by the CPU that took it, with preemption off in between; SYNC-I3 no spinlock is held
 * over a sleep or across a slot (the run-queue lock around a policy excepted).
 *
 * Locks: test-and-set words. Fair ticket locks were rejected: with virtual CPUs a preempted ticket
 * holder stops everybody behind it.
 *
 * Failure and recovery: debug kernels panic with both levels named; release kernels do not check.
 *
 * Replacement: none, core is not replaced.
 *
 * Cost: an uncontended pair is one atomic exchange and one store.
 */
#include <core/lock.h>
#include <core/log.h>
#include <core/task.h>

void spin_lock_contended(struct spinlock *l)
{
	do {
		while (atomic32_load(&l->word))
			arch_cpu_relax();
	} while (atomic32_exchange(&l->word, 1));
}

#if UMKA_DEBUG
/* Levels held by this CPU's current context. Interrupt handlers push on top of what they
 * interrupted, which is right: a lock that an interrupt takes must be above all that is held with
 * interrupts on. Mutexes are recorded in the task (they survive a switch). */
struct held_locks {
	u32 depth;
	u32 base; /* of the interrupt in progress: what lies below is the interrupted code's */
	struct spinlock *lock[16];
};
static struct held_locks held[NR_CPUS_MAX];
static bool lock_debug_on = true;

void lock_debug_acquire(struct spinlock *l)
{
	u32 cpu = arch_this_cpu();
	struct held_locks *h = &held[cpu];
	word_t irq;

	l->holder = (u8)(cpu + 1);
	if (!READ_ONCE(lock_debug_on))
		return;
	irq = arch_irq_save();
	for (u32 i = h->base; l->level && i < h->depth && i < 16; i++) {
		struct spinlock *o = h->lock[i];

		if (o->level > l->level ||
			(o->level == l->level && o->level != LOCK_LEVEL_NODE_NESTED &&
				o->level != LOCK_LEVEL_RUNQUEUE && o > l)) {
			lock_debug_on = false;
			panic("lock inversion: level %u taken under level %u", l->level, o->level);
		}
	}
	if (h->depth < 16)
		h->lock[h->depth] = l;
	h->depth++;
	arch_irq_restore(irq);
}

void lock_debug_release(struct spinlock *l)
{
	struct held_locks *h = &held[arch_this_cpu()];
	word_t irq = arch_irq_save();

	if (READ_ONCE(lock_debug_on)) {
		if (l->holder != arch_this_cpu() + 1) {
			lock_debug_on = false;
			panic("spinlock of level %u released by CPU %u, held by %d", l->level,
				arch_this_cpu(), l->holder - 1);
		}
		for (u32 i = MIN(h->depth, 16u); i-- > 0;) {
			if (h->lock[i] != l)
				continue;
			for (u32 k = i; k + 1 < MIN(h->depth, 16u); k++)
				h->lock[k] = h->lock[k + 1];
			break;
		}
		if (h->depth)
			h->depth--;
	}
	l->holder = 0;
	arch_irq_restore(irq);
}

void spin_assert_held(const struct spinlock *l)
{
	if (l->holder != arch_this_cpu() + 1)
		panic("guard missing: a lock of level %u is not held here", l->level);
}

/* An interrupt takes locks that its victim's order says nothing about: those, and all that is taken
 * inside them, are always taken with interrupts off, so they cannot be among the victim's. */
u32 lock_debug_interrupt_begin(void)
{
	struct held_locks *h = &held[arch_this_cpu()];
	u32 before = h->base;

	h->base = h->depth;
	return before;
}

void lock_debug_interrupt_end(u32 before)
{
	held[arch_this_cpu()].base = before;
}

/* For core/sched: no spinlock but the run queue's may be held at a switch (SYNC-I3). */
u32 lock_debug_depth(void)
{
	/* Off while this CPU held some (another is about to panic): what it released since is not
	 * counted. */
	return READ_ONCE(lock_debug_on) ? held[arch_this_cpu()].depth : 0;
}

void lock_debug_disable(void)
{
	WRITE_ONCE(lock_debug_on, false);
}
#endif
