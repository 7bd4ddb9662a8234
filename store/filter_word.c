// SPDX-License-Identifier: Apache-2.0
#include "store/filter_term.h"
#include "store/filter_value.h"

#include "lib/clock.h"

/*
 * Theory of operation
 *
 *	primary = "(" expression ")" | literal | "[" literals "]" | word [ "(" arguments ")" ]
 *
 * The lexer leaves dotted words whole, since only here it is known what the dots mean. A word is,
 *in this order: a variable of exists() and its like, one of filter_roots (request.headers,
 *response.json) with members behind it, a field. Before a bracket its last part is a method, and
 *without a dot it is a function. What there is of both stands in tables.
 */

/* ---- literals ---- */

static int parse_list(struct parser *p, struct term *out)
{
	struct term list = {.kind = TERM_LIST,
			    .at = p->next->at,
			    .items = p->f->literals + p->f->literal_count};
	int r = parse_enter(p, p->next->at);

	p->next++;
	while (r == 0 && p->next->type != TOKEN_LIST_CLOSE) {
		struct term item = {.at = p->next->at};

		r = parse_expression(p, &item);
		if (r < 0)
			return r;
		if (item.kind != TERM_LITERAL)
			return FAIL(p, item.at, "a constant or ] is expected; text in quotes");
		if (list.item_count == FILTER_LIST_MAX)
			return filter_error(p->e, p->source, item.at, -E2BIG,
					    "a list has at most %d values", FILTER_LIST_MAX);
		p->f->literals[p->f->literal_count++] = item.literal;
		list.item_count++;
		if (p->next->type == TOKEN_COMMA)
			p->next++;
		else if (p->next->type != TOKEN_LIST_CLOSE)
			return FAIL(p, p->next->at, ", or ] is expected");
	}
	p->next++;
	p->depth--;
	*out = list;
	return r;
}

/* ---- methods ---- */

static const struct part_method {
	const char *name;
	enum test_op op;
} part_methods[] = {
	{"startsWith", OP_STARTS},
	{"endsWith", OP_ENDS},
	{"contains", OP_CONTAINS},
	{"matches", OP_MATCHES},
};

static const struct each_method {
	const char *name;
	enum node_kind kind;
} each_methods[] = {
	{"exists", NODE_EXISTS},
	{"all", NODE_ALL},
	{"exists_one", NODE_ONE},
};

static int parse_part(struct parser *p, struct term *t, const struct part_method *m, size_t at)
{
	struct term self = *t, part;
	int r;

	if (t->kind != TERM_OPERAND && t->kind != TERM_VALUE)
		return FAIL(p, t->at, "%s belongs behind a field: path.startsWith(\"/api/\")",
			    m->name);
	r = parse_argument(p, &part);
	if (r < 0)
		return r;
	if (m->op == OP_MATCHES)
		return term_matches(p, t, &self, at, &part);
	if (part.kind == TERM_LITERAL && part.literal.type != LITERAL_TEXT)
		return FAIL(p, part.at, "a text in quotes is expected: path.startsWith(\"/api/\")");
	if (self.kind == TERM_OPERAND && term_is_text(&part))
		return term_part(p, t, &self, m->op, at, &part.literal);
	return term_calculated(p, t, &self, m->op, at, &part);
}

/* "(" NAME "," */
static int parse_variable(struct parser *p, const char *method, int type)
{
	const struct token *name = p->next + 1;
	bool is_name = p->next->type == TOKEN_OPEN && name->type == TOKEN_NAME &&
		       !memchr(name->text.ptr, '.', name->text.len) && name[1].type == TOKEN_COMMA;

	if (!is_name)
		return FAIL(p, p->next->at + (p->next->type == TOKEN_OPEN),
			    "a name and a condition stand in %s(): "
			    "response.json.items.exists(i, i.price > 5)",
			    method);
	if (p->var_count == FILTER_VARS_MAX)
		return filter_error(p->e, p->source, name->at, -E2BIG,
				    "more than %d variables inside each other", FILTER_VARS_MAX);
	p->vars[p->var_count++] = (struct variable){name->text, (uint8_t)type};
	p->next += 3;
	return 0;
}

/* .exists(x, condition) */
static int parse_each(struct parser *p, struct term *t, const struct each_method *m, size_t at)
{
	int r = term_each_type(p, t, at, m->name);
	struct term body;
	struct node *n;

	if (r >= 0)
		r = parse_variable(p, m->name, r);
	if (r == 0)
		r = parse_enter(p, at);
	if (r == 0)
		r = parse_expression(p, &body);
	if (r == 0)
		r = term_as_condition(p, &body);
	if (r == 0)
		r = parse_expect(p, TOKEN_CLOSE, ") is missing");
	if (r < 0)
		return r;
	p->depth--;
	n = term_new_node(p, m->kind);
	if (n) {
		n->a = t->expr;
		n->slot = (uint8_t)--p->var_count;
		term_add_value(p, n, (struct value){.text = p->vars[n->slot].name});
		term_add_child(n, body.node);
	}
	return term_set(p, t, t->at, n);
}

static int refuse_method(struct parser *p, struct span name, size_t at)
{
	const char *names[COUNT_OF(part_methods) + COUNT_OF(each_methods) + 32];
	size_t n = 0;

	for (size_t i = 0; i < COUNT_OF(part_methods); i++)
		names[n++] = part_methods[i].name;
	for (size_t i = 0; i < COUNT_OF(each_methods); i++)
		names[n++] = each_methods[i].name;
	for (unsigned i = 0; i < filter_function_count; i++)
		if (filter_functions[i].is_method && n < COUNT_OF(names))
			names[n++] = filter_functions[i].name;
	return filter_refuse_name("method", name, names, n, p->source, at, p->e);
}

static int parse_method(struct parser *p, struct term *t, struct span name, size_t at)
{
	for (size_t i = 0; i < COUNT_OF(part_methods); i++)
		if (span_eq(name, span_str(part_methods[i].name)))
			return parse_part(p, t, &part_methods[i], at);
	for (size_t i = 0; i < COUNT_OF(each_methods); i++)
		if (span_eq(name, span_str(each_methods[i].name)))
			return parse_each(p, t, &each_methods[i], at);
	for (unsigned i = 0; i < filter_function_count; i++) {
		int r;

		if (!filter_functions[i].is_method ||
		    !span_eq(name, span_str(filter_functions[i].name)))
			continue;
		r = parse_expect(p, TOKEN_OPEN, "( is missing");
		if (r == 0)
			r = parse_expect(p, TOKEN_CLOSE, "this method takes nothing: ) is missing");
		return r < 0 ? r : term_call(p, t, i, at);
	}
	return refuse_method(p, name, at);
}

/* ---- operands ---- */

/* What Loop writes as a header and is a field here. */
static const struct pseudo_header {
	const char *name;
	enum field field;
	bool is_response;
} pseudo_headers[] = {
	{":status", FIELD_STATUS, true},
	{":method", FIELD_METHOD, false},
	{":path", FIELD_TARGET, false},
	{":authority", FIELD_HOST, false},
};

static int name_operand(struct parser *p, struct term *t, struct span name, size_t at)
{
	for (size_t i = 0; i < COUNT_OF(pseudo_headers); i++) {
		const struct pseudo_header *h = &pseudo_headers[i];

		if (t->operand.kind != OPERAND_HEADER || h->is_response != t->operand.is_response ||
		    !span_eq(name, span_str(h->name)))
			continue;
		t->kind = TERM_OPERAND;
		t->operand = (struct operand){.field = (uint8_t)h->field, .is_text = true};
		return 0;
	}
	if (t->operand.kind == OPERAND_HEADER && name.len && name.ptr[0] == ':')
		return FAIL(p, at,
			    "no such pseudo-header; there are request :method, :path, "
			    ":authority and response :status");
	return term_select(p, t, name, at);
}

/* "[" expression "]" */
static int parse_index(struct parser *p, struct term *t)
{
	struct term index;
	int r = parse_enter(p, p->next->at);

	p->next++;
	if (r == 0)
		r = parse_expression(p, &index);
	if (r < 0)
		return r;
	p->depth--;
	if (t->kind == TERM_NAMES && !term_is_text(&index))
		return FAIL(p, index.at, "a header is named in quotes: request.headers[\"x\"]");
	r = parse_expect(p, TOKEN_LIST_CLOSE, "] is missing");
	if (r < 0)
		return r;
	if (t->kind == TERM_NAMES)
		return name_operand(p, t, index.literal.text, index.at);
	return term_index(p, t, &index);
}

/* .a.b.c */
static int select_all(struct parser *p, struct term *t, struct span path, size_t at)
{
	int r = 0;

	while (path.len && r == 0) {
		const uint8_t *dot = memchr(path.ptr, '.', path.len);
		size_t n = dot ? (size_t)(dot - path.ptr) : path.len;

		r = t->kind == TERM_NAMES ? name_operand(p, t, span_of(path.ptr, n), at)
					  : term_select(p, t, span_of(path.ptr, n), at);
		path = span_from(path, n + 1);
		at += n + 1;
	}
	return r;
}

/* @word alone, or with members behind it. Return: how many bytes of @name it takes with its dot; 0:
 * not it. */
static size_t begins_with(struct span name, struct span word)
{
	if (span_eq(name, word))
		return name.len;
	if (name.len > word.len && name.ptr[word.len] == '.' &&
	    span_eq(span_of(name.ptr, word.len), word))
		return word.len + 1;
	return 0;
}

static int parse_root(struct parser *p, struct term *out, const struct filter_root *root, size_t at)
{
	if (root->is_json)
		return term_json(p, out, at, root->is_response);
	*out = (struct term){
		.kind = root->kind == OPERAND_BODY ? TERM_OPERAND : TERM_NAMES,
		.at = at,
		.operand = {.kind = root->kind, .is_response = root->is_response},
	};
	return 0;
}

/* a variable, headers and the like, a field */
static int parse_operand(struct parser *p, struct term *out, struct span name, size_t at)
{
	size_t n = 0;
	int r = 0, field;

	for (unsigned i = p->var_count; i-- > 0 && n == 0;)
		if ((n = begins_with(name, p->vars[i].name)))
			r = term_variable(p, out, at, i);
	for (size_t i = 0; i < FILTER_ROOT_COUNT && n == 0; i++)
		if ((n = begins_with(name, span_str(filter_roots[i].word))))
			r = parse_root(p, out, &filter_roots[i], at);
	if (n)
		return r < 0 ? r : select_all(p, out, span_from(name, n), at + n);
	field = filter_field(name, p->source, at, p->e);
	if (field < 0)
		return field;
	*out = (struct term){.kind = TERM_OPERAND, .at = at, .operand = {.field = (uint8_t)field}};
	return 0;
}

/* Where the last part of a dotted word begins; 0 without a dot. */
static size_t last_part(struct span name)
{
	size_t i = name.len;

	while (i > 0 && name.ptr[i - 1] != '.')
		i--;
	return i;
}

static bool parse_constant_word(struct term *out, const struct token *t)
{
	struct literal l = {.type = LITERAL_BOOL, .number = token_is_word(t, "true")};

	if (token_is_word(t, "null"))
		l.type = LITERAL_NULL;
	else if (!l.number && !token_is_word(t, "false"))
		return false;
	(void)term_set_literal(out, t->at, l);
	return true;
}

static int parse_word(struct parser *p, struct term *out)
{
	const struct token *t = p->next++;
	size_t split = last_part(t->text);
	bool is_call = p->next->type == TOKEN_OPEN;
	int r;

	if (parse_constant_word(out, t))
		return 0;
	if (is_call && split == 0)
		return parse_function(p, out, t);
	if (token_is_word(t, "and") || token_is_word(t, "or") || token_is_word(t, "not"))
		return FAIL(p, t->at, "and, or, not are written &&, ||, !");
	if (token_is_word(t, "failed"))
		return FAIL(p, t->at, "failed is a function: failed()");
	if (!is_call)
		return parse_operand(p, out, t->text, t->at);
	r = parse_operand(p, out, span_of(t->text.ptr, split - 1), t->at);
	return r < 0 ? r : parse_method(p, out, span_from(t->text, split), t->at + split);
}

/* ---- the rules ---- */

static int parse_brackets(struct parser *p, struct term *out)
{
	size_t at = p->next->at;
	int r = parse_enter(p, at);

	p->next++;
	if (r == 0)
		r = parse_expression(p, out);
	if (r < 0)
		return r;
	p->depth--;
	out->at = at;
	return parse_expect(p, TOKEN_CLOSE, "&&, || or ) is expected");
}

static int refuse_primary(struct parser *p, const struct token *t)
{
	if (t->type == TOKEN_END)
		return FAIL(p, t->at, "the filter ends where a condition is expected");
	if (t->type == TOKEN_OVER || t->type == TOKEN_TIMES)
		return FAIL(p, t->at,
			    "a path inside an expression is text: path.startsWith(\"/api/\")");
	return FAIL(p, t->at, "a condition is expected here");
}

int parse_primary(struct parser *p, struct term *out)
{
	const struct token *t = p->next;
	struct literal l = {.text = t->text, .number = t->number, .real = t->real};

	if (t->type == TOKEN_OPEN)
		return parse_brackets(p, out);
	if (t->type == TOKEN_LIST_OPEN)
		return parse_list(p, out);
	if (t->type == TOKEN_NAME)
		return parse_word(p, out);
	if (t->type != TOKEN_STRING && t->type != TOKEN_INT && t->type != TOKEN_DOUBLE)
		return refuse_primary(p, t);
	l.type = t->type == TOKEN_STRING ? LITERAL_TEXT
		 : t->type == TOKEN_INT	 ? LITERAL_INT
					 : LITERAL_DOUBLE;
	p->next++;
	return term_set_literal(out, t->at, l);
}

/* ".a.b" or ".a.method(..)" */
static int parse_dotted(struct parser *p, struct term *t)
{
	const struct token *name = ++p->next;
	size_t split;
	int r = 0;

	if (name->type != TOKEN_NAME)
		return FAIL(p, name->at, "a member or a method is expected: .contains(\"..\")");
	p->next++;
	if (p->next->type != TOKEN_OPEN)
		return select_all(p, t, name->text, name->at);
	split = last_part(name->text);
	if (split)
		r = select_all(p, t, span_of(name->text.ptr, split - 1), name->at);
	return r < 0 ? r : parse_method(p, t, span_from(name->text, split), name->at + split);
}

int parse_members(struct parser *p, struct term *t)
{
	int r = 0;

	while (r == 0 && (p->next->type == TOKEN_DOT || p->next->type == TOKEN_LIST_OPEN))
		r = p->next->type == TOKEN_DOT ? parse_dotted(p, t) : parse_index(p, t);
	return r;
}
