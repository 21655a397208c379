/*
 * Traps.
 *
 * Purpose: from a vector with a saved frame to core's entry points (arch/trap.h), and the way out
 * of faults that a copy helper expected.
 *
 * Vocabulary: user frame: at the fixed place below the top of the core stack; kernel frame: below
 * the interrupted stack pointer.
 *
 * Invariants: X86-T1 a frame is used only after it was copied out of the trap area; X86-T2 core
 * sees a kernel-mode fault on a user address only when it was raised by an instruction with an
 * entry in .extable, all others are bugs and panic at once; X86-T3 FP registers are not touched
 * here.
 *
 * Locks: none. Failure: a kernel exception without fixup panics with its registers.
 *
 * Cost: an interrupt from user mode is about 75 instructions besides its handler.
 */
#include <core/cpu.h>
#include <core/log.h>
#include <core/task.h>
#include <arch/ucopy.h>
#include "asm.h"
#include "x86.h"

static_assert(offsetof(struct x86_cpu, task) == CPU_CURRENT);
static_assert(offsetof(struct x86_cpu, kernel_sp) == CPU_KERNEL_SP);
static_assert(offsetof(struct x86_cpu, user_sp) == CPU_USER_SP);
static_assert(offsetof(struct x86_cpu, self) == CPU_SELF);
static_assert(offsetof(struct task, work) == TASK_WORK);
static_assert(offsetof(struct arch_regs, r11) == REGS_R11);
static_assert(offsetof(struct arch_regs, cx) == REGS_CX);
static_assert(offsetof(struct arch_regs, ip) == REGS_IP);
static_assert(offsetof(struct arch_regs, flags) == REGS_FLAGS);
static_assert(offsetof(struct arch_regs, sp) == REGS_SP);
static_assert(sizeof(struct arch_regs) == REGS_BYTES);

enum x86_exception : u32 {
	EXCEPTION_DIVIDE = 0,
	EXCEPTION_DEBUG = 1,
	EXCEPTION_BREAKPOINT = 3,
	EXCEPTION_OVERFLOW = 4,
	EXCEPTION_BOUND = 5,
	EXCEPTION_OPCODE = 6,
	EXCEPTION_NO_FPU = 7,
	EXCEPTION_SEGMENT_ABSENT = 11,
	EXCEPTION_STACK = 12,
	EXCEPTION_PROTECTION = 13,
	EXCEPTION_PAGE = 14,
	EXCEPTION_X87 = 16,
	EXCEPTION_ALIGNMENT = 17,
	EXCEPTION_SIMD = 19,
};

static const char *const x86_exception_names[32] = {
	"divide error",
	"debug",
	"NMI",
	"breakpoint",
	"overflow",
	"bound range",
	"invalid opcode",
	"no FPU",
	"double fault",
	"coprocessor overrun",
	"invalid TSS",
	"segment not present",
	"stack segment",
	"general protection",
	"page fault",
	"reserved",
	"x87 error",
	"alignment check",
	"machine check",
	"SIMD error",
	"virtualization",
	"control protection",
	"reserved",
	"reserved",
	"reserved",
	"reserved",
	"reserved",
	"reserved",
	"hypervisor",
	"VMM communication",
	"security",
	"reserved",
};

void x86_trap_user(struct arch_regs *regs, u32 vector, word_t error);
void x86_trap_kernel(struct arch_regs *regs, u32 vector, word_t error);
void x86_nmi(struct arch_regs *regs);
void x86_machine_check(struct arch_regs *regs);
void x86_double_fault(struct arch_regs *regs);
void x86_debug_kernel(struct arch_regs *regs);
void x86_stack_gone(struct arch_regs *regs, u32 vector, word_t error);

struct x86_extable_entry {
	s32 at;
	s32 fixup;
};
extern const struct x86_extable_entry x86_extable_begin[], x86_extable_end[];

static const struct x86_extable_entry *x86_extable_find(word_t ip)
{
	const struct x86_extable_entry *e;

	for (e = x86_extable_begin; e < x86_extable_end; e++)
		if ((word_t)&e->at + (word_t)(sword_t)e->at == ip)
			return e;
	return nullptr;
}

static bool x86_fixup(struct arch_regs *regs)
{
	const struct x86_extable_entry *e = x86_extable_find(regs->ip);

	if (!e)
		return false;
	regs->ip = (word_t)&e->fixup + (word_t)(sword_t)e->fixup;
	return true;
}

struct arch_regs *arch_task_regs(const struct task *t)
{
	return (struct arch_regs *)(t->arch.stack_top - 8 - REGS_BYTES);
}

static word_t x86_cr2(void)
{
	word_t v;

	__asm__ volatile("movq %%cr2, %0" : "=r"(v));
	return v;
}

/* Page-fault error code: SDM volume 3, 4.7. */
#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_FETCH   16u

static enum trap_access x86_access(word_t error)
{
	if (error & PF_FETCH)
		return TRAP_EXEC;
	return error & PF_WRITE ? TRAP_WRITE : TRAP_READ;
}

static void x86_page_fault_user(struct arch_regs *regs, word_t error)
{
	vaddr_t addr = x86_cr2();

	struct arch_task *a = &arch_current()->arch, before = *a;

	a->trap_number = EXCEPTION_PAGE;
	a->trap_error = error;
	a->trap_address = addr;
	arch_irq_enable();
	trap_page_fault(regs, addr, x86_access(error), true, error & PF_PRESENT);
	arch_irq_disable();
	if (!task_signal_pending(arch_current())) { /* served: no signal shows it */
		a->trap_number = before.trap_number;
		a->trap_error = before.trap_error;
		a->trap_address = before.trap_address;
	}
}

static void x86_page_fault_kernel(struct arch_regs *regs, word_t error)
{
	vaddr_t addr = x86_cr2();
	const char *what = "page fault";
	bool expected = x86_extable_find(regs->ip);

#if UMKA_ASAN
	if (!(error & PF_PRESENT) && x86_shadow_fault(addr))
		return;
#endif
	if (addr < USER_ADDR_END && !expected)
		trap_kernel_exception(regs, "access to a user address outside the copy helpers",
			error, addr);
	arch_irq_restore(regs->flags);
	if (trap_page_fault(regs, addr, x86_access(error), false, error & PF_PRESENT)) {
		arch_irq_disable();
		return;
	}
	arch_irq_disable();
	if (x86_fixup(regs))
		return;
	if (addr < PAGE_BYTES)
		what = "null pointer";
	else if (error & PF_FETCH)
		what = "execution of data";
	trap_kernel_exception(regs, what, error, addr);
}

/* Linux 6.12 sends these numbers and codes (tests/abi compares); FP codes: SDM volume 1, 8.5
 * and 11.5. */
static int x86_fp_code(bool simd)
{
	u32 raised;

	if (simd) {
		u32 mxcsr;

		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		raised = mxcsr & ~(mxcsr >> 7) & 0x3f;
	} else {
		u16 status, control;

		__asm__ volatile("fnstsw %0; fnstcw %1; fnclex" : "=m"(status), "=m"(control));
		raised = status & ~control & 0x3f;
	}
	if (raised & 0x01)
		return 7; /* FPE_FLTINV */
	if (raised & 0x04)
		return 3; /* FPE_FLTDIV */
	if (raised & 0x08)
		return 4; /* FPE_FLTOVF */
	if (raised & 0x12)
		return 5; /* FPE_FLTUND */
	if (raised & 0x20)
		return 6; /* FPE_FLTRES */
	return 0;
}

static void x86_exception_user(struct arch_regs *regs, u32 vector, word_t error)
{
	arch_current()->arch.trap_number = vector;
	arch_current()->arch.trap_error = error;
	switch (vector) {
	case EXCEPTION_DIVIDE:
		trap_user_exception(regs, SIGFPE, 1, regs->ip); /* FPE_INTDIV */
		break;
	case EXCEPTION_DEBUG:
		/* DR6.BS: TRAP_TRACE; else TRAP_HWBKPT */
		trap_user_exception(regs, SIGTRAP, error & 0x4000 ? 2 : 4, regs->ip);
		break;
	case EXCEPTION_BREAKPOINT:
		trap_user_exception(regs, SIGTRAP, SI_KERNEL, 0);
		break;
	case EXCEPTION_OPCODE:
		trap_user_exception(regs, SIGILL, 2, regs->ip); /* ILL_ILLOPN */
		break;
	case EXCEPTION_SEGMENT_ABSENT:
	case EXCEPTION_STACK:
		trap_user_exception(regs, SIGBUS, SI_KERNEL, 0);
		break;
	case EXCEPTION_X87:
	case EXCEPTION_SIMD:
		trap_user_exception(regs, SIGFPE, x86_fp_code(vector == EXCEPTION_SIMD), regs->ip);
		break;
	case EXCEPTION_ALIGNMENT:
		trap_user_exception(regs, SIGBUS, 1, 0); /* BUS_ADRALN */
		break;
	default:
		trap_user_exception(regs, SIGSEGV, SI_KERNEL, 0);
		break;
	}
}

/* Context: from user mode, interrupts off, on the task's core stack. Returns with interrupts off.
 */
void x86_trap_user(struct arch_regs *regs, u32 vector, word_t error)
{
	if (vector >= 32) {
		x86_irq_vector(arch_this_cpu(), vector);
		return;
	}
	if (vector == EXCEPTION_PAGE) {
		x86_page_fault_user(regs, error);
		return;
	}
	if (vector == EXCEPTION_DEBUG) /* DR6 is this CPU's: read before the task may move */
		__asm__ volatile("movq %%dr6, %0; movq %1, %%dr6"
			: "=&r"(error)
			: "r"(0xffff0ff0ul));
	arch_irq_enable();
	x86_exception_user(regs, vector, error);
	arch_irq_disable();
}

/* Context: from kernel mode, interrupts off, below the interrupted frame. */
void x86_trap_kernel(struct arch_regs *regs, u32 vector, word_t error)
{
	if (vector >= 32) {
		x86_irq_vector(arch_this_cpu(), vector);
		if (regs->flags & X86_FLAGS_IF)
			irq_exit_preempt();
		return;
	}
	if (vector == EXCEPTION_PAGE) {
		x86_page_fault_kernel(regs, error);
		return;
	}
	if (vector == EXCEPTION_PROTECTION && x86_fixup(regs))
		return;
	if (vector == EXCEPTION_OPCODE) {
		u8 code[4] = {}, before[6] = {};

		arch_copy_from_kernel_nofault(code, (const void *)regs->ip, sizeof(code));
		arch_copy_from_kernel_nofault(before, (const void *)(regs->ip - sizeof(before)),
			sizeof(before));
		/* ud1 with an operand byte: Clang's -fsanitize-trap (67 0f b9 40 NN) */
		if (code[0] == 0x67 && code[1] == 0x0f && code[2] == 0xb9)
			trap_kernel_exception(regs, "sanitizer trap", code[3], regs->ip);
		/* KCFI: add -4(function),%r10d; je over the ud2 */
		if (code[0] == 0x0f && code[1] == 0x0b && (before[0] & 0xfe) == 0x44 &&
			before[1] == 0x03 && before[4] == 0x74 && before[5] == 0x02)
			trap_kernel_exception(regs, "indirect call of a function of another type",
				0, regs->ip);
		if (code[0] == 0x0f && code[1] == 0x0b)
			trap_kernel_exception(regs, "trap instruction (check failed)", 0, regs->ip);
	}
	trap_kernel_exception(regs, x86_exception_names[vector & 31], error, regs->ip);
}

/* The only NMI that we send says stop (smp.c); others are reported and ignored. */
void x86_nmi(struct arch_regs *regs)
{
	(void)regs;
	if (READ_ONCE(x86_cpus[arch_this_cpu()].stopped))
		arch_halt();
	log_warn("x86: NMI for an unknown reason on CPU %u", arch_this_cpu());
}

void x86_machine_check(struct arch_regs *regs)
{
	trap_kernel_exception(regs, "machine check", 0, regs->ip);
}

void x86_double_fault(struct arch_regs *regs)
{
	trap_kernel_exception(regs, "double fault", 0, x86_cr2());
}

/* A user watchpoint hit by a copy helper, or a single step over SYSCALL: neither concerns core. */
void x86_debug_kernel(struct arch_regs *regs)
{
	__asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ul));
	regs->flags = (regs->flags & ~X86_FLAGS_TF) | X86_FLAGS_RF;
}

void x86_stack_gone(struct arch_regs *regs, u32 vector, word_t error)
{
	(void)vector;
	trap_kernel_exception(regs, "core stack overflow", error, x86_cr2());
}

void arch_regs_print(const struct arch_regs *r)
{
	log_printf(LOG_EMERG, "ip %016lx  cs %02lx  flags %08lx  sp %016lx  ss %02lx", r->ip, r->cs,
		r->flags, r->sp, r->ss);
	log_printf(LOG_EMERG, "ax %016lx  bx %016lx  cx %016lx  dx %016lx", r->ax, r->bx, r->cx,
		r->dx);
	log_printf(LOG_EMERG, "si %016lx  di %016lx  bp %016lx  orig_ax %lx", r->si, r->di, r->bp,
		r->orig_ax);
	log_printf(LOG_EMERG, "r8 %016lx  r9 %016lx r10 %016lx r11 %016lx", r->r8, r->r9, r->r10,
		r->r11);
	log_printf(LOG_EMERG, "r12 %016lx r13 %016lx r14 %016lx r15 %016lx", r->r12, r->r13, r->r14,
		r->r15);
}
