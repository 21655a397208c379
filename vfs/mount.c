/*
 * mount(2), umount2(2), pivot_root(2), sync(2). The tree is core's (core/node/mount.c).
 * Propagation: every mount is private, so MS_PRIVATE and MS_REC succeed and change nothing;
 * MS_SHARED, MS_SLAVE and MS_UNBINDABLE would promise what does not happen and are EINVAL.
 */
#include "vfs_priv.h"

#define MS_RDONLY      1u
#define MS_NOSUID      2u
#define MS_NODEV       4u
#define MS_NOEXEC      8u
#define MS_SYNCHRONOUS 16u
#define MS_REMOUNT     32u
#define MS_NOATIME     1024u
#define MS_NODIRATIME  2048u
#define MS_BIND        4096u
#define MS_MOVE        8192u
#define MS_REC         16384u
#define MS_SILENT      32768u
#define MS_UNBINDABLE  (1u << 17)
#define MS_PRIVATE     (1u << 18)
#define MS_SLAVE       (1u << 19)
#define MS_SHARED      (1u << 20)
#define MS_RELATIME    (1u << 21)
#define MS_STRICTATIME (1u << 24)
#define MS_MGC_VAL     0xc0ed0000u

static u32 mount_flags(u32 ms)
{
	u32 m = ms &
		(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC); /* MNT_* has the same low bits */

	if (ms & MS_NOATIME)
		m |= MNT_NOATIME;
	if (ms & MS_NODIRATIME)
		m |= MNT_NODIRATIME;
	if (ms & MS_STRICTATIME)
		m |= MNT_STRICTATIME;
	else if (!(ms & MS_NOATIME))
		m |= MNT_RELATIME;
	return m;
}

static answer_t copy_text(struct call *c, u64 user, u32 which, const char **out)
{
	answer_t a;

	*out = nullptr;
	if (!user)
		return 0;
	a = call_path(c, which, (vaddr_t)user, out);
	return a < 0 ? a : 0;
}

/* A fresh text of at most a page of options: copied on each run (it is read once per mount). */
static answer_t copy_options(struct call *c, u64 user, char *buf, size_t size)
{
	answer_t a;

	buf[0] = 0;
	if (!user)
		return 0;
	a = call_copy_string(c, buf, (vaddr_t)user, size);
	return a == -ENAMETOOLONG ? -EINVAL : a < 0 ? a : 0;
}

static bool at_mount_root(const struct path_ref *p)
{
	return p->name == p->mount->root;
}

/* Reading a superblock sleeps: core does it, with no frame of ours on the stack. */
static answer_t do_new(struct call *c, struct walk *w, u64 source, u64 type, u32 ms,
	const char *options)
{
	struct mount_request *r;
	const char *source_text;
	char type_text[64];
	answer_t a = copy_text(c, source, 1, &source_text);

	if (a)
		return a;
	if (type) {
		a = call_copy_string(c, type_text, (vaddr_t)type, sizeof(type_text));
		if (a < 0)
			return a == -ENAMETOOLONG ? -ENODEV : a;
	}
	if (!inode_is_dir(w->inode))
		return -ENOTDIR;
	if (!type)
		return -EINVAL;
	r = kzalloc(sizeof(*r));
	if (!r)
		return call_need_memory(c, sizeof(*r));
	r->at = w->at;
	path_get(&r->at);
	r->sb_flags = ms & MS_RDONLY ? SB_RDONLY : 0;
	r->mount_flags = mount_flags(ms);
	r->type = kstrdup(type_text);
	r->source = kstrdup(source_text);
	r->options = kstrdup(options);
	if (!r->type || !r->source || !r->options) {
		mount_request_free(r);
		return call_need_memory(c, PAGE_BYTES);
	}
	c->op_args[0] = (word_t)r; /* consumed by the operation */
	return call_do(c, DO_MOUNT, false);
}

static answer_t do_bind(struct call *c, struct walk *w, struct walk *from, u64 source, u32 ms)
{
	struct mount *m;
	answer_t a = vfs_walk(c, from, 1, AT_FDCWD, source, WALK_FOLLOW);

	if (a)
		return a;
	if (inode_is_dir(from->inode) != inode_is_dir(w->inode))
		return -ENOTDIR;
	if (!from->at.mount->ns)
		return -EINVAL;
	m = mount_clone(from->at.mount, from->at.name, ms & MS_REC, nullptr);
	if (!m)
		return call_need_memory(c, sizeof(*m));
	a = mount_attach(m, &w->at);
	mount_put(m);
	return a;
}

static answer_t do_move(struct call *c, struct walk *w, struct walk *from, u64 source)
{
	answer_t a = vfs_walk(c, from, 1, AT_FDCWD, source, WALK_FOLLOW);

	if (a)
		return a;
	if (!at_mount_root(&from->at) || inode_is_dir(from->inode) != inode_is_dir(w->inode))
		return -EINVAL;
	return mount_move(from->at.mount, &w->at);
}

static answer_t do_remount(struct call *c, struct walk *w, u32 ms, const char *options)
{
	struct mount *m = w->at.mount;
	u32 flags = mount_flags(ms), sb_flags = ms & MS_RDONLY ? SB_RDONLY : 0;
	answer_t a = 0;

	if (!at_mount_root(&w->at))
		return -EINVAL;
	/* Without an atime flag the old behaviour stays (mount(2)). */
	if (!(ms & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)))
		flags = (flags & ~(MNT_RELATIME | MNT_STRICTATIME)) |
			(m->flags &
				(MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME | MNT_STRICTATIME));
	if (ms & MS_RDONLY &&
		(ms & MS_BIND ? atomic32_load(&m->nr_writers) != 0 : superblock_written(m->sb)))
		return -EBUSY;
	if (!(ms & MS_BIND)) {
		a = fs_remount(c, m->sb, sb_flags, options);
		if (a < 0)
			return a;
		flags &= ~MNT_RDONLY; /* the superblock says it */
		flags |= ms & MS_RDONLY ? MNT_RDONLY : 0;
	}
	call_effect(c);
	WRITE_ONCE(m->flags, flags | (m->flags & MNT_INTERNAL));
	return 0;
}

/* Mounts here are private from the start: nothing is left to do. */
static answer_t do_private(const struct walk *w, u32 ms)
{
	return at_mount_root(&w->at) && !(ms & ~(MS_PRIVATE | MS_REC | MS_SILENT)) ? 0 : -EINVAL;
}

/* What the flags ask for, at the first walk. */
static answer_t mount_at(struct call *c, struct walks *ws, u64 source, u64 type, u32 ms,
	const char *options)
{
	struct walk *w = walk_nr(ws, 0);

	if (ms & (MS_SHARED | MS_SLAVE | MS_UNBINDABLE))
		return -EINVAL;
	if (ms & MS_PRIVATE)
		return do_private(w, ms);
	if (ms & MS_REMOUNT)
		return do_remount(c, w, ms, options);
	if (ms & MS_BIND)
		return do_bind(c, w, walk_nr(ws, 1), source, ms);
	if (ms & MS_MOVE)
		return do_move(c, w, walk_nr(ws, 1), source);
	return do_new(c, w, source, type, ms, options);
}

answer_t vfs_mount(struct call *c, u64 source, u64 target, u64 type, u64 flags, u64 data)
{
	u32 ms = (u32)flags;
	struct walks ws;
	char *options;
	answer_t a;

	if ((ms & 0xffff0000u) == MS_MGC_VAL)
		ms &= 0xffffu;
	if (!context_capable(c->ctx, CAP_SYS_ADMIN))
		return -EPERM;
	options = kmalloc(4096);
	if (!options)
		return call_need_memory(c, 4096);
	walks_begin(c, &ws);
	a = copy_options(c, data, options, 4096);
	if (!a)
		a = vfs_walk(c, walk_nr(&ws, 0), 0, AT_FDCWD, target, WALK_FOLLOW);
	if (!a)
		a = mount_at(c, &ws, source, type, ms, options);
	kfree(options);
	return walks_end(c, &ws, a);
}

#define MNT_FORCE       1u
#define MNT_DETACH      2u
#define MNT_EXPIRE      4u
#define UMOUNT_NOFOLLOW 8u
answer_t vfs_umount(struct call *c, u64 target, u32 flags)
{
	struct walks ws;
	struct mount *m;
	struct walk *w;
	answer_t a;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW) ||
		(flags & MNT_EXPIRE && flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	if (!context_capable(c->ctx, CAP_SYS_ADMIN))
		return -EPERM;
	walks_begin(c, &ws);
	/* Done already: the second run only reports (the walk would find what was below). */
	if (c->op_done)
		return walks_end(c, &ws, c->op_result);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW);
	if (!a && !at_mount_root(&w->at))
		a = -EINVAL;
	if (!a && w->at.mount->parent == w->at.mount)
		a = -EINVAL;
	if (a)
		return walks_end(c, &ws, a);
	m = w->at.mount;
	mount_get(m);
	/* The walk's own references would make it busy. */
	if (ws.set)
		walk_drop(w);
	else
		walk_drop(&ws.local[0]);
	if (flags & MNT_EXPIRE && !m->expiring) {
		/* umount2(2): the first call marks an unused mount, the second takes it away if
		 * nobody used it meanwhile. */
		a = mount_busy(m) ? -EBUSY : -EAGAIN;
		m->expiring = a == -EAGAIN;
		(void)walks_end(c, &ws, 0);
		mount_put(m);
		return a;
	}
	c->op_args[0] = (word_t)m; /* consumed by the operation */
	c->op_args[1] = flags & MNT_DETACH;
	(void)walks_end(c, &ws, 0);
	return call_do(c, DO_UMOUNT, false);
}

answer_t vfs_pivot_root(struct call *c, u64 new_root, u64 put_old)
{
	struct walk *new, *old;
	struct walks ws;
	answer_t a;

	if (!context_capable(c->ctx, CAP_SYS_ADMIN))
		return -EPERM;
	walks_begin(c, &ws);
	new = walk_nr(&ws, 0);
	old = walk_nr(&ws, 1);
	a = vfs_walk(c, new, 0, AT_FDCWD, new_root, WALK_FOLLOW | WALK_DIRECTORY);
	if (!a)
		a = vfs_walk(c, old, 1, AT_FDCWD, put_old, WALK_FOLLOW | WALK_DIRECTORY);
	if (!a) {
		struct path_ref old_root = {c->ctx->mount_ns->root, c->ctx->mount_ns->root->root};

		/* pivot_root(2): new_root is a mount point and not the root; put_old is at or below
		 * it. */
		if (!at_mount_root(&new->at))
			a = -EINVAL;
		else if (new->at.mount == c->ctx->mount_ns->root ||
			 old->at.mount == c->ctx->mount_ns->root)
			a = -EBUSY;
		else if (old->at.mount == new->at.mount &&
			 !name_is_below(old->at.name, new->at.name))
			a = -EINVAL;
		else
			a = mount_pivot(c->ctx->mount_ns, &new->at, &old->at);
		if (!a)
			fs_contexts_pivot(c->ctx->mount_ns, &old_root, &new->at);
	}
	return walks_end(c, &ws, a);
}

/* Every superblock in turn; the frame remembers the last one done. */
answer_t vfs_sync_all(struct call *c)
{
	return c->op_done ? c->op_result : call_do(c, DO_SYNC_ALL, true);
}
