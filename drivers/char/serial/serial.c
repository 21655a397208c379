/*
 * 16550 serial port.
 *
 * Purpose: bytes in and out of a UART compatible with National Semiconductor's PC16550D (datasheet,
 * section 8: registers).
 *
 * Objects: struct port in scratch memory (rebuilt by attach after a crash). Invariants: SER-I1 the
 * transmit-empty interrupt is enabled only while core waits for room, so an idle port is silent;
 * SER-I2 the line status is read only where what it says is kept: reading clears it.
 * Locks: none, core serialises calls per device.
 *
 * Failure and recovery: attach resets the chip; bytes in its FIFOs at a crash are lost, as on a
 * reset line. Replacement: attach again.
 *
 * Cost: one register access per byte.
 */
#include <kabi/char_driver.h>
#include <sdk/component.h>
#include <sdk/line.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_COMPATIBLE("ns16550a");

#define DATA             0u /* receive / transmit; divisor low with DLAB */
#define IER              1u /* interrupt enable; divisor high with DLAB */
#define IIR              2u /* interrupt identification (read), FIFO control (write) */
#define LCR              3u
#define MCR              4u
#define LSR              5u
#define MSR              6u
#define SCR              7u
#define IER_RECEIVE      0x01u
#define IER_TRANSMIT     0x02u
#define IIR_NONE         0x01u
#define FCR_ENABLE       0x01u
#define FCR_RESET        0x06u
#define LCR_8N1          0x03u
#define LCR_BREAK        0x40u
#define LCR_DLAB         0x80u
#define MCR_DTR_RTS_OUT2 0x0bu /* OUT2 gates the interrupt line on PCs */
#define LSR_DATA         0x01u
#define LSR_OVERRUN      0x02u
#define LSR_PARITY       0x04u /* of the byte that is read next, as FRAME and BREAK */
#define LSR_FRAME        0x08u
#define LSR_BREAK        0x10u
#define LSR_ERRORS       0x1eu
#define LSR_EMPTY        0x20u /* transmit holding register (FIFO) empty */
#define LSR_IDLE         0x40u /* and the shift register too */
#define LSR_ABSENT       0xffu /* a bus without a device reads so; no chip says all of it at once */
#define FIFO_BYTES       16u
#define BASE_BAUD        115200u
#define DIVISOR_MAX      0xffffu
#define DRAIN_TRIES      200u /* of DRAIN_NS: a FIFO at 9600 bits a second */
#define DRAIN_NS         100000u

struct port {
	u32 ier, lcr;
	u32 kept; /* LSR_ERRORS seen with no byte read yet (SER-I2) */
};

static u8 get(struct kabi_ctx *ctx, handle_t device, u32 reg)
{
	u64 v = 0xff;

	if (kernel_services_device_read(ctx, device, 0, reg, 1, &v))
		return 0xff;
	return (u8)v;
}

static void set(struct kabi_ctx *ctx, handle_t device, u32 reg, u32 value)
{
	/* A register that cannot be written reads as absent too; the next read tells. */
	(void)kernel_services_device_write(ctx, device, 0, reg, 1, value);
}

static u32 line_status(struct kabi_ctx *ctx, handle_t device)
{
	struct port *p = sdk_scratch(ctx, struct port);
	u32 lsr = get(ctx, device, LSR);

	if (lsr == LSR_ABSENT)
		return lsr;
	p->kept |= lsr & LSR_ERRORS;
	return lsr;
}

static void enable(struct kabi_ctx *ctx, handle_t device, u32 ier)
{
	struct port *p = sdk_scratch(ctx, struct port);

	if (p->ier == ier)
		return;
	p->ier = ier;
	set(ctx, device, IER, ier);
}

/* What the early console wrote goes out before the FIFOs are reset. */
static void drain(struct kabi_ctx *ctx, handle_t device)
{
	for (u32 i = 0; i < DRAIN_TRIES && !(get(ctx, device, LSR) & LSR_IDLE); i++)
		kernel_services_delay_ns(ctx, DRAIN_NS);
}

static answer_t serial_attach(struct kabi_ctx *ctx, handle_t device, struct char_info *info)
{
	struct port *p = sdk_scratch(ctx, struct port);
	answer_t a;

	set(ctx, device, SCR, 0x5a);
	if (get(ctx, device, SCR) != 0x5a) /* no chip answers */
		return -ENODEV;
	set(ctx, device, LCR, LCR_8N1); /* first: with DLAB, IER is the divisor */
	set(ctx, device, IER, 0);
	*p = (struct port){.lcr = LCR_8N1};
	drain(ctx, device);
	set(ctx, device, IIR, FCR_ENABLE | FCR_RESET);
	set(ctx, device, MCR, MCR_DTR_RTS_OUT2);
	a = kernel_services_irq_enable(ctx, device, 0, 0);
	if (a)
		return a;
	enable(ctx, device, IER_RECEIVE);
	*info = (struct char_info){.features = CHAR_FEATURES_LINE_ERRORS,
		.nr_ports = 1,
		.fifo_bytes = FIFO_BYTES};
	return 0;
}

static answer_t serial_detach(struct kabi_ctx *ctx, handle_t device)
{
	enable(ctx, device, 0);
	return kernel_services_irq_disable(ctx, device, 0);
}

static answer_t serial_configure(struct kabi_ctx *ctx, handle_t device, u32 port,
	const struct char_config *config)
{
	u32 lcr, divisor;

	if (!config->baud || config->baud > BASE_BAUD || BASE_BAUD / config->baud > DIVISOR_MAX ||
		config->data_bits < 5 || config->data_bits > 8 || config->stop_bits < 1 ||
		config->stop_bits > 2 || config->parity > CHAR_PARITY_EVEN)
		return -EINVAL;
	lcr = (config->data_bits - 5u) | (config->stop_bits == 2 ? 4u : 0u);
	if (config->parity != CHAR_PARITY_NONE)
		lcr |= config->parity == CHAR_PARITY_EVEN ? 0x18u : 0x08u;
	divisor = BASE_BAUD / config->baud;
	set(ctx, device, LCR, lcr | LCR_DLAB);
	set(ctx, device, DATA, divisor & 0xff);
	set(ctx, device, IER, divisor >> 8);
	set(ctx, device, LCR, lcr);
	sdk_scratch(ctx, struct port)->lcr = lcr;
	return 0;
}

static answer_t serial_write(struct kabi_ctx *ctx, handle_t device, u32 port, const void *data,
	u32 len)
{
	const u8 *p = data;
	u32 n = MIN(len, FIFO_BYTES);

	if (!(line_status(ctx, device) & LSR_EMPTY)) {
		enable(ctx, device, IER_RECEIVE | IER_TRANSMIT); /* tell core when there is room */
		return 0;
	}
	for (u32 i = 0; i < n; i++)
		set(ctx, device, DATA, p[i]);
	return n;
}

static enum char_error error_of(u32 lsr)
{
	return sdk_line_error(lsr & LSR_OVERRUN, lsr & LSR_BREAK, lsr & LSR_PARITY,
		lsr & LSR_FRAME);
}

static answer_t serial_read(struct kabi_ctx *ctx, handle_t device, u32 port, void *data, u32 len,
	enum char_error *errors, u32 nr_errors)
{
	struct port *p = sdk_scratch(ctx, struct port);
	u8 *to = data;
	u32 n = 0;

	while (n < len && n < nr_errors) {
		u32 lsr = line_status(ctx, device);

		if (lsr == LSR_ABSENT || !(lsr & LSR_DATA))
			break;
		errors[n] = error_of(p->kept);
		p->kept = 0;
		to[n] = get(ctx, device, DATA);
		if (errors[n] & CHAR_ERROR_LINE_BREAK)
			to[n] = 0;
		n++;
	}
	return n;
}

static answer_t serial_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue,
	enum char_events *events)
{
	u32 iir = get(ctx, device, IIR), lsr, seen = 0;

	*events = (enum char_events)0;
	/* A write that read LSR between the break and here took the interrupt's cause with it
	 * (16550 data sheet, LSR: reading clears the errors), not the byte. */
	if (iir & IIR_NONE && !sdk_scratch(ctx, struct port)->kept)
		return 0;
	lsr = line_status(ctx, device);
	if (lsr == LSR_ABSENT)
		return 0;
	if (lsr & LSR_DATA)
		seen |= CHAR_EVENTS_READABLE;
	if (lsr & LSR_EMPTY) {
		enable(ctx, device,
			IER_RECEIVE); /* SER-I1; a write that finds no room enables it again */
		seen |= CHAR_EVENTS_WRITABLE;
	}
	*events = (enum char_events)seen;
	return 0;
}

static answer_t serial_send_break(struct kabi_ctx *ctx, handle_t device, u32 port, u8 on)
{
	set(ctx, device, LCR, sdk_scratch(ctx, struct port)->lcr | (on ? LCR_BREAK : 0));
	return 0;
}

KABI_IMPLEMENT(char_driver, .attach = serial_attach, .detach = serial_detach,
	.configure = serial_configure, .write = serial_write, .read = serial_read,
	.interrupt = serial_interrupt, .send_break = serial_send_break);
