#pragma once
/* Clocks and timers (core/time). Timers are one-shot, per CPU, nothing ticks. */
#include <lib/types.h>
#include <lib/rbtree.h>
#include <core/wait.h>
static inline ktime_t time_monotonic_ns(void);
ktime_t time_realtime_ns(void);
ktime_t time_boottime_ns(void);
/* CLOCK_REALTIME - CLOCK_MONOTONIC. Changed by clock_settime. */
ktime_t time_wall_offset_ns(void);
void time_set_realtime(ktime_t ns); /* wakes timers with cancel-on-set, updates the vDSO page */
extern struct waitable time_wall_changed;

enum timer_action : u8 {
	TIMER_WAKE_TASK, /* target: struct task: wakes it */
	TIMER_SCHED,	 /* slice end on this CPU */
	TIMER_WAITABLE,	 /* target: struct waitable: waitable_wake(EV_IN) */
	TIMER_ITIMER,	 /* target: struct interval_timer (core/time/itimer.c) */
	TIMER_TIMERFD,	 /* target: struct timerfd (core/node) */
	TIMER_DEFERRED,	 /* target: struct deferred */
	TIMER_POSIX,
};
struct timer {
	struct rb_node node;
	ktime_t deadline_ns; /* monotonic */
	void *target;
	enum timer_action action;
	bool queued;
	u32 cpu;
};
void timer_init(struct timer *t, enum timer_action action, void *target);
/* (Re)arms. Context: any. */
void timer_start(struct timer *t, ktime_t deadline_monotonic_ns);
/* True when it was pending. After return the action is not running (except when called from it). */
bool timer_cancel(struct timer *t);
ktime_t arch_time_now_ns(void);
static inline ktime_t time_monotonic_ns(void)
{
	return arch_time_now_ns();
}
