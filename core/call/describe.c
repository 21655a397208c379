/* "Why does it hang": a waiting record as text, for /ukfs. Reads a foreign record without its lock:
 * every value is copied once and only printed, so a record that moves on meanwhile gives stale
 * text, never a fault. Theory in entry.c. */
#include <core/call.h>
#include <core/evolve.h>
#include <core/task.h>
#include <lib/fmt.h>
#include <kabi/slots.h>

static const char *const object_names[OBJECT_NR_TYPES] = {
	[OBJECT_NONE] = "-",
	[OBJECT_TASK] = "task",
	[OBJECT_THREAD_GROUP] = "process",
	[OBJECT_SPACE] = "address space",
	[OBJECT_MEMORY] = "memory object",
	[OBJECT_INODE] = "inode",
	[OBJECT_NAME] = "name",
	[OBJECT_MOUNT] = "mount",
	[OBJECT_SUPERBLOCK] = "superblock",
	[OBJECT_FILE] = "open file",
	[OBJECT_PIPE] = "pipe",
	[OBJECT_SOCKET] = "socket",
	[OBJECT_EPOLL] = "epoll",
	[OBJECT_EVENT] = "event",
	[OBJECT_TIMER] = "timer",
	[OBJECT_TTY] = "terminal",
	[OBJECT_CONTEXT] = "context",
	[OBJECT_FILES] = "descriptor table",
	[OBJECT_NAMESPACE] = "namespace",
	[OBJECT_DEVICE] = "device",
	[OBJECT_BLOCK_DEVICE] = "block device",
	[OBJECT_COMPONENT] = "component",
	[OBJECT_STATE] = "state object",
	[OBJECT_ACCOUNT] = "account",
};

static const char *state_name(enum task_state s)
{
	switch (s) {
	case TASK_RUNNABLE:
		return "runnable";
	case TASK_SLEEPING:
		return "waits (any signal ends it)";
	case TASK_SLEEPING_UNINTERRUPTIBLE:
		return "waits in core (bounded)";
	case TASK_SLEEPING_KILLABLE:
		return "waits (kill ends it)";
	case TASK_STOPPED:
		return "stopped";
	case TASK_TRACED:
		return "traced";
	case TASK_DEAD:
		return "dead";
	case TASK_NEW:
		return "new";
	}
	return "?";
}

/* What a core operation that sleeps with its own frames is doing; those that do not are not named.
 */
static const char *operation_name(enum call_do_op op)
{
	switch ((u32)op) {
	case DO_EXEC:
		return "exec";
	case DO_CLONE:
		return "clone";
	case DO_WAIT:
		return "a child";
	case DO_SIGNAL_WAIT:
		return "a signal";
	case DO_FUTEX:
	case DO_FUTEX_WAITV:
		return "a futex";
	case DO_SYNC_FILE:
	case DO_SYNC_SUPER:
	case DO_SYNC_ALL:
	case DO_MSYNC:
		return "write-back";
	case DO_MOUNT:
	case DO_UMOUNT:
		return "mounting";
	case DO_EXIT:
	case DO_EXIT_GROUP:
		return "its end";
	default:
		return nullptr;
	}
}

/* What is written, and how long it would be with room for all. */
struct line {
	char *buf;
	size_t size;
	int len;
};

static __printf(2, 3) void add(struct line *l, const char *format, ...)
{
	size_t at = MIN((size_t)l->len, l->size);
	va_list args;

	va_start(args, format);
	l->len += vsnprintf(l->buf + at, l->size - at, format, args);
	va_end(args);
}

/* WHY no sanitizer: a nested record is on its task's stack, which may move on meanwhile. */
#define reads_foreign __attribute__((no_sanitize("kernel-address")))

static reads_foreign void add_pins(struct line *l, const struct call *c)
{
	for (u32 i = 0; i < MIN(READ_ONCE(c->nr_pins), (u8)CALL_PINS_MAX); i++) {
		const struct object *o = READ_ONCE(c->pins[i].object);
		u32 key = c->pins[i].key;

		if (!o)
			continue;
		add(l, "%s %s %llu", i ? "," : ", on",
			o->type < OBJECT_NR_TYPES ? object_names[o->type] : "?",
			(unsigned long long)o->id);
		if (key != CALL_PIN_OBJECT)
			add(l, " (descriptor %u)", key);
	}
}

static reads_foreign void add_holds(struct line *l, const struct call *c)
{
	for (u32 i = 0; i < MIN(READ_ONCE(c->nr_holds), (u8)CALL_HOLDS_MAX); i++)
		if (!c->holds[i].held)
			add(l, ", wants exclusion class %u of object %llu", c->holds[i].class,
				(unsigned long long)c->holds[i].object_id);
}

static reads_foreign void add_record(struct line *l, const struct task *t, const struct call *c)
{
	const char *operation = c->op_now ? operation_name(READ_ONCE(c->op)) : nullptr;
	const struct slot *slot = READ_ONCE(c->waiting_on);
	u32 nr_waits = READ_ONCE(c->nr_waits);

	if (c->nr != ~0u)
		add(l, ", system call %u", c->nr);
	if (operation)
		add(l, ", for %s", operation);
	if (slot)
		add(l, ", for slot %s to open", slot_name(slot));
	if (nr_waits)
		add(l, ", for any of %u events", nr_waits);
	if (c == &t->call && (c->inline_paths & 1 || READ_ONCE(c->paths[0])))
		add(l, ", path %.*s", (int)MIN(READ_ONCE(c->path_len[0]), CALL_PATH_INLINE_BYTES),
			c->path_inline[0]);
	grace_read_begin(); /* what it unpins meanwhile is freed after this */
	add_pins(l, c);
	grace_read_end();
	add_holds(l, c);
	if (c->deadline_ns != KTIME_MAX)
		add(l, ", until %lld.%09lld", (long long)(c->deadline_ns / NSEC_PER_SEC),
			(long long)(c->deadline_ns % NSEC_PER_SEC));
}

int call_describe_wait(struct task *t, char *buf, size_t size)
{
	const struct call *c = READ_ONCE(t->call_now);
	enum task_state state = READ_ONCE(t->state);
	struct line l = {buf, size, 0};

	add(&l, "%s: %s", t->comm, state_name(state));
	if (state != TASK_RUNNABLE && state != TASK_DEAD && c)
		add_record(&l, t, c);
	add(&l, "\n");
	return l.len;
}
