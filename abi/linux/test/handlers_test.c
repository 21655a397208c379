/*
 * Handlers as functions: the record is real, core and the other modules are doubles. Every user
 * copy may fail once with NEED, as rerun=N makes it in the kernel, and the results must not change
 * (ABI-I1, ABI-I2).
 */
#include "../../../lib/test/tap.h"
#include <stdlib.h>
#include <kabi/net.h>
#include "../abi.h"
#include "weak.h"
#include "../net.c"
#include "../rw.c"
#include "../signal.c"
#include "../stat.c"
#include "../task.c"
#include "../time.c"

/* --- doubles --- */
struct nucleus nucleus;
static struct call call;
static struct task task;
static struct thread_group group;
static struct file file;

static void set_mode(u32 flags)
{
	file.flags = flags;
	file.cap.rights = CAP_RIGHT_CONTROL |
			  (flags == O_WRONLY ? CAP_RIGHT_WRITE : CAP_RIGHT_READ | CAP_RIGHT_WRITE);
}
static struct address_space space;
static int nr_copies, fail_copy_at; /* the n-th copy of a call answers NEED once; 0: never */
static int nr_moves, nr_receives;
static struct uspan moved[8];
static u32 moved_nr;
static answer_t move_answer;

static bool copy_fails(void)
{
	if (++nr_copies != fail_copy_at)
		return false;
	fail_copy_at = 0;
	return true;
}

answer_t call_copy_in(struct call *c, void *dst, vaddr_t user, size_t bytes)
{
	if (copy_fails())
		return ANSWER_NEED;
	if (user < 4096)
		return -EFAULT;
	memcpy(dst, (void *)user, bytes);
	return 0;
}
answer_t call_copy_out(struct call *c, vaddr_t user, const void *src, size_t bytes)
{
	if (copy_fails())
		return ANSWER_NEED;
	if (user < 4096)
		return -EFAULT;
	memcpy((void *)user, src, bytes);
	return 0;
}
void *call_memory(struct call *c, size_t bytes)
{
	if (!c->memory)
		c->memory = calloc(1, bytes);
	return c->memory;
}
void call_memory_free(struct call *c)
{
	free(c->memory);
	c->memory = nullptr;
}
sword_t futex_op(vaddr_t uaddr, u32 op, u32 val, ktime_t deadline_or_none, word_t val2,
	vaddr_t uaddr2, u32 val3)
{
	return -ENOSYS;
}
answer_t call_need_memory(struct call *c, size_t bytes)
{
	return -ENOMEM;
}
struct call_frame *call_enter(struct call *c, const struct slot *slot, u16 method, u64 object_id)
{
	return &c->frames[1];
}
answer_t call_leave(struct call *c, answer_t a)
{
	return a;
}
void *call_progress_begin(struct call *c)
{
	c->frames[0].live = 1;
	memset(c->frames[0].progress, 0, sizeof(c->frames[0].progress));
	return c->frames[0].progress;
}
answer_t call_wait(struct call *c)
{
	return ANSWER_WAIT;
}
answer_t call_do(struct call *c, enum call_do_op op, bool again)
{
	c->op = op;
	c->op_again = again;
	return ANSWER_DO;
}
void call_wait_deadline(struct call *c, ktime_t ns)
{
	if (!c->deadline_set)
		c->deadline_ns = ns;
	c->deadline_set = true;
}
struct file *call_file(struct call *c, u32 fd)
{
	return fd == 3 ? &file : nullptr;
}
struct file *call_file_for(struct call *c, u32 fd, u32 rights)
{
	return fd != 3 || (file.cap.rights & rights) != rights ? (struct file *)(sword_t)-EBADF
							       : &file;
}
answer_t file_stale(struct file *f)
{
	return -ESTALE;
}
bool cap_token_renew(struct cap_token *t)
{
	return false;
}
struct cap_table nucleus_caps;
#if UMKA_DEBUG
void call_effect(struct call *c)
{
}
void call_effect_here(void)
{
}
void call_effect_told(struct call *c)
{
	(void)c;
}
void call_effect_recorded(struct call *c)
{
}
void call_effect_undone(struct call *c)
{
}
void call_effect_all_told(struct call *c)
{
}
#endif
ktime_t arch_time_now_ns(void)
{
	return 1000;
}
static answer_t node_read_double(struct call *c, struct file *f, struct uio *io)
{
	nr_moves++;
	moved_nr = io->nr;
	for (u32 i = 0; i < io->nr && i < 8; i++)
		moved[i] = io->spans[i];
	return move_answer ? move_answer : (answer_t)io->total;
}
static answer_t net_receive_double(struct call *c, u32 fd, struct socket_message *m, u32 flags)
{
	nr_receives++;
	m->name_bytes = 7;
	m->control_bytes = 0;
	m->flags_out = 0x20;
	return (answer_t)m->io.total;
}
static const struct node_vtable node_double = {.read = node_read_double};
static const struct net_vtable net_double = {.receive = net_receive_double};

/* --- running a handler as core does, without serving anything --- */
static void begin(word_t a, word_t b, word_t d, word_t e)
{
	call_memory_free(&call);
	call = (struct call){.task = &task, .args = {a, b, d, e}};
	nr_copies = 0;
	nr_moves = nr_receives = 0;
}

/* Runs again after each NEED, as core would. */
#define finish(handler)                                                                            \
	({                                                                                         \
		answer_t _a;                                                                       \
		while ((_a = (handler)(&call)) == ANSWER_NEED)                                     \
			call.reason = CALL_AGAIN;                                                  \
		_a;                                                                                \
	})

static void test_read(void)
{
	static char buffer[64];

	set_mode(O_RDWR);
	begin(3, (word_t)buffer, 64, 0);
	CHECK(sys_read(&call) == 64 && nr_moves == 1 && moved[0].addr == (vaddr_t)buffer);
	begin(4, (word_t)buffer, 64, 0);
	CHECK(sys_read(&call) == -EBADF);
	set_mode(O_WRONLY);
	begin(3, (word_t)buffer, 64, 0);
	CHECK(sys_read(&call) == -EBADF);
	set_mode(O_RDWR);
	begin(3, (word_t)buffer, (word_t)-1, 0);
	CHECK(sys_read(&call) == -EINVAL);
	begin(3, USER_ADDR_END - 8, 64, 0);
	CHECK(sys_read(&call) == -EFAULT);
	begin(3, 4096, 0x7fffffffff, 0);
	CHECK(sys_read(&call) == 0x7ffff000);
	begin(3, (word_t)buffer, 8, (word_t)-3);
	CHECK(sys_pread64(&call) == -EINVAL);
	file.type = NODE_PIPE;
	begin(3, (word_t)buffer, 8, 0);
	CHECK(sys_pread64(&call) == -ESPIPE);
	file.type = NODE_FILE;
}

static void test_iovec(void)
{
	static char buffer[64];
	struct user_iovec iov[40], bad = {(u64)buffer, 1ull << 63};

	for (int i = 0; i < 40; i++)
		iov[i] = (struct user_iovec){(u64)buffer, 2};
	for (int at = 0; at <= 3; at++) { /* 40 entries are three pieces */
		begin(3, (word_t)iov, 40, 0);
		fail_copy_at = at;
		CHECK(finish(sys_readv) == 80 && moved_nr == 40);
	}
	/* imported once: what a program changes while its call waits does not count */
	begin(3, (word_t)iov, 2, 0);
	move_answer = ANSWER_WAIT;
	CHECK(sys_readv(&call) == ANSWER_WAIT);
	iov[0].len = 50;
	move_answer = 0;
	CHECK(sys_readv(&call) == 4 && moved[0].bytes == 2);
	begin(3, (word_t)&bad, 1, 0);
	CHECK(sys_readv(&call) == -EINVAL);
	begin(3, (word_t)iov, 1025, 0);
	CHECK(sys_readv(&call) == -EINVAL);
	begin(3, 8, 1, 0);
	CHECK(sys_readv(&call) == -EFAULT);
	begin(3, (word_t)iov, 0, 0);
	CHECK(sys_readv(&call) == 0 && nr_moves == 0);
	/* the sum is cut, not refused */
	iov[0] = iov[1] = (struct user_iovec){4096, 0x7fffe000};
	begin(3, (word_t)iov, 2, 0);
	CHECK(sys_readv(&call) == 0x7ffff000);
}

static void test_receive_once(void)
{
	static char buffer[16], name[16];
	struct user_iovec iov = {(u64)buffer, 16};

	for (int at = 0; at <= 6; at++) {
		struct user_msghdr head = {.name = (u64)name,
			.namelen = 16,
			.iov = (u64)&iov,
			.iovlen = 1,
			.controllen = 99};

		begin(3, (word_t)&head, 0, 0);
		fail_copy_at = at;
		CHECK(finish(sys_recvmsg) == 16 && nr_receives == 1);
		CHECK(head.namelen == 7 && head.controllen == 0 && head.flags == 0x20);
	}
}

static void test_wait4(void)
{
	for (int at = 0; at <= 2; at++) {
		struct user_rusage usage = {};
		s32 status = 0;
		struct do_wait *w;

		begin((word_t)-1, (word_t)&status, 0, (word_t)&usage);
		fail_copy_at = 0;
		CHECK(sys_wait4(&call) == ANSWER_DO && call.op == DO_WAIT && call.op_again);
		w = (struct do_wait *)call.op_args[0];
		CHECK(w->idtype == 0 && w->options == 4);
		w->status = 0x300;
		w->usage.user_ns = 1500000000;
		call.op_done = true;
		call.op_result = 77;
		fail_copy_at = at;
		CHECK(finish(sys_wait4) == 77 && status == 0x300 && usage.utime.sec == 1 &&
			usage.utime.usec == 500000);
	}
	begin((word_t)INT32_MIN, 0, 0, 0);
	CHECK(sys_wait4(&call) == -ESRCH);
	begin(1, 0, 0x100, 0);
	CHECK(sys_wait4(&call) == -EINVAL);
	begin((word_t)-5, 0, 1, 0);
	CHECK(sys_wait4(&call) == ANSWER_DO && ((struct do_wait *)call.op_args[0])->idtype == 2 &&
		((struct do_wait *)call.op_args[0])->id == 5);
}

static void test_sleep(void)
{
	struct user_timespec ts = {0, 5000}, rest = {9, 9};

	begin((word_t)&ts, (word_t)&rest, 0, 0);
	CHECK(sys_nanosleep(&call) == ANSWER_WAIT && call.deadline_ns == 6000);
	call.reason = CALL_EXPIRED;
	CHECK(sys_nanosleep(&call) == 0);
	for (int at = 0; at <= 1; at++) {
		begin((word_t)&ts, (word_t)&rest, 0, 0);
		CHECK(sys_nanosleep(&call) == ANSWER_WAIT);
		call.reason = CALL_INTERRUPTED;
		nr_copies = 0;
		fail_copy_at = at;
		CHECK(finish(sys_nanosleep) == -ERESTART_RESTARTBLOCK && rest.sec == 0 &&
			rest.nsec == 5000);
		CHECK(task.restart.op == DO_SLEEP && task.restart.deadline_ns == 6000);
	}
	begin(0, 0, 0, 0);
	CHECK(sys_restart_syscall(&call) == ANSWER_WAIT &&
		call.deadline_ns == 6000); /* the same moment, not the same duration */
	ts.nsec = 1000000000;
	begin((word_t)&ts, 0, 0, 0);
	CHECK(sys_nanosleep(&call) == -EINVAL);
	ts = (struct user_timespec){INT64_MAX, 0};
	begin((word_t)&ts, 0, 0, 0);
	CHECK(sys_nanosleep(&call) == ANSWER_WAIT && call.deadline_ns == KTIME_MAX);
}

static void test_values(void)
{
	struct user_siginfo u;
	struct signal_info i = {.signo = SIGCHLD,
		.code = 1,
		.pid = 5,
		.uid = 6,
		.status = 7,
		.utime = 8,
		.stime = 9};

	CHECK(abi_dev_in(abi_dev_out(DEV_MAKE(0xabc, 0x12345))) == DEV_MAKE(0xabc, 0x12345));
	CHECK(abi_dev_out(DEV_MAKE(8, 1)) == 0x801 && abi_dev_out(DEV_MAKE(0, 0x100)) == 0x100000);
	for (u32 flag = 1; flag; flag <<= 1)
		CHECK(abi_open_flags_in(abi_open_flags_out(flag)) == flag);
	abi_siginfo_fill(&u, &i);
	CHECK(u.child.pid == 5 && u.child.uid == 6 && u.child.status == 7 && u.child.utime == 8 &&
		u.child.stime == 9);
	i = (struct signal_info){.signo = SIGSEGV, .code = 1, .value = 0xdead0000};
	abi_siginfo_fill(&u, &i);
	CHECK(u.fault.addr == 0xdead0000);
	i = (struct signal_info){.signo = 40,
		.code = SI_QUEUE,
		.pid = 3,
		.value = 0x1122334455667788};
	abi_siginfo_fill(&u, &i);
	CHECK(u.rt.pid == 3 && u.rt.value == 0x1122334455667788);
	i = (struct signal_info){.signo = SIGALRM,
		.code = SI_TIMER,
		.timer_id = 2,
		.overrun = 4,
		.value = 5};
	abi_siginfo_fill(&u, &i);
	CHECK(u.timer.id == 2 && u.timer.overrun == 4 && u.timer.value == 5);
}

int main(void)
{
	task.group = &group;
	task.space = &space;
	file.slot = &nucleus.slots[SLOT_NODE_FILE];
	nucleus.slots[SLOT_NODE_FILE].vtable = &node_double;
	nucleus.slots[SLOT_NET].vtable = &net_double;
	test_read();
	test_iovec();
	test_receive_once();
	test_wait4();
	test_sleep();
	test_values();
	call_memory_free(&call);
	TAP_END();
}
