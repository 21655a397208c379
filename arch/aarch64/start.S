/*
 * First instructions (Linux arm64 boot protocol, Documentation/arch/arm64/booting.rst): the image lies at a multiple of 2 MiB, MMU
 * off, X0 = device tree, EL1 or EL2.
 *
 * Two maps of the image are made with 2 MiB blocks, writable and executable until a64_mmu_early has made the real tables: one at the
 * link address, in which the device tree is asked for the slide, and one at the slid address, in which everything else runs. The
 * entries of the relocation table have explicit addends, so applying them twice is harmless. TTBR0 maps physical addresses until then.
 *
 * Kept: X19 slide, X20 device tree, X21 physical base, X22 virtual base.
 */
#include "asm.h"

#define BLOCK_NORMAL 0x701		/* AF, inner shareable, attribute 0, block */
#define BLOCK_DEVICE 0x60000000000405	/* AF, attribute 1, block; XN */
#define TABLE	     3

	.macro	mov64 reg, value
	movz	\reg, #((\value) & 0xffff)
	movk	\reg, #(((\value) >> 16) & 0xffff), lsl #16
	movk	\reg, #(((\value) >> 32) & 0xffff), lsl #32
	movk	\reg, #(((\value) >> 48) & 0xffff), lsl #48
	.endm
	.macro	address reg, symbol
	adrp	\reg, \symbol
	add	\reg, \reg, :lo12:\symbol
	.endm

	.section .head.text, "ax"
	.globl	a64_head
a64_head:
	b	a64_start
	.long	0
	.quad	0				/* text_offset */
	.quad	0				/* image_size: mkarm64image.py */
	.quad	0xa				/* little-endian, 4 KiB pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
	/* ours, from offset 64, filled in by mkarm64image.py: where the blob lies */
	.globl	a64_blob_offset, a64_blob_bytes
a64_blob_offset:
	.quad	0
a64_blob_bytes:
	.quad	0

a64_start:
	mov	x20, x0
	msr	daifset, #15
	bl	to_el1
	adrp	x21, a64_head
	bl	early_tables
	mov64	x22, A64_IMAGE_LINK
	mov	x19, #0
	address	x0, early_link
	bl	map_image
	address	x0, early_link
	bl	mmu_on
	bl	jump_high
	bl	relocate
	address	x0, a64_boot_stack_end
	mov	sp, x0
	mov	x29, xzr
	mov	x0, x20
	bl	a64_choose_slide
	mov	x19, x0
	cbz	x19, 1f
	/* back to the physical address while TTBR1 changes */
	address	x0, 2f
	sub	x0, x0, x22
	add	x0, x0, x21
	br	x0
2:
	add	x22, x22, x19
	address	x0, early_slid
	bl	map_image
	dsb	ishst
	address	x0, early_slid
	msr	ttbr1_el1, x0
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	bl	jump_high
	bl	relocate
1:
	address	x0, a64_boot_stack_end
	mov	sp, x0
	mov	x29, xzr
	address	x0, a64_boot_task
	address	x1, a64_cpus
	address	x2, a64_boot_stack_end
	str	x1, [x0, #ARCH_CPU]
	str	x2, [x0, #ARCH_STACK_TOP]
	msr	tpidr_el1, x0
	mov	x0, x20
	mov	x1, x21
	mov	x2, x19
	bl	a64_boot
3:
	wfi
	b	3b

/* Continue at the virtual address of the caller. X22 - X21 is the distance. */
jump_high:
	sub	x30, x30, x21
	add	x30, x30, x22
	ret

/* Drops from EL2 to EL1 (booting.rst; Arm ARM D19). The caller goes on at EL1. Clobbers X0-X2. */
to_el1:
	mrs	x0, currentel
	cmp	x0, #8
	b.ne	9f
	mov64	x0, 0x30d00980			/* SCTLR_EL1: MMU off, bits that are one */
	msr	sctlr_el1, x0
	mov	x0, #(1 << 31)			/* HCR_EL2.RW: EL1 is AArch64 */
	msr	hcr_el2, x0
	mrs	x0, cnthctl_el2
	orr	x0, x0, #3			/* counter and timer for EL1 */
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mov	x0, #0x33ff			/* CPTR_EL2: FP and SIMD not trapped, SVE and SME trapped */
	bic	x0, x0, #0x400
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	msr	vttbr_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mrs	x0, mdcr_el2
	and	x0, x0, #0x1f			/* HPMN as it is, no traps of debug registers */
	msr	mdcr_el2, x0
	mrs	x0, id_aa64pfr0_el1
	ubfx	x0, x0, #24, #4
	cbz	x0, 1f				/* no GIC system registers */
	mrs	x0, s3_4_c12_c9_5		/* ICC_SRE_EL2 */
	orr	x0, x0, #1			/* SRE */
	orr	x0, x0, #8			/* Enable */
	msr	s3_4_c12_c9_5, x0
	isb
	msr	s3_4_c12_c11_0, xzr		/* ICH_HCR_EL2 */
1:
	mov	x0, #0x3c5			/* EL1h, DAIF */
	msr	spsr_el2, x0
	msr	elr_el2, x30
	/* how to call firmware: by SMC, since nobody listens to HVC now */
	adrp	x0, a64_entered_el2
	mov	w1, #1
	add	x0, x0, :lo12:a64_entered_el2
	str	w1, [x0]
	dc	ivac, x0
	dsb	sy
	eret
9:
	ret

/* Identity map of the GiB of the image and of the device tree, and the one after each; GiB 0 as device memory for an early console. */
early_tables:
	address	x0, early_identity
	add	x1, x0, #4096
	orr	x2, x1, #TABLE
	ubfx	x3, x21, #39, #9
	str	x2, [x0, x3, lsl #3]
	mov64	x4, BLOCK_DEVICE
	str	x4, [x1]
	mov	x5, #BLOCK_NORMAL
	mov	x6, x30
	lsr	x3, x21, #30
	bl	2f
	mov	x30, x6
	lsr	x3, x20, #30
2:						/* twice: the second time by falling into it */
	and	x2, x3, #511
	orr	x4, x5, x3, lsl #30
	str	x4, [x1, x2, lsl #3]
	add	x3, x3, #1
	and	x2, x3, #511
	orr	x4, x5, x3, lsl #30
	cbz	x2, 3f
	str	x4, [x1, x2, lsl #3]
3:
	ret

/* X0 = three table pages; maps the image at X22. */
map_image:
	add	x1, x0, #4096
	add	x2, x0, #8192
	orr	x3, x1, #TABLE
	ubfx	x4, x22, #39, #9
	str	x3, [x0, x4, lsl #3]
	orr	x3, x2, #TABLE
	ubfx	x4, x22, #30, #9
	str	x3, [x1, x4, lsl #3]
	ubfx	x4, x22, #21, #9
	add	x2, x2, x4, lsl #3
	mov	x5, #BLOCK_NORMAL
	orr	x5, x5, x21
	address	x6, a64_image_end
	address	x7, a64_head
	sub	x6, x6, x7
1:
	str	x5, [x2], #8
	add	x5, x5, #0x200000
	subs	x6, x6, #0x200000
	b.hi	1b
	ret

/* X0 = root for TTBR1. What was written with the MMU off must not be hidden by old cache lines. */
mmu_on:
	address	x1, early_begin
	address	x2, early_end
1:
	dc	ivac, x1
	add	x1, x1, #16
	cmp	x1, x2
	b.lo	1b
	dsb	sy
	address	x1, early_identity
/* X0, X1 = roots. Also of other CPUs, which have CPU registers to set up first. */
mmu_load:
	msr	ttbr1_el1, x0
	msr	ttbr0_el1, x1
	mov64	x2, MAIR_VALUE
	msr	mair_el1, x2
	mov64	x2, TCR_VALUE
	mrs	x3, id_aa64mmfr0_el1
	and	x4, x3, #15			/* PARange */
	cmp	x4, #5
	mov	x5, #5
	csel	x4, x4, x5, lo
	orr	x2, x2, x4, lsl #32
	ubfx	x4, x3, #4, #4			/* ASIDBits: 2 is 16 bits */
	cbz	x4, 2f
	orr	x2, x2, #(1 << 36)
2:
	mrs	x3, id_aa64mmfr1_el1
	and	x3, x3, #15			/* HAFDBS: 2 is access flag and dirty state */
	cmp	x3, #2
	b.lo	3f
	mov	x4, #(3 << 39)
	orr	x2, x2, x4
3:
	msr	tcr_el1, x2
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	mov64	x2, SCTLR_VALUE
	msr	sctlr_el1, x2
	isb
	ret

/* The linker left (offset, type, addend) entries, all R_AARCH64_RELATIVE (type 1027); mkarm64image.py has checked. */
relocate:
	address	x0, a64_rela_begin
	address	x1, a64_rela_end
1:
	cmp	x0, x1
	b.hs	2f
	ldp	x2, x3, [x0], #16
	ldr	x4, [x0], #8
	add	x4, x4, x19
	str	x4, [x2, x19]
	b	1b
2:
	ret

/*
 * Where PSCI starts another CPU (smp.c): X0 = physical address of {root, identity root, virtual entry, struct arch_task, stack},
 * MMU off.
 */
	.globl	a64_secondary_start
a64_secondary_start:
	msr	daifset, #15
	mov	x20, x0
	bl	to_el1
	ldp	x0, x1, [x20]
	ldp	x6, x7, [x20, #16]
	ldr	x8, [x20, #32]
	bl	mmu_load
	msr	tpidr_el1, x7
	mov	sp, x8
	mov	x29, xzr
	mov	x30, xzr
	br	x6

	.section .bss.page_aligned, "aw", @nobits
	.balign	4096
early_begin:
	.globl	a64_early_identity
a64_early_identity:
early_identity:
	.fill	8192
early_link:
	.fill	12288
early_slid:
	.fill	12288
early_end:
	.globl	a64_boot_stack, a64_boot_stack_end
a64_boot_stack:
	.fill	STACK_BYTES
a64_boot_stack_end:
	.section .data, "aw"
	.balign	4
	.globl	a64_entered_el2
a64_entered_el2:				/* .data: bss may not be cleared later, but data is written before any cache is on */
	.long	0
	.section .note.GNU-stack, "", @progbits
