/* Pipes between threads and processes: waits, partial transfers, ends that close. */
#include <host_test.h>

#define TOTAL_BYTES 300000u

static sword_t pipe_ends(u32 fds[2], u32 flags)
{
	vaddr_t at = user_alloc(PAGE_BYTES);
	sword_t r = sys(SYS_pipe2, at, flags);

	if (!r)
		user_get(fds, at, 2 * sizeof(u32));
	sys(SYS_munmap, at, PAGE_BYTES);
	return r;
}

static u32 ends[2];

static s32 writer(void *arg)
{
	vaddr_t buffer = user_alloc(2 * PAGE_BYTES);
	u32 sent = 0;

	while (sent < TOTAL_BYTES) {
		u32 part = MIN(1 + host_dice(6000), TOTAL_BYTES - sent);
		u8 data[64];
		sword_t r;

		for (u32 i = 0; i < sizeof(data); i++)
			data[i] = (u8)(sent + i);
		part = MIN(part, (u32)sizeof(data));
		user_put(buffer + PAGE_BYTES - 13, data, part);
		r = sys(SYS_write, ends[1], buffer + PAGE_BYTES - 13, part);
		if (!CHECK(r > 0))
			break;
		sent += (u32)r;
	}
	return 0;
}

static void read_all(void)
{
	vaddr_t buffer = user_alloc(2 * PAGE_BYTES);
	u32 got = 0;
	bool same = true;

	while (got < TOTAL_BYTES) {
		u8 data[256];
		sword_t r = sys(SYS_read, ends[0], buffer + PAGE_BYTES - 100,
			1 + host_dice(sizeof(data)));

		if (!CHECK(r > 0))
			break;
		user_get(data, buffer + PAGE_BYTES - 100, (size_t)r);
		for (sword_t i = 0; i < r; i++)
			same &= data[i] == (u8)(got + (u32)i);
		got += (u32)r;
	}
	CHECK(same);
	sys(SYS_munmap, buffer, 2 * PAGE_BYTES);
}

HOST_TEST(pipe_between_threads)
{
	CHECK_EQ(pipe_ends(ends, 0), 0);
	host_spawn(writer, nullptr);
	read_all();
	host_join();
	CHECK_EQ(sys(SYS_close, ends[1]), 0);
	CHECK_EQ(sys(SYS_read, ends[0], user_alloc(PAGE_BYTES), 1), 0);
	CHECK_EQ(sys(SYS_close, ends[0]), 0);
}

static s32 child_writer(void *arg)
{
	sys(SYS_close, ends[0]);
	return writer(arg) + 7;
}

HOST_TEST(pipe_between_processes)
{
	sword_t child;

	CHECK_EQ(pipe_ends(ends, 0), 0);
	child = host_child(child_writer, nullptr);
	CHECK(child > 0);
	CHECK_EQ(sys(SYS_close, ends[1]), 0);
	read_all();
	CHECK_EQ(sys(SYS_read, ends[0], user_alloc(PAGE_BYTES), 1), 0);
	CHECK_EQ(host_reap(child), 7 << 8);
	CHECK_EQ(sys(SYS_close, ends[0]), 0);
}

/* --- epoll over eventfds and a pipe, fed by threads --- */
#define NR_FEEDERS 4u
#define NR_EVENTS  200u

struct __packed epoll_event {
	u32 events;
	u64 data;
};
static sword_t event_fd[NR_FEEDERS];

static s32 feeder(void *arg)
{
	u32 me = (u32)(word_t)arg;
	vaddr_t one = user_alloc(PAGE_BYTES);
	u64 v = 1;

	user_put(one, &v, sizeof(v));
	for (u32 i = 0; i < NR_EVENTS; i++) {
		CHECK_EQ(sys(SYS_write, event_fd[me], one, 8), 8);
		if (host_dice(4) == 0)
			sys(SYS_sched_yield);
	}
	return 0;
}

HOST_TEST(epoll_eventfds)
{
	sword_t ep = sys(SYS_epoll_create1, 0);
	vaddr_t at = user_alloc(PAGE_BYTES);
	u32 got = 0;

	for (u32 i = 0; i < NR_FEEDERS; i++) {
		struct epoll_event e = {.events = 1 | (i % 2 ? 1u << 31 : 0),
			.data = i}; /* EPOLLIN, EPOLLET */

		event_fd[i] = sys(SYS_eventfd2, 0, 04000); /* EFD_NONBLOCK */
		user_put(at, &e, sizeof(e));
		CHECK_EQ(sys(SYS_epoll_ctl, ep, 1, event_fd[i], at), 0);
	}
	CHECK_EQ(sys(SYS_epoll_wait, ep, at, 8, 0), 0);
	for (u32 i = 0; i < NR_FEEDERS; i++)
		host_spawn(feeder, (void *)(word_t)i);
	while (got < NR_FEEDERS * NR_EVENTS) {
		sword_t n = sys(SYS_epoll_wait, ep, at, 8, -1);

		if (!CHECK(n > 0))
			break;
		for (sword_t k = 0; k < n; k++) {
			struct epoll_event e;
			u64 v = 0;

			user_get(&e, at + (vaddr_t)k * sizeof(e), sizeof(e));
			if (sys(SYS_read, event_fd[e.data], at + 2048, 8) == 8)
				user_get(&v, at + 2048, 8);
			got += (u32)v;
		}
	}
	host_join();
	CHECK_EQ(got, NR_FEEDERS * NR_EVENTS);
	for (u32 i = 0; i < NR_FEEDERS; i++)
		CHECK_EQ(sys(SYS_close, event_fd[i]), 0);
	CHECK_EQ(sys(SYS_close, ep), 0);
	sys(SYS_munmap, at, PAGE_BYTES);
}

/* fifo(7): both opens wait for each other, and a writer that comes, writes and goes has met the
 * reader that came in between. */
#define MEETINGS 400u
#define AT_CWD   -100

static s32 fifo_writer(void *arg)
{
	static const s32 priority = 1;
	vaddr_t at = user_alloc(PAGE_BYTES);

	/* SCHED_FIFO: woken by the reader's entry, it is done before the reader looks around. */
	user_put(at, &priority, sizeof(priority));
	CHECK_EQ(sys(SYS_sched_setscheduler, 0, 1, at), 0);
	for (u32 i = 0; i < MEETINGS; i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, ustr("/meet"), 1), r;

		r = sys(SYS_write, fd, ustr("z"), 1);
		if (r != 1)
			CHECK_EQ(r, 1);
		sys(SYS_close, fd);
		/* The other one takes it as the end of this meeting. */
		if (sys(SYS_read, ends[0], ustr("x"), 1) != 1)
			CHECK(false);
	}
	return 0;
}

HOST_TEST(fifo_opens_meet)
{
	u32 nr = 0;

	CHECK_EQ(sys(SYS_mknodat, AT_CWD, ustr("/meet"), 0010600, 0), 0);
	CHECK_EQ(pipe_ends(ends, 0), 0);
	host_spawn(fifo_writer, nullptr);
	for (u32 i = 0; i < MEETINGS; i++) {
		sword_t fd = sys(SYS_openat, AT_CWD, ustr("/meet"), 0);

		nr += sys(SYS_read, fd, ustr("?"), 1) == 1;
		CHECK_EQ(sys(SYS_read, fd, ustr("?"), 1), 0);
		CHECK_EQ(sys(SYS_close, fd), 0);
		CHECK_EQ(sys(SYS_write, ends[1], ustr("x"), 1), 1);
	}
	host_join();
	CHECK_EQ(nr, MEETINGS);
	CHECK_EQ(sys(SYS_close, ends[0]), 0);
	CHECK_EQ(sys(SYS_close, ends[1]), 0);
	CHECK_EQ(sys(SYS_unlinkat, AT_CWD, ustr("/meet"), 0), 0);
}
