/* RFC 8439, section 2.3.2: the block function's test vector. */
#include <stdio.h>
#include <lib/chacha.h>

int main(void)
{
	static const u32 key[8] = {0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110,
		0x17161514, 0x1b1a1918, 0x1f1e1d1c};
	static const u32 nonce[3] = {0x09000000, 0x4a000000, 0x00000000};
	static const u32 expected[16] = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7,
		0x0368c033, 0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
		0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
	u32 state[CHACHA_WORDS], out[CHACHA_WORDS];
	bool same = true;

	chacha20_state(state, key, 1, nonce);
	chacha20_block(state, out);
	for (u32 i = 0; i < CHACHA_WORDS; i++)
		same &= out[i] == expected[i];
	printf("%s 1 - RFC 8439 2.3.2\n1..1\n", same ? "ok" : "not ok");
	return !same;
}
