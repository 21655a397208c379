/* Making tasks runnable. Theory: runqueue.c. */
#include "runqueue.h"
#include <core/call.h>
#include <core/time.h>
#include <lib/errno.h>
#include <core/mm.h>

#define STATE_BIT(s) (1u << (s))
#define STATES_SLEEPING                                                                            \
	(STATE_BIT(TASK_SLEEPING) | STATE_BIT(TASK_SLEEPING_UNINTERRUPTIBLE) |                     \
		STATE_BIT(TASK_SLEEPING_KILLABLE))

/* The task's queue, locked, interrupts off. */
static struct runqueue *task_rq_lock(struct task *t,
	word_t *irq) __no_lock_analysis /* hands the lock to the caller */
{
	*irq = arch_irq_save();
	for (;;) {
		u32 cpu = READ_ONCE(t->se.cpu);
		struct runqueue *rq = rq_of(cpu);

		spin_lock(&rq->lock);
		if (likely(READ_ONCE(t->se.cpu) == cpu))
			return rq;
		spin_unlock(&rq->lock);
	}
}

static void task_rq_unlock(struct runqueue *rq, word_t irq) __no_lock_analysis
{
	spin_unlock(&rq->lock);
	arch_irq_restore(irq);
	if (unlikely(READ_ONCE(this_cpu()->need_resched)) && *arch_preempt_count_ptr() == 0)
		preempt_schedule();
}

/* Off every queue, marked runnable: queues it on `cpu`, whose queue it belongs to by now. */
static void enqueue_on(struct runqueue *rq, struct task *t, u32 flags)
{
	if (rq->curr != rq->idle && rq == this_cpu()->rq)
		rq_update_current(rq);
	else
		rq->now_ns = (u64)time_monotonic_ns();
	rq_add(rq, t, flags);
	rq_check_preempt(rq, t);
}

bool task_wake_states(struct task *t, u32 states) __no_lock_analysis
{
	word_t irq;
	struct runqueue *rq = task_rq_lock(t, &irq);
	u32 target;

	/* Read by a read-modify-write: see task_set_state. */
	if (!(STATE_BIT(shared_fetch_or((u8 *)&t->state, 0)) & states)) {
		task_rq_unlock(rq, irq);
		return false;
	}
	if (t->se.on_queue) { /* on its way to sleep: it will not */
		shared_store_release(&t->state, TASK_RUNNABLE);
		task_rq_unlock(rq, irq);
		return true;
	}
	if (t->state == TASK_SLEEPING_UNINTERRUPTIBLE) {
		rq->now_ns = (u64)time_monotonic_ns();
		rq_load_changed(rq);
		rq_uninterruptible(rq, -1);
	}
	shared_store_release(&t->state, TASK_RUNNABLE);
	target = sched_select_cpu(t, false);
	if (unlikely(target != rq->cpu)) {
		WRITE_ONCE(t->se.cpu,
			target); /* nobody else touches it: neither asleep nor on a queue */
		t->se.nr_migrations++;
		spin_unlock(&rq->lock);
		rq = rq_of(target);
		spin_lock(&rq->lock);
		enqueue_on(rq, t, 2 /* SCHED_PLACE_MIGRATED */);
	} else {
		enqueue_on(rq, t, 0);
	}
	task_rq_unlock(rq, irq);
	return true;
}

bool task_wake(struct task *t)
{
	return task_wake_states(t, STATES_SLEEPING);
}

void task_wake_new(struct task *t) __no_lock_analysis
{
	word_t irq = arch_irq_save();
	struct runqueue *rq;

	t->state = TASK_RUNNABLE;
	WRITE_ONCE(t->se.cpu, sched_select_cpu(t, true));
	rq = rq_of(t->se.cpu);
	spin_lock(&rq->lock);
	enqueue_on(rq, t, 1 /* SCHED_PLACE_NEW_TASK */);
	task_rq_unlock(rq, irq);
}

/* Changes what is accounted in the queue's sums with the task off the queue. */
static bool off_queue(struct runqueue *rq, struct task *t)
{
	bool was = t->se.on_queue;

	if (rq->curr == t && rq == this_cpu()->rq)
		rq_update_current(rq);
	else
		rq->now_ns = (u64)time_monotonic_ns();
	if (was)
		rq_remove(rq, t);
	return was;
}

static void back_on_queue(struct runqueue *rq, struct task *t, bool was)
{
	if (!was)
		return;
	rq_add(rq, t, 0);
	if (rq->curr == t) {
		rq_take(rq, t);
		rq_resched(rq);
	} else {
		rq_check_preempt(rq, t);
	}
}

static void set_class(struct sched_entity *se, u32 policy, u32 rt_priority, s32 nice)
{
	se->policy = (u8)policy;
	se->nice = (s8)nice;
	se->rt_priority = (u8)rt_priority;
	se->class = policy == SCHED_FIFO || policy == SCHED_RR ? SCHED_CLASS_REALTIME
							       : SCHED_CLASS_FAIR;
	se->view.policy = policy;
	se->view.weight = sched_weight((u8)policy, (s8)nice);
}

static bool same_owner(const struct task *t)
{
	kuid_t mine = current->context->cred.euid;
	const struct credentials *theirs = &READ_ONCE(t->context)->cred;

	return kuid_eq(mine, theirs->euid) || kuid_eq(mine, theirs->uid);
}

/* RLIMIT_NICE: 20 - limit is the lowest nice value allowed (getrlimit(2)). */
static bool nice_allowed(struct task *t, s32 nice)
{
	return nice >= t->se.nice || 20 - (s64)MIN(task_rlimit(t, RLIMIT_NICE), 40ull) <= nice;
}

static int policy_allowed(struct task *t, u32 policy, u32 rt_priority, s32 nice)
{
	u64 limit = task_rlimit(t, RLIMIT_RTPRIO);

	if (context_capable(current->context, CAP_SYS_NICE))
		return 0;
	if (policy == SCHED_FIFO || policy == SCHED_RR) {
		if (policy != t->se.policy && limit == 0)
			return -EPERM;
		if (rt_priority > t->se.rt_priority && rt_priority > limit)
			return -EPERM;
	} else if (!nice_allowed(t, nice)) {
		return -EPERM;
	}
	if (t->se.policy == SCHED_IDLE && policy != SCHED_IDLE && !nice_allowed(t, t->se.nice))
		return -EPERM;
	return same_owner(t) ? 0 : -EPERM;
}

int sched_set_policy(struct task *t, u32 policy, u32 rt_priority, s32 nice) __no_lock_analysis
{
	bool reset = policy & SCHED_RESET_ON_FORK, realtime, was;
	struct runqueue *rq;
	word_t irq;
	int error;

	policy &= ~(u32)SCHED_RESET_ON_FORK;
	if (policy != SCHED_OTHER && policy != SCHED_FIFO && policy != SCHED_RR &&
		policy != SCHED_BATCH && policy != SCHED_IDLE)
		return -EINVAL;
	realtime = policy == SCHED_FIFO || policy == SCHED_RR;
	if (rt_priority > 99 || realtime != (rt_priority != 0))
		return -EINVAL;
	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	error = policy_allowed(t, policy, rt_priority, nice);
	if (error)
		return error;
	if (t->se.reset_on_fork && !reset && !context_capable(current->context, CAP_SYS_NICE))
		return -EPERM;
	call_effect_here();
	rq = task_rq_lock(t, &irq);
	was = off_queue(rq, t);
	set_class(&t->se, policy, rt_priority, nice);
	t->se.reset_on_fork = reset;
	t->se.rt_slice_used_ns = 0;
	back_on_queue(rq, t, was);
	task_rq_unlock(rq, irq);
	return 0;
}

int sched_set_nice(struct task *t, s32 nice) __no_lock_analysis
{
	struct runqueue *rq;
	word_t irq;
	bool was;

	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	if (!context_capable(current->context, CAP_SYS_NICE)) {
		if (!same_owner(t))
			return -EPERM;
		if (!nice_allowed(t, nice))
			return -EACCES;
	}
	call_effect_here();
	rq = task_rq_lock(t, &irq);
	was = off_queue(rq, t);
	set_class(&t->se, t->se.policy, t->se.rt_priority, nice);
	back_on_queue(rq, t, was);
	task_rq_unlock(rq, irq);
	return 0;
}

/* Moves it at once when it waits on a CPU that it may not use; a running one leaves at its next
 * schedule(). */
int sched_set_affinity(struct task *t, u64 mask) __no_lock_analysis
{
	struct runqueue *rq;
	word_t irq;

	if ((mask & READ_ONCE(cpu_online_mask)) == 0)
		return -EINVAL;
	if (current != t && !same_owner(t) && !context_capable(current->context, CAP_SYS_NICE))
		return -EPERM;
	call_effect_here();
	rq = task_rq_lock(t, &irq);
	t->se.affinity = mask;
	if (mask >> rq->cpu & 1) {
		task_rq_unlock(rq, irq);
		return 0;
	}
	if (rq->curr == t) {
		rq_resched(rq);
	} else if (t->se.queued && !t->se.running) {
		off_queue(rq, t);
		WRITE_ONCE(t->se.cpu, sched_select_cpu(t, true));
		spin_unlock(&rq->lock);
		rq = rq_of(t->se.cpu);
		spin_lock(&rq->lock);
		enqueue_on(rq, t, 2 /* SCHED_PLACE_MIGRATED */);
	}
	task_rq_unlock(rq, irq);
	return 0;
}

u64 sched_interval_ns(struct task *t)
{
	switch (t->se.policy) {
	case SCHED_FIFO:
		return 0;
	case SCHED_RR:
		return 100ull * NSEC_PER_MSEC;
	default:
		return policy_slice_ns();
	}
}

u64 sched_task_runtime_ns(struct task *t) __no_lock_analysis
{
	word_t irq;
	struct runqueue *rq = task_rq_lock(t, &irq);
	u64 runtime;

	if (rq->curr == t && rq == this_cpu()->rq)
		rq_update_current(rq);
	runtime = t->se.sum_exec_ns;
	if (rq->curr == t && rq != this_cpu()->rq) {
		s64 more = (s64)((u64)time_monotonic_ns() - t->se.exec_start_ns);

		runtime += more > 0 ? (u64)more : 0;
	}
	task_rq_unlock(rq, irq);
	return runtime;
}

/* sched_setscheduler(2), "Reset scheduling policy for child processes". */
void sched_fork(struct task *child, struct task *parent)
{
	struct sched_entity *se = &child->se;

	*se = (struct sched_entity){.affinity = parent->se.affinity, .cpu = parent->se.cpu};
	list_init(&se->rt_link);
	if (parent->se.reset_on_fork)
		set_class(se, SCHED_OTHER, 0, parent->se.nice < 0 ? 0 : parent->se.nice);
	else
		set_class(se, parent->se.policy, parent->se.rt_priority, parent->se.nice);
}

/* Weight of a nice value: each step is a factor of about 1.25, 1024 at 0 (sched(7): 10 % CPU per
 * step). */
u32 sched_weight(u8 policy, s8 nice)
{
	/* round(1024 / 1.25^nice) */
	static const u32 weights[40] = {
		88818,
		71054,
		56843,
		45475,
		36380,
		29104,
		23283,
		18626,
		14901,
		11921,
		9537,
		7629,
		6104,
		4883,
		3906,
		3125,
		2500,
		2000,
		1600,
		1280,
		1024,
		819,
		655,
		524,
		419,
		336,
		268,
		215,
		172,
		137,
		110,
		88,
		70,
		56,
		45,
		36,
		29,
		23,
		18,
		15,
	};

	return policy == SCHED_IDLE ? 3 : weights[nice + 20];
}

/* The idle task becomes what this CPU runs now (boot) or falls back on. */
void sched_init_cpu(u32 cpu, struct task *idle)
{
	static struct runqueue boot_queue; /* the first CPU has none of the allocators yet */
	struct runqueue *rq = cpu_data[cpu]->rq;

	if (!rq) {
		rq = boot_queue.idle ? kzalloc(sizeof(*rq)) : &boot_queue;
		BUG_ON(!rq);
		spin_init(&rq->lock, LOCK_LEVEL_RUNQUEUE);
		for (u32 i = 0; i < RT_PRIORITIES; i++)
			list_init(&rq->rt[i]);
	}
	rq->cpu = cpu;
	rq->idle = rq->curr = idle;
	rq->migrate_to = ~0u;
	rq->now_ns = (u64)time_monotonic_ns();
	rq->load_last_ns = rq->load_since_ns = rq->now_ns;
	list_init(&idle->se.rt_link);
	idle->se.class = SCHED_CLASS_IDLE;
	idle->se.cpu = cpu;
	idle->se.affinity = 1ull << cpu;
	idle->se.running = true;
	idle->se.exec_start_ns = rq->now_ns;
	idle->state = TASK_RUNNABLE;
	cpu_data[cpu]->idle = idle;
	cpu_data[cpu]->rq = rq;
}
