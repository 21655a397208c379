#pragma once
/*
 * Kernel address sanitizer (asan kernels only; no-ops in others). Allocators say what may be
 * touched; the compiler adds the checks. A poisoned byte that is read or written panics with the
 * address and the kind. Granule: 8 bytes. Context: any.
 */
#include <lib/types.h>
enum asan_kind : u8 {
	ASAN_FREE_PAGE = 0xff, /* frame with the buddy allocator */
	ASAN_FREE = 0xfb,      /* slab object that was freed */
	ASAN_REDZONE = 0xfc,   /* between objects, behind a kmalloc's asked size */
	ASAN_GLOBAL = 0xf9,
};
#if UMKA_ASAN
/* p aligned to 8; bytes rounded up to whole granules. */
void asan_poison(const void *p, size_t bytes, enum asan_kind kind);
/* p aligned to 8; the last granule may be partly open. */
void asan_unpoison(const void *p, size_t bytes);
/* Context: boot CPU, once the port's shadow works; checks are silent before. */
void asan_init(void);
#else
static inline void asan_poison(const void *p, size_t bytes, enum asan_kind kind)
{
	(void)p, (void)bytes, (void)kind;
}
static inline void asan_unpoison(const void *p, size_t bytes)
{
	(void)p, (void)bytes;
}
static inline void asan_init(void)
{
}
#endif
