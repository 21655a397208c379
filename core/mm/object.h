#pragma once
/* Memory objects, inside core/mm. */
#include <core/block_io.h>
#include <core/lock.h>
#include "mm_priv.h"
#include "slots.h"

static inline u64 frame_word(const struct frame *f)
{
	return slot_make(SLOT_RESIDENT, zone_number(&mm_zone, f));
}
/* The frame of a resident word. */
static inline struct frame *word_frame(u64 word)
{
	return &mm_zone.frames[slot_operand(word) - mm_zone.base];
}
/* The word of a page, without a lock. Grace section (any spinlock held will do). */
static inline u64 object_word(struct memory_object *o, u64 index)
{
	return slots_get(&o->slots.root, index);
}
/* Page under any state (locked, not valid), pinned; nullptr: absent. */
struct frame *object_page_any(struct memory_object *o, u64 index);
/* A fresh frame, FRAME_LOCKED or valid, becomes page `index`: the cache takes a pin. -EEXIST,
 * -ENOMEM. */
int object_insert(struct memory_object *o, u64 index, struct frame *f);
/* Drops pages [first, last]; even dirty ones. private_too: also private copies in mappings
 * (truncate). Never sleeps. */
/* Zeros behind the end in the page where the file ends, f. Context: any that may take obj.lock. */
void object_clear_tail(struct memory_object *o, struct frame *f);
void object_drop(struct memory_object *o, u64 first, u64 last, bool private_too);
/* Drops one clean, unmapped, unused page; false: it is in use. Reclaim. */
bool object_evict(struct frame *f);
/* obj.lock held: the page is no longer dirty. */
void object_clean_locked(struct memory_object *o, struct frame *f) __requires(o->obj.lock);

/* --- waiting for page states --- */
struct waitable *page_waitable(const struct frame *f);
void page_unlock(struct frame *f);
void page_wait_clear(struct frame *f, u16 flag);
/* 0, or -EINTR: the call that needs the page may be killed, and was. */
int page_wait_read(struct frame *f);

/* --- pager.c: bringing file and device pages in --- */
int pager_read(struct memory_object *o, u64 index, u32 nr_wanted, bool mapped, u8 hint);
/* Reservations of so many of o's pages end. Context: any. */
void pager_unreserve(struct memory_object *o, u32 nr_pages);
int pager_prepare(struct memory_object *o, struct frame *f);
#define PAGE_RUN_MAX 64u
struct page_run { /* consecutive pages, pinned */
	struct frame *frames[PAGE_RUN_MAX];
	u64 first;
	u32 nr;
};
enum fs_map_intent : u8;
int pager_run_io(struct memory_object *o, struct page_run *run, enum block_op op,
	enum fs_map_intent intent);
/* One request, zeroed. */
struct block_io *page_io_new(struct memory_object *o, enum block_op op, enum block_end end);
struct block_device *object_bdev(const struct memory_object *o);

/* --- lru.c / reclaim.c --- */
void lru_add(struct frame *f);
void lru_remove(struct frame *f);
void lru_counts(u64 *active, u64 *inactive);

/* --- mapper.c --- */
void mapper_add(struct memory_object *o, struct mapper *m);
void mapper_remove(struct memory_object *o, struct mapper *m);
void mappers_unmap_frame(struct memory_object *o, struct frame *f);
void mappers_unmap_range(struct memory_object *o, u64 first, u64 last, bool private_too);
/* Takes write rights from all translations of a page: the next write faults and marks it dirty
 * again. */
void mappers_protect_frame(struct memory_object *o, struct frame *f);
bool mappers_age_frame(struct memory_object *o, struct frame *f);

/* --- writeback.c --- */
void writeback_object_dirtied(struct memory_object *o);
void writeback_throttle(void);
void writeback_piece_add(struct frame *f);
void writeback_page_end(struct memory_object *o, struct frame *f, s32 status);
void writeback_kick(void);
/* The calling thread is the one that cleans: it takes the reserve rather than wait for itself. */
bool writeback_is_self(void);
/* Sleeps until some write-back ended or 100 ms passed; false: there is none to wait for. */
bool writeback_wait_progress(void);
