/*
 * Arm PrimeCell UART PL011 (ARM DDI 0183, chapter 3: registers).
 *
 * Purpose: bytes in and out. Objects: struct port in scratch memory (rebuilt by attach after a
 * crash).
 *
 * Invariants: PL011-I1 the transmit interrupt is enabled only while core waits for room, so an idle
 * port is silent.
 *
 * Locks: none, core serialises calls per device.
 *
 * Failure and recovery: attach resets the chip; bytes in its FIFOs at a crash are lost, as on a
 * reset line. Replacement: attach again.
 *
 * Cost: two register accesses per byte.
 */
#include <kabi/char_driver.h>
#include <sdk/component.h>
#include <sdk/line.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_COMPATIBLE("arm,pl011");

#define DR            0x00u
#define DR_FRAME      0x100u /* of the byte in the same word */
#define DR_PARITY     0x200u
#define DR_BREAK      0x400u
#define DR_OVERRUN    0x800u
#define FR            0x18u
#define LCRH          0x2cu
#define CR            0x30u
#define IFLS          0x34u
#define IMSC          0x38u
#define MIS           0x40u
#define ICR           0x44u
#define CELL_ID       0xff0u /* four registers, a byte each */
#define CELL_ID_VALUE 0xb105f00du
#define FR_BUSY       0x08u
#define FR_RX_EMPTY   0x10u
#define FR_TX_FULL    0x20u
#define LCRH_BREAK    0x01u
#define LCRH_PARITY   0x02u
#define LCRH_EVEN     0x04u
#define LCRH_TWO_STOP 0x08u
#define LCRH_FIFOS    0x10u
#define LCRH_8N1      0x60u
#define CR_ON         0x301u /* UARTEN, TXE, RXE */
#define CR_LINES      0xc00u /* DTR, RTS */
#define INT_RECEIVE   0x10u
#define INT_TRANSMIT  0x20u
#define INT_TIMEOUT   0x40u /* bytes below the level waited for 32 bit times */
#define INT_BREAK     0x200u
#define INT_OVERRUN   0x400u
#define INT_INPUT     (INT_RECEIVE | INT_TIMEOUT | INT_BREAK | INT_OVERRUN)
#define INT_ALL       0x7ffu
#define FIFO_BYTES    16u  /* of the oldest revision; newer ones have 32 */
#define DRAIN_TRIES   200u /* of DRAIN_NS: a FIFO at 9600 bits a second */
#define DRAIN_NS      100000u

struct port {
	u32 mask;
	u32 line;
};

static u32 get(struct kabi_ctx *ctx, handle_t device, u32 reg)
{
	u64 v = 0;

	/* As a bus without a device reads: FR says that there is nothing to read and no room. */
	if (kernel_services_device_read(ctx, device, 0, reg, 4, &v))
		return ~0u;
	return (u32)v;
}

static void set(struct kabi_ctx *ctx, handle_t device, u32 reg, u32 value)
{
	/* A register that cannot be written reads as absent too; the next read tells. */
	(void)kernel_services_device_write(ctx, device, 0, reg, 4, value);
}

static void enable(struct kabi_ctx *ctx, handle_t device, u32 mask)
{
	struct port *p = sdk_scratch(ctx, struct port);

	if (p->mask == mask)
		return;
	p->mask = mask;
	set(ctx, device, IMSC, mask);
}

static bool is_cell(struct kabi_ctx *ctx, handle_t device)
{
	u32 id = 0;

	for (u32 i = 0; i < 4; i++)
		id |= (get(ctx, device, CELL_ID + 4 * i) & 0xff) << 8 * i;
	return id == CELL_ID_VALUE;
}

/* Section 3.3.8: off while the line control changes, and what was being sent goes out before. */
static void stop(struct kabi_ctx *ctx, handle_t device)
{
	for (u32 i = 0; i < DRAIN_TRIES && get(ctx, device, FR) & FR_BUSY; i++)
		kernel_services_delay_ns(ctx, DRAIN_NS);
	set(ctx, device, CR, 0);
}

static answer_t pl011_attach(struct kabi_ctx *ctx, handle_t device, struct char_info *info)
{
	struct port *p = sdk_scratch(ctx, struct port);
	answer_t a;

	if (!is_cell(ctx, device))
		return -ENODEV;
	p->mask = 0;
	p->line = LCRH_8N1 | LCRH_FIFOS;
	set(ctx, device, IMSC, 0);
	stop(ctx, device);
	set(ctx, device, LCRH, 0);       /* empties the FIFOs */
	set(ctx, device, LCRH, p->line); /* the rate stays as firmware left it: the clock's
					    frequency is not known here */
	set(ctx, device, IFLS, 0);       /* interrupts at an eighth */
	set(ctx, device, ICR, INT_ALL);
	set(ctx, device, CR, CR_ON | CR_LINES);
	a = kernel_services_irq_enable(ctx, device, 0, 0);
	if (a)
		return a;
	enable(ctx, device, INT_INPUT);
	*info = (struct char_info){.features = CHAR_FEATURES_LINE_ERRORS,
		.nr_ports = 1,
		.fifo_bytes = FIFO_BYTES};
	return 0;
}

static answer_t pl011_detach(struct kabi_ctx *ctx, handle_t device)
{
	enable(ctx, device, 0);
	return kernel_services_irq_disable(ctx, device, 0);
}

static answer_t pl011_configure(struct kabi_ctx *ctx, handle_t device, u32 port,
	const struct char_config *config)
{
	struct port *p = sdk_scratch(ctx, struct port);
	u32 line;

	if (!config->baud || config->data_bits < 5 || config->data_bits > 8 ||
		config->stop_bits < 1 || config->stop_bits > 2 || config->parity > CHAR_PARITY_EVEN)
		return -EINVAL;
	line = LCRH_FIFOS | (config->data_bits - 5u) << 5 |
	       (config->stop_bits == 2 ? LCRH_TWO_STOP : 0);
	if (config->parity != CHAR_PARITY_NONE)
		line |= config->parity == CHAR_PARITY_EVEN ? LCRH_PARITY | LCRH_EVEN : LCRH_PARITY;
	if (line == p->line)
		return 0;
	stop(ctx, device);
	set(ctx, device, LCRH, line);
	set(ctx, device, CR, CR_ON | CR_LINES);
	p->line = line;
	return 0;
}

static answer_t pl011_write(struct kabi_ctx *ctx, handle_t device, u32 port, const void *data,
	u32 len)
{
	const u8 *p = data;
	u32 n = 0;

	while (n < len && !(get(ctx, device, FR) & FR_TX_FULL))
		set(ctx, device, DR, p[n++]);
	if (!n)
		enable(ctx, device, INT_INPUT | INT_TRANSMIT); /* tell core when there is room */
	return n;
}

static enum char_error error_of(u32 word)
{
	return sdk_line_error(word & DR_OVERRUN, word & DR_BREAK, word & DR_PARITY,
		word & DR_FRAME);
}

static answer_t pl011_read(struct kabi_ctx *ctx, handle_t device, u32 port, void *data, u32 len,
	enum char_error *errors, u32 nr_errors)
{
	u8 *p = data;
	u32 n = 0;

	while (n < len && n < nr_errors && !(get(ctx, device, FR) & FR_RX_EMPTY)) {
		u32 word = get(ctx, device, DR);

		errors[n] = error_of(word);
		p[n++] = word & DR_BREAK ? 0 : (u8)word;
	}
	return n;
}

static answer_t pl011_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue,
	enum char_events *events)
{
	u32 status = get(ctx, device, MIS), seen = 0;

	*events = (enum char_events)0;
	if (status & ~INT_ALL) /* reserved, read as zero: the device is not there any more */
		return 0;
	set(ctx, device, ICR, status & (INT_BREAK | INT_OVERRUN | INT_TRANSMIT));
	if (status & INT_INPUT) /* a break and an overrun stand with their bytes */
		seen |= CHAR_EVENTS_READABLE;
	if (status & INT_TRANSMIT) {
		enable(ctx, device,
			INT_INPUT); /* PL011-I1; a write that finds no room enables it again */
		seen |= CHAR_EVENTS_WRITABLE;
	}
	*events = (enum char_events)seen;
	return 0;
}

static answer_t pl011_send_break(struct kabi_ctx *ctx, handle_t device, u32 port, u8 on)
{
	struct port *p = sdk_scratch(ctx, struct port);

	set(ctx, device, LCRH, p->line | (on ? LCRH_BREAK : 0));
	return 0;
}

KABI_IMPLEMENT(char_driver, .attach = pl011_attach, .detach = pl011_detach,
	.configure = pl011_configure, .write = pl011_write, .read = pl011_read,
	.interrupt = pl011_interrupt, .send_break = pl011_send_break);
