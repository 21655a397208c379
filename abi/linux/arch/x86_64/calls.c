/* Calls that exist only on x86-64. */
#include <arch/context.h>
#include "../../abi.h"

#define ARCH_SET_GS    0x1001
#define ARCH_SET_FS    0x1002
#define ARCH_GET_FS    0x1003
#define ARCH_GET_GS    0x1004
#define ARCH_GET_CPUID 0x1011
#define ARCH_SET_CPUID 0x1012

answer_t sys_arch_prctl(struct call *c)
{
	struct task *t = abi_task(c);
	word_t base;

	switch (arg_int(c, 0)) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (c->args[1] >= USER_ADDR_END)
			return -EPERM;
		x86_user_base_set(t, arg_int(c, 0) == ARCH_SET_GS, c->args[1]);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		base = x86_user_base(t, arg_int(c, 0) == ARCH_GET_GS);
		return abi_copy_out(c, c->args[1], &base);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID: /* no CPU of ours faults on CPUID */
		return -ENODEV;
	default:
		return -EINVAL;
	}
}
