/*
 * abi.h: what a case of the ABI suite is written with.
 *
 * A case is one function with a list of the (call, flag-or-errno) pairs that it checks:
 *
 *	CASE(open_excl, "openat:O_EXCL", "openat:EEXIST")
 *	{
 *		OK(SYS(openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_RDWR, 0600));
 *		ERR(SYS(openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
 *	}
 *
 * Each case runs in a forked child, in an empty directory of its own, as root, and must pass both
 * on Linux and on UmkaOS. SYS() enters the kernel directly and gives the raw answer (a value or
 * -errno), so that a case checks exactly the call that it names: libc neither replaces one call by
 * another nor hides an error. A case must fail when any call that it names answers ENOSYS
 * (`abi-runner --check-masks` proves it), and a flag or errno named in a pair must occur in its
 *text
 * (`catalogue.py` checks it).
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "newer_calls.h"

struct abi_case {
	const char *family;
	const char *name;
	const char *const *pairs; /* "call:FLAG", NULL ends the list */
	void (*run)(void);
	int only_umka; /* checks an absence on UmkaOS; Linux skips it */
};

/* Each family file defines ABI_FAMILY before it includes this header. */
#define ABI_CASE(id, umka, ...)                                                                    \
	static void case_##id(void);                                                               \
	static const char *const pairs_##id[] = {__VA_ARGS__, NULL};                               \
	static const struct abi_case desc_##id = {ABI_FAMILY, #id, pairs_##id, case_##id, umka};   \
	static const struct abi_case *const entry_##id                                             \
		__attribute__((used, section("abi_cases"))) = &desc_##id;                          \
	static void case_##id(void)

#define CASE(id, ...)      ABI_CASE(id, 0, __VA_ARGS__)
#define CASE_UMKA(id, ...) ABI_CASE(id, 1, __VA_ARGS__)

/* The raw system call: a value, or -errno. */
static inline long abi_sys(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
		: "=a"(ret)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
		: "+r"(x0)
		: "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		: "memory");
	return x0;
#else
#error "abi_sys: write the system call instruction of this architecture"
#endif
}

#define SYS_N(n, a, b, c, d, e, f, ...)                                                            \
	abi_sys(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS(call, ...) SYS_N(__NR_##call __VA_OPT__(, ) __VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* Ends the case as failed; the message goes to the runner's output. */
[[noreturn]] void abi_fail(const char *file, int line, const char *what, long got, long want);
/* Ends the case as not applicable here (never because a call is missing). */
[[noreturn]] void abi_skip(const char *why);

#define T(cond)                                                                                    \
	do {                                                                                       \
		if (!(cond))                                                                       \
			abi_fail(__FILE__, __LINE__, #cond, 0, 1);                                 \
	} while (0)
#define EQ(a, b)                                                                                   \
	do {                                                                                       \
		long eq_got = (long)(a), eq_want = (long)(b);                                      \
		if (eq_got != eq_want)                                                             \
			abi_fail(__FILE__, __LINE__, #a " == " #b, eq_got, eq_want);               \
	} while (0)
/* A call that must succeed; its value. */
#define OK(expr) abi_ok((long)(expr), __FILE__, __LINE__, #expr)
/* A call that must fail with this errno. */
#define ERR(expr, code)                                                                            \
	do {                                                                                       \
		long err_got = (long)(expr);                                                       \
		if (err_got != -(code))                                                            \
			abi_fail(__FILE__, __LINE__, #expr " fails with " #code, err_got,          \
				-(code));                                                          \
	} while (0)

static inline long abi_ok(long got, const char *file, int line, const char *what)
{
	if (got < 0 && got >= -4095)
		abi_fail(file, line, what, got, 0);
	return got;
}

/* -- small helpers (harness.c) -------------------------------------------------------------- */

/* fork(2) by clone(SIGCHLD) alone: 0 in the child. */
long abi_fork(void);
/* Waits for pid and gives its wait status; fails the case on any error. */
int abi_wait(long pid);
/* Runs the rest of the block in a child and gives its wait status. */
#define IN_CHILD(status)                                                                           \
	for (long in_pid = OK(abi_fork()), in_once = 1; in_once;                                   \
		in_once = 0, (in_pid ? (void)(*(status) = abi_wait(in_pid)) : (void)_exit(0)))     \
		if (!in_pid)
/* The same, and the child must end with exit status 0. */
#define CHILD_OK                                                                                   \
	for (long in_pid = OK(abi_fork()), in_once = 1; in_once;                                   \
		in_once = 0, (in_pid ? abi_wait_ok(in_pid, __FILE__, __LINE__) : _exit(0)))        \
		if (!in_pid)
void abi_wait_ok(long pid, const char *file, int line);
/* Creates file `name` with these contents. */
void abi_file(const char *name, const char *text);
/* Reads file `name` whole (at most size - 1 bytes, NUL added); gives the length or -errno. */
long abi_slurp(const char *name, char *buf, size_t size);
void abi_sleep_ms(long ms);
long abi_now_ms(void);
/* Waits until task `pid` is in state `state` of /proc/PID/stat, at most about two seconds. */
void abi_await_state(long pid, char state);
/* Installs a handler without SA_RESTART unless flags say so. */
void abi_handler(int sig, void (*fn)(int), int flags);
/* Blocks or unblocks one signal of the calling thread. */
void abi_block(int sig);
void abi_unblock(int sig);
/* A thread that, so often as its argument says, takes a descriptor out of the variable (-1: none
 * yet), writes one byte to it and closes it at once. */
extern volatile long abi_last_words_fd;
void *abi_last_words(void *times);
/* The path of the running test program (absolute). */
extern char abi_self[PATH_MAX];
/* What the program answers when a case executes it: `abi_self --helper NAME ARGS...`. */
int abi_helper(int argc, char **argv, char **envp);
