#pragma once
/* What the port's files share. */
#include <lib/types.h>
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/mmu.h>
#include "os.h"

extern struct host_cpu host_cpus[NR_CPUS_MAX];

/* switch.S: pops what it pushed on the other stack; answers `prev`. */
struct task *host_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev);
extern const u8 host_thread_start[];
/* user.c: the first run of a task that clone made. */
void host_child_main(void *arg);
/* fpu.c: the task of a thread of the system, on that thread's stack. */
void host_adopt_thread(struct task *t);
/* A pseudo-random number out of the CPU's own generator: the same seed gives the same history at
 * one CPU. */
u64 host_random(struct host_cpu *c);
/* mmu.c: the page of a user address, for a copy. Marks the tables as walked until host_user_end;
 * nullptr: no such access, nothing marked. */
struct host_walk {
	struct host_cpu *cpu;
	u8 *page;
};
bool host_user_begin(vaddr_t va, bool write, struct host_walk *w);
void host_user_end(struct host_walk *w);

#if __has_feature(thread_sanitizer)
#define HOST_TSAN 1
#else
#define HOST_TSAN 0
#endif
#if __has_feature(address_sanitizer)
#define HOST_ASAN 1
#else
#define HOST_ASAN 0
#endif
