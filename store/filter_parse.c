// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include "lib/clock.h"

#include <errno.h>
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
 * list. What does not go together is refused where it meets, with the place of the term that is
 * wrong. a != b becomes !(a == b), "500 <= status" becomes "status >= 500", so that a test always
 * has its operand on the left and five operators do for all.
 *
 * Nodes and values are counted in advance (a token makes at most two nodes and one value), so all
 * of a filter is four allocations. Depth is limited here, which bounds the recursion of everything
 * that walks the tree later.
 */

enum term_kind { TERM_CONDITION, TERM_OPERAND, TERM_LITERAL, TERM_LIST, TERM_AFFIX, TERM_HEADERS };

struct term {
	enum term_kind kind;
	size_t at;
	struct node *node;       /* CONDITION */
	struct operand operand;  /* OPERAND; HEADERS: which message */
	struct literal literal;  /* LITERAL, AFFIX: its text */
	enum test_op affix;      /* AFFIX: OP_STARTS for prefix(), OP_ENDS for suffix() */
	struct literal *items;   /* LIST: in parser::literals */
	size_t item_count;
};

struct parser {
	struct span source;
	const struct token *next;
	struct filter *f;
	struct literal *literals; /* room for all items of all lists */
	size_t literal_count;
	unsigned depth;
	struct err *e;
};

static int parse_any(struct parser *p, struct term *out);

#define FAIL(p, at, ...) filter_error((p)->e, (p)->source, at, -EINVAL, __VA_ARGS__)

/* ---- building ---- */

static int too_big(struct parser *p, size_t at)
{
	return filter_error(p->e, p->source, at, -E2BIG, "this filter has more than %d conditions",
			    FILTER_NODE_MAX);
}

static struct node *new_node(struct parser *p, enum node_kind kind)
{
	struct node *n;

	if (p->f->node_count >= p->f->node_max)
		return NULL;
	n = &p->f->nodes[p->f->node_count++];
	*n = (struct node){.kind = (uint8_t)kind};
	return n;
}

static void add_child(struct node *parent, struct node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static int set_condition(struct parser *p, struct term *out, size_t at, struct node *n)
{
	if (!n)
		return too_big(p, at);
	*out = (struct term){.kind = TERM_CONDITION, .at = at, .node = n};
	return 0;
}

static int set_not(struct parser *p, struct term *out, size_t at, struct node *child)
{
	struct node *n = new_node(p, NODE_NOT);

	if (n)
		add_child(n, child);
	return set_condition(p, out, at, n);
}

static struct node *new_test(struct parser *p, const struct operand *left, enum test_op op)
{
	struct node *n = new_node(p, NODE_TEST);

	if (!n)
		return NULL;
	n->op = (uint8_t)op;
	n->left = *left;
	if (left->kind != OPERAND_FIELD)
		p->f->wants_messages = true;
	return n;
}

static void add_value(struct parser *p, struct node *n, struct value v)
{
	struct value *slot = &p->f->values[p->f->value_count++];

	*slot = v;
	if (!n->values)
		n->values = slot;
	n->value_count++;
}

/* operand op literal */
static int set_test(struct parser *p, struct term *out, const struct term *left, enum test_op op,
		    size_t op_at, const struct literal *l)
{
	struct node *n;
	struct value v;
	int r = filter_can(&left->operand, op, p->source, op_at, p->e);

	if (r == 0)
		r = filter_convert(&left->operand, op, l, false, p->source, &v, p->e);
	if (r < 0)
		return r;
	n = new_test(p, &left->operand, op);
	if (n)
		add_value(p, n, v);
	return set_condition(p, out, left->at, n);
}

/* ---- conditions ---- */

static int as_condition(struct parser *p, struct term *t)
{
	static const char *const what[] = {
		[TERM_LITERAL] = "a constant alone is no condition",
		[TERM_LIST] = "a list alone is no condition: write field in [..]",
		[TERM_AFFIX] = "prefix() and suffix() stand behind ==",
		[TERM_HEADERS] = "headers need a name: request.headers[\"x\"]",
	};
	struct literal yes = {.type = LITERAL_BOOL, .at = t->at, .number = 1};
	AUTO_BUF name = {0};

	if (t->kind == TERM_CONDITION)
		return 0;
	if (t->kind == TERM_LITERAL && t->literal.type == LITERAL_BOOL)
		return set_condition(p, t, t->at, new_node(p, t->literal.number ? NODE_AND : NODE_OR));
	if (t->kind == TERM_OPERAND && operand_type(&t->operand) == FIELD_TYPE_BOOL)
		return set_test(p, t, t, OP_EQ, t->at, &yes);
	if (t->kind != TERM_OPERAND)
		return FAIL(p, t->at, "%s", what[t->kind]);
	filter_operand_name(&t->operand, &name);
	return FAIL(p, t->at, "%s alone is no condition: compare it with something", buf_cstr(&name));
}

/* ---- comparisons ---- */

static enum test_op op_of(enum token_type t)
{
	switch ((int)t) {
	case TOKEN_LT:
		return OP_LT;
	case TOKEN_LE:
		return OP_LE;
	case TOKEN_GT:
		return OP_GT;
	case TOKEN_GE:
		return OP_GE;
	default:
		return OP_EQ; /* and !=, which negates it */
	}
}

static enum test_op flipped(enum test_op op)
{
	switch ((int)op) {
	case OP_LT:
		return OP_GT;
	case OP_LE:
		return OP_GE;
	case OP_GT:
		return OP_LT;
	case OP_GE:
		return OP_LE;
	default:
		return op;
	}
}

/* status == prefix("5"): a range of numbers that begin so */
static int set_status_prefix(struct parser *p, struct term *out, const struct term *left,
			     const struct literal *l)
{
	struct literal low = *l, high = *l;
	struct term a, b;
	struct node *n;
	int r;

	low.type = high.type = LITERAL_INT;
	low.number = high.number = 0;
	for (size_t i = 0; i < 3; i++) {
		int digit = i < l->text.len ? l->text.ptr[i] - '0' : -1;

		if (l->text.len < 1 || l->text.len > 3 || digit > 9 || (i < l->text.len && digit < 0))
			return FAIL(p, l->at, "the beginning of a status is one to three digits");
		low.number = low.number * 10 + (digit < 0 ? 0 : digit);
		high.number = high.number * 10 + (digit < 0 ? 9 : digit);
	}
	r = set_test(p, &a, left, OP_GE, left->at, &low);
	if (r == 0)
		r = set_test(p, &b, left, OP_LE, left->at, &high);
	if (r < 0)
		return r;
	n = new_node(p, NODE_AND);
	if (n) {
		add_child(n, a.node);
		add_child(n, b.node);
	}
	return set_condition(p, out, left->at, n);
}

static int set_part(struct parser *p, struct term *out, const struct term *left, enum test_op op,
		    size_t op_at, const struct literal *l)
{
	if (left->operand.is_text && operand_type(&left->operand) == FIELD_TYPE_INT && op == OP_STARTS)
		return set_status_prefix(p, out, left, l);
	return set_test(p, out, left, op, op_at, l);
}

/* field op field: both of one type, and not more than one of them a header */
static int set_pair(struct parser *p, struct term *out, struct term *left, enum test_op op,
		    size_t op_at, struct term *right)
{
	struct node *n;
	int r;

	if (left->operand.kind == OPERAND_FIELD && right->operand.kind == OPERAND_HEADER) {
		struct term t = *left;

		*left = *right;
		*right = t;
		op = flipped(op);
	}
	if (operand_type(&left->operand) != operand_type(&right->operand))
		return FAIL(p, right->at, "the two sides are of different types");
	if (right->operand.kind == OPERAND_HEADER)
		return FAIL(p, right->at, "two headers cannot be compared");
	r = filter_can(&left->operand, op, p->source, op_at, p->e);
	if (r < 0)
		return r;
	n = new_test(p, &left->operand, op);
	if (n) {
		n->has_right = true;
		n->right = right->operand;
		p->f->wants_messages |= right->operand.kind != OPERAND_FIELD;
	}
	return set_condition(p, out, left->at, n);
}

/* failed() == false, as CEL allows */
static int set_truth(struct parser *p, struct term *out, struct term *left, const struct term *right)
{
	if (right->kind != TERM_LITERAL || right->literal.type != LITERAL_BOOL)
		return FAIL(p, right->at, "a condition is true or false; join conditions by && or ||");
	if (right->literal.number)
		return set_condition(p, out, left->at, left->node);
	return set_not(p, out, left->at, left->node);
}

/* anomalies == [] */
static int set_empty_set(struct parser *p, struct term *out, const struct term *left, size_t op_at,
			 const struct term *right)
{
	struct node *n;

	if (operand_type(&left->operand) != FIELD_TYPE_FLAGS)
		return FAIL(p, op_at, "a list stands behind in: field in [..]");
	if (right->item_count)
		return FAIL(p, right->at, "ask for one: \"redacted\" in anomalies");
	n = new_test(p, &left->operand, OP_HAS);
	if (!n)
		return too_big(p, left->at);
	add_value(p, n, (struct value){.number = (INT64_C(1) << ANOMALY_COUNT) - 1});
	return set_not(p, out, left->at, n);
}

static int compare(struct parser *p, struct term *out, struct term *left, enum test_op op,
		   size_t op_at, struct term *right)
{
	if (left->kind == TERM_LITERAL && right->kind != TERM_LITERAL) {
		struct term t = *left;

		*left = *right;
		*right = t;
		op = flipped(op);
	}
	if (left->kind == TERM_CONDITION && op == OP_EQ)
		return set_truth(p, out, left, right);
	if (left->kind == TERM_LITERAL)
		return FAIL(p, left->at, "two constants are compared");
	if (left->kind != TERM_OPERAND)
		return FAIL(p, left->at, "only fields, headers and bodies can be compared");
	if (right->kind == TERM_OPERAND)
		return set_pair(p, out, left, op, op_at, right);
	if (right->kind == TERM_LITERAL)
		return set_test(p, out, left, op, op_at, &right->literal);
	if (right->kind == TERM_AFFIX && op == OP_EQ)
		return set_part(p, out, left, right->affix, right->at, &right->literal);
	if (right->kind == TERM_LIST && op == OP_EQ)
		return set_empty_set(p, out, left, op_at, right);
	return FAIL(p, right->at, "this cannot be compared");
}

/* ---- in ---- */

static int set_one_of(struct parser *p, struct term *out, const struct term *left, size_t op_at,
		      const struct literal *items, size_t count)
{
	struct node *n;
	int r = filter_can(&left->operand, OP_EQ, p->source, op_at, p->e);

	if (r < 0)
		return r;
	n = new_test(p, &left->operand, OP_EQ);
	if (!n)
		return too_big(p, left->at);
	for (size_t i = 0; i < count; i++) {
		struct value v;

		r = filter_convert(&left->operand, OP_EQ, &items[i], true, p->source, &v,
				   p->e);
		if (r < 0)
			return r;
		add_value(p, n, v);
	}
	if (count == 0)
		n->kind = NODE_OR; /* of none: false */
	return set_condition(p, out, left->at, n);
}

/* "redacted" in anomalies, "x-user" in request.headers */
static int set_has(struct parser *p, struct term *out, const struct term *name,
		   const struct term *set)
{
	struct operand o = set->operand;
	struct value v = {0};
	struct node *n;
	int r = 0;

	if (name->kind != TERM_LITERAL || name->literal.type != LITERAL_TEXT)
		return FAIL(p, name->at, "a name in quotes stands before in: \"redacted\" in anomalies");
	if (set->kind == TERM_HEADERS)
		o.name = name->literal.text;
	else
		r = filter_anomalies(&name->literal, p->source, &v.number, p->e);
	if (r < 0)
		return r;
	n = new_test(p, &o, OP_HAS);
	if (n && set->kind != TERM_HEADERS)
		add_value(p, n, v);
	return set_condition(p, out, name->at, n);
}

static int test_in(struct parser *p, struct term *out, const struct term *left, size_t op_at,
		   const struct term *right)
{
	bool is_flags = right->kind == TERM_OPERAND && operand_type(&right->operand) == FIELD_TYPE_FLAGS;
	bool is_address = left->kind == TERM_OPERAND &&
			  operand_type(&left->operand) == FIELD_TYPE_ADDRESS;

	if (is_flags || right->kind == TERM_HEADERS)
		return set_has(p, out, left, right);
	if (left->kind != TERM_OPERAND)
		return FAIL(p, left->at, "a field stands before in: status in [500, 503]");
	if (right->kind == TERM_LIST)
		return set_one_of(p, out, left, op_at, right->items, right->item_count);
	if (right->kind == TERM_LITERAL && is_address)
		return set_one_of(p, out, left, op_at, &right->literal, 1);
	return FAIL(p, right->at, "a list stands behind in: status in [500, 503]");
}

/* ---- primaries ---- */

static int expect(struct parser *p, enum token_type type, const char *sentence)
{
	if (p->next->type != type)
		return FAIL(p, p->next->at, "%s", sentence);
	p->next++;
	return 0;
}

static int parse_literal(struct parser *p, struct literal *out);

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
	*out = (struct term){.kind = TERM_LIST, .at = p->next->at,
			     .items = p->literals + p->literal_count};
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
		return FAIL(p, name->at, "no such pseudo-header; there are request :method, :path, "
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
	{"request.headers", OPERAND_HEADER, false},  {"response.headers", OPERAND_HEADER, true},
	{"requestHeaders", OPERAND_HEADER, false},   {"responseHeaders", OPERAND_HEADER, true},
	{"request.body", OPERAND_BODY, false},	     {"response.body", OPERAND_BODY, true},
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
		return set_condition(p, out, at, new_test(p, &outcome, OP_FAILED));
	}
	r = parse_text_argument(p, "failed(\"reset\"), or failed()", &kind);
	if (r == 0)
		r = filter_outcome(&kind, p->source, p->e);
	if (r < 0)
		return r;
	*out = (struct term){.kind = TERM_OPERAND, .at = at, .operand = outcome};
	return set_test(p, out, out, OP_EQ, at, &kind);
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
		return FAIL(p, t->at, "%s belongs behind a field: path.startsWith(\"/api/\")", m->name);
	r = parse_text_argument(p, "path.startsWith(\"/api/\")", &l);
	return r < 0 ? r : set_part(p, t, &self, (enum test_op)m->op, at, &l);
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
	r = as_condition(p, out);
	if (r < 0 || !is_negated)
		return r;
	return set_not(p, out, begin->at, out->node);
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
		r = test_in(p, out, &left, op->at, &right);
	else
		r = compare(p, out, &left, op_of(op->type), op->at, &right);
	if (r == 0 && is_comparison(p->next))
		return FAIL(p, p->next->at, "comparisons do not chain: join them by &&");
	return r == 0 && op->type == TOKEN_NE ? set_not(p, out, out->at, out->node) : r;
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
	n = new_node(p, kind);
	if (!n)
		return too_big(p, p->next->at);
	for (;;) {
		r = as_condition(p, out);
		if (r < 0)
			return r;
		add_child(n, out->node);
		if (p->next->type != joint)
			break;
		p->next++;
		r = rule(p, out);
		if (r < 0)
			return r;
	}
	return set_condition(p, out, out->at, n);
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
		r = as_condition(p, &t);
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
		r = (f->root = new_node(&p, NODE_AND)) ? 0 : -ENOMEM;
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
