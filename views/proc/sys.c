/* /proc/sys: values that programs read, and the few that can be set. A row is a file; directories
 * are the prefixes. proc(5), sysctl docs of Linux. Theory in proc.c. */
#include <core/context.h>
#include <core/node.h>
#include <core/random.h>
#include <core/version.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "proc_priv.h"

enum sys_dir { SYS_TOP, SYS_KERNEL, SYS_VM, SYS_FS, SYS_RANDOM, SYS_PTY, SYS_NR_DIRS };
static const struct {
	const char *name;
	enum sys_dir parent;
} dirs[SYS_NR_DIRS] = {{"", SYS_TOP}, {"kernel", SYS_TOP}, {"vm", SYS_TOP}, {"fs", SYS_TOP},
	{"random", SYS_KERNEL}, {"pty", SYS_KERNEL}};

/* What has to be asked for; all other files always say the same. */
enum sys_file { CONSTANT, HOSTNAME, DOMAINNAME, THREADS_MAX, UUID, BOOT_ID };
static const struct {
	const char *name;
	enum sys_dir dir;
	u32 mode;
	enum sys_file which;
	const char *text; /* of a constant */
} files[] = {
	{"ostype", SYS_KERNEL, 0444, CONSTANT, KERNEL_OSTYPE},
	{"osrelease", SYS_KERNEL, 0444, CONSTANT, KERNEL_RELEASE},
	{"version", SYS_KERNEL, 0444, CONSTANT, KERNEL_VERSION},
	{"hostname", SYS_KERNEL, 0644, HOSTNAME, nullptr},
	{"domainname", SYS_KERNEL, 0644, DOMAINNAME, nullptr},
	{"pid_max", SYS_KERNEL, 0444, CONSTANT, "4194304"},
	{"threads-max", SYS_KERNEL, 0444, THREADS_MAX, nullptr},
	{"cap_last_cap", SYS_KERNEL, 0444, CONSTANT, "40"}, /* CAP_CHECKPOINT_RESTORE */
	{"ngroups_max", SYS_KERNEL, 0444, CONSTANT, "65536"},
	{"randomize_va_space", SYS_KERNEL, 0444, CONSTANT, "2"},
	{"core_pattern", SYS_KERNEL, 0444, CONSTANT, "core"},
	{"sched_rr_timeslice_ms", SYS_KERNEL, 0444, CONSTANT, "100"},
	{"tainted", SYS_KERNEL, 0444, CONSTANT, "0"},
	{"overcommit_memory", SYS_VM, 0444, CONSTANT, "0"},
	{"max_map_count", SYS_VM, 0444, CONSTANT, "65530"},
	{"swappiness", SYS_VM, 0444, CONSTANT, "60"},
	{"mmap_min_addr", SYS_VM, 0444, CONSTANT, "65536"},
	{"file-max", SYS_FS, 0444, CONSTANT, "9223372036854775807"},
	{"nr_open", SYS_FS, 0444, CONSTANT, "1048576"},
	{"pipe-max-size", SYS_FS, 0444, CONSTANT, "1048576"},
	{"mount-max", SYS_FS, 0444, CONSTANT, "100000"},
	{"uuid", SYS_RANDOM, 0444, UUID, nullptr},
	{"boot_id", SYS_RANDOM, 0444, BOOT_ID, nullptr},
	{"entropy_avail", SYS_RANDOM, 0444, CONSTANT, "256"},
	{"poolsize", SYS_RANDOM, 0444, CONSTANT, "256"},
	{"max", SYS_PTY, 0444, CONSTANT, "4096"},
	{"nr", SYS_PTY, 0444, CONSTANT, "0"},
};

static void dir_entry(struct view_entry *e, u32 dir)
{
	*e = (struct view_entry){.kind = PROC_SYS_DIR,
		.id = dir,
		.mode = S_IFDIR | 0555,
		.nlink = 2};
}
static void file_entry(struct view_entry *e, u32 row)
{
	*e = (struct view_entry){.kind = PROC_SYS_FILE,
		.id = row,
		.mode = S_IFREG | files[row].mode,
		.nlink = 1};
}

answer_t proc_sys_lookup(u32 dir, const char *name, u32 len, struct view_entry *e)
{
	for (u32 i = 1; i < SYS_NR_DIRS; i++)
		if (dirs[i].parent == dir && !strncmp(dirs[i].name, name, len) &&
			!dirs[i].name[len]) {
			dir_entry(e, i);
			return 1;
		}
	for (u32 i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i].dir == dir && !strncmp(files[i].name, name, len) &&
			!files[i].name[len]) {
			file_entry(e, i);
			return 1;
		}
	return 0;
}

answer_t proc_sys_list(u32 dir, u64 cursor, struct view_entry *e, struct view_name *name)
{
	for (; cursor < SYS_NR_DIRS + ARRAY_SIZE(files); cursor++) {
		const char *text;

		if (cursor < SYS_NR_DIRS) {
			if (!cursor || dirs[cursor].parent != dir)
				continue;
			dir_entry(e, (u32)cursor);
			text = dirs[cursor].name;
		} else {
			if (files[cursor - SYS_NR_DIRS].dir != dir)
				continue;
			file_entry(e, (u32)cursor - SYS_NR_DIRS);
			text = files[cursor - SYS_NR_DIRS].name;
		}
		name->len = (u32)strlcpy(name->text, text, sizeof(name->text));
		name->next_cursor = cursor + 1;
		return 1;
	}
	return 0;
}

static void uuid(struct text *t, u8 b[16])
{
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	for (u32 i = 0; i < 16; i++)
		text_printf(t, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	text_putc(t, '\n');
}

answer_t proc_sys_render(struct call *c, u32 row, struct text *t)
{
	u8 bytes[16];

	switch (files[row].which) {
	case CONSTANT:
		text_printf(t, "%s\n", files[row].text);
		break;
	case HOSTNAME:
	case DOMAINNAME:
		spin_lock(&c->ctx->uts_ns->obj.lock);
		text_printf(t, "%s\n",
			files[row].which == HOSTNAME ? c->ctx->uts_ns->node_name
						     : c->ctx->uts_ns->domain_name);
		spin_unlock(&c->ctx->uts_ns->obj.lock);
		break;
	case THREADS_MAX:
		text_printf(t, "%llu\n", (unsigned long long)task_rlimit(c->task, RLIMIT_NPROC));
		break;
	case UUID:
		random_bytes(bytes, sizeof(bytes));
		uuid(t, bytes);
		break;
	case BOOT_ID:
		random_boot_id(bytes);
		uuid(t, bytes);
		break;
	}
	return 0;
}

answer_t proc_sys_store(struct call *c, u32 row, const char *data, u32 len)
{
	enum sys_file which = files[row].which;
	char *name = which == HOSTNAME ? c->ctx->uts_ns->node_name : c->ctx->uts_ns->domain_name;
	u32 n = MIN(len, 64u);

	if (which != HOSTNAME && which != DOMAINNAME)
		return -EACCES;
	if (!context_capable(c->ctx, CAP_SYS_ADMIN))
		return -EPERM;
	while (n && (data[n - 1] == '\n' || !data[n - 1]))
		n--;
	spin_lock(&c->ctx->uts_ns->obj.lock);
	memcpy(name, data, n);
	name[n] = 0;
	spin_unlock(&c->ctx->uts_ns->obj.lock);
	return len;
}
