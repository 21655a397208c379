#pragma once
/*
 * Traps. arch saves the user state in struct arch_regs at the top of the task's core stack, so a
 * task has one user frame at a fixed place: arch_task_regs(task). Entry from user: system call,
 * fault, interrupt. Test: arch/test/trap_test.c.
 *
 * Port supplies in impl/trap.h: struct arch_regs and the inlines
 *   arch_regs_pc/sp/set_pc/set_sp, arch_regs_user_mode(regs),
 *   arch_syscall_nr(regs), arch_syscall_arg(regs, i), arch_syscall_set_return(regs, value),
 *   arch_syscall_return(regs), arch_syscall_forget(regs) (arch_syscall_nr then gives ~0: no call in
 * progress), arch_syscall_restart_block(regs): as arch_syscall_restart, but the call made is
 * restart_syscall(2), arch_syscall_restart(regs): moves pc back to the system call instruction and
 * restores nr/arg0.
 */
#include <lib/types.h>

struct arch_regs;
struct task;

enum trap_access : u32 { TRAP_READ = 1, TRAP_WRITE = 2, TRAP_EXEC = 4 };

/* --- arch calls core (core/irq/trap.c, core/call/entry.c) --- */

/* System call from user mode, interrupts enabled. Sets the return value itself. regs =
 * arch_task_regs(current). */
void call_entry(struct arch_regs *regs);
/* Before every return to user mode with interrupts OFF when the current task's work word is not 0:
 * signals, reschedule, stop, task work. Returns with interrupts off and work empty. (arch tests
 * current->work, offset TASK_WORK_OFFSET asserted by core, in its exit path, so the common exit
 * costs one compare.) */
void task_user_exit_work(struct arch_regs *regs);
/* Page fault. `user`: from user mode. Returns true when handled (retry), false when the faulting
 * kernel address has no fixup (arch then looks in its extable, else panics). Interrupts as at the
 * fault. */
bool trap_page_fault(struct arch_regs *regs, vaddr_t addr, enum trap_access access, bool user,
	bool present);
/* Any other exception from user mode: becomes this Linux signal (number, si_code, si_addr). */
void trap_user_exception(struct arch_regs *regs, int signo, int code, vaddr_t addr);
/* Exception in kernel mode without fixup: panics with the registers. */
__noreturn void trap_kernel_exception(struct arch_regs *regs, const char *what, word_t error,
	vaddr_t addr);
/* Device interrupt with core's number (core/irq.h), interrupts off. After it arch checks
 * preemption: irq_exit_preempt() when returning to kernel mode. */
void irq_dispatch(u32 irq);
void irq_timer(void);
void irq_ipi(u32 kind);
void irq_exit_preempt(void);

/* --- core calls arch --- */
struct arch_regs *arch_task_regs(const struct task *t);
/* Prints registers through log_printf. */
void arch_regs_print(const struct arch_regs *regs);

#include <arch/impl/trap.h>
