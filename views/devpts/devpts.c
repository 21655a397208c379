/*
 * devpts: the slave ends of pseudo terminals, /dev/pts/N and /dev/pts/ptmx.
 *
 * Purpose: renders core's ptys (core/tty.h). Objects: none of its own: owner and mode of a node are
 * its line's (grantpt: the opener's user, group and mode of the mount options gid=, mode=). One
 * instance for all mounts, as Linux before newinstance became the rule; the options newinstance and
 * ptmxmode= are taken and the latter obeyed.
 *
 * Failure and recovery, replacement: nothing is held. Cost: a list walk per lookup.
 */
#include <core/tty.h>
#include <core/fs_call.h>
#include <kabi/view.h>
#include <lib/fmt.h>
#include <lib/string.h>

KABI_MODULE(1, "Apache-2.0");

enum kind : u32 { PTS_ROOT, PTS_PTMX, PTS_SLAVE };
#define PTMX_RDEV DEV_MAKE(5, 2)

/* The number behind `name=` in the mount's options, in the given base; `otherwise` without one. */
static u32 option(const struct superblock *sb, const char *name, u32 base, u32 otherwise)
{
	const char *p = sb->options;
	size_t len = strlen(name);

	while (p && *p) {
		if (!strncmp(p, name, len) && p[len] == '=') {
			u32 v = 0;

			for (p += len + 1; *p >= '0' && *p < (char)('0' + base) && *p <= '9'; p++)
				v = v * base + (u32)(*p - '0');
			return v;
		}
		p = strchr(p, ',');
		p = p ? p + 1 : nullptr;
	}
	return otherwise;
}

static void slave_entry(const struct superblock *sb, const struct tty *t, struct view_entry *e)
{
	*e = (struct view_entry){
		.kind = PTS_SLAVE,
		.id = t->index,
		.mode = S_IFCHR | (t->node_changed ? t->node_mode : option(sb, "mode", 8, 0600)),
		.rdev = t->rdev,
		.uid = t->node_uid,
		.gid = t->node_changed ? t->node_gid
				       : KGID(option(sb, "gid", 10, t->node_gid.value)),
		.nlink = 1,
	};
}

static void ptmx_entry(const struct superblock *sb, struct view_entry *e)
{
	*e = (struct view_entry){.kind = PTS_PTMX,
		.mode = S_IFCHR | option(sb, "ptmxmode", 8, 0),
		.rdev = PTMX_RDEV,
		.nlink = 1};
}

static answer_t pts_mount(struct call *c, struct superblock *sb, struct view_entry *root)
{
	*root = (struct view_entry){.kind = PTS_ROOT, .mode = S_IFDIR | 0755, .nlink = 2};
	return 0;
}

static answer_t pts_lookup(struct call *c, struct inode *dir, const void *name, u32 len,
	struct view_entry *e)
{
	struct tty *t;
	u64 index;

	if (len == 4 && !memcmp(name, "ptmx", 4)) {
		ptmx_entry(dir->sb, e);
		return 1;
	}
	if (len > 5 || (*(const char *)name == '0' && len > 1) || !parse_u64(name, len, &index))
		return 0;
	t = tty_pty_find((u32)index);
	if (!t)
		return 0;
	slave_entry(dir->sb, t, e);
	object_put(&t->obj);
	return 1;
}

static answer_t pts_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	struct tty *t = nullptr, *best = nullptr;

	if (cursor == 0) {
		ptmx_entry(dir->sb, e);
		name->len = (u32)strlcpy(name->text, "ptmx", sizeof(name->text));
		name->next_cursor = 1;
		return 1;
	}
	while ((t = tty_next(t))) /* cursor is index + 1 of the next one */
		if (t->kind == TTY_PTY && t->index + 1 >= cursor &&
			(!best || t->index < best->index)) {
			if (best)
				object_put(&best->obj);
			best = t;
			object_get(&best->obj);
		}
	if (!best)
		return 0;
	slave_entry(dir->sb, best, e);
	name->len = (u32)snprintf(name->text, sizeof(name->text), "%u", best->index);
	name->next_cursor = best->index + 2;
	object_put(&best->obj);
	return 1;
}

static answer_t pts_revalidate(struct call *c, struct inode *i)
{
	struct view_entry e;
	struct tty *t;

	if (i->view_kind != PTS_SLAVE)
		return 1;
	t = tty_pty_find((u32)i->view_id);
	if (!t)
		return 0;
	slave_entry(i->sb, t, &e);
	object_put(&t->obj);
	spin_lock(&i->obj.lock);
	i->mode = e.mode;
	i->uid = e.uid;
	i->gid = e.gid;
	spin_unlock(&i->obj.lock);
	return 1;
}

static answer_t pts_change(struct call *c, struct inode *i, u32 mode, u32 uid, u32 gid)
{
	struct tty *t;

	if (i->view_kind != PTS_SLAVE)
		return i->view_kind == PTS_ROOT ? -EPERM : 0;
	t = tty_pty_find((u32)i->view_id);
	if (!t)
		return -ENOENT;
	spin_lock(&t->obj.lock);
	t->node_mode = mode & 07777;
	t->node_uid = KUID(uid);
	t->node_gid = KGID(gid);
	t->node_changed = true;
	spin_unlock(&t->obj.lock);
	object_put(&t->obj);
	return 0;
}

KABI_IMPLEMENT_AT(view, devpts, .mount = pts_mount, .lookup = pts_lookup, .list = pts_list,
	.revalidate = pts_revalidate, .change = pts_change);
