/*
 * Sockets: bodies, names and queues.
 *
 * Purpose: what must survive a swap of net/. Objects and lifetimes: a socket lives while its file,
 * its peer, a queue or an inode refer to it; socket_close cuts those ties. Invariants: SOCK-I1 no
 * two sockets' locks are held at once; SOCK-I2 a packet is on one queue or owned by one caller;
 * SOCK-I3 queued_bytes is the sum over the queue.
 *
 * Locks: obj.lock (LOCK_LEVEL_NODE), names_lock. Failure and recovery: nothing here waits.
 * Replacement: core data. Cost: one allocation per packet.
 */
#include <core/socket.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/task.h>
#include <lib/string.h>

static struct spinlock names_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE + 4);
static struct list_node names = LIST_INIT(names);

struct socket *socket_new(u32 type, const struct call *c)
{
	struct socket *s = kzalloc(sizeof(*s));

	if (!s)
		return nullptr;
	object_init(&s->obj, OBJECT_SOCKET, LOCK_LEVEL_NODE, &account_root);
	s->type = type;
	s->send_bytes = s->receive_bytes = SOCKET_QUEUE_BYTES;
	list_init(&s->pending);
	list_init(&s->pending_link);
	list_init(&s->queue);
	list_init(&s->abstract_link);
	list_init(&s->flying_link);
	list_init(&s->scan_link);
	waitable_init(&s->wait);
	s->mine = (struct socket_credentials){group_pid_nr(c->task->group), c->ctx->cred.euid.value,
		c->ctx->cred.egid.value};
	return s;
}

struct socket_packet *socket_packet_new(u32 bytes, u32 nr_fds)
{
	struct socket_packet *p = kmalloc(sizeof(*p) + bytes);

	if (!p)
		return nullptr;
	*p = (struct socket_packet){.bytes = bytes};
	list_init(&p->link);
	if (nr_fds) {
		p->fds = kmalloc_array(nr_fds, sizeof(*p->fds));
		if (!p->fds) {
			kfree(p);
			return nullptr;
		}
	}
	return p;
}

static struct socket *find_abstract_locked(const char *name, u32 len)
{
	struct socket *s;

	list_for_each_entry (s, &names, abstract_link)
		if (s->name_len == len && !memcmp(s->name, name, len))
			return s;
	return nullptr;
}

int socket_name_abstract(struct socket *s, const char *name, u32 len)
{
	int r = 0;

	spin_lock(&names_lock);
	if (find_abstract_locked(name, len)) {
		r = -EADDRINUSE;
	} else {
		memcpy(s->name, name, len);
		s->name_len = len;
		list_add(&names, &s->abstract_link);
	}
	spin_unlock(&names_lock);
	return r;
}

struct socket *socket_find_abstract(const char *name, u32 len)
{
	struct socket *s;

	spin_lock(&names_lock);
	s = find_abstract_locked(name, len);
	if (s && !object_get_live(&s->obj))
		s = nullptr;
	spin_unlock(&names_lock);
	return s;
}

struct socket *socket_of_inode(struct inode *i)
{
	struct socket *s;

	spin_lock(&names_lock);
	s = i->bound_socket ? container_of(i->bound_socket, struct socket, obj) : nullptr;
	if (s && !object_get_live(&s->obj))
		s = nullptr;
	spin_unlock(&names_lock);
	return s;
}

int socket_bind_inode(struct socket *s, struct inode *i)
{
	int r = 0;

	spin_lock(&names_lock);
	if (i->bound_socket) {
		r = -EADDRINUSE;
	} else {
		/* borrowed: socket_close clears it, so that a bound name keeps no socket alive */
		i->bound_socket = &s->obj;
		inode_get(i);
		s->inode = i;
	}
	spin_unlock(&names_lock);
	return r;
}

static void forget_name(struct socket *s)
{
	struct inode *i;

	spin_lock(&names_lock);
	i = s->inode;
	s->inode = nullptr;
	if (i)
		i->bound_socket = nullptr;
	if (list_linked(&s->abstract_link))
		list_del(&s->abstract_link);
	spin_unlock(&names_lock);
	if (i)
		inode_put(i);
}

/* The other end learns that this one is gone. */
static void part(struct socket *s, bool unread)
{
	struct socket *peer;

	spin_lock(&s->obj.lock);
	peer = s->peer;
	s->peer = nullptr;
	s->state = SOCKET_DISCONNECTED;
	spin_unlock(&s->obj.lock);
	if (!peer)
		return;
	if (s->type != 2) {
		spin_lock(&peer->obj.lock);
		peer->peer_gone = true;
		if (unread)
			peer->error = ECONNRESET; /* unix(7): the peer closed with unread data */
		spin_unlock(&peer->obj.lock);
	}
	waitable_wake(&peer->wait, EV_IN | EV_OUT | EV_HUP | EV_RDHUP, 0);
	object_put(&peer->obj);
}

void socket_close(struct socket *s)
{
	struct list_node packets = LIST_INIT(packets), waiting = LIST_INIT(waiting), *n;
	bool unread;

	forget_name(s);
	spin_lock(&s->obj.lock);
	unread = !list_empty(&s->queue);
	list_splice_tail(&packets, &s->queue);
	s->queued_bytes = s->nr_queued = 0;
	list_splice_tail(&waiting, &s->pending);
	s->nr_pending = 0;
	spin_unlock(&s->obj.lock);
	part(s, unread);
	while ((n = list_pop(&packets)))
		socket_packet_free(list_entry(n, struct socket_packet, link));
	while ((n = list_pop(&waiting))) {
		struct socket *p = list_entry(n, struct socket, pending_link);

		socket_close(p); /* one level: a connection has no pending ones */
		object_put(&p->obj);
	}
	waitable_wake(&s->wait, EV_ANY, 0);
	socket_collect_later();
}
