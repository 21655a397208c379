#pragma once
/* core/time's own. */
#include <core/time.h>
#include <core/task.h>
struct timerfd;
void itimer_expired(void *group);	  /* TIMER_ITIMER: ITIMER_REAL of a thread group */
void posix_timer_expired(void *timer);
void timerfd_expired(struct timerfd *t); /* core/node/timerfd.c */
void vdso_update(void);
