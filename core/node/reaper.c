/*
 * The reaper: a core thread that ends objects whose end may sleep (inodes with blocks to free,
 * files). Theory: core/node/name.c. An object in the queue has no references; the queue is linked
 * through its grace head, which nobody else uses until it is freed. The task that dropped the last
 * reference does not go back to user mode, or end, before the object has: it helps meanwhile. So
 * what a call freed is free when it returns, and nobody unlinks faster than blocks are freed.
 */
#include <core/log.h>
#include <core/task.h>
#include "node_priv.h"

static struct spinlock lock = SPINLOCK_INIT(LOCK_LEVEL_NAME_HASH + 2);
static struct grace_head *queue guarded_by(&lock);
static u32 nr_taken guarded_by(&lock); /* taken out and not yet ended */
static u32 nr_draining
	guarded_by(&lock); /* of those: their end waits in reaper_drain, so nobody waits for them */
static struct waitable work, ended;

/* In an interrupt the task below waits for what it did not drop: harmless, and rare. */
void reaper_queue(struct object *o)
{
	struct task *t = current->kernel_thread ? nullptr : current;

	o->grace.object = o;
	o->grace.period = (word_t)t;
	if (t) {
		object_get(&t->obj);
		atomic32_fetch_add(&t->nr_reaps, 1);
		task_work_set(t, TASK_WORK_REAP);
	}
	spin_lock(&lock);
	o->grace.next = queue;
	WRITE_ONCE(queue, &o->grace);
	spin_unlock(&lock);
	waitable_wake(&work, EV_ANY, 0);
}

static struct object *reaper_take(void)
{
	struct grace_head *h;

	spin_lock(&lock);
	h = queue;
	if (h) {
		WRITE_ONCE(queue, h->next);
		nr_taken++;
	}
	spin_unlock(&lock);
	return h ? h->object : nullptr;
}

static void reap(struct object *o)
{
	switch ((u32)o->type) {
	case OBJECT_INODE:
		inode_evict(container_of(o, struct inode, obj));
		break;
	case OBJECT_FILE:
		file_destroy(container_of(o, struct file, obj));
		break;
	default:
		panic("reaper: object type %u", o->type);
	}
}

static void reap_one(struct object *o)
{
	struct task *t = (struct task *)(word_t)o->grace.period;

	current->reaping++;
	reap(o);
	current->reaping--;
	spin_lock(&lock);
	nr_taken--;
	spin_unlock(&lock);
	if (t)
		atomic32_fetch_sub(&t->nr_reaps, 1);
	waitable_wake(&ended, EV_ANY, 0);
	if (t)
		object_put(&t->obj);
}

void reaper_finish_own(void)
{
	struct task *t = current;
	struct object *o;

	while (atomic32_load(&t->nr_reaps)) {
		while (atomic32_load(&t->nr_reaps) && (o = reaper_take()))
			reap_one(o);
		wait_event(&ended, EV_ANY, !atomic32_load(&t->nr_reaps) || READ_ONCE(queue), 0);
	}
}

static bool nothing_taken(void)
{
	bool idle;

	spin_lock(&lock);
	idle = nr_taken <= nr_draining && !queue;
	spin_unlock(&lock);
	return idle;
}

static void draining_add(u32 nr)
{
	spin_lock(&lock);
	nr_draining += nr;
	spin_unlock(&lock);
	waitable_wake(&ended, EV_ANY, 0);
}

void reaper_pause(bool on)
{
	draining_add(on ? 1 : -1u);
}

/* What was queued before has ended when it returns, but for what this task is ending itself (an
 * inode's end that makes space) and what waits here in the same way. Context: thread, may sleep. */
void reaper_drain(void)
{
	u32 mine = current->reaping;
	struct object *o;

	draining_add(mine);
	do {
		while ((o = reaper_take()))
			reap_one(o);
		wait_event(&ended, EV_ANY, nothing_taken() || READ_ONCE(queue), 0);
	} while (!nothing_taken());
	draining_add(-mine);
}

static void reaper_thread(void *arg)
{
	(void)arg;
	for (;;) {
		struct object *o;

		wait_event(&work, EV_ANY, (o = reaper_take()) != nullptr, 0);
		if (o)
			reap_one(o);
	}
}

void reaper_start(void)
{
	if (!task_kernel_thread(reaper_thread, nullptr, "node-reaper"))
		panic("no memory for the reaper thread");
}

void node_object_release(struct object *o)
{
	switch ((u32)o->type) {
	case OBJECT_NAME:
		name_release(container_of(o, struct name, obj));
		break;
	case OBJECT_INODE:
		inode_release(container_of(o, struct inode, obj));
		break;
	case OBJECT_MOUNT:
		mount_release(container_of(o, struct mount, obj));
		break;
	case OBJECT_SUPERBLOCK:
		superblock_release(container_of(o, struct superblock, obj));
		break;
	case OBJECT_FILE:
		file_release(container_of(o, struct file, obj));
		break;
	case OBJECT_FILES:
		files_release(container_of(o, struct files, obj));
		break;
	case OBJECT_WALK:
		walk_set_release(container_of(o, struct walk_set, obj));
		break;
	case OBJECT_PIPE:
		pipe_release(o);
		break;
	case OBJECT_EPOLL:
		epoll_release(o);
		break;
	case OBJECT_EVENT:
	case OBJECT_TIMER:
	case OBJECT_FILE_EVENT:
		event_release(o);
		break;
	default:
		panic("core/node does not own objects of type %u", o->type);
	}
}

void node_boot_init(void)
{
	waitable_init(&work);
	waitable_init(&ended);
	name_boot_init();
	inode_boot_init();
	superblock_boot_init();
	mount_boot_init();
	file_boot_init();
	reaper_start();
}

#define RELEASE(type)                                                                              \
	void object_release_##type(struct object *o)                                               \
	{                                                                                          \
		node_object_release(o);                                                            \
	}
RELEASE(name)
RELEASE(inode)
RELEASE(mount)
RELEASE(superblock)
RELEASE(file)
RELEASE(files)
RELEASE(pipe)
RELEASE(epoll)
RELEASE(event)
RELEASE(timer)
RELEASE(walk)
RELEASE(file_event)
