/*
 * Copies between core and user memory. Each instruction that may touch a user page has an entry in
 * .extable; trap.c goes to the fixup when core does not serve the fault. All return the number of
 * bytes not copied. SMAP (SDM volume 3, 4.6.1): user pages are open between stac and clac only;
 * boot replaces both by no-ops on a CPU without it.
 */
	.macro	user_open
771:
	stac
	.pushsection .smap_sites, "a"
	.long	771b - .
	.popsection
	.endm
	.macro	user_close
772:
	clac
	.pushsection .smap_sites, "a"
	.long	772b - .
	.popsection
	.endm
	.macro	fixup from, to
	.pushsection .extable, "a"
	.long	\from - .
	.long	\to - .
	.popsection
	.endm

	.text
/* rdi = to, rsi = from, rdx = bytes: words first, then up to seven bytes */
	.macro	copy_body
	movq	%rdx, %rcx
	shrq	$3, %rcx
	andl	$7, %edx
	user_open
1:
	rep movsq
	movl	%edx, %ecx
2:
	rep movsb
	user_close
	xorl	%eax, %eax
	ret
3:						/* a word failed: bytes, up to the very edge */
	leaq	(%rdx, %rcx, 8), %rcx
5:
	rep movsb
4:
	movq	%rcx, %rax
	user_close
	ret
	fixup	1b, 3b
	fixup	2b, 4b
	fixup	5b, 4b
	.endm

	.globl	arch_copy_from_user
	.type	arch_copy_from_user, @function
arch_copy_from_user:
	copy_body
	.size	arch_copy_from_user, . - arch_copy_from_user

	.globl	arch_copy_to_user
	.type	arch_copy_to_user, @function
arch_copy_to_user:
	copy_body
	.size	arch_copy_to_user, . - arch_copy_to_user

/* rdi = to, rsi = bytes */
	.globl	arch_clear_user
	.type	arch_clear_user, @function
arch_clear_user:
	movq	%rsi, %rcx
	movl	%esi, %edx
	shrq	$3, %rcx
	andl	$7, %edx
	xorl	%eax, %eax
	user_open
1:
	rep stosq
	movl	%edx, %ecx
2:
	rep stosb
	user_close
	ret
3:
	leaq	(%rdx, %rcx, 8), %rcx
5:
	rep stosb
4:
	movq	%rcx, %rax
	user_close
	ret
	fixup	1b, 3b
	fixup	2b, 4b
	fixup	5b, 4b
	.size	arch_clear_user, . - arch_clear_user

/* int arch_user_load32(const u32 __user *p, u32 *out) */
	.globl	arch_user_load32
	.type	arch_user_load32, @function
arch_user_load32:
	user_open
1:
	movl	(%rdi), %ecx
	user_close
	movl	%ecx, (%rsi)
	xorl	%eax, %eax
	ret
2:
	user_close
	movl	$-14, %eax			/* -EFAULT */
	ret
	fixup	1b, 2b
	.size	arch_user_load32, . - arch_user_load32

/* int arch_user_cas32(u32 __user *p, u32 expected, u32 desired, u32 *old) */
	.globl	arch_user_cas32
	.type	arch_user_cas32, @function
arch_user_cas32:
	movl	%esi, %eax
	movq	%rcx, %rsi
	user_open
1:
	lock cmpxchgl %edx, (%rdi)
	user_close
	movl	%eax, (%rsi)
	xorl	%eax, %eax
	ret
2:
	user_close
	movl	$-14, %eax
	ret
	fixup	1b, 2b
	.size	arch_user_cas32, . - arch_user_cas32

/* size_t arch_copy_from_kernel_nofault(void *dst, const void *src, size_t bytes): never opens user pages */
	.globl	arch_copy_from_kernel_nofault
	.type	arch_copy_from_kernel_nofault, @function
arch_copy_from_kernel_nofault:
	movq	%rdx, %rcx
1:
	rep movsb
2:
	movq	%rcx, %rax
	ret
	fixup	1b, 2b
	.size	arch_copy_from_kernel_nofault, . - arch_copy_from_kernel_nofault
/* int NAME(area, features): 0 or -EFAULT, also for #GP (an area that the CPU refuses) */
	.macro	fp_user name, instruction
	.globl	\name
	.type	\name, @function
\name:
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	user_open
1:
	\instruction (%rdi)
	user_close
	xorl	%eax, %eax
	ret
2:
	user_close
	movl	$-14, %eax
	ret
	fixup	1b, 2b
	.size	\name, . - \name
	.endm
	fp_user	x86_user_xsave, xsave64
	fp_user	x86_user_xrstor, xrstor64
	fp_user	x86_user_fxsave, fxsave64
	fp_user	x86_user_fxrstor, fxrstor64
	.section .note.GNU-stack, "", @progbits
