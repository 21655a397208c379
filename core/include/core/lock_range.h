#pragma once
/* Ranges of one inode's file locks: pure list operations, tested on the host. Invariants LOCK-I1,
 * LOCK-I2 in locks.c. */
#include <lib/list.h>
#include <lib/types.h>

enum lock_kind : u8 { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };
#define LOCK_TYPE_READ  0u /* F_RDLCK */
#define LOCK_TYPE_WRITE 1u
#define LOCK_TYPE_NONE  2u /* F_UNLCK */
#define LOCK_END        INT64_MAX
struct file_lock {
	struct list_node link;
	const void *owner; /* POSIX: struct files; OFD, flock: struct file */
	s64 start, end;    /* inclusive */
	s32 pid;           /* for F_GETLK; -1 for OFD */
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
struct file_lock *lock_ranges_conflict(struct list_node *locks, const struct lock_request *r);
/* Sets, changes or clears a range without conflict. Uses *new and *spare where it needs one (then
 * it is nullptr afterwards); what falls out goes to `freed`. True: something that others may wait
 * for was let go. */
bool lock_ranges_set(struct list_node *locks, const struct lock_request *r, struct file_lock **new,
	struct file_lock **spare, struct list_node *freed);
