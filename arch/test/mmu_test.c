#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/mm.h>
#include <lib/string.h>
#include <arch/ucopy.h>
#include "arch_test.h"

static const char constant[] = "constant";
static char variable[16] = "variable";

static struct arch_pte_info look(const void *p)
{
	struct arch_pte_info info = {};

	arch_query(arch_kernel_space(), (vaddr_t)p, &info);
	return info;
}

/* W^X: text, constants and data of the image, and the direct map's view of the first two. */
static void image_rights(void)
{
	struct arch_pte_info text = look((const void *)(vaddr_t)arch_test_mmu), ro = look(constant),
			     rw = look(variable), alias;

	ARCH_TEST(text.present && text.executable && !text.writable && !text.user);
	ARCH_TEST(ro.present && !ro.executable && !ro.writable);
	ARCH_TEST(rw.present && !rw.executable && rw.writable);
	alias = look(arch_phys_to_virt(text.paddr));
	ARCH_TEST(!alias.present || (!alias.writable && !alias.executable));
	alias = look(arch_phys_to_virt(ro.paddr));
	ARCH_TEST(!alias.present || (!alias.writable && !alias.executable));
	alias = look(arch_phys_to_virt(rw.paddr));
	ARCH_TEST(alias.present && alias.writable && !alias.executable && alias.paddr == rw.paddr);
}

static void kernel_mapping(void)
{
	char *p = vmap_alloc(3 * PAGE_BYTES, MMU_READ | MMU_WRITE), byte;

	ARCH_TEST(p);
	if (!p)
		return;
	memset(p, 0x5a, 3 * PAGE_BYTES);
	ARCH_TEST(p[0] == 0x5a && p[3 * PAGE_BYTES - 1] == 0x5a);
	ARCH_TEST(look(p + PAGE_BYTES).writable && !look(p).executable && !look(p).user);
	arch_protect(arch_kernel_space(), (vaddr_t)p, 1, MMU_READ);
	arch_flush(arch_kernel_space(), (vaddr_t)p, 1);
	ARCH_TEST(!look(p).writable && look(p + PAGE_BYTES).writable);
	arch_protect(arch_kernel_space(), (vaddr_t)p, 1, MMU_READ | MMU_WRITE);
	arch_flush(arch_kernel_space(), (vaddr_t)p, 1);
	vmap_free(p, 3 * PAGE_BYTES);
	ARCH_TEST(arch_copy_from_kernel_nofault(&byte, p, 1) == 1);
}

static void user_mapping(void)
{
	const vaddr_t base = ARCH_TEST_USER_BASE;
	struct arch_pte_info info;
	struct arch_space s;
	u32 word = 7;

	if (!arch_test_user_begin(&s, 2)) {
		ARCH_TEST(!"memory");
		return;
	}
	ARCH_TEST(arch_query(&s, base, &info) && info.user && info.writable && !info.executable);
	ARCH_TEST(!arch_query(&s, base + 2 * PAGE_BYTES, &info));
	ARCH_TEST(!arch_query(&s, base - PAGE_BYTES, &info));
	ARCH_TEST(!arch_user_load32((const u32 __user *)base, &word) && word == 0);
	ARCH_TEST(arch_query(&s, base, &info) && info.accessed);
	ARCH_TEST(arch_test_clear_young(&s, base));
	arch_flush(&s, base, 1);
	ARCH_TEST(arch_query(&s, base, &info) && !info.accessed);
	ARCH_TEST(!arch_test_clear_young(&s, base));
	ARCH_TEST(!arch_copy_to_user((void __user *)base, &word, 4));
	ARCH_TEST(arch_query(&s, base, &info) && info.accessed && info.dirty);

	arch_protect(&s, base, 2, MMU_READ | MMU_USER);
	arch_flush(&s, base, 2);
	ARCH_TEST(arch_query(&s, base, &info) && !info.writable && info.dirty);
	ARCH_TEST(arch_copy_to_user((void __user *)base, &word, 4) == 4);
	ARCH_TEST(!arch_user_load32((const u32 __user *)base, &word));
	arch_protect(&s, base, 2, MMU_USER); /* no right at all: kept, unreachable */
	arch_flush(&s, base, 2);
	ARCH_TEST(arch_query(&s, base, &info));
	ARCH_TEST(arch_user_load32((const u32 __user *)base, &word));
	arch_protect(&s, base, 2, MMU_READ | MMU_WRITE | MMU_USER);
	arch_flush(&s, base, 2);
	ARCH_TEST(!arch_user_load32((const u32 __user *)base, &word));
	arch_test_user_end(&s, 2);
}

void arch_test_mmu(void)
{
	struct arch_range vmap = arch_kernel_vmap_range(), modules = arch_kernel_module_range(),
			  window = arch_window_range();

	ARCH_TEST(vmap.base < vmap.end && modules.base < modules.end && window.base < window.end);
	ARCH_TEST(vmap.end <= window.base || window.end <= vmap.base);
	ARCH_TEST(arch_virt_to_phys(arch_phys_to_virt(0x1234000)) == 0x1234000);
	image_rights();
	kernel_mapping();
	user_mapping();
}
