/*
 * Our user structs against the kernel headers package of each architecture (Linux 6.12): sizes,
 * offsets, numbers. Compiled in every build, linked nowhere. The kernel's headers and the C
 * library's do not mix, so nothing else is included.
 */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/poll.h>
#include <asm/resource.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/ucontext.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/stat.h>
#include <linux/sysinfo.h>
#include <linux/time.h>
#include <linux/times.h>
#include <linux/timex.h>
#include <linux/uio.h>
#include <linux/utime.h>
#include <linux/utsname.h>
#include "../layout.h"
#include "abi_arch.h"

#define SAME_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs))
#define SAME(ours, a, theirs, b)                                                                   \
	static_assert(offsetof(ours, a) == offsetof(theirs, b) &&                                  \
		      sizeof(((ours *)0)->a) == sizeof(((theirs *)0)->b))

SAME_SIZE(struct user_timespec, struct timespec);
SAME_SIZE(struct user_timeval, struct timeval);
SAME_SIZE(struct user_itimerspec, struct itimerspec);
SAME_SIZE(struct user_itimerval, struct itimerval);
SAME(struct user_itimerspec, value, struct itimerspec, it_value);
SAME_SIZE(struct user_timezone, struct timezone);
SAME_SIZE(struct user_iovec, struct iovec);
SAME(struct user_iovec, len, struct iovec, iov_len);
SAME_SIZE(struct user_sigaction, struct sigaction);
SAME(struct user_sigaction, handler, struct sigaction, sa_handler);
SAME(struct user_sigaction, flags, struct sigaction, sa_flags);
SAME(struct user_sigaction, restorer, struct sigaction, sa_restorer);
SAME(struct user_sigaction, mask, struct sigaction, sa_mask);
SAME_SIZE(struct user_stack, stack_t);
SAME(struct user_stack, flags, stack_t, ss_flags);
SAME(struct user_stack, size, stack_t, ss_size);

SAME_SIZE(struct user_siginfo, siginfo_t);
SAME(struct user_siginfo, code, siginfo_t, si_code);
SAME(struct user_siginfo, rt.pid, siginfo_t, si_pid);
SAME(struct user_siginfo, rt.uid, siginfo_t, si_uid);
SAME(struct user_siginfo, rt.value, siginfo_t, si_value);
SAME(struct user_siginfo, timer.id, siginfo_t, si_tid);
SAME(struct user_siginfo, timer.overrun, siginfo_t, si_overrun);
SAME(struct user_siginfo, child.status, siginfo_t, si_status);
SAME(struct user_siginfo, child.utime, siginfo_t, si_utime);
SAME(struct user_siginfo, child.stime, siginfo_t, si_stime);
SAME(struct user_siginfo, fault.addr, siginfo_t, si_addr);
SAME(struct user_siginfo, fault.addr_lsb, siginfo_t, si_addr_lsb);
SAME(struct user_siginfo, poll.band, siginfo_t, si_band);
SAME(struct user_siginfo, poll.fd, siginfo_t, si_fd);
SAME(struct user_siginfo, sys.syscall, siginfo_t, si_syscall);
SAME_SIZE(struct user_sigevent, struct sigevent);
SAME(struct user_sigevent, notify, struct sigevent, sigev_notify);

SAME_SIZE(struct user_stat, struct stat);
SAME(struct user_stat, dev, struct stat, st_dev);
SAME(struct user_stat, ino, struct stat, st_ino);
SAME(struct user_stat, nlink, struct stat, st_nlink);
SAME(struct user_stat, mode, struct stat, st_mode);
SAME(struct user_stat, uid, struct stat, st_uid);
SAME(struct user_stat, gid, struct stat, st_gid);
SAME(struct user_stat, rdev, struct stat, st_rdev);
SAME(struct user_stat, size, struct stat, st_size);
SAME(struct user_stat, blksize, struct stat, st_blksize);
SAME(struct user_stat, blocks, struct stat, st_blocks);
SAME(struct user_stat, atime, struct stat, st_atime);
SAME(struct user_stat, mtime_nsec, struct stat, st_mtime_nsec);
SAME(struct user_stat, ctime, struct stat, st_ctime);
SAME_SIZE(struct user_statfs, struct statfs);
SAME(struct user_statfs, fsid, struct statfs, f_fsid);
SAME(struct user_statfs, namelen, struct statfs, f_namelen);
SAME(struct user_statfs, flags, struct statfs, f_flags);
SAME_SIZE(struct user_statx, struct statx);
SAME(struct user_statx, mode, struct statx, stx_mode);
SAME(struct user_statx, attributes_mask, struct statx, stx_attributes_mask);
SAME(struct user_statx, btime, struct statx, stx_btime);
SAME(struct user_statx, mtime, struct statx, stx_mtime);
SAME(struct user_statx, dev_minor, struct statx, stx_dev_minor);
SAME(struct user_statx, mnt_id, struct statx, stx_mnt_id);
SAME_SIZE(struct user_flock, struct flock);
SAME(struct user_flock, start, struct flock, l_start);
SAME(struct user_flock, pid, struct flock, l_pid);
SAME_SIZE(struct user_f_owner, struct f_owner_ex);
SAME_SIZE(struct user_open_how, struct open_how);
SAME_SIZE(struct user_epoll_event, struct epoll_event);
SAME(struct user_epoll_event, data, struct epoll_event, data);

SAME_SIZE(struct user_utsname, struct new_utsname);
SAME_SIZE(struct user_sysinfo, struct sysinfo);
SAME(struct user_sysinfo, totalram, struct sysinfo, totalram);
SAME(struct user_sysinfo, procs, struct sysinfo, procs);
SAME(struct user_sysinfo, mem_unit, struct sysinfo, mem_unit);
SAME_SIZE(struct user_rusage, struct rusage);
SAME(struct user_rusage, nivcsw, struct rusage, ru_nivcsw);
SAME_SIZE(struct user_rlimit, struct rlimit);
SAME_SIZE(struct user_tms, struct tms);
SAME_SIZE(struct user_clone_args, struct clone_args);
SAME(struct user_clone_args, set_tid_size, struct clone_args, set_tid_size);
SAME_SIZE(struct user_sched_attr, struct sched_attr);
SAME(struct user_sched_attr, util_max, struct sched_attr, sched_util_max);
SAME_SIZE(struct user_cap_header, struct __user_cap_header_struct);
SAME_SIZE(struct user_cap_data, struct __user_cap_data_struct);
SAME_SIZE(struct user_robust_head, struct robust_list_head);
SAME_SIZE(struct user_utimbuf, struct utimbuf);

SAME_SIZE(struct user_timex, struct timex);
SAME(struct user_timex, time, struct timex, time);
SAME(struct user_timex, tai, struct timex, tai);

/* Open flags: core keeps x86-64's values; the moved ones go back and forth. */
static_assert(O_CREAT == 0100 && O_EXCL == 0200 && O_NOCTTY == 0400 && O_TRUNC == 01000 &&
	      O_APPEND == 02000 && O_NONBLOCK == 04000);
static_assert(O_DSYNC == 010000 && O_NOATIME == 01000000 && O_CLOEXEC == 02000000 &&
	      O_SYNC == 04010000 && O_PATH == 010000000);
static_assert(__O_TMPFILE == 020000000);
static_assert(ABI_O_DIRECT == O_DIRECT && ABI_O_LARGEFILE == O_LARGEFILE &&
	      ABI_O_DIRECTORY == O_DIRECTORY && ABI_O_NOFOLLOW == O_NOFOLLOW);
/* Numbers that the handlers name themselves because all architectures of the set share them. */
static_assert(SA_NODEFER == 0x40000000 && SA_ONSTACK == 0x08000000 && SA_RESTORER == 0x04000000 &&
	      SA_SIGINFO == 4);
static_assert(MINSIGSTKSZ == ABI_MINSIGSTKSZ);
static_assert(MAP_ANONYMOUS == 0x20 && MAP_FIXED_NOREPLACE == 0x100000 && MAP_HUGETLB == 0x40000 &&
	      MAP_SYNC == 0x80000);
static_assert(RLIMIT_NOFILE == 7 && RLIMIT_MEMLOCK == 8 && RLIMIT_AS == 9 && RLIMIT_NPROC == 6 &&
	      RLIMIT_STACK == 3 && RLIM_NLIMITS == 16);
static_assert(F_SETOWN == 8 && F_GETOWN == 9 && F_SETOWN_EX == 15 && F_GETLK == 5 &&
	      F_OFD_GETLK == 36);
static_assert(SIGEV_THREAD_ID == 4);

#include "layout_arch.h"
