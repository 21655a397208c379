/* Process numbers: order, reuse only after the wrap, exhaustion. */
#include "../../../lib/test/tap.h"
#include "../pid_numbers.h"
#include <stdlib.h>

#define MAX_NUMBER 400

static struct pid_number slot[MAX_NUMBER + 1];

static void test_order(void)
{
	struct pid_numbers p = {.last = 1, .max = MAX_NUMBER};
	struct pid_number one, a, b, c;

	CHECK(pid_numbers_take(&p, &one, 1) && one.number == 1);
	CHECK(pid_numbers_take(&p, &a, 0) && a.number == 2);
	CHECK(pid_numbers_take(&p, &b, 0) && b.number == 3);
	pid_numbers_give_back(&p, &a);
	CHECK(pid_numbers_take(&p, &c, 0) && c.number == 4); /* 2 is not reused at once */
	CHECK(!pid_numbers_take(&p, &a, 3));
	CHECK(!pid_numbers_take(&p, &a, MAX_NUMBER));
	CHECK(!pid_numbers_take(&p, &a, -5));
	CHECK(pid_numbers_find(&p, 3) == &b && !pid_numbers_find(&p, 2));
	CHECK(pid_numbers_next(&p, 1) == &b && !pid_numbers_next(&p, 4) &&
		!pid_numbers_next(&p, INT32_MAX));
}

static void test_wrap(void)
{
	struct pid_numbers p = {.last = MAX_NUMBER - 3, .max = MAX_NUMBER};
	struct pid_number a, b, c;

	CHECK(pid_numbers_take(&p, &a, 0) && a.number == MAX_NUMBER - 2);
	CHECK(pid_numbers_take(&p, &b, 0) && b.number == MAX_NUMBER - 1);
	CHECK(pid_numbers_take(&p, &c, 0) && c.number == PID_RESERVED);
}

static void test_full(void)
{
	struct pid_numbers p = {.last = 0, .max = MAX_NUMBER};
	struct pid_number extra;

	for (int i = 1; i < MAX_NUMBER; i++)
		CHECK_QUIET(pid_numbers_take(&p, &slot[i], 0) && slot[i].number == i);
	CHECK(p.nr == MAX_NUMBER - 1 && !pid_numbers_take(&p, &extra, 0));
	pid_numbers_give_back(&p, &slot[350]);
	CHECK(pid_numbers_take(&p, &extra, 0) && extra.number == 350);
	pid_numbers_give_back(&p,
		&slot[20]); /* below the reserved ones: only by name after the wrap */
	CHECK(!pid_numbers_take(&p, &slot[20], 0) && pid_numbers_take(&p, &slot[20], 20));
}

static void test_random(void)
{
	struct pid_numbers p = {.last = 1, .max = MAX_NUMBER};
	bool used[MAX_NUMBER + 1] = {};

	srand(7);
	for (int i = 0; i < 20000; i++) {
		int n = rand() % MAX_NUMBER;

		if (used[n]) {
			CHECK_QUIET(pid_numbers_find(&p, slot[n].number) == &slot[n]);
			pid_numbers_give_back(&p, &slot[n]);
			used[n] = false;
		} else if (pid_numbers_take(&p, &slot[n], 0)) {
			used[n] = true;
			for (int k = 0; k < MAX_NUMBER; k++)
				CHECK_QUIET(!used[k] || k == n || slot[k].number != slot[n].number);
		}
	}
	CHECK(true);
}

int main(void)
{
	test_order();
	test_wrap();
	test_full();
	test_random();
	TAP_END();
}
