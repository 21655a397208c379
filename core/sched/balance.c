/* Where tasks go: placement at wake and fork, and what an idle CPU takes from a busy one. Nothing
 * runs periodically. */
#include "runqueue.h"

static u64 allowed_cpus(const struct task *t)
{
	u64 allowed = t->se.affinity & READ_ONCE(cpu_online_mask);

	/* no allowed CPU is online: anywhere, as after a hot-unplug */
	return allowed ? allowed : READ_ONCE(cpu_online_mask);
}

static u32 least_loaded(u64 allowed)
{
	u32 best = (u32)__builtin_ctzll(allowed), best_nr = UINT32_MAX;

	for (u64 left = allowed; left; left &= left - 1) {
		u32 cpu = (u32)__builtin_ctzll(left);
		u32 nr = READ_ONCE(rq_of(cpu)->nr_running);

		if (nr < best_nr) {
			best = cpu;
			best_nr = nr;
		}
	}
	return best;
}

/* A CPU for a task that becomes runnable. Reads other queues without locks: a stale answer costs
 * balance, nothing else. */
u32 sched_select_cpu(struct task *t, bool fresh)
{
	u64 online = READ_ONCE(cpu_online_mask), allowed, idle;
	u32 last = t->se.cpu;

	if (likely((online & (online - 1)) == 0))
		return (u32)__builtin_ctzll(online);
	allowed = allowed_cpus(t);
	idle = atomic_word_load(&sched_idle_mask) & allowed;
	if (!fresh && (idle >> last & 1))
		return last;
	if (idle)
		return (u32)__builtin_ctzll(idle);
	if (fresh || !(allowed >> last & 1))
		return least_loaded(allowed);
	return last;
}

/* This queue (locked) has nothing to run: takes a task from the busiest other one. True: something
 * is queued now. */
bool sched_idle_pull(struct runqueue *rq)
{
	u64 online = READ_ONCE(cpu_online_mask);
	struct runqueue *from = nullptr;
	u32 most = 1;
	struct task *t;

	if ((online & (online - 1)) == 0)
		return false;
	for (u64 left = online & ~(1ull << rq->cpu); left; left &= left - 1) {
		struct runqueue *other = rq_of((u32)__builtin_ctzll(left));
		u32 nr = READ_ONCE(other->nr_running);

		if (nr > most) {
			most = nr;
			from = other;
		}
	}
	if (!from || !spin_trylock(&from->lock))
		return false;
	from->now_ns = rq->now_ns;
	t = rq_steal(from, rq->cpu);
	spin_unlock(&from->lock);
	if (!t)
		return false;
	rq_add(rq, t, 2 /* SCHED_PLACE_MIGRATED */);
	return true;
}
