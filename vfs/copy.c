/*
 * sendfile(2), copy_file_range(2), splice(2), tee(2): bytes from one open file to another through a
 * buffer of core memory.
 *
 * The source is only looked at (file pages, rendered text, a pipe's queue); what the destination
 * took is then consumed. So an answer that is a kind loses nothing: the next run reads the same
 * bytes and the destination's frame goes on where it stood. Splicers of one pipe exclude each other
 * by its write_excl; a reader beside them may see bytes a splicer is moving.
 */
#include <arch/mmu.h>
#include <core/pipe.h>
#include <core/task.h>
#include "vfs_priv.h"

#define COPY_SENDFILE 0u
#define COPY_RANGE    1u
#define COPY_SPLICE   2u
#define COPY_TEE      3u /* pipe to pipe, the source keeps its bytes */
#define COPY_NONBLOCK 0x100u
#define BUFFER_BYTES  16384u

struct copy_progress {
	u64 done;
	s64 in_pos, out_pos;
	u32 chunk; /* bytes the destination is being given; 0: none yet */
	bool started;
};
struct copy {
	struct file *in, *out;
	bool in_given, out_given; /* explicit offsets */
	u32 kind;
	struct copy_progress *p;
	u8 *buffer;
};

/* Bytes of a regular file at pos. 0 at the end; kinds when pages are absent. */
static answer_t look_file(struct call *c, struct file *f, s64 pos, u8 *buffer, u32 bytes)
{
	struct memory_object *o = f->inode->pages;
	u64 size = inode_size(f->inode);
	u32 done = 0;

	if ((u64)pos >= size)
		return 0;
	bytes = (u32)MIN((u64)bytes, size - (u64)pos);
	while (done < bytes) {
		u64 index = ((u64)pos + done) >> PAGE_SHIFT;
		u32 offset = (u32)(((u64)pos + done) & (PAGE_BYTES - 1)),
		    n = MIN(bytes - done, (u32)PAGE_BYTES - offset);
		struct frame *frame = call_page(c, o, index);
		u8 *page;

		if (!frame)
			return done ? (answer_t)done
				    : call_need_pages(c, NEED_PAGES, o, index,
					      DIV_ROUND_UP((u64)bytes, PAGE_BYTES));
		page = page_begin(frame);
		memcpy(buffer + done, page + offset, n);
		page_end(frame, page);
		frame_unpin(frame);
		done += n;
	}
	return done;
}

static answer_t look_pipe(struct call *c, const struct copy *cp, u8 *buffer, u32 bytes)
{
	struct pipe *p = cp->in->obj.body;
	u32 seq = waitable_seq(&p->readable), done = 0, writers;

	if (!call_hold(c, EXCL_INODE, &p->write_excl, p->obj.id, false))
		return ANSWER_NEED;
	spin_lock(&p->obj.lock);
	/* At most one page under the short lock. */
	if (p->used) {
		struct pipe_page *e = pipe_entry(p, 0);
		u8 *page = page_begin(e->frame);

		done = MIN(bytes, e->bytes);
		memcpy(buffer, page + e->offset, done);
		page_end(e->frame, page);
	}
	writers = p->writers;
	spin_unlock(&p->obj.lock);
	if (done || !writers)
		return done;
	if (cp->in->flags & O_NONBLOCK || cp->kind & COPY_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &p->readable, EV_IN | EV_HUP, seq);
}

static void consume_pipe(struct pipe *p, u32 bytes)
{
	struct frame *freed = nullptr;

	spin_lock(&p->obj.lock);
	if (p->used) {
		struct pipe_page *e = pipe_entry(p, 0);

		bytes = MIN(bytes, e->bytes);
		e->offset += bytes;
		e->bytes -= bytes;
		p->bytes -= bytes;
		if (!e->bytes) {
			freed = e->frame;
			pipe_entry_done(p);
		}
	}
	spin_unlock(&p->obj.lock);
	if (freed) {
		frame_free(freed, 0);
		waitable_wake(&p->writable, EV_OUT | EV_WRNORM, 0);
	}
}

static answer_t look(struct call *c, struct copy *cp, u32 bytes)
{
	struct file *f = cp->in;

	switch (f->type) {
	case NODE_FILE:
		return f->inode->pages ? look_file(c, f, cp->p->in_pos, cp->buffer, bytes)
				       : -EINVAL;
	case NODE_PIPE:
		return look_pipe(c, cp, cp->buffer, bytes);
	case NODE_VIEW: {
		/* Through its own read, into the buffer: rendering has no other effect. */
		struct uspan span = {(vaddr_t)cp->buffer, bytes};
		struct uio io = {.spans = &span,
			.nr = 1,
			.kernel = true,
			.positioned = true,
			.pos = cp->p->in_pos,
			.total = bytes};

		return view_node_read(c, f, &io);
	}
	case NODE_CHAR:
		if (DEV_MAJOR(f->inode->rdev) != 1 || DEV_MINOR(f->inode->rdev) != 5)
			return -EINVAL;
		memset(cp->buffer, 0, bytes);
		return bytes;
	case NODE_DIR:
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
	case NODE_EPOLL:
	case NODE_SOCKET:
	case NODE_TTY:
	case NODE_BLOCK:
	case NODE_PATH:
	case NODE_NR:
		break;
	}
	return -EINVAL;
}

/* The destination's own write, one level down: its frame keeps what it has done of this chunk. */
static answer_t give(struct call *c, struct copy *cp, u32 bytes)
{
	struct file *f = cp->out;
	const struct node_vtable *vtable = slot_vtable(f->slot);
	struct uspan span = {(vaddr_t)cp->buffer, bytes};
	struct uio io = {
		.spans = &span,
		.nr = 1,
		.kernel = true,
		.total = bytes,
		.positioned = cp->out_given || cp->kind == COPY_RANGE,
		.pos = cp->p->out_pos,
		.flags = cp->kind & COPY_NONBLOCK ? 8 : 0,
	};

	if (!vtable->write)
		return -EINVAL;
	if (!call_enter(c, f->slot, 2, f->obj.id))
		return ANSWER_NEED;
	return call_leave(c, vtable->write(c, f, &io));
}

static answer_t copy_loop(struct call *c, struct copy *cp, u64 total)
{
	struct copy_progress *p = cp->p;
	u32 steps = 0;

	while (p->done < total && !call_killed(c)) {
		u32 want = p->chunk ? p->chunk : (u32)MIN(total - p->done, (u64)BUFFER_BYTES);
		answer_t a = look(c, cp, want);

		if (a <= 0)
			return a;
		p->chunk = (u32)a;
		a = give(c, cp, p->chunk);
		if (a < 0)
			return a;
		p->chunk = 0;
		if (cp->in->type == NODE_PIPE && (cp->kind & 0xff) != COPY_TEE)
			consume_pipe(cp->in->obj.body, (u32)a);
		p->in_pos += a;
		p->out_pos += a;
		p->done += (u64)a;
		call_effect_recorded(c); /* the frame is the record */
		c->runs = 0;             /* progress, although this run may end in the next NEED */
		if (cp->in->type == NODE_PIPE && cp->kind != COPY_RANGE)
			return 0; /* splice(2): what was there */
		if (++steps == 4 && p->done < total) {
			c->runs = 0;
			return call_more(c);
		}
	}
	return 0;
}

static answer_t offset_in(struct call *c, u64 user, const struct file *f, s64 *pos)
{
	answer_t a;

	*pos = f->pos;
	if (!user)
		return 0;
	a = call_copy_in(c, pos, (vaddr_t)user, sizeof(*pos));
	return a ? a : *pos < 0 ? -EINVAL : 0;
}

static bool two_pipes(const struct file *in, const struct file *out)
{
	return in->type == NODE_PIPE && out->type == NODE_PIPE && in->obj.body != out->obj.body;
}

static answer_t check_splice(const struct file *in, const struct file *out, u64 in_offset,
	u64 out_offset)
{
	bool from_pipe = in->type == NODE_PIPE, to_pipe = out->type == NODE_PIPE;

	if (!from_pipe && !to_pipe)
		return -EINVAL;
	if ((from_pipe && in_offset) || (to_pipe && out_offset))
		return -ESPIPE;
	if (from_pipe && to_pipe && !two_pipes(in, out))
		return -EINVAL;
	return out->flags & O_APPEND ? -EINVAL : 0;
}

static answer_t check(const struct copy *cp, u64 in_offset, u64 out_offset)
{
	const struct file *in = cp->in, *out = cp->out;

	if (file_error(in))
		return file_error(in);
	if (file_error(out))
		return file_error(out);
	switch (cp->kind & 0xff) {
	case COPY_SENDFILE:
		if (in_offset && in->type == NODE_PIPE)
			return -ESPIPE;
		return out->flags & O_APPEND ? -EINVAL : 0;
	case COPY_RANGE:
		if (in->type == NODE_DIR || out->type == NODE_DIR)
			return -EISDIR;
		if (in->type != NODE_FILE || out->type != NODE_FILE)
			return -EINVAL;
		return out->flags & O_APPEND ? -EBADF : 0;
	case COPY_SPLICE:
		return check_splice(in, out, in_offset, out_offset);
	case COPY_TEE:
		return two_pipes(in, out) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* An offset that cannot go out is EFAULT, whatever was moved, as on Linux. */
static answer_t offset_out(struct call *c, answer_t a)
{
	if (!answer_is_kind(a))
		call_effect_all_told(c);
	return a;
}

/* Positions and offsets are told at the end, once. */
static answer_t copy_end(struct call *c, struct copy *cp, u64 in_offset, u64 out_offset)
{
	struct copy_progress *p = cp->p;

	if (in_offset) {
		answer_t a = call_copy_out(c, (vaddr_t)in_offset, &p->in_pos, sizeof(p->in_pos));

		if (a)
			return offset_out(c, a);
	} else if (cp->in->type != NODE_PIPE) {
		cp->in->pos = p->in_pos;
	}
	if (out_offset) {
		answer_t a = call_copy_out(c, (vaddr_t)out_offset, &p->out_pos, sizeof(p->out_pos));

		if (a)
			return offset_out(c, a);
	} else if (cp->kind == COPY_RANGE) {
		cp->out->pos = p->out_pos;
	}
	return (answer_t)p->done;
}

static answer_t range_check(const struct copy *cp, const struct copy_progress *p, u64 *bytes)
{
	s64 end;

	if (cp->kind != COPY_RANGE)
		return 0;
	if (!checked_add(p->in_pos, (s64)*bytes, &end) ||
		!checked_add(p->out_pos, (s64)*bytes, &end))
		return -EOVERFLOW;
	/* Never past the source's end; overlapping ranges of one file are EINVAL. */
	*bytes = (u64)p->in_pos >= inode_size(cp->in->inode)
			 ? 0
			 : MIN(*bytes, inode_size(cp->in->inode) - (u64)p->in_pos);
	if (cp->in->inode == cp->out->inode && p->in_pos < p->out_pos + (s64)*bytes &&
		p->out_pos < p->in_pos + (s64)*bytes)
		return -EINVAL;
	return 0;
}

answer_t vfs_copy_range(struct call *c, u32 in, u64 in_offset, u32 out, u64 out_offset, u64 bytes,
	u32 kind)
{
	struct copy cp = {.in = call_file_for(c, in, CAP_RIGHT_READ),
		.out = call_file_for(c, out, CAP_RIGHT_WRITE),
		.in_given = in_offset,
		.out_given = out_offset,
		.kind = kind};
	struct copy_progress *p;
	answer_t a = check(&cp, in_offset, out_offset);

	if (a)
		return a;
	if ((s64)bytes < 0)
		return -EINVAL;
	bytes = MIN(bytes, 0x7ffff000ull); /* MAX_RW_COUNT */
	cp.p = p = call_progress(c, struct copy_progress);
	if (!p->started) {
		a = offset_in(c, in_offset, cp.in, &p->in_pos);
		if (!a)
			a = offset_in(c, out_offset, cp.out, &p->out_pos);
		if (!a)
			a = range_check(&cp, p, &bytes);
		if (a)
			return a;
		p->started = true;
	}
	cp.buffer = kmalloc(BUFFER_BYTES);
	if (!cp.buffer)
		return call_need_memory(c, BUFFER_BYTES);
	a = copy_loop(c, &cp, bytes);
	kfree(cp.buffer);
	if (answer_is_kind(a)) {
		call_killable(c);
		return a;
	}
	if (!p->done && call_killed(c))
		return -EINTR;
	if (a < 0 && !p->done)
		return a;
	return copy_end(c, &cp, in_offset, out_offset);
}

/* --- advice --- */
answer_t vfs_fadvise(struct call *c, u32 fd, s64 offset, s64 bytes, u32 advice)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);

	if (file_error(f))
		return file_error(f);
	if (f->type == NODE_PIPE)
		return -ESPIPE;
	if (bytes < 0 || advice > 5)
		return -EINVAL;
	if (f->type != NODE_FILE || !f->inode->pages || f->inode->pages->kind != MEMORY_FILE)
		return 0;
	/* The other advice changes nothing that a program can see. */
	if (advice == 1) { /* RANDOM */
		f->ra_window_pages = 0;
		f->ra_next_page = ~0ull;
	}
	return 0;
}

answer_t vfs_readahead(struct call *c, u32 fd, s64 offset, u64 bytes)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_READ);
	u64 first, size;

	if (file_error(f))
		return file_error(f);
	if (f->type != NODE_FILE || !f->inode->pages || f->inode->pages->kind != MEMORY_FILE)
		return f->type == NODE_FILE ? 0 : -EINVAL;
	size = inode_size(f->inode);
	first = (u64)MAX(offset, (s64)0);
	if (first >= size || !bytes || call_frame(c)->live)
		return 0;
	(void)call_progress(c, u64); /* asked once: what one NEED brings is what is read ahead */
	bytes = MIN(MIN(bytes, size - first), (u64)32 * PAGE_BYTES);
	return call_need_pages(c, NEED_PAGES, f->inode->pages, first >> PAGE_SHIFT,
		DIV_ROUND_UP(bytes, PAGE_BYTES));
}
