#pragma once
/* The kernel's random generator (core/object/random.c). Context: any; never waits. */
#include <lib/types.h>
void random_bytes(void *out, size_t bytes);
/* Mixes in what a device or an interrupt brought; `bits`: how much of it nobody can know. */
void random_mix(const void *data, size_t bytes, u32 bits);
