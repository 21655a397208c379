/*
 * Clocks. One counter (arch_time_now_ns: monotonic since boot, the same on all CPUs); the wall
 * clock is an offset to it, so setting it changes one word. Suspend does not exist yet, hence
 * boottime = monotonic. The time namespace's offsets are applied here, where programs' clock ids
 * are understood.
 */
#include <core/lock.h>
#include <core/task.h>
#include <lib/errno.h>
#include <arch/time.h>
#include "time_internal.h"

struct waitable time_wall_changed;
static struct spinlock wall_lock = SPINLOCK_INIT(LOCK_LEVEL_TIMER);
static ktime_t
	wall_offset_ns; /* written under wall_lock; one word on 64-bit, read twice elsewhere */

ktime_t time_wall_offset_ns(void)
{
	ktime_t a = READ_ONCE(wall_offset_ns), b;

	while ((b = READ_ONCE(wall_offset_ns)) != a)
		a = b;
	return a;
}

ktime_t time_realtime_ns(void)
{
	return time_monotonic_ns() + time_wall_offset_ns();
}

ktime_t time_boottime_ns(void)
{
	return time_monotonic_ns();
}

void time_set_realtime(ktime_t ns)
{
	word_t irq = spin_lock_irqsave(&wall_lock);

	WRITE_ONCE(wall_offset_ns, ns - time_monotonic_ns());
	vdso_update();
	spin_unlock_irqrestore(&wall_lock, irq);
	waitable_wake(&time_wall_changed, EV_IN, 0);
}

void time_init(void)
{
	s64 seconds = arch_wall_clock_seconds();

	waitable_init(&time_wall_changed);
	time_init_cpu(arch_this_cpu());
	if (seconds > 0)
		wall_offset_ns = seconds * NSEC_PER_SEC - time_monotonic_ns();
	vdso_init();
}

static const struct time_ns *offsets(void)
{
	const struct context *c = current->context;

	return c ? c->time_ns : nullptr;
}

static ktime_t monotonic_offset(void)
{
	const struct time_ns *ns = offsets();

	return ns ? ns->monotonic_offset_ns : 0;
}

static ktime_t boottime_offset(void)
{
	const struct time_ns *ns = offsets();

	return ns ? ns->boottime_offset_ns : 0;
}

/* Negative ids: ~pid << 3 | 4 for one thread | 2 (clock_getcpuclockid(3); 0 and 1 are the profile
 * and virtual variants). */
#define CPU_CLOCK_THREAD   4
#define CPU_CLOCK_KIND(id) ((id) & 3)

static int cpu_clock_get(s32 clock, ktime_t *out)
{
	s32 number = ~(clock >> 3);
	struct rusage_counts self, children;
	struct task *t;

	if (CPU_CLOCK_KIND(clock) == 3)
		return -EINVAL;
	if (number == 0) {
		t = current;
		object_get(&t->obj);
	} else {
		t = task_find(current->context->pid_ns, number);
		if (!t)
			return -EINVAL;
	}
	if (clock & CPU_CLOCK_THREAD) {
		if (t->group != current->group) {
			object_put(&t->obj);
			return -EINVAL;
		}
		self = (struct rusage_counts){};
		task_usage(t, &self);
	} else {
		if (t->group->leader != t && number != 0) {
			object_put(&t->obj);
			return -EINVAL;
		}
		group_usage(t->group, &self, &children);
	}
	object_put(&t->obj);
	switch (CPU_CLOCK_KIND(clock)) {
	case 1:
		*out = (ktime_t)self.user_ns;
		break;
	default:
		*out = (ktime_t)(self.user_ns + self.system_ns);
		break;
	}
	return 0;
}

int time_clock_get(s32 clock, ktime_t *out)
{
	if (clock < 0)
		return cpu_clock_get(clock, out);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: /* the offset to UTC is 0 until somebody sets it, as on Linux */
		*out = time_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		*out = time_monotonic_ns() + monotonic_offset();
		return 0;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*out = time_boottime_ns() + boottime_offset();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		return cpu_clock_get(-6 /* ~0 << 3 | 2: this process */, out);
	case CLOCK_THREAD_CPUTIME_ID:
		*out = (ktime_t)sched_task_runtime_ns(current);
		return 0;
	default:
		return -EINVAL;
	}
}

int time_clock_getres(s32 clock, ktime_t *out)
{
	ktime_t now;

	switch (clock) {
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		*out = 4000000; /* Linux at 250 Hz; ours are precise, but programs compare */
		return 0;
	default:
		*out = 1;
		return time_clock_get(clock, &now);
	}
}

int time_clock_set(s32 clock, ktime_t ns)
{
	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (!context_capable(current->context, CAP_SYS_TIME))
		return -EPERM;
	if (ns < 0)
		return -EINVAL;
	time_set_realtime(ns);
	return 0;
}

static ktime_t saturating_add(ktime_t a, ktime_t b)
{
	ktime_t sum;

	if (!checked_add(a, b, &sum))
		return b > 0 ? KTIME_MAX - 1 : 0;
	return MIN(sum, KTIME_MAX - 1);
}

bool time_clock_deadline(s32 clock, bool absolute, ktime_t ns, ktime_t *monotonic_ns)
{
	ktime_t offset;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		offset = time_wall_offset_ns();
		break;
	case CLOCK_MONOTONIC:
		offset = monotonic_offset();
		break;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		offset = boottime_offset();
		break;
	default:
		return false;
	}
	*monotonic_ns =
		absolute ? saturating_add(ns, -offset) : saturating_add(time_monotonic_ns(), ns);
	return true;
}
