/* pl031's handlers as functions, against the registers of the double (ARM DDI 0224, chapter 3). */
#include "../../../../lib/test/tap.h"
#include <string.h>
#include <kabi/rtc_driver.h>
#include <sdk/double.h>

extern const struct rtc_driver_vtable kabi_vtable_rtc_driver;
#define DRIVER (&kabi_vtable_rtc_driver)
#define CTX    (&d.ctx)
static struct sdk_double d;

static void clock_says(u32 seconds)
{
	for (u32 i = 0; i < 4; i++)
		d.registers[i] = (u8)(seconds >> 8 * i);
}

static u32 loaded(void)
{
	return d.registers[8] | (u32)d.registers[9] << 8 | (u32)d.registers[10] << 16 |
	       (u32)d.registers[11] << 24;
}

int main(void)
{
	static const u32 times[] = {1, 1700000000, 0x7fffffff, 0x80000000, 0xffffffff};
	s64 got = 0;

	sdk_double_init(&d, nullptr, 0, 64, 0);
	CHECK(DRIVER->attach(CTX, 1) == -ENODEV); /* never set */
	for (u32 i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		clock_says(times[i]);
		CHECK(DRIVER->attach(CTX, 1) == 0 && DRIVER->read_time(CTX, 1, &got) == 0 &&
			got == (s64)times[i]); /* unsigned: good until 2106 */
		CHECK(DRIVER->read_time(CTX, 1, &got) == 0 && got == (s64)times[i]);
		CHECK(DRIVER->set_time(CTX, 1, times[i]) == 0 && loaded() == times[i]);
		CHECK(DRIVER->set_time(CTX, 1, times[i]) == 0 && loaded() == times[i]);
	}
	CHECK(DRIVER->set_time(CTX, 1, 0) == 0 && loaded() == 0);
	CHECK(DRIVER->set_time(CTX, 1, 77) == 0);
	CHECK(DRIVER->set_time(CTX, 1, -1) == -EINVAL && loaded() == 77);
	CHECK(DRIVER->set_time(CTX, 1, 0x100000000) == -EINVAL && loaded() == 77);
	CHECK(DRIVER->set_time(CTX, 1, INT64_MIN) == -EINVAL && loaded() == 77);
	CHECK(DRIVER->set_time(CTX, 1, INT64_MAX) == -EINVAL && loaded() == 77);
	d.no_registers = true;
	got = 5;
	CHECK(DRIVER->read_time(CTX, 1, &got) == -EINVAL && got == 0);
	CHECK(DRIVER->attach(CTX, 1) == -EINVAL && DRIVER->set_time(CTX, 1, 5) == -EINVAL);
	CHECK(DRIVER->detach(CTX, 1) == 0);
	sdk_double_destroy(&d);
	TAP_END();
}
