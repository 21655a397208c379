/* Random requests against a model of one byte per position; afterwards the list must be minimal and
 * hold the model's content. */
#include "../../../lib/test/tap.h"
#include <core/lock_range.h>

#define SPAN   64
#define OWNERS 3
static int model[OWNERS][SPAN]; /* 0 none, 1 read, 2 write */
static struct list_node locks = LIST_INIT(locks);
static char owner[OWNERS];

static bool model_conflict(int who, int from, int to, u8 type)
{
	for (int o = 0; o < OWNERS; o++)
		for (int i = from; i <= to && o != who; i++)
			if (model[o][i] == 2 || (model[o][i] && type == LOCK_TYPE_WRITE))
				return true;
	return false;
}

static void drop(struct list_node *freed)
{
	struct list_node *n;

	while ((n = list_pop(freed)))
		free(list_entry(n, struct file_lock, link));
}

static void apply(int who, int from, int to, u8 type)
{
	struct lock_request r = {&owner[who], from, to, who, type, LOCK_POSIX};
	struct list_node freed = LIST_INIT(freed);
	struct file_lock *new = calloc(1, sizeof(*new)), *spare = calloc(1, sizeof(*spare));
	bool conflict = type != LOCK_TYPE_NONE && lock_ranges_conflict(&locks, &r);

	list_init(&new->link);
	list_init(&spare->link);
	CHECK_QUIET(conflict == (type != LOCK_TYPE_NONE && model_conflict(who, from, to, type)));
	if (!conflict) {
		lock_ranges_set(&locks, &r, &new, &spare, &freed);
		for (int i = from; i <= to; i++)
			model[who][i] = type == LOCK_TYPE_NONE ? 0 : type + 1;
	}
	free(new);
	free(spare);
	drop(&freed);
}

static void compare(void)
{
	int seen[OWNERS][SPAN] = {};
	struct file_lock *l, *m;

	list_for_each_entry (l, &locks, link) {
		int who = (int)((const char *)l->owner - owner);

		CHECK_QUIET(l->start <= l->end);
		for (s64 i = l->start; i <= l->end; i++) {
			CHECK_QUIET(!seen[who][i]);
			seen[who][i] = l->type + 1;
		}
		list_for_each_entry (m, &locks, link) /* LOCK-I1: merged */
			CHECK_QUIET(m == l || m->owner != l->owner || m->type != l->type ||
				    l->end + 1 != m->start);
	}
	for (int o = 0; o < OWNERS; o++)
		for (int i = 0; i < SPAN; i++)
			CHECK_QUIET(seen[o][i] == model[o][i]);
}

int main(void)
{
	unsigned seed = 7;

	for (int round = 0; round < 20000; round++) {
		int a, b, who;

		seed = seed * 1103515245u + 12345u;
		a = (int)(seed >> 8) % SPAN;
		b = a + (int)(seed >> 16) % (SPAN - a);
		who = (int)(seed >> 24) % OWNERS;
		seed = seed * 1103515245u + 12345u;
		apply(who, a, b, (u8)((seed >> 16) % 3));
		if (round % 16 == 0)
			compare();
	}
	compare();
	CHECK(tap_failed == 0);
	/* To the end of the file and beyond arithmetic's edge. */
	apply(0, 0, SPAN - 1, LOCK_TYPE_NONE);
	apply(1, 0, SPAN - 1, LOCK_TYPE_NONE);
	apply(2, 0, SPAN - 1, LOCK_TYPE_NONE);
	CHECK(list_empty(&locks));
	{
		struct lock_request r = {owner, 5, LOCK_END, 0, LOCK_TYPE_WRITE, LOCK_OFD};
		struct list_node freed = LIST_INIT(freed);
		struct file_lock *new = calloc(1, sizeof(*new)), *spare = calloc(1, sizeof(*spare));

		lock_ranges_set(&locks, &r, &new, &spare, &freed);
		r.owner = owner + 1;
		r.start = r.end = LOCK_END;
		CHECK(lock_ranges_conflict(&locks, &r) != nullptr);
		r.kind = LOCK_FLOCK;
		CHECK(lock_ranges_conflict(&locks, &r) == nullptr);
		drop(&locks);
		free(spare);
	}
	TAP_END();
}
