#pragma once
/*
 * Switching tasks. struct arch_task (impl/context.h) is embedded in struct task: saved core stack
 * pointer, TLS base(s), pointer to the FP save area. Test: arch/test/context_test.c.
 */
#include <lib/types.h>
#include <arch/impl/context.h>

struct task;
struct arch_regs;

#define KERNEL_STACK_BYTES_MIN                                                                     \
	16384 /* asan kernels use twice that; core/task.h KERNEL_STACK_BYTES */

/* Allocates/frees the FP area and whatever else hangs on arch_task. 0 or -ENOMEM. Context: thread.
 */
int arch_task_init(struct task *t);
void arch_task_destroy(struct task *t);
/* New kernel thread: first switch to it runs entry(arg) with interrupts on, preemption count 0
 * (arch calls sched_finish_switch(prev) first). */
void arch_task_setup_kernel(struct task *t, void (*entry)(void *), void *arg);
/* Child of fork/clone: copies the user registers, FP state and TLS of `from`; child's first return
 * value is 0. sp 0 keeps the parent's. tls used when set_tls. First switch calls task_child_start()
 * then returns to user. */
int arch_task_fork(struct task *child, struct task *from, vaddr_t sp, bool set_tls, word_t tls);
/* exec: fresh user registers and FP state; returns to user at entry with sp. */
void arch_task_exec(struct task *t, vaddr_t entry, vaddr_t sp);
/* Switches stacks, FP (eager), TLS, this CPU's current. Interrupts off. Returns in the next run of
 * `prev`; value: the task that ran before on this CPU (the caller passes it to
 * sched_finish_switch). */
struct task *arch_switch(struct task *prev, struct task *next);

/* FP state for signal frames. Size of the user-visible area; save into / restore from user memory.
 * Errors: -EFAULT, -EINVAL (corrupt). Context: current task, may fault. */
size_t arch_fpu_user_bytes(void);
int arch_fpu_save_user(void __user *area);
int arch_fpu_restore_user(const void __user *area);
void arch_fpu_reset(struct task *t);
