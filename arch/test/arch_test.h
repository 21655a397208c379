#pragma once
/* What the files of arch/test share; the way in is arch/test.h. */
#include <lib/types.h>

#define ARCH_TEST(condition) arch_test_check(condition, #condition, __func__, __LINE__)
/* Records one check; a failure names the condition. Context: thread. */
void arch_test_check(bool ok, const char *condition, const char *function, u32 line);

void arch_test_cpu(void);
void arch_test_time(void);
void arch_test_mmu(void);
void arch_test_ucopy(void);
void arch_test_context(void);
void arch_test_trap(void);

/* A user range of the running CPU's own: preemption stays off between the two. */
#define ARCH_TEST_USER_BASE ((vaddr_t)0x10000000)
struct arch_space;
bool arch_test_user_begin(struct arch_space *s, size_t nr_pages);
void arch_test_user_end(struct arch_space *s, size_t nr_pages);
