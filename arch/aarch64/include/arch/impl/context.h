#pragma once
#include <lib/types.h>

struct task;
struct a64_cpu;

/* The SIMD and FP registers, in the order of Linux's user_fpsimd_state. */
struct a64_fpsimd {
	u64 v[64];
	u32 fpsr, fpcr;
	u32 reserved[2];
} __aligned(16);

/*
 * Embedded in struct task; TPIDR_EL1 points to that of the running task. Core sets stack_top
 * (16-byte aligned end of the core stack) before arch_task_init. Assembly knows the first offsets
 * (asm.h).
 */
struct arch_task {
	struct task *self;
	word_t stack_top;
	struct a64_cpu *cpu; /* where it runs; set by the switch to it */
	word_t sp;           /* saved stack pointer while switched out */
	u32 preempt_count; /* the CPU's: a switch hands it on, so it can be changed without knowing
			      the CPU */
	bool user;         /* has a user frame: TLS and FP state are switched */
	word_t tls;        /* TPIDR_EL0 while switched out */
	struct a64_fpsimd fp;
};
