// SPDX-License-Identifier: Apache-2.0
#include "cli/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/array.h"

/*
 * Theory of operation. All kinds of all daemons are copied, sorted by what makes a kind, and
 * neighbours that are equal become one. A kind's texts live behind it in one piece of memory.
 */
struct kind {
	struct failure f;
	uint8_t *memory; /* owned: its texts */
};

struct failures_merge {
	struct kind *all;
	size_t count, room;
	uint64_t since_ns, until_ns, step_ns; /* of the points handed out */
};

struct failures_merge *failures_merge_new(void)
{
	struct failures_merge *m = calloc(1, sizeof(*m));

	if (m)
		m->since_ns = UINT64_MAX;
	return m;
}

void failures_merge_free(struct failures_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		free(m->all[i].memory);
	free(m->all);
	free(m);
}

static bool copy_texts(struct kind *k)
{
	struct span *texts[FAILURE_TEXTS];
	size_t n = 1, at = 0;

	failure_texts(&k->f, texts);
	for (size_t i = 0; i < FAILURE_TEXTS; i++)
		n += texts[i]->len;
	k->memory = malloc(n);
	for (size_t i = 0; i < FAILURE_TEXTS && k->memory; i++) {
		if (texts[i]->len)
			memcpy(k->memory + at, texts[i]->ptr, texts[i]->len);
		texts[i]->ptr = k->memory + at;
		at += texts[i]->len;
	}
	return k->memory != NULL;
}

int failures_merge_add(void *merge, const struct failure *f)
{
	struct failures_merge *m = merge;
	struct kind k = {.f = *f};
	void *all = m->all;

	if (!array_room(&all, &m->room, m->count, sizeof(*m->all)))
		return -ENOMEM;
	m->all = all;
	if (!copy_texts(&k))
		return -ENOMEM;
	m->all[m->count++] = k;
	if (f->point_count == 0)
		return 0;
	m->since_ns = MIN(m->since_ns, f->points_ns);
	m->until_ns = MAX(m->until_ns, f->points_ns + f->point_count * f->step_ns);
	m->step_ns = MAX(m->step_ns, f->step_ns);
	return 0;
}

static int compare_spans(struct span a, struct span b)
{
	int r = MIN(a.len, b.len) ? memcmp(a.ptr, b.ptr, MIN(a.len, b.len)) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_kinds(const void *x, const void *y)
{
	struct failure a = ((const struct kind *)x)->f, b = ((const struct kind *)y)->f;
	struct span *as[FAILURE_TEXTS], *bs[FAILURE_TEXTS];
	const int64_t numbers[][2] = {
		{a.status, b.status},		{a.outcome, b.outcome},	      {a.reason, b.reason},
		{a.grpc_status, b.grpc_status}, {a.close_code, b.close_code},
	};
	int r = 0;

	failure_texts(&a, as);
	failure_texts(&b, bs);
	for (size_t i = 0; i < FAILURE_TEXTS && r == 0; i++)
		r = compare_spans(*as[i], *bs[i]);
	for (size_t i = 0; i < COUNT_OF(numbers) && r == 0; i++)
		r = (numbers[i][0] > numbers[i][1]) - (numbers[i][0] < numbers[i][1]);
	return r;
}

/* @from's counts over time, on the axis of all. */
static void spread(const struct failures_merge *m, const struct failure *from,
		   uint64_t points[FAILURE_POINTS])
{
	for (size_t i = 0; i < from->point_count; i++) {
		uint64_t at = (from->points_ns + i * from->step_ns - m->since_ns) / m->step_ns;

		points[MIN(at, FAILURE_POINTS - 1)] += from->points[i];
	}
}

static void put_on_axis(const struct failures_merge *m, struct failure *f)
{
	uint64_t points[FAILURE_POINTS] = {0};
	uint64_t n = (m->until_ns - m->since_ns + m->step_ns - 1) / m->step_ns;

	spread(m, f, points);
	memcpy(f->points, points, sizeof(points));
	f->points_ns = m->since_ns;
	f->step_ns = m->step_ns;
	f->point_count = (size_t)MIN(MAX(n, 1), FAILURE_POINTS);
}

static void add_up(struct failure *to, const struct failure *from)
{
	if (from->last_ns > to->last_ns)
		to->exemplar = from->exemplar;
	to->count += from->count;
	to->first_ns = MIN(to->first_ns, from->first_ns);
	to->last_ns = MAX(to->last_ns, from->last_ns);
	for (size_t i = 0; i < FAILURE_POINTS; i++)
		to->points[i] += from->points[i];
}

static void join(struct failures_merge *m)
{
	uint64_t steps =
		(m->until_ns - MIN(m->since_ns, m->until_ns) + FAILURE_POINTS - 1) / FAILURE_POINTS;
	size_t kept = 0;

	m->step_ns = m->step_ns ? (steps + m->step_ns - 1) / m->step_ns * m->step_ns : 0;
	for (size_t i = 0; i < m->count && m->step_ns; i++)
		put_on_axis(m, &m->all[i].f);
	if (m->count) /* qsort() wants an address */
		qsort(m->all, m->count, sizeof(*m->all), compare_kinds);
	for (size_t i = 0; i < m->count; i++) {
		if (kept && compare_kinds(&m->all[kept - 1], &m->all[i]) == 0) {
			add_up(&m->all[kept - 1].f, &m->all[i].f);
			free(m->all[i].memory);
		} else {
			m->all[kept++] = m->all[i];
		}
	}
	m->count = kept;
}

static int most_first(const void *x, const void *y)
{
	const struct failure *a = &((const struct kind *)x)->f, *b = &((const struct kind *)y)->f;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return (a->exemplar < b->exemplar) - (a->exemplar > b->exemplar);
}

int failures_merge_hand_out(struct failures_merge *m, uint64_t limit, uint64_t new_ns,
			    reader_failure_fn *fn, void *ctx)
{
	uint64_t given = 0;
	int r = 0;

	if (m->count == 0)
		return 0;
	join(m);
	if (m->count) /* qsort() wants an address */
		qsort(m->all, m->count, sizeof(*m->all), most_first);
	for (size_t i = 0; i < m->count && r == 0 && (limit == 0 || given < limit); i++) {
		if (m->all[i].f.first_ns < new_ns)
			continue;
		given++;
		r = fn(ctx, &m->all[i].f);
	}
	return MIN(r, 0);
}
