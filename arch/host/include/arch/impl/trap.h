#pragma once
#include <lib/types.h>

/*
 * There is no user mode: what a system call would find in registers, for code of host tests that
 * makes one (user.c). pc is a function of the process, or one of these.
 */
struct arch_regs {
	word_t nr; /* ~0: no call in progress */
	word_t arg[6];
	word_t result;
	word_t pc, sp;
	word_t child_pc, child_arg; /* where a child goes on */
	word_t signo;
};
#define HOST_PC_GO_ON   0 /* behind the call */
#define HOST_PC_AGAIN   1 /* at the call */
#define HOST_PC_RESTART 2 /* at a call of restart_syscall(2) */

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
	return true; /* frames exist for user mode only */
}
static inline word_t arch_syscall_nr(const struct arch_regs *r)
{
	return r->nr;
}
static inline word_t arch_syscall_arg(const struct arch_regs *r, unsigned int i)
{
	return r->arg[i];
}
static inline void arch_syscall_set_return(struct arch_regs *r, word_t value)
{
	r->result = value;
}
static inline word_t arch_syscall_return(const struct arch_regs *r)
{
	return r->result;
}
static inline void arch_syscall_forget(struct arch_regs *r)
{
	r->nr = ~(word_t)0;
}
static inline void arch_syscall_restart(struct arch_regs *r)
{
	r->pc = HOST_PC_AGAIN;
}
static inline void arch_syscall_restart_block(struct arch_regs *r)
{
	r->pc = HOST_PC_RESTART;
}
