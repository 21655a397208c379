/* The region tree's gap search against a map of pages. */
#include "../region_tree.c"
#include "../../../lib/test/tap.h"

#define PAGE 4096ul
#define SPAN 2000u /* pages */
#define LOW  64u
static u8 map[SPAN];
static struct region pool[SPAN];
static bool used[SPAN];
static struct rb_root root;

static bool fits(u32 at, u32 nr, u32 low, u32 high)
{
	if (at < low || at + nr > high)
		return false;
	for (u32 i = at; i < at + nr; i++)
		if (map[i])
			return false;
	return true;
}

static void check_gaps(u32 nr, u32 low, u32 high)
{
	vaddr_t below = region_gap_below(&root, low * PAGE, high * PAGE, nr * PAGE, PAGE);
	vaddr_t above = region_gap_above(&root, low * PAGE, high * PAGE, nr * PAGE, PAGE);
	u32 best = 0, least = 0;

	for (u32 at = low; at + nr <= high; at++) {
		if (!fits(at, nr, low, high))
			continue;
		best = at;
		if (!least)
			least = at;
	}
	CHECK_QUIET(below == best * PAGE);
	CHECK_QUIET(above == least * PAGE);
}

int main(void)
{
	u32 rnd = 5;

	for (u32 step = 0; step < 6000; step++) {
		u32 at, nr;

		rnd = rnd * 1664525 + 1013904223;
		at = LOW + (rnd >> 8) % (SPAN - LOW - 40);
		nr = 1 + (rnd >> 20) % 30;
		if (rnd >> 31 && fits(at, nr, LOW, SPAN)) {
			u32 i = 0;

			while (used[i])
				i++;
			used[i] = true;
			pool[i] = (struct region){.start = at * PAGE, .end = (at + nr) * PAGE};
			region_insert(&root, &pool[i]);
			for (u32 k = 0; k < nr; k++)
				map[at + k] = 1;
		} else {
			struct region *r = region_find(&root, at * PAGE);

			CHECK_QUIET(!map[at] == (!r || r->start > at * PAGE));
			if (r && (rnd >> 29) % 2) { /* shrink from below */
				u32 first = (u32)(r->start / PAGE);

				if (r->end - r->start > PAGE) {
					map[first] = 0;
					r->start += PAGE;
					region_resized(r);
				}
			} else if (r) {
				for (vaddr_t va = r->start; va < r->end; va += PAGE)
					map[va / PAGE] = 0;
				region_remove(&root, r);
				used[r - pool] = false;
			}
		}
		check_gaps(1 + (rnd >> 12) % 50, LOW + (rnd >> 7) % 100, SPAN - (rnd >> 3) % 200);
	}
	CHECK(tap_failed == 0);
	TAP_END();
}
