#pragma once
/*
 * Tests of whole paths on the host port (arch/host): functions of a thread that makes system calls,
 *with the kernel booted around it. HOST_TEST(pipe_blocks) { sword_t fds = ...; CHECK(sys(SYS_pipe2,
 *...) == 0); } Run by `umka-host BLOB [cpus=N] [seed=N] -- pattern...`; without a name all run, in
 *the order of the link.
 */
#include <core/log.h>
#include <core/mm.h>
#include <core/task.h>
#include <core/ucopy.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/impl/user.h>
#include "host_syscalls.h"

struct host_test {
	const char *name;
	void (*run)(void);
	bool planted; /* a defect that a sanitizer must report: runs by its name only */
	bool needs_disk;
};
#define HOST_TEST_(test, is_planted, on_disk)                                                      \
	static void test(void);                                                                    \
	static const struct host_test host_test_##test __used __section("host_tests") = {#test,    \
		test, is_planted, on_disk};                                                        \
	static void test(void)
#define HOST_TEST(test)      HOST_TEST_(test, false, false)
#define HOST_PLANTED(test)   HOST_TEST_(test, true, false)
/* Only where there is a disk, /dev/vda (`disk=FILE`; run.py: `ext4=MIB`). */
#define HOST_TEST_DISK(test) HOST_TEST_(test, false, true)
void host_disk_start(void);

/* Counts; a failure prints the condition and goes on. */
#define CHECK(condition) host_check(condition, #condition, __FILE__, __LINE__)
bool host_check(bool ok, const char *condition, const char *file, u32 line);
/* Equality, with both values shown. */
#define CHECK_EQ(a, b) host_check_eq((sword_t)(a), (sword_t)(b), #a " == " #b, __FILE__, __LINE__)
bool host_check_eq(sword_t a, sword_t b, const char *condition, const char *file, u32 line);

#define sys6(nr, a, b, c, d, e, f, ...)                                                            \
	host_syscall(nr, (word_t)(a), (word_t)(b), (word_t)(c), (word_t)(d), (word_t)(e),          \
		(word_t)(f))
#define sys(...) sys6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* User memory of the calling thread's space. */
vaddr_t user_alloc(size_t bytes);
/* A string there, in one of 16 places of a page that the calls of one thread take in turn. */
vaddr_t ustr(const char *text);
static inline u32 user_u32(vaddr_t at)
{
	u32 v = 0xdeadbeef;

	if (ucopy_in(&v, at, sizeof(v)))
		panic("user_u32");
	return v;
}
static inline void user_put(vaddr_t at, const void *from, size_t bytes)
{
	if (ucopy_out(at, from, bytes))
		panic("user_put");
}
static inline void user_get(void *to, vaddr_t at, size_t bytes)
{
	if (ucopy_in(to, at, bytes))
		panic("user_get");
}

/* A thread of this process, on a user stack of its own; wait for all by host_join(). */
void host_spawn(s32 (*fn)(void *), void *arg);
void host_join(void);
/* A child process: host_child(fn, arg) is its number; host_reap(pid) its wait status. */
sword_t host_child(s32 (*fn)(void *), void *arg);
s32 host_reap(sword_t pid);
/* A number below `limit`, out of the test's own generator. */
u32 host_dice(u32 limit);
u32 host_nr_cpus(void);
