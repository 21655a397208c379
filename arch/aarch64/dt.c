/*
 * The device tree: read once, at boot, into struct a64_dt.
 *
 * Purpose: memory, CPUs, interrupt controller, timer, PCI, serial port and clock of a machine
 * (Devicetree Specification 0.4; bindings in Linux's Documentation/devicetree/bindings). libfdt
 * does the parsing (dependencies.md section 2). Limits: buses between the root and a device are
 * taken to map addresses one to one, as QEMU's machines have it.
 *
 * Failure: what is absent or malformed is left out; a machine without memory or GICv3 ends in a
 * panic of boot.c and irq.c.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "fdt/fdt.h"
#include "a64.h"

struct a64_dt a64_dt;

/* Cells of one property; every index is checked. */
struct cells {
	const u8 *data;
	u32 nr;
};

static struct cells dt_cells(const void *fdt, int node, const char *name)
{
	int bytes = 0;
	const void *p = fdt_getprop(fdt, node, name, &bytes);

	return (struct cells){p, p && bytes > 0 ? (u32)bytes / 4 : 0};
}

static u32 cell(struct cells c, u32 i)
{
	if (i >= c.nr)
		return 0;
	return (u32)c.data[i * 4] << 24 | (u32)c.data[i * 4 + 1] << 16 |
	       (u32)c.data[i * 4 + 2] << 8 | c.data[i * 4 + 3];
}

/* A number of `nr` cells, of which the last two count. */
static u64 cell_number(struct cells c, u32 i, u32 nr)
{
	u64 v = 0;

	for (u32 k = 0; k < nr; k++)
		v = v << 32 | cell(c, i + k);
	return v;
}

static u32 dt_u32(const void *fdt, int node, const char *name, u32 otherwise)
{
	struct cells c = dt_cells(fdt, node, name);

	return c.nr ? cell(c, 0) : otherwise;
}

static bool dt_reg(const void *fdt, int node, u32 index, struct boot_range *out)
{
	int parent = fdt_parent_offset(fdt, node);
	u32 na = parent < 0 ? 2 : dt_u32(fdt, parent, "#address-cells", 2),
	    ns = parent < 0 ? 1 : dt_u32(fdt, parent, "#size-cells", 1);
	struct cells c = dt_cells(fdt, node, "reg");
	u32 at = index * (na + ns);

	if (na > 4 || ns > 4 || index > 1024 || at + na + ns > c.nr)
		return false;
	*out = (struct boot_range){cell_number(c, at, na), cell_number(c, at + na, ns)};
	return true;
}

static bool dt_is(const void *fdt, int node, const char *compatible)
{
	return fdt_node_check_compatible(fdt, node, compatible) == 0;
}

static bool dt_string_is(const void *fdt, int node, const char *name, const char *value)
{
	int bytes = 0;
	const char *p = fdt_getprop(fdt, node, name, &bytes);

	return p && bytes > 0 && (size_t)bytes == strlen(value) + 1 &&
	       !memcmp(p, value, (size_t)bytes);
}

static bool dt_enabled(const void *fdt, int node)
{
	return !fdt_getprop(fdt, node, "status", nullptr) ||
	       dt_string_is(fdt, node, "status", "okay") || dt_string_is(fdt, node, "status", "ok");
}

/* GIC interrupt specifier (arm,gic-v3.yaml): kind (0 SPI, 1 PPI), number, flags (1 rising, 2
 * falling, 4 high, 8 low). */
static bool dt_interrupt(struct cells c, u32 at, u32 *intid, bool *level, bool *low)
{
	if (at + 3 > c.nr || cell(c, at) > 1)
		return false;
	*intid = cell(c, at + 1) + (cell(c, at) ? 16 : 32);
	*level = cell(c, at + 2) & 12;
	*low = cell(c, at + 2) & 10;
	return true;
}

static void dt_reserve(paddr_t base, u64 bytes)
{
	if (bytes && a64_dt.nr_reserved < A64_DT_RESERVED)
		a64_dt.reserved[a64_dt.nr_reserved++] = (struct boot_range){base, bytes};
}

static void dt_memory(const void *fdt, int node)
{
	struct boot_range r;

	for (u32 i = 0; dt_reg(fdt, node, i, &r) && a64_dt.nr_memory < A64_DT_MEM; i++)
		if (r.size_bytes)
			a64_dt.memory[a64_dt.nr_memory++] = r;
}

static void dt_reserved(const void *fdt)
{
	int parent = fdt_path_offset(fdt, "/reserved-memory"), node;
	struct boot_range r;
	u64 base, bytes;

	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++)
		if (!fdt_get_mem_rsv(fdt, i, &base, &bytes))
			dt_reserve(base, bytes);
	if (parent < 0)
		return;
	fdt_for_each_subnode(node, fdt, parent) for (u32 i = 0; dt_reg(fdt, node, i, &r); i++)
		dt_reserve(r.base, r.size_bytes);
}

static void dt_cpus(const void *fdt)
{
	int parent = fdt_path_offset(fdt, "/cpus"), node;
	u64 self = a64_read(mpidr_el1) & 0xff00ffffffull;

	a64_dt.cpu_mpidr[0] = self;
	a64_dt.nr_cpus = 1;
	if (parent < 0)
		return;
	fdt_for_each_subnode(node, fdt, parent)
	{
		struct boot_range r = {};
		u32 na = dt_u32(fdt, parent, "#address-cells", 1);
		struct cells c = dt_cells(fdt, node, "reg");

		if (!dt_string_is(fdt, node, "device_type", "cpu") ||
			!dt_string_is(fdt, node, "enable-method", "psci") || !c.nr || na > 2)
			continue;
		r.base = cell_number(c, 0, na) & 0xff00ffffffull;
		if (r.base != self && a64_dt.nr_cpus < NR_CPUS_MAX)
			a64_dt.cpu_mpidr[a64_dt.nr_cpus++] = r.base;
	}
}

static void dt_gic(const void *fdt, int node)
{
	u32 regions = dt_u32(fdt, node, "#redistributor-regions", 1);
	struct boot_range r;
	int child;

	if (!dt_reg(fdt, node, 0, &a64_dt.gicd))
		return;
	for (u32 i = 0; i < regions && i < A64_DT_GICR && dt_reg(fdt, node, 1 + i, &r); i++)
		a64_dt.gicr[a64_dt.nr_gicr++] = r;
	fdt_for_each_subnode(child, fdt,
		node) if (dt_is(fdt, child, "arm,gic-v3-its") && !a64_dt.its.size_bytes)
		dt_reg(fdt, child, 0, &a64_dt.its);
}

static void dt_psci(const void *fdt, int node)
{
	a64_dt.psci = true;
	a64_dt.psci_hvc = dt_string_is(fdt, node, "method", "hvc");
}

/* Interrupts of arm,armv8-timer: secure, non-secure, virtual, hypervisor. */
static void dt_timer(const void *fdt, int node)
{
	bool level, low;

	dt_interrupt(dt_cells(fdt, node, "interrupts"), 6, &a64_dt.timer_intid, &level, &low);
}

static void dt_device(const void *fdt, int node, const char *compatible)
{
	struct arch_platform_device *d;
	struct boot_range r;
	u32 intid;

	if (a64_dt.nr_devices == A64_DT_DEVICES || !dt_reg(fdt, node, 0, &r))
		return;
	d = &a64_dt.devices[a64_dt.nr_devices++];
	*d = (struct arch_platform_device){.base = r.base, .size_bytes = r.size_bytes, .line = ~0u};
	strlcpy(d->compatible, compatible, sizeof(d->compatible));
	if (dt_interrupt(dt_cells(fdt, node, "interrupts"), 0, &intid, &d->line_level,
		    &d->line_active_low) &&
		intid >= 32)
		d->line = intid - 32;
}

/* Where base addresses may be given: 32-bit memory that is not prefetchable, since that suits every
 * kind of register. */
static void dt_pci_ranges(const void *fdt, int node, struct arch_pci_ecam *e)
{
	struct cells c = dt_cells(fdt, node, "ranges");

	for (u32 at = 0; at + 7 <= c.nr; at += 7) {
		u32 kind = cell(c, at);

		if ((kind >> 24 & 3) != 2 || kind >> 30 & 1 ||
			cell_number(c, at + 1, 2) != cell_number(c, at + 3, 2))
			continue;
		e->memory_base = cell_number(c, at + 3, 2);
		e->memory_bytes = cell_number(c, at + 5, 2);
	}
}

/* interrupt-map: {address (3 cells), pin, controller, its unit address (#address-cells), specifier
 * (3 cells)}. */
static void dt_pci_intx(const void *fdt, int node, u16 segment)
{
	struct cells map = dt_cells(fdt, node, "interrupt-map"),
		     mask = dt_cells(fdt, node, "interrupt-map-mask");

	for (u32 at = 0; at + 5 <= map.nr && a64_dt.nr_intx < A64_DT_INTX;) {
		int controller = fdt_node_offset_by_phandle(fdt, cell(map, at + 4));
		struct a64_intx *x = &a64_dt.intx[a64_dt.nr_intx];
		bool level, low;
		u32 na, intid;

		if (controller < 0 || dt_u32(fdt, controller, "#interrupt-cells", 0) != 3)
			return;
		na = dt_u32(fdt, controller, "#address-cells", 0);
		if (na > 4 || !dt_interrupt(map, at + 5 + na, &intid, &level, &low) || intid < 32)
			return;
		*x = (struct a64_intx){.segment = segment,
			.address = cell(map, at),
			.address_mask = mask.nr ? cell(mask, 0) : ~0u,
			.pin = (u8)cell(map, at + 3),
			.pin_mask = (u8)(mask.nr > 3 ? cell(mask, 3) : 7),
			.line = {intid - 32, level, low}};
		a64_dt.nr_intx++;
		at += 8 + na;
	}
}

static void dt_pci(const void *fdt, int node)
{
	struct cells bus = dt_cells(fdt, node, "bus-range"), msi = dt_cells(fdt, node, "msi-map");
	struct arch_pci_ecam *e;
	struct boot_range r;

	if (a64_dt.nr_ecam == A64_DT_ECAM || !dt_reg(fdt, node, 0, &r))
		return;
	e = &a64_dt.ecam[a64_dt.nr_ecam++];
	*e = (struct arch_pci_ecam){.base = r.base,
		.segment = (u16)dt_u32(fdt, node, "linux,pci-domain", a64_dt.nr_ecam - 1),
		.bus_first = (u8)(bus.nr > 1 ? cell(bus, 0) : 0),
		.bus_last = (u8)(bus.nr > 1 ? cell(bus, 1) : 255)};
	dt_pci_ranges(fdt, node, e);
	dt_pci_intx(fdt, node, e->segment);
	for (u32 at = 0; at + 4 <= msi.nr && a64_dt.nr_msi < A64_DT_MSI; at += 4)
		a64_dt.msi[a64_dt.nr_msi++] = (struct a64_msi_map){e->segment, cell(msi, at),
			cell(msi, at + 2), cell(msi, at + 3)};
}

static void dt_node(const void *fdt, int node)
{
	if (!dt_enabled(fdt, node))
		return;
	if (dt_string_is(fdt, node, "device_type", "memory"))
		dt_memory(fdt, node);
	else if (dt_is(fdt, node, "arm,gic-v3"))
		dt_gic(fdt, node);
	else if (dt_is(fdt, node, "arm,psci-1.0") || dt_is(fdt, node, "arm,psci-0.2"))
		dt_psci(fdt, node);
	else if (dt_is(fdt, node, "arm,armv8-timer"))
		dt_timer(fdt, node);
	else if (dt_is(fdt, node, "arm,pl011"))
		dt_device(fdt, node, "arm,pl011");
	else if (dt_is(fdt, node, "arm,pl031"))
		dt_device(fdt, node, "arm,pl031");
	else if (dt_is(fdt, node, "pci-host-ecam-generic"))
		dt_pci(fdt, node);
}

/* The first PL011, or that of /chosen/stdout-path ("/pl011@9000000", perhaps with ":115200"; an
 * alias is one, too). */
static void dt_console(const void *fdt, int chosen)
{
	const char *path = chosen < 0 ? nullptr : fdt_getprop(fdt, chosen, "stdout-path", nullptr);
	struct boot_range r;
	int node = -1;

	if (path) {
		const char *colon = strchr(path, ':');

		node = fdt_path_offset_namelen(fdt, path,
			(int)(colon ? (size_t)(colon - path) : strlen(path)));
	}
	if (node >= 0 && dt_is(fdt, node, "arm,pl011") && dt_reg(fdt, node, 0, &r))
		a64_dt.console = r;
	for (u32 i = 0; i < a64_dt.nr_devices; i++) {
		struct arch_platform_device *d = &a64_dt.devices[i];

		if (!strcmp(d->compatible, "arm,pl011") && !a64_dt.console.size_bytes)
			a64_dt.console = (struct boot_range){d->base, d->size_bytes};
		if (!strcmp(d->compatible, "arm,pl031") && !a64_dt.rtc)
			a64_dt.rtc = d->base;
	}
}

static void dt_chosen(const void *fdt, int chosen, struct boot_info *info)
{
	struct cells start, end;
	const char *args;
	int bytes = 0;

	if (chosen < 0)
		return;
	args = fdt_getprop(fdt, chosen, "bootargs", &bytes);
	if (args && bytes > 0)
		strlcpy(info->command_line, args, MIN((size_t)bytes, sizeof(info->command_line)));
	start = dt_cells(fdt, chosen, "linux,initrd-start");
	end = dt_cells(fdt, chosen, "linux,initrd-end");
	if (start.nr && end.nr && cell_number(end, 0, end.nr) > cell_number(start, 0, start.nr)) {
		info->initrd.base = cell_number(start, 0, start.nr);
		info->initrd.size_bytes = cell_number(end, 0, end.nr) - info->initrd.base;
	}
}

int a64_dt_parse(const void *fdt, struct boot_info *info)
{
	int depth = 0, chosen;

	if (!fdt || fdt_check_header(fdt))
		return -EINVAL;
	a64_dt.base = (paddr_t)fdt;
	a64_dt.bytes = (u32)fdt_totalsize(fdt);
	a64_dt.timer_intid = 27; /* Arm's Base System Architecture, where the tree does not say */
	for (int node = 0; node >= 0; node = fdt_next_node(fdt, node, &depth))
		dt_node(fdt, node);
	dt_reserved(fdt);
	dt_cpus(fdt);
	chosen = fdt_path_offset(fdt, "/chosen");
	dt_console(fdt, chosen);
	dt_chosen(fdt, chosen, info);
	return 0;
}

/*
 * The slide of the image: a multiple of 2 MiB in one of 256 GiB, with image and modules (128 MiB)
 * inside that GiB. Context: before the image has its final address, so nothing is remembered here.
 */
u64 a64_choose_slide(const void *fdt)
{
	int chosen, bytes = 0;
	const char *args;
	struct cells seed;
	u64 random;

	if (!fdt || fdt_check_header(fdt))
		return 0;
	chosen = fdt_path_offset(fdt, "/chosen");
	if (chosen < 0)
		return 0;
	args = fdt_getprop(fdt, chosen, "bootargs", &bytes);
	if (args && bytes > 0 && a64_word_in(args, "nokaslr"))
		return 0;
	seed = dt_cells(fdt, chosen, "kaslr-seed");
	random = cell_number(seed, 0, MIN(seed.nr, 2u));
	if (!random)
		return 0;
	return (random & 255) << 30 | (random >> 8) % 384 << 21;
}
