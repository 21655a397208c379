/*
 * Firmware (core/firmware): ACPI through ACPICA.
 *
 * Purpose: the firmware's tables for the ports, and its byte code (AML) for power off, interrupt
 * routing and the power button. tables.c: tables. acpi.c: namespace, power. interrupts.c: _PRT and
 * link devices. threads.c: who runs AML. os_*.c: what else ACPICA asks of a system.
 *
 * Vocabulary: SCI: ACPI's one interrupt line; namespace: the tree of objects and methods that AML
 * defines; link device: a router input whose line firmware may choose.
 *
 * Objects and lifetimes: tables are mapped while somebody holds them; the namespace lives as long
 * as the kernel.
 *
 * Invariants: FW-I1 before firmware_os_ready there is one CPU, nothing is allocated and no lock is
 * taken: ACPICA's table manager works on a static array. FW-I2 AML runs in threads only, with no
 * lock of core's held: it may sleep. FW-I3 nothing of this is called under a module's frame:
 * services for components use what the bus scan has found.
 *
 * Locks: ACPICA's spinlocks have levels from LOCK_LEVEL_FIRMWARE on, its semaphores are below all
 * waits. ACPICA is core code of others: it keeps code addresses in its data (opcode tables,
 * handlers), which KCFI checks; none of ours is in a table.
 *
 * Failure and recovery: a table whose sum, length or AML is wrong is refused with a line in the log
 * and the rest is used. Without tables, or when the namespace cannot be loaded, the machine runs as
 * one CPU or without INTx lines; power off takes the port's other ways. A fault of the interpreter
 * in a thread of its own ends ACPI, not the kernel (threads.c); sanitizer kernels still stop.
 *
 * Replacement: none, it is core.
 *
 * Cost: 4.5 million instructions at boot with QEMU's tables; afterwards nothing runs unless the SCI
 * comes.
 */
#include "firmware_priv.h"
#include <core/lock.h>
#include <core/log.h>
#include <core/time.h>

bool firmware_namespace_loaded;

static bool failed(acpi_status status, const char *what)
{
	if (ACPI_SUCCESS(status))
		return false;
	log_err("ACPI: %s: %s\n", what, acpi_format_exception(status));
	return true;
}

/* --- namespace --- */
/* Only told: like a Linux on which no program reads the button's input events. */
static u32 power_button(void *context)
{
	(void)context;
	log_info("ACPI: power button pressed\n");
	return ACPI_INTERRUPT_HANDLED;
}

/* ACPI 6.5, 5.8.1: interrupts go through I/O APICs (1) and not through 8259s. */
static void tell_interrupt_model(void)
{
	union acpi_object model = {.integer = {.type = ACPI_TYPE_INTEGER, .value = 1}};
	struct acpi_object_list arguments = {.count = 1, .pointer = &model};
	acpi_status status = acpi_evaluate_object(nullptr, "\\_PIC", &arguments, nullptr);

	if (status != AE_NOT_FOUND)
		failed(status, "\\_PIC");
}

static bool load_tables(void)
{
	if (failed(acpi_reallocate_root_table(), "table list") ||
		failed(acpi_initialize_subsystem(), "start") ||
		failed(acpi_load_tables(), "loading the namespace"))
		return false;
	firmware_map_registers();
	return !failed(acpi_enable_subsystem(ACPI_FULL_INITIALIZATION), "enabling ACPI mode") &&
	       !failed(acpi_initialize_objects(ACPI_FULL_INITIALIZATION), "initialising devices");
}

static void load_namespace(void *loaded)
{
	if (!load_tables())
		return;
	tell_interrupt_model();
	acpi_install_fixed_event_handler(ACPI_EVENT_POWER_BUTTON, power_button, nullptr);
	*(bool *)loaded = true;
}

void firmware_start(void)
{
	ktime_t begin = time_monotonic_ns();
	bool loaded = false;

	if (!firmware_tables_found)
		return;
	firmware_os_start();
	if (!firmware_run(load_namespace, &loaded) || !loaded)
		return;
	firmware_namespace_loaded = true;
	log_info("ACPI: namespace loaded in %lld us\n",
		(long long)((time_monotonic_ns() - begin) / NSEC_PER_USEC));
}

/* --- power --- */
static void prepare_power_off(void *prepared)
{
	*(bool *)prepared =
		!failed(acpi_enter_sleep_state_prep(ACPI_STATE_S5), "preparing to power off");
}

void firmware_power_off(void)
{
	bool prepared = false;

	if (!firmware_namespace_loaded || !arch_irq_enabled() || *arch_preempt_count_ptr())
		return;
	if (!firmware_run(prepare_power_off, &prepared) || !prepared)
		return;
	arch_irq_disable();
	failed(acpi_enter_sleep_state(ACPI_STATE_S5), "power off");
	arch_irq_enable();
}

void firmware_reset(void)
{
	if (firmware_tables_found)
		acpi_reset();
}
