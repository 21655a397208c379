#include <lib/bitmap.h>
#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <lib/string.h>
#include "tap.h"

static void test_copies(void)
{
	u8 a[96], b[96], model[96];

	for (size_t n = 0; n < 64; n++) {
		for (size_t shift = 0; shift < 16; shift++) {
			for (size_t i = 0; i < sizeof(a); i++)
				a[i] = model[i] = (u8)(i * 7 + n);
			memset(b, 0, sizeof(b));
			memcpy(b + shift, a + 3, n);
			for (size_t i = 0; i < sizeof(b); i++)
				CHECK_QUIET(b[i] ==
					    (i >= shift && i < shift + n ? a[3 + i - shift] : 0));
			memmove(a + shift, a + 8, n);
			for (size_t i = 0; i < n; i++)
				CHECK_QUIET(a[shift + i] == (u8)((8 + i) * 7 + n));
			memset(a + shift, 0x5a, n);
			for (size_t i = 0; i < sizeof(a); i++)
				CHECK_QUIET(i < shift || i >= shift + n || a[i] == 0x5a);
		}
	}
	CHECK(memcmp("abcdefghX", "abcdefghY", 9) < 0);
	CHECK(memcmp("abcdefgh\xff", "abcdefgh\x01", 9) > 0);
	CHECK(memcmp("same", "same", 4) == 0);
	CHECK(memchr("hello", 'l', 5) != nullptr && memchr("hello", 'z', 5) == nullptr);
}

static void test_strings(void)
{
	char buf[4];
	u64 v;

	CHECK(strlcpy(buf, "abcdef", sizeof(buf)) == 6 && strcmp(buf, "abc") == 0);
	CHECK(strncmp("abc", "abd", 2) == 0 && strncmp("abc", "abd", 3) < 0);
	CHECK(strcmp(strrchr("a/b/c", '/'), "/c") == 0);
	CHECK(strcmp(strstr("one two", "two"), "two") == 0 && !strstr("one", "two"));
	CHECK(parse_u64("18446744073709551615", 20, &v) && v == ~0ull);
	CHECK(!parse_u64("18446744073709551616", 20, &v));
	CHECK(parse_u64("0xfF", 4, &v) && v == 255);
	CHECK(!parse_u64("12z", 3, &v) && !parse_u64("", 0, &v) && !parse_u64("0x", 2, &v));
}

#define FORMATS(expected, ...)                                                                     \
	(snprintf(buf, sizeof(buf), __VA_ARGS__) == (int)strlen(expected) &&                       \
		strcmp(buf, expected) == 0)
static void test_formats(void)
{
	char buf[128];

	CHECK(FORMATS("-42 42 2a 2A 052", "%d %u %x %X %#o", -42, 42u, 42, 42, 42));
	CHECK(FORMATS("-9223372036854775808", "%lld", (long long)INT64_MIN));
	CHECK(FORMATS("    7|7    |00007|+7", "%5d|%-5d|%05d|%+d", 7, 7, 7, 7));
	CHECK(FORMATS("0x0000beef", "%#010x", 0xbeef));
	CHECK(FORMATS("ab|  ab|ab  ", "%.2s|%4s|%-4s", "abc", "ab", "ab"));
	CHECK(FORMATS("-1 255", "%hhd %hhu", 0xff, 0xff));
	CHECK(FORMATS("0x10 100% c", "%p 100%% %c", (void *)16, 'c'));
	CHECK(FORMATS("   3|  007|", "%*d|%*.3d|%.0d", 4, 3, 5, 7, 0));
	CHECK(snprintf(buf, 4, "abcdef") == 6 && strcmp(buf, "abc") == 0);
	CHECK(snprintf(nullptr, 0, "%s", "12345") == 5);
}

static void test_bitmap(void)
{
	word_t map[3] = {0};

	CHECK(bitmap_next_set(map, 130, 0) == 130);
	bitmap_set(map, 129);
	CHECK(bitmap_next_set(map, 130, 5) == 129 && bitmap_next_set(map, 129, 5) == 129);
	memset(map, 0xff, sizeof(map));
	bitmap_clear(map, 70);
	CHECK(bitmap_next_zero(map, 130, 0) == 70 && bitmap_next_zero(map, 130, 71) == 130);
	CHECK(hash_string(0, "a") != hash_string(0, "b"));
}

static void test_cpio(void)
{
	static const char good[] = "07070100000001000081A400000000000000000000000100000000000000030"
				   "000000000000000000000000000000000000002"
				   "00000000a\0"
				   "xyz\0"
				   "070701000000000000000000000000000000000000000100000000000000000"
				   "00000000000000000000000000000000000000B"
				   "00000000TRAILER!!!\0\0\0\0";
	struct cpio_reader r = {(const u8 *)good, sizeof(good) - 1, 0};
	struct cpio_entry e;

	CHECK(cpio_next(&r, &e) == 1 && strcmp(e.name, "a") == 0 && e.size_bytes == 3 &&
		memcmp(e.data, "xyz", 3) == 0);
	CHECK(e.mode == 0100644);
	CHECK(cpio_next(&r, &e) == 0);
	/* Every truncation and every damaged byte ends without a read outside (the sanitizer
	 * watches a heap copy). */
	for (size_t n = 0; n < sizeof(good); n++) {
		u8 *copy = malloc(n ? n : 1);

		memcpy(copy, good, n);
		for (size_t bad = 0; bad <= n; bad++) {
			if (bad < n)
				copy[bad] ^= 0x15;
			struct cpio_reader h = {copy, n, 0};
			while (cpio_next(&h, &e) == 1)
				CHECK_QUIET(e.data + e.size_bytes <= copy + n &&
					    strlen(e.name) < n);
			if (bad < n)
				copy[bad] ^= 0x15;
		}
		free(copy);
	}
}

int main(void)
{
	test_copies();
	test_strings();
	test_formats();
	test_bitmap();
	test_cpio();
	TAP_END();
}
