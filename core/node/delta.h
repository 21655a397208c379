#pragma once
/* Shared by block_cache.c, delta.c, delta_prepare.c, commit.c. */
#include <core/block_cache.h>
#include <core/fs_type.h>

#define WORK_VIEWS   192u
#define WORK_BLOCKS  96u /* that one delta may change */
#define WORK_INODES  6u
#define WORK_FORGETS 48u
struct fs_work {
	struct list_node link;
	void *answer;
	u32 answer_bytes;
	u32 nr_views, nr_inodes;
	const char *refused_by; /* what an answer did not fit, for the log */
	struct work_view {
		u64 block;
		struct block_data *data;
		bool tracked;
	} views[WORK_VIEWS];
	struct {
		struct inode *inode;
		u64 version;
	} inodes[WORK_INODES];
	/* while a delta is applied */
	u32 nr_blocks, nr_forgets, nr_takes;
	struct work_block {
		u64 block;
		struct block_data *base, *fresh; /* base nullptr: was not in the cache */
		struct block_entry *entry;       /* for one that was not */
		bool changed;
	} blocks[WORK_BLOCKS];
	struct {
		u64 block, nr;
	} forgets[WORK_FORGETS];
	struct {
		struct inode *inode;
		struct fs_inode *from;
		u32 take;
	} takes[WORK_INODES];
	struct fs_inode inode_copy[WORK_INODES];
	struct deferred_ops *deferred;
	s64 blocks_added, inodes_added;
	u32 nr_tags;
	u32 tags[64];
};
void fs_work_free(struct fs_work *w);
enum outcome : u8 { OUT_OK, OUT_STALE, OUT_BAD, OUT_MEMORY, OUT_ABSENT, OUT_AGAIN, OUT_BARRED };

static inline enum outcome delta_refused(struct fs_work *w, enum outcome how, const char *what)
{
	w->refused_by = what;
	return how;
}
/* All operations in [p, p + used); `now`: those that were put off until the commit too. OUT_ABSENT:
 * *absent must be read first. */
enum outcome delta_prepare(struct superblock *sb, struct fs_work *w, const u8 *p, u32 used,
	bool now, u64 *absent);
void delta_prepared_drop(struct fs_work *w);
/* There is a mount for the commit thread. */
void commit_thread_join(void);
