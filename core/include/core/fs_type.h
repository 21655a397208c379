#pragma once
/* Calls into one file-system component: shared by fs_call.c, fs_mount.c, fs_view.c and the delta
 * code. */
#include <core/fs_call.h>
#include <kabi/filesystem.h>

/* One component call in progress: the context in the component's window and what core keeps beside
 * it. */
struct fs_invoke {
	struct kabi_ctx ctx;
	struct call *call;
	struct superblock *sb;
	struct fs_work *work; /* views and answer page; nullptr: no blocks */
};
/* Prepares. 0, or an answer to return. */
answer_t fs_invoke_begin(struct fs_invoke *v, struct call *c, struct superblock *sb);
/* Turns the component's answer into the record's: NEED(blocks) becomes call_need_blocks, a delta is
 * checked and applied. */
answer_t fs_invoke_end(struct fs_invoke *v, answer_t a);
/* Ends it with an answer that core found stale by `what`: run again, at last -EIO. */
answer_t fs_invoke_refuse(struct fs_invoke *v, const char *what);
/* The inode as this call shows it: the answer is refused when a delta changed its body meanwhile.
 */
void fs_inode_view(struct fs_invoke *v, struct inode *i, struct fs_inode *out);
void fs_inode_seen(struct fs_invoke *v, struct inode *i);
/* A new or newly read inode becomes core's; nullptr: no memory. */
struct inode *fs_inode_make(struct superblock *sb, const struct fs_inode *f);
/* Takes over what the component said of an inode (new or changed). */
void fs_inode_update(struct inode *i, const struct fs_inode *from);
/* The cached inode `ino` of a file system that has read_inode; referenced. */
answer_t fs_inode_get(struct call *c, struct superblock *sb, u64 ino, struct inode **out);
bool sb_names_resident(const struct superblock *sb);

/* Views (fs_view.c). */
answer_t fs_view_lookup(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode **out);
answer_t fs_view_readdir(struct call *c, struct inode *dir, u64 *cursor, struct dirent_sink *sink);
answer_t fs_view_mount(struct call *c, struct superblock *sb);
answer_t fs_view_create(struct call *c, struct inode *dir, const char *name, u32 len,
	const struct fs_create_args *a, struct inode **out);

/* The device of a mount (weak defaults until block/ exists): finds `source`, claims it, sets
 * sb->bdev, sb->dev, sb->device_bytes. Where it is mounted already, *other is that superblock, as
 * one more user, and sb has no device. -ENOENT, -ENOTBLK, -EBUSY, -EACCES. May sleep. */
answer_t fs_device_open(struct call *c, const char *source, u32 sb_flags, struct superblock *sb,
	struct superblock **other);
void fs_device_close(struct superblock *sb);
/* Flushes what the device caches. May sleep. */
answer_t fs_device_flush(struct superblock *sb);
/* Checks and applies the delta on the answer page (core/node/delta.c). */
answer_t fs_delta_apply(struct fs_invoke *v);
