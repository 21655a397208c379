/* User copies of core operations: they fault in and sleep (trap_page_fault serves faults while
 * task->fault_disabled is 0). */
#include <arch/ucopy.h>
#include <core/ucopy.h>
#include "space.h"

int ucopy_in(void *dst, vaddr_t user, size_t bytes)
{
	if (unlikely(!user_range_ok(user, bytes)))
		return -EFAULT;
	return likely(arch_copy_from_user(dst, (const void __user *)user, bytes) == 0) ? 0
										       : -EFAULT;
}

int ucopy_out(vaddr_t user, const void *src, size_t bytes)
{
	if (unlikely(!user_range_ok(user, bytes)))
		return -EFAULT;
	return likely(arch_copy_to_user((void __user *)user, src, bytes) == 0) ? 0 : -EFAULT;
}

int ucopy_clear(vaddr_t user, size_t bytes)
{
	if (unlikely(!user_range_ok(user, bytes)))
		return -EFAULT;
	return likely(arch_clear_user((void __user *)user, bytes) == 0) ? 0 : -EFAULT;
}

#define STRING_PIECE_BYTES 64u
/* In aligned pieces: most strings are short, and what lies behind the terminator's page is not
 * touched. */
sword_t ucopy_string(char *dst, vaddr_t user, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t part = MIN(size - done,
			(size_t)(STRING_PIECE_BYTES - ((user + done) & (STRING_PIECE_BYTES - 1))));
		const char *end;

		if (ucopy_in(dst + done, user + done, part))
			return -EFAULT;
		end = memchr(dst + done, '\0', part);
		if (end)
			return end - dst;
		done += part;
	}
	return -ENAMETOOLONG;
}

static sword_t remote(struct address_space *as, void *buf, vaddr_t user, size_t bytes, bool write,
	bool force)
{
	size_t done = 0;

	while (done < bytes) {
		size_t in_page = (user + done) & (PAGE_BYTES - 1),
		       part = MIN(bytes - done, PAGE_BYTES - in_page);
		struct frame *f;
		u8 *p;

		if (space_page_get(as, user + done, write, force, &f))
			return done ? (sword_t)done : -EFAULT;
		p = page_begin(f);
		if (write)
			memcpy(p + in_page, (u8 *)buf + done, part);
		else
			memcpy((u8 *)buf + done, p + in_page, part);
		page_end(f, p);
		if (write)
			arch_sync_code((vaddr_t)p + in_page, part);
		frame_unpin(f);
		done += part;
	}
	return (sword_t)done;
}

sword_t ucopy_remote_in(struct address_space *as, void *dst, vaddr_t user, size_t bytes)
{
	return remote(as, dst, user, bytes, false, true);
}

sword_t ucopy_remote_out(struct address_space *as, vaddr_t user, const void *src, size_t bytes,
	bool force)
{
	return remote(as, (void *)src, user, bytes, true, force);
}
