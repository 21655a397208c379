/*
 * Mounts, mount namespaces, path texts.
 *
 * Purpose: the mount tree of each namespace. Propagation is private everywhere, so a change
 * concerns one tree.
 *
 * Objects and lifetimes: an attached mount is owned by its parent's list (one reference), the top
 * one by its namespace; it holds its parent, its point, its root and its superblock, which ends
 * with its last mount (superblock.c).
 *
 * Invariants: MNT-I1 a mount is in the hash exactly while it is attached below a parent;
 * point->nr_mounts counts those. MNT-I2 parent, point and attachment change under tree_lock;
 * mount_seq is raised with each change, so that lock-free walkers notice.
 *
 * Locks: tree_lock (LOCK_LEVEL_NAMESPACE). Cost: mount_lookup_fast is one hash probe, made only
 * where point->nr_mounts is not 0.
 */
#include <lib/string.h>
#include <core/call.h>
#include <core/fs_call.h>
#include <core/log.h>
#include <core/task.h>
#include "node_priv.h"

#define MOUNT_BUCKETS 256u
static struct mount *buckets[MOUNT_BUCKETS];
static struct spinlock tree_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE);
static u32 next_mount_id = 1;
atomic32_t mount_seq;
struct slab_cache *slab_mount;
struct mount *anon_mount;
struct inode *anon_inode;

/* --- the tree --- */
static u32 mount_hash(const struct mount *m, const struct name *n)
{
	return (u32)((m->obj.id * 0x9e3779b97f4a7c15ull ^ n->obj.id * 0xff51afd7ed558ccdull) >>
		       40) %
	       MOUNT_BUCKETS;
}

struct mount *mount_lookup_fast(const struct mount *m, const struct name *n)
{
	struct mount *found = ptr_load_acquire(&buckets[mount_hash(m, n)]);

	while (found && (READ_ONCE(found->parent) != m || READ_ONCE(found->point) != n))
		found = ptr_load_acquire(&found->hash_next);
	return found;
}

struct mount *mount_lookup(struct mount *m, struct name *n)
{
	struct mount *found;

	spin_lock(&tree_lock);
	found = mount_lookup_fast(m, n);
	if (found)
		mount_get(found);
	spin_unlock(&tree_lock);
	return found;
}

struct mount *mount_new(struct superblock *sb, struct name *root, u32 flags, const char *source)
{
	struct mount *m = slab_zalloc(slab_mount);

	if (!m)
		return nullptr;
	object_init(&m->obj, OBJECT_MOUNT, LOCK_LEVEL_NAME, &account_root);
	m->source = kstrdup(source ? source : "none");
	if (!m->source) {
		slab_free(slab_mount, m);
		return nullptr;
	}
	superblock_use(sb);
	name_get(root);
	m->sb = sb;
	m->root = root;
	m->flags = flags;
	m->parent = m;
	m->detached = true;
	list_init(&m->children);
	list_init(&m->sibling);
	list_init(&m->in_ns);
	spin_lock(&tree_lock);
	m->id = next_mount_id++;
	spin_unlock(&tree_lock);
	return m;
}

void mount_release(struct mount *m)
{
	name_put(m->root);
	if (m->point)
		name_put(m->point);
	if (m->parent != m)
		mount_put(m->parent);
	superblock_put(m->sb);
	kfree(m->source);
	grace_defer(&m->obj.grace, GRACE_SLAB_FREE, m);
}

static void ns_changed(struct mount_ns *ns)
{
	call_effect_here();
	atomic32_fetch_add(&mount_seq, 1);
	if (ns) {
		ns->event++;
		waitable_wake(&ns->changed, EV_ANY, 0);
	}
}

/* Locks: tree_lock. Takes references for the tree. */
static void attach_locked(struct mount *m, struct mount *parent, struct name *point)
{
	u32 h = mount_hash(parent, point);

	mount_get(m);
	mount_get(parent);
	name_get(point);
	m->point = point;
	WRITE_ONCE(m->parent, parent);
	m->detached = false;
	list_add_tail(&parent->children, &m->sibling);
	m->hash_next = buckets[h];
	ptr_store_release(&buckets[h], m);
	atomic32_fetch_add(&point->nr_mounts, 1);
}
static void ns_add_locked(struct mount *m, struct mount_ns *ns)
{
	m->ns = ns;
	if (ns && !list_linked(&m->in_ns)) {
		list_add_tail(&ns->mounts, &m->in_ns);
		ns->nr_mounts++;
	}
}
/* Locks: tree_lock. The tree's references on m, parent and point pass to the caller. */
static void unattach_locked(struct mount *m)
{
	struct mount **link = &buckets[mount_hash(m->parent, m->point)];

	while (*link && *link != m)
		link = &(*link)->hash_next;
	if (*link)
		ptr_store_release(link, m->hash_next);
	list_del(&m->sibling);
	atomic32_fetch_sub(&m->point->nr_mounts, 1);
}
static void ns_del_locked(struct mount *m)
{
	if (list_linked(&m->in_ns)) {
		list_del(&m->in_ns);
		m->ns->nr_mounts--;
	}
	m->ns = nullptr;
}

static struct mount *tree_next(struct mount *m, struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first_entry(&m->children, struct mount, sibling);
	while (m != top) {
		if (m->sibling.next != &m->parent->children)
			return list_entry(m->sibling.next, struct mount, sibling);
		m = m->parent;
	}
	return nullptr;
}

int mount_attach(struct mount *m, const struct path_ref *at)
{
	struct mount_ns *ns;
	int error = 0;

	spin_lock(&tree_lock);
	ns = at->mount->ns;
	if (!ns || (at->name->flags & NAME_UNHASHED && at->name->parent != at->name)) {
		error = -EINVAL;
	} else {
		attach_locked(m, at->mount, at->name);
		for (struct mount *i = m; i; i = tree_next(i, m))
			ns_add_locked(i, ns);
		ns_changed(ns);
	}
	spin_unlock(&tree_lock);
	return error;
}

bool mount_busy(struct mount *m)
{
	/* The tree's reference and the caller's. */
	return !list_empty(&m->children) || refcount_read(&m->obj.refs) > 2;
}

int mount_detach(struct mount *m, bool lazy)
{
	struct list_node gone = LIST_INIT(gone);
	struct mount *i;
	struct mount_ns *ns;

	spin_lock(&tree_lock);
	ns = m->ns;
	if (!ns || m->parent == m) {
		spin_unlock(&tree_lock);
		return -EINVAL;
	}
	if (!lazy && mount_busy(m)) {
		spin_unlock(&tree_lock);
		return -EBUSY;
	}
	/* What is mounted below goes with it, each on its own, deepest first. */
	for (;;) {
		struct mount *parent;

		for (i = m; !list_empty(&i->children);)
			i = list_first_entry(&i->children, struct mount, sibling);
		parent = i->parent;
		unattach_locked(i);
		ns_del_locked(i);
		i->detached = true;
		list_add_tail(&gone, &i->sibling);
		if (i == m)
			break;
		(void)parent;
	}
	ns_changed(ns);
	spin_unlock(&tree_lock);
	while (!list_empty(&gone)) {
		i = list_first_entry(&gone, struct mount, sibling);
		list_del(&i->sibling);
		mount_put(i);
	}
	return 0;
}

int mount_move(struct mount *m, const struct path_ref *to)
{
	struct mount *old_parent = m->parent, *p;
	struct name *old_point = m->point;
	int error = 0;

	spin_lock(&tree_lock);
	for (p = to->mount; p != p->parent && p != m; p = p->parent)
		;
	if (p == m) {
		error = -ELOOP;
	} else if (!m->ns || m->parent == m || to->mount->ns != m->ns) {
		error = -EINVAL;
	} else {
		old_parent = m->parent;
		old_point = m->point;
		unattach_locked(m);
		attach_locked(m, to->mount, to->name);
		ns_changed(m->ns);
	}
	spin_unlock(&tree_lock);
	if (!error) {
		name_put(old_point);
		mount_put(old_parent);
		mount_put(m); /* attach took one more for the tree */
	}
	return error;
}

/* A copy of the tree at m; its parts are attached to each other only. */
struct mount *mount_clone(struct mount *m, struct name *root, bool recursive, struct mount_ns *ns)
{
	struct mount *top = mount_new(m->sb, root, m->flags, m->source), *from = m, *to = top;

	if (!top || !recursive)
		return top;
	/* Walks both trees in step; the source is kept still by the superblock-of-mounts order:
	 * callers hold no tree lock, so each step looks again under it. */
	for (;;) {
		struct mount *next = nullptr, *copy, *up;

		spin_lock(&tree_lock);
		next = tree_next(from, m);
		while (next && next->parent == m && !name_is_below(next->point, root))
			next = next->sibling.next != &m->children
				       ? list_entry(next->sibling.next, struct mount, sibling)
				       : nullptr;
		if (next)
			mount_get(next);
		spin_unlock(&tree_lock);
		if (!next)
			return top;
		for (up = from; up != next->parent && up != m; up = up->parent)
			to = to->parent;
		copy = mount_new(next->sb, next->root, next->flags, next->source);
		if (!copy) {
			mount_put(next);
			mount_put(top);
			return nullptr;
		}
		spin_lock(&tree_lock);
		attach_locked(copy, to, next->point);
		copy->detached = true;
		copy->ns = ns;
		spin_unlock(&tree_lock);
		mount_put(copy); /* the tree holds it */
		from = next;
		to = copy;
		mount_put(next);
	}
}

int mount_pivot(struct mount_ns *ns, const struct path_ref *new_root,
	const struct path_ref *put_old)
{
	struct mount *new = new_root->mount, *old = ns->root;
	struct mount *new_parent;
	struct name *new_point;

	spin_lock(&tree_lock);
	if (new->ns != ns || new == old || new->parent == new || put_old->mount->ns != ns) {
		spin_unlock(&tree_lock);
		return -EINVAL;
	}
	new_parent = new->parent;
	new_point = new->point;
	unattach_locked(new); /* the tree's reference becomes the namespace's */
	WRITE_ONCE(new->parent, new);
	new->point = nullptr;
	attach_locked(old, put_old->mount, put_old->name);
	ns->root = new;
	ns_changed(ns);
	spin_unlock(&tree_lock);
	mount_put(old); /* the namespace's */
	name_put(new_point);
	mount_put(new_parent);
	return 0;
}

int mount_unmount(struct mount *m, bool lazy)
{
	struct superblock *sb = m->sb;
	int error = mount_detach(m, lazy);

	if (error) {
		mount_put(m);
		return error;
	}
	/* The end of the file system is waited for here: umount(8) then power-off must find a clean
	 * disk. */
	superblock_use(sb);
	mount_put(m);
	superblock_put_wait(sb);
	return 0;
}

static void context_pivot(struct context *ctx, struct mount_ns *ns, const struct path_ref *old_root,
	const struct path_ref *new_root)
{
	struct fs_context *fs = ctx->mount_ns == ns ? ctx->fs : nullptr;
	struct path_ref drop[2] = {};

	if (!fs)
		return;
	spin_lock(&fs->obj.lock);
	if (fs->root.mount == old_root->mount && fs->root.name == old_root->name) {
		drop[0] = fs->root;
		fs->root = *new_root;
		path_get(new_root);
	}
	if (fs->cwd.mount == old_root->mount && fs->cwd.name == old_root->name) {
		drop[1] = fs->cwd;
		fs->cwd = *new_root;
		path_get(new_root);
	}
	spin_unlock(&fs->obj.lock);
	path_put(&drop[0]);
	path_put(&drop[1]);
}

/* One task at a time, so that no lock is held over the others' references. */
void fs_contexts_pivot(struct mount_ns *ns, const struct path_ref *old_root,
	const struct path_ref *new_root)
{
	struct pid_ns *pids = current->context->pid_ns;
	struct thread_group *g = nullptr;
	s32 after = 0;

	while ((g = group_next(pids, after))) {
		struct task *t;
		s32 after_thread = 0;

		after = group_pid_nr(g);
		while ((t = group_next_thread(g, after_thread))) {
			struct context *ctx;

			after_thread = task_pid_nr(t);
			spin_lock(&t->obj.lock);
			ctx = t->context;
			if (ctx)
				object_get(&ctx->obj);
			spin_unlock(&t->obj.lock);
			if (ctx) {
				context_pivot(ctx, ns, old_root, new_root);
				object_put(&ctx->obj);
			}
			object_put(&t->obj);
		}
		object_put(&g->obj);
	}
}

/* --- namespaces --- */
struct mount_ns *mount_ns_new(struct mount *root)
{
	struct mount_ns *ns = kzalloc(sizeof(*ns));

	if (!ns)
		return nullptr;
	object_init(&ns->obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	list_init(&ns->mounts);
	waitable_init(&ns->changed);
	ns->root = root;
	spin_lock(&tree_lock);
	for (struct mount *m = root; m; m = tree_next(m, root)) {
		ns_add_locked(m, ns);
		m->detached = false;
	}
	spin_unlock(&tree_lock);
	return ns;
}

/* The counterpart in the copy of a place in the original: both namespaces list their mounts in the
 * same order. */
static void ns_translate(struct mount_ns *from, struct mount_ns *to, struct path_ref *p)
{
	struct mount *a, *b = nullptr, *old = p->mount;
	struct list_node *other = to->mounts.next;

	spin_lock(&tree_lock);
	for (a = from->root; a; a = tree_next(a, from->root)) {
		if (other == &to->mounts)
			break;
		if (a == old) {
			b = list_entry(other, struct mount, in_ns);
			break;
		}
		other = other->next;
	}
	if (b) {
		mount_get(b);
		p->mount = b;
	}
	spin_unlock(&tree_lock);
	if (b)
		mount_put(old);
}

struct mount_ns *mount_ns_clone(struct mount_ns *from, struct fs_context *fs)
{
	struct mount *root = mount_clone(from->root, from->root->root, true, nullptr);
	struct mount_ns *ns = root ? mount_ns_new(root) : nullptr;

	if (!ns) {
		if (root)
			mount_put(root);
		return nullptr;
	}
	ns_translate(from, ns, &fs->root);
	ns_translate(from, ns, &fs->cwd);
	return ns;
}

void mount_ns_release(struct object *o)
{
	struct mount_ns *ns = container_of(o, struct mount_ns, obj);

	while (!list_empty(&ns->root->children))
		mount_detach(list_first_entry(&ns->root->children, struct mount, sibling), true);
	spin_lock(&tree_lock);
	ns_del_locked(ns->root);
	spin_unlock(&tree_lock);
	mount_put(ns->root);
	kfree(ns);
}

struct mount *mount_next(struct mount_ns *ns, u32 after)
{
	struct mount *m, *found = nullptr;

	spin_lock(&tree_lock);
	list_for_each_entry (m, &ns->mounts, in_ns)
		if (m->id > after && (!found || m->id < found->id))
			found = m;
	if (found)
		mount_get(found);
	spin_unlock(&tree_lock);
	return found;
}

int mount_root(struct superblock *sb, struct mount_ns **out)
{
	struct name *root = name_new_root(sb->root);
	struct mount *m = root ? mount_new(sb, root, MNT_RELATIME, "rootfs") : nullptr;

	if (root)
		name_put(root);
	if (!m)
		return -ENOMEM;
	*out = mount_ns_new(m);
	return *out ? 0 : -ENOMEM;
}

/* --- texts --- */
static char *text_front(char *buf, char *end, const char *text, size_t len)
{
	if (!end || (size_t)(end - buf) < len)
		return nullptr;
	return memcpy(end - len, text, len);
}

/* What stands behind an unlinked name. */
static char *deleted_text(const struct mount *m, const struct name *n, char *buf, char *at)
{
	if (!(n->flags & NAME_UNHASHED) || n->parent == n || (m && m->flags & MNT_INTERNAL))
		return at;
	return m ? text_front(buf, at, " (deleted)", 10) : text_front(buf, at, "//deleted", 9);
}

static char *name_text_front(const struct name *n, char *buf, char *at)
{
	const char *text = ptr_load_acquire(&n->text);

	return text_front(buf, at, text, ((const u32 *)(const void *)text)[-1]);
}

/* One attempt; reads names without references. A path without a mount is one within its file
 * system. Context: grace read section. */
static char *path_text_try(const struct path_ref *p, const struct path_ref *root, char *buf,
	size_t size)
{
	const struct mount *m = p->mount;
	const struct name *n = p->name;
	char *at = buf + size;
	bool reached;

	if (!size)
		return nullptr;
	*--at = 0;
	at = deleted_text(m, n, buf, at);
	if (m && m->flags & MNT_INTERNAL)
		return name_text_front(n, buf, at);
	for (;;) {
		reached = m && m == root->mount && n == root->name;
		if (!at || reached)
			break;
		if (m && n == m->root) {
			if (READ_ONCE(m->parent) == m)
				break;
			n = READ_ONCE(m->point);
			m = READ_ONCE(m->parent);
			continue;
		}
		if (READ_ONCE(n->parent) == n)
			break;
		at = text_front(buf, name_text_front(n, buf, at), "/", 1);
		n = READ_ONCE(n->parent);
	}
	if (at && (!*at || *at == ' '))
		at = text_front(buf, at, "/", 1);
	if (at && m && !reached && root->mount)
		at = text_front(buf, at, "(unreachable)", 13);
	return at;
}

char *path_text(const struct path_ref *p, const struct path_ref *root, char *buf, size_t size)
{
	char *text;

	for (u32 tries = 0;; tries++) {
		u32 moves = atomic32_load_acquire(&name_move_seq),
		    mounts = atomic32_load_acquire(&mount_seq);

		grace_read_begin();
		text = path_text_try(p, root, buf, size);
		grace_read_end();
		if (tries > 64 || (!(moves & 1) && moves == atomic32_load_acquire(&name_move_seq) &&
					  mounts == atomic32_load_acquire(&mount_seq)))
			return text;
	}
}

/* --- the internal mount of anonymous nodes --- */
void mount_boot_init(void)
{
	struct superblock *sb;
	struct name *root;

	slab_mount = slab_create("mount", sizeof(struct mount), 64);
	sb = superblock_new("anon_inodefs", SB_NAMES_RESIDENT);
	if (!sb)
		panic("no memory for the first superblock");
	sb->magic = 0x09041934;
	anon_inode = inode_new(sb, sb->next_ino++, 0600);
	if (!anon_inode)
		panic("no memory for the first inode");
	sb->root = anon_inode;
	root = name_new_root(anon_inode);
	anon_mount =
		root ? mount_new(sb, root, MNT_INTERNAL | MNT_NOEXEC, "anon_inodefs") : nullptr;
	if (!anon_mount)
		panic("no memory for the first mount");
}

/* --- memory-only files --- */
static struct mount *memory_files; /* set once, under tree_lock */

struct mount *memory_mount(void)
{
	return ptr_load_acquire(&memory_files);
}
struct mount *memory_mount_set(struct superblock *sb)
{
	struct name *root = superblock_root_name(sb);
	struct mount *m = root ? mount_new(sb, root, MNT_INTERNAL, "tmpfs") : nullptr, *first;

	if (root)
		name_put(root);
	superblock_put(sb);
	if (!m)
		return nullptr;
	spin_lock(&tree_lock);
	first = memory_files;
	if (!first)
		ptr_store_release(&memory_files, m);
	spin_unlock(&tree_lock);
	if (!first)
		return m;
	mount_put(m);
	return first;
}

bool memory_object_mapped_writable(struct memory_object *o)
{
	struct mapper *m;
	bool found = false;

	spin_lock(&o->obj.lock);
	list_for_each_entry (m, &o->mappers, link) {
		const struct region *r = container_of(m, struct region, mapper);

		found |= m->kind == MAPPER_SPACE &&
			 (r->flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
	}
	spin_unlock(&o->obj.lock);
	return found;
}
