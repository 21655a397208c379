/*
 * Reading a module file. Every number comes from the file and is taken as hostile: offsets are
 * checked with overflow before use, indices against their tables, strings against the end of
 * theirs.
 */
#include <stdarg.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/elf.h>
#include "module_elf.h"

#define SHT_PROGBITS   1u
#define SHT_SYMTAB     2u
#define SHT_STRTAB     3u
#define SHT_RELA       4u
#define SHT_NOTE       7u
#define SHT_NOBITS     8u
#define SHT_REL        9u
#define SHT_INIT_ARRAY 14u
#define SHT_PREINIT    16u
#define SHF_WRITE      1u
#define SHF_ALLOC      2u
#define SHF_EXECINSTR  4u
#define SHF_TLS        0x400u
#define ET_REL         1u
#define MAX_SECTIONS   256u

int module_refuse(struct module_elf *elf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(elf->error, elf->error_bytes, format, args);
	va_end(args);
	return -ENOEXEC;
}

static bool range_ok(const struct module_elf *elf, word_t offset, word_t bytes)
{
	word_t end;

	return checked_add(offset, bytes, &end) && end <= elf->size;
}

static const char *section_name(const struct module_elf *elf, const struct elf_section *s)
{
	if (s->name >= elf->names_bytes)
		return "?";
	return elf->names + s->name; /* the table ends with NUL: checked in parse_tables */
}

/* A symbol that lives in the section, so that a refusal can name what the author wrote. */
static const char *name_in_section(const struct module_elf *elf, u32 section)
{
	struct elf_symbol symbol;

	for (u32 i = 1; i < elf->nr_symbols; i++)
		if (module_elf_symbol(elf, i, &symbol) && symbol.section == section &&
			symbol.type != ELF_SYMBOL_SECTION && symbol.name[0] &&
			symbol.name[0] != '$')
			return symbol.name;
	return "(no symbol)";
}

static int check_section(struct module_elf *elf, u32 index)
{
	static const char *const part_names[PART_NR] = {".text", ".rodata", ".kabi.vtable",
		".note.kabi"};
	const struct elf_section *s = &elf->sections[index];
	const char *name = section_name(elf, s);

	if (s->type != SHT_NOBITS && !range_ok(elf, s->offset, s->size))
		return module_refuse(elf, "section %s reaches beyond the file", name);
	if (!(s->flags & SHF_ALLOC) || s->size == 0)
		return 0;
	if (s->type >= SHT_INIT_ARRAY && s->type <= SHT_PREINIT)
		return module_refuse(elf, "constructor or destructor: %s",
			name_in_section(elf, index));
	if (s->flags & SHF_TLS)
		return module_refuse(elf, "thread-local variable: %s", name_in_section(elf, index));
	if (s->flags & SHF_WRITE || s->type == SHT_NOBITS)
		return module_refuse(elf, "writable section %s: %s", name,
			name_in_section(elf, index));
	if (s->align & (s->align - 1) || s->align > 4096)
		return module_refuse(elf, "section %s: alignment", name);
	for (u32 part = 0; part < PART_NR; part++) {
		if (strcmp(name, part_names[part]) != 0)
			continue;
		if (!(s->flags & SHF_EXECINSTR) != (part != PART_TEXT))
			return module_refuse(elf, "section %s: wrong flags", name);
		if (elf->part[part])
			return module_refuse(elf, "second section %s", name);
		elf->part[part] = s;
		return 0;
	}
	return module_refuse(elf, "section %s is not part of a module: %s", name,
		name_in_section(elf, index));
}

static bool table_ok(const struct module_elf *elf, const struct elf_section *s)
{
	return range_ok(elf, s->offset, s->size) && IS_ALIGNED(s->offset, sizeof(word_t));
}

static int parse_strings(struct module_elf *elf, u32 index, const char **out, size_t *bytes)
{
	if (index == 0 || index >= elf->nr_sections)
		return module_refuse(elf, "string table %u does not exist", index);
	const struct elf_section *s = &elf->sections[index];

	if (s->type != SHT_STRTAB || !range_ok(elf, s->offset, s->size) || s->size == 0 ||
		elf->data[s->offset + s->size - 1] != '\0')
		return module_refuse(elf, "malformed string table");
	*out = (const char *)elf->data + s->offset;
	*bytes = s->size;
	return 0;
}

static size_t symbol_bytes(void)
{
	return sizeof(word_t) == 8 ? 24 : 16;
}

static int parse_symbols(struct module_elf *elf)
{
	for (u32 i = 1; i < elf->nr_sections; i++) {
		const struct elf_section *s = &elf->sections[i];

		if (s->type != SHT_SYMTAB)
			continue;
		if (elf->symbols)
			return module_refuse(elf, "second symbol table");
		if (!table_ok(elf, s) || s->size / symbol_bytes() > 1u << 20)
			return module_refuse(elf, "malformed symbol table");
		elf->symbols = elf->data + s->offset;
		elf->nr_symbols = (u32)(s->size / symbol_bytes());
		int error = parse_strings(elf, s->link, &elf->strings, &elf->strings_bytes);

		if (error)
			return error;
	}
	return elf->symbols ? 0 : module_refuse(elf, "no symbol table");
}

static int check_symbols(struct module_elf *elf)
{
	struct elf_symbol symbol;

	for (u32 i = 1; i < elf->nr_symbols; i++) {
		if (!module_elf_symbol(elf, i, &symbol))
			return module_refuse(elf, "malformed symbol %u", i);
		if (symbol.section == ELF_SECTION_COMMON)
			return module_refuse(elf, "writable common variable: %s", symbol.name);
		if (symbol.type == ELF_SYMBOL_IFUNC)
			return module_refuse(elf, "indirect function: %s", symbol.name);
	}
	return 0;
}

static int parse_header(struct module_elf *elf)
{
	const struct elf_header *h = (const void *)elf->data;

	if (elf->size < sizeof(*h) || memcmp(h->ident, "\177ELF", 4) != 0)
		return module_refuse(elf, "not an ELF file");
	if (h->ident[4] != (sizeof(word_t) == 8 ? 2 : 1) ||
		h->ident[5] != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 : 2) ||
		h->ident[6] != 1)
		return module_refuse(elf, "ELF class or byte order of another machine");
	if (h->type != ET_REL || h->machine != ARCH_ELF_MACHINE)
		return module_refuse(elf, "type %u for machine %u, not a module for this one",
			h->type, h->machine);
	if (h->shentsize != sizeof(struct elf_section) || h->shnum < 2 || h->shnum > MAX_SECTIONS ||
		!IS_ALIGNED(h->shoff, sizeof(word_t)) ||
		!range_ok(elf, h->shoff, (word_t)h->shnum * sizeof(struct elf_section)))
		return module_refuse(elf, "malformed section table");
	elf->sections = (const void *)(elf->data + h->shoff);
	elf->nr_sections = h->shnum;
	return parse_strings(elf, h->shstrndx, &elf->names, &elf->names_bytes);
}

int module_elf_parse(struct module_elf *elf, const void *data, size_t bytes, char *error,
	size_t error_bytes)
{
	*elf = (struct module_elf){.data = data,
		.size = bytes,
		.error = error,
		.error_bytes = error_bytes};
	if (!IS_ALIGNED((word_t)data, sizeof(word_t)))
		return module_refuse(elf, "file is not aligned in memory");
	int result = parse_header(elf);

	if (!result)
		result = parse_symbols(elf);
	if (!result)
		result = check_symbols(elf);
	for (u32 i = 1; !result && i < elf->nr_sections; i++) {
		result = check_section(elf, i);
		if (!result && elf->sections[i].type == SHT_REL)
			result = module_refuse(elf, "relocations without addends");
	}
	if (!result && (!elf->part[PART_TEXT] || !elf->part[PART_VTABLE] || !elf->part[PART_NOTE]))
		result = module_refuse(elf, "no text, no vtable or no notes");
	return result;
}

bool module_elf_symbol(const struct module_elf *elf, u32 index, struct elf_symbol *out)
{
	if (index >= elf->nr_symbols)
		return false;
	const u8 *raw = elf->symbols + index * symbol_bytes();
	u32 name;

	memcpy(&name, raw, 4);
	if (name >= elf->strings_bytes)
		return false;
	/* gABI figure 4-15: the 64-bit symbol has its bytes before its words. */
	const u8 *info = raw + (sizeof(word_t) == 8 ? 4 : 12);
	const u8 *words = raw + (sizeof(word_t) == 8 ? 8 : 4);

	out->name = elf->strings + name;
	out->type = info[0] & 15;
	out->bind = info[0] >> 4;
	memcpy(&out->section, info + 2, 2);
	memcpy(&out->value, words, sizeof(word_t));
	memcpy(&out->size, words + sizeof(word_t), sizeof(word_t));
	return out->section < elf->nr_sections || out->section >= ELF_SECTION_ABS;
}

bool module_elf_find(const struct module_elf *elf, const char *name, struct elf_symbol *out)
{
	for (u32 i = 1; i < elf->nr_symbols; i++)
		if (module_elf_symbol(elf, i, out) && strcmp(out->name, name) == 0 &&
			out->section != ELF_SECTION_UNDEF)
			return true;
	return false;
}

enum module_part module_elf_part(const struct module_elf *elf, u32 section)
{
	if (section > 0 && section < elf->nr_sections)
		for (u32 part = 0; part < PART_NR; part++)
			if (elf->part[part] == &elf->sections[section])
				return (enum module_part)part;
	return PART_NONE;
}

const char *module_elf_name_at(const struct module_elf *elf, enum module_part part, word_t offset,
	word_t *start)
{
	const char *best = nullptr;
	struct elf_symbol symbol;

	*start = 0;
	for (u32 i = 1; i < elf->nr_symbols; i++) {
		if (!module_elf_symbol(elf, i, &symbol) ||
			module_elf_part(elf, symbol.section) != part)
			continue;
		if (symbol.type == ELF_SYMBOL_SECTION || !symbol.name[0] || symbol.name[0] == '$' ||
			symbol.value > offset || (best && symbol.value < *start))
			continue;
		best = symbol.name;
		*start = symbol.value;
	}
	return best;
}

const struct elf_rela *module_elf_relocations(const struct module_elf *elf, enum module_part part,
	u32 *at, size_t *nr)
{
	for (u32 i = *at + 1; i < elf->nr_sections; i++) {
		const struct elf_section *s = &elf->sections[i];

		if (s->type != SHT_RELA || module_elf_part(elf, s->info) != part ||
			!table_ok(elf, s))
			continue;
		*at = i;
		*nr = s->size / sizeof(struct elf_rela);
		return (const void *)(elf->data + s->offset);
	}
	return nullptr;
}
