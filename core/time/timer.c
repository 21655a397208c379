/*
 * One-shot timers.
 *
 * Purpose: run a closed set of actions at absolute monotonic times. Nothing ticks: a CPU's hardware
 * timer is armed for the earliest of its queued timers and its running task's slice end, or not at
 * all.
 *
 * Vocabulary: *base*: one CPU's tree of timers ordered by deadline; *slice*: the running task's
 * slice end, which only its CPU touches, so that core/sched needs no lock for it; *programmed*:
 * what the hardware will do.
 *
 * Invariants: 1. a queued timer is in the base of its `cpu`, under that base's lock.  2. programmed
 * <= min(first, slice) on each CPU (an early interrupt finds nothing and programs again: disarming
 * costs nothing).  3. actions run without the base's lock, with `running` naming the timer, which
 * is what timer_cancel waits for.
 *
 * Locks: base lock (level TIMER, interrupts off). Failure: none. Replacement: targets are data and
 * the actions a closed enum.
 *
 * Cost: start = one tree insertion; a timer that is cancelled before it fires usually costs no
 * hardware access.
 */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/time.h>
#include <arch/time.h>
#include "time_internal.h"

struct timer_base {
	struct spinlock lock;
	struct rb_root tree guarded_by(&lock);
	struct timer *running guarded_by(&lock);
	ktime_t first; /* deadline of the first in the tree; written under the lock, by any CPU */
	ktime_t slice, programmed; /* own CPU, interrupts off */
};

static struct timer_base boot_base;

static struct timer_base *base_of(u32 cpu)
{
	return cpu_data[cpu]->timers;
}

void time_init_cpu(u32 cpu)
{
	struct timer_base *b = &boot_base;

	if (cpu_data[cpu]->timers)
		return;
	if (boot_base.lock.level) {
		b = kzalloc(sizeof(*b));
		BUG_ON(!b);
	}
	spin_init(&b->lock, LOCK_LEVEL_TIMER);
	b->first = b->slice = b->programmed = KTIME_MAX;
	cpu_data[cpu]->timers = b;
}

/* Interrupts off, on the base's own CPU. */
static void base_program(struct timer_base *b)
{
	ktime_t want = MIN(READ_ONCE(b->first), b->slice);

	if (want < b->programmed) {
		b->programmed = want;
		arch_timer_set(want);
	}
}

static void base_insert(struct timer_base *b, struct timer *t) __requires(&b->lock)
{
	struct rb_node **link = &b->tree.node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = t->deadline_ns < rb_entry(parent, struct timer, node)->deadline_ns
			       ? &parent->left
			       : &parent->right;
	}
	rb_insert(&b->tree, &t->node, parent, link);
	t->queued = true;
	if (t->deadline_ns < b->first)
		WRITE_ONCE(b->first, t->deadline_ns);
}

static void base_remove(struct timer_base *b, struct timer *t) __requires(&b->lock)
{
	struct rb_node *first;

	rb_erase(&b->tree, &t->node);
	t->queued = false;
	if (t->deadline_ns != b->first)
		return;
	first = rb_first(&b->tree);
	WRITE_ONCE(b->first, first ? rb_entry(first, struct timer, node)->deadline_ns : KTIME_MAX);
}

void timer_init(struct timer *t, enum timer_action action, void *target)
{
	*t = (struct timer){.action = action, .target = target};
}

/* Base of the timer, locked; it may move only by its owner's own timer_start. */
static struct timer_base *timer_lock(struct timer *t)
	__no_lock_analysis /* hands the lock to the caller */
{
	struct timer_base *b = base_of(t->cpu);

	spin_lock(&b->lock);
	return b;
}

void timer_start(struct timer *t, ktime_t deadline) __no_lock_analysis
{
	word_t irq = arch_irq_save();
	struct timer_base *b = timer_lock(t), *mine = base_of(arch_this_cpu());

	if (t->queued)
		base_remove(b, t);
	if (b != mine) {
		spin_unlock(&b->lock);
		spin_lock(&mine->lock);
	}
	t->cpu = arch_this_cpu();
	t->deadline_ns = deadline;
	if (deadline != KTIME_MAX)
		base_insert(mine, t);
	base_program(mine);
	spin_unlock(&mine->lock);
	arch_irq_restore(irq);
}

bool timer_cancel(struct timer *t) __no_lock_analysis
{
	word_t irq = arch_irq_save();

	for (;;) {
		struct timer_base *b = timer_lock(t);
		bool was = t->queued, wait = b->running == t && t->cpu != arch_this_cpu();

		if (was)
			base_remove(b, t);
		spin_unlock(&b->lock);
		if (!wait) {
			arch_irq_restore(irq);
			return was;
		}
		arch_cpu_relax();
	}
}

void timer_cancel_async(struct timer *t) __no_lock_analysis
{
	word_t irq = arch_irq_save();
	struct timer_base *b = timer_lock(t);

	if (t->queued)
		base_remove(b, t);
	spin_unlock(&b->lock);
	arch_irq_restore(irq);
}

static void timer_act(enum timer_action action, void *target)
{
	switch (action) {
	case TIMER_WAKE_TASK:
		task_wake(target);
		break;
	case TIMER_SCHED:
		break;
	case TIMER_WAITABLE:
		waitable_wake(target, EV_IN, 0);
		break;
	case TIMER_ITIMER:
		itimer_expired(target);
		break;
	case TIMER_TIMERFD:
		timerfd_expired(target);
		break;
	case TIMER_DEFERRED:
		deferred_queue(target);
		break;
	case TIMER_POSIX:
		posix_timer_expired(target);
		break;
	}
}

void timer_interrupt(void)
{
	struct timer_base *b = this_cpu()->timers;
	ktime_t now = time_monotonic_ns();
	bool slice_over;

	b->programmed = KTIME_MAX;
	slice_over = b->slice <= now;
	if (slice_over)
		b->slice = KTIME_MAX;
	spin_lock(&b->lock);
	while (b->first <= now) {
		struct timer *t = rb_entry(rb_first(&b->tree), struct timer, node);
		enum timer_action action = t->action;
		void *target = t->target;

		base_remove(b, t);
		b->running = t;
		spin_unlock(&b->lock);
		timer_act(action, target);
		spin_lock(&b->lock);
		b->running = nullptr;
	}
	spin_unlock(&b->lock);
	if (slice_over)
		sched_slice_interrupt(now);
	base_program(b);
}

void timer_set_slice(ktime_t deadline_ns)
{
	struct timer_base *b = this_cpu()->timers;

	b->slice = deadline_ns;
	if (deadline_ns < b->programmed)
		base_program(b);
}

ktime_t timer_next_ns(void)
{
	return READ_ONCE(((struct timer_base *)this_cpu()->timers)->first);
}
