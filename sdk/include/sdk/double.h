#pragma once
/*
 * Test double: the kernel as a component sees it, for host tests. Registers are an array, or
 * the test's own device; DMA memory comes from malloc; log lines are kept. A test makes one, calls
 * handlers with &double.ctx, and looks.
 */
#include <kabi/kernel_services.h>

#define SDK_DOUBLE_LOG_BYTES  4096
#define SDK_DOUBLE_DMA_BLOCKS 32
struct sdk_double {
	struct kabi_ctx ctx; /* first: services find the double by it */
	u8 registers[4096];  /* region 0, unless `region_address` says where it is */
	/* What device_read and device_write reach instead of `registers`, where reading and writing
	 * have effects. */
	u64 (*model_read)(struct sdk_double *d, u32 offset, u32 width);
	void (*model_write)(struct sdk_double *d, u32 offset, u32 width, u64 value);
	bool no_registers; /* device_read and device_write fail */
	u32 nr_accesses;   /* of registers */
	u8 config[256];    /* configuration space */
	u64 region_address, region_bytes;
	char log[SDK_DOUBLE_LOG_BYTES];
	u32 log_bytes;
	u64 now_ns;
	void *dma[SDK_DOUBLE_DMA_BLOCKS]; /* what dma_allocate gave; freed with the double, as core
					     does */
	u32 nr_dma, nr_irqs_enabled;
	u32 nr_vectors; /* irq_enable of a higher one: -ENOENT */
	u32 fail_after; /* services that can fail do so from this many calls on; UINT32_MAX: never
			 */
};
void sdk_double_init(struct sdk_double *d, const void *state, u32 state_bytes, u32 scratch_bytes,
	u32 answer_bytes);
/* Memory of lifetime `device`, zeroed; a crash is another call of it. */
void sdk_double_device_memory(struct sdk_double *d, u32 bytes);
/* One that is all zero, too. */
void sdk_double_destroy(struct sdk_double *d);
/* Before each call: a fresh frame, no needs. */
void sdk_double_call(struct sdk_double *d);
