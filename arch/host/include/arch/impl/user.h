#pragma once
/*
 * Programs of host tests: functions of the process that make system calls. Their memory is user
 * memory of a space (ucopy), their locals are not. Signals are delivered at the end of a call, as
 * calls of the handler.
 */
#include <lib/types.h>

/* Gives current, a kernel thread with descriptors, a space with a stack: from now on it may make
 * system calls. */
void host_user_start(void);
/* A system call by its number on x86-64: the value or -errno, after signals and restarts. */
sword_t host_syscall(word_t nr, word_t a, word_t b, word_t c, word_t d, word_t e, word_t f);
/* clone(2) whose child runs fn(arg) and exits with its result. stack: user address, 0: the
 * parent's. The number or -errno. */
sword_t host_clone(u64 flags, vaddr_t stack, vaddr_t parent_tid, vaddr_t child_tid,
	s32 (*fn)(void *), void *arg);
