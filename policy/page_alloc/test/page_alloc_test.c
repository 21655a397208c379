/* The policy is a function of its arguments: the reserve, the end of the list, what comes back. */
#include "../../../lib/test/tap.h"
#include "../page_alloc.c"

static const u64 tunables[] = {24, 8};
static const struct kabi_policy_ctx ctx = {.nr_tunables = 2, .stamp = 1, .tunables = tunables};

static struct page_choice ask(u64 free, u32 order, bool atomic)
{
	struct page_zone zone = {.total_frames = 100000, .free_frames = free};
	struct page_choice choice = {.order = order + 1};

	page_choose(&ctx, &zone, order, atomic, &choice);
	return choice;
}

int main(void)
{
	CHECK(!ask(50000, 0, false).refuse && ask(50000, 0, false).order == 1 &&
		!ask(50000, 0, false).tail);
	CHECK(ask(50000, 4, false).tail);
	CHECK(ask(800, 0, false).refuse && !ask(801, 0, false).refuse);
	CHECK(!ask(800, 0, true).refuse);
	CHECK(ask(807, 3, false).refuse && !ask(808, 3, false).refuse);
	CHECK(!page_freed(&ctx, nullptr, 0) && page_freed(&ctx, nullptr, 1));
	TAP_END();
}
