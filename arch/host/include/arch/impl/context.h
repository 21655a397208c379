#pragma once
#include <lib/types.h>

/* A sanitizer writes its report on the stack of whom it reports. */
#define ARCH_KERNEL_STACK_BYTES 131072

/* Embedded in struct task. Core sets stack_top (16-byte aligned end of the core stack) before
 * arch_task_init. */
struct arch_task {
	word_t sp; /* saved stack pointer while switched out */
	word_t stack_top;
	word_t stack_bottom; /* of the stack that it really runs on: idle tasks keep their thread's
			      */
	size_t stack_bytes;
	void *fiber;      /* ThreadSanitizer's name for it */
	void *fake_stack; /* AddressSanitizer's, while switched out */
};
