/*
 * Private pages: sharing families.
 *
 * Purpose: which frame a private page of a space is. Vocabulary: family: the spaces that came from
 * one another by fork; they share the nodes of their trees until one of them writes.
 *
 * Objects and lifetimes: a node counts its parents (inner nodes and roots). A word in a leaf pins
 * its frame once, however many spaces share the leaf.
 *
 * Invariants: A1 a node with more than one parent is never changed: who wants to write copies the
 * path from the root, which raises the counts of the copied nodes' children (of a leaf: the pins of
 * its frames) by one.  A2 a frame may be written in place by a space iff every node on the way to
 * its word has one parent and the frame has one pin.  A3 a space's writable translations are to
 * such frames only: fork takes write rights from all of them.
 *
 * Locks: the space's page lock for its own tree; nodes shared with others are read-only, their
 * counts atomic. A count of one is read with acquire, for what others read and pinned before they
 * dropped theirs: else the node could be changed under their copying, or (A2) the frame's pins seen
 * as they were before.
 *
 * Failure: no memory for a copy: nothing changed. Replacement: core. Cost: fork: one increment,
 * however large the space; a first write after it: one leaf (64 words) and rarely its parents; exit
 * of a child that wrote little: little.
 */
#include "anon.h"

struct anon_word anon_get(struct slot_node *root, u64 vpn)
{
	struct slot_node *n = root;
	bool exclusive = true;

	if (!n || !slot_reaches(n, vpn))
		return (struct anon_word){};
	for (;;) {
		u64 w = n->slots[slot_index(n, vpn)];

		exclusive &= refcount_is_one(&n->refs);
		if (!n->shift || !w)
			return (struct anon_word){n->shift ? 0 : w, exclusive};
		n = (struct slot_node *)(word_t)w;
	}
}

static void node_put(struct slot_node *n)
{
	if (!refcount_dec_and_test(&n->refs))
		return;
	for (u32 i = 0; n->nr_used && i < SLOT_FANOUT; i++) {
		if (!n->slots[i])
			continue;
		n->nr_used--;
		if (n->shift)
			node_put((struct slot_node *)(word_t)n->slots[i]); /* at most 11 deep */
		else
			anon_word_put(n->slots[i]);
	}
	slot_node_free(n);
}

void anon_drop(struct slot_node *root)
{
	if (root)
		node_put(root);
}

/* A private copy of the shared node at *link (A1). */
static struct slot_node *node_own(struct slot_node *n)
{
	struct slot_node *copy;

	if (refcount_is_one(&n->refs))
		return n;
	copy = slot_node_alloc();
	if (!copy)
		return nullptr;
	copy->shift = n->shift;
	copy->nr_used = n->nr_used;
	for (u32 i = 0, left = n->nr_used; left && i < SLOT_FANOUT; i++) {
		u64 w = n->slots[i];

		copy->slots[i] = w;
		if (!w)
			continue;
		left--;
		if (n->shift)
			refcount_inc(&((struct slot_node *)(word_t)w)->refs);
		else
			anon_word_get(w);
	}
	node_put(n);
	return copy;
}

static struct slot_node *root_own(struct slot_node **root, u64 vpn)
{
	struct slot_node *n = *root;

	if (!n) {
		n = slot_node_alloc();
		if (!n)
			return nullptr;
		while (!slot_reaches(n, vpn))
			n->shift += SLOT_BITS;
		return *root = n;
	}
	while (!slot_reaches(n, vpn)) {
		struct slot_node *up = slot_node_alloc();

		if (!up)
			return nullptr;
		up->shift = n->shift + SLOT_BITS;
		up->slots[0] = (word_t)n;
		up->nr_used = 1;
		n = *root = up;
	}
	n = node_own(n);
	if (n)
		*root = n;
	return n;
}

u64 *anon_own(struct slot_node **root, u64 vpn)
{
	struct slot_node *n = root_own(root, vpn);

	if (!n)
		return nullptr;
	while (n->shift) {
		u64 *slot = &n->slots[slot_index(n, vpn)];
		struct slot_node *child = (struct slot_node *)(word_t)*slot;

		if (!child) {
			child = slot_node_alloc();
			if (!child)
				return nullptr;
			child->shift = n->shift - SLOT_BITS;
			n->nr_used++;
		} else {
			child = node_own(child);
			if (!child)
				return nullptr;
		}
		*slot = (word_t)child;
		n = child;
	}
	return &n->slots[vpn & (SLOT_FANOUT - 1)];
}

void anon_used(struct slot_node **root, u64 vpn, int delta)
{
	slots_count(root, vpn, delta);
}

/* Number of words below n (for accounting when a whole shared subtree goes). */
static s64 count_below(const struct slot_node *n)
{
	s64 nr = 0;

	if (!n->shift)
		return n->nr_used;
	for (u32 i = 0, left = n->nr_used; left && i < SLOT_FANOUT; i++) {
		if (!n->slots[i])
			continue;
		left--;
		nr += count_below((const struct slot_node *)(word_t)n->slots[i]);
	}
	return nr;
}

/* n is ours alone. Returns false: no memory. */
static bool clear_below(struct slot_node *n, u64 base, u64 first, u64 last, s64 *nr)
{
	u32 i = first > base ? (u32)((first - base) >> n->shift) : 0;
	u64 span = ((u64)1 << n->shift) - 1;

	for (; n->nr_used && i < SLOT_FANOUT; i++) {
		u64 at = base + ((u64)i << n->shift);
		struct slot_node *child;

		if (at > last)
			return true;
		if (!n->slots[i])
			continue;
		if (!n->shift) {
			anon_word_put(n->slots[i]);
			n->slots[i] = 0;
			n->nr_used--;
			++*nr;
			continue;
		}
		child = (struct slot_node *)(word_t)n->slots[i];
		if (first <= at && at + span <= last) {
			*nr += count_below(child);
			node_put(child);
			n->slots[i] = 0;
			n->nr_used--;
			continue;
		}
		child = node_own(child);
		if (!child)
			return false;
		n->slots[i] = (word_t)child;
		if (!clear_below(child, at, first, last, nr))
			return false;
		if (!child->nr_used) {
			node_put(child);
			n->slots[i] = 0;
			n->nr_used--;
		}
	}
	return true;
}

s64 anon_clear(struct slot_node **root, u64 first, u64 last)
{
	struct slot_node *n = *root;
	u64 vpn, word;
	s64 nr = 0;

	if (!n || !slot_reaches(n, first) || !anon_next(n, first, last, &vpn, &word))
		return 0;
	n = node_own(n);
	if (!n)
		return -1;
	*root = n;
	if (!clear_below(n, 0, first, last, &nr))
		return -1;
	if (!n->nr_used) {
		node_put(n);
		*root = nullptr;
	}
	return nr;
}

bool anon_next(struct slot_node *root, u64 from, u64 last, u64 *vpn, u64 *word)
{
	return slots_next(&root, from, last, false, vpn, word);
}
