// SPDX-License-Identifier: Apache-2.0
#include "store/filter_regex.h"
#include "store/filter_term.h"

#include <stdlib.h>

/*
 * Theory of operation
 *
 * Recursive descent over the tokens, with CEL's order of precedence:
 *
 *	expression = any [ "?" expression ":" expression ]
 *	any     = all { "||" all }
 *	all     = test { "&&" test }
 *	test    = sum [ compare sum | "in" sum ]
 *	sum     = product { ( "+" | "-" ) product }
 *	product = unary { ( "*" | "/" | "%" ) unary }
 *	unary   = { "!" } member | { "-" } member
 *	member  = primary { "." NAME | "." METHOD "(" .. ")" | "[" expression "]" }
 *
 * and primaries in filter_word.c. Each rule yields a term: a condition, something of an exchange
 *(an operand), a literal, a list, or something to calculate; filter_term.c and filter_expr.c make
 * conditions of them and refuse what does not go together.
 *
 * Nodes and values are counted in advance (a token makes at most two nodes and one value), so all
 * of a filter is a handful of allocations. Depth is limited here, which bounds the recursion of
 *everything that walks the tree later.
 */

/* ---- the rules, from tight to loose ---- */

static int parse_member(struct parser *p, struct term *out)
{
	int r = parse_primary(p, out);

	return r < 0 ? r : parse_members(p, out);
}

static int parse_negative(struct parser *p, struct term *out)
{
	size_t at = p->next->at;
	bool is_negative = false;
	int r;

	for (; p->next->type == TOKEN_MINUS; p->next++)
		is_negative = !is_negative;
	if (p->next->type == TOKEN_NOT)
		return FAIL(p, p->next->at, "a number stands behind -");
	r = parse_member(p, out);
	if (r < 0)
		return r;
	out->at = at;
	return is_negative ? term_negative(p, out) : 0;
}

static int parse_unary(struct parser *p, struct term *out)
{
	const struct token *begin = p->next;
	bool is_negated;
	int r;

	if (begin->type == TOKEN_MINUS)
		return parse_negative(p, out);
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

typedef int rule_fn(struct parser *p, struct term *out);

/* Which of @count operators, from @first on, stands here; -1: none. */
static int arith_of(const struct token *t, const enum token_type *types, const enum arith_op *ops,
		    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (t->type == types[i])
			return (int)ops[i];
	return -1;
}

static int parse_product(struct parser *p, struct term *out)
{
	static const enum token_type types[] = {TOKEN_TIMES, TOKEN_OVER, TOKEN_MODULO};
	static const enum arith_op ops[] = {ARITH_MUL, ARITH_DIV, ARITH_MOD};
	int r = parse_unary(p, out), op;

	while (r == 0 && (op = arith_of(p->next, types, ops, COUNT_OF(ops))) >= 0) {
		size_t at = p->next++->at;
		struct term right;

		r = parse_unary(p, &right);
		if (r == 0)
			r = term_arith(p, out, out, (enum arith_op)op, at, &right);
	}
	return r;
}

static int parse_sum(struct parser *p, struct term *out)
{
	static const enum token_type types[] = {TOKEN_PLUS, TOKEN_MINUS};
	static const enum arith_op ops[] = {ARITH_ADD, ARITH_SUB};
	int r = parse_product(p, out), op;

	while (r == 0 && (op = arith_of(p->next, types, ops, COUNT_OF(ops))) >= 0) {
		size_t at = p->next++->at;
		struct term right;

		r = parse_product(p, &right);
		if (r == 0)
			r = term_arith(p, out, out, (enum arith_op)op, at, &right);
	}
	return r;
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

static int compare(struct parser *p, struct term *out, struct term *left, const struct token *op,
		   struct term *right)
{
	if (op->type == TOKEN_IN)
		return term_in(p, out, left, op->at, right);
	if (op->type == TOKEN_MATCH || op->type == TOKEN_NOT_MATCH)
		return term_matches(p, out, left, op->at, right);
	return term_compare(p, out, left, op_of(op->type), op->at, right);
}

static int parse_test(struct parser *p, struct term *out)
{
	struct term left, right;
	const struct token *op;
	int r = parse_sum(p, &left);

	op = p->next;
	if (r < 0 || !is_comparison(op)) {
		*out = left;
		return r;
	}
	p->next++;
	r = parse_sum(p, &right);
	if (r == 0)
		r = compare(p, out, &left, op, &right);
	if (r == 0 && is_comparison(p->next))
		return FAIL(p, p->next->at, "comparisons do not chain: join them by &&");
	if (r == 0 && (op->type == TOKEN_NE || op->type == TOKEN_NOT_MATCH))
		return term_not(p, out, out->at, out->node);
	return r;
}

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

static int parse_branches(struct parser *p, struct term *condition)
{
	size_t at = p->next++->at;
	struct term a, b;
	int r = term_as_condition(p, condition);

	if (r == 0 && ++p->depth > FILTER_DEPTH_MAX)
		return filter_error(p->e, p->source, at, -E2BIG, "nested deeper than %d",
				    FILTER_DEPTH_MAX);
	if (r == 0)
		r = parse_expression(p, &a);
	if (r == 0 && p->next->type != TOKEN_COLON)
		return FAIL(p, p->next->at,
			    ": and the other answer are missing: condition ? a : b");
	if (r < 0)
		return r;
	p->next++;
	r = parse_expression(p, &b);
	p->depth--;
	return r < 0 ? r : term_if(p, condition, &a, &b);
}

int parse_expression(struct parser *p, struct term *out)
{
	int r = parse_any(p, out);

	return r == 0 && p->next->type == TOKEN_QUESTION ? parse_branches(p, out) : r;
}

static int parse_whole(struct parser *p)
{
	struct term t;
	int r = parse_expression(p, &t);

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
			uint64_t now_ns, struct err *e)
{
	struct parser p = {.source = source, .next = tokens, .f = f, .now_ns = now_ns, .e = e};
	size_t count = count_tokens(tokens);
	int r;

	f->node_max = MIN(2 * count + 2, (size_t)FILTER_NODE_MAX);
	f->nodes = calloc(f->node_max, sizeof(*f->nodes));
	f->values = calloc(2 * count + 1, sizeof(*f->values));
	f->expr_max = MIN(3 * count + 4, (size_t)FILTER_EXPR_MAX);
	f->exprs = calloc(f->expr_max, sizeof(*f->exprs));
	f->literals = calloc(count + 1, sizeof(*f->literals));
	f->gave_up = calloc(1, sizeof(*f->gave_up));
	if (!f->nodes || !f->values || !f->exprs || !f->literals || !f->gave_up)
		r = err_set(e, -ENOMEM, "filter: out of memory");
	else if (count == 0)
		r = (f->root = term_new_node(&p, NODE_AND)) ? 0 : -ENOMEM;
	else
		r = parse_whole(&p);
	if (r == 0)
		filter_order_by_cost(f->root);
	return r;
}

static int parse_source(struct filter *f, struct span source, uint64_t now_ns, struct err *e)
{
	struct token *tokens = calloc(source.len + 1, sizeof(*tokens));
	int r = -ENOMEM;

	/* a copy of the source, for the names in it, and behind it what its strings say */
	f->bytes = malloc(2 * source.len + 1);
	if (tokens && f->bytes) {
		if (source.len)
			memcpy(f->bytes, source.ptr, source.len);
		source.ptr = f->bytes;
		r = filter_lex(source, tokens, f->bytes + source.len, e);
	} else {
		(void)err_set(e, r, "filter: out of memory");
	}
	if (r == 0)
		r = parse_tokens(f, source, tokens, now_ns, e);
	free(tokens);
	return r;
}

int filter_parse_at(struct span text, uint64_t now_ns, struct filter **f_out, struct err *e)
{
	AUTO(filter) f = calloc(1, sizeof(*f));
	AUTO_BUF bare = {0};
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "filter: out of memory");
	if (text.len > FILTER_TEXT_MAX)
		return err_set(e, -E2BIG, "column %d: a filter has at most %d bytes, this one %zu",
			       FILTER_TEXT_MAX + 1, FILTER_TEXT_MAX, text.len);
	r = parse_source(f, filter_bare(text, &bare) ? buf_span(&bare) : text, now_ns, e);
	if (r < 0)
		return r;
	*f_out = TAKE(f);
	return 0;
}

int filter_parse(struct span text, struct filter **f_out, struct err *e)
{
	return filter_parse_at(text, 0, f_out, e);
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->regex_count; i++)
		filter_regex_free(f->regexes[i]);
	restriction_free(f->only);
	free(f->exprs);
	free(f->literals);
	free(f->gave_up);
	free(f->nodes);
	free(f->values);
	free(f->bytes);
	free(f);
}
