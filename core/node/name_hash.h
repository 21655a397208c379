#pragma once
/* The hash of a name: eight bytes a step, folded with the parent's id. Pure, tested on the host. */
#include <lib/string.h>
#include <lib/types.h>

static inline u32 name_hash_text(u64 parent_id, const char *text, u32 len)
{
	u64 h = parent_id * 0x9e3779b97f4a7c15ull ^ len, word;

	while (len >= 8) {
		memcpy(&word, text, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdull;
		h ^= h >> 29;
		text += 8;
		len -= 8;
	}
	word = 0;
	for (u32 i = 0; i < len; i++)
		word |= (u64)(u8)text[i] << (8 * i);
	h = (h ^ word) * 0xff51afd7ed558ccdull;
	h ^= h >> 32;
	h *= 0xc4ceb9fe1a85ec53ull;
	return (u32)(h >> 32);
}
