#pragma once
/* The signal frame of AArch64, as Linux lays it out
 * (arch/arm64/include/uapi/asm/{sigcontext,ucontext}.h). */
#include "../../layout.h"

#define RECORDS_BYTES 4096u
struct user_sigcontext {
	u64 fault_address, regs[31], sp, pc, pstate;
	u8 records[RECORDS_BYTES] __aligned(16); /* chain of {magic, size}: FP state, ESR, ...,
						    ended by zeros */
};
struct user_ucontext {
	u64 flags, link;
	struct user_stack stack;
	u64 sigmask;
	u8 unused[120];
	struct user_sigcontext mcontext;
};
struct rt_frame {
	struct user_siginfo info;
	struct user_ucontext uc;
};
struct frame_record {
	u64 fp, lr;
};
struct record_head {
	u32 magic, size;
};
