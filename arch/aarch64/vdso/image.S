/* The finished vDSO as constant data of the kernel. */
	.section .rodata, "a"
	.balign	4096
	.globl	a64_vdso_begin, a64_vdso_end
a64_vdso_begin:
	.incbin	VDSO
a64_vdso_end:
	.section .note.GNU-stack, "", @progbits
