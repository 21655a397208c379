/*
 * The door to the policy. Until the policy's slot is bound (and while it is parked) a built-in key
 * orders tasks first in, first out.
 *
 * Core keeps, per queue, the sums from which the policy reads the weighted mean of `minimum`: a
 * policy has no state of its own, so a new one finds all it needs. A task whose stamp is not the
 * policy's gets its words zeroed and is placed afresh when it is touched; tasks in the tree keep
 * their old keys until then, which costs order for one slice, never a lost task.
 */
#include "runqueue.h"
#include <kabi/policy_sched.h>
#include <kabi/slots.h>

static_assert(sizeof(struct sched_view) == sizeof(struct sched_task));
static_assert(offsetof(struct sched_view, minimum) == offsetof(struct sched_task, minimum));
static_assert(offsetof(struct sched_view, weight) == offsetof(struct sched_task, weight));
static_assert(offsetof(struct sched_view, run_ns) == offsetof(struct sched_task, run_ns));
static_assert(offsetof(struct sched_view, words) == offsetof(struct sched_task, words));

#define BUILTIN_SLICE_NS (10 * NSEC_PER_MSEC)
#define BASE_EMPTY                                                                                 \
	(1ull << 40) /* an empty queue's mean: leaves room below for lag, and so the mean never    \
			wraps */
#define BASE_DRIFT_MAX (1ll << 32)

static u64 policy_tunables[POLICY_SCHED_NR_TUNABLES] = {3000000, 700000};
static u64 builtin_sequence;

struct policy_call {
	struct kabi_policy_ctx ctx;
	struct sched_queue queue;
	const struct policy_sched_vtable *vtable;
};

static struct sched_task *view_of(struct sched_entity *se)
{
	return (struct sched_task *)&se->view;
}

static u64 rq_average(struct runqueue *rq)
{
	s64 mean;

	if (rq->load == 0) {
		rq->base = BASE_EMPTY;
		rq->sum = 0;
		return rq->base;
	}
	mean = rq->sum / (s64)rq->load;
	if (rq->sum > 0 && mean * (s64)rq->load != rq->sum)
		mean++;
	if (unlikely(mean > BASE_DRIFT_MAX || mean < -BASE_DRIFT_MAX)) {
		rq->base += (u64)mean;
		rq->sum -= mean * (s64)rq->load;
		mean = 0;
	}
	return rq->base + (u64)mean;
}

/* False: built-in. */
static bool policy_enter(struct policy_call *p, struct runqueue *rq)
{
	const struct slot *slot = SLOT(POLICY_SCHED);

	p->vtable = slot_vtable(slot);
	if (unlikely(!p->vtable || p->vtable == slot->parked))
		return false;
	p->ctx.nr_tunables = POLICY_SCHED_NR_TUNABLES;
	p->ctx.stamp = (u32)slot->stamp;
	p->ctx.tunables = policy_tunables;
	p->queue.now_ns = rq->now_ns;
	p->queue.load = rq->load;
	p->queue.average = rq_average(rq);
	p->queue.nr_runnable = rq->nr_fair;
	p->queue.cpu = rq->cpu;
	return true;
}

static void builtin_place(struct sched_entity *se)
{
	se->view.key = shared_fetch_add_relaxed(&builtin_sequence, 1) + 1;
	se->view.minimum = BASE_EMPTY;
	se->stamp = 0;
}

/* Its words are another policy's: as if it had never been seen. */
static u32 policy_adopt(struct policy_call *p, struct sched_entity *se)
{
	if (likely(se->stamp == (u64)p->ctx.stamp + 1))
		return 0;
	for (u32 i = 0; i < POLICY_WORDS; i++)
		se->view.words[i] = 0;
	se->view.minimum = p->queue.average;
	se->view.key = p->queue.average;
	se->stamp = (u64)p->ctx.stamp + 1;
	return SCHED_PLACE_RESET;
}

static s64 weighted(const struct runqueue *rq, const struct sched_entity *se)
{
	return (s64)(se->view.minimum - rq->base) * se->view.weight;
}

void policy_place(struct runqueue *rq, struct sched_entity *se, u32 flags)
{
	struct policy_call p;

	if (likely(policy_enter(&p, rq))) {
		flags |= policy_adopt(&p, se);
		p.vtable->place(&p.ctx, &p.queue, view_of(se), (enum sched_place)flags);
	} else {
		rq_average(rq);
		builtin_place(se);
	}
	rq->load += se->view.weight;
	rq->sum += weighted(rq, se);
}

bool policy_charge(struct runqueue *rq, struct sched_entity *se, u64 delta_ns)
{
	struct policy_call p;
	u64 before;
	bool over;

	se->view.run_ns += delta_ns;
	if (unlikely(!policy_enter(&p, rq)))
		return se->view.run_ns >= BUILTIN_SLICE_NS;
	before = se->view.minimum;
	if (unlikely(policy_adopt(&p, se)))
		p.vtable->place(&p.ctx, &p.queue, view_of(se), SCHED_PLACE_RESET);
	over = p.vtable->charge(&p.ctx, &p.queue, view_of(se), delta_ns);
	rq->sum += (s64)(se->view.minimum - before) * se->view.weight;
	return over;
}

void policy_leave(struct runqueue *rq, struct sched_entity *se)
{
	struct policy_call p;
	s64 share = weighted(rq, se);

	if (likely(policy_enter(&p, rq)) && se->stamp == (u64)p.ctx.stamp + 1) {
		share = weighted(rq, se); /* the base may have moved */
		p.vtable->leave(&p.ctx, &p.queue, view_of(se));
	}
	rq->load -= se->view.weight;
	rq->sum -= share;
}

u64 policy_limit(struct runqueue *rq)
{
	struct policy_call p;

	return likely(policy_enter(&p, rq)) ? p.vtable->limit(&p.ctx, &p.queue) : UINT64_MAX;
}

u64 policy_remaining(struct runqueue *rq, struct sched_entity *se)
{
	struct policy_call p;

	if (likely(policy_enter(&p, rq)) && se->stamp == (u64)p.ctx.stamp + 1)
		return p.vtable->remaining(&p.ctx, &p.queue, view_of(se));
	return se->view.run_ns < BUILTIN_SLICE_NS ? BUILTIN_SLICE_NS - se->view.run_ns : 0;
}

bool policy_preempts(struct runqueue *rq, struct sched_entity *running, struct sched_entity *woken)
{
	struct policy_call p;

	if (unlikely(!policy_enter(&p, rq)) || running->stamp != woken->stamp)
		return false;
	return p.vtable->preempts(&p.ctx, &p.queue, view_of(running), view_of(woken));
}

void policy_yielded(struct runqueue *rq, struct sched_entity *se)
{
	struct policy_call p;
	u64 before = se->view.minimum;

	if (unlikely(!policy_enter(&p, rq))) {
		builtin_place(se);
	} else {
		if (unlikely(policy_adopt(&p, se)))
			p.vtable->place(&p.ctx, &p.queue, view_of(se), SCHED_PLACE_RESET);
		p.vtable->yielded(&p.ctx, &p.queue, view_of(se));
	}
	rq->sum += (s64)(se->view.minimum - before) * se->view.weight;
}

u64 policy_slice_ns(void)
{
	return policy_tunables[POLICY_SCHED_TUNABLE_SLICE_NS];
}
