/*
 * Entry and exit.
 *
 * The vector page is the only code that the CPU itself jumps to; VBAR_EL1 names its alias in the trap area, which every domain's root
 * maps. A slot saves X0 and X1 and goes on in core's text through an absolute address, since the alias has another distance to it.
 *
 * From EL0: SP_EL1 is the top of the task's core stack, where the frame belongs. From core (EL1 with SP_EL1): below the interrupted
 * stack pointer, after a look whether there is room; else on this CPU's overflow stack in the trap area, and there is no way back.
 * From a domain (EL1 with SP_EL0): none exists yet. TPIDRRO_EL0 is scratch while in the vectors, 0 otherwise.
 */
#include "asm.h"

	.macro	slot_begin
	.balign	128
	.endm

	.macro	slot_user target
	slot_begin
	sub	sp, sp, #REGS_BYTES
	stp	x0, x1, [sp]
	ldr	x0, 1f
	br	x0
	.balign	8
1:	.quad	\target
	.endm

	.macro	slot_core target
	slot_begin
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #ARCH_STACK_TOP]
	sub	x0, sp, x0
	add	x0, x0, #STACK_BYTES
	cmp	x0, #STACK_RESERVE
	b.lt	2f
	mrs	x0, tpidrro_el0
	msr	tpidrro_el0, xzr
	sub	sp, sp, #REGS_BYTES
	stp	x0, x1, [sp]
	ldr	x0, 1f
	br	x0
2:
	ldr	x0, 3f
	br	x0
	.balign	8
1:	.quad	\target
3:	.quad	stack_gone
	.endm

	.macro	slot_none
	slot_begin
	ldr	x0, 1f
	br	x0
	.balign	8
1:	.quad	stack_gone
	.endm

	.section .vectors.text, "ax"
	.balign	4096
	.globl	a64_vectors
a64_vectors:
	/* EL1 with SP_EL0: domains, when there are any */
	slot_none
	slot_none
	slot_none
	slot_none
	slot_core core_sync
	slot_core core_irq
	slot_core core_fiq
	slot_core core_error
	slot_user user_sync
	slot_user user_irq
	slot_user user_fiq
	slot_user user_error
	/* AArch32: no such programs (ID_AA64PFR0_EL1.EL0 is hidden by exec) */
	slot_user user_error
	slot_user user_irq
	slot_user user_fiq
	slot_user user_error
	.balign	4096

	.text
	.macro	save_rest
	stp	x2, x3, [sp, #REGS_X(2)]
	stp	x4, x5, [sp, #REGS_X(4)]
	stp	x6, x7, [sp, #REGS_X(6)]
	stp	x8, x9, [sp, #REGS_X(8)]
	stp	x10, x11, [sp, #REGS_X(10)]
	stp	x12, x13, [sp, #REGS_X(12)]
	stp	x14, x15, [sp, #REGS_X(14)]
	stp	x16, x17, [sp, #REGS_X(16)]
	stp	x18, x19, [sp, #REGS_X(18)]
	stp	x20, x21, [sp, #REGS_X(20)]
	stp	x22, x23, [sp, #REGS_X(22)]
	stp	x24, x25, [sp, #REGS_X(24)]
	stp	x26, x27, [sp, #REGS_X(26)]
	stp	x28, x29, [sp, #REGS_X(28)]
	.endm

	.macro	save_user
	save_rest
	mrs	x2, sp_el0
	mrs	x3, elr_el1
	mrs	x4, spsr_el1
	mov	x5, #-1
	stp	x30, x2, [sp, #REGS_X(30)]
	stp	x3, x4, [sp, #REGS_PC]
	stp	xzr, x5, [sp, #REGS_ORIG_X0]
	mov	x29, xzr
	mov	x0, sp
	.endm

	/* A frame record, so that a backtrace shows the interrupted function between its callers and us */
	.macro	save_core
	save_rest
	add	x2, sp, #REGS_BYTES
	mrs	x3, elr_el1
	mrs	x4, spsr_el1
	mov	x5, #-1
	stp	x30, x2, [sp, #REGS_X(30)]
	stp	x3, x4, [sp, #REGS_PC]
	str	x5, [sp, #REGS_SYSCALL]
	mov	x0, sp
	stp	x29, x3, [sp, #-16]!
	mov	x29, sp
	.endm

	.macro	restore
	ldp	x3, x4, [sp, #REGS_PC]
	msr	elr_el1, x3
	msr	spsr_el1, x4
	ldp	x0, x1, [sp]
	ldp	x2, x3, [sp, #REGS_X(2)]
	ldp	x4, x5, [sp, #REGS_X(4)]
	ldp	x6, x7, [sp, #REGS_X(6)]
	ldp	x8, x9, [sp, #REGS_X(8)]
	ldp	x10, x11, [sp, #REGS_X(10)]
	ldp	x12, x13, [sp, #REGS_X(12)]
	ldp	x14, x15, [sp, #REGS_X(14)]
	ldp	x16, x17, [sp, #REGS_X(16)]
	ldp	x18, x19, [sp, #REGS_X(18)]
	ldp	x20, x21, [sp, #REGS_X(20)]
	ldp	x22, x23, [sp, #REGS_X(22)]
	ldp	x24, x25, [sp, #REGS_X(24)]
	ldp	x26, x27, [sp, #REGS_X(26)]
	ldp	x28, x29, [sp, #REGS_X(28)]
	ldr	x30, [sp, #REGS_X(30)]
	add	sp, sp, #REGS_BYTES
	eret
	.endm

user_sync:
	save_user
	mrs	x1, esr_el1
	lsr	x3, x1, #26
	cmp	x3, #0x15			/* SVC from AArch64 */
	b.ne	1f
	ldr	x4, [sp]
	and	x5, x8, #0xffffffff
	stp	x4, x5, [sp, #REGS_ORIG_X0]
	msr	daifclr, #7
	bl	call_entry
	b	exit_user
1:
	mrs	x2, far_el1
	bl	a64_trap_user
	b	exit_user

user_irq:
	save_user
	bl	a64_irq_user
	b	exit_user

user_fiq:
	save_user
	bl	a64_fiq
	b	exit_user

user_error:
	save_user
	mrs	x1, esr_el1
	bl	a64_error
	b	exit_user

exit_user:
	msr	daifset, #7
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #ARCH_SELF]
	ldr	w0, [x0, #TASK_WORK]
	cbnz	w0, 2f
1:
	ldr	x2, [sp, #REGS_SP]
	msr	sp_el0, x2
	restore
2:
	mov	x0, sp
	bl	task_user_exit_work
	b	1b

core_sync:
	save_core
	mrs	x1, esr_el1
	mrs	x2, far_el1
	bl	a64_trap_kernel
	b	exit_core

core_irq:
	save_core
	bl	a64_irq_kernel
	b	exit_core

core_fiq:
	save_core
	bl	a64_fiq
	b	exit_core

core_error:
	save_core
	mrs	x1, esr_el1
	bl	a64_error
exit_core:
	add	sp, sp, #16
	restore

/* No room on the core stack (X0 is in TPIDRRO_EL0): report it from the overflow stack. */
stack_gone:
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #ARCH_CPU]
	ldr	w0, [x0]			/* index */
	msr	tpidr_el0, x1			/* lost: there is no way back */
	movz	x1, #0xffff, lsl #48		/* A64_TRAP_BASE: this CPU's stride ends with its stack */
	movk	x1, #0xa000, lsl #32
	add	x0, x0, #2
	add	x0, x1, x0, lsl #TRAP_AREA_STRIDE_SHIFT
	mov	x1, sp
	mov	sp, x0
	sub	sp, sp, #REGS_BYTES
	str	x1, [sp, #REGS_SP]
	mrs	x0, tpidrro_el0
	mrs	x1, tpidr_el0
	stp	x0, x1, [sp]
	save_rest
	mrs	x3, elr_el1
	mrs	x4, spsr_el1
	str	x30, [sp, #REGS_X(30)]
	stp	x3, x4, [sp, #REGS_PC]
	mov	x0, sp
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x29, x3, [sp, #-16]!
	mov	x29, sp
	bl	a64_stack_gone

/* First run of a task made by fork: X0 = the task that ran before; SP at the user frame. */
	.globl	a64_child_start
a64_child_start:
	mov	x29, xzr
	bl	sched_finish_switch
	bl	task_child_start
	b	exit_user

/* First run of a kernel thread: X19 = function, X20 = argument. It may return after exec. */
	.globl	a64_thread_start
a64_thread_start:
	mov	x29, xzr
	bl	sched_finish_switch
	msr	daifclr, #7
	mov	x0, x20
	blr	x19
	msr	daifset, #7
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #ARCH_STACK_TOP]
	sub	sp, x0, #REGS_BYTES
	b	exit_user
	.section .note.GNU-stack, "", @progbits
