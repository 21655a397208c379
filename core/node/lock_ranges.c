/* Theory in locks.c. */
#include <core/lock_range.h>

static bool overlaps(const struct file_lock *l, s64 start, s64 end)
{
	return l->start <= end && start <= l->end;
}
static bool same_family(enum lock_kind a, enum lock_kind b)
{
	return (a == LOCK_FLOCK) == (b == LOCK_FLOCK);
}
static bool conflicts(const struct file_lock *l, const struct lock_request *r)
{
	return same_family(l->kind, r->kind) && !(l->owner == r->owner && l->kind == r->kind) &&
	       overlaps(l, r->start, r->end) &&
	       (l->type == LOCK_TYPE_WRITE || r->type == LOCK_TYPE_WRITE);
}
/* The one that begins first. */
struct file_lock *lock_ranges_conflict(struct list_node *locks, const struct lock_request *r)
{
	struct file_lock *l, *first = nullptr;

	if (r->type == LOCK_TYPE_NONE)
		return nullptr;
	list_for_each_entry (l, locks, link)
		if (conflicts(l, r) && (!first || l->start < first->start))
			first = l;
	return first;
}

/* Cuts [start, end] out of the owner's ranges. *spare is used when one range becomes two. True:
 * something was cut. */
static bool cut(struct list_node *locks, const struct lock_request *r, struct file_lock **spare,
	struct list_node *freed)
{
	struct file_lock *l, *tmp;
	bool any = false;

	list_for_each_entry_safe (l, tmp, locks, link) {
		if (l->owner != r->owner || l->kind != r->kind || !overlaps(l, r->start, r->end))
			continue;
		any = true;
		if (l->start < r->start && l->end > r->end) {
			struct file_lock *tail = *spare;

			*spare = nullptr;
			*tail = *l;
			tail->start = r->end + 1;
			l->end = r->start - 1;
			list_add(&l->link, &tail->link);
			break;
		}
		if (l->start < r->start) {
			l->end = r->start - 1;
		} else if (l->end > r->end) {
			l->start = r->end + 1;
		} else {
			list_del(&l->link);
			list_add(freed, &l->link);
		}
	}
	return any;
}

/* Grows the new range over equal neighbours. */
static void merge(struct list_node *locks, struct file_lock *new, struct list_node *freed)
{
	struct file_lock *l, *tmp;

	list_for_each_entry_safe (l, tmp, locks, link) {
		if (l == new || l->owner != new->owner || l->kind != new->kind ||
			l->type != new->type)
			continue;
		if (l->end != LOCK_END && l->end + 1 == new->start)
			new->start = l->start;
		else if (new->end != LOCK_END &&new->end + 1 == l->start)
			new->end = l->end;
		else
			continue;
		list_del(&l->link);
		list_add(freed, &l->link);
	}
}

bool lock_ranges_set(struct list_node *locks, const struct lock_request *r, struct file_lock **new,
	struct file_lock **spare, struct list_node *freed)
{
	bool changed = cut(locks, r, spare, freed);
	struct file_lock *l = *new;

	if (r->type == LOCK_TYPE_NONE)
		return changed;
	*new = nullptr;
	*l = (struct file_lock){.owner = r->owner,
		.start = r->start,
		.end = r->end,
		.pid = r->pid,
		.type = r->type,
		.kind = r->kind};
	merge(locks, l, freed);
	list_add_tail(locks, &l->link);
	return changed;
}
