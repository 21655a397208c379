#pragma once
/*
 * Epolls (core/node/epoll.c): items, their standing wait entries, the ready list. What epoll_ctl
 * and epoll_wait mean: vfs/epoll.c.
 */
#include <lib/rbtree.h>
#include <core/node.h>

#define EPOLL_EXCLUSIVE 0x10000000u
#define EPOLL_WAKEUP    0x20000000u
#define EPOLL_ONESHOT   0x40000000u
#define EPOLL_ET        0x80000000u
#define EPOLL_PRIVATE   (EPOLL_EXCLUSIVE | EPOLL_WAKEUP | EPOLL_ONESHOT | EPOLL_ET)
#define EPOLL_NESTS_MAX 4u

struct epoll_item {
	refcount_t refs;
	struct grace_head grace;
	struct epoll *ep;  /* borrowed: an item leaves its epoll before that goes */
	struct file *file; /* not a reference: the item leaves before the file goes; take one with
			      object_get_live in a grace section */
	u32 fd;
	u32 events; /* under ep->ready_lock, like data */
	u64 data;
	struct rb_node in_ep;     /* ep->obj.lock */
	struct list_node in_file; /* file->obj.lock */
	struct list_node nested;  /* epoll watched by an epoll: nest_lock */
	struct list_node ready;   /* ep->ready_lock */
	struct list_node queued;  /* wakes to be passed on: queue lock */
	bool is_queued, gone;
	u32 nr_entries;
	struct wait_entry entry[3];
};
struct epoll {
	struct object obj;
	struct rb_root items; /* obj.lock */
	u32 nr_items;
	struct spinlock ready_lock; /* irq-safe */
	struct list_node ready_list;
	u32 nr_ready;
	struct waitable wait;
	struct list_node nested; /* items of this epoll whose file is an epoll: nest_lock */
};
struct epoll *epoll_new(void);
/* The item of (file, fd), referenced, or nullptr. */
struct epoll_item *epoll_find(struct epoll *ep, struct file *file, u32 fd);
void epoll_item_put(struct epoll_item *item);
/* Adds; referenced. -EEXIST, -ENOMEM, -ELOOP (file is an epoll and a loop or too deep a chain would
 * arise). */
int epoll_insert(struct epoll *ep, struct file *file, u32 fd, u32 events, u64 data,
	struct epoll_item **out);
/* Arms the item on what the node's poll told (call it once); true when one of them moved on: poll
 * again, or call it ready. */
bool epoll_arm(struct epoll_item *item, const struct poll_ask *ask);
void epoll_modify(struct epoll_item *item, u32 events, u64 data);
void epoll_remove(struct epoll_item *item);
/* Puts it on the ready list (once) and wakes a waiter. */
void epoll_item_ready(struct epoll_item *item);
/* Takes the first ready item off the list, referenced, its file referenced too (in *file); nullptr:
 * none. */
struct epoll_item *epoll_take_ready(struct epoll *ep, struct file **file);
/* Back to the list's end (level-triggered) or its start (could not be reported now). */
void epoll_put_ready(struct epoll_item *item, bool front);
