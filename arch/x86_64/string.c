/*
 * Copies and fills by string instructions: they move words without a loop of our own, and the CPU's
 * microcode takes whole cache lines (Intel optimisation manual, 3.7.6). Short ones go by single
 * moves: starting a string instruction costs more than they do. Replaces the weak functions of
 * lib/string.c in the kernel. Not instrumented: the sanitizers' own copies end here.
 */
#include <lib/string.h>

#define STRING_MIN 64u

struct __packed unaligned_u64 {
	u64 v;
} __attribute__((may_alias));

__no_sanitize void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (n >= STRING_MIN) {
		size_t words = n / 8;

		n %= 8;
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		((struct unaligned_u64 *)d)->v = ((const struct unaligned_u64 *)s)->v;
	while (n--) {
		*d++ = *s++;
		barrier(); /* keeps the compiler from calling memcpy here */
	}
	return dst;
}

__no_sanitize void *memset(void *dst, int c, size_t n)
{
	u64 word = (u64)(u8)c * 0x0101010101010101ull;
	u8 *d = dst;

	if (n >= STRING_MIN) {
		size_t words = n / 8;

		n %= 8;
		__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(word) : "memory");
	}
	for (; n >= 8; n -= 8, d += 8)
		((struct unaligned_u64 *)d)->v = word;
	while (n--) {
		*d++ = (u8)c;
		barrier();
	}
	return dst;
}
