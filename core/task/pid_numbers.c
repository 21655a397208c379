/*
 * Process numbers: a tree of those in use, and a cursor. The next number is the first free one
 * after the last given, restarting at PID_RESERVED when the maximum is passed (as Linux: a number
 * is not reused soon). Pure: the caller has the lock and the memory.
 */
#include "pid_numbers.h"

static struct pid_number *entry(struct rb_node *n)
{
	return rb_entry(n, struct pid_number, in_ns);
}

/* First in use that is >= number. */
static struct pid_number *lower_bound(const struct pid_numbers *p, s32 number)
{
	struct rb_node *n = p->root.node;
	struct pid_number *best = nullptr;

	while (n) {
		if (entry(n)->number >= number) {
			best = entry(n);
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct pid_number *pid_numbers_find(const struct pid_numbers *p, s32 number)
{
	struct pid_number *n = lower_bound(p, number);

	return n && n->number == number ? n : nullptr;
}

struct pid_number *pid_numbers_next(const struct pid_numbers *p, s32 after)
{
	return after == INT32_MAX ? nullptr : lower_bound(p, after + 1);
}

/* First free number in [from, end); end: none. */
static s32 first_free(const struct pid_numbers *p, s32 from, s32 end)
{
	struct pid_number *n = lower_bound(p, from);

	while (n && n->number == from && from < end) {
		struct rb_node *next = rb_next(&n->in_ns);

		from++;
		n = next ? entry(next) : nullptr;
	}
	return from;
}

static void insert(struct pid_numbers *p, struct pid_number *n)
{
	struct rb_node **link = &p->root.node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = n->number < entry(parent)->number ? &parent->left : &parent->right;
	}
	rb_insert(&p->root, &n->in_ns, parent, link);
	p->nr++;
}

bool pid_numbers_take(struct pid_numbers *p, struct pid_number *n, s32 wanted)
{
	s32 number;

	if (wanted) {
		if (wanted < 1 || wanted >= p->max || pid_numbers_find(p, wanted))
			return false;
		n->number = wanted;
		insert(p, n);
		return true;
	}
	number = first_free(p, p->last + 1, p->max);
	if (number >= p->max) {
		number = first_free(p, PID_RESERVED, p->max);
		if (number >= p->max)
			return false;
	}
	p->last = number;
	n->number = number;
	insert(p, n);
	return true;
}

void pid_numbers_give_back(struct pid_numbers *p, struct pid_number *n)
{
	rb_erase(&p->root, &n->in_ns);
	p->nr--;
}
