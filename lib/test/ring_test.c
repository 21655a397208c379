/* The ring: each profile, wrap of the indices, a peer that lies, and two threads that sleep and
 * wake (under ThreadSanitizer too: suite host-tsan). */
#include <errno.h>
#include <pthread.h>
#include <lib/endian.h>
#include <lib/ring.h>
#include <lib/string.h>
#include "tap.h"

#define NR      8u
#define MEMORY  4096u
#define TRAFFIC 200000u

struct entry {
	u32 number, check;
	u64 payload;
};
static _Alignas(64) u8 memory[MEMORY];

static void attach_both(const struct ring_layout *l, struct ring *producer, struct ring *consumer)
{
	memset(memory, 0xa5, sizeof(memory));
	CHECK_QUIET(!ring_attach(producer, l, memory, sizeof(memory), NR, true));
	CHECK_QUIET(!ring_attach(consumer, l, memory, sizeof(memory), NR, false));
}

/* As if 2^32 - 3 entries had gone through. */
static void wind(const struct ring_layout *l, u32 at)
{
	u32 raw = l->little ? le32_make(at).raw : at;

	memcpy(memory + l->head, &raw, 4);
	memcpy(memory + l->tail, &raw, 4);
}

static void fill(const struct ring *r, void *entry, u32 number)
{
	memset(entry, (int)(number & 0xff), r->layout.entry_bytes);
	memcpy(entry, &number, sizeof(number));
}

static u32 taken(struct ring *r)
{
	u8 entry[64];
	u32 number;

	CHECK_QUIET(ring_take(r, entry) == 1);
	memcpy(&number, entry, sizeof(number));
	return number;
}

static void profile(const char *name, struct ring_layout l)
{
	struct ring p, c;
	u8 entry[64];
	u32 put = 0, took = 0;

	printf("# %s\n", name);
	attach_both(&l, &p, &c);
	CHECK(ring_look(&p) == NR && ring_look(&c) == 0 && ring_take(&c, entry) == 0);
	wind(&l, 0xfffffffdu);
	CHECK(!ring_resume(&p, &l, memory, sizeof(memory), NR, true));
	CHECK(!ring_resume(&c, &l, memory, sizeof(memory), NR, false));
	for (u32 round = 0; round < 40; round++) {
		u32 nr = 1 + round % NR;

		for (u32 i = 0; i < nr; i++) {
			fill(&p, entry, put++);
			CHECK_QUIET(ring_put(&p, entry) == 0);
		}
		CHECK_QUIET(ring_look(&c) == (s32)nr && ring_look(&p) == (s32)(NR - nr));
		for (u32 i = 0; i < nr; i++)
			CHECK_QUIET(taken(&c) == took++);
	}
	CHECK(put == took && p.mine == 0xfffffffdu + put);
	for (u32 i = 0; i < NR; i++)
		CHECK_QUIET(ring_put(&p, entry) == 0);
	CHECK(ring_put(&p, entry) == -EAGAIN && ring_look(&p) == 0 && ring_look(&c) == NR);
	CHECK(ring_publish(&p, 1) == -EINVAL && ring_release(&c, NR + 1) == -EINVAL);
	CHECK(ring_release(&c, NR) == 0 && ring_look(&p) == NR);
	if (!l.asleep)
		return;
	CHECK(ring_sleep(&c) == 0 && ring_publish(&p, 1) == 1 && ring_sleep(&c) == 1);
	CHECK(ring_publish(&p, 1) == 0 && ring_look(&c) == 2); /* who found an entry is awake */
}

static void profiles(void)
{
	struct ring_layout uring = ring_uring_submissions(2 * NR), wire = ring_wire(16);
	struct ring p, c;
	u32 flags;

	profile("native", ring_native(sizeof(struct entry)));
	profile("wire", wire);
	profile("io_uring, submissions", uring);
	profile("io_uring, completions", ring_uring_completions());
	attach_both(&wire, &p, &c);
	memory[wire.tail] = 3; /* little-endian, on any machine */
	CHECK(ring_look(&c) == 3);
	CHECK(ring_release(&c, 3) == 0 && memory[wire.head] == 3 && !memory[wire.head + 3]);
	CHECK(ring_sleep(&c) == 0 && memory[wire.flags] & 1);
	attach_both(&uring, &p, &c);
	flags = 2; /* IORING_SQ_CQ_OVERFLOW is not the ring's */
	memcpy(memory + uring.flags, &flags, 4);
	CHECK(ring_sleep(&c) == 0);
	memcpy(&flags, memory + uring.flags, 4);
	CHECK(flags == 3);
	ring_awake(&c);
	memcpy(&flags, memory + uring.flags, 4);
	CHECK(flags == 2);
}

static void refusals(void)
{
	struct ring_layout l = ring_native(16), odd = l, empty = ring_native(0);
	struct ring r;

	odd.tail = 65;
	CHECK(ring_attach(&r, &l, memory, sizeof(memory), 0, true) == -EINVAL);
	CHECK(ring_attach(&r, &l, memory, sizeof(memory), 6, true) == -EINVAL);
	CHECK(ring_attach(&r, &l, memory, sizeof(memory), 1u << 31, true) == -EINVAL);
	CHECK(ring_attach(&r, &l, memory, 192 + 8 * 16 - 1, 8, true) == -EINVAL);
	CHECK(ring_attach(&r, &l, memory, 192 + 8 * 16, 8, true) == 0);
	CHECK(ring_attach(&r, &l, memory + 2, sizeof(memory) - 2, 8, true) == -EINVAL);
	CHECK(ring_attach(&r, &odd, memory, sizeof(memory), 8, true) == -EINVAL);
	CHECK(ring_attach(&r, &empty, memory, sizeof(memory), 8, true) == -EINVAL);
	CHECK(ring_bytes(&l, 1u << 30) == 192 + ((u64)16 << 30) && !ring_bytes(&l, 3));
	wind(&l, 7);
	memory[l.tail] = 16; /* nine entries in a ring of eight */
	CHECK(ring_resume(&r, &l, memory, sizeof(memory), NR, true) == -EPROTO);
	CHECK(ring_look(&r) == -EPROTO && ring_publish(&r, 0) == -EPROTO);
}

static u32 *word(u32 offset)
{
	return (u32 *)(void *)(memory + offset);
}

/* Each lie is told to a ring that has two entries in it and six free. */
static void lie(bool to_consumer, u32 index, bool believed)
{
	struct ring_layout l = ring_native(16);
	struct ring p, c, *victim = to_consumer ? &c : &p;
	u8 entry[16] = {};

	attach_both(&l, &p, &c);
	for (u32 i = 0; i < 4; i++)
		CHECK_QUIET(ring_put(&p, entry) == 0);
	CHECK_QUIET(taken(&c) == 0 && taken(&c) == 0 && ring_look(&p) == 6 && ring_look(&c) == 2);
	*word(to_consumer ? l.tail : l.head) = index;
	CHECK((ring_look(victim) != -EPROTO) == believed);
	if (believed)
		return;
	*word(to_consumer ? l.tail : l.head) = to_consumer ? 4 : 2; /* repentance is too late */
	CHECK(ring_look(victim) == -EPROTO && victim->broken);
	CHECK(to_consumer ? ring_take(&c, entry) == -EPROTO && ring_release(&c, 1) == -EPROTO &&
				    ring_sleep(&c) == -EPROTO
			  : ring_put(&p, entry) == -EPROTO && ring_publish(&p, 1) == -EPROTO);
}

static void lies(void)
{
	struct ring_layout l = ring_native(16);
	struct ring p, c;
	u8 entry[16];

	lie(true, 4, true);
	lie(true, 10, true);  /* full: the most that can be */
	lie(true, 11, false); /* more than it holds */
	lie(true, 3, false);  /* back, though not behind the head */
	lie(true, 1, false);  /* behind the head */
	lie(true, 0x80000000u, false);
	lie(true, 0xffffffffu, false);
	lie(false, 4, true);  /* took all */
	lie(false, 5, false); /* took what was never there */
	lie(false, 1, false); /* gave back */
	lie(false, 0xfffffffcu, false);
	attach_both(&l, &p, &c);
	CHECK_QUIET(ring_publish(&p, 2) == 0);
	*word(l.tail) = 1000; /* the own index, overwritten: never read back (RING-I1) */
	CHECK(ring_look(&p) == 6 && ring_publish(&p, 1) == 0 && *word(l.tail) == 3);
	*word(l.head) = 77;
	CHECK(ring_look(&c) == 3 && taken(&c) != 77 && *word(l.head) == 1);
	for (u32 n = 0; n < 100000; n++) { /* RING-I3: any index, any n */
		const u8 *at;

		c.mine = n * 2654435761u;
		at = ring_entry(&c, n ^ 0x5a5a5a5au);
		CHECK_QUIET(at >= memory + l.entries && at + 16 <= memory + l.entries + NR * 16);
	}
	(void)entry;
}

/* --- two threads --- */
struct traffic {
	struct ring producer, consumer;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool woken;
	u32 refused, wrong, sleeps, wakes; /* refused: the producer's, wrong: the consumer's */
	atomic32_t stop;
};

static void wake_consumer(struct traffic *t)
{
	pthread_mutex_lock(&t->lock);
	t->woken = true;
	t->wakes++;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

static void *produce(void *arg)
{
	struct traffic *t = arg;

	for (u32 n = 0; n < TRAFFIC;) {
		struct entry e = {n, ~n, (u64)n * n};
		s32 r = ring_put(&t->producer, &e);

		if (r == -EAGAIN)
			continue;
		t->refused += r < 0;
		n++;
		if (r == 1)
			wake_consumer(t);
	}
	return nullptr;
}

/* Sleeps for good unless somebody wakes it: a lost wake is a test that never ends. */
static void sleep_until_woken(struct traffic *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->woken)
		pthread_cond_wait(&t->wake, &t->lock);
	t->woken = false;
	t->sleeps++;
	pthread_mutex_unlock(&t->lock);
	ring_awake(&t->consumer);
}

static void *consume(void *arg)
{
	struct traffic *t = arg;

	for (u32 n = 0; n < TRAFFIC;) {
		struct entry e;
		s32 r = ring_take(&t->consumer, &e);

		t->wrong += r < 0;
		if (r == 1) {
			t->wrong += e.number != n || e.check != ~n || e.payload != (u64)n * n;
			n++;
		} else if (ring_sleep(&t->consumer) == 0) {
			sleep_until_woken(t);
		}
	}
	return nullptr;
}

static void two_threads(struct ring_layout l)
{
	static struct traffic t;
	pthread_t threads[2];

	t = (struct traffic){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	attach_both(&l, &t.producer, &t.consumer);
	pthread_create(&threads[0], nullptr, consume, &t);
	pthread_create(&threads[1], nullptr, produce, &t);
	pthread_join(threads[0], nullptr);
	pthread_join(threads[1], nullptr);
	printf("# %u sleeps, %u wakes\n", t.sleeps, t.wakes);
	CHECK(!t.refused && !t.wrong && t.sleeps <= t.wakes + 1 && ring_look(&t.consumer) == 0);
}

/* The peer writes anything to the words that both reach, all the time. */
static void *scribble(void *arg)
{
	struct traffic *t = arg;
	struct ring_layout l = t->consumer.layout;
	u32 x = 12345;

	while (!atomic32_load(&t->stop)) {
		x = x * 1664525 + 1013904223;
		atomic32_store((atomic32_t *)(void *)word(l.tail), x & 0x10000 ? x >> 28 : x);
		atomic32_store((atomic32_t *)(void *)word(l.head), x & 0x20000 ? x >> 28 : x * 3);
		atomic32_store((atomic32_t *)(void *)word(l.flags), x >> 16);
	}
	return nullptr;
}

static void lying_thread(void)
{
	static struct traffic t;
	struct ring_layout l = ring_native(sizeof(struct entry));
	u32 broken = 0, outside = 0, worked = 0;
	pthread_t thread;

	t = (struct traffic){};
	attach_both(&l, &t.producer, &t.consumer);
	pthread_create(&thread, nullptr, scribble, &t);
	for (u32 n = 0; n < TRAFFIC; n++) {
		struct ring *r = n & 1 ? &t.consumer : &t.producer;
		struct entry e = {};
		s32 nr = ring_look(r), done;

		outside += nr > (s32)NR || nr < -EPROTO;
		done = n & 1 ? ring_take(r, &e) : ring_put(r, &e);
		worked += done >= 0;
		if (!r->broken)
			continue;
		broken++;
		outside += ring_look(r) != -EPROTO;
		r->broken = false; /* attached anew, wherever the indices stood */
		r->other = r->mine;
	}
	atomic32_store(&t.stop, 1);
	pthread_join(thread, nullptr);
	printf("# broken %u times, worked %u times\n", broken, worked);
	CHECK(!outside && broken > 0);
}

int main(void)
{
	profiles();
	refusals();
	lies();
	two_threads(ring_native(sizeof(struct entry)));
	two_threads(ring_wire(sizeof(struct entry)));
	lying_thread();
	TAP_END();
}
