#pragma once
/*
 * What every generated contract header stands on. Seen by all kinds of code, so it names nothing of
 * core. Not a contract: contracts are *.kabi files, their headers are generated.
 */
#include <lib/types.h>
#include <lib/errno.h>
#include <lib/answer.h>

typedef u64 handle_t;    /* index and generation: opaque, checked by core at every use */
typedef u64 object_id_t; /* never reused; 0 names nothing */
#define HANDLE_NONE ((handle_t)0)

struct call;

enum kabi_kind : u8 {
	KABI_KIND_COMPONENT,
	KABI_KIND_SUBSYSTEM,
	KABI_KIND_POLICY,
	KABI_KIND_PERSONALITY,
	KABI_KIND_SERVICES,
	KABI_KIND_VIEW, /* modules only: implements subsystem contracts under views/ */
	KABI_NR_KINDS,
};

/* First bytes of each vtable. Version is the discriminant, size is the bounds check. */
struct kabi_vtable_head {
	u32 size;
	u16 version;
	u16 nr_methods;
};
#define KABI_VTABLE_HEAD(contract)                                                                 \
	{sizeof(struct contract##_vtable), kabi_version_##contract, kabi_nr_methods_##contract}

/* --- the context of a component's call --- */
#define KABI_NR_SERVICES    8
#define KABI_CTX_NEEDS      4
#define KABI_PROGRESS_WORDS 8

enum kabi_reason : u32 { /* same values as core's enum call_reason */
	KABI_FIRST,
	KABI_AGAIN,
	KABI_READY,
	KABI_EXPIRED,
	KABI_INTERRUPTED,
	KABI_NEED_FAILED,
};
enum kabi_need_kind : u32 {
	KABI_NEED_BLOCKS, /* metadata blocks [index, index + nr) of the mount, in the window */
	KABI_NEED_MEMORY, /* nr bytes */
};
struct kabi_need {
	enum kabi_need_kind kind;
	s32 error; /* set by core: what was asked for and failed */
	u64 index, nr;
};
/* The frame: comes with the call, goes back with every answer (calls.md "Levels"). */
struct kabi_frame {
	u32 phase;
	enum kabi_reason reason;
	u64 progress[KABI_PROGRESS_WORDS]; /* zero at the first run */
};
/*
 * One per running call, in the component's window. Core reads what the component wrote exactly
 * once, after the answer. `state` is a read-only view: it changes only by the answer's delta.
 */
struct kabi_ctx {
	u32 size;                               /* of this struct, as core knows it */
	u16 version;                            /* KABI_CTX_VERSION of core */
	u16 nr_needs;                           /* written by the component with ANSWER_NEED */
	const void *services[KABI_NR_SERVICES]; /* vtables, by the index their contract declares */
	handle_t instance;                      /* this component's instance */
	const void *state;                      /* lifetime state */
	void *device;  /* lifetime device: survives a swap, dropped by a crash */
	void *scratch; /* lifetime scratch: dropped by both */
	void *answer;  /* answer page: deltas and lists, as the contract says */
	u32 state_bytes, device_bytes, scratch_bytes, answer_bytes;
	struct kabi_frame frame;
	struct kabi_need needs[KABI_CTX_NEEDS];
	u64 deadline_ns; /* with ANSWER_WAIT: absolute, monotonic; U64_MAX none */
	u64 wait;        /* with ANSWER_WAIT: what is waited for, as the contract says */
};
#define KABI_CTX_VERSION 1

/* A policy sees the values of its tunables (order of declaration) and nothing else. */
struct kabi_policy_ctx {
	u32 nr_tunables;
	u32 stamp; /* of the policy: words of objects with another stamp are reset */
	const u64 *tunables;
};

/* --- descriptions that core reads --- */
enum kabi_lifetime : u8 { KABI_LIFETIME_STATE, KABI_LIFETIME_DEVICE, KABI_LIFETIME_SCRATCH };
enum kabi_field_type : u8 {
	KABI_FIELD_UNSIGNED,
	KABI_FIELD_SIGNED,
	KABI_FIELD_BOOL,
	KABI_FIELD_HANDLE,
	KABI_FIELD_REF,
	KABI_FIELD_UADDR,
	KABI_FIELD_STRUCT,
};
struct kabi_field {
	const char *name;
	u32 offset, size, nr_elements;
	enum kabi_field_type type;
	u16 since;
	u64 initial; /* value in a body migrated from a version before `since` */
};
struct kabi_schema {
	const char *name;
	u16 version;
	enum kabi_lifetime lifetime;
	u32 size, nr_fields;
	const struct kabi_field *fields;
};
struct kabi_schema_set {
	const struct kabi_schema *const *schemas;
	u32 nr_schemas;
};

/* Order as in calls.md: core takes exclusions in this order. */
enum kabi_exclusion_class : u8 {
	EXCLUSION_SUPERBLOCK,
	EXCLUSION_INODE_CONTENT,
	EXCLUSION_ADDRESS_SPACE,
	EXCLUSION_INODE_MAP,
	EXCLUSION_QUOTA,
	EXCLUSION_CONNECTION,
	EXCLUSION_QUEUE,
};
struct kabi_exclusion {
	enum kabi_exclusion_class class;
	u8 shared;
	u8 param; /* number of the parameter (from 0, the context not counted) whose object is
		     excluded */
};
enum kabi_need_index {
	KABI_MAX_BLOCKS,
	KABI_MAX_PAGES,
	KABI_MAX_JOURNAL,
	KABI_MAX_MEMORY,
	KABI_MAX_PINS,
	KABI_NR_MAXIMA
};
#define KABI_METHOD_REMOVED         1u
#define KABI_METHOD_OPTIONAL        2u
#define KABI_METHOD_UNINTERRUPTIBLE 4u
#define KABI_METHOD_KILLABLE        8u
struct kabi_method {
	const char *name;
	u16 index, count; /* in the vtable: count > 1 is a method array */
	u16 since;
	u8 flags;
	u8 nr_exclusions;
	struct kabi_exclusion exclusions[4];
	u32 needs[KABI_NR_MAXIMA]; /* the most one run may use */
};
struct kabi_tunable {
	const char *name;
	u64 initial, low, high, decay_ns;
};
struct kabi_contract {
	const char *name;
	u16 version;
	enum kabi_kind kind;
	u8 service_index;
	u16 nr_methods; /* vtable entries */
	u16 nr_rows;    /* rows of `methods`: a method array is one */
	u32 vtable_size;
	const void *parked;
	const struct kabi_method *methods;
	const struct kabi_tunable *tunables;
	u32 nr_tunables;
	struct kabi_schema_set schemas;
};

/* --- what a module says about itself: section .note.kabi --- */
#define KABI_NOTE_MODULE  1u
#define KABI_NOTE_VTABLE  2u
#define KABI_NOTE_MATCH   3u
#define KABI_NOTE_MEMORY  4u
#define KABI_NOTE_VERSION 1u
#define KABI_NAME_SIZE    32
struct kabi_note_head {
	u32 name_size, desc_size, type;
	char name[8]; /* "UmkaOS" */
};
struct kabi_note_module {
	struct kabi_note_head head;
	u32 note_version;
	u32 kind; /* enum kabi_kind */
	u32 version;
	char module[KABI_NAME_SIZE];
	char licence[KABI_NAME_SIZE];
};
struct kabi_note_vtable {
	struct kabi_note_head head;
	u32 version, size, nr_methods;
	char contract[KABI_NAME_SIZE];
	char slot[KABI_NAME_SIZE];
};
/* What core allocates for each instance; 0: nothing. Zeroed at first, `state` by its schema's
 * defaults. */
struct kabi_note_memory {
	struct kabi_note_head head;
	u32 state_bytes, state_version; /* as the schema file says */
	u32 device_bytes, scratch_bytes, answer_bytes;
};
enum kabi_bus : u32 {
	KABI_BUS_PLATFORM, /* matched by `compatible` (device tree) or an ACPI id */
	KABI_BUS_PCI,      /* vendor, device */
	KABI_BUS_VIRTIO,   /* device = virtio device type, over any transport */
	KABI_BUS_NONE,     /* no device: file systems; `compatible` is the file system's type */
};
#define KABI_ANY_ID 0xffffffffu
struct kabi_note_match {
	struct kabi_note_head head;
	enum kabi_bus bus;
	u32 vendor, device;
	u32 class_code, class_mask; /* PCI class << 16 | subclass << 8 | interface */
	char compatible[KABI_NAME_SIZE];
};
#define KABI_NOTE_HEAD(struct_type, note_type)                                                     \
	{8, sizeof(struct struct_type) - sizeof(struct kabi_note_head), note_type, "UmkaOS"}
#define KABI_NOTE        [[gnu::section(".note.kabi"), gnu::used, gnu::retain]] static const
#define KABI_JOIN_(a, b) a##b
#define KABI_JOIN(a, b)  KABI_JOIN_(a, b)

/*
 * KABI_MODULE(1, "GPL-2.0-only"); once in each module. The build gives KABI_MODULE_NAME and
 * KABI_MODULE_KIND from the module's meson.build.
 */
#define KABI_MODULE(module_version, module_licence)                                                \
	KABI_NOTE struct kabi_note_module kabi_module_note = {                                     \
		KABI_NOTE_HEAD(kabi_note_module, KABI_NOTE_MODULE),                                \
		KABI_NOTE_VERSION,                                                                 \
		KABI_MODULE_KIND,                                                                  \
		module_version,                                                                    \
		KABI_MODULE_NAME,                                                                  \
		module_licence,                                                                    \
	}
/*
 * KABI_IMPLEMENT(filesystem, .lookup = lookup, .map = map); The only place where a module may put
 * code addresses into data.
 */
#define KABI_IMPLEMENT(contract, ...)                                                              \
	KABI_IMPLEMENT_(contract, kabi_vtable_##contract, "", __VA_ARGS__)
/* For a contract with named slots: KABI_IMPLEMENT_AT(node, pipe, .read = pipe_read); */
#define KABI_IMPLEMENT_AT(contract, slot, ...)                                                     \
	KABI_IMPLEMENT_(contract, kabi_vtable_##contract##_##slot, #slot, __VA_ARGS__)
#define KABI_IMPLEMENT_(contract, symbol, slot_name, ...)                                          \
	KABI_NOTE struct kabi_note_vtable KABI_JOIN(symbol, _note) = {                             \
		KABI_NOTE_HEAD(kabi_note_vtable, KABI_NOTE_VTABLE),                                \
		kabi_version_##contract,                                                           \
		sizeof(struct contract##_vtable),                                                  \
		kabi_nr_methods_##contract,                                                        \
		#contract,                                                                         \
		slot_name,                                                                         \
	};                                                                                         \
	extern const struct contract##_vtable symbol;                                              \
	[[gnu::section(".kabi.vtable"), gnu::used, gnu::retain]]                                   \
	const struct contract##_vtable symbol = {.head = KABI_VTABLE_HEAD(contract), __VA_ARGS__}

/* KABI_MEMORY(.scratch_bytes = sizeof(struct scratch)); at most once in a component. */
#define KABI_MEMORY(...)                                                                           \
	KABI_NOTE struct kabi_note_memory kabi_memory_note = {KABI_NOTE_HEAD(kabi_note_memory,     \
								      KABI_NOTE_MEMORY),           \
		__VA_ARGS__}

#define KABI_MATCH_(...)                                                                           \
	KABI_NOTE struct kabi_note_match KABI_JOIN(kabi_match_,                                    \
		__COUNTER__) = {KABI_NOTE_HEAD(kabi_note_match, KABI_NOTE_MATCH), __VA_ARGS__}
#define KABI_MATCH_PCI(vendor_id, device_id)                                                       \
	KABI_MATCH_(.bus = KABI_BUS_PCI, .vendor = (vendor_id), .device = (device_id))
#define KABI_MATCH_PCI_CLASS(code, mask)                                                           \
	KABI_MATCH_(.bus = KABI_BUS_PCI, .vendor = KABI_ANY_ID, .device = KABI_ANY_ID,             \
		.class_code = (code), .class_mask = (mask))
#define KABI_MATCH_VIRTIO(device_type)                                                             \
	KABI_MATCH_(.bus = KABI_BUS_VIRTIO, .vendor = KABI_ANY_ID, .device = (device_type))
#define KABI_MATCH_COMPATIBLE(text) KABI_MATCH_(.bus = KABI_BUS_PLATFORM, .compatible = text)
#define KABI_FILESYSTEM_ON_DEVICE   1u /* in class_mask: mounting it needs a block device */
#define KABI_MATCH_FILESYSTEM(text) KABI_MATCH_(.bus = KABI_BUS_NONE, .compatible = text)
