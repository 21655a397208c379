/* futex_waitv(2) and the robust lists of dying threads (get_robust_list(2)). Theory: futex.c. */
#include "futex.h"

struct many {
	struct futex_waiter *waiters;
	u32 nr; /* queued */
};

static bool any_woken(const struct many *m, u32 *index)
{
	for (u32 i = 0; i < m->nr; i++)
		if (shared_load_acquire(&m->waiters[i].woken)) {
			*index = i;
			return true;
		}
	return false;
}

/* Takes all off; index of the last one that was woken, or -1. */
static s32 unqueue_all(struct many *m)
{
	s32 woken = -1;

	for (u32 i = 0; i < m->nr; i++)
		if (!futex_unqueue(&m->waiters[i]))
			woken = (s32)i;
	m->nr = 0;
	return woken;
}

/* Queues all; a word that differs: -EAGAIN, unless an earlier one was woken meanwhile. */
static int queue_all(const struct futex_wait_entry *e, const struct futex_key *keys, u32 nr,
	struct many *m)
{
	task_set_state(TASK_SLEEPING);
	for (u32 i = 0; i < nr; i++) {
		struct futex_bucket *b = futex_bucket_of(&keys[i]);
		u32 now;
		int error;

		spin_lock(&b->lock);
		error = futex_load(e[i].uaddr, &now);
		if (!error && now == e[i].value) {
			m->waiters[i].many = true;
			futex_queue(b, &m->waiters[i], &keys[i], ~0u);
			m->nr++;
		}
		spin_unlock(&b->lock);
		if (!error && now == e[i].value)
			continue;
		task_set_state(TASK_RUNNABLE);
		return error ? -EFAULT : -EAGAIN;
	}
	return 0;
}

static bool is_past(ktime_t deadline)
{
	return deadline != KTIME_MAX && time_monotonic_ns() >= deadline;
}

static void sleep_unless_woken(const struct many *m, ktime_t deadline)
{
	u32 index;

	if (!any_woken(m, &index) && !task_signal_pending(current) && !is_past(deadline))
		schedule_deadline(deadline);
	task_set_state(TASK_RUNNABLE);
}

static int fault_in_all(const struct futex_wait_entry *e, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		if (futex_fault_in(e[i].uaddr, false))
			return -EFAULT;
	return 0;
}

static sword_t wait_many(const struct futex_wait_entry *e, const struct futex_key *keys, u32 nr,
	struct many *m, ktime_t deadline)
{
	for (;;) {
		s32 woken;
		int error = queue_all(e, keys, nr, m);

		if (!error)
			sleep_unless_woken(m, deadline);
		woken = unqueue_all(m);
		if (woken >= 0)
			return woken;
		if (error == -EFAULT) {
			error = fault_in_all(e, nr);
			if (!error)
				continue;
		}
		if (error)
			return error;
		if (task_signal_pending(current))
			return -ERESTARTSYS;
		if (is_past(deadline))
			return -ETIMEDOUT;
	}
}

sword_t futex_waitv(const struct futex_wait_entry *e, u32 nr, ktime_t deadline)
{
	struct futex_waiter *waiters;
	struct futex_key *keys;
	struct many m;
	sword_t result = -ENOMEM;
	u32 got = 0;

	if (nr == 0 || nr > FUTEX_WAITV_MAX)
		return -EINVAL;
	waiters = kzalloc_wait(nr * sizeof(*waiters));
	keys = kzalloc_wait(nr * sizeof(*keys));
	m = (struct many){.waiters = waiters};
	if (waiters && keys) {
		result = 0;
		while (got < nr && !result) {
			result = futex_key_of(e[got].uaddr, e[got].shared, &keys[got]);
			if (!result)
				got++;
		}
	}
	if (!result)
		result = wait_many(e, keys, nr, &m, deadline);
	for (u32 i = 0; i < got; i++)
		futex_key_put(&keys[i]);
	kfree(waiters);
	kfree(keys);
	return result;
}

#define ROBUST_MAX 2048u

/* The owner of this word has died: says so, and wakes one that waits for it. */
static void owner_died(struct task *t, vaddr_t uaddr, bool pi, bool pending_op)
{
	u32 tid = (u32)task_pid_nr(t), word, seen;

	if (uaddr & 3 || ucopy_in(&word, uaddr, sizeof(word)))
		return;
	/* The unlocker was killed between storing 0 and its wake: a waiter could sleep for ever. */
	if (pending_op && !pi && word == 0) {
		futex_wake_user(uaddr, 1);
		return;
	}
	while ((word & FUTEX_TID_MASK) == tid) {
		int error;

		error = futex_cas(uaddr, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen);
		if (error) {
			if (futex_fault_in(uaddr, true))
				return;
			continue;
		}
		if (seen != word) {
			word = seen;
			continue;
		}
		if (pi)
			futex_pi_owner_died(uaddr, true);
		if (!pi && word & FUTEX_WAITERS)
			futex_wake_user(uaddr, 1);
		if (pi)
			futex_pi_owner_died(uaddr, false);
		return;
	}
}

/* struct robust_list_head: next, offset of the word, the lock in transition. Bit 0 of a pointer:
 * PI. */
void futex_exit_robust(struct task *t)
{
	struct {
		vaddr_t next;
		sword_t offset;
		vaddr_t pending;
	} head;
	vaddr_t at, next;

	if (!t->robust_list || !t->space)
		return;
	if (ucopy_in(&head, t->robust_list, sizeof(head)))
		return;
	at = head.next;
	for (u32 i = 0; i < ROBUST_MAX && (at & ~(vaddr_t)1) != t->robust_list; i++) {
		bool failed = ucopy_in(&next, at & ~(vaddr_t)1, sizeof(next));

		if ((at & ~(vaddr_t)1) != (head.pending & ~(vaddr_t)1))
			owner_died(t, (at & ~(vaddr_t)1) + (vaddr_t)head.offset, at & 1, false);
		if (failed)
			break;
		at = next;
		cond_resched();
	}
	if (head.pending)
		owner_died(t, (head.pending & ~(vaddr_t)1) + (vaddr_t)head.offset, head.pending & 1,
			true);
	t->robust_list = 0;
}
