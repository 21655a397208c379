/* Relocating a module: portable checks here, the machine's relocation types in arch/NAME/reloc.c.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/elf.h>
#include "module_elf.h"

static const char *place_name(const struct module_elf *elf, enum module_part part, word_t offset)
{
	word_t start;
	const char *name = module_elf_name_at(elf, part, offset, &start);

	return name ? name : "(no symbol)";
}

/* MODULE-I3: a code address in data is allowed in .kabi.vtable only. */
static int check_data_target(struct module_elf *elf, enum module_part part,
	const struct elf_rela *r, const struct elf_symbol *symbol, enum module_part target)
{
	word_t at;

	if (symbol->section == ELF_SECTION_UNDEF)
		return module_refuse(elf, "data refers to core: %s to %s",
			place_name(elf, part, r->offset), symbol->name);
	if (target == PART_TEXT || symbol->type == ELF_SYMBOL_FUNC) {
		if (part == PART_VTABLE)
			return 0;
		at = symbol->value + (word_t)r->addend;
		return module_refuse(elf, "data holds a code address: %s refers to %s",
			place_name(elf, part, r->offset), place_name(elf, PART_TEXT, at));
	}
	/* No detour: an addend must not lead out of the section that the symbol is in. */
	if (target != PART_NONE && symbol->value + (word_t)r->addend > elf->part[target]->size)
		return module_refuse(elf, "data refers outside of its section: %s",
			place_name(elf, part, r->offset));
	return 0;
}

/* What a sanitizer adds to any code. A kernel without the sanitizer has no such symbol to give. */
static bool is_instrumentation(const char *name)
{
	return strncmp(name, "__asan_", 7) == 0 || strncmp(name, "__ubsan_handle_", 15) == 0 ||
	       strncmp(name, "__tsan_", 7) == 0;
}

static int symbol_value(struct module_elf *elf, const struct module_place *place, bool trusted,
	const struct elf_symbol *symbol, u64 *value)
{
	if (symbol->section == ELF_SECTION_UNDEF) {
		vaddr_t core = 0;

		if (trusted || is_instrumentation(symbol->name))
			core = symbol_address(symbol->name);
		if (!core)
			return module_refuse(elf,
				trusted ? "undefined symbol %s: core has none"
					: "undefined symbol %s: a component sees only its "
					  "contracts",
				symbol->name);
		*value = core;
		return 0;
	}
	if (symbol->section == ELF_SECTION_ABS) {
		*value = symbol->value;
		return 0;
	}
	enum module_part part = module_elf_part(elf, symbol->section);

	if (part == PART_NONE || symbol->value > elf->part[part]->size)
		return module_refuse(elf, "symbol %s is in no part of the module", symbol->name);
	*value = (u64)place->address[part] + symbol->value;
	return 0;
}

static int relocate_one(struct module_elf *elf, const struct module_place *place, bool trusted,
	enum module_part part, const struct elf_rela *r)
{
	const u32 type = elf_rela_type(r), bytes = arch_reloc_bytes(type);
	struct elf_symbol symbol;
	word_t end;
	u64 value;

	if (bytes == 0)
		return module_refuse(elf, "relocation type %u in %s", type,
			place_name(elf, part, r->offset));
	if (!checked_add(r->offset, (word_t)bytes, &end) || end > elf->part[part]->size)
		return module_refuse(elf, "relocation outside of its section");
	if (!module_elf_symbol(elf, elf_rela_symbol(r), &symbol))
		return module_refuse(elf, "relocation names a symbol that does not exist");
	int error = 0;

	if (part != PART_TEXT)
		error = check_data_target(elf, part, r, &symbol,
			module_elf_part(elf, symbol.section));
	if (!error)
		error = symbol_value(elf, place, trusted, &symbol, &value);
	if (error)
		return error;
	error = arch_reloc_apply(type, place->write[part] + r->offset,
		place->address[part] + r->offset, value, r->addend);
	if (error)
		return module_refuse(elf, "%s is out of reach of %s, or misaligned", symbol.name,
			place_name(elf, part, r->offset));
	return 0;
}

int module_elf_relocate(struct module_elf *elf, const struct module_place *place, bool trusted)
{
	for (u32 part = 0; part < PART_NR; part++) {
		const struct elf_rela *r;
		u32 at = 0;
		size_t nr;

		while ((r = module_elf_relocations(elf, (enum module_part)part, &at, &nr)))
			for (size_t i = 0; i < nr; i++) {
				int error = relocate_one(elf, place, trusted,
					(enum module_part)part, &r[i]);

				if (error)
					return error;
			}
	}
	return 0;
}
