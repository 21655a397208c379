/* ext4 on a disk of the host port (tests/host/kernel/disk.c): threads that make, write, read,
 * rename, truncate and remove files at once, under memory that is written back meanwhile. run.py
 * has e2fsck look at the disk afterwards. */
#include <core/block_cache.h>
#include <host_test.h>

#define AT_CWD        -100
#define NR_THREADS    6u
#define ROUNDS        60u
#define FILE_BYTES    20000u
#define O_RDWR_CREATE 0102
#define AT_REMOVEDIR  0x200
#define CACHED_FEW    48u /* metadata blocks; the crowd uses some hundred */

/* Paths and contents of one thread, in its user memory. */
struct room {
	vaddr_t at; /* a path, another, then contents */
	u32 me;
};
#define PATH_BYTES 256u

static vaddr_t path(const struct room *r, u32 which, const char *fmt, ...) __printf(3, 4);
static vaddr_t path(const struct room *r, u32 which, const char *fmt, ...)
{
	char text[PATH_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	user_put(r->at + which * PATH_BYTES, text, strlen(text) + 1);
	return r->at + which * PATH_BYTES;
}

static struct room room_new(u32 me)
{
	return (struct room){user_alloc(PAGE_BYTES + ALIGN_UP(FILE_BYTES, PAGE_BYTES)), me};
}

static void room_free(struct room *r)
{
	sys(SYS_munmap, r->at, PAGE_BYTES + ALIGN_UP(FILE_BYTES, PAGE_BYTES));
}

static void disk_mount(void)
{
	struct room r = room_new(0);
	sword_t e;

	sys(SYS_mkdirat, AT_CWD, path(&r, 0, "/disk"), 0755);
	user_put(r.at + PAGE_BYTES, "ext4", 5);
	e = sys(SYS_mount, path(&r, 1, "/dev/vda"), r.at, r.at + PAGE_BYTES, 0, 0);
	if (e)
		panic("host: mount: error %ld", -(long)e);
	room_free(&r);
}

static void disk_unmount(void)
{
	struct room r = room_new(0);

	CHECK_EQ(sys(SYS_umount2, path(&r, 0, "/disk"), 0), 0);
	room_free(&r);
}

/* What file `seed` holds at `offset`. */
static u8 content(u32 seed, u32 offset)
{
	return (u8)(seed * 37 + offset / 7 + offset);
}

static bool file_write(const struct room *r, sword_t fd, u32 seed, u32 bytes)
{
	u8 piece[128];

	for (u32 at = 0; at < bytes; at += sizeof(piece)) {
		for (u32 i = 0; i < sizeof(piece); i++)
			piece[i] = content(seed, at + i);
		user_put(r->at + PAGE_BYTES + at, piece, MIN(sizeof(piece), bytes - at));
	}
	return CHECK_EQ(sys(SYS_pwrite64, fd, r->at + PAGE_BYTES, bytes, 0), bytes);
}

static bool file_holds(const struct room *r, sword_t fd, u32 seed, u32 bytes)
{
	bool same = true;
	u8 piece[128];

	if (!CHECK_EQ(sys(SYS_pread64, fd, r->at + PAGE_BYTES, FILE_BYTES, 0), bytes))
		return false;
	for (u32 at = 0; at < bytes; at += sizeof(piece)) {
		u32 n = MIN((u32)sizeof(piece), bytes - at);

		user_get(piece, r->at + PAGE_BYTES + at, n);
		for (u32 i = 0; i < n; i++)
			same &= piece[i] == content(seed, at + i);
	}
	return CHECK(same);
}

/* A file of one's own: made, written, renamed into the directory of all, read, cut, at last removed
 * or left. */
static void own_file(const struct room *r, u32 round)
{
	u32 seed = r->me * ROUNDS + round, bytes = 1 + host_dice(FILE_BYTES), cut;
	sword_t fd =
		sys(SYS_openat, AT_CWD, path(r, 0, "/disk/t%u/new", r->me), O_RDWR_CREATE, 0644);

	if (!CHECK(fd >= 0) || !file_write(r, fd, seed, bytes))
		return;
	if (host_dice(8) == 0)
		CHECK_EQ(sys(SYS_fsync, fd), 0);
	CHECK_EQ(sys(SYS_renameat2, AT_CWD, r->at, AT_CWD,
			 path(r, 1, "/disk/all/%u-a-name-of-some-length-%u", r->me, round), 0),
		0);
	file_holds(r, fd, seed, bytes);
	cut = host_dice(bytes + 1);
	CHECK_EQ(sys(SYS_ftruncate, fd, cut), 0);
	file_holds(r, fd, seed, cut);
	CHECK_EQ(sys(SYS_close, fd), 0);
	if (round % 3)
		CHECK_EQ(sys(SYS_unlinkat, AT_CWD, r->at + PATH_BYTES, 0), 0);
}

/* A name that all use: any outcome but an error that cannot be. */
static void shared_name(const struct room *r)
{
	vaddr_t a = path(r, 0, "/disk/all/x%u", r->me % 2), b = path(r, 1, "/disk/all/y");
	sword_t fd = sys(SYS_openat, AT_CWD, a, O_RDWR_CREATE, 0644), e;

	if (!CHECK(fd >= 0))
		return;
	CHECK_EQ(sys(SYS_pwrite64, fd, r->at + PAGE_BYTES, 3000, host_dice(30000)), 3000);
	CHECK_EQ(sys(SYS_ftruncate, fd, host_dice(40000)), 0);
	e = sys(SYS_pread64, fd, r->at + PAGE_BYTES, FILE_BYTES, 100);
	CHECK(e >= 0);
	CHECK_EQ(sys(SYS_close, fd), 0);
	e = sys(SYS_renameat2, AT_CWD, a, AT_CWD, b, 0);
	CHECK(!e || e == -ENOENT);
	if (host_dice(2) == 0) {
		e = sys(SYS_unlinkat, AT_CWD, b, 0);
		CHECK(!e || e == -ENOENT);
	}
}

static s32 worker(void *arg)
{
	struct room r = room_new((u32)(word_t)arg);

	CHECK_EQ(sys(SYS_mkdirat, AT_CWD, path(&r, 0, "/disk/t%u", r.me), 0755), 0);
	for (u32 i = 0; i < ROUNDS; i++) {
		own_file(&r, i);
		shared_name(&r);
		if (host_dice(20) == 0)
			sys(SYS_sync);
	}
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, path(&r, 0, "/disk/t%u", r.me), AT_REMOVEDIR), 0);
	room_free(&r);
	return 0;
}

/* At most so many metadata blocks are kept. */
static void cache_limit(u32 max)
{
	struct superblock *sb;

	for (u64 after = 0; (sb = superblock_next(after)) != nullptr; superblock_leave(sb)) {
		struct block_cache *cache = sb->block_cache;

		after = sb->obj.id;
		if (!cache)
			continue;
		spin_lock(&cache->lock);
		cache->max = max;
		spin_unlock(&cache->lock);
	}
}

/* cached: the limit of metadata blocks, 0: core's. */
static void crowd(u32 cached)
{
	struct room r = room_new(0);

	disk_mount();
	if (cached)
		cache_limit(cached);
	CHECK_EQ(sys(SYS_mkdirat, AT_CWD, path(&r, 0, "/disk/all"), 0755), 0);
	for (u32 i = 0; i < NR_THREADS; i++)
		host_spawn(worker, (void *)(word_t)i);
	host_join();
	disk_unmount();
	disk_mount(); /* what was left is there, of any length below what was written */
	for (u32 t = 0; t < NR_THREADS; t++)
		for (u32 i = 0; i < ROUNDS; i += 3) {
			sword_t fd = sys(SYS_openat, AT_CWD,
				path(&r, 0, "/disk/all/%u-a-name-of-some-length-%u", t, i), 0);
			sword_t bytes = sys(SYS_lseek, fd, 0, 2);

			if (CHECK(fd >= 0 && bytes >= 0))
				file_holds(&r, fd, t * ROUNDS + i, (u32)bytes);
			sys(SYS_close, fd);
		}
	if (cached)
		cache_limit(cached);
	for (u32 t = 0; t < NR_THREADS; t++)
		for (u32 i = 0; i < ROUNDS; i += 3)
			CHECK_EQ(sys(SYS_unlinkat, AT_CWD,
					 path(&r, 0, "/disk/all/%u-a-name-of-some-length-%u", t, i),
					 0),
				0);
	sys(SYS_unlinkat, AT_CWD, path(&r, 0, "/disk/all/x0"), 0); /* these may be there */
	sys(SYS_unlinkat, AT_CWD, path(&r, 0, "/disk/all/x1"), 0);
	sys(SYS_unlinkat, AT_CWD, path(&r, 0, "/disk/all/y"), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, path(&r, 0, "/disk/all"), AT_REMOVEDIR), 0);
	disk_unmount();
	room_free(&r);
}

HOST_TEST_DISK(ext4_threads)
{
	crowd(0);
}

/* Blocks leave the cache while a commit writes them, and are asked for again. */
HOST_TEST_DISK(ext4_few_blocks_cached)
{
	crowd(CACHED_FEW);
}

/* unlink(2) and the last close free a file although others sync, commit and write it back
 * meanwhile: nobody waits for a period of write-back to see its space again. */
static atomic32_t enders_left;

static s32 syncer(void *arg)
{
	while (atomic32_load_acquire(&enders_left))
		sys(SYS_sync);
	return 0;
}

static u64 files_free(const struct room *r)
{
	u64 out[15] = {};

	CHECK_EQ(sys(SYS_statfs, path(r, 1, "/disk"), r->at + PAGE_BYTES), 0);
	user_get(out, r->at + PAGE_BYTES, sizeof(out));
	return out[6]; /* struct statfs.f_ffree */
}

static void end_files(const struct room *r)
{
	for (u32 i = 0; i < 4 * ROUNDS; i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, path(r, 0, "/disk/ends"), O_RDWR_CREATE, 0600);
		u64 before;

		if (!CHECK(fd >= 0) || !file_write(r, fd, i, 1 + host_dice(FILE_BYTES)))
			break;
		before = files_free(r);
		if (i % 2)
			CHECK_EQ(sys(SYS_close, fd), 0);
		CHECK_EQ(sys(SYS_unlinkat, AT_CWD, path(r, 0, "/disk/ends"), 0), 0);
		if (i % 2 == 0)
			CHECK_EQ(sys(SYS_close, fd), 0);
		if (!CHECK_EQ(files_free(r), before + 1))
			break;
	}
	atomic32_store_release(&enders_left, 0);
}

HOST_TEST_DISK(ext4_ends_beside_sync)
{
	struct room r = room_new(0);

	disk_mount();
	atomic32_store_release(&enders_left, 1);
	for (u32 i = 0; i < 2; i++)
		host_spawn(syncer, nullptr);
	end_files(&r);
	host_join();
	disk_unmount();
	room_free(&r);
}
