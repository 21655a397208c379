#pragma once
/* What Linux defines differently on x86-64. Open flags are core's own values here. */
#include <lib/types.h>
#define ABI_MACHINE "x86_64"
struct user_stat { /* asm/stat.h, 64-bit */
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad0;
	u64 rdev;
	s64 size, blksize, blocks;
	u64 atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	s64 unused[3];
};
static_assert(sizeof(struct user_stat) == 144);
struct user_epoll_event {
	u32 events;
	u64 data;
} __packed;
static_assert(sizeof(struct user_epoll_event) == 12);
#define ABI_O_DIRECT    040000
#define ABI_O_LARGEFILE 0100000
#define ABI_O_DIRECTORY 0200000
#define ABI_O_NOFOLLOW  0400000
static inline u32 abi_open_flags_in(u32 flags)
{
	return flags;
}
static inline u32 abi_open_flags_out(u32 flags)
{
	return flags;
}
/* clone(2): flags, stack, parent_tid, child_tid, tls */
#define ABI_CLONE_ARG_CHILD_TID 3
#define ABI_CLONE_ARG_TLS       4
#define ABI_MINSIGSTKSZ         2048u
