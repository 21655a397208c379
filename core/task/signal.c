/*
 * Signals: queues, sending, masks, waiting. Delivery: signal_deliver.c.
 *
 * A signal pending for a thread or its group is a bit in `set`, with an entry in `queue` when its
 * siginfo could be kept. Numbers below SIGRTMIN are kept once, the others queue (signal(7)).
 * Sending chooses a thread that does not block the signal and makes it look at its work word;
 * SIGKILL and default-fatal signals end the whole group at once, without waiting for a delivery.
 */
#include <core/call.h>
#include "task_internal.h"

void signal_pending_init(struct signal_pending *p)
{
	p->set = 0;
	list_init(&p->queue);
}

static void entry_free(struct signal_queue_entry *e)
{
	list_del(&e->link);
	if (e->timer) { /* the timer's own */
		posix_timer_signal_gone(e);
		return;
	}
	if (e->user)
		atomic32_fetch_sub(&e->user->nr_signals, 1);
	kfree(e);
}

void signal_flush_set(struct signal_pending *p, u64 set)
{
	struct signal_queue_entry *e, *next;

	if (!(p->set & set))
		return;
	p->set &= ~set;
	list_for_each_entry_safe (e, next, &p->queue, link)
		if (set & SIG_BIT(e->info.signo))
			entry_free(e);
}

void signal_flush(struct signal_pending *p)
{
	signal_flush_set(p, ~0ull);
}

static u64 pending_set(const struct task *t)
{
	return t->pending.set | t->group->pending.set;
}

u64 signal_pending_set(const struct task *t)
{
	return READ_ONCE(t->pending.set) | READ_ONCE(t->group->pending.set);
}

void signal_recalc(struct task *t)
{
	if (pending_set(t) & ~t->blocked || t->group->group_exit || t->work & TASK_WORK_KILL)
		task_work_set(t, TASK_WORK_SIGNAL);
	else if (t->work & TASK_WORK_SIGNAL)
		task_work_clear(t, TASK_WORK_SIGNAL);
}

/* Out of a sleep that signals end, or out of user mode on another CPU. */
void signal_kick(struct task *t, bool fatal)
{
	u32 states = 1u << TASK_SLEEPING;

	if (fatal)
		states |= 1u << TASK_SLEEPING_KILLABLE | 1u << TASK_STOPPED | 1u << TASK_TRACED;
	if (task_wake_states(t, states))
		return;
	if (READ_ONCE(t->se.running) && t != current)
		arch_ipi_send(1ull << READ_ONCE(t->se.cpu), ARCH_IPI_RESCHEDULE);
}

static struct signal_action action_of(struct thread_group *g, s32 signo)
{
	struct signal_action a;

	spin_lock(&g->handlers->lock);
	a = g->handlers->action[signo - 1];
	spin_unlock(&g->handlers->lock);
	return a;
}

static bool wants(const struct task *t, s32 signo)
{
	if (t->exiting)
		return false;
	if (signo == SIGKILL || signo == SIGSTOP)
		return true;
	return !(t->blocked & SIG_BIT(signo));
}

/* The thread that will take it: the named one, the leader, or any other. */
static struct task *choose(struct thread_group *g, struct task *t, s32 signo)
{
	struct task *other;

	if (t)
		return wants(t, signo) ? t : nullptr;
	if (current->group == g && wants(current, signo))
		return current;
	if (wants(g->leader, signo))
		return g->leader;
	list_for_each_entry (other, &g->threads, in_group)
		if (wants(other, signo))
			return other;
	return nullptr;
}

/* Default action of these dumps core (signal(7)): the receiving thread does it itself. */
static bool dumps_core(s32 signo)
{
	return SIG_BIT(signo) &
	       (SIG_BIT(SIGQUIT) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGABRT) |
		       SIG_BIT(SIGFPE) | SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGSYS) |
		       SIG_BIT(SIGXCPU) | SIG_BIT(SIGXFSZ));
}

static bool fatal_at_once(struct thread_group *g, s32 signo, bool forced)
{
	if (signo == SIGKILL)
		return true;
	if (g->is_init && !forced)
		return false;
	return action_of(g, signo).handler == SIG_DFL && !signal_default_ignores(signo) &&
	       !signal_is_stop(signo) && !dumps_core(signo);
}

static bool dropped(struct thread_group *g, struct task *t, s32 signo, bool forced)
{
	struct signal_action a;

	if (signo == SIGKILL || signo == SIGSTOP)
		return g->is_init && !forced;
	/* blocked: its fate is decided when it is unblocked, by what the action is then */
	if ((t ? t : g->leader)->blocked & SIG_BIT(signo))
		return false;
	a = action_of(g, signo);
	if (a.handler == SIG_IGN)
		return true;
	return a.handler == SIG_DFL && (signal_default_ignores(signo) || (g->is_init && !forced));
}

/* SIGCONT wakes a stopped group, whatever its action; a stop signal and SIGCONT cancel each other's
 * pending ones. */
static void send_job_control(struct thread_group *g, s32 signo)
{
	struct task *t;

	if (signal_is_stop(signo)) {
		signal_flush_set(&g->pending, SIG_BIT(SIGCONT));
		list_for_each_entry (t, &g->threads, in_group)
			signal_flush_set(&t->pending, SIG_BIT(SIGCONT));
		return;
	}
	signal_flush_set(&g->pending, SIGNAL_STOPS);
	list_for_each_entry (t, &g->threads, in_group) {
		signal_flush_set(&t->pending, SIGNAL_STOPS);
		task_work_clear(t, TASK_WORK_STOP);
	}
	if (!g->stopped && !g->stop_signal)
		return;
	if (g->stopped)
		g->notify_continued = g->continued_event = true;
	else
		g->notify_stopped = true; /* a stop that was cut short is told as one, then ended */
	g->stopped = g->stop_event = false;
	g->stop_signal = 0;
	g->nr_stopped = 0;
	list_for_each_entry (t, &g->threads, in_group) {
		t->stop_counted = false;
		task_work_set(t, TASK_WORK_SIGNAL);
		task_wake_states(t, 1u << TASK_STOPPED);
	}
}

/* Room for siginfo. SI_USER-like signals may go without (legacy numbers only); *error tells what a
 * queueing sender must see. */
static struct signal_queue_entry *entry_new(struct thread_group *g, const struct signal_info *info,
	int *error)
{
	struct user_count *user = g->leader->user;
	struct signal_queue_entry *e = nullptr;
	bool must = info->signo >= SIGRTMIN && info->code != SI_USER && info->code != SI_KERNEL;
	bool room = !user || atomic32_load(&user->nr_signals) < g->rlimit[RLIMIT_SIGPENDING].soft;

	*error = 0;
	if (room || (info->signo < SIGRTMIN && (info->code >= 0)))
		e = kmalloc(sizeof(*e));
	if (!e) {
		if (must)
			*error = -EAGAIN;
		return nullptr;
	}
	if (user)
		atomic32_fetch_add(&user->nr_signals, 1);
	*e = (struct signal_queue_entry){.info = *info, .user = user};
	return e;
}

int signal_send_locked(struct thread_group *g, struct task *t, const struct signal_info *info,
	struct signal_queue_entry *own, bool forced)
{
	struct signal_pending *p = t ? &t->pending : &g->pending;
	struct signal_queue_entry *e = own;
	s32 signo = info->signo;
	struct task *target;
	int error;

	if (g->group_exit || (t && t->exiting) || g->nr_live == 0)
		return 0;
	if (signo == SIGCONT || signal_is_stop(signo))
		send_job_control(g, signo);
	if (dropped(g, t, signo, forced))
		return 0;
	if (signo < SIGRTMIN && p->set & SIG_BIT(signo))
		return 0;
	if (!own && signo != SIGKILL) {
		e = entry_new(g, info, &error);
		if (error)
			return error;
	}
	if (e)
		list_add_tail(&p->queue, &e->link);
	p->set |= SIG_BIT(signo);
	waitable_wake(&g->signal_event, EV_IN, 0);
	target = choose(g, t, signo);
	if (!target)
		return 0;
	if (fatal_at_once(g, signo, forced)) {
		signal_group_kill_locked(g, signo);
		return 0;
	}
	task_work_set(target, TASK_WORK_SIGNAL);
	if (target != current)
		signal_kick(target, false);
	return 0;
}

static bool from_kernel(const struct signal_info *info)
{
	return info->code == SI_KERNEL;
}

int signal_send_group(struct thread_group *g, const struct signal_info *info)
{
	word_t irq;
	int error;

	if (g->leader->kernel_thread && g != pid_ns_boot.init)
		return 0;
	irq = SIGNAL_IRQ_LOCK(g);
	error = signal_send_locked(g, nullptr, info, nullptr,
		from_kernel(info) && info->signo != SIGCHLD && !g->is_init);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return error;
}

int signal_send_task(struct task *t, const struct signal_info *info)
{
	struct thread_group *g = t->group;
	word_t irq;
	int error;

	if (t->kernel_thread)
		return 0;
	irq = SIGNAL_IRQ_LOCK(g);
	error = signal_send_locked(g, t, info, nullptr, from_kernel(info) && !g->is_init);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return error;
}

void signal_send_kernel(struct task *t, s32 signo)
{
	struct signal_info info = {.signo = signo, .code = SI_KERNEL};

	signal_send_task(t, &info);
}

int signal_send_pgrp(struct pid *pgrp, const struct signal_info *info)
{
	struct thread_group *g;
	int result = -ESRCH;

	spin_lock(&task_list_lock);
	list_for_each_entry (g, &pgrp->group_members, in_pgrp) {
		int error = g->zombie ? 0 : signal_send_group(g, info);

		if (result)
			result = error;
	}
	spin_unlock(&task_list_lock);
	return result;
}

void signal_send_pgrp_kernel(struct pid *pgrp, s32 signo)
{
	struct signal_info info = {.signo = signo, .code = SI_KERNEL};

	signal_send_pgrp(pgrp, &info);
}

/* kill(2): real or effective id of the sender against real or saved id of the target; SIGCONT
 * within the session. */
static int may_send_locked(struct task *target, s32 signo)
{
	const struct credentials *mine = &current->context->cred, *theirs;

	if (target->group == current->group)
		return 0;
	theirs = &READ_ONCE(target->context)->cred;
	if (kuid_eq(mine->euid, theirs->suid) || kuid_eq(mine->euid, theirs->uid) ||
		kuid_eq(mine->uid, theirs->suid) || kuid_eq(mine->uid, theirs->uid))
		return 0;
	if (context_capable(current->context, CAP_KILL))
		return 0;
	if (signo == SIGCONT && target->group->session == current->group->session)
		return 0;
	return -EPERM;
}

int signal_may_send(struct task *target, s32 signo)
{
	int error;

	grace_read_begin();
	error = may_send_locked(target, signo);
	grace_read_end();
	return error;
}

static int send_checked(struct thread_group *g, const struct signal_info *info)
{
	int error = signal_may_send(g->leader, info->signo);

	if (error || info->signo == 0)
		return error;
	return g->zombie ? 0 : signal_send_group(g, info);
}

static sword_t kill_pgrp(s32 number, const struct signal_info *info)
{
	struct pid *pgrp = nullptr;
	struct thread_group *g;
	sword_t result = -ESRCH;
	bool sent = false;

	if (number) {
		pgrp = pid_find(current->context->pid_ns, number);
		if (!pgrp)
			return -ESRCH;
	}
	spin_lock(&task_list_lock);
	list_for_each_entry (g, &(pgrp ? pgrp : current->group->pgrp)->group_members, in_pgrp) {
		int error = send_checked(g, info);

		sent |= !error;
		result = error;
	}
	spin_unlock(&task_list_lock);
	if (pgrp)
		pid_put(pgrp);
	return sent ? 0 : result;
}

/* Everybody but pid 1 and the caller. */
static sword_t kill_all(const struct signal_info *info)
{
	struct thread_group *g;
	sword_t result = -ESRCH;

	spin_lock(&task_list_lock);
	list_for_each_entry (g, &task_groups, all) {
		int error;

		if (g->is_init || g == current->group || g->leader->kernel_thread)
			continue;
		error = send_checked(g, info);
		if (result == -ESRCH || !error)
			result = error == -EPERM && result != -ESRCH ? result : error;
	}
	spin_unlock(&task_list_lock);
	return result;
}

static sword_t told(const struct signal_info *info, sword_t result)
{
	if (!result && info->signo)
		call_effect_here();
	return result;
}

sword_t signal_kill(s32 pid, const struct signal_info *info)
{
	struct pid *p;
	sword_t result = -ESRCH;

	if (info->signo < 0 || info->signo > SIG_NR)
		return -EINVAL;
	if (pid == -1)
		return told(info, kill_all(info));
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid <= 0)
		return told(info, kill_pgrp(-pid, info));
	p = pid_find(current->context->pid_ns, pid);
	if (!p)
		return -ESRCH;
	spin_lock(&task_list_lock);
	if (p->group)
		result = send_checked(p->group, info);
	else if (p->task)
		result = send_checked(p->task->group, info);
	spin_unlock(&task_list_lock);
	pid_put(p);
	return told(info, result);
}

sword_t signal_tgkill(s32 tgid, s32 tid, const struct signal_info *info)
{
	struct task *t;
	sword_t result;

	if (info->signo < 0 || info->signo > SIG_NR)
		return -EINVAL;
	t = task_find(current->context->pid_ns, tid);
	if (!t)
		return -ESRCH;
	result = tgid > 0 && group_pid_nr(t->group) != tgid ? -ESRCH
							    : signal_may_send(t, info->signo);
	if (!result && info->signo && !t->exiting)
		result = told(info, signal_send_task(t, info));
	object_put(&t->obj);
	return result;
}

/* The first entry of signo on one queue; nullptr: its siginfo is made up. more: another one
 * follows. */
static struct signal_queue_entry *first_of(const struct signal_pending *p, s32 signo, bool *more)
{
	struct signal_queue_entry *e, *found = nullptr;

	*more = false;
	list_for_each_entry (e, &p->queue, link) {
		if (e->info.signo != signo)
			continue;
		*more = found;
		if (found)
			break;
		found = e;
	}
	return found;
}

static void look_at(const struct signal_queue_entry *e, s32 signo, struct signal_info *info)
{
	if (!e) {
		*info = (struct signal_info){.signo = signo, .code = SI_USER};
		return;
	}
	*info = e->info;
	if (e->timer)
		info->overrun = posix_timer_signal_overrun(e);
}

/* Takes the entry of signo (or makes up its siginfo) off one queue. */
static void take_one(struct signal_pending *p, s32 signo, struct signal_info *info)
{
	bool more;
	struct signal_queue_entry *found = first_of(p, signo, &more);

	if (!more)
		p->set &= ~SIG_BIT(signo);
	look_at(found, signo, info);
	if (signo == SIGALRM && p == &current->group->pending)
		itimer_signal_taken(current->group);
	if (!found)
		return;
	if (found->timer)
		posix_timer_signal_taken(found);
	entry_free(found);
}

static s32 lowest(u64 set)
{
	return set ? (s32)__builtin_ctzll(set) + 1 : 0;
}

/* Group's lock held. Faults of the instruction first, then the lowest number; a thread's own before
 * its group's. */
static s32 next_locked(u64 set, struct signal_pending **from)
{
	struct signal_pending *p = &current->pending;
	s32 signo;

	if (!(p->set & set))
		p = &current->group->pending;
	*from = p;
	signo = lowest(p->set & set & SIGNAL_SYNCHRONOUS);
	return signo ? signo : lowest(p->set & set);
}

s32 signal_take_locked(u64 set, struct signal_info *info)
{
	struct signal_pending *p;
	s32 signo = next_locked(set, &p);

	if (signo)
		take_one(p, signo, info);
	return signo;
}

s32 signal_dequeue(u64 set, struct signal_info *info)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	s32 signo = signal_take_locked(set, info);

	signal_recalc(current);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return signo;
}

s32 signal_peek(u64 set, struct signal_info *info)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	struct signal_pending *p;
	s32 signo = next_locked(set, &p);
	bool more;

	if (signo)
		look_at(first_of(p, signo, &more), signo, info);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return signo;
}

static bool same_info(const struct signal_info *a, const struct signal_info *b)
{
	return a->signo == b->signo && a->error == b->error && a->code == b->code &&
	       a->pid == b->pid && a->uid == b->uid && a->status == b->status &&
	       a->value == b->value && a->utime == b->utime && a->stime == b->stime &&
	       a->timer_id == b->timer_id && a->overrun == b->overrun && a->band_fd == b->band_fd &&
	       a->band == b->band && a->addr_lsb == b->addr_lsb && a->syscall == b->syscall;
}

bool signal_dequeue_same(u64 set, const struct signal_info *seen)
{
	struct thread_group *g = current->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	struct signal_info info;
	struct signal_pending *p;
	s32 signo = next_locked(set, &p);
	bool more, same = false;

	if (signo) {
		look_at(first_of(p, signo, &more), signo, &info);
		same = same_info(&info, seen);
		if (same)
			take_one(p, signo, &info);
	}
	signal_recalc(current);
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return same;
}

sword_t signal_timedwait(u64 set, struct signal_info *info, ktime_t deadline_ns)
{
	struct waitable *w = &current->group->signal_event;

	set &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	for (;;) {
		u32 seq = waitable_seq(w);
		s32 signo = signal_dequeue(set, info);
		int error;

		if (signo)
			return signo;
		if (time_monotonic_ns() >= deadline_ns)
			return -EAGAIN;
		error = wait_sleep(w, EV_ANY, seq, deadline_ns, WAITF_INTERRUPTIBLE);
		if (error != -EINTR)
			continue;
		/* the signal that interrupts may be one that is waited for, when it is not blocked
		 */
		signo = signal_dequeue(set, info);
		return signo ? signo : -EINTR;
	}
}

int signal_action_set(s32 signo, const struct signal_action *new, struct signal_action *old)
{
	struct thread_group *g = current->group;
	struct signal_action *a;
	struct task *t;
	word_t irq;

	if (signo < 1 || signo > SIG_NR || (new && (signo == SIGKILL || signo == SIGSTOP)))
		return -EINVAL;
	irq = SIGNAL_IRQ_LOCK(g);
	spin_lock(&g->handlers->lock);
	a = &g->handlers->action[signo - 1];
	if (old)
		*old = *a;
	if (new) {
		call_effect_here();
		*a = *new;
		a->mask &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	}
	spin_unlock(&g->handlers->lock);
	/* signal(7), POSIX: ignoring a signal discards pending ones */
	if (new && (new->handler == SIG_IGN ||
			   (new->handler == SIG_DFL &&signal_default_ignores(signo)))) {
		signal_flush_set(&g->pending, SIG_BIT(signo));
		list_for_each_entry (t, &g->threads, in_group)
			signal_flush_set(&t->pending, SIG_BIT(signo));
	}
	spin_unlock_irqrestore(&g->obj.lock, irq);
	return 0;
}

/* A signal that this thread will block from now on may have been meant for it only by choice:
 * others look again. */
static void hand_over(struct task *t, u64 newly_blocked)
{
	u64 set = t->group->pending.set & newly_blocked;
	struct task *other;

	if (!set || t->group->nr_live < 2)
		return;
	list_for_each_entry (other, &t->group->threads, in_group) {
		if (other == t || other->exiting || !(set & ~other->blocked))
			continue;
		task_work_set(other, TASK_WORK_SIGNAL);
		signal_kick(other, false);
	}
}

static void set_blocked_locked(struct task *t, u64 mask)
{
	u64 old = t->blocked;

	t->blocked = mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	hand_over(t, t->blocked & ~old);
	signal_recalc(t);
}

void signal_mask_set(u64 mask)
{
	struct task *t = current;
	word_t irq;

	if (t->blocked == (mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))))
		return;
	call_effect_here();
	irq = SIGNAL_IRQ_LOCK(t->group);
	set_blocked_locked(t, mask);
	spin_unlock_irqrestore(&t->group->obj.lock, irq);
}

void signal_mask_temporary(u64 mask)
{
	struct task *t = current;

	if (!(t->work & TASK_WORK_SIGMASK))
		t->saved_blocked = t->blocked;
	task_work_set(t, TASK_WORK_SIGMASK);
	signal_mask_set(mask);
}

bool signal_is_ignored_or_blocked(s32 signo)
{
	return current->blocked & SIG_BIT(signo) ||
	       action_of(current->group, signo).handler == SIG_IGN;
}

/* A fault of the current instruction cannot wait: blocked or ignored, it becomes the default. */
void signal_force_fault(s32 signo, s32 code, vaddr_t addr)
{
	struct signal_info info = {.signo = signo, .code = code, .value = addr};
	struct task *t = current;
	struct thread_group *g = t->group;
	struct signal_action *a;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	spin_lock(&g->handlers->lock);
	a = &g->handlers->action[signo - 1];
	if (a->handler == SIG_IGN || t->blocked & SIG_BIT(signo)) {
		*a = (struct signal_action){};
		t->blocked &= ~SIG_BIT(signo);
	}
	if (a->handler == SIG_DFL)
		g->is_init = false; /* even the first program dies of its own faults */
	spin_unlock(&g->handlers->lock);
	signal_send_locked(g, t, &info, nullptr, true);
	spin_unlock_irqrestore(&g->obj.lock, irq);
}

/* SIGCHLD for a child that ended (code 0), stopped or continued. */
bool signal_notify_parent(struct thread_group *g, s32 code, s32 status)
{
	struct thread_group *parent = g->parent;
	struct signal_info info = {.signo = g->exit_signal,
		.code = code,
		.pid = group_pid_nr(g),
		.status = status};
	struct signal_action a;
	bool unwanted = false;
	word_t irq;

	if (!code) {
		info.code = (g->exit_code & 0x7f) == 0 ? CLD_EXITED : CLD_KILLED;
		info.status =
			info.code == CLD_EXITED ? g->exit_code >> 8 & 0xff : g->exit_code & 0x7f;
	} else {
		info.signo = SIGCHLD;
	}
	info.uid = g->leader->context->cred.uid.value;
	info.utime = (s64)g->dead_threads.user_ns;
	info.stime = (s64)g->dead_threads.system_ns;
	if (READ_ONCE(g->leader->exiting) != TASK_EXITED) {
		info.utime += (s64)READ_ONCE(g->leader->usage.user_ns);
		info.stime += (s64)READ_ONCE(g->leader->usage.system_ns);
	}
	irq = SIGNAL_IRQ_LOCK(parent);
	a = action_of(parent, SIGCHLD);
	if (!code && info.signo == SIGCHLD && (a.handler == SIG_IGN || a.flags & SA_NOCLDWAIT))
		unwanted = true;
	if (info.signo > 0 && !(info.signo == SIGCHLD &&
				      (a.handler == SIG_IGN || (code && a.flags & SA_NOCLDSTOP))))
		signal_send_locked(parent, nullptr, &info, nullptr, false);
	spin_unlock_irqrestore(&parent->obj.lock, irq);
	waitable_wake(&parent->child_event, EV_ANY, 0);
	return unwanted;
}

/* exec(2): caught signals become default, the alternate stack goes. */
void signal_exec_reset(struct task *t)
{
	struct signal_handlers *h = t->group->handlers;

	spin_lock(&h->lock);
	for (u32 i = 0; i < SIG_NR; i++) {
		if (h->action[i].handler != SIG_IGN)
			h->action[i].handler = SIG_DFL;
		h->action[i].flags = h->action[i].mask = 0;
		h->action[i].restorer = 0;
	}
	spin_unlock(&h->lock);
	t->altstack_sp = t->altstack_bytes = 0;
	t->altstack_flags = 2; /* SS_DISABLE */
}
