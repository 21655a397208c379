/*
 * Modules, and the slots they are bound to.
 *
 * Purpose: everything replaceable enters the kernel here: NAME.uko files are checked, placed and
 * relocated (elf.c, relocate.c, load.c), kept in one list, and their vtables put into slots.
 *
 * Vocabulary: module = one NAME.uko in memory; unit = the slots that are exchanged together: a
 * module's; instance = one use of a component (a device, a mount) with a slot of its own; parked =
 * the slot's callers get WAIT(slot).
 *
 * Objects and lifetimes: a module is published once, whole, and stays (replacement adds a newer
 * one; freeing old text after a grace period is the Evolution issue's). Its file stays resident: a
 * crashed component starts again from it.
 *
 * Invariants:
 *   MODULE-I1 nothing writable: text is mapped read+execute, everything else read-only, before the
 * module is published; MODULE-I2 a component or policy refers to no symbol outside itself;
 *   MODULE-I3 no code address in data, the vtable section excepted; each of its entries points into
 * the module's own text; MODULE-I4 a slot's vtable belongs to the slot's contract, and has every
 * mandatory method; MODULE-I5 list and module are immutable for readers; the list grows at its end
 * by one release store.
 *
 * Locks: registry_lock (mutex) serialises loading, binding and the slot table's writers. Readers
 * take none.
 *
 * Failure and recovery: a refusal names the symbol, frees the memory and leaves slots as they were.
 *
 * Replacement: this is it; slots of a unit are exchanged under registry_lock.
 *
 * Cost: loading is linear in the file times symbols for names in refusals only; lookup of a text
 * address is linear in the number of modules, and meant for backtraces.
 */
#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/boot.h>
#include <kabi/index.h>
#include <core/call.h>
#include <core/evolve.h>
#include <core/log.h>
#include <core/mm.h>
#include "evolve_priv.h"
#include "module_elf.h"

static struct mutex registry_lock;
static struct module *first_module;
static struct module *last_module guarded_by(&registry_lock);
static u32 next_unit guarded_by(&registry_lock);
static const struct kabi_contract *slot_contracts[NUCLEUS_NR_SLOTS];

const char *module_kind_name(enum kabi_kind kind)
{
	switch (kind) {
	case KABI_KIND_COMPONENT:
		return "component";
	case KABI_KIND_SUBSYSTEM:
		return "subsystem";
	case KABI_KIND_POLICY:
		return "policy";
	case KABI_KIND_PERSONALITY:
		return "personality";
	case KABI_KIND_SERVICES:
		return "services";
	case KABI_KIND_VIEW:
		return "view";
	case KABI_NR_KINDS:
		break;
	}
	return "?";
}

void evolve_init(void)
{
	mutex_init(&registry_lock, LOCK_LEVEL_MUTEX_OBJECT);
	BUG_ON(nr_kabi_fixed_slots > NUCLEUS_NR_SLOTS);
	for (u32 i = 0; i < nr_kabi_fixed_slots; i++) {
		slot_contracts[i] = kabi_fixed_slots[i].contract;
		BUG_ON(!slot_create(i, 0, kabi_fixed_slots[i].contract->parked));
	}
}

struct module *module_next(const struct module *after)
{
	return after ? ptr_load_acquire(&after->next) : ptr_load_acquire(&first_module);
}

struct module *module_find(const char *name)
{
	for (struct module *m = module_next(nullptr); m; m = module_next(m))
		if (strcmp(m->name, name) == 0)
			return m;
	return nullptr;
}

struct module *module_of_text(vaddr_t pc)
{
	for (struct module *m = module_next(nullptr); m; m = module_next(m))
		if (pc >= m->text && pc < m->text_end)
			return m;
	return nullptr;
}

const char *module_symbol(vaddr_t pc, u64 *offset, const char **module)
{
	const struct module *m = module_of_text(pc);
	struct module_elf elf;
	char error[4]; /* the file was accepted once: it parses */
	word_t start;

	if (!m || module_elf_parse(&elf, m->image, m->image_bytes, error, sizeof(error)) != 0)
		return nullptr;
	const char *name = module_elf_name_at(&elf, PART_TEXT, pc - m->text, &start);

	*module = m->name;
	*offset = pc - m->text - start;
	return name;
}

static bool note_matches(const struct kabi_note_match *note, const struct module_match *what)
{
	if (note->bus != what->bus)
		return false;
	switch (note->bus) {
	case KABI_BUS_PCI:
		if (note->class_mask)
			return (what->class_code & note->class_mask) == note->class_code;
		return note->vendor == what->vendor && note->device == what->device;
	case KABI_BUS_VIRTIO:
		return note->device == what->device;
	case KABI_BUS_PLATFORM:
	case KABI_BUS_NONE:
		return what->compatible && strcmp(note->compatible, what->compatible) == 0;
	}
	return false;
}

struct module *module_match(const struct module_match *what, const struct module *after)
{
	for (struct module *m = module_next(after); m; m = module_next(m)) {
		if (m->kind != KABI_KIND_COMPONENT && m->kind != KABI_KIND_VIEW)
			continue;
		for (u32 i = 0; i < m->nr_matches; i++)
			if (note_matches(&m->matches[i], what))
				return m;
	}
	return nullptr;
}

const struct module_vtable *module_vtable_find(const struct module *m, const char *contract)
{
	for (u32 i = 0; i < m->nr_vtables; i++)
		if (strcmp(m->vtables[i].contract->name, contract) == 0)
			return &m->vtables[i];
	return nullptr;
}

int module_load(const void *image, size_t bytes, struct module **out,
	char error[MODULE_ERROR_BYTES])
{
	struct module_memory memory;
	struct module *m = kzalloc(sizeof(*m));

	error[0] = '\0';
	if (!m)
		return -ENOMEM;
	int result = module_place_and_check(m, image, bytes, error, &memory);

	if (result) {
		kfree(m);
		return result;
	}
	m->id = object_new_id();
	mutex_lock(&registry_lock);
	if (module_find(m->name)) {
		mutex_unlock(&registry_lock);
		(void)snprintf(error, MODULE_ERROR_BYTES, "a module %s is loaded already", m->name);
		module_memory_free(memory.base, memory.bytes);
		kfree(m);
		return -EEXIST;
	}
	m->unit = ++next_unit;
	if (last_module)
		ptr_store_release(&last_module->next, m);
	else
		ptr_store_release(&first_module, m);
	last_module = m;
	mutex_unlock(&registry_lock);
	*out = m;
	return 0;
}

static s32 fixed_slot_of(const struct module_vtable *v)
{
	for (u32 i = 0; i < nr_kabi_fixed_slots; i++)
		if (kabi_fixed_slots[i].contract == v->contract &&
			strcmp(kabi_fixed_slots[i].name, v->slot) == 0)
			return (s32)i;
	return -1;
}

int module_bind(struct module *m, char error[MODULE_ERROR_BYTES])
{
	if (m->kind == KABI_KIND_COMPONENT)
		return 0; /* bound to its instances, when there are devices or mounts */
	mutex_lock(&registry_lock);
	for (u32 i = 0; i < m->nr_vtables; i++) {
		const struct module_vtable *v = &m->vtables[i];
		s32 id = fixed_slot_of(v);

		if (id < 0 || !slot_swap((u32)id, v->contract->parked, v->vtable)) {
			mutex_unlock(&registry_lock);
			(void)snprintf(error, MODULE_ERROR_BYTES,
				"contract %s has no free slot '%s'", v->contract->name, v->slot);
			return -EEXIST;
		}
		nucleus.slots[id].unit = m->unit;
	}
	mutex_unlock(&registry_lock);
	waitable_wake(&call_slots_opened, EV_ANY, 0);
	return 0;
}

const struct slot *instance_slot_create(const struct kabi_contract *contract, u32 unit)
{
	mutex_lock(&registry_lock);
	for (u32 id = nr_kabi_fixed_slots; id < NUCLEUS_NR_SLOTS; id++) {
		if (!slot_create(id, unit, contract->parked))
			continue;
		slot_contracts[id] = contract;
		mutex_unlock(&registry_lock);
		return &nucleus.slots[id];
	}
	mutex_unlock(&registry_lock);
	return nullptr;
}

void instance_slot_destroy(const struct slot *slot)
{
	mutex_lock(&registry_lock);
	BUG_ON(slot->id < nr_kabi_fixed_slots || !slot_destroy(slot->id));
	slot_contracts[slot->id] = nullptr;
	mutex_unlock(&registry_lock);
}

bool slot_open(const struct slot *slot, const void *vtable)
{
	mutex_lock(&registry_lock);
	bool done = slot_swap(slot->id, slot->parked, vtable);

	mutex_unlock(&registry_lock);
	waitable_wake(&call_slots_opened, EV_ANY, 0);
	return done;
}

bool slot_close(const struct slot *slot)
{
	mutex_lock(&registry_lock);
	bool done = !slot_is_parked(slot) && slot_swap(slot->id, slot_vtable(slot), slot->parked);

	mutex_unlock(&registry_lock);
	return done;
}

const struct kabi_contract *slot_contract(const struct slot *slot)
{
	return slot->id < NUCLEUS_NR_SLOTS ? slot_contracts[slot->id] : nullptr;
}

const char *slot_name(const struct slot *slot)
{
	const struct kabi_contract *contract = slot_contract(slot);

	if (slot->id < nr_kabi_fixed_slots && kabi_fixed_slots[slot->id].name[0])
		return kabi_fixed_slots[slot->id].name;
	return contract ? contract->name : "?";
}

static bool boot_one(const void *blob, size_t blob_bytes, const char *file)
{
	char path[KABI_NAME_SIZE + 16], error[MODULE_ERROR_BYTES] = "";
	struct cpio_entry entry;
	struct module *m;
	int result = -ENOENT;

	(void)snprintf(path, sizeof(path), "modules/%s.uko", file);
	if (!cpio_find(blob, blob_bytes, path, &entry)) {
		log_err("%s: listed in modules.order, but not in the image", path);
		return false;
	}
	/* cpio aligns file data to 4 bytes only; the parser wants words. */
	void *copy = kmalloc((size_t)entry.size_bytes);

	if (copy) {
		memcpy(copy, entry.data, (size_t)entry.size_bytes);
		result = module_load(copy, (size_t)entry.size_bytes, &m, error);
		if (result)
			kfree(copy);
	} else {
		result = -ENOMEM;
	}
	if (!result)
		result = module_bind(m, error);
	if (result) {
		log_err("module %s refused: %s (error %d)", file, error[0] ? error : "no memory",
			-result);
		return false;
	}
	log_debug("module %s: %s, version %u, build %llx, text %lx-%lx", m->name,
		module_kind_name(m->kind), m->version, (unsigned long long)m->build_id,
		(unsigned long)m->text, (unsigned long)m->text_end);
	return true;
}

u32 evolve_boot_modules(const struct boot_info *info)
{
	const char *blob = arch_phys_to_virt(info->blob.base);
	const size_t blob_bytes = (size_t)info->blob.size_bytes;
	struct cpio_entry order;
	u32 nr_loaded = 0, nr_refused = 0;

	if (blob_bytes == 0 || !cpio_find(blob, blob_bytes, "modules.order", &order)) {
		log_err("no modules in the kernel image");
		return 1;
	}
	const char *at = (const char *)order.data, *end = at + order.size_bytes;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline ? newline : end) - at);
		char file[KABI_NAME_SIZE + 4];

		if (length > 0 && length < sizeof(file)) {
			memcpy(file, at, length);
			file[length] = '\0';
			if (boot_one(blob, blob_bytes, file))
				nr_loaded++;
			else
				nr_refused++;
		}
		at += length + 1;
	}
	log_info("modules: %u loaded, %u refused", nr_loaded, nr_refused);
	return nr_refused;
}
