// SPDX-License-Identifier: Apache-2.0
#include "store/chunk.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>

#include "store/tape.h"

/*
 * Theory of operation. A row of SQLite that is longer than a page goes on in pages of its own, and
 * one that is a little too long for what is left of a page begins the next one: with blocks of a
 * few thousand bytes a third of the tape would be empty. How a leaf of a table is laid out is part
 * of SQLite's file format (fileformat2.html, 1.6): 8 bytes, then for each row a pointer of 2 bytes
 * and a cell: length of the record, rowid, record (header: its own size, type of the NULL that
 * stands for the rowid, type of the BLOB). Rows are appended in order of rowid, so what is left of
 * the last leaf is known from what was put there. A row is cut to fit. Where the reckoning is off
 * (the tape was opened again), a page stays partly empty, and nothing else happens.
 */
#define LEAF_ROOM  (TAPE_PAGE_BYTES - 8)
#define CHUNK_MAX  (TAPE_PAGE_BYTES - 35 - 5) /* longer records spill (1.6: U-35); 5: its header */
#define CHUNK_MIN  256			      /* less room is not worth a row */
#define CELL_EXTRA (2 + 3 + 5) /* pointer, length of the record, header of the record */

int chunk_find_end(struct tape *t, struct chunk_end *out, struct err *e)
{
	struct sqlite3_stmt *st =
		tape_prepare(t, "SELECT id + length(bytes) FROM chunk ORDER BY id DESC LIMIT 1", e);
	int step, r = 0;

	if (!st)
		return tape_failed(t, e);
	*out = (struct chunk_end){0};
	step = sqlite3_step(st);
	if (step == SQLITE_ROW)
		out->at = (uint64_t)sqlite3_column_int64(st, 0);
	else if (step != SQLITE_DONE)
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}

/* bytes of a number in SQLite's own form, seven bits a byte, highest first */
static uint32_t number_bytes(uint64_t v)
{
	uint32_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

int chunk_write(struct tape *t, struct sqlite3_stmt *insert, struct span bytes,
		struct chunk_end *end, struct err *e)
{
	while (bytes.len) {
		uint32_t extra = CELL_EXTRA + number_bytes(end->at), n;
		int r;

		if (end->room < extra + CHUNK_MIN)
			end->room = LEAF_ROOM;
		n = (uint32_t)MIN(bytes.len, (size_t)MIN(end->room - extra, CHUNK_MAX));
		(void)sqlite3_bind_int64(insert, 1, (int64_t)end->at);
		(void)sqlite3_bind_blob(insert, 2, bytes.ptr, (int)n, SQLITE_STATIC);
		r = sqlite3_step(insert) == SQLITE_DONE ? 0 : tape_failed(t, e);
		(void)sqlite3_reset(insert);
		if (r < 0)
			return r;
		end->at += n;
		end->room -= n + extra;
		bytes = span_from(bytes, n);
	}
	return 0;
}

/* The part of a row that is asked for. Return: false when it is not where it should be. */
static bool take_row(struct sqlite3_stmt *st, uint64_t at, uint64_t bytes, struct buf *out)
{
	uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
	struct span row = span_of(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
	uint64_t want = at + out->len;

	if (want < id || want - id >= row.len)
		return false;
	row = span_from(row, (size_t)(want - id));
	row.len = (size_t)MIN(row.len, bytes - out->len);
	buf_add_span(out, row);
	return true;
}

int chunk_read(struct tape *t, struct sqlite3_stmt *select, uint64_t at, uint64_t bytes,
	       struct buf *out, struct err *e)
{
	int step = SQLITE_DONE, r = 0;
	bool is_whole = true;

	buf_clear(out);
	(void)sqlite3_bind_int64(select, 1, (int64_t)at);
	(void)sqlite3_bind_int64(select, 2, (int64_t)(at + bytes));
	while (is_whole && out->len < bytes && (step = sqlite3_step(select)) == SQLITE_ROW)
		is_whole = take_row(select, at, bytes, out);
	if (is_whole && step != SQLITE_ROW && step != SQLITE_DONE)
		r = tape_failed(t, e);
	else if (out->is_failed)
		r = err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
	else if (!is_whole || out->len < bytes)
		r = err_set(e, -EBADMSG, "tape %s: damaged: chunks at %" PRIu64 " are not whole",
			    tape_path(t), at);
	(void)sqlite3_reset(select);
	return r;
}
