#pragma once
/* ext4 on disk (Linux Documentation/filesystems/ext4, "Data Structures and Algorithms") and what
 * the files of this component share. */
#include <lib/endian.h>
#include <lib/string.h>
#include <sdk/fs.h>

#define EXT4_MAGIC         0xef53u
#define EXT4_ROOT_INO      2u
#define EXT4_SUPER_OFFSET  1024u
#define EXT4_LINK_MAX      65000u
#define EXT4_NAME_MAX      255u
#define EXT4_STATE_CLEAN   1u
#define EXT4_STATE_ERRORS  2u

#define COMPAT_HAS_JOURNAL 0x4u
#define COMPAT_DIR_INDEX   0x20u
#define COMPAT_SPARSE2     0x200u
#define INCOMPAT_FILETYPE  0x2u
#define INCOMPAT_RECOVER   0x4u
#define INCOMPAT_EXTENTS   0x40u
#define INCOMPAT_64BIT     0x80u
#define INCOMPAT_FLEX_BG   0x200u
#define INCOMPAT_CSUM_SEED 0x2000u
#define INCOMPAT_KNOWN                                                                             \
	(INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_EXTENTS | INCOMPAT_64BIT |                \
		INCOMPAT_FLEX_BG | INCOMPAT_CSUM_SEED)
#define RO_SPARSE_SUPER  0x1u
#define RO_LARGE_FILE    0x2u
#define RO_HUGE_FILE     0x8u
#define RO_GDT_CSUM      0x10u
#define RO_DIR_NLINK     0x20u
#define RO_EXTRA_ISIZE   0x40u
#define RO_METADATA_CSUM 0x400u
#define RO_KNOWN                                                                                   \
	(RO_SPARSE_SUPER | RO_LARGE_FILE | RO_HUGE_FILE | RO_GDT_CSUM | RO_DIR_NLINK |             \
		RO_EXTRA_ISIZE | RO_METADATA_CSUM)

struct ext4_super {
	le32_t s_inodes_count, s_blocks_count_lo, s_r_blocks_count_lo, s_free_blocks_count_lo;
	le32_t s_free_inodes_count, s_first_data_block, s_log_block_size, s_log_cluster_size;
	le32_t s_blocks_per_group, s_clusters_per_group, s_inodes_per_group, s_mtime;
	le32_t s_wtime;
	le16_t s_mnt_count, s_max_mnt_count, s_magic, s_state, s_errors, s_minor_rev_level;
	le32_t s_lastcheck, s_checkinterval, s_creator_os, s_rev_level;
	le16_t s_def_resuid, s_def_resgid;
	le32_t s_first_ino;
	le16_t s_inode_size, s_block_group_nr;
	le32_t s_feature_compat, s_feature_incompat, s_feature_ro_compat;
	u8 s_uuid[16], s_volume_name[16], s_last_mounted[64];
	le32_t s_algorithm_usage_bitmap;
	u8 s_prealloc_blocks, s_prealloc_dir_blocks;
	le16_t s_reserved_gdt_blocks;
	u8 s_journal_uuid[16];
	le32_t s_journal_inum, s_journal_dev, s_last_orphan, s_hash_seed[4];
	u8 s_def_hash_version, s_jnl_backup_type;
	le16_t s_desc_size;
	le32_t s_default_mount_opts, s_first_meta_bg, s_mkfs_time, s_jnl_blocks[17];
	le32_t s_blocks_count_hi, s_r_blocks_count_hi, s_free_blocks_count_hi;
	le16_t s_min_extra_isize, s_want_extra_isize;
	le32_t s_flags;
	le16_t s_raid_stride, s_mmp_interval;
	le64_t s_mmp_block;
	le32_t s_raid_stripe_width;
	u8 s_log_groups_per_flex, s_checksum_type;
	le16_t s_reserved_pad;
	u8 s_unused[0x248 - 0x178]; /* write counters, snapshots, error records, mount options,
				       quota inodes */
	le32_t s_overhead_blocks, s_backup_bgs[2];
	u8 s_unused2[0x270 - 0x254];
	le32_t s_checksum_seed;
	u8 s_reserved[0x3fc - 0x274];
	le32_t s_checksum;
};
static_assert(sizeof(struct ext4_super) == 1024);
static_assert(offsetof(struct ext4_super, s_checksum_seed) == 0x270);
static_assert(offsetof(struct ext4_super, s_overhead_blocks) == 0x248);
static_assert(offsetof(struct ext4_super, s_hash_seed) == 0xec);

#define BG_INODE_UNINIT 1u
#define BG_BLOCK_UNINIT 2u
struct ext4_desc {
	le32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	le16_t free_blocks_lo, free_inodes_lo, used_dirs_lo, flags;
	le32_t exclude_bitmap_lo;
	le16_t block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
	/* 64-bit */
	le32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	le16_t free_blocks_hi, free_inodes_hi, used_dirs_hi, itable_unused_hi;
	le32_t exclude_bitmap_hi;
	le16_t block_bitmap_csum_hi, inode_bitmap_csum_hi;
	le32_t reserved;
};
static_assert(sizeof(struct ext4_desc) == 64);

#define FL_APPEND    0x20u
#define FL_IMMUTABLE 0x10u
#define FL_INDEX     0x1000u
#define FL_HUGE      0x40000u
#define FL_EXTENTS   0x80000u
#define FL_INLINE    0x10000000u
#define FL_USER      0x000380ffu /* what FS_IOC_GETFLAGS shows of a file without extents */
struct ext4_inode {
	le16_t i_mode, i_uid;
	le32_t i_size_lo, i_atime, i_ctime, i_mtime, i_dtime;
	le16_t i_gid, i_links_count;
	le32_t i_blocks_lo, i_flags, i_version_lo;
	u8 i_block[60];
	le32_t i_generation, i_file_acl_lo, i_size_high, i_obso_faddr;
	le16_t i_blocks_high, i_file_acl_high, i_uid_high, i_gid_high, i_checksum_lo, i_reserved;
	/* 128 bytes */
	le16_t i_extra_isize, i_checksum_hi;
	le32_t i_ctime_extra, i_mtime_extra, i_atime_extra, i_crtime, i_crtime_extra, i_version_hi,
		i_projid;
};
static_assert(sizeof(struct ext4_inode) == 160);
#define INODE_OLD_BYTES 128u

/* fs_inode.body: what the handlers need without reading the inode table. */
struct ext4_body {
	u8 i_block[60]; /* as on disk */
	u32 flags;      /* all of them */
	u64 file_acl;
	u32 extra_isize;
	u32 valid; /* EXT4_BODY_VALID */
};
static_assert(sizeof(struct ext4_body) <= FS_BODY_WORDS * 8);
#define EXT4_BODY_VALID 0xe4b0d7u

struct ext4_extent_header {
	le16_t magic, entries, max, depth;
	le32_t generation;
};
struct ext4_extent {
	le32_t block;
	le16_t len, start_hi;
	le32_t start_lo;
};
struct ext4_index {
	le32_t block, leaf_lo;
	le16_t leaf_hi, unused;
};
#define EXTENT_MAGIC         0xf30au
#define EXTENT_LEN_MAX       32768u
#define EXTENT_UNWRITTEN_MAX 32767u
#define EXTENT_DEPTH_MAX     5u

struct ext4_dirent {
	le32_t inode;
	le16_t rec_len;
	u8 name_len, file_type;
	char name[];
};
struct ext4_dir_tail {
	le32_t zero1;
	le16_t rec_len; /* 12 */
	u8 zero2, ft;   /* 0xde */
	le32_t checksum;
};
#define DIR_TAIL_FT     0xdeu

/* --- the component's own --- */
#define EXT4_CLAIMS_MAX 24
struct ext4 { /* the mount as this run sees it, on its stack */
	struct kabi_ctx *ctx;
	const struct ext4_super *sb;
	u64 super_block; /* that holds the superblock */
	u32 super_offset;
	u32 block_bytes, inode_bytes, inodes_per_group, blocks_per_group, desc_bytes,
		descs_per_block, first_data_block, nr_groups;
	u64 blocks_count;
	u32 inodes_count;
	u32 compat, incompat, ro_compat;
	u32 csum_seed;
	bool csum, gdt_csum; /* metadata_csum; either of the two that use the UNINIT flags */
	struct fs_facts facts;
	bool freeing; /* this run gives more back than it takes: no limit but the disk */
	u32 nr_claims;
	struct {
		u64 bitmap;
		u32 first, nr;
	} claims[EXT4_CLAIMS_MAX]; /* of this run, which the views do not show */
};
struct ext4_inode_ref { /* an inode that a run works on */
	struct fs_inode f;
	struct ext4_body b;
	u64 ino;
	u32 csum_seed;
	u64 goal; /* where its blocks would best be */
};

/* super.c */
u32 ext4_crc32c(u32 crc, const void *data, size_t bytes);
u16 ext4_crc16(u16 crc, const void *data, size_t bytes);
answer_t ext4_begin(struct ext4 *e, struct kabi_ctx *ctx);
answer_t ext4_error(struct ext4 *e);                                 /* of the views */
answer_t ext4_corrupt(struct ext4 *e, const char *what, u64 number); /* logs; -EUCLEAN */
static inline bool ext4_block_valid(const struct ext4 *e, u64 block, u64 nr)
{
	return block > e->first_data_block && block < e->blocks_count &&
	       nr <= e->blocks_count - block;
}
static inline u64 ext4_group_start(const struct ext4 *e, u32 group)
{
	return e->first_data_block + (u64)group * e->blocks_per_group;
}
static inline u32 ext4_group_blocks(const struct ext4 *e, u32 group)
{
	return (u32)MIN((u64)e->blocks_per_group, e->blocks_count - ext4_group_start(e, group));
}
u64 ext4_desc_block(const struct ext4 *e, u32 group, u32 *offset);
const struct ext4_desc *ext4_desc(struct ext4 *e, u32 group); /* untracked; nullptr */
u64 ext4_desc_u64(const struct ext4 *e, le32_t low, le32_t high);
u32 ext4_desc_u32(const struct ext4 *e, le16_t low, le16_t high);
answer_t ext4_mount(struct kabi_ctx *ctx, const void *options, u32 options_len, u32 flags,
	u64 device_bytes, u32 block_bytes, struct fs_mount_info *info, struct fs_inode *root);
answer_t ext4_unmount(struct kabi_ctx *ctx);
answer_t ext4_remount(struct kabi_ctx *ctx, const void *options, u32 options_len, u32 flags);
answer_t ext4_usage(struct kabi_ctx *ctx, struct fs_usage *usage);
/* seal.c */
answer_t ext4_seal(struct kabi_ctx *ctx, const u32 *tags, u32 nr_tags, u32 last);
void ext4_super_checksum(const struct ext4 *e, struct ext4_super *s);
u16 ext4_desc_checksum(const struct ext4 *e, u32 group, const struct ext4_desc *d);
u32 ext4_bitmap_checksum(const struct ext4 *e, const void *bitmap, u32 bits);

/* inode.c */
bool ext4_ref_init(struct ext4 *e, struct ext4_inode_ref *r,
	const struct fs_inode *f); /* false: body unusable */
bool ext4_ref_fresh(struct ext4 *e,
	struct ext4_inode_ref *r); /* csum seed and goal, when ino and generation are set */
/* Writes the inode's fixed part (fresh: whole) and tells core what of it changed (take 0: nothing).
 */
answer_t ext4_inode_write(struct ext4 *e, struct ext4_inode_ref *r, bool fresh, u16 take);
u64 ext4_inode_place(struct ext4 *e, u64 ino, u32 *offset); /* block of the table, or 0 */
void ext4_inode_image_checksum(const struct ext4 *e, u64 ino, u8 *image, bool set, bool *good);
answer_t ext4_read_inode(struct kabi_ctx *ctx, u64 ino, struct fs_inode *inode);
answer_t ext4_set_attributes(struct kabi_ctx *ctx, const struct fs_inode *inode,
	const struct fs_inode *wanted, u32 mask);
answer_t ext4_encode_inode(struct kabi_ctx *ctx, const struct fs_inode *inode);
static inline void ext4_touch(const struct ext4 *e, struct fs_time *t)
{
	*t = (struct fs_time){.seconds = e->facts.now_seconds,
		.nanoseconds = e->facts.now_nanoseconds};
}

/* alloc.c */
answer_t ext4_alloc_blocks(struct ext4 *e, u64 goal, u32 want, u64 *first, u32 *got);
bool ext4_free_blocks(struct ext4 *e, u64 first, u64 nr, bool metadata);
answer_t ext4_alloc_inode(struct ext4 *e, u64 parent, bool directory, u64 *ino);
bool ext4_free_inode(struct ext4 *e, u64 ino, bool directory);

/* extent.c, extent_change.c */
struct ext4_run { /* what a logical block is */
	u64 logical, physical;
	u32 nr;
	bool hole, unwritten;
};
struct ext4_level {
	u64 block; /* 0: the root in the inode */
	struct ext4_extent_header *node;
	u32 pos; /* entry taken or found; leaf: last one that begins at or before the block, or
		    entries when none */
};
struct ext4_path {
	u32 depth;
	struct ext4_level level[EXTENT_DEPTH_MAX + 1];
};
answer_t ext4_find(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, struct ext4_path *p);
answer_t ext4_map_block(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u64 max,
	struct ext4_run *run);
answer_t ext4_extent_insert(struct ext4 *e, struct ext4_inode_ref *r, u64 logical, u64 physical,
	u32 nr, bool unwritten);
answer_t ext4_extent_convert(struct ext4 *e, struct ext4_inode_ref *r, u64 logical,
	u32 nr); /* unwritten becomes written */
/* Frees [first, last] from its end on; 1: there is more. */
answer_t ext4_extent_remove(struct ext4 *e, struct ext4_inode_ref *r, u64 first, u64 last);
void ext4_extent_init(struct ext4_body *b);
struct ext4_extent_header *ext4_node_edit(struct ext4 *e, struct ext4_inode_ref *r,
	struct ext4_level *l);
void ext4_node_checksum(struct ext4 *e, struct ext4_inode_ref *r, u64 block,
	struct ext4_extent_header *node);
static inline struct ext4_extent *ext4_extents(struct ext4_extent_header *h)
{
	return (struct ext4_extent *)(h + 1);
}
static inline struct ext4_index *ext4_indexes(struct ext4_extent_header *h)
{
	return (struct ext4_index *)(h + 1);
}
static inline u32 ext4_extent_len(const struct ext4_extent *x)
{
	u32 n = le16_get(x->len);

	return n > EXTENT_LEN_MAX ? n - EXTENT_LEN_MAX : n;
}
static inline bool ext4_extent_unwritten(const struct ext4_extent *x)
{
	return le16_get(x->len) > EXTENT_LEN_MAX;
}
static inline u64 ext4_extent_start(const struct ext4_extent *x)
{
	return le32_get(x->start_lo) | (u64)le16_get(x->start_hi) << 32;
}

/* hash.c */
struct ext4_hash_info {
	u32 hash, minor;
};
bool ext4_hash(const struct ext4 *e, u32 version, const char *name, u32 len,
	struct ext4_hash_info *out);

/* dir.c: blocks of directories */
static inline u32 ext4_dirent_bytes(u32 name_len)
{
	return (name_len + 8 + 3) & ~3u;
}
u32 ext4_dir_space(const struct ext4 *e); /* bytes of a block that hold entries */
answer_t ext4_dir_block(struct ext4 *e, struct ext4_inode_ref *dir, u64 logical, bool leaf,
	const u8 **data, u64 *physical);
/* The entry `name` in a checked block: its offset, or -1. */
s32 ext4_dir_search(const struct ext4 *e, const u8 *data, const char *name, u32 len);
/* Puts an entry into a block copy where there is room; false: none. */
bool ext4_dir_put(const struct ext4 *e, u8 *data, const char *name, u32 len, u64 ino, u32 mode);
void ext4_dir_take(const struct ext4 *e, u8 *data, u32 offset);
void ext4_dir_init(const struct ext4 *e, u8 *data); /* empty leaf */
void ext4_dir_checksum(struct ext4 *e, struct ext4_inode_ref *dir, u8 *data);
bool ext4_dir_check(struct ext4 *e, struct ext4_inode_ref *dir, const u8 *data, bool unverified);
u8 *ext4_dir_append(struct ext4 *e, struct ext4_inode_ref *dir, u64 *logical, u64 *physical);
u8 ext4_file_type(const struct ext4 *e, u32 mode);
struct ext4_found {
	u64 logical, physical;
	u32 offset, ino;
};
/* 1 found, 0 absent. */
answer_t ext4_dir_find(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_found *out);
answer_t ext4_dir_add(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	u64 ino, u32 mode);
answer_t ext4_lookup(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, u64 *ino);
answer_t ext4_readdir(struct kabi_ctx *ctx, const struct fs_inode *dir, u64 cursor,
	struct fs_entry *entries, u32 nr_entries, void *names, u32 names_len);
answer_t ext4_dir_empty(struct ext4 *e, struct ext4_inode_ref *dir); /* 1, 0 */
/* htree.c, htree_add.c */
/* Also EXT4_BAD_INDEX, with nothing done: the directory's blocks are still good. */
#define EXT4_BAD_INDEX ((answer_t)2)
answer_t ext4_htree_check(struct ext4 *e, struct ext4_inode_ref *dir); /* its root */
answer_t ext4_htree_find(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_found *out);
answer_t ext4_htree_add(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	u64 ino, u32 mode);
answer_t ext4_htree_begin(struct ext4 *e,
	struct ext4_inode_ref *dir); /* a directory of one block gets an index */
struct ext4_dx_level {
	u64 logical, physical;
	const u8 *data;
	u32 offset; /* of the count/limit pair */
	u32 count, limit, pos;
};
struct ext4_dx_path {
	u32 hash_version, levels; /* levels + 1 nodes */
	struct ext4_hash_info hash;
	struct ext4_dx_level level[2];
	u64 leaf;
};
answer_t ext4_dx_walk(struct ext4 *e, struct ext4_inode_ref *dir, const char *name, u32 len,
	struct ext4_dx_path *p);
static inline u32 ext4_dx_hash(const u8 *data, u32 offset, u32 i)
{
	return i ? le32_get(((const le32_t *)(data + offset))[2 * i]) : 0;
}
static inline u32 ext4_dx_block(const u8 *data, u32 offset, u32 i)
{
	return le32_get(((const le32_t *)(data + offset))[2 * i + 1]) & 0x0fffffff;
}
void ext4_dx_checksum(struct ext4 *e, struct ext4_inode_ref *dir, u8 *data, u32 offset);
bool ext4_dx_check(struct ext4 *e, struct ext4_inode_ref *dir, const u8 *data, u32 offset);

/* namei.c, rename.c */
answer_t ext4_create(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_create *what, const void *target, u32 target_len,
	struct fs_inode *made);
answer_t ext4_link(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name, u32 name_len,
	const struct fs_inode *inode);
answer_t ext4_unlink(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_inode *inode);
answer_t ext4_rename(struct kabi_ctx *ctx, const struct fs_inode *old_dir, const void *old_name,
	u32 old_name_len, const struct fs_inode *new_dir, const void *new_name, u32 new_name_len,
	const struct fs_inode *inode, const struct fs_inode *replaced, u32 flags);
answer_t ext4_readlink(struct kabi_ctx *ctx, const struct fs_inode *inode, void *text,
	u32 text_len);
/* file.c */
answer_t ext4_map(struct kabi_ctx *ctx, const struct fs_inode *inode, u64 block, u64 nr, u32 intent,
	struct fs_extent_row *extents, u32 nr_extents);
answer_t ext4_truncate(struct kabi_ctx *ctx, const struct fs_inode *inode, u64 size);
answer_t ext4_fallocate(struct kabi_ctx *ctx, const struct fs_inode *inode, u32 mode, u64 offset,
	u64 bytes);
answer_t ext4_evict(struct kabi_ctx *ctx, const struct fs_inode *inode);
/* xattr.c */
answer_t ext4_xattr_get(struct kabi_ctx *ctx, const struct fs_inode *inode, const void *name,
	u32 name_len, void *value, u32 value_len);
answer_t ext4_xattr_set(struct kabi_ctx *ctx, const struct fs_inode *inode, const void *name,
	u32 name_len, const void *value, u32 value_len, u32 flags);
answer_t ext4_xattr_list(struct kabi_ctx *ctx, const struct fs_inode *inode, void *names,
	u32 names_len);
answer_t ext4_xattr_drop(struct ext4 *e,
	struct ext4_inode_ref *r); /* the inode goes: its attribute block too */

#define MODE_TYPE(m) ((m) & 0170000u)
#define MODE_FIFO    0010000u
#define MODE_CHR     0020000u
#define MODE_DIR     0040000u
#define MODE_BLK     0060000u
#define MODE_REG     0100000u
#define MODE_LNK     0120000u
#define MODE_SOCK    0140000u
