/*
 * Where the log is shown. Two ways, each for its devices: the port's early console, synchronously
 * (the serial line, which terminals share through its driver: lines of the log appear between its
 * bytes); and a driver's line, for a device that only its driver reaches (hvc0). Theory of the log:
 * log.c.
 *
 * Vocabulary: line = the terminal that console=hvcN names, once its driver has attached.
 * Invariants: CON-I1 each record goes to the line once, in order, and whole; CON-I2 a record that
 *   finds no room waits in the log's ring, so a slow device delays nobody, and loses records only
 *   when the ring comes around. Locks: none of its own; only console_drain moves `next_record`, a
 *   deferred call never runs twice at a time, and in a panic the other CPUs stand.
 * Failure: before the line is there the early console shows what is logged, and the line all of it
 *   again. A panic goes by the driver's emergency_write; without one to the early console.
 * Replacement: nothing crosses. Cost: one deferred call for any number of records.
 */
#include <core/call.h>
#include <core/cmdline.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/log.h>
#include <core/log_ring.h>
#include <core/tty.h>
#include <lib/fmt.h>
#include <lib/string.h>

static struct tty *line; /* READ_ONCE; a reference, for ever */
static struct deferred drain = {.op = DEFERRED_CONSOLE, .link = LIST_INIT(drain.link)};
static u64 next_record;
static bool wants_room, late, panicking; /* READ_ONCE, WRITE_ONCE */

static bool same_name(const char *console, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(console, name, n) && (!console[n] || console[n] == ',');
}

static bool listed(const char *name)
{
	for (u32 i = 0; i < boot_parameters.nr_consoles; i++)
		if (same_name(boot_parameters.consoles[i], name))
			return true;
	return false;
}

/* Does console= name a device that the early console reaches? Without any it is the choice. */
static bool early_listed(void)
{
	for (u32 i = 0; i < boot_parameters.nr_consoles; i++)
		if (strncmp(boot_parameters.consoles[i], "hvc", 3))
			return true;
	return !boot_parameters.nr_consoles;
}

static bool line_has_emergency(void)
{
	const struct tty *t = READ_ONCE(line);

	return t && t->has_emergency;
}

static void emergency(const char *text, size_t bytes)
{
	size_t begin = 0;

	for (size_t i = 0; i < bytes; i++)
		if (text[i] == '\n') {
			tty_emergency_write(line, text + begin, (u32)(i - begin));
			tty_emergency_write(line, "\r\n", 2);
			begin = i + 1;
		}
	tty_emergency_write(line, text + begin, (u32)(bytes - begin));
}

void console_write(const char *text, size_t bytes)
{
	bool by_line = READ_ONCE(panicking) && line_has_emergency();

	if (by_line)
		emergency(text, bytes);
	if (early_listed() || !READ_ONCE(line) || (READ_ONCE(panicking) && !by_line))
		for (size_t i = 0; i < bytes; i++)
			arch_early_putc(text[i]); /* which returns the carriage itself */
}

/* A wake takes locks that are held with interrupts off: then the timer's interrupt does it. */
void console_kick(bool interrupts_off)
{
	if (!READ_ONCE(line) || READ_ONCE(panicking))
		return;
	if (interrupts_off)
		WRITE_ONCE(late, true);
	else
		deferred_queue(&drain);
}

void console_kick_late(void)
{
	if (likely(!READ_ONCE(late)))
		return;
	WRITE_ONCE(late, false);
	deferred_queue(&drain);
}

void console_room(const struct tty *t)
{
	if (READ_ONCE(wants_room) && t == READ_ONCE(line))
		deferred_queue(&drain);
}

void console_drain(struct tty *t)
{
	struct log_record r;
	char text[LOG_LINE_BYTES];
	u64 at = next_record;

	WRITE_ONCE(wants_room, true); /* before looking: room that comes now is told */
	while (log_read(&at, &r)) {
		if (r.on_console && !tty_put_line(t, text, log_line(&r, text, sizeof(text))))
			return;
		WRITE_ONCE(next_record, at);
	}
	WRITE_ONCE(wants_room, false);
}

bool console_behind(const struct tty *t)
{
	return t == READ_ONCE(line) && READ_ONCE(next_record) < log_next_number();
}

void console_attach(struct tty *t)
{
	if (line || strncmp(t->name, "hvc", 3) || !listed(t->name))
		return;
	object_get(&t->obj);
	drain.object = &t->obj;
	WRITE_ONCE(line, t);
	deferred_queue(&drain);
}

void console_panic(void)
{
	struct log_record r;
	char text[LOG_LINE_BYTES];

	WRITE_ONCE(panicking, true);
	if (!line_has_emergency())
		return;
	tty_emergency_rest(line);
	while (log_read(&next_record, &r))
		if (r.on_console)
			emergency(text, log_line(&r, text, sizeof(text)));
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

bool console_active(u32 n, char *name, size_t size)
{
	struct tty *t = nullptr, *last = tty_console();
	bool found = false;

	if (!last)
		return false;
	while (!found && (t = tty_next(t)))
		if (t->kind == TTY_PORT && t != last && listed(t->name) && n-- == 0) {
			strlcpy(name, t->name, size);
			found = true;
		}
	if (t)
		object_put(&t->obj);
	if (!found && n == 0) {
		strlcpy(name, last->name, size);
		found = true;
	}
	object_put(&last->obj);
	return found;
}
