#pragma once
/* core/time's own. */
#include <core/time.h>
#include <core/task.h>
struct timerfd;
void itimer_expired(void *group); /* TIMER_ITIMER: ITIMER_REAL of a thread group */
void posix_timer_expired(void *timer);
void timerfd_expired(struct timerfd *t); /* core/node/timerfd.c */
void vdso_update(void);
void posix_cpu_timers_due(struct thread_group *g);
bool posix_cpu_timers_armed(struct thread_group *g);
/* timer_cancel that does not wait for an action that is running: that one takes the caller's lock
 * and looks again. */
void timer_cancel_async(struct timer *t);
