/* Ports without ACPI. */
#include <core/firmware.h>

void firmware_start(void)
{
}

void firmware_interrupt(struct deferred *d)
{
	(void)d;
}
