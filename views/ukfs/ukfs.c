/*
 * ukfs: what only this kernel has to say.
 *
 *   kernel/version            release and version
 *   kernel/modules            loaded modules: name, kind, version, build id, text
 *   kernel/slots              slots in use: contract and whether parked
 *   kernel/waits              every thread that waits, and for what (core/call/describe.c)
 *   kernel/checks             what the machine checks of calls saw: effects (debug kernels), reruns
 * without need kernel/drivers/NAME/      an instance: tier, state, device, calls, interrupts
 *
 * Purpose: the operator's window (architecture.md sections 6, 12). Objects: none of its own.
 * PROC-like: every text is made in one go.
 *
 * Failure and recovery, replacement: nothing is held. Cost: linear in what is shown.
 */
#include <core/component.h>
#include <core/evolve.h>
#include <core/fs_call.h>
#include <core/plant.h>
#include <core/task.h>
#include <core/time.h>
#include <core/version.h>
#include <kabi/view.h>
#include <lib/string.h>

KABI_MODULE(1, "Apache-2.0");

enum kind : u32 { UK_ROOT, UK_KERNEL, UK_FILE, UK_DRIVERS, UK_DRIVER, UK_DRIVER_FILE };
enum kernel_file : u32 { UK_VERSION, UK_MODULES, UK_SLOTS, UK_WAITS, UK_CHECKS };
static const char *const kernel_files[] = {"version", "modules", "slots", "waits", "checks"};
enum driver_file : u32 { UK_TIER, UK_STATE, UK_DEVICE, UK_CALLS, UK_INTERRUPTS, UK_MODULE };
static const char *const driver_files[] = {"tier", "state", "device", "calls", "interrupts",
	"module"};

static void entry(struct view_entry *e, enum kind kind, u64 id, u32 mode)
{
	*e = (struct view_entry){.kind = kind,
		.id = id,
		.mode = mode,
		.nlink = S_TYPE(mode) == S_IFDIR ? 2 : 1};
}

static bool is(const char *name, u32 len, const char *text)
{
	return len == strlen(text) && !memcmp(name, text, len);
}

static answer_t find(const char *const *names, u32 nr, const char *name, u32 len)
{
	for (u32 i = 0; i < nr; i++)
		if (is(name, len, names[i]))
			return (answer_t)i;
	return -1;
}

/* The instance with this object id; referenced. */
static struct component *by_id(u64 id)
{
	struct component *co = nullptr;

	while ((co = component_next(co)))
		if (co->obj.id == id)
			return co;
	return nullptr;
}

static answer_t uk_mount(struct call *c, struct superblock *sb, struct view_entry *root)
{
	entry(root, UK_ROOT, 0, S_IFDIR | 0755);
	return 0;
}

static answer_t kernel_lookup(const char *name, u32 len, struct view_entry *e)
{
	answer_t i = find(kernel_files, ARRAY_SIZE(kernel_files), name, len);

	if (i >= 0)
		entry(e, UK_FILE, (u64)i, S_IFREG | 0444);
	else if (is(name, len, "drivers"))
		entry(e, UK_DRIVERS, 0, S_IFDIR | 0755);
	else
		return 0;
	return 1;
}

static answer_t driver_lookup(const char *name, u32 len, struct view_entry *e)
{
	struct component *co = nullptr;

	while ((co = component_next(co)))
		if (is(name, len, co->name)) {
			entry(e, UK_DRIVER, co->obj.id, S_IFDIR | 0755);
			object_put(&co->obj);
			return 1;
		}
	return 0;
}

static answer_t uk_lookup(struct call *c, struct inode *dir, const void *name, u32 len,
	struct view_entry *e)
{
	answer_t i;

	switch (dir->view_kind) {
	case UK_ROOT:
		if (!is(name, len, "kernel"))
			return 0;
		entry(e, UK_KERNEL, 0, S_IFDIR | 0755);
		return 1;
	case UK_KERNEL:
		return kernel_lookup(name, len, e);
	case UK_DRIVERS:
		return driver_lookup(name, len, e);
	case UK_DRIVER:
		i = find(driver_files, ARRAY_SIZE(driver_files), name, len);
		if (i < 0)
			return 0;
		entry(e, UK_DRIVER_FILE, dir->view_id << 8 | (u64)i, S_IFREG | 0444);
		return 1;
	default:
		return 0;
	}
}

static answer_t named(struct view_name *name, const char *text, u64 next)
{
	name->len = (u32)strlcpy(name->text, text, sizeof(name->text));
	name->next_cursor = next;
	return 1;
}

static answer_t drivers_list(u64 cursor, struct view_entry *e, struct view_name *name)
{
	struct component *co = nullptr;
	u64 n = 0;

	while ((co = component_next(co)))
		if (n++ == cursor) {
			entry(e, UK_DRIVER, co->obj.id, S_IFDIR | 0755);
			named(name, co->name, cursor + 1);
			object_put(&co->obj);
			return 1;
		}
	return 0;
}

static answer_t uk_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	switch (dir->view_kind) {
	case UK_ROOT:
		if (cursor)
			return 0;
		entry(e, UK_KERNEL, 0, S_IFDIR | 0755);
		return named(name, "kernel", 1);
	case UK_KERNEL:
		if (cursor < ARRAY_SIZE(kernel_files)) {
			entry(e, UK_FILE, cursor, S_IFREG | 0444);
			return named(name, kernel_files[cursor], cursor + 1);
		}
		if (cursor > ARRAY_SIZE(kernel_files))
			return 0;
		entry(e, UK_DRIVERS, 0, S_IFDIR | 0755);
		return named(name, "drivers", cursor + 1);
	case UK_DRIVERS:
		return drivers_list(cursor, e, name);
	case UK_DRIVER:
		if (cursor >= ARRAY_SIZE(driver_files))
			return 0;
		entry(e, UK_DRIVER_FILE, dir->view_id << 8 | cursor, S_IFREG | 0444);
		return named(name, driver_files[cursor], cursor + 1);
	default:
		return 0;
	}
}

static void modules(struct text *t)
{
	for (struct module *m = module_next(nullptr); m; m = module_next(m))
		text_printf(t, "%-20s %-12s version %u build %016llx text %lx-%lx\n", m->name,
			module_kind_name(m->kind), m->version, (unsigned long long)m->build_id,
			(unsigned long)m->text, (unsigned long)m->text_end);
}

static void slots(struct text *t)
{
	for (u32 i = 0; i < NUCLEUS_NR_SLOTS; i++) {
		const struct slot *s = &nucleus.slots[i];

		if (slot_contract(s))
			text_printf(t, "%4u %-24s %-16s %s, exchanged %llu times\n", i,
				slot_name(s), slot_contract(s)->name,
				slot_is_parked(s) ? "parked" : "open",
				(unsigned long long)slot_stamp(i));
	}
}

static void waits(struct call *c, struct text *t)
{
	struct thread_group *g;
	s32 pid = 0;

	while ((g = group_next(c->ctx->pid_ns, pid))) {
		struct task *task;
		s32 tid = 0;

		pid = group_pid_nr(g);
		while ((task = group_next_thread(g, tid))) {
			char line[512];

			tid = task_pid_nr(task);
			call_describe_wait(task, line, sizeof(line));
			text_printf(t, "%d/%d %s", pid, tid, line);
			object_put(&task->obj);
		}
		object_put(&g->obj);
	}
}

static void checks(struct text *t)
{
	u32 every, injected;

	call_rerun_count(&every, &injected);
	text_printf(t, "effects %u\nrerun %u\nreruns %u\nslotwaits %u\n", call_effects_seen(),
		every, injected, call_slot_waits());
}

static answer_t driver_render(u64 id, struct text *t)
{
	struct component *co = by_id(id >> 8);

	if (!co)
		return -ENODEV;
	switch ((enum driver_file)(id & 0xff)) {
	case UK_TIER:
		text_printf(t, "0\n"); /* Tiers 1 and 2 come with their issue */
		break;
	case UK_STATE:
		text_printf(t, "%s, for %lld s\n", slot_is_parked(co->slot) ? "parked" : "running",
			(long long)((time_monotonic_ns() - co->attached_ns) / NSEC_PER_SEC));
		break;
	case UK_DEVICE:
		text_printf(t, "%s %s\n", co->device->name, co->device->compatible);
		break;
	case UK_CALLS:
		text_printf(t, "%llu\n", (unsigned long long)co->nr_calls);
		break;
	case UK_INTERRUPTS:
		text_printf(t, "%llu\n", (unsigned long long)co->nr_interrupts);
		break;
	case UK_MODULE:
		text_printf(t, "%s version %u\n", co->module->name, co->module->version);
		break;
	}
	object_put(&co->obj);
	return 0;
}

static answer_t uk_render(struct call *c, struct inode *i, struct text *t)
{
	answer_t a = plant_handler(c, PLANT_PLACE_VIEWS);

	if (unlikely(a))
		return a;
	if (i->view_kind == UK_DRIVER_FILE)
		return driver_render(i->view_id, t);
	if (i->view_kind != UK_FILE)
		return -EINVAL;
	switch ((enum kernel_file)i->view_id) {
	case UK_VERSION:
		text_printf(t, "UmkaOS, as Linux %s %s\n", KERNEL_RELEASE, KERNEL_VERSION);
		break;
	case UK_MODULES:
		modules(t);
		break;
	case UK_SLOTS:
		slots(t);
		break;
	case UK_WAITS:
		waits(c, t);
		break;
	case UK_CHECKS:
		checks(t);
		break;
	}
	return 0;
}

static answer_t uk_revalidate(struct call *c, struct inode *i)
{
	struct component *co;

	if (i->view_kind != UK_DRIVER && i->view_kind != UK_DRIVER_FILE)
		return 1;
	co = by_id(i->view_kind == UK_DRIVER ? i->view_id : i->view_id >> 8);
	if (co)
		object_put(&co->obj);
	return co != nullptr;
}

KABI_IMPLEMENT_AT(view, ukfs, .mount = uk_mount, .lookup = uk_lookup, .list = uk_list,
	.render = uk_render, .revalidate = uk_revalidate);
