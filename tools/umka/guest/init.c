/*
 * The guest's first process, for both kernels: mounts what a userland expects, enters the root
 * file system, runs a shell or one command, tells the runner how it ended, and powers off.
 *
 * What to do stands in /umka/config, a second cpio archive that ./umka appends per run:
 * NUL-terminated "key=value" strings, then "argv", then the words of the command (none: a shell).
 *
 * Talk with the runner goes over the console, framed by a marker "\x1e@UMKA-<nonce>@" that CMD
 * cannot guess:   MARK start flags\n   output of CMD   MARK exit STATUS\n   kernel messages of
 * meanwhile
 *
 * A static program without a C library of its own (nolibc), so that it asks little of a young
 * kernel: every step whose failure can be lived with is reported and passed over.
 */
#include "nolibc.h"

#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/reboot.h>

#define NR_ARGS_MAX          1024
#define CONFIG_BYTES_MAX     (256 * 1024)
#define COPY_BYTES           16384
#define DEVICE_WAIT_MS       10000
#define POLL_MS              100
#define EXIT_NOT_EXECUTABLE  126
#define EXIT_NOT_FOUND       127
#define EXIT_SIGNAL_BASE     128
#define SYSLOG_CONSOLE_LEVEL 8
#define TIOCSCTTY_           0x540E
#define TIOCSWINSZ_          0x5414
#define TCGETS_              0x5401
#define TCSETS_              0x5402
#define OPOST_               0x0001u
#define FLAG_QUIET           "quiet"
#define FLAG_RAW             "raw"

/* asm-generic/termbits.h's struct termios; nolibc's headers and its own clash, so it is here. */
struct ktermios {
	unsigned int iflag, oflag, cflag, lflag;
	unsigned char line, cc[19];
};

struct winsize_ {
	unsigned short rows, cols, xpixel, ypixel;
};

static char config[CONFIG_BYTES_MAX + 1];
static size_t config_bytes;
static char *args[NR_ARGS_MAX + 1];
static int nr_args;
static char copy_buffer[COPY_BYTES];
static char path_env[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char home_env[] = "HOME=/root";
static char shell_env[] = "SHELL=/bin/bash";
static char user_env[] = "USER=root";
static char lang_env[] = "LANG=C.UTF-8";
static char term_env[64] = "TERM=linux";
static char *guest_env[] = {path_env, home_env, shell_env, user_env, lang_env, term_env, NULL};

static void say(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t done = write(1, text, left);

		if (done <= 0)
			return;
		text += done;
		left -= (size_t)done;
	}
}

static void complain(const char *what, const char *which)
{
	int error = errno;

	say("umka-init: ");
	say(what);
	say(" ");
	say(which);
	say(": errno ");
	say(itoa(error));
	say("\n");
}

static const char *setting(const char *key)
{
	size_t length = strlen(key);

	for (char *at = config; at < config + config_bytes; at += strlen(at) + 1) {
		if (strcmp(at, "argv") == 0)
			break;
		if (strncmp(at, key, length) == 0 && at[length] == '=')
			return at + length + 1;
	}
	return "";
}

static void read_config(void)
{
	int fd = open("/umka/config", O_RDONLY);
	ssize_t got;

	if (fd < 0) {
		complain("cannot open", "/umka/config");
		return;
	}
	while (config_bytes < CONFIG_BYTES_MAX &&
		(got = read(fd, config + config_bytes, CONFIG_BYTES_MAX - config_bytes)) > 0)
		config_bytes += (size_t)got;
	close(fd);

	bool in_args = false;

	for (char *at = config; at < config + config_bytes; at += strlen(at) + 1) {
		if (in_args && nr_args < NR_ARGS_MAX)
			args[nr_args++] = at;
		else if (strcmp(at, "argv") == 0)
			in_args = true;
	}
}

static void try_mount(const char *type, const char *where, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, flags, options) != 0 && errno != EBUSY)
		complain("cannot mount", where);
}

static void mount_early(void)
{
	try_mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	try_mount("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	try_mount("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
}

/* Once the final root is entered: /dev has moved along, the rest is mounted afresh. */
static void mount_late(void)
{
	try_mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=000");
	try_mount("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	try_mount("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	try_mount("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	/* Linux does not know ukfs, and says so with ENODEV: nothing to report. */
	mkdir("/ukfs", 0755);
	mount("ukfs", "/ukfs", "ukfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/*
 * Init itself stays on /dev/console, which no hangup reaches; a child gets the terminal behind it
 * by its own name, so that ttyname(3) and the end of its session work as on any terminal.
 */
static int open_console(const char *tty)
{
	static char path[64] = "/dev/";
	int fd = -1;

	if (*tty && strlcat(path, tty, sizeof(path)) < sizeof(path))
		fd = open(path, O_RDWR | O_NOCTTY);
	if (fd < 0)
		fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return -1;
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
	return 0;
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || my_syscall3(__NR_finit_module, fd, "", 0) < 0)
		say("umka-init: a module could not be loaded\n");
	if (fd >= 0)
		close(fd);
}

/* The list names the modules that Debian's Linux needs, in order; our kernel has no such list. */
static void load_modules(void)
{
	static char list[8192];
	int fd = open("/umka/modules.list", O_RDONLY);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return;
	while (used < sizeof(list) - 1 &&
		(got = read(fd, list + used, sizeof(list) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	list[used] = '\0';
	for (char *at = list, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		load_module(at);
	}
}

static void sleep_ms(int ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	select(0, NULL, NULL, NULL, &pause);
}

static bool wait_for_device(const char *device)
{
	struct stat info;

	for (int waited = 0; waited < DEVICE_WAIT_MS; waited += 10) {
		if (stat(device, &info) == 0)
			return true;
		sleep_ms(10);
	}
	return false;
}

static bool wait_for_node(const char *name)
{
	char path[64] = "/dev/";

	return strlcat(path, name, sizeof(path)) < sizeof(path) && wait_for_device(path);
}

static void bind_overlay(void)
{
	struct stat info;

	if (stat("/overlay", &info) != 0)
		return;
	mkdir("/newroot/overlay", 0755);
	if (mount("/overlay", "/newroot/overlay", "", MS_BIND, NULL) != 0)
		complain("cannot bind", "/overlay");
}

static bool enter_root(const char *device)
{
	static const char *const moved[][2] = {
		{"/proc", "/newroot/proc"},
		{"/sys", "/newroot/sys"},
		{"/dev", "/newroot/dev"},
	};
	const char *type = setting("rootfstype");
	unsigned long flags = strcmp(setting("ro"), "1") == 0 ? MS_RDONLY : 0;

	if (!wait_for_device(device)) {
		errno = ENODEV;
		complain("no device", device);
		return false;
	}
	mkdir("/newroot", 0755);
	if (mount(device, "/newroot", *type ? type : "ext4", flags, NULL) != 0) {
		complain("cannot mount the root file system", device);
		return false;
	}
	bind_overlay();
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++)
		if (mount(moved[i][0], moved[i][1], "", MS_MOVE, NULL) != 0)
			complain("cannot move", moved[i][0]);
	if (chdir("/newroot") != 0 || mount(".", "/", "", MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
		chdir("/") != 0) {
		complain("cannot enter", "/newroot");
		return false;
	}
	return true;
}

static int number(const char *text)
{
	return *text ? atoi(text) : 0;
}

static void set_up_terminal(void)
{
	struct winsize_ size = {
		.rows = (unsigned short)number(setting("rows")),
		.cols = (unsigned short)number(setting("cols")),
	};
	const char *term = setting("term");

	if (size.rows > 0)
		ioctl(0, TIOCSWINSZ_, &size);
	if (*term && strlen(term) < sizeof(term_env) - 6)
		strcpy(term_env + 5, term);
}

/* Output processing off, so that the runner gets CMD's bytes as CMD wrote them. */
static bool make_console_raw(void)
{
	struct ktermios mode;

	if (ioctl(1, TCGETS_, &mode) != 0)
		return false;
	mode.oflag &= ~OPOST_;
	return ioctl(1, TCSETS_, &mode) == 0;
}

/* Only panics reach the console from here on; the rest is read from /dev/kmsg afterwards. */
static bool quiet_console(void)
{
	return my_syscall3(__NR_syslog, SYSLOG_CONSOLE_LEVEL, 0, 1) == 0;
}

static void mark(const char *what)
{
	static char line[256];

	strcpy(line, "\x1e@UMKA-");
	strlcat(line, setting("nonce"), sizeof(line));
	strlcat(line, "@ ", sizeof(line));
	strlcat(line, what, sizeof(line));
	strlcat(line, "\n", sizeof(line));
	say(line);
}

static __attribute__((noreturn)) void exec_command(char **words)
{
	static char path[4096];
	const char *dir = path_env + 5;
	int error = ENOENT;

	if (strchr(words[0], '/')) {
		execve(words[0], words, guest_env);
		error = errno;
		dir = "";
	}
	while (*dir) {
		const char *end = strchr(dir, ':');
		size_t length = end ? (size_t)(end - dir) : strlen(dir);

		if (length + strlen(words[0]) + 2 < sizeof(path)) {
			memcpy(path, dir, length);
			path[length] = '/';
			strcpy(path + length + 1, words[0]);
			execve(path, words, guest_env);
			if (errno != ENOENT)
				error = errno;
		}
		dir += length + (end != NULL);
	}
	errno = error;
	complain("cannot run", words[0]);
	exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static pid_t start(char **words, int input, int output)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	setsid();
	open_console(setting("tty"));
	ioctl(0, TIOCSCTTY_, (void *)1);
	if (input >= 0)
		dup2(input, 0);
	if (output >= 0) {
		dup2(output, 1);
		dup2(output, 2);
	}
	for (int fd = 3; fd < 16; fd++)
		close(fd);
	if (chdir("/root") != 0)
		chdir("/");
	exec_command(words);
}

/* Reaps whatever ends; true when it was `child`. */
static bool reap(pid_t child, int *status, int options)
{
	int code = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &code, options)) > 0) {
		if (pid == child) {
			*status = code;
			return true;
		}
	}
	return pid < 0 && errno == ECHILD && options == 0;
}

static bool copy_some(int from)
{
	ssize_t got = read(from, copy_buffer, sizeof(copy_buffer));

	for (ssize_t at = 0; at < got;) {
		ssize_t done = write(1, copy_buffer + at, (size_t)(got - at));

		if (done <= 0)
			return false;
		at += done;
	}
	return got > 0;
}

/*
 * Copies CMD's output until every writer is gone, or CMD is and what it left running
 * (a daemon that holds the pipe) has been silent for one poll interval.
 */
static void relay(int from, pid_t child, int *status)
{
	bool ended = false;

	for (;;) {
		struct pollfd wait = {.fd = from, .events = POLLIN};
		int ready = poll(&wait, 1, POLL_MS);

		if (ready != 0) {
			if (!copy_some(from))
				break;
		} else if (ended) {
			return;
		} else {
			ended = reap(child, status, WNOHANG);
		}
	}
	while (!ended)
		ended = reap(child, status, 0);
}

static int run_command(void)
{
	int status = 0;
	int ends[2] = {-1, -1};
	int null = open("/dev/null", O_RDONLY);

	/* Without a pipe (a very young kernel) CMD writes to the console itself. */
	if (pipe(ends) != 0)
		complain("no pipe for", args[0]);

	pid_t child = start(args, null, ends[1]);

	if (child < 0) {
		complain("cannot fork for", args[0]);
		return EXIT_NOT_EXECUTABLE;
	}
	if (ends[1] >= 0) {
		close(ends[1]);
		relay(ends[0], child, &status);
	} else {
		while (!reap(child, &status, 0))
			;
	}
	return status;
}

static int run_shell(void)
{
	static char bash[] = "/bin/bash", sh[] = "/bin/sh", login[] = "-l";
	struct stat info;
	char *words[] = {stat(bash, &info) == 0 ? bash : sh, login, NULL};
	int status = 0;
	pid_t child = start(words, -1, -1);

	if (child < 0) {
		complain("cannot fork for", words[0]);
		return EXIT_NOT_EXECUTABLE;
	}
	while (!reap(child, &status, 0))
		;
	return status;
}

static void send_kernel_log(int kmsg)
{
	ssize_t got;

	if (kmsg < 0)
		return;
	while ((got = read(kmsg, copy_buffer, sizeof(copy_buffer) - 1)) > 0) {
		copy_buffer[got] = '\0';
		say(copy_buffer);
	}
	close(kmsg);
}

static void stop_everything(const char *root)
{
	kill(-1, SIGTERM);
	for (int waited = 0; waited < 500; waited += 10) {
		int status;

		if (waitpid(-1, &status, WNOHANG) < 0)
			break;
		sleep_ms(10);
	}
	kill(-1, SIGKILL);
	my_syscall0(__NR_sync);
	if ((*root || *setting("remount")) && mount("", "/", "", MS_REMOUNT | MS_RDONLY, NULL) != 0)
		complain("cannot remount read-only", "/");
	my_syscall0(__NR_sync);
}

static void load_hostname(void)
{
	my_syscall2(__NR_sethostname, "umka", 4);
}

static int exit_status(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return EXIT_SIGNAL_BASE + (status & 0x7f);
}

static void report(int status)
{
	char text[32] = "exit ";

	open_console("");
	strlcat(text, itoa(exit_status(status)), sizeof(text));
	mark(text);
}

int main(void)
{
	char flags[64] = "start";
	const char *root;
	int console, kmsg, status;

	mount_early();
	console = open_console("");
	read_config();
	load_modules();
	/* Where the console's driver is a module, there is one only now. */
	if (console != 0 && wait_for_node(setting("tty")))
		open_console("");
	root = setting("root");
	if (*root && !enter_root(root)) {
		mark("failed");
		goto off;
	}
	mount_late();
	load_hostname();
	set_up_terminal();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
	if (quiet_console())
		strlcat(flags, " " FLAG_QUIET, sizeof(flags));
	if (nr_args > 0 && make_console_raw())
		strlcat(flags, " " FLAG_RAW, sizeof(flags));
	mark(flags);
	status = nr_args > 0 ? run_command() : run_shell();
	report(status);
	send_kernel_log(kmsg);
off:
	stop_everything(root);
	reboot(LINUX_REBOOT_CMD_POWER_OFF);
	say("umka-init: the kernel did not power off\n");
	for (;;)
		sleep_ms(1000);
}
