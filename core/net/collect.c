/*
 * Descriptors in flight: the sockets that sit in sockets' queues, and those of them that nobody can
 * reach any more.
 *
 * Purpose: two sockets, each in the other's queue, keep each other's file open for ever once their
 * descriptors are closed (unix(7), SCM_RIGHTS). A pass finds such circles and empties their queues.
 *
 * Vocabulary: flying = a socket of which at least one reference stands in a queued packet;
 * candidate = a flying socket without any other reference; garbage = a candidate that no flying
 * socket's queue leads to from outside the candidates.
 *
 * Objects and lifetimes: a flying socket is held by its packets, so the list holds none.
 *
 * Invariants: FLY-I1 nr_flying counts a packet's references from before it is queued until after it
 * has left its queue: what is counted and in no queue passes for reachable. FLY-I2 whoever takes a
 * reference out of a queued packet (which may stay there: MSG_PEEK) passes flying_lock before its
 * call ends, so a pass sees that reference or, for all its length, the one of the socket received
 * from.
 *
 * Locks: flying_lock, above sockets' locks (SOCK-I1 stands: one of those at a time). Failure and
 * recovery: nothing here allocates. Replacement: core data, no text of modules.
 *
 * Cost: packets without sockets do not come here. A pass is linear in flying sockets and their
 * queues and holds flying_lock for its length; one runs when a socket was closed while others fly,
 * and when their number has doubled since the last. A thread of its own runs them and rests nine
 * times as long as each took: closing many sockets must not cost a pass each.
 */
#include <core/socket.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/task.h>
#include <core/time.h>

#define FLYING_LEAST 64u /* below it only a close starts a pass */

static struct spinlock flying_lock = SPINLOCK_INIT(LOCK_LEVEL_NODE - 1);
static struct list_node flying guarded_by(&flying_lock) = LIST_INIT(flying);
static u32 nr_flying_sockets, pass_at = FLYING_LEAST; /* written under flying_lock */
static struct waitable wanted, rest;
static bool is_wanted; /* READ_ONCE, WRITE_ONCE */

enum scan : u8 { SCAN_REACHED, SCAN_CANDIDATE };

static void want_pass(void)
{
	WRITE_ONCE(is_wanted, true);
	waitable_wake(&wanted, EV_IN, 1);
}

static struct socket *socket_in(const struct file *f)
{
	return f->type == NODE_SOCKET && f->obj.body
		       ? container_of((struct object *)f->obj.body, struct socket, obj)
		       : nullptr;
}

void socket_packet_fly(struct socket_packet *p)
{
	bool many;

	for (u32 i = 0; i < p->nr_fds; i++)
		p->flies |= socket_in(p->fds[i]) != nullptr;
	if (!p->flies)
		return;
	spin_lock(&flying_lock);
	for (u32 i = 0; i < p->nr_fds; i++) {
		struct socket *s = socket_in(p->fds[i]);

		if (s && !s->nr_flying++) {
			s->flying_file = p->fds[i];
			list_add_tail(&flying, &s->flying_link);
			WRITE_ONCE(nr_flying_sockets, nr_flying_sockets + 1);
		}
	}
	many = nr_flying_sockets > pass_at;
	spin_unlock(&flying_lock);
	if (many)
		want_pass();
}

static void land(struct file *const *fds, u32 nr)
{
	spin_lock(&flying_lock);
	for (u32 i = 0; i < nr; i++) {
		struct socket *s = socket_in(fds[i]);

		if (s && !--s->nr_flying) {
			list_del(&s->flying_link);
			s->flying_file = nullptr;
			WRITE_ONCE(nr_flying_sockets, nr_flying_sockets - 1);
		}
	}
	spin_unlock(&flying_lock);
}

/* A socket's end may be another's, and so on: beyond a few levels the reaper goes on. */
static void put_file(struct file *f)
{
	u32 depth = 0;

	for (const struct call *c = current->call_now; c; c = c->outer)
		depth++;
	if (depth < 4 || !socket_in(f))
		file_put(f);
	else
		file_put_later(f);
}

static void drop(struct file **fds, u32 nr, bool flies)
{
	if (flies)
		land(fds, nr);
	for (u32 i = 0; i < nr; i++)
		put_file(fds[i]);
	kfree(fds);
}

void socket_packet_drop_files(struct socket *s, struct socket_packet *p)
{
	struct file **fds;
	u32 nr;

	spin_lock(&s->obj.lock);
	fds = p->fds;
	nr = p->nr_fds;
	p->fds = nullptr;
	p->nr_fds = 0;
	spin_unlock(&s->obj.lock);
	drop(fds, nr, p->flies);
	p->flies = false;
}

void socket_packet_free(struct socket_packet *p)
{
	drop(p->fds, p->nr_fds, p->flies);
	if (p->from)
		object_put(&p->from->obj);
	kfree(p);
}

void socket_packet_taken(const struct socket_packet *p)
{
	if (!p->flies)
		return;
	spin_lock(&flying_lock);
	spin_unlock(&flying_lock);
}

void socket_collect_later(void)
{
	if (READ_ONCE(nr_flying_sockets))
		want_pass();
}

/* --- the pass --- */
enum step : u8 { STEP_DISCOUNT, STEP_REACH, STEP_EMPTY };

/* One queue of garbage or of a candidate. reached: where sockets go that were found from outside.
 */
static void step_queue(struct socket *q, enum step step, struct list_node *into)
	__requires(&flying_lock)
{
	struct socket_packet *p;

	spin_lock(&q->obj.lock);
	if (step == STEP_EMPTY) {
		list_splice_tail(into, &q->queue);
		q->queued_bytes = q->nr_queued = 0;
		spin_unlock(&q->obj.lock);
		return;
	}
	list_for_each_entry (p, &q->queue, link) {
		for (u32 i = 0; p->flies && i < p->nr_fds; i++) {
			struct socket *s = socket_in(p->fds[i]);

			if (!s || s->scan != SCAN_CANDIDATE)
				continue;
			if (step == STEP_DISCOUNT) {
				s->scan_count--;
			} else {
				s->scan = SCAN_REACHED;
				list_del(&s->scan_link);
				list_add_tail(into, &s->scan_link);
			}
		}
	}
	spin_unlock(&q->obj.lock);
}

/* Its queue and those of the connections that wait in it. These stay listed: who would accept or
 * close needs the file, of which there is no reference but the flying ones; connect(2) only adds.
 */
static void step_socket(struct socket *s, enum step step, struct list_node *into)
	__requires(&flying_lock)
{
	struct list_node *at = &s->pending;

	step_queue(s, step, into);
	for (;;) {
		spin_lock(&s->obj.lock);
		at = at->next;
		spin_unlock(&s->obj.lock);
		if (at == &s->pending)
			return;
		step_queue(list_entry(at, struct socket, pending_link), step, into);
	}
}

/* What is left in `candidates` is garbage. */
static void find_garbage(struct list_node *candidates) __requires(&flying_lock)
{
	struct list_node reached = LIST_INIT(reached), *n;
	struct socket *s, *next;

	list_for_each_entry (s, &flying, flying_link) {
		s->scan = SCAN_REACHED;
		if (refcount_read(&s->flying_file->obj.refs) != s->nr_flying)
			continue;
		s->scan = SCAN_CANDIDATE;
		s->scan_count = s->nr_flying;
		list_add_tail(candidates, &s->scan_link);
	}
	list_for_each_entry (s, candidates, scan_link)
		step_socket(s, STEP_DISCOUNT, nullptr);
	list_for_each_entry_safe (s, next, candidates, scan_link) {
		if (!s->scan_count)
			continue;
		s->scan = SCAN_REACHED;
		list_del(&s->scan_link);
		list_add_tail(&reached, &s->scan_link);
	}
	while ((n = list_pop(&reached)))
		step_socket(list_entry(n, struct socket, scan_link), STEP_REACH, &reached);
}

static void collect(void)
{
	struct list_node candidates = LIST_INIT(candidates), packets = LIST_INIT(packets), *n;

	spin_lock(&flying_lock);
	find_garbage(&candidates);
	/* With its packets goes the last reference of each. */
	while ((n = list_pop(&candidates)))
		step_socket(list_entry(n, struct socket, scan_link), STEP_EMPTY, &packets);
	pass_at = MAX(FLYING_LEAST, nr_flying_sockets * 2);
	spin_unlock(&flying_lock);
	while ((n = list_pop(&packets))) {
		socket_packet_free(list_entry(n, struct socket_packet, link));
		cond_resched();
	}
}

#define REST_MOST_NS (NSEC_PER_SEC / 2)

static void collector(void *arg)
{
	(void)arg;
	for (;;) {
		ktime_t begin, end;

		wait_event(&wanted, EV_IN, READ_ONCE(is_wanted), 0);
		WRITE_ONCE(is_wanted, false);
		begin = time_monotonic_ns();
		collect();
		end = time_monotonic_ns();
		wait_sleep(&rest, EV_IN, waitable_seq(&rest),
			end + MIN((end - begin) * 9, REST_MOST_NS), 0);
	}
}

void socket_collector_init(void)
{
	waitable_init(&wanted);
	waitable_init(&rest);
	if (!task_kernel_thread(collector, nullptr, "sockets"))
		panic("no memory for the sockets' thread");
}
