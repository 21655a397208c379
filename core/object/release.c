/*
 * What happens when the last reference of an object goes: a closed switch over its type. The owner
 * of a type implements object_release_TYPE() (declared in core/object.h); it ends with
 * object_free(). A type without one is plain memory.
 */
#include <core/lock.h>
#include <core/log.h>
#include <core/node.h>
#include <core/object.h>

void object_free(struct object *o)
{
	grace_defer(&o->grace, GRACE_OBJECT_FREE, o);
}

#define PLAIN_RELEASE(type)                                                                        \
	__attribute__((weak)) void object_release_##type(struct object *o)                         \
	{                                                                                          \
		object_free(o);                                                                    \
	}
PLAIN_RELEASE(task)
PLAIN_RELEASE(thread_group)
PLAIN_RELEASE(pid)
PLAIN_RELEASE(space)
PLAIN_RELEASE(memory)
PLAIN_RELEASE(inode)
PLAIN_RELEASE(name)
PLAIN_RELEASE(mount)
PLAIN_RELEASE(superblock)
PLAIN_RELEASE(file)
PLAIN_RELEASE(pipe)
PLAIN_RELEASE(socket)
PLAIN_RELEASE(epoll)
PLAIN_RELEASE(event)
PLAIN_RELEASE(timer)
PLAIN_RELEASE(tty)
PLAIN_RELEASE(context)
PLAIN_RELEASE(fs_context)
PLAIN_RELEASE(files)
PLAIN_RELEASE(namespace)
PLAIN_RELEASE(device)
PLAIN_RELEASE(block_device)
PLAIN_RELEASE(component)
PLAIN_RELEASE(state)
PLAIN_RELEASE(account)
PLAIN_RELEASE(walk)
PLAIN_RELEASE(file_event)

static void release(struct object *o)
{
	switch (o->type) {
	case OBJECT_TASK:
		return object_release_task(o);
	case OBJECT_THREAD_GROUP:
		return object_release_thread_group(o);
	case OBJECT_PID:
		return object_release_pid(o);
	case OBJECT_SPACE:
		return object_release_space(o);
	case OBJECT_MEMORY:
		return object_release_memory(o);
	case OBJECT_INODE:
		return object_release_inode(o);
	case OBJECT_NAME:
		return object_release_name(o);
	case OBJECT_MOUNT:
		return object_release_mount(o);
	case OBJECT_SUPERBLOCK:
		return object_release_superblock(o);
	case OBJECT_FILE:
		return object_release_file(o);
	case OBJECT_PIPE:
		return object_release_pipe(o);
	case OBJECT_SOCKET:
		return object_release_socket(o);
	case OBJECT_EPOLL:
		return object_release_epoll(o);
	case OBJECT_EVENT:
		return object_release_event(o);
	case OBJECT_TIMER:
		return object_release_timer(o);
	case OBJECT_TTY:
		return object_release_tty(o);
	case OBJECT_CONTEXT:
		return object_release_context(o);
	case OBJECT_FS_CONTEXT:
		return object_release_fs_context(o);
	case OBJECT_FILES:
		return object_release_files(o);
	case OBJECT_NAMESPACE:
		return object_release_namespace(o);
	case OBJECT_DEVICE:
		return object_release_device(o);
	case OBJECT_BLOCK_DEVICE:
		return object_release_block_device(o);
	case OBJECT_COMPONENT:
		return object_release_component(o);
	case OBJECT_STATE:
		return object_release_state(o);
	case OBJECT_ACCOUNT:
		return object_release_account(o);
	case OBJECT_WALK:
	case OBJECT_FILE_EVENT:
		return node_object_release(o);
	case OBJECT_NONE:
	case OBJECT_NR_TYPES:
		break;
	}
	panic("object %llu of no type released", (unsigned long long)o->id);
}

void object_put(struct object *o)
{
	if (refcount_dec_and_test(&o->refs))
		release(o);
}
