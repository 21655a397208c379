#pragma once
/*
 * File locks (core/node/locks.c): POSIX record locks, open-file-description locks, flock. All short operations under the inode's lock; none
 * waits. A waiter adds the inode's lock_event to its wait set (read its seq before trying).
 */
#include <core/node.h>

enum lock_kind : u8 { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };
#define LOCK_TYPE_READ 0u /* F_RDLCK */
#define LOCK_TYPE_WRITE 1u
#define LOCK_TYPE_NONE 2u /* F_UNLCK */
#define LOCK_END INT64_MAX
struct file_lock {
	struct list_node link; /* inode->locks, ordered by owner and start */
	const void *owner;     /* POSIX: struct files; OFD, flock: struct file */
	s64 start, end;	       /* inclusive */
	s32 pid;	       /* for F_GETLK; -1 for OFD */
	u8 type;
	enum lock_kind kind;
};
struct lock_request {
	const void *owner;
	s64 start, end;
	s32 pid;
	u8 type;
	enum lock_kind kind;
};
/* Sets, changes or clears a range. 0, -EAGAIN (conflict; *blocker is filled when asked), -ENOMEM. */
int inode_lock_set(struct inode *i, const struct lock_request *r, struct lock_request *blocker);
bool inode_lock_would_block(struct inode *i, const struct lock_request *r);
/* F_GETLK: the first conflicting lock in *r, or r->type = LOCK_TYPE_NONE. */
void inode_lock_test(struct inode *i, struct lock_request *r);
/* Waiting POSIX locks for deadlock detection: `waiter` is going to wait for the owner of *blocker. -EDEADLK when that owner waits,
 * directly or not, for `waiter`. A second call of the same waiter replaces its edge; done() removes it. */
int lock_wait_begin(const void *waiter, const void *blocker_owner);
void lock_wait_done(const void *waiter);
/* For /proc/locks: the locks of an inode in order; false at the end. */
bool inode_lock_at(struct inode *i, u32 index, struct lock_request *out);
