#pragma once
/* Shared by namei.c and rename.c. */
#include "ext4.h"
void ext4_links_more(const struct ext4 *e, struct ext4_inode_ref *dir);
void ext4_links_less(struct ext4_inode_ref *dir);
void ext4_dir_touched(const struct ext4 *e, struct ext4_inode_ref *dir);
answer_t ext4_dir_write(struct ext4 *e, struct ext4_inode_ref *dir);
answer_t ext4_entry_remove(struct ext4 *e, struct ext4_inode_ref *dir,
	const struct ext4_found *found);
answer_t ext4_link_drop(struct ext4 *e, struct ext4_inode_ref *r);
