// SPDX-License-Identifier: Apache-2.0
#include "store/rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "schema/sql.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/fulltext.h"
#include "store/inserts.h"
#include "store/packing.h"
#include "store/jobs.h"
#include "store/read_tape.h"

/*
 * Theory of operation. The new tape is written beside the old one, under a name that nobody lists
 * and that is removed when a store is opened. Rows keep their numbers and values: kinds, peers and
 * whatever other tables there are are copied as they stand, exchanges get another `place`. Messages
 * are taken out of the old blocks (or out of the packs of version 1) and packed again; since no
 * commit cuts them short, blocks are full. A body that lies with another exchange still does: ids
 * are the same. Where the old tape has an index of its texts, the new one gets one.
 *
 * Then the indexes are built, the file is synced, and every block and exchange is read back. Only a
 * tape in which nothing is found wrong takes the old one's name.
 */
#define ROWS_AT_ONCE  1024
#define FEW_EXCHANGES 24	 /* in a block, on average */
#define SMALL_BLOCK   (16 << 10) /* [bytes before compression] */
#define LARGE_SHARE   0.5 /* of the bytes, in blocks of one large exchange that can be compressed */
_Static_assert(BLOCK_RAW_MAX == 32768, "as the statement says");

struct rewrite {
	const struct rewrite_config *config;
	struct read_tape *from;
	struct tape *to;
	struct jobs *jobs;
	struct packing *packing;
	struct inserts *inserts;
	struct unpacker *unpacker;
	struct read_room room;
	struct batch rows, batch;
	struct chunk_end end;
	sqlite3_stmt *next;
	uint64_t last_id, count;
	bool has_fulltext; /* the old tape */
};

static int no_memory(const char *path, struct err *e)
{
	return err_set(e, -ENOMEM, "tape %s: out of memory", path);
}

/* --- what is copied as it is --- */

/* Tables that are written anew; and SQLite's own. */
static const char tables_sql[] =
	"SELECT name FROM old.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
	" ESCAPE '\\' AND name NOT IN ('exchange', 'block', 'chunk', 'dictionary')"
	" AND name IN (SELECT name FROM main.sqlite_schema WHERE type = 'table')";
static const char columns_sql[] = "SELECT group_concat('\"' || name || '\"') FROM"
				  " pragma_table_info(?, 'old')";

static int copy_table(struct tape *to, sqlite3_stmt *names, const char *name, struct err *e)
{
	char *sql;
	int r;

	(void)sqlite3_bind_text(names, 1, name, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(names) != SQLITE_ROW) {
		(void)sqlite3_reset(names);
		return tape_failed(to, e);
	}
	sql = sqlite3_mprintf("DELETE FROM main.\"%w\"; INSERT INTO main.\"%w\" (%s)"
			      " SELECT %s FROM old.\"%w\"",
			      name, name, sqlite3_column_text(names, 0),
			      sqlite3_column_text(names, 0), name);
	(void)sqlite3_reset(names);
	r = sql ? tape_run(to, sql, e) : no_memory(tape_path(to), e);
	sqlite3_free(sql);
	return r;
}

static int copy_all(struct tape *to, struct err *e)
{
	sqlite3_stmt *tables = tape_prepare(to, tables_sql, e);
	sqlite3_stmt *names = tables ? tape_prepare(to, columns_sql, e) : NULL;
	int step = SQLITE_DONE, r = names ? 0 : tape_failed(to, e);

	while (r == 0 && (step = sqlite3_step(tables)) == SQLITE_ROW)
		r = copy_table(to, names, (const char *)sqlite3_column_text(tables, 0), e);
	if (r == 0 && step != SQLITE_DONE)
		r = tape_failed(to, e);
	(void)sqlite3_finalize(tables);
	(void)sqlite3_finalize(names);
	/* the sums are taken again as rows come */
	return r < 0 ? r
		     : tape_run(to,
				"UPDATE tape SET rows = 0, first_id = 0, last_id = 0,"
				" moved_max = 0, raw_bytes = 0, packed_bytes = 0, is_sealed = 0",
				e);
}

static int copy_commons(struct tape *to, const char *path, struct err *e)
{
	char *sql = sqlite3_mprintf("ATTACH %Q AS old", path);
	int r = sql ? 0 : no_memory(path, e);

	(void)sqlite3_limit(tape_db(to), SQLITE_LIMIT_ATTACHED, 1);
	if (r == 0)
		r = tape_run(to, sql, e);
	sqlite3_free(sql);
	if (r < 0)
		return r;
	r = tape_run(to, "BEGIN", e);
	if (r == 0)
		r = copy_all(to, e);
	if (r == 0)
		r = tape_run(to, "COMMIT", e);
	if (r == 0)
		r = tape_run(to, "DETACH old", e);
	return r;
}

/* --- exchanges --- */

/* A row with its texts, which move from one batch to the other. */
static int move_row(struct rewrite *w, const struct row *old, struct row *row)
{
	const struct batch *from = &w->rows;
	struct batch *to = &w->batch;
	struct {
		struct piece *to;
		const struct piece *from;
	} pieces[] = {
		{&row->path, &old->path},     {&row->query, &old->query},
		{&row->target, &old->target}, {&row->trace, &old->trace},
		{&row->replay, &old->replay},
	};

	*row = *old;
	for (size_t i = 0; i < COUNT_OF(pieces); i++)
		*pieces[i].to = batch_add(to, batch_span(from, *pieces[i].from));
	return to->bytes.is_failed ? -ENOMEM : 0;
}

static int pack_row(struct rewrite *w, const struct row *old, struct err *e)
{
	struct exchange x;
	struct row *row = batch_row(&w->batch);
	size_t at;
	struct pack_elsewhere elsewhere;
	int r = read_tape_pack(w->from, &w->rows, old, w->unpacker, &w->room, &x, &elsewhere, e);

	if (r < 0)
		return r;
	if (!row || move_row(w, old, row) < 0)
		return no_memory(tape_path(w->to), e);
	at = w->batch.bytes.len;
	pack_add_times(&w->batch.bytes, &x);
	row->times = (struct piece){(uint32_t)at, (uint32_t)(w->batch.bytes.len - at)};
	if (w->batch.bytes.is_failed)
		return no_memory(tape_path(w->to), e);
	r = packing_move(w->packing, &x, &elsewhere, row, &w->batch, e);
	if (r == 0)
		w->batch.row_count++;
	return r;
}

/* The next rows of the old tape. Return: how many, or a negative errno. */
static int read_rows(struct rewrite *w, struct err *e)
{
	int step = SQLITE_ROW, r = 0;

	batch_clear(&w->rows);
	(void)sqlite3_bind_int64(w->next, 1, (int64_t)w->last_id);
	while (r == 0 && (step = sqlite3_step(w->next)) == SQLITE_ROW)
		r = read_tape_row(w->next, true, &w->rows);
	if (r == 0 && step != SQLITE_DONE)
		r = tape_failed(read_tape_tape(w->from), e);
	(void)sqlite3_reset(w->next);
	if (w->rows.row_count)
		w->last_id = w->rows.rows[w->rows.row_count - 1].id;
	return r < 0 ? r : (int)w->rows.row_count;
}

static int write_batch(struct rewrite *w, struct err *e)
{
	int r = inserts_write(w->inserts, &w->batch, &w->end, e);

	w->count += w->batch.row_count;
	batch_clear(&w->batch);
	return r;
}

static int copy_exchanges(struct rewrite *w, struct err *e)
{
	int n, r = 0;

	while (r == 0 && (n = read_rows(w, e)) != 0) {
		if (n < 0)
			return n;
		for (size_t i = 0; i < w->rows.row_count && r == 0; i++)
			r = pack_row(w, &w->rows.rows[i], e);
		if (r == 0 && w->config->goes_on && !w->config->goes_on(w->config->ctx))
			r = err_set(e, -ECANCELED, "tape %s: left as it is", tape_path(w->to));
		if (r == 0)
			r = write_batch(w, e);
	}
	if (r == 0)
		r = packing_flush(w->packing, &w->batch, e);
	return r == 0 && w->batch.block_count ? write_batch(w, e) : r;
}

static int open_rewrite(struct rewrite *w, const char *path, const char *part, struct err *e)
{
	struct err why = {0};
	int r = read_tape_open(path, &w->from, &why);

	if (r < 0)
		return err_set(e, r, "%s", why.why);
	r = fulltext_has(read_tape_tape(w->from), &why);
	if (r < 0)
		return err_set(e, r, "%s", why.why);
	w->has_fulltext = r == 1;
	r = tape_open(part, TAPE_BULK, &w->to, e);
	if (r < 0)
		return r;
	w->jobs = jobs_new(NULL, NULL);
	w->packing = w->jobs ? packing_new(w->jobs, w->config->level) : NULL;
	w->unpacker = unpacker_new();
	if (!w->packing || !w->unpacker)
		return no_memory(part, e);
	packing_set_thorough(w->packing);
	packing_begin_tape(w->packing, 1, 1);
	w->next = tape_prepare(read_tape_tape(w->from),
			       "SELECT " READ_COLUMNS " FROM exchange WHERE id > ? ORDER BY id"
			       " LIMIT 1024",
			       e);
	_Static_assert(ROWS_AT_ONCE == 1024, "as the statement says");
	if (!w->next)
		return tape_failed(read_tape_tape(w->from), e);
	return inserts_new(w->to, NULL, NULL, NULL, &w->inserts, e);
}

static void close_rewrite(struct rewrite *w)
{
	inserts_free(w->inserts);
	(void)sqlite3_finalize(w->next);
	packing_free(w->packing);
	jobs_free(w->jobs);
	unpacker_free(w->unpacker);
	read_room_fini(&w->room);
	batch_fini(&w->rows);
	batch_fini(&w->batch);
	read_tape_close(w->from);
	tape_close(w->to);
}

static int write_part(const char *path, const char *part, const struct rewrite_config *config,
		      struct err *e)
{
	struct rewrite w = {.config = config};
	struct err why = {0};
	struct tape_summary was;
	int r = open_rewrite(&w, path, part, &why);

	if (r == 0)
		r = copy_commons(w.to, path, &why);
	if (r == 0)
		r = copy_exchanges(&w, &why);
	if (r == 0)
		r = read_tape_summary(w.from, &was, &why);
	if (r == 0 && was.rows != w.count)
		r = err_set(&why, -EBADMSG, "tape %s: damaged: it does not hold what it says",
			    path);
	if (r == 0)
		r = tape_seal(w.to, true, &why);
	close_rewrite(&w);
	if (r == 0 && w.has_fulltext)
		r = fulltext_build(part, &why);
	return r < 0 ? err_set(e, r, "%s", why.why) : 0;
}

/* --- the check, and the name --- */

struct look {
	const struct rewrite_config *config;
	struct err first;
};

static void note_finding(void *ctx, const struct check_finding *f)
{
	struct look *l = ctx;

	if (!l->first.code)
		(void)err_set(&l->first, -EBADMSG, "%s: %s", check_place_name(f->place), f->what);
}

static bool goes_on(void *ctx, uint64_t done, uint64_t all)
{
	const struct look *l = ctx;

	(void)done, (void)all;
	return !l->config->goes_on || l->config->goes_on(l->config->ctx);
}

static int check_part(const char *part, const struct rewrite_config *config, struct err *e)
{
	struct look look = {.config = config};
	struct check_hooks hooks = {note_finding, goes_on, &look};
	struct check_result result;
	int r = check_tape(part, &hooks, &result, e);

	if (r == 0 && result.findings)
		r = err_set(e, -EBADMSG, "tape %s: written anew it is not sound: %s", part,
			    look.first.why);
	return r;
}

static int sync_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? err_set(e, -errno, "tape %s: %s", path, strerror(errno))
					: 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

int rewrite_tape(const char *path, const struct rewrite_config *config, struct err *e)
{
	AUTO_BUF part = {0};
	int r;

	buf_add_fmt(&part, "%s.part", path);
	(void)unlink(buf_cstr(&part));
	r = write_part(path, buf_cstr(&part), config, e);
	if (r == 0)
		r = sync_file(buf_cstr(&part), e);
	if (r == 0)
		r = check_part(buf_cstr(&part), config, e);
	if (r == 0 && directory_has_log(path))
		r = err_set(e, -EBUSY, "tape %s: somebody has it open", path);
	if (r == 0 && rename(buf_cstr(&part), path) < 0)
		r = err_set(e, -errno, "tape %s: %s", path, strerror(errno));
	if (r < 0)
		(void)unlink(buf_cstr(&part));
	else
		directory_sync_of(path);
	return r;
}

/* --- is it worth it? --- */

int rewrite_pays(const char *path, struct err *e)
{
	AUTO(tape) t = NULL;
	sqlite3_stmt *st;
	double exchanges, bytes, rows, large;
	int r = tape_open(path, TAPE_READ, &t, e);

	if (r < 0)
		return r;
	if (tape_version(t) < SQL_VERSION)
		return 1;
	st = tape_prepare(t,
			  "SELECT ifnull(avg(exchanges), 0), ifnull(avg(raw_bytes), 0), count(*),"
			  " ifnull(total(raw_bytes) FILTER (WHERE raw_bytes > 32768 AND"
			  " bytes < raw_bytes / 10 * 9) / total(raw_bytes), 0) FROM block",
			  e);
	if (!st || sqlite3_step(st) != SQLITE_ROW) {
		r = tape_failed(t, e);
		(void)sqlite3_finalize(st);
		return r;
	}
	large = sqlite3_column_double(st, 3);
	exchanges = sqlite3_column_double(st, 0);
	bytes = sqlite3_column_double(st, 1);
	rows = sqlite3_column_double(st, 2);
	(void)sqlite3_finalize(st);
	return (rows > 1 && exchanges < FEW_EXCHANGES && bytes < SMALL_BLOCK) ||
	       large > LARGE_SHARE;
}
