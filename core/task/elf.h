#pragma once
/*
 * ELF64 images of programs (System V gABI): pure validation, tested on the host. Reads only the
 * buffers that it is given; fields are of the machine's own byte order (another one is refused by
 * e_ident).
 */
#include <lib/types.h>

#define ELF_SEGMENTS_MAX 64
#define ELF_HEADER_BYTES 64
#define ELF_PHDR_BYTES   56

struct elf_limits { /* what this machine takes */
	u16 machine;
	u64 page_bytes;
	u64 addr_min, addr_end; /* user addresses */
	u64 file_bytes;
};
struct elf_segment {
	u64 vaddr, file_offset, file_bytes, memory_bytes;
	bool read, write, exec;
};
struct elf_image {
	bool position_independent; /* ET_DYN */
	u64 entry;
	u64 phdr_offset, phdr_vaddr; /* vaddr 0: not in any segment */
	u32 nr_phdrs;
	u32 nr_segments;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
	u64 interp_offset, interp_bytes; /* 0 bytes: none; includes the terminator */
	u64 start, end;                  /* page-aligned hull of all segments */
	u64 align;                       /* largest p_align, at least a page */
	u64 brk;                         /* end of the last segment in memory, unaligned */
	u64 code_start, code_end, data_start, data_end;
	bool stack_flags_seen, stack_exec;
	u64 property_offset, property_bytes;
};
/* Header only: 0, or -ENOEXEC. Fills nr_phdrs, phdr_offset: the caller reads that many entries of
 * ELF_PHDR_BYTES. */
int elf_parse_header(const void *header, size_t bytes, const struct elf_limits *l,
	struct elf_image *out);
/* 0, -ENOEXEC (corrupt or foreign), -ENOMEM (addresses outside the user range), -EINVAL
 * (overlapping, unordered). */
int elf_parse_segments(const void *phdrs, const struct elf_limits *l, struct elf_image *out);
