// SPDX-License-Identifier: Apache-2.0
#include "store/stats_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "lib/base64.h"
#include "lib/json_field.h"

/* A number is one in JSON too; "*" of the groups for which there was no room is text. */
static bool is_number(enum field f, struct span text)
{
	uint8_t type = field_rows[f].type;

	if ((type != FIELD_TYPE_INT && type != FIELD_TYPE_DURATION) || text.len == 0 ||
	    text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return true;
}

static void put_by(struct json *j, const struct stats_query *q, const struct stats_row *row)
{
	json_key(j, "by");
	json_object_begin(j);
	for (size_t i = 0; i < q->by_count; i++) {
		json_key(j, field_rows[q->by[i]].name);
		if (is_number(q->by[i], row->by[i])) {
			buf_add_span(j->out, row->by[i]);
			j->needs_comma = true;
		} else {
			json_text(j, row->by[i]);
		}
	}
	json_object_end(j);
}

static void put_latency(struct json *j, const struct stats_row *row)
{
	json_key(j, "latency_ns");
	json_object_begin(j);
	json_key_u64(j, "count", row->latency_count);
	json_key_u64(j, "p50", row->p50_ns);
	json_key_u64(j, "p90", row->p90_ns);
	json_key_u64(j, "p95", row->p95_ns);
	json_key_u64(j, "p99", row->p99_ns);
	json_key_u64(j, "max", row->max_ns);
	if (row->sketch.len) {
		json_key(j, "sketch");
		json_base64(j, row->sketch);
	}
	json_object_end(j);
}

void stats_row_to_json(struct json *j, const struct stats_query *q, const struct stats_row *row)
{
	json_object_begin(j);
	if (q->every_ns) {
		json_key(j, "time");
		json_time(j, row->at_ns);
	}
	put_by(j, q, row);
	json_key_u64(j, "count", row->count);
	json_key_u64(j, "failed", row->failed);
	json_key_u64(j, "request_bytes", row->request_bytes);
	json_key_u64(j, "response_bytes", row->response_bytes);
	put_latency(j, row);
	if (row->points)
		json_key_counts(j, "counts", row->points, row->point_count);
	json_object_end(j);
}

static const struct {
	const char *name;
	size_t at; /* in struct stats_losses */
} losses[] = {
	{"packets", offsetof(struct stats_losses, packets)},
	{"queue_full", offsetof(struct stats_losses, queue_full)},
	{"memory", offsetof(struct stats_losses, memory)},
	{"store_full", offsetof(struct stats_losses, store_full)},
	{"store_error", offsetof(struct stats_losses, store_error)},
};

static void put_losses(struct json *j, const struct stats_losses *l)
{
	if (!l->is_known) {
		json_key_str(j, "lost", NULL);
		return;
	}
	json_key(j, "lost");
	json_object_begin(j);
	for (size_t i = 0; i < COUNT_OF(losses); i++)
		json_key_u64(j, losses[i].name,
			     *(const uint64_t *)(const void *)((const char *)l + losses[i].at));
	json_object_end(j);
}

void stats_answer_to_json(struct json *j, const struct stats_answer *a)
{
	json_key(j, "since");
	json_time(j, a->since_ns);
	json_key(j, "until");
	json_time(j, a->until_ns);
	json_key_u64(j, "step_ns", a->step_ns);
	json_key_u64(j, "count", a->count);
	json_key_u64(j, "groups", a->group_count);
	json_key_bool(j, "others", a->has_others);
	json_key_str(j, "source", a->is_rollup ? "counts" : "exchanges");
	json_key_str(j, "why", a->why[0] ? a->why : NULL);
	json_key_bool(j, "sampled", a->is_sampled);
	json_key_u64(j, "removed", a->removed);
	json_key(j, "failures_only_until");
	json_time(j, a->failures_only_until_ns);
	put_losses(j, &a->lost);
}

/* --- reading --- */

static struct stats_losses read_losses(const json_t *lost)
{
	struct stats_losses l = {.is_known = json_is_object(lost)};

	for (size_t i = 0; i < COUNT_OF(losses) && l.is_known; i++)
		*(uint64_t *)(void *)((char *)&l + losses[i].at) =
			json_field_u64(lost, losses[i].name);
	return l;
}

static void read_answer(const json_t *root, struct stats_answer *a)
{
	const char *source = json_string_value(json_object_get(root, "source"));
	const char *why = json_string_value(json_object_get(root, "why"));

	*a = (struct stats_answer){
		.since_ns = json_field_time(root, "since"),
		.until_ns = json_field_time(root, "until"),
		.step_ns = json_field_u64(root, "step_ns"),
		.count = json_field_u64(root, "count"),
		.group_count = json_field_u64(root, "groups"),
		.has_others = json_is_true(json_object_get(root, "others")),
		.is_rollup = source && strcmp(source, "counts") == 0,
		.is_sampled = json_is_true(json_object_get(root, "sampled")),
		.removed = json_field_u64(root, "removed"),
		.failures_only_until_ns = json_field_time(root, "failures_only_until"),
		.lost = read_losses(json_object_get(root, "lost")),
	};
	(void)snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
}

struct row_room {
	struct buf sketch;
	struct span by[STATS_BY_MAX];
	char numbers[STATS_BY_MAX][24];
	uint64_t points[STATS_POINTS];
};

static bool read_by(const json_t *by, const struct stats_query *q, struct row_room *room)
{
	for (size_t i = 0; i < q->by_count; i++) {
		const json_t *v = json_object_get(by, field_rows[q->by[i]].name);

		if (json_is_string(v)) {
			room->by[i] = span_of(json_string_value(v), json_string_length(v));
		} else if (json_is_integer(v)) {
			(void)snprintf(room->numbers[i], sizeof(room->numbers[i]),
				       "%" JSON_INTEGER_FORMAT, json_integer_value(v));
			room->by[i] = span_str(room->numbers[i]);
		} else {
			return false;
		}
	}
	return true;
}

static bool read_sketch(const json_t *v, struct row_room *room)
{
	struct span text = {0};
	size_t n = 0;

	buf_clear(&room->sketch);
	if (!v)
		return true;
	text = span_of(json_string_value(v), json_string_length(v));
	if (!text.ptr || !buf_reserve(&room->sketch, base64_decoded_max(text.len) + 1) ||
	    !base64_decode(text, room->sketch.ptr, &n))
		return false;
	room->sketch.len = n;
	return true;
}

static bool read_row(const json_t *v, const struct stats_query *q, struct row_room *room,
		     struct stats_row *row)
{
	const json_t *latency = json_object_get(v, "latency_ns"),
		     *counts = json_object_get(v, "counts");
	size_t n = json_array_size(counts);

	if (!json_is_integer(json_object_get(v, "count")) || !json_is_object(latency) ||
	    n > STATS_POINTS || !read_by(json_object_get(v, "by"), q, room) ||
	    !read_sketch(json_object_get(latency, "sketch"), room))
		return false;
	for (size_t i = 0; i < n; i++)
		room->points[i] =
			(uint64_t)MAX(json_integer_value(json_array_get(counts, i)), (json_int_t)0);
	*row = (struct stats_row){
		.by = room->by,
		.at_ns = json_field_time(v, "time"),
		.count = json_field_u64(v, "count"),
		.failed = json_field_u64(v, "failed"),
		.request_bytes = json_field_u64(v, "request_bytes"),
		.response_bytes = json_field_u64(v, "response_bytes"),
		.latency_count = json_field_u64(latency, "count"),
		.p50_ns = json_field_u64(latency, "p50"),
		.p90_ns = json_field_u64(latency, "p90"),
		.p95_ns = json_field_u64(latency, "p95"),
		.p99_ns = json_field_u64(latency, "p99"),
		.max_ns = json_field_u64(latency, "max"),
		.sketch = buf_span(&room->sketch),
		.points = counts ? room->points : NULL,
		.point_count = n,
	};
	return true;
}

int stats_from_json(struct span text, const struct stats_query *q, stats_row_fn *fn, void *ctx,
		    struct stats_answer *answer, struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, &why);
	const json_t *list = json_object_get(root, "stats"), *v;
	struct row_room room = {0};
	struct stats_row row;
	size_t i;
	int r = 0;

	if (json_is_array(list))
		read_answer(root, answer);
	else
		r = err_set(e, -EINVAL, "counts in JSON: %s",
			    root ? "no list \"stats\"" : why.text);
	json_array_foreach(list, i, v)
	{
		if (!read_row(v, q, &room, &row))
			r = err_set(e, -EINVAL, "counts in JSON: number %zu is not understood", i);
		else
			r = fn(ctx, &row);
		if (r)
			break;
	}
	buf_fini(&room.sketch);
	json_decref(root);
	return r < 0 ? r : 0;
}
