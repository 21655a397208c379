/* process.c: clone and friends, waiting, groups and sessions, process attributes. */
#define ABI_FAMILY "process"
#include "../abi.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/times.h>

static volatile int shared_word;

struct args3 {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

CASE(fork_copies, "clone:SIGCHLD", "clone:copies memory", "clone:copies descriptors",
	"wait4:any child", "wait4:ECHILD")
{
	int st, value = 1, fds[2];
	long pid;
	char c;

	OK(SYS(pipe2, fds, 0));
	pid = OK(SYS(clone, SIGCHLD));
	if (pid == 0) {
		value = 2;                         /* copies memory */
		EQ(SYS(write, fds[1], "c", 1), 1); /* copies descriptors */
		OK(SYS(close, fds[0]));
		_exit(value);
	}
	EQ(SYS(wait4, -1, &st, 0, NULL), pid); /* any child */
	EQ(st, 2 << 8);
	EQ(value, 1);
	EQ(SYS(read, fds[0], &c, 1), 1);
	ERR(SYS(wait4, -1, &st, 0, NULL), ECHILD);
	ERR(SYS(wait4, pid, &st, 0, NULL), ECHILD);
	ERR(SYS(wait4, 1, &st, WNOHANG, NULL), ECHILD);
}

CASE(wait_nohang, "wait4:WNOHANG", "wait4:EINVAL", "wait4:rusage", "wait4:process group")
{
	struct rusage ru;
	int st = 77, fds[2];
	long pid;
	char c;

	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(close, fds[1]));
		OK(SYS(setpgid, 0, 0));
		SYS(read, fds[0], &c, 1);
		for (volatile int i = 0; i < 3000000; i++)
			;
		_exit(0);
	}
	OK(SYS(close, fds[0]));
	EQ(SYS(wait4, pid, &st, WNOHANG, NULL), 0);
	EQ(st, 77);
	ERR(SYS(wait4, pid, &st, 0x100, NULL), EINVAL);
	abi_sleep_ms(30);
	OK(SYS(close, fds[1]));
	memset(&ru, 0xff, sizeof(ru));
	EQ(SYS(wait4, -pid, &st, 0, &ru), pid); /* process group; rusage */
	T(ru.ru_utime.tv_sec >= 0 && ru.ru_utime.tv_sec < 20 && ru.ru_maxrss > 0);
}

CASE(waitid, "waitid:WEXITED", "waitid:WNOWAIT", "waitid:WNOHANG", "waitid:P_PID",
	"waitid:CLD_EXITED", "waitid:CLD_KILLED", "waitid:EINVAL", "waitid:ECHILD", "waitid:P_ALL")
{
	siginfo_t si;
	long pid = OK(abi_fork());

	if (pid == 0)
		_exit(9);
	OK(SYS(waitid, P_PID, pid, &si, WEXITED | WNOWAIT, NULL));
	T(si.si_code == CLD_EXITED && si.si_status == 9 && si.si_pid == pid &&
		si.si_signo == SIGCHLD);
	OK(SYS(waitid, P_ALL, 0, &si, WEXITED, NULL));
	EQ(si.si_pid, pid);
	ERR(SYS(waitid, P_PID, pid, &si, WEXITED, NULL), ECHILD);
	ERR(SYS(waitid, P_PID, pid, &si, 0, NULL), EINVAL);
	ERR(SYS(waitid, 99, pid, &si, WEXITED, NULL), EINVAL);
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_sleep_ms(10000);
		_exit(0);
	}
	si.si_pid = 1;
	OK(SYS(waitid, P_PID, pid, &si, WEXITED | WNOHANG, NULL));
	EQ(si.si_pid, 0);
	OK(SYS(kill, pid, SIGTERM));
	OK(SYS(waitid, P_PID, pid, &si, WEXITED, NULL));
	T(si.si_code == CLD_KILLED && si.si_status == SIGTERM);
}

CASE(stop_continue, "wait4:WUNTRACED", "wait4:WCONTINUED", "waitid:WSTOPPED", "kill:SIGSTOP",
	"kill:SIGCONT", "waitid:WCONTINUED", "waitid:CLD_STOPPED", "waitid:CLD_CONTINUED")
{
	siginfo_t si;
	int st;
	long pid = OK(abi_fork());

	if (pid == 0) {
		abi_sleep_ms(10000);
		_exit(0);
	}
	OK(SYS(kill, pid, SIGSTOP));
	EQ(SYS(wait4, pid, &st, WUNTRACED, NULL), pid);
	T(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	EQ(SYS(wait4, pid, &st, WUNTRACED | WNOHANG, NULL), 0); /* told once */
	abi_await_state(pid, 'T');
	OK(SYS(kill, pid, SIGCONT));
	EQ(SYS(wait4, pid, &st, WCONTINUED, NULL), pid);
	EQ(st, 0xffff);
	OK(SYS(kill, pid, SIGSTOP));
	OK(SYS(waitid, P_PID, pid, &si, WSTOPPED, NULL));
	T(si.si_code == CLD_STOPPED && si.si_status == SIGSTOP);
	OK(SYS(kill, pid, SIGCONT));
	OK(SYS(waitid, P_PID, pid, &si, WCONTINUED, NULL));
	T(si.si_code == CLD_CONTINUED && si.si_status == SIGCONT);
	OK(SYS(kill, pid, SIGSTOP));
	OK(SYS(kill, pid, SIGKILL)); /* reaches a stopped one */
	EQ(SYS(wait4, pid, &st, 0, NULL), pid);
	EQ(st, SIGKILL);
}

CASE(orphans, "getppid:orphan", "prctl:PR_SET_CHILD_SUBREAPER", "prctl:PR_GET_CHILD_SUBREAPER")
{
	int on = 0, st, fds[2];
	long pid, got = 0, me = SYS(getpid);

	OK(SYS(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	OK(SYS(prctl, PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
	EQ(on, 1);
	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		long parent = SYS(getpid);

		if (OK(abi_fork()) == 0) {
			while (SYS(getppid) == parent)
				abi_sleep_ms(2);
			got = SYS(getppid); /* orphan */
			EQ(SYS(write, fds[1], &got, 8), 8);
			_exit(3);
		}
		_exit(0);
	}
	EQ(abi_wait(pid), 0);
	EQ(SYS(read, fds[0], &got, 8), 8);
	EQ(got, me);
	T(OK(SYS(wait4, -1, &st, 0, NULL)) > 0);
	EQ(st, 3 << 8);
}

CASE(sigchld_ignored, "wait4:ECHILD", "rt_sigaction:SA_NOCLDWAIT", "rt_sigaction:SIG_IGN")
{
	struct sigaction act = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	int st;

	signal(SIGCHLD, SIG_IGN);
	if (OK(abi_fork()) == 0)
		_exit(1);
	ERR(SYS(wait4, -1, &st, 0, NULL), ECHILD); /* waits for the end all the same */
	T(sigaction(SIGCHLD, &act, NULL) == 0);
	if (OK(abi_fork()) == 0)
		_exit(1);
	ERR(SYS(wait4, -1, &st, 0, NULL), ECHILD);
}

CASE(clone_vm, "clone:CLONE_VM", "clone:CLONE_VFORK", "clone:CLONE_PARENT_SETTID",
	"clone:CLONE_CHILD_SETTID", "clone:EINVAL")
{
	int parent_tid = 0, child_tid = 0, st;
	long pid;

	shared_word = 0;
	pid = SYS(clone, CLONE_VM | CLONE_VFORK | SIGCHLD);
	if (pid == 0) {
		abi_sys(__NR_nanosleep, (long)&(struct timespec){0, 20000000}, 0, 0, 0, 0, 0);
		shared_word = 5;
		abi_sys(__NR_exit_group, 6, 0, 0, 0, 0, 0);
	}
	OK(pid);
	EQ(shared_word, 5); /* CLONE_VFORK: the parent waited; CLONE_VM: and sees the store */
	EQ(abi_wait(pid), 6 << 8);
#if defined(__x86_64__)
	pid = SYS(clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid,
		&child_tid, 0);
#else
	pid = SYS(clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid, 0,
		&child_tid);
#endif
	if (pid == 0)
		_exit(child_tid == SYS(gettid) ? 0 : 1);
	OK(pid);
	EQ(parent_tid, pid);
	EQ(child_tid, 0);
	st = abi_wait(pid);
	EQ(st, 0);
	ERR(SYS(clone, CLONE_THREAD | SIGCHLD), EINVAL);
	ERR(SYS(clone, CLONE_SIGHAND | SIGCHLD), EINVAL);
}

CASE(clone3, "clone3:CLONE_PIDFD", "clone3:CLONE_CLEAR_SIGHAND", "clone3:EINVAL", "clone3:E2BIG",
	"clone3:exit signal 0", "waitid:P_PIDFD")
{
	struct args3 a = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
	uint64_t big[16] = {};
	struct sigaction old;
	siginfo_t si;
	int pidfd = -1, st;
	long pid;

	a.pidfd = (uint64_t)(uintptr_t)&pidfd;
	pid = SYS(clone3, &a, sizeof(a));
	if (pid == 0)
		_exit(11);
	OK(pid);
	T(pidfd >= 0);
	EQ(SYS(fcntl, pidfd, F_GETFD), FD_CLOEXEC);
	OK(SYS(waitid, 3 /* P_PIDFD */, pidfd, &si, WEXITED, NULL));
	T(si.si_pid == pid && si.si_status == 11);
	signal(SIGUSR1, SIG_IGN);
	abi_handler(SIGUSR2, (void (*)(int))abort, 0);
	a = (struct args3){.flags = CLONE_CLEAR_SIGHAND, .exit_signal = 0};
	pid = SYS(clone3, &a, sizeof(a));
	if (pid == 0) {
		if (sigaction(SIGUSR2, NULL, &old) != 0 || old.sa_handler != SIG_DFL)
			_exit(1);
		_exit(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_IGN ? 0 : 1);
	}
	OK(pid);
	ERR(SYS(wait4, pid, &st, 0, NULL),
		ECHILD); /* exit signal 0: only __WALL or __WCLONE see it */
	EQ(SYS(wait4, pid, &st, __WALL, NULL), pid);
	EQ(st, 0);
	ERR(SYS(clone3, &a, 8), EINVAL);
	a = (struct args3){.exit_signal = 1000};
	ERR(SYS(clone3, &a, sizeof(a)), EINVAL);
	big[15] = 1;
	ERR(SYS(clone3, big, sizeof(big)), E2BIG);
}

CASE(pidfd, "pidfd_open:poll", "pidfd_send_signal:value", "pidfd_open:ESRCH", "pidfd_open:EINVAL",
	"pidfd_send_signal:ESRCH", "pidfd_send_signal:EINVAL", "pidfd_getfd:copies",
	"pidfd_getfd:EBADF", "pidfd_send_signal:EBADF")
{
	struct pollfd p;
	struct timespec now = {};
	int fds[2];
	long pid, pfd, copy;
	char c;

	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(dup3, fds[1], 40, 0));
		EQ(SYS(write, fds[1], "r", 1), 1);
		abi_sleep_ms(10000);
		_exit(0);
	}
	EQ(SYS(read, fds[0], &c, 1), 1);
	pfd = OK(SYS(pidfd_open, pid, 0));
	EQ(SYS(fcntl, pfd, F_GETFD), FD_CLOEXEC);
	p = (struct pollfd){.fd = (int)pfd, .events = POLLIN};
	EQ(SYS(ppoll, &p, 1, &now, NULL, 8), 0);
	copy = OK(SYS(pidfd_getfd, pfd, 40, 0)); /* copies */
	EQ(SYS(write, copy, "x", 1), 1);
	EQ(SYS(read, fds[0], &c, 1), 1);
	ERR(SYS(pidfd_getfd, pfd, 555, 0), EBADF);
	ERR(SYS(pidfd_send_signal, pfd, 1000, NULL, 0), EINVAL);
	ERR(SYS(pidfd_send_signal, fds[0], SIGTERM, NULL, 0), EBADF);
	OK(SYS(pidfd_send_signal, pfd, SIGTERM, NULL, 0)); /* value */
	EQ(SYS(ppoll, &p, 1, NULL, NULL, 8), 1);           /* poll: it has ended */
	EQ(abi_wait(pid), SIGTERM);
	ERR(SYS(pidfd_send_signal, pfd, 0, NULL, 0), ESRCH);
	ERR(SYS(pidfd_open, pid, 0), ESRCH);
	ERR(SYS(pidfd_open, -1, 0), EINVAL);
	ERR(SYS(pidfd_open, SYS(getpid), 1), EINVAL);
}

CASE(groups, "setpgid:own group", "getpgid:value", "setpgid:EPERM", "setpgid:ESRCH",
	"setpgid:EINVAL", "getpgid:ESRCH", "getsid:value", "setsid:EPERM", "setsid:new session",
	"getsid:ESRCH")
{
	long me = SYS(getpid);
	int fds[2];
	char c;

	/* The runner made this process the leader of a session. */
	EQ(SYS(getsid, 0), me);
	EQ(SYS(getpgid, 0), me);
	ERR(SYS(setsid), EPERM);
	ERR(SYS(setpgid, 0, 0), EPERM); /* a session leader stays */
	OK(SYS(pipe2, fds, 0));
	CHILD_OK
	{
		long pid = SYS(getpid), child;

		EQ(SYS(getpgid, 0), me);
		OK(SYS(setpgid, 0, 0)); /* own group */
		EQ(SYS(getpgid, 0), pid);
		EQ(SYS(getsid, 0), me);
		OK(SYS(setpgid, 0, me)); /* and back into one of the session */
		ERR(SYS(setpgid, 0, 1), EPERM);
		ERR(SYS(setpgid, 1, 0), ESRCH); /* neither self nor a child */
		ERR(SYS(setpgid, 0, -1), EINVAL);
		ERR(SYS(getpgid, 4000000), ESRCH);
		ERR(SYS(getsid, 4000000), ESRCH);
		EQ(SYS(setsid), pid); /* new session */
		EQ(SYS(getsid, 0), pid);
		EQ(SYS(getpgid, 0), pid);
		child = OK(abi_fork());
		if (child == 0) {
			SYS(setsid);
			EQ(SYS(write, fds[1], "x", 1), 1);
			abi_sleep_ms(10000);
			_exit(0);
		}
		EQ(SYS(read, fds[0], &c, 1), 1);
		ERR(SYS(setpgid, child, pid), EPERM); /* another session */
		OK(SYS(kill, child, SIGKILL));
		abi_wait(child);
	}
}

CASE(setpgid_exec, "setpgid:EACCES", "execve:image", "setpgid:of a child")
{
	char *argv[] = {abi_self, "--helper", "sleep", "10000", NULL};
	char name[32];
	long pid = OK(abi_fork());

	if (pid == 0) {
		SYS(execve, abi_self, argv, argv + 4);
		_exit(1);
	}
	for (int i = 0; i < 400; i++) {
		char path[64], *space;
		char text[256];

		snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
		OK(abi_slurp(path, text, sizeof(text)));
		space = text + strlen(text) + 1;
		if (strcmp(space, "--helper") == 0)
			break;
		abi_sleep_ms(5);
	}
	ERR(SYS(setpgid, pid, pid), EACCES); /* the child has executed something */
	OK(SYS(kill, pid, SIGKILL));
	abi_wait(pid);
	snprintf(name, sizeof(name), "unused");
	pid = OK(abi_fork());
	if (pid == 0) {
		abi_sleep_ms(10000);
		_exit(0);
	}
	OK(SYS(setpgid, pid, pid)); /* of a child */
	EQ(SYS(getpgid, pid), pid);
	OK(SYS(kill, -pid, SIGKILL));
	EQ(abi_wait(pid), SIGKILL);
}

CASE(prctl_name, "prctl:PR_SET_NAME", "prctl:PR_GET_NAME", "prctl:PR_SET_PDEATHSIG",
	"prctl:PR_GET_PDEATHSIG", "prctl:PR_SET_DUMPABLE", "prctl:PR_GET_DUMPABLE", "prctl:EINVAL",
	"prctl:PR_SET_NO_NEW_PRIVS", "prctl:PR_GET_NO_NEW_PRIVS", "prctl:PR_SET_TIMERSLACK",
	"prctl:PR_GET_TIMERSLACK")
{
	char name[32] = "";
	int sig = 0;

	OK(SYS(prctl, PR_SET_NAME, "a-name-longer-than-fits", 0, 0, 0));
	OK(SYS(prctl, PR_GET_NAME, name, 0, 0, 0));
	T(strcmp(name, "a-name-longer-t") == 0);
	OK(SYS(prctl, PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0));
	OK(SYS(prctl, PR_GET_PDEATHSIG, &sig, 0, 0, 0));
	EQ(sig, SIGUSR1);
	ERR(SYS(prctl, PR_SET_PDEATHSIG, 1000, 0, 0, 0), EINVAL);
	EQ(SYS(prctl, PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	OK(SYS(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
	EQ(SYS(prctl, PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	ERR(SYS(prctl, PR_SET_DUMPABLE, 7, 0, 0, 0), EINVAL);
	ERR(SYS(prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	OK(SYS(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EQ(SYS(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	OK(SYS(prctl, PR_SET_TIMERSLACK, 70000, 0, 0, 0));
	EQ(SYS(prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0), 70000);
	ERR(SYS(prctl, 99999, 0, 0, 0, 0), EINVAL);
}

CASE(pdeathsig, "prctl:PR_SET_PDEATHSIG", "wait4:SIGKILL status")
{
	int fds[2];
	char c;
	long pid;

	OK(SYS(pipe2, fds, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		if (OK(abi_fork()) == 0) {
			OK(SYS(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
			EQ(SYS(write, fds[1], "r", 1), 1);
			abi_sleep_ms(15000);
			EQ(SYS(write, fds[1], "late", 4), 4);
			_exit(0);
		}
		EQ(SYS(read, fds[0], &c, 1), 1);
		SYS(kill, SYS(getpid), SIGKILL);
	}
	OK(SYS(close, fds[1]));
	EQ(abi_wait(pid), SIGKILL);      /* SIGKILL status */
	EQ(SYS(read, fds[0], &c, 1), 0); /* the grandchild went with its parent */
}

CASE(rlimits, "prlimit64:get and set", "prlimit64:EINVAL", "prlimit64:EPERM", "prlimit64:ESRCH",
	"prlimit64:RLIMIT_CORE", "prlimit64:RLIM_INFINITY")
{
	struct {
		uint64_t soft, hard;
	} old, l = {100, 200};

	OK(SYS(prlimit64, 0, RLIMIT_CORE, &l, &old));
	OK(SYS(prlimit64, 0, RLIMIT_CORE, NULL, &old));
	T(old.soft == 100 && old.hard == 200); /* get and set */
	l.soft = 300;
	ERR(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL), EINVAL);
	ERR(SYS(prlimit64, 0, 99, NULL, &old), EINVAL);
	ERR(SYS(prlimit64, 4000000, RLIMIT_CORE, NULL, &old), ESRCH);
	l.soft = l.hard = RLIM_INFINITY;
	OK(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL)); /* root raises the hard one */
	CHILD_OK
	{
		OK(SYS(prlimit64, 0, RLIMIT_CORE, NULL, &old));
		T(old.soft == RLIM_INFINITY);
		l.soft = l.hard = 50;
		OK(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL));
		OK(SYS(setresuid, 1000, 1000, 1000));
		l.hard = 60;
		ERR(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL), EPERM);
	}
}

static long used_us(int who)
{
	struct rusage ru;

	OK(SYS(getrusage, who, &ru));
	return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 + ru.ru_utime.tv_usec +
	       ru.ru_stime.tv_usec;
}

/* Computes until this process was charged with 40 ms, or for five seconds. */
static void burn(void)
{
	long end = abi_now_ms() + 5000;

	while (used_us(RUSAGE_SELF) < 40000 && abi_now_ms() < end)
		;
}

CASE(usage, "getrusage:RUSAGE_SELF", "getrusage:RUSAGE_CHILDREN", "getrusage:EINVAL", "times:ticks",
	"getrusage:RUSAGE_THREAD")
{
	struct rusage ru;
	struct tms tms;
	long t;

	burn();
	T(used_us(RUSAGE_SELF) >= 40000);
	T(used_us(RUSAGE_THREAD) >= 40000);
	EQ(used_us(RUSAGE_CHILDREN), 0);
	OK(SYS(getrusage, RUSAGE_SELF, &ru));
	T(ru.ru_maxrss > 0 && ru.ru_minflt > 0);
	CHILD_OK
	{
		EQ(used_us(RUSAGE_SELF) < 40000, 1);
		burn();
	}
	T(used_us(RUSAGE_CHILDREN) >= 30000);
	ERR(SYS(getrusage, 99, &ru), EINVAL);
	t = OK(SYS(times, &tms));
	T(t > 0 && tms.tms_utime + tms.tms_stime >= 1 &&
		tms.tms_cutime + tms.tms_cstime >= 1); /* ticks */
}

static int tid_word;

CASE(tid_address, "set_tid_address:value", "set_robust_list:head", "get_robust_list:head",
	"set_robust_list:EINVAL", "clone:CLONE_CHILD_CLEARTID")
{
	struct robust_list_head head = {.list = {&head.list}}, *got = NULL;
	static char stack[32768] __attribute__((aligned(16)));
	size_t len = 0;
	long pid;

	EQ(SYS(set_tid_address, &tid_word), SYS(gettid)); /* value */
	OK(SYS(set_robust_list, &head, sizeof(head)));
	OK(SYS(get_robust_list, 0, &got, &len));
	T(got == &head && len == sizeof(head));
	ERR(SYS(set_robust_list, &head, 5), EINVAL);
	/* CLONE_CHILD_CLEARTID: the word is cleared and woken when the child leaves the memory. */
	(void)stack;
	tid_word = 1;
#if defined(__x86_64__)
	pid = SYS(clone, CLONE_VM | CLONE_VFORK | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, &tid_word,
		0);
#else
	pid = SYS(clone, CLONE_VM | CLONE_VFORK | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0,
		&tid_word);
#endif
	if (pid == 0)
		abi_sys(__NR_exit_group, 0, 0, 0, 0, 0, 0);
	OK(pid);
	EQ(abi_wait(pid), 0);
	EQ(tid_word, 0);
}

CASE(nproc_limit, "clone:EAGAIN", "prlimit64:RLIMIT_NPROC")
{
	struct {
		uint64_t soft, hard;
	} l = {0, 0};

	CHILD_OK
	{
		OK(SYS(setresuid, 4242, 4242, 4242));
		OK(SYS(prlimit64, 0, RLIMIT_NPROC, &l, NULL));
		ERR(SYS(clone, SIGCHLD), EAGAIN);
	}
}

CASE(core_status, "wait4:SIGSEGV status", "wait4:SIGABRT status", "kill:SIGQUIT")
{
	struct {
		uint64_t soft, hard;
	} l = {0, 0};
	int st;

	OK(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL));
	IN_CHILD(&st)
	{
		*(volatile int *)16 = 1;
	}
	EQ(WTERMSIG(st), SIGSEGV);
	IN_CHILD(&st)
	{
		SYS(kill, SYS(getpid), SIGABRT);
	}
	EQ(WTERMSIG(st), SIGABRT);
	IN_CHILD(&st)
	{
		SYS(kill, SYS(getpid), SIGQUIT);
	}
	EQ(WTERMSIG(st), SIGQUIT);
}
