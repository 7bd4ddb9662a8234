// SPDX-License-Identifier: Apache-2.0
#include "store/filter_sql.h"
#include "store/filter_value.h"

#include "schema/sql.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A calculated condition that depends on columns alone is judged inside of SQLite, by the same code
 * as in memory: filter_holds(condition, column, ...), with a pointer that nothing but a bound
 * parameter can be. So `host =~ "..."` is asked once for each kind of exchange, and a row that
 * fails it is never unpacked. It gives NULL when a column is NULL: the store asks with NULL for
 * what it does not know yet (schema/sql.h).
 */

#define POINTER_TYPE "tapeloop-filter"

/* ---- what a condition depends on ---- */

struct dependence {
	uint8_t *fields; /* room for FILTER_COLUMNS_MAX */
	size_t count;
	bool is_lost; /* on something that no column says */
};

static void note_node(struct dependence *d, const struct node *n);

static void note_field(struct dependence *d, unsigned field)
{
	/* an address and an id are more than their columns' text */
	bool is_whole = columns[field].kind != COLUMN_KIND_ADDRESS &&
			field_rows[field].type != FIELD_TYPE_ID;

	for (size_t i = 0; i < d->count; i++)
		if (d->fields[i] == field)
			return;
	if (!is_whole || d->count == FILTER_COLUMNS_MAX)
		d->is_lost = true;
	else
		d->fields[d->count++] = (uint8_t)field;
}

static void note_operand(struct dependence *d, const struct operand *o)
{
	if (o->kind == OPERAND_FIELD)
		note_field(d, o->field);
	else if (o->kind == OPERAND_QUERY)
		note_field(d, FIELD_TARGET);
	else if (operand_is_map(o))
		note_field(d, operand_map_field(o));
	else
		d->is_lost = true;
}

static void note_expr(struct dependence *d, const struct expr *x)
{
	if (!x || d->is_lost)
		return;
	if (x->kind == EXPR_OPERAND || x->kind == EXPR_NAMES)
		note_operand(d, &x->operand);
	d->is_lost |= x->kind == EXPR_JSON;
	note_expr(d, x->a);
	note_expr(d, x->b);
	if (x->condition)
		note_node(d, x->condition);
}

static void note_node(struct dependence *d, const struct node *n)
{
	d->is_lost |= n->kind == NODE_SEARCH;
	if (n->kind == NODE_TEST && n->op == OP_FAILED)
		note_field(d, FIELD_OUTCOME);
	else if (n->kind == NODE_TEST)
		note_operand(d, &n->left);
	if (n->has_right)
		note_operand(d, &n->right);
	note_expr(d, n->a);
	note_expr(d, n->b);
	for (const struct node *c = n->first; c && !d->is_lost; c = c->next)
		note_node(d, c);
}

size_t filter_node_columns(const struct node *n, uint8_t fields[FILTER_COLUMNS_MAX])
{
	struct dependence d = {.fields = fields};

	note_node(&d, n);
	return d.is_lost ? 0 : d.count;
}

/* ---- the function ---- */

static struct span name_of(enum field field, int64_t number)
{
	unsigned count;
	field_name_fn *name = field_vocabulary(field, &count);

	return name ? span_str(name((unsigned)number)) : (struct span){0};
}

static struct field_value column_value(enum field field, sqlite3_value *v)
{
	struct field_value out = {0};

	switch ((enum column_kind)columns[field].kind) {
	case COLUMN_KIND_TEXT:
	case COLUMN_KIND_TRACE:
	case COLUMN_KIND_ADDRESS:
		out.text = span_of(sqlite3_value_text(v), 0);
		out.text.len = (size_t)sqlite3_value_bytes(v);
		break;
	case COLUMN_KIND_NUMBER: out.text = name_of(field, sqlite3_value_int64(v)); break;
	case COLUMN_KIND_INT:
	case COLUMN_KIND_FLAGS: out.number = (uint64_t)sqlite3_value_int64(v); break;
	}
	return out;
}

static void holds(sqlite3_context *context, int count, sqlite3_value **values)
{
	const struct filter_condition *c = sqlite3_value_pointer(values[0], POINTER_TYPE);
	struct filter_scratch *s = sqlite3_user_data(context);
	struct filter_columns given = {0};
	bool is_so;

	if (!c || (size_t)count != c->count + 1) {
		sqlite3_result_error(context, FILTER_SQL_FUNCTION "() is tapeloop's own", -1);
		return;
	}
	for (size_t i = 0; i < c->count; i++) {
		if (sqlite3_value_type(values[i + 1]) == SQLITE_NULL)
			return; /* NULL */
		given.fields[i] = c->fields[i];
		given.values[i] = column_value(c->fields[i], values[i + 1]);
	}
	given.count = c->count;
	filter_scratch_begin(s, NULL, &given);
	is_so = filter_node_holds(s, c->node);
	if (s->gave_up && c->is_restricted)
		is_so = !c->is_negated;
	else if (s->gave_up)
		(void)atomic_fetch_add_explicit(c->gave_up, s->gave_up, memory_order_relaxed);
	sqlite3_result_int(context, is_so);
}

static void free_scratch(void *scratch)
{
	filter_scratch_free(scratch);
}

int filter_sql_register(struct sqlite3 *db)
{
	struct filter_scratch *s = filter_scratch_new();

	if (!s)
		return -ENOMEM;
	/* frees the scratch when it fails */
	return sqlite3_create_function_v2(db, FILTER_SQL_FUNCTION, -1,
					  SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, s,
					  holds, NULL, NULL, free_scratch) == SQLITE_OK
		       ? 0
		       : -ENOMEM;
}

int filter_sql_bind(const struct filter_sql *s, struct sqlite3_stmt *st, int at)
{
	for (size_t i = 0; i < s->param_count; i++) {
		const struct filter_param *p = &s->params[i];

		if (p->condition)
			(void)sqlite3_bind_pointer(st, at++, (void *)(uintptr_t)p->condition,
						   POINTER_TYPE, NULL);
		else if (!p->text.ptr)
			(void)sqlite3_bind_int64(st, at++, p->number);
		else if (p->is_blob)
			(void)sqlite3_bind_blob(st, at++, p->text.ptr, (int)p->text.len,
						SQLITE_STATIC);
		else
			(void)sqlite3_bind_text(st, at++, (const char *)p->text.ptr,
						(int)p->text.len, SQLITE_STATIC);
	}
	return at;
}
