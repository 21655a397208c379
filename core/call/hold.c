/*
 * Exclusions: long locks that belong to frames. Order and rules: calls.md "Exclusions". Theory in
 * entry.c.
 *
 * HOLD-I1 what is held is let go to be retaken in order only while nothing was changed under it:
 * held_effect, which a recorded effect or a step (MORE) sets, and letting all go ends. Debug
 * kernels see a set out of order at the asking, others when it really must wait.
 */
#include <core/call.h>
#include <core/log.h>
#include <core/task.h>
#include <core/call_priv.h>

#define OUT_OF_ORDER "exclusions out of order after an effect"

/* WHY no analysis: nobody else knows it yet. */
void exclusion_init(struct exclusion *e, struct object *container) __no_lock_analysis
{
	e->container = container;
	spin_init(&e->lock, LOCK_LEVEL_WAITABLE - 1);
	e->owner = nullptr;
	e->nr_shared = 0;
	waitable_init(&e->released);
}

static bool exclusion_try(struct exclusion *e, struct call *c, bool shared)
{
	bool ok;

	spin_lock(&e->lock);
	ok = !e->owner && (shared || !e->nr_shared);
	if (ok) {
		if (shared)
			e->nr_shared++;
		else
			e->owner = c;
	}
	spin_unlock(&e->lock);
	return ok;
}

static void exclusion_release(struct exclusion *e, bool shared)
{
	bool free;

	spin_lock(&e->lock);
	if (shared)
		e->nr_shared--;
	else
		e->owner = nullptr;
	free = !e->nr_shared;
	spin_unlock(&e->lock);
	if (free)
		waitable_wake(&e->released, EV_ANY, 0);
}

static struct call_hold *hold_find(struct call *c, const struct exclusion *e)
{
	for (u32 i = 0; i < c->nr_holds; i++)
		if (c->holds[i].excl == e)
			return &c->holds[i];
	return nullptr;
}

/* Takes a before b? */
static bool hold_before(const struct call_hold *a, const struct call_hold *b)
{
	return a->class != b->class ? a->class < b->class : a->object_id < b->object_id;
}

/* HOLD-I1, for `h`, which is not held. */
static bool would_let_go(const struct call *c, const struct call_hold *h)
{
	if (c->held_effect)
		for (u32 i = 0; i < c->nr_holds; i++)
			if (c->holds[i].held && hold_before(h, &c->holds[i]))
				return true;
	return false;
}

static bool hold_one(struct call *c, enum excl_class class, struct exclusion *e, u64 object_id,
	bool shared)
{
	struct call_hold *h = hold_find(c, e);

	if (h) {
		if (!shared && h->shared) { /* stronger than what it has: retaken in order */
			if (h->held && c->held_effect)
				(void)call_violation(c, OUT_OF_ORDER);
			if (h->held)
				exclusion_release(e, true);
			h->held = false;
			h->shared = false;
		}
		return h->held;
	}
	if (c->nr_holds == CALL_HOLDS_MAX)
		panic("call record: more than %u exclusions", CALL_HOLDS_MAX);
	h = &c->holds[c->nr_holds++];
	*h = (struct call_hold){e, object_id, class, c->level, shared, false};
	if (e->container)
		object_get(e->container);
	c->dirty = true;
#if UMKA_DEBUG
	/* Whether it is free or not: that it was busy would be the rarer case. */
	if (would_let_go(c, h))
		(void)call_violation(c, OUT_OF_ORDER);
#endif
	h->held = !call_rerun_inject(c, (word_t)e) && exclusion_try(e, c, shared);
	return h->held;
}

bool call_hold(struct call *c, enum excl_class class, struct exclusion *e, u64 object_id,
	bool shared)
{
	return hold_one(c, class, e, object_id, shared);
}

bool call_hold2(struct call *c, enum excl_class class, struct exclusion *a, u64 id_a,
	struct exclusion *b, u64 id_b)
{
	bool first = hold_one(c, class, a, id_a, false);

	return (a == b || hold_one(c, class, b, id_b, false)) && first;
}

void call_release_holds(struct call *c, u32 level)
{
	struct object *dead[CALL_HOLDS_MAX];
	u32 kept = 0, nr_dead = 0;

	for (u32 i = 0; i < c->nr_holds; i++) {
		struct call_hold *h = &c->holds[i];

		if (h->level < level) {
			c->holds[kept++] = *h;
			continue;
		}
		dead[nr_dead++] = h->excl->container;
		if (h->held)
			exclusion_release(h->excl, h->shared);
	}
	c->nr_holds = (u8)kept;
	c->held_effect &= kept != 0; /* what was changed under them others may follow now */
	/* Last: the end of an object may make calls of core's own, and this record must be whole by
	 * then. */
	for (u32 i = 0; i < nr_dead; i++)
		if (dead[i])
			object_put(dead[i]);
}

static void sort_holds(struct call *c)
{
	for (u32 i = 1; i < c->nr_holds; i++)
		for (u32 k = i; k > 0 && hold_before(&c->holds[k], &c->holds[k - 1]); k--) {
			struct call_hold t = c->holds[k];

			c->holds[k] = c->holds[k - 1];
			c->holds[k - 1] = t;
		}
}

int call_take_holds(struct call *c)
{
	u32 first = 0;

	sort_holds(c);
	while (first < c->nr_holds && c->holds[first].held)
		first++;
	if (first < c->nr_holds && would_let_go(c, &c->holds[first]))
		return call_violation(c, OUT_OF_ORDER);
	/* Those that come later are let go and retaken; while they are not held others may change
	 * things, which handlers look at again in the run that follows. */
	for (u32 i = first; i < c->nr_holds; i++) {
		if (c->holds[i].held)
			exclusion_release(c->holds[i].excl, c->holds[i].shared);
		c->holds[i].held = false;
	}
	for (u32 i = first; i < c->nr_holds; i++) {
		struct call_hold *h = &c->holds[i];

		/* Killed: the handler finds that it lacks some, asks again, and is ended. */
		if (wait_event(&h->excl->released, EV_ANY, exclusion_try(h->excl, c, h->shared),
			    c->flags & CALLF_KILLABLE_NEED ? WAITF_KILLABLE : 0))
			break;
		h->held = true;
	}
	return 0;
}
