#pragma once
/*
 * Capabilities in core (core/object/capability.c): the lock around the nucleus' grant table, and
 * handles for components. A Linux descriptor holds a reference, rights and the epoch it was checked
 * at; a component's handle is a grant.
 */
#include <kabi/base.h>
#include <nucleus/cap.h>
#include <core/object.h>

/* What descriptors and tasks hold: copied by fork, dup and descriptor passing without a new grant.
 */
struct cap_token {
	u64 object_id;
	handle_t grant;
	u32 rights;
	u32 node;     /* 0: this machine */
	word_t epoch; /* of the last check */
};

/* A root grant on `o`, which keeps no reference: revoke before the object goes. HANDLE_NONE: the
 * table is full. Any context. */
handle_t object_grant(struct object *o, u32 rights);
/* A grant below another: rights shrink, depth <= 16. HANDLE_NONE: refused. */
handle_t object_delegate(handle_t parent, u32 rights);
void object_revoke(handle_t grant);
/* The object with a reference taken, if the handle stands, holds the rights and is of the type;
 * else nullptr. Any context. */
struct object *object_by_handle(handle_t handle, enum object_type type, u32 rights);
/* The hot path: one compare; walks the grants only when something was revoked since. */
static inline bool cap_token_check(struct cap_token *t)
{
	word_t epoch = cap_epoch();

	if (likely(t->epoch == epoch))
		return true;
	if (!cap_lookup(t->grant, t->rights))
		return false;
	t->epoch = epoch;
	return true;
}
