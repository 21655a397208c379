/* What the line says of received bytes (breaks, wrong parity), through core's ring and the
 * discipline: termios(3). A pty's line plays the serial port: the test is its driver. */
#include <core/node.h>
#include <core/tty.h>
#include <host_test.h>

#define AT_FDCWD   (-100)
#define TCGETS     0x5401u
#define TCSETS     0x5402u
#define TIOCGPTN   0x80045430u
#define TIOCSPTLCK 0x40045431u

struct user_termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[TTY_NCCS];
};
static sword_t master, slave;
static struct tty *line;
static vaddr_t page;

static void open_line(void)
{
	char name[32];
	u32 zero = 0;

	page = user_alloc(PAGE_BYTES);
	sys(SYS_mkdirat, AT_FDCWD, ustr("/dev"), 0755);
	sys(SYS_mount, ustr("dev"), ustr("/dev"), ustr("devtmpfs"), 0, 0);
	sys(SYS_mkdirat, AT_FDCWD, ustr("/dev/pts"), 0755);
	sys(SYS_mount, ustr("pts"), ustr("/dev/pts"), ustr("devpts"), 0, 0);
	master = sys(SYS_openat, AT_FDCWD, ustr("/dev/ptmx"), O_RDWR | O_NOCTTY);
	CHECK_EQ(sys(SYS_ioctl, master, TIOCGPTN, page), 0);
	line = tty_pty_find(user_u32(page));
	snprintf(name, sizeof(name), "/dev/pts/%u", user_u32(page));
	user_put(page, &zero, sizeof(zero));
	CHECK_EQ(sys(SYS_ioctl, master, TIOCSPTLCK, page), 0);
	slave = sys(SYS_openat, AT_FDCWD, ustr(name), O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(master >= 0 && slave >= 0 && line);
	spin_lock(&line->obj.lock);
	line->line_errors = true;
	spin_unlock(&line->obj.lock);
}

static void close_line(void)
{
	object_put(&line->obj);
	CHECK_EQ(sys(SYS_close, slave), 0);
	CHECK_EQ(sys(SYS_close, master), 0);
}

static void set_flags(u32 iflag, u32 lflag)
{
	struct user_termios t;

	CHECK_EQ(sys(SYS_ioctl, slave, TCGETS, page), 0);
	user_get(&t, page, sizeof(t));
	t.iflag = iflag;
	t.lflag = lflag;
	t.oflag = 0;
	user_put(page, &t, sizeof(t));
	CHECK_EQ(sys(SYS_ioctl, slave, TCSETS, page), 0);
}

static u32 raw_used(void)
{
	u32 n;

	spin_lock(&line->obj.lock);
	n = tty_ring_used(&line->raw);
	spin_unlock(&line->obj.lock);
	return n;
}

/* Until the deferred call has taken all, or all that finds room. */
static void settle(u32 left)
{
	const struct {
		s64 seconds, nanoseconds;
	} some = {0, 1000000};

	user_put(page, &some, sizeof(some));
	for (u32 i = 0; i < 2000 && raw_used() > left; i++)
		sys(SYS_nanosleep, page, 0);
}

/* In `text` a break is '!', a byte with a wrong parity stands behind a '~'. */
static void feed(const char *text, u32 len)
{
	enum tty_said said[64];
	u8 bytes[64];
	u32 n = 0;

	for (u32 i = 0; i < len; i++, n++) {
		said[n] = text[i] == '!'   ? TTY_SAID_BREAK
			  : text[i] == '~' ? TTY_SAID_ERROR
					   : TTY_SAID_NOTHING;
		if (said[n] == TTY_SAID_ERROR)
			i++;
		bytes[n] = said[n] == TTY_SAID_BREAK ? 0 : (u8)text[i];
	}
	tty_receive(line, bytes, said, n);
	settle(0);
}

#define CASE_MAX 24
struct said_case {
	u32 iflag, lflag;
	char in[CASE_MAX], out[CASE_MAX];
	u8 in_bytes, out_bytes;
};
#define ROW(i, l, in, out) {i, l, in, out, sizeof(in) - 1, sizeof(out) - 1}
#define CANON              (TTY_ICANON | TTY_IEXTEN)

static const struct said_case cases[] = {
	/* Asked for nothing: bytes like any other. */
	ROW(0, 0, "a!~xb", "a\0xb"),
	ROW(TTY_IGNPAR, 0, "~xb", "xb"),
	ROW(TTY_INPCK, 0, "a!b", "a\0b"),
	ROW(TTY_IGNBRK, 0, "~xb", "xb"),
	/* Breaks. */
	ROW(TTY_IGNBRK, 0, "a!b", "ab"),
	ROW(TTY_IGNBRK | TTY_BRKINT | TTY_PARMRK, 0, "a!b", "ab"),
	ROW(TTY_PARMRK, 0, "a!b", "a\377\0\0b"),
	ROW(TTY_BRKINT, 0, "abc!d", "d"), /* the signal flushes */
	ROW(TTY_BRKINT | TTY_PARMRK, 0, "abc!d", "d"),
	ROW(TTY_BRKINT, TTY_NOFLSH, "abc!d", "abcd"),
	/* Wrong parity. */
	ROW(TTY_INPCK, 0, "a~xb", "a\0b"),
	ROW(TTY_INPCK | TTY_IGNPAR, 0, "a~xb", "ab"),
	ROW(TTY_INPCK | TTY_IGNPAR | TTY_PARMRK, 0, "a~xb", "ab"),
	ROW(TTY_INPCK | TTY_PARMRK, 0, "a~xb", "a\377\0xb"),
	ROW(TTY_PARMRK, 0, "a~xb", "axb"),
	ROW(TTY_INPCK | TTY_PARMRK, 0, "~\377~\0", "\377\0\377\377\0\0"),
	/* What looks like a mark is doubled; ISTRIP leaves nothing that does. */
	ROW(TTY_PARMRK, 0, "a\377b", "a\377\377b"),
	ROW(TTY_PARMRK | TTY_ISTRIP, 0, "a\377b", "a\177b"),
	ROW(TTY_INPCK | TTY_PARMRK | TTY_ISTRIP, 0, "~\377", "\377\0\377"),
	ROW(TTY_ISTRIP, 0, "~\341", "a"),
	ROW(0, 0, "\377", "\377"),
	/* A byte that the line garbled edits, stops and ends nothing. */
	ROW(TTY_INPCK | TTY_PARMRK | TTY_IXON, TTY_ISIG, "~\023~\003q", "\377\0\023\377\0\003q"),
	ROW(TTY_INPCK, CANON, "ab~\177~\nc\n", "ab\0\0c\n"),
	ROW(TTY_INPCK | TTY_IGNPAR, CANON, "a~x\n", "a\n"),
	ROW(TTY_INPCK | TTY_IGNPAR, CANON, "\026~xb\n", "b\n"),
	ROW(TTY_PARMRK, CANON, "\026\377\n", "\377\377\n"),
	ROW(TTY_PARMRK, CANON, "a!\n", "a\377\0\0\n"),
	ROW(TTY_BRKINT, CANON, "abc!d\n", "d\n"),
};

HOST_TEST(tty_what_the_line_said)
{
	u8 got[64];

	open_line();
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct said_case *c = &cases[i];
		sword_t n;

		set_flags(c->iflag, c->lflag);
		feed(c->in, c->in_bytes);
		n = sys(SYS_read, slave, page, 64);
		if (n > 0)
			user_get(got, page, (size_t)n);
		if (!CHECK_EQ(n, c->out_bytes) || !CHECK(!memcmp(got, c->out, c->out_bytes)))
			log_info("tty_what_the_line_said: case %u\n", i);
		CHECK_EQ(sys(SYS_read, slave, page, 64), -EAGAIN);
	}
	close_line();
}

/* Each byte becomes three: the ring of what can be read never loses a part of a mark. */
HOST_TEST(tty_marks_wait_for_room)
{
	enum tty_said said[256];
	u8 bytes[256], got[64];
	u32 total = 0, fed = 0;
	bool good = true;

	open_line();
	set_flags(TTY_INPCK | TTY_PARMRK, 0);
	for (; fed < 3000; fed += 250) {
		for (u32 i = 0; i < 250; i++) {
			said[i] = TTY_SAID_ERROR;
			bytes[i] = (u8)(fed + i);
		}
		tty_receive(line, bytes, said, 250);
	}
	settle(fed - TTY_RING_BYTES / 3 + 1);
	for (;;) {
		sword_t n = sys(SYS_read, slave, page, sizeof(got));

		if (n <= 0)
			break;
		user_get(got, page, (size_t)n);
		for (u32 i = 0; i < (u32)n; i++, total++) {
			u8 want = total % 3 == 0 ? 0xff : total % 3 == 1 ? 0 : (u8)(total / 3);

			good = good && got[i] == want;
		}
	}
	CHECK_EQ(total, 3 * fed);
	CHECK(good);
	close_line();
}
