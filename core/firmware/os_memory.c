/*
 * Memory for ACPICA: allocation, object caches, mappings of tables and of the memory that AML
 * names. Theory in acpi.c.
 *
 * Mappings: early ones are the port's, read only, never undone, and reused by page. Later ones are
 * of their own each. Memory that the boot map gives to the kernel is refused: no firmware has
 * business there, and AML is input.
 */
#include "firmware_priv.h"
#include <core/init.h>
#include <core/log.h>
#include <core/mm.h>
#include <arch/boot.h>

#define EARLY_MAPS    64u
#define REGISTERS     16u
#define MAP_MAX_BYTES ((acpi_size)16 << 20)

struct early_map {
	paddr_t first;
	size_t bytes;
	u8 *at;
};
static struct early_map early_maps[EARLY_MAPS];
static u32 nr_early_maps;
static struct early_map registers[REGISTERS];
static u32 nr_registers;

/* --- allocation --- */
void *acpi_os_allocate(acpi_size size)
{
	return kmalloc(size ? size : 1);
}

void *acpi_os_allocate_zeroed(acpi_size size)
{
	return kzalloc(size ? size : 1);
}

void acpi_os_free(void *memory)
{
	kfree(memory);
}

acpi_status acpi_os_create_cache(char *name, u16 object_size, u16 max_depth, acpi_cache_t **out)
{
	(void)max_depth;
	*out = slab_create(name, object_size, sizeof(u64));
	return *out ? AE_OK : AE_NO_MEMORY;
}

/* Only acpi_terminate would, which nothing calls: caches of the slab live as long as the kernel. */
acpi_status acpi_os_delete_cache(acpi_cache_t *cache)
{
	(void)cache;
	return AE_OK;
}

acpi_status acpi_os_purge_cache(acpi_cache_t *cache)
{
	(void)cache;
	return AE_OK;
}

void *acpi_os_acquire_object(acpi_cache_t *cache)
{
	return slab_zalloc(cache);
}

acpi_status acpi_os_release_object(acpi_cache_t *cache, void *object)
{
	slab_free(cache, object);
	return AE_OK;
}

/* --- mappings --- */
static void *find_in(const struct early_map *maps, u32 nr, paddr_t where, size_t bytes)
{
	for (u32 i = 0; i < nr; i++)
		if (where >= maps[i].first && where - maps[i].first < maps[i].bytes &&
			bytes <= maps[i].bytes - (size_t)(where - maps[i].first))
			return maps[i].at + (where - maps[i].first);
	return nullptr;
}

static void *map_early(paddr_t where, size_t bytes)
{
	paddr_t first = ALIGN_DOWN(where, (paddr_t)PAGE_BYTES);
	size_t span = (size_t)(ALIGN_UP(where + bytes, (paddr_t)PAGE_BYTES) - first);
	struct early_map *m = &early_maps[nr_early_maps];
	void *found = find_in(early_maps, nr_early_maps, where, bytes);

	if (found || nr_early_maps == EARLY_MAPS)
		return found;
	m->at = (u8 *)arch_firmware_map(first, span);
	if (!m->at)
		return nullptr;
	m->first = first;
	m->bytes = span;
	nr_early_maps++;
	return m->at + (where - first);
}

/* True when any page of it is the kernel's, but page 0, which keeps the BIOS's data; *ram: it is
 * firmware's memory (cached), not registers. */
static bool kernel_memory(paddr_t where, size_t bytes, bool *ram)
{
	const struct boot_info *b = init_boot_info();

	*ram = false;
	for (u32 i = 0; i < b->nr_mem; i++) {
		const struct boot_mem *m = &b->mem[i];

		if (where >= m->base + m->size_bytes ||
			where + bytes <= MAX(m->base, (paddr_t)PAGE_BYTES))
			continue;
		if (m->kind == BOOT_MEM_USABLE || m->kind == BOOT_MEM_KERNEL)
			return true;
		*ram |= m->kind == BOOT_MEM_ACPI;
	}
	return false;
}

void *acpi_os_map_memory(acpi_physical_address where, acpi_size length)
{
	paddr_t end;
	bool ram;

	if (!length || length > MAP_MAX_BYTES || !checked_add(where, length + PAGE_BYTES, &end)) {
		log_err("ACPI: refused to map %llu bytes at %#llx\n", (unsigned long long)length,
			(unsigned long long)where);
		return nullptr;
	}
	if (!firmware_os_ready)
		return map_early(where, length);
	if (kernel_memory(where, length, &ram)) {
		log_err("ACPI: tables refer to %llu bytes of the kernel's memory at %#llx: "
			"refused\n",
			(unsigned long long)length, (unsigned long long)where);
		return nullptr;
	}
	return ram ? vmap_memory(where, length) : vmap_device(where, length, 0);
}

void acpi_os_unmap_memory(void *at, acpi_size size)
{
	for (u32 i = 0; i < nr_early_maps; i++)
		if ((u8 *)at >= early_maps[i].at &&
			(u8 *)at < early_maps[i].at + early_maps[i].bytes)
			return;
	vmap_free(at, size);
}

/* --- registers in memory --- */
static void map_register(const struct acpi_generic_address *a, u32 bytes)
{
	void *at;

	if (a->space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY || !a->address || !bytes ||
		nr_registers == REGISTERS || find_in(registers, nr_registers, a->address, bytes))
		return;
	at = acpi_os_map_memory(a->address, bytes);
	if (at)
		registers[nr_registers++] =
			(struct early_map){.first = a->address, .bytes = bytes, .at = at};
}

void firmware_map_registers(void)
{
	const struct acpi_table_fadt *f = &acpi_gbl_FADT;

	map_register(&f->reset_register, 8);
	map_register(&f->sleep_control, 8);
	map_register(&f->sleep_status, 8);
	map_register(&f->xpm1a_event_block, f->pm1_event_length);
	map_register(&f->xpm1b_event_block, f->pm1_event_length);
	map_register(&f->xpm1a_control_block, f->pm1_control_length);
	map_register(&f->xpm1b_control_block, f->pm1_control_length);
	map_register(&f->xpm2_control_block, f->pm2_control_length);
	map_register(&f->xpm_timer_block, f->pm_timer_length);
	map_register(&f->xgpe0_block, f->gpe0_block_length);
	map_register(&f->xgpe1_block, f->gpe1_block_length);
}

acpi_status acpi_os_read_memory(acpi_physical_address where, u64 *value, u32 width)
{
	const volatile void *at = find_in(registers, nr_registers, where, width / 8);

	if (!at)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		*value = *(const volatile u8 *)at;
		return AE_OK;
	case 16:
		*value = *(const volatile u16 *)at;
		return AE_OK;
	case 32:
		*value = *(const volatile u32 *)at;
		return AE_OK;
	case 64:
		*value = *(const volatile u64 *)at;
		return AE_OK;
	default:
		return AE_BAD_PARAMETER;
	}
}

acpi_status acpi_os_write_memory(acpi_physical_address where, u64 value, u32 width)
{
	volatile void *at = find_in(registers, nr_registers, where, width / 8);

	if (!at)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		*(volatile u8 *)at = (u8)value;
		return AE_OK;
	case 16:
		*(volatile u16 *)at = (u16)value;
		return AE_OK;
	case 32:
		*(volatile u32 *)at = (u32)value;
		return AE_OK;
	case 64:
		*(volatile u64 *)at = value;
		return AE_OK;
	default:
		return AE_BAD_PARAMETER;
	}
}
