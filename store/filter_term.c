// SPDX-License-Identifier: Apache-2.0
#include "store/filter_term.h"

/*
 * Theory of operation
 *
 * Here two terms meet, and what does not go together is refused. a != b becomes !(a == b),
 * "500 <= status" becomes "status >= 500", so that a test always has its operand on the left and
 * five operators do for all. What is calculated goes on to filter_expr.c.
 */

/* ---- building ---- */

int term_too_big(struct parser *p, size_t at)
{
	return filter_error(p->e, p->source, at, -E2BIG, "this filter has more than %d conditions",
			    FILTER_NODE_MAX);
}

struct node *term_new_node(struct parser *p, enum node_kind kind)
{
	struct node *n;

	if (p->f->node_count >= p->f->node_max)
		return NULL;
	n = &p->f->nodes[p->f->node_count++];
	*n = (struct node){.kind = (uint8_t)kind};
	return n;
}

void term_add_child(struct node *parent, struct node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

int term_set(struct parser *p, struct term *out, size_t at, struct node *n)
{
	if (!n)
		return term_too_big(p, at);
	*out = (struct term){.kind = TERM_CONDITION, .at = at, .node = n};
	return 0;
}

int term_not(struct parser *p, struct term *out, size_t at, struct node *child)
{
	struct node *n = term_new_node(p, NODE_NOT);

	if (n)
		term_add_child(n, child);
	return term_set(p, out, at, n);
}

struct node *term_new_test(struct parser *p, const struct operand *left, enum test_op op)
{
	struct node *n = term_new_node(p, NODE_TEST);

	if (!n)
		return NULL;
	n->op = (uint8_t)op;
	n->left = *left;
	p->f->wants_messages |= operand_needs_messages(left);
	return n;
}

void term_add_value(struct parser *p, struct node *n, struct value v)
{
	struct value *slot = &p->f->values[p->f->value_count++];

	*slot = v;
	if (!n->values)
		n->values = slot;
	n->value_count++;
}

/* operand op literal */
int term_test(struct parser *p, struct term *out, const struct term *left, enum test_op op,
	      size_t op_at, const struct literal *l)
{
	struct node *n;
	struct value v;
	int r = filter_can(&left->operand, op, p->source, op_at, p->e);

	if (r == 0)
		r = filter_convert(&left->operand, op, l, false, p->source, &v, p->e);
	if (r < 0)
		return r;
	n = term_new_test(p, &left->operand, op);
	if (n)
		term_add_value(p, n, v);
	return term_set(p, out, left->at, n);
}

/* ---- conditions ---- */

int term_as_condition(struct parser *p, struct term *t)
{
	static const char *const what[] = {
		[TERM_LITERAL] = "a constant alone is no condition",
		[TERM_LIST] = "a list alone is no condition: write field in [..]",
		[TERM_AFFIX] = "prefix() and suffix() stand behind ==",
		[TERM_NAMES] = "headers need a name: request.headers[\"x\"]",
	};
	struct literal yes = {.type = LITERAL_BOOL, .at = t->at, .number = 1};
	struct term is_true = {.kind = TERM_LITERAL, .at = t->at, .literal = yes};
	AUTO_BUF name = {0};

	if (t->kind == TERM_CONDITION)
		return 0;
	if (t->kind == TERM_LITERAL && t->literal.type == LITERAL_BOOL)
		return term_set(p, t, t->at,
				term_new_node(p, t->literal.number ? NODE_AND : NODE_OR));
	if (t->kind == TERM_OPERAND && operand_type(&t->operand) == FIELD_TYPE_BOOL)
		return term_test(p, t, t, OP_EQ, t->at, &yes);
	if (t->kind == TERM_VALUE && (t->expr->type == VALUE_BOOL || t->expr->type == VALUE_ANY))
		return term_calculated(p, t, t, OP_EQ, t->at, &is_true);
	if (t->kind == TERM_VALUE)
		return FAIL(p, t->at, "%s alone is no condition: compare it with something",
			    term_type_noun(t->expr->type));
	if (t->kind != TERM_OPERAND)
		return FAIL(p, t->at, "%s", what[t->kind]);
	filter_operand_name(&t->operand, &name);
	return FAIL(p, t->at, "%s alone is no condition: compare it with something",
		    buf_cstr(&name));
}

/* ---- comparisons ---- */

enum test_op term_flipped(enum test_op op)
{
	switch ((int)op) {
	case OP_LT: return OP_GT;
	case OP_LE: return OP_GE;
	case OP_GT: return OP_LT;
	case OP_GE: return OP_LE;
	default: return op;
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

		if (l->text.len < 1 || l->text.len > 3 || digit > 9 ||
		    (i < l->text.len && digit < 0))
			return FAIL(p, l->at, "the beginning of a status is one to three digits");
		low.number = low.number * 10 + (digit < 0 ? 0 : digit);
		high.number = high.number * 10 + (digit < 0 ? 9 : digit);
	}
	r = term_test(p, &a, left, OP_GE, left->at, &low);
	if (r == 0)
		r = term_test(p, &b, left, OP_LE, left->at, &high);
	if (r < 0)
		return r;
	n = term_new_node(p, NODE_AND);
	if (n) {
		term_add_child(n, a.node);
		term_add_child(n, b.node);
	}
	return term_set(p, out, left->at, n);
}

int term_part(struct parser *p, struct term *out, const struct term *left, enum test_op op,
	      size_t op_at, const struct literal *l)
{
	if (left->operand.is_text && operand_type(&left->operand) == FIELD_TYPE_INT &&
	    op == OP_STARTS)
		return set_status_prefix(p, out, left, l);
	return term_test(p, out, left, op, op_at, l);
}

/* field op field: both of one type, and not more than one of them a header */
static int set_pair(struct parser *p, struct term *out, struct term *left, enum test_op op,
		    size_t op_at, struct term *right)
{
	struct node *n;
	int r;

	if (!operand_is_named(&left->operand) && operand_is_named(&right->operand)) {
		struct term t = *left;

		*left = *right;
		*right = t;
		op = term_flipped(op);
	}
	if (operand_type(&left->operand) != operand_type(&right->operand))
		return FAIL(p, right->at, "the two sides are of different types");
	if (operand_is_named(&right->operand))
		return FAIL(p, right->at, "two headers cannot be compared");
	r = filter_can(&left->operand, op, p->source, op_at, p->e);
	if (r < 0)
		return r;
	n = term_new_test(p, &left->operand, op);
	if (n) {
		n->has_right = true;
		n->right = right->operand;
		p->f->wants_messages |= operand_needs_messages(&right->operand);
	}
	return term_set(p, out, left->at, n);
}

/* failed() == false, as CEL allows */
static int set_truth(struct parser *p, struct term *out, struct term *left,
		     const struct term *right)
{
	if (right->kind != TERM_LITERAL || right->literal.type != LITERAL_BOOL)
		return FAIL(p, right->at,
			    "a condition is true or false; join conditions by && or ||");
	if (right->literal.number)
		return term_set(p, out, left->at, left->node);
	return term_not(p, out, left->at, left->node);
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
	n = term_new_test(p, &left->operand, OP_HAS);
	if (!n)
		return term_too_big(p, left->at);
	term_add_value(p, n, (struct value){.number = (INT64_C(1) << ANOMALY_COUNT) - 1});
	return term_not(p, out, left->at, n);
}

/* A number with a fraction, or null: no field is of that type, but some may be compared with it. */
static bool is_foreign(const struct term *t, const struct term *other)
{
	return t->kind == TERM_LITERAL && t->literal.type == LITERAL_DOUBLE &&
	       other->kind == TERM_OPERAND && operand_type(&other->operand) == FIELD_TYPE_INT;
}

/* What two kinds of term have in common that no comparison is about. */
static int refuse_pair(struct parser *p, const struct term *left, const struct term *right)
{
	if (left->kind == TERM_LITERAL)
		return FAIL(p, left->at, "two constants are compared");
	if (left->kind != TERM_OPERAND)
		return FAIL(p, left->at, "only fields, headers and bodies can be compared");
	return FAIL(p, right->at, "this cannot be compared");
}

int term_compare(struct parser *p, struct term *out, struct term *left, enum test_op op,
		 size_t op_at, struct term *right)
{
	if (left->kind == TERM_LITERAL && right->kind != TERM_LITERAL) {
		struct term t = *left;

		*left = *right;
		*right = t;
		op = term_flipped(op);
	}
	if (left->kind == TERM_CONDITION && op == OP_EQ)
		return set_truth(p, out, left, right);
	if (term_calculates(left) || term_calculates(right) || is_foreign(right, left))
		return term_calculated(p, out, left, op, op_at, right);
	if (left->kind == TERM_OPERAND && right->kind == TERM_OPERAND)
		return set_pair(p, out, left, op, op_at, right);
	if (left->kind == TERM_OPERAND && right->kind == TERM_LITERAL)
		return term_test(p, out, left, op, op_at, &right->literal);
	if (left->kind == TERM_OPERAND && right->kind == TERM_AFFIX && op == OP_EQ)
		return term_part(p, out, left, right->affix, right->at, &right->literal);
	if (left->kind == TERM_OPERAND && right->kind == TERM_LIST && op == OP_EQ)
		return set_empty_set(p, out, left, op_at, right);
	return refuse_pair(p, left, right);
}

/* ---- in ---- */

static int set_one_of(struct parser *p, struct term *out, const struct term *left, size_t op_at,
		      const struct literal *items, size_t count)
{
	struct node *n;
	int r = filter_can(&left->operand, OP_EQ, p->source, op_at, p->e);

	if (r < 0)
		return r;
	n = term_new_test(p, &left->operand, OP_EQ);
	if (!n)
		return term_too_big(p, left->at);
	for (size_t i = 0; i < count; i++) {
		struct value v;

		r = filter_convert(&left->operand, OP_EQ, &items[i], true, p->source, &v, p->e);
		if (r < 0)
			return r;
		term_add_value(p, n, v);
	}
	if (count == 0)
		n->kind = NODE_OR; /* of none: false */
	return term_set(p, out, left->at, n);
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
		return FAIL(p, name->at,
			    "a name in quotes stands before in: \"redacted\" in anomalies");
	if (set->kind == TERM_NAMES)
		o.name = name->literal.text;
	else
		r = filter_anomalies(&name->literal, p->source, &v.number, p->e);
	if (r < 0)
		return r;
	n = term_new_test(p, &o, OP_HAS);
	if (n && set->kind != TERM_NAMES)
		term_add_value(p, n, v);
	return term_set(p, out, name->at, n);
}

int term_in(struct parser *p, struct term *out, struct term *left, size_t op_at, struct term *right)
{
	bool is_flags =
		right->kind == TERM_OPERAND && operand_type(&right->operand) == FIELD_TYPE_FLAGS;
	bool is_address =
		left->kind == TERM_OPERAND && operand_type(&left->operand) == FIELD_TYPE_ADDRESS;

	if (term_calculates(left) || term_calculates(right))
		return term_calculated_in(p, out, left, right);
	if (is_flags || right->kind == TERM_NAMES)
		return set_has(p, out, left, right);
	if (left->kind != TERM_OPERAND)
		return FAIL(p, left->at, "a field stands before in: status in [500, 503]");
	if (right->kind == TERM_LIST)
		return set_one_of(p, out, left, op_at, right->items, right->item_count);
	if (right->kind == TERM_LITERAL && is_address)
		return set_one_of(p, out, left, op_at, &right->literal, 1);
	return FAIL(p, right->at, "a list stands behind in: status in [500, 503]");
}
