/*
 * State objects.
 *
 * Purpose: the header that everything which survives a swap or a crash hangs on.
 *
 * Vocabulary: body = what the type's contract declares, behind one pointer; schema = version of its
 * layout.
 *
 * Objects and lifetimes: made with one reference; the last object_put calls the type's release
 * (release.c); memory goes after a grace period, so that a lookup without a lock may try
 * object_get_live on it.
 *
 * Invariants: OBJECT-I1 an id is never given twice in the life of the machine; OBJECT-I2 struct
 * object is the first member of whatever it heads, so that the address of the one is the address of
 * the other.
 *
 * Locks: each object its own; none here.
 *
 * Failure and recovery: nothing here fails. Replacement: objects outlive every module.
 *
 * Cost: an id is one short lock; objects are made far less often than they are used.
 */
#include <core/lock.h>
#include <nucleus/cap.h>
#include <core/object.h>

/* One lock for the global counter: 64 bits on 32-bit machines have no atomic of ours. */
static struct spinlock id_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ);
static u64 next_id guarded_by(&id_lock) = 1;

u64 object_new_id(void)
{
	word_t irq = spin_lock_irqsave(&id_lock);
	u64 id = next_id++;

	spin_unlock_irqrestore(&id_lock, irq);
	return id;
}

void object_init(struct object *o, enum object_type type, enum lock_level level,
	struct account *account)
{
	*o = (struct object){.id = object_new_id(),
		.type = type,
		.schema = 1,
		.generation = {CAP_ROOT_FIRST},
		.account = account};
	spin_init(&o->lock, level);
	refcount_set(&o->refs, 1);
}

struct account account_root = {
	.obj = {.id = 0,
		.type = OBJECT_ACCOUNT,
		.schema = 1,
		.generation = {CAP_ROOT_FIRST},
		.refs = {{1}}},
};
