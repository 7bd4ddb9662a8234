// SPDX-License-Identifier: Apache-2.0
#include "store/filter_term.h"

#include "lib/clock.h"

#include <stdlib.h>

/*
 * Theory of operation
 *
 * Recursive descent over the tokens, with CEL's order of precedence:
 *
 *	any     = all { "||" all }
 *	all     = test { "&&" test }
 *	test    = unary [ compare unary | "in" unary ]
 *	unary   = { "!" } member | "-" INT
 *	member  = primary { "." METHOD "(" literal ")" }
 *	primary = "(" any ")" | literal | list | field | header | function "(" [ literal ] ")"
 *
 * Each rule yields a term: a condition, something of an exchange (an operand), a literal or a
 * list; filter_term.c makes conditions of them and refuses what does not go together.
 *
 * Nodes and values are counted in advance (a token makes at most two nodes and one value), so all
 * of a filter is four allocations. Depth is limited here, which bounds the recursion of everything
 * that walks the tree later.
 */

static int parse_any(struct parser *p, struct term *out);

/* ---- primaries ---- */

static int expect(struct parser *p, enum token_type type, const char *sentence)
{
	if (p->next->type != type)
		return FAIL(p, p->next->at, "%s", sentence);
	p->next++;
	return 0;
}

/* "(" text ")" of duration, timestamp, prefix, suffix, failed and the methods */
static int parse_text_argument(struct parser *p, const char *example, struct literal *out)
{
	int r = expect(p, TOKEN_OPEN, "( is missing");

	if (r < 0)
		return r;
	if (p->next->type != TOKEN_STRING)
		return FAIL(p, p->next->at, "a text in quotes is expected: %s", example);
	*out = (struct literal){.type = LITERAL_TEXT, .at = p->next->at, .text = p->next->text};
	p->next++;
	return expect(p, TOKEN_CLOSE, ") is missing");
}

static int parse_duration(struct parser *p, struct literal *out)
{
	struct span s;
	uint64_t ns;
	int r = parse_text_argument(p, "duration(\"300ms\")", out);

	if (r < 0)
		return r;
	s = out->text;
	if (clock_parse_duration(s, &ns) < 0 || ns > INT64_MAX)
		return FAIL(p, out->at, "no duration; write \"300ms\", \"1.5s\" or \"1h30m\"");
	out->type = LITERAL_DURATION;
	out->number = (int64_t)ns;
	return 0;
}

static int parse_timestamp(struct parser *p, struct literal *out)
{
	uint64_t ns, unused;
	int r = parse_text_argument(p, "timestamp(\"2026-11-22T03:00:00Z\")", out);

	if (r < 0)
		return r;
	if (clock_parse_duration(out->text, &unused) == 0 || clock_parse(out->text, 0, &ns) < 0)
		return FAIL(p, out->at, "no time in RFC 3339; write \"2026-11-22T03:00:00Z\"");
	out->type = LITERAL_TIME;
	out->number = (int64_t)ns;
	return 0;
}

static bool is_word(const struct token *t, const char *word)
{
	return t->type == TOKEN_NAME && span_eq(t->text, span_str(word));
}

static bool begins_literal(const struct token *t)
{
	return t->type == TOKEN_STRING || t->type == TOKEN_INT || t->type == TOKEN_MINUS ||
	       is_word(t, "true") || is_word(t, "false") || is_word(t, "duration") ||
	       is_word(t, "timestamp");
}

static int parse_literal(struct parser *p, struct literal *out)
{
	const struct token *t = p->next++;
	bool is_negative = t->type == TOKEN_MINUS;
	int r;

	*out = (struct literal){.type = LITERAL_TEXT, .at = t->at, .text = t->text};
	if (t->type == TOKEN_STRING)
		return 0;
	if (is_word(t, "duration") || is_word(t, "timestamp")) {
		r = t->text.len == 8 ? parse_duration(p, out) : parse_timestamp(p, out);
		out->at = t->at;
		return r;
	}
	out->text = (struct span){0};
	if (t->type == TOKEN_NAME) {
		out->type = LITERAL_BOOL;
		out->number = t->text.len == 4;
		return 0;
	}
	if (is_negative)
		t = p->next++;
	if (t->type != TOKEN_INT)
		return FAIL(p, t->at, "a number stands behind -");
	out->type = LITERAL_INT;
	out->number = is_negative ? -t->number : t->number;
	return 0;
}

static int parse_list(struct parser *p, struct term *out)
{
	*out = (struct term){
		.kind = TERM_LIST, .at = p->next->at, .items = p->literals + p->literal_count};
	p->next++;
	while (p->next->type != TOKEN_LIST_CLOSE) {
		int r;

		if (!begins_literal(p->next))
			return FAIL(p, p->next->at, "a constant or ] is expected; text in quotes");
		if (out->item_count == FILTER_LIST_MAX)
			return filter_error(p->e, p->source, p->next->at, -E2BIG,
					    "a list has at most %d values", FILTER_LIST_MAX);
		r = parse_literal(p, &p->literals[p->literal_count++]);
		if (r < 0)
			return r;
		out->item_count++;
		if (p->next->type == TOKEN_COMMA)
			p->next++;
		else if (p->next->type != TOKEN_LIST_CLOSE)
			return FAIL(p, p->next->at, ", or ] is expected");
	}
	p->next++;
	return 0;
}

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

static int name_header(struct parser *p, struct term *t, const struct token *name)
{
	for (size_t i = 0; i < COUNT_OF(pseudo_headers); i++) {
		const struct pseudo_header *h = &pseudo_headers[i];

		if (h->is_response != t->operand.is_response ||
		    !span_eq(name->text, span_str(h->name)))
			continue;
		t->operand = (struct operand){.field = (uint8_t)h->field, .is_text = true};
		return 0;
	}
	if (name->text.len && name->text.ptr[0] == ':')
		return FAIL(p, name->at,
			    "no such pseudo-header; there are request :method, :path, "
			    ":authority and response :status");
	t->operand.name = name->text;
	return 0;
}

/* request.headers, and ["x"] if it follows */
static int parse_headers(struct parser *p, struct term *out, bool is_response)
{
	const struct token *name = p->next + 1;

	out->kind = TERM_HEADERS;
	out->operand = (struct operand){.kind = OPERAND_HEADER, .is_response = is_response};
	if (p->next->type != TOKEN_LIST_OPEN)
		return 0;
	if (name->type != TOKEN_STRING)
		return FAIL(p, name->at, "a header is named in quotes: request.headers[\"x\"]");
	p->next += 2;
	out->kind = TERM_OPERAND;
	if (p->next->type != TOKEN_LIST_CLOSE)
		return FAIL(p, p->next->at, "] is missing");
	p->next++;
	return name_header(p, out, name);
}

static const struct message_word {
	const char *word;
	uint8_t kind; /* enum operand_kind */
	bool is_response;
} message_words[] = {
	{"request.headers", OPERAND_HEADER, false}, {"response.headers", OPERAND_HEADER, true},
	{"requestHeaders", OPERAND_HEADER, false},  {"responseHeaders", OPERAND_HEADER, true},
	{"request.body", OPERAND_BODY, false},	    {"response.body", OPERAND_BODY, true},
};

/* a field, a body, headers */
static int parse_operand(struct parser *p, struct term *out, struct span name, size_t at)
{
	int field;

	*out = (struct term){.kind = TERM_OPERAND, .at = at};
	for (size_t i = 0; i < COUNT_OF(message_words); i++) {
		const struct message_word *w = &message_words[i];

		if (!span_eq(name, span_str(w->word)))
			continue;
		if (w->kind == OPERAND_HEADER)
			return parse_headers(p, out, w->is_response);
		out->operand = (struct operand){.kind = w->kind, .is_response = w->is_response};
		return 0;
	}
	field = filter_field(name, p->source, at, p->e);
	if (field < 0)
		return field;
	out->operand.field = (uint8_t)field;
	return 0;
}

/* failed() and failed("reset") */
static int parse_failed(struct parser *p, struct term *out, size_t at)
{
	static const struct operand outcome = {.field = FIELD_OUTCOME};
	struct literal kind;
	int r;

	if (p->next->type == TOKEN_OPEN && p->next[1].type == TOKEN_CLOSE) {
		p->next += 2;
		return term_set(p, out, at, term_new_test(p, &outcome, OP_FAILED));
	}
	r = parse_text_argument(p, "failed(\"reset\"), or failed()", &kind);
	if (r == 0)
		r = filter_outcome(&kind, p->source, p->e);
	if (r < 0)
		return r;
	*out = (struct term){.kind = TERM_OPERAND, .at = at, .operand = outcome};
	return term_test(p, out, out, OP_EQ, at, &kind);
}

static int parse_affix(struct parser *p, struct term *out, size_t at, enum test_op op)
{
	*out = (struct term){.kind = TERM_AFFIX, .at = at, .affix = op};
	return parse_text_argument(p, "prefix(\"5\")", &out->literal);
}

static const struct method {
	const char *name;
	int op; /* enum test_op, or -1: known, not here */
	const char *why;
} methods[] = {
	{"startsWith", OP_STARTS, NULL},
	{"endsWith", OP_ENDS, NULL},
	{"contains", OP_CONTAINS, NULL},
	{"matches", -1, "regular expressions come later; use startsWith, endsWith or contains"},
	{"size", -1, "there is no size(); bodies have request.size and response.size"},
};

static const struct method *find_method(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(methods); i++)
		if (span_eq(name, span_str(methods[i].name)))
			return &methods[i];
	return NULL;
}

static int parse_method(struct parser *p, struct term *t, struct span name, size_t at)
{
	const struct method *m = find_method(name);
	struct term self = *t;
	struct literal l;
	int r;

	if (!m)
		return FAIL(p, at, "no method %.*s; there are startsWith, endsWith and contains",
			    (int)MIN(name.len, 32), (const char *)name.ptr);
	if (m->why)
		return FAIL(p, at, "%s", m->why);
	if (t->kind != TERM_OPERAND)
		return FAIL(p, t->at, "%s belongs behind a field: path.startsWith(\"/api/\")",
			    m->name);
	r = parse_text_argument(p, "path.startsWith(\"/api/\")", &l);
	return r < 0 ? r : term_part(p, t, &self, (enum test_op)m->op, at, &l);
}

/* Where the last part of a dotted word begins; 0 without a dot. */
static size_t last_part(struct span name)
{
	size_t i = name.len;

	while (i > 0 && name.ptr[i - 1] != '.')
		i--;
	return i;
}

static int parse_function(struct parser *p, struct term *out, const struct token *t)
{
	if (is_word(t, "failed"))
		return parse_failed(p, out, t->at);
	if (is_word(t, "prefix"))
		return parse_affix(p, out, t->at, OP_STARTS);
	if (is_word(t, "suffix"))
		return parse_affix(p, out, t->at, OP_ENDS);
	if (is_word(t, "matches") || is_word(t, "size"))
		return FAIL(p, t->at, "%s", find_method(t->text)->why);
	return FAIL(p, t->at, "no function %.*s; there are failed, duration and timestamp",
		    (int)MIN(t->text.len, 32), (const char *)t->text.ptr);
}

static int parse_word(struct parser *p, struct term *out)
{
	const struct token *t = p->next++;
	size_t split = last_part(t->text);
	bool is_call = p->next->type == TOKEN_OPEN;
	int r;

	if (is_call && split == 0)
		return parse_function(p, out, t);
	if (is_word(t, "and") || is_word(t, "or") || is_word(t, "not"))
		return FAIL(p, t->at, "and, or, not are written &&, ||, !");
	if (is_word(t, "failed"))
		return FAIL(p, t->at, "failed is a function: failed()");
	if (!is_call)
		return parse_operand(p, out, t->text, t->at);
	r = parse_operand(p, out, span_of(t->text.ptr, split - 1), t->at);
	return r < 0 ? r : parse_method(p, out, span_from(t->text, split), t->at + split);
}

static int parse_brackets(struct parser *p, struct term *out)
{
	size_t at = p->next->at;
	int r;

	if (++p->depth > FILTER_DEPTH_MAX)
		return filter_error(p->e, p->source, at, -E2BIG, "nested deeper than %d",
				    FILTER_DEPTH_MAX);
	p->next++;
	r = parse_any(p, out);
	if (r < 0)
		return r;
	p->depth--;
	if (p->next->type != TOKEN_CLOSE)
		return FAIL(p, p->next->at, "&&, || or ) is expected");
	p->next++;
	out->at = at;
	return 0;
}

static int parse_primary(struct parser *p, struct term *out)
{
	const struct token *t = p->next;

	if (t->type == TOKEN_OPEN)
		return parse_brackets(p, out);
	if (t->type == TOKEN_LIST_OPEN)
		return parse_list(p, out);
	if (begins_literal(t)) {
		*out = (struct term){.kind = TERM_LITERAL, .at = t->at};
		return parse_literal(p, &out->literal);
	}
	if (t->type == TOKEN_NAME)
		return parse_word(p, out);
	if (t->type == TOKEN_END)
		return FAIL(p, t->at, "the filter ends where a condition is expected");
	return FAIL(p, t->at, "a condition is expected here");
}

/* ---- the rules, from tight to loose ---- */

static int parse_member(struct parser *p, struct term *out)
{
	int r = parse_primary(p, out);

	while (r == 0 && p->next->type == TOKEN_DOT) {
		const struct token *name = ++p->next;

		if (name->type != TOKEN_NAME || name[1].type != TOKEN_OPEN)
			return FAIL(p, name->at, "a method is expected: .contains(\"..\")");
		p->next++;
		r = parse_method(p, out, name->text, name->at);
	}
	return r;
}

static int parse_unary(struct parser *p, struct term *out)
{
	const struct token *begin = p->next;
	bool is_negated;
	int r;

	while (p->next->type == TOKEN_NOT)
		p->next++;
	is_negated = (p->next - begin) % 2 == 1;
	r = parse_member(p, out);
	if (r < 0 || p->next == begin || begin->type != TOKEN_NOT)
		return r;
	r = term_as_condition(p, out);
	if (r < 0 || !is_negated)
		return r;
	return term_not(p, out, begin->at, out->node);
}

static enum test_op op_of(enum token_type t)
{
	switch ((int)t) {
	case TOKEN_LT: return OP_LT;
	case TOKEN_LE: return OP_LE;
	case TOKEN_GT: return OP_GT;
	case TOKEN_GE: return OP_GE;
	default: return OP_EQ; /* and !=, which negates it */
	}
}

static bool is_comparison(const struct token *t)
{
	return t->type >= TOKEN_IN;
}

static int parse_test(struct parser *p, struct term *out)
{
	struct term left, right;
	const struct token *op;
	int r = parse_unary(p, &left);

	op = p->next;
	if (r < 0 || !is_comparison(op)) {
		*out = left;
		return r;
	}
	p->next++;
	r = parse_unary(p, &right);
	if (r < 0)
		return r;
	if (op->type == TOKEN_IN)
		r = term_in(p, out, &left, op->at, &right);
	else
		r = term_compare(p, out, &left, op_of(op->type), op->at, &right);
	if (r == 0 && is_comparison(p->next))
		return FAIL(p, p->next->at, "comparisons do not chain: join them by &&");
	return r == 0 && op->type == TOKEN_NE ? term_not(p, out, out->at, out->node) : r;
}

typedef int rule_fn(struct parser *p, struct term *out);

/* one or more of a rule, joined by one operator */
static int parse_joined(struct parser *p, struct term *out, rule_fn *rule, enum token_type joint,
			enum node_kind kind)
{
	struct node *n;
	int r = rule(p, out);

	if (r < 0 || p->next->type != joint)
		return r;
	n = term_new_node(p, kind);
	if (!n)
		return term_too_big(p, p->next->at);
	for (;;) {
		r = term_as_condition(p, out);
		if (r < 0)
			return r;
		term_add_child(n, out->node);
		if (p->next->type != joint)
			break;
		p->next++;
		r = rule(p, out);
		if (r < 0)
			return r;
	}
	return term_set(p, out, out->at, n);
}

static int parse_all(struct parser *p, struct term *out)
{
	return parse_joined(p, out, parse_test, TOKEN_AND, NODE_AND);
}

static int parse_any(struct parser *p, struct term *out)
{
	return parse_joined(p, out, parse_all, TOKEN_OR, NODE_OR);
}

static int parse_whole(struct parser *p)
{
	struct term t;
	int r = parse_any(p, &t);

	if (r == 0 && p->next->type != TOKEN_END)
		return FAIL(p, p->next->at, "%s",
			    p->next->type == TOKEN_CLOSE ? "this ) closes nothing"
							 : "&& or || is expected here");
	if (r == 0)
		r = term_as_condition(p, &t);
	if (r == 0)
		p->f->root = t.node;
	return r;
}

/* ---- memory ---- */

static size_t count_tokens(const struct token *t)
{
	size_t n = 0;

	while (t[n].type != TOKEN_END)
		n++;
	return n;
}

static int parse_tokens(struct filter *f, struct span source, const struct token *tokens,
			struct err *e)
{
	struct parser p = {.source = source, .next = tokens, .f = f, .e = e};
	size_t count = count_tokens(tokens);
	int r;

	f->node_max = MIN(2 * count + 2, (size_t)FILTER_NODE_MAX);
	f->nodes = calloc(f->node_max, sizeof(*f->nodes));
	f->values = calloc(2 * count + 1, sizeof(*f->values));
	p.literals = calloc(count + 1, sizeof(*p.literals));
	if (!f->nodes || !f->values || !p.literals)
		r = err_set(e, -ENOMEM, "filter: out of memory");
	else if (count == 0)
		r = (f->root = term_new_node(&p, NODE_AND)) ? 0 : -ENOMEM;
	else
		r = parse_whole(&p);
	free(p.literals);
	return r;
}

static int parse_source(struct filter *f, struct span source, struct err *e)
{
	struct token *tokens = calloc(source.len + 1, sizeof(*tokens));
	int r = -ENOMEM;

	f->bytes = malloc(source.len + 1);
	if (tokens && f->bytes)
		r = filter_lex(source, tokens, f->bytes, e);
	else
		(void)err_set(e, r, "filter: out of memory");
	if (r == 0)
		r = parse_tokens(f, source, tokens, e);
	free(tokens);
	return r;
}

int filter_parse(struct span text, struct filter **f_out, struct err *e)
{
	AUTO(filter) f = calloc(1, sizeof(*f));
	AUTO_BUF bare = {0};
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "filter: out of memory");
	if (text.len > FILTER_TEXT_MAX)
		return err_set(e, -E2BIG, "column %d: a filter has at most %d bytes, this one %zu",
			       FILTER_TEXT_MAX + 1, FILTER_TEXT_MAX, text.len);
	r = parse_source(f, filter_bare(text, &bare) ? buf_span(&bare) : text, e);
	if (r < 0)
		return r;
	*f_out = TAKE(f);
	return 0;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	free(f->nodes);
	free(f->values);
	free(f->bytes);
	free(f);
}
