// SPDX-License-Identifier: Apache-2.0
#include "wire/adopt.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "schema/child.h"
#include "schema/grpc.h"
#include "wire/http1.h"
#include "wire/http2_head.h"
#include "wire/redact.h"
#include "wire/request_facts.h"

/*
 * Theory of operation. Three steps, of which a complete exchange needs the last one only:
 *
 *   raw bytes -> http1_next() -> head, body, framing, trailers     (files that hold messages)
 *   head -> http1_head_parse() or http2_head_read() -> fields      (files that hold no fields)
 *   head, trailers -> redact_head(), redact_trailers()             -> fields again, where a secret
 * was
 *
 * The parsers are those of the capture, so the same bytes give the same exchange. Interim responses
 * (1xx) are passed over as they are there. A message without a head that can be parsed keeps its
 * bytes and has no fields.
 */
#define REDACT_SPARE 128 /* what a head may grow by its tags before it is copied once more */

struct side {
	struct buf head, body, framing, trailers; /* what raw was taken apart into */
	struct buf redacted, redacted_trailers;
	struct http1_head info; /* of the head as it is handed out */
};

struct adopter {
	struct redactor *redactor; /* NULL: nothing is redacted */
	struct side sides[2];
	struct request_route route;
};

struct adopter *adopter_new(const uint8_t *redact_key, const char *const *redact_headers,
			    const char *const *redact_params)
{
	AUTO(adopter) a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (redact_key && !(a->redactor = redactor_new(redact_key, redact_headers, redact_params)))
		return NULL;
	return TAKE(a);
}

void adopter_free(struct adopter *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct side *s = &a->sides[i];
		struct buf *all[] = {&s->head,	   &s->body,	 &s->framing,
				     &s->trailers, &s->redacted, &s->redacted_trailers};

		for (size_t k = 0; k < COUNT_OF(all); k++)
			buf_fini(all[k]);
	}
	redactor_free(a->redactor);
	free(a);
}

/* --- raw bytes are taken apart --- */

/* One message being read. */
struct taking {
	struct http1 parser;
	struct side *side;
	struct http1_asked asked;
	bool is_over, is_whole, is_chunked, has_started;
	size_t left_over;
};

static void end_head(struct taking *t, const struct http1_step *step)
{
	enum http1_follows follows;

	if (!step->is_parsed)
		http1_parse(&t->parser, buf_span(&t->side->head), false);
	t->side->info = t->parser.head;
	t->has_started = true;
	t->is_chunked = t->parser.head.framing == HTTP1_CHUNKED;
	follows = http1_begin_body(&t->parser, t->asked);
	if (follows == HTTP1_FOLLOWS_INTERIM) {
		buf_clear(&t->side->head);
		t->has_started = false;
	}
	t->is_whole = follows == HTTP1_FOLLOWS_TUNNEL; /* what follows is none of it */
	t->is_over = t->is_whole || follows == HTTP1_FOLLOWS_UNKNOWN;
}

static void take_step(struct taking *t, const struct http1_step *step)
{
	switch (step->kind) {
	case HTTP1_HEAD_PART: buf_add_span(&t->side->head, step->bytes); break;
	case HTTP1_HEAD:
		buf_add_span(&t->side->head, step->bytes);
		end_head(t, step);
		break;
	case HTTP1_BODY: buf_add_span(&t->side->body, step->bytes); break;
	case HTTP1_FRAMING: buf_add_span(&t->side->framing, step->bytes); break;
	case HTTP1_TRAILER: buf_add_span(&t->side->trailers, step->bytes); break;
	case HTTP1_SKIPPED:
	case HTTP1_TUNNEL: t->left_over += step->bytes.len; break;
	case HTTP1_END: t->is_over = t->is_whole = true; break;
	case HTTP1_BROKEN: t->is_over = true; break;
	case HTTP1_NEED_MORE: break;
	}
}

/* a head without its empty line: the file says that nothing follows, so it is read as far as it
 * goes */
static void end_cut_head(struct taking *t)
{
	if (t->has_started || t->side->head.len == 0)
		return;
	http1_parse(&t->parser, buf_span(&t->side->head), true);
	t->side->info = t->parser.head;
	t->has_started = t->side->info.version != 0;
}

static bool take_apart(struct taking *t, struct span raw)
{
	struct http1_step step;

	while (!t->is_over && (raw.len || http1_has_more(&t->parser))) {
		size_t n = http1_next(&t->parser, raw, &step);

		take_step(t, &step);
		/* its place stays, when nothing is left too */
		raw = span_of(raw.ptr + n, raw.len - n);
	}
	t->left_over += raw.len;
	t->is_whole |= !t->is_over && http1_close(&t->parser);
	end_cut_head(t);
	return t->has_started;
}

static void fill_message(struct message *m, const struct taking *t)
{
	const struct side *s = t->side;

	m->head = buf_span(&s->head);
	m->body = buf_span(&s->body);
	m->framing = buf_span(&s->framing);
	m->trailers = buf_span(&s->trailers);
	m->flags = MESSAGE_PRESENT | (t->is_chunked ? MESSAGE_CHUNKED : 0);
	if (t->is_whole)
		m->flags |= MESSAGE_COMPLETE | MESSAGE_LENGTH_KNOWN;
	if (t->is_whole && s->info.framing == HTTP1_UNFRAMED && s->body.len)
		m->flags |= MESSAGE_CLOSE_DELIMITED;
	m->body_bytes = s->body.len;
	if (!t->is_whole && s->info.framing == HTTP1_LENGTH &&
	    s->info.content_length >= s->body.len) {
		m->flags |= MESSAGE_LENGTH_KNOWN;
		m->body_bytes = s->info.content_length;
	}
}

static void clear(struct side *s)
{
	buf_clear(&s->head);
	buf_clear(&s->body);
	buf_clear(&s->framing);
	buf_clear(&s->trailers);
	s->info = (struct http1_head){0};
}

/* Return: bytes that are no part of the message */
static size_t take_raw(struct adopter *a, struct message *m, struct span raw, bool is_response)
{
	struct taking t = {.side = &a->sides[is_response]};

	clear(t.side);
	if (is_response)
		t.asked =
			(struct http1_asked){a->sides[0].info.is_head, a->sides[0].info.is_connect};
	http1_init(&t.parser, is_response ? HTTP1_RESPONSE : HTTP1_REQUEST, NULL);
	if (!take_apart(&t, raw))
		return raw.len;
	fill_message(m, &t);
	m->version = t.side->info.version;
	return t.left_over;
}

/* --- heads are read --- */

static void read_head(struct message *m, bool is_response, struct http1_head *info)
{
	enum http1_kind kind = is_response ? HTTP1_RESPONSE : HTTP1_REQUEST;

	*info = (struct http1_head){0};
	if (m->head.len == 0)
		return;
	if (m->version == 20)
		http2_head_read(kind, m->head, NULL, info);
	else if (!http1_head_parse(kind, m->head, false, NULL, info) &&
		 !http1_head_parse(kind, m->head, true, NULL, info))
		*info = (struct http1_head){0};
	info->version = m->version ? m->version : info->version;
	m->version = info->version;
}

static struct span field_of(struct span lines, bool is_trailers, const char *name)
{
	struct header_iter it = {.rest = lines, .is_trailers = is_trailers};

	while (header_next(&it))
		if (span_ieq(it.name, span_str(name)))
			return it.value;
	return (struct span){0};
}

/* gRPC (doc/PROTOCOL-HTTP2.md): content type, deadline, status in the trailers or the only head */
static void read_grpc(struct exchange *x)
{
	struct span status = field_of(x->response.trailers, true, "grpc-status");

	if (x->request.version != 20 || !grpc_is_type(x->request.content_type))
		return;
	x->protocol = PROTOCOL_GRPC;
	x->grpc_timeout_ns = grpc_timeout_ns(message_header(&x->request, "grpc-timeout"));
	if (!status.ptr)
		status = message_header(&x->response, "grpc-status");
	x->has_grpc_status = status.ptr != NULL;
	x->grpc_status = status.ptr ? (uint16_t)grpc_status_parse(status) : 0;
	for (unsigned i = 0; i < 2; i++) {
		struct span body = i ? x->response.body : x->request.body;
		struct grpc_walker w = {0};

		while (grpc_walk(&w, &body))
			;
		x->messages[i] = w.messages;
	}
	exchange_split_grpc(x);
}

static void read_protocol(struct exchange *x)
{
	uint8_t version = x->request.version ? x->request.version : x->response.version;
	struct span row = x->children;
	struct child c;

	if (x->protocol == PROTOCOL_UNKNOWN)
		x->protocol = version == 20 ? PROTOCOL_HTTP2
			      : version	    ? PROTOCOL_HTTP1
					    : PROTOCOL_UNKNOWN;
	if (x->protocol != PROTOCOL_WEBSOCKET) {
		read_grpc(x);
		return;
	}
	x->messages[0] = x->messages[1] = 0;
	while (child_next(&row, &c) == 1) {
		x->messages[c.is_from_server]++;
		x->close_code =
			c.kind == CHILD_WS_CLOSE ? (uint16_t)child_close_code(&c) : x->close_code;
	}
}

/* what the file does not say of how it ended */
static void read_outcome(struct exchange *x)
{
	if (x->outcome || x->reason)
		return;
	if (!(x->response.flags & MESSAGE_PRESENT)) {
		x->outcome = OUTCOME_INCOMPLETE;
		x->reason = REASON_CAPTURE_END;
		return;
	}
	x->reason = x->request.flags & MESSAGE_PRESENT ? REASON_NONE : REASON_NO_REQUEST;
	if (x->reason == REASON_NONE && !(x->response.flags & MESSAGE_COMPLETE))
		x->reason = REASON_CAPTURE_END;
	x->outcome = x->status ? (uint8_t)outcome_of_status(x->status) : OUTCOME_INCOMPLETE;
	if (x->outcome == OUTCOME_OK && x->grpc_status)
		x->outcome = OUTCOME_GRPC_ERROR;
}

static void read_times(struct exchange *x)
{
	bool has_request = x->request.flags & MESSAGE_PRESENT;

	if (x->start_ns == 0)
		x->start_ns = has_request ? x->request.first_ns : x->response.first_ns;
	x->connection = x->connection ? x->connection : x->start_ns;
}

static void set_route(struct adopter *a, struct exchange *x)
{
	request_facts(x, &a->sides[0].info);
	request_route_of(&a->route, &a->sides[0].info, x->request.head);
	if (!a->route.is_path)
		x->route = span_of(a->route.text, a->route.len);
}

static void read_fields(struct adopter *a, struct exchange *x)
{
	const struct http1_head *q = &a->sides[0].info, *r = &a->sides[1].info;

	if (x->request.flags & MESSAGE_PRESENT)
		set_route(a, x);
	x->request.content_type = http1_span(x->request.head, q->content_type);
	x->response.content_type = http1_span(x->response.head, r->content_type);
	if (x->response.flags & MESSAGE_PRESENT)
		x->status = r->status;
	if (q->version < 20 && q->framing == HTTP1_CHUNKED)
		x->request.flags |= MESSAGE_CHUNKED;
	if (r->version < 20 && r->framing == HTTP1_CHUNKED)
		x->response.flags |= MESSAGE_CHUNKED;
	x->anomalies |= q->anomalies | r->anomalies;
	if (q->replay_of.from)
		x->anomalies |= ANOMALY_BIT(REPLAYED);
	read_times(x);
	read_protocol(x);
	read_outcome(x);
}

/* --- secrets --- */

static struct span redacted_head(struct adopter *a, struct message *m, bool is_response,
				 size_t *count)
{
	struct redact_job job = {.kind = is_response ? HTTP1_RESPONSE : HTTP1_REQUEST,
				 .head = m->head};
	struct buf *out = &a->sides[is_response].redacted;
	size_t len = m->head.len + REDACT_SPARE;

	buf_clear(out);
	do { /* once more where tags are that much longer than secrets */
		job.room = len;
		if (!buf_reserve(out, job.room))
			return m->head;
		len = redact_head(a->redactor, &job, out->ptr);
	} while (len > job.room);
	if (job.secrets == 0)
		return m->head;
	out->len = len;
	*count += job.secrets;
	return buf_span(out);
}

static struct span redacted_trailers(struct adopter *a, struct message *m, bool is_response,
				     size_t *count)
{
	struct buf *out = &a->sides[is_response].redacted_trailers;
	size_t secrets = 0, room;

	buf_clear(out);
	if (m->trailers.len == 0)
		return m->trailers;
	room = redact_trailers(a->redactor, m->trailers, NULL, &secrets);
	if (secrets == 0 || !buf_reserve(out, room))
		return m->trailers;
	out->len = redact_trailers(a->redactor, m->trailers, out->ptr, &secrets);
	*count += secrets;
	return buf_span(out);
}

static size_t redact(struct adopter *a, struct exchange *x)
{
	size_t secrets = 0;

	for (unsigned i = 0; i < 2 && a->redactor; i++) {
		struct message *m = i ? &x->response : &x->request;

		if (m->head.len)
			m->head = redacted_head(a, m, i, &secrets);
		m->trailers = redacted_trailers(a, m, i, &secrets);
	}
	if (secrets)
		x->anomalies |= ANOMALY_BIT(REDACTED);
	return secrets;
}

/* The fields of a complete exchange that its heads tell, once these have changed. */
static void follow_heads(struct adopter *a, struct exchange *x)
{
	struct span route = x->route;

	if (x->request.flags & MESSAGE_PRESENT)
		request_facts(x, &a->sides[0].info);
	x->route = route;
	exchange_split_grpc(x);
	if (x->request.content_type.ptr)
		x->request.content_type =
			http1_span(x->request.head, a->sides[0].info.content_type);
	if (x->response.content_type.ptr)
		x->response.content_type =
			http1_span(x->response.head, a->sides[1].info.content_type);
}

static bool has_failed(const struct adopter *a)
{
	bool failed = false;

	for (size_t i = 0; i < 2; i++) {
		const struct side *s = &a->sides[i];

		failed |= s->head.is_failed || s->body.is_failed || s->framing.is_failed ||
			  s->trailers.is_failed || s->redacted.is_failed ||
			  s->redacted_trailers.is_failed;
	}
	return failed;
}

int adopt(struct adopter *a, const struct foreign *f, struct adopted *out)
{
	struct exchange *x = &out->x;

	*out = (struct adopted){.x = f->x};
	a->sides[0].info = (struct http1_head){0};
	if (f->raw[0].ptr)
		out->left_over += take_raw(a, &x->request, f->raw[0], false);
	if (f->raw[1].ptr)
		out->left_over += take_raw(a, &x->response, f->raw[1], true);
	if (!((x->request.flags | x->response.flags) & MESSAGE_PRESENT))
		return -EBADMSG;
	out->secrets = redact(a, x);
	if (!f->is_complete || out->secrets) {
		read_head(&x->request, false, &a->sides[0].info);
		read_head(&x->response, true, &a->sides[1].info);
	}
	if (!f->is_complete)
		read_fields(a, x);
	else if (out->secrets)
		follow_heads(a, x);
	return has_failed(a) ? -ENOMEM : 0;
}
