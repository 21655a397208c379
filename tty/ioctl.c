/* Terminal ioctls: ioctl_tty(2). Numbers of asm-generic/ioctls.h. Theory in node.c. */
#include <core/component.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "tty_priv.h"

#define TCGETS             0x5401u
#define TCSETS             0x5402u
#define TCSETSW            0x5403u
#define TCSETSF            0x5404u
#define TCSBRK             0x5409u
#define TCXONC             0x540Au
#define TCFLSH             0x540Bu
#define TIOCEXCL           0x540Cu
#define TIOCNXCL           0x540Du
#define TIOCSCTTY          0x540Eu
#define TIOCGPGRP          0x540Fu
#define TIOCSPGRP          0x5410u
#define TIOCOUTQ           0x5411u
#define TIOCSTI            0x5412u
#define TIOCGWINSZ         0x5413u
#define TIOCSWINSZ         0x5414u
#define FIONREAD           0x541Bu
#define TIOCPKT            0x5420u
#define TIOCNOTTY          0x5422u
#define TIOCSETD           0x5423u
#define TIOCGETD           0x5424u
#define TCSBRKP            0x5425u
#define TIOCGSID           0x5429u
#define TCGETS2            0x802C542Au
#define TCSETS2            0x402C542Bu
#define TCSETSW2           0x402C542Cu
#define TCSETSF2           0x402C542Du
#define TIOCGPTN           0x80045430u
#define TIOCSPTLCK         0x40045431u
#define TIOCGDEV           0x80045432u
#define TIOCGPKT           0x80045438u
#define TIOCGPTPEER        0x5441u
#define TIOCGPTLCK         0x80045439u
#define TIOCGEXCL          0x80045440u
#define TIOCPKT_FLUSHREAD  1u
#define TIOCPKT_FLUSHWRITE 2u
#define TIOCPKT_STOP       4u
#define TIOCPKT_START      8u
#define TIOCPKT_NOSTOP     16u
#define TIOCPKT_DOSTOP     32u

/* struct termios and struct termios2 of asm-generic/termbits.h */
struct user_termios2 {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[TTY_NCCS];
	u32 ispeed, ospeed;
};
#define TERMIOS1_BYTES offsetof(struct user_termios2, ispeed)
static_assert(sizeof(struct user_termios2) == 44 && TERMIOS1_BYTES == 36);

static answer_t get_termios(struct call *c, struct tty *t, u64 user, bool two)
{
	struct user_termios2 u = {};

	spin_lock(&t->obj.lock);
	u.iflag = t->termios.iflag;
	u.oflag = t->termios.oflag;
	u.cflag = t->termios.cflag;
	u.lflag = t->termios.lflag;
	u.line = t->termios.line;
	memcpy(u.cc, t->termios.cc, sizeof(u.cc));
	u.ispeed = t->termios.ispeed;
	u.ospeed = t->termios.ospeed;
	spin_unlock(&t->obj.lock);
	return call_copy_out(c, (vaddr_t)user, &u, two ? sizeof(u) : TERMIOS1_BYTES);
}

/* TCSETSW and TCSETSF wait until the output is written. */
static answer_t drain(struct call *c, struct tty *t)
{
	u32 seq = waitable_seq(&t->wait), used;

	if (t->kind == TTY_PTY) /* output is the master's to read: Linux's pty driver reports
				   nothing left to drain */
		return 0;
	tty_push(t);
	spin_lock(&t->obj.lock);
	used = tty_ring_used(&t->output);
	spin_unlock(&t->obj.lock);
	if (!used)
		return 0;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &t->wait, EV_OUT | EV_HUP, seq);
}

/* Bits a second of a B* value (asm-generic/termbits.h). */
static u32 rate_of(u32 cbaud, u32 other)
{
	static const u32 low[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800,
		9600, 19200, 38400};
	static const u32 high[] = {57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000,
		1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000};
	u32 n = cbaud & 15;

	if (!(cbaud & TTY_BOTHER))
		return low[n];
	return n ? high[n - 1] : other;
}

/* Speeds as c_cflag says; what only BOTHER says comes with struct termios2. */
static void take_speeds(struct tty_termios *t, const struct user_termios2 *u, bool two)
{
	u32 in = t->cflag >> 16 & TTY_CBAUD;

	t->ospeed = rate_of(t->cflag & TTY_CBAUD, two ? u->ospeed : t->ospeed);
	t->ispeed = in ? rate_of(in, two ? u->ispeed : t->ispeed) : t->ospeed;
}

static answer_t set_termios(struct call *c, struct tty *t, u64 user, bool two, bool wait,
	bool flush)
{
	struct user_termios2 u = {};
	bool was_canonical, was_ixon, ixon, line_changed;
	u32 cflag, speed;
	answer_t a = tty_check_background(c, t, SIGTTOU);

	if (!a && wait)
		a = drain(c, t);
	if (!a)
		a = call_copy_in(c, &u, (vaddr_t)user, two ? sizeof(u) : TERMIOS1_BYTES);
	if (a)
		return a;
	spin_lock(&t->obj.lock);
	call_effect(c);
	was_canonical = l_flag(t, TTY_ICANON);
	was_ixon = i_flag(t, TTY_IXON);
	cflag = t->termios.cflag;
	speed = t->termios.ospeed;
	t->termios.iflag = u.iflag;
	t->termios.oflag = u.oflag;
	t->termios.cflag = u.cflag;
	if (t->kind == TTY_PTY) /* it carries bytes: Linux's pty driver says so too */
		t->termios.cflag = (u.cflag & ~(TTY_CSIZE | TTY_PARENB)) | TTY_CS8 | TTY_CREAD;
	t->termios.lflag = u.lflag;
	t->termios.line = u.line;
	memcpy(t->termios.cc, u.cc, sizeof(u.cc));
	take_speeds(&t->termios, &u, two);
	line_changed = t->termios.cflag != cflag || t->termios.ospeed != speed;
	if (flush)
		ldisc_flush_input_locked(t);
	ldisc_mode_changed_locked(t, was_canonical);
	ixon = i_flag(t, TTY_IXON);
	if (was_ixon && !ixon)
		t->output_stopped = false;
	if (t->packet && was_ixon != ixon) {
		t->packet_status &= (u8) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
		t->packet_status |= ixon ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
	}
	spin_unlock(&t->obj.lock);
	if (line_changed && t->kind == TTY_PORT)
		tty_configure(t);
	waitable_wake(&t->wait, EV_IN | EV_OUT, 0);
	waitable_wake(&t->master_wait, EV_IN | EV_PRI, 0);
	return 0;
}

static answer_t set_winsize(struct call *c, struct tty *t, u64 user)
{
	struct tty_winsize w;
	answer_t a = call_copy_in(c, &w, (vaddr_t)user, sizeof(w));

	if (a)
		return a;
	call_effect(c);
	tty_set_winsize(t, &w);
	return 0;
}

static answer_t out_u32(struct call *c, u64 user, u32 v)
{
	return call_copy_out(c, (vaddr_t)user, &v, sizeof(v));
}

static answer_t flush(struct tty *t, bool master, u64 which)
{
	if (which > 2)
		return -EINVAL;
	spin_lock(&t->obj.lock);
	if (which == 0 || which == 2) { /* TCIFLUSH */
		if (master)
			t->output.head = t->output.tail;
		else
			ldisc_flush_input_locked(t);
		t->packet_status |= t->packet && !master ? TIOCPKT_FLUSHREAD : 0;
	}
	if (which == 1 || which == 2) { /* TCOFLUSH */
		if (master)
			ldisc_flush_input_locked(t);
		else if (t->kind == TTY_PORT) /* a pty's output is with its master, as on Linux */
			tty_drop_output_locked(t);
		t->packet_status |= t->packet && !master ? TIOCPKT_FLUSHWRITE : 0;
	}
	spin_unlock(&t->obj.lock);
	waitable_wake(&t->wait, EV_OUT | EV_WRNORM, 0);
	waitable_wake(&t->master_wait, EV_IN | EV_PRI, 0);
	return 0;
}

static answer_t flow(struct tty *t, u64 what)
{
	if (what > 3)
		return -EINVAL;
	if (what < 2) { /* TCOOFF, TCOON */
		spin_lock(&t->obj.lock);
		t->output_stopped = what == 0;
		if (t->packet)
			t->packet_status = what == 0 ? TIOCPKT_STOP : TIOCPKT_START;
		spin_unlock(&t->obj.lock);
	} else { /* TCIOFF, TCION: send the byte */
		u8 b = t->termios.cc[what == 2 ? TTY_VSTOP : TTY_VSTART];

		spin_lock(&t->obj.lock);
		if (b)
			output_raw_locked(t, b);
		spin_unlock(&t->obj.lock);
	}
	output_kick(t);
	return 0;
}

/* The slave end by its name in /dev/pts: ioctl_tty(2). */
static answer_t open_peer(struct call *c, struct tty *t, u32 flags)
{
	struct open_request request = {};
	char path[32];
	answer_t a;

	a = call_path_set(c, 0, path, (u32)snprintf(path, sizeof(path), "/dev/%s", t->name));
	if (!a)
		a = vfs_open_kernel(SLOT(VFS), c, 0, flags & (O_RDWR | O_NOCTTY | O_NONBLOCK),
			&request);
	if (a < 0)
		return a;
	a = call_install(c, request.file, flags & O_CLOEXEC);
	if (a < 0)
		file_put(request.file);
	return a;
}

static answer_t pty_ioctl(struct call *c, struct tty *t, bool master, u32 command, u64 argument)
{
	s32 v;
	answer_t a;

	if (t->kind != TTY_PTY || !master)
		return -ENOTTY;
	switch (command) {
	case TIOCGPTPEER:
		return open_peer(c, t, (u32)argument);
	case TIOCGPTN:
		return out_u32(c, argument, t->index);
	case TIOCGPTLCK:
		return out_u32(c, argument, t->locked);
	case TIOCGPKT:
		return out_u32(c, argument, t->packet);
	case TIOCSPTLCK:
	case TIOCPKT:
		a = call_copy_in(c, &v, (vaddr_t)argument, sizeof(v));
		if (a)
			return a;
		call_effect(c);
		spin_lock(&t->obj.lock);
		if (command == TIOCSPTLCK)
			t->locked = v != 0;
		else if (t->packet != (v != 0)) {
			t->packet = v != 0;
			t->packet_status = 0;
		}
		spin_unlock(&t->obj.lock);
		return 0;
	default:
		return -ENOTTY;
	}
}

static answer_t job_ioctl(struct call *c, struct tty *t, bool master, u32 command, u64 argument)
{
	sword_t n;
	s32 v;
	answer_t a;

	switch (command) {
	case TIOCSCTTY:
		return tty_acquire(c, t, argument == 1);
	case TIOCNOTTY:
		return tty_give_up(c, t);
	case TIOCGPGRP:
	case TIOCGSID:
		n = command == TIOCGPGRP ? tty_get_pgrp(c, t, master)
					 : tty_get_session(c, t, master);
		return n < 0 ? n : out_u32(c, argument, (u32)n);
	default: /* TIOCSPGRP */
		a = call_copy_in(c, &v, (vaddr_t)argument, sizeof(v));
		return a ? a : tty_set_pgrp(c, t, v);
	}
}

static answer_t count(struct call *c, struct tty *t, bool master, u32 command, u64 argument)
{
	u32 n;

	spin_lock(&t->obj.lock);
	if (command == FIONREAD)
		n = master ? tty_ring_used(&t->output) : ldisc_readable_locked(t);
	else
		n = tty_ring_used(&t->output);
	spin_unlock(&t->obj.lock);
	return out_u32(c, argument, n);
}

static answer_t set_exclusive(struct tty *t, bool on)
{
	spin_lock(&t->obj.lock);
	t->exclusive = on;
	spin_unlock(&t->obj.lock);
	return 0;
}

/* What drops, stops or drains bytes: the foreground's business. */
static answer_t line_ioctl(struct call *c, struct tty *t, bool master, u32 command, u64 argument)
{
	answer_t a = master ? 0 : tty_check_background(c, t, SIGTTOU);

	if (a)
		return a;
	if (command == TCSBRK || command == TCSBRKP)
		return drain(c,
			t); /* a break itself: no port here can send one that anybody hears */
	call_effect(c);
	return command == TCFLSH ? flush(t, master, argument) : flow(t, argument);
}

answer_t tty_ioctl(struct call *c, struct file *file, u32 command, u64 argument)
{
	struct tty *t = line_of(file);
	bool master = is_master(file);

	if (file_revoked(file))
		return command == TIOCSPGRP ? -ENOTTY : -EIO;
	switch (command) {
	case TCGETS:
	case TCGETS2:
		return get_termios(c, t, argument, command == TCGETS2);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_termios(c, t, argument, false, command != TCSETS, command == TCSETSF);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_termios(c, t, argument, true, command != TCSETS2, command == TCSETSF2);
	case TIOCGWINSZ:
		return call_copy_out(c, (vaddr_t)argument, &t->winsize, sizeof(t->winsize));
	case TIOCSWINSZ:
		return set_winsize(c, t, argument);
	case TIOCSCTTY:
	case TIOCNOTTY:
	case TIOCGPGRP:
	case TIOCSPGRP:
	case TIOCGSID:
		return job_ioctl(c, t, master, command, argument);
	case FIONREAD:
	case TIOCOUTQ:
		return count(c, t, master, command, argument);
	case TCFLSH:
	case TCXONC:
	case TCSBRK:
	case TCSBRKP:
		return line_ioctl(c, t, master, command, argument);
	case TIOCEXCL:
	case TIOCNXCL:
		call_effect(c);
		return set_exclusive(t, command == TIOCEXCL);
	case TIOCGEXCL:
		return out_u32(c, argument, t->exclusive);
	case TIOCGETD:
		return out_u32(c, argument, 0); /* N_TTY */
	case TIOCSETD:
		return -EINVAL;
	case TIOCGDEV:
		return out_u32(c, argument, DEV_MAJOR(t->rdev) << 8 | DEV_MINOR(t->rdev));
	case TIOCSTI:
		return -EIO; /* Linux 6.12 without CONFIG_LEGACY_TIOCSTI */
	default:
		return pty_ioctl(c, t, master, command, argument);
	}
}
