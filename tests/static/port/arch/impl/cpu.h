#pragma once
#include <lib/types.h>

struct task;
struct cpu;

u32 arch_this_cpu(void);
struct task *arch_current(void);
struct cpu *arch_this_cpu_data(void);
u32 *arch_preempt_count_ptr(void);
void arch_irq_disable(void);
void arch_irq_enable(void);
word_t arch_irq_save(void);
void arch_irq_restore(word_t state);
bool arch_irq_enabled(void);
void arch_cpu_relax(void);
void arch_idle_wait(void);
u64 arch_cycles(void);
