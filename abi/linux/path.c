/* Calls with paths: argument shuffling only, vfs does the work. Legacy forms without a directory
 * descriptor are in legacy.c. */
#include "abi.h"

answer_t sys_faccessat(struct call *c)
{
	return vfs_access(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2), 0);
}

answer_t sys_faccessat2(struct call *c)
{
	if (arg_uint(c, 3) & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return vfs_access(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2), arg_uint(c, 3));
}

answer_t sys_mkdirat(struct call *c)
{
	return vfs_mkdir(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2));
}

answer_t sys_mknodat(struct call *c)
{
	return vfs_mknod(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2) & 0xffffu,
		abi_dev_in(arg_uint(c, 3)));
}

answer_t sys_linkat(struct call *c)
{
	if (arg_uint(c, 4) & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return vfs_link(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_int(c, 2), c->args[3],
		arg_uint(c, 4));
}

answer_t sys_symlinkat(struct call *c)
{
	return vfs_symlink(SLOT(VFS), c, c->args[0], arg_int(c, 1), c->args[2]);
}

answer_t sys_unlinkat(struct call *c)
{
	if (arg_uint(c, 2) & ~AT_REMOVEDIR)
		return -EINVAL;
	return vfs_unlink(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2));
}

answer_t sys_renameat(struct call *c)
{
	return vfs_rename(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_int(c, 2), c->args[3], 0);
}

answer_t sys_renameat2(struct call *c)
{
	u32 flags = arg_uint(c, 4);

	/* NOREPLACE 1, EXCHANGE 2, WHITEOUT 4; what excludes one another (rename(2)). */
	if (flags & ~7u || (flags & 2u && flags & 5u))
		return -EINVAL;
	return vfs_rename(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_int(c, 2), c->args[3],
		flags);
}

answer_t sys_readlinkat(struct call *c)
{
	if (arg_int(c, 3) <= 0)
		return -EINVAL;
	return vfs_readlink(SLOT(VFS), c, arg_int(c, 0), c->args[1], c->args[2], arg_uint(c, 3));
}

/* Path 0 means "the descriptor itself" to vfs; a program's null pointer is a fault. */
static answer_t path_or_fault(vaddr_t path)
{
	return path ? 0 : -EFAULT;
}

answer_t sys_fchmodat(struct call *c)
{
	abi_try(path_or_fault(c->args[1]));
	return vfs_chmod(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2), 0);
}

answer_t sys_fchmodat2(struct call *c)
{
	if (arg_uint(c, 3) & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	abi_try(path_or_fault(c->args[1]));
	return vfs_chmod(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2), arg_uint(c, 3));
}

answer_t sys_fchmod(struct call *c)
{
	return vfs_chmod(SLOT(VFS), c, arg_int(c, 0), 0, arg_uint(c, 1), 0);
}

answer_t sys_fchownat(struct call *c)
{
	if (arg_uint(c, 4) & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	abi_try(path_or_fault(c->args[1]));
	return vfs_chown(SLOT(VFS), c, arg_int(c, 0), c->args[1], arg_uint(c, 2), arg_uint(c, 3),
		arg_uint(c, 4));
}

answer_t sys_fchown(struct call *c)
{
	return vfs_chown(SLOT(VFS), c, arg_int(c, 0), 0, arg_uint(c, 1), arg_uint(c, 2), 0);
}

answer_t sys_utimensat(struct call *c)
{
	if (arg_uint(c, 3) & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* utimensat(fd, NULL, ...) is futimens(3); AT_FDCWD has no such meaning. */
	if (!c->args[1] && arg_int(c, 0) == AT_FDCWD_NR)
		return -EFAULT;
	return vfs_utimes(SLOT(VFS), c, arg_int(c, 0), c->args[1], c->args[2], arg_uint(c, 3));
}

answer_t sys_chdir(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_chdir(SLOT(VFS), c, AT_FDCWD_NR, c->args[0]);
}

answer_t sys_fchdir(struct call *c)
{
	return vfs_chdir(SLOT(VFS), c, arg_int(c, 0), 0);
}

answer_t sys_chroot(struct call *c)
{
	return vfs_chroot(SLOT(VFS), c, c->args[0]);
}

answer_t sys_getcwd(struct call *c)
{
	return vfs_getcwd(SLOT(VFS), c, c->args[0], c->args[1]);
}

answer_t sys_umask(struct call *c)
{
	struct fs_context *fs = c->ctx->fs;
	u32 old;

	spin_lock(&fs->obj.lock);
	old = fs->umask;
	call_effect(c);
	fs->umask = arg_uint(c, 0) & 0777u;
	spin_unlock(&fs->obj.lock);
	return (answer_t)old;
}

answer_t sys_mount(struct call *c)
{
	return vfs_mount(SLOT(VFS), c, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4]);
}

answer_t sys_umount2(struct call *c)
{
	if (arg_uint(c, 1) & ~15u) /* MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW */
		return -EINVAL;
	return vfs_umount(SLOT(VFS), c, c->args[0], arg_uint(c, 1));
}

answer_t sys_pivot_root(struct call *c)
{
	return vfs_pivot_root(SLOT(VFS), c, c->args[0], c->args[1]);
}

/* --- extended attributes: three forms of each --- */
static answer_t xattr_set(struct call *c, s32 at, vaddr_t path, u32 flags)
{
	if (arg_uint(c, 4) & ~3u) /* XATTR_CREATE, XATTR_REPLACE */
		return -EINVAL;
	return vfs_xattr_set(SLOT(VFS), c, at, path, c->args[1], c->args[2], c->args[3],
		arg_uint(c, 4), flags);
}

answer_t sys_setxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return xattr_set(c, AT_FDCWD_NR, c->args[0], 0);
}

answer_t sys_lsetxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return xattr_set(c, AT_FDCWD_NR, c->args[0], AT_SYMLINK_NOFOLLOW);
}

answer_t sys_fsetxattr(struct call *c)
{
	return xattr_set(c, arg_int(c, 0), 0, 0);
}

answer_t sys_getxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_get(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], c->args[2],
		c->args[3], 0);
}

answer_t sys_lgetxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_get(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], c->args[2],
		c->args[3], AT_SYMLINK_NOFOLLOW);
}

answer_t sys_fgetxattr(struct call *c)
{
	return vfs_xattr_get(SLOT(VFS), c, arg_int(c, 0), 0, c->args[1], c->args[2], c->args[3], 0);
}

answer_t sys_listxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_list(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], c->args[2], 0);
}

answer_t sys_llistxattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_list(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], c->args[2],
		AT_SYMLINK_NOFOLLOW);
}

answer_t sys_flistxattr(struct call *c)
{
	return vfs_xattr_list(SLOT(VFS), c, arg_int(c, 0), 0, c->args[1], c->args[2], 0);
}

answer_t sys_removexattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_remove(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1], 0);
}

answer_t sys_lremovexattr(struct call *c)
{
	abi_try(path_or_fault(c->args[0]));
	return vfs_xattr_remove(SLOT(VFS), c, AT_FDCWD_NR, c->args[0], c->args[1],
		AT_SYMLINK_NOFOLLOW);
}

answer_t sys_fremovexattr(struct call *c)
{
	return vfs_xattr_remove(SLOT(VFS), c, arg_int(c, 0), 0, c->args[1], 0);
}
