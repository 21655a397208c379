/*
 * First instructions of the kernel. The boot stub (boot/stub.c) jumps here at the image's final
 * address: long mode, interrupts off, RDI = struct x86_handoff (mapped behind the image).
 */
#include "asm.h"

	.section .head.text, "ax"
	.globl	x86_start
x86_start:
	leaq	x86_boot_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	pushq	$0
	popfq
	/* GS base before the first C: sanitizers and panics use per-CPU state */
	leaq	x86_cpus(%rip), %rax
	movq	%rax, CPU_SELF(%rax)
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx
	wrmsr
	call	x86_boot
1:
	hlt
	jmp	1b

/*
 * Where another CPU arrives from the trampoline (smp.c): kernel tables loaded, RSP on its idle
 * stack, RDI = its struct x86_cpu.
 */
	.globl	x86_secondary_start
x86_secondary_start:
	xorl	%ebp, %ebp
	pushq	$0
	popfq
	movq	%rdi, CPU_SELF(%rdi)
	movq	%rdi, %rax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx
	wrmsr
	andq	$~15, %rsp
	call	x86_secondary_boot
1:
	hlt
	jmp	1b

/*
 * The trampoline: copied to a page below 640 KiB, entered in real mode with CS = page >> 4 (SDM
 * volume 3, 9.4.4, start-up IPI). The words behind it are filled in by smp.c. Only offsets from its
 * own start are used.
 */
	.section .rodata, "a"
	.balign	16
	.globl	x86_trampoline_begin, x86_trampoline_end
	.code16
x86_trampoline_begin:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	xorl	%ebx, %ebx
	movw	%ax, %bx
	shll	$4, %ebx
	leal	(tramp_gdt - x86_trampoline_begin)(%ebx), %eax
	movl	%eax, (tramp_gdt_pointer - x86_trampoline_begin + 2)
	leal	(tramp_long - x86_trampoline_begin)(%ebx), %eax
	movl	%eax, (tramp_far - x86_trampoline_begin)
	lgdtl	(tramp_gdt_pointer - x86_trampoline_begin)
	movl	$0x20, %eax			/* CR4.PAE */
	movl	%eax, %cr4
	movl	(tramp_root - x86_trampoline_begin), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x901, %eax			/* EFER: NXE, LME, SCE */
	wrmsr
	movl	$0x80010001, %eax		/* CR0: PG, WP, PE */
	movl	%eax, %cr0
	ljmpl	*(tramp_far - x86_trampoline_begin)
	.code64
tramp_long:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	tramp_stack(%rip), %rsp
	movq	tramp_cpu(%rip), %rdi
	movq	tramp_entry(%rip), %rdx
	jmp	*%rdx
	.balign	8
tramp_gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
tramp_gdt_pointer:
	.word	. - tramp_gdt - 1
	.long	0
	.balign	8
tramp_far:
	.long	0
	.word	0x10
	.balign	8
	.globl	x86_trampoline_args
x86_trampoline_args:
tramp_root:
	.quad	0
tramp_stack:
	.quad	0
tramp_cpu:
	.quad	0
tramp_entry:
	.quad	0
x86_trampoline_end:

	.section .bss.page_aligned, "aw", @nobits
	.balign	4096
	.globl	x86_boot_stack, x86_boot_stack_end
x86_boot_stack:
	.fill	32768
x86_boot_stack_end:
	.section .note.GNU-stack, "", @progbits
