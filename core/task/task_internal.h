#pragma once
/* core/task's own. */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/task.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <lib/fmt.h>
#include <core/ucopy.h>
#include "pid_numbers.h"

/* clone(2), linux/sched.h: the same on all architectures */
#define CLONE_VM             0x100ull
#define CLONE_FS             0x200ull
#define CLONE_FILES          0x400ull
#define CLONE_SIGHAND        0x800ull
#define CLONE_PIDFD          0x1000ull
#define CLONE_PTRACE         0x2000ull
#define CLONE_VFORK          0x4000ull
#define CLONE_PARENT         0x8000ull
#define CLONE_THREAD         0x10000ull
#define CLONE_NEWNS          0x20000ull
#define CLONE_SYSVSEM        0x40000ull
#define CLONE_SETTLS         0x80000ull
#define CLONE_PARENT_SETTID  0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_DETACHED       0x400000ull
#define CLONE_UNTRACED       0x800000ull
#define CLONE_CHILD_SETTID   0x1000000ull
#define CLONE_NEWCGROUP      0x2000000ull
#define CLONE_NEWUTS         0x4000000ull
#define CLONE_NEWIPC         0x8000000ull
#define CLONE_NEWUSER        0x10000000ull
#define CLONE_NEWPID         0x20000000ull
#define CLONE_NEWNET         0x40000000ull
#define CLONE_IO             0x80000000ull
#define CLONE_NEWTIME        0x80ull
#define CLONE_CLEAR_SIGHAND  0x100000000ull
#define CLONE_INTO_CGROUP    0x200000000ull
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

#define SA_NOCLDSTOP  1ull
#define SA_NOCLDWAIT  2ull
#define SA_SIGINFO    4ull
#define SA_ONSTACK    0x08000000ull
#define SA_RESTART    0x10000000ull
#define SA_NODEFER    0x40000000ull
#define SA_RESETHAND  0x80000000ull
#define SIG_DFL       0
#define SIG_IGN       1
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

struct pid_ns {
	struct object obj;
	struct pid_numbers numbers; /* task_list_lock */
	struct thread_group *init;
};
extern struct pid_ns pid_ns_boot;

/*
 * Families, process groups, sessions, thread lists, pid numbers. Taken in thread context only.
 * Inside it: a group's lock.
 */
extern struct spinlock task_list_lock;
extern struct list_node task_groups; /* struct thread_group.all, task_list_lock */
extern u32 task_nr_threads;          /* task_list_lock */
extern u64 task_total_forks;

struct pid *pid_new(struct pid_ns *ns, s32 wanted, int *error);
void pid_attach_group(struct thread_group *g, struct pid *pgrp, struct pid *session)
	__requires(&task_list_lock);
void pid_detach_group(struct thread_group *g) __requires(&task_list_lock);
void pid_forget(struct pid *p) __requires(&task_list_lock); /* nobody has this number any more */

struct task *task_alloc(void);
struct thread_group *group_alloc(void);
struct signal_handlers *handlers_new(const struct signal_handlers *from, bool clear);
void handlers_put(struct signal_handlers *h);
void call_init_task(struct task *t); /* core/call/entry.c */
void task_join_group(struct task *t, struct thread_group *g) __requires(&task_list_lock);
void task_bury(void); /* frees dead tasks; may wait */
void task_reaped(struct task *t);
void vfork_complete(struct task *t);
void task_leave_space(struct task *t, struct address_space *replacement);

/* rseq.c: of current, on its way to user mode */
struct arch_regs;
void rseq_update(struct task *t, struct arch_regs *regs);

/* user.c */
struct user_count *user_count_of(kuid_t uid); /* nullptr: no memory. Never freed. */

/* signal.c; group's lock held where it says so */
#define SIGNAL_IRQ_LOCK(g) spin_lock_irqsave(&(g)->obj.lock)
static inline bool signal_default_ignores(s32 signo)
{
	return signo == SIGCHLD || signo == SIGURG || signo == SIGWINCH || signo == SIGCONT;
}
static inline bool signal_is_stop(s32 signo)
{
	return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}
#define SIGNAL_STOPS (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define SIGNAL_SYNCHRONOUS                                                                         \
	(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) |                 \
		SIG_BIT(SIGFPE) | SIG_BIT(SIGSYS))
void signal_pending_init(struct signal_pending *p);
void signal_flush(struct signal_pending *p);
void signal_flush_set(struct signal_pending *p, u64 set);
void signal_recalc(struct task *t); /* of current, or a task that cannot run; group's lock held */
void signal_kick(struct task *t, bool fatal); /* makes it look at its work word */
void signal_group_kill_locked(struct thread_group *g, s32 status);
int signal_send_locked(struct thread_group *g, struct task *t, const struct signal_info *info,
	struct signal_queue_entry *own, bool forced);
/* SIGCHLD to `parent` about child g; task_list_lock held. True: the parent does not want to wait
 * for an exited one. */
bool signal_notify_parent(struct thread_group *g, s32 code, s32 status);
s32 signal_take_locked(u64 set, struct signal_info *info); /* of current */
void signal_exec_reset(struct task *t);
void signal_stop_exit_check(struct thread_group *g, struct task *leaving);
void signal_notify_stops(struct thread_group *g);
/* core/time/posix_timer.c */
s32 posix_timer_signal_overrun(const struct signal_queue_entry *e);
void posix_timer_signal_taken(struct signal_queue_entry *e);
void posix_timer_signal_gone(struct signal_queue_entry *e);
/* core/time/itimer.c: SIGALRM of the group's queue; its lock held */
void itimer_signal_taken(struct thread_group *g);

/* exit.c */
void group_reap(struct thread_group *g) __requires(&task_list_lock);
void group_usage_add(struct rusage_counts *to, const struct rusage_counts *from);
