/* schedule(), preemption, yield, the idle loop. Theory: runqueue.c. */
#include "runqueue.h"
#include <core/call.h>
#include <core/mm.h>
#include <core/time.h>
#include <arch/trap.h>

#define STATE_BIT(s) (1u << (s))

void task_set_state(int state)
{
	/* Pairs with task_wake_states: both exchange the word, so the later of the two sees all
	 * that came before the earlier: the waker's condition here, or the state there. After a
	 * store the look at the condition might overtake it (Arm ARM B2.3: a store-release orders
	 * no plain load after it). */
	(void)shared_exchange(&current->state, (enum task_state)state);
}

static bool state_sleeps(enum task_state s)
{
	return s != TASK_RUNNABLE && s != TASK_NEW;
}

/* The task gives up the CPU: off the queue unless a signal or a wake came first. */
static void leave_queue(struct runqueue *rq, struct task *prev)
{
	if (prev->state == TASK_SLEEPING &&
		(READ_ONCE(prev->work) & (TASK_WORK_SIGNAL | TASK_WORK_STOP))) {
		prev->state = TASK_RUNNABLE;
		return;
	}
	if (prev->state == TASK_SLEEPING_KILLABLE && task_kill_pending(prev)) {
		prev->state = TASK_RUNNABLE;
		return;
	}
	rq_remove(rq, prev);
	prev->sleep_start_ns = (ktime_t)rq->now_ns;
	if (prev->state == TASK_SLEEPING_UNINTERRUPTIBLE)
		rq_uninterruptible(rq, 1);
}

/* prev stays runnable: back into its tree or list. */
static void put_previous(struct runqueue *rq, struct task *prev)
{
	bool at_head = true;

	if (prev->se.class == SCHED_CLASS_REALTIME && prev->se.policy == SCHED_RR &&
		prev->se.rt_slice_used_ns >= 100ull * NSEC_PER_MSEC) {
		prev->se.rt_slice_used_ns = 0;
		at_head = false;
	}
	if (rq->yielding)
		at_head = false;
	rq_put(rq, prev, at_head);
}

/* The allowed set no longer holds this CPU: finish_switch hands it on. */
static bool must_leave_cpu(struct runqueue *rq, struct task *prev)
{
	u64 allowed = prev->se.affinity & READ_ONCE(cpu_online_mask);

	/* one that is about to sleep goes when it wakes */
	if (likely(prev->se.affinity >> rq->cpu & 1) || allowed == 0 ||
		prev->state != TASK_RUNNABLE)
		return false;
	rq_remove(rq, prev);
	rq->migrate_to = (u32)__builtin_ctzll(allowed);
	return true;
}

static struct task *pick_next(struct runqueue *rq, struct task *prev)
{
	bool stays = prev != rq->idle && prev->se.on_queue && !must_leave_cpu(rq, prev);
	struct task *next;

	if (stays && !rq->yielding)
		put_previous(rq, prev);
	next = rq_pick(rq);
	if (stays && rq->yielding) {
		if (!next)
			return prev;
		/* somebody of a lower class than the one that yields does not get the CPU */
		if (next->se.class > prev->se.class ||
			(next->se.class == SCHED_CLASS_REALTIME &&
				prev->se.class == SCHED_CLASS_REALTIME &&
				next->se.rt_priority < prev->se.rt_priority)) {
			rq_put(rq, next, true);
			return prev;
		}
		put_previous(rq, prev);
	}
	if (!next && sched_idle_pull(rq))
		next = rq_pick(rq);
	return next ? next : rq->idle;
}

static void switch_space(struct task *prev, struct task *next)
{
	struct cpu *cpu = this_cpu();
	struct arch_space *space = next->space ? &next->space->arch : nullptr;

	(void)prev;
	/* On one CPU a kernel thread keeps the last space: whoever destroys a space has left it
	 * (sched_switch_space). With more CPUs nobody would tell this one, so it leaves at once. */
	if (!space && (READ_ONCE(cpu_online_mask) & (READ_ONCE(cpu_online_mask) - 1)) == 0)
		return;
	if (cpu->space == space)
		return;
	cpu->space = space;
	arch_space_activate(space);
}

void sched_switch_space(void)
{
	word_t irq = arch_irq_save();
	struct arch_space *space = current->space ? &current->space->arch : nullptr;

	this_cpu()->space = space;
	arch_space_activate(space);
	arch_irq_restore(irq);
}

static void idle_mask_update(struct runqueue *rq, struct task *next)
{
	if (next == rq->idle)
		atomic_word_fetch_or(&sched_idle_mask, (word_t)1 << rq->cpu);
	else if (rq->curr == rq->idle)
		atomic_word_fetch_and(&sched_idle_mask, ~((word_t)1 << rq->cpu));
}

/* Hand-over: the lock taken by the task that left is released by the one that arrives. */
void sched_finish_switch(struct task *prev) __no_lock_analysis
{
	struct runqueue *rq = this_cpu()->rq;
	u32 to = rq->migrate_to;
	bool dead = prev->state == TASK_DEAD && !prev->se.on_queue;

	rq->migrate_to = ~0u;
	if (likely(to == ~0u)) {
		shared_store_release(&prev->se.running, false);
		spin_unlock(&rq->lock);
		if (unlikely(dead))
			task_finish_dead(prev);
		return;
	}
	WRITE_ONCE(prev->se.cpu, to);
	prev->se.running = false;
	spin_unlock(&rq->lock);
	rq = rq_of(to);
	spin_lock(&rq->lock);
	rq->now_ns = (u64)time_monotonic_ns();
	rq_add(rq, prev, 2 /* SCHED_PLACE_MIGRATED */);
	rq_check_preempt(rq, prev);
	spin_unlock(&rq->lock);
}

/* Interrupts off, preemption count 0. The queue's lock crosses the switch. */
static void schedule_locked(bool preempted) __no_lock_analysis
{
	struct cpu *cpu = this_cpu();
	struct runqueue *rq = cpu->rq;
	struct task *prev = rq->curr, *next;

	grace_quiescent(); /* before the lock, whose exchange keeps what follows behind it */
	spin_lock(&rq->lock);
	rq_update_current(rq);
	WRITE_ONCE(cpu->need_resched, 0);
	if (prev->work & TASK_WORK_RESCHED)
		task_work_clear_relaxed(prev, TASK_WORK_RESCHED);
	if (!preempted && state_sleeps(prev->state) && prev->se.on_queue)
		leave_queue(rq, prev);
	next = pick_next(rq, prev);
	rq->yielding = false;
	next->se.view.run_ns = 0;
	rq_arm_slice(rq, next);
	if (next == prev) {
		spin_unlock(&rq->lock);
		return;
	}
	if (preempted) {
		usage_count(&prev->usage.switches_involuntary, 1);
		if (prev->rseq)
			task_work_set_relaxed(prev, TASK_WORK_RSEQ);
	} else {
		usage_count(&prev->usage.switches_voluntary, 1);
	}
	cpu->stat_switches++;
	idle_mask_update(rq, next);
	next->se.exec_start_ns = rq->now_ns;
	next->se.running = true;
	next->charge_cycles = arch_cycles();
	if (next->rseq && next->rseq_cpu != rq->cpu)
		task_work_set_relaxed(next, TASK_WORK_RSEQ);
	rq->curr = next;
	switch_space(prev, next);
	sched_finish_switch(arch_switch(prev, next));
}

/* calls.md: no module frame is on the stack of a sleeper, and no spinlock is held over a sleep. */
static void check_may_sleep(void)
{
#if UMKA_DEBUG
	call_check_may_sleep();
	BUG_ON(lock_debug_depth());
	BUG_ON(*arch_preempt_count_ptr());
#endif
}

void schedule(void)
{
	word_t irq;

	check_may_sleep();
	irq = arch_irq_save();
	schedule_locked(false);
	arch_irq_restore(irq);
}

/* Locked code paths that end with the count at 0, or an interrupt's end. */
void preempt_schedule(void)
{
	if (!arch_irq_enabled())
		return;
	do {
		arch_irq_disable();
		if (*arch_preempt_count_ptr() == 0 && READ_ONCE(this_cpu()->need_resched))
			schedule_locked(true);
		arch_irq_enable();
	} while (unlikely(READ_ONCE(this_cpu()->need_resched)) && *arch_preempt_count_ptr() == 0);
}

void irq_exit_preempt(void)
{
	if (likely(!READ_ONCE(this_cpu()->need_resched)) || *arch_preempt_count_ptr() != 0)
		return;
	schedule_locked(true);
}

/* True when it gave the CPU away at least once. */
bool cond_resched(void)
{
	if (likely(!READ_ONCE(this_cpu()->need_resched)))
		return false;
	preempt_schedule();
	return true;
}

bool schedule_deadline(ktime_t deadline_ns)
{
	struct timer t;

	if (deadline_ns == KTIME_MAX) {
		schedule();
		return false;
	}
	timer_init(&t, TIMER_WAKE_TASK, current);
	timer_start(&t, deadline_ns);
	schedule();
	return !timer_cancel(&t) && time_monotonic_ns() >= deadline_ns;
}

void sched_yield_current(void)
{
	struct task *t = current;
	struct runqueue *rq;
	word_t irq;

	check_may_sleep();
	irq = arch_irq_save();
	rq = this_cpu()->rq;
	spin_lock(&rq->lock);
	if (rq->nr_running > 1) {
		rq_update_current(rq);
		if (t->se.class == SCHED_CLASS_FAIR)
			policy_yielded(rq, &t->se);
		rq->yielding = true;
	}
	spin_unlock(&rq->lock);
	if (rq->yielding)
		schedule_locked(false);
	arch_irq_restore(irq);
}

__noreturn void sched_idle_loop(void)
{
	struct cpu *cpu = this_cpu();

	for (;;) {
		arch_irq_disable();
		grace_quiescent_fenced();
		if (READ_ONCE(cpu->need_resched) || READ_ONCE(cpu->rq->nr_running)) {
			schedule_locked(false);
			arch_irq_enable();
		} else {
			arch_idle_wait();
		}
	}
}

/* Timer interrupt of this CPU: the end of the slice. */
void sched_slice_interrupt(ktime_t now)
{
	struct runqueue *rq = this_cpu()->rq;

	if (!rq)
		return;
	(void)now;
	spin_lock(&rq->lock);
	rq_update_current(rq);
	if (rq->curr != rq->idle) {
		if (READ_ONCE(rq->curr->group->cpu_timers_armed))
			task_work_set(rq->curr, TASK_WORK_CPUTIME);
		if (rq->curr->se.class == SCHED_CLASS_REALTIME && rq->nr_running > 1)
			rq_resched(rq);
		else if (!READ_ONCE(this_cpu()->need_resched))
			rq_arm_slice(rq, rq->curr);
	}
	spin_unlock(&rq->lock);
}
