/*
 * Load averages without a tick: each queue integrates its number of active tasks over time;
 * whenever it changes and at least five seconds have passed since the last fold, the mean over that
 * time enters the exponential averages. Between changes the number is constant, so nothing is lost
 * by not looking.
 */
#include "runqueue.h"
#include <core/time.h>

#define FIXED_ONE 2048u
#define FOLD_NS   (5ull * NSEC_PER_SEC)

/* exp(-5 s / 1, 5, 15 min) in the same fixed point (values of uptime(1)'s arithmetic,
 * proc_loadavg(5)) */
static u64 decay_of(u32 which)
{
	switch (which) {
	case 0:
		return 1884;
	case 1:
		return 2014;
	default:
		return 2037;
	}
}

static u64 power(u64 x, u64 n)
{
	u64 result = FIXED_ONE;

	for (; n; n >>= 1) {
		if (n & 1)
			result = (result * x + FIXED_ONE / 2) / FIXED_ONE;
		x = (x * x + FIXED_ONE / 2) / FIXED_ONE;
	}
	return result;
}

static void load_fold(struct runqueue *rq)
{
	u64 span = rq->now_ns - rq->load_last_ns, periods = span / FOLD_NS;
	u64 mean = rq->load_area / (span / FIXED_ONE + 1);

	for (u32 i = 0; i < 3; i++) {
		u64 keep = power(decay_of(i), periods);

		rq->load_average[i] =
			(rq->load_average[i] * keep + mean * (FIXED_ONE - keep)) / FIXED_ONE;
	}
	rq->load_area = 0;
	rq->load_last_ns = rq->now_ns;
}

/* Before the number of active tasks of this queue changes; rq->now_ns is fresh. */
void rq_load_changed(struct runqueue *rq)
{
	s64 active = (s64)rq->nr_running + rq->nr_uninterruptible;

	if (active > 0)
		rq->load_area += (rq->now_ns - rq->load_since_ns) * (u64)active;
	rq->load_since_ns = rq->now_ns;
	if (unlikely(rq->now_ns - rq->load_last_ns >= FOLD_NS))
		load_fold(rq);
}

/* Uninterruptible sleeps count as load, on the queue where the task fell asleep: never negative. */
void rq_uninterruptible(struct runqueue *rq, s32 delta)
{
	rq->nr_uninterruptible += (u32)delta;
}

void sched_loadavg(u64 out[3], u32 *running, u32 *total)
{
	*running = 0;
	out[0] = out[1] = out[2] = 0;
	for_each_online_cpu(i)
	{
		struct runqueue *rq = rq_of(i);
		word_t irq = spin_lock_irqsave(&rq->lock);

		rq->now_ns = (u64)time_monotonic_ns();
		rq_load_changed(rq);
		for (u32 k = 0; k < 3; k++)
			out[k] += rq->load_average[k];
		*running += rq->nr_running;
		spin_unlock_irqrestore(&rq->lock, irq);
	}
	*total = task_count();
}
