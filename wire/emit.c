// SPDX-License-Identifier: Apache-2.0
#include "wire/emit.h"

#include "wire/internal.h"

/*
 * Theory of operation
 *
 * The size of everything is computed, the receiver's memory reserved, and each byte copied once, from
 * the pool's blocks to where the recorder reads it. The fields of an exchange are spans into the head
 * that was just copied: what http1_head.c noted are positions, so nothing is parsed twice.
 */

/* Memory that is being filled from the front. */
struct room {
	uint8_t *at;
};

static struct span put_chain(struct room *r, const struct chain *c)
{
	struct span s = {r->at, c->len};

	if (c->len == 0)
		return (struct span){0};
	chain_copy(c, 0, c->len, r->at);
	r->at += c->len;
	return s;
}

static size_t draft_bytes(const struct draft *d)
{
	return d->head.len + d->body.len + d->framing.len + d->trailers.len;
}

/* the announced size stands for the true one where the rest was not captured */
static void note_length(struct message *m, const struct draft *d)
{
	m->body_bytes = d->body_bytes;
	if (m->flags & MESSAGE_COMPLETE) {
		m->flags |= MESSAGE_LENGTH_KNOWN;
	} else if (d->info.framing == HTTP1_LENGTH && d->info.content_length >= d->body_bytes) {
		m->flags |= MESSAGE_LENGTH_KNOWN;
		m->body_bytes = d->info.content_length;
	}
}

static void put_message(struct room *r, struct message *m, const struct draft *d)
{
	*m = (struct message){0};
	if (!draft_has_begun(d))
		return;
	m->head = put_chain(r, &d->head);
	m->body = put_chain(r, &d->body);
	m->framing = put_chain(r, &d->framing);
	m->trailers = put_chain(r, &d->trailers);
	m->content_type = http1_span(m->head, d->info.content_type);
	m->first_ns = d->first_ns;
	m->last_ns = d->last_ns;
	m->flags = d->flags;
	m->version = d->info.version;
	note_length(m, d);
}

/* RFC 9112 3.2: the path of origin-form and absolute-form; other forms stand for themselves */
static struct span path_of(struct span target)
{
	size_t n = 0;
	const uint8_t *scheme = target.len > 3 ? memmem(target.ptr, MIN(target.len, (size_t)16), "://", 3) : NULL;

	if (target.len && target.ptr[0] != '/' && scheme) {
		const uint8_t *slash;

		target = span_from(target, (size_t)(scheme - target.ptr) + 3);
		slash = target.len ? memchr(target.ptr, '/', target.len) : NULL;
		target = span_from(target, slash ? (size_t)(slash - target.ptr) : target.len);
	}
	while (n < target.len && target.ptr[n] != '?' && target.ptr[n] != '#')
		n++;
	return (struct span){target.ptr, n};
}

static void fill_request(struct exchange *x, const struct draft *d)
{
	struct span head = x->request.head;

	x->method = span_of(head.ptr, d->info.method_len);
	x->target = http1_span(head, d->info.target);
	x->host = http1_span(head, d->info.host);
	x->path = d->info.is_connect ? x->target : path_of(x->target);
	x->route = x->path;
	x->trace_id = http1_span(head, d->info.trace_id);
	x->replay_of = http1_span(head, d->info.replay_of);
}

static uint64_t anomalies_of(const struct pair *p)
{
	const struct conn *c = p->owner->c;
	uint64_t bits = p->anomalies | p->request.info.anomalies | p->response.info.anomalies;
	uint32_t asked = p->request.flags, answered = p->response.flags;

	bits |= c->is_midstream ? ANOMALY_BIT(MIDSTREAM) : 0;
	bits |= c->was_cut[0] || c->was_cut[1] ? ANOMALY_BIT(SNAPLEN) : 0;
	bits |= asked & MESSAGE_HAS_GAP ? ANOMALY_BIT(GAP_REQUEST) : 0;
	bits |= answered & MESSAGE_HAS_GAP ? ANOMALY_BIT(GAP_RESPONSE) : 0;
	bits |= asked & MESSAGE_BODY_CUT ? ANOMALY_BIT(BODY_CUT_REQUEST) : 0;
	bits |= answered & MESSAGE_BODY_CUT ? ANOMALY_BIT(BODY_CUT_RESPONSE) : 0;
	bits |= (asked | answered) & MESSAGE_HEAD_CUT ? ANOMALY_BIT(HEAD_CUT) : 0;
	bits |= p->request.info.replay_of.from ? ANOMALY_BIT(REPLAYED) : 0;
	return bits;
}

static void fill_exchange(struct exchange *x, const struct pair *p)
{
	const struct conn *c = p->owner->c;
	unsigned client = c->client == 1;
	bool is_asked = draft_has_begun(&p->request);

	x->start_ns = is_asked ? p->request.first_ns : p->response.first_ns;
	x->connection = c->id;
	x->sequence = p->sequence;
	x->protocol = PROTOCOL_HTTP1;
	x->anomalies = anomalies_of(p);
	x->src = conn_endpoint(c, client);
	x->dst = conn_endpoint(c, !client);
	if (is_asked)
		fill_request(x, &p->request);
	if (draft_has_begun(&p->response))
		x->status = p->response.info.status;
}

void emit_pair(const struct pair *p, enum outcome outcome, enum reason reason)
{
	struct wire *w = p->owner->c->wire;
	size_t bytes = sizeof(struct exchange) + draft_bytes(&p->request) + draft_bytes(&p->response);
	struct exchange *x = w->sink.reserve(w->sink.ctx, bytes);
	struct room room = {(uint8_t *)x + sizeof(*x)};

	if (!draft_has_begun(&p->request))
		counter_add(w->counters, COUNTER_RESPONSES_ALONE, 1);
	if (!x) {
		counter_add(w->counters, COUNTER_REQUESTS_QUEUE_FULL, 1);
		return;
	}
	*x = (struct exchange){.outcome = (uint8_t)outcome, .reason = (uint8_t)reason};
	put_message(&room, &x->request, &p->request);
	put_message(&room, &x->response, &p->response);
	fill_exchange(x, p);
	counter_add(w->counters, COUNTER_REQUESTS_EXCHANGED, 1);
	w->sink.commit(w->sink.ctx, x);
}
