#pragma once
#include <lib/types.h>
#define BITS_PER_WORD   (8 * sizeof(word_t))
#define BITMAP_WORDS(n) DIV_ROUND_UP((size_t)(n), BITS_PER_WORD)
static inline bool bitmap_test(const word_t *map, size_t bit)
{
	return (map[bit / BITS_PER_WORD] >> (bit % BITS_PER_WORD)) & 1;
}
static inline void bitmap_set(word_t *map, size_t bit)
{
	map[bit / BITS_PER_WORD] |= (word_t)1 << (bit % BITS_PER_WORD);
}
static inline void bitmap_clear(word_t *map, size_t bit)
{
	map[bit / BITS_PER_WORD] &= ~((word_t)1 << (bit % BITS_PER_WORD));
}
/* First clear/set bit at or after `from`, or `nr` when there is none. */
size_t bitmap_next_zero(const word_t *map, size_t nr, size_t from);
size_t bitmap_next_set(const word_t *map, size_t nr, size_t from);
