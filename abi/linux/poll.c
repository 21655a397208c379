/*
 * Readiness. vfs looks and names what to wait for; deadlines and signal masks are the record's. A
 * deadline of 0 (long past) means "do not wait": vfs need not read the clock for it.
 */
#include "abi.h"

/* The time left goes back to the program (select, pselect6, ppoll); a failure to write it is
 * nobody's business (Linux too). */
enum left_form : u8 { LEFT_NONE, LEFT_TIMESPEC, LEFT_TIMEVAL };

static answer_t time_left(struct call *c, vaddr_t user, enum left_form form, answer_t result)
{
	ktime_t left;
	answer_t a;

	if (!user || form == LEFT_NONE || !c->deadline_set)
		return result;
	left = c->deadline_ns ? MAX(c->deadline_ns - time_monotonic_ns(), (ktime_t)0) : 0;
	if (form == LEFT_TIMESPEC) {
		struct user_timespec ts = abi_timespec(left);

		a = abi_copy_out(c, user, &ts);
	} else {
		struct user_timeval tv = abi_timeval(left);

		a = abi_copy_out(c, user, &tv);
	}
	return answer_is_kind(a) ? a : result;
}

static void deadline_after(struct call *c, ktime_t ns)
{
	call_wait_deadline(c, ns ? abi_ns_add(time_monotonic_ns(), ns) : 0);
}

static answer_t deadline_timespec(struct call *c, vaddr_t user)
{
	struct user_timespec ts;

	if (!user || c->deadline_set)
		return 0;
	abi_try(abi_copy_in(c, &ts, user));
	if (!abi_timespec_valid(&ts))
		return -EINVAL;
	deadline_after(c, abi_timespec_ns(&ts));
	return 0;
}

answer_t abi_poll(struct call *c, vaddr_t fds, u32 nr)
{
	struct task *t = abi_task(c);
	answer_t a;

	if (nr > task_rlimit(t, RLIMIT_NOFILE))
		return -EINVAL;
	a = vfs_poll(SLOT(VFS), c, fds, nr);
	if (a != -EINTR && a != -ERESTARTNOHAND)
		return a;
	t->restart.op = (enum call_do_op)ABI_RESTART_POLL;
	t->restart.args[0] = fds;
	t->restart.args[1] = nr;
	t->restart.deadline_ns = c->deadline_ns;
	return -ERESTART_RESTARTBLOCK;
}

answer_t sys_poll(struct call *c)
{
	if (arg_int(c, 2) >= 0 && !c->deadline_set)
		deadline_after(c, arg_int(c, 2) * NSEC_PER_MSEC);
	return abi_poll(c, c->args[0], arg_uint(c, 1));
}

/* What a call with its own mask answers when a signal ends it: never restarted after a handler. */
static answer_t no_hand(answer_t a)
{
	return a == -EINTR ? -ERESTARTNOHAND : a;
}

answer_t sys_ppoll(struct call *c)
{
	answer_t a;

	abi_try(deadline_timespec(c, c->args[2]));
	abi_try(abi_wait_mask(c, c->args[3], c->args[4]));
	if (arg_uint(c, 1) > task_rlimit(abi_task(c), RLIMIT_NOFILE))
		return -EINVAL;
	a = no_hand(vfs_poll(SLOT(VFS), c, c->args[0], arg_uint(c, 1)));
	return answer_is_kind(a) ? a : time_left(c, c->args[2], LEFT_TIMESPEC, a);
}

static answer_t select_common(struct call *c, vaddr_t timeout, enum left_form form)
{
	answer_t a;

	if (arg_int(c, 0) < 0)
		return -EINVAL;
	a = no_hand(vfs_select(SLOT(VFS), c, arg_uint(c, 0), c->args[1], c->args[2], c->args[3]));
	return answer_is_kind(a) ? a : time_left(c, timeout, form, a);
}

answer_t sys_select(struct call *c)
{
	struct user_timeval tv;
	struct user_timespec ts;

	if (c->args[4] && !c->deadline_set) {
		abi_try(abi_copy_in(c, &tv, c->args[4]));
		/* select(2) accepts a second or more in usec */
		if (tv.sec < 0 || tv.usec < 0)
			return -EINVAL;
		ts.sec = abi_ns_add(tv.sec, tv.usec / 1000000);
		ts.nsec = tv.usec % 1000000 * NSEC_PER_USEC;
		deadline_after(c, abi_timespec_ns(&ts));
	}
	return select_common(c, c->args[4], LEFT_TIMEVAL);
}

answer_t sys_pselect6(struct call *c)
{
	struct user_sigset_arg mask = {};

	if (c->args[5])
		abi_try(abi_copy_in(c, &mask, c->args[5]));
	abi_try(deadline_timespec(c, c->args[4]));
	abi_try(abi_wait_mask(c, (vaddr_t)mask.set, (size_t)mask.bytes));
	return select_common(c, c->args[4], LEFT_TIMESPEC);
}

answer_t sys_epoll_create(struct call *c)
{
	if (arg_int(c, 0) <= 0)
		return -EINVAL;
	return vfs_epoll_create(SLOT(VFS), c, 0);
}

answer_t sys_epoll_create1(struct call *c)
{
	return vfs_epoll_create(SLOT(VFS), c, arg_uint(c, 0));
}

#define EPOLL_CTL_DEL 2u

answer_t sys_epoll_ctl(struct call *c)
{
	struct user_epoll_event event = {};

	if (arg_uint(c, 1) != EPOLL_CTL_DEL)
		abi_try(abi_copy_in(c, &event, c->args[3]));
	return vfs_epoll_ctl(SLOT(VFS), c, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		event.events, event.data);
}

static answer_t epoll_wait(struct call *c)
{
	s32 max = arg_int(c, 2);

	if (max <= 0 || max > INT32_MAX / (s32)sizeof(struct user_epoll_event))
		return -EINVAL;
	if (!user_range_ok(c->args[1], (size_t)max * sizeof(struct user_epoll_event)))
		return -EFAULT;
	return vfs_epoll_wait(SLOT(VFS), c, arg_uint(c, 0), c->args[1], (u32)max,
		sizeof(struct user_epoll_event));
}

static void epoll_deadline_ms(struct call *c)
{
	if (arg_int(c, 3) >= 0 && !c->deadline_set)
		deadline_after(c, arg_int(c, 3) * NSEC_PER_MSEC);
}

answer_t sys_epoll_wait(struct call *c)
{
	epoll_deadline_ms(c);
	return epoll_wait(c);
}

answer_t sys_epoll_pwait(struct call *c)
{
	abi_try(abi_wait_mask(c, c->args[4], c->args[5]));
	epoll_deadline_ms(c);
	return epoll_wait(c);
}

answer_t sys_epoll_pwait2(struct call *c)
{
	abi_try(deadline_timespec(c, c->args[3]));
	abi_try(abi_wait_mask(c, c->args[4], c->args[5]));
	return epoll_wait(c);
}
