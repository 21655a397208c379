#pragma once
/*
 * Atomics. Purpose: the only shared-memory operations outside locks; every one names its order.
 * Types hold one machine word or 32 bits; nothing wider, so that 32-bit ports need no lock. There
 * is no stand-alone fence: pairs are (store_release, load_acquire), or sequentially consistent
 * both.
 */
#include <lib/types.h>

typedef struct {
	u32 v;
} atomic32_t;
typedef struct {
	word_t v;
} atomic_word_t;

#define ATOMIC_OPS(name, type, value)                                                              \
	static inline value name##_load(const type *a)                                             \
	{                                                                                          \
		return __atomic_load_n(&a->v, __ATOMIC_RELAXED);                                   \
	}                                                                                          \
	static inline value name##_load_acquire(const type *a)                                     \
	{                                                                                          \
		return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE);                                   \
	}                                                                                          \
	static inline value name##_load_seq(const type *a)                                         \
	{                                                                                          \
		return __atomic_load_n(&a->v, __ATOMIC_SEQ_CST);                                   \
	}                                                                                          \
	static inline void name##_store(type *a, value x)                                          \
	{                                                                                          \
		__atomic_store_n(&a->v, x, __ATOMIC_RELAXED);                                      \
	}                                                                                          \
	static inline void name##_store_release(type *a, value x)                                  \
	{                                                                                          \
		__atomic_store_n(&a->v, x, __ATOMIC_RELEASE);                                      \
	}                                                                                          \
	static inline void name##_store_seq(type *a, value x)                                      \
	{                                                                                          \
		__atomic_store_n(&a->v, x, __ATOMIC_SEQ_CST);                                      \
	}                                                                                          \
	/* Return the value before the operation; sequentially consistent. */                      \
	static inline value name##_fetch_add(type *a, value x)                                     \
	{                                                                                          \
		return __atomic_fetch_add(&a->v, x, __ATOMIC_SEQ_CST);                             \
	}                                                                                          \
	static inline value name##_fetch_sub(type *a, value x)                                     \
	{                                                                                          \
		return __atomic_fetch_sub(&a->v, x, __ATOMIC_SEQ_CST);                             \
	}                                                                                          \
	static inline value name##_fetch_or(type *a, value x)                                      \
	{                                                                                          \
		return __atomic_fetch_or(&a->v, x, __ATOMIC_SEQ_CST);                              \
	}                                                                                          \
	static inline value name##_fetch_and(type *a, value x)                                     \
	{                                                                                          \
		return __atomic_fetch_and(&a->v, x, __ATOMIC_SEQ_CST);                             \
	}                                                                                          \
	static inline value name##_exchange(type *a, value x)                                      \
	{                                                                                          \
		return __atomic_exchange_n(&a->v, x, __ATOMIC_SEQ_CST);                            \
	}                                                                                          \
	/* On failure *expected becomes the current value. */                                      \
	static inline bool name##_cas(type *a, value *expected, value desired)                     \
	{                                                                                          \
		return __atomic_compare_exchange_n(&a->v, expected, desired, false,                \
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                                       \
	}

ATOMIC_OPS(atomic32, atomic32_t, u32)
ATOMIC_OPS(atomic_word, atomic_word_t, word_t)

/* Words whose type somebody else decides: shared with assembly, hardware, programs, or a field that
 * is plain under a lock. At most a machine word, or (where the port has it) 64 bits. The changes
 * return the value before; without `_relaxed` they are sequentially consistent. */
#define shared_load_acquire(p)         __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define shared_load_seq(p)             __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define shared_load(p)                 __atomic_load_n(p, __ATOMIC_RELAXED)
#define shared_store_release(p, x)     __atomic_store_n(p, x, __ATOMIC_RELEASE)
#define shared_store_seq(p, x)         __atomic_store_n(p, x, __ATOMIC_SEQ_CST)
#define shared_exchange(p, x)          __atomic_exchange_n(p, x, __ATOMIC_SEQ_CST)
#define shared_fetch_add(p, x)         __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST)
#define shared_fetch_add_relaxed(p, x) __atomic_fetch_add(p, x, __ATOMIC_RELAXED)
#define shared_fetch_sub(p, x)         __atomic_fetch_sub(p, x, __ATOMIC_SEQ_CST)
#define shared_fetch_or(p, x)          __atomic_fetch_or(p, x, __ATOMIC_SEQ_CST)
#define shared_fetch_or_relaxed(p, x)  __atomic_fetch_or(p, x, __ATOMIC_RELAXED)
#define shared_fetch_and(p, x)         __atomic_fetch_and(p, x, __ATOMIC_SEQ_CST)
#define shared_fetch_and_relaxed(p, x) __atomic_fetch_and(p, x, __ATOMIC_RELAXED)
/* On failure *old becomes the current value. */
#define shared_cas(p, old, x)                                                                      \
	__atomic_compare_exchange_n(p, old, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Pointers published to lock-free readers. */
#define ptr_load_acquire(p)     shared_load_acquire(p)
#define ptr_store_release(p, x) shared_store_release(p, x)

/* Reference counts: saturate instead of wrapping, so that a leak never becomes a use after free. */
typedef struct {
	atomic32_t count;
} refcount_t;
#define REFCOUNT_SATURATED 0x80000000u
static inline void refcount_set(refcount_t *r, u32 n)
{
	atomic32_store(&r->count, n);
}
static inline u32 refcount_read(const refcount_t *r)
{
	return atomic32_load(&r->count);
}
/* Only the caller's reference is left, and it may do without locks what holders do with them.
 * Acquire: pairs with the drops of the others, so that all they did with the object is over and
 * seen. */
static inline bool refcount_is_one(const refcount_t *r)
{
	return atomic32_load_acquire(&r->count) == 1;
}
static inline void refcount_inc(refcount_t *r)
{
	u32 old = __atomic_fetch_add(&r->count.v, 1, __ATOMIC_RELAXED);

	if (unlikely(old == 0 || old >= REFCOUNT_SATURATED))
		atomic32_store(&r->count, REFCOUNT_SATURATED + 0x10000000u);
}
/* False if the object is already dying. */
static inline bool refcount_inc_not_zero(refcount_t *r)
{
	u32 old = atomic32_load(&r->count);

	do {
		if (old == 0)
			return false;
		if (unlikely(old >= REFCOUNT_SATURATED))
			return true;
	} while (!atomic32_cas(&r->count, &old, old + 1));
	return true;
}
/* Drops a reference unless it is the last one: then false, and nothing happened. */
static inline bool refcount_dec_not_last(refcount_t *r)
{
	u32 old = atomic32_load(&r->count);

	do {
		if (old == 1)
			return false;
		if (unlikely(old >= REFCOUNT_SATURATED))
			return true;
	} while (!atomic32_cas(&r->count, &old, old - 1));
	return true;
}
/* True when the last reference went: the caller frees. */
static inline bool refcount_dec_and_test(refcount_t *r)
{
	u32 old = atomic32_load(&r->count);

	if (unlikely(old >= REFCOUNT_SATURATED))
		return false;
	return __atomic_fetch_sub(&r->count.v, 1, __ATOMIC_ACQ_REL) == 1;
}
