#pragma once
/* PCI (core/device/pci.c): enumeration over ECAM, base addresses, MSI-X. PCI Express Base
 * Specification 5.0, chapter 7.
 *
 * Locks: none; a device's configuration is its component's, whose calls core/device does not let
 * overlap. Owns: windows, mapped regions and interrupts stay until the machine stops. */
#include <core/device.h>
/* Maps the configuration windows; then pci_probe scans the buses. Init thread, once each. */
void pci_boot_init(void);
void pci_probe(void);
/* Configuration space by address; ~0 where there is none. Any context after pci_boot_init. */
u32 pci_address_read(u16 segment, u8 bus, u8 devfn, u32 offset, u32 width);
void pci_address_write(u16 segment, u8 bus, u8 devfn, u32 offset, u32 width, u32 value);
/* Configuration space of d; width 1, 2, 4. ~0 when out of range. Any context. */
u32 pci_config_read(const struct device *d, u32 offset, u32 width);
void pci_config_write(const struct device *d, u32 offset, u32 width, u32 value);
/* Offset of the next capability `id` after `start` (0: first), 0 none. */
u32 pci_capability(const struct device *d, u32 id, u32 start);
/* Routes MSI-X entry `vector` to a new core interrupt. Interrupt number, or -ENOENT (no MSI-X),
 * -ENOSPC. Thread. */
int pci_msix_enable(struct device *d, u32 vector);
void pci_msix_disable(struct device *d, u32 vector); /* Thread. */
/* Memory decoding and bus mastering. Thread. */
void pci_enable(struct device *d, bool on);
/* Whether the function may drive its INTx line; off until its driver asks for it. Thread.
 */
void pci_intx_enable(struct device *d, bool on);
/* Maps region (BAR) n, once; nullptr: none. Thread. */
void *device_region_map(struct device *d, u32 n);
