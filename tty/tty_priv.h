#pragma once
/* Shared by the files of the tty module. Functions named *_locked: the line's lock is held. */
#include <core/tty.h>

/* What input made happen and the caller does after unlocking. */
struct effects {
	s32 signo;     /* to the foreground group */
	bool readable; /* wake readers */
	bool echoed;   /* output was added */
	bool flushed;
	bool unthrottled;
};
static inline bool l_flag(const struct tty *t, u32 f)
{
	return t->termios.lflag & f;
}
static inline bool i_flag(const struct tty *t, u32 f)
{
	return t->termios.iflag & f;
}
/* ldisc.c */
void ldisc_input_locked(struct tty *t, u8 b, enum tty_said said, struct effects *e);
/* Bytes that read(2) may have now: canonical: complete lines; raw: all. */
u32 ldisc_readable_locked(const struct tty *t);
bool ldisc_accepts_locked(const struct tty *t);
/* A change of ICANON: what was typed becomes readable. */
void ldisc_mode_changed_locked(struct tty *t, bool was_canonical);
void ldisc_flush_input_locked(struct tty *t);
void ldisc_apply(struct tty *t, const struct effects *e);
/* output.c: one byte through OPOST into the output ring; false: no room, nothing done. */
bool output_byte_locked(struct tty *t, u8 b);
void output_raw_locked(struct tty *t, u8 b);
/* After output was added, lock released: to the driver or the master. */
void output_kick(struct tty *t);
/* ioctl.c */
answer_t tty_ioctl(struct call *c, struct file *file, u32 command, u64 argument);
static inline bool is_master(const struct file *f)
{
	return f->view_version == 1; /* set at open of ptmx */
}
static inline struct tty *line_of(const struct file *f)
{
	return container_of((struct object *)f->obj.body, struct tty, obj);
}
