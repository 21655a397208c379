/* Clocks, sleeping, timers. Times of programs are checked here; core has nanoseconds only. */
#include "abi.h"

#define TIMER_ABSTIME 1u

bool abi_timespec_valid(const struct user_timespec *t)
{
	return t->sec >= 0 && (u64)t->nsec < NSEC_PER_SEC;
}

ktime_t abi_timespec_ns(const struct user_timespec *t)
{
	ktime_t ns;

	if (!checked_mul(t->sec, NSEC_PER_SEC, &ns) || !checked_add(ns, t->nsec, &ns))
		return KTIME_MAX;
	return ns;
}

struct user_timespec abi_timespec(ktime_t ns)
{
	return (struct user_timespec){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

struct user_timeval abi_timeval(ktime_t ns)
{
	return (struct user_timeval){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC};
}

static bool timeval_valid(const struct user_timeval *t)
{
	return t->sec >= 0 && (u64)t->usec < 1000000u;
}

static ktime_t timeval_ns(const struct user_timeval *t)
{
	struct user_timespec ts = {t->sec, t->usec * NSEC_PER_USEC};

	return abi_timespec_ns(&ts);
}

answer_t sys_clock_gettime(struct call *c)
{
	struct user_timespec ts;
	ktime_t now;

	abi_try(time_clock_get(arg_int(c, 0), &now));
	ts = abi_timespec(now);
	return abi_copy_out(c, c->args[1], &ts);
}

answer_t sys_clock_getres(struct call *c)
{
	struct user_timespec ts;
	ktime_t resolution;

	abi_try(time_clock_getres(arg_int(c, 0), &resolution));
	ts = abi_timespec(resolution);
	return c->args[1] ? abi_copy_out(c, c->args[1], &ts) : 0;
}

answer_t sys_clock_settime(struct call *c)
{
	struct user_timespec ts;

	if (arg_int(c, 0) != CLOCK_REALTIME)
		return -EINVAL;
	abi_try(abi_copy_in(c, &ts, c->args[1]));
	if (!abi_timespec_valid(&ts))
		return -EINVAL;
	return time_clock_set(CLOCK_REALTIME, abi_timespec_ns(&ts));
}

answer_t sys_gettimeofday(struct call *c)
{
	struct user_timeval tv = abi_timeval(time_realtime_ns());
	struct user_timezone tz = {};

	if (c->args[0])
		abi_try(abi_copy_out(c, c->args[0], &tv));
	return c->args[1] ? abi_copy_out(c, c->args[1], &tz) : 0;
}

/* The kernel has no time zone: one is accepted (hwclock --systz) only where it is that of UTC. */
answer_t sys_settimeofday(struct call *c)
{
	struct user_timeval tv;
	struct user_timezone tz;

	if (c->args[0]) {
		abi_try(abi_copy_in(c, &tv, c->args[0]));
		if (!timeval_valid(&tv))
			return -EINVAL;
	}
	if (c->args[1])
		abi_try(abi_copy_in(c, &tz, c->args[1]));
	if (!context_capable(c->ctx, CAP_SYS_TIME))
		return -EPERM;
	if (c->args[1] && (tz.minuteswest < -15 * 60 || tz.minuteswest > 15 * 60 || tz.minuteswest))
		return -EINVAL;
	if (c->args[0])
		time_set_realtime(timeval_ns(&tv));
	return 0;
}

answer_t sys_time(struct call *c)
{
	s64 now = time_realtime_ns() / NSEC_PER_SEC;

	if (c->args[0])
		abi_try(abi_copy_out(c, c->args[0], &now));
	return (answer_t)now;
}

/* --- adjtimex(2): what a clock that nobody disciplines shows; it cannot be disciplined: EPERM, as
 * in a container --- */
#define TIME_ERROR    5
#define STATUS_UNSYNC 0x40
#define TICK_USEC     10000

static answer_t adjust(struct call *c, vaddr_t user)
{
	ktime_t now = time_realtime_ns();
	struct user_timex tx;

	abi_try(abi_copy_in(c, &tx, user));
	if (tx.modes)
		return -EPERM;
	tx = (struct user_timex){
		.maxerror = 16000000,
		.esterror = 16000000,
		.status = STATUS_UNSYNC,
		.constant = 2,
		.precision = 1,
		.tolerance = 32768000,
		.time = abi_timeval(now),
		.tick = TICK_USEC,
	};
	abi_try(abi_copy_out(c, user, &tx));
	return TIME_ERROR;
}

answer_t sys_adjtimex(struct call *c)
{
	return adjust(c, c->args[0]);
}

answer_t sys_clock_adjtime(struct call *c)
{
	ktime_t now;

	abi_try(time_clock_get(arg_int(c, 0), &now));
	return arg_int(c, 0) == CLOCK_REALTIME ? adjust(c, c->args[1]) : -EOPNOTSUPP;
}

/* --- sleeping --- */
struct sleep_progress {
	u64 interrupted;
	s64 rest_ns;
};

/* The wait with no wakers: ends by its deadline or a signal. `rest`: where the remaining time goes,
 * 0: nowhere. */
static answer_t sleep_until(struct call *c, ktime_t deadline_ns, vaddr_t rest, bool absolute)
{
	struct sleep_progress *p = call_progress(c, struct sleep_progress);
	struct task *t = abi_task(c);

	if (call_expired(c))
		return 0;
	call_wait_deadline(c, deadline_ns);
	if (call_interrupted(c) && !p->interrupted) {
		p->interrupted = 1;
		p->rest_ns = MAX(c->deadline_ns - time_monotonic_ns(), (ktime_t)0);
	}
	if (!p->interrupted)
		return call_wait(c);
	if (absolute)
		return -ERESTARTNOHAND;
	if (rest) {
		struct user_timespec ts = abi_timespec(p->rest_ns);

		abi_try(abi_copy_out(c, rest, &ts));
	}
	t->restart.op = DO_SLEEP;
	t->restart.args[0] = rest;
	t->restart.deadline_ns = c->deadline_ns;
	return -ERESTART_RESTARTBLOCK;
}

answer_t sys_nanosleep(struct call *c)
{
	struct user_timespec ts;

	if (c->deadline_set)
		return sleep_until(c, 0, c->args[1], false);
	abi_try(abi_copy_in(c, &ts, c->args[0]));
	if (!abi_timespec_valid(&ts))
		return -EINVAL;
	return sleep_until(c, abi_ns_add(time_monotonic_ns(), abi_timespec_ns(&ts)), c->args[1],
		false);
}

answer_t sys_clock_nanosleep(struct call *c)
{
	bool absolute = arg_uint(c, 1) & TIMER_ABSTIME;
	s32 clock = arg_int(c, 0);
	struct user_timespec ts;
	ktime_t deadline, now;

	if (c->deadline_set)
		return sleep_until(c, 0, absolute ? 0 : c->args[3], absolute);
	abi_try(time_clock_get(clock, &now));
	if (!time_clock_deadline(clock, false, 0, &deadline))
		return -EOPNOTSUPP;
	abi_try(abi_copy_in(c, &ts, c->args[2]));
	if (!abi_timespec_valid(&ts) ||
		!time_clock_deadline(clock, absolute, abi_timespec_ns(&ts), &deadline))
		return -EINVAL;
	return sleep_until(c, deadline, absolute ? 0 : c->args[3], absolute);
}

/* The call that a signal without handler interrupted goes on, with its first deadline. */
answer_t sys_restart_syscall(struct call *c)
{
	struct task *t = abi_task(c);

	switch ((u32)t->restart.op) {
	case DO_SLEEP:
		return sleep_until(c, t->restart.deadline_ns, t->restart.args[0], false);
	case DO_FUTEX:
		call_wait_deadline(c, t->restart.deadline_ns);
		abi_op3(c, t->restart.args[0], t->restart.args[1], t->restart.args[2]);
		c->op_args[3] = t->restart.args[3];
		c->op_args[4] = t->restart.args[4];
		c->op_args[5] = t->restart.args[5];
		return abi_do(c, DO_FUTEX);
	case ABI_RESTART_POLL:
		call_wait_deadline(c, t->restart.deadline_ns);
		return abi_poll(c, t->restart.args[0], (u32)t->restart.args[1]);
	default:
		return -EINTR;
	}
}

/* --- interval timers --- */
static struct user_itimerval itimerval_of(const struct itimer_value *v)
{
	return (struct user_itimerval){abi_timeval(v->interval_ns), abi_timeval(v->value_ns)};
}

answer_t sys_getitimer(struct call *c)
{
	struct itimer_value v;
	struct user_itimerval out;

	abi_try(itimer_get(arg_uint(c, 0), &v));
	out = itimerval_of(&v);
	return abi_copy_out(c, c->args[1], &out);
}

answer_t sys_setitimer(struct call *c)
{
	struct user_itimerval in = {}, out;
	struct itimer_value v, old;
	answer_t a = 0;

	if (c->args[1])
		abi_try(abi_copy_in(c, &in, c->args[1]));
	if (!timeval_valid(&in.value) || !timeval_valid(&in.interval))
		return -EINVAL;
	v = (struct itimer_value){.value_ns = timeval_ns(&in.value),
		.interval_ns = timeval_ns(&in.interval)};
	abi_try(itimer_get(arg_uint(c, 0), &old));
	out = itimerval_of(&old);
	/* The old value first, so that a page that is not there costs no effect; Linux sets the
	 * timer even where this fails. */
	if (c->args[2])
		a = abi_copy_out(c, c->args[2], &out);
	if (answer_is_kind(a))
		return a;
	abi_try(itimer_set(arg_uint(c, 0), &v, nullptr));
	return a;
}

answer_t sys_alarm(struct call *c)
{
	struct itimer_value v = {.value_ns = (ktime_t)arg_uint(c, 0) * NSEC_PER_SEC}, old;

	abi_try(itimer_set(0, &v, &old));
	/* alarm(2): a pending alarm under half a second is told as 1 */
	return (answer_t)MAX((old.value_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC,
		(ktime_t)(old.value_ns > 0));
}

static bool timer_clock_ok(s32 clock)
{
	ktime_t now;

	return clock != CLOCK_MONOTONIC_RAW && clock != CLOCK_REALTIME_COARSE &&
	       clock != CLOCK_MONOTONIC_COARSE && !time_clock_get(clock, &now);
}

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD_ID 4

static answer_t read_event(struct call *c, struct posix_timer_event *out)
{
	struct user_sigevent event;

	abi_try(abi_copy_in(c, &event, c->args[1]));
	*out = (struct posix_timer_event){event.notify, event.signo, event.tid, event.value};
	if (out->notify != SIGEV_SIGNAL && out->notify != SIGEV_NONE &&
		out->notify != SIGEV_THREAD_ID)
		return -EINVAL;
	if (out->notify != SIGEV_NONE && (out->signo < 1 || out->signo > SIG_NR))
		return -EINVAL;
	return 0;
}

answer_t sys_timer_create(struct call *c)
{
	struct posix_timer_event event;
	answer_t id, a;
	s32 out;

	if (!timer_clock_ok(arg_int(c, 0)))
		return -EINVAL;
	if (c->args[1])
		abi_try(read_event(c, &event));
	id = posix_timer_create(arg_int(c, 0), c->args[1] ? &event : nullptr);
	if (id < 0)
		return id;
	out = (s32)id;
	/* Where the number cannot go out, there was no timer: nobody else can have seen it, and the
	 * next run makes it again. */
	a = abi_copy_out(c, c->args[2], &out);
	if (a) {
		posix_timer_delete((s32)id);
		call_effect_undone(c);
	}
	return a;
}

static bool itimerspec_read(const struct user_itimerspec *in, struct itimer_value *out)
{
	if (!abi_timespec_valid(&in->value) || !abi_timespec_valid(&in->interval))
		return false;
	*out = (struct itimer_value){.value_ns = abi_timespec_ns(&in->value),
		.interval_ns = abi_timespec_ns(&in->interval)};
	return true;
}

answer_t sys_timer_settime(struct call *c)
{
	struct user_itimerspec in, out;
	struct itimer_value v, old;
	answer_t a = 0;

	if (!c->args[2])
		return -EINVAL;
	abi_try(abi_copy_in(c, &in, c->args[2]));
	if (!itimerspec_read(&in, &v))
		return -EINVAL;
	if (c->args[3]) {
		abi_try(posix_timer_gettime(arg_int(c, 0), &old));
		out = (struct user_itimerspec){abi_timespec(old.interval_ns),
			abi_timespec(old.value_ns)};
		a = abi_copy_out(c, c->args[3], &out);
		if (answer_is_kind(a))
			return a;
	}
	abi_try(posix_timer_settime(arg_int(c, 0), arg_uint(c, 1), &v, nullptr));
	return a;
}

answer_t sys_timer_gettime(struct call *c)
{
	struct user_itimerspec out;
	struct itimer_value v;

	abi_try(posix_timer_gettime(arg_int(c, 0), &v));
	out = (struct user_itimerspec){abi_timespec(v.interval_ns), abi_timespec(v.value_ns)};
	return abi_copy_out(c, c->args[1], &out);
}

answer_t sys_timer_getoverrun(struct call *c)
{
	return posix_timer_getoverrun(arg_int(c, 0));
}

answer_t sys_timer_delete(struct call *c)
{
	return posix_timer_delete(arg_int(c, 0));
}

/* --- timer descriptors --- */
answer_t sys_timerfd_create(struct call *c)
{
	return vfs_timerfd_create(SLOT(VFS), c, arg_uint(c, 0), arg_uint(c, 1));
}

answer_t sys_timerfd_settime(struct call *c)
{
	struct user_itimerspec in;
	struct itimer_value v;

	if (arg_uint(c, 1) & ~3u) /* TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET */
		return -EINVAL;
	abi_try(abi_copy_in(c, &in, c->args[2]));
	if (!itimerspec_read(&in, &v))
		return -EINVAL;
	return vfs_timerfd_settime(SLOT(VFS), c, arg_uint(c, 0), arg_uint(c, 1), v.value_ns,
		v.interval_ns, c->args[3]);
}

answer_t sys_timerfd_gettime(struct call *c)
{
	return vfs_timerfd_gettime(SLOT(VFS), c, arg_uint(c, 0), c->args[1]);
}
