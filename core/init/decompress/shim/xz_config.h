/* What xz-embedded asks of its surroundings outside Linux. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "xz.h"

#define XZ_DEC_DYNALLOC
#define XZ_DEC_X86
#define XZ_DEC_ARM64

#define kmalloc(size, flags) malloc(size)
#define kfree(p)             free(p)
#define vmalloc(size)        malloc(size)
#define vfree(p)             free(p)
#define memeq(a, b, size)    (memcmp(a, b, size) == 0)
#define memzero(p, size)     memset(p, 0, size)
#define fallthrough          __attribute__((__fallthrough__))
#define __always_inline      inline __attribute__((__always_inline__))
#define min(a, b)            ((a) < (b) ? (a) : (b))
#define min_t(type, a, b)    min((type)(a), (type)(b))

static inline uint32_t get_unaligned_le32(const void *p)
{
	const uint8_t *b = p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint32_t get_unaligned_be32(const void *p)
{
	return __builtin_bswap32(get_unaligned_le32(p));
}
static inline void put_unaligned_le32(uint32_t v, void *p)
{
	uint8_t *b = p;

	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)(v >> 16);
	b[3] = (uint8_t)(v >> 24);
}
static inline void put_unaligned_be32(uint32_t v, void *p)
{
	put_unaligned_le32(__builtin_bswap32(v), p);
}
#define get_le32(p) get_unaligned_le32(p)
