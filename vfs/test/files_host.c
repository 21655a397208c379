/* Files on tmpfs, through personality, vfs and file system. */
#include <host_test.h>

#define AT_CWD -100

HOST_TEST(file_write_rename_read)
{
	vaddr_t buffer = user_alloc(3 * PAGE_BYTES);
	sword_t fd = sys(SYS_openat, AT_CWD, ustr("/a"), 0102, 0644); /* O_CREAT | O_RDWR */
	char back[16] = "";

	if (!CHECK(fd >= 0))
		return;
	user_put(buffer + PAGE_BYTES - 6, "hello, world", 12); /* over a page's end */
	CHECK_EQ(sys(SYS_write, fd, buffer + PAGE_BYTES - 6, 12), 12);
	CHECK_EQ(sys(SYS_pwrite64, fd, buffer, 1, 100000), 1);
	CHECK_EQ(sys(SYS_renameat2, AT_CWD, ustr("/a"), AT_CWD, ustr("/b"), 0), 0);
	CHECK_EQ(sys(SYS_openat, AT_CWD, ustr("/a"), 0), -ENOENT);
	CHECK_EQ(sys(SYS_close, fd), 0);
	fd = sys(SYS_openat, AT_CWD, ustr("/b"), 0);
	CHECK(fd >= 0);
	CHECK_EQ(sys(SYS_lseek, fd, 0, 2), 100001);
	CHECK_EQ(sys(SYS_pread64, fd, buffer, 12, 0), 12);
	user_get(back, buffer, 12);
	CHECK(!memcmp(back, "hello, world", 12));
	CHECK_EQ(sys(SYS_read, fd, 8, 12), 0);
	CHECK_EQ(sys(SYS_pread64, fd, 8, 12, 0), -EFAULT);
	CHECK_EQ(sys(SYS_close, fd), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/b"), 0), 0);
	CHECK_EQ(sys(SYS_munmap, buffer, 3 * PAGE_BYTES), 0);
}

/* Threads that make, rename, read and remove names in one directory: walks without locks against
 * changes. */
#define ROUNDS 120u

static s32 names(void *arg)
{
	u32 me = (u32)(word_t)arg;
	char a[32], b[32];
	vaddr_t page = user_alloc(PAGE_BYTES), other = page + 256;

	(void)snprintf(a, sizeof(a), "/dir/x%u", me % 3);
	(void)snprintf(b, sizeof(b), "/dir/y%u", me % 2);
	user_put(page, a, sizeof(a));
	user_put(other, b, sizeof(b));
	for (u32 i = 0; i < ROUNDS; i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, page, 0102, 0644), r;

		if (fd >= 0) {
			r = sys(SYS_write, fd, page, 100);
			if (r != 100)
				CHECK_EQ(r, 100);
			r = sys(SYS_close, fd);
			if (r)
				CHECK_EQ(r, 0);
		} else {
			CHECK_EQ(fd, 0);
		}
		r = sys(SYS_renameat2, AT_CWD, page, AT_CWD, other, 0);
		if (r && r != -ENOENT)
			CHECK_EQ(r, -ENOENT);
		r = sys(SYS_newfstatat, AT_CWD, other, page + 1024, 0);
		if (r && r != -ENOENT)
			CHECK_EQ(r, -ENOENT);
		if (host_dice(3) == 0)
			sys(SYS_unlinkat, AT_CWD, other, 0);
	}
	return 0;
}

HOST_TEST(file_names_from_threads)
{
	CHECK_EQ(sys(SYS_mkdirat, AT_CWD, ustr("/dir"), 0755), 0);
	for (u32 i = 0; i < 6; i++)
		host_spawn(names, (void *)(word_t)i);
	host_join();
	for (u32 i = 0; i < 3; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "/dir/x%u", i);
		sys(SYS_unlinkat, AT_CWD, ustr(text), 0);
		(void)snprintf(text, sizeof(text), "/dir/y%u", i);
		sys(SYS_unlinkat, AT_CWD, ustr(text), 0);
	}
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/dir"), 0x200), 0); /* AT_REMOVEDIR: it is empty */
}

/* Descriptors shared by threads: installed, duplicated, closed under each other's feet. */
static s32 descriptors(void *arg)
{
	for (u32 i = 0; i < 200; i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, ustr("/"), 0);

		if (fd < 0) {
			CHECK_EQ(fd, 0);
			break;
		}
		sys(SYS_dup3, fd, 20 + host_dice(4), 0);
		sys(SYS_fcntl, 20 + host_dice(4), 1, 0);
		sys(SYS_close, fd);
	}
	return 0;
}

HOST_TEST(file_descriptors_from_threads)
{
	for (u32 i = 0; i < 5; i++)
		host_spawn(descriptors, nullptr);
	host_join();
	for (u32 i = 20; i < 24; i++)
		sys(SYS_close, i);
	CHECK_EQ(sys(SYS_fcntl, 20, 1, 0), -EBADF);
}

/* Who no longer owns a file cannot make it set-id: chown(2) and chmod(2) of the same file at once.
 */
#define OWNER 1000u
static atomic32_t give_up;

static s32 owner(void *arg)
{
	vaddr_t name = user_alloc(PAGE_BYTES);

	user_put(name, "/given", 7);
	CHECK_EQ(sys(SYS_setresuid, OWNER, OWNER, OWNER), 0);
	while (!atomic32_load(&give_up)) {
		sword_t r = sys(SYS_fchmodat, AT_CWD, name, 04755);

		if (r && r != -EPERM)
			CHECK_EQ(r, 0);
	}
	return 0;
}

HOST_TEST(file_given_away_is_not_set_id)
{
	vaddr_t stat = user_alloc(PAGE_BYTES), name = ustr("/given");
	sword_t fd = sys(SYS_openat, AT_CWD, name, 0102, 0644);

	CHECK(fd >= 0);
	atomic32_store(&give_up, 0);
	host_spawn(owner, nullptr);
	for (u32 i = 0; i < 3000; i++) {
		sys(SYS_fchown, fd, OWNER, OWNER);
		sys(SYS_sched_yield);
		if (sys(SYS_fchown, fd, 0, 0))
			CHECK(false);
		if (sys(SYS_fstat, fd, stat))
			CHECK(false);
		if (user_u32(stat + 24) & 04000 && !CHECK(!"set-id")) /* st_mode */
			break;
	}
	atomic32_store(&give_up, 1);
	host_join();
	CHECK_EQ(sys(SYS_close, fd), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/given"), 0), 0);
}
