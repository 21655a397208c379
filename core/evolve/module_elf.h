#pragma once
/*
 * Reading a relocatable ELF module. Pure: no allocation, no locks, no globals; host tests and the
 * fuzzer call it. The format is the System V gABI's, in the port's own class and byte order.
 */
#include <lib/types.h>
#include <kabi/base.h>

/* One struct serves both classes: word_t is Elf32_Word or Elf64_Xword where the two differ (gABI
 * ch. 4). */
struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	word_t entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_section {
	u32 name, type;
	word_t flags, addr, offset, size;
	u32 link, info;
	word_t align, entsize;
};
struct elf_rela {
	word_t offset, info;
	sword_t addend;
};
struct elf_symbol { /* decoded */
	const char *name;
	word_t value, size;
	u8 type, bind;
	u16 section;
};
#define ELF_SECTION_UNDEF  0u
#define ELF_SECTION_ABS    0xfff1u
#define ELF_SECTION_COMMON 0xfff2u
#define ELF_SYMBOL_FUNC    2u
#define ELF_SYMBOL_SECTION 3u
#define ELF_SYMBOL_IFUNC   10u

enum module_part { PART_TEXT, PART_RODATA, PART_VTABLE, PART_NOTE, PART_NR, PART_NONE = PART_NR };

struct module_elf {
	const u8 *data;
	size_t size;
	const struct elf_section *sections;
	u32 nr_sections;
	const char *names; /* section names */
	size_t names_bytes;
	const u8 *symbols;
	u32 nr_symbols;
	const char *strings;
	size_t strings_bytes;
	const struct elf_section *part[PART_NR]; /* nullptr: absent */
	char *error;
	size_t error_bytes;
};

/* Checks the whole file; 0 or -ENOEXEC with the reason in `error`. Data must be aligned to a word.
 */
int module_elf_parse(struct module_elf *elf, const void *data, size_t bytes, char *error,
	size_t error_bytes);
bool module_elf_symbol(const struct module_elf *elf, u32 index, struct elf_symbol *out);
bool module_elf_find(const struct module_elf *elf, const char *name, struct elf_symbol *out);
enum module_part module_elf_part(const struct module_elf *elf, u32 section);
/* Name of the function or object that covers `offset` of a part, or nullptr. */
const char *module_elf_name_at(const struct module_elf *elf, enum module_part part, word_t offset,
	word_t *start);
/* The next section of relocations that change `part` behind section *at (0: the first one), which
 * becomes *at; nullptr: no more. A part has several when objects of a section group went into it.
 */
const struct elf_rela *module_elf_relocations(const struct module_elf *elf, enum module_part part,
	u32 *at, size_t *nr);
static inline u32 elf_rela_symbol(const struct elf_rela *r)
{
	return (u32)(sizeof(word_t) == 8 ? (u64)r->info >> 32 : r->info >> 8);
}
static inline u32 elf_rela_type(const struct elf_rela *r)
{
	return (u32)(sizeof(word_t) == 8 ? r->info & 0xffffffffu : r->info & 0xffu);
}

/* Where the parts will run, and where they are written meanwhile. */
struct module_place {
	u8 *write[PART_NR];
	vaddr_t address[PART_NR];
};
/* Address of a core symbol, 0: none. Given by core/trace; a fake in host tests. */
vaddr_t symbol_address(const char *name);
/* Applies all relocations. `trusted`: may name core's symbols. */
int module_elf_relocate(struct module_elf *elf, const struct module_place *place, bool trusted);
int module_refuse(struct module_elf *elf, const char *format, ...) __printf(2, 3);
