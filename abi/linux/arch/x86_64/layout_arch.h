#pragma once
/* Part of test/layout.c: the signal frame of x86-64. */
#include "frame.h"
SAME_SIZE(struct user_sigcontext, struct sigcontext);
SAME(struct user_sigcontext, sp, struct sigcontext, rsp);
SAME(struct user_sigcontext, flags, struct sigcontext, eflags);
SAME(struct user_sigcontext, cs, struct sigcontext, cs);
SAME(struct user_sigcontext, err, struct sigcontext, err);
SAME(struct user_sigcontext, cr2, struct sigcontext, cr2);
SAME(struct user_sigcontext, fpstate, struct sigcontext, fpstate);
SAME_SIZE(struct user_ucontext, struct ucontext);
SAME(struct user_ucontext, stack, struct ucontext, uc_stack);
SAME(struct user_ucontext, mcontext, struct ucontext, uc_mcontext);
SAME(struct user_ucontext, sigmask, struct ucontext, uc_sigmask);
static_assert(offsetof(struct rt_frame, uc) == 8);
