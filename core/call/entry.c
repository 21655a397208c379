/*
 * Calls: entry and the life of a record. (Theory of core/call; files: entry.c, frame.c, hold.c,
 * serve.c, copy.c, deferred.c, describe.c, do.c.)
 *
 * Purpose: run handlers of replaceable code as restartable transactions (docs: architecture section
 * 2, calls.md).
 *
 * Vocabulary: record (struct call), frame (a level's progress), answer, kind, hold (exclusion of a
 * frame), pin.
 *
 * Objects and lifetimes: the record of a task's system call is embedded in the task; core's own
 * calls have theirs on the core stack, linked by `outer`. Between calls a record is clean: all
 * counters 0, no pin, no hold, no armed entry.
 *
 * Invariants:
 *   CALL-I1 a clean record needs no reset at entry but arguments, number and context;
 *   CALL-I2 whatever a run leaves behind sets `dirty`, and call_finish gives it back exactly once;
 *   CALL-I3 before a record waits, everything it resolved is pinned by reference;
 *   CALL-I4 no module frame is on the stack while the task sleeps (debug: task->in_module is 0 in
 * schedule()); CALL-I5 an answer of a kind loses no effect: a frame that changed something answers
 * DONE, or recorded it (debug); CALL-I6 an error loses none either: what was changed is undone, or
 * the error is how a program learns of it (debug).
 *
 * Locks: none of its own. Failure and recovery: a violation by a handler (65 runs without progress)
 * ends its call with EIO and a log line.
 *
 * Replacement: waiting records hang on their slot (core/evolve migrates them); nothing else refers
 * to module text.
 *
 * Cost: a short call stores nine words and makes one indirect call.
 */
#include <core/call.h>
#include <core/log.h>
#include <core/node.h>
#include <core/task.h>
#include <arch/trap.h>
#include <lib/errno.h>
#include <kabi/personality.h>
#include <kabi/slots.h>

static inline void module_enter(void)
{
#if UMKA_DEBUG
	current->in_module++;
#endif
}
static inline void module_leave(void)
{
#if UMKA_DEBUG
	current->in_module--;
#endif
}

static __always_inline answer_t run_syscall(struct call *c)
{
	answer_t a;

	module_enter();
	a = personality_syscall(SLOT(PERSONALITY_LINUX), c->nr, c);
	module_leave();
	return a;
}

/* The loop of a system call whose first answer was a kind. */
static __noinline answer_t entry_slow(struct call *c, answer_t a)
{
	do {
		a = call_serve(c, a);
		if (a != ANSWER_MORE)
			break;
		a = run_syscall(c);
	} while (answer_is_kind(a));
	return a;
}

void call_entry(struct arch_regs *regs)
{
	struct task *t = current;
	struct call *c = &t->call;
	answer_t a;

#if UMKA_DEBUG
	/* CALL-I1; of holds: stops, freezing and throttling act on the way here, when none is held.
	 */
	BUG_ON(c->level | c->nr_needs | c->nr_holds | c->nr_waits | c->undo);
#endif
	task_account_entry(t);
	for (u32 i = 0; i < 6; i++)
		c->args[i] = arch_syscall_arg(regs, i);
	c->nr = (u32)arch_syscall_nr(regs);
	c->ctx = t->context;
	a = run_syscall(c);
	if (unlikely(answer_is_kind(a)))
		a = entry_slow(c, a);
	if (unlikely(c->dirty)) {
		bool regs_set = c->flags & CALLF_REGS_SET;

		call_finish(c, a);
		if (regs_set) {
			task_account_exit(t);
			return;
		}
		/* The way out decides about the restart, also when the signal has been taken by
		 * another thread meanwhile. */
		if (a <= -ERESTARTSYS && a >= -ERESTART_RESTARTBLOCK)
			task_work_set(t, TASK_WORK_SIGNAL);
	}
	c->nr_pins = 0;
	c->inline_paths = 0;
	arch_syscall_set_return(regs, (word_t)a);
	task_account_exit(t);
}

void call_begin(struct call *c, u32 flags)
{
	struct task *t = current;
	u32 depth = 0;

	*c = (struct call){.task = t, .nr = ~0u, .flags = flags, .deadline_ns = KTIME_MAX};
	list_init(&c->waiting);
	c->ctx = t->context;
	c->outer = t->call_now;
	t->call_now = c;
#if UMKA_DEBUG
	c->outer_in_module = t->in_module;
	t->in_module = 0;
#endif
	for (struct call *o = c->outer; o; o = o->outer)
		depth++;
	BUG_ON(depth > 12); /* calls.md: at most 8 deep for what replaceable code causes; core's own
			       callers add a few */
}

void call_end(struct call *c)
{
	if (c->dirty)
		call_finish(c, 0);
	c->nr_pins = 0;
	c->inline_paths = 0;
	current->call_now = c->outer;
#if UMKA_DEBUG
	current->in_module = c->outer_in_module;
#endif
}

/* The record of a new task. */
void call_init_task(struct task *t)
{
	t->call = (struct call){.task = t, .nr = ~0u, .deadline_ns = KTIME_MAX};
	list_init(&t->call.waiting);
	t->call_now = &t->call;
}
