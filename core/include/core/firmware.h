#pragma once
/*
 * ACPI (core/firmware/acpi.c has the theory). Ports that boot by device trees alone link none.c:
 * nothing is found there. Early functions: boot CPU, before core_main. The others: thread, may
 * sleep, unless said otherwise.
 */
#include <lib/types.h>
struct call;
struct deferred;
struct arch_line;
/* Finds and checks the tables; rsdp 0: searches where BIOS leaves it. False: no usable tables.
 * Early. */
bool firmware_tables_init(paddr_t rsdp);
/* The whole table, checked, or nullptr; instance from 1. Give it back with firmware_table_put.
 * Early or thread. */
const u8 *firmware_table(const char signature[static 4], u32 instance, u32 *bytes);
void firmware_table_put(const u8 *table);
/* I/O port of the PM timer (ACPI 6.5, 4.8.3.3), 0: none. Early or any. */
u16 firmware_pm_timer_port(void);
/* Loads the namespace, enters ACPI mode; before devices are probed. Failure is logged, and the
 * machine runs on without. */
void firmware_start(void);
/* Line of a PCI function's INTx pin (1-4): _PRT and link devices. -ENOENT. */
int firmware_pci_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out);
/* Return only if the machine has no such way. power_off: thread; nothing happens elsewhere. reset:
 * any context. */
void firmware_power_off(void);
void firmware_reset(void);
struct arch_regs;
/* core/irq/trap.c, a kernel-mode fault: returns unless a thread that runs AML has made it. */
void firmware_crashed(struct arch_regs *regs, const char *what, vaddr_t addr);
/* Runs the handler of an interrupt event (core/call/deferred.c). */
void firmware_interrupt(struct deferred *d);
