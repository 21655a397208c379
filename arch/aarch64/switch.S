/* Stack switch between tasks (context of arch_switch, fpu.c), and the FP registers. AAPCS64 callee-saved registers. */
	.arch_extension simd
	.text

/* struct task *a64_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev, struct arch_task *next) */
	.globl	a64_switch_stacks
	.type	a64_switch_stacks, %function
a64_switch_stacks:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x4, sp
	str	x4, [x0]
	mov	sp, x1
	msr	tpidr_el1, x3
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	mov	x0, x2
	ret
	.size	a64_switch_stacks, . - a64_switch_stacks

/* void a64_fp_save(struct a64_fpsimd *to), void a64_fp_load(const struct a64_fpsimd *from) */
	.macro	vectors op
	\op	q0, q1, [x0]
	\op	q2, q3, [x0, #32]
	\op	q4, q5, [x0, #64]
	\op	q6, q7, [x0, #96]
	\op	q8, q9, [x0, #128]
	\op	q10, q11, [x0, #160]
	\op	q12, q13, [x0, #192]
	\op	q14, q15, [x0, #224]
	\op	q16, q17, [x0, #256]
	\op	q18, q19, [x0, #288]
	\op	q20, q21, [x0, #320]
	\op	q22, q23, [x0, #352]
	\op	q24, q25, [x0, #384]
	\op	q26, q27, [x0, #416]
	\op	q28, q29, [x0, #448]
	\op	q30, q31, [x0, #480]
	.endm

	.globl	a64_fp_save
	.type	a64_fp_save, %function
a64_fp_save:
	vectors	stp
	mrs	x1, fpsr
	mrs	x2, fpcr
	str	w1, [x0, #512]
	str	w2, [x0, #516]
	ret
	.size	a64_fp_save, . - a64_fp_save

	.globl	a64_fp_load
	.type	a64_fp_load, %function
a64_fp_load:
	vectors	ldp
	ldr	w1, [x0, #512]
	ldr	w2, [x0, #516]
	msr	fpsr, x1
	msr	fpcr, x2
	ret
	.size	a64_fp_load, . - a64_fp_load
	.section .note.GNU-stack, "", @progbits
