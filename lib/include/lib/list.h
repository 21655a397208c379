#pragma once
/*
 * Circular doubly linked list, intrusive. An unlinked node points to itself.
 *
 * Changes need their owner's lock. `next` is written in one piece, so that without the lock one may
 * ask READ_ONCE(head->next) == head: whether anything is there now.
 */
#include <lib/types.h>

struct list_node {
	struct list_node *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list_node *n)
{
	n->prev = n;
	WRITE_ONCE(n->next, n);
}
static inline bool list_empty(const struct list_node *head)
{
	return head->next == head;
}
static inline bool list_linked(const struct list_node *n)
{
	return n->next != n;
}
static inline void list_insert_between(struct list_node *n, struct list_node *prev,
	struct list_node *next)
{
	n->next = next;
	n->prev = prev;
	next->prev = n;
	WRITE_ONCE(prev->next, n);
}
static inline void list_add(struct list_node *head, struct list_node *n)
{
	list_insert_between(n, head, head->next);
}
static inline void list_add_tail(struct list_node *head, struct list_node *n)
{
	list_insert_between(n, head->prev, head);
}
/* Leaves the node initialised, so that a second removal is harmless and list_linked() tells. */
static inline void list_del(struct list_node *n)
{
	n->next->prev = n->prev;
	WRITE_ONCE(n->prev->next, n->next);
	list_init(n);
}
/* Moves all of `from` to the tail of `to`. */
static inline void list_splice_tail(struct list_node *to, struct list_node *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}
static inline struct list_node *list_pop(struct list_node *head)
{
	struct list_node *n = head->next;

	if (n == head)
		return nullptr;
	list_del(n);
	return n;
}
#define list_entry(n, type, member)          container_of(n, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)
#define list_for_each(pos, head)             for (pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_entry(pos, head, member)                                                     \
	for (pos = list_entry((head)->next, typeof(*pos), member); &pos->member != (head);         \
		pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_safe(pos, tmp, head, member)                                           \
	for (pos = list_entry((head)->next, typeof(*pos), member),                                 \
	    tmp = list_entry(pos->member.next, typeof(*pos), member);                              \
		&pos->member != (head);                                                            \
		pos = tmp, tmp = list_entry(tmp->member.next, typeof(*tmp), member))
