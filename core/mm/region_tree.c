/*
 * Regions by start address. node.own = ~(gap in front), so that the augmented minimum of a subtree
 * tells its largest gap. Invariant: regions do not overlap; own is current whenever the tree is
 * searched.
 */
#include "region_tree.h"

static struct region *of(struct rb_node *n)
{
	return n ? rb_entry(n, struct region, node.rb) : nullptr;
}

struct region *region_next(const struct region *r)
{
	return of(rb_next(&r->node.rb));
}

struct region *region_prev(const struct region *r)
{
	return of(rb_prev(&r->node.rb));
}

struct region *region_find(const struct rb_root *root, vaddr_t addr)
{
	struct rb_node *n = root->node;
	struct region *best = nullptr;

	while (n) {
		struct region *r = of(n);

		if (addr < r->end) {
			best = r;
			if (addr >= r->start)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct region *region_below(const struct rb_root *root, vaddr_t addr)
{
	struct rb_node *n = root->node;
	struct region *best = nullptr;

	while (n) {
		struct region *r = of(n);

		if (r->start < addr) {
			best = r;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

/* What lies under a growing stack is not free: a gap ends a guard distance before it. */
#define STACK_GUARD ((vaddr_t)1 << 20) /* stack_guard_gap: 256 pages of 4 KiB */
static vaddr_t gap_end(const struct region *r)
{
	vaddr_t guard = STACK_GUARD;

	return r->flags & VM_GROWSDOWN ? r->start - MIN(r->start, guard) : r->start;
}

static void gap_update(struct region *r)
{
	struct region *prev = region_prev(r);

	vaddr_t from = prev ? prev->end : 0, to = gap_end(r);

	r->node.own = ~(u64)(to > from ? to - from : 0);
	rb_min_update(&r->node);
}

void region_insert(struct rb_root *root, struct region *r)
{
	struct rb_node **link = &root->node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = r->start < of(parent)->start ? &parent->left : &parent->right;
	}
	r->node.own = ~(u64)0;
	rb_min_insert(root, &r->node, parent, link);
	region_resized(r);
}

void region_remove(struct rb_root *root, struct region *r)
{
	struct region *next = region_next(r);

	rb_min_erase(root, &r->node);
	if (next)
		gap_update(next);
}

void region_resized(struct region *r)
{
	struct region *next = region_next(r);

	gap_update(r);
	if (next)
		gap_update(next);
}

static u64 largest_gap(const struct rb_node *n)
{
	return n ? ~container_of(n, struct rb_min_node, rb)->min : 0;
}

/* Does the part of [gap_start, gap_end) inside [low, high) hold it? */
static vaddr_t fit_high(vaddr_t gap_start, vaddr_t gap_end, vaddr_t low, vaddr_t high, size_t bytes,
	size_t align)
{
	vaddr_t start = MAX(gap_start, low), end = MIN(gap_end, high), at;

	if (end <= start || end - start < bytes)
		return 0;
	at = ALIGN_DOWN(end - bytes, align);
	return at >= start ? at : 0;
}

static vaddr_t search_high(struct rb_node *n, vaddr_t low, vaddr_t high, size_t bytes, size_t align)
{
	struct region *r = of(n), *prev;
	vaddr_t found;

	if (!n || largest_gap(n) < bytes)
		return 0;
	if (r->end < high) {
		found = search_high(n->right, low, high, bytes, align);
		if (found)
			return found;
	}
	prev = region_prev(r);
	found = fit_high(prev ? prev->end : 0, gap_end(r), low, high, bytes, align);
	if (found)
		return found;
	return r->start > low ? search_high(n->left, low, high, bytes, align) : 0;
}

vaddr_t region_gap_below(const struct rb_root *root, vaddr_t low, vaddr_t high, size_t bytes,
	size_t align)
{
	struct region *last = of(rb_last(root));
	vaddr_t found = fit_high(last ? last->end : 0, high, low, high, bytes, align);

	return found ? found : search_high(root->node, low, high, bytes, align);
}

static vaddr_t search_low(struct rb_node *n, vaddr_t low, vaddr_t high, size_t bytes, size_t align)
{
	struct region *r = of(n), *prev;
	vaddr_t found, start, end;

	if (!n || largest_gap(n) < bytes)
		return 0;
	if (r->start > low) {
		found = search_low(n->left, low, high, bytes, align);
		if (found)
			return found;
	}
	prev = region_prev(r);
	start = ALIGN_UP(MAX(prev ? prev->end : 0, low), align);
	end = MIN(gap_end(r), high);
	if (end > start && end - start >= bytes)
		return start;
	return r->end < high ? search_low(n->right, low, high, bytes, align) : 0;
}

vaddr_t region_gap_above(const struct rb_root *root, vaddr_t low, vaddr_t high, size_t bytes,
	size_t align)
{
	struct region *last = of(rb_last(root));
	vaddr_t found = search_low(root->node, low, high, bytes, align);
	vaddr_t start = ALIGN_UP(MAX(last ? last->end : 0, low), align);

	if (found)
		return found;
	return high > start && high - start >= bytes ? start : 0;
}
