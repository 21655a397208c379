#pragma once
/* The frame table's entry: one per page frame (core/mm/frame.c). Pure data, so that host tests see
 * it too. */
#include <lib/types.h>
#include <lib/atomic.h>
#include <lib/list.h>
enum frame_flag : u16 {
	FRAME_SLAB = 2,
	FRAME_DIRTY = 4,     /* its object's lock */
	FRAME_WRITEBACK = 8, /* its object's lock; the end of I/O clears it */
	FRAME_ERROR = 16,    /* reading it failed */
	FRAME_ACTIVE = 32,   /* on the active list; LRU lock */
	FRAME_RESERVED = 64, /* never handed out: firmware, the kernel image, holes */
	FRAME_UPTODATE = 128,
	FRAME_LOCKED = 256, /* a read is in flight or a pager prepares it */
	FRAME_PAGETABLE = 512,
	FRAME_PREPARED = 1024,   /* the file system reserved its blocks; kept until it is clean */
	FRAME_REFERENCED = 2048, /* used since reclaim looked */
	FRAME_LRU = 4096,        /* on a reclaim list; LRU lock */
	FRAME_VMAP = 8192,
	FRAME_CODE = 16384, /* instruction fetches see its contents (arch_sync_code); a write takes
			       it away */
	FRAME_DELAYED = 32768, /* its blocks are counted in its superblock's delayed_blocks; only
				  with PREPARED */
};
struct memory_object;
struct account;
struct frame {                /* 64 bytes on 64-bit */
	struct list_node lru; /* free list, LRU list, slab list */
	struct memory_object
		*object;     /* owner; nullptr: private anonymous, or free. FRAME_SLAB: the cache */
	u64 index;           /* page index in the object; FRAME_SLAB: objects in use */
	atomic32_t pins;     /* users that hold the contents: >0 keeps it */
	atomic32_t mapcount; /* page-table entries of object pages; private pages have none */
	u16 flags; /* other than by frame_flag_set/clear only while nobody else can see the frame */
	u8 order;
	u8 heat; /* the reclaim policy's own */
	u16 node_tier;
	u8 free_order; /* heads a free block of 2^(free_order - 1) frames; 0: does not; zone lock */
	struct account *account;
	void *private_data; /* FRAME_SLAB: first free object */
};
static inline void frame_flag_set(struct frame *f, u16 flags)
{
	shared_fetch_or(&f->flags, flags);
}
static inline void frame_flag_clear(struct frame *f, u16 flags)
{
	shared_fetch_and(&f->flags, (u16)~flags);
}
/* True when this call set it. */
static inline bool frame_flag_test_and_set(struct frame *f, u16 flag)
{
	return !(shared_fetch_or(&f->flags, flag) & flag);
}
/* True when this call cleared it. */
static inline bool frame_flag_test_and_clear(struct frame *f, u16 flag)
{
	return shared_fetch_and(&f->flags, (u16)~flag) & flag;
}
/* Acquire: who sees FRAME_UPTODATE sees the contents. */
static inline u16 frame_flags(const struct frame *f)
{
	return shared_load_acquire(&f->flags);
}
