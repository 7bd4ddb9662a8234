// SPDX-License-Identifier: Apache-2.0
#include "store/filter_term.h"
#include "store/filter_value.h"

/*
 * Theory of operation
 *
 * What stands before a bracket and has no dot: the functions that are a filter's own (failed(),
 * text(), now(), ...), in a table here, and CEL's, in the table of filter_call.c. duration() and
 * timestamp() of a constant are constants.
 */

/* ---- small parts ---- */

int parse_expect(struct parser *p, enum token_type type, const char *sentence)
{
	if (p->next->type != type)
		return FAIL(p, p->next->at, "%s", sentence);
	p->next++;
	return 0;
}

int parse_enter(struct parser *p, size_t at)
{
	if (++p->depth > FILTER_DEPTH_MAX)
		return filter_error(p->e, p->source, at, -E2BIG, "nested deeper than %d",
				    FILTER_DEPTH_MAX);
	return 0;
}

bool token_is_word(const struct token *t, const char *word)
{
	return t->type == TOKEN_NAME && span_eq(t->text, span_str(word));
}

/* "(" expression ")" */
int parse_argument(struct parser *p, struct term *out)
{
	int r = parse_enter(p, p->next->at);

	if (r == 0)
		r = parse_expect(p, TOKEN_OPEN, "( is missing");
	if (r == 0)
		r = parse_expression(p, out);
	p->depth--;
	return r < 0 ? r : parse_expect(p, TOKEN_CLOSE, ") is missing");
}

bool term_is_text(const struct term *t)
{
	return t->kind == TERM_LITERAL && t->literal.type == LITERAL_TEXT;
}

/* "(" text ")" of failed, prefix, suffix, text */
static int parse_text_argument(struct parser *p, const char *example, struct literal *out)
{
	struct term t;
	int r = parse_argument(p, &t);

	if (r == 0 && !term_is_text(&t))
		return FAIL(p, t.at, "a text in quotes is expected: %s", example);
	*out = t.literal;
	return r;
}

int term_set_literal(struct term *out, size_t at, struct literal l)
{
	l.at = at;
	*out = (struct term){.kind = TERM_LITERAL, .at = at, .literal = l};
	return 0;
}

/* ---- functions ---- */

/* failed() and failed("reset") */
static int call_failed(struct parser *p, struct term *out, size_t at)
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

static int call_prefix(struct parser *p, struct term *out, size_t at)
{
	*out = (struct term){.kind = TERM_AFFIX, .at = at, .affix = OP_STARTS};
	return parse_text_argument(p, "prefix(\"5\")", &out->literal);
}

static int call_suffix(struct parser *p, struct term *out, size_t at)
{
	*out = (struct term){.kind = TERM_AFFIX, .at = at, .affix = OP_ENDS};
	return parse_text_argument(p, "suffix(\".js\")", &out->literal);
}

static int call_now(struct parser *p, struct term *out, size_t at)
{
	int r = parse_expect(p, TOKEN_OPEN, "( is missing");

	if (r == 0)
		r = parse_expect(p, TOKEN_CLOSE, "now() takes nothing");
	if (r < 0)
		return r;
	if (!p->now_ns)
		return FAIL(p, at,
			    "now() is for questions about what is recorded, not for what is to be");
	return term_set_literal(
		out, at, (struct literal){.type = LITERAL_TIME, .number = (int64_t)p->now_ns});
}

static int call_has(struct parser *p, struct term *out, size_t at)
{
	int r = parse_argument(p, out);

	(void)at;
	return r < 0 ? r : term_has(p, out);
}

/* text("out of stock"): in any case, so it is kept in lower case */
static int call_text(struct parser *p, struct term *out, size_t at)
{
	struct literal l;
	struct node *n;
	uint8_t *bytes;
	int r = parse_text_argument(p, "text(\"out of stock\")", &l);

	if (r < 0)
		return r;
	if (l.text.len == 0)
		return FAIL(p, l.at, "an empty text is everywhere");
	bytes = p->f->bytes + (l.text.ptr - p->f->bytes);
	for (size_t i = 0; i < l.text.len; i++)
		if (bytes[i] >= 'A' && bytes[i] <= 'Z')
			bytes[i] = (uint8_t)(bytes[i] + 32);
	n = term_new_node(p, NODE_SEARCH);
	if (n)
		term_add_value(p, n, (struct value){.text = l.text});
	p->f->wants_messages = true;
	return term_set(p, out, at, n);
}

typedef int call_fn(struct parser *p, struct term *out, size_t at);

static const struct special {
	const char *name;
	call_fn *call;
} specials[] = {
	{"failed", call_failed}, {"has", call_has},	  {"now", call_now},
	{"text", call_text},	 {"prefix", call_prefix}, {"suffix", call_suffix},
};

/* duration("1h"), timestamp("..."): constants, or else calculated */
static int fold_call(struct parser *p, struct term *t, unsigned function)
{
	bool is_duration = filter_functions[function].gives == VALUE_DURATION;
	struct value_of text = filter_literal_value(&t->literal);
	struct value_of v = filter_call(NULL, function, &text);

	if (v.type == VALUE_ABSENT && is_duration)
		return FAIL(p, t->at, "no duration; write \"300ms\", \"1.5s\" or \"1h30m\"");
	if (v.type == VALUE_ABSENT)
		return FAIL(p, t->at, "no time in RFC 3339; write \"2026-11-22T03:00:00Z\"");
	return term_set_literal(
		t, t->at,
		(struct literal){.type = is_duration ? LITERAL_DURATION : LITERAL_TIME,
				 .number = v.number});
}

static int call_function(struct parser *p, struct term *out, unsigned function, size_t at)
{
	const struct filter_function *f = &filter_functions[function];
	bool is_moment = f->gives == VALUE_DURATION || f->gives == VALUE_TIME;
	int r = parse_argument(p, out);

	if (r < 0)
		return r;
	if (is_moment && term_is_text(out))
		r = fold_call(p, out, function);
	else if (is_moment && out->kind == TERM_LITERAL &&
		 !(f->takes >> filter_literal_value(&out->literal).type & 1))
		r = FAIL(p, out->at, "a text in quotes is expected: %s", f->example);
	else
		r = term_call(p, out, function, at);
	out->at = out->literal.at = at;
	return r;
}

static int refuse_function(struct parser *p, const struct token *t)
{
	const char *names[COUNT_OF(specials) + 32];
	size_t n = 0;

	for (size_t i = 0; i < COUNT_OF(specials); i++)
		names[n++] = specials[i].name;
	for (unsigned i = 0; i < filter_function_count; i++)
		if (filter_functions[i].is_global && n < COUNT_OF(names))
			names[n++] = filter_functions[i].name;
	return filter_refuse_name("function", t->text, names, n, p->source, t->at, p->e);
}

int parse_function(struct parser *p, struct term *out, const struct token *t)
{
	for (size_t i = 0; i < COUNT_OF(specials); i++)
		if (token_is_word(t, specials[i].name))
			return specials[i].call(p, out, t->at);
	for (unsigned i = 0; i < filter_function_count; i++)
		if (filter_functions[i].is_global && token_is_word(t, filter_functions[i].name))
			return call_function(p, out, i, t->at);
	return refuse_function(p, t);
}
