/* Ports, PCI configuration space, the SCI, the log and the hooks for ACPICA. Theory in acpi.c. */
#include "firmware_priv.h"
#include <core/call.h>
#include <core/irq.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/pci.h>
#include <arch/irq.h>

#define LINE_BYTES 200u

acpi_status acpi_os_initialize(void)
{
	return AE_OK;
}

acpi_status acpi_os_terminate(void)
{
	return AE_OK;
}

acpi_physical_address acpi_os_get_root_pointer(void)
{
	return firmware_rsdp;
}

/* No replacement of names or tables. */
acpi_status acpi_os_predefined_override(const struct acpi_predefined_names *init, acpi_string *new)
{
	(void)init;
	*new = nullptr;
	return AE_OK;
}

acpi_status acpi_os_table_override(struct acpi_table_header *existing,
	struct acpi_table_header **new)
{
	(void)existing;
	*new = nullptr;
	return AE_OK;
}

acpi_status acpi_os_physical_table_override(struct acpi_table_header *existing,
	acpi_physical_address *new, u32 *new_length)
{
	(void)existing;
	*new = 0;
	*new_length = 0;
	return AE_OK;
}

acpi_status acpi_os_signal(u32 function, void *info)
{
	const struct acpi_signal_fatal_info *f = info;

	if (function == ACPI_SIGNAL_FATAL && f)
		log_err("ACPI: firmware reports a fatal error: type %#x, code %#x, argument %#x\n",
			f->type, f->code, f->argument);
	return AE_OK;
}

acpi_status acpi_os_enter_sleep(u8 state, u32 rega, u32 regb)
{
	(void)state;
	(void)rega;
	(void)regb;
	return AE_OK;
}

/* --- ports and configuration space --- */
acpi_status acpi_os_read_port(acpi_io_address address, u32 *value, u32 width)
{
	if (address > 0xffff || (width != 8 && width != 16 && width != 32))
		return AE_BAD_PARAMETER;
	*value = arch_io_read((u16)address, width / 8);
	return AE_OK;
}

acpi_status acpi_os_write_port(acpi_io_address address, u32 value, u32 width)
{
	if (address > 0xffff || (width != 8 && width != 16 && width != 32))
		return AE_BAD_PARAMETER;
	arch_io_write((u16)address, width / 8, value);
	return AE_OK;
}

static bool place_ok(const struct acpi_pci_id *id, u32 width)
{
	return id->bus <= 255 && id->device < 32 && id->function < 8 &&
	       (width == 8 || width == 16 || width == 32 || width == 64);
}

acpi_status acpi_os_read_pci_configuration(struct acpi_pci_id *id, u32 reg, u64 *value, u32 width)
{
	u8 devfn = (u8)(id->device << 3 | id->function);
	u32 bytes = MIN(width / 8, 4u);

	if (!place_ok(id, width))
		return AE_BAD_PARAMETER;
	*value = pci_address_read(id->segment, (u8)id->bus, devfn, reg, bytes);
	if (width == 64)
		*value |= (u64)pci_address_read(id->segment, (u8)id->bus, devfn, reg + 4, 4) << 32;
	return AE_OK;
}

acpi_status acpi_os_write_pci_configuration(struct acpi_pci_id *id, u32 reg, u64 value, u32 width)
{
	u8 devfn = (u8)(id->device << 3 | id->function);

	if (!place_ok(id, width))
		return AE_BAD_PARAMETER;
	pci_address_write(id->segment, (u8)id->bus, devfn, reg, MIN(width / 8, 4u), (u32)value);
	if (width == 64)
		pci_address_write(id->segment, (u8)id->bus, devfn, reg + 4, 4, (u32)(value >> 32));
	return AE_OK;
}

/* --- the system control interrupt: a deferred event, so its handler runs in a core thread with the
 * line masked --- */
static struct {
	acpi_osd_handler handler;
	void *context;
	int irq;
	struct deferred event;
} sci = {.irq = -1, .event = {.op = DEFERRED_FIRMWARE}};

acpi_status acpi_os_install_interrupt_handler(u32 number, acpi_osd_handler handler, void *context)
{
	struct arch_line line;

	if (sci.irq >= 0)
		return AE_ALREADY_EXISTS;
	arch_firmware_line(number, &line);
	list_init(&sci.event.link);
	sci.handler = handler;
	sci.context = context;
	sci.irq = irq_alloc_line(&line);
	if (sci.irq < 0) {
		log_err("ACPI: no interrupt for line %u: error %d\n", line.line, -sci.irq);
		return AE_NOT_ACQUIRED;
	}
	irq_attach((u32)sci.irq, &sci.event, line.level);
	return AE_OK;
}

acpi_status acpi_os_remove_interrupt_handler(u32 number, acpi_osd_handler handler)
{
	(void)number;
	if (sci.irq < 0 || sci.handler != handler)
		return AE_NOT_EXIST;
	irq_free((u32)sci.irq, &sci.event);
	sci.irq = -1;
	return AE_OK;
}

void firmware_interrupt(struct deferred *d)
{
	if (sci.irq < 0 || d != &sci.event)
		return;
	sci.handler(sci.context);
	irq_unmask_line((u32)sci.irq, &sci.event);
}

/* --- messages: ACPICA prints lines in pieces --- */
static struct spinlock line_lock = SPINLOCK_INIT(LOCK_LEVEL_LOG - 1);
static char line[LINE_BYTES] guarded_by(&line_lock);
static size_t line_bytes guarded_by(&line_lock);

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static enum log_level level_of(const char *text)
{
	if (begins(text, "ACPI Error") || begins(text, "ACPI Exception") ||
		begins(text, "ACPI BIOS Error") || begins(text, "Firmware Error"))
		return LOG_ERR;
	if (begins(text, "ACPI Warning") || begins(text, "ACPI BIOS Warning") ||
		begins(text, "Firmware Warning"))
		return LOG_WARNING;
	return LOG_DEBUG;
}

static void put_char(char c) __requires(&line_lock)
{
	if (c != '\n')
		line[line_bytes++] = c;
	if (c != '\n' && line_bytes < LINE_BYTES - 1)
		return;
	line[line_bytes] = '\0';
	if (line_bytes)
		log_printf(level_of(line), "%s\n", line);
	line_bytes = 0;
}

void acpi_os_vprintf(const char *format, va_list args)
{
	char text[LINE_BYTES];
	word_t irq;

	vsnprintf(text, sizeof(text), format, args);
	irq = spin_lock_irqsave(&line_lock);
	for (const char *p = text; *p; p++)
		put_char(*p);
	spin_unlock_irqrestore(&line_lock, irq);
}

void ACPI_INTERNAL_VAR_XFACE acpi_os_printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	acpi_os_vprintf(format, args);
	va_end(args);
}
