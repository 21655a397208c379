/* Sending and receiving: send(2), recv(2), unix(7). Theory in unix.c. */
#include <lib/string.h>
#include "net_priv.h"

struct send_progress {
	u64 done;
};

static answer_t broken(struct call *c, u32 flags)
{
	if (!(flags & MSG_NOSIGNAL))
		call_signal(c, SIGPIPE);
	return -EPIPE;
}

static answer_t take_error(struct socket *s)
{
	s32 e;

	spin_lock(&s->obj.lock);
	e = s->error;
	s->error = 0;
	spin_unlock(&s->obj.lock);
	return -e;
}

/* Where a message goes, referenced: the address given, or the peer. */
static answer_t destination(struct call *c, struct socket *s, struct socket_message *m,
	struct socket **out)
{
	char name[SOCKET_NAME_MAX + 1];
	u32 len;
	answer_t a;

	if (m->name && m->name_bytes) {
		if (s->type != SOCK_DGRAM)
			return s->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
		a = address_in(c, m->name, m->name_bytes, name, &len);
		if (!a)
			a = len ? address_find(c, name, len, out) : -EINVAL;
		if (!a && (*out)->type != SOCK_DGRAM) {
			object_put(&(*out)->obj);
			a = -EPROTOTYPE;
		}
		return a;
	}
	spin_lock(&s->obj.lock);
	*out = s->peer;
	if (*out)
		object_get(&(*out)->obj);
	spin_unlock(&s->obj.lock);
	return *out ? 0 : -ENOTCONN;
}

/* 1: no room. */
static answer_t enqueue(struct socket *s, struct socket *to, struct socket_packet *p)
{
	answer_t a = 0;

	spin_lock(&to->obj.lock);
	if (to->state == SOCKET_DISCONNECTED || to->shut_read) {
		a = to->type == SOCK_DGRAM && !to->shut_read ? -ECONNREFUSED : -EPIPE;
	} else if ((to->queued_bytes && to->queued_bytes + p->bytes > s->send_bytes) ||
		   socket_queue_full(to, s)) {
		a = 1;
	} else {
		list_add_tail(&to->queue, &p->link);
		to->queued_bytes += p->bytes;
		to->nr_queued++;
	}
	spin_unlock(&to->obj.lock);
	if (!a)
		waitable_wake(&to->wait, EV_IN | EV_RDNORM, 0);
	return a;
}

/* Before a wait: a socket with a timeout ends with EAGAIN when it is over and is not restarted by
 * signals (signal(7)). */
answer_t socket_may_wait(struct call *c, ktime_t timeout_ns)
{
	if (call_interrupted(c))
		return timeout_ns ? -EINTR : -ERESTARTSYS;
	if (!timeout_ns)
		return 0;
	if (call_expired(c))
		return -EAGAIN;
	call_wait_deadline(c, time_monotonic_ns() + timeout_ns);
	return 0;
}

static answer_t send_one(struct call *c, struct file *f, struct socket *s, struct socket *to,
	struct socket_message *m, u32 flags, u64 done, u32 bytes)
{
	u32 seq = waitable_seq(&to->wait);
	struct socket_message first = *m;
	struct socket_packet *p;
	answer_t a;

	if (done)
		first.control_bytes = 0; /* goes with the first bytes only */
	a = control_in(c, &first, &p, bytes);
	if (a)
		return a;
	if (uio_copy_in(c, &m->io, (size_t)done, p->data, bytes) != bytes) {
		socket_packet_free(p);
		return uio_need(c, &m->io, (size_t)done, false);
	}
	if (s->type == SOCK_DGRAM) {
		p->from = s;
		object_get(&s->obj);
	}
	socket_packet_fly(p);
	a = enqueue(s, to, p);
	if (!a)
		return 0;
	socket_packet_free(p);
	if (a == -EPIPE)
		return done ? a : broken(c, flags);
	if (a != 1)
		return a;
	if (f->flags & O_NONBLOCK || flags & MSG_DONTWAIT)
		return -EAGAIN;
	a = socket_may_wait(c, s->send_timeout_ns);
	if (a)
		return a;
	a = call_pin_object(c, &to->obj);
	if (a)
		return a;
	return call_wait1(c, &to->wait, EV_OUT | EV_HUP, seq);
}

static answer_t send_piece(struct call *c, struct file *f, struct socket *s, struct socket *to,
	struct socket_message *m, u32 flags, struct send_progress *p, u32 bytes)
{
	answer_t a = send_one(c, f, s, to, m, flags, p->done, bytes);

	if (!a) {
		call_effect(c);
		p->done += bytes;
		call_effect_recorded(c); /* the frame is the record */
	}
	return a;
}

static answer_t send_stream(struct call *c, struct file *f, struct socket *s, struct socket *to,
	struct socket_message *m, u32 flags, struct send_progress *p)
{
	answer_t a = 0;

	while (!a && p->done < m->io.total) {
		u64 left = m->io.total - p->done;

		a = send_piece(c, f, s, to, m, flags, p,
			(u32)MIN(left, (u64)SOCKET_PACKET_BYTES_MAX));
	}
	return a;
}

answer_t message_send(struct call *c, struct file *f, struct socket_message *m, u32 flags)
{
	struct send_progress *p = call_progress(c, struct send_progress);
	struct socket *s = socket_of(f), *to;
	answer_t a;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	a = s->error ? take_error(s) : 0;
	if (a && !p->done)
		return a;
	if (s->shut_write || s->peer_gone)
		return p->done ? (answer_t)p->done : broken(c, flags);
	a = destination(c, s, m, &to);
	if (p->done && answer_is_error(a) && !answer_is_kind(a))
		return (answer_t)p->done;
	if (a)
		return a == -ENOTCONN && s->state == SOCKET_DISCONNECTED ? broken(c, flags) : a;
	if (s->type == SOCK_STREAM)
		a = send_stream(c, f, s, to, m, flags, p);
	else if (m->io.total >
		 s->send_bytes - 32) /* Linux's allowance for the message's own record */
		a = -EMSGSIZE;
	else
		a = send_piece(c, f, s, to, m, flags, p, (u32)m->io.total);
	object_put(&to->obj);
	if (!a || (!answer_is_kind(a) && p->done))
		return (answer_t)p->done;
	return a;
}

/* --- receiving --- */
static struct socket_packet *first_packet(struct socket *s)
{
	return list_empty(&s->queue) ? nullptr
				     : list_first_entry(&s->queue, struct socket_packet, link);
}

/* Exclusion: one reader of a socket at a time (pos_excl of the file, of the class that it has with
 * every file: what is read goes to user memory), so a packet seen stays first until it is taken. */
static void consume(struct socket *s, struct socket_packet *p, u32 bytes, bool whole)
{
	bool gone;

	spin_lock(&s->obj.lock);
	p->offset += bytes;
	gone = whole || p->offset == p->bytes;
	s->queued_bytes -= whole ? p->bytes - (p->offset - bytes) : bytes;
	if (gone) {
		list_del(&p->link);
		s->nr_queued--;
	}
	spin_unlock(&s->obj.lock);
	if (gone)
		socket_packet_free(p);
	waitable_wake(&s->wait, EV_OUT | EV_WRNORM, 0); /* senders wait on the receiver */
}

/* One look at the queue and, should it be empty, at why no more will come: what the other end sent
 * before it closed is never missed for its end. */
struct look {
	struct socket_packet *first;
	bool failed, ended;
};

static struct look look(struct socket *s)
{
	struct look l;

	spin_lock(&s->obj.lock);
	l.first = first_packet(s);
	l.failed = s->error;
	l.ended = s->shut_read || s->peer_gone;
	spin_unlock(&s->obj.lock);
	return l;
}

static answer_t empty_answer(struct call *c, struct file *f, struct socket *s, u32 flags, u32 seq,
	const struct look *l)
{
	answer_t a = l->failed ? take_error(s) : 0;

	if (a)
		return a;
	if (l->ended)
		return 0;
	if (s->type != SOCK_DGRAM && s->state != SOCKET_CONNECTED)
		return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	if (f->flags & O_NONBLOCK || flags & MSG_DONTWAIT)
		return -EAGAIN;
	a = socket_may_wait(c, s->receive_timeout_ns);
	return a ? a : call_wait1(c, &s->wait, EV_IN | EV_HUP, seq);
}

static answer_t receive_packet(struct call *c, struct socket *s, struct socket_packet *p,
	struct socket_message *m, u32 flags)
{
	u32 n = (u32)MIN((u64)(p->bytes - p->offset), (u64)m->io.total),
	    total = p->bytes - p->offset;
	answer_t a;

	if (uio_copy_out(c, &m->io, 0, p->data + p->offset, n) != n)
		return uio_need(c, &m->io, 0, true);
	if (m->name) {
		a = address_copy(c, p->from, m->name, m->name_bytes, &m->name_bytes);
		if (a)
			return a;
	} else {
		m->name_bytes = 0;
	}
	a = control_out(c, s, p, m, flags);
	if (a)
		return a;
	if (n < total)
		m->flags_out |= MSG_TRUNC;
	if (!(flags & MSG_PEEK)) {
		call_effect(c);
		consume(s, p, total, true);
	}
	return flags & MSG_TRUNC ? total : n;
}

/* As much of a stream's packet as is wanted, with what came beside its first bytes. */
static answer_t copy_piece(struct call *c, struct socket *s, struct socket_packet *p,
	struct socket_message *m, u32 flags, const struct send_progress *pr, u32 *n)
{
	*n = (u32)MIN((u64)(p->bytes - p->offset), m->io.total - pr->done);
	if (uio_copy_out(c, &m->io, (size_t)pr->done, p->data + p->offset, *n) != *n)
		return uio_need(c, &m->io, (size_t)pr->done, true);
	return pr->done ? 0 : control_out(c, s, p, m, flags);
}

/* Bytes of several packets up to one that carries files; `done` is in the frame. */
static answer_t receive_stream(struct call *c, struct file *f, struct socket *s,
	struct socket_message *m, u32 flags)
{
	struct send_progress *pr = call_progress(c, struct send_progress);
	bool last = false;

	while (pr->done < m->io.total && !last) {
		u32 seq = waitable_seq(&s->wait), n = 0;
		struct look l = look(s);
		struct socket_packet *p = l.first;
		answer_t a;

		if (pr->done && (p ? p->nr_fds > 0 : !(flags & MSG_WAITALL)))
			break;
		a = p ? copy_piece(c, s, p, m, flags, pr, &n)
		      : empty_answer(c, f, s, flags, seq, &l);
		if (a || !p)
			return pr->done && !answer_is_kind(a) ? (answer_t)pr->done : a;
		if (flags & MSG_PEEK)
			return n;
		last = p->nr_fds > 0;
		if (last)
			socket_packet_drop_files(s, p);
		call_effect(c);
		consume(s, p, n, false);
		pr->done += n;
		call_effect_recorded(c);
	}
	return (answer_t)pr->done;
}

answer_t message_receive(struct call *c, struct file *f, struct socket_message *m, u32 flags)
{
	struct socket *s = socket_of(f);
	u32 seq = waitable_seq(&s->wait);
	struct look l;

	if (flags & MSG_OOB)
		return s->type == SOCK_STREAM ? -EINVAL : -EOPNOTSUPP;
	if (!call_hold(c, EXCL_INODE, &f->pos_excl, f->obj.id, false))
		return ANSWER_NEED;
	if (s->type == SOCK_STREAM) {
		if (m->name)
			m->name_bytes = 0;
		if (!m->io.total && first_packet(s))
			return 0;
		return receive_stream(c, f, s, m, flags);
	}
	l = look(s);
	return l.first ? receive_packet(c, s, l.first, m, flags)
		       : empty_answer(c, f, s, flags, seq, &l);
}
