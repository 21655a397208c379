/* Stack switch between tasks (context of arch_switch, fpu.c). System V ABI, AMD64 supplement: callee-saved registers. */
	.text

/* struct task *host_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev) */
	.globl	host_switch_stacks
	.type	host_switch_stacks, @function
host_switch_stacks:
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
	.size	host_switch_stacks, . - host_switch_stacks

/* First run of a kernel thread: entry in rbx, its argument in r12, the task before in rax. */
	.globl	host_thread_start
	.type	host_thread_start, @function
host_thread_start:
	movq	%rax, %rdi
	movq	%rbx, %rsi
	movq	%r12, %rdx
	xorl	%ebp, %ebp
	call	host_thread_main
	ud2
	.size	host_thread_start, . - host_thread_start
	.section .note.GNU-stack, "", @progbits
