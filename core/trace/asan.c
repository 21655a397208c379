/*
 * Run time of the sanitizers in asan kernels.
 *
 * Purpose: what Clang's -fsanitize=kernel-address and -fsanitize=undefined call. One shadow byte
 * tells how much of 8 bytes may be touched: 0 all, 1-7 so many from the start, 0x80 and above
 * nothing (the value is the reason).
 *
 * Invariants: ASAN-I1 this file and arch/ are compiled without instrumentation
 * (tools/sanitize-ignore.txt): a check never checks itself, and a port may fill the shadow in a
 * page fault. ASAN-I2 addresses below ARCH_ASAN_LOWEST have no shadow; a wild access there faults
 * by itself.
 *
 * Failure: every finding is a panic. Cost: asan kernels only.
 */
#include <core/asan.h>
#include <core/log.h>
#include <core/cpu.h>
#include <arch/mmu.h>

#if UMKA_ASAN

#define GRANULE 8u

static bool asan_ready;

static inline s8 *shadow_of(vaddr_t a)
{
	return (s8 *)((a >> 3) + ARCH_ASAN_SHADOW_OFFSET);
}

static void shadow_set(s8 *s, s8 value, size_t nr)
{
	while (nr--)
		*(volatile s8 *)s++ = value;
}

void asan_poison(const void *p, size_t bytes, enum asan_kind kind)
{
	if (asan_ready)
		shadow_set(shadow_of((vaddr_t)p), (s8)kind, DIV_ROUND_UP(bytes, GRANULE));
}

void asan_unpoison(const void *p, size_t bytes)
{
	s8 *s = shadow_of((vaddr_t)p);

	if (!asan_ready)
		return;
	shadow_set(s, 0, bytes / GRANULE);
	if (bytes % GRANULE)
		s[bytes / GRANULE] = (s8)(bytes % GRANULE);
}

static const char *kind_text(u8 kind)
{
	switch (kind) {
	case ASAN_FREE_PAGE:
		return "use of a free page";
	case ASAN_FREE:
		return "use after free";
	case ASAN_REDZONE:
		return "heap out of bounds";
	case ASAN_GLOBAL:
		return "global out of bounds";
	case 0xf1:
	case 0xf2:
	case 0xf3:
		return "stack out of bounds";
	case 0xf8:
		return "use after scope";
	default:
		return "out of bounds";
	}
}

static __noreturn void asan_report(vaddr_t bad, size_t bytes, bool write, void *pc)
{
	s8 v = *shadow_of(bad);
	u64 offset = 0;
	const char *module, *name;

	if (v > 0) /* the reason stands in the next granule */
		v = *shadow_of(bad + GRANULE);
	asan_ready = false;
	name = symbol_lookup((vaddr_t)pc, &offset, &module);
	panic("KASAN: %s: %s of %zu bytes at %#lx in %s+%#llx", kind_text((u8)v),
		write ? "write" : "read", bytes, (unsigned long)bad, name,
		(unsigned long long)offset);
}

static inline bool byte_bad(vaddr_t a)
{
	s8 v = *shadow_of(a);

	return unlikely(v) && (s8)(a % GRANULE) >= v;
}

static inline void check_small(vaddr_t a, size_t bytes, bool write, void *pc)
{
	if (unlikely(!asan_ready) || unlikely(a < ARCH_ASAN_LOWEST))
		return;
	if (byte_bad(a + bytes - 1) || (a % GRANULE + bytes > GRANULE && byte_bad(a)))
		asan_report(byte_bad(a) ? a : a + bytes - 1, bytes, write, pc);
}

static void check_range(vaddr_t a, size_t bytes, bool write, void *pc)
{
	if (!asan_ready || !bytes || a < ARCH_ASAN_LOWEST || a + bytes < a)
		return;
	for (vaddr_t at = a; at < a + bytes; at = ALIGN_DOWN(at, GRANULE) + GRANULE)
		if (byte_bad(at))
			asan_report(at, bytes, write, pc);
	if (byte_bad(a + bytes - 1))
		asan_report(a + bytes - 1, bytes, write, pc);
}

#define PC __builtin_return_address(0)
#define ASAN_ACCESS(bytes)                                                                         \
	void __asan_load##bytes##_noabort(vaddr_t a);                                              \
	void __asan_load##bytes##_noabort(vaddr_t a)                                               \
	{                                                                                          \
		check_small(a, bytes, false, PC);                                                  \
	}                                                                                          \
	void __asan_store##bytes##_noabort(vaddr_t a);                                             \
	void __asan_store##bytes##_noabort(vaddr_t a)                                              \
	{                                                                                          \
		check_small(a, bytes, true, PC);                                                   \
	}
ASAN_ACCESS(1)
ASAN_ACCESS(2)
ASAN_ACCESS(4)
ASAN_ACCESS(8)

void __asan_load16_noabort(vaddr_t a);
void __asan_store16_noabort(vaddr_t a);
void __asan_loadN_noabort(vaddr_t a, size_t n);
void __asan_storeN_noabort(vaddr_t a, size_t n);
void __asan_handle_no_return(void);
void __asan_alloca_poison(vaddr_t a, size_t n);
void __asan_allocas_unpoison(vaddr_t top, vaddr_t bottom);
void __asan_poison_stack_memory(vaddr_t a, size_t n);
void __asan_unpoison_stack_memory(vaddr_t a, size_t n);

void __asan_load16_noabort(vaddr_t a)
{
	check_range(a, 16, false, PC);
}
void __asan_store16_noabort(vaddr_t a)
{
	check_range(a, 16, true, PC);
}
void __asan_loadN_noabort(vaddr_t a, size_t n)
{
	check_range(a, n, false, PC);
}
void __asan_storeN_noabort(vaddr_t a, size_t n)
{
	check_range(a, n, true, PC);
}

/* A frame that is left without its epilogue keeps its poison: the stack from here up is opened. */
void __asan_handle_no_return(void)
{
	vaddr_t here = ALIGN_DOWN((vaddr_t)__builtin_frame_address(0), GRANULE);
	vaddr_t end = ALIGN_UP(here + 1, (vaddr_t)4096);

	asan_unpoison((const void *)here, end - here);
}
void __asan_alloca_poison(vaddr_t a, size_t n)
{
	asan_unpoison((const void *)a, n);
}
void __asan_allocas_unpoison(vaddr_t top, vaddr_t bottom)
{
	if (top && top < bottom)
		asan_unpoison((const void *)top, bottom - top);
}
void __asan_poison_stack_memory(vaddr_t a, size_t n)
{
	if (asan_ready)
		shadow_set(shadow_of(a), (s8)0xf8, DIV_ROUND_UP(n, GRANULE));
}
void __asan_unpoison_stack_memory(vaddr_t a, size_t n)
{
	asan_unpoison((const void *)a, n);
}

#define ASAN_SET_SHADOW(value)                                                                     \
	void __asan_set_shadow_##value(s8 *s, size_t n);                                           \
	void __asan_set_shadow_##value(s8 *s, size_t n)                                            \
	{                                                                                          \
		if (asan_ready)                                                                    \
			shadow_set(s, (s8)0x##value, n);                                           \
	}
ASAN_SET_SHADOW(00)
ASAN_SET_SHADOW(f1)
ASAN_SET_SHADOW(f2)
ASAN_SET_SHADOW(f3)
ASAN_SET_SHADOW(f5)
ASAN_SET_SHADOW(f8)

/* compiler-rt's struct __asan_global */
struct asan_global {
	vaddr_t at;
	size_t bytes, bytes_with_redzone;
	const char *name, *module;
	word_t has_init;
	const void *location;
	word_t odr;
};
void __asan_register_globals(const struct asan_global *g, size_t nr);
void __asan_unregister_globals(const struct asan_global *g, size_t nr);

void __asan_register_globals(const struct asan_global *g, size_t nr)
{
	for (; nr; nr--, g++) {
		size_t inner = ALIGN_UP(g->bytes, (size_t)GRANULE);

		asan_unpoison((const void *)g->at, g->bytes);
		asan_poison((const void *)(g->at + inner), g->bytes_with_redzone - inner,
			ASAN_GLOBAL);
	}
}
void __asan_unregister_globals(const struct asan_global *g, size_t nr)
{
}

extern void (*const kernel_init_array_start[])(void);
extern void (*const kernel_init_array_end[])(void);

/* WHY without kcfi: the constructors that the compiler makes carry no type. */
__attribute__((no_sanitize("kcfi"))) void asan_init(void)
{
	asan_ready = true;
	for (void (*const *f)(void) = kernel_init_array_start; f < kernel_init_array_end; f++)
		(*f)();
	log_info("asan: checks are on\n");
}

/* --- undefined behaviour --- */
struct ubsan_place {
	const char *file;
	u32 line, column;
};

static __noreturn void ubsan_report(const char *what, const struct ubsan_place *at)
{
	asan_ready = false;
	panic("UBSan: %s at %s:%u", what, at->file ? at->file : "?", at->line);
}

/* Each handler's first argument begins with the place; the operands are not printed. */
#define UBSAN(name, what)                                                                          \
	void __ubsan_handle_##name(const struct ubsan_place *at);                                  \
	void __ubsan_handle_##name(const struct ubsan_place *at)                                   \
	{                                                                                          \
		ubsan_report(what, at);                                                            \
	}
UBSAN(add_overflow, "signed addition overflow")
UBSAN(sub_overflow, "signed subtraction overflow")
UBSAN(mul_overflow, "signed multiplication overflow")
UBSAN(negate_overflow, "negation overflow")
UBSAN(divrem_overflow, "division overflow")
UBSAN(shift_out_of_bounds, "shift out of bounds")
UBSAN(out_of_bounds, "array index out of bounds")
UBSAN(builtin_unreachable, "unreachable code")
UBSAN(missing_return, "missing return")
UBSAN(vla_bound_not_positive, "array size")
UBSAN(load_invalid_value, "load of an invalid value")
UBSAN(nonnull_arg, "null argument")
UBSAN(nonnull_return_v1, "null result")
UBSAN(pointer_overflow, "pointer overflow")
UBSAN(type_mismatch_v1, "null pointer or size mismatch")
UBSAN(alignment_assumption, "alignment assumption")
UBSAN(invalid_builtin, "invalid builtin argument")
UBSAN(implicit_conversion, "implicit conversion")
#endif
