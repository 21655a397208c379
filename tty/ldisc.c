/*
 * Input processing: canonical and raw input, echo, signals (POSIX.1-2017 11.1.5-11.1.9,
 * termios(3)), with Linux's choices where POSIX leaves them open. Everything here is a function of
 * the line; what must happen outside its lock is returned in `effects`. Theory in node.c.
 */
#include <lib/bitmap.h>
#include "tty_priv.h"

#define DISABLED 0 /* _POSIX_VDISABLE */

static bool is_cc(const struct tty *t, enum tty_cc which, u8 b)
{
	return b != DISABLED && t->termios.cc[which] == b;
}
static bool continuation(const struct tty *t, u8 b)
{
	return i_flag(t, TTY_IUTF8) && (b & 0xc0) == 0x80;
}
static u8 read_at(const struct tty *t, u32 i)
{
	return t->read.data[ring_at(i, TTY_RING_BYTES)];
}

static void echo_byte(struct tty *t, u8 b, struct effects *e)
{
	if (l_flag(t, TTY_ECHOCTL) && (b < 32 || b == 127) && b != '\t' && b != '\n') {
		output_raw_locked(t, '^');
		output_raw_locked(t, b ^ 0x40);
		t->column += 2;
	} else {
		output_byte_locked(t, b);
	}
	e->echoed = true;
}
static void echo(struct tty *t, u8 b, struct effects *e)
{
	if (l_flag(t, TTY_ECHO))
		echo_byte(t, b, e);
}

static void rub_out(struct tty *t, u32 columns, struct effects *e)
{
	while (columns--) {
		output_raw_locked(t, '\b');
		output_raw_locked(t, ' ');
		output_raw_locked(t, '\b');
		if (t->column)
			t->column--;
	}
	e->echoed = true;
}

/* Column after the unfinished line up to `end`: what a tab took is found by counting again. */
static u32 column_at(const struct tty *t, u32 end)
{
	u32 column = t->canon_column;

	for (u32 i = t->canon_tail; i != end; i++) {
		u8 b = read_at(t, i);

		if (b == '\t')
			column = (column | 7) + 1;
		else if ((b < 32 || b == 127) && l_flag(t, TTY_ECHOCTL))
			column += 2;
		else if (b >= 32 && b != 127 && !continuation(t, b))
			column++;
	}
	return column;
}

static void erase_one(struct tty *t, struct effects *e)
{
	u32 before = t->column;
	u8 b;

	do
		b = read_at(t, --t->read.tail);
	while (continuation(t, b) && t->read.tail != t->canon_tail);
	if (!l_flag(t, TTY_ECHO))
		return;
	if (l_flag(t, TTY_ECHOPRT)) {
		if (!t->erasing) {
			output_raw_locked(t, '\\');
			t->erasing = true;
		}
		echo_byte(t, b, e);
	} else if (!l_flag(t, TTY_ECHOE)) {
		echo_byte(t, t->termios.cc[TTY_VERASE], e);
	} else {
		u32 after = column_at(t, t->read.tail);

		rub_out(t, before > after ? before - after : 0, e);
	}
}

static bool word_byte(u8 b)
{
	return (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') ||
	       b == '_' || b >= 128;
}

static void erase_word(struct tty *t, struct effects *e)
{
	bool seen = false;

	while (t->read.tail != t->canon_tail) {
		bool word = word_byte(read_at(t, t->read.tail - 1));

		if (seen && !word)
			break;
		seen |= word;
		erase_one(t, e);
	}
}

static void kill_line(struct tty *t, struct effects *e)
{
	if (l_flag(t, TTY_ECHOKE) && l_flag(t, TTY_ECHOE) && l_flag(t, TTY_ECHO)) {
		while (t->read.tail != t->canon_tail)
			erase_one(t, e);
		return;
	}
	t->read.tail = t->canon_tail;
	if (!l_flag(t, TTY_ECHO))
		return;
	echo_byte(t, t->termios.cc[TTY_VKILL], e);
	if (l_flag(t, TTY_ECHOK))
		output_byte_locked(t, '\n');
}

static void reprint(struct tty *t, struct effects *e)
{
	echo_byte(t, t->termios.cc[TTY_VREPRINT], e);
	output_byte_locked(t, '\n');
	t->canon_column = t->column;
	for (u32 i = t->canon_tail; i != t->read.tail; i++)
		echo_byte(t, read_at(t, i), e);
}

static void end_erasing(struct tty *t, struct effects *e)
{
	if (t->erasing) {
		output_raw_locked(t, '/');
		t->erasing = false;
		e->echoed = true;
	}
}

/* May the next byte come? When the ring is full it waits until the reader has made room; only a
 * line that fills the ring alone, so that no reader can, loses bytes. */
bool ldisc_accepts_locked(const struct tty *t)
{
	u32 room = tty_ring_room(&t->read), most = i_flag(t, TTY_PARMRK) ? 3 : 1;

	return room > most || (room >= most && !l_flag(t, TTY_ICANON)) ||
	       (room && l_flag(t, TTY_ICANON) && t->canon_tail == t->read.head);
}

/* One byte into the read ring; canonical lines keep one place for their end. */
static void store(struct tty *t, u8 b, bool end_of_line, struct effects *e)
{
	u32 room = tty_ring_room(&t->read);

	if (!room || (room == 1 && l_flag(t, TTY_ICANON) && !end_of_line)) {
		if (i_flag(t, TTY_IMAXBEL)) {
			output_raw_locked(t, 7);
			e->echoed = true;
		}
		return;
	}
	bitmap_clear(t->delimiter, ring_at(t->read.tail, TTY_RING_BYTES));
	if (end_of_line)
		bitmap_set(t->delimiter, ring_at(t->read.tail, TTY_RING_BYTES));
	tty_ring_put(&t->read, b);
	if (end_of_line) {
		t->canon_tail = t->read.tail;
		t->canon_column = t->column;
	}
	if (end_of_line || !l_flag(t, TTY_ICANON))
		e->readable = true;
}

/* A received byte, not a mark: with PARMRK one that looks like the beginning of a mark is doubled.
 */
static void store_received(struct tty *t, u8 b, bool end_of_line, struct effects *e)
{
	if (b == 0xff && i_flag(t, TTY_PARMRK))
		store(t, b, false, e);
	store(t, b, end_of_line, e);
}

static void signal_line(struct tty *t, s32 signo, struct effects *e)
{
	e->signo = signo;
	if (l_flag(t, TTY_NOFLSH))
		return;
	ldisc_flush_input_locked(t);
	if (t->kind == TTY_PORT) /* what a pty's slave wrote has reached the master already, and
				    stays */
		tty_drop_output_locked(t);
	e->flushed = true;
}

static bool signal_byte(struct tty *t, u8 b, struct effects *e)
{
	s32 signo = is_cc(t, TTY_VINTR, b)   ? SIGINT
		    : is_cc(t, TTY_VQUIT, b) ? SIGQUIT
		    : is_cc(t, TTY_VSUSP, b) ? SIGTSTP
					     : 0;

	if (!signo)
		return false;
	signal_line(t, signo, e);
	if (i_flag(t, TTY_IXON))
		t->output_stopped = false;
	echo(t, b, e);
	return true;
}

/* Canonical editing; true: the byte was taken. */
static bool edit_byte(struct tty *t, u8 b, struct effects *e)
{
	bool extended = l_flag(t, TTY_IEXTEN);

	if (is_cc(t, TTY_VERASE, b) || is_cc(t, TTY_VKILL, b) ||
		(extended && is_cc(t, TTY_VWERASE, b))) {
		if (t->read.tail == t->canon_tail)
			return true;
		if (is_cc(t, TTY_VERASE, b))
			erase_one(t, e);
		else if (is_cc(t, TTY_VKILL, b))
			kill_line(t, e);
		else
			erase_word(t, e);
		return true;
	}
	if (extended && is_cc(t, TTY_VLNEXT, b)) {
		t->lnext = true;
		end_erasing(t, e);
		if (l_flag(t, TTY_ECHO) && l_flag(t, TTY_ECHOCTL)) {
			output_raw_locked(t, '^');
			output_raw_locked(t, '\b');
			e->echoed = true;
		}
		return true;
	}
	if (extended && is_cc(t, TTY_VREPRINT, b) && l_flag(t, TTY_ECHO)) {
		end_erasing(t, e);
		reprint(t, e);
		return true;
	}
	if (b == '\n') {
		end_erasing(t, e);
		if (l_flag(t, TTY_ECHO) || l_flag(t, TTY_ECHONL)) {
			output_byte_locked(t, '\n');
			e->echoed = true;
		}
		store(t, b, true, e);
		return true;
	}
	if (is_cc(t, TTY_VEOF, b)) {
		store(t, DISABLED, true, e); /* ends the line, is not read: ldisc's reader drops a 0
						that is a delimiter */
		return true;
	}
	if (is_cc(t, TTY_VEOL, b) || (extended && is_cc(t, TTY_VEOL2, b))) {
		end_erasing(t, e);
		echo(t, b, e);
		store_received(t, b, true, e);
		return true;
	}
	return false;
}

/* A byte whose parity or frame was wrong, or a break (0): termios(3). */
static void store_marked(struct tty *t, u8 b, struct effects *e)
{
	if (i_flag(t, TTY_PARMRK)) {
		store(t, 0xff, false, e);
		store(t, 0, false, e);
		store(t, b, false, e);
	} else {
		store(t, 0, false, e);
	}
}

/* What the line said of the byte; true: the byte was taken. As with Linux's drivers, which pass on
 * only what termios asks for, an error without INPCK and a break without IGNBRK, BRKINT and PARMRK
 * are bytes like any other. */
static bool line_said(struct tty *t, u8 b, enum tty_said said, struct effects *e)
{
	switch (said) {
	case TTY_SAID_NOTHING:
		return false;
	case TTY_SAID_BREAK:
		if (!i_flag(t, TTY_IGNBRK | TTY_BRKINT | TTY_PARMRK))
			return false;
		t->lnext = false;
		if (i_flag(t, TTY_IGNBRK))
			return true;
		if (i_flag(t, TTY_BRKINT))
			signal_line(t, SIGINT, e);
		else
			store_marked(t, 0, e);
		return true;
	case TTY_SAID_ERROR:
		if (!i_flag(t, TTY_INPCK))
			return false;
		t->lnext = false;
		if (!i_flag(t, TTY_IGNPAR))
			store_marked(t, b, e);
		return true;
	}
	return false;
}

static bool flow_byte(struct tty *t, u8 b, struct effects *e)
{
	if (!i_flag(t, TTY_IXON))
		return false;
	if (is_cc(t, TTY_VSTART, b)) {
		t->output_stopped = false;
		e->echoed = true; /* pushes what waited */
		return true;
	}
	if (is_cc(t, TTY_VSTOP, b)) {
		t->output_stopped = true;
		return true;
	}
	return false;
}

void ldisc_input_locked(struct tty *t, u8 b, enum tty_said said, struct effects *e)
{
	if (unlikely(said) && line_said(t, b, said, e))
		return;
	if (i_flag(t, TTY_ISTRIP))
		b &= 0x7f;
	if (i_flag(t, TTY_IUCLC) && l_flag(t, TTY_IEXTEN) && b >= 'A' && b <= 'Z')
		b = (u8)(b + 32);
	if (t->lnext) {
		t->lnext = false;
		echo(t, b, e);
		store_received(t, b, false, e);
		return;
	}
	if (flow_byte(t, b, e))
		return;
	if (t->output_stopped && i_flag(t, TTY_IXON) && i_flag(t, TTY_IXANY)) {
		t->output_stopped = false;
		e->echoed = true;
	}
	if (l_flag(t, TTY_ISIG) && signal_byte(t, b, e))
		return;
	if (b == '\r') {
		if (i_flag(t, TTY_IGNCR))
			return;
		if (i_flag(t, TTY_ICRNL))
			b = '\n';
	} else if (b == '\n' && i_flag(t, TTY_INLCR)) {
		b = '\r';
	}
	if (l_flag(t, TTY_ICANON)) {
		if (edit_byte(t, b, e))
			return;
		end_erasing(t, e);
		if (l_flag(t, TTY_ECHO) && t->read.tail == t->canon_tail)
			t->canon_column = t->column;
	}
	echo(t, b, e);
	store_received(t, b, false, e);
}

u32 ldisc_readable_locked(const struct tty *t)
{
	return l_flag(t, TTY_ICANON) ? t->canon_tail - t->read.head : tty_ring_used(&t->read);
}

void ldisc_mode_changed_locked(struct tty *t, bool was_canonical)
{
	bool canonical = l_flag(t, TTY_ICANON);

	if (canonical == was_canonical)
		return;
	/* Both ways what is in the ring stays readable: entering canonical mode it counts as one
	 * line (Linux n_tty_set_termios). */
	for (u32 i = t->read.head; i != t->read.tail; i++)
		bitmap_clear(t->delimiter, ring_at(i, TTY_RING_BYTES));
	if (canonical && t->read.tail != t->read.head)
		bitmap_set(t->delimiter, ring_at(t->read.tail - 1, TTY_RING_BYTES));
	t->canon_tail = t->read.tail;
	t->canon_column = t->column;
	t->erasing = t->lnext = false;
}

void ldisc_flush_input_locked(struct tty *t)
{
	t->read.head = t->read.tail = t->canon_tail;
	t->lnext = t->erasing = false;
}

void ldisc_apply(struct tty *t, const struct effects *e)
{
	if (e->signo)
		tty_signal_foreground(t, e->signo);
	if (e->readable)
		waitable_wake(&t->wait, EV_IN | EV_RDNORM, 0);
	if (e->flushed)
		waitable_wake(&t->wait, EV_OUT | EV_WRNORM, 0);
	if (e->echoed)
		output_kick(t);
}
