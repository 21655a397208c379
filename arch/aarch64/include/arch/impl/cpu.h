#pragma once
/*
 * TPIDR_EL1 is the address of the running task's struct arch_task, which is core-private: entry
 * from a domain restores core's tables before the first use.
 */
#include <lib/types.h>
#include <arch/impl/context.h>

struct task;
struct cpu;
struct arch_space;

struct a64_cpu {
	u32 index;
	u32 online;                /* 1: reached core */
	struct cpu *data;          /* core's */
	struct arch_space *active; /* whose root is in TTBR0; nullptr: none */
	u64 mpidr;
	paddr_t redistributor_phys;
	volatile u8 *redistributor; /* RD_base; the SGI page is 64 KiB behind */
	u32 midr;
	u32 lpis; /* 1: this CPU can take messages */
} __aligned(128);

/* Not volatile: the same for all of a task's life, so it may be read once and kept. */
static inline struct arch_task *a64_task(void)
{
	struct arch_task *t;

	__asm__("mrs %0, tpidr_el1" : "=r"(t));
	return t;
}

static inline struct task *arch_current(void)
{
	return a64_task()->self;
}

/* volatile: a preempted caller may go on elsewhere */
static inline struct a64_cpu *a64_cpu(void)
{
	return *(struct a64_cpu *volatile *)&a64_task()->cpu;
}

static inline u32 arch_this_cpu(void)
{
	return a64_cpu()->index;
}

static inline struct cpu *arch_this_cpu_data(void)
{
	return *(struct cpu *volatile *)&a64_cpu()->data;
}

/* Of the task: it is never torn by migration, and arch_switch carries its value to the next task as
 * a count per CPU would be. */
#define arch_preempt_count_ptr() ((volatile u32 *)&a64_task()->preempt_count)

static inline void arch_irq_disable(void)
{
	__asm__ volatile("msr daifset, #3" ::: "memory");
}

static inline void arch_irq_enable(void)
{
	__asm__ volatile("msr daifclr, #3" ::: "memory");
}

static inline word_t a64_daif(void)
{
	word_t v;

	__asm__ volatile("mrs %0, daif" : "=r"(v)::"memory");
	return v;
}

#define A64_DAIF_I 0x80u

static inline word_t arch_irq_save(void)
{
	word_t state = a64_daif();

	arch_irq_disable();
	return state;
}

static inline void arch_irq_restore(word_t state)
{
	if (!(state & A64_DAIF_I))
		arch_irq_enable();
}

static inline bool arch_irq_enabled(void)
{
	return !(a64_daif() & A64_DAIF_I);
}

static inline void arch_cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* WFI ends with a pending interrupt, masked or not (Arm ARM D1.6.2), so none is lost between the
 * two. */
static inline void arch_idle_wait(void)
{
	__asm__ volatile("dsb sy; wfi; msr daifclr, #3" ::: "memory");
}

static inline u64 arch_cycles(void)
{
	u64 v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
}
