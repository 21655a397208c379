/*
 * The doors to memory's policies. Each is a stateless function behind a slot; while the slot is
 * parked (before the modules are there) the built-in answer in this file stands in. Answers are
 * checked by the callers. No lock is held across these calls.
 */
#include "mm_priv.h"
#include <core/slots.h>
#include <kabi/policy_page.h>
#include <kabi/policy_readahead.h>
#include <kabi/policy_reclaim.h>
#include <nucleus/slot.h>

static u64 page_tunables[POLICY_PAGE_NR_TUNABLES] = {24, 8};
static u64 reclaim_tunables[POLICY_RECLAIM_NR_TUNABLES] = {20, 30, 40};
static u64 readahead_tunables[POLICY_READAHEAD_NR_TUNABLES] = {64, 8};

/* The slot's vtable, or nullptr while it is parked. */
static const void *door(const struct slot *slot, struct kabi_policy_ctx *ctx, const u64 *tunables,
	u32 nr)
{
	const void *vtable = slot_vtable(slot);

	if (unlikely(!vtable || vtable == slot->parked))
		return nullptr;
	*ctx = (struct kabi_policy_ctx){nr, (u32)slot->stamp, tunables};
	return vtable;
}

static void zone_view(const struct zone *z, struct page_zone *out)
{
	static_assert(ARRAY_SIZE(out->nr_free) == BUDDY_ORDERS);
	out->total_frames = z->total_frames;
	out->free_frames = READ_ONCE(z->free_frames);
	for (u32 i = 0; i < BUDDY_ORDERS; i++)
		out->nr_free[i] = READ_ONCE(z->nr_free[i]);
}

struct page_decision mm_page_choose(const struct zone *z, u32 order, bool atomic)
{
	struct kabi_policy_ctx ctx;
	const struct policy_page_vtable *v =
		door(SLOT(POLICY_PAGE), &ctx, page_tunables, POLICY_PAGE_NR_TUNABLES);
	struct page_choice choice = {.order = order};
	struct page_zone view;

	while (choice.order < BUDDY_ORDERS && !READ_ONCE(z->nr_free[choice.order]))
		choice.order++;
	if (!v) {
		choice.refuse = !atomic && READ_ONCE(z->free_frames) <
						   z->total_frames * page_tunables[1] / 1000;
	} else {
		zone_view(z, &view);
		v->choose(&ctx, &view, order, atomic, &choice);
	}
	return (struct page_decision){choice.order, choice.tail, choice.refuse};
}

bool mm_page_freed(const struct zone *z, u32 order)
{
	struct kabi_policy_ctx ctx;
	const struct policy_page_vtable *v =
		door(SLOT(POLICY_PAGE), &ctx, page_tunables, POLICY_PAGE_NR_TUNABLES);
	struct page_zone view;

	if (!v)
		return order > 0;
	zone_view(z, &view);
	return v->freed(&ctx, &view, order);
}

u32 mm_page_batch(void)
{
	return (u32)page_tunables[POLICY_PAGE_TUNABLE_BATCH_FRAMES];
}

u8 mm_reclaim_judge(const struct reclaim_lists *lists, struct reclaim_page *page)
{
	struct kabi_policy_ctx ctx;
	const struct policy_reclaim_vtable *v =
		door(SLOT(POLICY_RECLAIM), &ctx, reclaim_tunables, POLICY_RECLAIM_NR_TUNABLES);
	bool used = page->referenced || page->young;

	if (v)
		return v->judge(&ctx, lists, page);
	if (page->active)
		return used ? RECLAIM_VERDICT_KEEP : RECLAIM_VERDICT_DEACTIVATE;
	if (used)
		return RECLAIM_VERDICT_ACTIVATE;
	return page->dirty ? RECLAIM_VERDICT_KEEP : RECLAIM_VERDICT_EVICT;
}

u64 mm_reclaim_shrink_active(const struct reclaim_lists *lists)
{
	struct kabi_policy_ctx ctx;
	const struct policy_reclaim_vtable *v =
		door(SLOT(POLICY_RECLAIM), &ctx, reclaim_tunables, POLICY_RECLAIM_NR_TUNABLES);

	if (v)
		return v->shrink_active(&ctx, lists);
	return lists->nr_inactive < lists->nr_active ? (lists->nr_active - lists->nr_inactive) / 2
						     : 0;
}

u64 mm_low_frames(void)
{
	return mm_zone.total_frames * reclaim_tunables[POLICY_RECLAIM_TUNABLE_LOW_PERMILLE] / 1000;
}

u64 mm_high_frames(void)
{
	return mm_zone.total_frames * reclaim_tunables[POLICY_RECLAIM_TUNABLE_HIGH_PERMILLE] / 1000;
}

u64 mm_reserve_frames(void)
{
	return mm_zone.total_frames * page_tunables[POLICY_PAGE_TUNABLE_RESERVE_PERMILLE] / 1000;
}

u32 mm_readahead_window(struct memory_object *o, const struct readahead_ask *ask)
{
	struct kabi_policy_ctx ctx;
	const struct policy_readahead_vtable *v = door(SLOT(POLICY_READAHEAD), &ctx,
		readahead_tunables, POLICY_READAHEAD_NR_TUNABLES);
	/* Two readers at once may mix their words: a window that is too short or too long once. */
	struct readahead_state state = {.next = READ_ONCE(o->readahead_next),
		.window = READ_ONCE(o->readahead_window)};
	u64 maximum = readahead_tunables[POLICY_READAHEAD_TUNABLE_MAXIMUM_PAGES];
	u32 nr = ask->nr_wanted;

	if (v)
		nr = v->window(&ctx, ask, &state);
	WRITE_ONCE(o->readahead_next, state.next);
	WRITE_ONCE(o->readahead_window, state.window);
	return (u32)MIN((u64)MAX(nr, 1u), maximum);
}
