/*
 * sysfs: devices as Linux's programs look for them.
 *
 *   class/CLASS/NAME -> ../../devices/virtual/CLASS/NAME       block/NAME ->
 * ../devices/virtual/block/NAME devices/virtual/CLASS/NAME/{dev,uevent,size}
 * devices/system/cpu/{online,possible,present,cpuN} kernel/ fs/ bus/ dev/{char,block}/MAJOR:MINOR
 * -> device
 *
 * Purpose: renders core's device table (core/device.h). An entry's id is the device's object id, or
 * a class's or CPU's number.
 *
 * Failure and recovery, replacement: nothing is held. Cost: a walk of the device table per lookup.
 */
#include <core/cpu.h>
#include <core/console.h>
#include <core/device.h>
#include <core/fs_call.h>
#include <core/hwrng.h>
#include <kabi/view.h>
#include <lib/fmt.h>
#include <lib/string.h>

KABI_MODULE(1, "Apache-2.0");

enum kind : u32 {
	SYS_ROOT,
	SYS_DIR, /* id: enum fixed */
	SYS_CLASS,
	SYS_VIRTUAL_CLASS, /* id: class */
	SYS_LINK,          /* id: device | link kind << 56 */
	SYS_DEVICE,
	SYS_DEVICE_FILE, /* id: device [<< 4 | file] */
	SYS_CPU_FILE,
	SYS_CPU,
};
enum fixed : u32 {
	D_ROOT,
	D_BLOCK,
	D_BUS,
	D_CLASS,
	D_DEV,
	D_DEV_BLOCK,
	D_DEV_CHAR,
	D_DEVICES,
	D_SYSTEM,
	D_CPU,
	D_VIRTUAL,
	D_FS,
	D_KERNEL,
	D_NR
};
static const struct {
	const char *name;
	enum fixed parent;
} fixed[D_NR] = {
	[D_ROOT] = {"", D_NR},
	[D_BLOCK] = {"block", D_ROOT},
	[D_BUS] = {"bus", D_ROOT},
	[D_CLASS] = {"class", D_ROOT},
	[D_DEV] = {"dev", D_ROOT},
	[D_DEV_BLOCK] = {"block", D_DEV},
	[D_DEV_CHAR] = {"char", D_DEV},
	[D_DEVICES] = {"devices", D_ROOT},
	[D_SYSTEM] = {"system", D_DEVICES},
	[D_CPU] = {"cpu", D_SYSTEM},
	[D_VIRTUAL] = {"virtual", D_DEVICES},
	[D_FS] = {"fs", D_ROOT},
	[D_KERNEL] = {"kernel", D_ROOT},
};
static const char *const classes[] = {"block", "mem", "misc", "tty"};
/* What a device's directory may hold; file_of says which of them a device has. */
enum attribute : u32 { F_DEV, F_UEVENT, F_SIZE, F_RNG_AVAILABLE, F_RNG_CURRENT, F_ACTIVE, F_NR };
static const char *const device_files[F_NR] = {
	[F_DEV] = "dev",
	[F_UEVENT] = "uevent",
	[F_SIZE] = "size",
	[F_RNG_AVAILABLE] = "rng_available",
	[F_RNG_CURRENT] = "rng_current",
	[F_ACTIVE] = "active",
};
static const char *const cpu_files[] = {"online", "possible", "present"};
#define LINK_SHIFT 56
enum link : u32 { LINK_CLASS, LINK_BLOCK, LINK_DEV };

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
static bool in_class(const struct device *d, const char *class)
{
	return d->node_mode && !strcmp(d->class_name, class);
}
static struct device *by_id(u64 id)
{
	struct device *d = nullptr;

	while ((d = device_next(d)))
		if (d->obj.id == id)
			return d;
	return nullptr;
}

static bool has_file(const struct device *d, enum attribute f)
{
	switch (f) {
	case F_DEV:
	case F_UEVENT:
		return true;
	case F_SIZE:
		return S_TYPE(d->node_mode) == S_IFBLK;
	case F_RNG_AVAILABLE:
	case F_RNG_CURRENT:
		return d->node_dev == HWRNG_RDEV && S_TYPE(d->node_mode) == S_IFCHR;
	case F_ACTIVE:
		return d->node_dev == DEV_MAKE(5, 1) && S_TYPE(d->node_mode) == S_IFCHR;
	case F_NR:
		break;
	}
	return false;
}

/* Number n of a device's files; F_NR: it has fewer. */
static enum attribute nth_file(u64 device, u64 n)
{
	struct device *d = by_id(device);
	enum attribute f = F_DEV;

	if (!d)
		return F_NR;
	while (f < F_NR && (!has_file(d, f) || n--))
		f++;
	object_put(&d->obj);
	return f;
}

/* Does this device appear in directory (kind, id), and under which name? */
static bool appears(const struct inode *dir, const struct device *d, char name[32],
	struct view_entry *e)
{
	bool block = S_TYPE(d->node_mode) == S_IFBLK;

	if (!d->node_mode)
		return false;
	strlcpy(name, d->name, 32);
	if (dir->view_kind == SYS_CLASS && in_class(d, classes[dir->view_id])) {
		entry(e, SYS_LINK, d->obj.id | (u64)LINK_CLASS << LINK_SHIFT, S_IFLNK | 0777);
		return true;
	}
	if (dir->view_kind == SYS_VIRTUAL_CLASS && in_class(d, classes[dir->view_id])) {
		entry(e, SYS_DEVICE, d->obj.id, S_IFDIR | 0755);
		return true;
	}
	if (dir->view_kind != SYS_DIR)
		return false;
	if (dir->view_id == D_BLOCK && block) {
		entry(e, SYS_LINK, d->obj.id | (u64)LINK_BLOCK << LINK_SHIFT, S_IFLNK | 0777);
		return true;
	}
	if ((dir->view_id == D_DEV_BLOCK && block) || (dir->view_id == D_DEV_CHAR && !block)) {
		snprintf(name, 32, "%u:%u", DEV_MAJOR(d->node_dev), DEV_MINOR(d->node_dev));
		entry(e, SYS_LINK, d->obj.id | (u64)LINK_DEV << LINK_SHIFT, S_IFLNK | 0777);
		return true;
	}
	return false;
}

/* Each of these: the n-th of its entries, or false with n less by their number. */
static bool nth_fixed(u64 parent, u64 *n, char name[32], struct view_entry *e)
{
	for (u32 i = 1; i < D_NR; i++)
		if (fixed[i].parent == parent && (*n)-- == 0) {
			strlcpy(name, fixed[i].name, 32);
			entry(e, SYS_DIR, i, S_IFDIR | 0755);
			return true;
		}
	return false;
}

static bool nth_class(u64 parent, u64 *n, char name[32], struct view_entry *e)
{
	if (*n >= ARRAY_SIZE(classes)) {
		*n -= ARRAY_SIZE(classes);
		return false;
	}
	strlcpy(name, classes[*n], 32);
	entry(e, parent == D_CLASS ? SYS_CLASS : SYS_VIRTUAL_CLASS, *n, S_IFDIR | 0755);
	return true;
}

static bool nth_cpu(u64 *n, char name[32], struct view_entry *e)
{
	u64 nr = ARRAY_SIZE(cpu_files) + cpu_nr_present();

	if (*n >= nr) {
		*n -= nr;
		return false;
	}
	if (*n < ARRAY_SIZE(cpu_files)) {
		strlcpy(name, cpu_files[*n], 32);
		entry(e, SYS_CPU_FILE, *n, S_IFREG | 0444);
	} else {
		snprintf(name, 32, "cpu%u", (u32)(*n - ARRAY_SIZE(cpu_files)));
		entry(e, SYS_CPU, *n, S_IFDIR | 0755);
	}
	return true;
}

/* Entry number n of a directory: fixed ones first, then devices in the table's order. */
static bool nth(const struct inode *dir, u64 n, char name[32], struct view_entry *e)
{
	u64 id = dir->view_kind == SYS_ROOT ? D_ROOT : dir->view_id;
	struct device *d = nullptr;

	if (dir->view_kind == SYS_ROOT || dir->view_kind == SYS_DIR) {
		if (nth_fixed(id, &n, name, e))
			return true;
		if ((id == D_CLASS || id == D_VIRTUAL) && nth_class(id, &n, name, e))
			return true;
		if (id == D_CPU && nth_cpu(&n, name, e))
			return true;
	}
	if (dir->view_kind == SYS_DEVICE) {
		enum attribute f = nth_file(dir->view_id, n);

		if (f == F_NR)
			return false;
		strlcpy(name, device_files[f], 32);
		entry(e, SYS_DEVICE_FILE, dir->view_id << 4 | f, S_IFREG | 0444);
		return true;
	}
	while ((d = device_next(d)))
		if (appears(dir, d, name, e) && n-- == 0) {
			object_put(&d->obj);
			return true;
		}
	return false;
}

static answer_t sys_mount(struct call *c, struct superblock *sb, struct view_entry *root)
{
	entry(root, SYS_ROOT, 0, S_IFDIR | 0555);
	return 0;
}

static answer_t sys_lookup(struct call *c, struct inode *dir, const void *name, u32 len,
	struct view_entry *e)
{
	char text[32];

	for (u64 n = 0; nth(dir, n, text, e); n++)
		if (is(name, len, text))
			return 1;
	return 0;
}

static answer_t sys_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	char text[32];

	if (!nth(dir, cursor, text, e))
		return 0;
	name->len = (u32)strlcpy(name->text, text, sizeof(name->text));
	name->next_cursor = cursor + 1;
	return 1;
}

static answer_t sys_render(struct call *c, struct inode *i, struct text *t)
{
	struct device *d;
	char name[32];

	if (i->view_kind == SYS_CPU_FILE) {
		u32 nr = i->view_id == 0 ? cpu_nr_online() : cpu_nr_present();

		text_printf(t, nr > 1 ? "0-%u\n" : "0\n", nr - 1);
		return 0;
	}
	if (i->view_kind != SYS_DEVICE_FILE)
		return -EISDIR;
	d = by_id(i->view_id >> 4);
	if (!d)
		return -ENODEV;
	switch ((enum attribute)(i->view_id & 15)) {
	case F_DEV:
		text_printf(t, "%u:%u\n", DEV_MAJOR(d->node_dev), DEV_MINOR(d->node_dev));
		break;
	case F_UEVENT:
		text_printf(t, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", DEV_MAJOR(d->node_dev),
			DEV_MINOR(d->node_dev), d->node_name);
		break;
	case F_SIZE:
		text_printf(t, "%llu\n", (unsigned long long)(d->size_bytes / 512));
		break;
	case F_RNG_AVAILABLE:
		for (u32 n = 0; hwrng_name(n, name, sizeof(name)); n++)
			text_printf(t, n ? " %s" : "%s", name);
		text_printf(t, "\n");
		break;
	case F_RNG_CURRENT:
		text_printf(t, "%s\n", hwrng_name(0, name, sizeof(name)) ? name : "none");
		break;
	case F_ACTIVE: /* of /dev/console: the lines that console= names */
		for (u32 n = 0; console_active(n, name, sizeof(name)); n++)
			text_printf(t, n ? " %s" : "%s", name);
		text_printf(t, "\n");
		break;
	case F_NR:
		break;
	}
	object_put(&d->obj);
	return 0;
}

static answer_t sys_link(struct call *c, struct inode *i, struct text *t, struct path_ref *target)
{
	struct device *d;
	const char *up;

	if (i->view_kind != SYS_LINK)
		return -EINVAL;
	d = by_id(i->view_id & (((u64)1 << LINK_SHIFT) - 1));
	if (!d)
		return -ENOENT;
	up = i->view_id >> LINK_SHIFT == LINK_BLOCK ? "../" : "../../";
	text_printf(t, "%sdevices/virtual/%s/%s", up, d->class_name, d->name);
	object_put(&d->obj);
	return 0;
}

static answer_t sys_revalidate(struct call *c, struct inode *i)
{
	struct device *d;

	if (i->view_kind < SYS_LINK || i->view_kind > SYS_DEVICE_FILE)
		return 1;
	d = by_id(i->view_kind == SYS_DEVICE_FILE ? i->view_id >> 4
						  : i->view_id & (((u64)1 << LINK_SHIFT) - 1));
	if (d)
		object_put(&d->obj);
	return d != nullptr;
}

KABI_IMPLEMENT_AT(view, sys, .mount = sys_mount, .lookup = sys_lookup, .list = sys_list,
	.render = sys_render, .link = sys_link, .revalidate = sys_revalidate);
