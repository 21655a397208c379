#pragma once
/*
 * A CPU is a thread of the process; its data is found by a thread-local of os.c. WHY by a call: a
 * fiber may go on in another thread, and compilers keep the address of a thread-local over calls.
 */
#include <lib/types.h>

struct task;
struct cpu;
struct arch_space;

struct host_cpu {
	struct task *task;
	struct cpu *data;
	u32 index;
	u32 preempt_count;
	u32 irq_off; /* interrupts are masked */
	u32 nr_ticks;
	u64 random;                 /* state of its generator */
	struct arch_space *active;  /* user space that is current here */
	struct arch_space *walking; /* space whose tables a user copy uses at the moment: read by
				       flushes of other CPUs */
} __aligned(128);

struct host_cpu *host_cpu(void);
/* Opens interrupts and takes those that wait; closes them again for the time of a handler. irq.c */
void host_irq_open(void);
void host_relax(void);
void host_idle_wait(void);
u64 host_cycles(void);

static inline u32 arch_this_cpu(void)
{
	return host_cpu()->index;
}
static inline struct task *arch_current(void)
{
	return host_cpu()->task;
}
static inline struct cpu *arch_this_cpu_data(void)
{
	return host_cpu()->data;
}
#define arch_preempt_count_ptr() (&host_cpu()->preempt_count)

static inline void arch_irq_disable(void)
{
	host_cpu()->irq_off = 1;
}
static inline void arch_irq_enable(void)
{
	host_irq_open();
}
static inline word_t arch_irq_save(void)
{
	struct host_cpu *c = host_cpu();
	word_t off = c->irq_off;

	c->irq_off = 1;
	return off;
}
static inline void arch_irq_restore(word_t state)
{
	if (!state)
		host_irq_open();
}
static inline bool arch_irq_enabled(void)
{
	return !host_cpu()->irq_off;
}
static inline void arch_cpu_relax(void)
{
	host_relax();
}
static inline void arch_idle_wait(void)
{
	host_idle_wait();
}
static inline u64 arch_cycles(void)
{
	return host_cycles();
}
