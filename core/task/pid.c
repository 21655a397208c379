/* struct pid: identity of tasks, process groups and sessions. Numbers: pid_numbers.c. */
#include "task_internal.h"

#define PID_MAX 4194304 /* pid_max of a 64-bit Linux (proc(5)) */

static_assert(offsetof(struct pid_number, number) ==
	      offsetof(struct pid, number) - offsetof(struct pid, in_ns));

struct pid_ns pid_ns_boot = {
	.numbers = {.last = 1, .max = PID_MAX}}; /* 1 is the first program's, asked for by name */
static u64 pid_next_global;

static struct pid_number *key_of(struct pid *p)
{
	return (struct pid_number *)&p->in_ns;
}

static struct pid *pid_of(struct pid_number *n)
{
	return n ? container_of(&n->in_ns, struct pid, in_ns) : nullptr;
}

struct pid *pid_new(struct pid_ns *ns, s32 wanted, int *error)
{
	struct pid *p = kzalloc(sizeof(*p));
	bool taken;

	*error = -ENOMEM;
	if (!p)
		return nullptr;
	object_init(&p->obj, OBJECT_PID, LOCK_LEVEL_TASK, &account_root);
	p->ns = ns;
	list_init(&p->group_members);
	list_init(&p->session_members);
	waitable_init(&p->exited);
	spin_lock(&task_list_lock);
	taken = pid_numbers_take(&ns->numbers, key_of(p), wanted);
	p->number_global = ++pid_next_global;
	spin_unlock(&task_list_lock);
	if (taken)
		return p;
	kfree(p);
	*error = wanted ? -EEXIST : -EAGAIN;
	return nullptr;
}

/* The number is free again when no task, process group or session uses it. Drops the tree's
 * reference. */
void pid_forget(struct pid *p)
{
	if (p->task || p->group || !list_empty(&p->group_members) ||
		!list_empty(&p->session_members) || !p->ns)
		return;
	pid_numbers_give_back(&p->ns->numbers, key_of(p));
	p->ns = nullptr;
	object_put(&p->obj);
}

void object_release_pid(struct object *o)
{
	object_free(o);
}

void pid_put(struct pid *p)
{
	object_put(&p->obj);
}

struct pid *pid_find(struct pid_ns *ns, s32 number)
{
	struct pid *p;

	if (number <= 0)
		return nullptr;
	spin_lock(&task_list_lock);
	p = pid_of(pid_numbers_find(&ns->numbers, number));
	if (p)
		object_get(&p->obj);
	spin_unlock(&task_list_lock);
	return p;
}

struct task *task_find(struct pid_ns *ns, s32 number)
{
	struct task *t = nullptr;
	struct pid *p;

	if (number <= 0)
		return nullptr;
	spin_lock(&task_list_lock);
	p = pid_of(pid_numbers_find(&ns->numbers, number));
	if (p && p->task) {
		t = p->task;
		object_get(&t->obj);
	}
	spin_unlock(&task_list_lock);
	return t;
}

struct thread_group *group_next(struct pid_ns *ns, s32 after)
{
	struct thread_group *g = nullptr;
	struct pid *p;

	spin_lock(&task_list_lock);
	for (p = pid_of(pid_numbers_next(&ns->numbers, after)); p;
		p = pid_of(pid_numbers_next(&ns->numbers, p->number))) {
		if (!p->group)
			continue;
		g = p->group;
		object_get(&g->obj);
		break;
	}
	spin_unlock(&task_list_lock);
	return g;
}

struct task *group_next_thread(struct thread_group *g, s32 after)
{
	struct task *t, *best = nullptr;

	spin_lock(&task_list_lock);
	list_for_each_entry (t, &g->threads, in_group)
		if (t->pid && t->pid->number > after &&
			(!best || t->pid->number < best->pid->number))
			best = t;
	if (best)
		object_get(&best->obj);
	spin_unlock(&task_list_lock);
	return best;
}

s32 task_pid_nr(const struct task *t)
{
	const struct pid *p = READ_ONCE(t->pid);

	return p ? p->number : 0;
}

s32 group_pid_nr(const struct thread_group *g)
{
	const struct pid *p = READ_ONCE(g->pid);

	return p ? p->number : 0;
}

u32 task_count(void)
{
	return READ_ONCE(task_nr_threads);
}

u64 task_forks(void)
{
	return READ_ONCE(task_total_forks);
}

void pid_attach_group(struct thread_group *g, struct pid *pgrp, struct pid *session)
{
	object_get(&pgrp->obj);
	object_get(&session->obj);
	g->pgrp = pgrp;
	g->session = session;
	list_add_tail(&pgrp->group_members, &g->in_pgrp);
	list_add_tail(&session->session_members, &g->in_session);
}

void pid_detach_group(struct thread_group *g)
{
	struct pid *pgrp = g->pgrp, *session = g->session;

	if (!pgrp)
		return;
	list_del(&g->in_pgrp);
	list_del(&g->in_session);
	g->pgrp = g->session = nullptr;
	pid_forget(pgrp);
	if (session != pgrp)
		pid_forget(session);
	object_put(&pgrp->obj);
	object_put(&session->obj);
}
