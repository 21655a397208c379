/* Validation of program images. Every field is hostile: sums are checked, ranges compared with the
 * file's length and the user range. */
#include "elf.h"
#include <lib/errno.h>
#include <lib/string.h>

struct elf64_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf64_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(struct elf64_header) == ELF_HEADER_BYTES);
static_assert(sizeof(struct elf64_phdr) == ELF_PHDR_BYTES);

#define ET_EXEC         2
#define ET_DYN          3
#define PT_LOAD         1
#define PT_INTERP       3
#define PT_PHDR         6
#define PT_GNU_STACK    0x6474e551u
#define PT_GNU_PROPERTY 0x6474e553u
#define PF_X            1u
#define PF_W            2u
#define PF_R            4u
#define INTERP_MAX      4096
#define PHDRS_BYTES_MAX 65536

/* Class and byte order are not looked at, as on Linux: the machine says both (a program with a
 * wrong class byte runs there; tests/boot). */
static bool ident_ok(const u8 *ident)
{
	return ident[0] == 0x7f && ident[1] == 'E' && ident[2] == 'L' && ident[3] == 'F';
}

int elf_parse_header(const void *header, size_t bytes, const struct elf_limits *l,
	struct elf_image *out)
{
	struct elf64_header h;
	u64 end;

	*out = (struct elf_image){};
	if (bytes < sizeof(h))
		return -ENOEXEC;
	memcpy(&h, header, sizeof(h));
	if (!ident_ok(h.ident) || (h.type != ET_EXEC && h.type != ET_DYN) ||
		h.machine != l->machine)
		return -ENOEXEC;
	if (h.phentsize != sizeof(struct elf64_phdr) || h.phnum < 1 ||
		(size_t)h.phnum * sizeof(struct elf64_phdr) > PHDRS_BYTES_MAX)
		return -ENOEXEC;
	if (!checked_add(h.phoff, (u64)h.phnum * sizeof(struct elf64_phdr), &end) ||
		end > l->file_bytes)
		return -ENOEXEC;
	out->position_independent = h.type == ET_DYN;
	out->entry = h.entry;
	out->phdr_offset = h.phoff;
	out->nr_phdrs = h.phnum;
	return 0;
}

static u64 page_down(u64 x, const struct elf_limits *l)
{
	return x & ~(l->page_bytes - 1);
}

/* False: the sum wraps. */
static bool page_up(u64 x, const struct elf_limits *l, u64 *out)
{
	if (!checked_add(x, l->page_bytes - 1, &x))
		return false;
	*out = page_down(x, l);
	return true;
}

static void note_hull(struct elf_image *out, const struct elf64_phdr *p, u64 file_end,
	u64 memory_end)
{
	if (p->flags & PF_X) {
		if (!out->code_start || p->vaddr < out->code_start)
			out->code_start = p->vaddr;
		if (file_end > out->code_end)
			out->code_end = file_end;
	}
	if (p->vaddr > out->data_start)
		out->data_start = p->vaddr;
	if (file_end > out->data_end)
		out->data_end = file_end;
	if (memory_end > out->brk)
		out->brk = memory_end;
}

static int add_load(const struct elf64_phdr *p, const struct elf_limits *l, struct elf_image *out)
{
	u64 file_end, memory_end, offset_end, hull_end;
	struct elf_segment *s;

	if (p->memsz == 0)
		return 0;
	if (p->filesz > p->memsz || out->nr_segments == ELF_SEGMENTS_MAX)
		return -ENOEXEC;
	if ((p->vaddr ^ p->offset) & (l->page_bytes - 1))
		return -ENOEXEC;
	if (!checked_add(p->vaddr, p->filesz, &file_end) ||
		!checked_add(p->vaddr, p->memsz, &memory_end) ||
		!checked_add(p->offset, p->filesz, &offset_end) ||
		!page_up(memory_end, l, &hull_end))
		return -ENOEXEC;
	if (hull_end > l->addr_end || (!out->position_independent && p->vaddr < l->addr_min))
		return -ENOMEM;
	/* A segment may reach beyond the end of the file, as on Linux: touching what is not there
	 * is SIGBUS, clearing its tail kills. */
	if (out->nr_segments && page_down(p->vaddr, l) < out->end)
		return -EINVAL; /* out of order, or two segments in one page */
	if (p->align & (p->align - 1))
		return -ENOEXEC;
	if (out->nr_segments == 0)
		out->start = page_down(p->vaddr, l);
	out->end = hull_end;
	if (p->align > out->align)
		out->align = p->align;
	s = &out->segments[out->nr_segments++];
	*s = (struct elf_segment){p->vaddr, p->offset, p->filesz, p->memsz, p->flags & PF_R,
		p->flags & PF_W, p->flags & PF_X};
	note_hull(out, p, file_end, memory_end);
	/* where the program headers lie in memory (AT_PHDR) */
	if (out->phdr_offset >= p->offset &&
		out->phdr_offset + (u64)out->nr_phdrs * ELF_PHDR_BYTES <= offset_end)
		out->phdr_vaddr = p->vaddr + (out->phdr_offset - p->offset);
	return 0;
}

static int add_interp(const struct elf64_phdr *p, const struct elf_limits *l, struct elf_image *out)
{
	u64 end;

	if (out->interp_bytes)
		return 0; /* the first one counts */
	if (p->filesz < 2 || p->filesz > INTERP_MAX || !checked_add(p->offset, p->filesz, &end) ||
		end > l->file_bytes)
		return -ENOEXEC;
	out->interp_offset = p->offset;
	out->interp_bytes = p->filesz;
	return 0;
}

int elf_parse_segments(const void *phdrs, const struct elf_limits *l, struct elf_image *out)
{
	out->align = l->page_bytes;
	for (u32 i = 0; i < out->nr_phdrs; i++) {
		struct elf64_phdr p;
		int error = 0;

		memcpy(&p, (const u8 *)phdrs + (size_t)i * sizeof(p), sizeof(p));
		switch (p.type) {
		case PT_LOAD:
			error = add_load(&p, l, out);
			break;
		case PT_INTERP:
			error = add_interp(&p, l, out);
			break;
		case PT_GNU_STACK:
			out->stack_flags_seen = true;
			out->stack_exec = p.flags & PF_X;
			break;
		case PT_GNU_PROPERTY:
			out->property_offset = p.offset;
			out->property_bytes = p.filesz;
			break;
		default:
			break;
		}
		if (error)
			return error;
	}
	if (out->nr_segments == 0)
		return -ENOEXEC;
	if (out->end - out->start > l->addr_end - l->addr_min)
		return -ENOMEM;
	return 0;
}
