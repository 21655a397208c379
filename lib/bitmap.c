#include <lib/bitmap.h>

static size_t next_bit(const word_t *map, size_t nr, size_t from, word_t flip)
{
	while (from < nr) {
		size_t shift = from % BITS_PER_WORD;
		word_t word = (map[from / BITS_PER_WORD] ^ flip) >> shift;

		if (word) {
			from += (size_t)__builtin_ctzl(word);
			return from < nr ? from : nr;
		}
		from += BITS_PER_WORD - shift;
	}
	return nr;
}

size_t bitmap_next_zero(const word_t *map, size_t nr, size_t from)
{
	return next_bit(map, nr, from, ~(word_t)0);
}

size_t bitmap_next_set(const word_t *map, size_t nr, size_t from)
{
	return next_bit(map, nr, from, 0);
}
