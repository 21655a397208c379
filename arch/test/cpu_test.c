#include <core/cpu.h>
#include <core/lock.h>
#include <lib/string.h>
#include "arch_test.h"

static __noinline u32 trace(word_t *pc, u32 nr)
{
	return arch_backtrace(0, pc, nr);
}

void arch_test_cpu(void)
{
	word_t pc[16], state, inner;
	u8 noise[2][32] = {};
	char text[64];
	u32 before, nr;

	preempt_disable();
	ARCH_TEST(arch_this_cpu() < arch_nr_cpus_present());
	ARCH_TEST(arch_this_cpu_data() == cpu_data[arch_this_cpu()]);
	ARCH_TEST(arch_this_cpu_data()->index == arch_this_cpu());
	before = *arch_preempt_count_ptr();
	*arch_preempt_count_ptr() += 1;
	ARCH_TEST(*arch_preempt_count_ptr() == before + 1);
	*arch_preempt_count_ptr() -= 1;
	preempt_enable();

	ARCH_TEST(arch_irq_enabled());
	state = arch_irq_save();
	ARCH_TEST(!arch_irq_enabled());
	inner = arch_irq_save();
	arch_irq_restore(inner);
	ARCH_TEST(!arch_irq_enabled());
	arch_irq_restore(state);
	ARCH_TEST(arch_irq_enabled());

	nr = trace(pc, ARRAY_SIZE(pc));
	ARCH_TEST(nr >= 2);
	ARCH_TEST(arch_backtrace(8, pc, ARRAY_SIZE(pc)) == 0); /* no stack: nothing, and no fault */

	if (arch_entropy(noise[0], 32) == 32 && arch_entropy(noise[1], 32) == 32)
		ARCH_TEST(memcmp(noise[0], noise[1], 32) != 0);
	/* as snprintf: the length of the whole text, of which a part is stored */
	ARCH_TEST(arch_cpuinfo(0, text, sizeof(text)) == arch_cpuinfo(0, text, 8));
	ARCH_TEST(text[7] == 0);
}
