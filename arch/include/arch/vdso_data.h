#pragma once
/*
 * The page that core shares read-only with the vDSO of every process. It is mapped directly BELOW
 * the vDSO image: the image reaches it at (start of image - PAGE_BYTES).
 *
 * Reading: seq = load_acquire(seq) until even; read the fields; again while seq changed. Core
 * writes under its own lock, raising seq before and after (odd while it writes).
 *
 *   monotonic = ((cycles - base_cycles) * mult) >> shift, in 128 bits where the product can exceed
 * 64 realtime = monotonic + wall_offset_ns        boottime = monotonic + boot_offset_ns Coarse
 * clocks are the same values: nothing ticks. mode 0: no usable counter, make the system call. All
 * fields are of the machine's byte order; the layout is the same on 32 and 64 bits.
 */
#include <lib/types.h>
struct vdso_data {
	u32 seq;
	u32 mode;
	u64 base_cycles;
	u64 mult;
	u32 shift;
	u32 reserved;
	s64 wall_offset_ns;
	s64 boot_offset_ns;
	u32 nr_cpus;
	u32 resolution_ns; /* clock_getres(2) of the precise clocks */
};
static_assert(sizeof(struct vdso_data) == 56);
