/*
 * kabic: the contract compiler.
 *
 * Purpose: kabi/NAME.kabi is the source of truth for every call between modules; nobody writes a
 *   vtable, a wrapper or a state layout by hand.
 *
 * Vocabulary: contract, method, state, parked vtable: kabi/README.md.
 *
 * Objects: everything is allocated once from an arena and lives until exit.
 *
 * Invariants: KABIC-I1 a layout is the same for every target (natural alignment, holes named);
 *   KABIC-I2 a vtable only grows; KABIC-I3 no code address outside section .kabi.vtable;
 *   KABIC-I4 a failed run writes no output file.
 *
 * Failure: one message with place and caret for each error; exit status 1.
 *
 * Cost: linear in the input but for name lookups (a contract has some hundred names).
 */
#include <stdlib.h>
#include <string.h>
#include "kabic.h"

void *arena(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p) {
		fputs("kabic: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

char *arena_text(const char *text, size_t length)
{
	char *copy = arena(length + 1);

	memcpy(copy, text, length);
	return copy;
}

const struct source *source_load(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return nullptr;
	struct source *source = arena(sizeof(*source));

	source->path = arena_text(path, strlen(path));
	for (size_t room = 65536;; room *= 2) {
		source->text = realloc(source->text, room);
		if (!source->text)
			exit(1);
		source->size +=
			fread(source->text + source->size, 1, room - 1 - source->size, file);
		if (source->size < room - 1)
			break;
	}
	source->text[source->size] = '\0';
	fclose(file);
	return source;
}

const struct source *source_find(const struct options *options, const char *near, const char *name)
{
	char path[4096];
	const char *slash = strrchr(near, '/');

	snprintf(path, sizeof(path), "%.*s%s.kabi", slash ? (int)(slash - near + 1) : 0, near,
		name);
	const struct source *source = source_load(path);

	for (int i = 0; !source && i < options->nr_include_dirs; i++) {
		snprintf(path, sizeof(path), "%s/%s.kabi", options->include_dirs[i], name);
		source = source_load(path);
	}
	return source;
}

static void usage(FILE *out)
{
	fputs("usage: kabic [-I DIR]... [--header FILE] [--parked FILE] NAME.kabi\n"
	      "       kabic [-I DIR]... --slots FILE --index FILE NAME.kabi...\n"
	      "Compiles a contract to its C header and to its parked vtable; the second form "
	      "lists\n"
	      "all contracts of a kernel. Without outputs the contract is only checked.\n",
		out);
}

typedef void (*emit_one_fn)(FILE *out, const struct contract *contract);
typedef void (*emit_all_fn)(FILE *out, struct contract **contracts, int nr_contracts);

static void write_file(const char *path, struct contract **c, int nr, emit_one_fn one,
	emit_all_fn all)
{
	if (!path)
		return;
	FILE *out = fopen(path, "w");

	if (!out) {
		fprintf(stderr, "kabic: cannot write %s\n", path);
		exit(1);
	}
	if (one)
		one(out, c[0]);
	else
		all(out, c, nr);
	if (ferror(out) | fclose(out)) {
		fprintf(stderr, "kabic: writing %s failed\n", path);
		remove(path);
		exit(1);
	}
}

/* The file's name is the contract's name: <kabi/NAME.h> must find it. */
static void check_file_name(const struct contract *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t length = strlen(c->name);

	if (strncmp(base, c->name, length) || strcmp(base + length, ".kabi"))
		complain(&c->place, "contract '%s' must be in a file %s.kabi", c->name, c->name);
}

/* What the command line asks for: contracts that have been read, and files to write. */
struct order {
	struct options options;
	const char *header, *parked, *slots, *index;
	struct contract **contracts;
	int nr;
};

static const char **output_of(struct order *o, const char *option)
{
	return !strcmp(option, "--header")   ? &o->header
	       : !strcmp(option, "--parked") ? &o->parked
	       : !strcmp(option, "--slots")  ? &o->slots
	       : !strcmp(option, "--index")  ? &o->index
					     : nullptr;
}

static bool read_contract(struct order *o, const char *path)
{
	const struct source *source = source_load(path);
	struct contract *c;

	if (!source) {
		fprintf(stderr, "kabic: cannot read %s\n", path);
		return false;
	}
	c = o->contracts[o->nr++] = parse_file(&o->options, source);
	check_file_name(c, path);
	check_contract(c);
	return true;
}

/* One argument, with its value; the exit status when it is the last word, else -1. */
static int parse_argument(struct order *o, int argc, char **argv, int *at)
{
	const char *word = argv[*at], **output = output_of(o, word);
	const bool more = *at + 1 < argc;

	if (!strcmp(word, "--help")) {
		usage(stdout);
		return 0;
	}
	if (output && more) {
		*output = argv[++*at];
	} else if (!strcmp(word, "-I") && more && o->options.nr_include_dirs < 16) {
		o->options.include_dirs[o->options.nr_include_dirs++] = argv[++*at];
	} else if (word[0] == '-') {
		usage(stderr);
		return 2;
	} else if (!read_contract(o, word)) {
		return 1;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct order order = {.contracts = arena((size_t)argc * sizeof(*order.contracts))};
	int status = -1;

	for (int i = 1; i < argc && status < 0; i++)
		status = parse_argument(&order, argc, argv, &i);
	if (status >= 0)
		return status;
	if (!order.nr || ((order.header || order.parked) && order.nr != 1)) {
		usage(stderr);
		return 2;
	}
	if (nr_errors)
		return 1;
	write_file(order.header, order.contracts, order.nr, emit_header, nullptr);
	write_file(order.parked, order.contracts, order.nr, emit_parked, nullptr);
	write_file(order.slots, order.contracts, order.nr, nullptr, emit_slots);
	write_file(order.index, order.contracts, order.nr, nullptr, emit_index);
	return 0;
}
