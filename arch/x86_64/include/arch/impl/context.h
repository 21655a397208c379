#pragma once
#include <lib/types.h>

/* Embedded in struct task. Core sets stack_top (16-byte aligned end of the core stack) before
 * arch_task_init. */
struct arch_task {
	word_t sp; /* saved stack pointer while switched out */
	word_t stack_top;
	word_t fs_base; /* user TLS */
	word_t gs_base; /* user GS */
	void *fpu;      /* XSAVE area, 64-byte aligned; nullptr: kernel thread that has none */
	u32 fpu_cpu;    /* CPU that may still hold the state in its registers; ~0u: none */
	word_t trap_number, trap_error,
		trap_address; /* last exception that became a signal: signal frames show it */
	bool user;            /* has a user frame: TLS and FP state are switched */
};

struct task;
/* arch_prctl(2): current's FS or GS base in user mode. Context: current. */
void x86_user_base_set(struct task *t, bool gs, word_t base);
word_t x86_user_base(struct task *t, bool gs);
