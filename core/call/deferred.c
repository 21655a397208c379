/* Deferred calls: {slot, operation, object} queued from any context, run by core threads as records
 * of core's own. Theory in entry.c. */
#include <core/block.h>
#include <core/call.h>
#include <core/component.h>
#include <core/console.h>
#include <core/firmware.h>
#include <core/hwrng.h>
#include <core/log.h>
#include <core/task.h>
#include <core/tty.h>
#include <kabi/slots.h>
#include <kabi/tty.h>

static struct spinlock deferred_lock = SPINLOCK_INIT(LOCK_LEVEL_RUNQUEUE - 1);
static struct list_node deferred_list = LIST_INIT(deferred_list);
static struct waitable deferred_work, deferred_idle;
static struct deferred *deferred_running[NR_CPUS_MAX];
static bool deferred_ready;

void deferred_queue(struct deferred *d)
{
	word_t irq = spin_lock_irqsave(&deferred_lock);

	if (!d->queued) {
		d->queued = true;
		list_add_tail(&deferred_list, &d->link);
	}
	spin_unlock_irqrestore(&deferred_lock, irq);
	if (deferred_ready)
		waitable_wake(&deferred_work, EV_IN, 1);
}

static bool deferred_is_running(const struct deferred *d)
{
	for (u32 i = 0; i < ARRAY_SIZE(deferred_running); i++)
		if (READ_ONCE(deferred_running[i]) == d)
			return true;
	return false;
}

void deferred_cancel(struct deferred *d)
{
	word_t irq = spin_lock_irqsave(&deferred_lock);

	if (d->queued) {
		d->queued = false;
		list_del(&d->link);
	}
	spin_unlock_irqrestore(&deferred_lock, irq);
	wait_event(&deferred_idle, EV_ANY, !deferred_is_running(d), 0);
}

static void deferred_run(struct deferred *d)
{
	struct call c;
	answer_t a = 0;

	call_begin(&c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	switch (d->op) {
	case DEFERRED_TTY_INPUT:
		a = call_run(&c, tty_input(d->slot, &c, (struct tty *)d->object));
		break;
	case DEFERRED_TTY_OUTPUT:
		a = call_run(&c, tty_output_room(d->slot, &c, (struct tty *)d->object));
		break;
	case DEFERRED_TTY_HANGUP:
		a = call_run(&c, tty_hangup(d->slot, &c, (struct tty *)d->object));
		break;
	case DEFERRED_CONSOLE:
		console_drain(container_of(d->object, struct tty, obj));
		break;
	case DEFERRED_HWRNG:
		hwrng_request(container_of(d->object, struct component, obj));
		break;
	case DEFERRED_BLOCK_KICK:
		block_kick_deferred(d->object);
		break;
	case DEFERRED_INTERRUPT:
		component_interrupt(&c, d);
		break;
	case DEFERRED_FIRMWARE:
		firmware_interrupt(d);
		break;
	}
	call_end(&c);
	if (a < 0)
		log_debug("deferred call %u answered %ld\n", d->op, (long)a);
}

static void deferred_thread(void *arg)
{
	u32 me = (u32)(word_t)arg;

	for (;;) {
		struct deferred *d = nullptr;
		struct list_node *n;
		word_t irq;

		wait_event(&deferred_work, EV_IN, READ_ONCE(deferred_list.next) != &deferred_list,
			0);
		irq = spin_lock_irqsave(&deferred_lock);
		list_for_each (n, &deferred_list) {
			struct deferred *x = list_entry(n, struct deferred, link);

			if (deferred_is_running(x)) /* one at a time per object: it will be found
						       again */
				continue;
			d = x;
			list_del(&d->link);
			d->queued = false;
			deferred_running[me] = d;
			break;
		}
		spin_unlock_irqrestore(&deferred_lock, irq);
		if (!d) {
			sched_yield_current();
			continue;
		}
		deferred_run(d);
		WRITE_ONCE(deferred_running[me], nullptr);
		waitable_wake(&deferred_idle, EV_ANY, 0);
	}
}

void deferred_init(void)
{
	u32 nr = MIN(cpu_nr_present(), 4u);

	waitable_init(&deferred_work);
	waitable_init(&deferred_idle);
	for (u32 i = 0; i < MAX(nr, 2u); i++)
		if (!task_kernel_thread(deferred_thread, (void *)(word_t)i, "deferred"))
			panic("no memory for deferred threads");
	deferred_ready = true;
	waitable_wake(&deferred_work, EV_IN, 0);
}
