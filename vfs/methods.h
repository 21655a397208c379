#pragma once
/* The functions behind the contracts of this module, one prototype per method (kabi/vfs.kabi,
 * kabi/node.kabi). */
#include <kabi/node.h>
#include <kabi/vfs.h>

answer_t vfs_open(struct call *c, s32 at, u64 path, u32 flags, u32 mode, u64 resolve);
answer_t vfs_stat(struct call *c, s32 at, u64 path, u32 flags, struct stat_info *info);
answer_t vfs_access(struct call *c, s32 at, u64 path, u32 mode, u32 flags);
answer_t vfs_mkdir(struct call *c, s32 at, u64 path, u32 mode);
answer_t vfs_mknod(struct call *c, s32 at, u64 path, u32 mode, u32 dev);
answer_t vfs_symlink(struct call *c, u64 target, s32 at, u64 path);
answer_t vfs_link(struct call *c, s32 old_at, u64 old_path, s32 new_at, u64 new_path, u32 flags);
answer_t vfs_unlink(struct call *c, s32 at, u64 path, u32 flags);
answer_t vfs_rename(struct call *c, s32 old_at, u64 old_path, s32 new_at, u64 new_path, u32 flags);
answer_t vfs_readlink(struct call *c, s32 at, u64 path, u64 buffer, u64 bytes);
answer_t vfs_chmod(struct call *c, s32 at, u64 path, u32 mode, u32 flags);
answer_t vfs_chown(struct call *c, s32 at, u64 path, u32 uid, u32 gid, u32 flags);
answer_t vfs_utimes(struct call *c, s32 at, u64 path, u64 times, u32 flags);
answer_t vfs_truncate(struct call *c, u64 path, s64 bytes);
answer_t vfs_ftruncate(struct call *c, u32 fd, s64 bytes);
answer_t vfs_chdir(struct call *c, s32 at, u64 path);
answer_t vfs_chroot(struct call *c, u64 path);
answer_t vfs_getcwd(struct call *c, u64 buffer, u64 bytes);
answer_t vfs_statfs(struct call *c, s32 at, u64 path, struct fs_statfs *info);
answer_t vfs_mount(struct call *c, u64 source, u64 target, u64 type, u64 flags, u64 data);
answer_t vfs_umount(struct call *c, u64 target, u32 flags);
answer_t vfs_pivot_root(struct call *c, u64 new_root, u64 put_old);
answer_t vfs_xattr_get(struct call *c, s32 at, u64 path, u64 name, u64 value, u64 bytes, u32 flags);
answer_t vfs_xattr_set(struct call *c, s32 at, u64 path, u64 name, u64 value, u64 bytes, u32 how,
	u32 flags);
answer_t vfs_xattr_list(struct call *c, s32 at, u64 path, u64 list, u64 bytes, u32 flags);
answer_t vfs_xattr_remove(struct call *c, s32 at, u64 path, u64 name, u32 flags);
answer_t vfs_pipe(struct call *c, u64 fds, u32 flags);
answer_t vfs_eventfd(struct call *c, u32 initial, u32 flags);
answer_t vfs_timerfd_create(struct call *c, u32 clock, u32 flags);
answer_t vfs_timerfd_settime(struct call *c, u32 fd, u32 flags, s64 value_ns, s64 interval_ns,
	u64 old);
answer_t vfs_timerfd_gettime(struct call *c, u32 fd, u64 value);
answer_t vfs_signalfd(struct call *c, s32 fd, u64 mask, u32 flags);
answer_t vfs_memfd_create(struct call *c, u64 name, u32 flags);
answer_t vfs_epoll_create(struct call *c, u32 flags);
answer_t vfs_epoll_ctl(struct call *c, u32 epfd, u32 op, u32 fd, u32 events, u64 data);
answer_t vfs_epoll_wait(struct call *c, u32 epfd, u64 events, u32 max, u32 event_bytes);
answer_t vfs_poll(struct call *c, u64 fds, u32 nr);
answer_t vfs_select(struct call *c, u32 nr, u64 read, u64 write, u64 except);
answer_t vfs_lock(struct call *c, u32 fd, u32 command, u64 lock, u32 type);
answer_t vfs_flock(struct call *c, u32 fd, u32 operation);
answer_t vfs_copy_range(struct call *c, u32 in, u64 in_offset, u32 out, u64 out_offset, u64 bytes,
	u32 kind);
answer_t vfs_sync_all(struct call *c);
answer_t vfs_pidfd_open(struct call *c, s32 pid, u32 flags);
answer_t vfs_open_kernel(struct call *c, u64 path, u32 flags, struct open_request *reply);
answer_t vfs_fadvise(struct call *c, u32 fd, s64 offset, s64 bytes, u32 advice);
answer_t vfs_readahead(struct call *c, u32 fd, s64 offset, u64 bytes);
answer_t vfs_utimes_set(struct call *c, s32 at, u64 path, s64 atime_sec, u32 atime_nsec,
	s64 mtime_sec, u32 mtime_nsec, u32 flags);
answer_t vfs_pipe_size(struct call *c, u32 fd, u32 set, u32 bytes);
answer_t vfs_seals(struct call *c, u32 fd, u32 add, u32 seals);

answer_t file_node_read(struct call *c, struct file *file, struct uio *io);
answer_t file_node_write(struct call *c, struct file *file, struct uio *io);
answer_t file_node_seek(struct call *c, struct file *file, s64 offset, u32 whence);
answer_t file_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
answer_t file_node_ioctl(struct call *c, struct file *file, u32 command, u64 argument);
answer_t file_node_mmap(struct call *c, struct file *file, struct mmap_reply *reply);
answer_t file_node_readdir(struct call *c, struct file *file, struct dirent_sink *sink);
answer_t file_node_sync(struct call *c, struct file *file, u64 first, u64 last, u32 data_only);
answer_t file_node_fallocate(struct call *c, struct file *file, u32 mode, u64 offset, u64 bytes);
answer_t pipe_node_open(struct call *c, struct file *file);
answer_t pipe_node_read(struct call *c, struct file *file, struct uio *io);
answer_t pipe_node_write(struct call *c, struct file *file, struct uio *io);
answer_t pipe_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
answer_t pipe_node_ioctl(struct call *c, struct file *file, u32 command, u64 argument);
answer_t pipe_node_fallocate(struct call *c, struct file *file, u32 mode, u64 offset, u64 bytes);
answer_t event_node_read(struct call *c, struct file *file, struct uio *io);
answer_t event_node_write(struct call *c, struct file *file, struct uio *io);
answer_t event_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
answer_t epoll_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
answer_t char_node_open(struct call *c, struct file *file);
answer_t char_node_read(struct call *c, struct file *file, struct uio *io);
answer_t char_node_write(struct call *c, struct file *file, struct uio *io);
answer_t char_node_seek(struct call *c, struct file *file, s64 offset, u32 whence);
answer_t char_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
answer_t char_node_ioctl(struct call *c, struct file *file, u32 command, u64 argument);
answer_t char_node_mmap(struct call *c, struct file *file, struct mmap_reply *reply);
answer_t view_node_read(struct call *c, struct file *file, struct uio *io);
answer_t view_node_write(struct call *c, struct file *file, struct uio *io);
answer_t view_node_seek(struct call *c, struct file *file, s64 offset, u32 whence);
answer_t view_node_poll(struct call *c, struct file *file, struct poll_ask *ask);
