/* The C header of a contract: types, state, vtable, and the direct-call wrappers. */
#include <ctype.h>
#include <string.h>
#include "kabic.h"

const char *const contract_kind_names[] = {"component", "subsystem", "policy", "personality",
	"services", "schema", nullptr};

const char *upper(const char *name)
{
	char *text = arena_text(name, strlen(name));

	for (char *c = text; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return text;
}

static const char *base_c_name(enum type_base base)
{
	switch (base) {
	case TYPE_VOID:
		return "void";
	case TYPE_ANSWER:
		return "answer_t";
	case TYPE_U8:
		return "u8";
	case TYPE_U16:
		return "u16";
	case TYPE_U32:
		return "u32";
	case TYPE_U64:
		return "u64";
	case TYPE_S8:
		return "s8";
	case TYPE_S16:
		return "s16";
	case TYPE_S32:
		return "s32";
	case TYPE_S64:
		return "s64";
	case TYPE_BOOL8:
		return "u8";
	case TYPE_HANDLE:
		return "handle_t";
	case TYPE_REF:
		return "object_id_t";
	case TYPE_UADDR:
		return "u64";
	case TYPE_NAMED:
		break;
	case TYPE_BYTES:
		return "void";
	}
	return "?";
}

void emit_type(FILE *out, const struct type *type)
{
	if (type->base != TYPE_NAMED)
		fputs(base_c_name(type->base), out);
	else if (type->decl->kind == DECL_ENUM || type->decl->kind == DECL_FLAGS)
		fprintf(out, "enum %s", type->name);
	else
		fprintf(out, "struct %s", type->name);
}

static const char *context_type(const struct contract *c)
{
	switch (c->kind) {
	case KIND_COMPONENT:
	case KIND_SERVICES:
		return "struct kabi_ctx *";
	case KIND_SUBSYSTEM:
	case KIND_PERSONALITY:
		return "struct call *";
	case KIND_POLICY:
		return "const struct kabi_policy_ctx *";
	case KIND_SCHEMA:
		break;
	}
	return "?";
}

/* Up to the name, which may follow at once. */
static void emit_param_type(FILE *out, const struct param *p)
{
	switch (p->mode) {
	case MODE_OBJECT:
		fprintf(out, "struct %s *", p->type.name);
		return;
	case MODE_USER:
		fputs("void __user *", out);
		return;
	case MODE_VALUE:
		emit_type(out, &p->type);
		fputc(' ', out);
		return;
	case MODE_VIEW:
		fputs("const ", out);
		break;
	case MODE_OUT:
	case MODE_INOUT:
		break;
	}
	emit_type(out, &p->type);
	fputs(" *", out);
}

/* The context and the parameters, after whatever stands in the list already. */
void emit_params(FILE *out, const struct contract *c, const struct decl *m, bool types)
{
	fprintf(out, "%sctx", types ? context_type(c) : "");
	for (int i = 0; i < m->nr_params; i++) {
		const struct param *p = &m->params[i];

		fputs(", ", out);
		if (types)
			emit_param_type(out, p);
		fputs(p->name, out);
		if (p->mode == MODE_USER)
			fprintf(out, ", %s%s_len", types ? "word_t " : "", p->name);
		else if (p->type.base == TYPE_BYTES)
			fprintf(out, ", %s%s_len", types ? "u32 " : "", p->name);
		else if (p->many)
			fprintf(out, ", %snr_%s", types ? "u32 " : "", p->name);
	}
}

static void emit_value(FILE *out, const struct type *base, uint64_t value, bool negative)
{
	if (negative)
		fprintf(out, "%lld", (long long)value);
	else if (type_size(base) == 8 && value > 0x7fffffff)
		fprintf(out, "0x%llxull", (unsigned long long)value);
	else if (value > 0x7fffffff)
		fprintf(out, "0x%llxu", (unsigned long long)value);
	else
		fprintf(out, "%llu", (unsigned long long)value);
}

static void emit_enum(FILE *out, const struct decl *d)
{
	fprintf(out, "enum %s : ", d->name);
	emit_type(out, &d->type);
	fputs(" {\n", out);
	for (struct member *m = d->members; m; m = m->next) {
		fprintf(out, "\t%s_%s = ", upper(d->name), upper(m->name));
		emit_value(out, &d->type, m->value, m->negative);
		fputs(",\n", out);
	}
	fputs("};\n", out);
	if (d->kind == DECL_FLAGS) {
		uint64_t all = 0;

		for (struct member *m = d->members; m; m = m->next)
			all |= m->value;
		fprintf(out, "#define %s_ALL ", upper(d->name));
		emit_value(out, &d->type, all, false);
		fputc('\n', out);
	}
	fputc('\n', out);
}

static void emit_struct(FILE *out, const struct decl *d)
{
	uint64_t end = 0;

	if (d->kind == DECL_STATE) {
		fprintf(out, "#define %s_VERSION %u\n", upper(d->name), d->version);
		fprintf(out, "#define %s_LIFETIME KABI_LIFETIME_%s\n", upper(d->name),
			upper(d->lifetime));
	}
	fprintf(out, "struct %s {\n", d->name);
	for (struct member *m = d->members; m; end = m->offset + m->size, m = m->next) {
		if (m->offset > end)
			fprintf(out, "\tu8 reserved_%llu[%llu];\n", (unsigned long long)end,
				(unsigned long long)(m->offset - end));
		fputc('\t', out);
		emit_type(out, &m->type);
		fprintf(out, " %s", m->name);
		if (m->type.nr_elements)
			fprintf(out, "[%u]", m->type.nr_elements);
		fputs(";\n", out);
	}
	if (d->size > end)
		fprintf(out, "\tu8 reserved_%llu[%llu];\n", (unsigned long long)end,
			(unsigned long long)(d->size - end));
	fprintf(out, "} __attribute__((aligned(%llu)));\n", (unsigned long long)d->align);
	fprintf(out, "static_assert(sizeof(struct %s) == %llu);\n", d->name,
		(unsigned long long)d->size);
	for (struct member *m = d->members; m; m = m->next)
		fprintf(out, "static_assert(offsetof(struct %s, %s) == %llu);\n", d->name, m->name,
			(unsigned long long)m->offset);
	if (d->kind == DECL_STATE) {
		fprintf(out, "#define %s_INITIAL { ", upper(d->name));
		for (struct member *m = d->members; m; m = m->next)
			if (m->has_value) {
				fprintf(out, ".%s = ", m->name);
				emit_value(out, &m->type, m->value, m->negative);
				fputs(", ", out);
			}
		fprintf(out, "}\nextern const struct kabi_schema kabi_schema_%s;\n", d->name);
	}
	fputc('\n', out);
}

static void emit_types(FILE *out, const struct contract *c)
{
	for (struct decl *d = c->decls; d; d = d->next) {
		if (d->imported)
			continue;
		switch (d->kind) {
		case DECL_CONST:
			fprintf(out, "#define %s ", d->name);
			emit_value(out, &(struct type){.base = TYPE_U64}, d->value, d->negative);
			fputs("\n\n", out);
			break;
		case DECL_ENUM:
		case DECL_FLAGS:
			emit_enum(out, d);
			break;
		case DECL_STRUCT:
		case DECL_STATE:
			emit_struct(out, d);
			break;
		case DECL_OBJECT:
			fprintf(out, "struct %s;\n", d->name);
			break;
		case DECL_METHOD:
		case DECL_TUNABLE:
			break;
		}
	}
}

static void emit_vtable(FILE *out, const struct contract *c)
{
	uint32_t nr_methods = 0;

	for (struct decl *m = c->decls; m; m = m->next)
		if (m->kind == DECL_METHOD)
			nr_methods = m->index + m->count;
	fprintf(out, "#define KABI_%s_VERSION %u\n", upper(c->name), c->version);
	fprintf(out, "#define KABI_%s_NR_METHODS %u\n", upper(c->name), nr_methods);
	fprintf(out, "#define kabi_kind_%s KABI_KIND_%s\n", c->name,
		upper(contract_kind_names[c->kind]));
	fprintf(out, "#define kabi_version_%s %u\n", c->name, c->version);
	fprintf(out, "#define kabi_nr_methods_%s %u\n\n", c->name, nr_methods);
	fprintf(out, "struct %s_vtable {\n\tstruct kabi_vtable_head head;\n", c->name);
	for (struct decl *m = c->decls; m; m = m->next) {
		if (m->kind != DECL_METHOD)
			continue;
		if (m->doc)
			fprintf(out, "\t/* %s */\n", m->doc);
		fputc('\t', out);
		emit_type(out, &m->type);
		fprintf(out, " (*%s%s", m->removed ? "removed_" : "", m->name);
		if (m->is_array)
			fprintf(out, "[%u]", m->count);
		fputs(")(", out);
		emit_params(out, c, m, true);
		fputs(");\n", out);
	}
	fputs("};\n", out);
	fprintf(out,
		"static_assert(sizeof(struct %s_vtable) == sizeof(struct kabi_vtable_head) + "
		"%u * sizeof(void *));\n\n",
		c->name, nr_methods);
	fprintf(out, "extern const struct kabi_contract kabi_contract_%s;\n\n", c->name);
}

static void emit_default(FILE *out, const struct decl *m)
{
	if (m->type.base == TYPE_VOID) {
		fputs("return;\n", out);
	} else if (m->fallback[0] == 'E') {
		fprintf(out, "return -%s;\n", m->fallback);
	} else {
		fputs("return (", out);
		emit_type(out, &m->type);
		fprintf(out, ")%s;\n", m->fallback);
	}
}

/* A call between trusted modules has a frame of its own in the record (calls.md "Levels"). */
static void emit_call_through_frame(FILE *out, const struct contract *c, const struct decl *m)
{
	fprintf(out, "\tif (unlikely(!call_enter(ctx, slot, %u%s, ", m->index,
		m->is_array ? " + (u16)index" : "");
	const struct param *object = nullptr;

	for (int i = m->nr_params - 1; i >= 0; i--)
		if ((m->params[i].mode == MODE_OBJECT && !m->params[i].type.decl->lent) ||
			(m->params[i].mode == MODE_VALUE && m->params[i].type.base == TYPE_HANDLE))
			object = &m->params[i];
	if (!object)
		fputs("0", out);
	else if (object->mode == MODE_OBJECT)
		fprintf(out, "kabi_object_id(%s)", object->name);
	else
		fputs(object->name, out);
	fprintf(out, ")))\n\t\treturn ANSWER_NEED;\n\treturn call_leave(ctx, vtable->%s%s(",
		m->name, m->is_array ? "[index]" : "");
	emit_params(out, c, m, false);
	fputs("));\n}\n\n", out);
}

static void emit_wrapper(FILE *out, const struct contract *c, const struct decl *m)
{
	bool optional = m->fallback || m->since > 1;
	bool services = c->kind == KIND_SERVICES;

	if (m->doc)
		fprintf(out, "/* %s */\n", m->doc);
	fputs(m->type.base == TYPE_VOID ? "static inline " : "static inline __must_check ", out);
	emit_type(out, &m->type);
	fprintf(out, " %s_%s(%s%s", c->name, m->name, services ? "" : "const struct slot *slot, ",
		m->is_array ? "u32 index, " : "");
	emit_params(out, c, m, true);
	fputs(")\n{\n", out);
	if (services)
		fprintf(out, "\tconst struct %s_vtable *vtable = ctx->services[%u];\n\n", c->name,
			c->index);
	else
		fprintf(out, "\tconst struct %s_vtable *vtable = slot_vtable(slot);\n\n", c->name);
	if (m->is_array) {
		fprintf(out, "\tif (unlikely(index >= %u", m->count);
		if (optional)
			fprintf(out, " || !vtable->%s[index]", m->name);
		fputs("))\n\t\t", out);
		emit_default(out, m);
	} else if (optional) {
		if (m->since > 1)
			fprintf(out,
				"\tif (unlikely(vtable->head.nr_methods <= %u || !vtable->%s))"
				"\n\t\t",
				m->index, m->name);
		else
			fprintf(out, "\tif (unlikely(!vtable->%s))\n\t\t", m->name);
		emit_default(out, m);
	}
	if (c->kind == KIND_SUBSYSTEM) {
		emit_call_through_frame(out, c, m);
		return;
	}
	fprintf(out, "\t%svtable->%s%s(", m->type.base == TYPE_VOID ? "" : "return ", m->name,
		m->is_array ? "[index]" : "");
	emit_params(out, c, m, false);
	fputs(");\n}\n\n", out);
}

static void emit_tunables(FILE *out, const struct contract *c)
{
	int nr = 0;

	for (struct decl *d = c->decls; d; d = d->next) {
		if (d->kind != DECL_TUNABLE)
			continue;
		if (!nr)
			fprintf(out, "enum %s_tunable : u32 {\n", c->name);
		fprintf(out, "\t%s_TUNABLE_%s = %d,\n", upper(c->name), upper(d->name), nr++);
	}
	if (nr)
		fprintf(out, "};\n#define %s_NR_TUNABLES %d\n\n", upper(c->name), nr);
}

void emit_header(FILE *out, const struct contract *c)
{
	fprintf(out,
		"#pragma once\n/* Generated by kabic from %s.kabi: do not edit. */\n"
		"#include <kabi/base.h>\n",
		c->name);
	for (struct import *i = c->imports; i; i = i->next)
		fprintf(out, "#include <kabi/%s.h>\n", i->name);
	fputc('\n', out);
	emit_types(out, c);
	emit_tunables(out, c);
	if (c->kind == KIND_SCHEMA)
		return;
	emit_vtable(out, c);
	if (c->kind == KIND_SERVICES)
		fprintf(out, "#define KABI_SERVICES_%s %u\n", upper(c->name), c->index);
	else
		fprintf(out,
			"/* Who may not see slots (components, policies) calls nobody. */\n"
			"#if __has_include(<nucleus/slot.h>) && !defined(KABI_BUILDS_%s)\n"
			"#include <nucleus/slot.h>\n",
			c->name);
	if (c->kind == KIND_SUBSYSTEM)
		fputs("#include <kabi/frame.h>\n\n", out);
	for (struct decl *m = c->decls; m; m = m->next)
		if (m->kind == DECL_METHOD && !m->removed)
			emit_wrapper(out, c, m);
	if (c->kind != KIND_SERVICES)
		fputs("#endif\n", out);
}
