/* Locks, semaphores and time for ACPICA. Theory in acpi.c. */
#include "firmware_priv.h"
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/time.h>
#include <core/wait.h>

struct firmware_semaphore {
	struct spinlock lock;
	u32 units guarded_by(&lock);
	struct waitable free;
};
bool firmware_os_ready;
static u32 nr_locks;

/* --- spinlocks: ACPICA makes them outer first (utmutex.c: GPEs, hardware, references) --- */
acpi_status acpi_os_create_lock(acpi_spinlock *out)
{
	struct spinlock *l = kzalloc(sizeof(*l));

	if (!l)
		return AE_NO_MEMORY;
	spin_init(l, (enum lock_level)(LOCK_LEVEL_FIRMWARE +
				       MIN(nr_locks, LOCK_LEVEL_FIRMWARE_WORK -
							     LOCK_LEVEL_FIRMWARE - 1u)));
	nr_locks++;
	*out = l;
	return AE_OK;
}

void acpi_os_delete_lock(acpi_spinlock l)
{
	kfree(l);
}

/* WHY no analysis: the lock is held across this function's return, ACPICA's own calls pair it. */
acpi_cpu_flags acpi_os_acquire_lock(acpi_spinlock l) __no_lock_analysis
{
	return spin_lock_irqsave(l);
}

void acpi_os_release_lock(acpi_spinlock l, acpi_cpu_flags flags) __no_lock_analysis
{
	spin_unlock_irqrestore(l, flags);
}

/* --- semaphores; ACPICA's mutexes are semaphores of one unit. None before there are threads. ---
 */
acpi_status acpi_os_create_semaphore(u32 max_units, u32 initial_units, acpi_semaphore *out)
{
	struct firmware_semaphore *s = kzalloc(sizeof(*s));

	(void)max_units;
	if (!s)
		return AE_NO_MEMORY;
	spin_init(&s->lock, LOCK_LEVEL_FIRMWARE_WORK);
	spin_lock(&s->lock);
	s->units = initial_units;
	spin_unlock(&s->lock);
	waitable_init(&s->free);
	*out = s;
	return AE_OK;
}

acpi_status acpi_os_delete_semaphore(acpi_semaphore handle)
{
	kfree(handle);
	return AE_OK;
}

static bool take(struct firmware_semaphore *s, u32 units)
{
	word_t irq = spin_lock_irqsave(&s->lock);
	bool ok = s->units >= units;

	if (ok)
		s->units -= units;
	spin_unlock_irqrestore(&s->lock, irq);
	return ok;
}

acpi_status acpi_os_wait_semaphore(acpi_semaphore handle, u32 units, u16 timeout_ms)
{
	struct firmware_semaphore *s = handle;
	ktime_t deadline = KTIME_MAX;

	if (!s)
		return AE_OK; /* before acpi_initialize_subsystem has made them: nobody else is
				 there */
	if (timeout_ms != ACPI_WAIT_FOREVER)
		deadline = time_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;
	for (;;) {
		u32 seq = waitable_seq(&s->free);

		if (take(s, units))
			return AE_OK;
		if (!timeout_ms || wait_sleep(&s->free, EV_IN, seq, deadline, 0) == -ETIMEDOUT)
			return take(s, units) ? AE_OK : AE_TIME;
	}
}

acpi_status acpi_os_signal_semaphore(acpi_semaphore handle, u32 units)
{
	struct firmware_semaphore *s = handle;
	word_t irq;

	if (!s)
		return AE_OK;
	irq = spin_lock_irqsave(&s->lock);
	s->units += units;
	spin_unlock_irqrestore(&s->lock, irq);
	waitable_wake(&s->free, EV_IN, 0);
	return AE_OK;
}

/* --- the lock shared with firmware: bit 0 somebody waits, bit 1 owned (ACPI 6.5, 5.2.10.1) --- */
bool firmware_global_lock_acquire(u32 *word)
{
	u32 old = READ_ONCE(*word), new;

	do
		new = (old & ~3u) | 2 | (old >> 1 & 1);
	while (!shared_cas(word, &old, new));
	return !(old & 2);
}

bool firmware_global_lock_release(u32 *word)
{
	return shared_fetch_and(word, ~3u) & 1;
}

/* --- time --- */
void acpi_os_sleep(u64 milliseconds)
{
	ktime_t until =
		time_monotonic_ns() + (ktime_t)MIN(milliseconds, (u64)60000) * NSEC_PER_MSEC;

	do
		task_set_state(TASK_SLEEPING_UNINTERRUPTIBLE);
	while (!schedule_deadline(until) && time_monotonic_ns() < until);
}

void acpi_os_stall(u32 microseconds)
{
	ktime_t until = time_monotonic_ns() + (ktime_t)microseconds * NSEC_PER_USEC;

	while (time_monotonic_ns() < until)
		arch_cpu_relax();
}

/* In units of 100 ns. */
u64 acpi_os_get_timer(void)
{
	return firmware_os_ready ? (u64)time_monotonic_ns() / 100 : 0;
}

acpi_thread_id acpi_os_get_thread_id(void)
{
	return firmware_os_ready ? (word_t)current : 1;
}
