/* Output processing: OPOST of POSIX.1-2017 11.2.3. Theory in node.c. */
#include "tty_priv.h"

void output_raw_locked(struct tty *t, u8 b)
{
	if (tty_ring_room(&t->output))
		tty_ring_put(&t->output, b);
}

static void newline_locked(struct tty *t, u32 o)
{
	if (o & TTY_ONLRET)
		t->column = 0;
	if (o & TTY_ONLCR) {
		tty_ring_put(&t->output, '\r');
		t->column = 0;
	}
	tty_ring_put(&t->output, '\n');
	t->canon_column = t->column;
}

static void return_locked(struct tty *t, u32 o)
{
	if (o & TTY_ONOCR && !t->column)
		return;
	if (o & TTY_OCRNL) {
		if (o & TTY_ONLRET)
			t->column = 0;
		tty_ring_put(&t->output, '\n');
		return;
	}
	t->column = t->canon_column = 0;
	tty_ring_put(&t->output, '\r');
}

/* How many bytes `b` becomes, at most 8 (a tab). */
bool output_byte_locked(struct tty *t, u8 b)
{
	u32 o = t->termios.oflag, room = tty_ring_room(&t->output), spaces;

	if (room < (o & TTY_OPOST ? 8u : 1u))
		return false;
	if (!(o & TTY_OPOST)) {
		tty_ring_put(&t->output, b);
		return true;
	}
	switch (b) {
	case '\n':
		newline_locked(t, o);
		return true;
	case '\r':
		return_locked(t, o);
		return true;
	case '\t':
		spaces = 8 - (t->column & 7);
		t->column += spaces;
		if ((o & TTY_TABDLY) == TTY_XTABS) {
			while (spaces--)
				tty_ring_put(&t->output, ' ');
			return true;
		}
		break;
	case '\b':
		if (t->column)
			t->column--;
		break;
	default:
		if (o & TTY_OLCUC && b >= 'a' && b <= 'z')
			b = (u8)(b - 32);
		if (b >= 32 && b != 127 && !(i_flag(t, TTY_IUTF8) && (b & 0xc0) == 0x80))
			t->column++;
		break;
	}
	tty_ring_put(&t->output, b);
	return true;
}

void output_kick(struct tty *t)
{
	if (t->kind == TTY_PTY)
		waitable_wake(&t->master_wait, EV_IN | EV_RDNORM, 0);
	else
		tty_push(t);
}
