/*
 * Messages: the interrupt translation service of GICv3 (Arm IHI 0069, chapter 5).
 *
 * Purpose: a device writes an event number to GITS_TRANSLATER; the ITS finds (device id, event) in
 * its tables and raises an LPI at a redistributor.
 *
 * Vocabulary: collection n: CPU n. ITT: a device's table of events, ours have 32. Memory comes from
 * one block that boot set aside: LPI configuration, one pending table per CPU, command queue,
 * device table, collection table, ITTs.
 *
 * Objects and lifetimes: a device's ITT is made at its first message and kept; a message lives from
 * a64_its_map to a64_its_unmap.
 *
 * Invariants: A64-I4 commands are complete in memory before CWRITER moves, and done (CREADR) before
 * the caller goes on.
 *
 * Locks: callers hold irq.c's lock; a64_its_cpu_setup runs on CPUs that start one at a time.
 *
 * Failure: no ITS, or one that wants more than is there: a CPU is not marked for messages, and
 * drivers get lines.
 */
#include <core/cpu.h>
#include <core/log.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "a64.h"

#define GITS_CTLR        0x0000u
#define GITS_TYPER       0x0008u
#define GITS_CBASER      0x0080u
#define GITS_CWRITER     0x0088u
#define GITS_CREADR      0x0090u
#define GITS_BASER       0x0100u
#define GITS_TRANSLATER  0x10040u
#define GITS_CTLR_ENABLE 1u
#define GITS_CTLR_QUIET  (1u << 31)
#define GITS_TYPER_PTA   (1ull << 19)

#define GICR_CTLR        0x0000u
#define GICR_TYPER       0x0008u
#define GICR_PROPBASER   0x0070u
#define GICR_PENDBASER   0x0078u
#define GICR_CTLR_LPIS   1u

/* Inner write-back cacheable, inner shareable: the same bits in CBASER and BASER, others in the
 * redistributor's registers. */
#define ITS_CACHEABLE    (7ull << 59 | 1ull << 10)
#define GICR_CACHEABLE   (7ull << 7 | 1ull << 10)
#define ITS_VALID        (1ull << 63)
#define LPI_CONFIG       0xa3u /* priority a0h, enabled (bit 1 reads as one) */

#define UNIT             65536ull /* alignment and page size of all tables */
#define QUEUE_BYTES      UNIT
#define DEVICE_BYTES     (8 * UNIT)
#define ITT_EVENTS       32u
#define ITT_BITS         5u
#define ITT_DEVICES      64u
#define ITT_BYTES        1024u /* 32 entries of up to 32 bytes */

enum its_command : u64 {
	ITS_INT = 0x03,
	ITS_SYNC = 0x05,
	ITS_MAPD = 0x08,
	ITS_MAPC = 0x09,
	ITS_MAPTI = 0x0a,
	ITS_INV = 0x0c,
	ITS_DISCARD = 0x0f,
};

struct its_device {
	u32 id;
	u32 events; /* bitmap of those in use */
	bool used;
};

static struct {
	volatile u8 *regs;
	paddr_t memory; /* 0: none */
	u64 bytes;
	u64 *queue;
	u64 write; /* offset of the next command */
	u64 typer;
	u32 device_ids;
	struct its_device devices[ITT_DEVICES];
	u64 targets[NR_CPUS_MAX]; /* as commands name the redistributor */
	struct {
		u8 device, event;
		bool used;
		u16 cpu;
	} lpis[A64_LPIS];
} its;

/* config, queue, collections, ITTs: a unit each; device table; a pending table for each CPU */
u64 a64_its_memory_bytes(u32 nr_cpus)
{
	return 4 * UNIT + DEVICE_BYTES + nr_cpus * UNIT;
}

static paddr_t its_config(void)
{
	return its.memory;
}
static paddr_t its_queue(void)
{
	return its.memory + UNIT;
}
static paddr_t its_collections(void)
{
	return its.memory + 2 * UNIT;
}
static paddr_t its_tables(void)
{
	return its.memory + 3 * UNIT;
}
static paddr_t its_device_table(void)
{
	return its.memory + 4 * UNIT;
}
static paddr_t its_pending(u32 cpu)
{
	return its.memory + 4 * UNIT + DEVICE_BYTES + cpu * UNIT;
}

void a64_its_memory(paddr_t base, u64 bytes)
{
	its.memory = base;
	its.bytes = bytes;
	if (bytes)
		memset(arch_phys_to_virt(base), 0, bytes);
}

static void its_post(u64 a, u64 b, u64 c)
{
	u64 *slot = its.queue + its.write / 8;

	slot[0] = a;
	slot[1] = b;
	slot[2] = c;
	slot[3] = 0;
	its.write = (its.write + 32) % QUEUE_BYTES;
	a64_dsb();
	a64_mmio_write64(its.regs + GITS_CWRITER, its.write);
	for (u32 tries = 0; (a64_mmio_read64(its.regs + GITS_CREADR) & 0xfffe0) != its.write;
		tries++) {
		if (tries == 10000000) {
			log_err("aarch64: the ITS does not take commands (%#lx)",
				(unsigned long)a64_mmio_read64(its.regs + GITS_CREADR));
			return;
		}
		arch_cpu_relax();
	}
}

static void its_sync(u32 cpu)
{
	its_post(ITS_SYNC, 0, its.targets[cpu]);
}

/* Flat tables of 64 KiB pages; as many entries as fit decide which device ids can be served. */
static bool its_table(u32 index)
{
	volatile u8 *reg = its.regs + GITS_BASER + index * 8;
	u64 v = a64_mmio_read64(reg), entry = (v >> 48 & 31) + 1, kind = v >> 56 & 7;
	paddr_t base = kind == 1 ? its_device_table() : its_collections();
	u64 bytes = kind == 1 ? DEVICE_BYTES : UNIT;

	if (kind != 1 && kind != 4)
		return true; /* unused, or for virtual processors */
	a64_mmio_write64(reg, ITS_VALID | ITS_CACHEABLE | kind << 56 | (entry - 1) << 48 | base |
				      2ull << 8 | (bytes / UNIT - 1));
	v = a64_mmio_read64(reg);
	if ((v >> 8 & 3) != 2 && (base & 0xffff)) /* it kept a smaller page size */
		return false;
	if (kind == 1)
		its.device_ids = (u32)MIN(2ull << (its.typer >> 13 & 31), bytes / entry);
	return kind == 1 || bytes / entry >= NR_CPUS_MAX;
}

void a64_its_init(void)
{
	if (!a64_dt.its.size_bytes || !its.memory)
		return;
	its.regs = a64_fixed_map(a64_dt.its.base, 0x20000, MMU_READ | MMU_WRITE | MMU_DEVICE);
	if (!its.regs)
		return;
	a64_mmio_write(its.regs + GITS_CTLR, 0);
	while (!(a64_mmio_read(its.regs + GITS_CTLR) & GITS_CTLR_QUIET))
		arch_cpu_relax();
	its.typer = a64_mmio_read64(its.regs + GITS_TYPER);
	if (((its.typer >> 4 & 15) + 1) * ITT_EVENTS > ITT_BYTES)
		goto none;
	for (u32 i = 0; i < 8; i++)
		if (!its_table(i))
			goto none;
	its.queue = arch_phys_to_virt(its_queue());
	a64_mmio_write64(its.regs + GITS_CBASER,
		ITS_VALID | ITS_CACHEABLE | its_queue() | (QUEUE_BYTES / 4096 - 1));
	a64_mmio_write64(its.regs + GITS_CWRITER, 0);
	memset(arch_phys_to_virt(its_config()), LPI_CONFIG, A64_LPIS);
	a64_dsb();
	a64_mmio_write(its.regs + GITS_CTLR, GITS_CTLR_ENABLE);
	return;
none:
	log_warn("aarch64: the ITS wants other tables than there are: no messages");
	its.regs = nullptr;
}

/* Context: the CPU itself, while it starts. */
void a64_its_cpu_setup(u32 cpu)
{
	volatile u8 *rd = a64_cpus[cpu].redistributor;
	u64 type = a64_mmio_read64(rd + GICR_TYPER);

	if (!its.regs || !(type & 1)) /* PLPIS */
		return;
	a64_mmio_write64(rd + GICR_PROPBASER, its_config() | GICR_CACHEABLE | (A64_LPI_IDBITS - 1));
	a64_mmio_write64(rd + GICR_PENDBASER,
		its_pending(cpu) | GICR_CACHEABLE | 1ull << 62); /* all zeros */
	a64_mmio_write(rd + GICR_CTLR, a64_mmio_read(rd + GICR_CTLR) | GICR_CTLR_LPIS);
	a64_dsb();
	its.targets[cpu] = its.typer & GITS_TYPER_PTA ? a64_cpus[cpu].redistributor_phys
						      : (type >> 8 & 0xffff) << 16;
	its_post(ITS_MAPC, 0, ITS_VALID | its.targets[cpu] | cpu);
	its_sync(cpu);
	a64_cpus[cpu].lpis = 1;
}

static struct its_device *its_device(u32 id, u32 cpu)
{
	struct its_device *d;

	for (d = its.devices; d < its.devices + ITT_DEVICES && d->used; d++)
		if (d->id == id)
			return d;
	if (d == its.devices + ITT_DEVICES)
		return nullptr;
	*d = (struct its_device){.id = id, .used = true};
	its_post(ITS_MAPD | (u64)id << 32, ITT_BITS - 1,
		ITS_VALID | (its_tables() + (u64)(d - its.devices) * ITT_BYTES));
	its_sync(cpu);
	return d;
}

/* Requester id of segment 0 to device id, by msi-map. */
static bool its_device_id(u32 device, u32 *id)
{
	*id = device & 0xffff;
	for (u32 i = 0; i < a64_dt.nr_msi; i++) {
		const struct a64_msi_map *m = &a64_dt.msi[i];

		if (m->segment == device >> 16 && *id >= m->first && *id - m->first < m->length) {
			*id = m->base + (*id - m->first);
			return true;
		}
	}
	return !a64_dt.nr_msi;
}

int a64_its_map(u32 device, u32 lpi, u32 cpu, struct arch_msi *out)
{
	struct its_device *d;
	u32 event, id;

	if (!its.regs || !its_device_id(device, &id) || id >= its.device_ids)
		return -ENODEV;
	d = its_device(id, cpu);
	if (!d || d->events == ~0u)
		return -ENOSPC;
	event = (u32)__builtin_ctz(~d->events);
	d->events |= 1u << event;
	its.lpis[lpi].device = (u8)(d - its.devices);
	its.lpis[lpi].event = (u8)event;
	its.lpis[lpi].cpu = (u16)cpu;
	its.lpis[lpi].used = true;
	its_post(ITS_MAPTI | (u64)id << 32, event | (u64)(A64_LPI_FIRST + lpi) << 32, cpu);
	its_post(ITS_INV | (u64)id << 32, event, 0);
	its_sync(cpu);
	out->address = a64_dt.its.base + GITS_TRANSLATER;
	out->data = event;
	return 0;
}

static void its_event(enum its_command command, u32 lpi)
{
	struct its_device *d = &its.devices[its.lpis[lpi].device];

	its_post(command | (u64)d->id << 32, its.lpis[lpi].event, 0);
	its_sync(its.lpis[lpi].cpu);
}

void a64_its_unmap(u32 lpi)
{
	if (!its.lpis[lpi].used)
		return;
	its_event(ITS_DISCARD, lpi);
	its.devices[its.lpis[lpi].device].events &= ~(1u << its.lpis[lpi].event);
	its.lpis[lpi].used = false;
}

void a64_its_raise(u32 lpi)
{
	if (its.lpis[lpi].used)
		its_event(ITS_INT, lpi);
}
