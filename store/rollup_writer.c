// SPDX-License-Identifier: Apache-2.0
#include "store/rollup_writer.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "schema/sql.h"
#include "store/common.h"
#include "store/intern.h"
#include "store/rollup.h"
#include "store/tape.h"

/*
 * Theory of operation. An exchange's key follows from its kind, its client and its outcome, so for
 * nearly all a small table of those three has it. When the batch is written, its rows are chained
 * by minute and key (a hash table of the size of the batch), the chains are sorted, and each
 * becomes one entry. A minute that is on the tape already is merged with what is there: nothing is
 * remembered from one batch to the next, so neither a restart nor a batch that is written twice
 * counts wrong, and the counts are committed with the rows they count.
 *
 * Failures are few; they are sorted and counted by kind, client, outcome and minute into rows.
 */
#define KEY_ENTRIES (2 * ROLLUP_KEYS_MAX)
#define KEY_BYTES   (2 << 20)
#define LOST	    (INT64_C(1) << 48) /* more than a tape holds */
#define KNOWN	    4096	       /* keys by kind, client and outcome, a power of two */

static const char failure_sql[] =
	"INSERT INTO failure (kind, src, outcome, minute, count, first_id, last_id)"
	" VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET count = count + excluded.count,"
	" first_id = min(first_id, excluded.first_id), last_id = max(last_id, excluded.last_id)";
static const char minute_sql[] =
	"INSERT OR REPLACE INTO rollup (minute, count, failed, request_bytes, response_bytes,"
	" entries, recorded) VALUES (?,?,?,?,?,?,?)";

enum statement { ST_FAILURE, ST_MINUTE, ST_OLD, ST_COUNTED, ST_COUNT };

static const char *const sql[] = {
	[ST_FAILURE] = failure_sql,
	[ST_MINUTE] = minute_sql,
	[ST_OLD] =
		"SELECT count, failed, request_bytes, response_bytes, entries, recorded FROM rollup"
		" WHERE minute = ?",
	[ST_COUNTED] = "UPDATE tape SET rolled = rolled + ?",
};

struct known {
	uint64_t kind, src; /* kind 0: free */
	uint32_t key;
	uint8_t outcome;
};

/* rows of one minute and key */
struct chain {
	uint64_t minute;
	uint32_t key;
	uint32_t first; /* index in the batch */
};

struct rollup_writer {
	struct tape *tape;
	sqlite3_stmt *st[ST_COUNT];
	struct intern *keys;
	uint64_t key_count;   /* numbers given on this tape */
	uint64_t last_minute; /* that may be on the tape; 0: none */
	struct known known[KNOWN];
	struct buf key; /* scratch */
	/* of the batch that is being written; room rows each */
	size_t room;
	struct chain *chains;
	size_t chain_count;
	uint32_t *slots; /* 2 * room: index + 1 in chains; 0: free */
	uint32_t *next;	 /* by row: the next of its chain; UINT32_MAX: none */
	const struct row **failures;
	int64_t lost_counts;
	struct sketch sketch, merged;
	struct buf entries, sum, text;
};

struct rollup_writer *rollup_writer_new(void)
{
	struct rollup_writer *w = calloc(1, sizeof(*w));

	if (w && !(w->keys = intern_new(KEY_ENTRIES, KEY_BYTES))) {
		free(w);
		return NULL;
	}
	return w;
}

static void finalize(struct rollup_writer *w)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		(void)sqlite3_finalize(w->st[i]);
		w->st[i] = NULL;
	}
}

void rollup_writer_free(struct rollup_writer *w)
{
	if (!w)
		return;
	finalize(w);
	intern_free(w->keys);
	sketch_fini(&w->sketch);
	sketch_fini(&w->merged);
	buf_fini(&w->key);
	buf_fini(&w->entries);
	buf_fini(&w->sum);
	buf_fini(&w->text);
	free(w->chains);
	free(w->slots);
	free(w->next);
	free(w->failures);
	free(w);
}

void rollup_writer_forget(struct rollup_writer *w)
{
	memset(w->known, 0, sizeof(w->known));
	intern_forget(w->keys);
}

static int ask_number(struct tape *t, const char *query, uint64_t *out, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, query, e);
	int r = 0;

	if (st && sqlite3_step(st) == SQLITE_ROW)
		*out = (uint64_t)sqlite3_column_int64(st, 0);
	else
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}

int rollup_writer_begin_tape(struct rollup_writer *w, struct tape *t, struct err *e)
{
	int r = 0;

	finalize(w);
	rollup_writer_forget(w);
	w->key_count = w->last_minute = 0;
	w->tape = t;
	for (size_t i = 0; i < ST_COUNT && t && r == 0; i++) {
		w->st[i] = tape_prepare(t, sql[i], e);
		if (!w->st[i])
			r = tape_failed(t, e);
	}
	if (t && r == 0)
		r = ask_number(t, "SELECT ifnull(max(id), 0) FROM rollup_key", &w->key_count, e);
	if (t && r == 0)
		r = ask_number(t, "SELECT ifnull(max(minute), 0) FROM rollup", &w->last_minute, e);
	intern_restart(w->keys, w->key_count + 1);
	return r;
}

/* --- keys --- */

static uint64_t intern_key(struct rollup_writer *w, const struct exchange *x, uint64_t src,
			   uint64_t dst, bool *is_new)
{
	common_rollup_key(&w->key, x, w->key_count >= ROLLUP_KEYS_MAX, src, dst);
	return w->key.is_failed ? 0 : intern_number(w->keys, buf_span(&w->key), is_new);
}

static uint32_t find_key(struct rollup_writer *w, const struct exchange *x, uint64_t src,
			 uint64_t dst, struct batch *b)
{
	struct common_row *row = batch_common(b);
	bool is_new = false;
	uint64_t number = row ? intern_key(w, x, src, dst, &is_new) : 0;

	if (number == 0 || number > UINT32_MAX || !is_new)
		return (uint32_t)number;
	*row = (struct common_row){number, COMMON_ROLLUP_KEY, batch_add(b, buf_span(&w->key))};
	b->common_count++;
	w->key_count = number;
	return (uint32_t)number;
}

uint32_t rollup_writer_key(struct rollup_writer *w, const struct exchange *x, uint64_t kind,
			   uint64_t src, uint64_t dst, struct batch *b)
{
	struct known *k = &w->known[(kind * 31 + src * 7 + x->outcome) % KNOWN];

	if (k->kind == kind && k->src == src && k->outcome == x->outcome)
		return k->key;
	*k = (struct known){kind, src, find_key(w, x, src, dst, b), x->outcome};
	if (k->key == 0)
		k->kind = 0;
	return k->key;
}

/* --- chains --- */

static bool make_room(struct rollup_writer *w, size_t rows)
{
	size_t room = MAX(w->room, 64);

	while (room < rows)
		room *= 2;
	if (room != w->room) {
		free(w->chains);
		free(w->slots);
		free(w->next);
		free(w->failures);
		w->chains = calloc(room, sizeof(*w->chains));
		w->slots = calloc(2 * room, sizeof(*w->slots));
		w->next = calloc(room, sizeof(*w->next));
		w->failures = calloc(room, sizeof(*w->failures));
		w->room = w->chains && w->slots && w->next && w->failures ? room : 0;
	}
	return w->room != 0;
}

static uint64_t minute_of(const struct row *row)
{
	return (row->id - row->moved) / ROLLUP_MINUTE_NS;
}

static void chain_row(struct rollup_writer *w, uint64_t minute, uint32_t key, uint32_t index)
{
	size_t mask = 2 * w->room - 1;
	size_t i = (size_t)((minute * 31 + key) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
	struct chain *c;

	for (;; i = (i + 1) & mask) {
		if (!w->slots[i])
			break;
		c = &w->chains[w->slots[i] - 1];
		if (c->key == key && c->minute == minute) {
			w->next[index] = c->first;
			c->first = index;
			return;
		}
	}
	w->next[index] = UINT32_MAX;
	w->chains[w->chain_count++] = (struct chain){minute, key, index};
	w->slots[i] = (uint32_t)w->chain_count;
}

static int by_minute_and_key(const void *a, const void *b)
{
	const struct chain *x = a, *y = b;

	if (x->minute != y->minute)
		return x->minute < y->minute ? -1 : 1;
	return (x->key > y->key) - (x->key < y->key);
}

static void chain_rows(struct rollup_writer *w, const struct batch *b)
{
	uint64_t minute = 0, from = 1, until = 0; /* the minute is the same for many in a row */

	memset(w->slots, 0, 2 * w->room * sizeof(*w->slots));
	w->chain_count = 0;
	for (uint32_t i = 0; i < b->row_count; i++) {
		uint64_t start = b->rows[i].id - b->rows[i].moved;

		if (start < from || start >= until) {
			minute = minute_of(&b->rows[i]);
			from = minute * ROLLUP_MINUTE_NS;
			until = from + ROLLUP_MINUTE_NS;
		}
		chain_row(w, minute, b->rows[i].rollup_key, i);
	}
	qsort(w->chains, w->chain_count, sizeof(*w->chains), by_minute_and_key);
}

/* --- minutes --- */

struct minute {
	uint64_t count, recorded, failed, request_bytes, response_bytes;
};

static void add_sums(struct minute *sum, const struct minute *more)
{
	sum->count += more->count;
	sum->recorded += more->recorded;
	sum->failed += more->failed;
	sum->request_bytes = rollup_sum(sum->request_bytes, more->request_bytes);
	sum->response_bytes = rollup_sum(sum->response_bytes, more->response_bytes);
}

static void sum_chain(struct rollup_writer *w, const struct batch *b, const struct chain *c,
		      struct minute *sum, uint64_t *last_key)
{
	struct rollup_entry entry = {.key = c->key};

	sketch_clear(&w->sketch);
	for (uint32_t i = c->first; i != UINT32_MAX; i = w->next[i]) {
		const struct row *row = &b->rows[i];

		entry.count += row->weight;
		entry.request_bytes = rollup_sum(entry.request_bytes,
						 rollup_times(row->request_bytes, row->weight));
		entry.response_bytes = rollup_sum(entry.response_bytes,
						  rollup_times(row->response_bytes, row->weight));
		sum->recorded++;
		sum->failed += outcome_is_failed(row->outcome) ? row->weight : 0;
		if (row->latency_ns)
			sketch_add(&w->sketch, row->latency_ns, row->weight);
	}
	buf_clear(&w->text);
	sketch_write(&w->sketch, &w->text);
	entry.sketch = buf_span(&w->text);
	rollup_add(&w->entries, last_key, &entry);
	add_sums(sum, &(struct minute){.count = entry.count,
				       .request_bytes = entry.request_bytes,
				       .response_bytes = entry.response_bytes});
}

static struct span take_old(sqlite3_stmt *st, struct minute *sum)
{
	add_sums(sum, &(struct minute){
			      .count = (uint64_t)sqlite3_column_int64(st, 0),
			      .failed = (uint64_t)sqlite3_column_int64(st, 1),
			      .request_bytes = (uint64_t)sqlite3_column_int64(st, 2),
			      .response_bytes = (uint64_t)sqlite3_column_int64(st, 3),
			      .recorded = (uint64_t)sqlite3_column_int64(st, 5),
		      });
	return span_of(sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4));
}

/* What the tape has of the minute: added to @sum, and with w->entries into w->sum. */
static int merge_old(struct rollup_writer *w, uint64_t minute, struct minute *sum, struct err *e)
{
	sqlite3_stmt *st = w->st[ST_OLD];
	struct span old = {0};
	int step, r;

	(void)sqlite3_bind_int64(st, 1, (int64_t)minute);
	step = sqlite3_step(st);
	if (step == SQLITE_ROW)
		old = take_old(st, sum);
	else if (step != SQLITE_DONE)
		return tape_failed(w->tape, e);
	buf_clear(&w->sum);
	r = rollup_merge(old, buf_span(&w->entries), &w->merged, &w->sum);
	if (r ==
	    -EBADMSG) { /* damage of the counts must not stop the recording: they are not whole */
		w->lost_counts = LOST;
		buf_clear(&w->sum);
		buf_add_span(&w->sum, buf_span(&w->entries));
		r = w->sum.is_failed ? -ENOMEM : 0;
	}
	(void)sqlite3_reset(st);
	return r < 0 ? err_set(e, r, "store: no memory for the counts of a minute") : 0;
}

static int step_once(struct rollup_writer *w, enum statement which, struct err *e)
{
	int r = sqlite3_step(w->st[which]) == SQLITE_DONE ? 0 : tape_failed(w->tape, e);

	(void)sqlite3_reset(w->st[which]);
	return r;
}

static int write_minute(struct rollup_writer *w, uint64_t minute, struct minute *sum, struct err *e)
{
	sqlite3_stmt *st = w->st[ST_MINUTE];
	struct span entries = buf_span(&w->entries);
	int r = 0;

	if (w->entries.is_failed || w->sketch.is_failed)
		return err_set(e, -ENOMEM, "store: no memory for the counts of a minute");
	if (minute <= w->last_minute) {
		r = merge_old(w, minute, sum, e);
		entries = buf_span(&w->sum);
	}
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, (int64_t)minute);
	(void)sqlite3_bind_int64(st, 2, (int64_t)sum->count);
	(void)sqlite3_bind_int64(st, 3, (int64_t)sum->failed);
	(void)sqlite3_bind_int64(st, 4, (int64_t)sum->request_bytes);
	(void)sqlite3_bind_int64(st, 5, (int64_t)sum->response_bytes);
	(void)sqlite3_bind_blob(st, 6, entries.ptr, (int)entries.len, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 7, (int64_t)sum->recorded);
	r = step_once(w, ST_MINUTE, e);
	w->last_minute = MAX(w->last_minute, minute);
	return r;
}

static int write_minutes(struct rollup_writer *w, const struct batch *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < w->chain_count && r == 0;) {
		uint64_t minute = w->chains[i].minute, last_key = 0;
		struct minute sum = {0};

		buf_clear(&w->entries);
		for (; i < w->chain_count && w->chains[i].minute == minute; i++)
			sum_chain(w, b, &w->chains[i], &sum, &last_key);
		r = write_minute(w, minute, &sum, e);
	}
	return r;
}

/* --- failures --- */

static int by_failure(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	if (x->outcome != y->outcome)
		return x->outcome < y->outcome ? -1 : 1;
	if (minute_of(x) != minute_of(y))
		return minute_of(x) < minute_of(y) ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static bool is_same_failure(const struct row *x, const struct row *y)
{
	return x->kind == y->kind && x->src == y->src && x->outcome == y->outcome &&
	       minute_of(x) == minute_of(y);
}

static int write_failure(struct rollup_writer *w, const struct row *first, const struct row *last,
			 size_t count, struct err *e)
{
	sqlite3_stmt *st = w->st[ST_FAILURE];

	(void)sqlite3_bind_int64(st, 1, (int64_t)first->kind);
	(void)sqlite3_bind_int64(st, 2, (int64_t)first->src);
	(void)sqlite3_bind_int(st, 3, first->outcome);
	(void)sqlite3_bind_int64(st, 4, (int64_t)minute_of(first));
	(void)sqlite3_bind_int64(st, 5, (int64_t)count);
	(void)sqlite3_bind_int64(st, 6, (int64_t)first->id);
	(void)sqlite3_bind_int64(st, 7, (int64_t)last->id);
	return step_once(w, ST_FAILURE, e);
}

static int write_failures(struct rollup_writer *w, const struct batch *b, struct err *e)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < b->row_count; i++)
		if (outcome_is_failed(b->rows[i].outcome))
			w->failures[n++] = &b->rows[i];
	qsort(w->failures, n, sizeof(*w->failures), by_failure);
	for (size_t from = 0, to; from < n && r == 0; from = to) {
		for (to = from + 1; to < n && is_same_failure(w->failures[from], w->failures[to]);)
			to++;
		r = write_failure(w, w->failures[from], w->failures[to - 1], to - from, e);
	}
	return r;
}

int rollup_writer_write(struct rollup_writer *w, const struct batch *b, struct err *e)
{
	int r;

	if (!make_room(w, b->row_count))
		return err_set(e, -ENOMEM, "store: no memory for the counts of a minute");
	w->lost_counts = 0;
	chain_rows(w, b);
	r = write_minutes(w, b, e);
	if (r == 0)
		r = write_failures(w, b, e);
	(void)sqlite3_bind_int64(w->st[ST_COUNTED], 1, (int64_t)b->row_count - w->lost_counts);
	return r == 0 ? step_once(w, ST_COUNTED, e) : r;
}
