#pragma once
/* Hashes for tables in memory (never on disk or wire): multiplicative mixing, seeded by the caller
 * where the input is hostile. */
#include <lib/types.h>
static inline u64 hash_u64(u64 x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio */
	return x ^ x >> 29;
}
static inline u64 hash_bytes(u64 seed, const void *data, size_t n)
{
	const u8 *p = data;
	u64 h = seed ^ n * 0x9e3779b97f4a7c15ull;

	for (; n; n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return hash_u64(h);
}
static inline u64 hash_string(u64 seed, const char *s)
{
	u64 h = seed;

	for (; *s; s++)
		h = (h ^ (u8)*s) * 0x100000001b3ull;
	return hash_u64(h);
}
