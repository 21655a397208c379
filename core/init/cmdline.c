/* Command line: Linux's words (kernel-parameters.txt in Linux's documentation) and our rerun= and
 * isolation=. Bad values are named in the log and ignored, as Linux does; unknown words go to init
 * as arguments or environment. */
#include <core/cmdline.h>
#include <core/log.h>
#include <core/plant.h>
#include <core/cpu.h>
#include <lib/string.h>

struct boot_parameters boot_parameters = {.loglevel = LOG_INFO + 1, .max_cpus = NR_CPUS_MAX};
char boot_command_line[4096];
static char words[4096];

static bool number(const char *name, const char *value, u64 max, u64 *out)
{
	u64 v;

	if (!parse_u64(value, strlen(value), &v) || v > max) {
		log_warn("command line: bad value for %s: \"%s\", ignored\n", name, value);
		return false;
	}
	*out = v;
	return true;
}

/* memparse: a number with K, M, G. */
static bool memory_size(const char *value, u64 *out)
{
	size_t len = strlen(value);
	u32 shift = 0;

	if (len == 0)
		return false;
	switch (value[len - 1]) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	}
	if (!parse_u64(value, shift ? len - 1 : len, out) || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return *out != 0;
}

/* A bad value leaves *out as it was. */
static void number32(const char *name, const char *value, u64 max, u32 *out)
{
	u64 v;

	if (number(name, value, max, &v))
		*out = (u32)v;
}

static bool parse_number_word(const char *name, const char *value)
{
	struct boot_parameters *b = &boot_parameters;
	u64 v;

	if (!strcmp(name, "loglevel")) {
		number32(name, value, 8, &b->loglevel);
	} else if (!strcmp(name, "panic")) {
		if (!strcmp(value, "-1"))
			b->panic_seconds_plus_1 = 1; /* at once */
		else if (number(name, value, 86400, &v))
			b->panic_seconds_plus_1 = v ? (u32)v + 1 : 0;
	} else if (!strcmp(name, "maxcpus")) {
		if (number(name, value, NR_CPUS_MAX, &v))
			b->max_cpus = v ? (u32)v : 1;
	} else if (!strcmp(name, "rerun")) {
		number32(name, value, 1000000, &b->rerun);
	} else if (!strcmp(name, "memfail")) {
		number32(name, value, 1000000, &b->memfail);
	} else if (!strcmp(name, "rows")) {
		if (number(name, value, 1, &v))
			b->no_rows = v == 0;
#if UMKA_DEBUG
	} else if (!strcmp(name, "park")) {
		if (number(name, value, 1000000, &v))
			park_set((u32)v);
#endif
	} else if (!strcmp(name, "mem")) {
		if (!memory_size(value, &b->mem_bytes))
			log_warn("command line: bad value for mem: \"%s\", ignored\n", value);
	} else {
		return false;
	}
	return true;
}

/* The log goes to all of them, /dev/console is the last. */
static void add_console(struct boot_parameters *b, const char *value)
{
	b->console = value;
	if (b->nr_consoles < ARRAY_SIZE(b->consoles))
		b->consoles[b->nr_consoles++] = value;
}

static bool parse_text_word(const char *name, const char *value)
{
	struct boot_parameters *b = &boot_parameters;

	if (!strcmp(name, "root"))
		b->root = value;
	else if (!strcmp(name, "rootfstype"))
		b->rootfstype = value;
	else if (!strcmp(name, "rootflags"))
		b->rootflags = value;
	else if (!strcmp(name, "init"))
		b->init = value;
	else if (!strcmp(name, "rdinit"))
		b->rdinit = value;
	else if (!strcmp(name, "console"))
		add_console(b, value);
	else if (!strcmp(name, "isolation"))
		b->isolation_off = !strcmp(value, "off");
#if UMKA_DEBUG
	else if (!strcmp(name, "plant"))
		plant_set(value);
#endif
	else
		return false;
	return true;
}

static bool parse_flag_word(const char *word)
{
	struct boot_parameters *b = &boot_parameters;

	if (!strcmp(word, "ro"))
		b->read_write = false;
	else if (!strcmp(word, "rw"))
		b->read_write = true;
	else if (!strcmp(word, "quiet"))
		b->quiet = true, b->loglevel = LOG_WARNING;
	else if (!strcmp(word, "rootwait"))
		b->rootwait = true;
	else if (!strcmp(word, "nokaslr"))
		b->nokaslr = true;
	else if (!strcmp(word, "archtest"))
		b->arch_test = true;
	else if (!strcmp(word, "debug"))
		b->loglevel = LOG_DEBUG + 1;
	else
		return false;
	return true;
}

/* Words of Linux that mean nothing here but must not reach init's arguments. */
static bool known_elsewhere(const char *name)
{
	static const char *const names[] = {"BOOT_IMAGE", "initrd", "acpi", "earlycon",
		"earlyprintk", "printk.time", "tsc", "mitigations", "nopti"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return strchr(name, '.') != nullptr; /* module parameters */
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* The next word of *at, ended where it stands; blanks between quotes belong to it. nullptr: none.
 */
static char *next_word(char **at)
{
	char *p = *at, *word;
	bool quoted = false;

	while (is_blank(*p))
		p++;
	word = p;
	for (; *p && (quoted || !is_blank(*p)); p++)
		if (*p == '"')
			quoted = !quoted;
	if (*p)
		*p++ = 0;
	*at = p;
	return *word ? word : nullptr;
}

static void init_argument(struct boot_parameters *b, char *word)
{
	if (b->nr_user < ARRAY_SIZE(b->user))
		b->user[b->nr_user++] = word;
}

/* NAME=VALUE: ours, known not to be init's, or part of init's environment. */
static void assignment(struct boot_parameters *b, char *word)
{
	char *value = strchr(word, '=');

	*value = 0;
	if (parse_text_word(word, value + 1) || parse_number_word(word, value + 1) ||
		known_elsewhere(word))
		return;
	*value = '=';
	if (b->nr_user_env < ARRAY_SIZE(b->user_env))
		b->user_env[b->nr_user_env++] = word;
}

void cmdline_parse(const char *line)
{
	struct boot_parameters *b = &boot_parameters;
	char *p = words, *word;

	strlcpy(boot_command_line, line, sizeof(boot_command_line));
	strlcpy(words, line, sizeof(words));
	while ((word = next_word(&p)) && strcmp(word, "--"))
		if (strchr(word, '='))
			assignment(b, word);
		else if (!parse_flag_word(word) && !known_elsewhere(word))
			init_argument(b, word);
	while ((word = next_word(&p)))
		init_argument(b, word);
}
