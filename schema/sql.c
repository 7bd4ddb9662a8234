// SPDX-License-Identifier: Apache-2.0
#include "schema/sql.h"

#include <errno.h>
#include <sqlite3.h>

#include "lib/buf.h"
#include "schema/exchange.h"

/*
 * Theory of operation. What many exchanges have in common (method, host, route, status, types, the
 * server) is written once, as a kind, and each exchange names its kind by a small number: a row
 * shrinks by some 60 bytes, and one index (kind, id) serves every question about a service, a
 * status, a route or a method. Who a client or a server was is a peer, likewise. A tape needs no
 * other file: its kinds, peers and dictionaries are its own.
 *
 * Each version of the schema is one step of SQL that leads from the one before it. A step, once
 * released, is never changed: a new one is appended. An empty file climbs all of them. A tape of an
 * older version is not changed: it is read as it is, through views in the reader's own memory that
 * give it the columns of today, and is written anew when it is sealed.
 */

_Static_assert(OUTCOME_SERVER_ERROR == 2 && OUTCOME_GRPC_ERROR == 3 && OUTCOME_RESET == 4 &&
		       OUTCOME_TIMEOUT == 5 && OUTCOME_NO_RESPONSE == 6 && OUTCOME_COUNT == 8,
	       "SQL_FAILED names the outcomes that are failures");

const struct column columns[FIELD_COUNT] = {
#define COLUMN(FIELD, KIND, SCOPE, sql)                                                            \
	[FIELD_##FIELD] = {sql, COLUMN_KIND_##KIND, COLUMN_SCOPE_##SCOPE},
#include "schema/columns.tbl.h"
#undef COLUMN
};

enum {
#define COLUMN(FIELD, KIND, SCOPE, sql) COLUMN_##FIELD,
#include "schema/columns.tbl.h"
#undef COLUMN
	COLUMN_COUNT
};
_Static_assert((int)COLUMN_COUNT == (int)FIELD_COUNT, "a field without a column");

/* clang-format off */
static const char *const steps[] = {
	[0] =
	"CREATE TABLE tape ("                     /* one row: what is on it, for who opens it */
	" id INTEGER PRIMARY KEY CHECK (id = 1),"
	" writer TEXT NOT NULL,"                  /* program that made it */
	" is_sealed INTEGER NOT NULL,"            /* 1: nothing is added any more, all indexes are there */
	" rows INTEGER NOT NULL,"
	" first_id INTEGER NOT NULL,"             /* lowest and highest; 0 without rows */
	" last_id INTEGER NOT NULL,"
	" moved_max INTEGER NOT NULL,"            /* highest of exchange.moved */
	" raw_bytes INTEGER NOT NULL,"            /* of messages */
	" packed_bytes INTEGER NOT NULL"
	") STRICT;"
	"INSERT INTO tape VALUES (1, 'tapeloop " TAPELOOP_VERSION "', 0, 0, 0, 0, 0, 0, 0);"
	"CREATE TABLE peer ("                     /* one end of connections */
	" id INTEGER PRIMARY KEY,"
	" ip TEXT NOT NULL,"
	" port INTEGER NOT NULL,"                 /* of a server; 0 for clients */
	" service TEXT NOT NULL,"
	" namespace TEXT NOT NULL,"
	" pod TEXT NOT NULL,"
	" workload TEXT NOT NULL,"
	" node TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE kind ("                     /* what many exchanges have in common */
	" id INTEGER PRIMARY KEY,"
	" dst INTEGER NOT NULL REFERENCES peer,"
	" protocol INTEGER NOT NULL,"
	" method TEXT NOT NULL,"
	" host TEXT NOT NULL,"
	" route TEXT NOT NULL,"
	" status INTEGER NOT NULL,"
	" reason INTEGER NOT NULL,"
	" anomalies INTEGER NOT NULL,"
	" request_type TEXT NOT NULL,"
	" response_type TEXT NOT NULL,"
	" request_flags INTEGER NOT NULL,"        /* enum message_flag, and which texts are absent */
	" response_flags INTEGER NOT NULL,"
	" request_version INTEGER NOT NULL,"
	" response_version INTEGER NOT NULL,"
	" h2_error INTEGER NOT NULL,"
	" grpc_status INTEGER NOT NULL,"          /* -1: none */
	" close_code INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE dictionary ("               /* zstd dictionaries of this tape's packs */
	" id INTEGER PRIMARY KEY,"
	" class TEXT NOT NULL,"                   /* what it was trained for: service and types */
	" bytes BLOB NOT NULL"
	") STRICT;"
	"CREATE TABLE exchange ("
	" id INTEGER PRIMARY KEY,"                /* start_ns + moved */
	" moved INTEGER NOT NULL,"
	" kind INTEGER NOT NULL REFERENCES kind,"
	" outcome INTEGER NOT NULL,"
	" src INTEGER NOT NULL REFERENCES peer,"
	" src_port INTEGER NOT NULL,"
	" connection INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL,"
	" latency INTEGER NOT NULL,"
	" path ANY NOT NULL,"                     /* TEXT; 0: the route; BLOB: the route's {} */
	" query TEXT NOT NULL,"                   /* what follows the path in the target */
	" target ANY NOT NULL,"                   /* TEXT; 0: it is path and query */
	" request_size INTEGER NOT NULL,"
	" response_size INTEGER NOT NULL,"
	" trace_id ANY NOT NULL,"                 /* TEXT; BLOB: hex digits, two a byte */
	" replay TEXT NOT NULL,"
	" stream INTEGER NOT NULL,"
	" sent INTEGER NOT NULL,"                 /* messages inside bodies or conversation, by the client */
	" received INTEGER NOT NULL,"             /* ... by the server */
	" deadline INTEGER NOT NULL,"
	" dictionary INTEGER NOT NULL,"           /* of pack; 0: none */
	" pack BLOB NOT NULL"                     /* the messages: docs/tape.md */
	") STRICT;"
	"CREATE INDEX failed ON exchange (id, kind, src, outcome) WHERE outcome IN (2,3,4,5,6);",

	[1] =
	"ALTER TABLE kind ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;" /* so many exchanges each stands for */
	"ALTER TABLE tape ADD COLUMN common_kinds TEXT NOT NULL DEFAULT '';" /* "3,17": not in index kind_id */
	"ALTER TABLE tape ADD COLUMN is_final INTEGER NOT NULL DEFAULT 0;"   /* 1: repacked and checked */
	"ALTER TABLE tape ADD COLUMN rolled INTEGER NOT NULL DEFAULT 0;"     /* rows that are counted in rollup */
	"ALTER TABLE kind ADD COLUMN error TEXT NOT NULL DEFAULT '';"        /* shape of a failure's error */
	"CREATE TABLE block ("                    /* messages of exchanges of one class, compressed as one */
	" id INTEGER PRIMARY KEY,"
	" at INTEGER NOT NULL,"                   /* where it begins in what the chunks hold together */
	" bytes INTEGER NOT NULL,"                /* how long it is there */
	" raw_bytes INTEGER NOT NULL,"            /* before compression; as bytes: it is not compressed */
	" exchanges INTEGER NOT NULL,"
	" dictionary INTEGER NOT NULL,"           /* 0: none */
	" checksum INTEGER NOT NULL"              /* XXH3, 64 bits, of its bytes in the chunks */
	") STRICT;"
	"CREATE TABLE chunk ("                    /* the blocks, one behind the other, cut to fill pages */
	" id INTEGER PRIMARY KEY,"                /* where its bytes begin */
	" bytes BLOB NOT NULL"
	") STRICT;"
	"DROP TABLE exchange;"
	"CREATE TABLE exchange ("
	" id INTEGER PRIMARY KEY,"                /* start_ns + moved */
	" moved INTEGER NOT NULL,"
	" kind INTEGER NOT NULL REFERENCES kind,"
	" outcome INTEGER NOT NULL,"
	" src INTEGER NOT NULL REFERENCES peer,"
	" src_port INTEGER NOT NULL,"
	" age INTEGER NOT NULL,"                  /* of its connection: id - age is the connection's number */
	" sequence INTEGER NOT NULL,"
	" latency INTEGER NOT NULL,"
	" path ANY NOT NULL,"                     /* TEXT; 0: the route; BLOB: the route's {} */
	" query TEXT NOT NULL,"                   /* what follows the path in the target */
	" target ANY NOT NULL,"                   /* TEXT; 0: it is path and query */
	" request_size INTEGER NOT NULL,"
	" response_size INTEGER NOT NULL,"
	" trace_id ANY NOT NULL,"                 /* TEXT; BLOB: hex digits, two a byte */
	" replay TEXT NOT NULL,"
	" stream INTEGER NOT NULL,"
	" sent INTEGER NOT NULL,"                 /* messages inside bodies or conversation, by the client */
	" received INTEGER NOT NULL,"             /* ... by the server */
	" deadline INTEGER NOT NULL,"
	" times ANY NOT NULL,"                    /* of the messages: docs/tape.md */
	" place INTEGER NOT NULL"                 /* of the messages: number of the block * 256 + place in it */
	") STRICT;"
	"CREATE INDEX failed ON exchange (id, kind, src, outcome) WHERE outcome IN (2,3,4,5,6);"
	"CREATE TABLE rollup_key ("               /* what is counted together: fields of exchanges */
	" id INTEGER PRIMARY KEY,"
	" protocol INTEGER NOT NULL,"
	" method TEXT NOT NULL,"
	" route TEXT NOT NULL,"
	" status INTEGER NOT NULL,"
	" outcome INTEGER NOT NULL,"
	" reason INTEGER NOT NULL,"
	" grpc_status INTEGER NOT NULL,"          /* 0: also where there is none */
	" src_service TEXT NOT NULL,"
	" src_namespace TEXT NOT NULL,"
	" src_workload TEXT NOT NULL,"
	" dst_port INTEGER NOT NULL,"
	" dst_service TEXT NOT NULL,"
	" dst_namespace TEXT NOT NULL,"
	" dst_workload TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE rollup ("                   /* counts of a minute */
	" minute INTEGER PRIMARY KEY,"            /* since 1970 */
	" recorded INTEGER NOT NULL,"             /* exchanges on the tape */
	" count INTEGER NOT NULL,"                /* ... that they stand for: sums of kind.weight */
	" failed INTEGER NOT NULL,"
	" request_bytes INTEGER NOT NULL,"        /* of bodies */
	" response_bytes INTEGER NOT NULL,"
	" entries BLOB NOT NULL"                  /* by rollup_key, with latencies: docs/tape.md */
	") STRICT;"
	"CREATE TABLE failure ("                  /* counts of failures, by minute */
	" kind INTEGER NOT NULL REFERENCES kind,"
	" src INTEGER NOT NULL REFERENCES peer,"
	" outcome INTEGER NOT NULL,"
	" minute INTEGER NOT NULL,"
	" count INTEGER NOT NULL,"
	" first_id INTEGER NOT NULL,"
	" last_id INTEGER NOT NULL,"
	" PRIMARY KEY (kind, src, outcome, minute)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE route_rule ("               /* positions of paths that were learned to vary */
	" id INTEGER PRIMARY KEY,"                /* in order of learning */
	" server TEXT NOT NULL,"                  /* whose paths */
	" prefix TEXT NOT NULL"                   /* the segment behind it is {} */
	") STRICT;",

	[2] =
	"ALTER TABLE peer ADD COLUMN workload_kind TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE peer ADD COLUMN container TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE peer ADD COLUMN pod_uid TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE peer ADD COLUMN labels TEXT NOT NULL DEFAULT '';"       /* JSON object of texts, or '' */
	"ALTER TABLE peer ADD COLUMN annotations TEXT NOT NULL DEFAULT '';"  /* likewise: the chosen ones */
	"ALTER TABLE peer ADD COLUMN source INTEGER NOT NULL DEFAULT 0;"     /* enum identity_source */
	"ALTER TABLE peer ADD COLUMN certainty INTEGER NOT NULL DEFAULT 0;"  /* enum identity_certainty */
	"ALTER TABLE peer ADD COLUMN since INTEGER NOT NULL DEFAULT 0;"      /* ns: a name is still expected ... */
	"ALTER TABLE peer ADD COLUMN until INTEGER NOT NULL DEFAULT 0;"      /* ... for [since, until); 0: no more */
	"ALTER TABLE exchange ADD COLUMN dst_latency INTEGER NOT NULL DEFAULT 0;" /* ns, at the server's end; 0: not seen there */
	"DROP INDEX failed;"                      /* a list in an index's condition is made anew for each row */
	"CREATE INDEX failed ON exchange (id, kind, src, outcome) WHERE outcome >= 2 AND outcome <= 6;",

	[3] =
	"ALTER TABLE exchange ADD COLUMN wire INTEGER NOT NULL DEFAULT 0;"   /* equal in both views of one that another node may have, too */
	"ALTER TABLE rollup_key ADD COLUMN src_waits INTEGER NOT NULL DEFAULT 0;" /* the peer that lends its names: they may still change; 0: no more */
	"ALTER TABLE rollup_key ADD COLUMN dst_waits INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tape ADD COLUMN named INTEGER NOT NULL DEFAULT 0;",     /* times that a peer got its names later */
};
/* clang-format on */
_Static_assert(COUNT_OF(steps) == SQL_VERSION, "a version is a step");

static const char trace_index_sql[] =
	"CREATE INDEX IF NOT EXISTS trace ON exchange (substr(trace_id, 1, 4))"
	" WHERE trace_id <> '';";

/* What each older version lacks that the next one has; a view that an older one's row made stays. */
static const char *const view_sql[] = {
	[1] = "CREATE TEMP VIEW tape AS SELECT *, '' AS common_kinds, 0 AS is_final, 0 AS rolled,"
	      " 0 AS named FROM main.tape;"
	      "CREATE TEMP VIEW kind AS SELECT *, 1 AS weight, '' AS error FROM main.kind;"
	      "CREATE TEMP VIEW exchange AS SELECT id, moved, kind, outcome, src, src_port,"
	      " id - connection AS age, sequence, latency, path, query, target, request_size,"
	      " response_size, trace_id, replay, stream, sent, received, deadline, pack AS times,"
	      " -dictionary AS place, 0 AS dst_latency, 0 AS wire FROM main.exchange;",
	[2] = "CREATE TEMP VIEW peer AS SELECT *, '' AS workload_kind, '' AS container, '' AS "
	      "pod_uid,"
	      " '' AS labels, '' AS annotations, 0 AS source, 0 AS certainty, 0 AS since, 0 AS "
	      "until"
	      " FROM main.peer;"
	      "CREATE TEMP VIEW IF NOT EXISTS exchange AS SELECT *, 0 AS dst_latency, 0 AS wire"
	      " FROM main.exchange;",
	[3] = "CREATE TEMP VIEW IF NOT EXISTS tape AS SELECT *, 0 AS named FROM main.tape;"
	      "CREATE TEMP VIEW IF NOT EXISTS exchange AS SELECT *, 0 AS wire FROM main.exchange;",
};
_Static_assert(COUNT_OF(view_sql) == SQL_VERSION, "each older version has a row");

/* SQLite's result codes as errno; what is not here is -EIO. */
static const struct {
	int code, error;
} errors[] = {
	{SQLITE_NOTADB, -EBADMSG}, {SQLITE_CORRUPT, -EBADMSG},	   {SQLITE_ERROR, -EBADMSG},
	{SQLITE_TOOBIG, -EBADMSG}, {SQLITE_MISMATCH, -EBADMSG},	   {SQLITE_FULL, -ENOSPC},
	{SQLITE_BUSY, -EBUSY},	   {SQLITE_LOCKED, -EBUSY},	   {SQLITE_NOMEM, -ENOMEM},
	{SQLITE_READONLY, -EROFS}, {SQLITE_CANTOPEN, -EACCES},	   {SQLITE_PERM, -EACCES},
	{SQLITE_AUTH, -EACCES},	   {SQLITE_INTERRUPT, -ETIMEDOUT},
};

int sql_error(struct sqlite3 *db, struct err *e)
{
	int code = sqlite3_errcode(db) & 0xff, error = -EIO;

	for (size_t i = 0; i < COUNT_OF(errors); i++)
		if (errors[i].code == code)
			error = errors[i].error;
	if (error == -EIO && sqlite3_system_errno(db) == ENOSPC)
		error = -ENOSPC;
	return err_set(e, error, "%s", sqlite3_errmsg(db));
}

static int run(sqlite3 *db, const char *sql, struct err *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(db, e);
}

/* In one statement, which sees one moment: a tape may just be being made. */
static const char version_sql[] = "SELECT user_version, (SELECT application_id FROM"
				  " pragma_application_id), (SELECT count(*) FROM sqlite_schema)"
				  " FROM pragma_user_version";

/* Return: the version, 0 for an empty database. */
static int read_version(sqlite3 *db, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int version = 0, application = 0, tables = 0, r = 0;

	if (sqlite3_prepare_v2(db, version_sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		r = sql_error(db, e);
	} else {
		version = sqlite3_column_int(st, 0);
		application = sqlite3_column_int(st, 1);
		tables = sqlite3_column_int(st, 2);
	}
	(void)sqlite3_finalize(st);
	if (r < 0 || (tables == 0 && version == 0))
		return r;
	if (application != SQL_APPLICATION_ID || version < 1)
		return err_set(e, -EBADMSG, "an SQLite file, but not a tape");
	if (version > SQL_VERSION)
		return err_set(
			e, -EPROTONOSUPPORT,
			"written by a newer tapeloop: schema %d, this program knows up to %d",
			version, SQL_VERSION);
	return version;
}

int sql_check_version(struct sqlite3 *db, struct err *e)
{
	int version = read_version(db, e);

	return version == 0 ? err_set(e, -ENOENT, "empty, no tape yet") : version;
}

static int climb(sqlite3 *db, struct err *e)
{
	char pragma[96];
	int r = 0;

	for (size_t v = 0; v < SQL_VERSION && r == 0; v++)
		r = run(db, steps[v], e);
	if (r < 0)
		return r;
	(void)sqlite3_snprintf((int)sizeof(pragma), pragma,
			       "PRAGMA user_version = %d; PRAGMA application_id = %d", SQL_VERSION,
			       SQL_APPLICATION_ID);
	return run(db, pragma, e);
}

int sql_migrate(struct sqlite3 *db, struct err *e)
{
	int version = read_version(db, e);
	int r;

	if (version < 0 || version == SQL_VERSION)
		return MIN(version, 0);
	if (version > 0)
		return err_set(e, -ESTALE,
			       "written by an older tapeloop: schema %d is read, not added to",
			       version);
	r = run(db, "BEGIN IMMEDIATE", e);
	if (r < 0)
		return r;
	r = climb(db, e);
	if (r == 0)
		r = run(db, "COMMIT", e);
	if (r < 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int sql_view_older(struct sqlite3 *db, int version, struct err *e)
{
	int r = 0;

	for (int v = version; v < SQL_VERSION && r == 0; v++)
		r = run(db, view_sql[v], e);
	return r;
}

/*
 * Not NOT IN: in the condition of an index SQLite makes the list anew for each row, which costs more
 * than the rest of the index.
 */
static void put_uncommon(const char *common_kinds, const char *first, const char *next,
			 struct buf *sql)
{
	for (const char *at = common_kinds, *join = first; *at; join = next) {
		size_t digits = strcspn(at, ",");

		buf_add_fmt(sql, "%s <> %.*s", join, (int)digits, at);
		at += digits + (at[digits] == ',');
	}
}

void sql_uncommon(const char *common_kinds, struct buf *sql)
{
	put_uncommon(common_kinds, " AND exchange.kind", " AND exchange.kind", sql);
	if (*common_kinds) /* as in the index of tapes of before */
		buf_add_fmt(sql, " AND exchange.kind NOT IN (%s)", common_kinds);
}

int sql_index(struct sqlite3 *db, const char *common_kinds, struct err *e)
{
	AUTO_BUF sql = {0};
	int r;

	buf_add_str(&sql, "CREATE INDEX IF NOT EXISTS kind_id ON exchange (kind)");
	put_uncommon(common_kinds, " WHERE kind", " AND kind", &sql);
	r = run(db, buf_cstr(&sql), e);
	return r == 0 ? run(db, trace_index_sql, e) : r;
}

/* value of a lower-case hex digit, or 16 */
static unsigned hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

size_t sql_trace_pack(struct span text, uint8_t out[SQL_TRACE_BYTES])
{
	uint8_t packed[SQL_TRACE_BYTES];

	if (text.len != 2 * SQL_TRACE_BYTES && text.len != SQL_TRACE_BYTES)
		return 0;
	for (size_t i = 0; i < text.len / 2; i++) {
		unsigned high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);

		if (high > 15 || low > 15)
			return 0;
		packed[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, packed, text.len / 2);
	return text.len / 2;
}
