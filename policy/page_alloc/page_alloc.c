/*
 * Which block of free memory is given out: the smallest that fits, so that large ones last; the
 * near (most recently freed, warm) end for small requests, the far end for large ones, which are
 * about to be written whole anyway. Blocks of two pages and more that come back go to the far end:
 * their buddies have longer to come back too.
 *
 * Invariants: 1. no state at all.  2. what is refused leaves the reserve to those that cannot wait.
 *
 * Locks: none held or taken. Failure: core checks every answer. Replacement: at any time. Cost: ten
 * instructions.
 */
#include <kabi/policy_page.h>

KABI_MODULE(1, "GPL-2.0-only");

#define LARGE_ORDER 4u

static void page_choose(const struct kabi_policy_ctx *ctx, const struct page_zone *zone, u32 order,
	u8 atomic, struct page_choice *choice)
{
	u64 reserve =
		zone->total_frames * ctx->tunables[POLICY_PAGE_TUNABLE_RESERVE_PERMILLE] / 1000;

	choice->tail = order >= LARGE_ORDER;
	choice->refuse = !atomic && zone->free_frames < reserve + ((u64)1 << order);
}

static u8 page_freed(const struct kabi_policy_ctx *ctx, const struct page_zone *zone, u32 order)
{
	(void)ctx;
	(void)zone;
	return order > 0;
}

KABI_IMPLEMENT(policy_page, .choose = page_choose, .freed = page_freed);
