/*
 * execve(2), execveat(2). Before the point of no return everything is opened, checked and
 * collected; after it an error ends the process with SIGSEGV, as on Linux. The point: the other
 * threads are gone and the old space is left.
 */
#include "exec.h"
#include <core/call.h>
#include <core/ucopy.h>
#include <core/time.h>
#include <arch/context.h>
#include <kabi/vfs.h>
#include <kabi/slots.h>

#define AT_FDCWD            -100
#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_EMPTY_PATH       0x1000u
#define SCRIPT_LINE_BYTES   256
#define SCRIPT_DEPTH_MAX    5
#define PATH_BYTES          4096

/* Opens for execution: permission, regular file, noexec mounts (EACCES) are vfs's checks. */
static int open_image(const struct path_ref *at, const char *path, u32 flags, struct file **out)
{
	struct open_request request = {.kernel_path = path, .exec = true};
	struct call c;
	answer_t a;

	if (at)
		request.at = *at;
	call_begin(&c, CALLF_KERNEL);
	a = call_run(&c, vfs_open_kernel(SLOT(VFS), &c, 0, O_RDONLY | flags, &request));
	call_end(&c);
	if (a < 0)
		return (int)a;
	*out = request.file;
	a = inode_deny_write(request.file->inode);
	if (a) {
		file_put(request.file);
		*out = nullptr;
	}
	return (int)a;
}

static void close_image(struct file *f)
{
	if (!f)
		return;
	inode_allow_write(f->inode);
	file_put(f);
}

/* What vfs's open for execution checks of a path, of a file that is open already. */
static int may_execute(const struct file *f)
{
	if (!f->inode || inode_type(f->inode) != S_IFREG)
		return -EACCES;
	if ((f->path.mount && f->path.mount->flags & MNT_NOEXEC) ||
		(f->inode->sb && f->inode->sb->flags & SB_NOEXEC))
		return -EACCES;
	return inode_permission(current->context, f->inode, MAY_EXEC);
}

/* By descriptor: AT_EMPTY_PATH. A description of its own, since the descriptor's may be O_PATH. */
static int open_descriptor(struct exec_state *x, s32 fd)
{
	struct file *f = fd == AT_FDCWD ? nullptr : files_get(current->files, (u32)fd), *own;
	int error;

	if (!f)
		return fd == AT_FDCWD ? -EISDIR : -EBADF;
	error = (int)file_check(f, 0);
	if (!error)
		error = may_execute(f);
	if (!error)
		error = inode_deny_write(f->inode);
	if (!error) {
		own = file_new(NODE_FILE, O_RDONLY, &f->path, f->inode, nullptr);
		if (!own)
			inode_allow_write(f->inode);
		x->file = own;
		error = own ? 0 : -ENOMEM;
	}
	x->path_is_closed = files_cloexec_get(current->files, (u32)fd);
	file_put(f);
	return error;
}

static int open_by_path(struct exec_state *x, const struct exec_args *a)
{
	struct path_ref at = {};
	struct file *dir = nullptr;
	u32 flags = a->flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
	int error;

	if (x->path[0] != '/' && a->dirfd != AT_FDCWD && !a->kernel_path) {
		dir = files_get(current->files, (u32)a->dirfd);
		if (!dir)
			return -EBADF;
		at = dir->path;
	}
	error = dir ? (int)file_check(dir, 0) : 0;
	if (!error)
		error = open_image(at.name ? &at : nullptr, x->path, flags, &x->file);
	if (dir)
		file_put(dir);
	return error;
}

static int get_path(struct exec_state *x, const struct exec_args *a)
{
	sword_t len;

	x->path = kmalloc_wait(PATH_BYTES);
	if (!x->path)
		return -ENOMEM;
	if (a->kernel_path) {
		strlcpy(x->path, a->kernel_path, PATH_BYTES);
		return 0;
	}
	len = ucopy_string(x->path, a->path, PATH_BYTES);
	return len < 0 ? (int)len : 0;
}

static int open_first(struct exec_state *x, const struct exec_args *a)
{
	int error = get_path(x, a);

	if (error)
		return error;
	if (a->flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (x->path[0] == 0) {
		if (!(a->flags & AT_EMPTY_PATH))
			return -ENOENT;
		error = open_descriptor(x, a->dirfd);
		if (!error)
			snprintf(x->path, PATH_BYTES, "/dev/fd/%d", a->dirfd);
	} else {
		error = open_by_path(x, a);
		if (!error && x->path[0] != '/' && a->dirfd != AT_FDCWD && !a->kernel_path) {
			/* execveat(2): scripts are named through the directory's descriptor */
			char *full = kmalloc_wait(PATH_BYTES);

			if (!full)
				return -ENOMEM;
			snprintf(full, PATH_BYTES, "/dev/fd/%d/%s", a->dirfd, x->path);
			kfree(x->path);
			x->path = full;
			x->path_is_closed = files_cloexec_get(current->files, (u32)a->dirfd);
		}
	}
	if (!error)
		x->name = kstrdup(x->path);
	return error || x->name ? error : -ENOMEM;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "#! interpreter [one argument]": splits in place. -ENOEXEC: no interpreter, or its name is cut
 * off. */
static int parse_script(char *line, size_t bytes, char **interpreter, char **argument)
{
	char *end = memchr(line, '\n', bytes), *p = line + 2, *word;
	bool cut = !end && bytes == SCRIPT_LINE_BYTES;

	if (!end)
		end = line + bytes;
	while (end > p && is_blank(end[-1]))
		end--;
	while (p < end && is_blank(*p))
		p++;
	if (p == end)
		return -ENOEXEC;
	word = p;
	while (p < end && !is_blank(*p) && *p)
		p++;
	if (p == end && cut)
		return -ENOEXEC;
	*end = 0;
	*argument = nullptr;
	if (p < end) {
		*p++ = 0;
		while (p < end && is_blank(*p))
			p++;
		if (p < end && *p)
			*argument = p;
	}
	*interpreter = word;
	return 0;
}

/* Follows one "#!" line. 1: it was one, x->file is the interpreter now; 0: no script. */
static int follow_script(struct exec_state *x)
{
	char line[SCRIPT_LINE_BYTES + 1] = {};
	size_t bytes = (size_t)MIN(inode_size(x->file->inode), (u64)SCRIPT_LINE_BYTES);
	char *interpreter, *argument;
	int error = exec_read(x->file, 0, line, bytes);

	if (error)
		return error;
	if (bytes < 2 || line[0] != '#' || line[1] != '!')
		return 0;
	if (x->path_is_closed)
		return -ENOENT;
	if (++x->depth > SCRIPT_DEPTH_MAX)
		return -ELOOP;
	error = parse_script(line, bytes, &interpreter, &argument);
	if (!error)
		error = strings_replace_first(&x->argv, interpreter, argument, x->path);
	if (error)
		return error;
	strlcpy(x->path, interpreter, PATH_BYTES);
	close_image(x->file);
	x->file = nullptr;
	error = open_image(nullptr, x->path, 0, &x->file);
	return error ? error : 1;
}

static int open_interp(struct exec_state *x)
{
	size_t bytes = (size_t)x->image->interp_bytes;
	char *path;
	int error;

	if (!bytes)
		return 0;
	path = kmalloc_wait(bytes);
	if (!path)
		return -ENOMEM;
	error = exec_read(x->file, x->image->interp_offset, path, bytes);
	if (!error && path[bytes - 1] != 0)
		error = -ENOEXEC;
	if (!error)
		error = open_image(nullptr, path, 0, &x->interp);
	kfree(path);
	if (error)
		return error;
	error = exec_parse(x->interp, &x->interp_image);
	return error == -ENOEXEC ? -ELIBBAD : error;
}

static int prepare(struct exec_state *x, const struct exec_args *a)
{
	int error = open_first(x, a);

	if (error)
		return error;
	error = a->kernel_path ? strings_from_core(&x->argv, a->kernel_argv)
			       : strings_from_user(&x->argv, a->argv, 0);
	if (!error)
		error = a->kernel_path ? strings_from_core(&x->envp, a->kernel_envp)
				       : strings_from_user(&x->envp, a->envp, x->argv.used);
	/* an empty list has one empty string since Linux 5.18 */
	if (!error && x->argv.nr == 0)
		error = strings_add(&x->argv, "");
	return error;
}

static int follow_all_scripts(struct exec_state *x)
{
	int result;

	do
		result = follow_script(x);
	while (result == 1);
	return result;
}

static void new_credentials(struct exec_state *x)
{
	struct inode *i = x->file->inode;
	/* Together: chown(2) takes the set-id bits away in the step that gives the file to another.
	 */
	struct inode_owner o = inode_owner(i);
	bool nosuid = (x->file->path.mount && x->file->path.mount->flags & MNT_NOSUID) ||
		      (i->sb && i->sb->flags & SB_NOSUID);

	/* The permission was looked at when the file was opened: bits set since are for those who
	 * may execute it now. */
	if (o.mode & (S_ISUID | S_ISGID))
		nosuid |= inode_permission(current->context, i, MAY_EXEC) != 0;
	x->cred = current->context->cred;
	context_exec_credentials(&x->cred, o.mode, o.uid, o.gid, nosuid, &x->secure);
}

/* The other threads end; this one becomes the leader. -EAGAIN: another thread was first, or the
 * process is being killed. */
static int become_only_thread(struct task *t)
{
	struct thread_group *g = t->group;
	struct task *other;
	word_t irq = SIGNAL_IRQ_LOCK(g);

	if (g->group_exit || g->exec_task) {
		spin_unlock_irqrestore(&g->obj.lock, irq);
		return -EAGAIN;
	}
	if (g->nr_live > 1) {
		g->exec_task = t;
		list_for_each_entry (other, &g->threads, in_group) {
			if (other == t || other->exiting)
				continue;
			task_work_set(other, TASK_WORK_SIGNAL | TASK_WORK_KILL);
			signal_kick(other, true);
		}
	}
	spin_unlock_irqrestore(&g->obj.lock, irq);
	if (!g->exec_task)
		return 0;
	if (wait_event(&g->threads_event, EV_ANY, READ_ONCE(g->nr_live) == 1, WAITF_KILLABLE)) {
		g->exec_task = nullptr;
		return -EAGAIN;
	}
	return 0;
}

/* Takes over the dead leader's number (execve(2): the process id does not change). */
static void become_leader(struct task *t)
{
	struct thread_group *g = t->group;
	struct task *old = g->leader;
	struct pid *mine = t->pid;
	word_t irq;

	g->exec_task = nullptr;
	if (old == t)
		return;
	spin_lock(&task_list_lock);
	irq = SIGNAL_IRQ_LOCK(g);
	g->leader = t;
	list_del(&old->in_group);
	g->nr_threads--;
	spin_unlock_irqrestore(&g->obj.lock, irq);
	task_nr_threads--;
	t->pid = old->pid;
	old->pid = mine;
	t->pid->task = t;
	mine->task = nullptr;
	waitable_wake(&mine->exited, EV_HUP | EV_IN, 0);
	pid_forget(mine);
	if (old->user)
		atomic32_fetch_sub(&old->user->nr_tasks, 1);
	spin_unlock(&task_list_lock);
	object_put(&old->obj);
}

/* Own copies of what threads and CLONE_* relatives shared. Before the point of no return: may fail.
 */
static int unshare_all(struct task *t, struct exec_state *x)
{
	struct signal_handlers *h = nullptr, *old_h = t->group->handlers;
	struct files *files = nullptr, *old = t->files;
	struct context *c = context_clone(t->context);
	word_t irq;

	if (!c)
		return -ENOMEM;
	if (!refcount_is_one(&old->obj.refs))
		files = files_clone(old, ~0u);
	if (!refcount_is_one(&old_h->refs))
		h = handlers_new(old_h, false);
	if ((!refcount_is_one(&old->obj.refs) && !files) ||
		(!refcount_is_one(&old_h->refs) && !h)) {
		object_put(&c->obj);
		if (files)
			files_put(files);
		handlers_put(h);
		return -ENOMEM;
	}
	if (files) {
		spin_lock(&t->obj.lock);
		t->files = files;
		spin_unlock(&t->obj.lock);
		files_put(old);
	}
	if (h) {
		irq = SIGNAL_IRQ_LOCK(t->group);
		t->group->handlers = h;
		spin_unlock_irqrestore(&t->group->obj.lock, irq);
		handlers_put(old_h);
	}
	c->cred = x->cred; /* same group list: context_clone took its reference */
	context_set(t, c);
	return 0;
}

static void set_comm(struct task *t, const char *path)
{
	const char *base = strrchr(path, '/');

	strlcpy(t->comm, base ? base + 1 : path, sizeof(t->comm));
}

/* Everything that the new program must not see of the old one. */
static void forget_old_program(struct task *t, struct exec_state *x)
{
	struct thread_group *g = t->group;

	posix_timers_exit(g);
	files_close_on_exec(t->files);
	signal_exec_reset(t);
	set_comm(t, x->name);
	t->restart.op = DO_NONE;
	t->robust_list = 0;
	t->clear_child_tid = 0;
	t->rseq = 0;
	t->rseq_bytes = 0;
	if (x->secure)
		t->pdeath_signal = 0;
	spin_lock(&task_list_lock);
	g->exit_signal = SIGCHLD;
	g->execed = true;
	g->exec_generation++;
	spin_unlock(&task_list_lock);
	g->dumpable = !x->secure;
}

static int switch_and_load(struct task *t, struct exec_state *x)
{
	vaddr_t sp;
	int error;

	task_leave_space(t, x->space);
	t->kernel_thread = false;
	x->space->exe = x->file;
	file_get(x->file);
	inode_deny_write(x->file->inode); /* denied already: one more, for as long as the program
					     runs (ETXTBSY) */
	forget_old_program(t, x);
	error = exec_load(x);
	if (!error)
		error = exec_build_stack(x, &sp);
	if (error)
		return error;
	arch_task_exec(t, x->entry, sp);
	return 0;
}

static void release_state(struct exec_state *x)
{
	close_image(x->file);
	close_image(x->interp);
	kfree(x->image);
	kfree(x->interp_image);
	strings_free(&x->argv);
	strings_free(&x->envp);
	kfree(x->path);
	kfree(x->name);
}

static int prepare_image(struct exec_state *x)
{
	int error = follow_all_scripts(x);

	if (!error)
		error = exec_parse(x->file, &x->image);
	if (!error)
		error = open_interp(x);
	if (error)
		return error;
	new_credentials(x);
	x->space = space_create();
	return x->space ? 0 : -ENOMEM;
}

int task_exec(const struct exec_args *args)
{
	struct task *t = current;
	struct exec_state x = {};
	int error = prepare(&x, args);

	if (!error)
		error = prepare_image(&x);
	if (!error)
		error = become_only_thread(t);
	if (!error) {
		become_leader(t);
		error = unshare_all(t, &x);
	}
	if (error) {
		if (x.space)
			space_put(x.space);
		release_state(&x);
		return error;
	}
	error = switch_and_load(t, &x);
	release_state(&x);
	if (error) {
		log_debug("exec: %s cannot be loaded: error %d\n", t->comm, -error);
		task_exit_group(SIGSEGV);
	}
	return 0;
}
