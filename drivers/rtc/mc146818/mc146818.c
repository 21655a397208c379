/*
 * PC real-time clock: Motorola MC146818 (datasheet, address map and register A, B), reached through
 * index and data ports.
 *
 * Purpose: wall clock at boot. Objects: none. Failure: a clock that never leaves its update answers
 * -EAGAIN and core gives up; one whose battery was flat, or that holds no date, is not believed.
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
#define REG_D       0x0du
#define REG_CENTURY 0x32u /* as firmware keeps it on PCs */
#define A_UPDATING  0x80u
#define B_24_HOURS  0x02u
#define B_BINARY    0x04u
#define D_VALID     0x80u /* memory and time are: the battery held */
#define BAD         0xffu

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
	if (binary)
		return v;
	return (v & 15) > 9 || v > 0x99 ? BAD : (v & 15) + (v >> 4) * 10;
}

/* The hour of the day; BAD: the register holds none. */
static u32 decode_hour(u32 v, u32 b)
{
	u32 hour = decode(b & B_24_HOURS ? v : v & 0x7f, b & B_BINARY);

	if (b & B_24_HOURS)
		return hour;
	return hour < 1 || hour > 12 ? BAD : hour % 12 + (v & 0x80 ? 12 : 0);
}

static u32 days_of_month(s64 year, u32 month)
{
	bool leap = !(year % 4) && (year % 100 || !(year % 400));

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
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
	if (get(ctx, device, REG_B) == 0xff)
		return -ENODEV;
	return get(ctx, device, REG_D) & D_VALID ? 0 : -ENODEV;
}

static answer_t rtc_detach(struct kabi_ctx *ctx, handle_t device)
{
	return 0;
}

struct reading {
	u32 second, minute, hour, day, month, year, century;
};

/* False: the clock was updating; the registers may be of two seconds. */
static bool take_reading(struct kabi_ctx *ctx, handle_t device, struct reading *r)
{
	if (get(ctx, device, REG_A) & A_UPDATING)
		return false;
	r->second = get(ctx, device, REG_SECONDS);
	r->minute = get(ctx, device, REG_MINUTES);
	r->hour = get(ctx, device, REG_HOURS);
	r->day = get(ctx, device, REG_DAY);
	r->month = get(ctx, device, REG_MONTH);
	r->year = get(ctx, device, REG_YEAR);
	r->century = get(ctx, device, REG_CENTURY);
	return get(ctx, device, REG_SECONDS) == r->second &&
	       !(get(ctx, device, REG_A) & A_UPDATING);
}

static answer_t rtc_read_time(struct kabi_ctx *ctx, handle_t device, s64 *seconds)
{
	u32 b = get(ctx, device, REG_B), second, minute, hour, day, month, century;
	bool binary = b & B_BINARY;
	struct reading r;
	s64 year;

	*seconds = 0;
	if (!take_reading(ctx, device, &r))
		return -EAGAIN;
	second = decode(r.second, binary);
	minute = decode(r.minute, binary);
	hour = decode_hour(r.hour, b);
	day = decode(r.day, binary);
	month = decode(r.month, binary);
	year = decode(r.year, binary);
	century = decode(r.century, binary);
	if (second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 || year > 99)
		return -EIO;
	year += century >= 19 && century <= 21 ? century * 100 : 2000;
	if (day < 1 || day > days_of_month(year, month))
		return -EIO;
	*seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return 0;
}

KABI_IMPLEMENT(rtc_driver, .attach = rtc_attach, .detach = rtc_detach, .read_time = rtc_read_time);
