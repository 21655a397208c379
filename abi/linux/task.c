/* Tasks: creation, programs, ends, waiting, identities. The operations are core's; layouts and
 * argument rules are here. */
#include <core/cpu.h>
#include "abi.h"

#define CSIGNAL_MASK        0xffu
#define CLONE_VM            0x100ull
#define CLONE_FS            0x200ull
#define CLONE_FILES         0x400ull
#define CLONE_PIDFD         0x1000ull
#define CLONE_VFORK         0x4000ull
#define CLONE_THREAD        0x10000ull
#define CLONE_NEWNS         0x20000ull
#define CLONE_SYSVSEM       0x40000ull
#define CLONE_PARENT_SETTID 0x100000ull
#define CLONE_DETACHED      0x400000ull
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#define CLONE_INTO_CGROUP   0x200000000ull
/* NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWNS, NEWTIME: EINVAL, as a Linux built
 * without the namespace. */
#define CLONE_NAMESPACES    (0x7e000000ull | CLONE_NEWNS | 0x80ull)

static answer_t clone(struct call *c, const struct clone_args *args)
{
	struct clone_args *kept;

	if (args->flags & CLONE_NAMESPACES)
		return -EINVAL;
	abi_memory(c, kept, sizeof(*kept));
	*kept = *args;
	abi_op3(c, (word_t)kept, 0, 0);
	return abi_do(c, DO_CLONE);
}

answer_t sys_clone(struct call *c)
{
	u64 flags = c->args[0] & 0xffffffffull;
	struct clone_args args = {
		.flags = flags & ~(u64)CSIGNAL_MASK,
		.exit_signal = (s32)(flags & CSIGNAL_MASK),
		.stack = c->args[1],
		.parent_tid = c->args[2],
		.child_tid = c->args[ABI_CLONE_ARG_CHILD_TID],
		.tls = c->args[ABI_CLONE_ARG_TLS],
		.pidfd = c->args[2], /* clone(2): CLONE_PIDFD stores where CLONE_PARENT_SETTID would
				      */
	};

	if (flags & CLONE_PIDFD && flags & (CLONE_PARENT_SETTID | CLONE_DETACHED))
		return -EINVAL;
	return clone(c, &args);
}

answer_t sys_fork(struct call *c)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	return clone(c, &args);
}

answer_t sys_vfork(struct call *c)
{
	struct clone_args args = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

	return clone(c, &args);
}

#define CLONE_ARGS_V0 64u

/* A struct that may be longer than ours: what we do not know must be 0 (copy_struct_from_user's
 * rule). */
answer_t abi_copy_struct(struct call *c, void *out, size_t known, vaddr_t user, size_t bytes)
{
	u8 rest[64];

	memset(out, 0, known);
	abi_try(call_copy_in(c, out, user, MIN(bytes, known)));
	for (size_t at = known; at < bytes; at += sizeof(rest)) {
		size_t piece = MIN(bytes - at, sizeof(rest));

		abi_try(call_copy_in(c, rest, user + at, piece));
		for (size_t i = 0; i < piece; i++)
			if (rest[i])
				return -E2BIG;
	}
	return 0;
}

static bool clone3_stack_ok(const struct user_clone_args *u)
{
	return u->stack ? u->stack_size && user_range_ok((vaddr_t)u->stack, (size_t)u->stack_size)
			: !u->stack_size;
}

answer_t sys_clone3(struct call *c)
{
	struct user_clone_args u;
	struct clone_args args;
	size_t bytes = c->args[1];

	if (bytes > PAGE_BYTES)
		return -E2BIG;
	if (bytes < CLONE_ARGS_V0)
		return -EINVAL;
	abi_try(abi_copy_struct(c, &u, sizeof(u), c->args[0], bytes));
	if (u.flags & ~(0xffffffffull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP) ||
		u.flags & (CLONE_DETACHED | (CSIGNAL_MASK & ~0x80ull)))
		return -EINVAL;
	if (u.flags & CLONE_INTO_CGROUP || u.exit_signal > SIG_NR || !clone3_stack_ok(&u))
		return -EINVAL;
	if (!u.set_tid != !u.set_tid_size || u.set_tid_size > 32)
		return -EINVAL;
	args = (struct clone_args){
		.flags = u.flags,
		.exit_signal = (s32)u.exit_signal,
		.stack = (vaddr_t)(u.stack ? u.stack + u.stack_size : 0),
		.tls = (word_t)u.tls,
		.parent_tid = (vaddr_t)u.parent_tid,
		.child_tid = (vaddr_t)u.child_tid,
		.pidfd = (vaddr_t)u.pidfd,
	};
	if (u.set_tid_size > 1) /* one pid namespace, one number */
		return -EINVAL;
	if (u.set_tid_size) {
		abi_try(call_copy_in(c, args.set_tid, (vaddr_t)u.set_tid, sizeof(args.set_tid)));
		args.nr_set_tid = 1;
	}
	return clone(c, &args);
}

answer_t sys_execve(struct call *c)
{
	abi_op3(c, (word_t)AT_FDCWD_NR, c->args[0], c->args[1]);
	c->op_args[3] = c->args[2];
	c->op_args[4] = 0;
	return abi_do(c, DO_EXEC);
}

answer_t sys_execveat(struct call *c)
{
	if (arg_uint(c, 4) & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	abi_op3(c, (word_t)(sword_t)arg_int(c, 0), c->args[1], c->args[2]);
	c->op_args[3] = c->args[3];
	c->op_args[4] = arg_uint(c, 4);
	return abi_do(c, DO_EXEC);
}

answer_t sys_exit(struct call *c)
{
	abi_op3(c, arg_uint(c, 0) & 0xffu, 0, 0);
	return abi_do(c, DO_EXIT);
}

answer_t sys_exit_group(struct call *c)
{
	abi_op3(c, (arg_uint(c, 0) & 0xffu) << 8, 0, 0);
	return abi_do(c, DO_EXIT_GROUP);
}

/* --- waiting for children --- */
#define P_ALL_NR       0
#define P_PID_NR       1
#define P_PGID_NR      2
#define WNOHANG_BIT    1u
#define WUNTRACED_BIT  2u
#define WEXITED_BIT    4u
#define WCONTINUED_BIT 8u
#define WNOWAIT_BIT    0x01000000u
#define WLINEAGE_BITS  0xe0000000u /* __WNOTHREAD, __WALL, __WCLONE */

void abi_rusage_fill(struct user_rusage *u, const struct rusage_counts *r)
{
	*u = (struct user_rusage){
		.utime = abi_timeval((ktime_t)r->user_ns),
		.stime = abi_timeval((ktime_t)r->system_ns),
		.maxrss = (s64)(r->max_rss_pages * (PAGE_BYTES / 1024)),
		.minflt = (s64)r->minor_faults,
		.majflt = (s64)r->major_faults,
		.inblock = (s64)r->in_blocks,
		.oublock = (s64)r->out_blocks,
		.nvcsw = (s64)r->switches_voluntary,
		.nivcsw = (s64)r->switches_involuntary,
	};
}

static answer_t start_wait(struct call *c, struct do_wait *w, s32 idtype, s32 id, u32 options)
{
	*w = (struct do_wait){.idtype = idtype, .id = id, .options = options};
	abi_op3(c, (word_t)w, 0, 0);
	return call_do(c, DO_WAIT, true);
}

/* The child is reaped: only copying out is left, which may run several times. */
static answer_t usage_out(struct call *c, const struct do_wait *w, vaddr_t user)
{
	struct user_rusage u;

	if (!user)
		return 0;
	abi_rusage_fill(&u, &w->usage);
	return abi_copy_out(c, user, &u);
}

answer_t sys_wait4(struct call *c)
{
	s32 pid = arg_int(c, 0);
	u32 options = arg_uint(c, 2);
	struct do_wait *w;

	if (options & ~(WNOHANG_BIT | WUNTRACED_BIT | WCONTINUED_BIT | WLINEAGE_BITS))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	abi_memory(c, w, sizeof(*w));
	if (!c->op_done) {
		if (pid == -1)
			return start_wait(c, w, P_ALL_NR, 0, options | WEXITED_BIT);
		if (pid <= 0)
			return start_wait(c, w, P_PGID_NR, -pid, options | WEXITED_BIT);
		return start_wait(c, w, P_PID_NR, pid, options | WEXITED_BIT);
	}
	if (c->op_result <= 0)
		return c->op_result;
	if (c->args[1])
		abi_try(abi_copy_out(c, c->args[1], &w->status));
	abi_try(usage_out(c, w, c->args[3]));
	return c->op_result;
}

answer_t sys_waitid(struct call *c)
{
	u32 options = arg_uint(c, 3);
	struct user_siginfo info;
	struct do_wait *w;

	if (options & ~(WNOHANG_BIT | WUNTRACED_BIT | WEXITED_BIT | WCONTINUED_BIT | WNOWAIT_BIT |
			      WLINEAGE_BITS) ||
		!(options & (WUNTRACED_BIT | WEXITED_BIT | WCONTINUED_BIT)))
		return -EINVAL;
	abi_memory(c, w, sizeof(*w));
	if (!c->op_done)
		return start_wait(c, w, arg_int(c, 0), arg_int(c, 1), options);
	if (c->op_result < 0)
		return c->op_result;
	if (c->op_result > 0)
		abi_try(usage_out(c, w, c->args[4]));
	if (!c->args[2])
		return 0;
	/* Nothing to report: the fields that say so are 0 (waitid(2)). */
	if (c->op_result > 0)
		abi_siginfo_fill(&info, &w->info);
	else
		memset(&info, 0, sizeof(info));
	/* Linux writes the members one by one and leaves the rest of the struct alone. */
	return call_copy_out(c, c->args[2], &info, offsetof(struct user_siginfo, child.utime));
}

/* --- identities --- */
answer_t sys_getpid(struct call *c)
{
	return group_pid_nr(abi_task(c)->group);
}

answer_t sys_gettid(struct call *c)
{
	return task_pid_nr(abi_task(c));
}

answer_t sys_getppid(struct call *c)
{
	const struct thread_group *parent;
	s32 number;

	/* The parent may die meanwhile; its object stays for a grace period. */
	grace_read_begin();
	parent = READ_ONCE(abi_task(c)->group->parent);
	number = parent ? parent->pid->number : 0;
	grace_read_end();
	return number;
}

answer_t sys_getpgid(struct call *c)
{
	return task_getpgid(arg_int(c, 0));
}

answer_t sys_getpgrp(struct call *c)
{
	(void)c;
	return task_getpgid(0);
}

answer_t sys_setpgid(struct call *c)
{
	return task_setpgid(arg_int(c, 0), arg_int(c, 1));
}

answer_t sys_getsid(struct call *c)
{
	return task_getsid(arg_int(c, 0));
}

answer_t sys_setsid(struct call *c)
{
	(void)c;
	return task_setsid();
}

answer_t sys_set_tid_address(struct call *c)
{
	abi_task(c)->clear_child_tid = c->args[0];
	return task_pid_nr(abi_task(c));
}

answer_t sys_set_robust_list(struct call *c)
{
	if (c->args[1] != sizeof(struct user_robust_head))
		return -EINVAL;
	abi_task(c)->robust_list = c->args[0];
	abi_task(c)->robust_list_bytes = c->args[1];
	return 0;
}

struct task *abi_target_task(struct call *c, s32 pid)
{
	struct task *t = abi_task(c);

	if (!pid) {
		object_get(&t->obj);
		return t;
	}
	return pid > 0 ? task_find(c->ctx->pid_ns, pid) : nullptr;
}

void abi_task_put(struct task *t)
{
	object_put(&t->obj);
}

answer_t sys_get_robust_list(struct call *c)
{
	struct task *t = abi_target_task(c, arg_int(c, 0));
	u64 list, bytes = sizeof(struct user_robust_head);

	if (!t)
		return -ESRCH;
	list = t->robust_list;
	if (t != abi_task(c) && !context_capable(c->ctx, CAP_SYS_PTRACE)) {
		abi_task_put(t);
		return -EPERM;
	}
	abi_task_put(t);
	abi_try(abi_copy_out(c, c->args[2], &bytes));
	return abi_copy_out(c, c->args[1], &list);
}

/* --- futex --- */
#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_WAKE_BITSET     10
#define FUTEX_PRIVATE         128u
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP         5
#define FUTEX_LOCK_PI         6
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2        13
#define FUTEX_COMMANDS        127u
#define FUTEX_CLOCK_REALTIME  256u

/* The fourth argument is a time or a count, as the command says. */
static answer_t futex_deadline(struct call *c, u32 op)
{
	u32 command = op & FUTEX_COMMANDS;
	bool realtime = op & FUTEX_CLOCK_REALTIME || command == FUTEX_LOCK_PI;
	struct user_timespec ts;
	ktime_t deadline;

	if (!c->args[3] || c->deadline_set)
		return 0;
	abi_try(abi_copy_in(c, &ts, c->args[3]));
	if (!abi_timespec_valid(&ts))
		return -EINVAL;
	if (!time_clock_deadline(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, command != FUTEX_WAIT,
		    abi_timespec_ns(&ts), &deadline))
		return -EINVAL;
	call_wait_deadline(c, deadline);
	return 0;
}

/* A relative wait that a signal without handler interrupted goes on to its first deadline
 * (restart_syscall(2)). */
static answer_t futex_wait_done(struct call *c)
{
	struct task *t = abi_task(c);

	if (c->op_result != -ERESTARTNOHAND)
		return c->op_result;
	t->restart.op = DO_FUTEX;
	for (u32 i = 0; i < ARRAY_SIZE(t->restart.args); i++)
		t->restart.args[i] = c->op_args[i];
	t->restart.deadline_ns = c->deadline_ns;
	return -ERESTART_RESTARTBLOCK;
}

answer_t sys_futex(struct call *c)
{
	u32 op = arg_uint(c, 1);

	if (c->op_done)
		return futex_wait_done(c);
	/* A private word is named by its address: nothing to look up, nothing to wait for. */
	if (op == (FUTEX_WAKE | FUTEX_PRIVATE) || op == (FUTEX_WAKE_BITSET | FUTEX_PRIVATE))
		return futex_op(c->args[0], op, arg_uint(c, 2), KTIME_MAX, 0, 0, arg_uint(c, 5));
	c->op_args[3] = 0;
	switch (op & FUTEX_COMMANDS) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_WAIT_REQUEUE_PI:
		abi_try(futex_deadline(c, op));
		break;
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
	case FUTEX_CMP_REQUEUE_PI:
		c->op_args[3] = arg_uint(c, 3);
		break;
	default:
		break;
	}
	abi_op3(c, c->args[0], op, arg_uint(c, 2));
	c->op_args[4] = c->args[4];
	c->op_args[5] = arg_uint(c, 5);
	return call_do(c, DO_FUTEX, (op & FUTEX_COMMANDS) == FUTEX_WAIT && c->deadline_set);
}

/* futex_waitv(2): the only multiple wait; 32-bit words, private or shared. */
struct user_futex_waitv {
	u64 value, uaddr;
	u32 flags, reserved;
};
#define FUTEX2_SIZE_MASK 3u
#define FUTEX2_SIZE_U32  2u
#define FUTEX2_PRIVATE   128u
#define WAITV_PIECE      8u

static answer_t waitv_import(struct call *c, struct do_futex_waitv *w, vaddr_t user, u32 nr)
{
	struct user_futex_waitv piece[WAITV_PIECE];

	for (u32 i = 0; i < nr; i++) {
		const struct user_futex_waitv *from = &piece[i % WAITV_PIECE];

		if (i % WAITV_PIECE == 0)
			abi_try(call_copy_in(c, piece, user + (vaddr_t)i * sizeof(*piece),
				MIN(nr - i, WAITV_PIECE) * sizeof(*piece)));
		if (from->reserved || from->flags & ~(FUTEX2_SIZE_MASK | FUTEX2_PRIVATE) ||
			(from->flags & FUTEX2_SIZE_MASK) != FUTEX2_SIZE_U32 || from->value >> 32)
			return -EINVAL;
		w->entries[i] = (struct futex_wait_entry){(vaddr_t)from->uaddr, (u32)from->value,
			!(from->flags & FUTEX2_PRIVATE)};
	}
	w->nr = nr;
	return 0;
}

answer_t sys_futex_waitv(struct call *c)
{
	u32 nr = arg_uint(c, 1);
	struct do_futex_waitv *w;
	struct user_timespec ts;
	ktime_t deadline;

	if (arg_uint(c, 2) || !c->args[0] || !nr || nr > FUTEX_WAITV_MAX)
		return -EINVAL;
	if (c->args[3] && !c->deadline_set) {
		if (arg_int(c, 4) != CLOCK_MONOTONIC && arg_int(c, 4) != CLOCK_REALTIME)
			return -EINVAL;
		abi_try(abi_copy_in(c, &ts, c->args[3]));
		if (!abi_timespec_valid(&ts) ||
			!time_clock_deadline(arg_int(c, 4), true, abi_timespec_ns(&ts), &deadline))
			return -EINVAL;
		call_wait_deadline(c, deadline);
	}
	abi_memory(c, w, sizeof(*w) + nr * sizeof(w->entries[0]));
	abi_try(waitv_import(c, w, c->args[0], nr));
	abi_op3(c, (word_t)w, 0, 0);
	return abi_do(c, DO_FUTEX_WAITV);
}

/* --- rseq: registration; core writes the area at each return to user mode that may have changed
 * the CPU --- */
#define RSEQ_UNREGISTER 1u
#define RSEQ_BYTES      32u

answer_t sys_rseq(struct call *c)
{
	struct task *t = abi_task(c);
	vaddr_t area = c->args[0];
	u32 bytes = arg_uint(c, 1), flags = arg_uint(c, 2), signature = arg_uint(c, 3);

	if (flags & RSEQ_UNREGISTER) {
		if (flags & ~RSEQ_UNREGISTER || !t->rseq || t->rseq != area ||
			bytes != t->rseq_bytes)
			return -EINVAL;
		if (signature != t->rseq_signature)
			return -EPERM;
		/* cpu_id_start, cpu_id: RSEQ_CPU_ID_UNINITIALIZED */
		abi_try(call_copy_out(c, area, (const u32[]){0, ~0u}, 2 * sizeof(u32)));
		call_effect(c);
		t->rseq = 0;
		return 0;
	}
	if (flags)
		return -EINVAL;
	if (t->rseq) {
		if (t->rseq != area || bytes != t->rseq_bytes)
			return -EINVAL;
		return signature == t->rseq_signature ? -EBUSY : -EPERM;
	}
	if (bytes < RSEQ_BYTES || area & (RSEQ_BYTES - 1))
		return -EINVAL;
	if (!user_range_ok(area, bytes))
		return -EFAULT;
	call_effect(c);
	t->rseq_bytes = bytes;
	t->rseq_signature = signature;
	t->rseq = area;
	task_work_set(t, TASK_WORK_RSEQ); /* the first write of the area */
	return 0;
}

answer_t sys_unshare(struct call *c)
{
	u64 flags = c->args[0];
	u32 what = 0;

	if (flags & ~(CLONE_THREAD | CLONE_FS | CLONE_NEWNS | 0x800ull | CLONE_VM | CLONE_FILES |
			    CLONE_SYSVSEM | CLONE_NAMESPACES) ||
		flags & CLONE_NAMESPACES)
		return -EINVAL;
	/* Sharing of signal handlers and memory cannot be undone unless the task is alone. */
	if (flags & (CLONE_THREAD | 0x800ull | CLONE_VM) &&
		READ_ONCE(abi_task(c)->group->nr_threads) > 1)
		return -EINVAL;
	if (flags & CLONE_FILES)
		what |= DO_UNSHARE_FILES;
	if (flags & CLONE_FS)
		what |= DO_UNSHARE_FS;
	if (!what)
		return 0;
	abi_op3(c, what, 0, 0);
	return abi_do(c, DO_UNSHARE);
}

/* No node is a namespace yet: every descriptor is the wrong kind. */
answer_t sys_setns(struct call *c)
{
	return call_file(c, arg_uint(c, 0)) ? -EINVAL : -EBADF;
}

answer_t sys_getcpu(struct call *c)
{
	u32 cpu = arch_this_cpu(), node = 0;

	if (c->args[0])
		abi_try(abi_copy_out(c, c->args[0], &cpu));
	return c->args[1] ? abi_copy_out(c, c->args[1], &node) : 0;
}
