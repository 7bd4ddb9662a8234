// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Lists come as NDJSON, a page at a time, and each line becomes an exchange as soon as it is whole:
 * memory holds one line. Messages come in the exact form, so what a subcommand gets is byte for
 * byte what a store would have given it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/rest_lines.h"
#include "cli/source_api.h"
#include "lib/id.h"
#include "lib/json_field.h"
#include "schema/exchange_json.h"
#include "store/failure_json.h"
#include "store/stats_json.h"

#define PAGE_MAX   1000	      /* what the API allows */
#define ANSWER_MAX (64 << 20) /* bytes of an answer that is read whole */

static void api_close(struct source *s)
{
	struct api_source *a = CONTAINER_OF(s, struct api_source, base);

	rest_close(a->rest);
	free(a);
}

int api_receive(void *ctx, struct span text)
{
	struct api_receiver *rc = ctx;
	struct exchange x;
	void *memory = NULL;
	int r;

	if (text.len == 0)
		return 0;
	if (cli_is_interrupted())
		return 1;
	if (exchange_from_json(text, &x, &memory, rc->e) < 0)
		return -EPROTO;
	rc->count++;
	rc->last_id = x.id;
	r = rc->fn(rc->ctx, &x);
	free(memory);
	return r;
}

static void add_time(struct buf *path, const char *key, uint64_t ns)
{
	AUTO_BUF text = {0};

	if (ns == 0)
		return;
	clock_format_utc(&text, ns);
	rest_add_param(path, key, buf_cstr(&text));
}

void api_add_namespace(struct buf *path, const struct source *s)
{
	if (s->name_space[0])
		rest_add_param(path, "namespace", s->name_space);
}

static void add_query(struct buf *path, const struct source *s, const struct source_query *q)
{
	api_add_namespace(path, s);
	if (q->filter && q->filter[0])
		rest_add_param(path, "filter", q->filter);
	add_time(path, "since", q->since_ns);
	add_time(path, "until", q->until_ns);
}

static void page_path(struct buf *path, const struct source *s, const struct source_query *q,
		      uint64_t left, const char *cursor)
{
	char limit[24];

	buf_clear(path);
	buf_add_str(path, "/api/v1/exchanges");
	add_query(path, s, q);
	(void)snprintf(limit, sizeof(limit), "%u",
		       (unsigned)(left && left < PAGE_MAX ? left : PAGE_MAX));
	rest_add_param(path, "limit", limit);
	if (cursor[0])
		rest_add_param(path, "cursor", cursor);
	if (q->is_reverse)
		rest_add_param(path, "order", "asc");
	rest_add_param(path, "part", q->wants_messages ? "exact" : "summary");
}

/* the caller's function failed, or the daemon: the former's code is handed on as it is */
int api_failed(int r, struct err *e)
{
	if (r == -E2BIG)
		return err_set(e, r, "a line of the answer is longer than %d MiB",
			       REST_LINE_MAX_MIB);
	return r;
}

static uint64_t id_of(const char *text)
{
	uint64_t id;
	unsigned bits;

	return id_parse(span_str(text), &id, &bits) == 0 ? id : 0;
}

static int say_damage(const char *damage, struct err *e)
{
	return damage[0] ? err_set(e, -EBADMSG, "what could not be read was left out: %s", damage)
			 : 0;
}

static int api_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn,
		    void *ctx, uint64_t *cursor_out, struct err *e)
{
	struct api_receiver rc = {.fn = fn, .ctx = ctx, .e = e};
	struct rest_lines lines = {.fn = api_receive, .ctx = &rc};
	char cursor[ID_TEXT_LEN + 1] = "", before[ID_TEXT_LEN + 1];
	char damage[ERR_WHY_MAX] = "";
	uint64_t gave_up = 0;
	AUTO_BUF path = {0};
	int r;

	if (q->cursor)
		(void)id_format(q->cursor, cursor);
	do {
		(void)snprintf(before, sizeof(before), "%s", cursor);
		page_path(&path, s, q, q->limit ? q->limit - rc.count : 0, cursor);
		r = rest_get(rest_of(s),
			     &(struct rest_get){.path = buf_cstr(&path),
						.accept = "application/x-ndjson",
						.fn = rest_on_lines,
						.ctx = &lines},
			     e);
		(void)snprintf(cursor, sizeof(cursor), "%s", rest_next_cursor(rest_of(s)));
		gave_up += rest_gave_up(rest_of(s));
		if (!damage[0])
			(void)snprintf(damage, sizeof(damage), "%s", rest_damage(rest_of(s)));
		/* out of time, but further than before: go on */
		if (r == -ETIMEDOUT && cursor[0] && strcmp(cursor, before) != 0) {
			source_say_progress(id_of(cursor), rc.count);
			r = 0;
		}
	} while (r == 0 && cursor[0] && !(q->limit && rc.count >= q->limit));
	buf_fini(&lines.rest);
	source_say_limits(gave_up);
	if (cursor_out)
		*cursor_out = r > 0 ? rc.last_id : id_of(cursor);
	return r < 0 && r != -ECANCELED ? api_failed(r, e) : say_damage(damage, e);
}

static int on_whole(void *ctx, struct span bytes)
{
	struct buf *b = ctx;

	if (b->len + bytes.len > ANSWER_MAX)
		return -E2BIG;
	buf_add_span(b, bytes);
	return b->is_failed ? -ENOMEM : 0;
}

static int get_whole(struct source *s, const char *path, struct buf *answer, struct err *e)
{
	int r = rest_get(rest_of(s),
			 &(struct rest_get){.path = path, .fn = on_whole, .ctx = answer}, e);

	if (r == -E2BIG || r == -ENOMEM)
		return err_set(e, r, "the answer of %s is too large", s->name);
	return r;
}

static int get_exchange(struct source *s, const char *id, const char *part, reader_exchange_fn *fn,
			void *ctx, struct err *e)
{
	struct api_receiver rc = {.fn = fn, .ctx = ctx, .e = e};
	AUTO_BUF answer = {0};
	AUTO_BUF path = {0};
	int r;

	buf_add_fmt(&path, "/api/v1/exchanges/%s?part=%s", id, part);
	api_add_namespace(&path, s);
	r = get_whole(s, buf_cstr(&path), &answer, e);
	if (r == 0)
		r = api_receive(&rc, buf_span(&answer));
	return r < 0 ? r : 0;
}

static int api_get(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx, struct err *e)
{
	char text[ID_TEXT_LEN + 1];

	return get_exchange(s, id_format(id, text), "exact", fn, ctx, e);
}

static int note_id(void *ctx, const struct exchange *x)
{
	*(uint64_t *)ctx = x->id;
	return 0;
}

static int api_resolve(struct source *s, const char *text, uint64_t *id_out, struct err *e)
{
	return get_exchange(s, text, "summary", note_id, id_out, e);
}

static void add_limit(struct buf *path, uint64_t wanted)
{
	char limit[24];

	(void)snprintf(limit, sizeof(limit), "%u",
		       (unsigned)(wanted && wanted < PAGE_MAX ? wanted : PAGE_MAX));
	rest_add_param(path, "limit", limit);
}

static int api_failures(struct source *s, const struct source_query *q, uint64_t new_ns,
			reader_failure_fn *fn, void *ctx, struct err *e)
{
	AUTO_BUF path = {0};
	AUTO_BUF answer = {0};
	int r;

	buf_add_str(&path, "/api/v1/failures");
	add_query(&path, s, q);
	add_time(&path, "new_since", new_ns);
	add_limit(&path, q->limit);
	r = get_whole(s, buf_cstr(&path), &answer, e);
	if (r == 0)
		r = failures_from_json(buf_span(&answer), fn, ctx, e);
	return r < 0 ? r : say_damage(rest_damage(rest_of(s)), e);
}

static void add_by(struct buf *path, const struct stats_query *by)
{
	AUTO_BUF text = {0};

	for (size_t i = 0; i < by->by_count; i++)
		buf_add_fmt(&text, "%s%s", i ? "," : "", field_rows[by->by[i]].name);
	rest_add_param(path, "by", buf_cstr(&text));
	buf_clear(&text);
	buf_add_fmt(&text, "%lluns", (unsigned long long)by->every_ns);
	if (by->every_ns)
		rest_add_param(path, "every", buf_cstr(&text));
	if (by->wants_sketches)
		rest_add_param(path, "sketches", "true");
}

static int api_stats(struct source *s, const struct source_query *q, const struct stats_query *by,
		     stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e)
{
	AUTO_BUF path = {0};
	AUTO_BUF text = {0};
	int r;

	buf_add_str(&path, "/api/v1/stats");
	add_query(&path, s, q);
	add_by(&path, by);
	add_limit(&path, q->limit);
	r = get_whole(s, buf_cstr(&path), &text, e);
	return r < 0 ? r : stats_from_json(buf_span(&text), by, fn, ctx, answer, e);
}

/* the list @key of the answer to GET @path; the caller frees *root_out */
static int get_list(struct source *s, const char *path, const char *key, json_t **root_out,
		    const json_t **list_out, struct err *e)
{
	AUTO_BUF answer = {0};
	json_error_t why;
	int r = get_whole(s, path, &answer, e);

	if (r < 0)
		return r;
	*root_out = json_loadb((const char *)answer.ptr, answer.len, JSON_ALLOW_NUL, &why);
	*list_out = json_object_get(*root_out, key);
	if (json_is_array(*list_out))
		return 0;
	json_decref(*root_out);
	return err_set(e, -EPROTO, "%s answers %s without a list \"%s\"", s->name, path, key);
}

static int api_tapes(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		     struct err *e)
{
	const json_t *list, *v;
	json_t *root;
	size_t i;
	int r = get_list(s, "/api/v1/tapes", "tapes", &root, &list, e);

	if (r < 0)
		return r;
	json_array_foreach(list, i, v)
	{
		const char *path = json_string_value(json_object_get(v, "path"));
		struct tape_info t = {
			.path = path ? path : "?",
			.rows = json_field_u64(v, "rows"),
			.bytes = json_field_u64(v, "bytes"),
			.first_ns = json_field_time(v, "first"),
			.last_ns = json_field_time(v, "last"),
			.is_sealed = json_is_true(json_object_get(v, "sealed")),
			.is_of_failures = json_is_true(json_object_get(v, "failures")),
			.is_pinned = json_is_true(json_object_get(v, "pinned")),
			.damage = json_string_value(json_object_get(v, "damage")),
		};

		r = fn(ctx, &t);
		if (r)
			break;
	}
	json_decref(root);
	return r < 0 ? r : 0;
}

static int api_explain(struct source *s, const struct source_query *q, struct buf *out,
		       struct err *e)
{
	AUTO_BUF path = {0};
	char limit[24], cursor[ID_TEXT_LEN + 1];

	buf_add_str(&path, "/api/v1/explain");
	add_query(&path, s, q);
	(void)snprintf(limit, sizeof(limit), "%u",
		       (unsigned)(q->limit && q->limit < PAGE_MAX ? q->limit : PAGE_MAX));
	rest_add_param(&path, "limit", limit);
	if (q->cursor)
		rest_add_param(&path, "cursor", id_format(q->cursor, cursor));
	if (q->is_reverse)
		rest_add_param(&path, "order", "asc");
	return rest_get(rest_of(s),
			&(struct rest_get){.path = buf_cstr(&path),
					   .accept = "text/plain",
					   .fn = on_whole,
					   .ctx = out},
			e);
}

static int counter_find(const char *metric, const char *label)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		if (strcmp(counter_rows[i].metric, metric) == 0 &&
		    strcmp(counter_rows[i].label, label) == 0)
			return i;
	return -ENOENT;
}

static int api_counters(struct source *s, struct counters *out, size_t *unknown_out, struct err *e)
{
	const json_t *list, *v;
	json_t *root;
	size_t i;
	int r = get_list(s, "/api/v1/counters", "counters", &root, &list, e);

	if (r < 0)
		return r;
	*out = (struct counters){0};
	*unknown_out = 0;
	json_array_foreach(list, i, v)
	{
		const char *metric = json_string_value(json_object_get(v, "metric"));
		const char *label = json_string_value(json_object_get(v, "label"));
		int which = counter_find(metric ? metric : "", label ? label : "");

		if (which < 0)
			(*unknown_out)++;
		else
			counter_set(out, (enum counter)which, json_field_u64(v, "value"));
	}
	json_decref(root);
	return 0;
}

/* 200: recording, "why" when something is not as it should be; 503: not recording, and why */
static int api_health(struct source *s, struct buf *why_out, struct err *e)
{
	struct err why = {0};
	AUTO_BUF answer = {0};
	int r = get_whole(s, "/healthz", &answer, &why);
	json_t *root;
	const char *text;

	if (r == -EAGAIN) {
		buf_add_str(why_out, why.why);
		return 0;
	}
	if (r < 0)
		return err_set(e, r, "%s", why.why);
	root = json_loadb((const char *)answer.ptr, answer.len, 0, NULL);
	text = json_string_value(json_object_get(root, "why"));
	if (text)
		buf_add_str(why_out, text);
	json_decref(root);
	return 1;
}

static const struct source_ops api_ops = {
	.close = api_close,
	.list = api_list,
	.get = api_get,
	.resolve = api_resolve,
	.failures = api_failures,
	.stats = api_stats,
	.tapes = api_tapes,
	.explain = api_explain,
	.stream = api_stream,
	.counters = api_counters,
	.health = api_health,
};

int source_api_over(struct rest *rest, const char *name, struct source **s_out, struct err *e)
{
	struct api_source *a = calloc(1, sizeof(*a));

	if (!a) {
		rest_close(rest);
		return err_set(e, -ENOMEM, "out of memory");
	}
	a->base.ops = &api_ops;
	(void)snprintf(a->base.name, sizeof(a->base.name), "daemon at %s", name);
	a->rest = rest;
	*s_out = &a->base;
	return 0;
}

int source_api_open(const char *url, struct source **s_out, struct err *e)
{
	struct rest *rest;
	int r = rest_open(url, &rest, e);

	return r < 0 ? r : source_api_over(rest, url, s_out, e);
}
