/* The end of threads and processes, and who is told. Theory: task.c. */
#include "task_internal.h"
#include <core/time.h>
#include <core/tty.h>

/* The user space side of the end (and of exec): what the C library registered. Before the space
 * goes. */
static void leave_user_words(struct task *t)
{
	futex_exit_robust(t);
	if (t->clear_child_tid) {
		u32 zero = 0;

		/* set_tid_address(2): only when somebody else may look */
		if (refcount_read(&t->space->users) > 1 &&
			!ucopy_out(t->clear_child_tid, &zero, sizeof(zero)))
			futex_wake_user(t->clear_child_tid, 1);
		t->clear_child_tid = 0;
	}
	t->rseq = 0;
}

/* Leaves the address space for another (exec) or none (exit). */
void task_leave_space(struct task *t, struct address_space *replacement)
{
	struct address_space *old = t->space;

	if (old) {
		leave_user_words(t);
		t->usage.max_rss_pages = MAX(t->usage.max_rss_pages, READ_ONCE(old->rss_peak));
	}
	spin_lock(&t->obj.lock); /* readers of t->space (proc) hold it to take a reference */
	ptr_store_release(&t->space, replacement);
	spin_unlock(&t->obj.lock);
	if (old || replacement)
		sched_switch_space();
	vfork_complete(t);
	if (old)
		space_put(old);
}

/* A reaper for the children of g: nearest subreaper above, or pid 1. */
static struct thread_group *new_parent(struct thread_group *g)
{
	for (struct thread_group *up = g->parent; up; up = up->parent)
		if (up->child_subreaper && !up->zombie && up->nr_live)
			return up;
	return pid_ns_boot.init;
}

/* POSIX: a process group is orphaned when no member has a parent in another group of the same
 * session. `ignored` does not count. */
static bool orphaned(struct pid *pgrp, const struct thread_group *ignored)
{
	struct thread_group *g;

	list_for_each_entry (g, &pgrp->group_members, in_pgrp) {
		if (g == ignored || g->zombie || !g->parent || g->parent == pid_ns_boot.init)
			continue;
		if (g->parent->pgrp != pgrp && g->parent->session == g->session)
			return false;
	}
	return true;
}

bool pgrp_orphaned(struct pid *pgrp)
{
	bool result;

	spin_lock(&task_list_lock);
	result = orphaned(pgrp, nullptr);
	spin_unlock(&task_list_lock);
	return result;
}

static bool has_stopped(struct pid *pgrp)
{
	struct thread_group *g;

	list_for_each_entry (g, &pgrp->group_members, in_pgrp)
		if (g->stopped)
			return true;
	return false;
}

static void signal_pgrp_locked(struct pid *pgrp, s32 signo) __requires(&task_list_lock)
{
	struct signal_info info = {.signo = signo, .code = SI_KERNEL};
	struct thread_group *g;

	list_for_each_entry (g, &pgrp->group_members, in_pgrp)
		signal_send_group(g, &info);
}

/* exit(3p): a group that becomes orphaned with stopped members gets SIGHUP and SIGCONT. */
static void check_orphaned(struct thread_group *g, struct thread_group *parent,
	struct thread_group *ignored) __requires(&task_list_lock)
{
	if (!parent || !g->pgrp || !parent->pgrp)
		return;
	if (parent->pgrp == g->pgrp || parent->session != g->session)
		return;
	if (!orphaned(g->pgrp, ignored) || !has_stopped(g->pgrp))
		return;
	signal_pgrp_locked(g->pgrp, SIGHUP);
	signal_pgrp_locked(g->pgrp, SIGCONT);
}

static void reparent_children(struct thread_group *g) __requires(&task_list_lock)
{
	struct thread_group *to = new_parent(g), *child, *next;

	if (!to || to == g)
		return;
	list_for_each_entry_safe (child, next, &g->children, sibling) {
		list_del(&child->sibling);
		child->parent = to;
		list_add_tail(&to->children, &child->sibling);
		if (child->leader && child->leader->pdeath_signal) {
			struct signal_info info = {.signo = child->leader->pdeath_signal,
				.code = SI_USER,
				.pid = group_pid_nr(g)};

			signal_send_group(child, &info);
		}
		/* its new parent may lie in another session: the group may be orphaned now */
		check_orphaned(child, g, nullptr);
		if (child->zombie) {
			child->exit_signal = SIGCHLD;
			if (signal_notify_parent(child, 0, 0))
				group_reap(child);
		}
	}
}

/* The leader's last traces: numbers, lists, counts. The zombie is gone. */
void group_reap(struct thread_group *g)
{
	struct task *leader = g->leader;
	struct pid *p = g->pid;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	g->reaped = true;
	list_del(&leader->in_group);
	g->nr_threads--;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	task_nr_threads--;
	list_del(&g->sibling);
	list_del(&g->all);
	pid_detach_group(g);
	p->task = nullptr;
	p->group = nullptr;
	waitable_wake(&p->exited, EV_HUP | EV_IN, 0);
	pid_forget(p);
	if (leader->user)
		atomic32_fetch_sub(&leader->user->nr_tasks, 1);
	task_reaped(leader);
	object_put(&g->obj);
}

/* A thread that is not the leader leaves the lists. */
static void thread_unlink(struct task *t) __requires(&task_list_lock)
{
	struct thread_group *g = t->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	list_del(&t->in_group);
	g->nr_threads--;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	task_nr_threads--;
	t->pid->task = nullptr;
	waitable_wake(&t->pid->exited, EV_HUP | EV_IN, 0);
	pid_forget(t->pid);
	if (t->user)
		atomic32_fetch_sub(&t->user->nr_tasks, 1);
	object_put(&t->obj);
}

/* The last thread of a process has ended. */
static void group_ended(struct thread_group *g) __requires(&task_list_lock)
{
	bool unwanted;

	if (!g->group_exit)
		g->exit_code = g->leader->exit_status;
	check_orphaned(g, g->parent, g);
	reparent_children(g);
	g->zombie = true;
	/* EV_IN: the process can be waited for; EV_HUP comes when it has been */
	waitable_wake(&g->pid->exited, EV_IN, 0);
	unwanted = !g->parent || signal_notify_parent(g, 0, 0);
	if (unwanted)
		group_reap(g);
}

/* exec by another thread than the leader waits for the leader as well, and takes its place. */
static void exit_notify(struct task *t)
{
	struct thread_group *g = t->group;
	struct rusage_counts mine;
	bool last;
	word_t irq;

	task_usage(t, &mine);
	spin_lock(&task_list_lock);
	irq = SIGNAL_IRQ_LOCK(g);
	WRITE_ONCE(t->exiting, TASK_EXITED);
	last = --g->nr_live == 0;
	signal_stop_exit_check(g, t);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	group_usage_add(&g->dead_threads, &mine);
	if (t != g->leader)
		thread_unlink(t);
	if (last)
		group_ended(g);
	waitable_wake(&g->threads_event, EV_ANY, 0);
	spin_unlock(&task_list_lock);
}

static void forget_terminal(struct thread_group *g)
{
	struct tty *tty;

	if (g->session_leader)
		tty_session_ended(g->ctty, g->session);
	spin_lock(&task_list_lock);
	tty = g->ctty;
	g->ctty = nullptr;
	spin_unlock(&task_list_lock);
	if (tty)
		object_put((struct object *)tty);
}

/* The last thread gives back what belongs to the process. */
static void group_resources_exit(struct thread_group *g)
{
	itimers_exit(g);
	posix_timers_exit(g);
	forget_terminal(g);
}

__noreturn void task_exit(s32 code)
{
	struct task *t = current;
	struct thread_group *g = t->group;
	struct files *files;
	word_t irq;
	bool last;

	BUG_ON(*arch_preempt_count_ptr() != 0);
	task_bury();
	irq = SIGNAL_IRQ_LOCK(g);
	WRITE_ONCE(t->exiting, TASK_EXITING); /* takes no more signals */
	t->exit_status = g->group_exit && !g->exec_task ? g->exit_code : code;
	/* Not nr_live: of two threads that exit at once each would find the other alive, and
	 * neither would give back what belongs to the process. */
	last = --g->nr_staying == 0;
	signal_stop_exit_check(g, nullptr);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (unlikely(last && g == pid_ns_boot.init))
		panic("Attempted to kill init! exitcode=0x%08x",
			(u32)(g->group_exit ? g->exit_code : code));
	if (t->call.dirty)
		call_finish(&t->call, 0);
	if (t->space || t->vfork_parent_waits)
		task_leave_space(t, nullptr);
	if (last)
		group_resources_exit(g);
	spin_lock(&t->obj.lock);
	files = t->files;
	t->files = nullptr;
	spin_unlock(&t->obj.lock);
	if (files)
		files_put(files);
	task_leave_fs();
	reaper_finish_own(); /* whoever waits for this process finds free what it freed */
	exit_notify(t);
	preempt_disable();
	t->state = TASK_DEAD;
	preempt_enable_no_resched();
	schedule();
	unreachable();
}

/* From now on every thread of the group goes to its end. */
void signal_group_kill_locked(struct thread_group *g, s32 status)
{
	struct task *t;

	g->group_exit = true;
	g->exit_code = status;
	g->stop_signal = 0;
	list_for_each_entry (t, &g->threads, in_group) {
		if (t->exiting)
			continue;
		task_work_set(t, TASK_WORK_SIGNAL | TASK_WORK_KILL);
		task_work_clear(t, TASK_WORK_STOP);
		signal_kick(t, true);
	}
}

__noreturn void task_exit_group(s32 status)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	if (!g->group_exit)
		signal_group_kill_locked(g, status);
	status = g->exit_code;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	task_exit(status);
}
