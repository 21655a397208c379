/*
 * poll(2), select(2): one pass over the descriptors; when none is ready, the wait set of all of them. The deadline and mask are the record's.
 * Every pass asks for what to wait before it looks, so that the wait set is complete when nothing was found.
 */
#include <core/task.h>
#include "vfs_priv.h"

/* This module's own node types without a call through the slot; the others' through it. Never a kind: polls only look. */
answer_t vfs_poll_file(struct call *c, struct file *f, struct poll_ask *ask)
{
	const struct node_vtable *vtable;

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

/* A descriptor for one look: not pinned for the call (there may be thousands; a rerun looks at the table again, as Linux does). */
static struct file *look_at(struct call *c, u32 fd, bool *referenced)
{
	struct files *files = call_files(c);

	*referenced = files_shared(files);
	return *referenced ? files_get(files, fd) : files_peek(files, fd);
}

struct pollfd {
	s32 fd;
	s16 events, revents;
};
#define POLL_CHUNK 64u /* descriptors copied at a time */

/* revents of one; adds to the wait set while nothing is ready. */
static answer_t poll_one(struct call *c, struct pollfd *p, bool want_wait)
{
	struct poll_ask ask = {.want_wait = want_wait};
	u32 asked = (u16)p->events;
	bool referenced;
	struct file *f;
	answer_t a;
	u32 found;

	p->revents = 0;
	if (p->fd < 0)
		return 0;
	f = look_at(c, (u32)p->fd, &referenced);
	if (!f) {
		p->revents = EV_NVAL;
		return 1;
	}
	a = vfs_poll_file(c, f, &ask);
	if (answer_is_error(a)) { /* the slot is parked or has no room for a frame */
		if (referenced)
			file_put(f);
		return a;
	}
	found = (u32)a & (asked | EV_ERR | EV_HUP | EV_NVAL);
	p->revents = (s16)found;
	a = 0;
	if (!found && want_wait) {
		a = add_waits(c, &ask, asked);
		/* The set outlives this look. In a table of its own nobody can close what the caller waits for; in a shared one it is kept. */
		if (!a && referenced && ask.nr && call_keep_file(c, f))
			a = call_need_memory(c, sizeof(struct file_set));
	}
	if (referenced)
		file_put(f);
	return a ? a : found != 0;
}

static bool may_wait(struct call *c)
{
	if (call_expired(c) || call_interrupted(c))
		return false;
	return !c->deadline_set || c->deadline_ns > 0;
}

answer_t vfs_poll(struct call *c, u64 fds, u32 nr)
{
	struct pollfd chunk[POLL_CHUNK];
	bool want_wait = may_wait(c);
	answer_t ready = 0;

	if (nr > call_rlimit(c, RLIMIT_NOFILE))
		return -EINVAL;
	c->nr_waits = 0;
	call_clear_files(c);
	for (u32 at = 0; at < nr;) {
		u32 k = MIN(nr - at, POLL_CHUNK);
		vaddr_t user = (vaddr_t)fds + (vaddr_t)at * sizeof(struct pollfd);
		answer_t a = call_copy_in(c, chunk, user, k * sizeof(chunk[0]));

		for (u32 i = 0; !a && i < k; i++) {
			answer_t r = poll_one(c, &chunk[i], want_wait && !ready);

			if (r < 0)
				a = r;
			else
				ready += r;
		}
		if (!a)
			a = call_copy_out(c, user, chunk, k * sizeof(chunk[0]));
		if (a) {
			c->nr_waits = 0;
			return a;
		}
		at += k;
	}
	if (ready || !want_wait) {
		c->nr_waits = 0;
		return ready ? ready : call_interrupted(c) ? -ERESTARTNOHAND : 0;
	}
	return call_wait(c);
}

/* --- select --- */
#define SELECT_IN  (EV_RDNORM | EV_RDBAND | EV_IN | EV_HUP | EV_ERR)
#define SELECT_OUT (EV_WRBAND | EV_WRNORM | EV_OUT | EV_ERR)
#define SELECT_EX  EV_PRI
#define SELECT_WORDS 16u /* 1024 descriptors in 64-bit steps; larger sets take memory */

struct select_sets {
	u32 words;
	u64 *in[3], *out[3];
	u64 inline_words[6 * SELECT_WORDS];
};

/* A set is an array of machine words of the user: bytes are what is copied, so both word sizes and orders work where long is as ours. */
static answer_t sets_in(struct call *c, struct select_sets *s, u32 nr, const u64 user[3], u64 **heap)
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

static answer_t select_one(struct call *c, struct select_sets *s, u32 fd, bool want_wait)
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
	a = poll_one(c, &p, want_wait);
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

answer_t vfs_select(struct call *c, u32 nr, u64 read, u64 write, u64 except)
{
	const u64 user[3] = {read, write, except};
	bool want_wait = may_wait(c);
	struct select_sets s = {};
	u64 *heap = nullptr;
	answer_t a, ready = 0;
	size_t bytes;

	if ((s32)nr < 0)
		return -EINVAL;
	nr = (u32)MIN((u64)nr, (u64)READ_ONCE(call_files(c)->capacity));
	c->nr_waits = 0;
	call_clear_files(c);
	a = sets_in(c, &s, nr, user, &heap);
	for (u32 fd = 0; !a && fd < nr; fd++) {
		answer_t r = select_one(c, &s, fd, want_wait && !ready);

		if (r < 0)
			a = r;
		else
			ready += r;
	}
	if (!a && !ready && want_wait) {
		a = call_wait(c);
		goto out;
	}
	if (!a && !ready && call_interrupted(c))
		a = -ERESTARTNOHAND;
	bytes = ALIGN_UP(DIV_ROUND_UP((size_t)nr, (size_t)8), sizeof(word_t));
	for (u32 i = 0; !a && i < 3; i++)
		if (user[i])
			a = call_copy_out(c, (vaddr_t)user[i], s.out[i], bytes);
	c->nr_waits = 0;
	if (!a)
		a = ready;
out:
	if (heap != s.inline_words)
		kfree(heap);
	return a;
}
