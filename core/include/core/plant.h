#pragma once
/*
 * Planted defects: the positive controls of the detectors (debug and asan kernels;
 * core/trace/plant.c, tests/checks). plant=KIND:PLACE on the command line makes the code at PLACE
 * do KIND, once. The defects are inline, so that they are compiled as the code of their place is.
 * Components have their own of the kinds that they can have at all (sdk/plant.h).
 */
#include <kabi/kernel_services.h> /* enum plant_place */
#include <lib/types.h>

enum plant : u8 { /* the first ones as enum planted of the contract */
	PLANT_NONE,
	PLANT_USE_AFTER_FREE,
	PLANT_HEAP_OVERFLOW,
	PLANT_STACK_INDEX,
	PLANT_INTEGER_OVERFLOW,
	PLANT_BAD_CALL,
	PLANT_ANSWER,     /* a component's: a kind that it may not answer */
	PLANT_ASKS_AGAIN, /* a component's: NEED of what it was shown */
	PLANT_LOCK_INVERSION,
	PLANT_GUARD,    /* a lock that should be held is not */
	PLANT_SLEEP,    /* with a module frame on the stack */
	PLANT_EFFECT,   /* an answer that loses one */
	PLANT_ERROR,    /* an error that does */
	PLANT_RUNS,     /* NEED for ever: stays planted */
	PLANT_ORDER,    /* exclusions out of order after an effect */
	PLANT_USER,     /* NEED(user range) under a late exclusion */
	PLANT_NOTHING,  /* NEED that names nothing */
	PLANT_RECORDED, /* an error that loses what stands in the frame */
	PLANT_RESTART,  /* a restart after that */
};

struct call;
#if UMKA_DEBUG
#include <core/call.h>
#include <core/lock.h>
#include <core/mm.h>

/* plant= of the command line; a value that it does not know is named in the log. */
void plant_set(const char *value);
/* park=MS of the command line: so often one slot after another is closed and opened again under
 * whoever calls. park_boot: once modules are loaded. */
void park_set(u32 every_ms);
void park_boot(void);
/* Is this planted here? True once, but for PLANT_RUNS. */
bool plant_take(enum plant what, enum plant_place place);
/* What is planted here of the kinds up to `last`; PLANT_NONE after the first asking. */
enum plant plant_common(enum plant_place place, enum plant last);
/* For a component: its memory too. */
u32 plant_component(enum plant_place place, u64 *memory);
/* Sleeps a millisecond whatever is on the stack. */
void plant_sleep(void);
/* Answers what breaks the order of exclusions. */
answer_t plant_order(struct call *c);
answer_t plant_user(struct call *c);
/* A function for PLANT_BAD_CALL to call as what it is not. */
int plant_target(int value);

static __always_inline void plant_memory(enum plant what)
{
	volatile u8 *p = kmalloc(24);

	if (!p)
		return;
	if (what == PLANT_HEAP_OVERFLOW)
		p[24] = 1;
	kfree((void *)p);
	if (what == PLANT_USE_AFTER_FREE)
		p[8] = 1;
}

/* WHY no analysis: it is wrong on purpose. */
static __always_inline void plant_lock(enum plant what) __no_lock_analysis
{
	struct spinlock upper, lower;

	spin_init(&upper, LOCK_LEVEL_TASK);
	spin_init(&lower, LOCK_LEVEL_NAME);
	spin_lock(&upper);
	if (what == PLANT_GUARD)
		spin_assert_held(&lower);
	spin_lock(&lower);
	spin_unlock(&lower);
	spin_unlock(&upper);
}

static __always_inline void plant_arithmetic(enum plant what)
{
	volatile u32 index = 9;
	volatile s32 number = INT32_MAX;
	volatile u32 cells[8] = {};

	if (what == PLANT_STACK_INDEX)
		cells[index] = 1;
	else
		number = number + 1;
}

static __always_inline void plant_here(enum plant_place place)
{
	enum plant what = plant_common(place, PLANT_GUARD);
	void (*wrong)(void *);

	switch (what) {
	case PLANT_USE_AFTER_FREE:
	case PLANT_HEAP_OVERFLOW:
		plant_memory(what);
		break;
	case PLANT_STACK_INDEX:
	case PLANT_INTEGER_OVERFLOW:
		plant_arithmetic(what);
		break;
	case PLANT_BAD_CALL:
		wrong = (void (*)(void *))(word_t)plant_target;
		__asm__ volatile("" : "+r"(wrong));
		wrong(nullptr);
		break;
	case PLANT_LOCK_INVERSION:
	case PLANT_GUARD:
		plant_lock(what);
		break;
	case PLANT_NONE:
	case PLANT_ANSWER:
	case PLANT_ASKS_AGAIN:
	case PLANT_SLEEP:
	case PLANT_EFFECT:
	case PLANT_ERROR:
	case PLANT_RUNS:
	case PLANT_ORDER:
	case PLANT_USER:
	case PLANT_NOTHING:
	case PLANT_RECORDED:
	case PLANT_RESTART:
		break;
	}
}

static __always_inline answer_t plant_recorded(struct call *c, answer_t error)
{
	call_effect(c);
	call_effect_recorded(c);
	return error;
}

/* In a handler, at its begin: what is planted here of the call's rules too. Not 0: its answer. */
static __always_inline answer_t plant_handler(struct call *c, enum plant_place place)
{
	plant_here(place);
	if (plant_take(PLANT_SLEEP, place))
		plant_sleep();
	if (plant_take(PLANT_EFFECT, place)) {
		call_effect(c);
		return call_more(c);
	}
	if (plant_take(PLANT_ERROR, place)) {
		call_effect(c);
		return -EIO;
	}
	if (plant_take(PLANT_ORDER, place))
		return plant_order(c);
	if (plant_take(PLANT_USER, place))
		return plant_user(c);
	if (plant_take(PLANT_NOTHING, place))
		return ANSWER_NEED;
	if (plant_take(PLANT_RECORDED, place))
		return plant_recorded(c, -EIO);
	if (plant_take(PLANT_RESTART, place))
		return plant_recorded(c, -ERESTARTSYS);
	return plant_take(PLANT_RUNS, place) ? call_need_memory(c, PAGE_BYTES) : 0;
}
#else
static inline void plant_here(enum plant_place place)
{
	(void)place;
}
static inline u32 plant_component(enum plant_place place, u64 *memory)
{
	(void)place;
	*memory = 0;
	return PLANT_NONE;
}
#define plant_handler(c, place) ((answer_t)0)
static inline void park_boot(void)
{
}
#endif
