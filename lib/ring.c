/* The ring: attaching, looking, publishing. Theory in lib/ring.h. */
#include <lib/ring.h>
#include <lib/string.h>

static atomic32_t *word_at(const struct ring *r, u32 offset)
{
	return (atomic32_t *)(r->memory + offset);
}

/* Both ways the same. */
static u32 ordered(const struct ring *r, u32 value)
{
	return r->layout.little ? le32_make(value).raw : value;
}

static u32 own_offset(const struct ring *r)
{
	return r->produces ? r->layout.tail : r->layout.head;
}

static u32 other_offset(const struct ring *r)
{
	return r->produces ? r->layout.head : r->layout.tail;
}

u64 ring_bytes(const struct ring_layout *l, u32 nr_entries)
{
	u64 words = MAX(MAX(l->head, l->tail), l->flags);

	if (!ring_size_valid(nr_entries) || !l->entry_bytes)
		return 0;
	return MAX((u64)l->entries + (u64)nr_entries * l->entry_bytes, words + sizeof(u32));
}

static int attach(struct ring *r, const struct ring_layout *l, void *memory, u64 bytes,
	u32 nr_entries, bool produces)
{
	u64 needed = ring_bytes(l, nr_entries);

	if (!needed || needed > bytes || needed > SIZE_MAX)
		return -EINVAL;
	if (!IS_ALIGNED((word_t)memory, sizeof(u32)) || (l->head | l->tail | l->flags) & 3u)
		return -EINVAL;
	*r = (struct ring){.memory = memory,
		.layout = *l,
		.nr_entries = nr_entries,
		.produces = produces};
	return 0;
}

int ring_attach(struct ring *r, const struct ring_layout *l, void *memory, u64 bytes,
	u32 nr_entries, bool produces)
{
	int error = attach(r, l, memory, bytes, nr_entries, produces);

	if (error)
		return error;
	atomic32_store(word_at(r, own_offset(r)), 0);
	atomic32_store_release(word_at(r, other_offset(r)), 0);
	if (!produces)
		ring_awake(r);
	return 0;
}

int ring_resume(struct ring *r, const struct ring_layout *l, void *memory, u64 bytes,
	u32 nr_entries, bool produces)
{
	int error = attach(r, l, memory, bytes, nr_entries, produces);
	u32 head, tail;

	if (error)
		return error;
	r->mine = ordered(r, atomic32_load_acquire(word_at(r, own_offset(r))));
	r->other = ordered(r, atomic32_load_acquire(word_at(r, other_offset(r))));
	head = produces ? r->other : r->mine;
	tail = produces ? r->mine : r->other;
	if (ring_used(head, tail) > nr_entries) {
		r->broken = true;
		return -EPROTO;
	}
	return 0;
}

/* What the other's index `seen` leaves this end to do, in entries. */
static u32 distance(const struct ring *r, u32 seen)
{
	return r->produces ? ring_room(seen, r->mine, r->nr_entries) : ring_used(r->mine, seen);
}

/* RING-I2: between the last look and the farthest possible, which is all entries. */
static s32 accept(struct ring *r, u32 seen)
{
	u32 now = distance(r, seen);

	if (unlikely(r->broken || now > r->nr_entries || now < distance(r, r->other))) {
		r->broken = true;
		return -EPROTO;
	}
	r->other = seen;
	return (s32)now;
}

s32 ring_look(struct ring *r)
{
	return accept(r, ordered(r, atomic32_load_acquire(word_at(r, other_offset(r)))));
}

static s32 may_advance(const struct ring *r, u32 nr)
{
	if (unlikely(r->broken))
		return -EPROTO;
	return nr > distance(r, r->other) ? -EINVAL : 0;
}

s32 ring_publish(struct ring *r, u32 nr)
{
	s32 error = may_advance(r, nr);

	if (error)
		return error;
	r->mine += nr;
	atomic32_store_seq(word_at(r, r->layout.tail), ordered(r, r->mine)); /* RING-I5 */
	if (!r->layout.asleep)
		return 0;
	return (ordered(r, atomic32_load_seq(word_at(r, r->layout.flags))) & r->layout.asleep) != 0;
}

s32 ring_release(struct ring *r, u32 nr)
{
	s32 error = may_advance(r, nr);

	if (error)
		return error;
	r->mine += nr;
	atomic32_store_release(word_at(r, r->layout.head), ordered(r, r->mine));
	return 0;
}

s32 ring_take(struct ring *r, void *entry)
{
	s32 nr = ring_look(r);

	if (nr <= 0)
		return nr;
	memcpy(entry, ring_entry(r, 0), r->layout.entry_bytes);
	ring_release(r, 1);
	return 1;
}

s32 ring_put(struct ring *r, const void *entry)
{
	s32 nr = ring_look(r);

	if (nr <= 0)
		return nr ? nr : -EAGAIN;
	memcpy(ring_entry(r, 0), entry, r->layout.entry_bytes);
	return ring_publish(r, 1);
}

s32 ring_sleep(struct ring *r)
{
	s32 nr;

	atomic32_fetch_or(word_at(r, r->layout.flags), ordered(r, r->layout.asleep)); /* RING-I5 */
	nr = accept(r, ordered(r, atomic32_load_seq(word_at(r, r->layout.tail))));
	if (nr)
		ring_awake(r);
	return nr;
}

void ring_awake(struct ring *r)
{
	atomic32_fetch_and(word_at(r, r->layout.flags), ~ordered(r, r->layout.asleep));
}
