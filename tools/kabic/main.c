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

int main(int argc, char **argv)
{
	struct options options = {};
	const char *header = nullptr, *parked = nullptr, *slots = nullptr, *index = nullptr;
	struct contract **contracts = arena((size_t)argc * sizeof(*contracts));
	int nr = 0;

	for (int i = 1; i < argc; i++) {
		const char **value = !strcmp(argv[i], "--header")   ? &header
				     : !strcmp(argv[i], "--parked") ? &parked
				     : !strcmp(argv[i], "--slots")  ? &slots
				     : !strcmp(argv[i], "--index")  ? &index
								    : nullptr;

		if (!strcmp(argv[i], "--help")) {
			usage(stdout);
			return 0;
		} else if (value && i + 1 < argc) {
			*value = argv[++i];
		} else if (!strcmp(argv[i], "-I") && i + 1 < argc && options.nr_include_dirs < 16) {
			options.include_dirs[options.nr_include_dirs++] = argv[++i];
		} else if (argv[i][0] == '-') {
			usage(stderr);
			return 2;
		} else {
			const struct source *source = source_load(argv[i]);

			if (!source) {
				fprintf(stderr, "kabic: cannot read %s\n", argv[i]);
				return 1;
			}
			contracts[nr] = parse_file(&options, source);
			check_file_name(contracts[nr], argv[i]);
			check_contract(contracts[nr++]);
		}
	}
	if (!nr || ((header || parked) && nr != 1)) {
		usage(stderr);
		return 2;
	}
	if (nr_errors)
		return 1;
	write_file(header, contracts, nr, emit_header, nullptr);
	write_file(parked, contracts, nr, emit_parked, nullptr);
	write_file(slots, contracts, nr, nullptr, emit_slots);
	write_file(index, contracts, nr, nullptr, emit_index);
	return 0;
}
