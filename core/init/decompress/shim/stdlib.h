/* For the decoders only: memory that decompress.c hands out. */
#pragma once
#include <stddef.h>
void *decoder_alloc(size_t bytes);
void *decoder_zalloc(size_t nr, size_t bytes);
void decoder_free(void *p);
#define malloc(n)    decoder_alloc(n)
#define calloc(n, s) decoder_zalloc(n, s)
#define free(p)      decoder_free(p)
