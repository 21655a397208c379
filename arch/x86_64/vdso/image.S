/* The finished vDSO as constant data of the kernel. */
	.section .rodata, "a"
	.balign	4096
	.globl	x86_vdso_begin, x86_vdso_end
x86_vdso_begin:
	.incbin	VDSO
x86_vdso_end:
	.section .note.GNU-stack, "", @progbits
