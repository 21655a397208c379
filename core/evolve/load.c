/* From a file to a module: place, copy, relocate, check what it claims, protect. Theory:
 * registry.c. */
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <kabi/index.h>
#include <arch/elf.h>
#include <core/evolve.h>
#include <core/mm.h>
#include "module_elf.h"
#include "evolve_priv.h"

static size_t part_bytes(const struct module_elf *elf, enum module_part part)
{
	return elf->part[part] ? elf->part[part]->size : 0;
}

/* Text at the front; everything read-only behind it, from the next page on. */
static int lay_out(struct module_elf *elf, struct module_place *place, struct module_memory *memory)
{
	size_t offset[PART_NR], at = 0;

	for (u32 part = 0; part < PART_NR; part++) {
		if (elf->part[part] && elf->part[part]->align > 1)
			at = ALIGN_UP(at, (size_t)elf->part[part]->align);
		offset[part] = at;
		if (!checked_add(at, part_bytes(elf, (enum module_part)part), &at) ||
			at > MODULE_BYTES_MAX)
			return module_refuse(elf, "larger than %u MiB", MODULE_BYTES_MAX >> 20);
		if (part == PART_TEXT) {
			at = ALIGN_UP(at, PAGE_BYTES);
			memory->text_bytes = at;
		}
	}
	memory->bytes = ALIGN_UP(at, PAGE_BYTES);
	memory->base = module_memory_alloc(memory->bytes);
	if (!memory->base)
		return -ENOMEM;
	memset(memory->base, 0, memory->bytes);
	for (u32 part = 0; part < PART_NR; part++) {
		place->write[part] = memory->base + offset[part];
		place->address[part] = (vaddr_t)memory->base + offset[part];
		if (elf->part[part])
			memcpy(place->write[part], elf->data + elf->part[part]->offset,
				elf->part[part]->size);
	}
	return 0;
}

static bool terminated(const char *text)
{
	return memchr(text, '\0', KABI_NAME_SIZE) && text[0] != '\0';
}

static bool name_ok(const char *name)
{
	if (!terminated(name))
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= '0' && *name <= '9') &&
			*name != '_')
			return false;
	return true;
}

static int read_module_note(struct module_elf *elf, struct module *m, const void *raw, u32 bytes)
{
	struct kabi_note_module note;

	if (bytes != sizeof(note) || m->name[0])
		return module_refuse(elf, "malformed module note");
	memcpy(&note, raw, sizeof(note));
	if (note.note_version != KABI_NOTE_VERSION || note.kind >= KABI_NR_KINDS ||
		note.kind == KABI_KIND_SERVICES || !name_ok(note.module) ||
		!terminated(note.licence))
		return module_refuse(elf, "malformed module note");
	memcpy(m->name, note.module, sizeof(m->name));
	memcpy(m->licence, note.licence, sizeof(m->licence));
	m->kind = (enum kabi_kind)note.kind;
	m->version = note.version;
	return 0;
}

static const struct kabi_contract *find_contract(const char *name)
{
	for (u32 i = 0; i < nr_kabi_contracts; i++)
		if (strcmp(kabi_contracts[i]->name, name) == 0)
			return kabi_contracts[i];
	return nullptr;
}

/* A view implements subsystem contracts; every other kind those of its own kind. */
static bool kind_may_implement(enum kabi_kind kind, const struct kabi_contract *contract)
{
	return contract->kind == (kind == KABI_KIND_VIEW ? KABI_KIND_SUBSYSTEM : kind);
}

/* The symbol KABI_IMPLEMENT made: kabi_vtable_CONTRACT or kabi_vtable_CONTRACT_SLOT. */
static const void *find_vtable(struct module_elf *elf, const struct module_place *place,
	const struct kabi_note_vtable *note)
{
	char name[16 + 2 * KABI_NAME_SIZE];
	struct elf_symbol symbol;

	(void)snprintf(name, sizeof(name), "kabi_vtable_%s%s%s", note->contract,
		note->slot[0] ? "_" : "", note->slot);
	if (!module_elf_find(elf, name, &symbol) ||
		module_elf_part(elf, symbol.section) != PART_VTABLE ||
		!IS_ALIGNED(symbol.value, alignof(void *)) || symbol.size < note->size ||
		symbol.value > part_bytes(elf, PART_VTABLE) ||
		note->size > part_bytes(elf, PART_VTABLE) - symbol.value)
		return nullptr;
	return place->write[PART_VTABLE] + symbol.value;
}

static int check_methods(struct module_elf *elf, const struct module_place *place,
	const struct kabi_contract *contract, const struct kabi_note_vtable *note,
	const void *vtable)
{
	const word_t *methods =
		(const void *)((const u8 *)vtable + sizeof(struct kabi_vtable_head));
	const vaddr_t text = place->address[PART_TEXT],
		      text_end = text + part_bytes(elf, PART_TEXT);

	for (u32 row = 0; row < contract->nr_rows; row++) {
		const struct kabi_method *method = &contract->methods[row];

		for (u32 i = method->index; i < (u32)method->index + method->count; i++) {
			word_t address = i < note->nr_methods ? methods[i] : 0;

			if (address == 0 && !(method->flags & KABI_METHOD_OPTIONAL) &&
				method->since <= note->version)
				return module_refuse(elf, "contract %s: method %s is missing",
					contract->name, method->name);
			if (address != 0 && (address < text || address >= text_end))
				return module_refuse(elf,
					"contract %s: method %s is not in the module's text",
					contract->name, method->name);
		}
	}
	return 0;
}

static int read_vtable_note(struct module_elf *elf, struct module *m,
	const struct module_place *place, const void *raw, u32 bytes)
{
	struct kabi_note_vtable note;

	if (bytes != sizeof(note))
		return module_refuse(elf, "malformed vtable note");
	memcpy(&note, raw, sizeof(note));
	if (!name_ok(note.contract) || (note.slot[0] && !name_ok(note.slot)))
		return module_refuse(elf, "malformed vtable note");
	const struct kabi_contract *contract = find_contract(note.contract);

	if (!contract)
		return module_refuse(elf, "contract %s is unknown", note.contract);
	if (!kind_may_implement(m->kind, contract))
		return module_refuse(elf, "a %s may not implement contract %s",
			module_kind_name(m->kind), note.contract);
	if (note.version == 0 || note.version > contract->version ||
		note.nr_methods > contract->nr_methods ||
		(note.version == contract->version && note.nr_methods != contract->nr_methods) ||
		note.size !=
			sizeof(struct kabi_vtable_head) + (u64)note.nr_methods * sizeof(void *))
		return module_refuse(elf,
			"contract %s: version %u with %u methods, this kernel has version %u with "
			"%u",
			note.contract, note.version, note.nr_methods, contract->version,
			contract->nr_methods);
	const void *vtable = find_vtable(elf, place, &note);
	const struct kabi_vtable_head *head = vtable;

	if (!vtable || head->size != note.size || head->version != note.version ||
		head->nr_methods != note.nr_methods)
		return module_refuse(elf, "contract %s: vtable and note disagree", note.contract);
	if (m->nr_vtables == MODULE_VTABLES_MAX)
		return module_refuse(elf, "more than %u vtables", MODULE_VTABLES_MAX);
	struct module_vtable *out = &m->vtables[m->nr_vtables++];

	out->contract = contract;
	out->vtable = vtable;
	memcpy(out->slot, note.slot, sizeof(out->slot));
	return check_methods(elf, place, contract, &note, vtable);
}

static int read_match_note(struct module_elf *elf, struct module *m, const void *raw, u32 bytes)
{
	struct kabi_note_match *match = &m->matches[m->nr_matches];

	if (bytes != sizeof(*match) || m->nr_matches == MODULE_MATCHES_MAX)
		return module_refuse(elf, "malformed match note, or more than %u",
			MODULE_MATCHES_MAX);
	memcpy(match, raw, sizeof(*match));
	if (match->bus > KABI_BUS_NONE || !memchr(match->compatible, '\0', KABI_NAME_SIZE))
		return module_refuse(elf, "malformed match note");
	m->nr_matches++;
	return 0;
}

static int read_memory_note(struct module_elf *elf, struct module *m, const void *raw, u32 bytes)
{
	if (bytes != sizeof(m->memory) || m->memory.head.type)
		return module_refuse(elf, "malformed memory note, or a second one");
	memcpy(&m->memory, raw, sizeof(m->memory));
	if (m->kind != KABI_KIND_COMPONENT || m->memory.state_bytes > INSTANCE_BYTES_MAX ||
		m->memory.device_bytes > INSTANCE_BYTES_MAX ||
		m->memory.scratch_bytes > INSTANCE_BYTES_MAX ||
		m->memory.answer_bytes > INSTANCE_BYTES_MAX)
		return module_refuse(elf, "memory note: not a component, or more than %u MiB",
			INSTANCE_BYTES_MAX >> 20);
	return 0;
}

/* One pass for each type: the module's own note says what the others may claim. */
static int read_notes(struct module_elf *elf, struct module *m, const struct module_place *place,
	u32 type)
{
	const u8 *raw = place->write[PART_NOTE];
	const size_t size = part_bytes(elf, PART_NOTE);
	struct kabi_note_head head;

	for (size_t at = 0; at < size;) {
		if (size - at < sizeof(head))
			return module_refuse(elf, "malformed notes");
		memcpy(&head, raw + at, sizeof(head));
		if (head.name_size != 8 || memcmp(head.name, "UmkaOS\0", 8) != 0 ||
			head.desc_size > size - at - sizeof(head) || head.desc_size % 4 != 0)
			return module_refuse(elf, "malformed notes");
		const u32 bytes = (u32)sizeof(head) + head.desc_size;
		int error = 0;

		if (head.type == type && type == KABI_NOTE_MODULE)
			error = read_module_note(elf, m, raw + at, bytes);
		else if (head.type == type && type == KABI_NOTE_VTABLE)
			error = read_vtable_note(elf, m, place, raw + at, bytes);
		else if (head.type == type && type == KABI_NOTE_MATCH)
			error = read_match_note(elf, m, raw + at, bytes);
		else if (head.type == type && type == KABI_NOTE_MEMORY)
			error = read_memory_note(elf, m, raw + at, bytes);
		else if (head.type == 0 || head.type > KABI_NOTE_MEMORY)
			error = module_refuse(elf, "unknown note %u", head.type);
		if (error)
			return error;
		at += bytes;
	}
	return 0;
}

static u64 hash_file(const u8 *data, size_t bytes)
{
	u64 hash = 0xcbf29ce484222325ull; /* FNV-1a: an identity, not a signature */

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ data[i]) * 0x100000001b3ull;
	return hash;
}

static int protect(const struct module_memory *memory)
{
	int error = module_memory_protect(memory->base, memory->text_bytes, MMU_READ | MMU_EXEC);

	if (!error)
		error = module_memory_protect(memory->base + memory->text_bytes,
			memory->bytes - memory->text_bytes, MMU_READ);
	return error;
}

int module_place_and_check(struct module *m, const void *image, size_t bytes,
	char error[MODULE_ERROR_BYTES], struct module_memory *memory)
{
	struct module_place place;
	struct module_elf elf;
	int result = module_elf_parse(&elf, image, bytes, error, MODULE_ERROR_BYTES);

	*memory = (struct module_memory){};
	if (result)
		return result;
	result = lay_out(&elf, &place, memory);
	if (!result)
		result = read_notes(&elf, m, &place, KABI_NOTE_MODULE);
	if (!result && !m->name[0])
		result = module_refuse(&elf, "no KABI_MODULE note");
	if (!result)
		result = module_elf_relocate(&elf, &place,
			m->kind != KABI_KIND_COMPONENT && m->kind != KABI_KIND_POLICY);
	if (!result)
		result = read_notes(&elf, m, &place, KABI_NOTE_VTABLE);
	if (!result)
		result = read_notes(&elf, m, &place, KABI_NOTE_MATCH);
	if (!result)
		result = read_notes(&elf, m, &place, KABI_NOTE_MEMORY);
	if (!result && m->nr_vtables == 0)
		result = module_refuse(&elf, "implements no contract");
	if (!result)
		result = protect(memory);
	if (result) {
		if (memory->base)
			module_memory_free(memory->base, memory->bytes);
		return result;
	}
	m->text = place.address[PART_TEXT];
	m->text_end = m->text + part_bytes(&elf, PART_TEXT);
	m->rodata = (vaddr_t)memory->base + memory->text_bytes;
	m->rodata_end = (vaddr_t)memory->base + memory->bytes;
	m->image = image;
	m->image_bytes = bytes;
	m->build_id = hash_file(image, bytes);
	return 0;
}
