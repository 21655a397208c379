/*
 * Epolls.
 *
 * Purpose: standing interest in files. Each item keeps wait entries armed on the waitables that its
 * file's poll named; a wake puts the item on its epoll's ready list. Whether an item is really
 * ready is asked again (node.poll) when it is reported.
 *
 * Objects and lifetimes: an item is owned by its epoll's tree; whoever works on it holds a
 * reference; freed after a grace period, so that a wake in progress may still look at it. A file
 * that ends removes its items first (FILE-I1), an epoll that ends removes all of its own.
 *
 * Invariants: EP-I1 an item is on the ready list at most once and only while it is not gone. EP-I2
 * a wake never nests: epoll_item_wake only queues the item; epoll_propagate, run by the waker after
 * it has let go of the waitable's lock, moves items to ready lists and wakes those epolls; a CPU
 * that propagates already goes on with the queue instead of recursing. EP-I3 epolls watch epolls at
 * most EPOLL_NESTS_MAX deep and without loops. EP-I4 nr_entries is published under ready_lock after
 * arming, and only while the item is not gone; its remover disarms that many.
 *
 * Locks: nest_lock > ep->obj.lock > file->obj.lock; ready_lock and queue_lock are irq-safe leaves
 * (queue_lock is taken under a waitable's).
 *
 * Cost: a wake is one list insertion per item; a report is one poll per ready item.
 */
#include <lib/string.h>
#include <core/call.h>
#include <core/epoll.h>
#include <core/log.h>
#include "node_priv.h"

static struct spinlock queue_lock = SPINLOCK_INIT(LOCK_LEVEL_WAITABLE + 2);
static struct list_node queue guarded_by(&queue_lock) = LIST_INIT(queue);
static u32 queue_pending; /* written under queue_lock, looked at without */
static struct spinlock nest_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE);
static bool propagating[NR_CPUS_MAX];

struct epoll *epoll_new(void)
{
	struct epoll *ep = kzalloc(sizeof(*ep));

	if (!ep)
		return nullptr;
	object_init(&ep->obj, OBJECT_EPOLL, LOCK_LEVEL_NODE, &account_root);
	spin_init(&ep->ready_lock, LOCK_LEVEL_WAITABLE - 2);
	list_init(&ep->ready_list);
	list_init(&ep->nested);
	waitable_init(&ep->wait);
	return ep;
}

void epoll_item_put(struct epoll_item *item)
{
	if (refcount_dec_and_test(&item->refs))
		grace_defer(&item->grace, GRACE_SLAB_FREE, item);
}

static int item_order(const struct epoll_item *i, const struct file *file, u32 fd)
{
	if (i->file != file)
		return (word_t)file < (word_t)i->file ? -1 : 1;
	return fd == i->fd ? 0 : fd < i->fd ? -1 : 1;
}

static struct epoll_item *find_locked(struct epoll *ep, const struct file *file, u32 fd)
{
	struct rb_node *n = ep->items.node;

	while (n) {
		struct epoll_item *i = rb_entry(n, struct epoll_item, in_ep);
		int order = item_order(i, file, fd);

		if (!order)
			return i;
		n = order < 0 ? n->left : n->right;
	}
	return nullptr;
}

struct epoll_item *epoll_find(struct epoll *ep, struct file *file, u32 fd)
{
	struct epoll_item *i;

	spin_lock(&ep->obj.lock);
	i = find_locked(ep, file, fd);
	if (i)
		refcount_inc(&i->refs);
	spin_unlock(&ep->obj.lock);
	return i;
}

/* Levels of epolls below `ep`; more than `limit` when `seek` is among them. Locks: nest_lock. */
static u32 depth_below(const struct epoll *ep, const struct epoll *seek, u32 limit)
{
	struct epoll_item *i;
	u32 deepest = 0;

	if (ep == seek || !limit)
		return limit + 1;
	list_for_each_entry (i, &ep->nested, nested) {
		u32 d = 1 + depth_below(i->file->obj.body, seek, limit - 1);

		if (d > limit)
			return limit + 1;
		deepest = MAX(deepest, d);
	}
	return deepest;
}

static void insert_locked(struct epoll *ep, struct epoll_item *item)
{
	struct rb_node **link = &ep->items.node, *parent = nullptr;

	while (*link) {
		struct epoll_item *i = rb_entry(*link, struct epoll_item, in_ep);

		parent = *link;
		link = item_order(i, item->file, item->fd) < 0 ? &parent->left : &parent->right;
	}
	rb_insert(&ep->items, &item->in_ep, parent, link);
	ep->nr_items++;
}

int epoll_insert(struct epoll *ep, struct file *file, u32 fd, u32 events, u64 data,
	struct epoll_item **out)
{
	struct epoll_item *item = kzalloc(sizeof(*item));
	bool nests = file->type == NODE_EPOLL;
	int error = 0;

	if (!item)
		return -ENOMEM;
	refcount_set(&item->refs, 2); /* the tree's and the caller's */
	item->ep = ep;
	item->file = file;
	item->fd = fd;
	item->events = events;
	item->data = data;
	list_init(&item->in_file);
	list_init(&item->nested);
	list_init(&item->ready);
	list_init(&item->queued);
	spin_lock(&nest_lock);
	/* How deep ep itself lies is not known from below: the chain under it is held to the limit
	 * at each insertion into each parent. */
	if (nests && depth_below(file->obj.body, ep, EPOLL_NESTS_MAX) > EPOLL_NESTS_MAX)
		error = -ELOOP;
	spin_lock(&ep->obj.lock);
	if (!error && find_locked(ep, file, fd))
		error = -EEXIST;
	if (!error) {
		call_effect_here();
		insert_locked(ep, item);
		spin_lock(&file->obj.lock);
		list_add_tail(&file->epolls, &item->in_file);
		spin_unlock(&file->obj.lock);
		if (nests)
			list_add_tail(&ep->nested, &item->nested);
	}
	spin_unlock(&ep->obj.lock);
	spin_unlock(&nest_lock);
	if (error)
		kfree(item);
	else
		*out = item;
	return error;
}

static void disarm(struct epoll_item *item, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		wait_entry_disarm(&item->entry[i]);
}

/* Publishes the number of armed entries; an item that was removed meanwhile is disarmed here, since
 * its remover saw none (EP-I4). */
bool epoll_arm(struct epoll_item *item, const struct poll_ask *ask)
{
	bool moved = false, gone;
	word_t irq;

	for (u32 i = 0; i < ask->nr && i < ARRAY_SIZE(item->entry); i++) {
		struct wait_entry *e = &item->entry[i];

		*e = (struct wait_entry){.target = item, .action = WAKE_EPOLL};
		/* Armed in any case: when the state moved on meanwhile, with the seq of now. */
		if (likely(wait_entry_arm(e, ask->on[i].w, ask->on[i].mask, ask->on[i].seq)))
			continue;
		moved = true;
		while (!wait_entry_arm(e, ask->on[i].w, ask->on[i].mask,
			waitable_seq(ask->on[i].w)))
			;
	}
	irq = spin_lock_irqsave(&item->ep->ready_lock);
	gone = item->gone;
	if (!gone)
		item->nr_entries = ask->nr;
	spin_unlock_irqrestore(&item->ep->ready_lock, irq);
	if (unlikely(gone))
		disarm(item, ask->nr);
	return moved;
}

void epoll_modify(struct epoll_item *item, u32 events, u64 data)
{
	word_t irq = spin_lock_irqsave(&item->ep->ready_lock);

	call_effect_here();
	item->events = events;
	item->data = data;
	spin_unlock_irqrestore(&item->ep->ready_lock, irq);
}

/* Off the wake queue and the ready list, for good. */
static void item_silence(struct epoll_item *item)
{
	struct epoll *ep = item->ep;
	u32 nr;
	word_t irq;

	irq = spin_lock_irqsave(&ep->ready_lock);
	item->gone = true;
	nr = item->nr_entries;
	if (list_linked(&item->ready)) {
		list_del(&item->ready);
		WRITE_ONCE(ep->nr_ready, ep->nr_ready - 1);
	}
	spin_unlock_irqrestore(&ep->ready_lock, irq);
	disarm(item, nr);
	if (likely(!READ_ONCE(item->is_queued))) /* disarmed: it cannot become so any more */
		return;
	irq = spin_lock_irqsave(&queue_lock);
	if (item->is_queued) {
		list_del(&item->queued);
		item->is_queued = false;
		WRITE_ONCE(queue_pending, queue_pending - 1);
	}
	spin_unlock_irqrestore(&queue_lock, irq);
}

/* Unlinks everywhere; true for the one caller who did it. */
static bool item_unlink(struct epoll_item *item)
{
	struct epoll *ep = item->ep;
	struct file *file = item->file;
	bool mine;

	spin_lock(&nest_lock);
	spin_lock(&ep->obj.lock);
	spin_lock(&file->obj.lock);
	mine = list_linked(&item->in_file);
	if (mine) {
		list_del(&item->in_file);
		rb_erase(&ep->items, &item->in_ep);
		ep->nr_items--;
		list_del(&item->nested);
	}
	spin_unlock(&file->obj.lock);
	spin_unlock(&ep->obj.lock);
	spin_unlock(&nest_lock);
	return mine;
}

void epoll_remove(struct epoll_item *item)
{
	if (!item_unlink(item))
		return;
	call_effect_here();
	item_silence(item);
	epoll_item_put(item);
}

void epoll_file_gone(struct file *f)
{
	for (;;) {
		struct epoll_item *item = nullptr;

		/* nest_lock keeps the epoll from going while its item is looked at. */
		spin_lock(&nest_lock);
		spin_lock(&f->obj.lock);
		if (!list_empty(&f->epolls)) {
			item = list_first_entry(&f->epolls, struct epoll_item, in_file);
			refcount_inc(&item->refs);
			object_get(&item->ep->obj);
		}
		spin_unlock(&f->obj.lock);
		spin_unlock(&nest_lock);
		if (!item)
			return;
		struct epoll *ep = item->ep;

		epoll_remove(item);
		epoll_item_put(item);
		object_put(&ep->obj);
	}
}

void epoll_release(struct object *o)
{
	struct epoll *ep = container_of(o, struct epoll, obj);

	refcount_set(&o->refs, 1); /* so that files that end meanwhile may hold it */
	for (;;) {
		struct epoll_item *item = nullptr;

		spin_lock(&ep->obj.lock);
		if (ep->items.node) {
			item = rb_entry(rb_first(&ep->items), struct epoll_item, in_ep);
			refcount_inc(&item->refs);
		}
		spin_unlock(&ep->obj.lock);
		if (!item)
			break;
		epoll_remove(item);
		epoll_item_put(item);
	}
	/* A file that took a reference in epoll_file_gone found its item gone; it frees the epoll
	 * when it is the last. */
	if (refcount_dec_and_test(&o->refs))
		grace_defer(&o->grace, GRACE_SLAB_FREE, ep);
}

/* --- wakes --- */
void epoll_item_wake(struct epoll_item *item, u32 mask)
{
	word_t irq;

	if (!(mask & (READ_ONCE(item->events) | EV_ERR | EV_HUP)))
		return;
	irq = spin_lock_irqsave(&queue_lock);
	if (!item->is_queued) {
		item->is_queued = true;
		list_add_tail(&queue, &item->queued);
		WRITE_ONCE(queue_pending, queue_pending + 1);
	}
	spin_unlock_irqrestore(&queue_lock, irq);
}

void epoll_item_ready(struct epoll_item *item)
{
	struct epoll *ep = item->ep;
	word_t irq = spin_lock_irqsave(&ep->ready_lock);
	bool wake = !item->gone && item->events & ~EPOLL_PRIVATE;

	if (wake && !list_linked(&item->ready)) {
		list_add_tail(&ep->ready_list, &item->ready);
		WRITE_ONCE(ep->nr_ready, ep->nr_ready + 1);
	}
	spin_unlock_irqrestore(&ep->ready_lock, irq);
	if (wake)
		waitable_wake(&ep->wait, EV_IN | EV_RDNORM, 1);
}

void epoll_propagate(void)
{
	word_t irq;
	bool *mine;

	if (likely(!READ_ONCE(queue_pending)))
		return;
	grace_read_begin(); /* items and epolls stay readable; same CPU throughout */
	mine = &propagating[this_cpu()->index];
	if (!*mine) {
		*mine = true;
		for (;;) {
			struct list_node *n;

			irq = spin_lock_irqsave(&queue_lock);
			n = list_pop(&queue);
			if (n) {
				list_entry(n, struct epoll_item, queued)->is_queued = false;
				WRITE_ONCE(queue_pending, queue_pending - 1);
			} else {
				*mine = false;
			}
			spin_unlock_irqrestore(&queue_lock, irq);
			if (!n)
				break;
			epoll_item_ready(list_entry(n, struct epoll_item, queued));
		}
	}
	grace_read_end();
}

struct epoll_item *epoll_take_ready(struct epoll *ep, struct file **file)
{
	struct epoll_item *item = nullptr;
	word_t irq;

	grace_read_begin();
	irq = spin_lock_irqsave(&ep->ready_lock);
	while (!item && !list_empty(&ep->ready_list)) {
		item = list_first_entry(&ep->ready_list, struct epoll_item, ready);
		list_del(&item->ready);
		WRITE_ONCE(ep->nr_ready, ep->nr_ready - 1);
		if (object_get_live(&item->file->obj)) {
			refcount_inc(&item->refs);
			*file = item->file;
		} else {
			item = nullptr;
		}
	}
	spin_unlock_irqrestore(&ep->ready_lock, irq);
	grace_read_end();
	return item;
}

void epoll_put_ready(struct epoll_item *item, bool front)
{
	struct epoll *ep = item->ep;
	word_t irq = spin_lock_irqsave(&ep->ready_lock);

	if (!item->gone && !list_linked(&item->ready)) {
		if (front)
			list_add(&ep->ready_list, &item->ready);
		else
			list_add_tail(&ep->ready_list, &item->ready);
		WRITE_ONCE(ep->nr_ready, ep->nr_ready + 1);
	}
	spin_unlock_irqrestore(&ep->ready_lock, irq);
}
