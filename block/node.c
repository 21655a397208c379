/*
 * Block device nodes: what open files of /dev/vda do.
 *
 * Purpose: open, claims and ioctls of block nodes. Reading, writing, seeking and mapping are those
 * of regular files over the device's own pages: the node's inode borrows them, and the calls go on
 * to the slot of regular files.
 *
 * Objects: file body = struct block_device, a reference. Invariants: BLKN-I1 inode->pages of an
 * open node is its device's object.
 *
 * Locks: none. Failure and recovery, replacement: nothing is held. Cost: one more slot per call.
 */
#include <core/block.h>
#include <core/do.h>
#include <core/node.h>
#include <core/plant.h>
#include <kabi/node.h>
#include <kabi/slots.h>

KABI_MODULE(1, "Apache-2.0");

/* linux/fs.h */
#define BLKROGET      0x125eu
#define BLKRRPART     0x125fu
#define BLKGETSIZE    0x1260u
#define BLKFLSBUF     0x1261u
#define BLKRAGET      0x1263u
#define BLKSSZGET     0x1268u
#define BLKIOMIN      0x1278u
#define BLKIOOPT      0x1279u
#define BLKALIGNOFF   0x127au
#define BLKPBSZGET    0x127bu
#define BLKROTATIONAL 0x127eu
#define BLKBSZGET     0x80081270u
#define BLKGETSIZE64  0x80081272u

static struct block_device *device_of(const struct file *f)
{
	return container_of((struct object *)f->obj.body, struct block_device, obj);
}

static answer_t block_open(struct call *c, struct file *file)
{
	answer_t a = plant_handler(c, PLANT_PLACE_BLOCK);
	struct block_device *b;
	int r;

	if (unlikely(a))
		return a;
	b = block_by_rdev(file->inode->rdev);
	if (!b)
		return -ENXIO;
	if (file_writable(file) && b->whole->geometry.features & BLOCK_FEATURES_READ_ONLY) {
		object_put(&b->obj);
		return -EACCES;
	}
	r = file->flags & O_EXCL ? block_claim(b, &file->obj) : 0;
	if (r) {
		object_put(&b->obj);
		return r;
	}
	spin_lock(&file->inode->obj.lock);
	if (!file->inode->pages) {
		object_get(&b->pages->obj);
		file->inode->pages = b->pages;
	}
	spin_unlock(&file->inode->obj.lock);
	file_errors_begin(file);
	block_opened(b); /* core ends it with the file */
	file_names(file, &b->obj);
	return 0;
}

static answer_t block_release(struct call *c, struct file *file)
{
	if (file->obj.body)
		block_unclaim(device_of(file), &file->obj);
	return 0;
}

static answer_t block_read(struct call *c, struct file *file, struct uio *io)
{
	return node_read(SLOT(NODE_FILE), c, file, io);
}
static answer_t block_write(struct call *c, struct file *file, struct uio *io)
{
	return node_write(SLOT(NODE_FILE), c, file, io);
}
static answer_t block_seek(struct call *c, struct file *file, s64 offset, u32 whence)
{
	return node_seek(SLOT(NODE_FILE), c, file, offset, whence);
}
static answer_t block_mmap(struct call *c, struct file *file, struct mmap_reply *reply)
{
	return node_mmap(SLOT(NODE_FILE), c, file, reply);
}
static answer_t block_node_sync(struct call *c, struct file *file, u64 first, u64 last,
	u32 data_only)
{
	return node_sync(SLOT(NODE_FILE), c, file, first, last, data_only);
}

static answer_t out_u32(struct call *c, u64 user, u32 v)
{
	return call_copy_out(c, (vaddr_t)user, &v, sizeof(v));
}
static answer_t out_word(struct call *c, u64 user, word_t v)
{
	return call_copy_out(c, (vaddr_t)user, &v, sizeof(v));
}

static answer_t block_ioctl(struct call *c, struct file *file, u32 command, u64 argument)
{
	struct block_device *b = device_of(file);
	const struct block_geometry *g = &b->whole->geometry;
	u64 bytes = b->nr_sectors * BLOCK_SECTOR_BYTES;
	u16 rotational = (g->features & BLOCK_FEATURES_ROTATIONAL) != 0;

	switch (command) {
	case BLKGETSIZE64:
		return call_copy_out(c, (vaddr_t)argument, &bytes, sizeof(bytes));
	case BLKGETSIZE:
		return out_word(c, argument, (word_t)b->nr_sectors);
	case BLKSSZGET:
		return out_u32(c, argument, g->logical_block_bytes);
	case BLKPBSZGET:
	case BLKIOMIN:
		return out_u32(c, argument, g->physical_block_bytes);
	case BLKIOOPT:
	case BLKALIGNOFF:
		return out_u32(c, argument, 0);
	case BLKBSZGET:
		return out_u32(c, argument, PAGE_BYTES);
	case BLKROGET:
		return out_u32(c, argument, (g->features & BLOCK_FEATURES_READ_ONLY) != 0);
	case BLKRAGET:
		return out_word(c, argument, 256);
	case BLKROTATIONAL:
		return call_copy_out(c, (vaddr_t)argument, &rotational, sizeof(rotational));
	case BLKFLSBUF:
		if (!context_capable(c->ctx, CAP_SYS_ADMIN))
			return -EACCES;
		return node_sync(SLOT(NODE_FILE), c, file, 0, ~0ull, FILE_SYNC_FORGET);
	case BLKRRPART:
		return context_capable(c->ctx, CAP_SYS_ADMIN) ? b->whole == b ? -EBUSY : -EINVAL
							      : -EACCES;
	default:
		return -ENOTTY;
	}
}

KABI_IMPLEMENT_AT(node, block, .open = block_open, .release = block_release, .read = block_read,
	.write = block_write, .seek = block_seek, .mmap = block_mmap, .sync = block_node_sync,
	.ioctl = block_ioctl);
