#pragma once
#include <stddef.h>
#include <stdint.h>

#include "handoff.h"

/* Without this, references to what another file defines go through a GOT of absolute addresses. */
#pragma GCC visibility push(hidden)

#define STUB_PAGE  0x1000ull
#define STUB_LARGE 0x200000ull

/* Written by tools/image/mkbzimage.py; offsets count from start32. */
struct stub_payload {
	uint64_t kernel_offset;
	uint64_t kernel_file_bytes;
	uint64_t kernel_mem_bytes;
	uint64_t kernel_link;   /* address the image was linked at */
	uint64_t kernel_entry;  /* linked address of its entry */
	uint64_t relocs_offset; /* uint32_t offsets of words to slide */
	uint64_t nr_relocs;
	uint64_t blob_offset;
	uint64_t blob_bytes;
	uint64_t image_bytes; /* from start32 to the end of the file */
	uint64_t unused[2];
};

extern const struct stub_payload stub_payload;
extern char start32[];
extern struct x86_handoff stub_handoff;

[[noreturn]] void stub_jump(uint64_t root, uint64_t entry, uint64_t handoff);
[[noreturn]] void stub_die(const char *why);
[[noreturn]] void stub_launch(uint64_t kernel_phys);
void stub_region_add(uint64_t base, uint64_t bytes, uint32_t type);
uint64_t stub_kernel_room(void);
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);

/* boot_params is read by offset ("The zero page", Documentation/arch/x86/zero-page.rst). */
static inline uint32_t stub_params32(const uint8_t *params, unsigned int at)
{
	uint32_t v;

	__builtin_memcpy(&v, params + at, sizeof(v));
	return v;
}

static inline uint64_t stub_params64(const uint8_t *params, unsigned int at)
{
	return stub_params32(params, at) | (uint64_t)stub_params32(params, at + 4) << 32;
}

void stub_efi_find_rsdp(uint64_t system_table);
void stub_params_read(const uint8_t *params);

#pragma GCC visibility pop
