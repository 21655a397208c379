/* wait4(2), waitid(2). The personality maps its arguments; here lie the rules of who can be waited
 * for. */
#include "task_internal.h"

#define WNOHANG    1u
#define WUNTRACED  2u /* WSTOPPED */
#define WEXITED    4u
#define WCONTINUED 8u
#define WNOWAIT    0x01000000u
#define WNOTHREAD  0x20000000u
#define WALL       0x40000000u
#define WCLONE     0x80000000u
#define P_ALL      0
#define P_PID      1
#define P_PGID     2
#define P_PIDFD    3

struct wait_query {
	s32 idtype;
	struct pid *pid; /* referenced; nullptr with P_ALL */
	u32 options;
	s32 *status;
	struct signal_info *info;
	struct rusage_counts *usage;
	bool nonblocking; /* a pidfd with O_NONBLOCK */
};

static bool matches(const struct wait_query *q, const struct thread_group *g)
{
	bool cloned = g->exit_signal != SIGCHLD;

	switch (q->idtype) {
	case P_PID:
	case P_PIDFD:
		if (g->pid != q->pid)
			return false;
		break;
	case P_PGID:
		if (g->pgrp != q->pid)
			return false;
		break;
	default:
		break;
	}
	return q->options & WALL || cloned == !!(q->options & WCLONE);
}

static void fill(const struct wait_query *q, struct thread_group *g, s32 code, s32 status)
{
	const struct credentials *cred = &g->leader->context->cred;

	if (q->info)
		*q->info = (struct signal_info){.signo = SIGCHLD,
			.code = code,
			.pid = group_pid_nr(g),
			.uid = cred->uid.value,
			.status = status};
}

static void child_usage(struct thread_group *g, struct rusage_counts *out)
{
	*out = g->dead_threads;
	group_usage_add(out, &g->dead_children);
}

static void fill_exited(const struct wait_query *q, struct thread_group *g)
{
	s32 status = g->exit_code;

	if ((status & 0x7f) == 0)
		fill(q, g, CLD_EXITED, status >> 8 & 0xff);
	else
		fill(q, g, status & 0x80 ? CLD_DUMPED : CLD_KILLED, status & 0x7f);
	*q->status = status;
	if (q->usage)
		child_usage(g, q->usage);
}

static s32 take_exited(const struct wait_query *q, struct thread_group *g)
	__requires(&task_list_lock)
{
	s32 number = group_pid_nr(g);

	fill_exited(q, g);
	if (q->options & WNOWAIT)
		return number;
	{
		struct rusage_counts used;

		child_usage(g, &used);
		group_usage_add(&current->group->dead_children, &used);
	}
	group_reap(g);
	return number;
}

/* Stopped or continued: an event that is taken once. */
static bool take_event(const struct wait_query *q, struct thread_group *g)
	__requires(&task_list_lock)
{
	word_t irq = SIGNAL_IRQ_LOCK(g);
	bool taken = false, keep = q->options & WNOWAIT;

	if (q->options & WUNTRACED && g->stop_event && g->stopped) {
		fill(q, g, CLD_STOPPED, (s32)g->stop_signal);
		*q->status = (s32)(g->stop_signal << 8) | 0x7f;
		g->stop_event = keep;
		taken = true;
	} else if (q->options & WCONTINUED && g->continued_event) {
		fill(q, g, CLD_CONTINUED, SIGCONT);
		*q->status = 0xffff;
		g->continued_event = keep;
		taken = true;
	}
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (taken && q->usage)
		child_usage(g, q->usage);
	return taken;
}

/* One look at all children: number found, 0 none ready, -ECHILD none that could ever be. */
static sword_t look(const struct wait_query *q)
{
	struct thread_group *g, *mine = current->group;
	sword_t result = -ECHILD;

	spin_lock(&task_list_lock);
	list_for_each_entry (g, &mine->children, sibling) {
		if (!matches(q, g))
			continue;
		if (g->zombie) {
			if (!(q->options & WEXITED))
				continue;
			result = take_exited(q, g);
			break;
		}
		result = 0;
		if (take_event(q, g)) {
			result = group_pid_nr(g);
			break;
		}
	}
	spin_unlock(&task_list_lock);
	return result;
}

static int resolve(struct wait_query *q, s32 id)
{
	struct file *f;

	switch (q->idtype) {
	case P_ALL:
		return 0;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		q->pid = pid_find(current->context->pid_ns, id);
		return q->pid ? 0 : -ECHILD;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		if (id == 0) {
			spin_lock(&task_list_lock);
			q->pid = current->group->pgrp;
			object_get(&q->pid->obj);
			spin_unlock(&task_list_lock);
			return 0;
		}
		q->pid = pid_find(current->context->pid_ns, id);
		return q->pid ? 0 : -ECHILD;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		f = files_get(current->files, (u32)id);
		if (!f)
			return -EBADF;
		q->pid = file_check(f, CAP_RIGHT_CONTROL) ? nullptr : pidfd_file_pid(f);
		if (q->pid)
			object_get(&q->pid->obj);
		q->nonblocking = f->flags & O_NONBLOCK;
		file_put(f);
		return q->pid ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
}

static sword_t wait_loop(struct wait_query *q)
{
	for (;;) {
		u32 seq = waitable_seq(&current->group->child_event);
		sword_t result = look(q);

		if (result)
			return result;
		if (q->options & WNOHANG)
			return 0;
		if (q->nonblocking)
			return -EAGAIN;
		if (wait_sleep(&current->group->child_event, EV_ANY, seq, KTIME_MAX,
			    WAITF_INTERRUPTIBLE) == -EINTR)
			return -ERESTARTSYS;
	}
}

sword_t task_wait(s32 idtype, s32 id, u32 options, s32 *status, struct signal_info *info,
	struct rusage_counts *usage)
{
	struct wait_query q = {.idtype = idtype,
		.options = options,
		.status = status,
		.info = info,
		.usage = usage};
	s32 unused;
	sword_t result;

	if (!(options & (WEXITED | WUNTRACED | WCONTINUED)))
		return -EINVAL;
	if (!q.status)
		q.status = &unused;
	result = resolve(&q, id);
	if (result)
		return result;
	result = wait_loop(&q);
	if (q.pid)
		pid_put(q.pid);
	if (result > 0)
		task_bury();
	return result;
}
