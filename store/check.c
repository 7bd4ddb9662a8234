// SPDX-License-Identifier: Apache-2.0
#include "store/check.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/id.h"
#include "schema/sql.h"
#include "store/check_counts.h"
#include "store/read_blocks.h"
#include "store/read_tape.h"
#include "store/trace_run.h"

/*
 * Theory of operation. From the outside in: the file opens, SQLite finds its pages and indexes in
 * order, rows name what is there, the tape says of itself what is so, every block has its checksum
 * and every exchange can be read with its messages. What is found does not end the check, except
 * where nothing further can be read.
 */
#define FINDINGS_MAX  100 /* of SQLite's, of each kind */
#define WHAT_MAX      400
#define PROGRESS_ROWS 1000

struct check {
	const char *path;
	const struct check_hooks *hooks;
	struct check_result *result;
	struct read_tape *tape;
	struct tape_summary summary;
	struct unpacker *unpacker;
};

const char *check_place_name(enum check_place p)
{
	static const char *const names[] = {
		[CHECK_FILE] = "file",	     [CHECK_DATABASE] = "database",
		[CHECK_SUMMARY] = "summary", [CHECK_COMMON] = "common",
		[CHECK_BLOCK] = "block",     [CHECK_EXCHANGE] = "exchange",
	};

	return p < CHECK_PLACES ? names[p] : "?";
}

static void PRINTF_LIKE(4, 5)
	find(struct check *c, enum check_place place, uint64_t id, const char *fmt, ...)
{
	char what[WHAT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	for (char *at = what; (at = strchr(at, '\n')) != NULL;)
		*at = ' ';
	c->result->findings++;
	c->hooks->found(c->hooks->ctx,
			&(struct check_finding){.place = place, .id = id, .what = what});
}

/* What was said of this tape, without its name: who reads a finding knows that. */
static const char *own_words(const struct check *c, const char *why)
{
	size_t n = strlen(c->path);

	if (strncmp(why, "tape ", 5) == 0 && strncmp(why + 5, c->path, n) == 0 &&
	    strncmp(why + 5 + n, ": ", 2) == 0)
		return why + 5 + n + 2;
	return why;
}

static sqlite3_stmt *ask(struct check *c, const char *sql)
{
	struct err why = {0};
	sqlite3_stmt *st = tape_prepare(read_tape_tape(c->tape), sql, &why);

	if (!st)
		find(c, CHECK_DATABASE, 0, "%s", own_words(c, why.why));
	return st;
}

/* Return: did the statement come to its end? */
static bool is_done(struct check *c, sqlite3_stmt *st, int step)
{
	struct err why = {0};

	if (step != SQLITE_DONE) {
		(void)tape_failed(read_tape_tape(c->tape), &why);
		find(c, CHECK_DATABASE, 0, "%s", own_words(c, why.why));
	}
	(void)sqlite3_finalize(st);
	return step == SQLITE_DONE;
}

static const char *text_of(sqlite3_stmt *st, int at)
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	return text ? text : "?";
}

static void check_database(struct check *c)
{
	sqlite3_stmt *st = ask(c, "SELECT integrity_check FROM pragma_integrity_check(100)");
	int step = SQLITE_DONE;

	if (!st)
		return;
	while ((step = sqlite3_step(st)) == SQLITE_ROW)
		if (strcmp(text_of(st, 0), "ok") != 0)
			find(c, CHECK_DATABASE, 0, "%s", text_of(st, 0));
	(void)is_done(c, st, step);
}

static void check_commons(struct check *c)
{
	sqlite3_stmt *st = ask(c, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check"
				  " LIMIT 100");
	int step;

	if (!st)
		return;
	while ((step = sqlite3_step(st)) == SQLITE_ROW)
		find(c, CHECK_COMMON, (uint64_t)sqlite3_column_int64(st, 1),
		     "a row of %s names a %s that is not there", text_of(st, 0), text_of(st, 2));
	(void)is_done(c, st, step);
}

static void compare(struct check *c, const char *what, uint64_t said, uint64_t is)
{
	if (said != is)
		find(c, CHECK_SUMMARY, 0, "%s: the tape says %" PRIu64 ", it is %" PRIu64, what,
		     said, is);
}

/* In one statement, since a writer may go on. */
static void check_summary(struct check *c)
{
	sqlite3_stmt *st = ask(
		c, "SELECT tape.rows, x.n, tape.first_id, x.first, tape.last_id, x.last,"
		   " tape.moved_max, x.moved FROM tape, (SELECT count(*) AS n, ifnull(min(id), 0)"
		   " AS first, ifnull(max(id), 0) AS last, ifnull(max(moved), 0) AS moved"
		   " FROM exchange) AS x");
	static const char *const names[] = {"exchanges", "first id", "last id", "moved_max"};
	int step;

	if (!st)
		return;
	step = sqlite3_step(st);
	for (int i = 0; i < (int)COUNT_OF(names) && step == SQLITE_ROW; i++)
		compare(c, names[i], (uint64_t)sqlite3_column_int64(st, 2 * i),
			(uint64_t)sqlite3_column_int64(st, 2 * i + 1));
	(void)is_done(c, st, step == SQLITE_ROW ? SQLITE_DONE : step);
}

static bool has_index(struct check *c, const char *name)
{
	sqlite3_stmt *st =
		ask(c, "SELECT 1 FROM main.sqlite_schema WHERE type = 'index' AND name = ?");
	bool has = false;

	if (st) {
		(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		has = sqlite3_step(st) == SQLITE_ROW;
		(void)sqlite3_finalize(st);
	}
	return has;
}

static void check_indexes(struct check *c)
{
	static const struct {
		const char *name;
		bool is_of_sealed;
	} wanted[] = {{"failed", false}, {"kind_id", true}, {"trace", true}};

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if ((c->summary.is_sealed || !wanted[i].is_of_sealed) &&
		    !has_index(c, wanted[i].name))
			find(c, CHECK_DATABASE, 0, "the index %s is missing", wanted[i].name);
}

static void check_traces(struct check *c)
{
	char why[128];
	struct err e = {0};
	int r = trace_run_check(read_tape_tape(c->tape), why, &e);

	if (r == 0)
		find(c, CHECK_SUMMARY, 0, "traces of a growing tape: %s", why);
	else if (r < 0)
		find(c, CHECK_DATABASE, 0, "%s", own_words(c, e.why));
}

static void note_count(void *ctx, const char *what)
{
	find(ctx, CHECK_SUMMARY, 0, "%s", what);
}

static void check_counting(struct check *c)
{
	struct err e = {0};

	if (check_counts(read_tape_tape(c->tape), note_count, c, &e) < 0)
		find(c, CHECK_DATABASE, 0, "%s", own_words(c, e.why));
}

static void check_one(struct check *c, const struct batch *b, struct read_room *room)
{
	char id[ID_TEXT_LEN + 1];
	struct exchange x;
	struct err why = {0};
	int r = read_tape_exchange(c->tape, b, b->rows, true, c->unpacker, room, &x, &why);

	c->result->exchanges++;
	if (r == 0)
		return;
	c->result->damaged_exchanges++;
	find(c, CHECK_EXCHANGE, b->rows->id, "%s: %s", id_format(b->rows->id, id),
	     own_words(c, why.why));
}

/* Return: 0; -ENOMEM; -ECANCELED. */
static int walk(struct check *c, sqlite3_stmt *st, int *step)
{
	struct batch b = {0};
	struct read_room room = {0};
	int r = 0;

	while (r == 0 && (*step = sqlite3_step(st)) == SQLITE_ROW) {
		batch_clear(&b);
		r = read_tape_row(st, true, &b);
		if (r == 0)
			check_one(c, &b, &room);
		if (r == 0 && c->result->exchanges % PROGRESS_ROWS == 0 && c->hooks->progress &&
		    !c->hooks->progress(c->hooks->ctx, c->result->exchanges, c->summary.rows))
			r = -ECANCELED;
	}
	batch_fini(&b);
	read_room_fini(&room);
	return r;
}

static int check_exchanges(struct check *c)
{
	sqlite3_stmt *st = ask(c, "SELECT " READ_COLUMNS " FROM exchange ORDER BY id");
	int step = SQLITE_DONE, r;

	if (!st)
		return 0;
	r = walk(c, st, &step);
	if (r < 0)
		(void)sqlite3_finalize(st);
	else
		(void)is_done(c, st, step);
	return r;
}

static void check_block(struct check *c, struct read_blocks *blocks, uint64_t number,
			struct buf *packed)
{
	const struct block *block;
	struct err why = {0};

	c->result->blocks++;
	if (read_blocks_find(blocks, number, c->unpacker, packed, &block, &why) < 0)
		find(c, CHECK_BLOCK, number, "%s", own_words(c, why.why));
}

/* Each one, whether an exchange names it or not. */
static void check_blocks(struct check *c)
{
	struct err why = {0};
	AUTO_BUF packed = {0};
	struct read_blocks *blocks = read_blocks_new(read_tape_tape(c->tape), &why);
	sqlite3_stmt *st = blocks ? ask(c, "SELECT id FROM block ORDER BY id") : NULL;
	int step;

	if (!blocks)
		find(c, CHECK_BLOCK, 0, "%s", own_words(c, why.why));
	while (st && (step = sqlite3_step(st)) == SQLITE_ROW)
		check_block(c, blocks, (uint64_t)sqlite3_column_int64(st, 0), &packed);
	if (st)
		(void)is_done(c, st, step);
	read_blocks_free(blocks);
}

static int check_all(struct check *c, struct err *e)
{
	int r;

	check_database(c);
	check_commons(c);
	check_summary(c);
	check_indexes(c);
	check_traces(c);
	if (tape_version(read_tape_tape(c->tape)) >= 2) {
		check_counting(c);
		check_blocks(c);
	}
	r = check_exchanges(c);
	if (r == -ECANCELED)
		return err_set(e, r, "interrupted");
	return r < 0 ? err_set(e, r, "out of memory") : 0;
}

int check_tape(const char *path, const struct check_hooks *hooks, struct check_result *out,
	       struct err *e)
{
	struct check c = {.path = path, .hooks = hooks, .result = out};
	struct err why = {0};
	int r;

	*out = (struct check_result){0};
	r = read_tape_open(path, &c.tape, &why);
	if (r == -ENOENT || r == -EPROTONOSUPPORT || r == -ENOMEM)
		return err_set(e, r, "%s", why.why);
	if (r < 0) {
		find(&c, CHECK_FILE, 0, "%s", own_words(&c, why.why));
		return 0;
	}
	out->is_readable = true;
	c.unpacker = unpacker_new();
	r = c.unpacker ? read_tape_summary(c.tape, &c.summary, &why) : -ENOMEM;
	if (r == -ENOMEM)
		(void)err_set(e, r, "out of memory");
	else if (r < 0)
		find(&c, CHECK_SUMMARY, 0, "%s", own_words(&c, why.why));
	else
		r = check_all(&c, e);
	unpacker_free(c.unpacker);
	read_tape_close(c.tape);
	return r == -ENOMEM || r == -ECANCELED ? r : 0;
}
