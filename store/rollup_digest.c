// SPDX-License-Identifier: Apache-2.0
#include "store/rollup_digest.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "store/tape.h"

/*
 * Theory of operation. A day of two hundred keys is some 300,000 histograms. Who asks for each
 * minute of it as a whole wants 1,440 of them, who asks for the whole of it by key wants as many as
 * there are keys and hours. So a tape gets, when it is sealed and nothing is added any more, the
 * total of each minute and the sum of each hour by key: a few per cent more than the minutes take,
 * and nothing on the way of an exchange.
 *
 * Like the index of texts the table is not part of the schema's versions: a tape without it is
 * whole, and is answered from its minutes.
 */
static const char make_sql[] =
	"DROP TABLE IF EXISTS rollup_digest;"
	"CREATE TABLE rollup_digest (minutes INTEGER NOT NULL, at INTEGER NOT NULL,"
	" failed INTEGER NOT NULL, is_sampled INTEGER NOT NULL, entries BLOB NOT NULL,"
	" PRIMARY KEY (minutes, at)) STRICT, WITHOUT ROWID";
static const char drop_sql[] = "DROP TABLE IF EXISTS rollup_digest";
static const char minutes_sql[] = "SELECT minute, failed, count <> recorded, entries FROM rollup"
				  " ORDER BY minute";
static const char insert_sql[] =
	"INSERT INTO rollup_digest (minutes, at, failed, is_sampled, entries)"
	" VALUES (?,?,?,?,?)";
static const char find_sql[] = "SELECT at, failed, is_sampled, entries FROM rollup_digest WHERE"
			       " minutes = ? AND at >= ? AND at < ? ORDER BY at LIMIT 1";
static const char there_sql[] = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND"
				" name = 'rollup_digest'";

struct builder {
	struct tape *tape;
	sqlite3_stmt *minutes, *insert;
	uint64_t hour; /* that is being added up: begins at this minute */
	bool has_hour;
	struct rollup_digest sum;    /* of the hour; .entries is not used */
	struct buf entries, next;    /* of the hour; scratch */
	struct sketch total, merged; /* scratch */
	struct buf text, one;	     /* scratch */
};

static struct span blob_at(sqlite3_stmt *st, int at)
{
	const void *bytes = sqlite3_column_blob(st, at);

	return span_of(bytes, bytes ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

static int insert(struct builder *b, unsigned minutes, uint64_t at, const struct rollup_digest *sum,
		  struct err *e)
{
	int r;

	(void)sqlite3_bind_int64(b->insert, 1, minutes);
	(void)sqlite3_bind_int64(b->insert, 2, (int64_t)at);
	(void)sqlite3_bind_int64(b->insert, 3, (int64_t)sum->failed);
	(void)sqlite3_bind_int(b->insert, 4, sum->is_sampled);
	(void)sqlite3_bind_blob(b->insert, 5,
				sum->entries.ptr ? (const void *)sum->entries.ptr : "",
				(int)sum->entries.len, SQLITE_STATIC);
	r = sqlite3_step(b->insert) == SQLITE_DONE ? 0 : tape_failed(b->tape, e);
	(void)sqlite3_reset(b->insert);
	return r;
}

/* All entries of a minute as one, in b->one. Return: 0, -EBADMSG, -ENOMEM. */
static int add_up(struct builder *b, struct span entries)
{
	struct rollup_reader in = {.rest = entries};
	struct rollup_entry all = {.key = 1}, entry;
	uint64_t last_key = 0;
	int has;

	sketch_clear(&b->total);
	while ((has = rollup_next(&in, &entry)) > 0) {
		all.count += entry.count;
		all.request_bytes = rollup_sum(all.request_bytes, entry.request_bytes);
		all.response_bytes = rollup_sum(all.response_bytes, entry.response_bytes);
		if (!sketch_read(&b->total, &entry.sketch))
			return -EBADMSG;
	}
	buf_clear(&b->text);
	buf_clear(&b->one);
	sketch_write(&b->total, &b->text);
	all.sketch = buf_span(&b->text);
	rollup_add(&b->one, &last_key, &all);
	return has < 0							     ? has
	       : b->total.is_failed || b->text.is_failed || b->one.is_failed ? -ENOMEM
									     : 0;
}

static int end_hour(struct builder *b, struct err *e)
{
	int r = 0;

	b->sum.entries = buf_span(&b->entries);
	if (b->has_hour)
		r = insert(b, ROLLUP_DIGEST_HOUR, b->hour, &b->sum, e);
	b->sum = (struct rollup_digest){0};
	buf_clear(&b->entries);
	b->has_hour = false;
	return r;
}

static int add_to_hour(struct builder *b, uint64_t minute, const struct rollup_digest *one,
		       struct err *e)
{
	uint64_t hour = minute / ROLLUP_DIGEST_HOUR * ROLLUP_DIGEST_HOUR;
	struct buf grown;
	int r = b->has_hour && b->hour != hour ? end_hour(b, e) : 0;

	if (r < 0)
		return r;
	b->hour = hour;
	b->has_hour = true;
	b->sum.failed += one->failed;
	b->sum.is_sampled = b->sum.is_sampled || one->is_sampled;
	buf_clear(&b->next);
	r = rollup_merge(buf_span(&b->entries), one->entries, &b->merged, &b->next);
	grown = b->next;
	b->next = b->entries;
	b->entries = grown;
	return r;
}

static int add_minute(struct builder *b, struct err *e)
{
	uint64_t minute = (uint64_t)sqlite3_column_int64(b->minutes, 0);
	struct rollup_digest sum = {
		.failed = (uint64_t)sqlite3_column_int64(b->minutes, 1),
		.is_sampled = sqlite3_column_int(b->minutes, 2) != 0,
		.entries = blob_at(b->minutes, 3),
	};
	int r = add_to_hour(b, minute, &sum, e);

	if (r == 0)
		r = add_up(b, sum.entries);
	sum.entries = buf_span(&b->one);
	return r == 0 ? insert(b, 1, minute, &sum, e) : r;
}

static int add_minutes(struct builder *b, struct err *e)
{
	int step = SQLITE_DONE, r = 0;

	while (r == 0 && (step = sqlite3_step(b->minutes)) == SQLITE_ROW)
		r = add_minute(b, e);
	if (r == 0 && step != SQLITE_DONE)
		r = tape_failed(b->tape, e);
	return r == 0 ? end_hour(b, e) : r;
}

static int build(struct builder *b, struct err *e)
{
	int r = tape_run(b->tape, make_sql, e);

	if (r < 0)
		return r;
	b->minutes = tape_prepare(b->tape, minutes_sql, e);
	b->insert = b->minutes ? tape_prepare(b->tape, insert_sql, e) : NULL;
	r = b->insert ? add_minutes(b, e) : tape_failed(b->tape, e);
	(void)sqlite3_finalize(b->minutes);
	(void)sqlite3_finalize(b->insert);
	sketch_fini(&b->total);
	sketch_fini(&b->merged);
	buf_fini(&b->entries);
	buf_fini(&b->next);
	buf_fini(&b->text);
	buf_fini(&b->one);
	return r;
}

int rollup_digest_build(struct tape *t, struct err *e)
{
	struct builder b = {.tape = t};
	uint64_t removed;
	int r = rollup_is_whole(t, &removed, e);

	if (r == 1)
		r = build(&b, e);
	/* damaged counts are no reason to leave a tape unsealed */
	return r == -EBADMSG || r == -ENOMEM ? tape_run(t, drop_sql, e) : r;
}

/* --- asking --- */

struct rollup_digests {
	struct tape *tape;
	sqlite3_stmt *find;
};

void rollup_digests_close(struct rollup_digests *s)
{
	if (s)
		(void)sqlite3_finalize(s->find);
	free(s);
}

static int is_there(struct tape *t, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, there_sql, e);
	int step = st ? sqlite3_step(st) : SQLITE_ERROR;

	(void)sqlite3_finalize(st);
	return step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int rollup_digests_open(struct tape *t, struct rollup_digests **out, struct err *e)
{
	struct rollup_digests *s;
	int r = is_there(t, e);

	*out = NULL;
	if (r <= 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
	s->tape = t;
	s->find = tape_prepare(t, find_sql, e);
	if (!s->find) {
		rollup_digests_close(s);
		return tape_failed(t, e);
	}
	*out = s;
	return 1;
}

int rollup_digests_find(struct rollup_digests *s, unsigned minutes, uint64_t from, uint64_t to,
			uint64_t *at_out, struct rollup_digest *out, struct err *e)
{
	int step;

	(void)sqlite3_reset(s->find);
	(void)sqlite3_bind_int64(s->find, 1, minutes);
	(void)sqlite3_bind_int64(s->find, 2, (int64_t)from);
	(void)sqlite3_bind_int64(s->find, 3, (int64_t)to);
	step = sqlite3_step(s->find);
	if (step != SQLITE_ROW)
		return step == SQLITE_DONE ? 0 : tape_failed(s->tape, e);
	*at_out = (uint64_t)sqlite3_column_int64(s->find, 0);
	*out = (struct rollup_digest){
		.failed = (uint64_t)sqlite3_column_int64(s->find, 1),
		.is_sampled = sqlite3_column_int(s->find, 2) != 0,
		.entries = blob_at(s->find, 3),
	};
	return 1;
}
