/*
 * What the host port needs of the operating system it runs on: memory, threads, an end. See os.h.
 *
 * Invariants: HOST-O1 the clock moves by os_advance and, when every started CPU is in os_idle, to
 * the first deadline: never by itself, so one CPU and one seed give one history. HOST-O2 `bits` of
 * a CPU are set before `idle` is looked at, and a CPU looks at its bits after it has said that it
 * is idle: no interrupt is slept over.
 *
 * Locks: `idle_lock` around who is idle.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os.h"

#define DIRECT_MAP_BASE 0x560000000000ul
#define VMAP_BASE       0x570000000000ul
#define VMAP_BYTES      0x001000000000ul
#define MODULE_BASE     0x40000000ul
#define MODULE_BYTES    0x10000000ul
#define BLOB_OFFSET     0x100000ul
#define CPUS_MAX        64u
#define STUCK_NS        3600000000000ll

struct os_config os_config = {.nr_cpus = 1,
	.memory_bytes = 256ul << 20,
	.seed = 1,
	.command_line = ""};

static int memory_file, scratch_file;
static __thread void *this_cpu;
static atomic_llong clock_ns;
static struct os_cpu_state {
	atomic_uint bits;
	atomic_llong deadline_ns;
	pthread_cond_t wake;
	bool idle; /* idle_lock */
} __attribute__((aligned(128))) cpus[CPUS_MAX];
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t nr_started = 1, nr_idle; /* idle_lock */
static const char *expected;             /* a report that must come */
static atomic_uint nr_reports;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "host: %s: %s\n", what, strerror(errno));
	_exit(99);
}

/* --- memory --- */

static int protection(uint32_t rights)
{
	return (rights & OS_READ ? PROT_READ : 0) | (rights & OS_WRITE ? PROT_WRITE : 0) |
	       (rights & OS_EXEC ? PROT_EXEC : 0);
}

void os_map(uint64_t va, uint64_t offset, size_t bytes, uint32_t rights)
{
	if (mmap((void *)va, bytes, protection(rights), MAP_SHARED | MAP_FIXED, memory_file,
		    (off_t)offset) == MAP_FAILED)
		fail("mmap");
}

void os_protect(uint64_t va, size_t bytes, uint32_t rights)
{
	if (mprotect((void *)va, bytes, protection(rights)))
		fail("mprotect");
}

static void reserve(uint64_t va, size_t bytes, int how)
{
	if (mmap((void *)va, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | how,
		    -1, 0) != (void *)va)
		fail("address range");
}

void os_unmap(uint64_t va, size_t bytes)
{
	reserve(va, bytes, MAP_FIXED);
}

size_t os_read_nofault(void *dst, const void *src, size_t bytes)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	ssize_t done;

	pthread_mutex_lock(&lock);
	done = pwrite(scratch_file, src, bytes, 0); /* the system looks at the addresses: EFAULT */
	if (done > 0)
		done = pread(scratch_file, dst, (size_t)done, 0);
	pthread_mutex_unlock(&lock);
	return bytes - (done > 0 ? (size_t)done : 0);
}

static void memory_create(const char *blob)
{
	struct stat st;
	int fd = open(blob, O_RDONLY | O_CLOEXEC);

	memory_file = memfd_create("umka-host", MFD_CLOEXEC);
	scratch_file = memfd_create("umka-scratch", MFD_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		fail(blob);
	if (memory_file < 0 || scratch_file < 0 ||
		ftruncate(memory_file, (off_t)os_config.memory_bytes))
		fail("memory");
	reserve(DIRECT_MAP_BASE, os_config.memory_bytes, MAP_FIXED_NOREPLACE);
	reserve(VMAP_BASE, VMAP_BYTES, MAP_FIXED_NOREPLACE);
	reserve(MODULE_BASE, MODULE_BYTES, MAP_FIXED_NOREPLACE);
	os_map(DIRECT_MAP_BASE, 0, os_config.memory_bytes, OS_READ | OS_WRITE);
	os_config.blob_offset = BLOB_OFFSET;
	os_config.blob_bytes = (uint64_t)st.st_size;
	if (BLOB_OFFSET + os_config.blob_bytes > os_config.memory_bytes ||
		read(fd, (void *)(DIRECT_MAP_BASE + BLOB_OFFSET), (size_t)st.st_size) != st.st_size)
		fail(blob);
	close(fd);
}

/* Written back by the system, when the process is gone too. */
static void disk_open(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		fail(path);
	os_config.disk_bytes = (uint64_t)st.st_size;
	os_config.disk = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (os_config.disk == MAP_FAILED)
		fail(path);
	close(fd);
}

/* --- CPUs --- */

void os_cpu_set(void *cpu)
{
	this_cpu = cpu;
}

void *os_cpu(void)
{
	return this_cpu;
}

void os_stack(uint64_t *bottom, size_t *bytes)
{
	pthread_attr_t a;
	void *at = NULL;

	if (pthread_getattr_np(pthread_self(), &a) || pthread_attr_getstack(&a, &at, bytes))
		fail("stack");
	pthread_attr_destroy(&a);
	*bottom = (uint64_t)at;
}

static void *cpu_thread(void *arg)
{
	kernel_secondary((uint32_t)(uintptr_t)arg);
	return NULL;
}

bool os_cpu_start(uint32_t cpu)
{
	pthread_t thread;

	pthread_mutex_lock(&idle_lock);
	nr_started++;
	pthread_mutex_unlock(&idle_lock);
	return pthread_create(&thread, NULL, cpu_thread, (void *)(uintptr_t)cpu) == 0;
}

void os_yield(void)
{
	sched_yield();
}

/* --- time and interrupts --- */

int64_t os_now(void)
{
	return atomic_load_explicit(&clock_ns, memory_order_relaxed);
}

void os_advance(int64_t ns)
{
	atomic_fetch_add_explicit(&clock_ns, ns, memory_order_relaxed);
}

void os_timer_set(uint32_t cpu, int64_t deadline_ns)
{
	atomic_store(&cpus[cpu].deadline_ns, deadline_ns);
}

static bool timer_due(uint32_t cpu)
{
	return atomic_load(&cpus[cpu].deadline_ns) <=
	       atomic_load_explicit(&clock_ns, memory_order_relaxed);
}

bool os_timer_take(uint32_t cpu)
{
	if (!timer_due(cpu))
		return false;
	atomic_store(&cpus[cpu].deadline_ns, INT64_MAX);
	return true;
}

bool os_interrupts_wait(uint32_t cpu)
{
	return atomic_load(&cpus[cpu].bits) || timer_due(cpu);
}

uint32_t os_interrupts_take(uint32_t cpu)
{
	return atomic_load(&cpus[cpu].bits) ? atomic_exchange(&cpus[cpu].bits, 0) : 0;
}

void os_interrupt(uint32_t cpu, uint32_t bits)
{
	atomic_fetch_or(&cpus[cpu].bits, bits);
	pthread_mutex_lock(&idle_lock);
	if (cpus[cpu].idle)
		pthread_cond_signal(&cpus[cpu].wake);
	pthread_mutex_unlock(&idle_lock);
}

/* All wait: on to the first deadline. False: there is none. idle_lock. */
static bool clock_jump(void)
{
	int64_t first = INT64_MAX;

	for (uint32_t i = 0; i < nr_started; i++) {
		int64_t d = atomic_load(&cpus[i].deadline_ns);

		first = d < first ? d : first;
		if (atomic_load(&cpus[i].bits)) /* has been woken and is not back yet */
			return true;
	}
	/* core's own threads wake every few seconds for ever: no test takes that long */
	if (first > STUCK_NS)
		return false;
	if (first > os_now())
		atomic_store(&clock_ns, first);
	for (uint32_t i = 0; i < nr_started; i++)
		if (timer_due(i))
			pthread_cond_signal(&cpus[i].wake);
	return true;
}

void os_idle(uint32_t cpu)
{
	struct os_cpu_state *c = &cpus[cpu];
	bool stuck = false;

	pthread_mutex_lock(&idle_lock);
	c->idle = true;
	nr_idle++;
	while (!os_interrupts_wait(cpu) && !stuck) {
		if (nr_idle == nr_started && !clock_jump()) {
			stuck = true;
			break;
		}
		if (!os_interrupts_wait(cpu))
			pthread_cond_wait(&c->wake, &idle_lock);
	}
	nr_idle--;
	c->idle = false;
	pthread_mutex_unlock(&idle_lock);
	if (stuck)
		kernel_stuck();
}

/* --- the end --- */

void os_write(int fd, const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(fd, text, bytes);

		if (n <= 0)
			return;
		text += n;
		bytes -= (size_t)n;
	}
}

/* WHY no exit handlers: other CPUs are still running. */
_Noreturn void os_exit(int status)
{
	if (expected) {
		printf("not ok 1 - no report of: %s\n", expected);
		status = 1;
	} else if (atomic_load(&nr_reports)) {
		printf("Bail out! %u reports of the sanitizer\n", atomic_load(&nr_reports));
		status = 66;
	}
	fflush(stdout);
	_exit(status);
}

_Noreturn void os_stop(void)
{
	for (;;)
		pause();
}

/* --- sanitizers --- */

/* WHY nothing here or below is instrumented or intercepted: ThreadSanitizer calls it with its own
 * locks held, and waits for itself for ever when the callback makes it note another event. */
#define IN_REPORT __attribute__((disable_sanitizer_instrumentation))

IN_REPORT static bool contains(const char *text, const char *part)
{
	for (; *text; text++) {
		size_t n = 0;

		while (part[n] && text[n] == part[n])
			n++;
		if (!part[n])
			return true;
	}
	return false;
}

IN_REPORT static void report_write(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	syscall(SYS_write, 1, text, n);
}

IN_REPORT static void report_seen(const char *text)
{
	if (expected && contains(text, expected)) {
		report_write("ok 1 - reported: ");
		report_write(expected);
		report_write("\n");
		syscall(SYS_exit_group, 0);
	}
}

/* run.py names the addresses; the place in a file that the default format shows says nothing of a
 * module. */
#define FRAME_FORMAT ":stack_trace_format='    #%n %p'"
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void)
{
	/* Core's memory is not malloc's; stacks are core's own. */
	return "detect_leaks=0:abort_on_error=0:exitcode=66:detect_stack_use_after_return=0:print_"
	       "legend=0:symbolize=0" FRAME_FORMAT;
}
const char *__tsan_default_options(void)
{
	/* Lock order is checked by core itself, over levels. */
	return "halt_on_error=0:exitcode=66:detect_deadlocks=0:report_thread_leaks=0:history_size="
	       "4:report_signal_unsafe=0:symbolize=0" FRAME_FORMAT;
}
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:symbolize=0" FRAME_FORMAT;
}

#if defined(__has_feature) && __has_feature(address_sanitizer)
void __asan_set_error_report_callback(void (*callback)(const char *));
IN_REPORT static void asan_report(const char *text)
{
	report_seen(text);
}
static void sanitizer_init(void)
{
	__asan_set_error_report_callback(asan_report);
}
#elif defined(__has_feature) && __has_feature(thread_sanitizer)
int __tsan_get_report_data(void *report, const char **description, int *count, int *stack_count,
	int *mop_count, int *loc_count, int *mutex_count, int *thread_count, int *unique_tid_count,
	void **sleep_trace, unsigned long trace_size);
void __tsan_on_report(void *report);
IN_REPORT void __tsan_on_report(void *report)
{
	const char *description = "";
	int n[7];
	void *trace[1];

	__tsan_get_report_data(report, &description, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5],
		&n[6], trace, 1);
	report_seen(description);
	atomic_fetch_add(&nr_reports, 1);
}
static void sanitizer_init(void)
{
}
#else
static void sanitizer_init(void)
{
}
#endif

/* --- start --- */

static const char *word_value(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

/* BLOB [cpus=N] [memory=MiB] [seed=N] [disk=FILE] [expect=TEXT], then words of the kernel's command
 * line. */
int main(int argc, char **argv)
{
	static char line[4096] = "archtest panic=-1";
	size_t at = strlen(line);
	const char *v;

	if (argc < 2) {
		fprintf(stderr,
			"usage: %s BLOB [cpus=N] [memory=MIB] [seed=N] [disk=FILE] [expect=TEXT] "
			"[WORD...] [-- "
			"TEST...]\n",
			argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		if ((v = word_value(argv[i], "cpus")))
			os_config.nr_cpus = (uint32_t)strtoul(v, NULL, 0);
		else if ((v = word_value(argv[i], "memory")))
			os_config.memory_bytes = strtoul(v, NULL, 0) << 20;
		else if ((v = word_value(argv[i], "seed")))
			os_config.seed = strtoul(v, NULL, 0);
		else if ((v = word_value(argv[i], "disk")))
			disk_open(v);
		else if ((v = word_value(argv[i], "expect")))
			expected = v;
		else if (at + strlen(argv[i]) + 2 < sizeof(line))
			at += (size_t)sprintf(line + at, " %s", argv[i]);
	}
	if (os_config.nr_cpus < 1 || os_config.nr_cpus > CPUS_MAX) {
		fprintf(stderr, "host: 1 to %u CPUs\n", CPUS_MAX);
		return 2;
	}
	os_config.command_line = line;
	for (uint32_t i = 0; i < CPUS_MAX; i++) {
		atomic_store(&cpus[i].deadline_ns, INT64_MAX);
		pthread_cond_init(&cpus[i].wake, NULL);
	}
	sanitizer_init();
	memory_create(argv[1]);
	kernel_boot();
}
