/*
 * What a task owns of the CPU: FP and SIMD registers, TLS, its switch frame.
 *
 * Purpose: save and restore on switch, copies on fork, signal frames.
 *
 * Objects and lifetimes: the registers of a task that does not run are in its struct arch_task.
 *
 * Invariants: A64-F1 between user mode and the next switch the registers hold current's state; the
 * kernel has no FP code
 * (-mgeneral-regs-only). A64-F2 TPIDR_EL0 likewise. A64-F3 the preemption count belongs to the CPU:
 * arch_switch hands it on. Limits: SVE and SME are off for programs (CPACR_EL1, HWCAP): CAVEATS.
 *
 * Locks: none; switches run with interrupts off, all else on current.
 *
 * Failure: a frame without FP state, or of another size, is refused.
 *
 * Cost: 32 stores of register pairs and as many loads per switch between user tasks.
 */
#include <core/mm.h>
#include <core/task.h>
#include <core/log.h>
#include <arch/elf.h>
#include <arch/ucopy.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "asm.h"
#include "a64.h"

/* uapi/asm/sigcontext.h: struct fpsimd_context */
#define FPSIMD_MAGIC 0x46508001u
struct a64_fpsimd_context {
	u32 magic, bytes;
	u32 fpsr, fpcr;
	u64 v[64];
};
static_assert(sizeof(struct a64_fpsimd_context) == 528);
static_assert(offsetof(struct a64_fpsimd, fpsr) == 512);

struct task *a64_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev,
	struct arch_task *next);
void a64_fp_save(struct a64_fpsimd *to);
void a64_fp_load(const struct a64_fpsimd *from);
extern const u8 a64_child_start[], a64_thread_start[];

int arch_task_init(struct task *t)
{
	t->arch = (struct arch_task){.self = t, .stack_top = t->arch.stack_top, .cpu = a64_cpu()};
	return 0;
}

void arch_task_destroy(struct task *t)
{
	(void)t;
}

/* A frame as a64_switch_stacks loads it: x29 x30 x19 x20 ... x28. */
static void a64_frame_set(struct task *t, word_t top, const u8 *to, word_t x19, word_t x20)
{
	word_t *frame = (word_t *)top - 12;

	memset(frame, 0, 12 * sizeof(word_t));
	frame[1] = (word_t)to;
	frame[2] = x19;
	frame[3] = x20;
	t->arch.sp = (word_t)frame;
}

void arch_task_setup_kernel(struct task *t, void (*entry)(void *), void *arg)
{
	struct arch_regs *regs = arch_task_regs(t);

	memset(regs, 0, sizeof(*regs));
	a64_frame_set(t, (word_t)regs, a64_thread_start, (word_t)entry, (word_t)arg);
}

int arch_task_fork(struct task *child, struct task *from, vaddr_t sp, bool set_tls, word_t tls)
{
	struct arch_regs *regs = arch_task_regs(child);
	word_t irq = arch_irq_save();

	if (from == arch_current() && from->arch.user) {
		a64_fp_save(&from->arch.fp);
		from->arch.tls = a64_read(tpidr_el0);
	}
	child->arch.fp = from->arch.fp;
	child->arch.tls = set_tls ? tls : from->arch.tls;
	arch_irq_restore(irq);
	child->arch.user = true;
	*regs = *arch_task_regs(from);
	regs->x[0] = 0;
	if (sp)
		regs->sp = sp;
	a64_frame_set(child, (word_t)regs, a64_child_start, 0, 0);
	return 0;
}

void arch_fpu_reset(struct task *t)
{
	word_t irq = arch_irq_save();

	memset(&t->arch.fp, 0, sizeof(t->arch.fp));
	if (t == arch_current())
		a64_fp_load(&t->arch.fp);
	arch_irq_restore(irq);
}

void arch_task_exec(struct task *t, vaddr_t entry, vaddr_t sp)
{
	*arch_task_regs(t) = (struct arch_regs){.sp = sp, .pc = entry, .syscall = ~0ul};
	t->arch.tls = 0;
	t->arch.user = true;
	if (t == arch_current())
		a64_write(tpidr_el0, 0);
	arch_fpu_reset(t);
}

struct task *arch_switch(struct task *prev, struct task *next)
{
	if (prev->arch.user) {
		a64_fp_save(&prev->arch.fp);
		prev->arch.tls = a64_read(tpidr_el0);
	}
	if (next->arch.user) {
		a64_fp_load(&next->arch.fp);
		a64_write(tpidr_el0, next->arch.tls);
	}
	next->arch.cpu = prev->arch.cpu;
	next->arch.preempt_count = prev->arch.preempt_count;
	return a64_switch_stacks(&prev->arch.sp, next->arch.sp, prev, &next->arch);
}

size_t arch_fpu_user_bytes(void)
{
	return sizeof(struct a64_fpsimd_context);
}

/* sigaltstack(2): what a frame takes (uapi/asm/sigcontext.h), as Linux announces it without SVE. */
size_t arch_minsigstksz(void)
{
	return 4720;
}

int arch_fpu_save_user(void __user *area)
{
	struct arch_task *a = a64_task();
	u32 head[4] = {FPSIMD_MAGIC, sizeof(struct a64_fpsimd_context)};
	word_t irq = arch_irq_save();

	a64_fp_save(&a->fp);
	arch_irq_restore(irq);
	head[2] = a->fp.fpsr;
	head[3] = a->fp.fpcr;
	if (arch_copy_to_user(area, head, sizeof(head)) ||
		arch_copy_to_user((u8 __user *)area + sizeof(head), a->fp.v, sizeof(a->fp.v)))
		return -EFAULT;
	return 0;
}

/* The record is first in our frames; a program may have put others before it, which are skipped,
 * each by its own size. */
int arch_fpu_restore_user(const void __user *area)
{
	struct a64_fpsimd state = {};
	u32 head[4], at = 0;
	word_t irq;

	for (;;) {
		if (arch_copy_from_user(head, (const u8 __user *)area + at, sizeof(head)))
			return -EFAULT;
		if (head[0] == FPSIMD_MAGIC)
			break;
		if (!head[0] || head[1] < 16 || head[1] & 15 ||
			head[1] > 4096 - sizeof(struct a64_fpsimd_context) - at)
			return -EINVAL;
		at += head[1];
	}
	if (head[1] != sizeof(struct a64_fpsimd_context))
		return -EINVAL;
	if (arch_copy_from_user(state.v, (const u8 __user *)area + at + sizeof(head),
		    sizeof(state.v)))
		return -EFAULT;
	state.fpsr = head[2];
	state.fpcr = head[3];
	irq = arch_irq_save();
	a64_task()->fp = state;
	a64_fp_load(&a64_task()->fp);
	arch_irq_restore(irq);
	return 0;
}
