/*
 * AF_UNIX sockets (unix.c: life, connections, options; address.c, message.c, control.c).
 *
 * Purpose: unix(7). Vocabulary: peer = the other end; pending = a connection not yet accepted.
 * Other families: -EAFNOSUPPORT.
 *
 * Objects and lifetimes: bodies are core's (core/socket.h); an open file's body is its socket, a
 * reference.
 *
 * Invariants: UNIX-I1 bytes leave a queue only when they were copied to the user; UNIX-I2 a call
 * that created something records it in its progress before it answers a kind. Locks: one socket's
 * lock at a time.
 *
 * Failure and recovery: calls made again find queues as they are. Replacement: waiting calls hang
 * on core's waitables. Cost: one copy each way.
 */
#include <core/call.h>
#include <core/plant.h>
#include <kabi/net.h>
#include <kabi/node.h>
#include <lib/string.h>
#include "net_priv.h"

#define SOCKET_MEMORY_BYTES 4096u /* a socket, its file and its name: what is asked for */

KABI_MODULE(1, "Apache-2.0");

struct socket *net_socket_of_fd(struct call *c, u32 fd, struct file **file, answer_t *error)
{
	*file = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	*error = file_error(*file);
	if (*error)
		return nullptr;
	*error = -ENOTSOCK;
	if ((*file)->type != NODE_SOCKET || !(*file)->obj.body)
		return nullptr;
	return socket_of(*file);
}

static answer_t check_type(u32 family, u32 type, u32 protocol)
{
	if (type & ~(SOCK_TYPE_MASK | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	type &= SOCK_TYPE_MASK;
	if (type == 3) /* SOCK_RAW becomes a datagram socket: unix(7) */
		return SOCK_DGRAM;
	return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET
		       ? (answer_t)type
		       : -ESOCKTNOSUPPORT;
}

static struct file *file_of(struct socket *s, u32 flags)
{
	struct file *f =
		file_new_anonymous(NODE_SOCKET, O_RDWR | (flags & O_NONBLOCK), "socket", &s->obj);

	if (f)
		f->wait = &s->wait;
	return f;
}

static answer_t net_socket(struct call *c, u32 family, u32 type, u32 protocol)
{
	answer_t a = plant_handler(c, PLANT_PLACE_NET);
	struct socket *s;
	struct file *f;

	if (unlikely(a))
		return a;
	a = check_type(family, type, protocol);
	if (a < 0)
		return a;
	s = socket_new((u32)a, c);
	f = s ? file_of(s, type) : nullptr;
	if (!f) {
		if (s)
			object_put(&s->obj);
		return call_need_memory(c, SOCKET_MEMORY_BYTES);
	}
	a = call_install(c, f, type & O_CLOEXEC);
	if (a < 0)
		file_put(f);
	return a;
}

static void join(struct socket *a, struct socket *b)
{
	object_get(&b->obj);
	a->peer = b;
	a->peer_cred = b->mine;
	a->state = SOCKET_CONNECTED;
}

static answer_t net_socketpair(struct call *c, u32 family, u32 type, u32 protocol, u64 fds)
{
	answer_t a = check_type(family, type, protocol), n[2] = {-1, -1};
	struct socket *s[2] = {};
	struct file *f[2] = {};
	s32 out[2] = {-1, -1};

	if (a < 0)
		return a;
	a = call_copy_out(c, (vaddr_t)fds, out,
		sizeof(out)); /* before anything is made: a bad address is found here */
	if (a)
		return a;
	for (u32 i = 0; i < 2; i++) {
		s[i] = socket_new(type & SOCK_TYPE_MASK, c);
		f[i] = s[i] ? file_of(s[i], type) : nullptr;
	}
	if (f[0] && f[1]) {
		join(s[0], s[1]);
		join(s[1], s[0]);
		a = n[0] = call_install(c, f[0], type & O_CLOEXEC);
		if (a >= 0)
			a = n[1] = call_install(c, f[1], type & O_CLOEXEC);
	} else {
		a = call_need_memory(c, 2 * SOCKET_MEMORY_BYTES);
	}
	if (a >= 0) {
		out[0] = (s32)n[0];
		out[1] = (s32)n[1];
		if (call_copy_out_partial(c, (vaddr_t)fds, out, sizeof(out)) == sizeof(out))
			return 0;
		/* The page went meanwhile: all is undone below and made again. */
		a = call_need_user(c, (struct uspan){(vaddr_t)fds, sizeof(out)}, true);
	}
	for (u32 i = 0; i < 2; i++) {
		if (n[i] >= 0)
			f[i] = call_uninstall(c, (u32)n[i]);
		if (f[i])
			file_put(f[i]);
		else if (s[i])
			object_put(&s[i]->obj);
	}
	call_effect_undone(c);
	return a;
}

static answer_t net_listen(struct call *c, u32 fd, s32 backlog)
{
	struct file *f;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a);

	if (!s)
		return a;
	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	spin_lock(&s->obj.lock);
	a = !s->name_len || s->state == SOCKET_CONNECTED ? -EINVAL : 0;
	if (!a) {
		call_effect(c);
		s->state = SOCKET_LISTENING;
		s->backlog = backlog < 0 || backlog > 4096 ? 4096 : (u32)backlog;
		s->mine = (struct socket_credentials){group_pid_nr(c->task->group),
			c->ctx->cred.euid.value, c->ctx->cred.egid.value};
	}
	spin_unlock(&s->obj.lock);
	return a;
}

static answer_t accept_blocked(struct call *c, const struct file *f, struct socket *s, u32 seq)
{
	answer_t a;

	if (s->shut_read)
		return -EINVAL;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	a = socket_may_wait(c, s->receive_timeout_ns);
	return a ? a : call_wait1(c, &s->wait, EV_IN, seq);
}

static struct socket *take_connection(struct socket *s)
{
	struct socket *conn = nullptr;

	spin_lock(&s->obj.lock);
	if (!list_empty(&s->pending)) {
		conn = list_first_entry(&s->pending, struct socket, pending_link);
		list_del(&conn->pending_link);
		s->nr_pending--;
	}
	spin_unlock(&s->obj.lock);
	return conn;
}

/* Nothing became of it: who looked meanwhile found none, and looks again. */
static void give_back(struct socket *s, struct socket *conn)
{
	spin_lock(&s->obj.lock);
	list_add(&s->pending, &conn->pending_link);
	s->nr_pending++;
	spin_unlock(&s->obj.lock);
	waitable_wake(&s->wait, EV_IN | EV_RDNORM, 0);
}

static answer_t net_accept(struct call *c, u32 fd, u64 address, u64 length, u32 flags)
{
	struct file *f, *fresh;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a), *conn = nullptr;
	u32 seq;

	if (!s)
		return a;
	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	seq = waitable_seq(&s->wait);
	if (s->state != SOCKET_LISTENING)
		return -EINVAL;
	conn = take_connection(s); /* ours: another accept finds the next one */
	if (!conn)
		return accept_blocked(c, f, s, seq);
	a = address ? address_out(c, conn->peer ? conn->peer : conn, address, length) : 0;
	fresh = a ? nullptr : file_of(conn, flags); /* the file takes over the list's reference */
	if (!fresh) {
		give_back(s, conn);
		return a ? a : call_need_memory(c, SOCKET_MEMORY_BYTES);
	}
	a = call_install(c, fresh, flags & O_CLOEXEC);
	if (a < 0) {
		file_names(fresh, nullptr);
		file_put(fresh);
		give_back(s, conn);
		return a;
	}
	waitable_wake(&s->wait, EV_OUT, 0);
	return a;
}

static answer_t connect_stream(struct call *c, struct file *f, struct socket *s, struct socket *to)
{
	u32 seq = waitable_seq(&to->wait);
	struct socket *conn;
	answer_t a = 0;

	if (s->state == SOCKET_CONNECTED)
		return -EISCONN;
	if (s->state == SOCKET_LISTENING)
		return -EINVAL;
	if (to->type != s->type)
		return -EPROTOTYPE;
	conn = socket_new(s->type, c);
	if (!conn)
		return call_need_memory(c, SOCKET_MEMORY_BYTES);
	spin_lock(&to->obj.lock);
	if (to->state != SOCKET_LISTENING || to->shut_read)
		a = -ECONNREFUSED;
	else if (to->nr_pending > to->backlog)
		a = -EAGAIN;
	spin_unlock(&to->obj.lock);
	if (a) {
		object_put(&conn->obj);
		if (a != -EAGAIN || f->flags & O_NONBLOCK)
			return a;
		if (call_interrupted(c))
			return -ERESTARTSYS;
		a = call_pin_object(c, &to->obj);
		if (a)
			return a;
		return call_wait1(c, &to->wait, EV_OUT | EV_HUP, seq);
	}
	conn->mine = to->mine;
	memcpy(conn->name, to->name, sizeof(conn->name));
	conn->name_len = to->name_len;
	spin_lock(&s->obj.lock);
	s->mine = (struct socket_credentials){group_pid_nr(c->task->group), c->ctx->cred.euid.value,
		c->ctx->cred.egid.value};
	spin_unlock(&s->obj.lock);
	join(conn, s);
	spin_lock(&s->obj.lock);
	join(s, conn);
	spin_unlock(&s->obj.lock);
	spin_lock(&to->obj.lock);
	list_add_tail(&to->pending, &conn->pending_link); /* takes over the first reference */
	to->nr_pending++;
	spin_unlock(&to->obj.lock);
	waitable_wake(&to->wait, EV_IN | EV_RDNORM, 0);
	waitable_wake(&s->wait, EV_OUT, 0);
	return 0;
}

static void set_datagram_peer(struct socket *s, struct socket *to)
{
	struct socket *old;

	if (to)
		object_get(&to->obj);
	spin_lock(&s->obj.lock);
	old = s->peer;
	s->peer = to;
	s->state = to ? SOCKET_CONNECTED : SOCKET_FREE;
	spin_unlock(&s->obj.lock);
	if (old)
		object_put(&old->obj);
}

static answer_t net_connect(struct call *c, u32 fd, u64 address, u32 bytes)
{
	char name[SOCKET_NAME_MAX + 1];
	struct socket *s, *to = nullptr;
	struct file *f;
	u16 family;
	u32 len;
	answer_t a;

	s = net_socket_of_fd(c, fd, &f, &a);
	if (!s)
		return a;
	if (bytes < sizeof(family))
		return -EINVAL;
	a = call_copy_in(c, &family, (vaddr_t)address, sizeof(family));
	if (a)
		return a;
	if (family == AF_UNSPEC && s->type == SOCK_DGRAM) {
		call_effect(c);
		set_datagram_peer(s, nullptr);
		return 0;
	}
	a = address_in(c, address, bytes, name, &len);
	if (!a)
		a = len ? address_find(c, name, len, &to) : -EINVAL;
	if (a)
		return a;
	if (s->type != SOCK_DGRAM) {
		a = connect_stream(c, f, s, to);
	} else if (to->type != SOCK_DGRAM) {
		a = -EPROTOTYPE;
	} else {
		call_effect(c);
		set_datagram_peer(s, to);
		s->peer_cred = to->mine;
	}
	object_put(&to->obj);
	return a;
}

static answer_t net_name(struct call *c, u32 fd, u32 peer, u64 address, u64 length)
{
	struct file *f;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a), *p;

	if (!s)
		return a;
	if (!peer)
		return address_out(c, s, address, length);
	spin_lock(&s->obj.lock);
	p = s->peer;
	if (p)
		object_get(&p->obj);
	spin_unlock(&s->obj.lock);
	if (!p)
		return -ENOTCONN;
	a = address_out(c, p, address, length);
	object_put(&p->obj);
	return a;
}

static answer_t net_shutdown(struct call *c, u32 fd, u32 how)
{
	struct file *f;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a), *peer;

	if (!s)
		return a;
	if (how > 2)
		return -EINVAL;
	spin_lock(&s->obj.lock);
	call_effect(c);
	s->shut_read |= how != 1;
	s->shut_write |= how != 0;
	peer = s->type != SOCK_DGRAM ? s->peer : nullptr;
	if (peer)
		object_get(&peer->obj);
	spin_unlock(&s->obj.lock);
	if (peer) {
		spin_lock(&peer->obj.lock);
		peer->shut_read |= how != 0;
		peer->shut_write |= how != 1;
		spin_unlock(&peer->obj.lock);
		waitable_wake(&peer->wait, EV_IN | EV_OUT | EV_HUP | EV_RDHUP, 0);
		object_put(&peer->obj);
	}
	waitable_wake(&s->wait, EV_IN | EV_OUT | EV_HUP | EV_RDHUP, 0);
	return 0;
}

/* --- options: socket(7) --- */
enum option {
	SO_DEBUG = 1,
	SO_REUSEADDR = 2,
	SO_TYPE = 3,
	SO_ERROR = 4,
	SO_BROADCAST = 6,
	SO_SNDBUF = 7,
	SO_RCVBUF = 8,
	SO_KEEPALIVE = 9,
	SO_PASSCRED = 16,
	SO_PEERCRED = 17,
	SO_RCVTIMEO = 20,
	SO_SNDTIMEO = 21,
	SO_ACCEPTCONN = 30,
	SO_PROTOCOL = 38,
	SO_DOMAIN = 39
};

/* struct timeval of two words; 0: none. */
static answer_t timeout_set(struct call *c, ktime_t *to, u64 value, u32 bytes)
{
	sword_t tv[2];
	answer_t a;

	if (bytes < sizeof(tv))
		return -EINVAL;
	a = call_copy_in(c, tv, (vaddr_t)value, sizeof(tv));
	if (a)
		return a;
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -EDOM;
	call_effect(c);
	*to = tv[0] < 0 || (s64)tv[0] > INT64_MAX / NSEC_PER_SEC - 1
		      ? 0
		      : tv[0] * NSEC_PER_SEC + tv[1] * NSEC_PER_USEC;
	return 0;
}

/* socket(7): doubled, between the least and twice net.core.wmem_max. */
static u32 buffer_bytes(s32 asked, u32 least)
{
	u32 v = asked < 0 ? SOCKET_QUEUE_BYTES : MIN((u32)asked, SOCKET_QUEUE_BYTES);

	return MAX(v * 2, least);
}

static answer_t net_option_set(struct call *c, u32 fd, u32 level, u32 name, u64 value, u32 bytes)
{
	struct file *f;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a);
	s32 v;

	if (!s)
		return a;
	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
		return timeout_set(c,
			name == SO_RCVTIMEO ? &s->receive_timeout_ns : &s->send_timeout_ns, value,
			bytes);
	if (bytes < sizeof(v))
		return -EINVAL;
	a = call_copy_in(c, &v, (vaddr_t)value, sizeof(v));
	if (a)
		return a;
	switch (name) {
	case SO_PASSCRED:
		call_effect(c);
		s->pass_credentials = v != 0;
		return 0;
	case SO_REUSEADDR:
	case SO_BROADCAST:
	case SO_KEEPALIVE: /* mean nothing here and are taken, as Linux's AF_UNIX does */
		return 0;
	case SO_SNDBUF:
		call_effect(c);
		s->send_bytes = buffer_bytes(v, 4608);
		return 0;
	case SO_RCVBUF:
		call_effect(c);
		s->receive_bytes = buffer_bytes(v, 2304);
		return 0;
	case SO_TYPE:
	case SO_ERROR:
	case SO_ACCEPTCONN:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_PEERCRED:
		return -ENOPROTOOPT;
	default:
		return -ENOPROTOOPT;
	}
}

static answer_t option_value(struct socket *s, u32 name, s32 *v)
{
	switch (name) {
	case SO_TYPE:
		*v = (s32)s->type;
		return 0;
	case SO_DOMAIN:
		*v = AF_UNIX;
		return 0;
	case SO_PROTOCOL:
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
		*v = 0;
		return 0;
	case SO_ERROR:
		spin_lock(&s->obj.lock);
		*v = s->error;
		s->error = 0;
		spin_unlock(&s->obj.lock);
		return 0;
	case SO_SNDBUF:
		*v = (s32)s->send_bytes;
		return 0;
	case SO_RCVBUF:
		*v = (s32)s->receive_bytes;
		return 0;
	case SO_PASSCRED:
		*v = s->pass_credentials;
		return 0;
	case SO_ACCEPTCONN:
		*v = s->state == SOCKET_LISTENING;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static answer_t net_option_get(struct call *c, u32 fd, u32 level, u32 name, u64 value, u64 length)
{
	struct file *f;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a);
	struct socket_credentials cred = {0, ~0u, ~0u};
	sword_t timeout[2];
	const void *src;
	s32 room, v = 0;
	u32 bytes;

	if (!s)
		return a;
	a = call_copy_in(c, &room, (vaddr_t)length, sizeof(room));
	if (a)
		return a;
	if (room < 0)
		return -EINVAL;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
		ktime_t ns = name == SO_RCVTIMEO ? s->receive_timeout_ns : s->send_timeout_ns;

		timeout[0] = (sword_t)(ns / NSEC_PER_SEC);
		timeout[1] = (sword_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
		src = timeout;
		bytes = sizeof(timeout);
	} else if (name == SO_PEERCRED) {
		if (s->state == SOCKET_CONNECTED || s->peer_gone)
			cred = s->peer_cred;
		src = &cred;
		bytes = sizeof(cred);
	} else {
		a = option_value(s, name, &v);
		if (a)
			return a;
		src = &v;
		bytes = sizeof(v);
	}
	bytes = MIN(bytes, (u32)room);
	a = call_copy_out(c, (vaddr_t)value, src, bytes);
	return a ? a : call_copy_out(c, (vaddr_t)length, &bytes, sizeof(bytes));
}

static answer_t net_send(struct call *c, u32 fd, struct socket_message *m, u32 flags)
{
	struct file *f;
	answer_t a;

	return net_socket_of_fd(c, fd, &f, &a) ? message_send(c, f, m, flags) : a;
}

static answer_t net_receive(struct call *c, u32 fd, struct socket_message *m, u32 flags)
{
	struct file *f;
	answer_t a;

	return net_socket_of_fd(c, fd, &f, &a) ? message_receive(c, f, m, flags) : a;
}

/* --- the node --- */
static answer_t socket_read(struct call *c, struct file *f, struct uio *io)
{
	struct socket_message m = {.io = *io};

	if (io->positioned)
		return -ESPIPE;
	return message_receive(c, f, &m, 0);
}

static answer_t socket_write(struct call *c, struct file *f, struct uio *io)
{
	struct socket_message m = {.io = *io};

	if (io->positioned)
		return -ESPIPE;
	return message_send(c, f, &m, 0);
}

static answer_t socket_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	struct socket *s = socket_of(f), *peer;
	bool room = true, connected;
	u32 ready = 0;

	poll_ask_add(ask, &s->wait, EV_ANY);
	spin_lock(&s->obj.lock);
	connected = s->state == SOCKET_CONNECTED;
	if (!list_empty(&s->queue) || (s->state == SOCKET_LISTENING && !list_empty(&s->pending)) ||
		s->shut_read || s->peer_gone)
		ready |= EV_IN | EV_RDNORM;
	if (s->shut_read || s->peer_gone)
		ready |= EV_RDHUP;
	if ((s->shut_read && s->shut_write) || s->peer_gone ||
		(s->type != SOCK_DGRAM && s->state == SOCKET_FREE))
		ready |= EV_HUP;
	if (s->error)
		ready |= EV_ERR;
	peer = s->peer;
	if (peer)
		object_get(&peer->obj);
	spin_unlock(&s->obj.lock);
	if (peer) {
		poll_ask_add(ask, &peer->wait, EV_OUT);
		spin_lock(&peer->obj.lock);
		room = peer->queued_bytes < s->send_bytes && !socket_queue_full(peer, s);
		spin_unlock(&peer->obj.lock);
		object_put(&peer->obj); /* the waiting record pins our file, which keeps the peer
					   until it is closed */
	}
	if (room && (connected || s->type == SOCK_DGRAM || ready & EV_HUP))
		ready |= EV_OUT | EV_WRNORM | EV_WRBAND;
	return ready;
}

#define FIONREAD 0x541Bu
#define TIOCOUTQ 0x5411u
static answer_t socket_ioctl(struct call *c, struct file *f, u32 command, u64 argument)
{
	struct socket *s = socket_of(f);
	u32 n;

	if (command != FIONREAD && command != TIOCOUTQ)
		return -ENOTTY;
	spin_lock(&s->obj.lock);
	n = command == TIOCOUTQ ? 0 : (u32)s->queued_bytes;
	if (command == FIONREAD && s->type != SOCK_STREAM && !list_empty(&s->queue))
		n = list_first_entry(&s->queue, struct socket_packet, link)->bytes;
	spin_unlock(&s->obj.lock);
	return s->state == SOCKET_LISTENING ? -EINVAL
					    : call_copy_out(c, (vaddr_t)argument, &n, sizeof(n));
}

static answer_t socket_release(struct call *c, struct file *f)
{
	struct socket *s;

	if (!f->obj.body)
		return 0;
	s = socket_of(f);
	file_names(f, nullptr);
	socket_close(s);
	object_put(&s->obj);
	return 0;
}

answer_t net_bind(struct call *c, u32 fd, u64 address, u32 bytes);
KABI_IMPLEMENT(net, .socket = net_socket, .socketpair = net_socketpair, .bind = net_bind,
	.listen = net_listen, .accept = net_accept, .connect = net_connect, .name = net_name,
	.send = net_send, .receive = net_receive, .shutdown = net_shutdown,
	.option_set = net_option_set, .option_get = net_option_get);
KABI_IMPLEMENT_AT(node, socket, .read = socket_read, .write = socket_write, .poll = socket_poll,
	.ioctl = socket_ioctl, .release = socket_release);
