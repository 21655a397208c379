/* serial's handlers as functions, against a 16550 that the test plays (PC16550D, section 8). */
#include "../../test/line_test.h"

#define FIFO_BYTES 16u

struct chip {
	u8 ier, lcr, mcr, scr, fcr, divisor_low, divisor_high;
	u8 fifo[FIFO_BYTES], errors[FIFO_BYTES]; /* received, and what the line said of each */
	u32 nr_received;
	u8 sent[8192];
	u32 nr_sent, nr_queued; /* queued: in the transmit FIFO */
	bool overrun, empty_pending;
	/* lies */
	bool absent, always_data, stuck;
	u8 forced_iir;
};
static struct chip chip;

/* --- the chip --- */
static u8 line_status(void)
{
	u8 lsr = (u8)(chip.nr_queued ? 0 : 0x60);

	if (chip.stuck)
		lsr = 0;
	if (chip.nr_received)
		lsr |= 0x01 | chip.errors[0];
	if (chip.always_data)
		lsr |= 0x01;
	lsr |= chip.overrun ? 0x02 : 0;
	return lsr;
}

static u8 cause(void)
{
	if (chip.forced_iir)
		return chip.forced_iir;
	if (chip.ier & 4 && line_status() & 0x1e)
		return 0xc6;
	if (chip.ier & 1 && (chip.nr_received || chip.always_data))
		return 0xc4;
	return chip.ier & 2 && chip.empty_pending ? 0xc2 : 0xc1;
}

static u8 take_byte(void)
{
	u8 b = chip.fifo[0];

	if (chip.nr_received) {
		chip.nr_received--;
		memmove(chip.fifo, chip.fifo + 1, FIFO_BYTES - 1);
		memmove(chip.errors, chip.errors + 1, FIFO_BYTES - 1);
	}
	return b;
}

static u64 chip_read(struct sdk_double *o, u32 reg, u32 width)
{
	u8 v = 0;

	(void)o;
	CHECK_QUIET(width == 1 && reg < 8);
	if (chip.absent)
		return 0xff;
	switch (reg) {
	case 0:
		return chip.lcr & 0x80 ? chip.divisor_low : take_byte();
	case 1:
		return chip.lcr & 0x80 ? chip.divisor_high : chip.ier;
	case 2:
		v = cause();
		if ((v & 15) == 2)
			chip.empty_pending = false;
		return v;
	case 3:
		return chip.lcr;
	case 4:
		return chip.mcr;
	case 5:
		v = line_status();
		chip.overrun = false;
		if (chip.nr_received)
			chip.errors[0] = 0; /* reading acknowledges */
		return v;
	case 7:
		return chip.scr;
	default:
		return 0;
	}
}

static void control_fifos(u8 v)
{
	chip.fcr = v;
	if (v & 2)
		chip.nr_received = 0;
	if (v & 4)
		chip.nr_queued = 0;
}

static void chip_write(struct sdk_double *o, u32 reg, u32 width, u64 value)
{
	u8 v = (u8)value;

	(void)o;
	CHECK_QUIET(width == 1 && reg < 8 && value < 256);
	if (chip.absent)
		return;
	switch (reg) {
	case 0:
		if (chip.lcr & 0x80) {
			chip.divisor_low = v;
			return;
		}
		CHECK_QUIET(chip.nr_queued < FIFO_BYTES); /* more would be lost */
		chip.sent[chip.nr_sent++ % sizeof(chip.sent)] = v;
		chip.nr_queued++;
		chip.empty_pending = false;
		return;
	case 1:
		if (chip.lcr & 0x80) {
			chip.divisor_high = v;
			return;
		}
		if (v & ~chip.ier & 2 && !chip.nr_queued)
			chip.empty_pending = true; /* enabling it while empty is a cause */
		chip.ier = v;
		return;
	case 2:
		control_fifos(v);
		return;
	case 3:
		chip.lcr = v;
		return;
	case 4:
		chip.mcr = v;
		return;
	case 7:
		chip.scr = v;
		return;
	default:
		return;
	}
}

static void chip_sends_all(void)
{
	chip.nr_queued = 0;
	chip.empty_pending = true;
}

/* A byte comes over the line; `errors`: bits of the line status. */
static void chip_receives(u8 b, u8 errors)
{
	if (chip.nr_received == FIFO_BYTES) {
		chip.overrun = true;
		return;
	}
	chip.fifo[chip.nr_received] = b;
	chip.errors[chip.nr_received++] = errors;
}

/* --- the driver --- */
static void fresh(void)
{
	sdk_double_destroy(&d);
	sdk_double_init(&d, nullptr, 0, 4096, 0);
	d.model_read = chip_read;
	d.model_write = chip_write;
	chip = (struct chip){};
}

static void test_attach(void)
{
	CHECK(attach() == 0 && info.nr_ports == 1 && info.fifo_bytes == FIFO_BYTES &&
		info.features == CHAR_FEATURES_LINE_ERRORS);
	CHECK(chip.ier == 1 && chip.lcr == 3 && chip.mcr == 0x0b && chip.fcr == 7);
	CHECK(d.nr_irqs_enabled == 1 && cause() & 1); /* silent */
	CHECK(DRIVER->detach(CTX, 1) == 0 && !chip.ier && !d.nr_irqs_enabled);
	fresh();
	chip.absent = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENODEV && !d.nr_irqs_enabled);
	fresh();
	d.no_registers = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENODEV && !d.nr_irqs_enabled);
	fresh();
	d.nr_vectors = 0; /* no line */
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENOENT && !chip.ier);
	fresh();
	d.fail_after = 0;
	CHECK(DRIVER->attach(CTX, 1, &info) == -ENOSPC && !chip.ier && !d.nr_irqs_enabled);
	fresh(); /* as a crash in the middle of anything leaves the chip */
	chip.ier = 0x0f;
	chip.lcr = 0x9b;
	chip.divisor_low = 12;
	chip.divisor_high = 1;
	chip_receives('x', 0);
	memset(d.ctx.scratch, 0xff, 4096);
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && chip.ier == 1 && chip.lcr == 3 &&
		!chip.nr_received);
	CHECK(chip.divisor_low == 12 && chip.divisor_high == 1); /* the rate stays */
}

/* What the early console wrote is sent before the FIFOs are reset; a chip that never ends is not
 * waited for. */
static void test_attach_drains(void)
{
	fresh();
	chip.stuck = true;
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && d.now_ns >= 15000000 && d.now_ns < 100000000);
	CHECK(DRIVER->attach(CTX, 1, &info) == 0); /* again, as after a crash: the same */
	CHECK(chip.ier == 1 && chip.mcr == 0x0b && info.fifo_bytes == FIFO_BYTES);
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
				u8 lcr = (u8)(bits - 5) | (stop == 2 ? 4 : 0) |
					 (parity == CHAR_PARITY_ODD           ? 8
						 : parity == CHAR_PARITY_EVEN ? 24
									      : 0);

				good = good && DRIVER->configure(CTX, 1, 0, &c) == 0 &&
				       chip.lcr == lcr && chip.ier == 1 && chip.divisor_low == 12 &&
				       !chip.divisor_high;
			}
	CHECK(good);
	static const struct {
		u32 baud, divisor;
	} rates[] = {{115200, 1}, {57600, 2}, {300, 384}, {50, 2304}, {2, 57600}, {100000, 1}};

	for (u32 i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct char_config c = {rates[i].baud, 8, 1, CHAR_PARITY_NONE, 0};

		CHECK(DRIVER->configure(CTX, 1, 0, &c) == 0 &&
			(chip.divisor_low | chip.divisor_high << 8) == rates[i].divisor);
	}
	static const struct char_config refused[] = {{0, 8, 1, 0, 0}, {115201, 8, 1, 0, 0},
		{0xffffffff, 8, 1, 0, 0}, {1, 8, 1, 0, 0}, {9600, 4, 1, 0, 0}, {9600, 9, 1, 0, 0},
		{9600, 255, 1, 0, 0}, {9600, 8, 0, 0, 0}, {9600, 8, 3, 0, 0},
		{9600, 8, 1, (enum char_parity)3, 0}};
	u32 before = d.nr_accesses;

	for (u32 i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK(DRIVER->configure(CTX, 1, 0, &refused[i]) == -EINVAL);
	CHECK(d.nr_accesses == before); /* a refusal changes nothing */
}

/* Every byte that write took comes out once and in order; the chip is asked for an interrupt only
 * while core waits (SER-I1). */
static void test_output(void)
{
	u8 out[4000];
	u32 sent = 0, waited = 0;
	bool good = true;

	attach();
	CHECK(DRIVER->write(CTX, 1, 0, "x", 0) == 0 && !chip.nr_sent);
	for (u32 i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + i / 256);
	while (sent < sizeof(out)) {
		answer_t n = DRIVER->write(CTX, 1, 0, out + sent, sizeof(out) - sent);

		good = good && n >= 0 && n <= (answer_t)FIFO_BYTES;
		sent += (u32)n;
		if (n)
			continue;
		good = good && chip.ier == 3 && cause() & 1 && events() == 0;
		chip_sends_all();
		good = good && events() == CHAR_EVENTS_WRITABLE && chip.ier == 1 && cause() & 1;
		waited++;
	}
	CHECK(good && chip.nr_sent == sizeof(out) && !memcmp(chip.sent, out, sizeof(out)) &&
		waited > 200);
	/* The FIFO empties just before the interrupt is enabled: that is a cause, not a lost one.
	 */
	attach();
	CHECK(DRIVER->write(CTX, 1, 0, "abcdef", 6) == 6 && DRIVER->write(CTX, 1, 0, "g", 1) == 0);
	CHECK(DRIVER->write(CTX, 1, 0, "g", 1) == 0 && chip.ier == 3); /* asked again: the same */
	chip_sends_all();
	CHECK(DRIVER->write(CTX, 1, 0, "g", 1) == 1 && chip.nr_sent == 7);
}

static void test_input(void)
{
	attach();
	CHECK(events() == 0 && receive(100) == 0);
	for (const char *p = "hello"; *p; p++)
		chip_receives((u8)*p, 0);
	CHECK((events() & CHAR_EVENTS_READABLE) && (events() & CHAR_EVENTS_READABLE));
	CHECK(receive(0) == 0 && chip.nr_received == 5);
	CHECK(receive(2) == 2 && !memcmp(data, "he", 2) && data[2] == 0xee);
	CHECK(receive(100) == 3 && !memcmp(data, "llo", 3) && data[3] == 0xee);
	CHECK(receive(100) == 0 && events() == 0);
	for (u32 i = 0; i < 20; i++)
		chip_receives((u8)i, 0);
	CHECK(events() == (CHAR_EVENTS_READABLE | CHAR_EVENTS_WRITABLE));
	CHECK(receive(100) == 16 && data[15] == 15 && errors[0] == CHAR_ERROR_LOST && !errors[1]);
}

/* What the line said stays with its byte, whoever reads the line status before the byte. */
static void test_line_errors(void)
{
	static const u8 said[] = {0, 0x04, 0x08, 0x0c, 0x10, 0x1c, 0};
	static const u8 told[] = {0, CHAR_ERROR_PARITY, CHAR_ERROR_FRAME,
		CHAR_ERROR_PARITY | CHAR_ERROR_FRAME, CHAR_ERROR_LINE_BREAK, CHAR_ERROR_LINE_BREAK,
		0};

	for (u32 look = 0; look < 3; look++) {
		attach();
		for (u32 i = 0; i < sizeof(said); i++)
			chip_receives((u8)(0x40 + i), said[i]);
		for (u32 i = 0; i < sizeof(said); i++) {
			if (look == 1)
				CHECK_QUIET(events() & CHAR_EVENTS_READABLE);
			if (look == 2) /* a write looks too */
				CHECK_QUIET(DRIVER->write(CTX, 1, 0, "x", 1) >= 0);
			CHECK(receive(1) == 1 && errors[0] == told[i] &&
				data[0] == (told[i] & CHAR_ERROR_LINE_BREAK ? 0 : 0x40 + i));
		}
	}
	attach(); /* all at once */
	for (u32 i = 0; i < sizeof(said); i++)
		chip_receives((u8)i, said[i]);
	CHECK(receive(100) == sizeof(said) && !memcmp(errors, told, sizeof(told)) &&
		errors[sizeof(told)] == (enum char_error)0xee);
	chip_receives('a', 0);
	chip_receives('b', 0x04);
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, errors, 1) == 1 && data[0] == 'a' && !errors[0]);
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, errors, 0) == 0); /* no room to tell: not taken */
	CHECK(receive(2) == 1 && data[0] == 'b' && errors[0] == CHAR_ERROR_PARITY);
	chip_receives('x', 0x1c);
	chip.overrun = true;
	CHECK(receive(1) == 1 && errors[0] == (CHAR_ERROR_LINE_BREAK | CHAR_ERROR_LOST));
	CHECK(DRIVER->attach(CTX, 1, &info) == 0); /* nothing kept over a reset */
	chip_receives('y', 0);
	CHECK(receive(1) == 1 && data[0] == 'y' && !errors[0]);
}

static void test_break_sending(void)
{
	const struct char_config c = {9600, 7, 1, CHAR_PARITY_EVEN, 0};

	attach();
	CHECK(DRIVER->send_break(CTX, 1, 0, 1) == 0 && chip.lcr == 0x43);
	CHECK(DRIVER->send_break(CTX, 1, 0, 1) == 0 && chip.lcr == 0x43);
	CHECK(DRIVER->send_break(CTX, 1, 0, 0) == 0 && chip.lcr == 0x03);
	CHECK(DRIVER->configure(CTX, 1, 0, &c) == 0 && DRIVER->send_break(CTX, 1, 0, 1) == 0 &&
		chip.lcr == 0x5a);
	CHECK(DRIVER->send_break(CTX, 1, 0, 0) == 0 && chip.lcr == 0x1a);
}

static void test_lies(void)
{
	u32 before;

	attach(); /* without cause */
	CHECK(events() == 0 && events() == 0);
	chip.forced_iir = 0xcc; /* a time-out, and no byte */
	CHECK((events() & CHAR_EVENTS_READABLE) == 0 && receive(10) == 0);
	for (u32 iir = 0; iir < 256; iir++) {
		chip.forced_iir = (u8)iir;
		CHECK_QUIET(!(events() & ~(u32)CHAR_EVENTS_ALL));
	}
	attach();
	chip.always_data = true; /* no more is read than was asked for */
	before = d.nr_accesses;
	CHECK(receive(sizeof(data)) == sizeof(data) &&
		d.nr_accesses - before <= 2 * sizeof(data) + 1);
	attach();
	chip.stuck = true; /* never sends: no room, no spinning */
	before = d.nr_accesses;
	for (u32 i = 0; i < 100; i++)
		CHECK_QUIET(DRIVER->write(CTX, 1, 0, "abc", 3) == 0);
	CHECK(!chip.nr_sent && d.nr_accesses - before <= 110);
	attach();
	chip.absent = true; /* pulled out */
	CHECK(events() == 0 && receive(sizeof(data)) == 0);
	CHECK(DRIVER->write(CTX, 1, 0, "abc", 3) == 3); /* into the void, as a line nobody holds */
	CHECK(DRIVER->detach(CTX, 1) == 0);
	attach();
	d.no_registers = true;
	CHECK(events() == 0 && receive(sizeof(data)) == 0);
	CHECK(DRIVER->write(CTX, 1, 0, "abc", 3) == 3 && DRIVER->detach(CTX, 1) == 0);
}

/* A handler thrown away after its last step and made again: no byte twice, nothing stuck. */
static void test_again(void)
{
	attach();
	chip_receives('a', 0);
	CHECK((events() & CHAR_EVENTS_READABLE) && receive(8) == 1 && receive(8) == 0);
	CHECK(DRIVER->detach(CTX, 1) == 0);
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && d.nr_irqs_enabled == 1 && chip.ier == 1);
	chip_receives('b', 0);
	CHECK((events() & CHAR_EVENTS_READABLE) && receive(8) == 1 && data[0] == 'b');
}

int main(void)
{
	test_attach();
	test_attach_drains();
	test_configure();
	test_output();
	test_input();
	test_line_errors();
	test_break_sending();
	test_lies();
	test_again();
	CHECK(!DRIVER->size && !DRIVER->emergency_write && !DRIVER->unsent); /* as the contract's
										defaults */
	sdk_double_destroy(&d);
	TAP_END();
}
