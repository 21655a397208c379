#pragma once
/*
 * Damages an ext4 image in memory, in one structure of a chosen kind, from a seed. By itself: the
 * host test and the program that runs in a guest (tests/disk) use it alike. It finds the structures
 * in the undamaged image and trusts that.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum damage_kind {
	DAMAGE_SUPER,
	DAMAGE_DESC,
	DAMAGE_BITMAP,
	DAMAGE_INODE,
	DAMAGE_DIR,
	DAMAGE_HTREE,
	DAMAGE_EXTENT,
	DAMAGE_LINK,
	DAMAGE_XATTR,
	DAMAGE_KINDS
};
static const char *const damage_names[DAMAGE_KINDS] = {"superblock", "group descriptor", "bitmap",
	"inode", "directory block", "directory index", "extent node", "symbolic link",
	"attribute block"};

#define DAMAGE_TARGETS 4096u
struct damage {
	uint8_t *disk;
	uint64_t bytes, seed;
	uint32_t block_bytes, inodes_per_group, inode_bytes, nr_groups;
	uint32_t nr[DAMAGE_KINDS];
	struct {
		uint64_t at;
		uint32_t bytes;
	} target[DAMAGE_KINDS][DAMAGE_TARGETS];
};

static inline uint64_t damage_random(struct damage *d, uint64_t below)
{
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return (d->seed >> 11) % below;
}

static inline uint32_t damage_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t damage_u16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static inline void damage_add(struct damage *d, enum damage_kind kind, uint64_t at, uint32_t bytes)
{
	if (d->nr[kind] < DAMAGE_TARGETS && at && at + bytes <= d->bytes) {
		d->target[kind][d->nr[kind]].at = at;
		d->target[kind][d->nr[kind]++].bytes = bytes;
	}
}

/* The node's children; leaves of directories and links are metadata too. */
static inline void damage_extents(struct damage *d, const uint8_t *node, enum damage_kind kind,
	bool indexed)
{
	uint32_t nr = damage_u16(node + 2), depth = damage_u16(node + 6);

	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *x = node + 12 + 12 * i;

		if (depth) {
			uint64_t block = damage_u32(x + 4);

			damage_add(d, DAMAGE_EXTENT, block * d->block_bytes, d->block_bytes);
			damage_extents(d, d->disk + block * d->block_bytes, kind, indexed);
			continue;
		}
		for (uint32_t k = 0; kind != DAMAGE_KINDS && k < damage_u16(x + 4); k++) {
			bool root = indexed && damage_u32(x) + k == 0;

			damage_add(d, root ? DAMAGE_HTREE : kind,
				((uint64_t)damage_u32(x + 8) + k) * d->block_bytes, d->block_bytes);
		}
	}
}

static inline void damage_inode(struct damage *d, const uint8_t *inode)
{
	uint32_t mode = damage_u16(inode) & 0170000, flags = damage_u32(inode + 32);
	enum damage_kind kind = mode == 0040000   ? DAMAGE_DIR
				: mode == 0120000 ? DAMAGE_LINK
						  : DAMAGE_KINDS;

	damage_add(d, DAMAGE_INODE, (uint64_t)(inode - d->disk),
		d->inode_bytes < 160 ? d->inode_bytes : 160);
	damage_add(d, DAMAGE_XATTR, (uint64_t)damage_u32(inode + 104) * d->block_bytes,
		d->block_bytes);
	if (flags & 0x80000)
		damage_extents(d, inode + 40, kind, flags & 0x1000);
}

/* disk: the undamaged image, which stays the caller's. */
static inline void damage_begin(struct damage *d, uint8_t *disk, uint64_t bytes)
{
	const uint8_t *s = disk + 1024;
	uint32_t desc_bytes, first;

	memset(d, 0, sizeof(*d));
	d->disk = disk;
	d->bytes = bytes;
	d->block_bytes = 1024u << damage_u32(s + 24);
	d->inodes_per_group = damage_u32(s + 40);
	d->inode_bytes = damage_u16(s + 88);
	desc_bytes = damage_u32(s + 96) & 0x80 ? damage_u16(s + 254) : 32;
	first = damage_u32(s + 20) + 1;
	d->nr_groups = (damage_u32(s + 4) - damage_u32(s + 20) + damage_u32(s + 32) - 1) /
		       damage_u32(s + 32);
	damage_add(d, DAMAGE_SUPER, 1024, 1024);
	for (uint32_t g = 0; g < d->nr_groups; g++) {
		uint64_t at = (uint64_t)first * d->block_bytes + g * desc_bytes;
		const uint8_t *desc = disk + at,
			      *map = disk + (uint64_t)damage_u32(desc + 4) * d->block_bytes;

		damage_add(d, DAMAGE_DESC, at, desc_bytes);
		damage_add(d, DAMAGE_BITMAP, (uint64_t)damage_u32(desc) * d->block_bytes,
			d->block_bytes);
		damage_add(d, DAMAGE_BITMAP, (uint64_t)damage_u32(desc + 4) * d->block_bytes,
			d->block_bytes);
		for (uint32_t i = 0; !(damage_u16(desc + 18) & 1) && i < d->inodes_per_group; i++)
			if (map[i / 8] >> i % 8 & 1 && (g || i == 1 || i > 10))
				damage_inode(d,
					disk + (uint64_t)damage_u32(desc + 8) * d->block_bytes +
						(uint64_t)i * d->inode_bytes);
	}
}

static inline void damage_field(struct damage *d, uint8_t *p, uint32_t bytes)
{
	static const uint32_t values[] = {0, 1, 2, 4, 8, 11, 12, 255, 1024, 4096, 0x7fff, 0x8000,
		0xffff, 0x10000, 0x7fffffff, 0x80000000u, 0xfffffffeu, 0xffffffffu};
	uint32_t width = 1u << damage_random(d, 3), value;
	/* what counts stands in front */
	uint64_t at = damage_random(d, damage_random(d, 3) ? bytes
				       : bytes < 64        ? bytes
							   : 64) /
		      width * width;

	switch (damage_random(d, 4)) {
	case 0:
		value = (uint32_t)damage_random(d, 1ull << 32);
		break;
	case 1:
		value = damage_u32(p + at / 4 * 4) + (uint32_t)damage_random(d, 5) - 2;
		break;
	case 2:
		value = (uint32_t)damage_random(d, d->bytes / d->block_bytes + 2);
		break;
	default:
		value = values[damage_random(d, sizeof(values) / sizeof(values[0]))];
	}
	for (uint32_t i = 0; i < width; i++)
		p[at + i] = (uint8_t)(value >> 8 * i);
}

/* Damages `disk` (a copy of the image as it was at damage_begin). Answers what was hit. */
static inline enum damage_kind damage_one(struct damage *d, uint8_t *disk, uint64_t seed)
{
	enum damage_kind kind;
	uint32_t i, other;
	uint8_t *p;

	d->seed = seed * 0x9e3779b97f4a7c15ull | 1;
	for (i = 0; i < 8; i++)
		damage_random(d, 2);
	do
		kind = (enum damage_kind)damage_random(d, DAMAGE_KINDS);
	while (!d->nr[kind]);
	i = (uint32_t)damage_random(d, d->nr[kind]);
	p = disk + d->target[kind][i].at;
	switch (damage_random(d, 10)) {
	case 0: /* another one of the kind in its place: circles, things that belong to two */
		other = (uint32_t)damage_random(d, d->nr[kind]);
		memcpy(p, d->disk + d->target[kind][other].at, d->target[kind][i].bytes);
		break;
	case 1:
		memset(p, damage_random(d, 2) ? 0xff : 0, d->target[kind][i].bytes);
		break;
	default:
		for (uint64_t k = 1 + damage_random(d, 4); k; k--)
			damage_field(d, p, d->target[kind][i].bytes);
	}
	return kind;
}
