/* Programs of host tests; impl/user.h. What entry.S does on other ports: one call, the work on the
 * way out, what that decided. */
#include <core/mm.h>
#include <core/log.h>
#include <core/task.h>
#include <arch/trap.h>
#include <arch/impl/user.h>
#include "host.h"

#define SYS_RT_SIGRETURN    15
#define SYS_CLONE           56
#define SYS_EXIT            60
#define SYS_RESTART_SYSCALL 219
#define CLONE_THREAD        0x10000u
#define STACK_BYTES         65536u

/* Interrupts on; the work of the way out is done. */
static void way_out(struct arch_regs *regs)
{
	arch_irq_disable();
	if (current->work)
		task_user_exit_work(regs);
	arch_irq_enable();
}

static sword_t run(struct arch_regs *regs, word_t nr)
{
	const word_t args[6] = {regs->arg[0], regs->arg[1], regs->arg[2], regs->arg[3],
		regs->arg[4], regs->arg[5]};

	for (;;) {
		regs->nr = nr;
		regs->pc = HOST_PC_GO_ON;
		for (u32 i = 0; i < 6; i++)
			regs->arg[i] = args[i];
		call_entry(regs);
		way_out(regs);
		/* a handler's frame lies on the user stack; its return brings back what was
		 * interrupted */
		while (regs->pc > HOST_PC_RESTART) {
			((void (*)(s32))regs->pc)((s32)regs->signo);
			regs->nr = SYS_RT_SIGRETURN;
			call_entry(regs);
			way_out(regs);
		}
		if (regs->pc == HOST_PC_GO_ON)
			return (sword_t)regs->result;
		if (regs->pc == HOST_PC_RESTART)
			nr = SYS_RESTART_SYSCALL;
	}
}

sword_t host_syscall(word_t nr, word_t a, word_t b, word_t c, word_t d, word_t e, word_t f)
{
	struct arch_regs *regs = arch_task_regs(current), saved = *regs;
	const word_t args[6] = {a, b, c, d, e, f};
	sword_t result;

	for (u32 i = 0; i < 6; i++)
		regs->arg[i] = args[i];
	result = run(regs, nr);
	/* a handler's calls are made from inside another call of this function */
	for (u32 i = 0; i < 6; i++)
		regs->arg[i] = saved.arg[i];
	return result;
}

sword_t host_clone(u64 flags, vaddr_t stack, vaddr_t parent_tid, vaddr_t child_tid,
	s32 (*fn)(void *), void *arg)
{
	struct arch_regs *regs = arch_task_regs(current);

	regs->child_pc = (word_t)fn;
	regs->child_arg = (word_t)arg;
	return host_syscall(SYS_CLONE, flags, stack, parent_tid, child_tid, 0, 0);
}

/* Context: first run, interrupts on. */
void host_child_main(void *arg)
{
	struct arch_regs *regs = arch_task_regs(current);
	s32 (*fn)(void *) = (s32(*)(void *))regs->child_pc;
	s32 status;

	arch_irq_disable();
	task_child_start();
	arch_irq_enable();
	way_out(regs);
	status = fn((void *)regs->child_arg);
	host_syscall(SYS_EXIT, (word_t)status, 0, 0, 0, 0, 0);
	panic("host: exit returned");
}

void host_user_start(void)
{
	struct mmap_args stack = {.bytes = STACK_BYTES, .prot = 3, .flags = 0x22};
	struct task *t = current;
	sword_t at;

	t->space = space_create();
	if (!t->space)
		panic("host: no memory for a space");
	t->space->mmap_base = (vaddr_t)1 << 46;
	sched_switch_space();
	t->kernel_thread = false;
	at = space_mmap(t->space, &stack);
	if (at < 0)
		panic("host: no user stack: error %ld", -(long)at);
	*arch_task_regs(t) = (struct arch_regs){.nr = ~(word_t)0, .sp = (word_t)at + STACK_BYTES};
}
