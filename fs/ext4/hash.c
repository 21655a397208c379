/* Hashes of names for indexed directories: half MD4 (RFC 1320's rounds, three of eight steps), TEA,
 * and the old one. Theory in main.c. */
#include "ext4.h"

#define HASH_LEGACY   0u
#define HASH_HALF_MD4 1u
#define HASH_TEA      2u
#define HASH_UNSIGNED 3u /* added to these by file systems made where char is unsigned */
#define FLAG_UNSIGNED 2u /* s_flags */
#define HASH_EOF      0x7fffffffu

static u32 rotate(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static void tea(u32 h[4], const u32 in[4])
{
	u32 sum = 0, b0 = h[0], b1 = h[1];

	for (u32 n = 0; n < 16; n++) {
		sum += 0x9e3779b9u;
		b0 += ((b1 << 4) + in[0]) ^ (b1 + sum) ^ ((b1 >> 5) + in[1]);
		b1 += ((b0 << 4) + in[2]) ^ (b0 + sum) ^ ((b0 >> 5) + in[3]);
	}
	h[0] += b0;
	h[1] += b1;
}

static u32 md4_f(u32 round, u32 x, u32 y, u32 z)
{
	switch (round) {
	case 0:
		return z ^ (x & (y ^ z));
	case 1:
		return (x & y) + ((x ^ y) & z);
	default:
		return x ^ y ^ z;
	}
}

static void half_md4(u32 h[4], const u32 in[8])
{
	static const u8 order[3][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 3, 5, 7, 0, 2, 4, 6},
		{3, 7, 2, 6, 1, 5, 0, 4}};
	static const u8 shift[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
	static const u32 constant[3] = {0, 0x5a827999u, 0x6ed9eba1u};
	u32 s[4] = {h[0], h[1], h[2], h[3]};

	for (u32 round = 0; round < 3; round++)
		for (u32 i = 0; i < 8; i++) {
			u32 k = (4 - i % 4) % 4; /* a, d, c, b in turn */

			s[k] = rotate(s[k] +
					      md4_f(round, s[(k + 1) % 4], s[(k + 2) % 4],
						      s[(k + 3) % 4]) +
					      in[order[round][i]] + constant[round],
				shift[round][i % 4]);
		}
	for (u32 i = 0; i < 4; i++)
		h[i] += s[i];
}

static s32 char_of(const char *p, bool is_unsigned)
{
	return is_unsigned ? (s32)(u8)*p : (s32)(s8)*p;
}

static u32 legacy(const char *name, u32 len, bool is_unsigned)
{
	u32 hash, h0 = 0x12a3fe2du, h1 = 0x37abe8f9u;

	while (len--) {
		hash = h1 + (h0 ^ (u32)(char_of(name++, is_unsigned) * 7152373));
		if (hash & 0x80000000u)
			hash -= 0x7fffffffu;
		h1 = h0;
		h0 = hash;
	}
	return h0 << 1;
}

/* Up to nr words of the name; the rest is padded with its length. */
static void words_of(const char *name, u32 len, u32 *out, u32 nr, bool is_unsigned)
{
	u32 pad = len | len << 8, value, i;

	pad |= pad << 16;
	value = pad;
	len = MIN(len, nr * 4);
	for (i = 0; i < len; i++) {
		value = (u32)char_of(name + i, is_unsigned) + (value << 8);
		if (i % 4 == 3) {
			*out++ = value;
			value = pad;
			nr--;
		}
	}
	if (nr) {
		*out++ = value;
		nr--;
	}
	while (nr--)
		*out++ = pad;
}

bool ext4_hash(const struct ext4 *e, u32 version, const char *name, u32 len,
	struct ext4_hash_info *out)
{
	u32 h[4] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u}, in[8], seed = 0;
	bool is_unsigned = version >= HASH_UNSIGNED || le32_get(e->sb->s_flags) & FLAG_UNSIGNED;
	s32 left = (s32)len;

	if (version >= HASH_UNSIGNED)
		version -= HASH_UNSIGNED;
	for (u32 i = 0; i < 4; i++)
		seed |= le32_get(e->sb->s_hash_seed[i]);
	for (u32 i = 0; seed && i < 4; i++)
		h[i] = le32_get(e->sb->s_hash_seed[i]);
	*out = (struct ext4_hash_info){};
	switch (version) {
	case HASH_LEGACY:
		out->hash = legacy(name, len, is_unsigned);
		break;
	case HASH_HALF_MD4:
		for (; left > 0; left -= 32, name += 32) {
			words_of(name, (u32)left, in, 8, is_unsigned);
			half_md4(h, in);
		}
		out->hash = h[1];
		out->minor = h[2];
		break;
	case HASH_TEA:
		for (; left > 0; left -= 16, name += 16) {
			words_of(name, (u32)left, in, 4, is_unsigned);
			tea(h, in);
		}
		out->hash = h[0];
		out->minor = h[1];
		break;
	default:
		return false;
	}
	out->hash &= ~1u;
	if (out->hash == HASH_EOF << 1)
		out->hash = (HASH_EOF - 1) << 1;
	return true;
}
