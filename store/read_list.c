// SPDX-License-Identifier: Apache-2.0
#include "store/read_list.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/id.h"
#include "schema/sql.h"

/*
 * Theory of operation. A track is a piece of a tape that is sorted by id: the tape as a whole, or
 * one kind of it. All tracks are merged. A track reads ahead a few rows at a time into memory and
 * then resets its statement, so no read transaction stays open while the caller works, and the
 * writer's log can be emptied. Where it goes on is the last id it read (keyset).
 *
 * Tapes are opened only when the merge comes to their windows, so the newest fifty exchanges open
 * one or two tapes of a thousand.
 */
#define READ_AHEAD_FIRST 16 /* rows; twice as many each time, up to */
#define READ_AHEAD_MAX	 512
#define READ_AHEAD_BYTES (256 << 10)
#define EDGE_NS		 (60 * NS_PER_S)

struct track {
	struct seen_tape *tape;
	sqlite3_stmt *st;
	uint64_t kind; /* 0: all */
	uint64_t after, before;
	struct batch rows;
	size_t at; /* of the next row in rows */
	size_t ahead;
	bool is_read;		 /* nothing is left on the tape */
	struct id_ranges ranges; /* owned: only these are read, one after the other */
	size_t range_count;	 /* that are left */
	uint64_t low, high;	 /* ids exclusive, whatever the ranges say */
};

struct merge {
	struct reader *reader;
	const struct read_plan *plan;
	struct seen_tape **tapes; /* with something in their windows, in the order of the list */
	size_t tape_count, next_tape;
	struct track *tracks;
	size_t count, room;
	bool reached_edge; /* effort.reached is the edge of a tape, and no row that was read */
};

static bool is_before(const struct read_plan *p, uint64_t a, uint64_t b)
{
	return p->q->is_reverse ? a < b : a > b;
}

/* The id at which a tape begins, as the list goes. */
static uint64_t edge(const struct read_plan *p, const struct seen_tape *t)
{
	return p->q->is_reverse ? t->summary.first_id : t->summary.last_id;
}

/* --- one track --- */

void read_list_sql(const struct read_plan *p, const char *common_kinds, struct buf *sql)
{
	buf_add_fmt(sql, "SELECT " READ_COLUMNS " FROM %s", p->is_all ? "exchange" : SQL_FROM);
	read_plan_where(p, sql);
	if (common_kinds) {
		buf_add_str(sql, " AND exchange.kind = ?");
		sql_uncommon(common_kinds, sql);
	}
	buf_add_fmt(sql, " ORDER BY exchange.id %s LIMIT ?", p->q->is_reverse ? "ASC" : "DESC");
}

static int prepare_track(const struct read_plan *p, struct track *k, struct err *e)
{
	AUTO_BUF sql = {0};

	read_list_sql(p, k->kind ? k->tape->summary.common_kinds : NULL, &sql);
	if (p->explains && read_explain_plan(p, read_tape_tape(k->tape->open),
					     k->kind			  ? "kind by kind"
					     : k->tape->summary.is_sealed ? "sealed tape"
									  : "growing tape",
					     buf_cstr(&sql), e) < 0)
		return e->code;
	k->st = tape_prepare(read_tape_tape(k->tape->open), buf_cstr(&sql), e);
	return k->st ? 0 : e->code;
}

static void track_fini(struct track *k)
{
	(void)sqlite3_finalize(k->st);
	batch_fini(&k->rows);
	id_ranges_fini(&k->ranges);
}

static int read_rows(const struct read_plan *p, struct track *k, struct err *e)
{
	int step, r = 0;

	while (r == 0 && k->rows.bytes.len < READ_AHEAD_BYTES &&
	       (step = sqlite3_step(k->st)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			return tape_failed(read_tape_tape(k->tape->open), e);
		r = read_tape_row(k->st, p->wants_messages, &k->rows);
	}
	return r < 0 ? err_set(e, r, "reader: out of memory") : 0;
}

/* Go on to the next range in which there is something to read. Return: false when there is none. */
static bool next_range(const struct read_plan *p, struct track *k)
{
	while (k->range_count) {
		size_t at =
			p->q->is_reverse ? k->ranges.count - k->range_count : k->range_count - 1;
		const struct id_range *r = &k->ranges.all[at];

		k->range_count--;
		k->after = MAX(k->low, r->first - 1);
		k->before = MIN(k->high, r->last + 1);
		if (k->after + 1 < k->before)
			return true;
	}
	return false;
}

static int fill_once(const struct read_plan *p, struct track *k, uint64_t *read, struct err *e)
{
	int at, r;

	if (k->rows.row_count) {
		uint64_t last = k->rows.rows[k->rows.row_count - 1].id;

		*(p->q->is_reverse ? &k->after : &k->before) = last;
	}
	batch_clear(&k->rows);
	k->at = 0;
	at = read_plan_bind(p, k->st, 1, k->after, k->before);
	if (k->kind)
		(void)sqlite3_bind_int64(k->st, at++, (int64_t)k->kind);
	(void)sqlite3_bind_int64(k->st, at, (int64_t)k->ahead);
	r = read_rows(p, k, e);
	*read += k->rows.row_count;
	(void)sqlite3_reset(k->st);
	k->is_read = k->rows.row_count == 0;
	k->ahead = MIN(2 * k->ahead, (size_t)READ_AHEAD_MAX);
	return r;
}

/* Read on, when what was read ahead is used up. */
static int track_fill(const struct read_plan *p, struct track *k, uint64_t *read, struct err *e)
{
	int r = 0;

	if (k->at < k->rows.row_count || k->is_read)
		return 0;
	do
		r = fill_once(p, k, read, e);
	while (r == 0 && k->is_read && next_range(p, k));
	return r;
}

/* --- tapes and their tracks --- */

/* A track that is used up goes; its tape may then be closed, so many need not be open at once. */
static void drop_track(struct merge *m, struct track *k)
{
	struct seen_tape *t = k->tape;

	track_fini(k);
	*k = m->tracks[--m->count];
	for (size_t i = 0; i < m->count; i++)
		if (m->tracks[i].tape == t)
			return;
	t->used = m->reader->turn - 1;
}

/* Read on; a track that is used up goes, and one whose tape cannot be read any further. */
static int fill_or_drop(struct merge *m, struct track *k, struct err *e)
{
	int r = track_fill(m->plan, k, &m->reader->effort.read, e);

	if (r < 0 && read_set_left_out(m->reader, true, r, e) < 0)
		return r;
	if (r < 0 || k->is_read)
		drop_track(m, k);
	return 0;
}

/* @ranges: NULL for all of it, else taken */
static int add_track(struct merge *m, struct seen_tape *t, uint64_t kind, struct id_ranges *ranges,
		     struct err *e)
{
	struct track *k;

	t->used = m->reader->turn;
	if (m->count == m->room) {
		size_t room = m->room ? 2 * m->room : 16;
		struct track *grown = realloc(m->tracks, room * sizeof(*grown));

		if (!grown)
			return err_set(e, -ENOMEM, "reader: out of memory");
		m->tracks = grown;
		m->room = room;
	}
	k = &m->tracks[m->count];
	*k = (struct track){.tape = t, .kind = kind, .ahead = READ_AHEAD_FIRST};
	(void)read_plan_window(m->plan, &t->summary, &k->after, &k->before);
	if (ranges) {
		k->ranges = *ranges;
		k->range_count = ranges->count;
		*ranges = (struct id_ranges){0};
		k->low = k->after;
		k->high = k->before;
		if (!next_range(m->plan, k)) {
			track_fini(k);
			return 0;
		}
	}
	if (prepare_track(m->plan, k, e) < 0) {
		track_fini(k);
		return e->code;
	}
	m->count++;
	return fill_or_drop(m, k, e);
}

/* Return: 1 with the index of texts read, and a track for what it left; 0 there is none. */
static int add_by_text(struct merge *m, struct seen_tape *t, struct err *e)
{
	const struct read_plan *p = m->plan;
	struct id_ranges ranges = {0};
	int r = 0;

	if (p->text_count && t->summary.is_sealed)
		r = fulltext_find(read_tape_tape(t->open), p->texts, p->text_count, &ranges, e);
	if (r <= 0)
		return r;
	if (p->explains && !strstr(buf_cstr(p->explains), "fulltext"))
		buf_add_str(p->explains, "sealed tape: INDEX fulltext, for the runs to read\n");
	r = add_track(m, t, 0, &ranges, e);
	id_ranges_fini(&ranges);
	return r < 0 ? r : 1;
}

static void explain_trace(const struct read_plan *p, const struct seen_tape *t)
{
	const char *form = t->summary.is_sealed ? "sealed tape: INDEX trace, for the ids to read\n"
						: "growing tape: trace_run, for the ids to read\n";

	if (!strstr(buf_cstr(p->explains), form))
		buf_add_str(p->explains, form);
}

/* Return: 1 with the traces found, and a track for what may be theirs; 0 they are to be read for. */
static int add_by_trace(struct merge *m, struct seen_tape *t, struct err *e)
{
	const struct read_plan *p = m->plan;
	struct id_ranges ids = {0};
	int r = p->trace_count > 0;

	for (size_t i = 0; i < p->trace_count && r == 1; i++)
		r = read_tape_find_trace(t->open, p->traces[i], &ids, e);
	if (r == 1 && p->explains)
		explain_trace(p, t);
	if (r == 1 && ids.count) {
		id_ranges_sort(&ids);
		r = add_track(m, t, 0, &ids, e);
		r = r < 0 ? r : 1;
	}
	id_ranges_fini(&ids);
	return r;
}

/* Is one of the kinds in the list "3,17"? It is not in the index, and so frequent that reading the
 * tape finds it at once. */
static bool has_common(const char *list, const uint64_t *kinds, int count)
{
	char *end;

	for (; *list; list = *end == ',' ? end + 1 : end) {
		uint64_t kind = strtoull(list, &end, 10);

		for (int i = 0; i < count; i++)
			if (kinds[i] == kind)
				return true;
		if (end == list)
			return true; /* not such a list: all is read */
	}
	return false;
}

static int begin_tape(struct merge *m, struct seen_tape *t, struct err *e)
{
	uint64_t kinds[READ_PLAN_KINDS_MAX];
	int n, r = read_set_open(m->reader, t, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* retired since */
	r = add_by_trace(m, t, e);
	if (r == 0)
		r = add_by_text(m, t, e);
	if (r)
		return MIN(r, 0);
	/* a trace is found by its index, which is of all kinds */
	n = m->plan->trace_count ? READ_PLAN_KINDS_MAX + 1
				 : read_plan_kinds(m->plan, read_tape_tape(t->open), kinds, e);
	if (n <= 0)
		return n;
	if (n > READ_PLAN_KINDS_MAX || !t->summary.is_sealed ||
	    has_common(t->summary.common_kinds, kinds, n))
		return add_track(m, t, 0, NULL, e);
	for (int i = 0; i < n && r == 0; i++)
		r = add_track(m, t, kinds[i], NULL, e);
	return r;
}

static const struct row *head_of(const struct track *k)
{
	return k->at < k->rows.row_count ? &k->rows.rows[k->at] : NULL;
}

static struct track *first_track(const struct merge *m)
{
	struct track *first = NULL;

	for (size_t i = 0; i < m->count; i++) {
		struct track *k = &m->tracks[i];

		if (head_of(k) &&
		    (!first || is_before(m->plan, head_of(k)->id, head_of(first)->id)))
			first = k;
	}
	return first;
}

/* All before what is wanted of this tape was looked at: never before the query's own cursor. */
static void note_reached(struct merge *m, const struct seen_tape *t)
{
	uint64_t after = 0, before = 0;

	(void)read_plan_window(m->plan, &t->summary, &after, &before);
	m->reader->effort.reached = m->plan->q->is_reverse ? after : before;
	m->reached_edge = true;
}

/*
 * A tape's edge is somebody's exchange: who may not see all learns its minute. Never beyond what was
 * handed out: @cursor.
 */
static void blur_edge(struct merge *m, uint64_t cursor)
{
	uint64_t *at = &m->reader->effort.reached, minute = *at - *at % EDGE_NS;
	bool is_reverse = m->plan->q->is_reverse;

	if (!m->reader->scope || !m->reached_edge || *at == 0)
		return;
	cursor = cursor ? cursor : m->plan->q->cursor;
	*at = is_reverse ? MAX(minute, cursor) : minute + EDGE_NS;
	if (!is_reverse && cursor)
		*at = MIN(*at, cursor);
}

/* The track with the next row; NULL at the end. Tapes that may come before it are opened. */
static int next_track(struct merge *m, struct track **out, struct err *e)
{
	struct track *first = first_track(m);
	int r = 0;

	while (r == 0 && m->next_tape < m->tape_count) {
		struct seen_tape *t = m->tapes[m->next_tape];

		if (first && is_before(m->plan, head_of(first)->id, edge(m->plan, t)))
			break;
		note_reached(m, t);
		m->next_tape++;
		r = read_set_left_out(m->reader, true, begin_tape(m, t, e), e);
		first = first_track(m);
	}
	*out = first;
	return r;
}

static int advance(struct merge *m, struct track *k, struct err *e)
{
	k->at++;
	return fill_or_drop(m, k, e);
}

/* --- the list --- */

static int by_edge(const void *a, const void *b, void *plan)
{
	uint64_t x = edge(plan, *(struct seen_tape *const *)a);
	uint64_t y = edge(plan, *(struct seen_tape *const *)b);

	return x == y ? 0 : is_before(plan, x, y) ? -1 : 1;
}

static int choose_tapes(struct merge *m, struct err *e)
{
	struct reader *r = m->reader;
	uint64_t after, before;

	m->tapes = calloc(r->count + 1, sizeof(*m->tapes));
	if (!m->tapes)
		return err_set(e, -ENOMEM, "reader: out of memory");
	for (size_t i = r->count; i-- > 0;) {
		int failed = read_set_summary(r, &r->tapes[i], e);

		if (failed < 0 && failed != -ENOENT)
			return failed;
		if (failed == 0 && read_plan_window(m->plan, &r->tapes[i].summary, &after, &before))
			m->tapes[m->tape_count++] = &r->tapes[i];
	}
	qsort_r(m->tapes, m->tape_count, sizeof(*m->tapes), by_edge, (void *)(uintptr_t)m->plan);
	return 0;
}

static int read_head(struct merge *m, struct track *k, struct exchange *x, bool *is_wanted,
		     struct err *e)
{
	const struct read_plan *p = m->plan;
	struct reader *r = m->reader;
	int failed = read_tape_exchange(k->tape->open, &k->rows, head_of(k), p->wants_messages,
					r->unpacker, &r->room, x, e);

	*is_wanted =
		failed == 0 && (!p->needs_residual || filter_judge(p->q->filter, r->scratch, x));
	r->effort.judged += p->needs_residual;
	return failed;
}

#define LOOKS 16 /* rows that are judged between two looks at the clock */

static int no_time(const struct reader *r, struct err *e)
{
	return err_set(e, -ETIMEDOUT, "out of time after %llu exchanges",
		       (unsigned long long)r->effort.read);
}

/* Return: 1 at the end, 0 with one more handed out or skipped, or a negative errno. */
static int list_one(struct merge *m, reader_exchange_fn *fn, void *ctx, uint64_t *count,
		    uint64_t *cursor, struct err *e)
{
	struct track *k;
	struct exchange x;
	bool is_wanted;
	int r = next_track(m, &k, e);

	if (r < 0)
		return r;
	if (!k) {
		*cursor = 0;
		return 1;
	}
	if (m->plan->needs_residual && m->reader->effort.judged % LOOKS == LOOKS - 1 &&
	    read_set_is_late(m->reader))
		return no_time(m->reader, e);
	x.id = head_of(k)->id;
	r = read_head(m, k, &x, &is_wanted, e);
	if (r < 0)
		r = read_set_left_out(m->reader, false, r, e);
	if (r == 0 && is_wanted) {
		if (m->plan->q->limit && *count == m->plan->q->limit)
			return 1; /* there is more: the cursor says where */
		++*count;
		*cursor = x.id;
		r = fn(ctx, &x);
	}
	if (r >= 0) {
		m->reader->effort.reached = x.id;
		m->reached_edge = false;
	}
	return r ? r : advance(m, k, e);
}

int read_list(struct reader *r, const struct read_plan *p, reader_exchange_fn *fn, void *ctx,
	      uint64_t *cursor_out, struct err *e)
{
	struct merge m = {.reader = r, .plan = p};
	uint64_t count = 0, cursor = 0;
	int failed = read_set_refresh(r, e);

	r->turn++;
	r->effort = (struct reader_effort){0};
	if (failed == 0)
		failed = choose_tapes(&m, e);
	while (failed == 0)
		failed = list_one(&m, fn, ctx, &count, &cursor, e);
	for (size_t i = 0; i < m.count; i++)
		track_fini(&m.tracks[i]);
	free(m.tracks);
	free(m.tapes);
	r->effort.selected = count;
	blur_edge(&m, cursor);
	/* no step forward is no place to go on from */
	if (r->effort.reached == p->q->cursor)
		r->effort.reached = 0;
	if (failed < 0)
		return failed;
	if (cursor_out)
		*cursor_out = cursor;
	return 0;
}

/* How far it came, and how to go on. */
static int say_how_far(const struct reader *r, struct err *e)
{
	AUTO_BUF when = {0};
	char id[ID_TEXT_LEN + 1];

	if (!r->effort.reached)
		return err_set(
			e, -ETIMEDOUT,
			"out of time before the first tape was read; ask less: a shorter time, a "
			"service, a status");
	clock_format_utc(&when, r->effort.reached);
	return err_set(
		e, -ETIMEDOUT,
		"out of time: %llu exchanges read, up to %s; go on with cursor %s, or ask less: a "
		"shorter time, a service, a status",
		(unsigned long long)r->effort.read, buf_cstr(&when),
		id_format(r->effort.reached, id));
}

int reader_list(struct reader *r, const struct query *q, reader_exchange_fn *fn, void *ctx,
		uint64_t *cursor_out, struct err *e)
{
	struct err why = {0};
	struct read_plan p;
	int failed = read_plan_init(&p, q, NULL, &why);

	if (failed == 0)
		failed = read_set_permits(r, q, &why);
	if (failed == 0)
		failed = read_list(r, &p, fn, ctx, cursor_out, &why);
	read_plan_fini(&p);
	if (failed == -ETIMEDOUT)
		return say_how_far(r, e);
	return failed < 0 ? err_set(e, failed, "%s", *why.why ? why.why : strerror(-failed)) : 0;
}
