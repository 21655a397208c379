#pragma once
/* The signal frame of x86-64, as Linux lays it out. */
#include "../../layout.h"

struct user_sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};
static_assert(sizeof(struct user_sigcontext) == 256);
struct user_ucontext {
	u64 flags, link;
	struct user_stack stack;
	struct user_sigcontext mcontext;
	u64 sigmask;
};
static_assert(sizeof(struct user_ucontext) == 304);
struct rt_frame {
	u64 restorer;
	struct user_ucontext uc;
	struct user_siginfo info;
};
