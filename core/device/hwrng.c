/*
 * Hardware random sources.
 *
 * Purpose: brings what entropy_driver components read to the random generator and to /dev/hwrng.
 * Vocabulary: source = one instance; block = what one request brought; current = the best source.
 * Objects and lifetimes: struct source lives as long as its instance, which it is class_data of.
 * Invariants: HWRNG-I1 a byte goes to the generator or to one reader, never to both or twice;
 *   HWRNG-I2 the first block of a source, and one each FEED_NS while somebody asks for random
 *   numbers, goes to the generator.
 * Locks: hwrng_lock for all sources; a component's mutex is taken before it.
 * Failure and recovery: a source whose driver reports an error is not asked again, its readers get
 *   EIO. Replacement: bytes that have arrived stay; a request in flight is made again by attach.
 * Cost: a deferred call and an interrupt for each BLOCK_BYTES that readers take.
 */
#include <core/call.h>
#include <core/component.h>
#include <core/evolve.h>
#include <core/hwrng.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/random.h>
#include <core/time.h>
#include <core/wait.h>
#include <kabi/entropy_driver.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define BLOCK_BYTES 256u
#define FEED_NS     (60 * NSEC_PER_SEC) /* as Linux's generator wants fresh input */

struct source {
	struct list_node link;
	struct component *co;
	struct deferred ask;
	char name[32];
	u32 bits_per_kilobyte, max_bytes;
	bool feeds; /* the next block is the generator's */
	bool failed;
	u32 nr_bytes; /* for readers, from the end of data */
	u8 data[BLOCK_BYTES];
};
static struct spinlock hwrng_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE + 3);
static struct list_node sources = LIST_INIT(sources); /* the best first */
static u32 nr_sources;
static ktime_t next_feed_ns = KTIME_MAX; /* READ_ONCE, WRITE_ONCE */
struct waitable hwrng_waitable;

/* Locks: hwrng_lock. */
static struct source *current_locked(void)
{
	struct source *s;

	list_for_each_entry (s, &sources, link)
		if (!s->failed)
			return s;
	return list_empty(&sources) ? nullptr : list_first_entry(&sources, struct source, link);
}

/* The driver's lock is held. */
static void ask(struct source *s)
{
	struct kabi_ctx ctx;
	answer_t a;

	component_ctx(s->co, &ctx);
	a = driver_call(s->co, entropy_driver_request(s->co->slot, &ctx,
				       component_device_handle(s->co), s->max_bytes));
	if (a >= 0)
		return;
	log_warn("%s: gives no random numbers: error %ld\n", s->co->name, -(long)a);
	spin_lock(&hwrng_lock);
	s->failed = true;
	spin_unlock(&hwrng_lock);
	waitable_wake(&hwrng_waitable, EV_IN, 0);
}

void hwrng_request(struct component *co)
{
	mutex_lock(&co->lock);
	ask(co->class_data);
	mutex_unlock(&co->lock);
}

int hwrng_added(struct component *co, const struct entropy_info *info)
{
	struct source *s = kzalloc(sizeof(*s)), *other;
	struct list_node *before = &sources;

	if (!s)
		return -ENOMEM;
	s->co = co;
	s->bits_per_kilobyte = MIN(info->bits_per_kilobyte, 8192u);
	s->max_bytes = MAX(MIN(info->max_bytes, BLOCK_BYTES), 1u);
	s->feeds = true;
	s->ask = (struct deferred){.op = DEFERRED_HWRNG, .object = &co->obj};
	list_init(&s->ask.link);
	co->class_data = s;
	spin_lock(&hwrng_lock);
	snprintf(s->name, sizeof(s->name), "%s.%u", co->module->name, nr_sources++);
	list_for_each_entry (other, &sources, link)
		if (other->bits_per_kilobyte < s->bits_per_kilobyte) {
			before = &other->link;
			break;
		}
	list_add_tail(before, &s->link);
	spin_unlock(&hwrng_lock);
	WRITE_ONCE(next_feed_ns, arch_time_now_ns() + FEED_NS);
	ask(s);
	return 0;
}

/* A block has arrived: to the generator, or to readers. The driver's lock is held. */
static void block_arrived(struct source *s, u8 *block, u32 bytes)
{
	bool feeds;

	spin_lock(&hwrng_lock);
	feeds = s->feeds;
	s->feeds = false;
	if (!feeds) {
		memcpy(s->data, block, bytes);
		s->nr_bytes = bytes;
	}
	spin_unlock(&hwrng_lock);
	if (feeds)
		random_mix(block, bytes, (u32)((u64)bytes * s->bits_per_kilobyte / 1024));
	else
		waitable_wake(&hwrng_waitable, EV_IN, 0);
	memset(block, 0, bytes);
	if (feeds && !READ_ONCE(s->nr_bytes))
		ask(s); /* the next is for readers: one that will not wait finds it */
}

void hwrng_interrupt(struct component *co, u32 queue)
{
	struct source *s = co->class_data;
	u8 block[BLOCK_BYTES];
	struct kabi_ctx ctx;
	answer_t n;

	component_ctx(co, &ctx);
	n = driver_call(co,
		entropy_driver_interrupt(co->slot, &ctx, component_device_handle(co), queue));
	if (!s || !n)
		return;
	if (n > 0) {
		component_ctx(co, &ctx);
		n = driver_call(co, entropy_driver_read(co->slot, &ctx, component_device_handle(co),
					    block, s->max_bytes));
	}
	if (n > 0) {
		block_arrived(s, block, MIN((u32)n, s->max_bytes));
		return;
	}
	log_warn("%s: gives no random numbers: error %ld\n", co->name, -(long)n);
	spin_lock(&hwrng_lock);
	s->failed = true;
	spin_unlock(&hwrng_lock);
	waitable_wake(&hwrng_waitable, EV_IN, 0);
}

answer_t hwrng_take(void *out, size_t bytes)
{
	struct source *s;
	answer_t n = -ENODEV;
	bool empty = false;

	spin_lock(&hwrng_lock);
	s = current_locked();
	if (s && s->failed) {
		n = -EIO;
	} else if (s) {
		u32 take = (u32)MIN(bytes, (size_t)s->nr_bytes);
		u8 *from = s->data + s->nr_bytes - take;

		memcpy(out, from, take);
		memset(from, 0, take); /* HWRNG-I1 */
		s->nr_bytes -= take;
		empty = !s->nr_bytes;
		n = take;
	}
	spin_unlock(&hwrng_lock);
	if (empty)
		deferred_queue(&s->ask);
	return n;
}

bool hwrng_name(u32 n, char *name, size_t size)
{
	struct source *s;
	bool found = false;

	spin_lock(&hwrng_lock);
	list_for_each_entry (s, &sources, link)
		if (!n--) {
			strlcpy(name, s->name, size);
			found = true;
			break;
		}
	spin_unlock(&hwrng_lock);
	return found;
}

void hwrng_feed_if_due(void)
{
	struct source *s;

	if (likely(arch_time_now_ns() < READ_ONCE(next_feed_ns)))
		return;
	spin_lock(&hwrng_lock);
	WRITE_ONCE(next_feed_ns, arch_time_now_ns() + FEED_NS);
	s = current_locked();
	if (s && s->failed)
		s = nullptr;
	if (s)
		s->feeds = true;
	spin_unlock(&hwrng_lock);
	if (s)
		deferred_queue(&s->ask);
}

void hwrng_boot_init(void)
{
	const struct module *m = nullptr;
	struct device *d;

	waitable_init(&hwrng_waitable);
	while ((m = module_next(m)))
		if (module_vtable_find(m, "entropy_driver"))
			break;
	d = m ? device_create(DEVICE_VIRTUAL, "hw_random", nullptr) : nullptr;
	if (!d)
		return;
	d->node_mode = S_IFCHR | 0600;
	d->node_dev = HWRNG_RDEV;
	strlcpy(d->node_name, "hwrng", sizeof(d->node_name));
	strlcpy(d->class_name, "misc", sizeof(d->class_name));
	device_add(d);
	object_put(&d->obj);
}
