/* clone, fork, vfork. Theory: task.c. */
#include "task_internal.h"
#include <arch/context.h>

#define CLONE_BYTES 65536u /* the task, its stack, tables of a small space */

/* Rules of clone(2), in Linux's order where two apply. */
static int check_flags(const struct clone_args *a)
{
	u64 f = a->flags;

	if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) ||
		(f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD && !(f & CLONE_SIGHAND)) || (f & CLONE_SIGHAND && !(f & CLONE_VM)))
		return -EINVAL;
	if (f & CLONE_PARENT && current->group->is_init)
		return -EINVAL;
	if (f & CLONE_THREAD && f & (CLONE_NEWUSER | CLONE_NEWPID))
		return -EINVAL;
	if (f & CLONE_PIDFD && f & CLONE_DETACHED)
		return -EINVAL;
	if (f & CLONE_PIDFD && f & CLONE_PARENT_SETTID && a->pidfd == a->parent_tid)
		return -EINVAL;
	if (f & CLONE_CLEAR_SIGHAND && f & CLONE_SIGHAND)
		return -EINVAL;
	if (f & CLONE_INTO_CGROUP)
		return -EINVAL;
	if (a->exit_signal < 0 || a->exit_signal > SIG_NR)
		return -EINVAL;
	/* No namespace but the boot ones can be made yet: as a Linux built without them. */
	if (f & CLONE_NEWUSER)
		return -EINVAL;
	if (f & CLONE_NAMESPACES)
		return context_capable(current->context, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
	return 0;
}

static int check_limits(struct user_count *user)
{
	u64 limit = task_rlimit(current, RLIMIT_NPROC);

	if (atomic32_load(&user->nr_tasks) < limit || user->uid.value == 0)
		return 0;
	if (context_capable(current->context, CAP_SYS_RESOURCE) ||
		context_capable(current->context, CAP_SYS_ADMIN))
		return 0;
	return -EAGAIN;
}

static int clone_context(struct task *t, u64 flags)
{
	struct context *mine = current->context, *c;
	struct fs_context *fs;

	if (flags & CLONE_FS) {
		object_get(&mine->obj);
		t->context = mine;
		return 0;
	}
	fs = fs_context_clone(mine->fs);
	c = fs ? context_clone(mine) : nullptr;
	if (!c) {
		if (fs)
			object_put(&fs->obj);
		return -ENOMEM;
	}
	object_put(&c->fs->obj);
	c->fs = fs;
	t->context = c;
	return 0;
}

static int clone_files(struct task *t, u64 flags)
{
	if (flags & CLONE_FILES) {
		object_get(&current->files->obj);
		t->files = current->files;
		return 0;
	}
	t->files = files_clone(current->files, ~0u);
	return t->files ? 0 : -ENOMEM;
}

static int clone_space(struct task *t, u64 flags)
{
	int error = 0;

	if (flags & CLONE_VM) {
		space_get(current->space);
		t->space = current->space;
		return 0;
	}
	t->space = space_fork(current->space, &error);
	if (t->space)
		return 0;
	return error ? error : -ENOMEM;
}

/* What a new process inherits from the one that makes it. */
static struct thread_group *clone_group(u64 flags, s32 exit_signal)
{
	struct thread_group *g = group_alloc(), *from = current->group;
	word_t irq;

	if (!g)
		return nullptr;
	if (flags & CLONE_SIGHAND) {
		refcount_inc(&from->handlers->refs);
		g->handlers = from->handlers;
	} else {
		g->handlers = handlers_new(from->handlers, flags & CLONE_CLEAR_SIGHAND);
	}
	if (!g->handlers) {
		kfree(g);
		return nullptr;
	}
	irq = SIGNAL_IRQ_LOCK(from);
	memcpy(g->rlimit, from->rlimit, sizeof(g->rlimit));
	spin_unlock_irqrestore(&from->obj.lock, irq);
	g->cpu_timers_armed = g->rlimit[RLIMIT_CPU].soft != RLIM_INFINITY;
	g->exit_signal = exit_signal;
	g->oom_score_adj = from->oom_score_adj;
	g->dumpable = from->dumpable;
	g->child_subreaper = false;
	return g;
}

static void clone_task_fields(struct task *t, const struct clone_args *a)
{
	struct task *from = current;

	memcpy(t->comm, from->comm, sizeof(t->comm));
	t->blocked = from->blocked;
	t->personality_word = from->personality_word;
	t->io_priority = from->io_priority;
	t->timer_slack_ns = from->timer_slack_ns;
	if ((a->flags & (CLONE_VM | CLONE_VFORK)) !=
		CLONE_VM) { /* sigaltstack(2): not kept by threads */
		t->altstack_sp = from->altstack_sp;
		t->altstack_bytes = from->altstack_bytes;
		t->altstack_flags = from->altstack_flags;
	}
	if (!(a->flags & CLONE_VM)) {
		t->rseq = from->rseq;
		t->rseq_bytes = from->rseq_bytes;
		t->rseq_signature = from->rseq_signature;
	}
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = a->child_tid;
	if (a->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = a->child_tid;
	t->vfork_parent_waits = a->flags & CLONE_VFORK;
	sched_fork(t, from);
}

/* Undoes what a clone that failed had made. The task was never visible. */
static void clone_undo(struct task *t, struct thread_group *fresh)
{
	if (t->user)
		atomic32_fetch_sub(&t->user->nr_tasks, 1);
	if (t->files)
		files_put(t->files);
	if (t->space)
		space_put(t->space);
	if (fresh)
		object_put(&fresh->obj);
	t->files = nullptr;
	t->space = nullptr;
	object_put(&t->obj);
}

static int clone_resources(struct task *t, const struct clone_args *a)
{
	int error = check_limits(current->user);

	if (error)
		return error;
	t->user = current->user;
	atomic32_fetch_add(&t->user->nr_tasks, 1);
	clone_task_fields(t, a);
	error = clone_context(t, a->flags);
	if (!error)
		error = clone_files(t, a->flags);
	if (!error)
		error = clone_space(t, a->flags);
	if (!error)
		error = arch_task_fork(t, current, a->stack, a->flags & CLONE_SETTLS, a->tls);
	return error;
}

/* Makes it visible. -ERESTARTNOINTR when a signal came first, -EINTR when the process is being
 * killed. */
static int publish(struct task *t, struct thread_group *fresh, struct pid *p, u64 flags)
{
	struct thread_group *mine = current->group, *parent;

	spin_lock(&task_list_lock);
	if (task_kill_pending(current) ||
		(!(flags & CLONE_THREAD) && task_signal_pending(current))) {
		spin_unlock(&task_list_lock);
		return task_kill_pending(current) ? -EINTR : -ERESTARTNOINTR;
	}
	object_get(&t->obj); /* listed, and running */
	object_get(&p->obj);
	t->pid = p;
	p->task = t;
	task_total_forks++;
	if (flags & CLONE_THREAD) {
		task_join_group(t, mine);
		spin_unlock(&task_list_lock);
		return 0;
	}
	parent = flags & CLONE_PARENT ? mine->parent : mine;
	if (flags & CLONE_PARENT)
		fresh->exit_signal = mine->exit_signal;
	object_get(&p->obj);
	fresh->pid = p;
	fresh->leader = t;
	p->group = fresh;
	fresh->parent = parent;
	list_add_tail(&parent->children, &fresh->sibling);
	list_add_tail(&task_groups, &fresh->all);
	fresh->ctty = mine->ctty;
	if (fresh->ctty)
		object_get((struct object *)fresh->ctty);
	pid_attach_group(fresh, mine->pgrp, mine->session);
	task_join_group(t, fresh);
	spin_unlock(&task_list_lock);
	return 0;
}

/* The descriptor is reserved and told before the child runs. */
static sword_t make_pidfd(struct pid *p, vaddr_t user)
{
	struct file *f = pidfd_file_new(p, O_RDWR | O_CLOEXEC);
	sword_t fd;
	s32 number;

	if (!f)
		return -ENOMEM;
	fd = files_install(current->files, f, 0, true, task_rlimit(current, RLIMIT_NOFILE));
	if (fd < 0) {
		file_put(f);
		return fd;
	}
	number = (s32)fd;
	if (!ucopy_out(user, &number, sizeof(number)))
		return fd;
	f = files_remove(current->files, (u32)fd);
	if (f)
		file_put(f);
	return -EFAULT;
}

static void drop_pidfd(sword_t fd)
{
	struct file *f = fd >= 0 ? files_remove(current->files, (u32)fd) : nullptr;

	if (f)
		file_put(f);
}

static void wait_vfork(struct task *t)
{
	if (wait_event(&t->vfork_done, EV_ANY, !READ_ONCE(t->vfork_parent_waits), WAITF_KILLABLE))
		log_debug("vfork: parent killed first\n");
}

static struct pid *pid_for_clone(const struct clone_args *a, int *error)
{
	*error = -EINVAL;
	if (a->nr_set_tid > 1)
		return nullptr;
	if (a->nr_set_tid == 0)
		return pid_new(current->context->pid_ns, 0, error);
	if (a->set_tid[0] < 1)
		return nullptr;
	*error = -EPERM;
	if (!context_capable(current->context, CAP_SYS_ADMIN))
		return nullptr;
	return pid_new(current->context->pid_ns, a->set_tid[0], error);
}

static void pid_abandon(struct pid *p)
{
	spin_lock(&task_list_lock);
	pid_forget(p);
	spin_unlock(&task_list_lock);
}

sword_t task_clone(const struct clone_args *a)
{
	struct thread_group *fresh = nullptr;
	sword_t fd = -1;
	struct task *t;
	struct pid *p;
	s32 number;
	int error = check_flags(a);

	if (error)
		return error;
	task_bury();
	(void)mm_reclaim_for(CLONE_BYTES); /* not out of the reserve, if it can be helped */
	t = task_alloc();
	if (!t)
		return -ENOMEM;
	error = clone_resources(t, a);
	if (!error && !(a->flags & CLONE_THREAD)) {
		fresh = clone_group(a->flags, a->exit_signal);
		error = fresh ? 0 : -ENOMEM;
	}
	p = error ? nullptr : pid_for_clone(a, &error);
	if (!p) {
		clone_undo(t, fresh);
		return error;
	}
	number = p->number;
	if (a->flags & CLONE_PIDFD)
		fd = make_pidfd(p, a->pidfd);
	error = a->flags & CLONE_PIDFD && fd < 0 ? (int)fd : publish(t, fresh, p, a->flags);
	if (error) {
		drop_pidfd(fd);
		pid_abandon(p);
		clone_undo(t, fresh);
		return error;
	}
	if (a->flags & CLONE_PARENT_SETTID && ucopy_out(a->parent_tid, &number, sizeof(number)))
		log_debug("clone: parent id not written\n"); /* clone(2) has no error for it */
	if (a->flags & CLONE_VFORK)
		object_get(&t->obj);
	task_wake_new(t);
	if (a->flags & CLONE_VFORK) {
		wait_vfork(t);
		object_put(&t->obj);
	}
	return number;
}
