/*
 * Buddy allocator (Knowlton 1965). Invariants: 1. a frame has FRAME_FREE iff it heads a block on
 * free[order], order being its own;
 * 2. two buddies of one order are never both free; 3. free_frames = sum over orders of nr_free <<
 * order.
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
	f->order = (u8)order;
	f->flags = FRAME_FREE;
	if (tail)
		list_add_tail(&z->free[order], &f->lru);
	else
		list_add(&z->free[order], &f->lru);
	z->nr_free[order]++;
}

static void take_out(struct zone *z, struct frame *f, u32 order)
{
	list_del(&f->lru);
	f->flags = 0;
	z->nr_free[order]--;
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
	z->free_frames -= (u64)1 << order;
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
	return f->flags & FRAME_FREE && f->order == order ? f : nullptr;
}

void buddy_put(struct zone *z, struct frame *f, u32 order, bool tail)
{
	u64 number = zone_number(z, f);

	z->free_frames += (u64)1 << order;
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
