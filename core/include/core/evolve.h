#pragma once
/*
 * Modules and slots (core/evolve): loads NAME.uko files, binds their vtables to slots, knows which
 * text is whose.
 *
 * Theory: core/evolve/registry.c.
 */
#include <lib/types.h>
#include <kabi/base.h>
#include <core/object.h>
#include <nucleus/slot.h>

struct boot_info;
#define MODULE_VTABLES_MAX 24
#define MODULE_MATCHES_MAX 16
#define MODULE_ERROR_BYTES 160

struct module_vtable {
	const struct kabi_contract *contract;
	const void *vtable;        /* relocated, read-only */
	char slot[KABI_NAME_SIZE]; /* name of the fixed slot, "" */
};
struct module { /* immutable once published */
	u64 id;
	struct module *next; /* read with acquire: module_next() */
	char name[KABI_NAME_SIZE];
	char licence[KABI_NAME_SIZE];
	enum kabi_kind kind;
	u32 version;
	u32 unit;               /* its slots are exchanged together */
	u64 build_id;           /* hash of the file */
	vaddr_t text, text_end; /* executable range */
	vaddr_t rodata, rodata_end;
	const void *image; /* the resident file: a fresh copy is loaded from it after a crash */
	size_t image_bytes;
	u32 nr_vtables, nr_matches;
	struct module_vtable vtables[MODULE_VTABLES_MAX];
	struct kabi_note_match matches[MODULE_MATCHES_MAX];
	struct kabi_note_memory memory; /* components: what each instance gets */
	atomic32_t nr_instances;
};

/* Creates the fixed slots, parked. Before any call through a slot. Context: boot CPU. */
void evolve_init(void);
/* Loads modules/NAME.uko in the order of modules.order from the image's blob and binds their fixed
 * slots. A module that is refused is logged with its reason and its slots stay parked; the return
 * value is how many were. Context: thread. */
u32 evolve_boot_modules(const struct boot_info *info);
/* Loads one; `image` must stay. 0 and *out (published), or -ENOEXEC, -ENOMEM, -EEXIST with the
 * reason in error. Context: thread, may sleep. */
int module_load(const void *image, size_t bytes, struct module **out,
	char error[MODULE_ERROR_BYTES]);
/* Binds the module's vtables to their fixed slots (subsystems, policies, personalities). */
int module_bind(struct module *m, char error[MODULE_ERROR_BYTES]);

/* All modules, oldest first; nullptr begins. Modules are not unloaded, so no reference is taken.
 * Any context. */
struct module *module_next(const struct module *after);
struct module *module_find(const char *name);
const char *module_kind_name(enum kabi_kind kind);
/* The module whose text holds pc; any context, also in a panic. */
struct module *module_of_text(vaddr_t pc);
/* Symbol of a module's text: name (lives for ever) or nullptr; *module its module's name. Any
 * context. */
const char *module_symbol(vaddr_t pc, u64 *offset, const char **module);

/* What a bus asks for a device. Strings may be nullptr. */
struct module_match {
	enum kabi_bus bus;
	u32 vendor, device, class_code;
	const char *compatible;
};
/* The first component after `after` that matches; nullptr: none. */
struct module *module_match(const struct module_match *what, const struct module *after);
const struct module_vtable *module_vtable_find(const struct module *m, const char *contract);

/* A slot of its own for a component instance: parked until slot_open. nullptr: the table is full.
 * Context: thread. */
const struct slot *instance_slot_create(const struct kabi_contract *contract, u32 unit);
void instance_slot_destroy(const struct slot *slot);
/* Exchange; the caller of slot_close then waits for a grace period. False: somebody else exchanged
 * it first. */
bool slot_open(const struct slot *slot, const void *vtable);
bool slot_close(const struct slot *slot);
/* Contract of a slot in use (nullptr: free), its name ("node.pipe", "virtio_blk0") for logs and
 * ukfs. */
const struct kabi_contract *slot_contract(const struct slot *slot);
const char *slot_name(const struct slot *slot);
