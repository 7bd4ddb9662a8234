// SPDX-License-Identifier: Apache-2.0
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "lib/id.h"
#include "replay/conversation.h"
#include "replay/report.h"

/* Durations are numbers of milliseconds, as people read them; times on the way are ns, in names too. */

static void key_ms(struct json *j, const char *key, uint64_t ns)
{
	json_key(j, key);
	json_double(j, (double)ns / (double)NS_PER_MS);
}

static void key_id(struct json *j, const char *key, uint64_t id)
{
	char text[ID_TEXT_LEN + 1];

	json_key_str(j, key, id_format(id, text));
}

void report_why(struct buf *out, const struct replay_result *result)
{
	if (result->verdict == VERDICT_SKIPPED)
		buf_add_fmt(out, "%s: %s", skip_name(result->skip), skip_what(result->skip));
	else
		buf_add_fmt(out, "%s: %s", miss_name(result->miss), miss_what(result->miss));
	if (result->error)
		buf_add_fmt(out, " (%s)", strerror(result->error));
	if (result->detail)
		buf_add_fmt(out, " (%s)", result->detail);
	if (result->h2_error)
		buf_add_fmt(out, " (%s)", nghttp2_http2_strerror(result->h2_error));
	if (result->verdict == VERDICT_NO_ANSWER && result->answer_bytes)
		buf_add_fmt(out, "; %llu bytes came", (unsigned long long)result->answer_bytes);
}

void report_where(struct buf *out, const struct diff *d, const struct diff_item *item)
{
	struct span where = diff_text(d, item->where);

	if (item->message)
		buf_add_fmt(out, "message %llu", (unsigned long long)item->message);
	if (item->message && span_eq(where, SPAN_LIT("message")))
		return;
	buf_add_str(out, item->message ? " " : "");
	buf_add_span(out, where);
}

static void add_counts(struct json *j, const char *key, const uint64_t *counts, unsigned count,
		       const char *(*name)(unsigned), bool has_zeros)
{
	json_key(j, key);
	json_object_begin(j);
	for (unsigned i = 0; i < count; i++)
		if (counts[i] || has_zeros)
			json_key_u64(j, name(i), counts[i]);
	json_object_end(j);
}

static void add_targets(struct json *j, const struct targets *targets)
{
	json_key(j, "targets");
	json_array_begin(j);
	for (uint16_t i = 0; i < targets->count; i++) {
		json_object_begin(j);
		if (targets->list[i].name[0])
			json_key_str(j, "service", targets->list[i].name);
		json_key_str(j, "to", targets->list[i].shown);
		if (*targets->list[i].name_space)
			json_key_str(j, "namespace", targets->list[i].name_space);
		if (*targets->list[i].how)
			json_key_str(j, "how", targets->list[i].how);
		if (targets->list[i].is_unverified)
			json_key_bool(j, "insecure", true);
		json_object_end(j);
	}
	json_array_end(j);
}

void report_plan_json(struct json *j, const struct plan *p)
{
	json_object_begin(j);
	json_key_u64(j, "selected", p->count);
	json_key_u64(j, "to_send", p->send_count);
	if (p->rules.shards > 1)
		json_key_u64(j, "elsewhere", p->elsewhere_count);
	json_key_u64(j, "connections", p->link_count);
	json_key_u64(j, "to_recorded_server", p->at_recorded_count);
	json_key_u64(j, "to_recorded_namespace", p->in_namespace_count);
	add_counts(j, "skipped", p->skipped, SKIP_COUNT, skip_name, false);
	key_ms(j, "duration_ms", (uint64_t)p->schedule.at);
	key_ms(j, "recorded_ms", p->last_ns - p->first_ns);
	json_key_u64(j, "shortened_gaps", p->schedule.squeezed);
	add_targets(j, p->targets);
	json_object_end(j);
}

static void add_request(struct json *j, const struct exchange *x)
{
	key_id(j, "id", x->id);
	json_key_text(j, "method", x->method);
	json_key_text(j, "target", x->target);
	json_key_text(j, "service", endpoint_service(&x->dst));
	json_key_text(j, "host", x->host);
}

void report_entry_json(struct json *j, const struct plan *p, const struct plan_entry *entry,
		       const struct exchange *x)
{
	json_object_begin(j);
	add_request(j, x);
	if (entry->skip != SKIP_NONE) {
		json_key_str(j, "skip", skip_name(entry->skip));
	} else {
		key_ms(j, "at_ms", entry->at_ns);
		json_key_u64(j, "connection", entry->link);
		json_key_str(j, "to", p->targets->list[p->links[entry->link].target].shown);
	}
	json_object_end(j);
}

static void add_diff(struct json *j, const struct diff *d)
{
	static const char *const notes[] = {"body_prefix_only", "no_recorded_head", "not_json",
					    "not_decoded"};

	json_key_u64(j, "difference_count", d->count);
	json_key(j, "differences");
	json_array_begin(j);
	for (unsigned i = 0; i < d->kept; i++) {
		const struct diff_item *item = &d->items[i];

		json_object_begin(j);
		json_key_str(j, "kind", diff_kind_name(item->kind));
		json_key_str(j, "change", diff_change_name(item->change));
		if (item->message)
			json_key_u64(j, "message", item->message);
		json_key_text(j, "where", diff_text(d, item->where));
		if (item->change != DIFF_ADDED)
			json_key_text(j, "recorded", diff_text(d, item->recorded));
		if (item->change != DIFF_REMOVED)
			json_key_text(j, "now", diff_text(d, item->now));
		json_object_end(j);
	}
	json_array_end(j);
	if (!d->notes)
		return;
	json_key(j, "notes");
	json_array_begin(j);
	for (unsigned i = 0; i < COUNT_OF(notes); i++)
		if (d->notes & 1U << i)
			json_str(j, notes[i]);
	json_array_end(j);
}

static void add_recorded(struct json *j, const struct replay_result *result)
{
	json_key(j, "recorded");
	json_object_begin(j);
	json_key_u64(j, "status", result->recorded->status);
	if (result->recorded->has_grpc_status)
		json_key_u64(j, "grpc_status", result->recorded->grpc_status);
	json_key_str(j, "outcome", outcome_name(result->recorded->outcome));
	if (result->recorded->protocol == PROTOCOL_WEBSOCKET) {
		json_key_u64(j, "close_code", result->recorded->close_code);
		json_key_u64(j, "messages", conversation_count(result->recorded->children));
	}
	key_ms(j, "latency_ms", result->recorded_ns);
	json_object_end(j);
}

static void add_now(struct json *j, const struct replay_result *result)
{
	json_key(j, "now");
	json_object_begin(j);
	json_key_u64(j, "status", result->status);
	if (result->h2_error)
		json_key_u64(j, "h2_error", result->h2_error);
	if (result->grpc_status >= 0)
		json_key_u64(j, "grpc_status", (uint64_t)result->grpc_status);
	if (result->conversation) {
		json_key_u64(j, "close_code", result->conversation->close_code);
		json_key_u64(j, "messages", result->conversation->said);
	}
	if (result->answer) {
		key_ms(j, "latency_ms", result->latency_ns);
		json_key_u64(j, "body_bytes", result->answer->body_bytes);
	}
	json_key_u64(j, "answer_bytes", result->answer_bytes);
	key_ms(j, "late_ms", result->late_ns);
	json_object_end(j);
}

void report_result_json(struct json *j, const struct replay_result *result)
{
	json_object_begin(j);
	add_request(j, result->recorded);
	json_key_str(j, "verdict", verdict_name(result->verdict));
	if (result->verdict == VERDICT_SKIPPED || result->verdict == VERDICT_NO_ANSWER) {
		AUTO_BUF why = {0};

		report_why(&why, result);
		json_key_str(j, "reason",
			     result->verdict == VERDICT_SKIPPED ? skip_name(result->skip)
								: miss_name(result->miss));
		json_key_text(j, "why", buf_span(&why));
	}
	if (result->is_still_failing)
		json_key_bool(j, "still_failing", true);
	if (result->was_retried)
		json_key_bool(j, "retried", true);
	if (result->loop)
		json_key_u64(j, "loop", result->loop);
	if (result->verdict != VERDICT_SKIPPED) {
		key_ms(j, "at_ms", result->due_ns);
		add_recorded(j, result);
		add_now(j, result);
	}
	if (result->diff)
		add_diff(j, result->diff);
	json_object_end(j);
}

static void add_histogram(struct json *j, const char *key, const struct histogram *h)
{
	json_key(j, key);
	json_object_begin(j);
	json_key_u64(j, "count", h->count);
	key_ms(j, "p50", histogram_percentile(h, 50));
	key_ms(j, "p90", histogram_percentile(h, 90));
	key_ms(j, "p99", histogram_percentile(h, 99));
	key_ms(j, "max", h->max);
	json_object_end(j);
}

static void add_noise(struct json *j, const struct noise *noise)
{
	json_key(j, "frequent_differences");
	json_array_begin(j);
	for (size_t i = 0; i < noise->count; i++) {
		json_object_begin(j);
		json_key_str(j, "kind", diff_kind_name(noise->rows[i].kind));
		json_key_text(j, "where", span_str(noise->rows[i].where));
		json_key_u64(j, "count", noise->rows[i].count);
		json_object_end(j);
	}
	json_array_end(j);
}

static void add_traffic(struct json *j, const struct replay_summary *s)
{
	double seconds = (double)s->duration_ns / (double)NS_PER_S;

	key_ms(j, "duration_ms", s->duration_ns);
	json_key(j, "rate_per_s");
	json_double(j, seconds > 0 ? (double)s->sent / seconds : 0);
	json_key_u64(j, "bytes_sent", s->client.bytes_out);
	json_key_u64(j, "bytes_received", s->client.bytes_in);
	json_key_u64(j, "connections", s->client.connections);
	json_key_u64(j, "reconnects", s->client.reconnects);
	json_key_u64(j, "tls_handshakes", s->client.tls_handshakes);
	json_key_u64(j, "tls_resumed", s->client.tls_resumed);
	json_key_u64(j, "retried", s->client.retries);
	json_key_u64(j, "unasked_answers", s->client.unasked);
	json_key_u64(j, "held_back", s->client.held);
	json_key_u64(j, "in_flight_max", s->client.in_flight_max);
}

void report_summary_json(struct json *j, const struct replay_summary *s, const struct noise *noise)
{
	json_object_begin(j);
	add_counts(j, "verdicts", s->verdicts, VERDICT_COUNT, verdict_name, true);
	json_key_u64(j, "still_failing", s->still_failing);
	add_counts(j, "skipped", s->skips, SKIP_COUNT, skip_name, false);
	add_counts(j, "no_answer", s->misses, MISS_COUNT, miss_name, false);
	json_key_u64(j, "sent", s->sent);
	json_key_u64(j, "not_reached", s->not_reached);
	json_key_u64(j, "sent_redacted", s->redacted);
	json_key_bool(j, "interrupted", s->is_interrupted);
	json_key_bool(j, "fails", replay_fails(s));
	add_traffic(j, s);
	add_histogram(j, "recorded_latency_ms", &s->recorded);
	add_histogram(j, "latency_ms", &s->now);
	add_histogram(j, "latency_from_due_ms", &s->from_due);
	add_histogram(j, "lateness_ms", &s->late);
	add_histogram(j, "lateness_own_ms", &s->late_own);
	add_noise(j, noise);
	json_object_end(j);
}
