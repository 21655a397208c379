#pragma once
/*
 * Structures that programs and kernel exchange, as Linux lays them out for 64-bit programs on every
 * architecture. What differs per architecture (stat, epoll_event, signal frames, open flags) is in
 * arch/NAME/abi_arch.h. Asserted against the kernel headers package in test/layout.c. Fields keep
 * Linux's names without prefixes.
 */
#include <lib/types.h>

struct user_timespec {
	s64 sec, nsec;
};
struct user_timeval {
	s64 sec, usec;
};
struct user_itimerspec {
	struct user_timespec interval, value;
};
struct user_itimerval {
	struct user_timeval interval, value;
};
struct user_timezone {
	s32 minuteswest, dsttime;
};
struct user_iovec {
	u64 base, len;
};
struct user_msghdr {
	u64 name;
	s32 namelen;
	u32 pad1;
	u64 iov, iovlen, control, controllen;
	u32 flags, pad2;
};
struct user_mmsghdr {
	struct user_msghdr hdr;
	u32 len, pad;
};
struct user_sigaction {
	u64 handler, flags, restorer, mask;
};
struct user_stack {
	u64 sp;
	s32 flags;
	u32 pad;
	u64 size;
};
struct user_sigset_arg {
	u64 set, bytes;
}; /* sixth argument of pselect6 and io_pgetevents */

#define SIGINFO_BYTES 128
struct user_siginfo {
	s32 signo, error, code, pad0;
	union {
		struct {
			s32 pid;
			u32 uid;
			u64 value;
		} rt; /* kill, sigqueue */
		struct {
			s32 id, overrun;
			u64 value;
		} timer;
		struct {
			s32 pid;
			u32 uid;
			s32 status;
			s32 pad;
			s64 utime, stime;
		} child;
		struct {
			u64 addr;
			u16 addr_lsb;
			u16 pad[3];
		} fault;
		struct {
			s64 band;
			s32 fd;
		} poll;
		struct {
			u64 call_addr;
			s32 syscall;
			u32 arch;
		} sys;
		u8 raw[SIGINFO_BYTES - 16];
	};
};
static_assert(sizeof(struct user_siginfo) == SIGINFO_BYTES);

struct user_sigevent {
	u64 value;
	s32 signo, notify;
	union {
		s32 tid;
		u8 raw[48];
	};
};
static_assert(sizeof(struct user_sigevent) == 64);

struct user_flock {
	s16 type, whence;
	u32 pad0;
	s64 start, len;
	s32 pid;
	u32 pad1;
};
struct user_f_owner {
	s32 type, pid;
};
struct user_statfs {
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags, spare[4];
};
static_assert(sizeof(struct user_statfs) == 120);
struct user_statx_time {
	s64 sec;
	u32 nsec;
	s32 pad;
};
struct user_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad0;
	u64 ino, size, blocks, attributes_mask;
	struct user_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id;
	u32 dio_mem_align, dio_offset_align;
	u64 subvol;
	u32 atomic_write_unit_min, atomic_write_unit_max, atomic_write_segments_max, pad1;
	u64 spare[9];
};
static_assert(sizeof(struct user_statx) == 256);
struct user_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
struct user_sysinfo {
	s64 uptime;
	u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u32 pad1;
	u64 totalhigh, freehigh;
	u32 mem_unit, pad2;
};
static_assert(sizeof(struct user_sysinfo) == 112);
struct user_rusage {
	struct user_timeval utime, stime;
	s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv,
		nsignals, nvcsw, nivcsw;
};
static_assert(sizeof(struct user_rusage) == 144);
struct user_rlimit {
	u64 cur, max;
};
struct user_tms {
	s64 utime, stime, cutime, cstime;
};
struct user_clone_args {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};
static_assert(sizeof(struct user_clone_args) == 88);
struct user_open_how {
	u64 flags, mode, resolve;
};
struct user_cap_header {
	u32 version;
	s32 pid;
};
struct user_cap_data {
	u32 effective, permitted, inheritable;
};
struct user_sched_attr {
	u32 size, policy;
	u64 flags;
	s32 nice;
	u32 priority;
	u64 runtime, deadline, period;
	u32 util_min, util_max;
};
static_assert(sizeof(struct user_sched_attr) == 56);
struct user_utimbuf {
	s64 actime, modtime;
};
struct user_robust_head {
	u64 list, offset, pending;
};
static_assert(sizeof(struct user_robust_head) == 24);
struct user_timex {
	u32 modes, pad0;
	s64 offset, freq, maxerror, esterror;
	s32 status, pad1;
	s64 constant, precision, tolerance;
	struct user_timeval time;
	s64 tick, ppsfreq, jitter;
	s32 shift, pad2;
	s64 stabil, jitcnt, calcnt, errcnt, stbcnt;
	s32 tai, pad3[11];
};
static_assert(sizeof(struct user_timex) == 208);
