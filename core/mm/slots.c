/*
 * Radix trees of slot words. Invariants: 1. nr_used of a node counts its non-empty slots, and only
 * the root may have none; 2. a tag bit of an inner node is set iff some leaf below has a tag bit in
 * that child's range; 3. a node is linked after it is filled. The root is replaced by a higher one
 * when an index does not fit, and stays high until the tree is empty.
 */
#include "slots.h"

u64 slots_get(struct slot_node *const *root, u64 index)
{
	struct slot_node *n = ptr_load_acquire(root);

	if (!n || !slot_reaches(n, index))
		return 0;
	while (n->shift) {
		n = slot_child(n, slot_index(n, index));
		if (!n)
			return 0;
	}
	return slot_load(&n->slots[index & (SLOT_FANOUT - 1)]);
}

static bool grow(struct slot_node **root, u64 index)
{
	struct slot_node *n = *root;

	if (!n) {
		n = slot_node_alloc();
		if (!n)
			return false;
		while (!slot_reaches(n, index))
			n->shift += SLOT_BITS;
		ptr_store_release(root, n);
		return true;
	}
	while (!slot_reaches(n, index)) {
		struct slot_node *up = slot_node_alloc();

		if (!up)
			return false;
		up->shift = n->shift + SLOT_BITS;
		up->slots[0] = (word_t)n;
		up->nr_used = 1;
		up->tags = n->tags != 0;
		ptr_store_release(root, up);
		n = up;
	}
	return true;
}

u64 *slots_find(struct slot_node **root, u64 index, bool create)
{
	struct slot_node *n;

	if (!*root || !slot_reaches(*root, index)) {
		if (!create || !grow(root, index))
			return nullptr;
	}
	for (n = *root; n->shift;) {
		u32 i = slot_index(n, index);
		struct slot_node *child = slot_child(n, i);

		if (!child) {
			if (!create)
				return nullptr;
			child = slot_node_alloc();
			if (!child)
				return nullptr;
			child->shift = n->shift - SLOT_BITS;
			slot_store(&n->slots[i], (word_t)child);
			n->nr_used++;
		}
		n = child;
	}
	return &n->slots[index & (SLOT_FANOUT - 1)];
}

#define PATH_MAX_NODES 11u
/* The nodes from the root to the leaf of index; returns how many (0: not there). */
static u32 path_to(struct slot_node *root, u64 index, struct slot_node **path)
{
	u32 depth = 0;

	if (!root || !slot_reaches(root, index))
		return 0;
	for (struct slot_node *n = root; n; n = slot_child(n, slot_index(n, index))) {
		path[depth++] = n;
		if (!n->shift)
			return depth;
	}
	return 0;
}

void slots_count(struct slot_node **root, u64 index, int delta)
{
	struct slot_node *path[PATH_MAX_NODES];
	u32 depth = path_to(*root, index, path);

	if (depth)
		path[depth - 1]->nr_used = (u8)(path[depth - 1]->nr_used + delta);
}

void slots_tag(struct slot_node *const *root, u64 index, bool on)
{
	struct slot_node *path[PATH_MAX_NODES];
	u32 depth = path_to(*root, index, path);

	while (depth--) {
		struct slot_node *n = path[depth];
		u64 bit = (u64)1 << slot_index(n, index), before = n->tags;

		n->tags = on ? before | bit : before & ~bit;
		if (on ? before != 0 : n->tags != 0)
			return;
	}
}

u64 slots_clear(struct slot_node **root, u64 index)
{
	u64 *slot = slots_find(root, index, false);
	u64 old = slot ? *slot : 0;

	if (!old)
		return 0;
	slot_store(slot, 0);
	slots_forget(root, index);
	return old;
}

void slots_forget(struct slot_node **root, u64 index)
{
	struct slot_node *path[PATH_MAX_NODES];
	u32 depth = path_to(*root, index, path);

	if (!depth)
		return;
	slots_tag(root, index, false);
	while (depth-- && --path[depth]->nr_used == 0) {
		if (depth)
			slot_store(&path[depth - 1]->slots[slot_index(path[depth - 1], index)], 0);
		else
			ptr_store_release(root, nullptr);
		slot_node_free_later(path[depth]);
	}
}

/* Searches below n, which starts at `base`; *from is raised over what is empty. */
static bool next_below(struct slot_node *n, u64 base, u64 from, u64 last, bool tagged, u64 *index,
	u64 *word)
{
	u32 first = from > base ? (u32)((from - base) >> n->shift) : 0;
	u64 map = tagged ? n->tags : ~(u64)0;

	for (u32 i = first; i < SLOT_FANOUT; i++) {
		u64 at = base + ((u64)i << n->shift);
		u64 w;

		if (at > last)
			return false;
		if (!(map >> i & 1))
			continue;
		w = slot_load(&n->slots[i]);
		if (!w)
			continue;
		if (!n->shift) {
			*index = at;
			*word = w;
			return true;
		}
		if (next_below((struct slot_node *)(word_t)w, at, MAX(from, at), last, tagged,
			    index, word))
			return true;
	}
	return false;
}

bool slots_next(struct slot_node *const *root, u64 from, u64 last, bool tagged, u64 *index,
	u64 *word)
{
	struct slot_node *n = ptr_load_acquire(root);

	if (!n || from > last || !slot_reaches(n, from))
		return false;
	return next_below(n, 0, from, last, tagged, index, word);
}
