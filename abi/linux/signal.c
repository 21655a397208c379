/* Signals: sending, masks, waiting, and the layout of struct siginfo. Frames on the user stack:
 * arch/NAME/sigframe.c. */
#include <core/event.h>
#include "abi.h"

#define SIGSET_BYTES 8u
#define UNBLOCKABLE  (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))

/* Which member of the union a siginfo uses (signal/sigaction(2)): by number for codes of the
 * kernel, else by code. */
static void fill_kernel_info(struct user_siginfo *u, const struct signal_info *i)
{
	switch (i->signo) {
	case SIGCHLD:
		u->child = (typeof(u->child)){i->pid, i->uid, i->status, 0, i->utime, i->stime};
		break;
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
		u->fault.addr = i->value;
		u->fault.addr_lsb = i->addr_lsb;
		break;
	case SIGIO:
		u->poll.band = i->band;
		u->poll.fd = i->band_fd;
		break;
	case SIGSYS:
		u->sys = (typeof(u->sys)){i->value, (s32)i->syscall, 0};
		break;
	default:
		u->rt = (typeof(u->rt)){i->pid, i->uid, i->value};
		break;
	}
}

void abi_siginfo_fill(struct user_siginfo *u, const struct signal_info *i)
{
	memset(u, 0, sizeof(*u));
	u->signo = i->signo;
	u->error = i->error;
	u->code = i->code;
	if (i->code == SI_TIMER)
		u->timer = (typeof(u->timer)){i->timer_id, i->overrun, i->value};
	else if (i->code > 0 && i->code < SI_KERNEL)
		fill_kernel_info(u, i);
	else
		u->rt = (typeof(u->rt)){i->pid, i->uid, i->value};
}

void abi_siginfo_read(struct signal_info *i, const struct user_siginfo *u)
{
	*i = (struct signal_info){.signo = u->signo, .error = u->error, .code = u->code};
	if (u->code == SI_TIMER) {
		i->timer_id = u->timer.id;
		i->overrun = u->timer.overrun;
		i->value = u->timer.value;
	} else {
		i->pid = u->rt.pid;
		i->uid = u->rt.uid;
		i->value = u->rt.value;
	}
}

answer_t abi_signal_info_out(struct call *c, struct signal_info *info, u64 user)
{
	struct user_siginfo u;

	(void)c;
	abi_siginfo_fill(&u, info);
	return ucopy_out((vaddr_t)user, &u, sizeof(u));
}

answer_t abi_wait_mask(struct call *c, vaddr_t user, size_t bytes)
{
	u64 mask;

	if (!user)
		return 0;
	if (bytes != SIGSET_BYTES)
		return -EINVAL;
	abi_try(abi_copy_in(c, &mask, user));
	c->sigmask = mask & ~UNBLOCKABLE;
	c->flags |= CALLF_SIGMASK;
	c->dirty = true;
	return 0;
}

/* --- sending --- */
static struct signal_info sender_info(struct call *c, s32 signo, s32 code)
{
	return (struct signal_info){
		.signo = signo,
		.code = code,
		.pid = group_pid_nr(abi_task(c)->group),
		.uid = c->ctx->cred.uid.value,
	};
}

answer_t sys_kill(struct call *c)
{
	struct signal_info info = sender_info(c, arg_int(c, 1), SI_USER);

	if ((u32)info.signo > SIG_NR)
		return -EINVAL;
	return signal_kill(arg_int(c, 0), &info);
}

answer_t sys_tgkill(struct call *c)
{
	struct signal_info info = sender_info(c, arg_int(c, 2), SI_TKILL);

	if (arg_int(c, 0) <= 0 || arg_int(c, 1) <= 0 || (u32)info.signo > SIG_NR)
		return -EINVAL;
	return signal_tgkill(arg_int(c, 0), arg_int(c, 1), &info);
}

/* tgkill without the check that the thread still belongs to that group: 0 means any. */
answer_t sys_tkill(struct call *c)
{
	struct signal_info info = sender_info(c, arg_int(c, 1), SI_TKILL);

	if (arg_int(c, 0) <= 0 || (u32)info.signo > SIG_NR)
		return -EINVAL;
	return signal_tgkill(0, arg_int(c, 0), &info);
}

/* A program may send itself anything; to others only codes below 0 that the kernel does not use
 * (rt_sigqueueinfo(2)). */
static answer_t queued_info(struct call *c, s32 signo, vaddr_t user, s32 target,
	struct signal_info *out)
{
	struct user_siginfo u;

	abi_try(abi_copy_in(c, &u, user));
	u.signo = signo;
	if ((u.code >= 0 || u.code == SI_TKILL) && target != group_pid_nr(abi_task(c)->group))
		return -EPERM;
	abi_siginfo_read(out, &u);
	return (u32)signo > SIG_NR ? -EINVAL : 0;
}

answer_t sys_rt_sigqueueinfo(struct call *c)
{
	struct signal_info info;

	abi_try(queued_info(c, arg_int(c, 1), c->args[2], arg_int(c, 0), &info));
	return arg_int(c, 0) > 0 ? signal_kill(arg_int(c, 0), &info) : -ESRCH;
}

answer_t sys_rt_tgsigqueueinfo(struct call *c)
{
	struct signal_info info;

	if (arg_int(c, 0) <= 0 || arg_int(c, 1) <= 0)
		return -EINVAL;
	abi_try(queued_info(c, arg_int(c, 2), c->args[3], arg_int(c, 0), &info));
	return signal_tgkill(arg_int(c, 0), arg_int(c, 1), &info);
}

/* By the identity that the descriptor holds: the number may be another process's by now. */
static answer_t send_to_pid(struct call *c, struct pid *pid, const struct signal_info *info)
{
	struct task *t = task_find(c->ctx->pid_ns, pid->number);
	answer_t a;

	if (!t)
		return -ESRCH;
	if (t->pid != pid)
		a = -ESRCH;
	else
		a = signal_may_send(t, info->signo);
	if (!a && info->signo)
		a = signal_send_group(t->group, info);
	abi_task_put(t);
	return a;
}

answer_t sys_pidfd_send_signal(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	struct signal_info info = sender_info(c, arg_int(c, 1), SI_USER);
	struct pid *pid;

	if (arg_uint(c, 3))
		return -EINVAL;
	abi_try(file_error(file));
	if (file->type != NODE_PID)
		return -EBADF;
	pid = container_of(file->obj.body, struct pidfd, obj)->pid;
	if (c->args[2])
		abi_try(queued_info(c, arg_int(c, 1), c->args[2], pid->number, &info));
	return (u32)info.signo > SIG_NR ? -EINVAL : send_to_pid(c, pid, &info);
}

/* --- actions and masks --- */
answer_t sys_rt_sigaction(struct call *c)
{
	struct user_sigaction user = {}, old_user;
	struct signal_action new, old;
	s32 signo = arg_int(c, 0);
	answer_t a = 0;

	if (c->args[3] != SIGSET_BYTES)
		return -EINVAL;
	if (c->args[1])
		abi_try(abi_copy_in(c, &user, c->args[1]));
	if (signo < 1 || signo > SIG_NR || (c->args[1] && UNBLOCKABLE & SIG_BIT(signo)))
		return -EINVAL;
	if (c->args[2]) {
		abi_try(signal_action_set(signo, nullptr, &old));
		old_user = (struct user_sigaction){old.handler, old.flags, old.restorer, old.mask};
		/* Before the change: a page that is not there costs no effect. */
		a = abi_copy_out(c, c->args[2], &old_user);
		if (answer_is_kind(a))
			return a;
	}
	if (!c->args[1])
		return a;
	new = (struct signal_action){
		.handler = (vaddr_t)user.handler,
		.mask = user.mask & ~UNBLOCKABLE,
		.flags = user.flags,
		.restorer = (vaddr_t)user.restorer,
	};
	abi_try(signal_action_set(signo, &new, nullptr));
	return a;
}

answer_t sys_rt_sigprocmask(struct call *c)
{
	u64 old = abi_task(c)->blocked, set;
	answer_t a = 0;

	if (c->args[3] != SIGSET_BYTES)
		return -EINVAL;
	if (c->args[1]) {
		abi_try(abi_copy_in(c, &set, c->args[1]));
		if (arg_uint(c, 0) > 2)
			return -EINVAL;
	}
	if (c->args[2]) {
		a = abi_copy_out(c, c->args[2], &old);
		if (answer_is_kind(a))
			return a;
	}
	if (!c->args[1])
		return a;
	switch (arg_uint(c, 0)) {
	case 0: /* SIG_BLOCK */
		set |= old;
		break;
	case 1: /* SIG_UNBLOCK */
		set = old & ~set;
		break;
	default: /* SIG_SETMASK */
		break;
	}
	signal_mask_set(set & ~UNBLOCKABLE);
	return a;
}

answer_t sys_rt_sigpending(struct call *c)
{
	u64 set = signal_pending_set(abi_task(c)) & abi_task(c)->blocked;

	if (c->args[1] > SIGSET_BYTES)
		return -EINVAL;
	return call_copy_out(c, c->args[0], &set, c->args[1]);
}

answer_t sys_rt_sigsuspend(struct call *c)
{
	if (c->args[1] != SIGSET_BYTES)
		return -EINVAL;
	if (call_interrupted(c))
		return -ERESTARTNOHAND;
	if (!c->args[0])
		return -EFAULT;
	abi_try(abi_wait_mask(c, c->args[0], c->args[1]));
	return call_wait(c);
}

answer_t sys_pause(struct call *c)
{
	return call_interrupted(c) ? -ERESTARTNOHAND : call_wait(c);
}

static answer_t sigtimedwait_arguments(struct call *c, struct do_signal_wait *w)
{
	struct user_timespec ts;

	abi_try(call_copy_in(c, &w->set, c->args[0], SIGSET_BYTES));
	w->set &= ~UNBLOCKABLE;
	if (!c->args[2])
		return 0;
	abi_try(abi_copy_in(c, &ts, c->args[2]));
	if (!abi_timespec_valid(&ts))
		return -EINVAL;
	call_wait_deadline(c, abi_ns_add(time_monotonic_ns(), abi_timespec_ns(&ts)));
	return 0;
}

answer_t sys_rt_sigtimedwait(struct call *c)
{
	struct do_signal_wait *w;
	struct user_siginfo u;

	if (c->args[3] != SIGSET_BYTES)
		return -EINVAL;
	abi_memory(c, w, sizeof(*w));
	if (!c->op_done) {
		abi_try(sigtimedwait_arguments(c, w));
		abi_op3(c, (word_t)w, 0, 0);
		return call_do(c, DO_SIGNAL_WAIT, true);
	}
	if (c->op_result <= 0 || !c->args[1])
		return c->op_result;
	abi_siginfo_fill(&u, &w->info);
	abi_try(abi_copy_out(c, c->args[1], &u));
	return c->op_result;
}

answer_t sys_rt_sigreturn(struct call *c)
{
	return abi_do(c, DO_SIGNAL_RETURN);
}

/* --- the alternate stack --- */
bool abi_on_altstack(const struct task *t, vaddr_t sp)
{
	/* An automatically disarmed stack is never "in use" (sigaltstack(2), SS_AUTODISARM). */
	return t->altstack_bytes && !(t->altstack_flags & SS_AUTODISARM_FLAG) &&
	       sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_bytes;
}

struct user_stack abi_altstack_get(const struct task *t)
{
	return (struct user_stack){
		.sp = t->altstack_sp,
		.flags = (s32)(t->altstack_bytes ? t->altstack_flags & SS_AUTODISARM_FLAG
						 : SS_DISABLE_FLAG),
		.size = t->altstack_bytes,
	};
}

static answer_t altstack_set(struct task *t, const struct user_stack *s, vaddr_t sp, size_t least)
{
	u32 mode = (u32)s->flags & ~SS_AUTODISARM_FLAG;

	if (abi_on_altstack(t, sp))
		return -EPERM;
	if (mode != 0 && mode != SS_ONSTACK_FLAG && mode != SS_DISABLE_FLAG)
		return -EINVAL;
	if (mode != SS_DISABLE_FLAG && s->size < least)
		return -ENOMEM;
	call_effect_here();
	if (mode == SS_DISABLE_FLAG) {
		t->altstack_sp = 0;
		t->altstack_bytes = 0;
		t->altstack_flags = (u32)s->flags;
		return 0;
	}
	t->altstack_sp = (vaddr_t)s->sp;
	t->altstack_bytes = (size_t)s->size;
	t->altstack_flags = (u32)s->flags & SS_AUTODISARM_FLAG;
	return 0;
}

void abi_altstack_entered(struct task *t)
{
	if (!(t->altstack_flags & SS_AUTODISARM_FLAG))
		return;
	t->altstack_sp = 0;
	t->altstack_bytes = 0;
	t->altstack_flags = SS_DISABLE_FLAG;
}

void abi_altstack_restore(struct task *t, const struct user_stack *s)
{
	(void)altstack_set(t, s, arch_regs_sp(arch_task_regs(t)), ABI_MINSIGSTKSZ);
}

vaddr_t abi_signal_stack(struct task *t, vaddr_t sp, u64 action_flags)
{
	if (!(action_flags & SA_ONSTACK_FLAG) || !t->altstack_bytes || abi_on_altstack(t, sp))
		return sp;
	return t->altstack_sp + t->altstack_bytes;
}

answer_t sys_sigaltstack(struct call *c)
{
	struct task *t = abi_task(c);
	vaddr_t sp = arch_regs_sp(arch_task_regs(t));
	struct user_stack new, old = abi_altstack_get(t);
	answer_t a = 0;

	if (abi_on_altstack(t, sp))
		old.flags |= (s32)SS_ONSTACK_FLAG;
	if (c->args[0])
		abi_try(abi_copy_in(c, &new, c->args[0]));
	if (c->args[1]) {
		a = abi_copy_out(c, c->args[1], &old);
		if (answer_is_kind(a))
			return a;
	}
	if (c->args[0])
		abi_try(altstack_set(t, &new, sp, ABI_MINSIGSTKSZ));
	return a;
}
