#pragma once
/*
 * Block I/O as core's memory sees it: one request over core's own pages. The block subsystem queues
 * it, drives it and calls block_io_complete(); it stays core's until then. Owner of the memory: who
 * submitted it. (block/ implements block_io_submit.)
 */
#include <lib/types.h>
#include <lib/list.h>
#include <core/wait.h>
struct frame;
struct block_device;
struct memory_object;

enum block_op : u8 { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };
/* What the end of a request does: a closed enum, no code address in data. */
enum block_end : u8 {
	BLOCK_END_WAKE,       /* wakes io->done; the submitter waits and owns io */
	BLOCK_END_PAGE_READ,  /* core/mm: pages become valid, unlocked; io is freed */
	BLOCK_END_PAGE_WRITE, /* core/mm: write-back ends; io is freed */
};
struct block_segment {
	struct frame *frame; /* pinned by the request */
	u32 offset, bytes;   /* inside the frame's block (order may be > 0), multiples of 512 */
};
#define BLOCK_SEGMENTS_MAX 64
#define BLOCK_FUA          1u /* on stable storage when it is answered */
#define BLOCK_PREFLUSH     2u /* the cache is flushed first */
#define BLOCK_SYNC         4u /* somebody waits: a hint for the scheduler policy */
struct block_io {
	struct list_node link; /* the block subsystem's queue */
	struct block_device *bdev;
	enum block_op op;
	enum block_end end;
	u8 flags, crashes; /* crashes: how often it took a driver with it */
	s32 status;        /* 0 or -errno, valid when finished */
	u64 device_bytes;  /* where on the device */
	u64 total_bytes;
	struct memory_object *object; /* BLOCK_END_PAGE_*: a reference */
	atomic32_t
		finished; /* 1: status is there; 2: nobody but the submitter looks at io any more */
	struct waitable done;
	u64 tag, deadline_ns, policy_words[4]; /* the block subsystem's */
	u16 nr_segments;
	struct block_segment segments[BLOCK_SEGMENTS_MAX];
};
/* Takes the request: 0, or an error and block_io_complete is not called. May be called with no
 * locks held; does not wait. */
int block_io_submit(struct block_io *io);
/* The block subsystem: the request is finished. Context: thread or deferred work. */
void block_io_complete(struct block_io *io, s32 status);
/* core/mm's end of page I/O. */
void memory_io_end(struct block_io *io);
/* Submits and waits. May sleep. */
int block_io_run(struct block_io *io);
/* Size in bytes of the device behind a MEMORY_BLOCK object is object->size_bytes. */
