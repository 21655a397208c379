#include <core/cpu.h>
#include <core/time.h>
#include <arch/time.h>
#include "arch_test.h"

void arch_test_time(void)
{
	ktime_t last = arch_time_now_ns(), now, start = last;
	struct arch_clock_params p;
	bool monotonic = true;
	u64 cycles = arch_cycles();

	for (u32 i = 0; i < 100000; i++) {
		now = arch_time_now_ns();
		monotonic &= now >= last;
		last = now;
	}
	ARCH_TEST(monotonic);
	ARCH_TEST(last > start);
	ARCH_TEST(arch_cycles() > cycles);

	arch_clock_params(&p);
	if (p.vdso_mode) { /* the same formula in the vDSO gives the same clock */
		u64 ns, ends[2];

		ends[0] = (u64)arch_time_now_ns();
		ns = (u64)((unsigned __int128)(arch_cycles() - p.base_cycles) * p.mult >> p.shift);
		ends[1] = (u64)arch_time_now_ns();
		ARCH_TEST(ns + 1000 >= ends[0] && ns <= ends[1] + 1000);
	}
	/* the clock reaches a sleeper's deadline: interrupts wake the CPU (core's timers may fire
	 * earlier: they re-arm) */
	start = arch_time_now_ns();
	while (arch_time_now_ns() < start + 2 * NSEC_PER_MSEC)
		arch_cpu_relax();
	ARCH_TEST(arch_time_now_ns() - start < NSEC_PER_SEC);
}
