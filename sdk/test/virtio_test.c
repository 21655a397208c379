/* Split virtqueues and the PCI transport against a device that lies (virtio 1.2,
 * sections 2.7, 3.1.1, 4.1). */
#include "../../lib/test/tap.h"
#include <string.h>
#include <sdk/double_virtio.h>

static struct sdk_virtio d;
static struct virtio_device v;
static struct virtqueue q;
#define CTX (&d.kernel.ctx)

static answer_t start(void)
{
	answer_t a = virtio_begin(CTX, 1, &v);

	if (!a)
		a = virtio_negotiate(&v, 5);
	if (!a)
		a = virtqueue_start(CTX, 1, &v, &q, 0, 0);
	if (!a)
		virtio_ready(&v);
	return a;
}

static void fresh(u16 size)
{
	static bool used;

	if (used)
		sdk_virtio_destroy(&d);
	used = true;
	sdk_virtio_init(&d, 7, &size, 1, 4096);
	memset(&q, 0, sizeof(q));
}

static void test_start(void)
{
	fresh(64);
	CHECK(start() == 0);
	CHECK(d.status == (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
				  VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK));
	CHECK(d.accepted == (VIRTIO_F_VERSION_1 | 5) && v.features == d.accepted);
	CHECK(q.size == 64 && d.queue[0].size == 64 && d.queue[0].enabled &&
		d.queue[0].vector == 0);
	CHECK(d.kernel.nr_irqs_enabled == 1 && v.msix);
	CHECK(virtio_stop(CTX, 1, &v) == 0 && d.kernel.nr_irqs_enabled == 0 && d.status == 0);
}

static void test_sizes(void)
{
	static const struct {
		u16 offered, taken;
	} cases[] = {{1, 1}, {2, 2}, {3, 2}, {100, 64}, {127, 64}, {128, 128}, {1000, 128},
		{32768, 128}, {65535, 128}};

	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fresh(cases[i].offered);
		CHECK(start() == 0 && q.size == cases[i].taken &&
			d.queue[0].size == cases[i].taken);
	}
	fresh(0);
	CHECK(start() == -ENODEV);
}

static void test_refusals(void)
{
	fresh(8);
	d.offered &= ~VIRTIO_F_VERSION_1;
	CHECK(start() == -ENODEV);
	fresh(8);
	d.refuses_features = true;
	CHECK(start() == -EIO);
	fresh(8);
	d.refuses_vectors = true;
	CHECK(start() == -EIO);
	fresh(8);
	d.status = 4;
	d.never_resets = true;
	CHECK(start() == -EIO);
	for (u32 n = 0; n < 3; n++) { /* each service in turn */
		fresh(8);
		d.kernel.fail_after = n;
		CHECK(start() < 0);
	}
	fresh(8);
	d.kernel.nr_vectors = 0;
	CHECK(start() == -ENOENT);
}

/* What a capability says is inside its BAR, aligned, and large enough, or the device is not ours.
 */
static void test_capabilities(void)
{
	static const struct {
		u32 cap, field, value;
	} lies[] = {
		{SDK_VIRTIO_CAP_COMMON, 8, SDK_VIRTIO_BYTES},
		{SDK_VIRTIO_CAP_COMMON, 8, 0xfffffff0},
		{SDK_VIRTIO_CAP_COMMON, 12, 0xffffffff},
		{SDK_VIRTIO_CAP_COMMON, 12, 55},
		{SDK_VIRTIO_CAP_COMMON, 12, 0},
		{SDK_VIRTIO_CAP_COMMON, 8, 2},
		{SDK_VIRTIO_CAP_COMMON, 4, 1},
		{SDK_VIRTIO_CAP_NOTIFY, 8, 0x3001},
		{SDK_VIRTIO_CAP_NOTIFY, 12, 1},
		{SDK_VIRTIO_CAP_NOTIFY, 8, 0x3fff},
		{SDK_VIRTIO_CAP_ISR, 8, SDK_VIRTIO_BYTES},
	};

	for (u32 i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fresh(8);
		for (u32 b = 0; b < 4; b++)
			d.kernel.config[lies[i].cap + lies[i].field + b] =
				(u8)(lies[i].value >> 8 * b);
		CHECK(start() == -ENODEV && !d.nr_stray);
	}
	fresh(8);
	d.kernel.config[SDK_VIRTIO_CAP_CONFIG + 1] = SDK_VIRTIO_CAP_COMMON; /* a circle */
	CHECK(start() == 0);
}

static void test_notify(void)
{
	fresh(8);
	d.queue[0].notify_offset = 4; /* times 4: just behind the range of 16 bytes */
	CHECK(start() == -EIO);
	fresh(8);
	d.queue[0].notify_offset = 0xffff;
	memset(d.kernel.config + SDK_VIRTIO_CAP_NOTIFY + 16, 0xff, 4);
	CHECK(start() == -EIO);
	fresh(8);
	d.queue[0].notify_offset = 1;
	d.kernel.config[SDK_VIRTIO_CAP_NOTIFY + 16] = 1;
	CHECK(start() == -EIO); /* odd address */
	fresh(8);
	d.queue[0].notify_offset = 3;
	CHECK(start() == 0);
	virtqueue_notify(CTX, &q);
	CHECK(d.queue[0].nr_notifies == 1 && !d.nr_stray);
}

static bool add(u32 nr, u32 bytes, u64 token)
{
	struct virtio_buffer b[8];

	for (u32 i = 0; i < nr; i++)
		b[i] = (struct virtio_buffer){0x1000 + i, bytes, i + 1 == nr};
	return virtqueue_add(&q, b, nr, token);
}

static void test_chains(void)
{
	u32 bytes = 0;
	s32 head;

	fresh(8);
	start();
	CHECK(add(3, 100, 11) && add(3, 100, 12) && !add(3, 100, 13) && !add(0, 0, 14) &&
		add(2, 100, 15));
	CHECK(q.nr_free == 0 && q.nr_chains == 3);
	CHECK(virtqueue_take(&q, &bytes) == 0 && !q.broken);
	head = sdk_virtio_next(&d, 0);
	CHECK(head >= 0 && le16_get(sdk_virtio_desc(&d, 0, (u32)head)->flags) == VRING_DESC_NEXT);
	sdk_virtio_finish(&d, 0, (u32)head, 40);
	CHECK(virtqueue_take(&q, &bytes) == 11 && bytes == 40 && q.nr_free == 3);
	head = sdk_virtio_next(&d, 0);
	sdk_virtio_finish(&d, 0, (u32)head, 0xffffffff);
	CHECK(virtqueue_take(&q, &bytes) == 12 &&
		bytes == 100); /* never more than the chain's room */
	CHECK(virtqueue_take(&q, &bytes) == 0 && !q.broken);
}

/* The indices wrap, chains finish out of order, thousands of times; the test remembers what is in
 * flight. */
static void test_wrap(void)
{
	u64 in_flight[128];
	u32 heads[128], nr = 0, bytes = 0, random = 1;
	u64 token = 1;
	bool good = true;

	fresh(16);
	start();
	sdk_virtio_start_at(&d, &q, 65000);
	for (u32 step = 0; step < 200000; step++) {
		random = random * 1664525 + 1013904223;
		if (random >> 31 && add(1 + (random >> 20) % 3, 8, token)) {
			s32 head = sdk_virtio_next(&d, 0);

			good = good && head >= 0 && nr < 16;
			heads[nr] = (u32)head;
			in_flight[nr++] = token++;
		} else if (nr) {
			u32 i = (random >> 16) % nr;

			sdk_virtio_finish(&d, 0, heads[i], 1);
			good = good && virtqueue_take(&q, &bytes) == in_flight[i];
			heads[i] = heads[--nr];
			in_flight[i] = in_flight[nr];
		}
	}
	CHECK(good && !q.broken && token > 65536);
	while (nr) {
		sdk_virtio_finish(&d, 0, heads[--nr], 1);
		good = good && virtqueue_take(&q, &bytes) == in_flight[nr];
	}
	CHECK(good && q.nr_free == 16 && !q.nr_chains);
}

static void expect_broken(void)
{
	u32 bytes = 77;

	CHECK(virtqueue_take(&q, &bytes) == 0 && q.broken && bytes == 77);
	CHECK(virtqueue_take(&q, &bytes) == 0 && !add(1, 1, 5));
}

static void test_lies(void)
{
	static const u32 ids[] = {8, 128, 0xffff, 0x10000, 0x80000000, 0xffffffff};
	u32 bytes;

	for (u32 i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		fresh(8);
		start();
		add(2, 10, 1);
		sdk_virtio_finish(&d, 0, ids[i], 1);
		expect_broken();
	}
	fresh(8); /* in the middle of a chain */
	start();
	add(3, 10, 1);
	sdk_virtio_finish(&d, 0, 1, 1);
	expect_broken();
	fresh(8); /* twice */
	start();
	add(1, 10, 1);
	add(1, 10, 2);
	sdk_virtio_finish(&d, 0, 0, 1);
	sdk_virtio_finish(&d, 0, 0, 1);
	CHECK(virtqueue_take(&q, &bytes) == 1);
	expect_broken();
	for (u32 jump = 2; jump < 65536;
		jump = jump * 2 + 1) { /* more than is in flight, also backwards */
		fresh(8);
		start();
		add(1, 10, 1);
		sdk_virtio_set_used_index(&d, 0, (u16)jump);
		expect_broken();
	}
	fresh(8); /* nothing in flight */
	start();
	sdk_virtio_finish(&d, 0, 0, 0);
	expect_broken();
	fresh(8); /* the available ring is written, never read back */
	start();
	((struct vring_avail *)(uintptr_t)q.avail)->index = le16_make(0x7777);
	memset((void *)(uintptr_t)q.desc, 0xff, 8 * sizeof(struct vring_desc));
	CHECK(add(2, 10, 1) && le16_get(((struct vring_avail *)(uintptr_t)q.avail)->index) == 1);
	memset((void *)(uintptr_t)q.desc, 0xff,
		8 * sizeof(struct vring_desc)); /* chains are followed in private memory */
	sdk_virtio_finish(&d, 0, 0, 1);
	CHECK(virtqueue_take(&q, &bytes) == 1 && q.nr_free == 8 && !q.broken);
}

static void test_vectors(void)
{
	struct virtqueue second;
	u16 sizes[2] = {8, 8};

	sdk_virtio_destroy(&d);
	sdk_virtio_init(&d, 0, sizes, 2, 4096);
	CHECK(start() == 0 && virtqueue_start(CTX, 1, &v, &second, 1, 0) == 0 &&
		virtio_config_events(CTX, 1, &v, 1) == 0);
	CHECK(d.queue[0].vector == 0 && d.queue[1].vector == 0 && d.config_vector == 1 &&
		d.kernel.nr_irqs_enabled == 2);
	CHECK(virtio_stop(CTX, 1, &v) == 0 && d.kernel.nr_irqs_enabled == 0);
	d.kernel.nr_vectors = 1; /* all on the first */
	CHECK(start() == 0 && virtio_config_events(CTX, 1, &v, 1) == 0 && d.config_vector == 0);
	virtio_stop(CTX, 1, &v);
	d.kernel.config[SDK_VIRTIO_CAP_MSIX + 3] =
		0; /* a line: vectors mean nothing, the cause is read */
	d.refuses_vectors = true;
	CHECK(start() == 0 && !v.msix);
	d.cause = 3;
	CHECK(virtio_cause(&v) == 3 && d.cause == 0);
	virtqueue_events(CTX, &q, false);
	CHECK(sdk_virtio_avail_flags(&d, 0) == VRING_AVAIL_NO_INTERRUPT);
	virtqueue_events(CTX, &q, true);
	CHECK(sdk_virtio_avail_flags(&d, 0) == 0);
}

int main(void)
{
	test_start();
	test_sizes();
	test_refusals();
	test_capabilities();
	test_notify();
	test_chains();
	test_wrap();
	test_lies();
	test_vectors();
	sdk_virtio_destroy(&d);
	TAP_END();
}
