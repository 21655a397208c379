#pragma once
/* The kernel's random generator (core/object/random.c). Context: any; never waits. */
#include <lib/types.h>
void random_bytes(void *out, size_t bytes);
/* The same 16 bytes for the whole of this boot (/proc/sys/kernel/random/boot_id). */
void random_boot_id(u8 out[16]);
/* An interrupt has come: its time, for the next request. Context: interrupt. */
void random_interrupt(u32 irq);
/* Mixes in what a device or an interrupt brought; `bits`: how much of it nobody can know. */
void random_mix(const void *data, size_t bytes, u32 bits);
