#pragma once
/*
 * Metadata blocks of a superblock (core/node/block_cache.c) and the open transaction
 * (core/node/commit.c). A component reads them in place and changes them by deltas only
 * (core/node/delta.c).
 */
#include <core/node.h>
#include <kabi/filesystem.h>

/* What a block holds at one version: never changed once published, so a handler's view stays what
 * it was. */
struct block_data {
	refcount_t refs;
	bool verified; /* a component checked it, or core wrote it */
	u64 version;
	u8 *bytes;
};
struct block_entry {
	struct block_entry *hash_next;
	struct list_node lru, dirty_link;
	u64 block;
	struct block_data *data;
	bool dirty;
	bool writing; /* a commit writes it, and its device page may still be the old one */
};
struct deferred_ops { /* what takes effect when the transaction has been committed */
	struct list_node link;
	u32 nr, used;
	s64 blocks, inodes; /* sums of the counts among them */
	struct fs_op_head ops[];
};
/* The open transaction. The Tiers issue adds the journal: encode_commit between closing it and
 * writing the blocks home. */
struct transaction {
	u64 id;
	struct list_node dirty; /* struct block_entry.dirty_link */
	u32 nr_dirty;
	struct list_node deferred; /* struct deferred_ops.link */
	s64 deferred_blocks, deferred_inodes;
	u8 *tags; /* bit per tag of claims and releases: what seal is told */
	u32 tag_low, tag_high;
};
#define BLOCK_CACHE_BUCKETS 1024u
#define TRANSACTION_TAGS    (1u << 16)
struct block_cache {
	struct spinlock lock;
	u32 block_bytes;
	struct block_entry *buckets[BLOCK_CACHE_BUCKETS];
	struct list_node lru; /* clean and dirty, oldest first */
	u32 nr, max;
	u64 next_version;
	struct transaction open;
	struct call *barred_by; /* a call whose answers were stale twice: others' deltas wait */
	struct waitable bar_lifted;
	/* Of what the commit in flight lets go: free as soon as it has ended. */
	s64 committing_blocks, committing_inodes;
	bool clean;             /* sealed for the last time and nothing changed since */
	bool making_space;      /* somebody syncs because there is no space */
	u64 dirtied;            /* raised by every delta that wrote */
	struct mutex commit;    /* one commit at a time */
	struct list_node works; /* struct fs_work, free ones */
	u32 nr_works;
	struct list_node all; /* caches with a superblock: the commit thread's */
	struct superblock *sb;
	u64 nr_flushes; /* begun, under `commit` */
};
/* nullptr: no memory. Thread. */
struct block_cache *block_cache_create(struct superblock *sb, u32 block_bytes);
void block_cache_destroy(struct superblock *sb);
/* Brings blocks [first, first+nr) of the file system's size in. 0 or -EIO, -ENOMEM. May sleep.
 * BLOCK_CACHE_COMMIT, BLOCK_CACHE_CLEAN as `first`: commits instead (so a handler can ask for it by
 * NEED); BLOCK_CACHE_BAR: waits until no call bars the others. */
int block_cache_read(struct superblock *sb, u64 first, u64 nr);
#define BLOCK_CACHE_COMMIT (~0ull)
#define BLOCK_CACHE_CLEAN  (~0ull - 1)
#define BLOCK_CACHE_BAR    (~0ull - 2)
/* Referenced, or nullptr: not there. */
struct block_data *block_cache_get(struct block_cache *cache, u64 block);
struct block_data *block_data_new(struct block_cache *cache, const u8 *bytes);
void block_data_put(struct block_data *d);
struct block_entry *block_cache_find(struct block_cache *cache, u64 block) __requires(cache->lock);
/* Puts e (fresh, with data) into the cache. */
void block_cache_insert(struct block_cache *cache, struct block_entry *e) __requires(cache->lock);
void block_cache_dirty(struct block_cache *cache, struct block_entry *e) __requires(cache->lock);
/* Takes a block out for good: not written any more. The caller frees it after the lock. */
struct block_entry *block_cache_take(struct block_cache *cache, u64 block) __requires(cache->lock);
void block_entry_free(struct block_entry *e);
/* Applies what waited for the commit. Thread, may sleep. 0 or -EIO. */
int delta_apply_deferred(struct superblock *sb, struct deferred_ops *d);
/* Seals, writes, flushes. last: until nothing is left, and marks the file system clean. Thread, may
 * sleep. */
answer_t transaction_commit(struct superblock *sb, bool last);
/* Flushes of the disk's cache that have begun. */
u64 transaction_flushes(const struct superblock *sb);
/* Commits; a flush has begun after `seen` of them, and ended, when it returns: file contents
 * written before are on the disk, also when there was nothing to commit. */
answer_t transaction_flush(struct superblock *sb, u64 seen);
/* A commit would free something. */
bool block_cache_commit_frees(const struct superblock *sb);
