/* "Why does it hang": a waiting record as text, for /ukfs. Reads a foreign record without its lock:
 * every value is copied once and only printed, so a record that moves on meanwhile gives stale
 * text, never a fault. Theory in entry.c. */
#include <core/call.h>
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

int call_describe_wait(struct task *t, char *buf, size_t size)
{
	const struct call *c = READ_ONCE(t->call_now);
	enum task_state state = READ_ONCE(t->state);
	int len = snprintf(buf, size, "%s: %s", t->comm, state_name(state));
	u32 nr_waits;

#define ADD(...)                                                                                   \
	(len += snprintf(buf + MIN((size_t)len, size), size - MIN((size_t)len, size), __VA_ARGS__))
	if (state == TASK_RUNNABLE || !c) {
		ADD("\n");
		return len;
	}
	if (c->nr != ~0u)
		ADD(", system call %u", c->nr);
	nr_waits = READ_ONCE(c->nr_waits);
	if (nr_waits)
		ADD(", for any of %u events", nr_waits);
	for (u32 i = 0; i < MIN(READ_ONCE(c->nr_pins), (u8)CALL_PINS_MAX); i++) {
		const struct object *o = READ_ONCE(c->pins[i].object);
		u32 key = c->pins[i].key;

		if (!o)
			continue;
		ADD("%s %s %llu", i ? "," : ", on",
			o->type < OBJECT_NR_TYPES ? object_names[o->type] : "?",
			(unsigned long long)o->id);
		if (key != CALL_PIN_OBJECT)
			ADD(" (descriptor %u)", key);
	}
	for (u32 i = 0; i < MIN(READ_ONCE(c->nr_holds), (u8)CALL_HOLDS_MAX); i++)
		if (!c->holds[i].held)
			ADD(", wants exclusion class %u of object %llu", c->holds[i].class,
				(unsigned long long)c->holds[i].object_id);
	if (c->deadline_ns != KTIME_MAX)
		ADD(", until %lld.%09lld", (long long)(c->deadline_ns / NSEC_PER_SEC),
			(long long)(c->deadline_ns % NSEC_PER_SEC));
	ADD("\n");
#undef ADD
	return len;
}
