/* sigwait.c: waiting for signals, and calls that signals interrupt or restart. */
#define ABI_FAMILY "sigwait"
#include "../abi.h"
#include <linux/futex.h>
#include <sys/socket.h>

static volatile sig_atomic_t nr_seen;

static void count(int sig)
{
	(void)sig;
	nr_seen = nr_seen + 1;
}

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

/* A child that sends `sig` to the case once it sleeps, and again `more` times. */
static long pester(int sig, int more)
{
	long me = SYS(getpid), pid = OK(abi_fork());

	if (pid == 0) {
		for (int i = 0; i <= more; i++) {
			abi_sleep_ms(20);
			abi_await_state(me, 'S');
			abi_sleep_ms(20);
			OK(SYS(kill, me, sig));
		}
		_exit(0);
	}
	return pid;
}

CASE(suspend, "rt_sigsuspend:EINTR", "rt_sigsuspend:mask restored", "rt_sigsuspend:EINVAL")
{
	uint64_t none = 0, now = 0;

	abi_handler(SIGUSR1, count, SA_RESTART);
	abi_block(SIGUSR1);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	ERR(SYS(rt_sigsuspend, &none, 8), EINTR);
	EQ(nr_seen, 1);
	OK(SYS(rt_sigprocmask, SIG_BLOCK, NULL, &now, 8));
	EQ(now, bit(SIGUSR1)); /* mask restored */
	ERR(SYS(rt_sigsuspend, &none, 4), EINVAL);
	pester(SIGUSR1, 0);
	ERR(SYS(rt_sigsuspend, &none, 8), EINTR);
	EQ(nr_seen, 2);
}

CASE(timedwait, "rt_sigtimedwait:pending", "rt_sigtimedwait:EAGAIN", "rt_sigtimedwait:EINVAL",
	"rt_sigtimedwait:EINTR", "rt_sigtimedwait:siginfo", "rt_sigtimedwait:waits")
{
	struct timespec zero = {}, bad = {0, -1}, some = {10, 0};
	uint64_t set = bit(SIGUSR1) | bit(SIGUSR2);
	siginfo_t si;
	long pid;

	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	ERR(SYS(rt_sigtimedwait, &set, &si, &zero, 8), EAGAIN);
	OK(SYS(kill, SYS(getpid), SIGUSR2));
	EQ(SYS(rt_sigtimedwait, &set, &si, &zero, 8), SIGUSR2); /* pending */
	T(si.si_signo == SIGUSR2 && si.si_pid == SYS(getpid));  /* siginfo */
	ERR(SYS(rt_sigtimedwait, &set, &si, &bad, 8), EINVAL);
	ERR(SYS(rt_sigtimedwait, &set, &si, &zero, 16), EINVAL);
	pid = pester(SIGUSR1, 0);
	EQ(SYS(rt_sigtimedwait, &set, &si, &some, 8), SIGUSR1); /* waits */
	EQ(si.si_pid, pid);
	abi_handler(SIGALRM, count, SA_RESTART);
	pester(SIGALRM, 0);
	ERR(SYS(rt_sigtimedwait, &set, &si, &some, 8), EINTR);
}

CASE(read_restarts, "read:restarted", "rt_sigaction:SA_RESTART", "read:EINTR")
{
	int fds[2];
	long me = SYS(getpid), pid;
	char c;

	OK(SYS(pipe2, fds, 0));
	for (int round = 0; round < 2; round++) {
		nr_seen = 0;
		abi_handler(SIGUSR1, count, round ? 0 : SA_RESTART);
		pid = OK(abi_fork());
		if (pid == 0) {
			abi_sleep_ms(20);
			abi_await_state(me, 'S');
			OK(SYS(kill, me, SIGUSR1));
			abi_sleep_ms(50);
			EQ(SYS(write, fds[1], "x", 1), 1);
			_exit(0);
		}
		if (round)
			ERR(SYS(read, fds[0], &c, 1), EINTR);
		else
			EQ(SYS(read, fds[0], &c, 1), 1); /* restarted */
		EQ(nr_seen, 1);
		EQ(abi_wait(pid), 0);
	}
}

CASE(wait_restarts, "wait4:restarted", "wait4:EINTR", "waitid:EINTR")
{
	siginfo_t si;
	long me = SYS(getpid), pid;
	int st;

	for (int round = 0; round < 3; round++) {
		abi_handler(SIGUSR1, count, round == 0 ? SA_RESTART : 0);
		pid = OK(abi_fork());
		if (pid == 0) {
			abi_sleep_ms(20);
			abi_await_state(me, 'S');
			OK(SYS(kill, me, SIGUSR1));
			abi_sleep_ms(50);
			_exit(0);
		}
		if (round == 0) {
			EQ(SYS(wait4, pid, &st, 0, NULL), pid); /* restarted */
			continue;
		}
		if (round == 1)
			ERR(SYS(wait4, pid, &st, 0, NULL), EINTR);
		else
			ERR(SYS(waitid, P_PID, pid, &si, WEXITED, NULL), EINTR);
		EQ(abi_wait(pid), 0);
	}
	EQ(nr_seen, 3);
}

CASE(sleep_interrupted, "nanosleep:EINTR", "nanosleep:rest", "clock_nanosleep:EINTR",
	"nanosleep:EINVAL")
{
	struct timespec ts = {10, 0}, rest = {}, bad = {0, 1000000000};

	abi_handler(SIGUSR1, count, SA_RESTART);
	pester(SIGUSR1, 1);
	ERR(SYS(nanosleep, &ts, &rest), EINTR);
	T(rest.tv_sec >= 5 && rest.tv_sec < 10); /* rest */
	ERR(SYS(clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, &rest), EINTR);
	T(rest.tv_sec >= 5 && rest.tv_sec < 10);
	EQ(nr_seen, 2);
	ERR(SYS(nanosleep, &bad, NULL), EINVAL);
}

CASE(stop_restarts_sleep, "restart_syscall:nanosleep", "kill:SIGSTOP", "nanosleep:resumes")
{
	struct timespec ts = {0, 300000000};
	int st;
	long pid = OK(abi_fork()), t = abi_now_ms();

	if (pid == 0) {
		_exit(SYS(nanosleep, &ts, NULL) == 0 ? 8 : 1); /* resumes by restart_syscall */
	}
	abi_await_state(pid, 'S');
	OK(SYS(kill, pid, SIGSTOP));
	EQ(SYS(wait4, pid, &st, WUNTRACED, NULL), pid);
	abi_sleep_ms(100);
	OK(SYS(kill, pid, SIGCONT));
	EQ(abi_wait(pid), 8 << 8);
	t = abi_now_ms() - t;
	T(t >= 295 && t < 5000); /* the deadline did not move by the stop */
}

CASE(stop_restarts_poll, "ppoll:survives stop", "read:survives stop", "kill:SIGCONT")
{
	int fds[2], st;
	struct pollfd p = {.events = POLLIN};
	long pid;
	char c;

	OK(SYS(pipe2, fds, 0));
	p.fd = fds[0];
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(SYS(ppoll, &p, 1, NULL, NULL, 8), 1); /* survives stop */
		EQ(SYS(read, fds[0], &c, 1), 1);
		EQ(SYS(read, fds[0], &c, 1), 1); /* survives stop */
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		abi_await_state(pid, 'S');
		OK(SYS(kill, pid, SIGSTOP));
		EQ(SYS(wait4, pid, &st, WUNTRACED, NULL), pid);
		OK(SYS(kill, pid, SIGCONT));
		abi_await_state(pid, 'S');
		EQ(SYS(write, fds[1], "x", 1), 1);
		abi_sleep_ms(20);
	}
	EQ(abi_wait(pid), 0);
}

CASE(poll_never_restarts, "ppoll:EINTR", "pselect6:EINTR", "epoll_pwait:EINTR")
{
	char e[16];
	long ep = OK(SYS(epoll_create1, 0));

	abi_handler(SIGUSR1, count, SA_RESTART);
	pester(SIGUSR1, 2);
	ERR(SYS(ppoll, NULL, 0, NULL, NULL, 8), EINTR);
	ERR(SYS(pselect6, 0, NULL, NULL, NULL, NULL, NULL), EINTR);
	ERR(SYS(epoll_pwait, ep, e, 1, -1, NULL, 8), EINTR);
	EQ(nr_seen, 3);
}

CASE(futex_restarts, "futex:EINTR", "futex:restarted", "futex:FUTEX_WAIT")
{
	struct timespec ts = {10, 0};
	static int word;

	abi_handler(SIGUSR1, count, 0);
	pester(SIGUSR1, 0);
	ERR(SYS(futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0), EINTR);
	abi_handler(SIGUSR1, count, SA_RESTART);
	pester(SIGUSR1, 0);
	ts = (struct timespec){0, 300000000};
	/* With a time it goes on through a restart block, whatever SA_RESTART says. */
	long t = abi_now_ms(), got = SYS(futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0);

	T(got == -ETIMEDOUT || got == -EINTR); /* restarted */
	T(got == -EINTR || abi_now_ms() - t >= 290);
	EQ(nr_seen, 2);
}

CASE(socket_restarts, "recvfrom:restarted", "recvfrom:EINTR", "accept4:EINTR",
	"setsockopt:SO_RCVTIMEO")
{
	struct timeval tv = {10, 0};
	int pair[2];
	long me = SYS(getpid), pid, s;
	struct {
		uint16_t family;
		char path[8];
	} a = {AF_UNIX, "s"};
	char c;

	OK(SYS(socketpair, AF_UNIX, SOCK_STREAM, 0, pair));
	abi_handler(SIGUSR1, count, SA_RESTART);
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_sleep_ms(20);
		abi_await_state(me, 'S');
		OK(SYS(kill, me, SIGUSR1));
		abi_sleep_ms(40);
		EQ(SYS(write, pair[1], "x", 1), 1);
		_exit(0);
	}
	EQ(SYS(recvfrom, pair[0], &c, 1, 0, NULL, NULL), 1); /* restarted */
	EQ(abi_wait(pid), 0);
	/* With a timeout set a socket call is not restarted. */
	OK(SYS(setsockopt, pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	pester(SIGUSR1, 0);
	ERR(SYS(recvfrom, pair[0], &c, 1, 0, NULL, NULL), EINTR);
	s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	OK(SYS(bind, s, &a, sizeof(a)));
	OK(SYS(listen, s, 1));
	abi_handler(SIGUSR1, count, 0);
	pester(SIGUSR1, 0);
	ERR(SYS(accept4, s, NULL, NULL, 0), EINTR);
	EQ(nr_seen, 3);
}

CASE(kill_while_waiting, "kill:SIGKILL in read", "kill:SIGKILL in futex", "kill:SIGKILL in vfork")
{
	static int word;
	int fds[2];
	long pid;
	char c;

	OK(SYS(pipe2, fds, 0));
	for (int round = 0; round < 2; round++) {
		pid = OK(abi_fork());
		if (pid == 0) {
			if (round == 0)
				SYS(read, fds[0], &c, 1);
			else
				SYS(futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
			_exit(0);
		}
		abi_await_state(pid, 'S');
		OK(SYS(kill, pid, SIGKILL));
		EQ(abi_wait(pid), SIGKILL);
	}
	/* A parent in vfork waits for its child uninterruptibly, except by a kill. */
	pid = OK(abi_fork());
	if (pid == 0) {
		if (SYS(clone, 0x4100 /* CLONE_VM | CLONE_VFORK */ | SIGCHLD) == 0) {
			abi_sys(__NR_nanosleep, (long)&(struct timespec){1, 0}, 0, 0, 0, 0, 0);
			abi_sys(__NR_exit_group, 0, 0, 0, 0, 0, 0);
		}
		_exit(0);
	}
	abi_sleep_ms(60);
	OK(SYS(kill, pid, SIGKILL));
	EQ(abi_wait(pid), SIGKILL);
}

CASE(sigchld, "kill:SIGCHLD on exit", "rt_sigaction:SA_NOCLDSTOP", "rt_sigtimedwait:CLD_EXITED")
{
	struct sigaction act = {.sa_handler = count, .sa_flags = SA_NOCLDSTOP};
	struct timespec some = {5, 0};
	uint64_t set = bit(SIGCHLD);
	siginfo_t si;
	int st;
	long pid;

	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	pid = OK(abi_fork());
	if (pid == 0)
		_exit(5);
	EQ(SYS(rt_sigtimedwait, &set, &si, &some, 8), SIGCHLD); /* on exit */
	T(si.si_code == CLD_EXITED && si.si_pid == pid && si.si_status == 5);
	abi_wait(pid);
	T(sigaction(SIGCHLD, &act, NULL) == 0);
	abi_unblock(SIGCHLD);
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_sleep_ms(10000);
		_exit(0);
	}
	OK(SYS(kill, pid, SIGSTOP));
	EQ(SYS(wait4, pid, &st, WUNTRACED, NULL), pid);
	EQ(nr_seen, 0); /* SA_NOCLDSTOP */
	act.sa_flags = 0;
	T(sigaction(SIGCHLD, &act, NULL) == 0);
	OK(SYS(kill, pid, SIGCONT));
	abi_sleep_ms(50);
	T(nr_seen >= 1);
	OK(SYS(kill, pid, SIGKILL));
	abi_wait(pid);
}
