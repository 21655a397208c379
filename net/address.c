/* struct sockaddr_un: unix(7). Theory in unix.c. */
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "net_priv.h"

#define AT_FDCWD     (-100)
#define FAMILY_BYTES 2u
struct bind_progress {
	u64 made; /* the name exists: the rest cannot fail for want of it */
};

/* name: sun_path as given, without a trailing 0 for paths; len 0: only the family was given
 * (autobind). */
answer_t address_in(struct call *c, u64 user, u32 bytes, char *name, u32 *len)
{
	struct {
		u16 family;
		char path[SOCKET_NAME_MAX];
	} a = {};
	answer_t r;

	if (bytes < FAMILY_BYTES || bytes > FAMILY_BYTES + SOCKET_NAME_MAX)
		return -EINVAL;
	r = call_copy_in(c, &a, (vaddr_t)user, bytes);
	if (r)
		return r;
	if (a.family != AF_UNIX)
		return -EINVAL;
	*len = bytes - FAMILY_BYTES;
	memcpy(name, a.path, *len);
	name[*len] = 0;
	if (*len && name[0])
		*len = (u32)strnlen(name, *len);
	return 0;
}

static answer_t bind_path(struct call *c, struct socket *s, const char *name, u32 len)
{
	struct bind_progress *p = call_progress(c, struct bind_progress);
	struct open_request request = {};
	answer_t a = call_path_set(c, 0, name, len);
	int r;

	if (a)
		return a;
	if (!p->made) {
		a = vfs_mknod(SLOT(VFS), c, AT_FDCWD, 0, S_IFSOCK | 0777, 0);
		if (a)
			return a == -EEXIST ? -EADDRINUSE : a;
		p->made = 1;
	}
	a = vfs_open_kernel(SLOT(VFS), c, 0, O_PATH | O_NOFOLLOW, &request);
	if (a < 0)
		return a;
	r = request.file->inode ? socket_bind_inode(s, request.file->inode) : -EINVAL;
	file_put(request.file);
	if (r)
		return r;
	spin_lock(&s->obj.lock);
	memcpy(s->name, name, len);
	s->name[len] = 0;
	s->name_len = len;
	spin_unlock(&s->obj.lock);
	return 0;
}

/* Five hexadecimal digits behind a 0: unix(7), "Autobind feature". */
static answer_t autobind(struct call *c, struct socket *s)
{
	char name[8];

	for (u32 i = 0; i < 0x1000; i++) {
		u32 n = (u32)((s->obj.id + i * 0x9e3779b1u) & 0xfffff);

		name[0] = 0;
		snprintf(name + 1, sizeof(name) - 1, "%05x", n);
		if (!socket_name_abstract(s, name, 6))
			return 0;
	}
	return -ENOSPC;
}

answer_t net_bind(struct call *c, u32 fd, u64 address, u32 bytes);
answer_t net_bind(struct call *c, u32 fd, u64 address, u32 bytes)
{
	char name[SOCKET_NAME_MAX + 1];
	struct file *f;
	u32 len;
	answer_t a;
	struct socket *s = net_socket_of_fd(c, fd, &f, &a);

	if (!s)
		return a;
	a = address_in(c, address, bytes, name, &len);
	if (a)
		return a;
	if (s->name_len)
		return -EINVAL;
	if (!len)
		return autobind(c, s);
	return name[0] ? bind_path(c, s, name, len) : socket_name_abstract(s, name, len);
}

answer_t address_find(struct call *c, const char *name, u32 len, struct socket **out)
{
	struct open_request request = {};
	struct inode *i;
	answer_t a;

	if (!name[0]) {
		*out = socket_find_abstract(name, len);
		return *out ? 0 : -ECONNREFUSED;
	}
	a = call_path_set(c, 0, name, len);
	if (!a)
		a = vfs_open_kernel(SLOT(VFS), c, 0, O_PATH, &request);
	if (a < 0)
		return a;
	i = request.file->inode;
	a = i ? inode_permission(c->ctx, i, MAY_WRITE) : -ECONNREFUSED;
	if (!a) {
		*out = inode_type(i) == S_IFSOCK ? socket_of_inode(i) : nullptr;
		a = *out ? 0 : -ECONNREFUSED;
	}
	file_put(request.file);
	return a;
}

answer_t address_copy(struct call *c, const struct socket *s, u64 user, u32 room, u32 *used)
{
	struct {
		u16 family;
		char path[SOCKET_NAME_MAX + 1];
	} a = {.family = AF_UNIX};
	u32 len = s ? s->name_len : 0;

	if (len)
		memcpy(a.path, s->name, len);
	*used = FAMILY_BYTES + len + (len && a.path[0] ? 1 : 0); /* a path counts its 0 */
	return call_copy_out(c, (vaddr_t)user, &a, MIN(*used, room));
}

answer_t address_out(struct call *c, const struct socket *s, u64 user, u64 length_user)
{
	s32 room;
	u32 used;
	answer_t a = call_copy_in(c, &room, (vaddr_t)length_user, sizeof(room));

	if (a)
		return a;
	if (room < 0)
		return -EINVAL;
	a = address_copy(c, s, user, (u32)room, &used);
	return a ? a : call_copy_out(c, (vaddr_t)length_user, &used, sizeof(used));
}
