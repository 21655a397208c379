/*
 * Time: the generic timer (Arm ARM D12), its virtual counter and compare register.
 *
 * Invariants: A64-C3 the counters of all CPUs run together (the architecture says so). A64-C4 a
 * deadline in the past fires at once.
 *
 * Cost: arch_time_now_ns is an ISB, a system register, a 64x64 multiplication and a shift.
 */
#include <core/cpu.h>
#include <core/log.h>
#include "a64.h"

#define CNTV_ENABLE 1u
#define CNTV_MASKED 2u

static struct {
	u64 base_cycles;
	u64 mult;          /* ns = cycles * mult >> 32 */
	u64 cycles_per_ns; /* << 32 */
	u64 hz;
	volatile u8 *rtc; /* nullptr: none */
} a64_clock;

static inline u64 a64_counter(void)
{
	a64_isb(); /* not earlier than what came before */
	return a64_read(cntvct_el0);
}

static inline u64 a64_mul_shift32(u64 a, u64 b)
{
	return (u64)((unsigned __int128)a * b >> 32);
}

/* (a << 32) / b for a < 2^32, b < 2^32 or so: in two steps of 64-bit division. */
static u64 a64_shift32_div(u64 a, u64 b)
{
	u64 whole = a / b, rest = a % b, low = 0;

	for (u32 i = 0; i < 32; i++) {
		rest <<= 1;
		low <<= 1;
		if (rest >= b) {
			rest -= b;
			low |= 1;
		}
	}
	return whole << 32 | low;
}

void a64_timer_init(void)
{
	a64_clock.hz = MAX(a64_read(cntfrq_el0) & 0xffffffffu, 1000000ull);
	a64_clock.mult = a64_shift32_div(NSEC_PER_SEC, a64_clock.hz);
	a64_clock.cycles_per_ns = a64_shift32_div(a64_clock.hz, NSEC_PER_SEC);
	a64_clock.base_cycles = a64_counter();
	if (a64_dt.rtc)
		a64_clock.rtc =
			a64_fixed_map(a64_dt.rtc, PAGE_BYTES, MMU_READ | MMU_WRITE | MMU_DEVICE);
}

void a64_timer_cpu_setup(void)
{
	a64_write(cntv_ctl_el0, CNTV_ENABLE | CNTV_MASKED);
}

ktime_t arch_time_now_ns(void)
{
	return (ktime_t)a64_mul_shift32(a64_counter() - a64_clock.base_cycles, a64_clock.mult);
}

void arch_timer_set(ktime_t deadline_ns)
{
	u64 cycles;

	if (deadline_ns == KTIME_MAX) {
		a64_write(cntv_ctl_el0, CNTV_ENABLE | CNTV_MASKED);
		a64_isb();
		return;
	}
	/* rounded up, so that the clock has reached the deadline when it fires; 2^58 ns are nine
	 * years */
	cycles = deadline_ns > 0 ? a64_mul_shift32((u64)MIN(deadline_ns, (ktime_t)1 << 58),
					   a64_clock.cycles_per_ns) +
					   2
				 : 0;
	a64_write(cntv_cval_el0, a64_clock.base_cycles + cycles);
	a64_write(cntv_ctl_el0, CNTV_ENABLE);
	a64_isb();
}

void arch_clock_params(struct arch_clock_params *out)
{
	*out = (struct arch_clock_params){
		.base_cycles = a64_clock.base_cycles,
		.mult = a64_clock.mult,
		.shift = 32,
		.vdso_mode = 1,
	};
}

extern const u8 a64_vdso_begin[], a64_vdso_end[];

/* vdso.ld asserts where the trampoline lies. */
struct arch_vdso arch_vdso_image(void)
{
	return (struct arch_vdso){
		.image = a64_vdso_begin,
		.bytes = (size_t)(a64_vdso_end - a64_vdso_begin),
		.sigreturn_offset = 0x1008,
	};
}

/* PL031 (ARM DDI 0224): register 0 counts seconds since 1970. */
s64 arch_wall_clock_seconds(void)
{
	return a64_clock.rtc ? a64_mmio_read(a64_clock.rtc) : 0;
}
