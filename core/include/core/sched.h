#pragma once
/*
 * Scheduler mechanism (core/sched). Run queues are trees ordered by a key the policy computes
 * (contract policy_sched): core never compares otherwise. Classes: realtime (SCHED_FIFO, RR, by
 * priority) > fair (policy) > idle.
 */
#include <lib/types.h>
#include <lib/rbtree.h>
#include <lib/list.h>
#include <core/lock.h>
struct task;
struct account;
#define POLICY_WORDS 8
struct policy_words {
	u32 stamp; /* of the policy that wrote them; another stamp: reset lazily */
	u64 word[POLICY_WORDS];
};
enum sched_class : u8 { SCHED_CLASS_REALTIME, SCHED_CLASS_FAIR, SCHED_CLASS_IDLE };
#define SCHED_OTHER         0
#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_RESET_ON_FORK 0x40000000
/* What the policy sees of a task: layout of struct sched_task in kabi/policy_sched.kabi (asserted
 * in core/sched/policy.c). */
struct sched_view {
	u64 key;
	u64 minimum;
	u32 weight;
	u32 policy;
	u64 run_ns;
	u64 words[POLICY_WORDS];
};
/* Guarded by the lock of the run queue of CPU `cpu`. */
struct sched_entity {
	struct rb_min_node
		node; /* in runqueue.fair, ordered by view.key; node.own = view.minimum */
	struct list_node rt_link;
	struct sched_view view;
	u64 stamp; /* of the policy that wrote `view` */
	enum sched_class class;
	u8 rt_priority; /* 1..99 */
	s8 nice;
	u8 policy;     /* SCHED_* */
	bool queued;   /* in a tree or list */
	bool running;  /* on a CPU's core stack: from being picked to the end of the switch away */
	bool on_queue; /* counted in nr_running: queued, or picked */
	bool reset_on_fork;
	u32 cpu;
	u64 affinity; /* mask of allowed CPUs */
	u64 exec_start_ns, sum_exec_ns, wait_start_ns, rt_slice_used_ns;
	u64 nr_migrations;
};
/* Makes a sleeping task runnable; false when it already was. Context: any. */
bool task_wake(struct task *t);
/* Same for the given states only: mask of 1 << enum task_state. */
bool task_wake_states(struct task *t, u32 states);
void task_wake_new(struct task *t);
/* The caller has set current->state (and armed its wake-ups); returns when woken. Thread,
 * preemption count 0. */
void schedule(void);
/* Sets state to s BEFORE the last look at the condition: task_wake() after that makes schedule()
 * return at once. */
void task_set_state(int state);
/* Sleeps until woken or the deadline (monotonic). True: expired. The caller has set the state. */
bool schedule_deadline(ktime_t deadline_ns);
void sched_yield_current(void);
void sched_finish_switch(struct task *prev); /* arch calls on a new task's first run */
/* -EINVAL, -EPERM (rules of sched_setscheduler(2), by current's credentials and the target's
 * limits). */
int sched_set_policy(struct task *t, u32 policy, u32 rt_priority, s32 nice);
/* Only the nice value; -EPERM, -EACCES as setpriority(2). */
int sched_set_nice(struct task *t, s32 nice);
int sched_set_affinity(struct task *t, u64 mask);
/* SCHED_RR slice, or the fair slice in effect. */
u64 sched_interval_ns(struct task *t);
void sched_fork(struct task *child, struct task *parent);
void sched_init_cpu(u32 cpu, struct task *idle);
__noreturn void sched_idle_loop(void);
bool cond_resched(void);
/* Bound by core/evolve when the policy module is there; until then a built-in first-in first-out
 * key. */
/* for /proc: 1, 5, 15 minutes, fixed point 11 bits as Linux's loadavg */
void sched_loadavg(u64 out[3], u32 *running, u32 *total);
/* Running time up to now, of a task that may be running: nanoseconds. */
u64 sched_task_runtime_ns(struct task *t);
/* core/time: this CPU's timer has fired and the slice may be over. Interrupts off. */
void sched_slice_interrupt(ktime_t now);
/* Loads current->space on this CPU, or none (exec, exit). Thread. */
void sched_switch_space(void);
