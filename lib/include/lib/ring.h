#pragma once
/*
 * The ring: fixed entries from one producer to one consumer, through memory that both reach.
 *
 * Purpose: the one checked core of every ring: between a CPU and a reader in core, between core and
 * a driver host, between a program and core. Several producers have a ring each.
 *
 * Vocabulary: tail = entries ever published, the producer writes it; head = entries ever taken, the
 * consumer writes it; both are 32-bit and free-running. Layout = where in the memory the two, the
 * flags and the entries lie, and in which byte order. End = what one side knows, in memory of its
 * own (struct ring). Broken = the other side has written what no honest one writes.
 *
 * Objects and lifetimes: the owner of the memory attaches an end to it for each side that is core's
 * (or the component's); it lives as long as the owner says, and nothing here allocates.
 *
 * Invariants:
 *  RING-I1 An end never reads back its own index: what the other side does to it changes nothing.
 *  RING-I2 The other's index is read once a look, and taken only when it lies between its last
 *          value and the farthest that is possible; else the ring is broken, and stays it.
 *  RING-I3 No pointer that an end gives lies outside of the memory that it was attached to.
 *  RING-I4 tail - head <= the number of entries, a power of two, at every instant.
 *  RING-I5 No wake is lost: the consumer stores `asleep` and looks again, the producer stores the
 *          tail and looks at `asleep`, all four sequentially consistent (no fence stands alone).
 *
 * An entry that the other side can still write is copied once (ring_take) and looked at in the
 * copy: what ring_entry points to may change under the reader's eyes unless the producer is
 * trusted.
 *
 * Locks: none. Each end has one user at a time: its owner's lock, CPU or thread sees to that.
 * Failure and recovery: a broken ring answers -EPROTO to everything until it is attached anew; its
 * owner treats the other side as one that broke its contract. Replacement: the layout is the
 * contract; indices lie in the shared memory, so a new end may be made from them (ring_resume).
 * Cost: one acquire load for a look, one sequentially consistent store and load to publish.
 */
#include <lib/atomic.h>
#include <lib/endian.h>
#include <lib/errno.h>
#include <lib/types.h>

#define RING_LINE_BYTES  64u /* indices of different writers never share a cache line */
#define RING_ENTRIES_MAX (1u << 30)

/* --- the arithmetic alone: also for rings both ends of which are under one lock --- */
/* The place of a free-running index; nr: a power of two. */
static inline u32 ring_at(u32 index, u32 nr)
{
	return index & (nr - 1);
}
static inline u32 ring_used(u32 head, u32 tail)
{
	return tail - head;
}
static inline u32 ring_room(u32 head, u32 tail, u32 nr)
{
	return nr - (tail - head);
}
static inline bool ring_size_valid(u32 nr)
{
	return nr && nr <= RING_ENTRIES_MAX && !(nr & (nr - 1));
}

/* --- layouts --- */
struct ring_layout {
	u32 head, tail, flags, entries; /* offsets in bytes */
	u32 asleep; /* bit of the flags, which the consumer alone writes; 0: nobody asks */
	u32 entry_bytes;
	bool little; /* head, tail and flags are little-endian, wherever they are read */
};

/* Both sides are this machine. */
static inline struct ring_layout ring_native(u32 entry_bytes)
{
	return (struct ring_layout){.head = 0,
		.tail = RING_LINE_BYTES,
		.flags = 2 * RING_LINE_BYTES,
		.entries = 3 * RING_LINE_BYTES,
		.asleep = 1,
		.entry_bytes = entry_bytes};
}
/* The other side may be another machine. */
static inline struct ring_layout ring_wire(u32 entry_bytes)
{
	struct ring_layout l = ring_native(entry_bytes);

	l.little = true;
	return l;
}
/* io_uring(7): both rings of an instance in one mapping, where io_uring_setup(2) tells the program
 * that they are. Completions first, then the submissions' array of u32. */
#define RING_URING_COMPLETION_BYTES 16u
#define RING_URING_NEED_WAKEUP      1u /* IORING_SQ_NEED_WAKEUP */
static inline struct ring_layout ring_uring_completions(void)
{
	return (struct ring_layout){.head = 2 * RING_LINE_BYTES,
		.tail = 3 * RING_LINE_BYTES,
		.flags = 4 * RING_LINE_BYTES + 4,
		.entries = 5 * RING_LINE_BYTES,
		.entry_bytes = RING_URING_COMPLETION_BYTES};
}
static inline struct ring_layout ring_uring_submissions(u32 nr_completions)
{
	return (struct ring_layout){.head = 0,
		.tail = RING_LINE_BYTES,
		.flags = 4 * RING_LINE_BYTES,
		.entries = 5 * RING_LINE_BYTES + nr_completions * RING_URING_COMPLETION_BYTES,
		.asleep = RING_URING_NEED_WAKEUP,
		.entry_bytes = sizeof(u32)};
}
/* Bytes of memory that a ring takes; 0: there is no such ring. */
u64 ring_bytes(const struct ring_layout *l, u32 nr_entries);

/* --- one end --- */
struct ring {
	u8 *memory;
	struct ring_layout layout;
	u32 nr_entries;
	u32 mine, other; /* own index; the other's as it was last seen */
	bool produces, broken;
};

/* An end of an empty ring, whose indices it clears: both ends are attached before either is used.
 * Owns: nothing; `memory` stays the caller's and must outlive the end.
 * Errors: -EINVAL: no such ring, `bytes` does not hold it, or the memory is not aligned to 4. */
int ring_attach(struct ring *r, const struct ring_layout *l, void *memory, u64 bytes,
	u32 nr_entries, bool produces);
/* An end of a ring that has been in use: takes both indices from the memory.
 * Errors: as ring_attach; -EPROTO: they are not those of a ring. */
int ring_resume(struct ring *r, const struct ring_layout *l, void *memory, u64 bytes,
	u32 nr_entries, bool produces);

/* Producer: entries there is room for; consumer: entries that wait. -EPROTO: broken. */
s32 ring_look(struct ring *r);
/* The nth entry from the own index on: to fill (producer) or to read (consumer); n below what
 * ring_look last said. RING-I3 holds for any n. */
static inline void *ring_entry(const struct ring *r, u32 n)
{
	return r->memory + r->layout.entries +
	       (size_t)ring_at(r->mine + n, r->nr_entries) * r->layout.entry_bytes;
}
/* Producer: publishes the next `nr` entries. 1: the consumer is asleep and must be woken, 0: it is
 * not. Errors: -EPROTO broken, -EINVAL more than ring_look said there was room for. */
s32 ring_publish(struct ring *r, u32 nr);
/* Consumer: the next `nr` entries are done with, and may be overwritten. Errors: as ring_publish.
 */
s32 ring_release(struct ring *r, u32 nr);
/* Consumer: copies the next entry, once, and releases it. 1: done, 0: there is none, -EPROTO. */
s32 ring_take(struct ring *r, void *entry);
/* Producer: copies one entry in and publishes it: as ring_publish; -EAGAIN: no room. */
s32 ring_put(struct ring *r, const void *entry);
/* Consumer, before it sleeps: 0: the producer will wake it; more: entries came meanwhile, and it
 * counts as awake; -EPROTO. */
s32 ring_sleep(struct ring *r);
/* Consumer: awake, whoever woke it. */
void ring_awake(struct ring *r);
