#pragma once
#include <lib/types.h>
/* text: "kernel.sym" of the blob; slide: KASLR displacement. After slab, before modules. */
void symbols_init(const char *text, size_t bytes, u64 slide);
