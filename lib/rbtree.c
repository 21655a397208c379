/*
 * Red-black trees (Guibas, Sedgewick 1978; deletion after Cormen et al., chapter 13) with an
 * optional augmented minimum.
 *
 * Invariants: 1. the root is black; 2. a red node has no red child; 3. every path from a node to a
 * leaf has the same number of black nodes; 4. (augmented) min = the least `own` of the subtree. The
 * augmented paths repeat the same code with `augmented` true, a constant after inlining.
 */
#include <lib/rbtree.h>

static inline struct rb_min_node *min_node(struct rb_node *n)
{
	return container_of(n, struct rb_min_node, rb);
}

static u64 subtree_min(const struct rb_node *n)
{
	const struct rb_min_node *m = container_of(n, struct rb_min_node, rb);
	u64 v = m->own;

	if (n->left)
		v = MIN(v, min_node(n->left)->min);
	if (n->right)
		v = MIN(v, min_node(n->right)->min);
	return v;
}

/* From n to the root, as far as something changes. */
static void min_propagate(struct rb_node *n)
{
	for (; n; n = n->parent) {
		u64 v = subtree_min(n);

		if (min_node(n)->min == v)
			return;
		min_node(n)->min = v;
	}
}

static inline void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old,
	struct rb_node *new)
{
	if (!parent)
		root->node = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

/* n's child on the other side takes n's place; n goes down to `left` side. */
static inline void rotate(struct rb_root *root, struct rb_node *n, bool left, bool augmented)
{
	struct rb_node *up = left ? n->right : n->left;
	struct rb_node *middle = left ? up->left : up->right;

	if (left) {
		n->right = middle;
		up->left = n;
	} else {
		n->left = middle;
		up->right = n;
	}
	if (middle)
		middle->parent = n;
	up->parent = n->parent;
	replace_child(root, n->parent, n, up);
	n->parent = up;
	if (augmented) {
		min_node(up)->min = min_node(n)->min;
		min_node(n)->min = subtree_min(n);
	}
}

static inline void insert(struct rb_root *root, struct rb_node *n, bool augmented)
{
	struct rb_node *parent;

	n->red = true;
	while ((parent = n->parent) && parent->red) {
		struct rb_node *grand = parent->parent;
		bool left = parent == grand->left;
		struct rb_node *uncle = left ? grand->right : grand->left;

		if (uncle && uncle->red) {
			parent->red = uncle->red = false;
			grand->red = true;
			n = grand;
			continue;
		}
		if (n == (left ? parent->right : parent->left)) {
			rotate(root, parent, left, augmented);
			n = parent;
			parent = n->parent;
		}
		parent->red = false;
		grand->red = true;
		rotate(root, grand, !left, augmented);
	}
	root->node->red = false;
}

static inline void link_node(struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
	n->parent = parent;
	n->left = n->right = nullptr;
	*link = n;
}

void rb_insert(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
	struct rb_node **link)
{
	link_node(n, parent, link);
	insert(root, n, false);
}

void rb_min_insert(struct rb_root *root, struct rb_min_node *n, struct rb_node *parent,
	struct rb_node **link)
{
	link_node(&n->rb, parent, link);
	n->min = n->own;
	min_propagate(parent);
	insert(root, &n->rb, true);
}

/* The place of n (may be nullptr) below parent lacks one black node. */
static inline void erase_fix(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
	bool augmented)
{
	while (parent && (!n || !n->red)) {
		bool left = parent->left == n;
		struct rb_node *sibling = left ? parent->right : parent->left;
		struct rb_node *near, *far;

		if (sibling->red) {
			sibling->red = false;
			parent->red = true;
			rotate(root, parent, left, augmented);
			sibling = left ? parent->right : parent->left;
		}
		near = left ? sibling->left : sibling->right;
		far = left ? sibling->right : sibling->left;
		if (!(near && near->red) && !(far && far->red)) {
			sibling->red = true;
			n = parent;
			parent = n->parent;
			continue;
		}
		if (!(far && far->red)) {
			near->red = false;
			sibling->red = true;
			rotate(root, sibling, !left, augmented);
			far = sibling;
			sibling = near;
		}
		sibling->red = parent->red;
		parent->red = false;
		far->red = false;
		rotate(root, parent, left, augmented);
		return;
	}
	if (n)
		n->red = false;
}

static inline void erase(struct rb_root *root, struct rb_node *n, bool augmented)
{
	struct rb_node *child, *parent;
	bool red;

	if (n->left && n->right) {
		struct rb_node *next = n->right;

		while (next->left)
			next = next->left;
		child = next->right;
		parent = next->parent;
		red = next->red;
		if (parent == n) {
			parent = next;
		} else {
			parent->left = child;
			if (child)
				child->parent = parent;
			next->right = n->right;
			next->right->parent = next;
		}
		next->left = n->left;
		next->left->parent = next;
		next->parent = n->parent;
		next->red = n->red;
		replace_child(root, n->parent, n, next);
		if (augmented)
			min_node(next)->min = min_node(n)->min; /* so that propagation does not stop
								   too early below */
	} else {
		child = n->left ? n->left : n->right;
		parent = n->parent;
		red = n->red;
		if (child)
			child->parent = parent;
		replace_child(root, parent, n, child);
	}
	if (augmented)
		for (struct rb_node *p = parent; p; p = p->parent)
			min_node(p)->min = subtree_min(p);
	if (!red)
		erase_fix(root, child, parent, augmented);
	n->parent = n->left = n->right = nullptr;
}

void rb_erase(struct rb_root *root, struct rb_node *n)
{
	erase(root, n, false);
}

void rb_min_erase(struct rb_root *root, struct rb_min_node *n)
{
	erase(root, &n->rb, true);
}

void rb_min_update(struct rb_min_node *n)
{
	min_propagate(&n->rb);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	if (n->right) {
		n = n->right;
		while (n->left)
			n = n->left;
		return (struct rb_node *)n;
	}
	while (n->parent && n == n->parent->right)
		n = n->parent;
	return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	if (n->left) {
		n = n->left;
		while (n->right)
			n = n->right;
		return (struct rb_node *)n;
	}
	while (n->parent && n == n->parent->left)
		n = n->parent;
	return n->parent;
}
