/* tmpfs's handlers as functions: options from hostile callers, and what a new inode looks like. */
#include "../../../lib/test/tap.h"
#include <stdlib.h>
#include <string.h>
#include <kabi/filesystem.h>
#include <sdk/double.h>

extern const struct filesystem_vtable kabi_vtable_filesystem;
#define FS  (&kabi_vtable_filesystem)
#define CTX (&d.ctx)
static struct sdk_double d;
static struct fs_mount_info info;
static struct fs_inode root;

/* The options lie at the end of memory of their own: a byte read too many is found. No NUL follows.
 */
static answer_t mount_bytes(const char *options, u32 len)
{
	char *copy = malloc(len ? len : 1);
	answer_t a;

	memcpy(copy, options, len);
	memset(&info, 0xee, sizeof(info));
	memset(&root, 0xee, sizeof(root));
	sdk_double_call(&d);
	a = FS->mount(CTX, copy, len, 0, 0, 4096, &info, &root);
	free(copy);
	return a;
}

static answer_t mount(const char *options)
{
	return mount_bytes(options, (u32)strlen(options));
}

static void test_mount(void)
{
	struct fs_mount_info before;
	struct fs_inode root_before;

	CHECK(mount("") == 0 && root.mode == (040000 | 01777) && root.nlink == 2 && root.ino == 1);
	CHECK(!root.uid && !root.gid && !root.size && !root.blocks_512);
	CHECK(info.features == FS_FEATURES_NAMES_RESIDENT && info.block_bytes == 4096 &&
		info.magic == 0x01021994 && info.name_max == 255 && info.next_ino == 2);
	CHECK(!info.total_blocks && !info.memory_percent && !info.total_inodes);
	CHECK(mount("size=1m,nr_inodes=20,mode=700,uid=7,gid=9") == 0 && info.total_blocks == 256 &&
		info.free_blocks == 256 && info.total_inodes == 20 && info.free_inodes == 20 &&
		root.mode == (040000 | 0700) && root.uid == 7 && root.gid == 9);
	before = info;
	root_before = root;
	CHECK(mount("size=1m,nr_inodes=20,mode=700,uid=7,gid=9") == 0 &&
		!memcmp(&before, &info, sizeof(info)) &&
		!memcmp(&root_before, &root, sizeof(root))); /* again: the same */
	CHECK(!d.ctx.nr_needs && !d.log_bytes);
}

static const struct {
	const char *text;
	u64 blocks, inodes;
	u32 percent, mode, uid, gid;
} good[] = {
	{"size=1", 1, 0, 0, 01777, 0, 0},
	{"size=4096", 1, 0, 0, 01777, 0, 0},
	{"size=4097", 2, 0, 0, 01777, 0, 0},
	{"size=64k", 16, 0, 0, 01777, 0, 0},
	{"size=2M", 512, 0, 0, 01777, 0, 0},
	{"size=3g", 3 << 18, 0, 0, 01777, 0, 0},
	{"size=1T", 1ull << 28, 0, 0, 01777, 0, 0},
	{"size=1p", 1ull << 38, 0, 0, 01777, 0, 0},
	{"size=15E", 15ull << 48, 0, 0, 01777, 0, 0},
	{"size=18446744073709551615", 1ull << 52, 0, 0, 01777, 0, 0},
	{"size=0", 0, 0, 0, 01777, 0, 0},
	{"size=20%", 0, 0, 20, 01777, 0, 0},
	{"size=1m,size=300%", 0, 0, 300, 01777, 0, 0},
	{"size=20%,size=8k", 2, 0, 0, 01777, 0, 0},
	{"size=20%,nr_blocks=9", 9, 0, 0, 01777, 0, 0},
	{"nr_blocks=1k", 1024, 0, 0, 01777, 0, 0},
	{"nr_inodes=1k", 0, 1024, 0, 01777, 0, 0},
	{"nr_inodes=0", 0, 0, 0, 01777, 0, 0},
	{"mode=0", 0, 0, 0, 0, 0, 0},
	{"mode=7777", 0, 0, 0, 07777, 0, 0},
	{"mode=00000000755", 0, 0, 0, 0755, 0, 0},
	{"mode=170755", 0, 0, 0, 0755, 0, 0},
	{"uid=4294967294,gid=0", 0, 0, 0, 01777, 4294967294u, 0},
	{"gid=5,uid=6", 0, 0, 0, 01777, 6, 5},
	{"inode64,inode32,noswap", 0, 0, 0, 01777, 0, 0},
	{",,,mode=700,,", 0, 0, 0, 0700, 0, 0},
	{"huge=never", 0, 0, 0, 01777, 0, 0},
};
static const char *const bad[] = {"size", "size=", "size=k", "size=%", "size=0%", "size=x%",
	"size=5k%", "size=4294967296%", "size=1x", "size=-1", "size= 1", "size=1 ",
	"size=18446744073709551616", "size=16E", "size=17179869184G", "nr_blocks",
	"nr_blocks=", "nr_blocks=20%", "nr_blocks=9007199254740992",
	"nr_blocks=18446744073709551615", "nr_inodes=", "nr_inodes=-1", "nr_inodes=1%", "mode",
	"mode=", "mode=8", "mode=-1", "mode=0x1ff", "mode=77777777777777777", "mode=755 ", "uid",
	"uid=", "uid=-1", "uid=4294967295", "uid=4294967296", "uid=99999999999999999999999",
	"gid=4294967295", "gid=root", "huge", "huge=always", "huge=", "mpol=default", "mpol",
	"inode64=1", "noswap=1", "unknown", "unknown=1", "=", "=5", "sizes=1", "siz=1", "Size=1",
	"mode=700,x", "x,mode=700", "size=1;mode=7"};

static void test_options(void)
{
	for (u32 i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(mount(good[i].text) == 0 && info.total_blocks == good[i].blocks &&
			info.free_blocks == good[i].blocks && info.total_inodes == good[i].inodes &&
			info.memory_percent == good[i].percent &&
			root.mode == (040000 | good[i].mode) && root.uid == good[i].uid &&
			root.gid == good[i].gid);
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool refused = mount(bad[i]) == -EINVAL;

		if (!refused)
			printf("# taken: %s\n", bad[i]);
		CHECK(refused);
	}
	CHECK(mount_bytes("size=1m\0", 8) == -EINVAL); /* a NUL is a byte like any other */
	CHECK(mount_bytes("\0", 1) == -EINVAL);
}

/* Any bytes at all: a mount that core can believe, or -EINVAL. */
static void test_any_options(void)
{
	static const char *const words[] = {"size=", "mode=", "nr_blocks=", "uid=", ",", "%", "k",
		"=", "18446744073709551615", "0", "7", "huge=never", "inode64", "\xff"};
	char text[4096];
	u32 random = 1, taken = 0;
	bool believed = true;

	for (u32 i = 0; i < 20000; i++) {
		u32 len = 0;

		for (u32 k = random >> 28; k--;) {
			const char *w;

			random = random * 1664525 + 1013904223;
			w = words[(random >> 16) % (sizeof(words) / sizeof(words[0]))];
			memcpy(text + len, w, strlen(w));
			len += (u32)strlen(w);
		}
		random = random * 1664525 + 1013904223;
		answer_t a = mount_bytes(text, len);

		taken += a == 0;
		believed = believed && (a == 0 || a == -EINVAL);
		believed = believed && (a || (info.block_bytes == 4096 && info.name_max == 255 &&
						     info.free_blocks == info.total_blocks &&
						     root.mode >> 12 == 4));
	}
	CHECK(believed && taken > 100 && taken < 19900);
	memset(text, ',', sizeof(text));
	CHECK(mount_bytes(text, sizeof(text)) == 0);
	memset(text, '9', sizeof(text));
	memcpy(text, "size=", 5);
	CHECK(mount_bytes(text, sizeof(text)) == -EINVAL);
}

static answer_t create(u32 mode, const char *name, u32 target_len, struct fs_inode *made)
{
	const struct fs_create what = {.mode = mode,
		.uid = 1000,
		.gid = 100,
		.rdev = 0x12345,
		.now = {.seconds = 5}};
	static const char target[FS_TARGET_MAX + 8];

	memset(made, 0xee, sizeof(*made));
	sdk_double_call(&d);
	return FS->create(CTX, &root, name, (u32)strlen(name), &what, target, target_len, made);
}

static void test_create(void)
{
	static const u32 types[] = {0100000, 0040000, 0120000, 0020000, 0060000, 0010000, 0140000};
	struct fs_inode made, again;

	mount("");
	for (u32 i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		CHECK(create(types[i] | 0640, "name", 0, &made) == 0 &&
			made.mode == (types[i] | 0640) && made.uid == 1000 && made.gid == 100 &&
			made.rdev == 0x12345 && made.nlink == (types[i] == 0040000 ? 2 : 1) &&
			!made.size && !made.blocks_512 && !made.ino);
		CHECK(create(types[i] | 0640, "name", 0, &again) == 0 &&
			!memcmp(&made, &again, sizeof(made)));
	}
	CHECK(create(0100600, "", 0, &made) == 0 && made.nlink == 0); /* O_TMPFILE */
	CHECK(create(0120777, "link", 4095, &made) == 0 && made.size == 4095);
	CHECK(create(0120777, "link", 4096, &made) == -ENAMETOOLONG);
	CHECK(create(0120777, "link", 0xffffffff, &made) == -ENAMETOOLONG);
	CHECK(!d.ctx.nr_needs);
}

/* Names are core's: nothing to look up, to read or to lose. */
static void test_names(void)
{
	const struct fs_inode file = {.ino = 5, .mode = 0100644, .nlink = 1}, none = {};
	struct fs_usage usage;

	memset(&usage, 0, sizeof(usage));
	for (u32 again = 0; again < 2; again++) {
		CHECK(FS->link(CTX, &root, "a", 1, &file) == 0);
		CHECK(FS->unlink(CTX, &root, "a", 1, &file) == 0);
		CHECK(FS->rename(CTX, &root, "a", 1, &root, "b", 1, &file, &none, 0) == 0);
		CHECK(FS->rename(CTX, &root, "a", 1, &root, "b", 1, &file, &file, 2) == 0);
		CHECK(FS->usage(CTX, &usage) == 0 && !usage.total_blocks);
	}
	CHECK(!FS->lookup && !FS->readdir && !FS->map && !FS->unmount && !FS->evict &&
		!FS->read_inode && !FS->truncate);
	CHECK(!d.ctx.nr_needs && !d.nr_accesses && !d.log_bytes);
}

int main(void)
{
	sdk_double_init(&d, nullptr, 0, 0, 0);
	test_mount();
	test_options();
	test_any_options();
	test_create();
	test_names();
	sdk_double_destroy(&d);
	TAP_END();
}
