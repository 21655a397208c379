/*
 * proc: processes and the state of the kernel as text (proc.c: the tree; root.c, pid.c, sys.c: the
 * texts).
 *
 * Purpose: /proc as proc(5) describes it, as far as Debian's programs read it. Vocabulary: kind,
 * which: what an entry is.
 *
 * Objects and lifetimes: none of its own; entries name processes by number and are gone when those
 * are.
 *
 * Invariants: PROC-I1 a text is made from core's tables in one go, so one read sees one moment;
 * PROC-I2 texts that read another process's memory are made by core (DO_DESCRIBE), which may wait.
 *
 * Locks: core's own, taken inside its functions. Failure and recovery, replacement: nothing is
 * held. Cost: linear in what is shown.
 */
#include <core/mm.h>
#include <core/node.h>
#include <kabi/view.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "proc_priv.h"

KABI_MODULE(1, "Apache-2.0");

enum root_link { LINK_SELF, LINK_THREAD_SELF, LINK_MOUNTS };
static const struct proc_row root_links[] = {{"self", LINK_SELF, 0},
	{"thread-self", LINK_THREAD_SELF, 0}, {"mounts", LINK_MOUNTS, 0}};
static const struct proc_row pid_links[] = {{"cwd", 0, 0}, {"root", 1, 0}, {"exe", 2, 0}};
static const struct proc_row pid_dirs[] = {{"fd", PROC_FD_DIR, 0500},
	{"fdinfo", PROC_FDINFO_DIR, 0555}, {"task", PROC_TASK_DIR, 0555}};

const struct proc_row *proc_row_find(const struct proc_row *rows, u32 nr, const char *name, u32 len)
{
	for (u32 i = 0; i < nr; i++)
		if (!strncmp(rows[i].name, name, len) && !rows[i].name[len])
			return &rows[i];
	return nullptr;
}

static void entry(struct view_entry *e, enum proc_kind kind, u64 id, u32 mode)
{
	*e = (struct view_entry){.kind = kind,
		.id = id,
		.mode = mode,
		.nlink = S_TYPE(mode) == S_IFDIR ? 2 : 1};
}

static void owned(struct view_entry *e, const struct task *t)
{
	const struct context *ctx;

	grace_read_begin();
	ctx = ptr_load_acquire(&t->context);
	if (t->group->dumpable) {
		e->uid = ctx->cred.euid;
		e->gid = ctx->cred.egid;
	}
	grace_read_end();
}

struct task *proc_task(const struct inode *i)
{
	return task_find(i->sb->pid_ns, proc_number(i));
}

static bool parse_number(const char *name, u32 len, s32 *out)
{
	s32 v = 0;

	if (!len || len > 9 || (name[0] == '0' && len > 1))
		return false;
	for (u32 i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		v = v * 10 + (name[i] - '0');
	}
	*out = v;
	return true;
}

static answer_t proc_mount(struct call *c, struct superblock *sb, struct view_entry *root)
{
	entry(root, PROC_ROOT, 0, S_IFDIR | 0555);
	return 0;
}

/* --- lookup --- */
static answer_t root_lookup(struct inode *dir, const char *name, u32 len, struct view_entry *e)
{
	const struct proc_row *r = proc_row_find(proc_root_rows, proc_nr_root_rows(), name, len);
	struct task *t;
	s32 number;

	if (r) {
		entry(e, PROC_ROOT_FILE, r->which, S_IFREG | r->mode);
		return 1;
	}
	r = proc_row_find(root_links, ARRAY_SIZE(root_links), name, len);
	if (r) {
		entry(e, PROC_ROOT_LINK, r->which, S_IFLNK | 0777);
		return 1;
	}
	if (len == 3 && !memcmp(name, "sys", 3)) {
		entry(e, PROC_SYS_DIR, 0, S_IFDIR | 0555);
		return 1;
	}
	if (!parse_number(name, len, &number))
		return 0;
	t = task_find(dir->sb->pid_ns, number);
	if (!t)
		return 0;
	entry(e, PROC_PID, proc_id(number, 0), S_IFDIR | 0555);
	owned(e, t);
	object_put(&t->obj);
	return 1;
}

static answer_t pid_lookup(struct inode *dir, const char *name, u32 len, struct view_entry *e)
{
	bool thread = dir->view_kind == PROC_TID;
	const struct proc_row *r = proc_row_find(proc_pid_rows, proc_nr_pid_rows(), name, len);
	struct task *t = proc_task(dir);

	if (!t)
		return 0;
	if (r)
		entry(e, thread ? PROC_TID_FILE : PROC_PID_FILE,
			proc_id(proc_number(dir), r->which), S_IFREG | r->mode);
	else if ((r = proc_row_find(pid_links, ARRAY_SIZE(pid_links), name, len)))
		entry(e, thread ? PROC_TID_LINK : PROC_PID_LINK,
			proc_id(proc_number(dir), r->which), S_IFLNK | 0777);
	else if ((r = proc_row_find(pid_dirs, thread ? 2 : 3, name, len)))
		entry(e, (enum proc_kind)r->which, proc_id(proc_number(dir), 0), S_IFDIR | r->mode);
	if (r)
		owned(e, t);
	object_put(&t->obj);
	return r != nullptr;
}

static void fd_entry(struct view_entry *e, const struct inode *dir, struct file *f, u32 fd)
{
	if (dir->view_kind == PROC_FDINFO_DIR) {
		entry(e, PROC_FDINFO, proc_id(proc_number(dir), fd), S_IFREG | 0444);
		return;
	}
	entry(e, PROC_FD_LINK, proc_id(proc_number(dir), fd),
		S_IFLNK | (file_readable(f) ? 0500 : 0) | (file_writable(f) ? 0300 : 0));
}

static answer_t fd_lookup(struct call *c, struct inode *dir, const char *name, u32 len,
	struct view_entry *e)
{
	struct task *t = proc_task(dir);
	struct file *f = nullptr;
	answer_t a = 0;
	s32 fd;

	if (!t)
		return 0;
	if (!proc_may_look(c, t)) {
		a = -EACCES;
	} else if (parse_number(name, len, &fd) && (f = task_file_get(t, (u32)fd))) {
		fd_entry(e, dir, f, (u32)fd);
		owned(e, t);
		file_put(f);
		a = 1;
	}
	object_put(&t->obj);
	return a;
}

static answer_t task_lookup(struct inode *dir, const char *name, u32 len, struct view_entry *e)
{
	struct task *leader = proc_task(dir), *t;
	s32 number;
	answer_t a = 0;

	if (!leader)
		return 0;
	if (parse_number(name, len, &number) && (t = task_find(dir->sb->pid_ns, number))) {
		if (t->group == leader->group) {
			entry(e, PROC_TID, proc_id(number, 0), S_IFDIR | 0555);
			owned(e, t);
			a = 1;
		}
		object_put(&t->obj);
	}
	object_put(&leader->obj);
	return a;
}

static answer_t proc_lookup(struct call *c, struct inode *dir, const void *name, u32 len,
	struct view_entry *e)
{
	switch (dir->view_kind) {
	case PROC_ROOT:
		return root_lookup(dir, name, len, e);
	case PROC_PID:
	case PROC_TID:
		return pid_lookup(dir, name, len, e);
	case PROC_FD_DIR:
	case PROC_FDINFO_DIR:
		return fd_lookup(c, dir, name, len, e);
	case PROC_TASK_DIR:
		return task_lookup(dir, name, len, e);
	case PROC_SYS_DIR:
		return proc_sys_lookup(proc_which(dir), name, len, e);
	default:
		return 0;
	}
}

/* --- listing: cursor 0 is the first entry; fixed rows first, numbers behind them --- */
#define CURSOR_NUMBERS 1000u

static answer_t row_entry(struct inode *dir, const struct proc_row *r, struct view_name *name,
	u64 next)
{
	name->len = (u32)strlcpy(name->text, r->name, sizeof(name->text));
	name->next_cursor = next;
	return 1;
}

static answer_t root_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	u32 files = proc_nr_root_rows(), links = ARRAY_SIZE(root_links);
	struct thread_group *g;

	if (cursor < files) {
		entry(e, PROC_ROOT_FILE, proc_root_rows[cursor].which,
			S_IFREG | proc_root_rows[cursor].mode);
		return row_entry(dir, &proc_root_rows[cursor], name, cursor + 1);
	}
	if (cursor < files + links) {
		const struct proc_row *r = &root_links[cursor - files];

		entry(e, PROC_ROOT_LINK, r->which, S_IFLNK | 0777);
		return row_entry(dir, r, name, cursor + 1);
	}
	if (cursor == files + links) {
		static const struct proc_row sys = {"sys", 0, 0};

		entry(e, PROC_SYS_DIR, 0, S_IFDIR | 0555);
		return row_entry(dir, &sys, name, CURSOR_NUMBERS);
	}
	g = group_next(dir->sb->pid_ns, (s32)(cursor - CURSOR_NUMBERS));
	if (!g)
		return 0;
	entry(e, PROC_PID, proc_id(group_pid_nr(g), 0), S_IFDIR | 0555);
	name->len = (u32)snprintf(name->text, sizeof(name->text), "%d", group_pid_nr(g));
	name->next_cursor = CURSOR_NUMBERS + (u32)group_pid_nr(g);
	object_put(&g->obj);
	return 1;
}

static answer_t pid_list(struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	bool thread = dir->view_kind == PROC_TID;
	u32 files = proc_nr_pid_rows(), links = ARRAY_SIZE(pid_links), dirs = thread ? 2 : 3;
	struct task *t = proc_task(dir);

	if (!t)
		return 0;
	object_put(&t->obj);
	if (cursor < files) {
		const struct proc_row *r = &proc_pid_rows[cursor];

		entry(e, thread ? PROC_TID_FILE : PROC_PID_FILE,
			proc_id(proc_number(dir), r->which), S_IFREG | r->mode);
		return row_entry(dir, r, name, cursor + 1);
	}
	if (cursor < files + links) {
		const struct proc_row *r = &pid_links[cursor - files];

		entry(e, thread ? PROC_TID_LINK : PROC_PID_LINK,
			proc_id(proc_number(dir), r->which), S_IFLNK | 0777);
		return row_entry(dir, r, name, cursor + 1);
	}
	if (cursor < files + links + dirs) {
		const struct proc_row *r = &pid_dirs[cursor - files - links];

		entry(e, (enum proc_kind)r->which, proc_id(proc_number(dir), 0), S_IFDIR | r->mode);
		return row_entry(dir, r, name, cursor + 1);
	}
	return 0;
}

static answer_t fd_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	struct task *t = proc_task(dir);
	struct file *f = nullptr;
	s32 fd = -1;

	if (!t)
		return 0;
	if (proc_may_look(c, t)) {
		fd = task_next_open(t, (u32)cursor);
		f = fd >= 0 ? task_file_get(t, (u32)fd) : nullptr;
	}
	object_put(&t->obj);
	if (!f)
		return 0;
	fd_entry(e, dir, f, (u32)fd);
	file_put(f);
	name->len = (u32)snprintf(name->text, sizeof(name->text), "%d", fd);
	name->next_cursor = (u64)fd + 1;
	return 1;
}

static answer_t task_list(struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	struct task *leader = proc_task(dir), *t;

	if (!leader)
		return 0;
	t = group_next_thread(leader->group, (s32)cursor);
	object_put(&leader->obj);
	if (!t)
		return 0;
	entry(e, PROC_TID, proc_id(task_pid_nr(t), 0), S_IFDIR | 0555);
	name->len = (u32)snprintf(name->text, sizeof(name->text), "%d", task_pid_nr(t));
	name->next_cursor = (u32)task_pid_nr(t);
	object_put(&t->obj);
	return 1;
}

static answer_t proc_list(struct call *c, struct inode *dir, u64 cursor, struct view_entry *e,
	struct view_name *name)
{
	switch (dir->view_kind) {
	case PROC_ROOT:
		return root_list(c, dir, cursor, e, name);
	case PROC_PID:
	case PROC_TID:
		return pid_list(dir, cursor, e, name);
	case PROC_FD_DIR:
	case PROC_FDINFO_DIR:
		return fd_list(c, dir, cursor, e, name);
	case PROC_TASK_DIR:
		return task_list(dir, cursor, e, name);
	case PROC_SYS_DIR:
		return proc_sys_list(proc_which(dir), cursor, e, name);
	default:
		return 0;
	}
}

static answer_t proc_revalidate(struct call *c, struct inode *i)
{
	struct view_entry e = {};
	struct task *t;

	if (i->view_kind < PROC_PID || i->view_kind >= PROC_SYS_DIR)
		return 1;
	t = proc_task(i);
	if (!t)
		return 0;
	if (i->view_kind == PROC_FD_LINK || i->view_kind == PROC_FDINFO) {
		struct file *f = task_file_get(t, proc_which(i));

		if (!f) {
			object_put(&t->obj);
			return 0;
		}
		file_put(f);
	}
	owned(&e, t);
	object_put(&t->obj);
	spin_lock(&i->obj.lock);
	i->uid = e.uid;
	i->gid = e.gid;
	spin_unlock(&i->obj.lock);
	return 1;
}

static answer_t proc_render(struct call *c, struct inode *i, struct text *text)
{
	struct task *t;
	answer_t a;

	if (i->view_kind == PROC_ROOT_FILE)
		return proc_root_render(c, proc_which(i), text);
	if (i->view_kind == PROC_SYS_FILE)
		return proc_sys_render(c, proc_which(i), text);
	t = proc_task(i);
	if (!t)
		return -ESRCH;
	if (i->view_kind == PROC_FDINFO)
		a = proc_fdinfo_render(c, t, proc_which(i), text);
	else
		a = proc_pid_render(c, t, proc_which(i), i->view_kind == PROC_TID_FILE, text);
	object_put(&t->obj);
	return a;
}

static answer_t proc_store(struct call *c, struct inode *i, const void *data, u32 len, u64 offset)
{
	struct task *t;
	answer_t a;

	if (i->view_kind == PROC_SYS_FILE)
		return proc_sys_store(c, proc_which(i), data, len);
	if (i->view_kind != PROC_PID_FILE && i->view_kind != PROC_TID_FILE)
		return -EACCES;
	t = proc_task(i);
	if (!t)
		return -ESRCH;
	a = proc_pid_store(c, t, proc_which(i), data, len);
	object_put(&t->obj);
	return a;
}

static answer_t proc_link(struct call *c, struct inode *i, struct text *text,
	struct path_ref *target)
{
	struct task *t;
	answer_t a;

	if (i->view_kind == PROC_ROOT_LINK) {
		if (proc_which(i) == LINK_SELF)
			text_printf(text, "%d", group_pid_nr(c->task->group));
		else if (proc_which(i) == LINK_THREAD_SELF)
			text_printf(text, "%d/task/%d", group_pid_nr(c->task->group),
				task_pid_nr(c->task));
		else
			text_printf(text, "self/mounts");
		return 0;
	}
	t = proc_task(i);
	if (!t)
		return -ENOENT;
	if (!proc_may_look(c, t))
		a = -EACCES;
	else if (i->view_kind == PROC_FD_LINK)
		a = proc_fd_link(c, t, proc_which(i), text, target);
	else
		a = proc_pid_link(c, t, proc_which(i), text, target);
	object_put(&t->obj);
	return a;
}

/* As Linux's procfs, whose lookup of an unknown name is an error already: nothing can be made here,
 * and the name is what is missing. */
static answer_t proc_create(struct call *c, struct inode *dir, const void *name, u32 name_len,
	u32 mode, u32 rdev, const void *target, u32 target_len, struct view_entry *entry)
{
	return -ENOENT;
}

KABI_IMPLEMENT_AT(view, proc, .mount = proc_mount, .lookup = proc_lookup, .list = proc_list,
	.revalidate = proc_revalidate, .render = proc_render, .store = proc_store,
	.link = proc_link, .create = proc_create);
