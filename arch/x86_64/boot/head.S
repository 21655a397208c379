/*
 * Entry points of the boot stub: the part of the image that runs at the address where a loader put
 * it. The linker script places `start32` at file offset 0x2000. Boot protocol, "32-bit Boot
 * Protocol", "64-bit Boot Protocol", "EFI Handover Protocol"; UEFI 2.10 section 4.1 for PE entry.
 */
	.code32
	.section .head, "ax"
	.globl	start32
start32:
	cli
	cld
	jmp	enter32

	/* Filled in by tools/image/mkbzimage.py; struct stub_payload */
	.balign	32
	.globl	stub_payload
stub_payload:
	.fill	12, 8, 0

enter32:
	leal	0x1e8(%esi), %esp	/* boot_params.scratch: four bytes of stack */
	call	1f
1:
	popl	%ebp
	subl	$(1b - start32), %ebp	/* where we are */
	leal	(stub_stack_end - start32)(%ebp), %esp

	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode

	/* The first 4 GiB, one to one, in 2 MiB pages */
	leal	(stub_tables - start32)(%ebp), %edi
	leal	0x1003(%edi), %eax
	movl	%eax, (%edi)
	leal	0x2003(%edi), %eax
	leal	0x1000(%edi), %edx
	movl	$4, %ecx
2:
	movl	%eax, (%edx)
	addl	$0x1000, %eax
	addl	$8, %edx
	loop	2b
	leal	0x2000(%edi), %edx
	movl	$0x83, %eax
	movl	$2048, %ecx
3:
	movl	%eax, (%edx)
	addl	$0x200000, %eax
	addl	$8, %edx
	loop	3b

	leal	(stub_gdt - start32)(%ebp), %eax
	movl	%eax, (stub_gdt_pointer + 2 - start32)(%ebp)
	lgdt	(stub_gdt_pointer - start32)(%ebp)
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	%edi, %cr3
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	pushl	$0x10
	leal	(start64 - start32)(%ebp), %eax
	pushl	%eax
	movl	$0x80000001, %eax	/* PG, PE */
	movl	%eax, %cr0
	lretl

no_long_mode:
	movw	$0x3f8, %dx
	leal	(no_long_mode_text - start32)(%ebp), %esi
4:
	lodsb
	testb	%al, %al
	jz	5f
	outb	%al, %dx
	jmp	4b
5:
	hlt
	jmp	5b
no_long_mode_text:
	.asciz	"umka: this CPU has no 64-bit mode\r\n"

	.code64
	.org	0x200
	.globl	start64
start64:
	cli
	cld
	leaq	stub_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	movq	%rsi, %rdi
	call	stub_main
1:
	hlt
	jmp	1b

	/* PE entry: Microsoft calling convention, RCX = image handle, RDX = system table */
	.globl	efi_pe_entry
efi_pe_entry:
	movq	%rcx, %rdi
	movq	%rdx, %rsi
	xorl	%edx, %edx
	/* Handover entry: RDI = image handle, RSI = system table, RDX = boot_params */
	.globl	efi_handover
efi_handover:
	leaq	stub_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	cld
	call	stub_efi_main
1:
	hlt
	jmp	1b

/*
 * void stub_jump(uint64_t root, uint64_t entry, uint64_t handoff): load the tables that map both
 * this code (one to one) and the kernel, and leave.
 */
	.globl	stub_jump
stub_jump:
	cli
	movq	%cr4, %rax
	andl	$~0x20080, %eax		/* PGE and PCIDE off: nothing of the loader's may stay */
	movq	%rax, %cr4
	movq	%rdi, %cr3
	movq	%rdx, %rdi
	jmp	*%rsi

	.section .data, "aw"
	.balign	16
stub_gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
stub_gdt_pointer:
	.word	. - stub_gdt - 1
	.quad	0

	.section .bss, "aw", @nobits
	.balign	4096
stub_tables:
	.fill	6 * 4096
	.fill	32768
stub_stack_end:
	.section .note.GNU-stack, "", @progbits
