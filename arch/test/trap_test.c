#include <core/cpu.h>
#include <core/task.h>
#include <lib/string.h>
#include <arch/mmu.h>
#include <arch/trap.h>
#include "arch_test.h"

void arch_test_trap(void)
{
	struct arch_regs *regs = arch_task_regs(current);
	struct arch_regs copy;
	vaddr_t stack = (vaddr_t)current->stack;

	/* the user frame lies at the top of the core stack, above everything that runs */
	ARCH_TEST((vaddr_t)regs > (vaddr_t)__builtin_frame_address(0));
	ARCH_TEST((vaddr_t)(regs + 1) <= stack + KERNEL_STACK_BYTES);
	ARCH_TEST((vaddr_t)(regs + 1) > stack + KERNEL_STACK_BYTES - 256 - sizeof(*regs));

	memset(&copy, 0, sizeof(copy));
	ARCH_TEST(!arch_regs_user_mode(regs) || arch_regs_pc(regs) < USER_ADDR_END);
	arch_regs_set_pc(&copy, 0x401000);
	arch_regs_set_sp(&copy, 0x7ff000);
	ARCH_TEST(arch_regs_pc(&copy) == 0x401000 && arch_regs_sp(&copy) == 0x7ff000);
	arch_syscall_set_return(&copy, 42);
	arch_syscall_restart(&copy);
	ARCH_TEST(arch_regs_pc(&copy) < 0x401000 && arch_regs_pc(&copy) >= 0x401000 - 4);
}
