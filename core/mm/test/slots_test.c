/* Slot trees against an array; tags against a second one. */
#include <stdlib.h>
#include "../slots.c"
#include "../../../lib/test/tap.h"

static u32 nr_nodes;
struct slot_node *slot_node_alloc(void)
{
	struct slot_node *n = calloc(1, sizeof(*n));

	refcount_set(&n->refs, 1);
	nr_nodes++;
	return n;
}
void slot_node_free(struct slot_node *n)
{
	nr_nodes--;
	free(n);
}
void slot_node_free_later(struct slot_node *n)
{
	slot_node_free(n);
}

#define NR 3000u
static u64 model[NR];
static bool tagged[NR];

/* Spreads the model's indices over the whole 64-bit range. */
static u64 place(u32 i)
{
	return i < 1000 ? i : i < 2000 ? 1000000 + i * 67ull : ~0ull - (NR - i) * 12345678901ull;
}

static void check_walk(struct slot_node **root, bool tags)
{
	u64 from = 0, index, word;
	u32 i = 0;

	while (slots_next(root, from, ~0ull, tags, &index, &word)) {
		while (i < NR && !(tags ? tagged[i] : model[i] != 0))
			i++;
		CHECK_QUIET(i < NR && index == place(i) && word == model[i]);
		i++;
		if (index == ~0ull)
			break;
		from = index + 1;
	}
	while (i < NR && !(tags ? tagged[i] : model[i] != 0))
		i++;
	CHECK_QUIET(i == NR);
}

int main(void)
{
	struct slot_node *root = nullptr;
	u32 rnd = 3;

	for (u32 step = 0; step < 60000; step++) {
		u32 i;

		rnd = rnd * 1664525 + 1013904223;
		i = (rnd >> 8) % NR;
		CHECK_QUIET(slots_get(&root, place(i)) == model[i]);
		if (model[i] && rnd >> 30 == 0) {
			tagged[i] = rnd >> 29 & 1;
			slots_tag(&root, place(i), tagged[i]);
		} else if (model[i]) {
			CHECK_QUIET(slots_clear(&root, place(i)) == model[i]);
			model[i] = 0;
			tagged[i] = false;
		} else {
			u64 *slot = slots_find(&root, place(i), true);

			CHECK_QUIET(*slot == 0);
			model[i] = slot_make(2, rnd);
			slot_store(slot, model[i]);
			slots_count(&root, place(i), 1);
		}
		if (step % 500 == 0) {
			check_walk(&root, false);
			check_walk(&root, true);
		}
	}
	for (u32 i = 0; i < NR; i++)
		slots_clear(&root, place(i));
	CHECK(!root && nr_nodes == 0);
	CHECK(tap_failed == 0);
	TAP_END();
}
