#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <lib/compiler.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef intptr_t sword_t; /* a machine word, signed */
typedef uintptr_t word_t; /* a machine word */
typedef word_t vaddr_t;   /* kernel or user virtual address as a number */
typedef u64 paddr_t;      /* physical address, wider than a word on 32-bit machines */
typedef s64 ktime_t;      /* nanoseconds on the clock named beside it */
typedef s64 off64_t;      /* file offset */
#define KTIME_MAX     INT64_MAX
#define NSEC_PER_SEC  1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL

/* Core's user and group ids: only abi/ makes them from numbers (user namespaces come later). */
typedef struct {
	u32 value;
} kuid_t;
typedef struct {
	u32 value;
} kgid_t;
#define KUID(v) ((kuid_t){v})
#define KGID(v) ((kgid_t){v})
static inline bool kuid_eq(kuid_t a, kuid_t b)
{
	return a.value == b.value;
}
static inline bool kgid_eq(kgid_t a, kgid_t b)
{
	return a.value == b.value;
}
