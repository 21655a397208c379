#pragma once
/*
 * The sleeping lock of an address space: shared by page faults and look-ups, exclusive for changes
 * of regions. Not handed over: who runs takes it, or a fault of eight threads would cost a switch
 * each. A waiting writer keeps new readers out. Never taken twice by one task.
 */
#include <lib/types.h>
#include <lib/atomic.h>
#include <core/wait.h>

struct __lock_type("space_lock") space_lock {
	atomic32_t state;   /* readers; SPACE_LOCK_WRITER; SPACE_LOCK_WANTED: a writer waits */
	atomic32_t waiters; /* asleep or about to be */
	struct waitable changed;
};
#define SPACE_LOCK_WRITER 0x80000000u
#define SPACE_LOCK_WANTED 0x40000000u

void space_lock_init(struct space_lock *l);
void space_lock_shared_slow(struct space_lock *l);
void space_lock_exclusive_slow(struct space_lock *l);
void space_lock_wake(struct space_lock *l);

static inline bool space_try_shared(struct space_lock *l)
	TSA(try_acquire_shared_capability(true, *l)) __no_lock_analysis
{
	u32 s = atomic32_load(&l->state);

	while (likely(!(s & (SPACE_LOCK_WRITER | SPACE_LOCK_WANTED))))
		if (likely(atomic32_cas(&l->state, &s, s + 1)))
			return true;
	return false;
}
static inline void space_lock_shared(struct space_lock *l)
	TSA(acquire_shared_capability(*l)) __no_lock_analysis
{
	if (unlikely(!space_try_shared(l)))
		space_lock_shared_slow(l);
}
static inline void space_unlock_shared(struct space_lock *l)
	TSA(release_shared_capability(*l)) __no_lock_analysis
{
	u32 old = atomic32_fetch_sub(&l->state, 1);

	if (unlikely((old & ~SPACE_LOCK_WANTED) == 1 && atomic32_load_seq(&l->waiters)))
		space_lock_wake(l);
}
static inline bool space_try_exclusive(struct space_lock *l)
	TSA(try_acquire_capability(true, *l)) __no_lock_analysis
{
	u32 s = atomic32_load(&l->state);

	return !(s & ~SPACE_LOCK_WANTED) && atomic32_cas(&l->state, &s, SPACE_LOCK_WRITER);
}
static inline void space_lock(struct space_lock *l) TSA(acquire_capability(*l)) __no_lock_analysis
{
	if (unlikely(!space_try_exclusive(l)))
		space_lock_exclusive_slow(l);
}
static inline void space_unlock(struct space_lock *l) TSA(release_capability(*l)) __no_lock_analysis
{
	atomic32_fetch_and(&l->state, ~SPACE_LOCK_WRITER);
	if (unlikely(atomic32_load_seq(&l->waiters)))
		space_lock_wake(l);
}
