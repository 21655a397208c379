/*
 * Time.
 *
 * Purpose: nanoseconds from the TSC, one-shot timer of each CPU's local APIC, delays at boot.
 *
 * Invariants: X86-C4 the TSCs of all CPUs run together (checked nowhere: CAVEATS). X86-C5 a
 * deadline in the past fires at once: the count written is never 0. Calibration: both clocks are
 * read against the ACPI PM timer (3.579545 MHz, ACPI 6.5, 4.8.3.3), or the 8254's channel 2 where
 * there is none, over 10 ms; CPUID leaf 15h is believed where it is complete.
 *
 * Cost: arch_time_now_ns is RDTSC, a 64x64 multiplication and a shift.
 */
#include <core/log.h>
#include <core/cpu.h>
#include "x86.h"

#define PM_TIMER_HZ         3579545ull
#define PIT_HZ              1193182ull
#define CALIBRATE_NS        (10 * NSEC_PER_MSEC)

#define APIC_LVT_TIMER      0x320u
#define APIC_TIMER_INITIAL  0x380u
#define APIC_TIMER_CURRENT  0x390u
#define APIC_TIMER_DIVIDE   0x3e0u
#define APIC_TIMER_DEADLINE (2u << 17)
#define APIC_LVT_MASKED     (1u << 16)
#define APIC_DIVIDE_BY_1    0xbu

static struct {
	u64 base_cycles;
	u64 mult; /* ns = cycles * mult >> 32 */
	u64 tsc_hz;
	u64 apic_hz;
	u64 apic_mult;  /* APIC ticks = ns * apic_mult >> 32 */
	u64 tsc_per_ns; /* the same for the TSC, for the deadline mode */
} x86_clock;

static inline u64 x86_tsc_ordered(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (u64)hi << 32;
}

static inline u64 x86_mul_shift32(u64 a, u64 b)
{
	return (u64)((unsigned __int128)a * b >> 32);
}

ktime_t arch_time_now_ns(void)
{
	return (ktime_t)x86_mul_shift32(x86_tsc_ordered() - x86_clock.base_cycles, x86_clock.mult);
}

void x86_delay_ns(u64 ns)
{
	u64 start = x86_tsc_ordered();

	while (x86_mul_shift32(x86_tsc_ordered() - start, x86_clock.mult) < ns)
		arch_cpu_relax();
}

/* The reference: a free running count and its frequency. PM timer: 24 bits at least. */
static u32 x86_pm_read(void)
{
	return x86_in32(x86_acpi.pm_timer_port) & 0xffffff;
}

struct x86_sample {
	u64 tsc, apic, reference;
};

/* All counters at one instant: of several tries the one with the least time between its ends. */
static struct x86_sample x86_sample_pm(void)
{
	struct x86_sample best = {};
	u64 least = ~0ull;

	for (u32 i = 0; i < 8; i++) {
		u64 before = x86_tsc_ordered(), span;
		u32 reference = x86_pm_read(), apic = x86_apic_read(APIC_TIMER_CURRENT);

		span = x86_tsc_ordered() - before;
		if (span >= least)
			continue;
		least = span;
		best = (struct x86_sample){before + span / 2, apic, reference};
	}
	return best;
}

/* What passed in CALIBRATE_NS by the PM timer. The APIC timer counts down from its maximum. */
static struct x86_sample x86_measure_pm(void)
{
	struct x86_sample start = x86_sample_pm(), end;
	u32 want = PM_TIMER_HZ * CALIBRATE_NS / NSEC_PER_SEC;

	while (((x86_pm_read() - start.reference) & 0xffffff) < want)
		arch_cpu_relax();
	end = x86_sample_pm();
	return (struct x86_sample){end.tsc - start.tsc, start.apic - end.apic,
		(end.reference - start.reference) & 0xffffff};
}

/* 8254 channel 2 in mode 0, gate by port 61h bit 0, output in bit 5. Disturbances only lengthen a
 * round: the shortest of three counts. */
static struct x86_sample x86_measure_pit(void)
{
	u32 count = PIT_HZ * CALIBRATE_NS / NSEC_PER_SEC;
	u8 gate = (x86_in8(0x61) & 0xfc) | 1;
	struct x86_sample best = {.tsc = ~0ull};

	for (u32 i = 0; i < 3; i++) {
		u32 tries = 10000000;
		u64 tsc = x86_tsc_ordered(), apic = x86_apic_read(APIC_TIMER_CURRENT);

		x86_out8(0x61, gate);
		x86_out8(0x43, 0xb0);
		x86_out8(0x42, (u8)count);
		x86_out8(0x42, (u8)(count >> 8));
		while (!(x86_in8(0x61) & 0x20) && --tries)
			;
		tsc = x86_tsc_ordered() - tsc;
		if (tsc < best.tsc)
			best = (struct x86_sample){tsc, apic - x86_apic_read(APIC_TIMER_CURRENT),
				count};
	}
	return best;
}

/* (a << 32) / b; the quotient must fit: b > a >> 32 */
static u64 x86_shift32_div(u64 a, u64 b)
{
	u64 quotient, rest;

	__asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"(a << 32), "d"(a >> 32), "r"(b) : "cc");
	return quotient;
}

static void x86_clock_set(u64 tsc_hz, u64 apic_hz)
{
	x86_clock.tsc_hz = tsc_hz;
	x86_clock.apic_hz = apic_hz;
	x86_clock.mult = x86_shift32_div(NSEC_PER_SEC, tsc_hz);
	x86_clock.apic_mult = x86_shift32_div(apic_hz, NSEC_PER_SEC);
	x86_clock.tsc_per_ns = x86_shift32_div(tsc_hz, NSEC_PER_SEC);
}

/* Context: boot CPU, local APIC on, before the first use of the clock. */
void x86_timer_calibrate(void)
{
	struct x86_cpuid leaf = {};
	struct x86_sample m;
	u64 hz, tsc, apic;

	x86_clock.base_cycles = x86_tsc_ordered();
	x86_apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	x86_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
	x86_apic_write(APIC_TIMER_INITIAL, ~0u);
	hz = x86_acpi.pm_timer_port ? PM_TIMER_HZ : PIT_HZ;
	m = x86_acpi.pm_timer_port ? x86_measure_pm() : x86_measure_pit();
	x86_apic_write(APIC_TIMER_INITIAL, 0);
	tsc = m.tsc * hz / m.reference;
	apic = m.apic * hz / m.reference;
	if (x86_features.max_leaf >= 0x15)
		leaf = x86_cpuid(0x15, 0); /* TSC = crystal (ECX) * EBX / EAX */
	if (leaf.a && leaf.b && leaf.c)
		tsc = (u64)leaf.c * leaf.b / leaf.a;
	x86_clock_set(MAX(tsc, 1000000ull), MAX(apic, 1000ull));
	log_info("x86: TSC %lu kHz, APIC timer %lu kHz", x86_clock.tsc_hz / 1000,
		x86_clock.apic_hz / 1000);
}

void x86_timer_cpu_setup(void)
{
	x86_apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	x86_apic_write(APIC_LVT_TIMER,
		VECTOR_TIMER | (x86_features.tsc_deadline ? APIC_TIMER_DEADLINE : 0));
	/* SDM volume 3, 11.5.4.1: the mode is in force before the first WRMSR of a deadline */
	if (x86_features.tsc_deadline)
		__asm__ volatile("mfence" : : : "memory");
}

void arch_timer_set(ktime_t deadline_ns)
{
	ktime_t now;
	u64 ticks;

	if (deadline_ns == KTIME_MAX) {
		if (x86_features.tsc_deadline)
			x86_wrmsr(MSR_TSC_DEADLINE, 0);
		else
			x86_apic_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = arch_time_now_ns();
	ticks = deadline_ns > now ? (u64)(deadline_ns - now) : 1;
	if (x86_features.tsc_deadline) {
		ticks = x86_mul_shift32(MIN(ticks, 1ull << 50), x86_clock.tsc_per_ns);
		x86_wrmsr(MSR_TSC_DEADLINE, x86_tsc_ordered() + ticks + 1);
		return;
	}
	ticks = x86_mul_shift32(ticks, x86_clock.apic_mult) + 1;
	/* a deadline beyond the counter fires early: core finds nothing due and sets it again */
	x86_apic_write(APIC_TIMER_INITIAL, (u32)MIN(ticks, 0xffffffffull));
}

void arch_clock_params(struct arch_clock_params *out)
{
	*out = (struct arch_clock_params){
		.base_cycles = x86_clock.base_cycles,
		.mult = x86_clock.mult,
		.shift = 32,
		.vdso_mode = 1,
	};
}

extern const u8 x86_vdso_begin[], x86_vdso_end[];

/* The C library brings its own restorer (SA_RESTORER), so there is no sigreturn here. */
struct arch_vdso arch_vdso_image(void)
{
	return (struct arch_vdso){
		.image = x86_vdso_begin,
		.bytes = (size_t)(x86_vdso_end - x86_vdso_begin),
	};
}

/* MC146818: registers by ports 70h and 71h. Read twice until equal, so that no update falls
 * between. */
static u8 x86_cmos(u8 reg)
{
	x86_out8(0x70, reg | 0x80);
	return x86_in8(0x71);
}

static u32 x86_cmos_number(u8 v, bool binary)
{
	return binary ? v : (v & 0xfu) + (v >> 4) * 10u;
}

s64 arch_wall_clock_seconds(void)
{
	static const u8 regs[6] = {0, 2, 4, 7, 8, 9};
	u8 raw[6], again[6], status = x86_cmos(0x0b);
	u32 v[6], tries = 0;
	s64 year, month, days;
	bool same;

	do {
		same = true;
		while (x86_cmos(0x0a) & 0x80 && ++tries < 100000)
			;
		for (u32 i = 0; i < 6; i++)
			raw[i] = x86_cmos(regs[i]);
		for (u32 i = 0; i < 6; i++) {
			again[i] = x86_cmos(regs[i]);
			same &= again[i] == raw[i];
		}
	} while (!same && ++tries < 100000);
	for (u32 i = 0; i < 6; i++)
		v[i] = x86_cmos_number(i == 2 ? raw[i] & 0x7f : raw[i], status & 4);
	if (!(status & 2)) { /* 12-hour mode */
		v[2] %= 12;
		if (raw[2] & 0x80)
			v[2] += 12;
	}
	if (!v[3] || v[3] > 31 || !v[4] || v[4] > 12)
		return 0;
	/* days from the civil date, March as the first month; years 2000-2099 */
	year = 2000 + (s64)v[5] - (v[4] <= 2);
	month = (v[4] + 9) % 12;
	days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + (s64)v[3] -
	       1 - 719468;
	return ((days * 24 + v[2]) * 60 + v[1]) * 60 + v[0];
}
