/* Process groups and sessions: setpgid(2), setsid(2), getpgid(2), getsid(2). */
#include "task_internal.h"
#include <core/call.h>
#include <core/tty.h>

/* The group of number `pid` (0: the caller's), task_list_lock held; nullptr: none. */
static struct thread_group *find_group(s32 pid) __requires(&task_list_lock)
{
	struct pid_number *n;
	struct pid *p;

	if (pid == 0)
		return current->group;
	n = pid_numbers_find(&current->context->pid_ns->numbers, pid);
	if (!n)
		return nullptr;
	p = container_of(&n->in_ns, struct pid, in_ns);
	return p->group || !p->task ? p->group
				    : p->task->group; /* a thread's id names its process */
}

static struct pid *find_pid(s32 number) __requires(&task_list_lock)
{
	struct pid_number *n = pid_numbers_find(&current->context->pid_ns->numbers, number);

	return n ? container_of(&n->in_ns, struct pid, in_ns) : nullptr;
}

static void move_to_group(struct thread_group *g, struct pid *pgrp) __requires(&task_list_lock)
{
	struct pid *old = g->pgrp;

	if (old == pgrp)
		return;
	list_del(&g->in_pgrp);
	object_get(&pgrp->obj);
	g->pgrp = pgrp;
	list_add_tail(&pgrp->group_members, &g->in_pgrp);
	pid_forget(old);
	object_put(&old->obj);
}

static int setpgid_locked(s32 pid, s32 pgid) __requires(&task_list_lock)
{
	struct thread_group *mine = current->group, *g = find_group(pid), *member;
	struct pid *target;

	if (!g || g->zombie)
		return -ESRCH;
	if (g != mine) {
		if (g->parent != mine)
			return -ESRCH;
		if (g->session != mine->session)
			return -EPERM;
		if (g->execed)
			return -EACCES;
	}
	if (g->session_leader)
		return -EPERM;
	if (pgid == 0 || pgid == group_pid_nr(g)) {
		move_to_group(g, g->pid);
		return 0;
	}
	target = find_pid(pgid);
	if (!target || list_empty(&target->group_members))
		return -EPERM;
	member = list_first_entry(&target->group_members, struct thread_group, in_pgrp);
	if (member->session != mine->session)
		return -EPERM;
	move_to_group(g, target);
	return 0;
}

int task_setpgid(s32 pid, s32 pgid)
{
	int error;

	if (pgid < 0)
		return -EINVAL;
	if (pid < 0)
		return -ESRCH;
	spin_lock(&task_list_lock);
	error = setpgid_locked(pid, pgid);
	if (!error)
		call_effect_here();
	spin_unlock(&task_list_lock);
	return error;
}

sword_t task_setsid(void)
{
	struct thread_group *g = current->group;
	struct tty *tty = nullptr;
	sword_t result = -EPERM;

	spin_lock(&task_list_lock);
	/* EPERM: already a group leader (also one whose group outlives its own membership) */
	if (!g->session_leader && g->pgrp != g->pid && list_empty(&g->pid->group_members)) {
		struct pid *old = g->session;

		call_effect_here();
		list_del(&g->in_session);
		object_get(&g->pid->obj);
		g->session = g->pid;
		list_add_tail(&g->pid->session_members, &g->in_session);
		move_to_group(g, g->pid);
		pid_forget(old);
		object_put(&old->obj);
		g->session_leader = true;
		tty = g->ctty;
		g->ctty = nullptr;
		result = group_pid_nr(g);
	}
	spin_unlock(&task_list_lock);
	if (tty)
		object_put((struct object *)tty);
	return result;
}

sword_t task_getpgid(s32 pid)
{
	struct thread_group *g;
	sword_t result = -ESRCH;

	spin_lock(&task_list_lock);
	g = pid < 0 ? nullptr : find_group(pid);
	if (g && g->pgrp)
		result = g->pgrp->number;
	spin_unlock(&task_list_lock);
	return result;
}

sword_t task_getsid(s32 pid)
{
	struct thread_group *g;
	sword_t result = -ESRCH;

	spin_lock(&task_list_lock);
	g = pid < 0 ? nullptr : find_group(pid);
	if (g && g->session)
		result = g->session->number;
	spin_unlock(&task_list_lock);
	return result;
}

bool pgrp_in_session(struct pid *pgrp, struct pid *session)
{
	struct thread_group *g;
	bool found = false;

	spin_lock(&task_list_lock);
	list_for_each_entry (g, &pgrp->group_members, in_pgrp)
		if (g->session == session) {
			found = true;
			break;
		}
	spin_unlock(&task_list_lock);
	return found;
}
