/*
 * ext4: files, directories, attributes on disks that Linux made and reads again.
 *
 * Purpose: every method is a pure function of its arguments and of block views; it answers with a
 * delta (sdk/fs.h) that core applies whole. Files: super.c and seal.c (mount, checksums), inode.c,
 * alloc.c, extent*.c, dir.c, htree*.c, hash.c, namei.c, rename.c, file.c, xattr.c.
 *
 * Vocabulary: place: block of the inode table and offset in it; run: blocks in a row, logical and
 * physical; claim: a bit taken in a bitmap; to seal: to compute the checksums of bitmaps and group
 * descriptors, which many calls change at once, once before a commit.
 *
 * Objects and lifetimes: struct ext4 and ext4_inode_ref live for one run, on its stack.
 * fs_inode.body is struct ext4_body: the extent root and what else is needed without reading the
 * inode table.
 *
 * Invariants: EXT4-I1 nothing from a block is used as length, offset or number before it was
 * checked: a corrupt image is an error, no crash; EXT4-I2 a directory, extent or attribute block is
 * written whole, with its checksum, and was read at its version; EXT4-I3 an inode's bytes are read
 * as seen and written whole, bitmaps and descriptors change by claim, release, add and lower only;
 *   EXT4-I4 metadata blocks that are freed are forgotten in the same delta.
 *
 * Locks: none; core serialises by inode and refuses stale answers.
 *
 * Failure and recovery: a run that is thrown away changed nothing. No journal yet: from mount to
 * unmount the disk is marked unclean, and a file system whose journal needs recovery is refused.
 *
 * Replacement: between any two runs; no state of its own.
 *
 * Cost: a lookup reads two or three blocks in place; a create copies six blocks.
 */
#include "ext4.h"

KABI_MODULE(1, "Apache-2.0");
KABI_NOTE struct kabi_note_match ext4_match = {
	KABI_NOTE_HEAD(kabi_note_match, KABI_NOTE_MATCH),
	.bus = KABI_BUS_NONE,
	.class_mask = KABI_FILESYSTEM_ON_DEVICE,
	.compatible = "ext4",
};
KABI_MEMORY(.answer_bytes = 128 * 1024);

KABI_IMPLEMENT(filesystem, .mount = ext4_mount, .unmount = ext4_unmount, .remount = ext4_remount,
	.seal = ext4_seal, .read_inode = ext4_read_inode, .set_attributes = ext4_set_attributes,
	.encode_inode = ext4_encode_inode, .lookup = ext4_lookup, .readdir = ext4_readdir,
	.create = ext4_create, .link = ext4_link, .unlink = ext4_unlink, .rename = ext4_rename,
	.readlink = ext4_readlink, .map = ext4_map, .truncate = ext4_truncate,
	.fallocate = ext4_fallocate, .evict = ext4_evict, .xattr_get = ext4_xattr_get,
	.xattr_set = ext4_xattr_set, .xattr_list = ext4_xattr_list, .usage = ext4_usage);
