#pragma once
/* The ChaCha20 block function (RFC 8439, section 2.3). */
#include <lib/types.h>
#define CHACHA_WORDS 16
/* out[16] = block of the state: 4 constants, 8 key words, counter, 3 nonce words, in the CPU's
 * order. */
void chacha20_block(const u32 state[CHACHA_WORDS], u32 out[CHACHA_WORDS]);
void chacha20_state(u32 state[CHACHA_WORDS], const u32 key[8], u32 counter, const u32 nonce[3]);
