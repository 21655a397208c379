/* Sleeping locks of core operations; theory in spin.c. Hand-over: unlock gives the mutex to the
 * first waiter, so a waiter that was woken owns it already and nobody can barge in between; a
 * waiter cannot be interrupted, since holders never wait without bound. */
#include <core/lock.h>
#include <core/log.h>
#include <core/task.h>

struct mutex_waiter {
	struct list_node link;
	struct task *task;
	bool granted;
};

void mutex_init(struct mutex *m, enum lock_level level)
{
	*m = (struct mutex){.level = level};
	spin_init(&m->lock, LOCK_LEVEL_WAITABLE);
	list_init(&m->waiters);
}

/* WHY: the analysis cannot see that granted == true means owning. */
void mutex_lock(struct mutex *m) __no_lock_analysis
{
	struct mutex_waiter w = {.task = current};

	spin_lock(&m->lock);
	if (!m->owner) {
		m->owner = current;
		spin_unlock(&m->lock);
		return;
	}
	BUG_ON(m->owner == current);
	list_add_tail(&m->waiters, &w.link);
	current->blocked_on = m;
	for (;;) {
		task_set_state(TASK_SLEEPING_UNINTERRUPTIBLE);
		if (w.granted)
			break;
		spin_unlock(&m->lock);
		schedule();
		spin_lock(&m->lock);
	}
	task_set_state(TASK_RUNNABLE);
	current->blocked_on = nullptr;
	spin_unlock(&m->lock);
}

bool mutex_trylock(struct mutex *m) __no_lock_analysis /* WHY: as above */
{
	bool ok;

	spin_lock(&m->lock);
	ok = !m->owner;
	if (ok)
		m->owner = current;
	spin_unlock(&m->lock);
	return ok;
}

void mutex_unlock(struct mutex *m) __no_lock_analysis /* WHY: as above */
{
	struct list_node *n;
	struct task *next = nullptr;

	spin_lock(&m->lock);
	BUG_ON(m->owner != current);
	n = list_pop(&m->waiters);
	if (n) {
		struct mutex_waiter *w = list_entry(n, struct mutex_waiter, link);

		next = w->task;
		object_get(&next->obj); /* its stack may be gone once it runs */
		w->granted = true;
	}
	m->owner = next;
	spin_unlock(&m->lock);
	if (next) {
		task_wake(next);
		object_put(&next->obj);
	}
}
