/* What is counted per real user: RLIMIT_NPROC, RLIMIT_SIGPENDING. One small record per user id ever
 * seen, never freed. */
#include "task_internal.h"

static struct spinlock user_lock = SPINLOCK_INIT(LOCK_LEVEL_USER);
static struct rb_root users guarded_by(&user_lock);

static struct user_count *find(kuid_t uid, struct rb_node ***link, struct rb_node **parent)
	__requires(&user_lock)
{
	*link = &users.node;
	*parent = nullptr;
	while (**link) {
		struct user_count *u = rb_entry(**link, struct user_count, node);

		if (kuid_eq(u->uid, uid))
			return u;
		*parent = **link;
		*link = uid.value < u->uid.value ? &(*parent)->left : &(*parent)->right;
	}
	return nullptr;
}

struct user_count *user_count_of(kuid_t uid)
{
	struct user_count *fresh = kzalloc(sizeof(*fresh)), *u;
	struct rb_node **link, *parent;
	word_t irq = spin_lock_irqsave(&user_lock);

	u = find(uid, &link, &parent);
	if (!u && fresh) {
		u = fresh;
		fresh = nullptr;
		u->uid = uid;
		rb_insert(&users, &u->node, parent, link);
	}
	spin_unlock_irqrestore(&user_lock, irq);
	kfree(fresh);
	return u;
}
