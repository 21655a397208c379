/*
 * setitimer(2): one real and two CPU-time timers per process. The real one is a timer of core/time;
 * the CPU-time ones have no clock that could interrupt by itself, so while one is armed (or
 * RLIMIT_CPU is set) slices are kept short (core/sched looks at cpu_timers_armed) and each slice
 * end compares.
 */
#include <core/call.h>
#include <core/lock.h>
#include <lib/errno.h>
#include "time_internal.h"
#include "../task/task_internal.h"

/* Timer interrupt. The next period begins when the signal is taken: until then the timer rests, so
 * that a short period costs no more than its signals. An ignored SIGALRM is never taken, and ends
 * the periods, as on Linux. */
void itimer_expired(void *group)
{
	struct thread_group *g = group;
	struct signal_info info = {.signo = SIGALRM, .code = SI_KERNEL};
	word_t irq = SIGNAL_IRQ_LOCK(g);

	signal_send_locked(g, nullptr, &info, nullptr, false);
	spin_unlock_irqrestore(&g->obj.lock, irq);
}

void itimer_signal_taken(struct thread_group *g)
{
	struct timer *t = &g->real_timer;
	ktime_t interval = g->real_interval_ns;

	if (!interval || t->queued || !g->nr_live)
		return;
	timer_start(t,
		t->deadline_ns +
			time_periods_due(t->deadline_ns, interval, time_monotonic_ns()) * interval);
}

static ktime_t cpu_clock(struct thread_group *g, u32 which)
{
	struct rusage_counts self, children;

	group_usage(g, &self, &children);
	return (ktime_t)(which == ITIMER_VIRTUAL ? self.user_ns : self.user_ns + self.system_ns);
}

static void real_read(struct thread_group *g, struct itimer_value *out)
{
	ktime_t left = g->real_timer.queued ? g->real_timer.deadline_ns - time_monotonic_ns() : 0;

	out->interval_ns = g->real_interval_ns;
	out->value_ns = g->real_timer.queued ? MAX(left, (ktime_t)1000) : 0;
}

static void cpu_read(struct thread_group *g, u32 which, ktime_t now, struct itimer_value *out)
{
	const struct itimer_value *t = &g->cpu_itimer[which - 1];

	out->interval_ns = t->interval_ns;
	out->value_ns = t->value_ns ? MAX(t->value_ns - now, (ktime_t)1000) : 0;
}

int itimer_get(u32 which, struct itimer_value *out)
{
	struct thread_group *g = current->group;
	ktime_t now = 0;
	word_t irq;

	if (which > ITIMER_PROF)
		return -EINVAL;
	if (which != ITIMER_REAL)
		now = cpu_clock(g, which);
	irq = SIGNAL_IRQ_LOCK(g);
	if (which == ITIMER_REAL)
		real_read(g, out);
	else
		cpu_read(g, which, now, out);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return 0;
}

/* The timer has been cancelled: its deadline says what was left. */
static void real_set(struct thread_group *g, const struct itimer_value *new,
	struct itimer_value *old)
{
	ktime_t was = g->real_timer.deadline_ns;

	if (old) {
		old->interval_ns = g->real_interval_ns;
		old->value_ns = was == KTIME_MAX || was == 0
					? 0
					: MAX(was - time_monotonic_ns(), (ktime_t)0);
	}
	g->real_interval_ns = new->value_ns ? new->interval_ns : 0;
	g->real_timer.deadline_ns = 0;
	if (new->value_ns)
		timer_start(&g->real_timer,
			time_monotonic_ns() + MIN(new->value_ns, KTIME_MAX / 4));
}

static void cpu_set(struct thread_group *g, u32 which, ktime_t now, const struct itimer_value *new,
	struct itimer_value *old)
{
	if (old)
		cpu_read(g, which, now, old);
	g->cpu_itimer[which - 1].interval_ns = new->interval_ns;
	g->cpu_itimer[which - 1].value_ns = new->value_ns ? now + new->value_ns : 0;
	if (!new->value_ns)
		return;
	WRITE_ONCE(g->cpu_timers_armed, true);
	/* The running slice may have no end: the next one has, while something counts the time. */
	task_work_set(current, TASK_WORK_RESCHED);
}

int itimer_set(u32 which, const struct itimer_value *new, struct itimer_value *old)
{
	struct thread_group *g = current->group;
	ktime_t now = 0;
	word_t irq;

	if (which > ITIMER_PROF || new->value_ns < 0 || new->interval_ns < 0)
		return -EINVAL;
	call_effect_here();
	if (which != ITIMER_REAL)
		now = cpu_clock(g, which);
	else
		timer_cancel(&g->real_timer); /* not under the lock that its action takes */
	irq = SIGNAL_IRQ_LOCK(g);
	if (which == ITIMER_REAL)
		real_set(g, new, old);
	else
		cpu_set(g, which, now, new, old);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return 0;
}

void itimers_exit(struct thread_group *g)
{
	word_t irq = SIGNAL_IRQ_LOCK(g);

	g->real_interval_ns = 0;
	WRITE_ONCE(g->cpu_timers_armed, false);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	timer_cancel(&g->real_timer);
}

static void cpu_due(struct thread_group *g, u32 which, s32 signo, ktime_t now)
{
	struct itimer_value *t = &g->cpu_itimer[which - 1];
	struct signal_info info = {.signo = signo, .code = SI_KERNEL};

	if (!t->value_ns || now < t->value_ns)
		return;
	t->value_ns = t->interval_ns ? MAX(t->value_ns + t->interval_ns, now + 1) : 0;
	signal_send_locked(g, nullptr, &info, nullptr, false);
}

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one
 * (getrlimit(2)). */
static void cpu_limit_due(struct thread_group *g, ktime_t used)
{
	struct rlimit *l = &g->rlimit[RLIMIT_CPU];
	u64 seconds = (u64)(used / NSEC_PER_SEC);
	struct signal_info info = {.signo = SIGXCPU, .code = SI_KERNEL};

	if (l->hard != RLIM_INFINITY && seconds >= l->hard) {
		info.signo = SIGKILL;
		signal_send_locked(g, nullptr, &info, nullptr, true);
	} else if (l->soft != RLIM_INFINITY && seconds >= l->soft &&
		   seconds >= g->cpu_limit_warned_s) {
		g->cpu_limit_warned_s = seconds + 1;
		signal_send_locked(g, nullptr, &info, nullptr, false);
	}
}

void cpu_timers_check(struct task *t)
{
	struct thread_group *g = t->group;
	ktime_t user = cpu_clock(g, ITIMER_VIRTUAL), all = cpu_clock(g, ITIMER_PROF);
	word_t irq = SIGNAL_IRQ_LOCK(g);

	cpu_due(g, ITIMER_VIRTUAL, SIGVTALRM, user);
	cpu_due(g, ITIMER_PROF, SIGPROF, all);
	cpu_limit_due(g, all);
	posix_cpu_timers_due(g);
	WRITE_ONCE(g->cpu_timers_armed, g->cpu_itimer[0].value_ns || g->cpu_itimer[1].value_ns ||
						g->rlimit[RLIMIT_CPU].soft != RLIM_INFINITY ||
						posix_cpu_timers_armed(g));
	spin_unlock_irqrestore(&g->obj.lock, irq);
}
