#pragma once
/* Part of test/layout.c: the signal frame of AArch64. */
#include "frame.h"
SAME_SIZE(struct user_sigcontext, struct sigcontext);
SAME(struct user_sigcontext, sp, struct sigcontext, sp);
SAME(struct user_sigcontext, pstate, struct sigcontext, pstate);
SAME(struct user_sigcontext, records, struct sigcontext, __reserved);
SAME_SIZE(struct user_ucontext, struct ucontext);
SAME(struct user_ucontext, stack, struct ucontext, uc_stack);
SAME(struct user_ucontext, sigmask, struct ucontext, uc_sigmask);
SAME(struct user_ucontext, mcontext, struct ucontext, uc_mcontext);
SAME_SIZE(struct record_head, struct _aarch64_ctx);
