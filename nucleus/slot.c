/*
 * The nucleus: slots and capability lookup (capability.c).
 *
 * Purpose: the one indirection through which replaceable code is entered, and the exchange that
 * replaces it. Never replaced itself, so nothing else may move in here; the linker script of each
 * port asserts the size of its text.
 *
 * Vocabulary: slot = cell of the table that names the vtable callers enter; parked vtable = the one
 * that answers WAIT(slot) everywhere; unit = what is replaced together; stamp = number of
 * exchanges.
 *
 * Objects and lifetimes: one static table. A slot is free, or belongs to a unit from create to
 * destroy.
 *
 * Invariants:
 *   NUCLEUS-I1 slots[i].id == i for a slot in use, and its vtable is never nullptr;
 *   NUCLEUS-I2 a vtable is published by one compare-and-swap, after all of it was written;
 *   NUCLEUS-I3 the stamp grows by one with each exchange, and only then;
 *   NUCLEUS-I4 a reader that loaded a vtable may use it until its next quiescent state: whoever
 *   swaps waits for a grace period before the old text goes (core/evolve).
 *
 * Locks: none here. Writers are serialised by core/evolve's registry lock (a trap handler that
 * undoes a policy is not: hence compare-and-swap); readers do one load.
 *
 * Failure and recovery: every refusal leaves the table as it was.
 *
 * Replacement: none.
 *
 * Cost: a call pays one acquire load.
 * Dialect: style.md 4.8 (no address of locals, no recursion, no function pointers called, bounded).
 */
#include <nucleus/slot.h>

/* In a section of its own, so that the linker script can hold its size. */
#pragma clang section text = ".nucleus.text"

struct nucleus nucleus;

bool slot_create(u32 id, u32 unit, const void *parked)
{
	if (id >= NUCLEUS_NR_SLOTS)
		return false;
	if (parked == nullptr)
		return false;
	if (nucleus.slots[id].parked != nullptr)
		return false;
	nucleus.slots[id].id = id;
	nucleus.slots[id].unit = unit;
	nucleus.slots[id].parked = parked;
	ptr_store_release(&nucleus.slots[id].vtable, parked);
	return true;
}

bool slot_destroy(u32 id)
{
	if (id >= NUCLEUS_NR_SLOTS)
		return false;
	if (nucleus.slots[id].parked == nullptr)
		return false;
	if (!slot_is_parked(&nucleus.slots[id]))
		return false;
	nucleus.slots[id].parked = nullptr;
	return true;
}

bool slot_swap(u32 id, const void *expected, const void *vtable)
{
	if (id >= NUCLEUS_NR_SLOTS)
		return false;
	if (vtable == nullptr)
		return false;
	if (nucleus.slots[id].parked == nullptr)
		return false;
	/* Full barrier, hence release: pairs with the acquire in slot_vtable. */
	if (!__sync_bool_compare_and_swap(&nucleus.slots[id].vtable, expected, vtable))
		return false;
	WRITE_ONCE(nucleus.slots[id].stamp, nucleus.slots[id].stamp + 1);
	return true;
}

u64 slot_stamp(u32 id)
{
	if (id >= NUCLEUS_NR_SLOTS)
		return 0;
	return READ_ONCE(nucleus.slots[id].stamp);
}
