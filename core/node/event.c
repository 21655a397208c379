/* Bodies of event nodes: life, and what needs core's task and time services. Locks: obj.lock
 * (LOCK_LEVEL_NODE). */
#include <core/call.h>
#include <core/event.h>
#include <core/task.h>
#include "node_priv.h"

struct eventfd *eventfd_new(u64 initial, bool semaphore)
{
	struct eventfd *e = kzalloc(sizeof(*e));

	if (!e)
		return nullptr;
	object_init(&e->obj, OBJECT_EVENT, LOCK_LEVEL_NODE, &account_root);
	e->count = initial;
	e->semaphore = semaphore;
	waitable_init(&e->readable);
	waitable_init(&e->writable);
	return e;
}

struct timerfd *timerfd_new(u32 clock)
{
	struct timerfd *t = kzalloc(sizeof(*t));

	if (!t)
		return nullptr;
	object_init(&t->obj, OBJECT_TIMER, LOCK_LEVEL_NODE, &account_root);
	t->clock = clock;
	timer_init(&t->timer, TIMER_TIMERFD, t);
	waitable_init(&t->fired);
	return t;
}

/* The count is made of the clock when somebody reads; the next expiration is armed only then, as
 * Linux does. */
void timerfd_expired(struct timerfd *t)
{
	waitable_wake(&t->fired, EV_IN | EV_RDNORM, 0);
}

u64 timerfd_take(struct timerfd *t, u64 told)
{
	ktime_t now = time_monotonic_ns(), rearm = 0;
	u64 ticks = 0;

	spin_lock(&t->obj.lock);
	if (t->armed && now >= t->next_ns)
		ticks = t->interval_ns ? (u64)time_periods_due(t->next_ns, t->interval_ns, now) : 1;
	if (told > ticks)
		ticks = 0;
	else if (told && t->interval_ns)
		rearm = t->next_ns += (ktime_t)told * t->interval_ns;
	else if (told)
		t->armed = false;
	spin_unlock(&t->obj.lock);
	if (told && ticks)
		call_effect_here();
	if (rearm)
		timer_start(&t->timer, rearm);
	return ticks;
}

void timerfd_set(struct timerfd *t, ktime_t next_monotonic_ns, ktime_t interval_ns)
{
	call_effect_here();
	timer_cancel(&t->timer);
	spin_lock(&t->obj.lock);
	t->armed = next_monotonic_ns != KTIME_MAX;
	t->next_ns = next_monotonic_ns;
	t->interval_ns = interval_ns;
	spin_unlock(&t->obj.lock);
	if (next_monotonic_ns != KTIME_MAX)
		timer_start(&t->timer, next_monotonic_ns);
}

void timerfd_get(struct timerfd *t, ktime_t *remaining_ns, ktime_t *interval_ns)
{
	ktime_t now = time_monotonic_ns();

	spin_lock(&t->obj.lock);
	*interval_ns = t->interval_ns;
	*remaining_ns = 0;
	if (t->armed) {
		ktime_t next = t->next_ns;

		if (t->interval_ns)
			next += time_periods_due(next, t->interval_ns, now) * t->interval_ns;
		*remaining_ns = next > now ? next - now : 0;
	}
	spin_unlock(&t->obj.lock);
}

struct signalfd *signalfd_new(u64 mask)
{
	struct signalfd *s = kzalloc(sizeof(*s));

	if (!s)
		return nullptr;
	object_init(&s->obj, OBJECT_FILE_EVENT, LOCK_LEVEL_NODE, &account_root);
	s->mask = mask;
	return s;
}
bool call_signal_pending(struct call *c, u64 mask)
{
	return signal_pending_set(c->task) & mask;
}
struct waitable *call_signal_event(struct call *c)
{
	return &c->task->group->signal_event;
}

struct pidfd *pidfd_new(struct pid *pid)
{
	struct pidfd *p = kzalloc(sizeof(*p));

	if (!p)
		return nullptr;
	object_init(&p->obj, OBJECT_FILE_EVENT, LOCK_LEVEL_NODE, &account_root);
	p->obj.schema = PIDFD_SCHEMA; /* tells it from a signalfd at its end */
	object_get(&pid->obj);
	p->pid = pid;
	return p;
}
bool pidfd_exited(const struct pidfd *p)
{
	struct task *t = READ_ONCE(p->pid->task);

	return !t || READ_ONCE(t->group->zombie);
}
struct waitable *pidfd_event(const struct pidfd *p)
{
	return &p->pid->exited;
}
struct pidfd *call_pidfd(struct call *c, s32 number, bool thread, int *error)
{
	struct pid *pid = pid_find(c->ctx->pid_ns, number);
	struct pidfd *p = nullptr;
	struct task *t;

	*error = -ESRCH;
	if (!pid)
		return nullptr;
	t = READ_ONCE(pid->task);
	if (t && !thread && t->group->leader != t) {
		*error = -EINVAL; /* pidfd_open(2): not a thread-group leader (Linux 6.12: ENOENT
				     only for PIDFD_THREAD) */
	} else if (t) {
		p = pidfd_new(pid);
		*error = -ENOMEM;
	}
	pid_put(pid);
	return p;
}

void event_release(struct object *o)
{
	if (o->type == OBJECT_TIMER)
		timer_cancel(&container_of(o, struct timerfd, obj)->timer);
	else if (o->type == OBJECT_FILE_EVENT && o->schema == PIDFD_SCHEMA)
		pid_put(container_of(o, struct pidfd, obj)->pid);
	grace_defer(&o->grace, GRACE_SLAB_FREE, o);
}
