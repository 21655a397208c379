/* Directory changes: mkdir, mknod, symlink, link, unlink, rename. Theory: vfs/walk.c. */
#include <core/plant.h>
#include "vfs_priv.h"

answer_t vfs_may_create(struct call *c, const struct path_ref *dir)
{
	const struct inode *d = dir->name->inode;

	if (!inode_nlink(d) || d->dead)
		return -ENOENT; /* removed meanwhile */
	if (vfs_path_readonly(dir))
		return -EROFS;
	return inode_permission(c->ctx, d, MAY_WRITE | MAY_EXEC);
}

answer_t vfs_may_delete(struct call *c, const struct path_ref *dir, struct inode *victim,
	bool want_dir)
{
	const struct inode *d = dir->name->inode;
	answer_t a;

	if (vfs_path_readonly(dir))
		return -EROFS;
	a = inode_permission(c->ctx, d, MAY_WRITE | MAY_EXEC);
	if (a)
		return a;
	/* Sticky directory: the owner of either, or CAP_FOWNER. */
	if (inode_mode(d) & S_ISVTX && !kuid_eq(inode_uid(victim), c->ctx->cred.fsuid) &&
		!kuid_eq(inode_uid(d), c->ctx->cred.fsuid) && !context_capable(c->ctx, CAP_FOWNER))
		return -EPERM;
	if (inode_flags(victim) & INODE_UNCHANGEABLE)
		return -EPERM;
	if (want_dir)
		return inode_is_dir(victim) ? 0 : -ENOTDIR;
	return inode_is_dir(victim) ? -EISDIR : 0;
}

void vfs_owner_of_new(const struct call *c, const struct inode *dir, u32 mode,
	struct fs_create_args *a)
{
	a->mode = mode;
	a->uid = c->ctx->cred.fsuid;
	a->gid = c->ctx->cred.fsgid;
	if (inode_mode(dir) & S_ISGID) {
		a->gid = inode_gid(dir);
		if (S_TYPE(mode) == S_IFDIR)
			a->mode |= S_ISGID;
		else if ((mode & (S_ISGID | 010)) == (S_ISGID | 010) &&
			 !context_in_group(c->ctx, inode_gid(dir)) &&
			 !context_capable(c->ctx, CAP_FSETID))
			a->mode &= ~S_ISGID;
	}
}

/* Resolves the parent, holds it, and answers the absent child, ready to be given an inode. */
static answer_t prepare_new(struct call *c, struct walk *w, u32 which, s32 at, u64 user_path,
	bool dir_ok, struct name **child)
{
	answer_t a = vfs_walk(c, w, which, at, user_path, WALK_PARENT);

	*child = nullptr;
	if (a)
		return a;
	if (w->last_type != WALK_LAST_NORMAL)
		return -EEXIST;
	if (!inode_is_dir(w->inode))
		return -ENOTDIR;
	if (!vfs_hold_dir(c, w->inode))
		return ANSWER_NEED;
	a = vfs_child(c, w->at.name, w->last, w->last_len, child);
	if (a)
		return a;
	if (*child && (*child)->inode)
		a = -EEXIST;
	else if (w->trailing_slash && !dir_ok)
		a = -ENOENT;
	else
		a = vfs_may_create(c, &w->at);
	if (!a && !*child) {
		*child = name_alloc(w->at.name, w->last, w->last_len);
		if (!*child)
			a = call_need_memory(c, sizeof(struct name));
	}
	if (a && *child) {
		name_put(*child);
		*child = nullptr;
	}
	return a;
}

static answer_t make(struct call *c, struct walk *w, struct name *child,
	struct fs_create_args *args)
{
	struct inode *fresh = nullptr;
	answer_t a = fs_create(c, w->inode, w->last, w->last_len, args, &fresh);

	if (a >= 0) {
		name_set_inode(child, fresh);
		a = 0;
	}
	name_put(child);
	return a;
}

answer_t vfs_mkdir(struct call *c, s32 at, u64 path, u32 mode)
{
	struct fs_create_args args = {};
	struct name *child;
	struct walks ws;
	struct walk *w;
	answer_t a = plant_handler(c, PLANT_PLACE_VFS);

	if (unlikely(a))
		return a;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = prepare_new(c, w, 0, at, path, true, &child);
	if (!a) {
		vfs_owner_of_new(c, w->inode, S_IFDIR | (mode & 01777 & ~c->ctx->fs->umask), &args);
		a = make(c, w, child, &args);
	}
	return walks_end(c, &ws, a);
}

answer_t vfs_mknod(struct call *c, s32 at, u64 path, u32 mode, u32 dev)
{
	struct fs_create_args args = {.rdev = dev};
	struct name *child;
	struct walks ws;
	struct walk *w;
	answer_t a;

	switch (S_TYPE(mode)) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = prepare_new(c, w, 0, at, path, false, &child);
	if (!a && (S_TYPE(mode) == S_IFCHR || S_TYPE(mode) == S_IFBLK) &&
		!(S_TYPE(mode) == S_IFCHR && !dev) && !context_capable(c->ctx, CAP_MKNOD)) {
		name_put(child);
		a = -EPERM;
	} else if (!a) {
		if (S_TYPE(mode) != S_IFCHR && S_TYPE(mode) != S_IFBLK)
			args.rdev = 0;
		vfs_owner_of_new(c, w->inode, mode & ~(c->ctx->fs->umask & 0777) & (S_IFMT | 07777),
			&args);
		a = make(c, w, child, &args);
	}
	return walks_end(c, &ws, a);
}

answer_t vfs_symlink(struct call *c, u64 target, s32 at, u64 path)
{
	struct fs_create_args args = {};
	const char *text;
	struct name *child;
	struct walks ws;
	struct walk *w;
	answer_t a = call_path(c, 1, (vaddr_t)target, &text);

	if (a < 0)
		return a;
	if (!a)
		return -ENOENT;
	args.target = text;
	args.target_len = (u32)a;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = prepare_new(c, w, 0, at, path, false, &child);
	if (!a) {
		vfs_owner_of_new(c, w->inode, S_IFLNK | 0777, &args);
		a = make(c, w, child, &args);
	}
	return walks_end(c, &ws, a);
}

static answer_t may_link(struct call *c, const struct inode *i)
{
	if (inode_is_dir(i))
		return -EPERM;
	if (!inode_nlink(i) && !i->tmpfile)
		return -ENOENT;
	return inode_flags(i) & INODE_UNCHANGEABLE ? -EPERM : 0;
	(void)c;
}

answer_t vfs_link(struct call *c, s32 old_at, u64 old_path, s32 new_at, u64 new_path, u32 flags)
{
	struct walk *from, *to;
	struct name *child;
	struct walks ws;
	answer_t a;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH && !context_capable(c->ctx, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	walks_begin(c, &ws);
	from = walk_nr(&ws, 0);
	to = walk_nr(&ws, 1);
	a = vfs_walk(c, from, 0, old_at, old_path,
		(flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) |
			(flags & AT_EMPTY_PATH ? WALK_EMPTY : 0));
	if (!a)
		a = prepare_new(c, to, 1, new_at, new_path, false, &child);
	if (!a) {
		struct inode *i = from->inode;

		if (from->at.mount != to->at.mount)
			a = -EXDEV;
		else
			a = may_link(c, i);
		if (!a)
			a = fs_link(c, to->inode, to->last, to->last_len, i);
		if (a >= 0) {
			inode_get(i);
			name_set_inode(child, i);
			i->tmpfile = false;
			a = 0;
		}
		name_put(child);
	}
	return walks_end(c, &ws, a);
}

/* unlink(2), rmdir(2): what may stand last in a path. */
static answer_t may_unlink_last(const struct walk *w, bool rmdir)
{
	switch (w->last_type) {
	case WALK_LAST_NORMAL:
		return inode_is_dir(w->inode) ? 0 : -ENOTDIR;
	case WALK_LAST_DOT:
		return rmdir ? -EINVAL : -EISDIR;
	case WALK_LAST_DOTDOT:
		return rmdir ? -ENOTEMPTY : -EISDIR;
	case WALK_LAST_ROOT:
		break;
	}
	return rmdir ? -EBUSY : -EISDIR;
}

static answer_t unlink_child(struct call *c, struct walk *w, struct name *child, bool rmdir)
{
	struct inode *victim = child->inode;
	answer_t a;

	if (w->trailing_slash && !rmdir)
		return inode_is_dir(victim) ? -EISDIR : -ENOTDIR;
	a = vfs_may_delete(c, &w->at, victim, rmdir);
	if (a)
		return a;
	if (atomic32_load(&child->nr_mounts))
		return -EBUSY;
	/* A directory that goes is held too, so that nobody makes an entry in it between the check
	 * and the end. */
	if (rmdir && !vfs_hold_dir(c, victim))
		return ANSWER_NEED;
	inode_get(victim);
	a = fs_unlink(c, w->inode, w->last, w->last_len, victim);
	if (a >= 0) {
		name_delete(child);
		a = 0;
	}
	inode_put(victim);
	return a;
}

answer_t vfs_unlink(struct call *c, s32 at, u64 path, u32 flags)
{
	bool rmdir = flags & AT_REMOVEDIR;
	struct name *child = nullptr;
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, at, path, WALK_PARENT);
	if (!a)
		a = may_unlink_last(w, rmdir);
	if (!a && !vfs_hold_dir(c, w->inode))
		a = ANSWER_NEED;
	if (!a)
		a = vfs_child(c, w->at.name, w->last, w->last_len, &child);
	if (!a)
		a = child && child->inode ? unlink_child(c, w, child, rmdir) : -ENOENT;
	if (child)
		name_put(child);
	return walks_end(c, &ws, a);
}

/* --- rename --- */
struct rename {
	struct walk *from, *to;
	struct name *old, *new; /* looked up under the exclusions; new may be nullptr or negative */
	u32 flags;
};
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE  2u

static answer_t rename_walks(struct call *c, struct rename *r, s32 old_at, u64 old_path, s32 new_at,
	u64 new_path)
{
	answer_t a = vfs_walk(c, r->from, 0, old_at, old_path, WALK_PARENT);

	if (!a)
		a = vfs_walk(c, r->to, 1, new_at, new_path, WALK_PARENT);
	if (a)
		return a;
	if (r->from->at.mount != r->to->at.mount)
		return -EXDEV;
	if (r->from->last_type != WALK_LAST_NORMAL)
		return -EBUSY;
	if (r->to->last_type != WALK_LAST_NORMAL)
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	return inode_is_dir(r->from->inode) && inode_is_dir(r->to->inode) ? 0 : -ENOTDIR;
}

/* One superblock-wide exclusion when directories differ (so that no loop can arise), then both
 * directories. */
static bool rename_hold(struct call *c, struct rename *r)
{
	struct inode *a = r->from->inode, *b = r->to->inode;
	bool ok = true;

	if (a != b)
		ok = call_hold(c, EXCL_RENAME, &a->sb->rename_excl, a->sb->obj.id, false);
	if (a == b)
		return vfs_hold_dir(c, a) && ok;
	return call_hold2(c, EXCL_INODE, &a->content, a->obj.id, &b->content, b->obj.id) && ok;
}

static answer_t rename_may(struct call *c, struct rename *r, struct inode *moving,
	struct inode *target)
{
	answer_t a = vfs_may_delete(c, &r->from->at, moving, inode_is_dir(moving));

	if (a)
		return a;
	if (!target)
		a = vfs_may_create(c, &r->to->at);
	else
		a = vfs_may_delete(c, &r->to->at, target,
			inode_is_dir(r->flags & RENAME_EXCHANGE ? target : moving));
	if (a)
		return a;
	/* Moving a directory changes its "..", which needs write permission on it. */
	if (inode_is_dir(moving) && r->from->inode != r->to->inode)
		return inode_permission(c->ctx, moving, MAY_WRITE);
	return 0;
}

static answer_t rename_check(struct call *c, struct rename *r)
{
	struct inode *moving, *target = r->new ? r->new->inode : nullptr;
	bool exchange = r->flags & RENAME_EXCHANGE;
	answer_t a;

	if (!r->old || !r->old->inode)
		return -ENOENT;
	moving = r->old->inode;
	if (target && r->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (!target && exchange)
		return -ENOENT;
	if (!inode_is_dir(moving) && !exchange &&
		(r->from->trailing_slash || r->to->trailing_slash))
		return -ENOTDIR;
	/* A directory cannot go below itself; a parent of the source is no target. */
	if (name_is_below(r->to->at.name, r->old))
		return -EINVAL;
	if (target && name_is_below(r->from->at.name, r->new))
		return exchange ? -EINVAL : -ENOTEMPTY;
	a = rename_may(c, r, moving, target);
	if (a)
		return a;
	if (atomic32_load(&r->old->nr_mounts) || (r->new && atomic32_load(&r->new->nr_mounts)))
		return -EBUSY;
	return 0;
}

static answer_t rename_commit(struct call *c, struct rename *r)
{
	struct inode *target = r->new ? r->new->inode : nullptr;
	bool exchange = r->flags & RENAME_EXCHANGE;
	struct name_text *text = name_text_new(r->to->last, r->to->last_len), *back = nullptr;
	struct fs_rename_args args = {
		.old_dir = r->from->inode,
		.new_dir = r->to->inode,
		.inode = r->old->inode,
		.replaced = target,
		.old_name = r->from->last,
		.new_name = r->to->last,
		.old_len = r->from->last_len,
		.new_len = r->to->last_len,
		.flags = exchange ? RENAME_EXCHANGE : 0,
	};
	answer_t a;

	if (exchange)
		back = name_text_new(r->from->last, r->from->last_len);
	if (!text || (exchange && !back)) {
		name_text_drop(text);
		name_text_drop(back);
		return call_need_memory(c, 512);
	}
	if (target)
		inode_get(target);
	a = fs_rename(c, &args);
	if (a < 0) {
		name_text_drop(text);
		name_text_drop(back);
	} else if (exchange) {
		name_exchange(r->old, r->new, text, back);
		a = 0;
	} else {
		name_move(r->old, r->to->at.name, text, r->new);
		a = 0;
	}
	if (target)
		inode_put(target);
	return a;
}

answer_t vfs_rename(struct call *c, s32 old_at, u64 old_path, s32 new_at, u64 new_path, u32 flags)
{
	struct rename r = {.flags = flags};
	struct walks ws;
	answer_t a;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	walks_begin(c, &ws);
	r.from = walk_nr(&ws, 0);
	r.to = walk_nr(&ws, 1);
	a = rename_walks(c, &r, old_at, old_path, new_at, new_path);
	if (!a && !rename_hold(c, &r))
		a = ANSWER_NEED;
	if (!a)
		a = vfs_child(c, r.from->at.name, r.from->last, r.from->last_len, &r.old);
	if (!a)
		a = vfs_child(c, r.to->at.name, r.to->last, r.to->last_len, &r.new);
	if (!a)
		a = rename_check(c, &r);
	/* The same inode under both names: nothing happens (rename(2)). */
	if (!a && !(r.new && r.new->inode == r.old->inode)) {
		/* A directory that is replaced must stay empty until it is gone. */
		if (r.new && r.new->inode && inode_is_dir(r.new->inode) &&
			!(flags & RENAME_EXCHANGE) && !vfs_hold_dir(c, r.new->inode))
			a = ANSWER_NEED;
		else
			a = rename_commit(c, &r);
	}
	if (r.old)
		name_put(r.old);
	if (r.new)
		name_put(r.new);
	return walks_end(c, &ws, a);
}
