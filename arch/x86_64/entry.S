/*
 * Entry and exit.
 *
 * System calls: SYSCALL leaves the user's RIP in RCX and RFLAGS in R11 and changes no stack (SDM
 * volume 2); the whole register frame is pushed on the task's core stack, so fork, signals and
 * ptrace find it at one place. The way back is SYSRET when nothing changed RIP and RFLAGS, else
 * IRET. The trap area is not touched.
 *
 * Traps and interrupts: every gate uses an interrupt stack in the trap area (IST 1), so that the CPU
 * can push under any domain's rights. The frame is copied at once to the task's core stack: to its
 * top when it came from user mode, below the interrupted frame otherwise. Interrupts stay off until
 * then, so IST 1 never nests. NMI, #DB, #MC and #DF have stacks of their own, run on them, and trust
 * no GS base (user code may write it, and SYSCALL has a window before swapgs).
 */
#include "asm.h"

#define USER_SS 0x2b
#define USER_CS 0x33

	.macro	clac_site
773:
	clac
	.pushsection .smap_sites, "a"
	.long	773b - .
	.popsection
	.endm

	.macro	push_rest			/* RSI to R15; RDI is already there */
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro	pop_all
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	.endm

	.section .entry.text, "ax"
	.globl	x86_entry_syscall
	.type	x86_entry_syscall, @function
	.balign	64
x86_entry_syscall:
	swapgs
	movq	%rsp, %gs:CPU_USER_SP
	movq	%gs:CPU_KERNEL_SP, %rsp
	pushq	$USER_SS
	pushq	%gs:CPU_USER_SP
	pushq	%r11
	pushq	$USER_CS
	pushq	%rcx
	pushq	%rax
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	$-38				/* -ENOSYS, as a tracer sees it at the entry stop */
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	xorl	%ebp, %ebp
	sti
	call	call_entry
	cli
	movq	%gs:CPU_CURRENT, %rax
	cmpl	$0, TASK_WORK(%rax)
	jne	.Lsyscall_work
.Lsyscall_out:
	movq	REGS_CX(%rsp), %rcx
	movq	REGS_R11(%rsp), %r11
	cmpq	%rcx, REGS_IP(%rsp)
	jne	.Lout_iret
	cmpq	%r11, REGS_FLAGS(%rsp)
	jne	.Lout_iret
	/*
	 * SYSRET faults in ring 0 on a non-canonical RIP (SDM volume 2, SYSRET), and it cannot
	 * restore RF or trap after one instruction.
	 */
	movq	%rcx, %rax
	shrq	$47, %rax
	jnz	.Lout_iret
	testl	$0x10100, %r11d
	jnz	.Lout_iret
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%rax				/* R11, loaded */
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rdx				/* RCX, loaded */
	popq	%rdx
	popq	%rsi
	popq	%rdi
	movq	32(%rsp), %rsp			/* past orig_ax, ip, cs, flags */
	swapgs
	sysretq
.Lsyscall_work:
	movq	%rsp, %rdi
	call	task_user_exit_work
	jmp	.Lsyscall_out

/* Every other return to user mode. Interrupts off, work done, RSP at the frame. */
.Lout_iret:
	/* A non-canonical RIP would fault at IRET itself: let it fault in user mode instead */
	movq	REGS_IP(%rsp), %rax
	shrq	$47, %rax
	jnz	.Lbad_ip
.Lout_iret2:
	pop_all
	addq	$8, %rsp
	swapgs
	iretq
.Lbad_ip:
	movabsq	$0x00007ffffffff000, %rax	/* never mapped */
	movq	%rax, REGS_IP(%rsp)
	jmp	.Lout_iret2

x86_exit_user:
	cli
	movq	%gs:CPU_CURRENT, %rax
	cmpl	$0, TASK_WORK(%rax)
	je	.Lout_iret
	movq	%rsp, %rdi
	call	task_user_exit_work
	jmp	.Lout_iret
	.size	x86_entry_syscall, . - x86_entry_syscall

/* First run of a task made by fork: RAX = the task that ran before; RSP at the user frame. */
	.globl	x86_child_start
x86_child_start:
	movq	%rax, %rdi
	call	sched_finish_switch
	call	task_child_start
	jmp	x86_exit_user

/* First run of a kernel thread: RBX = function, R12 = argument. It may return after exec. */
	.globl	x86_thread_start
x86_thread_start:
	movq	%rax, %rdi
	call	sched_finish_switch
	sti
	movq	%r12, %rdi
	call	*%rbx
	cli
	movq	%gs:CPU_KERNEL_SP, %rsp
	subq	$REGS_BYTES, %rsp
	jmp	x86_exit_user

/* 256 stubs of 16 bytes: vector and error code (0 where the CPU pushes none) on IST 1. */
	.globl	x86_trap_stubs
	.balign	16
x86_trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	.byte	0x68				/* pushq imm32 */
	.long	vector
	jmp	x86_trap_common
	vector = vector + 1
	.endr
	.balign	16

	.macro	copy_frame
	pushq	56(%rdi)			/* ss */
	pushq	48(%rdi)			/* sp */
	pushq	40(%rdi)			/* flags */
	pushq	32(%rdi)			/* cs */
	pushq	24(%rdi)			/* ip */
	pushq	$-1				/* orig_ax: no system call */
	pushq	(%rdi)				/* di */
	push_rest
	movl	8(%rdi), %esi
	movq	16(%rdi), %rdx
	movq	%rsp, %rdi
	cld
	clac_site
	.endm

x86_trap_common:
x86_guard_begin:
	pushq	%rdi
	movq	%rsp, %rdi
	testb	$3, 32(%rdi)
	jz	.Lfrom_kernel
	swapgs
	movq	%gs:CPU_KERNEL_SP, %rsp
	copy_frame
	xorl	%ebp, %ebp
	call	x86_trap_user
	jmp	x86_exit_user

.Lfrom_kernel:
	/* A fault in these very lines means that the core stack is gone: there is no way back */
	pushq	%rsi
	leaq	x86_guard_begin(%rip), %rsi
	subq	24(%rdi), %rsi
	negq	%rsi
	cmpq	$(x86_guard_end - x86_guard_begin), %rsi
	jb	.Lstack_gone
	popq	%rsi
	movq	48(%rdi), %rsp
	andq	$~15, %rsp
	subq	$8, %rsp
	copy_frame
	/* a frame record, so that a backtrace shows the interrupted function between its callers and us */
	pushq	REGS_IP(%rdi)
	pushq	%rbp
	movq	%rsp, %rbp
	call	x86_trap_kernel
	addq	$16, %rsp
	pop_all
	addq	$8, %rsp
	iretq
x86_guard_end:
.Lstack_gone:
	popq	%rsi
	subq	$8, %rsp
	copy_frame
	andq	$~15, %rsp
	call	x86_stack_gone

/*
 * Entries that run on their own stack. Above it stands this CPU's struct cpu pointer (cpu.c); RBX
 * keeps the GS base that was.
 */
	.macro	own_stack name, handler, error
	.globl	\name
	.balign	16
\name:
	.if	\error == 0
	pushq	$-1
	.endif
	pushq	%rdi
	push_rest
	cld
	clac_site
	movl	$0xc0000101, %ecx
	rdmsr
	shlq	$32, %rdx
	leaq	(%rax, %rdx), %rbx
	movq	REGS_BYTES(%rsp), %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	wrmsr
	movq	%rsp, %rdi
	subq	$8, %rsp			/* the ABI's alignment: the frame has 21 words */
	call	\handler
	addq	$8, %rsp
	movq	%rbx, %rax
	movq	%rbx, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx
	wrmsr
	pop_all
	addq	$8, %rsp
	iretq
	.endm

	own_stack x86_entry_nmi, x86_nmi, 0
	own_stack x86_entry_machine, x86_machine_check, 0
	own_stack x86_entry_double, x86_double_fault, 1	/* its error code, always 0, is orig_ax */
	own_stack x86_entry_debug_kernel, x86_debug_kernel, 0

	.globl	x86_entry_debug
	.balign	16
x86_entry_debug:
	testb	$3, 8(%rsp)
	jz	x86_entry_debug_kernel
	pushq	$0
	pushq	$1
	jmp	x86_trap_common			/* from user mode: the core stack is free */
	.section .note.GNU-stack, "", @progbits
