#pragma once
/* Consoles (core/trace/console.c): where the kernel log is shown, and which lines console= names.
 */
#include <lib/types.h>
struct tty;
/* A port's line appeared: it becomes the log's if console= names it and the early console cannot
 * reach its device. All that was logged before is shown on it. Context: thread. */
void console_attach(struct tty *t);
/* The log gives a part of a line: shown now by what can. Context: any, the log's lock held. */
void console_write(const char *text, size_t bytes);
/* A record is complete: the line gets it in a deferred call. Context: any; interrupts may be off.
 */
void console_kick(bool interrupts_off);
/* What console_kick put off; from the timer interrupt. */
void console_kick_late(void);
/* Moves records to the line (deferred call). */
void console_drain(struct tty *t);
/* The line has sent something: records that found no room may have it now. Context: thread. */
void console_room(const struct tty *t);
/* Does the line still wait for records? Context: any. */
bool console_behind(const struct tty *t);
/* From here on all is shown at once; what waits for the line first. Context: panic. */
void console_panic(void);
/* console= of the command line, last one: "ttyS0", "ttyAMA0", "hvc0"; for /dev/console. */
const char *console_name(void);
/* Name of console number n that is there, /dev/console's last; false: there are fewer. */
bool console_active(u32 n, char *name, size_t size);
