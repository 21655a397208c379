/* pl011's handlers as functions, against a PL011 that the test plays (ARM DDI 0183, chapter 3). */
#include "../../test/line_test.h"

#define FIFO_BYTES 16u
#define INPUT_MASK 0x650u
#define LINE_8N1   0x70u

struct cell {
	u32 line, control, levels, mask, raw;
	u32 fifo[FIFO_BYTES]; /* received: the byte and the error bits of DR */
	u32 nr_received, nr_queued, nr_sent, nr_changed_while_on;
	u8 sent[8192];
	bool overrun;
	/* lies */
	bool absent, always_data, busy;
	u32 forced_status;
};
static struct cell cell;

/* --- the cell --- */
static u32 flags(void)
{
	u32 fr = cell.nr_queued == FIFO_BYTES ? 0x20 : 0;

	fr |= cell.nr_queued || cell.busy ? 0x08 : 0x80;
	if (!cell.nr_received && !cell.always_data)
		fr |= 0x10;
	return fr;
}

/* Levels at an eighth: two bytes; below it the time-out speaks. */
static u32 raw_status(void)
{
	u32 raw = cell.raw;

	if (cell.nr_received >= 2)
		raw |= 0x10;
	if (cell.nr_received)
		raw |= 0x40;
	return raw;
}

static u32 take_word(void)
{
	u32 w = cell.fifo[0] | (cell.overrun ? 0x800 : 0);

	cell.overrun = false;
	if (cell.nr_received) {
		cell.nr_received--;
		memmove(cell.fifo, cell.fifo + 1, sizeof(cell.fifo) - sizeof(cell.fifo[0]));
	}
	return w;
}

static u64 cell_read(struct sdk_double *o, u32 reg, u32 width)
{
	static const u8 id[] = {0x0d, 0xf0, 0x05, 0xb1};

	(void)o;
	CHECK_QUIET(width == 4 && !(reg & 3));
	if (cell.absent)
		return 0xffffffff;
	switch (reg) {
	case 0x00:
		return take_word();
	case 0x18:
		return flags();
	case 0x2c:
		return cell.line;
	case 0x30:
		return cell.control;
	case 0x40:
		return cell.forced_status ? cell.forced_status : (raw_status() & cell.mask);
	case 0xff0:
	case 0xff4:
	case 0xff8:
	case 0xffc:
		return id[(reg - 0xff0) / 4];
	default:
		return 0;
	}
}

static void line_control(u32 v)
{
	if (cell.control & 1)
		cell.nr_changed_while_on += (v ^ cell.line) & ~1u ? 1 : 0;
	if (!(v & 0x10))
		cell.nr_received = cell.nr_queued = 0;
	cell.line = v;
}

static void cell_write(struct sdk_double *o, u32 reg, u32 width, u64 value)
{
	u32 v = (u32)value;

	(void)o;
	CHECK_QUIET(width == 4 && !(reg & 3));
	if (cell.absent)
		return;
	switch (reg) {
	case 0x00:
		CHECK_QUIET(cell.nr_queued < FIFO_BYTES && cell.control & 1);
		cell.sent[cell.nr_sent++ % sizeof(cell.sent)] = (u8)v;
		cell.nr_queued++;
		return;
	case 0x2c:
		line_control(v);
		return;
	case 0x30:
		cell.control = v;
		return;
	case 0x34:
		cell.levels = v;
		return;
	case 0x38:
		cell.mask = v;
		return;
	case 0x44:
		cell.raw &= ~v;
		return;
	default:
		return;
	}
}

static void cell_sends_all(void)
{
	if (cell.nr_queued)
		cell.raw |= 0x20;
	cell.nr_queued = 0;
}

static void cell_receives(u32 word)
{
	if (cell.nr_received == FIFO_BYTES) {
		cell.overrun = true;
		cell.raw |= 0x400;
		return;
	}
	if (word & 0x400)
		cell.raw |= 0x200;
	cell.fifo[cell.nr_received++] = word;
}

/* --- the driver --- */
static void fresh(void)
{
	sdk_double_destroy(&d);
	sdk_double_init(&d, nullptr, 0, 4096, 0);
	d.model_read = cell_read;
	d.model_write = cell_write;
	cell = (struct cell){};
}

static void test_attach(void)
{
	CHECK(attach() == 0 && info.nr_ports == 1 && info.fifo_bytes == FIFO_BYTES &&
		info.features == CHAR_FEATURES_LINE_ERRORS);
	CHECK(cell.line == LINE_8N1 && cell.control == 0xf01 && cell.mask == INPUT_MASK &&
		!cell.levels && !cell.nr_changed_while_on);
	CHECK(d.nr_irqs_enabled == 1 && !(raw_status() & cell.mask));
	CHECK(DRIVER->detach(CTX, 1) == 0 && !cell.mask && !d.nr_irqs_enabled);
	fresh();
	cell.absent = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENODEV && !d.nr_irqs_enabled);
	fresh();
	d.no_registers = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENODEV && !d.nr_irqs_enabled);
	fresh();
	d.nr_vectors = 0;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENOENT && !cell.mask);
	fresh();
	d.fail_after = 0;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENOSPC && !cell.mask && !d.nr_irqs_enabled);
	fresh(); /* as a crash leaves it */
	cell.control = 0xf01;
	cell.mask = 0x7ff;
	cell.raw = 0x7ff;
	cell.line = 0x7f;
	cell_receives('x');
	cell.overrun = true;
	memset(d.ctx.scratch, 0xff, 4096);
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && cell.mask == INPUT_MASK &&
		cell.line == LINE_8N1 && !cell.raw && !cell.nr_received &&
		!cell.nr_changed_while_on);
	fresh(); /* never idle: not waited for */
	cell.busy = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && d.now_ns >= 15000000 && d.now_ns < 100000000);
}

static void test_configure(void)
{
	bool good = true;

	attach();
	for (u8 bits = 5; bits <= 8; bits++)
		for (u8 stop = 1; stop <= 2; stop++)
			for (u8 parity = 0; parity < 3; parity++) {
				struct char_config c = {9600, bits, stop, (enum char_parity)parity,
					0};
				u32 line = 0x10u | (bits - 5u) << 5 | (stop == 2 ? 8 : 0) |
					   (parity == CHAR_PARITY_ODD           ? 2
						   : parity == CHAR_PARITY_EVEN ? 6
										: 0);

				good = good && DRIVER->configure(CTX, 1, 0, &c) == 0 &&
				       cell.line == line && cell.control == 0xf01;
			}
	CHECK(good && !cell.nr_changed_while_on);
	static const struct char_config refused[] = {{0, 8, 1, 0, 0}, {9600, 4, 1, 0, 0},
		{9600, 9, 1, 0, 0}, {9600, 255, 1, 0, 0}, {9600, 8, 0, 0, 0}, {9600, 8, 3, 0, 0},
		{9600, 8, 1, (enum char_parity)3, 0}};
	u32 before = d.nr_accesses;

	for (u32 i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK(DRIVER->configure(CTX, 1, 0, &refused[i]) == -EINVAL);
	CHECK(d.nr_accesses == before);
	/* The same parameters again do not disturb the line. */
	struct char_config same = {115200, 8, 1, CHAR_PARITY_NONE, 0};

	CHECK(DRIVER->configure(CTX, 1, 0, &same) == 0);
	before = d.nr_accesses;
	CHECK(DRIVER->configure(CTX, 1, 0, &same) == 0 && d.nr_accesses == before);
}

static void test_output(void)
{
	u8 out[4000];
	u32 sent = 0, waited = 0;
	bool good = true;

	attach();
	CHECK(DRIVER->write(CTX, 1, 0, "x", 0) == 0 && !cell.nr_sent);
	for (u32 i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + i / 256);
	while (sent < sizeof(out)) {
		answer_t n = DRIVER->write(CTX, 1, 0, out + sent, sizeof(out) - sent);

		good = good && n >= 0;
		sent += (u32)n;
		if (n)
			continue;
		good = good && cell.mask == (INPUT_MASK | 0x20) && events() == 0;
		cell_sends_all();
		good = good && events() == CHAR_EVENTS_WRITABLE && cell.mask == INPUT_MASK &&
		       events() == 0;
		waited++;
	}
	CHECK(good && cell.nr_sent == sizeof(out) && !memcmp(cell.sent, out, sizeof(out)) &&
		waited > 200);
	/* Emptied between the look at the flags and the unmasking: the raw status has kept it. */
	attach();
	while (DRIVER->write(CTX, 1, 0, "x", 1) == 1)
		;
	CHECK(DRIVER->write(CTX, 1, 0, "x", 1) == 0 && cell.mask == (INPUT_MASK | 0x20));
	cell_sends_all();
	CHECK(events() == CHAR_EVENTS_WRITABLE && DRIVER->write(CTX, 1, 0, "x", 1) == 1);
}

static void test_input(void)
{
	attach();
	CHECK(events() == 0 && receive(100) == 0);
	cell_receives('h'); /* a single byte: the time-out */
	CHECK(events() == CHAR_EVENTS_READABLE && receive(100) == 1 && data[0] == 'h');
	for (const char *p = "ello"; *p; p++)
		cell_receives((u8)*p);
	CHECK(events() == CHAR_EVENTS_READABLE && events() == CHAR_EVENTS_READABLE);
	CHECK(receive(0) == 0 && cell.nr_received == 4);
	CHECK(receive(2) == 2 && !memcmp(data, "el", 2) && data[2] == 0xee);
	CHECK(receive(100) == 2 && !memcmp(data, "lo", 2) && data[2] == 0xee);
	CHECK(receive(100) == 0 && events() == 0);
	for (u32 i = 0; i < 20; i++)
		cell_receives(i);
	CHECK(events() == CHAR_EVENTS_READABLE);
	CHECK(receive(100) == 16 && data[15] == 15 && errors[0] == CHAR_ERROR_LOST && !errors[1] &&
		events() == 0);
}

static void test_break_sending(void)
{
	attach();
	CHECK(DRIVER->send_break(CTX, 1, 0, 1) == 0 && cell.line == (LINE_8N1 | 1));
	CHECK(DRIVER->send_break(CTX, 1, 0, 1) == 0 && cell.line == (LINE_8N1 | 1));
	CHECK(DRIVER->send_break(CTX, 1, 0, 0) == 0 && cell.line == LINE_8N1);
}

static void test_line_errors(void)
{
	static const u32 said[] = {0, 0x100, 0x200, 0x300, 0x400, 0x700, 0};
	static const u8 told[] = {0, CHAR_ERROR_FRAME, CHAR_ERROR_PARITY,
		CHAR_ERROR_PARITY | CHAR_ERROR_FRAME, CHAR_ERROR_LINE_BREAK, CHAR_ERROR_LINE_BREAK,
		0};

	attach();
	for (u32 i = 0; i < sizeof(told); i++)
		cell_receives(said[i] | (0x40 + i));
	CHECK(events() == CHAR_EVENTS_READABLE && !cell.raw);
	CHECK(receive(100) == sizeof(told) && !memcmp(errors, told, sizeof(told)) &&
		errors[sizeof(told)] == (enum char_error)0xee);
	for (u32 i = 0; i < sizeof(told); i++)
		CHECK_QUIET(data[i] == (told[i] & CHAR_ERROR_LINE_BREAK ? 0 : 0x40 + i));
	cell_receives('a');
	cell_receives('b' | 0x200);
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, errors, 1) == 1 && data[0] == 'a' && !errors[0]);
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, errors, 0) == 0);
	CHECK(receive(2) == 1 && data[0] == 'b' && errors[0] == CHAR_ERROR_PARITY);
	cell_receives(0x400);
	cell.overrun = true;
	CHECK(receive(1) == 1 && errors[0] == (CHAR_ERROR_LINE_BREAK | CHAR_ERROR_LOST));
}

static void test_lies(void)
{
	u32 before;

	attach();
	CHECK(events() == 0);
	for (u32 i = 0; i < 11; i++) { /* each cause alone, with nothing behind it */
		cell.forced_status = 1u << i;
		CHECK_QUIET(!(events() & ~(u32)CHAR_EVENTS_ALL));
		CHECK_QUIET(receive(10) == 0);
	}
	cell.forced_status = 0xfffff800; /* nothing that a PL011 says */
	CHECK(events() == 0);
	attach();
	cell.always_data = true;
	before = d.nr_accesses;
	CHECK(receive(sizeof(data)) == sizeof(data) &&
		d.nr_accesses - before <= 2 * sizeof(data) + 1);
	attach();
	cell.absent = true;
	CHECK(events() == 0 && receive(100) == 0 && DRIVER->write(CTX, 1, 0, "abc", 3) == 0);
	CHECK(DRIVER->detach(CTX, 1) == 0);
	attach();
	d.no_registers = true;
	CHECK(events() == 0 && receive(100) == 0 && DRIVER->write(CTX, 1, 0, "abc", 3) == 0);
	CHECK(DRIVER->send_break(CTX, 1, 0, 1) == 0 && DRIVER->detach(CTX, 1) == 0);
	attach(); /* after all that: attached anew it works */
	cell_receives('b');
	CHECK(events() == CHAR_EVENTS_READABLE && receive(8) == 1 && data[0] == 'b');
}

int main(void)
{
	test_attach();
	test_configure();
	test_output();
	test_input();
	test_break_sending();
	test_line_errors();
	test_lies();
	CHECK(!DRIVER->size && !DRIVER->emergency_write && !DRIVER->unsent);
	sdk_double_destroy(&d);
	TAP_END();
}
