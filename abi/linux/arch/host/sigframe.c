/* Signals of host tests (arch/host/user.c): the frame on the user stack holds the registers and the
 * mask, the handler is a function of the process. */
#include <arch/trap.h>
#include "../../abi.h"

struct host_frame {
	struct arch_regs regs;
	u64 mask;
};

answer_t abi_signal_deliver(struct call *c, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action, u64 old_mask)
{
	struct host_frame f = {.regs = *regs, .mask = old_mask};
	vaddr_t at = ALIGN_DOWN(abi_signal_stack(abi_task(c), regs->sp, action->flags) - sizeof(f),
		(vaddr_t)16);

	if (ucopy_out(at, &f, sizeof(f)))
		return -EFAULT;
	abi_altstack_entered(abi_task(c));
	regs->sp = at;
	regs->pc = action->handler;
	regs->signo = (word_t)info->signo;
	arch_syscall_forget(regs);
	return 0;
}

answer_t abi_signal_return(struct call *c, struct arch_regs *regs)
{
	struct host_frame f;

	if (ucopy_in(&f, regs->sp, sizeof(f))) {
		signal_force_fault(SIGSEGV, SI_KERNEL, 0);
		return 0;
	}
	signal_mask_set(f.mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)));
	*regs = f.regs;
	arch_syscall_forget(regs);
	return (answer_t)regs->result;
}

/* Thread-local storage of programs: there is none. */
answer_t sys_arch_prctl(struct call *c)
{
	return -EINVAL;
}
