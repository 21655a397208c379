#pragma once
/* Tasks, thread groups, sessions, signals (core/task). Core operations: may sleep with their own
 * frames. */
#include <lib/types.h>
#include <core/call.h>
#include <core/context.h>
#include <core/time.h>
#include <core/sched.h>
#include <arch/context.h>
#include <arch/cpu.h>

#ifdef ARCH_KERNEL_STACK_BYTES
#define KERNEL_STACK_BYTES ARCH_KERNEL_STACK_BYTES
#elif UMKA_ASAN
#define KERNEL_STACK_BYTES 65536
#else
#define KERNEL_STACK_BYTES 16384
#endif

/* task->work bits, looked at before every return to user mode (one compare with 0). */
#define TASK_WORK_SIGNAL  1u
#define TASK_WORK_RESCHED 2u
#define TASK_WORK_STOP    4u
#define TASK_WORK_TRACE   8u /* system call entry/exit work: slow entry */
#define TASK_WORK_RSEQ    16u
#define TASK_WORK_SIGMASK 32u  /* restore saved mask */
#define TASK_WORK_KILL    64u  /* a fatal signal is pending */
#define TASK_WORK_CPUTIME 128u /* CPU-time timers and limits are due for a look */
#define TASK_WORK_REAP    256u /* what it dropped is being ended (core/node/reaper.c) */

#define SIG_NR            64
#define SIGHUP            1
#define SIGINT            2
#define SIGQUIT           3
#define SIGILL            4
#define SIGTRAP           5
#define SIGABRT           6
#define SIGBUS            7
#define SIGFPE            8
#define SIGKILL           9
#define SIGUSR1           10
#define SIGSEGV           11
#define SIGUSR2           12
#define SIGPIPE           13
#define SIGALRM           14
#define SIGTERM           15
#define SIGSTKFLT         16
#define SIGCHLD           17
#define SIGCONT           18
#define SIGSTOP           19
#define SIGTSTP           20
#define SIGTTIN           21
#define SIGTTOU           22
#define SIGURG            23
#define SIGXCPU           24
#define SIGXFSZ           25
#define SIGVTALRM         26
#define SIGPROF           27
#define SIGWINCH          28
#define SIGIO             29
#define SIGPWR            30
#define SIGSYS            31
#define SIGRTMIN          32
#define SIG_BIT(s)        (1ull << ((s) - 1))
/* Numbers above are the same on all eight architectures (asm/signal.h). */

/* Core's siginfo; abi/ lays it out for user space. */
struct signal_info {
	s32 signo, error, code;
	s32 pid; /* in the receiver's pid namespace */
	u32 uid;
	s32 status;
	u64 value; /* si_value, si_addr */
	s64 utime, stime;
	s32 timer_id, overrun;
	s32 band_fd;
	s64 band;
	u16 addr_lsb;
	u32 syscall;
};
#define SI_USER   0
#define SI_KERNEL 0x80
#define SI_QUEUE  -1
#define SI_TIMER  -2
#define SI_TKILL  -6
struct signal_action {
	vaddr_t handler; /* 0 default, 1 ignore */
	u64 mask;
	u64 flags; /* Linux SA_* values */
	vaddr_t restorer;
};
struct posix_timer;
struct user_count;
struct signal_queue_entry {
	struct list_node link;
	struct signal_info info;
	struct user_count *user; /* whose RLIMIT_SIGPENDING it counts against; nullptr: the timer's
				    own entry */
	struct posix_timer *timer; /* the entry belongs to this timer: not freed when taken */
};
struct signal_pending {
	u64 set;
	struct list_node queue;
};
/* CLONE_SIGHAND */
struct signal_handlers {
	refcount_t refs;
	struct spinlock lock; /* level SIGNAL_ACTION: inside the group's lock */
	struct signal_action action[SIG_NR];
};

/* Process ids: one struct pid per number set, kept while anybody (task, group, session, pidfd)
 * holds it. */
struct pid {
	struct object obj;
	u64 number_global;    /* 64-bit task id, never reused */
	struct rb_node in_ns; /* with the next: struct pid_number (core/task/pid_numbers.h) */
	s32 number;           /* in the boot pid namespace (levels come with namespaces) */
	struct pid_ns *ns;
	struct task *task; /* thread with this id; task_list_lock */
	struct thread_group
		*group; /* whose leader has (or had) this id, until reaped; task_list_lock */
	struct list_node group_members; /* thread groups whose process group this is */
	struct list_node session_members;
	struct waitable exited; /* pidfd */
};
struct rusage_counts {
	u64 user_ns, system_ns, minor_faults, major_faults, switches_voluntary,
		switches_involuntary, max_rss_pages, in_blocks, out_blocks;
	u64 read_calls, write_calls, read_bytes,
		write_bytes; /* /proc/PID/io: counted by the personality, by the task itself */
};
/* A task's own counters have one writer, itself (its CPU, for times and switches); others read them
 * at any moment. On a 32-bit machine they may see half of a carry. */
static inline void usage_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}
/* What RLIMIT_NPROC and RLIMIT_SIGPENDING count: per real user id (core/task/user.c). */
struct user_count {
	struct rb_node node;
	kuid_t uid;
	u32 refs; /* user_lock */
	atomic32_t nr_tasks, nr_signals;
};
struct tty;
struct rlimit {
	u64 soft, hard;
};
#define RLIMIT_NR         16
#define RLIMIT_CPU        0
#define RLIMIT_FSIZE      1
#define RLIMIT_DATA       2
#define RLIMIT_STACK      3
#define RLIMIT_CORE       4
#define RLIMIT_RSS        5
#define RLIMIT_NPROC      6
#define RLIMIT_NOFILE     7
#define RLIMIT_MEMLOCK    8
#define RLIMIT_AS         9
#define RLIMIT_LOCKS      10
#define RLIMIT_SIGPENDING 11
#define RLIMIT_MSGQUEUE   12
#define RLIMIT_NICE       13
#define RLIMIT_RTPRIO     14
#define RLIMIT_RTTIME     15
#define RLIM_INFINITY     (~0ull)
struct interval_timers;
/*
 * A process. Signal state (pending, of its threads too; stop and exit flags) is guarded by obj.lock
 * (interrupts off); family, threads and identity by task_list_lock, changes to `threads` by both.
 */
struct thread_group {
	struct object obj;
	struct task *leader;
	struct list_node threads; /* struct task.in_group */
	u32 nr_threads;
	struct thread_group *parent; /* nullptr: the first program's, and kernel threads' */
	struct list_node children, sibling;
	struct pid *pid, *pgrp, *session;
	struct list_node in_pgrp, in_session;
	struct list_node all; /* every group, task_list_lock */
	struct tty *ctty;     /* controlling terminal, a reference */
	bool session_leader, execed, child_subreaper;
	struct signal_handlers *handlers;
	struct signal_pending pending;
	struct waitable child_event;   /* wait4: woken at child state changes */
	struct waitable signal_event;  /* signalfd, sigtimedwait: a signal was queued */
	struct waitable threads_event; /* exec waits for the other threads to end */
	struct rlimit rlimit[RLIMIT_NR];
	struct rusage_counts dead_threads /* the dead leader too */, dead_children;
	s32 exit_code;   /* wait status of the whole group */
	s32 exit_signal; /* told to the parent; 0: none; -1: a thread of another group's... never */
	bool notify_stopped, notify_continued; /* a thread that may sleep tells the parent */
	bool group_exit, stopped, continued_event, stop_event, zombie, reaped;
	bool is_init;           /* of its pid namespace: default signal actions do not kill it */
	struct task *exec_task; /* exec kills the others; not the group */
	u32 stop_signal, nr_stopped;
	u32 nr_live;    /* threads that have not passed exit_notify; under task_list_lock too */
	u32 nr_staying; /* threads that have not begun to exit */
	/* interval timers, obj.lock */
	struct timer real_timer;
	ktime_t real_interval_ns;
	struct itimer_value
		cpu_itimer[2]; /* VIRTUAL, PROF: value_ns is the CPU time of expiry, 0 off */
	bool cpu_timers_armed; /* the scheduler asks without the lock how short slices are to be */
	struct list_node posix_timers;
	s32 posix_timer_next;
	u64 cpu_limit_warned_s;
	s16 oom_score_adj;
	bool dumpable;
	ktime_t start_ns;
	u32 exec_generation;
};
enum task_state : u8 {
	TASK_RUNNABLE,
	TASK_SLEEPING,
	TASK_SLEEPING_UNINTERRUPTIBLE,
	TASK_SLEEPING_KILLABLE,
	TASK_STOPPED,
	TASK_TRACED,
	TASK_DEAD,
	TASK_NEW
};
struct address_space;
struct files;
struct exec_file;
struct task {
	/* --- offsets known to arch assembly (asserted in core/task/layout.c) --- */
	u32 work;           /* TASK_WORK_* ; set by others with atomic or */
	u32 fault_disabled; /* >0: user copies must not fault in */
	void *stack;        /* lowest address of the core stack */
	struct arch_task arch;
	/* --- */
	struct object obj;
	enum task_state state;
	enum task_exiting : u8 {
		TASK_STAYS,
		TASK_EXITING, /* takes no more signals; group's lock */
		TASK_EXITED   /* counted among the group's dead_threads; task_list_lock too */
	} exiting;
	bool kernel_thread, vfork_parent_waits, in_exec;
	char comm[16];
	struct sched_entity se;
	struct call call;      /* the record of the system call in progress */
	struct call *call_now; /* innermost record */
	struct context *context;
	struct address_space *space; /* nullptr: kernel thread */
	struct files *files;
	struct thread_group *group;
	struct list_node in_group;
	struct pid *pid;
	struct list_node all; /* among the dead (core/task/task.c) */
	/* signals */
	u64 blocked,
		saved_blocked; /* blocked: written by the task itself, under the group's lock */
	bool stop_counted;     /* in group->nr_stopped */
	struct signal_pending pending;
	vaddr_t altstack_sp;
	size_t altstack_bytes;
	u32 altstack_flags;
	s32 pdeath_signal;
	/* user pointers registered by the C library */
	vaddr_t clear_child_tid, robust_list, rseq;
	size_t robust_list_bytes;
	u32 rseq_bytes, rseq_signature, rseq_cpu; /* rseq_cpu: as last written to the area */
	struct waitable vfork_done;
	struct waitable wake; /* private: sleeps that nobody else names */
	struct rusage_counts usage;
	u64 user_cycles,
		charge_cycles; /* in user mode since the last charge; counter at that charge */
	u64 mode_stamp;        /* counter at the last way out; 0: in the kernel */
	struct user_count *user;
	vaddr_t set_child_tid; /* CLONE_CHILD_SETTID: written by the child's first run */
	ktime_t start_ns, sleep_start_ns;
	s32 exit_status;
	u32 reaping;              /* core/node/reaper.c: objects that this task is ending */
	atomic32_t nr_reaps;      /* ... that it dropped and that have not ended yet */
	struct rb_root *pi;       /* held PI futexes */
	struct mutex *blocked_on; /* debug, inheritance */
	u32 in_component; /* debug: the same of components, which core calls outside records too */
	u32 in_module;    /* debug: depth of replaceable code on the stack: sleeping there traps */
	/* restart block: nanosleep, futex, poll with a deadline */
	struct {
		enum call_do_op op;
		word_t args[6];
		ktime_t deadline_ns;
	} restart;
	bool no_new_privs_unused;
	u64 personality_word;
	u64 timer_slack_ns; /* prctl(2), 0: the default */
	u16 io_priority;    /* ioprio_set(2), 0: as the nice value says */
};
/*
 * User and system time: the way in calls _entry, the way out _exit (system calls, page faults, the
 * work at the way out). Interrupts of user mode that lead to none of these count as user time.
 * About ten instructions for a system call.
 */
static inline void task_account_entry(struct task *t)
{
	t->user_cycles += arch_cycles() - t->mode_stamp;
	t->mode_stamp = 0;
}
/* Bits of t->work, from any CPU. The relaxed ones: the lock of t's run queue is held, and orders
 * them. */
static inline void task_work_set(struct task *t, u32 bits)
{
	shared_fetch_or(&t->work, bits);
}
static inline void task_work_clear(struct task *t, u32 bits)
{
	shared_fetch_and(&t->work, ~bits);
}
static inline void task_work_set_relaxed(struct task *t, u32 bits)
{
	shared_fetch_or_relaxed(&t->work, bits);
}
static inline void task_work_clear_relaxed(struct task *t, u32 bits)
{
	shared_fetch_and_relaxed(&t->work, ~bits);
}
static inline void task_account_exit(struct task *t)
{
	t->mode_stamp = arch_cycles();
}
static inline bool task_signal_pending(const struct task *t)
{
	return READ_ONCE(t->work) & (TASK_WORK_SIGNAL | TASK_WORK_STOP);
}

/* A fatal signal is pending (SIGKILL, or the group is exiting): such a task leaves killable sleeps.
 */
static inline bool task_kill_pending(const struct task *t)
{
	return READ_ONCE(t->work) & TASK_WORK_KILL;
}
/* Calls with a signal mask of their own (ppoll, sigsuspend): sets it until the exit to user mode,
 * which restores the old one after signals are delivered (TASK_WORK_SIGMASK). Context: current. */
void signal_mask_temporary(u64 mask);

/* --- creation and end --- */
struct clone_args {
	u64 flags; /* Linux CLONE_* */
	s32 exit_signal;
	vaddr_t stack; /* top; 0: same */
	word_t tls;
	vaddr_t parent_tid, child_tid, pidfd;
	s32 set_tid[1];
	u32 nr_set_tid;
};
sword_t task_clone(const struct clone_args *args); /* child's number or -errno */
struct exec_args {
	struct path_ref at;       /* start of relative lookups, from dirfd */
	vaddr_t path, argv, envp; /* user */
	u32 flags;
	s32 dirfd;
	const char *kernel_path; /* first program: strings in core memory */
	const char *const *kernel_argv, *const *kernel_envp;
};
int task_exec(const struct exec_args *args);
/* True: randomise addresses of new images (kernel.randomize_va_space; 0 off, 1 and 2 as Linux). */
extern u32 task_randomize_va_space;
int task_unshare_fs(void); /* current's root, cwd and umask become its own; -ENOMEM */
void task_leave_fs(void);  /* at current's end */
__noreturn void task_exit(s32
		code); /* this thread; code as a wait status: exit(2)'s << 8, or a signal */
__noreturn void task_exit_group(s32 status); /* whole process, wait status */
sword_t task_wait(s32 idtype, s32 id, u32 options, s32 *status, struct signal_info *info,
	struct rusage_counts *usage);
/* A kernel thread, runnable at once; nullptr: no memory. */
struct task *task_kernel_thread(void (*entry)(void *), void *arg, const char *name);
/* arch: first run of a task made by clone, after sched_finish_switch. Interrupts off. */
void task_child_start(void);
/* vfs: the open file of a pidfd (core/event.h); referenced, nullptr: no memory. */
struct file *pidfd_file_new(struct pid *p, u32 flags);
/* The process behind a pidfd's open file, borrowed; nullptr: it is no pidfd. */
struct pid *pidfd_file_pid(struct file *f);
/* core/sched: the switch away from a task that has ended is complete. No sleeping. */
void task_finish_dead(struct task *t);
extern struct task *task_init; /* pid 1 */
/* core/init. task_boot: caches, the first context, and the boot CPU's own task (becomes its idle
 * task): before the first spinlock that may schedule, after the allocators. task_create_idle: for
 * another CPU; nullptr: no memory. */
struct task *task_boot(void);
struct task *task_create_idle(u32 cpu);
/* The thread that will become pid 1: starts as a kernel thread that calls task_exec. */
struct task *task_start_init(void (*entry)(void *), void *arg);

/* --- lookup --- */
struct pid *pid_find(struct pid_ns *ns, s32 number);   /* takes a reference */
struct task *task_find(struct pid_ns *ns, s32 number); /* takes a reference on obj */
void pid_put(struct pid *p);
s32 task_pid_nr(const struct task *t); /* thread id */
s32 group_pid_nr(const struct thread_group *g);
/* Walks all groups: the next with number > after, referenced; nullptr at the end. For /proc. */
struct thread_group *group_next(struct pid_ns *ns, s32 after);
struct task *group_next_thread(struct thread_group *g, s32 after);
/* Another task's descriptors, for /proc: referenced or nullptr; the next open one at or after
 * `from`, -1. Thread. */
struct file;
struct file *task_file_get(struct task *t, u32 fd);
s32 task_next_open(struct task *t, u32 from);
bool task_cloexec(struct task *t, u32 fd);
u32 task_count(void);
u64 task_forks(void);
/* --- sessions and groups: -EPERM, -ESRCH, -EACCES as setpgid(2), setsid(2) --- */
int task_setpgid(s32 pid, s32 pgid);
sword_t task_setsid(void);
sword_t task_getpgid(s32 pid);
sword_t task_getsid(s32 pid);
bool pgrp_orphaned(struct pid *pgrp);
/* --- signals --- */
/* info nullptr: SI_KERNEL. -EPERM is the caller's to check (signal_may_send). -EAGAIN for real-time
 * queue overflow. */
int signal_send_task(struct task *t, const struct signal_info *info);
int signal_send_group(struct thread_group *g, const struct signal_info *info);
int signal_send_pgrp(struct pid *pgrp, const struct signal_info *info); /* 0 if at least one */
void signal_send_kernel(struct task *t, s32 signo);
void signal_send_pgrp_kernel(struct pid *pgrp, s32 signo);
int signal_may_send(struct task *target, s32 signo);
sword_t signal_kill(s32 pid, const struct signal_info *info); /* kill(2) */
sword_t signal_tgkill(s32 tgid, s32 tid, const struct signal_info *info);
/* Synchronous fault: forced if blocked or ignored. */
void signal_force_fault(s32 signo, s32 code, vaddr_t addr);
int signal_action_set(s32 signo, const struct signal_action *new, struct signal_action *old);
void signal_mask_set(u64 mask);
u64 signal_pending_set(const struct task *t); /* thread and group */
/* Takes one signal of `set` off the queues; 0: none. */
s32 signal_dequeue(u64 set, struct signal_info *info);
/* For a handler that copies out before it takes: what signal_dequeue would bring, and its taking if
 * it still is the next one. */
s32 signal_peek(u64 set, struct signal_info *info);
bool signal_dequeue_same(u64 set, const struct signal_info *seen);
sword_t signal_timedwait(u64 set, struct signal_info *info, ktime_t deadline_ns);
/* Is this signal ignored or blocked here (SIGTTOU and friends)? */
bool signal_is_ignored_or_blocked(s32 signo);
/* Delivered in task_user_exit_work: core chooses; abi builds the frame through the personality's
 * contract: signal_deliver(regs, signo, info, action, blocked-before) -> 0 or -EFAULT (core then
 * forces SIGSEGV). */
/* --- limits, ids --- */
static inline u64 task_rlimit(const struct task *t, u32 which)
{
	return READ_ONCE(t->group->rlimit[which].soft);
}
/* --- futex (core/task/futex.c); op as futex(2) with the private/clock bits --- */
sword_t futex_op(vaddr_t uaddr, u32 op, u32 val, ktime_t deadline_or_none, word_t val2,
	vaddr_t uaddr2, u32 val3);
/* futex_waitv(2): index of a woken one. The personality has checked sizes and flags. */
struct futex_wait_entry {
	vaddr_t uaddr;
	u32 value;
	bool shared;
};
#define FUTEX_WAITV_MAX 128
sword_t futex_waitv(const struct futex_wait_entry *entries, u32 nr, ktime_t deadline_ns);
void futex_exit_robust(struct task *t);
int futex_wake_user(vaddr_t uaddr, u32 nr); /* clear_child_tid */
/* --- exits of user mode: personality hooks are in the personality contract --- */
void task_usage(const struct task *t, struct rusage_counts *out);
void group_usage(const struct thread_group *g, struct rusage_counts *self,
	struct rusage_counts *children);
