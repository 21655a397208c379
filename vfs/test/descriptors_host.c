/* Descriptors and their tokens: rights of the open mode, revocation, delegated grants. */
#include <core/node.h>
#include <host_test.h>

#define AT_CWD       -100
#define O_BOTH       0102 /* O_CREAT | O_RDWR */
#define POLL_ERR_HUP 0x18
#define F_GETFD      1
#define FIONREAD     0x541b

static struct file *file_at(sword_t fd)
{
	struct file *f = files_get(current->files, (u32)fd);

	if (!f)
		panic("descriptor %d", (s32)fd);
	file_put(f); /* the table has it */
	return f;
}

static u32 polled(sword_t fd)
{
	vaddr_t at = user_alloc(PAGE_BYTES);
	u32 entry[2] = {(u32)fd, 5}; /* POLLIN | POLLOUT */
	u16 events;

	user_put(at, entry, sizeof(entry));
	CHECK_EQ(sys(SYS_poll, at, 1, 0), 1);
	user_get(&events, at + 6, 2);
	CHECK_EQ(sys(SYS_munmap, at, PAGE_BYTES), 0);
	return events;
}

HOST_TEST(descriptor_rights)
{
	vaddr_t at = user_alloc(PAGE_BYTES);
	static const struct {
		s32 flags;
		sword_t read, write, ioctl, stat;
	} modes[] = {
		{0, 0, -EBADF, 0, 0}, {1, -EBADF, 1, 0, 0}, {2, 0, 1, 0, 0},
		{3, -EBADF, -EBADF, 0, 0}, {010000000, -EBADF, -EBADF, -EBADF, 0}, /* O_PATH */
	};

	CHECK_EQ(sys(SYS_close, sys(SYS_openat, AT_CWD, ustr("/r"), O_BOTH, 0644)), 0);
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, ustr("/r"), modes[i].flags);

		CHECK(fd >= 0);
		CHECK_EQ(sys(SYS_read, fd, at, 0), modes[i].read);
		CHECK_EQ(sys(SYS_write, fd, at, 1), modes[i].write);
		CHECK_EQ(sys(SYS_ioctl, fd, FIONREAD, at), modes[i].ioctl);
		CHECK_EQ(sys(SYS_fstat, fd, at), modes[i].stat);
		CHECK_EQ(sys(SYS_close, fd), 0);
	}
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/r"), 0), 0);
	CHECK_EQ(sys(SYS_munmap, at, PAGE_BYTES), 0);
}

static s32 inherited(void *arg)
{
	vaddr_t at = user_alloc(PAGE_BYTES);

	return (s32)-sys(SYS_read, arg, at, 1);
}

/* Every way to use a descriptor of a revoked object, and what concerns the descriptor alone. */
static void check_stale(sword_t fd, sword_t error, vaddr_t at)
{
	CHECK_EQ(sys(SYS_read, fd, at, 1), error);
	CHECK_EQ(sys(SYS_write, fd, at, 1), error);
	CHECK_EQ(sys(SYS_fstat, fd, at), error);
	CHECK_EQ(sys(SYS_ioctl, fd, FIONREAD, at), error);
	CHECK_EQ(polled(fd), POLL_ERR_HUP);
	CHECK_EQ(sys(SYS_fcntl, fd, F_GETFD), 0);
}

HOST_TEST(descriptor_revoked)
{
	vaddr_t at = user_alloc(PAGE_BYTES);
	sword_t fd = sys(SYS_openat, AT_CWD, ustr("/r"), O_BOTH, 0644), copy, other, fresh, event;

	CHECK(fd >= 0);
	CHECK_EQ(sys(SYS_write, fd, at, 10), 10);
	copy = sys(SYS_dup, fd);
	other = sys(SYS_openat, AT_CWD, ustr("/o"), O_BOTH, 0644);
	event = sys(SYS_eventfd2, 1, 0);
	object_revoke_tokens(&file_at(fd)->inode->obj);
	check_stale(fd, -ESTALE, at);
	check_stale(copy, -ESTALE, at);
	CHECK_EQ(sys(SYS_ftruncate, fd, 0), -ESTALE);
	CHECK_EQ(sys(SYS_mmap, 0, PAGE_BYTES, 1, 2, fd, 0), -ESTALE);
	CHECK_EQ(host_reap(host_child(inherited, (void *)fd)), ESTALE << 8);
	/* Others stand, and what is opened now does. */
	CHECK_EQ(sys(SYS_write, other, at, 1), 1);
	CHECK_EQ(sys(SYS_read, event, at, 8), 8);
	fresh = sys(SYS_openat, AT_CWD, ustr("/r"), O_BOTH, 0644);
	CHECK_EQ(sys(SYS_read, fresh, at, 100), 10);
	CHECK_EQ(sys(SYS_read, fd, at, 1), -ESTALE);
	CHECK_EQ(sys(SYS_close, sys(SYS_dup, fd)), 0);
	/* An event's inode is shared by all: its token is on the event. */
	object_revoke_tokens(file_at(event)->obj.body);
	check_stale(event, -ESTALE, at);
	CHECK_EQ(sys(SYS_close, fd), 0);
	CHECK_EQ(sys(SYS_close, copy), 0);
	CHECK_EQ(sys(SYS_close, other), 0);
	CHECK_EQ(sys(SYS_close, fresh), 0);
	CHECK_EQ(sys(SYS_close, event), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/r"), 0), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/o"), 0), 0);
	CHECK_EQ(sys(SYS_munmap, at, PAGE_BYTES), 0);
}

/* A token below a grant: it ends with the grant, other tokens on the object do not. */
HOST_TEST(descriptor_delegated)
{
	vaddr_t at = user_alloc(PAGE_BYTES);
	sword_t a = sys(SYS_eventfd2, 5, 0), b;
	struct file *f = file_at(a);
	handle_t top = object_grant(f->obj.body, CAP_RIGHTS_ALL), middle, leaf;

	b = sys(SYS_openat, AT_CWD, ustr("/"), 0);
	middle = object_delegate(top, CAP_RIGHT_READ | CAP_RIGHT_WRITE | CAP_RIGHT_GRANT);
	leaf = object_delegate(middle, CAP_RIGHT_READ);
	CHECK(top && middle && leaf);
	CHECK_EQ(object_delegate(leaf, CAP_RIGHT_READ), HANDLE_NONE);
	f->cap.grant = leaf;
	f->cap.rights = CAP_RIGHT_READ;
	CHECK_EQ(sys(SYS_read, a, at, 8), 8);
	CHECK_EQ(sys(SYS_write, a, at, 8), -EBADF);
	object_revoke(middle);
	CHECK_EQ(sys(SYS_read, a, at, 8), -ESTALE);
	CHECK_EQ(sys(SYS_fstat, b, at), 0);
	object_revoke(top);
	CHECK_EQ(sys(SYS_close, a), 0);
	CHECK_EQ(sys(SYS_close, b), 0);
	CHECK_EQ(sys(SYS_munmap, at, PAGE_BYTES), 0);
}

#define ROUNDS 150u
static atomic32_t revoked_rounds;

static s32 users(void *arg)
{
	vaddr_t at = user_alloc(PAGE_BYTES);

	while (atomic32_load_acquire(&revoked_rounds) < ROUNDS) {
		sword_t fd = sys(SYS_openat, AT_CWD, ustr("/t"), 2), r;
		u32 nr = atomic32_load_acquire(&revoked_rounds);

		/* Once it is stale it stays so. Virtual time stands while a thread spins, so the
		 * others get the CPU by its yields alone. */
		do {
			r = sys(SYS_pread64, fd, at, 4, 0);
			sys(SYS_sched_yield);
		} while (r == 4 && nr < ROUNDS && atomic32_load_acquire(&revoked_rounds) == nr);
		if (r != 4 && r != -ESTALE)
			CHECK_EQ(r, 4);
		if (r == -ESTALE)
			CHECK_EQ(sys(SYS_pread64, fd, at, 4, 0), -ESTALE);
		else if (atomic32_load_acquire(&revoked_rounds) != nr)
			CHECK_EQ(sys(SYS_pread64, fd, at, 4, 0), -ESTALE);
		sys(SYS_close, fd);
	}
	return 0;
}

HOST_TEST(descriptor_revoked_from_threads)
{
	sword_t fd = sys(SYS_openat, AT_CWD, ustr("/t"), O_BOTH, 0644);
	struct inode *i = file_at(fd)->inode;

	CHECK_EQ(sys(SYS_ftruncate, fd, 100), 0);
	atomic32_store(&revoked_rounds, 0);
	for (u32 n = 0; n < 3; n++)
		host_spawn(users, nullptr);
	for (u32 n = 0; n < ROUNDS; n++) {
		sys(SYS_sched_yield);
		object_revoke_tokens(&i->obj);
		atomic32_fetch_add(&revoked_rounds, 1);
	}
	host_join();
	CHECK_EQ(sys(SYS_pread64, fd, 8, 1, 0), -ESTALE);
	CHECK_EQ(sys(SYS_close, fd), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/t"), 0), 0);
}
