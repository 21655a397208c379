/* Runner of the port's checks, and the user range that several of them need. */
#include <core/log.h>
#include <core/lock.h>
#include <core/mm.h>
#include <arch/test.h>
#include "arch_test.h"

static atomic32_t nr_checks, nr_failed;

void arch_test_check(bool ok, const char *condition, const char *function, u32 line)
{
	atomic32_fetch_add(&nr_checks, 1);
	if (ok)
		return;
	atomic32_fetch_add(&nr_failed, 1);
	log_printf(LOG_ERR, "archtest: # %s:%u: %s\n", function, line, condition);
}

static void run(u32 number, const char *name, void (*test)(void))
{
	u32 failed = atomic32_load(&nr_failed), checks = atomic32_load(&nr_checks);

	test();
	log_printf(LOG_ERR, "archtest: %sok %u - %s # %u checks\n",
		atomic32_load(&nr_failed) > failed ? "not " : "", number, name,
		atomic32_load(&nr_checks) - checks);
}

void arch_test_main(void)
{
	log_printf(LOG_ERR, "archtest: 1..6\n");
	run(1, "cpu", arch_test_cpu);
	run(2, "time", arch_test_time);
	run(3, "mmu", arch_test_mmu);
	run(4, "ucopy", arch_test_ucopy);
	run(5, "context", arch_test_context);
	run(6, "trap", arch_test_trap);
	log_printf(LOG_ERR, "archtest: end, %u checks, %u failed\n", atomic32_load(&nr_checks),
		atomic32_load(&nr_failed));
	arch_power_off();
}

bool arch_test_user_begin(struct arch_space *s, size_t nr_pages)
{
	word_t irq;

	if (arch_space_init(s))
		return false;
	for (size_t i = 0; i < nr_pages; i++) {
		struct frame *f = frame_alloc(0, FRAME_ALLOC_ZERO, nullptr);

		if (!f || arch_map(s, ARCH_TEST_USER_BASE + i * PAGE_BYTES, frame_paddr(f), 1,
				  MMU_READ | MMU_WRITE | MMU_USER))
			return false;
	}
	preempt_disable();
	irq = arch_irq_save();
	arch_space_activate(s);
	arch_irq_restore(irq);
	return true;
}

void arch_test_user_end(struct arch_space *s, size_t nr_pages)
{
	word_t irq = arch_irq_save();

	arch_space_activate(nullptr);
	arch_irq_restore(irq);
	preempt_enable();
	for (size_t i = 0; i < nr_pages; i++) {
		struct arch_pte_info info;

		if (arch_query(s, ARCH_TEST_USER_BASE + i * PAGE_BYTES, &info))
			frame_free(frame_of(info.paddr), 0);
	}
	arch_space_destroy(s);
}
