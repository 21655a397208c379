/* Planted defects (core/plant.h): which one, and where. Written once at boot, taken once. */
#include <core/log.h>
#include <core/plant.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/time.h>
#include <lib/string.h>

#if UMKA_DEBUG

static enum plant planted;
static enum plant_place planted_place;
static atomic32_t planted_taken;

static_assert((u32)PLANT_BAD_CALL == (u32)PLANTED_BAD_CALL && (u32)PLANT_NONE == (u32)PLANTED_NONE);

static u32 find(const char *text, size_t len, const char *const *names, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		if (strlen(names[i]) == len && !strncmp(names[i], text, len))
			return i;
	return nr;
}

void plant_set(const char *value)
{
	static const char *const kinds[] = {"uaf", "heap", "index", "integer", "call", "inversion",
		"guard", "sleep", "effect", "error", "runs"};
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
	enum plant what = plant_common(place, PLANT_BAD_CALL);
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

__attribute__((noinline)) int plant_target(int value)
{
	return value + (int)planted;
}
#endif
