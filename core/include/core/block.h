#pragma once
/*
 * Block devices (core/block): requests are core's until the driver reports them (architecture.md
 * section 4). mm submits through core/block_io.h; /dev nodes and mounts find devices here.
 */
#include <core/block_io.h>
#include <core/component.h>
#include <core/mm.h>
#include <kabi/block_driver.h>

#define BLOCK_TAGS 64
struct block_device {
	struct object obj;
	struct list_node all;
	char name[16]; /* vda, vda1 */
	u32 rdev;
	struct block_device *whole; /* itself for a disk */
	u64 start_sector;           /* partition */
	u64 nr_sectors;
	struct component *component;
	struct block_geometry geometry;
	struct memory_object *pages; /* page cache of the device: metadata blocks, /dev node */
	/* whole disks: obj.lock */
	struct list_node queue; /* struct block_io, not yet taken by the driver */
	struct block_io *tags[BLOCK_TAGS];
	u64 tag_serial[BLOCK_TAGS]; /* tags are serial * BLOCK_TAGS + index: a stale one is
				       recognised */
	u64 next_serial;
	u32 nr_in_flight;
	struct deferred kick;
	struct waitable idle;
	struct object *claimed; /* a mount or an O_EXCL open; obj.lock */
	u32 nr_openers;         /* open nodes and mounts; obj.lock */
	u64 stat_reads, stat_writes, stat_sectors_read, stat_sectors_written;
};
#define BLOCK_BATCH_BYTES 8192 /* struct batch of block.c, asserted there */
/* After the buses were probed: reads the partition tables. Thread. */
void block_scan_partitions(void);
/* Submits what is queued; deferred when the driver is busy. Any thread context. */
void block_kick(struct block_device *disk);
void block_kick_deferred(struct object *o);
struct block_device *block_next(struct block_device *after); /* referenced, drops after's */
struct block_device *block_by_rdev(u32 rdev);                /* referenced */
struct block_device *block_by_name(const char *name);        /* "vda1"; referenced */
/* 0 or -EBUSY. */
int block_claim(struct block_device *b, struct object *who);
void block_unclaim(struct block_device *b, struct object *who);
/* One more open node or mount. Context: any. */
void block_opened(struct block_device *b);
/* One less: the last one writes the device's own pages back and forgets them, so that what others
 * change on the disk meanwhile is read. Thread, may sleep. */
void block_closed(struct block_device *b);
/* Write-back of the device's own pages [first, first+nr) and a cache flush. May sleep. */
int block_sync(struct block_device *b, u64 first, u64 nr);
/* sync(2): every device. May sleep. */
void block_sync_all(void);
/* BLKFLSBUF: what is mounted there is synced, else the device; clean pages go. May sleep. */
void block_flush_buffers(struct block_device *b);
