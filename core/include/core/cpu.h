#pragma once
/* Per-CPU data. One struct cpu per CPU, found through an arch register. Fields are touched by their
 * own CPU with preemption off unless a lock is named. */
#include <lib/types.h>
#include <lib/list.h>
#include <lib/atomic.h>
struct task;
struct runqueue;
struct arch_space;
struct slab_magazines;
struct cpu {
	u32 index;
	/* The preemption count is arch's (one instruction to change): >0 forbids a switch. */
	u32 need_resched; /* set under the run-queue lock, by other CPUs too, or locally */
	u32 irq_depth;
	u64 quiescent; /* grace periods: bumped at switch, idle and user return (core/sync/grace.c)
			*/
	atomic32_t grace_fence; /* exchanged for the order of it only (grace_quiescent) */
	struct task *idle;
	struct runqueue *rq;
	struct arch_space *space; /* active user space or the last one (lazy) */
	ktime_t timer_deadline;
	void *timers;   /* core/time */
	void *mm_cache; /* core/mm per-CPU frame and slab caches */
	u64 stat_user_ns, stat_system_ns, stat_idle_ns, stat_irq_ns, stat_switches, stat_irqs;
	u64 stat_last_ns;
};
extern struct cpu *cpu_data[]; /* NR_CPUS_MAX entries, nullptr when not present */
extern u64 cpu_online_mask;    /* bit per online CPU, READ_ONCE */
u32 cpu_nr_online(void);
u32 cpu_nr_present(void);
#include <arch/cpu.h>
#define this_cpu() arch_this_cpu_data()
#define current    arch_current()
#define for_each_online_cpu(i)                                                                     \
	for (u32 i = 0; i < NR_CPUS_MAX; i++)                                                      \
		if (READ_ONCE(cpu_online_mask) >> i & 1)
