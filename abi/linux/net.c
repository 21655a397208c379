/* Sockets: messages are imported into the record here, everything else is the net contract's. */
#include <kabi/net.h>
#include "abi.h"

#define MSG_DONTWAIT    0x40u
#define MSG_WAITFORONE  0x10000u
#define MSG_CMSG_COMPAT 0x80000000u
#define SOCK_FLAGS      (O_CLOEXEC | O_NONBLOCK)

answer_t sys_socket(struct call *c)
{
	return net_socket(SLOT(NET), c, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2));
}

answer_t sys_socketpair(struct call *c)
{
	return net_socketpair(SLOT(NET), c, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		c->args[3]);
}

answer_t sys_bind(struct call *c)
{
	return net_bind(SLOT(NET), c, arg_uint(c, 0), c->args[1], arg_uint(c, 2));
}

answer_t sys_listen(struct call *c)
{
	return net_listen(SLOT(NET), c, arg_uint(c, 0), arg_int(c, 1));
}

answer_t sys_accept(struct call *c)
{
	return net_accept(SLOT(NET), c, arg_uint(c, 0), c->args[1], c->args[2], 0);
}

answer_t sys_accept4(struct call *c)
{
	if (arg_uint(c, 3) & ~SOCK_FLAGS)
		return -EINVAL;
	return net_accept(SLOT(NET), c, arg_uint(c, 0), c->args[1], c->args[2], arg_uint(c, 3));
}

answer_t sys_connect(struct call *c)
{
	return net_connect(SLOT(NET), c, arg_uint(c, 0), c->args[1], arg_uint(c, 2));
}

answer_t sys_getsockname(struct call *c)
{
	return net_name(SLOT(NET), c, arg_uint(c, 0), 0, c->args[1], c->args[2]);
}

answer_t sys_getpeername(struct call *c)
{
	return net_name(SLOT(NET), c, arg_uint(c, 0), 1, c->args[1], c->args[2]);
}

answer_t sys_shutdown(struct call *c)
{
	return net_shutdown(SLOT(NET), c, arg_uint(c, 0), arg_uint(c, 1));
}

answer_t sys_setsockopt(struct call *c)
{
	if (arg_int(c, 4) < 0)
		return -EINVAL;
	return net_option_set(SLOT(NET), c, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		c->args[3], arg_uint(c, 4));
}

answer_t sys_getsockopt(struct call *c)
{
	return net_option_get(SLOT(NET), c, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		c->args[3], c->args[4]);
}

answer_t sys_sendto(struct call *c)
{
	size_t bytes = MIN(c->args[2], (word_t)USER_RW_MAX);
	struct uspan span = {c->args[1], bytes};
	struct socket_message m = {
		.name = c->args[4],
		.name_bytes = c->args[4] ? arg_uint(c, 5) : 0,
		.io = {.spans = &span, .nr = 1, .total = bytes},
	};

	if (!user_range_ok(span.addr, span.bytes))
		return -EFAULT;
	return net_send(SLOT(NET), c, arg_uint(c, 0), &m, arg_uint(c, 3) & ~MSG_CMSG_COMPAT);
}

/*
 * One message in the record. What a receive has taken off the queue cannot be had again: `received`
 * and the fields after it are written before anything is copied out, and later runs only copy
 * (ABI-I2).
 */
struct message {
	struct user_msghdr head; /* as read, once */
	bool imported, received;
	answer_t result;
	struct socket_message m;
	struct abi_iovec iov; /* last: its spans follow */
};

static size_t message_bytes(u32 nr_iov)
{
	return sizeof(struct message) + nr_iov * sizeof(struct uspan);
}

/* The header decides the size of record memory, so it is read first; a changed one in a later run
 * is the program's own loss. */
static answer_t message_begin(struct call *c, vaddr_t user, struct message **out)
{
	struct user_msghdr head;
	struct message *m = c->memory;

	if (!m) {
		abi_try(abi_copy_in(c, &head, user));
		if (head.iovlen > USER_IOV_MAX)
			return -EMSGSIZE;
		abi_memory(c, m, message_bytes((u32)head.iovlen));
		m->head = head;
	}
	if (!m->imported) {
		abi_try(abi_iovec_import(c, &m->iov, (vaddr_t)m->head.iov, m->head.iovlen));
		m->imported = true;
	}
	*out = m;
	return 0;
}

static void message_fill(struct message *m)
{
	m->m = (struct socket_message){
		.name = (vaddr_t)m->head.name,
		.name_bytes = m->head.name ? (u32)m->head.namelen : 0,
		.io = {.spans = m->iov.spans, .nr = m->iov.nr, .total = m->iov.total},
		.control = (vaddr_t)m->head.control,
		.control_bytes = m->head.control ? (size_t)m->head.controllen : 0,
	};
}

static answer_t send_message(struct call *c, struct message *m, u32 flags)
{
	if (m->head.namelen < 0)
		return -EINVAL;
	if (m->head.controllen > INT32_MAX)
		return -ENOBUFS;
	message_fill(m);
	return net_send(SLOT(NET), c, arg_uint(c, 0), &m->m, flags & ~MSG_CMSG_COMPAT);
}

answer_t sys_sendmsg(struct call *c)
{
	struct message *m;

	abi_try(message_begin(c, c->args[1], &m));
	return send_message(c, m, arg_uint(c, 2));
}

static answer_t receive_message(struct call *c, struct message *m, u32 flags)
{
	if (m->received)
		return m->result;
	if (m->head.namelen < 0)
		return -EINVAL;
	message_fill(m);
	m->result = net_receive(SLOT(NET), c, arg_uint(c, 0), &m->m,
		flags & ~(MSG_CMSG_COMPAT | MSG_WAITFORONE));
	if (m->result < 0)
		return m->result;
	m->received = true;
	call_effect_recorded(c);
	return m->result;
}

/* Where a result cannot go out, EFAULT is all that the program hears of what was moved, as on
 * Linux. */
static answer_t result_out(struct call *c, answer_t a)
{
	if (answer_is_error(a) && !answer_is_kind(a))
		call_effect_all_told(c);
	return a;
}

/* namelen, controllen and flags go back; the rest of the header is the program's. */
static answer_t message_back(struct call *c, const struct message *m, vaddr_t user)
{
	u64 control = m->m.control_bytes;

	if (m->head.name)
		abi_try(call_copy_out(c, user + offsetof(struct user_msghdr, namelen),
			&m->m.name_bytes, sizeof(u32)));
	abi_try(call_copy_out(c, user + offsetof(struct user_msghdr, controllen), &control,
		sizeof(control)));
	return call_copy_out(c, user + offsetof(struct user_msghdr, flags), &m->m.flags_out,
		sizeof(u32));
}

answer_t sys_recvmsg(struct call *c)
{
	struct message *m;
	answer_t a;

	abi_try(message_begin(c, c->args[1], &m));
	a = receive_message(c, m, arg_uint(c, 2));
	if (a < 0)
		return a;
	abi_try(result_out(c, message_back(c, m, c->args[1])));
	return a;
}

answer_t sys_recvfrom(struct call *c)
{
	struct message *m;
	size_t bytes = MIN(c->args[2], (word_t)USER_RW_MAX);
	struct uspan span = {c->args[1], bytes};
	s32 room = 0;
	answer_t a;

	/* Without an address there is nothing to copy out afterwards: no record memory. */
	if (!c->args[4]) {
		struct socket_message plain = {.io = {.spans = &span, .nr = 1, .total = bytes}};

		if (!user_range_ok(span.addr, span.bytes))
			return -EFAULT;
		return net_receive(SLOT(NET), c, arg_uint(c, 0), &plain,
			arg_uint(c, 3) & ~MSG_CMSG_COMPAT);
	}
	abi_memory(c, m, message_bytes(1));
	if (!m->imported) {
		abi_try(abi_copy_in(c, &room, c->args[5]));
		if (!user_range_ok(span.addr, span.bytes))
			return -EFAULT;
		m->head.name = c->args[4];
		m->head.namelen = room;
		m->iov.nr = 1;
		m->iov.total = bytes;
		m->iov.spans[0] = span;
		m->imported = true;
	}
	a = receive_message(c, m, arg_uint(c, 3));
	if (a < 0)
		return a;
	abi_try(result_out(c, call_copy_out(c, c->args[5], &m->m.name_bytes, sizeof(u32))));
	return a;
}

/*
 * sendmmsg and recvmmsg: one message a run, then MORE. The frame counts; record memory belongs to
 * the message in work and is given back between two.
 */
struct batch_progress {
	u64 done;
	u64 message_done;
	s64 result;
};

static answer_t batch_next(struct call *c, struct batch_progress *p, u32 nr)
{
	p->message_done = 0;
	p->done++;
	call_memory_free(c);
	call_effect_recorded(c);
	return p->done < nr ? call_more(c) : (answer_t)p->done;
}

static answer_t batch_length(struct call *c, vaddr_t user, answer_t bytes)
{
	u32 length = (u32)bytes;

	return call_copy_out(c, user + offsetof(struct user_mmsghdr, len), &length, sizeof(length));
}

/* An error after the first message: the count is the answer, the error comes with the next call. */
static answer_t batch_error(const struct batch_progress *p, answer_t a)
{
	return answer_is_kind(a) || !p->done ? a : (answer_t)p->done;
}

answer_t sys_sendmmsg(struct call *c)
{
	struct batch_progress *p = call_progress(c, struct batch_progress);
	u32 nr = MIN(arg_uint(c, 2), USER_IOV_MAX);
	vaddr_t user = c->args[1] + (vaddr_t)p->done * sizeof(struct user_mmsghdr);
	struct message *m;
	answer_t a;

	if (!nr)
		return 0;
	if (!p->message_done) {
		a = message_begin(c, user, &m);
		if (!a)
			a = send_message(c, m, arg_uint(c, 3));
		if (a < 0)
			return batch_error(p, a);
		p->result = a;
		p->message_done = 1;
		call_effect_recorded(c);
	}
	a = result_out(c, batch_length(c, user, (answer_t)p->result));
	return a ? batch_error(p, a) : batch_next(c, p, nr);
}

answer_t sys_recvmmsg(struct call *c)
{
	struct batch_progress *p = call_progress(c, struct batch_progress);
	u32 nr = MIN(arg_uint(c, 2), USER_IOV_MAX), flags = arg_uint(c, 3);
	vaddr_t user = c->args[1] + (vaddr_t)p->done * sizeof(struct user_mmsghdr);
	struct user_timespec ts;
	struct message *m;
	answer_t a;

	if (c->args[4] && !c->deadline_set) {
		abi_try(abi_copy_in(c, &ts, c->args[4]));
		if (!abi_timespec_valid(&ts))
			return -EINVAL;
		call_wait_deadline(c, abi_ns_add(time_monotonic_ns(), abi_timespec_ns(&ts)));
	}
	if (!nr)
		return 0;
	if (p->done && flags & MSG_WAITFORONE)
		flags |= MSG_DONTWAIT;
	a = message_begin(c, user, &m);
	if (!a)
		a = receive_message(c, m, flags);
	if (a < 0)
		return batch_error(p, a);
	a = message_back(c, m, user);
	if (!a)
		a = batch_length(c, user, m->result);
	a = result_out(c, a);
	return a ? batch_error(p, a) : batch_next(c, p, nr);
}
