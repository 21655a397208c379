#pragma once
/*
 * What the vDSOs of all ports share: clocks out of the data page that core keeps below the image
 * (arch/vdso_data.h). The code runs in user mode. A port's vdso.c says before it includes this how
 * the counter is read, how a loop waits, what orders loads, and how the kernel is called; it
 * exports these functions under its own names.
 */
#include <arch/vdso_data.h>
#include <lib/atomic.h>

#define NSEC_PER_SEC_U 1000000000u
#define EXPORT         __attribute__((visibility("default")))

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

/* The port's. */
static inline long vdso_call2(long nr, long a, long b);
static inline u64 vdso_cycles(void);
static inline void vdso_relax(void);
static inline void vdso_loads_done(void);

static inline const struct vdso_data *vdso_data(void)
{
	return (const struct vdso_data *)(__ehdr_start - 4096);
}

enum vdso_base { VDSO_MONOTONIC, VDSO_WALL, VDSO_BOOT };

/* Nanoseconds of that clock; false: no counter. */
static inline bool vdso_now(enum vdso_base base, s64 *ns)
{
	const struct vdso_data *d = vdso_data();
	u32 seq;

	do {
		while ((seq = shared_load_acquire(&d->seq)) & 1)
			vdso_relax();
		if (!READ_ONCE(d->mode))
			return false;
		*ns = (s64)((unsigned __int128)(vdso_cycles() - d->base_cycles) * d->mult >>
			    d->shift);
		if (base == VDSO_WALL)
			*ns += d->wall_offset_ns;
		else if (base == VDSO_BOOT)
			*ns += d->boot_offset_ns;
		vdso_loads_done(); /* before the next look */
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

static inline int vdso_clock_gettime(s32 clock, struct vdso_timespec *out)
{
	enum vdso_base base;
	s64 ns;

	if (!vdso_clock_base(clock, &base) || !vdso_now(base, &ns) || ns < 0)
		return (int)vdso_call2(NR_CLOCK_GETTIME, clock, (long)out);
	out->seconds = (s64)((u64)ns / NSEC_PER_SEC_U);
	out->nanoseconds = (s64)((u64)ns % NSEC_PER_SEC_U);
	return 0;
}

static inline int vdso_clock_getres(s32 clock, struct vdso_timespec *out)
{
	return (int)vdso_call2(NR_CLOCK_GETRES, clock, (long)out);
}

static inline int vdso_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz)
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
