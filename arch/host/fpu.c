/*
 * Tasks as fibers.
 *
 * Purpose: a task is a stack of core's and the registers that switch.S saves; each switch is
 * announced to the sanitizer.
 *
 * Objects and lifetimes: ThreadSanitizer's fiber lives from arch_task_init to arch_task_destroy; an
 * idle task takes over the thread's own.
 *
 * Invariants: HOST-F1 between __tsan_switch_to_fiber and the switch of stacks nothing instrumented
 * runs. HOST-F2 a switch orders what the two tasks do (flag 0): that is what one CPU gives, and all
 * that per-CPU data relies on.
 *
 * Failure: no memory for a fiber ends the process. There is no FP state: user mode does not exist.
 */
#include <core/log.h>
#include <core/task.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/context.h>
#include <arch/trap.h>
#include "host.h"

void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned int flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned int flags);
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old,
	size_t *size_old);
__noreturn void host_thread_main(struct task *prev, void (*entry)(void *), void *arg);

int arch_task_init(struct task *t)
{
	t->arch = (struct arch_task){
		.stack_top = t->arch.stack_top,
		.stack_bottom = (word_t)t->stack,
		.stack_bytes = KERNEL_STACK_BYTES,
	};
#if HOST_TSAN
	t->arch.fiber = __tsan_create_fiber(0);
#endif
	return 0;
}

void arch_task_destroy(struct task *t)
{
#if HOST_TSAN
	if (t->arch.fiber)
		__tsan_destroy_fiber(t->arch.fiber);
#endif
	t->arch.fiber = nullptr;
}

void host_adopt_thread(struct task *t)
{
	u64 bottom;

	os_stack(&bottom, &t->arch.stack_bytes);
	t->arch.stack_bottom = bottom;
#if HOST_TSAN
	if (t->arch.fiber)
		__tsan_destroy_fiber(t->arch.fiber);
	t->arch.fiber = __tsan_get_current_fiber();
#endif
}

/* A frame as switch.S pops it: r15 r14 r13 r12 bp bx, return address. */
static void frame_set(struct task *t, void (*entry)(void *), void *arg)
{
	word_t *frame = (word_t *)ALIGN_DOWN((word_t)arch_task_regs(t), 16ul) - 7;

	memset(frame, 0, 7 * sizeof(word_t));
	frame[3] = (word_t)arg;   /* r12 */
	frame[5] = (word_t)entry; /* rbx */
	frame[6] = (word_t)host_thread_start;
	t->arch.sp = (word_t)frame;
}

void arch_task_setup_kernel(struct task *t, void (*entry)(void *), void *arg)
{
	memset(arch_task_regs(t), 0, sizeof(struct arch_regs));
	frame_set(t, entry, arg);
}

/* WHY without instrumentation: HOST-F1, and what enters as one task leaves as another. */
__attribute__((no_sanitize("thread", "address"), noinline)) struct task *arch_switch(struct task
											     *prev,
	struct task *next)
{
	host_cpu()->task = next;
#if HOST_ASAN
	__sanitizer_start_switch_fiber(&prev->arch.fake_stack,
		(const void *)next->arch.stack_bottom, next->arch.stack_bytes);
#endif
#if HOST_TSAN
	__tsan_switch_to_fiber(next->arch.fiber, 0);
#endif
	prev = host_switch_stacks(&prev->arch.sp, next->arch.sp, prev);
#if HOST_ASAN
	__sanitizer_finish_switch_fiber(host_cpu()->task->arch.fake_stack, nullptr, nullptr);
#endif
	return prev;
}

/* Process 1 would return to its program here: in host tests it never does. */
__noreturn void host_thread_main(struct task *prev, void (*entry)(void *), void *arg)
{
#if HOST_ASAN
	__sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
	sched_finish_switch(prev);
	arch_irq_enable();
	entry(arg);
	if (current->kernel_thread)
		task_exit(0);
	panic("host: a task returned to user mode");
}

int arch_task_fork(struct task *child, struct task *from, vaddr_t sp, bool set_tls, word_t tls)
{
	struct arch_regs *regs = arch_task_regs(child);

	*regs = *arch_task_regs(from);
	regs->result = 0;
	if (sp)
		regs->sp = sp;
	frame_set(child, host_child_main, nullptr);
	return 0;
}

void arch_task_exec(struct task *t, vaddr_t entry, vaddr_t sp)
{
	*arch_task_regs(t) = (struct arch_regs){.nr = ~(word_t)0, .pc = entry, .sp = sp};
}

size_t arch_fpu_user_bytes(void)
{
	return 0;
}
int arch_fpu_save_user(void __user *area)
{
	return 0;
}
int arch_fpu_restore_user(const void __user *area)
{
	return 0;
}
void arch_fpu_reset(struct task *t)
{
}
