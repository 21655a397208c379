#pragma once
/*
 * Scheduler mechanism (core/sched). Run queues are trees ordered by a key the policy computes (policy_sched contract): core never
 * compares otherwise. Classes: stop > realtime (SCHED_FIFO, RR, by priority) > fair (policy) > idle.
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
#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_RESET_ON_FORK 0x40000000
struct sched_entity {
	struct rb_min_node node; /* key in `key`, augmented minimum in node.own */
	u64 key;
	struct list_node rt_link;
	struct policy_words words;
	enum sched_class class;
	u8 rt_priority; /* 1..99 */
	s8 nice;
	u8 policy; /* SCHED_* */
	bool queued, running, reset_on_fork;
	u32 cpu;
	u64 affinity; /* mask of allowed CPUs */
	u64 exec_start_ns, sum_exec_ns, slice_end_ns, wait_start_ns;
	u32 weight;
};
/* Makes a sleeping task runnable; false when it already was. Context: any. */
bool task_wake(struct task *t);
void task_wake_new(struct task *t);
/* The caller has set current->state (and armed its wake-ups); returns when woken. Thread, preemption count 0. */
void schedule(void);
/* Sets state to s BEFORE the last look at the condition: task_wake() after that makes schedule() return at once. */
void task_set_state(int state);
void sched_yield_current(void);
void sched_finish_switch(struct task *prev); /* arch calls on a new task's first run */
int sched_set_policy(struct task *t, u32 policy, u32 rt_priority, s32 nice);
int sched_set_affinity(struct task *t, u64 mask);
void sched_fork(struct task *child, struct task *parent);
void sched_init_cpu(u32 cpu, struct task *idle);
__noreturn void sched_idle_loop(void);
bool cond_resched(void);
/* for /proc: 1, 5, 15 minutes, fixed point 11 bits as Linux's loadavg */
void sched_loadavg(u64 out[3], u32 *running, u32 *total);
