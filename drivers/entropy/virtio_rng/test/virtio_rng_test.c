/* virtio_rng's handlers as functions, against a device that lies (sdk/double_virtio.h). */
#include "../../../../lib/test/tap.h"
#include <string.h>
#include <kabi/entropy_driver.h>
#include <sdk/double_virtio.h>

extern const struct entropy_driver_vtable kabi_vtable_entropy_driver;
#define DRIVER (&kabi_vtable_entropy_driver)
#define CTX    (&d.kernel.ctx)
static struct sdk_virtio d;
static struct entropy_info info;
static u8 data[1024];

static answer_t attach(u16 size)
{
	sdk_virtio_destroy(&d);
	sdk_virtio_init(&d, 0, &size, 1, 8192);
	return DRIVER->attach(CTX, 1, &info);
}

/* The device writes as many bytes of 1, 2, 3... as fit and says `claimed`. */
static void serve(u32 claimed)
{
	u32 head = (u32)sdk_virtio_next(&d, 0);
	u32 room = le32_get(sdk_virtio_desc(&d, 0, head)->bytes);
	u8 *to = sdk_virtio_buffer(&d, 0, head);

	for (u32 i = 0; i < MIN(room, claimed); i++)
		to[i] = (u8)(i + 1);
	sdk_virtio_finish(&d, 0, head, claimed);
}

static void test_honest(void)
{
	CHECK(attach(8) == 0 && info.max_bytes == 256 && info.bits_per_kilobyte == 8192);
	CHECK(DRIVER->read(CTX, 1, data, sizeof(data)) == 0);
	CHECK(DRIVER->request(CTX, 1, 0) == -EINVAL);
	CHECK(DRIVER->request(CTX, 1, 64) == 0 && d.queue[0].nr_notifies == 1);
	CHECK(DRIVER->request(CTX, 1, 64) == 0 && d.queue[0].nr_notifies == 1); /* on the way */
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 0);
	serve(40);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1);
	CHECK(DRIVER->read(CTX, 1, data, 10) == 10 && data[0] == 1 && data[9] == 10);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1); /* some are left */
	CHECK(DRIVER->read(CTX, 1, data, sizeof(data)) == 30 && data[0] == 11 && data[29] == 40);
	CHECK(DRIVER->read(CTX, 1, data, sizeof(data)) == 0 && DRIVER->interrupt(CTX, 1, 0) == 0);
	CHECK(DRIVER->request(CTX, 1, 1000000) == 0);
	serve(256);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1 && DRIVER->read(CTX, 1, data, 1024) == 256);
	CHECK(DRIVER->detach(CTX, 1) == 0 && d.status == 0 && !d.kernel.nr_irqs_enabled);
}

static void test_lies(void)
{
	attach(8);
	DRIVER->request(CTX, 1, 16);
	serve(0xffffffff); /* no more than was asked for */
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1 && DRIVER->read(CTX, 1, data, 1024) == 16);
	DRIVER->request(CTX, 1, 16);
	serve(0);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == -EIO && DRIVER->read(CTX, 1, data, 1024) == 0);
	CHECK(DRIVER->request(CTX, 1, 16) == 0);
	sdk_virtio_finish(&d, 0, 77, 16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == -EIO && DRIVER->read(CTX, 1, data, 1024) == 0);
	CHECK(DRIVER->request(CTX, 1, 16) == -EIO);
	CHECK(DRIVER->attach(CTX, 1, &info) == 0); /* as after a crash */
	CHECK(DRIVER->request(CTX, 1, 16) == 0);
	serve(16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1);
	attach(8);
	sdk_virtio_set_used_index(&d, 0, 0x8000); /* nothing was asked */
	CHECK(DRIVER->interrupt(CTX, 1, 0) == -EIO && DRIVER->request(CTX, 1, 16) == -EIO);
	CHECK(attach(0) == -ENODEV && d.status == 0 && !d.kernel.nr_irqs_enabled);
}

static void test_refusals(void)
{
	for (u32 lie = 0; lie <= SDK_VIRTIO_REFUSALS; lie++) {
		attach(8);
		DRIVER->detach(CTX, 1);
		sdk_virtio_refuse(&d, (enum sdk_virtio_refusal)lie);
		if (lie == SDK_VIRTIO_REFUSALS)
			d.offered = 0;
		CHECK(DRIVER->attach(CTX, 1, &info) < 0 && !d.kernel.nr_irqs_enabled &&
			!d.nr_stray);
	}
	for (u32 n = 0; n < 4; n++) { /* each service fails in turn */
		attach(8);
		DRIVER->detach(CTX, 1);
		d.kernel.fail_after = n;
		CHECK(DRIVER->attach(CTX, 1, &info) < 0 && !d.kernel.nr_irqs_enabled);
	}
	attach(3);
	d.offered = ~0ull; /* nothing of it is taken */
	CHECK(DRIVER->attach(CTX, 1, &info) == 0 && d.queue[0].size == 2 &&
		d.accepted == (VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM));
	CHECK(attach(1) == 0 && DRIVER->request(CTX, 1, 16) == 0);
	serve(16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1);
	CHECK(attach(65535) == 0 && d.queue[0].size == 128);
}

static void test_used_index(void)
{
	for (u32 jump = 2; jump < 65536; jump = jump * 2 + 1) {
		attach(8);
		DRIVER->request(CTX, 1, 16);
		sdk_virtio_set_used_index(&d, 0, (u16)jump);
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, 0) == -EIO);
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, 0) == -EIO &&
			    DRIVER->request(CTX, 1, 16) == -EIO);
	}
	for (u32 bit = 0; bit < 32; bit++) {
		attach(8);
		DRIVER->request(CTX, 1, 16);
		sdk_virtio_finish(&d, 0, 1u << bit, 16);
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, 0) == -EIO &&
			    DRIVER->read(CTX, 1, data, 1024) == 0);
	}
	attach(8); /* the same buffer twice */
	DRIVER->request(CTX, 1, 16);
	serve(16);
	sdk_virtio_finish(&d, 0, 0, 16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == -EIO || DRIVER->read(CTX, 1, data, 1024) <= 16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == -EIO);
}

static void test_storm(void)
{
	attach(8);
	DRIVER->request(CTX, 1, 16);
	for (u32 i = 0; i < 1000; i++)
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, i) == 0);
	serve(16);
	for (u32 i = 0; i < 1000; i++)
		CHECK_QUIET(DRIVER->interrupt(CTX, 1, i) == 1);
	CHECK(DRIVER->read(CTX, 1, data, 1024) == 16 && data[15] == 16 &&
		DRIVER->interrupt(CTX, 1, 0) == 0 && d.queue[0].nr_notifies == 1);
	/* What was given out is not in the buffer any more: a device that says more than it wrote
	 * gives nothing twice. */
	DRIVER->request(CTX, 1, 16);
	sdk_virtio_finish(&d, 0, (u32)sdk_virtio_next(&d, 0), 16);
	CHECK(DRIVER->interrupt(CTX, 1, 0) == 1 && DRIVER->read(CTX, 1, data, 1024) == 16 &&
		!data[0] && !data[15]);
}

int main(void)
{
	test_honest();
	test_lies();
	test_refusals();
	test_used_index();
	test_storm();
	sdk_virtio_destroy(&d);
	TAP_END();
}
