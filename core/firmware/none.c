/* Ports without ACPI. */
#include <core/firmware.h>

void firmware_start(void)
{
}

void firmware_crashed(struct arch_regs *regs, const char *what, vaddr_t addr)
{
	(void)regs;
	(void)what;
	(void)addr;
}

void firmware_interrupt(struct deferred *d)
{
	(void)d;
}
