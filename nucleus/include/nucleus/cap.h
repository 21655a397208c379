#pragma once
/*
 * Capabilities: a token names an object, rights, and a grant with its generation. Grants form a
 * tree of depth <= 16 whose rights only shrink; revoking a grant raises its generation, which ends
 * everything below it, and one global epoch. Who holds a token remembers the epoch at which it was
 * checked and looks again only when the epoch has moved.
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define CAP_NR_GRANTS     8192u
#define CAP_DEPTH_MAX     16u

#define CAP_RIGHT_READ    1u
#define CAP_RIGHT_WRITE   2u
#define CAP_RIGHT_CONTROL 4u /* attach, configure, reset */
#define CAP_RIGHT_DMA     8u
#define CAP_RIGHT_IRQ     16u
#define CAP_RIGHT_GRANT   32u /* may make grants below */
#define CAP_RIGHTS_ALL    63u

struct cap_grant {
	void *object;  /* nullptr: the grant is free */
	u64 object_id; /* never reused: tells a token's object from a later one at the same address
			*/
	u32 rights;
	atomic32_t generation; /* odd while in use, raised by create and by revoke */
	u32 parent;            /* 0: a root grant */
	u32 parent_generation; /* when it was made: another one means that the parent was revoked */
	u32 depth;             /* root: 1 */
	u32 next_free;
};

/* Grant 0 does not exist, so that handle 0 names nothing. A handle: generation << 32 | grant. */
struct cap_table {
	struct cap_grant grants[CAP_NR_GRANTS];
	atomic_word_t epoch;
	u32 first_free; /* list of grants that were used before */
	u32 nr_touched; /* grants from here on were never used */
};
extern struct cap_table nucleus_caps;

/* The object behind a handle if the handle and every grant above it still stand and hold `rights`;
 * else nullptr. Context: any, in a grace read section for as long as the object is used without a
 * reference. */
void *cap_lookup(u64 handle, u32 rights);
/* Its object id, 0: the handle is dead. */
u64 cap_object_id(u64 handle);
/* Makes a grant below `parent` (0: a root grant). 0: no room, dead parent, depth, or rights that
 * the parent lacks. Context: writers are serialised by core/object/capability.c. */
u64 cap_grant_create(u64 parent, void *object, u64 object_id, u32 rights);
/* Ends the grant and all below it. False: it was dead already. Serialised as create. */
bool cap_revoke(u64 handle);
/* The root grant of a core object lies in the object: one word, its generation. Who holds a token
 * remembers the generation that it was made at. One that has reached its end stands for nobody. */
#define CAP_ROOT_FIRST 1u
#define CAP_ROOT_END   0xffffffffu
static inline bool cap_root_stands(const atomic32_t *root, u32 generation)
{
	return generation != CAP_ROOT_END && atomic32_load_acquire(root) == generation;
}
/* Ends every token on the object, and whatever was delegated from one. Serialised as create. */
void cap_root_revoke(atomic32_t *root);
static inline word_t cap_epoch(void)
{
	return atomic_word_load_acquire(&nucleus_caps.epoch);
}
