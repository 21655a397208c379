/*
 * Memory objects: pages of files, shared memory, devices, behind one tree of slot words.
 *
 * Purpose: the one record of where a page of an object is. Vocabulary: resident: a word names a
 * frame; pager: who brings an absent page (zero fill, file system and block I/O); mapper: who may
 * have translations to the object's pages; prepared: the file system has reserved what writing the
 * page back will need.
 *
 * Objects and lifetimes: the object lives by references (inode, regions). A resident page has one
 * pin by the tree; translations have none: who takes a word out invalidates the mappers before the
 * tree's pin goes.
 *
 * Invariants: O1 f->object == o and f->index == i iff o's word i names f, or f is being taken out
 * by the one who cleared the word. O2 FRAME_DIRTY iff the tag of its slot, counted in nr_dirty
 * (objects with a pager behind them; shared memory has no write-back). O3 a translation is entered
 * under the space's page lock after mapcount was raised and the word looked at again; a word is
 * cleared before mapcount is looked at: one of the two sees the other.
 *
 * Locks: obj.lock for words, tags, counts; readers of words are lock-free in a grace section and
 * pin before they trust.
 *
 * Failure: -ENOMEM, -EIO (the page leaves the cache so that the next use tries again). Replacement:
 * pagers are components behind fs_map.
 *
 * Cost: a lookup of a 2-level tree: about 40 instructions with the pin.
 */
#include "object.h"
#include <core/node.h>
#include <core/sched.h>

#define PAGE_WAITABLES        64u
#define DROP_BATCH            32u
#define MEMORY_FOR_PAGE_BYTES 65536u

static struct waitable page_waitables[PAGE_WAITABLES];
static struct slab_cache *node_cache;

struct slot_node_box { /* a node with what its late release needs */
	struct slot_node node;
	struct grace_head grace;
};

void mm_objects_init(void)
{
	node_cache = slab_create("slot_node", sizeof(struct slot_node_box), sizeof(word_t));
	for (u32 i = 0; i < PAGE_WAITABLES; i++)
		waitable_init(&page_waitables[i]);
}

struct slot_node *slot_node_alloc(void)
{
	struct slot_node *n = slab_zalloc(node_cache);

	if (n)
		refcount_set(&n->refs, 1);
	return n;
}

void slot_node_free(struct slot_node *n)
{
	slab_free(node_cache, n);
}

void slot_node_free_later(struct slot_node *n)
{
	grace_defer(&container_of(n, struct slot_node_box, node)->grace, GRACE_SLAB_FREE, n);
}

/* --- page states --- */

struct waitable *page_waitable(const struct frame *f)
{
	return &page_waitables[(vaddr_t)f / sizeof(*f) % PAGE_WAITABLES];
}

void page_unlock(struct frame *f)
{
	frame_flag_clear(f, FRAME_LOCKED);
	waitable_wake(page_waitable(f), EV_IN, 0);
}

void page_wait_clear(struct frame *f, u16 flag)
{
	wait_event(page_waitable(f), EV_IN, !(frame_flags(f) & flag), 0);
}

int page_wait_read(struct frame *f)
{
	return wait_event(page_waitable(f), EV_IN, !(frame_flags(f) & FRAME_LOCKED),
		call_need_wait_flags());
}

/* --- objects --- */

struct memory_object *memory_object_create(enum memory_kind kind, u64 size_bytes, struct account *a)
{
	struct memory_object *o = kzalloc(sizeof(*o));

	if (!o)
		return nullptr;
	object_init(&o->obj, OBJECT_MEMORY, LOCK_LEVEL_MEMOBJ, a);
	o->kind = kind;
	o->evictable = kind == MEMORY_FILE || kind == MEMORY_BLOCK;
	o->size_bytes = size_bytes;
	o->seals = SEAL_SEAL;
	spin_init(&o->mapper_lock, LOCK_LEVEL_MAPPERS);
	list_init(&o->mappers);
	list_init(&o->dirty);
	waitable_init(&o->writeback_done);
	return o;
}

void object_release_memory(struct object *obj)
{
	struct memory_object *o = container_of(obj, struct memory_object, obj);

	object_drop(o, 0, ~0ull, false);
	if (o->slots.root) /* empty nodes left by failed insertions */
		slot_node_free_later(o->slots.root);
	KASSERT(list_empty(&o->mappers));
	object_free(obj);
}

struct frame *object_page_any(struct memory_object *o, u64 index)
{
	struct frame *f = nullptr;

	grace_read_begin();
	for (;;) {
		u64 word = object_word(o, index);
		u32 pins;

		if (slot_kind_of(word) != SLOT_RESIDENT)
			break;
		f = word_frame(word);
		pins = atomic32_load(&f->pins);
		while (pins && !atomic32_cas(&f->pins, &pins, pins + 1))
			;
		if (pins && likely(object_word(o, index) == word))
			break;
		if (pins)
			frame_unpin(f);
		f = nullptr;
	}
	grace_read_end();
	return f;
}

struct frame *memory_page_try(struct memory_object *o, u64 index)
{
	struct frame *f = object_page_any(o, index);
	u16 flags;

	if (!f)
		return nullptr;
	flags = frame_flags(f);
	if (unlikely(!(flags & FRAME_UPTODATE))) {
		frame_unpin(f);
		return nullptr;
	}
	if (!(flags & FRAME_REFERENCED))
		frame_flag_set(f, FRAME_REFERENCED);
	return f;
}

static void count_resident(struct memory_object *o, sword_t delta)
{
	WRITE_ONCE(o->nr_resident, o->nr_resident + (u64)delta);
	if (delta < 0 && o->kind == MEMORY_SHMEM)
		memory_uncharge_page(o);
	switch (o->kind) {
	case MEMORY_ANON:
	case MEMORY_SHMEM:
		mm_count(&mm_counters.shmem, delta);
		mm_count(&mm_counters.cached, delta);
		break;
	case MEMORY_FILE:
		mm_count(&mm_counters.cached, delta);
		break;
	case MEMORY_BLOCK:
		mm_count(&mm_counters.buffers, delta);
		break;
	case MEMORY_DEVICE:
		break;
	}
}

int object_insert(struct memory_object *o, u64 index, struct frame *f)
{
	u64 *slot;
	int r = 0;

	if (o->kind == MEMORY_SHMEM && !memory_charge_page(o))
		return -ENOSPC;
	spin_lock(&o->obj.lock);
	slot = slots_find(&o->slots.root, index, true);
	if (!slot) {
		r = -ENOMEM;
	} else if (*slot) {
		r = -EEXIST;
	} else {
		f->object = o;
		f->index = index;
		frame_pin(f);
		slot_store(slot, frame_word(f));
		slots_count(&o->slots.root, index, 1);
		count_resident(o, 1);
		/* Before anybody can take it out: object_drop's lru_remove must find it. */
		if (o->evictable)
			lru_add(f);
	}
	spin_unlock(&o->obj.lock);
	if (r && o->kind == MEMORY_SHMEM)
		memory_uncharge_page(o);
	return r;
}

void object_clean_locked(struct memory_object *o, struct frame *f)
{
	if (!(frame_flags(f) & FRAME_DIRTY))
		return;
	frame_flag_clear(f, FRAME_DIRTY);
	if (!o->evictable)
		return;
	slots_tag(&o->slots.root, f->index, false);
	WRITE_ONCE(o->nr_dirty, o->nr_dirty - 1);
	mm_count(&mm_counters.dirty, -1);
}

/* Takes up to DROP_BATCH words of [*from, last] out; raises *from. Returns how many frames. */
static u32 take_batch(struct memory_object *o, u64 *from, u64 last, struct frame **frames)
{
	u64 index, word;
	u32 nr = 0;

	spin_lock(&o->obj.lock);
	while (nr < DROP_BATCH && slots_next(&o->slots.root, *from, last, false, &index, &word)) {
		struct frame *f = word_frame(word);

		object_clean_locked(o, f);
		slots_clear(&o->slots.root, index);
		count_resident(o, -1);
		frames[nr++] = f;
		*from = index + 1;
		if (index == ~0ull)
			break;
	}
	spin_unlock(&o->obj.lock);
	return nr;
}

void object_drop(struct memory_object *o, u64 first, u64 last, bool private_too)
{
	struct frame *frames[DROP_BATCH];
	u64 from = first;
	u32 nr;

	if (private_too)
		mappers_unmap_range(o, first, last, true);
	while ((nr = take_batch(o, &from, last, frames)) != 0) {
		for (u32 i = 0; i < nr; i++) {
			struct frame *f = frames[i];

			if (atomic32_load_seq(&f->mapcount))
				mappers_unmap_frame(o, f);
			lru_remove(f);
			WRITE_ONCE(f->object, nullptr);
			if (o->kind == MEMORY_FILE && frame_flag_test_and_clear(f, FRAME_DELAYED))
				pager_unreserve(o, 1);
			frame_unpin(f);
		}
	}
}

bool object_evict(struct frame *f)
{
	struct memory_object *o = f->object;
	bool ok = false;

	/* Pins: the tree's and the caller's. The caller's pin keeps the frame, the look at
	 * f->object under the lock tells that o lives. */
	spin_lock(&o->obj.lock);
	if (f->object == o && atomic32_load_seq(&f->pins) == 2 &&
		!atomic32_load_seq(&f->mapcount) &&
		!(frame_flags(f) &
			(FRAME_DIRTY | FRAME_WRITEBACK | FRAME_LOCKED | FRAME_PREPARED))) {
		u64 *slot = slots_find(&o->slots.root, f->index, false);

		slot_store(slot, 0);
		/* A reader may have pinned it between our look and the store: give it back. */
		if (atomic32_load_seq(&f->pins) == 2 && !atomic32_load_seq(&f->mapcount)) {
			slots_forget(&o->slots.root, f->index);
			count_resident(o, -1);
			ok = true;
		} else {
			slot_store(slot, frame_word(f));
		}
	}
	spin_unlock(&o->obj.lock);
	if (!ok)
		return false;
	lru_remove(f);
	WRITE_ONCE(f->object, nullptr);
	frame_unpin(f);
	return true;
}

int memory_object_invalidate(struct memory_object *o, u64 first, u64 nr)
{
	u64 last = nr && checked_add(first, nr - 1, &last) ? first + nr - 1 : ~0ull, index, word;
	int r = 0;

	while (nr && READ_ONCE(o->nr_resident)) {
		struct frame *f;
		bool any;

		grace_read_begin();
		any = slots_next(&o->slots.root, first, last, false, &index, &word);
		grace_read_end();
		if (!any)
			break;
		f = object_page_any(o, index);
		if (f) {
			page_wait_clear(f, FRAME_LOCKED);
			if (atomic32_load_seq(&f->mapcount))
				mappers_unmap_frame(o, f);
			if (!object_evict(f) && f->object == o)
				r = -EBUSY;
			frame_unpin(f);
		}
		if (index >= last)
			break;
		first = index + 1;
		cond_resched();
	}
	return r;
}

/* --- getting pages --- */

static int fill_zero(struct memory_object *o, u64 index)
{
	struct frame *f = frame_alloc(0, FRAME_ALLOC_ZERO, o->obj.account);
	int r;

	if (!f)
		return -ENOMEM;
	f->flags = FRAME_UPTODATE;
	r = object_insert(o, index, f);
	frame_unpin(f);
	return r == -EEXIST ? 0 : r;
}

static int page_bring(struct memory_object *o, u64 index, bool write, bool overwrite)
{
	switch (o->kind) {
	case MEMORY_ANON:
	case MEMORY_SHMEM:
		return fill_zero(o, index);
	case MEMORY_DEVICE:
		return -EFAULT;
	case MEMORY_FILE:
		/* Behind the end there is nothing on disk; a write that extends the file begins
		 * with zeros. */
		if (index >= memory_object_pages(o) || overwrite) {
			struct frame *f = object_page_any(o, index);

			if (!f)
				return fill_zero(o, index);
			frame_unpin(f);
		}
		return pager_read(o, index, 1, false, 0);
	case MEMORY_BLOCK:
		if (index >= memory_object_pages(o))
			return write ? -ENOSPC : -EIO;
		return pager_read(o, index, 1, false, 0);
	}
	return -EINVAL;
}

static int page_get(struct memory_object *o, u64 index, bool write, bool overwrite,
	struct frame **out)
{
	u32 tries = 0;

	if (write && o->evictable)
		writeback_throttle();
	for (;;) {
		struct frame *f = memory_page_try(o, index);
		int r;

		if (!f) {
			r = page_bring(o, index, write, overwrite);
			/* kernel memory beside the page itself: tree nodes, requests */
			if (r == -ENOMEM && tries++ < 8 && !mm_reclaim_for(MEMORY_FOR_PAGE_BYTES))
				continue;
			if (r)
				return r;
			continue;
		}
		if (write && o->kind == MEMORY_FILE && !(frame_flags(f) & FRAME_PREPARED)) {
			r = pager_prepare(o, f);
			if (r) {
				frame_unpin(f);
				if (r == -EAGAIN)
					continue;
				return r;
			}
		}
		*out = f;
		return 0;
	}
}

int memory_page_get(struct memory_object *o, u64 index, bool write, struct frame **out)
{
	return page_get(o, index, write, false, out);
}

int memory_page_get_overwrite(struct memory_object *o, u64 index, struct frame **out)
{
	return page_get(o, index, true, true, out);
}

void memory_page_mark_dirty(struct memory_object *o, struct frame *f)
{
	bool first = false;

	if (unlikely(frame_flags(f) & FRAME_CODE))
		frame_flag_clear(f, FRAME_CODE);
	if (frame_flags(f) & FRAME_DIRTY)
		return;
	if (!o->evictable) {
		frame_flag_set(f, FRAME_DIRTY);
		return;
	}
	spin_lock(&o->obj.lock);
	if (f->object == o && !(frame_flags(f) & FRAME_DIRTY)) {
		frame_flag_set(f, FRAME_DIRTY);
		slots_tag(&o->slots.root, f->index, true);
		first = o->nr_dirty == 0;
		WRITE_ONCE(o->nr_dirty, o->nr_dirty + 1);
		mm_count(&mm_counters.dirty, 1);
	}
	spin_unlock(&o->obj.lock);
	if (first)
		writeback_object_dirtied(o);
}

/* --- sizes --- */

/* A write may have copied its bytes behind the end and not yet moved that: it sees by
 * nr_tail_clears that it must copy again. */
void object_clear_tail(struct memory_object *o, struct frame *f)
{
	u64 start = f->index << PAGE_SHIFT, size = READ_ONCE(o->size_bytes);

	if (start >= size || size - start >= PAGE_BYTES)
		return;
	spin_lock(&o->obj.lock);
	size = o->size_bytes;
	if (READ_ONCE(f->object) == o && start < size && size - start < PAGE_BYTES) {
		u8 *p = page_begin(f);

		memset(p + (size - start), 0, PAGE_BYTES - (size_t)(size - start));
		page_end(f, p);
		atomic32_store_release(&o->nr_tail_clears, atomic32_load(&o->nr_tail_clears) + 1);
	}
	spin_unlock(&o->obj.lock);
}

/* Bytes [from, to) of one page become zero; a page that is not here is the pager's (it clears what
 * lies behind the end). */
static void zero_in_page(struct memory_object *o, u64 index, size_t from, size_t to)
{
	struct frame *f = memory_page_try(o, index);
	u8 *p;

	if (!f)
		return;
	/* Under write-back: the disk may get either. The page is dirty from here on, and is written
	 * once more. */
	spin_lock(&o->obj.lock);
	p = page_begin(f);
	memset(p + from, 0, to - from);
	page_end(f, p);
	spin_unlock(&o->obj.lock);
	memory_page_mark_dirty(o, f);
	frame_unpin(f);
}

void memory_object_truncate(struct memory_object *o, u64 new_size)
{
	u64 old;

	spin_lock(&o->obj.lock);
	old = o->size_bytes;
	WRITE_ONCE(o->size_bytes, new_size);
	spin_unlock(&o->obj.lock);
	if (new_size >= old)
		return;
	object_drop(o, memory_object_pages(o), ~0ull, true);
	if (new_size & (PAGE_BYTES - 1))
		zero_in_page(o, new_size >> PAGE_SHIFT, (size_t)(new_size & (PAGE_BYTES - 1)),
			PAGE_BYTES);
}

void memory_object_drop_range(struct memory_object *o, u64 first, u64 nr)
{
	u64 last;

	if (!nr)
		return;
	if (!checked_add(first, nr - 1, &last))
		last = ~0ull;
	object_drop(o, first, last, false);
}

void memory_object_zero_range(struct memory_object *o, u64 offset, u64 bytes)
{
	u64 end, first, last;

	if (!bytes || !checked_add(offset, bytes, &end))
		return;
	first = (offset + PAGE_BYTES - 1) >> PAGE_SHIFT;
	last = end >> PAGE_SHIFT;
	if (offset >> PAGE_SHIFT == last) {
		zero_in_page(o, last, (size_t)(offset & (PAGE_BYTES - 1)),
			(size_t)(end & (PAGE_BYTES - 1)));
		return;
	}
	if (offset & (PAGE_BYTES - 1))
		zero_in_page(o, offset >> PAGE_SHIFT, (size_t)(offset & (PAGE_BYTES - 1)),
			PAGE_BYTES);
	if (end & (PAGE_BYTES - 1))
		zero_in_page(o, last, 0, (size_t)(end & (PAGE_BYTES - 1)));
	if (last > first)
		memory_object_drop_range(o, first, last - first);
}

u64 memory_object_next_data(struct memory_object *o, u64 from_page)
{
	u64 index = ~0ull, word;

	grace_read_begin();
	if (!slots_next(&o->slots.root, from_page, ~0ull, false, &index, &word))
		index = ~0ull;
	grace_read_end();
	return index;
}
