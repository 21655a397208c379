/* ChaCha20 block function, RFC 8439 section 2.3: the core of the kernel's random generator.
 * Constant time by construction. */
#include <lib/chacha.h>

static inline u32 rotate(u32 v, u32 n)
{
	return v << n | v >> (32 - n);
}

static inline void quarter(u32 *s, u32 a, u32 b, u32 c, u32 d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_state(u32 state[CHACHA_WORDS], const u32 key[8], u32 counter, const u32 nonce[3])
{
	state[0] = 0x61707865; /* "expand 32-byte k" */
	state[1] = 0x3320646e;
	state[2] = 0x79622d32;
	state[3] = 0x6b206574;
	for (u32 i = 0; i < 8; i++)
		state[4 + i] = key[i];
	state[12] = counter;
	for (u32 i = 0; i < 3; i++)
		state[13 + i] = nonce[i];
}

void chacha20_block(const u32 state[CHACHA_WORDS], u32 out[CHACHA_WORDS])
{
	for (u32 i = 0; i < CHACHA_WORDS; i++)
		out[i] = state[i];
	for (u32 round = 0; round < 10; round++) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (u32 i = 0; i < CHACHA_WORDS; i++)
		out[i] += state[i];
}
