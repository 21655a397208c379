/*
 * No memory in the middle of a call that makes something: each allocation of the call fails in
 * turn, until it needs no more. It may be made again and succeed, or answer ENOMEM with nothing
 * done. An error that hides an effect traps.
 */
#include <core/mm.h>
#include <host_test.h>

#define AT_CWD       -100
#define AT_REMOVEDIR 0x200
#define O_NEW        0102 /* O_RDWR | O_CREAT */
#define O_UNNAMED    (020000000 | 0200000 | 2)
#define S_FIFO       010000
#define STEPS_MAX    200u

enum made : u8 {
	MADE_DIR,
	MADE_FIFO,
	MADE_LINK,
	MADE_NAME,
	MADE_FILE,
	MADE_UNNAMED,
	MADE_MOVED,
	MADE_NR
};
struct place { /* paths of one file system, in user memory */
	vaddr_t dir, fresh, other, stat;
};

static struct place place_new(const char *dir)
{
	struct place p = {.dir = user_alloc(PAGE_BYTES)};
	char text[64];

	p.fresh = p.dir + 256;
	p.other = p.dir + 512;
	p.stat = p.dir + 1024;
	user_put(p.dir, dir, strlen(dir) + 1);
	(void)snprintf(text, sizeof(text), "%s/fresh", dir);
	user_put(p.fresh, text, strlen(text) + 1);
	(void)snprintf(text, sizeof(text), "%s/other", dir);
	user_put(p.other, text, strlen(text) + 1);
	return p;
}

static sword_t make(const struct place *p, enum made what)
{
	switch (what) {
	case MADE_DIR:
		return sys(SYS_mkdirat, AT_CWD, p->fresh, 0755);
	case MADE_FIFO:
		return sys(SYS_mknodat, AT_CWD, p->fresh, S_FIFO | 0600, 0);
	case MADE_LINK:
		return sys(SYS_symlinkat, p->other, AT_CWD, p->fresh);
	case MADE_NAME:
		return sys(SYS_linkat, AT_CWD, p->other, AT_CWD, p->fresh, 0);
	case MADE_FILE:
		return sys(SYS_openat, AT_CWD, p->fresh, O_NEW, 0644);
	case MADE_UNNAMED:
		return sys(SYS_openat, AT_CWD, p->dir, O_UNNAMED, 0644);
	case MADE_MOVED:
		return sys(SYS_renameat2, AT_CWD, p->other, AT_CWD, p->fresh, 0);
	case MADE_NR:
		break;
	}
	return -EINVAL;
}

/* Back to what was: `r` is what make() said. */
static void unmake(const struct place *p, enum made what, sword_t r)
{
	bool there = !sys(SYS_newfstatat, AT_CWD, p->fresh, p->stat, 0x100);

	CHECK_EQ(there, r >= 0 && what != MADE_UNNAMED);
	if (r < 0)
		return;
	if (what == MADE_FILE || what == MADE_UNNAMED)
		CHECK_EQ(sys(SYS_close, r), 0);
	if (what == MADE_MOVED)
		CHECK_EQ(sys(SYS_renameat2, AT_CWD, p->fresh, AT_CWD, p->other, 0), 0);
	else if (what != MADE_UNNAMED)
		CHECK_EQ(sys(SYS_unlinkat, AT_CWD, p->fresh, what == MADE_DIR ? AT_REMOVEDIR : 0),
			0);
}

static void fail_each(const struct place *p)
{
	sword_t fd = sys(SYS_openat, AT_CWD, p->other, O_NEW, 0644);

	CHECK(fd >= 0);
	CHECK_EQ(sys(SYS_close, fd), 0);
	for (u32 what = 0; what < MADE_NR; what++) {
		u32 nth = 0;
		bool failed;

		do {
			sword_t r;

			slab_fail_nth(++nth);
			r = make(p, (enum made)what);
			failed = slab_has_failed();
			slab_fail_nth(0);
			if (!CHECK(r >= 0 || (failed && r == -ENOMEM)))
				log_err("made %u, allocation %u: %ld\n", what, nth, (long)r);
			unmake(p, (enum made)what, r);
		} while (failed && nth < STEPS_MAX);
		CHECK(nth > 1 && nth < STEPS_MAX); /* some did */
	}
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, p->other, 0), 0);
}

HOST_TEST(make_without_memory)
{
	struct place p = place_new("/");

	fail_each(&p);
	sys(SYS_munmap, p.dir, PAGE_BYTES);
}

HOST_TEST_DISK(ext4_make_without_memory)
{
	struct place p = place_new("/disk");
	vaddr_t type = p.stat;

	sys(SYS_mkdirat, AT_CWD, p.dir, 0755);
	user_put(type, "ext4", 5);
	CHECK_EQ(sys(SYS_mount, ustr("/dev/vda"), p.dir, type, 0, 0), 0);
	fail_each(&p);
	CHECK_EQ(sys(SYS_umount2, p.dir, 0), 0);
	sys(SYS_munmap, p.dir, PAGE_BYTES);
}
