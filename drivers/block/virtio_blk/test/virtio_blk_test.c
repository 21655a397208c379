/* virtio_blk's handlers as functions, against a device that lies (sdk/double_virtio.h). */
#include "../../../../lib/test/tap.h"
#include <string.h>
#include <kabi/block_driver.h>
#include <sdk/double_virtio.h>

extern const struct block_driver_vtable kabi_vtable_block_driver;
#define DRIVER (&kabi_vtable_block_driver)
#define CTX    (&d.kernel.ctx)
static struct sdk_virtio d;
static struct block_geometry g;

/* What the device does before the driver sees it. */
enum lie : u32 {
	LIE_FEATURES,
	LIE_VECTORS,
	LIE_RESET,
	LIE_OLD,
	LIE_SHORT_CONFIG,
	LIES_THAT_END, /* so many of them make the driver refuse */
	LIE_NOTHING_OFFERED,
	LIE_EVERYTHING_OFFERED,
	LIE_SEGMENTS,
	LIE_NO_SEGMENTS,
	LIE_NONE,
};
static void tell(enum lie lie)
{
	switch (lie) {
	case LIE_FEATURES:
		sdk_virtio_refuse(&d, SDK_VIRTIO_REFUSES_FEATURES);
		break;
	case LIE_VECTORS:
		sdk_virtio_refuse(&d, SDK_VIRTIO_REFUSES_VECTORS);
		break;
	case LIE_RESET:
		sdk_virtio_refuse(&d, SDK_VIRTIO_REFUSES_RESET);
		break;
	case LIE_OLD:
		d.offered &= ~VIRTIO_F_VERSION_1;
		break;
	case LIE_SHORT_CONFIG:
		d.kernel.config[SDK_VIRTIO_CAP_CONFIG + 12] = 23;
		break;
	case LIE_NOTHING_OFFERED:
		d.offered = VIRTIO_F_VERSION_1;
		/* what no feature tells of is not looked at */
		memset(d.config + 8, 0xff, sizeof(d.config) - 8);
		break;
	case LIE_EVERYTHING_OFFERED:
		d.offered = ~0ull;
		break;
	case LIE_SEGMENTS:
		memset(d.config + 12, 0xff, 4);
		break;
	case LIE_NO_SEGMENTS:
		memset(d.config + 12, 0, 4);
		break;
	case LIES_THAT_END:
	case LIE_NONE:
		break;
	}
}

/* What comes when `size` entries are offered for the queue. */
static answer_t attach_lying(u16 size, enum lie lie)
{
	sdk_virtio_destroy(&d);
	sdk_virtio_init(&d, 0x244, &size, 1, 65536);
	d.config[1] = 8; /* 2048 sectors */
	d.config[12] = 62;
	d.config[21] = 2; /* blocks of 512 bytes */
	tell(lie);
	return DRIVER->attach(CTX, 1, &g);
}

static answer_t attach(u16 size)
{
	return attach_lying(size, LIE_NONE);
}

static answer_t submit(u64 tag)
{
	static u8 data[512];
	const struct block_segment_row row = {.device_address = (uintptr_t)data,
		.bytes = sizeof(data)};
	const struct block_request r = {.tag = tag,
		.sector = 7,
		.nr_sectors = 1,
		.nr_segments = 1,
		.operation = BLOCK_OPERATION_READ};

	return DRIVER->submit(CTX, 1, 0, &r, 1, &row, 1);
}

static void finish(u32 head, u8 status)
{
	*(u8 *)sdk_virtio_buffer(&d, 0, head + 2) = status; /* header, segment, status */
	sdk_virtio_finish(&d, 0, head, 513);
}

static void test_refusals(void)
{
	for (u32 i = 0; i < LIES_THAT_END; i++)
		CHECK(attach_lying(64, (enum lie)i) < 0 && !d.kernel.nr_irqs_enabled &&
			!d.nr_stray);
	CHECK(attach(0) == -ENODEV && attach(1) == -EIO && attach(3) == -EIO);
	CHECK(attach(100) == 0 && d.queue[0].size == 64 && g.max_segments == 62);
	CHECK(attach(65535) == 0 && d.queue[0].size == 128);
	CHECK(attach_lying(64, LIE_NOTHING_OFFERED) == 0 && !g.features && g.max_segments == 1 &&
		g.logical_block_bytes == 512 && !g.max_discard_sectors);
	CHECK(attach_lying(64, LIE_EVERYTHING_OFFERED) == 0 &&
		d.accepted == (VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | 0x2264));
	CHECK(attach_lying(64, LIE_SEGMENTS) == 0 && g.max_segments == 62);
	CHECK(attach_lying(64, LIE_NO_SEGMENTS) == 0 && g.max_segments == 1);
	attach(64);
	for (u32 n = 0; n < 4; n++) { /* each service fails in turn */
		DRIVER->detach(CTX, 1);
		d.kernel.fail_after = n;
		CHECK(DRIVER->attach(CTX, 1, &g) < 0 && !d.kernel.nr_irqs_enabled);
	}
}

/* No index of the device's counts that cannot be. */
static void test_used_index(void)
{
	struct block_completion done[4];

	for (u32 jump = 3; jump < 65536; jump = jump * 2 + 1) {
		attach(64);
		submit(1);
		submit(2);
		sdk_virtio_set_used_index(&d, 0, (u16)jump);
		CHECK_QUIET(DRIVER->poll(CTX, 1, 0, done, 4) == -EIO && submit(3) == 0);
		CHECK_QUIET(DRIVER->poll(CTX, 1, 0, done, 4) == -EIO);
	}
	for (u32 bit = 6; bit < 32; bit++) {
		attach(64);
		submit(1);
		sdk_virtio_finish(&d, 0, 1u << bit, 513);
		CHECK_QUIET(DRIVER->poll(CTX, 1, 0, done, 4) == -EIO);
	}
	attach(64); /* in the middle of a chain */
	submit(1);
	sdk_virtio_finish(&d, 0, 1, 513);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == -EIO);
	attach(64); /* lengths mean nothing: a request is as long as core made it */
	for (u32 i = 0; i < 3; i++) {
		static const u32 lengths[] = {0, 1, 0xffffffff};
		u32 head;

		submit(10 + i);
		head = (u32)sdk_virtio_next(&d, 0);
		*(u8 *)sdk_virtio_buffer(&d, 0, head + 2) = 0;
		sdk_virtio_finish(&d, 0, head, lengths[i]);
		CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].tag == 10 + i &&
			!done[0].status && done[0].bytes == 512);
	}
	submit(20); /* reported as done, and the status never written */
	sdk_virtio_finish(&d, 0, (u32)sdk_virtio_next(&d, 0), 0);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].status == -EIO);
}

static void test_storm(void)
{
	struct block_completion done[4];

	attach(64);
	submit(1);
	for (u32 i = 0; i < 1000; i++) { /* without cause */
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, i) == 1);
		CHECK_QUIET(DRIVER->poll(CTX, 1, 0, done, 4) == 0);
	}
	memset(d.config, 0xff, sizeof(d.config)); /* the disk's size stays what it was at first */
	finish((u32)sdk_virtio_next(&d, 0), 0);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].tag == 1 &&
		d.queue[0].nr_notifies == 1);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 0) == 0);
	for (u32 i = 0; i < 200; i++)
		submit(100 + i);
	CHECK(submit(1) == 0); /* full: core waits */
	for (u32 i = 0; i < 21; i++)
		finish((u32)sdk_virtio_next(&d, 0), 0);
	for (u32 i = 0; i < 21; i += 3)
		CHECK_QUIET(DRIVER->poll(CTX, 1, 0, done, 3) == 3 && done[0].tag == 100 + i &&
			    done[2].tag == 102 + i);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 0 && !d.nr_stray);
}

static void test_requests(void)
{
	static u8 data[512];
	struct block_segment_row rows[70];
	struct block_request r = {.tag = 5, .nr_sectors = 1, .operation = BLOCK_OPERATION_WRITE};

	for (u32 i = 0; i < 70; i++)
		rows[i] =
			(struct block_segment_row){.device_address = (uintptr_t)data, .bytes = 512};
	attach(4);
	r.nr_segments = 3; /* more than was told: would never find room */
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 1, rows, 70) == -EINVAL);
	r.nr_segments = 2;
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 1, rows, 70) == 1);
	attach(64);
	r.first_segment = 69;
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 1, rows, 70) == -EINVAL);
	r.operation = BLOCK_OPERATION_WRITE_ZEROES;
	r.first_segment = 0;
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 1, rows, 70) == -EINVAL);
	r.operation = (enum block_operation)77;
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 1, rows, 70) == -EINVAL);
	CHECK(DRIVER->submit(CTX, 1, 0, &r, 0, rows, 70) == 0 && !d.queue[0].nr_notifies);
}

int main(void)
{
	test_refusals();
	test_used_index();
	test_storm();
	test_requests();
	struct block_completion done[4];
	const struct block_request lie = {.nr_segments = 2,
		.first_segment = 0xfffffff0,
		.operation = BLOCK_OPERATION_READ};

	CHECK(attach(64) == 0 && g.nr_sectors == 2048 && g.max_segments == 62 &&
		g.logical_block_bytes == 512);
	CHECK(DRIVER->submit(CTX, 1, 0, &lie, 1, nullptr, 0) == -EINVAL);
	CHECK(submit(100) == 1 && d.queue[0].nr_notifies == 1);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 0);
	finish((u32)sdk_virtio_next(&d, 0), 0);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].tag == 100 && done[0].status == 0);
	submit(101);
	finish((u32)sdk_virtio_next(&d, 0), 77);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].tag == 101 &&
		done[0].status == -EIO);
	submit(102);
	sdk_virtio_finish(&d, 0, 9999, 1);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == -EIO && submit(103) == 0);
	CHECK(attach(64) == 0); /* as after a crash: all anew */
	CHECK(submit(104) == 1);
	finish((u32)sdk_virtio_next(&d, 0), 0);
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1);
	submit(105);
	submit(106);
	finish((u32)sdk_virtio_next(&d, 0), 0);
	sdk_virtio_finish(&d, 0, 0, 1); /* the same chain again */
	CHECK(DRIVER->poll(CTX, 1, 0, done, 4) == 1 && done[0].tag == 105 &&
		DRIVER->poll(CTX, 1, 0, done, 4) == -EIO);
	CHECK(attach(2) == -EIO && d.status == 0 && d.kernel.nr_irqs_enabled == 0);
	CHECK(attach(4) == 0 && g.max_segments == 2);
	d.config[21] = 0;
	CHECK(DRIVER->attach(CTX, 1, &g) == -EIO);
	d.config[21] = 2;
	memset(d.config, 0xff, 8);
	CHECK(DRIVER->attach(CTX, 1, &g) == -EIO);
	sdk_virtio_destroy(&d);
	TAP_END();
}
