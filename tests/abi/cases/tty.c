/* tty.c: pseudo terminals, the line discipline, and job control. */
#define ABI_FAMILY "tty"
#include "../abi.h"
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

/* termbits.h has the kernel's struct termios; libc's may not be included beside it. */
static long master, slave;
static char slave_name[32];

static void open_pty(void)
{
	int n = -1, unlock = 0;

	master = OK(SYS(openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(SYS(ioctl, master, TIOCGPTN, &n));
	OK(SYS(ioctl, master, TIOCSPTLCK, &unlock));
	snprintf(slave_name, sizeof(slave_name), "/dev/pts/%d", n);
	slave = OK(SYS(openat, AT_FDCWD, slave_name, O_RDWR | O_NOCTTY));
}

static void change(tcflag_t in, tcflag_t out, tcflag_t local)
{
	struct termios t;

	OK(SYS(ioctl, slave, TCGETS, &t));
	t.c_iflag = in;
	t.c_oflag = out;
	t.c_lflag = local;
	OK(SYS(ioctl, slave, TCSETS, &t));
}

/* When a non-canonical read of the slave is over. */
static void set_least(cc_t vmin, cc_t vtime)
{
	struct termios t;

	OK(SYS(ioctl, slave, TCGETS, &t));
	t.c_cc[VMIN] = vmin;
	t.c_cc[VTIME] = vtime;
	OK(SYS(ioctl, slave, TCSETS, &t));
}

static void put(const char *text)
{
	EQ(SYS(write, master, text, strlen(text)), strlen(text));
}

static void expect(long fd, const char *text)
{
	char buf[512] = "";
	size_t have = 0;

	while (have < strlen(text)) {
		struct pollfd p = {.fd = (int)fd, .events = POLLIN};
		struct timespec limit = {3, 0};

		EQ(SYS(ppoll, &p, 1, &limit, NULL, 8), 1);
		have += (size_t)OK(SYS(read, fd, buf + have, sizeof(buf) - 1 - have));
	}
	if (strcmp(buf, text) != 0)
		abi_fail(__FILE__, __LINE__, buf, (long)have, (long)strlen(text));
}

static void expect_nothing(long fd)
{
	struct pollfd p = {.fd = (int)fd, .events = POLLIN};
	struct timespec limit = {0, 20000000};

	EQ(SYS(ppoll, &p, 1, &limit, NULL, 8), 0);
}

/* Input is processed by and by, on Linux by a worker: waits until so much can be read. */
static void await_input(int bytes)
{
	int n = -1;

	for (int i = 0; i < 600 && n != bytes; i++) {
		OK(SYS(ioctl, slave, FIONREAD, &n));
		abi_sleep_ms(5);
	}
	EQ(n, bytes);
}

/* Waits until the slave takes output, or does not. */
static void await_output(bool open)
{
	struct pollfd p = {.fd = (int)slave, .events = POLLOUT};
	struct timespec now = {};

	for (int i = 0; i < 600 && SYS(ppoll, &p, 1, &now, NULL, 8) != open; i++)
		abi_sleep_ms(5);
	EQ(SYS(ppoll, &p, 1, &now, NULL, 8), open);
}

CASE(ptmx, "ioctl:TIOCGPTN", "ioctl:TIOCSPTLCK", "openat:EIO", "ioctl:TIOCGPTPEER",
	"fstat:device number", "ioctl:TIOCGPTLCK")
{
	char name[32];
	struct stat st;
	int n = -1, lock = 0;
	long m = OK(SYS(openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY)), peer;

	OK(SYS(ioctl, m, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	OK(SYS(ioctl, m, TIOCGPTLCK, &lock));
	EQ(lock, 1);
	ERR(SYS(openat, AT_FDCWD, name, O_RDWR | O_NOCTTY), EIO); /* still locked */
	lock = 0;
	OK(SYS(ioctl, m, TIOCSPTLCK, &lock));
	peer = OK(SYS(ioctl, m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	OK(SYS(fstat, peer, &st));
	T(S_ISCHR(st.st_mode));
	EQ(st.st_rdev, makedev(136, n)); /* device number */
	OK(SYS(newfstatat, AT_FDCWD, name, &st, 0));
	EQ(st.st_rdev, makedev(136, n));
	OK(SYS(close, m));
	OK(SYS(close, peer));
	ERR(SYS(newfstatat, AT_FDCWD, name, &st, 0), ENOENT);
}

CASE(attributes, "ioctl:TCGETS", "ioctl:TCSETS", "ioctl:TCSETSW", "ioctl:TCSETSF", "ioctl:TCFLSH",
	"ioctl:TCGETS2", "ioctl:TIOCOUTQ")
{
	struct termios t, u;
	struct termios2 t2;
	int n;

	open_pty();
	OK(SYS(ioctl, slave, TCGETS, &t));
	T((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
	T((t.c_iflag & ICRNL) && (t.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR));
	EQ(t.c_cflag & CBAUD, B38400);
	T(t.c_cc[VINTR] == 3 && t.c_cc[VEOF] == 4 && t.c_cc[VERASE] == 127 && t.c_cc[VKILL] == 21);
	t.c_cc[VINTR] = 'q';
	t.c_lflag &= ~ECHO;
	OK(SYS(ioctl, slave, TCSETSW, &t));
	OK(SYS(ioctl, master, TCGETS, &u)); /* the master sees the slave's */
	T(u.c_cc[VINTR] == 'q' && !(u.c_lflag & ECHO));
	put("gone\n");
	await_input(5);
	OK(SYS(ioctl, slave, TCSETSF, &t)); /* throws the input away */
	expect_nothing(slave);
	put("gone\n");
	await_input(5);
	OK(SYS(ioctl, slave, TCFLSH, TCIFLUSH));
	expect_nothing(slave);
	OK(SYS(ioctl, slave, TCGETS2, &t2));
	EQ(t2.c_ospeed, 38400);
	OK(SYS(ioctl, slave, TIOCOUTQ, &n));
	EQ(n, 0);
	OK(SYS(ioctl, slave, TCSETS, &t));
}

CASE(canonical, "read:line at a time", "ioctl:FIONREAD", "read:EOF character",
	"read:kill and erase", "read:short reads")
{
	char buf[16];

	open_pty();
	change(ICRNL, 0, ICANON | ECHOE);
	put("abc");
	expect_nothing(slave); /* line at a time */
	put("\n2nd\n");
	await_input(8);                  /* FIONREAD */
	EQ(SYS(read, slave, buf, 2), 2); /* short reads */
	EQ(SYS(read, slave, buf, 16), 2);
	EQ(SYS(read, slave, buf, 16), 4);
	put("wrong\025ri\177ight\r"); /* kill and erase; CR becomes NL */
	EQ(SYS(read, slave, buf, 16), 7 - 1);
	T(memcmp(buf, "right\n", 6) == 0);
	put("part\004"); /* EOF character ends the line without a byte */
	EQ(SYS(read, slave, buf, 16), 4);
	put("\004");
	EQ(SYS(read, slave, buf, 16), 0);
	put("a\026\004b\n"); /* VLNEXT needs IEXTEN: without it it is a plain byte */
	EQ(SYS(read, slave, buf, 16), 2);
	EQ(SYS(read, slave, buf, 16), 2);
}

CASE(echo, "write:echo", "write:ECHOCTL", "write:ONLCR", "write:ECHOE", "write:XTABS off")
{
	open_pty();
	change(ICRNL, OPOST | ONLCR, ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | IEXTEN);
	put("hi\r");
	expect(master, "hi\r\n"); /* echo */
	put("a\001b");
	expect(master, "a^Ab"); /* ECHOCTL */
	put("\177\177");
	expect(master, "\b \b\b \b\b \b"); /* ECHOE: two columns for ^A */
	put("\n");
	expect(master, "\r\n");
	EQ(SYS(write, slave, "out\n", 4), 4);
	expect(master, "out\r\n"); /* ONLCR */
	EQ(SYS(write, slave, "t\tt", 3), 3);
	expect(master, "t\tt"); /* XTABS off */
	change(0, 0, ICANON);
	EQ(SYS(write, slave, "raw\n", 4), 4);
	expect(master, "raw\n");
	put("quiet\n");
	expect_nothing(master);
}

CASE(raw, "read:VMIN", "read:VTIME", "read:EAGAIN", "ioctl:TIOCSTI refused or served")
{
	char buf[8];
	long t0, pid;

	open_pty();
	change(0, 0, 0);
	set_least(3, 0);
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(SYS(read, slave, buf, 8), 3); /* VMIN */
		_exit(0);
	}
	put("ab");
	abi_sleep_ms(30);
	abi_await_state(pid, 'S');
	put("\003"); /* no ISIG: a byte like any other */
	EQ(abi_wait(pid), 0);
	set_least(0, 1);
	t0 = abi_now_ms();
	EQ(SYS(read, slave, buf, 8), 0); /* VTIME */
	T(abi_now_ms() - t0 >= 90);
	set_least(0, 0);
	EQ(SYS(read, slave, buf, 8), 0);
	set_least(1, 0);
	OK(SYS(fcntl, slave, F_SETFL, O_RDWR | O_NONBLOCK));
	ERR(SYS(read, slave, buf, 8), EAGAIN);
	t0 = SYS(ioctl, slave, TIOCSTI, "x"); /* refused or served */
	T(t0 == 0 || t0 == -EIO || t0 == -EPERM);
}

/* What the last slave wrote before it closed is read before the error that says so. */
CASE(last_words, "read:output before EIO", "close:right after output")
{
	pthread_t t;
	char got;

	open_pty();
	T(pthread_create(&t, NULL, abi_last_words, (void *)3000l) == 0);
	for (int i = 0; i < 3000; i++) {
		abi_last_words_fd = slave;         /* right after output */
		EQ(SYS(read, master, &got, 1), 1); /* output before EIO */
		ERR(SYS(read, master, &got, 1), EIO);
		slave = OK(SYS(openat, AT_FDCWD, slave_name, O_RDWR | O_NOCTTY));
	}
	OK(SYS(close, slave));
	T(pthread_join(t, NULL) == 0);
}

/* termios(3), MIN > 0 and TIME > 0: the timer begins anew with each byte. */
CASE(between_bytes, "read:VTIME between bytes", "read:VMIN")
{
	char buf[8];
	long t0, pid;

	open_pty();
	change(0, 0, 0);
	set_least(4, 10);
	pid = OK(abi_fork());
	if (pid == 0) {
		t0 = abi_now_ms();
		EQ(SYS(read, slave, buf, 8), 3);
		T(abi_now_ms() - t0 >= 2100);
		_exit(0);
	}
	abi_await_state(pid, 'S');
	for (int i = 0; i < 3; i++) {
		put("a");
		abi_sleep_ms(600);
	}
	abi_wait_ok(pid, __FILE__, __LINE__);
	/* Four are enough, and what is there is given at once. */
	put("abcdef");
	EQ(SYS(read, slave, buf, 8), 6); /* VMIN */
	/* MIN = 0: from the call on, and ended by the first byte. */
	set_least(0, 10);
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(SYS(read, slave, buf, 8), 1);
		_exit(0);
	}
	abi_await_state(pid, 'S');
	put("x");
	abi_wait_ok(pid, __FILE__, __LINE__);
}

/* A byte that looks like the mark of an error is doubled: termios(3). */
CASE(marks, "read:PARMRK", "read:ISTRIP", "read:PARMRK behind VLNEXT", "read:INPCK without errors")
{
	char buf[16];

	open_pty();
	change(PARMRK, 0, 0);
	put("a\377b");
	await_input(4);
	EQ(SYS(read, slave, buf, 16), 4);
	T(memcmp(buf, "a\377\377b", 4) == 0);
	change(PARMRK | ISTRIP, 0, 0);
	put("a\377b");
	await_input(3);
	EQ(SYS(read, slave, buf, 16), 3);
	T(memcmp(buf, "a\177b", 3) == 0);
	change(PARMRK, 0, ICANON | IEXTEN);
	put("\026\377\n"); /* VLNEXT */
	await_input(3);
	EQ(SYS(read, slave, buf, 16), 3);
	T(memcmp(buf, "\377\377\n", 3) == 0);
	change(INPCK | IGNPAR, 0, 0); /* a pty has no errors */
	put("a\377b");
	await_input(3);
	EQ(SYS(read, slave, buf, 16), 3);
	T(memcmp(buf, "a\377b", 3) == 0);
}

CASE(line_parameters, "ioctl:PARENB", "ioctl:CS7", "ioctl:CREAD", "ioctl:B9600", "ioctl:BOTHER",
	"ioctl:TCSETS2")
{
	struct termios t;
	struct termios2 t2;

	open_pty();
	OK(SYS(ioctl, slave, TCGETS, &t));
	t.c_cflag = B9600 | CS7 | PARENB | PARODD | CSTOPB | HUPCL;
	OK(SYS(ioctl, slave, TCSETS, &t));
	OK(SYS(ioctl, slave, TCGETS2, &t2));
	/* A pty has bytes and no parity, whatever is asked for. */
	EQ(t2.c_cflag, B9600 | CS8 | CREAD | PARODD | CSTOPB | HUPCL);
	T(t2.c_ospeed == 9600 && t2.c_ispeed == 9600);
	t2.c_cflag = BOTHER | CS8 | CREAD;
	t2.c_ospeed = 12345;
	t2.c_ispeed = 77;
	OK(SYS(ioctl, slave, TCSETS2, &t2));
	t2 = (struct termios2){};
	OK(SYS(ioctl, slave, TCGETS2, &t2));
	T(t2.c_cflag == (BOTHER | CS8 | CREAD) && t2.c_ospeed == 12345 && t2.c_ispeed == 12345);
	t2.c_cflag = B115200 | CS8 | CREAD;
	OK(SYS(ioctl, slave, TCSETS2, &t2));
	OK(SYS(ioctl, slave, TCGETS2, &t2));
	EQ(t2.c_ospeed, 115200);
}

CASE(window, "ioctl:TIOCGWINSZ", "ioctl:TIOCSWINSZ", "ioctl:SIGWINCH", "ioctl:TIOCSCTTY")
{
	struct winsize w = {24, 80, 0, 0}, got = {9, 9, 9, 9};
	struct timespec some = {5, 0};
	uint64_t set = 1ull << (SIGWINCH - 1);
	int fds[2];
	long pid;
	char c;

	open_pty();
	OK(SYS(ioctl, slave, TIOCGWINSZ, &got));
	T(got.ws_row == 0 && got.ws_col == 0);
	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		SYS(setsid);
		abi_block(SIGWINCH);
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		EQ(SYS(write, fds[1], "r", 1), 1);
		EQ(SYS(rt_sigtimedwait, &set, NULL, &some, 8), SIGWINCH);
		OK(SYS(ioctl, slave, TIOCGWINSZ, &got));
		_exit(got.ws_row == 24 && got.ws_col == 80 ? 0 : 1);
	}
	EQ(SYS(read, fds[0], &c, 1), 1);
	OK(SYS(ioctl, master, TIOCSWINSZ, &w));
	EQ(abi_wait(pid), 0);
}

CASE(controlling, "ioctl:TIOCSCTTY", "ioctl:TIOCGSID", "ioctl:TIOCGPGRP", "ioctl:TIOCNOTTY",
	"openat:/dev/tty", "openat:ENXIO", "ioctl:EPERM", "ioctl:TIOCSPGRP", "openat:O_NOCTTY")
{
	long tty;
	int id = -1;

	open_pty();
	CHILD_OK
	{
		long me = SYS(setsid), child;

		OK(me);
		ERR(SYS(openat, AT_FDCWD, "/dev/tty", O_RDWR), ENXIO); /* O_NOCTTY gave none */
		ERR(SYS(ioctl, slave, TIOCGPGRP, &id), ENOTTY);
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		tty = OK(SYS(openat, AT_FDCWD, "/dev/tty", O_RDWR));
		OK(SYS(ioctl, tty, TIOCGSID, &id));
		EQ(id, me);
		OK(SYS(ioctl, tty, TIOCGPGRP, &id));
		EQ(id, me);
		child = OK(abi_fork());
		if (child == 0) {
			abi_sleep_ms(5000);
			_exit(0);
		}
		OK(SYS(setpgid, child, child));
		id = (int)child;
		OK(SYS(ioctl, tty, TIOCSPGRP, &id));
		OK(SYS(ioctl, master, TIOCGPGRP, &id));
		EQ(id, child);
		id = 1;
		signal(SIGTTOU, SIG_IGN); /* this group is in the background now */
		ERR(SYS(ioctl, tty, TIOCSPGRP, &id), EPERM);
		OK(SYS(kill, child, SIGKILL));
		abi_wait(child);
		signal(SIGHUP, SIG_IGN);
		OK(SYS(ioctl, tty, TIOCNOTTY));
		ERR(SYS(openat, AT_FDCWD, "/dev/tty", O_RDWR), ENXIO);
	}
}

CASE(interrupt, "write:VINTR", "write:VQUIT", "write:VSUSP", "wait4:WUNTRACED", "ioctl:TIOCSCTTY")
{
	struct {
		uint64_t soft, hard;
	} l = {0, 0};
	static const char keys[] = {3, 28, 26};
	static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP};
	int st, id;

	SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL);
	open_pty();
	CHILD_OK
	{
		OK(SYS(setsid));
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		signal(SIGTTOU, SIG_IGN);
		for (int i = 0; i < 3; i++) {
			long child = OK(abi_fork());

			if (child == 0) {
				abi_sleep_ms(10000);
				_exit(0);
			}
			OK(SYS(setpgid, child, child));
			id = (int)child;
			OK(SYS(ioctl, slave, TIOCSPGRP, &id));
			EQ(SYS(write, master, keys + i, 1), 1); /* VINTR, VQUIT, VSUSP */
			EQ(SYS(wait4, child, &st, WUNTRACED, NULL), child);
			if (i < 2) {
				EQ(WTERMSIG(st), signals[i]);
			} else {
				T(WIFSTOPPED(st) && WSTOPSIG(st) == SIGTSTP);
				OK(SYS(kill, child, SIGKILL));
				abi_wait(child);
			}
		}
	}
}

CASE(output_kept, "write:kept over VINTR", "ioctl:TCOFLUSH", "write:typed input is dropped")
{
	struct timespec limit = {3, 0};
	struct pollfd p;

	open_pty();
	change(ICRNL, OPOST | ONLCR, ICANON | ISIG);
	EQ(SYS(write, slave, "before", 6), 6);
	put("typed\n"); /* typed input is dropped */
	await_input(6);
	put("\003"); /* VINTR: what was written stays for the master */
	await_input(0);
	OK(SYS(ioctl, slave, TCFLSH, TCOFLUSH));
	p = (struct pollfd){.fd = (int)master, .events = POLLIN};
	EQ(SYS(ppoll, &p, 1, &limit, NULL, 8), 1);
	expect(master, "before");
	expect_nothing(slave);
}

CASE(background, "read:SIGTTIN", "write:SIGTTOU", "read:EIO", "ioctl:TOSTOP", "ioctl:SIGTTOU")
{
	struct termios t;
	char c;
	int st, id;

	open_pty();
	CHILD_OK
	{
		OK(SYS(setsid));
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		for (int i = 0; i < 4; i++) {
			long child;

			if (i == 1) {
				OK(SYS(ioctl, slave, TCGETS, &t));
				t.c_lflag |= TOSTOP;
				OK(SYS(ioctl, slave, TCSETS, &t));
			}
			child = OK(abi_fork());
			if (child == 0) {
				OK(SYS(setpgid, 0, 0));
				id = (int)SYS(getpid);
				if (i == 0) {
					SYS(read, slave, &c, 1); /* SIGTTIN */
				} else if (i == 1) {
					SYS(write, slave, "x", 1); /* SIGTTOU by TOSTOP */
				} else if (i == 2) {
					SYS(ioctl, slave, TIOCSPGRP, &id); /* SIGTTOU */
				} else {
					signal(SIGTTIN, SIG_IGN);
					ERR(SYS(read, slave, &c, 1), EIO);
					signal(SIGTTOU, SIG_IGN);
					EQ(SYS(write, slave, "y", 1), 1);
				}
				_exit(0);
			}
			EQ(SYS(wait4, child, &st, WUNTRACED, NULL), child);
			if (i == 3) {
				EQ(st, 0);
				continue;
			}
			T(WIFSTOPPED(st));
			EQ(WSTOPSIG(st), i == 0 ? SIGTTIN : SIGTTOU);
			OK(SYS(kill, child, SIGKILL));
			abi_wait(child);
		}
	}
}

CASE(hangup, "close:SIGHUP to the session", "read:slave end", "write:EIO", "read:EIO",
	"ppoll:POLLHUP")
{
	struct pollfd p;
	struct timespec limit = {5, 0};
	char c;
	int st, fds[2];
	long pid;

	open_pty();
	OK(SYS(close, slave));
	p = (struct pollfd){.fd = (int)master, .events = POLLIN};
	EQ(SYS(ppoll, &p, 1, &limit, NULL, 8), 1);
	EQ(p.revents, POLLHUP);
	ERR(SYS(read, master, &c, 1), EIO); /* no slave is open */
	slave = OK(SYS(openat, AT_FDCWD, slave_name, O_RDWR | O_NOCTTY));
	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(setsid));
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		OK(SYS(close, master));
		EQ(SYS(write, fds[1], "r", 1), 1);
		abi_sleep_ms(10000);
		_exit(0);
	}
	EQ(SYS(read, fds[0], &c, 1), 1);
	OK(SYS(close, master));
	st = abi_wait(pid);
	EQ(st, SIGHUP);                 /* SIGHUP to the session */
	EQ(SYS(read, slave, &c, 1), 0); /* slave end */
	ERR(SYS(write, slave, "x", 1), EIO);
}

static void check_hung_up(long fd)
{
	struct pollfd p = {.fd = (int)fd, .events = POLLIN | POLLOUT};
	struct timespec now = {0, 0};
	struct termios t;
	struct stat st;
	int pgrp = 1;
	char c;

	EQ(SYS(read, fd, &c, 1), 0);
	ERR(SYS(write, fd, "x", 1), EIO);
	ERR(SYS(ioctl, fd, TCGETS, &t), EIO);
	ERR(SYS(ioctl, fd, TIOCSPGRP, &pgrp), ENOTTY);
	EQ(SYS(ppoll, &p, 1, &now, NULL, 8), 1);
	EQ(p.revents, POLLIN | POLLOUT | POLLERR | POLLHUP);
	OK(SYS(fstat, fd, &st));
	OK(SYS(fcntl, fd, F_GETFL));
}

static void hang_up_and_reopen(void)
{
	long copy, fresh;

	OK(SYS(setsid));
	OK(SYS(ioctl, slave, TIOCSCTTY, 0));
	abi_handler(SIGHUP, (void *)SIG_IGN, 0);
	copy = OK(SYS(dup, slave));
	put("typed before\n");
	await_input(13);
	OK(SYS(vhangup));
	check_hung_up(slave); /* what was open is dead: */
	check_hung_up(copy);
	ERR(SYS(openat, AT_FDCWD, "/dev/tty", O_RDWR), ENXIO);
	fresh = OK(SYS(openat, AT_FDCWD, slave_name, O_RDWR | O_NOCTTY));
	expect_nothing(fresh);
	put("after\n");
	expect(fresh, "after\n");
	EQ(SYS(write, fresh, "new", 3), 3);
	check_hung_up(slave); /* and stays so when the line is opened again */
	check_hung_up(copy);
	_exit(7);
}

CASE(vhangup, "vhangup:open files end", "vhangup:opened again", "ioctl:EIO", "ioctl:ENOTTY",
	"ppoll:POLLHUP", "read:end of a hung up line", "write:EIO", "openat:ENXIO")
{
	long pid;

	open_pty();
	pid = OK(abi_fork());
	if (pid == 0)
		hang_up_and_reopen(); /* its /dev/tty is ENXIO */
	EQ(abi_wait(pid), 7 << 8);
	check_hung_up(slave); /* this one too: EIO, ENOTTY for TIOCSPGRP, POLLHUP */
}

CASE(session_exit, "exit_group:leader hangs up", "ioctl:TIOCSCTTY")
{
	int fds[2];
	long pid;
	char c;

	open_pty();
	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(setsid));
		OK(SYS(ioctl, slave, TIOCSCTTY, 0));
		if (OK(abi_fork()) == 0) {
			/* In the foreground group of a leader that ends: SIGHUP. */
			abi_sleep_ms(10000);
			EQ(SYS(write, fds[1], "late", 4), 4);
		}
		SYS(exit_group, 0); /* leader hangs up; SIGCONT follows for stopped ones */
	}
	OK(SYS(close, fds[1]));
	EQ(abi_wait(pid), 0);
	EQ(SYS(read, fds[0], &c, 1), 0);
}

CASE(packet, "ioctl:TIOCPKT", "read:TIOCPKT_DATA", "read:TIOCPKT_FLUSHREAD", "ppoll:POLLPRI",
	"ioctl:TIOCGPKT")
{
	struct pollfd p;
	struct timespec limit = {5, 0};
	char buf[16];
	int on = 1;

	open_pty();
	change(0, 0, ICANON);
	OK(SYS(ioctl, master, TIOCPKT, &on));
	on = 0;
	OK(SYS(ioctl, master, TIOCGPKT, &on));
	EQ(on, 1);
	EQ(SYS(write, slave, "data", 4), 4);
	EQ(SYS(read, master, buf, 16), 5);
	T(buf[0] == TIOCPKT_DATA && memcmp(buf + 1, "data", 4) == 0);
	OK(SYS(ioctl, slave, TCFLSH, TCIFLUSH));
	p = (struct pollfd){.fd = (int)master, .events = POLLIN | POLLPRI};
	EQ(SYS(ppoll, &p, 1, &limit, NULL, 8), 1);
	T(p.revents & POLLPRI);
	EQ(SYS(read, master, buf, 16), 1);
	EQ(buf[0] & TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHREAD);
}

CASE(flow, "ioctl:TCXONC", "write:IXON stops", "ioctl:TIOCEXCL", "openat:EBUSY", "setresuid:user",
	"ioctl:TIOCNXCL", "ioctl:TCSBRK")
{
	open_pty();
	change(IXON, 0, ICANON);
	OK(SYS(ioctl, slave, TCXONC, 0 /* TCOOFF */));
	OK(SYS(fcntl, slave, F_SETFL, O_RDWR | O_NONBLOCK));
	ERR(SYS(write, slave, "x", 1), EAGAIN);
	OK(SYS(ioctl, slave, TCXONC, 1 /* TCOON */));
	EQ(SYS(write, slave, "x", 1), 1);
	expect(master, "x");
	put("\023"); /* ^S: IXON stops */
	await_output(false);
	ERR(SYS(write, slave, "x", 1), EAGAIN);
	put("\021");
	await_output(true);
	EQ(SYS(write, slave, "y", 1), 1);
	expect(master, "y");
	OK(SYS(ioctl, slave, TCSBRK, 1));
	OK(SYS(ioctl, slave, TIOCEXCL));
	CHILD_OK
	{
		OK(SYS(fchmodat, AT_FDCWD, slave_name, 0666));
		OK(SYS(setresuid, 1000, 1000, 1000)); /* user: root may all the same */
		ERR(SYS(openat, AT_FDCWD, slave_name, O_RDWR | O_NOCTTY), EBUSY);
	}
	OK(SYS(ioctl, slave, TIOCNXCL));
}
