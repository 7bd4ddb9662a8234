// SPDX-License-Identifier: Apache-2.0
#include "store/filter_regex.h"
#include "store/filter_term.h"
#include "store/filter_value.h"

/*
 * Theory of operation
 *
 * Most filters compare a field with a constant; that is a test, which SQL can say (filter_term.c).
 * What is left is calculated: arithmetic, functions, JSON, regular expressions, variables. Here
 * such terms are built and their types checked as far as they are known: JSON's are known only when
 * it is there, and then what does not fit is simply not so.
 *
 * What can be moved or folded is: now() - duration("1h") is a constant, and field + constant <
 * constant becomes field < constant, so that columns and indexes serve again.
 */

static const char *const type_nouns[] = {
	[VALUE_ABSENT] = "nothing", [VALUE_NULL] = "null",	     [VALUE_BOOL] = "true or false",
	[VALUE_INT] = "a number",   [VALUE_DOUBLE] = "a number",     [VALUE_TEXT] = "text",
	[VALUE_TIME] = "a time",    [VALUE_DURATION] = "a duration", [VALUE_LIST] = "a list",
	[VALUE_MAP] = "a map",	    [VALUE_ANY] = "anything",
};

const char *term_type_noun(unsigned type)
{
	return type_nouns[type];
}

static bool is_number(unsigned type)
{
	return type == VALUE_INT || type == VALUE_DOUBLE;
}

/* ---- building ---- */

static struct expr *new_expr(struct parser *p, enum expr_kind kind, enum value_type type)
{
	struct expr *x;

	if (p->f->expr_count >= p->f->expr_max)
		return NULL;
	x = &p->f->exprs[p->f->expr_count++];
	*x = (struct expr){.kind = (uint8_t)kind, .type = (uint8_t)type};
	return x;
}

/* @t is the value @x (NULL: there were too many) */
static int set_value(struct parser *p, struct term *t, size_t at, struct expr *x)
{
	if (!x)
		return filter_error(p->e, p->source, at, -E2BIG,
				    "this filter calculates more than %d values", FILTER_EXPR_MAX);
	*t = (struct term){.kind = TERM_VALUE, .at = at, .expr = x};
	return 0;
}

static enum value_type operand_value_type(const struct operand *o)
{
	static const uint8_t types[] = {
		[FIELD_TYPE_TEXT] = VALUE_TEXT,	   [FIELD_TYPE_INT] = VALUE_INT,
		[FIELD_TYPE_TIME] = VALUE_TIME,	   [FIELD_TYPE_DURATION] = VALUE_DURATION,
		[FIELD_TYPE_ADDRESS] = VALUE_TEXT, [FIELD_TYPE_ID] = VALUE_TEXT,
		[FIELD_TYPE_NAME] = VALUE_TEXT,	   [FIELD_TYPE_FLAGS] = VALUE_LIST,
		[FIELD_TYPE_BOOL] = VALUE_BOOL,	   [FIELD_TYPE_MAP] = VALUE_MAP,
	};

	return (enum value_type)types[operand_type(o)];
}

static enum value_type items_type(const struct term *list)
{
	enum value_type type = VALUE_ANY;

	for (size_t i = 0; i < list->item_count; i++) {
		struct value_of v = filter_literal_value(&list->items[i]);

		if (i && v.type != type)
			return VALUE_ANY;
		type = (enum value_type)v.type;
	}
	return type;
}

static struct expr *operand_expr(struct parser *p, const struct term *t)
{
	bool is_names = t->kind == TERM_NAMES;
	struct expr *x = new_expr(p, is_names ? EXPR_NAMES : EXPR_OPERAND,
				  is_names ? VALUE_MAP : operand_value_type(&t->operand));

	if (x) {
		x->operand = t->operand;
		p->f->wants_messages |= operand_needs_messages(&t->operand);
	}
	return x;
}

bool term_calculates(const struct term *t)
{
	return t->kind == TERM_VALUE;
}

int term_value(struct parser *p, struct term *t)
{
	struct value_of v;
	struct expr *x = NULL;

	if (t->kind == TERM_VALUE)
		return 0;
	if (t->kind == TERM_CONDITION || t->kind == TERM_AFFIX)
		return FAIL(p, t->at, "a value is expected here, and this is a condition");
	if (t->kind == TERM_LITERAL) {
		v = filter_literal_value(&t->literal);
		x = new_expr(p, EXPR_LITERAL, (enum value_type)v.type);
		if (x)
			x->literal = t->literal;
	} else if (t->kind == TERM_LIST) {
		x = new_expr(p, EXPR_LIST, VALUE_LIST);
		if (x) {
			x->items = t->items;
			x->item_count = t->item_count;
		}
	} else {
		x = operand_expr(p, t);
	}
	return set_value(p, t, t->at, x);
}

int term_json(struct parser *p, struct term *out, size_t at, bool is_response)
{
	struct expr *x = new_expr(p, EXPR_JSON, VALUE_ANY);

	if (x) {
		x->operand = (struct operand){.kind = OPERAND_BODY, .is_response = is_response};
		p->f->wants_messages = true;
	}
	return set_value(p, out, at, x);
}

int term_variable(struct parser *p, struct term *out, size_t at, unsigned slot)
{
	struct expr *x = new_expr(p, EXPR_VAR, (enum value_type)p->vars[slot].type);

	if (x) {
		x->op = (uint8_t)slot;
		x->literal.text = p->vars[slot].name;
	}
	return set_value(p, out, at, x);
}

/* ---- steps ---- */

static bool has_members(unsigned type)
{
	return type == VALUE_ANY || type == VALUE_MAP || type == VALUE_LIST;
}

int term_select(struct parser *p, struct term *t, struct span name, size_t at)
{
	struct expr *x;

	if (t->kind == TERM_NAMES) {
		t->kind = TERM_OPERAND;
		t->operand.name = name;
		return 0;
	}
	if (t->kind != TERM_VALUE || !has_members(t->expr->type))
		return FAIL(
			p, at,
			"there is nothing called %.*s in it; JSON, headers and labels have members",
			(int)MIN(name.len, (size_t)32), (const char *)name.ptr);
	x = new_expr(p, EXPR_SELECT, VALUE_ANY);
	if (x) {
		x->a = t->expr;
		x->literal.text = name;
	}
	return set_value(p, t, t->at, x);
}

int term_index(struct parser *p, struct term *t, struct term *index)
{
	struct expr *x;
	int r;

	if (t->kind == TERM_VALUE && t->expr->type == VALUE_ANY && index->kind == TERM_LITERAL &&
	    index->literal.type == LITERAL_TEXT)
		return term_select(p, t, index->literal.text, index->at);
	r = term_value(p, t);
	if (r == 0)
		r = term_value(p, index);
	if (r < 0)
		return r;
	if (!has_members(t->expr->type))
		return FAIL(p, t->at,
			    "this is %s: [] asks for a member of JSON or an entry of a list",
			    type_nouns[t->expr->type]);
	if (index->expr->type != VALUE_INT && index->expr->type != VALUE_TEXT &&
	    index->expr->type != VALUE_ANY)
		return FAIL(p, index->at, "a number or a name in quotes stands in []");
	x = new_expr(p, EXPR_INDEX, VALUE_ANY);
	if (x) {
		x->a = t->expr;
		x->b = index->expr;
	}
	return set_value(p, t, t->at, x);
}

int term_call(struct parser *p, struct term *t, unsigned function, size_t at)
{
	const struct filter_function *f = &filter_functions[function];
	struct expr *x;
	int r = term_value(p, t);

	if (r < 0)
		return r;
	if (t->expr->type != VALUE_ANY && !(f->takes >> t->expr->type & 1))
		return FAIL(p, at, "%s is not for %s: %s", f->name, type_nouns[t->expr->type],
			    f->example);
	x = new_expr(p, EXPR_CALL, (enum value_type)f->gives);
	if (x) {
		x->op = (uint8_t)function;
		x->a = t->expr;
	}
	return set_value(p, t, t->at, x);
}

/* ---- arithmetic ---- */

static bool is_plain_literal(const struct term *t)
{
	return t->kind == TERM_LITERAL && t->literal.type != LITERAL_TEXT;
}

/* of two constants a third */
static int fold(struct parser *p, struct term *out, const struct term *left, enum arith_op op,
		size_t op_at, const struct term *right)
{
	static const uint8_t literals[] = {[VALUE_INT] = LITERAL_INT,
					   [VALUE_DOUBLE] = LITERAL_DOUBLE,
					   [VALUE_TIME] = LITERAL_TIME,
					   [VALUE_DURATION] = LITERAL_DURATION};
	struct value_of a = filter_literal_value(&left->literal);
	struct value_of b = filter_literal_value(&right->literal);
	struct value_of sum = filter_arith(NULL, op, &a, &b);
	struct literal l = {.at = left->at, .number = sum.number, .real = sum.real};

	if (sum.type == VALUE_ABSENT)
		return FAIL(p, op_at, "this has no result that 64 bits hold");
	l.type = (enum literal_type)literals[sum.type];
	*out = (struct term){.kind = TERM_LITERAL, .at = left->at, .literal = l};
	return 0;
}

int term_arith(struct parser *p, struct term *out, struct term *left, enum arith_op op,
	       size_t op_at, struct term *right)
{
	static const char signs[] = "+-*/%";
	bool can_fold = is_plain_literal(left) && is_plain_literal(right);
	struct term a = *left, b = *right;
	enum value_type type;
	struct expr *x;
	int r = term_value(p, &a);

	if (r == 0)
		r = term_value(p, &b);
	if (r < 0)
		return r;
	type = filter_arith_type(op, (enum value_type)a.expr->type, (enum value_type)b.expr->type);
	if (type == VALUE_ABSENT)
		return FAIL(p, op_at, "%c does not join %s and %s", signs[op],
			    type_nouns[a.expr->type], type_nouns[b.expr->type]);
	if (can_fold)
		return fold(p, out, left, op, op_at, right);
	x = new_expr(p, EXPR_ARITH, type);
	if (x) {
		x->op = (uint8_t)op;
		x->a = a.expr;
		x->b = b.expr;
	}
	return set_value(p, out, left->at, x);
}

int term_negative(struct parser *p, struct term *t)
{
	struct term zero = {.kind = TERM_LITERAL, .at = t->at, .literal = {.type = LITERAL_INT}};
	bool is_duration = t->kind == TERM_LITERAL && t->literal.type == LITERAL_DURATION;

	if (t->kind == TERM_OPERAND)
		is_duration = operand_type(&t->operand) == FIELD_TYPE_DURATION;
	if (t->kind == TERM_VALUE)
		is_duration = t->expr->type == VALUE_DURATION;
	if (is_duration)
		zero.literal.type = LITERAL_DURATION;
	return term_arith(p, t, &zero, ARITH_SUB, t->at, t);
}

/* ---- moving constants ---- */

static const struct expr *literal_side(const struct expr *x)
{
	return x->b->kind == EXPR_LITERAL ? x->b : x->a->kind == EXPR_LITERAL ? x->a : NULL;
}

/*
 * field + c op d, field - c op d, c - field op d: as field op d'. Return: 1 done, 0 it is none of
 * them. Only where nothing overflows in the constants; in the field's sum it is then no more than
 * what 64 bits would have said without end.
 */
static int move_constant(struct parser *p, struct term *left, enum test_op *op, struct term *right)
{
	const struct expr *x = left->expr, *c = x->kind == EXPR_ARITH ? literal_side(x) : NULL;
	const struct expr *field = c == x->b ? x->a : x->b;
	bool is_minus = x->op == ARITH_SUB, is_reversed = c == x->a && is_minus;
	struct term constant, moved;

	if (!c || x->op > ARITH_SUB || c->type == VALUE_DOUBLE || field->kind != EXPR_OPERAND ||
	    field->type == VALUE_TEXT || field->type == VALUE_LIST || !is_plain_literal(right) ||
	    right->literal.type == LITERAL_DOUBLE)
		return 0;
	constant = (struct term){.kind = TERM_LITERAL, .at = left->at, .literal = c->literal};
	if (is_reversed) { /* c - field op d: field (op) c - d */
		if (term_arith(p, &moved, &constant, ARITH_SUB, left->at, right) < 0)
			return 0;
		*op = term_flipped(*op);
	} else if (term_arith(p, &moved, right, is_minus ? ARITH_ADD : ARITH_SUB, left->at,
			      &constant) < 0) {
		return 0;
	}
	*left = (struct term){.kind = TERM_OPERAND, .at = left->at, .operand = field->operand};
	*right = moved;
	return 1;
}

/* ---- comparing ---- */

/* The operand of which one line is enough; two of them cannot be asked for at once. */
static int find_many(struct parser *p, const struct expr *x, size_t at, const struct operand **many)
{
	int r = 0;

	if (!x)
		return 0;
	if (x->kind == EXPR_OPERAND && operand_is_named(&x->operand)) {
		if (*many)
			return FAIL(p, at, "two headers cannot be compared");
		*many = &x->operand;
	}
	if (x->kind != EXPR_IF)
		r = find_many(p, x->a, at, many);
	return r < 0 || x->kind == EXPR_IF ? r : find_many(p, x->b, at, many);
}

static int set_node(struct parser *p, struct term *out, enum node_kind kind, enum test_op op,
		    const struct term *left, const struct term *right)
{
	const struct operand *many = NULL;
	struct node *n = term_new_node(p, kind);
	int r = find_many(p, left->expr, left->at, &many);

	if (r == 0 && right)
		r = find_many(p, right->expr, right->at, &many);
	if (r < 0)
		return r;
	if (n) {
		n->op = (uint8_t)op;
		n->a = left->expr;
		n->b = right ? right->expr : NULL;
		n->many = many;
	}
	return term_set(p, out, left->at, n);
}

static bool may_compare(unsigned a, unsigned b, enum test_op op)
{
	bool are_parts = op >= OP_STARTS;

	if (a == VALUE_LIST || a == VALUE_MAP || b == VALUE_LIST || b == VALUE_MAP)
		return false;
	if (are_parts)
		return (a == VALUE_TEXT || a == VALUE_ANY) && (b == VALUE_TEXT || b == VALUE_ANY);
	if (a == VALUE_BOOL || b == VALUE_BOOL || a == VALUE_NULL || b == VALUE_NULL)
		return op == OP_EQ && (a == b || a == VALUE_ANY || b == VALUE_ANY);
	return a == b || a == VALUE_ANY || b == VALUE_ANY || (is_number(a) && is_number(b));
}

int term_calculated(struct parser *p, struct term *out, struct term *left, enum test_op op,
		    size_t op_at, struct term *right)
{
	int r;

	if (left->kind == TERM_LITERAL && right->kind == TERM_VALUE) {
		struct term t = *left;

		*left = *right;
		*right = t;
		op = term_flipped(op);
	}
	if (left->kind == TERM_VALUE && op < OP_STARTS && move_constant(p, left, &op, right))
		return term_compare(p, out, left, op, op_at, right);
	r = term_value(p, left);
	if (r == 0)
		r = term_value(p, right);
	if (r < 0)
		return r;
	if (!may_compare(left->expr->type, right->expr->type, op))
		return FAIL(p, right->at, "%s cannot be compared so with %s",
			    type_nouns[left->expr->type], type_nouns[right->expr->type]);
	return set_node(p, out, NODE_COMPARE, op, left, right);
}

int term_calculated_in(struct parser *p, struct term *out, struct term *left, struct term *right)
{
	int r = term_value(p, left);

	if (r == 0)
		r = term_value(p, right);
	if (r < 0)
		return r;
	if (!has_members(right->expr->type))
		return FAIL(p, right->at, "a list or a map stands behind in, and this is %s",
			    type_nouns[right->expr->type]);
	if (left->expr->type == VALUE_LIST || left->expr->type == VALUE_MAP)
		return FAIL(p, left->at, "one value stands before in, and this is %s",
			    type_nouns[left->expr->type]);
	return set_node(p, out, NODE_IN, OP_EQ, left, right);
}

/* ---- regular expressions ---- */

static int new_regex(struct parser *p, const struct literal *l, struct filter_regex **out)
{
	struct err why = {0};
	size_t at;
	int r;

	if (p->f->regex_count == FILTER_REGEX_MAX)
		return filter_error(p->e, p->source, l->at, -E2BIG,
				    "a filter has at most %d regular expressions",
				    FILTER_REGEX_MAX);
	r = filter_regex_new(l->text, out, &at, &why);
	if (r < 0)
		return filter_error(p->e, p->source, l->at, r,
				    "regular expression, character %zu: %s", at + 1, why.why);
	p->f->regexes[p->f->regex_count++] = *out;
	return 0;
}

int term_matches(struct parser *p, struct term *out, struct term *left, size_t op_at,
		 const struct term *pattern)
{
	struct filter_regex *regex;
	int r;

	if (pattern->kind != TERM_LITERAL || pattern->literal.type != LITERAL_TEXT)
		return FAIL(p, pattern->at,
			    "a regular expression is a constant in quotes: r\"^/cart/\\d+$\"");
	r = term_value(p, left);
	if (r < 0)
		return r;
	if (left->expr->type != VALUE_TEXT && left->expr->type != VALUE_ANY)
		return FAIL(p, op_at, "a regular expression is for text, and this is %s",
			    type_nouns[left->expr->type]);
	r = new_regex(p, &pattern->literal, &regex);
	if (r == 0)
		r = set_node(p, out, NODE_COMPARE, OP_MATCHES, left, NULL);
	if (r == 0)
		out->node->regex = regex;
	return r;
}

/* ---- has(), ?:, exists() ---- */

int term_has(struct parser *p, struct term *t)
{
	struct node *n;

	if (t->kind == TERM_OPERAND && operand_is_named(&t->operand))
		return term_set(p, t, t->at, term_new_test(p, &t->operand, OP_HAS));
	if (t->kind != TERM_VALUE || (t->expr->kind != EXPR_SELECT && t->expr->kind != EXPR_INDEX))
		return FAIL(p, t->at,
			    "has() asks for a member: has(response.json.items), "
			    "has(request.headers.host)");
	n = term_new_node(p, NODE_PRESENT);
	if (n)
		n->a = t->expr;
	return term_set(p, t, t->at, n);
}

static bool is_condition(const struct term *t)
{
	return t->kind == TERM_CONDITION ||
	       (t->kind == TERM_LITERAL && t->literal.type == LITERAL_BOOL);
}

static int if_conditions(struct parser *p, struct term *condition, struct term *a, struct term *b)
{
	struct node *n;
	int r = term_as_condition(p, a);

	if (r == 0)
		r = term_as_condition(p, b);
	if (r < 0)
		return r;
	n = term_new_node(p, NODE_IF);
	if (n) {
		term_add_child(n, condition->node);
		term_add_child(n, a->node);
		term_add_child(n, b->node);
	}
	return term_set(p, condition, condition->at, n);
}

int term_if(struct parser *p, struct term *condition, struct term *a, struct term *b)
{
	enum value_type type;
	struct expr *x;
	int r;

	if (is_condition(a) || is_condition(b))
		return if_conditions(p, condition, a, b);
	r = term_value(p, a);
	if (r == 0)
		r = term_value(p, b);
	if (r < 0)
		return r;
	type = (enum value_type)a->expr->type;
	if (b->expr->type != type) {
		if (type != VALUE_ANY && b->expr->type != VALUE_ANY &&
		    !(is_number(type) && is_number(b->expr->type)))
			return FAIL(p, b->at, "?: gives %s or %s: both must be of one type",
				    type_nouns[type], type_nouns[b->expr->type]);
		type = VALUE_ANY;
	}
	x = new_expr(p, EXPR_IF, type);
	if (x) {
		x->condition = condition->node;
		x->a = a->expr;
		x->b = b->expr;
	}
	return set_value(p, condition, condition->at, x);
}

int term_each_type(struct parser *p, struct term *t, size_t at, const char *name)
{
	enum value_type type = t->kind == TERM_LIST ? items_type(t) : VALUE_TEXT;
	int r = term_value(p, t);

	if (r < 0)
		return r;
	if (!has_members(t->expr->type))
		return FAIL(p, at, "%s goes through a list or the names of a map, and this is %s",
			    name, type_nouns[t->expr->type]);
	return t->expr->type == VALUE_ANY ? (int)VALUE_ANY : (int)type;
}
