/*
 * Interrupt lines of PCI functions: _PRT of the bus, and link devices (ACPI 6.5, 6.2.13
 * and 6.2.14). Theory in acpi.c.
 *
 * Only the scan of the buses calls in here, so there is one caller at a time and no lock.
 */
#include "firmware_priv.h"
#include <core/log.h>
#include <core/pci.h>
#include <lib/string.h>
#include <arch/irq.h>

#define DEPTH_MAX         8u
#define CHOICES_MAX       16u
#define LINES_COUNTED     256u

#define PCI_HEADER_TYPE   0x0e
#define PCI_SECONDARY_BUS 0x19
#define PCI_SUBORDINATE   0x1a

/* What _CRS or _PRS of a link device says. */
struct link_lines {
	u32 line[CHOICES_MAX], nr;
	bool level, active_low, extended;
};

static struct {
	struct acpi_pci_routing_table *table; /* nullptr: the bus has none */
	u16 segment;
	u8 bus;
	bool valid;
} routes;
static u8 line_users[LINES_COUNTED];

static u64 integer_of(acpi_handle object, char *name, u64 otherwise)
{
	union acpi_object value;
	struct acpi_buffer buffer = {sizeof(value), &value};

	if (ACPI_FAILURE(acpi_evaluate_object(object, name, nullptr, &buffer)) ||
		value.type != ACPI_TYPE_INTEGER)
		return otherwise;
	return value.integer.value;
}

/* --- from a bus number to the object that has its _PRT --- */
struct bus_search {
	u16 segment;
	u8 bus;
	acpi_handle found;
};

/* Below the bridge `object` whose secondary bus is `bus`. */
static acpi_handle search_below(acpi_handle object, u8 bus, const struct bus_search *want,
	u32 depth)
{
	acpi_handle child = nullptr;

	if (bus == want->bus)
		return object;
	while (depth < DEPTH_MAX &&
		ACPI_SUCCESS(acpi_get_next_object(ACPI_TYPE_DEVICE, object, child, &child))) {
		u64 address = integer_of(child, "_ADR", ~0ull);
		u8 devfn = (u8)((address >> 16 & 31) << 3 | (address & 7)), below, last;

		if (address >> 16 > 31 || (address & 0xffff) > 7 ||
			(pci_address_read(want->segment, bus, devfn, PCI_HEADER_TYPE, 1) & 0x7f) !=
				1)
			continue;
		below = (u8)pci_address_read(want->segment, bus, devfn, PCI_SECONDARY_BUS, 1);
		last = (u8)pci_address_read(want->segment, bus, devfn, PCI_SUBORDINATE, 1);
		if (below > bus && want->bus >= below && want->bus <= last)
			return search_below(child, below, want, depth + 1);
	}
	return nullptr;
}

static acpi_status look_at_root(acpi_handle object, u32 level, void *context, void **result)
{
	struct bus_search *want = context;
	u64 segment = integer_of(object, "_SEG", 0), first = integer_of(object, "_BBN", 0);

	(void)level;
	(void)result;
	if (segment != want->segment || first > want->bus)
		return AE_OK;
	want->found = search_below(object, (u8)first, want, 0);
	return want->found ? AE_CTRL_TERMINATE : AE_OK;
}

static const struct acpi_pci_routing_table *routes_of(u16 segment, u8 bus)
{
	struct bus_search want = {.segment = segment, .bus = bus};
	struct acpi_buffer buffer = {ACPI_ALLOCATE_BUFFER, nullptr};

	if (routes.valid && routes.segment == segment && routes.bus == bus)
		return routes.table;
	acpi_os_free(routes.table);
	routes.table = nullptr;
	routes.segment = segment;
	routes.bus = bus;
	routes.valid = true;
	acpi_get_devices("PNP0A03", look_at_root, &want, nullptr);
	if (want.found && ACPI_SUCCESS(acpi_get_irq_routing_table(want.found, &buffer)))
		routes.table = buffer.pointer;
	return routes.table;
}

/* --- link devices --- */
static acpi_status add_lines(struct acpi_resource *r, void *context)
{
	struct link_lines *l = context;

	switch (r->type) {
	case ACPI_RESOURCE_TYPE_IRQ:
		l->level = r->data.irq.triggering == ACPI_LEVEL_SENSITIVE;
		l->active_low = r->data.irq.polarity == ACPI_ACTIVE_LOW;
		for (u32 i = 0; i < r->data.irq.interrupt_count && l->nr < CHOICES_MAX; i++)
			l->line[l->nr++] = r->data.irq.interrupts[i];
		break;
	case ACPI_RESOURCE_TYPE_EXTENDED_IRQ:
		l->extended = true;
		l->level = r->data.extended_irq.triggering == ACPI_LEVEL_SENSITIVE;
		l->active_low = r->data.extended_irq.polarity == ACPI_ACTIVE_LOW;
		for (u32 i = 0; i < r->data.extended_irq.interrupt_count && l->nr < CHOICES_MAX;
			i++)
			l->line[l->nr++] = r->data.extended_irq.interrupts[i];
		break;
	}
	return AE_OK;
}

static void program_link(acpi_handle link, const struct link_lines *how, u32 line)
{
	struct acpi_resource r[2] = {};
	struct acpi_buffer buffer = {sizeof(r), r};
	u8 trigger = how->level ? ACPI_LEVEL_SENSITIVE : ACPI_EDGE_SENSITIVE,
	   polarity = how->active_low ? ACPI_ACTIVE_LOW : ACPI_ACTIVE_HIGH;
	acpi_status status;

	r[0].length = r[1].length = sizeof(r[0]);
	r[1].type = ACPI_RESOURCE_TYPE_END_TAG;
	if (how->extended) {
		r[0].type = ACPI_RESOURCE_TYPE_EXTENDED_IRQ;
		r[0].data.extended_irq =
			(struct acpi_resource_extended_irq){.producer_consumer = ACPI_CONSUMER,
				.triggering = trigger,
				.polarity = polarity,
				.shareable = ACPI_SHARED,
				.interrupt_count = 1,
				.interrupt = line};
	} else {
		r[0].type = ACPI_RESOURCE_TYPE_IRQ;
		r[0].data.irq = (struct acpi_resource_irq){.descriptor_length = 3,
			.triggering = trigger,
			.polarity = polarity,
			.shareable = ACPI_SHARED,
			.interrupt_count = 1,
			.interrupt = (u8)line};
	}
	status = acpi_set_current_resources(link, &buffer);
	if (ACPI_FAILURE(status))
		log_err("ACPI: an interrupt link refuses line %u: %s\n", line,
			acpi_format_exception(status));
}

/* The line that firmware has set, or the least used of those it offers. */
static bool link_line(acpi_handle link, struct arch_line *out)
{
	struct link_lines now = {}, offered = {};
	u32 best = 0;

	acpi_walk_resources(link, "_CRS", add_lines, &now);
	if (!now.nr || !now.line[0]) {
		acpi_walk_resources(link, "_PRS", add_lines, &offered);
		for (u32 i = 1; i < offered.nr; i++)
			if (line_users[offered.line[i] % LINES_COUNTED] <
				line_users[offered.line[best] % LINES_COUNTED])
				best = i;
		if (!offered.nr)
			return false;
		program_link(link, &offered, offered.line[best]);
		now = offered;
		now.line[0] = offered.line[best];
	}
	if (line_users[now.line[0] % LINES_COUNTED] < UINT8_MAX)
		line_users[now.line[0] % LINES_COUNTED]++;
	*out = (struct arch_line){.line = now.line[0],
		.level = now.level,
		.active_low = now.active_low};
	return true;
}

struct pin_search {
	u16 segment;
	u8 bus, device, pin;
	struct arch_line *out;
	int result;
};

static void find_pin(void *context)
{
	struct pin_search *want = context;
	const struct acpi_pci_routing_table *e = routes_of(want->segment, want->bus);
	acpi_handle link;

	for (; e && e->length; e = (const void *)((const u8 *)e + e->length))
		if (e->address >> 16 == want->device && e->pin == want->pin - 1u)
			break;
	if (!e || !e->length)
		return;
	if (!e->source[0]) { /* a line by its number; PCI's are level, active low */
		*want->out = (struct arch_line){.line = e->source_index,
			.level = true,
			.active_low = true};
		want->result = 0;
	} else if (ACPI_SUCCESS(acpi_get_handle(nullptr, (char *)e->source, &link)) &&
		   link_line(link, want->out)) {
		want->result = 0;
	} else {
		log_warn("ACPI: interrupt link %s of device %u on bus %u has no line\n", e->source,
			want->device, want->bus);
	}
}

int firmware_pci_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out)
{
	struct pin_search want = {segment, bus, device, pin, out, -ENOENT};

	if (!firmware_namespace_loaded || pin < 1 || pin > 4 || !firmware_run(find_pin, &want))
		return -ENOENT;
	return want.result;
}
