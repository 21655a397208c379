/*
 * runner.c: runs the cases of the ABI suite and prints TAP.
 *
 * Purpose: one static program that carries every case, runs on any kernel that can fork, and says
 * which (call, flag-or-errno) pairs were checked.
 *
 * Objects: a case is a descriptor in section abi_cases; nothing registers itself at run time.
 *
 * Invariants: (1) a case runs in a child with default signals, umask 022, its own session and its
 * own empty directory; (2) whatever a case does, the runner prints exactly one line for it; (3) a
 * case that outlives its time is killed with its process group and counts as failed.
 *
 * Failure: a kernel that dies in a case leaves "# run CASE" as the last line; the suite reads that.
 */
#define ABI_FAMILY "runner"
#include "abi.h"
#include "syscall_names.h"
#include <dirent.h>
#include <getopt.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

extern const struct abi_case *const __start_abi_cases[];
extern const struct abi_case *const __stop_abi_cases[];

static struct {
	const char *tmp;
	const char *mask;
	const char *list_file;
	int timeout_s;
	bool on_umka;
	bool check_masks;
	bool show_pairs;
} opt = {.tmp = "/tmp", .timeout_s = 20};

static volatile sig_atomic_t expired;

static void on_alarm(int sig)
{
	(void)sig;
	expired = 1;
}

static long mask_number(const char *name)
{
	for (size_t i = 0; i < sizeof(syscall_names) / sizeof(syscall_names[0]); i++)
		if (strcmp(syscall_names[i].name, name) == 0)
			return syscall_names[i].number;
	return -1;
}

/* From here on the call `number` answers ENOSYS in this task and its children. */
static void mask_call(long number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror("# seccomp");
		_exit(98);
	}
}

/* Removes a tree; what is still mounted in it is taken off first. */
static void remove_tree(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0) {
		if (unlinkat(dir_fd, name, 0) != 0 && errno == EBUSY) {
			char path[64];

			snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
			(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
		}
		return;
	}
	dir = fdopendir(fd);
	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_tree(fd, entry->d_name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno == EBUSY) {
		if (fchdir(dir_fd) == 0 && umount2(name, MNT_DETACH) == 0)
			(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	else
		close(fd);
}

/* The state in which every case starts; only then is the mask laid. */
static void prepare_child(const char *dir)
{
	uint64_t none = 0;
	long fd;

	SYS(setsid);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	SYS(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	umask(022);
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0) {
		dup2((int)fd, STDIN_FILENO);
		if (opt.check_masks) /* there a failure is what is wanted */
			dup2((int)fd, STDERR_FILENO);
		if (fd > 2)
			close((int)fd);
	}
	if (chdir(dir) != 0) {
		perror("# chdir to the case's directory");
		_exit(1);
	}
	if (opt.mask)
		mask_call(mask_number(opt.mask));
}

/* Runs one case; gives its wait status, or -1 when its time was over. */
static int run_case(const struct abi_case *c, const char *dir)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	expired = 0;
	pid = (pid_t)abi_fork();
	if (pid == 0) {
		prepare_child(dir);
		c->run();
		_exit(0);
	}
	if (pid < 0)
		return -1;
	alarm((unsigned)opt.timeout_s);
	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR || expired) {
			kill(pid, SIGKILL);
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			status = -1;
			break;
		}
	}
	alarm(0);
	kill(-pid, SIGKILL);
	/* Orphans of a case come back to a runner that is init of its guest. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return status;
}

/* Makes the case's directory, runs it there, and removes it. */
static int run_in_directory(const struct abi_case *c)
{
	char dir[PATH_MAX];
	int status;

	snprintf(dir, sizeof(dir), "%s/abi.%d.%s", opt.tmp, (int)getpid(), c->name);
	(void)mkdir(dir, 0755);
	status = run_case(c, dir);
	remove_tree(AT_FDCWD, dir);
	return status;
}

/* Prints the case's TAP line; 0 passed or skipped, 1 failed. */
static int report(int number, const struct abi_case *c, int status)
{
	if (WIFEXITED(status) && status >= 0 && WEXITSTATUS(status) == 77) {
		printf("ok %d - %s.%s # SKIP\n", number, c->family, c->name);
		return 0;
	}
	if (status == 0) {
		printf("ok %d - %s.%s\n", number, c->family, c->name);
		return 0;
	}
	if (status < 0)
		printf("# timed out after %d s\n", opt.timeout_s);
	else if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	printf("not ok %d - %s.%s\n", number, c->family, c->name);
	return 1;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Counts distinct pairs and calls of the cases that passed. */
static void print_coverage(const struct abi_case **passed, int nr_passed)
{
	const char **pairs = NULL;
	size_t nr = 0, nr_pairs = 0, nr_calls = 0;

	for (int i = 0; i < nr_passed; i++)
		for (const char *const *p = passed[i]->pairs; *p; p++) {
			pairs = realloc(pairs, (nr + 1) * sizeof(*pairs));
			if (!pairs)
				exit(1);
			pairs[nr++] = *p;
		}
	if (nr)
		qsort(pairs, nr, sizeof(*pairs), compare_text);
	for (size_t i = 0; i < nr; i++) {
		size_t call = strcspn(pairs[i], ":");

		if (i == 0 || strcmp(pairs[i], pairs[i - 1]) != 0) {
			nr_pairs++;
			if (opt.show_pairs)
				printf("# pair %s\n", pairs[i]);
		}
		if (i == 0 || strcspn(pairs[i - 1], ":") != call ||
			strncmp(pairs[i], pairs[i - 1], call) != 0)
			nr_calls++;
	}
	printf("# covered: %d cases passed, %zu distinct pairs, %zu distinct calls\n", nr_passed,
		nr_pairs, nr_calls);
	free(pairs);
}

static bool wanted(const struct abi_case *c, char **names)
{
	char full[128];

	if (c->only_umka && !opt.on_umka)
		return false;
	if (!names[0])
		return true;
	snprintf(full, sizeof(full), "%s.%s", c->family, c->name);
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], c->family) == 0 || strcmp(names[i], full) == 0)
			return true;
	return false;
}

static void list_cases(char **names)
{
	opt.on_umka = true;
	for (const struct abi_case *const *c = __start_abi_cases; c < __stop_abi_cases; c++) {
		if (!wanted(*c, names))
			continue;
		printf("%s.%s%s", (*c)->family, (*c)->name, (*c)->only_umka ? "\tumka" : "\tboth");
		for (const char *const *p = (*c)->pairs; *p; p++)
			printf("\t%s", *p);
		printf("\n");
	}
}

static int run_all(char **names)
{
	int nr_all = (int)(__stop_abi_cases - __start_abi_cases);
	const struct abi_case **passed = calloc((size_t)nr_all + 1, sizeof(*passed));
	int nr_passed = 0, nr_failed = 0, number = 0, nr_wanted = 0;

	for (int i = 0; i < nr_all; i++)
		nr_wanted += wanted(__start_abi_cases[i], names);
	if (!passed || nr_wanted == 0) {
		fprintf(stderr, "abi-runner: no such case\n");
		return 2;
	}
	printf("TAP version 13\n1..%d\n", nr_wanted);
	for (int i = 0; i < nr_all; i++) {
		const struct abi_case *c = __start_abi_cases[i];
		int status;

		if (!wanted(c, names))
			continue;
		number++;
		printf("# run %s.%s\n", c->family, c->name);
		status = run_in_directory(c);
		if (report(number, c, status) != 0)
			nr_failed++;
		else if (status == 0)
			passed[nr_passed++] = c;
	}
	print_coverage(passed, nr_passed);
	free(passed);
	return nr_failed ? 1 : 0;
}

/* Does a pair before `end` name this call too? */
static bool named_before(const struct abi_case *c, const char *const *end, const char *call)
{
	for (const char *const *p = c->pairs; p < end; p++)
		if (strcspn(*p, ":") == strlen(call) && strncmp(*p, call, strlen(call)) == 0)
			return true;
	return false;
}

/*
 * Proves, on Linux, that each case depends on the calls that it names: with one of them masked the
 * case must fail. One that passes then would also pass on a kernel that has no such call. What has
 * no number of its own (files of /proc, the auxiliary vector, signals) cannot be masked.
 */
static int check_masks(char **names)
{
	int nr_all = (int)(__stop_abi_cases - __start_abi_cases);
	int number = 0, nr_wrong = 0;

	printf("TAP version 13\n");
	for (int i = 0; i < nr_all; i++) {
		const struct abi_case *c = __start_abi_cases[i];
		char call[64];

		if (!wanted(c, names) || c->only_umka)
			continue;
		for (const char *const *p = c->pairs; *p; p++) {
			int status;

			snprintf(call, sizeof(call), "%.*s", (int)strcspn(*p, ":"), *p);
			if (named_before(c, p, call) || mask_number(call) < 0)
				continue;
			opt.mask = call;
			status = run_in_directory(c);
			number++;
			if (status == 0)
				nr_wrong++;
			printf("%s %d - %s.%s fails without %s\n", status == 0 ? "not ok" : "ok",
				number, c->family, c->name, call);
		}
	}
	printf("1..%d\n", number);
	return nr_wrong ? 1 : 0;
}

/* Reads the names of cases, one a line, from a file; NULL ends the list. */
static char **read_names(const char *path)
{
	static char *names[4096];
	static char text[1 << 17];
	long length = abi_slurp(path, text, sizeof(text));
	int nr = 0;

	if (length < 0) {
		fprintf(stderr, "abi-runner: cannot read %s\n", path);
		exit(2);
	}
	for (char *name = strtok(text, " \n"); name && nr < 4095; name = strtok(NULL, " \n"))
		names[nr++] = name;
	return names;
}

/* The absolute path of this program; cases execute it as a helper. */
static void find_self(const char *argv0)
{
	long length;

	if (strchr(argv0, '/') && realpath(argv0, abi_self))
		return;
	length = readlink("/proc/self/exe", abi_self, sizeof(abi_self) - 1);
	if (length > 0)
		abi_self[length] = '\0';
}

int main(int argc, char **argv, char **envp)
{
	static const struct option options[] = {
		{"list", no_argument, NULL, 'l'},
		{"pairs", no_argument, NULL, 'p'},
		{"tmp", required_argument, NULL, 't'},
		{"timeout", required_argument, NULL, 's'},
		{"mask", required_argument, NULL, 'm'},
		{"check-masks", no_argument, NULL, 'c'},
		{"file", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	struct utsname uts;
	char **names;
	bool list = false;
	int c;

	if (argc > 1 && strcmp(argv[1], "--helper") == 0)
		return abi_helper(argc - 2, argv + 2, envp);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			list = true;
			break;
		case 'p':
			opt.show_pairs = true;
			break;
		case 't':
			opt.tmp = optarg;
			break;
		case 's':
			opt.timeout_s = atoi(optarg);
			break;
		case 'm':
			opt.mask = optarg;
			break;
		case 'c':
			opt.check_masks = true;
			break;
		case 'f':
			opt.list_file = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: abi-runner [--list] [--pairs] [--tmp DIR] [--timeout S] "
				"[--mask CALL] [--check-masks] [--file NAMES] [FAMILY | "
				"FAMILY.CASE]...\n");
			return 2;
		}
	}
	if (opt.mask && mask_number(opt.mask) < 0) {
		fprintf(stderr, "abi-runner: no call %s on this architecture\n", opt.mask);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_self(argv[0]);
	abi_handler(SIGALRM, on_alarm, 0);
	opt.on_umka = uname(&uts) == 0 && strstr(uts.version, "Umka");
	names = opt.list_file ? read_names(opt.list_file) : argv + optind;
	if (list) {
		list_cases(names);
		return 0;
	}
	return opt.check_masks ? check_masks(names) : run_all(names);
}
