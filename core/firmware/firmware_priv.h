#pragma once
/* What the files of core/firmware share. */
#include <acpi/acpi.h>
#include <core/firmware.h>
/* Before it: one CPU, no allocator, no sleeping; mappings are the port's and stay for ever. */
extern bool firmware_os_ready;
void firmware_os_start(void);
extern bool firmware_tables_found, firmware_namespace_loaded;
/* Runs function(context) in the thread for AML and waits; false: it has crashed there, now or
 * before. Thread. */
bool firmware_run(void (*function)(void *), void *context);
extern paddr_t firmware_rsdp;
/* Registers that the FADT places in memory are reached from contexts that cannot map. */
void firmware_map_registers(void);
