/* Where the log is shown: the port's early console, synchronously. Terminals share the device
 * through the serial driver, which writes under its own lock; lines of the log appear between its
 * bytes. Theory in log.c. */
#include <core/cmdline.h>
#include <core/console.h>
#include <core/log.h>
#include <core/cpu.h>
#include <lib/string.h>

void console_write(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			arch_early_putc('\r');
		arch_early_putc(text[i]);
	}
}

const char *console_name(void)
{
	static char name[16];
	const char *c = boot_parameters.console;

	if (!c)
		return "";
	for (u32 i = 0; i < sizeof(name) - 1 && c[i] && c[i] != ','; i++)
		name[i] = c[i];
	return name;
}
