#pragma once
/* Pipe bodies (core/node/pipe.c makes and ends them; behaviour in vfs/pipe.c). A ring of pages;
 * every field under obj.lock. */
#include <core/node.h>
#include <lib/ring.h>

#define PIPE_PAGES_DEFAULT 16u
#define PIPE_PAGES_MAX     256u /* fs.pipe-max-size 1 MiB */
struct pipe_page {
	struct frame *frame; /* pinned by the pipe */
	u32 offset, bytes;   /* unread bytes of it */
	bool packet; /* O_DIRECT: one read takes all of it or drops the rest; never appended to */
};
struct pipe {
	struct object obj;
	u32 nr_pages, head, used; /* ring size (power of two), free-running, entries from head on */
	u64 bytes;                /* unread, all entries */
	u32 readers, writers;     /* open ends */
	u32 reader_opens, writer_opens;     /* ever: a FIFO's rendezvous looks for a change */
	struct waitable readable, writable; /* also the rendezvous: an end came or went */
	struct frame *spare;                /* one page kept from the last read */
	struct inode *inode;                /* borrowed: times */
	struct exclusion write_excl; /* writes of more than PIPE_BUF are whole against each other
					only as Linux has it: none; small ones are atomic */
	struct pipe_page *ring;
	bool anonymous; /* of pipe(2): opening it again, through /proc/PID/fd, never waits for the
			   other end (as fifo_open of Linux) */
};
#define PIPE_BUF 4096u
/* The nth entry that is used; n == used: the first free one. Locks: obj.lock. */
static inline struct pipe_page *pipe_entry(struct pipe *p, u32 n)
{
	return &p->ring[ring_at(p->head + n, p->nr_pages)];
}
/* The first entry's page is read, and the caller's. Locks: obj.lock. */
static inline void pipe_entry_done(struct pipe *p)
{
	p->head++;
	WRITE_ONCE(p->used, p->used - 1);
}
struct pipe *pipe_new(void); /* refs 1 */
/* The pipe of a FIFO inode, made at first use; referenced; nullptr: no memory. */
struct pipe *pipe_of_fifo(struct inode *i);
/* Counts the end and wakes the other side. Answer: what opens of the other side are compared with:
 * any other number means that it is here now (under the same lock), or was since. */
u32 pipe_open_end(struct pipe *p, bool read, bool write);
/* F_SETPIPE_SZ: bytes -> 0, -EBUSY, -ENOMEM, -EINVAL; the ring is replaced. */
int pipe_resize(struct pipe *p, u32 nr_pages);
