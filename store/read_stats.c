// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/nearest.h"
#include "store/read_list.h"
#include "store/rollup_digest.h"
#include "store/stats_table.h"

/*
 * Theory of operation. A question can be answered from what tapes counted when its fields are parts
 * of a rollup key, its intervals are whole minutes, its filter looks at nothing but parts of a key
 * and every tape has counted all it holds. Whether the filter does is seen from its SQL: constants
 * are bound, so what it names with a dot is a column. Each key is then judged once, as an exchange
 * that has these fields alone, and minutes are added up by key.
 *
 * Sealed tapes have sums of their counts (store/rollup_digest.h). Totals of minutes answer who asks
 * for all, by no field; hours by key stand for the minutes of an hour that lie in one interval and in
 * one point.
 *
 * Anything else is read exchange by exchange. The times are rounded in the same way for both, so
 * that the answer does not depend on which it is.
 */
#define TIME_MAX (UINT64_C(1) << 62)
#define HOUR_NS	 (ROLLUP_DIGEST_HOUR * ROLLUP_MINUTE_NS)
#define LONG_NS	 (12 * HOUR_NS) /* so many points at least */

struct question {
	const struct stats_query *q;
	struct stats_answer *answer;
	struct query rounded; /* q->select with the answer's times and without a limit */
	struct stats_table *table;
	bool is_of_all; /* no filter, no field: one group of everything */
	struct err *e;
};

static int no_memory(struct question *k)
{
	if (stats_table_is_full(k->table))
		return err_set(k->e, -E2BIG,
			       "more than %d groups and intervals: ask for longer intervals, fewer "
			       "fields or less time",
			       STATS_CELLS_MAX);
	return err_set(k->e, -ENOMEM, "reader: out of memory");
}

/* --- times --- */

static uint64_t round_up(uint64_t v, uint64_t step)
{
	return v > TIME_MAX ? v : (v + step - 1) / step * step;
}

static uint64_t point_step(const struct stats_answer *a, uint64_t unit)
{
	uint64_t span = a->until_ns - a->points_ns;

	return round_up(MAX((span + STATS_POINTS - 1) / STATS_POINTS, 1), unit);
}

/* Points of whole hours where there are enough of them: what tapes have added up serves then. */
static void choose_points(struct stats_answer *a, uint64_t unit)
{
	bool is_long = a->until_ns - a->since_ns >= LONG_NS;

	a->points_ns = is_long ? a->since_ns / HOUR_NS * HOUR_NS : a->since_ns;
	a->step_ns = point_step(a, is_long ? HOUR_NS : unit);
}

/* Return: false when no time is left. */
static bool round_times(struct question *k, uint64_t first, uint64_t last)
{
	uint64_t every = k->q->every_ns;
	uint64_t unit = every ? every : STATS_UNIT_NS;
	uint64_t since = k->q->select->since_ns, until = k->q->select->until_ns;

	since = since ? since : first;
	until = until ? until : last + 1;
	if (first > last || since >= until)
		return false;
	k->answer->since_ns = since / unit * unit;
	k->answer->until_ns = round_up(until, unit);
	choose_points(k->answer, MIN(unit, STATS_UNIT_NS));
	k->rounded = *k->q->select;
	k->rounded.since_ns = k->answer->since_ns;
	k->rounded.until_ns = k->answer->until_ns;
	k->rounded.limit = k->rounded.cursor = 0;
	k->rounded.wants_messages = false;
	return true;
}

/* --- can it be answered from the counts? --- */

/* columns that a rollup key has, as a filter's SQL names them */
static const char *const key_columns[] = {
	"kind.protocol",    "kind.method",	"kind.route",	 "kind.status",	  "kind.reason",
	"kind.grpc_status", "exchange.outcome", "src.service",	 "src.namespace", "src.workload",
	"dst.port",	    "dst.service",	"dst.namespace", "dst.workload",  NULL,
};

static bool question_fits(struct question *k, const struct read_plan *p)
{
	char *why = k->answer->why;

	for (size_t i = 0; i < k->q->by_count; i++)
		if (!rollup_has_field(k->q->by[i])) {
			(void)snprintf(why, STATS_WHY_MAX,
				       "%s is not among the fields that are counted",
				       field_rows[k->q->by[i]].name);
			return false;
		}
	if (k->q->every_ns % ROLLUP_MINUTE_NS)
		(void)snprintf(why, STATS_WHY_MAX, "intervals of less than whole minutes");
	else if (!read_plan_names_only(p, key_columns))
		(void)snprintf(why, STATS_WHY_MAX,
			       "the filter looks at more than the fields that are counted");
	return why[0] == '\0';
}

/* --- from the counts --- */

/* What a key counts for; group STATS_NO_GROUP: for nothing. */
struct key_group {
	uint32_t group;
	bool is_failed;
};

struct key_map {
	struct key_group *all; /* owned: by number of the key */
	size_t room;
};

static bool key_map_set(struct key_map *m, uint64_t key, struct key_group to)
{
	if (key >= m->room) {
		size_t room = MAX(2 * m->room, (size_t)key + 256);
		struct key_group *grown =
			key < UINT32_MAX ? realloc(m->all, room * sizeof(*grown)) : NULL;

		if (!grown)
			return false;
		for (size_t i = m->room; i < room; i++)
			grown[i] = (struct key_group){STATS_NO_GROUP, false};
		m->all = grown;
		m->room = room;
	}
	m->all[key] = to;
	return true;
}

static int read_keys(struct question *k, struct tape *t, struct key_map *m)
{
	sqlite3_stmt *st = tape_prepare(t, "SELECT " ROLLUP_KEY_COLUMNS " FROM rollup_key", k->e);
	const struct filter *f = k->q->select->filter;
	int step = SQLITE_ERROR, r = 0;

	while (st && r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct exchange x = rollup_key_row(st);
		struct key_group to = {STATS_NO_GROUP, exchange_is_failed(&x)};

		if (f && !filter_matches(f, &x))
			continue;
		to.group = stats_table_group(k->table, &x);
		if (to.group == STATS_NO_GROUP ||
		    !key_map_set(m, (uint64_t)sqlite3_column_int64(st, 0), to))
			r = no_memory(k);
	}
	(void)sqlite3_finalize(st);
	return r < 0 ? r : step == SQLITE_DONE ? 0 : tape_failed(t, k->e);
}

static int add_entry(struct question *k, struct key_group to, uint64_t at_ns,
		     struct rollup_entry *entry)
{
	struct stats_cell *c = stats_table_cell(k->table, to.group, at_ns, entry->count);

	if (!c)
		return no_memory(k);
	c->count += entry->count;
	c->failed += to.is_failed ? entry->count : 0;
	c->request_bytes = rollup_sum(c->request_bytes, entry->request_bytes);
	c->response_bytes = rollup_sum(c->response_bytes, entry->response_bytes);
	if (!sketch_read(&c->latency, &entry->sketch))
		return -EBADMSG;
	return c->latency.is_failed ? no_memory(k) : 0;
}

static int add_failed(struct question *k, uint32_t group, uint64_t at_ns, uint64_t failed)
{
	struct stats_cell *c = stats_table_cell(k->table, group, at_ns, 0);

	if (c)
		c->failed += failed;
	return c ? 0 : no_memory(k);
}

static int add_minute(struct question *k, const struct key_map *m, uint64_t minute,
		      struct span entries)
{
	struct rollup_reader in = {.rest = entries};
	struct rollup_entry entry;
	int r = 0, has;

	while (r == 0 && (has = rollup_next(&in, &entry)) != 0) {
		if (has < 0)
			return has;
		if (entry.key < m->room && m->all[entry.key].group != STATS_NO_GROUP)
			r = add_entry(k, m->all[entry.key], minute * ROLLUP_MINUTE_NS, &entry);
	}
	return r;
}

/* Minutes [@from, @to) one by one. */
static int read_minutes(struct question *k, struct tape *t, const struct key_map *m, uint64_t from,
			uint64_t to)
{
	sqlite3_stmt *st = tape_prepare(
		t,
		"SELECT minute, entries, count <> recorded FROM rollup WHERE minute >= ? AND"
		" minute < ?",
		k->e);
	int step = SQLITE_ERROR, r = 0;

	(void)sqlite3_bind_int64(st, 1, (int64_t)from);
	(void)sqlite3_bind_int64(st, 2, (int64_t)to);
	while (st && r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		r = add_minute(
			k, m, (uint64_t)sqlite3_column_int64(st, 0),
			span_of(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1)));
		k->answer->is_sampled = k->answer->is_sampled || sqlite3_column_int(st, 2);
	}
	(void)sqlite3_finalize(st);
	return r < 0 ? r : step == SQLITE_DONE ? 0 : tape_failed(t, k->e);
}

/* --- from sums of the counts --- */

/* What is asked of a tape, in minutes: no further than it reaches. */
struct minutes {
	uint64_t from, to; /* to: exclusive */
};

static struct minutes asked_minutes(const struct question *k, const struct tape_summary *sum)
{
	uint64_t first = sum->first_id - MIN(sum->moved_max, sum->first_id);

	return (struct minutes){
		MAX(k->answer->since_ns, first) / ROLLUP_MINUTE_NS,
		MIN(round_up(k->answer->until_ns, ROLLUP_MINUTE_NS) / ROLLUP_MINUTE_NS,
		    sum->last_id / ROLLUP_MINUTE_NS + 1),
	};
}

/* The total of a minute goes where all of its exchanges would go. */
static int add_total(struct question *k, uint64_t minute, const struct rollup_digest *d)
{
	struct rollup_reader in = {.rest = d->entries};
	uint32_t group = stats_table_group(k->table, &(struct exchange){0});
	struct rollup_entry entry;
	int has = rollup_next(&in, &entry), r;

	if (has <= 0)
		return has;
	if (group == STATS_NO_GROUP)
		return no_memory(k);
	r = add_entry(k, (struct key_group){group, false}, minute * ROLLUP_MINUTE_NS, &entry);
	return r < 0 ? r : add_failed(k, group, minute * ROLLUP_MINUTE_NS, d->failed);
}

static int read_totals(struct question *k, struct rollup_digests *sums, struct minutes m)
{
	struct rollup_digest d;
	uint64_t at;
	int r = 0, has = 1;

	while (r == 0 && (has = rollup_digests_find(sums, 1, m.from, m.to, &at, &d, k->e)) == 1) {
		r = add_total(k, at, &d);
		k->answer->is_sampled = k->answer->is_sampled || d.is_sampled;
		m.from = at + 1;
	}
	return r < 0 ? r : MIN(has, 0);
}

/* Do all minutes of [@from, @to) count in the same places? */
static bool is_one_place(const struct question *k, uint64_t from, uint64_t to)
{
	const struct stats_answer *a = k->answer;
	uint64_t first = from * ROLLUP_MINUTE_NS, last = (to - 1) * ROLLUP_MINUTE_NS;
	uint64_t every = k->q->every_ns;

	return (first - a->points_ns) / a->step_ns == (last - a->points_ns) / a->step_ns &&
	       (!every || (first - a->since_ns) / every == (last - a->since_ns) / every);
}

static int add_hour(struct question *k, struct rollup_digests *sums, const struct key_map *m,
		    uint64_t from)
{
	struct rollup_digest d;
	uint64_t at;
	int has = rollup_digests_find(sums, ROLLUP_DIGEST_HOUR, from, from + 1, &at, &d, k->e);

	if (has <= 0)
		return has;
	k->answer->is_sampled = k->answer->is_sampled || d.is_sampled;
	return add_minute(k, m, from, d.entries);
}

/* Hours where they serve, minutes between them. */
static int read_hours(struct question *k, struct tape *t, struct rollup_digests *sums,
		      const struct key_map *m, struct minutes asked)
{
	uint64_t at = asked.from, to;
	int r = 0;

	/* what the tape does not reach belongs to its first and last hour, too */
	if (asked.from > k->answer->since_ns / ROLLUP_MINUTE_NS)
		at = MAX(at / ROLLUP_DIGEST_HOUR * ROLLUP_DIGEST_HOUR,
			 k->answer->since_ns / ROLLUP_MINUTE_NS);
	for (; at < asked.to && r == 0; at = to) {
		to = (at / ROLLUP_DIGEST_HOUR + 1) * ROLLUP_DIGEST_HOUR;
		if (at % ROLLUP_DIGEST_HOUR == 0 && to * ROLLUP_MINUTE_NS <= k->answer->until_ns &&
		    is_one_place(k, at, to))
			r = add_hour(k, sums, m, at);
		else
			r = read_minutes(k, t, m, at, MIN(to, asked.to));
	}
	return r;
}

static int read_sums(struct question *k, struct seen_tape *seen, const struct key_map *m)
{
	struct tape *t = read_tape_tape(seen->open);
	struct minutes asked = asked_minutes(k, &seen->summary);
	struct rollup_digests *sums = NULL;
	int r = seen->summary.is_sealed ? rollup_digests_open(t, &sums, k->e) : 0;

	if (r == 1 && k->is_of_all)
		r = read_totals(k, sums, asked);
	else if (r == 1)
		r = read_hours(k, t, sums, m, asked);
	else if (r == 0)
		r = read_minutes(k, t, m, asked.from, asked.to);
	rollup_digests_close(sums);
	if (r == -EBADMSG && k->e->code == 0)
		return err_set(k->e, r, "tape %s: damaged: the counts of a minute", tape_path(t));
	return r;
}

/* Keys and minutes are read as of one moment: a writer may add to both. */
static int add_counts(struct question *k, struct seen_tape *seen)
{
	struct tape *t = read_tape_tape(seen->open);
	struct key_map m = {0};
	int r = tape_run(t, "BEGIN", k->e), end;

	if (r == 0)
		r = read_keys(k, t, &m);
	if (r == 0)
		r = read_sums(k, seen, &m);
	end = tape_run(t, "ROLLBACK", NULL);
	free(m.all);
	return r < 0 ? r : end;
}

static bool tape_is_meant(const struct question *k, const struct tape_summary *sum)
{
	return sum->rows && sum->last_id >= k->answer->since_ns &&
	       sum->first_id - MIN(sum->moved_max, sum->first_id) < k->answer->until_ns;
}

/* For each tape in the time asked for. Return: as @fn; 1 when it returned more than 0. */
static int each_tape(struct question *k, struct reader *r,
		     int (*fn)(struct question *k, struct seen_tape *t))
{
	int failed = 0;

	for (size_t i = r->count; i-- > 0 && failed == 0;) {
		if (!r->tapes[i].has_summary || !tape_is_meant(k, &r->tapes[i].summary))
			continue;
		r->turn++;
		failed = read_set_open(r, &r->tapes[i], k->e);
		if (failed == 0)
			failed = fn(k, &r->tapes[i]);
		failed = failed == -ENOENT ? 0 : failed;
	}
	return failed;
}

/* Return: 1 to stop: one has not. */
static int check_tape(struct question *k, struct seen_tape *t)
{
	uint64_t removed = 0;
	int is_whole = rollup_is_whole(read_tape_tape(t->open), &removed, k->e);

	k->answer->removed += removed;
	if (is_whole == 0)
		(void)snprintf(k->answer->why, STATS_WHY_MAX,
			       "tape %s has no counts of all it holds", t->path);
	return is_whole < 0 ? is_whole : !is_whole;
}

static int add_tape(struct question *k, struct seen_tape *t)
{
	return add_counts(k, t);
}

/* --- exchange by exchange --- */

static int add_exchange(void *ctx, const struct exchange *x)
{
	struct question *k = ctx;
	uint32_t group = stats_table_group(k->table, x);
	uint64_t weight = MAX(x->weight, 1);
	struct stats_cell *c = group == STATS_NO_GROUP
				       ? NULL
				       : stats_table_cell(k->table, group, x->start_ns, weight);
	uint64_t latency = exchange_latency_ns(x);

	if (!c)
		return no_memory(k);
	c->count += weight;
	c->failed += exchange_is_failed(x) ? weight : 0;
	c->request_bytes =
		rollup_sum(c->request_bytes, rollup_times(x->request.body_bytes, weight));
	c->response_bytes =
		rollup_sum(c->response_bytes, rollup_times(x->response.body_bytes, weight));
	k->answer->is_sampled = k->answer->is_sampled || weight > 1;
	if (latency)
		sketch_add(&c->latency, latency, weight);
	return c->latency.is_failed ? no_memory(k) : 0;
}

/* --- the answer --- */

/* Failures are kept longer than the rest: what was counted before the rest begins is no whole. */
static void look_for_failures_only(struct question *k, const struct reader *r)
{
	uint64_t first_rest = UINT64_MAX;
	bool has_failures = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct tape_summary *sum = &r->tapes[i].summary;

		if (!r->tapes[i].has_summary || sum->rows == 0)
			continue;
		has_failures = has_failures || r->tapes[i].is_failures;
		if (!r->tapes[i].is_failures)
			first_rest =
				MIN(first_rest, sum->first_id - MIN(sum->moved_max, sum->first_id));
	}
	if (has_failures && first_rest != UINT64_MAX &&
	    first_rest > k->answer->since_ns + ROLLUP_MINUTE_NS)
		k->answer->failures_only_until_ns = first_rest;
}

static int ask(struct question *k, struct reader *r, stats_row_fn *fn, void *ctx)
{
	struct read_plan p;
	int failed = read_plan_init(&p, &k->rounded, NULL, k->e);

	if (failed == 0)
		failed = read_set_permits(r, &k->rounded, k->e);
	if (failed == 0 && question_fits(k, &p))
		failed = each_tape(k, r, check_tape);
	failed = MIN(failed, 0);
	k->is_of_all = p.is_all && !p.needs_residual && k->q->by_count == 0;
	k->answer->is_rollup = failed == 0 && k->answer->why[0] == '\0';
	if (failed == 0 && k->answer->is_rollup)
		failed = each_tape(k, r, add_tape);
	else if (failed == 0)
		failed = read_list(r, &p, add_exchange, k, NULL, k->e);
	read_plan_fini(&p);
	if (r->scope) /* how many were removed is known of all namespaces together */
		k->answer->removed = 0;
	if (failed == 0)
		stats_table_sum_up(k->table, k->answer);
	return failed < 0 ? failed : stats_table_hand_out(k->table, k->q->select->limit, fn, ctx);
}

static int answer_question(struct question *k, struct reader *r, stats_row_fn *fn, void *ctx)
{
	uint64_t first, last, every = k->q->every_ns;
	int failed = read_set_bounds(r, &first, &last, k->e);

	if (failed < 0 || !round_times(k, first, last))
		return failed;
	if (every && (k->answer->until_ns - k->answer->since_ns) / every > STATS_CELLS_MAX)
		return err_set(k->e, -E2BIG,
			       "more than %d intervals: ask for longer ones or less time",
			       STATS_CELLS_MAX);
	look_for_failures_only(k, r);
	k->table = stats_table_new(k->q, k->answer);
	if (!k->table)
		return err_set(k->e, -ENOMEM, "reader: out of memory");
	failed = ask(k, r, fn, ctx);
	stats_table_free(k->table);
	return failed;
}

int reader_stats(struct reader *r, const struct stats_query *q, stats_row_fn *fn, void *ctx,
		 struct stats_answer *answer, struct err *e)
{
	struct err why = {0};
	struct question k = {.q = q, .answer = answer, .e = &why};
	int failed;

	*answer = (struct stats_answer){0};
	failed = answer_question(&k, r, fn, ctx);
	return failed < 0 ? err_set(e, failed, "%s", *why.why ? why.why : strerror(-failed)) : 0;
}

/* --- what is asked --- */

static int wrong_field(struct span name, struct err *e)
{
	const char *names[FIELD_COUNT];
	const char *near;

	for (int i = 0; i < FIELD_COUNT; i++)
		names[i] = field_rows[i].name;
	near = nearest_name(name, names, FIELD_COUNT);
	return err_set(e, -EINVAL, "there is no field \"%.*s\"%s%s%s",
		       (int)MIN(name.len, (size_t)64), (const char *)name.ptr,
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int stats_parse_by(struct span text, struct stats_query *q, struct err *e)
{
	q->by_count = 0;
	while (text.len) {
		const uint8_t *comma = memchr(text.ptr, ',', text.len);
		size_t n = comma ? (size_t)(comma - text.ptr) : text.len;
		struct span name = span_trim(span_of(text.ptr, n));
		int field = field_parse(name);

		text = span_from(text, n + 1);
		if (name.len == 0)
			continue;
		if (field < 0)
			return wrong_field(name, e);
		if (q->by_count == STATS_BY_MAX)
			return err_set(e, -EINVAL, "more than %d fields", STATS_BY_MAX);
		q->by[q->by_count++] = (enum field)field;
	}
	return 0;
}
