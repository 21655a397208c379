/*
 * Superblocks: one per mounted file system, however often it is mounted.
 *
 * Purpose: who keeps a file system mounted, who may look at it meanwhile, and in which order it
 * ends.
 *
 * Vocabulary: user: a mount, or who is making one; visitor: who works on a file system that others
 * keep mounted (sync, the commit thread); born: its mount has succeeded.
 *
 * Objects and lifetimes: `users` keeps it mounted, obj.refs (one for all users, one per exclusion
 * that names it) its memory. The last user ends it: visitors leave, cached names go, what is dirty
 * is written, the device is given back. It is in the list until then.
 *
 * Invariants: SB-I1 a superblock without users is given to nobody; SB-I2 nothing of it is taken
 * down while there are visitors, and none comes after the last user; SB-I3 a claim of a block
 * device by a superblock lasts while that is in the list.
 *
 * Locks: superblocks_lock (list, born, nr_visitors). No lock is held while one ends: its end waits,
 * visitors wait for I/O.
 *
 * Failure and recovery: an end that fails (I/O) leaves the disk marked unclean. Replacement:
 * nothing of a component's lies here.
 *
 * Cost: a mount and an unmount change two counters.
 */
#include <core/block.h>
#include <core/fs_call.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include "node_priv.h"

#define LOCK_LEVEL_SUPERBLOCKS LOCK_LEVEL_NAMESPACE
#define IN_USE_ROUNDS          100u /* of IN_USE_WAIT_NS: then its memory is left alone */
#define IN_USE_WAIT_NS         (100 * NSEC_PER_MSEC)

static struct spinlock superblocks_lock = SPINLOCK_INIT(LOCK_LEVEL_SUPERBLOCKS);
static struct list_node superblocks guarded_by(&superblocks_lock) = LIST_INIT(superblocks);
static struct superblock *ending
	guarded_by(&superblocks_lock); /* what the thread has to do, linked by next_ending */
static struct waitable changed, ending_work;
static atomic32_t next_dev;

u32 superblock_anonymous_dev(void)
{
	return DEV_MAKE(0, atomic32_fetch_add(&next_dev, 1) + 1);
}

struct superblock *superblock_new(const char *type, u32 flags)
{
	struct superblock *sb = kzalloc(sizeof(*sb));

	if (!sb)
		return nullptr;
	object_init(&sb->obj, OBJECT_SUPERBLOCK, LOCK_LEVEL_NAME_HASH, &account_root);
	refcount_set(&sb->users, 1);
	sb->type_name = type;
	sb->flags = flags;
	sb->dev = superblock_anonymous_dev();
	sb->block_bytes = 4096;
	sb->max_file_bytes = INT64_MAX;
	sb->name_max = 255;
	sb->next_ino = 1;
	exclusion_init(&sb->rename_excl, &sb->obj);
	list_init(&sb->inodes);
	list_init(&sb->dirty_inodes);
	spin_lock(&superblocks_lock);
	list_add_tail(&superblocks, &sb->all);
	spin_unlock(&superblocks_lock);
	return sb;
}

void superblock_born(struct superblock *sb)
{
	spin_lock(&superblocks_lock);
	sb->born = true;
	spin_unlock(&superblocks_lock);
	waitable_wake(&changed, EV_ANY, 0);
}

/* SB-I2: users are looked at under the lock under which the end looks at visitors. */
struct superblock *superblock_next(u64 after_id)
{
	struct superblock *sb, *found = nullptr;

	spin_lock(&superblocks_lock);
	list_for_each_entry (sb, &superblocks, all)
		if (sb->obj.id > after_id && sb->born && refcount_read(&sb->users)) {
			found = sb;
			sb->nr_visitors++;
			break;
		}
	spin_unlock(&superblocks_lock);
	return found;
}

void superblock_leave(struct superblock *sb)
{
	spin_lock(&superblocks_lock);
	sb->nr_visitors--;
	spin_unlock(&superblocks_lock);
	waitable_wake(&changed, EV_ANY, 0);
}

void superblock_sync(struct superblock *sb)
{
	struct call *c;

	if (!sb->fs || sb->flags & (SB_RDONLY | SB_NAMES_RESIDENT))
		return;
	c = kmalloc(sizeof(*c));
	if (!c)
		return;
	call_begin(c, CALLF_KERNEL);
	(void)fs_sync(c, sb, true);
	call_end(c);
	kfree(c);
}

static bool visited(struct superblock *sb)
{
	u32 nr;

	spin_lock(&superblocks_lock);
	nr = sb->nr_visitors;
	spin_unlock(&superblocks_lock);
	return nr != 0;
}

/* --- second mounts --- */
enum found : u8 { FOUND_NOBODY, FOUND_WAIT, FOUND_USED };

static enum found device_user(const struct block_device *b, struct superblock **out)
{
	enum found r = FOUND_NOBODY;
	struct superblock *sb;

	*out = nullptr;
	spin_lock(&superblocks_lock);
	list_for_each_entry (sb, &superblocks, all) {
		if (READ_ONCE(b->claimed) != &sb->obj)
			continue;
		r = FOUND_WAIT; /* being mounted, or ending */
		if (sb->born && refcount_inc_not_zero(&sb->users)) {
			r = FOUND_USED;
			*out = sb;
		}
		break;
	}
	spin_unlock(&superblocks_lock);
	return r;
}

struct superblock *superblock_of_device(const struct block_device *b, bool *again)
{
	struct superblock *sb;
	enum found r;

	wait_event(&changed, EV_ANY, (r = device_user(b, &sb)) != FOUND_WAIT, 0);
	*again = !sb && !READ_ONCE(b->claimed);
	return sb;
}

/* --- the end --- */
static bool inodes_left(struct superblock *sb)
{
	bool left;

	spin_lock(&sb->obj.lock);
	left = sb->inodes.next != sb->inodes.prev ||
	       (!list_empty(&sb->inodes) &&
		       list_first_entry(&sb->inodes, struct inode, sb_link) != sb->root);
	spin_unlock(&sb->obj.lock);
	return left;
}

void superblock_inode_gone(struct superblock *sb)
{
	if (unlikely(!refcount_read(&sb->users)))
		waitable_wake(&changed, EV_ANY, 0);
}

bool superblock_wait_inodes(struct superblock *sb)
{
	for (u32 i = 0; i < IN_USE_ROUNDS; i++) {
		u32 seq = waitable_seq(&changed);

		reaper_drain();
		if (!inodes_left(sb))
			return true;
		/* Write-back and reclaim hold inodes for a moment without a user of the superblock.
		 */
		wait_sleep(&changed, EV_ANY, seq, time_monotonic_ns() + IN_USE_WAIT_NS, 0);
	}
	return false;
}

static void superblock_end(struct superblock *sb)
{
	wait_event(&changed, EV_ANY, !visited(sb), 0);
	if (sb->root)
		names_drop(sb);
	fs_unmount(sb);
	if (sb->root)
		inode_put(sb->root);
	spin_lock(&superblocks_lock);
	list_del(&sb->all);
	spin_unlock(&superblocks_lock);
	waitable_wake(&changed, EV_ANY, 0);
	/* Only a lost reference: an open file keeps its mount. They point here, so the memory
	 * stays. */
	if (!list_empty(&sb->inodes))
		log_err("%s: inodes in use after unmount\n", sb->type_name);
	else
		object_put(&sb->obj);
}

void superblock_release(struct superblock *sb)
{
	kfree(sb);
}

void superblock_use(struct superblock *sb)
{
	refcount_inc(&sb->users);
}

void superblock_put_wait(struct superblock *sb)
{
	if (refcount_dec_and_test(&sb->users))
		superblock_end(sb);
}

void superblock_put(struct superblock *sb)
{
	if (!refcount_dec_and_test(&sb->users))
		return;
	spin_lock(&superblocks_lock);
	sb->next_ending = ending;
	ending = sb;
	spin_unlock(&superblocks_lock);
	waitable_wake(&ending_work, EV_ANY, 0);
}

static struct superblock *ending_take(void)
{
	struct superblock *sb;

	spin_lock(&superblocks_lock);
	sb = ending;
	if (sb)
		ending = sb->next_ending;
	spin_unlock(&superblocks_lock);
	return sb;
}

/* Not the reaper: an end waits for visitors, and a visitor that makes space waits for the reaper.
 */
static void ending_thread(void *arg)
{
	(void)arg;
	for (;;) {
		struct superblock *sb;

		wait_event(&ending_work, EV_ANY, (sb = ending_take()) != nullptr, 0);
		if (sb)
			superblock_end(sb);
	}
}

void superblock_boot_init(void)
{
	waitable_init(&changed);
	waitable_init(&ending_work);
	if (!task_kernel_thread(ending_thread, nullptr, "fs-unmount"))
		panic("no memory for the unmount thread");
}

/* --- questions --- */
struct name *superblock_root_name(struct superblock *sb)
{
	struct inode *root = sb->root;
	struct name *n = nullptr;

	spin_lock(&root->obj.lock);
	if (!list_empty(&root->names)) {
		n = list_first_entry(&root->names, struct name, alias);
		if (!object_get_live(&n->obj))
			n = nullptr;
	}
	spin_unlock(&root->obj.lock);
	return n ? n : name_new_root(root);
}

bool superblock_written(struct superblock *sb)
{
	struct inode *i;
	bool found = false;

	spin_lock(&sb->obj.lock);
	list_for_each_entry (i, &sb->inodes, sb_link)
		if (READ_ONCE(i->writers) > 0 || !inode_nlink(i)) {
			found = true;
			break;
		}
	spin_unlock(&sb->obj.lock);
	return found;
}
