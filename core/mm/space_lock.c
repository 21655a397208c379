/*
 * Slow paths of the space lock. Invariant: a sleeper is counted in `waiters` before it looks at the
 * state for the last time, and an unlocker changes the state before it looks at `waiters` (both
 * sequentially consistent): one of the two sees the other.
 *
 * Cost: without contention one compare-and-exchange each way.
 */
#include <core/space_lock.h>
#include <core/cpu.h>
#include <core/time.h>

#define SPINS 100u

void space_lock_init(struct space_lock *l)
{
	*l = (struct space_lock){};
	waitable_init(&l->changed);
}

void space_lock_wake(struct space_lock *l)
{
	waitable_wake(&l->changed, EV_ANY, 0);
}

/* WHY no analysis: conditional taking in a loop. */
void space_lock_shared_slow(struct space_lock *l) __no_lock_analysis
{
	for (u32 i = 0; i < SPINS; i++) {
		arch_cpu_relax();
		if (space_try_shared(l))
			return;
	}
	atomic32_fetch_add(&l->waiters, 1);
	for (;;) {
		u32 seq = waitable_seq(&l->changed);

		if (space_try_shared(l))
			break;
		wait_sleep(&l->changed, EV_ANY, seq, KTIME_MAX, 0);
	}
	atomic32_fetch_sub(&l->waiters, 1);
}

void space_lock_exclusive_slow(struct space_lock *l) __no_lock_analysis /* WHY: as above */
{
	for (u32 i = 0; i < SPINS; i++) {
		arch_cpu_relax();
		if (space_try_exclusive(l))
			return;
	}
	atomic32_fetch_add(&l->waiters, 1);
	for (;;) {
		u32 seq = waitable_seq(&l->changed);

		if (space_try_exclusive(l))
			break;
		atomic32_fetch_or(&l->state, SPACE_LOCK_WANTED);
		if (space_try_exclusive(l)) /* it became free before it could be told that we wait
					     */
			break;
		wait_sleep(&l->changed, EV_ANY, seq, KTIME_MAX, 0);
	}
	atomic32_fetch_sub(&l->waiters, 1);
}
