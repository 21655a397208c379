#pragma once
/* futex's own (futex.c, futex_pi.c, futex_more.c). */
#include "task_internal.h"

#define FUTEX_BUCKETS    256
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu

struct futex_bucket {
	struct spinlock lock;
	struct list_node waiters; /* guarded by lock */
} __aligned(64);
struct futex_waiter {
	struct list_node link;
	struct futex_key key;
	struct task *task;
	struct futex_bucket *bucket; /* changed by requeue, under both locks */
	u32 bitset;
	bool woken;
	bool pi;   /* waits for a PI lock: woken only by its hand-over */
	bool many; /* one of futex_waitv's: not requeued */
};
struct futex_bucket *futex_bucket_of(const struct futex_key *k);
int futex_key_of(vaddr_t uaddr, bool shared, struct futex_key *k);
int futex_load(vaddr_t uaddr, u32 *out);
int futex_cas(vaddr_t uaddr, u32 expected, u32 desired, u32 *old);
int futex_fault_in(vaddr_t uaddr, bool write);
void futex_queue(struct futex_bucket *b, struct futex_waiter *w, const struct futex_key *k,
	u32 bitset);
bool futex_unqueue(struct futex_waiter *w);
/* 0 woken, -ETIMEDOUT, -EINTR. TASK_SLEEPING was set before the bucket's lock was dropped. */
int futex_sleep(const bool *woken, ktime_t deadline);
sword_t futex_lock_pi(vaddr_t uaddr, bool shared, ktime_t deadline, bool try);
sword_t futex_unlock_pi(vaddr_t uaddr, bool shared);
/* A PI word whose owner died, bucket not locked: hands it on. */
void futex_pi_owner_died(vaddr_t uaddr, bool shared);
