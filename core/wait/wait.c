/*
 * The one wait: waitables, entries, wakes, and sleeping with one's own frame. Rules in
 * core/include/core/wait.h.
 *
 * Purpose: every sleep of the kernel goes through a waitable; who waits for what is data.
 *
 * Objects and lifetimes: a waitable lives in the object that it belongs to; whoever arms an entry
 * holds a reference on that object. An entry lives in a call record, an epoll item or on a core
 * stack, and is disarmed before it goes.
 *
 * Invariants:
 *   WAIT-I1 state changes before waitable_wake raises seq, and a waiter reads seq before the state:
 * so a wake is never lost; WAIT-I2 entry->armed is written under on->lock only; a disarmed entry is
 * on no list; WAIT-I3 a wake acts on targets under the waitable's lock (tasks: the run-queue lock
 * is above it; epoll: items go to a queue of the epoll).
 *
 * Locks: waitable.lock, irq-safe. Failure and recovery: none can fail. Replacement: targets are
 * data (closed enum), so nothing to replace.
 *
 * Cost: a wake without waiters is an atomic add and a load.
 */
#include <core/wait.h>
#include <lib/errno.h>
#include <core/call.h>
#include <core/log.h>
#include <core/task.h>

void waitable_init(struct waitable *w)
{
	spin_init(&w->lock, LOCK_LEVEL_WAITABLE);
	atomic32_store(&w->seq, 0);
	/* WHY no lock: nobody else knows it yet */
	list_init((struct list_node *)&w->entries);
}

static void wake_entry(struct wait_entry *e, u32 mask)
{
	/* The waiter looks at it without the lock, after it has set its state and before it sleeps.
	 * That needs no order: either it sees this, or the wake below sees its state (both are
	 * read-modify-writes of it); what was done before the wake it sees when it disarms, under
	 * the lock. */
	WRITE_ONCE(e->fired, e->fired | (mask & e->mask));
	switch (e->action) {
	case WAKE_TASK:
		task_wake(e->target);
		break;
	case WAKE_EPOLL:
		epoll_item_wake(e->target, mask);
		break;
	case WAKE_DEFERRED:
		deferred_queue(e->target);
		break;
	}
}

void waitable_wake(struct waitable *w, u32 mask, u32 nr_exclusive)
{
	struct wait_entry *e, *next;
	u32 woken = 0;
	word_t irq;

	atomic32_fetch_add(&w->seq, 1);
	/* WHY without the lock: an entry that is armed after this reads the new seq and does not
	 * sleep (WAIT-I1). */
	if (READ_ONCE(w->entries.next) == &w->entries)
		return;
	irq = spin_lock_irqsave(&w->lock);
	list_for_each_entry_safe (e, next, &w->entries, link) {
		if (!(e->mask & mask))
			continue;
		if (e->flags & WAIT_EXCLUSIVE) {
			if (nr_exclusive && woken >= nr_exclusive)
				continue;
			woken++;
			/* Once woken it is no candidate again until it has run: the next wake goes
			 * to the next waiter. */
			list_del(&e->link);
			e->armed = false;
		}
		wake_entry(e, mask);
	}
	spin_unlock_irqrestore(&w->lock, irq);
	epoll_propagate(); /* WAIT-I3: what epoll items were woken above */
}

bool wait_entry_arm(struct wait_entry *e, struct waitable *w, u32 mask, u32 seq)
{
	word_t irq = spin_lock_irqsave(&w->lock);
	bool ok;

	e->on = w;
	e->mask = mask;
	e->fired = 0;
	/* Exclusive entries queue behind shared ones, so that one pass wakes all shared ones first.
	 */
	if (e->flags & WAIT_EXCLUSIVE)
		list_add_tail(&w->entries, &e->link);
	else
		list_add(&w->entries, &e->link);
	e->armed = true;
	/* Pairs with the add in waitable_wake: of two read-modify-writes of one word the later one
	 * sees all that came before the earlier. A load would not do here: it may overtake the
	 * stores of the list above, and then neither sees the other. */
	ok = atomic32_fetch_add(&w->seq, 0) == seq;
	if (!ok) {
		list_del(&e->link);
		e->armed = false;
	}
	spin_unlock_irqrestore(&w->lock, irq);
	return ok;
}

bool wait_entry_disarm(struct wait_entry *e)
{
	struct waitable *w = e->on;
	bool was_armed;
	word_t irq;

	if (!w)
		return false;
	irq = spin_lock_irqsave(&w->lock);
	was_armed = e->armed;
	if (was_armed) {
		list_del(&e->link);
		e->armed = false;
	}
	spin_unlock_irqrestore(&w->lock, irq);
	e->on = nullptr;
	return was_armed;
}

bool waitable_has_waiters(struct waitable *w)
{
	word_t irq = spin_lock_irqsave(&w->lock);
	bool any = !list_empty(&w->entries);

	spin_unlock_irqrestore(&w->lock, irq);
	return any;
}

int wait_sleep(struct waitable *w, u32 mask, u32 seq, ktime_t deadline_ns, u32 flags)
{
	struct wait_entry e = {.target = current, .action = WAKE_TASK};
	struct timer timer;
	int result = 0;

	if (!wait_entry_arm(&e, w, mask, seq))
		return 0;
	if (deadline_ns != KTIME_MAX) {
		timer_init(&timer, TIMER_WAKE_TASK, current);
		timer_start(&timer, deadline_ns);
	}
	for (;;) {
		task_set_state(flags & WAITF_INTERRUPTIBLE ? TASK_SLEEPING
			       : flags & WAITF_KILLABLE    ? TASK_SLEEPING_KILLABLE
							   : TASK_SLEEPING_UNINTERRUPTIBLE);
		if (READ_ONCE(e.fired) || atomic32_load_seq(&w->seq) != seq)
			break;
		if ((flags & WAITF_INTERRUPTIBLE && task_signal_pending(current)) ||
			(flags & WAITF_KILLABLE && task_kill_pending(current))) {
			result = -EINTR;
			break;
		}
		if (deadline_ns != KTIME_MAX && time_monotonic_ns() >= deadline_ns) {
			result = -ETIMEDOUT;
			break;
		}
		schedule();
	}
	task_set_state(TASK_RUNNABLE);
	wait_entry_disarm(&e);
	if (deadline_ns != KTIME_MAX)
		timer_cancel(&timer);
	return result;
}
