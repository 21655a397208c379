/* Serving the kinds of answer: NEED, WAIT, DO, MORE. Theory in entry.c. */
#include <core/block_cache.h>
#include <core/call.h>
#include <core/evolve.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/sched.h>
#include <core/task.h>
#include <core/call_priv.h>
#include <kabi/slots.h>

#define RUNS_WITHOUT_PROGRESS_MAX 64 /* calls.md "NEED" */
#define PINNED_PAGES_MAX          32

struct waitable call_slots_opened;

struct pinned_pages {
	u32 nr;
	struct frame *frame[PINNED_PAGES_MAX];
};

void call_unpin_pages(struct call *c)
{
	struct pinned_pages *p = c->pinned_pages;

	if (!p)
		return;
	for (u32 i = 0; i < p->nr; i++)
		frame_unpin(p->frame[i]);
	kfree(p);
	c->pinned_pages = nullptr;
}

static struct call_need *need_add(struct call *c)
{
	if (c->needs_stale) {
		c->nr_needs = 0;
		c->needs_stale = false;
	}
	c->dirty = true;
	return c->nr_needs < CALL_NEEDS_MAX ? &c->needs[c->nr_needs++]
					    : &c->needs[CALL_NEEDS_MAX - 1];
}

int call_need_error(const struct call *c, enum need_kind kind, const void *object, u64 index)
{
	if (c->needs_stale)
		for (u32 i = 0; i < c->nr_needs; i++)
			if (c->needs[i].error && c->needs[i].kind == kind &&
				c->needs[i].object == object && c->needs[i].index == index)
				return c->needs[i].error;
	return 0;
}

int call_violation(struct call *c, const char *what)
{
	const struct call_frame *f = call_frame(c);
	const char *slot = c->level ? slot_name(f->slot) : "personality";

#if UMKA_DEBUG
	panic("contract violation: %s: call %d level %u (%s, method %u)", what, (s32)c->nr,
		c->level, slot, f->method);
#endif
	log_err("contract violation: %s: call %d level %u (%s, method %u)\n", what, (s32)c->nr,
		c->level, slot, f->method);
	return -EIO;
}

#if UMKA_DEBUG
static bool page_held(const struct call *c, struct memory_object *o, u64 index)
{
	const struct pinned_pages *p = c->pinned_pages;
	struct frame *f = p ? memory_page_try(o, index) : nullptr;
	bool held = false;

	if (!f)
		return false;
	for (u32 i = 0; i < p->nr; i++)
		held |= p->frame[i] == f;
	frame_unpin(f);
	return held;
}
#endif

/* The order of exclusions goes on with the address space: whoever brings a user range may need it,
 * and whatever comes before it (calls.md "Exclusions"). */
static bool user_refused(const struct call *c)
{
	for (u32 i = 0; i < c->nr_holds; i++)
		if (c->holds[i].held && c->holds[i].class >= EXCL_SPACE)
			return true;
	return false;
}

static answer_t need(struct call *c, enum need_kind kind, void *object, u64 index, u64 nr)
{
	int error = call_need_error(c, kind, object, index);

	if (error) /* asked for again: its error is the answer */
		return error;
	if (unlikely(c->nr_holds) && (kind == NEED_USER_READ || kind == NEED_USER_WRITE) &&
		user_refused(c))
		return call_violation(c, "NEED of a user range under a late exclusion");
#if UMKA_DEBUG
	if (kind == NEED_PAGES && !c->injected_now && page_held(c, object, index))
		return call_violation(c, "NEED of what is held");
#endif
	*need_add(c) = (struct call_need){kind, object, index, nr, 0};
	return ANSWER_NEED;
}

answer_t call_need_user(struct call *c, struct uspan span, bool write)
{
	return need(c, write ? NEED_USER_WRITE : NEED_USER_READ, nullptr, span.addr, span.bytes);
}
answer_t call_need_pages(struct call *c, enum need_kind kind, void *memory_object, u64 index,
	u64 nr)
{
	return need(c, kind, memory_object, index, nr);
}
answer_t call_need_blocks(struct call *c, void *superblock, u64 block, u64 nr)
{
	return need(c, NEED_BLOCKS, superblock, block, nr);
}
answer_t call_need_memory(struct call *c, size_t bytes)
{
	return need(c, NEED_MEMORY, nullptr, 0, bytes);
}

static bool is_killed(const struct call *c)
{
	return c->flags & CALLF_KILLABLE_NEED && task_kill_pending(c->task);
}

u32 call_need_wait_flags(void)
{
	return current->call_now->flags & CALLF_KILLABLE_NEED ? WAITF_KILLABLE : 0;
}

/* calls.md "WAIT, signals, kill": one run more for a partial result, then the record is dropped. */
static answer_t end_killed(struct call *c)
{
	if (call_killed(c))
		return -EINTR;
	c->flags |= CALLF_KILLED;
	c->reason = CALL_INTERRUPTED;
	c->nr_needs = 0;
	c->needs_stale = true;
	return ANSWER_MORE;
}

static int serve_pages(struct call *c, const struct call_need *n)
{
	struct pinned_pages *p = c->pinned_pages;

	if (n->kind == NEED_PAGES_STABLE)
		return memory_object_wait_writeback(n->object, n->index, n->nr);
	if (!p) {
		p = c->pinned_pages = kzalloc(sizeof(*p));
		if (!p)
			return -ENOMEM;
	}
	for (u64 i = 0; i < n->nr; i++) {
		struct frame *f;
		int r = memory_page_get(n->object, n->index + i, n->kind == NEED_PAGES_WRITE, &f);

		if (r)
			return i ? 0 : r; /* the handler meets the error at that page itself */
		if (p->nr ==
			PINNED_PAGES_MAX) /* the newest matter: these are what it will touch next */
			frame_unpin(p->frame[--p->nr]);
		p->frame[p->nr++] = f;
	}
	return 0;
}

static int serve_need(struct call *c, const struct call_need *n)
{
	switch (n->kind) {
	case NEED_USER_READ:
	case NEED_USER_WRITE:
		if (!c->task->space)
			return -EFAULT;
		return space_populate(c->task->space, (vaddr_t)n->index, (size_t)n->nr,
			n->kind == NEED_USER_WRITE);
	case NEED_PAGES:
	case NEED_PAGES_WRITE:
	case NEED_PAGES_STABLE:
		return serve_pages(c, n);
	case NEED_BLOCKS:
		return block_cache_read(n->object, n->index, n->nr);
	case NEED_MEMORY:
		return mm_reclaim_for((size_t)n->nr);
	case NEED_EXCLUSIONS:
	case NEED_FRAME:
		break;
	}
	return -EIO;
}

static bool only_memory(const struct call *c)
{
	for (u32 i = 0; i < c->nr_needs; i++)
		if (c->needs[i].kind != NEED_MEMORY)
			return false;
	return !c->needs_stale && c->nr_needs;
}

static answer_t serve_needs(struct call *c)
{
	bool failed = false, wanted = false;

	if (++c->runs > RUNS_WITHOUT_PROGRESS_MAX) {
		log_err("call %d: %u runs without progress (need kind %u)\n", (s32)c->nr, c->runs,
			c->nr_needs ? c->needs[0].kind : 0);
		/* Others may have taken what was reclaimed for it, time and again: that is no
		 * memory. */
		return only_memory(c) ? -ENOMEM : -EIO;
	}
	if (c->needs_stale)
		c->nr_needs = 0;
	for (u32 i = 0; i < c->nr_holds; i++)
		wanted |= !c->holds[i].held;
	if (!c->nr_needs && !wanted)
		return call_violation(c, "NEED that names nothing");
	/* Memory before exclusions is the rule for memory; user ranges and pages may be had while
	 * inode classes are held. */
	for (u32 i = 0; i < c->nr_needs; i++) {
		c->needs[i].error = serve_need(c, &c->needs[i]);
		failed |= c->needs[i].error != 0;
	}
	if (wanted) {
		int r = call_take_holds(c);

		if (r)
			return r;
	}
	c->needs_stale = true;
	c->reason = failed ? CALL_NEED_FAILED : CALL_AGAIN;
	return ANSWER_MORE;
}

/* --- wait sets --- */
static int wait_add(struct call *c, struct waitable *w, u32 mask, u32 seq, u8 flags)
{
	struct wait_entry *e;

	c->dirty = true;
	if (c->nr_waits < CALL_WAITS_INLINE) {
		e = &c->waits_inline[c->nr_waits];
	} else {
		u32 i = c->nr_waits - CALL_WAITS_INLINE;

		if (i >= c->waits_more_cap) {
			u32 cap = MAX(16u, c->waits_more_cap * 2);
			struct wait_entry *more = kmalloc_array(cap, sizeof(*more));

			if (!more)
				return -ENOMEM;
			for (u32 k = 0; k < i; k++)
				more[k] = c->waits_more[k];
			kfree(c->waits_more);
			c->waits_more = more;
			c->waits_more_cap = cap;
		}
		e = &c->waits_more[i];
	}
	*e = (struct wait_entry){.on = w,
		.mask = mask,
		.fired = seq,
		.flags = flags,
		.action = WAKE_TASK,
		.target = c->task};
	c->nr_waits++;
	return 0;
}
int call_wait_add(struct call *c, struct waitable *w, u32 mask, u32 seq)
{
	return wait_add(c, w, mask, seq, 0);
}
int call_wait_add_exclusive(struct call *c, struct waitable *w, u32 mask, u32 seq)
{
	return wait_add(c, w, mask, seq, WAIT_EXCLUSIVE);
}
void call_wait_deadline(struct call *c, ktime_t monotonic_ns)
{
	if (!c->deadline_set) {
		c->deadline_ns = monotonic_ns;
		c->deadline_set = true;
		c->dirty = true;
	}
}
void call_wait_deadline_again(struct call *c, ktime_t monotonic_ns)
{
	c->deadline_ns = monotonic_ns;
	c->deadline_set = monotonic_ns != KTIME_MAX;
	c->dirty = true;
}
answer_t call_wait(struct call *c)
{
	return ANSWER_WAIT;
}
answer_t call_wait1(struct call *c, struct waitable *w, u32 mask, u32 seq)
{
	int r = wait_add(c, w, mask, seq, 0);

	return r ? r : ANSWER_WAIT;
}
answer_t call_do(struct call *c, enum call_do_op op, bool again)
{
	c->op = op;
	c->op_again = again;
	c->dirty = true;
	return ANSWER_DO;
}

static struct wait_entry *wait_entry_at(struct call *c, u32 i)
{
	return i < CALL_WAITS_INLINE ? &c->waits_inline[i] : &c->waits_more[i - CALL_WAITS_INLINE];
}

static bool any_fired(struct call *c)
{
	for (u32 i = 0; i < c->nr_waits; i++)
		if (READ_ONCE(wait_entry_at(c, i)->fired))
			return true;
	return false;
}

/* Sleeps until an armed entry fires, the deadline passes or a signal comes. */
static enum call_reason wait_armed(struct call *c)
{
	struct timer timer;
	enum call_reason reason;

	if (c->deadline_ns != KTIME_MAX) {
		timer_init(&timer, TIMER_WAKE_TASK, c->task);
		timer_start(&timer, c->deadline_ns);
	}
	for (;;) {
		task_set_state(c->flags & CALLF_UNINTERRUPTIBLE ? TASK_SLEEPING_KILLABLE
								: TASK_SLEEPING);
		reason = CALL_READY;
		if (any_fired(c))
			break;
		reason = CALL_INTERRUPTED;
		if (c->flags & CALLF_UNINTERRUPTIBLE ? task_kill_pending(c->task)
						     : task_signal_pending(c->task))
			break;
		reason = CALL_EXPIRED;
		if (c->deadline_ns != KTIME_MAX && time_monotonic_ns() >= c->deadline_ns)
			break;
		schedule();
	}
	task_set_state(TASK_RUNNABLE);
	if (c->deadline_ns != KTIME_MAX)
		timer_cancel(&timer);
	return reason;
}

static enum call_reason wait_set(struct call *c)
{
	enum call_reason reason = CALL_READY;
	u32 armed;

	for (armed = 0; armed < c->nr_waits; armed++) {
		struct wait_entry *e = wait_entry_at(c, armed);
		u32 seq = e->fired; /* where wait_add kept it */

		if (!wait_entry_arm(e, e->on, e->mask, seq)) {
			e->on = nullptr;
			break;
		}
	}
	if (armed == c->nr_waits)
		reason = wait_armed(c);
	for (u32 i = 0; i < armed; i++) {
		struct wait_entry *e = wait_entry_at(c, i);
		struct waitable *w = e->on;
		/* Asked under the lock: a wake that comes just before it must not be lost. */
		bool was_armed = wait_entry_disarm(e);

		if (!was_armed && e->flags & WAIT_EXCLUSIVE && e->fired) {
			if (reason == CALL_INTERRUPTED)
				waitable_wake(w, e->mask, 1);
			else
				c->exclusive_fired = w;
		}
	}
	c->nr_waits = 0;
	return reason;
}

static answer_t serve_wait(struct call *c)
{
	enum call_reason before = c->reason;

	call_release_holds(c, 0); /* calls.md: any WAIT but WAIT(slot) gives all back */
	call_unpin_pages(c);
	if (c->flags & CALLF_SIGMASK && !c->sigmask_applied) {
		signal_mask_temporary(c->sigmask);
		c->sigmask_applied = true;
	}
	if (before == CALL_INTERRUPTED && !(c->flags & CALLF_UNINTERRUPTIBLE) &&
		task_signal_pending(c->task)) {
		(void)call_violation(c, "WAIT after it was interrupted");
		return -EINTR;
	}
	c->reason = wait_set(c);
	if (c->reason == CALL_INTERRUPTED && c->flags & CALLF_UNINTERRUPTIBLE)
		return -EINTR; /* killed: the record is dropped */
	if (c->wait_has_result && c->reason != CALL_INTERRUPTED) {
		c->wait_has_result = false;
		return c->reason == CALL_READY ? c->wait_result : -ETIMEDOUT;
	}
	c->wait_has_result = false;
	c->runs = 0;
	c->needs_stale = true;
	c->nr_needs = 0;
	return ANSWER_MORE;
}

int call_wait_open(const struct slot *slot, ktime_t until_ns, u32 wait_flags)
{
	for (;;) {
		u32 seq = waitable_seq(&call_slots_opened);
		int r;

		if (!slot_is_parked(slot))
			return 0;
		r = wait_sleep(&call_slots_opened, EV_ANY, seq, until_ns, wait_flags);
		if (r)
			return r;
	}
}

static atomic32_t slot_waits;

u32 call_slot_waits(void)
{
	return atomic32_load(&slot_waits);
}

static answer_t serve_wait_slot(struct call *c)
{
	/* What core does for nobody in particular (an open file's end) is done, whoever is killed.
	 */
	bool own = (c->flags & (CALLF_KERNEL | CALLF_UNINTERRUPTIBLE)) ==
		   (CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	/* Once: the run that was told so may stand before the parked slot again. */
	ktime_t until = c->deadline_set && c->reason != CALL_EXPIRED ? c->deadline_ns : KTIME_MAX;
	const struct slot *slot;
	int r;

	if (!c->waiting_on)
		c->waiting_on = SLOT(PERSONALITY_LINUX);
	slot = c->waiting_on;
	if (slot_stamp(slot->id) == 0)
		return -ENOSYS; /* no module for it was ever there: as on a kernel built without */
	atomic32_fetch_add(&slot_waits, 1);
	r = call_wait_open(slot, until, own ? 0 : WAITF_KILLABLE);
	c->waiting_on = nullptr;
	if (r == -ETIMEDOUT)
		c->reason = CALL_EXPIRED;
	else if (r)
		return r; /* killed: the record is dropped */
	/* Any other reason was told to nobody yet: the run that was to hear it met the slot. */
	if (c->reason == CALL_FIRST)
		c->reason = CALL_AGAIN;
	return ANSWER_MORE;
}

answer_t call_serve(struct call *c, answer_t a)
{
	c->level = 0;
	c->dirty = true;
	call_pin_all(c);
	c->injected_now = false;
#if UMKA_DEBUG
	call_check_effects(c, a);
#endif
	if (unlikely(is_killed(c)) && (a == ANSWER_NEED || a == ANSWER_MORE))
		return end_killed(c);
	switch (a) {
	case ANSWER_NEED:
		return serve_needs(c);
	case ANSWER_WAIT:
		return serve_wait(c);
	case ANSWER_WAIT_SLOT:
		return serve_wait_slot(c);
	case ANSWER_DO:
		return call_perform(c);
	case ANSWER_MORE:
		call_unpin_pages(c);
		c->runs = 0;
		c->nr_needs = 0;
		c->reason = CALL_AGAIN;
		cond_resched();
		return ANSWER_MORE;
	default:
		log_err("call %d: answer %ld is of no kind that core serves\n", (s32)c->nr,
			(long)a);
		return -EIO;
	}
}
