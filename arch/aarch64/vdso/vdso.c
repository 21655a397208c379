/* The vDSO (vdso(7)): clocks without entering the kernel. What it cannot answer it asks by a system
 * call, so each function behaves as the call of its name. */
#define NR_CLOCK_GETTIME 113
#define NR_CLOCK_GETRES  114
#define NR_GETTIMEOFDAY  169
#include <arch/vdso.h>

EXPORT int __kernel_clock_gettime(s32 clock, struct vdso_timespec *out);
EXPORT int __kernel_clock_getres(s32 clock, struct vdso_timespec *out);
EXPORT int __kernel_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz);

static inline long vdso_call2(long nr, long a, long b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
}

static inline u64 vdso_cycles(void)
{
	u64 v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}

static inline void vdso_relax(void)
{
	__asm__ volatile("yield");
}

static inline void vdso_loads_done(void)
{
	__asm__ volatile("dmb ishld" : : : "memory");
}

int __kernel_clock_gettime(s32 clock, struct vdso_timespec *out)
{
	return vdso_clock_gettime(clock, out);
}

int __kernel_clock_getres(s32 clock, struct vdso_timespec *out)
{
	return vdso_clock_getres(clock, out);
}

int __kernel_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz)
{
	return vdso_gettimeofday(tv, tz);
}
