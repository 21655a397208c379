/* The policy alone: core's sums are modelled in few lines; shares, bounded lag, eligibility. */
#include "../../../lib/test/tap.h"
#include "../eevdf.c"
#include <stdlib.h>

#define NR 8

static const u64 tunables[] = {3000000, 700000};
static const struct kabi_policy_ctx ctx = {.nr_tunables = 2, .stamp = 1, .tunables = tunables};
static struct sched_task task[NR];
static bool runnable[NR];

static struct sched_queue queue_of(void)
{
	struct sched_queue q = {};
	__int128 sum = 0;

	for (int i = 0; i < NR; i++)
		if (runnable[i]) {
			q.load += task[i].weight;
			sum += (__int128)task[i].minimum * task[i].weight;
			q.nr_runnable++;
		}
	q.average = q.load ? (u64)((sum + q.load - 1) / q.load) : 1ull << 40;
	return q;
}

static void add(int i, u32 weight, enum sched_place flags)
{
	struct sched_queue q = queue_of();

	task[i].weight = weight;
	eevdf_place(&ctx, &q, &task[i], flags);
	runnable[i] = true;
}

static void take_away(int i)
{
	struct sched_queue q = queue_of();

	eevdf_leave(&ctx, &q, &task[i]);
	runnable[i] = false;
}

static int pick(void)
{
	struct sched_queue q = queue_of();
	u64 limit = eevdf_limit(&ctx, &q);
	int best = -1;

	for (int i = 0; i < NR; i++)
		if (runnable[i] && task[i].minimum <= limit &&
			(best < 0 || task[i].key < task[best].key))
			best = i;
	CHECK_QUIET(best >= 0); /* somebody is always eligible */
	return best;
}

static void test_shares(void)
{
	u64 got[3] = {};

	add(0, 1024, SCHED_PLACE_NEW_TASK);
	add(1, 2048, SCHED_PLACE_NEW_TASK);
	add(2, 512, SCHED_PLACE_NEW_TASK);
	for (int i = 0; i < 20000; i++) {
		struct sched_queue q = queue_of();
		int p = pick();
		u64 ran = 100000 + (u64)rand() % 3000000;

		(void)!eevdf_charge(&ctx, &q, &task[p], ran);
		CHECK_QUIET((s64)(task[p].key - task[p].minimum) > 0);
		got[p] += ran;
	}
	CHECK(got[1] * 100 / got[0] >= 195 && got[1] * 100 / got[0] <= 205);
	CHECK(got[0] * 100 / got[2] >= 195 && got[0] * 100 / got[2] <= 205);
	for (int i = 0; i < 3; i++)
		take_away(i);
}

static void test_sleeper(void)
{
	struct sched_queue q;
	s64 lag;

	for (int i = 0; i < NR; i++)
		task[i] = (struct sched_task){};
	add(0, 1024, SCHED_PLACE_NEW_TASK);
	add(1, 1024, SCHED_PLACE_NEW_TASK);
	for (int i = 0; i < 1000; i++) {
		q = queue_of();
		(void)!eevdf_charge(&ctx, &q, &task[0], 3000000);
	}
	take_away(1);
	lag = (s64)task[1].words[WORD_LAG];
	CHECK(lag > 0 && lag <= 6000000); /* it was owed much, it keeps two slices */
	add(1, 1024, (enum sched_place)0);
	q = queue_of();
	CHECK(task[1].minimum <= q.average && pick() == 1);
	CHECK(task[1].words[WORD_LAG] == 0);
}

static void test_preemption(void)
{
	struct sched_queue q = {.average = 1000, .load = 2048};
	struct sched_task running = {.key = 5000, .minimum = 900, .run_ns = 800000},
			  woken = {.key = 4000, .minimum = 1000};

	CHECK(eevdf_preempts(&ctx, &q, &running, &woken));
	running.run_ns = 100;
	CHECK(!eevdf_preempts(&ctx, &q, &running, &woken));
	running.run_ns = 800000;
	woken.minimum = 1001;
	CHECK(!eevdf_preempts(&ctx, &q, &running, &woken));
	running.policy = SCHED_IDLE;
	CHECK(eevdf_preempts(&ctx, &q, &running, &woken));
}

int main(void)
{
	test_shares();
	test_sleeper();
	test_preemption();
	TAP_END();
}
