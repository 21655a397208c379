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

enum sys_file {
	OSTYPE,
	OSRELEASE,
	VERSION,
	HOSTNAME,
	DOMAINNAME,
	PID_MAX,
	THREADS_MAX,
	LAST_CAP,
	NGROUPS_MAX,
	RANDOMIZE,
	CORE_PATTERN,
	RR_SLICE,
	TAINTED,
	OVERCOMMIT,
	MAX_MAP_COUNT,
	SWAPPINESS,
	MMAP_MIN,
	FILE_MAX,
	NR_OPEN,
	PIPE_MAX,
	MOUNT_MAX,
	UUID,
	BOOT_ID,
	ENTROPY_AVAIL,
	POOLSIZE,
	PTY_MAX,
	PTY_NR,
};
static const struct {
	const char *name;
	enum sys_dir dir;
	u32 mode;
	enum sys_file which;
} files[] = {
	{"ostype", SYS_KERNEL, 0444, OSTYPE},
	{"osrelease", SYS_KERNEL, 0444, OSRELEASE},
	{"version", SYS_KERNEL, 0444, VERSION},
	{"hostname", SYS_KERNEL, 0644, HOSTNAME},
	{"domainname", SYS_KERNEL, 0644, DOMAINNAME},
	{"pid_max", SYS_KERNEL, 0444, PID_MAX},
	{"threads-max", SYS_KERNEL, 0444, THREADS_MAX},
	{"cap_last_cap", SYS_KERNEL, 0444, LAST_CAP},
	{"ngroups_max", SYS_KERNEL, 0444, NGROUPS_MAX},
	{"randomize_va_space", SYS_KERNEL, 0444, RANDOMIZE},
	{"core_pattern", SYS_KERNEL, 0444, CORE_PATTERN},
	{"sched_rr_timeslice_ms", SYS_KERNEL, 0444, RR_SLICE},
	{"tainted", SYS_KERNEL, 0444, TAINTED},
	{"overcommit_memory", SYS_VM, 0444, OVERCOMMIT},
	{"max_map_count", SYS_VM, 0444, MAX_MAP_COUNT},
	{"swappiness", SYS_VM, 0444, SWAPPINESS},
	{"mmap_min_addr", SYS_VM, 0444, MMAP_MIN},
	{"file-max", SYS_FS, 0444, FILE_MAX},
	{"nr_open", SYS_FS, 0444, NR_OPEN},
	{"pipe-max-size", SYS_FS, 0444, PIPE_MAX},
	{"mount-max", SYS_FS, 0444, MOUNT_MAX},
	{"uuid", SYS_RANDOM, 0444, UUID},
	{"boot_id", SYS_RANDOM, 0444, BOOT_ID},
	{"entropy_avail", SYS_RANDOM, 0444, ENTROPY_AVAIL},
	{"poolsize", SYS_RANDOM, 0444, POOLSIZE},
	{"max", SYS_PTY, 0444, PTY_MAX},
	{"nr", SYS_PTY, 0444, PTY_NR},
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
		.id = files[row].which,
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

answer_t proc_sys_render(struct call *c, u32 which, struct text *t)
{
	u8 bytes[16];

	switch ((enum sys_file)which) {
	case OSTYPE:
		text_printf(t, "%s\n", KERNEL_OSTYPE);
		break;
	case OSRELEASE:
		text_printf(t, "%s\n", KERNEL_RELEASE);
		break;
	case VERSION:
		text_printf(t, "%s\n", KERNEL_VERSION);
		break;
	case HOSTNAME:
	case DOMAINNAME:
		spin_lock(&c->ctx->uts_ns->obj.lock);
		text_printf(t, "%s\n",
			which == HOSTNAME ? c->ctx->uts_ns->node_name
					  : c->ctx->uts_ns->domain_name);
		spin_unlock(&c->ctx->uts_ns->obj.lock);
		break;
	case PID_MAX:
		text_printf(t, "4194304\n");
		break;
	case THREADS_MAX:
		text_printf(t, "%llu\n", (unsigned long long)task_rlimit(c->task, RLIMIT_NPROC));
		break;
	case LAST_CAP:
		text_printf(t, "%u\n", 40u); /* CAP_CHECKPOINT_RESTORE, linux/capability.h */
		break;
	case NGROUPS_MAX:
		text_printf(t, "65536\n");
		break;
	case RANDOMIZE:
		text_printf(t, "2\n");
		break;
	case CORE_PATTERN:
		text_printf(t, "core\n");
		break;
	case RR_SLICE:
		text_printf(t, "100\n");
		break;
	case TAINTED:
	case OVERCOMMIT:
	case PTY_NR:
		text_printf(t, "0\n");
		break;
	case MAX_MAP_COUNT:
		text_printf(t, "65530\n");
		break;
	case SWAPPINESS:
		text_printf(t, "60\n");
		break;
	case MMAP_MIN:
		text_printf(t, "65536\n");
		break;
	case FILE_MAX:
		text_printf(t, "9223372036854775807\n");
		break;
	case NR_OPEN:
	case PIPE_MAX:
		text_printf(t, "1048576\n");
		break;
	case MOUNT_MAX:
		text_printf(t, "100000\n");
		break;
	case UUID:
		random_bytes(bytes, sizeof(bytes));
		uuid(t, bytes);
		break;
	case BOOT_ID:
		random_boot_id(bytes);
		uuid(t, bytes);
		break;
	case ENTROPY_AVAIL:
	case POOLSIZE:
		text_printf(t, "256\n");
		break;
	case PTY_MAX:
		text_printf(t, "4096\n");
		break;
	}
	return 0;
}

answer_t proc_sys_store(struct call *c, u32 which, const char *data, u32 len)
{
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
