/*
 * Where signal handlers return to. Unwinders know it by these two instructions, and look one before the return address: hence the nop
 * (and the one before it, so that the address is not at the start of a function).
 */
	.section .sigreturn, "ax"
	nop
	nop
	.globl	__kernel_rt_sigreturn
	.type	__kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
	mov	x8, #139
	svc	#0
	.size	__kernel_rt_sigreturn, . - __kernel_rt_sigreturn
	.section .note.GNU-stack, "", @progbits
