/*
 * ext4's handlers as functions (walkthroughs.md, last part): random operations on images made by
 * mke2fs, with everything in view, with cold views, with answers thrown away; e2fsck must find
 * nothing and debugfs must see the tree that the test remembers. Corrupt images: errors, no crash.
 */
#include "../../../lib/test/tap.h"
#include "model.h"
#include <unistd.h>

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

static u32 steps_that_fail(struct view *v, u32 steps)
{
	u32 failed = 0;

	while (steps--)
		failed += one_step(v) < 0;
	return failed;
}

/* Some bytes of one block, likely of metadata. Half of them are not read anew: their checksum is
 * believed. */
static void damage(struct view *v)
{
	u64 block = view_random(v) % 3 ? view_random(v) % 600 : view_random(v) % v->nr_blocks;

	for (u32 k = 0; k < 6; k++)
		v->disk[block * v->block_bytes + view_random(v) % v->block_bytes] ^=
			(u8)view_random(v);
	free(v->loaded[block]);
	v->loaded[block] = nullptr;
	v->verified[block] = view_random(v) % 2;
}

/* Every handler over damaged metadata: any answer, no crash (the sanitizers watch). */
static void corrupt(const char *options, u32 rounds)
{
	u32 mounted = 0, errors = 0;
	char name[300];

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
			errors += steps_that_fail(&v, 120);
			/* now anywhere in what is metadata, again and again */
			for (u32 i = 0; i < 120; i++) {
				damage(&v);
				errors += steps_that_fail(&v, 3);
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
