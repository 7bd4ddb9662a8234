// SPDX-License-Identifier: Apache-2.0
#include "store/trace_run.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "store/tape.h"

/*
 * Theory of operation. Trace ids are random, so an index that is kept while the tape grows dirties
 * a page for each exchange: twenty times what the exchange itself costs to write. Here all is
 * written one behind the other. A run is as many exchanges as fill a page with their entries:
 *
 *	trace_run    id | rows of the tape when it was written | bits: a Bloom filter of its traces
 *	trace_entry  run | a hash of 32 bits for each exchange, then as many ids
 *
 * To find a trace all filters of the tape are read, which is 1.5 bytes an exchange, and the entries
 * of the runs that it may be in: of a thousand runs four too many. An entry that agrees is
 * an exchange to look at; whoever asks compares the whole trace id.
 *
 * A run takes up what several commits bring until it is full; the last one is written anew each time.
 *
 * The tables are not part of the schema's versions: they are made with the first exchange of a tape
 * and go when it is sealed. A program that does not know them adds rows beside them; `rows` of the
 * last run tells, and then nobody asks them.
 *
 * Bytes on the tape are lowest first.
 */
#define RUN_ENTRIES 1344u	       /* 16,128 bytes: a row that fills a page */
#define RUN_BITS    (RUN_ENTRIES * 12) /* of a full run; one that is not has 12 for each entry */
#define BITS_EACH   12
#define PROBES	    6
#define ENTRY_BYTES 12u /* hash and id */

static const char make_sql[] =
	"CREATE TABLE trace_run (id INTEGER PRIMARY KEY, rows INTEGER NOT NULL,"
	" bits BLOB NOT NULL) STRICT;"
	"CREATE TABLE trace_entry (run INTEGER PRIMARY KEY, entries BLOB NOT NULL) STRICT;";
static const char there_sql[] = "SELECT (SELECT rows FROM tape), (SELECT count(*) FROM"
				" main.sqlite_schema WHERE name IN ('trace_run', 'trace_entry'))";
static const char last_sql[] = "SELECT id, rows FROM trace_run ORDER BY id DESC LIMIT 1";

enum statement { ST_RUN, ST_ENTRY, ST_COUNT };

static const char *const sql[] = {
	[ST_RUN] = "INSERT OR REPLACE INTO trace_run (id, rows, bits)"
		   " SELECT ?1, rows + ?2, ?3 FROM tape",
	[ST_ENTRY] = "INSERT OR REPLACE INTO trace_entry (run, entries) VALUES (?, ?)",
};

struct run {
	uint64_t number;
	uint32_t count, written; /* entries; of these, that are committed */
	uint32_t hashes[RUN_ENTRIES];
	uint64_t ids[RUN_ENTRIES];
};

struct trace_writer {
	struct tape *tape; /* NULL: nothing is noted */
	sqlite3_stmt *st[ST_COUNT];
	struct run run;
	uint64_t committed; /* number of the last run on the tape */
	uint8_t bits[RUN_BITS / 8], entries[RUN_ENTRIES * ENTRY_BYTES]; /* scratch */
};

/* --- hashes and filters --- */

static uint64_t hash_of(struct span trace)
{
	return XXH3_64bits(trace.ptr, trace.len);
}

/* What an entry keeps: half of the hash; its filter is asked with nothing more. */
static uint32_t entry_of(uint64_t hash)
{
	return (uint32_t)hash;
}

static size_t filter_bytes(size_t entries)
{
	return (entries * BITS_EACH + 7) / 8;
}

/* The probes of an entry: two hashes, added up (Kirsch, Mitzenmacher: Less Hashing, Same Performance). */
struct probes {
	uint32_t at, step;
};

static struct probes probes_of(uint32_t entry)
{
	uint64_t h = entry * UINT64_C(0x9e3779b97f4a7c15);

	return (struct probes){(uint32_t)(h >> 32), (uint32_t)h | 1};
}

static size_t next_bit(struct probes *p, size_t bits)
{
	size_t bit = (size_t)((uint64_t)p->at * bits >> 32);

	p->at += p->step;
	return bit;
}

static void set_bits(uint8_t *filter, size_t bits, uint32_t entry)
{
	struct probes p = probes_of(entry);

	for (int i = 0; i < PROBES; i++) {
		size_t bit = next_bit(&p, bits);

		filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

static bool may_have(struct span filter, uint32_t entry)
{
	struct probes p = probes_of(entry);

	for (int i = 0; i < PROBES && filter.len; i++) {
		size_t bit = next_bit(&p, 8 * filter.len);

		if (!(filter.ptr[bit / 8] >> bit % 8 & 1))
			return false;
	}
	return filter.len != 0;
}

static void put_little(uint8_t *to, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t take_little(const uint8_t *from, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)from[i] << 8 * i;
	return v;
}

/* --- writing --- */

struct trace_writer *trace_writer_new(void)
{
	return calloc(1, sizeof(struct trace_writer));
}

static void finalize(struct trace_writer *w)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		(void)sqlite3_finalize(w->st[i]);
		w->st[i] = NULL;
	}
}

void trace_writer_free(struct trace_writer *w)
{
	if (w)
		finalize(w);
	free(w);
}

/* Two numbers in one row. Return: 1; 0 no row; or a negative errno. */
static int ask_two(struct tape *t, const char *query, uint64_t out[2], struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, query, e);
	int step = st ? sqlite3_step(st) : SQLITE_ERROR;
	int r = step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : tape_failed(t, e);

	for (int i = 0; i < 2 && r == 1; i++)
		out[i] = (uint64_t)sqlite3_column_int64(st, i);
	(void)sqlite3_finalize(st);
	return r;
}

/*
 * Has all that is on the tape been noted?
 * @last: number of the last run; 0: there are no tables
 *
 * Return: 1, 0 or a negative errno.
 */
static int is_whole(struct tape *t, uint64_t *rows, uint64_t *last, struct err *e)
{
	uint64_t there[2], run[2] = {0, 0};
	int r = ask_two(t, there_sql, there, e);

	*last = 0;
	*rows = r == 1 ? there[0] : 0;
	if (r != 1 || there[1] != 2)
		return MIN(r, 0);
	r = ask_two(t, last_sql, run, e);
	*last = run[0];
	return r < 0 ? r : run[1] == there[0];
}

static void begin_run(struct trace_writer *w)
{
	w->run.number = w->committed + 1;
	w->run.count = w->run.written = 0;
}

static int prepare(struct trace_writer *w, struct tape *t, struct err *e)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		w->st[i] = tape_prepare(t, sql[i], e);
		if (!w->st[i])
			return tape_failed(t, e);
	}
	w->tape = t;
	return 0;
}

int trace_writer_begin_tape(struct trace_writer *w, struct tape *t, struct err *e)
{
	uint64_t rows = 0;
	int whole;

	finalize(w);
	w->tape = NULL;
	w->committed = 0;
	begin_run(w);
	if (!t || tape_is_bulk(t))
		return 0;
	whole = is_whole(t, &rows, &w->committed, e);
	begin_run(w);
	if (whole == 0 && rows == 0 && w->committed == 0)
		whole = tape_run(t, make_sql, e) == 0 ? 1 : tape_failed(t, e);
	return whole == 1 ? prepare(w, t, e) : whole;
}

static int step(struct trace_writer *w, enum statement which, struct err *e)
{
	int r = sqlite3_step(w->st[which]) == SQLITE_DONE ? 0 : tape_failed(w->tape, e);

	(void)sqlite3_reset(w->st[which]);
	return r;
}

/* The run as it is now. @rows: more than the tape says it has */
static int write_run(struct trace_writer *w, size_t rows, struct err *e)
{
	const struct run *run = &w->run;
	size_t bytes = filter_bytes(run->count), ids = 4 * (size_t)run->count;
	int r;

	memset(w->bits, 0, bytes);
	for (size_t i = 0; i < run->count; i++) {
		set_bits(w->bits, 8 * bytes, run->hashes[i]);
		put_little(w->entries + 4 * i, run->hashes[i], 4);
		put_little(w->entries + ids + 8 * i, run->ids[i], 8);
	}
	(void)sqlite3_bind_int64(w->st[ST_RUN], 1, (int64_t)run->number);
	(void)sqlite3_bind_int64(w->st[ST_RUN], 2, (int64_t)rows);
	(void)sqlite3_bind_blob(w->st[ST_RUN], 3, w->bits, (int)bytes, SQLITE_STATIC);
	r = step(w, ST_RUN, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(w->st[ST_ENTRY], 1, (int64_t)run->number);
	(void)sqlite3_bind_blob(w->st[ST_ENTRY], 2, w->entries, (int)(run->count * ENTRY_BYTES),
				SQLITE_STATIC);
	return step(w, ST_ENTRY, e);
}

int trace_writer_write(struct trace_writer *w, const struct batch *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; w->tape && i < b->row_count && r == 0; i++) {
		struct run *run = &w->run;

		if (b->rows[i].trace.len == 0)
			continue;
		run->hashes[run->count] = entry_of(hash_of(batch_span(b, b->rows[i].trace)));
		run->ids[run->count++] = b->rows[i].id;
		if (run->count < RUN_ENTRIES)
			continue;
		r = write_run(w, b->row_count, e);
		run->number++;
		run->count = 0;
	}
	/* also when it has nothing new: it says how many rows were looked at */
	return r == 0 && w->tape ? write_run(w, b->row_count, e) : r;
}

void trace_writer_written(struct trace_writer *w)
{
	w->committed = w->run.number;
	w->run.written = w->run.count;
}

/* What the run held may have made room for the next one's: another is begun. */
void trace_writer_failed(struct trace_writer *w)
{
	if (w->run.number == w->committed)
		w->run.count = w->run.written;
	else
		begin_run(w);
}

/* --- sealing --- */

int trace_run_drop(struct tape *t, struct err *e)
{
	return tape_run(t, "DROP TABLE IF EXISTS trace_run; DROP TABLE IF EXISTS trace_entry", e);
}

/* --- asking --- */

static struct span blob_at(sqlite3_stmt *st, int at)
{
	const void *bytes = sqlite3_column_blob(st, at);

	return span_of(bytes, bytes ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

static int find_entries(struct tape *t, sqlite3_stmt *st, int64_t run, uint32_t entry,
			struct id_ranges *out, struct err *e)
{
	struct span entries;
	bool is_whole_answer = true;
	size_t count;
	int step_code;

	(void)sqlite3_bind_int64(st, 1, run);
	step_code = sqlite3_step(st);
	entries = step_code == SQLITE_ROW ? blob_at(st, 0) : (struct span){0};
	count = entries.len / ENTRY_BYTES;
	for (size_t i = 0; i < count; i++) {
		uint64_t id;

		if (take_little(entries.ptr + 4 * i, 4) != entry)
			continue;
		id = take_little(entries.ptr + 4 * count + 8 * i, 8);
		is_whole_answer = id_ranges_add(out, id, id) && is_whole_answer;
	}
	(void)sqlite3_reset(st);
	if (step_code != SQLITE_ROW && step_code != SQLITE_DONE)
		return tape_failed(t, e);
	return is_whole_answer ? 0 : err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
}

static int find_runs(struct tape *t, uint32_t entry, struct id_ranges *out, struct err *e)
{
	sqlite3_stmt *runs = tape_prepare(t, "SELECT id, bits FROM trace_run", e);
	sqlite3_stmt *entries =
		runs ? tape_prepare(t, "SELECT entries FROM trace_entry WHERE run = ?", e) : NULL;
	int code = SQLITE_DONE, r = entries ? 0 : tape_failed(t, e);

	while (r == 0 && (code = sqlite3_step(runs)) == SQLITE_ROW)
		if (may_have(blob_at(runs, 1), entry))
			r = find_entries(t, entries, sqlite3_column_int64(runs, 0), entry, out, e);
	if (r == 0 && code != SQLITE_DONE)
		r = tape_failed(t, e);
	(void)sqlite3_finalize(runs);
	(void)sqlite3_finalize(entries);
	return r;
}

int trace_run_find(struct tape *t, struct span trace, struct id_ranges *out, struct err *e)
{
	uint64_t rows, last;
	int r = tape_run(t, "SAVEPOINT trace", e), whole, end;

	if (r < 0)
		return r;
	whole = is_whole(t, &rows, &last, e);
	r = whole == 1 ? find_runs(t, entry_of(hash_of(trace)), out, e) : whole;
	end = tape_run(t, "RELEASE trace", r < 0 ? NULL : e);
	return r < 0 ? r : end < 0 ? end : whole;
}

/* --- the check --- */

/* All entries of a run are in its filter. Return: 1, 0 */
static int check_run(struct span bits, struct span entries)
{
	size_t count = entries.len / ENTRY_BYTES;

	for (size_t i = 0; i < count; i++)
		if (!may_have(bits, (uint32_t)take_little(entries.ptr + 4 * i, 4)))
			return 0;
	return entries.len % ENTRY_BYTES == 0;
}

static int check_runs(struct tape *t, uint64_t traces, char why[128], struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t,
					"SELECT bits, entries FROM trace_run JOIN trace_entry ON"
					" trace_entry.run = trace_run.id",
					e);
	uint64_t entries = 0, wrong = 0;
	int code = SQLITE_ERROR;

	while (st && (code = sqlite3_step(st)) == SQLITE_ROW) {
		entries += blob_at(st, 1).len / ENTRY_BYTES;
		wrong += !check_run(blob_at(st, 0), blob_at(st, 1));
	}
	(void)sqlite3_finalize(st);
	if (code != SQLITE_DONE)
		return tape_failed(t, e);
	if (entries != traces)
		(void)snprintf(why, 128,
			       "%" PRIu64 " exchanges have a trace id, %" PRIu64 " are noted",
			       traces, entries);
	else if (wrong)
		(void)snprintf(why, 128, "%" PRIu64 " filters deny what their runs hold", wrong);
	return entries == traces && wrong == 0;
}

int trace_run_check(struct tape *t, char why[128], struct err *e)
{
	uint64_t rows, last, traces[2];
	int r = tape_run(t, "SAVEPOINT trace", e), end;

	if (r < 0)
		return r;
	r = is_whole(t, &rows, &last, e);
	if (r == 1)
		r = ask_two(t, "SELECT count(*), 0 FROM exchange WHERE trace_id <> ''", traces, e);
	if (r == 1)
		r = check_runs(t, traces[0], why, e);
	else if (r == 0)
		r = 1; /* it keeps none, or nobody asks them */
	end = tape_run(t, "RELEASE trace", r < 0 ? NULL : e);
	return r < 0 ? r : end < 0 ? end : r;
}
