#pragma once
/*
 * Per-CPU state that entry code and the inlines reach through the GS base. It is core-private: entry
 * from a domain restores core's rights before the first GS access. Offsets are asserted in entry.S's
 * generated constants (asm_offsets.h).
 */
#include <lib/types.h>

struct task;
struct cpu;
struct x86_trap_area;

struct x86_cpu {
	struct x86_cpu *self;
	struct task *current;
	struct cpu *data;
	u32 index;
	u32 preempt_count;
	word_t kernel_sp;  /* end of the current task's user frame: where entry starts to push */
	word_t user_sp;	   /* scratch of the system call entry */
	struct task *fpu_owner; /* whose FP state is in the registers */
	struct x86_trap_area *trap;
	u32 apic_id;
	u32 online;
	u64 stopped;
} __aligned(128);

#define X86_GS ((struct x86_cpu __attribute__((address_space(256))) *)0)

/* volatile: a preempted caller may go on elsewhere */
static inline u32 arch_this_cpu(void)
{
	u32 v;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(v) : "i"(offsetof(struct x86_cpu, index)));
	return v;
}

/* Not volatile: the same for all of a task's life, so it may be read once and kept. */
static inline struct task *arch_current(void)
{
	struct task *t;

	__asm__("movq %%gs:%c1, %0" : "=r"(t) : "i"(offsetof(struct x86_cpu, current)));
	return t;
}

static inline struct cpu *arch_this_cpu_data(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(c) : "i"(offsetof(struct x86_cpu, data)));
	return c;
}

static inline struct x86_cpu *x86_this_cpu(void)
{
	struct x86_cpu *c;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(c) : "i"(offsetof(struct x86_cpu, self)));
	return c;
}

/* A GS-relative pointer: `++*arch_preempt_count_ptr()` is one instruction and cannot be torn by migration. */
#define arch_preempt_count_ptr() (&((volatile struct x86_cpu __attribute__((address_space(256))) *)0)->preempt_count)

static inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline word_t x86_flags(void)
{
	word_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
	return flags;
}

#define X86_FLAGS_IF 0x200u

static inline word_t arch_irq_save(void)
{
	word_t flags = x86_flags();

	arch_irq_disable();
	return flags;
}

static inline void arch_irq_restore(word_t state)
{
	if (state & X86_FLAGS_IF)
		arch_irq_enable();
}

static inline bool arch_irq_enabled(void)
{
	return x86_flags() & X86_FLAGS_IF;
}

static inline void arch_cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/* SDM volume 2, STI: interrupts open only after the following instruction. */
static inline void arch_idle_wait(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

static inline u64 arch_cycles(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return lo | (u64)hi << 32;
}
