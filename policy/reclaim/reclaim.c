/*
 * Which page to reclaim: two lists with a second chance. A page used through the cache and a page
 * used through a mapping are both "used"; the first use after insertion keeps a page where it is
 * (heat 1), the second makes it active, so that one pass over a large file does not push out the
 * working set. An active page that was not used since the last look cools down by one and leaves at
 * 0.
 *
 * Invariants: 1. no state but the page's heat.  2. a dirty page is never evicted: write-back cleans
 * it first.
 *
 * Locks: none. Failure: core checks the verdict. Replacement: heat bytes of another policy only
 * cost a wrong first verdict.
 */
#include <kabi/policy_reclaim.h>

KABI_MODULE(1, "GPL-2.0-only");

#define HEAT_MAX 3u

static u8 reclaim_judge(const struct kabi_policy_ctx *ctx, const struct reclaim_lists *lists,
	struct reclaim_page *page)
{
	bool used = page->referenced || page->young;

	(void)ctx;
	(void)lists;
	if (page->active) {
		if (used) {
			page->heat = page->heat < HEAT_MAX ? page->heat + 1 : HEAT_MAX;
			return RECLAIM_VERDICT_KEEP;
		}
		if (page->heat)
			page->heat--;
		return page->heat ? RECLAIM_VERDICT_KEEP : RECLAIM_VERDICT_DEACTIVATE;
	}
	if (used && page->heat) {
		page->heat = 2;
		return RECLAIM_VERDICT_ACTIVATE;
	}
	if (used) {
		page->heat = 1;
		return RECLAIM_VERDICT_KEEP;
	}
	return page->dirty ? RECLAIM_VERDICT_KEEP : RECLAIM_VERDICT_EVICT;
}

static u64 reclaim_shrink_active(const struct kabi_policy_ctx *ctx,
	const struct reclaim_lists *lists)
{
	u64 total = lists->nr_active + lists->nr_inactive;
	u64 wanted = total * ctx->tunables[POLICY_RECLAIM_TUNABLE_INACTIVE_PERCENT] / 100;

	return lists->nr_inactive < wanted ? wanted - lists->nr_inactive : 0;
}

KABI_IMPLEMENT(policy_reclaim, .judge = reclaim_judge, .shrink_active = reclaim_shrink_active);
