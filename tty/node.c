/*
 * Terminals: the line discipline and what open files of terminals do (node.c, ldisc.c, output.c,
 * ioctl.c).
 *
 * Purpose: Linux's N_TTY over core-owned lines (core/tty.h). Vocabulary: line, master, slave:
 * core/tty.h; discipline: the way of a byte from `raw` to `read` with echo into `output`.
 *
 * Objects and lifetimes: none of its own; an open file's body is its line, file->view_version 1
 * marks the master end. A hangup revokes the line's tokens: files that were open read as ended
 * and write as broken, for ever; files opened after it work. The master and /dev/console name
 * themselves, so a hangup passes them by (vhangup(2), tty_io.c's rule for the console).
 *
 * Invariants: TTYM-I1 bytes leave a ring only when they were copied to the user; TTYM-I2 signals
 * and wakes happen outside the line's lock.
 *
 * Locks: line->obj.lock, at most 4 KiB copied under it. Failure and recovery: a call made again
 * finds the rings as they are.
 *
 * Replacement: nothing crosses; waiting calls hang on core's waitables. Cost: one lock per 256
 * bytes.
 */
#include <core/component.h>
#include <core/console.h>
#include <core/plant.h>
#include <core/ucopy.h>
#include <kabi/node.h>
#include <kabi/tty.h>
#include <lib/bitmap.h>
#include <lib/string.h>
#include "tty_priv.h"

KABI_MODULE(1, "Apache-2.0");

#define CHUNK             256u
#define TTY_MAJOR_AUX     5u
#define TIOCPKT_FLUSHREAD 1u

struct io_progress {
	u64 done;
	ktime_t byte_deadline; /* VTIME: by when the next byte must have come; 0: no limit yet */
};

/* The body is a reference, dropped by release. */
static void set_body(struct file *file, struct tty *t, bool outlives_hangup)
{
	if (outlives_hangup)
		file_names_itself(file, &t->obj);
	else
		file_names(file, &t->obj);
	file->wait = &t->wait;
}

/* --- open, release --- */
static answer_t open_master(struct call *c, struct file *file)
{
	int error;
	struct tty *t = tty_pty_create(&error);

	if (!t)
		return error;
	t->node_uid = c->ctx->cred.fsuid;
	t->node_gid = c->ctx->cred.fsgid;
	file->view_version = 1;
	set_body(file, t, true);
	file->wait = &t->master_wait;
	return 0;
}

static answer_t find_line(struct call *c, u32 rdev, struct tty **out)
{
	u32 minor = DEV_MINOR(rdev);

	*out = nullptr;
	if (DEV_MAJOR(rdev) == TTY_MAJOR_AUX && minor == 0)
		*out = tty_of_task(c->task);
	else if (DEV_MAJOR(rdev) == TTY_MAJOR_AUX && minor == 1)
		*out = tty_console();
	else if (DEV_MAJOR(rdev) >= 136 && DEV_MAJOR(rdev) <= 143)
		*out = tty_pty_find((DEV_MAJOR(rdev) - 136) << 8 | minor);
	else
		*out = tty_by_rdev(rdev);
	return *out ? 0 : -ENXIO;
}

static answer_t tty_node_open(struct call *c, struct file *file)
{
	u32 rdev = file->inode->rdev;
	struct tty *t;
	answer_t a;

	if (rdev == DEV_MAKE(TTY_MAJOR_AUX, 2))
		return open_master(c, file);
	a = find_line(c, rdev, &t);
	if (a)
		return a;
	spin_lock(&t->obj.lock);
	if (t->kind == TTY_PTY && (!t->master_open || t->locked))
		a = -EIO;
	else if (t->exclusive && !context_capable(c->ctx, CAP_SYS_ADMIN))
		a = -EBUSY;
	else {
		t->nr_open++;
		t->slave_seen = true;
	}
	spin_unlock(&t->obj.lock);
	if (a) {
		object_put(&t->obj);
		return a;
	}
	set_body(file, t, rdev == DEV_MAKE(TTY_MAJOR_AUX, 1));
	/* /dev/console never becomes a controlling terminal by open (tty_io.c's rule; console(4)).
	 */
	if (!(file->flags & O_NOCTTY) && rdev != DEV_MAKE(TTY_MAJOR_AUX, 1) &&
		rdev != DEV_MAKE(TTY_MAJOR_AUX, 0) && !t->session)
		(void)tty_acquire(c, t, false);
	return 0;
}

static answer_t tty_node_release(struct call *c, struct file *file)
{
	struct tty *t;
	bool last = false;

	if (!file->obj.body)
		return 0;
	t = line_of(file);
	if (is_master(file)) {
		spin_lock(&t->obj.lock);
		t->master_open = false;
		spin_unlock(&t->obj.lock);
		tty_hang_up(t);
	} else {
		spin_lock(&t->obj.lock);
		last = --t->nr_open == 0;
		if (last)
			t->exclusive = false;
		spin_unlock(&t->obj.lock);
		if (last)
			waitable_wake(&t->master_wait, EV_HUP | EV_IN, 0);
	}
	file_names(file, nullptr);
	object_put(&t->obj);
	return 0;
}

/* --- the discipline at work --- */
static void run_discipline(struct tty *t)
{
	bool more;

	do {
		struct effects e = {};

		spin_lock(&t->obj.lock);
		/* One signal a turn: the next one may be another. */
		for (u32 n = 0;
			n < CHUNK && !e.signo && tty_ring_used(&t->raw) && ldisc_accepts_locked(t);
			n++) {
			enum tty_said said;
			u8 b = tty_raw_take_locked(t, &said);

			ldisc_input_locked(t, b, said, &e);
		}
		more = tty_ring_used(&t->raw) && ldisc_accepts_locked(t);
		spin_unlock(&t->obj.lock);
		ldisc_apply(t, &e);
	} while (more);
	if (t->kind == TTY_PTY)
		waitable_wake(&t->master_wait, EV_OUT | EV_WRNORM, 0);
	else
		tty_input_drained(t);
}

static answer_t tty_input(struct call *c, struct tty *t)
{
	run_discipline(t);
	return 0;
}

static answer_t tty_output_room(struct call *c, struct tty *t)
{
	tty_push(t);
	return 0;
}

static answer_t tty_hangup(struct call *c, struct tty *t)
{
	tty_hang_up(t);
	return 0;
}

/* --- read --- */
/* Copies what one read may have; *ended: a line (or EOF) was taken, so the call is over. */
static answer_t take_canonical(struct call *c, struct tty *t, struct uio *io, struct io_progress *p,
	bool *ended)
{
	u8 chunk[CHUNK];
	u32 n = 0, eof = 0;
	size_t copied;

	spin_lock(&t->obj.lock);
	while (n < CHUNK && p->done + n < io->total && t->read.head + n != t->canon_tail) {
		u32 at = ring_at(t->read.head + n, TTY_RING_BYTES);

		chunk[n] = t->read.data[at];
		if (bitmap_test(t->delimiter, at)) {
			*ended = true;
			eof = chunk[n] == 0;
			n += !eof;
			break;
		}
		n++;
	}
	/* Room for the line's bytes but not for its EOF mark: the mark alone must not become a read
	 * of 0 bytes next time. */
	if (!*ended && p->done + n == io->total && t->read.head + n != t->canon_tail) {
		u32 at = ring_at(t->read.head + n, TTY_RING_BYTES);

		if (bitmap_test(t->delimiter, at) && t->read.data[at] == 0)
			*ended = true, eof = 1;
	}
	copied = uio_copy_out(c, io, (size_t)p->done, chunk, n);
	if (copied || n == 0)
		call_effect(c);
	if (copied == n)
		t->read.head += n + eof;
	else
		t->read.head += (u32)copied;
	spin_unlock(&t->obj.lock);
	p->done += copied;
	call_effect_recorded(c);
	if (copied != n) {
		*ended = false;
		return uio_need(c, io, (size_t)p->done, true);
	}
	return 0;
}

/* termios(3): with MIN = 0 the time runs from the call on, else anew from each byte. */
static void time_limit(const struct tty *t, struct io_progress *p, bool took)
{
	u32 min = t->termios.cc[TTY_VMIN], time = t->termios.cc[TTY_VTIME];

	if (time && (min ? took : !p->byte_deadline))
		p->byte_deadline = time_monotonic_ns() + (ktime_t)time * 100 * NSEC_PER_MSEC;
}

static answer_t take_raw(struct call *c, struct tty *t, struct uio *io, struct io_progress *p)
{
	u8 chunk[CHUNK];
	size_t copied;
	u32 n = 0;

	spin_lock(&t->obj.lock);
	while (n < CHUNK && p->done + n < io->total && t->read.head + n != t->read.tail) {
		chunk[n] = t->read.data[ring_at(t->read.head + n, TTY_RING_BYTES)];
		n++;
	}
	copied = uio_copy_out(c, io, (size_t)p->done, chunk, n);
	if (copied)
		call_effect(c);
	t->read.head += (u32)copied;
	if (!l_flag(t, TTY_ICANON))
		t->canon_tail = t->read.tail;
	spin_unlock(&t->obj.lock);
	p->done += copied;
	time_limit(t, p, true);
	call_effect_recorded(c);
	return copied == n ? 0 : uio_need(c, io, (size_t)p->done, true);
}

static u32 readable_now(struct tty *t, bool *canonical)
{
	u32 n;

	spin_lock(&t->obj.lock);
	n = ldisc_readable_locked(t);
	*canonical = l_flag(t, TTY_ICANON);
	spin_unlock(&t->obj.lock);
	return n;
}

/* Non-canonical: is the read over with what it has? (termios(3): MIN and TIME) */
static bool raw_complete(const struct tty *t, const struct uio *io, const struct io_progress *p)
{
	u32 min = t->termios.cc[TTY_VMIN], time = t->termios.cc[TTY_VTIME];

	if (p->done == io->total || (min && p->done >= MIN((u64)min, (u64)io->total)))
		return true;
	if (!min && (p->done || !time))
		return true;
	return time && p->byte_deadline && time_monotonic_ns() >= p->byte_deadline;
}

static answer_t wait_input(struct call *c, struct tty *t, struct io_progress *p, bool canonical,
	u32 seq)
{
	if (!canonical) {
		time_limit(t, p, false);
		call_wait_deadline_again(c, p->byte_deadline ? p->byte_deadline : KTIME_MAX);
	}
	return call_wait1(c, &t->wait, EV_IN | EV_HUP, seq);
}

/* Bytes that were moved count more than why it ended. */
static answer_t done_or(const struct io_progress *p, answer_t a)
{
	return p->done ? (answer_t)p->done : a;
}

/* Nothing to take, or no room for it: the read is over, or waits. */
static answer_t read_blocked(struct call *c, struct file *file, struct tty *t, const struct uio *io,
	struct io_progress *p, bool canonical, u32 seq)
{
	if (canonical ? p->done > 0 : raw_complete(t, io, p))
		return (answer_t)p->done;
	if (t->kind == TTY_PTY && !t->master_open)
		return (answer_t)p->done; /* a line that was hung up reads as ended */
	if (file->flags & O_NONBLOCK)
		return done_or(p, -EAGAIN);
	if (call_interrupted(c))
		return done_or(p, -ERESTARTSYS);
	return wait_input(c, t, p, canonical, seq);
}

static answer_t read_slave(struct call *c, struct file *file, struct tty *t, struct uio *io,
	struct io_progress *p)
{
	bool canonical, ended = false;
	answer_t a;

	if (file_revoked(file))
		return (answer_t)p->done;
	a = tty_check_background(c, t, SIGTTIN);
	if (a)
		return done_or(p, a);
	for (;;) {
		u32 seq = waitable_seq(&t->wait);
		u32 n = readable_now(t, &canonical);

		if (!n || p->done == io->total)
			return read_blocked(c, file, t, io, p, canonical, seq);
		a = canonical ? take_canonical(c, t, io, p, &ended) : take_raw(c, t, io, p);
		if (a)
			return answer_is_kind(a) ? a : done_or(p, a);
		run_discipline(t); /* there is room in `read` again */
		if (canonical && (ended || p->done == io->total))
			return (answer_t)p->done;
	}
}

static answer_t read_master(struct call *c, struct file *file, struct tty *t, struct uio *io,
	struct io_progress *p)
{
	u32 seq = waitable_seq(&t->master_wait), n = 0, skip = 0;
	u8 chunk[CHUNK], status = 0;
	size_t copied;
	bool ended;

	spin_lock(&t->obj.lock);
	ended = !t->nr_open &&
		t->slave_seen; /* with the output: what the last slave wrote comes first */
	if (t->packet) {
		status = t->packet_status;
		chunk[n++] = status;
		skip = 1;
	}
	while (!status && n < CHUNK && n < io->total &&
		t->output.head + (n - skip) != t->output.tail) {
		chunk[n] = t->output.data[ring_at(t->output.head + (n - skip), TTY_RING_BYTES)];
		n++;
	}
	if (t->output_stopped && !status)
		n = skip;
	if (n > skip || status) {
		copied = uio_copy_out(c, io, 0, chunk, n);
		if (copied == n) {
			call_effect(c);
			t->output.head += n - skip;
			if (status)
				t->packet_status = 0;
		}
		spin_unlock(&t->obj.lock);
		if (copied != n)
			return uio_need(c, io, copied, true);
		waitable_wake(&t->wait, EV_OUT | EV_WRNORM, 0);
		return n;
	}
	spin_unlock(&t->obj.lock);
	if (ended) /* no slave is left: -EIO once all is read (pty(7)) */
		return -EIO;
	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &t->master_wait, EV_IN | EV_HUP, seq);
}

static answer_t tty_node_read(struct call *c, struct file *file, struct uio *io)
{
	struct io_progress *p = call_progress(c, struct io_progress);
	struct tty *t = line_of(file);

	if (!io->total)
		return 0;
	return is_master(file) ? read_master(c, file, t, io, p) : read_slave(c, file, t, io, p);
}

/* --- write --- */
static u32 write_chunk_locked(struct tty *t, bool master, const u8 *chunk, u32 n)
{
	u32 i;

	if (!master && t->kind == TTY_PTY &&
		t->output_stopped) /* as Linux's pty: a stopped line takes nothing */
		return 0;
	for (i = 0; i < n; i++) {
		if (master) {
			if (!tty_ring_room(&t->raw))
				break;
			tty_ring_put(&t->raw, chunk[i]);
		} else if (!output_byte_locked(t, chunk[i])) {
			break;
		}
	}
	return i;
}

/* One step of a write, and on its way; *full: the line took less than it was given, and has not
 * made room since. */
static answer_t write_chunk(struct call *c, struct tty *t, bool master, const struct uio *io,
	struct io_progress *p, bool *full)
{
	struct waitable *w = master ? &t->master_wait : &t->wait;
	u32 seq = waitable_seq(w), n = (u32)MIN(io->total - p->done, (u64)CHUNK), taken;
	u8 chunk[CHUNK];

	if (uio_copy_in(c, io, (size_t)p->done, chunk, n) != n)
		return uio_need(c, io, (size_t)p->done, false);
	spin_lock(&t->obj.lock);
	taken = write_chunk_locked(t, master, chunk, n);
	if (taken)
		call_effect(c);
	spin_unlock(&t->obj.lock);
	p->done += taken;
	call_effect_recorded(c);
	if (master)
		run_discipline(t);
	else
		output_kick(t);
	*full = taken < n && !(taken && waitable_seq(w) != seq);
	return 0;
}

static answer_t write_line(struct call *c, struct file *file, struct uio *io)
{
	struct io_progress *p = call_progress(c, struct io_progress);
	struct tty *t = line_of(file);
	bool master = is_master(file);
	answer_t a = master || !l_flag(t, TTY_TOSTOP) ? 0 : tty_check_background(c, t, SIGTTOU);

	if (a)
		return done_or(p, a);
	while (p->done < io->total) {
		struct waitable *w = master ? &t->master_wait : &t->wait;
		u32 seq = waitable_seq(w);
		bool full;

		if (file_revoked(file) || (t->kind == TTY_PTY && !master && !t->master_open))
			return done_or(p, -EIO);
		a = write_chunk(c, t, master, io, p, &full);
		if (a)
			return answer_is_kind(a) ? a : done_or(p, a);
		if (!full)
			continue;
		if (file->flags & O_NONBLOCK)
			return done_or(p, -EAGAIN);
		if (call_interrupted(c))
			return done_or(p, -ERESTARTSYS);
		if (waitable_seq(w) != seq)
			continue; /* room was made meanwhile */
		return call_wait1(c, w, EV_OUT | EV_HUP, seq);
	}
	return (answer_t)p->done;
}

static answer_t tty_node_write(struct call *c, struct file *file, struct uio *io)
{
	answer_t a = plant_handler(c, PLANT_PLACE_TTY);

	return unlikely(a) ? a : write_line(c, file, io);
}

static u32 master_ready_locked(const struct tty *t)
{
	bool told = t->packet && t->packet_status;
	u32 ready = 0;

	if (told || (tty_ring_used(&t->output) && !t->output_stopped))
		ready |= EV_IN | EV_RDNORM;
	if (told)
		ready |= EV_PRI;
	if (tty_ring_room(&t->raw))
		ready |= EV_OUT | EV_WRNORM;
	if (!t->nr_open && t->slave_seen)
		ready |= EV_HUP;
	return ready;
}

static u32 slave_ready_locked(struct tty *t)
{
	u32 ready = 0, min = 1;

	if (!l_flag(t, TTY_ICANON) && !t->termios.cc[TTY_VTIME])
		min = MAX(1u, (u32)t->termios.cc[TTY_VMIN]);
	if (ldisc_readable_locked(t) >= min)
		ready |= EV_IN | EV_RDNORM;
	if (tty_ring_room(&t->output) >= 256 && !(t->kind == TTY_PTY && t->output_stopped))
		ready |= EV_OUT | EV_WRNORM;
	return ready;
}

/* --- poll --- */
static answer_t tty_node_poll(struct call *c, struct file *file, struct poll_ask *ask)
{
	struct tty *t = line_of(file);
	bool master = is_master(file);
	u32 ready;

	poll_ask_add(ask, master ? &t->master_wait : &t->wait, EV_ANY);
	if (file_revoked(file))
		return EV_IN | EV_OUT | EV_HUP | EV_ERR | EV_RDNORM | EV_WRNORM;
	spin_lock(&t->obj.lock);
	ready = master ? master_ready_locked(t) : slave_ready_locked(t);
	spin_unlock(&t->obj.lock);
	return ready;
}

KABI_IMPLEMENT_AT(node, tty, .open = tty_node_open, .read = tty_node_read, .write = tty_node_write,
	.poll = tty_node_poll, .ioctl = tty_ioctl, .release = tty_node_release);
KABI_IMPLEMENT(tty, .input = tty_input, .output_room = tty_output_room, .hangup = tty_hangup);
