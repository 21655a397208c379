/* Descriptors: opening, duplicating, closing, their flags; directory listing. */
#include <core/event.h>
#include "abi.h"

#define F_DUPFD         0
#define F_GETFD         1
#define F_SETFD         2
#define F_GETFL         3
#define F_SETFL         4
#define F_GETLK         5
#define F_SETLK         6
#define F_SETLKW        7
#define F_SETOWN        8
#define F_GETOWN        9
#define F_SETSIG        10
#define F_GETSIG        11
#define F_SETOWN_EX     15
#define F_GETOWN_EX     16
#define F_OFD_GETLK     36
#define F_OFD_SETLK     37
#define F_OFD_SETLKW    38
#define F_GETLEASE      1025
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ    1031
#define F_GETPIPE_SZ    1032
#define F_ADD_SEALS     1033
#define F_GET_SEALS     1034
#define F_UNLCK         2
#define F_OWNER_TID     0
#define F_OWNER_PID     1
#define F_OWNER_PGRP    2
/* What F_SETFL changes; O_NOATIME needs its owner's rights. */
#define SETFL_MASK      (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

static answer_t open_common(struct call *c, s32 at, vaddr_t path, u32 flags, u32 mode)
{
	flags = abi_open_flags_in(flags) | O_LARGEFILE;
	return vfs_open(SLOT(VFS), c, at, path, flags, mode & 07777u, 0);
}

answer_t sys_openat(struct call *c)
{
	return open_common(c, arg_int(c, 0), c->args[1], arg_uint(c, 2), arg_uint(c, 3));
}

answer_t sys_openat2(struct call *c)
{
	struct user_open_how how = {};
	u64 known = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK |
		    O_SYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW |
		    O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE;
	u64 flags;

	if (c->args[3] < sizeof(how))
		return -EINVAL;
	if (c->args[3] > PAGE_BYTES)
		return -E2BIG;
	abi_try(abi_copy_struct(c, &how, sizeof(how), c->args[2], c->args[3]));
	if (how.flags >> 32 || how.resolve & ~0x3full)
		return -EINVAL;
	flags = abi_open_flags_in((u32)how.flags);
	if (flags & ~known || how.mode & ~07777ull ||
		(how.mode && !(flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))))
		return -EINVAL;
	return vfs_open(SLOT(VFS), c, arg_int(c, 0), c->args[1], (u32)flags | O_LARGEFILE,
		(u32)how.mode, how.resolve);
}

/* The number is free and the reference ours. The end of an open file, and a flush, may wait: then
 * core does it. */
static answer_t release(struct call *c, struct file *file, answer_t result)
{
	const struct node_vtable *vtable = slot_vtable(file->slot);

	if (likely(!vtable->flush)) {
		file_closing(file, abi_task(c)->files);
		if (refcount_dec_not_last(&file->obj.refs))
			return result;
	}
	abi_op3(c, (word_t)file, (word_t)result, 0);
	return abi_do(c, DO_RELEASE_FILE);
}

answer_t sys_close(struct call *c)
{
	struct file *file = files_remove(abi_task(c)->files, arg_uint(c, 0));

	return file ? release(c, file, 0) : -EBADF;
}

#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u

answer_t sys_close_range(struct call *c)
{
	u32 first = arg_uint(c, 0), last = arg_uint(c, 1), flags = arg_uint(c, 2);
	s32 fd;

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE && !c->op_done) {
		abi_op3(c, DO_UNSHARE_FILES, 0, 0);
		return call_do(c, DO_UNSHARE, true);
	}
	if (flags & CLOSE_RANGE_UNSHARE && c->op_result < 0)
		return c->op_result;
	if (flags & CLOSE_RANGE_CLOEXEC) {
		while ((fd = files_next_open(abi_task(c)->files, first)) >= 0 && (u32)fd <= last) {
			files_cloexec_set(abi_task(c)->files, (u32)fd, true);
			if ((u32)fd == last)
				break;
			first = (u32)fd + 1;
		}
		return 0;
	}
	abi_op3(c, first, last, 0);
	return abi_do(c, DO_CLOSE_RANGE);
}

static answer_t duplicate(struct call *c, struct file *file, u32 min, bool cloexec)
{
	struct task *t = abi_task(c);
	answer_t fd;

	file_get(file);
	fd = files_install(t->files, file, min, cloexec, task_rlimit(t, RLIMIT_NOFILE));
	if (fd < 0)
		file_put(file); /* never the last reference: the table holds one */
	return fd;
}

answer_t sys_dup(struct call *c)
{
	struct file *file = call_file(c, arg_uint(c, 0));

	return file ? duplicate(c, file, 0, false) : -EBADF;
}

static answer_t dup_to(struct call *c, u32 old, u32 new, bool cloexec)
{
	struct file *file, *replaced = nullptr;
	int error;

	if (new >= task_rlimit(abi_task(c), RLIMIT_NOFILE))
		return -EBADF;
	file = call_file(c, old);
	if (!file)
		return -EBADF;
	file_get(file);
	error = files_install_at(abi_task(c)->files, file, new, cloexec, &replaced);
	if (error) {
		file_put(file);
		return error;
	}
	return replaced ? release(c, replaced, (answer_t) new) : (answer_t) new;
}

answer_t sys_dup3(struct call *c)
{
	u32 flags = arg_uint(c, 2);

	if (flags & ~O_CLOEXEC || arg_uint(c, 0) == arg_uint(c, 1))
		return -EINVAL;
	return dup_to(c, arg_uint(c, 0), arg_uint(c, 1), flags & O_CLOEXEC);
}

answer_t sys_dup2(struct call *c)
{
	if (arg_uint(c, 0) == arg_uint(c, 1))
		return call_file(c, arg_uint(c, 0)) ? (answer_t)arg_uint(c, 0) : -EBADF;
	return dup_to(c, arg_uint(c, 0), arg_uint(c, 1), false);
}

static answer_t set_file_flags(struct call *c, struct file *file, u32 flags)
{
	flags = abi_open_flags_in(flags);
	if (file->inode && (flags & O_NOATIME) > (file->flags & O_NOATIME) &&
		!kuid_eq(c->ctx->cred.fsuid, inode_uid(file->inode)) &&
		!context_capable(c->ctx, CAP_FOWNER))
		return -EPERM;
	spin_lock(&file->obj.lock);
	call_effect(c);
	WRITE_ONCE(file->flags, (file->flags & ~SETFL_MASK) | (flags & SETFL_MASK));
	spin_unlock(&file->obj.lock);
	return 0;
}

static answer_t set_owner(struct call *c, struct file *file, s32 owner)
{
	struct pid *pid;

	if (owner == INT32_MIN)
		return -EINVAL;
	if (owner) {
		pid = pid_find(c->ctx->pid_ns, owner < 0 ? -owner : owner);
		if (!pid)
			return -ESRCH;
		pid_put(pid);
	}
	call_effect(c);
	WRITE_ONCE(file->owner_pid, owner);
	return 0;
}

/* A process group is a negative value, and no error: it goes past the answer, some of whose
 * negative values mean other things. */
static answer_t get_owner(struct call *c, const struct file *file)
{
	s32 owner = READ_ONCE(file->owner_pid);

	if (owner >= 0)
		return owner;
	arch_syscall_set_return(arch_task_regs(abi_task(c)), (word_t)(sword_t)owner);
	c->flags |= CALLF_REGS_SET;
	c->dirty = true;
	return 0;
}

/* file->owner_pid: negative for a process group, as F_SETOWN has it. */
static answer_t owner_ex(struct call *c, struct file *file, u32 command, vaddr_t user)
{
	struct user_f_owner owner;

	if (command == F_GETOWN_EX) {
		owner.type = file->owner_pid < 0 ? F_OWNER_PGRP : F_OWNER_PID;
		owner.pid = file->owner_pid < 0 ? -file->owner_pid : file->owner_pid;
		return abi_copy_out(c, user, &owner);
	}
	abi_try(abi_copy_in(c, &owner, user));
	if (owner.type < F_OWNER_TID || owner.type > F_OWNER_PGRP)
		return -EINVAL;
	return owner.pid < 0
		       ? -EINVAL
		       : set_owner(c, file, owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid);
}

static answer_t fcntl_path_fd(struct call *c, struct file *file, u32 command, word_t arg)
{
	struct task *t = abi_task(c);

	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (arg >= task_rlimit(t, RLIMIT_NOFILE))
			return -EINVAL;
		return duplicate(c, file, (u32)arg, command == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return files_cloexec_get(t->files, arg_uint(c, 0));
	case F_SETFD:
		return files_cloexec_set(t->files, arg_uint(c, 0), arg & 1);
	case F_GETFL:
		return (answer_t)abi_open_flags_out(READ_ONCE(file->flags) &
						    ~(O_CLOEXEC | O_CREAT | O_EXCL | O_NOCTTY |
							    O_TRUNC));
	default:
		return -EBADF;
	}
}

answer_t sys_fcntl(struct call *c)
{
	struct file *file = call_file(c, arg_uint(c, 0));
	u32 command = arg_uint(c, 1);
	word_t arg = c->args[2];

	if (!file)
		return -EBADF;
	if (command <= F_GETFL || command == F_DUPFD_CLOEXEC || file->flags & O_PATH)
		return fcntl_path_fd(c, file, command, arg);
	abi_try(file_check(file, CAP_RIGHT_CONTROL));
	switch (command) {
	case F_SETFL:
		return set_file_flags(c, file, (u32)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return vfs_lock(SLOT(VFS), c, arg_uint(c, 0), command, arg, 0);
	case F_SETOWN:
		return set_owner(c, file, (s32)arg);
	case F_GETOWN:
		return get_owner(c, file);
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		return owner_ex(c, file, command, arg);
	case F_SETSIG:
		if (arg > SIG_NR)
			return -EINVAL;
		call_effect(c);
		WRITE_ONCE(file->owner_signal, (s32)arg);
		return 0;
	case F_GETSIG:
		return file->owner_signal;
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		return vfs_pipe_size(SLOT(VFS), c, arg_uint(c, 0), command == F_SETPIPE_SZ,
			(u32)arg);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return vfs_seals(SLOT(VFS), c, arg_uint(c, 0), command == F_ADD_SEALS, (u32)arg);
	default:
		return -EINVAL;
	}
}

#define FIONREAD 0x541bu
#define FIONBIO  0x5421u
#define FIONCLEX 0x5450u
#define FIOCLEX  0x5451u
#define FIOASYNC 0x5452u
#define FIOQSIZE 0x5460u

static answer_t set_flag_from_user(struct call *c, struct file *file, u32 flag, vaddr_t user)
{
	s32 on;

	abi_try(abi_copy_in(c, &on, user));
	spin_lock(&file->obj.lock);
	call_effect(c);
	WRITE_ONCE(file->flags, on ? file->flags | flag : file->flags & ~flag);
	spin_unlock(&file->obj.lock);
	return 0;
}

/* Bytes between the position and the end of a regular file; other nodes know themselves. */
static answer_t bytes_left(struct call *c, struct file *file, vaddr_t user)
{
	s64 left = (s64)inode_size(file->inode) - file->pos;
	s32 out = left > INT32_MAX ? INT32_MAX : (s32)left;

	return abi_copy_out(c, user, &out);
}

answer_t sys_ioctl(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	u32 command = arg_uint(c, 1);

	abi_try(file_error(file));
	switch (command) {
	case FIOCLEX:
	case FIONCLEX:
		return files_cloexec_set(abi_task(c)->files, arg_uint(c, 0), command == FIOCLEX);
	case FIONBIO:
		return set_flag_from_user(c, file, O_NONBLOCK, c->args[2]);
	case FIOASYNC:
		return set_flag_from_user(c, file, O_ASYNC, c->args[2]);
	case FIONREAD:
		if (file->type == NODE_FILE && file->inode && inode_type(file->inode) == S_IFREG)
			return bytes_left(c, file, c->args[2]);
		break;
	default:
		break;
	}
	return node_ioctl(file->slot, c, file, command, c->args[2]);
}

answer_t sys_flock(struct call *c)
{
	return vfs_flock(SLOT(VFS), c, arg_uint(c, 0), arg_uint(c, 1));
}

answer_t sys_pipe2(struct call *c)
{
	return vfs_pipe(SLOT(VFS), c, c->args[0], abi_open_flags_in(arg_uint(c, 1)));
}

answer_t sys_eventfd2(struct call *c)
{
	return vfs_eventfd(SLOT(VFS), c, arg_uint(c, 0), arg_uint(c, 1));
}

answer_t sys_memfd_create(struct call *c)
{
	return vfs_memfd_create(SLOT(VFS), c, c->args[0], arg_uint(c, 1));
}

answer_t sys_pidfd_open(struct call *c)
{
	return vfs_pidfd_open(SLOT(VFS), c, arg_int(c, 0), arg_uint(c, 1));
}

/* ptrace's rule for looking into another process: the same ids, and one that may be dumped; or the
 * capability. */
static bool may_look_into(struct call *c, const struct task *t)
{
	const struct credentials *own = &c->ctx->cred, *other;
	bool same;

	if (context_capable(c->ctx, CAP_SYS_PTRACE))
		return true;
	grace_read_begin();
	other = &READ_ONCE(t->context)->cred;
	same = kuid_eq(own->fsuid, other->uid) && kuid_eq(own->fsuid, other->euid) &&
	       kuid_eq(own->fsuid, other->suid) && kgid_eq(own->fsgid, other->gid) &&
	       kgid_eq(own->fsgid, other->egid) && kgid_eq(own->fsgid, other->sgid);
	grace_read_end();
	return same && READ_ONCE(t->group->dumpable);
}

/* The table cannot go while the lock is held: an exiting task takes it out under that. */
static struct file *task_file(struct task *t, u32 fd)
{
	struct file *file;

	spin_lock(&t->obj.lock);
	file = t->files ? files_get(t->files, fd) : nullptr;
	spin_unlock(&t->obj.lock);
	return file;
}

/* A descriptor of another process, by number: installed here, close-on-exec (pidfd_getfd(2)). */
static answer_t take_from(struct call *c, struct task *t, u32 fd)
{
	struct file *file;
	answer_t a;

	if (!may_look_into(c, t))
		return -EPERM;
	file = task_file(t, fd);
	if (!file)
		return -EBADF;
	a = files_install(abi_task(c)->files, file, 0, true,
		task_rlimit(abi_task(c), RLIMIT_NOFILE));
	if (a < 0) /* the other process may have closed its own meanwhile, so this may be the last
		      reference */
		return release(c, file, a);
	return a;
}

answer_t sys_pidfd_getfd(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	struct task *t;
	answer_t a;

	if (arg_uint(c, 2))
		return -EINVAL;
	abi_try(file_error(file));
	if (file->type != NODE_PID)
		return -EBADF;
	t = task_find(c->ctx->pid_ns, container_of(file->obj.body, struct pidfd, obj)->pid->number);
	if (!t)
		return -ESRCH;
	a = take_from(c, t, arg_uint(c, 1));
	abi_task_put(t);
	return a;
}

static answer_t signalfd(struct call *c, u32 flags)
{
	u64 mask;

	if (c->args[2] != sizeof(mask))
		return -EINVAL;
	abi_try(abi_copy_in(c, &mask, c->args[1]));
	return vfs_signalfd(SLOT(VFS), c, arg_int(c, 0),
		mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)), flags);
}

answer_t sys_signalfd4(struct call *c)
{
	return signalfd(c, arg_uint(c, 3));
}

answer_t sys_signalfd(struct call *c)
{
	return signalfd(c, 0);
}

/* --- directories --- */
#define STAGE_BYTES 32768u
struct dents { /* record-owned */
	u32 used;
	s32 error;
	bool filled;
	s64 pos_before;
	u8 entries[] __aligned(8);
};
struct dirent64_head {
	u64 ino, next;
	u16 reclen;
	u8 type;
	char name[];
} __packed;

/* getdents(2): the type goes to the last byte, so an entry is as long as that of getdents64 or
 * shorter by nothing. */
static void dents_to_old(struct dents *d)
{
	for (u32 at = 0; at < d->used;) {
		struct dirent64_head *e = (void *)(d->entries + at);
		u16 reclen = e->reclen;
		u8 type = e->type;
		char *name = (char *)e + 18;

		memmove(name, e->name, reclen - sizeof(*e));
		((u8 *)e)[reclen - 1] = type;
		at += reclen;
	}
}

/* The next entries, as many as d has room for: 1, the end 0. */
static answer_t dents_fill(struct call *c, struct file *file, struct dents *d, u32 bytes, bool old)
{
	struct dirent_sink sink = {.buffer = d->entries, .size = bytes};
	answer_t a;

	if (call_killed(c))
		return -EINTR;
	d->pos_before = file->pos;
	a = node_readdir(file->slot, c, file, &sink);
	if (answer_is_kind(a)) {
		call_killable(c);
		return a;
	}
	if (!sink.used)
		return a < 0 ? a : sink.full ? -EINVAL : 0;
	d->used = (u32)sink.used;
	d->filled = true;
	if (old)
		dents_to_old(d);
	call_effect_recorded(c);
	return 1;
}

static answer_t list_directory(struct call *c, bool old)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	u32 bytes = MIN(arg_uint(c, 2), STAGE_BYTES);
	struct dents *d;
	answer_t a;

	abi_try(file_error(file));
	abi_memory(c, d, sizeof(*d) + bytes);
	if (!d->filled) {
		a = dents_fill(c, file, d, bytes, old);
		if (a != 1)
			return a;
	}
	a = call_copy_out(c, c->args[1], d->entries, d->used);
	if (a == -EFAULT) {
		file->pos = d->pos_before;
		call_effect_all_told(c);
	}
	return a ? a : (answer_t)d->used;
}

answer_t sys_getdents64(struct call *c)
{
	return list_directory(c, false);
}

answer_t sys_getdents(struct call *c)
{
	return list_directory(c, true);
}
