#pragma once
/*
 * Capabilities in core (core/object/capability.c): the lock around the nucleus' grants, tokens of
 * whoever holds a reference, and handles of components, which hold a number.
 *
 * An object's root grant lies in the object (struct object.generation), so that making a token
 * takes no lock and no room in the grant table, and revoking an object is two stores however many
 * tokens there are. docs/decisions/0005-descriptors-and-tokens.md.
 */
#include <kabi/base.h>
#include <nucleus/cap.h>
#include <core/object.h>

/* What an open file holds on what it names, with a reference: shared by all descriptors that fork,
 * dup and descriptor passing made of one. */
struct cap_token {
	struct object *object; /* its holder keeps it */
	handle_t grant;        /* HANDLE_NONE: the object's root; else one that was delegated */
	u32 generation;        /* of the root when the token was made */
	u32 rights;
	atomic_word_t epoch; /* of the last check; any thread that uses the token stores it */
};

/* A token from the root of `o`. Context: any; the token is nobody else's yet. */
void cap_token_make(struct cap_token *t, struct object *o, u32 rights);
/* The long way: walks the grants, and remembers the epoch if all stand. Context: any. */
bool cap_token_renew(struct cap_token *t);
/* The hot path, one compare: nothing was revoked since it was checked. */
static inline bool cap_token_fresh(const struct cap_token *t)
{
	return atomic_word_load(&t->epoch) == cap_epoch();
}
static inline bool cap_token_stands(struct cap_token *t)
{
	return likely(cap_token_fresh(t)) || cap_token_renew(t);
}
/* Ends every token on `o`: O(1). Tokens that are made from now on stand. Who revokes wakes the
 * object's waiters. Context: any. */
void object_revoke_tokens(struct object *o);

/* A root grant on `o`, which keeps no reference: revoke before the object goes. HANDLE_NONE: the
 * table is full. Any context. */
handle_t object_grant(struct object *o, u32 rights);
/* A grant below another: rights shrink, depth <= 16. HANDLE_NONE: refused. */
handle_t object_delegate(handle_t parent, u32 rights);
void object_revoke(handle_t grant);
/* The object with a reference taken, if the handle stands, holds the rights and is of the type;
 * else nullptr. Any context. */
struct object *object_by_handle(handle_t handle, enum object_type type, u32 rights);
