#pragma once
/*
 * The one wait (core/wait). A waitable is an event counter with waiters: whoever changes the state
 *that others wait for changes it first, then calls waitable_wake(), which raises `seq`. A waiter
 *reads seq BEFORE it looks at the state; arming with an old seq does not sleep. So `ready` is the
 *owner's state itself, looked at again by running the handler again.
 *
 * Pattern in a handler (never sleeps):
 *	u32 seq = waitable_seq(&pipe->readable);          // before looking
 *	if (nothing there) { call_wait_add(c, &pipe->readable, EV_IN, seq); return call_wait(c); }
 * Pattern in core code (may sleep, own stack):
 *	wait_event(&w, EV_ANY, condition, flags) -> 0, -EINTR (RESTART class chosen by caller),
 *-ETIMEDOUT
 *
 * Entries hang on the waitable under its lock. A wake detaches/marks under the lock and acts after
 *it; epoll propagation goes through a per-CPU queue, never recursion. Wake actions are a closed
 *enum (no code address in data).
 */
#include <lib/types.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <core/lock.h>

/* Event mask bits are Linux's EPOLL* values, the same on all architectures (linux/eventpoll.h). */
#define EV_IN     0x0001u
#define EV_PRI    0x0002u
#define EV_OUT    0x0004u
#define EV_ERR    0x0008u
#define EV_HUP    0x0010u
#define EV_NVAL   0x0020u
#define EV_RDNORM 0x0040u
#define EV_RDBAND 0x0080u
#define EV_WRNORM 0x0100u
#define EV_WRBAND 0x0200u
#define EV_MSG    0x0400u
#define EV_RDHUP  0x2000u
#define EV_ANY    0xffffu

struct waitable {
	struct spinlock lock;
	atomic32_t seq;
	struct list_node entries guarded_by(&lock);
};
enum wake_action : u8 {
	WAKE_TASK,  /* target: struct task */
	WAKE_EPOLL, /* target: struct epoll_item (core/node/epoll.c moves it to the ready list) */
	WAKE_DEFERRED, /* target: struct deferred {slot, method, object} (core/call/deferred.c) */
};
#define WAIT_EXCLUSIVE 1u
struct wait_entry {
	struct list_node link; /* guarded by on->lock */
	struct waitable *on;
	void *target;
	u32 mask;
	u32 fired; /* mask of the wakes, 0: none yet; written under on->lock */
	enum wake_action action;
	u8 flags;
	bool armed;
};

struct epoll_item; /* core/node/epoll.c: puts the item on its epoll's ready list; called under the
		      waitable's lock */
void epoll_item_wake(struct epoll_item *item, u32 mask);
void epoll_propagate(void); /* moves woken items to their epolls; after the waitable's lock */

void waitable_init(struct waitable *w);
static inline u32 waitable_seq(const struct waitable *w)
{
	return atomic32_load_seq(&w->seq);
}
/* Wakes entries whose mask meets `mask`: all shared ones and at most nr_exclusive exclusive ones
 * (0: all).
 *
 * Cost without waiters: one atomic add and one load. Context: any (irq-safe). */
void waitable_wake(struct waitable *w, u32 mask, u32 nr_exclusive);
/* Arms; false (and not armed) when w->seq has moved on from `seq`. Context: any. */
bool wait_entry_arm(struct wait_entry *e, struct waitable *w, u32 mask, u32 seq);
/* False: it was not armed any more. An exclusive entry has then taken a wake, which its owner
 * passes on unless it uses it. */
bool wait_entry_disarm(struct wait_entry *e);
bool waitable_has_waiters(struct waitable *w);

/* Core code that sleeps with its own frame. flags: */
#define WAITF_INTERRUPTIBLE 1u /* any signal */
#define WAITF_KILLABLE      2u /* fatal signal only */
/* Sleeps until w is woken since `seq`, deadline (monotonic ns, KTIME_MAX none). 0 woken, -EINTR,
 * -ETIMEDOUT. Thread. */
int wait_sleep(struct waitable *w, u32 mask, u32 seq, ktime_t deadline_ns, u32 flags);
#define wait_event(w, wmask, cond, wflags)                                                         \
	({                                                                                         \
		int _r = 0;                                                                        \
		for (;;) {                                                                         \
			u32 _seq = waitable_seq(w);                                                \
			if (cond)                                                                  \
				break;                                                             \
			_r = wait_sleep(w, wmask, _seq, KTIME_MAX, wflags);                        \
			if (_r)                                                                    \
				break;                                                             \
		}                                                                                  \
		_r;                                                                                \
	})
