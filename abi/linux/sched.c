/* Scheduling parameters, limits, accounting. Rules about who may change what are core's
 * (sched_set_policy and friends). */
#include "abi.h"

#define RESET_ON_FORK_FLAG 0x40000000u
#define PRIO_PROCESS       0
#define PRIO_PGRP          1
#define PRIO_USER          2
#define RUSAGE_SELF        0
#define RUSAGE_CHILDREN    (-1)
#define RUSAGE_THREAD      1
#define USER_TICK_NS       10000000LL /* USER_HZ 100 (times(2)) */

answer_t sys_sched_yield(struct call *c)
{
	return abi_do(c, DO_YIELD);
}

static bool policy_known(u32 policy)
{
	return policy == SCHED_OTHER || policy == SCHED_FIFO || policy == SCHED_RR ||
	       policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static bool policy_realtime(u32 policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static s32 nice_clamped(s32 nice)
{
	return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

static answer_t set_policy(struct call *c, s32 pid, u32 policy, u32 priority, const s32 *nice)
{
	struct task *t;
	answer_t a;

	if (pid < 0)
		return -EINVAL;
	t = abi_target_task(c, pid);
	if (!t)
		return -ESRCH;
	a = sched_set_policy(t, policy, priority, nice ? *nice : t->se.nice);
	abi_task_put(t);
	return a;
}

static bool priority_valid(u32 policy, s32 priority)
{
	return policy_realtime(policy) ? priority >= 1 && priority <= 99 : priority == 0;
}

answer_t sys_sched_setscheduler(struct call *c)
{
	u32 policy = arg_uint(c, 1) & ~RESET_ON_FORK_FLAG;
	s32 priority;

	if (arg_int(c, 1) < 0 || !c->args[2] || arg_int(c, 0) < 0)
		return -EINVAL;
	abi_try(abi_copy_in(c, &priority, c->args[2]));
	if (!policy_known(policy) || !priority_valid(policy, priority))
		return -EINVAL;
	return set_policy(c, arg_int(c, 0), arg_uint(c, 1), (u32)priority, nullptr);
}

answer_t sys_sched_setparam(struct call *c)
{
	struct task *t;
	s32 priority;
	u32 policy;

	if (!c->args[1] || arg_int(c, 0) < 0)
		return -EINVAL;
	abi_try(abi_copy_in(c, &priority, c->args[1]));
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	policy = t->se.policy | (t->se.reset_on_fork ? RESET_ON_FORK_FLAG : 0);
	abi_task_put(t);
	if (!priority_valid(policy & ~RESET_ON_FORK_FLAG, priority))
		return -EINVAL;
	return set_policy(c, arg_int(c, 0), policy, (u32)priority, nullptr);
}

answer_t sys_sched_getscheduler(struct call *c)
{
	struct task *t;
	answer_t policy;

	if (arg_int(c, 0) < 0)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	policy = t->se.policy | (t->se.reset_on_fork ? (answer_t)RESET_ON_FORK_FLAG : 0);
	abi_task_put(t);
	return policy;
}

answer_t sys_sched_getparam(struct call *c)
{
	struct task *t;
	s32 priority;

	if (!c->args[1] || arg_int(c, 0) < 0)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	priority = policy_realtime(t->se.policy) ? t->se.rt_priority : 0;
	abi_task_put(t);
	return abi_copy_out(c, c->args[1], &priority);
}

#define SCHED_ATTR_V0            48u
#define SCHED_FLAG_RESET_ON_FORK 1ull
#define SCHED_FLAG_KEEP_POLICY   8ull
#define SCHED_FLAG_KEEP_PARAMS   16ull

/* A struct that we do not understand is answered with the size that we do (sched_setattr(2)). */
static answer_t sched_attr_read(struct call *c, struct user_sched_attr *attr)
{
	u32 size;
	answer_t a = -E2BIG;

	abi_try(call_copy_in(c, &size, c->args[1], sizeof(size)));
	if (!size)
		size = SCHED_ATTR_V0;
	if (size >= SCHED_ATTR_V0 && size <= PAGE_BYTES)
		a = abi_copy_struct(c, attr, sizeof(*attr), c->args[1], size);
	if (a == -E2BIG) {
		size = sizeof(*attr);
		abi_try(call_copy_out(c, c->args[1], &size, sizeof(size)));
	}
	return a;
}

/* SCHED_DEADLINE and utilisation clamps: as a Linux built without them (EINVAL, EOPNOTSUPP). */
answer_t sys_sched_setattr(struct call *c)
{
	struct user_sched_attr attr = {};
	struct task *t;
	answer_t a;

	if (!c->args[1] || arg_int(c, 0) < 0 || arg_uint(c, 2))
		return -EINVAL;
	a = sched_attr_read(c, &attr);
	if (a)
		return a;
	if (attr.flags &
		~(SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS))
		return attr.flags & ~0x7full ? -EINVAL : -EOPNOTSUPP;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	if (attr.flags & SCHED_FLAG_KEEP_POLICY)
		attr.policy = t->se.policy;
	if (attr.flags & SCHED_FLAG_KEEP_PARAMS) {
		attr.nice = t->se.nice;
		attr.priority = policy_realtime(attr.policy) ? t->se.rt_priority : 0;
	}
	abi_task_put(t);
	if (!policy_known(attr.policy) || !priority_valid(attr.policy, (s32)attr.priority))
		return -EINVAL;
	attr.nice = nice_clamped(attr.nice);
	return set_policy(c, arg_int(c, 0),
		attr.policy | (attr.flags & SCHED_FLAG_RESET_ON_FORK ? RESET_ON_FORK_FLAG : 0),
		attr.priority, policy_realtime(attr.policy) ? nullptr : &attr.nice);
}

answer_t sys_sched_getattr(struct call *c)
{
	struct user_sched_attr attr;
	u32 size = arg_uint(c, 2);
	struct task *t;

	if (!c->args[1] || arg_int(c, 0) < 0 || size < SCHED_ATTR_V0 || size > PAGE_BYTES ||
		arg_uint(c, 3))
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	size = MIN(size, (u32)sizeof(attr));
	attr = (struct user_sched_attr){
		.size = size,
		.policy = t->se.policy,
		.flags = t->se.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.util_max = 1024,
	};
	if (policy_realtime(t->se.policy))
		attr.priority = t->se.rt_priority;
	else
		attr.nice = t->se.nice;
	abi_task_put(t);
	return call_copy_out(c, c->args[1], &attr, size);
}

answer_t sys_sched_get_priority_max(struct call *c)
{
	if (arg_int(c, 0) == 6) /* SCHED_DEADLINE */
		return 0;
	if (!policy_known(arg_uint(c, 0)))
		return -EINVAL;
	return policy_realtime(arg_uint(c, 0)) ? 99 : 0;
}

answer_t sys_sched_get_priority_min(struct call *c)
{
	if (arg_int(c, 0) == 6)
		return 0;
	if (!policy_known(arg_uint(c, 0)))
		return -EINVAL;
	return policy_realtime(arg_uint(c, 0)) ? 1 : 0;
}

answer_t sys_sched_rr_get_interval(struct call *c)
{
	struct user_timespec ts;
	struct task *t;

	if (arg_int(c, 0) < 0)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	ts = abi_timespec(t->se.policy == SCHED_FIFO ? 0 : (ktime_t)sched_interval_ns(t));
	abi_task_put(t);
	return abi_copy_out(c, c->args[1], &ts);
}

static bool may_change(struct call *c, const struct task *t)
{
	const struct credentials *own = &c->ctx->cred;
	bool same;

	if (t == abi_task(c) || context_capable(c->ctx, CAP_SYS_NICE))
		return true;
	grace_read_begin();
	same = kuid_eq(own->euid, READ_ONCE(t->context)->cred.uid) ||
	       kuid_eq(own->euid, READ_ONCE(t->context)->cred.euid);
	grace_read_end();
	return same;
}

/* Masks of programs are longs; core's are 64 bits (NR_CPUS_MAX). */
answer_t sys_sched_setaffinity(struct call *c)
{
	size_t bytes = MIN(c->args[1], sizeof(u64));
	u64 mask = 0;
	struct task *t;
	answer_t a;

	abi_try(call_copy_in(c, &mask, c->args[2], bytes));
	t = arg_int(c, 0) < 0 ? nullptr : abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	if (!may_change(c, t))
		a = -EPERM;
	else if (!(mask & READ_ONCE(cpu_online_mask)))
		a = -EINVAL;
	else
		a = sched_set_affinity(t, mask & READ_ONCE(cpu_online_mask));
	abi_task_put(t);
	return a;
}

answer_t sys_sched_getaffinity(struct call *c)
{
	struct task *t;
	u64 mask;

	if (c->args[1] < sizeof(mask) || c->args[1] & (sizeof(word_t) - 1))
		return -EINVAL;
	t = arg_int(c, 0) < 0 ? nullptr : abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	mask = t->se.affinity & READ_ONCE(cpu_online_mask);
	abi_task_put(t);
	abi_try(abi_copy_out(c, c->args[2], &mask));
	return sizeof(mask);
}

/* --- nice values of a task, a process group, a user --- */
struct nice_visit {
	bool set, found;
	s32 nice; /* to set, or the best found */
	answer_t error;
};

static void visit_thread(struct call *c, struct nice_visit *v, struct task *t)
{
	v->found = true;
	if (!v->set) {
		v->nice = MIN(v->nice, (s32)t->se.nice);
		return;
	}
	if (!may_change(c, t))
		v->error = -EPERM;
	else {
		int error = sched_set_nice(t, v->nice);

		if (error)
			v->error = error;
	}
}

/* Every thread of the groups that `which` and `who` name. */
static void visit_groups(struct call *c, struct nice_visit *v, u32 which, s32 who)
{
	struct thread_group *g = nullptr;
	s32 after = 0;

	while ((g = group_next(c->ctx->pid_ns, after))) {
		bool match;
		s32 thread = 0;
		struct task *t;

		after = group_pid_nr(g);
		grace_read_begin();
		if (which == PRIO_PGRP)
			match = g->pgrp->number == (who ? who : abi_task(c)->group->pgrp->number);
		else
			match = READ_ONCE(g->leader->context)->cred.uid.value ==
				(who ? (u32)who : c->ctx->cred.uid.value);
		grace_read_end();
		while (match && (t = group_next_thread(g, thread))) {
			thread = task_pid_nr(t);
			visit_thread(c, v, t);
			abi_task_put(t);
		}
		object_put(&g->obj);
	}
}

static answer_t visit_nice(struct call *c, struct nice_visit *v)
{
	u32 which = arg_uint(c, 0);
	s32 who = arg_int(c, 1);

	if (which > PRIO_USER)
		return -EINVAL;
	if (which == PRIO_PROCESS) {
		struct task *t = abi_target_task(c, who);

		if (t) {
			visit_thread(c, v, t);
			abi_task_put(t);
		}
	} else {
		visit_groups(c, v, which, who);
	}
	return v->found ? v->error : -ESRCH;
}

answer_t sys_getpriority(struct call *c)
{
	struct nice_visit v = {.nice = 19};

	abi_try(visit_nice(c, &v));
	return 20 - v.nice; /* the C library turns it back (getpriority(2)) */
}

answer_t sys_setpriority(struct call *c)
{
	struct nice_visit v = {.set = true, .nice = nice_clamped(arg_int(c, 2))};

	return visit_nice(c, &v);
}

/* --- ioprio: kept and shown; the block layer's policy may use it --- */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_NONE  0u
#define IOPRIO_CLASS_RT    1u
#define IOPRIO_CLASS_BE    2u
#define IOPRIO_CLASS_IDLE  3u

static answer_t ioprio_check(struct call *c, u32 value)
{
	u32 class = value >> 13, level = value & 7u;

	switch (class) {
	case IOPRIO_CLASS_RT:
		return context_capable(c->ctx, CAP_SYS_NICE) ||
				       context_capable(c->ctx, CAP_SYS_ADMIN)
			       ? 0
			       : -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return level ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* Of one task; process groups and users (which 2, 3): EINVAL, as for a kind that nobody knows. */
answer_t sys_ioprio_set(struct call *c)
{
	struct task *t;
	bool allowed;

	if (arg_int(c, 2) < 0 || arg_uint(c, 2) > 0xffffu)
		return -EINVAL;
	abi_try(ioprio_check(c, arg_uint(c, 2)));
	if (arg_int(c, 0) != IOPRIO_WHO_PROCESS)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 1));
	if (!t)
		return -ESRCH;
	allowed = may_change(c, t);
	if (allowed) {
		call_effect(c);
		WRITE_ONCE(t->io_priority, (u16)arg_uint(c, 2));
	}
	abi_task_put(t);
	return allowed ? 0 : -EPERM;
}

answer_t sys_ioprio_get(struct call *c)
{
	struct task *t;
	answer_t a;

	if (arg_int(c, 0) != IOPRIO_WHO_PROCESS)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 1));
	if (!t)
		return -ESRCH;
	/* Never set: best effort at the level that the nice value gives (ioprio_get(2)). */
	a = READ_ONCE(t->io_priority);
	if (!a)
		a = (answer_t)(IOPRIO_CLASS_BE << 13) | (t->se.nice + 20) / 5;
	abi_task_put(t);
	return a;
}

/* --- limits --- */
static bool limits_allowed(struct call *c, const struct task *t)
{
	const struct credentials *own = &c->ctx->cred, *other;
	bool same;

	if (t == abi_task(c) || context_capable(c->ctx, CAP_SYS_RESOURCE))
		return true;
	grace_read_begin();
	other = &READ_ONCE(t->context)->cred;
	same = kuid_eq(own->uid, other->uid) && kuid_eq(own->uid, other->euid) &&
	       kuid_eq(own->uid, other->suid) && kgid_eq(own->gid, other->gid) &&
	       kgid_eq(own->gid, other->egid) && kgid_eq(own->gid, other->sgid);
	grace_read_end();
	return same;
}

#define NOFILE_MAX 1048576u /* fs.nr_open */

static answer_t limit_set(struct call *c, struct thread_group *g, u32 which,
	const struct user_rlimit *new)
{
	answer_t a = 0;
	word_t irq;

	if (new->cur > new->max)
		return -EINVAL;
	if (which == RLIMIT_NOFILE && new->max > NOFILE_MAX)
		return -EPERM;
	irq = spin_lock_irqsave(&g->obj.lock); /* timers that signal the group take it too */
	if (new->max > g->rlimit[which].hard && !context_capable(c->ctx, CAP_SYS_RESOURCE)) {
		a = -EPERM;
	} else {
		call_effect(c);
		g->rlimit[which] = (struct rlimit){new->cur, new->max};
	}
	if (!a && which == RLIMIT_CPU && new->cur != RLIM_INFINITY) {
		g->cpu_timers_armed = true;
		/* The running slice may have no end: a new one has, while something counts the
		 * time. */
		task_work_set(abi_task(c), TASK_WORK_RESCHED);
	}
	if (which == RLIMIT_CPU && new->cur != RLIM_INFINITY)
		g->cpu_timers_armed = true; /* core compares at each slice end */
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return a;
}

static answer_t limits(struct call *c, struct task *t, u32 which, vaddr_t new_user,
	vaddr_t old_user)
{
	struct user_rlimit new, old;
	answer_t a = 0;

	if (which >= RLIMIT_NR)
		return -EINVAL;
	if (new_user)
		abi_try(abi_copy_in(c, &new, new_user));
	old = (struct user_rlimit){t->group->rlimit[which].soft, t->group->rlimit[which].hard};
	if (old_user) {
		a = abi_copy_out(c, old_user, &old);
		if (a)
			return a;
	}
	return new_user ? limit_set(c, t->group, which, &new) : 0;
}

answer_t sys_getrlimit(struct call *c)
{
	return limits(c, abi_task(c), arg_uint(c, 0), 0, c->args[1]);
}

answer_t sys_setrlimit(struct call *c)
{
	return c->args[1] ? limits(c, abi_task(c), arg_uint(c, 0), c->args[1], 0) : -EFAULT;
}

answer_t sys_prlimit64(struct call *c)
{
	struct task *t;
	answer_t a;

	if (arg_uint(c, 1) >= RLIMIT_NR)
		return -EINVAL;
	t = abi_target_task(c, arg_int(c, 0));
	if (!t)
		return -ESRCH;
	a = limits_allowed(c, t) ? limits(c, t, arg_uint(c, 1), c->args[2], c->args[3]) : -EPERM;
	abi_task_put(t);
	return a;
}

/* --- accounting --- */
answer_t sys_getrusage(struct call *c)
{
	struct rusage_counts self, children, *chosen = &self;
	struct user_rusage out;

	switch (arg_int(c, 0)) {
	case RUSAGE_THREAD:
		task_usage(abi_task(c), &self);
		break;
	case RUSAGE_SELF:
	case RUSAGE_CHILDREN:
		group_usage(abi_task(c)->group, &self, &children);
		if (arg_int(c, 0) == RUSAGE_CHILDREN)
			chosen = &children;
		break;
	default:
		return -EINVAL;
	}
	abi_rusage_fill(&out, chosen);
	return abi_copy_out(c, c->args[1], &out);
}

answer_t sys_times(struct call *c)
{
	struct rusage_counts self, children;
	struct user_tms out;

	group_usage(abi_task(c)->group, &self, &children);
	out = (struct user_tms){(s64)self.user_ns / USER_TICK_NS,
		(s64)self.system_ns / USER_TICK_NS, (s64)children.user_ns / USER_TICK_NS,
		(s64)children.system_ns / USER_TICK_NS};
	if (c->args[0])
		abi_try(abi_copy_out(c, c->args[0], &out));
	return (answer_t)(time_monotonic_ns() / USER_TICK_NS);
}
