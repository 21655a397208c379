/*
 * The few ACPI tables that the port itself needs before core runs: MADT (CPUs, I/O APICs,
 * overrides), FADT (power and reset registers, PM timer), MCFG (configuration space), HPET.
 * ACPI 6.5, chapters 5 and 4.8; PCI firmware specification 3.3, 4.1.2.
 *
 * Tables are input: every length is checked against the mapped table, every sum against 255.
 *
 * Failure: without usable tables the machine runs as one CPU with the legacy timer and no PCI.
 */
#include <core/log.h>
#include <lib/string.h>
#include "x86.h"

struct x86_acpi x86_acpi;

struct acpi_header {
	char signature[4];
	u32 bytes;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;
static_assert(sizeof(struct acpi_header) == 36);

#define ACPI_TABLE_MAX (1u << 20)

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

static bool acpi_sum_ok(const u8 *p, size_t bytes)
{
	u8 sum = 0;

	while (bytes--)
		sum = (u8)(sum + *p++);
	return !sum;
}

/* The whole table, mapped for ever; nullptr when it is not one. */
static const u8 *acpi_map_table(paddr_t pa, u32 *bytes)
{
	const struct acpi_header *h;
	const u8 *table;

	if (!pa)
		return nullptr;
	h = x86_fixed_map(pa, sizeof(*h), MMU_READ);
	if (!h || h->bytes < sizeof(*h) || h->bytes > ACPI_TABLE_MAX)
		return nullptr;
	*bytes = h->bytes;
	table = (const u8 *)h;
	if ((pa & (PAGE_BYTES - 1)) + *bytes > PAGE_BYTES)
		table = x86_fixed_map(pa, *bytes, MMU_READ);
	if (!table || !acpi_sum_ok(table, *bytes))
		return nullptr;
	return table;
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

/*
 * \_S5_ is a package of small integers; finding its name and reading its first two elements needs
 * no interpreter (ACPI 6.5, 20.2.5.4). ACPICA takes over when it runs.
 */
static void acpi_find_s5(const u8 *t, u32 bytes)
{
	struct x86_acpi *a = &x86_acpi;

	for (u32 i = 36; i + 16 < bytes; i++) {
		const u8 *p = t + i;
		u8 value[2];

		if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
			continue;
		p += 5;
		p += (*p >> 6) + 2; /* package length, element count */
		for (u32 k = 0; k < 2; k++) {
			if (*p == 0x0a) /* byte prefix */
				p++;
			value[k] = *p++;
		}
		a->sleep_type_a = value[0] & 7;
		a->sleep_type_b = value[1] & 7;
		a->have_s5 = true;
		return;
	}
}

static void acpi_fadt(const u8 *t, u32 bytes)
{
	struct x86_acpi *a = &x86_acpi;
	const u8 *dsdt;
	u32 dsdt_bytes;

	if (bytes < 116)
		return;
	a->pm1a_control = (u16)acpi_u32(t + 64);
	a->pm1b_control = (u16)acpi_u32(t + 68);
	a->pm_timer_port = (u16)acpi_u32(t + 76);
	if (bytes >= 129 && acpi_u32(t + 112) & 1 << 10 && t[116] == 1) {
		a->have_reset = true; /* RESET_REG in I/O space */
		a->reset_port = (u16)acpi_u64(t + 120);
		a->reset_value = t[128];
	}
	dsdt = acpi_map_table(bytes >= 148 && acpi_u64(t + 140) ? acpi_u64(t + 140)
								: acpi_u32(t + 40),
		&dsdt_bytes);
	if (dsdt)
		acpi_find_s5(dsdt, dsdt_bytes);
}

static void acpi_table(paddr_t pa)
{
	u32 bytes;
	const u8 *t = acpi_map_table(pa, &bytes);

	if (!t)
		return;
	if (!memcmp(t, "APIC", 4))
		acpi_madt(t, bytes);
	else if (!memcmp(t, "FACP", 4))
		acpi_fadt(t, bytes);
	else if (!memcmp(t, "MCFG", 4))
		acpi_mcfg(t, bytes);
	else if (!memcmp(t, "HPET", 4) && bytes >= 56)
		x86_acpi.hpet = acpi_u64(t + 44);
}

/* ACPI 6.5, 5.2.5.1: on 16-byte boundaries of the last 128 KiB below 1 MiB. */
static paddr_t acpi_search_rsdp(void)
{
	const u8 *area = x86_fixed_map(0xe0000, 0x20000, MMU_READ);

	for (u32 i = 0; area && i < 0x20000; i += 16)
		if (!memcmp(area + i, "RSD PTR ", 8) && acpi_sum_ok(area + i, 20))
			return 0xe0000 + i;
	return 0;
}

void x86_acpi_parse(paddr_t rsdp)
{
	const u8 *r, *root;
	u32 bytes, width;

	x86_acpi.apic_ids[0] = x86_apic_id();
	x86_acpi.nr_cpus = 1;
	if (!rsdp)
		rsdp = acpi_search_rsdp();
	r = rsdp ? x86_fixed_map(rsdp, 36, MMU_READ) : nullptr;
	if (!r || memcmp(r, "RSD PTR ", 8) || !acpi_sum_ok(r, 20)) {
		log_warn("x86: no ACPI tables");
		return;
	}
	width = r[15] >= 2 && acpi_u64(r + 24) ? 8 : 4;
	root = acpi_map_table(width == 8 ? acpi_u64(r + 24) : acpi_u32(r + 16), &bytes);
	if (!root) {
		log_warn("x86: ACPI root table is damaged");
		return;
	}
	for (u32 at = 36; at + width <= bytes; at += width)
		acpi_table(width == 8 ? acpi_u64(root + at) : acpi_u32(root + at));
}
