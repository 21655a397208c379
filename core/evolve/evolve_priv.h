#pragma once
#include <core/evolve.h>

#define MODULE_BYTES_MAX   (16u << 20)
#define INSTANCE_BYTES_MAX (16u << 20)
struct module_memory {
	u8 *base;
	size_t bytes, text_bytes;
};
/* Fills name, kind, vtables, matches and ranges of a zeroed module; on failure nothing is left
 * behind. Thread, may sleep. */
int module_place_and_check(struct module *m, const void *image, size_t bytes,
	char error[MODULE_ERROR_BYTES], struct module_memory *memory);
