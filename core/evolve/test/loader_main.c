/*
 * The module loader on the host: the real elf.c, relocate.c, load.c, registry.c over small fakes.
 * tests/modules drives it. check FILE            loads FILE as the kernel would: "loaded NAME
 * KIND", or "refused: REASON" and status 1 run FILE              loads, binds or opens a slot,
 * calls method 0 of its first contract through the slot fuzz FILE N SEED      loads N damaged
 * copies of FILE; the sanitizers are the judge boot CPIO             evolve_boot_modules() on an
 * image blob
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <arch/boot.h>
#include <core/evolve.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <kabi/index.h>
#include <kabi/t_component.h>
#include <kabi/t_personality.h>
#include <kabi/t_policy.h>
#include <kabi/t_subsystem.h>

/* --- fakes: modules must be near the test's own text (it is linked below 2 GiB, without PIE) ---
 */
void *module_memory_alloc(size_t bytes)
{
	void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return p == MAP_FAILED ? nullptr : p;
}
int module_memory_protect(void *p, size_t bytes, enum mmu_prot prot)
{
	int flags = PROT_READ | (prot & MMU_EXEC ? PROT_EXEC : 0);

	return bytes && mprotect(p, bytes, flags) ? -1 : 0;
}
void module_memory_free(void *p, size_t bytes)
{
	munmap(p, bytes);
}
void *kmalloc(size_t bytes)
{
	return malloc(bytes ? bytes : 1);
}
void *kzalloc(size_t bytes)
{
	return calloc(1, bytes);
}
void kfree(const void *p)
{
	free((void *)p);
}
u64 object_new_id(void)
{
	static u64 next = 1;

	return next++;
}
void mutex_init(struct mutex *m, enum lock_level level)
{
	m->level = level;
}
void mutex_lock(struct mutex *m) __no_lock_analysis
{
	(void)m;
}
void mutex_unlock(struct mutex *m) __no_lock_analysis
{
	(void)m;
}
void log_printf(enum log_level level, const char *fmt, ...)
{
	va_list args;

	(void)level;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}
void panic(const char *fmt, ...)
{
	puts(fmt);
	abort();
}
struct call_frame *call_enter(struct call *c, const struct slot *slot, u16 method, u64 object_id)
{
	(void)c, (void)slot, (void)method, (void)object_id;
	return nullptr;
}
answer_t call_leave(struct call *c, answer_t a)
{
	(void)c;
	return a;
}
struct waitable call_slots_opened;
void waitable_wake(struct waitable *w, u32 mask, u32 nr_exclusive)
{
	(void)w, (void)mask, (void)nr_exclusive;
}
/* What "core" offers to trusted modules here. */
long test_core_function(long x);
long test_core_function(long x)
{
	return x + 1000;
}
vaddr_t symbol_address(const char *name)
{
	if (strcmp(name, "test_core_function") == 0)
		return (vaddr_t)test_core_function;
	if (strcmp(name, "memcpy") == 0)
		return (vaddr_t)(void *(*)(void *, const void *, size_t))memcpy;
	return 0;
}

static void *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		exit(2);
	}
	fseek(f, 0, SEEK_END);
	*bytes = (size_t)ftell(f);
	rewind(f);
	void *data = malloc(*bytes ? *bytes : 1);

	if (fread(data, 1, *bytes, f) != *bytes)
		exit(2);
	fclose(f);
	return data;
}

static int check(const char *path, struct module **out)
{
	char error[MODULE_ERROR_BYTES];
	size_t bytes;
	void *data = read_file(path, &bytes);
	int result = module_load(data, bytes, out, error);

	if (result) {
		printf("refused: %s\n", error);
		free(data);
		return 1;
	}
	printf("loaded %s %s\n", (*out)->name, module_kind_name((*out)->kind));
	return 0;
}

/* Method 0 of every test contract, by its own prototype: the call is checked by type (KCFI) as in
 * the kernel. */
static long call_first(const struct kabi_contract *contract, const void *vtable, u64 x)
{
	switch (contract->kind) {
	case KABI_KIND_COMPONENT:
		return ((const struct t_component_vtable *)vtable)->first(nullptr, x);
	case KABI_KIND_SUBSYSTEM:
	case KABI_KIND_VIEW:
		return ((const struct t_subsystem_vtable *)vtable)->first(nullptr, x);
	case KABI_KIND_POLICY:
		return (long)((const struct t_policy_vtable *)vtable)->first(nullptr, x);
	case KABI_KIND_PERSONALITY:
		return ((const struct t_personality_vtable *)vtable)->first(nullptr, x);
	case KABI_KIND_SERVICES:
	case KABI_NR_KINDS:
		break;
	}
	return -1;
}

static vaddr_t first_address(const void *vtable)
{
	word_t address;

	memcpy(&address, (const u8 *)vtable + sizeof(struct kabi_vtable_head), sizeof(address));
	return address;
}

static int run(const char *path)
{
	char error[MODULE_ERROR_BYTES] = "";
	const struct slot *slot;
	const char *module;
	struct module *m;
	u64 offset;

	if (check(path, &m))
		return 1;
	const struct module_vtable *v = &m->vtables[0];

	if (m->kind == KABI_KIND_COMPONENT) {
		slot = instance_slot_create(v->contract, m->unit);
		if (!slot || !slot_is_parked(slot))
			return 1;
		printf("parked %ld\n", call_first(v->contract, slot_vtable(slot), 1));
		if (!slot_open(slot, v->vtable) || slot_open(slot, v->vtable))
			return 1;
	} else {
		if (module_bind(m, error)) {
			printf("not bound: %s\n", error);
			return 1;
		}
		slot = nullptr;
		for (u32 i = 0; i < nr_kabi_fixed_slots; i++)
			if (slot_vtable(&nucleus.slots[i]) == v->vtable)
				slot = &nucleus.slots[i];
		if (!slot || module_bind(m, error) == 0)
			return 1;
	}
	const void *vtable = slot_vtable(slot);

	printf("answer %ld\n", call_first(v->contract, vtable, 41));
	const char *name = module_symbol(first_address(vtable) + 1, &offset, &module);

	printf("symbol %s+%llu in %s\n", name ? name : "?", (unsigned long long)offset, module);
	return module_of_text(first_address(vtable)) != m;
}

static u64 seed;
static u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Damage where it hurts: mostly headers, section table, symbols and relocations, which are the last
 * part of the file. */
static void damage(u8 *data, size_t bytes)
{
	static const u8 values[] = {0, 1, 0x7f, 0x80, 0xff, 0xf1, 0xfe, 8, 24};
	u32 nr = 1 + (u32)(next_random() % 4);

	for (u32 i = 0; i < nr; i++) {
		size_t at = next_random() % 3 == 0 ? next_random() % MIN(bytes, (size_t)64)
						   : next_random() % bytes;

		data[at] = next_random() & 1 ? values[next_random() % sizeof(values)]
					     : (u8)next_random();
	}
}

static int fuzz(const char *path, u32 rounds)
{
	char error[MODULE_ERROR_BYTES];
	size_t bytes, loaded = 0;
	u8 *data = read_file(path, &bytes);

	for (u32 i = 0; i < rounds; i++) {
		size_t size = next_random() % 8 ? bytes : next_random() % bytes;
		u8 *copy = malloc(size ? size : 1);
		struct module *m;

		memcpy(copy, data, size);
		if (size)
			damage(copy, size);
		/* A name that a damaged copy took already is a refusal too; both are fine. */
		if (module_load(copy, size, &m, error) == 0)
			loaded++;
		else
			free(copy);
	}
	printf("%u damaged files, %zu of them still valid\n", rounds, loaded);
	return 0;
}

static int boot(const char *path)
{
	static struct boot_info info;
	size_t bytes;
	void *data = read_file(path, &bytes);

	info.blob = (struct boot_range){(paddr_t)(uintptr_t)data - DIRECT_MAP_BASE, bytes};
	u32 refused = evolve_boot_modules(&info);

	for (struct module *m = module_next(nullptr); m; m = module_next(m))
		printf("module %s\n", m->name);
	printf("%u refused\n", refused);
	return 0;
}

int main(int argc, char **argv)
{
	struct module *m;

	evolve_init();
	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2], &m);
	if (argc == 3 && strcmp(argv[1], "run") == 0)
		return run(argv[2]);
	if (argc == 3 && strcmp(argv[1], "boot") == 0)
		return boot(argv[2]);
	if (argc == 5 && strcmp(argv[1], "fuzz") == 0) {
		seed = strtoull(argv[4], nullptr, 0) | 1;
		return fuzz(argv[2], (u32)strtoul(argv[3], nullptr, 0));
	}
	return 2;
}
