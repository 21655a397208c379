/*
 * Open files: making, sharing, ending. What an open file does is behind its slot (contract node);
 * core ends it.
 *
 * Objects and lifetimes: a file holds its path, its inode and its body. Its last reference may go
 * anywhere a thread runs; ending it never waits without bound (contract: release answers DONE or
 * MORE only), so it is done on the spot, except where preemption is off or there is no memory for a
 * record: then by the reaper, which can wait for it. Memory
 * is freed after a grace period, because shared descriptor tables are read without lock.
 *
 * Invariants: FILE-I1 a file on an epoll has left it before its body goes. FILE-I2 inode->writers
 * counts the regular files open for writing.
 */
#include <lib/string.h>
#include <lib/fmt.h>
#include <core/block.h>
#include <core/fs_call.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include <kabi/node.h>
#include <kabi/slots.h>
#include "node_priv.h"

struct slab_cache *slab_file;

void file_boot_init(void)
{
	slab_file = slab_create("file", sizeof(struct file), 64);
}

const struct slot *node_slot(enum node_type type)
{
	switch (type) {
	case NODE_FILE:
	case NODE_DIR:
	case NODE_PATH:
		return SLOT(NODE_FILE);
	case NODE_PIPE:
		return SLOT(NODE_PIPE);
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
		return SLOT(NODE_EVENT);
	case NODE_EPOLL:
		return SLOT(NODE_EPOLL);
	case NODE_SOCKET:
		return SLOT(NODE_SOCKET);
	case NODE_TTY:
		return SLOT(NODE_TTY);
	case NODE_CHAR:
		return SLOT(NODE_CHAR);
	case NODE_BLOCK:
		return SLOT(NODE_BLOCK);
	case NODE_VIEW:
		return SLOT(NODE_VIEW);
	case NODE_NR:
		break;
	}
	panic("node type %u", type);
}

static u32 rights_of(u32 flags)
{
	static const u32 access[4] = {CAP_RIGHT_READ, CAP_RIGHT_WRITE,
		CAP_RIGHT_READ | CAP_RIGHT_WRITE, 0}; /* 3: ioctl only (open(2), NOTES) */

	return flags & O_PATH ? 0 : access[flags & O_ACCMODE] | CAP_RIGHT_CONTROL;
}

void file_names(struct file *f, struct object *body)
{
	f->obj.body = body;
	cap_token_make(&f->cap,
		body       ? body
		: f->inode ? &f->inode->obj
			   : &f->obj,
		rights_of(f->flags));
}

void file_give_inode(struct file *f, struct inode *i)
{
	f->inode = i;
	file_names(f, nullptr);
}

void file_names_itself(struct file *f, struct object *body)
{
	f->obj.body = body;
	cap_token_make(&f->cap, &f->obj, rights_of(f->flags));
}

answer_t file_stale(struct file *f)
{
	switch (f->type) {
	case NODE_TTY: /* reads end, the rest is EIO: tty/node.c */
		return 0;
	case NODE_CHAR:
	case NODE_BLOCK:
	case NODE_VIEW:
		return -ENODEV;
	case NODE_FILE:
	case NODE_DIR:
	case NODE_PATH:
	case NODE_PIPE:
	case NODE_EVENT:
	case NODE_TIMER:
	case NODE_SIGNAL:
	case NODE_PID:
	case NODE_EPOLL:
	case NODE_SOCKET:
	case NODE_NR:
		break;
	}
	return -ESTALE;
}

struct file *file_new(enum node_type type, u32 flags, const struct path_ref *path,
	struct inode *inode, struct object *body)
{
	struct file *f = slab_zalloc(slab_file);

	if (!f)
		return nullptr;
	object_init(&f->obj, OBJECT_FILE, LOCK_LEVEL_NODE_NESTED, &account_root);
	f->slot = node_slot(type);
	f->type = type;
	f->flags = flags;
	f->path = *path;
	path_get(path);
	if (unlikely(path->mount->expiring))
		path->mount->expiring = false;
	f->inode = inode;
	if (inode)
		inode_get(inode);
	file_names(f, body);
	exclusion_init(&f->pos_excl, nullptr);
	list_init(&f->epolls);
	list_init(&f->in_sb);
	return f;
}

struct file *file_new_anonymous(enum node_type type, u32 flags, const char *label,
	struct object *body)
{
	bool shared = !strncmp(label, "anon_inode:", 11);
	struct superblock *sb = anon_mount->sb;
	struct path_ref path = {.mount = anon_mount};
	struct inode *inode = anon_inode;
	struct file *f = nullptr;
	char text[64];

	if (shared) {
		inode_get(inode);
		strlcpy(text, label, sizeof(text));
	} else {
		u64 ino;

		spin_lock(&sb->obj.lock);
		ino = sb->next_ino++;
		spin_unlock(&sb->obj.lock);
		inode = inode_new(sb, ino,
			type == NODE_PIPE     ? S_IFIFO | 0600
			: type == NODE_SOCKET ? S_IFSOCK | 0777
					      : 0600);
		if (!inode)
			return nullptr;
		inode->uid = current->context->cred.fsuid;
		inode->gid = current->context->cred.fsgid;
		snprintf(text, sizeof(text), "%s:[%llu]", label, (unsigned long long)ino);
	}
	path.name = name_alloc(anon_mount->root, text, (u32)strlen(text));
	if (path.name) {
		name_give_inode(path.name, inode);
		f = file_new(type, flags, &path, inode, body);
		name_put(path.name);
	}
	inode_put(inode);
	return f;
}

int file_write_get(struct file *f)
{
	int error = inode_write_get(f->inode);

	if (!error) {
		atomic32_fetch_add(&f->path.mount->nr_writers, 1);
		f->wrote = true;
	}
	return error;
}

void file_put(struct file *f)
{
	if (refcount_dec_and_test(&f->obj.refs))
		file_release(f);
}

void file_put_later(struct file *f)
{
	if (refcount_dec_and_test(&f->obj.refs))
		reaper_queue(&f->obj);
}

static bool release_calls(const struct file *f)
{
	const struct node_vtable *vtable = slot_vtable(f->slot);

	return vtable->release && f->type != NODE_PATH;
}

static __noinline void file_call_release(struct file *f, struct call *c)
{
	refcount_set(&f->obj.refs, 1); /* the call's */
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	(void)call_run(c, node_release(f->slot, c, f));
	call_end(c);
	kfree(c);
}

/* c: a record for its release, where release_calls. */
static void file_end(struct file *f, struct call *c)
{
	struct inode *i = f->inode;

	if (unlikely(!list_empty(&f->epolls)))
		epoll_file_gone(f);
	if (unlikely(i && !list_empty(&i->locks)))
		inode_locks_drop_file(f);
	if (unlikely(c))
		file_call_release(f, c);
	if (f->type == NODE_PIPE)
		pipe_file_gone(f);
	if (i && f->wrote) {
		inode_write_put(i);
		atomic32_fetch_sub(&f->path.mount->nr_writers, 1);
	}
	if (f->type == NODE_BLOCK && f->obj.body)
		block_closed(container_of((struct object *)f->obj.body, struct block_device, obj));
	if (f->obj.body)
		object_put(f->obj.body);
	/* The mount last: with it the superblock may end, and then nobody may hold its inodes. */
	if (i)
		inode_put(i);
	path_put(&f->path);
	kfree(f->private_data);
	grace_defer(&f->obj.grace, GRACE_SLAB_FREE, f);
}

void file_release(struct file *f)
{
	struct call *c = nullptr;

	/* The last close of a block device writes back. */
	if (*arch_preempt_count_ptr() || unlikely(f->type == NODE_BLOCK) ||
		(unlikely(release_calls(f)) && !(c = kmalloc(sizeof(*c)))))
		reaper_queue(&f->obj);
	else
		file_end(f, c);
}

/* The reaper's. Context: thread, may sleep; no lock held. */
void file_destroy(struct file *f)
{
	struct call *c = nullptr;

	/* There is no way on without it: somebody's end makes room. */
	while (release_calls(f) && !(c = kmalloc_wait(sizeof(*c))))
		wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
			time_monotonic_ns() + 10 * NSEC_PER_MSEC, 0);
	file_end(f, c);
}

void file_closing(struct file *f, struct files *files)
{
	if (unlikely(f->inode && !list_empty(&f->inode->locks)))
		inode_locks_drop_owner(f->inode, files);
}

void file_errors_begin(struct file *f)
{
	struct memory_object *o = f->inode->pages;

	if (likely(!READ_ONCE(o->write_error_seq)))
		return;
	spin_lock(&o->obj.lock);
	f->error_seq_seen = o->write_error_seq - !o->write_error_told;
	spin_unlock(&o->obj.lock);
}

/* errseq: each open file reports a write-back error once (fsync(2)). */
static int error_take(struct file *f, struct memory_object *o)
{
	int error = 0;

	spin_lock(&o->obj.lock);
	if (o->write_error_seq != f->error_seq_seen) {
		f->error_seq_seen = o->write_error_seq;
		o->write_error_told = true;
		error = o->write_error;
	}
	spin_unlock(&o->obj.lock);
	return error;
}

static int sync_device(struct block_device *b, enum file_sync what, u64 first, u64 nr)
{
	switch (what) {
	case FILE_SYNC_FORGET:
		block_flush_buffers(b);
		return 0;
	case FILE_SYNC_PAGES:
		return memory_object_sync(b->pages, first, nr);
	case FILE_SYNC_ALL:
	case FILE_SYNC_DATA:
		break;
	}
	return block_sync(b, first, nr);
}

static int sync_inode(struct inode *i)
{
	struct call *c = kmalloc(sizeof(*c));
	answer_t a;

	if (!c)
		return -ENOMEM;
	call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
	a = fs_sync_inode(c, i); /* the file system's commit is one for fsync and fdatasync */
	call_end(c);
	kfree(c);
	return (int)a;
}

int file_sync(struct file *f, enum file_sync what, u64 first, u64 last)
{
	struct inode *i = f->inode;
	u64 nr = last - first + 1 ? last - first + 1 : ~0ull;
	int error, r;

	if (f->type == NODE_BLOCK)
		r = sync_device(container_of((struct object *)f->obj.body, struct block_device,
					obj),
			what, first, nr);
	else if (!i || !i->sb->fs || i->sb->flags & SB_NAMES_RESIDENT)
		return 0;
	else if (what == FILE_SYNC_PAGES)
		r = i->pages ? memory_object_sync(i->pages, first, nr) : 0;
	else
		r = sync_inode(i);
	error = i->pages && what != FILE_SYNC_FORGET ? error_take(f, i->pages) : 0;
	return error ? error : r;
}

u64 call_rlimit(const struct call *c, u32 which)
{
	return c->flags & CALLF_KERNEL ? RLIM_INFINITY : task_rlimit(c->task, which);
}
void call_signal(struct call *c, s32 signo)
{
	if (c->flags & CALLF_KERNEL)
		return;
	call_effect_told(c);
	signal_send_kernel(c->task, signo);
}
struct files *call_files(struct call *c)
{
	return c->task->files;
}

s32 call_pid(const struct call *c)
{
	return group_pid_nr(c->task->group);
}
struct file *call_uninstall(struct call *c, u32 fd)
{
	return files_remove(c->task->files, fd);
}

/* --- walks kept over reruns (core/walk.h) --- */
struct walk_set *walk_set_new(void)
{
	struct walk_set *s = kzalloc(sizeof(*s));

	if (s)
		object_init(&s->obj, OBJECT_WALK, LOCK_LEVEL_NONE, &account_root);
	return s;
}
void walk_drop(struct walk *w)
{
	if (w->owned) {
		path_put(&w->at);
		if (w->root.mount)
			path_put(&w->root);
	}
	kfree(w->buffer);
	*w = (struct walk){};
}
static struct file_set *file_set_of(struct call *c)
{
	struct call_frame *f = call_frame(c);

	if (!f->ref || f->ref->schema != FILE_SET_SCHEMA)
		return nullptr;
	return container_of(f->ref, struct file_set, obj);
}
void call_clear_files(struct call *c)
{
	struct file_set *s = file_set_of(c);

	for (u32 i = 0; s && i < s->nr; i++)
		file_put(s->file[i]);
	if (s)
		s->nr = 0;
}
int call_keep_file(struct call *c, struct file *f)
{
	struct file_set *s = file_set_of(c);

	if (!s) {
		s = kzalloc(sizeof(*s));
		if (!s)
			return -ENOMEM;
		object_init(&s->obj, OBJECT_WALK, LOCK_LEVEL_NONE, &account_root);
		s->obj.schema = FILE_SET_SCHEMA;
		call_progress_begin(c);
		call_frame(c)->ref = &s->obj;
	}
	if (s->nr == s->capacity) {
		u32 capacity = MAX(32u, s->capacity * 2);
		struct file **more = kmalloc_array(capacity, sizeof(*more));

		if (!more)
			return -ENOMEM;
		for (u32 i = 0; i < s->nr; i++)
			more[i] = s->file[i];
		kfree(s->file);
		s->file = more;
		s->capacity = capacity;
	}
	file_get(f);
	s->file[s->nr++] = f;
	return 0;
}
static void file_set_release(struct file_set *s)
{
	for (u32 i = 0; i < s->nr; i++)
		file_put(s->file[i]);
	kfree(s->file);
	kfree(s);
}
void walk_set_release(struct walk_set *s)
{
	if (s->obj.schema == FILE_SET_SCHEMA) {
		file_set_release(container_of(&s->obj, struct file_set, obj));
		return;
	}
	for (u32 i = 0; i < WALKS_PER_CALL; i++) {
		walk_drop(&s->walk[i]);
		if (s->name[i])
			name_put(s->name[i]);
	}
	if (s->file)
		file_put(s->file);
	kfree(s);
}
