/*
 * A whole component, to copy: a clock that reads its time from one register.
 *
 * Purpose: shows attach, a register access, an answer. Objects: scratch holds the register window
 * found by attach; a swap loses scratch, so attach runs again. Failure: a device without region 0
 * answers -ENODEV. Cost: one register read per call.
 */
#include <kabi/rtc_driver.h>
#include <sdk/component.h>
#include <sdk/mmio.h>

KABI_MODULE(1, "GPL-2.0-only");
KABI_MATCH_COMPATIBLE("umka,template-clock");

struct scratch {
	u64 registers;
};
KABI_MEMORY(.scratch_bytes = sizeof(struct scratch));

static answer_t attach(struct kabi_ctx *ctx, handle_t device)
{
	struct register_region region;
	answer_t a = kernel_services_device_region(ctx, device, 0, &region);

	if (a < 0 || region.space != REGISTER_SPACE_MEMORY || region.bytes < 4)
		return -ENODEV;
	sdk_scratch(ctx, struct scratch)->registers = region.address;
	sdk_log(ctx, SEVERITY_INFO, "clock of %u bytes", (u32)region.bytes);
	return 0;
}

static answer_t detach(struct kabi_ctx *ctx, handle_t device)
{
	(void)ctx;
	(void)device;
	return 0;
}

static answer_t read_time(struct kabi_ctx *ctx, handle_t device, s64 *seconds)
{
	(void)device;
	*seconds = mmio_read32(sdk_scratch(ctx, struct scratch)->registers, 0);
	return 0;
}

KABI_IMPLEMENT(rtc_driver, .attach = attach, .detach = detach, .read_time = read_time);
