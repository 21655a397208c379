#pragma once
/*
 * Terminals (core/tty): lines, their rings and their ports; behaviour is tty/ (contracts `tty` and
 * `node`, slot tty). A pty pair is one line: the master end reads the line's output and writes its
 * input.
 */
#include <core/call.h>
#include <core/node.h>
#include <core/object.h>
#include <core/task.h>
#include <lib/ring.h>

/* Values of asm-generic/termbits.h; a personality of an architecture with others translates. */
#define TTY_NCCS 19
enum tty_cc {
	TTY_VINTR,
	TTY_VQUIT,
	TTY_VERASE,
	TTY_VKILL,
	TTY_VEOF,
	TTY_VTIME,
	TTY_VMIN,
	TTY_VSWTC,
	TTY_VSTART,
	TTY_VSTOP,
	TTY_VSUSP,
	TTY_VEOL,
	TTY_VREPRINT,
	TTY_VDISCARD,
	TTY_VWERASE,
	TTY_VLNEXT,
	TTY_VEOL2
};
#define TTY_IGNBRK  0x001u
#define TTY_BRKINT  0x002u
#define TTY_IGNPAR  0x004u
#define TTY_PARMRK  0x008u
#define TTY_INPCK   0x010u
#define TTY_ISTRIP  0x020u
#define TTY_INLCR   0x040u
#define TTY_IGNCR   0x080u
#define TTY_ICRNL   0x100u
#define TTY_IUCLC   0x200u
#define TTY_IXON    0x400u
#define TTY_IXANY   0x800u
#define TTY_IXOFF   0x1000u
#define TTY_IMAXBEL 0x2000u
#define TTY_IUTF8   0x4000u
#define TTY_OPOST   0x01u
#define TTY_OLCUC   0x02u
#define TTY_ONLCR   0x04u
#define TTY_OCRNL   0x08u
#define TTY_ONOCR   0x10u
#define TTY_ONLRET  0x20u
#define TTY_TABDLY  0x1800u
#define TTY_XTABS   0x1800u
#define TTY_ISIG    0x0001u
#define TTY_ICANON  0x0002u
#define TTY_ECHO    0x0008u
#define TTY_ECHOE   0x0010u
#define TTY_ECHOK   0x0020u
#define TTY_ECHONL  0x0040u
#define TTY_NOFLSH  0x0080u
#define TTY_TOSTOP  0x0100u
#define TTY_ECHOCTL 0x0200u
#define TTY_ECHOPRT 0x0400u
#define TTY_ECHOKE  0x0800u
#define TTY_IEXTEN  0x8000u
#define TTY_CBAUD   0x100fu
#define TTY_B38400  0x0fu
#define TTY_BOTHER  0x1000u
#define TTY_CSIZE   0x30u
#define TTY_CS8     0x30u
#define TTY_CSTOPB  0x40u
#define TTY_CREAD   0x80u
#define TTY_PARENB  0x100u
#define TTY_PARODD  0x200u
#define TTY_HUPCL   0x400u
#define TTY_CRTSCTS 0x80000000u

struct tty_termios { /* struct ktermios of the generic layout */
	u32 iflag, oflag, cflag, lflag;
	u8 line;
	u8 cc[TTY_NCCS];
	u32 ispeed, ospeed;
};
struct tty_winsize {
	u16 rows, columns, xpixel, ypixel;
};
#define TTY_RING_BYTES 4096u
/* Bytes between two ends under one lock, the line's: of lib/ring.h the indices and their arithmetic
 * (head: read so far, tail: written so far). Erasing takes the tail back, which no end but one
 * under the same lock may see. */
struct tty_ring {
	u32 head, tail;
	u8 data[TTY_RING_BYTES];
};
static inline u32 tty_ring_used(const struct tty_ring *r)
{
	return ring_used(r->head, r->tail);
}
static inline u32 tty_ring_room(const struct tty_ring *r)
{
	return ring_room(r->head, r->tail, TTY_RING_BYTES);
}
static inline void tty_ring_put(struct tty_ring *r, u8 b)
{
	r->data[ring_at(r->tail++, TTY_RING_BYTES)] = b;
}
static inline u8 tty_ring_get(struct tty_ring *r)
{
	return r->data[ring_at(r->head++, TTY_RING_BYTES)];
}

/* What the line said of a received byte. */
enum tty_said : u8 { TTY_SAID_NOTHING, TTY_SAID_BREAK, TTY_SAID_ERROR };
enum tty_kind : u8 { TTY_PORT, TTY_PTY };
struct component;
struct tty {
	struct object obj; /* lock: everything below but where stated */
	enum tty_kind kind;
	char name[16]; /* "ttyS0", "pts/3" */
	u32 rdev, index;
	struct component *component; /* TTY_PORT: a reference */
	u32 port;
	bool keeps_input, has_emergency; /* char_features of the driver */
	bool input_waits; /* bytes were left with the device for want of room in `raw` */
	bool line_errors; /* the driver says what the line said: raw_break and raw_error count */
	bool wants_configure; /* READ_ONCE: termios changed what the driver must know */
	u32 nr_lost;          /* overruns since the log told of them, last at lost_ns */
	ktime_t lost_ns;
	struct tty_termios termios;
	struct tty_winsize winsize;
	struct tty_ring raw; /* received, not yet through the discipline */
	word_t raw_break[TTY_RING_BYTES / (8 * sizeof(word_t))]; /* of the bytes in `raw` */
	word_t raw_error[TTY_RING_BYTES / (8 * sizeof(word_t))];
	struct tty_ring read;   /* through it */
	struct tty_ring output; /* to the device, or to the master */
	u32 log_end, push_end;  /* in `output`: behind the log's last line; what the driver is being
				   given */
	word_t delimiter[TTY_RING_BYTES /
			 (8 * sizeof(word_t))]; /* canonical: bytes of `read` that end a line */
	u32 canon_tail;                         /* canonical: bytes up to here may be read */
	u32 column, canon_column; /* of the output; where the current input line began */
	bool lnext, erasing, output_stopped, input_stopped;
	bool exclusive;
	bool packet;
	u8 packet_status; /* TIOCPKT_* not yet read by the master */
	/* pty */
	bool master_open, locked,
		slave_seen; /* a slave was open once: without one the master hangs up */
	u32 nr_open;        /* slave (or port) descriptions */
	u32 node_mode; /* of /dev/pts/N: kuid and kgid of the opener, then as chown and chmod say
			  (node_changed) */
	kuid_t node_uid;
	kgid_t node_gid;
	bool node_changed;
	struct pid *pgrp, *session; /* references */
	struct waitable wait;       /* slave end: EV_IN, EV_OUT, EV_HUP */
	struct waitable master_wait;
	struct deferred input, room;
	struct list_node all;
};
/* --- registry --- */
struct tty *tty_by_rdev(u32 rdev);       /* referenced; ports and slaves; nullptr */
struct tty *tty_console(void);           /* console=, referenced; nullptr: none yet */
struct tty *tty_of_task(struct task *t); /* the controlling terminal, referenced; nullptr */
bool tty_of_task_peek(struct task *t);
struct tty *tty_pty_create(int *error);
struct tty *tty_next(struct tty *after); /* referenced, drops after's */
/* Bytes from the device: into the raw ring, discipline queued. said: of each byte, or nullptr.
 * Context: thread. */
void tty_receive(struct tty *t, const u8 *data, const enum tty_said *said, u32 len);
/* Next byte of `raw`, and what the line said of it. Locks: the line's. */
u8 tty_raw_take_locked(struct tty *t, enum tty_said *said);
/* termios says other line parameters: told to the driver, at the latest by a deferred call.
 * Context: as tty_push. */
void tty_configure(struct tty *t);
/* Pushes output to the device as far as it takes it; never waits. Context: any thread context, no
 * lock held. */
void tty_push(struct tty *t);
/* There is room in `raw` again: fetches what the device kept. Context: as tty_push. */
void tty_input_drained(struct tty *t);
/* TIOCSWINSZ, or the device's own terminal: SIGWINCH to the foreground group if it is another. */
void tty_set_winsize(struct tty *t, const struct tty_winsize *size);
/* A line of the log into the output, whole with CR LF; false: there is no room for it now. */
bool tty_put_line(struct tty *t, const char *text, u32 len);
/* Drops the output that waits, but for lines of the log and what stands before them. Locks: the
 * line's. */
void tty_drop_output_locked(struct tty *t);
/* Before the machine stops: waits until the devices have what was written, at most a second each
 * (a stopped line keeps its output). Context: thread, no lock held. */
void tty_flush_all(void);
/* In a panic: bytes past the rings, and first what the output ring still holds. */
void tty_emergency_write(struct tty *t, const char *text, u32 len);
void tty_emergency_rest(struct tty *t);
/* Other end gone, or vhangup(2): revokes the tokens of the line's open files and wakes all; SIGHUP
 * and SIGCONT to the session leader and foreground group, which own the line no longer. */
void tty_hang_up(struct tty *t);
/* --- job control (core/tty/job.c); current is the caller --- */
/* Background access: 0, -EIO, or -ERESTARTSYS after the signal was sent (tty_ioctl(4), setpgid(2)).
 */
answer_t tty_check_background(struct call *c, struct tty *t, s32 signo);
/* open without O_NOCTTY, or TIOCSCTTY: 0, -EPERM. */
int tty_acquire(struct call *c, struct tty *t, bool steal);
int tty_give_up(struct call *c, struct tty *t); /* TIOCNOTTY */
/* master: asked through the pty's master, which any holder may (ioctl_tty(2)); else -ENOTTY unless
 * it is the caller's terminal. */
sword_t tty_get_pgrp(struct call *c, struct tty *t, bool master);
int tty_set_pgrp(struct call *c, struct tty *t, s32 pgrp);
sword_t tty_get_session(struct call *c, struct tty *t, bool master);
/* The leader of the session that may own t has ended (core/task/exit.c); t may be nullptr. */
void tty_session_ended(struct tty *t, struct pid *session);
/* Does the process group belong to the session? (core/task/session.c) */
bool pgrp_in_session(struct pid *pgrp, struct pid *session);
void tty_signal_foreground(struct tty *t, s32 signo);
extern const struct tty_termios tty_termios_default;
/* devpts (views/devpts): indices in use are ttys of kind TTY_PTY. */
struct tty *tty_pty_find(u32 index); /* referenced */
void tty_boot_init(void);
