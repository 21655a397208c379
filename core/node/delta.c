/* Deltas: what a component's answer changes, checked and applied. Theory in block_cache.c; the
 * operations are in kabi/filesystem.kabi. */
#include <core/block_cache.h>
#include <core/call_priv.h>
#include <core/component.h>
#include <core/fs_type.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include <kabi/fs_services.h>
#include <kabi/kernel_services.h>
#include <lib/string.h>
#include "delta.h"
#include "node_priv.h"

#define WORKS_KEPT   8u
#define STALE_MAX    2u /* then the next run bars others (calls.md "Deltas") */
#define APPLY_ROUNDS 8u

/* --- the work of a call --- */
void fs_work_free(struct fs_work *w)
{
	kfree(w->answer);
	kfree(w);
}

static struct fs_work *work_get(struct superblock *sb)
{
	struct block_cache *cache = sb->block_cache;
	struct fs_work *w = nullptr;

	spin_lock(&cache->lock);
	if (!list_empty(&cache->works)) {
		w = list_first_entry(&cache->works, struct fs_work, link);
		list_del(&w->link);
		cache->nr_works--;
	}
	spin_unlock(&cache->lock);
	if (w)
		return w;
	w = kzalloc(sizeof(*w));
	if (!w)
		return nullptr;
	w->answer_bytes = sb->answer_bytes;
	w->answer = kmalloc(w->answer_bytes);
	if (!w->answer) {
		kfree(w);
		return nullptr;
	}
	return w;
}

static void work_views_drop(struct fs_work *w)
{
	for (u32 i = 0; i < w->nr_views; i++)
		block_data_put(w->views[i].data);
	w->nr_views = w->nr_inodes = 0;
}

static void work_put(struct block_cache *cache, struct fs_work *w)
{
	work_views_drop(w);
	spin_lock(&cache->lock);
	if (cache->nr_works < WORKS_KEPT) {
		list_add(&cache->works, &w->link);
		cache->nr_works++;
		w = nullptr;
	}
	spin_unlock(&cache->lock);
	if (w)
		fs_work_free(w);
}

/* --- services (kabi/fs_services.kabi) --- */
static answer_t service_block_view(struct kabi_ctx *ctx, u64 block, u32 tracked,
	struct fs_block_view *view)
{
	struct fs_invoke *v = container_of(ctx, struct fs_invoke, ctx);
	struct fs_work *w = v->work;
	struct block_data *d = nullptr;
	u32 i;

	if (!w)
		return -EIO;
	for (i = 0; i < w->nr_views && w->views[i].block != block; i++)
		;
	if (i < w->nr_views) {
		d = w->views[i].data; /* one run sees one version */
		w->views[i].tracked |= tracked != 0;
	} else {
		int error = call_need_error(v->call, NEED_BLOCKS, v->sb, block);

		if (error)
			return error;
		if (w->nr_views == WORK_VIEWS)
			return -EIO;
		d = call_rerun_inject(v->call, (word_t)v->sb->block_cache + block)
			    ? nullptr
			    : block_cache_get(v->sb->block_cache, block);
		if (!d)
			return -EAGAIN;
		w->views[w->nr_views++] = (struct work_view){block, d, tracked != 0};
	}
	*view = (struct fs_block_view){.address = (word_t)d->bytes,
		.version = d->version,
		.unverified = !READ_ONCE(d->verified)};
	return 0;
}

static void service_block_verified(struct kabi_ctx *ctx, u64 block)
{
	struct fs_work *w = container_of(ctx, struct fs_invoke, ctx)->work;

	for (u32 i = 0; w && i < w->nr_views; i++)
		if (w->views[i].block == block)
			WRITE_ONCE(w->views[i].data->verified, true);
}

static void service_facts(struct kabi_ctx *ctx, struct fs_facts *facts)
{
	struct fs_invoke *v = container_of(ctx, struct fs_invoke, ctx);
	struct superblock *sb = v->sb;
	struct block_cache *cache = sb->block_cache;
	struct timespec64 now = inode_now();

	*facts = (struct fs_facts){.now_seconds = now.sec,
		.now_nanoseconds = now.nsec,
		.block_bytes = cache ? cache->block_bytes : sb->block_bytes,
		.mount_flags = sb->flags & 15u};
	spin_lock(&sb->obj.lock);
	facts->free_blocks = sb->free_blocks;
	facts->free_inodes = sb->free_inodes;
	spin_unlock(&sb->obj.lock);
	/* Core's own calls write back what has its reservation. */
	facts->available_blocks = v->call->flags & CALLF_KERNEL ? facts->free_blocks
								: fs_free_blocks_for(v->call, sb);
}

static const struct fs_services_vtable fs_services = {
	.head = KABI_VTABLE_HEAD(fs_services),
	.block_view = service_block_view,
	.block_verified = service_block_verified,
	.facts = service_facts,
};

/* The bar is held from a run's start to its answer, never over a sleep: others wait for it there
 * (BLOCK_CACHE_BAR), and a refusal because of it is no sign of a stale answer. */
static bool bar_try(struct block_cache *cache, struct call *c)
{
	bool mine;

	spin_lock(&cache->lock);
	if (!cache->barred_by)
		WRITE_ONCE(cache->barred_by, c);
	mine = cache->barred_by == c;
	spin_unlock(&cache->lock);
	return mine;
}

static void bar_lift(struct block_cache *cache, struct call *c)
{
	bool mine;

	spin_lock(&cache->lock);
	mine = cache->barred_by == c;
	if (mine)
		WRITE_ONCE(cache->barred_by, nullptr);
	spin_unlock(&cache->lock);
	if (mine)
		waitable_wake(&cache->bar_lifted, EV_ANY, 0);
}

answer_t fs_invoke_begin(struct fs_invoke *v, struct call *c, struct superblock *sb)
{
	v->ctx = (struct kabi_ctx){
		.size = sizeof(v->ctx),
		.version = KABI_CTX_VERSION,
		.instance = sb->handle,
		.state = sb->obj.body,
		.deadline_ns = UINT64_MAX,
	};
	v->ctx.services[KABI_SERVICES_KERNEL_SERVICES] = component_services();
	v->call = c;
	v->sb = sb;
	v->work = nullptr;
	if (!sb->block_cache) {
		component_enter();
		return 0;
	}
	if (unlikely(c->nr_fs_stale >= STALE_MAX) && !bar_try(sb->block_cache, c))
		return call_need_blocks(c, sb, BLOCK_CACHE_BAR, 1);
	v->work = work_get(sb);
	if (!v->work) {
		bar_lift(sb->block_cache, c);
		return call_need_memory(c, sizeof(struct fs_work) + sb->answer_bytes);
	}
	v->ctx.services[KABI_SERVICES_FS_SERVICES] = &fs_services;
	v->ctx.answer = v->work->answer;
	v->ctx.answer_bytes = v->work->answer_bytes;
	*(struct fs_delta_head *)v->work->answer = (struct fs_delta_head){};
	component_enter();
	return 0;
}

void fs_inode_seen(struct fs_invoke *v, struct inode *i)
{
	struct fs_work *w = v->work;

	if (!w || w->nr_inodes == WORK_INODES)
		return;
	w->inodes[w->nr_inodes].inode = i;
	w->inodes[w->nr_inodes++].version = i->body_version;
}

/* --- the exchange --- */
static enum outcome still_current(struct superblock *sb, struct block_cache *cache,
	struct fs_work *w) __requires(cache->lock)
{
	for (u32 i = 0; i < w->nr_views; i++) {
		struct block_entry *e =
			w->views[i].tracked ? block_cache_find(cache, w->views[i].block) : nullptr;

		if (e && e->data != w->views[i].data)
			return delta_refused(w, OUT_STALE, "a block it looked at");
	}
	for (u32 i = 0; i < w->nr_inodes; i++)
		if (w->inodes[i].inode->body_version != w->inodes[i].version)
			return delta_refused(w, OUT_STALE, "an inode");
	for (u32 i = 0; i < w->nr_blocks; i++) {
		struct block_entry *e = block_cache_find(cache, w->blocks[i].block);

		if (e && e->data != w->blocks[i].base)
			return delta_refused(w, OUT_AGAIN, "a block it changes");
		if (!e && w->blocks[i].base && w->blocks[i].changed)
			return delta_refused(w, OUT_AGAIN, "a block that left the cache");
	}
	if ((w->blocks_added < 0 && sb->free_blocks < (u64)-w->blocks_added) ||
		(w->inodes_added < 0 && sb->free_inodes < (u64)-w->inodes_added))
		return delta_refused(w, OUT_STALE, "what is free");
	return OUT_OK;
}

static struct timespec64 time_of(const struct fs_time *t)
{
	return (struct timespec64){t->seconds, MIN(t->nanoseconds, 999999999u)};
}

static void inode_take(struct inode *i, const struct fs_inode *from, u32 take)
{
	spin_lock(&i->obj.lock);
	if (take & FS_TAKE_BODY) {
		if (i->obj.body)
			memcpy(i->obj.body, from->body, sizeof(from->body));
		WRITE_ONCE(i->fs_flags, from->flags);
		i->blocks_512 = from->blocks_512;
		i->body_version++;
	}
	if (take & FS_TAKE_LINKS) {
		WRITE_ONCE(i->nlink, from->nlink);
		i->body_version++;
	}
	if (take & FS_TAKE_MTIME)
		timespec64_store(&i->mtime, time_of(&from->mtime));
	if (take & (FS_TAKE_MTIME | FS_TAKE_CTIME))
		timespec64_store(&i->ctime, time_of(&from->ctime));
	if (take & FS_TAKE_SIZE && !i->pages)
		i->size_bytes = from->size;
	if (take & FS_TAKE_ATTRIBUTES) {
		WRITE_ONCE(i->mode, inode_type(i) | (from->mode & 07777));
		WRITE_ONCE(i->uid.value, from->uid);
		WRITE_ONCE(i->gid.value, from->gid);
	}
	i->version++;
	spin_unlock(&i->obj.lock);
}

/* committed: what waited for the commit that has ended. */
static void exchange(struct superblock *sb, struct block_cache *cache, struct fs_work *w,
	bool committed) __requires(cache->lock)
{
	for (u32 i = 0; i < w->nr_blocks; i++) {
		struct work_block *b = &w->blocks[i];
		struct block_entry *e;

		if (!b->changed)
			continue;
		e = block_cache_find(cache, b->block);
		if (e) {
			struct block_data *old = e->data;

			e->data = b->fresh;
			e->data->version = ++cache->next_version;
			b->fresh = old; /* the entry's reference on it goes after the lock, with the
					   work */
		} else {
			e = b->entry;
			b->entry = nullptr;
			e->block = b->block;
			e->data = b->fresh;
			b->fresh = nullptr;
			block_cache_insert(cache, e);
		}
		block_cache_dirty(cache, e);
	}
	for (u32 i = 0; i < w->nr_tags; i++) {
		u32 tag = w->tags[i];

		cache->open.tags[tag / 8] = (u8)(cache->open.tags[tag / 8] | 1u << tag % 8);
		cache->open.tag_low = MIN(cache->open.tag_low, tag);
		WRITE_ONCE(cache->open.tag_high, MAX(cache->open.tag_high, tag + 1));
	}
	if (w->deferred) {
		list_add_tail(&cache->open.deferred, &w->deferred->link);
		WRITE_ONCE(cache->open.deferred_blocks,
			cache->open.deferred_blocks + w->deferred->blocks);
		WRITE_ONCE(cache->open.deferred_inodes,
			cache->open.deferred_inodes + w->deferred->inodes);
		w->deferred = nullptr;
	}
	if (committed) {
		cache->committing_blocks -= w->blocks_added;
		cache->committing_inodes -= w->inodes_added;
	}
	spin_lock(&sb->obj.lock);
	WRITE_ONCE(sb->free_blocks, sb->free_blocks + (u64)w->blocks_added);
	WRITE_ONCE(sb->free_inodes, sb->free_inodes + (u64)w->inodes_added);
	spin_unlock(&sb->obj.lock);
	for (u32 i = 0; i < w->nr_takes; i++)
		inode_take(w->takes[i].inode, w->takes[i].from, w->takes[i].take);
	cache->dirtied++;
	cache->clean = false;
}

/* BC-I3. Freed after the lock: chained through hash_next. */
static struct block_entry *forget(struct block_cache *cache, struct fs_work *w)
	__requires(cache->lock)
{
	struct block_entry *gone = nullptr;

	for (u32 i = 0; i < w->nr_forgets; i++)
		for (u64 k = 0; k < w->forgets[i].nr; k++) {
			struct block_entry *e = block_cache_take(cache, w->forgets[i].block + k);

			if (!e)
				continue;
			e->hash_next = gone;
			gone = e;
		}
	return gone;
}

static bool has_effect(const struct fs_work *w)
{
	if (w->nr_forgets || w->nr_takes || w->deferred || w->blocks_added || w->inodes_added)
		return true;
	for (u32 i = 0; i < w->nr_blocks; i++)
		if (w->blocks[i].changed)
			return true;
	return false;
}

/* c: whose answer it is (nullptr: core's own). */
static enum outcome apply(struct superblock *sb, struct fs_work *w, struct call *c, const u8 *ops,
	u32 used, bool now, u64 *absent)
{
	struct block_cache *cache = sb->block_cache;
	enum outcome r = OUT_AGAIN;

	for (u32 round = 0; round < APPLY_ROUNDS && r == OUT_AGAIN; round++) {
		struct block_entry *gone = nullptr;
		bool changed = false;

		r = delta_prepare(sb, w, ops, used, now, absent);
		if (r == OUT_OK) {
			spin_lock(&cache->lock);
			r = still_current(sb, cache, w);
			if (r == OUT_OK && cache->barred_by && cache->barred_by != c &&
				has_effect(w))
				r = OUT_BARRED;
			if (r == OUT_OK && has_effect(w)) {
				exchange(sb, cache, w, now);
				gone = forget(cache, w);
				changed = true;
			}
			spin_unlock(&cache->lock);
			if (changed)
				commit_kick(sb);
		}
		while (gone) {
			struct block_entry *next = gone->hash_next;

			block_entry_free(gone);
			gone = next;
		}
		delta_prepared_drop(w);
	}
	return r;
}

/* --- answers --- */
/* The views of an answer without a delta (an error) must be current too: to a component a stale
 * view looks like a corrupt image. */
static bool views_current(struct superblock *sb, struct fs_work *w)
{
	struct block_cache *cache = sb->block_cache;
	enum outcome r;

	spin_lock(&cache->lock);
	r = still_current(sb, cache, w);
	spin_unlock(&cache->lock);
	return r == OUT_OK;
}

static answer_t stale(struct fs_invoke *v)
{
	if (v->call->nr_fs_stale++ > STALE_MAX + 2) {
		v->call->nr_fs_stale = 0;
		log_err("%s: an answer does not fit what the file system holds (%s): run e2fsck\n",
			v->sb->type_name, v->work->refused_by);
		return -EIO;
	}
	return call_need_memory(v->call, 1); /* a run more, without a step done */
}

answer_t fs_delta_apply(struct fs_invoke *v)
{
	struct fs_work *w = v->work;
	u32 used = READ_ONCE(((struct fs_delta_head *)w->answer)->used);
	u64 absent = 0;

	if (used > w->answer_bytes - sizeof(struct fs_delta_head))
		used = ~0u;
	switch (used == ~0u ? OUT_BAD
			    : apply(v->sb, w, v->call,
				      (const u8 *)w->answer + sizeof(struct fs_delta_head), used,
				      false, &absent)) {
	case OUT_OK:
		v->call->nr_fs_stale = 0;
		return 0;
	case OUT_STALE:
	case OUT_AGAIN:
		return stale(v);
	case OUT_BARRED:
		return call_need_blocks(v->call, v->sb, BLOCK_CACHE_BAR, 1);
	case OUT_ABSENT:
		return call_need_blocks(v->call, v->sb, absent, 1);
	case OUT_MEMORY:
		return call_need_memory(v->call, 16 * PAGE_BYTES);
	case OUT_BAD:
		break;
	}
	log_err("%s: a component's delta breaks its contract\n", v->sb->type_name);
	return -EIO;
}

static bool was_shown(const struct fs_work *w, u64 block)
{
	for (u32 i = 0; w && i < w->nr_views; i++)
		if (w->views[i].block == block)
			return true;
	return false;
}

static answer_t needs_of(struct fs_invoke *v)
{
	answer_t last = 0;

	/* nr_needs lies where the component writes: read once, checked. */
	for (u32 i = 0, nr = MIN((u32)READ_ONCE(v->ctx.nr_needs), (u32)KABI_CTX_NEEDS); i < nr;
		i++) {
		struct kabi_need n = v->ctx.needs[i];

		if (n.kind == KABI_NEED_BLOCKS && was_shown(v->work, n.index))
			last = component_violation(v->sb->type_name,
				"NEED of a block that it was shown");
		else if (n.kind == KABI_NEED_MEMORY)
			last = call_need_memory(v->call, (size_t)MIN(n.nr, (u64)1 << 20));
		else
			last = n.index >= BLOCK_CACHE_BAR ? -EIO
							  : call_need_blocks(v->call, v->sb,
								    n.index, MIN(n.nr, (u64)256));
	}
	return last ? last : -EIO;
}

/* A block that was given back is free after the next commit: before ENOSPC is told, there is one.
 */
bool block_cache_commit_frees(const struct superblock *sb)
{
	const struct block_cache *cache = sb->block_cache;

	return READ_ONCE(cache->open.deferred_blocks) > 0 ||
	       READ_ONCE(cache->open.deferred_inodes) > 0;
}

static answer_t invoke_act(struct fs_invoke *v, answer_t a)
{
	answer_t d;

	if (a == ANSWER_NEED)
		return needs_of(v);
	if (a == ANSWER_WAIT || a == ANSWER_DO || a == ANSWER_RUN)
		return component_violation(v->sb->type_name,
			"a file system answers a kind that its contract has not");
	if (a == ANSWER_WAIT_SLOT) {
		v->call->waiting_on = v->sb->fs;
		return a;
	}
	if (!v->work)
		return a;
	if (a != ANSWER_MORE && answer_is_error(a)) {
		if (!views_current(v->sb, v->work))
			return stale(v);
		v->call->nr_fs_stale = 0; /* an error is an answer: it ends the row */
		if (a == -ENOSPC)
			return call_need_blocks(v->call, v->sb, BLOCK_CACHE_COMMIT, 1);
		return a;
	}
	if (call_rerun_inject(v->call,
		    (word_t)v->sb +
			    READ_ONCE(((const struct fs_delta_head *)v->work->answer)->used)))
		return call_need_memory(v->call, 1);
	d = fs_delta_apply(v);
	return d ? d : a;
}

static answer_t invoke_done(struct fs_invoke *v, answer_t a)
{
	struct block_cache *cache = v->sb->block_cache;

	if (v->work) {
		bar_lift(cache, v->call);
		work_put(cache, v->work);
		v->work = nullptr;
	}
	return a;
}

answer_t fs_invoke_end(struct fs_invoke *v, answer_t a)
{
	component_leave();
	return invoke_done(v, invoke_act(v, a));
}

answer_t fs_invoke_refuse(struct fs_invoke *v, const char *what)
{
	component_leave();
	if (!v->work)
		return -EIO;
	v->work->refused_by = what;
	return invoke_done(v, stale(v));
}

int delta_apply_deferred(struct superblock *sb, struct deferred_ops *d)
{
	struct fs_work *w = work_get(sb);
	int r = w ? 0 : -ENOMEM;

	while (w && !r) {
		u64 absent = 0;
		enum outcome o = apply(sb, w, nullptr, (const u8 *)d->ops,
			d->used * (u32)sizeof(d->ops[0]), true, &absent);

		if (o == OUT_OK)
			break;
		if (o ==
			OUT_AGAIN) /* others changed the same blocks meanwhile, round after round */
			continue;
		if (o == OUT_BARRED) { /* what was given back by thousands would starve that call */
			(void)block_cache_read(sb, BLOCK_CACHE_BAR, 1);
			continue;
		}
		if (o == OUT_ABSENT)
			r = block_cache_read(sb, absent, 1);
		else if (o == OUT_MEMORY)
			r = mm_reclaim_for(16 * PAGE_BYTES);
		else
			r = -EIO;
	}
	if (w)
		work_put(sb->block_cache, w);
	return r;
}
