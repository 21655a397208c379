/* Pipe bodies: life and ends. What reads and writes do: vfs/pipe.c. */
#include <lib/string.h>
#include <core/pipe.h>
#include "node_priv.h"

struct pipe *pipe_new(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return nullptr;
	object_init(&p->obj, OBJECT_PIPE, LOCK_LEVEL_NODE, &account_root);
	p->nr_pages = PIPE_PAGES_DEFAULT;
	p->ring = kzalloc(p->nr_pages * sizeof(*p->ring));
	if (!p->ring) {
		kfree(p);
		return nullptr;
	}
	waitable_init(&p->readable);
	waitable_init(&p->writable);
	exclusion_init(&p->write_excl, &p->obj);
	return p;
}

static void pipe_drain(struct pipe *p)
{
	while (p->used) {
		frame_free(pipe_entry(p, 0)->frame, 0);
		pipe_entry_done(p);
	}
	p->bytes = 0;
	if (p->spare)
		frame_free(p->spare, 0);
	p->spare = nullptr;
}

void pipe_release(struct object *o)
{
	struct pipe *p = container_of(o, struct pipe, obj);

	pipe_drain(p);
	kfree(p->ring);
	kfree(p);
}

struct pipe *pipe_of_fifo(struct inode *i)
{
	struct pipe *fresh = i->fifo ? nullptr : pipe_new(), *p;

	spin_lock(&i->obj.lock);
	if (!i->fifo && fresh) {
		fresh->inode = i;
		i->fifo = fresh;
		fresh = nullptr;
	}
	p = i->fifo;
	if (p)
		object_get(&p->obj);
	spin_unlock(&i->obj.lock);
	if (fresh)
		object_put(&fresh->obj);
	return p;
}

u32 pipe_open_end(struct pipe *p, bool read, bool write)
{
	u32 mark;

	spin_lock(&p->obj.lock);
	/* Stored once each: opens and polls look at the four without the lock. */
	mark = read ? p->writer_opens - (p->writers != 0) : p->reader_opens - (p->readers != 0);
	if (read) {
		WRITE_ONCE(p->readers, p->readers + 1);
		WRITE_ONCE(p->reader_opens, p->reader_opens + 1);
	}
	if (write) {
		WRITE_ONCE(p->writers, p->writers + 1);
		WRITE_ONCE(p->writer_opens, p->writer_opens + 1);
	}
	spin_unlock(&p->obj.lock);
	if (read)
		waitable_wake(&p->writable, EV_ANY, 0);
	if (write)
		waitable_wake(&p->readable, EV_ANY, 0);
	return mark;
}

/* An open end is ended. */
void pipe_file_gone(struct file *f)
{
	struct pipe *p = f->obj.body;
	bool empty;

	if (!p)
		return;
	spin_lock(&p->obj.lock);
	if (file_readable(f))
		WRITE_ONCE(p->readers, p->readers - 1);
	if (file_writable(f))
		WRITE_ONCE(p->writers, p->writers - 1);
	/* A FIFO that nobody has open forgets what was in it. */
	empty = !p->readers && !p->writers;
	if (empty)
		pipe_drain(p);
	spin_unlock(&p->obj.lock);
	waitable_wake(&p->readable, EV_IN | EV_RDNORM | EV_HUP, 0);
	waitable_wake(&p->writable, EV_OUT | EV_WRNORM | EV_ERR, 0);
}

int pipe_resize(struct pipe *p, u32 nr_pages)
{
	struct pipe_page *ring = kzalloc(nr_pages * sizeof(*ring)), *old;

	if (!ring)
		return -ENOMEM;
	spin_lock(&p->obj.lock);
	if (p->used > nr_pages) {
		spin_unlock(&p->obj.lock);
		kfree(ring);
		return -EBUSY;
	}
	for (u32 i = 0; i < p->used; i++)
		ring[i] = *pipe_entry(p, i);
	old = p->ring;
	p->ring = ring;
	p->head = 0;
	p->nr_pages = nr_pages;
	spin_unlock(&p->obj.lock);
	kfree(old);
	waitable_wake(&p->writable, EV_OUT | EV_WRNORM, 0);
	return 0;
}
