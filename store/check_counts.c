// SPDX-License-Identifier: Apache-2.0
#include "store/check_counts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <stdio.h>

#include "schema/sql.h"
#include "store/rollup_digest.h"
#include "store/tape.h"

/*
 * Theory of operation. Counts are committed with the rows they count, so they are equal to the last
 * one. SQLite counts the rows anew and tells which minutes differ; the entries, which only we can
 * read, are added up and must give their minute. Sums of bytes are left out: they stop where
 * SQLite's integers end, which its sum() takes for an error.
 *
 * All is read as of one moment, since a writer may go on.
 */
#define WHAT_MAX 200

struct counts {
	struct tape *tape;
	check_counts_fn *found;
	void *ctx;
};

#define MINUTE "(exchange.id - exchange.moved) / 60000000000"

/* Each gives what only one side has. */
static const struct {
	const char *name, *counted, *there;
} questions[] = {
	{"counts of a minute", "SELECT minute, recorded, count, failed FROM rollup",
	 "SELECT " MINUTE ", count(*), sum(kind.weight), total(iif(" SQL_FAILED
	 ", kind.weight, 0)) FROM exchange JOIN kind ON kind.id = exchange.kind GROUP BY 1"},
	{"counts of failures of a minute",
	 "SELECT kind, src, outcome, minute, count, first_id, last_id FROM failure",
	 "SELECT kind, src, outcome, " MINUTE ", count(*), min(id), max(id) FROM exchange"
	 " WHERE " SQL_FAILED " GROUP BY 1, 2, 3, 4"},
};

static void PRINTF_LIKE(2, 3) say(const struct counts *c, const char *fmt, ...)
{
	char what[WHAT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	c->found(c->ctx, what);
}

static int compare(const struct counts *c, size_t which, struct err *e)
{
	char *sql = sqlite3_mprintf(
		"WITH counted AS (%s), there AS (%s) SELECT"
		" (SELECT count(*) FROM (SELECT * FROM counted EXCEPT SELECT * FROM there)),"
		" (SELECT count(*) FROM (SELECT * FROM there EXCEPT SELECT * FROM counted))",
		questions[which].counted, questions[which].there);
	sqlite3_stmt *st = sql ? tape_prepare(c->tape, sql, e) : NULL;
	int step = st ? sqlite3_step(st) : SQLITE_ERROR;
	uint64_t wrong = 0, missing = 0;

	if (step == SQLITE_ROW) {
		wrong = (uint64_t)sqlite3_column_int64(st, 0);
		missing = (uint64_t)sqlite3_column_int64(st, 1);
	}
	(void)sqlite3_finalize(st);
	sqlite3_free(sql);
	if (wrong || missing)
		say(c,
		    "%s: %" PRIu64 " are not what the exchanges say, of %" PRIu64 " that they say",
		    questions[which].name, wrong, missing);
	return step == SQLITE_ROW ? 0 : tape_failed(c->tape, e);
}

/* What entries count together. Return: false when they are damaged. */
static bool add_up(struct span entries, uint64_t *count)
{
	struct rollup_reader in = {.rest = entries};
	struct sketch latencies = {0};
	struct rollup_entry entry;
	int has;

	*count = 0;
	while ((has = rollup_next(&in, &entry)) > 0) {
		*count += entry.count;
		if (!sketch_read(&latencies, &entry.sketch) || entry.sketch.len)
			has = -EBADMSG;
		if (has < 0)
			break;
	}
	sketch_fini(&latencies);
	return has == 0;
}

/* @sql: a count and its entries, a row each */
static int compare_entries(const struct counts *c, const char *name, const char *sql, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(c->tape, sql, e);
	uint64_t wrong = 0, count;
	int step = SQLITE_ERROR;

	while (st && (step = sqlite3_step(st)) == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(st, 1);
		size_t n = (size_t)sqlite3_column_bytes(st, 1);

		wrong += !add_up(span_of(bytes, bytes ? n : 0), &count) ||
			 count != (uint64_t)sqlite3_column_int64(st, 0);
	}
	(void)sqlite3_finalize(st);
	if (wrong)
		say(c, "%s: of %" PRIu64 " the entries do not add up", name, wrong);
	return step == SQLITE_DONE ? 0 : tape_failed(c->tape, e);
}

static int compare_sums(const struct counts *c, struct err *e)
{
	struct rollup_digests *sums;
	int r = rollup_digests_open(c->tape, &sums, e);

	rollup_digests_close(sums);
	if (r <= 0)
		return r;
	r = compare_entries(c, "totals of minutes",
			    "SELECT ifnull(iif(d.failed = rollup.failed, rollup.count, -1), -1),"
			    " d.entries FROM rollup_digest AS d LEFT JOIN rollup ON rollup.minute ="
			    " d.at WHERE d.minutes = 1"
			    " UNION ALL SELECT -1, x'' FROM rollup WHERE minute NOT IN"
			    " (SELECT at FROM rollup_digest WHERE minutes = 1)",
			    e);
	return r < 0 ? r
		     : compare_entries(c, "sums of hours",
				       "SELECT (SELECT ifnull(sum(count), 0) FROM rollup WHERE"
				       " minute >= at AND minute < at + 60), entries FROM"
				       " rollup_digest WHERE minutes = 60",
				       e);
}

/* Tapes of version 1 counted nothing, and so nothing is wrong with them. */
static int look_at_uncounted(const struct counts *c, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(c->tape, "SELECT rolled <> 0 FROM tape WHERE id = 1", e);
	int step = st ? sqlite3_step(st) : SQLITE_ERROR;
	bool is_part = step == SQLITE_ROW && sqlite3_column_int(st, 0);

	(void)sqlite3_finalize(st);
	if (is_part)
		say(c, "counts: not all exchanges are counted; what is asked is answered by reading"
		       " each");
	return step == SQLITE_ROW ? 0 : tape_failed(c->tape, e);
}

static int check_all(const struct counts *c, struct err *e)
{
	uint64_t removed = 0;
	int r = rollup_is_whole(c->tape, &removed, e);

	if (r == 0)
		return look_at_uncounted(c, e);
	if (r < 0 || removed)
		return MIN(r, 0);
	r = 0;
	for (size_t i = 0; i < COUNT_OF(questions) && r == 0; i++)
		r = compare(c, i, e);
	if (r == 0)
		r = compare_entries(c, "entries of minutes", "SELECT count, entries FROM rollup",
				    e);
	return r == 0 ? compare_sums(c, e) : r;
}

int check_counts(struct tape *t, check_counts_fn *found, void *ctx, struct err *e)
{
	struct counts c = {t, found, ctx};
	int r = tape_run(t, "SAVEPOINT counts", e), end;

	if (r < 0)
		return r;
	r = check_all(&c, e);
	end = tape_run(t, "RELEASE counts", r < 0 ? NULL : e);
	return r < 0 ? r : end;
}
