/*
 * Signal frames of x86-64 (Linux arch/x86/include/uapi/asm/{sigcontext,ucontext}.h; psABI 3.2.2 for
 *the red zone and the alignment).
 *
 *	high  ...program's stack, red zone of 128 bytes
 *	      FP state (XSAVE image with Linux's software bytes), 64-byte aligned
 *	      struct rt_frame: return address = restorer, ucontext, siginfo; rsp % 16 == 8 at the
 *handler's entry
 */
#include <arch/context.h>
#include "../../abi.h"
#include "frame.h"

#define RED_ZONE_BYTES       128u
#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u
#define FLAG_DIRECTION       0x400ul

static void context_fill(struct user_sigcontext *s, const struct arch_regs *r,
	const struct signal_info *info, u64 old_mask)
{
	*s = (struct user_sigcontext){
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.di = r->di,
		.si = r->si,
		.bp = r->bp,
		.bx = r->bx,
		.dx = r->dx,
		.ax = r->ax,
		.cx = r->cx,
		.sp = r->sp,
		.ip = r->ip,
		.flags = r->flags,
		.cs = (u16)r->cs,
		.ss = (u16)r->ss,
		.oldmask = old_mask,
	};
	/* As Linux: those of the task's last fault, whatever the signal. */
	s->trapno = current->arch.trap_number;
	s->err = current->arch.trap_error;
	s->cr2 = current->arch.trap_address;
}

/* Room for the whole frame: the FP area and, below it, the frame. False: it would leave the
 * alternate stack. */
static bool place(struct task *t, const struct arch_regs *regs, u64 action_flags, vaddr_t *fp,
	vaddr_t *frame)
{
	bool nested = abi_on_altstack(t, regs->sp);
	vaddr_t sp = abi_signal_stack(t, regs->sp - RED_ZONE_BYTES, action_flags);
	bool alternate = nested || sp != regs->sp - RED_ZONE_BYTES;

	sp = ALIGN_DOWN(sp - arch_fpu_user_bytes(), (vaddr_t)64);
	*fp = sp;
	*frame = ALIGN_DOWN(sp - sizeof(struct rt_frame), (vaddr_t)16) - 8;
	if (alternate)
		return *frame > t->altstack_sp && *frame - t->altstack_sp <= t->altstack_bytes;
	return true;
}

static void enter_handler(struct arch_regs *regs, const struct signal_info *info,
	const struct signal_action *action, vaddr_t frame)
{
	regs->di = (word_t)(u32)info->signo;
	regs->si = frame + offsetof(struct rt_frame, info);
	regs->dx = frame + offsetof(struct rt_frame, uc);
	regs->ax = 0;
	regs->ip = action->handler;
	regs->sp = frame;
	regs->flags &= ~(FLAG_DIRECTION | X86_FLAGS_RF | X86_FLAGS_TF);
	regs->cs = X86_USER_CS;
	regs->ss = X86_USER_SS;
	regs->orig_ax = ~0ul;
}

answer_t abi_signal_deliver(struct call *c, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action, u64 old_mask)
{
	struct task *t = abi_task(c);
	struct rt_frame f = {};
	vaddr_t fp, frame;

	if (!(action->flags & SA_RESTORER_FLAG) || !place(t, regs, action->flags, &fp, &frame))
		return -EFAULT;
	f.restorer = action->restorer;
	f.uc.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f.uc.stack = abi_altstack_get(t);
	if (abi_on_altstack(t, regs->sp))
		f.uc.stack.flags |= (s32)SS_ONSTACK_FLAG;
	f.uc.sigmask = old_mask;
	context_fill(&f.uc.mcontext, regs, info, old_mask);
	f.uc.mcontext.fpstate = fp;
	abi_siginfo_fill(&f.info, info);
	if (!user_range_ok(fp, arch_fpu_user_bytes()) || arch_fpu_save_user((void __user *)fp) ||
		ucopy_out(frame, &f, sizeof(f)))
		return -EFAULT;
	abi_altstack_entered(t);
	enter_handler(regs, info, action, frame);
	return 0;
}

static void context_restore(struct arch_regs *r, const struct user_sigcontext *s)
{
	r->r8 = s->r8, r->r9 = s->r9, r->r10 = s->r10, r->r11 = s->r11;
	r->r12 = s->r12, r->r13 = s->r13, r->r14 = s->r14, r->r15 = s->r15;
	r->di = s->di, r->si = s->si, r->bp = s->bp, r->bx = s->bx;
	r->dx = s->dx, r->ax = s->ax, r->cx = s->cx;
	r->sp = s->sp;
	r->ip = s->ip;
	r->cs = X86_USER_CS;
	r->ss = X86_USER_SS;
	r->orig_ax = ~0ul;
	x86_regs_set_flags(r, s->flags);
}

answer_t abi_signal_return(struct call *c, struct arch_regs *regs)
{
	struct task *t = abi_task(c);
	vaddr_t frame = regs->sp - 8; /* the handler's return took the restorer's address off */
	struct user_ucontext uc;

	if (ucopy_in(&uc, frame + offsetof(struct rt_frame, uc), sizeof(uc)))
		goto bad;
	/* No return to an address that IRET itself would refuse, in kernel mode. */
	if (uc.mcontext.ip >= USER_ADDR_END || uc.mcontext.sp >= USER_ADDR_END)
		goto bad;
	if (!uc.mcontext.fpstate)
		arch_fpu_reset(t);
	else if (!user_range_ok((vaddr_t)uc.mcontext.fpstate, arch_fpu_user_bytes()) ||
		 arch_fpu_restore_user((const void __user *)(vaddr_t)uc.mcontext.fpstate))
		goto bad;
	signal_mask_set(uc.sigmask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)));
	context_restore(regs, &uc.mcontext);
	abi_altstack_restore(t, &uc.stack);
	return (answer_t)regs->ax;
bad:
	signal_force_fault(SIGSEGV, SI_KERNEL, 0);
	return 0;
}
