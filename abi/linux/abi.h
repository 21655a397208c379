#pragma once
/* Shared by the personality's files. Not seen by anybody else. */
#include <lib/errno.h>
#include <lib/string.h>
#include <lib/types.h>
#include <core/call.h>
#include <core/context.h>
#include <core/do.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/task.h>
#include <core/time.h>
#include <core/ucopy.h>
#include <arch/trap.h>
#include <kabi/node.h>
#include <kabi/personality.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include "layout.h"
#include "abi_arch.h"
#include "linux_handlers.h"

#define AT_FDCWD_NR         (-100)
#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_REMOVEDIR        0x200u
#define AT_EACCESS          0x200u
#define AT_SYMLINK_FOLLOW   0x400u
#define AT_NO_AUTOMOUNT     0x800u
#define AT_EMPTY_PATH       0x1000u
#define AT_STATX_SYNC_TYPE  0x6000u

#define USER_RW_MAX         0x7ffff000ull /* read(2): the most one call moves */
#define USER_IOV_MAX        1024u
#define USER_PATH_MAX       4096u

/* Answers at once unless `expr` is 0: a kind, or an error. */
#define abi_try(expr)                                                                              \
	do {                                                                                       \
		answer_t _answer = (expr);                                                         \
		if (unlikely(_answer))                                                             \
			return _answer;                                                            \
	} while (0)

static inline s32 arg_int(const struct call *c, u32 i)
{
	return (s32)c->args[i];
}
static inline u32 arg_uint(const struct call *c, u32 i)
{
	return (u32)c->args[i];
}
/* A file offset that fills one argument (64-bit programs). */
static inline s64 arg_offset(const struct call *c, u32 i)
{
	return (s64)c->args[i];
}
static inline struct task *abi_task(struct call *c)
{
	return c->task;
}
#define abi_copy_in(c, object, user)  call_copy_in(c, object, user, sizeof(*(object)))
#define abi_copy_out(c, user, object) call_copy_out(c, user, object, sizeof(*(object)))

/* DO, completed with its result. */
static inline answer_t abi_do(struct call *c, enum call_do_op op)
{
	return call_do(c, op, false);
}
static inline void abi_op3(struct call *c, word_t a, word_t b, word_t d)
{
	c->op_args[0] = a;
	c->op_args[1] = b;
	c->op_args[2] = d;
}
/* Record-owned memory, or the NEED to answer. */
#define abi_memory(c, pointer, bytes)                                                              \
	do {                                                                                       \
		(pointer) = call_memory(c, bytes);                                                 \
		if (unlikely(!(pointer)))                                                          \
			return call_need_memory(c, bytes);                                         \
	} while (0)

/* time.c */
bool abi_timespec_valid(const struct user_timespec *t);
ktime_t abi_timespec_ns(const struct user_timespec *t); /* saturates */
struct user_timespec abi_timespec(ktime_t ns);
struct user_timeval abi_timeval(ktime_t ns);
static inline ktime_t abi_ns_add(ktime_t a, ktime_t b)
{
	ktime_t sum;

	return checked_add(a, b, &sum) ? sum : KTIME_MAX;
}
/* poll.c. In task->restart.op: an operation that DO does not know. */
#define ABI_RESTART_POLL ((u32)DO_NR)
answer_t abi_poll(struct call *c, vaddr_t fds, u32 nr);

/* signal.c */
void abi_siginfo_fill(struct user_siginfo *out, const struct signal_info *info);
void abi_siginfo_read(struct signal_info *out, const struct user_siginfo *in);
/* Checks the size, reads a mask and makes the call wait under it (ppoll, pselect6, epoll_pwait,
 * sigsuspend). user 0: no mask. */
answer_t abi_wait_mask(struct call *c, vaddr_t user, size_t bytes);
answer_t abi_signal_deliver(struct call *c, struct arch_regs *regs, struct signal_info *info,
	struct signal_action *action, u64 old_mask);
answer_t abi_signal_return(struct call *c, struct arch_regs *regs);
answer_t abi_signal_info_out(struct call *c, struct signal_info *info, u64 user);
#define SA_NODEFER_FLAG    0x40000000ull
#define SA_ONSTACK_FLAG    0x08000000ull
#define SA_RESTORER_FLAG   0x04000000ull
#define SA_SIGINFO_FLAG    0x00000004ull
#define SS_ONSTACK_FLAG    1u
#define SS_DISABLE_FLAG    2u
#define SS_AUTODISARM_FLAG 0x80000000u
bool abi_on_altstack(const struct task *t, vaddr_t sp);
/* Where the frame may grow down from; takes AUTODISARM into account. */
vaddr_t abi_signal_stack(struct task *t, vaddr_t sp, u64 action_flags);
/* After a frame was built: SS_AUTODISARM. */
void abi_altstack_entered(struct task *t);
struct user_stack abi_altstack_get(const struct task *t);
void abi_altstack_restore(struct task *t,
	const struct user_stack *s); /* sigreturn: errors are ignored, as on Linux */

/* stat.c */
u32 abi_dev_out(u32 dev);
u32 abi_dev_in(u32 dev);

/* rw.c */
/* An iovec array, imported once into record-owned memory. */
struct abi_iovec {
	u32 nr;
	bool imported;
	size_t total;
	struct uspan spans[];
};
static inline size_t abi_iovec_bytes(u32 nr)
{
	return sizeof(struct abi_iovec) + nr * sizeof(struct uspan);
}
answer_t abi_iovec_import(struct call *c, struct abi_iovec *v, vaddr_t user, u64 nr);

/* names.c, generated */
answer_t abi_syscall_name(struct call *c, u32 nr, void *name, u32 name_len);

/* cred.c, task.c, sched.c */
struct task *abi_target_task(struct call *c,
	s32 pid); /* referenced; 0: the caller; nullptr: none */
void abi_task_put(struct task *t);
/* A user struct that may be shorter or longer than ours: missing fields are 0, unknown ones must be
 * (-E2BIG). */
answer_t abi_copy_struct(struct call *c, void *out, size_t known, vaddr_t user, size_t bytes);
void abi_rusage_fill(struct user_rusage *out, const struct rusage_counts *in);
