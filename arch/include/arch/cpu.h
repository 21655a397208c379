#pragma once
/*
 * CPU basics. Each port supplies arch/NAME/include/arch/impl/cpu.h with the inline functions marked
 * (inline) below, which this header includes at its end: a missing one does not compile.
 * Test: arch/test/cpu_test.c.
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define NR_CPUS_MAX 64

struct task;

/* (inline) arch_this_cpu(): index of this CPU; stable only while preemption or interrupts are off.
 */
/* (inline) arch_current(): the task running here. One load; valid in any context after boot. */
/* (inline) arch_preempt_count_ptr(): this CPU's preemption counter (u32). One instruction to
 * change. */
/* (inline) arch_irq_save(): disables interrupts, returns the previous state. */
/* (inline) arch_irq_restore(state). (inline) arch_irq_enabled(). arch_irq_enable().
 * arch_irq_disable(). */
/* (inline) arch_cpu_relax(): spin hint. */
/* (inline) arch_idle_wait(): called with interrupts off; enables them and waits for one, atomically
 * (sti;hlt / wfi); returns with interrupts enabled. */
/* (inline) arch_cycles(): free running cycle counter for statistics. */

/* Stops this CPU for ever, interrupts off. */
__noreturn void arch_halt(void);
/* Power off / reset the machine; return only if the machine has no way. Context: any, may spin. */
void arch_power_off(void);
void arch_reboot(void);
/* Writes to the earliest console there is (serial), a newline as carriage return and newline;
 * usable from the first instruction of C, any context. */
void arch_early_putc(char c);
/* Fills at most `nr` return addresses, from `fp` (0: caller's frame). Never faults. Returns how
 * many. */
u32 arch_backtrace(word_t fp, word_t *pc, u32 nr);
/* Number of CPUs found (present, startable), including this one. */
u32 arch_nr_cpus_present(void);
/* Starts CPU `cpu` (1..present-1), waits until it has reached core_secondary_main or 1 s passed.
 * Errors: -ETIMEDOUT, -EIO. Context: thread, boot CPU. `stack_top` is that CPU's idle stack. */
int arch_cpu_start(u32 cpu, struct task *idle, void *stack_top);
/* IPIs. `mask` is a bitmap of CPUs. arch calls core's irq_ipi(kind) on the target, interrupts off.
 */
enum arch_ipi { ARCH_IPI_RESCHEDULE, ARCH_IPI_CALL, ARCH_IPI_STOP };
void arch_ipi_send(u64 cpu_mask, enum arch_ipi kind);
/* Fills `buf` from the CPU's entropy source (RDRAND, RNDR); returns bytes written, may be 0. */
size_t arch_entropy(void *buf, size_t bytes);
/* Text for /proc/cpuinfo of one CPU; returns length that the whole text needs (as snprintf). */
int arch_cpuinfo(u32 cpu, char *buf, size_t size);

/* Per-CPU core data: one pointer kept by arch in a register (GS, TPIDR_EL1). core/cpu.h defines it.
 */
struct cpu;
/* (inline) arch_this_cpu_data(): struct cpu * of this CPU. */
/* Sets it, early on each CPU before any use of the inlines above. */
void arch_cpu_data_set(struct cpu *data);
/* The idle task that the boot CPU's first thread of control becomes. Other CPUs get theirs by
 * arch_cpu_start. Context: boot CPU, once. */
void arch_current_set(struct task *t);

#include <arch/impl/cpu.h>
