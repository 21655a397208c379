/*
 * Regular files and directories (node slot `file`): data moves between the user and the pages of
 * the inode's memory object.
 *
 * A step copies at most 64 KiB: what is resident is copied without faulting; an absent page or user
 * range is a NEED with the bytes done in the frame. Writes hold the inode's content from the first
 * byte to the last, over MORE, so that O_APPEND and a large write are whole.
 */
#include <arch/mmu.h>
#include <core/task.h>
#include "vfs_priv.h"

#define STEP_BYTES           65536u
#define NEED_PAGES_AT_ONCE   16u
#define READ_AHEAD_PAGES_MAX 32u
static const u8 zeros[512]; /* holes of files whose pages are nowhere else */

/* preadv2(2) */
#define RWF_DSYNC  2u
#define RWF_SYNC   4u
#define RWF_APPEND 16u

struct transfer { /* progress of read and write */
	u64 done;
	s64 pos;
	bool started;
	bool alone; /* a write that began without the position's exclusion goes on without */
};

static inline bool node_is_dir(const struct file *f)
{
	return f->type == NODE_DIR;
}
/* A shared position belongs to one transfer at a time. */
static bool hold_position(struct call *c, struct file *f, const struct uio *io)
{
	if (io->positioned || refcount_is_one(&f->obj.refs))
		return true;
	return call_hold(c, EXCL_INODE, &f->pos_excl, f->obj.id, false);
}

static bool atime_wanted(const struct file *f)
{
	const struct inode *i = f->inode;
	const struct mount *m = f->path.mount;
	struct timespec64 atime, mtime;
	s64 now;

	if (f->flags & O_NOATIME || m->flags & (MNT_NOATIME | MNT_RDONLY) ||
		i->sb->flags & SB_RDONLY)
		return false;
	if (m->flags & MNT_NODIRATIME && inode_is_dir(i))
		return false;
	if (m->flags & MNT_STRICTATIME)
		return true;
	/* relatime, the default: older than the last change, or a day old. WHY without the lock: a
	 * look that mixes two moments sets a time once too often, or leaves it to the next read. */
	atime = timespec64_peek(&i->atime);
	mtime = timespec64_peek(&i->mtime);
	if (atime.sec < mtime.sec || atime.sec < timespec64_peek(&i->ctime).sec ||
		(atime.sec == mtime.sec && atime.nsec <= mtime.nsec))
		return true;
	now = inode_now().sec;
	return now - atime.sec >= 24 * 3600;
}

/* How many pages to ask for at `index` instead of `nr`: a window that grows while the reader goes
 * straight on. */
static u64 read_ahead(struct file *f, u64 index, u64 nr)
{
	u64 end_page = (inode_size(f->inode) + PAGE_BYTES - 1) >> PAGE_SHIFT;
	u32 window = 0;

	/* pread(2) in two threads mixes the words: a wrong window, once. */
	if (index == READ_ONCE(f->ra_next_page)) {
		window = MIN(MAX(READ_ONCE(f->ra_window_pages) * 2, 4u), READ_AHEAD_PAGES_MAX);
		nr = MAX(nr, (u64)window);
	}
	WRITE_ONCE(f->ra_window_pages, window);
	nr = MIN(nr, end_page > index ? end_page - index : 1);
	WRITE_ONCE(f->ra_next_page, index + nr);
	return nr;
}

/* Pages are absent: what to ask for, with read-ahead for sequential readers. */
static answer_t need_read_pages(struct call *c, struct file *f, u64 index, u64 last)
{
	u64 nr = MIN(last - index + 1, (u64)NEED_PAGES_AT_ONCE);

	if (f->inode->pages->kind == MEMORY_FILE)
		nr = read_ahead(f, index, nr);
	return call_need_pages(c, NEED_PAGES, f->inode->pages, index,
		MIN(nr, (u64)READ_AHEAD_PAGES_MAX));
}

/* One page's part of a read. Bytes copied; *absent: the page is not there. */
static size_t read_page(struct call *c, struct memory_object *o, const struct uio *io, size_t done,
	u64 pos, size_t bytes, bool *absent)
{
	struct frame *frame = call_page(c, o, pos >> PAGE_SHIFT);
	u32 offset = (u32)(pos & (PAGE_BYTES - 1));
	size_t n = 0;

	*absent = !frame;
	if (likely(frame)) {
		u8 *page = page_begin(frame);

		n = uio_copy_out(c, io, done, page + offset, bytes);
		page_end(frame, page);
		frame_unpin(frame);
		return n;
	}
	if (o->kind != MEMORY_SHMEM ||
		memory_object_next_data(o, pos >> PAGE_SHIFT) == pos >> PAGE_SHIFT)
		return 0;
	*absent = false; /* a hole in memory-only data reads as zeros and stays a hole */
	while (n < bytes) {
		size_t piece = MIN(bytes - n, sizeof(zeros)),
		       k = uio_copy_out(c, io, done + n, zeros, piece);

		n += k;
		if (k < piece)
			break;
	}
	return n;
}

/* Of `left` bytes: what one page and the file have behind pos. */
static inline size_t piece_bytes(u64 pos, u64 size, size_t left)
{
	return MIN(MIN(left, (size_t)(PAGE_BYTES - (pos & (PAGE_BYTES - 1)))),
		(size_t)MIN(size - pos, (u64)PAGE_BYTES));
}

/* Copies from *pos until the step, the request or the file ends. done and *pos advance. 0, MORE,
 * NEED or an error. */
static answer_t read_step(struct call *c, struct file *f, const struct uio *io, size_t *done,
	s64 *pos)
{
	struct memory_object *o = f->inode->pages;
	size_t step = 0;

	for (;;) {
		u64 size = READ_ONCE(o->size_bytes);
		size_t left = io->total - *done, bytes, n;
		bool absent;

		if (!left || *pos >= (s64)size)
			return 0;
		if (step >= STEP_BYTES)
			return ANSWER_MORE;
		bytes = piece_bytes((u64)*pos, size, left);
		n = read_page(c, o, io, *done, (u64)*pos, bytes, &absent);
		*done += n;
		*pos += (s64)n;
		step += n;
		if (likely(n == bytes))
			continue;
		if (absent)
			return need_read_pages(c, f, (u64)*pos >> PAGE_SHIFT,
				((u64)*pos + MIN(left, (size_t)STEP_BYTES) - 1) >> PAGE_SHIFT);
		return uio_need(c, io, *done, true);
	}
}

/* Where this run goes on, and what earlier runs have read. */
static inline size_t read_from(struct call *c, const struct file *f, const struct uio *io, s64 *pos)
{
	if (unlikely(call_frame(c)->live)) {
		const struct transfer *t = call_progress(c, struct transfer);

		if (t->started) {
			*pos = t->pos;
			return (size_t)t->done;
		}
	}
	*pos = io->positioned ? io->pos : f->pos;
	return 0;
}

/* What was read is in the frame while the call waits by a. */
static answer_t read_pause(struct call *c, answer_t a, size_t done, s64 pos)
{
	struct transfer *t = call_progress(c, struct transfer);

	if (done != t->done)
		c->runs = 0; /* progress, although this run ends in a NEED */
	t->started = true;
	t->done = done;
	t->pos = pos;
	return a == ANSWER_MORE ? call_more(c) : a;
}

answer_t file_node_read(struct call *c, struct file *f, struct uio *io)
{
	size_t done;
	s64 pos;
	answer_t a;

	if (unlikely(!file_readable(f)))
		return -EBADF;
	if (unlikely(node_is_dir(f)))
		return -EISDIR;
	if (unlikely(!f->inode->pages))
		return -EINVAL;
	if (unlikely(!hold_position(c, f, io)))
		return ANSWER_NEED;
	done = read_from(c, f, io, &pos);
	if (unlikely(pos < 0))
		return -EINVAL;
	a = unlikely(call_killed(c)) ? -EINTR : read_step(c, f, io, &done, &pos);
	if (unlikely(answer_is_kind(a)))
		return read_pause(c, a, done, pos);
	if (a < 0 && !done)
		return a;
	if (!io->positioned) {
		call_effect(c);
		f->pos = pos;
	}
	if (done && unlikely(atime_wanted(f)))
		inode_touch(f->inode, INODE_ATIME);
	return (answer_t)done;
}

/* --- write --- */
u32 vfs_mode_without_setid(const struct call *c, const struct inode *i)
{
	u32 mode = inode_mode(i), clear;

	if (likely(!(mode & (S_ISUID | S_ISGID))) || S_TYPE(mode) != S_IFREG ||
		context_capable(c->ctx, CAP_FSETID))
		return 0;
	clear = mode & S_ISUID;
	if ((mode & (S_ISGID | 010)) == (S_ISGID | 010))
		clear |= S_ISGID;
	return clear ? mode & ~clear : 0;
}

/* Limits of one write: how many bytes may go to pos. Negative: the error, SIGXFSZ sent. */
static answer_t write_limit(struct call *c, const struct inode *i, s64 pos, size_t bytes)
{
	u64 limit = call_rlimit(c, RLIMIT_FSIZE), max = i->sb->max_file_bytes;

	if (i->pages->kind == MEMORY_BLOCK) {
		max = i->pages->size_bytes;
		return (u64)pos >= max ? -ENOSPC : (answer_t)MIN((u64)bytes, max - (u64)pos);
	}
	if (limit != RLIM_INFINITY) {
		if ((u64)pos >= limit) {
			call_signal(c, SIGXFSZ);
			return -EFBIG;
		}
		bytes = (size_t)MIN((u64)bytes, limit - (u64)pos);
	}
	if ((u64)pos >= max)
		return -EFBIG;
	return (answer_t)MIN((u64)bytes, max - (u64)pos);
}

static bool seals_forbid_write(const struct memory_object *o, s64 pos, size_t bytes)
{
	if (likely(!o->seals))
		return false;
	if (o->seals & 0x18) /* F_SEAL_WRITE, F_SEAL_FUTURE_WRITE */
		return true;
	return o->seals & 0x4 && (u64)pos + bytes > o->size_bytes; /* F_SEAL_GROW */
}

static void size_grow(struct inode *i, u64 end)
{
	if (end > READ_ONCE(i->pages->size_bytes)) {
		spin_lock(&i->pages->obj.lock);
		if (end > i->pages->size_bytes)
			WRITE_ONCE(i->pages->size_bytes, end);
		spin_unlock(&i->pages->obj.lock);
	}
}

/* The end moves behind bytes that were copied since `tail_clears` was read. False: it must not,
 * since write-back has cleared the page behind the old end meanwhile. */
static bool size_grow_over_copied(struct inode *i, u64 end, u32 tail_clears)
{
	struct memory_object *o = i->pages;
	bool whole = true;

	if (end > READ_ONCE(o->size_bytes)) {
		spin_lock(&o->obj.lock);
		whole = atomic32_load(&o->nr_tail_clears) == tail_clears;
		if (whole && end > o->size_bytes)
			WRITE_ONCE(o->size_bytes, end);
		spin_unlock(&o->obj.lock);
	}
	return whole;
}

/* Has the file system reserved what writing this page back needs? A page of the range that was
 * asked for may have failed. */
static bool page_writable(const struct memory_object *o, const struct frame *frame)
{
	return o->kind != MEMORY_FILE || frame_flags(frame) & (FRAME_DIRTY | FRAME_PREPARED);
}

static answer_t write_step(struct call *c, struct file *f, const struct uio *io, size_t total,
	struct transfer *t)
{
	struct memory_object *o = f->inode->pages;
	size_t step = 0;

	while (t->done < total) {
		size_t done = (size_t)t->done, left = total - done, bytes, n;
		u64 index = (u64)t->pos >> PAGE_SHIFT;
		u32 offset = (u32)(t->pos & (PAGE_BYTES - 1)), tail_clears;
		struct frame *frame;
		u8 *page;

		if (step >= STEP_BYTES)
			return ANSWER_MORE;
		frame = call_page(c, o, index);
		if (unlikely(!frame || !page_writable(o, frame))) {
			if (frame)
				frame_unpin(frame);
			return call_need_pages(c, NEED_PAGES_WRITE, o, index,
				MIN((u64)NEED_PAGES_AT_ONCE,
					(((u64)t->pos + left - 1) >> PAGE_SHIFT) - index + 1));
		}
		bytes = MIN(left, (size_t)(PAGE_BYTES - offset));
		tail_clears = atomic32_load_acquire(&o->nr_tail_clears);
		page = page_begin(frame);
		n = uio_copy_in(c, io, done, page + offset, bytes);
		page_end(frame, page);
		/* The end first: write-back takes a dirty page behind the end for clean. */
		if (unlikely(n && !size_grow_over_copied(f->inode, (u64)t->pos + n, tail_clears))) {
			frame_unpin(frame);
			continue;
		}
		if (n) {
			call_effect(c);
			c->runs = 0; /* as for reading */
			memory_page_mark_dirty(o, frame);
			t->done += n;
			t->pos += (s64)n;
			step += n;
		}
		frame_unpin(frame);
		if (n < bytes)
			return uio_need(c, io, (size_t)t->done, false);
	}
	return 0;
}

static answer_t write_begin(struct call *c, struct file *f, const struct uio *io,
	struct transfer *t)
{
	struct inode *i = f->inode;

	t->pos = io->positioned ? io->pos : f->pos;
	if (i->pages->kind == MEMORY_BLOCK) /* has one size: O_APPEND says nothing */
		;
	else if (f->flags & O_APPEND || io->flags & RWF_APPEND)
		t->pos = (s64)inode_size(i);
	if (t->pos < 0)
		return -EINVAL;
	if (unlikely(vfs_mode_without_setid(c, i))) {
		struct fs_attr attr = {.mask = FS_ATTR_MODE, .mode = vfs_mode_without_setid(c, i)};
		answer_t a = fs_setattr(c, i, &attr);

		if (a < 0)
			return a;
	}
	t->started = true;
	return 0;
}

static answer_t write_end(struct call *c, struct file *f, const struct uio *io,
	const struct transfer *t)
{
	call_effect(c);
	if (!io->positioned)
		f->pos = t->pos;
	if (t->done)
		inode_touch(f->inode, INODE_MTIME | INODE_CTIME);
	(void)c;
	return (answer_t)t->done;
}

/* A shared position, if that is where it writes, and the content. Decided once: what waits has a
 * reference of its own, and after an effect no exclusion may come that stands before one that is
 * held. */
static inline bool hold_for_write(struct call *c, struct file *f, const struct uio *io,
	struct transfer *t)
{
	struct inode *i = f->inode;

	if (likely(!t->started))
		t->alone = io->positioned || refcount_is_one(&f->obj.refs);
	if (!t->alone)
		return call_hold2(c, EXCL_INODE, &f->pos_excl, f->obj.id, &i->content, i->obj.id);
	return call_hold(c, EXCL_INODE, &i->content, i->obj.id, false);
}

/* What was done is in the frame from here on. */
static void record(struct call *c, const struct transfer *t)
{
	struct transfer *kept = call_progress(c, struct transfer);

	if (kept != t)
		*kept = *t;
	call_effect_recorded(c);
}

static inline bool has_disk(const struct file *f)
{
	const struct superblock *sb = f->inode->sb;

	return f->type == NODE_BLOCK || (sb->fs && !(sb->flags & SB_NAMES_RESIDENT));
}

static inline bool must_sync(const struct file *f, const struct uio *io)
{
	return (f->flags & (O_SYNC | O_DSYNC) || io->flags & (RWF_DSYNC | RWF_SYNC)) && has_disk(f);
}

static answer_t write_sync(struct call *c, struct file *f, const struct transfer *t)
{
	record(c, t);
	c->op_args[0] = (word_t)f;
	c->op_args[1] = f->flags & (O_SYNC & ~O_DSYNC) ? FILE_SYNC_ALL : FILE_SYNC_DATA;
	c->op_args[2] = (word_t)((u64)(t->pos - (s64)t->done) >> PAGE_SHIFT);
	c->op_args[3] = (word_t)((u64)(t->pos - 1) >> PAGE_SHIFT);
	return call_do(c, DO_SYNC_FILE, true);
}

/* O_SYNC: the data is in, the DO has brought it to the disk. */
static answer_t write_synced(struct call *c, const struct transfer *t)
{
	if (c->op_result >= 0)
		return (answer_t)t->done;
	call_effect_all_told(c);
	return c->op_result;
}

answer_t file_node_write(struct call *c, struct file *f, struct uio *io)
{
	struct inode *i = f->inode;
	struct transfer local = {}, *t = &local;
	answer_t a, limit;

	if (unlikely(!file_writable(f)))
		return -EBADF;
	if (unlikely(!i->pages))
		return -EINVAL;
	if (unlikely(!io->total))
		return 0;
	if (unlikely(call_frame(c)->live))
		t = call_progress(c, struct transfer);
	if (!hold_for_write(c, f, io, t))
		return ANSWER_NEED;
	if (unlikely(c->op_done && t->started))
		return write_synced(c, t);
	if (!t->started) {
		if (unlikely(call_killed(c)))
			return -EINTR;
		a = write_begin(c, f, io, t);
		if (a)
			return a;
	}
	limit = write_limit(c, i, t->pos - (s64)t->done, io->total);
	if (unlikely(limit < 0))
		return limit;
	if (unlikely(seals_forbid_write(i->pages, t->pos, (size_t)limit - (size_t)t->done)))
		return -EPERM;
	a = unlikely(call_killed(c)) ? -EINTR : write_step(c, f, io, (size_t)limit, t);
	if (unlikely(answer_is_kind(a))) {
		record(c, t);
		return a == ANSWER_MORE ? call_more(c) : a;
	}
	if (a < 0 && !t->done)
		return a;
	a = write_end(c, f, io, t);
	return likely(!must_sync(f, io)) || a <= 0 ? a : write_sync(c, f, t);
}

/* --- the rest --- */
static bool page_is_dirty(struct memory_object *o, u64 page)
{
	struct frame *f = memory_page_try(o, page);
	bool dirty = f && frame_flags(f) & (FRAME_DIRTY | FRAME_WRITEBACK);

	if (f)
		frame_unpin(f);
	return dirty;
}

/* In a hole [page, end): the first page whose dirtiness is `want`; end when there is none. */
static u64 hole_page(struct memory_object *o, u64 page, u64 end, bool want)
{
	for (; page < end; page++) {
		if (want) {
			page = memory_object_next_data(o, page);
			if (page >= end)
				return end;
		}
		if (page_is_dirty(o, page) == want)
			return page;
	}
	return end;
}

#define NOWHERE (~0ull)

/* The first byte of a hole's [from, to) that is data after all, or that is not. */
static u64 seek_in_hole(struct memory_object *o, u64 from, u64 to, bool data)
{
	u64 end = DIV_ROUND_UP(to, PAGE_BYTES), page = hole_page(o, from / PAGE_BYTES, end, data);

	return page < end ? MAX(page * PAGE_BYTES, from) : NOWHERE;
}

/* SEEK_DATA, SEEK_HOLE by the file system's extents; what was written into a hole and not yet
 * allocated is data, unwritten extents are holes. */
static answer_t seek_extents(struct call *c, struct inode *i, u64 offset, u64 size, bool data,
	s64 *pos)
{
	u32 block_bytes = i->sb->block_bytes;
	u64 end = DIV_ROUND_UP(size, block_bytes), at = offset;

	while (at < size) {
		u64 block = at / block_bytes, next, found;
		struct fs_extent e;
		answer_t a = fs_map(c, i, block, end - block, FS_MAP_READ, &e, 1);

		if (a < 0)
			return a;
		next = MIN(block + e.nr_blocks, end) * block_bytes;
		if (e.flags & (FS_EXTENT_HOLE | FS_EXTENT_UNWRITTEN))
			found = seek_in_hole(i->pages, at, next, data);
		else
			found = data ? at : NOWHERE;
		if (found != NOWHERE) {
			*pos = (s64)found;
			return 0;
		}
		at = next;
	}
	if (data)
		return -ENXIO;
	*pos = (s64)size;
	return 0;
}

/* In memory-only data: pages that are nowhere are holes. */
static answer_t seek_pages(struct memory_object *o, u64 offset, u64 size, bool data, s64 *pos)
{
	u64 page = offset >> PAGE_SHIFT;

	if (data) {
		page = memory_object_next_data(o, page);
		if (page == ~0ull || page << PAGE_SHIFT >= size)
			return -ENXIO;
	} else {
		while (page << PAGE_SHIFT < size && memory_object_next_data(o, page) == page)
			page++;
	}
	*pos = (s64)MIN(size, MAX(offset, page << PAGE_SHIFT));
	return 0;
}

/* SEEK_DATA, SEEK_HOLE from an offset inside the file. */
static answer_t seek_contents(struct call *c, struct inode *i, u64 offset, u64 size, bool data,
	s64 *pos)
{
	if (i->pages && i->pages->kind == MEMORY_SHMEM)
		return seek_pages(i->pages, offset, size, data, pos);
	if (i->pages && i->sb->fs)
		return seek_extents(c, i, offset, size, data, pos);
	/* No extents: all is data, which lseek(2) allows. */
	*pos = (s64)(data ? offset : size);
	return 0;
}

enum { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE }; /* lseek(2) */

answer_t file_node_seek(struct call *c, struct file *f, s64 offset, u32 whence)
{
	struct inode *i = f->inode;
	u64 size = inode_size(i);
	s64 pos;
	answer_t a;

	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		if (!checked_add(f->pos, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_END:
		if (!checked_add((s64)size, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (node_is_dir(f))
			return -EINVAL;
		if (offset < 0 || (u64)offset >= size)
			return -ENXIO;
		a = seek_contents(c, i, (u64)offset, size, whence == SEEK_DATA, &pos);
		if (a)
			return a;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0 || (u64)pos > i->sb->max_file_bytes)
		return -EINVAL;
	f->pos = pos;
	if (node_is_dir(f))
		f->cursor = (u64)pos;
	return 0;
}

answer_t file_node_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	(void)c;
	(void)f;
	(void)ask;
	return EV_IN | EV_OUT | EV_RDNORM | EV_WRNORM;
}

answer_t file_node_mmap(struct call *c, struct file *f, struct mmap_reply *reply)
{
	(void)c;
	if (!f->inode->pages)
		return -ENODEV;
	object_get(&f->inode->pages->obj);
	reply->object = f->inode->pages;
	reply->first_page = 0;
	if (atime_wanted(f))
		inode_touch(f->inode, INODE_ATIME);
	return 0;
}

/* "." and ".." are 0 and 1 of the position; the file system's cursor follows, moved up by 2. */
answer_t file_node_readdir(struct call *c, struct file *f, struct dirent_sink *sink)
{
	struct inode *dir = f->inode, *parent;
	u64 cursor;
	answer_t a;

	if (!node_is_dir(f))
		return -ENOTDIR;
	if (dir->dead || !inode_nlink(dir))
		return -ENOENT;
	if (!refcount_is_one(&f->obj.refs) &&
		!call_hold(c, EXCL_INODE, &f->pos_excl, f->obj.id, false))
		return ANSWER_NEED;
	sink->start = f->pos;
	if (f->pos == 0) {
		if (!dirent_add(sink, ".", 1, dir->ino, 1, S_IFDIR))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		parent = f->path.name->parent->inode;
		if (!dirent_add(sink, "..", 2, parent ? parent->ino : dir->ino, 2, S_IFDIR))
			return 0;
		f->pos = 2;
	}
	cursor = (u64)f->pos - 2;
	sink->cursor_bias = 2;
	a = fs_readdir(c, dir, &cursor, sink);
	if (a < 0) {
		/* Entries of this run are dropped with the sink's content when it runs again. */
		if (answer_is_kind(a) || !sink->nr)
			f->pos = sink->start;
		if (answer_is_kind(a)) {
			sink->used = 0;
			sink->nr = 0;
			sink->full = false;
		}
		if (answer_is_kind(a) || !sink->nr)
			return a;
	}
	/* An error behind some entries is the next call's. */
	call_effect(c);
	f->pos = (s64)(cursor + 2);
	if (unlikely(atime_wanted(f)))
		inode_touch(dir, INODE_ATIME);
	return 0;
}

answer_t file_node_sync(struct call *c, struct file *f, u64 first, u64 last, u32 data_only)
{
	if (c->op_done)
		return c->op_result;
	if (!has_disk(f))
		return 0;
	c->op_args[0] = (word_t)f;
	c->op_args[1] = data_only;
	c->op_args[2] = (word_t)(first >> PAGE_SHIFT);
	c->op_args[3] = (word_t)(last >> PAGE_SHIFT);
	return call_do(c, DO_SYNC_FILE, true);
}

#define FALLOC_KEEP_SIZE  1u
#define FALLOC_PUNCH_HOLE 2u
#define FALLOC_ZERO_RANGE 16u
answer_t file_node_fallocate(struct call *c, struct file *f, u32 mode, u64 offset, u64 bytes)
{
	struct inode *i = f->inode;
	u64 end;
	answer_t a;

	if (!file_writable(f))
		return -EBADF;
	if ((s64)offset < 0 || (s64)bytes <= 0)
		return -EINVAL;
	if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_PUNCH_HOLE && !(mode & FALLOC_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) ==
		(FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE))
		return -EINVAL;
	if (node_is_dir(f))
		return -EISDIR;
	if (!i->pages)
		return -ENODEV;
	if (!checked_add(offset, bytes, &end) || end > i->sb->max_file_bytes)
		return -EFBIG;
	if (i->pages->seals & 0x18 && mode & FALLOC_PUNCH_HOLE)
		return -EPERM;
	if (i->pages->seals & 4 && !(mode & FALLOC_KEEP_SIZE) && end > inode_size(i))
		return -EPERM;
	if (!(mode & FALLOC_KEEP_SIZE) && end > call_rlimit(c, RLIMIT_FSIZE)) {
		call_signal(c, SIGXFSZ);
		return -EFBIG;
	}
	if (!call_hold(c, EXCL_INODE, &i->content, i->obj.id, false))
		return ANSWER_NEED;
	a = fs_fallocate(c, i, mode, offset, bytes);
	if (a < 0)
		return a;
	if (!(mode & FALLOC_KEEP_SIZE))
		size_grow(i, end);
	inode_touch(i, INODE_MTIME | INODE_CTIME);
	return 0;
}

#define FIONREAD          0x541bu
#define FIGETBSZ          2u
#define FS_IOC_GETFLAGS   0x80086601u /* on 64-bit machines: _IOR('f', 1, long) */
#define FS_IOC_GETFLAGS32 0x80046601u
#define FS_IOC_FIEMAP     0xc020660bu
answer_t file_node_ioctl(struct call *c, struct file *f, u32 command, u64 argument)
{
	struct inode *i = f->inode;
	s32 value;

	if (f->type == NODE_PATH)
		return -EBADF;
	switch (command) {
	case FIONREAD:
		if (!i->pages)
			return -ENOTTY;
		value = (s32)((s64)inode_size(i) - f->pos);
		return call_copy_out(c, (vaddr_t)argument, &value, sizeof(value));
	case FIGETBSZ:
		value = (s32)i->sb->block_bytes;
		return call_copy_out(c, (vaddr_t)argument, &value, sizeof(value));
	case FS_IOC_FIEMAP:
		return vfs_fiemap(c, f, argument);
	case FS_IOC_GETFLAGS:
	case FS_IOC_GETFLAGS32:
		if (i->sb->view)
			return -ENOTTY;
		return call_copy_out(c, (vaddr_t)argument, &i->fs_flags, sizeof(i->fs_flags));
	default:
		return -ENOTTY;
	}
}
