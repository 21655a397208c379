#pragma once
/*
 * File locks (core/node/locks.c): POSIX record locks, open-file-description locks, flock. All short
 * operations under the inode's lock; none waits. A waiter adds the inode's lock_event to its wait
 * set (read its seq before trying).
 *
 * Context: thread. Locks: the inode's obj.lock (ranges) or one of their own (who waits for whom),
 * taken inside: the caller holds neither. Owns: owners are compared, never followed.
 */
#include <core/lock_range.h>
#include <core/node.h>

/* Sets, changes or clears a range. 0, -EAGAIN (conflict; *blocker is filled when asked), -ENOMEM.
 */
int inode_lock_set(struct inode *i, const struct lock_request *r, struct lock_request *blocker);
bool inode_lock_would_block(struct inode *i, const struct lock_request *r);
/* F_GETLK: the first conflicting lock in *r, or r->type = LOCK_TYPE_NONE. */
void inode_lock_test(struct inode *i, struct lock_request *r);
/* Waiting POSIX locks for deadlock detection: `waiter` is going to wait for the owner of *blocker.
 * -EDEADLK when that owner waits, directly or not, for `waiter`. A second call of the same waiter
 * replaces its edge; done() removes it. */
int lock_wait_begin(const void *waiter, const void *blocker_owner);
void lock_wait_done(const void *waiter);
/* For /proc/locks: the locks of an inode in order; false at the end. */
bool inode_lock_at(struct inode *i, u32 index, struct lock_request *out);
