/* The tree of /dev. Theory in device.c. One list under one lock: /dev has some dozens of entries
 * and is walked through the name cache. */
#include <core/devnodes.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/string.h>

struct entry {
	struct list_node link;
	struct devnode node;
};
static struct spinlock devnodes_lock = SPINLOCK_INIT(LOCK_LEVEL_FILES);
static struct list_node entries = LIST_INIT(entries); /* in order of ids */
static u64 last_id = DEVNODE_ROOT;

static struct entry *find_id(u64 id)
{
	struct entry *e;

	list_for_each_entry (e, &entries, link)
		if (e->node.id == id)
			return e;
	return nullptr;
}

static struct entry *find_name(u64 parent, const char *name, u32 len)
{
	struct entry *e;

	list_for_each_entry (e, &entries, link)
		if (e->node.parent == parent && !strncmp(e->node.name, name, len) &&
			!e->node.name[len])
			return e;
	return nullptr;
}

static bool take(struct entry *e, struct devnode *out)
{
	if (e)
		*out = e->node;
	return e != nullptr;
}

bool devnode_get(u64 id, struct devnode *out)
{
	bool found;

	if (id == DEVNODE_ROOT) {
		*out = (struct devnode){.id = DEVNODE_ROOT, .mode = S_IFDIR | 0755};
		return true;
	}
	spin_lock(&devnodes_lock);
	found = take(find_id(id), out);
	spin_unlock(&devnodes_lock);
	return found;
}

bool devnode_find(u64 parent, const char *name, u32 len, struct devnode *out)
{
	bool found;

	if (len >= sizeof(out->name))
		return false;
	spin_lock(&devnodes_lock);
	found = take(find_name(parent, name, len), out);
	spin_unlock(&devnodes_lock);
	return found;
}

bool devnode_next(u64 parent, u64 after_id, struct devnode *out)
{
	struct entry *e;
	bool found = false;

	spin_lock(&devnodes_lock);
	list_for_each_entry (e, &entries, link)
		if (e->node.parent == parent && e->node.id > after_id) {
			found = take(e, out);
			break;
		}
	spin_unlock(&devnodes_lock);
	return found;
}

int devnode_create(u64 parent, const char *name, u32 len, u32 mode, u32 rdev, kuid_t uid,
	kgid_t gid, const char *target, u32 target_len, struct devnode *out)
{
	struct entry *e;

	if (len >= sizeof(e->node.name))
		return -ENAMETOOLONG;
	e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->node = (struct devnode){.parent = parent,
		.mode = mode,
		.rdev = rdev,
		.uid = uid,
		.gid = gid};
	memcpy(e->node.name, name, len);
	if (target_len) {
		e->node.target = kzalloc(target_len + 1);
		if (!e->node.target) {
			kfree(e);
			return -ENOMEM;
		}
		memcpy(e->node.target, target, target_len);
	}
	spin_lock(&devnodes_lock);
	if (find_name(parent, name, len)) {
		spin_unlock(&devnodes_lock);
		kfree(e->node.target);
		kfree(e);
		return -EEXIST;
	}
	e->node.id = ++last_id;
	list_add_tail(&entries, &e->link);
	*out = e->node;
	spin_unlock(&devnodes_lock);
	return 0;
}

int devnode_remove(u64 parent, const char *name, u32 len)
{
	struct entry *e, *child;
	int r = 0;

	spin_lock(&devnodes_lock);
	e = find_name(parent, name, len);
	if (!e)
		r = -ENOENT;
	else
		list_for_each_entry (child, &entries, link)
			if (child->node.parent == e->node.id)
				r = -ENOTEMPTY;
	if (!r)
		list_del(&e->link);
	spin_unlock(&devnodes_lock);
	if (!r)
		kfree(e); /* a link's text stays: an inode may still show it (some bytes per removed
			     link in /dev) */
	return r;
}

int devnode_change(u64 id, u32 mode, kuid_t uid, kgid_t gid)
{
	struct entry *e;

	if (id == DEVNODE_ROOT)
		return 0;
	spin_lock(&devnodes_lock);
	e = find_id(id);
	if (e) {
		e->node.mode = (e->node.mode & S_IFMT) | (mode & 07777);
		e->node.uid = uid;
		e->node.gid = gid;
	}
	spin_unlock(&devnodes_lock);
	return e ? 0 : -ENOENT;
}

static u64 directory_of(const char **path)
{
	u64 parent = DEVNODE_ROOT;
	struct devnode n;

	for (const char *slash; (slash = strchr(*path, '/')); *path = slash + 1) {
		u32 len = (u32)(slash - *path);

		if (!devnode_find(parent, *path, len, &n) &&
			devnode_create(parent, *path, len, S_IFDIR | 0755, 0, KUID(0), KGID(0),
				nullptr, 0, &n))
			return 0;
		parent = n.id;
	}
	return parent;
}

void devnode_add_device(const char *path, u32 mode, u32 rdev)
{
	struct devnode n;
	u64 parent = directory_of(&path);

	if (!parent || devnode_create(parent, path, (u32)strlen(path), mode, rdev, KUID(0), KGID(0),
			       nullptr, 0, &n))
		log_warn("/dev/%s cannot be made\n", path);
}

void devnode_remove_device(const char *path)
{
	u64 parent = directory_of(&path);

	if (parent)
		devnode_remove(parent, path, (u32)strlen(path));
}
