#pragma once
#include <lib/types.h>

/*
 * The frame that entry code leaves; the order is also that of Linux's user_regs_struct, so ptrace
 * and core dumps copy it as it is.
 */
struct arch_regs {
	word_t r15, r14, r13, r12, bp, bx;
	word_t r11, r10, r9, r8, ax, cx, dx, si, di;
	word_t orig_ax; /* system call number, or ~0 when the entry was no system call */
	word_t ip, cs, flags, sp, ss;
};

#define X86_KERNEL_CS  0x10
#define X86_KERNEL_SS  0x18
#define X86_USER_SS    0x2b
#define X86_USER_CS    0x33

/* Flags that a program may set for itself (SDM volume 1, 3.4.3): status flags, TF, DF, RF, AC, ID.
 */
#define X86_FLAGS_USER 0x00250dd5ul
#define X86_FLAGS_TF   0x00000100ul
#define X86_FLAGS_RF   0x00010000ul

static inline word_t arch_regs_pc(const struct arch_regs *r)
{
	return r->ip;
}
static inline word_t arch_regs_sp(const struct arch_regs *r)
{
	return r->sp;
}
static inline void arch_regs_set_pc(struct arch_regs *r, word_t pc)
{
	r->ip = pc;
}
static inline void arch_regs_set_sp(struct arch_regs *r, word_t sp)
{
	r->sp = sp;
}
static inline bool arch_regs_user_mode(const struct arch_regs *r)
{
	return r->cs & 3;
}
static inline word_t arch_syscall_nr(const struct arch_regs *r)
{
	return r->orig_ax;
}
static inline word_t arch_syscall_arg(const struct arch_regs *r, unsigned int i)
{
	switch (i) {
	case 0:
		return r->di;
	case 1:
		return r->si;
	case 2:
		return r->dx;
	case 3:
		return r->r10;
	case 4:
		return r->r8;
	default:
		return r->r9;
	}
}
static inline void arch_syscall_set_return(struct arch_regs *r, word_t value)
{
	r->ax = value;
}
static inline word_t arch_syscall_return(const struct arch_regs *r)
{
	return r->ax;
}
/* Interrupts were enabled where these registers are from. */
static inline bool arch_regs_irqs_on(const struct arch_regs *r)
{
	return r->flags & 0x200;
}
/* From now on no call is in progress: its answer or restart is decided. */
static inline void arch_syscall_forget(struct arch_regs *r)
{
	r->orig_ax = ~0ul;
}
/* The SYSCALL instruction is two bytes; the arguments are still in their registers. */
static inline void arch_syscall_restart(struct arch_regs *r)
{
	r->ax = r->orig_ax;
	r->ip -= 2;
}
/* Goes on as restart_syscall(2), 219 in this port's table. */
static inline void arch_syscall_restart_block(struct arch_regs *r)
{
	r->ax = 219;
	r->ip -= 2;
}
/* For rt_sigreturn and ptrace: what a program asks for, made safe. */
static inline void x86_regs_set_flags(struct arch_regs *r, word_t flags)
{
	r->flags = (r->flags & ~X86_FLAGS_USER) | (flags & X86_FLAGS_USER);
}
