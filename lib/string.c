/*
 * Memory and strings. Copies go by machine words through a packed type, so that no alignment is
 * asked for; a port may replace memcpy, memset and memmove (weak here). Not instrumented: the
 * sanitizers' own copies end here.
 */
#include <lib/errno.h>
#include <lib/string.h>

struct __packed unaligned_word {
	word_t v;
} __attribute__((may_alias));

#define WORD_BYTES sizeof(word_t)

__attribute__((weak)) __no_sanitize void *memcpy(void *restrict dst, const void *restrict src,
	size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	for (; n >= 4 * WORD_BYTES; n -= 4 * WORD_BYTES, d += 4 * WORD_BYTES, s += 4 * WORD_BYTES) {
		const struct unaligned_word *from = (const struct unaligned_word *)s;
		struct unaligned_word *to = (struct unaligned_word *)d;
		word_t a = from[0].v, b = from[1].v, c = from[2].v, e = from[3].v;

		to[0].v = a;
		to[1].v = b;
		to[2].v = c;
		to[3].v = e;
	}
	for (; n >= WORD_BYTES; n -= WORD_BYTES, d += WORD_BYTES, s += WORD_BYTES)
		((struct unaligned_word *)d)->v = ((const struct unaligned_word *)s)->v;
	while (n--)
		*d++ = *s++;
	return dst;
}

__attribute__((weak)) __no_sanitize void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if ((word_t)d - (word_t)s >= n) { /* no byte of src is overwritten before it is read */
		for (; n >= WORD_BYTES; n -= WORD_BYTES, d += WORD_BYTES, s += WORD_BYTES)
			((struct unaligned_word *)d)->v = ((const struct unaligned_word *)s)->v;
		while (n--)
			*d++ = *s++;
		return dst;
	}
	for (; n >= WORD_BYTES; n -= WORD_BYTES)
		((struct unaligned_word *)(d + n - WORD_BYTES))->v =
			((const struct unaligned_word *)(s + n - WORD_BYTES))->v;
	while (n--)
		d[n] = s[n];
	return dst;
}

__attribute__((weak)) __no_sanitize void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	word_t word = (word_t)-1 / 0xff * (u8)c;

	for (; n >= 4 * WORD_BYTES; n -= 4 * WORD_BYTES, d += 4 * WORD_BYTES) {
		struct unaligned_word *to = (struct unaligned_word *)d;

		to[0].v = word;
		to[1].v = word;
		to[2].v = word;
		to[3].v = word;
	}
	while (n--)
		*d++ = (u8)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= WORD_BYTES; n -= WORD_BYTES, x += WORD_BYTES, y += WORD_BYTES)
		if (((const struct unaligned_word *)x)->v != ((const struct unaligned_word *)y)->v)
			break;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const word_t ones = (word_t)-1 / 0xff, highs = ones << 7, pattern = ones * (u8)c;
	const u8 *p = s;

	/* A word with a zero byte has a bit of `highs` left after this (Mycroft 1987); the byte
	 * loop finds which. */
	for (; n >= WORD_BYTES; n -= WORD_BYTES, p += WORD_BYTES) {
		word_t w = ((const struct unaligned_word *)p)->v ^ pattern;

		if ((w - ones) & ~w & highs)
			break;
	}
	for (; n; n--, p++)
		if (*p == (u8)c)
			return (void *)p;
	return nullptr;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b) {
		a++;
		b++;
		n--;
	}
	return n ? (u8)*a - (u8)*b : 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return nullptr;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = nullptr;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)found;
	}
}

char *strstr(const char *s, const char *sub)
{
	size_t n = strlen(sub);

	for (;; s++) {
		if (strncmp(s, sub, n) == 0)
			return (char *)s;
		if (!*s)
			return nullptr;
	}
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size) {
		size_t part = n < size ? n : size - 1;

		memcpy(dst, src, part);
		dst[part] = '\0';
	}
	return n;
}

static bool digit_of(char c, u64 base, u64 *out)
{
	u64 d;

	if (c >= '0' && c <= '9')
		d = (u64)(c - '0');
	else if (c >= 'a' && c <= 'f')
		d = (u64)(c - 'a') + 10;
	else if (c >= 'A' && c <= 'F')
		d = (u64)(c - 'A') + 10;
	else
		return false;
	*out = d;
	return d < base;
}

bool parse_u64(const char *s, size_t len, u64 *out)
{
	u64 value = 0, base = 10;

	if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
		len -= 2;
	}
	if (!len)
		return false;
	for (; len; len--, s++) {
		u64 d;

		if (!digit_of(*s, base, &d) || !checked_mul(value, base, &value) ||
			!checked_add(value, d, &value))
			return false;
	}
	*out = value;
	return true;
}
