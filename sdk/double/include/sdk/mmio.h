#pragma once
/* sdk/mmio.h for host tests (their include path finds this one first): the device that the test
 * made answers, see sdk/double_virtio.h. */
#include <lib/endian.h>
#include <sdk/component.h>

u8 mmio_read8(u64 base, u32 offset);
u16 mmio_read16(u64 base, u32 offset);
u32 mmio_read32(u64 base, u32 offset);
u64 mmio_read64(u64 base, u32 offset);
void mmio_write8(u64 base, u32 offset, u8 value);
void mmio_write16(u64 base, u32 offset, u16 value);
void mmio_write32(u64 base, u32 offset, u32 value);
void mmio_write64(u64 base, u32 offset, u64 value);
static inline void sdk_dma_order(struct kabi_ctx *ctx)
{
	kernel_services_memory_barrier(ctx);
}
