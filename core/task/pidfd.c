/* Open files that name a process, made by clone (CLONE_PIDFD) and used by waitid; pidfd_open(2) and
 * poll are vfs's. */
#include "task_internal.h"
#include <core/event.h>

struct file *pidfd_file_new(struct pid *p, u32 flags)
{
	struct pidfd *body = pidfd_new(p);
	struct file *f =
		body ? file_new_anonymous(NODE_PID, flags, "anon_inode:[pidfd]", &body->obj)
		     : nullptr;

	if (body && !f)
		object_put(&body->obj);
	return f;
}

struct pid *pidfd_file_pid(struct file *f)
{
	return f->type == NODE_PID
		       ? container_of((struct object *)f->obj.body, struct pidfd, obj)->pid
		       : nullptr;
}
