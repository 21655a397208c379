/* virtio_console's handlers as functions, against a device that lies (sdk/double_virtio.h). */
#include "../../../../lib/test/tap.h"
#include <string.h>
#include <kabi/char_driver.h>
#include <sdk/double_virtio.h>

extern const struct char_driver_vtable kabi_vtable_char_driver;
#define DRIVER   (&kabi_vtable_char_driver)
#define CTX      (&d.kernel.ctx)
#define RECEIVE  0
#define TRANSMIT 1
static struct sdk_virtio d;
static struct char_info info;
static u8 data[8192];

static answer_t attach_with(u64 offered, u16 receive_size, u16 transmit_size)
{
	const u16 sizes[2] = {receive_size, transmit_size};

	sdk_virtio_destroy(&d);
	sdk_virtio_init(&d, offered, sizes, 2, 16384);
	d.config[0] = 80;
	d.config[2] = 25;
	return DRIVER->attach(CTX, 1, &info);
}

static answer_t attach(u16 size)
{
	return attach_with(7, size, size);
}

static u32 events(u32 queue)
{
	enum char_events e = 0;

	CHECK_QUIET(DRIVER->interrupt(CTX, 1, queue, &e) == 0);
	return e;
}

static void type(const char *text, u32 claimed)
{
	s32 head = sdk_virtio_next(&d, RECEIVE);

	CHECK_QUIET(head >= 0);
	memcpy(sdk_virtio_buffer(&d, RECEIVE, (u32)head), text, strlen(text));
	sdk_virtio_finish(&d, RECEIVE, (u32)head, claimed);
}

static void test_attach(void)
{
	CHECK(attach(64) == 0);
	CHECK(info.nr_ports == 1 &&
		info.features == (CHAR_FEATURES_RESIZE | CHAR_FEATURES_KEEPS_INPUT |
					 CHAR_FEATURES_EMERGENCY));
	CHECK(d.accepted == (VIRTIO_F_VERSION_1 | 5)); /* not multiport */
	CHECK(d.config_vector == 1 && d.queue[0].vector == 0 && d.queue[1].vector == 0);
	CHECK(d.queue[RECEIVE].nr_notifies == 1 && d.queue[TRANSMIT].nr_notifies == 0);
	CHECK(sdk_virtio_avail_flags(&d, TRANSMIT) == VRING_AVAIL_NO_INTERRUPT);
	CHECK(DRIVER->detach(CTX, 1) == 0 && !d.status && !d.kernel.nr_irqs_enabled);
	CHECK(attach_with(0, 64, 0) == -ENODEV && !d.status && !d.kernel.nr_irqs_enabled);
	CHECK(attach_with(0, 64, 64) == 0 && info.features == CHAR_FEATURES_KEEPS_INPUT);
	CHECK(DRIVER->emergency_write(CTX, 1, 0, "x", 1) == -ENOSYS && !d.config_writes);
	for (u32 n = 0; n < 6; n++) { /* each service fails in turn */
		attach(64);
		DRIVER->detach(CTX, 1);
		d.kernel.fail_after = n;
		CHECK(DRIVER->attach(CTX, 1, &info) < 0 && !d.kernel.nr_irqs_enabled);
	}
}

static void test_input(void)
{
	attach(64);
	CHECK(events(0) == 0 && DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 0);
	type("hello ", 6);
	type("world", 5);
	type("", 0); /* an empty buffer is no input */
	CHECK(events(0) == CHAR_EVENTS_READABLE && events(0) == 0);
	CHECK(DRIVER->read(CTX, 1, 0, data, 8, nullptr, 0) == 8 && !memcmp(data, "hello wo", 8));
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 3 && !memcmp(data, "rld", 3));
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 0);
	type("no more than the buffer", 0xffffffff);
	CHECK(DRIVER->read(CTX, 1, 0, data, sizeof(data), nullptr, 0) == 256);
	for (u32 i = 0; i < 16; i++)
		type("0123456789", 10);
	CHECK(sdk_virtio_next(&d, RECEIVE) == -1); /* the device has to wait for core */
	CHECK(events(0) == CHAR_EVENTS_READABLE);
	CHECK(DRIVER->read(CTX, 1, 0, data, sizeof(data), nullptr, 0) == 160 &&
		!memcmp(data + 150, "0123456789", 10));
	for (u32 i = 0; i < 16; i++)
		CHECK_QUIET(sdk_virtio_next(&d, RECEIVE) >= 0);
	CHECK(sdk_virtio_next(&d, RECEIVE) == -1);
}

/* Every byte that write took comes out once and in order, with queues of any size. */
static void test_output(u16 size)
{
	u32 sent = 0, got = 0, slots = size < 16 ? size : 16;
	bool good = true;

	attach_with(0, 8, size);
	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7 + i / 256);
	while (got < sizeof(data)) {
		u32 len = MIN((u32)sizeof(data) - sent, 300);
		answer_t n = DRIVER->write(CTX, 1, 0, data + sent, len);
		bool full = len && !n;
		s32 head;

		good = good && n >= 0;
		sent += (u32)n;
		if (n && sent < sizeof(data))
			continue;
		CHECK_QUIET(!full || sdk_virtio_avail_flags(&d, TRANSMIT) == 0);
		for (u32 k = 0; k < slots / 2 + 1; k++) {
			u32 bytes;

			head = sdk_virtio_next(&d, TRANSMIT);
			if (head < 0)
				break;
			bytes = le32_get(sdk_virtio_desc(&d, TRANSMIT, (u32)head)->bytes);
			good = good && !memcmp(sdk_virtio_buffer(&d, TRANSMIT, (u32)head),
					       data + got, bytes);
			got += bytes;
			sdk_virtio_finish(&d, TRANSMIT, (u32)head, 0);
		}
		good = good && events(0) == (full ? CHAR_EVENTS_WRITABLE : 0);
		good = good && sdk_virtio_avail_flags(&d, TRANSMIT) == VRING_AVAIL_NO_INTERRUPT;
	}
	CHECK(good && got == sizeof(data) && sent == got && events(0) == 0);
}

static void test_size(void)
{
	struct char_size s;

	attach(8);
	CHECK(DRIVER->size(CTX, 1, 0, &s) == 0 && s.columns == 80 && s.rows == 25);
	d.config[0] = 132;
	CHECK(events(0) == 0 && events(1) == CHAR_EVENTS_RESIZED && events(1) == 0);
	CHECK(DRIVER->size(CTX, 1, 0, &s) == 0 && s.columns == 132 && s.rows == 25);
	attach_with(6, 8, 8);
	CHECK(DRIVER->size(CTX, 1, 0, &s) == -ENOTTY && events(1) == 0);
	attach(8);
	DRIVER->detach(CTX, 1);
	d.kernel.nr_vectors = 1; /* the same vector for all */
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && d.config_vector == 0);
	d.config[2] = 50;
	CHECK(events(0) == CHAR_EVENTS_RESIZED);
	DRIVER->detach(CTX, 1);
	d.kernel.config[SDK_VIRTIO_CAP_MSIX + 3] = 0; /* a line */
	CHECK(DRIVER->attach(CTX, 1, &info) == 0);
	d.config[2] = 51;
	CHECK(events(0) == 0);
	d.cause = VIRTIO_ISR_CONFIG;
	CHECK(events(0) == CHAR_EVENTS_RESIZED && !d.cause);
}

static void test_unsent(void)
{
	attach(8);
	CHECK(DRIVER->unsent(CTX, 1, 0) == 0);
	DRIVER->write(CTX, 1, 0, "a", 1);
	DRIVER->write(CTX, 1, 0, "b", 1);
	CHECK(DRIVER->unsent(CTX, 1, 0) == 2);
	sdk_virtio_finish(&d, TRANSMIT, (u32)sdk_virtio_next(&d, TRANSMIT), 0);
	CHECK(DRIVER->unsent(CTX, 1, 0) == 1);
	sdk_virtio_finish(&d, TRANSMIT, 99, 0);
	CHECK(DRIVER->unsent(CTX, 1, 0) == 0); /* nobody waits for a device that lies */
}

static void test_emergency(void)
{
	attach(8);
	CHECK(DRIVER->emergency_write(CTX, 1, 0, "oops", 4) == 4);
	CHECK(d.config_writes == 4 && !memcmp(d.written, "oops", 4) && d.config_offset == 8 &&
		d.config_value == 's');
}

static void test_lies(void)
{
	for (u32 queue = 0; queue < 2; queue++) {
		attach(8);
		DRIVER->write(CTX, 1, 0, "abc", 3);
		sdk_virtio_finish(&d, queue, 4711, 3);
		CHECK(events(0) == CHAR_EVENTS_HANGUP && events(0) == 0); /* told once */
		CHECK(strstr(d.kernel.log, "hung up"));
		CHECK(DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 0);
		CHECK(queue == TRANSMIT ? DRIVER->write(CTX, 1, 0, "abc", 3) == -EIO
					: DRIVER->write(CTX, 1, 0, "abc", 3) == 3);
		CHECK(DRIVER->attach(CTX, 1, &info) == 0 && events(0) == 0); /* as after a crash */
	}
	attach(8);
	sdk_virtio_set_used_index(&d, RECEIVE, 9); /* more than there are buffers */
	CHECK(events(0) == CHAR_EVENTS_HANGUP);
	attach(8);
	DRIVER->write(CTX, 1, 0, "abc", 3);
	sdk_virtio_set_used_index(&d, TRANSMIT, 0xffff);
	CHECK(DRIVER->write(CTX, 1, 0, "abc", 3) == -EIO && events(0) == CHAR_EVENTS_HANGUP);
	attach(8);
	type("a", 1);
	sdk_virtio_finish(&d, RECEIVE, 0, 1); /* twice the same buffer */
	CHECK(events(0) == (CHAR_EVENTS_READABLE | CHAR_EVENTS_HANGUP));
	CHECK(DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 1 && data[0] == 'a');
}

static void test_refusals(void)
{
	for (u32 lie = 0; lie <= SDK_VIRTIO_REFUSALS; lie++) {
		attach(8);
		DRIVER->detach(CTX, 1);
		sdk_virtio_refuse(&d, (enum sdk_virtio_refusal)lie);
		if (lie == SDK_VIRTIO_REFUSALS)
			d.offered = 7;
		CHECK(DRIVER->attach(CTX, 1, &info) < 0 && !d.kernel.nr_irqs_enabled &&
			!d.nr_stray);
	}
	CHECK(attach_with(7, 0, 8) == -ENODEV && attach_with(7, 3, 100) == 0 &&
		d.queue[0].size == 2 && d.queue[1].size == 64);
	CHECK(attach_with(~0ull, 65535, 65535) == 0 && d.queue[0].size == 128 &&
		d.accepted == (VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | 5));
	d.kernel.config[SDK_VIRTIO_CAP_CONFIG + 12] = 3; /* no room for a size, or for a byte */
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && info.features == CHAR_FEATURES_KEEPS_INPUT);
}

static void test_used_index(void)
{
	for (u32 queue = 0; queue < 2; queue++) {
		u32 in_flight = queue == RECEIVE ? 8 : 1;

		for (u32 jump = in_flight + 1; jump < 65536; jump = jump * 2 + 1) {
			attach(8);
			DRIVER->write(CTX, 1, 0, "abc", 3);
			sdk_virtio_set_used_index(&d, queue, (u16)jump);
			CHECK_QUIET(events(0) == CHAR_EVENTS_HANGUP && events(0) == 0);
			CHECK_QUIET(DRIVER->read(CTX, 1, 0, data, 100, nullptr, 0) == 0);
		}
		for (u32 bit = 3; bit < 32; bit++) {
			attach(8);
			DRIVER->write(CTX, 1, 0, "abc", 3);
			sdk_virtio_finish(&d, queue, 1u << bit, 3);
			CHECK_QUIET(events(0) == CHAR_EVENTS_HANGUP);
		}
	}
}

/* A size that changes under every look at it, and interrupts that mean nothing. */
static void test_storm(void)
{
	struct char_size s;

	attach(8);
	for (u32 i = 0; i < 1000; i++)
		CHECK_QUIET(events(i % 4) == 0);
	for (u32 i = 0; i < 1000; i++) {
		d.generation++;
		d.config[0] = (u8)i;
		CHECK_QUIET(!(events(1) & ~(u32)CHAR_EVENTS_RESIZED));
	}
	memset(d.config, 0xff, 4);
	CHECK(events(1) == CHAR_EVENTS_RESIZED && DRIVER->size(CTX, 1, 0, &s) == 0 &&
		s.columns == 0xffff && s.rows == 0xffff && d.queue[RECEIVE].nr_notifies == 1);
	memset(d.config, 0, 4);
	CHECK(events(1) == CHAR_EVENTS_RESIZED && DRIVER->size(CTX, 1, 0, &s) == 0 && !s.columns);
}

int main(void)
{
	test_attach();
	test_input();
	test_output(1);
	test_output(2);
	test_output(16);
	test_output(128);
	test_size();
	test_unsent();
	test_emergency();
	test_lies();
	test_refusals();
	test_used_index();
	test_storm();
	sdk_virtio_destroy(&d);
	TAP_END();
}
