#pragma once
/*
 * The slot table: where a call enters replaceable code. The nucleus' whole state is this table and
 * the capability grants (nucleus/cap.h).
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define NUCLEUS_NR_SLOTS 1024u

struct slot {
	const void *vtable; /* what callers enter: read once per call, with acquire */
	const void *parked; /* answers WAIT(slot) everywhere; nullptr: the slot is free */
	u32 id;             /* index in the table */
	u32 unit;           /* slots of one unit are exchanged together */
	u64 stamp;          /* raised by every exchange */
};

struct nucleus {
	struct slot slots[NUCLEUS_NR_SLOTS];
};
extern struct nucleus nucleus;

/* Context: any. The one load of a call through a slot; pairs with the release in slot_swap. */
static inline const void *slot_vtable(const struct slot *slot)
{
	return ptr_load_acquire(&slot->vtable);
}
static inline bool slot_is_parked(const struct slot *slot)
{
	return slot_vtable(slot) == slot->parked;
}

/* Reserves slot `id` for a unit; it starts parked. False: id out of range, taken, or no parked
 * vtable. Context: thread, serialised by core/evolve. */
bool slot_create(u32 id, u32 unit, const void *parked);
/* Frees it again: the caller has seen a grace period after parking it. */
bool slot_destroy(u32 id);
/* Exchanges the vtable if it is still `expected`. False: somebody else changed it; nothing
 * happened. */
bool slot_swap(u32 id, const void *expected, const void *vtable);
u64 slot_stamp(u32 id);
