/* Recursive descent over one contract file; kabi/README.md has the grammar. */
#include <stdlib.h>
#include <string.h>
#include "kabic.h"

struct parser {
	struct lexer lexer;
	const struct options *options;
	struct contract *contract;
};

static const struct token *token(const struct parser *p)
{
	return &p->lexer.token;
}

static const char *describe(const struct token *t)
{
	static char text[96];

	switch (t->kind) {
	case TOKEN_END:
		return "the end of the file";
	case TOKEN_NAME:
		snprintf(text, sizeof(text), "'%.60s'", t->text);
		return text;
	case TOKEN_INT:
		return "a number";
	case TOKEN_STRING:
		return "a string";
	case TOKEN_PUNCT:
		snprintf(text, sizeof(text), t->punct == '>' ? "'->'" : "'%c'", t->punct);
		return text;
	}
	return "?";
}

static bool is_punct(const struct parser *p, char c)
{
	return token(p)->kind == TOKEN_PUNCT && token(p)->punct == c;
}

static bool is_word(const struct parser *p, const char *word)
{
	return token(p)->kind == TOKEN_NAME && !strcmp(token(p)->text, word);
}

static bool accept_punct(struct parser *p, char c)
{
	if (!is_punct(p, c))
		return false;
	lex_next(&p->lexer);
	return true;
}

static bool accept_word(struct parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	lex_next(&p->lexer);
	return true;
}

static void expect_punct(struct parser *p, char c)
{
	if (!accept_punct(p, c))
		fail(&token(p)->place, "expected '%c', found %s", c, describe(token(p)));
}

static void expect_word(struct parser *p, const char *word)
{
	if (!accept_word(p, word))
		fail(&token(p)->place, "expected '%s', found %s", word, describe(token(p)));
}

static const char *expect_name(struct parser *p, const char *what)
{
	if (token(p)->kind != TOKEN_NAME)
		fail(&token(p)->place, "expected %s, found %s", what, describe(token(p)));
	const char *name = token(p)->text;

	lex_next(&p->lexer);
	return name;
}

static uint64_t expect_int(struct parser *p)
{
	if (token(p)->kind == TOKEN_NAME) { /* a constant of this file or an import */
		for (struct decl *d = p->contract->decls; d; d = d->next)
			if (d->kind == DECL_CONST && !strcmp(d->name, token(p)->text)) {
				lex_next(&p->lexer);
				return d->value;
			}
		fail(&token(p)->place, "no constant '%s' before this line", token(p)->text);
	}
	if (token(p)->kind != TOKEN_INT)
		fail(&token(p)->place, "expected a number, found %s", describe(token(p)));
	uint64_t value = token(p)->value;

	lex_next(&p->lexer);
	return value;
}

static uint32_t expect_small(struct parser *p, uint32_t low, uint32_t high, const char *what)
{
	struct place place = token(p)->place;
	uint64_t value = expect_int(p);

	if (value < low || value > high)
		fail(&place, "%s must be %u to %u", what, low, high);
	return (uint32_t)value;
}

static const struct {
	const char *name;
	enum type_base base;
} base_names[] = {
	{"u8", TYPE_U8},
	{"u16", TYPE_U16},
	{"u32", TYPE_U32},
	{"u64", TYPE_U64},
	{"s8", TYPE_S8},
	{"s16", TYPE_S16},
	{"s32", TYPE_S32},
	{"s64", TYPE_S64},
	{"bool8", TYPE_BOOL8},
	{"handle", TYPE_HANDLE},
	{"ref", TYPE_REF},
	{"uaddr", TYPE_UADDR},
	{"answer", TYPE_ANSWER},
	{"void", TYPE_VOID},
	{"bytes", TYPE_BYTES},
};

static struct type parse_type(struct parser *p)
{
	struct type type = {.base = TYPE_NAMED, .place = token(p)->place};

	(void)(accept_word(p, "struct") || accept_word(p, "enum"));
	type.name = expect_name(p, "a type");
	for (size_t i = 0; i < sizeof(base_names) / sizeof(base_names[0]); i++)
		if (!strcmp(type.name, base_names[i].name))
			type.base = base_names[i].base;
	if (type.base == TYPE_HANDLE && accept_punct(p, '(')) {
		expect_name(p, "what the handle names");
		expect_punct(p, ')');
	} else if (type.base == TYPE_REF || type.base == TYPE_HANDLE) {
		/* "handle inode": the word is documentation; a field name follows in structs. */
		struct lexer ahead = p->lexer;

		lex_next(&ahead);
		if (token(p)->kind == TOKEN_NAME && ahead.token.kind == TOKEN_NAME &&
			strcmp(ahead.token.text, "since"))
			lex_next(&p->lexer);
	}
	return type;
}

static void parse_array(struct parser *p, struct type *type)
{
	if (accept_punct(p, '[')) {
		type->nr_elements = expect_small(p, 1, 1 << 20, "array length");
		expect_punct(p, ']');
	}
}

static uint64_t parse_value(struct parser *p, bool *negative)
{
	*negative = accept_punct(p, '-');
	uint64_t value = expect_int(p);

	return *negative ? -value : value;
}

static struct member *parse_fields(struct parser *p)
{
	struct member *first = nullptr, **tail = &first;

	expect_punct(p, '{');
	while (!accept_punct(p, '}')) {
		struct member *m = arena(sizeof(*m));

		m->type = parse_type(p);
		parse_array(p, &m->type);
		m->place = token(p)->place;
		m->name = expect_name(p, "a field name");
		m->since = 1;
		if (accept_word(p, "since"))
			m->since = expect_small(p, 1, 65535, "version");
		if (accept_punct(p, '=')) {
			m->has_value = true;
			m->value = parse_value(p, &m->negative);
		}
		expect_punct(p, ';');
		*tail = m;
		tail = &m->next;
	}
	(void)accept_punct(p, ';');
	return first;
}

static struct member *parse_enumerators(struct parser *p, bool flags)
{
	struct member *first = nullptr, **tail = &first;
	uint64_t next = flags ? 1 : 0;

	expect_punct(p, '{');
	while (!accept_punct(p, '}')) {
		struct member *m = arena(sizeof(*m));

		m->place = token(p)->place;
		m->name = expect_name(p, "a value name");
		m->value = next;
		if (accept_punct(p, '='))
			m->value = parse_value(p, &m->negative);
		next = flags ? (m->value ? 1ull << (64 - __builtin_clzll(m->value) - 1) << 1 : 1)
			     : m->value + 1;
		if (!accept_punct(p, ',') && !accept_punct(p, ';') && !is_punct(p, '}'))
			fail(&token(p)->place, "expected ',' or '}', found %s", describe(token(p)));
		*tail = m;
		tail = &m->next;
	}
	(void)accept_punct(p, ';');
	return first;
}

static void parse_param(struct parser *p, struct decl *method)
{
	if (method->nr_params == MAX_PARAMS)
		fail(&token(p)->place, "more than %d parameters", MAX_PARAMS);
	struct param *param = &method->params[method->nr_params++];

	param->place = token(p)->place;
	param->name = expect_name(p, "a parameter name");
	expect_punct(p, ':');
	if (accept_word(p, "view"))
		param->mode = MODE_VIEW;
	else if (accept_word(p, "out"))
		param->mode = MODE_OUT;
	else if (accept_word(p, "inout"))
		param->mode = MODE_INOUT;
	else if (accept_word(p, "object"))
		param->mode = MODE_OBJECT;
	else if (accept_word(p, "user"))
		param->mode = MODE_USER;
	param->type = (struct type){.base = TYPE_NAMED, .place = token(p)->place};
	if (is_word(p, "handle") || is_word(p, "ref")) {
		param->type.base = is_word(p, "ref") ? TYPE_REF : TYPE_HANDLE;
		lex_next(&p->lexer);
		bool closed = accept_punct(p, '(');

		if (token(p)->kind == TOKEN_NAME)
			lex_next(&p->lexer);
		if (closed)
			expect_punct(p, ')');
	} else {
		param->type = parse_type(p);
	}
	if (accept_punct(p, '[')) {
		param->many = true;
		expect_punct(p, ']');
	}
}

static void parse_exclusion(struct parser *p, struct decl *m)
{
	if (m->nr_exclusions == MAX_EXCLUSIONS)
		fail(&token(p)->place, "more than %d exclusions", MAX_EXCLUSIONS);
	struct exclusion *x = &m->exclusions[m->nr_exclusions++];
	struct place place = token(p)->place;

	x->class = name_index(exclusion_names, expect_name(p, "an exclusion class"));
	if (x->class < 0)
		fail(&place, "unknown exclusion class (superblock, inode_content, address_space, "
			     "inode_map, quota, connection, queue)");
	x->shared = accept_word(p, "shared");
	if (!x->shared)
		expect_word(p, "exclusive");
	x->param = -1;
	if (accept_word(p, "on")) {
		place = token(p)->place;
		const char *name = expect_name(p, "a parameter name");

		for (int i = 0; i < m->nr_params; i++)
			if (!strcmp(m->params[i].name, name))
				x->param = i;
		if (x->param < 0)
			fail(&place, "no parameter '%s'", name);
		return;
	}
	for (int i = m->nr_params - 1; i >= 0; i--)
		if (m->params[i].mode == MODE_VALUE && m->params[i].type.base == TYPE_HANDLE)
			x->param = i;
	if (x->param < 0)
		fail(&place, "exclusion needs a handle parameter; name one with 'on'");
}

static void parse_attribute(struct parser *p, struct decl *m)
{
	struct place place = token(p)->place;

	if (accept_word(p, "exclusion")) {
		parse_exclusion(p, m);
	} else if (accept_word(p, "need")) {
		struct place at = token(p)->place;
		int need = name_index(need_names, expect_name(p, "what is needed"));

		if (need < 0)
			fail(&at, "unknown need (blocks, pages, journal, memory, pins)");
		m->needs[need] = expect_int(p);
	} else if (accept_word(p, "default")) {
		char text[32];
		bool negative;

		if (token(p)->kind == TOKEN_NAME && token(p)->text[0] == 'E') {
			m->fallback = expect_name(p, "an error name");
		} else {
			uint64_t v = parse_value(p, &negative);

			snprintf(text, sizeof(text), negative ? "%lld" : "%llu", (long long)v);
			m->fallback = arena_text(text, strlen(text));
		}
	} else if (accept_word(p, "doc")) {
		if (token(p)->kind != TOKEN_STRING)
			fail(&token(p)->place, "expected a string");
		char *doc = arena_text("", 0);

		while (token(p)->kind == TOKEN_STRING) {
			size_t length = strlen(doc) + strlen(token(p)->text) + 1;
			char *longer = arena(length);

			snprintf(longer, length, "%s%s", doc, token(p)->text);
			doc = longer;
			lex_next(&p->lexer);
		}
		m->doc = doc;
	} else if (accept_word(p, "uninterruptible")) {
		m->uninterruptible = true;
	} else if (accept_word(p, "killable")) {
		m->killable = true;
	} else {
		fail(&place,
			"unknown attribute %s (exclusion, need, default, doc, "
			"uninterruptible, killable)",
			describe(token(p)));
	}
	expect_punct(p, ';');
}

static void parse_method(struct parser *p, struct decl *m)
{
	m->count = 1;
	m->since = 1;
	m->type = (struct type){.base = TYPE_ANSWER, .place = m->place};
	if (accept_punct(p, '[')) {
		m->is_array = true;
		m->count = expect_small(p, 1, 4096, "method array length");
		expect_punct(p, ']');
	}
	expect_punct(p, '(');
	while (!accept_punct(p, ')')) {
		parse_param(p, m);
		if (!accept_punct(p, ',') && !is_punct(p, ')'))
			fail(&token(p)->place, "expected ',' or ')', found %s", describe(token(p)));
	}
	if (accept_punct(p, '>'))
		m->type = parse_type(p);
	if (accept_word(p, "since"))
		m->since = expect_small(p, 1, 65535, "version");
	if (accept_punct(p, '{')) {
		while (!accept_punct(p, '}'))
			parse_attribute(p, m);
		(void)accept_punct(p, ';');
	} else {
		expect_punct(p, ';');
	}
}

static void parse_tunable(struct parser *p, struct decl *d)
{
	bool negative;

	d->type = parse_type(p);
	expect_word(p, "default");
	d->value = parse_value(p, &negative);
	expect_word(p, "range");
	d->low = expect_int(p);
	expect_punct(p, '.');
	expect_punct(p, '.');
	d->high = expect_int(p);
	if (accept_word(p, "decay"))
		d->decay = expect_int(p);
	if (accept_word(p, "doc")) {
		if (token(p)->kind != TOKEN_STRING)
			fail(&token(p)->place, "expected a string");
		d->doc = token(p)->text;
		lex_next(&p->lexer);
	}
	expect_punct(p, ';');
}

static void parse_import(struct parser *p)
{
	struct place place = token(p)->place;
	struct import *import = arena(sizeof(*import));

	import->name = expect_name(p, "the name of a contract");
	expect_punct(p, ';');
	const struct source *source = source_find(p->options, p->lexer.source->path, import->name);

	if (!source)
		fail(&place, "no file %s.kabi beside this one or in the -I folders", import->name);
	struct contract *other = parse_file(p->options, source);

	for (struct decl *d = other->decls, *next; d; d = next) {
		next = d->next;
		bool known = d->kind == DECL_METHOD || d->kind == DECL_TUNABLE;

		for (struct decl *e = p->contract->decls; e && !known; e = e->next)
			known = e->imported && e->kind == d->kind && !strcmp(e->name, d->name);
		if (known)
			continue;
		d->imported = true;
		d->next = nullptr;
		*p->contract->decls_tail = d;
		p->contract->decls_tail = &d->next;
	}
	*p->contract->imports_tail = import;
	p->contract->imports_tail = &import->next;
}

static void parse_slots(struct parser *p, const struct place *place)
{
	struct contract *c = p->contract;

	if (c->kind != KIND_SUBSYSTEM && c->kind != KIND_PERSONALITY && c->kind != KIND_POLICY)
		fail(place, "only subsystems, policies and personalities have fixed slots");
	do {
		struct import *slot = arena(sizeof(*slot));
		struct place at = token(p)->place;

		slot->name = expect_name(p, "a slot's name");
		for (struct import *o = c->slots; o; o = o->next)
			if (!strcmp(o->name, slot->name))
				complain(&at, "second slot '%s'", slot->name);
		*c->slots_tail = slot;
		c->slots_tail = &slot->next;
	} while (accept_punct(p, ','));
	expect_punct(p, ';');
}

static void parse_enum(struct parser *p, struct decl *d)
{
	d->type = (struct type){.base = TYPE_U32, .place = d->place};
	if (accept_punct(p, ':'))
		d->type = parse_type(p);
	d->members = parse_enumerators(p, d->kind == DECL_FLAGS);
}

static void parse_state(struct parser *p, struct decl *d)
{
	expect_word(p, "version");
	d->version = expect_small(p, 1, 65535, "version");
	expect_word(p, "lifetime");
	struct place place = token(p)->place;

	d->lifetime = expect_name(p, "a lifetime");
	if (strcmp(d->lifetime, "state") && strcmp(d->lifetime, "device") &&
		strcmp(d->lifetime, "scratch"))
		fail(&place, "lifetime is state, device or scratch");
	d->members = parse_fields(p);
}

/* What follows a declaration's name. */
static void parse_body(struct parser *p, struct decl *d)
{
	switch (d->kind) {
	case DECL_CONST:
		expect_punct(p, '=');
		d->value = parse_value(p, &d->negative);
		expect_punct(p, ';');
		break;
	case DECL_ENUM:
	case DECL_FLAGS:
		parse_enum(p, d);
		break;
	case DECL_STRUCT:
		d->members = parse_fields(p);
		break;
	case DECL_STATE:
		parse_state(p, d);
		break;
	case DECL_OBJECT:
		expect_punct(p, ';');
		break;
	case DECL_METHOD:
		parse_method(p, d);
		break;
	case DECL_TUNABLE:
		parse_tunable(p, d);
		break;
	}
}

static void parse_item(struct parser *p)
{
	static const char *const words[] = {"const", "enum", "flags", "struct", "state", "object",
		"method", "tunable", nullptr};
	struct place place = token(p)->place;

	if (accept_word(p, "import")) {
		parse_import(p);
		return;
	}
	if (accept_word(p, "slots")) {
		parse_slots(p, &place);
		return;
	}
	bool removed = accept_word(p, "removed");
	const bool lent = is_word(p, "lent");
	const char *word = expect_name(p, "a declaration");

	if (lent)
		word = "object";
	int kind = name_index(words, word);

	if (kind < 0 || (removed && kind != DECL_METHOD))
		fail(&place,
			"unknown declaration '%s' (import, slots, const, enum, flags, struct, "
			"state, "
			"object, lent, method, removed method, tunable)",
			word);
	struct decl *d = arena(sizeof(*d));

	d->kind = (enum decl_kind)kind;
	d->removed = removed;
	d->lent = lent;
	d->place = token(p)->place;
	d->name = expect_name(p, "a name");
	parse_body(p, d);
	*p->contract->decls_tail = d;
	p->contract->decls_tail = &d->next;
}

static void parse_heading(struct parser *p)
{
	struct contract *c = p->contract;
	bool schema = accept_word(p, "schema");

	if (!schema)
		expect_word(p, "contract");
	c->place = token(p)->place;
	c->name = expect_name(p, "the contract's name");
	expect_word(p, "version");
	c->version = expect_small(p, 1, 65535, "version");
	c->kind = KIND_SCHEMA;
	if (!schema) {
		expect_word(p, "kind");
		struct place place = token(p)->place;
		int kind = name_index(contract_kind_names, expect_name(p, "a kind"));

		if (kind < 0 || kind >= KIND_SCHEMA)
			fail(&place,
				"kind is component, subsystem, policy, personality or services");
		c->kind = (enum contract_kind)kind;
	}
	if (c->kind == KIND_SERVICES) {
		expect_word(p, "index");
		c->index = expect_small(p, 0, 7, "services index");
	}
	expect_punct(p, ';');
}

struct contract *parse_file(const struct options *options, const struct source *source)
{
	static int depth;
	struct parser p = {.options = options, .contract = arena(sizeof(struct contract))};

	lex_start(&p.lexer, source);
	if (++depth > 16)
		fail(&p.lexer.token.place, "imports nest deeper than 16: a cycle?");
	p.contract->decls_tail = &p.contract->decls;
	p.contract->imports_tail = &p.contract->imports;
	p.contract->slots_tail = &p.contract->slots;
	parse_heading(&p);
	while (token(&p)->kind != TOKEN_END)
		parse_item(&p);
	depth--;
	return p.contract;
}
