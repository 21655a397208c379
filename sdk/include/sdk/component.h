#pragma once
/* What nearly every component uses. A component links lib and sdk, nothing else.
 */
#include <lib/fmt.h>
#include <lib/string.h>
#include <kabi/kernel_services.h>

/* The component's memories, as the type it declared; sizes are checked where they are attached. */
#define sdk_state(ctx, T)   ((const T *)(ctx)->state)
#define sdk_device(ctx, T)  ((T *)(ctx)->device)
#define sdk_scratch(ctx, T) ((T *)(ctx)->scratch)
/* Progress of this call, zero at its first run, given back with every answer. */
#define sdk_progress(ctx, T)                                                                       \
	({                                                                                         \
		static_assert(sizeof(T) <= sizeof(((struct kabi_ctx *)0)->frame.progress));        \
		(T *)(ctx)->frame.progress;                                                        \
	})

/* Adds a need; return the result. A full list is fine: what does not fit is asked for by the next
 * run. */
static inline answer_t sdk_need(struct kabi_ctx *ctx, enum kabi_need_kind kind, u64 index, u64 nr)
{
	if (ctx->nr_needs < KABI_CTX_NEEDS)
		ctx->needs[ctx->nr_needs++] =
			(struct kabi_need){.kind = kind, .index = index, .nr = nr};
	return ANSWER_NEED;
}
static inline answer_t sdk_need_blocks(struct kabi_ctx *ctx, u64 block, u64 nr)
{
	return sdk_need(ctx, KABI_NEED_BLOCKS, block, nr);
}
static inline answer_t sdk_need_memory(struct kabi_ctx *ctx, u64 bytes)
{
	return sdk_need(ctx, KABI_NEED_MEMORY, 0, bytes);
}
/* Why the last NEED for this item failed: -errno, or 0. */
static inline int sdk_need_error(const struct kabi_ctx *ctx, enum kabi_need_kind kind, u64 index)
{
	if (ctx->frame.reason != KABI_NEED_FAILED)
		return 0;
	for (u32 i = 0; i < KABI_CTX_NEEDS; i++)
		if (ctx->needs[i].kind == kind && ctx->needs[i].index == index)
			return ctx->needs[i].error;
	return 0;
}
/* Waits for the event `what` of the contract, at most until deadline_ns (monotonic; UINT64_MAX: for
 * ever). */
static inline answer_t sdk_wait(struct kabi_ctx *ctx, u64 what, u64 deadline_ns)
{
	ctx->wait = what;
	ctx->deadline_ns = deadline_ns;
	return ANSWER_WAIT;
}

static inline __printf(3, 4) void sdk_log(struct kabi_ctx *ctx, enum severity level,
	const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	int length = vsnprintf(text, sizeof(text), format, args);

	va_end(args);
	if (length > 0)
		kernel_services_log(ctx, level, text, MIN((u32)length, (u32)sizeof(text) - 1));
}
