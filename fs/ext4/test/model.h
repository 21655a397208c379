#pragma once
/* What the test remembers of the tree, and the operations that change both. Host only. */
#include "view.h"

#define NODES_MAX 1500
struct node {
	u64 ino;
	u32 mode;
	s32 parent; /* -1: unused */
	char name[256], target[300], xattr[64];
	u8 *data;
	u64 size;
	bool has_xattr;
	s32 same_as; /* hard link: node that owns data, or -1 */
};
extern struct node nodes[NODES_MAX]; /* 0: the root */
extern u32 nr_nodes;
extern char work[256]; /* a folder for images */

int shell(const char *format, ...) __printf(1, 2);
s32 child_named(s32 dir, const char *name);
s32 owner(s32 i); /* of a hard link's data */
struct fs_inode *inode(struct view *v, s32 node);
void nodes_reset(void);
/* model.c: a handler's call, and the same for the nodes. */
answer_t make(struct view *v, s32 dir, const char *name, u32 mode, const char *target, s32 *out);
answer_t write_file(struct view *v, s32 node, u64 offset, u64 bytes);
answer_t truncate_file(struct view *v, s32 node, u64 size);
answer_t remove_node(struct view *v, s32 i);
answer_t one_step(struct view *v); /* one of them, at random */
/* check.c: is the image what the nodes say? */
bool check_tree(struct view *v); /* by the handlers */
bool check_dump(void);           /* by debugfs, in what finish() has written */
bool finish(struct view *v, const char *what);
