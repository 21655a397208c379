/*
 * Copies between core and user memory. Each instruction that may touch a user page has an entry in .extable; trap.c goes to the fixup
 * when core does not serve the fault. All return the number of bytes not copied. User pages are reached by the unprivileged loads and
 * stores (Arm ARM C6.2, LDTR), which have EL0's rights, so PAN stays on; only the futex word needs an exclusive pair and opens it.
 */
#include "asm.h"

	.macro	fixup from, to
	.pushsection .extable, "a"
	.balign	4
	.long	\from - .
	.long	\to - .
	.popsection
	.endm
	.macro	user to, insn:vararg
9999:
	\insn
	fixup	9999b, \to
	.endm

	.text
/* X0 = to, X1 = from, X2 = bytes */
	.globl	arch_copy_from_user
	.type	arch_copy_from_user, %function
arch_copy_from_user:
	subs	x2, x2, #32
	b.lo	2f
1:
	user	4f, ldtr x3, [x1]
	user	4f, ldtr x4, [x1, #8]
	user	4f, ldtr x5, [x1, #16]
	user	4f, ldtr x6, [x1, #24]
	stp	x3, x4, [x0], #16
	stp	x5, x6, [x0], #16
	add	x1, x1, #32
	subs	x2, x2, #32
	b.hs	1b
2:
	adds	x2, x2, #32
	b.eq	6f
3:
	subs	x4, x2, #8
	b.lo	5f
	user	5f, ldtr x3, [x1]
	str	x3, [x0], #8
	add	x1, x1, #8
	mov	x2, x4
	cbnz	x2, 3b
	b	6f
4:						/* a fault in the block: what is left, by bytes up to the very edge */
	add	x2, x2, #32
5:
	user	6f, ldtrb w3, [x1]
	strb	w3, [x0], #1
	add	x1, x1, #1
	subs	x2, x2, #1
	b.ne	5b
6:
	mov	x0, x2
	ret
	.size	arch_copy_from_user, . - arch_copy_from_user

	.globl	arch_copy_to_user
	.type	arch_copy_to_user, %function
arch_copy_to_user:
	subs	x2, x2, #32
	b.lo	2f
1:
	ldp	x3, x4, [x1]
	ldp	x5, x6, [x1, #16]
	user	4f, sttr x3, [x0]
	user	4f, sttr x4, [x0, #8]
	user	4f, sttr x5, [x0, #16]
	user	4f, sttr x6, [x0, #24]
	add	x0, x0, #32
	add	x1, x1, #32
	subs	x2, x2, #32
	b.hs	1b
2:
	adds	x2, x2, #32
	b.eq	6f
3:
	subs	x4, x2, #8
	b.lo	5f
	ldr	x3, [x1]
	user	5f, sttr x3, [x0]
	add	x0, x0, #8
	add	x1, x1, #8
	mov	x2, x4
	cbnz	x2, 3b
	b	6f
4:
	add	x2, x2, #32
5:
	ldrb	w3, [x1], #1
	user	6f, sttrb w3, [x0]
	add	x0, x0, #1
	subs	x2, x2, #1
	b.ne	5b
6:
	mov	x0, x2
	ret
	.size	arch_copy_to_user, . - arch_copy_to_user

/* X0 = to, X1 = bytes */
	.globl	arch_clear_user
	.type	arch_clear_user, %function
arch_clear_user:
	cbz	x1, 3f
1:
	subs	x2, x1, #8
	b.lo	2f
	user	2f, sttr xzr, [x0]
	add	x0, x0, #8
	mov	x1, x2
	cbnz	x1, 1b
	b	3f
2:
	user	3f, sttrb wzr, [x0]
	add	x0, x0, #1
	subs	x1, x1, #1
	b.ne	2b
3:
	mov	x0, x1
	ret
	.size	arch_clear_user, . - arch_clear_user

/* int arch_user_load32(const u32 __user *p, u32 *out) */
	.globl	arch_user_load32
	.type	arch_user_load32, %function
arch_user_load32:
	user	1f, ldtr w2, [x0]
	str	w2, [x1]
	mov	w0, #0
	ret
1:
	mov	w0, #-14			/* -EFAULT */
	ret
	.size	arch_user_load32, . - arch_user_load32

/* int arch_user_cas32(u32 __user *p, u32 expected, u32 desired, u32 *old); a64_have_pan: cpu.c */
	.arch_extension pan
	.globl	arch_user_cas32
	.type	arch_user_cas32, %function
arch_user_cas32:
	adrp	x5, a64_have_pan
	ldrb	w5, [x5, :lo12:a64_have_pan]
	cbz	w5, 1f
	msr	pan, #0
1:
	user	4f, ldxr w4, [x0]
	cmp	w4, w1
	b.ne	2f
	user	4f, stlxr w6, w2, [x0]
	cbnz	w6, 1b
2:
	dmb	ish
	str	w4, [x3]
	mov	w0, #0
3:
	cbz	w5, 5f
	msr	pan, #1
5:
	ret
4:
	mov	w0, #-14
	b	3b
	.size	arch_user_cas32, . - arch_user_cas32

/* size_t arch_copy_from_kernel_nofault(void *dst, const void *src, size_t bytes): never opens user pages */
	.globl	arch_copy_from_kernel_nofault
	.type	arch_copy_from_kernel_nofault, %function
arch_copy_from_kernel_nofault:
	cbz	x2, 2f
	tbz	x1, #63, 2f
1:
	user	2f, ldrb w3, [x1], #1
	strb	w3, [x0], #1
	subs	x2, x2, #1
	b.ne	1b
2:
	mov	x0, x2
	ret
	.size	arch_copy_from_kernel_nofault, . - arch_copy_from_kernel_nofault
	.section .note.GNU-stack, "", @progbits
