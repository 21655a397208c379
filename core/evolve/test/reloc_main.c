/*
 * Relocates a module to given addresses and writes the parts, so that tests/modules can compare
 * with what the linker makes of the same file at the same addresses. Built once for each port's
 * reloc.c. reloc FILE TEXT RODATA VTABLE OUT       (addresses in hex; undefined symbols are placed
 * at TEXT + 1 MiB)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../module_elf.h"

static vaddr_t undefined_at;

vaddr_t symbol_address(const char *name)
{
	(void)name;
	return undefined_at;
}

int main(int argc, char **argv)
{
	static u64 data[1 << 17];
	char error[160] = "";
	struct module_place place = {};
	struct module_elf elf;

	if (argc != 6)
		return 2;
	FILE *f = fopen(argv[1], "rb");
	size_t bytes = f ? fread(data, 1, sizeof(data), f) : 0;
	FILE *out = fopen(argv[5], "wb");

	if (!f || !out || module_elf_parse(&elf, data, bytes, error, sizeof(error))) {
		printf("refused: %s\n", error);
		return 1;
	}
	for (u32 part = 0; part < PART_NR; part++) {
		size_t size = elf.part[part] ? elf.part[part]->size : 0;

		place.write[part] = calloc(1, size + 1);
		place.address[part] =
			part < PART_NOTE ? strtoull(argv[2 + part], nullptr, 16) : 0x1000;
		if (size)
			memcpy(place.write[part], elf.data + elf.part[part]->offset, size);
	}
	undefined_at = place.address[PART_TEXT] + (1 << 20);
	if (module_elf_relocate(&elf, &place, true)) {
		printf("refused: %s\n", error);
		return 1;
	}
	for (u32 part = 0; part < PART_NOTE; part++)
		if (elf.part[part])
			fwrite(place.write[part], 1, elf.part[part]->size, out);
	return 0;
}
