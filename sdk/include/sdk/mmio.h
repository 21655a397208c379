#pragma once
/*
 * Device registers that a window shows (register_region.space memory). Values are in the CPU's
 * order; registers of PCI and virtio devices are little-endian. Accesses to registers are ordered
 * among themselves (device memory); sdk_dma_* orders them against memory shared with the device.
 */
#include <lib/endian.h>
#include <sdk/component.h>

static inline u8 mmio_read8(u64 base, u32 offset)
{
	return *(const volatile u8 *)(uintptr_t)(base + offset);
}
static inline u16 mmio_read16(u64 base, u32 offset)
{
	u16 raw = *(const volatile u16 *)(uintptr_t)(base + offset);

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap16(raw) : raw;
}
static inline u32 mmio_read32(u64 base, u32 offset)
{
	u32 raw = *(const volatile u32 *)(uintptr_t)(base + offset);

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(raw) : raw;
}
/* Two accesses: not every bus has a 64-bit one (virtio 1.2, section 4.1.3.1). */
static inline u64 mmio_read64(u64 base, u32 offset)
{
	return mmio_read32(base, offset) | (u64)mmio_read32(base, offset + 4) << 32;
}
static inline void mmio_write8(u64 base, u32 offset, u8 value)
{
	*(volatile u8 *)(uintptr_t)(base + offset) = value;
}
static inline void mmio_write16(u64 base, u32 offset, u16 value)
{
	*(volatile u16 *)(uintptr_t)(base + offset) =
		__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap16(value) : value;
}
static inline void mmio_write32(u64 base, u32 offset, u32 value)
{
	*(volatile u32 *)(uintptr_t)(base + offset) =
		__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(value) : value;
}
static inline void mmio_write64(u64 base, u32 offset, u64 value)
{
	mmio_write32(base, offset, (u32)value);
	mmio_write32(base, offset + 4, (u32)(value >> 32));
}
/* Between filling memory that the device reads and ringing its bell, and between seeing its index
 * and reading what it wrote. */
static inline void sdk_dma_order(struct kabi_ctx *ctx)
{
	kernel_services_memory_barrier(ctx);
}
