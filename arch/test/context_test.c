#include <core/cpu.h>
#include <core/lock.h>
#include <core/mm.h>
#include <core/sched.h>
#include <core/task.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/ucopy.h>
#include "arch_test.h"

#define ROUNDS 1000u
static atomic32_t turns, finished;

/* Threads that yield to each other keep what they hold in registers and on their stacks. */
static void yielder(void *arg)
{
	word_t a = (word_t)arg, b = a * 3, c = a * 7, d = a * 11, e = a * 13, f = a * 17;

	for (u32 i = 0; i < ROUNDS; i++) {
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
		atomic32_fetch_add(&turns, 1);
		sched_yield_current();
	}
	ARCH_TEST(b == a * 3 && c == a * 7 && d == a * 11 && e == a * 13 && f == a * 17 &&
		  a == (word_t)arg);
	ARCH_TEST(arch_irq_enabled() && *arch_preempt_count_ptr() == 0);
	atomic32_fetch_add(&finished, 1);
	task_exit(0);
}

static void fp_area(void)
{
	const size_t bytes = arch_fpu_user_bytes(), pages = DIV_ROUND_UP(bytes, PAGE_BYTES) + 1;
	void __user *area = (void __user *)ARCH_TEST_USER_BASE;
	struct arch_space s;

	ARCH_TEST(bytes && bytes < 65536);
	ARCH_TEST(arch_fpu_save_user((void __user *)(ARCH_TEST_USER_BASE)) == -EFAULT);
	if (!arch_test_user_begin(&s, pages)) {
		ARCH_TEST(!"memory");
		return;
	}
	ARCH_TEST(!arch_fpu_save_user(area));
	ARCH_TEST(!arch_fpu_restore_user(area));
	/* an area that runs into nothing */
	ARCH_TEST(arch_fpu_restore_user((void __user *)(ARCH_TEST_USER_BASE + pages * PAGE_BYTES -
							64)) < 0);
	arch_test_user_end(&s, pages);
	arch_fpu_reset(current);
}

void arch_test_context(void)
{
	u32 started = 0;

	for (word_t i = 1; i <= 4; i++)
		started += task_kernel_thread(yielder, (void *)i, "archtest") != nullptr;
	ARCH_TEST(started == 4);
	while (atomic32_load(&finished) < started)
		sched_yield_current();
	ARCH_TEST(atomic32_load(&turns) == started * ROUNDS);
	fp_area();
}
