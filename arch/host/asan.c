/* core/asan.h over the compiler's own run time (core/trace/asan.c is for kernels). */
#include <core/asan.h>

#if UMKA_ASAN
void __asan_poison_memory_region(void const volatile *at, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *at, size_t bytes);

void asan_poison(const void *p, size_t bytes, enum asan_kind kind)
{
	__asan_poison_memory_region(p, ALIGN_UP(bytes, (size_t)8));
}
void asan_unpoison(const void *p, size_t bytes)
{
	__asan_unpoison_memory_region(p, bytes);
}
void asan_init(void)
{
}
#endif
