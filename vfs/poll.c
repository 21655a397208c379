/*
 * poll(2), select(2): one pass that only looks; when nothing is ready, a second one that asks for
 * what to wait before it looks again, so that the wait set is complete when nothing was found. The
 * deadline and mask are the record's.
 */
#include <core/task.h>
#include "vfs_priv.h"

/* This module's own node types without a call through the slot; the others' through it. Never a
 * kind: polls only look. */
answer_t vfs_poll_file(struct call *c, struct file *f, struct poll_ask *ask)
{
	const struct node_vtable *vtable;

	if (unlikely(!cap_token_stands(&f->cap)) && f->type != NODE_TTY)
		return EV_ERR | EV_HUP;
	switch (f->type) {
	case NODE_PIPE:
		return pipe_node_poll(c, f, ask);
	case NODE_FILE:
	case NODE_DIR:
		return EV_IN | EV_OUT | EV_RDNORM | EV_WRNORM;
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
		return event_node_poll(c, f, ask);
	case NODE_EPOLL:
		return epoll_node_poll(c, f, ask);
	case NODE_CHAR:
		return char_node_poll(c, f, ask);
	case NODE_VIEW:
		return view_node_poll(c, f, ask);
	case NODE_PATH:
		return EV_NVAL;
	case NODE_SOCKET:
	case NODE_TTY:
	case NODE_BLOCK:
	case NODE_NR:
		break;
	}
	vtable = slot_vtable(f->slot);
	if (!vtable->poll)
		return EV_IN | EV_OUT | EV_RDNORM | EV_WRNORM;
	if (!call_enter(c, f->slot, 4, f->obj.id))
		return EV_ERR;
	return call_leave(c, vtable->poll(c, f, ask));
}

static answer_t add_waits(struct call *c, const struct poll_ask *ask, u32 events)
{
	for (u32 i = 0; i < ask->nr; i++) {
		u32 mask = ask->on[i].mask & (events | EV_ERR | EV_HUP | EV_NVAL);

		if (mask && call_wait_add(c, ask->on[i].w, mask, ask->on[i].seq))
			return call_need_memory(c, 64 * sizeof(struct wait_entry));
	}
	return 0;
}

struct pollfd {
	s32 fd;
	s16 events, revents;
};
#define POLL_CHUNK 64u /* descriptors copied at a time */

/*
 * The table of one pass. Descriptors are not pinned for the call (there may be thousands; a rerun
 * looks at the table again, as Linux does). In a table of its own nobody can close what the caller
 * looks at or waits for; in a shared one each look takes a reference.
 */
struct table {
	struct files *files;
	bool shared;
};
static inline struct table table_of(struct call *c)
{
	struct files *files = call_files(c);

	return (struct table){files, files_shared(files)};
}

static __noinline answer_t wait_one(struct call *c, const struct table *t, struct file *f,
	u32 asked)
{
	struct poll_ask ask = {.want_wait = true};
	answer_t a = vfs_poll_file(c, f, &ask);

	if (answer_is_error(a) || (u32)a & (asked | EV_ERR | EV_HUP))
		return a;
	if (add_waits(c, &ask, asked) || (t->shared && ask.nr && call_keep_file(c, f)))
		return call_need_memory(c, 64 * sizeof(struct wait_entry));
	return 0;
}

/* revents of one; with want_wait it joins the wait set when it is not ready. 1: ready. */
static inline answer_t poll_one(struct call *c, const struct table *t, struct pollfd *p,
	bool want_wait)
{
	u32 asked = (u16)p->events;
	struct file *f;
	answer_t a;
	u32 found;

	p->revents = 0;
	if (unlikely(p->fd < 0))
		return 0;
	f = t->shared ? files_get(t->files, (u32)p->fd) : files_peek(t->files, (u32)p->fd);
	if (unlikely(!f)) {
		p->revents = EV_NVAL;
		return 1;
	}
	a = want_wait ? wait_one(c, t, f, asked)
	    : likely(f->type == NODE_PIPE && cap_token_stands(&f->cap))
		    ? pipe_node_poll(c, f, nullptr)
		    : vfs_poll_file(c, f, nullptr);
	if (t->shared)
		file_put(f);
	if (unlikely(answer_is_error(a))) /* the slot is parked, or no memory for a wait set */
		return a;
	found = (u32)a & (asked | EV_ERR | EV_HUP | EV_NVAL);
	p->revents = (s16)found;
	return found != 0;
}

static bool may_wait(struct call *c)
{
	if (call_expired(c) || call_interrupted(c))
		return false;
	return !c->deadline_set || c->deadline_ns > 0;
}

/* One pass over the user's array. The number of ready ones, or an error or kind. */
static answer_t poll_pass(struct call *c, u64 fds, u32 nr, bool want_wait)
{
	struct table t = table_of(c);
	struct pollfd chunk[POLL_CHUNK];
	answer_t ready = 0;

	for (u32 at = 0; at < nr;) {
		u32 k = MIN(nr - at, POLL_CHUNK);
		vaddr_t user = (vaddr_t)fds + (vaddr_t)at * sizeof(struct pollfd);
		answer_t a = call_copy_in(c, chunk, user, k * sizeof(chunk[0]));

		if (unlikely(a))
			return a;
		for (u32 i = 0; i < k; i++) {
			answer_t r = poll_one(c, &t, &chunk[i], want_wait && !ready);

			if (unlikely(r < 0))
				return r;
			ready += r;
		}
		a = call_copy_out(c, user, chunk, k * sizeof(chunk[0]));
		if (unlikely(a))
			return a;
		at += k;
	}
	return ready;
}

answer_t vfs_poll(struct call *c, u64 fds, u32 nr)
{
	answer_t ready;

	if (nr > call_rlimit(c, RLIMIT_NOFILE))
		return -EINVAL;
	call_clear_files(c);
	ready = poll_pass(c, fds, nr, false);
	if (ready || !may_wait(c))
		return ready ? ready : call_interrupted(c) ? -ERESTARTNOHAND : 0;
	c->nr_waits = 0;
	ready = poll_pass(c, fds, nr, true);
	if (!ready)
		return call_wait(c);
	c->nr_waits = 0;
	return ready;
}

/* --- select --- */
#define SELECT_IN    (EV_RDNORM | EV_RDBAND | EV_IN | EV_HUP | EV_ERR)
#define SELECT_OUT   (EV_WRBAND | EV_WRNORM | EV_OUT | EV_ERR)
#define SELECT_EX    EV_PRI
#define SELECT_WORDS 16u /* 1024 descriptors in 64-bit steps; larger sets take memory */

struct select_sets {
	u32 words;
	u64 *in[3], *out[3];
	u64 inline_words[6 * SELECT_WORDS];
};

/* A set is an array of machine words of the user: bytes are what is copied, so both word sizes and
 * orders work where long is as ours. */
static answer_t sets_in(struct call *c, struct select_sets *s, u32 nr, const u64 user[3],
	u64 **heap)
{
	size_t bytes;

	s->words = DIV_ROUND_UP(nr, 64u);
	bytes = ALIGN_UP(DIV_ROUND_UP((size_t)nr, (size_t)8), sizeof(word_t));
	*heap = s->words > SELECT_WORDS ? kzalloc((size_t)s->words * 48) : s->inline_words;
	if (!*heap)
		return call_need_memory(c, (size_t)s->words * 48);
	for (u32 i = 0; i < 3; i++) {
		s->in[i] = *heap + (size_t)i * s->words;
		s->out[i] = *heap + (size_t)(i + 3) * s->words;
		if (user[i]) {
			answer_t a = call_copy_in(c, s->in[i], (vaddr_t)user[i], bytes);

			if (a)
				return a;
		}
	}
	return 0;
}

static answer_t select_one(struct call *c, const struct table *t, struct select_sets *s, u32 fd,
	bool want_wait)
{
	u32 word = fd / 64, shift = fd % 64;
	struct pollfd p = {.fd = (s32)fd};
	u32 groups[3] = {SELECT_IN, SELECT_OUT, SELECT_EX}, asked = 0;
	answer_t a, nr = 0;

	for (u32 i = 0; i < 3; i++)
		if (s->in[i][word] >> shift & 1)
			asked |= groups[i];
	if (!asked)
		return 0;
	p.events = (s16)(asked & ~(EV_ERR | EV_HUP));
	a = poll_one(c, t, &p, want_wait);
	if (a < 0)
		return a;
	if (p.revents & EV_NVAL)
		return -EBADF;
	for (u32 i = 0; i < 3; i++)
		if (s->in[i][word] >> shift & 1 && (u16)p.revents & groups[i]) {
			s->out[i][word] |= 1ull << shift;
			nr++;
		}
	return nr;
}

static answer_t select_pass(struct call *c, struct select_sets *s, u32 nr, bool want_wait)
{
	struct table t = table_of(c);
	answer_t ready = 0;

	for (u32 fd = 0; fd < nr; fd++) {
		answer_t r;

		/* Whole empty words go by at once. */
		if (!(fd & 63) && !(s->in[0][fd / 64] | s->in[1][fd / 64] | s->in[2][fd / 64])) {
			fd += 63;
			continue;
		}
		r = select_one(c, &t, s, fd, want_wait && !ready);
		if (r < 0)
			return r;
		ready += r;
	}
	return ready;
}

answer_t vfs_select(struct call *c, u32 nr, u64 read, u64 write, u64 except)
{
	const u64 user[3] = {read, write, except};
	struct select_sets s = {};
	u64 *heap = nullptr;
	answer_t a, ready = 0;
	size_t bytes;

	if ((s32)nr < 0)
		return -EINVAL;
	nr = (u32)MIN((u64)nr, (u64)READ_ONCE(call_files(c)->capacity));
	call_clear_files(c);
	a = sets_in(c, &s, nr, user, &heap);
	if (!a)
		ready = select_pass(c, &s, nr, false);
	if (!a && !ready && may_wait(c)) {
		c->nr_waits = 0;
		ready = select_pass(c, &s, nr, true);
		if (!ready) {
			a = call_wait(c);
			goto out;
		}
		c->nr_waits = 0;
	}
	if (!a && ready < 0)
		a = ready;
	if (!a && !ready && call_interrupted(c))
		a = -ERESTARTNOHAND;
	bytes = ALIGN_UP(DIV_ROUND_UP((size_t)nr, (size_t)8), sizeof(word_t));
	for (u32 i = 0; !a && i < 3; i++)
		if (user[i])
			a = call_copy_out(c, (vaddr_t)user[i], s.out[i], bytes);
	if (!a)
		a = ready;
out:
	if (heap != s.inline_words)
		kfree(heap);
	return a;
}
