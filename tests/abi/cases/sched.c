/* sched.c: scheduling parameters, priorities, affinity, rseq. */
#define ABI_FAMILY "sched"
#include "../abi.h"
#include <linux/rseq.h>
#include <pthread.h>

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

CASE(affinity, "sched_getaffinity:size", "sched_setaffinity:one", "sched_setaffinity:EINVAL",
	"sched_getaffinity:EINVAL", "sched_setaffinity:ESRCH", "getcpu:value",
	"sched_getaffinity:ESRCH", "sched_setaffinity:EPERM")
{
	uint64_t set[16] = {}, one[16] = {};
	unsigned cpu = 999, node = 999;
	long size = OK(SYS(sched_getaffinity, 0, sizeof(set), set));

	T(size >= 8 && size % 8 == 0 && (set[0] & 1)); /* size: of the kernel's own mask */
	ERR(SYS(sched_getaffinity, 0, 4, set), EINVAL);
	ERR(SYS(sched_getaffinity, 4000000, sizeof(set), set), ESRCH);
	one[0] = set[0] & -set[0];
	OK(SYS(sched_setaffinity, 0, sizeof(one), one)); /* one */
	OK(SYS(getcpu, &cpu, &node, NULL));
	EQ(1ull << cpu, one[0]); /* value */
	EQ(node, 0);
	OK(SYS(sched_getaffinity, 0, sizeof(set), set));
	EQ(set[0], one[0]);
	CHILD_OK
	{
		OK(SYS(sched_getaffinity, 0, sizeof(set), set));
		EQ(set[0], one[0]); /* inherited */
	}
	memset(one, 0, sizeof(one));
	ERR(SYS(sched_setaffinity, 0, sizeof(one), one), EINVAL);
	one[0] = 1;
	ERR(SYS(sched_setaffinity, 4000000, sizeof(one), one), ESRCH);
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(sched_setaffinity, SYS(getppid), sizeof(one), one), EPERM);
}

CASE(policies, "sched_getscheduler:SCHED_OTHER", "sched_setscheduler:SCHED_FIFO",
	"sched_setscheduler:SCHED_RR", "sched_setscheduler:SCHED_BATCH",
	"sched_setscheduler:SCHED_IDLE", "sched_setscheduler:EINVAL", "sched_getparam:priority",
	"sched_setparam:priority", "sched_setscheduler:EPERM", "sched_setparam:EINVAL",
	"sched_getscheduler:ESRCH")
{
	int zero = 0, five = 5, got = -1;

	EQ(SYS(sched_getscheduler, 0), SCHED_OTHER);
	ERR(SYS(sched_setscheduler, 0, SCHED_OTHER, &five), EINVAL);
	ERR(SYS(sched_setscheduler, 0, SCHED_FIFO, &zero), EINVAL);
	ERR(SYS(sched_setscheduler, 0, 99, &zero), EINVAL);
	OK(SYS(sched_setscheduler, 0, SCHED_FIFO, &five));
	EQ(SYS(sched_getscheduler, 0), SCHED_FIFO);
	OK(SYS(sched_getparam, 0, &got));
	EQ(got, 5); /* priority */
	got = 7;
	OK(SYS(sched_setparam, 0, &got));
	OK(SYS(sched_setscheduler, 0, SCHED_RR, &five));
	EQ(SYS(sched_getscheduler, 0), SCHED_RR);
	OK(SYS(sched_setscheduler, 0, SCHED_BATCH, &zero));
	EQ(SYS(sched_getscheduler, 0), SCHED_BATCH);
	ERR(SYS(sched_setparam, 0, &five), EINVAL);
	OK(SYS(sched_setscheduler, 0, SCHED_IDLE, &zero));
	ERR(SYS(sched_getscheduler, 4000000), ESRCH);
	OK(SYS(sched_setscheduler, 0, SCHED_OTHER, &zero));
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(sched_setscheduler, 0, SCHED_FIFO, &five), EPERM);
}

CASE(ranges, "sched_get_priority_max:SCHED_FIFO", "sched_get_priority_min:SCHED_FIFO",
	"sched_get_priority_max:EINVAL", "sched_get_priority_min:EINVAL",
	"sched_rr_get_interval:value", "sched_rr_get_interval:ESRCH", "sched_yield:returns")
{
	struct timespec ts = {9, 9};

	EQ(SYS(sched_get_priority_max, SCHED_FIFO), 99);
	EQ(SYS(sched_get_priority_min, SCHED_FIFO), 1);
	EQ(SYS(sched_get_priority_max, SCHED_OTHER), 0);
	ERR(SYS(sched_get_priority_max, 99), EINVAL);
	ERR(SYS(sched_get_priority_min, 99), EINVAL);
	OK(SYS(sched_rr_get_interval, 0, &ts)); /* value */
	T(ts.tv_sec == 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	ERR(SYS(sched_rr_get_interval, 4000000, &ts), ESRCH);
	EQ(SYS(sched_yield), 0); /* returns */
}

CASE(attributes, "sched_setattr:nice", "sched_getattr:size", "sched_setattr:EINVAL",
	"sched_getattr:EINVAL", "sched_setattr:E2BIG", "sched_setattr:SCHED_FLAG_RESET_ON_FORK")
{
	struct attr a = {.size = 48, .policy = SCHED_OTHER, .nice = 5}, b;
	uint64_t big[32] = {};

	OK(SYS(sched_setattr, 0, &a, 0)); /* nice */
	OK(SYS(sched_getattr, 0, &b, sizeof(b), 0));
	T(b.size >= 48 && b.policy == SCHED_OTHER && b.nice == 5); /* size */
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 15);
	a.flags = 1; /* SCHED_FLAG_RESET_ON_FORK */
	OK(SYS(sched_setattr, 0, &a, 0));
	OK(SYS(sched_getattr, 0, &b, 48, 0));
	EQ(b.flags & 1, 1);
	a.flags = 1ull << 40;
	ERR(SYS(sched_setattr, 0, &a, 0), EINVAL);
	a.flags = 0;
	ERR(SYS(sched_setattr, 0, &a, 1), EINVAL);
	ERR(SYS(sched_getattr, 0, &b, 8, 0), EINVAL);
	((struct attr *)big)->size = sizeof(big);
	big[31] = 1;
	ERR(SYS(sched_setattr, 0, big, 0), E2BIG);
}

CASE(priority, "setpriority:PRIO_PROCESS", "getpriority:PRIO_PROCESS", "setpriority:EACCES",
	"getpriority:EINVAL", "getpriority:ESRCH", "setpriority:clamps", "setpriority:PRIO_PGRP",
	"getpriority:PRIO_USER", "setpriority:EINVAL", "setpriority:EPERM")
{
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 20); /* 20 - nice */
	OK(SYS(setpriority, PRIO_PROCESS, 0, 10));
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 10);
	OK(SYS(setpriority, PRIO_PROCESS, 0, 100)); /* clamps */
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 1);
	OK(SYS(setpriority, PRIO_PROCESS, 0, -100));
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 40);
	OK(SYS(setpriority, PRIO_PGRP, 0, 3));
	EQ(SYS(getpriority, PRIO_PROCESS, 0), 17);
	T(OK(SYS(getpriority, PRIO_USER, 0)) >= 17);
	ERR(SYS(getpriority, 9, 0), EINVAL);
	ERR(SYS(setpriority, 9, 0, 0), EINVAL);
	ERR(SYS(getpriority, PRIO_PROCESS, 4000000), ESRCH);
	OK(SYS(setresuid, 1000, 1000, 1000));
	OK(SYS(setpriority, PRIO_PROCESS, 0, 4));
	ERR(SYS(setpriority, PRIO_PROCESS, 0, 3), EACCES);
	ERR(SYS(setpriority, PRIO_PROCESS, SYS(getppid), 19), EPERM);
}

CASE(io_priority, "ioprio_set:IOPRIO_CLASS_BE", "ioprio_get:value", "ioprio_set:EINVAL",
	"ioprio_get:ESRCH", "ioprio_get:EINVAL")
{
	OK(SYS(ioprio_set, 1, 0, 2 << 13 | 3)); /* IOPRIO_CLASS_BE, level 3 */
	EQ(SYS(ioprio_get, 1, 0), 2 << 13 | 3); /* value */
	ERR(SYS(ioprio_set, 1, 0, 7 << 13), EINVAL);
	ERR(SYS(ioprio_set, 9, 0, 2 << 13), EINVAL);
	ERR(SYS(ioprio_get, 9, 0), EINVAL);
	ERR(SYS(ioprio_get, 1, 4000000), ESRCH);
}

static struct rseq area __attribute__((aligned(32)));

static void *rseq_thread(void *arg)
{
	(void)arg;
	/* libc registers an area for the main thread; this thread gives its own back first. */
	return NULL;
}

CASE(rseq, "rseq:registers", "rseq:cpu_id", "rseq:EINVAL", "rseq:EBUSY", "rseq:EPERM")
{
	unsigned cpu;
	long pid;
	pthread_t t;

	T(pthread_create(&t, NULL, rseq_thread, NULL) == 0 && pthread_join(t, NULL) == 0);
	/* A child of clone keeps the registration of its parent's thread: a fresh exec has none but
	 * libc's. glibc 2.36 registers one; with another libc the first call says EINVAL too, since
	 * the address differs. */
	pid = OK(abi_fork());
	if (pid == 0) {
		long got = SYS(rseq, &area, 32, 0, 0x53053053);

		if (got == -EINVAL || got == -EBUSY)
			_exit(1);
		OK(got); /* registers */
		OK(SYS(getcpu, &cpu, NULL, NULL));
		T(area.cpu_id < 4096 && area.cpu_id_start == area.cpu_id); /* cpu_id */
		ERR(SYS(rseq, &area, 32, 0, 0x53053053), EBUSY);
		ERR(SYS(rseq, &area, 32, 1, 0x1111), EPERM);
		ERR(SYS(rseq, &area, 32, 0x80, 0x53053053), EINVAL);
		OK(SYS(rseq, &area, 32, 1, 0x53053053));
		EQ((int)area.cpu_id, -1);
		_exit(0);
	}
	abi_wait(pid);
}

static volatile long spins[2];

CASE(nice_shares, "setpriority:shares", "sched_setaffinity:one",
	"clock_gettime:CLOCK_THREAD_CPUTIME_ID")
{
	uint64_t set[16] = {}, one[16] = {};
	struct timespec ts;
	long pids[2], *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);

	OK(SYS(sched_getaffinity, 0, sizeof(set), set));
	one[0] = set[0] & -set[0];
	OK(SYS(sched_setaffinity, 0, sizeof(one), one)); /* one CPU for both */
	for (int i = 0; i < 2; i++) {
		pids[i] = OK(abi_fork());
		if (pids[i] == 0) {
			long end = abi_now_ms() + 800;

			OK(SYS(setpriority, PRIO_PROCESS, 0, i * 10));
			while (abi_now_ms() < end)
				spins[i]++;
			OK(SYS(clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts));
			shared[i] = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		EQ(abi_wait(pids[i]), 0);
	/* Ten steps of nice are a weight of 9.3; a factor of 2 is what any load leaves. */
	T(shared[0] > 2 * shared[1]); /* shares */
}
