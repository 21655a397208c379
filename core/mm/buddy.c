/*
 * Buddy allocator (Knowlton 1965). Invariants: 1. a frame has free_order iff it heads a block on
 * free[free_order - 1];
 * 2. two buddies of one order are never both free; 3. free_frames = sum over orders of nr_free <<
 * order.
 *
 * Whether a neighbour is free is asked of frames that may be in use: free_order is the one word of
 * a frame that only the zone's owner ever writes. The numbers are read without the lock by
 * policy.c.
 */
#include "buddy.h"

void buddy_init(struct zone *z, struct frame *frames, u64 base, u64 nr)
{
	*z = (struct zone){.frames = frames, .base = base, .nr = nr};
	for (u32 i = 0; i < BUDDY_ORDERS; i++)
		list_init(&z->free[i]);
}

u32 buddy_smallest(const struct zone *z, u32 order)
{
	while (order < BUDDY_ORDERS && !z->nr_free[order])
		order++;
	return order;
}

static void insert(struct zone *z, struct frame *f, u32 order, bool tail)
{
	f->free_order = (u8)(order + 1);
	if (tail)
		list_add_tail(&z->free[order], &f->lru);
	else
		list_add(&z->free[order], &f->lru);
	WRITE_ONCE(z->nr_free[order], z->nr_free[order] + 1);
}

static void take_out(struct zone *z, struct frame *f, u32 order)
{
	list_del(&f->lru);
	f->free_order = 0;
	WRITE_ONCE(z->nr_free[order], z->nr_free[order] - 1);
}

struct frame *buddy_take(struct zone *z, u32 order, u32 from, bool tail)
{
	struct list_node *n = tail ? z->free[from].prev : z->free[from].next;
	struct frame *f = list_entry(n, struct frame, lru);

	take_out(z, f, from);
	while (from > order) {
		from--;
		insert(z, f + ((u64)1 << from), from, false);
	}
	f->order = (u8)order;
	WRITE_ONCE(z->free_frames, z->free_frames - ((u64)1 << order));
	return f;
}

/* The buddy of the block numbered `number`, if the whole of it is free; nullptr otherwise. */
static struct frame *free_buddy(struct zone *z, u64 number, u32 order)
{
	u64 buddy = number ^ (u64)1 << order;
	struct frame *f;

	if (buddy < z->base || buddy - z->base >= z->nr)
		return nullptr;
	f = &z->frames[buddy - z->base];
	return f->free_order == order + 1 ? f : nullptr;
}

void buddy_put(struct zone *z, struct frame *f, u32 order, bool tail)
{
	u64 number = zone_number(z, f);

	WRITE_ONCE(z->free_frames, z->free_frames + ((u64)1 << order));
	while (order + 1 < BUDDY_ORDERS) {
		struct frame *buddy = free_buddy(z, number, order);

		if (!buddy)
			break;
		take_out(z, buddy, order);
		number &= ~((u64)1 << order);
		order++;
	}
	insert(z, &z->frames[number - z->base], order, tail);
}
