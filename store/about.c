// SPDX-License-Identifier: Apache-2.0
#include "store/about.h"

#include <sqlite3.h>

#include "store/tape.h"

/*
 * Theory of operation. Table about of the tape, a name and a text a row. It is written when the
 * tape is whole, in one transaction, and the tape is one file again behind it. It is made here and
 * not with the tape's other tables, so that tapes that say nothing, nearly all, have no page for it.
 */
static const char create_sql[] = "CREATE TABLE IF NOT EXISTS about ("
				 " name TEXT PRIMARY KEY," /* note, made, by, from, filter ... */
				 " value TEXT NOT NULL"
				 ") STRICT";
static const char insert_sql[] = "INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)";

static int write_row(struct tape *t, sqlite3_stmt *st, const struct about *row, struct err *e)
{
	int r = 0;

	(void)sqlite3_bind_text(st, 1, row->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 2, (const char *)row->value.ptr, (int)row->value.len,
				SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		r = tape_failed(t, e);
	(void)sqlite3_reset(st);
	return r;
}

static int write_rows(struct tape *t, const struct about *rows, size_t count, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int r = tape_run(t, "BEGIN IMMEDIATE", e);

	if (r == 0)
		r = tape_run(t, create_sql, e);
	if (r == 0 && !(st = tape_prepare(t, insert_sql, e)))
		r = tape_failed(t, e);
	for (size_t i = 0; i < count && r == 0; i++)
		r = write_row(t, st, &rows[i], e);
	(void)sqlite3_finalize(st);
	return r == 0 ? tape_run(t, "COMMIT", e) : r;
}

int about_write(const char *path, const struct about *rows, size_t count, struct err *e)
{
	AUTO(tape) t = NULL;
	int r = tape_open(path, TAPE_APPEND, &t, e);

	if (r == 0)
		r = write_rows(t, rows, count, e);
	return r < 0 ? r : tape_make_portable(t, e);
}

static bool has_table(struct tape *t)
{
	sqlite3_stmt *st =
		tape_prepare(t, "SELECT 1 FROM sqlite_schema WHERE name = 'about'", NULL);
	bool yes = st && sqlite3_step(st) == SQLITE_ROW;

	(void)sqlite3_finalize(st);
	return yes;
}

int about_read(const char *path, void (*fn)(void *ctx, const struct about *row), void *ctx,
	       struct err *e)
{
	AUTO(tape) t = NULL;
	sqlite3_stmt *st;
	int step, r = tape_open(path, TAPE_READ, &t, e);

	if (r < 0 || !has_table(t))
		return r;
	st = tape_prepare(t, "SELECT name, value FROM about ORDER BY rowid", e);
	if (!st)
		return tape_failed(t, e);
	while ((step = sqlite3_step(st)) == SQLITE_ROW)
		fn(ctx, &(struct about){
				.name = (const char *)sqlite3_column_text(st, 0),
				.value = span_of(sqlite3_column_text(st, 1),
						 (size_t)sqlite3_column_bytes(st, 1)),
			});
	r = step == SQLITE_DONE ? 0 : tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}
