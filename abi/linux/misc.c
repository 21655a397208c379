/* The system as a whole: names, memory and load figures, random bytes, prctl, reboot, host name. */
#include <core/hwrng.h>
#include <core/log_ring.h>
#include <core/plant.h>
#include <core/random.h>
#include <core/version.h>
#include <kabi/tty.h>
#include <lib/fmt.h>
#include "abi.h"

#define UNAME_RELEASE KERNEL_RELEASE
#define UNAME_VERSION KERNEL_VERSION

static void copy_name(char *out, struct uts_ns *ns, const char *name)
{
	spin_lock(&ns->obj.lock);
	strlcpy(out, name, 65);
	spin_unlock(&ns->obj.lock);
}

#define PER_UNAME26 0x0020000u

answer_t sys_uname(struct call *c)
{
	struct uts_ns *ns = c->ctx->uts_ns;
	struct user_utsname u = {.sysname = "Linux",
		.release = UNAME_RELEASE,
		.version = UNAME_VERSION,
		.machine = ABI_MACHINE};

	abi_try(plant_handler(c, PLANT_PLACE_ABI));
	copy_name(u.nodename, ns, ns->node_name);
	copy_name(u.domainname, ns, ns->domain_name);
	if (c->ctx->personality &
		PER_UNAME26) /* 2.6.(40 + minor + ...) as Linux counts since 3.0: 6.12 is 2.6.72 */
		strlcpy(u.release, "2.6.72-umka", sizeof(u.release));
	return abi_copy_out(c, c->args[0], &u);
}

static answer_t set_name(struct call *c, struct uts_ns *ns, char *field)
{
	char name[65] = {};

	if (!context_capable(c->ctx, CAP_SYS_ADMIN))
		return -EPERM;
	if (arg_int(c, 1) < 0 || arg_int(c, 1) > 64)
		return -EINVAL;
	abi_try(call_copy_in(c, name, c->args[0], arg_uint(c, 1)));
	spin_lock(&ns->obj.lock);
	memcpy(field, name, sizeof(name));
	spin_unlock(&ns->obj.lock);
	return 0;
}

answer_t sys_sethostname(struct call *c)
{
	return set_name(c, c->ctx->uts_ns, c->ctx->uts_ns->node_name);
}

answer_t sys_setdomainname(struct call *c)
{
	return set_name(c, c->ctx->uts_ns, c->ctx->uts_ns->domain_name);
}

/* Averages have 11 fractional bits in core, 16 here (sysinfo(2)). */
answer_t sys_sysinfo(struct call *c)
{
	struct memory_stats m;
	u64 loads[3];
	u32 running, total;
	struct user_sysinfo s;

	mm_stats(&m);
	sched_loadavg(loads, &running, &total);
	s = (struct user_sysinfo){
		.uptime = (s64)((time_boottime_ns() + c->ctx->time_ns->boottime_offset_ns +
					NSEC_PER_SEC - 1) /
				NSEC_PER_SEC),
		.loads = {loads[0] << 5, loads[1] << 5, loads[2] << 5},
		.totalram = m.total_pages * PAGE_BYTES,
		.freeram = m.free_pages * PAGE_BYTES,
		.sharedram = m.shmem_pages * PAGE_BYTES,
		.bufferram = m.buffers_pages * PAGE_BYTES,
		.procs = (u16)task_count(),
		.mem_unit = 1,
	};
	return abi_copy_out(c, c->args[0], &s);
}

/* --- getrandom(2): the generator is seeded before the first program runs, so it never blocks ---
 */
#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u
#define RANDOM_PIECE  256u

struct random_progress {
	u64 done_bytes;
};

answer_t sys_getrandom(struct call *c)
{
	struct random_progress *p = call_progress(c, struct random_progress);
	size_t bytes = MIN(c->args[1], (word_t)INT32_MAX);
	u32 flags = arg_uint(c, 2);
	u8 piece[RANDOM_PIECE];
	answer_t a = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
		(flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (!user_range_ok(c->args[0], bytes))
		return -EFAULT;
	if (call_interrupted(c))
		return p->done_bytes ? (answer_t)p->done_bytes : -ERESTARTSYS;
	hwrng_feed_if_due();
	for (u32 steps = 0; p->done_bytes < bytes && steps < 65536 / RANDOM_PIECE; steps++) {
		size_t now = MIN(bytes - (size_t)p->done_bytes, sizeof(piece));

		random_bytes(piece, now);
		a = call_copy_out(c, c->args[0] + (size_t)p->done_bytes, piece, now);
		if (a)
			break;
		p->done_bytes += now;
	}
	memset(piece, 0, sizeof(piece));
	barrier(); /* the bytes are the program's secret: the clearing stays */
	call_killable(c);
	if (answer_is_kind(a))
		return a;
	if (a)
		return p->done_bytes ? (answer_t)p->done_bytes : a;
	return p->done_bytes < bytes ? call_more(c) : (answer_t)bytes;
}

/* --- reboot(2) --- */
#define REBOOT_MAGIC1        0xfee1deadu
#define REBOOT_CMD_RESTART   0x01234567u
#define REBOOT_CMD_RESTART2  0xa1b2c3d4u
#define REBOOT_CMD_HALT      0xcdef0123u
#define REBOOT_CMD_CAD_ON    0x89abcdefu
#define REBOOT_CMD_CAD_OFF   0u
#define REBOOT_CMD_POWER_OFF 0x4321fedcu

static bool reboot_magic_ok(u32 second)
{
	return second == 672274793u || second == 85072278u || second == 369367448u ||
	       second == 537993216u;
}

static answer_t reboot(struct call *c, enum do_reboot how)
{
	abi_op3(c, how, 0, 0);
	return abi_do(c, DO_REBOOT);
}

answer_t sys_reboot(struct call *c)
{
	if (!context_capable(c->ctx, CAP_SYS_BOOT))
		return -EPERM;
	if (arg_uint(c, 0) != REBOOT_MAGIC1 || !reboot_magic_ok(arg_uint(c, 1)))
		return -EINVAL;
	switch (arg_uint(c, 2)) {
	case REBOOT_CMD_RESTART:
	case REBOOT_CMD_RESTART2: /* the boot loader's message has nobody to read it: a plain
				     restart, as on a PC */
		return reboot(c, DO_REBOOT_RESTART);
	case REBOOT_CMD_HALT:
		return reboot(c, DO_REBOOT_HALT);
	case REBOOT_CMD_POWER_OFF:
		return reboot(c, DO_REBOOT_POWER_OFF);
	case REBOOT_CMD_CAD_ON:
	case REBOOT_CMD_CAD_OFF: /* no keyboard asks for it */
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- syslog(2): the kernel log as text; reading it off record by record is /dev/kmsg's --- */
#define LOG_CLOSE         0
#define LOG_OPEN          1
#define LOG_READ          2
#define LOG_READ_ALL      3
#define LOG_READ_CLEAR    4
#define LOG_CLEAR         5
#define LOG_CONSOLE_OFF   6
#define LOG_CONSOLE_ON    7
#define LOG_CONSOLE_LEVEL 8
#define LOG_SIZE_UNREAD   9
#define LOG_SIZE_BUFFER   10
#define LOG_LINE_MAX      600u

/* Progress and room to work in, record-owned: too much for a core stack. */
struct log_view {
	bool begun;
	u64 number; /* of the next record */
	u64 done_bytes;
	struct log_record record;
	char line[LOG_LINE_MAX];
};

/* The next record as Linux prints it, "<6>[    1.234567] text"; 0: none. */
static u32 log_next_line(struct log_view *v, u64 *number)
{
	u64 usec;
	int length;

	if (!log_read(number, &v->record))
		return 0;
	usec = (u64)v->record.time_ns / 1000;
	length = snprintf(v->line, sizeof(v->line), "<%u>[%5llu.%06llu] %s\n", v->record.level,
		(unsigned long long)(usec / 1000000), (unsigned long long)(usec % 1000000),
		v->record.text);
	return (u32)MIN(length, (int)sizeof(v->line) - 1);
}

/* The first record from which on everything fits into `room`. */
static u64 log_first_that_fits(struct log_view *v, u64 room)
{
	u64 total = 0, number = 0;
	u32 length;

	while ((length = log_next_line(v, &number)))
		total += length;
	for (number = 0; total > room; total -= MIN((u64)length, total)) {
		length = log_next_line(v, &number);
		if (!length)
			break;
	}
	return number;
}

static answer_t log_read_all(struct call *c)
{
	struct log_view *v;

	abi_memory(c, v, sizeof(*v));
	if (!v->begun) {
		v->number = log_first_that_fits(v, c->args[2]);
		v->begun = true;
	}
	for (u32 steps = 0; steps < 256; steps++) {
		u64 number = v->number;
		u32 length = log_next_line(v, &number);

		if (!length || v->done_bytes + length > c->args[2])
			return (answer_t)v->done_bytes;
		abi_try(call_copy_out(c, c->args[1] + (vaddr_t)v->done_bytes, v->line, length));
		v->done_bytes += length;
		v->number = number;
	}
	return call_more(c);
}

/* What would consume or clear the log, and the console's levels: EPERM, as where a policy keeps
 * them from everybody. */
answer_t sys_syslog(struct call *c)
{
	s32 action = arg_int(c, 0), bytes = arg_int(c, 2);

	if (action < LOG_CLOSE || action > LOG_SIZE_BUFFER)
		return -EINVAL;
	if (action == LOG_READ || action == LOG_READ_ALL || action == LOG_READ_CLEAR) {
		if (!c->args[1] || bytes < 0)
			return -EINVAL;
	}
	if (!context_capable(c->ctx, CAP_SYSLOG) && action != LOG_READ_ALL &&
		action != LOG_SIZE_BUFFER)
		return -EPERM;
	switch (action) {
	case LOG_CLOSE:
	case LOG_OPEN:
		return 0;
	case LOG_READ_ALL:
		return bytes ? log_read_all(c) : 0;
	case LOG_SIZE_BUFFER:
		return LOG_RING_BYTES;
	default:
		return -EPERM;
	}
}

answer_t sys_vhangup(struct call *c)
{
	struct tty *line = abi_task(c)->group->ctty;

	if (!context_capable(c->ctx, CAP_SYS_TTY_CONFIG))
		return -EPERM;
	return line ? tty_hangup(SLOT(TTY), c, line) : 0;
}

/* --- prctl(2) --- */
#define PR_SET_PDEATHSIG           1
#define PR_GET_PDEATHSIG           2
#define PR_GET_DUMPABLE            3
#define PR_SET_DUMPABLE            4
#define PR_GET_KEEPCAPS            7
#define PR_SET_KEEPCAPS            8
#define PR_GET_TIMING              13
#define PR_SET_TIMING              14
#define PR_SET_NAME                15
#define PR_GET_NAME                16
#define PR_CAPBSET_READ            23
#define PR_CAPBSET_DROP            24
#define PR_GET_SECUREBITS          27
#define PR_SET_SECUREBITS          28
#define PR_SET_TIMERSLACK          29
#define PR_GET_TIMERSLACK          30
#define PR_SET_CHILD_SUBREAPER     36
#define PR_GET_CHILD_SUBREAPER     37
#define PR_SET_NO_NEW_PRIVS        38
#define PR_GET_NO_NEW_PRIVS        39
#define PR_GET_TID_ADDRESS         40
#define PR_SET_THP_DISABLE         41
#define PR_GET_THP_DISABLE         42
#define PR_CAP_AMBIENT             47
#define PR_CAP_AMBIENT_IS_SET      1
#define PR_CAP_AMBIENT_RAISE       2
#define PR_CAP_AMBIENT_LOWER       3
#define PR_CAP_AMBIENT_CLEAR_ALL   4
#define SECUREBIT_KEEP_CAPS        16u
#define SECUREBIT_NO_AMBIENT_RAISE 64u
#define SECUREBITS_ALL             0xffu
#define TIMER_SLACK_NS             50000

/* A changed copy of the caller's context; the change is made by the caller between the two. */
static answer_t set_credentials(struct call *c, const struct credentials *cred)
{
	struct context *new = context_clone(c->ctx);

	if (!new)
		return call_need_memory(c, sizeof(*new));
	new->cred = *cred;
	context_set(abi_task(c), new);
	return 0;
}

static answer_t prctl_ambient(struct call *c)
{
	struct credentials cred = c->ctx->cred;
	u64 bit;

	if (c->args[3] | c->args[4])
		return -EINVAL;
	if (c->args[1] == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (c->args[2])
			return -EINVAL;
		cred.cap_ambient = 0;
		return set_credentials(c, &cred);
	}
	if (c->args[2] > CAP_LAST)
		return -EINVAL;
	bit = 1ull << c->args[2];
	switch (c->args[1]) {
	case PR_CAP_AMBIENT_IS_SET:
		return !!(cred.cap_ambient & bit);
	case PR_CAP_AMBIENT_RAISE:
		if (!(cred.cap_permitted & cred.cap_inheritable & bit) ||
			cred.securebits & SECUREBIT_NO_AMBIENT_RAISE)
			return -EPERM;
		cred.cap_ambient |= bit;
		return set_credentials(c, &cred);
	case PR_CAP_AMBIENT_LOWER:
		cred.cap_ambient &= ~bit;
		return set_credentials(c, &cred);
	default:
		return -EINVAL;
	}
}

static answer_t prctl_securebits(struct call *c, u32 bits)
{
	struct credentials cred = c->ctx->cred;
	u32 locks = (cred.securebits & 0xaau) >> 1; /* a bit whose lock is set stays */

	if (bits & ~SECUREBITS_ALL || (bits ^ cred.securebits) & locks ||
		(cred.securebits & 0xaau) & ~bits || !context_capable(c->ctx, CAP_SETPCAP))
		return -EPERM;
	cred.securebits = bits;
	return set_credentials(c, &cred);
}

/* Options about credentials; -ENOIOCTLCMD: not one of them. */
static answer_t prctl_credentials(struct call *c)
{
	struct credentials cred = c->ctx->cred;

	switch (arg_int(c, 0)) {
	case PR_GET_KEEPCAPS:
		return !!(cred.securebits & SECUREBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		if (c->args[1] > 1)
			return -EINVAL;
		cred.securebits = (cred.securebits & ~SECUREBIT_KEEP_CAPS) |
				  (c->args[1] ? SECUREBIT_KEEP_CAPS : 0);
		return set_credentials(c, &cred);
	case PR_CAPBSET_READ:
		return c->args[1] <= CAP_LAST ? (answer_t)(cred.cap_bounding >> c->args[1] & 1)
					      : -EINVAL;
	case PR_CAPBSET_DROP:
		if (!context_capable(c->ctx, CAP_SETPCAP))
			return -EPERM;
		if (c->args[1] > CAP_LAST)
			return -EINVAL;
		cred.cap_bounding &= ~(1ull << c->args[1]);
		return set_credentials(c, &cred);
	case PR_GET_SECUREBITS:
		return (answer_t)cred.securebits;
	case PR_SET_SECUREBITS:
		return prctl_securebits(c, arg_uint(c, 1));
	case PR_CAP_AMBIENT:
		return prctl_ambient(c);
	case PR_SET_NO_NEW_PRIVS:
		if (c->args[1] != 1 || c->args[2] | c->args[3] | c->args[4])
			return -EINVAL;
		cred.no_new_privs = true;
		return set_credentials(c, &cred);
	case PR_GET_NO_NEW_PRIVS:
		return c->args[1] | c->args[2] | c->args[3] | c->args[4] ? -EINVAL
									 : cred.no_new_privs;
	default:
		return -ENOIOCTLCMD;
	}
}

static answer_t prctl_name(struct call *c, struct task *t)
{
	char name[16] = {};
	answer_t length;

	if (arg_int(c, 0) == PR_GET_NAME) {
		spin_lock(&t->obj.lock);
		memcpy(name, t->comm, sizeof(name));
		spin_unlock(&t->obj.lock);
		return call_copy_out(c, c->args[1], name, sizeof(name));
	}
	length = call_copy_string(c, name, c->args[1], sizeof(name));
	if (length < 0 && length != -ENAMETOOLONG)
		return length;
	name[sizeof(name) - 1] = 0;
	spin_lock(&t->obj.lock);
	memcpy(t->comm, name, sizeof(name));
	spin_unlock(&t->obj.lock);
	return 0;
}

static answer_t prctl_group(struct call *c, struct thread_group *g)
{
	s32 value;

	switch (arg_int(c, 0)) {
	case PR_GET_DUMPABLE:
		return g->dumpable;
	case PR_SET_DUMPABLE:
		if (c->args[1] > 1)
			return -EINVAL;
		call_effect(c);
		WRITE_ONCE(g->dumpable, c->args[1] == 1);
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		call_effect(c);
		WRITE_ONCE(g->child_subreaper, c->args[1] != 0);
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		value = g->child_subreaper;
		return abi_copy_out(c, c->args[1], &value);
	default:
		return -EINVAL;
	}
}

answer_t sys_prctl(struct call *c)
{
	struct task *t = abi_task(c);
	answer_t a = prctl_credentials(c);

	if (a != -ENOIOCTLCMD)
		return a;
	switch (arg_int(c, 0)) {
	case PR_SET_PDEATHSIG:
		if (c->args[1] > SIG_NR)
			return -EINVAL;
		call_effect(c);
		t->pdeath_signal = (s32)c->args[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return abi_copy_out(c, c->args[1], &t->pdeath_signal);
	case PR_SET_NAME:
	case PR_GET_NAME:
		return prctl_name(c, t);
	case PR_GET_TIMING:
		return 0; /* PR_TIMING_STATISTICAL */
	case PR_SET_TIMING:
		return c->args[1] ? -EINVAL : 0;
	case PR_GET_TIMERSLACK:
		return (answer_t)(t->timer_slack_ns ? t->timer_slack_ns : TIMER_SLACK_NS);
	case PR_SET_TIMERSLACK: /* an upper bound on lateness: timers are exact, so any bound holds
				 */
		call_effect(c);
		t->timer_slack_ns = c->args[1];
		return 0;
	case PR_GET_TID_ADDRESS:
		return abi_copy_out(c, c->args[1], &t->clear_child_tid);
	case PR_GET_THP_DISABLE:
		return c->args[1] | c->args[2] | c->args[3] | c->args[4] ? -EINVAL : 0;
	default:
		return prctl_group(c, t->group);
	}
}
