/* The module's vtables. Theory: vfs/walk.c. */
#include "vfs_priv.h"

KABI_MODULE(1, "GPL-2.0-only");

KABI_IMPLEMENT(vfs, .open = vfs_open, .stat = vfs_stat, .access = vfs_access, .mkdir = vfs_mkdir,
	.mknod = vfs_mknod, .symlink = vfs_symlink, .link = vfs_link, .unlink = vfs_unlink,
	.rename = vfs_rename, .readlink = vfs_readlink, .chmod = vfs_chmod, .chown = vfs_chown,
	.utimes = vfs_utimes, .truncate = vfs_truncate, .ftruncate = vfs_ftruncate,
	.chdir = vfs_chdir, .chroot = vfs_chroot, .getcwd = vfs_getcwd, .statfs = vfs_statfs,
	.mount = vfs_mount, .umount = vfs_umount, .pivot_root = vfs_pivot_root,
	.xattr_get = vfs_xattr_get, .xattr_set = vfs_xattr_set, .xattr_list = vfs_xattr_list,
	.xattr_remove = vfs_xattr_remove, .pipe = vfs_pipe, .eventfd = vfs_eventfd,
	.timerfd_create = vfs_timerfd_create, .timerfd_settime = vfs_timerfd_settime,
	.timerfd_gettime = vfs_timerfd_gettime, .signalfd = vfs_signalfd,
	.memfd_create = vfs_memfd_create, .epoll_create = vfs_epoll_create,
	.epoll_ctl = vfs_epoll_ctl, .epoll_wait = vfs_epoll_wait, .poll = vfs_poll,
	.select = vfs_select, .lock = vfs_lock, .flock = vfs_flock, .copy_range = vfs_copy_range,
	.sync_all = vfs_sync_all, .pidfd_open = vfs_pidfd_open, .open_kernel = vfs_open_kernel,
	.fadvise = vfs_fadvise, .readahead = vfs_readahead, .utimes_set = vfs_utimes_set,
	.pipe_size = vfs_pipe_size, .seals = vfs_seals);

KABI_IMPLEMENT_AT(node, file, .read = file_node_read, .write = file_node_write,
	.seek = file_node_seek, .poll = file_node_poll, .ioctl = file_node_ioctl,
	.mmap = file_node_mmap, .readdir = file_node_readdir, .sync = file_node_sync,
	.fallocate = file_node_fallocate);
KABI_IMPLEMENT_AT(node, pipe, .open = pipe_node_open, .read = pipe_node_read,
	.write = pipe_node_write, .poll = pipe_node_poll, .ioctl = pipe_node_ioctl,
	.fallocate = pipe_node_fallocate);
KABI_IMPLEMENT_AT(node, event, .read = event_node_read, .write = event_node_write,
	.poll = event_node_poll);
KABI_IMPLEMENT_AT(node, epoll, .poll = epoll_node_poll);
KABI_IMPLEMENT_AT(node, char, .open = char_node_open, .read = char_node_read,
	.write = char_node_write, .seek = char_node_seek, .poll = char_node_poll,
	.ioctl = char_node_ioctl, .mmap = char_node_mmap);
KABI_IMPLEMENT_AT(node, view, .read = view_node_read, .write = view_node_write,
	.seek = view_node_seek, .poll = view_node_poll);
