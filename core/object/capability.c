/* Core's side of the nucleus' grants: one lock for writers, references for readers. */
#include <core/capability.h>
#include <core/lock.h>

static struct spinlock grants_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ);

handle_t object_grant(struct object *o, u32 rights)
{
	word_t irq = spin_lock_irqsave(&grants_lock);
	handle_t handle = cap_grant_create(0, o, o->id, rights);

	spin_unlock_irqrestore(&grants_lock, irq);
	return handle;
}

handle_t object_delegate(handle_t parent, u32 rights)
{
	word_t irq = spin_lock_irqsave(&grants_lock);
	void *object = cap_lookup(parent, rights | CAP_RIGHT_GRANT);
	handle_t handle = HANDLE_NONE;

	if (object)
		handle = cap_grant_create(parent, object, cap_object_id(parent), rights);
	spin_unlock_irqrestore(&grants_lock, irq);
	return handle;
}

void object_revoke(handle_t grant)
{
	word_t irq = spin_lock_irqsave(&grants_lock);

	(void)cap_revoke(grant);
	spin_unlock_irqrestore(&grants_lock, irq);
}

struct object *object_by_handle(handle_t handle, enum object_type type, u32 rights)
{
	grace_read_begin();
	struct object *o = cap_lookup(handle, rights);

	if (o && (o->type != type || !object_get_live(o)))
		o = nullptr;
	grace_read_end();
	return o;
}

void cap_token_make(struct cap_token *t, struct object *o, u32 rights)
{
	/* The epoch first: a revocation in between moves it, and the next check looks again. */
	*t = (struct cap_token){.epoch = {cap_epoch()}};
	t->object = o;
	t->generation = atomic32_load_acquire(&o->generation);
	t->rights = rights;
}

bool cap_token_renew(struct cap_token *t)
{
	const word_t epoch = cap_epoch();

	if (!cap_root_stands(&t->object->generation, t->generation))
		return false;
	if (t->grant != HANDLE_NONE && !cap_lookup(t->grant, t->rights))
		return false;
	/* What was revoked after the load above has another epoch (NUCLEUS-I8), so it is looked at
	 * again. */
	atomic_word_store(&t->epoch, epoch);
	return true;
}

void object_revoke_tokens(struct object *o)
{
	word_t irq = spin_lock_irqsave(&grants_lock);

	cap_root_revoke(&o->generation);
	spin_unlock_irqrestore(&grants_lock, irq);
}
