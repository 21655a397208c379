/*
 * tmpfs: files that live in memory objects only.
 *
 * Purpose: the limits and answers of tmpfs(5). Core's name cache is the directory (names_resident),
 * so no method looks anything up.
 *
 * Objects: none of its own; counters are the superblock's. Invariants: TMPFS-I1 every method is
 * DONE or ERROR in one run.
 *
 * Failure and recovery: nothing to lose, all state is core's. Replacement: between any two calls.
 * Cost: a few instructions a call.
 */
#include <kabi/filesystem.h>
#include <lib/string.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_FILESYSTEM("tmpfs");
KABI_MATCH_FILESYSTEM("ramfs");

#define TMPFS_MAGIC 0x01021994 /* linux/magic.h */
#define BLOCK_BYTES 4096u
#define ROOT_INO    1u
#define S_IFDIR     0040000u

struct options {
	u64 max_blocks; /* 0: percent of memory, or half of it: core's to enforce */
	u64 max_inodes;
	u32 percent, mode, uid, gid;
};

/* Bits above 07777 are passed over, as on Linux. */
static bool parse_mode(const char *p, u32 len, u32 *out)
{
	u32 v = 0;

	if (!len)
		return false;
	for (u32 i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '7' || v > UINT32_MAX / 8)
			return false;
		v = v * 8 + (u32)(p[i] - '0');
	}
	*out = v & 07777;
	return true;
}

/* size=, nr_blocks=, nr_inodes= take k, m, g (tmpfs(5)), and t, p, e. */
static bool parse_size(const char *p, u32 len, u64 *out)
{
	u32 shift = 0;
	u64 v;

	if (!len)
		return false;
	switch (p[len - 1] | 32) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	case 't':
		shift = 40;
		break;
	case 'p':
		shift = 50;
		break;
	case 'e':
		shift = 60;
		break;
	}
	if (!parse_u64(p, shift ? len - 1 : len, &v) || v > UINT64_MAX >> shift)
		return false;
	*out = v << shift;
	return true;
}

/* Bytes, or N% of memory; what comes last counts. */
static bool parse_limit(struct options *o, const char *p, u32 len)
{
	u64 v;

	if (len && p[len - 1] == '%') {
		if (!parse_u64(p, len - 1, &v) || !v || v > UINT32_MAX)
			return false;
		o->percent = (u32)v;
		o->max_blocks = 0;
		return true;
	}
	if (!parse_size(p, len, &v))
		return false;
	o->max_blocks = v / BLOCK_BYTES + (v % BLOCK_BYTES != 0);
	o->percent = 0;
	return true;
}

static bool is(const char *p, u32 len, const char *name)
{
	return len == strlen(name) && !memcmp(p, name, len);
}

static bool parse_option(struct options *o, const char *p, u32 len)
{
	const char *eq = memchr(p, '=', len);
	u32 name_len = eq ? (u32)(eq - p) : len;
	const char *value = eq ? eq + 1 : p + len;
	u32 value_len = len - name_len - (eq ? 1 : 0);
	u64 v;

	if (!eq)
		return is(p, len, "inode64") || is(p, len, "inode32") || is(p, len, "noswap") ||
		       !len;
	if (is(p, name_len, "mode"))
		return parse_mode(value, value_len, &o->mode);
	if (is(p, name_len, "size"))
		return parse_limit(o, value, value_len);
	if (is(p, name_len, "nr_blocks")) {
		if (!parse_size(value, value_len, &v) || v > INT64_MAX / BLOCK_BYTES)
			return false;
		o->max_blocks = v;
		o->percent = 0;
		return true;
	}
	if (is(p, name_len, "nr_inodes"))
		return parse_size(value, value_len, &o->max_inodes);
	if (is(p, name_len, "uid") || is(p, name_len, "gid")) {
		if (!parse_u64(value, value_len, &v) || v >= UINT32_MAX) /* -1 is nobody's */
			return false;
		*(p[0] == 'u' ? &o->uid : &o->gid) = (u32)v;
		return true;
	}
	/* As a Linux without huge pages and NUMA: of huge= only this, of mpol= nothing. */
	return is(p, name_len, "huge") && is(value, value_len, "never");
}

static answer_t tmpfs_mount(struct kabi_ctx *ctx, const void *options, u32 options_len, u32 flags,
	u64 device_bytes, u32 block_bytes, struct fs_mount_info *info, struct fs_inode *root)
{
	struct options o = {.mode = 01777};
	const char *p = options;
	u32 at = 0;

	while (at < options_len) {
		const char *comma = memchr(p + at, ',', options_len - at);
		u32 len = comma ? (u32)(comma - (p + at)) : options_len - at;

		if (!parse_option(&o, p + at, len))
			return -EINVAL;
		at += len + 1;
	}
	*info = (struct fs_mount_info){
		.features = FS_FEATURES_NAMES_RESIDENT,
		.block_bytes = BLOCK_BYTES,
		.magic = TMPFS_MAGIC,
		.max_file_bytes = INT64_MAX,
		.total_blocks = o.max_blocks,
		.free_blocks = o.max_blocks,
		.memory_percent = o.percent,
		.total_inodes = o.max_inodes,
		.free_inodes = o.max_inodes,
		.name_max = 255,
		.next_ino = ROOT_INO + 1,
	};
	*root = (struct fs_inode){.ino = ROOT_INO,
		.mode = S_IFDIR | o.mode,
		.nlink = 2,
		.uid = o.uid,
		.gid = o.gid};
	return 0;
}

static answer_t tmpfs_create(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_create *what, const void *target, u32 target_len,
	struct fs_inode *made)
{
	if (target_len >= FS_TARGET_MAX)
		return -ENAMETOOLONG;
	*made = (struct fs_inode){
		.mode = what->mode,
		.uid = what->uid,
		.gid = what->gid,
		.rdev = what->rdev,
		.nlink = (what->mode & 0170000u) == S_IFDIR ? 2
			 : name_len                         ? 1
							    : 0,
		.size = target_len,
	};
	return 0;
}

static answer_t tmpfs_link(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_inode *inode)
{
	return 0;
}

static answer_t tmpfs_unlink(struct kabi_ctx *ctx, const struct fs_inode *dir, const void *name,
	u32 name_len, const struct fs_inode *inode)
{
	return 0;
}

static answer_t tmpfs_rename(struct kabi_ctx *ctx, const struct fs_inode *old_dir,
	const void *old_name, u32 old_name_len, const struct fs_inode *new_dir,
	const void *new_name, u32 new_name_len, const struct fs_inode *inode,
	const struct fs_inode *replaced, u32 flags)
{
	return 0;
}

static answer_t tmpfs_usage(struct kabi_ctx *ctx, struct fs_usage *usage)
{
	return 0; /* core's counters are the truth: nothing to add */
}

KABI_IMPLEMENT(filesystem, .mount = tmpfs_mount, .create = tmpfs_create, .link = tmpfs_link,
	.unlink = tmpfs_unlink, .rename = tmpfs_rename, .usage = tmpfs_usage);
