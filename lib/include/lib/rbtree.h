#pragma once
/*
 * Red-black tree, intrusive, ordered by the caller (who descends and links), optionally augmented
 * by one u64 minimum over the subtree ("one key and one augmented minimum", architecture.md section
 * 3).
 */
#include <lib/types.h>

struct rb_node {
	struct rb_node *parent, *left, *right;
	bool red;
};
struct rb_root {
	struct rb_node *node;
};
/* The augmented node: `min` is maintained over own values of the subtree. */
struct rb_min_node {
	struct rb_node rb;
	u64 own; /* set by the user before insertion; rb_min_update() after a change */
	u64 min;
};

void rb_insert(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
	struct rb_node **link);
void rb_erase(struct rb_root *root, struct rb_node *n);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);
/* Same for trees whose nodes are all rb_min_node. */
void rb_min_insert(struct rb_root *root, struct rb_min_node *n, struct rb_node *parent,
	struct rb_node **link);
void rb_min_erase(struct rb_root *root, struct rb_min_node *n);
void rb_min_update(struct rb_min_node *n);

#define rb_entry(n, type, member) container_of(n, type, member)
#define rb_for_each_entry(pos, root, member)                                                       \
	for (struct rb_node *_n = rb_first(root);                                                  \
		_n && (pos = rb_entry(_n, typeof(*pos), member), true); _n = rb_next(_n))
