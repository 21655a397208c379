#pragma once
/* What Linux defines differently on AArch64: asm/fcntl.h permutes four open flags, stat is the
 * generic one. */
#include <lib/types.h>
#define ABI_MACHINE "aarch64"
struct user_stat { /* asm-generic/stat.h */
	u64 dev, ino;
	u32 mode, nlink, uid, gid;
	u64 rdev, pad1;
	s64 size;
	s32 blksize, pad2;
	s64 blocks;
	s64 atime;
	u64 atime_nsec;
	s64 mtime;
	u64 mtime_nsec;
	s64 ctime;
	u64 ctime_nsec;
	u32 unused[2];
};
static_assert(sizeof(struct user_stat) == 128);
struct user_epoll_event {
	u32 events;
	u64 data;
};
static_assert(sizeof(struct user_epoll_event) == 16);
#define ABI_O_DIRECT    0200000
#define ABI_O_LARGEFILE 0400000
#define ABI_O_DIRECTORY 040000
#define ABI_O_NOFOLLOW  0100000
#define ABI_FLAGS_MOVED 0740000u /* the four on both sides */
/* ours: DIRECT 040000, LARGEFILE 0100000, DIRECTORY 0200000, NOFOLLOW 0400000; theirs: 0200000,
 * 0400000, 040000, 0100000 */
static inline u32 abi_open_flags_in(u32 flags)
{
	return (flags & ~ABI_FLAGS_MOVED) | (flags & 0600000u) >> 2 | (flags & 0140000u) << 2;
}
static inline u32 abi_open_flags_out(u32 flags)
{
	return (flags & ~ABI_FLAGS_MOVED) | (flags & 0140000u) << 2 | (flags & 0600000u) >> 2;
}
/* clone(2), CONFIG_CLONE_BACKWARDS: flags, stack, parent_tid, tls, child_tid */
#define ABI_CLONE_ARG_CHILD_TID 4
#define ABI_CLONE_ARG_TLS       3
#define ABI_MINSIGSTKSZ         5120u
