/* Frames, pins and what a record gives back at its end. Theory in entry.c. */
#include <core/call.h>
#include <core/file_lock.h>
#include <core/fs_call.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/task.h>
#include <core/call_priv.h>
#include <lib/string.h>

void *call_progress_begin(struct call *c)
{
	struct call_frame *f = call_frame(c);

	memset(f->progress, 0, sizeof(f->progress));
	f->live = 1;
	f->phase = 0;
	f->nested_valid = false;
	c->dirty = true;
	return f->progress;
}

static void frame_end(struct call *c, struct call_frame *f)
{
	f->live = 0;
	f->effect = CALL_EFFECT_NONE;
	f->recorded = false;
	f->nested_valid = false;
	if (f->ref) {
		object_put(f->ref);
		f->ref = nullptr;
	}
	if (c->nr_holds)
		call_release_holds(c, c->level);
}

struct call_frame *call_enter(struct call *c, const struct slot *slot, u16 method, u64 object_id)
{
	struct call_frame *f;

	if (unlikely(c->level + 1 >= CALL_LEVELS_MAX))
		panic("call record: more than %u levels (method %u)", CALL_LEVELS_MAX, method);
	c->level++;
	f = call_frame(c);
	if (unlikely(f->live | c->nr_holds) &&
		(f->slot != slot || f->method != method || f->object_id != object_id))
		frame_end(c, f);
	f->slot = slot;
	f->method = method;
	f->object_id = object_id;
#if UMKA_DEBUG
	current->in_module++;
#endif
	return f;
}

#if UMKA_DEBUG
/* CALL-I6. An error says that nothing was done, a restart (calls.md: refused while a frame shows an
 * effect) does it again. */
static void check_error(const struct call *c, const struct call_frame *f, answer_t a)
{
	bool restarts = a <= -ERESTARTSYS && a >= -ERESTART_RESTARTBLOCK;

	if (unlikely(answer_is_error(a) &&
		     (f->recorded || f->effect > (restarts ? CALL_EFFECT_NONE : CALL_EFFECT_TOLD))))
		panic("effect lost: call %d level %u method %u answers error %d after it",
			(s32)c->nr, (u32)(f - c->frames), f->method, (int)-a);
}
#endif

answer_t call_leave(struct call *c, answer_t a)
{
	struct call_frame *f = call_frame(c);

#if UMKA_DEBUG
	current->in_module--;
#endif
	if (unlikely(a == ANSWER_WAIT_SLOT && !c->waiting_on))
		c->waiting_on = f->slot;
	if (likely(!answer_is_kind(a))) {
#if UMKA_DEBUG
		check_error(c, f, a);
		/* What it changed is the caller's to record from now on, should that answer a kind,
		 * and to undo, should that answer an error. */
		f[-1].effect = MAX(f[-1].effect, f->recorded ? CALL_EFFECT_MADE : f->effect);
#endif
		if (unlikely(f->live | c->nr_holds | f->effect))
			frame_end(c, f);
	}
	c->level--;
	return a;
}

#if UMKA_DEBUG
void call_check_may_sleep(void)
{
	const struct task *t = current;
	const struct call *c = t ? t->call_now : nullptr; /* none yet early at boot */

	if (c && unlikely(t->in_component) && !this_cpu()->irq_depth)
		panic("sleep with a module frame on the stack: a component's");
	if (c && unlikely(t->in_module) && !this_cpu()->irq_depth)
		panic("sleep with a module frame on the stack: call %d level %u method %u, %u "
		      "frames deep",
			(s32)c->nr, c->level, c->frames[c->level].method, t->in_module);
}

static atomic32_t effects_seen;

u32 call_effects_seen(void)
{
	return atomic32_load(&effects_seen);
}

void call_effect(struct call *c)
{
	atomic32_fetch_add(&effects_seen, 1);
	call_frame(c)->effect = CALL_EFFECT_MADE;
	c->dirty = true;
}
void call_effect_told(struct call *c)
{
	struct call_frame *f = call_frame(c);

	atomic32_fetch_add(&effects_seen, 1);
	f->effect = MAX(f->effect, CALL_EFFECT_TOLD);
	c->dirty = true;
}
void call_effect_recorded(struct call *c)
{
	struct call_frame *f = call_frame(c);

	if (f->effect == CALL_EFFECT_NONE)
		return;
	f->recorded |= f->effect == CALL_EFFECT_MADE;
	f->effect = CALL_EFFECT_NONE;
	c->held_effect = c->nr_holds;
}
void call_effect_undone(struct call *c)
{
	call_frame(c)->effect = CALL_EFFECT_NONE;
}
void call_effect_all_told(struct call *c)
{
	struct call_frame *f = call_frame(c);

	f->effect = MAX(f->effect, CALL_EFFECT_TOLD);
	f->recorded = false;
}
void call_effect_here(void)
{
	if (current->in_module && !this_cpu()->irq_depth)
		call_effect(current->call_now);
}
/* CALL-I5: every frame that answered a kind has recorded what it changed. */
void call_check_effects(struct call *c, answer_t a)
{
	if (a == ANSWER_DO && !c->op_again) {
		/* The operation ends the call: no run will miss it, and its error is its own. */
		for (u32 i = 0; i < CALL_LEVELS_MAX; i++) {
			c->frames[i].effect = CALL_EFFECT_NONE;
			c->frames[i].recorded = false;
		}
		return;
	}
	for (u32 i = 0; i < CALL_LEVELS_MAX; i++)
		if (c->frames[i].effect)
			panic("effect lost: call %d level %u method %u answered kind %d",
				(s32)c->nr, i, c->frames[i].method, (int)(a - ANSWER_NEED));
}
#endif

answer_t call_pin_object(struct call *c, struct object *o)
{
	for (u32 i = 0; i < c->nr_pins; i++)
		if (c->pins[i].object == o && c->pins[i].owned)
			return 0;
	if (unlikely(call_rerun_inject(c, (word_t)o)))
		return call_need_memory(c, 1);
	if (c->nr_pins == CALL_PINS_MAX)
		return -ENOMEM;
	object_get(o);
	c->pins[c->nr_pins++] = (struct call_pin){o, CALL_PIN_OBJECT, true};
	c->dirty = true;
	return 0;
}

/* In any table, beside any pins. */
static struct file *find_file(struct call *c, u32 fd)
{
	struct files *files = c->task->files;
	struct file *file;
	bool shared;

	for (u32 i = 0; i < c->nr_pins; i++)
		if (c->pins[i].key == fd)
			return container_of(c->pins[i].object, struct file, obj);
	shared = !refcount_is_one(&files->obj.refs);
	file = shared ? files_get(files, fd) : files_peek(files, fd);
	if (!file)
		return nullptr;
	if (unlikely(c->nr_pins == CALL_PINS_MAX)) {
		if (shared)
			file_put(file);
		return nullptr;
	}
	c->pins[c->nr_pins++] = (struct call_pin){&file->obj, fd, shared};
	if (shared)
		c->dirty = true;
	return file;
}

/* The common lookup: the first of its call, in a table of the task's own. */
static __always_inline struct file *find_first(struct call *c, u32 fd)
{
	struct files *files = c->task->files;
	struct file *file;

	if (unlikely(c->nr_pins) || unlikely(files_shared(files)))
		return nullptr;
	file = files_peek(files, fd);
	if (likely(file)) {
		c->pins[0] = (struct call_pin){&file->obj, fd, false};
		c->nr_pins = 1;
	}
	return file;
}

struct file *call_file(struct call *c, u32 fd)
{
	struct file *file = find_first(c, fd);

	return likely(file) ? file : find_file(c, fd);
}

static __noinline struct file *find_checked(struct call *c, u32 fd, u32 rights)
{
	struct file *file = find_file(c, fd);
	answer_t a = file ? file_check(file, rights) : -EBADF;

	return a ? (struct file *)a : file;
}

struct file *call_file_for(struct call *c, u32 fd, u32 rights)
{
	struct file *file = find_first(c, fd);

	if (likely(file) && likely((file->cap.rights & rights) == rights) &&
		likely(cap_token_fresh(&file->cap)))
		return file;
	return find_checked(c, fd, rights);
}

/* CALL-I3: before anything may change under a record that waits. */
void call_pin_all(struct call *c)
{
	for (u32 i = 0; i < c->nr_pins; i++)
		if (!c->pins[i].owned) {
			object_get(c->pins[i].object);
			c->pins[i].owned = true;
		}
	if (!c->ctx_pinned) {
		object_get((struct object *)&c->ctx->obj);
		c->ctx_pinned = true;
	}
	c->dirty = true;
}

answer_t call_install(struct call *c, struct file *file, u32 flags)
{
	sword_t fd = files_install(c->task->files, file, 0, flags & O_CLOEXEC,
		task_rlimit(c->task, RLIMIT_NOFILE));

	return fd;
}

answer_t call_number_take(struct call *c)
{
	return files_number_take(c->task->files, task_rlimit(c->task, RLIMIT_NOFILE));
}

void call_number_use(struct call *c, u32 fd, struct file *file, u32 flags)
{
	files_number_use(c->task->files, fd, file, flags & O_CLOEXEC);
}

void call_number_return(struct call *c, u32 fd)
{
	files_number_return(c->task->files, fd);
}

static void end_frames(struct call *c)
{
	for (u32 i = 0; i < CALL_LEVELS_MAX; i++) {
		c->frames[i].live = 0;
		if (c->frames[i].ref) {
			object_put(c->frames[i].ref);
			c->frames[i].ref = nullptr;
		}
	}
	c->level = 0;
}

static void put_pins(struct call *c)
{
	for (u32 i = 0; i < c->nr_pins; i++) {
		if (!c->pins[i].owned)
			continue;
		if (c->pins[i].key != CALL_PIN_OBJECT)
			file_put(container_of(c->pins[i].object, struct file, obj));
		else
			object_put(c->pins[i].object);
	}
	c->nr_pins = 0;
	call_unpin_pages(c);
	if (c->ctx_pinned) {
		object_put((struct object *)&c->ctx->obj);
		c->ctx_pinned = false;
	}
}

/* Paths, what handlers asked for, and the longer wait set. */
static void put_memory(struct call *c)
{
	c->inline_paths = 0;
	for (u32 i = 0; i < ARRAY_SIZE(c->paths); i++) {
		kfree(c->paths[i]);
		c->paths[i] = nullptr;
	}
	if (c->memory)
		call_memory_free(c);
	if (c->described) {
		text_free(c->described);
		kfree(c->described);
		c->described = nullptr;
	}
	kfree(c->waits_more);
	c->waits_more = nullptr;
	c->waits_more_cap = 0;
}

void call_undo_set(struct call *c, enum call_undo undo, const void *what)
{
	BUG_ON(c->undo != CALL_UNDO_NONE && (c->undo != undo || c->undo_what != what));
	c->undo = undo;
	c->undo_what = what;
	c->dirty = true;
}

void call_undo_run(struct call *c)
{
	switch (c->undo) {
	case CALL_UNDO_NONE:
		return;
	case CALL_UNDO_LOCK_WAIT:
		lock_wait_done(c->undo_what);
		break;
	}
	c->undo = CALL_UNDO_NONE;
}

void call_finish(struct call *c, answer_t a)
{
#if UMKA_DEBUG
	if (!answer_is_kind(a)) {
		check_error(c, &c->frames[0], a);
		for (u32 i = 0; i < CALL_LEVELS_MAX; i++) {
			c->frames[i].effect = CALL_EFFECT_NONE;
			c->frames[i].recorded = false;
		}
	}
#endif
	c->dirty = false;
	if (unlikely(c->exclusive_fired)) {
		if (answer_is_error(a))
			waitable_wake(c->exclusive_fired, EV_ANY, 1);
		c->exclusive_fired = nullptr;
	}
	if (unlikely(c->undo))
		call_undo_run(c);
	end_frames(c);
	if (c->nr_holds)
		call_release_holds(c, 0);
	put_pins(c);
	put_memory(c);
	c->nr_waits = 0;
	c->nr_needs = 0;
	c->needs_stale = false;
	c->reason = CALL_FIRST;
	c->runs = 0;
	c->nr_fs_stale = 0;
	c->flags &= CALLF_KERNEL;
	c->deadline_ns = KTIME_MAX;
	c->deadline_set = false;
	c->wait_has_result = false;
	c->sigmask_applied = false;
	c->op_done = false;
	c->held_effect = false;
	c->injected_now = false;
	c->waiting_on = nullptr;
	c->injected = 0;
	c->uio_stopped = c->uio_reached = 0;
}
