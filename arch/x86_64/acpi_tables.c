/*
 * The ACPI tables that the port itself needs before core runs: MADT (CPUs, I/O APICs, overrides),
 * MCFG (configuration space), HPET. They come found, mapped and summed from core/firmware.
 * ACPI 6.5, 5.2.12; PCI firmware specification 3.3, 4.1.2.
 *
 * Tables are input: every length is checked against the table.
 *
 * Failure: without usable tables the machine runs as one CPU with the legacy timer and no PCI.
 */
#include <core/firmware.h>
#include <core/log.h>
#include <lib/string.h>
#include "x86.h"

struct x86_acpi x86_acpi;

static u32 acpi_u32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 acpi_u64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u16 acpi_u16(const u8 *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* ACPI 6.5, 5.2.12: interrupt controller structures. */
static void acpi_madt_entry(const u8 *e, u32 bytes)
{
	struct x86_acpi *a = &x86_acpi;
	u32 id = 0, flags = 0;

	switch (e[0]) {
	case 0: /* local APIC */
		if (bytes < 8)
			return;
		id = e[3];
		flags = acpi_u32(e + 4);
		break;
	case 9: /* local x2APIC */
		if (bytes < 16)
			return;
		id = acpi_u32(e + 4);
		flags = acpi_u32(e + 8);
		break;
	case 1: /* I/O APIC */
		if (bytes < 12 || a->nr_ioapics == ARRAY_SIZE(a->ioapic))
			return;
		a->ioapic[a->nr_ioapics].base = acpi_u32(e + 4);
		a->ioapic[a->nr_ioapics++].gsi_base = acpi_u32(e + 8);
		return;
	case 2: /* source override; flags: MPS INTI, table 5.26 */
		if (bytes < 10 || e[2] || e[3] >= 16)
			return;
		a->isa[e[3]].gsi = acpi_u32(e + 4);
		a->isa[e[3]].active_low = (acpi_u16(e + 8) & 3) == 3;
		a->isa[e[3]].level = (acpi_u16(e + 8) >> 2 & 3) == 3;
		a->isa[e[3]].valid = true;
		return;
	case 5: /* 64-bit address of the local APIC */
		if (bytes >= 12)
			a->lapic_base = acpi_u64(e + 4);
		return;
	default:
		return;
	}
	/* enabled, or online capable and present; hot-plug slots (flag 2 alone) are not started */
	if (!(flags & 1) || id == x86_apic_id())
		return;
	if (a->nr_cpus < NR_CPUS_MAX)
		a->apic_ids[a->nr_cpus++] = id;
}

static void acpi_madt(const u8 *t, u32 bytes)
{
	u32 at = 44;

	if (bytes < at)
		return;
	if (!x86_acpi.lapic_base)
		x86_acpi.lapic_base = acpi_u32(t + 36);
	while (at + 2 <= bytes && t[at + 1] >= 2 && t[at + 1] <= bytes - at) {
		acpi_madt_entry(t + at, t[at + 1]);
		at += t[at + 1];
	}
}

static void acpi_mcfg(const u8 *t, u32 bytes)
{
	struct x86_acpi *a = &x86_acpi;

	for (u32 at = 44; at + 16 <= bytes && a->nr_ecam < ARRAY_SIZE(a->ecam); at += 16) {
		struct arch_pci_ecam e = {
			/* firmware has set all base addresses: no memory_bytes */
			.base = acpi_u64(t + at),
			.segment = acpi_u16(t + at + 8),
			.bus_first = t[at + 10],
			.bus_last = t[at + 11],
		};

		if (e.base && e.bus_first <= e.bus_last)
			a->ecam[a->nr_ecam++] = e;
	}
}

static void acpi_with_table(const char *signature, void (*use)(const u8 *t, u32 bytes))
{
	u32 bytes;
	const u8 *t = firmware_table(signature, 1, &bytes);

	if (!t)
		return;
	use(t, bytes);
	firmware_table_put(t);
}

static void acpi_hpet(const u8 *t, u32 bytes)
{
	if (bytes >= 56)
		x86_acpi.hpet = acpi_u64(t + 44);
}

void x86_acpi_parse(paddr_t rsdp)
{
	x86_acpi.apic_ids[0] = x86_apic_id();
	x86_acpi.nr_cpus = 1;
	if (x86_features.acpi_off || !firmware_tables_init(rsdp))
		return;
	acpi_with_table("APIC", acpi_madt);
	acpi_with_table("MCFG", acpi_mcfg);
	acpi_with_table("HPET", acpi_hpet);
	x86_acpi.pm_timer_port = firmware_pm_timer_port();
}

const void *arch_firmware_map(paddr_t pa, size_t bytes)
{
	return x86_fixed_map(pa, bytes, MMU_READ);
}

/* An ISA number; without an override the SCI is level, active low (ACPI 6.5, 5.2.9). */
void arch_firmware_line(u32 number, struct arch_line *out)
{
	*out = (struct arch_line){.line = number, .level = true, .active_low = true};
	if (number < ARRAY_SIZE(x86_acpi.isa) && x86_acpi.isa[number].valid)
		*out = (struct arch_line){x86_acpi.isa[number].gsi, x86_acpi.isa[number].level,
			x86_acpi.isa[number].active_low};
}
