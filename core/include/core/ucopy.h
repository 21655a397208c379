#pragma once
/* User copies of core operations: may fault in and sleep. 0 or -EFAULT. Context: thread, current's
 * own space. */
#include <lib/types.h>
int ucopy_in(void *dst, vaddr_t user, size_t bytes);
int ucopy_out(vaddr_t user, const void *src, size_t bytes);
int ucopy_clear(vaddr_t user, size_t bytes);
/* Length without the terminator, -EFAULT, -ENAMETOOLONG. */
sword_t ucopy_string(char *dst, vaddr_t user, size_t size);
/* Another task's memory (proc, ptrace): bytes copied or -EFAULT/-EIO. */
struct address_space;
sword_t ucopy_remote_in(struct address_space *as, void *dst, vaddr_t user, size_t bytes);
/* The same towards it; force: through read-only protection, on a private copy (ptrace POKE). */
sword_t ucopy_remote_out(struct address_space *as, vaddr_t user, const void *src, size_t bytes,
	bool force);
