#pragma once
/* What the wrappers of subsystem contracts use of core/call. */
#include <core/call.h>

/* An object that crosses a slot begins with its struct object. */
static inline u64 kabi_object_id(const void *object)
{
	return object ? ((const struct object *)object)->id : 0;
}
