#include <core/cpu.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/ucopy.h>
#include "arch_test.h"

static u8 buffer[256];

/* Every alignment and length around the end of a mapped page: what is not copied is exactly what
 * lies beyond. */
static void edges(vaddr_t end)
{
	bool to = true, from = true, clear = true, stored = true;

	for (size_t inside = 0; inside <= 24; inside++)
		for (size_t bytes = 1; bytes <= 48; bytes++) {
			size_t left = bytes > inside ? bytes - inside : 0;
			u8 check[48] = {};

			memset(buffer, (int)bytes, sizeof(buffer));
			to &= arch_copy_to_user((void __user *)(end - inside), buffer, bytes) ==
			      left;
			from &= arch_copy_from_user(check, (const void __user *)(end - inside),
					bytes) == left;
			for (size_t i = 0; i < bytes - left; i++)
				stored &= check[i] == (u8)bytes;
			clear &= arch_clear_user((void __user *)(end - inside), bytes) == left;
		}
	ARCH_TEST(to);
	ARCH_TEST(from);
	ARCH_TEST(stored);
	ARCH_TEST(clear);
}

void arch_test_ucopy(void)
{
	const vaddr_t base = ARCH_TEST_USER_BASE;
	u32 __user *word = (u32 __user *)base;
	struct arch_space s;
	u32 v = 9, old = 0;
	u64 data = 0x0123456789abcdef, back = 0;

	if (!arch_test_user_begin(&s, 1)) {
		ARCH_TEST(!"memory");
		return;
	}
	edges(base + PAGE_BYTES);
	ARCH_TEST(!arch_copy_to_user((void __user *)(base + 3), &data, 8)); /* unaligned */
	ARCH_TEST(!arch_copy_from_user(&back, (const void __user *)(base + 3), 8) && back == data);
	ARCH_TEST(!arch_copy_to_user(word, &v, 4));
	ARCH_TEST(!arch_user_cas32(word, 9, 10, &old) && old == 9);
	ARCH_TEST(!arch_user_cas32(word, 9, 11, &old) && old == 10);
	ARCH_TEST(!arch_user_load32(word, &v) && v == 10);
	ARCH_TEST(arch_user_load32((const u32 __user *)(base + PAGE_BYTES), &v) == -EFAULT);
	ARCH_TEST(arch_user_cas32((u32 __user *)(base + PAGE_BYTES), 1, 2, &old) == -EFAULT);
	arch_test_user_end(&s, 1);
	ARCH_TEST(!arch_copy_from_kernel_nofault(&back, &data, 8) && back == data);
	ARCH_TEST(arch_copy_from_kernel_nofault(&back, (const void *)8, 8) == 8);
	ARCH_TEST(arch_copy_from_kernel_nofault(&back, (const void *)base, 8) == 8);
}
