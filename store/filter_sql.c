// SPDX-License-Identifier: Apache-2.0
#include "store/filter_sql.h"

#include "schema/sql.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A test over a column becomes SQL that says exactly the same, and a calculated condition over
 * columns a call of our own function (filter_function.c); any other (headers, bodies, the text of
 * an id, odd ranges of addresses) becomes "may hold", which is true. So that this never excludes a
 * row that matches, NOT is moved down to the tests first (De Morgan): above them stand AND and OR
 * only, and in these a test that is true too often can only let more rows through. The residual
 * check by filter_matches() then removes them.
 *
 * Every test is given twice, as it is and negated, and each of the two is NULL where its column is
 * NULL: the store asks with NULL for what it does not know yet (schema/sql.h). Constants fold away,
 * so that an index is not hidden behind "1 AND".
 *
 * Parameters: the literals themselves, and bytes made up here (the end of a prefix's range, the
 * text of an address, a packed trace id), whose number is counted before so that they do not move.
 */

enum truth { NEVER, ALWAYS, DEPENDS };

/* bytes made up for one value at most, beside a copy of its text */
#define MADE_UP_MAX	 (INET6_ADDRSTRLEN + SQL_TRACE_BYTES)
#define PARAMS_PER_VALUE 3

struct writer {
	struct filter_sql *out;
	uint8_t *free_bytes;
	const struct filter *f;
};

static const struct column *column_of(const struct operand *o)
{
	return &columns[o->field];
}

/* ---- which tests SQL can say ---- */

static bool is_text_kind(const struct column *c)
{
	return c->kind == COLUMN_KIND_TEXT || c->kind == COLUMN_KIND_TRACE ||
	       c->kind == COLUMN_KIND_ADDRESS;
}

/* An address, or a range that is a beginning of its text: 10.0.0.0/8 is all that begins with "10."
 */
static bool is_plain_range(const struct value *v)
{
	return v->prefix_bits == 128 ||
	       (v->is_ipv4 && v->prefix_bits > 96 && v->prefix_bits % 8 == 0);
}

static bool values_have_sql(const struct node *n, const struct column *c)
{
	bool is_id = operand_type(&n->left) == FIELD_TYPE_ID;

	for (size_t i = 0; i < n->value_count; i++) {
		const struct value *v = &n->values[i];

		if (c->kind == COLUMN_KIND_ADDRESS && n->op == OP_EQ && !is_plain_range(v))
			return false;
		if (is_id && v->number < 0)
			return false; /* above 2^63: the column has the largest number instead */
	}
	return true;
}

static bool pair_has_sql(const struct node *n)
{
	const struct column *l = column_of(&n->left), *r = column_of(&n->right);

	if (n->right.kind != OPERAND_FIELD)
		return false;
	return (is_text_kind(l) && is_text_kind(r)) ||
	       (l->kind == COLUMN_KIND_INT && r->kind == COLUMN_KIND_INT);
}

static bool test_has_sql(const struct node *n)
{
	const struct column *c = column_of(&n->left);

	if (n->op == OP_FAILED)
		return true;
	if (n->left.kind != OPERAND_FIELD)
		return false;
	if (n->has_right)
		return pair_has_sql(n);
	if (n->op >= OP_STARTS && n->op <= OP_CONTAINS)
		return is_text_kind(c);
	return values_have_sql(n, c);
}

/* labels are one text in their column: what asks for one of them is judged as calculations are */
static bool is_calculated(const struct node *n)
{
	return n->kind > NODE_TEST ||
	       (n->kind == NODE_TEST && n->op != OP_FAILED && operand_is_map(&n->left));
}

static bool leaf_has_sql(const struct node *n)
{
	uint8_t fields[FILTER_COLUMNS_MAX];

	return is_calculated(n) ? filter_node_columns(n, fields) > 0 : test_has_sql(n);
}

/* What is known of a node, negated or not, without looking at a row. */
static enum truth estimate(const struct node *n, bool is_negated)
{
	bool is_and = (n->kind == NODE_AND) != is_negated;
	enum truth sum = is_and ? ALWAYS : NEVER;

	if (n->kind == NODE_NOT)
		return estimate(n->first, !is_negated);
	if (n->kind == NODE_TEST || is_calculated(n))
		return leaf_has_sql(n) ? DEPENDS : ALWAYS;
	for (const struct node *c = n->first; c; c = c->next) {
		enum truth t = estimate(c, is_negated);

		if (t == (is_and ? NEVER : ALWAYS))
			return t;
		if (t == DEPENDS)
			sum = DEPENDS;
	}
	return sum;
}

static bool is_exact(const struct node *n)
{
	if (n->kind == NODE_TEST || is_calculated(n))
		return leaf_has_sql(n);
	for (const struct node *c = n->first; c; c = c->next)
		if (!is_exact(c))
			return false;
	return true;
}

/* ---- writing tests ---- */

static void put(struct writer *w, const char *sql)
{
	buf_add_str(&w->out->where, sql);
}

static void put_param(struct writer *w, const char *sql, struct filter_param p)
{
	put(w, sql);
	w->out->params[w->out->param_count++] = p;
}

static void put_text(struct writer *w, const char *sql, struct span text)
{
	put_param(w, sql, (struct filter_param){.text = text});
}

static void put_number(struct writer *w, const char *sql, int64_t number)
{
	put_param(w, sql, (struct filter_param){.number = number});
}

static struct span make_up(struct writer *w, const void *bytes, size_t len)
{
	struct span s = {w->free_bytes, len};

	if (len)
		memcpy(w->free_bytes, bytes, len);
	w->free_bytes += len;
	return s;
}

/* sql >= prefix AND sql < the first text behind all that begin so */
static void put_prefix(struct writer *w, const char *sql, struct span prefix)
{
	struct span end = make_up(w, prefix.ptr, prefix.len);

	while (end.len && end.ptr[end.len - 1] == 0xff)
		end.len--;
	if (end.len)
		w->free_bytes[-(ptrdiff_t)(prefix.len - end.len) - 1]++;
	put(w, "(");
	put(w, sql);
	put_text(w, " >= ?", prefix);
	if (end.len) {
		put(w, " AND ");
		put(w, sql);
		put_text(w, " < ?", end);
	}
	put(w, ")");
}

static void put_part(struct writer *w, const struct node *n, const char *sql, struct span part)
{
	if (part.len == 0) { /* of every text; NULL stays NULL */
		put(w, sql);
		put(w, " >= ''");
	} else if (n->op == OP_STARTS) {
		put_prefix(w, sql, part);
	} else if (n->op == OP_CONTAINS) {
		put(w, "instr(CAST(");
		put(w, sql);
		put_text(w, " AS BLOB), CAST(? AS BLOB)) > 0", part);
	} else {
		/* the length first: substr() of no bytes is NULL, which is not false */
		put(w, "(length(CAST(");
		put(w, sql);
		put_number(w, " AS BLOB)) >= ? AND substr(CAST(", (int64_t)part.len);
		put(w, sql);
		put_number(w, " AS BLOB), ?)", -(int64_t)part.len);
		put_text(w, " = CAST(? AS BLOB))", part);
	}
}

static void put_trace(struct writer *w, const char *sql, struct span text)
{
	uint8_t packed[SQL_TRACE_BYTES];
	size_t n = sql_trace_pack(text, packed);
	struct filter_param p = {.text = text, .is_blob = n > 0};

	if (text.len == 0) {
		put(w, sql);
		put(w, " = ''");
		return;
	}
	if (n)
		p.text = make_up(w, packed, n);
	put(w, SQL_TRACE_EQUALS);
	w->out->params[w->out->param_count++] = p;
	w->out->params[w->out->param_count++] = p;
}

static void put_address(struct writer *w, const char *sql, const struct value *v)
{
	struct endpoint e = {.is_ipv4 = v->is_ipv4};
	char text[ENDPOINT_TEXT_MAX];
	unsigned octets = v->prefix_bits / 8 - 12U;
	struct span s;

	memcpy(e.address, v->address, sizeof(e.address));
	s = span_str(endpoint_text(&e, text));
	if (v->prefix_bits == 128) {
		put(w, sql);
		put_text(w, " = ?", make_up(w, s.ptr, s.len));
		return;
	}
	for (s.len = 0; octets; s.len++)
		octets -= text[s.len] == '.';
	put_prefix(w, sql, make_up(w, text, s.len));
}

static void put_equal(struct writer *w, const struct column *c, const struct value *v)
{
	if (c->kind == COLUMN_KIND_TRACE) {
		put_trace(w, c->sql, v->text);
	} else if (c->kind == COLUMN_KIND_ADDRESS) {
		put_address(w, c->sql, v);
	} else {
		put(w, c->sql);
		if (c->kind == COLUMN_KIND_TEXT)
			put_text(w, " = ?", v->text);
		else
			put_number(w, " = ?", v->number);
	}
}

/* IN for what is compared as it stands, else OR */
static void put_one_of(struct writer *w, const struct node *n, const struct column *c)
{
	bool is_in = n->value_count > 1 && c->kind != COLUMN_KIND_TRACE &&
		     c->kind != COLUMN_KIND_ADDRESS;

	if (is_in)
		put(w, c->sql);
	for (size_t i = 0; i < n->value_count; i++) {
		const struct value *v = &n->values[i];

		if (!is_in) {
			put(w, i ? " OR " : "");
			put_equal(w, c, v);
		} else if (c->kind == COLUMN_KIND_TEXT) {
			put_text(w, i ? ", ?" : " IN (?", v->text);
		} else {
			put_number(w, i ? ", ?" : " IN (?", v->number);
		}
	}
	if (is_in)
		put(w, ")");
}

static const char *const order_signs[][2] = {
	/* as it is, negated */
	[OP_EQ] = {" = ", " <> "}, [OP_LT] = {" < ", " >= "}, [OP_LE] = {" <= ", " > "},
	[OP_GT] = {" > ", " <= "}, [OP_GE] = {" >= ", " < "},
};

static void put_order(struct writer *w, const struct node *n, const struct column *c,
		      bool is_negated)
{
	const char *sign = order_signs[n->op][is_negated];
	const struct value *v = &n->values[0];

	/* an id is never below its time, and has the index */
	if (n->left.field == FIELD_TIME && sign[1] == '>')
		put_number(w, "exchange.id >= ? AND ", v->number);
	put(w, c->sql);
	put(w, sign);
	if (is_text_kind(c))
		put_text(w, "?", v->text);
	else
		put_number(w, "?", v->number);
}

static void put_pair(struct writer *w, const struct node *n, bool is_negated)
{
	put(w, column_of(&n->left)->sql);
	put(w, order_signs[n->op][is_negated]);
	put(w, column_of(&n->right)->sql);
}

/* A failure that is asked for by its kind has the index of all failures. */
static bool are_failures(const struct node *n)
{
	struct exchange x = {0};

	for (size_t i = 0; i < n->value_count; i++) {
		x.outcome = (uint8_t)n->values[i].number;
		if (!exchange_is_failed(&x))
			return false;
	}
	return n->left.field == FIELD_OUTCOME && n->op == OP_EQ;
}

static void put_test(struct writer *w, const struct node *n, bool is_negated)
{
	const struct column *c = column_of(&n->left);

	if (n->has_right) {
		put_pair(w, n, is_negated);
		return;
	}
	if (n->op >= OP_LT && n->op <= OP_GE) {
		put_order(w, n, c, is_negated);
		return;
	}
	if (is_negated)
		put(w, "NOT (");
	if (n->op == OP_FAILED || (!is_negated && are_failures(n)))
		put(w, n->op == OP_FAILED ? SQL_FAILED : SQL_FAILED " AND ");
	if (n->op == OP_EQ)
		put_one_of(w, n, c);
	else if (c->kind == COLUMN_KIND_FLAGS)
		put_number(w, "(kind.anomalies & ?) <> 0", n->values[0].number);
	else if (n->op != OP_FAILED)
		put_part(w, n, c->sql, n->values[0].text);
	if (is_negated)
		put(w, ")");
}

static void put_call(struct writer *w, const struct node *n, bool is_negated)
{
	struct filter_condition *c = &w->out->conditions[w->out->condition_count++];

	*c = (struct filter_condition){.node = n,
				       .gave_up = w->f->gave_up,
				       .is_restricted = w->f->only != NULL,
				       .is_negated = is_negated};
	c->count = filter_node_columns(n, c->fields);
	put(w, is_negated ? "NOT " FILTER_SQL_FUNCTION "(" : FILTER_SQL_FUNCTION "(");
	put_param(w, "?", (struct filter_param){.condition = c});
	for (size_t i = 0; i < c->count; i++) {
		put(w, ", ");
		put(w, columns[c->fields[i]].sql);
	}
	put(w, ")");
}

/* ---- the tree ---- */

/* Brackets around everything that stands inside an operator and is more than one comparison. */
static void put_node(struct writer *w, const struct node *n, bool is_negated, bool is_inside)
{
	bool is_and = (n->kind == NODE_AND) != is_negated;
	const char *joint = "";

	if (n->kind == NODE_NOT) {
		put_node(w, n->first, !is_negated, is_inside);
		return;
	}
	if (is_calculated(n)) {
		put_call(w, n, is_negated);
		return;
	}
	is_inside &= n->op != OP_FAILED;
	if (is_inside)
		put(w, "(");
	if (n->kind == NODE_TEST)
		put_test(w, n, is_negated);
	for (const struct node *c = n->first; c; c = c->next) {
		if (estimate(c, is_negated) != DEPENDS)
			continue;
		put(w, joint);
		put_node(w, c, is_negated, true);
		joint = is_and ? " AND " : " OR ";
	}
	if (is_inside)
		put(w, ")");
}

int filter_to_sql(const struct filter *f, struct filter_sql *out)
{
	struct filter_sql sql = {.is_exact = is_exact(f->root)};
	struct writer w = {.out = &sql, .f = f};
	enum truth t = estimate(f->root, false);
	size_t made_up = 1, value_count = f->value_count + (f->only ? f->only->value_count : 0);

	for (size_t i = 0; i < f->value_count; i++)
		made_up += f->values[i].text.len + MADE_UP_MAX;
	sql.params =
		calloc(value_count * PARAMS_PER_VALUE + f->node_count + 1, sizeof(*sql.params));
	sql.conditions = calloc(f->node_count + 1, sizeof(*sql.conditions));
	sql.bytes = w.free_bytes = malloc(made_up);
	if (sql.params && sql.conditions && sql.bytes && t == DEPENDS)
		put_node(&w, f->root, false, false);
	else
		put(&w, t == NEVER ? "0" : "1");
	sql.is_exact = sql.is_exact && !(f->only && sql.condition_count);
	if (!sql.params || !sql.conditions || !sql.bytes || sql.where.is_failed) {
		filter_sql_fini(&sql);
		return -ENOMEM;
	}
	*out = sql;
	return 0;
}

void filter_sql_fini(struct filter_sql *s)
{
	buf_fini(&s->where);
	free(s->params);
	free(s->bytes);
	free(s->conditions);
	*s = (struct filter_sql){0};
}
