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
	TIMER_SCHED,     /* reserved: slice ends are timer_set_slice */
	TIMER_WAITABLE,  /* target: struct waitable: waitable_wake(EV_IN) */
	TIMER_ITIMER,    /* target: struct interval_timer (core/time/itimer.c) */
	TIMER_TIMERFD,   /* target: struct timerfd (core/node): timerfd_expired() */
	TIMER_DEFERRED,  /* target: struct deferred */
	TIMER_POSIX,     /* target: struct posix_timer (core/time/posix_timer.c) */
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
/* (Re)arms. Calls for one timer are serialised by its owner. Context: any. */
void timer_start(struct timer *t, ktime_t deadline_monotonic_ns);
/* True when it was pending. After return the action is not running (except when called from it). */
bool timer_cancel(struct timer *t);
ktime_t arch_time_now_ns(void);
static inline ktime_t time_monotonic_ns(void)
{
	return arch_time_now_ns();
}
/* core/init: boot CPU before the first timer; other CPUs before their first switch. */
void time_init(void);
void time_init_cpu(u32 cpu);
/* irq_timer() of core/irq calls it: runs what has expired on this CPU. Interrupts off. */
void timer_interrupt(void);
/* core/sched: the end of the running task's slice on this CPU (KTIME_MAX: none). Interrupts off. */
void timer_set_slice(ktime_t deadline_ns);
/* Earliest deadline of any timer on this CPU, for statistics. */
ktime_t timer_next_ns(void);

/* --- vDSO (core/time/vdso.c) --- */
struct address_space;
void vdso_init(void);
/* exec: maps data page and image; sets as->vdso (0: the port has none). 0 or -ENOMEM. */
int vdso_map(struct address_space *as);
/* Address of the signal return trampoline in this space; 0: none. */
vaddr_t vdso_sigreturn(const struct address_space *as);

/* --- clocks as programs name them (clock_gettime(2)) --- */
#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define CLOCK_REALTIME_ALARM     8
#define CLOCK_BOOTTIME_ALARM     9
#define CLOCK_TAI                11
/* 0 or -EINVAL (unknown clock; CPU clocks of tasks that are not there). Negative ids are CPU clocks
 * of processes and threads. */
int time_clock_get(s32 clock, ktime_t *out);
int time_clock_getres(s32 clock, ktime_t *out);
/* -EINVAL, -EPERM (CAP_SYS_TIME). */
int time_clock_set(s32 clock, ktime_t ns);
/* Absolute time on `clock` (absolute) or duration -> absolute monotonic deadline; false: not a
 * clock one can sleep on. */
bool time_clock_deadline(s32 clock, bool absolute, ktime_t ns, ktime_t *monotonic_ns);
/* How many expiries of a periodic timer were due by `now_ns`, the one at `expiry_ns` among them: as
 * many periods later comes the next. interval_ns > 0. */
static inline s64 time_periods_due(ktime_t expiry_ns, ktime_t interval_ns, ktime_t now_ns)
{
	return now_ns < expiry_ns ? 0 : (now_ns - expiry_ns) / interval_ns + 1;
}

/* --- setitimer, alarm, timer_create (core/time/itimer.c, posix_timer.c) --- */
#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2
struct itimer_value {
	ktime_t interval_ns, value_ns; /* value: until the next expiry; 0: off */
};
int itimer_get(u32 which, struct itimer_value *out);
int itimer_set(u32 which, const struct itimer_value *new, struct itimer_value *old);
struct signal_info;
struct posix_timer_event {
	s32 notify; /* SIGEV_SIGNAL 0, NONE 1, THREAD_ID 4 */
	s32 signo, tid;
	u64 value;
};
sword_t posix_timer_create(s32 clock,
	const struct posix_timer_event *event); /* event nullptr: SIGALRM; id or -errno */
int posix_timer_settime(s32 id, u32 flags, const struct itimer_value *new,
	struct itimer_value *old);
int posix_timer_gettime(s32 id, struct itimer_value *out);
sword_t posix_timer_getoverrun(s32 id);
int posix_timer_delete(s32 id);
struct thread_group;
struct task;
/* exec and exit: forgets all of the group's timers (exec keeps ITIMER_*). */
void itimers_exit(struct thread_group *g);
void posix_timers_exit(struct thread_group *g);
/* The CPU-time timers of a group, looked at on each switch away and slice end: signals when due. */
void cpu_timers_check(struct task *t);
