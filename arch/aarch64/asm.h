#pragma once
/* Offsets and numbers for assembly; trap.c asserts them against the C structures. */
#define TASK_WORK      0
#define ARCH_SELF      0
#define ARCH_STACK_TOP 8
#define ARCH_CPU       16

#define REGS_X(n)      ((n) * 8)
#define REGS_SP        248
#define REGS_PC        256
#define REGS_PSTATE    264
#define REGS_ORIG_X0   272
#define REGS_SYSCALL   280
#define REGS_BYTES     288

#if UMKA_ASAN
#define STACK_BYTES 65536
#else
#define STACK_BYTES 16384
#endif
/* Below this much an exception from core goes to the overflow stack. */
#define STACK_RESERVE          512

#define A64_IMAGE_LINK         0xffffb00000000000 /* A64_IMAGE_BASE */

/*
 * SCTLR_EL1 (Arm ARM D19.2): M C I; SA SA0 stack alignment; DZE UCT UCI cache maintenance and
 * identification from EL0; WFI and WFE at EL0 not trapped; SPAN 0: PAN is set by exceptions; the
 * rest are bits that read as one on older CPUs (EIS EOS ITD SED TSCXT nTLSMD LSMAOE).
 */
#define SCTLR_VALUE            0x3455d99d
/* MAIR_EL1: 0 write-back memory, 1 Device-nGnRE, 2 Normal non-cacheable */
#define MAIR_VALUE             0x4404ff
/* TCR_EL1 without IPS, AS, HA, HD: T0SZ T1SZ 16, 4 KiB granules, inner shareable write-back walks,
 * TBI0 as Linux has it */
#define TCR_VALUE              0x20b5103510
#define TRAP_AREA_STRIDE_SHIFT 16
