/* Inodes: the cache by (superblock, number), permissions, times, writers, the end of unlinked ones.
 * Theory: core/node/name.c. */
#include <lib/string.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include <core/fs_call.h>
#include "node_priv.h"

#define INODE_BUCKETS (1u << 13)
#define INODE_LOCKS   128u
static struct inode *buckets[INODE_BUCKETS];
static struct spinlock bucket_locks[INODE_LOCKS];
struct slab_cache *slab_inode;
static struct waitable background_left;

void inode_boot_init(void)
{
	for (u32 i = 0; i < INODE_LOCKS; i++)
		spin_init(&bucket_locks[i], LOCK_LEVEL_NAME_HASH);
	waitable_init(&background_left);
	slab_inode = slab_create("inode", sizeof(struct inode), 64);
}

static u32 inode_hash(const struct superblock *sb, u64 ino)
{
	return (u32)(((ino ^ sb->obj.id << 40) * 0x9e3779b97f4a7c15ull) >> 40);
}
static struct inode *find_locked(struct superblock *sb, u64 ino, u32 hash)
{
	for (struct inode *i = buckets[hash % INODE_BUCKETS]; i; i = i->hash_next)
		if (i->ino == ino && i->sb == sb && object_get_live(&i->obj))
			return i;
	return nullptr;
}

struct inode *inode_find(struct superblock *sb, u64 ino)
{
	u32 hash = inode_hash(sb, ino);
	struct spinlock *lock = &bucket_locks[hash % INODE_LOCKS];
	struct inode *i;

	spin_lock(lock);
	i = find_locked(sb, ino, hash);
	spin_unlock(lock);
	return i;
}

struct inode *inode_unborn(struct superblock *sb, u32 mode)
{
	struct inode *i = slab_zalloc(slab_inode);
	struct timespec64 now = inode_now();

	if (!i)
		return nullptr;
	object_init(&i->obj, OBJECT_INODE, LOCK_LEVEL_INODE, &account_root);
	i->sb = sb;
	i->mode = mode;
	i->nlink = 1;
	i->atime = i->mtime = i->ctime = i->btime = now;
	exclusion_init(&i->content, &i->obj);
	exclusion_init(&i->map, &i->obj);
	list_init(&i->sb_link);
	list_init(&i->dirty_link);
	list_init(&i->names);
	list_init(&i->locks);
	waitable_init(&i->lock_event);
	return i;
}

static void inode_belongings_free(struct inode *i)
{
	if (i->pages)
		object_put(&i->pages->obj);
	if (i->fifo)
		object_put((struct object *)i->fifo);
	kfree(i->link_target);
	kfree(i->obj.body);
}

void inode_unborn_drop(struct inode *i)
{
	inode_belongings_free(i);
	slab_free(slab_inode, i);
}

struct inode *inode_born(struct inode *i, u64 ino, bool *fresh)
{
	struct superblock *sb = i->sb;
	u32 hash = inode_hash(sb, ino);
	struct spinlock *lock = &bucket_locks[hash % INODE_LOCKS];
	struct inode *other, *dying = nullptr;

	i->ino = ino;
	spin_lock(lock);
	other = find_locked(sb, ino, hash);
	/* Its number was given back in a transaction that has been committed since: the new one is
	 * found before it. */
	if (other && READ_ONCE(other->evicting)) {
		dying = other;
		other = nullptr;
	}
	if (!other) {
		i->hash_next = buckets[hash % INODE_BUCKETS];
		buckets[hash % INODE_BUCKETS] = i;
		i->hashed = true;
	}
	spin_unlock(lock);
	if (dying)
		inode_put(dying);
	*fresh = !other;
	if (other) {
		inode_unborn_drop(i);
		return other;
	}
	spin_lock(&sb->obj.lock);
	list_add_tail(&sb->inodes, &i->sb_link);
	spin_unlock(&sb->obj.lock);
	return i;
}

struct inode *inode_get_or_new(struct superblock *sb, u64 ino, u32 mode, bool *fresh)
{
	struct inode *i = inode_find(sb, ino);

	*fresh = false;
	if (i)
		return i;
	i = inode_unborn(sb, mode);
	return i ? inode_born(i, ino, fresh) : nullptr;
}
struct inode *inode_new(struct superblock *sb, u64 ino, u32 mode)
{
	bool fresh;

	return inode_get_or_new(sb, ino, mode, &fresh);
}

/*
 * The end of a file without a name does not wait for the lists of what is dirty, nor for who writes
 * it back: the last user hands its reference to the reaper, and the end takes the file off the
 * lists (inode_leave_background). The lock makes two users who go at once see each other; a holder
 * of the background drops its count and its reference under it too, and whoever adds one adds the
 * reference first.
 */
static __noinline void put_nameless(struct inode *i, bool background)
{
	bool ends = false, last = false;
	u32 nr;

	spin_lock(&i->obj.lock);
	if (background)
		atomic32_fetch_sub(&i->nr_background, 1);
	nr = atomic32_load_acquire(&i->nr_background);
	if (!i->nlink && nr && !i->ending && !i->dead && i->sb->fs &&
		refcount_read(&i->obj.refs) <= nr + 1)
		ends = i->ending = true;
	else
		last = refcount_dec_and_test(&i->obj.refs);
	spin_unlock(&i->obj.lock); /* the memory outlives it: grace period */
	if (background)
		waitable_wake(&background_left, EV_ANY, 0);
	if (ends)
		reaper_queue(&i->obj);
	else if (last)
		node_object_release(&i->obj);
}

void inode_put(struct inode *i)
{
	if (unlikely(!inode_nlink(i)))
		put_nameless(i, false);
	else if (refcount_dec_and_test(&i->obj.refs))
		node_object_release(&i->obj);
}

void inode_get_background(struct inode *i)
{
	inode_get(i);
	atomic32_fetch_add(&i->nr_background, 1);
}

void inode_put_background(struct inode *i)
{
	put_nameless(i, true);
}

bool inode_try_background(struct inode *i)
{
	bool lives;

	spin_lock(&i->obj.lock);
	lives = !i->ending && object_get_live(&i->obj);
	if (lives)
		atomic32_fetch_add(&i->nr_background, 1);
	spin_unlock(&i->obj.lock);
	return lives;
}

/* The reaper's reference is the only one when it returns, and nothing of it is being written. */
static void inode_leave_background(struct inode *i)
{
	while (atomic32_load(&i->nr_background)) {
		if (inode_take_own_dirty(i))
			inode_put_background(i);
		if (i->pages)
			memory_object_forget_dirty(i->pages);
		/* Who writes it back may be making space, and wait for the reaper. */
		reaper_pause(true);
		wait_event(&background_left, EV_ANY, !atomic32_load(&i->nr_background), 0);
		reaper_pause(false);
	}
	if (i->pages)
		memory_object_wait_writeback(i->pages, 0, ~0ull);
}

static void inode_unhash(struct inode *i)
{
	u32 hash = inode_hash(i->sb, i->ino);
	struct spinlock *lock = &bucket_locks[hash % INODE_LOCKS];
	struct inode **link;

	spin_lock(lock);
	for (link = &buckets[hash % INODE_BUCKETS]; *link && *link != i;)
		link = &(*link)->hash_next;
	if (*link)
		*link = i->hash_next;
	i->hashed = false;
	spin_unlock(lock);
	spin_lock(&i->sb->obj.lock);
	list_del(&i->sb_link);
	if (i->dirty) {
		list_del(&i->dirty_link);
		WRITE_ONCE(i->dirty, false);
	}
	spin_unlock(&i->sb->obj.lock);
	superblock_inode_gone(i->sb);
}

static void inode_free(struct inode *i)
{
	inode_belongings_free(i);
	grace_defer(&i->obj.grace, GRACE_SLAB_FREE, i);
}

bool memory_charge_page(struct memory_object *o)
{
	struct superblock *sb = o->inode ? o->inode->sb : nullptr;

	if (!sb || !sb->total_blocks)
		return true;
	if (atomic_word_fetch_add(&sb->used_pages, 1) < sb->total_blocks)
		return true;
	atomic_word_fetch_sub(&sb->used_pages, 1);
	return false;
}
void memory_uncharge_page(struct memory_object *o)
{
	struct superblock *sb = o->inode ? o->inode->sb : nullptr;

	if (sb && sb->total_blocks)
		atomic_word_fetch_sub(&sb->used_pages, 1);
}

/* An unlinked inode of a file system with blocks gives them back first, which may sleep. */
void inode_release(struct inode *i)
{
	bool blocks = i->nlink == 0 && i->sb->fs && !(i->sb->flags & SB_NAMES_RESIDENT) && !i->dead;

	if (blocks) {
		reaper_queue(&i->obj);
		return;
	}
	/* Whoever still looks at the pages (reclaim) finds none: they count with this superblock.
	 */
	if (i->pages && i->pages->kind == MEMORY_FILE && i->pages->inode == i)
		memory_object_drop_range(i->pages, 0, ~0ull);
	inode_unhash(i);
	if (i->nlink == 0 && i->sb->flags & SB_NAMES_RESIDENT && i->sb->total_inodes) {
		spin_lock(&i->sb->obj.lock);
		WRITE_ONCE(i->sb->free_inodes, i->sb->free_inodes + 1);
		spin_unlock(&i->sb->obj.lock);
	}
	inode_free(i);
}

/* Reaper: the inode stays findable by number until its blocks are free, so that the number is not
 * taken up again before. */
void inode_evict(struct inode *i)
{
	struct call *c = kmalloc(sizeof(*c));
	answer_t a;

	WRITE_ONCE(i->evicting, true);
	if (i->ending)
		inode_leave_background(i);
	else
		refcount_set(&i->obj.refs, 1);
	if (inode_own_pages(i)) { /* no block of it is being written when it is given back */
		memory_object_wait_writeback(i->pages, 0, ~0ull);
		memory_object_truncate(i->pages, 0);
	}
	if (c) {
		call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
		a = call_run(c, fs_evict(c, i));
		call_end(c);
		kfree(c);
		if (a < 0)
			log_err("%s: inode %llu: its blocks could not be freed (%d)\n",
				i->sb->type_name, (unsigned long long)i->ino, (int)a);
	}
	i->dead = true;
	inode_put(i);
}

/* --- dirty inodes: the list owns a reference ---
 * A change under obj.lock is followed by the look at `dirty`; who takes an inode off the list
 * clears `dirty` first and reads the fields under obj.lock then. Whichever of the two had that lock
 * first: the change is read, or `dirty` is seen clear and set again. */
void inode_mark_dirty(struct inode *i)
{
	struct superblock *sb = i->sb;

	if (!sb->fs || sb->flags & SB_NAMES_RESIDENT || READ_ONCE(i->dirty))
		return;
	spin_lock(&sb->obj.lock);
	if (!i->dirty && !i->evicting) {
		WRITE_ONCE(i->dirty, true);
		inode_get_background(i);
		list_add_tail(&sb->dirty_inodes, &i->dirty_link);
	}
	spin_unlock(&sb->obj.lock);
	commit_kick(sb);
}

struct inode *inode_take_dirty(struct superblock *sb)
{
	struct inode *i = nullptr;

	spin_lock(&sb->obj.lock);
	if (!list_empty(&sb->dirty_inodes)) {
		i = list_first_entry(&sb->dirty_inodes, struct inode, dirty_link);
		list_del(&i->dirty_link);
		WRITE_ONCE(i->dirty, false);
	}
	spin_unlock(&sb->obj.lock);
	return i;
}

bool inode_take_own_dirty(struct inode *i)
{
	struct superblock *sb = i->sb;
	bool taken = false;

	spin_lock(&sb->obj.lock);
	if (i->dirty) {
		list_del(&i->dirty_link);
		WRITE_ONCE(i->dirty, false);
		taken = true;
	}
	spin_unlock(&sb->obj.lock);
	return taken;
}

struct timespec64 inode_now(void)
{
	ktime_t ns = time_realtime_ns();

	return (struct timespec64){ns / NSEC_PER_SEC, (u32)(ns % NSEC_PER_SEC)};
}

void inode_touch(struct inode *i, u32 which)
{
	struct timespec64 now = inode_now();

	spin_lock(&i->obj.lock);
	if (which & INODE_ATIME)
		timespec64_store(&i->atime, now);
	if (which & INODE_MTIME)
		timespec64_store(&i->mtime, now);
	if (which & INODE_CTIME)
		timespec64_store(&i->ctime, now);
	i->version++;
	spin_unlock(&i->obj.lock);
	inode_mark_dirty(i);
}

/* --- text file busy --- */
int inode_write_get(struct inode *i)
{
	int error = 0;

	spin_lock(&i->obj.lock);
	if (i->writers < 0)
		error = -ETXTBSY;
	else
		i->writers++;
	spin_unlock(&i->obj.lock);
	return error;
}
void inode_write_put(struct inode *i)
{
	spin_lock(&i->obj.lock);
	i->writers--;
	spin_unlock(&i->obj.lock);
}
int inode_deny_write(struct inode *i)
{
	int error = 0;

	spin_lock(&i->obj.lock);
	if (i->writers > 0)
		error = -ETXTBSY;
	else
		i->writers--;
	spin_unlock(&i->obj.lock);
	return error;
}
void inode_allow_write(struct inode *i)
{
	spin_lock(&i->obj.lock);
	i->writers++;
	spin_unlock(&i->obj.lock);
}

/* --- permissions --- */
int inode_permission(const struct context *ctx, const struct inode *i, u32 mask)
{
	u32 mode = inode_mode(i), bits = mode;

	if (mask & MAY_WRITE && i->sb->flags & SB_RDONLY &&
		(S_TYPE(mode) == S_IFREG || S_TYPE(mode) == S_IFDIR || S_TYPE(mode) == S_IFLNK))
		return -EROFS;
	if (kuid_eq(inode_uid(i), ctx->cred.fsuid))
		bits >>= 6;
	else if ((bits & 070) >> 3 != (bits & 07) && context_in_group(ctx, inode_gid(i)))
		bits >>= 3;
	if ((bits & mask) == mask)
		return 0;
	/* capabilities(7): DAC_OVERRIDE, except execution of a file that nobody may execute;
	 * DAC_READ_SEARCH. */
	if (S_TYPE(mode) == S_IFDIR) {
		if (!(mask & MAY_WRITE) && context_capable(ctx, CAP_DAC_READ_SEARCH))
			return 0;
		return context_capable(ctx, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && context_capable(ctx, CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(mask & MAY_EXEC) || mode & 0111) && context_capable(ctx, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

bool inode_owner_or_capable(const struct context *ctx, const struct inode *i)
{
	return kuid_eq(inode_uid(i), ctx->cred.fsuid) || context_capable(ctx, CAP_FOWNER);
}

struct inode_owner inode_owner(struct inode *i)
{
	struct inode_owner o;

	spin_lock(&i->obj.lock);
	o = (struct inode_owner){i->mode, i->uid, i->gid};
	spin_unlock(&i->obj.lock);
	return o;
}

void inode_stat(const struct inode *i, struct stat_info *out)
{
	struct inode *w = (struct inode *)i; /* WHY: the lock is not part of the value */

	*out = (struct stat_info){.dev = i->sb->dev,
		.ino = i->ino,
		.rdev = i->rdev,
		.blksize = i->sb->block_bytes ? i->sb->block_bytes : 4096};
	spin_lock(&w->obj.lock);
	out->mode = i->mode;
	out->nlink = i->nlink;
	out->uid = i->uid;
	out->gid = i->gid;
	out->atime = i->atime;
	out->mtime = i->mtime;
	out->ctime = i->ctime;
	out->btime = i->btime;
	out->blocks_512 = i->blocks_512;
	out->size = inode_own_size(i);
	spin_unlock(&w->obj.lock);
	/* Core keeps the pages of a resident file system, so it counts them too. */
	if (i->sb->flags & SB_NAMES_RESIDENT && i->pages)
		out->blocks_512 = READ_ONCE(i->pages->nr_resident) * 8;
	out->result_mask = 0xfff;  /* STATX_BASIC_STATS | STATX_BTIME */
	if (inode_flags(i) & 0x10) /* FS_IMMUTABLE_FL */
		out->attributes |= 0x10;
	if (inode_flags(i) & 0x20) /* FS_APPEND_FL */
		out->attributes |= 0x20;
	out->attributes_mask = 0x30;
}
