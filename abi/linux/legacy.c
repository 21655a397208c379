/* Calls that only the oldest ports have (x86): each is another call with arguments left out. */
#include "abi.h"

answer_t sys_open(struct call *c)
{
	return vfs_open(SLOT(VFS), c, AT_FDCWD_NR, c->args[0],
		abi_open_flags_in(arg_uint(c, 1)) | O_LARGEFILE, arg_uint(c, 2) & 07777u, 0);
}

answer_t sys_creat(struct call *c)
{
	return vfs_open(SLOT(VFS), c, AT_FDCWD_NR, c->args[0],
		O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, arg_uint(c, 1) & 07777u, 0);
}

answer_t sys_access(struct call *c)
{
	return vfs_access(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1), 0);
}

answer_t sys_mkdir(struct call *c)
{
	return vfs_mkdir(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1));
}

answer_t sys_rmdir(struct call *c)
{
	return vfs_unlink(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], AT_REMOVEDIR);
}

answer_t sys_mknod(struct call *c)
{
	return vfs_mknod(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1) & 0xffffu,
		abi_dev_in(arg_uint(c, 2)));
}

answer_t sys_link(struct call *c)
{
	return vfs_link(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], AT_FDCWD_NR, c->args[1], 0);
}

answer_t sys_symlink(struct call *c)
{
	return vfs_symlink(SLOT(VFS), c, c->args[0], AT_FDCWD_NR, c->args[1]);
}

answer_t sys_unlink(struct call *c)
{
	return vfs_unlink(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], 0);
}

answer_t sys_rename(struct call *c)
{
	return vfs_rename(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], AT_FDCWD_NR, c->args[1], 0);
}

answer_t sys_readlink(struct call *c)
{
	if (arg_int(c, 2) <= 0)
		return -EINVAL;
	return vfs_readlink(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], arg_uint(c, 2));
}

answer_t sys_chmod(struct call *c)
{
	return c->args[0] ? vfs_chmod(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1), 0)
			  : -EFAULT;
}

answer_t sys_chown(struct call *c)
{
	return c->args[0] ? vfs_chown(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1),
				    arg_uint(c, 2), 0)
			  : -EFAULT;
}

answer_t sys_lchown(struct call *c)
{
	return c->args[0] ? vfs_chown(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], arg_uint(c, 1),
				    arg_uint(c, 2), AT_SYMLINK_NOFOLLOW)
			  : -EFAULT;
}

answer_t sys_pipe(struct call *c)
{
	return vfs_pipe(SLOT(VFS), c, c->args[0], 0);
}

answer_t sys_eventfd(struct call *c)
{
	return vfs_eventfd(SLOT(VFS), c, arg_uint(c, 0), 0);
}

/* Times in other forms than two timespecs go to vfs by value. */
static answer_t utimes(struct call *c, s32 at, vaddr_t path, vaddr_t user)
{
	struct user_timeval tv[2];
	struct user_timespec ts[2];

	if (!path && at == AT_FDCWD_NR)
		return -EFAULT;
	if (!user)
		return vfs_utimes(SLOT(VFS), c, at, path, 0, 0);
	abi_try(call_copy_in(c, tv, user, sizeof(tv)));
	for (u32 i = 0; i < 2; i++) {
		if ((u64)tv[i].usec >= 1000000u)
			return -EINVAL;
		ts[i] = (struct user_timespec){tv[i].sec, tv[i].usec * NSEC_PER_USEC};
	}
	return vfs_utimes_set(SLOT(VFS), c, at, path, ts[0].sec, (u32)ts[0].nsec, ts[1].sec,
		(u32)ts[1].nsec, 0);
}

answer_t sys_utimes(struct call *c)
{
	return utimes(c, AT_FDCWD_NR, c->args[0], c->args[1]);
}

answer_t sys_futimesat(struct call *c)
{
	return utimes(c, arg_int(c, 0), c->args[1], c->args[2]);
}

answer_t sys_utime(struct call *c)
{
	struct user_utimbuf u;

	if (!c->args[0])
		return -EFAULT;
	if (!c->args[1])
		return vfs_utimes(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], 0, 0);
	abi_try(abi_copy_in(c, &u, c->args[1]));
	return vfs_utimes_set(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], u.actime, 0, u.modtime, 0, 0);
}
