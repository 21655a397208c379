/*
 * Scheduler mechanism.
 *
 * Purpose: decide which task runs on which CPU, switch, wake, preempt. Which fair task is next is
 * the policy's decision (policy/sched_eevdf behind contract policy_sched); everything here is
 * mechanism.
 *
 * Vocabulary: a task is *on queue* when it counts as runnable on a CPU (tree, list, or running
 * there); *queued* when it is in the tree or list; *running* from being picked until the switch
 * away from it is complete. The *idle task* of a CPU is never queued.
 *
 * Objects and lifetimes: one struct runqueue per CPU, for ever. A task's sched_entity lives in the
 * task.
 *
 * Invariants:
 *  1. on_queue == queued || it is rq->curr of its CPU and not idle.   2. queued implies !running,
 * except for the task that is being switched out under the queue's lock.   3. A task's `cpu`
 * changes only while it is not on a queue, under the lock of the queue it leaves.   4. load and sum
 * are over all fair tasks on the queue, the running one included.   5. The queue's lock is held
 * across arch_switch and released by sched_finish_switch on the other side: whoever takes the lock
 * of a task's queue finds it either really running or completely switched out.
 *  6. All switches happen with a preemption count of exactly 1 (that lock).
 *
 * Locks: runqueue.lock (level RUNQUEUE, interrupts off). Two queue locks are held together only by
 * stealing, which tries the second.
 *
 * Failure and recovery: none here; a policy that faults is undone by core/evolve, and the built-in
 * order serves meanwhile.
 *
 * Replacement: the policy is entered through its slot at each decision (policy.c); nothing else is
 * replaceable.
 *
 * Cost: wake = one tree insertion and two policy calls; switch = one removal, one policy call,
 * arch_switch. No periodic tick: a slice timer is armed only when another task waits.
 */
#include "runqueue.h"
#include <core/time.h>

atomic_word_t sched_idle_mask;

static void tree_insert(struct runqueue *rq, struct sched_entity *se)
{
	struct rb_node **link = &rq->fair.node, *parent = nullptr;
	u64 key = se->view.key;

	se->node.own = se->view.minimum;
	while (*link) {
		struct sched_entity *at = rb_entry(*link, struct sched_entity, node.rb);

		parent = *link;
		link = key < at->view.key ? &parent->left : &parent->right;
	}
	rb_min_insert(&rq->fair, &se->node, parent, link);
}

static void rt_insert(struct runqueue *rq, struct sched_entity *se, bool at_head)
{
	struct list_node *head = &rq->rt[se->rt_priority];

	if (at_head)
		list_add(head, &se->rt_link);
	else
		list_add_tail(head, &se->rt_link);
	rq->rt_bitmap[se->rt_priority / 64] |= 1ull << (se->rt_priority % 64);
}

/* Into the tree or list. */
void rq_put(struct runqueue *rq, struct task *t, bool at_head)
{
	if (t->se.class == SCHED_CLASS_REALTIME)
		rt_insert(rq, &t->se, at_head);
	else
		tree_insert(rq, &t->se);
	t->se.queued = true;
}

/* Out of the tree or list. */
void rq_take(struct runqueue *rq, struct task *t)
{
	struct sched_entity *se = &t->se;

	if (se->class == SCHED_CLASS_REALTIME) {
		list_del(&se->rt_link);
		if (list_empty(&rq->rt[se->rt_priority]))
			rq->rt_bitmap[se->rt_priority / 64] &= ~(1ull << (se->rt_priority % 64));
	} else {
		rb_min_erase(&rq->fair, &se->node);
	}
	se->queued = false;
}

/* Becomes runnable on this queue. */
void rq_add(struct runqueue *rq, struct task *t, u32 place_flags)
{
	rq_load_changed(rq);
	if (t->se.class == SCHED_CLASS_FAIR) {
		policy_place(rq, &t->se, place_flags);
		rq->nr_fair++;
	}
	WRITE_ONCE(rq->nr_running, rq->nr_running + 1);
	t->se.on_queue = true;
	t->se.wait_start_ns = rq->now_ns;
	rq_put(rq, t, false);
}

/* Is not runnable on this queue any more. It is either queued or running. */
void rq_remove(struct runqueue *rq, struct task *t)
{
	rq_load_changed(rq);
	if (t->se.queued)
		rq_take(rq, t);
	if (t->se.class == SCHED_CLASS_FAIR) {
		policy_leave(rq, &t->se);
		rq->nr_fair--;
	}
	WRITE_ONCE(rq->nr_running, rq->nr_running - 1);
	t->se.on_queue = false;
}

static struct sched_entity *tree_leftmost(struct runqueue *rq)
{
	struct rb_node *n = rb_first(&rq->fair);

	return n ? rb_entry(n, struct sched_entity, node.rb) : nullptr;
}

static u64 min_of(const struct rb_node *n)
{
	return rb_entry(n, struct rb_min_node, rb)->min;
}

/* First in key order whose minimum is at most limit. Walks one path: a left subtree that holds one
 * is always preferred. */
static struct sched_entity *tree_pick(struct runqueue *rq, u64 limit)
{
	struct rb_node *n = rq->fair.node;

	if (!n || min_of(n) > limit)
		return tree_leftmost(rq);
	for (;;) {
		if (n->left && min_of(n->left) <= limit) {
			n = n->left;
			continue;
		}
		if (rb_entry(n, struct rb_min_node, rb)->own <= limit)
			return rb_entry(n, struct sched_entity, node.rb);
		n = n->right;
	}
}

static struct task *rt_pick(struct runqueue *rq)
{
	u32 priority;

	if (likely(!(rq->rt_bitmap[0] | rq->rt_bitmap[1])))
		return nullptr;
	priority = rq->rt_bitmap[1] ? 127 - (u32)__builtin_clzll(rq->rt_bitmap[1])
				    : 63 - (u32)__builtin_clzll(rq->rt_bitmap[0]);
	return list_first_entry(&rq->rt[priority], struct task, se.rt_link);
}

/* Takes the next task out of tree or list; nullptr: idle. */
struct task *rq_pick(struct runqueue *rq)
{
	struct task *t = rt_pick(rq);

	if (!t) {
		if (!rq->fair.node)
			return nullptr;
		t = container_of(tree_pick(rq, policy_limit(rq)), struct task, se);
	}
	rq_take(rq, t);
	return t;
}

/* User and system shares of a stretch of running, by the cycles that entry and exit counted
 * (task_account_entry, _exit). */
static void charge_modes(struct runqueue *rq, struct task *t, u64 delta)
{
	struct cpu *cpu = cpu_data[rq->cpu];
	u64 now = arch_cycles(), all = now - t->charge_cycles, user = t->user_cycles, share = 0;

	if (t->mode_stamp) { /* interrupted in user mode */
		user += now - t->mode_stamp;
		t->mode_stamp = now;
	}
	t->charge_cycles = now;
	t->user_cycles = 0;
	while (all >> 24) {
		user >>= 1;
		all >>= 1;
	}
	if (all && user)
		share = user >= all ? delta : (delta >> 39 ? delta : delta * user / all);
	usage_count(&t->usage.user_ns, share);
	usage_count(&t->usage.system_ns, delta - share);
	cpu->stat_user_ns += share;
	cpu->stat_system_ns += delta - share;
}

/* Charges the running task up to now. */
void rq_update_current(struct runqueue *rq)
{
	struct task *t = rq->curr;
	u64 now = (u64)time_monotonic_ns(), delta;

	rq->now_ns = now;
	delta = now - t->se.exec_start_ns;
	t->se.exec_start_ns = now;
	if ((s64)delta <= 0)
		return;
	t->se.sum_exec_ns += delta;
	if (t == rq->idle) {
		cpu_data[rq->cpu]->stat_idle_ns += delta;
		return;
	}
	charge_modes(rq, t, delta);
	if (!t->se.on_queue)
		return;
	if (t->se.class == SCHED_CLASS_REALTIME)
		t->se.rt_slice_used_ns += delta;
	else if (policy_charge(rq, &t->se, delta) && rq->nr_running > 1)
		rq_resched(rq);
}

/* Makes that CPU call schedule() at its next chance. */
void rq_resched(struct runqueue *rq)
{
	struct cpu *cpu = cpu_data[rq->cpu];

	if (READ_ONCE(cpu->need_resched))
		return;
	WRITE_ONCE(cpu->need_resched, 1);
	if (rq->curr != rq->idle)
		task_work_set(rq->curr, TASK_WORK_RESCHED);
	if (cpu != this_cpu())
		arch_ipi_send(1ull << rq->cpu, ARCH_IPI_RESCHEDULE);
}

/* `woken` has just been queued here. */
void rq_check_preempt(struct runqueue *rq, struct task *woken)
{
	struct task *curr = rq->curr;

	if (curr == rq->idle) {
		rq_resched(rq);
		return;
	}
	if (woken->se.class != curr->se.class) {
		if (woken->se.class < curr->se.class)
			rq_resched(rq);
	} else if (woken->se.class == SCHED_CLASS_REALTIME) {
		if (woken->se.rt_priority > curr->se.rt_priority)
			rq_resched(rq);
	} else if (!curr->se.on_queue || policy_preempts(rq, &curr->se, &woken->se)) {
		rq_resched(rq);
	}
	if (!READ_ONCE(cpu_data[rq->cpu]->need_resched) && cpu_data[rq->cpu] == this_cpu())
		rq_arm_slice(rq, curr);
}

/* How often a task's CPU time is compared with its process's CPU-time timers, while there are any.
 */
#define CPU_TIMER_STEP_NS (4ull * NSEC_PER_MSEC)
#define RR_SLICE_NS       (100ull * NSEC_PER_MSEC)

static u64 slice_left(struct runqueue *rq, struct task *t)
{
	if (t->se.class == SCHED_CLASS_FAIR)
		return policy_remaining(rq, &t->se);
	if (t->se.policy != SCHED_RR ||
		rq->rt[t->se.rt_priority].next == &rq->rt[t->se.rt_priority])
		return UINT64_MAX;
	return t->se.rt_slice_used_ns < RR_SLICE_NS ? RR_SLICE_NS - t->se.rt_slice_used_ns : 0;
}

/* One-shot slice end on this CPU, only while somebody else waits. */
void rq_arm_slice(struct runqueue *rq, struct task *next)
{
	u64 left;

	if (next == rq->idle ||
		(rq->nr_running <= 1 && !READ_ONCE(next->group->cpu_timers_armed))) {
		timer_set_slice(KTIME_MAX);
		return;
	}
	left = rq->nr_running > 1 ? slice_left(rq, next) : UINT64_MAX;
	if (unlikely(READ_ONCE(next->group->cpu_timers_armed)))
		left = MIN(left, CPU_TIMER_STEP_NS);
	if (left == UINT64_MAX)
		timer_set_slice(KTIME_MAX);
	else
		timer_set_slice((ktime_t)(rq->now_ns + MAX(left, 50000ull)));
}

/* A queued task of this queue (lock held) that may run on for_cpu, removed; nullptr: none. The one
 * that would run last. */
struct task *rq_steal(struct runqueue *rq, u32 for_cpu)
{
	u32 steps = 0;

	for (struct rb_node *n = rb_last(&rq->fair); n && steps < 32; n = rb_prev(n), steps++) {
		struct task *t = rb_entry(n, struct task, se.node.rb);

		if (!(t->se.affinity >> for_cpu & 1) || t->se.running)
			continue;
		rq_remove(rq, t);
		WRITE_ONCE(t->se.cpu, for_cpu); /* task_rq_lock looks at it without */
		t->se.nr_migrations++;
		return t;
	}
	return nullptr;
}
