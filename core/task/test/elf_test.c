/* Validation of program images: a good one, each field broken, and random bytes. */
#include "../../../lib/test/tap.h"
#include "../elf.h"
#include <lib/errno.h>
#include <stdlib.h>
#include <string.h>

struct header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};
static const struct elf_limits limits = {.machine = 62,
	.page_bytes = 4096,
	.addr_min = 0x10000,
	.addr_end = 0x7ffffffff000,
	.file_bytes = 0x10000};

static struct header good_header(void)
{
	return (struct header){.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
		.type = 3,
		.machine = 62,
		.version = 1,
		.entry = 0x1000,
		.phoff = 64,
		.ehsize = 64,
		.phentsize = 56,
		.phnum = 4};
}

static void good_phdrs(struct phdr *p)
{
	p[0] = (struct phdr){1, 4, 0, 0, 0, 0x500, 0x500, 4096};
	p[1] = (struct phdr){1, 5, 0x1000, 0x1000, 0, 0x2345, 0x2345, 4096};
	p[2] = (struct phdr){1, 6, 0x3e00, 0x4e00, 0, 0x300, 0x2000, 4096};
	p[3] = (struct phdr){3, 4, 0x200, 0x200, 0, 28, 28, 1};
}

static int parse(const struct header *h, const struct phdr *p, struct elf_image *out)
{
	int error = elf_parse_header(h, sizeof(*h), &limits, out);

	return error ? error : elf_parse_segments(p, &limits, out);
}

static void test_good(void)
{
	struct header h = good_header();
	struct elf_image image;
	struct phdr p[4];

	good_phdrs(p);
	CHECK(parse(&h, p, &image) == 0);
	CHECK(image.position_independent && image.nr_segments == 3 && image.start == 0 &&
		image.end == 0x7000);
	CHECK(image.phdr_vaddr == 64 && image.interp_bytes == 28 && image.brk == 0x6e00 &&
		image.code_start == 0x1000);
	h.type = 2;
	for (int i = 0; i < 3; i++)
		p[i].vaddr += 0x400000;
	CHECK(parse(&h, p, &image) == 0 && !image.position_independent &&
		image.phdr_vaddr == 0x400040);
}

#define BROKEN(change, error)                                                                      \
	do {                                                                                       \
		struct header h = good_header();                                                   \
		struct elf_image image;                                                            \
		struct phdr p[4];                                                                  \
		good_phdrs(p);                                                                     \
		change;                                                                            \
		CHECK(parse(&h, p, &image) == (error));                                            \
	} while (0)

static void test_broken(void)
{
	BROKEN(h.ident[0] = 0, -ENOEXEC);
	BROKEN(h.ident[4] = 1, 0); /* class and byte order: Linux does not look */
	BROKEN(h.ident[5] = 2, 0);
	BROKEN(h.type = 1, -ENOEXEC);
	BROKEN(h.machine = 3, -ENOEXEC);
	BROKEN(h.phnum = 0, -ENOEXEC);
	BROKEN(h.phnum = 2000, -ENOEXEC);
	BROKEN(h.phentsize = 32, -ENOEXEC);
	BROKEN(h.phoff = UINT64_MAX - 8, -ENOEXEC);
	BROKEN(h.phoff = 0xfff0, -ENOEXEC);
	BROKEN(p[1].filesz = 0x3000, -ENOEXEC);
	BROKEN(p[1].vaddr = 0x1800, -ENOEXEC);
	BROKEN((p[1].memsz = UINT64_MAX - 0x800), -ENOEXEC);
	BROKEN((p[1].offset = 0xffff000, p[1].filesz = 0x2345),
		0); /* beyond the file: Linux maps it all the same */
	BROKEN(p[2].vaddr = 0x3e00, -EINVAL);
	BROKEN(p[1].vaddr = 0x900000001000, -ENOMEM);
	BROKEN((h.type = 2), -ENOMEM);
	BROKEN(p[1].align = 3, -ENOEXEC);
	BROKEN(p[3].filesz = 1, -ENOEXEC);
	BROKEN(p[3].filesz = 5000, -ENOEXEC);
	BROKEN(p[3].offset = UINT64_MAX - 3, -ENOEXEC);
	BROKEN((p[0].type = p[1].type = p[2].type = 4), -ENOEXEC);
	BROKEN((p[0].memsz = 0, p[0].filesz = 0), 0);
}

static void test_random(void)
{
	struct elf_image image;

	srand(11);
	for (int i = 0; i < 200000; i++) {
		struct header h = good_header();
		struct phdr p[4];
		u8 *bytes;

		good_phdrs(p);
		bytes = rand() & 1 ? (u8 *)&h : (u8 *)p;
		for (int k = rand() % 4; k >= 0; k--)
			bytes[rand() % 64] = (u8)rand();
		h.phnum = h.phnum > 4 ? 4 : h.phnum;
		if (parse(&h, p, &image))
			continue;
		CHECK_QUIET(image.start < image.end && image.end <= limits.addr_end);
		for (u32 s = 0; s < image.nr_segments; s++)
			CHECK_QUIET(image.segments[s].file_bytes <= image.segments[s].memory_bytes);
		CHECK_QUIET(image.interp_bytes == 0 ||
			    image.interp_offset + image.interp_bytes <= limits.file_bytes);
	}
	CHECK(true);
}

int main(void)
{
	struct elf_image image;
	u8 few[10] = {0x7f, 'E', 'L', 'F'};

	CHECK(elf_parse_header(few, sizeof(few), &limits, &image) == -ENOEXEC);
	test_good();
	test_broken();
	test_random();
	TAP_END();
}
