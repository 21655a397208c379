#pragma once
/* Disk and wire integers are types of their own, so that a missing conversion does not compile. */
#include <lib/types.h>
#define ENDIAN_TYPE(name, order, type, swap)                                                       \
	typedef struct {                                                                           \
		type raw;                                                                          \
	} name##_t;                                                                                \
	static inline type name##_get(name##_t x)                                                  \
	{                                                                                          \
		return __BYTE_ORDER__ == order ? x.raw : swap(x.raw);                              \
	}                                                                                          \
	static inline name##_t name##_make(type x)                                                 \
	{                                                                                          \
		return (name##_t){__BYTE_ORDER__ == order ? x : swap(x)};                          \
	}
ENDIAN_TYPE(le16, __ORDER_LITTLE_ENDIAN__, u16, __builtin_bswap16)
ENDIAN_TYPE(le32, __ORDER_LITTLE_ENDIAN__, u32, __builtin_bswap32)
ENDIAN_TYPE(le64, __ORDER_LITTLE_ENDIAN__, u64, __builtin_bswap64)
ENDIAN_TYPE(be16, __ORDER_BIG_ENDIAN__, u16, __builtin_bswap16)
ENDIAN_TYPE(be32, __ORDER_BIG_ENDIAN__, u32, __builtin_bswap32)
ENDIAN_TYPE(be64, __ORDER_BIG_ENDIAN__, u64, __builtin_bswap64)
