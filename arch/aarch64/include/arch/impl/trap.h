#pragma once
#include <lib/types.h>

/* The frame that entry code leaves; its first 34 words are Linux's user_pt_regs, so ptrace and core
 * dumps copy them as they are. */
struct arch_regs {
	word_t x[31];
	word_t sp, pc, pstate;
	word_t orig_x0;
	word_t syscall; /* number, or ~0 when no system call is in progress */
};

/* What a program may have in PSTATE: N Z C V, DIT, SSBS, BTYPE, TCO (Arm ARM C5.2). */
#define A64_PSTATE_USER 0xf3001c00ul
#define A64_PSTATE_I    0x80ul
#define A64_SVC_BYTES   4u

static inline word_t arch_regs_pc(const struct arch_regs *r)
{
	return r->pc;
}
static inline word_t arch_regs_sp(const struct arch_regs *r)
{
	return r->sp;
}
static inline void arch_regs_set_pc(struct arch_regs *r, word_t pc)
{
	r->pc = pc;
}
static inline void arch_regs_set_sp(struct arch_regs *r, word_t sp)
{
	r->sp = sp;
}
static inline bool arch_regs_user_mode(const struct arch_regs *r)
{
	return !(r->pstate & 0xf);
}
static inline word_t arch_syscall_nr(const struct arch_regs *r)
{
	return r->syscall;
}
static inline word_t arch_syscall_arg(const struct arch_regs *r, unsigned int i)
{
	return i ? r->x[i] : r->orig_x0;
}
static inline void arch_syscall_set_return(struct arch_regs *r, word_t value)
{
	r->x[0] = value;
}
static inline word_t arch_syscall_return(const struct arch_regs *r)
{
	return r->x[0];
}
/* Interrupts were enabled where these registers are from. */
static inline bool arch_regs_irqs_on(const struct arch_regs *r)
{
	return !(r->pstate & A64_PSTATE_I);
}
/* From now on no call is in progress: its answer or restart is decided. */
static inline void arch_syscall_forget(struct arch_regs *r)
{
	r->syscall = ~0ul;
}
static inline void arch_syscall_restart(struct arch_regs *r)
{
	r->x[0] = r->orig_x0;
	r->pc -= A64_SVC_BYTES;
}
/* Goes on as restart_syscall(2), 128 in the generic table. */
static inline void arch_syscall_restart_block(struct arch_regs *r)
{
	r->x[8] = 128;
	arch_syscall_restart(r);
}
