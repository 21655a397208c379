/*
 * Read-ahead: a reader that comes where the last window ended is sequential, and its window doubles
 * up to the maximum; any other starts again with the initial one. A page fault reads around less,
 * unless it is sequential too; a random hint reads what was asked for.
 *
 * Invariants: 1. no state but the object's words.  2. the window never passes the end of the file.
 *
 * Locks: none. Failure: core clamps the answer. Replacement: words of another policy cost one wrong
 * window.
 */
#include <kabi/policy_readahead.h>

KABI_MODULE(1, "GPL-2.0-only");

#define HINT_SEQUENTIAL 1u
#define HINT_RANDOM     2u

static u32 readahead_window(const struct kabi_policy_ctx *ctx, const struct readahead_ask *ask,
	struct readahead_state *state)
{
	u32 maximum = (u32)ctx->tunables[POLICY_READAHEAD_TUNABLE_MAXIMUM_PAGES];
	u32 window = (u32)ctx->tunables[POLICY_READAHEAD_TUNABLE_INITIAL_PAGES];
	u64 left = ask->size_pages > ask->index ? ask->size_pages - ask->index : 1;

	if (ask->hint == HINT_RANDOM)
		window = ask->nr_wanted;
	else if (ask->hint == HINT_SEQUENTIAL)
		window = maximum;
	else if (state->window && ask->index == state->next)
		window = state->window < maximum / 2 ? state->window * 2 : maximum;
	if (window < ask->nr_wanted)
		window = ask->nr_wanted < maximum ? ask->nr_wanted : maximum;
	if (window > left)
		window = (u32)left;
	if (window == 0)
		window = 1;
	state->window = window;
	state->next = ask->index + window;
	return window;
}

KABI_IMPLEMENT(policy_readahead, .window = readahead_window);
