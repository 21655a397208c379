/*
 * The vDSO: clocks and CPU number without entering the kernel (vdso(7)). Runs in user mode in every
 * process; reads the data page that core keeps below the image (core/vdso_data.h). What it cannot
 * answer it asks by a system call, so each function behaves as the call of its name.
 */
#include <core/vdso_data.h>

#define NR_GETTIMEOFDAY  96
#define NR_CLOCK_GETTIME 228
#define NR_CLOCK_GETRES  229
#define CPU_SELECTOR     0x7b /* its limit is this CPU's number (cpu.c) */
#define NSEC_PER_SEC_U   1000000000u
#define EXPORT           __attribute__((visibility("default")))

struct vdso_timespec {
	s64 seconds, nanoseconds;
};
struct vdso_timeval {
	s64 seconds, microseconds;
};
struct vdso_timezone {
	s32 minutes_west, dst;
};

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

EXPORT int __vdso_clock_gettime(s32 clock, struct vdso_timespec *out);
EXPORT int __vdso_clock_getres(s32 clock, struct vdso_timespec *out);
EXPORT int __vdso_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz);
EXPORT s64 __vdso_time(s64 *out);
EXPORT int __vdso_getcpu(u32 *cpu, u32 *node, void *unused);

static inline long vdso_call2(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

static inline const struct vdso_data *vdso_data(void)
{
	return (const struct vdso_data *)(__ehdr_start - 4096);
}

static inline u64 vdso_cycles(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (u64)hi << 32;
}

enum vdso_base { VDSO_MONOTONIC, VDSO_WALL, VDSO_BOOT };

/* Nanoseconds of that clock; false: no counter. */
static inline bool vdso_now(enum vdso_base base, s64 *ns)
{
	const struct vdso_data *d = vdso_data();
	u32 seq;

	do {
		while ((seq = __atomic_load_n(&d->seq, __ATOMIC_ACQUIRE)) & 1)
			__asm__ volatile("pause");
		if (!READ_ONCE(d->mode))
			return false;
		*ns = (s64)((unsigned __int128)(vdso_cycles() - d->base_cycles) * d->mult >>
			    d->shift);
		if (base == VDSO_WALL)
			*ns += d->wall_offset_ns;
		else if (base == VDSO_BOOT)
			*ns += d->boot_offset_ns;
		/* the loads above are done before the next look: x86 keeps loads in order */
		__asm__ volatile("" : : : "memory");
	} while (READ_ONCE(d->seq) != seq);
	return true;
}

static inline bool vdso_clock_base(s32 clock, enum vdso_base *base)
{
	switch (clock) {
	case 0:  /* CLOCK_REALTIME */
	case 5:  /* CLOCK_REALTIME_COARSE */
	case 11: /* CLOCK_TAI */
		*base = VDSO_WALL;
		return true;
	case 1: /* CLOCK_MONOTONIC */
	case 4: /* CLOCK_MONOTONIC_RAW */
	case 6: /* CLOCK_MONOTONIC_COARSE */
		*base = VDSO_MONOTONIC;
		return true;
	case 7: /* CLOCK_BOOTTIME */
		*base = VDSO_BOOT;
		return true;
	default:
		return false;
	}
}

int __vdso_clock_gettime(s32 clock, struct vdso_timespec *out)
{
	enum vdso_base base;
	s64 ns;

	if (!vdso_clock_base(clock, &base) || !vdso_now(base, &ns) || ns < 0)
		return (int)vdso_call2(NR_CLOCK_GETTIME, clock, (long)out);
	out->seconds = (s64)((u64)ns / NSEC_PER_SEC_U);
	out->nanoseconds = (s64)((u64)ns % NSEC_PER_SEC_U);
	return 0;
}

int __vdso_clock_getres(s32 clock, struct vdso_timespec *out)
{
	return (int)vdso_call2(NR_CLOCK_GETRES, clock, (long)out);
}

int __vdso_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz)
{
	s64 ns;

	if (tz || !vdso_now(VDSO_WALL, &ns) || ns < 0)
		return (int)vdso_call2(NR_GETTIMEOFDAY, (long)tv, (long)tz);
	if (tv) {
		tv->seconds = (s64)((u64)ns / NSEC_PER_SEC_U);
		tv->microseconds = (s64)((u64)ns % NSEC_PER_SEC_U / 1000);
	}
	return 0;
}

s64 __vdso_time(s64 *out)
{
	struct vdso_timespec now;

	if (__vdso_clock_gettime(0, &now))
		return -1;
	if (out)
		*out = now.seconds;
	return now.seconds;
}

int __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	u32 limit;

	(void)unused;
	__asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(CPU_SELECTOR));
	if (cpu)
		*cpu = limit;
	if (node)
		*node = 0;
	return 0;
}

#define WEAK_ALIAS(name) __attribute__((weak, visibility("default"), alias(#name)))
WEAK_ALIAS(__vdso_clock_gettime) int clock_gettime(s32 clock, struct vdso_timespec *out);
WEAK_ALIAS(__vdso_clock_getres) int clock_getres(s32 clock, struct vdso_timespec *out);
WEAK_ALIAS(__vdso_gettimeofday) int gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz);
WEAK_ALIAS(__vdso_time) s64 time(s64 *out);
WEAK_ALIAS(__vdso_getcpu) int getcpu(u32 *cpu, u32 *node, void *unused);
