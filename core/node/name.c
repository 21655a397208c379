/*
 * The name cache.
 *
 * Purpose: (parent name, text) -> inode, for every file system, so that a path is walked without
 * locks and without the file system.
 *
 * Vocabulary: a *name* is one directory entry as the kernel knows it; *negative* when it is known
 * to be absent; *hashed* when lookups can find it. *Fast* lookups run in a grace read section and
 * take nothing.
 *
 * Objects and lifetimes: a name holds references on its parent and its inode. While hashed the
 * cache owns one reference of it (NAME_CACHED); names nobody else holds are shrunk in order of age,
 * those of SB_NAMES_RESIDENT file systems never. Memory of names, of texts that renames gave and of
 * inodes is freed after a grace period.
 *
 * Invariants: NAME-I1 `seq` is odd while parent, text or inode change; a fast reader that saw the
 * same even value before and after has seen one consistent name. NAME-I2 the u32 before text[0] is
 * that text's length, for ever. NAME-I3 a hashed name is in the bucket of its hash_value. NAME-I4
 * two hashed names never have equal parent and text. NAME-I5 a chain is changed under its bucket's
 * lock only. NAME-I6 `changes` of a directory's name rises with each child that is made, deleted or
 * moved.
 *
 * Locks: move_lock (all moves) > parent->obj.lock (children list) > bucket lock > inode->obj.lock
 * is not nested in a bucket lock; the alias list is changed on its own.
 *
 * Failure and recovery: nothing here can fail half-way; memory is taken before the first change.
 *
 * Replacement: core, never replaced.
 *
 * Cost: a fast lookup is one hash, one load per chain link and one memcmp. Worst case the chain
 * length (1/16 of cached names per 1024).
 */
#include <lib/string.h>
#include <core/log.h>
#include "name_hash.h"
#include "node_priv.h"

#define NAME_BUCKETS      (1u << 15)
#define NAME_LOCKS        256u
#define NAME_CACHE_LIMIT  131072u /* unpinned names kept; each about 200 bytes */
#define NAME_SHRINK_STEPS 16u

static struct name *buckets[NAME_BUCKETS];
static struct spinlock bucket_locks[NAME_LOCKS];
static struct spinlock move_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE);
static struct spinlock lru_lock = SPINLOCK_INIT(LOCK_LEVEL_NAME_HASH + 1);
static struct list_node lru = LIST_INIT(lru);
static u32 nr_lru;
struct slab_cache *slab_name;

void name_boot_init(void)
{
	for (u32 i = 0; i < NAME_LOCKS; i++)
		spin_init(&bucket_locks[i], LOCK_LEVEL_NAME_HASH);
	slab_name = slab_create("name", sizeof(struct name), 64);
}

static struct spinlock *bucket_lock(u32 hash)
{
	return &bucket_locks[hash % NAME_LOCKS];
}
static u32 text_len(const char *text)
{
	return ((const u32 *)(const void *)text)[-1];
}

u32 name_hash(const struct name *parent, const char *text, u32 len)
{
	return name_hash_text(parent->obj.id, text, len);
}

static bool text_is(const char *text, const char *other, u32 len)
{
	if (text_len(text) != len)
		return false;
	for (u32 i = 0; i < len; i++)
		if (text[i] != other[i])
			return false;
	return true;
}

struct name *name_lookup_fast(const struct name *parent, const char *text, u32 len, u32 hash,
	u32 *seq)
{
	struct name *n = ptr_load_acquire(&buckets[hash % NAME_BUCKETS]);

	for (; n; n = ptr_load_acquire(&n->hash_next)) {
		/* Before the comparison: what was compared is then covered by NAME-I1. */
		*seq = atomic32_load_acquire(&n->seq);
		if (READ_ONCE(n->hash_value) == hash && READ_ONCE(n->parent) == parent &&
			text_is(ptr_load_acquire(&n->text), text, len))
			return n;
	}
	return nullptr;
}

static struct name *find_locked(const struct name *parent, const char *text, u32 len, u32 hash)
{
	for (struct name *n = buckets[hash % NAME_BUCKETS]; n; n = n->hash_next)
		if (n->hash_value == hash && n->parent == parent && text_is(n->text, text, len) &&
			object_get_live(&n->obj))
			return n;
	return nullptr;
}

static struct name *find(const struct name *parent, const char *text, u32 len)
{
	u32 hash = name_hash(parent, text, len);
	struct spinlock *lock = bucket_lock(hash);
	struct name *n;

	spin_lock(lock);
	n = find_locked(parent, text, len, hash);
	spin_unlock(lock);
	return n;
}

atomic32_t name_move_seq; /* odd while a move is under way */

struct name *name_lookup(struct name *parent, const char *text, u32 len)
{
	struct name *n;
	u32 moves;

	/* Nobody takes a name for absent that was on its way. */
	do {
		moves = atomic32_load_acquire(&name_move_seq);
		n = find(parent, text, len);
	} while (unlikely(!n && (moves & 1 || moves != atomic32_load_acquire(&name_move_seq))));
	return n;
}

/* --- hashing --- */
static void chain_insert(struct name *n)
{
	struct name **head = &buckets[n->hash_value % NAME_BUCKETS];

	n->hash_next = *head;
	ptr_store_release(head, n);
}
static void chain_remove(struct name *n)
{
	struct name **link = &buckets[n->hash_value % NAME_BUCKETS];

	while (*link && *link != n)
		link = &(*link)->hash_next;
	/* n keeps hash_next: a fast reader that stands on it goes on along the chain. */
	if (*link)
		ptr_store_release(link, n->hash_next);
}
static void lru_add(struct name *n)
{
	if (n->flags & NAME_PINNED)
		return;
	spin_lock(&lru_lock);
	if (!list_linked(&n->lru)) {
		list_add_tail(&lru, &n->lru);
		WRITE_ONCE(nr_lru, nr_lru + 1);
	}
	spin_unlock(&lru_lock);
}
static void lru_del(struct name *n)
{
	spin_lock(&lru_lock);
	if (list_linked(&n->lru)) {
		list_del(&n->lru);
		WRITE_ONCE(nr_lru, nr_lru - 1);
	}
	spin_unlock(&lru_lock);
}

/* Locks: the bucket's. */
static bool unhash_locked(struct name *n)
{
	bool was = n->flags & NAME_CACHED;

	if (was) {
		chain_remove(n);
		n->flags = (n->flags & ~NAME_CACHED) | NAME_UNHASHED;
	}
	return was;
}

/* Removes a hashed name; the cache's reference passes to the caller. False: was not hashed. */
static bool unhash(struct name *n)
{
	struct spinlock *lock = bucket_lock(n->hash_value);
	bool was;

	spin_lock(lock);
	was = unhash_locked(n);
	spin_unlock(lock);
	if (was)
		lru_del(n);
	return was;
}

/* One old name that nobody holds. Dropping the cache's reference is the decision: a reader who took
 * one meanwhile keeps it hashed. */
static bool shrink_one(void)
{
	struct name *n = nullptr;
	u32 steps = 0;

	spin_lock(&lru_lock);
	while (steps++ < NAME_SHRINK_STEPS && !list_empty(&lru)) {
		struct name *candidate = list_first_entry(&lru, struct name, lru);
		u32 one = 1;

		list_del(&candidate->lru);
		if (atomic32_cas(&candidate->obj.refs.count, &one, 0)) {
			WRITE_ONCE(nr_lru, nr_lru - 1);
			n = candidate;
			break;
		}
		list_add_tail(&lru, &candidate->lru);
	}
	spin_unlock(&lru_lock);
	if (!n)
		return false;
	node_object_release(&n->obj);
	return true;
}

/* --- making --- */
static struct name *name_create(struct name *parent, struct superblock *sb, const char *text,
	u32 len)
{
	struct name *n = slab_zalloc(slab_name);

	if (!n)
		return nullptr;
	object_init(&n->obj, OBJECT_NAME, LOCK_LEVEL_NAME, &account_root);
	n->text = n->inline_text;
	n->inline_len = len;
	if (len >= NAME_INLINE) {
		struct name_text *t = kmalloc(sizeof(*t) + len + 1);

		if (!t) {
			slab_free(slab_name, n);
			return nullptr;
		}
		t->len = len;
		n->text = t->text;
	}
	memcpy(n->text, text, len);
	n->text[len] = 0;
	n->len = len;
	n->sb = sb;
	n->flags = NAME_UNHASHED;
	if (sb->flags & SB_NAMES_RESIDENT)
		n->flags |= NAME_PINNED;
	list_init(&n->children);
	list_init(&n->sibling);
	list_init(&n->alias);
	list_init(&n->lru);
	n->parent = parent ? parent : n;
	if (parent) {
		name_get(parent);
		n->hash_value = name_hash(parent, text, len);
	}
	return n;
}

struct name *name_alloc(struct name *parent, const char *text, u32 len)
{
	return name_create(parent, parent->sb, text, len);
}

void name_give_inode(struct name *n, struct inode *inode)
{
	inode_get(inode);
	ptr_store_release(&n->inode, inode);
}

struct name *name_new_root(struct inode *inode)
{
	struct name *n = name_create(nullptr, inode->sb, "/", 1);

	if (!n)
		return nullptr;
	inode_get(inode);
	n->inode = inode;
	spin_lock(&inode->obj.lock);
	list_add_tail(&inode->names, &n->alias);
	spin_unlock(&inode->obj.lock);
	return n;
}

static void alias_add(struct name *n, struct inode *inode)
{
	spin_lock(&inode->obj.lock);
	list_add_tail(&inode->names, &n->alias);
	spin_unlock(&inode->obj.lock);
}
static void alias_del(struct name *n, struct inode *inode)
{
	spin_lock(&inode->obj.lock);
	list_del(&n->alias);
	spin_unlock(&inode->obj.lock);
}
static void seq_begin(struct name *n)
{
	atomic32_fetch_add(&n->seq, 1);
}
static void seq_end(struct name *n)
{
	atomic32_fetch_add(&n->seq, 1);
}

/* Links n below its parent and hashes it. Locks: parent->obj.lock. */
static void publish_locked(struct name *n)
{
	struct spinlock *lock = bucket_lock(n->hash_value);

	name_get(n); /* the cache's */
	list_add_tail(&n->parent->children, &n->sibling);
	n->dir_cursor = ++n->parent->last_cursor;
	spin_lock(lock);
	n->flags = (n->flags & ~NAME_UNHASHED) | NAME_CACHED;
	chain_insert(n);
	spin_unlock(lock);
	lru_add(n);
}

static struct name *add_checked(struct name *parent, const char *text, u32 len, struct inode *inode,
	const u32 *changes, bool *stale)
{
	struct name *n = name_create(parent, parent->sb, text, len), *other;

	if (!n)
		goto drop;
	spin_lock(&parent->obj.lock);
	other = find(parent, text, len);
	if (!other && changes && atomic32_load(&parent->changes) != *changes) {
		*stale = true;
		spin_unlock(&parent->obj.lock);
		name_put(n);
		n = nullptr;
		goto drop;
	}
	/* Below a directory that is gone nothing may be cached: it would keep the directory
	 * (children_drop looked already). */
	if (!other && !inode && parent->flags & NAME_UNHASHED && parent->parent != parent) {
		spin_unlock(&parent->obj.lock);
		return n;
	}
	if (!other) {
		n->inode = inode;
		if (inode)
			alias_add(n, inode);
		publish_locked(n);
		spin_unlock(&parent->obj.lock);
		while (READ_ONCE(nr_lru) > NAME_CACHE_LIMIT && shrink_one())
			;
		return n;
	}
	spin_unlock(&parent->obj.lock);
	name_put(n);
	n = other;
drop:
	if (inode)
		inode_put(inode);
	return n;
}

struct name *name_add(struct name *parent, const char *text, u32 len, struct inode *inode)
{
	return add_checked(parent, text, len, inode, nullptr, nullptr);
}
struct name *name_add_looked_up(struct name *parent, const char *text, u32 len, struct inode *inode,
	u32 changes, bool *stale)
{
	*stale = false;
	return add_checked(parent, text, len, inode, &changes, stale);
}

/* --- changing --- */
void name_set_inode(struct name *n, struct inode *inode)
{
	struct name *parent = n->parent;

	spin_lock(&parent->obj.lock);
	atomic32_fetch_add(&parent->changes, 1);
	seq_begin(n);
	ptr_store_release(&n->inode, inode);
	alias_add(n, inode);
	seq_end(n);
	if (n->flags & NAME_UNHASHED)
		publish_locked(n);
	spin_unlock(&parent->obj.lock);
}

/*
 * Whoever takes a reference without lock looks at seq afterwards; whoever takes one under the
 * bucket's lock is counted when that lock is held here. So when only the cache and the caller hold
 * n while seq is odd and the bucket is locked, nobody uses its inode through n.
 */
static struct inode *make_negative(struct name *n)
{
	struct spinlock *lock = bucket_lock(n->hash_value);
	struct inode *gone = nullptr;

	spin_lock(lock);
	if (atomic32_load_seq(&n->obj.refs.count) <= 2 && n->flags & NAME_CACHED) {
		gone = n->inode;
		WRITE_ONCE(n->inode, nullptr);
	}
	spin_unlock(lock);
	return gone;
}

/* A directory goes: what is cached below it (absent names only, it was empty) would keep it. */
static void children_drop(struct name *n)
{
	for (;;) {
		struct name *child = nullptr, *i;

		spin_lock(&n->obj.lock);
		list_for_each_entry (i, &n->children, sibling)
			if (object_get_live(&i->obj)) {
				child = i;
				break;
			}
		spin_unlock(&n->obj.lock);
		if (!child)
			return;
		name_invalidate(child);
		name_put(child);
	}
}

void name_delete(struct name *n)
{
	struct name *parent = n->parent;
	struct inode *gone = nullptr;
	bool cached = false;

	spin_lock(&parent->obj.lock);
	atomic32_fetch_add(&parent->changes, 1);
	seq_begin(n);
	if (!(n->flags & NAME_PINNED) && n->inode && !inode_is_dir(n->inode))
		gone = make_negative(n);
	if (!gone) {
		cached = unhash(n);
		list_del(&n->sibling);
	}
	seq_end(n);
	spin_unlock(&parent->obj.lock);
	if (gone) {
		alias_del(n, gone);
		inode_put(gone);
	} else {
		children_drop(n);
	}
	if (cached)
		name_put(n);
}

struct name_text *name_text_new(const char *text, u32 len)
{
	struct name_text *t = kmalloc(sizeof(*t) + len + 1);

	if (!t)
		return nullptr;
	t->len = len;
	memcpy(t->text, text, len);
	t->text[len] = 0;
	return t;
}
void name_text_drop(struct name_text *t)
{
	kfree(t);
}
static void text_replace(struct name *n, struct name_text *t)
{
	char *old = n->text;

	ptr_store_release(&n->text, t->text);
	n->len = t->len;
	if (old != n->inline_text) {
		struct name_text *o = container_of(old, struct name_text, text[0]);

		grace_defer(&o->grace, GRACE_SLAB_FREE, o);
	}
}

/* Takes n out of its parent's list and its bucket, keeping the cache's reference. Locks: move_lock.
 */
static void move_begin(struct name *n)
{
	struct name *parent = n->parent;
	struct spinlock *lock = bucket_lock(n->hash_value);

	spin_lock(&parent->obj.lock);
	atomic32_fetch_add(&parent->changes, 1);
	list_del(&n->sibling);
	spin_unlock(&parent->obj.lock);
	seq_begin(n);
	spin_lock(lock);
	if (n->flags & NAME_CACHED)
		chain_remove(n);
	spin_unlock(lock);
}
/* Puts it below `parent`. What had its place there is returned, with two references to drop: the
 * name that is replaced, or one that a lookup made meanwhile. */
static struct name *move_end(struct name *n, struct name *parent)
{
	struct spinlock *lock;
	struct name *other;

	spin_lock(&parent->obj.lock);
	other = find(parent, n->text, n->len);
	if (other) {
		seq_begin(other);
		list_del(&other->sibling);
	}
	WRITE_ONCE(n->parent, parent);
	WRITE_ONCE(n->hash_value, name_hash(parent, n->text, n->len));
	lock = bucket_lock(n->hash_value);
	atomic32_fetch_add(&parent->changes, 1);
	list_add_tail(&parent->children, &n->sibling);
	n->dir_cursor = ++parent->last_cursor;
	/* Both are in this bucket: a lookup finds one or the other. Children change under the
	 * parent's lock only, so what the chain showed is still hashed. */
	spin_lock(lock);
	if (other)
		unhash_locked(other);
	if (n->flags & NAME_CACHED)
		chain_insert(n);
	spin_unlock(lock);
	seq_end(n);
	if (other) {
		lru_del(other);
		seq_end(other);
	}
	spin_unlock(&parent->obj.lock);
	return other;
}
static void put_twice(struct name *n)
{
	if (n) {
		name_put(n);
		name_put(n);
	}
}

void name_move(struct name *n, struct name *new_parent, struct name_text *text,
	struct name *replaced)
{
	struct name *old_parent = n->parent, *other;

	spin_lock(&move_lock);
	atomic32_fetch_add(&name_move_seq, 1);
	move_begin(n);
	text_replace(n, text);
	if (new_parent != old_parent)
		name_get(new_parent);
	other = move_end(n, new_parent);
	atomic32_fetch_add(&name_move_seq, 1);
	spin_unlock(&move_lock);
	if (replaced)
		children_drop(replaced);
	put_twice(other);
	if (new_parent != old_parent)
		name_put(old_parent);
}

void name_exchange(struct name *a, struct name *b, struct name_text *text_a,
	struct name_text *text_b)
{
	struct name *pa = a->parent, *pb = b->parent, *other[2];

	spin_lock(&move_lock);
	atomic32_fetch_add(&name_move_seq, 1);
	move_begin(a);
	move_begin(b);
	text_replace(a, text_a);
	text_replace(b, text_b);
	other[0] = move_end(a, pb); /* the parents' references change places with their children */
	other[1] = move_end(b, pa);
	atomic32_fetch_add(&name_move_seq, 1);
	spin_unlock(&move_lock);
	put_twice(other[0]);
	put_twice(other[1]);
}

bool inode_names_empty(struct inode *dir)
{
	struct name *n;
	bool empty = true;

	spin_lock(&dir->obj.lock);
	n = list_empty(&dir->names) ? nullptr : list_first_entry(&dir->names, struct name, alias);
	if (n && !object_get_live(&n->obj))
		n = nullptr;
	spin_unlock(&dir->obj.lock);
	if (n) {
		spin_lock(&n->obj.lock);
		empty = list_empty(&n->children);
		spin_unlock(&n->obj.lock);
		name_put(n);
	}
	return empty;
}

bool name_is_below(const struct name *n, const struct name *ancestor)
{
	bool below = false;

	grace_read_begin();
	for (;;) {
		const struct name *parent = READ_ONCE(n->parent);

		if (n == ancestor)
			below = true;
		if (below || parent == n)
			break;
		n = parent;
	}
	grace_read_end();
	return below;
}

void name_invalidate(struct name *n)
{
	struct name *parent = n->parent;
	bool cached;

	spin_lock(&parent->obj.lock);
	atomic32_fetch_add(&parent->changes, 1);
	seq_begin(n);
	cached = unhash(n);
	list_del(&n->sibling);
	seq_end(n);
	spin_unlock(&parent->obj.lock);
	if (cached)
		name_put(n);
}

/* Deepest first; what is held elsewhere only loses its place in the cache. Context: thread. */
void names_drop(struct superblock *sb)
{
	struct inode *root = sb->root;
	struct name *top = nullptr, *n;

	spin_lock(&root->obj.lock);
	if (!list_empty(&root->names)) {
		top = list_first_entry(&root->names, struct name, alias);
		name_get(top);
	}
	spin_unlock(&root->obj.lock);
	n = top;
	while (n) {
		struct name *child = nullptr;

		spin_lock(&n->obj.lock);
		if (!list_empty(&n->children)) {
			child = list_first_entry(&n->children, struct name, sibling);
			if (!object_get_live(&child->obj))
				child = nullptr;
		}
		spin_unlock(&n->obj.lock);
		if (child) {
			name_put(n);
			n = child;
			continue;
		}
		if (n == top)
			break;
		name_get(n->parent);
		child = n->parent;
		name_invalidate(n);
		name_put(n);
		n = child;
	}
	if (top)
		name_put(top);
}

/* --- the end --- */
void name_put(struct name *n)
{
	if (refcount_dec_and_test(&n->obj.refs))
		node_object_release(&n->obj);
}

static void name_free(struct name *n)
{
	if (n->text != n->inline_text) {
		struct name_text *t = container_of(n->text, struct name_text, text[0]);

		grace_defer(&t->grace, GRACE_SLAB_FREE, t);
	}
	grace_defer(&n->obj.grace, GRACE_SLAB_FREE, n);
}

/* A loop, not recursion: the last child of a deep path may take all its ancestors with it. */
void name_release(struct name *n)
{
	for (;;) {
		struct name *parent = n->parent;
		struct inode *inode = n->inode;

		if (parent != n) {
			spin_lock(&parent->obj.lock);
			unhash(n);
			list_del(&n->sibling);
			spin_unlock(&parent->obj.lock);
		}
		lru_del(n);
		if (inode) {
			alias_del(n, inode);
			inode_put(inode);
		}
		name_free(n);
		if (parent == n || !refcount_dec_and_test(&parent->obj.refs))
			return;
		n = parent;
	}
}
