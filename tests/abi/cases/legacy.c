/*
 * legacy.c: the old calls of x86-64 that newer ones replaced; AArch64 never had them. Each must do
 * what its successor does, with its own arguments.
 */
#define ABI_FAMILY "legacy"
#include "../abi.h"

#if defined(__x86_64__)

#include <asm/prctl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sysmacros.h>
#include <utime.h>

CASE(files, "open:O_CREAT", "open:ENOENT", "creat:truncates", "stat:fields", "lstat:link itself",
	"access:F_OK", "access:EACCES", "open:EEXIST", "stat:ENOENT", "creat:mode")
{
	struct stat st;
	long fd = OK(SYS(open, "f", O_CREAT | O_RDWR, 0640));

	EQ(SYS(write, fd, "abc", 3), 3);
	ERR(SYS(open, "gone", O_RDONLY), ENOENT);
	ERR(SYS(open, "f", O_CREAT | O_EXCL, 0600), EEXIST);
	OK(SYS(stat, "f", &st)); /* fields */
	T(st.st_size == 3 && st.st_mode == (S_IFREG | 0640));
	OK(SYS(creat, "f", 0600)); /* truncates; the mode of an old file stays */
	OK(SYS(stat, "f", &st));
	T(st.st_size == 0 && st.st_mode == (S_IFREG | 0640));
	OK(SYS(symlink, "f", "l"));
	OK(SYS(lstat, "l", &st)); /* link itself */
	T(S_ISLNK(st.st_mode));
	ERR(SYS(stat, "gone", &st), ENOENT);
	OK(SYS(access, "f", F_OK));
	ERR(SYS(access, "f", X_OK), EACCES);
}

CASE(names, "link:EEXIST", "unlink:ENOENT", "rename:replaces", "symlink:EEXIST", "readlink:length",
	"mkdir:EEXIST", "rmdir:ENOTEMPTY", "readlink:EINVAL", "rename:ENOENT", "renameat:replaces",
	"rmdir:ENOTDIR", "unlink:EISDIR", "mkdir:mode")
{
	char buf[8];

	abi_file("a", "1");
	OK(SYS(link, "a", "b"));
	ERR(SYS(link, "a", "b"), EEXIST);
	OK(SYS(rename, "a", "c")); /* replaces */
	ERR(SYS(rename, "a", "c"), ENOENT);
	OK(SYS(renameat, AT_FDCWD, "c", AT_FDCWD, "b"));
	OK(SYS(symlink, "b", "l"));
	ERR(SYS(symlink, "b", "l"), EEXIST);
	EQ(SYS(readlink, "l", buf, 8), 1); /* length */
	ERR(SYS(readlink, "b", buf, 8), EINVAL);
	OK(SYS(mkdir, "d", 0700)); /* mode */
	ERR(SYS(mkdir, "d", 0700), EEXIST);
	abi_file("d/x", "");
	ERR(SYS(rmdir, "d"), ENOTEMPTY);
	ERR(SYS(rmdir, "b"), ENOTDIR);
	ERR(SYS(unlink, "d"), EISDIR);
	OK(SYS(unlink, "d/x"));
	OK(SYS(rmdir, "d"));
	ERR(SYS(unlink, "d"), ENOENT);
}

CASE(attributes, "chmod:mode", "chown:owner", "lchown:link itself", "utime:times", "utimes:times",
	"futimesat:times", "mknod:S_IFIFO", "chmod:ENOENT", "chown:ENOENT", "utime:ENOENT")
{
	struct utimbuf ub = {100, 200};
	struct timeval tv[2] = {{300, 5}, {400, 6}};
	struct stat st;

	abi_file("f", "");
	OK(SYS(symlink, "f", "l"));
	OK(SYS(chmod, "l", 0711));  /* mode */
	OK(SYS(chown, "l", 3, 4));  /* owner, of the target */
	OK(SYS(lchown, "l", 5, 6)); /* link itself */
	OK(SYS(lstat, "f", &st));
	T(st.st_mode == (S_IFREG | 0711) && st.st_uid == 3 && st.st_gid == 4);
	OK(SYS(lstat, "l", &st));
	T(st.st_uid == 5 && st.st_gid == 6);
	OK(SYS(utime, "f", &ub)); /* times */
	OK(SYS(stat, "f", &st));
	T(st.st_atim.tv_sec == 100 && st.st_mtim.tv_sec == 200);
	OK(SYS(utimes, "f", tv));
	OK(SYS(stat, "f", &st));
	T(st.st_atim.tv_sec == 300 && st.st_mtim.tv_nsec == 6000);
	OK(SYS(futimesat, AT_FDCWD, "f", NULL));
	OK(SYS(stat, "f", &st));
	T(st.st_mtim.tv_sec > 400);
	OK(SYS(mknod, "p", S_IFIFO | 0600, 0));
	OK(SYS(stat, "p", &st));
	T(S_ISFIFO(st.st_mode));
	ERR(SYS(chmod, "gone", 0), ENOENT);
	ERR(SYS(chown, "gone", 0, 0), ENOENT);
	ERR(SYS(utime, "gone", NULL), ENOENT);
}

CASE(descriptors, "pipe:ends", "dup2:same number", "dup2:EBADF", "pipe:EFAULT", "dup2:replaces",
	"getdents:entries")
{
	char buf[1024];
	int fds[2];
	long fd;

	OK(SYS(pipe, fds));                    /* ends */
	EQ(SYS(dup2, fds[0], fds[0]), fds[0]); /* same number */
	EQ(SYS(dup2, fds[0], 40), 40);         /* replaces */
	ERR(SYS(dup2, 999, 41), EBADF);
	ERR(SYS(dup2, 999, 999), EBADF);
	ERR(SYS(pipe, (void *)-4096L), EFAULT);
	abi_file("f", "");
	fd = OK(SYS(open, ".", O_RDONLY));
	T(OK(SYS(getdents, fd, buf, sizeof(buf))) >= 3 * 24); /* entries */
	EQ(SYS(getdents, fd, buf, sizeof(buf)), 0);
}

CASE(waiting, "poll:POLLIN", "poll:expires", "select:sets", "select:expires", "epoll_create:EINVAL",
	"epoll_wait:event", "poll:POLLNVAL", "select:EBADF", "select:rest of time")
{
	struct epoll_event e = {.events = EPOLLIN};
	struct timeval tv = {0, 20000};
	struct pollfd p;
	fd_set in;
	int fds[2];
	long ep;

	OK(SYS(pipe, fds));
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	EQ(SYS(poll, &p, 1, 20), 0); /* expires */
	EQ(SYS(write, fds[1], "x", 1), 1);
	EQ(SYS(poll, &p, 1, -1), 1);
	EQ(p.revents, POLLIN);
	p.fd = 999;
	EQ(SYS(poll, &p, 1, 0), 1);
	EQ(p.revents, POLLNVAL);
	FD_ZERO(&in);
	FD_SET(fds[0], &in);
	EQ(SYS(select, fds[0] + 1, &in, NULL, NULL, NULL), 1); /* sets */
	EQ(SYS(select, 0, NULL, NULL, NULL, &tv), 0);          /* expires */
	T(tv.tv_sec == 0 && tv.tv_usec == 0);                  /* rest of time */
	FD_SET(60, &in);
	ERR(SYS(select, 61, &in, NULL, NULL, &tv), EBADF);
	ERR(SYS(epoll_create, 0), EINVAL);
	ep = OK(SYS(epoll_create, 1));
	OK(SYS(epoll_ctl, ep, EPOLL_CTL_ADD, fds[0], &e));
	EQ(SYS(epoll_wait, ep, &e, 1, -1), 1); /* event */
	EQ(e.events, EPOLLIN);
}

CASE(objects, "eventfd:counter", "signalfd:value", "eventfd:no flags")
{
	uint64_t v = 0, set = 1ull << (SIGUSR1 - 1);
	char info[128];
	long fd = OK(SYS(eventfd, 5));

	EQ(SYS(fcntl, fd, F_GETFL), O_RDWR); /* no flags */
	EQ(SYS(read, fd, &v, 8), 8);
	EQ(v, 5); /* counter */
	abi_block(SIGUSR1);
	fd = OK(SYS(signalfd, -1, &set, 8)); /* value */
	OK(SYS(kill, SYS(getpid), SIGUSR1));
	EQ(SYS(read, fd, info, sizeof(info)), 128);
}

CASE(inotify, "inotify_init:value")
{
	OK(SYS(inotify_init)); /* value */
}

static volatile int word;

CASE(processes, "fork:value", "vfork:shares and waits", "getpgrp:value", "time:value",
	"pause:EINTR", "alarm:rest", "fork:status")
{
	struct timeval tv;
	long pid = OK(SYS(fork)), t; /* value */
	int st;

	if (pid == 0)
		_exit(3);
	EQ(SYS(wait4, pid, &st, 0, NULL), pid);
	EQ(st, 3 << 8); /* status */
	pid = SYS(vfork);
	if (pid == 0) {
		word = 9;
		abi_sys(__NR_exit_group, 4, 0, 0, 0, 0, 0);
	}
	OK(pid);
	EQ(word, 9); /* shares and waits */
	EQ(abi_wait(pid), 4 << 8);
	EQ(SYS(getpgrp), SYS(getpgid, 0));
	t = OK(SYS(time, NULL)); /* value */
	OK(SYS(gettimeofday, &tv, NULL));
	T(tv.tv_sec - t <= 1 && tv.tv_sec - t >= 0);
	EQ(SYS(alarm, 100), 0);
	T(SYS(alarm, 1) >= 99); /* rest */
	abi_handler(SIGALRM, (void (*)(int))(uintptr_t)time, SA_RESTART);
	signal(SIGALRM, SIG_IGN);
	EQ(SYS(alarm, 0), 1);
	pid = SYS(getpid);
	if (OK(SYS(fork)) == 0) {
		abi_await_state(pid, 'S');
		abi_sleep_ms(30);
		OK(SYS(kill, pid, SIGUSR1));
		_exit(0);
	}
	abi_handler(SIGUSR1, (void (*)(int))(uintptr_t)abs, 0);
	ERR(SYS(pause), EINTR);
}

CASE(segment_bases, "arch_prctl:ARCH_GET_FS", "arch_prctl:ARCH_SET_GS", "arch_prctl:ARCH_GET_GS",
	"arch_prctl:EPERM", "arch_prctl:EINVAL", "arch_prctl:EFAULT")
{
	uint64_t base = 0, here = 0x1122334455667788;

	OK(SYS(arch_prctl, ARCH_GET_FS, &base));
	T(base != 0);
	OK(SYS(arch_prctl, ARCH_SET_GS, &here));
	OK(SYS(arch_prctl, ARCH_GET_GS, &base));
	EQ(base, &here);
	__asm__ volatile("movq %%gs:0, %0" : "=r"(base));
	EQ(base, 0x1122334455667788);
	/* It survives a switch to another task and back. */
	CHILD_OK
	{
		OK(SYS(arch_prctl, ARCH_SET_GS, 0));
	}
	__asm__ volatile("movq %%gs:0, %0" : "=r"(base));
	EQ(base, 0x1122334455667788);
	ERR(SYS(arch_prctl, ARCH_SET_GS, 1ul << 63), EPERM);
	ERR(SYS(arch_prctl, 0x9999, 0), EINVAL);
	ERR(SYS(arch_prctl, ARCH_GET_FS, (void *)-4096L), EFAULT);
}

#endif
