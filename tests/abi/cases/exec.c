/* exec.c: what execve takes, refuses, keeps and hands over. */
#define ABI_FAMILY "exec"
#include "../abi.h"
#include <elf.h>
#include <linux/close_range.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>

static char *const no_env[] = {NULL};

/* Runs a helper of this program in a child with stdout on a pipe; gives its wait status. */
static int run_helper(char *const argv[], char *const envp[], char *out, size_t size)
{
	int fds[2], st;
	size_t have = 0;
	long pid, got;

	OK(SYS(pipe2, fds, O_CLOEXEC));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(dup3, fds[1], 1, 0));
		SYS(execve, argv[0], argv, envp);
		_exit(126);
	}
	OK(SYS(close, fds[1]));
	while ((got = OK(SYS(read, fds[0], out + have, size - 1 - have))) > 0)
		have += (size_t)got;
	out[have] = '\0';
	OK(SYS(close, fds[0]));
	st = abi_wait(pid);
	return st;
}

static void make_script(const char *name, const char *text)
{
	abi_file(name, text);
	OK(SYS(fchmodat, AT_FDCWD, name, 0755));
}

CASE(arguments, "execve:argv", "execve:envp", "execve:empty strings")
{
	char *argv[] = {abi_self, "--helper", "args", "one", "", "three words here", NULL};
	char *envp[] = {"A=1", "EMPTY=", "noequals", NULL};
	char out[4096];

	EQ(run_helper(argv, envp, out, sizeof(out)), 0);
	T(strcmp(out, "arg args\narg one\narg \narg three words here\nenv A=1\nenv EMPTY=\nenv "
		      "noequals\n") == 0);
}

CASE(errors, "execve:ENOENT", "execve:EACCES", "execve:ENOEXEC", "execve:ENOTDIR", "execve:EFAULT",
	"execve:ELOOP", "execve:ENAMETOOLONG", "execve:EISDIR is EACCES")
{
	static char name[300];
	char *argv[] = {"x", NULL};

	ERR(SYS(execve, "gone", argv, no_env), ENOENT);
	abi_file("plain", "text");
	ERR(SYS(execve, "plain", argv, no_env), EACCES); /* no execute bit */
	make_script("junk", "neither ELF nor script");
	ERR(SYS(execve, "junk", argv, no_env), ENOEXEC);
	make_script("empty", "");
	ERR(SYS(execve, "empty", argv, no_env), ENOEXEC);
	ERR(SYS(execve, "junk/x", argv, no_env), ENOTDIR);
	ERR(SYS(execve, ".", argv, no_env), EACCES); /* EISDIR is EACCES here */
	ERR(SYS(execve, (void *)-4096L, argv, no_env), EFAULT);
	ERR(SYS(execve, abi_self, (void *)-4096L, no_env), EFAULT);
	OK(SYS(symlinkat, "l", AT_FDCWD, "l"));
	ERR(SYS(execve, "l", argv, no_env), ELOOP);
	memset(name, 'n', 299);
	ERR(SYS(execve, name, argv, no_env), ENAMETOOLONG);
}

CASE(too_big, "execve:E2BIG", "prlimit64:RLIMIT_STACK")
{
	static char word[131073];
	static char *argv[70];
	struct {
		uint64_t soft, hard;
	} l = {1 << 20, 1 << 20};

	/* One string may have 128 KiB with its NUL, all of them a quarter of the stack limit. */
	memset(word, 'w', 131072);
	argv[0] = abi_self;
	argv[1] = word;
	ERR(SYS(execve, abi_self, argv, no_env), E2BIG);
	word[8192] = '\0';
	for (int i = 1; i < 69; i++)
		argv[i] = word;
	OK(SYS(prlimit64, 0, RLIMIT_STACK, &l, NULL));
	ERR(SYS(execve, abi_self, argv, no_env), E2BIG);
	EQ(SYS(getpid) > 0, 1); /* a failed exec changes nothing */
}

CASE(script, "execve:interpreter line", "execve:one argument", "execve:script ENOENT")
{
	char text[PATH_MAX + 64], out[8192], want[PATH_MAX + 128];
	char *argv[] = {"./script", "extra", NULL};

	/* The line gives at most one argument; the script's own name follows it. */
	snprintf(text, sizeof(text), "#! %s --helper\nnot read\n", abi_self);
	make_script("script", text);
	EQ(run_helper(argv, no_env, out, sizeof(out)), 127 << 8); /* helper "./script": unknown */
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$0|$1|$#\"\n");
	make_script("script", text);
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
	snprintf(want, sizeof(want), "./script|extra|1\n");
	T(strcmp(out, want) == 0);
	make_script("script", "#!/no/such/interpreter\n");
	ERR(SYS(execve, "./script", argv, no_env), ENOENT);
	make_script("script", "#!\n");
	ERR(SYS(execve, "./script", argv, no_env), ENOEXEC);
	/* one argument: all that follows, blanks included */
	make_script("show", "#!/bin/sh -e -u\nexit 0\n");
	T(run_helper((char *[]){"./show", NULL}, no_env, out, sizeof(out)) != 0);
}

CASE(script_nested, "execve:nested script", "execve:ELOOP")
{
	char *argv[] = {"./s5", NULL};
	char name[8], text[64], out[256];

	make_script("s0", "#!/bin/sh\necho deep\n");
	for (int i = 1; i <= 5; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(text, sizeof(text), "#!./s%d\n", i - 1);
		make_script(name, text);
	}
	argv[0] = "./s4";
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0); /* nested script: five levels work */
	T(strcmp(out, "deep\n") == 0);
	ERR(SYS(execve, "./s5", argv, no_env), ELOOP);
}

CASE(cloexec, "execve:closes FD_CLOEXEC", "close_range:CLOSE_RANGE_CLOEXEC", "openat:O_CLOEXEC")
{
	char *argv[] = {abi_self, "--helper", "fds", NULL};
	char out[256];

	OK(SYS(close_range, 3, ~0u, 0));
	OK(SYS(openat, AT_FDCWD, "/", O_RDONLY));             /* 3 */
	OK(SYS(openat, AT_FDCWD, "/", O_RDONLY | O_CLOEXEC)); /* 4 */
	OK(SYS(openat, AT_FDCWD, "/", O_RDONLY));             /* 5 */
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
	T(strcmp(out, "0 1 2 3 5 ") == 0);
	OK(SYS(close_range, 5, ~0u, CLOSE_RANGE_CLOEXEC));
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
	T(strcmp(out, "0 1 2 3 ") == 0);
}

CASE(signals_kept, "execve:keeps ignored", "execve:resets handlers", "execve:keeps mask",
	"execve:keeps pending")
{
	char *argv[] = {abi_self, "--helper", "signals", NULL};
	char out[512];

	signal(SIGUSR1, SIG_IGN);
	abi_handler(SIGTERM, (void (*)(int))abort, 0);
	abi_block(SIGHUP);
	CHILD_OK
	{
		int fds[2];

		OK(SYS(pipe2, fds, 0));
		OK(SYS(dup3, fds[1], 1, 0));
		OK(SYS(kill, SYS(getpid), SIGHUP));
		if (OK(abi_fork()) == 0) {
			SYS(execve, abi_self, argv, no_env);
			_exit(1);
		}
		abi_sleep_ms(100);
		out[OK(SYS(read, fds[0], out, 100))] = 0;
		T(strcmp(out, "blocked 1 ignored 10 ") ==
			0); /* a child inherits no pending signal */
		SYS(execve, abi_self, argv, no_env);
	}
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
	T(strcmp(out, "blocked 1 ignored 10 ") == 0);
}

CASE(busy, "openat:ETXTBSY", "execve:ETXTBSY", "truncate:ETXTBSY", "sendfile:copy of program")
{
	char *argv[] = {"./prog", "--helper", "sleep", "10000", NULL};
	struct stat st;
	long in = OK(SYS(openat, AT_FDCWD, abi_self, O_RDONLY | O_CLOEXEC)), out, off = 0, pid;

	OK(SYS(fstat, in, &st));
	out = OK(SYS(openat, AT_FDCWD, "prog", O_RDWR | O_CREAT | O_CLOEXEC, 0755));
	while (off < st.st_size)
		T(OK(SYS(sendfile, out, in, &off, st.st_size - off)) > 0); /* copy of program */
	ERR(SYS(execve, "./prog", argv, no_env), ETXTBSY);                 /* open for writing */
	OK(SYS(close, out));
	pid = OK(abi_fork());
	if (pid == 0) {
		SYS(execve, "./prog", argv, no_env);
		_exit(1);
	}
	for (int i = 0; i < 400 && SYS(openat, AT_FDCWD, "prog", O_WRONLY | O_CLOEXEC) != -ETXTBSY;
		i++) {
		OK(SYS(close_range, in + 1, ~0u, 0));
		abi_sleep_ms(5);
	}
	ERR(SYS(openat, AT_FDCWD, "prog", O_WRONLY), ETXTBSY);
	ERR(SYS(truncate, "prog", 0), ETXTBSY);
	OK(SYS(openat, AT_FDCWD, "prog", O_RDONLY));
	OK(SYS(renameat2, AT_FDCWD, "prog", AT_FDCWD, "moved",
		0)); /* renames and unlinks are free */
	OK(SYS(unlinkat, AT_FDCWD, "moved", 0));
	OK(SYS(kill, pid, SIGKILL));
	abi_wait(pid);
}

CASE(set_id, "execve:S_ISUID", "execve:no_new_privs", "execve:MS_NOSUID", "setresuid:drops",
	"mount:MS_REMOUNT", "umount2:value")
{
	char *argv[] = {"m/prog", "--helper", "ids", NULL};
	struct stat st;
	char out[128];
	long in = OK(SYS(openat, AT_FDCWD, abi_self, O_RDONLY | O_CLOEXEC)), to, off = 0;

	/* On a mount of its own: the case's directory may be mounted nosuid. */
	OK(SYS(mkdirat, AT_FDCWD, "m", 0755));
	OK(SYS(mount, "none", "m", "tmpfs", 0, "mode=755"));
	OK(SYS(fstat, in, &st));
	to = OK(SYS(openat, AT_FDCWD, "m/prog", O_RDWR | O_CREAT | O_CLOEXEC, 0755));
	while (off < st.st_size)
		T(OK(SYS(sendfile, to, in, &off, st.st_size - off)) > 0);
	OK(SYS(fchown, to, 1234, 5678));
	OK(SYS(fchmod, to, 06755)); /* S_ISUID | S_ISGID */
	OK(SYS(close, to));
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			OK(SYS(mount, "none", "m", NULL, MS_REMOUNT | MS_NOSUID, NULL));
		if (round == 2)
			OK(SYS(mount, "none", "m", NULL, MS_REMOUNT, NULL));
		CHILD_OK
		{
			OK(SYS(setresgid, 1000, 1000, 1000));
			OK(SYS(setresuid, 1000, 1000, 1000)); /* drops */
			if (round == 2)
				OK(SYS(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
			EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
			/* no_new_privs and MS_NOSUID both keep the caller's identity */
			T(strcmp(out, round == 0 ? "1000 1234 1000 5678\n"
						 : "1000 1000 1000 1000\n") == 0);
		}
	}
	OK(SYS(umount2, "m", 0)); /* value */
}

CASE(execveat, "execveat:AT_EMPTY_PATH", "execveat:dirfd", "execveat:AT_SYMLINK_NOFOLLOW",
	"execveat:EBADF", "execveat:ELOOP", "execveat:EINVAL", "execveat:ENOENT")
{
	char *argv[] = {"name", "--helper", "exit", "12", NULL};
	long fd = OK(SYS(openat, AT_FDCWD, abi_self, O_PATH)), dir;
	int st;

	IN_CHILD(&st)
	{
		SYS(execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
	}
	EQ(st, 12 << 8);
	OK(SYS(symlinkat, abi_self, AT_FDCWD, "l"));
	dir = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));
	ERR(SYS(execveat, dir, "l", argv, no_env, AT_SYMLINK_NOFOLLOW), ELOOP);
	ERR(SYS(execveat, 999, "l", argv, no_env, 0), EBADF);
	ERR(SYS(execveat, dir, "l", argv, no_env, 0x40000), EINVAL);
	ERR(SYS(execveat, fd, "", argv, no_env, 0), ENOENT);
	IN_CHILD(&st)
	{
		SYS(execveat, dir, "l", argv, no_env, 0); /* dirfd */
	}
	EQ(st, 12 << 8);
}

CASE(bad_elf, "execve:ENOEXEC", "execve:truncated ELF", "execve:EINVAL or ENOEXEC for bad headers")
{
	Elf64_Ehdr e;
	char *argv[] = {"./bad", NULL};
	long fd = OK(SYS(openat, AT_FDCWD, abi_self, O_RDONLY)), out;

	EQ(SYS(read, fd, &e, sizeof(e)), sizeof(e));
	out = OK(SYS(openat, AT_FDCWD, "bad", O_RDWR | O_CREAT, 0755));
	for (int kind = 0; kind < 5; kind++) {
		Elf64_Ehdr bad = e;

		if (kind == 0)
			bad.e_type = ET_REL;
		else if (kind == 1)
			bad.e_machine = EM_VAX;
		else if (kind == 2)
			bad.e_phentsize = 7;
		else if (kind == 3)
			bad.e_phnum = 0;
		OK(SYS(close, out));
		out = OK(SYS(openat, AT_FDCWD, "bad", O_RDWR | O_TRUNC));
		EQ(SYS(write, out, &bad, kind == 4 ? 20 : sizeof(bad)),
			kind == 4 ? 20 : sizeof(bad));
		OK(SYS(close, out));
		ERR(SYS(execve, "./bad", argv, no_env), ENOEXEC); /* truncated ELF is one of them */
		out = OK(SYS(openat, AT_FDCWD, "bad", O_RDONLY));
	}
	/* The table lies behind the end of the file. */
	OK(SYS(close, out));
	out = OK(SYS(openat, AT_FDCWD, "bad", O_RDWR | O_TRUNC));
	EQ(SYS(write, out, &e, sizeof(e)), sizeof(e));
	OK(SYS(close, out));
	fd = SYS(execve, "./bad", argv, no_env);
	T(fd == -EINVAL || fd == -ENOEXEC || fd == -EIO);
}

CASE(auxiliary, "auxv:AT_PAGESZ", "auxv:AT_RANDOM", "auxv:AT_EXECFN", "auxv:AT_SECURE",
	"auxv:AT_PHDR", "auxv:AT_SYSINFO_EHDR", "auxv:AT_CLKTCK", "auxv:AT_UID", "auxv:AT_ENTRY",
	"auxv:AT_MINSIGSTKSZ")
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	const char *name = (const char *)getauxval(AT_EXECFN);
	const unsigned char *bytes = (const unsigned char *)getauxval(AT_RANDOM);
	int sum = 0;

	EQ(getauxval(AT_PAGESZ), sysconf(_SC_PAGESIZE));
	EQ(getauxval(AT_CLKTCK), 100);
	EQ(getauxval(AT_UID), 0);
	EQ(getauxval(AT_SECURE), 0);
	T(getauxval(AT_PHDR) && getauxval(AT_ENTRY) && getauxval(AT_BASE) == 0);
	T(vdso && memcmp(vdso, ELFMAG, SELFMAG) == 0);
	T(name && strstr(name, "abi-runner"));
	T(getauxval(AT_MINSIGSTKSZ) >= 1024);
	T(bytes != NULL);
	for (int i = 0; i < 16; i++)
		sum |= bytes[i];
	T(sum != 0);
}

CASE(initial_state, "execve:comm", "execve:personality", "personality:value", "proc:exe link",
	"execve:argc 0")
{
	char *argv[] = {abi_self, "--helper", "args", NULL};
	char link[PATH_MAX] = "", text[512], out[1024];
	long len;

	OK(SYS(readlinkat, AT_FDCWD, "/proc/self/exe", link, sizeof(link) - 1));
	T(strcmp(link, abi_self) == 0); /* exe link */
	len = OK(abi_slurp("/proc/self/comm", text, sizeof(text)));
	T(len > 1 && len <= 16 && text[len - 1] == '\n');
	EQ(SYS(personality, 0xffffffff), 0); /* value */
	EQ(SYS(personality, ADDR_NO_RANDOMIZE), 0);
	EQ(SYS(personality, 0xffffffff), ADDR_NO_RANDOMIZE);
	EQ(run_helper(argv, no_env, out, sizeof(out)), 0);
	T(strcmp(out, "arg args\n") == 0);
	/* argc 0: since 5.18 an empty string stands for the name */
	CHILD_OK
	{
		SYS(execve, "/bin/true", no_env, no_env);
	}
}

static void *busy_thread(void *arg)
{
	(void)arg;
	for (;;)
		abi_sleep_ms(50);
}

#include <pthread.h>

CASE(threads_end, "execve:ends other threads", "exit_group:ends threads")
{
	char *argv[] = {abi_self, "--helper", "exit", "21", NULL};
	pthread_t t;
	int st;

	IN_CHILD(&st)
	{
		T(pthread_create(&t, NULL, busy_thread, NULL) == 0);
		T(pthread_create(&t, NULL, busy_thread, NULL) == 0);
		SYS(execve, abi_self, argv, no_env); /* ends other threads */
	}
	EQ(st, 21 << 8);
	IN_CHILD(&st)
	{
		T(pthread_create(&t, NULL, busy_thread, NULL) == 0);
		SYS(exit_group, 22); /* ends threads */
	}
	EQ(st, 22 << 8);
}
