/* User ranges of one transfer, and staging of directory entries. Nothing here faults in or sleeps.
 */
#include <lib/string.h>
#include "node_priv.h"

/* Finds the span that holds byte `done`: its index, the offset in it in *skip; u->nr at the end. */
static u32 uio_at(const struct uio *u, size_t done, size_t *skip)
{
	u32 i = 0;

	for (; i < u->nr && done >= u->spans[i].bytes; i++)
		done -= u->spans[i].bytes;
	*skip = done;
	return i;
}

static size_t copy_piece(struct call *c, const struct uio *u, vaddr_t user, void *buf, size_t bytes,
	bool out)
{
	if (u->kernel) {
		if (out)
			memcpy((void *)user, buf, bytes);
		else
			memcpy(buf, (const void *)user, bytes);
		return bytes;
	}
	return out ? call_copy_out_partial(c, user, buf, bytes)
		   : call_copy_in_partial(c, buf, user, bytes);
}

static size_t uio_copy(struct call *c, const struct uio *u, size_t done, void *buf, size_t bytes,
	bool out)
{
	size_t copied = 0, skip;

	for (u32 i = uio_at(u, done, &skip); i < u->nr && copied < bytes; i++, skip = 0) {
		size_t piece = MIN(u->spans[i].bytes - skip, bytes - copied), n;

		if (!piece)
			continue;
		n = copy_piece(c, u, u->spans[i].addr + skip, (char *)buf + copied, piece, out);
		copied += n;
		if (n < piece)
			break;
	}
	return copied;
}

/* Where a copy stopped is where the next need begins, also for who copies all or nothing. */
static size_t ended(struct call *c, size_t done, size_t copied, size_t bytes)
{
	if (unlikely(copied < bytes))
		c->uio_stopped = done + copied;
	return copied;
}

size_t uio_copy_out(struct call *c, const struct uio *u, size_t done, const void *src, size_t bytes)
{
	size_t n;

	if (likely(u->nr == 1 && !u->kernel && done + bytes <= u->spans[0].bytes))
		n = call_copy_out_partial(c, u->spans[0].addr + done, src, bytes);
	else
		n = uio_copy(c, u, done, (void *)src, bytes, true);
	return ended(c, done, n, bytes);
}
size_t uio_copy_in(struct call *c, const struct uio *u, size_t done, void *dst, size_t bytes)
{
	size_t n;

	if (likely(u->nr == 1 && !u->kernel && done + bytes <= u->spans[0].bytes))
		n = call_copy_in_partial(c, dst, u->spans[0].addr + done, bytes);
	else
		n = uio_copy(c, u, done, dst, bytes, false);
	return ended(c, done, n, bytes);
}

#define UIO_NEED_BYTES 65536u
answer_t uio_need(struct call *c, const struct uio *u, size_t done, bool write)
{
	size_t skip, from = MAX(done, c->uio_stopped);
	u32 i = uio_at(u, from, &skip);
	answer_t a;

	if (i == u->nr || u->kernel)
		return -EFAULT;
	if (from > c->uio_reached) { /* progress, although nothing is kept of it */
		c->uio_reached = from;
		c->runs = 0;
	}
	c->dirty = true;
	a = call_need_user(c,
		(struct uspan){u->spans[i].addr + skip,
			MIN(u->spans[i].bytes - skip, (size_t)UIO_NEED_BYTES)},
		write);
	/* Small spans, each in a page of its own: several at once. One that is bad shows when the
	 * copy comes to it. */
	for (u32 k = 1; a == ANSWER_NEED && k < CALL_NEEDS_MAX && i + k < u->nr; k++)
		if (u->spans[i + k].bytes)
			(void)call_need_user(c,
				(struct uspan){u->spans[i + k].addr,
					MIN(u->spans[i + k].bytes, (size_t)UIO_NEED_BYTES)},
				write);
	return a;
}

/* linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type, name; records aligned to 8 (getdents(2)).
 */
bool dirent_add(struct dirent_sink *s, const char *name, u32 len, u64 ino, u64 next_cursor,
	u32 mode)
{
	size_t bytes = ALIGN_UP((size_t)19 + len + 1, (size_t)8);
	u8 *at;
	u16 reclen = (u16)bytes;
	u64 next = next_cursor + s->cursor_bias;

	if (bytes > s->size - s->used) {
		s->full = true;
		return false;
	}
	at = s->buffer + s->used;
	memset(at + bytes - 8, 0, 8);
	memcpy(at, &ino, 8);
	memcpy(at + 8, &next, 8);
	memcpy(at + 16, &reclen, 2);
	at[18] = (u8)(S_TYPE(mode) >> 12); /* DT_* */
	memcpy(at + 19, name, len);
	at[19 + len] = 0;
	s->used += bytes;
	s->nr++;
	return true;
}
