#pragma once
/* Shared inside core/node. */
#include <core/node.h>
#include <core/walk.h>

struct name_text { /* a text that a rename gave */
	struct grace_head grace;
	u32 len;
	char text[];
};
extern struct slab_cache *slab_name, *slab_inode, *slab_file, *slab_mount;
/* Hands an object to the reaper thread (its refs are 0; an inode that is `ending`: the caller's
 * reference goes with it). Context: any. */
void reaper_queue(struct object *o);
void reaper_start(void);
void reaper_drain(void);
/* The end that this task is about waits for somebody who may be in reaper_drain. */
void reaper_pause(bool on);
/* reaper.c calls these, thread context. */
void inode_evict(struct inode *i);
/* commit.c. Context: any. */
void commit_kick(struct superblock *sb);
/* superblock.c */
void superblock_boot_init(void);
void superblock_inode_gone(struct superblock *sb); /* out of sb's list */
/* At its end: nobody holds an inode but the root. False: somebody went on holding one. */
bool superblock_wait_inodes(struct superblock *sb);
void file_destroy(struct file *f);

void name_boot_init(void);
void inode_boot_init(void);
void mount_boot_init(void);
void file_boot_init(void);
void name_release(struct name *n);
void inode_release(struct inode *i);
void mount_release(struct mount *m);
void file_release(struct file *f);
void files_release(struct files *f);
void superblock_release(struct superblock *sb);
void walk_set_release(struct walk_set *s);
void inode_locks_drop_file(struct file *f);
void inode_locks_drop_owner(struct inode *i, const void *owner);
/* The internal mount and pseudo root of anonymous nodes. */
extern struct mount *anon_mount;
extern struct inode *anon_inode;
void pipe_file_gone(struct file *f);
void pipe_release(struct object *o);
void epoll_file_gone(struct file *f);
void epoll_release(struct object *o);
void event_release(struct object *o);
