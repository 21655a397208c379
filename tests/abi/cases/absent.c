/*
 * absent.c: calls that UmkaOS does not have (yet), on UmkaOS only: each answers exactly what a
 * Linux built without it does, and pretends nothing. When one of them arrives, its case here
 * goes and cases on both kernels come.
 */
#define ABI_FAMILY "absent"
#include "../abi.h"
#include <sys/ptrace.h>
#include <sys/socket.h>

CASE_UMKA(ptrace, "ptrace:ENOSYS", "process_vm_readv:ENOSYS", "process_vm_writev:ENOSYS",
	"kcmp:ENOSYS")
{
	ERR(SYS(ptrace, PTRACE_TRACEME, 0, 0, 0), ENOSYS);
	ERR(SYS(process_vm_readv, SYS(getpid), NULL, 0, NULL, 0, 0), ENOSYS);
	ERR(SYS(process_vm_writev, SYS(getpid), NULL, 0, NULL, 0, 0), ENOSYS);
	ERR(SYS(kcmp, SYS(getpid), SYS(getpid), 0, 0, 0), ENOSYS);
}

CASE_UMKA(tracing, "perf_event_open:ENOSYS", "bpf:ENOSYS", "userfaultfd:ENOSYS", "seccomp:ENOSYS")
{
	ERR(SYS(perf_event_open, NULL, 0, -1, -1, 0), ENOSYS);
	ERR(SYS(bpf, 0, NULL, 0), ENOSYS);
	ERR(SYS(userfaultfd, 0), ENOSYS);
	ERR(SYS(seccomp, 0, 0, NULL), ENOSYS);
}

CASE_UMKA(mount_api, "fsopen:ENOSYS", "fsmount:ENOSYS", "open_tree:ENOSYS", "move_mount:ENOSYS",
	"mount_setattr:ENOSYS", "fsconfig:ENOSYS", "fspick:ENOSYS")
{
	ERR(SYS(fsopen, "tmpfs", 0), ENOSYS);
	ERR(SYS(fsmount, -1, 0, 0), ENOSYS);
	ERR(SYS(open_tree, AT_FDCWD, ".", 0), ENOSYS);
	ERR(SYS(move_mount, -1, "", AT_FDCWD, ".", 0), ENOSYS);
	ERR(SYS(mount_setattr, AT_FDCWD, ".", 0, NULL, 0), ENOSYS);
	ERR(SYS(fsconfig, -1, 0, NULL, NULL, 0), ENOSYS);
	ERR(SYS(fspick, AT_FDCWD, ".", 0), ENOSYS);
}

CASE_UMKA(inotify, "inotify_init1:ENOSYS", "inotify_add_watch:ENOSYS", "inotify_rm_watch:ENOSYS")
{
	ERR(SYS(inotify_init1, 0), ENOSYS);
	ERR(SYS(inotify_add_watch, -1, ".", 1), ENOSYS);
	ERR(SYS(inotify_rm_watch, -1, 1), ENOSYS);
}

CASE_UMKA(uring, "io_uring_setup:ENOSYS", "io_uring_enter:ENOSYS", "io_uring_register:ENOSYS",
	"io_setup:ENOSYS")
{
	ERR(SYS(io_uring_setup, 8, NULL), ENOSYS);
	ERR(SYS(io_uring_enter, -1, 0, 0, 0, NULL, 0), ENOSYS);
	ERR(SYS(io_uring_register, -1, 0, NULL, 0), ENOSYS);
	ERR(SYS(io_setup, 8, NULL), ENOSYS);
}

CASE_UMKA(modules, "init_module:ENOSYS", "finit_module:ENOSYS", "delete_module:ENOSYS",
	"kexec_load:ENOSYS", "kexec_file_load:ENOSYS")
{
	ERR(SYS(init_module, NULL, 0, ""), ENOSYS);
	ERR(SYS(finit_module, -1, "", 0), ENOSYS);
	ERR(SYS(delete_module, "x", 0), ENOSYS);
	ERR(SYS(kexec_load, 0, 0, NULL, 0), ENOSYS);
	ERR(SYS(kexec_file_load, -1, -1, 0, NULL, 0), ENOSYS);
}

CASE_UMKA(keys, "add_key:ENOSYS", "keyctl:ENOSYS", "request_key:ENOSYS",
	"landlock_create_ruleset:ENOSYS")
{
	ERR(SYS(add_key, "user", "x", "x", 1, -2), ENOSYS);
	ERR(SYS(keyctl, 0, 0), ENOSYS);
	ERR(SYS(request_key, "user", "x", NULL, 0), ENOSYS);
	ERR(SYS(landlock_create_ruleset, NULL, 0, 1), ENOSYS);
}

CASE_UMKA(swap, "swapon:ENOSYS", "swapoff:ENOSYS", "quotactl:ENOSYS", "acct:ENOSYS")
{
	ERR(SYS(swapon, "x", 0), ENOSYS);
	ERR(SYS(swapoff, "x"), ENOSYS);
	ERR(SYS(quotactl, 0, "x", 0, NULL), ENOSYS);
	ERR(SYS(acct, NULL), ENOSYS);
}

CASE_UMKA(networks, "socket:EAFNOSUPPORT")
{
	ERR(SYS(socket, AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
	ERR(SYS(socket, AF_INET6, SOCK_STREAM, 0), EAFNOSUPPORT);
	ERR(SYS(socket, AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
	ERR(SYS(socket, AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
}

CASE_UMKA(sysv, "shmget:ENOSYS", "semget:ENOSYS", "msgget:ENOSYS", "mq_open:ENOSYS")
{
	ERR(SYS(shmget, 0, 4096, 0600), ENOSYS);
	ERR(SYS(semget, 0, 1, 0600), ENOSYS);
	ERR(SYS(msgget, 0, 0600), ENOSYS);
	ERR(SYS(mq_open, "x", O_CREAT | O_RDWR, 0600, NULL), ENOSYS);
}
