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

static answer_t attach(u16 size)
{
	static bool used;

	if (used)
		sdk_virtio_destroy(&d);
	used = true;
	sdk_virtio_init(&d, 0x244, &size, 1, 65536);
	d.config[1] = 8; /* 2048 sectors */
	d.config[12] = 62;
	d.config[21] = 2; /* blocks of 512 bytes */
	return DRIVER->attach(CTX, 1, &g);
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

int main(void)
{
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
