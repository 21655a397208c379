/*
 * Interrupt controllers: local APIC (x2APIC, or memory-mapped), I/O APICs, messages.
 *
 * Purpose: from core's interrupt numbers to vectors of a CPU and back (SDM volume 3, chapter 11;
 * 82093AA data sheet for the I/O APIC).
 *
 * Vocabulary: line: a global system interrupt (GSI); vector: one CPU's entry number.
 *
 * Objects and lifetimes: x86_irqs[irq] is bound by arch_irq_bind_*, until arch_irq_unbind.
 *
 * Invariants: X86-I1 x86_vectors[cpu][vector] names irq + 1 exactly while x86_irqs[irq] names that
 * CPU and vector. X86-I2 a level line is masked from its interrupt until arch_irq_unmask. X86-I3 an
 * edge that arrives while masked is remembered and raised again at unmask.
 *
 * Locks: x86_irq_lock guards binding and the I/O APIC's index register; dispatch reads without it.
 *
 * Failure: no vector left: -ENOSPC.
 */
#include <core/cpu.h>
#include <core/firmware.h>
#include <core/lock.h>
#include <core/log.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "x86.h"

#define X86_IRQS          1024u

#define APIC_ID           0x020u
#define APIC_TPR          0x080u
#define APIC_EOI          0x0b0u
#define APIC_SPURIOUS     0x0f0u
#define APIC_ICR_LOW      0x300u
#define APIC_ICR_HIGH     0x310u
#define APIC_LVT_LINT0    0x350u
#define APIC_LVT_LINT1    0x360u
#define APIC_LVT_ERROR    0x370u
#define APIC_MASKED       (1u << 16)

#define IOAPIC_ENTRY(pin) (0x10 + (pin) * 2)

enum x86_irq_kind : u8 { X86_IRQ_FREE, X86_IRQ_LINE, X86_IRQ_MESSAGE };
struct x86_irq {
	enum x86_irq_kind kind;
	bool level, masked, pending;
	u8 ioapic, pin, vector, cpu;
	u32 entry_low;
};

static volatile u8 *x86_lapic; /* nullptr with x2APIC */
static volatile u32 *x86_ioapics[8];
static struct spinlock x86_irq_lock = SPINLOCK_INIT(LOCK_LEVEL_IRQ);
static struct x86_irq x86_irqs[X86_IRQS];
static u16 x86_vectors[NR_CPUS_MAX][VECTOR_DEVICE_END - VECTOR_DEVICE_FIRST];
static u32 x86_next_vector[NR_CPUS_MAX];

u32 x86_apic_read(u32 reg)
{
	if (!x86_lapic)
		return (u32)x86_rdmsr(MSR_X2APIC + reg / 16);
	return x86_mmio_read(x86_lapic + reg);
}

void x86_apic_write(u32 reg, u32 value)
{
	if (!x86_lapic)
		x86_wrmsr(MSR_X2APIC + reg / 16, value);
	else
		x86_mmio_write(x86_lapic + reg, value);
}

u32 x86_apic_id(void)
{
	u32 id = x86_apic_read(APIC_ID);

	return x86_lapic ? id >> 24 : id;
}

void x86_apic_eoi(void)
{
	x86_apic_write(APIC_EOI, 0);
}

/*
 * One command. WRMSR of x2APIC's ICR is not serialising (SDM volume 3, 11.12.3): MFENCE makes the
 * sender's stores visible first.
 */
void x86_apic_icr(u32 apic_id, u32 low)
{
	word_t irq;

	if (!x86_lapic) {
		__asm__ volatile("mfence; lfence" : : : "memory");
		x86_wrmsr(MSR_X2APIC + APIC_ICR_LOW / 16, (u64)apic_id << 32 | low);
		return;
	}
	irq = arch_irq_save(); /* two registers, one command */
	while (x86_mmio_read(x86_lapic + APIC_ICR_LOW) & 1u << 12)
		arch_cpu_relax();
	x86_mmio_write(x86_lapic + APIC_ICR_HIGH, apic_id << 24);
	x86_mmio_write(x86_lapic + APIC_ICR_LOW, low);
	arch_irq_restore(irq);
}

/* Context: boot CPU, before the tables are parsed (they are needed to know our own id). */
void x86_apic_early(void)
{
	u64 base = x86_rdmsr(MSR_APIC_BASE);

	/* the 8259s out of the way: vectors 32-47, everything masked */
	x86_out8(0x20, 0x11);
	x86_out8(0xa0, 0x11);
	x86_out8(0x21, 32);
	x86_out8(0xa1, 40);
	x86_out8(0x21, 4);
	x86_out8(0xa1, 2);
	x86_out8(0x21, 1);
	x86_out8(0xa1, 1);
	x86_out8(0x21, 0xff);
	x86_out8(0xa1, 0xff);
	if (base >> 10 & 1) /* firmware may have switched already, and that cannot be undone */
		x86_features.x2apic = true;
	if (!x86_features.x2apic) {
		x86_lapic = x86_fixed_map(base & 0xffffff000, PAGE_BYTES,
			MMU_READ | MMU_WRITE | MMU_DEVICE);
		if (!x86_lapic)
			panic("x86: no room to map the local APIC");
	}
	x86_apic_cpu_setup();
}

void x86_apic_cpu_setup(void)
{
	u64 base = x86_rdmsr(MSR_APIC_BASE) | 1u << 11;

	x86_wrmsr(MSR_APIC_BASE, base);
	if (x86_features.x2apic)
		x86_wrmsr(MSR_APIC_BASE, base | 1u << 10);
	x86_apic_write(APIC_TPR, 0);
	x86_apic_write(APIC_LVT_LINT0, APIC_MASKED);
	x86_apic_write(APIC_LVT_LINT1, 4u << 8); /* NMI */
	x86_apic_write(APIC_LVT_ERROR, APIC_MASKED);
	x86_apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

static u32 x86_ioapic_read(u32 n, u32 reg)
{
	x86_mmio_write(&x86_ioapics[n][0], reg);
	return x86_mmio_read(&x86_ioapics[n][4]);
}

static void x86_ioapic_write(u32 n, u32 reg, u32 value)
{
	x86_mmio_write(&x86_ioapics[n][0], reg);
	x86_mmio_write(&x86_ioapics[n][4], value);
}

static u32 x86_ioapic_pins(u32 n)
{
	return (x86_ioapic_read(n, 1) >> 16 & 0xff) + 1;
}

/* Context: boot CPU, once. Every pin masked. */
void x86_ioapic_setup(void)
{
	for (u32 n = 0; n < x86_acpi.nr_ioapics; n++) {
		x86_ioapics[n] = x86_fixed_map(x86_acpi.ioapic[n].base, PAGE_BYTES,
			MMU_READ | MMU_WRITE | MMU_DEVICE);
		if (!x86_ioapics[n]) {
			x86_acpi.nr_ioapics = n;
			return;
		}
		for (u32 pin = 0; pin < x86_ioapic_pins(n); pin++)
			x86_ioapic_write(n, IOAPIC_ENTRY(pin), APIC_MASKED);
	}
}

/* A free vector of `cpu`; they are handed out in turn so that their priority classes spread. */
static int x86_vector_alloc(u32 irq, u32 cpu) __requires(x86_irq_lock)
{
	const u32 nr = VECTOR_DEVICE_END - VECTOR_DEVICE_FIRST;

	for (u32 i = 0; i < nr; i++) {
		u32 at = (x86_next_vector[cpu] + i) % nr;

		if (x86_vectors[cpu][at])
			continue;
		x86_next_vector[cpu] = at + 1;
		WRITE_ONCE(x86_vectors[cpu][at], (u16)(irq + 1));
		return (int)(VECTOR_DEVICE_FIRST + at);
	}
	return -ENOSPC;
}

int arch_irq_bind_line(u32 irq, u32 line, bool level, bool active_low)
{
	struct x86_irq *q;
	int vector, error = -EINVAL;
	word_t state;
	u32 n;

	if (irq >= X86_IRQS)
		return -EINVAL;
	q = &x86_irqs[irq];
	state = spin_lock_irqsave(&x86_irq_lock);
	for (n = 0; n < x86_acpi.nr_ioapics; n++)
		if (line >= x86_acpi.ioapic[n].gsi_base &&
			line - x86_acpi.ioapic[n].gsi_base < x86_ioapic_pins(n))
			break;
	if (n == x86_acpi.nr_ioapics || q->kind != X86_IRQ_FREE)
		goto out;
	vector = x86_vector_alloc(irq, 0);
	error = vector;
	if (vector < 0)
		goto out;
	*q = (struct x86_irq){
		.kind = X86_IRQ_LINE,
		.level = level,
		.masked = true,
		.ioapic = (u8)n,
		.pin = (u8)(line - x86_acpi.ioapic[n].gsi_base),
		.vector = (u8)vector,
		.entry_low = (u32)vector | (active_low ? 1u << 13 : 0) | (level ? 1u << 15 : 0),
	};
	x86_ioapic_write(n, IOAPIC_ENTRY(q->pin) + 1, x86_cpus[0].apic_id << 24);
	x86_ioapic_write(n, IOAPIC_ENTRY(q->pin), q->entry_low | APIC_MASKED);
	error = 0;
out:
	spin_unlock_irqrestore(&x86_irq_lock, state);
	return error;
}

/* PCI messages: SDM volume 3, 11.11. Ids above 255 would need interrupt remapping. */
int arch_irq_bind_msi(u32 irq, u32 cpu, u32 device, struct arch_msi *out)
{
	word_t state;
	int vector;

	(void)device;
	if (irq >= X86_IRQS || cpu >= NR_CPUS_MAX || !READ_ONCE(x86_cpus[cpu].online) ||
		x86_cpus[cpu].apic_id > 255)
		return -EINVAL;
	state = spin_lock_irqsave(&x86_irq_lock);
	vector = x86_irqs[irq].kind == X86_IRQ_FREE ? x86_vector_alloc(irq, cpu) : -EINVAL;
	if (vector > 0)
		x86_irqs[irq] = (struct x86_irq){.kind = X86_IRQ_MESSAGE,
			.vector = (u8)vector,
			.cpu = (u8)cpu};
	spin_unlock_irqrestore(&x86_irq_lock, state);
	if (vector < 0)
		return vector;
	out->address = 0xfee00000u | x86_cpus[cpu].apic_id << 12;
	out->data = (u32)vector;
	return 0;
}

void arch_irq_unbind(u32 irq)
{
	struct x86_irq *q;
	word_t state;

	if (irq >= X86_IRQS)
		return;
	q = &x86_irqs[irq];
	state = spin_lock_irqsave(&x86_irq_lock);
	if (q->kind == X86_IRQ_LINE)
		x86_ioapic_write(q->ioapic, IOAPIC_ENTRY(q->pin), APIC_MASKED);
	if (q->kind != X86_IRQ_FREE)
		WRITE_ONCE(x86_vectors[q->cpu][q->vector - VECTOR_DEVICE_FIRST], 0);
	*q = (struct x86_irq){};
	spin_unlock_irqrestore(&x86_irq_lock, state);
}

static void x86_irq_mask_set(u32 irq, bool masked)
{
	struct x86_irq *q;
	word_t state;

	if (irq >= X86_IRQS)
		return;
	q = &x86_irqs[irq];
	state = spin_lock_irqsave(&x86_irq_lock);
	q->masked = masked;
	if (q->kind == X86_IRQ_LINE)
		x86_ioapic_write(q->ioapic, IOAPIC_ENTRY(q->pin),
			q->entry_low | (masked ? APIC_MASKED : 0));
	else if (q->kind == X86_IRQ_MESSAGE && !masked && q->pending) {
		q->pending = false;
		x86_apic_icr(x86_cpus[q->cpu].apic_id, q->vector);
	}
	spin_unlock_irqrestore(&x86_irq_lock, state);
}

void arch_irq_mask(u32 irq)
{
	x86_irq_mask_set(irq, true);
}

void arch_irq_unmask(u32 irq)
{
	x86_irq_mask_set(irq, false);
}

static void x86_irq_device(u32 cpu, u32 vector)
{
	u32 irq = READ_ONCE(x86_vectors[cpu][vector - VECTOR_DEVICE_FIRST]);
	struct x86_irq *q;
	bool masked = false;

	if (!irq--) {
		x86_apic_eoi();
		return;
	}
	q = &x86_irqs[irq];
	if (q->kind == X86_IRQ_LINE && q->level) {
		arch_irq_mask(irq); /* X86-I2: before the EOI lets it come again */
	} else if (q->masked) {
		spin_lock(&x86_irq_lock);
		masked = q->masked;
		q->pending = masked;
		spin_unlock(&x86_irq_lock);
	}
	x86_apic_eoi();
	if (!masked)
		irq_dispatch(irq);
}

/* Context: interrupts off, the frame is on the core stack. */
void x86_irq_vector(u32 cpu, u32 vector)
{
	if (vector == VECTOR_TIMER) {
		x86_apic_eoi();
		irq_timer();
	} else if (vector >= VECTOR_DEVICE_FIRST && vector < VECTOR_DEVICE_END) {
		x86_irq_device(cpu, vector);
	} else if (vector == VECTOR_RESCHEDULE) {
		x86_apic_eoi();
		irq_ipi(ARCH_IPI_RESCHEDULE);
	} else if (vector == VECTOR_CALL) {
		x86_apic_eoi();
		irq_ipi(ARCH_IPI_CALL);
	} else if (vector == VECTOR_TLB) {
		x86_tlb_ipi();
		x86_apic_eoi();
	}
	/* what is left is spurious: no EOI (SDM volume 3, 11.9) */
}

u32 arch_pci_ecam(struct arch_pci_ecam *out, u32 max)
{
	u32 n = MIN(max, x86_acpi.nr_ecam);

	memcpy(out, x86_acpi.ecam, n * sizeof(*out));
	return n;
}

int arch_pci_intx_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out)
{
	return firmware_pci_line(segment, bus, device, pin, out);
}

static struct arch_platform_device x86_isa_device(const char *compatible, u16 port, u32 bytes,
	u32 isa)
{
	struct arch_platform_device d = {.io_ports = true,
		.base = port,
		.size_bytes = bytes,
		.line = isa};

	strlcpy(d.compatible, compatible, sizeof(d.compatible));
	if (x86_acpi.isa[isa].valid) {
		d.line = x86_acpi.isa[isa].gsi;
		d.line_level = x86_acpi.isa[isa].level;
		d.line_active_low = x86_acpi.isa[isa].active_low;
	}
	return d;
}

/* A 16550 keeps what is written into its scratch register. */
static bool x86_uart_present(u16 port)
{
	x86_out8(port + 7, 0x5a);
	if (x86_in8(port + 7) != 0x5a)
		return false;
	x86_out8(port + 7, 0xa5);
	return x86_in8(port + 7) == 0xa5;
}

u32 arch_platform_devices(struct arch_platform_device *out, u32 max)
{
	static const struct {
		u16 port;
		u8 isa;
	} uarts[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
	u32 n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(uarts) && n < max; i++)
		if (x86_uart_present(uarts[i].port))
			out[n++] = x86_isa_device("ns16550a", uarts[i].port, 8, uarts[i].isa);
	if (n < max)
		out[n++] = x86_isa_device("mc146818", 0x70, 2, 8);
	return n;
}
