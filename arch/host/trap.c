/* The place of a task's user frame. Faults of user copies are reported in ucopy.c; those of core
 * itself end the process with the sanitizer's report. */
#include <core/log.h>
#include <core/task.h>
#include <arch/trap.h>
#include "host.h"

struct arch_regs *arch_task_regs(const struct task *t)
{
	return (struct arch_regs *)t->arch.stack_top - 1;
}

void arch_regs_print(const struct arch_regs *r)
{
	log_printf(LOG_EMERG, "pc %016lx  sp %016lx  nr %lx", r->pc, r->sp, r->nr);
}
