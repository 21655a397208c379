#pragma once
/*
 * Calls into file systems (core/node/fs_call.c). vfs calls these with the exclusions held; they
 * dispatch to the superblock's component (contract `filesystem`: deltas are validated and applied
 * here, NEED(blocks) becomes the record's) or view (contract `view`). Every function answers as a
 * handler does: return kinds unchanged. Found/created inodes come referenced. Exclusions: changes
 * of a directory: EXCL_INODE of it held exclusively; lookups: none (names are added under the
 * parent's lock).
 */
#include <core/node.h>

answer_t fs_lookup(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode **out); /* 1 found, 0 absent */
struct fs_create_args {
	u32 mode; /* with type */
	u32 rdev;
	kuid_t uid;
	kgid_t gid;
	const char *target; /* symlink */
	u32 target_len;
};
answer_t fs_create(struct call *c, struct inode *dir, const char *name, u32 len,
	const struct fs_create_args *a, struct inode **out); /* name nullptr: O_TMPFILE */
answer_t fs_link(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode *target);
answer_t fs_unlink(struct call *c, struct inode *dir, const char *name, u32 len,
	struct inode *target); /* also rmdir: checks empty (-ENOTEMPTY) */
struct fs_rename_args {
	struct inode *old_dir, *new_dir, *inode, *replaced;
	const char *old_name, *new_name;
	u32 old_len, new_len, flags; /* RENAME_EXCHANGE 2 */
};
answer_t fs_rename(struct call *c, const struct fs_rename_args *a);
/* Adds entries from *cursor on (not . and ..) until the sink is full; 0 at the end, 1 more. */
answer_t fs_readdir(struct call *c, struct inode *dir, u64 *cursor, struct dirent_sink *sink);
answer_t fs_readlink(struct call *c, struct inode *i, char *buf, u32 size); /* length */
struct fs_attr {
	u32 mask; /* FS_ATTR_* */
	u32 mode;
	kuid_t uid;
	kgid_t gid;
	u64 size;
	struct timespec64 atime, mtime, ctime;
};
#define FS_ATTR_MODE  1u
#define FS_ATTR_UID   2u
#define FS_ATTR_GID   4u
#define FS_ATTR_SIZE  8u
#define FS_ATTR_ATIME 16u
#define FS_ATTR_MTIME 32u
#define FS_ATTR_CTIME 64u
answer_t fs_setattr(struct call *c, struct inode *i,
	const struct fs_attr *a); /* size: truncates pages too */
answer_t fs_fallocate(struct call *c, struct inode *i, u32 mode, u64 offset, u64 bytes);
enum fs_map_intent : u8 { FS_MAP_READ = 0, FS_MAP_ALLOCATE = 2 }; /* 1: the contract's reserve */
struct fs_extent {
	u64 file_block, disk_block, nr_blocks;
	u32 flags; /* FS_EXTENT_* */
};
#define FS_EXTENT_HOLE      1u
#define FS_EXTENT_UNWRITTEN 2u
/* Before a page becomes dirty: `nr` blocks from `block` on will be written. 1: they were counted in
 * the superblock's delayed_blocks and fs_unreserve gives them back; 0: nothing is needed; -ENOSPC,
 * -EROFS, -EIO. */
answer_t fs_reserve(struct call *c, struct inode *i, u64 block, u32 nr);
void fs_unreserve(struct superblock *sb, u32 nr); /* Context: any */
/* Blocks that the call's user may still take. */
u64 fs_free_blocks_for(const struct call *c, const struct superblock *sb);
/* Blocks of the file system's size. Returns the number of extents filled (>= 1). */
answer_t fs_map(struct call *c, struct inode *i, u64 block, u64 nr, enum fs_map_intent intent,
	struct fs_extent *out, u32 max);
answer_t fs_xattr_get(struct call *c, struct inode *i, const char *name, void *buf, size_t size);
answer_t fs_xattr_set(struct call *c, struct inode *i, const char *name, const void *buf,
	size_t size, u32 flags);
answer_t fs_xattr_list(struct call *c, struct inode *i, char *buf, size_t size);
struct fs_statfs {
	u64 type, block_bytes, blocks, blocks_free, blocks_available, files, files_free, name_max,
		fsid, flags;
};
answer_t fs_statfs(struct call *c, struct superblock *sb, struct fs_statfs *out);
/* Mount: finds the type (nodev types and components), reads the device. *out referenced, root inode
 * in out->root. -ENODEV unknown type. */
answer_t fs_mount(struct call *c, const char *type, const char *source, u32 sb_flags,
	const char *options, struct superblock **out);
/* DO_MOUNT: a file system of `type` on `at`. kmalloc'd, strings and path are its own; the operation
 * consumes it. May sleep. */
struct mount_request {
	char *type, *source, *options;
	u32 sb_flags, mount_flags;
	struct path_ref at; /* references */
};
answer_t fs_mount_perform(struct mount_request *r);
void mount_request_free(struct mount_request *r);
answer_t fs_sync_inode(struct call *c, struct inode *i);
answer_t fs_sync(struct call *c, struct superblock *sb, bool wait);
answer_t fs_remount(struct call *c, struct superblock *sb, u32 sb_flags, const char *options);
answer_t fs_evict(struct call *c,
	struct inode *i); /* last reference of an unlinked inode: frees its blocks */
/* Called by core when the last mount of a superblock goes: writes back, marks clean, forgets.
 * Thread, may sleep. */
void fs_unmount(struct superblock *sb);
/* Registered types for /proc/filesystems: false at the end. */
bool fs_type_at(u32 i, const char **name, bool *nodev);

/* --- views: what a view method fills --- */
struct view_entry {
	u64 id;   /* what it shows; with kind it identifies the inode */
	u32 kind; /* the view's own numbering */
	u32 mode; /* with type */
	u32 nlink;
	u32 rdev;
	kuid_t uid;
	kgid_t gid;
	u64 size;
};
struct text { /* growing kernel text buffer */
	char *data;
	size_t len, cap;
	bool failed; /* no memory */
};
void text_printf(struct text *t, const char *fmt, ...) __printf(2, 3);
void text_write(struct text *t, const char *data, size_t len);
void text_putc(struct text *t, char c);
void text_free(struct text *t);
/* Creates or finds the inode of a view entry in sb; referenced. */
struct inode *view_inode(struct superblock *sb, const struct view_entry *e);
