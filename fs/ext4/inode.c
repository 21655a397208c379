/* Inodes between the disk and core's objects. Theory in main.c. */
#include "ext4.h"

#define EPOCH_BITS 3u

static struct fs_time time_from(le32_t low, le32_t extra, bool wide)
{
	u32 x = wide ? le32_get(extra) : 0;
	struct fs_time t = {.seconds = (s64)(s32)le32_get(low) + ((s64)(x & EPOCH_BITS) << 32),
		.nanoseconds = x >> 2};

	if (t.nanoseconds > 999999999u)
		t.nanoseconds = 0;
	return t;
}
static le32_t time_extra(const struct fs_time *t)
{
	return le32_make(((u32)((t->seconds - (s32)(u32)t->seconds) >> 32) & EPOCH_BITS) |
			 t->nanoseconds << 2);
}

u64 ext4_inode_place(struct ext4 *e, u64 ino, u32 *offset)
{
	u32 group, index, per_block = e->block_bytes / e->inode_bytes;
	const struct ext4_desc *d;

	if (!ino || ino > e->inodes_count) {
		ext4_corrupt(e, "inode number", ino);
		return 0;
	}
	group = (u32)(ino - 1) / e->inodes_per_group;
	index = (u32)(ino - 1) % e->inodes_per_group;
	d = ext4_desc(e, group);
	if (!d)
		return 0;
	*offset = index % per_block * e->inode_bytes;
	return ext4_desc_u64(e, d->inode_table_lo, d->inode_table_hi) + index / per_block;
}

void ext4_inode_image_checksum(const struct ext4 *e, u64 ino, u8 *image, bool set, bool *good)
{
	struct ext4_inode *i = (struct ext4_inode *)image;
	bool high = e->inode_bytes > INODE_OLD_BYTES && le16_get(i->i_extra_isize) >= 4;
	le16_t low = i->i_checksum_lo, hi = high ? i->i_checksum_hi : le16_make(0);
	le32_t number = le32_make((u32)ino);
	u32 crc;

	if (!e->csum)
		return;
	i->i_checksum_lo = le16_make(0);
	if (high)
		i->i_checksum_hi = le16_make(0);
	crc = ext4_crc32c(e->csum_seed, &number, sizeof(number));
	crc = ext4_crc32c(crc, &i->i_generation, sizeof(i->i_generation));
	crc = ext4_crc32c(crc, image, e->inode_bytes);
	if (good)
		*good = (u16)crc == le16_get(low) && (!high || (u16)(crc >> 16) == le16_get(hi));
	i->i_checksum_lo = set ? le16_make((u16)crc) : low;
	if (high)
		i->i_checksum_hi = set ? le16_make((u16)(crc >> 16)) : hi;
}

bool ext4_ref_fresh(struct ext4 *e, struct ext4_inode_ref *r)
{
	le32_t number = le32_make((u32)r->ino), generation = le32_make(r->f.generation);

	r->csum_seed = ext4_crc32c(ext4_crc32c(e->csum_seed, &number, 4), &generation, 4);
	r->goal = ext4_group_start(e, (u32)(r->ino - 1) / e->inodes_per_group);
	return true;
}

bool ext4_ref_init(struct ext4 *e, struct ext4_inode_ref *r, const struct fs_inode *f)
{
	r->f = *f;
	memcpy(&r->b, f->body, sizeof(r->b));
	r->ino = f->ino;
	if (r->b.valid != EXT4_BODY_VALID || !r->ino || r->ino > e->inodes_count) {
		ext4_corrupt(e, "body of inode", f->ino);
		return false;
	}
	return ext4_ref_fresh(e, r);
}

static u64 blocks_on_disk(const struct ext4 *e, const struct ext4_inode_ref *r)
{
	return r->b.flags & FL_HUGE && e->ro_compat & RO_HUGE_FILE
		       ? r->f.blocks_512 / (e->block_bytes / 512)
		       : r->f.blocks_512;
}

static void image_times(struct ext4_inode *i, const struct fs_inode *f, u32 extra)
{
	i->i_atime = le32_make((u32)f->atime.seconds);
	i->i_ctime = le32_make((u32)f->ctime.seconds);
	i->i_mtime = le32_make((u32)f->mtime.seconds);
	if (extra >= 24) {
		i->i_ctime_extra = time_extra(&f->ctime);
		i->i_mtime_extra = time_extra(&f->mtime);
		i->i_atime_extra = time_extra(&f->atime);
	}
	if (extra >= 28) {
		i->i_crtime = le32_make((u32)f->btime.seconds);
		i->i_crtime_extra = time_extra(&f->btime);
	}
}

static void image_fill(struct ext4 *e, struct ext4_inode_ref *r, u8 *image)
{
	struct ext4_inode *i = (struct ext4_inode *)image;
	u64 blocks = blocks_on_disk(e, r);

	i->i_mode = le16_make((u16)r->f.mode);
	i->i_uid = le16_make((u16)r->f.uid);
	i->i_uid_high = le16_make((u16)(r->f.uid >> 16));
	i->i_gid = le16_make((u16)r->f.gid);
	i->i_gid_high = le16_make((u16)(r->f.gid >> 16));
	i->i_size_lo = le32_make((u32)r->f.size);
	i->i_size_high = le32_make((u32)(r->f.size >> 32));
	i->i_links_count = le16_make((u16)r->f.nlink);
	i->i_blocks_lo = le32_make((u32)blocks);
	i->i_blocks_high = le16_make((u16)(blocks >> 32));
	i->i_flags = le32_make(r->b.flags);
	i->i_generation = le32_make(r->f.generation);
	i->i_file_acl_lo = le32_make((u32)r->b.file_acl);
	i->i_file_acl_high = le16_make((u16)(r->b.file_acl >> 32));
	memcpy(i->i_block, r->b.i_block, sizeof(i->i_block));
	if (r->f.nlink)
		i->i_dtime = le32_make(0);
	image_times(i, &r->f, r->b.extra_isize);
}

answer_t ext4_inode_write(struct ext4 *e, struct ext4_inode_ref *r, bool fresh, u16 take)
{
	u32 offset;
	u64 block = ext4_inode_place(e, r->ino, &offset);
	u8 *image;

	if (!block)
		return ext4_error(e);
	if (fresh && !sdk_fs_own(e->ctx, block, offset, e->inode_bytes))
		/* The bit that was claimed makes these bytes ours: nobody else can have changed
		 * them. */
		image = sdk_fs_peek(e->ctx, block, nullptr)
				? sdk_fs_write_op(e->ctx, block, offset, e->inode_bytes, 0)
				: nullptr;
	else
		image = sdk_fs_bytes(e->ctx, block, offset, e->inode_bytes);
	if (!image)
		return ext4_error(e);
	if (fresh && e->inode_bytes > INODE_OLD_BYTES)
		((struct ext4_inode *)image)->i_extra_isize = le16_make((u16)r->b.extra_isize);
	image_fill(e, r, image);
	ext4_inode_image_checksum(e, r->ino, image, true, nullptr);
	memcpy(r->f.body, &r->b, sizeof(r->b));
	r->f.flags = r->b.flags & (FL_USER | FL_EXTENTS);
	if (take && !sdk_fs_inode(e->ctx, &r->f, take))
		return ext4_error(e);
	return 0;
}

static bool size_sane(const struct ext4 *e, const struct fs_inode *f)
{
	switch (MODE_TYPE(f->mode)) {
	case MODE_DIR:
		return f->size && f->size % e->block_bytes == 0 &&
		       f->size / e->block_bytes <= UINT32_MAX;
	case MODE_LNK:
		return f->size && f->size < e->block_bytes;
	case MODE_REG:
		return f->size <= INT64_MAX;
	case MODE_CHR:
	case MODE_BLK:
	case MODE_FIFO:
	case MODE_SOCK:
		return true;
	default:
		return false;
	}
}

static void read_rdev(const struct ext4_inode *i, struct fs_inode *f)
{
	const le32_t *p = (const le32_t *)i->i_block;
	u32 old = le32_get(p[0]), new = le32_get(p[1]);

	if (old)
		f->rdev = (old >> 8 & 0xff) << 20 | (old & 0xff);
	else /* new_encode_dev: major in bits 8..19, minor around it */
		f->rdev = (new >> 8 & 0xfff) << 20 | (new & 0xff) | (new >> 12 & 0xfff00);
}

/* The image is a copy of ours. */
static answer_t take_image(struct ext4 *e, u64 ino, u8 *image, struct fs_inode *f)
{
	struct ext4_inode *i = (struct ext4_inode *)image;
	u32 extra = e->inode_bytes > INODE_OLD_BYTES ? le16_get(i->i_extra_isize) : 0;
	struct ext4_body b = {.valid = EXT4_BODY_VALID, .flags = le32_get(i->i_flags)};
	bool good = true;

	ext4_inode_image_checksum(e, ino, image, false, &good);
	if (!good) {
		ext4_corrupt(e, "checksum of inode", ino);
		return -EBADMSG;
	}
	if (extra > e->inode_bytes - INODE_OLD_BYTES || extra & 3)
		return ext4_corrupt(e, "extra size of inode", ino);
	b.extra_isize = extra;
	b.file_acl = le32_get(i->i_file_acl_lo) |
		     (e->incompat & INCOMPAT_64BIT ? (u64)le16_get(i->i_file_acl_high) << 32 : 0);
	memcpy(b.i_block, i->i_block, sizeof(b.i_block));
	*f = (struct fs_inode){
		.ino = ino,
		.size = le32_get(i->i_size_lo) | (u64)le32_get(i->i_size_high) << 32,
		.blocks_512 =
			le32_get(i->i_blocks_lo) |
			(e->ro_compat & RO_HUGE_FILE ? (u64)le16_get(i->i_blocks_high) << 32 : 0),
		.generation = le32_get(i->i_generation),
		.mode = le16_get(i->i_mode),
		.nlink = le16_get(i->i_links_count),
		.uid = le16_get(i->i_uid) | (u32)le16_get(i->i_uid_high) << 16,
		.gid = le16_get(i->i_gid) | (u32)le16_get(i->i_gid_high) << 16,
		.flags = b.flags & (FL_USER | FL_EXTENTS),
		.atime = time_from(i->i_atime, i->i_atime_extra, extra >= 24),
		.ctime = time_from(i->i_ctime, i->i_ctime_extra, extra >= 24),
		.mtime = time_from(i->i_mtime, i->i_mtime_extra, extra >= 24),
	};
	if (extra >= 28)
		f->btime = time_from(i->i_crtime, i->i_crtime_extra, true);
	if (b.flags & FL_HUGE && e->ro_compat & RO_HUGE_FILE)
		f->blocks_512 *= e->block_bytes / 512;
	if (!f->nlink && (!f->mode || le32_get(i->i_dtime)))
		return -ESTALE;
	if (!size_sane(e, f) || b.flags & FL_INLINE ||
		(b.file_acl && !ext4_block_valid(e, b.file_acl, 1)))
		return ext4_corrupt(e, "fields of inode", ino);
	if (MODE_TYPE(f->mode) == MODE_CHR || MODE_TYPE(f->mode) == MODE_BLK)
		read_rdev(i, f);
	memcpy(f->body, &b, sizeof(b));
	return 0;
}

answer_t ext4_read_inode(struct kabi_ctx *ctx, u64 ino, struct fs_inode *inode)
{
	struct ext4 e;
	const u8 *table;
	u8 *image;
	u32 offset;
	u64 block;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (ino != EXT4_ROOT_INO && ino < le32_get(e.sb->s_first_ino))
		return ext4_corrupt(&e, "inode number", ino);
	block = ext4_inode_place(&e, ino, &offset);
	table = block ? sdk_fs_peek(ctx, block, nullptr) : nullptr;
	image = table ? sdk_fs_scratch(ctx, MAX(e.inode_bytes, (u32)sizeof(struct ext4_inode)))
		      : nullptr; /* old inodes are shorter */
	if (!image)
		return ext4_error(&e);
	memcpy(image, table + offset, e.inode_bytes);
	return take_image(&e, ino, image, inode);
}

#define ATTR_MODE 1u /* core's FS_ATTR_* */
#define ATTR_UID  2u
#define ATTR_GID  4u

answer_t ext4_set_attributes(struct kabi_ctx *ctx, const struct fs_inode *inode,
	const struct fs_inode *wanted, u32 mask)
{
	struct ext4_inode_ref r;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	if (!ext4_ref_init(&e, &r, inode))
		return ext4_error(&e);
	if (mask & ATTR_MODE)
		r.f.mode = (r.f.mode & 0170000u) | (wanted->mode & 07777u);
	if (mask & ATTR_UID)
		r.f.uid = wanted->uid;
	if (mask & ATTR_GID)
		r.f.gid = wanted->gid;
	return ext4_inode_write(&e, &r, false, 0);
}

answer_t ext4_encode_inode(struct kabi_ctx *ctx, const struct fs_inode *inode)
{
	struct ext4_inode_ref r;
	struct ext4 e;
	answer_t a = ext4_begin(&e, ctx);

	if (a)
		return a;
	return ext4_ref_init(&e, &r, inode) ? ext4_inode_write(&e, &r, false, 0) : ext4_error(&e);
}
