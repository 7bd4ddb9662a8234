// SPDX-License-Identifier: Apache-2.0
#include "wire/http2_stream.h"

#include "wire/emit.h"
#include "wire/internal.h"
#include "wire/part.h"

/*
 * Theory of operation
 *
 * Frames name their stream, so pairing needs no order and nothing can shift: a stream is a pair
 * (wire/pair.h) in a hash of slots by its id. It leaves when both sides have sent END_STREAM, when
 * either resets it, when GOAWAY says that it will not be answered, or with the connection.
 *
 *   HEADERS ---> request read ---END_STREAM---> waits (wire::pending) ---HEADERS---> response read
 *                                                    | exchange_timeout -> told    ---END_STREAM---> told
 *
 * gRPC ends in its trailers: grpc-status there, or in the only HEADERS (trailers-only), is the status.
 * A call that the client gave up has no trailers; RFC-less as it is, the code of RST_STREAM maps to a status
 * by gRPC's own table, and a cancellation near or after the deadline that the request named is that deadline.
 */

_Static_assert(sizeof(struct h2_stream) <= POOL_BLOCK_BYTES, "a stream is one block");

void h2_streams_init(struct h2_streams *s, struct conn *c)
{
	*s = (struct h2_streams){0};
	pairs_init(&s->pairs, c);
}

static struct counters *counters_of(const struct h2_streams *s)
{
	return s->pairs.c->wire->counters;
}

static struct h2_stream **slot_of(struct h2_streams *s, uint32_t id)
{
	return &s->slots[(id >> 1) % H2_SLOTS];
}

struct h2_stream *h2_stream_find(const struct h2_streams *s, uint32_t id)
{
	struct h2_stream *x = s->slots[(id >> 1) % H2_SLOTS];

	while (x && x->id != id)
		x = x->next;
	return x;
}

static struct h2_stream *stream_of(struct list *link)
{
	return CONTAINER_OF(CONTAINER_OF(link, struct pair, link), struct h2_stream, pair);
}

static bool has_request(const struct h2_stream *x)
{
	return draft_has_begun(&x->pair.request);
}

static bool has_response(const struct h2_stream *x)
{
	return draft_has_begun(&x->pair.response);
}

static void forget(struct h2_streams *s, struct h2_stream *x)
{
	struct h2_stream **at = slot_of(s, x->id);
	struct pool *pool = s->pairs.c->wire->pool;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	s->count--;
	list_remove(&x->pair.pending);
	list_remove(&x->pair.link);
	draft_free(&x->pair.request, pool);
	draft_free(&x->pair.response, pool);
	children_free(&x->pair.children, pool);
	events_free(&x->pair.events, s->pairs.c->wire);
	pool_give(pool, x);
}

/* --- how a stream ended --- */

/* doc/PROTOCOL-HTTP2.md, "Errors": what a stream's error code means to gRPC */
static const uint8_t grpc_status_of_code[] = {
	[0x0] = 13, /* NO_ERROR: INTERNAL */
	[0x1] = 13, [0x2] = 13, [0x3] = 13, [0x4] = 13,
	[0x5] = 2,  [0x6] = 13, [0x7] = 14, /* REFUSED_STREAM: UNAVAILABLE */
	[0x8] = 1,			    /* CANCEL: CANCELLED */
	[0x9] = 13, [0xa] = 13, [0xb] = 8,  /* ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED */
	[0xc] = 7,			    /* INADEQUATE_SECURITY: PERMISSION_DENIED */
};
/*
 * A client's deadline runs from before its head is on the wire, and the head's number is rounded up:
 * it gives up somewhat earlier than the wire says.
 */
#define DEADLINE_PART	       10
#define DEADLINE_SLACK_NS      (5 * NS_PER_MS)
#define GRPC_CANCELLED	       1
#define GRPC_DEADLINE_EXCEEDED 4

static bool is_status_unknown(const struct h2_stream *x)
{
	return has_response(x) && (x->has_unknown_status || x->pair.response.info.status == 0);
}

static enum outcome outcome_of(const struct h2_stream *x, enum reason reason)
{
	unsigned status = x->pair.response.info.status;

	switch (reason) {
	case REASON_RESET_CLIENT:
	case REASON_RESET_SERVER: return OUTCOME_RESET;
	case REASON_TIMED_OUT: return OUTCOME_TIMEOUT;
	case REASON_GOAWAY:
	case REASON_CLOSED:
	case REASON_CLIENT_CLOSED:
		if (!has_response(x))
			return OUTCOME_NO_RESPONSE;
		break;
	case REASON_NONE:
	case REASON_CAPTURE_END:
	case REASON_GAP:
	case REASON_ONE_SIDED:
	case REASON_NO_REQUEST:
	case REASON_EVICTED:
	case REASON_PARSE_ERROR:
	case REASON_UNKNOWN_STATUS:
	case REASON_ONGOING:
	case REASON_COUNT: break;
	}
	if (!has_response(x) || is_status_unknown(x))
		return OUTCOME_INCOMPLETE;
	return status < 400 && x->pair.grpc_status > 0 ? OUTCOME_GRPC_ERROR
						       : outcome_of_status(status);
}

static enum reason why(const struct h2_stream *x, enum reason reason)
{
	if (!has_request(x))
		return REASON_NO_REQUEST;
	if (is_status_unknown(x) && (x->pair.response.flags & MESSAGE_COMPLETE))
		return REASON_UNKNOWN_STATUS;
	if (has_response(x) && (x->pair.response.flags & MESSAGE_COMPLETE))
		return REASON_NONE;
	return x->pair.response.flags & MESSAGE_HAS_GAP ? REASON_GAP : reason;
}

static void tell(struct h2_streams *s, struct h2_stream *x, enum reason reason)
{
	reason = why(x, reason);
	if (has_request(x) || has_response(x))
		emit_pair(&x->pair, outcome_of(x, reason), reason);
	if (has_request(x))
		counter_sub(counters_of(s), COUNTER_REQUESTS_OPEN, 1);
	x->pair.is_told = true;
}

static void tell_and_forget(struct h2_streams *s, struct h2_stream *x, enum reason reason)
{
	if (!x->pair.is_told)
		tell(s, x, reason);
	else if (has_response(x))
		counter_add(counters_of(s), COUNTER_RESPONSES_LATE, 1);
	forget(s, x);
}

struct h2_stream *h2_stream_open(struct h2_streams *s, uint32_t id)
{
	struct h2_stream *x, **slot = slot_of(s, id);

	if (s->count >= H2_STREAMS_MAX)
		tell_and_forget(s, stream_of(list_first(&s->pairs.open)), REASON_EVICTED);
	x = wire_block(s->pairs.c->wire, s->pairs.c);
	if (!x)
		return NULL;
	*x = (struct h2_stream){.id = id, .next = *slot};
	x->pair.owner = &s->pairs;
	x->pair.rules = s->pairs.c->wire->redaction_rules;
	x->pair.stream = id;
	x->pair.protocol = PROTOCOL_HTTP2;
	x->pair.grpc_status = -1;
	list_init(&x->pair.pending);
	list_append(&s->pairs.open, &x->pair.link);
	*slot = x;
	s->count++;
	return x;
}

/* --- gRPC --- */

/* Joined late, the content type may not be known: this may be a call. */
static bool may_be_grpc(const struct h2_stream *x)
{
	const struct http1_head *asked = &x->pair.request.info;

	return x->pair.protocol == PROTOCOL_GRPC ||
	       (asked->anomalies & ANOMALY_BIT(H2_PARTIAL) && !asked->content_type.from &&
		asked->method_len != sizeof("GET") - 1);
}

/* trailers with a status are gRPC's alone; among fields that are not known it may be hidden */
static void note_grpc_status(struct h2_stream *x, const struct http2_block *b, bool is_trailers)
{
	if (!is_trailers && !may_be_grpc(x))
		return;
	if (b->grpc.status >= 0) {
		x->pair.protocol = PROTOCOL_GRPC;
		x->pair.grpc_status = b->grpc.status;
	} else if (is_trailers && b->has_unknown_name) {
		x->has_unknown_status = true;
	}
}

static void note_grpc_reset(struct h2_stream *x, uint32_t code, uint64_t ts_ns)
{
	uint64_t deadline = x->pair.grpc_timeout_ns;
	uint64_t begun_ns = x->pair.is_continuation ? x->pair.begun_ns : x->pair.request.first_ns;

	if (x->pair.protocol != PROTOCOL_GRPC || x->pair.grpc_status >= 0)
		return;
	x->pair.grpc_status =
		code < sizeof(grpc_status_of_code) ? grpc_status_of_code[code] : GRPC_UNKNOWN;
	if (x->pair.grpc_status == GRPC_CANCELLED && deadline &&
	    ts_ns + deadline / DEADLINE_PART + DEADLINE_SLACK_NS >= begun_ns + deadline)
		x->pair.grpc_status = GRPC_DEADLINE_EXCEEDED;
	x->pair.anomalies |= ANOMALY_BIT(GRPC_DERIVED);
}

/* --- messages --- */

static struct draft *draft_of(struct h2_stream *x, bool is_response)
{
	return is_response ? &x->pair.response : &x->pair.request;
}

static void begin_message(struct h2_streams *s, struct h2_stream *x, bool is_response,
			  struct span head, const struct http1_head *info, uint64_t ts_ns)
{
	struct draft *d = draft_of(x, is_response);

	draft_begin(d, 0, UINT64_MAX, ts_ns);
	draft_add_head(d, s->pairs.c, head);
	d->info = *info;
	d->flags |= MESSAGE_PRESENT;
}

void h2_stream_request(struct h2_streams *s, struct h2_stream *x, struct span head,
		       const struct http2_block *b, uint64_t ts_ns)
{
	struct counters *n = counters_of(s);

	begin_message(s, x, false, head, &b->info, ts_ns);
	x->pair.sequence = s->pairs.c->sequence++;
	counter_add(n, COUNTER_REQUESTS_IN, 1);
	counter_add(n, COUNTER_REQUESTS_OPEN, 1);
	if (grpc_is_type(http1_span(head, b->info.content_type))) {
		x->pair.protocol = PROTOCOL_GRPC;
		x->pair.grpc_timeout_ns = b->grpc.timeout_ns;
	}
}

void h2_stream_response(struct h2_streams *s, struct h2_stream *x, struct span head,
			const struct http2_block *b, uint64_t ts_ns)
{
	const struct http1_head *info = &b->info;

	begin_message(s, x, true, head, info, ts_ns);
	s->pairs.has_response_bytes = true;
	part_watch(&x->pair, ts_ns);
	if (!has_request(x) && grpc_is_type(http1_span(head, info->content_type)))
		x->pair.protocol = PROTOCOL_GRPC;
	/* to gRPC, streaming both ways is no anomaly */
	if (has_request(x) && !x->pair.request.is_over && !may_be_grpc(x) &&
	    !x->pair.request.info.is_connect)
		x->pair.anomalies |= ANOMALY_BIT(EARLY_RESPONSE);
	if (x->pair.request.info.is_connect && info->status >= 200 && info->status < 300)
		x->pair.anomalies |= ANOMALY_BIT(TUNNEL); /* RFC 9113 8.5, RFC 8441 */
	events_begin(&x->pair.events, s->pairs.c, head, info->version,
		     http1_span(head, info->content_type));
	note_grpc_status(x, b, false); /* trailers-only */
}

void h2_stream_trailers(struct h2_streams *s, struct h2_stream *x, bool is_response,
			const struct http2_block *b, uint64_t ts_ns)
{
	struct draft *d = draft_of(x, is_response);

	d->last_ns = ts_ns;
	d->has_plain_trailers = d->trailers.len == 0 && !b->info.is_watched;
	draft_add_trailer(d, s->pairs.c, http2_block_lines(b));
	if (is_response)
		note_grpc_status(x, b, true);
}

void h2_stream_data(struct h2_stream *x, bool is_response, struct span bytes, uint64_t ts_ns)
{
	struct draft *d = draft_of(x, is_response);

	if (!draft_has_begun(d) || d->is_over)
		return;
	d->last_ns = ts_ns;
	part_take_body(&x->pair, is_response, bytes, ts_ns);
}

void h2_stream_missing(struct h2_stream *x, bool is_response, uint64_t len)
{
	struct draft *d = draft_of(x, is_response);

	d->body_bytes += len;
	draft_note_gap(d);
	grpc_skip(&x->pair.grpc[is_response], len);
}

static void wait_for_response(struct h2_streams *s, struct h2_stream *x, uint64_t ts_ns)
{
	x->pair.waits_since_ns = ts_ns;
	list_remove(&x->pair.pending);
	list_append(&s->pairs.c->wire->pending, &x->pair.pending);
}

void h2_stream_end(struct h2_streams *s, struct h2_stream *x, bool is_response, uint64_t ts_ns)
{
	struct draft *d = draft_of(x, is_response);

	d->last_ns = ts_ns;
	d->is_over = true;
	/* a call may have ended in this one head, with a status that is not known */
	if (is_response && x->pair.grpc_status < 0 && d->body_bytes == 0 && d->trailers.len == 0 &&
	    (d->info.anomalies & ANOMALY_BIT(H2_PARTIAL)) && may_be_grpc(x))
		x->has_unknown_status = true;
	if (!(d->flags & MESSAGE_HAS_GAP))
		d->flags |= MESSAGE_COMPLETE;
	if (x->pair.response.is_over && (x->pair.request.is_over || !has_request(x)))
		tell_and_forget(s, x, REASON_NONE);
	else if (!is_response && !has_response(x) && !x->pair.is_told)
		wait_for_response(s, x, ts_ns);
}

void h2_stream_reset(struct h2_streams *s, struct h2_stream *x, bool is_by_server, uint32_t code,
		     uint64_t ts_ns)
{
	struct draft *d = draft_of(x, is_by_server);

	/* the client's last word, also behind its END_STREAM: a replay gives up when the client did */
	if (draft_has_begun(d) && (!d->is_over || !is_by_server))
		d->last_ns = ts_ns;
	/* after a whole answer it only says that the rest of the request is not wanted (RFC 9113 8.1) */
	if (!x->pair.response.is_over) {
		note_grpc_reset(x, code, ts_ns);
		x->pair.h2_error = code;
	}
	tell_and_forget(s, x, is_by_server ? REASON_RESET_SERVER : REASON_RESET_CLIENT);
}

void h2_streams_refused(struct h2_streams *s, uint32_t last, uint32_t code)
{
	struct list *l = s->pairs.open.next;

	while (l != &s->pairs.open) {
		struct h2_stream *x = stream_of(l);

		l = l->next;
		if (x->id <= last || !(x->id & 1))
			continue;
		x->pair.h2_error = code;
		tell_and_forget(s, x, REASON_GOAWAY);
	}
}

void h2_streams_lost(struct h2_streams *s, bool is_response)
{
	for (struct list *l = s->pairs.open.next; l != &s->pairs.open; l = l->next) {
		struct draft *d = draft_of(stream_of(l), is_response);

		if (!d->is_over)
			draft_note_gap(d);
	}
}

void h2_streams_close(struct h2_streams *s, enum reason reason)
{
	struct list *l;

	while ((l = list_first(&s->pairs.open)))
		tell_and_forget(s, stream_of(l), reason);
}
