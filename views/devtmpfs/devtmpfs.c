/*
 * devtmpfs: /dev as the device table fills it, writable as on Linux (mknod, mkdir, ln -s, rm,
 * chmod, chown).
 *
 * Purpose: renders core/device/devnodes. Objects: none of its own; an entry's id is the devnode's.
 * Kind 0 is everything.
 *
 * Failure and recovery, replacement: nothing is held between calls. Cost: one list walk per miss of
 * the name cache.
 */
#include <core/devnodes.h>
#include <core/fs_call.h>
#include <kabi/view.h>
#include <lib/string.h>

KABI_MODULE(1, "Apache-2.0");

static u64 id_of(const struct inode *i)
{
	return i->view_id ? i->view_id : DEVNODE_ROOT;
}

static void fill(struct view_entry *e, const struct devnode *n)
{
	*e = (struct view_entry){
		.id = n->id,
		.mode = n->mode,
		.rdev = n->rdev,
		.uid = n->uid,
		.gid = n->gid,
		.nlink = S_TYPE(n->mode) == S_IFDIR ? 2 : 1,
		.size = n->target ? strlen(n->target) : 0,
	};
}

static answer_t dev_mount(struct call *c, struct superblock *sb, struct view_entry *root)
{
	*root = (struct view_entry){.id = DEVNODE_ROOT, .mode = S_IFDIR | 0755, .nlink = 2};
	return 0;
}

static answer_t dev_lookup(struct call *c, struct inode *dir, const void *name, u32 len,
	struct view_entry *e)
{
	struct devnode n;

	if (!devnode_find(id_of(dir), name, len, &n))
		return 0;
	fill(e, &n);
	return 1;
}

static answer_t dev_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	struct devnode n;

	if (!devnode_next(id_of(dir), cursor, &n))
		return 0;
	fill(e, &n);
	name->len = (u32)strlcpy(name->text, n.name, sizeof(name->text));
	name->next_cursor = n.id;
	return 1;
}

static answer_t dev_revalidate(struct call *c, struct inode *i)
{
	struct devnode n;

	return devnode_get(id_of(i), &n);
}

static answer_t dev_link(struct call *c, struct inode *i, struct text *text,
	struct path_ref *target)
{
	struct devnode n;

	if (!devnode_get(id_of(i), &n) || !n.target)
		return -EINVAL;
	text_write(text, n.target, strlen(n.target));
	return 0;
}

static answer_t dev_change(struct call *c, struct inode *i, u32 mode, u32 uid, u32 gid)
{
	return devnode_change(id_of(i), mode, KUID(uid), KGID(gid));
}

static answer_t dev_create(struct call *c, struct inode *dir, const void *name, u32 len, u32 mode,
	u32 rdev, const void *target, u32 target_len, struct view_entry *e)
{
	struct devnode n;
	int r;

	if (S_TYPE(mode) == S_IFREG) /* regular files in /dev: tmpfs's business; Linux's devtmpfs
					can, this view holds no contents */
		return -EPERM;
	r = devnode_create(id_of(dir), name, len, mode, rdev, e->uid, e->gid, target, target_len,
		&n);
	if (!r)
		fill(e, &n);
	return r;
}

static answer_t dev_remove(struct call *c, struct inode *dir, const void *name, u32 len)
{
	return devnode_remove(id_of(dir), name, len);
}

KABI_IMPLEMENT_AT(view, devtmpfs, .mount = dev_mount, .lookup = dev_lookup, .list = dev_list,
	.revalidate = dev_revalidate, .link = dev_link, .change = dev_change, .create = dev_create,
	.remove = dev_remove);
