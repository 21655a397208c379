/*
 * Terminal lines: registry, ports, rings, output (tty.c), job control (job.c).
 *
 * Purpose: what must survive a swap of the discipline: lines with their bytes, settings and owners.
 *
 * Vocabulary: line = struct tty; raw ring = received bytes before the discipline; port = line of a
 * char_driver component; pty = line whose device is a program at the master end.
 *
 * Objects and lifetimes: a port's line lives as long as its component; a pty's as long as an open
 * description of either end.
 *
 * Invariants: TTY-I1 ring indices are free-running and used <= TTY_RING_BYTES; TTY-I2 bytes leave
 * `output` only once the device took them.
 *
 * Locks: line->obj.lock (LOCK_LEVEL_NODE); the component's mutex is taken before it, never inside.
 *
 * Failure and recovery: a driver that crashed takes no bytes; they stay in the ring. Replacement:
 * the tty module may go at any moment: raw bytes wait for the new one. Cost: one lock per chunk,
 * not per byte.
 */
#include <core/cmdline.h>
#include <core/component.h>
#include <core/console.h>
#include <core/log.h>
#include <core/time.h>
#include <core/tty.h>
#include <kabi/char_driver.h>
#include <kabi/slots.h>
#include <lib/bitmap.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define CHUNK_BYTES            256u
#define PTYS_MAX               4096u
#define UNIX98_PTY_SLAVE_MAJOR 136u

static struct spinlock ttys_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE + 3);
static struct list_node ttys = LIST_INIT(ttys);
static u32 nr_serial, nr_virtual;

/* Linux's tty_std_termios (tty_io.c's documented defaults: stty sane). */
const struct tty_termios tty_termios_default = {
	.iflag = TTY_ICRNL | TTY_IXON,
	.oflag = TTY_OPOST | TTY_ONLCR,
	.cflag = TTY_B38400 | TTY_CS8 | TTY_CREAD | TTY_HUPCL,
	.lflag = TTY_ISIG | TTY_ICANON | TTY_ECHO | TTY_ECHOE | TTY_ECHOK | TTY_ECHOCTL |
		 TTY_ECHOKE | TTY_IEXTEN,
	.cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},
	.ispeed = 38400,
	.ospeed = 38400,
};

static struct tty *tty_new(enum tty_kind kind, u32 rdev, const char *name)
{
	struct tty *t = kzalloc(sizeof(*t));

	if (!t)
		return nullptr;
	object_init(&t->obj, OBJECT_TTY, LOCK_LEVEL_NODE, &account_root);
	t->kind = kind;
	t->rdev = rdev;
	strlcpy(t->name, name, sizeof(t->name));
	t->termios = tty_termios_default;
	waitable_init(&t->wait);
	waitable_init(&t->master_wait);
	t->input =
		(struct deferred){.slot = SLOT(TTY), .op = DEFERRED_TTY_INPUT, .object = &t->obj};
	t->room =
		(struct deferred){.slot = SLOT(TTY), .op = DEFERRED_TTY_OUTPUT, .object = &t->obj};
	list_init(&t->input.link);
	list_init(&t->room.link);
	list_init(&t->all);
	return t;
}

static void tty_publish(struct tty *t)
{
	spin_lock(&ttys_lock);
	list_add_tail(&ttys, &t->all);
	spin_unlock(&ttys_lock);
}

static struct tty *find(enum tty_kind kind, u32 value, bool by_index)
{
	struct tty *t;

	spin_lock(&ttys_lock);
	list_for_each_entry (t, &ttys, all)
		if ((by_index ? t->kind == kind && t->index == value : t->rdev == value) &&
			object_get_live(&t->obj)) {
			spin_unlock(&ttys_lock);
			return t;
		}
	spin_unlock(&ttys_lock);
	return nullptr;
}

struct tty *tty_by_rdev(u32 rdev)
{
	return find(TTY_PORT, rdev, false);
}

struct tty *tty_pty_find(u32 index)
{
	return find(TTY_PTY, index, true);
}

struct tty *tty_next(struct tty *after)
{
	struct tty *next = nullptr;
	struct list_node *n;

	spin_lock(&ttys_lock);
	for (n = after ? after->all.next : ttys.next; n != &ttys && !next; n = n->next) {
		struct tty *t = list_entry(n, struct tty, all);

		if (object_get_live(&t->obj))
			next = t;
	}
	spin_unlock(&ttys_lock);
	if (after)
		object_put(&after->obj);
	return next;
}

struct tty *tty_console(void)
{
	const char *want = console_name();
	struct tty *t = nullptr, *first = nullptr;

	while ((t = tty_next(t))) {
		if (t->kind != TTY_PORT)
			continue;
		if (!strcmp(t->name, want)) {
			if (first)
				object_put(&first->obj);
			return t;
		}
		if (!first) {
			first = t;
			object_get(&first->obj);
		}
	}
	return first;
}

/* --- ptys --- */
struct tty *tty_pty_create(int *error)
{
	char name[16];
	struct tty *t, *o;
	u32 index = 0;

	t = tty_new(TTY_PTY, 0, "");
	*error = -ENOMEM;
	if (!t)
		return nullptr;
	spin_lock(&ttys_lock);
again:
	list_for_each_entry (o, &ttys, all)
		if (o->kind == TTY_PTY && o->index == index) {
			index++;
			goto again;
		}
	if (index < PTYS_MAX) {
		t->index = index;
		list_add_tail(&ttys, &t->all);
	}
	spin_unlock(&ttys_lock);
	if (index >= PTYS_MAX) {
		*error = -ENOSPC;
		object_put(&t->obj);
		return nullptr;
	}
	snprintf(name, sizeof(name), "pts/%u", index);
	strlcpy(t->name, name, sizeof(t->name));
	t->rdev = DEV_MAKE(UNIX98_PTY_SLAVE_MAJOR + (index >> 8), index & 0xff);
	t->master_open = true;
	t->locked = true; /* until unlockpt */
	return t;
}

void object_release_tty(struct object *o)
{
	struct tty *t = container_of(o, struct tty, obj);

	spin_lock(&ttys_lock);
	if (list_linked(&t->all))
		list_del(&t->all);
	spin_unlock(&ttys_lock);
	deferred_cancel(&t->input);
	deferred_cancel(&t->room);
	if (t->pgrp)
		pid_put(t->pgrp);
	if (t->session)
		pid_put(t->session);
	object_free(o);
}

/* --- ports --- */
void tty_set_winsize(struct tty *t, const struct tty_winsize *size)
{
	bool changed;

	spin_lock(&t->obj.lock);
	changed = memcmp(size, &t->winsize, sizeof(*size));
	t->winsize = *size;
	spin_unlock(&t->obj.lock);
	if (changed)
		tty_signal_foreground(t, SIGWINCH);
}

/* The terminal behind the port says its size. The component's lock is held. */
static void port_size(struct tty *t)
{
	struct component *co = t->component;
	struct char_size s = {};
	struct tty_winsize size;
	struct kabi_ctx ctx;

	component_ctx(co, &ctx);
	if (driver_call(co,
		    char_driver_size(co->slot, &ctx, component_device_handle(co), t->port, &s)))
		return;
	size = (struct tty_winsize){.rows = s.rows, .columns = s.columns};
	tty_set_winsize(t, &size);
}

static void port_add(struct component *co, const struct char_info *info, u32 port)
{
	bool serial = !strcmp(co->module->name, "serial"),
	     pl011 = !strcmp(co->module->name, "pl011");
	u32 n = serial || pl011 ? nr_serial++ : nr_virtual++;
	char name[16];
	struct device *d;
	struct tty *t;
	u32 rdev;

	/* Linux's Documentation/admin-guide/devices.txt: ttyS 4:64, ttyAMA 204:64, hvc 229:0 */
	if (serial || pl011) {
		snprintf(name, sizeof(name), serial ? "ttyS%u" : "ttyAMA%u", n);
		rdev = DEV_MAKE(serial ? 4 : 204, 64 + n);
	} else {
		snprintf(name, sizeof(name), "hvc%u", n);
		rdev = DEV_MAKE(229, n);
	}
	t = tty_new(TTY_PORT, rdev, name);
	d = t ? device_create(DEVICE_VIRTUAL, name, nullptr) : nullptr;
	if (!d) {
		if (t)
			object_put(&t->obj);
		return;
	}
	t->component = co;
	object_get(&co->obj);
	t->port = port;
	t->keeps_input = info->features & CHAR_FEATURES_KEEPS_INPUT;
	t->has_emergency = info->features & CHAR_FEATURES_EMERGENCY;
	t->line_errors = info->features & CHAR_FEATURES_LINE_ERRORS;
	if (info->features & CHAR_FEATURES_RESIZE)
		port_size(t);
	if (!co->class_data)
		co->class_data = t;
	tty_publish(t);
	d->node_mode = S_IFCHR | 0600;
	d->node_dev = rdev;
	strlcpy(d->node_name, name, sizeof(d->node_name));
	strlcpy(d->class_name, "tty", sizeof(d->class_name));
	device_add(d);
	object_put(&d->obj);
	console_attach(t);
}

void char_device_added(struct component *co, const struct char_info *info)
{
	for (u32 i = 0; i < MIN(info->nr_ports, (u16)16); i++)
		port_add(co, info, i);
}

static struct tty *port_find(struct component *co, u32 port)
{
	struct tty *t;

	spin_lock(&ttys_lock);
	list_for_each_entry (t, &ttys, all)
		if (t->kind == TTY_PORT && t->component == co && t->port == port &&
			object_get_live(&t->obj)) {
			spin_unlock(&ttys_lock);
			return t;
		}
	spin_unlock(&ttys_lock);
	return nullptr;
}

static void raw_put_locked(struct tty *t, u8 b, enum tty_said said)
{
	u32 at = ring_at(t->raw.tail, TTY_RING_BYTES);

	if (t->line_errors) {
		(said == TTY_SAID_BREAK ? bitmap_set : bitmap_clear)(t->raw_break, at);
		(said == TTY_SAID_ERROR ? bitmap_set : bitmap_clear)(t->raw_error, at);
	}
	tty_ring_put(&t->raw, b);
}

u8 tty_raw_take_locked(struct tty *t, enum tty_said *said)
{
	u32 at = ring_at(t->raw.head, TTY_RING_BYTES);

	*said = !t->line_errors                 ? TTY_SAID_NOTHING
		: bitmap_test(t->raw_break, at) ? TTY_SAID_BREAK
		: bitmap_test(t->raw_error, at) ? TTY_SAID_ERROR
						: TTY_SAID_NOTHING;
	return tty_ring_get(&t->raw);
}

void tty_receive(struct tty *t, const u8 *data, const enum tty_said *said, u32 len)
{
	spin_lock(&t->obj.lock);
	for (u32 i = 0; i < len && tty_ring_room(&t->raw);
		i++) /* what does not fit is lost, as on an overrun line */
		raw_put_locked(t, data[i], said ? said[i] : TTY_SAID_NOTHING);
	spin_unlock(&t->obj.lock);
	deferred_queue(&t->input);
}

/* Moves output to the driver. Locks: the component's mutex is held. */
static void push_locked(struct tty *t)
{
	struct component *co = t->component;
	bool moved = false;

	for (;;) {
		struct kabi_ctx ctx;
		u8 chunk[CHUNK_BYTES];
		u32 n = 0;
		answer_t a;

		spin_lock(&t->obj.lock);
		if (!t->output_stopped)
			while (n < sizeof(chunk) && t->output.head + n != t->output.tail) {
				chunk[n] =
					t->output.data[ring_at(t->output.head + n, TTY_RING_BYTES)];
				n++;
			}
		t->push_end = t->output.head + n;
		spin_unlock(&t->obj.lock);
		if (!n)
			break;
		component_ctx(co, &ctx);
		a = driver_call(co, char_driver_write(co->slot, &ctx, component_device_handle(co),
					    t->port, chunk, n));
		if (a <= 0)
			break;
		spin_lock(&t->obj.lock);
		t->output.head += MIN((u32)a, n); /* TTY-I2 */
		spin_unlock(&t->obj.lock);
		moved = true;
	}
	if (moved) {
		waitable_wake(&t->wait, EV_OUT | EV_WRNORM, 0);
		console_room(t);
	}
}

/* What a driver says of its line is a claim like any other: unknown bits say nothing. */
static u32 take_errors(const enum char_error *errors, enum tty_said *said, u32 len)
{
	u32 nr_lost = 0;

	for (u32 i = 0; i < len; i++) {
		said[i] = errors[i] & CHAR_ERROR_LINE_BREAK                    ? TTY_SAID_BREAK
			  : errors[i] & (CHAR_ERROR_PARITY | CHAR_ERROR_FRAME) ? TTY_SAID_ERROR
									       : TTY_SAID_NOTHING;
		nr_lost += errors[i] & CHAR_ERROR_LOST ? 1 : 0;
	}
	return nr_lost;
}

/* Told once a second at most, as Linux does. */
static void tell_lost(struct tty *t, u32 nr)
{
	ktime_t now = time_monotonic_ns();

	t->nr_lost += nr;
	if (!t->nr_lost || (t->lost_ns && now - t->lost_ns < NSEC_PER_SEC))
		return;
	log_warn("%s: %u input overrun(s)\n", t->name, t->nr_lost);
	t->nr_lost = 0;
	t->lost_ns = now;
}

/* Reads at one go: a device that never ends its input comes again by its next event. */
#define PULL_CHUNKS_MAX 64u

/* Fetches input. A device that keeps what is not read is read no further than there is room, and
 * again by tty_input_drained; the bytes of others are lost, as on an overrun line. Locks: the
 * component's mutex is held. */
static void pull_locked(struct tty *t)
{
	struct component *co = t->component;

	for (u32 i = 0; i < PULL_CHUNKS_MAX; i++) {
		enum char_error errors[CHUNK_BYTES];
		enum tty_said said[CHUNK_BYTES];
		struct kabi_ctx ctx;
		u8 chunk[CHUNK_BYTES];
		u32 n = sizeof(chunk);
		answer_t a;

		spin_lock(&t->obj.lock);
		if (t->keeps_input)
			n = MIN(n, tty_ring_room(&t->raw));
		t->input_waits = !n;
		spin_unlock(&t->obj.lock);
		if (!n)
			break;
		component_ctx(co, &ctx);
		a = driver_call(co, char_driver_read(co->slot, &ctx, component_device_handle(co),
					    t->port, chunk, n, errors, n));
		if (a <= 0)
			break;
		n = (u32)MIN(a, (answer_t)n);
		if (t->line_errors)
			tell_lost(t, take_errors(errors, said, n));
		tty_receive(t, chunk, t->line_errors ? said : nullptr, n);
	}
}

/* The driver is told what termios says. Locks: the component's mutex is held. */
static void configure_locked(struct tty *t)
{
	struct component *co = t->component;
	struct char_config config;
	struct kabi_ctx ctx;
	u32 c;

	spin_lock(&t->obj.lock);
	WRITE_ONCE(t->wants_configure, false);
	c = t->termios.cflag;
	config.baud = t->termios.ospeed;
	spin_unlock(&t->obj.lock);
	config.data_bits = (u8)(5 + (c & TTY_CSIZE) / (TTY_CSIZE / 3));
	config.stop_bits = c & TTY_CSTOPB ? 2 : 1;
	config.parity = !(c & TTY_PARENB) ? CHAR_PARITY_NONE
			: c & TTY_PARODD  ? CHAR_PARITY_ODD
					  : CHAR_PARITY_EVEN;
	config.hardware_flow = c & TTY_CRTSCTS ? 1 : 0;
	component_ctx(co, &ctx);
	/* What the device cannot do is not told to the program either: as on Linux it may look at
	 * the termios again. */
	(void)driver_call(co, char_driver_configure(co->slot, &ctx, component_device_handle(co),
				      t->port, &config));
}

void tty_configure(struct tty *t)
{
	WRITE_ONCE(t->wants_configure, true);
	tty_push(t);
}

/* WHY no analysis: trylock in a loop, which it cannot follow. Whoever holds the mutex may have
 * looked at the ring before our bytes came, so a failed try leaves the work to the deferred call.
 */
void tty_push(struct tty *t) __no_lock_analysis
{
	if (t->kind != TTY_PORT)
		return;
	if (!mutex_trylock(&t->component->lock)) {
		deferred_queue(&t->room);
		return;
	}
	if (READ_ONCE(t->wants_configure))
		configure_locked(t);
	push_locked(t);
	if (READ_ONCE(t->input_waits))
		pull_locked(t);
	mutex_unlock(&t->component->lock);
}

void tty_input_drained(struct tty *t)
{
	bool room;

	if (likely(!READ_ONCE(t->input_waits)))
		return;
	spin_lock(&t->obj.lock);
	room = t->input_waits && tty_ring_room(&t->raw) >= TTY_RING_BYTES / 2;
	spin_unlock(&t->obj.lock);
	if (room)
		deferred_queue(&t->room);
}

bool tty_put_line(struct tty *t, const char *text, u32 len)
{
	bool fits;

	spin_lock(&t->obj.lock);
	fits = tty_ring_room(&t->output) > len;
	for (u32 i = 0; fits && i + 1 < len; i++)
		tty_ring_put(&t->output, (u8)text[i]);
	if (fits) {
		tty_ring_put(&t->output, '\r');
		tty_ring_put(&t->output, '\n');
		t->column = t->canon_column = 0;
		t->log_end = t->output.tail;
	}
	spin_unlock(&t->obj.lock);
	tty_push(t);
	return fits;
}

/* `at` counts as kept when it lies among what waits. */
static u32 kept_until(const struct tty *t, u32 keep, u32 at)
{
	u32 bytes = at - t->output.head;

	return bytes <= tty_ring_used(&t->output) && bytes > keep - t->output.head ? at : keep;
}

void tty_drop_output_locked(struct tty *t)
{
	/* TTY-I2 takes what the driver is being given off the head afterwards. */
	u32 keep = kept_until(t, t->output.head, t->push_end);

	t->output.tail = kept_until(t, keep, t->log_end);
}

static bool port_flushed(struct tty *t)
{
	struct component *co = t->component;
	struct kabi_ctx ctx;
	answer_t unsent;
	bool empty;

	mutex_lock(&co->lock);
	push_locked(t);
	component_ctx(co, &ctx);
	unsent = driver_call(co,
		char_driver_unsent(co->slot, &ctx, component_device_handle(co), t->port));
	mutex_unlock(&co->lock);
	spin_lock(&t->obj.lock);
	empty = t->output_stopped || !tty_ring_used(&t->output);
	spin_unlock(&t->obj.lock);
	return empty && unsent <= 0 && !console_behind(t);
}

void tty_flush_all(void)
{
	struct tty *t = nullptr;

	while ((t = tty_next(t))) {
		ktime_t end = time_monotonic_ns() + NSEC_PER_SEC;

		while (t->kind == TTY_PORT && !port_flushed(t) && time_monotonic_ns() < end)
			wait_sleep(&t->wait, EV_OUT, waitable_seq(&t->wait),
				time_monotonic_ns() + NSEC_PER_MSEC, 0);
	}
}

/* No lock, no exclusion: the other CPUs stand, and the driver's method wants none. */
void tty_emergency_write(struct tty *t, const char *text, u32 len)
{
	struct component *co = t->component;
	struct kabi_ctx ctx;

	component_ctx(co, &ctx);
	if (driver_call(co, char_driver_emergency_write(co->slot, &ctx, component_device_handle(co),
				    t->port, text, len)) < 0)
		t->has_emergency = false; /* the early console shows the rest */
}

void tty_emergency_rest(struct tty *t)
{
	for (u32 left = MIN(tty_ring_used(&t->output), TTY_RING_BYTES); left; left--) {
		char byte = (char)tty_ring_get(&t->output);

		tty_emergency_write(t, &byte, 1);
	}
}

/* The component's lock is held by the caller (component_interrupt). */
void char_device_event(struct component *co, u32 port, u32 events)
{
	struct tty *t = port_find(co, port);

	if (!t)
		return;
	if (events & CHAR_EVENTS_READABLE)
		pull_locked(t);
	if (events & CHAR_EVENTS_WRITABLE)
		push_locked(t);
	if (events & CHAR_EVENTS_RESIZED)
		port_size(t);
	if (events & CHAR_EVENTS_HANGUP)
		tty_hang_up(t);
	object_put(&t->obj);
}

/* Fixed nodes: /dev/tty, /dev/console, /dev/ptmx. */
void tty_boot_init(void)
{
	static const struct {
		const char *name;
		u32 mode, minor;
	} nodes[] = {{"tty", 0666, 0}, {"console", 0600, 1}, {"ptmx", 0666, 2}};

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++) {
		struct device *d = device_create(DEVICE_VIRTUAL, nodes[i].name, nullptr);

		if (!d)
			return;
		d->node_mode = S_IFCHR | nodes[i].mode;
		d->node_dev = DEV_MAKE(5, nodes[i].minor);
		strlcpy(d->node_name, nodes[i].name, sizeof(d->node_name));
		strlcpy(d->class_name, "tty", sizeof(d->class_name));
		device_add(d);
		object_put(&d->obj);
	}
}
