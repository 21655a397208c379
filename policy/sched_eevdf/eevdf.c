/*
 * EEVDF (earliest eligible virtual deadline first; Stoica, Abdel-Wahab 1995).
 *
 * Purpose: which fair task runs next. Vocabulary: a task's *virtual time* (`minimum`) is the
 * service it has had, in nanoseconds divided by its weight (1024: nice 0); the queue's *average* is
 * where everybody would be under perfect sharing; *lag* = average - virtual time; a task with lag
 * >= 0 is *eligible*. Its *deadline* (`key`) is the virtual time by which its present slice should
 * be done.
 *
 * Invariants: 1. no state outside the words given.  2. lag kept over a sleep is bounded by two
 * slices, so a sleeper can neither hoard time nor be punished for ever.  3. a deadline lies after
 * the virtual time.
 *
 * Locks: none; called under the run-queue lock. Failure: none. Replacement: words are reset when
 * the stamp differs, a task is then placed with lag 0. Cost: a division per placement and per
 * charge of a weight other than 1024.
 *
 * Words: 0 = lag over a sleep (signed).
 */
#include <kabi/policy_sched.h>

KABI_MODULE(1, "GPL-2.0-only");

#define NICE_0_WEIGHT 1024u
#define SCHED_IDLE    5u
#define WORD_LAG      0

static u64 slice_ns(const struct kabi_policy_ctx *ctx)
{
	return ctx->tunables[POLICY_SCHED_TUNABLE_SLICE_NS];
}

/* Real time to virtual time of this task. */
static u64 virtual_ns(const struct sched_task *task, u64 ns)
{
	if (task->weight == NICE_0_WEIGHT)
		return ns;
	return ns * NICE_0_WEIGHT / (task->weight ? task->weight : 1);
}

static s64 clamp_lag(const struct kabi_policy_ctx *ctx, const struct sched_task *task, s64 lag)
{
	s64 bound = (s64)virtual_ns(task, 2 * slice_ns(ctx));

	if (lag > bound)
		return bound;
	return lag < -bound ? -bound : lag;
}

/*
 * Adding a task with lag l moves the average by l * w / (W + w) towards it; to have lag l
 * afterwards it must be placed with l * (W + w) / W (the paper's section 4, join).
 */
static void eevdf_place(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	struct sched_task *task, enum sched_place flags)
{
	u64 slice = virtual_ns(task, slice_ns(ctx));
	s64 lag = (s64)task->words[WORD_LAG];

	if (flags & (SCHED_PLACE_NEW_TASK | SCHED_PLACE_RESET)) {
		lag = 0;
		slice = (flags & SCHED_PLACE_NEW_TASK) ? slice / 2 : slice;
	}
	if (lag != 0 && queue->load != 0) {
		lag = lag * (s64)(queue->load + task->weight) / (s64)queue->load;
		lag = clamp_lag(ctx, task, lag);
	}
	task->words[WORD_LAG] = 0;
	task->minimum = queue->average - (u64)lag;
	task->key = task->minimum + slice;
}

static u8 eevdf_charge(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	struct sched_task *task, u64 delta_ns)
{
	(void)queue;
	task->minimum += virtual_ns(task, delta_ns);
	if ((s64)(task->minimum - task->key) < 0)
		return 0;
	task->key = task->minimum + virtual_ns(task, slice_ns(ctx));
	return 1;
}

static void eevdf_leave(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	struct sched_task *task)
{
	task->words[WORD_LAG] = (u64)clamp_lag(ctx, task, (s64)(queue->average - task->minimum));
}

static u64 eevdf_limit(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue)
{
	(void)ctx;
	return queue->average;
}

static u64 eevdf_remaining(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	const struct sched_task *task)
{
	s64 left = (s64)(task->key - task->minimum);

	(void)ctx;
	(void)queue;
	return left <= 0 ? 0 : (u64)left * task->weight / NICE_0_WEIGHT;
}

/* A running task is left alone for protect_ns, or it would pay a switch for each message that it
 * sends. */
static u8 eevdf_preempts(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	const struct sched_task *running, const struct sched_task *woken)
{
	if (running->policy == SCHED_IDLE)
		return woken->policy != SCHED_IDLE;
	if (woken->policy != 0 || running->run_ns < ctx->tunables[POLICY_SCHED_TUNABLE_PROTECT_NS])
		return 0;
	return woken->minimum <= queue->average && woken->key < running->key;
}

static void eevdf_yielded(const struct kabi_policy_ctx *ctx, const struct sched_queue *queue,
	struct sched_task *task)
{
	(void)queue;
	task->key = task->minimum + virtual_ns(task, slice_ns(ctx));
}

KABI_IMPLEMENT(policy_sched, .place = eevdf_place, .charge = eevdf_charge, .leave = eevdf_leave,
	.limit = eevdf_limit, .remaining = eevdf_remaining, .preempts = eevdf_preempts,
	.yielded = eevdf_yielded);
