/* Memory: every change of an address space is a core operation; here are the checks that need only
 * the arguments. */
#include "abi.h"

#define MAP_TYPE            0xfu
#define MAP_SHARED          1u
#define MAP_PRIVATE         2u
#define MAP_SHARED_VALIDATE 3u
#define MAP_ANONYMOUS       0x20u
#define MAP_HUGETLB         0x40000u
#define MAP_KNOWN           (0x1fffffu & ~0x80000u) /* MAP_SYNC needs DAX */
#define PROT_WRITE_BIT      2u
#define PROT_GROWSDOWN      0x01000000u
#define PROT_GROWSUP        0x02000000u

static answer_t mmap_file_check(const struct file *file, u32 prot, u32 flags)
{
	abi_try(file_error(file));
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (flags & ~(MAP_KNOWN | MAP_TYPE))
			return -EOPNOTSUPP;
		[[fallthrough]];
	case MAP_SHARED:
		if (prot & PROT_WRITE_BIT && !file_writable(file))
			return -EACCES;
		[[fallthrough]];
	case MAP_PRIVATE:
		return file_readable(file) ? 0 : -EACCES;
	default:
		return -EINVAL;
	}
}

answer_t sys_mmap(struct call *c)
{
	u32 prot = arg_uint(c, 2), flags = arg_uint(c, 3);
	struct file *file = nullptr;
	u64 offset = c->args[5];

	if (offset & (PAGE_BYTES - 1) || !c->args[1])
		return -EINVAL;
	if (flags & MAP_HUGETLB) /* as where no huge pages are reserved */
		return -ENOMEM;
	if (!(flags & MAP_ANONYMOUS)) {
		file = call_file_for(c, arg_uint(c, 4), CAP_RIGHT_CONTROL);
		abi_try(mmap_file_check(file, prot, flags));
	} else if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_PRIVATE) {
		return -EINVAL;
	}
	abi_op3(c, c->args[0], c->args[1], prot & 7u);
	c->op_args[3] = flags;
	c->op_args[4] = (word_t)file;
	c->op_args[5] = (word_t)(offset >> PAGE_SHIFT);
	return abi_do(c, DO_MMAP);
}

answer_t sys_munmap(struct call *c)
{
	if (c->args[0] & (PAGE_BYTES - 1) || !c->args[1])
		return -EINVAL;
	abi_op3(c, c->args[0], c->args[1], 0);
	return abi_do(c, DO_MUNMAP);
}

answer_t sys_mprotect(struct call *c)
{
	if (c->args[2] & ~(word_t)(7u | PROT_GROWSDOWN | PROT_GROWSUP) ||
		c->args[0] & (PAGE_BYTES - 1))
		return -EINVAL;
	if (c->args[2] & PROT_GROWSUP)
		return -EINVAL;
	if (!c->args[1])
		return 0;
	abi_op3(c, c->args[0], c->args[1], c->args[2]);
	return abi_do(c, DO_MPROTECT);
}

answer_t sys_mremap(struct call *c)
{
	u32 flags = arg_uint(c, 3);

	/* MAYMOVE 1, FIXED 2, DONTUNMAP 4 */
	if (flags & ~7u || (flags & 6u && !(flags & 1u)) || c->args[0] & (PAGE_BYTES - 1) ||
		!c->args[2])
		return -EINVAL;
	abi_op3(c, c->args[0], c->args[1], c->args[2]);
	c->op_args[3] = flags;
	c->op_args[4] = c->args[4];
	return abi_do(c, DO_MREMAP);
}

answer_t sys_brk(struct call *c)
{
	abi_op3(c, c->args[0], 0, 0);
	return abi_do(c, DO_BRK);
}

answer_t sys_madvise(struct call *c)
{
	if (c->args[0] & (PAGE_BYTES - 1))
		return -EINVAL;
	abi_op3(c, c->args[0], c->args[1], c->args[2]);
	return abi_do(c, DO_MADVISE);
}

answer_t sys_msync(struct call *c)
{
	u32 flags = arg_uint(c, 2);

	if (flags & ~7u || c->args[0] & (PAGE_BYTES - 1) ||
		(flags & 5u) == 5u) /* ASYNC 1, INVALIDATE 2, SYNC 4 */
		return -EINVAL;
	abi_op3(c, c->args[0], c->args[1], flags);
	return abi_do(c, DO_MSYNC);
}

static answer_t lock_range(struct call *c, u32 flags, enum do_mlock what)
{
	abi_op3(c, c->args[0], c->args[1], flags);
	c->op_args[3] = what;
	return abi_do(c, DO_MLOCK);
}

answer_t sys_mlock(struct call *c)
{
	return lock_range(c, 0, DO_MLOCK_RANGE);
}

answer_t sys_mlock2(struct call *c)
{
	if (arg_uint(c, 2) & ~1u)
		return -EINVAL;
	return lock_range(c, arg_uint(c, 2), DO_MLOCK_RANGE);
}

answer_t sys_munlock(struct call *c)
{
	return lock_range(c, 0, DO_MUNLOCK_RANGE);
}

answer_t sys_mlockall(struct call *c)
{
	u32 flags = arg_uint(c, 0);

	if (!flags || flags & ~7u || flags == 4u) /* CURRENT 1, FUTURE 2, ONFAULT 4 */
		return -EINVAL;
	if (!task_rlimit(abi_task(c), RLIMIT_MEMLOCK) && !context_capable(c->ctx, CAP_IPC_LOCK))
		return -EPERM;
	abi_op3(c, 0, 0, flags);
	c->op_args[3] = DO_MLOCK_ALL;
	return abi_do(c, DO_MLOCK);
}

answer_t sys_munlockall(struct call *c)
{
	abi_op3(c, 0, 0, 0);
	c->op_args[3] = DO_MUNLOCK_ALL;
	return abi_do(c, DO_MLOCK);
}

answer_t sys_mincore(struct call *c)
{
	if (c->args[0] & (PAGE_BYTES - 1))
		return -EINVAL;
	abi_op3(c, c->args[0], c->args[1], c->args[2]);
	return abi_do(c, DO_MINCORE);
}

/* membarrier(2): what Linux offers without CONFIG_RSEQ core serialising on these machines. */
#define MEMBARRIER_QUERY            0
#define MEMBARRIER_GLOBAL           1
#define MEMBARRIER_GLOBAL_EXPEDITED 2
#define MEMBARRIER_REGISTER_GLOBAL  4
#define MEMBARRIER_PRIVATE          8
#define MEMBARRIER_REGISTER_PRIVATE 16
#define MEMBARRIER_OFFERED                                                                         \
	(MEMBARRIER_GLOBAL | MEMBARRIER_GLOBAL_EXPEDITED | MEMBARRIER_REGISTER_GLOBAL |            \
		MEMBARRIER_PRIVATE | MEMBARRIER_REGISTER_PRIVATE)

answer_t sys_membarrier(struct call *c)
{
	struct address_space *as = abi_task(c)->space;
	s32 command = arg_int(c, 0);

	if (arg_uint(c, 1))
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_QUERY:
		return MEMBARRIER_OFFERED;
	case MEMBARRIER_REGISTER_GLOBAL:
	case MEMBARRIER_REGISTER_PRIVATE:
		spin_lock(&as->obj.lock);
		call_effect(c);
		as->membarrier_state |= (u64)command;
		spin_unlock(&as->obj.lock);
		return 0;
	case MEMBARRIER_PRIVATE:
		if (!(READ_ONCE(as->membarrier_state) & MEMBARRIER_REGISTER_PRIVATE))
			return -EPERM;
		break;
	case MEMBARRIER_GLOBAL:
	case MEMBARRIER_GLOBAL_EXPEDITED:
		break;
	default:
		return -EINVAL;
	}
	abi_op3(c, (word_t)command, 0, 0);
	return abi_do(c, DO_MEMBARRIER);
}
