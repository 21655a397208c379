#pragma once
/* Bodies of event nodes (core/node/event.c): eventfd, timerfd, signalfd, pidfd. Behaviour:
 * vfs/event.c.
 *
 * Context: thread, unless said otherwise; nothing here waits. Locks: the body's obj.lock, taken
 * inside. Owns: each _new gives one reference, which object_put gives back; nullptr: no memory. */
#include <core/node.h>
#include <core/time.h>

struct eventfd { /* NODE_EVENT, OBJECT_EVENT */
	struct object obj;
	u64 count; /* obj.lock */
	bool semaphore;
	struct waitable readable, writable;
};
struct eventfd *eventfd_new(u64 initial, bool semaphore);

struct timerfd { /* NODE_TIMER, OBJECT_TIMER */
	struct object obj;
	u32 clock;
	bool armed, expired_once; /* obj.lock, as the rest */
	bool absolute, cancel_on_set, cancelled;
	ktime_t next_ns;     /* monotonic */
	ktime_t interval_ns; /* 0: once */
	ktime_t wall_offset; /* CLOCK_REALTIME timers: offset when set */
	struct timer timer;
	struct waitable fired;
};
struct timerfd *timerfd_new(u32 clock);
/* Expirations not yet taken; 0: none. told: takes as many as a reader was told (arming the next of
 * an interval), 0 when others took them. */
u64 timerfd_take(struct timerfd *t, u64 told);
void timerfd_set(struct timerfd *t, ktime_t next_monotonic_ns, ktime_t interval_ns);
void timerfd_get(struct timerfd *t, ktime_t *remaining_ns, ktime_t *interval_ns);
/* From core/time. Context: interrupt. */
void timerfd_expired(struct timerfd *t);

struct signalfd { /* NODE_SIGNAL, OBJECT_FILE_EVENT */
	struct object obj;
	u64 mask;
};
struct signalfd *signalfd_new(u64 mask);
/* Signals of `mask` pending for the calling task; the waitable to watch. */
bool call_signal_pending(struct call *c, u64 mask);
struct waitable *call_signal_event(struct call *c);

#define PIDFD_SCHEMA 2u /* tells it from a signalfd at its end */
struct pid;
struct pidfd { /* NODE_PID, OBJECT_FILE_EVENT */
	struct object obj;
	struct pid *pid; /* reference */
};
struct pidfd *pidfd_new(struct pid *pid); /* takes a reference of its own to pid */
bool pidfd_exited(const struct pidfd *p);
struct waitable *pidfd_event(const struct pidfd *p);
/* pidfd_open(2): the body for process `number`. nullptr and *error. */
struct pidfd *call_pidfd(struct call *c, s32 number, bool thread, int *error);
