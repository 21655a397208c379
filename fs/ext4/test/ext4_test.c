/*
 * ext4's handlers as functions (walkthroughs.md, last part): random operations on images made by
 * mke2fs, with everything in view, with cold views, with answers thrown away; e2fsck must find
 * nothing and debugfs must see the tree that the test remembers. Corrupt images: errors, no crash.
 */
#include "../../../lib/test/tap.h"
#include "view.h"
#include <unistd.h>

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
static struct node nodes[NODES_MAX];
static u32 nr_nodes;
static char work[256];

static int shell(const char *format, ...)
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
static s32 child_named(s32 dir, const char *name)
{
	for (u32 i = 1; i < nr_nodes; i++)
		if (nodes[i].parent == dir && !strcmp(nodes[i].name, name))
			return (s32)i;
	return -1;
}
static s32 owner(s32 i)
{
	return nodes[i].same_as >= 0 ? nodes[i].same_as : i;
}
static struct fs_inode *inode(struct view *v, s32 node)
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

static answer_t make(struct view *v, s32 dir, const char *name, u32 mode, const char *target,
	s32 *out)
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

/* As core does at write-back: ALLOCATE, then the data, then the size. */
static answer_t write_file(struct view *v, s32 node, u64 offset, u64 bytes)
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
		for (s32 k = 0; k < a; k++) {
			if (rows[k].flags || rows[k].file_block != block ||
				rows[k].disk_block + rows[k].nr_blocks > v->nr_blocks) {
				printf("# bad extent\n");
				return -EIO;
			}
			for (u64 i = 0; i < rows[k].nr_blocks; i++, block++) {
				u8 *to = v->disk + (rows[k].disk_block + i) * v->block_bytes;
				u64 at = block * v->block_bytes,
				    n = at < nodes[o].size
						? MIN(nodes[o].size - at, (u64)v->block_bytes)
						: 0;

				if (v->loaded[rows[k].disk_block + i]) {
					free(v->loaded[rows[k].disk_block + i]);
					v->loaded[rows[k].disk_block + i] = nullptr;
				}
				memset(to, 0, v->block_bytes);
				memcpy(to, nodes[o].data + at, n);
			}
		}
	}
	f->size = nodes[o].size;
	return RUN(v, ext4_encode_inode(&v->ctx, f));
}

static answer_t truncate_file(struct view *v, s32 node, u64 size)
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

static answer_t remove_node(struct view *v, s32 i)
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

static answer_t one_step(struct view *v)
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
		return make(v, dir, name, (view_random(v) % 2 ? MODE_CHR : MODE_FIFO) | 0600, "",
			nullptr);
	case 9:
	case 10:
	case 11:
		i = node_of_kind(v, MODE_REG);
		return i < 0 ? 0
			     : write_file(v, i, view_random(v) % 40000, 1 + view_random(v) % 30000);
	case 12:
		i = node_of_kind(v, MODE_REG);
		return i < 0 ? 0 : truncate_file(v, i, view_random(v) % 60000);
	case 13:
	case 14:
		i = node_of_kind(v, view_random(v) % 2 ? MODE_REG : MODE_LNK);
		return i < 0 ? 0 : remove_node(v, i);
	case 15:
		i = node_of_kind(v, MODE_DIR);
		if (i > 0) {
			answer_t a = remove_node(v, i);

			return a == -ENOTEMPTY ? 0 : a;
		}
		return 0;
	case 16:
	case 17:
		i = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
		if (i > 0) {
			s32 other = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
			bool take = other > 0 && view_random(v) % 2;
			answer_t a = rename_node(v, i, take ? nodes[other].parent : dir,
				take ? nodes[other].name : name, view_random(v) % 4 == 0);

			return a == 1 ? 0 : a;
		}
		return 0;
	case 18:
		i = node_of_kind(v, MODE_REG);
		return i < 0 ? 0 : link_node(v, i, dir, name);
	default:
		i = node_of_kind(v, view_random(v) % 3 ? MODE_REG : MODE_DIR);
		return i < 0 ? 0 : set_xattr(v, i);
	}
}

/* --- checks --- */
static void path_of(s32 i, char *out)
{
	if (i == 0) {
		out[0] = 0;
		return;
	}
	path_of(nodes[i].parent, out);
	snprintf(out + strlen(out), 300, "/%s", nodes[i].name);
}

static bool check_dir(struct view *v, s32 dir)
{
	struct fs_inode *d = inode(v, dir);
	struct fs_entry entries[32];
	char names[32 * 256];
	u32 seen = 0, expected = 0;
	u64 cursor = 0;

	for (u32 i = 1; i < nr_nodes; i++)
		expected += nodes[i].parent == dir;
	for (;;) {
		answer_t a = d ? RUN(v, ext4_readdir(&v->ctx, d, cursor, entries, 32, names,
						sizeof(names)))
			       : -EIO;

		if (a < 0)
			return false;
		if (!a)
			break;
		for (s32 k = 0; k < a; k++) {
			char name[256] = {};
			u64 found = 0;
			s32 n;

			memcpy(name, names + entries[k].name_offset, entries[k].name_len);
			cursor = entries[k].next_cursor;
			if (dir == 0 && !strcmp(name, "lost+found"))
				continue;
			n = child_named(dir, name);
			if (n < 0 || nodes[owner(n)].ino != entries[k].ino ||
				MODE_TYPE(nodes[n].mode) != entries[k].mode)
				return false;
			if (RUN(v, ext4_lookup(&v->ctx, d, name, (u32)strlen(name), &found)) != 1 ||
				found != entries[k].ino)
				return false;
			seen++;
		}
	}
	return seen == expected;
}

static bool check_tree(struct view *v)
{
	for (u32 i = 0; i < nr_nodes; i++) {
		struct fs_inode *f;
		char text[400];
		answer_t a;

		if (i && nodes[i].parent < 0)
			continue;
		if (MODE_TYPE(nodes[i].mode) == MODE_DIR && !check_dir(v, (s32)i)) {
			printf("# directory %u differs\n", i);
			return false;
		}
		f = inode(v, (s32)i);
		if (!f || f->mode != nodes[i].mode)
			return false;
		if (MODE_TYPE(nodes[i].mode) == MODE_LNK) {
			a = RUN(v, ext4_readlink(&v->ctx, f, text, sizeof(text)));
			if (a != (answer_t)strlen(nodes[i].target) ||
				memcmp(text, nodes[i].target, (size_t)a))
				return false;
		}
		if (nodes[owner((s32)i)].has_xattr) {
			a = RUN(v, ext4_xattr_get(&v->ctx, f, "user.test", 9, text, sizeof(text)));
			if (a != (answer_t)strlen(nodes[owner((s32)i)].xattr) ||
				memcmp(text, nodes[owner((s32)i)].xattr, (size_t)a)) {
				printf("# attribute: %ld\n", (long)a);
				return false;
			}
		}
	}
	return true;
}

/* debugfs's copy of the tree against what the test remembers. */
static bool check_dump(void)
{
	char path[8192], full[8600];

	shell("rm -rf %s/dump; mkdir %s/dump; debugfs -R 'rdump / %s/dump' %s/out.img >/dev/null "
	      "2>&1",
		work, work, work, work);
	for (u32 i = 1; i < nr_nodes; i++) {
		const struct node *n = &nodes[i], *o;
		FILE *f;
		u8 *data;
		bool same;

		if (n->parent < 0 || MODE_TYPE(n->mode) != MODE_REG)
			continue;
		o = &nodes[owner((s32)i)];
		path_of((s32)i, path);
		if (strlen(path) > 3500)
			continue;
		snprintf(full, sizeof(full), "%s/dump%s", work, path);
		f = fopen(full, "r");
		if (!f) {
			printf("# debugfs has no %s\n", path);
			return false;
		}
		data = malloc(o->size + 1);
		same = fread(data, 1, o->size + 1, f) == o->size &&
		       !memcmp(data, o->data ? o->data : (const u8 *)"", o->size);
		fclose(f);
		free(data);
		if (!same) {
			printf("# contents of %s differ\n", path);
			return false;
		}
	}
	return true;
}

static bool finish(struct view *v, const char *what)
{
	int r;

	view_commit(v, false);
	view_commit(v, true);
	char name[300];

	snprintf(name, sizeof(name), "%s/out.img", work);
	if (!view_save(v, name))
		return false;
	r = shell("e2fsck -fn %s/out.img >%s/fsck.log 2>&1", work, work);
	if (r)
		shell("sed 's/^/# fsck: /' %s/fsck.log | head -30", work);
	printf("# %s: %llu calls, %llu runs, %llu answers lost\n", what,
		(unsigned long long)v->nr_calls, (unsigned long long)v->nr_runs,
		(unsigned long long)v->nr_lost);
	return r == 0;
}

static void nodes_reset(void)
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

static bool image(const char *options)
{
	return !shell("rm -f %s/in.img; truncate -s 48M %s/in.img; mke2fs -q -t ext4 -F %s "
		      "%s/in.img >/dev/null 2>&1",
		work, work, options, work);
}

enum mode { WARM, COLD, LOSSY };
static void random_run(const char *options, enum mode mode, u32 steps, u64 seed)
{
	struct view v;
	answer_t a;
	u32 failed = 0;

	nodes_reset();
	CHECK(image(options));
	char name[300];

	snprintf(name, sizeof(name), "%s/in.img", work);
	CHECK(view_of_image(&v, name));
	v.seed ^= seed * 0x9e3779b97f4a7c15ull;
	v.cold = mode == COLD;
	v.lose_one_in = mode == LOSSY ? 3 : 0;
	a = view_mount(&v, "", 0);
	CHECK(a == 0);
	for (u32 i = 0; i < steps && !a; i++) {
		a = one_step(&v);
		if (a == -ENOSPC || a == -ENOMEM || a == -EEXIST) {
			failed++;
			a = 0;
		}
		if (a)
			printf("# step %u: %ld\n", i, (long)a);
		if (i % 97 == 96)
			view_commit(&v, false);
	}
	CHECK(a == 0);
	CHECK(failed < steps / 4);
	CHECK(check_tree(&v));
	CHECK(finish(&v, options));
	CHECK(check_dump());
	view_free(&v);
}

/* One directory with many names, so that the index gets nodes; then all of them go. */
static void big_directory(const char *options, u32 names)
{
	struct view v;
	struct fs_inode *d;
	answer_t a = 0;
	s32 dir = -1;
	char name[300];
	u64 ino;

	nodes_reset();
	CHECK(image(options));
	snprintf(name, sizeof(name), "%s/in.img", work);
	CHECK(view_of_image(&v, name));
	CHECK(view_mount(&v, "", 0) == 0);
	CHECK(make(&v, 0, "big", MODE_DIR | 0755, "", &dir) == 0);
	CHECK(make(&v, 0, "one", MODE_REG | 0644, "", nullptr) == 0);
	d = inode(&v, dir);
	for (u32 i = 0; i < names && !a; i++) {
		struct fs_inode *f = inode(&v, child_named(0, "one"));

		snprintf(name, sizeof(name), "name-%u-%0*u", i * 7919, 1 + (int)(i % 60), i);
		f->nlink = MIN(f->nlink, 30000u);
		a = RUN(&v, ext4_link(&v.ctx, d, name, (u32)strlen(name), f));
		if (i % 500 == 0)
			view_commit(&v, false);
	}
	CHECK(a == 0);
	for (u32 i = 0; i < names && !a; i++) {
		snprintf(name, sizeof(name), "name-%u-%0*u", i * 7919, 1 + (int)(i % 60), i);
		a = RUN(&v, ext4_lookup(&v.ctx, d, name, (u32)strlen(name), &ino)) == 1 ? 0
											: -ENOENT;
	}
	CHECK(a == 0);
	if (names < 30000)
		CHECK(finish(&v, "big directory"));
	for (u32 i = 0; i < names && !a; i++) {
		snprintf(name, sizeof(name), "name-%u-%0*u", i * 7919, 1 + (int)(i % 60), i);
		a = RUN(&v, ext4_unlink(&v.ctx, d, name, (u32)strlen(name),
				    inode(&v, child_named(0, "one"))));
	}
	CHECK(a == 0);
	CHECK(inode(&v, child_named(0, "one"))->nlink == 1 || names >= 30000);
	CHECK(remove_node(&v, dir) == 0);
	CHECK(names >= 30000 || finish(&v, "big directory, emptied"));
	view_free(&v);
}

/* Blocks in no order: a deep extent tree; then holes, preallocation, conversion, truncation. */
static void extents(const char *options)
{
	struct view v;
	answer_t a = 0;
	s32 file = -1;
	char name[300];

	nodes_reset();
	CHECK(image(options));
	snprintf(name, sizeof(name), "%s/in.img", work);
	CHECK(view_of_image(&v, name));
	CHECK(view_mount(&v, "", 0) == 0);
	CHECK(make(&v, 0, "file", MODE_REG | 0644, "", &file) == 0);
	for (u32 i = 0; i < 1500 && !a; i++)
		a = write_file(&v, file, (view_random(&v) % 3000) * 2 * v.block_bytes + 17, 100);
	CHECK(a == 0);
	CHECK(finish(&v, "scattered"));
	CHECK(check_dump());
	v.lose_one_in = 3;
	for (u32 i = 0; i < 60 && !a; i++) {
		struct fs_inode *f = inode(&v, file);
		u64 first = view_random(&v) % 2000 * v.block_bytes,
		    n = (1 + view_random(&v) % 60) * v.block_bytes;

		if (i % 2) {
			a = RUN(&v, ext4_fallocate(&v.ctx, f, 1, first, n));
			if (!a)
				a = write_file(&v, file, first + v.block_bytes / 2, n / 2);
		} else {
			a = RUN(&v, ext4_fallocate(&v.ctx, f, 3, first, n));
			if (first < nodes[file].size)
				memset(nodes[file].data + first, 0,
					MIN(n, nodes[file].size - first));
		}
	}
	CHECK(a == 0);
	CHECK(finish(&v, "holes"));
	CHECK(check_dump());
	CHECK(truncate_file(&v, file, 1234567) == 0);
	CHECK(finish(&v, "truncated"));
	CHECK(check_dump());
	CHECK(remove_node(&v, file) == 0);
	CHECK(finish(&v, "removed"));
	view_free(&v);
}

/* Every handler over damaged metadata: any answer, no crash (the sanitizers watch). */
static void corrupt(const char *options, u32 rounds)
{
	u32 mounted = 0, errors = 0;
	char name[300];

	snprintf(name, sizeof(name), "%s/out.img", work);
	nodes_reset();
	CHECK(image(options));
	snprintf(name, sizeof(name), "%s/in.img", work);
	for (u32 round = 0; round < rounds; round++) {
		struct view v;

		CHECK_QUIET(view_of_image(&v, name));
		v.quiet = true;
		v.seed ^= (round + 1) * 0x9e3779b97f4a7c15ull;
		nodes_reset();
		if (round % 4 == 0) { /* before the mount, and the superblock */
			v.disk[1024 + view_random(&v) % 400] ^= (u8)(1u << view_random(&v) % 8);
			if (view_random(&v) % 2)
				v.disk[1024 + 0x64] &= (u8)~4; /* and no checksum says so */
		}
		if (view_mount(&v, "", 0) == 0) {
			mounted++;
			for (u32 i = 0; i < 120; i++)
				if (one_step(&v) < 0)
					errors++;
			/* now anywhere in what is metadata, again and again */
			for (u32 i = 0; i < 120; i++) {
				u64 block = view_random(&v) % 3 ? view_random(&v) % 600
								: view_random(&v) % v.nr_blocks;

				for (u32 k = 0; k < 6; k++)
					v.disk[block * v.block_bytes +
						view_random(&v) % v.block_bytes] ^=
						(u8)view_random(&v);
				free(v.loaded[block]);
				v.loaded[block] = nullptr;
				if (view_random(&v) %
					2) { /* not read anew: its checksum is believed */
					v.verified[block] = 1;
				} else {
					v.verified[block] = 0;
				}
				for (u32 k = 0; k < 3; k++)
					if (one_step(&v) < 0)
						errors++;
				if (i % 10 == 0)
					check_tree(&v);
			}
			view_commit(&v, true);
		}
		view_free(&v);
	}
	printf("# corrupt: %u of %u mounted, %u calls failed\n", mounted, rounds, errors);
	CHECK(errors > rounds);
}

static void refusals(void)
{
	static const struct {
		const char *change; /* debugfs commands */
		u32 flags;
		answer_t answer;
		const char *options;
	} cases[] = {
		{"feature needs_recovery", 0, -EROFS, ""},
		{"feature needs_recovery", 1, -EROFS, ""},
		{"feature needs_recovery", 1, 0, "noload"},
		{"feature casefold", 0, -EINVAL, ""},
		{"set_super_value feature_ro_compat 0x8000046b", 0, -EROFS, ""},
		{"set_super_value feature_ro_compat 0x8000046b", 1, 0, ""},
		{"show_super_stats", 0, -EINVAL, ""},
		{"show_super_stats", 0, -EINVAL, "nosuchoption"},
		{"show_super_stats", 0, 0, "errors=remount-ro"},
	};
	char name[300];

	snprintf(name, sizeof(name), "%s/in.img", work);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view v;
		answer_t a;

		CHECK_QUIET(image(""));
		shell("debugfs -w -R '%s' %s/in.img >/dev/null 2>&1", cases[i].change, work);
		CHECK_QUIET(view_of_image(&v, name));
		v.quiet = true;
		if (cases[i].answer == -EINVAL && !cases[i].options[0] && i == 6)
			v.disk[1024 + 56] = 0;
		a = view_mount(&v, cases[i].options, cases[i].flags);
		if (a != cases[i].answer)
			printf("# %s: %ld\n", cases[i].change, (long)a);
		CHECK(a == cases[i].answer);
		view_free(&v);
	}
}

int main(int argc, char **argv)
{
	static const char *const images[] = {"", "-b 1024", "-O ^metadata_csum,uninit_bg",
		"-b 2048 -O ^metadata_csum,^64bit -I 256", "-b 1024 -O ^flex_bg,^64bit -I 128"};
	u64 seed = argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;

	setvbuf(stdout, nullptr, _IOLBF, 0);
	snprintf(work, sizeof(work), "%s/umka-ext4.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (shell("mke2fs -V >/dev/null 2>&1 && e2fsck -V >/dev/null 2>&1") || !mkdtemp(work)) {
		printf("1..0 # SKIP no e2fsprogs\n");
		return 0;
	}
	refusals();
	for (u32 i = 0; i < ARRAY_SIZE(images); i++) {
		random_run(images[i], WARM, 1500, seed + i);
		random_run(images[i], COLD, 400, seed + 100 + i);
		random_run(images[i], LOSSY, 900, seed + 200 + i);
	}
	big_directory("", 5000);
	big_directory("-b 1024", 12000);
	extents("");
	extents("-b 1024");
	corrupt("", 12);
	corrupt("-b 1024 -O ^metadata_csum,^64bit", 24);
	nodes_reset();
	shell("rm -rf %s", work);
	TAP_END();
}
