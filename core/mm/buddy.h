#pragma once
/*
 * The buddy core: pure, without locks (core/mm/frame.c serialises), provable and tested on the
 * host. A block of order k is 2^k frames, aligned to its size by physical frame number.
 */
#include <core/frame.h>
#define BUDDY_ORDERS 11u
struct zone {
	struct frame *frames; /* entry of physical frame number `base` */
	u64 base, nr;
	u64 free_frames, total_frames;
	u64 nr_free[BUDDY_ORDERS];
	struct list_node free[BUDDY_ORDERS];
};
void buddy_init(struct zone *z, struct frame *frames, u64 base, u64 nr);
/* A block of `order`, split off one of `from` (>= order, list not empty). */
struct frame *buddy_take(struct zone *z, u32 order, u32 from, bool tail);
/* Smallest order >= `order` with a block; BUDDY_ORDERS: none. */
u32 buddy_smallest(const struct zone *z, u32 order);
/* Gives a block back and merges it with its free buddies. */
void buddy_put(struct zone *z, struct frame *f, u32 order, bool tail);
static inline u64 zone_number(const struct zone *z, const struct frame *f)
{
	return z->base + (u64)(f - z->frames);
}
