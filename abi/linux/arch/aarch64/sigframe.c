/*
 * Signal frames of AArch64. From the stack pointer upwards: siginfo, ucontext with the register
 * file and a chain of records that the port writes (arch_fpu_save_user: fpsimd_context, and
 * sve_context where the program uses SVE), then a frame record for unwinders. The handler returns
 * through the action's restorer or, as glibc leaves it out here, the vDSO's trampoline.
 */
#include <arch/context.h>
#include <arch/time.h>
#include "../../abi.h"
#include "frame.h"

#define PSTATE_BTYPE 0x00000c00ull
#define PSTATE_SS    0x00200000ull

static vaddr_t return_address(struct task *t, const struct signal_action *action)
{
	struct arch_vdso vdso;

	if (action->flags & SA_RESTORER_FLAG)
		return action->restorer;
	vdso = arch_vdso_image();
	return vdso.sigreturn_offset && t->space->vdso ? t->space->vdso + vdso.sigreturn_offset : 0;
}

static bool place(struct task *t, vaddr_t sp, u64 action_flags, vaddr_t *record, vaddr_t *frame)
{
	bool nested = abi_on_altstack(t, sp);
	vaddr_t top = abi_signal_stack(t, sp, action_flags);

	*record = ALIGN_DOWN(top, (vaddr_t)16) - sizeof(struct frame_record);
	*frame = ALIGN_DOWN(*record - sizeof(struct rt_frame), (vaddr_t)16);
	if (nested || top != sp)
		return *frame > t->altstack_sp && *frame - t->altstack_sp <= t->altstack_bytes;
	return true;
}

/* The frame's fixed part in three pieces, so that the 4 KiB of records need no copy on the core
 * stack. */
static int write_frame(struct task *t, const struct arch_regs *regs, const struct signal_info *info,
	u64 old_mask, vaddr_t frame)
{
	struct user_siginfo si;
	struct {
		u64 flags, link;
		struct user_stack stack;
		u64 sigmask;
	} head = {.stack = abi_altstack_get(t), .sigmask = old_mask};
	struct {
		u64 fault_address, regs[31], sp, pc, pstate;
	} machine = {.sp = regs->sp, .pc = regs->pc, .pstate = regs->pstate};
	vaddr_t uc = frame + offsetof(struct rt_frame, uc),
		mc = uc + offsetof(struct user_ucontext, mcontext);
	vaddr_t records = mc + offsetof(struct user_sigcontext, records);
	const struct record_head end[2] = {};

	if (abi_on_altstack(t, regs->sp))
		head.stack.flags |= (s32)SS_ONSTACK_FLAG;
	for (u32 i = 0; i < 31; i++)
		machine.regs[i] = regs->x[i];
	if ((info->signo == SIGSEGV || info->signo == SIGBUS) && info->code > 0 &&
		info->code < SI_KERNEL)
		machine.fault_address = info->value;
	abi_siginfo_fill(&si, info);
	if (ucopy_out(frame, &si, sizeof(si)) || ucopy_out(uc, &head, sizeof(head)) ||
		ucopy_out(mc, &machine, sizeof(machine)))
		return -EFAULT;
	if (ucopy_clear(uc + offsetof(struct user_ucontext, unused),
		    sizeof(((struct user_ucontext *)nullptr)->unused)))
		return -EFAULT;
	if (arch_fpu_user_bytes() + sizeof(end) > RECORDS_BYTES ||
		!user_range_ok(records, RECORDS_BYTES) ||
		arch_fpu_save_user((void __user *)records))
		return -EFAULT;
	return ucopy_out(records + arch_fpu_user_bytes(), end, sizeof(end));
}

answer_t abi_signal_deliver(struct call *c, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action, u64 old_mask)
{
	struct task *t = abi_task(c);
	vaddr_t lr = return_address(t, action), record, frame;
	struct frame_record link = {regs->x[29], regs->x[30]};

	if (!lr || !place(t, regs->sp, action->flags, &record, &frame) ||
		ucopy_out(record, &link, sizeof(link)) ||
		write_frame(t, regs, info, old_mask, frame))
		return -EFAULT;
	abi_altstack_entered(t);
	regs->x[0] = (u64)(u32)info->signo;
	if (action->flags & SA_SIGINFO_FLAG) {
		regs->x[1] = frame + offsetof(struct rt_frame, info);
		regs->x[2] = frame + offsetof(struct rt_frame, uc);
	}
	regs->x[29] = record;
	regs->x[30] = lr;
	regs->sp = frame;
	regs->pc = action->handler;
	regs->pstate &= ~(PSTATE_BTYPE | PSTATE_SS);
	return 0;
}

answer_t abi_signal_return(struct call *c, struct arch_regs *regs)
{
	struct task *t = abi_task(c);
	vaddr_t frame = regs->sp, uc = frame + offsetof(struct rt_frame, uc),
		mc = uc + offsetof(struct user_ucontext, mcontext);
	struct {
		u64 flags, link;
		struct user_stack stack;
		u64 sigmask;
	} head;
	struct {
		u64 fault_address, regs[31], sp, pc, pstate;
	} machine;
	vaddr_t records = mc + offsetof(struct user_sigcontext, records);

	if (frame & 15 || ucopy_in(&head, uc, sizeof(head)) ||
		ucopy_in(&machine, mc, sizeof(machine)))
		goto bad;
	/* A program may not choose its exception level, AArch32, or masked interrupts. */
	if (machine.pstate & 0x1full)
		goto bad;
	if (!user_range_ok(records, RECORDS_BYTES) ||
		arch_fpu_restore_user((const void __user *)records))
		goto bad;
	signal_mask_set(head.sigmask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)));
	for (u32 i = 0; i < 31; i++)
		regs->x[i] = machine.regs[i];
	regs->sp = machine.sp;
	regs->pc = machine.pc;
	regs->pstate = machine.pstate & A64_PSTATE_USER;
	arch_syscall_forget(regs);
	abi_altstack_restore(t, &head.stack);
	return (answer_t)regs->x[0];
bad:
	signal_force_fault(SIGSEGV, SI_KERNEL, 0);
	return 0;
}
