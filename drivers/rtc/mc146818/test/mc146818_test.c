/* mc146818's handlers as functions, against a clock that the test plays. */
#include "../../../../lib/test/tap.h"
#include <string.h>
#include <time.h>
#include <kabi/rtc_driver.h>
#include <sdk/double.h>

extern const struct rtc_driver_vtable kabi_vtable_rtc_driver;
#define DRIVER (&kabi_vtable_rtc_driver)
#define CTX    (&d.ctx)
static struct sdk_double d;
static u8 ram[128];
static u8 at;
static u32 nr_reads, updates_at, ticks_at; /* at this read of DATA: lies */

static u64 clock_read(struct sdk_double *o, u32 reg, u32 width)
{
	(void)o;
	CHECK_QUIET(reg == 1 && width == 1);
	nr_reads++;
	if (nr_reads == ticks_at)
		ram[0]++;
	if (nr_reads == updates_at)
		ram[0x0a] |= 0x80;
	return ram[at & 127];
}

static void clock_write(struct sdk_double *o, u32 reg, u32 width, u64 value)
{
	(void)o;
	CHECK_QUIET(reg == 0 && width == 1); /* only the index: the clock is never changed */
	at = (u8)value;
}

static void fresh(void)
{
	sdk_double_destroy(&d);
	sdk_double_init(&d, nullptr, 0, 64, 0);
	d.model_read = clock_read;
	d.model_write = clock_write;
	memset(ram, 0, sizeof(ram));
	ram[0x0d] = 0x80;
	ram[0x0b] = 0x02;
	nr_reads = updates_at = ticks_at = 0;
}

static u8 bcd(u32 v)
{
	return (u8)(v / 10 << 4 | v % 10);
}

/* mode: bits of register B. */
static void set(u8 mode, s64 seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	u32 values[7], hour;
	static const u8 regs[7] = {0, 2, 4, 7, 8, 9, 0x32};

	gmtime_r(&t, &tm);
	hour = (u32)tm.tm_hour;
	values[0] = (u32)tm.tm_sec;
	values[1] = (u32)tm.tm_min;
	values[2] = mode & 2 ? hour : (hour % 12 ? hour % 12 : 12);
	values[3] = (u32)tm.tm_mday;
	values[4] = (u32)tm.tm_mon + 1;
	values[5] = (u32)(tm.tm_year % 100);
	values[6] = (u32)((tm.tm_year + 1900) / 100);
	for (u32 i = 0; i < 7; i++)
		ram[regs[i]] = mode & 4 ? (u8)values[i] : bcd(values[i]);
	if (!(mode & 2) && hour >= 12)
		ram[4] |= 0x80;
	ram[0x0b] = mode;
}

static answer_t read_time(s64 *seconds)
{
	*seconds = 0x5555;
	nr_reads = 0;
	return DRIVER->read_time(CTX, 1, seconds);
}

static void test_attach(void)
{
	fresh();
	CHECK(DRIVER->attach(CTX, 1) == 0 && DRIVER->attach(CTX, 1) == 0);
	CHECK(DRIVER->detach(CTX, 1) == 0);
	ram[0x0d] = 0; /* a flat battery */
	CHECK(DRIVER->attach(CTX, 1) == -ENODEV);
	memset(ram, 0xff, sizeof(ram)); /* nothing answers */
	CHECK(DRIVER->attach(CTX, 1) == -ENODEV);
	fresh();
	d.no_registers = true;
	CHECK(DRIVER->attach(CTX, 1) == -ENODEV);
	CHECK(!DRIVER->set_time); /* the contract's default: EROFS */
}

/* Every mode of the chip, over four centuries and each hour of a day, against libc. */
static void test_times(void)
{
	s64 got;
	bool good = true;

	fresh();
	for (u8 mode = 0; mode < 8; mode += 2)
		for (s64 t = -2208988800; t < 7258118400; t += 86400 * 3 + 3599) {
			set(mode, t);
			good = good && read_time(&got) == 0 && got == t;
			good = good && read_time(&got) == 0 && got == t; /* again: the same */
		}
	CHECK(good);
	for (s64 t = 951696000; t < 951696000 + 4 * 86400; t += 61) { /* end of February 2000 */
		set((u8)(t % 4 * 2), t);
		good = good && read_time(&got) == 0 && got == t;
	}
	CHECK(good);
	set(2, 1700000000);
	ram[0x32] = 0; /* no century kept: this one */
	CHECK(read_time(&got) == 0 && got == 1700000000);
	ram[0x32] = 0x99;
	CHECK(read_time(&got) == 0 && got == 1700000000);
}

/* A reading across an update is no reading. */
static void test_updates(void)
{
	s64 got;

	fresh();
	set(2, 1700000000);
	for (u32 n = 2; n <= 11; n++) {
		ram[0x0a] = 0;
		updates_at = n;
		CHECK_QUIET(read_time(&got) == -EAGAIN && got == 0);
	}
	ram[0x0a] = 0x80;
	CHECK(read_time(&got) == -EAGAIN);
	ram[0x0a] = 0;
	updates_at = 0;
	for (u32 n = 4; n <= 10; n++) { /* the second passes between two registers */
		set(2, 1700000000);
		ticks_at = n;
		CHECK_QUIET(read_time(&got) == -EAGAIN);
	}
	ticks_at = 0;
	CHECK(read_time(&got) == 0 && got == 1700000007 - 6);
}

/* Whatever the registers hold: a time that is one, or an error; and never both. */
static void test_lies(void)
{
	static const struct {
		u8 mode, reg, value;
	} lies[] = {{2, 0, 0x60}, {2, 0, 0x5a}, {2, 0, 0xff}, {2, 2, 0x60}, {2, 4, 0x24},
		{0, 4, 0x00}, {0, 4, 0x13}, {0, 4, 0x80}, {0, 4, 0xff}, {2, 7, 0x00}, {2, 7, 0x32},
		{2, 8, 0x00}, {2, 8, 0x13}, {2, 8, 0xff}, {2, 9, 0xa0}, {6, 9, 100}, {6, 0, 60},
		{6, 2, 60}, {6, 4, 24}, {6, 7, 32}, {6, 8, 13}, {4, 4, 0}, {4, 4, 13}};
	s64 got;
	u32 random = 1;
	bool good = true;

	fresh();
	for (u32 i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		set(lies[i].mode, 1700000000);
		ram[lies[i].reg] = lies[i].value;
		CHECK(read_time(&got) == -EIO && got == 0);
	}
	set(2, 1700000000);
	ram[8] = 2;
	ram[7] = 0x30; /* the 30th of February */
	CHECK(read_time(&got) == -EIO);
	ram[7] = 0x29; /* 2023 is no leap year */
	CHECK(read_time(&got) == -EIO);
	memset(ram, 0xff, sizeof(ram));
	CHECK(read_time(&got) == -EAGAIN);
	for (u32 i = 0; i < 300000; i++) {
		answer_t a;

		for (u32 k = 0; k < 11; k++) {
			random = random * 1664525 + 1013904223;
			ram[k == 10 ? 0x32 : k] = (u8)(random >> 24);
		}
		a = read_time(&got);
		good = good && (a == 0 || ((a == -EIO || a == -EAGAIN) && got == 0));
		good = good && (a || (got >= -2208988800 && got < 7258118400));
	}
	CHECK(good);
	d.no_registers = true;
	CHECK(read_time(&got) == -EAGAIN && got == 0);
}

int main(void)
{
	test_attach();
	test_times();
	test_updates();
	test_lies();
	sdk_double_destroy(&d);
	TAP_END();
}
