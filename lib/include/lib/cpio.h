#pragma once
/* Reader of cpio "newc" archives (070701, 070702): the image's blob and initramfs. Input is
 * hostile. */
#include <lib/types.h>

struct cpio_entry {
	const char *name; /* terminated, inside the archive */
	const u8 *data;
	u64 size_bytes;
	u32 ino, mode, uid, gid, nlink, mtime;
	u32 dev_major, dev_minor, rdev_major, rdev_minor;
};
struct cpio_reader {
	const u8 *data;
	size_t size, at;
};
/* 1: *out is the next entry; 0: the trailer or the end (r->at is behind it: archives may follow one
 * another after padding); -EINVAL: not a newc header, or it reaches beyond the archive (r->at stays
 * at the header). */
int cpio_next(struct cpio_reader *r, struct cpio_entry *out);
/* The file called `name`; false when it is absent. */
bool cpio_find(const void *archive, size_t size, const char *name, struct cpio_entry *out);
