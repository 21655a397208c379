/* fcntl(2) record locks, OFD locks, flock(2). Ranges and the deadlock graph are core's
 * (core/file_lock.h). */
#include <core/call.h>
#include <core/file_lock.h>
#include <core/task.h>
#include "vfs_priv.h"

struct user_flock { /* struct flock with 64-bit offsets, 64-bit machines */
	s16 type, whence;
	s32 pad;
	s64 start, len;
	s32 pid, pad2;
};
#define F_GETLK      5u
#define F_SETLK      6u
#define F_SETLKW     7u
#define F_OFD_GETLK  36u
#define F_OFD_SETLK  37u
#define F_OFD_SETLKW 38u

static answer_t range_decode(struct file *f, const struct user_flock *l, struct lock_request *r)
{
	s64 base, start, end;

	switch (l->whence) {
	case 0:
		base = 0;
		break;
	case 1:
		base = f->pos;
		break;
	case 2:
		base = (s64)inode_size(f->inode);
		break;
	default:
		return -EINVAL;
	}
	if (!checked_add(base, l->start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	end = LOCK_END;
	if (l->len > 0) {
		if (!checked_add(start, l->len - 1, &end))
			return -EOVERFLOW;
	} else if (l->len < 0) {
		end = start - 1;
		start += l->len;
		if (start < 0)
			return -EINVAL;
	}
	r->start = start;
	r->end = end;
	return 0;
}

static answer_t lock_get(struct call *c, struct lock_request *r, struct user_flock *l, u64 user)
{
	if (r->type == LOCK_TYPE_NONE)
		return -EINVAL;
	/* The inode is in r's place while the question is asked. */
	l->type = (s16)r->type;
	if (r->type != LOCK_TYPE_NONE) {
		l->whence = 0;
		l->start = r->start;
		l->len = r->end == LOCK_END ? 0 : r->end - r->start + 1;
		l->pid = r->kind == LOCK_OFD ? -1 : r->pid;
	}
	return call_copy_out(c, (vaddr_t)user, l, sizeof(*l));
}

/* Sets it, or waits for what is in the way. */
static answer_t lock_set(struct call *c, struct file *f, const struct lock_request *r, bool wait)
{
	struct inode *i = f->inode;
	struct lock_request blocker;
	u32 seq = waitable_seq(&i->lock_event);
	int error = inode_lock_set(i, r, wait ? &blocker : nullptr);

	if (error != -EAGAIN || !wait) {
		call_undo_run(c);
		return error == -ENOMEM ? -ENOLCK : error;
	}
	if (call_interrupted(c)) {
		call_undo_run(c);
		return -ERESTARTSYS;
	}
	if (r->kind == LOCK_POSIX && blocker.kind == LOCK_POSIX) {
		call_undo_set(c, CALL_UNDO_LOCK_WAIT, r->owner);
		if (lock_wait_begin(r->owner, blocker.owner))
			return -EDEADLK;
	}
	return call_wait1(c, &i->lock_event, EV_ANY, seq);
}

answer_t vfs_lock(struct call *c, u32 fd, u32 command, u64 user, u32 type)
{
	bool ofd = command >= F_OFD_GETLK, get = command == F_GETLK || command == F_OFD_GETLK;
	bool wait = command == F_SETLKW || command == F_OFD_SETLKW;
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	struct lock_request r = {};
	struct user_flock l;
	answer_t a;

	(void)type;
	if (file_error(f))
		return file_error(f);
	a = call_copy_in(c, &l, (vaddr_t)user, sizeof(l));
	if (a)
		return a;
	if (!f->inode)
		return -EINVAL;
	if (l.type < 0 || l.type > 2 || (ofd && l.pid))
		return -EINVAL;
	a = range_decode(f, &l, &r);
	if (a)
		return a;
	r.kind = ofd ? LOCK_OFD : LOCK_POSIX;
	r.owner = ofd ? (const void *)f : (const void *)call_files(c);
	r.pid = ofd ? -1 : call_pid(c);
	r.type = (u8)l.type;
	if (get) {
		if (r.type == LOCK_TYPE_NONE)
			return -EINVAL;
		inode_lock_test(f->inode, &r);
		if (r.type == LOCK_TYPE_NONE) {
			l.type = 2;
			return call_copy_out(c, (vaddr_t)user, &l, sizeof(l));
		}
		return lock_get(c, &r, &l, user);
	}
	if ((r.type == LOCK_TYPE_READ && !file_readable(f)) ||
		(r.type == LOCK_TYPE_WRITE && !file_writable(f)))
		return -EBADF;
	return lock_set(c, f, &r, wait);
}

#define LOCK_SH 1u
#define LOCK_EX 2u
#define LOCK_NB 4u
#define LOCK_UN 8u
answer_t vfs_flock(struct call *c, u32 fd, u32 operation)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	struct lock_request r = {.start = 0, .end = LOCK_END, .kind = LOCK_FLOCK};

	if (file_error(f))
		return file_error(f);
	switch (operation & ~LOCK_NB) {
	case LOCK_SH:
		r.type = LOCK_TYPE_READ;
		break;
	case LOCK_EX:
		r.type = LOCK_TYPE_WRITE;
		break;
	case LOCK_UN:
		r.type = LOCK_TYPE_NONE;
		break;
	default:
		return -EINVAL;
	}
	if (!f->inode)
		return -EBADF;
	r.owner = f;
	r.pid = call_pid(c);
	/* flock(2): a conversion lets go of the old lock first when it must wait. */
	if (r.type != LOCK_TYPE_NONE && !(operation & LOCK_NB) &&
		inode_lock_would_block(f->inode, &r)) {
		struct lock_request none = r;

		none.type = LOCK_TYPE_NONE;
		(void)inode_lock_set(f->inode, &none, nullptr);
		call_effect_undone(c); /* a second run finds nothing to let go */
	}
	return lock_set(c, f, &r, !(operation & LOCK_NB));
}
