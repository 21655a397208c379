/* Random operations on ext4's handlers, remembered in a tree of nodes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

struct node nodes[NODES_MAX];
u32 nr_nodes;
char work[256];

int shell(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	return system(command);
}

static s32 node_of_kind(struct view *v, u32 type)
{
	for (u32 tries = 0; tries < 200; tries++) {
		s32 i = (s32)(view_random(v) % nr_nodes);

		if ((nodes[i].parent >= 0 || i == 0) && MODE_TYPE(nodes[i].mode) == type)
			return i;
	}
	return type == MODE_DIR ? 0 : -1;
}
static s32 node_free(void)
{
	for (u32 i = 1; i < nr_nodes; i++)
		if (nodes[i].parent < 0 && nodes[i].same_as == -2)
			return (s32)i;
	return nr_nodes < NODES_MAX ? (s32)nr_nodes++ : -1;
}
s32 child_named(s32 dir, const char *name)
{
	for (u32 i = 1; i < nr_nodes; i++)
		if (nodes[i].parent == dir && !strcmp(nodes[i].name, name))
			return (s32)i;
	return -1;
}
s32 owner(s32 i)
{
	return nodes[i].same_as >= 0 ? nodes[i].same_as : i;
}
struct fs_inode *inode(struct view *v, s32 node)
{
	answer_t error;
	struct fs_inode *f = view_inode(v, nodes[owner(node)].ino, &error);

	if (!f)
		printf("# inode %llu: %ld\n", (unsigned long long)nodes[owner(node)].ino,
			(long)error);
	return f;
}

static void random_name(struct view *v, char *name)
{
	u32 len = view_random(v) % 12 == 0 ? 200 + (u32)(view_random(v) % 55)
					   : 4 + (u32)(view_random(v) % 24);

	for (u32 i = 0; i < len; i++)
		name[i] = "abcdefghijklmnopqrstuvwxyz0123456789_-\xc3"[view_random(v) % 38];
	name[len] = 0;
}

answer_t make(struct view *v, s32 dir, const char *name, u32 mode, const char *target, s32 *out)
{
	struct fs_create what = {.mode = mode,
		.uid = 70000,
		.gid = 5,
		.rdev = 8u << 20 | 3,
		.now = {}};
	struct fs_inode *d = inode(v, dir), made = {};
	s32 i = node_free();
	answer_t a;

	if (!d || i < 0)
		return -ENOMEM;
	a = RUN(v, ext4_create(&v->ctx, d, name, (u32)strlen(name), &what, target,
			   (u32)strlen(target), &made));
	if (a) {
		nodes[i].parent = -1;
		nodes[i].same_as = -2;
		return a;
	}
	nodes[i] = (struct node){.ino = made.ino,
		.mode = mode,
		.parent = dir,
		.same_as = -1,
		.size = MODE_TYPE(mode) == MODE_REG ? 0 : made.size};
	strlcpy(nodes[i].name, name, sizeof(nodes[i].name));
	strlcpy(nodes[i].target, target, sizeof(nodes[i].target));
	free(v->inode[made.ino]);
	v->inode[made.ino] = malloc(sizeof(made));
	*v->inode[made.ino] = made;
	if (out)
		*out = i;
	return 0;
}

/* The node's data onto the medium, from *block on, which moves behind the extent. */
static bool write_extent(struct view *v, const struct node *n, const struct fs_extent_row *row,
	u64 *block)
{
	if (row->flags || row->file_block != *block ||
		row->disk_block + row->nr_blocks > v->nr_blocks)
		return false;
	for (u64 i = 0; i < row->nr_blocks; i++, ++*block) {
		u64 on_disk = row->disk_block + i, at = *block * v->block_bytes;
		u8 *to = v->disk + on_disk * v->block_bytes;

		free(v->loaded[on_disk]);
		v->loaded[on_disk] = nullptr;
		memset(to, 0, v->block_bytes);
		if (at < n->size)
			memcpy(to, n->data + at, MIN(n->size - at, (u64)v->block_bytes));
	}
	return true;
}

/* As core does at write-back: ALLOCATE, then the data, then the size. */
answer_t write_file(struct view *v, s32 node, u64 offset, u64 bytes)
{
	s32 o = owner(node);
	struct fs_inode *f = inode(v, node);
	u64 end = offset + bytes, block = offset / v->block_bytes,
	    last = (end - 1) / v->block_bytes;
	u64 old = nodes[o].size;

	if (!f)
		return -EIO;
	if (end > nodes[o].size) {
		nodes[o].data = realloc(nodes[o].data, end);
		memset(nodes[o].data + nodes[o].size, 0, end - nodes[o].size);
		nodes[o].size = end;
	}
	for (u64 i = offset; i < end; i++)
		nodes[o].data[i] = (u8)(view_random(v) >> 20);
	/* the block with the old end was zero behind it only in the page: it is written again */
	if (old < offset && old % v->block_bytes && old / v->block_bytes != block) {
		struct fs_extent_row row;
		answer_t a = RUN(v, ext4_map(&v->ctx, f, old / v->block_bytes, 1, 0, &row, 1));

		if (a == 1 && !row.flags)
			memset(v->disk + row.disk_block * v->block_bytes + old % v->block_bytes, 0,
				v->block_bytes - old % v->block_bytes);
	}
	f->size = nodes[o].size;
	while (block <= last) {
		struct fs_extent_row rows[8];
		answer_t a = RUN(v, ext4_map(&v->ctx, f, block, last + 1 - block, 2, rows, 8));

		if (a <= 0)
			return a ? a : -EIO;
		for (s32 k = 0; k < a; k++)
			if (!write_extent(v, &nodes[o], &rows[k], &block)) {
				printf("# bad extent\n");
				return -EIO;
			}
	}
	f->size = nodes[o].size;
	return RUN(v, ext4_encode_inode(&v->ctx, f));
}

answer_t truncate_file(struct view *v, s32 node, u64 size)
{
	s32 o = owner(node);
	struct fs_inode *f = inode(v, node);
	answer_t a;

	if (!f)
		return -EIO;
	a = RUN(v, ext4_truncate(&v->ctx, f, size));
	if (a)
		return a;
	f->size = size;
	if (size > nodes[o].size) {
		nodes[o].data = realloc(nodes[o].data, size);
		memset(nodes[o].data + nodes[o].size, 0, size - nodes[o].size);
	}
	/* core zeroes the page behind the end and writes it back */
	if (size % v->block_bytes) {
		struct fs_extent_row row;

		if (RUN(v, ext4_map(&v->ctx, f, size / v->block_bytes, 1, 0, &row, 1)) == 1 &&
			!row.flags)
			memset(v->disk + row.disk_block * v->block_bytes + size % v->block_bytes, 0,
				v->block_bytes - size % v->block_bytes);
	}
	nodes[o].size = size;
	return 0;
}

static answer_t end_inode(struct view *v, u64 ino)
{
	answer_t a = RUN(v, ext4_evict(&v->ctx, v->inode[ino]));

	free(v->inode[ino]);
	v->inode[ino] = nullptr;
	return a;
}

static void forget_node(s32 i)
{
	s32 heir = -1;

	/* another name of the same file takes over its data */
	for (u32 k = 1; k < nr_nodes && nodes[i].same_as == -1; k++)
		if (nodes[k].parent >= 0 && nodes[k].same_as == i) {
			if (heir < 0) {
				heir = (s32)k;
				nodes[k].same_as = -1;
				nodes[k].data = nodes[i].data;
				nodes[k].size = nodes[i].size;
				nodes[k].has_xattr = nodes[i].has_xattr;
				memcpy(nodes[k].xattr, nodes[i].xattr, sizeof(nodes[k].xattr));
				nodes[i].data = nullptr;
			} else {
				nodes[k].same_as = heir;
			}
		}
	if (nodes[i].same_as == -1)
		free(nodes[i].data);
	nodes[i] = (struct node){.parent = -1, .same_as = -2};
}

answer_t remove_node(struct view *v, s32 i)
{
	struct fs_inode *d = inode(v, nodes[i].parent), *f = inode(v, i);
	u64 ino = nodes[owner(i)].ino;
	answer_t a;

	if (!d || !f)
		return -EIO;
	a = RUN(v, ext4_unlink(&v->ctx, d, nodes[i].name, (u32)strlen(nodes[i].name), f));
	if (a)
		return a;
	if (!f->nlink)
		a = end_inode(v, ino);
	forget_node(i);
	return a;
}

static bool below(s32 i, s32 top)
{
	while (i > 0 && i != top)
		i = nodes[i].parent;
	return i == top;
}

static answer_t rename_node(struct view *v, s32 i, s32 to_dir, const char *to_name, bool exchange)
{
	char name[256];
	s32 there = child_named(to_dir, to_name);
	struct fs_inode *od = inode(v, nodes[i].parent), *nd = inode(v, to_dir), *f = inode(v, i),
			none = {}, *rep = there >= 0 ? inode(v, there) : &none;
	u64 rep_ino = rep ? rep->ino : 0;
	answer_t a;

	strlcpy(name, to_name, sizeof(name)); /* it may be that of the node that goes */
	if (!od || !nd || !f || !rep || there == i || (there >= 0 && rep == f) ||
		(exchange && there < 0))
		return 1;
	if ((MODE_TYPE(nodes[i].mode) == MODE_DIR && below(to_dir, i)) ||
		(there >= 0 && below(nodes[i].parent, there)))
		return 1;
	if (there >= 0 && !exchange &&
		(MODE_TYPE(nodes[there].mode) == MODE_DIR) !=
			(MODE_TYPE(nodes[i].mode) == MODE_DIR))
		return 1;
	a = RUN(v, ext4_rename(&v->ctx, od, nodes[i].name, (u32)strlen(nodes[i].name), nd, name,
			   (u32)strlen(name), f, rep, exchange ? 2 : 0));
	if (a)
		return a == -ENOTEMPTY ? 1 : a;
	if (exchange) {
		char old[256];
		s32 old_parent = nodes[i].parent;

		strlcpy(old, nodes[i].name, sizeof(old));
		nodes[i].parent = to_dir;
		strlcpy(nodes[i].name, name, sizeof(nodes[i].name));
		nodes[there].parent = old_parent;
		strlcpy(nodes[there].name, old, sizeof(nodes[there].name));
		return 0;
	}
	if (there >= 0) {
		if (!rep->nlink)
			a = end_inode(v, rep_ino);
		forget_node(there);
	}
	nodes[i].parent = to_dir;
	strlcpy(nodes[i].name, name, sizeof(nodes[i].name));
	return a;
}

static answer_t link_node(struct view *v, s32 i, s32 dir, const char *name)
{
	struct fs_inode *d = inode(v, dir), *f = inode(v, i);
	s32 n = node_free();
	answer_t a;

	if (!d || !f || n < 0)
		return -ENOMEM;
	a = RUN(v, ext4_link(&v->ctx, d, name, (u32)strlen(name), f));
	nodes[n] = (struct node){.parent = -1, .same_as = -2};
	if (a)
		return a;
	nodes[n] = (struct node){.ino = nodes[owner(i)].ino,
		.mode = nodes[i].mode,
		.parent = dir,
		.same_as = owner(i)};
	strlcpy(nodes[n].name, name, sizeof(nodes[n].name));
	strlcpy(nodes[n].target, nodes[i].target, sizeof(nodes[n].target));
	return 0;
}

static answer_t set_xattr(struct view *v, s32 i)
{
	s32 o = owner(i);
	struct fs_inode *f = inode(v, i);
	u32 len = 1 + (u32)(view_random(v) % 60);
	u8 big[600];
	answer_t a;

	if (!f)
		return -EIO;
	for (u32 k = 0; k < len; k++)
		nodes[o].xattr[k] = (char)('a' + view_random(v) % 26);
	nodes[o].xattr[len] = 0;
	a = RUN(v, ext4_xattr_set(&v->ctx, f, "user.test", 9, nodes[o].xattr, len, 0));
	if (a)
		return a;
	nodes[o].has_xattr = true;
	if (view_random(v) % 2)
		return 0;
	memset(big, 'x', sizeof(big));
	a = RUN(v, ext4_xattr_set(&v->ctx, f, "trusted.big", 11, big,
			   100 + (u32)(view_random(v) % 400), 0));
	if (!a && view_random(v) % 3 == 0)
		a = RUN(v, ext4_xattr_set(&v->ctx, f, "trusted.big", 11, nullptr, 0, 4));
	return a;
}

static answer_t remove_directory(struct view *v, s32 i)
{
	answer_t a = remove_node(v, i);

	return a == -ENOTEMPTY ? 0 : a;
}

/* To a new name in `dir`, or over something. */
static answer_t rename_somewhere(struct view *v, s32 i, s32 dir, const char *name)
{
	s32 other = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
	bool take = other > 0 && view_random(v) % 2;
	answer_t a = rename_node(v, i, take ? nodes[other].parent : dir,
		take ? nodes[other].name : name, view_random(v) % 4 == 0);

	return a == 1 ? 0 : a;
}

static answer_t write_somewhere(struct view *v, s32 i)
{
	return i < 0 ? 0 : write_file(v, i, view_random(v) % 40000, 1 + view_random(v) % 30000);
}

static answer_t make_special(struct view *v, s32 dir, const char *name)
{
	return make(v, dir, name, (view_random(v) % 2 ? MODE_CHR : MODE_FIFO) | 0600, "", nullptr);
}

answer_t one_step(struct view *v)
{
	char name[256], target[300];
	s32 dir = node_of_kind(v, MODE_DIR), i;

	random_name(v, name);
	switch (view_random(v) % 20) {
	case 0:
	case 1:
		return make(v, dir, name, MODE_DIR | 0755, "", nullptr);
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
		return make(v, dir, name, MODE_REG | 0644, "", nullptr);
	case 7:
		random_name(v, target);
		return make(v, dir, name, MODE_LNK | 0777, target, nullptr);
	case 8:
		return make_special(v, dir, name);
	case 9:
	case 10:
	case 11:
		return write_somewhere(v, node_of_kind(v, MODE_REG));
	case 12:
		i = node_of_kind(v, MODE_REG);
		return i < 0 ? 0 : truncate_file(v, i, view_random(v) % 60000);
	case 13:
	case 14:
		i = node_of_kind(v, view_random(v) % 2 ? MODE_REG : MODE_LNK);
		return i < 0 ? 0 : remove_node(v, i);
	case 15:
		i = node_of_kind(v, MODE_DIR);
		return i <= 0 ? 0 : remove_directory(v, i);
	case 16:
	case 17:
		i = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
		return i <= 0 ? 0 : rename_somewhere(v, i, dir, name);
	case 18:
		i = node_of_kind(v, MODE_REG);
		return i < 0 ? 0 : link_node(v, i, dir, name);
	default:
		i = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
		return i < 0 ? 0 : set_xattr(v, i);
	}
}

void nodes_reset(void)
{
	for (u32 i = 1; i < nr_nodes; i++)
		if (nodes[i].parent >= 0 && nodes[i].same_as == -1)
			free(nodes[i].data);
	nr_nodes = 1;
	nodes[0] = (struct node){.ino = EXT4_ROOT_INO,
		.mode = MODE_DIR | 0755,
		.parent = 0,
		.same_as = -1};
}
