/* epoll_ctl(2), epoll_wait(2) and the poll of an epoll (node slot `epoll`). Items and wakes:
 * core/node/epoll.c. */
#include <core/epoll.h>
#include "vfs_priv.h"

#define EPOLL_CTL_ADD 1u
#define EPOLL_CTL_DEL 2u
#define EPOLL_CTL_MOD 3u

answer_t vfs_epoll_create(struct call *c, u32 flags)
{
	struct epoll *ep;
	struct file *f;
	answer_t a;

	if (flags & ~O_CLOEXEC)
		return -EINVAL;
	ep = epoll_new();
	if (!ep)
		return call_need_memory(c, sizeof(*ep));
	f = file_new_anonymous(NODE_EPOLL, O_RDWR, "anon_inode:[eventpoll]", &ep->obj);
	if (!f) {
		object_put(&ep->obj);
		return call_need_memory(c, sizeof(*f));
	}
	a = call_install(c, f, flags & O_CLOEXEC);
	if (a < 0)
		file_put(f);
	return a;
}

/* Arms a new item and looks at its state once. */
static answer_t item_start(struct call *c, struct epoll_item *item, struct file *f)
{
	struct poll_ask ask = {.want_wait = true};
	answer_t a = vfs_poll_file(c, f, &ask);
	bool moved;

	if (answer_is_error(a))
		return a;
	moved = epoll_arm(item, &ask);
	if (moved || (u32)a & (item->events | EV_ERR | EV_HUP))
		epoll_item_ready(item);
	return 0;
}

static answer_t ctl_add(struct call *c, struct epoll *ep, struct file *f, u32 fd, u32 events,
	u64 data)
{
	struct epoll_item *item = nullptr;
	answer_t a;

	if (events & EPOLL_EXCLUSIVE && (f->type == NODE_EPOLL || events & EPOLL_ONESHOT))
		return -EINVAL;
	a = epoll_insert(ep, f, fd, events, data, &item);
	if (a)
		return a;
	a = item_start(c, item, f);
	if (a) /* run again later: nobody may have seen it ready */
		epoll_remove(item);
	epoll_item_put(item);
	return a;
}

static answer_t ctl_mod(struct call *c, struct epoll_item *item, struct file *f, u32 events,
	u64 data)
{
	answer_t a;

	if ((events | item->events) & EPOLL_EXCLUSIVE)
		return -EINVAL;
	epoll_modify(item, events, data);
	a = vfs_poll_file(c, f, nullptr);
	if (!answer_is_error(a) && (u32)a & (events | EV_ERR | EV_HUP))
		epoll_item_ready(item);
	return answer_is_error(a) ? a : 0;
}

answer_t vfs_epoll_ctl(struct call *c, u32 epfd, u32 op, u32 fd, u32 events, u64 data)
{
	struct file *ef = call_file_for(c, epfd, CAP_RIGHT_CONTROL);
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	struct epoll_item *item;
	struct epoll *ep;
	answer_t a = file_error(ef);

	if (!a)
		a = file_error(f);
	if (a)
		return a;
	/* epoll_ctl(2): files and directories cannot be watched. */
	if (f->type == NODE_FILE || f->type == NODE_DIR)
		return -EPERM;
	if (ef == f || ef->type != NODE_EPOLL)
		return -EINVAL;
	events |= EV_ERR | EV_HUP; /* always asked for; without them an item is one that ONESHOT has
				      disarmed */
	ep = ef->obj.body;
	if (op == EPOLL_CTL_ADD)
		return ctl_add(c, ep, f, fd, events, data);
	item = epoll_find(ep, f, fd);
	if (!item)
		return op == EPOLL_CTL_DEL || op == EPOLL_CTL_MOD ? -ENOENT : -EINVAL;
	if (op == EPOLL_CTL_DEL) {
		epoll_remove(item);
		a = 0;
	} else if (op == EPOLL_CTL_MOD) {
		a = ctl_mod(c, item, f, events, data);
	} else {
		a = -EINVAL;
	}
	epoll_item_put(item);
	return a;
}

/* struct epoll_event: x86-64 packs it to 12 bytes, the others pad to 16. */
static answer_t event_out(struct call *c, u64 user, u32 event_bytes, u32 events, u64 data)
{
	u8 buf[16] = {};

	memcpy(buf, &events, 4);
	memcpy(buf + event_bytes - 8, &data, 8);
	return call_copy_out_partial(c, (vaddr_t)user, buf, event_bytes) == event_bytes ? 0
											: -EFAULT;
}

/* Reports one ready item. 1: told; 0: not ready after all; an error or kind: it is back where it
 * was. */
static answer_t report(struct call *c, struct epoll_item *item, struct file *f, u64 user,
	u32 event_bytes)
{
	u32 events = READ_ONCE(item->events), found;
	answer_t a = vfs_poll_file(c, f, nullptr);

	if (answer_is_error(a)) {
		epoll_put_ready(item, true);
		return a;
	}
	found = (u32)a & (events | EV_ERR | EV_HUP) & ~EPOLL_PRIVATE;
	if (!(events & ~EPOLL_PRIVATE)) /* disarmed by ONESHOT */
		found = 0;
	if (!found)
		return 0;
	if (event_out(c, user, event_bytes, found, item->data)) {
		epoll_put_ready(item, true);
		return -EFAULT;
	}
	if (events & EPOLL_ONESHOT)
		epoll_modify(item, events & EPOLL_PRIVATE, item->data);
	else if (!(events & EPOLL_ET))
		epoll_put_ready(item, false);
	return 1;
}

/* Tells of ready items until there are `max`; *told goes on from what an earlier run has told. */
static answer_t report_ready(struct call *c, struct epoll *ep, u64 events, u32 max, u32 event_bytes,
	u32 *told)
{
	struct epoll_item *item;
	struct file *f;

	/* Level-triggered items go back to the end: one look at each that was ready when this
	 * began. */
	for (u32 looks = READ_ONCE(ep->nr_ready);
		looks && *told < max && (item = epoll_take_ready(ep, &f)); looks--) {
		vaddr_t user = (vaddr_t)events + (vaddr_t)*told * event_bytes;
		answer_t a = report(c, item, f, user, event_bytes);

		epoll_item_put(item);
		file_put(f);
		if (a == 1)
			++*told;
		if (likely(a >= 0))
			continue;
		if (a == -EFAULT)
			a = call_need_user(c, (struct uspan){user, event_bytes}, true);
		if (answer_is_kind(a))
			*call_progress(c, u64) = *told; /* the next run goes on behind them */
		return a;
	}
	return 0;
}

answer_t vfs_epoll_wait(struct call *c, u32 epfd, u64 events, u32 max, u32 event_bytes)
{
	struct file *ef = call_file_for(c, epfd, CAP_RIGHT_CONTROL);
	struct epoll *ep;
	u32 seq, told = call_frame(c)->live ? (u32)*call_progress(c, u64) : 0;
	answer_t a;

	if ((s32)max <= 0 || max > INT32_MAX / 16)
		return -EINVAL;
	if (file_error(ef))
		return file_error(ef);
	if (ef->type != NODE_EPOLL)
		return -EINVAL;
	ep = ef->obj.body;
	seq = waitable_seq(&ep->wait);
	a = report_ready(c, ep, events, max, event_bytes, &told);
	if (unlikely(answer_is_kind(a)) || (unlikely(a) && !told))
		return a;
	if (told) {
		/* More than this caller took: the next waiter's turn. */
		if (READ_ONCE(ep->nr_ready) && waitable_has_waiters(&ep->wait))
			waitable_wake(&ep->wait, EV_IN | EV_RDNORM, 1);
		return told;
	}
	if (call_expired(c) || (c->deadline_set && c->deadline_ns <= 0))
		return 0;
	if (call_interrupted(c))
		return -EINTR;
	if (call_wait_add_exclusive(c, &ep->wait, EV_IN, seq))
		return call_need_memory(c, sizeof(struct wait_entry));
	return call_wait(c);
}

/* Ready when an item really is: those that are not any more leave the list. */
answer_t epoll_node_poll(struct call *c, struct file *ef, struct poll_ask *ask)
{
	struct epoll *ep = ef->obj.body;
	struct epoll_item *item;
	struct file *f;
	u32 looks;

	poll_ask_add(ask, &ep->wait, EV_IN | EV_RDNORM);
	for (looks = READ_ONCE(ep->nr_ready); looks && (item = epoll_take_ready(ep, &f)); looks--) {
		answer_t a = vfs_poll_file(c, f, nullptr);
		u32 events = READ_ONCE(item->events);
		bool ready = !answer_is_error(a) && events & ~EPOLL_PRIVATE &&
			     (u32)a & (events | EV_ERR | EV_HUP);

		if (ready || answer_is_error(a))
			epoll_put_ready(item, true);
		epoll_item_put(item);
		file_put(f);
		if (ready)
			return EV_IN | EV_RDNORM;
	}
	return 0;
}
