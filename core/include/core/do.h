#pragma once
/*
 * DO operations (core/call/do.c): what a handler puts into the record before it answers DO, and
 * what it finds afterwards.
 *
 * op_args[i] below are words of the record. A "block" is a struct in record-owned memory
 * (call_memory) whose address is op_args[0]: used where results come back or a field is wider than
 * a word. A deadline is the record's own (call_wait_deadline): monotonic, kept over reruns. With
 * `again` the handler runs once more with op_done and op_result set, and only copies results out.
 */
#include <core/task.h>

/*
 * DO_CLONE		block struct clone_args; result: the child's number
 * DO_EXEC		dirfd, path, argv, envp, flags (AT_*): user addresses; sets CALLF_REGS_SET
 * on success DO_EXIT		status byte; never comes back DO_EXIT_GROUP	wait status; never
 * comes back DO_WAIT		block struct do_wait; result: the child's number, 0 with WNOHANG
 * DO_SIGNAL_RETURN	none; sets CALLF_REGS_SET
 * DO_SIGNAL_WAIT	block struct do_signal_wait; result: signal number
 * DO_MMAP		address, bytes, prot, flags, struct file * (pinned in the record) or 0,
 * offset in pages DO_MUNMAP		address, bytes DO_MPROTECT		address, bytes, prot
 * DO_MREMAP		old, old bytes, new bytes, flags, new address
 * DO_BRK		address
 * DO_MADVISE		address, bytes, advice
 * DO_MSYNC		address, bytes, flags
 * DO_MLOCK		address, bytes, MLOCK_ONFAULT, enum do_mlock
 * DO_MINCORE		address, bytes, vector (user)
 * DO_FUTEX		uaddr, op, val, val2, uaddr2, val3, DO_FUTEX_*; deadline of the record, if
 * set DO_FUTEX_WAITV	block struct do_futex_waitv; deadline of the record, if set; result: index
 * of a woken one DO_YIELD		none DO_MEMBARRIER	command, flags, cpu DO_REBOOT
 * enum do_reboot DO_RELEASE_FILE	struct file * (its reference is consumed, flushed as a
 * closed descriptor), result to answer DO_SYNC_FILE		struct file *, enum file_sync, first
 * and last page DO_MOUNT		struct mount_request * (consumed; core/fs_call.h) DO_UMOUNT
 * struct mount * (its reference is consumed), lazy DO_CLOSE_RANGE	first, last DO_UNSHARE
 * DO_UNSHARE_* bits DO_SYNC_ALL		none DO_SWITCH_FILES	as DO_UNSHARE with
 * DO_UNSHARE_FILES
 */
enum do_mlock : u8 { DO_MLOCK_RANGE, DO_MUNLOCK_RANGE, DO_MLOCK_ALL, DO_MUNLOCK_ALL };
enum do_reboot : u8 { DO_REBOOT_RESTART, DO_REBOOT_HALT, DO_REBOOT_POWER_OFF };
#define DO_UNSHARE_FILES 1u
#define DO_UNSHARE_FS    2u

struct do_wait {
	s32 idtype, id;
	u32 options; /* W* of wait4(2), waitid(2) */
	s32 status;  /* wait status, out */
	struct signal_info info;
	struct rusage_counts usage;
};
struct do_signal_wait {
	u64 set;
	struct signal_info info; /* out */
};
struct do_futex_waitv {
	u32 nr;
	struct futex_wait_entry entries[];
};
