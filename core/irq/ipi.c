/* Cross calls: a closed set of operations that other CPUs run in interrupt context. Theory in
 * irq.c. */
#include <core/irq.h>
#include <core/lock.h>
#include <core/log.h>
#include <arch/mmu.h>
#include <arch/trap.h>

/* One request at a time: cross calls are rare, and waiting for the lock keeps answering others'
 * requests (see below). */
static struct spinlock call_lock = SPINLOCK_INIT(LOCK_LEVEL_NONE);
static enum irq_call call_op;
static void *call_arg;
static atomic32_t call_pending[NR_CPUS_MAX];

static void call_execute(void)
{
	if (!atomic32_load_acquire(&call_pending[arch_this_cpu()]))
		return;
	switch (call_op) {
	case IRQ_CALL_FLUSH: /* ports flush by their own IPIs; here only full serialisation is meant
			      */
	case IRQ_CALL_MEMBARRIER:
	case IRQ_CALL_GRACE:
		/* The interrupt itself is the barrier (membarrier(2),
		 * MEMBARRIER_CMD_PRIVATE_EXPEDITED). */
		break;
	}
	atomic32_store_release(&call_pending[arch_this_cpu()], 0);
}

void irq_call_cpus(u64 mask, enum irq_call op, void *arg)
{
	u64 others;

	preempt_disable();
	others = mask & READ_ONCE(cpu_online_mask) & ~(1ull << arch_this_cpu());
	while (!spin_trylock(&call_lock))
		call_execute();
	call_op = op;
	call_arg = arg;
	for (u32 i = 0; i < NR_CPUS_MAX; i++)
		if (others >> i & 1)
			atomic32_store_seq(&call_pending[i], 1);
	if (others)
		arch_ipi_send(others, ARCH_IPI_CALL);
	for (u32 i = 0; i < NR_CPUS_MAX; i++)
		while (others >> i & 1 && atomic32_load_acquire(&call_pending[i]))
			arch_cpu_relax();
	spin_unlock(&call_lock);
	preempt_enable();
}

void irq_ipi(u32 kind)
{
	u32 locks;

	switch ((enum arch_ipi)kind) {
	case ARCH_IPI_RESCHEDULE: /* the sender set need_resched; the interrupt's exit looks at it
				   */
		if (*arch_preempt_count_ptr() == 0) /* what was interrupted is in no read section: a
						       user loop owes nothing */
			grace_quiescent_fenced();
		break;
	case ARCH_IPI_CALL:
		locks = lock_debug_interrupt_begin();
		call_execute();
		lock_debug_interrupt_end(locks);
		break;
	case ARCH_IPI_STOP:
		arch_halt();
	}
}
