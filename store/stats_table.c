// SPDX-License-Identifier: Apache-2.0
#include "store/stats_table.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/array.h"
#include "store/intern.h"

/*
 * Theory of operation. A group is found by the texts of its fields (store/intern.h gives it its
 * number), and has a cell for each interval in which something happened. A cell's sketch takes a
 * few kilobytes, so there is a limit to cells. When there are too many groups, further ones are
 * one: its texts are "*".
 */
#define KEY_LEN_MAX   2000u /* octets of a group's texts; whatever has more is among the others */
#define KEY_BYTES_MAX (STATS_GROUPS_MAX * 2048u)

struct group {
	uint8_t *texts; /* owned */
	struct span by[STATS_BY_MAX];
	uint64_t count;
	uint32_t *cells; /* owned: by interval, index + 1; 0: none */
	uint64_t points[STATS_POINTS];
};

struct stats_table {
	const struct stats_query *q;
	const struct stats_answer *answer;
	struct intern *numbers;
	struct group *groups;
	size_t group_count, group_room;
	struct stats_cell *cells;
	size_t cell_count, cell_room;
	size_t interval_count;
	bool is_full, has_others;
	struct buf key; /* scratch */
};

struct stats_table *stats_table_new(const struct stats_query *q, const struct stats_answer *answer)
{
	struct stats_table *t = calloc(1, sizeof(*t));
	uint64_t span = answer->until_ns - answer->since_ns;

	if (!t)
		return NULL;
	t->q = q;
	t->answer = answer;
	t->interval_count = q->every_ns ? (size_t)((span + q->every_ns - 1) / q->every_ns) : 1;
	t->numbers = intern_new((size_t)4 * STATS_GROUPS_MAX, KEY_BYTES_MAX);
	if (!t->numbers) {
		stats_table_free(t);
		return NULL;
	}
	return t;
}

void stats_table_free(struct stats_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->group_count; i++) {
		free(t->groups[i].texts);
		free(t->groups[i].cells);
	}
	for (size_t i = 0; i < t->cell_count; i++)
		sketch_fini(&t->cells[i].latency);
	free(t->groups);
	free(t->cells);
	intern_free(t->numbers);
	buf_fini(&t->key);
	free(t);
}

bool stats_table_is_full(const struct stats_table *t)
{
	return t->is_full;
}

/* --- groups --- */

static struct group *group_room(struct stats_table *t)
{
	void *groups = t->groups;
	bool has_room = array_room(&groups, &t->group_room, t->group_count, sizeof(*t->groups));

	t->groups = groups;
	return has_room ? &t->groups[t->group_count] : NULL;
}

/* The key is each text behind its length. */
static void write_key(struct stats_table *t, const struct exchange *x)
{
	buf_clear(&t->key);
	for (size_t i = 0; i < t->q->by_count; i++) {
		size_t at = t->key.len, len = 0;

		buf_add(&t->key, &len, sizeof(len));
		if (x)
			field_add_text(t->q->by[i], field_get(x, t->q->by[i]), &t->key);
		else
			buf_add_char(&t->key, '*');
		len = t->key.len - at - sizeof(len);
		if (!t->key.is_failed)
			memcpy(t->key.ptr + at, &len, sizeof(len));
	}
}

static uint32_t add_group(struct stats_table *t)
{
	struct group *g = group_room(t);
	const uint8_t *at;

	if (!g || !(g->texts = malloc(t->key.len + 1)))
		return STATS_NO_GROUP;
	if (t->key.len)
		memcpy(g->texts, t->key.ptr, t->key.len);
	g->cells = calloc(t->interval_count, sizeof(*g->cells));
	if (!g->cells) {
		free(g->texts);
		return STATS_NO_GROUP;
	}
	at = g->texts;
	for (size_t i = 0; i < t->q->by_count; i++) {
		size_t len;

		memcpy(&len, at, sizeof(len));
		g->by[i] = span_of(at + sizeof(len), len);
		at += sizeof(len) + len;
	}
	return (uint32_t)t->group_count++;
}

uint32_t stats_table_group(struct stats_table *t, const struct exchange *x)
{
	bool is_new;
	uint64_t number;

	write_key(t, x);
	if (t->key.is_failed)
		return STATS_NO_GROUP;
	number = intern_find(t->numbers, buf_span(&t->key));
	if (number)
		return (uint32_t)number - 1;
	if (x && (t->group_count >= STATS_GROUPS_MAX - 1 || t->key.len > KEY_LEN_MAX)) {
		t->has_others = true;
		return stats_table_group(t, NULL);
	}
	number = intern_number(t->numbers, buf_span(&t->key), &is_new);
	return number - 1 == t->group_count ? add_group(t) : STATS_NO_GROUP;
}

/* --- cells --- */

static struct stats_cell *add_cell(struct stats_table *t, uint32_t *index)
{
	void *cells = t->cells;
	bool has_room;

	t->is_full = t->cell_count == STATS_CELLS_MAX;
	if (t->is_full)
		return NULL;
	has_room = array_room(&cells, &t->cell_room, t->cell_count, sizeof(*t->cells));
	t->cells = cells;
	if (!has_room)
		return NULL;
	*index = (uint32_t)++t->cell_count;
	return &t->cells[t->cell_count - 1];
}

struct stats_cell *stats_table_cell(struct stats_table *t, uint32_t group, uint64_t at_ns,
				    uint64_t count)
{
	struct group *g = &t->groups[group];
	uint64_t since = at_ns - t->answer->since_ns;
	size_t interval = t->q->every_ns ? (size_t)(since / t->q->every_ns) : 0;
	size_t point = (size_t)((at_ns - t->answer->points_ns) / t->answer->step_ns);
	struct stats_cell *c;

	if (interval >= t->interval_count || point >= STATS_POINTS)
		return NULL;
	c = g->cells[interval] ? &t->cells[g->cells[interval] - 1]
			       : add_cell(t, &g->cells[interval]);
	if (!c)
		return NULL;
	g->count += count;
	g->points[point] += count;
	return c;
}

void stats_table_sum_up(const struct stats_table *t, struct stats_answer *answer)
{
	answer->group_count = t->group_count;
	answer->has_others = t->has_others;
	answer->count = 0;
	for (size_t i = 0; i < t->group_count; i++)
		answer->count += t->groups[i].count;
}

/* --- the answer --- */

static int most_first(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	for (size_t i = 0; i < STATS_BY_MAX; i++) { /* the order is the same each time */
		size_t n = MIN(x->by[i].len, y->by[i].len);
		int order = n ? memcmp(x->by[i].ptr, y->by[i].ptr, n) : 0;

		if (order || x->by[i].len != y->by[i].len)
			return order ? order : x->by[i].len < y->by[i].len ? -1 : 1;
	}
	return 0;
}

static size_t point_count(const struct stats_table *t)
{
	const struct stats_answer *a = t->answer;

	return (size_t)((a->until_ns - a->points_ns + a->step_ns - 1) / a->step_ns);
}

static int hand_out_cell(struct stats_table *t, const struct group *g, size_t interval,
			 stats_row_fn *fn, void *ctx)
{
	const struct stats_cell *c = &t->cells[g->cells[interval] - 1];
	const struct sketch *s = &c->latency;
	bool has_points = t->q->every_ns == 0;

	buf_clear(&t->key);
	if (t->q->wants_sketches)
		sketch_write(s, &t->key);
	if (t->key.is_failed)
		return -ENOMEM;
	return fn(ctx, &(struct stats_row){
			       .by = g->by,
			       .at_ns = t->answer->since_ns + interval * t->q->every_ns,
			       .count = c->count,
			       .failed = c->failed,
			       .request_bytes = c->request_bytes,
			       .response_bytes = c->response_bytes,
			       .latency_count = s->count,
			       .p50_ns = sketch_percentile(s, 50),
			       .p90_ns = sketch_percentile(s, 90),
			       .p95_ns = sketch_percentile(s, 95),
			       .p99_ns = sketch_percentile(s, 99),
			       .max_ns = s->max,
			       .sketch = buf_span(&t->key),
			       .points = has_points ? g->points : NULL,
			       .point_count = has_points ? point_count(t) : 0,
		       });
}

int stats_table_hand_out(struct stats_table *t, uint64_t limit, stats_row_fn *fn, void *ctx)
{
	size_t count = limit ? MIN((size_t)limit, t->group_count) : t->group_count;
	struct group **order = calloc(t->group_count + 1, sizeof(struct group *));
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->group_count; i++)
		order[i] = &t->groups[i];
	qsort(order, t->group_count, sizeof(*order), most_first);
	for (size_t i = 0; i < t->interval_count && r == 0; i++)
		for (size_t g = 0; g < count && r == 0; g++)
			if (order[g]->cells[i])
				r = hand_out_cell(t, order[g], i, fn, ctx);
	free(order);
	return MIN(r, 0);
}
