/*
 * PI futexes: the word holds the owner's thread id; waiters queue in order of priority (realtime),
 * then arrival, and the unlocker hands the word to the first. Theory and limits: futex.c.
 */
#include "futex.h"

static bool same(const struct futex_key *a, const struct futex_key *b)
{
	return a->a == b->a && a->b == b->b && a->shared == b->shared;
}

static u32 rank(const struct task *t)
{
	return t->se.class == SCHED_CLASS_REALTIME ? t->se.rt_priority : 0;
}

/* Who gets the word next; *more: others wait too. */
static struct futex_waiter *first_waiter(struct futex_bucket *b, const struct futex_key *k,
	bool *more)
{
	struct futex_waiter *w, *best = nullptr;

	*more = false;
	list_for_each_entry (w, &b->waiters, link) {
		if (!w->pi || !same(&w->key, k))
			continue;
		if (best)
			*more = true;
		if (!best || rank(w->task) > rank(best->task))
			best = w;
	}
	return best;
}

/* The bucket is locked: tries to take the word. 1: taken; 0: must wait (WAITERS is set); -errno. */
static int try_take(vaddr_t uaddr, u32 tid, bool others, bool try)
{
	u32 word, seen;
	int error = futex_load(uaddr, &word);

	while (!error) {
		u32 want;
		bool free = (word & FUTEX_TID_MASK) == 0;

		if ((word & FUTEX_TID_MASK) == tid)
			return -EDEADLK;
		if (free)
			want = tid | (word & FUTEX_OWNER_DIED) | (others ? FUTEX_WAITERS : 0);
		else if (try)
			return -EAGAIN;
		else
			want = word | FUTEX_WAITERS;
		error = futex_cas(uaddr, word, want, &seen);
		if (!error && seen == word)
			return free;
		word = seen;
	}
	return error;
}

static bool owner_exists(vaddr_t uaddr)
{
	struct task *owner;
	u32 word;

	if (futex_load(uaddr, &word))
		return true; /* the page went away meanwhile: decided at the next try */
	if ((word & FUTEX_TID_MASK) == 0)
		return true;
	owner = task_find(current->context->pid_ns, (s32)(word & FUTEX_TID_MASK));
	if (!owner)
		return false;
	object_put(&owner->obj);
	return true;
}

static int lock_once(vaddr_t uaddr, const struct futex_key *k, bool try, struct futex_waiter *w)
{
	struct futex_bucket *b = futex_bucket_of(k);
	u32 tid = (u32)task_pid_nr(current);
	bool more;
	int result;

	for (;;) {
		spin_lock(&b->lock);
		result = try_take(uaddr, tid, first_waiter(b, k, &more), try);
		if (result == 0) {
			w->pi = true;
			futex_queue(b, w, k, ~0u);
			task_set_state(TASK_SLEEPING);
		}
		spin_unlock(&b->lock);
		if (result != -EFAULT)
			return result;
		result = futex_fault_in(uaddr, true);
		if (result)
			return result;
	}
}

sword_t futex_lock_pi(vaddr_t uaddr, bool shared, ktime_t deadline, bool try)
{
	struct futex_waiter w = {};
	struct futex_key k;
	int error = futex_key_of(uaddr, shared, &k);

	if (error)
		return error;
	error = lock_once(uaddr, &k, try, &w);
	if (error == 0) {
		if (!owner_exists(uaddr)) {
			task_set_state(TASK_RUNNABLE);
			error = -ESRCH;
		} else {
			error = futex_sleep(&w.woken, deadline);
		}
		if (error && !futex_unqueue(&w))
			error = 0; /* the word is ours already */
		if (error == -EINTR)
			error = -ERESTARTNOINTR;
	} else if (error == 1) {
		error = 0;
	}
	futex_key_put(&k);
	return error;
}

/* Bucket locked: the word passes to the first waiter, or becomes free. 0 or -EFAULT. */
static int hand_over(struct futex_bucket *b, vaddr_t uaddr, const struct futex_key *k, u32 word,
	u32 died)
{
	struct futex_waiter *w;
	u32 want, seen;
	bool more;

	for (;;) {
		struct task *t;
		int error;

		w = first_waiter(b, k, &more);
		want = w ? (u32)task_pid_nr(w->task) | (more ? FUTEX_WAITERS : 0) | died : died;
		error = futex_cas(uaddr, word, want, &seen);
		if (error)
			return error;
		if (seen != word) {
			word = seen;
			continue;
		}
		if (!w)
			return 0;
		t = w->task;
		list_del(&w->link);
		shared_store_release(&w->woken, true);
		task_wake(t);
		return 0;
	}
}

sword_t futex_unlock_pi(vaddr_t uaddr, bool shared)
{
	u32 tid = (u32)task_pid_nr(current), word;
	struct futex_bucket *b;
	struct futex_key k;
	int error = futex_key_of(uaddr, shared, &k);

	if (error)
		return error;
	b = futex_bucket_of(&k);
	for (;;) {
		spin_lock(&b->lock);
		error = futex_load(uaddr, &word);
		if (!error && (word & FUTEX_TID_MASK) != tid)
			error = -EPERM;
		if (!error)
			error = hand_over(b, uaddr, &k, word, 0);
		spin_unlock(&b->lock);
		if (error != -EFAULT)
			break;
		error = futex_fault_in(uaddr, true);
		if (error)
			break;
	}
	futex_key_put(&k);
	return error;
}

void futex_pi_owner_died(vaddr_t uaddr, bool shared)
{
	struct futex_bucket *b;
	struct futex_key k;
	bool more;
	u32 word;

	if (futex_key_of(uaddr, shared, &k))
		return;
	b = futex_bucket_of(&k);
	spin_lock(&b->lock);
	if (first_waiter(b, &k, &more) && !futex_load(uaddr, &word) &&
		hand_over(b, uaddr, &k, word, FUTEX_OWNER_DIED))
		log_debug("futex: word of a dead owner is gone\n");
	spin_unlock(&b->lock);
	futex_key_put(&k);
}
