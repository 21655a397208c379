/*
 * vfs: the file-system calls of personalities, and what open files of core's own kinds do.
 *
 * Purpose: translate paths and descriptors into core's names, inodes and files; behaviour only,
 * every state is core's (core/node).
 *
 * Vocabulary: a *walk* resolves one path; its *position* is (mount, name) and the rest of the
 * string. *Fast*: in a grace read section, no references, no locks, stops at anything unusual.
 * *Slow*: one component with references, may answer a kind.
 *
 * Objects and lifetimes: walks of a call live on the stack; a run that answers a kind moves them
 * into the frame (core/walk.h), so that a cold deep path goes on where it stood and what was
 * resolved stays resolved.
 *
 * Invariants: VFS-I1 a handler changes nothing before its last NEED, or has recorded the change.
 * VFS-I2 a directory changes under its EXCL_INODE; after it is held the last component is looked up
 * again. VFS-I3 a position without references is used only in the grace section in which it was
 * found, and is validated by the name's seq when references are taken.
 *
 * Locks: none of its own; core's short locks inside core's functions.
 *
 * Failure and recovery: a trap in here ends the call; nothing is half done (VFS-I1).
 *
 * Replacement: walk sets and pipes etc. are core objects; a waiting call's frame holds phase and
 * walk set, both versioned with the contract.
 *
 * Cost: a fast step is one scan, one hash, one lookup, one permission test: about 90 instructions
 * for short names.
 */
#include "path.h"
#include "vfs_priv.h"

#define LINK_BYTES_MAX 4096u

/* --- the set of a frame --- */
void walks_begin(struct call *c, struct walks *ws)
{
	struct call_frame *f = call_frame(c);

	ws->set = nullptr;
	if (unlikely(f->ref)) {
		if (f->live) {
			ws->set = container_of(f->ref, struct walk_set, obj);
			return;
		}
		object_put(f->ref);
		f->ref = nullptr;
	}
	ws->local[0] = (struct walk){};
	ws->local[1] = (struct walk){};
}

struct walk_set *walks_keep(struct call *c, struct walks *ws)
{
	struct walk_set *s = ws->set;

	if (s)
		return s;
	s = walk_set_new();
	if (!s)
		return nullptr;
	call_progress_begin(c);
	call_frame(c)->ref = &s->obj;
	for (u32 i = 0; i < WALKS_PER_CALL; i++) {
		s->walk[i] = ws->local[i];
		ws->local[i] = (struct walk){};
	}
	ws->set = s;
	return s;
}

answer_t walks_end(struct call *c, struct walks *ws, answer_t a)
{
	if (unlikely(ws->set))
		return a;
	/* Without memory the walk is made again from its start: correct, only slower. */
	if (unlikely(answer_is_kind(a)) && (ws->local[0].state != WALK_FRESH) && walks_keep(c, ws))
		return a;
	for (u32 i = 0; i < WALKS_PER_CALL; i++)
		if (ws->local[i].state != WALK_FRESH)
			walk_drop(&ws->local[i]);
	return a;
}

/* --- helpers --- */
static void root_of(struct call *c, const struct walk *w, struct path_ref *out)
{
	struct fs_context *fs = c->ctx->fs;

	if (w->root.mount) {
		*out = w->root;
		return;
	}
	spin_lock(&fs->obj.lock);
	*out = fs->root;
	spin_unlock(&fs->obj.lock);
}

void vfs_cross_mounts(struct path_ref *p)
{
	struct mount *m;

	while (unlikely(atomic32_load(&p->name->nr_mounts)) &&
		(m = mount_lookup(p->mount, p->name))) {
		name_put(p->name);
		mount_put(p->mount);
		p->mount = m;
		p->name = m->root;
		name_get(m->root);
	}
}

/* What the names say: nullptr when they do not know, or a view no longer has it. */
static answer_t child_known(struct call *c, struct name *parent, const char *text, u32 len,
	struct name **out)
{
	struct superblock *sb = parent->sb;
	struct name *child = name_lookup(parent, text, len);
	answer_t a;

	*out = child;
	if (!child || !(sb->flags & SB_VOLATILE))
		return 0;
	a = name_inode(child) ? view_revalidate(sb->view, c, child->inode) : 0;
	if (a == 1)
		return 0;
	*out = nullptr;
	if (a >= 0)
		name_invalidate(child);
	name_put(child);
	return a < 0 ? a : 0;
}

answer_t vfs_child(struct call *c, struct name *parent, const char *text, u32 len,
	struct name **out)
{
	struct superblock *sb = parent->sb;

	for (;;) {
		struct inode *inode = nullptr;
		bool stale;
		u32 changes;
		answer_t a = child_known(c, parent, text, len, out);

		if (a < 0 || *out || sb->flags & SB_NAMES_RESIDENT)
			return a;
		changes = atomic32_load_seq(&parent->changes);
		a = fs_lookup(c, parent->inode, text, len, &inode);
		if (a < 0)
			return a;
		c->runs = 0; /* a component more is progress */
		if (a == 0 && sb->flags & SB_VOLATILE)
			return 0;
		*out = name_add_looked_up(parent, text, len, a ? inode : nullptr, changes, &stale);
		if (stale)
			continue;
		return *out ? 0 : call_need_memory(c, sizeof(struct name));
	}
}

answer_t vfs_link_text(struct call *c, struct inode *i, char *buf, u32 size)
{
	if (i->link_target)
		return (answer_t)MIN(strlcpy(buf, i->link_target, size), (size_t)size - 1);
	if (i->sb->view) {
		struct path_ref target = {};
		struct text t = {};
		answer_t a = view_link(i->sb->view, c, i, &t, &target);

		if (target.mount)
			path_put(&target);
		if (a >= 0 && t.failed)
			a = call_need_memory(c, LINK_BYTES_MAX);
		if (a >= 0) {
			a = (answer_t)MIN(t.len, (size_t)size - 1);
			if (a) /* t.data is nullptr when the text is empty */
				memcpy(buf, t.data, (size_t)a);
			buf[a] = 0;
		}
		text_free(&t);
		return a;
	}
	{
		answer_t a = fs_readlink(c, i, buf, size - 1);

		if (a >= 0)
			buf[a] = 0;
		return a;
	}
}

/* --- fast --- */
enum fast { FAST_STOP, FAST_RESOLVED, FAST_INVALID };
struct position { /* valid in this grace section only */
	struct mount *m;
	struct name *n;
	u32 seq;
	const char *rest;
};

static inline bool may_search(const struct context *ctx, const struct inode *dir)
{
	u32 mode = inode_mode(dir);

	if (S_TYPE(mode) != S_IFDIR)
		return false;
	/* Everybody may, and no group or owner rule could say less: the common directory. */
	return (mode & 0111) == 0111 || inode_permission(ctx, dir, MAY_EXEC) == 0;
}

/* Is this component one that the fast walk takes: no dots, and names that do not change by
 * themselves? */
static inline bool fast_component(const struct position *at, const char *p, u32 len)
{
	if (p[0] == '.' && component_kind(p, len) != COMPONENT_NORMAL)
		return false;
	return len <= NAME_BYTES_MAX && !(at->n->sb->flags & SB_VOLATILE);
}

/* To the root of what is mounted there, and on. */
static enum fast fast_cross(const struct walk *w, struct position *at)
{
	do {
		struct mount *m = mount_lookup_fast(at->m, at->n);

		if (!m)
			break;
		if (w->flags & WALK_R(RESOLVE_NO_XDEV))
			return FAST_STOP;
		if (atomic32_load_acquire(&at->n->seq) != at->seq)
			return FAST_INVALID;
		at->m = m;
		at->n = m->root;
		at->seq = atomic32_load_acquire(&at->n->seq);
	} while (atomic32_load(&at->n->nr_mounts));
	return FAST_RESOLVED;
}

/* Into the child; *at stays where it is when that cannot be. */
static inline enum fast fast_step(const struct walk *w, struct position *at, u32 len, bool last)
{
	struct position next = {.m = at->m, .rest = at->rest + len};
	const struct inode *i;

	next.n = name_lookup_fast(at->n, at->rest, len, name_hash(at->n, at->rest, len), &next.seq);
	if (!next.n)
		return FAST_STOP;
	i = name_inode(next.n);
	if (unlikely(next.seq & 1 || atomic32_load_acquire(&at->n->seq) != at->seq))
		return FAST_INVALID;
	if (unlikely(!i || inode_type(i) == S_IFLNK)) {
		if (!i || !last || w->flags & WALK_FOLLOW)
			return FAST_STOP;
	}
	if (unlikely(atomic32_load(&next.n->nr_mounts))) {
		enum fast crossed = fast_cross(w, &next);

		if (crossed != FAST_RESOLVED)
			return crossed;
	}
	*at = next;
	return FAST_RESOLVED;
}

/* Goes as far as it can. On FAST_RESOLVED with WALK_PARENT, rest stands at the last component. */
static enum fast fast_run(struct call *c, struct walk *w, struct position *at)
{
	const u32 flags = w->flags;

	for (;;) {
		const struct inode *dir = name_inode(at->n);
		const char *p = at->rest;
		enum fast step;
		u32 len;
		bool last;

		while (*p == '/')
			p++;
		at->rest = p;
		if (!*p)
			return flags & WALK_PARENT ? FAST_STOP : FAST_RESOLVED;
		if (unlikely(!dir || !may_search(c->ctx, dir)))
			return FAST_STOP;
		len = component_length(p);
		last = !p[len] || (flags & WALK_PARENT && only_slashes(p + len));
		if (unlikely(!fast_component(at, p, len)))
			return FAST_STOP;
		if (last && flags & WALK_PARENT)
			return FAST_RESOLVED;
		step = fast_step(w, at, len, last);
		if (unlikely(step != FAST_RESOLVED))
			return step;
		/* "name/" at the end: the slow step decides, it knows about links and ENOTDIR. */
		w->trailing_slash = *at->rest == '/';
	}
}

/* Takes references at the position. Context: the grace section. */
static bool fast_settle(struct position *at)
{
	if (!object_get_live(&at->n->obj))
		return false;
	if (!object_get_live(&at->m->obj)) {
		name_put(at->n);
		return false;
	}
	if (likely(!(at->seq & 1) && atomic32_load_seq(&at->n->seq) == at->seq))
		return true;
	name_put(at->n);
	mount_put(at->m);
	return false;
}

/* Context of `start`: kept by somebody for the time of this call, or read inside the grace section
 * (start nullptr: root or cwd). */
static enum fast walk_fast(struct call *c, struct walk *w, const struct path_ref *start)
{
	struct position at = {.rest = w->rest};
	struct path_ref old = w->at;
	struct path_ref from;
	bool old_owned = w->owned;
	enum fast r;

	grace_read_begin();
	if (old_owned) {
		from = w->at;
	} else if (start) {
		from = *start;
	} else {
		struct fs_context *fs = c->ctx->fs;

		spin_lock(&fs->obj.lock);
		from = *w->rest == '/' ? fs->root : fs->cwd;
		spin_unlock(&fs->obj.lock);
	}
	at.m = from.mount;
	at.n = from.name;
	at.seq = atomic32_load_acquire(&at.n->seq);
	r = fast_run(c, w, &at);
	if (r == FAST_INVALID || !fast_settle(&at)) {
		/* Somebody renames here: go on slowly from where we have references. */
		at = (struct position){.m = from.mount, .n = from.name, .rest = w->rest};
		path_get(&from);
		w->no_fast = true;
		r = FAST_STOP;
	}
	grace_read_end();
	w->at.mount = at.m;
	w->at.name = at.n;
	w->rest = at.rest;
	w->owned = true;
	if (unlikely(old_owned))
		path_put(&old);
	return r;
}

/* --- slow --- */
static answer_t walk_resolved(struct walk *w)
{
	w->inode = w->at.name->inode;
	if (unlikely(!w->inode))
		return -ENOENT;
	if (unlikely((w->trailing_slash || w->flags & WALK_DIRECTORY) && !inode_is_dir(w->inode)))
		return -ENOTDIR;
	w->state = WALK_RESOLVED;
	return 0;
}
static answer_t walk_parent_resolved(struct walk *w, enum walk_last type, const char *p, u32 len)
{
	w->inode = w->at.name->inode;
	w->last = p;
	w->last_len = len;
	w->last_type = type;
	w->trailing_slash = p[len] == '/';
	w->state = WALK_RESOLVED;
	return 0;
}

static answer_t walk_up(struct call *c, struct walk *w)
{
	struct path_ref root, p = w->at, up = {};

	root_of(c, w, &root);
	grace_read_begin();
	for (;;) {
		if (p.mount == root.mount && p.name == root.name) {
			grace_read_end();
			return w->flags & WALK_R(RESOLVE_BENEATH) ? -EXDEV : 0;
		}
		if (p.name != p.mount->root) {
			up.mount = p.mount;
			up.name = READ_ONCE(p.name->parent);
			break;
		}
		if (READ_ONCE(p.mount->parent) == p.mount) {
			up = p;
			break;
		}
		if (w->flags & WALK_R(RESOLVE_NO_XDEV)) {
			grace_read_end();
			return -EXDEV;
		}
		p.name = READ_ONCE(p.mount->point);
		p.mount = READ_ONCE(p.mount->parent);
	}
	/* Alive: a name holds its parent, a mount its parent and point; a move may have let go,
	 * then this is as good as just before it. */
	if (!object_get_live(&up.name->obj)) {
		grace_read_end();
		return -ENOENT;
	}
	if (!object_get_live(&up.mount->obj)) {
		grace_read_end();
		name_put(up.name);
		return -ENOENT;
	}
	grace_read_end();
	path_put(&w->at);
	w->at = up;
	vfs_cross_mounts(&w->at);
	return 0;
}

/* Puts a link's text before the rest. `after` begins with a slash or is empty. */
static answer_t walk_splice(struct call *c, struct walk *w, const char *text, const char *after)
{
	size_t n = strlen(text), m = strlen(after);
	char *buffer;

	if (!n)
		return -ENOENT;
	buffer = kmalloc(n + m + 1);
	if (!buffer)
		return call_need_memory(c, n + m + 1);
	memcpy(buffer, text, n);
	memcpy(buffer + n, after, m + 1);
	kfree(w->buffer);
	w->buffer = buffer;
	w->rest = buffer;
	return 0;
}

static answer_t walk_to_root(struct call *c, struct walk *w)
{
	struct path_ref root;

	if (w->flags & WALK_R(RESOLVE_BENEATH))
		return -EXDEV;
	grace_read_begin();
	root_of(c, w, &root);
	path_get(&root);
	grace_read_end();
	if (w->flags & WALK_R(RESOLVE_NO_XDEV) && root.mount != w->at.mount) {
		path_put(&root);
		return -EXDEV;
	}
	path_put(&w->at);
	w->at = root;
	return 0;
}

static answer_t walk_jump(struct walk *w, struct path_ref *target, const char *after)
{
	if (w->flags & WALK_R(RESOLVE_NO_MAGICLINKS)) {
		path_put(target);
		return -ELOOP;
	}
	if (w->flags & WALK_R(RESOLVE_BENEATH | RESOLVE_IN_ROOT)) {
		path_put(target);
		return -EXDEV;
	}
	path_put(&w->at);
	w->at = *target;
	w->rest = after;
	return 0;
}

/* On by a link's text. */
static answer_t walk_text(struct call *c, struct walk *w, const char *text, const char *after)
{
	answer_t a = walk_splice(c, w, text, after);

	return !a && text[0] == '/' ? walk_to_root(c, w) : a;
}

static answer_t walk_view_link(struct call *c, struct walk *w, struct inode *i, const char *after)
{
	struct path_ref target = {};
	struct text t = {};
	answer_t a = view_link(i->sb->view, c, i, &t, &target);

	if (a == 1) {
		a = walk_jump(w, &target, after);
	} else if (a == 0) {
		text_putc(&t, 0);
		a = t.failed ? call_need_memory(c, LINK_BYTES_MAX) : walk_text(c, w, t.data, after);
	}
	text_free(&t);
	return a;
}

static answer_t walk_fs_link(struct call *c, struct walk *w, struct inode *i, const char *after)
{
	char *buf = kmalloc(LINK_BYTES_MAX);
	answer_t a;

	if (!buf)
		return call_need_memory(c, LINK_BYTES_MAX);
	a = fs_readlink(c, i, buf, LINK_BYTES_MAX - 1);
	if (a >= 0) {
		buf[a] = 0;
		a = walk_text(c, w, buf, after);
	}
	kfree(buf);
	return a;
}

/* Follows the link `name`; `after` is the string behind it. Nothing has changed when it answers a
 * kind. */
static answer_t walk_link(struct call *c, struct walk *w, struct name *name, const char *after)
{
	struct inode *i = name_inode(name);
	answer_t a;

	if (w->flags & WALK_R(RESOLVE_NO_SYMLINKS) || w->nr_links >= LINKS_MAX)
		return -ELOOP;
	if (i->link_target)
		a = walk_text(c, w, i->link_target, after);
	else if (i->sb->view)
		a = walk_view_link(c, w, i, after);
	else
		a = walk_fs_link(c, w, i, after);
	if (!a) {
		w->nr_links++;
		w->trailing_slash = false;
	}
	return a;
}

/* WALK_PARENT: this component is the last one. 1, or an error. */
static answer_t walk_stop_before(struct walk *w, const char *p, u32 len)
{
	enum walk_last type = WALK_LAST_DOTDOT;

	if (len > NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	switch (component_kind(p, len)) {
	case COMPONENT_NORMAL:
		type = WALK_LAST_NORMAL;
		break;
	case COMPONENT_DOT:
		type = WALK_LAST_DOT;
		break;
	case COMPONENT_DOTDOT:
		break;
	}
	walk_parent_resolved(w, type, p, len);
	return 1;
}

static answer_t walk_dots(struct call *c, struct walk *w, const char *p, u32 len)
{
	answer_t a = component_kind(p, len) == COMPONENT_DOTDOT ? walk_up(c, w) : 0;

	if (a)
		return a;
	w->rest = p + len;
	w->trailing_slash = true; /* "x/." and "x/.." end at directories anyway */
	return 0;
}

/* Takes over the reference of `child`. */
static answer_t walk_enter(struct walk *w, struct name *child, const char *after)
{
	struct path_ref next = {w->at.mount, child};

	mount_get(next.mount);
	vfs_cross_mounts(&next);
	if (unlikely(next.mount != w->at.mount && w->flags & WALK_R(RESOLVE_NO_XDEV))) {
		path_put(&next);
		return -EXDEV;
	}
	path_put(&w->at);
	w->at = next;
	w->rest = after;
	w->trailing_slash = *after == '/';
	return 0;
}

/* One component with references. 0: went on; 1: resolved. */
static answer_t walk_slow(struct call *c, struct walk *w)
{
	struct inode *dir = w->at.name->inode;
	struct name *child;
	const char *p = w->rest;
	bool last;
	u32 len;
	answer_t a;

	while (*p == '/')
		p++;
	w->rest = p;
	if (!*p) {
		a = w->flags & WALK_PARENT ? walk_parent_resolved(w, WALK_LAST_ROOT, p, 0)
					   : walk_resolved(w);
		return a ? a : 1;
	}
	if (!dir || !inode_is_dir(dir))
		return -ENOTDIR;
	a = inode_permission(c->ctx, dir, MAY_EXEC);
	if (a)
		return a;
	len = component_length(p);
	last = only_slashes(p + len);
	if (last && w->flags & WALK_PARENT)
		return walk_stop_before(w, p, len);
	if (component_kind(p, len) != COMPONENT_NORMAL)
		return walk_dots(c, w, p, len);
	if (len > NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	a = vfs_child(c, w->at.name, p, len, &child);
	if (a)
		return a;
	if (!child || !name_inode(child)) {
		if (child)
			name_put(child);
		return -ENOENT;
	}
	if (inode_type(child->inode) == S_IFLNK &&
		(!last || w->flags & WALK_FOLLOW || p[len] == '/')) {
		a = walk_link(c, w, child, p + len);
		name_put(child);
		return a;
	}
	return walk_enter(w, child, p + len);
}

static answer_t walk_run(struct call *c, struct walk *w, const struct path_ref *start)
{
	bool fast_ok = true;

	for (;;) {
		answer_t a;

		if (fast_ok && !w->no_fast) {
			enum fast r = walk_fast(c, w, start);

			if (likely(r == FAST_RESOLVED)) {
				if (!(w->flags & WALK_PARENT))
					return walk_resolved(w);
				return walk_parent_resolved(w, WALK_LAST_NORMAL, w->rest,
					component_length(w->rest));
			}
			w->state = WALK_RUNNING;
		}
		if (unlikely(w->flags & WALK_R(RESOLVE_CACHED) &&
			     !(w->at.name->sb->flags & SB_NAMES_RESIDENT)))
			return -EAGAIN;
		a = walk_slow(c, w);
		if (a)
			return a == 1 ? 0 : a;
		fast_ok = true;
	}
}

answer_t vfs_walk_from(struct call *c, struct walk *w, const struct path_ref *start,
	const char *path, u32 flags)
{
	if (w->state == WALK_RESOLVED)
		return 0;
	if (w->state == WALK_RUNNING)
		return walk_run(c, w, nullptr);
	w->flags = flags;
	w->rest = path;
	w->state = WALK_RUNNING;
	if (unlikely(flags & WALK_R(RESOLVE_BENEATH | RESOLVE_IN_ROOT))) {
		struct path_ref base;

		if (*path == '/' && flags & WALK_R(RESOLVE_BENEATH))
			return -EXDEV;
		if (start) {
			base = *start;
			path_get(&base);
		} else {
			grace_read_begin();
			spin_lock(&c->ctx->fs->obj.lock);
			base = c->ctx->fs->cwd;
			spin_unlock(&c->ctx->fs->obj.lock);
			path_get(&base);
			grace_read_end();
		}
		w->root = base;
		w->at = base;
		path_get(&base);
		w->owned = true;
		return walk_run(c, w, nullptr);
	}
	return walk_run(c, w, *path == '/' ? nullptr : start);
}

answer_t vfs_walk_text(struct call *c, struct walk *w, s32 at, const char *path, u32 flags)
{
	struct file *file;

	if (likely(w->state == WALK_FRESH && *path && (at == AT_FDCWD || *path == '/') &&
		    !(flags & WALK_R(RESOLVE_IN_ROOT | RESOLVE_BENEATH))))
		return vfs_walk_from(c, w, nullptr, path, flags);
	if (w->state != WALK_FRESH)
		return vfs_walk_from(c, w, nullptr, path, flags);
	if (!*path && !(flags & WALK_EMPTY))
		return -ENOENT;
	if (at == AT_FDCWD) {
		if (*path)
			return vfs_walk_from(c, w, nullptr, path, flags);
		return vfs_walk_from(c, w, nullptr, ".", flags & ~WALK_PARENT);
	}
	file = call_file_for(c, (u32)at, 0);
	if (file_error(file))
		return file_error(file);
	if (*path) {
		if (!file->inode || !inode_is_dir(file->inode))
			return -ENOTDIR;
		return vfs_walk_from(c, w, &file->path, path, flags);
	}
	w->flags = flags;
	w->at = file->path;
	path_get(&w->at);
	w->owned = true;
	w->inode = file->inode;
	w->state = WALK_RESOLVED;
	if (flags & WALK_DIRECTORY && !inode_is_dir(w->inode))
		return -ENOTDIR;
	return 0;
}

answer_t vfs_walk(struct call *c, struct walk *w, u32 which, s32 at, u64 user_path, u32 flags)
{
	const char *path;
	answer_t a = call_path(c, which, (vaddr_t)user_path, &path);

	return unlikely(a < 0) ? a : vfs_walk_text(c, w, at, path, flags);
}

answer_t vfs_walk_through_link(struct call *c, struct walk *w, struct name *link, u32 flags)
{
	answer_t a;

	w->flags = flags;
	a = walk_link(c, w, link, w->last + w->last_len);
	if (a)
		return a;
	w->state = WALK_RUNNING;
	return walk_run(c, w, nullptr);
}
