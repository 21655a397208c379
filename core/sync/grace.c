/*
 * Grace periods: quiescent-state based. Each CPU counts the moments at which it holds no read
 * section: switches, idle, return to user mode (core/sched and core/irq call grace_quiescent). A
 * period is over when every online CPU's counter has moved (one that idles is woken for that). A
 * worker thread collects deferred frees; batches, so its cost is spread.
 */
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/task.h>
#include <core/irq.h>

static struct spinlock grace_lock = SPINLOCK_INIT(LOCK_LEVEL_WAITABLE);
static struct grace_head *grace_pending guarded_by(&grace_lock);
static struct grace_head **grace_tail = &grace_pending;
static struct waitable grace_work;
static bool grace_ready;

void grace_defer(struct grace_head *h, enum grace_action action, void *object)
{
	word_t irq = spin_lock_irqsave(&grace_lock);

	h->next = nullptr;
	h->action = action;
	h->object = object;
	WRITE_ONCE(*grace_tail, h); /* the thread asks for the first without the lock */
	grace_tail = &h->next;
	spin_unlock_irqrestore(&grace_lock, irq);
	if (grace_ready)
		waitable_wake(&grace_work, EV_IN, 1);
}

/* Does CPU `cpu` still owe a quiescent state since `seen`? */
static bool grace_owes(u32 cpu, u64 seen)
{
	struct cpu *c = cpu_data[cpu];

	return shared_load_acquire(&c->quiescent) == seen;
}

void grace_wait(void)
{
	u64 seen[NR_CPUS_MAX];
	u64 mask = READ_ONCE(cpu_online_mask);

	/* What was taken out of reach is seen to be before the counts are read: the other half of
	 * what grace_quiescent asks for. */
	atomic32_exchange(&this_cpu()->grace_fence, 0);
	for_each_online_cpu(i) seen[i] = READ_ONCE(cpu_data[i]->quiescent);
	for (u32 round = 0;; round++) {
		bool owed = false;

		for (u32 i = 0; i < NR_CPUS_MAX; i++)
			if (mask >> i & 1 && i != arch_this_cpu() && grace_owes(i, seen[i]))
				owed = true;
		if (!owed)
			return;
		if (round > 2) /* a CPU that computes in the kernel or in user mode: make it pass
				  through its interrupt exit */
			arch_ipi_send(mask & ~(1ull << arch_this_cpu()), ARCH_IPI_RESCHEDULE);
		wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
			time_monotonic_ns() + NSEC_PER_MSEC, 0);
	}
}

static void grace_run(struct grace_head *h)
{
	switch (h->action) {
	case GRACE_SLAB_FREE:
	case GRACE_OBJECT_FREE:
		kfree(h->object);
		break;
	case GRACE_FRAME_FREE:
		frame_unpin(h->object);
		break;
	case GRACE_WAKE:
		waitable_wake(h->object, EV_ANY, 0);
		break;
	}
}

static void grace_thread(void *arg)
{
	for (;;) {
		struct grace_head *h;
		word_t irq;

		wait_event(&grace_work, EV_IN, READ_ONCE(grace_pending) != nullptr, 0);
		irq = spin_lock_irqsave(&grace_lock);
		h = grace_pending;
		grace_pending = nullptr;
		grace_tail = &grace_pending;
		spin_unlock_irqrestore(&grace_lock, irq);
		grace_wait();
		while (h) {
			struct grace_head *next = h->next;

			grace_run(h);
			h = next;
		}
	}
}

void grace_init(void)
{
	waitable_init(&grace_work);
	if (!task_kernel_thread(grace_thread, nullptr, "grace"))
		panic("no memory for the grace thread");
	grace_ready = true;
}
