/*
 * PC real-time clock: Motorola MC146818 (datasheet, address map and register A, B), reached through
 * index and data ports.
 *
 * Purpose: wall clock at boot. Objects: none. Failure: a clock that never leaves its update answers
 * -EAGAIN and core gives up.
 *
 * Cost: eight register pairs.
 */
#include <kabi/rtc_driver.h>
#include <sdk/component.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_COMPATIBLE("mc146818");

#define INDEX       0u
#define DATA        1u
#define REG_SECONDS 0x00u
#define REG_MINUTES 0x02u
#define REG_HOURS   0x04u
#define REG_DAY     0x07u
#define REG_MONTH   0x08u
#define REG_YEAR    0x09u
#define REG_A       0x0au
#define REG_B       0x0bu
#define REG_CENTURY 0x32u /* as firmware keeps it on PCs */
#define A_UPDATING  0x80u
#define B_24_HOURS  0x02u
#define B_BINARY    0x04u

static u32 get(struct kabi_ctx *ctx, handle_t device, u32 reg)
{
	u64 v = 0xff;

	if (kernel_services_device_write(ctx, device, 0, INDEX, 1, reg) ||
		kernel_services_device_read(ctx, device, 0, DATA, 1, &v))
		return 0xff;
	return (u32)v & 0xff;
}

static u32 decode(u32 v, bool binary)
{
	return binary ? v : (v & 15) + (v >> 4) * 10;
}

/* Days since 1970-01-01 of a Gregorian date. */
static s64 days(s64 year, u32 month, u32 day)
{
	s64 y = month <= 2 ? year - 1 : year, era = y / 400;
	s64 yoe = y - era * 400,
	    doy = (153 * (s64)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static answer_t rtc_attach(struct kabi_ctx *ctx, handle_t device)
{
	return get(ctx, device, REG_B) == 0xff ? -ENODEV : 0;
}

static answer_t rtc_detach(struct kabi_ctx *ctx, handle_t device)
{
	return 0;
}

static answer_t rtc_read_time(struct kabi_ctx *ctx, handle_t device, s64 *seconds)
{
	u32 b = get(ctx, device, REG_B), sec, min, hour, day, month, year, century;
	bool binary = b & B_BINARY, pm;

	if (get(ctx, device, REG_A) & A_UPDATING)
		return -EAGAIN;
	sec = get(ctx, device, REG_SECONDS);
	min = get(ctx, device, REG_MINUTES);
	hour = get(ctx, device, REG_HOURS);
	day = get(ctx, device, REG_DAY);
	month = get(ctx, device, REG_MONTH);
	year = get(ctx, device, REG_YEAR);
	century = decode(get(ctx, device, REG_CENTURY), binary);
	if (get(ctx, device, REG_SECONDS) != sec || get(ctx, device, REG_A) & A_UPDATING)
		return -EAGAIN;
	pm = !(b & B_24_HOURS) && hour & 0x80;
	hour = decode(hour & (b & B_24_HOURS ? 0xff : 0x7f), binary);
	if (!(b & B_24_HOURS))
		hour = hour % 12 + (pm ? 12 : 0);
	month = decode(month, binary);
	day = decode(day, binary);
	year = decode(year, binary) + (century >= 19 && century <= 21 ? century * 100 : 2000);
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return -EIO;
	*seconds = days(year, month, day) * 86400 + hour * 3600 + decode(min, binary) * 60 +
		   decode(sec, binary);
	return 0;
}

KABI_IMPLEMENT(rtc_driver, .attach = rtc_attach, .detach = rtc_detach, .read_time = rtc_read_time);
