#pragma once
#include <lib/types.h>

struct arch_regs {
	word_t gpr[32];
	word_t pc;
};

word_t arch_regs_pc(const struct arch_regs *r);
word_t arch_regs_sp(const struct arch_regs *r);
void arch_regs_set_pc(struct arch_regs *r, word_t pc);
void arch_regs_set_sp(struct arch_regs *r, word_t sp);
bool arch_regs_user_mode(const struct arch_regs *r);
word_t arch_syscall_nr(const struct arch_regs *r);
word_t arch_syscall_arg(const struct arch_regs *r, unsigned int i);
void arch_syscall_set_return(struct arch_regs *r, word_t value);
word_t arch_syscall_return(const struct arch_regs *r);
void arch_syscall_forget(struct arch_regs *r);
void arch_syscall_restart(struct arch_regs *r);
void arch_syscall_restart_block(struct arch_regs *r);
