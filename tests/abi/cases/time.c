/* time.c: clocks, sleeping, interval and POSIX timers. */
#define ABI_FAMILY "time"
#include "../abi.h"
#include <dlfcn.h>
#include <sys/auxv.h>
#include <sys/timex.h>

static volatile sig_atomic_t nr_seen;
static volatile int last_value, last_code;

static void count(int sig)
{
	(void)sig;
	nr_seen = nr_seen + 1;
}

static void note_info(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	last_value = info->si_value.sival_int;
	last_code = info->si_code;
	nr_seen = nr_seen + 1;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec ts = {};

	OK(SYS(clock_gettime, clock, &ts));
	T(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

CASE(clocks, "clock_gettime:CLOCK_REALTIME", "clock_gettime:CLOCK_MONOTONIC",
	"clock_gettime:CLOCK_BOOTTIME", "clock_gettime:CLOCK_MONOTONIC_RAW",
	"clock_gettime:CLOCK_REALTIME_COARSE", "clock_gettime:EINVAL",
	"clock_gettime:CLOCK_MONOTONIC_COARSE", "clock_gettime:CLOCK_TAI", "clock_gettime:EFAULT")
{
	static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
		CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_TAI};
	struct timespec ts;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		int64_t a = ns_of(ids[i]), b;

		for (int n = 0; n < 100; n++) {
			b = ns_of(ids[i]);
			T(b >= a);
			a = b;
		}
	}
	T(ns_of(CLOCK_REALTIME) > 1600000000000000000);
	T(ns_of(CLOCK_BOOTTIME) - ns_of(CLOCK_MONOTONIC) >= -1000000);
	ERR(SYS(clock_gettime, 99, &ts), EINVAL);
	ERR(SYS(clock_gettime, CLOCK_REALTIME, (void *)-4096L), EFAULT);
}

CASE(cpu_clocks, "clock_gettime:CLOCK_PROCESS_CPUTIME_ID", "clock_gettime:CLOCK_THREAD_CPUTIME_ID",
	"clock_getres:CLOCK_MONOTONIC", "clock_getres:EINVAL")
{
	struct timespec ts;
	int64_t a = ns_of(CLOCK_PROCESS_CPUTIME_ID), t = ns_of(CLOCK_THREAD_CPUTIME_ID);

	for (volatile int i = 0; i < 5000000; i++)
		;
	T(ns_of(CLOCK_PROCESS_CPUTIME_ID) > a + 100000);
	T(ns_of(CLOCK_THREAD_CPUTIME_ID) > t + 100000);
	a = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	abi_sleep_ms(100);
	T(ns_of(CLOCK_PROCESS_CPUTIME_ID) < a + 90000000);
	OK(SYS(clock_getres, CLOCK_MONOTONIC, &ts));
	T(ts.tv_sec == 0 && ts.tv_nsec == 1);
	ERR(SYS(clock_getres, 99, &ts), EINVAL);
}

CASE(vdso, "vdso:clock_gettime agrees", "auxv:AT_SYSINFO_EHDR", "clock_gettime:CLOCK_MONOTONIC",
	"gettimeofday:agrees")
{
	struct timespec ts;
	struct timeval tv;

	T(getauxval(AT_SYSINFO_EHDR) != 0);
	/* libc's own calls go through the vDSO: both ways lie between one another. */
	for (int i = 0; i < 200; i++) {
		int64_t a = ns_of(CLOCK_MONOTONIC), b;

		T(clock_gettime(CLOCK_MONOTONIC, &ts) == 0); /* agrees */
		b = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
		T(b >= a && ns_of(CLOCK_MONOTONIC) >= b);
	}
	OK(SYS(gettimeofday, &tv, NULL)); /* agrees */
	T(ns_of(CLOCK_REALTIME) / 1000 - (int64_t)tv.tv_sec * 1000000 - tv.tv_usec < 5000000);
}

CASE(sleep, "clock_nanosleep:TIMER_ABSTIME", "clock_nanosleep:EINVAL", "nanosleep:duration",
	"clock_nanosleep:CLOCK_REALTIME", "clock_nanosleep:past", "clock_nanosleep:EOPNOTSUPP")
{
	struct timespec ts = {0, 20000000};
	int64_t t = ns_of(CLOCK_MONOTONIC);

	OK(SYS(nanosleep, &ts, NULL));
	T(ns_of(CLOCK_MONOTONIC) - t >= 20000000); /* duration */
	OK(SYS(clock_gettime, CLOCK_MONOTONIC, &ts));
	ts.tv_nsec += 30000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	OK(SYS(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	T(ns_of(CLOCK_MONOTONIC) >= (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
	ts = (struct timespec){0, 1};
	OK(SYS(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL)); /* past */
	ts = (struct timespec){0, 1000000};
	OK(SYS(clock_nanosleep, CLOCK_REALTIME, 0, &ts, NULL));
	ERR(SYS(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
	ERR(SYS(clock_nanosleep, 99, 0, &ts, NULL), EINVAL);
	ts.tv_nsec = -1;
	ERR(SYS(clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL), EINVAL);
}

CASE(itimer_real, "setitimer:ITIMER_REAL", "getitimer:ITIMER_REAL", "setitimer:EINVAL",
	"getitimer:EINVAL", "setitimer:interval")
{
	struct itimerval it = {.it_value = {0, 20000}, .it_interval = {0, 20000}}, old;
	uint64_t none = 0;

	abi_handler(SIGALRM, count, 0);
	abi_block(SIGALRM);
	OK(SYS(setitimer, ITIMER_REAL, &it, NULL));
	OK(SYS(getitimer, ITIMER_REAL, &old));
	T(old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_interval.tv_usec == 20000);
	for (int i = 0; i < 3; i++)
		ERR(SYS(rt_sigsuspend, &none, 8), EINTR); /* interval */
	EQ(nr_seen, 3);
	CHILD_OK
	{
		OK(SYS(getitimer, ITIMER_REAL, &old)); /* a child has no timer */
		T(old.it_value.tv_usec == 0 && old.it_interval.tv_usec == 0);
	}
	it = (struct itimerval){};
	OK(SYS(setitimer, ITIMER_REAL, &it, &old));
	EQ(old.it_interval.tv_usec, 20000);
	ERR(SYS(setitimer, 9, &it, NULL), EINVAL);
	ERR(SYS(getitimer, 9, &old), EINVAL);
	it.it_value.tv_usec = 1000000;
	ERR(SYS(setitimer, ITIMER_REAL, &it, NULL), EINVAL);
}

CASE(itimer_virtual, "setitimer:ITIMER_VIRTUAL", "setitimer:ITIMER_PROF")
{
	struct itimerval it = {.it_value = {0, 20000}};
	long end = abi_now_ms() + 10000;

	abi_handler(SIGVTALRM, count, 0);
	abi_handler(SIGPROF, count, 0);
	OK(SYS(setitimer, ITIMER_VIRTUAL, &it, NULL));
	OK(SYS(setitimer, ITIMER_PROF, &it, NULL));
	abi_sleep_ms(60);
	EQ(nr_seen, 0); /* sleeping uses no time */
	while (nr_seen < 2 && abi_now_ms() < end)
		for (volatile int i = 0; i < 100000; i++)
			;
	EQ(nr_seen, 2);
}

CASE(timer_signal, "timer_create:SIGEV_SIGNAL", "timer_settime:interval", "timer_gettime:rest",
	"timer_delete:value", "timer_getoverrun:count", "timer_create:EINVAL",
	"timer_delete:EINVAL", "timer_settime:EINVAL")
{
	struct sigaction act = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR1,
		.sigev_value.sival_int = 77};
	struct itimerspec its = {.it_value = {0, 10000000}, .it_interval = {0, 10000000}}, old;
	int id = -1;

	T(sigaction(SIGUSR1, &act, NULL) == 0);
	OK(SYS(timer_create, CLOCK_MONOTONIC, &ev, &id));
	abi_block(SIGUSR1);
	OK(SYS(timer_settime, id, 0, &its, NULL)); /* interval */
	abi_sleep_ms(105);
	abi_unblock(SIGUSR1);
	T(nr_seen >= 1 && nr_seen < 5); /* one signal stands for all that were missed */
	T(last_value == 77 && last_code == SI_TIMER);
	T(SYS(timer_getoverrun, id) >= 0);
	OK(SYS(timer_gettime, id, &old)); /* rest */
	EQ(old.it_interval.tv_nsec, 10000000);
	OK(SYS(timer_delete, id)); /* value */
	ERR(SYS(timer_delete, id), EINVAL);
	ERR(SYS(timer_settime, id, 0, &its, NULL), EINVAL);
	ERR(SYS(timer_create, 99, &ev, &id), EINVAL);
	ev.sigev_signo = 1000;
	ERR(SYS(timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
}

/* How often a loop of this process's own goes round in 20 ms: the best of five. */
static long laps(void)
{
	long best = 0;

	for (int i = 0; i < 5; i++) {
		int64_t end = ns_of(CLOCK_MONOTONIC) + 20000000;
		long n = 0;

		while (ns_of(CLOCK_MONOTONIC) < end)
			n++;
		best = n > best ? n : best;
	}
	return best;
}

static volatile int short_timer;

/* Ends the periods: signals that come faster than they are handled leave the rest of the program no
 * time. */
static void end_after_20(int sig)
{
	struct itimerspec its = {};
	struct itimerval us = {};

	if (++nr_seen < 20)
		return;
	if (sig == SIGALRM)
		SYS(setitimer, ITIMER_REAL, &us, NULL);
	else
		SYS(timer_settime, short_timer, 0, &its, NULL);
}

/* A timer of short periods whose signal pends, or that nobody is told of, takes nobody's time. */
CASE(short_periods, "timer_settime:period of 1 ns", "setitimer:period of 1 us",
	"timer_gettime:signal pends", "timer_getoverrun:short periods", "timer_gettime:SIGEV_NONE")
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec its = {.it_value = {0, 1}, .it_interval = {0, 1}}, old;
	struct itimerval us = {.it_value = {0, 1}, .it_interval = {0, 1}};
	uint64_t set = 1ull << (SIGUSR1 - 1);
	long alone = laps();
	siginfo_t si = {};
	int id = -1;

	abi_handler(SIGUSR1, end_after_20, 0);
	abi_block(SIGUSR1);
	OK(SYS(timer_create, CLOCK_MONOTONIC, &ev, &id));
	short_timer = id;
	OK(SYS(timer_settime, id, 0, &its, NULL)); /* period of 1 ns */
	T(laps() > alone / 4);
	OK(SYS(timer_gettime, id, &old)); /* signal pends */
	EQ(old.it_value.tv_nsec, 1);
	abi_unblock(SIGUSR1);
	while (nr_seen < 20)
		abi_sleep_ms(1);
	nr_seen = 0;
	abi_block(SIGUSR1);
	its = (struct itimerspec){.it_value = {0, 1}, .it_interval = {0, 1000000}};
	OK(SYS(timer_settime, id, 0, &its, NULL));
	abi_sleep_ms(100);
	EQ(SYS(rt_sigtimedwait, &set, &si, NULL, 8), SIGUSR1);
	T(si.si_overrun >= 50);
	EQ(SYS(timer_getoverrun, id), si.si_overrun); /* short periods */
	T(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	its.it_interval.tv_nsec = 1;
	OK(SYS(timer_settime, id, 0, &its, NULL));
	T(laps() > alone / 4);
	OK(SYS(timer_delete, id));
	ev.sigev_notify = SIGEV_NONE;
	OK(SYS(timer_create, CLOCK_MONOTONIC, &ev, &id));
	its = (struct itimerspec){.it_value = {0, 1}, .it_interval = {0, 1000000}};
	OK(SYS(timer_settime, id, 0, &its, NULL));
	abi_sleep_ms(5);
	OK(SYS(timer_gettime, id, &old)); /* SIGEV_NONE */
	T(old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 1000000);
	abi_handler(SIGALRM, end_after_20, 0);
	abi_block(SIGALRM);
	OK(SYS(setitimer, ITIMER_REAL, &us, NULL)); /* period of 1 us */
	T(laps() > alone / 4);
	nr_seen = 0;
	abi_unblock(SIGALRM);
	while (nr_seen < 20) /* and taken, it goes on */
		abi_sleep_ms(1);
}

CASE(timer_thread, "timer_create:SIGEV_THREAD_ID", "timer_settime:TIMER_ABSTIME",
	"timer_create:SIGEV_NONE", "timer_create:CLOCK_REALTIME")
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
	struct itimerspec its = {};
	struct timespec some = {5, 0};
	uint64_t set = 1ull << (SIGUSR2 - 1);
	siginfo_t si;
	int id;

	*(int *)&ev._sigev_un = (int)SYS(gettid);
	abi_block(SIGUSR2);
	OK(SYS(timer_create, CLOCK_REALTIME, &ev, &id));
	OK(SYS(clock_gettime, CLOCK_REALTIME, &its.it_value));
	OK(SYS(timer_settime, id, TIMER_ABSTIME, &its, NULL)); /* past: at once */
	EQ(SYS(rt_sigtimedwait, &set, &si, &some, 8), SIGUSR2);
	EQ(si.si_code, SI_TIMER);
	ev.sigev_notify = SIGEV_NONE;
	OK(SYS(timer_create, CLOCK_REALTIME, &ev, &id));
	its = (struct itimerspec){.it_value = {100, 0}};
	OK(SYS(timer_settime, id, 0, &its, NULL));
	OK(SYS(timer_gettime, id, &its));
	T(its.it_value.tv_sec >= 90 && its.it_value.tv_sec <= 100);
}

CASE(set_errors, "clock_settime:EPERM", "clock_settime:EINVAL", "settimeofday:EPERM",
	"adjtimex:reads", "setresuid:drops")
{
	struct timespec ts = {1700000000, 0};
	struct timeval tv = {1700000000, 0};
	struct timex tx = {};

	OK(SYS(adjtimex, &tx)); /* reads */
	ERR(SYS(clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
	ts.tv_nsec = -1;
	ERR(SYS(clock_settime, CLOCK_REALTIME, &ts), EINVAL);
	ts.tv_nsec = 0;
	OK(SYS(setresuid, 1000, 1000, 1000)); /* drops the capability */
	ERR(SYS(clock_settime, CLOCK_REALTIME, &ts), EPERM);
	ERR(SYS(settimeofday, &tv, NULL), EPERM);
}
