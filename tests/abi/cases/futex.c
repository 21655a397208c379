/* futex.c: waiting on words of memory, threads, membarrier. */
#define ABI_FAMILY "futex"
#include "../abi.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>

static uint32_t *word; /* shared between the case and its children */

static void make_word(void)
{
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T(word != MAP_FAILED);
}

static long futex(uint32_t *at, int op, uint32_t value, void *time, uint32_t *second,
	uint32_t third)
{
	return SYS(futex, at, op, value, time, second, third);
}

/* A child that waits on `at`; its exit status is 1 when it was woken, 2 on another answer. */
static long waiter(uint32_t *at, uint32_t bitset)
{
	long pid = OK(abi_fork());

	if (pid == 0) {
		long got = futex(at, FUTEX_WAIT_BITSET, *at, NULL, NULL, bitset);

		_exit(got == 0 ? 1 : 2);
	}
	abi_await_state(pid, 'S');
	abi_sleep_ms(10); /* it may have slept in a page fault before */
	return pid;
}

CASE(wait_wake, "futex:FUTEX_WAIT", "futex:FUTEX_WAKE", "futex:EAGAIN", "futex:wake count")
{
	long pids[3];

	make_word();
	ERR(futex(word, FUTEX_WAIT, 5, NULL, NULL, 0), EAGAIN);
	EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		pids[i] = waiter(word, ~0u);
	EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 1); /* wake count */
	EQ(futex(word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 2);
	for (int i = 0; i < 3; i++)
		EQ(abi_wait(pids[i]), 1 << 8);
}

CASE(timeout, "futex:ETIMEDOUT", "futex:FUTEX_WAIT_BITSET", "futex:FUTEX_CLOCK_REALTIME",
	"futex:EINVAL", "futex:FUTEX_WAIT")
{
	struct timespec ts = {0, 30000000}, bad = {0, -1};
	long t = abi_now_ms();

	make_word();
	ERR(futex(word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
	T(abi_now_ms() - t >= 29);
	ERR(futex(word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	OK(SYS(clock_gettime, CLOCK_MONOTONIC, &ts));
	ERR(futex(word, FUTEX_WAIT_BITSET, 0, &ts, NULL, ~0u), ETIMEDOUT); /* absolute */
	OK(SYS(clock_gettime, CLOCK_REALTIME, &ts));
	ERR(futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, ~0u), ETIMEDOUT);
}

CASE(bitset, "futex:FUTEX_WAIT_BITSET", "futex:FUTEX_WAKE_BITSET", "futex:EINVAL")
{
	long a, b;

	make_word();
	ERR(futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	a = waiter(word, 1);
	b = waiter(word, 2);
	EQ(futex(word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 4), 0);
	EQ(futex(word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 2), 1);
	EQ(abi_wait(b), 1 << 8);
	EQ(futex(word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 3), 1);
	EQ(abi_wait(a), 1 << 8);
}

CASE(requeue, "futex:FUTEX_REQUEUE", "futex:FUTEX_CMP_REQUEUE", "futex:EAGAIN")
{
	long pids[3];

	make_word();
	for (int i = 0; i < 3; i++)
		pids[i] = waiter(word, ~0u);
	ERR(SYS(futex, word, FUTEX_CMP_REQUEUE, 1, 1, word + 1, 7), EAGAIN);
	EQ(SYS(futex, word, FUTEX_CMP_REQUEUE, 1, 1, word + 1, 0), 2); /* one woken, one moved */
	EQ(SYS(futex, word, FUTEX_REQUEUE, 0, 5, word + 1), 1);
	EQ(futex(word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
	EQ(futex(word + 1, FUTEX_WAKE, 9, NULL, NULL, 0), 2);
	for (int i = 0; i < 3; i++)
		EQ(abi_wait(pids[i]), 1 << 8);
}

CASE(wake_op, "futex:FUTEX_WAKE_OP", "futex:FUTEX_OP_ADD", "futex:FUTEX_OP_CMP_GT")
{
	long a, b;

	make_word();
	a = waiter(word, ~0u);
	b = waiter(word + 1, ~0u);
	/* word[1] += 5; wakes on word, and on word[1] when the old value was above 3. */
	word[1] = 3;
	EQ(SYS(futex, word, FUTEX_WAKE_OP, 1, 1, word + 1,
		   FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_GT, 3)),
		1);
	EQ(word[1], 8);
	EQ(SYS(futex, word, FUTEX_WAKE_OP, 1, 1, word + 1,
		   FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_GT, 3)),
		1);
	EQ(word[1], 13);
	EQ(abi_wait(a), 1 << 8);
	EQ(abi_wait(b), 1 << 8);
}

CASE(errors, "futex:EINVAL", "futex:EFAULT", "futex:ENOSYS", "futex:FUTEX_PRIVATE_FLAG")
{
	make_word();
	ERR(futex((uint32_t *)((char *)word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	ERR(futex((uint32_t *)-4096L, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	ERR(futex((uint32_t *)64, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), EFAULT);
	ERR(futex(word, 99, 0, NULL, NULL, 0), ENOSYS);
	EQ(futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
}

CASE(private_apart, "futex:FUTEX_PRIVATE_FLAG", "futex:shared file word", "futex:ETIMEDOUT")
{
	struct timespec ts = {2, 0};
	uint32_t *other;
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600)), pid;

	/* A word of a file is the same one at another address of another process. */
	OK(SYS(ftruncate, fd, 4096));
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
	pid = OK(abi_fork());
	if (pid == 0) {
		other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
		T(other != word);
		_exit(futex(other, FUTEX_WAIT, 0, &ts, NULL, 0) == 0 ? 1
								     : 2); /* shared file word */
	}
	abi_await_state(pid, 'S');
	EQ(futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0), 0);
	EQ(futex(word, FUTEX_WAKE, 9, NULL, NULL, 0), 1);
	EQ(abi_wait(pid), 1 << 8);
	ts = (struct timespec){0, 1000};
	ERR(futex(word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
}

CASE(priority_inheritance, "futex:FUTEX_LOCK_PI", "futex:FUTEX_UNLOCK_PI", "futex:FUTEX_TRYLOCK_PI",
	"futex:EDEADLK", "futex:EPERM", "futex:EAGAIN")
{
	uint32_t me = (uint32_t)SYS(gettid);
	long pid;

	make_word();
	OK(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	EQ(*word, me);
	ERR(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	pid = OK(abi_fork());
	if (pid == 0) {
		ERR(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
		ERR(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
		OK(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
		EQ(*word & FUTEX_TID_MASK, SYS(gettid));
		OK(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
		_exit(0);
	}
	abi_sleep_ms(30);
	abi_await_state(pid, 'S');
	EQ(*word, me | FUTEX_WAITERS);
	OK(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	EQ(abi_wait(pid), 0);
	EQ(*word, 0);
}

CASE(robust, "set_robust_list:owner dies", "futex:FUTEX_OWNER_DIED")
{
	struct {
		struct robust_list_head head;
		struct robust_list entry;
		uint32_t lock;
	} *r;
	long pid;

	make_word();
	r = (void *)(word + 64);
	r->head.list.next = &r->entry;
	r->entry.next = &r->head.list;
	r->head.futex_offset = (long)((char *)&r->lock - (char *)&r->entry);
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(set_robust_list, &r->head, sizeof(r->head)));
		r->lock = (uint32_t)SYS(gettid) | FUTEX_WAITERS;
		abi_sleep_ms(50);
		_exit(0); /* owner dies */
	}
	abi_sleep_ms(20);
	/* A waiter is woken, and the word says so. */
	OK(futex(&r->lock, FUTEX_WAIT, (uint32_t)pid | FUTEX_WAITERS, NULL, NULL, 0));
	EQ(r->lock, FUTEX_OWNER_DIED | FUTEX_WAITERS);
	abi_wait(pid);
}

CASE(waitv, "futex_waitv:wakes", "futex_waitv:EAGAIN", "futex_waitv:ETIMEDOUT",
	"futex_waitv:EINVAL")
{
	struct futex_waitv v[2] = {};
	struct timespec ts;
	long pid;

	make_word();
	for (int i = 0; i < 2; i++)
		v[i] = (struct futex_waitv){.uaddr = (uint64_t)(uintptr_t)(word + i),
			.flags = 2 /* 32 bits */};
	pid = OK(abi_fork());
	if (pid == 0) {
		_exit((int)SYS(futex_waitv, v, 2, 0, NULL, 0) + 10);
	}
	abi_await_state(pid, 'S');
	abi_sleep_ms(30);
	EQ(futex(word + 1, FUTEX_WAKE, 1, NULL, NULL, 0), 1); /* wakes: the index is the answer */
	EQ(abi_wait(pid), 11 << 8);
	v[1].val = 5;
	ERR(SYS(futex_waitv, v, 2, 0, NULL, 0), EAGAIN);
	v[1].val = 0;
	OK(SYS(clock_gettime, CLOCK_MONOTONIC, &ts));
	ERR(SYS(futex_waitv, v, 2, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
	ERR(SYS(futex_waitv, v, 200, 0, NULL, 0), EINVAL);
	ERR(SYS(futex_waitv, v, 2, 1, NULL, 0), EINVAL);
	v[0].flags = 0x80;
	ERR(SYS(futex_waitv, v, 2, 0, NULL, 0), EINVAL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter, turns;

static void *adder(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *ponger(void *arg)
{
	long side = (long)arg;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < 200; i++) {
		while (turns % 2 != side)
			pthread_cond_wait(&cond, &mutex);
		turns++;
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

CASE(threads, "futex:threads", "mmap:thread stacks")
{
	pthread_t t[8];
	void *value;

	for (long i = 0; i < 8; i++)
		T(pthread_create(&t[i], NULL, adder, (void *)i) == 0);
	for (long i = 0; i < 8; i++) {
		T(pthread_join(t[i], &value) == 0);
		EQ(value, i);
	}
	EQ(counter, 40000);
	for (long i = 0; i < 2; i++)
		T(pthread_create(&t[i], NULL, ponger, (void *)i) == 0);
	for (long i = 0; i < 2; i++)
		T(pthread_join(t[i], NULL) == 0);
	EQ(turns, 400);
	/* join waits on the word that the kernel clears: this is the threads' futex. */
	EQ(futex((uint32_t *)&turns, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

CASE(membarrier, "membarrier:MEMBARRIER_CMD_QUERY", "membarrier:MEMBARRIER_CMD_PRIVATE_EXPEDITED",
	"membarrier:EPERM", "membarrier:EINVAL",
	"membarrier:MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED", "membarrier:MEMBARRIER_CMD_GLOBAL")
{
	long can = OK(SYS(membarrier, MEMBARRIER_CMD_QUERY, 0, 0));

	T(can & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	T(can & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	ERR(SYS(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	OK(SYS(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	OK(SYS(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	OK(SYS(membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	ERR(SYS(membarrier, 1 << 30, 0, 0), EINVAL);
	ERR(SYS(membarrier, MEMBARRIER_CMD_QUERY, 5, 0), EINVAL);
}
