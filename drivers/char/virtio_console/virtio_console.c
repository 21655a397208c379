/*
 * Virtio console device (virtio 1.2, section 5.3), port 0 alone: VIRTIO_CONSOLE_F_MULTIPORT is not
 * negotiated, so the device has a receive and a transmit queue and no control messages.
 *
 * Purpose: bytes in and out, the size of the terminal behind it, single bytes in a panic.
 * Objects: struct console in `device` memory: two queues, SLOTS buffers for each; dropped by a
 *   crash. Vocabulary: slot = a buffer; arrived = a receive slot that the device has filled.
 * Invariants: VCON-I1 a slot is the device's or ours, never both: it is written by us only between
 *   virtqueue_take and virtqueue_add; VCON-I2 transmit interrupts are on only while core waits for
 *   room; VCON-I3 input that core does not read stays in its slots, and the device waits.
 * Locks: none, core serialises calls per device; emergency_write touches one register and no state.
 * Failure and recovery: a device that breaks a queue is reported once as hung up. Bytes in slots at
 *   a crash are lost, as on a reset line. Replacement: `device` memory moves, or attach starts
 * anew. Cost: one doorbell per write of at most SLOTS * SLOT_BYTES.
 */
#include <kabi/char_driver.h>
#include <sdk/virtio.h>

KABI_MODULE(1, "Apache-2.0");
KABI_MATCH_VIRTIO(3);

#define F_SIZE           (1ull << 0) /* section 5.3.3 */
#define F_EMERG_WRITE    (1ull << 2)
#define CONFIG_COLUMNS   0 /* section 5.3.4 */
#define CONFIG_ROWS      2
#define CONFIG_EMERGENCY 8
#define QUEUE_RECEIVE    0
#define QUEUE_TRANSMIT   1
#define EVENT_QUEUES     0
#define EVENT_CONFIG     1
#define SLOTS            16u
#define SLOT_BYTES       256u
#define SIZE_TRIES       8u

struct arrived {
	u32 slot, bytes;
};
struct console {
	struct virtio_device virtio;
	struct virtqueue receive, transmit;
	u64 receive_at, receive_device, transmit_at, transmit_device; /* slots */
	struct arrived arrived[SLOTS]; /* from `first` on, in order */
	u32 first, nr_arrived, offset; /* offset: read of the first */
	bool sending[SLOTS];
	bool wants_room, hung_up;
	bool has_size, has_emergency;
	struct char_size size;
};
KABI_MEMORY(.device_bytes = sizeof(struct console));

static struct virtio_buffer receive_buffer(const struct console *p, u32 slot)
{
	return (struct virtio_buffer){p->receive_device + (u64)slot * SLOT_BYTES, SLOT_BYTES, true};
}

/* Section 4.1.4.3.1: two fields are read between two equal generations. */
static struct char_size read_size(const struct console *p)
{
	struct char_size s = {};

	for (u32 i = 0; i < SIZE_TRIES; i++) {
		u8 before = mmio_read8(p->virtio.common, VIRTIO_GENERATION);

		s.columns = mmio_read16(p->virtio.config, CONFIG_COLUMNS);
		s.rows = mmio_read16(p->virtio.config, CONFIG_ROWS);
		if (mmio_read8(p->virtio.common, VIRTIO_GENERATION) == before)
			break;
	}
	return s;
}

static answer_t start_queues(struct kabi_ctx *ctx, handle_t device, struct console *p)
{
	struct virtio_device *v = &p->virtio;
	answer_t a = virtqueue_start(ctx, device, v, &p->receive, QUEUE_RECEIVE, EVENT_QUEUES);

	if (!a)
		a = virtqueue_start(ctx, device, v, &p->transmit, QUEUE_TRANSMIT, EVENT_QUEUES);
	if (!a && p->has_size)
		a = virtio_config_events(ctx, device, v, EVENT_CONFIG);
	if (a)
		return a;
	for (u32 i = 0; i < SLOTS; i++) {
		struct virtio_buffer b = receive_buffer(p, i);

		if (!virtqueue_add(&p->receive, &b, 1, i + 1))
			break; /* a smaller queue: fewer slots */
	}
	virtqueue_events(ctx, &p->transmit, false);
	virtio_ready(v);
	virtqueue_notify(ctx, &p->receive); /* section 3.1.1: no bell before it is ready */
	return 0;
}

static answer_t start_device(struct kabi_ctx *ctx, handle_t device, struct console *p)
{
	struct dma_memory m;
	answer_t a = virtio_begin(ctx, device, &p->virtio);

	if (!a)
		a = virtio_negotiate(&p->virtio, F_SIZE | F_EMERG_WRITE);
	if (!a)
		a = kernel_services_dma_allocate(ctx, device, (u64)2 * SLOTS * SLOT_BYTES, 4096,
			&m);
	if (a)
		return a;
	p->receive_at = m.address;
	p->receive_device = m.device_address;
	p->transmit_at = m.address + (u64)SLOTS * SLOT_BYTES;
	p->transmit_device = m.device_address + (u64)SLOTS * SLOT_BYTES;
	if (p->virtio.features & F_SIZE && p->virtio.config_bytes >= CONFIG_ROWS + 2)
		p->has_size = true;
	if (p->virtio.features & F_EMERG_WRITE && p->virtio.config_bytes >= CONFIG_EMERGENCY + 4)
		p->has_emergency = true;
	return start_queues(ctx, device, p);
}

static answer_t console_attach(struct kabi_ctx *ctx, handle_t device, struct char_info *info)
{
	struct console *p = sdk_device(ctx, struct console);
	u32 features = CHAR_FEATURES_KEEPS_INPUT;
	answer_t a;

	*p = (struct console){};
	a = start_device(ctx, device, p);
	if (a) {
		virtio_stop(ctx, device, &p->virtio);
		return a;
	}
	if (p->has_size) {
		p->size = read_size(p);
		features |= CHAR_FEATURES_RESIZE;
	}
	if (p->has_emergency)
		features |= CHAR_FEATURES_EMERGENCY;
	*info = (struct char_info){.features = (enum char_features)features,
		.nr_ports = 1,
		.fifo_bytes = SLOT_BYTES};
	return 0;
}

static answer_t console_detach(struct kabi_ctx *ctx, handle_t device)
{
	return virtio_stop(ctx, device, &sdk_device(ctx, struct console)->virtio);
}

/* --- output --- */
/* Slots that the device has finished with are ours again; how many. */
static u32 reclaim(struct console *p)
{
	u32 bytes, n = 0;
	u64 token;

	while ((token = virtqueue_take(&p->transmit, &bytes))) {
		p->sending[token - 1] = false;
		n++;
	}
	return n;
}

static bool send_some(struct console *p, const u8 *data, u32 len)
{
	struct virtio_buffer b;
	u32 slot = 0;

	while (slot < SLOTS && p->sending[slot])
		slot++;
	if (slot == SLOTS)
		return false;
	b = (struct virtio_buffer){p->transmit_device + (u64)slot * SLOT_BYTES, len, false};
	memcpy((u8 *)(uintptr_t)p->transmit_at + (size_t)slot * SLOT_BYTES, data, len);
	p->sending[slot] = virtqueue_add(&p->transmit, &b, 1, slot + 1);
	return p->sending[slot];
}

static u32 send(struct console *p, const u8 *data, u32 len)
{
	u32 n = 0;

	while (n < len) {
		u32 part = MIN(len - n, SLOT_BYTES);

		if (!send_some(p, data + n, part))
			break;
		n += part;
	}
	return n;
}

static answer_t console_write(struct kabi_ctx *ctx, handle_t device, u32 port, const void *data,
	u32 len)
{
	struct console *p = sdk_device(ctx, struct console);
	u32 n;

	reclaim(p);
	n = send(p, data, len);
	if (!n && len && !p->transmit.broken) {
		p->wants_room =
			true; /* VCON-I2; what finished before the flag was seen is seen now */
		virtqueue_events(ctx, &p->transmit, true);
		if (reclaim(p))
			n = send(p, data, len);
	}
	if (n)
		virtqueue_notify(ctx, &p->transmit);
	return n || !p->transmit.broken ? (answer_t)n : -EIO;
}

static answer_t console_unsent(struct kabi_ctx *ctx, handle_t device, u32 port)
{
	struct console *p = sdk_device(ctx, struct console);
	u32 n = 0;

	reclaim(p);
	for (u32 i = 0; i < SLOTS && !p->transmit.broken; i++)
		n += p->sending[i];
	return n;
}

static answer_t console_emergency_write(struct kabi_ctx *ctx, handle_t device, u32 port,
	const void *data, u32 len)
{
	const struct console *p = sdk_device(ctx, struct console);
	const u8 *bytes = data;

	if (!p->has_emergency)
		return -ENOSYS;
	for (u32 i = 0; i < len; i++) /* section 5.3.4: the low byte of each write */
		mmio_write32(p->virtio.config, CONFIG_EMERGENCY, bytes[i]);
	return len;
}

/* --- input --- */
/* Takes filled slots from the queue; how many have bytes. */
static u32 collect(struct console *p)
{
	u32 bytes, n = 0;
	u64 token;

	while (p->nr_arrived < SLOTS && (token = virtqueue_take(&p->receive, &bytes))) {
		struct virtio_buffer b = receive_buffer(p, (u32)token - 1);

		if (!bytes) { /* nothing in it: the device may have it again */
			virtqueue_add(&p->receive, &b, 1, token);
			continue;
		}
		p->arrived[(p->first + p->nr_arrived++) % SLOTS] =
			(struct arrived){(u32)token - 1, bytes};
		n++;
	}
	return n;
}

/* Copies from the first arrived slot; an empty one goes back to the device. */
static u32 read_first(struct console *p, u8 *to, u32 len)
{
	const struct arrived *a = &p->arrived[p->first];
	const u8 *from = (const u8 *)(uintptr_t)p->receive_at + (size_t)a->slot * SLOT_BYTES;
	u32 n = MIN(len, a->bytes - p->offset);

	memcpy(to, from + p->offset, n);
	p->offset += n;
	if (p->offset == a->bytes) {
		struct virtio_buffer b = receive_buffer(p, a->slot);

		virtqueue_add(&p->receive, &b, 1, (u64)a->slot + 1);
		p->offset = 0;
		p->first = (p->first + 1) % SLOTS;
		p->nr_arrived--;
	}
	return n;
}

static answer_t console_read(struct kabi_ctx *ctx, handle_t device, u32 port, void *data, u32 len,
	enum char_error *errors, u32 nr_errors)
{
	struct console *p = sdk_device(ctx, struct console);
	u32 n = 0, before;

	collect(p);
	before = p->nr_arrived;
	while (n < len && p->nr_arrived)
		n += read_first(p, (u8 *)data + n, len - n);
	if (p->nr_arrived != before && !p->receive.broken)
		virtqueue_notify(ctx, &p->receive);
	return n;
}

/* --- events --- */
static u32 transmit_events(struct kabi_ctx *ctx, struct console *p)
{
	if (!reclaim(p) || !p->wants_room)
		return 0;
	p->wants_room = false;
	virtqueue_events(ctx, &p->transmit, false);
	return CHAR_EVENTS_WRITABLE;
}

static u32 size_events(struct console *p)
{
	struct char_size now = read_size(p);

	if (now.columns == p->size.columns && now.rows == p->size.rows)
		return 0;
	p->size = now;
	return CHAR_EVENTS_RESIZED;
}

static answer_t console_interrupt(struct kabi_ctx *ctx, handle_t device, u32 queue,
	enum char_events *events)
{
	struct console *p = sdk_device(ctx, struct console);
	u8 cause = virtio_cause(&p->virtio);
	bool config_alone = p->virtio.vectors >> EVENT_CONFIG & 1;
	u32 seen = 0;

	/* A vector for all says nothing of the cause: then the size is compared every time. */
	if (p->has_size && (queue == EVENT_CONFIG || cause & VIRTIO_ISR_CONFIG ||
				   (p->virtio.msix && !config_alone)))
		seen |= size_events(p);
	if (collect(p))
		seen |= CHAR_EVENTS_READABLE;
	seen |= transmit_events(ctx, p);
	if ((p->receive.broken || p->transmit.broken) && !p->hung_up) {
		p->hung_up = true;
		sdk_log(ctx, SEVERITY_ERROR, "the device breaks its queues: hung up");
		seen |= CHAR_EVENTS_HANGUP;
	}
	*events = (enum char_events)seen;
	return 0;
}

static answer_t console_size(struct kabi_ctx *ctx, handle_t device, u32 port,
	struct char_size *size)
{
	const struct console *p = sdk_device(ctx, struct console);

	if (!p->has_size)
		return -ENOTTY;
	*size = p->size;
	return 0;
}

/* Bytes have no speed or parity here: any line parameters do. */
static answer_t console_configure(struct kabi_ctx *ctx, handle_t device, u32 port,
	const struct char_config *config)
{
	return 0;
}

KABI_IMPLEMENT(char_driver, .attach = console_attach, .detach = console_detach,
	.configure = console_configure, .write = console_write, .read = console_read,
	.interrupt = console_interrupt, .size = console_size,
	.emergency_write = console_emergency_write, .unsent = console_unsent);
