// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_filter.c - any text: refused with a column, or read, described, read again, judged,
 * translated, and its SQL prepared
 */
#include "lib/clock.h"
#include "schema/sql.h"
#include "store/filter.h"

#include <sqlite3.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sqlite3 *db;

#define NOW (UINT64_C(1764000000) * NS_PER_S)
#define LIT(s)                                                                                     \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

static const struct exchange sample = {
	.id = NOW,
	.start_ns = NOW,
	.status = 503,
	.outcome = OUTCOME_SERVER_ERROR,
	.anomalies = 5,
	.path = LIT("/a"),
	.target = LIT("/a?page=2&q=%c3%a9+x"),
	.host = LIT("h"),
	.request = {.flags = MESSAGE_PRESENT,
		    .head = LIT(
			    "GET /a HTTP/1.1\r\nHost: h\r\nCookie: a=b; c=d\r\nHost: i\r\n\r\n")},
	.response = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
		     .head = LIT("HTTP/1.1 503 No\r\nSet-Cookie: a=b; Path=/\r\n\r\n"),
		     .trailers = LIT("grpc-status: 0\r\n"),
		     .body = LIT(
			     "{\"a\": [1, 2.5, \"x\\u00e9\", null, {\"b\": true}], \"t\": \"7\"}")},
};

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	require(sqlite3_open(":memory:", &db) == SQLITE_OK);
	require(sql_migrate(db, NULL) == 0);
	require(filter_sql_register(db) == 0);
	return 0;
}

static struct filter *parse_or_refuse(struct span text)
{
	struct filter *f = NULL;
	struct err e = {0};

	if (filter_parse_at(text, NOW, &f, &e) == 0)
		return f;
	require(!f && e.code < 0 && strstr(e.why, "column "));
	return NULL;
}

/* SQLite's own limits (depth, columns of one result) may refuse it; its grammar may not. */
static void prepare(const struct filter_sql *sql)
{
	AUTO_BUF text = {0};
	sqlite3_stmt *st = NULL;
	int r;

	buf_add_str(&text, "SELECT exchange.id FROM " SQL_FROM " WHERE ");
	buf_add_span(&text, buf_span(&sql->where));
	r = sqlite3_prepare_v2(db, buf_cstr(&text), (int)text.len, &st, NULL);
	if (r != SQLITE_OK) {
		require(strstr(sqlite3_errmsg(db), "too ") || strstr(sqlite3_errmsg(db), "depth"));
		return;
	}
	require((size_t)sqlite3_bind_parameter_count(st) == sql->param_count);
	require((size_t)filter_sql_bind(sql, st, 1) == sql->param_count + 1);
	require(sqlite3_step(st) == SQLITE_DONE);
	(void)sqlite3_finalize(st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(filter) f = parse_or_refuse(span_of(data, size));
	AUTO_BUF once = {0};
	struct filter_sql sql;
	bool matches;

	if (!f)
		return 0;
	matches = filter_matches(f, &sample);
	filter_describe(f, &once);
	/* all brackets are written, so what was at a limit may now be behind it */
	AUTO(filter) again = size < 500 ? parse_or_refuse(buf_span(&once)) : NULL;
	if (again)
		require(filter_matches(again, &sample) == matches);
	require(filter_to_sql(f, &sql) == 0);
	require(!sql.is_exact || !filter_wants_messages(f) || sql.where.len > 0);
	prepare(&sql);
	filter_sql_fini(&sql);
	return 0;
}
