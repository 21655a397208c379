/*
 * Capability lookup. Theory: slot.c; invariants of this half:
 *   NUCLEUS-I5 a grant's generation is odd exactly while the grant is in use, and never goes back:
 * a handle to an earlier use is dead for ever (the generation stops at its end: such a grant is not
 * used again); NUCLEUS-I6 depth <= CAP_DEPTH_MAX, so that every walk is bounded; parent links lead
 * to smaller depths; NUCLEUS-I7 rights of a grant are a subset of its parent's; NUCLEUS-I8 the
 * epoch moves after the generation of the revoked grant did; NUCLEUS-I9 a root's generation never
 * goes back and stays at its end.
 */
#include <nucleus/cap.h>

/* In a section of its own, so that the linker script can hold its size. */
#pragma clang section text = ".nucleus.text"

#define GENERATION_END 0xfffffffeu

struct cap_table nucleus_caps;

static u32 handle_index(u64 handle)
{
	return (u32)(handle & 0xffffffffu);
}

static u32 handle_generation(u64 handle)
{
	return (u32)(handle >> 32);
}

/* Is the grant in the use that `generation` names? */
static bool grant_lives(u32 index, u32 generation)
{
	if (index == 0)
		return false;
	if (index >= CAP_NR_GRANTS)
		return false;
	if ((generation & 1) == 0)
		return false;
	return atomic32_load_acquire(&nucleus_caps.grants[index].generation) == generation;
}

/* Bound: CAP_DEPTH_MAX steps (NUCLEUS-I6). */
static bool handle_lives(u64 handle)
{
	u32 index = handle_index(handle);
	u32 generation = handle_generation(handle);

	for (u32 step = 0; step < CAP_DEPTH_MAX; step++) {
		if (!grant_lives(index, generation))
			return false;
		generation = nucleus_caps.grants[index].parent_generation;
		index = nucleus_caps.grants[index].parent;
		if (index == 0)
			return true;
	}
	return false;
}

void *cap_lookup(u64 handle, u32 rights)
{
	const u32 index = handle_index(handle);

	if (!handle_lives(handle))
		return nullptr;
	if ((nucleus_caps.grants[index].rights & rights) != rights)
		return nullptr;
	void *object = nucleus_caps.grants[index].object;

	/* Revoked and made anew between the check and the load: the pointer is another grant's. */
	if (!grant_lives(index, handle_generation(handle)))
		return nullptr;
	return object;
}

u64 cap_object_id(u64 handle)
{
	if (!handle_lives(handle))
		return 0;
	return nucleus_caps.grants[handle_index(handle)].object_id;
}

static u32 take_free_grant(void)
{
	const u32 index = nucleus_caps.first_free;

	if (index != 0) {
		nucleus_caps.first_free = nucleus_caps.grants[index].next_free;
		return index;
	}
	if (nucleus_caps.nr_touched + 1 >= CAP_NR_GRANTS)
		return 0;
	nucleus_caps.nr_touched = nucleus_caps.nr_touched + 1;
	return nucleus_caps.nr_touched;
}

static bool parent_allows(u64 parent, u32 rights)
{
	const u32 index = handle_index(parent);

	if (!handle_lives(parent))
		return false;
	if ((nucleus_caps.grants[index].rights & rights) != rights)
		return false;
	if ((nucleus_caps.grants[index].rights & CAP_RIGHT_GRANT) == 0)
		return false;
	return nucleus_caps.grants[index].depth < CAP_DEPTH_MAX;
}

u64 cap_grant_create(u64 parent, void *object, u64 object_id, u32 rights)
{
	if (object == nullptr)
		return 0;
	if (parent != 0 && !parent_allows(parent, rights))
		return 0;
	const u32 index = take_free_grant();

	if (index == 0)
		return 0;
	struct cap_grant *grant = &nucleus_caps.grants[index];
	const u32 generation = atomic32_load(&grant->generation) + 1;

	grant->object = object;
	grant->object_id = object_id;
	grant->rights = rights;
	grant->parent = handle_index(parent);
	grant->parent_generation = handle_generation(parent);
	grant->depth = 1;
	if (parent != 0)
		grant->depth = nucleus_caps.grants[handle_index(parent)].depth + 1;
	atomic32_store_release(&grant->generation, generation);
	return (u64)generation << 32 | index;
}

bool cap_revoke(u64 handle)
{
	const u32 index = handle_index(handle);
	const u32 generation = handle_generation(handle);

	if (!grant_lives(index, generation))
		return false;
	atomic32_store_seq(&nucleus_caps.grants[index].generation, generation + 1);
	(void)atomic_word_fetch_add(&nucleus_caps.epoch, 1);
	nucleus_caps.grants[index].object = nullptr;
	if (generation + 1 < GENERATION_END) {
		nucleus_caps.grants[index].next_free = nucleus_caps.first_free;
		nucleus_caps.first_free = index;
	}
	return true;
}

void cap_root_revoke(atomic32_t *root)
{
	const u32 generation = atomic32_load(root);

	if (generation != CAP_ROOT_END)
		atomic32_store_seq(root, generation + 1);
	(void)atomic_word_fetch_add(&nucleus_caps.epoch, 1);
}
