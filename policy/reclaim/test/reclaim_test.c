/* Second chance: one pass over a large file does not push the working set out; a dirty page is
 * never evicted. */
#include "../../../lib/test/tap.h"
#include "../reclaim.c"

static const u64 tunables[] = {20, 30, 40};
static const struct kabi_policy_ctx ctx = {.nr_tunables = 3, .stamp = 1, .tunables = tunables};
static const struct reclaim_lists lists = {.nr_active = 700, .nr_inactive = 300};

int main(void)
{
	struct reclaim_page once = {.referenced = 1};

	CHECK(reclaim_judge(&ctx, &lists, &once) == RECLAIM_VERDICT_KEEP && once.heat == 1);
	once.referenced = 0;
	CHECK(reclaim_judge(&ctx, &lists, &once) == RECLAIM_VERDICT_EVICT);
	once.young = 1;
	CHECK(reclaim_judge(&ctx, &lists, &once) == RECLAIM_VERDICT_ACTIVATE);
	once.active = 1;
	once.young = 0;
	CHECK(reclaim_judge(&ctx, &lists, &once) == RECLAIM_VERDICT_KEEP);
	CHECK(reclaim_judge(&ctx, &lists, &once) == RECLAIM_VERDICT_DEACTIVATE);
	for (u32 bits = 0; bits < 32; bits++) {
		struct reclaim_page p = {.active = bits & 1,
			.referenced = bits >> 1 & 1,
			.young = bits >> 2 & 1,
			.dirty = 1,
			.heat = bits >> 3};

		CHECK(reclaim_judge(&ctx, &lists, &p) != RECLAIM_VERDICT_EVICT);
	}
	CHECK(reclaim_shrink_active(&ctx, &lists) == 100);
	TAP_END();
}
