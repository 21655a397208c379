/* PCI over ECAM. Theory in device.c; offsets: PCI Express Base Specification 5.0, sections 7.5.1
 * (header), 7.7.2 (MSI-X). */
#include <core/component.h>
#include <core/irq.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/pci.h>
#include <lib/endian.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/irq.h>

#define PCI_VENDOR            0x00
#define PCI_COMMAND           0x04
#define PCI_CLASS             0x08
#define PCI_HEADER_TYPE       0x0e
#define PCI_BAR0              0x10
#define PCI_SECONDARY_BUS     0x19
#define PCI_SUBSYSTEM         0x2c
#define PCI_CAPABILITIES      0x34
#define PCI_INTERRUPT_PIN     0x3d
#define PCI_COMMAND_IO        1u
#define PCI_COMMAND_MEMORY    2u
#define PCI_COMMAND_MASTER    4u
#define PCI_COMMAND_INTX_OFF  0x400u
#define PCI_CAP_MSIX          0x11
#define MSIX_ENABLE           0x8000u
#define MSIX_MASK_ALL         0x4000u
#define FUNCTION_CONFIG_BYTES 4096u

struct ecam {
	struct arch_pci_ecam info;
	u8 *map;
	paddr_t next; /* of the memory window */
};
static struct ecam ecams[8];
static u32 nr_ecams;

static u8 *config_address(u16 segment, u8 bus, u8 devfn, u32 offset)
{
	for (u32 i = 0; i < nr_ecams; i++) {
		struct ecam *e = &ecams[i];

		if (e->info.segment == segment && bus >= e->info.bus_first &&
			bus <= e->info.bus_last)
			return e->map + (((size_t)(bus - e->info.bus_first) << 20) |
						((size_t)devfn << 12) | offset);
	}
	return nullptr;
}

static u32 read_at(const volatile u8 *p, u32 width)
{
	switch (width) {
	case 1:
		return *p;
	case 2:
		return le16_get(*(const volatile le16_t *)p);
	default:
		return le32_get(*(const volatile le32_t *)p);
	}
}

static bool access_ok(const u8 *p, u32 offset, u32 width)
{
	return p && offset < FUNCTION_CONFIG_BYTES && (width == 1 || width == 2 || width == 4) &&
	       !(offset & (width - 1));
}

u32 pci_address_read(u16 segment, u8 bus, u8 devfn, u32 offset, u32 width)
{
	const u8 *p = config_address(segment, bus, devfn, offset);

	return access_ok(p, offset, width) ? read_at(p, width) : ~0u;
}

void pci_address_write(u16 segment, u8 bus, u8 devfn, u32 offset, u32 width, u32 value)
{
	u8 *p = config_address(segment, bus, devfn, offset);

	if (!access_ok(p, offset, width))
		return;
	if (width == 1)
		*(volatile u8 *)p = (u8)value;
	else if (width == 2)
		*(volatile u16 *)p = le16_make((u16)value).raw;
	else
		*(volatile u32 *)p = le32_make(value).raw;
}

u32 pci_config_read(const struct device *d, u32 offset, u32 width)
{
	return pci_address_read(d->segment, d->bus_nr, d->devfn, offset, width);
}

void pci_config_write(const struct device *d, u32 offset, u32 width, u32 value)
{
	pci_address_write(d->segment, d->bus_nr, d->devfn, offset, width, value);
}

u32 pci_capability(const struct device *d, u32 id, u32 start)
{
	u32 at = start ? pci_config_read(d, start + 1, 1) : pci_config_read(d, PCI_CAPABILITIES, 1);

	/* A list in the device's hands: at most 48 entries fit, so a loop ends. */
	for (u32 i = 0; i < 48 && at >= 0x40 && at < 0x100; i++) {
		at &= ~3u;
		if (pci_config_read(d, at, 1) == id)
			return at;
		at = pci_config_read(d, at + 1, 1);
	}
	return 0;
}

void pci_enable(struct device *d, bool on)
{
	u32 command = pci_config_read(d, PCI_COMMAND, 2);
	u32 bits = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	pci_config_write(d, PCI_COMMAND, 2, on ? command | bits : command & ~PCI_COMMAND_MASTER);
}

void pci_intx_enable(struct device *d, bool on)
{
	u32 command = pci_config_read(d, PCI_COMMAND, 2);

	pci_config_write(d, PCI_COMMAND, 2,
		on ? command & ~PCI_COMMAND_INTX_OFF : command | PCI_COMMAND_INTX_OFF);
}

static void assign_bar(struct ecam *e, struct device *d, u32 bar, bool wide, u64 size)
{
	paddr_t at = ALIGN_UP(e->next, size);

	if (!e->info.memory_bytes || at + size > e->info.memory_base + e->info.memory_bytes)
		return;
	pci_config_write(d, PCI_BAR0 + 4 * bar, 4, (u32)at);
	if (wide)
		pci_config_write(d, PCI_BAR0 + 4 * bar + 4, 4, (u32)(at >> 32));
	e->next = at + size;
	d->res[bar].base = at;
}

/* Sizes by writing ones (section 7.5.1.2.1), decoding off meanwhile. */
static void read_bars(struct ecam *e, struct device *d, u32 nr_bars)
{
	u32 command = pci_config_read(d, PCI_COMMAND, 2);

	pci_config_write(d, PCI_COMMAND, 2, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (u32 bar = 0; bar < nr_bars; bar++) {
		u32 offset = PCI_BAR0 + 4 * bar, low = pci_config_read(d, offset, 4), mask,
		    high = 0, mask_high = ~0u;
		bool io = low & 1, wide = !io && (low & 6) == 4 && bar + 1 < nr_bars;
		u64 size, base;

		pci_config_write(d, offset, 4, ~0u);
		mask = pci_config_read(d, offset, 4);
		pci_config_write(d, offset, 4, low);
		if (!mask)
			continue;
		if (wide) {
			high = pci_config_read(d, offset + 4, 4);
			pci_config_write(d, offset + 4, 4, ~0u);
			mask_high = pci_config_read(d, offset + 4, 4);
			pci_config_write(d, offset + 4, 4, high);
		}
		size = ~((u64)mask_high << 32 | (mask & (io ? ~3u : ~15u))) + 1;
		if (io)
			size = (u16)size;
		base = (u64)high << 32 | (low & (io ? ~3u : ~15u));
		d->res[bar] = (struct device_resource){.base = base,
			.size_bytes = size,
			.io_ports = io,
			.prefetchable = !io && low & 8};
		d->nr_res = bar + 1;
		if (!base && !io && size)
			assign_bar(e, d, bar, wide, size);
		if (wide)
			bar++;
	}
	pci_config_write(d, PCI_COMMAND, 2, command);
}

/* The bridge that leads to a bus; nullptr on a root bus. */
struct bridge {
	const struct bridge *above;
	u8 bus, device;
};

/* Where firmware says nothing about a bus behind a bridge, pins turn by the device's number
 * (PCI-to-PCI Bridge 1.2, section 9.1). */
static void find_line(struct device *d, u8 pin, const struct bridge *above)
{
	struct arch_line line;
	u8 bus = d->bus_nr, device = d->devfn >> 3;

	while (arch_pci_intx_line(d->segment, bus, device, pin, &line)) {
		if (!above)
			return;
		pin = (u8)((pin - 1 + device) % 4 + 1);
		bus = above->bus;
		device = above->device;
		above = above->above;
	}
	d->line = line.line;
	d->line_level = line.level;
	d->line_active_low = line.active_low;
	log_debug("%s: pin %u on line %u\n", d->name, pci_config_read(d, PCI_INTERRUPT_PIN, 1),
		line.line);
}

static void add_function(struct ecam *e, u8 bus, u8 devfn, u32 id, u8 header,
	const struct bridge *above)
{
	char name[32];
	struct device *d;
	u32 class, pin;

	snprintf(name, sizeof(name), "%04x:%02x:%02x.%u", e->info.segment, bus, devfn >> 3,
		devfn & 7);
	d = device_create(DEVICE_PCI, name, nullptr);
	if (!d)
		return;
	d->segment = e->info.segment;
	d->bus_nr = bus;
	d->devfn = devfn;
	d->vendor = (u16)id;
	d->product = (u16)(id >> 16);
	class = pci_config_read(d, PCI_CLASS, 4);
	d->class_code = class >> 8;
	snprintf(d->compatible, sizeof(d->compatible), "pci:%04x:%04x", d->vendor, d->product);
	if ((header & 0x7f) == 0) {
		u32 sub = pci_config_read(d, PCI_SUBSYSTEM, 4);

		d->subvendor = (u16)sub;
		d->subproduct = (u16)(sub >> 16);
		read_bars(e, d, 6);
		pin = pci_config_read(d, PCI_INTERRUPT_PIN, 1);
		pci_intx_enable(d, false); /* nobody would answer it yet, and lines are shared */
		if (pin >= 1 && pin <= 4)
			find_line(d, (u8)pin, above);
	}
	device_add(d);
	component_bind(d);
	object_put(&d->obj);
}

static void scan_bus(struct ecam *e, u8 bus, u32 depth, const struct bridge *above)
{
	for (u32 devfn = 0; devfn < 256; devfn++) {
		const u8 *config = config_address(e->info.segment, bus, (u8)devfn, 0);
		u32 id = config ? read_at(config, 4) : ~0u;
		u8 header;

		if ((id & 0xffff) == 0xffff || !(id & 0xffff)) {
			if (!(devfn & 7))
				devfn |= 7; /* no function 0: no device (section 7.5.1.1.9) */
			continue;
		}
		header = (u8)read_at(config + PCI_HEADER_TYPE, 1);
		add_function(e, bus, (u8)devfn, id, header, above);
		if ((header & 0x7f) == 1) {
			u8 below = (u8)read_at(config + PCI_SECONDARY_BUS, 1);

			if (below > bus && below <= e->info.bus_last && depth < 8)
				scan_bus(e, below, depth + 1,
					&(struct bridge){above, bus, (u8)(devfn >> 3)});
		}
		if (!(devfn & 7) && !(header & 0x80))
			devfn |= 7;
	}
}

void pci_boot_init(void)
{
	struct arch_pci_ecam found[ARRAY_SIZE(ecams)];
	u32 nr = arch_pci_ecam(found, ARRAY_SIZE(found));

	for (u32 i = 0; i < nr; i++) {
		struct ecam *e = &ecams[nr_ecams];

		e->info = found[i];
		e->map = vmap_device(found[i].base,
			((size_t)(found[i].bus_last - found[i].bus_first) + 1) << 20, 0);
		e->next = found[i].memory_base;
		if (!e->map) {
			log_err("pci: no address space for the configuration window of segment "
				"%u\n",
				found[i].segment);
			continue;
		}
		nr_ecams++;
	}
}

void pci_probe(void)
{
	for (u32 i = 0; i < nr_ecams; i++)
		scan_bus(&ecams[i], ecams[i].info.bus_first, 0, nullptr);
}

void *device_region_map(struct device *d, u32 n)
{
	if (n >= d->nr_res || !d->res[n].size_bytes || d->res[n].io_ports || !d->res[n].base)
		return nullptr;
	if (!d->res[n].mapped)
		d->res[n].mapped = vmap_device(d->res[n].base, (size_t)d->res[n].size_bytes, 0);
	return d->res[n].mapped;
}

/* Entry `vector` of the MSI-X table, or nullptr. */
static volatile le32_t *msix_entry(struct device *d, u32 vector, u32 *cap)
{
	u32 control, table;
	u8 *bar;

	*cap = pci_capability(d, PCI_CAP_MSIX, 0);
	if (!*cap)
		return nullptr;
	control = pci_config_read(d, *cap + 2, 2);
	table = pci_config_read(d, *cap + 4, 4);
	bar = device_region_map(d, table & 7);
	if (vector > (control & 0x7ff) || !bar ||
		(table & ~7u) + (u64)(vector + 1) * 16 > d->res[table & 7].size_bytes)
		return nullptr;
	return (volatile le32_t *)(bar + (table & ~7u) + vector * 16);
}

int pci_msix_enable(struct device *d, u32 vector)
{
	struct arch_msi msi;
	u32 cap, control;
	volatile le32_t *entry = msix_entry(d, vector, &cap);
	int irq, r;

	if (!entry)
		return -ENOENT;
	irq = irq_alloc();
	if (irq < 0)
		return irq;
	r = arch_irq_bind_msi((u32)irq, 0, (u32)d->segment << 16 | (u32)d->bus_nr << 8 | d->devfn,
		&msi);
	if (r) {
		irq_free((u32)irq, nullptr);
		return r;
	}
	control = pci_config_read(d, cap + 2, 2);
	pci_config_write(d, cap + 2, 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
	pci_config_write(d, PCI_COMMAND, 2,
		pci_config_read(d, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
	entry[0] = le32_make((u32)msi.address);
	entry[1] = le32_make((u32)(msi.address >> 32));
	entry[2] = le32_make(msi.data);
	entry[3] = le32_make(0); /* unmasked */
	return irq;
}

void pci_msix_disable(struct device *d, u32 vector)
{
	u32 cap;
	volatile le32_t *entry = msix_entry(d, vector, &cap);

	if (entry)
		entry[3] = le32_make(1);
}
