/*
 * state.c: the machine state of a task: vector and floating point registers over switches, fork,
 * signals and calls; thread pointers; what the processor tells about itself.
 */
#define ABI_FAMILY "state"
#include "../abi.h"
#include <elf.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <ucontext.h>

static volatile sig_atomic_t nr_seen;

#if defined(__x86_64__)
#define REGISTER_BYTES 32
#define NR_VECTORS     16

static bool has_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (c >> 27 & 1) && (c >> 28 & 1);
}

[[gnu::target("avx")]] static void load_vectors(const unsigned char *from)
{
	__asm__ volatile("vmovdqu 0(%0), %%ymm0\n vmovdqu 32(%0), %%ymm1\n vmovdqu 224(%0), "
			 "%%ymm7\n"
			 "vmovdqu 256(%0), %%ymm8\n vmovdqu 480(%0), %%ymm15\n"
		:
		: "r"(from)
		: "xmm0", "xmm1", "xmm7", "xmm8", "xmm15");
}

[[gnu::target("avx")]] static void store_vectors(unsigned char *to)
{
	__asm__ volatile("vmovdqu %%ymm0, 0(%0)\n vmovdqu %%ymm1, 32(%0)\n vmovdqu %%ymm7, "
			 "224(%0)\n"
			 "vmovdqu %%ymm8, 256(%0)\n vmovdqu %%ymm15, 480(%0)\n"
		:
		: "r"(to)
		: "memory");
}
#else
#define REGISTER_BYTES 16
#define NR_VECTORS     32

static bool has_avx(void)
{
	return true;
}

static void load_vectors(const unsigned char *from)
{
	__asm__ volatile("ldp q0, q1, [%0]\n ldr q7, [%0, #112]\n ldr q8, [%0, #128]\n ldr q15, "
			 "[%0, #240]\n"
			 "ldr q31, [%0, #496]\n"
		:
		: "r"(from)
		: "v0", "v1", "v7", "v8", "v15", "v31");
}

static void store_vectors(unsigned char *to)
{
	__asm__ volatile("stp q0, q1, [%0]\n str q7, [%0, #112]\n str q8, [%0, #128]\n str q15, "
			 "[%0, #240]\n"
			 "str q31, [%0, #496]\n"
		:
		: "r"(to)
		: "memory");
}
#endif

static const int used[] = {
	0,
	1,
	7,
	8,
	15,
#if defined(__aarch64__)
	31,
#endif
};

static void fill(unsigned char *values, int seed)
{
	for (int i = 0; i < REGISTER_BYTES * NR_VECTORS; i++)
		values[i] = (unsigned char)(i * 13 + seed * 29 + 1);
}

static bool same(const unsigned char *a, const unsigned char *b)
{
	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		if (memcmp(a + used[i] * REGISTER_BYTES, b + used[i] * REGISTER_BYTES,
			    REGISTER_BYTES) != 0)
			return false;
	return true;
}

static void need_vectors(void)
{
	if (!has_avx())
		abi_skip("this processor has no AVX");
}

/* One system call with the vectors live around it: nothing of C may come between. */
#define AROUND(values, after, nr, a, b)                                                            \
	do {                                                                                       \
		load_vectors(values);                                                              \
		abi_sys(nr, (long)(a), (long)(b), 0, 0, 0, 0);                                     \
		store_vectors(after);                                                              \
	} while (0)

CASE(vectors_switch, "sched_yield:vector registers", "nanosleep:vector registers",
	"clone:vector registers", "wait4:status")
{
	unsigned char mine[REGISTER_BYTES * NR_VECTORS], after[REGISTER_BYTES * NR_VECTORS] = {};
	struct timespec ts = {0, 1000000};
	long pids[3];

	need_vectors();
	for (int i = 0; i < 3; i++) {
		pids[i] = OK(abi_fork());
		if (pids[i] == 0) {
			fill(mine, i);
			for (int n = 0; n < 200; n++) {
				memset(after, 0, sizeof(after));
				AROUND(mine, after, __NR_sched_yield, 0, 0);
				T(same(mine, after));
			}
			for (int n = 0; n < 10; n++) {
				memset(after, 0, sizeof(after));
				AROUND(mine, after, __NR_nanosleep, &ts, 0);
				T(same(mine, after));
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 3; i++)
		EQ(abi_wait(pids[i]), 0);
	EQ(SYS(sched_yield), 0);
	EQ(SYS(nanosleep, &ts, NULL), 0);
	/* fork: the child has them too. */
	fill(mine, 9);
	load_vectors(mine);
	long pid = abi_sys(__NR_clone, SIGCHLD, 0, 0, 0, 0, 0);
	store_vectors(after);
	if (pid == 0)
		_exit(same(mine, after) ? 0 : 1);
	T(same(mine, after));
	EQ(abi_wait(pid), 0);
}

static void spoil(int sig)
{
	unsigned char other[REGISTER_BYTES * NR_VECTORS];

	(void)sig;
	memset(other, 0xee, sizeof(other));
	load_vectors(other);
	nr_seen = nr_seen + 1;
}

CASE(vectors_signal, "rt_sigreturn:vector registers", "kill:vector registers")
{
	unsigned char mine[REGISTER_BYTES * NR_VECTORS], after[REGISTER_BYTES * NR_VECTORS] = {};
	long me = SYS(getpid);

	need_vectors();
	abi_handler(SIGUSR1, spoil, 0);
	for (int n = 0; n < 50; n++) {
		fill(mine, n);
		memset(after, 0, sizeof(after));
		AROUND(mine, after, __NR_kill, me, SIGUSR1);
		T(same(mine, after));
	}
	EQ(nr_seen, 50);
}

CASE(vectors_exec, "execve:clean state", "rt_sigaction:frame size")
{
	/* The frame must fit AT_MINSIGSTKSZ on an alternative stack of exactly that and a little.
	 */
	size_t size = getauxval(AT_MINSIGSTKSZ) + 2048;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = {.ss_sp = stack, .ss_size = size};
	char *argv[] = {abi_self, "--helper", "exit", "3", NULL};
	int st;

	T(stack != MAP_FAILED);
	T(sigaltstack(&ss, NULL) == 0);
	abi_handler(SIGUSR1, spoil, SA_ONSTACK);
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(nr_seen, 1); /* frame size */
	T(sigaction(SIGUSR1, NULL, NULL) == 0);
	IN_CHILD(&st)
	{
		spoil(0);
		SYS(execve, abi_self, argv, argv + 4); /* clean state */
	}
	EQ(st, 3 << 8);
}

static __thread int thread_value;
static pthread_barrier_t barrier;

static void *thread_body(void *arg)
{
	long n = (long)arg, wrong = 0;

	thread_value = (int)n;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 300; i++) {
		SYS(sched_yield);
		wrong += thread_value != n;
	}
	return (void *)wrong;
}

CASE(thread_pointer, "sched_yield:thread pointer", "futex:barrier of threads")
{
	struct timespec ts = {0, 1000};
	static uint32_t word;
	pthread_t t[4];
	void *wrong;

	T(pthread_barrier_init(&barrier, NULL, 4) == 0);
	for (long i = 0; i < 4; i++)
		T(pthread_create(&t[i], NULL, thread_body, (void *)(i + 10)) == 0);
	for (int i = 0; i < 4; i++) {
		T(pthread_join(t[i], &wrong) == 0);
		EQ(wrong, 0);
	}
	EQ(SYS(sched_yield), 0);
	ERR(SYS(futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT); /* barrier of threads */
}

CASE(processor, "auxv:AT_HWCAP", "auxv:AT_PLATFORM", "auxv:identification")
{
	T(getauxval(AT_HWCAP) != 0);
	T(getauxval(AT_PLATFORM) != 0);
#if defined(__aarch64__)
	uint64_t value;

	/* identification: EL0 may read these, the kernel emulates it (HWCAP_CPUID). */
	T(getauxval(AT_HWCAP) & (1ul << 11));
	__asm__ volatile("mrs %0, ID_AA64ISAR0_EL1" : "=r"(value));
	__asm__ volatile("mrs %0, MIDR_EL1" : "=r"(value));
	T(value != 0);
	__asm__ volatile("mrs %0, ctr_el0" : "=r"(value));
	T(value != 0);
#else
	/* identification: CPUID's word of leaf 1, with FPU and SSE2; libc shows a value of its own.
	 */
	unsigned long entries[128] = {}, hwcap = 0;

	OK(abi_slurp("/proc/self/auxv", (char *)entries, sizeof(entries)));
	for (int i = 0; i < 128 && entries[i] != AT_NULL; i += 2)
		if (entries[i] == AT_HWCAP)
			hwcap = entries[i + 1];
	T((hwcap & 1) && (hwcap >> 26 & 1));
#endif
}

CASE(call_registers, "getppid:registers kept", "getpid:registers kept")
{
	long want = OK(SYS(getppid));

	EQ(SYS(getpid) > 0, 1);
#if defined(__x86_64__)
	long ax = __NR_getppid, bx = 1, r12 = 0, r15 = 0, dx = 4, si = 5, di = 6, r8 = 0, r9 = 0,
	     r10 = 0;

	/* All but rax, rcx and r11 come back as they were. */
	__asm__ volatile("mov $101, %%rbx\n mov $102, %%r12\n mov $103, %%r15\n mov $104, %%r8\n"
			 "mov $105, %%r9\n mov $106, %%r10\n syscall\n"
			 "mov %%rbx, %1\n mov %%r12, %2\n mov %%r15, %3\n mov %%r8, %4\n mov %%r9, "
			 "%5\n mov %%r10, %6"
		: "+a"(ax), "=m"(bx), "=m"(r12), "=m"(r15), "=m"(r8), "=m"(r9), "=m"(r10), "+d"(dx),
		"+S"(si), "+D"(di)
		:
		: "rbx", "r12", "r15", "r8", "r9", "r10", "rcx", "r11", "memory", "cc");
	EQ(ax, want);
	T(bx == 101 && r12 == 102 && r15 == 103 && r8 == 104 && r9 == 105 && r10 == 106);
	T(dx == 4 && si == 5 && di == 6);
#else
	register long x8 __asm__("x8") = __NR_getppid;
	register long x0 __asm__("x0") = 0;
	register long x1 __asm__("x1") = 11;
	register long x5 __asm__("x5") = 15;
	register long x17 __asm__("x17") = 117;

	__asm__ volatile("svc 0" : "+r"(x0), "+r"(x1), "+r"(x5), "+r"(x17), "+r"(x8) : : "memory");
	EQ(x0, want);
	T(x1 == 11 && x5 == 15 && x17 == 117 && x8 == __NR_getppid);
#endif
}

#if defined(__x86_64__)

static volatile long saved_code, saved_trap;

static void note_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	saved_code = info->si_code;
	saved_trap = uc->uc_mcontext.gregs[REG_TRAPNO];
	_exit((int)saved_trap << 3 | (info->si_code & 7));
}

CASE(traps, "signal:FPE_INTDIV", "signal:SI_KERNEL for privileged code", "rt_sigaction:SA_SIGINFO")
{
	struct sigaction act = {.sa_sigaction = note_trap, .sa_flags = SA_SIGINFO};
	int st;

	T(sigaction(SIGFPE, &act, NULL) == 0 && sigaction(SIGSEGV, &act, NULL) == 0);
	IN_CHILD(&st)
	{
		__asm__ volatile("xor %%edx, %%edx\n mov $1, %%eax\n xor %%ecx, %%ecx\n div "
				 "%%ecx" ::
					 : "eax", "ecx", "edx");
	}
	EQ(st, (0 << 3 | FPE_INTDIV) << 8);
	IN_CHILD(&st)
	{
		__asm__ volatile("hlt");
	}
	EQ(WEXITSTATUS(st) & 0xff,
		(13 << 3 | (0x80 & 7)) & 0xff); /* SI_KERNEL for privileged code */
	IN_CHILD(&st)
	{
		__asm__ volatile("movq $0, (%0)" ::"r"(1ul << 62)); /* no canonical address: a
								       general protection fault */
	}
	EQ(WEXITSTATUS(st), 13 << 3);
}

CASE(flags, "rt_sigreturn:direction flag", "rt_sigreturn:rflags")
{
	unsigned long before, after;

	abi_handler(SIGUSR1, spoil, 0);
	long me = SYS(getpid), nr = __NR_kill;

	/* A handler starts with DF clear; the interrupted code gets its own back. */
	__asm__ volatile("std\n pushfq\n pop %0\n syscall\n pushfq\n pop %1\n cld"
		: "=&r"(before), "=&r"(after), "+a"(nr)
		: "D"(me), "S"((long)SIGUSR1)
		: "rcx", "r11", "memory", "cc");
	EQ(nr_seen, 1);
	EQ(before & 0x400, 0x400); /* direction flag */
	EQ(after & 0x400, 0x400);
}

#endif
