#pragma once
/* kabic's own types: tokens, the declarations of one file, and the passes over them. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum token_kind {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_INT,
	TOKEN_STRING,
	TOKEN_PUNCT, /* one character, or "->" whose character is '>' */
};

struct place {
	const struct source *source;
	int line, column; /* from 1 */
};

struct token {
	enum token_kind kind;
	struct place place;
	char *text;     /* name or string, owned by the arena */
	uint64_t value; /* TOKEN_INT */
	char punct;
};

struct source {
	const char *path;
	char *text;
	size_t size;
};

struct lexer {
	const struct source *source;
	size_t at;
	int line, column;
	struct token token; /* the one looked at */
};

enum type_base {
	TYPE_VOID,
	TYPE_ANSWER,
	TYPE_U8,
	TYPE_U16,
	TYPE_U32,
	TYPE_U64,
	TYPE_S8,
	TYPE_S16,
	TYPE_S32,
	TYPE_S64,
	TYPE_BOOL8,
	TYPE_HANDLE,
	TYPE_REF,
	TYPE_UADDR,
	TYPE_NAMED,
	TYPE_BYTES, /* only behind view, out, inout, user */
};

struct type {
	enum type_base base;
	struct place place;
	const char *name;     /* TYPE_NAMED */
	struct decl *decl;    /* TYPE_NAMED, after the check */
	uint32_t nr_elements; /* 0: not an array */
};

enum param_mode { MODE_VALUE, MODE_VIEW, MODE_OUT, MODE_INOUT, MODE_OBJECT, MODE_USER };

struct param {
	const char *name;
	struct place place;
	enum param_mode mode;
	struct type type;
	bool many; /* X[]: pointer and count */
};

#define MAX_PARAMS     12
#define MAX_EXCLUSIONS 4
#define NR_NEEDS       5

struct exclusion {
	int class;
	bool shared;
	int param;
};

struct member { /* struct or state field, enumerator */
	const char *name;
	struct place place;
	struct type type;
	uint64_t value; /* enumerator's value, or a field's default */
	bool has_value, negative;
	uint32_t since;
	uint64_t offset, size;
	struct member *next;
};

enum decl_kind {
	DECL_CONST,
	DECL_ENUM,
	DECL_FLAGS,
	DECL_STRUCT,
	DECL_STATE,
	DECL_OBJECT,
	DECL_METHOD,
	DECL_TUNABLE,
};

struct decl {
	enum decl_kind kind;
	const char *name;
	struct place place;
	bool imported;
	bool lent; /* DECL_OBJECT without an identity: core lends it for the call */
	struct member *members;
	struct type
		type; /* const: unused; enum, flags: underlying; method: result; tunable: scalar */
	uint64_t value; /* const, tunable default */
	bool negative;
	/* struct, state */
	uint64_t size, align;
	uint32_t version;
	const char *lifetime;
	/* method */
	struct param params[MAX_PARAMS];
	int nr_params;
	uint32_t count; /* of vtable entries: 1, or NAME[count] */
	bool is_array, removed, uninterruptible, killable;
	uint32_t since, index;
	const char *fallback; /* errno name or number in C */
	const char *doc;
	struct exclusion exclusions[MAX_EXCLUSIONS];
	int nr_exclusions;
	uint64_t needs[NR_NEEDS];
	/* tunable */
	uint64_t low, high, decay;
	struct decl *next;
};

enum contract_kind {
	KIND_COMPONENT,
	KIND_SUBSYSTEM,
	KIND_POLICY,
	KIND_PERSONALITY,
	KIND_SERVICES,
	KIND_SCHEMA
};

struct import {
	const char *name;
	struct import *next;
};

struct contract {
	const char *name;
	struct place place;
	enum contract_kind kind;
	uint32_t version, index;
	struct decl *decls, **decls_tail;
	struct import *imports, **imports_tail;
	struct import *slots, **slots_tail; /* names of fixed slots; none: one without a name */
};

struct options {
	const char *include_dirs[16];
	int nr_include_dirs;
};

/* main.c */
void *arena(size_t size);
char *arena_text(const char *text, size_t length);
const struct source *source_load(const char *path);
const struct source *source_find(const struct options *options, const char *near, const char *name);

/* lex.c */
[[noreturn]] void fail(const struct place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void complain(const struct place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
extern int nr_errors;
void lex_start(struct lexer *lexer, const struct source *source);
void lex_next(struct lexer *lexer);

/* parse.c */
struct contract *parse_file(const struct options *options, const struct source *source);

/* check.c */
extern const char *const exclusion_names[];
extern const char *const need_names[];
int name_index(const char *const *names, const char *name);
void check_contract(struct contract *contract);
bool type_is_scalar(const struct type *type);
uint64_t type_size(const struct type *type);

/* emit_header.c, emit_parked.c, emit_index.c */
extern const char *const contract_kind_names[];
void emit_type(FILE *out, const struct type *type);
void emit_params(FILE *out, const struct contract *c, const struct decl *method, bool names);
const char *upper(const char *name);
void emit_header(FILE *out, const struct contract *contract);
void emit_parked(FILE *out, const struct contract *contract);
void emit_slots(FILE *out, struct contract **contracts, int nr_contracts);
void emit_index(FILE *out, struct contract **contracts, int nr_contracts);
