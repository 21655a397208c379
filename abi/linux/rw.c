/*
 * The Linux personality (abi/linux).
 *
 * Purpose: translate Linux system calls into core objects, core operations and calls of the vfs,
 *node and net contracts; translate results, structures and signal frames back. It decides nothing
 *else and owns nothing.
 *
 * Vocabulary: row (syscalls.tbl), number (arch/NAME/numbers.tbl), handler (sys_NAME), user struct
 *(layout.h).
 *
 * Objects and lifetimes: none of its own. What must survive a rerun is in the record: frame
 *progress, call_memory, pins.
 *
 * Invariants:
 *   ABI-I1 a handler reads user memory that decides something either again from the start with no
 *effect made, or once into the record; ABI-I2 a result that cannot be had twice (bytes received, a
 *child reaped) is in the record before it is copied out; ABI-I3 every number of Linux 6.12 has a
 *row; a number without handler answers ENOSYS or its row's error; ABI-I4 no handler sleeps: waiting
 *is WAIT, core operations that may sleep are DO.
 *
 * Locks: short core locks only (task, files, object), through core's functions.
 *
 * Failure and recovery: nothing to recover; a handler that traps is core's panic (trusted code).
 *
 * Replacement: the whole module at any time; waiting calls run in the new one from their records
 *(frame layouts: schema of this version).
 *
 * Cost: a call that touches no object is a load or two; read(2) adds one descriptor lookup and one
 *slot call.
 *
 * This file: the moving of bytes through descriptors.
 */
#include "abi.h"

#define RWF_HIPRI     1u
#define RWF_DSYNC     2u
#define RWF_SYNC      4u
#define RWF_APPEND    16u
#define RWF_NOAPPEND  32u
#define RWF_SUPPORTED (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)

answer_t sys_enosys(struct call *c)
{
	(void)c;
	return -ENOSYS;
}

/* proc(5), /proc/PID/io: one call and what it moved, when it is over. */
static inline answer_t counted(struct call *c, answer_t a, bool write)
{
	struct rusage_counts *u = &c->task->usage;

	if (unlikely(answer_is_kind(a))) {
		call_killable(c);
		return a;
	}
	if (write) {
		usage_count(&u->write_calls, 1);
		usage_count(&u->write_bytes, a > 0 ? (u64)a : 0);
	} else {
		usage_count(&u->read_calls, 1);
		usage_count(&u->read_bytes, a > 0 ? (u64)a : 0);
	}
	return a;
}

static answer_t move(struct call *c, struct file *file, struct uio *io, bool write)
{
	return counted(c,
		write ? node_write(file->slot, c, file, io) : node_read(file->slot, c, file, io),
		write);
}

/* read(2) and write(2): hot, so each gets a copy without the question which of the two it is. */
static inline __attribute__((always_inline)) answer_t at_position(struct call *c, bool write)
{
	struct file *file =
		call_file_for(c, arg_uint(c, 0), write ? CAP_RIGHT_WRITE : CAP_RIGHT_READ);
	size_t bytes = c->args[2];
	struct uspan span;
	struct uio io;

	abi_try(file_error(file));
	if (unlikely(!user_range_ok(c->args[1], bytes)))
		return (sword_t)bytes < 0 ? -EINVAL : -EFAULT;
	if (unlikely(bytes > USER_RW_MAX))
		bytes = USER_RW_MAX;
	span = (struct uspan){c->args[1], bytes};
	io = (struct uio){.spans = &span, .nr = 1, .total = bytes};
	return move(c, file, &io, write);
}

answer_t sys_read(struct call *c)
{
	return at_position(c, false);
}

answer_t sys_write(struct call *c)
{
	return at_position(c, true);
}

/* What has no position: pread(2) and pwrite(2) answer ESPIPE. */
static bool positioned_ok(const struct file *file)
{
	switch (file->type) {
	case NODE_PIPE:
	case NODE_SOCKET:
	case NODE_TTY:
		return false;
	case NODE_FILE:
	case NODE_DIR:
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
	case NODE_EPOLL:
	case NODE_CHAR:
	case NODE_BLOCK:
	case NODE_VIEW:
	case NODE_PATH:
	case NODE_NR:
		break;
	}
	return true;
}

static answer_t positioned(struct call *c, bool write)
{
	struct file *file;
	s64 pos = arg_offset(c, 3);
	size_t bytes = c->args[2];
	struct uspan span;
	struct uio io;

	if (pos < 0)
		return -EINVAL;
	file = call_file_for(c, arg_uint(c, 0), 0);
	abi_try(file_error(file));
	if (!positioned_ok(file))
		return -ESPIPE;
	if (write ? !file_writable(file) : !file_readable(file))
		return -EBADF;
	if (!user_range_ok(c->args[1], bytes))
		return (sword_t)bytes < 0 ? -EINVAL : -EFAULT;
	if (bytes > (u64)(INT64_MAX - pos)) /* no file reaches there */
		return -EINVAL;
	bytes = MIN(bytes, (size_t)USER_RW_MAX);
	span = (struct uspan){c->args[1], bytes};
	io = (struct uio){.spans = &span, .nr = 1, .positioned = true, .pos = pos, .total = bytes};
	return move(c, file, &io, write);
}

answer_t sys_pread64(struct call *c)
{
	return positioned(c, false);
}

answer_t sys_pwrite64(struct call *c)
{
	return positioned(c, true);
}

/* Copies by pieces, so that a long array needs no second block of record memory. */
#define IOVEC_PIECE 16u

answer_t abi_iovec_import(struct call *c, struct abi_iovec *v, vaddr_t user, u64 nr)
{
	struct user_iovec piece[IOVEC_PIECE];
	size_t total = 0;

	if (v->imported)
		return 0;
	for (u32 i = 0; i < nr; i++) {
		const struct user_iovec *from = &piece[i % IOVEC_PIECE];
		u32 wanted = (u32)MIN(nr - i, (u64)IOVEC_PIECE);

		if (i % IOVEC_PIECE == 0)
			abi_try(call_copy_in(c, piece, user + (vaddr_t)i * sizeof(*piece),
				wanted * sizeof(*piece)));
		if ((s64)from->len < 0)
			return -EINVAL;
		if (!user_range_ok((vaddr_t)from->base, (size_t)from->len))
			return -EFAULT;
		v->spans[i] = (struct uspan){(vaddr_t)from->base,
			MIN((size_t)from->len, (size_t)USER_RW_MAX - total)};
		total += v->spans[i].bytes;
	}
	v->nr = (u32)nr;
	v->total = total;
	v->imported = true;
	return 0;
}

static answer_t vectored(struct call *c, struct file *file, struct uio *io, bool write)
{
	struct abi_iovec *v;
	u64 nr = c->args[2];

	if (write ? !file_writable(file) : !file_readable(file))
		return -EBADF;
	if (nr > USER_IOV_MAX)
		return -EINVAL;
	abi_memory(c, v, abi_iovec_bytes((u32)nr));
	abi_try(abi_iovec_import(c, v, c->args[1], nr));
	io->spans = v->spans;
	io->nr = v->nr;
	io->total = v->total;
	if (!nr)
		return 0;
	if (io->positioned && v->total > (u64)(INT64_MAX - io->pos))
		return -EINVAL;
	return move(c, file, io, write);
}

static answer_t vectored_plain(struct call *c, bool write)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), 0);
	struct uio io = {};

	abi_try(file_error(file));
	return vectored(c, file, &io, write);
}

answer_t sys_readv(struct call *c)
{
	return vectored_plain(c, false);
}

answer_t sys_writev(struct call *c)
{
	return vectored_plain(c, true);
}

/* 64-bit programs pass the whole offset in the low half (preadv(2), C library/kernel differences).
 */
static answer_t vectored_positioned(struct call *c, bool write, u32 flags)
{
	struct file *file;
	struct uio io = {.positioned = true, .pos = arg_offset(c, 3), .flags = flags};

	if (io.pos < 0)
		return -EINVAL;
	file = call_file_for(c, arg_uint(c, 0), 0);
	abi_try(file_error(file));
	if (!positioned_ok(file))
		return -ESPIPE;
	return vectored(c, file, &io, write);
}

answer_t sys_preadv(struct call *c)
{
	return vectored_positioned(c, false, 0);
}

answer_t sys_pwritev(struct call *c)
{
	return vectored_positioned(c, true, 0);
}

/* RWF_NOWAIT and newer flags: EOPNOTSUPP, as a file that does not support them. */
static answer_t vectored_flags(struct call *c, bool write)
{
	u32 flags = arg_uint(c, 5);
	struct file *file;
	struct uio io = {.flags = flags};

	if (flags & ~RWF_SUPPORTED || (!write && flags & RWF_APPEND))
		return -EOPNOTSUPP;
	if (arg_offset(c, 3) != -1)
		return vectored_positioned(c, write, flags);
	file = call_file_for(c, arg_uint(c, 0), 0);
	abi_try(file_error(file));
	return vectored(c, file, &io, write);
}

answer_t sys_preadv2(struct call *c)
{
	return vectored_flags(c, false);
}

answer_t sys_pwritev2(struct call *c)
{
	return vectored_flags(c, true);
}

answer_t sys_lseek(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	answer_t a;

	abi_try(file_error(file));
	if (arg_uint(c, 2) > 4)
		return -EINVAL;
	a = node_seek(file->slot, c, file, arg_offset(c, 1), arg_uint(c, 2));
	return a ? a : (answer_t)file->pos;
}

answer_t sys_sendfile(struct call *c)
{
	return vfs_copy_range(SLOT(VFS), c, arg_uint(c, 1), c->args[2], arg_uint(c, 0), 0,
		c->args[3], 0);
}

answer_t sys_copy_file_range(struct call *c)
{
	if (arg_uint(c, 5))
		return -EINVAL;
	return vfs_copy_range(SLOT(VFS), c, arg_uint(c, 0), c->args[1], arg_uint(c, 2), c->args[3],
		c->args[4], 1);
}

#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_ALL      15u /* MOVE, NONBLOCK, MORE, GIFT: hints but for NONBLOCK */
#define COPY_SPLICE       2u
#define COPY_TEE          3u
#define COPY_NONBLOCK     0x100u
#define RWF_NOWAIT        8u

static u32 splice_kind(u32 kind, u32 flags)
{
	return kind | (flags & SPLICE_F_NONBLOCK ? COPY_NONBLOCK : 0);
}

answer_t sys_splice(struct call *c)
{
	u32 flags = arg_uint(c, 5);

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!c->args[4])
		return 0;
	return vfs_copy_range(SLOT(VFS), c, arg_uint(c, 0), c->args[1], arg_uint(c, 2), c->args[3],
		c->args[4], splice_kind(COPY_SPLICE, flags));
}

answer_t sys_tee(struct call *c)
{
	u32 flags = arg_uint(c, 3);

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!c->args[2])
		return 0;
	return vfs_copy_range(SLOT(VFS), c, arg_uint(c, 0), 0, arg_uint(c, 1), 0, c->args[2],
		splice_kind(COPY_TEE, flags));
}

/* Into a pipe the pages are copied, which is what a program sees of vmsplice(2) that does not
 * change them afterwards. */
answer_t sys_vmsplice(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	u32 flags = arg_uint(c, 3);
	struct uio io = {.flags = flags & SPLICE_F_NONBLOCK ? RWF_NOWAIT : 0};

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	abi_try(file_error(file));
	if (file->type != NODE_PIPE)
		return -EBADF;
	return vectored(c, file, &io, file_writable(file));
}

static answer_t sync_file(struct call *c, bool data_only)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);

	abi_try(file_error(file));
	return node_sync(file->slot, c, file, 0, ~0ull, data_only ? FILE_SYNC_DATA : FILE_SYNC_ALL);
}

answer_t sys_fsync(struct call *c)
{
	return sync_file(c, false);
}

answer_t sys_fdatasync(struct call *c)
{
	return sync_file(c, true);
}

answer_t sys_sync(struct call *c)
{
	return vfs_sync_all(SLOT(VFS), c);
}

/* Stronger than asked for: everything is written, not this file system alone. */
answer_t sys_syncfs(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);

	abi_try(file_error(file));
	return vfs_sync_all(SLOT(VFS), c);
}

answer_t sys_sync_file_range(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	s64 offset = arg_offset(c, 1), bytes = arg_offset(c, 2), end;

	abi_try(file_error(file));
	if (arg_uint(c, 3) & ~7u || offset < 0 || bytes < 0 || !checked_add(offset, bytes, &end))
		return -EINVAL;
	if (!file->inode ||
		(inode_type(file->inode) != S_IFREG && inode_type(file->inode) != S_IFBLK &&
			inode_type(file->inode) != S_IFDIR && inode_type(file->inode) != S_IFLNK))
		return -ESPIPE;
	if (!(arg_uint(c, 3) & 7u))
		return 0;
	return node_sync(file->slot, c, file, (u64)offset, bytes ? (u64)end - 1 : ~0ull,
		FILE_SYNC_PAGES);
}

answer_t sys_fallocate(struct call *c)
{
	struct file *file = call_file_for(c, arg_uint(c, 0), CAP_RIGHT_CONTROL);
	s64 offset = arg_offset(c, 2), bytes = arg_offset(c, 3), end;

	abi_try(file_error(file));
	if (offset < 0 || bytes <= 0)
		return -EINVAL;
	if (arg_uint(c, 1) & ~0x7fu)
		return -EOPNOTSUPP;
	if (!file_writable(file))
		return -EBADF;
	if (file->type == NODE_PIPE)
		return -ESPIPE;
	if (file->type == NODE_DIR)
		return -EISDIR;
	if (!checked_add(offset, bytes, &end))
		return -EFBIG;
	return node_fallocate(file->slot, c, file, arg_uint(c, 1), (u64)offset, (u64)bytes);
}

answer_t sys_fadvise64(struct call *c)
{
	return vfs_fadvise(SLOT(VFS), c, arg_uint(c, 0), arg_offset(c, 1), arg_offset(c, 2),
		arg_uint(c, 3));
}

answer_t sys_readahead(struct call *c)
{
	return vfs_readahead(SLOT(VFS), c, arg_uint(c, 0), arg_offset(c, 1), c->args[2]);
}

answer_t sys_ftruncate(struct call *c)
{
	return vfs_ftruncate(SLOT(VFS), c, arg_uint(c, 0), arg_offset(c, 1));
}

answer_t sys_truncate(struct call *c)
{
	return vfs_truncate(SLOT(VFS), c, c->args[0], arg_offset(c, 1));
}
