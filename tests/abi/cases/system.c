/* system.c: calls about the whole machine, mostly their refusals, and POSIX and System V objects.
 */
#define ABI_FAMILY "system"
#include "../abi.h"
#include <linux/reboot.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

CASE(reboot, "reboot:EINVAL", "reboot:EPERM", "reboot:LINUX_REBOOT_CMD_CAD_OFF")
{
	ERR(SYS(reboot, 1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, 0), EINVAL);
	ERR(SYS(reboot, LINUX_REBOOT_MAGIC1, 2, LINUX_REBOOT_CMD_CAD_OFF, 0), EINVAL);
	ERR(SYS(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 0x1111, 0), EINVAL);
	OK(SYS(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, 0));
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, 0),
		EPERM);
}

CASE(kernel_log, "syslog:size", "syslog:read all", "syslog:EINVAL", "openat:/dev/kmsg",
	"write:/dev/kmsg", "read:/dev/kmsg record")
{
	static char buf[1 << 18], record[8192];
	long fd, got;
	bool seen = false;

	T(OK(SYS(syslog, 10, NULL, 0)) >= 4096); /* size */
	fd = OK(SYS(openat, AT_FDCWD, "/dev/kmsg", O_RDWR | O_NONBLOCK));
	OK(SYS(lseek, fd, 0, SEEK_END));
	EQ(SYS(write, fd, "<5>abi case speaks\n", 19), 19);
	while ((got = SYS(read, fd, record, sizeof(record) - 1)) > 0) {
		record[got] = '\0';
		/* priority (facility user), sequence, time, flags; text */
		if (strstr(record, "abi case speaks"))
			seen = atoi(record) == (1 << 3 | 5) && strchr(record, ';');
	}
	EQ(got, -EAGAIN);
	T(seen);
	T(OK(SYS(syslog, 3, buf, sizeof(buf))) > 0); /* read all */
	ERR(SYS(syslog, 99, NULL, 0), EINVAL);
	ERR(SYS(syslog, 3, NULL, 10), EINVAL);
}

CASE(names_refused, "fcntl:F_SETLEASE or refusal", "getpid:value", "getcpu:EFAULT",
	"sysinfo:EFAULT", "getgroups:EINVAL", "times:EFAULT")
{
	long got;

	abi_file("f", "");
	got = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	got = SYS(fcntl, got, F_SETLEASE, F_RDLCK);
	T(got == 0 || got == -EINVAL); /* F_SETLEASE or refusal */
	T(SYS(getpid) > 0);
	ERR(SYS(getcpu, (void *)-4096L, NULL, NULL), EFAULT);
	ERR(SYS(sysinfo, (void *)-4096L), EFAULT);
	ERR(SYS(getgroups, -1, NULL), EINVAL);
	ERR(SYS(times, (void *)-4096L), EFAULT);
}

CASE(bad_user_pointers, "clock_nanosleep:EFAULT", "wait4:EFAULT", "getrusage:EFAULT",
	"prlimit64:EFAULT", "sched_getaffinity:EFAULT", "getsockname:EFAULT", "epoll_ctl:EFAULT",
	"rt_sigtimedwait:EFAULT", "setitimer:EFAULT", "statx:EFAULT", "utimensat:EFAULT",
	"readlinkat:EFAULT", "chdir:EFAULT", "getdents64:EFAULT", "sendmsg:EFAULT", "waitid:EFAULT",
	"timer_create:EFAULT")
{
	void *bad = (void *)-4096L;
	int pair[2], st;
	unsigned len = 16;
	long fd;

	ERR(SYS(clock_nanosleep, CLOCK_MONOTONIC, 0, bad, NULL), EFAULT);
	ERR(SYS(getrusage, RUSAGE_SELF, bad), EFAULT);
	ERR(SYS(prlimit64, 0, RLIMIT_CORE, bad, NULL), EFAULT);
	ERR(SYS(sched_getaffinity, 0, 128, bad), EFAULT);
	ERR(SYS(rt_sigtimedwait, bad, NULL, NULL, 8), EFAULT);
	ERR(SYS(setitimer, ITIMER_REAL, bad, NULL), EFAULT);
	ERR(SYS(statx, AT_FDCWD, ".", 0, STATX_TYPE, bad), EFAULT);
	ERR(SYS(utimensat, AT_FDCWD, ".", bad, 0), EFAULT);
	OK(SYS(symlinkat, "x", AT_FDCWD, "l"));
	ERR(SYS(readlinkat, AT_FDCWD, "l", bad, 10), EFAULT);
	ERR(SYS(chdir, bad), EFAULT);
	fd = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));
	ERR(SYS(getdents64, fd, bad, 1000), EFAULT);
	OK(SYS(socketpair, 1, 1, 0, pair));
	ERR(SYS(sendmsg, pair[0], bad, 0), EFAULT);
	ERR(SYS(getsockname, pair[0], bad, &len), EFAULT);
	ERR(SYS(epoll_ctl, OK(SYS(epoll_create1, 0)), 1, pair[0], bad), EFAULT);
	ERR(SYS(timer_create, CLOCK_MONOTONIC, bad, &st), EFAULT);
	if (OK(abi_fork()) == 0)
		_exit(0);
	ERR(SYS(waitid, P_ALL, 0, bad, WEXITED | WNOWAIT, NULL), EFAULT);
	ERR(SYS(wait4, -1, bad, 0, NULL), EFAULT);
}

CASE(threads_exhausted, "clone:many children", "wait4:many children", "exit_group:reaped")
{
	static long pids[200];
	int st;

	for (int i = 0; i < 200; i++) {
		pids[i] = OK(abi_fork()); /* many children */
		if (pids[i] == 0)
			SYS(exit_group, i & 0x7f);
	}
	for (int i = 199; i >= 0; i--) {
		EQ(SYS(wait4, pids[i], &st, 0, NULL), pids[i]);
		EQ(st, (i & 0x7f) << 8); /* reaped, each with its own status */
	}
	ERR(SYS(wait4, -1, &st, 0, NULL), ECHILD);
}

CASE(deep_tree, "mkdirat:deep tree", "unlinkat:deep tree", "getcwd:deep tree", "openat:many files")
{
	char name[32], cwd[PATH_MAX];

	for (int i = 0; i < 100; i++) {
		OK(SYS(mkdirat, AT_FDCWD, "directory", 0755)); /* deep tree */
		OK(SYS(chdir, "directory"));
	}
	T(OK(SYS(getcwd, cwd, sizeof(cwd))) > 1000);
	for (int i = 0; i < 100; i++) {
		OK(SYS(chdir, ".."));
		OK(SYS(unlinkat, AT_FDCWD, "directory", AT_REMOVEDIR));
	}
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		OK(SYS(close, OK(SYS(openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL,
				      0600)))); /* many files */
	}
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		OK(SYS(unlinkat, AT_FDCWD, name, 0));
	}
}

CASE(big_file, "pwrite64:beyond 4 GiB", "lseek:beyond 4 GiB", "pread64:beyond 4 GiB",
	"ftruncate:beyond 4 GiB", "pwrite64:EINVAL", "lseek:EINVAL")
{
	char buf[4];
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600)), at = 5l << 30;

	EQ(SYS(pwrite64, fd, "far", 3, at), 3); /* beyond 4 GiB */
	EQ(SYS(lseek, fd, 0, SEEK_END), at + 3);
	EQ(SYS(pread64, fd, buf, 4, at + 1), 2);
	OK(SYS(ftruncate, fd, 6l << 30));
	EQ(SYS(lseek, fd, 0, SEEK_END), 6l << 30);
	EQ(SYS(pread64, fd, buf, 4, at), 4);
	T(memcmp(buf, "far\0", 4) == 0);
	ERR(SYS(lseek, fd, LONG_MAX, SEEK_CUR), EINVAL);
	ERR(SYS(pwrite64, fd, "x", 1, LONG_MAX), EINVAL); /* the end would overflow */
}

CASE(concurrent_files, "openat:O_EXCL among processes", "renameat2:atomic",
	"openat:O_APPEND among processes")
{
	char buf[8];
	struct stat st;
	long pids[4];
	int winners = 0;

	for (int i = 0; i < 4; i++) {
		pids[i] = OK(abi_fork());
		if (pids[i] == 0) {
			long won = SYS(openat, AT_FDCWD, "lock", O_CREAT | O_EXCL | O_WRONLY, 0600),
			     fd;

			fd = OK(SYS(openat, AT_FDCWD, "log", O_CREAT | O_APPEND | O_WRONLY, 0600));
			for (int n = 0; n < 200; n++)
				EQ(SYS(write, fd, "0123456789", 10), 10);
			for (int n = 0; n < 50; n++) {
				char mine[8];

				snprintf(mine, sizeof(mine), "t%d", i);
				abi_file(mine, "whole");
				OK(SYS(renameat2, AT_FDCWD, mine, AT_FDCWD, "target",
					0)); /* atomic */
				EQ(abi_slurp("target", buf, sizeof(buf)), 5);
			}
			_exit(won >= 0);
		}
	}
	for (int i = 0; i < 4; i++) {
		int status = abi_wait(pids[i]);

		T(WIFEXITED(status));
		winners += WEXITSTATUS(status);
	}
	EQ(winners, 1);
	OK(SYS(newfstatat, AT_FDCWD, "log", &st, 0));
	EQ(st.st_size, 4 * 200 * 10);
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

CASE(limits_of_resources, "prlimit64:RLIMIT_CPU", "getrlimit:value", "setrlimit:value",
	"setrlimit:EINVAL", "getrlimit:EINVAL", "signal:SIGXCPU")
{
	struct {
		uint64_t soft, hard;
	} l = {1, 3}, got, none = {}, crossed = {5, 4};
	int st;

	OK(SYS(setrlimit, RLIMIT_CORE, &none)); /* value */
	OK(SYS(getrlimit, RLIMIT_CORE, &got));  /* value */
	T(got.soft == 0 && got.hard == 0);
	ERR(SYS(getrlimit, 99, &got), EINVAL);
	ERR(SYS(setrlimit, RLIMIT_NOFILE, &crossed), EINVAL);
	IN_CHILD(&st)
	{
		OK(SYS(prlimit64, 0, RLIMIT_CPU, &l, NULL));
		for (;;)
			count_lines("x\n");
	}
	EQ(WTERMSIG(st), SIGXCPU);
}
