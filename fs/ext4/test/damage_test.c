/*
 * Damaged images: each round damages one structure (damage.h) and then walks and changes all that
 * can be reached. Any answer is good; a crash, a run of the sanitizers' or a round that does not
 * end is not. damage_test [FIRST [ROUNDS]]: seeds.
 */
#include "view.h"
#include "damage.h"
#include "../../../lib/test/tap.h"
#include <stdlib.h>
#include <unistd.h>

#define ROUND_SECONDS 120u
#define VISITS_MAX    700u

struct walk {
	struct view *v;
	u32 visits;
	u64 errors;
	u8 *seen;
};

/* Errors that an undamaged image gives too are none. */
static void note(struct walk *w, answer_t a)
{
	if (a == -ENODATA || a == -ENOTEMPTY || a == -EEXIST)
		return;
	w->errors += a != ANSWER_MORE && answer_is_error(a);
}

static void touch_file(struct walk *w, struct fs_inode *f)
{
	struct fs_extent_row rows[8];
	struct view *v = w->v;
	u64 block = 0;

	for (u32 i = 0; i < 100; i++) {
		answer_t a = RUN(v, ext4_map(&v->ctx, f, block, UINT32_MAX - block, 0, rows, 8));

		note(w, a);
		if (a < 1 || rows[a - 1].file_block + rows[a - 1].nr_blocks >= UINT32_MAX)
			break;
		block = rows[a - 1].file_block + rows[a - 1].nr_blocks;
	}
	note(w, RUN(v, ext4_map(&v->ctx, f, view_random(v) % 900, 5, 2, rows, 8)));
	if (view_random(v) % 4 == 0)
		note(w, RUN(v, ext4_fallocate(&v->ctx, f, view_random(v) % 2 ? 1 : 3,
				       view_random(v) % 100000, 20000)));
	if (view_random(v) % 4 == 0)
		note(w, RUN(v, ext4_truncate(&v->ctx, f, view_random(v) % 100000)));
}

static void touch_inode(struct walk *w, struct fs_inode *f)
{
	struct view *v = w->v;
	char text[4096];

	note(w, RUN(v, ext4_xattr_list(&v->ctx, f, text, sizeof(text))));
	note(w, RUN(v, ext4_xattr_get(&v->ctx, f, "user.large", 10, text, sizeof(text))));
	if (view_random(v) % 3 == 0)
		note(w, RUN(v, ext4_xattr_set(&v->ctx, f, "user.small", 10, "changed", 7, 0)));
	note(w, RUN(v, ext4_encode_inode(&v->ctx, f)));
	if (MODE_TYPE(f->mode) == MODE_REG)
		touch_file(w, f);
	else if (MODE_TYPE(f->mode) == MODE_LNK)
		note(w, RUN(v, ext4_readlink(&v->ctx, f, text, sizeof(text))));
}

static void change_dir(struct walk *w, struct fs_inode *dir, const char *name, u32 len)
{
	static const u32 modes[] = {MODE_REG | 0644, MODE_DIR | 0755, MODE_FIFO | 0600};
	struct fs_create what = {.mode = modes[view_random(w->v) % 3]};
	struct fs_inode made = {}, none = {}, *f;
	struct view *v = w->v;
	char fresh[32];
	answer_t a;
	u64 ino;

	snprintf(fresh, sizeof(fresh), "fresh-%u", w->visits);
	note(w, RUN(v, ext4_create(&v->ctx, dir, fresh, (u32)strlen(fresh), &what, "", 0, &made)));
	a = RUN(v, ext4_lookup(&v->ctx, dir, name, len, &ino));
	note(w, a);
	f = a == 1 ? view_inode(v, ino, &a) : nullptr;
	if (!f)
		return;
	if (view_random(v) % 2) {
		note(w, RUN(v, ext4_rename(&v->ctx, dir, name, len, dir, "renamed", 7, f, &none,
				       0)));
		return;
	}
	a = RUN(v, ext4_unlink(&v->ctx, dir, name, len, f));
	note(w, a);
	if (!a && !f->nlink)
		note(w, RUN(v, ext4_evict(&v->ctx, f)));
}

static void visit(struct walk *w, u64 ino, u32 depth)
{
	struct fs_entry entries[16];
	struct view *v = w->v;
	char names[16 * 256];
	struct fs_inode *dir;
	u64 cursor = 0;
	answer_t a;

	if (ino >= v->nr_inodes || w->seen[ino] || w->visits++ > VISITS_MAX)
		return;
	w->seen[ino] = 1;
	dir = view_inode(v, ino, &a);
	note(w, dir ? 0 : a);
	if (!dir)
		return;
	touch_inode(w, dir);
	if (MODE_TYPE(dir->mode) != MODE_DIR || depth > 12)
		return;
	for (u32 rounds = 0; rounds < 60; rounds++) {
		a = RUN(v, ext4_readdir(&v->ctx, dir, cursor, entries, 16, names, sizeof(names)));
		note(w, a);
		if (a < 1)
			break;
		if (a > 16)
			abort();
		for (u32 i = 0; i < (u32)a; i++) {
			if ((u32)entries[i].name_offset + entries[i].name_len > sizeof(names))
				abort();
			visit(w, entries[i].ino, depth + 1);
		}
		cursor = entries[a - 1].next_cursor;
		if (rounds % 4 == 0)
			change_dir(w, dir, names + entries[0].name_offset, entries[0].name_len);
	}
}

static bool damaged_round(struct damage *d, const char *image, u64 seed, u64 *errors)
{
	enum damage_kind kind;
	struct walk w = {};
	struct view v;
	answer_t a;

	if (!view_of_image(&v, image))
		return false;
	v.quiet = true;
	kind = seed ? damage_one(d, v.disk, seed) : DAMAGE_KINDS;
	v.seed ^= seed * 0x9e3779b97f4a7c15ull;
	v.cold = seed % 2;
	alarm(ROUND_SECONDS);
	a = view_mount(&v, "", 0);
	if (!a) {
		w = (struct walk){.v = &v, .seen = calloc(v.nr_inodes, 1)};
		visit(&w, EXT4_ROOT_INO, 0);
		view_commit(&v, false);
		view_commit(&v, true);
		free(w.seen);
	}
	alarm(0);
	*errors += w.errors + (a != 0);
	if (getenv("DAMAGE_VERBOSE"))
		printf("# %llu: %s: mount %ld, %u visits, %llu errors\n", (unsigned long long)seed,
			seed ? damage_names[kind] : "nothing", (long)a, w.visits,
			(unsigned long long)w.errors);
	view_free(&v);
	return true;
}

static void damaged(const char *options, u32 mebibytes, u64 first, u32 rounds)
{
	char command[600], image[] = "/tmp/umka-damage.XXXXXX";
	struct damage *d = malloc(sizeof(*d));
	struct view pristine;
	u64 errors = 0;
	u32 done = 0;

	close(mkstemp(image));
	snprintf(command, sizeof(command), "%s/populate.sh %s %u -O ^has_journal,^orphan_file %s",
		TEST_DIR, image, mebibytes, options);
	CHECK(system(command) == 0);
	CHECK(view_of_image(&pristine, image));
	damage_begin(d, pristine.disk, pristine.disk_bytes);
	for (u32 k = 0; k < DAMAGE_KINDS; k++)
		CHECK_QUIET(d->nr[k] > 0);
	CHECK(damaged_round(d, image, 0, &errors) && !errors); /* seed 0: as it was made */
	while (done < rounds && damaged_round(d, image, first + done, &errors))
		done++;
	CHECK(done == rounds && errors > rounds / 4);
	printf("# \"%s\": %u images from seed %llu on, %llu calls failed\n", options, done,
		(unsigned long long)first, (unsigned long long)errors);
	view_free(&pristine);
	free(d);
	unlink(image);
}

int main(int argc, char **argv)
{
	u64 first = argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;
	u32 rounds = argc > 2 ? (u32)atoi(argv[2]) : 120;

	setvbuf(stdout, nullptr, _IOLBF, 0);
	if (system("mke2fs -V >/dev/null 2>&1 && debugfs -V >/dev/null 2>&1")) {
		printf("1..0 # SKIP no e2fsprogs\n");
		return 0;
	}
	damaged("-b 1024 -O ^metadata_csum,uninit_bg", 4, first, rounds);
	damaged("-b 4096 -O ^metadata_csum", 12, first, rounds);
	damaged("-b 1024", 4, first, rounds);
	TAP_END();
}
