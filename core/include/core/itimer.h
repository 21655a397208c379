#pragma once
/* Process timers: setitimer(2) and timer_create(2) (core/time/itimer.c). None sleeps; all act on the thread group of `t`. */
#include <core/task.h>

struct itimer_value {
	ktime_t value_ns, interval_ns; /* value: remaining time, 0 disarmed */
};
/* which: ITIMER_REAL 0, VIRTUAL 1, PROF 2. old may be nullptr. -EINVAL. */
int itimer_get(struct task *t, u32 which, struct itimer_value *out);
int itimer_set(struct task *t, u32 which, const struct itimer_value *value, struct itimer_value *old);

struct posix_timer_args {
	s32 clock;  /* CLOCK_* */
	s32 notify; /* SIGEV_SIGNAL 0, NONE 1, THREAD_ID 4 */
	s32 signo;
	s32 tid;    /* SIGEV_THREAD_ID */
	u64 value;  /* si_value; with `value_is_id` the timer's number */
	bool value_is_id;
};
/* The new timer's number or -EAGAIN, -EINVAL, -ENOMEM. */
sword_t posix_timer_create(struct task *t, const struct posix_timer_args *args);
/* flags: TIMER_ABSTIME 1 on the timer's clock. */
int posix_timer_set(struct task *t, s32 id, u32 flags, const struct itimer_value *value, struct itimer_value *old);
int posix_timer_get(struct task *t, s32 id, struct itimer_value *out);
sword_t posix_timer_overrun(struct task *t, s32 id);
int posix_timer_delete(struct task *t, s32 id);
