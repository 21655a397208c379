/* proc.c: the files of /proc and /sys that programs parse. */
#define ABI_FAMILY "proc"
#include "../abi.h"
#include <sys/prctl.h>

static char text[1 << 17];

static long slurp(const char *path)
{
	return OK(abi_slurp(path, text, sizeof(text)));
}

static void want(const char *what)
{
	if (!strstr(text, what))
		abi_fail(__FILE__, __LINE__, what, 0, 1);
}

/* The number behind "Name:" of a status-like file; -1 when there is none. */
static long field(const char *name)
{
	char *at = text;
	size_t len = strlen(name);

	while (at && strncmp(at, name, len) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtol(at + len, NULL, 0) : -1;
}

CASE(stat, "proc:PID/stat", "read:proc file", "proc:comm with blanks", "prctl:PR_SET_NAME")
{
	int pid, ppid, pgrp, session;
	char state, comm[32], want_path[32];

	OK(SYS(prctl, PR_SET_NAME, "odd (name)", 0, 0, 0));
	slurp("/proc/self/stat");
	EQ(sscanf(text, "%d (%30[^\n]", &pid, comm), 2);
	T(strstr(text, "(odd (name)) ") != NULL);
	EQ(sscanf(strrchr(text, ')') + 2, "%c %d %d %d", &state, &ppid, &pgrp, &session), 4);
	T(pid == SYS(getpid) && ppid == SYS(getppid) && pgrp == SYS(getpgid, 0) &&
		session == SYS(getsid, 0));
	EQ(state, 'R');
	int fields = 2;
	for (char *p = strrchr(text, ')') + 1; *p; p++)
		fields += *p == ' ';
	EQ(fields, 52);
	snprintf(want_path, sizeof(want_path), "/proc/%d/stat", pid);
	T(slurp(want_path) > 50);
}

CASE(status, "proc:PID/status", "proc:Uid and Gid", "proc:SigCgt", "read:proc file")
{
	uint64_t mask;

	signal(SIGUSR1, SIG_IGN);
	abi_block(SIGHUP);
	slurp("/proc/self/status");
	EQ(field("Pid:"), SYS(getpid));
	EQ(field("Tgid:"), SYS(getpid));
	EQ(field("PPid:"), SYS(getppid));
	EQ(field("Threads:"), 1);
	want("State:\tR (running)");
	want("Uid:\t0\t0\t0\t0\n");
	want("Gid:\t0\t0\t0\t0\n");
	T(field("VmRSS:") > 0 && field("VmSize:") > 0 && field("FDSize:") > 0);
	mask = strtoull(strstr(text, "SigBlk:") + 8, NULL, 16);
	EQ(mask, 1);
	mask = strtoull(strstr(text, "SigIgn:") + 8, NULL, 16);
	EQ(mask, 1 << (SIGUSR1 - 1));
	want("CapEff:\t");
	want("NoNewPrivs:\t");
	want("Cpus_allowed:\t");
}

CASE(maps, "proc:PID/maps", "proc:smaps_rollup", "mmap:named file", "proc:heap and stack")
{
	long fd = OK(SYS(openat, AT_FDCWD, "mapped-file", O_RDWR | O_CREAT, 0600));
	char *p, line[128];

	OK(SYS(ftruncate, fd, 8192));
	p = (char *)OK(SYS(mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		4096)); /* named file */
	T(sbrk(4096) != (void *)-1);
	slurp("/proc/self/maps");
	want("[heap]");
	want("[stack]");
	want("[vdso]");
	want("r-xp");
	snprintf(line, sizeof(line), "%lx-%lx rw-s 00001000 ", (long)p, (long)p + 4096);
	want(line);
	T(strstr(strstr(text, line), "/mapped-file\n") != NULL);
	slurp("/proc/self/smaps_rollup");
	want("[rollup]");
	T(field("Rss:") > 0);
	slurp("/proc/self/statm");
	int n = 0;
	for (char *at = text; *at; at++)
		n += *at == ' ';
	EQ(n, 6);
}

CASE(command_line, "proc:PID/cmdline", "proc:PID/environ", "proc:PID/comm", "openat:O_WRONLY comm",
	"proc:PID/auxv")
{
	long fd, len;

	len = slurp("/proc/self/cmdline");
	T(len > 0 && text[len - 1] == '\0' && strstr(text, "abi-runner"));
	OK(slurp("/proc/self/environ"));
	fd = OK(SYS(openat, AT_FDCWD, "/proc/self/comm", O_WRONLY)); /* O_WRONLY comm */
	EQ(SYS(write, fd, "renamed", 7), 7);
	slurp("/proc/self/comm");
	T(strcmp(text, "renamed\n") == 0);
	len = slurp("/proc/self/auxv");
	T(len > 0 && len % 16 == 0);
}

CASE(links, "readlinkat:cwd", "readlinkat:exe", "readlinkat:root", "readlinkat:fd",
	"readlinkat:deleted", "newfstatat:through fd link", "openat:fd reopens")
{
	char buf[PATH_MAX] = "", cwd[PATH_MAX], path[64];
	struct stat a, b;
	long fd, again;

	OK(SYS(getcwd, cwd, sizeof(cwd)));
	OK(SYS(readlinkat, AT_FDCWD, "/proc/self/cwd", buf, sizeof(buf) - 1));
	T(strcmp(buf, cwd) == 0);
	EQ(SYS(readlinkat, AT_FDCWD, "/proc/self/root", buf, sizeof(buf)), 1);
	OK(SYS(readlinkat, AT_FDCWD, "/proc/self/exe", buf, sizeof(buf) - 1));
	T(strstr(buf, "abi-runner") != NULL);
	abi_file("f", "0123");
	fd = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
	memset(buf, 0, sizeof(buf));
	OK(SYS(readlinkat, AT_FDCWD, path, buf, sizeof(buf) - 1));
	T(strcmp(buf + strlen(cwd), "/f") == 0);
	OK(SYS(unlinkat, AT_FDCWD, "f", 0));
	OK(SYS(readlinkat, AT_FDCWD, path, buf, sizeof(buf) - 1));
	T(strcmp(buf + strlen(cwd), "/f (deleted)") == 0);
	OK(SYS(fstat, fd, &a));
	OK(SYS(newfstatat, AT_FDCWD, path, &b, 0));
	EQ(a.st_ino, b.st_ino);
	EQ(SYS(lseek, fd, 2, SEEK_SET), 2);
	again = OK(SYS(openat, AT_FDCWD, path, O_RDWR)); /* fd reopens: an open file of its own */
	EQ(SYS(lseek, again, 0, SEEK_CUR), 0);
	OK(SYS(readlinkat, AT_FDCWD, "/dev/fd", buf, sizeof(buf)));
}

CASE(descriptors, "getdents64:/proc/self/fd", "proc:PID/fdinfo", "openat:ENOENT", "proc:PID/task")
{
	char path[64];
	long fd = OK(SYS(openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY)), f;

	T(OK(SYS(getdents64, fd, text, sizeof(text))) > 24 * 5);
	abi_file("f", "0123");
	f = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY | O_CLOEXEC));
	EQ(SYS(lseek, f, 3, SEEK_SET), 3);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%ld", f);
	slurp(path);
	EQ(field("pos:"), 3);
	T(strtol(strstr(text, "flags:") + 6, NULL, 8) & O_CLOEXEC);
	ERR(SYS(openat, AT_FDCWD, "/proc/self/fd/999", O_RDONLY), ENOENT);
	ERR(SYS(openat, AT_FDCWD, "/proc/4000000", O_RDONLY), ENOENT);
	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", SYS(gettid));
	slurp(path);
	EQ(field("Pid:"), SYS(gettid));
}

CASE(limits, "proc:PID/limits", "proc:PID/oom_score_adj", "proc:PID/io", "prlimit64:RLIMIT_NOFILE",
	"write:EINVAL")
{
	struct {
		uint64_t soft, hard;
	} l = {123, 456};
	long fd;

	OK(SYS(prlimit64, 0, RLIMIT_NOFILE, &l, NULL));
	slurp("/proc/self/limits");
	want("Max open files            123                  456                  files");
	fd = OK(SYS(openat, AT_FDCWD, "/proc/self/oom_score_adj", O_RDWR));
	EQ(SYS(write, fd, "100\n", 4), 4);
	slurp("/proc/self/oom_score_adj");
	T(strcmp(text, "100\n") == 0);
	ERR(SYS(write, fd, "5000\n", 5), EINVAL);
	slurp("/proc/self/io");
	T(field("rchar:") > 0 && field("syscr:") > 0);
}

CASE(system_files, "proc:meminfo", "proc:uptime", "proc:loadavg", "proc:stat", "proc:version",
	"proc:cpuinfo", "proc:filesystems", "proc:cmdline", "proc:mounts", "read:proc file")
{
	double up, idle;
	int a, b, last;

	slurp("/proc/meminfo");
	T(field("MemTotal:") > 0 && field("MemFree:") > 0 && field("MemAvailable:") > 0 &&
		field("Cached:") >= 0);
	slurp("/proc/uptime");
	EQ(sscanf(text, "%lf %lf", &up, &idle), 2);
	T(up > 0);
	slurp("/proc/loadavg");
	EQ(sscanf(text, "%lf %lf %*f %d/%d %d", &up, &idle, &a, &b, &last), 5);
	T(a >= 1 && b >= a && last >= 1);
	slurp("/proc/stat");
	T(strncmp(text, "cpu  ", 5) == 0);
	want("\ncpu0 ");
	want("\nbtime ");
	want("\nprocesses ");
	T(field("ctxt ") > 0);
	slurp("/proc/version");
	T(strncmp(text, "Linux version 6.", 16) == 0);
	slurp("/proc/cpuinfo");
	want("processor\t: 0\n");
	slurp("/proc/filesystems");
	want("nodev\tproc\n");
	want("nodev\ttmpfs\n");
	T(slurp("/proc/cmdline") > 0);
	slurp("/proc/mounts");
	want(" /proc proc ");
}

CASE(sysctl, "proc:sys/kernel/osrelease", "proc:sys/kernel/hostname", "proc:sys/kernel/pid_max",
	"proc:sys/vm/overcommit_memory", "sethostname:value", "sethostname:EINVAL",
	"setdomainname:value", "proc:sys/kernel/random/uuid", "sethostname:EPERM",
	"proc:sys/fs/file-max")
{
	char old[65], uuid[64];
	long len;

	slurp("/proc/sys/kernel/osrelease");
	T(strncmp(text, "6.", 2) == 0);
	len = slurp("/proc/sys/kernel/hostname");
	T(len > 0 && len < 65);
	memcpy(old, text, (size_t)len);
	OK(SYS(sethostname, "abi-case", 8)); /* value */
	slurp("/proc/sys/kernel/hostname");
	T(strcmp(text, "abi-case\n") == 0);
	OK(SYS(sethostname, old, len - 1));
	ERR(SYS(sethostname, text, 65), EINVAL);
	OK(SYS(setdomainname, "(none)", 6)); /* value */
	slurp("/proc/sys/kernel/pid_max");
	T(atol(text) >= 301);
	slurp("/proc/sys/vm/overcommit_memory");
	T(atol(text) >= 0 && atol(text) <= 2);
	EQ(slurp("/proc/sys/kernel/random/uuid"), 37);
	memcpy(uuid, text, 37);
	slurp("/proc/sys/kernel/random/uuid");
	T(memcmp(uuid, text, 37) != 0 && text[14] == '4');
	slurp("/proc/sys/fs/file-max");
	T(atol(text) > 0);
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(sethostname, "x", 1), EPERM);
}

CASE(other_process, "proc:of a child", "proc:zombie", "openat:EACCES", "readlinkat:EACCES",
	"getdents64:pids")
{
	char path[64], buf[64];
	long pid = OK(abi_fork()), fd, got;
	bool seen = false;

	if (pid == 0) {
		abi_sleep_ms(5000);
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	slurp(path); /* of a child */
	EQ(field("PPid:"), SYS(getpid));
	fd = OK(SYS(openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY));
	snprintf(buf, sizeof(buf), "%ld", pid);
	while ((got = OK(SYS(getdents64, fd, text, 4096))) > 0)
		for (long at = 0; at < got; at += *(uint16_t *)(text + at + 16))
			seen |= strcmp(text + at + 19, buf) == 0; /* pids */
	T(seen);
	CHILD_OK
	{
		OK(SYS(setresgid, 1000, 1000, 1000));
		OK(SYS(setresuid, 1000, 1000, 1000));
		OK(abi_slurp(path, text, sizeof(text))); /* everybody may read it */
		snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
		ERR(SYS(openat, AT_FDCWD, path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%ld/cwd", pid);
		ERR(SYS(readlinkat, AT_FDCWD, path, buf, sizeof(buf)), EACCES);
	}
	OK(SYS(kill, pid, SIGKILL));
	abi_await_state(pid, 'Z'); /* zombie */
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	EQ(slurp(path), 0);
	abi_wait(pid);
	ERR(SYS(openat, AT_FDCWD, path, O_RDONLY), ENOENT);
}

CASE(read_only_tree, "openat:EACCES", "mkdirat:ENOENT", "unlinkat:EPERM", "fchmodat:EPERM",
	"lseek:proc file")
{
	long fd, got;
	char buf[8];

	got = SYS(openat, AT_FDCWD, "/proc/new", O_RDWR | O_CREAT, 0600);
	T(got == -ENOENT);
	ERR(SYS(mkdirat, AT_FDCWD, "/proc/new", 0700), ENOENT);
	ERR(SYS(unlinkat, AT_FDCWD, "/proc/version", 0), EPERM);
	ERR(SYS(fchmodat, AT_FDCWD, "/proc/self/status", 0777), EPERM);
	fd = OK(SYS(openat, AT_FDCWD, "/proc/version", O_RDONLY));
	EQ(SYS(read, fd, buf, 5), 5);
	EQ(SYS(lseek, fd, 0, SEEK_SET), 0); /* proc file */
	EQ(SYS(read, fd, buf, 5), 5);
	T(memcmp(buf, "Linux", 5) == 0);
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(openat, AT_FDCWD, "/proc/version", O_WRONLY), EACCES);
}

CASE(sys, "sys:cpu online", "sys:block and class", "readlinkat:sysfs link", "statfs:sysfs")
{
	char buf[256];
	long f[15];

	OK(abi_slurp("/sys/devices/system/cpu/online", text, sizeof(text)));
	T(text[0] == '0');
	OK(SYS(openat, AT_FDCWD, "/sys/class", O_RDONLY | O_DIRECTORY));
	OK(SYS(openat, AT_FDCWD, "/sys/block", O_RDONLY | O_DIRECTORY));
	OK(SYS(readlinkat, AT_FDCWD, "/sys/class/mem/null", buf, sizeof(buf))); /* sysfs link */
	OK(abi_slurp("/sys/class/mem/null/dev", text, sizeof(text)));
	T(strcmp(text, "1:3\n") == 0);
	OK(SYS(statfs, "/sys", f));
	EQ(f[0], 0x62656572);
}
