// SPDX-License-Identifier: Apache-2.0
#include "store/batch_table.h"

#include <sqlite3.h>
#include <stdlib.h>

/*
 * Theory of operation. A statement for each row binds 24 parameters, opens the table and its index,
 * looks for the end of the tree, and closes everything again: twice the cost of the row itself. So
 * the batch is a virtual table (sqlite.org/vtab.html), an eponymous one that needs no CREATE, and
 * one INSERT ... SELECT takes all rows from it with its cursors at the end of the trees.
 *
 * OR ROLLBACK: the whole transaction is taken back on failure anyway, and otherwise SQLite would
 * keep a copy of every page it touches to take back the statement alone.
 */
enum how { U64, I64, U32, U16, U8, AGE, PATH, TARGET, TEXT, TRACE, TIMES };

/* one for each column of the table exchange */
static const struct column {
	const char *name;
	uint8_t how;
	size_t at; /* in struct row */
} columns_of_batch[] = {
	{"id", U64, offsetof(struct row, id)},
	{"moved", U64, offsetof(struct row, moved)},
	{"kind", U64, offsetof(struct row, kind)},
	{"outcome", U8, offsetof(struct row, outcome)},
	{"src", U64, offsetof(struct row, src)},
	{"src_port", U16, offsetof(struct row, src_port)},
	{"age", AGE, 0},
	{"sequence", U32, offsetof(struct row, sequence)},
	{"latency", U64, offsetof(struct row, latency_ns)},
	{"path", PATH, offsetof(struct row, path)},
	{"query", TEXT, offsetof(struct row, query)},
	{"target", TARGET, offsetof(struct row, target)},
	{"request_size", U64, offsetof(struct row, request_bytes)},
	{"response_size", U64, offsetof(struct row, response_bytes)},
	{"trace_id", TRACE, offsetof(struct row, trace)},
	{"replay", TEXT, offsetof(struct row, replay)},
	{"stream", U32, offsetof(struct row, stream)},
	{"sent", U64, offsetof(struct row, sent)},
	{"received", U64, offsetof(struct row, received)},
	{"deadline", U64, offsetof(struct row, deadline_ns)},
	{"times", TIMES, offsetof(struct row, times)},
	{"place", I64, offsetof(struct row, place)},
	{"dst_latency", U64, offsetof(struct row, dst_latency_ns)},
	{"wire", U64, offsetof(struct row, wire)},
};

struct table {
	sqlite3_vtab base;
	const struct batch *const *b_at;
};

struct cursor {
	sqlite3_vtab_cursor base;
	const struct batch *batch;
	size_t at;
};

static void add_names(struct buf *out)
{
	for (size_t i = 0; i < COUNT_OF(columns_of_batch); i++) {
		buf_add_str(out, i ? ", " : "");
		buf_add_str(out, columns_of_batch[i].name);
	}
}

void batch_table_sql(struct buf *out)
{
	buf_add_str(out, "INSERT OR ROLLBACK INTO exchange (");
	add_names(out);
	buf_add_str(out, ") SELECT * FROM batch");
}

static int connect(sqlite3 *db, void *b_at, int argc, const char *const *argv, sqlite3_vtab **out,
		   char **why)
{
	AUTO_BUF sql = {0};
	struct table *t;
	int r;

	(void)argc, (void)argv, (void)why;
	buf_add_str(&sql, "CREATE TABLE batch (");
	add_names(&sql);
	buf_add_char(&sql, ')');
	r = sqlite3_declare_vtab(db, buf_cstr(&sql));
	t = r == SQLITE_OK ? calloc(1, sizeof(*t)) : NULL;
	if (!t)
		return r == SQLITE_OK ? SQLITE_NOMEM : r;
	t->b_at = b_at;
	*out = &t->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *base)
{
	free(CONTAINER_OF(base, struct table, base));
	return SQLITE_OK;
}

/* There is one way to read it: from the first row to the last. */
static int plan(sqlite3_vtab *base, sqlite3_index_info *info)
{
	(void)base;
	info->estimatedCost = 1e6;
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
	struct cursor *c = calloc(1, sizeof(*c));

	(void)base;
	if (!c)
		return SQLITE_NOMEM;
	*out = &c->base;
	return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	free(CONTAINER_OF(base, struct cursor, base));
	return SQLITE_OK;
}

static int rewind_cursor(sqlite3_vtab_cursor *base, int number, const char *text, int argc,
			 sqlite3_value **argv)
{
	struct cursor *c = CONTAINER_OF(base, struct cursor, base);

	(void)number, (void)text, (void)argc, (void)argv;
	c->batch = *CONTAINER_OF(base->pVtab, struct table, base)->b_at;
	c->at = 0;
	return SQLITE_OK;
}

static int next_row(sqlite3_vtab_cursor *base)
{
	CONTAINER_OF(base, struct cursor, base)->at++;
	return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *base)
{
	const struct cursor *c = CONTAINER_OF(base, struct cursor, base);

	return !c->batch || c->at >= c->batch->row_count;
}

static int row_number(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
	*out = (sqlite3_int64)CONTAINER_OF(base, struct cursor, base)->at;
	return SQLITE_OK;
}

/* --- a value --- */

static void give_text(sqlite3_context *to, const struct batch *b, const struct piece *p)
{
	sqlite3_result_text(to, p->len ? (const char *)b->bytes.ptr + p->at : "", (int)p->len,
			    SQLITE_STATIC);
}

static void give_blob(sqlite3_context *to, const struct batch *b, const struct piece *p)
{
	sqlite3_result_blob(to, p->len ? (const void *)(b->bytes.ptr + p->at) : "", (int)p->len,
			    SQLITE_STATIC);
}

/* Texts, which are 0 where another column says it, and BLOBs where that is shorter. */
static void give_piece(sqlite3_context *to, const struct batch *b, const struct row *row, int how,
		       const struct piece *p)
{
	bool is_zero = (how == PATH && row->is_path_route) || (how == TARGET && !row->has_target) ||
		       (how == TIMES && p->len == 0);
	bool is_blob = (how == PATH && row->is_path_part) ||
		       (how == TRACE && row->is_trace_packed) || how == TIMES;

	if (is_zero)
		sqlite3_result_int(to, 0);
	else if (is_blob)
		give_blob(to, b, p);
	else
		give_text(to, b, p);
}

static int give_value(sqlite3_vtab_cursor *base, sqlite3_context *to, int at)
{
	const struct cursor *c = CONTAINER_OF(base, struct cursor, base);
	const struct row *row = &c->batch->rows[c->at];
	const void *field = (const uint8_t *)row + columns_of_batch[at].at;

	switch ((enum how)columns_of_batch[at].how) {
	case U64:
	case I64: sqlite3_result_int64(to, *(const int64_t *)field); break;
	case U32: sqlite3_result_int64(to, *(const uint32_t *)field); break;
	case U16: sqlite3_result_int(to, *(const uint16_t *)field); break;
	case U8: sqlite3_result_int(to, *(const uint8_t *)field); break;
	case AGE: sqlite3_result_int64(to, (int64_t)(row->id - row->connection)); break;
	case PATH:
	case TARGET:
	case TEXT:
	case TRACE:
	case TIMES: give_piece(to, c->batch, row, columns_of_batch[at].how, field); break;
	}
	return SQLITE_OK;
}

static const sqlite3_module module = {
	.xConnect = connect,
	.xBestIndex = plan,
	.xDisconnect = disconnect,
	.xOpen = open_cursor,
	.xClose = close_cursor,
	.xFilter = rewind_cursor,
	.xNext = next_row,
	.xEof = is_at_end,
	.xColumn = give_value,
	.xRowid = row_number,
};

int batch_table_register(struct sqlite3 *db, const struct batch *const *b_at)
{
	return sqlite3_create_module(db, "batch", &module, (void *)(uintptr_t)b_at);
}
