// SPDX-License-Identifier: Apache-2.0
#include "http-api/request.h"
#include "http-api/server.h"

#include "lib/id.h"

#include <errno.h>
#include <microhttpd.h>

/*
 * Theory of operation
 *
 * What the recorder says of itself. /metrics is the Prometheus text exposition format 0.0.4: the
 * counters of one metric stand together in the table, so HELP and TYPE are written when the metric
 * changes. /healthz answers for the recorder, /readyz for the store behind this API.
 */

/* ---- /metrics ---- */

/* counter, or gauge for what is held now; with what stands behind the name */
static const char *suffix_of(const struct counter_row *row)
{
	return row->role == COUNTER_ROLE_HELD ? "" : "_total";
}

/* HELP escapes backslash and line feed only, and our sentences have neither. */
static void write_metric_head(struct buf *out, const struct counter_row *row)
{
	const char *suffix = suffix_of(row);

	if (row->label[0])
		buf_add_fmt(out,
			    "# HELP tapeloop_%s%s What became of them, by reason (account %s).\n",
			    row->metric, suffix, counter_account_names[row->account]);
	else
		buf_add_fmt(out, "# HELP tapeloop_%s%s %s\n", row->metric, suffix, row->what);
	buf_add_fmt(out, "# TYPE tapeloop_%s%s %s\n", row->metric, suffix,
		    row->role == COUNTER_ROLE_HELD ? "gauge" : "counter");
}

static void write_counters(struct buf *out, const struct counters *c)
{
	const char *metric = "";

	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = &counter_rows[i];

		if (strcmp(row->metric, metric) != 0)
			write_metric_head(out, row);
		metric = row->metric;
		buf_add_fmt(out, "tapeloop_%s%s", row->metric, suffix_of(row));
		if (row->label[0])
			buf_add_fmt(out, "{reason=\"%s\"}", row->label);
		buf_add_fmt(out, " %llu\n", (unsigned long long)counter_get(c, (enum counter)i));
	}
}

static void write_balances(struct buf *out, const struct counters *c)
{
	buf_add_str(out,
		    "# HELP tapeloop_account_balance What went in, less what is accounted for: "
		    "0 once nothing is on its way.\n"
		    "# TYPE tapeloop_account_balance gauge\n");
	for (int i = 0; i < COUNTER_ACCOUNT_COUNT; i++)
		buf_add_fmt(out, "tapeloop_account_balance{account=\"%s\"} %lld\n",
			    counter_account_names[i],
			    (long long)counters_balance(c, (enum counter_account)i));
}

static bool is_recording(const struct api_config *config, char *why, size_t why_bytes)
{
	why[0] = '\0';
	return config->health ? config->health(config->ctx, why, why_bytes) : true;
}

static void write_state(struct buf *out, struct server *s)
{
	char why[ERR_WHY_MAX];

	buf_add_fmt(out,
		    "# HELP tapeloop_recording 1 while exchanges are recorded.\n"
		    "# TYPE tapeloop_recording gauge\n"
		    "tapeloop_recording %d\n"
		    "# HELP tapeloop_stream_clients Clients of /api/v1/stream.\n"
		    "# TYPE tapeloop_stream_clients gauge\n"
		    "tapeloop_stream_clients %u\n"
		    "# HELP tapeloop_build_info The version that runs.\n"
		    "# TYPE tapeloop_build_info gauge\n"
		    "tapeloop_build_info{version=\"%s\"} 1\n",
		    is_recording(&s->config, why, sizeof(why)), stream_hub_count(s->stream),
		    TAPELOOP_VERSION);
}

static void sum_counters(const struct server *s, struct counters *sum)
{
	*sum = (struct counters){0};
	if (s->config.counters)
		s->config.counters(s->config.ctx, sum);
}

void get_metrics(struct request *q)
{
	struct counters sum;

	sum_counters(q->server, &sum);
	(void)request_json(q);
	q->content_type = "text/plain; version=0.0.4; charset=utf-8";
	write_counters(&q->body, &sum);
	write_balances(&q->body, &sum);
	write_state(&q->body, q->server);
	if (q->server->config.gauges)
		q->server->config.gauges(q->server->config.ctx, &q->body);
}

void list_counters(struct request *q)
{
	struct json j = request_json(q);
	struct counters sum;

	sum_counters(q->server, &sum);
	json_object_begin(&j);
	counters_to_json(&j, &sum);
	json_object_end(&j);
}

/* ---- /healthz, /readyz ---- */

void get_health(struct request *q)
{
	struct json j = request_json(q);
	char why[ERR_WHY_MAX];
	bool is_on = is_recording(&q->server->config, why, sizeof(why));

	if (!is_on)
		q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	json_object_begin(&j);
	json_key_str(&j, "status", !is_on ? "stopped" : why[0] ? "degraded" : "ok");
	json_key_bool(&j, "recording", is_on);
	json_key_str(&j, "why", why[0] && request_is_trusted(q) ? why : NULL);
	json_key_str(&j, "version", TAPELOOP_VERSION);
	json_object_end(&j);
}

static int count_tape(void *ctx, const struct tape_info *t)
{
	(void)t;
	(*(uint64_t *)ctx)++;
	return 0;
}

void get_readiness(struct request *q)
{
	struct reader *r = request_borrow(q);
	struct err e = {0};
	uint64_t tapes = 0;
	struct json j;
	int result;

	if (!r)
		return;
	result = reader_tapes(r, count_tape, &tapes, &e);
	request_return(q, r, result);
	if (result < 0) {
		request_failed(q, -EAGAIN, NULL, &e);
		return;
	}
	j = request_json(q);
	json_object_begin(&j);
	json_key_str(&j, "status", "ready");
	if (request_is_trusted(q))
		json_key_u64(&j, "tapes", tapes);
	json_object_end(&j);
}

void get_openapi(struct request *q)
{
	(void)request_json(q);
	buf_add(&q->body, q->server->openapi, q->server->openapi_bytes);
}

/* ---- /api/v1/stream ---- */

static uint64_t last_event_id(const struct request *q)
{
	const char *text =
		MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Last-Event-ID");
	unsigned bits = 0;
	uint64_t id = 0;

	return text && id_parse(span_str(text), &id, &bits) == 0 && bits == 64 ? id : 0;
}

static int see(void *ctx, const struct exchange *x)
{
	(void)ctx, (void)x;
	return 0;
}

/* An id that somebody made up must not tell whether there is such an exchange of others. */
static bool may_see_last(struct request *q)
{
	uint64_t id = last_event_id(q);
	struct reader *r;
	int result;

	if (!q->scope || !id)
		return true;
	if (readers_borrow(q->server->readers, q->scope, &r, NULL) < 0)
		return false;
	result = reader_get(r, id, see, NULL, NULL);
	readers_return(q->server->readers, r, result);
	return result == 0;
}

void open_stream(struct request *q)
{
	struct err e = {0};
	int r = 0;

	(void)request_json(q);
	if (!q->is_head)
		r = stream_open(q->server->stream, q->connection,
				&(struct stream_request){.filter = q->filter,
							 .last_id = last_event_id(q),
							 .is_last_known = may_see_last(q),
							 .is_scoped = q->scope != NULL},
				&q->response, &e);
	if (r < 0) {
		request_failed(q, r, NULL, &e);
		return;
	}
	if (!q->is_head)
		q->filter = NULL; /* taken */
	q->content_type = "text/event-stream";
	request_header(q, "X-Accel-Buffering", "no"); /* nginx, in between, must not collect */
}
