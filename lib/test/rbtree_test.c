/* Random insertions and removals against a sorted array; all invariants of lib/rbtree.c are checked
 * after each. */
#include <lib/rbtree.h>
#include "tap.h"

#define NR 200
struct item {
	struct rb_min_node node;
	u32 key;
	bool in;
};
static struct item items[NR];

static int black_height(const struct rb_node *n, u64 *min)
{
	const struct rb_min_node *m = n ? container_of(n, struct rb_min_node, rb) : nullptr;
	u64 left_min = ~0ull, right_min = ~0ull;
	int left, right;

	if (!n) {
		*min = ~0ull;
		return 1;
	}
	CHECK_QUIET(!n->red || (!(n->left && n->left->red) && !(n->right && n->right->red)));
	left = black_height(n->left, &left_min);
	right = black_height(n->right, &right_min);
	CHECK_QUIET(left == right);
	*min = MIN(m->own, MIN(left_min, right_min));
	CHECK_QUIET(*min == m->min);
	return left + !n->red;
}

static void add(struct rb_root *root, struct item *it)
{
	struct rb_node **link = &root->node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = it->key < rb_entry(parent, struct item, node.rb)->key ? &parent->left
									     : &parent->right;
	}
	rb_min_insert(root, &it->node, parent, link);
}

int main(void)
{
	struct rb_root root = {};
	u32 nr = 0, rnd = 1;

	for (int step = 0; step < 20000; step++) {
		struct item *it;
		u32 walked = 0, last = 0;
		u64 min;

		rnd = rnd * 1664525 + 1013904223;
		it = &items[(rnd >> 8) % NR];
		if (it->in && (rnd >> 28) < 3) {
			it->node.own = rnd >> 4;
			rb_min_update(&it->node);
		} else if (it->in) {
			rb_min_erase(&root, &it->node);
			it->in = false;
			nr--;
		} else {
			it->key = rnd >> 16;
			it->node.own = rnd >> 5;
			add(&root, it);
			it->in = true;
			nr++;
		}
		black_height(root.node, &min);
		for (struct rb_node *n = rb_first(&root); n; n = rb_next(n)) {
			u32 key = rb_entry(n, struct item, node.rb)->key;

			CHECK_QUIET(key >= last);
			last = key;
			walked++;
		}
		CHECK_QUIET(walked == nr);
		walked = 0;
		for (struct rb_node *n = rb_last(&root); n; n = rb_prev(n))
			walked++;
		CHECK_QUIET(walked == nr);
	}
	CHECK(tap_failed == 0);
	TAP_END();
}
