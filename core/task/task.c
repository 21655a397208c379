/*
 * Tasks: theory of core/task.
 *
 * Purpose: processes and threads, their identity, families, signals, programs (exec), ends (exit,
 * wait), futexes.
 *
 * Vocabulary: *task* = one thread of execution; *thread group* = a process; *leader* = the task
 * whose id is the process's id; *pid* = a number's owner, kept as long as task, process group,
 * session or a pidfd uses it; *zombie* = a group that has ended and waits to be reaped.
 *
 * Objects and lifetimes: a task has one reference for being listed (dropped when it is unlinked:
 * exit of a thread, reaping of a leader) and one for running (dropped by the switch away from the
 * dead task). A group has one reference for being listed until it is reaped, and one per task. A
 * pid has one for the number tree and one per user.
 *
 * Invariants: 1. t->group never changes.  2. A task in group->threads has t->pid until it is
 * unlinked.  3. nr_live counts the threads that have not passed exit_notify; the last one makes the
 * group a zombie or reaps it.  4. Signal state is changed under group->obj.lock; TASK_WORK_SIGNAL
 * is set whenever a thread may have an unblocked signal, and cleared only by the thread itself
 * under that lock.  5. A group's parent pointer is never null but for pid 1 and kernel threads; a
 * dead parent's children belong to the nearest subreaper or pid 1.
 *
 * Locks: task_list_lock (families, lists, numbers; thread context) > group->obj.lock (signals;
 * interrupts off) > handlers->lock. Wakes and switches take neither.
 *
 * Failure and recovery: creation undoes what it did; exit cannot fail. Replacement: none, core is
 * not replaced; what the personality lays out for user space (signal frames) goes through its slot.
 *
 * Cost: clone copies the records; signals to oneself take one lock.
 */
#include "task_internal.h"
#include <arch/context.h>

struct spinlock task_list_lock = SPINLOCK_INIT(LOCK_LEVEL_TASK_LIST);
struct list_node task_groups = LIST_INIT(task_groups);
u32 task_nr_threads;
u64 task_total_forks;
struct task *task_init;

static struct thread_group boot_group;
static struct signal_handlers boot_handlers;
static struct task boot_task;

static void task_setup(struct task *t)
{
	object_init(&t->obj, OBJECT_TASK, LOCK_LEVEL_TASK, &account_root);
	t->state = TASK_NEW;
	list_init(&t->in_group);
	list_init(&t->all);
	list_init(&t->se.rt_link);
	signal_pending_init(&t->pending);
	waitable_init(&t->vfork_done);
	waitable_init(&t->wake);
	t->altstack_flags = 2; /* SS_DISABLE */
	t->start_ns = time_monotonic_ns();
	call_init_task(t);
}

struct task *task_alloc(void)
{
	struct task *t = kzalloc(sizeof(*t));

	if (!t)
		return nullptr;
	task_setup(t);
	t->stack = kernel_stack_alloc();
	if (!t->stack) {
		kfree(t);
		return nullptr;
	}
	t->arch.stack_top = (word_t)t->stack + KERNEL_STACK_BYTES;
	if (arch_task_init(t)) {
		kernel_stack_free(t->stack);
		kfree(t);
		return nullptr;
	}
	return t;
}

void object_release_task(struct object *o)
{
	struct task *t = container_of(o, struct task, obj);

	signal_flush(&t->pending);
	arch_task_destroy(t);
	if (t->stack)
		kernel_stack_free(t->stack);
	if (t->context)
		object_put(&t->context->obj);
	if (t->pid)
		object_put(&t->pid->obj);
	if (t->group)
		object_put(&t->group->obj);
	grace_defer(&t->obj.grace, GRACE_SLAB_FREE, t);
}

/*
 * Dead tasks whose last switch is over. That moment has interrupts off, and freeing a stack may
 * wait for other CPUs: so the next clone, exit or wait of anybody frees them (task_bury).
 */
static struct spinlock dead_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ);
static struct list_node dead_tasks guarded_by(&dead_lock) = LIST_INIT(dead_tasks); /* by `all` */
static struct list_node reaped_tasks guarded_by(&dead_lock) =
	LIST_INIT(reaped_tasks); /* by `in_group` */

void task_finish_dead(struct task *t)
{
	word_t irq = spin_lock_irqsave(&dead_lock);

	list_add_tail(&dead_tasks, &t->all);
	spin_unlock_irqrestore(&dead_lock, irq);
}

/* A leader that is not listed any more. Called under task_list_lock: its end waits until that is
 * dropped. */
void task_reaped(struct task *t)
{
	word_t irq = spin_lock_irqsave(&dead_lock);

	list_add_tail(&reaped_tasks, &t->in_group);
	spin_unlock_irqrestore(&dead_lock, irq);
}

void task_bury(void)
{
	struct list_node mine = LIST_INIT(mine), reaped = LIST_INIT(reaped), *n;
	word_t irq = spin_lock_irqsave(&dead_lock);

	list_splice_tail(&mine, &dead_tasks);
	list_splice_tail(&reaped, &reaped_tasks);
	spin_unlock_irqrestore(&dead_lock, irq);
	while ((n = list_pop(&mine)))
		object_put(&list_entry(n, struct task, all)->obj);
	while ((n = list_pop(&reaped)))
		object_put(&list_entry(n, struct task, in_group)->obj);
}

struct signal_handlers *handlers_new(const struct signal_handlers *from, bool clear)
{
	struct signal_handlers *h = kmalloc(sizeof(*h));

	if (!h)
		return nullptr;
	*h = (struct signal_handlers){};
	refcount_set(&h->refs, 1);
	spin_init(&h->lock, LOCK_LEVEL_SIGNAL_ACTION);
	for (u32 i = 0; from && i < SIG_NR; i++) {
		h->action[i] = from->action[i];
		if (clear && h->action[i].handler != SIG_IGN)
			h->action[i] = (struct signal_action){};
	}
	return h;
}

void handlers_put(struct signal_handlers *h)
{
	if (h && refcount_dec_and_test(&h->refs))
		kfree(h);
}

static void group_setup(struct thread_group *g)
{
	object_init(&g->obj, OBJECT_THREAD_GROUP, LOCK_LEVEL_TASK, &account_root);
	list_init(&g->threads);
	list_init(&g->children);
	list_init(&g->sibling);
	list_init(&g->in_pgrp);
	list_init(&g->in_session);
	list_init(&g->all);
	list_init(&g->posix_timers);
	signal_pending_init(&g->pending);
	waitable_init(&g->child_event);
	waitable_init(&g->signal_event);
	waitable_init(&g->threads_event);
	timer_init(&g->real_timer, TIMER_ITIMER, g);
	g->dumpable = true;
	g->start_ns = time_monotonic_ns();
}

struct thread_group *group_alloc(void)
{
	struct thread_group *g = kzalloc(sizeof(*g));

	if (g)
		group_setup(g);
	return g;
}

void object_release_thread_group(struct object *o)
{
	struct thread_group *g = container_of(o, struct thread_group, obj);

	signal_flush(&g->pending);
	handlers_put(g->handlers);
	if (g->pid)
		object_put(&g->pid->obj);
	object_free(o);
}

/* Linux's defaults (getrlimit(2)): INIT_RLIMITS. */
static void rlimits_boot(struct thread_group *g)
{
	struct memory_stats m = {};
	u64 threads;

	mm_stats(&m);
	threads = m.total_pages / 8 / (KERNEL_STACK_BYTES / PAGE_BYTES);
	for (u32 i = 0; i < RLIMIT_NR; i++)
		g->rlimit[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	g->rlimit[RLIMIT_STACK].soft = 8 << 20;
	g->rlimit[RLIMIT_CORE].soft = 0;
	g->rlimit[RLIMIT_NPROC] = (struct rlimit){threads / 2, threads / 2};
	g->rlimit[RLIMIT_NOFILE] = (struct rlimit){1024, 4096};
	g->rlimit[RLIMIT_MEMLOCK] = (struct rlimit){8 << 20, 8 << 20};
	g->rlimit[RLIMIT_SIGPENDING] = (struct rlimit){threads / 2, threads / 2};
	g->rlimit[RLIMIT_MSGQUEUE] = (struct rlimit){819200, 819200};
	g->rlimit[RLIMIT_NICE] = (struct rlimit){0, 0};
	g->rlimit[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

/* Idle tasks belong to one group without a number. */
static void become_idle(struct task *t)
{
	t->kernel_thread = true;
	t->group = &boot_group;
	t->context = context_boot();
	object_get(&boot_group.obj);
	object_get(&t->context->obj);
	t->blocked = ~0ull;
	strlcpy(t->comm, "swapper", sizeof(t->comm));
}

struct task *task_boot(void)
{
	struct task *t = &boot_task;

	group_setup(&boot_group);
	refcount_set(&boot_handlers.refs, 1);
	spin_init(&boot_handlers.lock, LOCK_LEVEL_SIGNAL_ACTION);
	boot_group.handlers = &boot_handlers;
	rlimits_boot(&boot_group);
	task_setup(t);
	become_idle(t);
	t->state = TASK_RUNNABLE;
	return t;
}

struct task *task_create_idle(u32 cpu)
{
	struct task *t = task_alloc();

	if (!t)
		return nullptr;
	become_idle(t);
	snprintf(t->comm, sizeof(t->comm), "swapper/%u", cpu);
	return t;
}

void task_join_group(struct task *t, struct thread_group *g)
{
	word_t irq;

	object_get(&g->obj);
	t->group = g;
	irq = SIGNAL_IRQ_LOCK(g);
	list_add_tail(&g->threads, &t->in_group);
	g->nr_threads++;
	g->nr_live++;
	g->nr_staying++;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	task_nr_threads++;
}

/* A process of its own, parent of nobody, with context and limits of the boot group. */
static struct task *core_process(const char *name, s32 number)
{
	struct task *t = task_alloc();
	struct thread_group *g = group_alloc();
	struct pid *p;
	int error;

	if (!t || !g)
		goto fail;
	g->handlers = handlers_new(&boot_handlers, false);
	p = g->handlers ? pid_new(&pid_ns_boot, number, &error) : nullptr;
	if (!p) {
		handlers_put(g->handlers);
		goto fail;
	}
	memcpy(g->rlimit, boot_group.rlimit, sizeof(g->rlimit));
	t->context = context_boot();
	object_get(&t->context->obj);
	t->kernel_thread = true;
	strlcpy(t->comm, name, sizeof(t->comm));
	t->se.affinity = ~0ull;
	t->se.cpu = arch_this_cpu();
	t->se.view.weight = 1024;
	t->se.class = SCHED_CLASS_FAIR;
	t->user = user_count_of(KUID(0));
	if (t->user)
		atomic32_fetch_add(&t->user->nr_tasks, 1);
	object_get(&t->obj); /* listed, and running */
	g->leader = t;
	spin_lock(&task_list_lock);
	object_get(&p->obj);
	object_get(&p->obj);
	t->pid = g->pid = p;
	p->task = t;
	p->group = g;
	task_join_group(t, g);
	list_add_tail(&task_groups, &g->all);
	pid_attach_group(g, p, p);
	spin_unlock(&task_list_lock);
	return t;
fail:
	if (t) {
		kernel_stack_free(t->stack);
		arch_task_destroy(t);
	}
	kfree(t);
	kfree(g);
	return nullptr;
}

struct task *task_kernel_thread(void (*entry)(void *), void *arg, const char *name)
{
	struct task *t = core_process(name, 0);

	if (!t)
		return nullptr;
	t->blocked = ~0ull;
	arch_task_setup_kernel(t, entry, arg);
	task_wake_new(t);
	return t;
}

struct task *task_start_init(void (*entry)(void *), void *arg)
{
	struct task *t = core_process("init", 1);

	if (!t)
		return nullptr;
	t->files = files_create();
	if (!t->files)
		panic("no memory for the first program");
	t->group->is_init = true;
	t->group->exit_signal = SIGCHLD;
	pid_ns_boot.init = t->group;
	task_init = t;
	arch_task_setup_kernel(t, entry, arg);
	task_wake_new(t);
	return t;
}

/* The child's first moments: what CLONE_CHILD_SETTID promised is written in its own space. */
void task_child_start(void)
{
	struct task *t = current;

	if (!t->set_child_tid) {
		task_account_exit(t);
		return;
	}
	arch_irq_enable();
	{
		s32 number = task_pid_nr(t);

		if (ucopy_out(t->set_child_tid, &number, sizeof(number)))
			log_debug("clone: child id not written\n");
		t->set_child_tid = 0;
	}
	arch_irq_disable();
	task_account_exit(t);
}

/* Who waits in vfork for this task to leave its space. */
void vfork_complete(struct task *t)
{
	if (!t->vfork_parent_waits)
		return;
	WRITE_ONCE(t->vfork_parent_waits, false);
	waitable_wake(&t->vfork_done, EV_ANY, 0);
}

void task_usage(const struct task *t, struct rusage_counts *out)
{
	u64 known, now;

	for (u32 i = 0; i < sizeof(*out) / sizeof(u64); i++)
		((u64 *)out)[i] = READ_ONCE(((const u64 *)&t->usage)[i]);
	known = out->user_ns + out->system_ns;
	now = sched_task_runtime_ns((struct task *)t);
	if (now > known) /* what a running one has not been charged yet */
		out->user_ns += now - known;
}

void group_usage_add(struct rusage_counts *to, const struct rusage_counts *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
	to->minor_faults += from->minor_faults;
	to->major_faults += from->major_faults;
	to->switches_voluntary += from->switches_voluntary;
	to->switches_involuntary += from->switches_involuntary;
	to->in_blocks += from->in_blocks;
	to->out_blocks += from->out_blocks;
	to->read_calls += from->read_calls;
	to->write_calls += from->write_calls;
	to->read_bytes += from->read_bytes;
	to->write_bytes += from->write_bytes;
	to->max_rss_pages = MAX(to->max_rss_pages, from->max_rss_pages);
}

void group_usage(const struct thread_group *g, struct rusage_counts *self,
	struct rusage_counts *children)
{
	struct rusage_counts one;
	struct task *t;

	spin_lock(&task_list_lock);
	*self = g->dead_threads;
	*children = g->dead_children;
	list_for_each_entry (t, &g->threads, in_group) {
		const struct address_space *as = READ_ONCE(t->space);

		if (READ_ONCE(t->exiting) == TASK_EXITED) /* among dead_threads */
			continue;
		task_usage(t, &one);
		group_usage_add(self, &one);
		/* The struct stays for a grace period, and the lock keeps one from passing. */
		if (as)
			self->max_rss_pages = MAX(self->max_rss_pages, READ_ONCE(as->rss_peak));
	}
	spin_unlock(&task_list_lock);
}
