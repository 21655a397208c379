/* Planted defects (core/plant.h): which one, and where. Written once at boot, taken once. */
#include <core/evolve.h>
#include <core/log.h>
#include <core/plant.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/time.h>
#include <lib/string.h>
#include <nucleus/slot.h>

#if UMKA_DEBUG

static enum plant planted;
static enum plant_place planted_place;
static atomic32_t planted_taken;

static_assert((u32)PLANT_ASKS_AGAIN == (u32)PLANTED_ASKS_AGAIN &&
	      (u32)PLANT_NONE == (u32)PLANTED_NONE);

static u32 find(const char *text, size_t len, const char *const *names, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		if (strlen(names[i]) == len && !strncmp(names[i], text, len))
			return i;
	return nr;
}

void plant_set(const char *value)
{
	static const char *const kinds[] = {"uaf", "heap", "index", "integer", "call", "answer",
		"again", "inversion", "guard", "sleep", "effect", "error", "runs", "order", "user",
		"nothing", "recorded", "restart"};
	static const char *const places[] = {"core", "arch", "vfs", "block", "abi", "fs", "drivers",
		"net", "tty", "views"};
	const char *colon = strchr(value, ':');
	u32 kind = ARRAY_SIZE(kinds), place = ARRAY_SIZE(places);

	if (colon) {
		kind = find(value, (size_t)(colon - value), kinds, ARRAY_SIZE(kinds));
		place = find(colon + 1, strlen(colon + 1), places, ARRAY_SIZE(places));
	}
	if (kind == ARRAY_SIZE(kinds) || place == ARRAY_SIZE(places)) {
		log_warn("command line: bad value for plant: \"%s\", ignored\n", value);
		return;
	}
	planted = (enum plant)(kind + 1);
	planted_place = (enum plant_place)place;
}

bool plant_take(enum plant what, enum plant_place place)
{
	if (likely(planted != what || planted_place != place))
		return false;
	return what == PLANT_RUNS || !atomic32_exchange(&planted_taken, 1);
}

enum plant plant_common(enum plant_place place, enum plant last)
{
	if (likely(planted == PLANT_NONE || planted_place != place || planted > last))
		return PLANT_NONE;
	return atomic32_exchange(&planted_taken, 1) ? PLANT_NONE : planted;
}

u32 plant_component(enum plant_place place, u64 *memory)
{
	enum plant what = plant_common(place, PLANT_ASKS_AGAIN);
	void *p = what == PLANT_NONE ? nullptr : kmalloc(24);

	*memory = (word_t)p;
	if (what == PLANT_USE_AFTER_FREE)
		kfree(p);
	return what; /* the others keep their 24 bytes: the machine ends anyway */
}

void plant_sleep(void)
{
	task_set_state(TASK_SLEEPING_UNINTERRUPTIBLE);
	schedule_deadline(time_monotonic_ns() + NSEC_PER_MSEC);
}

/* --- park=MS --- */
#define PARKED_NS NSEC_PER_MSEC

static u32 park_every_ms;

void park_set(u32 every_ms)
{
	park_every_ms = every_ms;
}

static void park_sleep(ktime_t duration_ns)
{
	task_set_state(TASK_SLEEPING_UNINTERRUPTIBLE);
	schedule_deadline(time_monotonic_ns() + duration_ns);
}

/* What programs call: the others are core's, which has its own way round a swap of them. */
static bool parks(const struct slot *slot)
{
	const struct kabi_contract *contract = slot_contract(slot);

	if (!contract || slot_is_parked(slot))
		return false;
	return contract->kind == KABI_KIND_SUBSYSTEM || contract->kind == KABI_KIND_PERSONALITY ||
	       contract->kind == KABI_KIND_VIEW;
}

static void park_thread(void *unused)
{
	(void)unused;
	for (u32 id = 0;; id = (id + 1) % NUCLEUS_NR_SLOTS) {
		const struct slot *slot = &nucleus.slots[id];
		const void *vtable = slot_vtable(slot);

		if (!parks(slot))
			continue;
		park_sleep((ktime_t)park_every_ms * NSEC_PER_MSEC);
		if (!slot_close(slot))
			continue;
		park_sleep(PARKED_NS);
		if (!slot_open(slot, vtable))
			panic("slot %s does not open again", slot_name(slot));
	}
}

void park_boot(void)
{
	if (park_every_ms && !task_kernel_thread(park_thread, nullptr, "park"))
		panic("no memory for the thread that parks slots");
}

/* Two exclusions that nobody else knows. */
static struct exclusion earlier, later;

answer_t plant_order(struct call *c)
{
	exclusion_init(&earlier, nullptr);
	exclusion_init(&later, nullptr);
	if (!call_hold(c, EXCL_GROUP, &later, 1, false))
		return ANSWER_NEED;
	call_effect(c);
	call_effect_recorded(c);
	return call_hold(c, EXCL_INODE, &earlier, 1, false) ? 0 : ANSWER_NEED;
}

answer_t plant_user(struct call *c)
{
	exclusion_init(&later, nullptr);
	if (!call_hold(c, EXCL_CONNECTION, &later, 1, false))
		return ANSWER_NEED;
	return call_need_user(c, (struct uspan){PAGE_BYTES, 1}, false);
}

__attribute__((noinline)) int plant_target(int value)
{
	return value + (int)planted;
}
#endif
