/*
 * Arm PrimeCell real-time clock PL031 (ARM DDI 0224, chapter 3): a register that counts seconds
 * since 1970.
 *
 * Purpose: wall clock at boot, and setting it. Objects: none. Failure: a clock that reads 0 was
 * never set: -ENODEV. Cost: one register.
 */
#include <kabi/rtc_driver.h>
#include <sdk/component.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_COMPATIBLE("arm,pl031");

#define DR 0x0u
#define LR 0x8u

static answer_t rtc_read_time(struct kabi_ctx *ctx, handle_t device, s64 *seconds)
{
	u64 v = 0;
	answer_t a = kernel_services_device_read(ctx, device, 0, DR, 4, &v);

	*seconds = (s64)(u32)v;
	return a;
}

static answer_t rtc_attach(struct kabi_ctx *ctx, handle_t device)
{
	s64 seconds;
	answer_t a = rtc_read_time(ctx, device, &seconds);

	return a ? a : seconds ? 0 : -ENODEV;
}

static answer_t rtc_detach(struct kabi_ctx *ctx, handle_t device)
{
	return 0;
}

static answer_t rtc_set_time(struct kabi_ctx *ctx, handle_t device, s64 seconds)
{
	if (seconds < 0 || seconds > UINT32_MAX)
		return -EINVAL;
	return kernel_services_device_write(ctx, device, 0, LR, 4, (u32)seconds);
}

KABI_IMPLEMENT(rtc_driver, .attach = rtc_attach, .detach = rtc_detach, .read_time = rtc_read_time,
	.set_time = rtc_set_time);
