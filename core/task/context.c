/* Contexts and credentials: immutable values, changed by replacement (architecture.md "One
 * context"). */
#include <core/call.h>
#include "task_internal.h"

static struct user_ns user_ns_boot;
static struct uts_ns uts_ns_boot = {.node_name = "(none)", .domain_name = "(none)"};
static struct ipc_ns ipc_ns_boot;
static struct net_ns net_ns_boot;
static struct time_ns time_ns_boot;
static struct cgroup_ns cgroup_ns_boot;
static struct fs_context fs_context_boot = {.umask = 022};
static struct context boot_context;

struct context *context_boot(void)
{
	struct context *c = &boot_context;

	if (c->user_ns)
		return c;
	object_init(&user_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&uts_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&pid_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&ipc_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&net_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&time_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&cgroup_ns_boot.obj, OBJECT_NAMESPACE, LOCK_LEVEL_NAMESPACE, &account_root);
	object_init(&fs_context_boot.obj, OBJECT_FS_CONTEXT, LOCK_LEVEL_TASK, &account_root);
	object_init(&c->obj, OBJECT_CONTEXT, LOCK_LEVEL_TASK, &account_root);
	c->cred.cap_permitted = c->cred.cap_effective = c->cred.cap_bounding = CAP_ALL;
	c->uts_ns = &uts_ns_boot;
	c->pid_ns = &pid_ns_boot;
	c->ipc_ns = &ipc_ns_boot;
	c->net_ns = &net_ns_boot;
	c->time_ns = &time_ns_boot;
	c->cgroup_ns = &cgroup_ns_boot;
	c->fs = &fs_context_boot;
	c->user_ns = &user_ns_boot;
	return c;
}

struct group_list *group_list_new(u32 nr)
{
	struct group_list *g = kmalloc(sizeof(*g) + nr * sizeof(g->gid[0]));

	if (!g)
		return nullptr;
	refcount_set(&g->refs, 1);
	g->nr = nr;
	return g;
}

void group_list_put(struct group_list *g)
{
	if (g && refcount_dec_and_test(&g->refs))
		kfree(g);
}

static void namespaces_get(const struct context *c)
{
	object_get(&c->user_ns->obj);
	object_get(&c->uts_ns->obj);
	object_get(&c->pid_ns->obj);
	object_get(&c->ipc_ns->obj);
	object_get(&c->net_ns->obj);
	object_get(&c->time_ns->obj);
	object_get(&c->cgroup_ns->obj);
	if (c->mount_ns)
		object_get(&c->mount_ns->obj);
}

static void namespaces_put(const struct context *c)
{
	object_put(&c->user_ns->obj);
	object_put(&c->uts_ns->obj);
	object_put(&c->pid_ns->obj);
	object_put(&c->ipc_ns->obj);
	object_put(&c->net_ns->obj);
	object_put(&c->time_ns->obj);
	object_put(&c->cgroup_ns->obj);
	if (c->mount_ns)
		object_put(&c->mount_ns->obj);
}

struct context *context_clone(const struct context *from)
{
	struct context *c = kmalloc(sizeof(*c));

	if (!c)
		return nullptr;
	/* All but the header: the number of references of `from` changes meanwhile. */
	static_assert(offsetof(struct context, obj) == 0);
	memcpy((u8 *)c + sizeof(c->obj), (const u8 *)from + sizeof(from->obj),
		sizeof(*c) - sizeof(c->obj));
	object_init(&c->obj, OBJECT_CONTEXT, LOCK_LEVEL_TASK, &account_root);
	if (c->cred.groups)
		refcount_inc(&c->cred.groups->refs);
	namespaces_get(c);
	if (c->fs)
		object_get(&c->fs->obj);
	return c;
}

void object_release_context(struct object *o)
{
	struct context *c = container_of(o, struct context, obj);

	group_list_put(c->cred.groups);
	namespaces_put(c);
	if (c->fs)
		object_put(&c->fs->obj);
	object_free(o);
}

/* Mounts and names of the paths: their releases defer what may sleep. */
void object_release_fs_context(struct object *o)
{
	struct fs_context *fs = container_of(o, struct fs_context, obj);

	path_put(&fs->root);
	path_put(&fs->cwd);
	object_free(o);
}

struct fs_context *fs_context_clone(struct fs_context *from)
	__no_lock_analysis /* a constructor: nobody sees the copy yet */
{
	struct fs_context *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return nullptr;
	object_init(&fs->obj, OBJECT_FS_CONTEXT, LOCK_LEVEL_TASK, &account_root);
	spin_lock(&from->obj.lock);
	fs->umask = from->umask;
	fs->root = from->root;
	fs->cwd = from->cwd;
	if (fs->root.name)
		path_get(&fs->root);
	if (fs->cwd.name)
		path_get(&fs->cwd);
	spin_unlock(&from->obj.lock);
	return fs;
}

int task_unshare_fs(void)
{
	struct context *old = current->context, *c;
	struct fs_context *fs;

	if (refcount_is_one(&old->fs->obj.refs) && refcount_is_one(&old->obj.refs))
		return 0;
	fs = fs_context_clone(old->fs);
	c = fs ? context_clone(old) : nullptr;
	if (!c) {
		if (fs)
			object_put(&fs->obj);
		return -ENOMEM;
	}
	object_put(&c->fs->obj);
	c->fs = fs;
	context_set(current, c);
	return 0;
}

/* A dead task is nowhere: what it was in can be unmounted (proc(5): cwd and root of a zombie are
 * absent). Without memory its place goes when the task does. Context: its end, no path walk
 * follows. */
void task_leave_fs(void)
{
	struct task *t = current;
	struct context *old = t->context, *c = old->fs ? context_clone(old) : nullptr;

	if (!c)
		return;
	object_put(&c->fs->obj);
	c->fs = nullptr;
	if (t->call.ctx == old && !t->call.ctx_pinned)
		t->call.ctx = c;
	context_set(t, c);
}

/* Others read t->context inside a grace read section and take a live reference (object_free waits
 * for a grace period). */
void context_set(struct task *t, struct context *c)
{
	struct context *old = t->context;
	struct user_count *user = t->user;

	if (old && t->user && !kuid_eq(old->cred.uid, c->cred.uid)) {
		user = user_count_of(c->cred.uid);
		if (user) { /* without memory the old user goes on paying */
			atomic32_fetch_add(&user->nr_tasks, 1);
			atomic32_fetch_sub(&t->user->nr_tasks, 1);
			t->user = user;
		}
	}
	if (t == current)
		call_effect_here();
	ptr_store_release(&t->context, c);
	if (t == current && old && t->call.ctx == old && !t->call.ctx_pinned) {
		t->call.ctx_pinned = t->call.dirty =
			true; /* the call in progress goes on with the old one: it takes the
				 reference over */
		return;
	}
	if (old)
		object_put(&old->obj);
}

bool context_in_group(const struct context *c, kgid_t gid)
{
	const struct group_list *g = c->cred.groups;
	u32 low = 0, high;

	if (kgid_eq(c->cred.fsgid, gid))
		return true;
	high = g ? g->nr : 0;
	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (kgid_eq(g->gid[mid], gid))
			return true;
		if (g->gid[mid].value < gid.value)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

#define SECURE_NOROOT    1u
#define SECURE_KEEP_CAPS 16u

/* capabilities(7), "Transformation of capabilities during execve()"; there are no file
 * capabilities. */
void context_exec_credentials(struct credentials *cred, u32 mode, kuid_t owner, kgid_t group,
	bool nosuid, bool *secure)
{
	struct credentials old = *cred;
	bool raised;

	if (!nosuid && !cred->no_new_privs) {
		if (mode & S_ISUID)
			cred->euid = owner;
		if ((mode & (S_ISGID | 0010)) == (S_ISGID | 0010))
			cred->egid = group;
	}
	raised = !kuid_eq(cred->euid, old.euid) || !kgid_eq(cred->egid, old.egid);
	cred->suid = cred->fsuid = cred->euid;
	cred->sgid = cred->fsgid = cred->egid;
	if (raised)
		cred->cap_ambient = 0;
	cred->cap_permitted = cred->cap_effective = cred->cap_ambient;
	if (!(cred->securebits & SECURE_NOROOT) &&
		(cred->euid.value == 0 || cred->uid.value == 0)) {
		cred->cap_permitted = (old.cap_inheritable | old.cap_bounding) & CAP_ALL;
		cred->cap_effective =
			cred->euid.value == 0 ? cred->cap_permitted : cred->cap_ambient;
	}
	cred->securebits &= ~SECURE_KEEP_CAPS;
	*secure = raised || !kuid_eq(cred->uid, cred->euid) || !kgid_eq(cred->gid, cred->egid);
}
