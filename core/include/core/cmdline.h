#pragma once
/* Kernel command line (core/init/cmdline.c): parsed once at boot; values live for ever. */
#include <lib/types.h>
struct boot_parameters {
	const char *root, *rootfstype, *rootflags, *init, *rdinit, *console;
	bool rootwait, read_write, quiet, nokaslr, isolation_off, arch_test;
	u32 loglevel, panic_seconds_plus_1 /* 0: never reboot */, max_cpus, rerun, memfail;
	bool no_rows;
	const char *consoles[8]; /* every console=, options included */
	u32 nr_consoles;
	u64 mem_bytes;            /* mem=, 0 none */
	const char *user[32];     /* words for init: unknown "name" and everything after "--" */
	const char *user_env[32]; /* unknown "name=value" */
	u32 nr_user, nr_user_env;
};
extern struct boot_parameters boot_parameters;
extern char boot_command_line[4096]; /* /proc/cmdline */
/* Error: an impossible value; its text names the parameter (logged, the parameter ignored). */
void cmdline_parse(const char *line);
