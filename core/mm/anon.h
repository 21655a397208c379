#pragma once
/*
 * Private memory: one tree of slot words per address space, indexed by virtual page number, shared
 * copy-on-write over fork. Pure but for the two frame functions; the caller holds the space's page
 * lock. Theory: anon.c.
 */
#include <core/frame.h>
#include "slots.h"

struct anon_word {
	u64 word;
	bool exclusive; /* nobody else's tree holds this leaf: the frame is ours alone if its pins
			   say so */
};
/* The word of page `vpn`; 0: none. */
struct anon_word anon_get(struct slot_node *root, u64 vpn);
/* Where to write the word of page `vpn`: shared nodes on the way are copied. nullptr: no memory. */
u64 *anon_own(struct slot_node **root, u64 vpn);
/* After a word was stored into / removed from *anon_own(). */
void anon_used(struct slot_node **root, u64 vpn, int delta);
/* The tree of the child: the parent's, shared. */
static inline struct slot_node *anon_share(struct slot_node *root)
{
	if (root)
		refcount_inc(&root->refs);
	return root;
}
/* Empties [first, last]; frames lose a pin. Returns how many pages went, -1: no memory to copy a
 * shared node (some may have gone). */
s64 anon_clear(struct slot_node **root, u64 first, u64 last);
void anon_drop(struct slot_node *root);
/* Pages in the tree. */
bool anon_next(struct slot_node *root, u64 from, u64 last, u64 *vpn, u64 *word);

/* Supplied by the kernel and by tests: a leaf that holds this word was copied / went. */
void anon_word_get(u64 word);
void anon_word_put(u64 word);
