/*
 * File locks. Purpose: fcntl(2) record locks, OFD locks and flock(2) as ranges in one list per
 * inode.
 *
 * Invariants: LOCK-I1 ranges of one (owner, kind) do not overlap, and equal neighbours are merged.
 * LOCK-I2 two ranges of different owners of one kind family overlap only when both are read locks
 * (POSIX and OFD locks conflict with each other, flock only with flock). LOCK-I3 the wait graph
 * (waiter -> owner it waits for) has one edge for each waiter; it is walked at each wait, so it
 * stays free of cycles.
 *
 * Locks: inode->obj.lock for lists; graph_lock for edges. Cost: linear in the inode's locks; a
 * deadlock check in the number of waiters.
 */
#include <core/call.h>
#include <core/file_lock.h>
#include "node_priv.h"

static void describe(const struct file_lock *l, struct lock_request *out)
{
	*out = (struct lock_request){l->owner, l->start, l->end, l->pid, l->type, l->kind};
}

static void free_all(struct list_node *freed)
{
	struct list_node *n;

	while ((n = list_pop(freed)))
		kfree(list_entry(n, struct file_lock, link));
}

int inode_lock_set(struct inode *i, const struct lock_request *r, struct lock_request *blocker)
{
	struct file_lock *new = kzalloc(sizeof(*new)), *spare = kzalloc(sizeof(*spare)), *l;
	struct list_node freed = LIST_INIT(freed);
	bool changed = false;
	int error = 0;

	if (!new || !spare) {
		kfree(new);
		kfree(spare);
		return -ENOMEM;
	}
	list_init(&new->link);
	list_init(&spare->link);
	spin_lock(&i->obj.lock);
	l = lock_ranges_conflict(&i->locks, r);
	if (l) {
		error = -EAGAIN;
		if (blocker)
			describe(l, blocker);
	} else {
		changed = lock_ranges_set(&i->locks, r, &new, &spare, &freed);
	}
	spin_unlock(&i->obj.lock);
	kfree(new);
	kfree(spare);
	free_all(&freed);
	if (changed) {
		call_effect_here();
		waitable_wake(&i->lock_event, EV_ANY, 0);
	}
	return error;
}

void inode_lock_test(struct inode *i, struct lock_request *r)
{
	struct file_lock *l;

	spin_lock(&i->obj.lock);
	l = lock_ranges_conflict(&i->locks, r);
	if (l)
		describe(l, r);
	else
		r->type = LOCK_TYPE_NONE;
	spin_unlock(&i->obj.lock);
}

bool inode_lock_would_block(struct inode *i, const struct lock_request *r)
{
	bool blocks;

	spin_lock(&i->obj.lock);
	blocks = lock_ranges_conflict(&i->locks, r) != nullptr;
	spin_unlock(&i->obj.lock);
	return blocks;
}

bool inode_lock_at(struct inode *i, u32 index, struct lock_request *out)
{
	struct file_lock *l;
	bool found = false;

	spin_lock(&i->obj.lock);
	list_for_each_entry (l, &i->locks, link)
		if (!index--) {
			describe(l, out);
			found = true;
			break;
		}
	spin_unlock(&i->obj.lock);
	return found;
}

void inode_locks_drop_owner(struct inode *i, const void *owner)
{
	struct list_node freed = LIST_INIT(freed);
	struct file_lock *l, *tmp;
	bool any = false;

	spin_lock(&i->obj.lock);
	list_for_each_entry_safe (l, tmp, &i->locks, link)
		if (l->owner == owner) {
			list_del(&l->link);
			list_add(&freed, &l->link);
			any = true;
		}
	spin_unlock(&i->obj.lock);
	free_all(&freed);
	if (any)
		waitable_wake(&i->lock_event, EV_ANY, 0);
}
void inode_locks_drop_file(struct file *f)
{
	inode_locks_drop_owner(f->inode, f);
}

/* --- who waits for whom --- */
#define LOCK_EDGES 256u
static struct spinlock graph_lock = SPINLOCK_INIT(LOCK_LEVEL_NODE);
static struct {
	const void *waiter, *owner;
} edges[LOCK_EDGES] guarded_by(&graph_lock);

static const void *waits_for(const void *who) __requires(graph_lock)
{
	for (u32 e = 0; e < LOCK_EDGES; e++)
		if (edges[e].waiter == who)
			return edges[e].owner;
	return nullptr;
}

int lock_wait_begin(const void *waiter, const void *blocker_owner)
{
	const void *who = blocker_owner;
	int error = 0;

	spin_lock(&graph_lock);
	for (u32 steps = 0; who && steps < LOCK_EDGES; steps++) {
		if (who == waiter) {
			error = -EDEADLK;
			break;
		}
		who = waits_for(who);
	}
	if (!error) {
		u32 free = LOCK_EDGES;

		for (u32 e = 0; e < LOCK_EDGES; e++) {
			if (edges[e].waiter == waiter) {
				free = e;
				break;
			}
			if (!edges[e].waiter && free == LOCK_EDGES)
				free = e;
		}
		/* More waiters than edges: those are not looked at, so a deadlock among them is not
		 * found (Linux bounds its search too). */
		if (free < LOCK_EDGES) {
			edges[free].waiter = waiter;
			edges[free].owner = blocker_owner;
		}
	}
	spin_unlock(&graph_lock);
	return error;
}

void lock_wait_done(const void *waiter)
{
	spin_lock(&graph_lock);
	for (u32 e = 0; e < LOCK_EDGES; e++)
		if (edges[e].waiter == waiter)
			edges[e].waiter = edges[e].owner = nullptr;
	spin_unlock(&graph_lock);
}
