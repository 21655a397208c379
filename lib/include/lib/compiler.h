#pragma once
/* Names for compiler features, so that no other file spells an attribute. */

/* Hosted builds: the C library defines some of these names too. */
#undef __always_inline
#undef __used
#undef __unused
#undef __noreturn
#undef __packed
#undef __aligned
#undef __must_check
#undef __noinline
#undef __cold
#undef __section
#undef __counted_by

#define __packed        __attribute__((packed))
#define __aligned(n)    __attribute__((aligned(n)))
#define __used          __attribute__((used))
#define __unused        __attribute__((unused))
#define __must_check    __attribute__((warn_unused_result))
#define __noreturn      __attribute__((noreturn))
#define __noinline      __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __cold          __attribute__((cold))
#define __section(s)    __attribute__((section(s)))
#define __printf(f, a)  __attribute__((format(printf, f, a)))
#define __counted_by(n) __attribute__((counted_by(n)))
/* Functions that run before the shadow exists, or that implement it. */
#define __no_sanitize   __attribute__((no_sanitize("kernel-address", "address", "undefined", "kcfi")))

/* A user address: dereferencing one is a compile error; core/ucopy.h is the only door. */
#ifdef __clang__
#define __user __attribute__((noderef, address_space(1)))
#else
#define __user
#endif

#define likely(x)                       __builtin_expect(!!(x), 1)
#define unlikely(x)                     __builtin_expect(!!(x), 0)
#define unreachable()                   __builtin_unreachable()
#define barrier()                       __asm__ volatile("" ::: "memory")

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define ALIGN_UP(x, a)                  (((x) + ((a) - 1)) & ~((typeof(x))(a) - 1))
#define ALIGN_DOWN(x, a)                ((x) & ~((typeof(x))(a) - 1))
#define IS_ALIGNED(x, a)                (((x) & ((typeof(x))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d)              (((n) + (d) - 1) / (d))
#define JOIN_(a, b)                     a##b
#define JOIN(a, b)                      JOIN_(a, b)
/* Names of their own, so that one may stand in the other's arguments. */
#define MINMAX_(a, b, op, x, y)                                                                    \
	({                                                                                         \
		typeof(a) x = (a);                                                                 \
		typeof(b) y = (b);                                                                 \
		x op y ? x : y;                                                                    \
	})
#define MIN(a, b)              MINMAX_(a, b, <, JOIN(_min_a, __COUNTER__), JOIN(_min_b, __COUNTER__))
#define MAX(a, b)              MINMAX_(a, b, >, JOIN(_max_a, __COUNTER__), JOIN(_max_b, __COUNTER__))

/* One read or write of memory that others change at the same time under a weaker rule than a lock.
 */
#define READ_ONCE(x)           (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)       (*(volatile typeof(x) *)&(x) = (v))

#define checked_add(a, b, out) (!__builtin_add_overflow(a, b, out))
#define checked_sub(a, b, out) (!__builtin_sub_overflow(a, b, out))
#define checked_mul(a, b, out) (!__builtin_mul_overflow(a, b, out))

/* Clang thread-safety analysis (style.md 5.1: take locks as &obj->lock, guard by &lock). */
#ifdef __clang__
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif
#define __lock_type(name)      TSA(capability(name))
#define guarded_by(l)          TSA(guarded_by(l))
#define pt_guarded_by(l)       TSA(pt_guarded_by(l))
#define __acquires(...)        TSA(acquire_capability(__VA_ARGS__))
#define __releases(...)        TSA(release_capability(__VA_ARGS__))
#define __try_acquires(r, ...) TSA(try_acquire_capability(r, __VA_ARGS__))
#define __requires(...)        TSA(requires_capability(__VA_ARGS__))
#define __excludes(...)        TSA(locks_excluded(__VA_ARGS__))
/* WHY is mandatory beside each use: lock implementations, constructors, hand-over of a held lock.
 */
#define __no_lock_analysis     TSA(no_thread_safety_analysis)
