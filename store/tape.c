// SPDX-License-Identifier: Apache-2.0
#include "store/tape.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/sql.h"
#include "store/rollup_digest.h"
#include "store/trace_run.h"

/*
 * Theory of operation. The tape that is written has a write-ahead log, so readers in other threads
 * and processes see what is committed and never wait. synchronous=NORMAL: a commit is a write()
 * without fsync, which kill -9 cannot undo; what a power cut may cost is in docs/tape.md.
 *
 * A sealed tape has no log: its journal mode is DELETE, and it is one file that can be copied. A
 * tape with a log in a directory that cannot be written (SQLite would have to make the -shm file)
 * is opened as immutable: then nobody else writes it either, as far as we can tell.
 *
 * A tape may come from anywhere. It is opened defensively: its schema may call no function that
 * has effects, views and triggers are off, cells are checked, and lengths are limited.
 */
#define LENGTH_MAX (320 << 20) /* of a value [bytes]: PACK_RAW_MAX and some */
#define BUSY_MS	   2000

static const char append_pragmas[] =
	"PRAGMA page_size = 16384; PRAGMA encoding = 'UTF-8'; PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = OFF;"
	"PRAGMA cache_size = -3072; PRAGMA trusted_schema = OFF";
/* the journal in memory lets a batch that finds the disk full be taken back */
static const char bulk_pragmas[] =
	"PRAGMA page_size = 16384; PRAGMA encoding = 'UTF-8'; PRAGMA journal_mode = MEMORY;"
	"PRAGMA synchronous = OFF; PRAGMA secure_delete = OFF; PRAGMA locking_mode = EXCLUSIVE;"
	"PRAGMA cache_size = -3072; PRAGMA trusted_schema = OFF";
static const char read_pragmas[] = "PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;"
				   "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0";

struct tape {
	sqlite3 *db;
	char *path;
	enum tape_mode mode;
	int version;
};

/*
 * SQLite counts every byte it allocates, under one lock for all threads, for functions that nobody
 * here calls: a sixth of an insert's cost. This can be switched off before its first use only.
 */
__attribute__((constructor)) static void count_no_memory(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct sqlite3 *tape_db(const struct tape *t)
{
	return t->db;
}

const char *tape_path(const struct tape *t)
{
	return t->path;
}

bool tape_is_bulk(const struct tape *t)
{
	return t->mode == TAPE_BULK;
}

int tape_version(const struct tape *t)
{
	return t->version;
}

int tape_failed(const struct tape *t, struct err *e)
{
	struct err why = {0};
	int r = sql_error(t->db, &why);

	return err_set(e, r, "tape %s: %s", t->path, why.why);
}

int tape_run(struct tape *t, const char *sql, struct err *e)
{
	return sqlite3_exec(t->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : tape_failed(t, e);
}

struct sqlite3_stmt *tape_prepare(struct tape *t, const char *sql, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v3(t->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) == SQLITE_OK)
		return st;
	(void)tape_failed(t, e);
	return NULL;
}

int tape_run_with(struct tape *t, const char *sql, const uint64_t *numbers, int count,
		  struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, sql, e);
	int step;

	for (int i = 0; st && i < count; i++)
		(void)sqlite3_bind_int64(st, i + 1, (int64_t)numbers[i]);
	step = st ? sqlite3_step(st) : SQLITE_ERROR;
	(void)sqlite3_finalize(st);
	return step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

static void harden(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_busy_timeout(db, BUSY_MS);
}

/* SQLite's URI form of a path: what has a meaning there is escaped. */
static char *uri_of(const char *path, const char *query)
{
	size_t n = strlen(path);
	char *uri = malloc(3 * n + strlen(query) + 8), *to = uri;

	if (!uri)
		return NULL;
	to += sprintf(to, "file:");
	for (size_t i = 0; i < n; i++)
		if (strchr("?#%", path[i]))
			to += sprintf(to, "%%%02X", (unsigned)(uint8_t)path[i]);
		else
			*to++ = path[i];
	(void)sprintf(to, "%s", query);
	return uri;
}

static int open_database(struct tape *t, const char *query, int flags, struct err *e)
{
	char *uri = uri_of(t->path, query);
	int r;

	if (!uri)
		return err_set(e, -ENOMEM, "tape %s: out of memory", t->path);
	(void)sqlite3_close(t->db);
	r = sqlite3_open_v2(
		uri, &t->db,
		flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	free(uri);
	if (!t->db)
		return err_set(e, -ENOMEM, "tape %s: out of memory", t->path);
	(void)sqlite3_extended_result_codes(t->db, 0);
	if (r != SQLITE_OK)
		return tape_failed(t, e);
	harden(t->db);
	return 0;
}

static int check_version(struct tape *t, struct err *e)
{
	struct err why = {0};
	int r = sql_check_version(t->db, &why);

	t->version = r;
	if (r > 0)
		r = sql_view_older(t->db, r, &why);
	return r < 0 ? err_set(e, r, "tape %s: %s", t->path, why.why) : 0;
}

/* It may be retired while we open it, which SQLite tells in another way. */
static int gone(const struct tape *t, int otherwise, struct err *e)
{
	return access(t->path, R_OK) < 0
		       ? err_set(e, -errno, "tape %s: %s", t->path, strerror(errno))
		       : otherwise;
}

static int open_read(struct tape *t, struct err *e)
{
	int r = gone(t, 0, e);

	if (r < 0)
		return r;
	r = open_database(t, "", SQLITE_OPEN_READONLY, e);
	if (r == 0)
		r = tape_run(t, read_pragmas, e);
	if (r == 0)
		r = check_version(t, e);
	if (r != -EACCES && r != -EROFS)
		return r;
	r = open_database(t, "?immutable=1", SQLITE_OPEN_READONLY, e);
	if (r == 0)
		r = tape_run(t, read_pragmas, e);
	return r == 0 ? check_version(t, e) : gone(t, r, e);
}

static int open_fold(struct tape *t, struct err *e)
{
	int r = open_database(t, "", SQLITE_OPEN_READWRITE, e);

	return r == 0 ? tape_run(t, "PRAGMA trusted_schema = OFF", e) : r;
}

static int open_write(struct tape *t, struct err *e)
{
	bool is_bulk = t->mode == TAPE_BULK;
	struct err why = {0};
	int r = open_database(t, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);

	if (r == 0)
		r = tape_run(t, is_bulk ? bulk_pragmas : append_pragmas, e);
	if (r < 0)
		return r;
	r = sql_migrate(t->db, &why);
	t->version = SQL_VERSION;
	return r < 0 ? err_set(e, r, "tape %s: %s", t->path, why.why) : 0;
}

int tape_open(const char *path, enum tape_mode mode, struct tape **t_out, struct err *e)
{
	AUTO(tape) t = calloc(1, sizeof(*t));
	int r;

	if (!t || !(t->path = strdup(path)))
		return err_set(e, -ENOMEM, "tape %s: out of memory", path);
	t->mode = mode;
	r = mode == TAPE_READ	? open_read(t, e)
	    : mode == TAPE_FOLD ? open_fold(t, e)
				: open_write(t, e);
	if (r < 0)
		return r;
	*t_out = TAKE(t);
	return 0;
}

void tape_close(struct tape *t)
{
	if (!t)
		return;
	(void)sqlite3_close_v2(t->db);
	free(t->path);
	free(t);
}

/*
 * Kinds that have a thirty-second of the exchanges, or more, are found as quickly by reading the
 * tape, so the index on kinds, a tenth of a tape of small exchanges, is of the others. One exchange
 * of 32 is asked, chosen by its time.
 */
static const char common_kinds_sql[] =
	"SELECT group_concat(kind) FROM (SELECT kind, count(*) AS n FROM exchange"
	" WHERE (id >> 14) % 32 = 0 GROUP BY kind) WHERE n * 32 >="
	" (SELECT count(*) FROM exchange WHERE (id >> 14) % 32 = 0)";

/* Digits and commas, or nothing: it becomes part of statements. */
static void take_common_kinds(sqlite3_stmt *st, int at, char out[TAPE_COMMON_KINDS_MAX])
{
	const char *text = (const char *)sqlite3_column_text(st, at);
	size_t n = text ? strlen(text) : 0;

	*out = '\0';
	if (n < TAPE_COMMON_KINDS_MAX && strspn(text ? text : "", "0123456789,") == n)
		memcpy(out, text ? text : "", n + 1);
}

int tape_summary(struct tape *t, struct tape_summary *out, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(
		t,
		"SELECT rows, first_id, last_id, moved_max, raw_bytes, packed_bytes, is_sealed,"
		" is_final, common_kinds, named FROM tape",
		e);
	int r = 0, step;

	if (!st)
		return e ? e->code : tape_failed(t, NULL);
	step = sqlite3_step(st);
	if (step == SQLITE_ROW) {
		*out = (struct tape_summary){
			.rows = (uint64_t)sqlite3_column_int64(st, 0),
			.first_id = (uint64_t)sqlite3_column_int64(st, 1),
			.last_id = (uint64_t)sqlite3_column_int64(st, 2),
			.moved_max = (uint64_t)sqlite3_column_int64(st, 3),
			.raw_bytes = (uint64_t)sqlite3_column_int64(st, 4),
			.packed_bytes = (uint64_t)sqlite3_column_int64(st, 5),
			.is_sealed = sqlite3_column_int(st, 6) != 0,
			.is_final = sqlite3_column_int(st, 7) != 0,
			.named = (uint64_t)sqlite3_column_int64(st, 9),
		};
		take_common_kinds(st, 8, out->common_kinds);
	} else if (step == SQLITE_DONE)
		r = err_set(e, -EBADMSG, "tape %s: does not say what is on it", t->path);
	else
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}

uint64_t tape_bytes(struct tape *t)
{
	sqlite3_stmt *st = tape_prepare(t,
					"SELECT page_count * page_size FROM pragma_page_count,"
					" pragma_page_size",
					NULL);
	uint64_t bytes = 0;

	if (st && sqlite3_step(st) == SQLITE_ROW)
		bytes = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return bytes;
}

static int find_common_kinds(struct tape *t, char out[TAPE_COMMON_KINDS_MAX], struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, common_kinds_sql, e);
	int r = st && sqlite3_step(st) == SQLITE_ROW ? 0 : tape_failed(t, e);

	if (r == 0)
		take_common_kinds(st, 0, out);
	(void)sqlite3_finalize(st);
	return r;
}

static int build_indexes(struct tape *t, bool is_final, struct err *e)
{
	char kinds[TAPE_COMMON_KINDS_MAX], sql[TAPE_COMMON_KINDS_MAX + 128];
	struct err why = {0};
	int r = find_common_kinds(t, kinds, e);

	if (r < 0)
		return r;
	r = trace_run_drop(t, e); /* its pages are used again */
	if (r < 0)
		return r;
	r = sql_index(t->db, kinds, &why);
	if (r < 0)
		return err_set(e, r, "tape %s: %s", t->path, why.why);
	r = rollup_digest_build(t, e);
	if (r < 0)
		return r;
	(void)sqlite3_snprintf((int)sizeof(sql), sql,
			       "UPDATE tape SET is_sealed = 1, is_final = %d, common_kinds = '%s'",
			       is_final, kinds);
	r = tape_run(t, sql, e);
	return r == 0 ? tape_run(t, "PRAGMA analysis_limit = 400; ANALYZE", e) : r;
}

int tape_seal(struct tape *t, bool is_final, struct err *e)
{
	struct tape_summary was;
	int r = tape_run(t, "BEGIN IMMEDIATE", e);

	if (r < 0)
		return r;
	r = tape_summary(t, &was, e);
	if (r == 0 && !was.is_sealed)
		r = build_indexes(t, is_final, e);
	if (r == 0)
		r = tape_run(t, "COMMIT", e);
	if (r < 0)
		(void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int tape_make_portable(struct tape *t, struct err *e)
{
	sqlite3_stmt *st;
	int r, step;

	(void)sqlite3_busy_timeout(t->db, 0); /* a reader may keep it for long: do not wait */
	st = tape_prepare(t, "PRAGMA journal_mode = DELETE", e);
	step = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (step == SQLITE_ROW &&
	    sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "delete") == 0)
		r = 0;
	else if (step == SQLITE_BUSY || step == SQLITE_LOCKED || step == SQLITE_ROW)
		r = err_set(e, -EBUSY, "tape %s: a reader has it open", t->path);
	else
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	(void)sqlite3_busy_timeout(t->db, BUSY_MS);
	return r;
}

int tape_checkpoint(struct tape *t, struct err *e)
{
	int r = sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	return r == SQLITE_OK || r == SQLITE_BUSY ? 0 : tape_failed(t, e);
}
