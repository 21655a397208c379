#pragma once
/* Interrupt controller glue. Core numbers interrupts (u32, from core/irq.c); arch routes lines and
 * messages to them.
 *
 * Context: any, unless said otherwise; core calls mask, unmask and unbind with interrupts off under
 * the interrupt's descriptor lock. Locks: the port's own, inside; it calls nothing of core under
 * it. Owns: an interrupt is bound until arch_irq_unbind. */
#include <lib/types.h>
struct arch_msi {
	u64 address;
	u32 data;
};
/* Binds core irq `irq` to a wired line (GSI on x86, SPI number on GIC). level/active-low as given.
 * -EINVAL, -ENOSPC. */
int arch_irq_bind_line(u32 irq, u32 line, bool level, bool active_low);
/* Allocates a message: what the device must write so that `irq` is dispatched on `cpu`. `device`:
 * segment << 16 | bus << 8 | devfn, since some controllers tell messages apart by who sends them.
 * -ENOSPC, -ENODEV. */
int arch_irq_bind_msi(u32 irq, u32 cpu, u32 device, struct arch_msi *out);
void arch_irq_unbind(u32 irq);
void arch_irq_mask(u32 irq);
void arch_irq_unmask(u32 irq);
/* Acknowledged by arch around irq_dispatch; level lines stay masked until arch_irq_unmask. */
/* PCI: ECAM windows found by firmware tables. Returns count. */
struct arch_pci_ecam {
	paddr_t base;
	u16 segment;
	u8 bus_first, bus_last;
	/* Where core assigns base addresses that no firmware has set; size 0: firmware sets them
	 * all. */
	paddr_t memory_base;
	u64 memory_bytes;
};
u32 arch_pci_ecam(struct arch_pci_ecam *out, u32 max);
struct arch_line {
	u32 line;
	bool level, active_low;
};
/* Line of a PCI function's INTx pin (1-4) when the platform tells; -ENOENT, also where only the
 * bridge above says. Thread. */
int arch_pci_intx_line(u16 segment, u8 bus, u8 device, u8 pin, struct arch_line *out);
/* Line of an interrupt number in ACPI's FADT; only where core/firmware has ACPI. */
void arch_firmware_line(u32 number, struct arch_line *out);
/* Fixed devices that no bus announces: serial ports, RTC. */
struct arch_platform_device {
	char compatible[32]; /* "ns16550a", "arm,pl011", "mc146818", "arm,pl031" */
	bool io_ports;       /* base is an I/O port number (x86) */
	paddr_t base;
	u64 size_bytes;
	u32 line; /* ~0u: none */
	bool line_level, line_active_low;
};
u32 arch_platform_devices(struct arch_platform_device *out, u32 max);
/* Device register access that is not memory mapped (x86 ports); other ports return ~0 / ignore. */
u32 arch_io_read(u16 port, u32 bytes);
void arch_io_write(u16 port, u32 bytes, u32 value);
