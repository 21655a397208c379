/*
 * User copies: page by page over the tables of the current space. A page that is not there is a
 * page fault, as on hardware.
 *
 * Invariants: HOST-U1 between host_user_begin and _end no interrupt is taken, so the task stays on
 * its CPU. WHY programs' memory is copied without ThreadSanitizer: what two threads of a program do
 * to it at once is their own affair.
 */
#include <core/cpu.h>
#include <core/frame.h>
#include <core/mm.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/trap.h>
#include <arch/ucopy.h>
#include "host.h"

void __tsan_write_range(void *at, size_t bytes);
void __tsan_read_range(void *at, size_t bytes);

enum ucopy_kind { UCOPY_IN, UCOPY_OUT, UCOPY_CLEAR };

#if HOST_TSAN
__attribute__((no_sanitize("thread"))) static void move(u8 *to, const u8 *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((volatile u8 *)to)[i] = from ? from[i] : 0;
}
/* The contents of files: read(2), write(2), mappings and the disk meet there without a lock, as on
 * Linux, and each byte is old or new. */
static bool in_file_page(const void *core)
{
	vaddr_t at = (vaddr_t)core;
	struct frame *f = at >= DIRECT_MAP_BASE && at < DIRECT_MAP_BASE + os_config.memory_bytes
				  ? frame_of(arch_virt_to_phys(core))
				  : nullptr;

	return f && !(frame_flags(f) & FRAME_SLAB) && READ_ONCE(f->object);
}
static void copy(u8 *user, void *core, size_t bytes, enum ucopy_kind kind)
{
	bool told = kind != UCOPY_CLEAR && !in_file_page(core);

	switch (kind) {
	case UCOPY_IN:
		if (told)
			__tsan_write_range(core, bytes);
		move(core, user, bytes);
		break;
	case UCOPY_OUT:
		if (told)
			__tsan_read_range(core, bytes);
		move(user, core, bytes);
		break;
	case UCOPY_CLEAR:
		move(user, nullptr, bytes);
		break;
	}
}
#else
static void copy(u8 *user, void *core, size_t bytes, enum ucopy_kind kind)
{
	switch (kind) {
	case UCOPY_IN:
		memcpy(core, user, bytes);
		break;
	case UCOPY_OUT:
		memcpy(user, core, bytes);
		break;
	case UCOPY_CLEAR:
		memset(user, 0, bytes);
		break;
	}
}
#endif

/* The page of va, after as many faults as it takes. */
static bool user_page(vaddr_t va, bool write, struct host_walk *w)
{
	while (!host_user_begin(va, write, w)) {
		struct arch_regs regs = {.nr = ~(word_t)0};
		word_t irq = host_cpu()->irq_off;
		bool again =
			trap_page_fault(&regs, va, write ? TRAP_WRITE : TRAP_READ, false, false);

		arch_irq_restore(irq);
		if (!again)
			return false;
	}
	return true;
}

static size_t user_copy(vaddr_t user, void *core, size_t bytes, enum ucopy_kind kind)
{
	while (bytes) {
		size_t at = user & (PAGE_BYTES - 1), part = MIN(bytes, PAGE_BYTES - at);
		struct host_walk w;

		if (!user_page(user, kind != UCOPY_IN, &w))
			return bytes;
		copy(w.page + at, core, part, kind);
		host_user_end(&w);
		user += part;
		core = (u8 *)core + (kind == UCOPY_CLEAR ? 0 : part);
		bytes -= part;
	}
	return 0;
}

size_t arch_copy_from_user(void *dst, const void __user *src, size_t bytes)
{
	return user_copy((vaddr_t)src, dst, bytes, UCOPY_IN);
}
size_t arch_copy_to_user(void __user *dst, const void *src, size_t bytes)
{
	return user_copy((vaddr_t)dst, (void *)src, bytes, UCOPY_OUT);
}
size_t arch_clear_user(void __user *dst, size_t bytes)
{
	return user_copy((vaddr_t)dst, nullptr, bytes, UCOPY_CLEAR);
}

int arch_user_load32(const u32 __user *p, u32 *out)
{
	struct host_walk w;

	if (!IS_ALIGNED((vaddr_t)p, 4) || !user_page((vaddr_t)p, false, &w))
		return -EFAULT;
	*out = shared_load_seq((u32 *)(w.page + ((vaddr_t)p & (PAGE_BYTES - 1))));
	host_user_end(&w);
	return 0;
}

int arch_user_cas32(u32 __user *p, u32 expected, u32 desired, u32 *old)
{
	struct host_walk w;

	if (!IS_ALIGNED((vaddr_t)p, 4) || !user_page((vaddr_t)p, true, &w))
		return -EFAULT;
	*old = expected;
	shared_cas((u32 *)(w.page + ((vaddr_t)p & (PAGE_BYTES - 1))), old, desired);
	host_user_end(&w);
	return 0;
}

size_t arch_copy_from_kernel_nofault(void *dst, const void *src, size_t bytes)
{
	return os_read_nofault(dst, src, bytes);
}
