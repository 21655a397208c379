/*
 * Calls into file systems (fs_call.c), mounting (fs_mount.c), views (fs_view.c).
 *
 * Purpose: the one place where vfs's wishes become calls of the `filesystem` contract, and a
 * component's answers become changes of core's inodes. Vocabulary: resident names = the name cache
 * is the directory (tmpfs).
 *
 * Invariants: FSC-I1 inode fields change only here, under inode->obj.lock, from an answer that was
 * final and not an error; FSC-I2 names are vfs's to publish, after the answer; FSC-I3 values from a
 * component are copied once and checked before use; FSC-I4 what an answer makes has its memory
 * before the answer is applied, and nobody finds it half made.
 *
 * Locks: the caller holds the exclusions that fs_call.h states. Failure: a component's error is the
 * call's, nothing was changed.
 *
 * Replacement: calls go through the superblock's slot; between calls nothing of the component is
 * kept but its mount and inode bodies.
 */
#include <core/fs_type.h>
#include <core/log.h>
#include <core/task.h>
#include <core/time.h>
#include <lib/string.h>
#include <kabi/view.h>
#include "node_priv.h"

bool sb_names_resident(const struct superblock *sb)
{
	return sb->flags & SB_NAMES_RESIDENT;
}

static struct fs_time time_out(struct timespec64 t)
{
	return (struct fs_time){.seconds = t.sec, .nanoseconds = t.nsec};
}
static struct timespec64 time_in(const struct fs_time *t)
{
	return (struct timespec64){t->seconds, MIN(t->nanoseconds, 999999999u)};
}

void fs_inode_view(struct fs_invoke *v, struct inode *i, struct fs_inode *out)
{
	spin_lock(&i->obj.lock);
	fs_inode_seen(v, i);
	*out = (struct fs_inode){
		.ino = i->ino,
		.size = inode_own_size(i),
		.blocks_512 = i->blocks_512,
		.generation = i->generation,
		.mode = i->mode,
		.nlink = i->nlink,
		.uid = i->uid.value,
		.gid = i->gid.value,
		.rdev = i->rdev,
		.flags = i->fs_flags,
		.atime = time_out(i->atime),
		.mtime = time_out(i->mtime),
		.ctime = time_out(i->ctime),
		.btime = time_out(i->btime),
	};
	if (i->obj.body)
		memcpy(out->body, i->obj.body, sizeof(out->body));
	spin_unlock(&i->obj.lock);
}

void fs_inode_update(struct inode *i, const struct fs_inode *from)
{
	spin_lock(&i->obj.lock);
	WRITE_ONCE(i->mode, inode_type(i) | (from->mode & 07777));
	WRITE_ONCE(i->nlink, from->nlink);
	WRITE_ONCE(i->uid.value, from->uid);
	WRITE_ONCE(i->gid.value, from->gid);
	i->blocks_512 = from->blocks_512;
	WRITE_ONCE(i->fs_flags, from->flags);
	timespec64_store(&i->atime, time_in(&from->atime));
	timespec64_store(&i->mtime, time_in(&from->mtime));
	timespec64_store(&i->ctime, time_in(&from->ctime));
	i->btime = time_in(&from->btime);
	if (i->obj.body)
		memcpy(i->obj.body, from->body, sizeof(from->body));
	i->version++;
	spin_unlock(&i->obj.lock);
}

/* The memory of a new or newly read inode. `target`: text of a symbolic link that core keeps. */
static struct inode *inode_reserve(struct superblock *sb, u32 mode, const char *target,
	u32 target_len)
{
	struct inode *i = inode_unborn(sb, mode);

	if (!i)
		return nullptr;
	if (!sb_names_resident(sb)) {
		i->obj.body = kzalloc(sizeof(((struct fs_inode *)nullptr)->body));
		if (!i->obj.body)
			goto fail;
	}
	if (S_TYPE(mode) == S_IFREG) {
		i->pages = memory_object_create(sb_names_resident(sb) ? MEMORY_SHMEM : MEMORY_FILE,
			0, i->obj.account);
		if (!i->pages)
			goto fail;
		i->pages->inode = i;
	}
	if (target_len) {
		i->link_target = kmalloc(target_len + 1);
		if (!i->link_target)
			goto fail;
		memcpy(i->link_target, target, target_len);
		i->link_target[target_len] = 0;
	}
	return i;
fail:
	inode_unborn_drop(i);
	return nullptr;
}

/* It becomes core's; its type is the reserved one's. */
static struct inode *inode_take_over(struct inode *i, const struct fs_inode *f)
{
	bool fresh;

	i->generation = f->generation;
	i->rdev = f->rdev;
	fs_inode_update(i, f);
	if (i->pages)
		i->pages->size_bytes = f->size;
	else
		i->size_bytes = f->size;
	return inode_born(i, f->ino, &fresh);
}

struct inode *fs_inode_make(struct superblock *sb, const struct fs_inode *f)
{
	struct inode *i = inode_reserve(sb, f->mode, nullptr, 0);

	return i ? inode_take_over(i, f) : nullptr;
}

answer_t fs_inode_get(struct call *c, struct superblock *sb, u64 ino, struct inode **out)
{
	struct fs_invoke v;
	struct fs_inode f = {};
	answer_t a;

	*out = inode_find(sb, ino);
	if (*out)
		return 1;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	a = fs_invoke_end(&v, filesystem_read_inode(sb->fs, &v.ctx, ino, &f));
	if (answer_is_error(a))
		return a;
	f.ino = ino;
	*out = fs_inode_make(sb, &f);
	return *out ? 1 : call_need_memory(c, sizeof(struct inode));
}

answer_t fs_lookup(struct call *c, struct inode *dir, const char *name, u32 len, struct inode **out)
{
	struct superblock *sb = dir->sb;
	struct fs_invoke v;
	struct fs_inode d;
	u64 ino = 0;
	answer_t a;

	*out = nullptr;
	if (sb->view)
		return fs_view_lookup(c, dir, name, len, out);
	if (sb_names_resident(sb))
		return 0;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(&v, dir, &d);
	a = fs_invoke_end(&v, filesystem_lookup(sb->fs, &v.ctx, &d, name, len, &ino));
	if (a != 1)
		return a;
	return fs_inode_get(c, sb, ino, out);
}

static void dir_changed(struct inode *dir, s32 nlink)
{
	struct timespec64 now = inode_now();

	spin_lock(&dir->obj.lock);
	WRITE_ONCE(dir->nlink, dir->nlink + (u32)nlink);
	timespec64_store(&dir->mtime, now);
	timespec64_store(&dir->ctime, now);
	dir->version++;
	spin_unlock(&dir->obj.lock);
	inode_mark_dirty(dir);
}

/* Counters of a resident-names file system; total 0: no limit. */
static bool take_inode(struct superblock *sb)
{
	bool ok = true;

	spin_lock(&sb->obj.lock);
	if (sb->total_inodes) {
		ok = sb->free_inodes > 0;
		WRITE_ONCE(sb->free_inodes, sb->free_inodes - ok);
	}
	spin_unlock(&sb->obj.lock);
	return ok;
}

/* Is the number of a new inode another one's already? Another CPU took it meanwhile, or its bitmap
 * is damaged. */
static bool number_in_use(struct superblock *sb, u64 ino)
{
	struct inode *i = inode_find(sb, ino);
	bool in_use = i && !READ_ONCE(i->evicting);

	if (i)
		inode_put(i);
	return in_use;
}

static answer_t component_create(struct call *c, struct inode *dir, const char *name, u32 len,
	const struct fs_create_args *args, struct fs_inode *made)
{
	struct superblock *sb = dir->sb;
	struct timespec64 now = inode_now();
	struct fs_create what = {args->mode, args->uid.value, args->gid.value, args->rdev,
		time_out(now)};
	struct fs_inode d;
	struct fs_invoke v;
	answer_t a = fs_invoke_begin(&v, c, sb);

	if (a)
		return a;
	fs_inode_view(&v, dir, &d);
	a = filesystem_create(sb->fs, &v.ctx, &d, name ? name : "", name ? len : 0, &what,
		args->target ? args->target : "", args->target ? args->target_len : 0, made);
	if (!answer_is_error(a) && !sb_names_resident(sb) && number_in_use(sb, made->ino))
		a = fs_invoke_refuse(&v, "an inode in use");
	else
		a = fs_invoke_end(&v, a);
	if (answer_is_error(a) || !sb_names_resident(sb))
		return a;
	if (!take_inode(sb))
		return -ENOSPC;
	spin_lock(&sb->obj.lock);
	made->ino = sb->next_ino++;
	spin_unlock(&sb->obj.lock);
	made->atime = made->mtime = made->ctime = made->btime = time_out(now);
	return a;
}

answer_t fs_create(struct call *c, struct inode *dir, const char *name, u32 len,
	const struct fs_create_args *args, struct inode **out)
{
	struct superblock *sb = dir->sb;
	struct fs_inode made = {};
	struct inode *unborn;
	answer_t a;

	*out = nullptr;
	if (sb->view)
		return fs_view_create(c, dir, name, len, args, out);
	unborn = inode_reserve(sb, args->mode, args->target, args->target ? args->target_len : 0);
	if (!unborn)
		return call_need_memory(c, sizeof(*unborn));
	a = component_create(c, dir, name, len, args, &made);
	if (answer_is_error(a)) {
		inode_unborn_drop(unborn);
		return a;
	}
	call_effect(c);
	*out = inode_take_over(unborn, &made);
	if (name && sb_names_resident(sb)) /* else the delta said it */
		dir_changed(dir, S_TYPE(args->mode) == S_IFDIR ? 1 : 0);
	return 0;
}

static void inode_changed(struct inode *i, s32 nlink)
{
	spin_lock(&i->obj.lock);
	WRITE_ONCE(i->nlink, i->nlink + (u32)nlink);
	timespec64_store(&i->ctime, inode_now());
	i->version++;
	spin_unlock(&i->obj.lock);
	inode_mark_dirty(i);
}

answer_t fs_link(struct call *c, struct inode *dir, const char *name, u32 len, struct inode *target)
{
	struct superblock *sb = dir->sb;
	struct fs_inode d, t;
	struct fs_invoke v;
	answer_t a;

	if (sb->view)
		return -EPERM;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(&v, dir, &d);
	fs_inode_view(&v, target, &t);
	a = fs_invoke_end(&v, filesystem_link(sb->fs, &v.ctx, &d, name, len, &t));
	if (answer_is_error(a))
		return a;
	call_effect(c);
	if (!sb_names_resident(sb))
		return 0;
	inode_changed(target, 1);
	dir_changed(dir, 0);
	return 0;
}

answer_t fs_unlink(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode *target)
{
	struct superblock *sb = dir->sb;
	bool is_dir = inode_is_dir(target);
	struct fs_inode d, t;
	struct fs_invoke v;
	answer_t a;

	if (sb->view) {
		a = view_remove(sb->view, c, dir, name, len);
		if (!answer_is_error(a)) {
			call_effect(c);
			dir_changed(dir, is_dir ? -1 : 0);
		}
		return a;
	}
	if (is_dir && sb_names_resident(sb) && !inode_names_empty(target))
		return -ENOTEMPTY;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(&v, dir, &d);
	fs_inode_view(&v, target, &t);
	a = fs_invoke_end(&v, filesystem_unlink(sb->fs, &v.ctx, &d, name, len, &t));
	if (answer_is_error(a))
		return a;
	call_effect(c);
	if (!sb_names_resident(sb))
		return 0;
	inode_changed(target, is_dir ? -(s32)target->nlink : -1);
	dir_changed(dir, is_dir ? -1 : 0);
	return 0;
}

answer_t fs_rename(struct call *c, const struct fs_rename_args *r)
{
	struct superblock *sb = r->inode->sb;
	struct fs_inode od, nd, i, rep = {};
	struct fs_invoke v;
	bool is_dir = inode_is_dir(r->inode), exchange = r->flags & 2;
	bool replaced_dir = r->replaced && inode_is_dir(r->replaced);
	answer_t a;

	if (sb->view)
		return -EPERM;
	if (replaced_dir && !exchange && sb_names_resident(sb) && !inode_names_empty(r->replaced))
		return -ENOTEMPTY;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	fs_inode_view(&v, r->old_dir, &od);
	fs_inode_view(&v, r->new_dir, &nd);
	fs_inode_view(&v, r->inode, &i);
	if (r->replaced)
		fs_inode_view(&v, r->replaced, &rep);
	a = fs_invoke_end(&v, filesystem_rename(sb->fs, &v.ctx, &od, r->old_name, r->old_len, &nd,
				      r->new_name, r->new_len, &i, &rep, r->flags));
	if (answer_is_error(a))
		return a;
	call_effect(c);
	if (!sb_names_resident(sb))
		return 0;
	inode_changed(r->inode, 0);
	if (exchange) {
		s32 moved = (s32)is_dir - (s32)replaced_dir;

		inode_changed(r->replaced, 0);
		dir_changed(r->old_dir, r->old_dir == r->new_dir ? 0 : -moved);
		dir_changed(r->new_dir, r->old_dir == r->new_dir ? 0 : moved);
		return 0;
	}
	if (r->replaced)
		inode_changed(r->replaced, replaced_dir ? -(s32)r->replaced->nlink : -1);
	if (r->old_dir == r->new_dir) {
		dir_changed(r->new_dir, replaced_dir ? -1 : 0);
		return 0;
	}
	dir_changed(r->old_dir, is_dir ? -1 : 0);
	dir_changed(r->new_dir, (is_dir ? 1 : 0) - (replaced_dir ? 1 : 0));
	return 0;
}

/* Resident names: the children of the directory's name, found through the inode (a directory has
 * one name). Cursors are name ids, which grow, so an entry that stays is seen exactly once however
 * the directory changes meanwhile. */
static answer_t resident_readdir(struct inode *dir, u64 *cursor, struct dirent_sink *sink)
{
	struct name *parent, *n;
	answer_t more = 0;

	spin_lock(&dir->obj.lock);
	parent = list_empty(&dir->names) ? nullptr
					 : list_first_entry(&dir->names, struct name, alias);
	if (parent && !object_get_live(&parent->obj))
		parent = nullptr;
	spin_unlock(&dir->obj.lock);
	if (!parent)
		return 0;
	spin_lock(&parent->obj.lock);
	/* children are added at the tail and ids grow, so the list is in cursor order but for
	 * renames into it, which get a fresh cursor */
	list_for_each_entry (n, &parent->children, sibling) {
		struct inode *i = n->inode;

		if (n->dir_cursor <= *cursor || !i)
			continue;
		if (!dirent_add(sink, n->text, n->len, i->ino, n->dir_cursor, i->mode)) {
			more = 1;
			break;
		}
		*cursor = n->dir_cursor;
	}
	spin_unlock(&parent->obj.lock);
	name_put(parent);
	return more;
}

#define ENTRIES_AT_ONCE 32
static answer_t component_readdir(struct call *c, struct inode *dir, u64 *cursor,
	struct dirent_sink *sink)
{
	struct superblock *sb = dir->sb;
	struct fs_entry *entries;
	struct fs_invoke v;
	struct fs_inode d;
	answer_t a;
	char *names;

	entries = kmalloc(ENTRIES_AT_ONCE * (sizeof(*entries) + 256));
	if (!entries)
		return call_need_memory(c, ENTRIES_AT_ONCE * (sizeof(*entries) + 256));
	names = (char *)(entries + ENTRIES_AT_ONCE);
	a = fs_invoke_begin(&v, c, sb);
	fs_inode_view(&v, dir, &d);
	if (!a)
		a = fs_invoke_end(&v, filesystem_readdir(sb->fs, &v.ctx, &d, *cursor, entries,
					      ENTRIES_AT_ONCE, names, ENTRIES_AT_ONCE * 256));
	if (!answer_is_error(a)) {
		u32 nr = MIN((u32)a, (u32)ENTRIES_AT_ONCE);

		a = nr ? 1 : 0;
		for (u32 i = 0; i < nr; i++) {
			struct fs_entry e = entries[i];

			if ((u32)e.name_offset + e.name_len > ENTRIES_AT_ONCE * 256 ||
				!e.name_len) {
				a = -EIO;
				break;
			}
			if (!dirent_add(sink, names + e.name_offset, e.name_len, e.ino,
				    e.next_cursor, e.mode))
				break;
			*cursor = e.next_cursor;
		}
	}
	kfree(entries);
	return a;
}

answer_t fs_readdir(struct call *c, struct inode *dir, u64 *cursor, struct dirent_sink *sink)
{
	answer_t a;

	if (dir->sb->view)
		return fs_view_readdir(c, dir, cursor, sink);
	if (sb_names_resident(dir->sb))
		return resident_readdir(dir, cursor, sink);
	/* As much as the caller has room for: getdents(2) fills its buffer. */
	do
		a = component_readdir(c, dir, cursor, sink);
	while (a == 1 && !sink->full);
	return a;
}

answer_t fs_readlink(struct call *c, struct inode *i, char *buf, u32 size)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a;

	if (i->link_target) {
		u32 len = (u32)MIN(strlen(i->link_target), (size_t)size);

		memcpy(buf, i->link_target, len);
		return len;
	}
	if (i->sb->view)
		return -EINVAL; /* vfs asks views through view_link */
	a = fs_invoke_begin(&v, c, i->sb);
	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	a = fs_invoke_end(&v, filesystem_readlink(i->sb->fs, &v.ctx, &f, buf, size));
	return a > (answer_t)size ? -EIO : a;
}
