/*
 * Character devices that need no component of their own (node slot `char`): the memory devices
 * (major 1), and /dev/hwrng, whose bytes core has from the entropy drivers. Other numbers have no
 * driver: ENXIO at open. /dev/mem, /dev/kmem and /dev/port are absent on purpose.
 */
#include <arch/mmu.h>
#include <core/device.h>
#include <core/hwrng.h>
#include <core/log_ring.h>
#include <core/random.h>
#include <core/task.h>
#include <lib/fmt.h>
#include "vfs_priv.h"

#define MEM_NULL    3u
#define MEM_ZERO    5u
#define MEM_FULL    7u
#define MEM_RANDOM  8u
#define MEM_URANDOM 9u
#define MEM_KMSG    11u
#define HWRNG       0x100u /* no minor number of major 1 */
#define MISC_MAJOR  10u
#define CHUNK_BYTES 4096u
#define STEP_BYTES  65536u

static const u8 zeros[CHUNK_BYTES]; /* read-only data */

struct char_progress {
	u64 done;
};
static inline u32 minor_of(const struct file *f)
{
	if (f->inode->rdev == HWRNG_RDEV)
		return HWRNG;
	return DEV_MAJOR(f->inode->rdev) == 1 ? DEV_MINOR(f->inode->rdev) : ~0u;
}

/* For reading only, and only where a driver of the class is loaded. */
static answer_t hwrng_open(struct file *f)
{
	struct device *d = device_by_node(S_IFCHR, HWRNG_RDEV);

	if (!d)
		return -ENODEV;
	object_put(&d->obj);
	return (f->flags & O_ACCMODE) == O_RDONLY ? 0 : -EINVAL;
}

answer_t char_node_open(struct call *c, struct file *f)
{
	(void)c;
	switch (minor_of(f)) {
	case MEM_NULL:
	case MEM_ZERO:
	case MEM_FULL:
	case MEM_RANDOM:
	case MEM_URANDOM:
		return 0;
	case MEM_KMSG:
		f->cursor = 0;
		return 0;
	case HWRNG:
		return hwrng_open(f);
	default: /* misc devices share their major number, which has a driver */
		return DEV_MAJOR(f->inode->rdev) == MISC_MAJOR ? -ENODEV : -ENXIO;
	}
}

/* What a transfer answers when it cannot go on or has done a step: kinds keep `done`. */
static answer_t pause_at(struct call *c, const struct uio *io, size_t done, bool fault, bool out)
{
	answer_t a = fault ? uio_need(c, io, done, out) : call_more(c);

	if (answer_is_kind(a))
		call_progress(c, struct char_progress)->done = done;
	return answer_is_kind(a) || !done ? a : (answer_t)done;
}

static answer_t fill_zeros(struct call *c, struct uio *io)
{
	size_t done = 0, step = 0;

	if (unlikely(call_frame(c)->live))
		done = (size_t)call_progress(c, struct char_progress)->done;
	while (done < io->total) {
		size_t bytes = MIN(io->total - done, sizeof(zeros)),
		       n = uio_copy_out(c, io, done, zeros, bytes);

		done += n;
		step += n;
		if (unlikely(n < bytes || (step >= STEP_BYTES && done < io->total)))
			return pause_at(c, io, done, n < bytes, true);
	}
	return (answer_t)done;
}

static answer_t fill_random(struct call *c, struct uio *io)
{
	size_t done = 0, step = 0;
	u8 buffer[512]
		__attribute__((uninitialized)); /* zeroing it would cost more than a short read */

	if (unlikely(call_frame(c)->live))
		done = (size_t)call_progress(c, struct char_progress)->done;
	hwrng_feed_if_due();
	while (done < io->total) {
		size_t bytes = MIN(io->total - done, sizeof(buffer)), n;

		random_bytes(buffer, bytes);
		n = uio_copy_out(c, io, done, buffer, bytes);
		done += n;
		step += n;
		if (n < bytes || (step >= STEP_BYTES && done < io->total))
			return pause_at(c, io, done, n < bytes, true);
	}
	memset(buffer, 0, sizeof(buffer)); /* nobody finds on the stack what was given away */
	return (answer_t)done;
}

static answer_t hwrng_wait(struct call *c, const struct file *f, u32 seq)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	return call_interrupted(c) ? -ERESTARTSYS : call_wait1(c, &hwrng_waitable, EV_IN, seq);
}

/* As Linux's: reads until all is there, or a signal comes; a program that will not wait gets what
 * is there. */
static answer_t hwrng_read(struct call *c, struct file *f, struct uio *io)
{
	size_t done = (size_t)call_progress(c, struct char_progress)->done, step = 0;
	u8 buffer[64];

	while (done < io->total) {
		u32 seq = waitable_seq(&hwrng_waitable);
		answer_t n = hwrng_take(buffer, MIN(io->total - done, sizeof(buffer)));
		size_t copied;

		if (n <= 0) {
			call_progress(c, struct char_progress)->done = done;
			n = n ? n : hwrng_wait(c, f, seq);
			return answer_is_kind(n) || !done ? n : (answer_t)done;
		}
		copied = uio_copy_out(c, io, done, buffer, (size_t)n);
		memset(buffer, 0, sizeof(buffer));
		done += copied;
		step += copied;
		if (copied < (size_t)n || (step >= STEP_BYTES && done < io->total))
			return pause_at(c, io, done, copied < (size_t)n, true);
	}
	return (answer_t)done;
}

/* One record a read: "level,number,microseconds,-;text\n" (Documentation: ABI/testing/dev-kmsg). */
static answer_t kmsg_read(struct call *c, struct file *f, struct uio *io)
{
	u32 seq = waitable_seq(&log_waitable);
	struct log_record *r = kmalloc(sizeof(*r) + 640);
	u64 number = f->cursor;
	char *line;
	answer_t a;
	int len;

	if (!r)
		return call_need_memory(c, sizeof(*r) + 640);
	line = (char *)(r + 1);
	if (!log_read(&number, r)) {
		kfree(r);
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		return call_interrupted(c) ? -ERESTARTSYS
					   : call_wait1(c, &log_waitable, EV_IN, seq);
	}
	len = snprintf(line, 640, "%u,%llu,%llu,-;%.*s\n", r->level, (unsigned long long)r->number,
		(unsigned long long)r->time_ns / 1000, (int)r->len, r->text);
	len = MIN(len, 639);
	if ((size_t)len > io->total)
		a = -EINVAL;
	else if (uio_copy_out(c, io, 0, line, (size_t)len) != (size_t)len)
		a = uio_need(c, io, 0, true);
	else {
		call_effect(c);
		f->cursor = number;
		a = len;
	}
	kfree(r);
	return a;
}

#define FACILITY_USER                                                                              \
	8u /* syslog(3): facility << 3 | level; 0 is the kernel's own, which programs cannot claim \
	    */

/* A line into the log; "<N>" in front is facility and level. */
static answer_t kmsg_write(struct call *c, struct uio *io)
{
	char line[512];
	u32 level = FACILITY_USER | LOG_WARNING, skip = 0;
	size_t bytes = MIN(io->total, sizeof(line) - 1);

	if (io->total > 992)
		return -EINVAL;
	if (uio_copy_in(c, io, 0, line, bytes) != bytes)
		return uio_need(c, io, 0, false);
	while (bytes && (line[bytes - 1] == '\n' || !line[bytes - 1]))
		bytes--;
	line[bytes] = 0;
	if (line[0] == '<') {
		u32 n = 0, i = 1;

		while (line[i] >= '0' && line[i] <= '9' && i < 5)
			n = n * 10 + (u32)(line[i++] - '0');
		if (i > 1 && line[i] == '>') {
			level = (n & 0xf8u ? n & 0xf8u : FACILITY_USER) | (n & 7u);
			skip = i + 1;
		}
	}
	call_effect(c);
	log_write((enum log_level)level, line + skip, bytes - skip);
	return (answer_t)io->total;
}

answer_t char_node_read(struct call *c, struct file *f, struct uio *io)
{
	if (!file_readable(f))
		return -EBADF;
	switch (minor_of(f)) {
	case MEM_NULL:
		return 0;
	case MEM_ZERO:
	case MEM_FULL:
		return fill_zeros(c, io);
	case MEM_RANDOM:
	case MEM_URANDOM:
		return fill_random(c, io);
	case MEM_KMSG:
		return kmsg_read(c, f, io);
	case HWRNG:
		return hwrng_read(c, f, io);
	default:
		return -ENXIO;
	}
}

static answer_t random_write(struct call *c, struct uio *io)
{
	size_t done = 0, step = 0;
	u8 buffer[512]
		__attribute__((uninitialized)); /* zeroing it would cost more than a short read */

	if (unlikely(call_frame(c)->live))
		done = (size_t)call_progress(c, struct char_progress)->done;
	while (done < io->total) {
		size_t bytes = MIN(io->total - done, sizeof(buffer)),
		       n = uio_copy_in(c, io, done, buffer, bytes);

		/* Mixed in, but nobody's word that it is unknown. */
		if (n)
			random_mix(buffer, n, 0);
		done += n;
		step += n;
		if (n < bytes || (step >= STEP_BYTES && done < io->total))
			return pause_at(c, io, done, n < bytes, false);
	}
	return (answer_t)done;
}

answer_t char_node_write(struct call *c, struct file *f, struct uio *io)
{
	if (!file_writable(f))
		return -EBADF;
	switch (minor_of(f)) {
	case MEM_NULL:
	case MEM_ZERO:
		return (answer_t)io->total;
	case MEM_FULL:
		return -ENOSPC;
	case MEM_RANDOM:
	case MEM_URANDOM:
		return random_write(c, io);
	case MEM_KMSG:
		return kmsg_write(c, io);
	default:
		return -ENXIO;
	}
}

answer_t char_node_seek(struct call *c, struct file *f, s64 offset, u32 whence)
{
	(void)c;
	if (minor_of(f) == MEM_KMSG) {
		if (offset)
			return -ESPIPE;
		if (whence == 0)
			f->cursor = 0;
		else if (whence == 2)
			f->cursor = log_next_number();
		else
			return -EINVAL;
		return 0;
	}
	if (minor_of(f) == MEM_NULL || minor_of(f) == MEM_ZERO || minor_of(f) == MEM_FULL) {
		f->pos = 0;
		return 0;
	}
	/* random: noop_llseek, the position stays */
	return 0;
}

answer_t char_node_poll(struct call *c, struct file *f, struct poll_ask *ask)
{
	(void)c;
	if (minor_of(f) == MEM_KMSG) {
		poll_ask_add(ask, &log_waitable, EV_IN);
		return (f->cursor < log_next_number() ? EV_IN | EV_RDNORM : 0) | 0;
	}
	return EV_IN | EV_OUT | EV_RDNORM | EV_WRNORM;
}

#define RNDGETENTCNT 0x80045200u
answer_t char_node_ioctl(struct call *c, struct file *f, u32 command, u64 argument)
{
	s32 bits = 256;

	if ((minor_of(f) == MEM_RANDOM || minor_of(f) == MEM_URANDOM) && command == RNDGETENTCNT)
		return call_copy_out(c, (vaddr_t)argument, &bits, sizeof(bits));
	return minor_of(f) == MEM_RANDOM || minor_of(f) == MEM_URANDOM ? -EINVAL : -ENOTTY;
}

answer_t char_node_mmap(struct call *c, struct file *f, struct mmap_reply *reply)
{
	(void)c;
	if (minor_of(f) != MEM_ZERO)
		return -ENODEV;
	/* Private: anonymous memory; shared: an object of its own for each mapping. */
	reply->zero_fill = true;
	return 0;
}
