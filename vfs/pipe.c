/*
 * Pipes and FIFOs (node slot `pipe`). The body is core's (core/pipe.h).
 *
 * A read or write moves at most a page under the body's short lock, copying without faulting; a
 * copy that would fault is a NEED and nothing was consumed. A page for writing is allocated before
 * the lock. Writes up to PIPE_BUF are one piece: they wait until all of it fits.
 */
#include <arch/mmu.h>
#include <core/call.h>
#include <core/pipe.h>
#include <core/task.h>
#include "vfs_priv.h"

struct pipe_progress {
	u64 done;
};

static inline struct pipe *pipe_of(struct file *f)
{
	return f->obj.body;
}

/* --- open --- */
static void fifo_enter(struct file *f, struct pipe *p)
{
	bool r = file_readable(f), w = file_writable(f);

	file_names(f, &p->obj);
	f->cursor = pipe_open_end(p, r, w);
}

/* fifo(7): a reader waits for a writer and the other way round; O_NONBLOCK readers never,
 * O_NONBLOCK writers get ENXIO; O_RDWR never. */
answer_t pipe_node_open(struct call *c, struct file *f)
{
	bool r = file_readable(f), w = file_writable(f), met;
	struct pipe *p = pipe_of(f);
	struct waitable *on;
	u32 seq;

	if (!r && !w) /* access mode 3: no end of a FIFO */
		return -EINVAL;
	if (!p) {
		p = pipe_of_fifo(f->inode);
		if (!p)
			return call_need_memory(c, sizeof(*p));
		if (!p->anonymous && w && !r && f->flags & O_NONBLOCK && !READ_ONCE(p->readers)) {
			object_put(&p->obj);
			return -ENXIO;
		}
		fifo_enter(f, p);
	}
	if (p->anonymous || (r && w) || (r && f->flags & O_NONBLOCK))
		return 0;
	on = r ? &p->readable : &p->writable;
	seq = waitable_seq(on);
	/* The other end was here when this one came, or was since: who came and went counts as met.
	 */
	met = (r ? READ_ONCE(p->writer_opens) : READ_ONCE(p->reader_opens)) != (u32)f->cursor;
	if (met)
		return 0;
	if (call_interrupted(c))
		return -ERESTARTSYS; /* the file goes, and with it this end */
	return call_wait1(c, on, EV_ANY, seq);
}

/* A new pipe's open files: the end that reads, and the one that writes. */
static bool make_ends(u32 flags, struct file *f[2])
{
	struct pipe *p = pipe_new();

	if (!p)
		return false;
	f[0] = file_new_anonymous(NODE_PIPE, O_RDONLY | flags, "pipe", &p->obj);
	if (!f[0]) {
		object_put(&p->obj);
		return false;
	}
	pipe_open_end(p, true, false);
	p->inode = f[0]->inode;
	p->anonymous = true;
	object_get(&p->obj);
	f[0]->inode->fifo = p; /* /proc/PID/fd opens this one again */
	object_get(&p->obj);
	f[1] = file_new(NODE_PIPE, O_WRONLY | flags, &f[0]->path, f[0]->inode, &p->obj);
	if (!f[1]) {
		object_put(&p->obj);
		file_put(f[0]);
		return false;
	}
	pipe_open_end(p, false, true);
	return true;
}

static void uninstall(struct call *c, s32 fd)
{
	struct file *f = call_uninstall(c, (u32)fd);

	if (f)
		file_put(f);
}

answer_t vfs_pipe(struct call *c, u64 fds, u32 flags)
{
	struct file *f[2];
	s32 fd[2];
	answer_t a;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	/* Where the numbers go must be writable before there are any; what is there stays until
	 * then. */
	a = call_copy_in(c, fd, (vaddr_t)fds, sizeof(fd));
	if (!a)
		a = call_copy_out(c, (vaddr_t)fds, fd, sizeof(fd));
	if (a)
		return a;
	if (!make_ends(flags & (O_NONBLOCK | O_DIRECT), f))
		return call_need_memory(c, sizeof(struct pipe));
	a = call_install(c, f[0], flags & O_CLOEXEC);
	if (a < 0) {
		file_put(f[0]);
		file_put(f[1]);
		return a;
	}
	fd[0] = (s32)a;
	a = call_install(c, f[1], flags & O_CLOEXEC);
	if (a < 0) {
		file_put(f[1]);
		uninstall(c, fd[0]);
		call_effect_undone(c);
		return a;
	}
	fd[1] = (s32)a;
	/* Was writable above; a thread that unmaps meanwhile loses the numbers, as on Linux it gets
	 * EFAULT with them open. */
	if (call_copy_out_partial(c, (vaddr_t)fds, fd, sizeof(fd)) != sizeof(fd)) {
		uninstall(c, fd[0]);
		uninstall(c, fd[1]);
		call_effect_undone(c);
		return call_need_user(c, (struct uspan){(vaddr_t)fds, sizeof(fd)}, true);
	}
	return 0;
}

/* --- read --- */
/* Takes what one entry has, as far as it fits. Bytes; *fault: the user range is absent. Locks:
 * p->obj.lock. */
static size_t take_locked(struct call *c, struct pipe *p, const struct uio *io, size_t done,
	bool *fault, bool *packet, struct frame **freed)
{
	struct pipe_page *e = pipe_entry(p, 0);
	size_t bytes = MIN((size_t)e->bytes, io->total - done), n;
	u8 *page = page_begin(e->frame);

	n = uio_copy_out(c, io, done, page + e->offset, bytes);
	page_end(e->frame, page);
	*fault = n < bytes;
	*packet = false;
	if (e->packet && *fault)
		return 0; /* whole or not at all */
	*packet = e->packet;
	e->offset += (u32)n;
	e->bytes -= (u32)n;
	p->bytes -= n;
	if (e->packet) {
		p->bytes -= e->bytes; /* the rest of a packet is dropped (pipe(2), O_DIRECT) */
		e->bytes = 0;
	}
	if (!e->bytes) {
		if (!p->spare)
			p->spare = e->frame;
		else
			*freed = e->frame;
		e->frame = nullptr;
		pipe_entry_done(p);
	}
	return n;
}

static void pipe_times(struct pipe *p, u32 which)
{
	if (p->inode)
		inode_touch(p->inode, which);
}

/* The user's range is absent: it is needed, or what was moved is the result. */
static answer_t end_by_fault(struct call *c, struct pipe *p, const struct uio *io, size_t done,
	bool read)
{
	answer_t a = uio_need(c, io, done, read);

	if (answer_is_kind(a)) {
		call_progress(c, struct pipe_progress)->done = done;
		call_effect_recorded(c);
		return a;
	}
	if (!done)
		return a;
	pipe_times(p, read ? INODE_ATIME : INODE_MTIME | INODE_CTIME);
	return (answer_t)done;
}

static answer_t read_blocked(struct call *c, const struct file *f, struct pipe *p,
	const struct uio *io, u32 seq)
{
	if (f->flags & O_NONBLOCK || io->flags & 8) /* RWF_NOWAIT */
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &p->readable, EV_IN | EV_HUP, seq);
}

struct taken {
	size_t bytes;
	u32 writers;
	bool fault, packet, empty;
};
static inline void take(struct call *c, struct pipe *p, const struct uio *io, size_t done,
	struct taken *t)
{
	struct frame *freed = nullptr;
	bool wake = false;

	spin_lock(&p->obj.lock);
	t->empty = !p->used;
	t->writers = p->writers;
	if (!t->empty) {
		bool was_full = p->used == p->nr_pages;

		t->bytes = take_locked(c, p, io, done, &t->fault, &t->packet, &freed);
		/* A page became free, or a small write that waits for room may fit now. */
		wake = was_full || !p->used;
	}
	spin_unlock(&p->obj.lock);
	if (freed)
		frame_free(freed, 0);
	if (!t->bytes)
		return;
	call_effect(c);
	if (wake)
		waitable_wake(&p->writable, EV_OUT | EV_WRNORM, 0);
}

answer_t pipe_node_read(struct call *c, struct file *f, struct uio *io)
{
	struct pipe *p = pipe_of(f);
	size_t done = 0;

	if (unlikely(!file_readable(f)))
		return -EBADF;
	if (!io->total)
		return 0;
	if (unlikely(call_frame(c)->live))
		done = (size_t)call_progress(c, struct pipe_progress)->done;
	for (;;) {
		u32 seq = waitable_seq(&p->readable);
		struct taken t = {};

		take(c, p, io, done, &t);
		done += t.bytes;
		if (t.bytes && !t.packet && done < io->total && !t.fault)
			continue;
		if (unlikely(t.fault))
			return end_by_fault(c, p, io, done, true);
		if (done) {
			pipe_times(p, INODE_ATIME);
			return (answer_t)done;
		}
		if (t.empty) /* else it was an empty packet */
			return t.writers ? read_blocked(c, f, p, io, seq) : 0;
	}
}

/* --- write --- */
enum put { PUT_DONE, PUT_FULL, PUT_FAULT, PUT_MEMORY, PUT_BROKEN };

/* Appends to the last entry what fits there whole: only then is a page saved. Locks: p->obj.lock.
 */
static size_t append_locked(struct call *c, struct pipe *p, const struct uio *io, size_t done,
	size_t left, enum put *why)
{
	struct pipe_page *e;
	size_t room, n;
	u8 *page;

	if (!p->used)
		return 0;
	e = pipe_entry(p, p->used - 1);
	if (e->packet)
		return 0;
	room = PAGE_BYTES - e->offset - e->bytes;
	/* Linux merges the odd bytes of a write into the last page, so that PIPE_BUF writes stay
	 * whole. */
	left &= PAGE_BYTES - 1;
	if (!left || left > room)
		return 0;
	page = page_begin(e->frame);
	n = uio_copy_in(c, io, done, page + e->offset + e->bytes, left);
	page_end(e->frame, page);
	if (n < left) { /* nothing of it is visible yet; a page of its own may not be free */
		*why = PUT_FAULT;
		return 0;
	}
	e->bytes += (u32)n;
	p->bytes += n;
	return n;
}

/* One page filled outside the lock, then queued. */
static enum put put_page(struct pipe *p, struct frame *frame, size_t bytes, bool packet,
	bool *was_empty)
{
	struct pipe_page *e;
	enum put r = PUT_DONE;

	spin_lock(&p->obj.lock);
	if (!p->readers) {
		r = PUT_BROKEN;
	} else if (p->used == p->nr_pages) {
		r = PUT_FULL;
	} else {
		*was_empty = !p->used;
		e = pipe_entry(p, p->used);
		*e = (struct pipe_page){frame, 0, (u32)bytes, packet};
		WRITE_ONCE(p->used, p->used + 1);
		p->bytes += bytes;
	}
	spin_unlock(&p->obj.lock);
	return r;
}

static struct frame *spare_page(struct pipe *p)
{
	struct frame *frame;

	spin_lock(&p->obj.lock);
	frame = p->spare;
	p->spare = nullptr;
	spin_unlock(&p->obj.lock);
	/* Never waits: a handler asks for memory by NEED. */
	return frame ? frame : frame_alloc(0, FRAME_ALLOC_OPTIONAL, &account_root);
}

static answer_t broken(struct call *c, size_t done)
{
	if (done)
		return (answer_t)done;
	call_signal(c, SIGPIPE);
	return -EPIPE;
}

/* Nothing can be put now: what the call answers. */
static answer_t write_blocked(struct call *c, struct file *f, struct pipe *p, const struct uio *io,
	size_t done, u32 seq)
{
	if (f->flags & O_NONBLOCK || io->flags & 8)
		return done ? (answer_t)done : -EAGAIN;
	if (call_interrupted(c))
		return done ? (answer_t)done : -ERESTARTSYS;
	call_progress(c, struct pipe_progress)->done = done;
	call_effect_recorded(c);
	return call_wait1(c, &p->writable, EV_OUT | EV_ERR, seq);
}

/* One piece of a write. Bytes put, or 0 with *why; *was_empty: a reader may wait for them. */
static size_t write_piece(struct call *c, struct file *f, struct pipe *p, const struct uio *io,
	size_t done, enum put *why, bool *was_empty)
{
	size_t left = io->total - done, bytes = MIN(left, (size_t)PAGE_BYTES), n = 0;
	bool packet = f->flags & O_DIRECT;
	struct frame *frame;
	u8 *page;

	*why = PUT_DONE;
	spin_lock(&p->obj.lock);
	if (!p->readers)
		*why = PUT_BROKEN;
	else if (!packet)
		n = append_locked(c, p, io, done, left, why);
	/* Full: known before a page is filled for nothing. */
	if (!n && *why == PUT_DONE && p->used == p->nr_pages)
		*why = PUT_FULL;
	spin_unlock(&p->obj.lock);
	if (n || *why != PUT_DONE)
		return n;
	frame = spare_page(p);
	if (!frame) {
		*why = PUT_MEMORY;
		return 0;
	}
	page = page_begin(frame);
	n = uio_copy_in(c, io, done, page, bytes);
	page_end(frame, page);
	/* Pages are queued full: a part would waste the rest of its page. */
	if (n < bytes) {
		frame_free(frame, 0);
		*why = PUT_FAULT;
		return 0;
	}
	*why = put_page(p, frame, n, packet, was_empty);
	if (*why != PUT_DONE) {
		frame_free(frame, 0);
		return 0;
	}
	return n;
}

static answer_t write_stopped(struct call *c, struct file *f, struct pipe *p, const struct uio *io,
	size_t done, u32 seq, enum put why)
{
	if (why == PUT_BROKEN)
		return broken(c, done);
	if (done)
		waitable_wake(&p->readable, EV_IN | EV_RDNORM, 0);
	if (why == PUT_MEMORY) {
		call_progress(c, struct pipe_progress)->done = done;
		call_effect_recorded(c);
		return call_need_memory(c, PAGE_BYTES);
	}
	return why == PUT_FULL ? write_blocked(c, f, p, io, done, seq)
			       : end_by_fault(c, p, io, done, false);
}

answer_t pipe_node_write(struct call *c, struct file *f, struct uio *io)
{
	struct pipe *p = pipe_of(f);
	size_t done = 0, step = 0;

	if (unlikely(!file_writable(f)))
		return -EBADF;
	if (!io->total)
		return 0;
	if (unlikely(call_frame(c)->live))
		done = (size_t)call_progress(c, struct pipe_progress)->done;
	while (done < io->total) {
		u32 seq = waitable_seq(&p->writable);
		bool was_empty = false;
		enum put why;
		size_t n = write_piece(c, f, p, io, done, &why, &was_empty);

		done += n;
		step += n;
		if (n)
			call_effect(c);
		if (n && (was_empty || done == io->total))
			waitable_wake(&p->readable, EV_IN | EV_RDNORM, 0);
		if (unlikely(why != PUT_DONE))
			return write_stopped(c, f, p, io, done, seq, why);
		if (step >= 65536 && done < io->total) {
			call_progress(c, struct pipe_progress)->done = done;
			call_effect_recorded(c);
			return call_more(c);
		}
	}
	pipe_times(p, INODE_MTIME | INODE_CTIME);
	return (answer_t)done;
}

answer_t pipe_node_fallocate(struct call *c, struct file *f, u32 mode, u64 offset, u64 bytes)
{
	(void)c;
	(void)mode;
	(void)offset;
	(void)bytes;
	return file_writable(f) ? -ESPIPE : -EBADF;
}

/* --- poll, ioctl --- */
answer_t pipe_node_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	struct pipe *p = pipe_of(f);
	u32 events = 0;

	(void)c;
	if (file_readable(f)) {
		poll_ask_add(ask, &p->readable, EV_IN | EV_RDNORM | EV_HUP);
		if (READ_ONCE(p->used))
			events |= EV_IN | EV_RDNORM;
		/* A FIFO that never had a writer since this open does not hang up. */
		if (!READ_ONCE(p->writers) &&
			(!f->inode->fifo || p->writer_opens != (u32)f->cursor ||
				READ_ONCE(p->used)))
			events |= EV_HUP;
	}
	if (file_writable(f)) {
		poll_ask_add(ask, &p->writable, EV_OUT | EV_WRNORM | EV_ERR);
		if (READ_ONCE(p->used) < p->nr_pages)
			events |= EV_OUT | EV_WRNORM;
		if (!READ_ONCE(p->readers))
			events |= EV_ERR;
	}
	return events;
}

answer_t pipe_node_ioctl(struct call *c, struct file *f, u32 command, u64 argument)
{
	s32 bytes = (s32)READ_ONCE(pipe_of(f)->bytes);

	if (command != 0x541b) /* FIONREAD */
		return -ENOTTY;
	return call_copy_out(c, (vaddr_t)argument, &bytes, sizeof(bytes));
}

/* F_GETPIPE_SZ, F_SETPIPE_SZ: the size in bytes. */
answer_t vfs_pipe_size(struct call *c, u32 fd, u32 set, u32 bytes)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	struct pipe *p;
	u32 nr_pages = 1;
	int error;

	if (file_error(f))
		return file_error(f);
	if (f->type != NODE_PIPE)
		return -EBADF;
	p = pipe_of(f);
	if (!set)
		return (answer_t)p->nr_pages * PAGE_BYTES;
	if (bytes > 0x80000000u)
		return -EINVAL;
	while ((u64)nr_pages * PAGE_BYTES < bytes)
		nr_pages *= 2;
	if (nr_pages > PIPE_PAGES_MAX && nr_pages > p->nr_pages &&
		!context_capable(c->ctx, CAP_SYS_RESOURCE))
		return -EPERM;
	if (nr_pages > 65536)
		return -EINVAL;
	error = pipe_resize(p, nr_pages);
	return error ? error : (answer_t)nr_pages * PAGE_BYTES;
}
