/* Ancillary data: cmsg(3), unix(7). struct cmsghdr is {word length, int level, int type}, aligned
 * to words. Theory in unix.c. */
#include <core/call.h>
#include <lib/string.h>
#include "net_priv.h"

#define SCM_RIGHTS        1u
#define SCM_CREDENTIALS   2u
#define CONTROL_BYTES_MAX 4096u
struct cmsg {
	word_t len;
	u32 level, type;
};

static answer_t take_files(struct call *c, struct socket_packet *p, const u8 *data, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		struct file *f;
		s32 fd;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fd < 0 ? nullptr : files_get(c->task->files, (u32)fd);
		if (!f)
			return -EBADF;
		p->fds[p->nr_fds++] = f;
	}
	return 0;
}

static answer_t take_credentials(struct call *c, struct socket_packet *p, const u8 *data)
{
	const struct credentials *k = &c->ctx->cred;
	struct socket_credentials v;

	memcpy(&v, data, sizeof(v));
	if ((v.pid != group_pid_nr(c->task->group) && !context_capable(c->ctx, CAP_SYS_ADMIN)) ||
		(v.uid != k->uid.value && v.uid != k->euid.value && v.uid != k->suid.value &&
			!context_capable(c->ctx, CAP_SETUID)) ||
		(v.gid != k->gid.value && v.gid != k->egid.value && v.gid != k->sgid.value &&
			!context_capable(c->ctx, CAP_SETGID)))
		return -EPERM;
	p->cred = v;
	return 0;
}

static answer_t parse(struct call *c, const u8 *buf, size_t bytes, struct socket_packet *p,
	u32 *nr_fds)
{
	for (size_t at = 0; at + sizeof(struct cmsg) <= bytes;) {
		struct cmsg h;
		size_t body;
		answer_t a = 0;

		memcpy(&h, buf + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > bytes - at)
			return -EINVAL;
		body = h.len - sizeof(h);
		if (h.level == SOL_SOCKET && h.type == SCM_RIGHTS) {
			if (body / sizeof(s32) > SOCKET_FDS_MAX - *nr_fds)
				return -EINVAL;
			*nr_fds += (u32)(body / sizeof(s32));
			if (p)
				a = take_files(c, p, buf + at + sizeof(h),
					(u32)(body / sizeof(s32)));
		} else if (h.level == SOL_SOCKET && h.type == SCM_CREDENTIALS) {
			if (body != sizeof(struct socket_credentials))
				return -EINVAL;
			if (p)
				a = take_credentials(c, p, buf + at + sizeof(h));
		} else if (h.level == SOL_SOCKET) {
			return -EINVAL;
		}
		if (a)
			return a;
		at += ALIGN_UP(h.len, sizeof(word_t));
	}
	return 0;
}

/* A packet for `bytes` of data with what the control buffer carries. */
answer_t control_in(struct call *c, const struct socket_message *m, struct socket_packet **out,
	u32 bytes)
{
	const struct credentials *k = &c->ctx->cred;
	struct socket_packet *p = nullptr;
	u32 nr_fds = 0, again = 0;
	u8 *buf = nullptr;
	answer_t a = 0;

	if (m->control_bytes > CONTROL_BYTES_MAX)
		return -ENOBUFS;
	if (m->control_bytes) {
		buf = kmalloc(m->control_bytes);
		if (!buf)
			return call_need_memory(c, m->control_bytes);
		a = call_copy_in(c, buf, m->control, m->control_bytes);
		if (!a)
			a = parse(c, buf, m->control_bytes, nullptr, &nr_fds);
	}
	if (!a) {
		p = socket_packet_new(bytes, nr_fds);
		a = p ? 0 : call_need_memory(c, bytes);
	}
	if (!a) {
		p->cred = (struct socket_credentials){group_pid_nr(c->task->group), k->euid.value,
			k->egid.value};
		a = parse(c, buf, m->control_bytes, p, &again);
	}
	kfree(buf);
	if (a && p) {
		socket_packet_free(p);
		p = nullptr;
	}
	*out = p;
	return a;
}

static void put(u8 *buf, size_t *used, u32 type, const void *data, size_t bytes)
{
	struct cmsg h = {sizeof(h) + bytes, SOL_SOCKET, type};

	memcpy(buf + *used, &h, sizeof(h));
	memcpy(buf + *used + sizeof(h), data, bytes);
	*used += ALIGN_UP(h.len, sizeof(word_t));
}

/* Installs the files of p, as many as fit; fds[] gets their numbers. */
static u32 install_files(struct call *c, struct socket_packet *p, u32 max, u32 flags, s32 *fds)
{
	u32 n;

	for (n = 0; n < MIN(p->nr_fds, max); n++) {
		answer_t fd;

		file_get(p->fds[n]);
		fd = call_install(c, p->fds[n], flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
		if (fd < 0) {
			file_put(p->fds[n]);
			break;
		}
		fds[n] = (s32)fd;
	}
	socket_packet_taken(p);
	return n;
}

static void put_credentials(u8 *buf, size_t *used, size_t room, const struct socket_packet *p,
	struct socket_message *m)
{
	if (room >= sizeof(struct cmsg) + sizeof(p->cred))
		put(buf, used, SCM_CREDENTIALS, &p->cred, sizeof(p->cred));
	else
		m->flags_out |= MSG_CTRUNC;
}

/* Installs as many files as there is room for their numbers; how many. */
static u32 put_files(struct call *c, u8 *buf, size_t *used, size_t room, struct socket_packet *p,
	struct socket_message *m, u32 flags, s32 *fds)
{
	size_t begin = *used + sizeof(struct cmsg);
	u32 max = room > begin ? (u32)((room - begin) / sizeof(s32)) : 0,
	    nr = install_files(c, p, max, flags, fds);

	if (nr)
		put(buf, used, SCM_RIGHTS, fds, nr * sizeof(s32));
	if (nr < p->nr_fds)
		m->flags_out |= MSG_CTRUNC;
	return nr;
}

static void take_back(struct call *c, const s32 *fds, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		struct file *f = call_uninstall(c, (u32)fds[i]);

		if (f)
			file_put(f);
	}
	call_effect_undone(c);
}

/* Writes what p carries; m->control_bytes becomes what was used. Nothing is left installed when it
 * answers a kind or an error. */
answer_t control_out(struct call *c, struct socket *s, struct socket_packet *p,
	struct socket_message *m, u32 flags)
{
	size_t room = MIN(m->control_bytes, (size_t)CONTROL_BYTES_MAX), used = 0;
	u32 nr = 0;
	s32 *fds; /* behind the buffer: too many for the stack */
	u8 *buf;
	answer_t a;

	m->control_bytes = 0;
	if (!p->nr_fds && !s->pass_credentials)
		return 0;
	buf = kzalloc(CONTROL_BYTES_MAX + 64 + SOCKET_FDS_MAX * sizeof(*fds));
	if (!buf)
		return call_need_memory(c, CONTROL_BYTES_MAX);
	fds = (s32 *)(buf + CONTROL_BYTES_MAX + 64);
	a = room ? call_copy_out(c, m->control, buf, room)
		 : 0; /* present and writable, before anything is installed */
	if (a) {
		kfree(buf);
		m->control_bytes = room;
		return a;
	}
	if (s->pass_credentials)
		put_credentials(buf, &used, room, p, m);
	if (p->nr_fds)
		nr = put_files(c, buf, &used, room, p, m, flags, fds);
	used = MIN(used, room);
	m->control_bytes = used;
	if (used && call_copy_out_partial(c, m->control, buf, used) != used) {
		/* The page went away meanwhile: nothing was given, and the call may run again. */
		take_back(c, fds, nr);
		m->control_bytes = room;
		a = call_need_user(c, (struct uspan){m->control, room}, true);
	}
	kfree(buf);
	return a;
}
