/* Looking: stat, access, readlink, statfs, getcwd. Theory: vfs/walk.c. */
#include "vfs_priv.h"

static inline u32 walk_flags(u32 flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
	       (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

static void stat_fill(const struct mount *m, struct inode *i, struct stat_info *info)
{
	inode_stat(i, info);
	info->mount_id = m->id;
	if (m->root->inode == i) {
		info->attributes |= 0x2000; /* STATX_ATTR_MOUNT_ROOT */
	}
	info->attributes_mask |= 0x2000;
}

static answer_t stat_path(struct call *c, s32 at, u64 user_path, u32 flags, struct stat_info *info);

/* Known to be empty by its first byte; when that is not there the long way finds out. */
static bool path_is_empty(struct call *c, u64 user_path)
{
	char first = 1;

	return !user_path ||
	       (call_copy_in_partial(c, &first, (vaddr_t)user_path, 1) == 1 && !first);
}

static answer_t stat_descriptor(struct call *c, u32 fd, struct stat_info *info)
{
	struct file *file = call_file_for(c, fd, 0);

	if (file_error(file))
		return file_error(file);
	if (unlikely(file->inode->sb->view && file->inode->sb->flags & SB_VOLATILE))
		(void)view_revalidate(file->inode->sb->view, c, file->inode);
	stat_fill(file->path.mount, file->inode, info);
	return 0;
}

answer_t vfs_stat(struct call *c, s32 at, u64 user_path, u32 flags, struct stat_info *info)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	/* fstat(2) comes here: a null or empty path with AT_EMPTY_PATH (Linux 6.11 allows a null
	 * one everywhere). */
	if (flags & AT_EMPTY_PATH && at != AT_FDCWD && path_is_empty(c, user_path))
		return stat_descriptor(c, (u32)at, info);
	return stat_path(c, at, user_path, flags, info);
}

static answer_t stat_path(struct call *c, s32 at, u64 user_path, u32 flags, struct stat_info *info)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, at, user_path, walk_flags(flags));
	if (likely(a == 0)) {
		/* A view may know better than the inode at hand (sizes and owners under /proc). */
		if (unlikely(w->inode->sb->flags & SB_VOLATILE && w->inode->sb->view))
			(void)view_revalidate(w->inode->sb->view, c, w->inode);
		stat_fill(w->at.mount, w->inode, info);
	}
	return walks_end(c, &ws, a);
}

/* access(2) asks for the real ids, so the context is one with those in place of the effective. */
static answer_t access_real(struct call *c, const struct inode *i, u32 mask)
{
	struct context real = *c->ctx;

	real.cred.fsuid = real.cred.uid;
	real.cred.fsgid = real.cred.gid;
	if (!(real.cred.securebits & 4)) /* SECBIT_NO_SETUID_FIXUP */
		real.cred.cap_effective = real.cred.uid.value == 0 ? real.cred.cap_permitted : 0;
	return inode_permission(&real, i, mask);
}

answer_t vfs_access(struct call *c, s32 at, u64 user_path, u32 mode, u32 flags)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (mode & ~7u || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, at, user_path, walk_flags(flags));
	if (a == 0 && mode) {
		if (mode & MAY_EXEC && inode_type(w->inode) == S_IFREG &&
			w->at.mount->flags & MNT_NOEXEC)
			a = -EACCES;
		else if (flags & AT_EACCESS ||
			 (kuid_eq(c->ctx->cred.uid, c->ctx->cred.fsuid) &&
				 kgid_eq(c->ctx->cred.gid, c->ctx->cred.fsgid)))
			a = inode_permission(c->ctx, w->inode, mode);
		else
			a = access_real(c, w->inode, mode);
		if (!a && mode & MAY_WRITE && vfs_path_readonly(&w->at) &&
			(inode_type(w->inode) == S_IFREG || inode_is_dir(w->inode)))
			a = -EROFS;
	}
	return walks_end(c, &ws, a);
}

answer_t vfs_readlink(struct call *c, s32 at, u64 user_path, u64 buffer, u64 bytes)
{
	struct walks ws;
	struct walk *w;
	char *buf;
	answer_t a;

	if ((s64)bytes <= 0 || bytes > INT32_MAX)
		return -EINVAL;
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, at, user_path, WALK_EMPTY);
	if (a)
		return walks_end(c, &ws, a);
	if (inode_type(w->inode) != S_IFLNK) {
		const char *path;

		/* readlinkat(2): an empty path names a descriptor, and that is no link. */
		(void)call_path(c, 0, (vaddr_t)user_path, &path);
		return walks_end(c, &ws, *path ? -EINVAL : -ENOENT);
	}
	buf = kmalloc(4096);
	if (!buf)
		return walks_end(c, &ws, call_need_memory(c, 4096));
	a = vfs_link_text(c, w->inode, buf, 4096);
	if (a >= 0) {
		answer_t n = MIN(a, (answer_t)bytes);

		a = call_copy_out(c, (vaddr_t)buffer, buf, (size_t)n);
		if (!a)
			a = n;
	}
	kfree(buf);
	return walks_end(c, &ws, a);
}

answer_t vfs_statfs(struct call *c, s32 at, u64 user_path, struct fs_statfs *info)
{
	struct walks ws;
	struct walk *w;
	answer_t a;

	if (!user_path) {
		struct file *file = call_file_for(c, (u32)at, 0);

		if (file_error(file))
			return file_error(file);
		a = fs_statfs(c, file->inode->sb, info);
		if (a >= 0)
			info->flags |= file->path.mount->flags &
				       (MNT_RDONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC);
		return a;
	}
	walks_begin(c, &ws);
	w = walk_nr(&ws, 0);
	a = vfs_walk(c, w, 0, at, user_path, WALK_FOLLOW);
	if (a == 0) {
		a = fs_statfs(c, w->inode->sb, info);
		if (a >= 0) {
			u32 m = w->at.mount->flags;

			/* ST_*: the low four bits are those of mount(2), then ST_VALID, NOATIME,
			 * NODIRATIME, RELATIME. */
			info->flags |= (m & (MNT_RDONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC)) |
				       0x20 | (m & MNT_NOATIME ? 0x400 : 0) |
				       (m & MNT_NODIRATIME ? 0x800 : 0) |
				       (m & MNT_RELATIME ? 0x1000 : 0);
		}
	}
	return walks_end(c, &ws, a < 0 ? a : 0);
}

answer_t vfs_getcwd(struct call *c, u64 buffer, u64 bytes)
{
	struct fs_context *fs = c->ctx->fs;
	struct path_ref root, cwd;
	char *buf = kmalloc(4096), *text;
	answer_t a;

	if (!buf)
		return call_need_memory(c, 4096);
	grace_read_begin();
	spin_lock(&fs->obj.lock);
	root = fs->root;
	cwd = fs->cwd;
	spin_unlock(&fs->obj.lock);
	path_get(&root);
	path_get(&cwd);
	grace_read_end();
	if (cwd.name->flags & NAME_UNHASHED && cwd.name->parent != cwd.name) {
		a = -ENOENT;
	} else {
		text = path_text(&cwd, &root, buf, 4096);
		a = text ? (answer_t)(buf + 4096 - text) : -ENAMETOOLONG;
		if (a > 0 && (u64)a > bytes)
			a = -ERANGE;
		if (a > 0) {
			answer_t r = call_copy_out(c, (vaddr_t)buffer, text, (size_t)a);

			if (r)
				a = r;
		}
	}
	path_put(&root);
	path_put(&cwd);
	kfree(buf);
	return a;
}
