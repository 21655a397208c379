/* eventfd, timerfd, signalfd, pidfd (node slot `event`; the body's kind is file->type), memfd.
 * Bodies: core/event.h. */
#include <core/call.h>
#include <core/event.h>
#include <core/task.h>
#include <kabi/personality.h>
#include <kabi/slots.h>
#include "vfs_priv.h"

static answer_t install_anonymous(struct call *c, enum node_type type, u32 flags, const char *label,
	struct object *body, bool cloexec)
{
	struct file *f = file_new_anonymous(type, flags, label, body);
	answer_t a;

	if (!f) {
		object_put(body);
		return call_need_memory(c, sizeof(struct file));
	}
	a = call_install(c, f, cloexec ? O_CLOEXEC : 0);
	if (a < 0)
		file_put(f);
	return a;
}

answer_t vfs_eventfd(struct call *c, u32 initial, u32 flags)
{
	struct eventfd *e;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | 1u)) /* EFD_SEMAPHORE 1 */
		return -EINVAL;
	e = eventfd_new(initial, flags & 1);
	if (!e)
		return call_need_memory(c, sizeof(*e));
	return install_anonymous(c, NODE_EVENT, O_RDWR | (flags & O_NONBLOCK),
		"anon_inode:[eventfd]", &e->obj, flags & O_CLOEXEC);
}

static answer_t eventfd_read(struct call *c, struct file *f, struct eventfd *e, struct uio *io)
{
	u32 seq = waitable_seq(&e->readable);
	u64 value;
	bool copied = true;

	if (io->total < 8)
		return -EINVAL;
	spin_lock(&e->obj.lock);
	value = e->semaphore && e->count ? 1 : e->count;
	if (value) {
		/* Taken only when the user has it. */
		copied = uio_copy_out(c, io, 0, &value, 8) == 8;
		if (copied) {
			call_effect(c);
			e->count -= value;
		}
	}
	spin_unlock(&e->obj.lock);
	if (!copied)
		return uio_need(c, io, 0, true);
	if (value) {
		waitable_wake(&e->writable, EV_OUT | EV_WRNORM, 0);
		return 8;
	}
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &e->readable, EV_IN, seq);
}

static answer_t eventfd_write(struct call *c, struct file *f, struct eventfd *e, struct uio *io)
{
	u32 seq = waitable_seq(&e->writable);
	u64 value;
	bool ok;

	if (io->total < 8)
		return -EINVAL;
	if (uio_copy_in(c, io, 0, &value, 8) != 8)
		return uio_need(c, io, 0, false);
	if (value == ~0ull)
		return -EINVAL;
	spin_lock(&e->obj.lock);
	ok = ~0ull - e->count > value;
	if (ok) {
		call_effect(c);
		e->count += value;
	}
	spin_unlock(&e->obj.lock);
	if (ok) {
		waitable_wake(&e->readable, EV_IN | EV_RDNORM, 0);
		return 8;
	}
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &e->writable, EV_OUT, seq);
}

/* --- timerfd --- */
#define TFD_TIMER_ABSTIME       1u
#define TFD_TIMER_CANCEL_ON_SET 2u

answer_t vfs_timerfd_create(struct call *c, u32 clock, u32 flags)
{
	struct timerfd *t;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		break;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return context_capable(c->ctx, 35) ? -EOPNOTSUPP
						   : -EPERM; /* CAP_WAKE_ALARM; no wake-up device */
	default:
		return -EINVAL;
	}
	t = timerfd_new(clock);
	if (!t)
		return call_need_memory(c, sizeof(*t));
	return install_anonymous(c, NODE_TIMER, O_RDWR | (flags & O_NONBLOCK),
		"anon_inode:[timerfd]", &t->obj, flags & O_CLOEXEC);
}

static struct timerfd *timerfd_of(struct call *c, u32 fd, answer_t *error)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);

	*error = file_error(f);
	if (*error)
		return nullptr;
	*error = -EINVAL;
	return f->type == NODE_TIMER ? f->obj.body : nullptr;
}

static answer_t timer_out(struct call *c, struct timerfd *t, u64 user)
{
	ktime_t remaining, interval;
	s64 spec[4];

	timerfd_get(t, &remaining, &interval);
	spec[0] = interval / NSEC_PER_SEC;
	spec[1] = interval % NSEC_PER_SEC;
	spec[2] = remaining / NSEC_PER_SEC;
	spec[3] = remaining % NSEC_PER_SEC;
	return call_copy_out(c, (vaddr_t)user, spec, sizeof(spec));
}

answer_t vfs_timerfd_settime(struct call *c, u32 fd, u32 flags, s64 value_ns, s64 interval_ns,
	u64 old)
{
	struct timerfd *t;
	ktime_t next = KTIME_MAX, now = time_monotonic_ns();
	answer_t a;

	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || value_ns < 0 ||
		interval_ns < 0)
		return -EINVAL;
	t = timerfd_of(c, fd, &a);
	if (!t)
		return a;
	if (old) {
		a = timer_out(c, t, old);
		if (a)
			return a;
	}
	if (value_ns) {
		s64 base = !(flags & TFD_TIMER_ABSTIME) ? now
			   : t->clock == CLOCK_REALTIME ? -time_wall_offset_ns()
			   : t->clock == CLOCK_BOOTTIME ? now - time_boottime_ns()
							: 0;

		if (!checked_add(base, value_ns, &next))
			next = KTIME_MAX - 1;
		next = MAX(next, (ktime_t)1);
	}
	timerfd_set(t, next, interval_ns);
	return 0;
}

answer_t vfs_timerfd_gettime(struct call *c, u32 fd, u64 value)
{
	answer_t a;
	struct timerfd *t = timerfd_of(c, fd, &a);

	return t ? timer_out(c, t, value) : a;
}

static answer_t timerfd_read(struct call *c, struct file *f, struct timerfd *t, struct uio *io)
{
	u32 seq = waitable_seq(&t->fired);
	u64 ticks;

	if (io->total < 8)
		return -EINVAL;
	ticks = timerfd_take(t, 0);
	if (ticks) {
		if (uio_copy_out(c, io, 0, &ticks, 8) != 8)
			return uio_need(c, io, 0, true);
		/* As many as were told. Another reader may have been faster: then there is nothing
		 * to take. */
		if (timerfd_take(t, ticks))
			return 8;
	}
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, &t->fired, EV_IN, seq);
}

/* --- signalfd --- */
#define SIGNALFD_BYTES 128u
answer_t vfs_signalfd(struct call *c, s32 fd, u64 mask, u32 flags)
{
	struct signalfd *s;
	struct file *f;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	mask &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	if (fd != -1) {
		f = call_file_for(c, (u32)fd, CAP_RIGHT_CONTROL);
		if (file_error(f))
			return file_error(f);
		if (f->type != NODE_SIGNAL)
			return -EINVAL;
		s = f->obj.body;
		spin_lock(&s->obj.lock);
		s->mask = mask;
		spin_unlock(&s->obj.lock);
		waitable_wake(call_signal_event(c), EV_IN, 0);
		return fd;
	}
	s = signalfd_new(mask);
	if (!s)
		return call_need_memory(c, sizeof(*s));
	return install_anonymous(c, NODE_SIGNAL, O_RDWR | (flags & O_NONBLOCK),
		"anon_inode:[signalfd]", &s->obj, flags & O_CLOEXEC);
}

/* struct signalfd_siginfo (linux/signalfd.h): the same on all architectures. */
static void signalfd_info(const struct signal_info *i, u8 *out)
{
	u32 *w = (u32 *)(void *)out;

	memset(out, 0, SIGNALFD_BYTES);
	w[0] = (u32)i->signo;
	w[1] = (u32)i->error;
	w[2] = (u32)i->code;
	w[3] = (u32)i->pid;
	w[4] = i->uid;
	w[5] = (u32)i->band_fd;
	w[6] = (u32)i->timer_id;
	w[7] = (u32)i->band;
	w[8] = (u32)i->overrun;
	w[10] = (u32)i->status;
	w[11] = (u32)i->value;
	memcpy(out + 48, &i->value, 8);
	memcpy(out + 56, &i->utime, 8);
	memcpy(out + 64, &i->stime, 8);
	memcpy(out + 72, &i->value, 8);
	memcpy(out + 80, &i->addr_lsb, 2);
}

/* What has been told so far stays told: the next run goes on behind it. */
static answer_t signalfd_fault(struct call *c, const struct uio *io, size_t done)
{
	answer_t a = uio_need(c, io, done, true);

	if (answer_is_kind(a)) {
		*call_progress(c, u64) = done;
		call_effect_recorded(c);
	}
	return answer_is_kind(a) || !done ? a : (answer_t)done;
}

/* Dequeueing is the effect: the record is in the user's buffer before, and is that of the signal
 * taken, or is written again. */
static answer_t signalfd_read(struct call *c, struct file *f, struct signalfd *s, struct uio *io)
{
	u32 seq = waitable_seq(call_signal_event(c));
	u8 info[SIGNALFD_BYTES] = {};
	size_t done = call_frame(c)->live ? (size_t)*call_progress(c, u64) : 0;
	struct signal_info si;

	if (io->total < SIGNALFD_BYTES)
		return -EINVAL;
	while (io->total - done >= SIGNALFD_BYTES && signal_peek(s->mask, &si)) {
		signalfd_info(&si, info);
		if (uio_copy_out(c, io, done, info, SIGNALFD_BYTES) != SIGNALFD_BYTES)
			return signalfd_fault(c, io, done);
		if (!signal_dequeue_same(s->mask, &si))
			continue; /* another thread took it */
		call_effect(c);
		done += SIGNALFD_BYTES;
	}
	if (done)
		return (answer_t)done;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (call_interrupted(c))
		return -ERESTARTSYS;
	return call_wait1(c, call_signal_event(c), EV_ANY, seq);
}

/* --- pidfd --- */
answer_t vfs_pidfd_open(struct call *c, s32 pid, u32 flags)
{
	struct pidfd *p;
	int error;

	if (flags & ~(O_NONBLOCK | 0200u) || pid <= 0) /* PIDFD_THREAD is O_EXCL */
		return -EINVAL;
	p = call_pidfd(c, pid, flags & 0200, &error);
	if (!p)
		return error;
	return install_anonymous(c, NODE_PID, O_RDWR | (flags & O_NONBLOCK), "anon_inode:[pidfd]",
		&p->obj, true);
}

/* --- memfd: a file of the tmpfs that core mounts for it --- */
#define MFD_CLOEXEC       1u
#define MFD_ALLOW_SEALING 2u
#define MFD_HUGETLB       4u
#define MFD_NOEXEC_SEAL   8u
#define MFD_EXEC          16u
/* An unlinked file on the internal mount. */
static answer_t memory_file(struct call *c, const char *label, u32 mode, struct file **out)
{
	struct fs_create_args args = {.mode = S_IFREG | mode,
		.uid = c->ctx->cred.fsuid,
		.gid = c->ctx->cred.fsgid};
	struct mount *m = memory_mount();
	struct path_ref path = {};
	struct inode *fresh;
	struct file *file;
	answer_t a;

	if (!m) {
		struct superblock *sb = nullptr;

		a = fs_mount(c, "tmpfs", "tmpfs", 0, "", &sb);
		if (a < 0)
			return a;
		m = memory_mount_set(sb);
		if (!m)
			return call_need_memory(c, sizeof(*m));
	}
	path.mount = m;
	path.name = name_alloc(m->root, label, (u32)strlen(label));
	if (!path.name)
		return call_need_memory(c, sizeof(struct name));
	file = file_new(NODE_FILE, O_RDWR | O_LARGEFILE, &path, nullptr, nullptr);
	name_put(path.name);
	if (!file)
		return call_need_memory(c, sizeof(*file));
	a = fs_create(c, m->root->inode, nullptr, 0, &args, &fresh);
	if (a < 0) {
		file_put(file);
		return a;
	}
	name_give_inode(path.name, fresh);
	file_give_inode(file, fresh);
	(void)file_write_get(file);
	*out = file;
	return 0;
}

answer_t vfs_memfd_create(struct call *c, u64 name, u32 flags)
{
	char text[256 + 8] = "memfd:";
	struct file *f;
	answer_t a;

	if (flags & MFD_HUGETLB ||
		flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if ((flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) == (MFD_EXEC | MFD_NOEXEC_SEAL))
		return -EINVAL;
	a = call_copy_string(c, text + 6, (vaddr_t)name, 250);
	if (a < 0)
		return a == -ENAMETOOLONG ? -EINVAL : a;
	a = memory_file(c, text, flags & MFD_NOEXEC_SEAL ? 0666 : 0777, &f);
	if (a < 0)
		return a;
	/* Without ALLOW_SEALING: F_SEAL_SEAL is set from the start. */
	f->inode->pages->seals = flags & MFD_NOEXEC_SEAL ? 0x20 : flags & MFD_ALLOW_SEALING ? 0 : 1;
	a = call_install(c, f, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
	if (a < 0) {
		file_put(f);
		call_effect_undone(c); /* nobody else knew it */
	}
	return a;
}

#define F_SEAL_SEAL         1u
#define F_SEAL_SHRINK       2u
#define F_SEAL_GROW         4u
#define F_SEAL_WRITE        8u
#define F_SEAL_FUTURE_WRITE 16u
#define F_SEAL_EXEC         32u
answer_t vfs_seals(struct call *c, u32 fd, u32 add, u32 seals)
{
	struct file *f = call_file_for(c, fd, CAP_RIGHT_CONTROL);
	struct memory_object *o;
	answer_t a = 0;

	if (file_error(f))
		return file_error(f);
	if (f->type != NODE_FILE || !f->inode->pages || f->inode->pages->kind != MEMORY_SHMEM)
		return -EINVAL;
	o = f->inode->pages;
	/* A plain file of a tmpfs is sealed against sealing. */
	if (!add)
		return f->path.mount->flags & MNT_INTERNAL ? (answer_t)o->seals
							   : (answer_t)F_SEAL_SEAL;
	if (!file_writable(f) || !(f->path.mount->flags & MNT_INTERNAL))
		return -EPERM;
	if (seals & ~63u)
		return -EINVAL;
	if (!vfs_hold_dir(c, f->inode))
		return ANSWER_NEED;
	if (o->seals & F_SEAL_SEAL)
		return -EPERM;
	/* A writable mapping would go on writing (fcntl(2)). */
	if (seals & F_SEAL_WRITE && memory_object_mapped_writable(o))
		return -EBUSY;
	if (seals & F_SEAL_EXEC && inode_mode(f->inode) & 0111)
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	call_effect(c);
	WRITE_ONCE(o->seals, o->seals | seals);
	return a;
}

/* --- the slot --- */
answer_t event_node_read(struct call *c, struct file *f, struct uio *io)
{
	if (!file_readable(f))
		return -EBADF;
	switch ((u32)f->type) {
	case NODE_EVENT:
		return eventfd_read(c, f, f->obj.body, io);
	case NODE_TIMER:
		return timerfd_read(c, f, f->obj.body, io);
	case NODE_SIGNAL:
		return signalfd_read(c, f, f->obj.body, io);
	default:
		return -EINVAL;
	}
}

answer_t event_node_write(struct call *c, struct file *f, struct uio *io)
{
	return f->type == NODE_EVENT ? eventfd_write(c, f, f->obj.body, io) : -EINVAL;
}

answer_t event_node_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	switch ((u32)f->type) {
	case NODE_EVENT: {
		struct eventfd *e = f->obj.body;
		u64 count;

		poll_ask_add(ask, &e->readable, EV_IN | EV_RDNORM | EV_ERR);
		poll_ask_add(ask, &e->writable, EV_OUT | EV_WRNORM);
		spin_lock(&e->obj.lock);
		count = e->count;
		spin_unlock(&e->obj.lock);
		return (count ? EV_IN : 0) | (count == ~0ull ? EV_ERR : 0) |
		       (count < ~0ull - 1 ? EV_OUT : 0);
	}
	case NODE_TIMER: {
		struct timerfd *t = f->obj.body;

		poll_ask_add(ask, &t->fired, EV_IN | EV_RDNORM);
		return timerfd_take(t, 0) ? EV_IN : 0;
	}
	case NODE_SIGNAL: {
		struct signalfd *s = f->obj.body;

		poll_ask_add(ask, call_signal_event(c), EV_ANY);
		return call_signal_pending(c, s->mask) ? EV_IN : 0;
	}
	case NODE_PID: {
		struct pidfd *p = f->obj.body;

		poll_ask_add(ask, pidfd_event(p), EV_ANY);
		return pidfd_exited(p) ? EV_IN | EV_RDNORM : 0;
	}
	default:
		return EV_ERR;
	}
}
