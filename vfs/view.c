/*
 * Files of pseudo file systems (node slot `view`): the view renders the whole text; the open file
 * keeps it, so that reads in pieces see one text. A read at position 0 renders again (programs like
 * top seek to 0 and read on).
 */
#include <core/task.h>
#include "vfs_priv.h"

#define STORE_BYTES_MAX 65536u

static answer_t render(struct call *c, struct file *f)
{
	struct text t = {};
	answer_t a = view_render(f->inode->sb->view, c, f->inode, &t);

	if (a < 0 || t.failed) {
		size_t wanted = 2 * t.cap + PAGE_BYTES;

		text_free(&t);
		return a < 0 ? a : call_need_memory(c, wanted);
	}
	kfree(f->private_data);
	f->private_data = t.data; /* the text's memory is kmalloc's: the file owns it now */
	f->private_bytes = t.len;
	f->rendered = true;
	return 0;
}

answer_t view_node_read(struct call *c, struct file *f, struct uio *io)
{
	s64 pos = io->positioned ? io->pos : f->pos;
	size_t bytes, n;

	if (!file_readable(f))
		return -EBADF;
	if (pos < 0)
		return -EINVAL;
	/* One reader at a time: the text is replaced under it. */
	if (!call_hold(c, EXCL_INODE, &f->pos_excl, f->obj.id, false))
		return ANSWER_NEED;
	if (!f->rendered || (pos == 0 && !call_frame(c)->live)) {
		answer_t a = render(c, f);

		if (a)
			return a;
	}
	if ((u64)pos >= f->private_bytes)
		return 0;
	bytes = MIN(io->total, f->private_bytes - (size_t)pos);
	n = uio_copy_out(c, io, 0, (const u8 *)f->private_data + pos, bytes);
	if (!n && bytes) {
		answer_t a = uio_need(c, io, 0, true);

		/* The next run reads from the text that is here. */
		if (answer_is_kind(a))
			(void)call_progress(c, u64);
		return a;
	}
	if (!io->positioned) {
		call_effect(c);
		f->pos = pos + (s64)n;
	}
	return (answer_t)n;
}

answer_t view_node_write(struct call *c, struct file *f, struct uio *io)
{
	size_t bytes = MIN(io->total, (size_t)STORE_BYTES_MAX);
	s64 pos = io->positioned ? io->pos : f->pos;
	char *buf;
	answer_t a;

	if (!file_writable(f))
		return -EBADF;
	buf = kmalloc(bytes + 1);
	if (!buf)
		return call_need_memory(c, bytes + 1);
	if (uio_copy_in(c, io, 0, buf, bytes) != bytes) {
		kfree(buf);
		return uio_need(c, io, 0, false);
	}
	buf[bytes] = 0;
	a = view_store(f->inode->sb->view, c, f->inode, buf, (u32)bytes, (u64)pos);
	kfree(buf);
	if (a > 0)
		call_effect(c);
	if (a > 0 && !io->positioned)
		f->pos = pos + a;
	return a;
}

answer_t view_node_seek(struct call *c, struct file *f, s64 offset, u32 whence)
{
	s64 base = whence == 1 ? f->pos : 0, pos;

	if (whence > 2)
		return -EINVAL;
	if (whence == 2) {
		if (!f->rendered) {
			answer_t a = render(c, f);

			if (a)
				return a;
		}
		base = (s64)f->private_bytes;
	}
	if (!checked_add(base, offset, &pos) || pos < 0)
		return -EINVAL;
	f->pos = pos;
	return 0;
}

answer_t view_node_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	(void)c;
	(void)f;
	(void)ask;
	return EV_IN | EV_OUT | EV_RDNORM | EV_WRNORM;
}
