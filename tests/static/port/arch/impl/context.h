#pragma once
/* A port that nobody runs: what arch/include/arch asks of impl/, so that portable code can be
 * compiled for machines which have no port yet (tests/static/suite). */
#include <lib/types.h>

#define ARCH_KERNEL_STACK_BYTES 16384

struct arch_task {
	word_t sp;
	word_t stack_top;
};
