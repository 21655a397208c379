/* Faults: arch tells what happened, core decides what it means. Theory in irq.c. */
#include <core/firmware.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/task.h>
#include <arch/trap.h>

#define SEGV_MAPERR 1

bool trap_page_fault(struct arch_regs *regs, vaddr_t addr, enum trap_access access, bool user,
	bool present)
{
	struct task *t = current;
	s32 signo = SIGSEGV, code = SEGV_MAPERR;
	int r = -EFAULT;

	if (addr < USER_ADDR_END && t->space) {
		if (!user && t->fault_disabled)
			return false; /* a handler's copy: it answers NEED instead */
		if (user)
			task_account_entry(t);
		arch_irq_enable();
		r = space_fault(t->space, addr, access, &signo, &code);
		if (r && user)
			signal_force_fault(signo, code, addr);
		arch_irq_disable();
		if (user)
			task_account_exit(t);
		return !r || user;
	}
	if (user) {
		arch_irq_enable();
		signal_force_fault(SIGSEGV, SEGV_MAPERR, addr);
		arch_irq_disable();
		return true;
	}
	return false;
}

void trap_user_exception(struct arch_regs *regs, int signo, int code, vaddr_t addr)
{
	arch_irq_enable();
	signal_force_fault(signo, code, addr);
	arch_irq_disable();
}

__noreturn void trap_kernel_exception(struct arch_regs *regs, const char *what, word_t error,
	vaddr_t addr)
{
	firmware_crashed(regs, what, addr);
	lock_debug_disable();
	log_printf(LOG_EMERG, "%s in kernel mode, error %#lx, address %#lx\n", what,
		(unsigned long)error, (unsigned long)addr);
	arch_regs_print(regs);
	panic("%s", what);
}
