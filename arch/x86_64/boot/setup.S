/*
 * The real-mode part of the boot image: file offsets 0 to 0x1fff.
 *
 * Offset 0 is also the start of a PE/COFF file; tools/image/mkbzimage.py writes the PE header into
 * the free bytes at 0x3c and 0x40..0x1f0 and fills in the sizes below. The header at 0x1f1 is that
 * of the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
 * The second page (0x1000) is zero in the file and becomes `struct boot_params` when a BIOS loader
 * enters here; loaders that enter at the 32-bit or 64-bit entry point bring their own.
 */
#define PARAMS		0x1000		/* boot_params, in the setup segment */
#define E820_COUNT	(PARAMS + 0x1e8)
#define E820_TABLE	(PARAMS + 0x2d0)
#define E820_MAX	128
#define STACK_TOP	0x7ff0		/* the protocol reserves 32 KiB for this part */

	.code16
	.section .setup, "awx"
	.globl	setup_begin
setup_begin:
	.ascii	"MZ"

	.org	0x1f1
	.byte	15			/* setup_sects: 15 + the first sector = 8 KiB */
	.word	0			/* root_flags */
	.long	0			/* syssize, patched */
	.word	0			/* ram_size, obsolete */
	.word	0xffff			/* vid_mode: normal */
	.word	0			/* root_dev */
	.word	0xaa55			/* boot_flag */
	.org	0x200
	.byte	0xeb, setup_start - 1f	/* jump */
1:
	.ascii	"HdrS"
	.word	0x020f			/* protocol version 2.15 */
	.long	0			/* realmode_swtch */
	.word	0x1000			/* start_sys_seg, obsolete */
	.word	version_text - 0x200	/* kernel_version */
	.byte	0			/* type_of_loader */
	.byte	0x01			/* loadflags: LOADED_HIGH */
	.word	0x8000			/* setup_move_size */
code32_start:
	.long	0x100000
	.long	0, 0			/* ramdisk_image, ramdisk_size */
	.long	0			/* bootsect_kludge */
	.word	0			/* heap_end_ptr */
	.byte	0, 0			/* ext_loader_ver, ext_loader_type */
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	1			/* relocatable_kernel */
	.byte	12			/* min_alignment: any page will do */
	.word	0x0b			/* xloadflags: 64-bit entry, above 4G, 64-bit EFI handover */
	.long	4095			/* cmdline_size */
	.long	0			/* hardware_subarch */
	.quad	0			/* hardware_subarch_data */
	.long	0, 0			/* payload_offset, payload_length: not compressed */
	.quad	0			/* setup_data */
	.quad	0x1000000		/* pref_address */
	.long	0			/* init_size, patched */
	.long	0			/* handover_offset, patched */
	.long	0			/* kernel_info_offset */
header_end:

setup_start:
	cli
	cld
	movw	%cs, %ax
	subw	$0x20, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK_TOP, %esp

	/* boot_params.hdr is our own header with what the loader wrote into it */
	movw	$0x1f1, %si
	movw	$(PARAMS + 0x1f1), %di
	movw	$(header_end - setup_begin - 0x1f1), %cx
	rep movsb

	sti
	movw	$0x2401, %ax		/* enable A20; ignored where the BIOS lacks it */
	int	$0x15
	inb	$0x92, %al		/* and the fast gate of the chip set */
	testb	$2, %al
	jnz	1f
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
1:
	/* ACPI specification, section 15.1: INT 15h, E820h */
	xorl	%ebx, %ebx
	movw	$E820_TABLE, %di
2:
	movl	$0xe820, %eax
	movl	$0x534d4150, %edx
	movl	$20, %ecx
	int	$0x15
	jc	3f
	cmpl	$0x534d4150, %eax
	jne	3f
	addw	$20, %di
	incb	E820_COUNT
	cmpb	$E820_MAX, E820_COUNT
	jae	3f
	testl	%ebx, %ebx
	jnz	2b
3:
	cli
	movb	$0x80, %al		/* NMI off while there is no IDT */
	outb	%al, $0x70

	xorl	%ebx, %ebx
	movw	%ds, %bx
	shll	$4, %ebx		/* linear address of this segment */
	addl	%ebx, gdt_pointer + 2
	addl	%ebx, jump32
	leal	PARAMS(%ebx), %esi
	movl	code32_start, %edi
	lgdtl	gdt_pointer
	lidtl	no_idt
	movl	$1, %eax
	movl	%eax, %cr0
	.byte	0x66, 0xea		/* ljmpl $0x10, $linear(protected) */
jump32:
	.long	protected
	.word	0x10

	.code32
protected:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	%edi, %eax
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	xorl	%ebx, %ebx
	jmp	*%eax

	.balign	8
gdt:
	.quad	0, 0
	.quad	0x00cf9b000000ffff	/* 0x10: __BOOT_CS, flat, 32-bit */
	.quad	0x00cf93000000ffff	/* 0x18: __BOOT_DS */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt
no_idt:
	.word	0
	.long	0

version_text:
	.ascii	"6.12.0-umka (UmkaOS)"
	.byte	0
	.org	PARAMS
	.fill	0x1000, 1, 0
