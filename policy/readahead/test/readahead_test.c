/* Windows double while a reader is sequential, start again when it is not, and end with the file.
 */
#include "../../../lib/test/tap.h"
#include "../readahead.c"

static const u64 tunables[] = {64, 8};
static const struct kabi_policy_ctx ctx = {.nr_tunables = 2, .stamp = 1, .tunables = tunables};

static u32 ask(struct readahead_state *s, u64 index, u8 hint)
{
	struct readahead_ask a = {.index = index, .size_pages = 1000, .nr_wanted = 1, .hint = hint};

	return readahead_window(&ctx, &a, s);
}

int main(void)
{
	struct readahead_state s = {};
	u64 at = 0;

	for (u32 want = 8; want <= 64; want *= 2) {
		CHECK(ask(&s, at, 0) == want);
		at += want;
	}
	CHECK(ask(&s, at, 0) == 64);
	CHECK(ask(&s, 500, 0) == 8);
	CHECK(ask(&s, 700, HINT_RANDOM) == 1);
	CHECK(ask(&s, 300, HINT_SEQUENTIAL) == 64);
	CHECK(ask(&s, 990, HINT_SEQUENTIAL) == 10);
	CHECK(ask(&s, 2000, 0) == 1);
	for (u64 i = 0; i < 1000; i++) {
		u32 n = ask(&s, i * 7919 % 1000, (u8)(i % 3));

		CHECK_QUIET(n >= 1 && n <= 64 && i * 7919 % 1000 + n <= 1000);
	}
	TAP_END();
}
