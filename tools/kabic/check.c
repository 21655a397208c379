/* Meaning of a parsed contract: names resolve, layouts are fixed, vtables only grow. */
#include <string.h>
#include "kabic.h"

const char *const exclusion_names[] = {"superblock", "inode_content", "address_space", "inode_map",
	"quota", "connection", "queue", nullptr};
const char *const need_names[] = {"blocks", "pages", "journal", "memory", "pins", nullptr};

int name_index(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static struct decl *find_type(struct contract *c, const char *name)
{
	for (struct decl *d = c->decls; d; d = d->next)
		if (d->kind >= DECL_ENUM && d->kind <= DECL_STATE && !strcmp(d->name, name))
			return d;
	return nullptr;
}

bool type_is_scalar(const struct type *type)
{
	if (type->nr_elements)
		return false;
	if (type->base == TYPE_NAMED)
		return type->decl &&
		       (type->decl->kind == DECL_ENUM || type->decl->kind == DECL_FLAGS);
	return type->base >= TYPE_U8 && type->base <= TYPE_UADDR;
}

static uint64_t element_size(const struct type *type)
{
	switch (type->base) {
	case TYPE_U8:
	case TYPE_S8:
	case TYPE_BOOL8:
		return 1;
	case TYPE_U16:
	case TYPE_S16:
		return 2;
	case TYPE_U32:
	case TYPE_S32:
		return 4;
	case TYPE_U64:
	case TYPE_S64:
	case TYPE_HANDLE:
	case TYPE_REF:
	case TYPE_UADDR:
		return 8;
	case TYPE_NAMED:
		if (!type->decl)
			return 1; /* already complained about */
		if (type->decl->kind == DECL_ENUM || type->decl->kind == DECL_FLAGS)
			return element_size(&type->decl->type);
		return type->decl->size;
	case TYPE_VOID:
	case TYPE_ANSWER:
	case TYPE_BYTES:
		break;
	}
	return 0;
}

uint64_t type_size(const struct type *type)
{
	return element_size(type) * (type->nr_elements ? type->nr_elements : 1);
}

static uint64_t type_align(const struct type *type)
{
	if (type->base == TYPE_NAMED && type->decl &&
		(type->decl->kind == DECL_STRUCT || type->decl->kind == DECL_STATE))
		return type->decl->align ? type->decl->align : 1;
	uint64_t size = element_size(type);

	return size ? size : 1;
}

static void resolve(struct contract *c, struct type *type)
{
	if (type->base != TYPE_NAMED || type->decl)
		return;
	type->decl = find_type(c, type->name);
	if (!type->decl)
		complain(&type->place, "unknown type '%s'", type->name);
}

/* Natural alignment, with every hole named: no byte of a struct is ever undefined. */
static void lay_out(struct contract *c, struct decl *d)
{
	uint64_t offset = 0;

	d->align = 1;
	for (struct member *m = d->members; m; m = m->next) {
		resolve(c, &m->type);
		if (element_size(&m->type) == 0) {
			if (m->type.base == TYPE_NAMED)
				complain(&m->type.place, "'%s' is used before its layout is known",
					m->type.name);
			else
				complain(&m->type.place, "this type has no fixed size");
			continue;
		}
		for (struct member *o = d->members; o != m; o = o->next)
			if (!strcmp(o->name, m->name))
				complain(&m->place, "second field '%s'", m->name);
		uint64_t align = type_align(&m->type);

		offset = (offset + align - 1) & ~(align - 1);
		m->offset = offset;
		m->size = type_size(&m->type);
		offset += m->size;
		if (align > d->align)
			d->align = align;
		if (m->has_value && !type_is_scalar(&m->type))
			complain(&m->place, "only a scalar field has a default");
		if (d->kind == DECL_STRUCT && (m->has_value || m->since != 1))
			complain(&m->place, "'since' and defaults belong to state");
		if (d->kind == DECL_STATE && m->since > d->version)
			complain(&m->place, "since %u, but the state is at version %u", m->since,
				d->version);
	}
	if (!d->members)
		complain(&d->place, "'%s' has no fields", d->name);
	d->size = (offset + d->align - 1) & ~(d->align - 1);
}

static void check_enum(struct contract *c, struct decl *d)
{
	resolve(c, &d->type);
	if (d->type.base < TYPE_U8 || d->type.base > TYPE_S64)
		complain(&d->type.place, "an enum is based on u8..u64 or s8..s64");
	uint64_t bits = element_size(&d->type) * 8;

	for (struct member *m = d->members; m; m = m->next) {
		if (bits && bits < 64 && !m->negative && m->value >> bits)
			complain(&m->place, "value does not fit %d bits", (int)bits);
		for (struct member *o = d->members; o != m; o = o->next)
			if (!strcmp(o->name, m->name))
				complain(&m->place, "second value '%s'", m->name);
	}
}

static bool is_trusted(const struct contract *c)
{
	return c->kind == KIND_SUBSYSTEM || c->kind == KIND_PERSONALITY;
}

static void check_object(struct contract *c, struct param *p)
{
	if (!is_trusted(c))
		complain(&p->place, "core objects cross only to subsystems and personalities: "
				    "use a handle");
	for (struct decl *d = c->decls; d; d = d->next)
		if (d->kind == DECL_OBJECT && !strcmp(d->name, p->type.name)) {
			p->type.decl = d;
			return;
		}
	complain(&p->type.place, "no 'object %s;' before this line", p->type.name);
}

static void check_param(struct contract *c, struct param *p)
{
	if (p->mode == MODE_OBJECT) {
		check_object(c, p);
		return;
	}
	if (p->mode == MODE_USER) {
		if (!is_trusted(c))
			complain(&p->place, "a component never has a user address");
		if (p->type.base != TYPE_BYTES)
			complain(&p->type.place, "only 'user bytes'");
		return;
	}
	resolve(c, &p->type);
	if (p->type.base == TYPE_NAMED && !p->type.decl)
		return;
	if (p->mode == MODE_VALUE && p->many)
		complain(&p->place, "an array crosses as view, out or inout");
	else if (p->mode == MODE_VALUE && !type_is_scalar(&p->type))
		complain(&p->type.place, "no struct crosses by value: use view, out or inout");
	else if (p->type.base == TYPE_VOID || p->type.base == TYPE_ANSWER)
		complain(&p->type.place, "not a parameter type");
	else if (p->type.base == TYPE_BYTES && p->many)
		complain(&p->place, "bytes have their length already");
}

static void check_method(struct contract *c, struct decl *m, uint32_t *index, uint32_t *since)
{
	if (c->kind == KIND_SCHEMA)
		complain(&m->place, "a schema has no methods");
	resolve(c, &m->type);
	if (m->type.base != TYPE_ANSWER && m->type.base != TYPE_VOID && !type_is_scalar(&m->type))
		complain(&m->type.place, "a method returns answer, void or a scalar");
	if (m->type.base != TYPE_ANSWER && c->kind != KIND_POLICY && c->kind != KIND_SERVICES)
		complain(&m->type.place, "methods of this kind return answer");
	if (m->type.base == TYPE_ANSWER && c->kind == KIND_POLICY)
		complain(&m->type.place, "a policy returns void or a scalar: it never waits");
	if (m->since > c->version)
		complain(&m->place, "since %u, but the contract is at version %u", m->since,
			c->version);
	if (m->since < *since)
		complain(&m->place,
			"vtables are append-only: a method of version %u comes after "
			"one of version %u",
			m->since, *since);
	*since = m->since > *since ? m->since : *since;
	if (m->since > 1 && !m->fallback && m->type.base != TYPE_VOID)
		complain(&m->place, "a method added later needs 'default'");
	if (m->fallback && m->type.base == TYPE_VOID)
		complain(&m->place, "a method without a result has no default");
	if (m->removed && !m->fallback && m->type.base != TYPE_VOID)
		complain(&m->place, "a removed method needs 'default'");
	for (int i = 0; i < m->nr_params; i++) {
		check_param(c, &m->params[i]);
		for (int j = 0; j < i; j++)
			if (!strcmp(m->params[i].name, m->params[j].name))
				complain(&m->params[i].place, "second parameter '%s'",
					m->params[i].name);
	}
	m->index = *index;
	*index += m->count;
	if (*index > 65535)
		complain(&m->place, "more than 65535 methods");
}

static void check_tunable(struct contract *c, struct decl *d)
{
	if (c->kind != KIND_POLICY)
		complain(&d->place, "tunables belong to policies");
	if (!type_is_scalar(&d->type) || d->type.base == TYPE_HANDLE || d->type.base == TYPE_REF)
		complain(&d->type.place, "a tunable is an unsigned scalar");
	if (d->value < d->low || d->value > d->high)
		complain(&d->place, "default is outside the range");
}

static bool same_space(enum decl_kind a, enum decl_kind b)
{
	bool type_a = a >= DECL_ENUM && a <= DECL_OBJECT;
	bool type_b = b >= DECL_ENUM && b <= DECL_OBJECT;

	return a == b || (type_a && type_b);
}

void check_contract(struct contract *c)
{
	uint32_t index = 0, since = 1;

	for (struct decl *d = c->decls; d; d = d->next) {
		for (struct decl *o = c->decls; o != d; o = o->next)
			if (same_space(o->kind, d->kind) && !strcmp(o->name, d->name))
				complain(&d->place, "second '%s' (the first is at line %d)",
					d->name, o->place.line);
		switch (d->kind) {
		case DECL_CONST:
		case DECL_OBJECT:
			break;
		case DECL_ENUM:
		case DECL_FLAGS:
			check_enum(c, d);
			break;
		case DECL_STRUCT:
		case DECL_STATE:
			lay_out(c, d);
			break;
		case DECL_METHOD:
			check_method(c, d, &index, &since);
			break;
		case DECL_TUNABLE:
			check_tunable(c, d);
			break;
		}
	}
	if (c->kind != KIND_SCHEMA && index == 0)
		complain(&c->place, "contract '%s' has no methods", c->name);
}
