/* An image against what the test remembers: by the handlers, e2fsck and debugfs. */
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

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

bool check_tree(struct view *v)
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
bool check_dump(void)
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

bool finish(struct view *v, const char *what)
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
