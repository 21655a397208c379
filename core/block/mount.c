/* Devices of mounts and their metadata blocks. Theory in block.c. */
#include <core/block.h>
#include <core/fs_call.h>
#include <core/fs_type.h>
#include <core/task.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include <lib/string.h>

/* "/dev/NAME" before /dev is there (root=), else the node that the path names. */
static struct block_device *find_device(struct call *c, const char *source, answer_t *error)
{
	struct open_request request = {.kernel_path = source};
	struct block_device *b;
	answer_t a;

	if (!strncmp(source, "/dev/", 5)) {
		b = block_by_name(source + 5);
		if (b)
			return b;
	}
	a = call_run(c, vfs_open_kernel(SLOT(VFS), c, (word_t)source, O_PATH, &request));
	*error = a < 0 ? a : -ENOTBLK;
	if (a < 0)
		return nullptr;
	b = nullptr;
	if (request.file->inode && inode_type(request.file->inode) == S_IFBLK) {
		b = block_by_rdev(request.file->inode->rdev);
		*error = -ENXIO;
	}
	file_put(request.file);
	return b;
}

answer_t fs_device_open(struct call *c, const char *source, u32 sb_flags, struct superblock *sb,
	struct superblock **other)
{
	answer_t error = -ENOENT;
	bool again;
	struct block_device *b = find_device(c, source, &error);

	if (!b)
		return error;
	if (!(sb_flags & SB_RDONLY) && b->whole->geometry.features & BLOCK_FEATURES_READ_ONLY)
		error = -EACCES;
	else
		do {
			again = false;
			error = block_claim(b, &sb->obj);
			if (error)
				*other = superblock_of_device(b, &again);
		} while (again);
	if (error) {
		object_put(&b->obj);
		return *other ? 0 : error;
	}
	block_opened(b);
	/* What was written through the node is on the disk before file contents are read from
	 * there, and pages that the mount makes stale do not stay. */
	(void)memory_object_sync(b->pages, 0, ~0ull);
	(void)memory_object_invalidate(b->pages, 0, ~0ull);
	sb->bdev = b;
	sb->dev = b->rdev;
	sb->device_bytes = b->nr_sectors * BLOCK_SECTOR_BYTES;
	sb->blocks = b->pages;
	return 0;
}

void fs_device_close(struct superblock *sb)
{
	struct block_device *b = sb->bdev;

	if (!b)
		return;
	sb->bdev = nullptr;
	sb->blocks = nullptr;
	block_unclaim(b, &sb->obj);
	block_closed(b);
	object_put(&b->obj);
}

answer_t fs_device_flush(struct superblock *sb)
{
	return sb->bdev ? block_sync(sb->bdev, 0, ~0ull) : 0;
}

static bool sync_mounted(struct block_device *b)
{
	struct superblock *sb;
	bool found = false;
	u64 after = 0;

	while (!found && (sb = superblock_next(after))) {
		after = sb->obj.id;
		found = sb->bdev == b;
		if (found)
			superblock_sync(sb);
		superblock_leave(sb);
	}
	return found;
}

void block_flush_buffers(struct block_device *b)
{
	if (!sync_mounted(b))
		(void)block_sync(b, 0, ~0ull);
	(void)memory_object_invalidate(b->pages, 0, ~0ull);
}
