#pragma once
/* What the tests of serial lines' drivers share: the driver's handlers called as core calls them,
 * on a device that the test plays. The includer defines fresh(): a new double and a device out of
 * its box. */
#include "../../../lib/test/tap.h"
#include <string.h>
#include <kabi/char_driver.h>
#include <sdk/double.h>

extern const struct char_driver_vtable kabi_vtable_char_driver;
#define DRIVER (&kabi_vtable_char_driver)
#define CTX    (&d.ctx)
static struct sdk_double d;
static struct char_info info;
static u8 data[4096];
static enum char_error errors[4096];

static void fresh(void);

static answer_t attach(void)
{
	fresh();
	memset(&info, 0xee, sizeof(info));
	return DRIVER->attach(CTX, 1, &info);
}

static u32 events(void)
{
	enum char_events e = (enum char_events)0xffffffff;

	CHECK_QUIET(DRIVER->interrupt(CTX, 1, 0, &e) == 0);
	return e;
}

static answer_t receive(u32 len)
{
	memset(data, 0xee, sizeof(data));
	memset(errors, 0xee, sizeof(errors));
	return DRIVER->read(CTX, 1, 0, data, len, errors, len);
}
