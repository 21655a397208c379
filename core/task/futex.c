/*
 * futex(2).
 *
 * Purpose: sleep on a word of user memory. Vocabulary: *waiter*: a record on the sleeper's own
 * stack; *bucket*: a hash chain of waiters. A word is named by the identity of its memory
 * (space_futex_key): private words by space and address, shared ones by object and offset.
 *
 * Invariants: 1. a waiter is on the chain of its key's bucket under that bucket's lock, and `woken`
 * is set when it is taken off by somebody else.  2. the word is compared under the bucket's lock,
 * which every waker takes: no wake is lost.  3. user memory is touched under a bucket's lock only
 * with faults disabled; a fault drops the lock, brings the page, and starts again.
 *
 * Locks: bucket locks (level FUTEX), two of them in address order. A waker uses the waiter's task
 * inside the lock, which is a grace read section: the task cannot be freed before it ends.
 *
 * Failure and recovery: a dead owner of a robust lock leaves FUTEX_OWNER_DIED. Replacement: none.
 * Cost: a wake without waiters is a key, a hash and one lock.
 *
 * Weaker than Linux: priority is not lent to the owner of a PI lock; FUTEX_WAIT_REQUEUE_PI is
 * absent (ENOSYS).
 */
#include "futex.h"
#include <arch/ucopy.h>

static struct futex_bucket buckets[FUTEX_BUCKETS];
static u32 buckets_ready;

static void futex_setup(void)
{
	u32 none = 0;

	/* The first of several does it. An exchange here once put 1 over another CPU's 2: from then
	 * on everybody waited for ever. */
	if (!shared_cas(&buckets_ready, &none, 1)) {
		arch_cpu_relax();
		return;
	}
	for (u32 i = 0; i < FUTEX_BUCKETS; i++) {
		spin_init(&buckets[i].lock, LOCK_LEVEL_FUTEX);
		list_init(&buckets[i].waiters);
	}
	shared_store_release(&buckets_ready, 2);
}

struct futex_bucket *futex_bucket_of(const struct futex_key *k)
{
	u64 h = ((u64)(word_t)k->a ^ (k->b * 0x9e3779b97f4a7c15ull)) * 0xbf58476d1ce4e5b9ull;

	while (unlikely(shared_load_acquire(&buckets_ready) != 2))
		futex_setup();
	return &buckets[h >> 56 & (FUTEX_BUCKETS - 1)];
}

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->a == b->a && a->b == b->b && a->shared == b->shared;
}

/* Bucket's lock held. */
int futex_load(vaddr_t uaddr, u32 *out)
{
	int error;

	current->fault_disabled++;
	barrier();
	error = arch_user_load32((const u32 __user *)uaddr, out);
	barrier();
	current->fault_disabled--;
	return error;
}

int futex_cas(vaddr_t uaddr, u32 expected, u32 desired, u32 *old)
{
	int error;

	current->fault_disabled++;
	barrier();
	error = arch_user_cas32((u32 __user *)uaddr, expected, desired, old);
	barrier();
	current->fault_disabled--;
	return error;
}

int futex_fault_in(vaddr_t uaddr, bool write)
{
	return space_populate(current->space, uaddr, sizeof(u32), write);
}

int futex_key_of(vaddr_t uaddr, bool shared, struct futex_key *k)
{
	if (uaddr & 3)
		return -EINVAL;
	if (!user_range_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	return space_futex_key(current->space, uaddr, shared, k);
}

/* Off the chain, by the waker. The waiter may be gone as soon as `woken` is set. */
static void wake_waiter(struct futex_waiter *w)
{
	struct task *t = w->task;

	list_del(&w->link);
	shared_store_release(&w->woken, true);
	task_wake(t);
}

static u32 wake_matching(struct futex_bucket *b, const struct futex_key *k, u32 nr, u32 bitset)
{
	struct futex_waiter *w, *next;
	u32 woken = 0;

	list_for_each_entry_safe (w, next, &b->waiters, link) {
		if (woken >= nr)
			break;
		if (w->pi || !(w->bitset & bitset) || !same_key(&w->key, k))
			continue;
		wake_waiter(w);
		woken++;
	}
	return woken;
}

static sword_t futex_wake(vaddr_t uaddr, bool shared, u32 nr, u32 bitset)
{
	struct futex_bucket *b;
	struct futex_key k;
	u32 woken;
	int error;

	if (!bitset)
		return -EINVAL;
	error = futex_key_of(uaddr, shared, &k);
	if (error)
		return error;
	b = futex_bucket_of(&k);
	spin_lock(&b->lock);
	woken = wake_matching(b, &k, nr, bitset);
	spin_unlock(&b->lock);
	futex_key_put(&k);
	return woken;
}

int futex_wake_user(vaddr_t uaddr, u32 nr)
{
	/* clear_child_tid: always a shared key on Linux; a private waiter has the other kind, so
	 * both are woken */
	sword_t shared = futex_wake(uaddr, true, nr, ~0u), own = futex_wake(uaddr, false, nr, ~0u);

	return (int)(shared < 0 ? own : shared + MAX(own, (sword_t)0));
}

/* Takes a waiter off again, wherever it was requeued to. True: it was still waiting. */
bool futex_unqueue(struct futex_waiter *w)
	__no_lock_analysis /* the bucket can change until its lock is held */
{
	for (;;) {
		struct futex_bucket *b = shared_load_acquire(&w->bucket);
		bool was;

		spin_lock(&b->lock);
		if (b != w->bucket) {
			spin_unlock(&b->lock);
			continue;
		}
		was = !w->woken;
		if (was)
			list_del(&w->link);
		spin_unlock(&b->lock);
		return was;
	}
}

void futex_queue(struct futex_bucket *b, struct futex_waiter *w, const struct futex_key *k,
	u32 bitset)
{
	w->task = current;
	w->key = *k;
	w->bitset = bitset;
	w->bucket = b;
	w->woken = false;
	list_add_tail(&b->waiters, &w->link);
}

/* Sleeps until woken: 0, -ETIMEDOUT, -EINTR. The state was set before the bucket's lock was
 * dropped. */
int futex_sleep(const bool *woken, ktime_t deadline)
{
	for (;;) {
		if (shared_load_acquire(woken))
			break;
		if (task_signal_pending(current)) {
			task_set_state(TASK_RUNNABLE);
			return -EINTR;
		}
		if (deadline != KTIME_MAX && time_monotonic_ns() >= deadline) {
			task_set_state(TASK_RUNNABLE);
			return -ETIMEDOUT;
		}
		schedule_deadline(deadline);
		task_set_state(TASK_SLEEPING);
	}
	task_set_state(TASK_RUNNABLE);
	return 0;
}

/* Compares and queues. 0: queued, state set; -EAGAIN: another value; -EFAULT after the fault could
 * not be served. */
static int wait_setup(vaddr_t uaddr, const struct futex_key *k, u32 val, u32 bitset,
	struct futex_waiter *w)
{
	struct futex_bucket *b = futex_bucket_of(k);

	for (;;) {
		u32 now;
		int error;

		spin_lock(&b->lock);
		error = futex_load(uaddr, &now);
		if (!error && now == val) {
			futex_queue(b, w, k, bitset);
			task_set_state(TASK_SLEEPING);
			spin_unlock(&b->lock);
			return 0;
		}
		spin_unlock(&b->lock);
		if (!error)
			return -EAGAIN;
		error = futex_fault_in(uaddr, false);
		if (error)
			return error;
	}
}

static sword_t futex_wait(vaddr_t uaddr, bool shared, u32 val, ktime_t deadline, u32 bitset)
{
	struct futex_waiter w = {};
	struct futex_key k;
	int error;

	if (!bitset)
		return -EINVAL;
	error = futex_key_of(uaddr, shared, &k);
	if (error)
		return error;
	error = wait_setup(uaddr, &k, val, bitset, &w);
	if (!error) {
		error = futex_sleep(&w.woken, deadline);
		if (error && !futex_unqueue(&w))
			error = 0; /* woken after all */
		if (error == -EINTR)
			error = deadline == KTIME_MAX ? -ERESTARTSYS : -ERESTARTNOHAND;
	}
	futex_key_put(&k);
	return error;
}

static void lock_two(struct futex_bucket *a,
	struct futex_bucket *b) __no_lock_analysis /* one or two locks */
{
	if (a > b) {
		struct futex_bucket *swap = a;

		a = b;
		b = swap;
	}
	spin_lock(&a->lock);
	if (a != b)
		spin_lock(&b->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b) __no_lock_analysis
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

static u32 requeue_locked(struct futex_bucket *from, struct futex_bucket *to,
	const struct futex_key *k, const struct futex_key *k2, u32 nr)
{
	struct futex_waiter *w, *next;
	u32 moved = 0;

	list_for_each_entry_safe (w, next, &from->waiters, link) {
		if (moved >= nr)
			break;
		if (w->pi || w->many || !same_key(&w->key, k))
			continue;
		list_del(&w->link);
		w->key = *k2;
		list_add_tail(&to->waiters, &w->link);
		shared_store_release(&w->bucket, to);
		moved++;
	}
	return moved;
}

struct requeue {
	vaddr_t uaddr, uaddr2;
	bool shared, compare;
	u32 nr_wake, nr_requeue, expected;
};

static sword_t futex_requeue(const struct requeue *q)
{
	struct futex_key k, k2;
	struct futex_bucket *b, *b2;
	sword_t result;
	u32 now;
	int error;

	if ((s32)q->nr_wake < 0 || (s32)q->nr_requeue < 0)
		return -EINVAL;
	error = futex_key_of(q->uaddr, q->shared, &k);
	if (error)
		return error;
	error = futex_key_of(q->uaddr2, q->shared, &k2);
	if (error) {
		futex_key_put(&k);
		return error;
	}
	b = futex_bucket_of(&k);
	b2 = futex_bucket_of(&k2);
	for (;;) {
		lock_two(b, b2);
		error = q->compare ? futex_load(q->uaddr, &now) : 0;
		if (!error)
			break;
		unlock_two(b, b2);
		result = futex_fault_in(q->uaddr, false);
		if (result)
			goto out;
	}
	if (q->compare && now != q->expected) {
		result = -EAGAIN;
	} else {
		u32 woken = wake_matching(b, &k, q->nr_wake, ~0u);
		u32 moved = requeue_locked(b, b2, &k, &k2, q->nr_requeue);

		/* futex(2): REQUEUE tells how many were woken, CMP_REQUEUE how many were woken or
		 * moved; Linux tells both in both */
		result = woken + moved;
	}
	unlock_two(b, b2);
out:
	futex_key_put(&k);
	futex_key_put(&k2);
	return result;
}

/* FUTEX_WAKE_OP's little machine (futex(2)). */
static bool wake_op_compute(u32 encoded, u32 old, u32 *new, bool *condition)
{
	u32 op = encoded >> 28 & 7, compare = encoded >> 24 & 15;
	s32 oparg = (s32)(encoded << 8) >> 20, cmparg = (s32)(encoded << 20) >> 20;

	if (encoded >> 28 & 8)
		oparg = (s32)(1u << ((u32)oparg & 31));
	switch (op) {
	case 0:
		*new = (u32)oparg;
		break;
	case 1:
		*new = old + (u32)oparg;
		break;
	case 2:
		*new = old | (u32)oparg;
		break;
	case 3:
		*new = old & ~(u32)oparg;
		break;
	case 4:
		*new = old ^ (u32)oparg;
		break;
	default:
		return false;
	}
	switch (compare) {
	case 0:
		*condition = (s32)old == cmparg;
		break;
	case 1:
		*condition = (s32)old != cmparg;
		break;
	case 2:
		*condition = (s32)old < cmparg;
		break;
	case 3:
		*condition = (s32)old <= cmparg;
		break;
	case 4:
		*condition = (s32)old > cmparg;
		break;
	case 5:
		*condition = (s32)old >= cmparg;
		break;
	default:
		return false;
	}
	return true;
}

/* Buckets locked: changes the second word. 0, -EFAULT, -ENOSYS. */
static int wake_op_apply(vaddr_t uaddr2, u32 encoded, bool *condition)
{
	u32 old, new, seen;
	int error = futex_load(uaddr2, &old);

	while (!error) {
		if (!wake_op_compute(encoded, old, &new, condition))
			return -ENOSYS;
		error = futex_cas(uaddr2, old, new, &seen);
		if (!error && seen == old)
			return 0;
		old = seen;
	}
	return error;
}

static sword_t futex_wake_op(vaddr_t uaddr, bool shared, vaddr_t uaddr2, u32 nr, u32 nr2,
	u32 encoded)
{
	struct futex_key k, k2;
	struct futex_bucket *b, *b2;
	bool condition = false;
	sword_t result = 0;
	int error = futex_key_of(uaddr, shared, &k);

	if (error)
		return error;
	error = futex_key_of(uaddr2, shared, &k2);
	if (error) {
		futex_key_put(&k);
		return error;
	}
	b = futex_bucket_of(&k);
	b2 = futex_bucket_of(&k2);
	for (;;) {
		lock_two(b, b2);
		error = wake_op_apply(uaddr2, encoded, &condition);
		if (error != -EFAULT)
			break;
		unlock_two(b, b2);
		error = futex_fault_in(uaddr2, true);
		if (error)
			goto out;
	}
	if (!error) {
		result = wake_matching(b, &k, nr, ~0u);
		if (condition)
			result += wake_matching(b2, &k2, nr2, ~0u);
	}
	unlock_two(b, b2);
out:
	futex_key_put(&k);
	futex_key_put(&k2);
	return error ? error : result;
}

#define OP_WAIT           0
#define OP_WAKE           1
#define OP_REQUEUE        3
#define OP_CMP_REQUEUE    4
#define OP_WAKE_OP        5
#define OP_LOCK_PI        6
#define OP_UNLOCK_PI      7
#define OP_TRYLOCK_PI     8
#define OP_WAIT_BITSET    9
#define OP_WAKE_BITSET    10
#define OP_LOCK_PI2       13
#define OP_PRIVATE        128u
#define OP_CLOCK_REALTIME 256u

sword_t futex_op(vaddr_t uaddr, u32 op, u32 val, ktime_t deadline, word_t val2, vaddr_t uaddr2,
	u32 val3)
{
	bool shared = !(op & OP_PRIVATE);
	u32 command = op & ~(OP_PRIVATE | OP_CLOCK_REALTIME);

	if (op & OP_CLOCK_REALTIME && command != OP_WAIT_BITSET && command != OP_LOCK_PI2 &&
		command != 11 && command != OP_WAIT)
		return -ENOSYS;
	switch (command) {
	case OP_WAIT:
		return futex_wait(uaddr, shared, val, deadline, ~0u);
	case OP_WAIT_BITSET:
		return futex_wait(uaddr, shared, val, deadline, val3);
	case OP_WAKE:
		return futex_wake(uaddr, shared, val, ~0u);
	case OP_WAKE_BITSET:
		return futex_wake(uaddr, shared, val, val3);
	case OP_REQUEUE:
	case OP_CMP_REQUEUE:
		return futex_requeue(&(struct requeue){uaddr, uaddr2, shared,
			command == OP_CMP_REQUEUE, val, (u32)val2, val3});
	case OP_WAKE_OP:
		return futex_wake_op(uaddr, shared, uaddr2, val, (u32)val2, val3);
	case OP_LOCK_PI:
	case OP_LOCK_PI2:
		return futex_lock_pi(uaddr, shared, deadline, false);
	case OP_TRYLOCK_PI:
		return futex_lock_pi(uaddr, shared, 0, true);
	case OP_UNLOCK_PI:
		return futex_unlock_pi(uaddr, shared);
	default:
		return -ENOSYS;
	}
}
