/* Memory through system calls: mappings, faults, copy-on-write, shared pages, file pages under
 * pressure, and slabs below. */
#include <host_test.h>

#define AT_CWD   -100
#define PROT_RW  3
#define PRIVATE  0x22 /* MAP_PRIVATE | MAP_ANONYMOUS */
#define SHARED   0x21
#define NR_PAGES 64u

static void page_put(vaddr_t base, u32 page, u32 value)
{
	user_put(base + page * PAGE_BYTES + page % 1000 * 4, &value, sizeof(value));
}

static u32 page_get(vaddr_t base, u32 page)
{
	return user_u32(base + page * PAGE_BYTES + page % 1000 * 4);
}

static vaddr_t copied, shared_pages;

static s32 cow_child(void *arg)
{
	bool same = true;

	for (u32 i = 0; i < NR_PAGES; i++)
		same &= page_get(copied, i) == i;
	for (u32 i = 0; i < NR_PAGES; i += 2)
		page_put(copied, i, 1000 + i);
	for (u32 i = 0; i < NR_PAGES; i++)
		same &= page_get(copied, i) == (i % 2 ? i : 1000 + i);
	for (u32 i = 0; i < NR_PAGES; i++)
		page_put(shared_pages, i, 7 * i);
	return same ? 0 : 1;
}

HOST_TEST(memory_copy_on_write)
{
	sword_t child[3];
	bool same = true;

	copied = (vaddr_t)sys(SYS_mmap, 0, NR_PAGES * PAGE_BYTES, PROT_RW, PRIVATE, -1, 0);
	shared_pages = (vaddr_t)sys(SYS_mmap, 0, NR_PAGES * PAGE_BYTES, PROT_RW, SHARED, -1, 0);
	for (u32 i = 0; i < NR_PAGES; i++)
		page_put(copied, i, i);
	for (u32 i = 0; i < 3; i++)
		child[i] = host_child(cow_child, nullptr);
	for (u32 i = 0; i < NR_PAGES; i += 3)
		page_put(copied, i, i);
	for (u32 i = 0; i < 3; i++)
		CHECK_EQ(host_reap(child[i]), 0);
	for (u32 i = 0; i < NR_PAGES; i++)
		same &= page_get(copied, i) == i && page_get(shared_pages, i) == 7 * i;
	CHECK(same);
	CHECK_EQ(sys(SYS_munmap, copied, NR_PAGES * PAGE_BYTES), 0);
	CHECK_EQ(sys(SYS_munmap, shared_pages, NR_PAGES * PAGE_BYTES), 0);
	CHECK_EQ(sys(SYS_pipe2, copied, 0), -EFAULT);
}

HOST_TEST(memory_protection)
{
	vaddr_t at = (vaddr_t)sys(SYS_mmap, 0, 4 * PAGE_BYTES, PROT_RW, PRIVATE, -1, 0);
	u32 v = 5;

	page_put(at, 1, 1);
	CHECK_EQ(sys(SYS_mprotect, at, 2 * PAGE_BYTES, 1), 0);
	CHECK_EQ(page_get(at, 1), 1);
	CHECK_EQ(ucopy_out(at + PAGE_BYTES, &v, sizeof(v)), -EFAULT);
	CHECK_EQ(ucopy_out(at + 2 * PAGE_BYTES - 2, &v, sizeof(v)), -EFAULT);
	CHECK_EQ(sys(SYS_mprotect, at, 4 * PAGE_BYTES, 0), 0);
	CHECK_EQ(ucopy_in(&v, at + 4, sizeof(v)), -EFAULT);
	CHECK_EQ(sys(SYS_mprotect, at, 4 * PAGE_BYTES, PROT_RW), 0);
	CHECK_EQ(page_get(at, 1), 1);
	CHECK_EQ(sys(SYS_madvise, at, 4 * PAGE_BYTES, 4), 0); /* MADV_DONTNEED */
	CHECK_EQ(page_get(at, 1), 0);
	CHECK_EQ(sys(SYS_munmap, at, 4 * PAGE_BYTES), 0);
}

/* Threads of one space map, touch, remap and unmap: flushes against copies of other CPUs. */
#define ROUNDS 60u
static s32 mapper(void *arg)
{
	u32 me = (u32)(word_t)arg;
	bool same = true;

	for (u32 i = 0; i < ROUNDS; i++) {
		u32 pages = 1 + host_dice(40);
		sword_t at = sys(SYS_mmap, 0, pages * PAGE_BYTES, PROT_RW, PRIVATE, -1, 0), to;

		if (!CHECK(at > 0))
			return 1;
		for (u32 p = 0; p < pages; p += 3)
			page_put((vaddr_t)at, p, me << 16 | p);
		to = sys(SYS_mremap, at, pages * PAGE_BYTES, (pages + 8) * PAGE_BYTES, 1);
		if (!CHECK(to > 0))
			return 1;
		for (u32 p = 0; p < pages; p++)
			same &= page_get((vaddr_t)to, p) == (p % 3 ? 0 : me << 16 | p);
		CHECK_EQ(sys(SYS_munmap, to, (pages + 8) * PAGE_BYTES), 0);
	}
	CHECK(same);
	return 0;
}

HOST_TEST(memory_threads_map)
{
	for (u32 i = 0; i < 6; i++)
		host_spawn(mapper, (void *)(word_t)i);
	host_join();
}

/* A file on tmpfs, mapped shared and written by calls at once; truncation below. */
HOST_TEST(memory_file_mapping)
{
	sword_t fd = sys(SYS_openat, AT_CWD, ustr("/mapped"), 0102, 0600);
	vaddr_t buffer = user_alloc(PAGE_BYTES), at;
	u32 v = 0;

	CHECK_EQ(sys(SYS_ftruncate, fd, 10 * PAGE_BYTES), 0);
	at = (vaddr_t)sys(SYS_mmap, 0, 10 * PAGE_BYTES, PROT_RW, 1, fd, 0);
	page_put(at, 9, 99);
	CHECK_EQ(sys(SYS_pread64, fd, buffer, 4, 9 * PAGE_BYTES + 36), 4);
	CHECK_EQ(user_u32(buffer), 99);
	CHECK_EQ(sys(SYS_pwrite64, fd, buffer, 4, 8 * PAGE_BYTES + 32), 4);
	CHECK_EQ(page_get(at, 8), 99);
	CHECK_EQ(sys(SYS_ftruncate, fd, 9 * PAGE_BYTES), 0);
	CHECK_EQ(ucopy_in(&v, at + 9 * PAGE_BYTES, sizeof(v)), -EFAULT);
	CHECK_EQ(page_get(at, 8), 99);
	CHECK_EQ(sys(SYS_close, fd), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/mapped"), 0), 0);
	CHECK_EQ(page_get(at, 8), 99);
	CHECK_EQ(sys(SYS_munmap, at, 10 * PAGE_BYTES), 0);
}

/* Slabs and blocks of frames, by all CPUs at once, freed by another than who took them. */
#define NR_OBJECTS 256u
static void *objects[NR_OBJECTS];

static s32 allocator(void *arg)
{
	for (u32 i = 0; i < 3000; i++) {
		u32 bytes = 8 + host_dice(host_dice(10) ? 700 : 20000);
		u32 *p = kmalloc(bytes), *old;

		if (!CHECK(p != nullptr))
			return 1;
		p[0] = p[1] = bytes;
		old = shared_exchange(&objects[host_dice(NR_OBJECTS)], p);
		if (old && !(old[0] == old[1]))
			CHECK(!"object kept its contents");
		kfree(old);
		cond_resched();
	}
	return 0;
}

HOST_TEST(memory_slabs)
{
	for (u32 i = 0; i < host_nr_cpus() + 1; i++)
		host_spawn(allocator, nullptr);
	host_join();
	for (u32 i = 0; i < NR_OBJECTS; i++)
		kfree(objects[i]);
	CHECK(true);
}
