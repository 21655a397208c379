/* Changing what stat shows, and the context's directories: chmod, chown, utimes, truncate, chdir,
 * chroot, xattrs. Theory: vfs/walk.c. */
#include <core/task.h>
#include "vfs_priv.h"

static inline u32 walk_flags(u32 flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
	       (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

/* path 0 is the descriptor itself (fchmod and friends): O_PATH descriptors are EBADF there. */
static answer_t target(struct call *c, struct walk *w, s32 at, u64 user_path, u32 flags)
{
	struct file *file;

	if (user_path)
		return vfs_walk(c, w, 0, at, user_path, flags);
	if (w->state == WALK_RESOLVED)
		return 0;
	file = call_file_for(c, (u32)at, CAP_RIGHT_CONTROL);
	if (file_error(file))
		return file_error(file);
	return vfs_walk_text(c, w, at, "", WALK_EMPTY);
}

/* The change itself: a view's own method, or the file system's. */
static answer_t set_attr(struct call *c, struct inode *i, const struct fs_attr *a)
{
	answer_t r;

	if (!vfs_hold_dir(c, i)) /* directory or not: its content exclusion */
		return ANSWER_NEED;
	r = fs_setattr(c, i, a);
	return r < 0 ? r : 0;
}

static answer_t may_chown(struct call *c, const struct inode *i, const struct fs_attr *a)
{
	bool owner = kuid_eq(inode_uid(i), c->ctx->cred.fsuid);

	if (context_capable(c->ctx, CAP_CHOWN))
		return 0;
	if (a->mask & FS_ATTR_UID && !(owner && kuid_eq(a->uid, inode_uid(i))))
		return -EPERM;
	if (a->mask & FS_ATTR_GID &&
		!(owner && (kgid_eq(a->gid, inode_gid(i)) || context_in_group(c->ctx, a->gid))))
		return -EPERM;
	return 0;
}

/* May the caller, and which mode does it become? */
static answer_t chmod_check(struct call *c, const struct inode *i, struct fs_attr *a)
{
	if (!inode_owner_or_capable(c->ctx, i) || inode_flags(i) & INODE_UNCHANGEABLE)
		return -EPERM;
	if (inode_type(i) == S_IFLNK)
		return -EOPNOTSUPP;
	a->mode |= inode_mode(i) & S_IFMT;
	if (a->mode & S_ISGID && !context_in_group(c->ctx, inode_gid(i)) &&
		!context_capable(c->ctx, CAP_FSETID))
		a->mode &= ~S_ISGID;
	return 0;
}

static answer_t chown_check(struct call *c, const struct inode *i, struct fs_attr *a)
{
	answer_t r = inode_flags(i) & INODE_UNCHANGEABLE ? -EPERM : may_chown(c, i, a);

	if (r)
		return r;
	/* chown(2): set-id bits of a regular file go whoever asks; root's too, as Linux does it. */
	a->mode = inode_mode(i);
	if (inode_type(i) != S_IFDIR) {
		a->mode &= ~S_ISUID;
		if (inode_mode(i) & 010)
			a->mode &= ~S_ISGID;
	}
	if (a->mode != inode_mode(i))
		a->mask |= FS_ATTR_MODE;
	return 0;
}

/* chmod, when it is the mode that is given, or chown. */
static answer_t change(struct call *c, s32 at, u64 path, u32 flags, struct fs_attr *attr)
{
	bool mode = attr->mask & FS_ATTR_MODE;
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	attr->mask |= FS_ATTR_CTIME;
	attr->ctime = inode_now();
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = target(c, w, at, path, walk_flags(flags));
	if (!a && vfs_path_readonly(&w->at))
		a = -EROFS;
	/* Held first: who is allowed to, and what becomes of the mode, depends on the owner. */
	if (!a && !vfs_hold_dir(c, w->inode))
		a = ANSWER_NEED;
	if (!a)
		a = mode ? chmod_check(c, w->inode, attr) : chown_check(c, w->inode, attr);
	if (!a)
		a = set_attr(c, w->inode, attr);
	return walks_end(c, &ws, a);
}

answer_t vfs_chmod(struct call *c, s32 at, u64 path, u32 mode, u32 flags)
{
	struct fs_attr attr = {.mask = FS_ATTR_MODE, .mode = mode & 07777};

	return change(c, at, path, flags, &attr);
}

answer_t vfs_chown(struct call *c, s32 at, u64 path, u32 uid, u32 gid, u32 flags)
{
	struct fs_attr attr = {.uid = KUID(uid), .gid = KGID(gid)};

	attr.mask = (uid != ~0u ? FS_ATTR_UID : 0) | (gid != ~0u ? FS_ATTR_GID : 0);
	return change(c, at, path, flags, &attr);
}

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe
struct user_time {
	s64 sec, nsec;
};

/* Which times to which values; *now_only: both are now (a writer may do that, else the owner).
 * -EINVAL. */
static answer_t times_decode(struct call *c, u64 user, struct fs_attr *attr, bool *now_only)
{
	struct user_time t[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	struct timespec64 now = inode_now();

	if (user) {
		answer_t a = call_copy_in(c, t, (vaddr_t)user, sizeof(t));

		if (a)
			return a;
	}
	for (u32 i = 0; i < 2; i++)
		if (t[i].nsec != UTIME_NOW && t[i].nsec != UTIME_OMIT &&
			(t[i].nsec < 0 || t[i].nsec >= NSEC_PER_SEC))
			return -EINVAL;
	*now_only = t[0].nsec == UTIME_NOW && t[1].nsec == UTIME_NOW;
	if (t[0].nsec != UTIME_OMIT) {
		attr->mask |= FS_ATTR_ATIME;
		attr->atime = t[0].nsec == UTIME_NOW
				      ? now
				      : (struct timespec64){t[0].sec, (u32)t[0].nsec};
	}
	if (t[1].nsec != UTIME_OMIT) {
		attr->mask |= FS_ATTR_MTIME;
		attr->mtime = t[1].nsec == UTIME_NOW
				      ? now
				      : (struct timespec64){t[1].sec, (u32)t[1].nsec};
	}
	if (attr->mask) {
		attr->mask |= FS_ATTR_CTIME;
		attr->ctime = now;
	}
	return 0;
}

static answer_t utimes_apply(struct call *c, s32 at, u64 path, struct fs_attr *attr, bool now_only,
	u32 flags)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (!attr->mask) /* both omitted: not even the path is looked at */
		return 0;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = target(c, w, at, path, walk_flags(flags));
	if (!a) {
		if (vfs_path_readonly(&w->at))
			a = -EROFS;
		else if (inode_flags(w->inode) & 0x10 ||
			 (inode_flags(w->inode) & 0x20 && !now_only))
			a = -EPERM;
		else if (!inode_owner_or_capable(c->ctx, w->inode))
			a = now_only ? inode_permission(c->ctx, w->inode, MAY_WRITE) : -EPERM;
		if (!a)
			a = set_attr(c, w->inode, attr);
	}
	return walks_end(c, &ws, a);
}

answer_t vfs_utimes(struct call *c, s32 at, u64 path, u64 times, u32 flags)
{
	struct fs_attr attr = {};
	bool now_only = false;
	answer_t a;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	a = times_decode(c, times, &attr, &now_only);
	return a ? a : utimes_apply(c, at, path, &attr, now_only, flags);
}

answer_t vfs_utimes_set(struct call *c, s32 at, u64 path, s64 atime_sec, u32 atime_nsec,
	s64 mtime_sec, u32 mtime_nsec, u32 flags)
{
	struct fs_attr attr = {
		.mask = FS_ATTR_ATIME | FS_ATTR_MTIME | FS_ATTR_CTIME,
		.atime = {atime_sec, atime_nsec},
		.mtime = {mtime_sec, mtime_nsec},
		.ctime = inode_now(),
	};

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) || atime_nsec >= NSEC_PER_SEC ||
		mtime_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	return utimes_apply(c, at, path, &attr, false, flags);
}

/* --- truncate --- */
answer_t vfs_truncate_inode(struct call *c, const struct path_ref *path, struct inode *i, s64 bytes,
	bool open_flag)
{
	struct fs_attr attr = {.mask = FS_ATTR_SIZE | FS_ATTR_MTIME | FS_ATTR_CTIME,
		.size = (u64)bytes,
		.mtime = inode_now()};
	u32 mode;
	answer_t a;

	attr.ctime = attr.mtime;
	(void)path;
	if (i->pages && i->pages->seals) {
		if (i->pages->seals & 2 && (u64)bytes < inode_size(i))
			return -EPERM;
		if (i->pages->seals & 4 && (u64)bytes > inode_size(i))
			return -EPERM;
	}
	if ((u64)bytes > i->sb->max_file_bytes)
		return -EFBIG;
	if ((u64)bytes > inode_size(i) && (u64)bytes > call_rlimit(c, RLIMIT_FSIZE)) {
		call_signal(c, SIGXFSZ);
		return -EFBIG;
	}
	if (!call_hold(c, EXCL_INODE, &i->content, i->obj.id, false))
		return ANSWER_NEED;
	if (open_flag && !inode_size(i) && !i->blocks_512 && i->sb->flags & SB_NAMES_RESIDENT) {
		inode_touch(i, INODE_MTIME | INODE_CTIME);
		return 0;
	}
	mode = vfs_mode_without_setid(c, i);
	if (mode) {
		attr.mask |= FS_ATTR_MODE;
		attr.mode = mode;
	}
	a = fs_setattr(c, i, &attr);
	return a < 0 ? a : 0;
}

answer_t vfs_truncate(struct call *c, u64 path, s64 bytes)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (bytes < 0)
		return -EINVAL;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, AT_FDCWD, path, WALK_FOLLOW);
	if (!a) {
		struct inode *i = w->inode;

		if (inode_type(i) == S_IFDIR)
			a = -EISDIR;
		else if (inode_type(i) != S_IFREG || i->sb->view)
			a = -EINVAL;
		else if (vfs_path_readonly(&w->at))
			a = -EROFS;
		else
			a = inode_permission(c->ctx, i, MAY_WRITE);
		if (!a && READ_ONCE(i->writers) < 0)
			a = -ETXTBSY;
		if (!a)
			a = vfs_truncate_inode(c, &w->at, i, bytes, false);
	}
	return walks_end(c, &ws, a);
}

answer_t vfs_ftruncate(struct call *c, u32 fd, s64 bytes)
{
	struct file *file;

	if (bytes < 0)
		return -EINVAL;
	file = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	if (file_error(file))
		return file_error(file);
	if (file->type != NODE_FILE || !file_writable(file))
		return -EINVAL;
	return vfs_truncate_inode(c, &file->path, file->inode, bytes, false);
}

/* --- cwd and root --- */
static void fs_context_set(struct call *c, struct fs_context *fs, struct path_ref *which,
	const struct path_ref *p)
{
	struct path_ref old;

	call_effect(c);
	path_get(p);
	spin_lock(&fs->obj.lock);
	old = *which;
	*which = *p;
	spin_unlock(&fs->obj.lock);
	path_put(&old);
}

answer_t vfs_chdir(struct call *c, s32 at, u64 path)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	if (path) {
		a = vfs_walk(c, w, 0, AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
	} else {
		a = file_error(call_file_for(c, (u32)at, 0));
		if (!a)
			a = vfs_walk_text(c, w, at, "", WALK_EMPTY | WALK_DIRECTORY);
	}
	if (!a)
		a = inode_permission(c->ctx, w->inode, MAY_EXEC);
	if (!a)
		fs_context_set(c, c->ctx->fs, &c->ctx->fs->cwd, &w->at);
	return walks_end(c, &ws, a);
}

answer_t vfs_chroot(struct call *c, u64 path)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
	if (!a)
		a = inode_permission(c->ctx, w->inode, MAY_EXEC);
	if (!a && !context_capable(c->ctx, CAP_SYS_CHROOT))
		a = -EPERM;
	if (!a)
		fs_context_set(c, c->ctx->fs, &c->ctx->fs->root, &w->at);
	return walks_end(c, &ws, a);
}

/* --- extended attributes --- */
#define XATTR_NAME_MAX 255u
#define XATTR_SIZE_MAX 65536u
#define XATTR_LIST_MAX 65536u

/* xattr(7): only regular files and directories have them; a sticky directory's only by its owner.
 */
static answer_t user_xattr_may(struct call *c, const struct inode *i, bool write)
{
	if (inode_type(i) != S_IFREG && inode_type(i) != S_IFDIR)
		return write ? -EPERM : -ENODATA;
	if (write && inode_mode(i) & S_ISVTX && inode_is_dir(i) &&
		!inode_owner_or_capable(c->ctx, i))
		return -EPERM;
	return inode_permission(c->ctx, i, write ? MAY_WRITE : MAY_READ);
}

/* Checks the name's class and the right to use it. */
static answer_t xattr_may(struct call *c, const struct path_ref *p, const struct inode *i,
	const char *name, bool write)
{
	if (write && vfs_path_readonly(p))
		return -EROFS;
	if (write && inode_flags(i) & INODE_UNCHANGEABLE)
		return -EPERM;
	if (!strncmp(name, "trusted.", 8)) {
		if (!context_capable(c->ctx, CAP_SYS_ADMIN))
			return write ? -EPERM : -ENODATA;
		return 0;
	}
	if (!strncmp(name, "user.", 5))
		return user_xattr_may(c, i, write);
	if (!strncmp(name, "security.", 9))
		return write && !context_capable(c->ctx, CAP_SYS_ADMIN) ? -EPERM : 0;
	return -EOPNOTSUPP;
}

struct xattr_call {
	struct walks ws;
	struct walk *w;
	char name[XATTR_NAME_MAX + 1];
};
static answer_t xattr_begin(struct call *c, struct xattr_call *x, s32 at, u64 path, u64 name,
	u32 flags, bool write)
{
	answer_t a;

	if (name) {
		a = call_copy_string(c, x->name, (vaddr_t)name, sizeof(x->name));
		if (a == -ENAMETOOLONG || a == 0)
			return -ERANGE;
		if (a < 0)
			return a;
	}
	x->w = walk_nr(&x->ws, 0);
	a = target(c, x->w, at, path, walk_flags(flags));
	if (!a && name)
		a = xattr_may(c, &x->w->at, x->w->inode, x->name, write);
	return a;
}

answer_t vfs_xattr_get(struct call *c, s32 at, u64 path, u64 name, u64 value, u64 bytes, u32 flags)
{
	struct xattr_call x = {};
	answer_t a;
	void *buf = nullptr;

	walks_begin(c, &x.ws);
	a = xattr_begin(c, &x, at, path, name, flags, false);
	bytes = MIN(bytes, (u64)XATTR_SIZE_MAX);
	if (!a && bytes) {
		buf = kmalloc((size_t)bytes);
		if (!buf)
			a = call_need_memory(c, (size_t)bytes);
	}
	if (!a)
		a = fs_xattr_get(c, x.w->inode, x.name, buf, (size_t)bytes);
	if (a > 0 && bytes) {
		answer_t r = call_copy_out(c, (vaddr_t)value, buf, (size_t)a);

		if (r)
			a = r;
	}
	kfree(buf);
	return walks_end(c, &x.ws, a);
}

answer_t vfs_xattr_set(struct call *c, s32 at, u64 path, u64 name, u64 value, u64 bytes, u32 how,
	u32 flags)
{
	struct xattr_call x = {};
	void *buf = nullptr;
	answer_t a;

	if (how & ~3u)
		return -EINVAL;
	if (bytes > XATTR_SIZE_MAX)
		return -E2BIG;
	walks_begin(c, &x.ws);
	a = xattr_begin(c, &x, at, path, name, flags, true);
	if (!a && bytes) {
		buf = kmalloc((size_t)bytes);
		a = buf ? call_copy_in(c, buf, (vaddr_t)value, (size_t)bytes)
			: call_need_memory(c, (size_t)bytes);
	}
	if (!a && !vfs_hold_dir(c, x.w->inode))
		a = ANSWER_NEED;
	if (!a)
		a = fs_xattr_set(c, x.w->inode, x.name, buf ? buf : "", (size_t)bytes, how);
	kfree(buf);
	return walks_end(c, &x.ws, a);
}

answer_t vfs_xattr_list(struct call *c, s32 at, u64 path, u64 list, u64 bytes, u32 flags)
{
	struct xattr_call x = {};
	char *buf = nullptr;
	answer_t a;

	walks_begin(c, &x.ws);
	a = xattr_begin(c, &x, at, path, 0, flags, false);
	bytes = MIN(bytes, (u64)XATTR_LIST_MAX);
	if (!a && bytes) {
		buf = kmalloc((size_t)bytes);
		if (!buf)
			a = call_need_memory(c, (size_t)bytes);
	}
	if (!a)
		a = fs_xattr_list(c, x.w->inode, buf, (size_t)bytes);
	/* A file system without attributes has an empty list. */
	if (a == -EOPNOTSUPP)
		a = 0;
	if (a > 0 && bytes) {
		answer_t r = call_copy_out(c, (vaddr_t)list, buf, (size_t)a);

		if (r)
			a = r;
	}
	kfree(buf);
	return walks_end(c, &x.ws, a);
}

answer_t vfs_xattr_remove(struct call *c, s32 at, u64 path, u64 name, u32 flags)
{
	struct xattr_call x = {};
	answer_t a;

	walks_begin(c, &x.ws);
	a = xattr_begin(c, &x, at, path, name, flags, true);
	if (!a && !vfs_hold_dir(c, x.w->inode))
		a = ANSWER_NEED;
	if (!a)
		a = fs_xattr_set(c, x.w->inode, x.name, nullptr, 0,
			2); /* XATTR_REPLACE with no value: remove */
	return walks_end(c, &x.ws, a);
}
