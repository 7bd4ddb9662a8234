// SPDX-License-Identifier: Apache-2.0
/*
 * sql.h - the tables of a tape, their versions, and what an SQL expression over them may name
 *
 * For whoever writes conditions (store/filter.c): the columns are in schema/columns.tbl.h; a
 * condition may name everything that SQL_FROM makes known. It is run twice: first over the kinds
 * alone, with NULL for all that is not known of a kind (columns of exchange and src), to find the
 * kinds that may match, then over the exchanges. So it must follow SQL's three-valued logic: use
 * comparisons, IN, AND, OR, NOT, LIKE, functions that give NULL for NULL; not IS, coalesce or CASE.
 * On a tape no column is NULL.
 *
 * failed() is SQL_FAILED, word for word and as a term of AND: only then does its index serve.
 * failed("reset") is SQL_FAILED AND exchange.outcome = 4.
 */
#pragma once

#include "lib/err.h"
#include "schema/fields.h"

struct buf;
struct sqlite3;

#define SQL_VERSION	   4	      /* PRAGMA user_version of a tape written by this program */
#define SQL_APPLICATION_ID 0x74617065 /* "tape", PRAGMA application_id */

/* the second half is the condition of the index on tapes of before; it serves there word for word */
#define SQL_FAILED                                                                                 \
	"exchange.outcome >= 2 AND exchange.outcome <= 6 AND exchange.outcome IN (2,3,4,5,6)"
/*
 * INTEGER 0: the path is the route, as where nothing varies; BLOB: what stands for the route's only
 * {}; TEXT: the path
 */
#define SQL_PATH                                                                                   \
	"CASE typeof(exchange.path) WHEN 'integer' THEN kind.route WHEN 'blob' THEN"               \
	" replace(kind.route, '{}', CAST(exchange.path AS TEXT)) ELSE exchange.path END"
/* 0: the target is the path and what follows it */
#define SQL_TARGET "iif(exchange.target = 0, (" SQL_PATH ") || exchange.query, exchange.target)"
/* 32 or 16 lower-case hex digits are kept as half as many bytes */
#define SQL_TRACE                                                                                  \
	"iif(typeof(exchange.trace_id) = 'blob', lower(hex(exchange.trace_id)), "                  \
	"exchange.trace_id)"
/*
 * Equality with a trace id that is not empty. Two parameters, both the same value, which
 * sql_trace_pack() made of the text: BLOB when it says so, else TEXT.
 */
#define SQL_TRACE_EQUALS                                                                           \
	"(exchange.trace_id <> '' AND substr(exchange.trace_id, 1, 4) = substr(?, 1, 4) AND "      \
	"exchange.trace_id = ?)"
/*
 * /service/method, by bytes as in memory. Two slashes behind the path see to it that there is
 * always one to find, and that no blob on the way is empty: substr() makes NULL of those.
 */
#define SQL_PATH_REST  "substr(CAST((" SQL_PATH ") || '//' AS BLOB), 2)"
#define SQL_PATH_SLASH "instr(" SQL_PATH_REST ", CAST('/' AS BLOB))"
#define SQL_GRPC_SERVICE                                                                           \
	"iif(kind.protocol = 3, CAST(substr(" SQL_PATH_REST ", 1, " SQL_PATH_SLASH                 \
	" - 1) AS TEXT), '')"
#define SQL_GRPC_METHOD                                                                            \
	"iif(kind.protocol = 3, CAST(substr(" SQL_PATH_REST ", 1 + " SQL_PATH_SLASH                \
	", max(length(" SQL_PATH_REST ") - " SQL_PATH_SLASH " - 2, 0)) AS TEXT), '')"
#define SQL_FROM                                                                                   \
	"exchange CROSS JOIN kind ON kind.id = exchange.kind"                                      \
	" CROSS JOIN peer AS dst ON dst.id = kind.dst"                                             \
	" CROSS JOIN peer AS src ON src.id = exchange.src"

/* How schema/columns.tbl.h's KIND and SCOPE look in C. */
enum column_kind {
	COLUMN_KIND_TEXT,
	COLUMN_KIND_TRACE,
	COLUMN_KIND_ADDRESS,
	COLUMN_KIND_INT,
	COLUMN_KIND_NUMBER,
	COLUMN_KIND_FLAGS,
};
enum column_scope { COLUMN_SCOPE_EXCHANGE, COLUMN_SCOPE_KIND, COLUMN_SCOPE_SRC };
struct column {
	const char *sql;
	uint8_t kind;  /* enum column_kind */
	uint8_t scope; /* enum column_scope */
};
extern const struct column columns[FIELD_COUNT]; /* by enum field */

#define SQL_TRACE_BYTES 16
/**
 * sql_trace_pack() - a trace id as the column keeps it: 32 or 16 lower-case hex digits as 16 or 8
 * bytes
 * @out: filled in when the text is such
 *
 * Return: how many bytes of @out to bind as BLOB; 0: bind the text as TEXT.
 */
size_t sql_trace_pack(struct span text, uint8_t out[SQL_TRACE_BYTES]);

/* sql_error() - SQLite's last complaint as ours. Return: a negative errno, also in @e. */
int sql_error(struct sqlite3 *db, struct err *e);
/**
 * sql_migrate() - make the tables in an empty database; in one transaction
 * @e: -EPROTONOSUPPORT made by a newer version; -ESTALE made by an older one, which is read and not
 *     added to; -EBADMSG no tape, or damaged (nothing changed in any of these)
 */
int sql_migrate(struct sqlite3 *db, struct err *e) MUST_USE;
/*
 * sql_check_version() - may this program read it? Return: its version > 0; -ENOENT empty: its
 * writer is about to make the tables; others as sql_migrate()
 */
int sql_check_version(struct sqlite3 *db, struct err *e) MUST_USE;
/*
 * sql_view_older() - give a tape of an older version today's columns, in this connection alone.
 * exchange.place is then 0 or less: exchange.times is the pack, made with dictionary -place.
 */
int sql_view_older(struct sqlite3 *db, int version, struct err *e) MUST_USE;
/*
 * sql_index() - the indexes that a tape gets when it is sealed
 * @common_kinds: "3,17", kinds of so many exchanges that an index of theirs would not help; may be
 * ""
 */
int sql_index(struct sqlite3 *db, const char *common_kinds, struct err *e) MUST_USE;
/* sql_uncommon() - append " AND exchange.kind ..." terms with which that index of kinds serves */
void sql_uncommon(const char *common_kinds, struct buf *sql);
