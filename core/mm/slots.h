#pragma once
/*
 * Slot trees: 64-bit slot words by page index, 64 to a node; pure (host tests), locks are the
 * users'. A memory object's tree is read without locks; an address space's private tree shares
 * nodes over fork (anon.c).
 */
#include <lib/types.h>
#include <lib/atomic.h>
#include <lib/compiler.h>

#define SLOT_BITS   6u
#define SLOT_FANOUT 64u
struct slot_node {
	refcount_t refs; /* parents and roots; > 1: shared over fork, never changed */
	u8 shift;        /* 0: leaf, its slots are words; else child pointers */
	u8 nr_used;
	u64 tags; /* a bit per slot: dirty somewhere below (memory objects) */
	u64 slots[SLOT_FANOUT];
};
/* Slot words: low 4 bits kind, rest operand (the frame number of a resident page). */
static inline u64 slot_make(u8 kind, u64 operand)
{
	return operand << 4 | kind;
}
static inline u8 slot_kind_of(u64 word)
{
	return word & 15;
}
static inline u64 slot_operand(u64 word)
{
	return word >> 4;
}
/* A word that others change. 32-bit machines: the low half holds kind and the low 28 bits of the
 * frame number, which is all there is. */
static inline u64 slot_load(const u64 *slot)
{
	if (sizeof(word_t) == 8)
		return shared_load_acquire((const word_t *)slot);
	return shared_load_acquire((const u32 *)slot + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__));
}
static inline void slot_store(u64 *slot, u64 value)
{
	if (sizeof(word_t) == 8)
		shared_store_seq((word_t *)slot, (word_t)value);
	else
		shared_store_seq((u32 *)slot + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__),
			(u32)value);
}
static inline struct slot_node *slot_child(const struct slot_node *n, u32 i)
{
	return (struct slot_node *)(word_t)slot_load(&n->slots[i]);
}
static inline u32 slot_index(const struct slot_node *n, u64 index)
{
	return (u32)(index >> n->shift) & (SLOT_FANOUT - 1);
}
/* Does the subtree of a root node reach this index? */
static inline bool slot_reaches(const struct slot_node *n, u64 index)
{
	return n->shift + SLOT_BITS >= 64 || index >> (n->shift + SLOT_BITS) == 0;
}

/* Supplied by the kernel (object.c) and by tests. Zeroed, refs 1; nullptr: no memory. */
struct slot_node *slot_node_alloc(void);
void slot_node_free(struct slot_node *n);       /* at once */
void slot_node_free_later(struct slot_node *n); /* lock-free readers may stand in it */

/* --- memory objects --- */
/* The word of `index`, 0 when there is none. Readers: in a grace section. */
u64 slots_get(struct slot_node *const *root, u64 index);
/* Where the word is kept; nodes are made on the way when `create`. nullptr: absent, or no memory.
 */
u64 *slots_find(struct slot_node **root, u64 index, bool create);
/* Empties one slot and frees the nodes that become empty. Returns the old word. */
u64 slots_clear(struct slot_node **root, u64 index);
/* The same after the caller stored 0 into the slot itself. */
void slots_forget(struct slot_node **root, u64 index);
/* The first index >= from (<= last) whose word is not empty; false: none. tagged: only those with
 * the tag. */
bool slots_next(struct slot_node *const *root, u64 from, u64 last, bool tagged, u64 *index,
	u64 *word);
void slots_tag(struct slot_node *const *root, u64 index, bool on);
void slots_count(struct slot_node **root, u64 index,
	int delta); /* a word became non-empty / empty in place */
