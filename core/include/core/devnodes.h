#pragma once
/* Nodes of devtmpfs (core/device/devnodes.c): what the device table announces, and what mknod,
 * mkdir, ln -s made in /dev. Core-owned, so the view over it holds nothing. Ids grow and are never
 * reused; 1 is the root. */
#include <core/node.h>
struct devnode {
	u64 id, parent;
	u32 mode, rdev;
	kuid_t uid;
	kgid_t gid;
	char name[64];
	char *target; /* symbolic links: for ever the node's, valid while it exists */
};
#define DEVNODE_ROOT 1u
/* Each fills *out; false: none. Short lock. */
bool devnode_get(u64 id, struct devnode *out);
bool devnode_find(u64 parent, const char *name, u32 len, struct devnode *out);
bool devnode_next(u64 parent, u64 after_id, struct devnode *out);
/* 0 and *out, -EEXIST, -ENOMEM, -ENAMETOOLONG. */
int devnode_create(u64 parent, const char *name, u32 len, u32 mode, u32 rdev, kuid_t uid,
	kgid_t gid, const char *target, u32 target_len, struct devnode *out);
int devnode_remove(u64 parent, const char *name, u32 len); /* -ENOENT, -ENOTEMPTY */
int devnode_change(u64 id, u32 mode, kuid_t uid, kgid_t gid);
/* Makes /dev/PATH for a device (directories as needed); called by device_add. */
void devnode_add_device(const char *path, u32 mode, u32 rdev);
void devnode_remove_device(const char *path);
