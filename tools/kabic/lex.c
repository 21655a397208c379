/* Tokens of the contract language, and error messages that point at one. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "kabic.h"

int nr_errors;

static void show_line(const struct place *place)
{
	const char *at = place->source->text;
	int line = 1;

	while (line < place->line && *at)
		if (*at++ == '\n')
			line++;
	int length = (int)strcspn(at, "\n");

	fprintf(stderr, "%5d | %.*s\n      | ", place->line, length, at);
	for (int i = 1; i < place->column && i <= length; i++)
		fputc(at[i - 1] == '\t' ? '\t' : ' ', stderr);
	fputs("^\n", stderr);
}

static void report(const struct place *place, const char *format, va_list args)
{
	fprintf(stderr, "%s:%d:%d: error: ", place->source->path, place->line, place->column);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	show_line(place);
	nr_errors++;
}

void complain(const struct place *place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(place, format, args);
	va_end(args);
}

void fail(const struct place *place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(place, format, args);
	va_end(args);
	exit(1);
}

static char peek(const struct lexer *l, size_t ahead)
{
	return l->at + ahead < l->source->size ? l->source->text[l->at + ahead] : '\0';
}

static void advance(struct lexer *l)
{
	if (peek(l, 0) == '\n') {
		l->line++;
		l->column = 1;
	} else {
		l->column++;
	}
	l->at++;
}

static struct place here(const struct lexer *l)
{
	return (struct place){l->source, l->line, l->column};
}

static void skip_space(struct lexer *l)
{
	for (;;) {
		struct place start = here(l);

		if (peek(l, 0) && isspace((unsigned char)peek(l, 0))) {
			advance(l);
		} else if (peek(l, 0) == '/' && peek(l, 1) == '/') {
			while (peek(l, 0) && peek(l, 0) != '\n')
				advance(l);
		} else if (peek(l, 0) == '/' && peek(l, 1) == '*') {
			advance(l);
			advance(l);
			while (peek(l, 0) && !(peek(l, 0) == '*' && peek(l, 1) == '/'))
				advance(l);
			if (!peek(l, 0))
				fail(&start, "comment is not closed");
			advance(l);
			advance(l);
		} else {
			return;
		}
	}
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void lex_int(struct lexer *l)
{
	const char *text = l->source->text + l->at;
	char *end;

	errno = 0;
	l->token.kind = TOKEN_INT;
	l->token.value = strtoull(text, &end, 0);
	if (errno == ERANGE)
		fail(&l->token.place, "number does not fit 64 bits");
	if (is_name_char(*end))
		fail(&l->token.place, "malformed number");
	while (l->source->text + l->at < end)
		advance(l);
}

static void lex_string(struct lexer *l)
{
	advance(l);
	size_t start = l->at;

	while (peek(l, 0) && peek(l, 0) != '"' && peek(l, 0) != '\n') {
		if (peek(l, 0) == '\\')
			fail(&(struct place){l->source, l->line, l->column},
				"no escapes in strings");
		advance(l);
	}
	if (peek(l, 0) != '"')
		fail(&l->token.place, "string is not closed on its line");
	l->token.kind = TOKEN_STRING;
	l->token.text = arena_text(l->source->text + start, l->at - start);
	advance(l);
}

void lex_next(struct lexer *l)
{
	skip_space(l);
	l->token = (struct token){.place = here(l)};
	char c = peek(l, 0);

	if (!c) {
		if (l->at < l->source->size)
			fail(&l->token.place, "NUL byte in the file");
		l->token.kind = TOKEN_END;
	} else if (isalpha((unsigned char)c) || c == '_') {
		size_t start = l->at;

		while (is_name_char(peek(l, 0)))
			advance(l);
		l->token.kind = TOKEN_NAME;
		l->token.text = arena_text(l->source->text + start, l->at - start);
	} else if (isdigit((unsigned char)c)) {
		lex_int(l);
	} else if (c == '"') {
		lex_string(l);
	} else {
		l->token.kind = TOKEN_PUNCT;
		if (c == '-' && peek(l, 1) == '>') {
			advance(l);
			c = '>';
		} else if (!strchr("{}()[];:,=-.", c)) {
			fail(&l->token.place, "character '%c' has no meaning here", c);
		}
		l->token.punct = c;
		advance(l);
	}
}

void lex_start(struct lexer *l, const struct source *source)
{
	*l = (struct lexer){.source = source, .line = 1, .column = 1};
	lex_next(l);
}
