/* The vDSO (vdso(7)): clocks and CPU number without entering the kernel. What it cannot answer it
 * asks by a system call, so each function behaves as the call of its name. */
#define NR_GETTIMEOFDAY  96
#define NR_CLOCK_GETTIME 228
#define NR_CLOCK_GETRES  229
#include <arch/vdso.h>

#define CPU_SELECTOR 0x7b /* its limit is this CPU's number (cpu.c) */

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

static inline u64 vdso_cycles(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (u64)hi << 32;
}

static inline void vdso_relax(void)
{
	__asm__ volatile("pause");
}

static inline void vdso_loads_done(void)
{
	__asm__ volatile("" : : : "memory"); /* x86 keeps loads in order */
}

int __vdso_clock_gettime(s32 clock, struct vdso_timespec *out)
{
	return vdso_clock_gettime(clock, out);
}

int __vdso_clock_getres(s32 clock, struct vdso_timespec *out)
{
	return vdso_clock_getres(clock, out);
}

int __vdso_gettimeofday(struct vdso_timeval *tv, struct vdso_timezone *tz)
{
	return vdso_gettimeofday(tv, tz);
}

s64 __vdso_time(s64 *out)
{
	struct vdso_timespec now;

	if (vdso_clock_gettime(0, &now))
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
