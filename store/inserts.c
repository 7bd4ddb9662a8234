// SPDX-License-Identifier: Apache-2.0
#include "store/inserts.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "store/batch_table.h"
#include "store/common.h"
#include "store/tape.h"

/*
 * Theory of operation. One prepared statement for each table; that for exchanges takes all rows of
 * the batch at once (store/batch_table.c). First the rows that others name
 * (peers, kinds, dictionaries), then the exchanges, the blocks, and what counts them. A
 * failure takes all of it back: SQLite may have taken the transaction back by itself by then.
 */
static const char block_sql[] =
	"INSERT INTO block (id, at, bytes, raw_bytes, exchanges, dictionary, checksum)"
	" VALUES (?,?,?,?,?,?,?)";
static const char tape_sql[] =
	"UPDATE tape SET rows = rows + ?1, raw_bytes = raw_bytes + ?2, packed_bytes = packed_bytes "
	"+ ?3,"
	" first_id = iif(?1 = 0, first_id, iif(rows = 0, ?4, min(first_id, ?4))), last_id = "
	"max(last_id, ?5),"
	" moved_max = max(moved_max, ?6) WHERE id = 1";

/* the first ones in the order of enum common_table */
enum statement {
	ST_PEER,
	ST_KIND,
	ST_DICTIONARY,
	ST_ROLLUP_KEY,
	ST_EXCHANGES,
	ST_BLOCK,
	ST_CHUNK,
	ST_TAPE,
	ST_HAS,
	ST_COUNT
};

struct inserts {
	struct tape *tape;
	struct rollup_writer *counts;
	struct learned *learned;
	struct trace_writer *traces;
	const struct batch *batch; /* for ST_EXCHANGES */
	sqlite3_stmt *st[ST_COUNT];
};

static int prepare(struct inserts *n, struct err *e)
{
	AUTO_BUF exchanges = {0};
	const char *const sql[] = {
		[ST_PEER] = common_insert_sql[COMMON_PEER],
		[ST_KIND] = common_insert_sql[COMMON_KIND],
		[ST_DICTIONARY] = common_insert_sql[COMMON_DICTIONARY],
		[ST_ROLLUP_KEY] = common_insert_sql[COMMON_ROLLUP_KEY],
		[ST_EXCHANGES] = (batch_table_sql(&exchanges), buf_cstr(&exchanges)),
		[ST_BLOCK] = block_sql,
		[ST_CHUNK] = CHUNK_INSERT_SQL,
		[ST_TAPE] = tape_sql,
		[ST_HAS] = "SELECT 1 FROM exchange WHERE id = ?",
	};

	if (batch_table_register(tape_db(n->tape), &n->batch) != SQLITE_OK)
		return tape_failed(n->tape, e);
	for (size_t i = 0; i < ST_COUNT; i++) {
		n->st[i] = tape_prepare(n->tape, sql[i], e);
		if (!n->st[i])
			return tape_failed(n->tape, e);
	}
	return 0;
}

int inserts_new(struct tape *t, struct rollup_writer *counts, struct learned *learned,
		struct trace_writer *traces, struct inserts **out, struct err *e)
{
	struct inserts *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
	n->tape = t;
	n->counts = counts;
	n->learned = learned;
	n->traces = traces;
	r = prepare(n, e);
	if (r < 0)
		inserts_free(n);
	else
		*out = n;
	return r;
}

void inserts_free(struct inserts *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < ST_COUNT; i++)
		(void)sqlite3_finalize(n->st[i]);
	free(n);
}

bool inserts_has_id(struct inserts *n, uint64_t id)
{
	bool has;

	(void)sqlite3_bind_int64(n->st[ST_HAS], 1, (int64_t)id);
	has = sqlite3_step(n->st[ST_HAS]) == SQLITE_ROW;
	(void)sqlite3_reset(n->st[ST_HAS]);
	return has;
}

static int step(struct inserts *n, enum statement which, struct err *e)
{
	int r = sqlite3_step(n->st[which]) == SQLITE_DONE ? 0 : tape_failed(n->tape, e);

	(void)sqlite3_reset(n->st[which]);
	return r;
}

static int write_commons(struct inserts *n, const struct batch *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < b->common_count && r == 0; i++) {
		const struct common_row *row = &b->commons[i];
		enum statement which = (enum statement)row->table;

		common_bind(n->st[which], row->number, batch_span(b, row->key));
		r = step(n, which, e);
	}
	return r;
}

static int write_blocks(struct inserts *n, const struct batch *b, struct chunk_end *end,
			struct err *e)
{
	sqlite3_stmt *st = n->st[ST_BLOCK];
	int r = 0;

	for (size_t i = 0; i < b->block_count && r == 0; i++) {
		const struct block_info *info = &b->blocks[i];

		(void)sqlite3_bind_int64(st, 1, (int64_t)info->number);
		(void)sqlite3_bind_int64(st, 2, (int64_t)(end->at + info->at));
		(void)sqlite3_bind_int64(st, 3, (int64_t)info->bytes);
		(void)sqlite3_bind_int64(st, 4, (int64_t)info->raw_bytes);
		(void)sqlite3_bind_int64(st, 5, (int64_t)info->exchanges);
		(void)sqlite3_bind_int64(st, 6, (int64_t)info->dictionary);
		(void)sqlite3_bind_int64(st, 7, (int64_t)info->checksum);
		r = step(n, ST_BLOCK, e);
	}
	return r < 0 ? r : chunk_write(n->tape, n->st[ST_CHUNK], buf_span(&b->packed), end, e);
}

static int write_summary(struct inserts *n, const struct batch *b, struct err *e)
{
	sqlite3_stmt *st = n->st[ST_TAPE];
	uint64_t first = UINT64_MAX, last = 0, moved = 0;

	for (size_t i = 0; i < b->row_count; i++) {
		first = MIN(first, b->rows[i].id);
		last = MAX(last, b->rows[i].id);
		moved = MAX(moved, b->rows[i].moved);
	}
	(void)sqlite3_bind_int64(st, 1, (int64_t)b->row_count);
	(void)sqlite3_bind_int64(st, 2, (int64_t)batch_raw_bytes(b));
	(void)sqlite3_bind_int64(st, 3, (int64_t)b->packed.len);
	(void)sqlite3_bind_int64(st, 4, (int64_t)first);
	(void)sqlite3_bind_int64(st, 5, (int64_t)last);
	(void)sqlite3_bind_int64(st, 6, (int64_t)moved);
	return step(n, ST_TAPE, e);
}

/* Return: 0, or a negative errno: all of it is to be taken back. */
static int write_all(struct inserts *n, const struct batch *b, struct chunk_end *end, struct err *e)
{
	int r = write_commons(n, b, e);

	n->batch = b;
	if (r == 0)
		r = step(n, ST_EXCHANGES, e);
	if (r == 0)
		r = write_blocks(n, b, end, e);
	if (r == 0 && n->counts)
		r = rollup_writer_write(n->counts, b, e);
	if (r == 0 && n->learned)
		r = learned_write(n->learned, e);
	if (r == 0 && n->traces) /* before the tape's rows are counted */
		r = trace_writer_write(n->traces, b, e);
	return r == 0 ? write_summary(n, b, e) : r;
}

static void note_written(struct inserts *n)
{
	if (n->learned)
		learned_written(n->learned);
	if (n->traces)
		trace_writer_written(n->traces);
}

static void take_back(struct inserts *n)
{
	(void)sqlite3_exec(tape_db(n->tape), "ROLLBACK", NULL, NULL, NULL);
	if (n->traces)
		trace_writer_failed(n->traces);
}

int inserts_write(struct inserts *n, const struct batch *b, struct chunk_end *end, struct err *e)
{
	struct chunk_end moved = *end;
	int r = tape_run(n->tape, "BEGIN IMMEDIATE", e);

	if (r == 0)
		r = write_all(n, b, &moved, e);
	if (r == 0)
		r = tape_run(n->tape, "COMMIT", e);
	if (r < 0) {
		take_back(n);
		return r;
	}
	*end = moved;
	note_written(n);
	return 0;
}
