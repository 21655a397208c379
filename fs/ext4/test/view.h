#pragma once
/* An image as core would show it: views of blocks, deltas applied to it, inode objects. Host only.
 */
#include "../ext4.h"
#include <stdio.h>

struct view {
	struct kabi_ctx ctx;
	u8 *disk; /* what is on the medium, and what deltas made of it: one thing here */
	u64 nr_blocks, disk_bytes;
	u32 block_bytes;
	u8 **loaded; /* a buffer of its own for each block in view, so that the sanitizer sees every
			step too far */
	u64 *version;
	u8 *verified;
	struct fs_inode **inode; /* by number: core's objects */
	u64 nr_inodes;
	struct fs_mount_info info;
	u32 mount_flags;
	u64 clock_ns;
	/* after the commit */
	struct fs_op_head *deferred;
	u32 nr_deferred, cap_deferred;
	u8 *tags; /* groups to seal */
	u32 nr_tags_max;
	/* what goes wrong on purpose */
	u32 lose_one_in; /* answers thrown away */
	bool cold;       /* nothing is in view when a call begins */
	bool quiet;      /* log lines are not printed */
	u64 seed;
	/* one call */
	u32 runs, nr_needed;
	u64 needed[1024];
	bool writable;
	u64 nr_calls, nr_runs, nr_lost;
};
u64 view_random(struct view *v);
bool view_of_image(struct view *v, const char *path);
bool view_save(struct view *v, const char *path);
void view_free(struct view *v);
void view_begin(struct view *v);
void view_rerun(struct view *v);
/* Acts on an answer as core does. true: call again. */
bool view_again(struct view *v, answer_t *a);
void view_commit(struct view *v, bool last);
answer_t view_mount(struct view *v, const char *options, u32 flags);
/* The object of an inode, read where needed. */
struct fs_inode *view_inode(struct view *v, u64 ino, answer_t *error);
#define RUN(v, expression)                                                                         \
	({                                                                                         \
		answer_t _a;                                                                       \
		view_begin(v);                                                                     \
		do {                                                                               \
			view_rerun(v);                                                             \
			_a = (expression);                                                         \
		} while (view_again(v, &_a));                                                      \
		_a;                                                                                \
	})
