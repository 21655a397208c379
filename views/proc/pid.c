/* Files of a process: proc(5). Theory in proc.c. */
#include <core/describe.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/sched.h>
#include <core/time.h>
#include <core/tty.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/trap.h>
#include "proc_priv.h"

#define USER_HZ 100
enum pid_file {
	PID_AUXV,
	PID_CGROUP,
	PID_CMDLINE,
	PID_COMM,
	PID_ENVIRON,
	PID_IO,
	PID_LIMITS,
	PID_MAPS,
	PID_MOUNTINFO,
	PID_MOUNTS,
	PID_OOM_SCORE,
	PID_OOM_SCORE_ADJ,
	PID_PERSONALITY,
	PID_SMAPS,
	PID_SMAPS_ROLLUP,
	PID_STAT,
	PID_STATM,
	PID_STATUS,
	PID_WCHAN,
};
const struct proc_row proc_pid_rows[] = {
	{"auxv", PID_AUXV, 0400},
	{"cgroup", PID_CGROUP, 0444},
	{"cmdline", PID_CMDLINE, 0444},
	{"comm", PID_COMM, 0644},
	{"environ", PID_ENVIRON, 0400},
	{"io", PID_IO, 0400},
	{"limits", PID_LIMITS, 0444},
	{"maps", PID_MAPS, 0444},
	{"mountinfo", PID_MOUNTINFO, 0444},
	{"mounts", PID_MOUNTS, 0444},
	{"oom_score", PID_OOM_SCORE, 0444},
	{"oom_score_adj", PID_OOM_SCORE_ADJ, 0644},
	{"personality", PID_PERSONALITY, 0400},
	{"smaps", PID_SMAPS, 0444},
	{"smaps_rollup", PID_SMAPS_ROLLUP, 0444},
	{"stat", PID_STAT, 0444},
	{"statm", PID_STATM, 0444},
	{"status", PID_STATUS, 0444},
	{"wchan", PID_WCHAN, 0444},
};
u32 proc_nr_pid_rows(void)
{
	return ARRAY_SIZE(proc_pid_rows);
}

bool proc_may_look(struct call *c, struct task *task)
{
	const struct context *mine = c->ctx, *theirs;
	bool ok;

	if (task->group == c->task->group || context_capable(mine, CAP_SYS_PTRACE))
		return true;
	grace_read_begin();
	theirs = ptr_load_acquire(&task->context);
	ok = task->group->dumpable && kuid_eq(mine->cred.fsuid, theirs->cred.euid) &&
	     kuid_eq(mine->cred.fsuid, theirs->cred.uid) &&
	     kuid_eq(mine->cred.fsuid, theirs->cred.suid);
	grace_read_end();
	return ok;
}

static char state_letter(const struct task *t, bool thread)
{
	if (!thread && t->group->zombie)
		return 'Z';
	switch (READ_ONCE(t->state)) {
	case TASK_RUNNABLE:
	case TASK_NEW:
		return 'R';
	case TASK_SLEEPING:
		return 'S';
	case TASK_SLEEPING_UNINTERRUPTIBLE:
	case TASK_SLEEPING_KILLABLE:
		return t->kernel_thread ? 'I' : 'D';
	case TASK_STOPPED:
		return 'T';
	case TASK_TRACED:
		return 't';
	case TASK_DEAD:
		return 'Z';
	}
	return '?';
}

static const char *state_word(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'I':
		return "idle";
	case 'T':
		return "stopped";
	case 't':
		return "tracing stop";
	default:
		return "zombie";
	}
}

struct signal_sets {
	u64 pending, group_pending, blocked, ignored, caught;
};
static void signal_sets(struct task *t, struct signal_sets *s)
{
	struct thread_group *g = t->group;
	word_t irq = spin_lock_irqsave(&g->obj.lock);

	*s = (struct signal_sets){.pending = t->pending.set,
		.group_pending = g->pending.set,
		.blocked = t->blocked};
	if (g->handlers)
		for (u32 i = 0; i < SIG_NR; i++) {
			if (g->handlers->action[i].handler == 1)
				s->ignored |= 1ull << i;
			else if (g->handlers->action[i].handler)
				s->caught |= 1ull << i;
		}
	spin_unlock_irqrestore(&g->obj.lock, irq);
}

static u64 ticks(u64 ns)
{
	return ns / (NSEC_PER_SEC / USER_HZ);
}

/* The space for its counters only: the struct stays while the task does (grace period after
 * release). */
static void stat_memory(struct task *t, u64 *bytes, u64 *rss, const struct address_space **out)
{
	const struct address_space *as = ptr_load_acquire(&t->space);

	*bytes = as ? as->total_pages * PAGE_BYTES : 0;
	*rss = as ? space_rss_pages(as) : 0;
	*out = as;
}

/* Addresses in the space, for those who may look. */
struct layout {
	unsigned long code_start, code_end, stack_start, data_start, data_end, brk_start, arg_start,
		arg_end, env_start, env_end;
};

static void layout_read(struct layout *l, const struct address_space *as)
{
	*l = (struct layout){as->code_start, as->code_end, as->stack_start, as->data_start,
		as->data_end, as->brk_start, as->arg_start, as->arg_end, as->env_start,
		as->env_end};
}

/* proc_pid_stat(5): the minor number is in two parts. */
static u32 tty_nr(const struct tty *tty)
{
	u32 minor = DEV_MINOR(tty->rdev);

	return DEV_MAJOR(tty->rdev) << 8 | (minor & 0xff) | (minor & ~0xffu) << 12;
}

static void stat(struct call *c, struct task *t, bool thread, struct text *out)
{
	struct thread_group *g = t->group;
	struct rusage_counts self, children;
	const struct address_space *as;
	struct signal_sets s;
	struct tty *tty = tty_of_task(t);
	struct layout l = {.code_start = 1, .code_end = 1};
	u64 bytes, rss;
	bool see = proc_may_look(c, t);

	group_usage(g, &self, &children);
	if (thread)
		task_usage(t, &self);
	signal_sets(t, &s);
	grace_read_begin();
	stat_memory(t, &bytes, &rss, &as);
	if (as && see)
		layout_read(&l, as);
	text_printf(out, "%d (%s) %c %d %d %d %u %d %u ", thread ? task_pid_nr(t) : group_pid_nr(g),
		t->comm, state_letter(t, thread), g->parent ? group_pid_nr(g->parent) : 0,
		g->pgrp->number, g->session->number, tty ? tty_nr(tty) : 0,
		tty && tty->pgrp ? tty->pgrp->number : -1,
		t->kernel_thread ? 0x200000u : 0x400000u);
	text_printf(out, "%llu %llu %llu %llu %llu %llu %lld %lld %d %d %u 0 %llu ",
		(unsigned long long)self.minor_faults, (unsigned long long)children.minor_faults,
		(unsigned long long)self.major_faults, (unsigned long long)children.major_faults,
		(unsigned long long)ticks(self.user_ns), (unsigned long long)ticks(self.system_ns),
		(long long)ticks(children.user_ns), (long long)ticks(children.system_ns),
		t->se.class == SCHED_CLASS_REALTIME ? -1 - t->se.rt_priority : 20 + t->se.nice,
		t->se.nice, g->nr_threads,
		(unsigned long long)ticks((u64)(thread ? t->start_ns : g->start_ns)));
	text_printf(out,
		"%llu %llu %llu %lu %lu %lu 0 0 %llu %llu %llu %llu 0 0 0 %d %u %u %u 0 0 0 ",
		(unsigned long long)bytes, (unsigned long long)rss,
		(unsigned long long)g->rlimit[RLIMIT_RSS].soft, l.code_start, l.code_end,
		l.stack_start, (unsigned long long)(s.pending & 0x7fffffff),
		(unsigned long long)(s.blocked & 0x7fffffff),
		(unsigned long long)(s.ignored & 0x7fffffff),
		(unsigned long long)(s.caught & 0x7fffffff), thread ? -1 : g->exit_signal,
		t->se.cpu, t->se.rt_priority, t->se.policy);
	text_printf(out, "%lu %lu %lu %lu %lu %lu %lu %d\n", l.data_start, l.data_end, l.brk_start,
		l.arg_start, l.arg_end, l.env_start, l.env_end, see ? g->exit_code : 0);
	grace_read_end();
	if (tty)
		object_put(&tty->obj);
}

static void statm(struct task *t, struct text *out)
{
	const struct address_space *as;
	u64 bytes, rss;

	grace_read_begin();
	stat_memory(t, &bytes, &rss, &as);
	text_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)(bytes / PAGE_BYTES),
		(unsigned long long)rss,
		(unsigned long long)(as ? READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem) : 0),
		(unsigned long long)(as ? as->exec_pages : 0),
		(unsigned long long)(as ? as->data_pages + as->stack_pages : 0));
	grace_read_end();
}

static void status_memory(struct task *t, struct text *out)
{
	const struct address_space *as;
	const u64 k = PAGE_BYTES / 1024;
	u64 bytes, rss;

	stat_memory(t, &bytes, &rss, &as);
	if (!as)
		return;
	text_printf(out,
		"VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t%8u "
		"kB\nVmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\n",
		(unsigned long long)(bytes / 1024), (unsigned long long)(bytes / 1024),
		(unsigned long long)(as->locked_pages * k), 0u,
		(unsigned long long)(MAX(READ_ONCE(as->rss_peak), rss) * k),
		(unsigned long long)(rss * k));
	text_printf(out,
		"RssAnon:\t%8llu kB\nRssFile:\t%8llu kB\nRssShmem:\t%8llu kB\nVmData:\t%8llu "
		"kB\nVmStk:\t%8llu kB\nVmExe:\t%8lu kB\n"
		"VmLib:\t%8llu kB\nVmPTE:\t%8u kB\nVmSwap:\t%8u kB\n",
		(unsigned long long)(READ_ONCE(as->rss_anon) * k),
		(unsigned long long)(READ_ONCE(as->rss_file) * k),
		(unsigned long long)(READ_ONCE(as->rss_shmem) * k),
		(unsigned long long)(as->data_pages * k), (unsigned long long)(as->stack_pages * k),
		(unsigned long)((as->code_end - as->code_start) / 1024),
		(unsigned long long)(as->exec_pages * k), 0u, 0u);
}

static void status_ids(const struct context *ctx, struct text *out)
{
	const struct credentials *k = &ctx->cred;

	text_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", k->uid.value,
		k->euid.value, k->suid.value, k->fsuid.value, k->gid.value, k->egid.value,
		k->sgid.value, k->fsgid.value);
}

static void status(struct task *t, bool thread, struct text *out)
{
	struct thread_group *g = t->group;
	char letter = state_letter(t, thread);
	const struct context *ctx;
	struct signal_sets s;

	signal_sets(t, &s);
	grace_read_begin();
	ctx = ptr_load_acquire(&t->context);
	text_printf(out, "Name:\t%s\n", t->comm);
	if (ctx->fs) /* a zombie has none */
		text_printf(out, "Umask:\t%04o\n", ctx->fs->umask);
	text_printf(out,
		"State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		letter, state_word(letter), group_pid_nr(g), task_pid_nr(t),
		g->parent ? group_pid_nr(g->parent) : 0);
	status_ids(ctx, out);
	text_printf(out, "FDSize:\t%u\nGroups:\t", t->files ? t->files->capacity : 0);
	for (u32 i = 0; ctx->cred.groups && i < ctx->cred.groups->nr; i++)
		text_printf(out, "%u ", ctx->cred.groups->gid[i].value);
	text_printf(out, "\n");
	status_memory(t, out);
	text_printf(out,
		"Threads:\t%u\nSigQ:\t0/"
		"%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%"
		"016llx\nSigCgt:\t%016llx\n",
		g->nr_threads, (unsigned long long)g->rlimit[RLIMIT_SIGPENDING].soft,
		(unsigned long long)s.pending, (unsigned long long)s.group_pending,
		(unsigned long long)s.blocked, (unsigned long long)s.ignored,
		(unsigned long long)s.caught);
	text_printf(out,
		"CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%"
		"016llx\nNoNewPrivs:\t%u\nSeccomp:\t0\n",
		(unsigned long long)ctx->cred.cap_inheritable,
		(unsigned long long)ctx->cred.cap_permitted,
		(unsigned long long)ctx->cred.cap_effective,
		(unsigned long long)ctx->cred.cap_bounding,
		(unsigned long long)ctx->cred.cap_ambient, ctx->cred.no_new_privs);
	text_printf(out,
		"Cpus_allowed:\t%llx\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:"
		"\t%llu\n",
		(unsigned long long)(t->se.affinity & READ_ONCE(cpu_online_mask)),
		(unsigned long long)READ_ONCE(t->usage.switches_voluntary),
		(unsigned long long)READ_ONCE(t->usage.switches_involuntary));
	grace_read_end();
}

static void limit_value(struct text *out, u64 v)
{
	if (v == RLIM_INFINITY)
		text_printf(out, "%-20s ", "unlimited");
	else
		text_printf(out, "%-20llu ", (unsigned long long)v);
}

static void limits(struct task *t, struct text *out)
{
	static const char *const names[RLIMIT_NR][2] = {
		{"Max cpu time", "seconds"},
		{"Max file size", "bytes"},
		{"Max data size", "bytes"},
		{"Max stack size", "bytes"},
		{"Max core file size", "bytes"},
		{"Max resident set", "bytes"},
		{"Max processes", "processes"},
		{"Max open files", "files"},
		{"Max locked memory", "bytes"},
		{"Max address space", "bytes"},
		{"Max file locks", "locks"},
		{"Max pending signals", "signals"},
		{"Max msgqueue size", "bytes"},
		{"Max nice priority", ""},
		{"Max realtime priority", ""},
		{"Max realtime timeout", "us"},
	};

	text_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
		"Units     ");
	for (u32 i = 0; i < RLIMIT_NR; i++) {
		text_printf(out, "%-25s ", names[i][0]);
		limit_value(out, t->group->rlimit[i].soft);
		limit_value(out, t->group->rlimit[i].hard);
		text_printf(out, "%-10s\n", names[i][1]);
	}
}

static answer_t mounts(struct call *c, struct task *t, bool info, struct text *out)
{
	const struct context *ctx;
	struct mount_ns *ns = nullptr;
	struct path_ref root = {};

	grace_read_begin();
	ctx = ptr_load_acquire(&t->context);
	if (ctx->mount_ns && ctx->fs && object_get_live(&ctx->mount_ns->obj)) {
		ns = ctx->mount_ns;
		spin_lock(&ctx->fs->obj.lock);
		root = ctx->fs->root;
		if (root.name)
			path_get(&root);
		spin_unlock(&ctx->fs->obj.lock);
	}
	grace_read_end();
	if (!ns)
		return -EINVAL;
	if (root.name)
		proc_mounts_text(c, ns, &root, info, out);
	path_put(&root);
	object_put(&ns->obj);
	return 0;
}

static void auxv(struct task *t, struct text *out)
{
	const struct address_space *as;

	grace_read_begin();
	as = ptr_load_acquire(&t->space);
	for (u32 i = 0; as && i + 1 < ARRAY_SIZE(as->auxv); i += 2) {
		word_t pair[2] = {(word_t)as->auxv[i], (word_t)as->auxv[i + 1]};

		text_write(out, (const char *)pair, sizeof(pair));
		if (!pair[0])
			break;
	}
	grace_read_end();
}

static void io(struct task *t, struct text *out)
{
	struct rusage_counts self, children;

	group_usage(t->group, &self, &children);
	text_printf(out,
		"rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: "
		"%llu\nwrite_bytes: %llu\ncancelled_write_bytes: 0\n",
		(unsigned long long)self.read_bytes, (unsigned long long)self.write_bytes,
		(unsigned long long)self.read_calls, (unsigned long long)self.write_calls,
		(unsigned long long)(self.in_blocks * 512),
		(unsigned long long)(self.out_blocks * 512));
}

/* Files that show what only a tracer may see. */
static bool is_private(u32 which)
{
	return which == PID_AUXV || which == PID_ENVIRON || which == PID_MAPS ||
	       which == PID_SMAPS || which == PID_SMAPS_ROLLUP || which == PID_IO ||
	       which == PID_PERSONALITY;
}

answer_t proc_pid_render(struct call *c, struct task *t, u32 which, bool thread, struct text *out)
{
	if (is_private(which) && !proc_may_look(c, t))
		return -EACCES;
	switch ((enum pid_file)which) {
	case PID_AUXV:
		auxv(t, out);
		return 0;
	case PID_CGROUP:
		text_printf(out, "0::/\n");
		return 0;
	case PID_CMDLINE:
		return describe_into(c, DESCRIBE_CMDLINE, t, out);
	case PID_COMM:
		text_printf(out, "%s\n", t->comm);
		return 0;
	case PID_ENVIRON:
		return describe_into(c, DESCRIBE_ENVIRON, t, out);
	case PID_IO:
		io(t, out);
		return 0;
	case PID_LIMITS:
		limits(t, out);
		return 0;
	case PID_MAPS:
		return describe_into(c, DESCRIBE_MAPS, t, out);
	case PID_MOUNTINFO:
	case PID_MOUNTS:
		return mounts(c, t, which == PID_MOUNTINFO, out);
	case PID_OOM_SCORE:
		text_printf(out, "%d\n", MAX(t->group->oom_score_adj, (s16)0));
		return 0;
	case PID_OOM_SCORE_ADJ:
		text_printf(out, "%d\n", t->group->oom_score_adj);
		return 0;
	case PID_PERSONALITY:
		text_printf(out, "%08x\n", t->context->personality);
		return 0;
	case PID_SMAPS:
		return describe_into(c, DESCRIBE_SMAPS, t, out);
	case PID_SMAPS_ROLLUP:
		return describe_into(c, DESCRIBE_SMAPS_ROLLUP, t, out);
	case PID_STAT:
		stat(c, t, thread, out);
		return 0;
	case PID_STATM:
		statm(t, out);
		return 0;
	case PID_STATUS:
		status(t, thread, out);
		return 0;
	case PID_WCHAN:
		text_printf(out, "0");
		return 0;
	}
	return -EINVAL;
}

answer_t proc_pid_store(struct call *c, struct task *t, u32 which, const char *data, u32 len)
{
	bool negative;
	u32 n = len;
	u64 v;

	switch (which) {
	case PID_COMM:
		if (t->group != c->task->group)
			return -EINVAL;
		n = MIN(n, (u32)sizeof(t->comm) - 1);
		memcpy(t->comm, data, n);
		t->comm[n && data[n - 1] == '\n' ? n - 1 : n] = 0;
		return len;
	case PID_OOM_SCORE_ADJ:
		while (n && (data[n - 1] == '\n' || data[n - 1] == ' '))
			n--;
		negative = n && data[0] == '-';
		if (!parse_u64(data + negative, n - negative, &v) || v > 1000)
			return -EINVAL;
		if ((negative ? -(s32)v : (s32)v) < t->group->oom_score_adj &&
			!context_capable(c->ctx, CAP_SYS_RESOURCE))
			return -EACCES;
		t->group->oom_score_adj = (s16)(negative ? -(s32)v : (s32)v);
		return len;
	default:
		return -EACCES;
	}
}

static void path_into(struct call *c, const struct path_ref *p, struct text *out)
{
	char *buf = kmalloc(PAGE_BYTES);
	struct path_ref root;
	const char *s;

	if (!buf) {
		out->failed = true;
		return;
	}
	spin_lock(&c->ctx->fs->obj.lock);
	root = c->ctx->fs->root;
	path_get(&root);
	spin_unlock(&c->ctx->fs->obj.lock);
	s = path_text(p, &root, buf, PAGE_BYTES);
	if (s)
		text_write(out, s, strlen(s));
	path_put(&root);
	kfree(buf);
}

answer_t proc_pid_link(struct call *c, struct task *t, u32 which, struct text *out,
	struct path_ref *target)
{
	const struct context *ctx;
	struct path_ref p = {};

	grace_read_begin();
	ctx = ptr_load_acquire(&t->context);
	if (which == 2) {
		struct address_space *as = ptr_load_acquire(&t->space);
		struct file *exe = as ? as->exe : nullptr;

		if (exe && object_get_live(&exe->obj)) {
			p = exe->path;
			path_get(&p);
			grace_read_end();
			file_put(exe);
			grace_read_begin();
		}
	} else if (ctx->fs) {
		spin_lock(&ctx->fs->obj.lock);
		p = which ? ctx->fs->root : ctx->fs->cwd;
		if (p.name)
			path_get(&p);
		spin_unlock(&ctx->fs->obj.lock);
	}
	grace_read_end();
	if (!p.name)
		return -ENOENT;
	path_into(c, &p, out);
	*target = p;
	return 1;
}

answer_t proc_fd_link(struct call *c, struct task *t, u32 fd, struct text *out,
	struct path_ref *target)
{
	struct file *f = task_file_get(t, fd);

	if (!f)
		return -ENOENT;
	path_into(c, &f->path, out);
	*target = f->path;
	path_get(target);
	file_put(f);
	return 1;
}

answer_t proc_fdinfo_render(struct call *c, struct task *t, u32 fd, struct text *out)
{
	struct file *f;

	if (!proc_may_look(c, t))
		return -EACCES;
	f = task_file_get(t, fd);
	if (!f)
		return -ENOENT;
	text_printf(out, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (long long)f->pos,
		(f->flags & ~O_CLOEXEC) | (task_cloexec(t, fd) ? O_CLOEXEC : 0),
		f->path.mount ? f->path.mount->id : 0,
		(unsigned long long)(f->inode ? f->inode->ino : 0));
	file_put(f);
	return 0;
}
