#pragma once
/* The tree of regions, with gaps: pure, the space's lock is the caller's. */
#include <core/region.h>
/* First region with addr < end; nullptr. */
struct region *region_find(const struct rb_root *root, vaddr_t addr);
struct region *region_next(const struct region *r);
struct region *region_prev(const struct region *r);
void region_insert(struct rb_root *root, struct region *r);
void region_remove(struct rb_root *root, struct region *r);
/* r->start or r->end is about to have been changed by the caller: gaps around it are computed anew.
 */
void region_resized(struct region *r);
/* Highest start of a free range of `bytes` within [low, high), aligned down to `align`; 0: none. */
vaddr_t region_gap_below(const struct rb_root *root, vaddr_t low, vaddr_t high, size_t bytes,
	size_t align);
/* Lowest such start; 0: none. */
vaddr_t region_gap_above(const struct rb_root *root, vaddr_t low, vaddr_t high, size_t bytes,
	size_t align);
/* Last region that starts below addr; nullptr. */
struct region *region_below(const struct rb_root *root, vaddr_t addr);
