/* Files of /proc itself: proc(5). Theory in proc.c. */
#include <core/cmdline.h>
#include <core/console.h>
#include <core/device.h>
#include <core/irq.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/sched.h>
#include <core/time.h>
#include <core/version.h>
#include <lib/string.h>
#include "proc_priv.h"

#define USER_HZ 100
enum root_file {
	ROOT_CMDLINE,
	ROOT_CPUINFO,
	ROOT_DEVICES,
	ROOT_FILESYSTEMS,
	ROOT_LOADAVG,
	ROOT_MEMINFO,
	ROOT_PARTITIONS,
	ROOT_SLABINFO,
	ROOT_STAT,
	ROOT_SWAPS,
	ROOT_UPTIME,
	ROOT_VERSION,
	ROOT_VMSTAT,
};
const struct proc_row proc_root_rows[] = {
	{"cmdline", ROOT_CMDLINE, 0444},
	{"cpuinfo", ROOT_CPUINFO, 0444},
	{"devices", ROOT_DEVICES, 0444},
	{"filesystems", ROOT_FILESYSTEMS, 0444},
	{"loadavg", ROOT_LOADAVG, 0444},
	{"meminfo", ROOT_MEMINFO, 0444},
	{"partitions", ROOT_PARTITIONS, 0444},
	{"slabinfo", ROOT_SLABINFO, 0400},
	{"stat", ROOT_STAT, 0444},
	{"swaps", ROOT_SWAPS, 0444},
	{"uptime", ROOT_UPTIME, 0444},
	{"version", ROOT_VERSION, 0444},
	{"vmstat", ROOT_VMSTAT, 0444},
};
u32 proc_nr_root_rows(void)
{
	return ARRAY_SIZE(proc_root_rows);
}

static u64 ticks(u64 ns)
{
	return ns / (NSEC_PER_SEC / USER_HZ);
}

static void cpuinfo(struct text *t)
{
	char *buf = kmalloc(PAGE_BYTES);

	if (!buf) {
		t->failed = true;
		return;
	}
	for_each_online_cpu(i)
	{
		int n = arch_cpuinfo(i, buf, PAGE_BYTES);

		text_write(t, buf, MIN((size_t)MAX(n, 0), PAGE_BYTES - 1));
	}
	kfree(buf);
}

static void kb(struct text *t, const char *name, u64 pages)
{
	size_t len = strlen(name);

	text_printf(t, "%s:%*s%8llu kB\n", name, len < 15 ? (int)(15 - len) : 1, "",
		(unsigned long long)(pages * (PAGE_BYTES / 1024)));
}

static void meminfo(struct text *t)
{
	struct memory_stats s;

	mm_stats(&s);
	kb(t, "MemTotal", s.total_pages);
	kb(t, "MemFree", s.free_pages);
	kb(t, "MemAvailable", s.available_pages);
	kb(t, "Buffers", s.buffers_pages);
	kb(t, "Cached", s.cached_pages);
	kb(t, "SwapCached", 0);
	kb(t, "Active", s.active_file + s.active_anon);
	kb(t, "Inactive", s.inactive_file + s.inactive_anon);
	kb(t, "Active(anon)", s.active_anon);
	kb(t, "Inactive(anon)", s.inactive_anon);
	kb(t, "Active(file)", s.active_file);
	kb(t, "Inactive(file)", s.inactive_file);
	kb(t, "SwapTotal", 0);
	kb(t, "SwapFree", 0);
	kb(t, "Dirty", s.dirty_pages);
	kb(t, "Writeback", s.writeback_pages);
	kb(t, "AnonPages", s.anon_pages);
	kb(t, "Mapped", s.mapped_pages);
	kb(t, "Shmem", s.shmem_pages);
	kb(t, "Slab", s.slab_pages);
	kb(t, "SReclaimable", s.slab_reclaimable_pages);
	kb(t, "SUnreclaim", s.slab_pages - MIN(s.slab_pages, s.slab_reclaimable_pages));
	kb(t, "KernelStack", s.kernel_stack_pages);
	kb(t, "PageTables", s.pagetable_pages);
	kb(t, "CommitLimit", s.total_pages / 2);
	kb(t, "Committed_AS", s.committed_pages);
}

static void stat_cpu(struct text *t, const char *name, u64 user, u64 system, u64 idle, u64 irq)
{
	text_printf(t, "%s %llu 0 %llu %llu 0 %llu 0 0 0 0\n", name,
		(unsigned long long)ticks(user), (unsigned long long)ticks(system),
		(unsigned long long)ticks(idle), (unsigned long long)ticks(irq));
}

static void stat(struct text *t)
{
	u64 user = 0, system = 0, idle = 0, irq = 0, switches = 0, irqs = 0, load[3];
	u32 running, total;

	for_each_online_cpu(i)
	{
		user += cpu_data[i]->stat_user_ns;
		system += cpu_data[i]->stat_system_ns;
		idle += cpu_data[i]->stat_idle_ns;
		irq += cpu_data[i]->stat_irq_ns;
		switches += cpu_data[i]->stat_switches;
		irqs += cpu_data[i]->stat_irqs;
	}
	stat_cpu(t, "cpu ", user, system, idle, irq);
	for_each_online_cpu(i)
	{
		text_printf(t, "cpu%u", i);
		stat_cpu(t, "", cpu_data[i]->stat_user_ns, cpu_data[i]->stat_system_ns,
			cpu_data[i]->stat_idle_ns, cpu_data[i]->stat_irq_ns);
	}
	sched_loadavg(load, &running, &total);
	text_printf(t,
		"intr %llu\nctxt %llu\nbtime %lld\nprocesses %llu\nprocs_running %u\nprocs_blocked "
		"0\n",
		(unsigned long long)irqs, (unsigned long long)switches,
		(long long)((time_realtime_ns() - time_boottime_ns()) / NSEC_PER_SEC),
		(unsigned long long)task_forks(), MAX(running, 1u));
}

static void loadavg(struct call *c, struct text *t)
{
	u64 load[3];
	u32 running, total;
	s32 last = 0;

	sched_loadavg(load, &running, &total);
	for (struct thread_group *g = nullptr; (g = group_next(c->ctx->pid_ns, last));) {
		last = group_pid_nr(g);
		object_put(&g->obj);
	}
	for (u32 i = 0; i < 3; i++) { /* 11 bits of fraction, rounded to hundredths */
		u64 v = load[i] + 10;

		text_printf(t, "%llu.%02llu ", (unsigned long long)(v >> 11),
			(unsigned long long)(((v & 2047) * 100) >> 11));
	}
	text_printf(t, "%u/%u %d\n", MAX(running, 1u), total, last);
}

static void uptime(struct text *t)
{
	u64 up = (u64)time_boottime_ns(), idle = 0;

	for_each_online_cpu(i) idle += cpu_data[i]->stat_idle_ns;
	text_printf(t, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / NSEC_PER_SEC),
		(unsigned long long)(up / 10000000 % 100),
		(unsigned long long)(idle / NSEC_PER_SEC),
		(unsigned long long)(idle / 10000000 % 100));
}

static void filesystems(struct text *t)
{
	const char *name;
	bool nodev;

	for (u32 i = 0; fs_type_at(i, &name, &nodev); i++)
		text_printf(t, "%s\t%s\n", nodev ? "nodev" : "", name);
}

static void block_table(struct text *t)
{
	struct device *d = nullptr;

	text_printf(t, "major minor  #blocks  name\n\n");
	while ((d = device_next(d)))
		if (S_TYPE(d->node_mode) == S_IFBLK)
			text_printf(t, "%4u  %7u %10llu %s\n", DEV_MAJOR(d->node_dev),
				DEV_MINOR(d->node_dev), (unsigned long long)(d->size_bytes / 1024),
				d->node_name);
}

static void devices(struct text *t)
{
	u32 last = ~0u;
	struct device *d = nullptr;

	text_printf(t, "Character devices:\n");
	while ((d = device_next(d)))
		if (S_TYPE(d->node_mode) == S_IFCHR && DEV_MAJOR(d->node_dev) != last) {
			last = DEV_MAJOR(d->node_dev);
			text_printf(t, "%3u %s\n", last, d->class_name);
		}
	text_printf(t, "\nBlock devices:\n");
	last = ~0u;
	while ((d = device_next(d)))
		if (S_TYPE(d->node_mode) == S_IFBLK && DEV_MAJOR(d->node_dev) != last) {
			last = DEV_MAJOR(d->node_dev);
			text_printf(t, "%3u virtblk\n", last);
		}
}

static void slabinfo(struct text *t)
{
	struct slab_info s;

	text_printf(t, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> "
		       "<objsize> <objperslab> <pagesperslab>\n");
	for (u32 i = 0; slab_info_at(i, &s); i++)
		text_printf(t, "%-17s %6llu %6llu %6u %4u %4u\n", s.name,
			(unsigned long long)s.nr_in_use,
			(unsigned long long)(s.nr_slabs * s.objects_per_slab), s.object_bytes,
			s.objects_per_slab, s.pages_per_slab);
}

static void vmstat(struct text *t)
{
	struct memory_stats s;

	mm_stats(&s);
	text_printf(t,
		"nr_free_pages %llu\nnr_anon_pages %llu\nnr_mapped %llu\nnr_file_pages "
		"%llu\nnr_dirty %llu\nnr_writeback %llu\nnr_shmem %llu\n",
		(unsigned long long)s.free_pages, (unsigned long long)s.anon_pages,
		(unsigned long long)s.mapped_pages, (unsigned long long)s.cached_pages,
		(unsigned long long)s.dirty_pages, (unsigned long long)s.writeback_pages,
		(unsigned long long)s.shmem_pages);
}

answer_t proc_root_render(struct call *c, u32 which, struct text *t)
{
	switch ((enum root_file)which) {
	case ROOT_CMDLINE:
		text_printf(t, "%s\n", boot_command_line);
		break;
	case ROOT_CPUINFO:
		cpuinfo(t);
		break;
	case ROOT_DEVICES:
		devices(t);
		break;
	case ROOT_FILESYSTEMS:
		filesystems(t);
		break;
	case ROOT_LOADAVG:
		loadavg(c, t);
		break;
	case ROOT_MEMINFO:
		meminfo(t);
		break;
	case ROOT_PARTITIONS:
		block_table(t);
		break;
	case ROOT_SLABINFO:
		slabinfo(t);
		break;
	case ROOT_STAT:
		stat(t);
		break;
	case ROOT_SWAPS:
		text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
		break;
	case ROOT_UPTIME:
		uptime(t);
		break;
	case ROOT_VERSION:
		text_printf(t, "%s version %s (UmkaOS, clang 19) %s\n", KERNEL_OSTYPE,
			KERNEL_RELEASE, KERNEL_VERSION);
		break;
	case ROOT_VMSTAT:
		vmstat(t);
		break;
	}
	return 0;
}

/* --- mounts: proc(5), /proc/PID/mounts and mountinfo --- */
static void escaped(struct text *t, const char *s)
{
	for (; *s; s++)
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
			text_printf(t, "\\%03o", *s);
		else
			text_putc(t, *s);
}

static void mount_flags(struct text *t, u32 flags)
{
	static const struct {
		u32 flag;
		const char *name;
	} names[] = {{MNT_NOSUID, "nosuid"}, {MNT_NODEV, "nodev"}, {MNT_NOEXEC, "noexec"},
		{MNT_NOATIME, "noatime"}, {MNT_NODIRATIME, "nodiratime"},
		{MNT_RELATIME, "relatime"}};

	text_printf(t, "%s", flags & MNT_RDONLY ? "ro" : "rw");
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			text_printf(t, ",%s", names[i].name);
}

/* buf: two pages, a path each. */
static void one_mount(struct text *t, struct mount *m, const struct path_ref *root, bool info,
	char *buf)
{
	bool top = m->parent == m || (m == root->mount && m->root == root->name);
	/* Where it is mounted, not its root, which may be unlinked. */
	struct path_ref at = {top ? m : m->parent, top ? m->root : m->point},
			within = {nullptr, m->root};
	const char *where = path_text(&at, root, buf, PAGE_BYTES),
		   *sb_mode = m->sb->flags & SB_RDONLY ? "ro" : "rw";
	const char *options = m->sb->options;

	if (!where || !strncmp(where, "(unreachable)", 13))
		return;
	if (info) {
		const char *source = path_text(&within, root, buf + PAGE_BYTES, PAGE_BYTES);

		if (!source)
			return;
		text_printf(t, "%u %u %u:%u ", m->id, m->parent->id, DEV_MAJOR(m->sb->dev),
			DEV_MINOR(m->sb->dev));
		escaped(t, source);
		text_putc(t, ' ');
		escaped(t, where);
		text_putc(t, ' ');
		mount_flags(t, m->flags);
		text_printf(t, " - %s ", m->sb->type_name);
		escaped(t, m->source ? m->source : "none");
		text_printf(t, " %s%s%s\n", sb_mode, *options ? "," : "", options);
		return;
	}
	escaped(t, m->source ? m->source : "none");
	text_putc(t, ' ');
	escaped(t, where);
	text_printf(t, " %s ", m->sb->type_name);
	mount_flags(t, m->flags | (m->sb->flags & SB_RDONLY ? MNT_RDONLY : 0));
	text_printf(t, "%s%s 0 0\n", *options ? "," : "", options);
}

void proc_mounts_text(struct call *c, struct mount_ns *ns, const struct path_ref *root,
	bool mountinfo, struct text *t)
{
	char *buf = kmalloc(2 * PAGE_BYTES);
	struct mount *m;
	u32 id = 0;

	if (!buf) {
		t->failed = true;
		return;
	}
	while ((m = mount_next(ns, id))) {
		id = m->id;
		one_mount(t, m, root, mountinfo, buf);
		mount_put(m);
	}
	kfree(buf);
}
