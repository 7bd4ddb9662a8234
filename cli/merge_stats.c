// SPDX-License-Identifier: Apache-2.0
#include "cli/merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/array.h"
#include "store/sketch.h"

/*
 * Theory of operation. As cli/merge_failures.c: rows are copied, sorted by group and interval, and
 * equal neighbours added up. Percentiles do not add up; the sketches they were taken from do
 * (store/sketch.h), so daemons are asked for these. Then groups are ranked by all they count.
 */

struct row {
	struct span by[STATS_BY_MAX];
	uint8_t *memory;      /* owned: the texts of by */
	struct stats_row sum; /* its spans are not used */
	struct sketch latency;
	uint64_t points[STATS_POINTS];
	uint64_t since_ns, step_ns; /* of points: what its daemon's answer says */
	uint64_t total, rank;	    /* of its group */
};

struct stats_merge {
	const struct stats_query *by;
	struct row *all;
	size_t count, room;
	size_t answered; /* rows whose daemon's answer is known */
	struct stats_answer answer;
	bool has_answer;
};

struct stats_merge *stats_merge_new(const struct stats_query *by)
{
	struct stats_merge *m = calloc(1, sizeof(*m));

	if (m)
		m->by = by;
	return m;
}

static void row_fini(struct row *r)
{
	free(r->memory);
	sketch_fini(&r->latency);
}

void stats_merge_free(struct stats_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		row_fini(&m->all[i]);
	free(m->all);
	free(m);
}

static int copy_row(const struct stats_merge *m, const struct stats_row *from, struct row *to)
{
	struct span sketch = from->sketch;
	size_t n = 1, at = 0;

	*to = (struct row){.sum = *from};
	for (size_t i = 0; i < m->by->by_count; i++)
		n += from->by[i].len;
	to->memory = malloc(n);
	for (size_t i = 0; i < m->by->by_count && to->memory; i++) {
		if (from->by[i].len)
			memcpy(to->memory + at, from->by[i].ptr, from->by[i].len);
		to->by[i] = span_of(to->memory + at, from->by[i].len);
		at += from->by[i].len;
	}
	for (size_t i = 0; from->points && i < from->point_count; i++)
		to->points[i] = from->points[i];
	if (!to->memory)
		return -ENOMEM;
	if (sketch.len && !sketch_read(&to->latency, &sketch))
		return -EPROTO;
	return to->latency.is_failed ? -ENOMEM : 0;
}

int stats_merge_add(void *merge, const struct stats_row *row)
{
	struct stats_merge *m = merge;
	void *all = m->all;
	int r;

	if (!array_room(&all, &m->room, m->count, sizeof(*m->all)))
		return -ENOMEM;
	m->all = all;
	r = copy_row(m, row, &m->all[m->count]);
	if (r < 0)
		row_fini(&m->all[m->count]);
	else
		m->count++;
	return r;
}

static void add_losses(struct stats_losses *to, const struct stats_losses *from)
{
	to->is_known = to->is_known || from->is_known;
	to->packets += from->packets;
	to->queue_full += from->queue_full;
	to->memory += from->memory;
	to->store_full += from->store_full;
	to->store_error += from->store_error;
}

void stats_merge_answer(struct stats_merge *m, const struct stats_answer *a)
{
	struct stats_answer *to = &m->answer;

	for (; m->answered < m->count; m->answered++) {
		m->all[m->answered].since_ns = a->points_ns ? a->points_ns : a->since_ns;
		m->all[m->answered].step_ns = a->step_ns;
	}
	add_losses(&to->lost, &a->lost);
	if (!a->until_ns)
		return; /* it has nothing */
	if (!m->has_answer) {
		struct stats_losses lost = to->lost;

		*to = *a;
		to->lost = lost;
		to->points_ns = a->points_ns ? a->points_ns : a->since_ns;
		m->has_answer = true;
		return;
	}
	to->since_ns = MIN(to->since_ns, a->since_ns);
	to->points_ns = MIN(to->points_ns, a->points_ns ? a->points_ns : a->since_ns);
	to->until_ns = MAX(to->until_ns, a->until_ns);
	to->step_ns = MAX(to->step_ns, a->step_ns);
	to->count += a->count;
	to->removed += a->removed;
	to->is_rollup = to->is_rollup && a->is_rollup;
	to->is_sampled = to->is_sampled || a->is_sampled;
	to->has_others = to->has_others || a->has_others;
	to->failures_only_until_ns = MAX(to->failures_only_until_ns, a->failures_only_until_ns);
	if (!to->why[0])
		(void)snprintf(to->why, sizeof(to->why), "%s", a->why);
}

static int compare_groups(const struct row *a, const struct row *b)
{
	int r = 0;

	for (size_t i = 0; i < STATS_BY_MAX && r == 0; i++) {
		size_t n = MIN(a->by[i].len, b->by[i].len);

		r = n ? memcmp(a->by[i].ptr, b->by[i].ptr, n) : 0;
		if (r == 0)
			r = (a->by[i].len > b->by[i].len) - (a->by[i].len < b->by[i].len);
	}
	return r;
}

static int by_group(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int r = compare_groups(a, b);

	return r ? r : (a->sum.at_ns > b->sum.at_ns) - (a->sum.at_ns < b->sum.at_ns);
}

static int by_total(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int r = (a->total < b->total) - (a->total > b->total);

	return r ? r : by_group(x, y);
}

static int by_time(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int r = (a->sum.at_ns > b->sum.at_ns) - (a->sum.at_ns < b->sum.at_ns);

	return r ? r : (a->rank > b->rank) - (a->rank < b->rank);
}

static void put_on_axis(const struct stats_merge *m, struct row *r)
{
	uint64_t points[STATS_POINTS] = {0};

	for (size_t i = 0; i < r->sum.point_count; i++) {
		uint64_t at =
			(r->since_ns + i * r->step_ns - m->answer.points_ns) / m->answer.step_ns;

		points[MIN(at, STATS_POINTS - 1)] += r->points[i];
	}
	memcpy(r->points, points, sizeof(points));
}

static int add_up(struct row *to, struct row *from)
{
	to->sum.count += from->sum.count;
	to->sum.failed += from->sum.failed;
	to->sum.request_bytes += from->sum.request_bytes;
	to->sum.response_bytes += from->sum.response_bytes;
	sketch_merge(&to->latency, &from->latency);
	for (size_t i = 0; i < STATS_POINTS; i++)
		to->points[i] += from->points[i];
	row_fini(from);
	return to->latency.is_failed ? -ENOMEM : 0;
}

static void choose_axis(struct stats_merge *m)
{
	struct stats_answer *a = &m->answer;
	uint64_t most = (a->until_ns - a->points_ns + STATS_POINTS - 1) / STATS_POINTS;

	a->step_ns = MAX(a->step_ns, 1);
	a->step_ns = MAX((most + a->step_ns - 1) / a->step_ns, 1) * a->step_ns;
	for (size_t i = 0; i < m->count; i++)
		put_on_axis(m, &m->all[i]);
}

static int join(struct stats_merge *m)
{
	size_t kept = 0;
	int r = 0;

	if (m->count) /* qsort() wants an address */
		qsort(m->all, m->count, sizeof(*m->all), by_group);
	for (size_t i = 0; i < m->count; i++) {
		if (!kept || by_group(&m->all[kept - 1], &m->all[i]) != 0)
			m->all[kept++] = m->all[i];
		else if (add_up(&m->all[kept - 1], &m->all[i]) < 0)
			r = -ENOMEM;
	}
	m->count = kept;
	return r;
}

/* Rows are in order of groups: each row gets what its group counts in all. */
static void sum_groups(struct stats_merge *m)
{
	for (size_t from = 0, to; from < m->count; from = to) {
		uint64_t total = 0;

		for (to = from; to < m->count && compare_groups(&m->all[from], &m->all[to]) == 0;
		     to++)
			total += m->all[to].sum.count;
		for (size_t i = from; i < to; i++)
			m->all[i].total = total;
	}
}

static void rank_groups(struct stats_merge *m)
{
	uint64_t rank = 0;

	sum_groups(m);
	if (m->count) /* qsort() wants an address */
		qsort(m->all, m->count, sizeof(*m->all), by_total);
	for (size_t i = 0; i < m->count; i++) {
		rank += i == 0 || compare_groups(&m->all[i - 1], &m->all[i]) != 0;
		m->all[i].rank = rank;
	}
	m->answer.group_count = rank;
}

static int hand_out(const struct stats_merge *m, const struct row *r, stats_row_fn *fn, void *ctx)
{
	const struct stats_answer *a = &m->answer;
	const struct sketch *s = &r->latency;
	struct stats_row row = r->sum;

	row.by = r->by;
	row.latency_count = s->count;
	row.p50_ns = sketch_percentile(s, 50);
	row.p90_ns = sketch_percentile(s, 90);
	row.p95_ns = sketch_percentile(s, 95);
	row.p99_ns = sketch_percentile(s, 99);
	row.max_ns = s->max;
	row.sketch = (struct span){0};
	row.points = m->by->every_ns ? NULL : r->points;
	row.point_count =
		m->by->every_ns
			? 0
			: (size_t)MIN((a->until_ns - a->points_ns + a->step_ns - 1) / a->step_ns,
				      (uint64_t)STATS_POINTS);
	return fn(ctx, &row);
}

int stats_merge_hand_out(struct stats_merge *m, uint64_t limit, stats_row_fn *fn, void *ctx,
			 struct stats_answer *answer)
{
	int r;

	choose_axis(m);
	r = join(m);
	rank_groups(m);
	if (m->count) /* qsort() wants an address */
		qsort(m->all, m->count, sizeof(*m->all), by_time);
	*answer = m->answer;
	for (size_t i = 0; i < m->count && r == 0; i++)
		if (!limit || m->all[i].rank <= limit)
			r = hand_out(m, &m->all[i], fn, ctx);
	return MIN(r, 0);
}
