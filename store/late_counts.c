// SPDX-License-Identifier: Apache-2.0
#include "store/late_counts.h"

#include <errno.h>
#include <sqlite3.h>

#include "schema/sql.h"
#include "store/rollup.h"
#include "store/tape.h"

/*
 * Theory of operation. All exchanges of a peer that waits, and no others, are counted under keys that
 * name it. So of each minute of its while the entries under these keys are left out, its exchanges
 * are read and counted under new keys, whose numbers are higher than all before: their entries stand
 * at the end. What a minute counts as a whole stays as it is.
 */
enum {
	KEY_COLUMNS = 16,
	COLUMN_GROUP = 16,
	COLUMN_WEIGHT,
	COLUMN_LATENCY,
	COLUMN_REQUEST,
	COLUMN_RESPONSE
};

/* exchanges of the peer ?1 and of what it was split into, from ?4 on; began in [?2, ?3) */
#define OF_PEERS                                                                                   \
	"exchange.id >= ?2 AND exchange.id < ?3 + (SELECT moved_max FROM tape) AND"                \
	" exchange.id - exchange.moved >= ?2 AND exchange.id - exchange.moved < ?3 AND"            \
	" (exchange.src = ?1 OR exchange.src >= ?4 OR exchange.kind IN"                            \
	" (SELECT id FROM kind WHERE dst = ?1 OR dst >= ?4))"

static const char numbers_sql[] = "SELECT (SELECT ifnull(max(id), 0) + 1 FROM peer),"
				  " (SELECT ifnull(max(id), 0) + 1 FROM rollup_key)";
static const char take_failures_sql[] =
	"DELETE FROM failure WHERE src = ?1 OR kind IN (SELECT id FROM kind WHERE dst = ?1)";
static const char put_failures_sql[] =
	"INSERT INTO failure (kind, src, outcome, minute, count, first_id, last_id)"
	" SELECT kind, src, outcome, (id - moved) / 60000000000, count(*), min(id), max(id)"
	" FROM exchange WHERE " SQL_FAILED " AND " OF_PEERS " GROUP BY 1, 2, 3, 4";
static const char minutes_sql[] =
	"SELECT minute, entries FROM rollup WHERE minute BETWEEN ? AND ? ORDER BY minute";
static const char is_of_peer_sql[] =
	"SELECT 1 FROM rollup_key WHERE id = ?1 AND id < ?3 AND (src_waits = ?2 OR dst_waits = ?2)";
static const char put_minute_sql[] = "UPDATE rollup SET entries = ?2 WHERE minute = ?1";
static const char put_key_sql[] =
	"INSERT INTO rollup_key (protocol, method, route, status, outcome, reason, grpc_status,"
	" src_service, src_namespace, src_workload, dst_port, dst_service, dst_namespace,"
	" dst_workload, src_waits, dst_waits, id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
	" (SELECT max(id) + 1 FROM rollup_key))";
static const char take_keys_sql[] =
	"DELETE FROM rollup_key WHERE id < ?2 AND (src_waits = ?1 OR dst_waits = ?1)";
/* the columns of put_key_sql, the number of the group of equal ones, and what is counted */
static const char rows_sql[] =
	"SELECT * FROM (SELECT kind.protocol,"
	" kind.method, kind.route, kind.status, exchange.outcome, kind.reason,"
	" max(kind.grpc_status, 0), src.service, src.namespace, src.workload,"
	" dst.port, dst.service, dst.namespace, dst.workload,"
	" iif(src.until > 0, src.id, 0), iif(dst.until > 0, dst.id, 0),"
	" dense_rank() OVER (ORDER BY kind.protocol, kind.method, kind.route, kind.status,"
	" exchange.outcome, kind.reason, max(kind.grpc_status, 0), src.service, src.namespace,"
	" src.workload, dst.port, dst.service, dst.namespace, dst.workload,"
	" iif(src.until > 0, src.id, 0), iif(dst.until > 0, dst.id, 0)) AS number,"
	" kind.weight, exchange.latency, exchange.request_size, exchange.response_size"
	" FROM " SQL_FROM " WHERE " OF_PEERS ") ORDER BY number";

struct count {
	struct tape *tape;
	const struct late_counts *of;
	sqlite3_stmt *is_of_peer, *rows, *put_key, *put_minute;
	struct sketch latencies;
	struct rollup_entry entry; /* that is being counted; key 0: none */
	uint64_t last_key;	   /* of entries */
	struct buf entries, text;
};

int late_counts_begin(struct tape *t, struct late_counts *c, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, numbers_sql, e);
	bool is_good = st && sqlite3_step(st) == SQLITE_ROW;

	if (is_good) {
		c->first_peer = (uint64_t)sqlite3_column_int64(st, 0);
		c->first_key = (uint64_t)sqlite3_column_int64(st, 1);
	}
	(void)sqlite3_finalize(st);
	return is_good ? tape_run_with(t, take_failures_sql, &c->peer, 1, e) : tape_failed(t, e);
}

/* --- one minute --- */

static int keep_others(struct count *c, struct span old, struct err *e)
{
	struct rollup_reader in = {.rest = old};
	struct rollup_entry entry;
	int has;

	while ((has = rollup_next(&in, &entry)) > 0) {
		int step;

		(void)sqlite3_bind_int64(c->is_of_peer, 1, (int64_t)entry.key);
		(void)sqlite3_bind_int64(c->is_of_peer, 2, (int64_t)c->of->peer);
		(void)sqlite3_bind_int64(c->is_of_peer, 3, (int64_t)c->of->first_key);
		step = sqlite3_step(c->is_of_peer);
		(void)sqlite3_reset(c->is_of_peer);
		if (step == SQLITE_DONE)
			rollup_add(&c->entries, &c->last_key, &entry);
		else if (step != SQLITE_ROW)
			return tape_failed(c->tape, e);
	}
	return has < 0 ? err_set(e, has, "tape %s: damaged: counts of a minute", tape_path(c->tape))
		       : 0;
}

static void end_entry(struct count *c)
{
	if (c->entry.key == 0)
		return;
	buf_clear(&c->text);
	sketch_write(&c->latencies, &c->text);
	c->entry.sketch = buf_span(&c->text);
	rollup_add(&c->entries, &c->last_key, &c->entry);
	c->entry = (struct rollup_entry){0};
}

static int begin_entry(struct count *c, struct err *e)
{
	end_entry(c);
	for (int i = 0; i < KEY_COLUMNS; i++)
		(void)sqlite3_bind_value(c->put_key, i + 1, sqlite3_column_value(c->rows, i));
	if (sqlite3_step(c->put_key) != SQLITE_DONE) {
		(void)sqlite3_reset(c->put_key);
		return tape_failed(c->tape, e);
	}
	(void)sqlite3_reset(c->put_key);
	c->entry.key = (uint64_t)sqlite3_last_insert_rowid(tape_db(c->tape));
	sketch_clear(&c->latencies);
	return 0;
}

static void count_row(struct count *c)
{
	uint64_t weight = MAX((uint64_t)sqlite3_column_int64(c->rows, COLUMN_WEIGHT), 1);
	uint64_t latency = (uint64_t)sqlite3_column_int64(c->rows, COLUMN_LATENCY);
	uint64_t request = (uint64_t)sqlite3_column_int64(c->rows, COLUMN_REQUEST);
	uint64_t response = (uint64_t)sqlite3_column_int64(c->rows, COLUMN_RESPONSE);

	c->entry.count += weight;
	c->entry.request_bytes = rollup_sum(c->entry.request_bytes, rollup_times(request, weight));
	c->entry.response_bytes =
		rollup_sum(c->entry.response_bytes, rollup_times(response, weight));
	if (latency)
		sketch_add(&c->latencies, latency, weight);
}

static int count_rows(struct count *c, uint64_t from_ns, uint64_t until_ns, struct err *e)
{
	const uint64_t numbers[] = {c->of->peer, from_ns, until_ns, c->of->first_peer};
	int64_t group = 0;
	int step = SQLITE_ERROR, r = 0;

	for (int i = 0; i < (int)COUNT_OF(numbers); i++)
		(void)sqlite3_bind_int64(c->rows, i + 1, (int64_t)numbers[i]);
	while (r == 0 && (step = sqlite3_step(c->rows)) == SQLITE_ROW) {
		if (sqlite3_column_int64(c->rows, COLUMN_GROUP) != group)
			r = begin_entry(c, e);
		group = sqlite3_column_int64(c->rows, COLUMN_GROUP);
		count_row(c);
	}
	end_entry(c);
	(void)sqlite3_reset(c->rows);
	return r < 0 ? r : step == SQLITE_DONE ? 0 : tape_failed(c->tape, e);
}

static int count_minute(struct count *c, uint64_t minute, struct span old, struct err *e)
{
	uint64_t from = minute * ROLLUP_MINUTE_NS, until = from + ROLLUP_MINUTE_NS;
	int r;

	buf_clear(&c->entries);
	c->last_key = 0;
	r = keep_others(c, old, e);
	if (r == 0)
		r = count_rows(c, MAX(from, c->of->since_ns), MIN(until, c->of->until_ns), e);
	if (r == 0 && (c->entries.is_failed || c->text.is_failed || c->latencies.is_failed))
		r = err_set(e, -ENOMEM, "store: no memory for the counts of a minute");
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(c->put_minute, 1, (int64_t)minute);
	(void)sqlite3_bind_blob(c->put_minute, 2,
				c->entries.ptr ? (const void *)c->entries.ptr : "",
				(int)c->entries.len, SQLITE_STATIC);
	r = sqlite3_step(c->put_minute) == SQLITE_DONE ? 0 : tape_failed(c->tape, e);
	(void)sqlite3_reset(c->put_minute);
	return r;
}

/* --- all of them --- */

static int count_minutes(struct count *c, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(c->tape, minutes_sql, e);
	AUTO_BUF old = {0};
	int step = SQLITE_ERROR, r = 0;

	if (!st)
		return tape_failed(c->tape, e);
	(void)sqlite3_bind_int64(st, 1, (int64_t)(c->of->since_ns / ROLLUP_MINUTE_NS));
	(void)sqlite3_bind_int64(st, 2, (int64_t)((c->of->until_ns - 1) / ROLLUP_MINUTE_NS));
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		buf_clear(&old);
		buf_add(&old, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
		r = old.is_failed
			    ? err_set(e, -ENOMEM, "store: no memory for the counts of a minute")
			    : count_minute(c, (uint64_t)sqlite3_column_int64(st, 0), buf_span(&old),
					   e);
	}
	(void)sqlite3_finalize(st);
	return r < 0 ? r : step == SQLITE_DONE ? 0 : tape_failed(c->tape, e);
}

static int prepare(struct count *c, struct err *e)
{
	c->is_of_peer = tape_prepare(c->tape, is_of_peer_sql, e);
	c->rows = c->is_of_peer ? tape_prepare(c->tape, rows_sql, e) : NULL;
	c->put_key = c->rows ? tape_prepare(c->tape, put_key_sql, e) : NULL;
	c->put_minute = c->put_key ? tape_prepare(c->tape, put_minute_sql, e) : NULL;
	return c->put_minute ? 0 : tape_failed(c->tape, e);
}

static void finish(struct count *c)
{
	(void)sqlite3_finalize(c->is_of_peer);
	(void)sqlite3_finalize(c->rows);
	(void)sqlite3_finalize(c->put_key);
	(void)sqlite3_finalize(c->put_minute);
	sketch_fini(&c->latencies);
	buf_fini(&c->entries);
	buf_fini(&c->text);
}

int late_counts_end(struct tape *t, const struct late_counts *of, struct err *e)
{
	const uint64_t numbers[] = {of->peer, of->since_ns, of->until_ns, of->first_peer};
	const uint64_t keys[] = {of->peer, of->first_key};
	struct count c = {.tape = t, .of = of};
	int r = tape_run_with(t, put_failures_sql, numbers, 4, e);

	if (r == 0)
		r = prepare(&c, e);
	if (r == 0)
		r = count_minutes(&c, e);
	finish(&c);
	return r == 0 ? tape_run_with(t, take_keys_sql, keys, 2, e) : r;
}
