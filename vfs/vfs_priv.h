#pragma once
/* Shared inside the vfs module. */
#include <lib/string.h>
#include <core/call.h>
#include <core/fs_call.h>
#include <core/node.h>
#include <core/walk.h>
#include <kabi/node.h>
#include <kabi/vfs.h>
#include <kabi/view.h>
#include "methods.h"

#define AT_FDCWD              -100
#define AT_SYMLINK_NOFOLLOW   0x100u
#define AT_EACCESS            0x200u
#define AT_REMOVEDIR          0x200u
#define AT_SYMLINK_FOLLOW     0x400u
#define AT_NO_AUTOMOUNT       0x800u
#define AT_EMPTY_PATH         0x1000u
#define AT_STATX_SYNC_TYPE    0x6000u
#define RESOLVE_NO_XDEV       1u
#define RESOLVE_NO_MAGICLINKS 2u
#define RESOLVE_NO_SYMLINKS   4u
#define RESOLVE_BENEATH       8u
#define RESOLVE_IN_ROOT       16u
#define RESOLVE_CACHED        32u
#define RESOLVE_ALL           63u

/* Walk flags; the RESOLVE_* bits stand above them. */
#define WALK_FOLLOW           1u
#define WALK_PARENT           2u /* stop before the last component */
#define WALK_EMPTY            4u /* AT_EMPTY_PATH */
#define WALK_DIRECTORY        8u
#define WALK_RESOLVE_SHIFT    8
#define WALK_R(r)             ((u32)(r) << WALK_RESOLVE_SHIFT)
#define LINKS_MAX             40u
#define NAME_BYTES_MAX        255u

/* The walks of one call: on the stack until the call answers a kind, then in the frame's walk_set.
 */
struct walks {
	struct walk_set *set;
	struct walk local[WALKS_PER_CALL];
};
static inline struct walk *walk_nr(struct walks *ws, u32 i)
{
	return ws->set ? &ws->set->walk[i] : &ws->local[i];
}
void walks_begin(struct call *c, struct walks *ws);
/* Ends a run: kinds keep the walks for the next one. Returns a. */
answer_t walks_end(struct call *c, struct walks *ws, answer_t a);
/* The set, made when there was none; nullptr: no memory. */
struct walk_set *walks_keep(struct call *c, struct walks *ws);

/* Resolves a path: 0 with w->at (referenced) and w->inode, or with WALK_PARENT the parent and
 * w->last. */
answer_t vfs_walk_text(struct call *c, struct walk *w, s32 at, const char *path, u32 flags);
/* Path number `which` of the call, a user address. */
answer_t vfs_walk(struct call *c, struct walk *w, u32 which, s32 at, u64 user_path, u32 flags);
answer_t vfs_walk_from(struct call *c, struct walk *w, const struct path_ref *start,
	const char *path, u32 flags);
/* A walk that stopped at its last component goes on through the link there. */
answer_t vfs_walk_through_link(struct call *c, struct walk *w, struct name *link, u32 flags);
/* The child of a directory: referenced, maybe negative; nullptr: absent and not cached. */
answer_t vfs_child(struct call *c, struct name *parent, const char *text, u32 len,
	struct name **out);
/* Crosses what is mounted on p; owns its references. */
void vfs_cross_mounts(struct path_ref *p);
answer_t vfs_link_text(struct call *c, struct inode *i, char *buf, u32 size);

static inline bool vfs_path_readonly(const struct path_ref *p)
{
	return p->mount->flags & MNT_RDONLY || p->name->sb->flags & SB_RDONLY;
}
static inline bool vfs_hold_dir(struct call *c, struct inode *dir)
{
	return call_hold(c, EXCL_INODE, &dir->content, dir->obj.id, false);
}
#define INODE_UNCHANGEABLE                                                                         \
	0x30u /* of inode->fs_flags: FS_IMMUTABLE_FL, FS_APPEND_FL (ioctl_iflags(2)) */
/* May an entry be made in / taken out of this directory? */
answer_t vfs_may_create(struct call *c, const struct path_ref *dir);
answer_t vfs_may_delete(struct call *c, const struct path_ref *dir, struct inode *victim,
	bool want_dir);
void vfs_owner_of_new(const struct call *c, const struct inode *dir, u32 mode,
	struct fs_create_args *a);
/* write(2), truncate(2), chown(2): a change by somebody without CAP_FSETID takes the set-id bits.
 * 0: nothing to clear. */
u32 vfs_mode_without_setid(const struct call *c, const struct inode *i);

/* FS_IOC_FIEMAP; user: its struct fiemap. */
answer_t vfs_fiemap(struct call *c, struct file *f, u64 user);

/* Ready events of any open file. */
answer_t vfs_poll_file(struct call *c, struct file *file, struct poll_ask *ask);
answer_t vfs_truncate_inode(struct call *c, const struct path_ref *path, struct inode *i, s64 bytes,
	bool open_flag);

/* Opening, for the system call and for core. */
struct open_how {
	u32 flags, mode;
	u64 resolve;
	bool exec;
};
answer_t vfs_open_at(struct call *c, struct walks *ws, s32 at, const struct path_ref *start,
	const char *path, struct open_how *how, struct file **out);
