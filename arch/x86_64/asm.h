#pragma once
/* Offsets and numbers for assembly; trap.c asserts them against the C structures. */
#define CPU_CURRENT   0
#define CPU_KERNEL_SP 8
#define CPU_USER_SP   16
#define CPU_SELF      24
#define TASK_WORK     0

#define REGS_R11      48
#define REGS_CX       88
#define REGS_IP       128
#define REGS_CS       136
#define REGS_FLAGS    144
#define REGS_SP       152
#define REGS_BYTES    168
