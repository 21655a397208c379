/* The firmware's tables, from before there is memory on. Theory in acpi.c. */
#include "firmware_priv.h"
#include <core/log.h>

#define EARLY_TABLES 128u /* as many as Linux looks at early */

bool firmware_tables_found;
paddr_t firmware_rsdp;
static struct acpi_table_desc early_tables[EARLY_TABLES];

/* ACPI 6.5, 5.2.5.3. ACPICA looks at it only when it has searched for it itself. */
static bool rsdp_ok(paddr_t at)
{
	const u8 *p = acpi_os_map_memory(at, ACPI_RSDP_CHECKSUM_LENGTH);
	u8 sum = 0;

	if (!p)
		return false;
	for (u32 i = 0; i < ACPI_RSDP_CHECKSUM_LENGTH; i++)
		sum = (u8)(sum + p[i]);
	if (memcmp(p, ACPI_SIG_RSDP, 8))
		sum = 1;
	acpi_os_unmap_memory((void *)p, ACPI_RSDP_CHECKSUM_LENGTH);
	return !sum;
}

bool firmware_tables_init(paddr_t rsdp)
{
	acpi_physical_address found = 0;
	acpi_status status;

	firmware_rsdp = rsdp;
	if (!rsdp && ACPI_SUCCESS(acpi_find_root_pointer(&found)))
		firmware_rsdp = found;
	if (!firmware_rsdp) {
		log_warn("no ACPI tables\n");
		return false;
	}
	status = rsdp_ok(firmware_rsdp) ? acpi_initialize_tables(early_tables, EARLY_TABLES, FALSE)
					: AE_BAD_CHECKSUM;
	firmware_tables_found = ACPI_SUCCESS(status);
	if (!firmware_tables_found)
		log_err("ACPI: tables are damaged: %s\n", acpi_format_exception(status));
	return firmware_tables_found;
}

const u8 *firmware_table(const char signature[static 4], u32 instance, u32 *bytes)
{
	struct acpi_table_header *table = nullptr;
	char name[5] = {signature[0], signature[1], signature[2], signature[3]};

	if (!firmware_tables_found || ACPI_FAILURE(acpi_get_table(name, instance, &table)))
		return nullptr;
	if (table->length < sizeof(*table)) { /* the sum of the few bytes may be right */
		acpi_put_table(table);
		return nullptr;
	}
	*bytes = table->length;
	return (const u8 *)table;
}

void firmware_table_put(const u8 *table)
{
	acpi_put_table((struct acpi_table_header *)table);
}

u16 firmware_pm_timer_port(void)
{
	const struct acpi_generic_address *t = &acpi_gbl_FADT.xpm_timer_block;

	return firmware_tables_found && t->space_id == ACPI_ADR_SPACE_SYSTEM_IO &&
			       t->address <= 0xffff
		       ? (u16)t->address
		       : 0;
}
