/*
 * timer_create(2) and its family. A timer owns the queue entry of its signal. While that is
 * pending the timer does not run: its missed periods are counted when the signal is looked at, and
 * it is armed again when the signal leaves the queue, so a period of a nanosecond costs one
 * interrupt per signal that the process takes, and not the CPU. A signal that nobody wants pends
 * nowhere: such a timer runs on, with TICK_NS between two looks. Wall-clock timers are kept as
 * monotonic deadlines and computed at settime; a step of the clock does not move them (CAVEATS.md).
 *
 * Locks: a group's list and its timers under the group's lock; expiry runs in the timer interrupt
 * and takes it.
 */
#include <core/call.h>
#include <core/lock.h>
#include <core/mm.h>
#include <lib/errno.h>
#include "time_internal.h"
#include "../task/task_internal.h"

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD_ID 4
#define TIMER_ABSTIME   1u
#define OVERRUN_MAX     INT32_MAX
#define TICK_NS         (4 * NSEC_PER_MSEC)

struct posix_timer {
	struct list_node link;
	struct thread_group *group;
	struct task *target; /* SIGEV_THREAD_ID: referenced; nullptr: the group */
	struct timer timer;
	struct signal_queue_entry entry;
	s32 id, clock, notify;
	bool cpu_clock;
	ktime_t interval_ns, cpu_expiry_ns;
	ktime_t expiry_ns;   /* of a wall clock; 0: disarmed; in the past: its signal pends */
	bool overrun_looked; /* overrun is what the pending signal is told */
	s64 overrun, overrun_last;
};

static bool is_cpu_clock(s32 clock)
{
	return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0;
}

static bool clock_ok(s32 clock)
{
	ktime_t now;

	switch (clock) {
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
		return false;
	default:
		return time_clock_get(clock, &now) == 0;
	}
}

/* Group's lock held. */
static struct posix_timer *find(struct thread_group *g, s32 id)
{
	struct posix_timer *t;

	list_for_each_entry (t, &g->posix_timers, link)
		if (t->id == id)
			return t;
	return nullptr;
}

static void overrun_add(struct posix_timer *t, s64 nr)
{
	t->overrun = MIN(t->overrun + nr, (s64)OVERRUN_MAX);
}

static void queue_signal(struct posix_timer *t)
{
	struct thread_group *g = t->group;

	if (t->notify == SIGEV_NONE)
		return;
	if (list_linked(&t->entry.link)) {
		overrun_add(t, 1);
		return;
	}
	signal_send_locked(g, t->target && !t->target->exiting ? t->target : nullptr,
		&t->entry.info, &t->entry, false);
}

static bool waits_for_taker(const struct posix_timer *t)
{
	return t->expiry_ns && t->interval_ns && !t->timer.queued && t->notify != SIGEV_NONE;
}

/* To the expiry that is still to come; how many were due until now. */
static s64 go_forward(struct posix_timer *t, ktime_t now)
{
	s64 due = time_periods_due(t->expiry_ns, t->interval_ns, now);

	t->expiry_ns += due * t->interval_ns;
	return due;
}

/* Of those that were due one is the signal, the others are its overruns. */
static void overrun_count(struct posix_timer *t, ktime_t now)
{
	s64 due = go_forward(t, now);

	if (due)
		overrun_add(t, due - 1);
}

/* What the taker of this timer's signal is told: the same at every look until it is taken. */
s32 posix_timer_signal_overrun(const struct signal_queue_entry *e)
{
	struct posix_timer *t = e->timer;

	if (!t->overrun_looked && waits_for_taker(t))
		overrun_count(t, time_monotonic_ns());
	t->overrun_looked = true;
	return (s32)t->overrun;
}

/* The signal is being taken: its overruns are told. */
void posix_timer_signal_taken(struct signal_queue_entry *e)
{
	struct posix_timer *t = e->timer;

	t->overrun_last = posix_timer_signal_overrun(e);
	t->overrun = 0;
}

/* The signal is in no queue any more, taken or not. */
void posix_timer_signal_gone(struct signal_queue_entry *e)
{
	struct posix_timer *t = e->timer;

	t->overrun_looked = false;
	if (!waits_for_taker(t))
		return;
	overrun_add(t, go_forward(t, time_monotonic_ns())); /* since the look: the next signal's */
	timer_start(&t->timer, t->expiry_ns);
}

/* Timer interrupt. */
void posix_timer_expired(void *timer)
{
	struct posix_timer *t = timer;
	struct thread_group *g = t->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	ktime_t now = time_monotonic_ns();

	if (!t->expiry_ns || now < t->expiry_ns || t->timer.queued)
		goto out; /* set anew meanwhile */
	queue_signal(t);
	if (!t->interval_ns) {
		t->expiry_ns = 0;
	} else if (!list_linked(&t->entry.link)) {
		overrun_count(t, now);
		timer_start(&t->timer, MAX(t->expiry_ns, now + TICK_NS));
	}
out:
	spin_unlock_irqrestore(&g->obj.lock, irq);
}

static int event_check(const struct posix_timer_event *e, struct task **target)
{
	*target = nullptr;
	if (e->notify != SIGEV_SIGNAL && e->notify != SIGEV_NONE && e->notify != SIGEV_THREAD_ID)
		return -EINVAL;
	if (e->notify != SIGEV_NONE && (e->signo < 1 || e->signo > SIG_NR))
		return -EINVAL;
	if (e->notify != SIGEV_THREAD_ID)
		return 0;
	*target = task_find(current->context->pid_ns, e->tid);
	if (!*target)
		return -EINVAL;
	if ((*target)->group == current->group)
		return 0;
	object_put(&(*target)->obj);
	*target = nullptr;
	return -EINVAL;
}

sword_t posix_timer_create(s32 clock, const struct posix_timer_event *event)
{
	struct posix_timer_event usual = {.notify = SIGEV_SIGNAL, .signo = SIGALRM};
	const struct posix_timer_event *e = event ? event : &usual;
	struct thread_group *g = current->group;
	struct posix_timer *t;
	struct task *target;
	word_t irq;
	int error;

	if (!clock_ok(clock))
		return -EINVAL;
	error = event_check(e, &target);
	if (error)
		return error;
	t = kzalloc(sizeof(*t));
	if (!t) {
		if (target)
			object_put(&target->obj);
		return -EAGAIN;
	}
	t->group = g;
	t->target = target;
	t->clock = clock;
	t->cpu_clock = is_cpu_clock(clock);
	t->notify = e->notify;
	timer_init(&t->timer, TIMER_POSIX, t);
	list_init(&t->entry.link);
	t->entry.timer = t;
	call_effect_here();
	irq = SIGNAL_IRQ_LOCK(g);
	do {
		t->id = g->posix_timer_next;
		g->posix_timer_next = (g->posix_timer_next + 1) & INT32_MAX;
	} while (find(g, t->id));
	t->entry.info = (struct signal_info){.signo = e->signo,
		.code = SI_TIMER,
		.timer_id = t->id,
		.value = event ? e->value : (u64)t->id};
	list_add_tail(&g->posix_timers, &t->link);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return t->id;
}

/* timer_gettime(2): a timer whose signal waits for its taker, or that sends none, counts as armed.
 */
static ktime_t wall_remaining(const struct posix_timer *t, ktime_t now)
{
	ktime_t left = t->expiry_ns - now;

	if (!t->expiry_ns)
		return 0;
	if (left <= 0 && t->interval_ns)
		left += time_periods_due(t->expiry_ns, t->interval_ns, now) * t->interval_ns;
	if (t->notify == SIGEV_NONE)
		return MAX(left, (ktime_t)0);
	return MAX(left, (ktime_t)1);
}

static void read_locked(struct posix_timer *t, ktime_t cpu_now, struct itimer_value *out)
{
	out->interval_ns = t->interval_ns;
	if (t->cpu_clock)
		out->value_ns = t->cpu_expiry_ns ? MAX(t->cpu_expiry_ns - cpu_now, (ktime_t)1) : 0;
	else
		out->value_ns = wall_remaining(t, time_monotonic_ns());
}

static int cpu_now_of(s32 id, ktime_t *now)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	struct posix_timer *t = find(g, id);
	s32 clock = t ? t->clock : 0;
	bool cpu = t && t->cpu_clock;

	spin_unlock_irqrestore(&g->obj.lock, irq);
	*now = 0;
	if (!t)
		return -EINVAL;
	return cpu ? time_clock_get(clock, now) : 0;
}

int posix_timer_gettime(s32 id, struct itimer_value *out)
{
	struct thread_group *g = current->group;
	struct posix_timer *t;
	ktime_t cpu_now;
	word_t irq;
	int error = cpu_now_of(id, &cpu_now);

	if (error)
		return error;
	irq = SIGNAL_IRQ_LOCK(g);
	t = find(g, id);
	if (t)
		read_locked(t, cpu_now, out);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return t ? 0 : -EINVAL;
}

/* Group's lock held, the hardware timer is off. */
static void arm_locked(struct posix_timer *t, u32 flags, const struct itimer_value *new,
	ktime_t cpu_now)
{
	ktime_t deadline;

	t->interval_ns = new->value_ns ? new->interval_ns : 0;
	t->overrun = t->overrun_last = 0;
	t->overrun_looked = false;
	t->cpu_expiry_ns = t->expiry_ns = 0;
	if (!new->value_ns)
		return;
	if (t->cpu_clock) {
		t->cpu_expiry_ns = flags & TIMER_ABSTIME ? new->value_ns : cpu_now + new->value_ns;
		WRITE_ONCE(t->group->cpu_timers_armed, true);
		task_work_set(current, TASK_WORK_RESCHED); /* as itimer_set */
		return;
	}
	if (!time_clock_deadline(t->clock, flags & TIMER_ABSTIME, new->value_ns, &deadline))
		return;
	t->expiry_ns = MAX(deadline, (ktime_t)1);
	if (t->notify != SIGEV_NONE)
		timer_start(&t->timer, t->expiry_ns);
}

int posix_timer_settime(s32 id, u32 flags, const struct itimer_value *new, struct itimer_value *old)
{
	struct thread_group *g = current->group;
	struct posix_timer *t;
	ktime_t cpu_now;
	word_t irq;
	int error;

	if (new->value_ns < 0 || new->interval_ns < 0)
		return -EINVAL;
	error = cpu_now_of(id, &cpu_now);
	if (error)
		return error;
	irq = SIGNAL_IRQ_LOCK(g);
	t = find(g, id);
	if (t) {
		call_effect_here();
		if (old)
			read_locked(t, cpu_now, old);
		timer_cancel_async(&t->timer);
		arm_locked(t, flags, new, cpu_now);
	}
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return t ? 0 : -EINVAL;
}

sword_t posix_timer_getoverrun(s32 id)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	struct posix_timer *t = find(g, id);
	sword_t result = t ? (sword_t)t->overrun_last : -EINVAL;

	spin_unlock_irqrestore(&g->obj.lock, irq);
	return result;
}

static void destroy(struct posix_timer *t)
{
	timer_cancel(&t->timer);
	if (t->target)
		object_put(&t->target->obj);
	kfree(t);
}

/* Group's lock held: nothing finds it any more. Its pending signal goes with it (timer_delete(2)).
 */
static void detach(struct posix_timer *t)
{
	list_del(&t->link);
	t->expiry_ns = 0;
	t->notify = SIGEV_NONE;
	if (list_linked(&t->entry.link)) {
		struct signal_pending *p = t->target ? &t->target->pending : &t->group->pending;
		struct signal_queue_entry *e;
		bool other = false;

		list_del(&t->entry.link);
		list_for_each_entry (e, &p->queue, link)
			other |= e->info.signo == t->entry.info.signo;
		if (!other)
			p->set &= ~SIG_BIT(t->entry.info.signo);
	}
}

int posix_timer_delete(s32 id)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	struct posix_timer *t = find(g, id);

	if (t)
		detach(t);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (!t)
		return -EINVAL;
	call_effect_here();
	destroy(t);
	return 0;
}

void posix_timers_exit(struct thread_group *g)
{
	for (;;) {
		word_t irq = SIGNAL_IRQ_LOCK(g);
		struct posix_timer *t =
			list_empty(&g->posix_timers)
				? nullptr
				: list_first_entry(&g->posix_timers, struct posix_timer, link);

		if (t)
			detach(t);
		spin_unlock_irqrestore(&g->obj.lock, irq);
		if (!t)
			return;
		destroy(t);
	}
}

bool posix_cpu_timers_armed(struct thread_group *g)
{
	struct posix_timer *t;

	list_for_each_entry (t, &g->posix_timers, link)
		if (t->cpu_expiry_ns)
			return true;
	return false;
}

/* Group's lock held. Thread clocks of other threads count by what they have been charged. */
void posix_cpu_timers_due(struct thread_group *g)
{
	struct posix_timer *t;

	list_for_each_entry (t, &g->posix_timers, link) {
		struct task *whose;
		u64 now;

		if (!t->cpu_expiry_ns)
			continue;
		now = 0;
		if (t->clock == CLOCK_THREAD_CPUTIME_ID) {
			now = (t->target ? t->target : current)->se.sum_exec_ns;
		} else {
			now = g->dead_threads.user_ns + g->dead_threads.system_ns;
			list_for_each_entry (whose, &g->threads, in_group)
				now += whose->se.sum_exec_ns;
		}
		if ((ktime_t)now < t->cpu_expiry_ns)
			continue;
		t->cpu_expiry_ns =
			t->interval_ns ? MAX(t->cpu_expiry_ns + t->interval_ns, (ktime_t)now + 1)
				       : 0;
		queue_signal(t);
	}
}
