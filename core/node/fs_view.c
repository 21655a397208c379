/* Views as file systems: entries become inodes. Theory in fs_call.c. */
#include <core/fs_type.h>
#include <core/task.h>
#include <kabi/view.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include "node_priv.h"

/* Kind and id make the number; Linux's procfs numbers are not stable either. */
static u64 entry_ino(const struct view_entry *e)
{
	return ((u64)e->kind << 44) ^ (e->id + 1);
}

static struct inode *entry_shown(struct inode *i, const struct view_entry *e, bool fresh)
{
	spin_lock(&i->obj.lock);
	if (fresh) {
		i->view_id = e->id;
		i->view_kind = e->kind;
		i->rdev = e->rdev;
		WRITE_ONCE(i->nlink, e->nlink ? e->nlink : inode_is_dir(i) ? 2 : 1);
		i->size_bytes = e->size;
	}
	WRITE_ONCE(i->mode, e->mode);
	WRITE_ONCE(i->uid.value, e->uid.value);
	WRITE_ONCE(i->gid.value, e->gid.value);
	spin_unlock(&i->obj.lock);
	return i;
}

struct inode *view_inode(struct superblock *sb, const struct view_entry *e)
{
	bool fresh = false;
	struct inode *i = inode_get_or_new(sb, entry_ino(e), e->mode, &fresh);

	return i ? entry_shown(i, e, fresh) : nullptr;
}

answer_t fs_view_mount(struct call *c, struct superblock *sb)
{
	struct view_entry root = {.mode = S_IFDIR | 0755, .nlink = 2};
	answer_t a = call_run(c, view_mount(sb->view, c, sb, &root));

	if (a)
		return a;
	sb->root = view_inode(sb, &root);
	return sb->root ? 0 : -ENOMEM;
}

answer_t fs_view_lookup(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode **out)
{
	struct view_entry e = {};
	answer_t a = view_lookup(dir->sb->view, c, dir, name, len, &e);

	if (a != 1)
		return a;
	*out = view_inode(dir->sb, &e);
	return *out ? 1 : call_need_memory(c, sizeof(struct inode));
}

answer_t fs_view_readdir(struct call *c, struct inode *dir, u64 *cursor, struct dirent_sink *sink)
{
	struct view_name *name = kmalloc(sizeof(*name));
	answer_t a = 0;

	if (!name)
		return call_need_memory(c, sizeof(*name));
	for (;;) {
		struct view_entry e = {};

		a = view_list(dir->sb->view, c, dir, *cursor, &e, name);
		if (a != 1)
			break;
		if (!dirent_add(sink, name->text, name->len, ((u64)e.kind << 44) ^ (e.id + 1),
			    name->next_cursor, e.mode))
			break;
		*cursor = name->next_cursor;
	}
	kfree(name);
	return a;
}

answer_t fs_view_create(struct call *c, struct inode *dir, const char *name, u32 len,
	const struct fs_create_args *args, struct inode **out)
{
	struct view_entry e = {.uid = args->uid, .gid = args->gid};
	struct inode *unborn;
	bool fresh;
	answer_t a;

	if (!name)
		return -EOPNOTSUPP;
	unborn = inode_unborn(dir->sb, args->mode);
	if (!unborn)
		return call_need_memory(c, sizeof(*unborn));
	a = view_create(dir->sb->view, c, dir, name, len, args->mode, args->rdev,
		args->target ? args->target : "", args->target ? args->target_len : 0, &e);
	if (answer_is_error(a)) {
		inode_unborn_drop(unborn);
		return a;
	}
	call_effect(c);
	*out = inode_born(unborn, entry_ino(&e), &fresh);
	entry_shown(*out, &e, fresh);
	inode_touch(dir, INODE_MTIME | INODE_CTIME);
	return 0;
}

/* --- text buffers of views --- */
static bool text_room(struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 512;
	char *data;

	if (t->failed)
		return false;
	if (t->len + more <= t->cap)
		return true;
	while (cap < t->len + more)
		cap *= 2;
	data = kmalloc(cap);
	if (!data) {
		t->failed = true;
		return false;
	}
	if (t->len)
		memcpy(data, t->data, t->len);
	kfree(t->data);
	t->data = data;
	t->cap = cap;
	return true;
}

void text_write(struct text *t, const char *data, size_t len)
{
	if (!text_room(t, len))
		return;
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

void text_putc(struct text *t, char c)
{
	text_write(t, &c, 1);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(nullptr, 0, fmt, ap);
	va_end(ap);
	if (n <= 0 || !text_room(t, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void text_free(struct text *t)
{
	kfree(t->data);
	*t = (struct text){};
}
