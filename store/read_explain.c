// SPDX-License-Identifier: Apache-2.0
#include "store/read_list.h"

#include <errno.h>
#include <sqlite3.h>

#include "lib/json.h"

/*
 * Theory of operation. An explanation is no guess: the query is carried out, under the same limit
 * of time, with one more condition that is always true and counts the rows at which SQLite looks.
 * What SQLite says of its plan is kept once for each form of the statement: for a growing tape, for
 * a sealed one as a whole, and for one kind of a sealed tape.
 */

static void write_param(const struct filter_param *p, struct buf *out)
{
	if (p->condition)
		buf_add_str(out, " (condition)");
	else if (!p->text.ptr)
		buf_add_fmt(out, " %lld", (long long)p->number);
	else if (p->is_blob)
		buf_add_fmt(out, " %zu bytes", p->text.len);
	else
		buf_add_fmt(out, " '%.*s'", (int)p->text.len, (const char *)p->text.ptr);
}

int read_explain_plan(const struct read_plan *p, struct tape *t, const char *form, const char *sql,
		      struct err *e)
{
	AUTO_BUF text = {0};
	sqlite3_stmt *st;

	if (p->explains->len && strstr(buf_cstr(p->explains), form))
		return 0;
	buf_add_fmt(&text, "EXPLAIN QUERY PLAN %s", sql);
	st = tape_prepare(t, buf_cstr(&text), e);
	if (!st)
		return e->code;
	while (sqlite3_step(st) == SQLITE_ROW)
		buf_add_fmt(p->explains, "%s: %s\n", form,
			    (const char *)sqlite3_column_text(st, 3));
	(void)sqlite3_finalize(st);
	return 0;
}

static void describe_plan(const struct read_plan *p, struct explanation *out)
{
	struct read_plan plain = *p;

	plain.explains = NULL;
	read_list_sql(&plain, NULL, &out->sql);
	out->reads_messages = p->wants_messages;
	if (p->needs_residual)
		filter_describe(p->q->filter, &out->residual);
	if (p->is_all)
		return;
	read_plan_kinds_sql(&plain, "kind.id", &out->kinds_sql);
	buf_add_str(&out->kinds_sql, " IS NOT FALSE");
	for (size_t i = 0; i < p->filter.param_count; i++)
		write_param(&p->filter.params[i], &out->parameters);
}

static int count_nothing(void *ctx, const struct exchange *x)
{
	(void)ctx, (void)x;
	return 0;
}

int reader_explain(struct reader *r, const struct query *q, struct explanation *out, struct err *e)
{
	struct explanation x = {0};
	struct err why = {0};
	struct read_plan p;
	int failed = read_plan_init(&p, q, NULL, &why);

	p.explains = &x.plan;
	if (failed == 0)
		failed = read_set_permits(r, q, &why);
	if (failed == 0) {
		describe_plan(&p, &x);
		failed = read_list(r, &p, count_nothing, NULL, NULL, &why);
	}
	read_plan_fini(&p);
	x.is_whole = failed == 0;
	x.effort = r->effort;
	x.tapes = r->count;
	if (failed < 0 && failed != -ETIMEDOUT) {
		explanation_fini(&x);
		return err_set(e, failed, "%s", why.why);
	}
	*out = x;
	return 0;
}

void explanation_fini(struct explanation *x)
{
	buf_fini(&x->sql);
	buf_fini(&x->kinds_sql);
	buf_fini(&x->parameters);
	buf_fini(&x->residual);
	buf_fini(&x->plan);
	*x = (struct explanation){0};
}

static void add_line(struct buf *out, const char *what, const struct buf *text)
{
	if (!text->len)
		return;
	buf_add_str(out, what);
	buf_add_span(out, buf_span(text));
	buf_add_char(out, '\n');
}

void explanation_text(const struct explanation *x, struct buf *out)
{
	if (!x->hides_store)
		buf_add_fmt(out, "%zu tapes, each:\n", x->tapes);
	add_line(out, "", &x->sql);
	add_line(out, "parameters of the filter:", &x->parameters);
	add_line(out, "kinds: ", &x->kinds_sql);
	if (x->residual.len)
		add_line(out, "then, for each exchange: ", &x->residual);
	else
		buf_add_str(out, "then, for each exchange: nothing, the SQL is exact\n");
	buf_add_str(out, x->reads_messages ? "messages: read\n" : "messages: not read\n");
	if (!x->hides_store)
		buf_add_span(out, buf_span(&x->plan));
	buf_add_str(out, "rows: ");
	if (!x->hides_store)
		buf_add_fmt(out, "%llu looked at, ", (unsigned long long)x->effort.seen);
	buf_add_fmt(out, "%llu read, %llu judged, %llu selected%s\n",
		    (unsigned long long)x->effort.read, (unsigned long long)x->effort.judged,
		    (unsigned long long)x->effort.selected,
		    x->is_whole ? "" : "; then it was out of time");
}

static void add_text(struct json *j, const char *key, const struct buf *text)
{
	json_key(j, key);
	if (text->len)
		json_text(j, buf_span(text));
	else
		json_none(j);
}

/* the lines of @text as a list */
static void add_lines(struct json *j, const char *key, struct span rest)
{
	json_key(j, key);
	json_array_begin(j);
	while (rest.len) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t n = end ? (size_t)(end - rest.ptr) : rest.len;

		json_text(j, span_of(rest.ptr, n));
		rest = span_from(rest, n + 1);
	}
	json_array_end(j);
}

/* what depends on the whole store; null for who may not see all of it */
static void add_of_store(struct json *j, const struct explanation *x, const char *key, uint64_t n)
{
	json_key(j, key);
	if (x->hides_store)
		json_none(j);
	else
		json_u64(j, n);
}

void explanation_json(const struct explanation *x, struct json *j)
{
	json_object_begin(j);
	add_of_store(j, x, "tapes", x->tapes);
	add_text(j, "sql", &x->sql);
	add_text(j, "parameters", &x->parameters);
	add_text(j, "kinds_sql", &x->kinds_sql);
	add_text(j, "residual", &x->residual);
	json_key_bool(j, "reads_messages", x->reads_messages);
	add_lines(j, "plan", x->hides_store ? (struct span){0} : buf_span(&x->plan));
	add_of_store(j, x, "rows_looked_at", x->effort.seen);
	json_key_u64(j, "rows_read", x->effort.read);
	json_key_u64(j, "rows_judged", x->effort.judged);
	json_key_u64(j, "rows_selected", x->effort.selected);
	json_key_bool(j, "is_whole", x->is_whole);
	json_object_end(j);
}
