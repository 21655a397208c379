/* Random allocation against a map of who owns what; the three invariants of buddy.c after each
 * step. */
#include "../buddy.c"
#include "../../../lib/test/tap.h"

#define NR   5000u
#define BASE 77u
static struct frame frames[NR];
static struct zone zone;
static u8 owned[NR]; /* 0 free, else 1 */
static struct {
	struct frame *f;
	u32 order;
} held[400];
static u32 nr_held, rnd = 7;

static u32 next_random(void)
{
	rnd = rnd * 1664525 + 1013904223;
	return rnd >> 8;
}

static void check_zone(void)
{
	u64 free = 0;

	for (u32 order = 0; order < BUDDY_ORDERS; order++) {
		struct frame *f;
		u64 nr = 0;

		list_for_each_entry (f, &zone.free[order], lru) {
			u64 number = zone_number(&zone, f);

			nr++;
			CHECK_QUIET(f->free_order == order + 1 && number % ((u64)1 << order) == 0);
			CHECK_QUIET(order == BUDDY_ORDERS - 1 || !free_buddy(&zone, number, order));
			for (u64 i = 0; i < (u64)1 << order; i++)
				CHECK_QUIET(!owned[number - BASE + i]);
		}
		CHECK_QUIET(nr == zone.nr_free[order]);
		free += nr << order;
	}
	CHECK_QUIET(free == zone.free_frames);
}

static void give(u32 i)
{
	u64 n = (u64)(held[i].f - frames);

	for (u64 k = 0; k < (u64)1 << held[i].order; k++)
		owned[n + k] = 0;
	buddy_put(&zone, held[i].f, held[i].order, next_random() & 1);
	held[i] = held[--nr_held];
}

int main(void)
{
	buddy_init(&zone, frames, BASE, NR);
	for (u32 i = 0; i < NR; i++)
		buddy_put(&zone, &frames[i], 0, true);
	check_zone();
	CHECK(zone.free_frames == NR);
	for (u32 step = 0; step < 20000; step++) {
		u32 order = next_random() % 7, from;

		if (nr_held == 400 || (nr_held && next_random() % 2)) {
			give(next_random() % nr_held);
		} else if ((from = buddy_smallest(&zone, order)) < BUDDY_ORDERS) {
			struct frame *f = buddy_take(&zone, order, from, next_random() & 1);

			for (u64 i = 0; i < (u64)1 << order; i++) {
				CHECK_QUIET(!owned[f - frames + i]);
				owned[f - frames + i] = 1;
			}
			held[nr_held].f = f;
			held[nr_held++].order = order;
		}
		if (step % 64 == 0)
			check_zone();
	}
	while (nr_held)
		give(0);
	check_zone();
	CHECK(zone.free_frames == NR);
	CHECK(zone.nr_free[0] <= 2 &&
		zone.nr_free[BUDDY_ORDERS - 1] >= NR / 1024 - 2); /* all merged but at the ends */
	CHECK(tap_failed == 0);
	TAP_END();
}
