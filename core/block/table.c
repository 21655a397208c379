/* Block devices by name and number, partitions. Theory in block.c. Partition tables: UEFI
 * specification 2.10, chapter 5 (GPT, protective MBR); the legacy MBR has four entries at 0x1be. A
 * damaged table gives no partitions, never a wrong range. */
#include <core/block.h>
#include <core/log.h>
#include <core/node.h>
#include <lib/endian.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define VIRTBLK_MAJOR   254u /* Linux gives virtblk a dynamic major, 254 on Debian's kernels */
#define MINORS_PER_DISK 16u

static struct spinlock blocks_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE + 3);
static struct list_node blocks = LIST_INIT(blocks);
static u32 nr_disks;

struct block_device *block_next(struct block_device *after)
{
	struct block_device *next = nullptr;
	struct list_node *n;

	spin_lock(&blocks_lock);
	n = after ? after->all.next : blocks.next;
	if (n != &blocks) {
		next = list_entry(n, struct block_device, all);
		object_get(&next->obj);
	}
	spin_unlock(&blocks_lock);
	if (after)
		object_put(&after->obj);
	return next;
}

struct block_device *block_by_rdev(u32 rdev)
{
	struct block_device *b = nullptr;

	while ((b = block_next(b)))
		if (b->rdev == rdev)
			return b;
	return nullptr;
}

struct block_device *block_by_name(const char *name)
{
	struct block_device *b = nullptr;

	while ((b = block_next(b)))
		if (!strcmp(b->name, name))
			return b;
	return nullptr;
}

int block_claim(struct block_device *b, struct object *who)
{
	int r = 0;

	spin_lock(&b->obj.lock);
	if (b->claimed && b->claimed != who)
		r = -EBUSY;
	else
		b->claimed = who;
	spin_unlock(&b->obj.lock);
	return r;
}

void block_unclaim(struct block_device *b, struct object *who)
{
	spin_lock(&b->obj.lock);
	if (b->claimed == who)
		b->claimed = nullptr;
	spin_unlock(&b->obj.lock);
}

void block_opened(struct block_device *b)
{
	spin_lock(&b->obj.lock);
	b->nr_openers++;
	spin_unlock(&b->obj.lock);
}

void block_closed(struct block_device *b)
{
	bool last;

	spin_lock(&b->obj.lock);
	last = --b->nr_openers == 0;
	spin_unlock(&b->obj.lock);
	if (!last)
		return;
	/* Its errors stay in the object: the next to open the device and sync it is told. Only
	 * clean pages go, so who opens it meanwhile loses nothing. */
	(void)memory_object_sync(b->pages, 0, ~0ull);
	(void)memory_object_invalidate(b->pages, 0, ~0ull);
}

int block_sync(struct block_device *b, u64 first, u64 nr)
{
	struct block_io io = {.bdev = b, .op = BLOCK_FLUSH};
	int r = memory_object_sync(b->pages, first, nr), f = block_io_run(&io);

	return r ? r : f;
}

void block_sync_all(void)
{
	struct block_device *b = nullptr;

	/* Partitions first: a flush is the whole disk's. */
	while ((b = block_next(b)))
		if (b->whole != b)
			(void)memory_object_sync(b->pages, 0, ~0ull);
	while ((b = block_next(b)))
		if (b->whole == b && !(b->geometry.features & BLOCK_FEATURES_READ_ONLY))
			(void)block_sync(b, 0, ~0ull);
}

static struct block_device *block_new(struct component *co, const char *name, u32 rdev,
	struct block_device *whole, u64 start, u64 nr)
{
	struct block_device *b = kzalloc(sizeof(*b));
	struct device *d;

	if (!b)
		return nullptr;
	object_init(&b->obj, OBJECT_BLOCK_DEVICE, LOCK_LEVEL_BLOCK, &account_root);
	list_init(&b->queue);
	waitable_init(&b->idle);
	strlcpy(b->name, name, sizeof(b->name));
	b->rdev = rdev;
	b->whole = whole ? whole : b;
	b->start_sector = start;
	b->nr_sectors = nr;
	b->component = co;
	b->kick = (struct deferred){.op = DEFERRED_BLOCK_KICK, .object = &b->obj};
	list_init(&b->kick.link);
	b->pages = memory_object_create(MEMORY_BLOCK, nr * BLOCK_SECTOR_BYTES, &account_root);
	d = b->pages ? device_create(DEVICE_VIRTUAL, name, nullptr) : nullptr;
	if (!d) {
		object_put(&b->obj);
		return nullptr;
	}
	b->pages->bdev = b;
	spin_lock(&blocks_lock);
	list_add_tail(&blocks, &b->all);
	spin_unlock(&blocks_lock);
	d->node_mode = S_IFBLK | 0660;
	d->node_dev = rdev;
	d->size_bytes = nr * BLOCK_SECTOR_BYTES;
	strlcpy(d->node_name, name, sizeof(d->node_name));
	strlcpy(d->class_name, "block", sizeof(d->class_name));
	device_add(d);
	object_put(&d->obj);
	return b;
}

struct gpt_header {
	u8 signature[8];
	le32_t revision, header_bytes, header_crc, reserved;
	le64_t my_lba, alternate_lba, first_usable, last_usable;
	u8 guid[16];
	le64_t entries_lba;
	le32_t nr_entries, entry_bytes, entries_crc;
};
struct gpt_entry {
	u8 type[16], guid[16];
	le64_t first, last, attributes;
	le16_t name[36];
};

/* Bytes [offset, offset+len) of the device, which must lie in one page. May sleep. */
static int read_bytes(struct block_device *b, u64 offset, void *out, size_t len)
{
	struct frame *f;
	int r = memory_page_get(b->pages, offset / PAGE_BYTES, false, &f);
	u8 *p;

	if (r)
		return r;
	p = page_begin(f);
	memcpy(out, p + offset % PAGE_BYTES, len);
	page_end(f, p);
	frame_unpin(f);
	return 0;
}

static void add_partition(struct block_device *disk, u32 number, u64 first, u64 nr)
{
	char name[16];

	if (!nr || number >= MINORS_PER_DISK || first > disk->nr_sectors ||
		nr > disk->nr_sectors - first)
		return;
	snprintf(name, sizeof(name), "%s%u", disk->name, number);
	if (!block_new(disk->component, name, disk->rdev + number, disk, first, nr))
		log_warn("%s: no memory\n", name);
}

static bool scan_gpt(struct block_device *disk)
{
	static const u8 unused[16];
	struct gpt_header h;
	u32 bytes;

	if (read_bytes(disk, BLOCK_SECTOR_BYTES, &h, sizeof(h)) ||
		memcmp(h.signature, "EFI PART", 8))
		return false;
	bytes = le32_get(h.entry_bytes);
	if (bytes < sizeof(struct gpt_entry) || bytes > 512 || bytes & (bytes - 1) ||
		le64_get(h.entries_lba) >= disk->nr_sectors)
		return true;
	for (u32 i = 0; i < MIN(le32_get(h.nr_entries), 128u); i++) {
		struct gpt_entry e;

		if (read_bytes(disk, le64_get(h.entries_lba) * BLOCK_SECTOR_BYTES + (u64)i * bytes,
			    &e, sizeof(e)))
			break;
		if (memcmp(e.type, unused, 16) && le64_get(e.last) >= le64_get(e.first))
			add_partition(disk, i + 1, le64_get(e.first),
				le64_get(e.last) - le64_get(e.first) + 1);
	}
	return true;
}

static void scan_mbr(struct block_device *disk)
{
	u8 sector[BLOCK_SECTOR_BYTES];

	if (read_bytes(disk, 0, sector, sizeof(sector)) || sector[510] != 0x55 ||
		sector[511] != 0xaa)
		return;
	for (u32 i = 0; i < 4; i++) {
		const u8 *e = sector + 0x1be + 16 * i;
		le32_t first, nr;

		memcpy(&first, e + 8, 4);
		memcpy(&nr, e + 12, 4);
		/* A file system's first sector may look like a table: its "entries" have impossible
		 * status bytes. */
		if ((e[0] & 0x7f) || !e[4] || e[4] == 0xee)
			continue;
		add_partition(disk, i + 1, le32_get(first), le32_get(nr));
	}
}

/* In attach, with the component's lock held: only announces. Partitions are read by block_scan_new.
 */
void block_device_added(struct component *co, const struct block_geometry *geometry)
{
	char name[16];
	struct block_device *b;
	void *batch = kzalloc(BLOCK_BATCH_BYTES);

	if (!batch || geometry->nr_sectors > (u64)INT64_MAX / BLOCK_SECTOR_BYTES) {
		kfree(batch);
		return;
	}
	co->class_data = batch;
	snprintf(name, sizeof(name), "vd%c", 'a' + (char)(nr_disks % 26));
	b = block_new(co, name, DEV_MAKE(VIRTBLK_MAJOR, nr_disks * MINORS_PER_DISK), nullptr, 0,
		geometry->nr_sectors);
	if (!b)
		return;
	b->geometry = *geometry;
	nr_disks++;
	log_info("%s: %llu sectors of 512 bytes, block %u\n", name,
		(unsigned long long)geometry->nr_sectors, geometry->logical_block_bytes);
}

void block_scan_partitions(void)
{
	struct block_device *b = nullptr;

	while ((b = block_next(b)))
		if (b->whole == b && !scan_gpt(b))
			scan_mbr(b);
}
