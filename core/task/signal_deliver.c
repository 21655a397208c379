/*
 * What a task does on its way to user mode: reschedule, stop, take signals, restart or interrupt
 * its system call. Theory: signal.c.
 *
 * Restart: a call that answered -ERESTART* is decided once, by the first signal that is handled (or
 * by their absence): restarted from its registers, restarted through restart_syscall(2), or failed
 * with EINTR (signal(7)).
 */
#include "task_internal.h"
#include <arch/trap.h>
#include <kabi/personality.h>
#include <kabi/slots.h>

/* All threads that live are stopped: the parent may be told. Group's lock held. */
static void stop_complete(struct thread_group *g)
{
	if (g->stopped || !g->stop_signal || g->nr_stopped < g->nr_live)
		return;
	g->stopped = true;
	g->stop_event = true;
	g->continued_event = false;
	g->notify_stopped = true;
}

/* A thread ends while the others stop; group's lock held. */
void signal_stop_exit_check(struct thread_group *g, struct task *leaving)
{
	struct task *t;

	if (!g->stop_signal || !leaving)
		return;
	if (leaving->stop_counted) {
		leaving->stop_counted = false;
		g->nr_stopped--;
	}
	stop_complete(g);
	if (!g->notify_stopped)
		return;
	/* somebody who may sleep tells the parent: any stopped thread would have to wake, so this
	 * one does it after the unlock */
	list_for_each_entry (t, &g->threads, in_group)
		if (t != leaving && t->stop_counted) {
			task_wake_states(t, 1u << TASK_STOPPED);
			return;
		}
}

/* Tells the parent what has been noted under the group's lock. */
void signal_notify_stops(struct thread_group *g)
{
	bool stopped, continued;
	u32 signo;
	word_t irq;

	if (!READ_ONCE(g->notify_stopped) && !READ_ONCE(g->notify_continued))
		return;
	spin_lock(&task_list_lock);
	irq = SIGNAL_IRQ_LOCK(g);
	stopped = g->notify_stopped;
	continued = g->notify_continued;
	signo = g->stop_signal;
	g->notify_stopped = g->notify_continued = false;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (g->parent && stopped && signo)
		signal_notify_parent(g, CLD_STOPPED, (s32)signo);
	if (g->parent && continued)
		signal_notify_parent(g, CLD_CONTINUED, SIGCONT);
	spin_unlock(&task_list_lock);
}

/* Every thread is to stop; group's lock held. */
static void stop_begin(struct thread_group *g, u32 signo)
{
	struct task *t;

	if (g->stopped || g->group_exit)
		return;
	g->stop_signal = signo;
	list_for_each_entry (t, &g->threads, in_group) {
		if (t->exiting || t->stop_counted)
			continue;
		task_work_set(t, TASK_WORK_STOP);
		if (t != current)
			signal_kick(t, false);
	}
}

/* This thread stops until SIGCONT or its end. Entered and left without the lock. */
static void stop_here(struct task *t)
{
	struct thread_group *g = t->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	task_work_clear(t, TASK_WORK_STOP);
	if (!g->stop_signal || g->group_exit) {
		spin_unlock_irqrestore(&g->obj.lock, irq);
		return;
	}
	if (!t->stop_counted) {
		t->stop_counted = true;
		g->nr_stopped++;
	}
	stop_complete(g);
	for (;;) {
		bool over = !t->stop_counted || g->group_exit, tell = g->notify_stopped;

		if (!over && !tell)
			t->state = TASK_STOPPED; /* under the lock: SIGCONT comes before or after,
						    never between */
		spin_unlock_irqrestore(&g->obj.lock, irq);
		if (tell)
			signal_notify_stops(g);
		else if (over)
			break;
		else
			schedule();
		irq = SIGNAL_IRQ_LOCK(g);
	}
	t->state = TASK_RUNNABLE;
	signal_notify_stops(g);
}

/* The default action that ends the process. Cores are not written: WCOREDUMP stays false, as with a
 * core limit of 0. */
static __noreturn void die_of(s32 signo)
{
	task_exit_group(signo);
}

static bool stop_is_for_orphans(s32 signo)
{
	return signo != SIGSTOP;
}

/* The stop signal's default: not for orphaned groups, except SIGSTOP. Without the lock. */
static void default_stop(struct thread_group *g, s32 signo)
{
	bool orphan = false;
	word_t irq;

	if (stop_is_for_orphans(signo))
		orphan = pgrp_orphaned(g->pgrp);
	if (orphan)
		return;
	irq = SIGNAL_IRQ_LOCK(g);
	/* a SIGCONT meanwhile would have flushed it from the queue; taken already, it counts as
	 * sent before */
	stop_begin(g, (u32)signo);
	spin_unlock_irqrestore(&g->obj.lock, irq);
}

/* A signal out of the queues, with its action; 0: none. Does not return from a kill. */
static s32 take_signal(struct task *t, struct signal_info *info, struct signal_action *action)
{
	struct thread_group *g = t->group;
	word_t irq = SIGNAL_IRQ_LOCK(g);
	bool kill = g->group_exit || t->work & TASK_WORK_KILL;
	s32 signo = kill ? 0 : signal_take_locked(~t->blocked, info);

	if (signo) {
		spin_lock(&g->handlers->lock);
		*action = g->handlers->action[signo - 1];
		if (action->handler > SIG_IGN && action->flags & SA_RESETHAND)
			g->handlers->action[signo - 1].handler = SIG_DFL;
		spin_unlock(&g->handlers->lock);
	} else if (!kill) {
		signal_recalc(t);
	}
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (kill)
		task_exit(g->exec_task ? 0 : g->exit_code);
	return signo;
}

/* Next signal with a handler; false: none (any more). Does all default actions on the way. */
static bool next_signal(struct task *t, struct signal_info *info, struct signal_action *action)
{
	struct thread_group *g = t->group;

	for (;;) {
		s32 signo;

		if (READ_ONCE(t->work) & TASK_WORK_STOP)
			stop_here(t);
		signal_notify_stops(g);
		signo = take_signal(t, info, action);
		if (!signo)
			return false;
		if (action->handler > SIG_IGN)
			return true;
		if (action->handler == SIG_IGN || signal_default_ignores(signo))
			continue;
		if (signal_is_stop(signo))
			default_stop(g, signo);
		else if (!g->is_init || signo == SIGKILL)
			die_of(signo);
	}
}

/* The call that was interrupted, decided once. `handler`: a handler will run, with these flags. */
static void decide_restart(struct arch_regs *regs, bool handler, u64 sa_flags)
{
	sword_t value = (sword_t)arch_syscall_return(regs);

	if (arch_syscall_nr(regs) == (word_t)-1)
		return;
	switch (value) {
	case -ERESTARTSYS:
		if (handler && !(sa_flags & SA_RESTART))
			arch_syscall_set_return(regs, (word_t)-EINTR);
		else
			arch_syscall_restart(regs);
		break;
	case -ERESTARTNOINTR:
		arch_syscall_restart(regs);
		break;
	case -ERESTARTNOHAND:
		if (handler)
			arch_syscall_set_return(regs, (word_t)-EINTR);
		else
			arch_syscall_restart(regs);
		break;
	case -ERESTART_RESTARTBLOCK:
		if (handler)
			arch_syscall_set_return(regs, (word_t)-EINTR);
		else
			arch_syscall_restart_block(regs);
		break;
	default:
		return;
	}
	arch_syscall_forget(regs); /* decided: not again by the next signal */
}

/* The frame could not be built: signal(7) leaves SIGSEGV, and no way out when that is the one. */
static void frame_failed(s32 signo)
{
	if (signo == SIGSEGV)
		die_of(SIGSEGV);
	signal_force_fault(SIGSEGV, SI_KERNEL, 0);
}

/* Outside the loop of calls, so what a parked slot answers is waited for here. */
static answer_t deliver(struct task *t, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action, u64 old)
{
	const struct slot *slot = SLOT(PERSONALITY_LINUX);
	answer_t a;

	do
		a = personality_signal_deliver(slot, &t->call, regs, info, action, old);
	while (a == ANSWER_WAIT_SLOT && !call_wait_open(slot, KTIME_MAX, WAITF_KILLABLE));
	return a;
}

static void run_handler(struct task *t, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action)
{
	answer_t a;
	u64 old = t->work & TASK_WORK_SIGMASK ? t->saved_blocked : t->blocked,
	    mask = t->blocked | action->mask;

	if (!(action->flags & SA_NODEFER))
		mask |= SIG_BIT(info->signo);
	if (t->rseq)
		rseq_update(t, regs); /* before the frame keeps the interrupted place */
	a = deliver(t, regs, info, action, old);
	if (a == ANSWER_WAIT_SLOT) /* killed */
		return;
	if (a) {
		frame_failed(info->signo);
		return;
	}
	/* the frame holds the mask to go back to */
	if (t->work & TASK_WORK_SIGMASK)
		task_work_clear(t, TASK_WORK_SIGMASK);
	signal_mask_set(mask);
}

static void take_signals(struct task *t, struct arch_regs *regs, bool *restart_decided)
{
	struct signal_action action;
	struct signal_info info;

	while (READ_ONCE(t->work) & (TASK_WORK_SIGNAL | TASK_WORK_STOP | TASK_WORK_KILL)) {
		if (!next_signal(t, &info, &action))
			break;
		if (!*restart_decided)
			decide_restart(regs, true, action.flags);
		*restart_decided = true;
		run_handler(t, regs, &info, &action);
	}
}

static void exit_work_once(struct task *t, struct arch_regs *regs, u32 work, bool *restart_decided)
{
	if (work & TASK_WORK_RESCHED) {
		schedule();
		if (t->rseq) /* preempted in user mode */
			task_work_set(t, TASK_WORK_RSEQ);
	}
	if (work & TASK_WORK_REAP) {
		task_work_clear(t, TASK_WORK_REAP);
		reaper_finish_own();
	}
	if (work & TASK_WORK_CPUTIME) {
		task_work_clear(t, TASK_WORK_CPUTIME);
		cpu_timers_check(t);
	}
	if (work & (TASK_WORK_SIGNAL | TASK_WORK_STOP | TASK_WORK_KILL))
		take_signals(t, regs, restart_decided);
	if (READ_ONCE(t->work) & TASK_WORK_SIGMASK) {
		/* nobody's handler ran: the old mask comes back, and with it maybe a signal */
		task_work_clear(t, TASK_WORK_SIGMASK);
		if (!*restart_decided)
			decide_restart(regs, false, 0);
		*restart_decided = true;
		signal_mask_set(t->saved_blocked);
	}
	if (READ_ONCE(t->work) & TASK_WORK_RSEQ)
		rseq_update(t, regs);
}

/* Interrupts off; leaves with them off and the work word empty. */
void task_user_exit_work(struct arch_regs *regs)
{
	struct task *t = current;
	bool restart_decided = false;
	u32 work;

	if (t->mode_stamp)
		task_account_entry(t);

	while ((work = READ_ONCE(t->work))) {
		arch_irq_enable();
		exit_work_once(t, regs, work, &restart_decided);
		/* A call that ended for a signal which somebody else took: it starts again. */
		if (work & TASK_WORK_SIGNAL && !(READ_ONCE(t->work) & TASK_WORK_SIGNAL) &&
			!restart_decided) {
			decide_restart(regs, false, 0);
			restart_decided = true;
		}
		arch_irq_disable();
	}
	task_account_exit(t);
}
