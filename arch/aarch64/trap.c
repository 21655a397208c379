/*
 * Traps.
 *
 * Purpose: from an exception with a saved frame to core's entry points (arch/trap.h), and the way
 * out of faults that a copy helper expected. Syndromes: Arm ARM D19.2, ESR_EL1.
 *
 * Vocabulary: user frame: at the top of the core stack; kernel frame: below the interrupted stack
 * pointer.
 *
 * Invariants: A64-T1 core sees a kernel-mode fault on a user address only when it was raised by an
 * instruction with an entry in .extable, all others are bugs and panic at once; A64-T2 FP registers
 * are not touched here.
 *
 * Locks: none. Failure: a kernel exception without fixup panics with its registers.
 *
 * Cost: an interrupt from user mode is about 60 instructions besides its handler.
 */
#include <core/cpu.h>
#include <core/log.h>
#include <core/task.h>
#include <arch/ucopy.h>
#include "asm.h"
#include "a64.h"

static_assert(offsetof(struct arch_task, self) == ARCH_SELF);
static_assert(offsetof(struct arch_task, stack_top) == ARCH_STACK_TOP);
static_assert(offsetof(struct arch_task, cpu) == ARCH_CPU);
static_assert(offsetof(struct a64_cpu, index) == 0);
static_assert(offsetof(struct task, work) == TASK_WORK);
static_assert(offsetof(struct arch_regs, sp) == REGS_SP);
static_assert(offsetof(struct arch_regs, pc) == REGS_PC);
static_assert(offsetof(struct arch_regs, pstate) == REGS_PSTATE);
static_assert(offsetof(struct arch_regs, orig_x0) == REGS_ORIG_X0);
static_assert(offsetof(struct arch_regs, syscall) == REGS_SYSCALL);
static_assert(sizeof(struct arch_regs) == REGS_BYTES);
static_assert(KERNEL_STACK_BYTES == STACK_BYTES);
static_assert(A64_IMAGE_BASE == A64_IMAGE_LINK);

enum a64_class : u32 {
	CLASS_UNKNOWN = 0x00,
	CLASS_BTI = 0x0d,
	CLASS_ILLEGAL = 0x0e,
	CLASS_SYSREG = 0x18,
	CLASS_FPAC = 0x1c,
	CLASS_FETCH_USER = 0x20,
	CLASS_FETCH = 0x21,
	CLASS_PC_ALIGN = 0x22,
	CLASS_DATA_USER = 0x24,
	CLASS_DATA = 0x25,
	CLASS_SP_ALIGN = 0x26,
	CLASS_FP = 0x2c,
	CLASS_BREAKPOINT_USER = 0x30,
	CLASS_STEP_USER = 0x32,
	CLASS_WATCHPOINT_USER = 0x34,
	CLASS_BRK = 0x3c,
};
#define ESR_CLASS(esr)     ((u32)((esr) >> 26 & 0x3f))
#define ESR_STATUS(esr)    ((u32)(esr) & 0x3f)
#define ESR_WRITE          (1u << 6)
#define ESR_CACHE          (1u << 8)

/* Fault status codes; the two low bits of the first three are the level. */
#define STATUS_TRANSLATION 0x04u
#define STATUS_ACCESS      0x08u
#define STATUS_PERMISSION  0x0cu
#define STATUS_ALIGNMENT   0x21u

void a64_trap_user(struct arch_regs *regs, u64 esr, u64 far);
void a64_trap_kernel(struct arch_regs *regs, u64 esr, u64 far);
void a64_error(struct arch_regs *regs, u64 esr);
void a64_fiq(struct arch_regs *regs);
void a64_stack_gone(struct arch_regs *regs, u64 esr, u64 far);

struct a64_extable_entry {
	s32 at;
	s32 fixup;
};
extern const struct a64_extable_entry a64_extable_begin[], a64_extable_end[];

static const struct a64_extable_entry *a64_extable_find(word_t pc)
{
	const struct a64_extable_entry *e;

	for (e = a64_extable_begin; e < a64_extable_end; e++)
		if ((word_t)&e->at + (word_t)(sword_t)e->at == pc)
			return e;
	return nullptr;
}

static bool a64_fixup(struct arch_regs *regs)
{
	const struct a64_extable_entry *e = a64_extable_find(regs->pc);

	if (!e)
		return false;
	regs->pc = (word_t)&e->fixup + (word_t)(sword_t)e->fixup;
	return true;
}

struct arch_regs *arch_task_regs(const struct task *t)
{
	return (struct arch_regs *)(t->arch.stack_top - REGS_BYTES);
}

/* The tag byte of a user address is ignored by the CPU (TBI0), and by core. */
static vaddr_t a64_untag(u64 far)
{
	return far >> 55 & 1 ? far : far & 0x00ffffffffffffffull;
}

static bool a64_is_page_fault(u64 esr)
{
	u32 kind = ESR_STATUS(esr) & ~3u;

	return kind == STATUS_TRANSLATION || kind == STATUS_ACCESS || kind == STATUS_PERMISSION;
}

static enum trap_access a64_access(u64 esr)
{
	u32 class = ESR_CLASS(esr);

	if (class == CLASS_FETCH || class == CLASS_FETCH_USER)
		return TRAP_EXEC;
	/* cache maintenance is reported as a write, but needs the right to read only */
	return (esr & ESR_WRITE) && !(esr & ESR_CACHE) ? TRAP_WRITE : TRAP_READ;
}

/* Access flag and dirty state, where the CPU leaves them to us (mmu.c). Interrupts off. */
static bool a64_soft_fault(u64 esr, vaddr_t addr)
{
	u32 kind = ESR_STATUS(esr) & ~3u;
	bool write = a64_access(esr) == TRAP_WRITE;

	return (kind == STATUS_ACCESS || (kind == STATUS_PERMISSION && write)) &&
	       a64_soft_update(addr, write);
}

static void a64_abort_user(struct arch_regs *regs, u64 esr, vaddr_t addr)
{
	if (a64_is_page_fault(esr))
		trap_page_fault(regs, addr, a64_access(esr), true,
			(ESR_STATUS(esr) & ~3u) == STATUS_PERMISSION);
	else if (ESR_STATUS(esr) == STATUS_ALIGNMENT)
		trap_user_exception(regs, SIGBUS, 1, addr); /* BUS_ADRALN */
	else if (ESR_STATUS(esr) < STATUS_TRANSLATION)
		trap_user_exception(regs, SIGSEGV, 1, addr); /* address size: no such address */
	else
		trap_user_exception(regs, SIGBUS, 3, addr); /* BUS_OBJERR */
}

/*
 * Programs read identification registers and get what they may know (Linux:
 * Documentation/arch/arm64/cpu-feature-registers.rst). MRS Xt, S3_0_C0_CRm_op2.
 */
static bool a64_emulate_mrs(struct arch_regs *regs)
{
	u32 insn, rt;
	u64 value;

	if (arch_copy_from_user(&insn, (const void __user *)regs->pc, sizeof(insn)))
		return false;
	if ((insn & 0xfffff000u) != 0xd5380000u ||
		!a64_id_register(insn >> 8 & 15, insn >> 5 & 7, &value))
		return false;
	rt = insn & 31;
	if (rt < 31)
		regs->x[rt] = value;
	regs->pc += 4;
	return true;
}

static int a64_fp_code(u64 esr)
{
	if (!(esr >> 23 & 1))
		return 14; /* FPE_FLTUNK */
	if (esr & 1)
		return 7; /* FPE_FLTINV */
	if (esr & 2)
		return 3; /* FPE_FLTDIV */
	if (esr & 4)
		return 4; /* FPE_FLTOVF */
	if (esr & 8)
		return 5; /* FPE_FLTUND */
	return esr & 16 ? 6 /* FPE_FLTRES */ : 14;
}

/* Linux 6.12 sends these numbers and codes (tests/abi compares). */
static void a64_exception_user(struct arch_regs *regs, u64 esr, vaddr_t addr)
{
	switch (ESR_CLASS(esr)) {
	case CLASS_UNKNOWN:
	case CLASS_SYSREG:
		if (!a64_emulate_mrs(regs))
			trap_user_exception(regs, SIGILL, 1, regs->pc); /* ILL_ILLOPC */
		break;
	case CLASS_FPAC:
		trap_user_exception(regs, SIGILL, 2, regs->pc); /* ILL_ILLOPN */
		break;
	case CLASS_FETCH_USER:
	case CLASS_DATA_USER:
		a64_abort_user(regs, esr, addr);
		break;
	case CLASS_PC_ALIGN:
	case CLASS_SP_ALIGN:
		trap_user_exception(regs, SIGBUS, 1,
			ESR_CLASS(esr) == CLASS_PC_ALIGN ? addr : regs->sp);
		break;
	case CLASS_FP:
		trap_user_exception(regs, SIGFPE, a64_fp_code(esr), regs->pc);
		break;
	case CLASS_BREAKPOINT_USER:
	case CLASS_WATCHPOINT_USER:
		trap_user_exception(regs, SIGTRAP, 4, regs->pc); /* TRAP_HWBKPT */
		break;
	case CLASS_STEP_USER:
		trap_user_exception(regs, SIGTRAP, 2, regs->pc); /* TRAP_TRACE */
		break;
	case CLASS_BRK:
		trap_user_exception(regs, SIGTRAP, 1, regs->pc); /* TRAP_BRKPT */
		break;
	default: /* illegal state, branch target, instructions of features that are off */
		trap_user_exception(regs, SIGILL, 1, regs->pc);
		break;
	}
}

/* Context: from EL0, interrupts off, on the task's core stack. Returns with interrupts off. */
void a64_trap_user(struct arch_regs *regs, u64 esr, u64 far)
{
	u32 class = ESR_CLASS(esr);

	if ((class == CLASS_DATA_USER || class == CLASS_FETCH_USER) &&
		a64_soft_fault(esr, a64_untag(far)))
		return;
	arch_irq_enable();
	a64_exception_user(regs, esr, a64_untag(far));
	arch_irq_disable();
}

static void a64_abort_kernel(struct arch_regs *regs, u64 esr, vaddr_t addr)
{
	bool expected = a64_extable_find(regs->pc),
	     present = (ESR_STATUS(esr) & ~3u) == STATUS_PERMISSION;
	const char *what = "page fault";

#if UMKA_ASAN
	if (!present && a64_shadow_fault(addr))
		return;
#endif
	if (addr < USER_ADDR_END && !expected)
		trap_kernel_exception(regs, "access to a user address outside the copy helpers",
			esr, addr);
	if (a64_soft_fault(esr, addr))
		return;
	arch_irq_restore(regs->pstate);
	if (a64_is_page_fault(esr) &&
		trap_page_fault(regs, addr, a64_access(esr), false, present)) {
		arch_irq_disable();
		return;
	}
	arch_irq_disable();
	if (a64_fixup(regs))
		return;
	if (addr < PAGE_BYTES)
		what = "null pointer";
	else if (ESR_CLASS(esr) == CLASS_FETCH)
		what = "execution of data";
	else if (!a64_is_page_fault(esr))
		what = "abort";
	trap_kernel_exception(regs, what, esr, addr);
}

/* Clang's traps: BRK with 0x8000 + registers (KCFI), 0x5500 + check (-fsanitize-trap), 1
 * (__builtin_trap). */
static __noreturn void a64_brk(struct arch_regs *regs, u32 comment)
{
	const char *what = "trap instruction (check failed)";

	if ((comment & 0xfc00) == 0x8000)
		what = "indirect call of a function of another type";
	else if ((comment & 0xff00) == 0x5500)
		what = "sanitizer trap";
	trap_kernel_exception(regs, what, comment, regs->pc);
}

/* Context: from EL1, interrupts off, below the interrupted frame. */
void a64_trap_kernel(struct arch_regs *regs, u64 esr, u64 far)
{
	switch (ESR_CLASS(esr)) {
	case CLASS_DATA:
	case CLASS_FETCH:
		a64_abort_kernel(regs, esr, a64_untag(far));
		break;
	case CLASS_BRK:
		a64_brk(regs, (u32)esr & 0xffff);
	case CLASS_UNKNOWN:
		trap_kernel_exception(regs, "undefined instruction", esr, regs->pc);
	case CLASS_PC_ALIGN:
	case CLASS_SP_ALIGN:
		trap_kernel_exception(regs, "misaligned pc or sp", esr, far);
	default:
		trap_kernel_exception(regs, "unexpected exception", esr, regs->pc);
	}
}

void a64_error(struct arch_regs *regs, u64 esr)
{
	trap_kernel_exception(regs, "system error", esr, 0);
}

void a64_fiq(struct arch_regs *regs)
{
	trap_kernel_exception(regs, "FIQ, which nothing uses", 0, 0);
}

void a64_stack_gone(struct arch_regs *regs, u64 esr, u64 far)
{
	trap_kernel_exception(regs, "core stack overflow", esr, far);
}

void arch_regs_print(const struct arch_regs *r)
{
	log_printf(LOG_EMERG, "pc %016lx  sp %016lx  pstate %08lx  lr %016lx\n", r->pc, r->sp,
		r->pstate, r->x[30]);
	for (u32 i = 0; i < 28; i += 4)
		log_printf(LOG_EMERG, "x%-2u %016lx %016lx %016lx %016lx\n", i, r->x[i],
			r->x[i + 1], r->x[i + 2], r->x[i + 3]);
	log_printf(LOG_EMERG, "x28 %016lx fp  %016lx\n", r->x[28], r->x[29]);
}
