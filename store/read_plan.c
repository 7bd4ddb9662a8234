// SPDX-License-Identifier: Apache-2.0
#include "store/read_list.h"

#include <errno.h>
#include <sqlite3.h>

#include "schema/sql.h"

/*
 * Theory of operation. The filter's condition is asked twice of each tape. First of its kinds, with
 * NULL for whatever only an exchange or its client knows: a kind for which the condition is false
 * even so has no exchange that matches. On a sealed tape, where (kind, id) is indexed, the others
 * are then followed one by one; a tape without any is left out. Then of the exchanges.
 *
 * Times are conditions on start_ns, which is the id less `moved`; they bound the ids too, and the
 * ids are what the tape is sorted by.
 */
#define START "(exchange.id - exchange.moved)"

int read_plan_init(struct read_plan *p, const struct query *q, const char *extra, struct err *e)
{
	*p = (struct read_plan){.q = q, .extra = extra, .wants_messages = q->wants_messages};
	if (!q->filter) {
		p->is_all = true;
		return 0;
	}
	if (filter_to_sql(q->filter, &p->filter) < 0)
		return err_set(e, -ENOMEM, "filter: out of memory");
	p->text_count = filter_texts(q->filter, p->texts, FULLTEXT_TERMS_MAX);
	p->trace_count = filter_traces(q->filter, p->traces, READ_PLAN_TRACES_MAX);
	p->is_all = span_eq(buf_span(&p->filter.where), SPAN_LIT("1"));
	p->needs_residual = !p->filter.is_exact;
	p->wants_messages = p->wants_messages || filter_wants_messages(q->filter);
	return 0;
}

void read_plan_fini(struct read_plan *p)
{
	if (p->q && p->q->filter)
		filter_sql_fini(&p->filter);
}

void read_plan_where(const struct read_plan *p, struct buf *sql)
{
	buf_add_str(sql, " WHERE exchange.id > ? AND exchange.id < ?");
	if (p->q->since_ns)
		buf_add_str(sql, " AND " START " >= ?");
	if (p->q->until_ns)
		buf_add_str(sql, " AND " START " < ?");
	if (p->explains)
		buf_add_str(sql, " AND " READ_SET_SEEN);
	if (p->extra)
		buf_add_fmt(sql, " AND %s", p->extra);
	if (!p->is_all) {
		buf_add_str(sql, " AND (");
		buf_add_span(sql, buf_span(&p->filter.where));
		buf_add_char(sql, ')');
	}
}

static int64_t as_integer(uint64_t v)
{
	return (int64_t)MIN(v, (uint64_t)INT64_MAX);
}

int read_plan_bind(const struct read_plan *p, sqlite3_stmt *st, int at, uint64_t after,
		   uint64_t before)
{
	(void)sqlite3_bind_int64(st, at++, as_integer(after));
	(void)sqlite3_bind_int64(st, at++, as_integer(before));
	if (p->q->since_ns)
		(void)sqlite3_bind_int64(st, at++, as_integer(p->q->since_ns));
	if (p->q->until_ns)
		(void)sqlite3_bind_int64(st, at++, as_integer(p->q->until_ns));
	return p->is_all ? at : filter_sql_bind(&p->filter, st, at);
}

bool read_plan_window(const struct read_plan *p, const struct tape_summary *sum, uint64_t *after,
		      uint64_t *before)
{
	const struct query *q = p->q;
	uint64_t low = sum->first_id - 1, high = sum->last_id + 1;

	if (sum->rows == 0 || sum->first_id == 0)
		return false;
	if (q->since_ns)
		low = MAX(low, q->since_ns - 1);
	if (q->until_ns && q->until_ns < UINT64_MAX - sum->moved_max)
		high = MIN(high, q->until_ns + sum->moved_max);
	if (q->cursor && q->is_reverse)
		low = MAX(low, q->cursor);
	if (q->cursor && !q->is_reverse)
		high = MIN(high, q->cursor);
	*after = low;
	*before = high;
	return low < high && high - low > 1;
}

/* --- what it looks at --- */

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_' || c == '.';
}

static bool is_allowed(struct span name, const char *const *allowed)
{
	for (; *allowed; allowed++) {
		struct span a = span_str(*allowed);
		bool is_table = a.len && a.ptr[a.len - 1] == '.';

		if (is_table ? span_istarts(name, a) : span_eq(name, a))
			return true;
	}
	return false;
}

/* Constants are bound, so in a condition only columns have a dot. */
bool read_plan_names_only(const struct read_plan *p, const char *const *allowed)
{
	struct span sql = p->is_all ? (struct span){0} : buf_span(&p->filter.where);

	if (p->needs_residual)
		return false;
	for (size_t i = 0, from; i < sql.len; i += i == from) {
		for (from = i; i < sql.len && is_name((char)sql.ptr[i]); i++)
			;
		if (memchr(sql.ptr + from, '.', i - from) &&
		    !is_allowed(span_of(sql.ptr + from, i - from), allowed))
			return false;
	}
	return true;
}

/* --- kinds --- */

void read_plan_kinds_sql(const struct read_plan *p, const char *select, struct buf *sql)
{
	buf_add_fmt(sql, "SELECT %s FROM kind CROSS JOIN peer AS dst ON dst.id = kind.dst", select);
	buf_add_str(sql, " CROSS JOIN (SELECT NULL AS id, NULL AS moved, NULL AS outcome,"
			 " NULL AS src_port, NULL AS age, NULL AS sequence, NULL AS latency,"
			 " NULL AS path, NULL AS query, NULL AS target, NULL AS request_size,"
			 " NULL AS response_size, NULL AS trace_id, NULL AS replay,"
			 " NULL AS stream, NULL AS sent, NULL AS received, NULL AS deadline,"
			 " NULL AS dst_latency, NULL AS wire) AS exchange"
			 " CROSS JOIN (SELECT NULL AS ip, NULL AS service, NULL AS namespace,"
			 " NULL AS pod, NULL AS workload, NULL AS node, NULL AS workload_kind,"
			 " NULL AS container, NULL AS pod_uid, NULL AS labels, NULL AS annotations,"
			 " NULL AS source, NULL AS certainty) AS src WHERE (");
	buf_add_span(sql, buf_span(&p->filter.where));
	buf_add_char(sql, ')');
}

static sqlite3_stmt *ask_kinds(const struct read_plan *p, struct tape *t, const char *select,
			       const char *ending, struct err *e)
{
	AUTO_BUF sql = {0};
	sqlite3_stmt *st;

	read_plan_kinds_sql(p, select, &sql);
	buf_add_str(&sql, ending);
	st = tape_prepare(t, buf_cstr(&sql), e);
	if (st)
		(void)filter_sql_bind(&p->filter, st, 1);
	return st;
}

/* Does the condition exclude any kind at all? Return: 1, 0 or a negative errno. */
static int excludes_some(const struct read_plan *p, struct tape *t, struct err *e)
{
	sqlite3_stmt *st = ask_kinds(p, t, "1", " IS FALSE LIMIT 1", e);
	int step;

	if (!st)
		return e->code;
	step = sqlite3_step(st);
	(void)sqlite3_finalize(st);
	return step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int read_plan_kinds(const struct read_plan *p, struct tape *t,
		    uint64_t numbers[READ_PLAN_KINDS_MAX], struct err *e)
{
	sqlite3_stmt *st;
	int n = 0, step, some = p->is_all ? 0 : excludes_some(p, t, e);

	if (some <= 0)
		return some < 0 ? some : READ_PLAN_KINDS_MAX + 1;
	st = ask_kinds(p, t, "kind.id", " IS NOT FALSE", e);
	if (!st)
		return e->code;
	while ((step = sqlite3_step(st)) == SQLITE_ROW && n <= READ_PLAN_KINDS_MAX) {
		if (n < READ_PLAN_KINDS_MAX)
			numbers[n] = (uint64_t)sqlite3_column_int64(st, 0);
		n++;
	}
	(void)sqlite3_finalize(st);
	return step == SQLITE_ROW || step == SQLITE_DONE ? n : tape_failed(t, e);
}
