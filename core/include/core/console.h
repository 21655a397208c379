#pragma once
/* Consoles (core/trace/console.c): where the kernel log is shown. Before a driver takes over,
 * arch_early_putc is the console. */
#include <lib/types.h>
/* A terminal line becomes the log's console (replaces the early one when it is the same device). */
struct tty;
void console_attach(struct tty *t);
/* Called by log: writes the text now (panic, early) or wakes the writer thread. */
void console_write(const char *text, size_t bytes);
void console_panic(void); /* from here on only the early console, synchronous */
/* console= of the command line, last one: "ttyS0", "ttyAMA0", "hvc0"; for /dev/console. */
const char *console_name(void);
