/* Stack switch between tasks (context of arch_switch, fpu.c). System V ABI callee-saved registers. */
	.text

/* struct task *x86_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev) */
	.globl	x86_switch_stacks
	.type	x86_switch_stacks, @function
x86_switch_stacks:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	movq	%rdx, %rax
	ret
	.size	x86_switch_stacks, . - x86_switch_stacks
	.section .note.GNU-stack, "", @progbits
