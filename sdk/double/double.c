/* The test double of sdk/double.h. Host only: uses the C library. */
#include <stdlib.h>
#include <string.h>
#include <sdk/double.h>

static struct sdk_double *double_of(struct kabi_ctx *ctx)
{
	return (struct sdk_double *)ctx;
}

static bool fails(struct kabi_ctx *ctx)
{
	struct sdk_double *d = double_of(ctx);

	if (d->fail_after == UINT32_MAX)
		return false;
	if (d->fail_after == 0)
		return true;
	d->fail_after--;
	return false;
}

/* Core refuses an access outside the device's region, or when a window cannot be made. */
static bool access_fails(struct kabi_ctx *ctx)
{
	double_of(ctx)->nr_accesses++;
	return double_of(ctx)->no_registers;
}

static void log_line(struct kabi_ctx *ctx, enum severity level, const void *text, u32 text_len)
{
	struct sdk_double *d = double_of(ctx);

	(void)level;
	if (text_len > SDK_DOUBLE_LOG_BYTES - 2 - d->log_bytes)
		return;
	memcpy(d->log + d->log_bytes, text, text_len);
	d->log_bytes += text_len;
	d->log[d->log_bytes++] = '\n';
	d->log[d->log_bytes] = '\0';
}

static answer_t device_region(struct kabi_ctx *ctx, handle_t device, u32 number,
	struct register_region *region)
{
	(void)device;
	if (number != 0 || fails(ctx))
		return -ENXIO;
	*region = (struct register_region){
		.address = double_of(ctx)->region_address ? double_of(ctx)->region_address
							  : (uintptr_t)double_of(ctx)->registers,
		.bytes = double_of(ctx)->region_address ? double_of(ctx)->region_bytes
							: sizeof(double_of(ctx)->registers),
		.space = REGISTER_SPACE_MEMORY,
	};
	return 0;
}

static bool access_ok(u32 number, u64 offset, u32 width)
{
	return number == 0 && (width == 1 || width == 2 || width == 4 || width == 8) &&
	       offset % width == 0 && offset <= 4096 - width;
}

static answer_t device_read(struct kabi_ctx *ctx, handle_t device, u32 number, u64 offset,
	u32 width, u64 *value)
{
	(void)device;
	if (!access_ok(number, offset, width) || access_fails(ctx))
		return -EINVAL;
	if (double_of(ctx)->model_read) {
		*value = double_of(ctx)->model_read(double_of(ctx), (u32)offset, width);
		return 0;
	}
	*value = 0;
	for (u32 i = 0; i < width; i++)
		*value |= (u64)double_of(ctx)->registers[offset + i] << 8 * i;
	return 0;
}

static answer_t device_write(struct kabi_ctx *ctx, handle_t device, u32 number, u64 offset,
	u32 width, u64 value)
{
	(void)device;
	if (!access_ok(number, offset, width) || access_fails(ctx))
		return -EINVAL;
	if (double_of(ctx)->model_write) {
		double_of(ctx)->model_write(double_of(ctx), (u32)offset, width, value);
		return 0;
	}
	for (u32 i = 0; i < width; i++)
		double_of(ctx)->registers[offset + i] = (u8)(value >> 8 * i);
	return 0;
}

static answer_t dma_allocate(struct kabi_ctx *ctx, handle_t device, u64 bytes, u64 alignment,
	struct dma_memory *memory)
{
	(void)device;
	if (fails(ctx))
		return -ENOMEM;
	alignment = alignment < 64 ? 64 : alignment;
	void *p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);

	u32 at = 0;

	while (at < SDK_DOUBLE_DMA_BLOCKS && double_of(ctx)->dma[at])
		at++;
	if (!p || at == SDK_DOUBLE_DMA_BLOCKS) {
		free(p);
		return -ENOMEM;
	}
	memset(p, 0, bytes);
	double_of(ctx)->dma[at] = p;
	double_of(ctx)->nr_dma++;
	*memory = (struct dma_memory){
		.address = (uintptr_t)p,
		.device_address = (uintptr_t)p,
		.bytes = bytes,
		.memory = (uintptr_t)p,
	};
	return 0;
}

static answer_t dma_free(struct kabi_ctx *ctx, handle_t device, handle_t memory)
{
	struct sdk_double *d = double_of(ctx);

	(void)device;
	for (u32 i = 0; i < SDK_DOUBLE_DMA_BLOCKS; i++)
		if (d->dma[i] && (uintptr_t)d->dma[i] == memory) {
			free(d->dma[i]);
			d->dma[i] = nullptr;
			d->nr_dma--;
			return 0;
		}
	return -EBADF;
}

static answer_t irq_enable(struct kabi_ctx *ctx, handle_t device, u32 vector, u32 queue)
{
	(void)device, (void)queue;
	if (vector >= double_of(ctx)->nr_vectors)
		return -ENOENT;
	if (fails(ctx))
		return -ENOSPC;
	double_of(ctx)->nr_irqs_enabled++;
	return 0;
}

static answer_t irq_disable(struct kabi_ctx *ctx, handle_t device, u32 vector)
{
	(void)device, (void)vector;
	double_of(ctx)->nr_irqs_enabled--;
	return 0;
}

static answer_t irq_done(struct kabi_ctx *ctx, handle_t device, u32 vector)
{
	(void)ctx, (void)device, (void)vector;
	return 0;
}

static answer_t pci_config_read(struct kabi_ctx *ctx, handle_t device, u32 offset, u32 width,
	u32 *value)
{
	(void)device;
	if ((width != 1 && width != 2 && width != 4) ||
		offset > sizeof(double_of(ctx)->config) - width)
		return -EINVAL;
	*value = 0;
	for (u32 i = 0; i < width; i++)
		*value |= (u32)double_of(ctx)->config[offset + i] << 8 * i;
	return 0;
}

static answer_t pci_config_write(struct kabi_ctx *ctx, handle_t device, u32 offset, u32 width,
	u32 value)
{
	(void)device;
	if ((width != 1 && width != 2 && width != 4) ||
		offset > sizeof(double_of(ctx)->config) - width)
		return -EINVAL;
	for (u32 i = 0; i < width; i++)
		double_of(ctx)->config[offset + i] = (u8)(value >> 8 * i);
	return 0;
}

/* PCI Local Bus 3.0, section 6.7: the list begins at 0x34; bounded, as a hostile one may be
 * circular. */
static answer_t pci_capability(struct kabi_ctx *ctx, handle_t device, u32 id, u32 start)
{
	const u8 *config = double_of(ctx)->config;
	u32 at = start ? config[(start + 1) & 255] : config[0x34];

	(void)device;
	for (u32 i = 0; i < 48 && at >= 0x40 && at < 256; i++, at = config[(at + 1) & 255])
		if (config[at] == id)
			return (answer_t)at;
	return 0;
}

static answer_t property_u32(struct kabi_ctx *ctx, handle_t device, const void *name, u32 name_len,
	u32 index, u32 *value)
{
	(void)ctx, (void)device, (void)name, (void)name_len, (void)index, (void)value;
	return -ENOENT;
}

static u64 time_ns(struct kabi_ctx *ctx)
{
	return double_of(ctx)->now_ns++;
}

static void random_bytes(struct kabi_ctx *ctx, void *buffer, u32 buffer_len)
{
	(void)ctx;
	for (u32 i = 0; i < buffer_len; i++)
		((u8 *)buffer)[i] = (u8)(i * 37 + 11); /* the same in every run, on purpose */
}

static void delay_ns(struct kabi_ctx *ctx, u32 duration)
{
	double_of(ctx)->now_ns += duration;
}

static void memory_barrier(struct kabi_ctx *ctx)
{
	(void)ctx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* WHY a fence: this is the service that stands for
						    one */
}

static u32 plant(struct kabi_ctx *ctx, enum plant_place place, u64 *memory)
{
	(void)ctx;
	(void)place;
	*memory = 0;
	return PLANTED_NONE;
}

static const struct kernel_services_vtable services = {
	.head = KABI_VTABLE_HEAD(kernel_services),
	.log = log_line,
	.device_region = device_region,
	.device_read = device_read,
	.device_write = device_write,
	.dma_allocate = dma_allocate,
	.dma_free = dma_free,
	.irq_enable = irq_enable,
	.irq_disable = irq_disable,
	.irq_done = irq_done,
	.pci_config_read = pci_config_read,
	.pci_config_write = pci_config_write,
	.pci_capability = pci_capability,
	.property_u32 = property_u32,
	.time_ns = time_ns,
	.random = random_bytes,
	.delay_ns = delay_ns,
	.memory_barrier = memory_barrier,
	.plant = plant,
};

void sdk_double_init(struct sdk_double *d, const void *state, u32 state_bytes, u32 scratch_bytes,
	u32 answer_bytes)
{
	*d = (struct sdk_double){.fail_after = UINT32_MAX, .nr_vectors = 8};
	d->ctx.size = sizeof(d->ctx);
	d->ctx.version = KABI_CTX_VERSION;
	d->ctx.services[KABI_SERVICES_KERNEL_SERVICES] = &services;
	d->ctx.instance = 1;
	d->ctx.state = state;
	d->ctx.state_bytes = state_bytes;
	d->ctx.scratch = calloc(1, scratch_bytes ? scratch_bytes : 1);
	d->ctx.scratch_bytes = scratch_bytes;
	d->ctx.answer = calloc(1, answer_bytes ? answer_bytes : 1);
	d->ctx.answer_bytes = answer_bytes;
}

void sdk_double_device_memory(struct sdk_double *d, u32 bytes)
{
	free(d->ctx.device);
	d->ctx.device = calloc(1, bytes);
	d->ctx.device_bytes = bytes;
}

void sdk_double_destroy(struct sdk_double *d)
{
	for (u32 i = 0; i < SDK_DOUBLE_DMA_BLOCKS; i++)
		free(d->dma[i]);
	free(d->ctx.device);
	free(d->ctx.scratch);
	free(d->ctx.answer);
}

void sdk_double_call(struct sdk_double *d)
{
	d->ctx.nr_needs = 0;
	d->ctx.frame = (struct kabi_frame){};
}
