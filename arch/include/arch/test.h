#pragma once
/*
 * Checks of the port contract (arch/test), the same on every port, in debug and asan kernels:
 * `archtest` on the command line runs them in the init thread instead of the first program. TAP
 * goes to the kernel log, each line after "archtest: ".
 */
#if UMKA_DEBUG
/* Context: init thread, interrupts on, every CPU started. Powers off; returns only when the machine
 * cannot. */
void arch_test_main(void);
#else
static inline void arch_test_main(void)
{
}
#endif
