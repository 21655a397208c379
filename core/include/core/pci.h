#pragma once
/* PCI (core/device/pci.c): enumeration over ECAM, base addresses, MSI-X. PCI Express Base
 * Specification 5.0, chapter 7. */
#include <core/device.h>
void pci_probe(void);
/* Configuration space of d; width 1, 2, 4. ~0 when out of range. Any context. */
u32 pci_config_read(const struct device *d, u32 offset, u32 width);
void pci_config_write(const struct device *d, u32 offset, u32 width, u32 value);
/* Offset of the next capability `id` after `start` (0: first), 0 none. */
u32 pci_capability(const struct device *d, u32 id, u32 start);
/* Routes MSI-X entry `vector` to a new core interrupt. Interrupt number, or -ENOENT (no MSI-X),
 * -ENOSPC. Thread. */
int pci_msix_enable(struct device *d, u32 vector);
void pci_msix_disable(struct device *d, u32 vector);
/* Memory decoding and bus mastering. */
void pci_enable(struct device *d, bool on);
/* Maps region (BAR) n, once; nullptr: none. Thread. */
void *device_region_map(struct device *d, u32 n);
