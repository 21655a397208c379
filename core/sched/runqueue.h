#pragma once
/* core/sched's own: the run queue of one CPU. */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/sched.h>
#include <core/task.h>

#define RT_PRIORITIES 100

struct runqueue {
	struct spinlock lock;
	u32 cpu;
	u32 nr_running; /* all but the idle task; also read without the lock by placement */
	u32 nr_fair;
	u32 nr_uninterruptible; /* asleep so, and last run here: part of the load average */
	struct task *curr, *idle;
	/* fair: the running task is counted but not in the tree */
	struct rb_root fair;
	u64 load; /* sum of weights */
	s64 sum;  /* sum of weight * (minimum - base) */
	u64 base;
	/* realtime */
	u64 rt_bitmap[2];
	struct list_node rt[RT_PRIORITIES];
	u64 now_ns;
	bool yielding;
	u32 migrate_to; /* task that is being switched out goes to this CPU; ~0u: stays */
	/* load average: see loadavg.c */
	u64 load_area, load_since_ns, load_last_ns;
	u64 load_average[3];
};

static inline struct runqueue *rq_of(u32 cpu)
{
	return cpu_data[cpu]->rq;
}
/* policy.c: all with the queue's lock held. */
void policy_place(struct runqueue *rq, struct sched_entity *se, u32 flags);
bool policy_charge(struct runqueue *rq, struct sched_entity *se, u64 delta_ns);
void policy_leave(struct runqueue *rq, struct sched_entity *se);
u64 policy_limit(struct runqueue *rq);
u64 policy_remaining(struct runqueue *rq, struct sched_entity *se);
bool policy_preempts(struct runqueue *rq, struct sched_entity *running, struct sched_entity *woken);
void policy_yielded(struct runqueue *rq, struct sched_entity *se);
u64 policy_slice_ns(void);

/* runqueue.c */
extern atomic_word_t sched_idle_mask;
void rq_add(struct runqueue *rq, struct task *t, u32 place_flags);
void rq_remove(struct runqueue *rq, struct task *t);
void rq_put(struct runqueue *rq, struct task *t, bool at_head);
void rq_take(struct runqueue *rq, struct task *t);
struct task *rq_pick(struct runqueue *rq);
void rq_update_current(struct runqueue *rq);
void rq_resched(struct runqueue *rq);
void rq_check_preempt(struct runqueue *rq, struct task *woken);
void rq_arm_slice(struct runqueue *rq, struct task *next);
struct task *rq_steal(struct runqueue *rq, u32 for_cpu);
u32 sched_select_cpu(struct task *t, bool fresh);
bool sched_idle_pull(struct runqueue *rq);
/* loadavg.c */
void rq_load_changed(struct runqueue *rq);
void rq_uninterruptible(struct runqueue *rq, s32 delta);
u32 sched_weight(u8 policy, s8 nice);
