/* initramfs_unpack against archives that are cut, changed, and of no known kind: an error or files,
 * never a fault. What is compressed here is the archive that make_archive() makes. */
#include <core/init.h>
#include <host_test.h>

#define ARCHIVE_MAX 2048u
#define AT_FDCWD    (-100)

/* gzip -9n, xz -0 --check=crc32, zstd -3 --check */
// clang-format off
static const u8 packed_gzip[] = {
	0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x33, 0x30, 0x37, 0x30,
	0x37, 0x30, 0x34, 0x80, 0x00, 0x30, 0x6d, 0x62, 0xe8, 0xea, 0x62, 0x80, 0x1d, 0x18,
	0x1a, 0x90, 0x07, 0x2c, 0x60, 0x8c, 0xa2, 0xc4, 0xdc, 0x92, 0xd4, 0xe2, 0x12, 0x06,
	0x06, 0x06, 0x03, 0x64, 0x7b, 0x8d, 0xc0, 0x8a, 0x0c, 0x1d, 0x4d, 0x88, 0xb3, 0xd7,
	0x82, 0x58, 0x7b, 0x1d, 0xd1, 0xec, 0xd5, 0x4f, 0x63, 0xc8, 0x48, 0xcd, 0xc9, 0xc9,
	0x57, 0xc8, 0xcc, 0xcb, 0x2c, 0x01, 0x8a, 0xa5, 0x15, 0x73, 0xd1, 0x9b, 0x6f, 0x80,
	0x11, 0xde, 0x78, 0x00, 0xb9, 0xe1, 0xed, 0x04, 0x63, 0x84, 0x04, 0x39, 0x7a, 0xfa,
	0xb8, 0x06, 0x29, 0x2a, 0x2a, 0x02, 0x83, 0x9c, 0x01, 0x00, 0x0e, 0x81, 0x52, 0x45,
	0xec, 0x01, 0x00, 0x00};
static const u8 packed_xz[] = {
	0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00,
	0x21, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x8f, 0x98, 0x41, 0x9c, 0xe0, 0x01, 0xeb, 0x00,
	0x5d, 0x5d, 0x00, 0x18, 0x0d, 0xdd, 0x04, 0x62, 0x32, 0xf9, 0x75, 0x0b, 0x6a, 0xed,
	0x97, 0xd4, 0xcb, 0x4d, 0x74, 0xab, 0xcd, 0xee, 0x8c, 0x0c, 0x28, 0xdf, 0x88, 0x58,
	0x6e, 0xff, 0x62, 0x4c, 0xc2, 0xc8, 0xd9, 0x28, 0x5b, 0x83, 0x55, 0x92, 0x7a, 0x59,
	0x9b, 0xed, 0x02, 0x23, 0xaa, 0xa5, 0x61, 0x2f, 0x58, 0x95, 0x74, 0xd9, 0x3f, 0xee,
	0xae, 0x7e, 0x68, 0x8f, 0xdc, 0xcc, 0xee, 0x96, 0x00, 0x29, 0xde, 0xc3, 0xe1, 0x65,
	0x51, 0x37, 0x93, 0xf3, 0x1f, 0x72, 0x3e, 0x0e, 0x79, 0x4c, 0x5b, 0xea, 0x9e, 0x71,
	0x65, 0x4f, 0x7e, 0x3a, 0x9f, 0x12, 0x57, 0xbc, 0xa1, 0x91, 0xe4, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x0e, 0x81, 0x52, 0x45, 0x00, 0x01, 0x75, 0xec, 0x03, 0x00, 0x00, 0x00,
	0x9f, 0xcd, 0x2b, 0x67, 0x3e, 0x30, 0x0d, 0x8b, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	0x59, 0x5a};
static const u8 packed_zstd[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x75, 0x03, 0x00, 0x14, 0x04, 0x30, 0x37, 0x30,
	0x37, 0x30, 0x31, 0x30, 0x34, 0x31, 0x45, 0x44, 0x38, 0x30, 0x72, 0x61, 0x6d, 0x74,
	0x65, 0x73, 0x74, 0x00, 0x00, 0x00, 0x32, 0x38, 0x31, 0x41, 0x34, 0x38, 0x41, 0x2f,
	0x66, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x69, 0x6e, 0x69, 0x74, 0x72, 0x61,
	0x6d, 0x66, 0x73, 0x0a, 0x31, 0x42, 0x54, 0x52, 0x41, 0x49, 0x4c, 0x45, 0x52, 0x21,
	0x21, 0x21, 0x00, 0x00, 0x00, 0x00, 0x13, 0x00, 0x4d, 0x11, 0x02, 0x40, 0x00, 0x3a,
	0xc8, 0x05, 0xc0, 0x7a, 0x7b, 0x73, 0x84, 0x6d, 0x66, 0x1a, 0x40, 0x27, 0x41, 0x79,
	0x83, 0x27, 0x08, 0xee, 0x1e, 0x0e, 0x02, 0x19, 0x06, 0x62, 0x2c, 0x45, 0x00, 0x48,
	0x00, 0x82, 0x56, 0x2e, 0x18, 0x80, 0x11, 0xfb, 0x8d, 0x74, 0xc5};
// clang-format on

static u8 archive[ARCHIVE_MAX];
static size_t archive_bytes;

static void put(const void *from, size_t bytes)
{
	if (archive_bytes + bytes > sizeof(archive))
		panic("the test's archive is too small");
	memcpy(archive + archive_bytes, from, bytes);
	archive_bytes += bytes;
}

static void pad(void)
{
	static const u8 zero[4];

	put(zero, -archive_bytes & 3);
}

/* cpio(5), new ASCII format. name_bytes and bytes are what the header says. */
static void put_entry(const char *name, u32 name_bytes, u32 mode, u32 ino, const char *data,
	u32 bytes)
{
	const u32 field[13] = {ino, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, name_bytes, 0};
	char text[16];

	put("070701", 6);
	for (u32 i = 0; i < ARRAY_SIZE(field); i++) {
		snprintf(text, sizeof(text), "%08X", field[i]);
		put(text, 8);
	}
	put(name, strlen(name) + 1);
	pad();
	put(data, strlen(data));
	pad();
}

static void put_file(const char *name, u32 mode, u32 ino, const char *data)
{
	put_entry(name, (u32)strlen(name) + 1, mode, ino, data, (u32)strlen(data));
}

#define LINE "hello initramfs\n"
static void make_archive(void)
{
	archive_bytes = 0;
	put_file("ramtest", 040755, 1, "");
	put_file("ramtest/f", 0100644, 2, LINE LINE LINE LINE LINE LINE LINE LINE);
	put_file("TRAILER!!!", 0, 1, "");
}

static void forget(void)
{
	sys(SYS_unlinkat, AT_FDCWD, ustr("/ramtest/f"), 0);
	sys(SYS_unlinkat, AT_FDCWD, ustr("/ramtest"), 0x200 /* AT_REMOVEDIR */);
}

static bool file_is_whole(void)
{
	vaddr_t page = user_alloc(PAGE_BYTES);
	sword_t fd = sys(SYS_openat, AT_FDCWD, ustr("/ramtest/f"), 0), n = -1;
	char text[16 * 8 + 1] = "";

	if (fd >= 0) {
		n = sys(SYS_read, fd, page, PAGE_BYTES);
		if (n == 16 * 8)
			user_get(text, page, 16 * 8);
		sys(SYS_close, fd);
	}
	sys(SYS_munmap, page, PAGE_BYTES);
	return n == 16 * 8 && !strcmp(text, LINE LINE LINE LINE LINE LINE LINE LINE);
}

/* A copy that ends where its memory does: a byte read too many is found. */
static int unpack(const u8 *data, size_t bytes)
{
	u8 *copy = kmalloc(bytes ? bytes : 1);
	int error;

	if (!copy)
		panic("no memory for the test");
	memcpy(copy, data, bytes);
	error = initramfs_unpack(copy, bytes);
	kfree(copy);
	return error;
}

/* Good; cut anywhere; a byte changed anywhere. `sealed`: the format has a sum over its contents. An
 * unpacking of what is packed begins with megabytes of room for it, so there a run takes every
 * STEP-th place, by its seed. */
#define STEP 6u
static void try_all(const u8 *good, size_t bytes, bool sealed)
{
	u8 *bad = kmalloc(bytes);
	u32 nr_seen = 0, step = sealed ? STEP : 1;

	CHECK_EQ(unpack(good, bytes), 0);
	CHECK(file_is_whole());
	forget();
	for (size_t n = 1 + host_dice(step); n < bytes; n += step) {
		int error = unpack(good, n);

		nr_seen += error != 0;
		if (sealed && n + 8 < bytes)
			CHECK(error < 0);
		forget();
	}
	CHECK(nr_seen > bytes / step / 2);
	nr_seen = 0;
	for (size_t i = host_dice(step); bad && i < bytes; i += step) {
		memcpy(bad, good, bytes);
		bad[i] ^= (u8)(1 + host_dice(255));
		/* Without a seal a changed byte can be another archive; with one what is unpacked
		 * is what was packed. */
		if (unpack(bad, bytes) < 0)
			nr_seen++;
		else if (sealed)
			CHECK(file_is_whole());
		forget();
	}
	CHECK(!sealed || nr_seen > bytes / step / 2);
	kfree(bad);
}

HOST_TEST(initramfs_plain)
{
	make_archive();
	try_all(archive, archive_bytes, false);
}

HOST_TEST(initramfs_gzip)
{
	try_all(packed_gzip, sizeof(packed_gzip), true);
}

HOST_TEST(initramfs_xz)
{
	try_all(packed_xz, sizeof(packed_xz), true);
}

HOST_TEST(initramfs_zstd)
{
	try_all(packed_zstd, sizeof(packed_zstd), true);
}

HOST_TEST(initramfs_other_compressions)
{
	static const u8 others[][8] = {{'B', 'Z', 'h', '9'}, {0x5d, 0, 0, 0x80},
		{0x89, 'L', 'Z', 'O'}, {0x02, 0x21, 0x4c, 0x18}};

	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		CHECK_EQ(unpack(others[i], sizeof(others[i])), -ENOSYS);
	CHECK_EQ(unpack((const u8 *)"nonsense", 8), -ENOSYS);
	CHECK_EQ(unpack((const u8 *)"\0\0\0\0", 4), 0); /* nothing at all */
	CHECK_EQ(unpack((const u8 *)"0", 1), -ENOSYS);
}

/* Sizes and names that lie. */
HOST_TEST(initramfs_lying_headers)
{
	static const u32 sizes[] = {1, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
	static char longest[4200];

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		archive_bytes = 0;
		put_entry("ramtest", 8, 0100644, 1, "", sizes[i]); /* more data than there is */
		CHECK_EQ(unpack(archive, archive_bytes), -EINVAL);
		archive_bytes = 0;
		put_entry("ramtest", sizes[i], 0100644, 1, "",
			0); /* an endless name, or one without end */
		CHECK_EQ(unpack(archive, archive_bytes), -EINVAL);
	}
	archive_bytes = 0;
	put_entry("ramtest", 0, 0100644, 1, "", 0);
	CHECK_EQ(unpack(archive, archive_bytes), -EINVAL);
	/* Above the root there is the root; bad types and places are entries that fail, and the
	 * rest comes. */
	archive_bytes = 0;
	put_file("../../../ramtest", 040755, 1, "");
	put_file("ramtest/../../ramtest/./f", 0100644, 2, LINE LINE LINE LINE LINE LINE LINE LINE);
	put_file("", 0100644, 3, "x");
	put_file("/", 0100644, 4, "x");
	put_file("ramtest", 0100644, 5, "x");
	put_file("ramtest/f/g", 0100644, 6, "x");
	put_file("nowhere/at/all", 0100644, 7, "x");
	put_file("ramtest/type", 0170644, 8, "");
	put_file("TRAILER!!!", 0, 1, "");
	CHECK_EQ(unpack(archive, archive_bytes), 0);
	CHECK(file_is_whole());
	forget();
	memset(longest, 'n', sizeof(longest) - 1);
	u8 *big = kmalloc(8192);

	for (u32 n = 4090; n < 4100; n++) { /* around PATH_MAX */
		char field[16];

		memset(big, 0, 8192);
		memcpy(big, "070701", 6);
		memset(big + 6, '0', 104);
		snprintf(field, sizeof(field), "%08X", n);
		memcpy(big + 6 + 8 * 11, field, 8);
		memcpy(big + 6 + 8, "000081A4", 8);
		memcpy(big + 110, longest, n - 1);
		CHECK(unpack(big, ALIGN_UP(110 + n, 4u)) <= 0);
	}
	kfree(big);
}
