#pragma once
/*
 * The GS base is the address of this CPU's struct x86_cpu, which is core-private: entry from a
 * domain restores core's rights before the first GS access. Entry code knows the first offsets
 * (asm.h).
 */
#include <lib/types.h>

struct task;
struct cpu;
struct arch_space;
struct x86_trap_tables;

struct x86_cpu {
	struct task *task; /* arch_current() */
	word_t kernel_sp; /* where entry from user mode starts to push: 8 below the top of current's
			     stack */
	word_t user_sp;   /* of the system call entry */
	struct x86_cpu *self;
	u32 index;
	u32 preempt_count;
	struct cpu *data;          /* core's */
	struct arch_space *active; /* whose root is loaded; nullptr: the kernel's, since boot */
	struct task *fpu_owner;    /* whose FP state is in the registers */
	struct x86_trap_tables *tables; /* writable through the direct map */
	u32 apic_id;
	u32 online;  /* 1: reached core */
	u32 stopped; /* 1: the next NMI means halt */
} __aligned(128);

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

	__asm__("movq %%gs:%c1, %0" : "=r"(t) : "i"(offsetof(struct x86_cpu, task)));
	return t;
}

static inline struct cpu *arch_this_cpu_data(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(c) : "i"(offsetof(struct x86_cpu, data)));
	return c;
}

/* A GS-relative pointer: `++*arch_preempt_count_ptr()` is one instruction and cannot be torn by
 * migration. */
#define arch_preempt_count_ptr()                                                                   \
	((volatile u32 __attribute__((address_space(256))) *)offsetof(struct x86_cpu,              \
		preempt_count))

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
