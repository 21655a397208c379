/*
 * Metadata blocks (block_cache.c), deltas (delta.c), commits (commit.c).
 *
 * Purpose: what a file-system component reads and how its answers change it. A component sees
 * blocks in place, read-only; it answers with operations, which core checks and applies whole or
 * not at all; a commit writes what changed.
 *
 * Vocabulary: data: contents of a block at one version; view: data that a run of a handler holds;
 * delta: the operations of one answer; deferred: operations that take effect after the commit
 * (releases and what counts them), so that no block that was given back is taken again before the
 * disk knows; tag: what the component needs to know to seal (ext4: a group whose bitmaps changed).
 *
 * Objects and lifetimes: struct block_cache per mount; entries stay while dirty, clean ones leave
 * oldest first; data lives as long as an entry or a view refers to it. struct fs_work: one call's
 * views and answer page, kept for the next call.
 *
 * Invariants: BC-I1 data is never changed once another can see it: a change is new data, exchanged
 * under the cache's lock; BC-I2 an answer is applied only if every tracked view and every byte read
 * as seen is still current at the exchange; BC-I3 a block that was forgotten is in no list and is
 * not written; BC-I4 every byte of a component's answer is read once; BC-I5 a block that is not in
 * the cache is what its device page says: one that a commit writes stays until that is so.
 *
 * Locks: cache->lock (before inode and superblock locks); cache->commit (mutex) before it.
 *
 * Failure and recovery: a component's crash before the answer changed nothing; after it all is
 * core's. I/O errors of a commit leave its blocks dirty. No journal yet: a power cut between
 * commits needs e2fsck.
 *
 * Replacement: nothing of a component's lies here. Cost: one lock per view and one per answer; one
 * copy of each block that changes.
 */
#include <core/block_cache.h>
#include <core/fs_type.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/hash.h>
#include <lib/string.h>
#include "delta.h"
#include "node_priv.h"

#define LOCK_LEVEL_CACHE ((enum lock_level)(LOCK_LEVEL_NAME - 2))

struct block_data *block_data_new(struct block_cache *cache, const u8 *bytes)
{
	struct block_data *d = kmalloc(sizeof(*d));

	if (!d)
		return nullptr;
	d->bytes = kmalloc(cache->block_bytes);
	if (!d->bytes) {
		kfree(d);
		return nullptr;
	}
	refcount_set(&d->refs, 1);
	d->verified = false;
	d->version = 0;
	if (bytes)
		memcpy(d->bytes, bytes, cache->block_bytes);
	else
		memset(d->bytes, 0, cache->block_bytes);
	return d;
}

void block_data_put(struct block_data *d)
{
	if (d && refcount_dec_and_test(&d->refs)) {
		kfree(d->bytes);
		kfree(d);
	}
}

void block_entry_free(struct block_entry *e)
{
	if (e)
		block_data_put(e->data);
	kfree(e);
}

static struct block_entry **bucket_of(struct block_cache *cache, u64 block)
{
	return &cache->buckets[hash_u64(block) % BLOCK_CACHE_BUCKETS];
}

struct block_entry *block_cache_find(struct block_cache *cache, u64 block)
{
	struct block_entry *e = *bucket_of(cache, block);

	while (e && e->block != block)
		e = e->hash_next;
	return e;
}

struct block_data *block_cache_get(struct block_cache *cache, u64 block)
{
	struct block_data *d = nullptr;
	struct block_entry *e;

	spin_lock(&cache->lock);
	e = block_cache_find(cache, block);
	if (e) {
		d = e->data;
		refcount_inc(&d->refs);
		list_del(&e->lru);
		list_add_tail(&cache->lru, &e->lru);
	}
	spin_unlock(&cache->lock);
	return d;
}

void block_cache_insert(struct block_cache *cache, struct block_entry *e)
{
	struct block_entry **b = bucket_of(cache, e->block);

	e->hash_next = *b;
	*b = e;
	e->data->version = ++cache->next_version;
	list_add_tail(&cache->lru, &e->lru);
	cache->nr++;
}

void block_cache_dirty(struct block_cache *cache, struct block_entry *e)
{
	if (e->dirty)
		return;
	e->dirty = true;
	list_add_tail(&cache->open.dirty, &e->dirty_link);
	WRITE_ONCE(cache->open.nr_dirty, cache->open.nr_dirty + 1);
}

struct block_entry *block_cache_take(struct block_cache *cache, u64 block)
{
	struct block_entry *e = block_cache_find(cache, block), **b = bucket_of(cache, block);

	if (!e)
		return nullptr;
	while (*b != e)
		b = &(*b)->hash_next;
	*b = e->hash_next;
	list_del(&e->lru);
	cache->nr--;
	if (e->dirty) {
		list_del(&e->dirty_link);
		WRITE_ONCE(cache->open.nr_dirty, cache->open.nr_dirty - 1);
		e->dirty = false;
	}
	return e;
}

/* Makes room: the oldest clean blocks go, a few at a time. */
static void shrink(struct block_cache *cache)
{
	for (u32 looked = 0; looked < 32; looked++) {
		struct block_entry *e = nullptr;
		bool more;

		spin_lock(&cache->lock);
		more = cache->nr > cache->max && !list_empty(&cache->lru);
		if (more) {
			e = list_first_entry(&cache->lru, struct block_entry, lru);
			if (e->dirty || e->writing) {
				list_del(&e->lru);
				list_add_tail(&cache->lru, &e->lru);
				e = nullptr;
			} else {
				block_cache_take(cache, e->block);
			}
		}
		spin_unlock(&cache->lock);
		if (!more)
			return;
		block_entry_free(e);
	}
}

/* One block, out of the device's page: read from the disk where nobody has yet. */
static int read_one(struct superblock *sb, struct block_cache *cache, u64 block)
{
	u64 byte = block * cache->block_bytes;
	struct block_entry *e, *other;
	struct frame *f;
	u8 *p;
	int r = memory_page_get(sb->blocks, byte >> PAGE_SHIFT, false, &f);

	if (r)
		return r;
	e = kzalloc(sizeof(*e));
	p = page_begin(f);
	if (e)
		e->data = block_data_new(cache, p + (byte & (PAGE_BYTES - 1)));
	page_end(f, p);
	frame_unpin(f);
	if (!e || !e->data) {
		kfree(e);
		return -ENOMEM;
	}
	e->block = block;
	spin_lock(&cache->lock);
	other = block_cache_find(cache, block);
	if (!other)
		block_cache_insert(cache, e);
	spin_unlock(&cache->lock);
	if (other)
		block_entry_free(e);
	return 0;
}

static bool space_begin(struct block_cache *cache)
{
	bool mine;

	spin_lock(&cache->lock);
	mine = !cache->making_space;
	cache->making_space = true;
	spin_unlock(&cache->lock);
	return mine;
}
static void space_end(struct block_cache *cache)
{
	spin_lock(&cache->lock);
	cache->making_space = false;
	spin_unlock(&cache->lock);
}

/* Before ENOSPC is told: reservations become blocks, files without a name end, what they gave back
 * is committed. -ENOSPC: nothing came of it. */
static int make_space(struct superblock *sb)
{
	u64 free = READ_ONCE(sb->free_blocks), inodes = READ_ONCE(sb->free_inodes),
	    delayed = (u64)atomic_word_load(&sb->delayed_blocks);
	struct block_cache *cache = sb->block_cache;
	answer_t a;

	if (space_begin(cache)) { /* not from within itself: write-back allocates */
		struct call *c = kmalloc(sizeof(*c));

		if (c) {
			call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
			(void)fs_sync(c, sb, false); /* its errors are the files' to tell */
			call_end(c);
			kfree(c);
		}
		reaper_drain();
		space_end(cache);
	}
	if (!block_cache_commit_frees(sb) && (u64)atomic_word_load(&sb->delayed_blocks) >= delayed)
		return -ENOSPC;
	a = transaction_commit(sb, false);
	if (a)
		return (int)a;
	return READ_ONCE(sb->free_blocks) > free || READ_ONCE(sb->free_inodes) > inodes ||
			       (u64)atomic_word_load(&sb->delayed_blocks) < delayed
		       ? 0
		       : -ENOSPC;
}

static int read_blocks(struct superblock *sb, struct block_cache *cache, u64 first, u64 nr)
{
	int r = 0;

	for (u64 i = 0; i < nr && !r; i++) {
		struct block_data *d = block_cache_get(cache, first + i);

		if (d) {
			block_data_put(d);
			continue;
		}
		if (first + i >= sb->device_bytes / cache->block_bytes)
			return i ? 0 : -EIO;
		r = read_one(sb, cache, first + i);
		if (r && i)
			return 0; /* the handler meets the error at that block itself */
	}
	shrink(cache);
	return r;
}

int block_cache_read(struct superblock *sb, u64 first, u64 nr)
{
	struct block_cache *cache = sb->block_cache;

	if (!cache)
		return -EIO;
	if (first == BLOCK_CACHE_BAR) {
		wait_event(&cache->bar_lifted, EV_ANY, !READ_ONCE(cache->barred_by), 0);
		return 0;
	}
	if (first == BLOCK_CACHE_COMMIT)
		return make_space(sb);
	if (first == BLOCK_CACHE_CLEAN)
		return (int)transaction_commit(sb, true);
	return read_blocks(sb, cache, first, nr);
}

struct block_cache *block_cache_create(struct superblock *sb, u32 block_bytes)
{
	struct block_cache *cache = kzalloc(sizeof(*cache));
	struct memory_stats m;

	if (!cache)
		return nullptr;
	cache->open.tags = kzalloc(TRANSACTION_TAGS / 8);
	if (!cache->open.tags) {
		kfree(cache);
		return nullptr;
	}
	mm_stats(&m);
	spin_init(&cache->lock, LOCK_LEVEL_CACHE);
	mutex_init(&cache->commit, LOCK_LEVEL_MUTEX_TASK);
	cache->block_bytes = block_bytes;
	cache->max = (u32)MIN(m.total_pages / 16, (u64)65536) * (PAGE_BYTES / block_bytes);
	waitable_init(&cache->bar_lifted);
	list_init(&cache->lru);
	list_init(&cache->open.dirty);
	list_init(&cache->open.deferred);
	list_init(&cache->works);
	list_init(&cache->all);
	cache->open.id = 1;
	cache->open.tag_low = TRANSACTION_TAGS;
	cache->sb = sb;
	cache->clean = true;
	sb->block_cache = cache;
	return cache;
}

void block_cache_destroy(struct superblock *sb)
{
	struct block_cache *cache = sb->block_cache;

	if (!cache)
		return;
	sb->block_cache = nullptr;
	while (!list_empty(&cache->lru)) {
		struct block_entry *e = list_first_entry(&cache->lru, struct block_entry, lru);

		list_del(&e->lru);
		block_entry_free(e);
	}
	while (!list_empty(&cache->open.deferred)) {
		struct deferred_ops *d =
			list_first_entry(&cache->open.deferred, struct deferred_ops, link);

		list_del(&d->link);
		kfree(d);
	}
	while (!list_empty(&cache->works)) {
		struct fs_work *w = list_first_entry(&cache->works, struct fs_work, link);

		list_del(&w->link);
		fs_work_free(w);
	}
	kfree(cache->open.tags);
	kfree(cache);
}
