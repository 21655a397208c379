#pragma once
/*
 * Planted defects of components: the positive controls of the detectors (tests/checks), in debug
 * and asan kernels. Of locks a component has none, so neither has it their defects.
 */
#include <kabi/kernel_services.h>
#include <lib/compiler.h>

#if UMKA_DEBUG
static __attribute__((noinline)) int sdk_plant_target(int value)
{
	return value + 1;
}

/* What is planted here. Not 0: the answer to give. */
static inline answer_t sdk_plant(struct kabi_ctx *ctx, enum plant_place place)
{
	volatile u32 cells[8] = {}, index = 9;
	volatile s32 number = INT32_MAX;
	void (*wrong)(void *) = (void (*)(void *))(word_t)sdk_plant_target;
	volatile u8 *memory;
	u64 address = 0;
	u32 what;

	if (!ctx->services[KABI_SERVICES_KERNEL_SERVICES]) /* a host test's bare context */
		return 0;
	what = kernel_services_plant(ctx, place, &address);
	memory = (volatile u8 *)(word_t)address;
	if (what == PLANTED_USE_AFTER_FREE)
		memory[8] = 1;
	else if (what == PLANTED_HEAP_OVERFLOW)
		memory[24] = 1;
	else if (what == PLANTED_STACK_INDEX)
		cells[index] = 1;
	else if (what == PLANTED_INTEGER_OVERFLOW)
		number = number + 1;
	if (what == PLANTED_ANSWER)
		return place == PLANT_PLACE_DRIVERS ? ANSWER_MORE : ANSWER_DO;
	if (what == PLANTED_ASKS_AGAIN)
		return ANSWER_NEED;
	if (what == PLANTED_BAD_CALL) {
		__asm__ volatile("" : "+r"(wrong));
		wrong(nullptr);
	}
	return 0;
}
#else
static inline answer_t sdk_plant(struct kabi_ctx *ctx, enum plant_place place)
{
	(void)ctx;
	(void)place;
	return 0;
}
#endif
