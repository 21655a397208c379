#pragma once
#include <lib/types.h>
/* Monotonic nanoseconds since boot; any context; same on all CPUs. */
ktime_t arch_time_now_ns(void);
/* One-shot timer of this CPU, absolute on the clock above; KTIME_MAX: off. Interrupts off. Fires
 * irq_timer(). */
void arch_timer_set(ktime_t deadline_ns);
/* What the vDSO needs to compute the clock: core updates it through core/time/vdso.c. */
struct arch_clock_params {
	u64 base_cycles, mult, shift; /* ns = ((cycles - base) * mult) >> shift */
	u32 vdso_mode;                /* 0: vDSO must make the system call */
};
void arch_clock_params(struct arch_clock_params *out);
/* The vDSO image of the port: page aligned start and size. */
struct arch_vdso {
	const void *image;
	size_t bytes;
	size_t sigreturn_offset; /* 0: none */
};
struct arch_vdso arch_vdso_image(void);
/* Wall clock at boot if arch knows one without a driver (CMOS, PL031), else 0. Seconds since 1970
 * UTC. */
s64 arch_wall_clock_seconds(void);
