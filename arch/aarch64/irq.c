/*
 * Interrupt controller: GICv3 (Arm IHI 0069), distributor, redistributors, CPU interface. Messages:
 * its.c.
 *
 * Purpose: from core's interrupt numbers to interrupt ids (INTIDs) and back.
 *
 * Vocabulary: line: number of a shared peripheral interrupt (SPI), INTID - 32. LPI: INTID of a
 * message, from 8192 on. SGI: INTID 0-15, between CPUs.
 *
 * Objects and lifetimes: a64_irqs[irq] is bound by arch_irq_bind_*, until arch_irq_unbind.
 *
 * Invariants: A64-I1 a64_spis/a64_lpis name irq + 1 exactly while a64_irqs[irq] names that id.
 * A64-I2 a level line is masked from its interrupt until arch_irq_unmask. A64-I3 a message that
 * arrives while masked is remembered and raised again at unmask.
 *
 * Locks: a64_irq_lock guards binding; dispatch reads without it.
 *
 * Failure: no id left: -ENOSPC. No GICv3: boot panics.
 */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "a64.h"

#define A64_IRQS              1024u
#define A64_SPIS              988u /* INTIDs 32 to 1019 */

#define GICD_CTLR             0x0000u
#define GICD_TYPER            0x0004u
#define GICD_IGROUPR          0x0080u
#define GICD_ISENABLER        0x0100u
#define GICD_ICENABLER        0x0180u
#define GICD_ICPENDR          0x0280u
#define GICD_IPRIORITYR       0x0400u
#define GICD_ICFGR            0x0c00u
#define GICD_IROUTER          0x6000u
#define GICD_CTLR_GROUP1      (1u << 1)
#define GICD_CTLR_ARE         (1u << 4)
#define GICD_CTLR_RWP         (1u << 31)

#define GICR_TYPER            0x0008u
#define GICR_WAKER            0x0014u
#define GICR_SGI              0x10000u
#define GICR_WAKER_SLEEP      (1u << 1)
#define GICR_WAKER_CHILDREN   (1u << 2)
#define GICR_TYPER_VLPIS      (1u << 1)
#define GICR_TYPER_LAST       (1u << 4)

#define PRIORITIES            0xa0a0a0a0u
#define INTID_SPURIOUS        1020u /* to 1023 */

#define ICC_PMR               s3_0_c4_c6_0
#define ICC_IAR1              s3_0_c12_c12_0
#define ICC_EOIR1             s3_0_c12_c12_1
#define ICC_BPR1              s3_0_c12_c12_3
#define ICC_CTLR              s3_0_c12_c12_4
#define ICC_SRE               s3_0_c12_c12_5
#define ICC_GRPEN1            s3_0_c12_c12_7
#define ICC_SGI1R             s3_0_c12_c11_5
/* a64_read/a64_write paste their argument as it stands */
#define icc_read(reg)         a64_read(reg)
#define icc_write(reg, value) a64_write(reg, value)

enum a64_irq_kind : u8 { A64_IRQ_FREE, A64_IRQ_LINE, A64_IRQ_MESSAGE };
struct a64_irq {
	enum a64_irq_kind kind;
	bool level, masked, pending;
	u32 id; /* SPI or LPI number, from 0 */
	u32 cpu;
};

static volatile u8 *a64_gicd;
static u32 a64_nr_spis;
static struct spinlock a64_irq_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ);
static struct a64_irq a64_irqs[A64_IRQS];
static u16 a64_spis[A64_SPIS], a64_lpis[A64_LPIS];

void a64_irq_user(struct arch_regs *regs);
void a64_irq_kernel(struct arch_regs *regs);

static void a64_gicd_wait(void)
{
	while (a64_mmio_read(a64_gicd + GICD_CTLR) & GICD_CTLR_RWP)
		arch_cpu_relax();
}

/* Affinity fields of MPIDR as GICR_TYPER has them: 32 bits. */
static u32 a64_affinity(u64 mpidr)
{
	return (u32)(mpidr & 0xffffff) | (u32)(mpidr >> 32 & 0xff) << 24;
}

/* Where each CPU's redistributor lies; mapped for all at boot, since later there are no early
 * pages. */
static void a64_redistributors_find(void)
{
	for (u32 i = 0; i < a64_dt.nr_gicr; i++) {
		const struct boot_range *r = &a64_dt.gicr[i];
		u64 stride, type;

		for (u64 at = 0; at + 0x20000 <= r->size_bytes; at += stride) {
			volatile u8 *p = a64_fixed_map(r->base + at, 0x20000,
				MMU_READ | MMU_WRITE | MMU_DEVICE);

			if (!p)
				panic("aarch64: no room to map the redistributors");
			type = a64_mmio_read64(p + GICR_TYPER);
			stride = type & GICR_TYPER_VLPIS ? 0x40000 : 0x20000;
			for (u32 cpu = 0; cpu < a64_dt.nr_cpus; cpu++)
				if (a64_affinity(a64_dt.cpu_mpidr[cpu]) == type >> 32) {
					a64_cpus[cpu].redistributor = p;
					a64_cpus[cpu].redistributor_phys = r->base + at;
				}
			if (type & GICR_TYPER_LAST)
				break;
		}
	}
}

/* Context: boot CPU, once. Every SPI in group 1, masked, to the boot CPU. */
void a64_gic_init(void)
{
	if (a64_dt.gicd.size_bytes)
		a64_gicd =
			a64_fixed_map(a64_dt.gicd.base, 0x10000, MMU_READ | MMU_WRITE | MMU_DEVICE);
	if (!a64_gicd)
		panic("aarch64: no GICv3 in the device tree");
	a64_redistributors_find();
	a64_mmio_write(a64_gicd + GICD_CTLR, 0);
	a64_gicd_wait();
	a64_nr_spis = MIN(((a64_mmio_read(a64_gicd + GICD_TYPER) & 31) + 1) * 32, 1020u) - 32;
	for (u32 i = 32; i < 32 + a64_nr_spis; i += 32) {
		a64_mmio_write(a64_gicd + GICD_IGROUPR + i / 8, ~0u);
		a64_mmio_write(a64_gicd + GICD_ICENABLER + i / 8, ~0u);
		a64_mmio_write(a64_gicd + GICD_ICPENDR + i / 8, ~0u);
		for (u32 k = i; k < i + 32; k += 4)
			a64_mmio_write(a64_gicd + GICD_IPRIORITYR + k, PRIORITIES);
	}
	a64_mmio_write(a64_gicd + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GROUP1);
	a64_gicd_wait();
	for (u32 i = 0; i < a64_nr_spis; i++)
		a64_mmio_write64(a64_gicd + GICD_IROUTER + (32 + i) * 8, a64_dt.cpu_mpidr[0]);
	a64_its_init();
}

void a64_gic_cpu_setup(void)
{
	u32 cpu = arch_this_cpu();
	volatile u8 *rd = a64_cpus[cpu].redistributor, *sgi = rd + GICR_SGI;

	if (!rd)
		panic("aarch64: CPU %u has no redistributor", cpu);
	a64_mmio_write(rd + GICR_WAKER, a64_mmio_read(rd + GICR_WAKER) & ~GICR_WAKER_SLEEP);
	while (a64_mmio_read(rd + GICR_WAKER) & GICR_WAKER_CHILDREN)
		arch_cpu_relax();
	a64_mmio_write(sgi + GICD_IGROUPR, ~0u);
	a64_mmio_write(sgi + GICD_ICENABLER, ~0u);
	for (u32 i = 0; i < 32; i += 4)
		a64_mmio_write(sgi + GICD_IPRIORITYR + i, PRIORITIES);
	a64_mmio_write(sgi + GICD_ISENABLER, 0xffffu | 1u << a64_dt.timer_intid);
	icc_write(ICC_SRE, icc_read(ICC_SRE) | 1);
	a64_isb();
	icc_write(ICC_PMR, 0xff);
	icc_write(ICC_BPR1, 0);
	icc_write(ICC_CTLR, 0); /* one write drops priority and deactivates */
	icc_write(ICC_GRPEN1, 1);
	a64_isb();
	a64_its_cpu_setup(cpu);
}

/* ICC_SGI1R: affinity 3, 2, 1, and a list of 16 for affinity 0. The stores before it are seen by
 * who gets it. */
void a64_sgi(u32 cpu, u32 id)
{
	u64 mpidr = a64_cpus[cpu].mpidr;

	__asm__ volatile("dsb ishst" ::: "memory");
	icc_write(ICC_SGI1R, (mpidr >> 32 & 0xff) << 48 | (mpidr >> 4 & 15) << 44 |
				     (mpidr >> 16 & 0xff) << 32 | (u64)id << 24 |
				     (mpidr >> 8 & 0xff) << 16 | 1u << (mpidr & 15));
	a64_isb();
}

int arch_irq_bind_line(u32 irq, u32 line, bool level, bool active_low)
{
	int error = -EINVAL;
	word_t state;
	u32 shift, config;
	volatile u8 *reg;

	if (irq >= A64_IRQS || line >= a64_nr_spis || line >= A64_SPIS || active_low)
		return -EINVAL; /* a GIC has no inverters: its lines are active high or rising */
	state = spin_lock_irqsave(&a64_irq_lock);
	if (a64_irqs[irq].kind == A64_IRQ_FREE && !a64_spis[line]) {
		a64_irqs[irq] = (struct a64_irq){.kind = A64_IRQ_LINE,
			.level = level,
			.masked = true,
			.id = line};
		WRITE_ONCE(a64_spis[line], (u16)(irq + 1));
		reg = a64_gicd + GICD_ICFGR + (32 + line) / 16 * 4;
		shift = (32 + line) % 16 * 2 + 1;
		config = a64_mmio_read(reg) & ~(1u << shift);
		a64_mmio_write(reg, config | (level ? 0 : 1u << shift));
		error = 0;
	}
	spin_unlock_irqrestore(&a64_irq_lock, state);
	return error;
}

static int a64_lpi_alloc(u32 irq) __requires(a64_irq_lock)
{
	for (u32 i = 0; i < A64_LPIS; i++)
		if (!a64_lpis[i]) {
			WRITE_ONCE(a64_lpis[i], (u16)(irq + 1));
			return (int)i;
		}
	return -ENOSPC;
}

int arch_irq_bind_msi(u32 irq, u32 cpu, u32 device, struct arch_msi *out)
{
	word_t state;
	int lpi, error;

	if (irq >= A64_IRQS || cpu >= NR_CPUS_MAX || !READ_ONCE(a64_cpus[cpu].online) ||
		!a64_cpus[cpu].lpis)
		return -EINVAL;
	state = spin_lock_irqsave(&a64_irq_lock);
	lpi = a64_irqs[irq].kind == A64_IRQ_FREE ? a64_lpi_alloc(irq) : -EINVAL;
	error = lpi < 0 ? lpi : a64_its_map(device, (u32)lpi, cpu, out);
	if (!error)
		a64_irqs[irq] =
			(struct a64_irq){.kind = A64_IRQ_MESSAGE, .id = (u32)lpi, .cpu = cpu};
	else if (lpi >= 0)
		WRITE_ONCE(a64_lpis[lpi], 0);
	spin_unlock_irqrestore(&a64_irq_lock, state);
	return error;
}

static void a64_spi_enable(u32 line, bool enable)
{
	u32 intid = 32 + line;

	a64_mmio_write(a64_gicd + (enable ? GICD_ISENABLER : GICD_ICENABLER) + intid / 32 * 4,
		1u << intid % 32);
}

void arch_irq_unbind(u32 irq)
{
	struct a64_irq *q;
	word_t state;

	if (irq >= A64_IRQS)
		return;
	q = &a64_irqs[irq];
	state = spin_lock_irqsave(&a64_irq_lock);
	if (q->kind == A64_IRQ_LINE) {
		a64_spi_enable(q->id, false);
		WRITE_ONCE(a64_spis[q->id], 0);
	} else if (q->kind == A64_IRQ_MESSAGE) {
		a64_its_unmap(q->id);
		WRITE_ONCE(a64_lpis[q->id], 0);
	}
	*q = (struct a64_irq){};
	spin_unlock_irqrestore(&a64_irq_lock, state);
}

static void a64_irq_mask_set(u32 irq, bool masked)
{
	struct a64_irq *q;
	word_t state;

	if (irq >= A64_IRQS)
		return;
	q = &a64_irqs[irq];
	state = spin_lock_irqsave(&a64_irq_lock);
	q->masked = masked;
	if (q->kind == A64_IRQ_LINE) {
		a64_spi_enable(q->id, !masked);
	} else if (q->kind == A64_IRQ_MESSAGE && !masked && q->pending) {
		q->pending = false;
		a64_its_raise(q->id);
	}
	spin_unlock_irqrestore(&a64_irq_lock, state);
}

void arch_irq_mask(u32 irq)
{
	a64_irq_mask_set(irq, true);
}

void arch_irq_unmask(u32 irq)
{
	a64_irq_mask_set(irq, false);
}

static void a64_device(u32 intid, u32 irq)
{
	struct a64_irq *q = &a64_irqs[irq];
	bool masked = false;

	if (q->kind == A64_IRQ_LINE && q->level) {
		arch_irq_mask(irq); /* A64-I2: before the end of interrupt lets it come again */
	} else if (q->masked) {
		spin_lock(&a64_irq_lock);
		masked = q->masked;
		q->pending = masked;
		spin_unlock(&a64_irq_lock);
	}
	icc_write(ICC_EOIR1, intid);
	if (!masked)
		irq_dispatch(irq);
}

static void a64_interrupt(u32 intid)
{
	u32 irq = 0;

	if (intid == a64_dt.timer_intid) {
		arch_timer_set(KTIME_MAX); /* its line is level: silent before the end of interrupt
					    */
		icc_write(ICC_EOIR1, intid);
		irq_timer();
		return;
	}
	if (intid >= 32 && intid < 32 + A64_SPIS)
		irq = READ_ONCE(a64_spis[intid - 32]);
	else if (intid >= A64_LPI_FIRST && intid < A64_LPI_FIRST + A64_LPIS)
		irq = READ_ONCE(a64_lpis[intid - A64_LPI_FIRST]);
	if (irq) {
		a64_device(intid, irq - 1);
		return;
	}
	icc_write(ICC_EOIR1, intid);
	if (intid == A64_SGI_RESCHEDULE)
		irq_ipi(ARCH_IPI_RESCHEDULE);
	else if (intid == A64_SGI_CALL)
		irq_ipi(ARCH_IPI_CALL);
	else if (intid == A64_SGI_STOP)
		arch_halt();
}

/* All that are pending: taking the exception again for each would cost more. */
static void a64_interrupts(void)
{
	for (;;) {
		u32 intid = (u32)icc_read(ICC_IAR1) & 0xffffff;

		if (intid >= INTID_SPURIOUS && intid < 1024)
			return;
		a64_dsb(); /* the acknowledgement is done before the handler looks at its device */
		a64_interrupt(intid);
	}
}

/* Context: interrupts off, the frame is on the core stack. */
void a64_irq_user(struct arch_regs *regs)
{
	(void)regs;
	a64_interrupts();
}

void a64_irq_kernel(struct arch_regs *regs)
{
	a64_interrupts();
	if (!(regs->pstate & A64_PSTATE_I))
		irq_exit_preempt();
}

u32 arch_pci_ecam(struct arch_pci_ecam *out, u32 max)
{
	u32 n = MIN(max, a64_dt.nr_ecam);

	memcpy(out, a64_dt.ecam, n * sizeof(*out));
	return n;
}

int arch_pci_intx_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out)
{
	u32 address = (u32)bus << 16 | (u32)device << 11;

	/* a host bridge's map is about its own bus: behind bridges pins turn (core/device/pci.c) */
	for (u32 i = 0; i < a64_dt.nr_ecam; i++)
		if (a64_dt.ecam[i].segment == segment && a64_dt.ecam[i].bus_first != bus)
			return -ENOENT;
	for (u32 i = 0; i < a64_dt.nr_intx; i++) {
		const struct a64_intx *x = &a64_dt.intx[i];

		if (x->segment != segment ||
			(x->address & x->address_mask) != (address & x->address_mask) ||
			(x->pin & x->pin_mask) != (pin & x->pin_mask))
			continue;
		*out = x->line;
		return 0;
	}
	return -ENOENT;
}

u32 arch_platform_devices(struct arch_platform_device *out, u32 max)
{
	u32 n = MIN(max, a64_dt.nr_devices);

	memcpy(out, a64_dt.devices, n * sizeof(*out));
	return n;
}

/* No I/O ports on this architecture. */
u32 arch_io_read(u16 port, u32 bytes)
{
	(void)port;
	(void)bytes;
	return ~0u;
}

void arch_io_write(u16 port, u32 bytes, u32 value)
{
	(void)port;
	(void)bytes;
	(void)value;
}
