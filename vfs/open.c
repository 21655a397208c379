/* open(2) and its relatives. Theory: vfs/walk.c. */
#include "vfs_priv.h"

#define O_TMPFILE_BIT 020000000u
#define OPEN_FLAGS_ALL                                                                             \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |      \
		O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |          \
		O_CLOEXEC | O_PATH | O_TMPFILE)
#define OPEN_KEPT_OUT                                                                              \
	(O_CREAT | O_EXCL | O_NOCTTY |                                                             \
		O_TRUNC) /* not file status flags: F_GETFL does not show them */

static answer_t how_check(struct open_how *how)
{
	how->flags &= OPEN_FLAGS_ALL;
	if (how->flags & O_PATH)
		how->flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
	if (how->flags & O_TMPFILE_BIT) {
		if ((how->flags & O_TMPFILE) != O_TMPFILE || !(how->flags & O_ACCMODE) ||
			how->flags & O_CREAT)
			return -EINVAL;
	} else if ((how->flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT)) {
		return -EINVAL;
	}
	how->mode = how->flags & (O_CREAT | O_TMPFILE_BIT) ? how->mode & 07777 : 0;
	return 0;
}

static enum node_type type_of(const struct inode *i, u32 flags)
{
	if (flags & O_PATH)
		return NODE_PATH;
	switch (inode_type(i)) {
	case S_IFDIR:
		return NODE_DIR;
	case S_IFIFO:
		return NODE_PIPE;
	case S_IFBLK:
		return NODE_BLOCK;
	case S_IFCHR:
		switch (DEV_MAJOR(i->rdev)) {
		case 4:   /* tty, ttyS */
		case 5:   /* tty, console, ptmx */
		case 204: /* ttyAMA */
		case 229: /* hvc */
			return NODE_TTY;
		default:
			return DEV_MAJOR(i->rdev) >= 136 && DEV_MAJOR(i->rdev) <= 143 ? NODE_TTY
										      : NODE_CHAR;
		}
	default:
		return i->sb->view ? NODE_VIEW : NODE_FILE;
	}
}

static u32 access_mask(u32 flags)
{
	u32 mask = (flags & O_ACCMODE) == O_RDONLY   ? MAY_READ
		   : (flags & O_ACCMODE) == O_WRONLY ? MAY_WRITE
						     : MAY_READ | MAY_WRITE;

	return flags & O_TRUNC ? mask | MAY_WRITE : mask;
}

/* Errors of Linux's may_open, in its order. */
static answer_t may_open(struct call *c, const struct path_ref *path, const struct inode *i,
	const struct open_how *how, bool created)
{
	u32 type = inode_type(i), mask = how->exec ? MAY_EXEC : access_mask(how->flags);

	if (type == S_IFLNK && !(how->flags & O_PATH))
		return -ELOOP;
	if (how->flags & O_DIRECTORY && type != S_IFDIR)
		return -ENOTDIR;
	if (how->flags & O_PATH)
		return 0;
	if (type == S_IFDIR && !how->exec && (mask & MAY_WRITE || how->flags & O_CREAT))
		return -EISDIR;
	if (how->exec && type != S_IFREG)
		return -EACCES;
	if (how->exec && (path->mount->flags & MNT_NOEXEC || i->sb->flags & SB_NOEXEC))
		return -EACCES;
	if ((type == S_IFCHR || type == S_IFBLK) &&
		(path->mount->flags & MNT_NODEV || i->sb->flags & SB_NODEV))
		return -EACCES;
	if (created)
		return 0;
	if (mask & MAY_WRITE && (type == S_IFREG || type == S_IFDIR) && vfs_path_readonly(path))
		return -EROFS;
	if (how->flags & O_NOATIME && !inode_owner_or_capable(c->ctx, i))
		return -EPERM;
	return inode_permission(c->ctx, i, mask);
}

/* What open(2) does behind the name: FIFOs wait for each other, devices look for their driver. May
 * answer kinds. */
static answer_t second_half(struct call *c, struct file *file)
{
	switch (file->type) {
	case NODE_PIPE:
		return pipe_node_open(c, file);
	case NODE_CHAR:
		return char_node_open(c, file);
	case NODE_TTY:
	case NODE_BLOCK:
	case NODE_SOCKET: {
		const struct node_vtable *vtable = slot_vtable(file->slot);

		if (!vtable->open)
			return 0;
		if (!call_enter(c, file->slot, 0, file->obj.id))
			return ANSWER_NEED;
		return call_leave(c, vtable->open(c, file));
	}
	case NODE_FILE:
	case NODE_DIR:
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
	case NODE_EPOLL:
	case NODE_VIEW:
	case NODE_PATH:
	case NODE_NR:
		break;
	}
	return 0;
}

static answer_t finish_open(struct call *c, struct walks *ws, struct file *file, struct file **out)
{
	answer_t a = second_half(c, file);

	if (unlikely(answer_is_kind(a))) {
		struct walk_set *s = walks_keep(c, ws);

		if (!s) {
			file_put(file);
			return -ENOMEM;
		}
		s->file = file;
		return a;
	}
	file->flags &= ~OPEN_KEPT_OUT;
	if (unlikely(a < 0)) {
		file_put(file);
		return a;
	}
	*out = file;
	return 0;
}

static answer_t open_inode(struct call *c, struct walks *ws, const struct path_ref *path,
	struct inode *i, struct open_how *how, bool created, struct file **out)
{
	enum node_type type;
	struct file *file;
	answer_t a = may_open(c, path, i, how, created);

	if (unlikely(a))
		return a;
	/* Sockets, and what has no type because nobody opens it by a name (eventfd and the like,
	 * through /proc/PID/fd). */
	if ((inode_type(i) == S_IFSOCK || !inode_type(i)) && !(how->flags & O_PATH))
		return -ENXIO;
	type = type_of(i, how->flags);
	/* O_NOCTTY and O_EXCL stay until the terminal and the block device have seen them:
	 * finish_open */
	file = file_new(type, how->flags & ~(OPEN_KEPT_OUT & ~(O_NOCTTY | O_EXCL)) & ~O_CLOEXEC,
		path, i, nullptr);
	if (!file)
		return call_need_memory(c, sizeof(struct file));
	if (inode_type(i) == S_IFREG && how->flags & O_ACCMODE && !(how->flags & O_PATH))
		a = file_write_get(file);
	if (!a && how->flags & O_TRUNC && inode_type(i) == S_IFREG && !created && !i->sb->view)
		a = vfs_truncate_inode(c, path, i, 0, true);
	if (unlikely(a)) {
		file_put(file);
		return a;
	}
	if (i->pages)
		file_errors_begin(file);
	if (likely(type == NODE_FILE || type == NODE_DIR)) {
		file->flags &= ~OPEN_KEPT_OUT;
		*out = file;
		return 0;
	}
	return finish_open(c, ws, file, out);
}

/* The entry is absent and the directory is held: makes it. */
static answer_t create_and_open(struct call *c, struct walk *w, struct name *child,
	struct open_how *how, struct file **out)
{
	struct inode *dir = w->inode, *fresh = nullptr;
	struct fs_create_args args = {.mode = S_IFREG | (how->mode & ~c->ctx->fs->umask)};
	struct path_ref path = {w->at.mount, child};
	struct file *file;
	answer_t a = vfs_may_create(c, &w->at);

	if (a)
		return a;
	vfs_owner_of_new(c, dir, args.mode, &args);
	file = file_new(NODE_FILE, how->flags & ~OPEN_KEPT_OUT & ~O_CLOEXEC, &path, nullptr,
		nullptr);
	if (!file)
		return call_need_memory(c, sizeof(struct file));
	a = fs_create(c, dir, w->last, w->last_len, &args, &fresh);
	if (a < 0) {
		file_put(file);
		return a;
	}
	inode_get(fresh);
	file_give_inode(file, fresh);
	name_set_inode(child, fresh);
	file->type = type_of(fresh, how->flags);
	file->slot = node_slot(file->type);
	if (how->flags & O_ACCMODE)
		(void)file_write_get(file); /* nobody executes what has just been made */
	*out = file;
	return 0;
}

/* What stands last in the path of something to be made. */
static answer_t last_child(struct call *c, struct walk *w, struct name **child)
{
	if (w->last_type != WALK_LAST_NORMAL || w->trailing_slash)
		return -EISDIR;
	if (!inode_is_dir(w->inode))
		return -ENOTDIR;
	return vfs_child(c, w->at.name, w->last, w->last_len, child);
}

/* Nobody had it: holds the directory and looks again. 1: made and opened; 0: *child is there after
 * all. */
static answer_t open_absent(struct call *c, struct walk *w, struct open_how *how,
	struct name **child, struct file **out)
{
	answer_t a;

	if (*child)
		name_put(*child);
	if (!vfs_hold_dir(c, w->inode))
		return ANSWER_NEED;
	/* Held now: whoever came first has made it or not. */
	a = vfs_child(c, w->at.name, w->last, w->last_len, child);
	if (a)
		return a;
	if (!*child)
		*child = name_alloc(w->at.name, w->last, w->last_len);
	if (!*child)
		return call_need_memory(c, sizeof(struct name));
	if ((*child)->inode)
		return 0;
	a = create_and_open(c, w, *child, how, out);
	name_put(*child);
	return a ? a : 1;
}

/* Takes over the reference of `child`, which is no link to follow. */
static answer_t open_present(struct call *c, struct walks *ws, struct walk *w, struct name *child,
	struct open_how *how, struct file **out)
{
	struct path_ref found = {w->at.mount, child};
	answer_t a = -EEXIST;

	mount_get(found.mount);
	if (!(how->flags & O_EXCL)) {
		vfs_cross_mounts(&found);
		a = open_inode(c, ws, &found, found.name->inode, how, false, out);
	}
	path_put(&found);
	return a;
}

/* O_CREAT: the parent is resolved; looks at the last component until it is no link any more. */
static answer_t open_create(struct call *c, struct walks *ws, s32 at, const struct path_ref *start,
	const char *path, struct open_how *how, struct file **out)
{
	u32 flags = WALK_PARENT | WALK_R(how->resolve);
	struct walk *w = walk_nr(ws, 0);
	struct name *child;

	for (;;) {
		answer_t a = start ? vfs_walk_from(c, w, start, path, flags)
				   : vfs_walk_text(c, w, at, path, flags);

		if (!a)
			a = last_child(c, w, &child);
		if (a)
			return a;
		if (!child || !name_inode(child)) {
			a = open_absent(c, w, how, &child, out);
			if (a)
				return a == 1 ? 0 : a;
		}
		if (how->flags & O_EXCL || inode_type(child->inode) != S_IFLNK)
			return open_present(c, ws, w, child, how, out);
		a = how->flags & O_NOFOLLOW ? -ELOOP : vfs_walk_through_link(c, w, child, flags);
		name_put(child);
		if (a)
			return a;
	}
}

static answer_t open_tmpfile(struct call *c, struct walk *w, struct open_how *how,
	struct file **out)
{
	struct fs_create_args args = {.mode = S_IFREG | (how->mode & ~c->ctx->fs->umask)};
	struct inode *fresh = nullptr;
	struct path_ref path = {.mount = w->at.mount};
	struct file *file;
	answer_t a;

	if (!inode_is_dir(w->inode))
		return -ENOTDIR;
	a = vfs_may_create(c, &w->at);
	if (a)
		return a;
	vfs_owner_of_new(c, w->inode, args.mode, &args);
	if (!vfs_hold_dir(c, w->inode))
		return ANSWER_NEED;
	path.name = name_alloc(w->at.name, "#tmpfile", 8);
	if (!path.name)
		return call_need_memory(c, sizeof(struct name));
	file = file_new(NODE_FILE, how->flags & ~OPEN_KEPT_OUT & ~O_CLOEXEC, &path, nullptr,
		nullptr);
	name_put(path.name);
	if (!file)
		return call_need_memory(c, sizeof(struct file));
	a = fs_create(c, w->inode, nullptr, 0, &args, &fresh);
	if (a < 0) {
		file_put(file);
		return a;
	}
	fresh->tmpfile = !(how->flags & O_EXCL);
	name_give_inode(path.name, fresh);
	file_give_inode(file, fresh);
	(void)file_write_get(file);
	*out = file;
	return 0;
}

answer_t vfs_open_at(struct call *c, struct walks *ws, s32 at, const struct path_ref *start,
	const char *path, struct open_how *how, struct file **out)
{
	struct walk *w = walk_nr(ws, 0);
	u32 flags = WALK_R(how->resolve);
	answer_t a = how_check(how);

	if (a)
		return a;
	if (unlikely(ws->set && ws->set->file)) {
		struct file *file = ws->set->file;

		ws->set->file = nullptr;
		return finish_open(c, ws, file, out);
	}
	if (how->flags & O_CREAT)
		return open_create(c, ws, at, start, path, how, out);
	if (!(how->flags & O_NOFOLLOW))
		flags |= WALK_FOLLOW;
	if (how->flags & O_DIRECTORY && !(how->flags & O_TMPFILE_BIT))
		flags |= WALK_DIRECTORY;
	a = start ? vfs_walk_from(c, w, start, path, flags) : vfs_walk_text(c, w, at, path, flags);
	if (unlikely(a)) {
		/* openat(2): O_NOFOLLOW|O_DIRECTORY on a link is ENOTDIR, which the walk has said.
		 */
		return a;
	}
	if (how->flags & O_TMPFILE_BIT)
		return open_tmpfile(c, w, how, out);
	return open_inode(c, ws, &w->at, w->inode, how, false, out);
}

answer_t vfs_open(struct call *c, s32 at, u64 user_path, u32 flags, u32 mode, u64 resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
	struct file *file = nullptr;
	struct walks ws;
	const char *path;
	answer_t a, fd = -1;

	if (resolve & ~(u64)RESOLVE_ALL || (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) ==
						   (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EINVAL;
	a = call_path(c, 0, (vaddr_t)user_path, &path);
	if (a < 0)
		return a;
	/* What makes or cuts a file has its number before. */
	if (flags & (O_CREAT | O_TRUNC | O_TMPFILE_BIT)) {
		a = how_check(&how);
		if (!a)
			fd = a = call_number_take(c);
		if (a < 0)
			return a;
	}
	walks_begin(c, &ws);
	a = vfs_open_at(c, &ws, at, nullptr, path, &how, &file);
	if (fd >= 0 && a == 0) {
		call_number_use(c, (u32)fd, file, flags & O_CLOEXEC);
		a = fd;
	} else if (fd >= 0) {
		call_number_return(c, (u32)fd);
	} else if (likely(a == 0)) {
		a = call_install(c, file, flags & O_CLOEXEC);
		if (unlikely(a < 0))
			file_put(file);
	}
	return walks_end(c, &ws, a);
}

/* For core: reply->at is the start of a relative path (mount nullptr: the context's cwd). */
answer_t vfs_open_kernel(struct call *c, u64 user_path, u32 flags, struct open_request *reply)
{
	struct open_how how = {.flags = flags, .mode = reply->mode, .exec = reply->exec};
	const char *path = reply->kernel_path;
	struct walks ws;
	answer_t a;

	if (!path) {
		a = call_path(c, 0, (vaddr_t)user_path, &path);
		if (a < 0)
			return a;
	}
	if (!*path)
		return -ENOENT;
	walks_begin(c, &ws);
	a = vfs_open_at(c, &ws, AT_FDCWD, reply->at.mount ? &reply->at : nullptr, path, &how,
		&reply->file);
	return walks_end(c, &ws, a);
}
