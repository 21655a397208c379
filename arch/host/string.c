/* Copies that the sanitizer sees whole (lib's are not instrumented), and the volatile accesses of
 * READ_ONCE and WRITE_ONCE. */
#include <lib/string.h>
#include "host.h"

#if HOST_ASAN
void *__asan_memcpy(void *dst, const void *src, size_t n);
void *__asan_memmove(void *dst, const void *src, size_t n);
void *__asan_memset(void *dst, int c, size_t n);
#define CHECKED(name) __asan_##name
#elif HOST_TSAN
void *__tsan_memcpy(void *dst, const void *src, size_t n);
void *__tsan_memmove(void *dst, const void *src, size_t n);
void *__tsan_memset(void *dst, int c, size_t n);
#define CHECKED(name) __tsan_##name
#endif

#ifdef CHECKED
void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	return CHECKED(memcpy)(dst, src, n);
}
void *memmove(void *dst, const void *src, size_t n)
{
	return CHECKED(memmove)(dst, src, n);
}
void *memset(void *dst, int c, size_t n)
{
	return CHECKED(memset)(dst, c, n);
}
#endif

#if HOST_TSAN
/* One access each, that others may make at the same time; it orders nothing (lib/compiler.h). */
u8 __tsan_atomic8_load(const volatile u8 *at, int order);
u16 __tsan_atomic16_load(const volatile u16 *at, int order);
u32 __tsan_atomic32_load(const volatile u32 *at, int order);
u64 __tsan_atomic64_load(const volatile u64 *at, int order);
u8 __tsan_atomic8_fetch_add(volatile u8 *at, u8 v, int order);
u16 __tsan_atomic16_fetch_add(volatile u16 *at, u16 v, int order);
u32 __tsan_atomic32_fetch_add(volatile u32 *at, u32 v, int order);
u64 __tsan_atomic64_fetch_add(volatile u64 *at, u64 v, int order);
/* Called before the store: what says "an atomic write here" and changes nothing. */
#define VOLATILE(bytes, bits)                                                                      \
	void __tsan_volatile_read##bytes(const u##bits *at);                                       \
	void __tsan_volatile_write##bytes(u##bits *at);                                            \
	void __tsan_unaligned_volatile_read##bytes(const u##bits *at);                             \
	void __tsan_unaligned_volatile_write##bytes(const u##bits *at);                            \
	void __tsan_volatile_read##bytes(const u##bits *at)                                        \
	{                                                                                          \
		__tsan_atomic##bits##_load(at, __ATOMIC_RELAXED);                                  \
	}                                                                                          \
	void __tsan_volatile_write##bytes(u##bits *at)                                             \
	{                                                                                          \
		__tsan_atomic##bits##_fetch_add(at, 0, __ATOMIC_RELAXED);                          \
	}                                                                                          \
	void __tsan_unaligned_volatile_read##bytes(const u##bits *at)                              \
	{                                                                                          \
	}                                                                                          \
	void __tsan_unaligned_volatile_write##bytes(const u##bits *at)                             \
	{                                                                                          \
	}
VOLATILE(1, 8)
VOLATILE(2, 16)
VOLATILE(4, 32)
VOLATILE(8, 64)
#endif
