/* signals.c: actions, masks, delivery, frames and default behaviour. */
#define ABI_FAMILY "signals"
#include "../abi.h"
#include <sys/prctl.h>
#include <ucontext.h>

static volatile sig_atomic_t nr_seen, last_signal, depth, deepest;
static volatile siginfo_t last_info;
static volatile long last_stack;

static void count(int sig)
{
	nr_seen = nr_seen + 1;
	last_signal = sig;
}

static void nest(int sig)
{
	depth = depth + 1;
	if (depth > deepest)
		deepest = depth;
	nr_seen = nr_seen + 1;
	if (nr_seen < 3)
		SYS(kill, SYS(getpid), sig);
	depth = depth - 1;
}

static void note_info(int sig, siginfo_t *info, void *context)
{
	int here;

	(void)context;
	nr_seen = nr_seen + 1;
	last_signal = sig;
	*(siginfo_t *)&last_info = *info;
	last_stack = (long)&here;
}

static void set_action(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = {.sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO};

	T(sigaction(sig, &act, NULL) == 0);
}

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

static long raise_self(int sig)
{
	return SYS(tgkill, SYS(getpid), SYS(gettid), sig);
}

/* The kernel's own struct sigaction: libc's differs. */
struct kernel_action {
	uint64_t handler, flags, restorer, mask;
};

CASE(action, "rt_sigaction:old action", "rt_sigaction:EINVAL", "rt_sigaction:EFAULT",
	"rt_sigaction:SIGKILL", "rt_sigaction:mask without SIGKILL", "rt_sigreturn:resumes",
	"rt_sigaction:SA_RESTART")
{
	struct kernel_action act = {}, old = {};

	abi_handler(SIGUSR1, count, SA_RESTART);
	OK(SYS(rt_sigaction, SIGUSR1, NULL, &old, 8)); /* old action */
	T(old.handler == (uint64_t)(uintptr_t)count && (old.flags & SA_RESTART));
	act = old;
	act.mask = bit(SIGKILL) | bit(SIGUSR2) | bit(SIGSTOP);
	OK(SYS(rt_sigaction, SIGUSR1, &act, NULL, 8));
	OK(SYS(rt_sigaction, SIGUSR1, NULL, &old, 8));
	EQ(old.mask, bit(SIGUSR2)); /* mask without SIGKILL */
	ERR(SYS(rt_sigaction, SIGKILL, &act, NULL, 8), EINVAL);
	ERR(SYS(rt_sigaction, SIGSTOP, &act, NULL, 8), EINVAL);
	OK(SYS(rt_sigaction, SIGKILL, NULL, &old, 8));
	ERR(SYS(rt_sigaction, 0, NULL, &old, 8), EINVAL);
	ERR(SYS(rt_sigaction, 65, NULL, &old, 8), EINVAL);
	ERR(SYS(rt_sigaction, SIGUSR1, NULL, &old, 4), EINVAL);
	ERR(SYS(rt_sigaction, SIGUSR1, (void *)-4096L, NULL, 8), EFAULT);
	OK(raise_self(SIGUSR1));
	EQ(nr_seen, 1); /* resumes behind the call */
}

CASE(nodefer, "rt_sigaction:SA_NODEFER", "kill:blocked in handler")
{
	abi_handler(SIGUSR1, nest, 0);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 3);
	EQ(deepest, 1); /* blocked in handler */
	nr_seen = deepest = 0;
	abi_handler(SIGUSR1, nest, SA_NODEFER);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 3);
	EQ(deepest, 3);
}

CASE(resethand, "rt_sigaction:SA_RESETHAND", "kill:default ends")
{
	struct sigaction old;
	int st;

	abi_handler(SIGUSR1, count, (int)SA_RESETHAND);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 1);
	T(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	IN_CHILD(&st)
	{
		SYS(kill, SYS(getpid), SIGUSR1); /* default ends */
	}
	EQ(st, SIGUSR1);
}

CASE(siginfo, "rt_sigaction:SA_SIGINFO", "kill:SI_USER", "tgkill:SI_TKILL",
	"rt_sigqueueinfo:SI_QUEUE", "rt_sigqueueinfo:EPERM", "rt_tgsigqueueinfo:SI_QUEUE",
	"rt_sigqueueinfo:value")
{
	siginfo_t si = {.si_code = SI_QUEUE};
	long me = SYS(getpid);

	set_action(SIGUSR1, note_info, 0); /* SA_SIGINFO */
	OK(SYS(kill, me, SIGUSR1));
	T(last_info.si_code == SI_USER && last_info.si_pid == me && last_info.si_uid == 0);
	OK(SYS(tgkill, me, me, SIGUSR1));
	EQ(last_info.si_code, SI_TKILL);
	si.si_value.sival_int = 4711;
	si.si_signo = SIGUSR1;
	OK(SYS(rt_sigqueueinfo, me, SIGUSR1, &si));
	T(last_info.si_code == SI_QUEUE && last_info.si_value.sival_int == 4711); /* value */
	si.si_value.sival_int = 4712;
	OK(SYS(rt_tgsigqueueinfo, me, me, SIGUSR1, &si));
	EQ(last_info.si_value.sival_int, 4712);
	EQ(nr_seen, 4);
	CHILD_OK
	{
		si.si_code = SI_USER; /* only the kernel may say so to another process */
		ERR(SYS(rt_sigqueueinfo, me, SIGUSR1, &si), EPERM);
	}
}

CASE(mask, "rt_sigprocmask:SIG_BLOCK", "rt_sigprocmask:SIG_UNBLOCK", "rt_sigprocmask:SIG_SETMASK",
	"rt_sigprocmask:EINVAL", "rt_sigpending:set", "rt_sigprocmask:EFAULT",
	"rt_sigpending:EINVAL", "rt_sigprocmask:SIGKILL never")
{
	uint64_t set = bit(SIGUSR1) | bit(SIGKILL), old = 1;

	abi_handler(SIGUSR1, count, 0);
	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, &old, 8));
	EQ(old, 0);
	OK(SYS(rt_sigprocmask, 99, NULL, &old, 8)); /* without a set `how` is not looked at */
	EQ(old, bit(SIGUSR1));                      /* SIGKILL never */
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 0);
	OK(SYS(rt_sigpending, &set, 8)); /* set */
	EQ(set, bit(SIGUSR1));
	OK(SYS(rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8));
	EQ(nr_seen, 1); /* a standard signal does not queue */
	set = bit(SIGUSR2);
	OK(SYS(rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
	OK(SYS(rt_sigprocmask, SIG_SETMASK, NULL, &old, 8));
	EQ(old, bit(SIGUSR2));
	ERR(SYS(rt_sigprocmask, 99, &set, NULL, 8), EINVAL);
	ERR(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
	ERR(SYS(rt_sigprocmask, SIG_BLOCK, (void *)-4096L, NULL, 8), EFAULT);
	ERR(SYS(rt_sigpending, &set, 16), EINVAL);
}

CASE(realtime_queue, "rt_sigqueueinfo:queues", "rt_sigqueueinfo:lowest first",
	"rt_sigprocmask:SIG_UNBLOCK", "rt_sigqueueinfo:EAGAIN")
{
	siginfo_t si = {.si_code = SI_QUEUE};
	uint64_t set = bit(40) | bit(41);
	struct {
		uint64_t soft, hard;
	} l = {10, 10};
	long me = SYS(getpid), got = 0;

	set_action(40, note_info, 0);
	set_action(41, note_info, 0);
	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	for (int i = 0; i < 3; i++) {
		si.si_value.sival_int = i;
		OK(SYS(rt_sigqueueinfo, me, 41, &si)); /* queues */
		OK(SYS(rt_sigqueueinfo, me, 40, &si));
	}
	OK(SYS(rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8));
	EQ(nr_seen, 6);
	/* lowest first: 40 is taken before 41, so the frame of 41 lies below and runs last. */
	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	OK(SYS(prlimit64, 0, RLIMIT_SIGPENDING, &l, NULL));
	for (int i = 0; i < 100 && got == 0; i++)
		got = SYS(rt_sigqueueinfo, me, 40, &si);
	EQ(got, -EAGAIN);
}

CASE(altstack, "rt_sigaction:SA_ONSTACK", "sigaltstack:ENOMEM", "sigaltstack:EINVAL",
	"sigaltstack:SS_DISABLE", "sigaltstack:EFAULT")
{
	static char stack[65536] __attribute__((aligned(16)));
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;

	OK(SYS(sigaltstack, &ss, &old));
	EQ(old.ss_flags, SS_DISABLE);
	set_action(SIGUSR1, note_info, SA_ONSTACK);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	T(last_stack > (long)stack && last_stack < (long)stack + (long)sizeof(stack));
	set_action(SIGUSR1, note_info, 0);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	T(last_stack < (long)stack || last_stack >= (long)stack + (long)sizeof(stack));
	OK(SYS(sigaltstack, NULL, &old));
	T(old.ss_sp == stack && old.ss_size == sizeof(stack) && old.ss_flags == 0);
	ss.ss_size = 100;
	ERR(SYS(sigaltstack, &ss, NULL), ENOMEM);
	ss.ss_size = sizeof(stack);
	ss.ss_flags = 0x100;
	ERR(SYS(sigaltstack, &ss, NULL), EINVAL);
	ERR(SYS(sigaltstack, (void *)-4096L, NULL), EFAULT);
	ss.ss_flags = SS_DISABLE;
	OK(SYS(sigaltstack, &ss, NULL));
	OK(SYS(sigaltstack, NULL, &old));
	EQ(old.ss_flags, SS_DISABLE);
}

static char other_stack[65536] __attribute__((aligned(16)));
static volatile long altstack_answer, altstack_flags;

static void try_altstack(int sig, siginfo_t *info, void *context)
{
	stack_t ss = {.ss_sp = other_stack + 4096, .ss_size = 16384}, old;

	(void)sig, (void)info, (void)context;
	altstack_answer = SYS(sigaltstack, &ss, NULL);
	SYS(sigaltstack, NULL, &old);
	altstack_flags = old.ss_flags;
}

CASE(altstack_busy, "sigaltstack:EPERM", "sigaltstack:SS_ONSTACK", "rt_sigaction:SA_ONSTACK")
{
	stack_t ss = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};

	OK(SYS(sigaltstack, &ss, NULL));
	set_action(SIGUSR1, try_altstack, SA_ONSTACK);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(altstack_answer, -EPERM);
	EQ(altstack_flags, SS_ONSTACK);
}

CASE(default_actions, "kill:ignored by default", "kill:terminates by default",
	"kill:stops by default", "wait4:WUNTRACED")
{
	static const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
	static const int fatal[] = {SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2,
		SIGPROF, SIGVTALRM, SIGIO, SIGPWR, SIGSTKFLT, 34, 50, 64};
	static const int stopping[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	int st;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(int); i++)
		CHILD_OK
		{
			OK(raise_self(ignored[i])); /* ignored by default */
		}
	for (size_t i = 0; i < sizeof(fatal) / sizeof(int); i++) {
		IN_CHILD(&st)
		{
			SYS(kill, SYS(getpid), fatal[i]); /* terminates by default */
		}
		EQ(st, fatal[i]);
	}
	/* In an orphaned group the three of the terminal do not stop: a parent in the session. */
	for (size_t i = 0; i < sizeof(stopping) / sizeof(int); i++) {
		long pid = OK(abi_fork());

		if (pid == 0) {
			OK(SYS(setpgid, 0, 0));
			SYS(kill, SYS(getpid), stopping[i]); /* stops by default */
			_exit(0);
		}
		EQ(SYS(wait4, pid, &st, WUNTRACED, NULL), pid);
		T(WIFSTOPPED(st) && WSTOPSIG(st) == stopping[i]);
		OK(SYS(kill, pid, SIGCONT));
		EQ(abi_wait(pid), 0);
	}
}

CASE(orphaned_stop, "kill:SIGTSTP orphaned group", "setsid:new session")
{
	CHILD_OK
	{
		OK(SYS(setsid));
		OK(SYS(kill, SYS(getpid), SIGTSTP)); /* orphaned group: not stopped */
	}
}

CASE(kill_errors, "kill:ESRCH", "kill:EINVAL", "kill:EPERM", "kill:signal 0", "tgkill:ESRCH",
	"tgkill:EINVAL", "tkill:value", "tkill:ESRCH", "kill:process group", "tkill:EINVAL")
{
	long me = SYS(getpid), a, b;

	OK(SYS(kill, me, 0)); /* signal 0 */
	ERR(SYS(kill, 4000000, 0), ESRCH);
	ERR(SYS(kill, -4000000, SIGTERM), ESRCH);
	ERR(SYS(kill, me, 65), EINVAL);
	ERR(SYS(kill, me, -1), EINVAL);
	ERR(SYS(tgkill, me, 4000000, 0), ESRCH);
	ERR(SYS(tgkill, me + 1, me, 0), ESRCH);
	ERR(SYS(tgkill, 0, me, 0), EINVAL);
	ERR(SYS(tkill, 4000000, 0), ESRCH);
	ERR(SYS(tkill, 0, 0), EINVAL);
	abi_handler(SIGUSR1, count, 0);
	OK(SYS(tkill, me, SIGUSR1)); /* value */
	EQ(nr_seen, 1);
	a = OK(abi_fork());
	if (a == 0) {
		OK(SYS(setpgid, 0, 0));
		b = OK(abi_fork());
		if (b == 0) {
			abi_sleep_ms(10000);
			_exit(0);
		}
		nr_seen = 0;
		abi_handler(SIGTERM, count, 0);
		OK(SYS(kill, 0, SIGTERM)); /* process group: self and the child */
		EQ(nr_seen, 1);
		EQ(abi_wait(b), SIGTERM);
		_exit(0);
	}
	EQ(abi_wait(a), 0);
	CHILD_OK
	{
		OK(SYS(setresuid, 1000, 1000, 1000));
		ERR(SYS(kill, me, SIGTERM), EPERM);
		ERR(SYS(kill, 1, 0), EPERM);
	}
}

CASE(fault_info, "signal:SEGV_MAPERR", "signal:SEGV_ACCERR", "signal:BUS_ADRERR",
	"signal:ILL_ILLOPN", "signal:TRAP_BRKPT", "rt_sigaction:SA_SIGINFO")
{
	/* The five are checked in children, each by the exit status of its handler. */
	extern void fault_exit(int sig, siginfo_t *info, void *context);
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));
	char *beyond = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
	int st;

	set_action(SIGSEGV, fault_exit, 0); /* SA_SIGINFO */
	set_action(SIGBUS, fault_exit, 0);
	set_action(SIGILL, fault_exit, 0);
	set_action(SIGTRAP, fault_exit, 0);
	IN_CHILD(&st)
	{
		*(volatile int *)0x20 = 1;
	}
	EQ(st, SEGV_MAPERR << 8);
	IN_CHILD(&st)
	{
		*(volatile char *)page = 1;
	}
	EQ(st, SEGV_ACCERR << 8);
	IN_CHILD(&st)
	{
		*(volatile char *)beyond = 1;
	}
	EQ(st, (0x10 | BUS_ADRERR) << 8);
	IN_CHILD(&st)
	{
#if defined(__x86_64__)
		__asm__ volatile("ud2");
#else
		__asm__ volatile(".inst 0x00000000");
#endif
	}
	T(st == (0x20 | ILL_ILLOPN) << 8 || st == (0x20 | ILL_ILLOPC) << 8);
	IN_CHILD(&st)
	{
#if defined(__x86_64__)
		__asm__ volatile("int3");
#else
		__asm__ volatile("brk #0");
#endif
	}
	/* x86 says SI_KERNEL (0x80), Arm TRAP_BRKPT. */
	T(st == (0x30 | TRAP_BRKPT) << 8 || st == 0xb0 << 8);
}

void fault_exit(int sig, siginfo_t *info, void *context)
{
	int kind = sig == SIGSEGV ? 0 : sig == SIGBUS ? 0x10 : sig == SIGILL ? 0x20 : 0x30;

	(void)context;
	if (sig == SIGSEGV && info->si_code == SEGV_MAPERR && info->si_addr != (void *)0x20)
		_exit(0x7f);
	_exit(kind | info->si_code);
}

CASE(fault_blocked, "signal:SIGSEGV while blocked", "signal:SIGSEGV ignored",
	"rt_sigprocmask:SIG_BLOCK")
{
	struct {
		uint64_t soft, hard;
	} l = {0, 0};
	uint64_t set = bit(SIGSEGV);
	int st;

	SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL);
	abi_handler(SIGSEGV, count, 0);
	OK(SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	IN_CHILD(&st)
	{
		*(volatile int *)0x20 = 1;
	}
	EQ(WTERMSIG(st), SIGSEGV);
	abi_unblock(SIGSEGV);
	signal(SIGSEGV, SIG_IGN);
	IN_CHILD(&st)
	{
		*(volatile int *)0x20 = 1;
	}
	EQ(WTERMSIG(st), SIGSEGV);
}

static char *guard_page;

static void open_page(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	nr_seen = nr_seen + 1;
	if ((char *)info->si_addr == guard_page)
		SYS(mprotect, guard_page, 4096, PROT_READ | PROT_WRITE);
	else
		_exit(9);
}

CASE(fault_retried, "rt_sigreturn:retries the access", "mprotect:PROT_NONE", "signal:si_addr")
{
	guard_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T(guard_page != MAP_FAILED);
	OK(SYS(mprotect, guard_page, 4096, PROT_NONE));
	set_action(SIGSEGV, open_page, 0);
	*(volatile char *)guard_page = 7; /* retries the access */
	EQ(nr_seen, 1);
	EQ(*guard_page, 7);
}

static void change_context(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig, (void)info;
#if defined(__x86_64__)
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234;
#else
	uc->uc_mcontext.regs[19] = 0x1234;
#endif
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

CASE(context, "rt_sigreturn:registers", "rt_sigreturn:signal mask", "rt_sigaction:SA_SIGINFO")
{
	uint64_t mask = 0;
	long value = 1, pid = SYS(getpid), nr = __NR_kill;

	set_action(SIGUSR1, change_context, 0); /* SA_SIGINFO */
#if defined(__x86_64__)
	__asm__ volatile("mov $1, %%rbx\n syscall\n mov %%rbx, %0"
		: "=r"(value), "+a"(nr)
		: "D"(pid), "S"((long)SIGUSR1)
		: "rbx", "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = pid;
	register long x1 __asm__("x1") = SIGUSR1;

	__asm__ volatile("mov x19, #1\n svc 0\n mov %0, x19"
		: "=&r"(value), "+r"(x0)
		: "r"(x8), "r"(x1)
		: "x19", "memory");
#endif
	EQ(value, 0x1234); /* registers: the handler's change arrives */
	OK(SYS(rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8));
	EQ(mask, bit(SIGUSR2)); /* signal mask */
}

static volatile double float_sink;

static void spoil_float(int sig)
{
	double x = 1.5;

	(void)sig;
	for (int i = 0; i < 50; i++)
		x = x * 1.01 + (double)i;
	float_sink = x;
	nr_seen = nr_seen + 1;
}

CASE(float_state, "rt_sigreturn:floating point state", "kill:SI_USER")
{
	double a[16], b[16];

	abi_handler(SIGUSR1, spoil_float, 0);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 16; i++)
			a[i] = i * 1.25 + round;
		for (int i = 0; i < 16; i++)
			b[i] = a[i] * 2.0;
		T(SYS(kill, SYS(getpid), SIGUSR1) != 999 /* SI_USER */);
		for (int i = 0; i < 16; i++)
			T(b[i] == a[i] * 2.0);
	}
	EQ(nr_seen, 100);
}

CASE(lost_stack, "signal:no stack for the frame", "sigaltstack:rescues")
{
	static char stack[32768] __attribute__((aligned(16)));
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct {
		uint64_t soft, hard;
	} l = {0, 0};
	int st;

	SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL);
	set_action(SIGSEGV, (void (*)(int, siginfo_t *, void *))fault_exit, 0);
	for (int round = 0; round < 2; round++) {
		IN_CHILD(&st)
		{
			if (round) {
				OK(SYS(sigaltstack, &ss, NULL));
				set_action(SIGSEGV, fault_exit, SA_ONSTACK);
			}
#if defined(__x86_64__)
			__asm__ volatile("mov $0x30, %rsp\n push %rax");
#else
			__asm__ volatile("mov sp, #0x40\n str x0, [sp, #-16]!");
#endif
		}
		if (round == 0)
			EQ(WTERMSIG(st), SIGSEGV); /* no stack for the frame */
		else
			EQ(st, 0x7f << 8); /* rescues: the address was another than 0x20 */
	}
}
