/* Job control of terminals: who owns a line, who may use it. POSIX.1-2017 chapter 11.1.3-11.1.4;
 * tty_ioctl(4), setpgid(2). Theory in tty.c. A group's `ctty` counts only while the line's session
 * is the group's own: that is how a line is taken from a whole session by one store. */
#include <core/log.h>
#include <core/tty.h>
#include <lib/string.h>

static bool is_controlling(struct task *task, const struct tty *t)
{
	return task->group->ctty == t && t->session && t->session == task->group->session;
}

struct tty *tty_of_task(struct task *task)
{
	struct tty *t = task->group->ctty;

	if (!t || !object_get_live(&t->obj))
		return nullptr;
	if (is_controlling(task, t))
		return t;
	object_put(&t->obj);
	return nullptr;
}

static void set_pid(struct pid **where, struct pid *to)
{
	struct pid *old = *where;

	if (to)
		object_get(&to->obj);
	*where = to;
	if (old)
		pid_put(old);
}

answer_t tty_check_background(struct call *c, struct tty *t, s32 signo)
{
	struct task *task = c->task;
	struct pid *mine = task->group->pgrp;

	if (!is_controlling(task, t) || !t->pgrp || t->pgrp == mine)
		return 0;
	if (signal_is_ignored_or_blocked(signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (pgrp_orphaned(mine))
		return -EIO;
	signal_send_pgrp_kernel(mine, signo);
	return -ERESTARTSYS;
}

static void attach(struct task *task, struct tty *t)
{
	struct thread_group *g = task->group;
	struct tty *old = g->ctty;

	object_get(&t->obj);
	g->ctty = t;
	if (old)
		object_put(&old->obj);
	set_pid(&t->session, g->session);
	set_pid(&t->pgrp, g->pgrp);
}

int tty_acquire(struct call *c, struct tty *t, bool steal)
{
	struct thread_group *g = c->task->group;

	if (is_controlling(c->task, t))
		return 0;
	if (!g->session_leader || tty_of_task_peek(c->task))
		return -EPERM;
	if (t->session && t->session != g->session) {
		if (!steal || !context_capable(c->ctx, CAP_SYS_ADMIN))
			return -EPERM;
	}
	call_effect(c);
	attach(c->task, t);
	return 0;
}

int tty_give_up(struct call *c, struct tty *t)
{
	struct thread_group *g = c->task->group;

	if (!is_controlling(c->task, t))
		return -ENOTTY;
	call_effect(c);
	if (g->session_leader) {
		if (t->pgrp) {
			signal_send_pgrp_kernel(t->pgrp, SIGHUP);
			signal_send_pgrp_kernel(t->pgrp, SIGCONT);
		}
		set_pid(&t->session, nullptr);
		set_pid(&t->pgrp, nullptr);
	}
	g->ctty = nullptr;
	object_put(&t->obj);
	return 0;
}

bool tty_of_task_peek(struct task *task)
{
	struct tty *t = tty_of_task(task);

	if (t)
		object_put(&t->obj);
	return t != nullptr;
}

sword_t tty_get_pgrp(struct call *c, struct tty *t, bool master)
{
	if (!master && !is_controlling(c->task, t))
		return -ENOTTY;
	return t->pgrp ? t->pgrp->number : 0;
}

sword_t tty_get_session(struct call *c, struct tty *t, bool master)
{
	if (!master && !is_controlling(c->task, t))
		return -ENOTTY;
	return t->session ? t->session->number : -ENOTTY;
}

int tty_set_pgrp(struct call *c, struct tty *t, s32 number)
{
	struct pid *pgrp;
	answer_t a;

	if (!is_controlling(c->task, t))
		return -ENOTTY;
	a = tty_check_background(c, t, SIGTTOU);
	if (a)
		return (int)a;
	if (number < 0)
		return -EINVAL;
	pgrp = pid_find(c->ctx->pid_ns, number);
	if (!pgrp)
		return -ESRCH;
	if (!pgrp_in_session(pgrp, c->task->group->session)) {
		pid_put(pgrp);
		return -EPERM;
	}
	call_effect(c);
	set_pid(&t->pgrp, pgrp);
	pid_put(pgrp);
	return 0;
}

void tty_signal_foreground(struct tty *t, s32 signo)
{
	struct pid *pgrp = t->pgrp;

	if (pgrp)
		signal_send_pgrp_kernel(pgrp, signo);
}

void tty_hang_up(struct tty *t)
{
	struct pid *session, *pgrp;

	object_revoke_tokens(&t->obj);
	spin_lock(&t->obj.lock);
	session = t->session;
	pgrp = t->pgrp;
	t->session = t->pgrp = nullptr;
	/* What was typed goes with the files it was for. */
	t->raw.head = t->raw.tail;
	t->read.head = t->canon_tail = t->read.tail;
	spin_unlock(&t->obj.lock);
	if (session) /* the leader's group has the session's number */
		signal_send_pgrp_kernel(session, SIGHUP);
	if (pgrp && pgrp != session)
		signal_send_pgrp_kernel(pgrp, SIGHUP);
	if (pgrp)
		signal_send_pgrp_kernel(pgrp, SIGCONT);
	waitable_wake(&t->wait, EV_IN | EV_OUT | EV_HUP | EV_ERR, 0);
	waitable_wake(&t->master_wait, EV_IN | EV_OUT | EV_HUP, 0);
	if (session)
		pid_put(session);
	if (pgrp)
		pid_put(pgrp);
}

/* core/task/exit.c: the leader of `session` has ended. */
void tty_session_ended(struct tty *t, struct pid *session)
{
	if (t && t->session == session) {
		if (t->pgrp) {
			signal_send_pgrp_kernel(t->pgrp, SIGHUP);
			signal_send_pgrp_kernel(t->pgrp, SIGCONT);
		}
		set_pid(&t->session, nullptr);
		set_pid(&t->pgrp, nullptr);
		waitable_wake(&t->wait, EV_HUP, 0);
	}
}
