/*
 * The two threads that run AML: work that ACPICA queues (acpi_os_execute), and calls of core
 * (firmware_run). Theory in acpi.c.
 *
 * Byte code is input, and the interpreter is not written to stand hostile input: broken tables make
 * it follow null pointers. A fault in one of the two threads, with no lock held, ends ACPI instead
 * of the kernel: the thread stops where it stands, its memory and semaphores are lost, and nobody
 * calls the interpreter again.
 */
#include "firmware_priv.h"
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/wait.h>
#include <arch/trap.h>

struct firmware_work {
	struct list_node link;
	acpi_osd_exec_callback function;
	void *context;
};
struct firmware_call { /* on the caller's stack */
	struct list_node link;
	void (*function)(void *);
	void *context;
	bool done;
};

static struct spinlock work_lock = SPINLOCK_INIT(LOCK_LEVEL_FIRMWARE_WORK);
static struct list_node works guarded_by(&work_lock) = LIST_INIT(works);
static struct list_node calls guarded_by(&work_lock) = LIST_INIT(calls);
static u32 works_open guarded_by(&work_lock); /* queued or running */
static struct waitable queued, finished;
static struct task *work_task, *call_task;
static bool dead; /* READ_ONCE */

acpi_status acpi_os_execute(acpi_execute_type type, acpi_osd_exec_callback function, void *context)
{
	struct firmware_work *w = kzalloc(sizeof(*w));
	word_t irq;

	(void)type;
	if (!w)
		return AE_NO_MEMORY;
	list_init(&w->link);
	w->function = function;
	w->context = context;
	irq = spin_lock_irqsave(&work_lock);
	list_add_tail(&works, &w->link);
	works_open++;
	spin_unlock_irqrestore(&work_lock, irq);
	waitable_wake(&queued, EV_IN, 0);
	return AE_OK;
}

static struct firmware_work *work_next(void)
{
	word_t irq = spin_lock_irqsave(&work_lock);
	struct list_node *n = READ_ONCE(dead) ? nullptr : list_pop(&works);

	spin_unlock_irqrestore(&work_lock, irq);
	return n ? list_entry(n, struct firmware_work, link) : nullptr;
}

static struct firmware_call *call_next(void)
{
	word_t irq = spin_lock_irqsave(&work_lock);
	struct list_node *n = list_pop(&calls);

	spin_unlock_irqrestore(&work_lock, irq);
	return n ? list_entry(n, struct firmware_call, link) : nullptr;
}

static bool work_none(void)
{
	word_t irq = spin_lock_irqsave(&work_lock);
	bool none = !works_open;

	spin_unlock_irqrestore(&work_lock, irq);
	return none || READ_ONCE(dead);
}

static void work_thread(void *arg)
{
	struct firmware_work *w;
	word_t irq;

	(void)arg;
	for (;;) {
		wait_event(&queued, EV_IN, (w = work_next()), 0);
		w->function(w->context);
		kfree(w);
		irq = spin_lock_irqsave(&work_lock);
		works_open--;
		spin_unlock_irqrestore(&work_lock, irq);
		waitable_wake(&finished, EV_IN, 0);
	}
}

static void call_thread(void *arg)
{
	struct firmware_call *c;

	(void)arg;
	for (;;) {
		wait_event(&queued, EV_IN, (c = call_next()), 0);
		c->function(c->context);
		shared_store_release(&c->done, true); /* the caller may be gone after it */
		waitable_wake(&finished, EV_IN, 0);
	}
}

void acpi_os_wait_events_complete(void)
{
	wait_event(&finished, EV_IN, work_none(), 0);
}

bool firmware_run(void (*function)(void *), void *context)
{
	struct firmware_call c = {.function = function, .context = context};
	word_t irq;

	list_init(&c.link);
	if (!call_task || READ_ONCE(dead))
		return false;
	irq = spin_lock_irqsave(&work_lock);
	list_add_tail(&calls, &c.link);
	spin_unlock_irqrestore(&work_lock, irq);
	waitable_wake(&queued, EV_IN, 0);
	wait_event(&finished, EV_IN, shared_load_acquire(&c.done) || READ_ONCE(dead), 0);
	irq = spin_lock_irqsave(&work_lock);
	list_del(&c.link); /* not taken, when the thread has died before */
	spin_unlock_irqrestore(&work_lock, irq);
	return shared_load_acquire(&c.done);
}

void firmware_crashed(struct arch_regs *regs, const char *what, vaddr_t addr)
{
	const u8 *here = __builtin_frame_address(0);
	struct task *t = cpu_online_mask ? current : nullptr;

	if (!t || (t != work_task && t != call_task) || !arch_regs_irqs_on(regs) ||
		*arch_preempt_count_ptr() || here < (u8 *)t->stack ||
		here >= (u8 *)t->stack + KERNEL_STACK_BYTES)
		return;
	log_err("ACPI: %s at address %#lx while running the firmware's byte code: ACPI is off from "
		"now on\n",
		what, (unsigned long)addr);
	arch_regs_print(regs);
	WRITE_ONCE(dead, true);
	firmware_namespace_loaded = false;
	arch_irq_enable();
	waitable_wake(&finished, EV_IN, 0);
	for (;;) {
		task_set_state(TASK_SLEEPING);
		schedule();
	}
}

void firmware_os_start(void)
{
	waitable_init(&queued);
	waitable_init(&finished);
	work_task = task_kernel_thread(work_thread, nullptr, "acpi_work");
	call_task = task_kernel_thread(call_thread, nullptr, "acpi");
	if (!work_task || !call_task)
		panic("no memory for the threads of ACPI");
	firmware_os_ready = true;
}
