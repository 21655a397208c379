/* Commits: sealing, writing and flushing what deltas changed; what waited for it. Theory in
 * block_cache.c. */
#include <core/block_cache.h>
#include <core/block_io.h>
#include <core/fs_type.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include <lib/string.h>
#include "delta.h"
#include "node_priv.h"

#define TAGS_AT_ONCE 16u
#define RUN_BLOCKS   32u
#define CLEAN_ROUNDS 8u

/* Takes up to `max` tags out of the open transaction. */
static u32 tags_take(struct block_cache *cache, u32 *tags, u32 max)
{
	u32 nr = 0;

	spin_lock(&cache->lock);
	for (u32 t = cache->open.tag_low; t < cache->open.tag_high && nr < max; t++) {
		if (!(cache->open.tags[t / 8] >> t % 8 & 1))
			continue;
		cache->open.tags[t / 8] = (u8)(cache->open.tags[t / 8] & ~(1u << t % 8));
		cache->open.tag_low = t + 1;
		tags[nr++] = t;
	}
	if (cache->open.tag_low >= cache->open.tag_high) {
		cache->open.tag_low = TRANSACTION_TAGS;
		WRITE_ONCE(cache->open.tag_high, 0);
	}
	spin_unlock(&cache->lock);
	return nr;
}

static answer_t seal(struct superblock *sb, bool last)
{
	struct block_cache *cache = sb->block_cache;
	struct call *c = kmalloc(sizeof(*c));
	u32 tags[TAGS_AT_ONCE], nr;
	struct fs_invoke v;
	answer_t a;

	if (!c)
		return -ENOMEM;
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	do {
		nr = tags_take(cache, tags, TAGS_AT_ONCE);
		a = call_run(c, (a = fs_invoke_begin(&v, c, sb))
					? a
					: fs_invoke_end(&v,
						  filesystem_seal(sb->fs, &v.ctx, tags, nr, last)));
	} while (!a && nr == TAGS_AT_ONCE);
	call_end(c);
	kfree(c);
	return a;
}

/* --- writing --- */
struct dirty_block {
	u64 block;
	struct block_data *data;
};

static void sort(struct dirty_block *b, u32 nr)
{
	/* heap sort: no recursion, no worst case */
	for (u32 end = nr, start = nr / 2; end > 1;) {
		struct dirty_block top;
		u32 at;

		if (start) {
			start--;
		} else {
			end--;
			top = b[end];
			b[end] = b[0];
			b[0] = top;
		}
		top = b[start];
		for (at = start; 2 * at + 1 < end;) {
			u32 child = 2 * at + 1;

			if (child + 1 < end && b[child].block < b[child + 1].block)
				child++;
			if (b[child].block <= top.block)
				break;
			b[at] = b[child];
			at = child;
		}
		b[at] = top;
	}
}

/* All dirty blocks leave the list, with a reference on their data. nullptr: no memory (*nr) or
 * nothing. */
static struct dirty_block *dirty_take(struct block_cache *cache, u32 *nr)
{
	u32 max = READ_ONCE(cache->open.nr_dirty) + 16;
	struct dirty_block *b = kmalloc_array(max, sizeof(*b));

	*nr = 0;
	if (!b)
		return nullptr;
	spin_lock(&cache->lock);
	while (!list_empty(&cache->open.dirty) && *nr < max) {
		struct block_entry *e =
			list_first_entry(&cache->open.dirty, struct block_entry, dirty_link);

		list_del(&e->dirty_link);
		e->dirty = false;
		e->writing = true; /* BC-I5 */
		WRITE_ONCE(cache->open.nr_dirty, cache->open.nr_dirty - 1);
		refcount_inc(&e->data->refs);
		b[(*nr)++] = (struct dirty_block){e->block, e->data};
	}
	spin_unlock(&cache->lock);
	sort(b, *nr);
	return b;
}

/* It was written, or (again) could not be. */
static void written(struct block_cache *cache, u64 block, bool again)
{
	struct block_entry *e;

	spin_lock(&cache->lock);
	e = block_cache_find(cache, block);
	if (e) {
		e->writing = false;
		if (again)
			block_cache_dirty(cache, e);
	}
	spin_unlock(&cache->lock);
}

/* Readers of the device node see what was written. */
static void device_page_update(struct superblock *sb, u64 byte, const u8 *bytes, u32 nr)
{
	struct frame *f = memory_page_try(sb->blocks, byte >> PAGE_SHIFT);
	u8 *p;

	if (!f)
		return;
	p = page_begin(f);
	memcpy(p + (byte & (PAGE_BYTES - 1)), bytes, nr);
	page_end(f, p);
	frame_unpin(f);
}

struct write_buffer {
	struct block_io io;
	struct frame *frames[RUN_BLOCKS];
	u32 nr_frames;
};

/* Blocks in a row: one request over frames of our own. */
static int write_run(struct superblock *sb, struct write_buffer *w, const struct dirty_block *b,
	u32 nr)
{
	u32 bs = ((struct block_cache *)sb->block_cache)->block_bytes, per_frame = PAGE_BYTES / bs;

	w->io = (struct block_io){.bdev = sb->bdev,
		.op = BLOCK_WRITE,
		.flags = BLOCK_SYNC,
		.device_bytes = b[0].block * bs,
		.total_bytes = (u64)nr * bs};
	for (u32 i = 0; i < nr; i++) {
		struct frame *f = w->frames[i / per_frame];
		u32 offset = i % per_frame * bs;
		u8 *p = page_begin(f);

		memcpy(p + offset, b[i].data->bytes, bs);
		page_end(f, p);
		device_page_update(sb, b[i].block * bs, b[i].data->bytes, bs);
		if (offset == 0)
			w->io.segments[w->io.nr_segments++] = (struct block_segment){f, 0, 0};
		w->io.segments[w->io.nr_segments - 1].bytes += bs;
	}
	return block_io_run(&w->io);
}

static struct write_buffer *buffer_new(void)
{
	struct write_buffer *w = kzalloc(sizeof(*w));

	while (w && w->nr_frames < RUN_BLOCKS) {
		struct frame *f = frame_alloc(0, 0, &account_root);

		if (!f)
			break;
		w->frames[w->nr_frames++] = f;
	}
	if (w && !w->nr_frames) {
		kfree(w);
		return nullptr;
	}
	return w;
}

static void buffer_free(struct write_buffer *w)
{
	for (u32 i = 0; i < w->nr_frames; i++)
		frame_unpin(w->frames[i]);
	kfree(w);
}

static answer_t write_dirty(struct superblock *sb)
{
	struct block_cache *cache = sb->block_cache;
	struct write_buffer *w = buffer_new();
	struct dirty_block *b;
	answer_t error = 0;
	u32 nr = 0;

	if (!w)
		return -ENOMEM;
	b = dirty_take(cache, &nr);
	if (!b) {
		buffer_free(w);
		return -ENOMEM;
	}
	for (u32 i = 0, n; i < nr; i += n) {
		int r;

		for (n = 1; i + n < nr && n < w->nr_frames && b[i + n].block == b[i].block + n;)
			n++;
		r = write_run(sb, w, b + i, n);
		error = error ? error : r;
		for (u32 k = i; k < i + n; k++)
			written(cache, b[k].block, r != 0);
	}
	for (u32 i = 0; i < nr; i++)
		block_data_put(b[i].data);
	kfree(b);
	buffer_free(w);
	return error;
}

/* --- commits --- */
/* It could not be let go: taken until the next check. */
static void deferred_lost(struct block_cache *cache, struct deferred_ops *d)
{
	spin_lock(&cache->lock);
	cache->committing_blocks -= d->blocks;
	cache->committing_inodes -= d->inodes;
	spin_unlock(&cache->lock);
	kfree(d);
}

static void deferred_apply(struct superblock *sb, struct list_node *list)
{
	while (!list_empty(list)) {
		struct deferred_ops *d = list_first_entry(list, struct deferred_ops, link);
		int r;

		list_del(&d->link);
		r = delta_apply_deferred(sb, d);
		if (r) {
			log_err("%s: what was given back cannot be freed (%d): run e2fsck\n",
				sb->type_name, r);
			deferred_lost(sb->block_cache, d);
		} else {
			kfree(d);
		}
	}
}

static void deferred_take(struct block_cache *cache, struct list_node *list)
{
	list_init(list);
	spin_lock(&cache->lock);
	while (!list_empty(&cache->open.deferred)) {
		struct deferred_ops *d =
			list_first_entry(&cache->open.deferred, struct deferred_ops, link);

		list_del(&d->link);
		list_add_tail(list, &d->link);
	}
	cache->committing_blocks += cache->open.deferred_blocks;
	cache->committing_inodes += cache->open.deferred_inodes;
	WRITE_ONCE(cache->open.deferred_blocks, 0);
	WRITE_ONCE(cache->open.deferred_inodes, 0);
	cache->open.id++;
	spin_unlock(&cache->lock);
}

static bool anything(struct block_cache *cache)
{
	return READ_ONCE(cache->open.nr_dirty) ||
	       READ_ONCE(cache->open.deferred.next) != &cache->open.deferred ||
	       READ_ONCE(cache->open.tag_high);
}

answer_t transaction_commit(struct superblock *sb, bool last)
{
	struct block_cache *cache = sb->block_cache;
	answer_t a = 0;

	if (!cache || sb->flags & SB_RDONLY)
		return 0;
	mutex_lock(&cache->commit);
	for (u32 round = 0; !a && (round ? last : anything(cache) || last) && round < CLEAN_ROUNDS;
		round++) {
		struct list_node deferred;
		bool left;

		deferred_take(cache, &deferred);
		left = !list_empty(&deferred);
		/* The last round of all, with nothing else to come: the file system becomes clean.
		 */
		a = seal(sb, last && !left);
		if (!a)
			a = write_dirty(sb);
		if (!a) {
			WRITE_ONCE(cache->nr_flushes, cache->nr_flushes + 1);
			a = fs_device_flush(sb);
		}
		if (a) { /* blocks stay taken: a leak, not a double use */
			while (!list_empty(&deferred)) {
				struct deferred_ops *d =
					list_first_entry(&deferred, struct deferred_ops, link);

				list_del(&d->link);
				deferred_lost(cache, d);
			}
			break;
		}
		deferred_apply(sb, &deferred);
		if (last && !left) {
			spin_lock(&cache->lock);
			cache->clean = !cache->open.nr_dirty;
			spin_unlock(&cache->lock);
			if (cache->clean)
				break;
		}
	}
	mutex_unlock(&cache->commit);
	if (a) {
		sb->write_errors++;
		log_err("%s: commit failed (%d)\n", sb->type_name, (int)a);
	}
	return a;
}

u64 transaction_flushes(const struct superblock *sb)
{
	const struct block_cache *cache = sb->block_cache;

	return cache ? READ_ONCE(cache->nr_flushes) : 0;
}

answer_t transaction_flush(struct superblock *sb, u64 seen)
{
	answer_t a = transaction_commit(sb, false);

	return a || transaction_flushes(sb) != seen ? a : fs_device_flush(sb);
}

/* --- the commit thread: one for all mounts; sleeps without a deadline while nothing is dirty ---
 */
static struct waitable commit_work;
static bool commit_running;

/* Something became dirty: the thread notes when it is due. */
void commit_kick(struct superblock *sb)
{
	if (commit_running && !READ_ONCE(sb->commit_due_ns))
		waitable_wake(&commit_work, EV_ANY, 0);
}

static void commit_one(struct superblock *sb)
{
	struct call *c = kmalloc(sizeof(*c));

	if (!c)
		return;
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	fs_sync(c, sb, true);
	call_end(c);
	kfree(c);
}

/* When the superblock is to be looked at again; KTIME_MAX: when it is kicked. */
static ktime_t commit_if_due(struct superblock *sb)
{
	struct block_cache *cache = sb->block_cache;
	ktime_t now = time_monotonic_ns();

	if (!sb->fs || !cache || sb->flags & SB_RDONLY)
		return KTIME_MAX;
	if (sb->commit_due_ns && now >= sb->commit_due_ns) {
		commit_one(sb);
		WRITE_ONCE(sb->commit_due_ns, 0); /* before the look: what comes after it kicks */
	}
	if (!anything(cache) && READ_ONCE(sb->dirty_inodes.next) == &sb->dirty_inodes)
		return sb->commit_due_ns ? sb->commit_due_ns : KTIME_MAX;
	if (!sb->commit_due_ns)
		WRITE_ONCE(sb->commit_due_ns, now + (ktime_t)sb->commit_period_ns);
	return sb->commit_due_ns;
}

static void commit_thread(void *arg)
{
	(void)arg;
	for (;;) {
		u32 seq = waitable_seq(&commit_work);
		ktime_t next = KTIME_MAX;
		struct superblock *sb;
		u64 after = 0;

		while ((sb = superblock_next(after))) {
			after = sb->obj.id;
			next = MIN(next, commit_if_due(sb));
			superblock_leave(sb);
		}
		wait_sleep(&commit_work, EV_ANY, seq, next, 0);
	}
}

void commit_thread_join(void)
{
	if (commit_running)
		return;
	waitable_init(&commit_work);
	commit_running = true;
	if (!task_kernel_thread(commit_thread, nullptr, "fs-commit"))
		log_warn("no memory for the commit thread: only sync writes metadata\n");
}
